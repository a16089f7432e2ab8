"""RFC 9113 sections 5.2 and 6.9 (flow control), 6.5 (SETTINGS), 6.7 (PING), 6.8 (GOAWAY), towards clients."""
import signal

from harness import h2_frames as f
from harness.h2_cases import (HELD, OPEN, Target, alive, alive_or_ended, answered, body, connection_error, covers,
                              fence, get, parametrized, pattern, post, run, server_saw, status, stream_error, table,
                              target_fixture)  # noqa: F401
from harness.h2_frames import MAX_WINDOW, Code
from harness.wait import until

PROTOCOL = connection_error(Code.PROTOCOL_ERROR)
SIZE = connection_error(Code.FRAME_SIZE_ERROR)
FLOW = connection_error(Code.FLOW_CONTROL_ERROR)


def acknowledged(times):
    def check(client):
        client.alive()
        assert len([s for s in client.of(f.SETTINGS) if s.has(f.ACK)]) == times, client.seen
    return check


def gateways_own(client):
    """What it says of itself: RFC 9113 section 6.5.2 bounds the values, the rest is this gateway's choice."""
    their = client.audit.their
    assert their.get(f.ENABLE_PUSH, 0) == 0
    assert their[f.MAX_CONCURRENT_STREAMS] == 100
    assert their[f.INITIAL_WINDOW_SIZE] == 65536
    assert their[f.MAX_HEADER_LIST_SIZE] == 32768
    assert their[f.ENABLE_CONNECT_PROTOCOL] == 1
    assert their[f.NO_RFC7540_PRIORITIES] == 1
    assert their.get(f.HEADER_TABLE_SIZE, 4096) >= 4096, "a client need not know that it must shrink its table"
    client.alive()
    assert sum(w.increment for w in client.of(f.WINDOW_UPDATE, 0)) == (1 << 20) - 65535


def setting(key, value):
    return f.settings((key, value)) + get()


SETTINGS = table("rfc9113", [
    ("6.5-ack-with-payload", f.settings((f.ENABLE_PUSH, 0), flags=f.ACK), SIZE),
    ("6.5-stream-not-0", f.settings((f.ENABLE_PUSH, 0), stream=1), PROTOCOL),
    ("6.5-stream-not-0-open", OPEN + f.settings(stream=1), PROTOCOL),
    ("6.5-ack-on-a-stream", f.frame(f.SETTINGS, f.ACK, 1), PROTOCOL),
    ("6.5-length-3", f.frame(f.SETTINGS, 0, 0, b"\0\2\0"), SIZE),
    ("6.5-length-7", f.frame(f.SETTINGS, 0, 0, b"\0\2\0\0\0\0\0"), SIZE),
    ("6.5-empty", f.settings() + get(), status(200)),
    ("6.5-at-any-time", [OPEN, f.settings((f.INITIAL_WINDOW_SIZE, 70000)), fence], acknowledged(2)),
    ("6.5.2-its-own-values", b"", gateways_own),
    ("6.5.2-enable-push-2", f.settings((f.ENABLE_PUSH, 2)), PROTOCOL),
    ("6.5.2-enable-push-large", f.settings((f.ENABLE_PUSH, 2 ** 32 - 1)), PROTOCOL),
    ("6.5.2-enable-push-0", setting(f.ENABLE_PUSH, 0), status(200)),
    ("6.5.2-enable-push-1", setting(f.ENABLE_PUSH, 1), status(200)),
    ("6.5.2-initial-window-too-large", f.settings((f.INITIAL_WINDOW_SIZE, 2 ** 31)), FLOW),
    ("6.5.2-initial-window-all-bits", f.settings((f.INITIAL_WINDOW_SIZE, 2 ** 32 - 1)), FLOW),
    ("6.5.2-initial-window-largest", setting(f.INITIAL_WINDOW_SIZE, MAX_WINDOW), status(200)),
    ("6.5.2-max-frame-size-below-the-least", f.settings((f.MAX_FRAME_SIZE, 16383)), PROTOCOL),
    ("6.5.2-max-frame-size-0", f.settings((f.MAX_FRAME_SIZE, 0)), PROTOCOL),
    ("6.5.2-max-frame-size-too-large", f.settings((f.MAX_FRAME_SIZE, 1 << 24)), PROTOCOL),
    ("6.5.2-max-frame-size-least", setting(f.MAX_FRAME_SIZE, 16384), status(200)),
    ("6.5.2-max-frame-size-largest", setting(f.MAX_FRAME_SIZE, (1 << 24) - 1), status(200)),
    ("6.5.2-max-concurrent-streams-0", setting(f.MAX_CONCURRENT_STREAMS, 0), status(200)),
    ("6.5.2-header-table-size-largest", setting(f.HEADER_TABLE_SIZE, 2 ** 32 - 1), status(200)),
    ("6.5.2-max-header-list-size-largest", setting(f.MAX_HEADER_LIST_SIZE, 2 ** 32 - 1), status(200)),
    ("6.5.2-unknown-identifier", f.settings((0xffff, 1), (0x4242, 2 ** 32 - 1), (0, 0)) + get(), status(200)),
    ("6.5.3-each-is-acknowledged", f.settings((f.ENABLE_PUSH, 0)) * 4, acknowledged(5)),
    ("6.5.3-last-value-counts", f.settings((f.INITIAL_WINDOW_SIZE, 100), (f.INITIAL_WINDOW_SIZE, 1)) + get(1, "/bytes/1000"),
     lambda client: exactly(client, 1)),
    ("6.5.3-in-order-with-errors-after-it", f.settings((f.INITIAL_WINDOW_SIZE, 2 ** 31), (f.INITIAL_WINDOW_SIZE, 1)), FLOW),
    ("6.5.3-applied-before-what-follows", f.settings((f.INITIAL_WINDOW_SIZE, 0)) + get(1, "/bytes/1000"),
     lambda client: exactly(client, 0)),
])

OTHERS = table("rfc8441", [
    ("3-enable-connect-protocol-2", f.settings((f.ENABLE_CONNECT_PROTOCOL, 2)), PROTOCOL),
]) + table("rfc9218", [
    ("2.1-no-rfc7540-priorities-2", f.settings((f.NO_RFC7540_PRIORITIES, 2)), PROTOCOL),
])


def ping_answer(payload, times=1):
    def check(client):
        client.alive()
        acks = [p.payload for p in client.of(f.PING) if p.has(f.ACK) and p.payload == payload]
        assert len(acks) == times, client.seen
        assert not [p for p in client.of(f.PING) if not p.has(f.ACK)]
    return check


PINGS = table("rfc9113", [
    ("6.7-answered", f.ping(b"\0\1\2\3\xff\xfe\xfd\xfc"), ping_answer(b"\0\1\2\3\xff\xfe\xfd\xfc")),
    ("6.7-each-is-answered", f.ping(b"12345678") * 5, ping_answer(b"12345678", 5)),
    ("6.7-ack-is-not-answered", f.ping(b"unasked!", f.ACK), ping_answer(b"unasked!", 0)),
    ("6.7-stream-not-0", f.ping(stream=1), PROTOCOL),
    ("6.7-stream-not-0-open", OPEN + f.ping(stream=1), PROTOCOL),
    ("6.7-ack-on-a-stream", f.ping(flags=f.ACK, stream=1), PROTOCOL),
    ("6.7-length-6", f.ping(b"123456"), SIZE),
    ("6.7-length-9", f.ping(b"123456789"), SIZE),
    ("6.7-length-0", f.ping(b""), SIZE),
    ("6.7-ack-of-length-7", f.ping(b"1234567", f.ACK), SIZE),
])


def exactly(client, count, stream=1):
    """So much of the response has come and, for want of a window, not more."""
    while sum(len(d.payload) for d in client.of(f.DATA, stream)) < count:
        client.frame()
    if not client.of(f.HEADERS, stream):
        client.wait_kind(f.HEADERS, stream)
    client.alive()
    client.fence()
    content = b"".join(d.data for d in client.of(f.DATA, stream))
    assert len(content) == count, f"{len(content)} octets, not {count}"
    assert content == pattern(count)


def so_far(count, stream=1):
    return lambda client: exactly(client, count, stream)


def whole(count, stream=1):
    def check(client):
        assert client.response(stream).body == pattern(count)
        client.alive()
    return check


WINDOW_0 = {"values": [(f.INITIAL_WINDOW_SIZE, 0)]}
BIG = get(1, "/bytes/200000")
WIDE = f.window(0, 1 << 20)


def total(client, *streams):
    return sum(len(d.payload) for stream in streams for d in client.of(f.DATA, stream))


def connection_is_full(client):
    until_total = 65535
    while total(client, 1, 3, 5) < until_total:
        client.frame()
    for stream in (1, 3, 5):
        if not client.of(f.HEADERS, stream):
            client.wait_kind(f.HEADERS, stream)
    client.fence()
    client.fence()
    assert total(client, 1, 3, 5) == until_total


SENDING = table("rfc9113", [
    ("6.9.1-stream-window-0", get(1, "/bytes/1000"), so_far(0), WINDOW_0),
    ("6.9.1-stream-window-1", get(1, "/bytes/1000"), so_far(1), {"values": [(f.INITIAL_WINDOW_SIZE, 1)]}),
    ("6.9.1-window-opens-by-one", [get(1, "/bytes/3"), so_far(0), f.window(1, 1), so_far(1), f.window(1, 1), so_far(2),
                                   f.window(1, 1)], whole(3), WINDOW_0),
    ("6.9.1-default-window", BIG + WIDE, so_far(65535)),
    ("6.9.1-connection-window", get(1, "/bytes/60000") + get(3, "/bytes/60000") + get(5, "/bytes/60000"), connection_is_full),
    ("6.9.1-connection-window-opens", [get(1, "/bytes/60000") + get(3, "/bytes/60000") + get(5, "/bytes/60000"),
                                       connection_is_full, WIDE, answered(1), answered(3)], whole(60000, 5)),
    ("6.9.1-connection-window-alone-is-not-enough", [get(1, "/bytes/1000"), WIDE], so_far(0), WINDOW_0),
    # It may come without a window too (nghttp2 waits for one).
    ("6.9.1-empty-end", get(1, "/empty") + f.window(1, 1), whole(0), WINDOW_0),
    ("6.9.1-heads-need-no-window", [get(1, "/bytes/9"), get(3, "/bytes/8"), so_far(0)], so_far(0, 3), WINDOW_0),
    ("6.9.1-trailers-wait-for-the-body", [get(1, "/trailers"), lambda c: c.wait_kind(f.HEADERS, 1), fence, f.window(1, 3)],
     lambda c: c.response(1).trailers or c.alive(), WINDOW_0),
    ("6.9.2-raised-for-open-streams", [get(1, "/bytes/1000"), so_far(0), f.settings((f.INITIAL_WINDOW_SIZE, 1))], so_far(1),
     WINDOW_0),
    ("6.9.2-difference-counts", [get(1, "/bytes/1000"), so_far(100), f.settings((f.INITIAL_WINDOW_SIZE, 150))], so_far(150),
     {"values": [(f.INITIAL_WINDOW_SIZE, 100)]}),
    ("6.9.2-negative-window", [BIG + WIDE, so_far(65535), f.settings((f.INITIAL_WINDOW_SIZE, 32768)), fence,
                               f.window(1, 32767), so_far(65535), f.window(1, 1)], so_far(65536)),
    ("6.9.2-negative-window-of-a-new-setting", [get(1, "/bytes/1000"), so_far(10), f.settings((f.INITIAL_WINDOW_SIZE, 0)), fence,
                                                f.window(1, 10), so_far(10), f.settings((f.INITIAL_WINDOW_SIZE, 5))],
     so_far(15), {"values": [(f.INITIAL_WINDOW_SIZE, 10)]}),
    ("6.9.2-settings-leave-the-connections-window", [f.settings((f.INITIAL_WINDOW_SIZE, 1 << 20)) + BIG], so_far(65535)),
    ("6.9.2-before-our-settings-the-default-counts", f.PREFACE + f.settings((f.INITIAL_WINDOW_SIZE, 10)) + get(1, "/bytes/1000"),
     so_far(10), {"start": False}),
    ("5.2.2-reads-on-while-it-cannot-send", [get(1, "/bytes/100000"), so_far(0), get(3, "/bytes/5"), fence, f.window(3, 5)],
     whole(5, 3), WINDOW_0),
])

UPDATES = table("rfc9113", [
    ("6.9-increment-0-connection", f.window(0, 0), PROTOCOL),
    ("6.9-increment-0-stream", HELD + f.window(1, 0), stream_error(Code.PROTOCOL_ERROR)),
    ("6.9-increment-0-open-stream", OPEN + f.window(1, 0), stream_error(Code.PROTOCOL_ERROR)),
    ("6.9-length-3", f.frame(f.WINDOW_UPDATE, 0, 0, b"\0\0\1"), SIZE),
    ("6.9-length-5", f.frame(f.WINDOW_UPDATE, 0, 0, b"\0\0\0\0\1"), SIZE),
    ("6.9-length-3-stream", HELD + f.frame(f.WINDOW_UPDATE, 0, 1, b"\0\0\1"), SIZE),
    ("6.9-half-closed", HELD + f.window(1, 10) + get(3), status(200, stream=3)),
    ("6.9-closed", [get(), answered(), f.window(1, 10), f.window(1, 10)], alive),
    ("6.9.1-stream-above-the-maximum", HELD + f.window(1, MAX_WINDOW), stream_error(Code.FLOW_CONTROL_ERROR)),
    ("6.9.1-stream-above-the-maximum-in-steps", HELD + f.window(1, MAX_WINDOW - 65535) + f.window(1, 1),
     stream_error(Code.FLOW_CONTROL_ERROR)),
    ("6.9.1-stream-of-the-maximum", HELD + f.window(1, MAX_WINDOW - 65535), alive),
    ("6.9.1-connection-above-the-maximum", f.window(0, MAX_WINDOW), FLOW),
    ("6.9.1-connection-above-the-maximum-in-steps", f.window(0, MAX_WINDOW - 65535) + f.window(0, 1), FLOW),
    ("6.9.1-connection-of-the-maximum", f.window(0, MAX_WINDOW - 65535), alive),
    ("6.9.2-settings-push-a-window-above-the-maximum", HELD + f.window(1, MAX_WINDOW - 65535)
     + f.settings((f.INITIAL_WINDOW_SIZE, 65536)), FLOW),
])



def legal_flood(client):
    """1.2 MB on streams that the gateway has reset: it must give the connection's window back."""
    for stream in range(1, 41, 2):
        client.send(f.headers(stream, f.request(method="POST", extra=[("X-Upper", "1")]), f.END_HEADERS))
        client.send_body(stream, b"a" * 60000, end=False)
    client.send(post(101))
    client.send_body(101, b"abc")


def stuck_and_full(stream):
    """What is sent to stuck.example stays in the gateway, which gives back no more window than it can hold."""
    def step(client):
        client.send(post(stream, authority="stuck.example"))
        client.fill(stream)
    return step


def fill_connection(client):
    """Streams to a server that takes nothing, until the connection's window is spent and stays so."""
    for stream in range(1, 40, 2):
        client.send(post(stream, authority="stuck.example")).fill(stream, 2 << 20)
        if client.audit.their[f.INITIAL_WINDOW_SIZE] > client.sent_on(stream):
            client.send(f.data(stream, b"a", 0))
            return
    raise AssertionError("20 MB wait for a server, and the connection's window is still open")


RECEIVING = table("rfc9113", [
    ("6.9.1-data-above-the-stream-window", [stuck_and_full(1), f.data(1, b"a", 0)], stream_error(Code.FLOW_CONTROL_ERROR)),
    ("6.9.1-data-of-the-whole-window", stuck_and_full(1), alive),
    ("6.1-padding-counts-for-the-window", [stuck_and_full(1), f.data(1, b"", 0, pad=0)], stream_error(Code.FLOW_CONTROL_ERROR)),
    ("6.9.1-empty-data-needs-no-window", [stuck_and_full(1), f.data(1)], alive),
    ("6.1-padding-is-given-back", [post(), body(1, b"a" * 100_000, size=200, pad=255)], status(200, then=server_saw(length=100_000))),
    ("6.9-windows-are-given-back", [post(), body(1, b"a" * 3_000_000)], status(200, then=server_saw(length=3_000_000))),
    ("6.9-data-on-reset-streams-counts", legal_flood, status(200, stream=101, then=server_saw(length=3), unharmed=False)),
    ("6.9.1-data-above-the-connection-window", fill_connection, FLOW, {"listener": "wide"}),
    ("6.9-no-flow-control-but-for-data", [stuck_and_full(1), get(3), f.ping()], status(200, stream=3)),
])

AWAY = table("rfc9113", [
    ("6.8-stream-not-0", f.goaway(stream=1), PROTOCOL),
    ("6.8-stream-not-0-open", OPEN + f.goaway(stream=1), PROTOCOL),
    ("6.8-length-7", f.frame(f.GOAWAY, 0, 0, b"\0" * 7), SIZE),
    ("6.8-without-streams", f.goaway(), alive_or_ended),
    ("6.8-with-debug-data", f.goaway(debug=b"debug data"), alive_or_ended),
    ("6.8-open-streams-are-answered", [get(1, "/bytes/70000"), f.goaway(), f.window(0, 70000), f.window(1, 70000)],
     lambda client: client.response(1).body == pattern(70000) or client.alive()),
    ("6.8-open-uploads-go-on", [post(), f.goaway(), body(1, b"a" * 100_000)],
     lambda client: client.response(1).json()["length"] == 100_000 or client.alive()),
])


@parametrized(SETTINGS + OTHERS + PINGS + SENDING + UPDATES + RECEIVING + AWAY)
def test_case(target, case):
    run(target, case)


@covers("rfc9113-6.8-drained-in-two-steps", "rfc9113-6.8-last-stream-never-grows", "rfc9113-6.8-blocks-after-goaway-are-decoded")
def test_drain():
    """Stopping: a GOAWAY for all streams, then one for those that were begun; they end well, and HPACK stays in step."""
    own = Target()
    with own.client() as client:
        client.send(post(1))
        until(lambda: own.server.conns, "the request is on its way")
        own.gw.signal(signal.SIGTERM)
        first = client.wait_kind(f.GOAWAY)
        assert (first.code, first.last) == (Code.NO_ERROR, MAX_WINDOW), first
        second = client.wait_kind(f.GOAWAY)
        assert (second.code, second.last) == (Code.NO_ERROR, 1), second
        client.send(f.headers(3, f.request("/late", extra=[f.literal("x-late", "v", f.INDEXED)])))
        client.fence()
        client.send(f.data(1, b"abc", 0), f.headers(1, f.indexed(62)))
        answer = client.response(1)
        assert answer.status == 200 and answer.json()["length"] == 3 and answer.json()["trailers"] == [["x-late", "v"]]
        client.to_the_end()
        assert not client.of(f.HEADERS, 3) and all(g.code == Code.NO_ERROR for g in client.of(f.GOAWAY))
    assert own.gw.process.wait(10) == 0
    own.stop()
    assert not [r for r in own.server.requests if r.target == "/late"]
