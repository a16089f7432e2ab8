"""Over each combination of client, mode and server: our own answers, ends, many requests, and the log."""
import os
import threading

import pytest

from harness.client import Client
from harness.h2_client import H2Client
from harness.h2_matrix import both, clients_ca, combination  # noqa: F401
from harness.h2_ways import CUT, HOST, H1Client, connection_of, together
from harness.http_server import response
from harness.server import pause
from harness.wait import PATIENCE, until


def lines_of(both, path, count=1):
    """The access lines below a path that only one test uses: the gateway is shared, and lines of the test before may come late."""
    def found():
        return [r for r in both.gw.accesses() if r.get("path", "").startswith(path)]
    return until(lambda: len(found()) >= count and found(), lambda: f"{count} lines of {path}: {found()}")


# --- answers of the gateway's own

def test_own_answers(both):
    """Each request of a connection is judged for itself."""
    expected = {("test.example", "/"): 200, ("paths.example", "/only/x"): 200, ("paths.example", "/other"): 404,
                ("paths.example", "/onlyx"): 404, ("down.example", "/"): 502, ("nowhere.example", "/"): 404 if both.mode == "http" else 421}
    if both.mode != "http":
        expected.update({("mutual.example", "/"): 421, ("through.example", "/"): 421})
    with both.client() as client:
        for (host, target), status in [*expected.items(), *reversed(expected.items())]:
            reply = client.request("GET", target, host)
            assert reply.status == status or (status == 502 and reply.status in (502, 503)), (host, target, reply)
            if reply.status != 200:
                assert reply.get("content-type").startswith("text/html") and reply.get("cache-control") == "no-store"
                assert not [word for word in ("127.0.0.1", str(both.server.port), "sallyport", "nghttp2") if word in reply.text.lower()]
                assert reply.get("content-length") == str(len(reply.body)) and reply.body
                head = client.request("HEAD", target, host)
                assert (head.status, head.get("content-length"), head.body) == (reply.status, reply.get("content-length"), b"")
    assert {r.get("host") for r in both.server.requests} == {"test.example", "paths.example"}


def test_a_posted_body_behind_an_own_answer_costs_nothing(both):
    """The connection goes on, or ends in an orderly way; with HTTP/2 it goes on."""
    with both.client() as client:
        reply = client.request("POST", "/", "nowhere.example", body=b"x" * 200_000)
        assert reply.status == (404 if both.mode == "http" else 421)
        if both.client_kind == "h2":
            assert client.request().status == 200
            assert not client.goaways


def test_a_slow_server_is_waited_for_and_not_for_ever(both):
    go = threading.Event()

    def answer(request):
        if request.get("host") == "slow.example":
            try:
                request.conn.wait_gone()
            finally:
                go.set()
            return None
        go.wait(0.1)
        return response(200, b"late")
    both.server.answer = answer
    with both.client() as client:
        assert client.request().body == b"late", "slow, but within timeouts.server"
        reply = client.request("GET", "/", "slow.example")
        assert reply.status == 504 and "<html" in reply.text.lower()
        assert go.wait(PATIENCE), "the server is told that nobody waits any more"
        both.server.answer = lambda r: response(200, b"next")
        assert client.request().body == b"next"
    assert both.gw.access(service="slow")["end"] == "server_timeout"


# --- ends

CUT_BY_SERVER = {
    "sized-short": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "end"),
    "sized-reset": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "reset"),
    "unsized-short": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n", "end"),
    "unsized-reset": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n", "reset"),
    "connection-gone": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "connection"),
}


@pytest.mark.parametrize("name", CUT_BY_SERVER)
def test_a_response_that_the_server_cuts_is_cut_at_the_client(both, name):
    data, how = CUT_BY_SERVER[name]
    go = threading.Event()

    def answer(request):
        if request.target != "/cut":
            return response(200, b"fine")
        request.conn.send(data)
        pause(go)
        if how == "connection" and both.server_kind == "h2":
            request.endpoint.close(reset=True)
        elif how != "end":
            request.conn.reset()
        return None
    both.server.answer = answer
    with both.client() as client:
        one = client.open("GET", "/cut")
        assert one.answer().status == 200 and one.exactly(9) == b"only this"
        go.set()
        with pytest.raises(CUT):
            one.rest()
        if both.client_kind == "h2":
            assert client.request().body == b"fine", "only that stream has ended"
    assert both.gw.access(service="test", path="/cut")["end"] in ("server_cut", "server_closed", "server_error")
    with both.client() as client:
        assert client.request().body == b"fine"


def test_a_server_that_gives_no_answer_is_a_502(both):
    def answer(request):
        if request.target == "/good":
            return response(200, b"good")
        request.conn.reset()
        return None
    both.server.answer = answer
    with both.client() as client:
        reply = client.request("POST", "/bad", body=b"once")
        assert reply.status == 502 and "<html" in reply.text.lower()
        assert client.request("GET", "/good").body == b"good"
    assert [r.target for r in both.server.requests] == ["/bad", "/good"], "a POST is sent once"


@pytest.mark.parametrize("when", ["before-the-head", "in-the-response", "in-the-request"])
def test_a_client_that_gives_up_frees_the_server(both, when):
    begun, freed = threading.Event(), threading.Event()

    def answer(request):
        if request.target != "/long":
            return response(200, b"fine")
        if when == "in-the-response":
            request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        begun.set()
        request.conn.wait_gone()
        freed.set()
        return None
    both.server.answer, both.server.auto_body = answer, False
    client = both.client()
    one = client.open("POST" if when == "in-the-request" else "GET", "/long", headers=[("Content-Length", "100")] if when == "in-the-request" else [],
                      end=when != "in-the-request")
    if when == "in-the-request":
        one.send(b"half")
    assert begun.wait(PATIENCE)
    if when == "in-the-response":
        assert one.exactly(4) == b"half"
    one.reset()
    assert freed.wait(PATIENCE)
    assert both.gw.access(service="test", path="/long")["end"] in ("client_cut", "client_closed")
    if both.client_kind == "h2":
        assert client.request().body == b"fine", "and the connection goes on"
    client.close()


def test_a_connection_that_is_reset_frees_all_it_has_begun(both):
    begun, freed = threading.Semaphore(0), threading.Semaphore(0)

    def answer(request):
        begun.release()
        request.conn.wait_gone()
        freed.release()
        return None
    both.server.answer = answer
    client = both.client()
    count = 10 if both.client_kind == "h2" else 1
    for n in range(count):
        client.open("GET", f"/gone/{n}")
    assert all(begun.acquire(timeout=PATIENCE) for _ in range(count))
    client.reset()
    assert all(freed.acquire(timeout=PATIENCE) for _ in range(count))
    assert {r["end"] for r in lines_of(both, "/gone/", count)} <= {"client_cut", "client_closed"}


def test_an_early_answer_to_a_long_upload(both):
    def answer(request):
        if request.target == "/early":
            request.conn.send(response(403, b"no", [("Connection", "close")]))
            if both.server_kind == "h1":
                request.conn.wait_gone()
            return None
        return response(200, b"fine")
    both.server.answer, both.server.auto_body = answer, False
    with both.client() as client:
        one = client.open("PUT", "/early", headers=[("Content-Length", "10000000")], end=False)
        one.send(b"x" * 1000)
        reply = one.whole()
        assert (reply.status, reply.body) == (403, b"no")
        if both.client_kind == "h2":
            assert client.request("GET", "/").body == b"fine"


@pytest.mark.parametrize("coded", [False, True], ids=["sized", "unsized"])
def test_a_request_that_the_client_cuts_is_cut_at_the_server(both, coded):
    """No server may take half a body for a whole one."""
    both.server.answer = lambda r: response(200, b"whole")
    seen = len(both.server.conns)
    client = both.client()
    one = client.open("POST", "/cut", headers=[] if coded else [("Content-Length", "100")], end=False)
    one.send(b"part")
    if both.server_kind == "h2":
        until(lambda: [s for s in both.server.streams if s.received == 4], "the part at the server")
    one.reset()
    if both.server_kind == "h2":
        (stream,) = both.server.streams
        until(lambda: stream.reset_code is not None or stream.endpoint.lost is not None, "the cut at the server")
        assert not stream.ended and len(both.server.streams) == 1
    else:
        until(lambda: all(c.ended_by is not None for c in both.server.conns[seen:]), "the cut at the server")
    assert not both.server.requests
    client.close()


# --- many requests

def test_sequential_requests_use_one_server_connection(both):
    with both.client() as client:
        for n in range(30):
            assert client.request("POST" if n % 2 else "GET", body=b"x" * (n % 2)).status == 200
        assert len({id(connection_of(r)) for r in both.server.requests}) == 1


def test_requests_side_by_side_keep_their_own_bodies(both):
    """Of one connection with HTTP/2, of several with HTTP/1.1: each gets its own back, in whatever order."""
    barrier = threading.Barrier(20)

    def answer(request):
        if request.target.startswith("/all"):
            barrier.wait(PATIENCE)  # all are at the server at the same time
        return response(200, request.target.encode() + request.body)
    both.server.answer = answer

    def one(client, target, body):
        assert client.request("POST", target, body=body).body == target.encode() + body
    with both.client() as shared:
        def work(n):
            if both.client_kind == "h2":
                one(shared, f"/all/{n}", os.urandom(3000 * n))
                one(shared, f"/{n}", os.urandom(50_000))
            else:
                with both.client() as client:
                    one(client, f"/all/{n}", os.urandom(3000 * n))
                    one(client, f"/{n}", os.urandom(50_000))
        together(20, work)
    assert len(both.server.requests) == 40
    if both.server_kind == "h2" and both.client_kind == "h2":
        assert len({id(connection_of(r)) for r in both.server.requests}) == 1, "one client, one worker: one server connection"


def test_many_clients_share_few_server_connections(both):
    """Streams of all clients of a worker share its connections to an HTTP/2 server."""
    go = threading.Barrier(60)

    def answer(request):
        go.wait(PATIENCE)
        return response(200, b"ok")
    both.server.answer = answer

    def work(_):
        with both.client() as client:
            if both.client_kind == "h2":
                return [one.whole().status for one in [client.open() for _ in range(5)]]
            return [client.request().status]
    clients = 12 if both.client_kind == "h2" else 60
    assert {status for statuses in together(clients, work) for status in statuses} == {200}
    used = len({id(connection_of(r)) for r in both.server.requests})
    assert used <= (2 if both.server_kind == "h2" else 60), f"{used} connections for 60 requests at once, by 2 workers"


# --- the log

def test_access_line(both):
    both.server.answer = lambda r: response(201, b"12345")
    with both.client() as client:
        client.request("POST", "/path?secret=1", body=b"abc")
    (line,) = lines_of(both, "/path")
    assert (line["method"], line["status"], line["end"], line["mode"], line["host"]) == ("POST", 201, "ok", both.mode, HOST)
    assert line["path"].startswith("/path") and line["server"] == both.server.address
    assert line["client"].startswith("127.0.0.1") and line["listener"] == both.scheme
    assert line["bytes_in"] >= 3 and line["bytes_out"] >= 5
    assert line["total_ms"] >= line["first_byte_ms"] >= 0
    if both.mode != "http":
        assert line["sni"] == HOST


def test_each_request_has_its_line(both):
    both.server.answer = lambda r: response(int(r.target[5:]), b"")
    with both.client() as client:
        for status in (200, 404, 500, 204):
            client.request("GET", f"/own/{status}")
    assert sorted((r["path"], r["status"]) for r in lines_of(both, "/own/", 4)) == [(f"/own/{s}", s) for s in (200, 204, 404, 500)]


# --- HTTP/2 asked for in clear

def test_plain_requests_are_redirected_to_tls_in_either_version(both):
    """Prior knowledge on the plain listener, for a host that only TLS serves."""
    if both.mode == "http":
        return
    with (H2Client if both.client_kind == "h2" else H1Client)(both.gw.ports["http"]) as client:
        assert client.request("GET", "/", "nowhere.example").status == 404
        for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308)):
            reply = client.request(method, "/a?b", body=b"x" if method == "POST" else b"")
            assert (reply.status, reply.get("location")) == (status, f"https://{HOST}:{both.port}/a?b"), reply


def test_nothing_is_left_behind(both):
    with both.client() as client:
        client.request()
    listening = set(both.gw.ports.values())
    until(lambda: not [c for c in both.gw.connections() if c.local_port in listening], "client connections are still open")


def test_an_h1_client_beside_h2_on_one_listener(both):
    """ALPN decides, per connection; without ALPN it is HTTP/1.1."""
    with both.client("h1") as one, both.client("h2") as two:
        assert (one.request().status, two.request().status) == (200, 200)
    if both.mode != "http":
        with Client(both.port, tls=both._ca.client_context(), name=HOST) as client:
            assert client.sock.selected_alpn_protocol() is None and client.request().status == 200
