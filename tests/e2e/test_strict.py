"""What could make two parsers disagree is refused, and the server behind never sees it."""
import pytest

from harness.client import Client, http
from harness.gateway import Config, Gateway
from harness.http_server import HttpServer, response
from harness.services import plain
from harness.wait import until

H = b"Host: test.example\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n"


def post(headers, body=b""):
    return b"POST / HTTP/1.1\r\n" + H + headers + b"\r\n" + body


BAD = {
    # Content-Length and Transfer-Encoding (RFC 9112 section 6)
    "cl-twice-different": (post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"), 400),
    "cl-twice-equal": (post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), 400),
    "cl-list": (post(b"Content-Length: 3, 3\r\n", b"abc"), 400),
    "cl-plus": (post(b"Content-Length: +3\r\n", b"abc"), 400),
    "cl-minus": (post(b"Content-Length: -3\r\n", b"abc"), 400),
    "cl-hex": (post(b"Content-Length: 0x3\r\n", b"abc"), 400),
    "cl-words": (post(b"Content-Length: 3 3\r\n", b"abc"), 400),
    "cl-empty": (post(b"Content-Length: \r\n"), 400),
    "cl-huge": (post(b"Content-Length: 99999999999999999999999\r\n", b"abc"), (400, 413)),
    "cl-and-te": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "te-and-cl": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"), 400),
    "te-identity": (post(b"Transfer-Encoding: identity\r\n"), (400, 501)),
    "te-unknown": (post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), (400, 501)),
    "te-not-last": (post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), (400, 501)),
    "te-chunked-twice": (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "te-list-twice": (post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), 400),
    "te-vertical-tab": (post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), (400, 501)),
    "te-quoted": (post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"), (400, 501)),
    "te-in-http10": (b"POST / HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "te-space-before-colon": (post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    "cl-space-before-colon": (post(b"Content-Length : 3\r\n", b"abc"), 400),
    # header fields (RFC 9112 section 5)
    "obs-fold": (b"GET / HTTP/1.1\r\n" + H + b"X-A: b\r\n c\r\n\r\n", 400),
    "first-header-folded": (b"GET / HTTP/1.1\r\n X-A: b\r\n" + H + b"\r\n", 400),
    "no-colon": (b"GET / HTTP/1.1\r\n" + H + b"X-A\r\n\r\n", 400),
    "empty-name": (b"GET / HTTP/1.1\r\n" + H + b": b\r\n\r\n", 400),
    "name-with-space": (b"GET / HTTP/1.1\r\n" + H + b"X A: b\r\n\r\n", 400),
    "name-with-nul": (b"GET / HTTP/1.1\r\n" + H + b"X\0A: b\r\n\r\n", 400),
    "name-with-8-bit": (b"GET / HTTP/1.1\r\n" + H + b"X\xc3A: b\r\n\r\n", 400),
    "value-with-nul": (b"GET / HTTP/1.1\r\n" + H + b"X-A: b\0c\r\n\r\n", 400),
    "value-with-bare-cr": (b"GET / HTTP/1.1\r\n" + H + b"X-A: b\rc\r\n\r\n", 400),
    "value-with-control": (b"GET / HTTP/1.1\r\n" + H + b"X-A: b\x07c\r\n\r\n", 400),
    "bare-lf-in-head": (b"GET / HTTP/1.1\r\n" + H + b"X-A: b\nX-B: c\r\n\r\n", 400),
    "bare-lf-line-ends": (b"GET / HTTP/1.1\nHost: test.example\n\n", 400),
    "cr-cr-lf": (b"GET / HTTP/1.1\r\n" + H + b"X-A: b\r\r\n\r\n", 400),
    # Host (RFC 9112 section 3.2)
    "no-host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two-hosts": (b"GET / HTTP/1.1\r\n" + H + H + b"\r\n", 400),
    "empty-host": (b"GET / HTTP/1.1\r\nHost: \r\n\r\n", (400, 404, 421)),
    "host-list": (b"GET / HTTP/1.1\r\nHost: test.example, other.example\r\n\r\n", 400),
    "host-port-words": (b"GET / HTTP/1.1\r\nHost: test.example:8x\r\n\r\n", 400),
    "host-port-large": (b"GET / HTTP/1.1\r\nHost: test.example:99999\r\n\r\n", 400),
    "host-with-path": (b"GET / HTTP/1.1\r\nHost: test.example/x\r\n\r\n", 400),
    "host-with-user": (b"GET / HTTP/1.1\r\nHost: a@test.example\r\n\r\n", 400),
    "host-with-fragment": (b"GET / HTTP/1.1\r\nHost: test.example#x\r\n\r\n", 400),
    "host-with-space": (b"GET / HTTP/1.1\r\nHost: test.example other\r\n\r\n", 400),
    # the request line (RFC 9112 section 3)
    "absolute-other-host": (b"GET http://other.example/ HTTP/1.1\r\n" + H + b"\r\n", 400),
    "absolute-userinfo": (b"GET http://a@test.example/ HTTP/1.1\r\n" + H + b"\r\n", 400),
    "asterisk-get": (b"GET * HTTP/1.1\r\n" + H + b"\r\n", 400),
    "target-without-slash": (b"GET index.html HTTP/1.1\r\n" + H + b"\r\n", 400),
    "target-with-space": (b"GET /a b HTTP/1.1\r\n" + H + b"\r\n", 400),
    "target-with-nul": (b"GET /a\0b HTTP/1.1\r\n" + H + b"\r\n", 400),
    "target-with-fragment": (b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n", 400),
    "two-spaces": (b"GET  / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "version-09": (b"GET /\r\n\r\n", 400),
    "version-lower": (b"GET / http/1.1\r\n" + H + b"\r\n", 400),
    "version-12": (b"GET / HTTP/1.12\r\n" + H + b"\r\n", (400, 505)),
    "version-2": (b"GET / HTTP/2.0\r\n" + H + b"\r\n", (400, 505)),
    "version-junk": (b"GET / HTTP/1.1x\r\n" + H + b"\r\n", 400),
    # limits
    "head-too-long": (b"GET / HTTP/1.1\r\n" + H + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n", 431),
    "too-many-fields": (b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n" * 3000 + b"\r\n", 431),
    "target-too-long": (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + H + b"\r\n", (414, 431)),
}

# Those whose head is good: the server may see the head, but never a body that ended well.
BAD_BODIES = {
    "chunk-size-empty": b"\r\nabc\r\n0\r\n\r\n",
    "chunk-size-junk": b"3x\r\nabc\r\n0\r\n\r\n",
    "chunk-size-minus": b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-space": b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk-size-leading-space": b" 3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "chunk-size-bare-lf": b"3\nabc\r\n0\r\n\r\n",
    "chunk-data-bare-lf": b"3\r\nabc\n0\r\n\r\n",
    "chunk-data-too-long": b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk-ext-bare-cr": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "chunk-ext-bare-lf": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "trailer-without-colon": b"3\r\nabc\r\n0\r\nX-A\r\n\r\n",
    "trailer-space-before-colon": b"3\r\nabc\r\n0\r\nX-A : b\r\n\r\n",
    "trailer-folded": b"3\r\nabc\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailer-too-long": b"3\r\nabc\r\n0\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "last-chunk-bare-lf": b"3\r\nabc\r\n0\n\n",
}

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n"


@pytest.fixture(scope="module")
def stage():
    """One gateway for the whole table: it must live through all of it."""
    server = HttpServer(lambda r: response(200, b"served"))
    gw = Gateway(Config({"test": {"mode": "http", "hosts": ["test.example"], "servers": [server.address]}}))
    yield gw, server
    server.stop()
    gw.stop()
    gw.config.remove()


def answer_of(client):
    """The status of the one answer, and that the connection ends after it."""
    first = client.response()
    try:
        rest = client.rest()
    except ConnectionError:
        rest = b""
    assert rest == b"", f"more than one answer: {rest[:200]!r}"
    return first


@pytest.mark.parametrize("name", BAD)
def test_bad_head(stage, name):
    gw, server = stage
    data, status = BAD[name]
    before = len(server.requests)
    with Client(gw.ports["http"]) as client:
        try:
            client.send(data + SMUGGLED)
        except ConnectionError:
            pass
        reply = answer_of(client)
        assert reply.status in (status if isinstance(status, tuple) else (status,)), reply
        assert reply.get("connection", "").lower() == "close"
    assert len(server.requests) == before, f"the server saw {server.requests[before:][0].raw_head!r}"
    assert http(gw.ports["http"]).body == b"served"


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_chunked_body(stage, name):
    gw, server = stage
    before = len(server.requests)
    with Client(gw.ports["http"]) as client:
        try:
            client.send(CHUNKED + BAD_BODIES[name] + SMUGGLED)
        except ConnectionError:
            pass
        assert answer_of(client).status in (400, 431, 413)
    assert len(server.requests) == before, "a request whose body is broken must not arrive whole"
    assert http(gw.ports["http"]).body == b"served"


@pytest.mark.parametrize("data", [
    b"GET /ok HTTP/1.1\r\nhOsT: TEST.example:80\r\n\r\n",
    b"GET http://test.example/ok HTTP/1.1\r\nHost: test.example\r\n\r\n",
    b"\r\nGET /ok HTTP/1.1\r\nHost: test.example\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: test.example\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nHost: test.example\r\nX-Empty:\r\nX-Tab:\t a \t\r\n\r\n",
    b"POST /ok HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: Chunked\r\n\r\n3;name=\"v\"\r\nabc\r\n000\r\nX-T: 1\r\n\r\n",
    b"GET /%00%2e%2e/ok?a=/../b HTTP/1.1\r\nHost: test.example.\r\n\r\n",
], ids=range(7))
def test_unusual_but_right(stage, data):
    gw, server = stage
    for step in (1, len(data)):
        with Client(gw.ports["http"]) as client:
            client.send_bytewise(data, step)
            assert client.response().status == 200


def test_truncated_request_body_is_never_complete_at_the_server(stage):
    gw, server = stage
    for head, part in ((CHUNKED, b"3\r\nabc\r\n"), (post(b"Content-Length: 10\r\n"), b"abc")):
        before, conns = len(server.requests), len(server.conns)
        with Client(gw.ports["http"]) as client:
            client.send(head + part).shut()
            try:
                rest = client.rest()
            except ConnectionError:
                rest = b""
            assert rest == b"" or rest.startswith(b"HTTP/1.1 400")
        until(lambda: all(c.ended_by for c in server.conns[conns:]), "its server connection is closed")
        assert len(server.requests) == before


def test_our_error_pages_tell_nothing(stage):
    gw, server = stage
    reply = http(gw.ports["http"], host="nowhere.example")
    assert reply.status == 404
    page = reply.body.decode() + str(reply.headers)
    for word in ("127.0.0.1", str(server.port), "llhttp", "OpenSSL", "openssl", gw.config.dir):
        assert word not in page


def test_slow_header_gets_408_or_a_close(gateway, http_server):
    gw = gateway({"test": plain("test.example", http_server(), timeouts={"request": "1s"})},
                 settings={"defaults": {"timeouts": {"request": "1s"}}})
    with Client(gw.ports["http"]) as client:
        client.send("GET / HTTP/1.1\r\nHost: te")
        try:
            rest = client.rest()
        except ConnectionError:
            rest = b""
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408")
    assert gw.access(listener="http")["end"] == "client_timeout"
