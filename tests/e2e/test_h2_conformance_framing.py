"""RFC 9113 sections 3 (starting), 4 (frames), 5.4 and 5.5 (errors, extensions), 7 (error codes), towards clients."""
import pytest

from harness import h2_frames as f
from harness.certs import client_context
from harness.client import Client as Http1
from harness.h2_cases import (HELD, OPEN, alive, alive_or_ended, answered, connection_error, covers, fence, get, gone,
                              malformed, parametrized, post, run, server_saw, status, stream_error, table,
                              target_fixture)  # noqa: F401
from harness.h2_frames import HOST, PREFACE, WHOLE, Code

PROTOCOL = connection_error(Code.PROTOCOL_ERROR)
SIZE = connection_error(Code.FRAME_SIZE_ERROR)
COMPRESSION = connection_error(Code.COMPRESSION_ERROR)
BY_HAND = {"start": False}
START = PREFACE + f.settings()
LONG = f.request(extra=[("x-long", "a" * 20000)])


def bytewise(data):
    def step(client):
        for n in range(len(data)):
            client.send(data[n:n + 1])
    return step


def first_is_settings(client):
    client.auto_ack = False
    first = client.frame()
    assert first.kind == f.SETTINGS and not first.has(f.ACK), first
    client.send(f.SETTINGS_ACK)
    client.alive()


def acknowledged(times):
    def check(client):
        client.alive()
        assert len([s for s in client.of(f.SETTINGS) if s.has(f.ACK)]) == times, client.seen
    return check


def invalid_preface(client):
    """GOAWAY may be left out; if it is there it says PROTOCOL_ERROR. An HTTP/1.1 answer is one way to say goodbye too."""
    try:
        client.to_the_end()
    except AssertionError as error:
        assert "this is not a frame: b'HTTP/1.1 " in str(error), error
    assert all(g.code in (Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR) for g in client.of(f.GOAWAY)), client.seen


STARTING = table("rfc9113", [
    ("3.4-server-settings-come-first", PREFACE + f.settings(), first_is_settings, BY_HAND),
    ("3.4-server-preface-before-ours-ends", [PREFACE[:12], PREFACE[12:] + f.settings()], first_is_settings, BY_HAND),
    ("3.4-settings-of-the-preface-are-acknowledged", START, acknowledged(1), BY_HAND),
    ("3.4-requests-right-after-the-preface", START + get(), status(200), BY_HAND),
    ("3.4-preface-byte-by-byte", [bytewise(START), get()], status(200), BY_HAND),
    ("3.4-no-preface", b"INVALID CONNECTION PREFACE\r\n\r\n", invalid_preface, BY_HAND),
    ("3.4-preface-with-a-wrong-end", PREFACE[:-1] + b"x" + f.settings(), invalid_preface, BY_HAND),
    ("3.4-preface-of-http-1", b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n", invalid_preface, BY_HAND),
    ("3.4-frames-without-preface", f.settings() + get(), invalid_preface, BY_HAND),
    ("3.4-first-frame-headers", PREFACE + get(), invalid_preface, BY_HAND),
    ("3.4-first-frame-ping", PREFACE + f.ping(), invalid_preface, BY_HAND),
    ("3.4-first-frame-window-update", PREFACE + f.window(0, 1), invalid_preface, BY_HAND),
    ("3.4-first-frame-settings-ack", PREFACE + f.SETTINGS_ACK, invalid_preface, BY_HAND),
    ("3.4-first-frame-unknown", PREFACE + f.frame(f.UNKNOWN), invalid_preface, BY_HAND),
    ("3.4-preface-twice", START + PREFACE, connection_error(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR), BY_HAND),
])


def clean(client):
    """The Audit looks at every frame: this only makes the gateway send each type."""
    for stream, path in enumerate(("/", "/bytes/40000", "/chunks/9000", "/trailers", "/interim", "/hop", "/empty", "/status/204")):
        client.get(2 * stream + 1, path)
    client.send(f.ping(b"12345678"), f.settings())
    client.alive()


# Flags that mean nothing for the type, all of them at once.
UNUSED = table("rfc9113", [
    ("4.1-unused-flags-data", [post(), f.data(1, b"abc", 0xf7 | f.END_STREAM)], status(200, then=server_saw(length=3))),
    ("4.1-unused-flags-headers", f.headers(1, flags=0xd2 | WHOLE), status(200)),
    ("4.1-unused-flags-continuation", f.headers(1, f.request()[:2], f.END_STREAM)
     + f.continuation(1, f.request()[2:], 0xfb | f.END_HEADERS), status(200)),
    ("4.1-unused-flags-settings", f.settings(flags=0xfe), acknowledged(2)),
    ("4.1-unused-flags-ping", f.ping(b"12345678", 0xfe), lambda client: client.wait_kind(f.PING, 0, f.ACK) and client.alive()),
    ("4.1-unused-flags-window-update", HELD + f.window(1, 1, flags=0xff) + f.window(0, 1, flags=0xff), alive),
    ("4.1-unused-flags-priority", f.priority(1, flags=0xff) + get(), status(200)),
    ("4.1-unused-flags-rst-stream", HELD + f.rst(1, flags=0xff) + get(3), status(200, stream=3)),
    ("4.1-unused-flags-goaway", HELD + f.goaway(flags=0xff), alive),
])

RESERVED = table("rfc9113", [
    ("4.1-reserved-bit-headers", f.headers(1, reserved=True), status(200)),
    ("4.1-reserved-bit-data", [post(), f.data(1, b"abc", reserved=True)], status(200, then=server_saw(length=3))),
    ("4.1-reserved-bit-ping", f.ping(b"12345678", reserved=True), lambda client: client.wait_kind(f.PING, 0, f.ACK)),
    ("4.1-reserved-bit-settings", f.settings(reserved=True), acknowledged(2)),
    ("4.1-reserved-bit-window-update", f.window(0, 1, reserved=True) + get(), status(200)),
    ("4.1-reserved-bit-of-the-increment", f.window(0, 1 | 1 << 31) + get(), status(200)),
    ("4.1-reserved-bit-priority", f.priority(1, reserved=True) + get(), status(200)),
    ("4.1-reserved-bit-rst-stream", HELD + f.rst(1, reserved=True) + get(3), status(200, stream=3)),
])


def frames_up_to(limit):
    def check(client):
        client.send(f.window(0, 1 << 20), f.window(1, 1 << 20))
        answer = client.response(1)
        assert len(answer.body) == 300_000
        assert max(len(d.payload) for d in client.of(f.DATA)) <= limit
    return check


FRAMES = table("rfc9113", [
    ("4.1-unknown-type-of-the-connection", f.frame(f.UNKNOWN, 0xff, 0, b"12345678"), alive),
    ("4.1-unknown-type-of-an-open-stream", OPEN + f.frame(f.UNKNOWN, 0xff, 1, b"x" * 16384), alive),
    ("4.1-unknown-type-of-an-idle-stream", f.frame(f.UNKNOWN, 0, 7) + get(), status(200)),
    ("4.1-unknown-type-of-a-closed-stream", [get(), answered(), f.frame(f.UNKNOWN, 0, 1, b"x")], alive),
    ("4.1-sends-clean-frames", clean, alive),
    ("4.1-sends-no-frame-above-16384", get(1, "/bytes/300000"), frames_up_to(16384)),
    ("4.2-sends-no-frame-above-our-maximum", get(1, "/bytes/300000"), frames_up_to(20000), {"values": [(f.MAX_FRAME_SIZE, 20000)]}),
    ("4.2-data-of-16384", [post(), f.data(1, b"a" * 16384)], status(200, then=server_saw(length=16384))),
    ("4.2-headers-of-16384", f.headers(1, f.request(extra=[("x-long", "a" * (16384 - len(f.block(f.request())) - 11))])),
     status(200)),
    ("4.2-data-of-16385", OPEN + f.data(1, b"a" * 16385), stream_error(Code.FRAME_SIZE_ERROR)),
    ("4.2-headers-above-the-maximum", f.headers(1, LONG), SIZE),
    ("4.2-continuation-above-the-maximum", f.split(LONG, [10]), SIZE),
    ("4.2-settings-above-the-maximum", f.settings(*[(0xff00, 1)] * 2731), SIZE),
    ("4.2-goaway-above-the-maximum", f.goaway(debug=b"a" * 16384), SIZE),
    ("4.2-unknown-type-above-the-maximum", f.frame(f.UNKNOWN, 0, 0, b"a" * 16385), SIZE),
    ("4.2-length-of-24-bits", f.frame(f.DATA, 0, 0, b"a" * 100, length=(1 << 24) - 1), SIZE),
    ("4.2-headers-without-pad-length", f.frame(f.HEADERS, f.PADDED | WHOLE, 1),
     connection_error(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
    ("4.2-headers-with-half-a-dependency", f.frame(f.HEADERS, f.WITH_PRIORITY | WHOLE, 1, b"\0\0\0\0"), SIZE),
    ("4.2-data-without-pad-length", OPEN + f.frame(f.DATA, f.PADDED, 1),
     stream_error(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR)),
])

# HPACK: the first entry of the dynamic table is 62.
ADDS = f.block([("x-kept", "v")], f.INDEXED)
USES = f.headers(3, f.block(f.request()) + f.indexed(62))
BAD_BLOCK = f.block(f.request()) + f.indexed(70)


def first_size_update(after, expected):
    """The next response's block begins with this size update."""
    def check(client):
        for values in after:
            client.send(f.settings(*values))
        client.alive()
        client.get(3)
        block = client.of(f.HEADERS, 3)[0].block
        assert block.startswith(expected), f"the block starts with {block[:4].hex()}"
    return check


def no_entries_left(client):
    client.get(1, "/hop")
    client.get(3, "/hop")
    assert all(not any(octet & 0xc0 == 0x40 for octet in h.block[:1]) for h in client.of(f.HEADERS)), client.seen


BLOCKS = table("rfc9113", [
    ("4.3-block-in-many-pieces", f.split(f.request(), [0, 1, 2, 0, 3]), status(200)),
    ("4.3-ping-inside-a-block", f.headers(1, flags=f.END_STREAM) + f.ping(), PROTOCOL),
    ("4.3-other-stream-inside-a-block", f.headers(1, flags=f.END_STREAM) + get(3), PROTOCOL),
    ("4.3-settings-inside-a-block", f.headers(1, flags=f.END_STREAM) + f.settings(), PROTOCOL),
    ("4.3-decoding-error", f.headers(1, BAD_BLOCK), COMPRESSION),
    ("4.3-block-cut-in-a-string", f.headers(1, f.block(f.request())[:-1]), COMPRESSION),
    ("4.3-block-cut-in-continuation", f.split(f.block(f.request())[:-1], [9]), COMPRESSION),
    ("4.3-decoding-error-in-trailers", [post(), f.data(1, b"abc", 0), f.headers(1, f.indexed(70))], COMPRESSION),
    ("4.3-decoding-error-on-a-reset-stream", [HELD, f.rst(1), f.headers(1, f.indexed(70))],
     connection_error(Code.COMPRESSION_ERROR, Code.STREAM_CLOSED)),
    ("4.3-a-malformed-request-keeps-the-table", f.headers(1, f.block(f.request(extra=[("X-Upper", "1")])) + ADDS) + USES,
     status(200, stream=3, then=server_saw(x_kept=["v"]), unharmed=False)),
    ("4.3.1-table-size-0-is-honoured", [], no_entries_left, {"values": [(f.HEADER_TABLE_SIZE, 0)]}),
    ("4.3.1-reduction-is-declared-first", [get(), answered()], first_size_update([[(f.HEADER_TABLE_SIZE, 0)]], b"\x20")),
    ("4.3.1-table-of-4096-at-the-start", f.headers(1, f.block(f.request()) + f.literal("x-kept", "v" * 4000, f.INDEXED))
     + USES, status(200, stream=3, then=server_saw(x_kept=["v" * 4000]))),
    ("4.3.1-our-table-may-be-any-size", [f.settings((f.HEADER_TABLE_SIZE, 2 ** 32 - 1)), get()], status(200)),
])


def last_stream(client):
    client.failed(Code.FRAME_SIZE_ERROR)
    assert client.of(f.GOAWAY)[-1].last == 3, client.seen


def unanswered_reset(client):
    client.alive()
    assert not client.of(f.RST_STREAM), client.seen


ERRORS = table("rfc9113", [
    ("5.4.1-goaway-names-the-last-stream-and-the-connection-ends", [get(), answered(), get(3, "/hold"), fence,
                                                                   f.ping(b"short")], last_stream),
    ("5.4.1-nothing-after-a-connection-error", f.ping(b"short") + f.ping(b"12345678") + get(), lambda client: (
        client.failed(Code.FRAME_SIZE_ERROR), not client.of(f.PING) or pytest.fail(str(client.seen)))),
    ("5.4.2-no-reset-for-a-reset", HELD + f.rst(1), unanswered_reset),
    ("5.4.2-no-reset-for-a-reset-of-a-closed-stream", [get(), answered(), f.rst(1), f.rst(1)], unanswered_reset),
    ("5.4.2-frames-after-its-reset-are-taken",
     [post(extra=[("X-Upper", "4.2-taken")]), fence, f.data(1, b"x" * 1000, 0), f.window(1, 10), f.rst(1)],
     malformed("4.2-taken")),
    ("5.5-unknown-setting", f.settings((0xfff0, 7), (0, 1)), acknowledged(2)),
    ("5.5-unknown-frame-inside-a-block", f.headers(1, flags=f.END_STREAM) + f.frame(f.UNKNOWN, 0, 1), PROTOCOL),
    ("5.5-unknown-frame-between-continuations", f.headers(1, f.request()[:1], f.END_STREAM)
     + f.continuation(1, f.request()[1:2], 0) + f.frame(f.UNKNOWN), PROTOCOL),
    ("7-unknown-code-in-rst-stream", HELD + f.rst(1, 0xfedcba98) + get(3), status(200, stream=3)),
    ("7-unknown-code-in-goaway", f.goaway(0, 0xfedcba98), alive_or_ended),
])


@parametrized(STARTING + UNUSED + RESERVED + FRAMES + BLOCKS + ERRORS)
def test_case(target, case):
    run(target, case)


def protocol_of(target, alpn):
    context = client_context(target.ca.cert, alpn=alpn)
    with Http1(target.gw.ports["https"], tls=context, name=HOST) as client:
        return client.sock.selected_alpn_protocol()


ALPN = {
    "rfc9113-3.2-alpn-h2": (["h2"], "h2"),
    "rfc9113-3.2-alpn-h2-and-http-1": (["http/1.1", "h2"], "h2"),
    "rfc9113-3.2-alpn-http-1": (["http/1.1"], "http/1.1"),
    "rfc9113-3.2-alpn-h2c-is-never-chosen": (["h2c", "http/1.1"], "http/1.1"),
}


@covers(*ALPN)
@pytest.mark.parametrize("name", ALPN)
def test_alpn(target, name):
    offered, chosen = ALPN[name]
    assert protocol_of(target, offered) == chosen


@covers("rfc9113-3.2-alpn-h2c-alone")
def test_alpn_h2c_alone(target):
    try:
        assert protocol_of(target, ["h2c"]) is None
    except OSError:  # no_application_protocol
        pass


@covers("rfc9113-3.3-preface-in-tls-without-alpn")
def test_no_alpn_no_http2(target):
    """Over TLS only ALPN chooses the protocol."""
    for alpn in (None, ["http/1.1"]):
        with Http1(target.gw.ports["https"], tls=client_context(target.ca.cert, alpn=alpn), name=HOST) as client:
            client.send(START + get())
            try:
                said = client.rest()
            except OSError:
                said = b""
            assert b"served" not in said and b'"method"' not in said, said


@covers("rfc9113-3.3-prior-knowledge")
def test_cleartext(target):
    with target.cleartext() as client:
        assert client.get(1, authority="plain.example").status == 200
        client.alive()


@covers("rfc9113-3.3-prior-knowledge-in-pieces")
def test_cleartext_preface_in_pieces(target):
    for cut in range(1, len(PREFACE) + 9):
        with target.cleartext(start=False) as client:
            client.send(START[:cut])
            client.send(START[cut:] + f.headers(1, f.request(scheme="http", authority="plain.example")))
            assert client.response(1).status == 200


@covers("rfc9113-3.3-cleartext-bad-preface")
def test_cleartext_bad_preface(target):
    for data in (PREFACE[:-1] + b"x" + f.settings(), PREFACE + get(), PREFACE + f.ping()):
        with target.cleartext(start=False) as client:
            client.send(data)
            invalid_preface(client)


@covers("rfc9113-3.1-no-upgrade")
def test_upgrade_to_h2c_is_not_a_thing(target):
    with Http1(target.gw.ports["http"]) as client:
        reply = client.request(host="plain.example", headers={
            "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"})
        assert reply.status == 200 and not reply.interim
        assert "http2-settings" not in reply.text.lower(), reply.text


@covers("rfc9113-3.3-off")
def test_cleartext_only_where_http2_is_on(gateway, http_server):
    """The key that turns it off."""
    from harness.h2_conn import Client
    gw = gateway({"test": {"mode": "http", "hosts": [HOST], "servers": [http_server().address]}},
                 listeners={"http": {"http2": "off"}})
    with Client(gw.ports["http"], start=False) as client:
        client.send(START + get())
        gone(client)
        assert not client.of(f.HEADERS), client.seen
