"""Requests and responses through each terminating mode: what goes in comes out, framed anew."""
import threading
import time

import pytest

from harness.client import Client
from harness.http_server import chunked, read_json, response
from harness.server import pause
from harness.services import plain
from harness.wait import until

HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT"])
def test_methods_with_and_without_a_body(way, method):
    way.start()
    with way.client() as client:
        for body in (b"", b"x" * 100_000):
            reply = client.request(method, "/a/b?c=d%20e&f", body=body)
            seen = read_json(reply)
            assert (reply.status, seen["method"], seen["target"], seen["length"]) == (200, method, "/a/b?c=d%20e&f", len(body))
    assert len(way.server.conns) == 1, "one pooled server connection serves both"


def test_head_keeps_the_length_and_has_no_body(way):
    def answer(request):
        return response(200, b"" if request.method == "HEAD" else b"12345", [("Content-Length", "5")], length=False)
    way.start(answer)
    with way.client() as client:
        assert client.request("HEAD").get("content-length") == "5"
        assert client.request("GET").body == b"12345"
        assert client.request("HEAD").get("content-length") == "5"
    assert len(way.server.conns) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_keep_the_connection(way, status):
    way.start(lambda r: response(status, b"", [("ETag", '"1"')], length=False) if r.target == "/none" else response(200, b"body"))
    with way.client() as client:
        for _ in range(3):
            reply = client.request("GET", "/none")
            assert (reply.status, reply.get("etag"), reply.all("transfer-encoding")) == (status, '"1"', [])
            assert client.request("GET", "/").body == b"body"
    assert len(way.server.conns) == 1


def test_pipelined_requests_are_answered_in_order(way):
    way.start(lambda r: response(200, r.target * (2000 if "3" in r.target else 1)))
    with way.client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test.example\r\n\r\n" % n for n in range(20)))
        for n in range(20):
            target = f"/{n}"
            assert client.response().text == target * (2000 if "3" in target else 1)


def test_pipelined_posts_with_bodies(way):
    way.start(lambda r: response(200, r.body))
    with way.client() as client:
        client.send(b"".join(b"POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: %d\r\n\r\n%s" % (len(b), b)
                             for b in (b"one", b"", b"GET / HTTP/1.1\r\n\r\n")))
        assert [client.response().body for _ in range(3)] == [b"one", b"", b"GET / HTTP/1.1\r\n\r\n"]


def test_chunked_request_body_and_trailers(way):
    way.start(lambda r: response(200, r.body, [("X-Seen", ";".join(f"{k}={v}" for k, v in r.trailers)),
                                               ("X-Coding", r.get("transfer-encoding", "none"))]))
    with way.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                    "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nX-Sum: 42\r\n\r\n")
        reply = client.response()
        assert (reply.body, reply.get("x-coding")) == (b"abc0123456789", "chunked")
        assert reply.get("x-seen").lower() == "x-sum=42"
        assert client.request(body=b"next", method="POST").body == b"next"


def test_chunked_response_body_and_trailers(way):
    parts = [b"a" * n for n in (1, 70_000, 3)]
    way.start(lambda r: chunked(parts, [("Trailer", "X-Sum")], [("X-Sum", "7")]))
    with way.client() as client:
        for _ in range(2):
            reply = client.request(headers={"TE": "trailers"})
            assert reply.body == b"".join(parts) and reply.get("transfer-encoding") == "chunked"
            assert ("x-sum", "7") in [(k.lower(), v) for k, v in reply.trailers]
    assert len(way.server.conns) == 1


def test_chunks_are_passed_as_they_come(way):
    go = threading.Event()

    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        pause(go)
        return b"6\r\nsecond\r\n0\r\n\r\n"
    way.start(answer)
    with way.client() as client:
        client.send_request()
        assert client.head().status == 200
        assert client.line() == b"5" and client.exactly(7) == b"first\r\n"
        go.set()
        body, _, _ = client.chunked()
        assert body == b"second"


def test_request_body_is_streamed_before_it_is_complete(way):
    early = threading.Event()

    def answer(request):
        assert request.conn.exactly(5) == b"first"
        early.set()
        return response(200, request.conn.exactly(6))
    way.start(answer, auto_body=False)
    with way.client() as client:
        client.send("PUT / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 11\r\n\r\nfirst")
        assert early.wait(30), "the first half must reach the server while the client still holds the second"
        client.send(b"second")
        assert client.response().body == b"second"


def test_a_body_that_ends_with_the_connection_becomes_framed(way):
    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
        if way.mode == "reencrypt":
            request.conn.sock.unwrap()
        return None
    way.start(answer)
    with way.client() as client:
        assert client.request().body == b"until the end"


def test_expect_100_continue(way):
    def answer(request):
        assert request.get("expect") == "100-continue"
        request.conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return response(200, request.conn.exactly(4))
    way.start(answer, auto_body=False)
    with way.client() as client:
        client.send("PUT / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert client.head().status == 100
        client.send(b"body")
        assert client.response().body == b"body"


def test_expect_refused_by_the_server(way):
    way.start(lambda r: response(413, b"too big", [("Connection", "close")]) if r.get("expect") else response(200), auto_body=False)
    with way.client() as client:
        client.send("PUT / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 400000000\r\nExpect: 100-continue\r\n\r\n")
        reply = client.response()
        assert (reply.status, reply.body, reply.interim) == (413, b"too big", [])
        assert client.gone(), "the body never came: the connection cannot be used again"


def test_early_hints_pass(way):
    way.start(lambda r: b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" * 2 + response(200, b"page"))
    with way.client() as client:
        for _ in range(2):
            reply = client.request()
            assert [(i.status, i.get("link")) for i in reply.interim] == [(103, "</a.css>; rel=preload")] * 2
            assert reply.body == b"page"


def test_early_response_to_a_long_upload(way):
    """The server answers before it has read the body: the client gets that answer."""
    def answer(request):
        request.conn.send(response(403, b"no", [("Connection", "close")]))
        request.conn.wait_gone()
        return None
    way.start(answer, auto_body=False)
    with way.client() as client:
        client.send("PUT / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10000000\r\n\r\n" + "x" * 1000)
        assert client.response().status == 403


def test_http10_client(way):
    way.start(lambda r: chunked([b"abc", b"def"]) if r.target == "/chunked" else response(200, b"sized"))
    with way.client() as client:
        client.send("GET / HTTP/1.0\r\nHost: test.example\r\n\r\n")
        assert client.response().body == b"sized"
        assert client.gone()
    with way.client() as client:
        client.send("GET /chunked HTTP/1.0\r\nHost: test.example\r\n\r\n")
        reply = client.response()
        assert reply.body == b"abcdef" and not reply.get("transfer-encoding"), "HTTP/1.0 knows no chunks"
    with way.client() as client:
        for _ in range(2):
            client.send("GET / HTTP/1.0\r\nHost: test.example\r\nConnection: keep-alive\r\n\r\n")
            reply = client.response()
            assert (reply.body, reply.get("connection", "").lower()) == (b"sized", "keep-alive")


def test_connection_close_from_the_client(way):
    way.start(lambda r: response(200, r.get("connection") or "none"), settings={"workers": 1})
    with way.client() as client:
        reply = client.request(headers={"Connection": "close"})
        assert reply.get("connection") == "close" and client.gone()
    assert way.request(headers={"Connection": "close"}).status == 200
    assert len(way.server.conns) == 1, "what the client wants of its own connection says nothing about the server's"


def test_connection_close_from_the_server_ends_only_that_side(way):
    way.start(lambda r: response(200, b"x", [("Connection", "close")]))
    with way.client() as client:
        for n in range(3):
            reply = client.request()
            assert reply.body == b"x" and reply.get("connection", "").lower() != "close"
    assert len(way.server.conns) >= 1


def test_hop_by_hop_headers_end_here(way):
    way.start(lambda r: response(200, b"|".join(k.lower().encode() for k, _ in r.headers),
                                 [("Connection", "X-Private, keep-alive"), ("X-Private", "1"), ("Keep-Alive", "timeout=5"),
                                  ("X-Public", "1")]))
    reply = way.request(headers=[("Connection", "X-Mine, close"), ("X-Mine", "1"), ("Keep-Alive", "5"), ("X-Kept", "1"),
                                 ("Proxy-Connection", "x"), ("TE", "gzip")])
    seen = reply.text.split("|")
    assert "x-kept" in seen and "x-mine" not in seen and not set(seen) & (set(HOP_BY_HOP) - {"connection", "te"})
    names = [k.lower() for k, _ in reply.headers]
    assert "x-public" in names and not {"x-private", "keep-alive"} & set(names)


def test_repeated_headers_and_their_order_are_kept(way):
    way.start(lambda r: response(200, "\n".join(r.all("X-Multi")), [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Vary", "x")]))
    reply = way.request(headers=[("X-Multi", "1"), ("Cookie", "a=b"), ("X-Multi", "2, 3"), ("X-Multi", "4")])
    assert reply.text.split("\n") == ["1", "2, 3", "4"]
    assert reply.all("set-cookie") == ["a=1", "b=2"]


def test_clients_half_close_still_gets_its_answer(gateway, http_server):
    go = threading.Event()

    def answer(request):
        pause(go)
        return response(200, b"late")
    gw = gateway({"test": plain("test.example", http_server(answer))})
    with Client(gw.ports["http"]) as client:
        client.send_request()
        client.shut()
        go.set()
        assert client.response().body == b"late"
        assert client.gone()


def test_a_clients_reset_frees_the_server_within_two_seconds(way):
    freed, times = threading.Event(), []

    def answer(request):
        request.conn.wait_gone()
        freed.set()
        return None
    way.start(answer)
    while not times or (times[-1] > 1 and len(times) < 5):  # only a gateway that waits for something takes long every time
        freed.clear()
        client = way.client()
        client.send_request()
        until(lambda: len(way.server.requests) > len(times), "the request reaches the server")
        start = time.monotonic()
        client.reset()
        assert freed.wait(30)
        times.append(time.monotonic() - start)
    assert min(times) < 2, times
    way.gw.wait_idle()
    assert way.gw.access()["end"] == "client_cut"


def test_idle_keep_alive_ends(way):
    way.start(timeouts={"keep_alive": "1s"})
    with way.client() as client:
        assert client.request().status == 200
        assert client.gone()


def test_access_line(way):
    way.start(lambda r: response(201, b"12345"))
    way.request("POST", "/path?secret=1", body=b"abc")
    line = way.gw.access(service="test")
    assert (line["method"], line["status"], line["end"], line["mode"], line["host"]) == ("POST", 201, "ok", way.mode, "test.example")
    assert line["path"].startswith("/path") and line["server"] == way.server.address
    assert line["client"].startswith("127.0.0.1") and line["listener"] == ("http" if way.mode == "http" else "https")
    assert line["bytes_in"] >= 3 and line["bytes_out"] >= 5
    assert line["total_ms"] >= line["first_byte_ms"] >= 0
    if way.mode != "http":
        assert line["sni"] == "test.example" and line["handshake_ms"] >= 0


def test_large_headers_pass_both_ways(way):
    way.start(lambda r: response(200, str(len(r.get("x-big"))), [("X-Answer", "b" * 12_000)]))
    reply = way.request(headers={"X-Big": "a" * 12_000})
    assert reply.text == "12000" and reply.get("x-answer") == "b" * 12_000
