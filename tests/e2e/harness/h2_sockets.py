"""What the tests of WebSockets over HTTP/2 share: a server of either version, and the gateway before it."""
import os

import pytest

from . import websocket
from .h2_client import H2Client
from .h2_endpoint import Setting
from .h2_server import H2Server
from .h2_stream import Code, StreamReset
from .h2_ways import H1Client
from .http_server import HttpServer, response
from .services import edge, plain, reencrypt

HOST = "test.example"
CAN = {Setting.ENABLE_CONNECT_PROTOCOL: 1}
FIELDS = [("Sec-WebSocket-Version", "13"), ("Origin", "https://test.example")]


def accept(request, status="200", fields=()):
    request.stream.send_headers([(":status", status), *fields])


def echo(request):
    """Of either version: takes the WebSocket and echoes frames until close; anything else is described."""
    if request.method != "CONNECT":
        if not request.get("upgrade"):
            return response(200, b"plain")
        websocket.serve(request)
        if hasattr(request.conn.sock, "unwrap"):
            request.conn.sock.unwrap()  # under TLS, an end without close_notify is a cut
        return None
    accept(request)
    while True:
        opcode, data = websocket.read_frame(request.stream)
        request.stream.send(websocket.frame(data, False, opcode), end=opcode == 8)
        if opcode == 8:
            request.stream.rest()
            return None


class Sockets:
    """A gateway with one service before a server of the kind asked for."""

    def __init__(self, gateway, ca, server_ca, leaf):
        self._gateway, self.ca, self._server_ca, self._leaf = gateway, ca, server_ca, leaf
        self.server = self.gw = None

    def start(self, mode="edge", kind="h2", answer=echo, settings=CAN, protocol="auto", alpn=("h2", "http/1.1"), **keys):
        self.mode = mode
        tls = self._server_ca.leaf(HOST) if mode == "reencrypt" else None
        if kind == "h2":
            self.server = H2Server(answer, tls=tls.server_context(alpn=list(alpn)) if tls else None, settings=settings)
        else:
            self.server = HttpServer(answer, tls=tls.server_context() if tls else None)
        spec = {"edge": edge, "reencrypt": reencrypt, "http": plain}[mode](HOST, self.server, **keys)
        if tls:
            spec["server_tls"] = {"ca": "servers.pem", "protocol": protocol}
        elif kind == "h2":
            spec["server_protocol"] = "h2"
        certs = {"w.pem": self._leaf(HOST), "servers.pem": open(self._server_ca.cert).read()}
        self.gw = self._gateway({"ws": spec}, certs=certs)
        return self

    @property
    def port(self):
        return self.gw.ports["http" if self.mode == "http" else "https"]

    def h2(self, **kw):
        return H2Client(self.port, tls=None if self.mode == "http" else self.ca.client_context(alpn=["h2"]), name=HOST, **kw)

    def h1(self):
        return H1Client(self.port, tls=None if self.mode == "http" else self.ca.client_context(alpn=["http/1.1"]), name=HOST)


@pytest.fixture
def sockets(gateway, ca, server_ca, leaf):
    one = Sockets(gateway, ca, server_ca, leaf)
    yield one
    if one.server:
        one.server.stop()
        assert not one.server.errors, one.server.errors


BOTH = pytest.mark.parametrize("mode, kind", [(m, k) for m in ("edge", "reencrypt", "http") for k in ("h1", "h2")])
KINDS = pytest.mark.parametrize("kind", ["h1", "h2"])


def leave(stream):
    """Ends our side of a WebSocket that the server has ended already: the gateway may have said that nobody reads any more."""
    try:
        stream.send(b"", end=True)
    except StreamReset as error:
        assert error.code == Code.NO_ERROR


def exchange(stream, sizes=(0, 1, 125, 126, 70_000)):
    for size in sizes:
        data = os.urandom(size)
        stream.send(websocket.frame(data, True))
        assert websocket.read_frame(stream) == (2, data)
