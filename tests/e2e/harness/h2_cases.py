"""Tables of HTTP/2 cases: a name with the RFC's section, what is sent, what must come back. And the gateway they are run on.

A step is bytes to send, or a function of the client. An expectation is a function of the client too; those made here have
the words of the RFC: connection_error, stream_error, malformed, alive, status.
"""
import collections
import json
import socket

import pytest

from . import h2_frames as f
from .certs import CertAuthority
from .gateway import Config, Gateway
from .h2_conn import Client, Ended, H2Server
from .h2_frames import HOST, Code
from .http_server import HttpServer, chunked, describe, response
from .websocket import accept_key

Case = collections.namedtuple("Case", "id steps expect options")
IDS = []  # of every case of the modules that are loaded


def table(prefix, rows):
    """rows: (name, steps, expectation), and optionally options: {"values": our SETTINGS, "start": False to send the preface
    oneself, "listener": another one}."""
    out = []
    for name, steps, expect, *more in rows:
        steps = steps if isinstance(steps, (list, tuple)) else [steps]
        out.append(Case(f"{prefix}-{name}", steps, expect, more[0] if more else {}))
    IDS.extend(case.id for case in out)
    return out


def covers(*ids):
    """The cases that a test function is."""
    def mark(function):
        IDS.extend(ids)
        return function
    return mark


def parametrized(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])


def run(target, case):
    before = len(target.errors())
    with target.client(**case.options) as client:
        client.target = target
        for step in case.steps:
            client.send(step) if isinstance(step, bytes) else step(client)
        case.expect(client)
    assert target.gw.process.poll() is None, "the gateway is gone:\n" + target.gw.log_text()
    assert len(target.errors()) == before, target.errors()


# ---- expectations

def connection_error(*codes):
    return lambda client: client.failed(*codes)


def stream_error(*codes, stream=1):
    return lambda client: client.stream_error(stream, *codes)


def reset(*codes, stream=1):
    """The stream only: the connection must live."""
    return lambda client: client.was_reset(stream, *codes)


def either(*expectations):
    """The first that holds; what can be told at once goes first."""
    def check(client):
        at, failures = client.at, []
        for one in expectations:
            client.at = at
            try:
                return one(client)
            except AssertionError as error:
                failures.append(str(error))
        raise AssertionError("none of these:\n" + "\n".join(failures))
    return check


def alive(client):
    """Nothing happened."""
    client.alive()


def gone(client):
    """The connection is over, whatever was said before: what RFC 9113 section 3.4 allows for something that is no HTTP/2."""
    client.to_the_end()


def alive_or_ended(client):
    """Nothing happened, or a graceful end."""
    try:
        client.fence()
    except Ended:
        pass
    assert not [g for g in client.of(f.GOAWAY) if g.code], client.seen


def status(*codes, stream=1, then=None, unharmed=True):
    """A response; then: a function that looks at it. unharmed: and no stream was reset."""
    def check(client):
        answer = client.response(stream)
        assert answer.status in codes, answer
        if then:
            then(answer)
        client.alive(unharmed)
    return check


def server_saw(**fields):
    """For status(): what the default answer says that the server received. None: that it received none."""
    def check(answer):
        for name, value in fields.items():
            name = name.rstrip("_").replace("_", "-")
            if name == "trailers":
                got = [[key.lower(), text] for key, text in answer.json()["trailers"]]
            else:
                got = answer.json()[name] if name in ("length", "method", "target") else answer.received(name)
            assert got == ([] if value is None else value), f"{name}: {got!r}, not {value!r}"
    return check


def malformed(case_name, *codes, stream=1):
    """RST_STREAM PROTOCOL_ERROR, the connection lives, and no server saw the whole request: it bears the case's name."""
    def check(client):
        client.was_reset(stream, *(codes or (Code.PROTOCOL_ERROR,)))
        seen = [r.raw_head for r in client.target.server.requests if case_name.encode() in r.raw_head]
        assert not seen, f"a malformed request was forwarded: {seen}"
    return check


# ---- steps

def get(stream=1, path="/", **kw):
    return f.headers(stream, f.request(path, **kw))


def post(stream=1, path="/", flags=f.END_HEADERS, **kw):
    """The head of a request whose body is still to come."""
    return f.headers(stream, f.request(path, "POST", **kw), flags)


HELD = get(1, "/hold")    # a request that its server does not answer: stream 1 is half-closed (remote)
OPEN = post(1, "/hold")   # and one that goes on: stream 1 is open


def answered(stream=1):
    return lambda client: client.response(stream)


def fence(client):
    client.fence()


def body(stream, content, **kw):
    return lambda client: client.send_body(stream, content, **kw)


# ---- the gateway

def _websocket(request):
    request.conn.send(("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                       + accept_key(request.get("sec-websocket-key")) + "\r\n\r\n").encode())
    while True:
        data = request.conn.sock.recv(65536)
        if not data:
            return
        request.conn.send(data)


HOP = ("Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Hop: 1\r\n"
       "Upgrade: h2c\r\nTE: trailers\r\nX-UPPER-Case: Kept\r\n")


def answer(request):
    """What the HTTP/1.1 server behind says, by the path."""
    path, _, argument = request.target.lstrip("/").partition("/")
    if path == "hold":
        request.conn.wait_gone(30)
        return None
    if path == "bytes":
        return response(200, pattern(int(argument)))
    if path == "chunks":
        return chunked([pattern(int(argument))])
    if path == "empty":
        return chunked([])
    if path == "trailers":
        return chunked([b"abc"], [("Trailer", "X-T")], [("X-T", "v"), ("X-U", "w")])
    if path == "interim":
        return b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(200, b"last")
    if path == "hop":
        return f"HTTP/1.1 200 OK\r\n{HOP}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".encode()
    if path == "101":
        request.conn.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        return None
    if path == "status":
        return response(int(argument), length=False) if int(argument) in (204, 304) else response(int(argument), b"abc")
    if path == "ws" and request.get("upgrade"):
        return _websocket(request)
    if request.method == "HEAD":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    return describe(request)


def pattern(count):
    return (bytes(range(65, 91)) * (count // 26 + 1))[:count]


def _h2_script(peer):
    """The HTTP/2 server behind h2.example: says what fields it got, and how, as names and values of its own."""
    while True:
        asked = peer.request(30)
        peer.body(asked.stream)
        never = [n.decode() for n in asked.fields if type(n).__name__ == "NeverIndexedHeaderTuple" for n in n[:1]]
        text = json.dumps({"fields": [[n.decode("latin1"), v.decode("latin1")] for n, v in [x[:2] for x in asked.fields]],
                           "never": never}).encode()
        out = f.block([(":status", "200"), ("content-length", str(len(text)))])
        out += f.literal("x-secret", "s3cret", f.NEVER) + f.literal("x-plain", "value", f.PLAIN)
        peer.send(f.headers(asked.stream, out, f.END_HEADERS), f.data(asked.stream, text))


class Target:
    """A gateway with everything on; test.example is served over HTTP/1.1, stuck.example by a server that accepts nothing (so no
    byte of a body leaves the gateway), h2.example over cleartext HTTP/2. The listener "wide" has larger windows for streams."""

    def __init__(self):
        self.ca = CertAuthority()
        self.server = HttpServer(answer)
        self.h2_server = H2Server(_h2_script)
        self.full = socket.socket()
        self.full.bind(("127.0.0.1", 0))
        self.full.listen(0)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.full.getsockname())
            self.fillers.append(filler)
        stuck = "127.0.0.1:%d" % self.full.getsockname()[1]
        slow = {"timeouts": {"connect": "30s", "server": "30s"}}
        self.gw = Gateway(Config({
            "test": {"mode": "edge", "hosts": [HOST], "servers": [self.server.address], **slow},
            "plain": {"mode": "http", "hosts": ["plain.example"], "servers": [self.server.address]},
            "stuck": {"mode": "edge", "hosts": ["stuck.example"], "servers": [stuck], "listen": ["https", "wide"], **slow},
            "h2": {"mode": "edge", "hosts": ["h2.example"], "servers": [self.h2_server.address], "server_protocol": "h2"},
        }, certs={"test.pem": self.ca.leaf(HOST, "stuck.example", "h2.example")},
            listeners={"wide": {"http2": {"stream_window": "1MiB"}}},
            settings={"workers": 1, "drain_timeout": "5s"}))
        self.context = self.ca.client_context()
        self.context.set_alpn_protocols(["h2"])

    def client(self, listener="https", **kw):
        return Client(self.gw.ports[listener], self.context, **kw)

    def cleartext(self, **kw):
        return Client(self.gw.ports["http"], **kw)

    def errors(self):
        return self.server.errors + self.h2_server.errors

    def stop(self):
        for one in (self.server, self.h2_server):
            one.stop()
        for one in (*self.fillers, self.full):
            one.close()
        try:
            self.gw.stop()
        finally:
            self.gw.config.remove()
        assert not self.errors(), self.errors()


@pytest.fixture(scope="module", name="target")
def target_fixture():
    """One gateway for a module: it must live through all of it."""
    one = Target()
    yield one
    one.stop()

