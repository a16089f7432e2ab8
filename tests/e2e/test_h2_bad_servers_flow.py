"""The gateway as a client of HTTP/2 servers: their limits and windows are kept, refusals lead elsewhere, floods cost one connection."""
import threading

import pytest

from harness import h2_frames as f
from harness.gateway import sanitized
from harness.h2_cases import pattern
from harness.h2_conn import DEADLINE, Client, Ended, H2Server, never_closes
from harness.h2_frames import END_HEADERS, END_STREAM, HOST, MAX_WINDOW, Code, data, headers


@pytest.fixture
def start(gateway, ca, leaf):
    """start(script, …): a gateway before cleartext HTTP/2 servers, and a way to connect to it in HTTP/2."""
    made = []

    def make(*scripts, values=(), **keys):
        servers = [H2Server(script, values=values) for script in scripts]
        made.extend(servers)
        gw = gateway({"test": {"mode": "edge", "hosts": [HOST], "servers": [s.address for s in servers], "server_protocol": "h2",
                               **keys}}, certs={"test.pem": leaf(HOST)}, settings={"workers": 1})
        context = ca.client_context(alpn=["h2"])
        return gw, servers, lambda **kw: Client(gw.ports["https"], context, **kw)

    yield make
    for server in made:
        server.stop()
    assert not [error for server in made for error in server.errors], [server.errors for server in made]


def right(peer):
    while True:
        asked = peer.request()
        peer.body(asked.stream)
        peer.answer(asked.stream, body=b"right")


def refuses(peer):
    while True:
        peer.send(f.rst(peer.request().stream, Code.REFUSED_STREAM))


def goes_away(peer):
    """Before the request: nothing was done about it."""
    peer.request()
    peer.send(f.goaway(0))
    never_closes(peer)


def post(client, stream, body, **kw):
    client.send(headers(stream, f.request(method="POST", **kw), END_HEADERS))
    client.send_body(stream, body)
    return client.response(stream)


@pytest.mark.parametrize("bad", [refuses, goes_away])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_was_not_processed_is_sent_elsewhere(start, bad, method):
    """RFC 9113 section 8.7: that is safe for any method."""
    gw, (first, second), connect = start(bad, right, health="off")
    with connect() as client:
        for stream in range(1, 17, 2):
            reply = client.get(stream) if method == "GET" else post(client, stream, b"abc")
            assert (reply.status, reply.body) == (200, b"right")
    assert first.peers and second.peers


def test_the_servers_limit_of_streams(start):
    """RFC 9113 section 5.1.2: the Audit counts them on each connection."""
    gw, servers, connect = start(right, values=[(f.MAX_CONCURRENT_STREAMS, 1)])
    with connect() as client:
        for stream in range(1, 41, 2):
            client.send(f.headers(stream))
        for stream in range(1, 41, 2):
            assert client.response(stream).body == b"right"


def test_no_stream_at_all(start):
    """Before its SETTINGS have come a request may be tried."""
    gw, servers, connect = start(refuses, values=[(f.MAX_CONCURRENT_STREAMS, 0)], timeouts={"server": "1s", "connect": "1s"})
    with connect() as client:
        assert client.get(1).status in (502, 503, 504)


def test_a_limit_that_shrinks_while_in_use(start):
    def script(peer):
        first = peer.request()
        peer.send(f.settings((f.MAX_CONCURRENT_STREAMS, 1))).fence()
        peer.answer(first.stream, body=b"right")
        right(peer)
    gw, servers, connect = start(script)
    with connect() as client:
        for stream in range(1, 9, 2):
            assert client.get(stream).body == b"right"


def test_the_servers_windows(start):
    """Nothing of the body at 0, then exactly what was granted: RFC 9113 sections 6.9.1 and 6.9.2. After a first request: before
    the server's SETTINGS have come the windows are what they are at first."""
    content, got = pattern(100_000), []

    def script(peer):
        peer.answer(peer.request().stream, body=b"right")
        asked = peer.request()
        peer.fence()
        for grant in (1, 2, 16384, 30000):
            before = sum(len(d.payload) for d in peer.of(f.DATA))
            peer.send(f.window(asked.stream, grant))
            until_sum(peer, before + grant)
            peer.fence()
            got.append(sum(len(d.payload) for d in peer.of(f.DATA)) - before - grant)
        peer.send(f.settings((f.INITIAL_WINDOW_SIZE, 20))).fence()
        until_sum(peer, 46407)
        peer.send(f.settings((f.INITIAL_WINDOW_SIZE, MAX_WINDOW - 100_000)), f.window(0, 1 << 20))
        got.append(peer.body(asked.stream, credit=False))
        peer.answer(asked.stream, body=b"right")
    gw, servers, connect = start(script, values=[(f.INITIAL_WINDOW_SIZE, 0)])
    with connect() as client:
        assert client.get(1).body == b"right"
        assert post(client, 3, content).body == b"right"
    assert got == [0, 0, 0, 0, content]


def until_sum(peer, count):
    while sum(len(d.payload) for d in peer.of(f.DATA)) < count:
        peer.frame()


@pytest.mark.parametrize("values", [[(f.MAX_FRAME_SIZE, 100_000)], [(f.HEADER_TABLE_SIZE, 0)], [(f.HEADER_TABLE_SIZE, 100)],
                                    [(f.HEADER_TABLE_SIZE, 1 << 20)], [(f.INITIAL_WINDOW_SIZE, 1)], [(f.MAX_HEADER_LIST_SIZE, 1 << 16)]])
def test_the_servers_other_settings(start, values):
    """The Audit holds them: frames no longer, tables no larger."""
    count = 2000 if values[0][0] == f.INITIAL_WINDOW_SIZE else 300_000
    gw, servers, connect = start(right, values=values)
    with connect() as client:
        for stream in (1, 3):
            assert post(client, stream, pattern(count), extra=[("x-a", "b" * 50), ("cookie", "a=b")]).body == b"right"


def test_a_server_that_ignores_our_window(start):
    """The client reads nothing, so the gateway's window for the stream closes; one octet more is an error."""
    seen = threading.Event()

    def script(peer):
        asked = peer.request()
        peer.send(headers(asked.stream, [(":status", "200")], END_HEADERS))
        peer.fill(asked.stream)
        peer.send(data(asked.stream, b"WRONG", 0))
        peer.wait(lambda x: x.kind in (f.RST_STREAM, f.GOAWAY) and x.code == Code.FLOW_CONTROL_ERROR, "FLOW_CONTROL_ERROR")
        seen.set()
        never_closes(peer)
    gw, servers, connect = start(script)
    with connect(values=[(f.INITIAL_WINDOW_SIZE, 0)]) as client:
        client.send(f.headers(1))
        client.wait_kind(f.HEADERS, 1)
        assert seen.wait(DEADLINE)
        client.send(f.window(1, MAX_WINDOW), f.window(0, 1 << 20))
        client.wait_kind(f.RST_STREAM, 1)
        assert not b"".join(d.data for d in client.of(f.DATA, 1)).strip(b"a")
        client.alive(unharmed=False)


def test_an_answer_before_the_request_is_over(start):
    """RFC 9113 section 8.1: with RST_STREAM NO_ERROR after it. The answer is whole."""
    def script(peer):
        asked = peer.request()
        peer.answer(asked.stream, 413, b"right")
        peer.send(f.rst(asked.stream, Code.NO_ERROR))
        never_closes(peer)
    gw, servers, connect = start(script)
    with connect() as client:
        client.send(headers(1, f.request(method="POST"), END_HEADERS), data(1, b"a" * 16384, 0))
        reply = client.response(1)
        assert (reply.status, reply.body) == (413, b"right")
        client.alive()


def test_a_graceful_goaway(start):
    """The stream it covers ends well; the next request takes a new connection: RFC 9113 section 6.8."""
    def script(peer):
        asked = peer.request()
        peer.send(f.goaway(MAX_WINDOW)).fence()
        peer.send(f.goaway(asked.stream)).fence()
        peer.answer(asked.stream, body=b"right")
        with pytest.raises(Ended):
            peer.request(1.0)
    gw, (server,), connect = start(script)
    with connect() as client:
        for stream in (1, 3, 5):
            assert client.get(stream).body == b"right"
    assert len(server.peers) == 3


@pytest.mark.parametrize("method, status", [("HEAD", "200"), ("GET", "204"), ("GET", "304")])
def test_content_where_there_is_none(start, method, status):
    def script(peer):
        asked = peer.request()
        peer.send(headers(asked.stream, [(":status", status)], END_HEADERS), data(asked.stream, b"WRONG"))
        never_closes(peer)
    gw, servers, connect = start(script)
    with connect() as client:
        client.head_request(1, f.request(method=method)) if method == "HEAD" else client.send(f.headers(1))
        client.wait(lambda x: x.stream == 1 and (x.kind == f.RST_STREAM or x.has(END_STREAM)), "an end of the stream")
        assert b"WRONG" not in b"".join(d.data for d in client.of(f.DATA, 1))
        client.alive(unharmed=False)


def test_a_server_that_never_speaks(start):
    gw, servers, connect = start(never_closes, timeouts={"server": "1s"})
    with connect() as client:
        assert client.get(1).status == 504


# What a hostile server may send for nothing.
FLOODS = {  # of the stream: what comes first, a piece, how many of them
    "continuation": lambda s: (headers(s, [(":status", "200")], 0), f.continuation(s, b"", 0), 20_000),
    "continuation-with-fields": lambda s: (headers(s, [(":status", "200")], 0), f.continuation(s, [("x-a", "b" * 1000)], 0), 2_000),
    "list-too-large": lambda s: (b"", f.split([(":status", "200")] + [("x-a", "b" * 1000)] * 300, [16000] * 18, s), 1),
    "too-many-fields": lambda s: (b"", headers(s, [(":status", "200")] + [("x-a", "b")] * 1000, END_HEADERS), 1),
    "hpack-bomb": lambda s: (b"", headers(s, f.block([(":status", "200")]) + f.literal("x-a", "b" * 4000, f.INDEXED) + f.indexed(62) * 10_000,
                                END_HEADERS), 1),
    "interim": lambda s: (b"", headers(s, [(":status", "103"), ("x-a", "b")], END_HEADERS), 20_000),
    "ping": lambda s: (b"", f.ping(), 50_000),
    "settings": lambda s: (b"", f.settings(), 50_000),
    "settings-of-many": lambda s: (b"", f.settings(*[(0x4242, 1)] * 2000), 3_000),
    "priority": lambda s: (b"", f.priority(s), 50_000),
    "window-update": lambda s: (b"", f.window(0, 1), 50_000),
    "unknown": lambda s: (b"", f.frame(f.UNKNOWN, 0, 0, b"x" * 100), 50_000),
    "empty-data": lambda s: (headers(s, [(":status", "200")], END_HEADERS), data(s, b"", 0), 50_000),
    "empty-padded-data": lambda s: (headers(s, [(":status", "200")], END_HEADERS), data(s, b"", 0, pad=0), 50_000),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(start, name):
    """They end, and others do not notice."""
    def script(peer):
        while True:
            asked = peer.request()
            if asked.fields[3][1] != b"/flood":
                peer.answer(asked.stream, body=b"right")
                continue
            first, piece, count = FLOODS[name](asked.stream)
            try:
                peer.sock.sendall(first + piece * count)
            except OSError:
                return
    gw, servers, connect = start(script, timeouts={"server": "20s", "tunnel": "20s"})
    with connect() as client, connect() as other:
        assert other.get(1).body == b"right"
        before = gw.memory()
        client.auto_ack = False
        client.send(f.headers(1, f.request("/flood")))
        client.wait(lambda x: x.stream == 1 and (x.kind == f.RST_STREAM or x.has(END_STREAM)), "an end")
        statuses = [h.fields[0][1] for h in client.of(f.HEADERS, 1)]
        assert b"502" in statuses or b"504" in statuses or client.of(f.RST_STREAM), statuses[-3:]
        client.alive(unharmed=False)
        assert other.get(3).body == b"right"
        assert sanitized() or gw.memory() < before + (64 << 20)
