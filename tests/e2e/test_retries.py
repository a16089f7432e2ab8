"""A second try on another server: what retry_on asks for, and what is never sent twice."""
import re
import subprocess
import threading

import pytest

from harness.client import Client, http
from harness.http_server import response
from harness.real import Nginx
from harness.server import refused_port
from harness.services import edge, plain
from harness.wait import until

ONE = {"workers": 1}


def failing(status):
    return lambda r: response(status, f"failed {r.method}")


def good(request):
    return response(200, f"good {request.method} {len(request.body)}")


def reset(request):
    request.conn.reset()


def said(gw, text):
    return sum(text in line for line in gw.lines)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_status_is_tried_elsewhere(gateway, http_server, status):
    bad, fine = http_server(failing(status)), http_server(good)
    gw = gateway({"web": plain("test.example", bad, fine, retry_on=["connect", str(status)])}, settings=ONE)
    assert {http(gw.ports["http"]).text for _ in range(6)} == {"good GET 0"}
    assert len(bad.requests) > 0


def test_a_status_that_is_not_named_is_the_clients(gateway, http_server):
    bad, fine = http_server(failing(502)), http_server(good)
    gw = gateway({"web": plain("test.example", bad, fine, retry_on=["503"])}, settings=ONE)
    assert {http(gw.ports["http"]).status for _ in range(6)} == {200, 502}


def test_the_only_server_s_answer_is_given(gateway, http_server):
    bad = http_server(failing(503))
    gw = gateway({"web": plain("test.example", bad, retry_on=["503"])})
    reply = http(gw.ports["http"])
    assert (reply.status, reply.text) == (503, "failed GET") and len(bad.requests) == 1
    both = gateway({"web": plain("test.example", bad, http_server(failing(503)), retry_on=["503"])})
    assert http(both.ports["http"]).text == "failed GET"


@pytest.mark.parametrize("how", ["503", "reset"])
def test_what_is_not_idempotent_is_never_sent_twice(gateway, http_server, how):
    bad, fine = http_server(failing(503) if how == "503" else reset), http_server(good)
    gw = gateway({"web": plain("test.example", bad, fine, retry_on=[how])}, settings=ONE)
    seen = [http(gw.ports["http"], method="POST", body=b"order").status for _ in range(8)]
    assert seen.count(200) == 4 and len(bad.requests) + len(fine.requests) == 8, seen
    assert {http(gw.ports["http"], method="PUT", body=b"same").text for _ in range(4)} == {"good PUT 4"}


def test_a_reset_is_tried_elsewhere_only_if_asked_for(gateway, http_server):
    bad, fine = http_server(reset), http_server(good)
    asked = gateway({"web": plain("test.example", bad, fine, retry_on=["reset"])}, settings=ONE)
    assert {http(asked.ports["http"]).status for _ in range(6)} == {200}
    not_asked = gateway({"web": plain("test.example", bad, fine)}, settings=ONE)
    assert {http(not_asked.ports["http"]).status for _ in range(6)} == {200, 502}


def test_a_body_that_is_held_goes_again_and_a_large_one_does_not(gateway, http_server):
    bad, fine = http_server(failing(503)), http_server(good)
    gw = gateway({"web": plain("test.example", bad, fine, retry_on=["503"])}, settings=ONE)
    small, large = b"x" * 30_000, b"x" * 3_000_000
    assert {http(gw.ports["http"], method="PUT", body=small).text for _ in range(4)} == {"good PUT 30000"}
    assert {http(gw.ports["http"], method="PUT", body=large).status for _ in range(6)} == {200, 503}


def test_retries_is_how_often(gateway, http_server):
    bad = [http_server(failing(503)) for _ in range(4)]
    gw = gateway({"web": plain("test.example", *bad, retry_on=["503"], retries=2)}, settings=ONE)
    assert http(gw.ports["http"]).status == 503
    assert sum(len(server.requests) for server in bad) == 3


def test_connect_can_be_left_out(gateway, http_server):
    dead, fine = f"127.0.0.1:{refused_port()}", http_server(good)
    gw = gateway({"web": plain("test.example", dead, fine, retry_on=["503"], health="off")}, settings=ONE)
    assert {http(gw.ports["http"]).status for _ in range(6)} == {200, 502}


def test_h2_clients_too(gateway, http_server, ca, leaf):
    bad, fine = http_server(failing(503)), http_server(good)
    gw = gateway({"web": edge("test.example", bad, fine, retry_on=["503"])}, certs={"one.pem": leaf("test.example")})
    for _ in range(4):
        out = subprocess.run(["curl", "-q", "-sS", "--http2", "--cacert", ca.cert, "--connect-to",
                              f"test.example:443:127.0.0.1:{gw.ports['https']}", "https://test.example/"],
                             capture_output=True, text=True, timeout=60, check=True)
        assert out.stdout == "good GET 0"


def test_no_request_fails_while_one_of_two_is_up(gateway):
    """Real servers, stopped and started in turn under load."""
    servers = [Nginx(extra="location = /n { return 200 ok; }") for _ in range(2)]
    try:
        gw = gateway({"web": plain("test.example", *servers, retry_on=["connect", "reset", "502"],
                                   health={"type": "http", "path": "/n", "interval": "200ms"})},
                     settings={"logs": {"access": False}})
        load = subprocess.Popen(["h2load", "--h1", "-D", "12", "-c8", "-t1", f"--connect-to=127.0.0.1:{gw.ports['http']}",
                                 f"http://test.example:{gw.ports['http']}/n"], stdout=subprocess.PIPE, text=True)
        for turn in range(4):
            server = servers[turn % 2]
            server.process.terminate()
            server.process.wait(30)
            until(lambda: said(gw, "is down: ") > turn, lambda: gw.log_text())
            server.start(server.process.args)
            server.wait_port(server.port)
            until(lambda: said(gw, "is up again") > turn, lambda: gw.log_text())
        out, _ = load.communicate(timeout=60)
        found = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
        assert found and found[1] == found[2] and found.group(3, 4, 5) == ("0", "0", "0"), out
        assert int(found[2]) > 1000
    finally:
        for server in servers:
            server.stop()


def test_passive_takes_a_failing_server_out_for_a_while(gateway, http_server):
    bad, fine = http_server(failing(500)), http_server(good)
    gw = gateway({"web": plain("test.example", bad, fine, health={"type": "off", "passive": {"failures": 3, "window": "30s"}})}, settings=ONE)
    seen = [http(gw.ports["http"]).status for _ in range(20)]
    assert seen.count(500) == 3 and seen[-10:] == [200] * 10, seen
    gw.wait_log("gets no new clients for a while, after 3 failures in a row: status 500")


def test_passive_does_not_take_out_the_last_one(gateway, http_server):
    bad = http_server(failing(500))
    gw = gateway({"web": plain("test.example", bad, health={"type": "off", "passive": {"failures": 2}})})
    assert [http(gw.ports["http"]).text for _ in range(6)] == ["failed GET"] * 6


def test_sessions_end_with_their_server_where_that_is_asked_for(gateway, tcp_server):
    from harness.ports import free_port
    from harness.server import Server, echo
    from harness.services import tcp
    servers = {close: tcp_server(echo) for close in ("keep", "close")}
    ports = {close: free_port() for close in servers}
    gw = gateway({close: tcp(f"127.0.0.1:{ports[close]}", servers[close], health={
        "type": "tcp", "interval": "100ms", "fall": 1, "on_down": close}) for close in servers})
    clients = {close: Client(ports[close]) for close in servers}
    for client in clients.values():
        assert client.send(b"hi").exactly(2) == b"hi"
    for server in servers.values():
        server.stop()  # takes no new connections; those it has live on
    until(lambda: said(gw, "is down: ") == 2, lambda: gw.log_text())
    assert clients["close"].gone()
    assert clients["keep"].send(b"on").exactly(2) == b"on"
    for client in clients.values():
        client.close()
