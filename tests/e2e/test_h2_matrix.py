"""One set of tests for HTTP/1.1 and HTTP/2 clients, each terminating mode, and HTTP/1.1 and HTTP/2 servers."""
import hashlib
import os
import threading

import pytest

from harness.h2_matrix import both, clients_ca, combination  # noqa: F401
from harness.h2_ways import HOST, Taker
from harness.http_server import chunked, header, read_json, response
from harness.server import pause
from harness.wait import PATIENCE


# --- messages

def test_methods_with_and_without_a_body(both):
    with both.client() as client:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT"):
            for body in (b"", b"x" * 100_000):
                reply = client.request(method, "/a/b?c=d%20e&f", body=body)
                seen = read_json(reply)
                assert (reply.status, seen["method"], seen["target"], seen["length"]) == (200, method, "/a/b?c=d%20e&f", len(body))


def test_targets_arrive_as_they_were_sent(both):
    with both.client() as client:
        for target in ("/", "/a%2Fb/%E2%82%AC?x=%00&y=a+b", "//double//slash", "/?", "/a;b=c,d:e@f!$&'()*", "/" + "a" * 8000):
            assert read_json(client.request("GET", target))["target"] == target


def test_a_body_without_a_length_and_trailers(both):
    both.server.answer = lambda r: response(200, r.body, [("X-Seen", ";".join(f"{k}={v}" for k, v in r.trailers))])
    with both.client() as client:
        for body in (b"", b"abc", b"0123456789" * 20_000):
            reply = client.request("POST", body=body, trailers=[("X-Sum", "42"), ("X-Other", "a b")])
            assert reply.body == body and reply.get("x-seen").lower() == "x-sum=42;x-other=a b"
        assert client.request("POST", body=b"next").body == b"next"


def test_a_response_without_a_length_and_trailers(both):
    parts = [b"a" * n for n in (1, 70_000, 3)]
    both.server.answer = lambda r: chunked(parts if r.target == "/full" else [], [("Trailer", "X-Sum")], [("X-Sum", "7"), ("X-Last", "z")])
    with both.client() as client:
        for target in ("/full", "/empty", "/full"):
            reply = client.request("GET", target, headers={"TE": "trailers"})
            assert reply.body == (b"".join(parts) if target == "/full" else b"")
            assert [("x-sum", "7"), ("x-last", "z")] == [(k.lower(), v) for k, v in reply.trailers]


def test_eight_mebibytes_each_way_to_the_byte(both):
    both.server.answer = lambda r: response(200, hashlib.sha256(r.body).digest() + r.body)
    body = os.urandom(8 << 20)
    with both.client() as client:
        for sized in (True, False):
            reply = client.request("PUT", body=body, sized=sized)
            assert reply.body[:32] == hashlib.sha256(body).digest(), "what the server received"
            assert reply.body[32:] == body, "what came back"


def test_empty_bodies(both):
    both.server.answer = lambda r: chunked([]) if r.target == "/coded" else response(200, b"", [("X-Length", str(len(r.body)))])
    with both.client() as client:
        for method in ("GET", "POST", "PUT"):
            for headers in ([], [("Content-Length", "0")]):
                reply = client.request(method, headers=headers)
                assert (reply.status, reply.body, reply.get("x-length")) == (200, b"", "0")
            assert client.request(method, "/coded").body == b""
        one = client.open("POST", end=False)  # announced, and then none came
        one.send(b"", end=True)
        assert one.whole().get("x-length") == "0"


def test_head_and_statuses_without_a_body(both):
    def answer(request):
        if request.target == "/sized":
            return response(200, b"" if request.method == "HEAD" else b"12345", [("Content-Length", "5")], length=False)
        if request.target.startswith("/status/"):
            return response(int(request.target[8:]), b"", [("ETag", '"1"')], length=False)
        return response(200, b"body")
    both.server.answer = answer
    with both.client() as client:
        for _ in range(2):
            reply = client.request("HEAD", "/sized")
            assert (reply.status, reply.get("content-length"), reply.body) == (200, "5", b"")
            assert client.request("GET", "/sized").body == b"12345"
            for status in (204, 304):
                reply = client.request("GET", f"/status/{status}")
                assert (reply.status, reply.get("etag"), reply.body) == (status, '"1"', b"")
                assert reply.get("transfer-encoding") is None
            assert client.request().body == b"body"


def test_statuses_pass_as_they_are(both):
    """A redirect, too: its Location is the server's."""
    where = "https://else.example/x?y"
    both.server.answer = lambda r: response(int(r.target[1:]), b"words", [("Location", where), ("Retry-After", "7")])
    with both.client() as client:
        for status in (200, 201, 206, 301, 302, 307, 400, 401, 404, 409, 418, 429, 500, 503, 599):
            reply = client.request("POST", f"/{status}", body=b"x")
            assert (reply.status, reply.body, reply.get("location"), reply.get("retry-after")) == (status, b"words", where, "7")


def test_early_hints_pass(both):
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    both.server.answer = lambda r: hint * 2 + response(200, b"page")
    with both.client() as client:
        for _ in range(2):
            reply = client.request()
            assert [(i.status, i.get("link")) for i in reply.interim] == [(103, "</a.css>; rel=preload")] * 2
            assert reply.body == b"page"


def test_expect_100_continue(both):
    def answer(request):
        assert request.get("expect") == "100-continue"
        request.conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return response(200, request.conn.exactly(4))
    both.server.answer, both.server.auto_body = answer, False
    with both.client() as client:
        one = client.open("PUT", headers=[("Content-Length", "4"), ("Expect", "100-continue")], end=False)
        assert one.next_interim().status == 100
        one.send(b"body", end=True)
        assert one.whole().body == b"body"


def test_expect_refused_by_the_server(both):
    both.server.answer = lambda r: response(413, b"too big", [("Connection", "close")])
    both.server.auto_body = False
    with both.client() as client:
        one = client.open("PUT", headers=[("Content-Length", "400000000"), ("Expect", "100-continue")], end=False)
        reply = one.whole()
        assert (reply.status, reply.body, reply.interim) == (413, b"too big", [])


def test_a_request_body_is_passed_as_it_comes(both):
    early = threading.Event()

    def answer(request):
        body = Taker(request)
        assert body.exactly(5) == b"first"
        early.set()
        second = body.exactly(6)
        body.finish()
        return response(200, second)
    both.server.answer, both.server.auto_body = answer, False
    with both.client() as client:
        for headers in ([("Content-Length", "11")], []):
            early.clear()
            one = client.open("PUT", headers=headers, end=False)
            one.send(b"first")
            assert early.wait(PATIENCE), "the first half must reach the server while the client still holds the second"
            one.send(b"second", end=True)
            assert one.whole().body == b"second"


def test_a_response_body_is_passed_as_it_comes(both):
    go = threading.Event()

    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        pause(go)
        return b"6\r\nsecond\r\n0\r\n\r\n"
    both.server.answer = answer
    with both.client() as client:
        one = client.open()
        assert one.answer().status == 200
        assert one.exactly(5) == b"first"
        go.set()
        assert one.rest() == b"second"


def test_a_conversation_in_one_request(both):
    """Both bodies at once, a piece each in turn."""
    def answer(request):
        body = Taker(request)
        request.conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(20):
            assert body.exactly(4) == b"q%03d" % n
            request.conn.send(b"4\r\na%03d\r\n" % n)
        body.finish()
        return b"0\r\n\r\n"
    both.server.answer, both.server.auto_body = answer, False
    with both.client() as client:
        one = client.open("POST", end=False)
        for n in range(20):
            one.send(b"q%03d" % n)
            assert one.exactly(4) == b"a%03d" % n
        one.send(b"", end=True)
        assert one.rest() == b""


def test_a_body_that_ends_with_the_connection_becomes_framed(both):
    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
        if both.server_kind == "h1" and both.mode == "reencrypt":
            request.conn.sock.unwrap()
        return None
    both.server.answer = answer
    with both.client() as client:
        assert client.request().body == b"until the end"


# --- fields

def test_cookies_arrive_as_one(both):
    """RFC 9113 section 8.2.3: several Cookie fields of HTTP/2 are one Cookie field of HTTP/1.1."""
    both.server.answer = lambda r: response(200, "|".join(r.all("cookie")), [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")])
    cookies = [("Cookie", "a=b"), ("Cookie", "c=d; e=f"), ("Cookie", "g=h")] if both.client_kind == "h2" else [("Cookie", "a=b; c=d; e=f; g=h")]
    with both.client() as client:
        reply = client.request(headers=[("X-One", "1"), *cookies, ("X-Two", "2")])
        joined = reply.text if both.server_kind == "h1" else reply.text.replace("|", "; ")
        assert joined == "a=b; c=d; e=f; g=h"
        assert reply.all("set-cookie") == ["a=1; Path=/", "b=2"]


def test_forwarding_fields(both):
    with both.client() as client:
        reply = client.request(headers=[("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "gopher"), ("X-Real-IP", "8.8.8.8"),
                                        ("Forwarded", "for=7.7.7.7"), ("X-Forwarded-Host", "evil.example")])
    assert header(reply, "x-forwarded-for") == header(reply, "x-real-ip") == "127.0.0.1"
    assert header(reply, "x-forwarded-proto") == both.scheme
    assert header(reply, "x-forwarded-host") == header(reply, "host") == HOST
    assert header(reply, "x-forwarded-port") == str(both.port) and header(reply, "forwarded") is None


def test_the_scheme_towards_an_h2_server_is_its_connections(both):
    if both.server_kind == "h1":
        return
    with both.client() as client:
        client.request("GET", "/p")
    assert both.server.request().pseudo == {":method": "GET", ":path": "/p", ":authority": HOST,
                                            ":scheme": "https" if both.mode == "reencrypt" else "http"}


def test_hop_by_hop_fields_end_here(both):
    both.server.answer = lambda r: response(200, "|".join(k.lower() for k, _ in r.headers),
                                            [("X-Public", "1")] + ([("Connection", "X-Private, keep-alive"), ("X-Private", "1"),
                                                                    ("Keep-Alive", "timeout=5")] if both.server_kind == "h1" else []))
    own = [("Connection", "X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "5"), ("Proxy-Connection", "x")] if both.client_kind == "h1" else []
    with both.client() as client:
        reply = client.request(headers=[*own, ("X-Kept", "1"), ("TE", "trailers")])
    seen = reply.text.split("|")
    assert "x-kept" in seen and not {"x-mine", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"} & set(seen)
    if both.server_kind == "h2":
        assert "connection" not in seen
    names = [k.lower() for k, _ in reply.headers]
    assert "x-public" in names and not {"x-private", "keep-alive"} & set(names)


def test_repeated_fields_their_order_and_large_ones(both):
    both.server.answer = lambda r: response(200, "\n".join(r.all("x-multi") + [str(len(r.get("x-big")))]),
                                            [("X-Multi", "a"), ("X-Answer", "b" * 12_000), ("X-Multi", "b, c"), ("X-Empty", "")])
    with both.client() as client:
        reply = client.request(headers=[("X-Multi", "1"), ("X-Big", "a" * 12_000), ("X-Multi", "2, 3"), ("X-Multi", "4"), ("X-Empty", "")])
    assert reply.text.split("\n") == ["1", "2, 3", "4", "12000"]
    assert reply.all("x-multi") == ["a", "b, c"] and reply.get("x-answer") == "b" * 12_000 and reply.get("x-empty") == ""


def test_header_edits(both):
    both.server.answer = lambda r: response(200, "|".join(f"{k.lower()}={v}" for k, v in r.headers if k.lower().startswith("x-")),
                                            [("Server", "secret/1.0"), ("Vary", "Origin"), ("X-Frame-Options", "ALLOW")])
    with both.client() as client:
        reply = client.request(host="edited.example", headers=[("X-Debug", "1"), ("X-Env", "prod"), ("X-Many", "client")])
    seen = reply.text.split("|")
    assert "x-env=lab" in seen and "x-env=prod" not in seen and "x-debug=1" not in seen
    assert [s for s in seen if s.startswith("x-many=")] == ["x-many=client", "x-many=gateway"]
    assert reply.get("server") is None and reply.all("vary") == ["Origin", "Cookie"] and reply.all("x-frame-options") == ["DENY"]


@pytest.mark.parametrize("spelling", ["TEST.Example", "test.example.", "test.example:{port}"])
def test_one_host_in_any_spelling(both, spelling):
    with both.client() as client:
        assert client.request(host=spelling.format(port=both.port)).status == 200
