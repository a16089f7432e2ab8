"""gRPC with its own client and server through the gateway: every kind of call, and every way in which one ends."""
import hashlib
import os
import queue
import threading
import time

import grpc
import pytest

from harness.grpc_server import GrpcClient, GrpcServer
from harness.h2_client import H2Client
from harness.h2_ways import is_closed, together
from harness.server import refused_port
from harness.services import edge, plain, reencrypt
from harness.wait import PATIENCE, until

HOST = "grpc.example"
LONG = 60  # a deadline that is never met
WAYS = ("edge", "reencrypt-h2", "reencrypt-auto", "http")


class GrpcWay:
    def __init__(self, way, gateway, ca, server_ca, leaf, leaf_of_server, made):
        self.way, self._gateway, self.ca, self.leaf = way, gateway, ca, leaf
        self._server_ca, self._server_leaf, self._made = server_ca, leaf_of_server, made
        self.gw = self.server = None

    def start(self, server=None, addresses=None, settings=None, **keys):
        """A gateway before a gRPC server (or before other addresses)."""
        if not addresses:
            self.server = server or GrpcServer(self._server_leaf if self.way.startswith("reencrypt") else None)
            self._made.append(self.server)
            addresses = [self.server.address]
        if self.way.startswith("reencrypt"):
            spec = reencrypt(HOST, *addresses, server_tls={"ca": "servers.pem", "protocol": self.way[10:]}, **keys)
        else:
            spec = (edge if self.way == "edge" else plain)(HOST, *addresses, server_protocol="h2", **keys)
        certs = {"g.pem": self.leaf(HOST), "servers.pem": open(self._server_ca.cert).read()}
        self.gw = self._gateway({"grpc": spec}, certs=certs, settings=settings)
        return self

    @property
    def port(self):
        return self.gw.ports["http" if self.way == "http" else "https"]

    def client(self, **kw):
        return GrpcClient(self.port, HOST, None if self.way == "http" else self.ca.cert, **kw)

    def h2(self):
        tls = None if self.way == "http" else self.ca.client_context(alpn=["h2"])
        return H2Client(self.port, tls=tls, name=HOST)


@pytest.fixture(scope="module")
def server_leaf(server_ca):
    return server_ca.leaf(HOST)


def ways(*chosen):
    return pytest.mark.parametrize("grpc_way", chosen or WAYS, indirect=True)


@pytest.fixture
def grpc_way(request, gateway, ca, server_ca, leaf, server_leaf):
    made = []
    yield GrpcWay(request.param, gateway, ca, server_ca, leaf, server_leaf, made)
    for server in made:
        server.stop()


def code_of(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


@ways()
def test_every_kind_of_call(grpc_way):
    grpc_way.start()
    with grpc_way.client() as client:
        assert client.unary("Echo")(b"hello", timeout=LONG) == b"hello"
        assert client.unary("Echo")(b"", timeout=LONG) == b""
        assert list(client.server_stream("Count")(b"500", timeout=LONG)) == [b"%d" % n for n in range(500)]
        assert list(client.server_stream("Count")(b"0", timeout=LONG)) == []
        assert client.client_stream("Sum")((bytes(1000) for _ in range(500)), timeout=LONG) == b"500000"
        assert client.client_stream("Sum")(iter(()), timeout=LONG) == b"0"
        asked = queue.Queue()
        answers = client.bidi("Chat")(iter(asked.get, None), timeout=LONG)
        for n in range(50):  # one at a time: neither side has ended
            asked.put(b"%d" % n)
            assert next(answers) == b"re: %d" % n
        asked.put(None)
        assert list(answers) == [] and answers.code() == grpc.StatusCode.OK
    line = grpc_way.gw.access(service="grpc", path="/test.Echo/Chat")
    assert (line["method"], line["status"], line["end"]) == ("POST", 200, "ok")


@ways()
def test_errors_come_with_status_details_and_metadata(grpc_way):
    grpc_way.start()
    with grpc_way.client() as client:
        error = code_of(lambda: client.unary("Fail")(b"", timeout=LONG))
        assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much: 100 % \u00fc")
        trailing = dict(error.trailing_metadata())
        assert (trailing["x-why"], trailing["x-data-bin"]) == ("because", b"\x00\xff")
        assert code_of(lambda: client.unary("Refuse")(b"", timeout=LONG)).code() == grpc.StatusCode.PERMISSION_DENIED
        assert code_of(lambda: client.unary("Nothing")(b"", timeout=LONG)).code() == grpc.StatusCode.UNIMPLEMENTED
        answers = client.server_stream("FailLate")(b"", timeout=LONG)
        assert [next(answers), next(answers)] == [b"one", b"two"]
        error = code_of(lambda: next(answers))
        assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "after two")
        chat = client.bidi("Chat")(iter([b"a", b"status"]), timeout=LONG)
        assert next(chat) == b"re: a"
        assert code_of(lambda: next(chat)).code() == grpc.StatusCode.ABORTED
        assert client.unary("Echo")(b"on", timeout=LONG) == b"on"


@ways("edge", "reencrypt-h2")
def test_metadata_both_ways(grpc_way):
    grpc_way.start()
    with grpc_way.client() as client:
        sent = (("x-one", "1"), ("x-two", "a b"), ("x-raw-bin", bytes(range(256))), ("x-long", "z" * 5000))
        reply, call = client.unary("Metadata").with_call(b"", timeout=LONG, metadata=sent)
        for pair in sent:
            assert repr(pair) in reply.decode()
        assert "('x-forwarded-for', '127.0.0.1')" in reply.decode()
        assert dict(call.initial_metadata())["x-initial"] == "1" and dict(call.trailing_metadata())["x-trailing"] == "2"


@ways("edge", "reencrypt-auto")
def test_large_messages_to_the_byte(grpc_way):
    grpc_way.start()
    data = os.urandom(12 << 20)
    with grpc_way.client() as client:
        back = client.unary("Echo")(data, timeout=LONG)
        assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
        chat = list(client.bidi("Chat")(iter([data[:3 << 20]] * 3), timeout=LONG))
        assert [len(m) for m in chat] == [(3 << 20) + 4] * 3


@ways("edge", "reencrypt-h2")
def test_many_calls_at_once(grpc_way):
    grpc_way.start()
    with grpc_way.client() as one, grpc_way.client() as two:
        def work(n):
            client = (one, two)[n % 2]
            body = os.urandom(1000 * (n + 1))
            for _ in range(5):
                assert client.unary("Echo")(body, timeout=LONG) == body
            assert len(list(client.server_stream("Count")(b"100", timeout=LONG))) == 100
            return True
        assert all(together(40, work))


# --- deadlines

@ways("edge", "reencrypt-h2")
def test_a_deadline_cancels_at_the_server(grpc_way):
    grpc_way.start()
    with grpc_way.client() as client:
        assert client.unary("Echo")(b"first", timeout=LONG) == b"first"  # the connections stand: the deadline is the call's alone
        for deadline in (0.5, 5, 20):  # on a busy machine a short one is over before the call has left
            error = code_of(lambda: client.unary("Sleep")(b"60", timeout=deadline))
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            if grpc_way.server.has("Sleep"):
                break
        assert grpc_way.server.call("Sleep").cancelled.wait(PATIENCE)
        assert client.unary("Echo")(b"on", timeout=LONG) == b"on"


@ways("edge")
def test_a_deadline_longer_than_the_servers_timeout_counts(grpc_way):
    """The client has said how long it waits (grpc-timeout); timeouts.server is for those that do not."""
    grpc_way.start(timeouts={"server": "500ms"})
    with grpc_way.client() as client:
        remaining = float(client.unary("Sleep")(b"1.2", timeout=LONG))
        assert 0 < remaining <= LONG, "the server knows the deadline"
    with grpc_way.client() as client:  # without one
        error = code_of(lambda: client.unary("Sleep")(b"60", timeout=None))
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert grpc_way.server.call("Sleep").cancelled.wait(PATIENCE)


@ways("edge")
def test_a_silent_stream_outlives_the_clients_timeouts(grpc_way):
    """The bodies of gRPC wait under timeouts.tunnel: a stream may be silent for hours."""
    grpc_way.start(timeouts={"client": "1s", "server": "1s", "keep_alive": "1s", "request": "1s"})
    with grpc_way.client() as client:
        asked = queue.Queue()
        answers = client.bidi("Chat")(iter(asked.get, None), timeout=LONG)
        for word in (b"first", b"second"):
            asked.put(word)
            assert next(answers) == b"re: " + word
            time.sleep(2.2)  # twice each of those timeouts
        asked.put(b"third")
        assert next(answers) == b"re: third"
        asked.put(None)
        assert list(answers) == []


@ways("edge")
def test_a_silent_stream_ends_by_the_tunnels_timeout(grpc_way):
    grpc_way.start(timeouts={"tunnel": "2s"})
    with grpc_way.client() as client:
        asked = queue.Queue()
        answers = client.bidi("Chat")(iter(asked.get, None), timeout=15)
        asked.put(b"first")
        assert next(answers) == b"re: first"
        assert code_of(lambda: next(answers)).code() != grpc.StatusCode.DEADLINE_EXCEEDED
        assert grpc_way.server.call("Chat").over.wait(PATIENCE)
        asked.put(None)


# --- cancellation

@ways("edge", "reencrypt-h2")
def test_a_client_that_cancels(grpc_way):
    grpc_way.start()
    with grpc_way.client() as client:
        answers = client.server_stream("Endless")(b"1000", timeout=LONG)
        for _ in range(10):
            next(answers)
        answers.cancel()
        assert grpc_way.server.call("Endless").cancelled.wait(PATIENCE)
        future = client.unary("Sleep").future(b"60", timeout=LONG)
        call = grpc_way.server.call("Sleep")
        future.cancel()
        assert call.cancelled.wait(PATIENCE)
        assert client.unary("Echo")(b"on", timeout=LONG) == b"on"
    until(lambda: [r for r in grpc_way.gw.accesses() if r["path"].endswith("Sleep")], "its line in the log")
    assert {r["end"] for r in grpc_way.gw.accesses() if r["path"].endswith(("Sleep", "Endless"))} <= {"client_cut", "client_closed"}


@ways("edge", "reencrypt-h2")
def test_a_client_that_goes_away(grpc_way):
    grpc_way.start()
    client = grpc_way.client()
    answers = client.server_stream("Endless")(b"0", timeout=LONG)
    next(answers)
    client.channel.close()
    assert grpc_way.server.call("Endless").cancelled.wait(PATIENCE)


@ways("edge", "reencrypt-h2")
def test_a_client_that_does_not_read_holds_its_server_back(grpc_way):
    """And when it reads at last it gets everything."""
    grpc_way.start()
    with grpc_way.client() as client:
        answers = client.server_stream("Count")(b"20000", timeout=LONG)
        assert next(answers) == b"0"
        others = [client.unary("Echo")(b"x" * 1000, timeout=LONG) for _ in range(20)]
        assert others == [b"x" * 1000] * 20
        assert len(list(answers)) == 19_999


# --- servers that come and go

@ways("edge", "reencrypt-h2")
def test_a_server_that_is_started_again(grpc_way):
    grpc_way.start()
    with grpc_way.client() as client:
        assert client.unary("Echo")(b"1", timeout=LONG) == b"1"
        answers = client.server_stream("Endless")(b"0", timeout=LONG)
        next(answers)
        grpc_way.server.stop()

        def to_its_end():
            for _ in answers:
                pass
        error = code_of(to_its_end)
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL,
                                grpc.StatusCode.UNKNOWN), "what ran is seen to be cut"
        assert code_of(lambda: client.unary("Echo")(b"2", timeout=LONG)).code() == grpc.StatusCode.UNAVAILABLE
        grpc_way.server.start()
        until(lambda: attempt(client), "the server is found again", step=0.05)
        assert [client.unary("Echo")(b"3", timeout=LONG) for _ in range(10)] == [b"3"] * 10


def attempt(client):
    try:
        return client.unary("Echo")(b"x", timeout=LONG) == b"x"
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


@ways()
def test_a_server_that_is_down_is_unavailable_at_once(grpc_way):
    grpc_way.start(addresses=[f"127.0.0.1:{refused_port()}"], retries=0)
    with grpc_way.client() as client:
        begun = time.monotonic()
        assert code_of(lambda: client.unary("Echo")(b"x", timeout=LONG)).code() == grpc.StatusCode.UNAVAILABLE
        assert code_of(lambda: next(client.bidi("Chat")(iter([b"a"]), timeout=LONG))).code() == grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - begun < LONG, "the deadline was not waited for"


@ways("edge", "http")
def test_what_cannot_be_forwarded_is_answered_in_grpcs_terms(grpc_way):
    """Trailers only: a head that ends the stream, HTTP status 200, grpc-status 14."""
    grpc_way.start(addresses=[f"127.0.0.1:{refused_port()}"], retries=0)
    with grpc_way.h2() as client:
        fields = [("content-type", "application/grpc+proto"), ("te", "trailers")]
        one = client.open("POST", "/test.Echo/Echo", HOST, fields, end=False)
        one.send(b"\0\0\0\0\1x", end=True)
        reply = one.whole()
        assert (reply.status, reply.get("content-type"), reply.get("grpc-status")) == (200, "application/grpc", "14")
        assert reply.body == b"" and reply.get("grpc-message")
        assert "127.0.0.1" not in reply.get("grpc-message")
        assert client.request("POST", "/test.Echo/Echo", HOST, [("content-type", "application/json")], b"{}").status in (502, 503)


@ways("edge")
def test_a_route_that_is_not_there_is_no_hang(grpc_way):
    grpc_way.start()
    with GrpcClient(grpc_way.port, HOST, grpc_way.ca.cert, options=[("grpc.default_authority", "nowhere.example")]) as client:
        error = code_of(lambda: client.unary("Echo")(b"x", timeout=PATIENCE))
        assert error.code() != grpc.StatusCode.DEADLINE_EXCEEDED


@ways("edge", "reencrypt-auto")
def test_streams_that_run_outlive_a_stop(grpc_way):
    """A drain: GOAWAY, no new calls here, and the old ones go on to their end."""
    grpc_way.start(settings={"drain_timeout": "60s"})
    with grpc_way.client() as client:
        asked = queue.Queue()
        answers = client.bidi("Chat")(iter(asked.get, None), timeout=LONG)
        asked.put(b"before")
        assert next(answers) == b"re: before"
        grpc_way.gw.signal()
        until(lambda: is_closed(grpc_way.port), "the listener is closed")
        for word in (b"while", b"still"):
            asked.put(word)
            assert next(answers) == b"re: " + word
        asked.put(None)
        assert list(answers) == [] and answers.code() == grpc.StatusCode.OK
        assert grpc_way.gw.process.wait(PATIENCE) == 0, "and then it is over at once"


@ways("edge")
def test_calls_from_threads_that_are_cancelled_at_random(grpc_way):
    """Nothing sticks: afterwards the gateway holds no client, and the server has no call running."""
    grpc_way.start()
    with grpc_way.client() as client:
        def work(n):
            # From the first message on: a call cancelled before its head is sent makes this library reset a stream that it
            # has not opened, which costs its connection (RFC 9113 section 6.4).
            for k in range(1, 6):
                answers = client.server_stream("Endless")(b"%d" % (100 * n), timeout=LONG)
                for _ in range(k):
                    next(answers)
                answers.cancel()
            return True
        assert all(together(10, work))
        assert client.unary("Echo")(b"on", timeout=LONG) == b"on"
    begun = [c for c in grpc_way.server.calls if c.method == "Endless"]
    assert all(call.cancelled.wait(PATIENCE) for call in begun)
    assert threading.active_count() < 200
    grpc_way.gw.wait_idle(slack=2)
