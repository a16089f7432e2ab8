"""RFC 9113 sections 5.1 to 5.3 (streams), and the frames that make and end them: 6.1 to 6.4, 6.6, 6.10, towards clients."""
from harness import h2_frames as f
from harness.h2_cases import (HELD, OPEN, alive, answered, connection_error, either, get, parametrized, post, run,
                              server_saw, status, stream_error, table, target_fixture)  # noqa: F401
from harness.h2_frames import END_STREAM, PADDED, WHOLE, Code
from harness.wait import until

PROTOCOL = connection_error(Code.PROTOCOL_ERROR)
SIZE = connection_error(Code.FRAME_SIZE_ERROR)
CLOSED = stream_error(Code.STREAM_CLOSED)
CLOSED_CONTINUATION = connection_error(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)
DONE = [get(), answered()]            # stream 1 is closed by both ends
CANCELLED = [HELD, f.rst(1)]          # stream 1 is closed by our reset

IDLE = table("rfc9113", [
    ("5.1-idle-data", f.data(1, b"test"), PROTOCOL),
    ("5.1-idle-rst-stream", f.rst(1), PROTOCOL),
    ("5.1-idle-window-update", f.window(1, 100), PROTOCOL),
    ("5.1-idle-continuation", f.continuation(1, f.request()), PROTOCOL),
    ("5.1-idle-priority", f.priority(1) + get(), status(200)),
    ("5.1-idle-priority-of-a-later-stream", f.priority(99) + get(), status(200)),
    ("5.1-idle-of-the-server-headers", f.headers(2), PROTOCOL),
    ("5.1-idle-of-the-server-data", f.data(2, b"test"), PROTOCOL),
    ("5.1-idle-of-the-server-rst-stream", f.rst(2), PROTOCOL),
    ("5.1-idle-of-the-server-window-update", f.window(2, 1), PROTOCOL),
])

HALF_CLOSED = table("rfc9113", [
    ("5.1-half-closed-data", HELD + f.data(1, b"test"), CLOSED),
    ("5.1-half-closed-empty-data", HELD + f.data(1), CLOSED),
    ("5.1-half-closed-headers", HELD + get(), CLOSED),
    ("5.1-half-closed-trailers", HELD + f.headers(1, [("x-t", "v")]), CLOSED),
    ("5.1-half-closed-continuation", HELD + f.continuation(1, f.request()), CLOSED_CONTINUATION),
    ("5.1-half-closed-after-data", [post(1, "/hold"), f.data(1, b"abc"), f.data(1, b"def")], CLOSED),
    ("5.1-half-closed-window-update", get(1, "/bytes/70000") + f.window(1, 10000) + f.window(0, 10000), status(200)),
    ("5.1-half-closed-priority", HELD + f.priority(1) + get(3), status(200, stream=3)),
    ("5.1-half-closed-rst-stream", HELD + f.rst(1) + get(3), status(200, stream=3)),
])

ENDED = table("rfc9113", [
    ("5.1-closed-data", [*DONE, f.data(1, b"test")], CLOSED),
    ("5.1-closed-headers", [*DONE, get()], stream_error(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)),
    ("5.1-closed-continuation", [*DONE, f.continuation(1, f.request())], CLOSED_CONTINUATION),
    ("5.1-closed-window-update", [*DONE, f.window(1, 1)], alive),
    ("5.1-closed-rst-stream", [*DONE, f.rst(1)], alive),
    ("5.1-closed-priority", [*DONE, f.priority(1)], alive),
    ("5.1-cancelled-data", [OPEN, f.rst(1), f.data(1, b"test")], CLOSED),
    ("5.1-cancelled-headers", [*CANCELLED, get()], stream_error(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)),
    ("5.1-cancelled-continuation", [*CANCELLED, f.continuation(1, f.request())], CLOSED_CONTINUATION),
    ("5.1-cancelled-priority", [*CANCELLED, f.priority(1)], alive),
    ("5.1-skipped-streams-are-closed", [get(5), answered(5), get(3)], connection_error(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
])


def nothing_after(client):
    """What was on its way comes before the answer to a PING."""
    client.wait_kind(f.DATA, 1)
    client.send(f.rst(1))
    client.fence()
    count = len(client.of(f.DATA, 1))
    client.alive()
    assert client.get(3).status == 200
    assert len(client.of(f.DATA, 1)) == count


def servers_connection_ends(client):
    held = [r for r in client.target.server.requests if r.target == "/hold/freed"]
    until(lambda: held[-1].conn.ended_by, "the server connection of a cancelled request is given up")
    client.alive()


def waiting_for_the_server(path):
    return lambda client: until(lambda: any(r.target == path for r in client.target.server.requests), "the request comes")


IDENTIFIERS = table("rfc9113", [
    ("5.1.1-even", f.headers(4), PROTOCOL),
    ("5.1.1-lower-than-before", get(5, "/hold") + get(3), PROTOCOL),
    ("5.1.1-lower-than-a-closed-one", [get(5), answered(5), get(3)], connection_error(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED)),
    ("5.1.1-zero", f.headers(0), PROTOCOL),
    ("5.1.1-skipping", [get(7), answered(7), get(1001)], status(200, stream=1001)),
    ("5.1.1-highest", get(2 ** 31 - 1), status(200, stream=2 ** 31 - 1)),
])


def hundred(client):
    """Up to its limit, whatever that is."""
    client.limit = client.audit.their[f.MAX_CONCURRENT_STREAMS]
    assert client.limit >= 100
    for n in range(client.limit):
        client.send(get(2 * n + 1, "/hold"))


def refused(client):
    """A connection error would be permitted too; this gateway promises that the other streams go on."""
    client.was_reset(2 * client.limit + 1, Code.REFUSED_STREAM, Code.PROTOCOL_ERROR)
    assert not [r for r in client.target.server.requests if r.target == "/too-many"], "it was said to be unprocessed"


def over_limit(client):
    client.send(get(2 * client.limit + 1, "/too-many"))


def at_once(count):
    """All before its SETTINGS can have come: the client cannot know of a limit."""
    return f.PREFACE + f.settings() + b"".join(f.headers(2 * n + 1, f.request(
        "/hold", extra=[f.literal("x-kept", str(n), f.INDEXED)])) for n in range(count))


def some_refused(client):
    client.wait_kind(f.RST_STREAM)
    client.alive(unharmed=False)
    codes = {r.code for r in client.of(f.RST_STREAM)}
    assert codes == {Code.REFUSED_STREAM} and len(client.of(f.RST_STREAM)) == 20, client.seen
    client.send(f.rst(1), f.headers(301, f.request(extra=[f.indexed(62)])))
    assert client.response(301).received("x-kept") == ["119"]


def one_less(client):
    client.send(f.rst(1), get(2 * client.limit + 1))
    assert client.response(2 * client.limit + 1).status == 200


CONCURRENCY = table("rfc9113", [
    ("5.1.2-above-the-limit", [hundred, over_limit], refused),
    ("5.1.2-only-active-streams-count", [hundred, one_less], alive),
    ("5.1.2-refused-before-the-limit-is-known-and-decoded", at_once(120), some_refused, {"start": False}),
])

# RFC 7540 section 5.3.1 forbade it; RFC 9113 has no such rule, so it may be ignored too.
SELF = either(alive, stream_error(Code.PROTOCOL_ERROR))

PRIORITIES = table("rfc9113", [
    ("5.3.1-headers-depends-on-itself", f.headers(1, f.request("/hold"), priority=(False, 1, 255)), SELF),
    ("5.3.1-priority-depends-on-itself", OPEN + f.priority(1, on=1), SELF),
    ("5.3.2-priority-says-what-it-likes", f.priority(1, on=2 ** 31 - 1, exclusive=True) + f.priority(3, 1) + get(), status(200)),
    ("6.3-stream-0", f.priority(0), PROTOCOL),
    ("6.3-length-4", OPEN + f.frame(f.PRIORITY, 0, 1, b"\0" * 4), stream_error(Code.FRAME_SIZE_ERROR)),
    ("6.3-length-6", OPEN + f.frame(f.PRIORITY, 0, 1, b"\0" * 6), stream_error(Code.FRAME_SIZE_ERROR)),
    ("6.3-length-0", OPEN + f.frame(f.PRIORITY, 0, 1), stream_error(Code.FRAME_SIZE_ERROR)),
    ("6.3-length-4-idle", f.frame(f.PRIORITY, 0, 1, b"\0" * 4), stream_error(Code.FRAME_SIZE_ERROR)),
    ("6.3-inside-a-block", f.headers(1, flags=END_STREAM) + f.priority(1), PROTOCOL),
    ("6.3-open", [post(), f.priority(1), f.data(1, b"abc")], status(200, then=server_saw(length=3))),
])

TEXT = b"abcdefgh" * 100
BODY = table("rfc9113", [
    ("6.1-stream-0", f.data(0, b"test"), PROTOCOL),
    ("6.1-several", [post(), f.data(1, b"abc", 0), f.data(1, b"", 0), f.data(1, b"def")], status(200, then=server_saw(length=6))),
    ("6.1-padded", [post(), f.data(1, TEXT, pad=255)], status(200, then=server_saw(length=800))),
    ("6.1-padded-by-0", [post(), f.data(1, TEXT, pad=0)], status(200, then=server_saw(length=800))),
    ("6.1-nothing-but-padding", [post(), f.data(1, TEXT, 0), f.data(1, b"", pad=100)], status(200, then=server_saw(length=800))),
    ("6.1-padding-of-the-payloads-length", OPEN + f.frame(f.DATA, PADDED, 1, b"\4abc"), PROTOCOL),
    ("6.1-padding-longer-than-the-payload", OPEN + f.frame(f.DATA, PADDED, 1, b"\xffabc"), PROTOCOL),
    ("6.1-padding-all-but-the-length", [post(), f.frame(f.DATA, PADDED | END_STREAM, 1, b"\3\0\0\0")],
     status(200, then=server_saw(length=0))),
    ("6.1-half-closed", HELD + f.data(1, b"test"), CLOSED),
    ("6.1-closed", [*DONE, f.data(1, b"test")], CLOSED),
])

HEAD = f.block(f.request())
HEADS = table("rfc9113", [
    ("6.2-stream-0", f.headers(0), PROTOCOL),
    ("6.2-padded", f.headers(1, pad=255), status(200)),
    ("6.2-padded-by-0", f.headers(1, pad=0), status(200)),
    ("6.2-with-priority", f.headers(1, priority=(True, 0, 255)), status(200)),
    ("6.2-padded-with-priority", f.headers(1, pad=7, priority=(False, 3, 0)), status(200)),
    ("6.2-padding-of-the-payloads-length", f.frame(f.HEADERS, PADDED | WHOLE, 1, bytes([len(HEAD) + 1]) + HEAD), PROTOCOL),
    ("6.2-padding-longer-than-the-payload", f.frame(f.HEADERS, PADDED | WHOLE, 1, b"\xff" + HEAD), PROTOCOL),
    ("6.2-end-stream-with-continuation", f.split(f.request(), [20, 20]), status(200)),
    ("6.2-not-followed-by-continuation-data", f.headers(1, flags=0) + f.data(1, b"test"), PROTOCOL),
    ("6.2-not-followed-by-continuation-rst-stream", f.headers(1, flags=0) + f.rst(1), PROTOCOL),
    ("6.2-not-followed-by-continuation-goaway", f.headers(1, flags=0) + f.goaway(), PROTOCOL),
    ("6.2-not-followed-by-continuation-window-update", f.headers(1, flags=0) + f.window(0, 1), PROTOCOL),
    ("6.2-not-followed-by-continuation-settings-ack", f.headers(1, flags=0) + f.SETTINGS_ACK, PROTOCOL),
    ("6.2-not-followed-by-continuation-headers", f.headers(1, flags=0) + f.headers(1), PROTOCOL),
    ("6.2-continuation-of-another-stream", f.headers(1, flags=0) + f.continuation(3), PROTOCOL),
])

RESETS = table("rfc9113", [
    ("6.4-stream-0", f.rst(0), PROTOCOL),
    ("6.4-idle", f.rst(1), PROTOCOL),
    ("6.4-length-3", HELD + f.frame(f.RST_STREAM, 0, 1, b"\0\0\0"), SIZE),
    ("6.4-length-5", HELD + f.frame(f.RST_STREAM, 0, 1, b"\0\0\0\0\0"), SIZE),
    ("6.4-no-more-frames-after-ours", get(1, "/bytes/3000000") + f.window(0, 1 << 24) + f.window(1, 1 << 24), nothing_after),
    ("6.4-frees-the-server-connection", [get(1, "/hold/freed"), waiting_for_the_server("/hold/freed"), f.rst(1)],
     servers_connection_ends),
    ("6.4-during-the-body", [post(), f.data(1, b"abc", 0), f.rst(1), get(3)], status(200, stream=3)),
])

PUSHES = table("rfc9113", [
    ("6.6-stream-0", f.push_promise(0, 2), PROTOCOL),
    ("6.6-idle", f.push_promise(1, 2), PROTOCOL),
    ("8.4-push-promise-from-a-client", OPEN + f.push_promise(1, 2), PROTOCOL),
    ("8.4-push-promise-of-an-odd-stream", OPEN + f.push_promise(1, 3), PROTOCOL),
    ("6.6-none-is-sent-with-push-off", [get(1, "/interim")], status(200), {"values": [(f.ENABLE_PUSH, 0)]}),
    ("6.6-none-is-sent-with-push-on", [get(1, "/interim")], status(200), {"values": [(f.ENABLE_PUSH, 1)]}),
])

CONTINUATIONS = table("rfc9113", [
    ("6.10-several", f.split(f.request(), [5, 5, 5, 5]), status(200)),
    ("6.10-an-empty-one", f.split(f.request(), [len(HEAD)]), status(200)),
    ("6.10-in-trailers", [post(), f.data(1, b"abc", 0), f.split([("x-t", "v" * 20)], [5, 5])],
     status(200, then=server_saw(length=3, trailers=[["x-t", "v" * 20]]))),
    ("6.10-followed-by-headers", f.headers(1, HEAD[:9], END_STREAM) + f.continuation(1, HEAD[9:20], 0) + get(3), PROTOCOL),
    ("6.10-followed-by-data", f.headers(1, HEAD[:9], 0) + f.continuation(1, HEAD[9:20], 0) + f.data(1, b"x"), PROTOCOL),
    ("6.10-followed-by-ping", f.headers(1, HEAD[:9], 0) + f.continuation(1, HEAD[9:20], 0) + f.ping(), PROTOCOL),
    ("6.10-followed-by-another-stream", f.headers(1, HEAD[:9], 0) + f.continuation(1, HEAD[9:20], 0)
     + f.continuation(3, HEAD[20:]), PROTOCOL),
    ("6.10-stream-0", f.headers(1, HEAD[:9], END_STREAM) + f.continuation(0, HEAD[9:]), PROTOCOL),
    ("6.10-stream-0-first", f.continuation(0, HEAD), PROTOCOL),
    ("6.10-after-headers-with-end-headers", HELD + f.continuation(1, HEAD), PROTOCOL),
    ("6.10-after-open-headers-with-end-headers", OPEN + f.continuation(1, HEAD), PROTOCOL),
    ("6.10-after-continuation-with-end-headers", f.headers(1, HEAD[:9], 0) + f.continuation(1, HEAD[9:]) + f.continuation(1, HEAD),
     PROTOCOL),
    ("6.10-after-data", OPEN + f.data(1, b"test", 0) + f.continuation(1, HEAD), PROTOCOL),
])


@parametrized(IDLE + HALF_CLOSED + ENDED + IDENTIFIERS + CONCURRENCY + PRIORITIES + BODY + HEADS + RESETS + PUSHES + CONTINUATIONS)
def test_case(target, case):
    run(target, case)
