"""A client comes back to the server it had: by its address, and by a cookie."""
import os
import signal

import pytest

from harness import hello
from harness.client import Client, http
from harness.http_server import describe, response
from harness.services import edge, passthrough, plain
from harness.wait import until

CHECK = {"type": "tcp", "interval": "100ms", "fall": 1, "rise": 1}


def named(http_server, *names):
    return [http_server(lambda r, n=n: response(200, n)) for n in names]


def test_by_source(gateway, http_server):
    gw = gateway({"web": plain("test.example", *named(http_server, "a", "b", "c"), sticky={"by": "source"})})
    seen = {}
    for n in range(2, 20):
        seen[n] = {http(gw.ports["http"], source=f"127.0.0.{n}").text for _ in range(4)}
        assert len(seen[n]) == 1, seen
    assert len({name for names in seen.values() for name in names}) == 3


def test_by_source_for_bytes(gateway, tcp_server):
    servers = [tcp_server(lambda conn, n=n: conn.send(n)) for n in (b"a", b"b", b"c")]
    gw = gateway({"own": passthrough("own.example", *servers, sticky={"by": "source"})})
    for n in range(2, 10):
        seen = set()
        for _ in range(3):
            with Client(gw.ports["https"], source=f"127.0.0.{n}") as client:
                seen.add(client.send(hello.build("own.example")).exactly(1))
        assert len(seen) == 1


def test_a_dead_server_is_left_for_another_for_good(gateway, http_server):
    servers = dict(zip("abc", named(http_server, "a", "b", "c")))
    gw = gateway({"web": plain("test.example", *servers.values(), sticky={"by": "source"}, health=CHECK)})
    mine = http(gw.ports["http"]).text
    port = servers[mine].port
    servers[mine].kill()
    gw.wait_log("is down: ")
    other = http(gw.ports["http"]).text
    assert other != mine
    http_server(lambda r: response(200, mine), port=port)
    gw.wait_log("is up again")
    assert {http(gw.ports["http"]).text for _ in range(5)} == {other}


def test_the_least_recently_seen_client_makes_room(gateway, http_server):
    gw = gateway({"web": plain("test.example", *named(http_server, "a", "b", "c"), sticky={"by": "source", "size": 2})},
                 settings={"workers": 1})
    first = {n: http(gw.ports["http"], source=f"127.0.0.{n}").text for n in (2, 3, 4)}  # 2 makes room for 4
    assert http(gw.ports["http"], source="127.0.0.4").text == first[4]
    assert http(gw.ports["http"], source="127.0.0.3").text == first[3]


def test_entries_expire(gateway, http_server):
    gw = gateway({"web": plain("test.example", *named(http_server, "a", "b"), sticky={"by": "source", "expire": "1s"}, health="off")},
                 settings={"workers": 1})
    assert len({http(gw.ports["http"]).text for _ in range(4)}) == 1
    before = http(gw.ports["http"]).text

    def moved():
        import time
        time.sleep(1.1)  # what is tested is that time passes
        return http(gw.ports["http"]).text != before
    until(moved, "it went to the other one", 20)


@pytest.mark.parametrize("ending", [signal.SIGTERM])
def test_the_table_survives_a_restart(gateway, config, http_server, ending):
    folder = config({"web": plain("test.example", *named(http_server, "a", "b", "c", "d"), sticky={"by": "source"})})
    gw = gateway(config=folder)
    sources = [f"127.0.0.{n}" for n in range(2, 30)]
    before = {source: http(gw.ports["http"], source=source).text for source in sources}
    gw.stop()
    path = os.path.join(folder.settings["state"], "sticky")
    assert os.stat(path).st_mode & 0o777 == 0o600
    again = gateway(config=folder)
    assert {source: http(again.ports["http"], source=source).text for source in sources} == before


def test_a_broken_state_file_is_no_reason_not_to_start(gateway, config, http_server):
    folder = config({"web": plain("test.example", *named(http_server, "a", "b"), sticky={"by": "source"})})
    with open(os.path.join(folder.settings["state"], "sticky"), "wb") as f:
        f.write(b"sallyport sticky 1\nweb\t127.0.0.1\nrubbish\xff\n" + os.urandom(500))
    gw = gateway(config=folder)
    gw.wait_log("some clients may meet another server than before")
    assert len({http(gw.ports["http"]).text for _ in range(4)}) == 1


def cookie_of(reply, name="SRV"):
    for value in reply.all("set-cookie"):
        if value.startswith(name + "="):
            return value
    return None


def test_by_cookie(gateway, http_server, ca, leaf):
    servers = named(http_server, "a", "b", "c")
    gw = gateway({"web": edge("test.example", *servers, sticky={"by": "cookie", "name": "NODE"}, plain_http="serve")},
                 certs={"one.pem": leaf("test.example")})
    tls = ca.client_context()
    reply = http(gw.ports["https"], tls=tls)
    told = cookie_of(reply, "NODE")
    assert told and "HttpOnly" in told and "Secure" in told and "SameSite=Lax" in told and "Path=/" in told
    value = told.split(";")[0]
    assert not any(str(server.port) in value for server in servers)
    for _ in range(6):
        again = http(gw.ports["https"], tls=tls, headers=[("Cookie", f"a=1; {value}; b=2")])
        assert again.text == reply.text and cookie_of(again, "NODE") is None
    plain_reply = http(gw.ports["http"])
    assert "Secure" not in cookie_of(plain_reply, "NODE")


def test_the_server_does_not_see_the_cookie(gateway, http_server):
    servers = [http_server(describe), http_server(describe)]
    gw = gateway({"web": plain("test.example", *servers, sticky={"by": "cookie"})})
    value = cookie_of(http(gw.ports["http"])).split(";")[0]
    reply = http(gw.ports["http"], headers=[("Cookie", f"a=1; {value}"), ("Cookie", "b=2")])
    assert b"SRV=" not in reply.body and b"a=1" in reply.body and b"b=2" in reply.body
    only = http(gw.ports["http"], headers=[("Cookie", value)])
    assert b"ookie" not in only.body.split(b'"length"')[0].replace(b"Set-", b"") or b"SRV=" not in only.body


def test_a_cookie_of_nobody_is_replaced(gateway, http_server):
    gw = gateway({"web": plain("test.example", *named(http_server, "a", "b"), sticky={"by": "cookie"})})
    for wrong in ("SRV=", "SRV=rubbish", "SRV=" + "0" * 32, "SRV", "SRV=a;SRV=b"):
        reply = http(gw.ports["http"], headers=[("Cookie", wrong)])
        assert reply.status == 200 and cookie_of(reply)


def test_cookies_survive_a_restart_and_a_dead_server_is_left(gateway, config, http_server):
    servers = dict(zip("abc", named(http_server, "a", "b", "c")))
    folder = config({"web": plain("test.example", *servers.values(), sticky={"by": "cookie"}, health=CHECK)})
    gw = gateway(config=folder)
    reply = http(gw.ports["http"])
    value = cookie_of(reply).split(";")[0]
    gw.stop()
    again = gateway(config=folder)
    assert {http(again.ports["http"], headers=[("Cookie", value)]).text for _ in range(5)} == {reply.text}
    servers[reply.text].kill()
    again.wait_log("is down: ")
    moved = http(again.ports["http"], headers=[("Cookie", value)])
    assert moved.text != reply.text and cookie_of(moved)


def test_an_http2_client_keeps_its_server(gateway, http_server, ca, leaf):
    import subprocess
    gw = gateway({"web": edge("test.example", *named(http_server, "a", "b", "c"), sticky={"by": "cookie"})},
                 certs={"one.pem": leaf("test.example")})
    jar = os.path.join(gw.config.dir, "jar")
    command = ["curl", "-q", "-sS", "--http2", "--cacert", ca.cert, "-c", jar, "-b", jar, "--connect-to", f"test.example:443:127.0.0.1:{gw.ports['https']}",
               "https://test.example/"]
    seen = {subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout for _ in range(5)}
    assert len(seen) == 1, seen
