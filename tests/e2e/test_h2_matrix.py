"""One set of tests for HTTP/1.1 and HTTP/2 clients, each terminating mode, and HTTP/1.1 and HTTP/2 servers."""
import hashlib
import os
import threading

import pytest

from harness import certs as certs_module
from harness.client import Client
from harness.gateway import require_binary
from harness.h2_client import H2Client
from harness.h2_ways import COMBINATIONS, CUT, HOST, Combination, H1Client, Taker, connection_of, together
from harness.http_server import chunked, header, read_json, response
from harness.server import pause
from harness.wait import PATIENCE, until


@pytest.fixture(scope="module")
def clients_ca():
    return certs_module.CertAuthority("Clients CA")


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
def combination(request, ca, server_ca, leaf, clients_ca):
    require_binary()
    one = Combination(*request.param, ca, server_ca, leaf, clients_ca)
    yield one
    one.stop()


@pytest.fixture
def both(combination):
    yield combination.begin()
    combination.check()


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
        client.open("GET", f"/{n}")
    assert all(begun.acquire(timeout=PATIENCE) for _ in range(count))
    client.reset()
    assert all(freed.acquire(timeout=PATIENCE) for _ in range(count))
    assert both.gw.access(service="test", count=count)["end"] in ("client_cut", "client_closed")


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
    line = both.gw.access(service="test")
    assert (line["method"], line["status"], line["end"], line["mode"], line["host"]) == ("POST", 201, "ok", both.mode, HOST)
    assert line["path"].startswith("/path") and line["server"] == both.server.address
    assert line["client"].startswith("127.0.0.1") and line["listener"] == both.scheme
    assert line["bytes_in"] >= 3 and line["bytes_out"] >= 5
    assert line["total_ms"] >= line["first_byte_ms"] >= 0
    if both.mode != "http":
        assert line["sni"] == HOST


def test_each_request_has_its_line(both):
    both.server.answer = lambda r: response(int(r.target[1:]), b"")
    with both.client() as client:
        for status in (200, 404, 500, 204):
            client.request("GET", f"/{status}")
    both.gw.access(service="test", count=4)
    assert sorted((r["path"], r["status"]) for r in both.gw.accesses()) == [(f"/{s}", s) for s in (200, 204, 404, 500)]


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
