"""Servers that misbehave in HTTP/2, where the gateway is the client (RFC 9113): the client gets a 502 or a cut that it can see,
never a wrong byte; the server is told what it did; the gateway lives.

Each case has a server of its own, behind `edge` (cleartext, asked over HTTP/1.1) and behind `reencrypt` (TLS, asked over HTTP/2).
"""
import collections
import ssl
import threading

import pytest

from harness import h2_frames as f
from harness.certs import CertAuthority
from harness.client import Client as Http1
from harness.client import Truncated
from harness.gateway import Config, Gateway
from harness.h2_conn import DEADLINE, Client, H2Server, never_closes
from harness.h2_frames import END_HEADERS, END_STREAM, MAX_WINDOW, PADDED, WHOLE, Code, data, headers
from harness.wait import until

WAYS = ("edge", "reencrypt")
PROTOCOL, FLOW, SIZE = [Code.PROTOCOL_ERROR], [Code.FLOW_CONTROL_ERROR], [Code.FRAME_SIZE_ERROR]
COMPRESSION, CLOSED = [Code.COMPRESSION_ERROR], [Code.STREAM_CLOSED]

Case = collections.namedtuple("Case", "script start method codes kinds service")
CONNECTION, STREAM = (f.GOAWAY,), (f.RST_STREAM, f.GOAWAY)


def says(sends, codes=(), kinds=CONNECTION, method="GET", then=never_closes, **service):
    """A server that answers any request with these bytes."""
    def script(peer, go):
        peer.request()
        peer.send(sends)
        then(peer)
    return Case(script, True, method, codes, kinds, service)


def says_later(first, sends, codes=(), kinds=CONNECTION, then=never_closes):
    """The first bytes; the others once the client has seen the head."""
    def script(peer, go):
        peer.request()
        peer.send(first)
        go.wait(DEADLINE)
        peer.send(sends)
        then(peer)
    return Case(script, True, "GET", codes, kinds, {})


def begins_with(sends, codes=(), then=never_closes, **service):
    """A server whose own preface is wrong."""
    def script(peer, go):
        peer.send(sends).preface()
        then(peer)
    return Case(script, False, "GET", codes, CONNECTION, service)


def closes(peer):
    peer.close()


def resets(peer):
    peer.conn.raw.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0: close() sends an RST
    peer.conn.raw.close() if peer.sock is peer.conn.raw else peer.sock.close()


def refuses(peer):
    """Every request, each of which could be sent again."""
    while True:
        peer.send(f.rst(peer.request().stream, Code.REFUSED_STREAM))


def fields(status="200", *more):
    return ([(":status", status)] if status is not None else []) + list(more)


def head(*more, flags=END_HEADERS, status="200"):
    return headers(1, fields(status, *more), flags)


RIGHT = head() + data(1, b"right")
SETTINGS = f.settings()

# ---- no answer can be made of it: 502

PREFACES = {
    "3-4-http-1": begins_with(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "3-4-garbage": begins_with(b"nothing like HTTP/2\r\n" * 10),
    "3-4-first-frame-ping": begins_with(f.ping() + SETTINGS, PROTOCOL),
    "3-4-first-frame-headers": begins_with(RIGHT, PROTOCOL),
    "3-4-first-frame-ack": begins_with(f.SETTINGS_ACK, PROTOCOL),
    "3-4-closes": begins_with(b"", then=closes),
    "3-4-resets": begins_with(b"", then=resets),
    "3-4-settings-and-close": begins_with(SETTINGS, then=closes),
    "6-5-settings-of-5-octets": begins_with(f.frame(f.SETTINGS, 0, 0, b"12345"), SIZE),
    "6-5-settings-of-a-stream": begins_with(SETTINGS + f.settings(stream=1), PROTOCOL),
    "6-5-ack-with-payload": begins_with(SETTINGS + f.settings((3, 1), flags=f.ACK), SIZE),
    "6-5-2-enable-push-1": begins_with(f.settings((f.ENABLE_PUSH, 1)), PROTOCOL),
    "6-5-2-enable-push-2": begins_with(f.settings((f.ENABLE_PUSH, 2)), PROTOCOL),
    "6-5-2-initial-window-too-large": begins_with(f.settings((f.INITIAL_WINDOW_SIZE, 1 << 31)), FLOW),
    "6-5-2-max-frame-size-too-small": begins_with(f.settings((f.MAX_FRAME_SIZE, 16383)), PROTOCOL),
    "6-5-2-max-frame-size-too-large": begins_with(f.settings((f.MAX_FRAME_SIZE, 1 << 24)), PROTOCOL),
    "8441-enable-connect-protocol-2": begins_with(f.settings((f.ENABLE_CONNECT_PROTOCOL, 2)), PROTOCOL),
}

CONNECTION_ERRORS = {
    "4-2-data-of-16385": says(data(1, b"a" * 16385), SIZE, STREAM),
    "4-2-headers-of-16385": says(head(("x-a", "a" * 16385)), SIZE),
    "4-3-index-above-the-table": says(headers(1, f.block(fields()) + f.indexed(70)), COMPRESSION),
    "4-3-index-0": says(headers(1, f.block(fields()) + f.indexed(0)), COMPRESSION),
    "4-3-block-cut": says(headers(1, f.block(fields())[:-1]), COMPRESSION),
    "4-3-table-size-above-the-limit": says(headers(1, f.table_size(1 << 16) + f.block(fields())), COMPRESSION),
    "4-3-huffman-padding": says(headers(1, f.block(fields()) + b"\x00\x03x-a\x82\x1f\xff"), COMPRESSION),
    "4-3-ping-inside-a-block": says(head(flags=END_STREAM) + f.ping(), PROTOCOL),
    "4-3-unknown-frame-inside-a-block": says(head(flags=END_STREAM) + f.frame(f.UNKNOWN), PROTOCOL),
    "5-1-headers-of-its-own-stream": says(headers(2, fields()), PROTOCOL),
    "5-1-headers-of-an-idle-stream": says(headers(99, fields()), PROTOCOL),
    "5-1-data-of-an-idle-stream": says(data(99, b"x"), PROTOCOL),
    "5-1-rst-of-an-idle-stream": says(f.rst(99), PROTOCOL),
    "5-1-window-update-of-an-idle-stream": says(f.window(99, 1), PROTOCOL),
    "6-1-data-of-stream-0": says(data(0, b"x"), PROTOCOL),
    "6-1-padding": says(f.frame(f.HEADERS, WHOLE | PADDED, 1, b"\xff" + f.block(fields())), PROTOCOL),
    "6-2-headers-of-stream-0": says(headers(0, fields()), PROTOCOL),
    "6-2-no-pad-length": says(f.frame(f.HEADERS, WHOLE | PADDED, 1), SIZE + PROTOCOL),
    "6-3-priority-of-stream-0": says(f.priority(0), PROTOCOL),
    "6-4-rst-of-stream-0": says(f.rst(0), PROTOCOL),
    "6-4-rst-of-3-octets": says(f.frame(f.RST_STREAM, 0, 1, b"123"), SIZE),
    "6-6-push-promise": says(f.push_promise(1, 2) + RIGHT, PROTOCOL),
    "6-6-push-promise-on-stream-0": says(f.push_promise(0, 2), PROTOCOL),
    "6-7-ping-of-7-octets": says(f.ping(b"1234567"), SIZE),
    "6-7-ping-of-a-stream": says(f.ping(stream=1), PROTOCOL),
    "6-8-goaway-of-a-stream": says(f.goaway(1, stream=1), PROTOCOL),
    "6-8-goaway-of-7-octets": says(f.frame(f.GOAWAY, 0, 0, b"1234567"), SIZE),
    "6-9-increment-0": says(f.window(0, 0), PROTOCOL),
    "6-9-window-update-of-3-octets": says(f.frame(f.WINDOW_UPDATE, 0, 0, b"123"), SIZE),
    "6-9-1-window-too-large": says(f.window(0, MAX_WINDOW), FLOW),
    "6-10-continuation-of-nothing": says(f.continuation(1, fields()), PROTOCOL),
    "6-10-continuation-of-another-stream": says(head(flags=END_STREAM) + f.continuation(3), PROTOCOL),
}

BAD_FIELDS = {
    "name-upper-case": ("X-A", "b"), "name-with-space": ("x a", "b"), "name-with-nul": ("x\0a", "b"), "name-with-colon": ("x:a", "b"),
    "name-with-line-end": ("x-a: b\r\nx-c", "d"), "name-empty": ("", "b"), "name-of-high-octets": (b"x\xc3", "b"),
    "value-with-nul": ("x-a", "b\0c"), "value-with-line-feed": ("x-a", "b\nx-c: d"), "value-with-carriage-return": ("x-a", "b\rc"),
    "value-with-line-end": ("x-a", "b\r\n\r\nHTTP/1.1 200 OK\r\n"), "value-begins-with-space": ("x-a", " b"),
    "value-ends-with-tab": ("x-a", "b\t"), "connection": ("connection", "close"), "keep-alive": ("keep-alive", "timeout=5"),
    "proxy-connection": ("proxy-connection", "close"), "transfer-encoding": ("transfer-encoding", "chunked"),
    "upgrade": ("upgrade", "h2c"), "content-length-words": ("content-length", "5 5"), "content-length-plus": ("content-length", "+5"),
    "content-length-minus": ("content-length", "-5"), "content-length-list": ("content-length", "5, 5"),
    "content-length-huge": ("content-length", "9" * 25),
}

MALFORMED = {
    "8-1-data-before-the-head": says(data(1, b"right"), PROTOCOL, STREAM),
    "8-1-only-interim": says(head(status="103", flags=WHOLE), PROTOCOL, STREAM),
    "8-1-data-after-interim": says(head(status="103") + data(1, b"right"), PROTOCOL, STREAM),
    "8-1-1-content-length-and-no-content": says(head(("content-length", "5"), flags=WHOLE), PROTOCOL, STREAM),
    "8-1-1-content-length-twice": says(head(("content-length", "5"), ("content-length", "5")) + data(1, b"right"), PROTOCOL, STREAM),
    "8-1-1-content-length-twice-different": says(head(("content-length", "5"), ("content-length", "6")) + data(1, b"right"), PROTOCOL,
                                                 STREAM),
    "8-3-no-status": says(head(("x-a", "b"), status=None) + data(1, b"right"), PROTOCOL, STREAM),
    "8-3-status-after-a-field": says(headers(1, [("x-a", "b"), *fields()], END_HEADERS) + data(1, b"right"), PROTOCOL, STREAM),
    "8-3-status-twice": says(head((":status", "200")) + data(1, b"right"), PROTOCOL, STREAM),
    "8-3-path-in-a-response": says(head((":path", "/")) + data(1, b"right"), PROTOCOL, STREAM),
    "8-3-undefined": says(head((":x", "y")) + data(1, b"right"), PROTOCOL, STREAM),
    **{f"8-3-2-status-{name}": says(head(status=value) + data(1, b"right"), PROTOCOL, STREAM) for name, value in {
        "empty": "", "words": "abc", "two-digits": "20", "four-digits": "2000", "plus": "+20", "with-reason": "200 OK", "099": "099",
        "line-end": "200\r\n"}.items()},
    "8-6-101": says(head(status="101") + data(1, b"right"), PROTOCOL, STREAM),
    **{f"8-2-{name}": says(head(field) + data(1, b"right"), PROTOCOL, STREAM) for name, field in BAD_FIELDS.items()},
    "8-2-interim-with-a-bad-field": says(head(("x-a", "b\nc"), status="103") + RIGHT, PROTOCOL, STREAM),
    "6-9-increment-0-of-a-stream": says(f.window(1, 0), PROTOCOL, STREAM),
    "6-9-1-window-of-a-stream-too-large": says(f.window(1, MAX_WINDOW), FLOW, STREAM),
}

GIVES_UP = {
    **{f"rst-{code:x}": says(f.rst(1, code)) for code in (Code.NO_ERROR, Code.PROTOCOL_ERROR, Code.INTERNAL_ERROR, Code.CANCEL,
                                                            Code.ENHANCE_YOUR_CALM, 0xfedcba98)},
    "rst-after-interim": says(head(status="103") + f.rst(1, Code.INTERNAL_ERROR)),
    "goaway-error": says(f.goaway(1, Code.INTERNAL_ERROR), then=closes),
    "closes": says(b"", then=closes),
    "resets": says(b"", then=resets),
    "closes-after-half-a-head": says(head()[:12], then=closes),
    "closes-inside-a-block": says(head(flags=0), then=closes),
    "post-refused-by-all": Case(lambda peer, go: refuses(peer), True, "POST", (), CONNECTION, {}),
}

NO_ANSWER = {**PREFACES, **CONNECTION_ERRORS, **MALFORMED, **GIVES_UP}

# ---- the head has gone to the client: a cut

HEAD = head() + data(1, b"right", 0)
SIZED = head(("content-length", "9")) + data(1, b"right", 0)

CUT = {
    "cut-8-1-second-head": says_later(HEAD, head() + data(1, b"WRONG"), PROTOCOL, STREAM),
    "cut-8-1-second-head-that-ends": says_later(HEAD, head(flags=WHOLE), PROTOCOL, STREAM),
    "cut-8-1-trailers-with-path": says_later(HEAD, headers(1, [(":path", "/")]), PROTOCOL, STREAM),
    "cut-8-1-trailers-that-do-not-end": says_later(HEAD, headers(1, [("x-t", "v")], END_HEADERS) + data(1, b"WRONG"), PROTOCOL, STREAM),
    "cut-8-2-trailers-upper-case": says_later(HEAD, headers(1, [("X-T", "v")]), PROTOCOL, STREAM),
    "cut-8-2-trailers-with-line-end": says_later(HEAD, headers(1, [("x-t", "v\r\nx: y")]), PROTOCOL, STREAM),
    "cut-8-2-trailers-connection": says_later(HEAD, headers(1, [("connection", "close")]), PROTOCOL, STREAM),
    "cut-8-1-1-too-short": says_later(SIZED, data(1), PROTOCOL, STREAM),
    "cut-8-1-1-too-short-with-trailers": says_later(SIZED, headers(1, [("x-t", "v")]), PROTOCOL, STREAM),
    "cut-8-1-1-too-long": says_later(SIZED, data(1, b"WRONG"), PROTOCOL, STREAM),
    "cut-4-3-trailers-not-decodable": says_later(HEAD, headers(1, f.indexed(70)), COMPRESSION),
    "cut-4-2-data-too-large": says_later(HEAD, data(1, b"a" * 16385), SIZE, STREAM),
    "cut-6-1-padding": says_later(HEAD, f.frame(f.DATA, PADDED, 1, b"\x09WRONG"), PROTOCOL),
    "cut-6-7-ping-too-short": says_later(HEAD, f.ping(b"123") + data(1, b"WRONG"), SIZE),
    "cut-6-5-bad-settings": says_later(HEAD, f.settings((f.MAX_FRAME_SIZE, 1)), PROTOCOL),
    "cut-6-6-push-promise": says_later(HEAD, f.push_promise(1, 2), PROTOCOL),
    "cut-garbage": says_later(HEAD, b"\xff" * 200),
    "cut-http-1": says_later(HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nWRONG"),
    **{f"cut-rst-{code:x}": says_later(HEAD, f.rst(1, code)) for code in (Code.NO_ERROR, Code.CANCEL, Code.REFUSED_STREAM, 0xfedcba98)},
    "cut-sized-rst": says_later(SIZED, f.rst(1, Code.INTERNAL_ERROR)),
    "cut-closes": says_later(HEAD, b"", then=closes),
    "cut-sized-closes": says_later(SIZED, b"", then=closes),
    "cut-resets": says_later(HEAD, b"", then=resets),
    "cut-goaway-and-closes": says_later(HEAD, f.goaway(1), then=closes),
    "cut-closes-inside-a-frame": says_later(HEAD, data(1, b"x" * 100)[:50], then=closes),
}

# ---- unusual, and right

HARMLESS = {
    "ok-plain": says(RIGHT),
    "ok-unknown-frames": says(f.frame(f.UNKNOWN, 0xff, 1, b"x") + head() + f.frame(f.UNKNOWN) + data(1, b"right")),
    "ok-altsvc-and-origin": says(f.frame(0x0c, 0, 0, b"\0\0") + f.frame(0x0a, 0, 1, b"\0\0h2=\":1\"") + RIGHT),
    "ok-unknown-settings": says(f.settings((0xffff, 1), (0, 0)) + RIGHT),
    "ok-unused-flags": says(headers(1, fields(), END_HEADERS | 0xd2) + data(1, b"right", END_STREAM | 0xf6 & ~PADDED)),
    "ok-reserved-bits": says(headers(1, fields(), END_HEADERS, reserved=True) + data(1, b"right", reserved=True)),
    "ok-padding": says(headers(1, fields(), END_HEADERS, pad=100) + data(1, b"right", pad=255)),
    "ok-nothing-but-padding": says(head() + data(1, b"", 0, pad=9) + data(1, b"right", 0) + data(1, b"", pad=9)),
    "ok-priority": says(headers(1, fields(), END_HEADERS, priority=(True, 0, 9)) + f.priority(1) + f.priority(2) + data(1, b"right")),
    "ok-continuation": says(f.split(fields("200", ("x-a", "b" * 50)), [1, 0, 5, 9], flags=0) + data(1, b"right")),
    "ok-ping-and-settings-between": says(head() + f.ping() + f.settings() + data(1, b"ri", 0) + f.ping() + data(1, b"ght")),
    "ok-interim": says(head(status="100") + head(("link", "</a>"), status="103") + RIGHT),
    "ok-empty-data": says(head() + data(1, b"", 0) * 5 + data(1, b"right", 0) + data(1)),
    "ok-trailers": says(HEAD + headers(1, [("x-t", "v")])),
    "ok-dynamic-table": says(headers(1, f.literal(8, "200", f.INDEXED) + f.literal("x-a", "b", f.INDEXED) + f.indexed(62), END_HEADERS) + data(1, b"right")),
    "ok-table-size-update": says(headers(1, f.table_size(0) + f.table_size(4096) + f.block(fields()), END_HEADERS) + data(1, b"right")),
    "ok-huffman": says(headers(1, f.block(fields(), huffman=True), END_HEADERS) + data(1, b"right")),
    "ok-window-update-after-the-end": says(RIGHT + f.window(1, 100) + f.window(0, 100)),
    "ok-rst-no-error-after-the-end": says(RIGHT + f.rst(1, Code.NO_ERROR)),
    "ok-goaway-before-the-answer": says(f.goaway(1) + RIGHT),
    "ok-goaway-of-all": says(f.goaway(MAX_WINDOW) + RIGHT),
    "ok-goaway-twice": says(f.goaway(MAX_WINDOW) + f.goaway(1) + RIGHT, then=closes),
    "ok-closes-after-the-end": says(RIGHT, then=closes),
    "ok-header-table-size-0": says(f.settings((f.HEADER_TABLE_SIZE, 0)) + RIGHT),
    "ok-largest-settings": says(f.settings((f.HEADER_TABLE_SIZE, 2 ** 32 - 1), (f.INITIAL_WINDOW_SIZE, MAX_WINDOW),
                                           (f.MAX_FRAME_SIZE, (1 << 24) - 1), (f.MAX_CONCURRENT_STREAMS, 2 ** 32 - 1)) + RIGHT),
}

ALL = {**NO_ANSWER, **CUT, **HARMLESS}


class Stage:
    """One gateway, and for each case and way a server with a host name of its own."""

    def __init__(self):
        self.ca = CertAuthority()
        tls = CertAuthority("Servers CA").leaf("server.example").server_context(alpn=["h2"])
        self.go, self.servers, services = {}, {}, {}
        for way in WAYS:
            for name, case in ALL.items():
                key = (way, name)
                go = self.go[key] = threading.Event()
                server = self.servers[key] = H2Server(lambda peer, case=case, go=go: case.script(peer, go), start=case.start,
                                                      tls=tls if way == "reencrypt" else None)
                protocol = {"server_tls": {"protocol": "h2", "verify": "none"}} if way == "reencrypt" else {"server_protocol": "h2"}
                services[f"{way}-{name}"] = {"mode": way, "hosts": [self.host(*key)], "servers": [server.address],
                                             "timeouts": {"server": "20s"}, **protocol, **case.service}
        self.gw = Gateway(Config(services, certs={"all.pem": self.ca.leaf("*.edge.example", "*.reencrypt.example")},
                                 settings={"workers": 1}))
        self.contexts = {"edge": self.ca.client_context(), "reencrypt": self.ca.client_context(alpn=["h2"])}

    @staticmethod
    def host(way, name):
        return f"{name}.{way}.example"

    def stop(self):
        for server in self.servers.values():
            server.stop()
        try:
            self.gw.stop()
        finally:
            self.gw.config.remove()


@pytest.fixture(scope="module")
def stage():
    one = Stage()
    yield one
    one.stop()


def ask(stage, way, name):
    """(status, body, whole): what a client got. whole: the message ended as it should. The server is let go on at the head."""
    host, port, go = stage.host(way, name), stage.gw.ports["https"], stage.go[way, name]
    go.clear()
    method, body = ALL[name].method, b"abc" if ALL[name].method == "POST" else b""
    if way == "edge":
        return ask_http1(Http1(port, tls=stage.contexts[way], name=host), host, method, body, go)
    with Client(port, stage.contexts[way], name=host) as client:
        client.send(headers(1, f.request(authority=host, method=method), END_HEADERS if body else WHOLE), data(1, body) if body else b"")
        while not [h for h in client.of(f.HEADERS, 1) if h.fields and h.fields[0][1][:1] != b"1"]:
            frame = client.frame()
            assert frame.kind not in (f.RST_STREAM, f.GOAWAY), f"{frame} instead of an answer"
        go.set()
        status = int(next(h for h in client.of(f.HEADERS, 1) if h.fields[0][1][:1] != b"1").fields[0][1])
        while not [x for x in client.of(f.DATA, 1) + client.of(f.HEADERS, 1) if x.has(END_STREAM)] and not client.of(f.RST_STREAM):
            client.frame()
        client.alive(unharmed=False)
        whole = not [r for r in client.of(f.RST_STREAM) if r.code != Code.NO_ERROR]
        return status, b"".join(d.data for d in client.of(f.DATA, 1)), whole


def ask_http1(client, host, method, body, go):
    with client:
        client.send_request(method, host=host, body=body)
        reply = client.head()
        while reply.status < 200:
            reply = client.head()
        go.set()
        try:
            if reply.get("transfer-encoding"):
                content, reply.trailers, _ = client.chunked()
            else:
                content = client.exactly(int(reply.get("content-length")))
            return reply.status, content, True
        except (Truncated, ConnectionError, ssl.SSLError):
            return reply.status, client.buffer, False


def told(stage, way, name):
    """The server saw the error that the RFC wants, and the gateway kept to the rules for clients."""
    case, server = ALL[name], stage.servers[way, name]
    if case.codes:
        def found():
            return [x for peer in list(server.peers) for x in list(peer.seen) if x.kind in case.kinds and x.code in case.codes]
        until(found, lambda: f"the server was told {[x for peer in server.peers for x in peer.seen][-5:]}")
    assert not server.errors, server.errors
    assert stage.gw.process.poll() is None, stage.gw.log_text()


def both(table):
    return pytest.mark.parametrize("way, name", [pytest.param(way, name, id=f"{way}-{name}") for way in WAYS for name in table])


@both(NO_ANSWER)
def test_no_answer(stage, way, name):
    status, content, whole = ask(stage, way, name)
    assert status in ((502, 503) if name == "post-refused-by-all" else (502,)) and whole, (status, content)
    assert b"right" not in content and b"127.0.0.1" not in content
    told(stage, way, name)


@both(CUT)
def test_cut(stage, way, name):
    status, content, whole = ask(stage, way, name)
    assert status == 200 and not whole, (status, content, whole)
    assert b"WRONG" not in content
    told(stage, way, name)


@both(HARMLESS)
def test_harmless(stage, way, name):
    assert ask(stage, way, name) == (200, b"right", True)
    told(stage, way, name)
