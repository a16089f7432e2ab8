"""RFC 9113 section 8 (HTTP in HTTP/2), towards clients: 8.1 framing, 8.2 fields, 8.3 control data, 8.5 CONNECT.

A malformed request costs its stream and nothing else, and no server sees it: behaviours 52 and 56 of this gateway.
"""
from harness import h2_frames as f
from harness.h2_cases import (alive, answered, connection_error, either, fence, get, malformed, parametrized, post, run,
                              server_saw, status, stream_error, table, target_fixture)  # noqa: F401
from harness.h2_frames import END_HEADERS, END_STREAM, HOST, WHOLE, Code, request


def bad(name, fields, flags=WHOLE, more=b""):
    """A request that must be refused. It bears its name, so that it can be looked for at the server."""
    return name, f.headers(1, list(fields) + [("x-case", name)], flags) + more, malformed(name)


def bad_trailers(name, fields):
    """The same, where only the trailer section is wrong."""
    return (name, post(extra=[("x-case", name)]) + f.data(1, b"abc", 0) + f.headers(1, fields), malformed(name))


def good(name, fields, flags=WHOLE, more=b"", **saw):
    return name, f.headers(1, fields, flags) + more, status(200, then=server_saw(**saw))


def extra(*fields, **kw):
    return request(extra=fields, **kw)


# ---- 8.1: the sequence of frames, and Content-Length

def sized(value, method="POST"):
    return request(method=method, extra=[("content-length", str(value))])


FRAMING = table("rfc9113", [
    bad("8.1-second-head-without-end", request(method="POST"), END_HEADERS, f.headers(1, [("x-a", "b")], END_HEADERS)),
    bad("8.1-second-head-after-data", request(method="POST"), END_HEADERS,
        f.data(1, b"test", 0) + f.headers(1, [("x-a", "b")], END_HEADERS)),
    bad_trailers("8.1-trailers-with-a-request-field", request()[:1]),
    bad_trailers("8.1-trailers-with-path", [("x-t", "v"), (":path", "/x")]),
    bad_trailers("8.1-trailers-with-status", [(":status", "200")]),
    bad_trailers("8.1-trailers-with-an-undefined-pseudo-field", [(":x", "y")]),
    good("8.1-trailers", request(method="POST"), END_HEADERS, f.data(1, b"abc", 0) + f.headers(1, [("x-t", "v")]),
         length=3, trailers=[["x-t", "v"]]),
    good("8.1-trailers-without-data", request(method="POST"), END_HEADERS, f.headers(1, [("x-t", "v")]), length=0),
    good("8.1-empty-data-frames", request(method="POST"), END_HEADERS, f.data(1, b"", 0) + f.data(1, b"abc", 0) + f.data(1), length=3),
    ("8.1-nothing-after-trailers", post(1, "/hold") + f.headers(1, [("x-t", "v")]) + f.data(1, b"x"),
     stream_error(Code.STREAM_CLOSED)),
    bad("8.1.1-content-length-too-large", sized(4), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-too-small", sized(2), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-too-small-at-once", sized(2), END_HEADERS, f.data(1, b"abc", 0)),
    bad("8.1.1-content-length-of-several-frames", sized(5), END_HEADERS, f.data(1, b"abc", 0) + f.data(1, b"abc")),
    bad("8.1.1-content-length-without-content", sized(1)),
    bad("8.1.1-content-length-and-an-empty-end", sized(1), END_HEADERS, f.data(1)),
    bad("8.1.1-content-length-and-trailers", sized(5), END_HEADERS, f.data(1, b"abc", 0) + f.headers(1, [("x-t", "v")])),
    bad("8.1.1-content-length-of-get", sized(3, "GET")),
    bad("8.1.1-content-length-of-head", sized(3, "HEAD")),
    bad("8.1.1-content-length-plus", sized("+3"), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-minus", sized("-3"), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-words", sized("3 3"), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-list", sized("3, 3"), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-hex", sized("0x3"), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-empty", sized(""), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-huge", sized("9" * 30), END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-twice", sized(3) + [("content-length", "3")], END_HEADERS, f.data(1, b"abc")),
    bad("8.1.1-content-length-twice-different", sized(3) + [("content-length", "4")], END_HEADERS, f.data(1, b"abc")),
    good("8.1.1-content-length-right", sized(6), END_HEADERS, f.data(1, b"abc", 0, pad=9) + f.data(1, b"def"), length=6,
         content_length=["6"]),
    good("8.1.1-content-length-0", sized(0), content_length=["0"]),
    ("8.1.1-errors-cost-one-stream", [get(1, "/hold"), f.headers(3, extra(("X-Upper", "1"))), fence, get(5)],
     lambda client: client.was_reset(3, Code.PROTOCOL_ERROR) and client.response(5)),
])

# ---- 8.2: fields


def nothing(client):
    """The steps have looked already."""


def every(octets, place):
    """A stream each, on one connection: all must be refused."""
    def check(client):
        for n, octet in enumerate(octets):
            client.send(f.headers(2 * n + 1, request("/every", extra=[place(bytes([octet]))])))
            if n % 50 == 49:
                client.fence()  # so as to stay below the limit of streams
        client.fence()
        codes = {r.stream: r.code for r in client.of(f.RST_STREAM)}
        wrong = [hex(o) for n, o in enumerate(octets) if codes.get(2 * n + 1) != Code.PROTOCOL_ERROR]
        assert not wrong, f"not refused: {wrong}"
        client.alive(unharmed=False)
        assert not [r.raw_head for r in client.target.server.requests if r.target == "/every"]
    return check


NAME_BYTES = [*range(0x00, 0x21), *range(0x41, 0x5b), *range(0x7f, 0x100), 0x3a]
NAME_DELIMITERS = b'"(),/;<=>?@[\\]{}'
VALUE_BYTES = [0x00, 0x0a, 0x0d]
VALUE_CONTROLS = [*range(0x01, 0x09), 0x0b, 0x0c, *range(0x0e, 0x20), 0x7f]
SMUGGLED = "v\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n"

FIELDS = table("rfc9113", [
    ("8.2.1-names-forbidden-octets-inside", every(NAME_BYTES, lambda o: (b"x" + o + b"y", "v")), nothing),
    ("8.2.1-names-forbidden-octets-first", every([o for o in NAME_BYTES if o != 0x3a], lambda o: (o + b"y", "v")), nothing),
    ("8.2.1-names-forbidden-octets-last", every(NAME_BYTES, lambda o: (b"x" + o, "v")), nothing),
    ("8.2.1-names-not-a-token", every(NAME_DELIMITERS, lambda o: (b"x" + o + b"y", "v")), nothing),
    ("8.2.1-values-forbidden-octets-inside", every(VALUE_BYTES, lambda o: ("x-a", b"b" + o + b"c")), nothing),
    ("8.2.1-values-forbidden-octets-first", every(VALUE_BYTES, lambda o: ("x-a", o + b"c")), nothing),
    ("8.2.1-values-forbidden-octets-last", every(VALUE_BYTES, lambda o: ("x-a", b"b" + o)), nothing),
    ("8.2.1-values-controls", every(VALUE_CONTROLS, lambda o: ("x-a", b"b" + o + b"c")), nothing),
    ("8.2.1-values-white-space-first", every(b" \t", lambda o: ("x-a", o + b"c")), nothing),
    ("8.2.1-values-white-space-last", every(b" \t", lambda o: ("x-a", b"b" + o)), nothing),
    ("8.2.1-values-white-space-alone", every(b" \t", lambda o: ("x-a", o)), nothing),
    ("8.2.1-indexed-names-are-checked-too", every(VALUE_BYTES, lambda o: f.literal(58, b"b" + o + b"c", f.INDEXED)), nothing),
    ("8.2.1-huffman-hides-nothing", every(VALUE_BYTES, lambda o: f.literal("x-a", b"b" + o + b"c", huffman=True)), nothing),
    bad("8.2.1-name-empty", extra(("", "v"))),
    bad("8.2.1-name-upper-case", extra(("X-TEST", "v"))),
    bad("8.2.1-name-with-a-second-request", extra(("x: y" + SMUGGLED, "v"))),
    bad("8.2.1-value-with-a-second-request", extra(("x-a", SMUGGLED))),
    bad("8.2.1-cookie-with-a-second-request", extra(("cookie", SMUGGLED))),
    bad("8.2.1-bad-field-that-would-be-dropped", extra(("x-forwarded-for", "1\n2"))),
    bad_trailers("8.2.1-trailers-name-upper-case", [("X-T", "v")]),
    bad_trailers("8.2.1-trailers-value-with-line-feed", [("x-t", "v\nx: y")]),
    bad_trailers("8.2.1-trailers-value-with-nul", [("x-t", "v\0")]),
    bad_trailers("8.2.1-trailers-value-with-space", [("x-t", " v")]),
    bad_trailers("8.2.1-trailers-name-with-colon", [("x:t", "v")]),
    good("8.2.1-value-empty", extra(("x-a", "")), x_a=[""]),
    good("8.2.1-value-inner-space", extra(("x-a", "b \t c")), x_a=["b \t c"]),
    good("8.2.1-value-of-high-octets", extra(("x-a", b"b\x80\xff")), x_a=["b\x80\xff"]),
    good("8.2.1-names-of-every-good-octet", extra(("!#$%&'*+-.^_`|~09az", "v"))),
    bad("8.2.2-connection", extra(("connection", "keep-alive"))),
    bad("8.2.2-connection-close", extra(("connection", "close"))),
    bad("8.2.2-proxy-connection", extra(("proxy-connection", "keep-alive"))),
    bad("8.2.2-keep-alive", extra(("keep-alive", "timeout=5"))),
    bad("8.2.2-transfer-encoding", request(method="POST", extra=[("transfer-encoding", "chunked")]), END_HEADERS,
        f.data(1, b"3\r\nabc\r\n0\r\n\r\n")),
    bad("8.2.2-transfer-encoding-identity", extra(("transfer-encoding", "identity"))),
    bad("8.2.2-upgrade", extra(("upgrade", "websocket"))),
    bad("8.2.2-te-gzip", extra(("te", "gzip"))),
    bad("8.2.2-te-list", extra(("te", "trailers, deflate;q=0.5"))),
    bad_trailers("8.2.2-trailers-connection", [("connection", "close")]),
    bad_trailers("8.2.2-trailers-transfer-encoding", [("transfer-encoding", "chunked")]),
    good("8.2.2-te-trailers", extra(("te", "trailers"))),
    good("8.2.3-cookies-are-joined", extra(("cookie", "a=b"), ("cookie", "c=d; e=f"), ("x-a", "b"), ("cookie", "g=h")),
         cookie=["a=b; c=d; e=f; g=h"]),
])

# ---- 8.3: pseudo-header fields


def without(name):
    return [pair for pair in request() if pair[0] != name]


def twice(name, value=None):
    pair = next(pair for pair in request() if pair[0] == name)
    return request()[:4] + [(name, value or pair[1])]


def replaced(name, value):
    return [(n, value if n == name else v) for n, v in request()]


CONTROL = table("rfc9113", [
    bad("8.3-undefined-pseudo-field", extra()[:4] + [(":test", "test")]),
    bad("8.3-pseudo-field-of-responses", extra()[:4] + [(":status", "200")]),
    bad("8.3-pseudo-field-without-name", extra()[:4] + [(":", "x")]),
    bad("8.3-pseudo-field-upper-case", [(":Method", "GET")] + request()[1:]),
    bad("8.3-pseudo-field-after-a-field", [("x-a", "b")] + request()),
    bad("8.3-one-pseudo-field-after-a-field", request()[:3] + [("x-a", "b")] + request()[3:]),
    *[bad(f"8.3-{name[1:]}-twice", twice(name)) for name, _ in request()],
    bad("8.3-method-twice-different", twice(":method", "POST")),
    bad("8.3-path-twice-different", twice(":path", "/other")),
    bad("8.3-authority-twice-different", twice(":authority", "plain.example")),
    *[bad(f"8.3.1-no-{name[1:]}", without(name)) for name in (":method", ":scheme", ":path")],
    *[bad(f"8.3.1-empty-{name[1:]}", replaced(name, "")) for name in (":method", ":scheme", ":path")],
    bad("8.3.1-no-pseudo-fields", [("host", HOST)]),
    bad("8.3.1-neither-authority-nor-host", without(":authority")),
    bad("8.3.1-empty-authority", replaced(":authority", "")),
    bad("8.3.1-empty-host-alone", without(":authority") + [("host", "")]),
    bad("8.3.1-userinfo", replaced(":authority", "user@test.example")),
    bad("8.3.1-userinfo-and-password", replaced(":authority", "user:password@test.example")),
    bad("8.3.1-host-disagrees", extra(("host", "other.example"))),
    bad("8.3.1-host-disagrees-in-port", extra(("host", "test.example:8443"))),
    bad("8.3.1-host-twice", extra(("host", HOST), ("host", HOST))),
    bad("8.3.1-host-twice-alone", without(":authority") + [("host", HOST), ("host", "other.example")]),
    bad("8.3.1-host-list", without(":authority") + [("host", "test.example, other.example")]),
    *[bad(f"8.3.1-authority-{name}", replaced(":authority", value)) for name, value in {
        "line-end": "test.example\r\nX-A: b", "nul": "test.example\0", "space": "test.example other", "path": "test.example/x",
        "fragment": "test.example#x", "query": "test.example?x", "port-words": "test.example:8x", "port-large": "test.example:99999",
        "list": "test.example,other.example", "high-octet": b"test.ex\xe4mple"}.items()],
    *[bad(f"8.3.1-path-{name}", replaced(":path", value)) for name, value in {
        "asterisk-of-get": "*", "relative": "index.html", "absolute-uri": "https://test.example/", "authority": HOST,
        "space": "/a b", "line-end": "/a HTTP/1.1\r\nX-A: b\r\n\r\n", "line-feed": "/a\nb", "carriage-return": "/a\rb",
        "nul": "/a\0", "tab": "/a\tb", "control": "/a\x07", "fragment": "/a#b", "delete": "/a\x7f"}.items()],
    *[bad(f"8.3.1-method-{name}", replaced(":method", value)) for name, value in {
        "space": "GET /x", "line-end": "GET / HTTP/1.1\r\nX-A: b", "nul": "GET\0", "no-token": "GE(T", "colon": "GET:"}.items()],
    *[bad(f"8.3.1-scheme-{name}", replaced(":scheme", value)) for name, value in {
        "unknown": "ftp", "line-end": "https\r\n", "with-slashes": "https://other.example/?", "space": "https "}.items()],
    good("8.3.1-host-alone", without(":authority") + [("host", HOST)], host=[HOST]),
    good("8.3.1-host-agrees", extra(("host", HOST)), host=[HOST]),
    good("8.3.1-host-agrees-once-normalised", extra(("host", "TEST.example:443"))),
    good("8.3.1-host-comes-from-authority", replaced(":authority", HOST), host=[HOST]),
    good("8.3.1-path-with-query", replaced(":path", "/a/b?c=d&e=%20;f?"), target="/a/b?c=d&e=%20;f?"),
    good("8.3.1-options-asterisk", request("*", "OPTIONS"), target="*", method="OPTIONS"),
    good("8.3.1-options-path", request("/x", "OPTIONS"), target="/x"),
    good("8.3.1-any-method", request("/", "M-SEARCH"), method="M-SEARCH"),
    good("8.3.1-order-is-free", list(reversed(request()))),
])

# ---- 8.1, 8.2.2, 8.3.2, 8.6: what the gateway sends. The Audit holds most of it.


def no_hop_fields(answer):
    names = [name for name, _ in [pair[:2] for pair in answer.fields]]
    for name in (b"connection", b"keep-alive", b"proxy-connection", b"x-hop", b"upgrade", b"te", b"transfer-encoding"):
        assert name not in names, answer
    assert answer.get("x-upper-case") == "Kept" and answer.body == b"abc"


def head_of_five(answer):
    assert answer.body == b"" and answer.get("content-length") == "5"


def trailer_fields(answer):
    assert answer.body == b"abc" and (b"x-t", b"v") in [pair[:2] for pair in answer.trailers], (answer, answer.trailers)


def hints(answer):
    assert [dict(p[:2] for p in one)[b":status"] for one in answer.interim] == [b"103"] and answer.body == b"last"


def as_head(client):
    client.head_request(1, request(method="HEAD"))


ANSWERS = table("rfc9113", [
    ("8.1-interim-then-final", get(1, "/interim"), status(200, then=hints)),
    ("8.1-trailers-of-a-response", get(1, "/trailers"), status(200, then=trailer_fields)),
    ("8.1-early-answer-to-an-open-request", post(authority="nowhere.example") + f.data(1, b"abc", 0),
     lambda client: client.response(1).status in (404, 421) and client.alive(unharmed=False)),
    ("8.1-get", get(), status(200)),
    ("8.1-post", f.headers(1, request(method="POST"), END_HEADERS) + f.data(1, b"test"), status(200)),
    ("8.1.1-head", as_head, status(200, then=head_of_five)),
    ("8.1.1-204", get(1, "/status/204"), status(204)),
    ("8.1.1-304", get(1, "/status/304"), status(304)),
    ("8.2-names-become-lower-case", get(1, "/hop"), status(200, then=no_hop_fields)),
    ("8.2.2-connection-specific-fields-are-removed", get(1, "/hop"), status(200, then=no_hop_fields)),
    ("8.3.2-status-in-every-response", get(1, "/interim") + get(3, "/status/404"), status(404, stream=3)),
    ("8.6-no-101", get(1, "/101"), status(502)),
    ("8.7-errors-before-a-server-is-chosen-are-answers", get(authority="nowhere.example"), status(404, 421)),
])

# ---- 8.5: CONNECT, and RFC 8441

WEBSOCKET = request("/ws", "CONNECT", protocol="websocket", extra=[("sec-websocket-version", "13")])
NO_TUNNEL = either(status(405, 501, 400), stream_error(Code.PROTOCOL_ERROR, Code.REFUSED_STREAM, Code.HTTP_1_1_REQUIRED,
                                                       Code.CONNECT_ERROR))


def tunnel(client):
    client.send(f.headers(1, WEBSOCKET, END_HEADERS))
    head = client.wait_kind(f.HEADERS, 1)
    assert dict(pair[:2] for pair in head.fields)[b":status"] == b"200", head
    client.send(f.data(1, b"to and fro", 0))
    while b"".join(d.data for d in client.of(f.DATA, 1)) != b"to and fro":
        client.frame()


CONNECT = table("rfc9113", [
    bad("8.5-connect-with-scheme", [(":method", "CONNECT"), (":scheme", "https"), (":authority", "test.example:443")]),
    bad("8.5-connect-with-path", [(":method", "CONNECT"), (":authority", "test.example:443"), (":path", "/")]),
    bad("8.5-connect-with-both", request(method="CONNECT")),
    bad("8.5-connect-without-authority", [(":method", "CONNECT")]),
    ("8.5-plain-connect", f.headers(1, [(":method", "CONNECT"), (":authority", "test.example:443")], END_HEADERS), NO_TUNNEL),
    ("8.5-headers-in-a-tunnel", [tunnel, f.headers(1, [("x-t", "v")], END_HEADERS)],
     stream_error(Code.PROTOCOL_ERROR, Code.INTERNAL_ERROR, Code.CANCEL, Code.STREAM_CLOSED)),
    ("8.5-trailers-in-a-tunnel", [tunnel, f.headers(1, [("x-t", "v")])],
     stream_error(Code.PROTOCOL_ERROR, Code.INTERNAL_ERROR, Code.CANCEL, Code.STREAM_CLOSED)),
    ("8.5-stream-management-in-a-tunnel", [tunnel, f.window(1, 1), f.priority(1), f.data(1, b"", 0)], alive),
]) + table("rfc8441", [
    bad("4-protocol-without-connect", request(protocol="websocket")),
    bad("4-connect-without-path", request(path=None, method="CONNECT", protocol="websocket")),
    bad("4-connect-without-scheme", request(method="CONNECT", scheme=None, protocol="websocket")),
    bad("4-connect-without-authority", request(method="CONNECT", authority=None, protocol="websocket")),
    bad("4-protocol-twice", WEBSOCKET[:5] + [(":protocol", "websocket")]),
    bad("4-protocol-empty", request(method="CONNECT", protocol="")),
    bad("4-protocol-no-token", request(method="CONNECT", protocol="websocket\r\nX-A: b")),
    ("4-tunnel", tunnel, alive),
])

# ---- 10.5.1: limits

LIST_OF_40_KB = request(extra=[(f"x-{n}", "a" * 1000) for n in range(40)])
FIELDS_300 = request(extra=[("x-a", "b")] * 300)
BOMB = f.block(request()) + f.literal("x-a", "a" * 4000, f.INDEXED) + f.indexed(62) * 2000
CALM = connection_error(Code.ENHANCE_YOUR_CALM, Code.COMPRESSION_ERROR)


def endless(client):
    client.send(f.headers(1, request(), END_STREAM))
    for _ in range(400):
        client.send(f.continuation(1, [("x-a", "a" * 8000)], 0))


LIMITS = table("rfc9113", [
    ("10.5.1-list-above-the-limit", f.split(LIST_OF_40_KB, [16000, 16000]), status(431)),
    ("10.5.1-too-many-fields", f.headers(1, FIELDS_300), status(431)),
    ("10.5.1-list-above-the-limit-keeps-the-connection", [f.split(LIST_OF_40_KB, [16000, 16000]), answered(1), get(3)],
     status(200, stream=3)),
    ("10.5.1-hpack-bomb", f.headers(1, BOMB), either(CALM, status(431))),
    ("10.5.1-endless-continuation", endless, CALM),
    ("10.5.1-list-within-the-limit", f.split(request(extra=[(f"x-{n}", "a" * 1000) for n in range(28)]), [16000]), status(200)),
])


@parametrized(FRAMING + FIELDS + CONTROL + ANSWERS + CONNECT + LIMITS)
def test_case(target, case):
    run(target, case)
