"""Flow control from end to end: who is slow waits, alone, and with bounded memory; priorities decide who is written first."""
import hashlib
import os
import socket
import threading

import pytest

from harness.gateway import sanitized
from harness.h2_client import H2Client
from harness.h2_endpoint import Setting
from harness.h2_stream import Code
from harness.h2_server import H2Server
from harness.h2_ways import CUT, together
from harness.http_server import HttpServer, response
from harness.services import edge, plain
from harness.wait import PATIENCE, until

HOST = "test.example"
KINDS = pytest.mark.parametrize("kind", ["h1", "h2"])
BOUND = 2 << 20  # what may be under way for one stream: buffers of the gateway and of two kernels


class Behind:
    """A gateway before one scripted server of either kind; clients are HTTP/2."""

    def __init__(self, gateway, ca, leaf):
        self._gateway, self._ca, self._leaf = gateway, ca, leaf
        self.server = self.gw = None

    def start(self, kind, answer, auto_body=True, mode="edge", server=None, http2=None, workers=1, **keys):
        """Small socket buffers at the server, so that what it has sent is not just in the kernel."""
        kw = {"answer": answer, "auto_body": auto_body}
        self.server = server or (H2Server(**kw) if kind == "h2" else HttpServer(**kw))
        self.server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.mode = mode
        spec = (edge if mode == "edge" else plain)(HOST, self.server, **({"server_protocol": "h2"} if kind == "h2" else {}), **keys)
        listeners = {name: {"http2": http2} for name in ("http", "https")} if http2 else None
        self.gw = self._gateway({"test": spec}, certs={"t.pem": self._leaf(HOST)}, settings={"workers": workers}, listeners=listeners)
        return self

    def client(self, **kw):
        if self.mode == "http":
            return H2Client(self.gw.ports["http"], **kw)
        return H2Client(self.gw.ports["https"], tls=self._ca.client_context(alpn=["h2"]), name=HOST, **kw)


@pytest.fixture
def behind(gateway, ca, leaf):
    one = Behind(gateway, ca, leaf)
    yield one
    if one.server:
        one.server.stop()
        assert not one.server.errors, one.server.errors


def body_of(target, size):
    """Bytes that only this target has."""
    block = hashlib.sha256(target.encode()).digest() * 512
    return (block * (size // len(block) + 1))[:size]


def sent_by(request):
    """How much of its body a scripted server has got rid of."""
    return request.stream.sent if request.version == "HTTP/2" else request.conn.sent


def pour(request, size):
    """Sends a body in pieces and counts what went."""
    request.conn.sent = 0
    request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    data = memoryview(body_of(request.target, size))
    for at in range(0, size, 16384):
        request.conn.send(bytes(data[at:at + 16384]))
        request.conn.sent += 16384
    return b""


def settled(count, step=0.2):
    """The number, once it has stood still for a while."""
    seen = [-1]

    def same():
        before, seen[0] = seen[0], count()
        return before == seen[0]
    until(same, "it goes on and on", step=step)
    return seen[0]


# --- a hundred streams

@KINDS
def test_a_stream_that_is_never_read_stops_no_other(behind, kind):
    """A hundred streams of one connection; one of them is not read at all, until the others are done."""
    size = 300_000
    behind.start(kind, lambda r: response(200, body_of(r.target, size)))
    with behind.client() as client:
        held = client.open("GET", "/held", hold=True)
        held.head()
        others = {f"/{n}": client.open("GET", f"/{n}", hold=True) for n in range(99)}

        def work(n):
            one = others[f"/{n}"]
            one.hold = False
            return one.rest() == body_of(f"/{n}", size)
        assert all(together(99, work))
        assert held.received == 65535 and not held.ended, "no more than its window"
        held.give_back(held.received)
        held.hold = False
        assert held.rest() == body_of("/held", size)
        assert not client.goaways


@KINDS
def test_an_upload_that_is_never_read_stops_no_other(behind, kind):
    """A server that does not read one request stops that stream of its client."""
    go, size = threading.Event(), 8 << 20

    def answer(request):
        if request.target == "/slow":
            assert go.wait(PATIENCE)
        return response(200, hashlib.sha256(request.conn.exactly(int(request.get("content-length")))).digest())
    behind.start(kind, answer, auto_body=False)
    with behind.client() as client:
        slow, body = client.open("PUT", "/slow", headers=[("content-length", str(size))], end=False), os.urandom(size)
        sender = threading.Thread(target=lambda: slow.send(body, end=True))
        sender.start()

        def work(n):
            data = body_of(f"/{n}", 200_000)
            for _ in range(5):
                assert client.request("PUT", f"/{n}", body=data).body == hashlib.sha256(data).digest()
            return True
        assert all(together(20, work))
        stuck = settled(lambda: slow.sent)
        assert stuck < (BOUND if kind == "h2" else 6 << 20), f"{stuck} bytes taken for a server that reads none"
        go.set()
        assert slow.whole().body == hashlib.sha256(body).digest()
        sender.join()


# --- slow clients

@KINDS
def test_a_client_that_does_not_read_stops_its_server(behind, kind):
    size = 32 << 20
    behind.start(kind, lambda r: pour(r, size) if r.target.startswith("/big") else response(200, b"small"))
    with behind.client() as client:
        one = client.open("GET", "/big", hold=True)
        one.head()
        request = until(lambda: behind.server.requests and behind.server.request(), "the request")
        assert settled(lambda: sent_by(request)) < BOUND
        for _ in range(20):
            assert client.request().body == b"small", "the same connections carry other requests"
        one.give_back(one.received)
        one.hold = False
        digest, got = hashlib.sha256(), 0
        while piece := one.read():
            digest.update(piece)
            got += len(piece)
        assert got == size and digest.digest() == hashlib.sha256(body_of("/big", size)).digest()


@KINDS
def test_many_clients_that_do_not_read_cost_little(behind, kind):
    """Fifty clients with ten streams each, of a megabyte that nobody takes."""
    behind.start(kind, lambda r: pour(r, 1 << 20))
    before = behind.gw.memory()
    clients = [behind.client(window=1000) for _ in range(20)]
    for client in clients:
        for n in range(10):
            client.open("GET", f"/{n}", hold=True)
    until(lambda: len(behind.server.requests) == 200, "all requests at the server")
    settled(lambda: sum(sent_by(r) for r in behind.server.requests if hasattr(r.conn, "sent")))
    grown = behind.gw.memory() - before
    assert sanitized() or grown < 48 << 20, f"{grown >> 20} MiB for 200 streams"
    for client in clients:
        client.reset()
    behind.gw.wait_idle(slack=0 if kind == "h1" else 2)


@KINDS
def test_a_client_that_reads_no_frames_at_all(behind, kind):
    """Its socket fills up; its streams end by timeouts.client, and the memory stays bounded."""
    behind.start(kind, lambda r: pour(r, 4 << 20), timeouts={"client": "1s"})
    before = behind.gw.memory()
    client = behind.client(window=8 << 20, connection_window=64 << 20, receive_buffer=4096)
    client.endpoint.pause()
    for n in range(20):
        with client.endpoint.cond:
            client.endpoint.settings_seen = 1
        client.open("GET", f"/{n}")
    behind.gw.access(count=20, end="client_timeout")
    assert sanitized() or behind.gw.memory("VmHWM") - before < 32 << 20
    client.reset()
    behind.gw.wait_idle(slack=0 if kind == "h1" else 2)


@KINDS
def test_a_stalled_window_with_many_streams(behind, kind):
    """A client that asks for a hundred bodies and never opens a window loses them after timeouts.client."""
    behind.start(kind, lambda r: pour(r, 1 << 20) if r.target.startswith("/big") else response(200, b""), timeouts={"client": "700ms"})
    before = behind.gw.memory()
    with behind.client(window=0) as client:
        streams = [client.open("GET", f"/big/{n}", hold=True) for n in range(100)]
        codes = {one.wait_reset() for one in streams}
        assert codes <= {Code.CANCEL, Code.FLOW_CONTROL_ERROR, Code.INTERNAL_ERROR, Code.ENHANCE_YOUR_CALM, Code.NO_ERROR}
        assert not [one for one in streams if one.ended or one.received]
        assert client.request("HEAD", "/").status == 200, "what needs no window goes on"
    behind.gw.access(count=100, end="client_timeout")
    assert sanitized() or behind.gw.memory("VmHWM") - before < 32 << 20
    for request in behind.server.requests:
        if kind == "h2" and request.target.startswith("/big"):
            assert request.stream.reset_code is not None or until(lambda r=request: r.stream.reset_code is not None, "the server's stream is freed")


def test_a_slow_reader_is_no_stalled_one(behind):
    """Little by little for longer than timeouts.client: progress counts."""
    behind.start("h1", lambda r: response(200, body_of("/x", 200_000)), timeouts={"client": "1s"})
    with behind.client(window=1000) as client:
        one = client.open("GET", "/x", hold=True)
        got = b""
        for _ in range(8):
            one.wait(lambda: len(one.buffer) >= 1000, "a window's worth")
            threading.Event().wait(0.25)
            piece = one.read(1000)
            got += piece
            client.window(one, 1000)
        assert got == body_of("/x", 8000)
        client.window(one, 1 << 20)
        assert got + one.rest() == body_of("/x", 200_000)


def test_a_client_that_stops_sending_its_body(behind):
    """timeouts.client for that stream: the others go on."""
    behind.start("h2", lambda r: response(200, b"fine"), timeouts={"client": "500ms"})
    with behind.client() as client:
        one = client.open("POST", "/stuck", headers=[("content-length", "100")], end=False)
        one.send(b"half")
        try:
            assert one.whole().status == 408
        except CUT:
            pass
        assert client.request().body == b"fine" and not client.goaways
    assert behind.gw.access(path="/stuck")["end"] == "client_timeout"


# --- windows of every size

@KINDS
@pytest.mark.parametrize("window", [1, 37, 65536, 1 << 20])
def test_windows_of_every_size(behind, kind, window):
    behind.start(kind, lambda r: response(200, r.body[::-1]))
    size = 300 if window == 1 else 5000 if window == 37 else 3 << 20
    with behind.client(window=window) as client:
        body = os.urandom(size)
        assert client.request("POST", body=body).body == body[::-1]


def test_a_server_with_a_tiny_window(behind):
    server = H2Server(lambda r: response(200, hashlib.sha256(r.body).digest()), settings={Setting.INITIAL_WINDOW_SIZE: 100})
    behind.start("h2", None, server=server)
    with behind.client() as client:
        for size in (99, 100, 101, 20_000):
            body = os.urandom(size)
            assert client.request("POST", body=body).body == hashlib.sha256(body).digest()


def test_a_window_that_shrinks_below_nothing(behind):
    """RFC 9113 section 6.9.2: a smaller INITIAL_WINDOW_SIZE makes windows negative."""
    behind.start("h1", lambda r: response(200, body_of("/x", 200_000)))
    with behind.client(window=50_000) as client:
        one = client.open("GET", "/x", hold=True)
        one.wait(lambda: one.received == 50_000, "the first window")
        client.set({Setting.INITIAL_WINDOW_SIZE: 1000})
        client.ping()
        client.window(one, 49_000)  # from -49,000 to 0
        client.ping()
        assert one.received == 50_000
        client.window(one, 10)
        one.wait(lambda: one.received == 50_010, "ten bytes more")
        client.window(one, 1 << 20)
        one.wait(lambda: one.ended, "the end")
        assert one.rest() == body_of("/x", 200_000)


# --- priorities (RFC 9218)

SIZE = 8000  # with its head in one piece from the server: whoever has the head, the gateway has the body


def queue_up(client, targets):
    """Opens streams while the connection has no window at all, and waits until the gateway holds all bodies."""
    filler = client.open("GET", "/fill")
    filler.wait(lambda: filler.received == 65535, "the connection's window is used up")
    streams = []
    for target, priority in targets:
        streams.append(client.open("GET", target, headers=[("priority", priority)] if priority else []))
    for one in streams:
        one.head()
    client.ping()
    assert not [one for one in streams if one.received]
    del client.endpoint.order[:]
    return streams


def order_of(client, streams, step=None):
    """Gives window, at once or in steps, and tells in which order the streams were written."""
    total = sum(SIZE for _ in streams) + (1 << 20)
    client.window(None, step or total)
    for _ in range(0, 0 if not step else len(streams) * SIZE // step + 1):
        client.ping()
        client.window(None, step)
    client.window(None, total)
    for one in streams:
        one.wait(lambda o=one: o.ended, "its end")
    numbers = {one.id: index for index, one in enumerate(streams)}
    return [numbers[n] for n in client.endpoint.order if n in numbers]


def runs(order):
    return [n for at, n in enumerate(order) if at == 0 or order[at - 1] != n]


def priorities(request):
    if request.target == "/fill":
        return response(200, bytes(100_000))
    fields = [("Priority", "u=0")] if request.target == "/server-says" else []
    return response(200, body_of(request.target, SIZE), fields)


@KINDS
def test_urgency_decides_who_is_first(behind, kind):
    behind.start(kind, priorities)
    with behind.client(ack=False) as client:
        streams = queue_up(client, [("/a", "u=7"), ("/b", ""), ("/c", "u=1"), ("/d", "u=5"), ("/e", "u=0")])
        assert runs(order_of(client, streams)) == [4, 2, 1, 3, 0]


@KINDS
def test_equals_come_one_after_the_other(behind, kind):
    """Not incremental: the oldest is finished first."""
    behind.start(kind, priorities)
    with behind.client(ack=False) as client:
        streams = queue_up(client, [(f"/{n}", "u=2") for n in range(4)])
        assert runs(order_of(client, streams, step=1000)) == [0, 1, 2, 3]


@KINDS
def test_incremental_ones_take_turns(behind, kind):
    behind.start(kind, priorities)
    with behind.client(ack=False) as client:
        streams = queue_up(client, [(f"/{n}", "u=2, i") for n in range(3)])
        order = order_of(client, streams, step=1000)
        assert set(order[:4]) == {0, 1, 2} and len(runs(order)) >= 12, order


def test_a_priority_update_changes_it(behind):
    behind.start("h1", priorities)
    with behind.client(ack=False) as client:
        streams = queue_up(client, [("/a", "u=6"), ("/b", "u=3"), ("/c", "u=3")])
        client.reprioritize(streams[0], "u=0")
        client.reprioritize(streams[1], "u=7")
        client.ping()
        assert runs(order_of(client, streams)) == [0, 2, 1]


def test_the_servers_word_counts_as_well(behind):
    """RFC 9218 section 8: what the response's Priority says is merged into what the client asked for."""
    behind.start("h1", priorities)
    with behind.client(ack=False) as client:
        streams = queue_up(client, [("/a", "u=4"), ("/server-says", "u=6"), ("/c", "u=5")])
        assert runs(order_of(client, streams)) == [1, 0, 2]


@pytest.mark.parametrize("value", ["u=9", "u=-1", "u=", "i=?2", "\"u=0\"", "u=0.5", ",,,", "u=1;x=2, unknown=(1 2)"])
def test_nonsense_in_a_priority_harms_nobody(behind, value):
    behind.start("h1", priorities)
    with behind.client() as client:
        assert client.request("GET", "/x", headers=[("priority", value)]).body == body_of("/x", SIZE)
        one = client.open("GET", "/y", headers=[("priority", value)])
        client.reprioritize(one, value)
        assert one.whole().status == 200
