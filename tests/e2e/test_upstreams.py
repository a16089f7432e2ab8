"""Several servers: shares, stability, retries, names."""
import collections
import select
import threading

import pytest

from harness import hello
from harness.client import Client, http
from harness.http_server import HttpServer, response
from harness.ports import free_port, has_ipv6
from harness.server import pause, refused_port
from harness.services import passthrough, plain, ssh, tcp
from harness.wait import PATIENCE, until


def named(http_server, *names, **kw):
    return [http_server(lambda r, n=n: response(200, n), **kw) for n in names]


def counts(gw, number, **kw):
    return collections.Counter(http(gw.ports["http"], **kw).text for _ in range(number))


ONE = {"workers": 1}


def test_round_robin_in_turn(gateway, http_server):
    gw = gateway({"web": plain("test.example", *named(http_server, "a", "b", "c"))}, settings=ONE)
    seen = [http(gw.ports["http"]).text for _ in range(9)]
    assert collections.Counter(seen) == {"a": 3, "b": 3, "c": 3}
    assert all(len(set(seen[at:at + 3])) == 3 for at in range(0, 9, 3))


@pytest.mark.parametrize("workers", [1, 2])
def test_round_robin_by_weight(gateway, http_server, workers):
    a, b, c = named(http_server, "a", "b", "c")
    servers = [{"address": a.address, "weight": 3}, {"address": b.address, "weight": 1}, {"address": c.address, "weight": 0}]
    gw = gateway({"web": plain("test.example", *servers)}, settings={"workers": workers})
    seen = counts(gw, 80)
    assert seen["c"] == 0 and 54 <= seen["a"] <= 66, seen


def test_least_connections(gateway, http_server):
    go = {"a": threading.Event(), "b": threading.Event()}

    def held(name):
        def answer(request):
            if request.target == "/wait":
                pause(go[name])
            return response(200, name)
        return answer
    a, b = http_server(held("a")), http_server(held("b"))
    gw = gateway({"web": plain("test.example", a, b, balance="least-connections")})
    waiting = [Client(gw.ports["http"]) for _ in range(4)]
    for count, client in enumerate(waiting, 1):
        client.send_request("GET", "/wait")
        until(lambda: len(a.requests) + len(b.requests) == count, "the request is somewhere")
    assert len(a.requests) == len(b.requests) == 2
    go["b"].set()
    for _ in range(2):
        ready = select.select([client.sock for client in waiting], [], [], PATIENCE)[0]
        free = next(client for client in waiting if client.sock in ready)
        assert free.response().text == "b"
        free.close()
        waiting.remove(free)
    assert counts(gw, 10) == {"b": 10}
    go["a"].set()
    for client in waiting:
        assert client.response().text == "a"
        client.close()


def test_source_hash_is_stable_and_spreads(gateway, http_server):
    servers = named(http_server, "a", "b", "c", "d")
    gw = gateway({"web": plain("test.example", *servers, balance="source-hash")})
    chosen = {}
    for n in range(2, 42):
        source = f"127.0.0.{n}"
        chosen[source] = {http(gw.ports["http"], source=source).text for _ in range(3)}
        assert len(chosen[source]) == 1
    spread = collections.Counter(next(iter(c)) for c in chosen.values())
    assert len(spread) == 4, spread
    # consistent: without the last server, only its own clients move
    fewer = gateway({"web": plain("test.example", *servers[:3], balance="source-hash")})
    for source, before in chosen.items():
        after = http(fewer.ports["http"], source=source).text
        assert after in before or "d" in before, (source, before, after)


def test_source_hash_for_passthrough(gateway, tcp_server):
    servers = [tcp_server(lambda conn, n=n: conn.send(n)) for n in (b"a", b"b", b"c")]
    gw = gateway({"own": passthrough("own.example", *servers, balance="source-hash")})
    for n in range(2, 12):
        seen = set()
        for _ in range(3):
            with Client(gw.ports["https"], source=f"127.0.0.{n}") as client:
                seen.add(client.send(hello.build("own.example")).exactly(1))
        assert len(seen) == 1


@pytest.mark.parametrize("balance", ["round-robin", "least-connections", "source-hash"])
def test_a_refusing_server_is_passed_over(gateway, http_server, balance):
    """connect fails: another server, also for a POST, because nothing was sent yet."""
    dead, live = refused_port(), named(http_server, "live")[0]
    gw = gateway({"web": plain("test.example", f"127.0.0.1:{dead}", live, balance=balance)})
    for n in range(10):
        reply = http(gw.ports["http"], method="POST", body=b"once", source=f"127.0.0.{n + 2}")
        assert (reply.status, reply.text) == (200, "live")
    assert len(live.requests) == 10


def test_a_refusing_server_is_passed_over_for_bytes(gateway, tcp_server):
    dead, port = refused_port(), free_port()
    live = tcp_server(lambda conn: conn.send(b"live"))
    gw = gateway({"own": passthrough("own.example", f"127.0.0.1:{dead}", live), "git": ssh(f"127.0.0.1:{dead}", live),
                  "raw": tcp(f"127.0.0.1:{port}", f"127.0.0.1:{dead}", live)})
    for _ in range(4):
        for where, first in ((gw.ports["https"], hello.build("own.example")), (gw.ports["ssh"], b""), (port, b"")):
            with Client(where) as client:
                assert client.send(first).exactly(4) == b"live"


def test_no_retries(gateway, http_server):
    dead, live = refused_port(), named(http_server, "live")[0]
    gw = gateway({"web": plain("test.example", f"127.0.0.1:{dead}", live, retries=0, health="off")}, settings=ONE)
    assert sorted(http(gw.ports["http"]).status for _ in range(4))[0] == 200
    assert {http(gw.ports["http"]).status for _ in range(4)} & {502, 503}


def test_all_refuse(gateway):
    gw = gateway({"web": plain("test.example", *[f"127.0.0.1:{refused_port()}" for _ in range(3)])})
    assert http(gw.ports["http"]).status in (502, 503)
    assert gw.access(service="web")["end"] in ("server_refused", "no_server")


def test_a_name_that_does_not_resolve_is_503_for_that_service_only(gateway, http_server):
    gw = gateway({"bad": plain("bad.example", "no-such-host.invalid:80"), "good": plain("good.example", *named(http_server, "good")),
                  "mixed": plain("mixed.example", "no-such-host.invalid:80", *named(http_server, "mixed"))})
    assert http(gw.ports["http"], host="bad.example").status == 503
    assert http(gw.ports["http"], host="good.example").text == "good"
    for _ in range(4):
        assert http(gw.ports["http"], host="mixed.example").text == "mixed"
    assert gw.access(service="bad")["end"] == "no_server"


def test_names_and_addresses(gateway, http_server, tmp_path):
    v4, v6 = named(http_server, "v4")[0], named(http_server, "v6", host="::1" if has_ipv6() else "127.0.0.1")[0]
    path = str(tmp_path / "s")
    unix = HttpServer(lambda r: response(200, "unix"), path=path)
    gw = gateway({"name": plain("name.example", f"localhost:{v4.port}"), "v6": plain("v6.example", v6),
                  "unix": plain("unix.example", f"unix:{path}")})
    for name in ("v6", "unix"):
        assert http(gw.ports["http"], host=f"{name}.example").text == name
    assert http(gw.ports["http"], host="name.example").text == "v4"
    unix.stop()


def test_a_server_that_comes_back_is_used(gateway, http_server):
    port = free_port()
    gw = gateway({"web": plain("test.example", f"127.0.0.1:{port}")})
    assert http(gw.ports["http"]).status in (502, 503)
    server = HttpServer(lambda r: response(200, "back"), port=port)
    until(lambda: http(gw.ports["http"]).status == 200, "the server is used again")
    server.stop()


def test_the_pool_is_shared_by_clients(gateway, http_server):
    server = named(http_server, "x")[0]
    gw = gateway({"web": plain("test.example", server)}, settings=ONE)
    for _ in range(20):
        assert http(gw.ports["http"]).status == 200
    assert len(server.conns) == 1


def test_many_at_once_over_few_connections(gateway, http_server):
    servers = named(http_server, "a", "b")
    gw = gateway({"web": plain("test.example", *servers)})
    failures = []

    def work():
        try:
            with Client(gw.ports["http"]) as client:
                for _ in range(50):
                    assert client.request("POST", body=b"x" * 5000).status == 200
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=work) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert sum(len(s.requests) for s in servers) == 1000
    assert sum(len(s.conns) for s in servers) <= 80
