"""One gateway with one worker, the servers behind it, and the scenarios that are counted."""
from harness.certs import client_context
from harness.client import Client
from harness.gateway import Config, Gateway
from harness.h2_client import H2Client
from harness.http_server import HttpServer, response
from harness.ports import free_port
from harness.server import Server
from harness.services import edge, passthrough, reencrypt, service, tcp
from harness.wait import until

from lockstep import Context, Plain, Rest

BODY = bytes(range(64)) * 16  # 1 KiB
ANSWER = response(200, BODY, [("Content-Type", "application/octet-stream")])
GREETING = b"x" * 64


class _Http(HttpServer):
    def __init__(self, rest, tls=None):
        self.rest, self.begun = rest, 0
        super().__init__(lambda _: ANSWER, tls=Context(tls, rest) if tls else None)

    def handler(self, conn):
        self.begun += 1
        if not self.tls:
            conn.sock = Plain(conn.sock, self.rest)
        super().handler(conn)


class _Echo(Server):
    def __init__(self, rest):
        self.rest, self.begun = rest, 0
        super().__init__()

    def handler(self, conn):
        self.begun += 1
        conn.sock = Plain(conn.sock, self.rest)
        while data := conn.sock.recv(65536):
            conn.send(data)


class Stage:
    """wrapper: the command that runs the gateway under a tool."""

    def __init__(self, ca, server_ca, wrapper=()):
        self.rest = Rest()
        self.ca, self.server_ca = ca, server_ca
        own, again = server_ca.leaf("own.example").server_context(), server_ca.leaf("again.example").server_context()
        self.plain, self.tls, self.own, self.echo = (_Http(self.rest), _Http(self.rest, again), _Http(self.rest, own),
                                                     _Echo(self.rest))
        self.tcp_port = free_port()
        self.config = Config({
            "moved": service("redirect", "moved.example", redirect={"to": "https://elsewhere.example"}),
            "web": edge("web.example", self.plain),
            "again": reencrypt("again.example", self.tls, server_tls={"ca": "servers-ca.pem"}),
            "own": passthrough("own.example", self.own),
            "bytes": tcp(f"127.0.0.1:{self.tcp_port}", self.echo),
        }, settings={"workers": 1}, certs={"web.pem": ca.leaf("web.example", "again.example"),
                                           "servers-ca.pem": open(server_ca.cert).read()})
        try:
            self.gateway = Gateway(self.config, wrapper=wrapper)
        except BaseException:
            self._remove()
            raise
        self.rest.watch(self.gateway)

    def _remove(self):
        for server in (self.plain, self.tls, self.own, self.echo):
            server.stop()
        self.config.remove()

    def stop(self):
        self.rest.forget()
        try:
            self.gateway.stop()
        finally:
            self._remove()
        errors = [error for server in (self.plain, self.tls, self.own, self.echo) for error in server.errors]
        assert not errors, f"a server failed: {errors!r}"

    def client(self, port, name=None, ca=None):
        if not name:
            client = Client(self.port(port))
            client.sock = Plain(client.sock, self.rest)
            return client
        return Client(self.port(port), tls=Context(client_context(ca.cert), self.rest), name=name)

    def port(self, name):
        return self.tcp_port if name == "tcp" else self.gateway.ports[name]


class Scenario:
    """warm() once, then one() as often as wanted, then over()."""

    def __init__(self, stage):
        self.stage, self.rest = stage, stage.rest

    def warm(self):
        raise NotImplementedError

    def one(self):
        raise NotImplementedError

    def over(self):
        self.client.close()

    def times(self, count):
        for _ in range(count):
            self.one()
        self.rest.wait()


class _Requests(Scenario):
    def __init__(self, stage, host, port="https", tls=True, ca=None, status=200, expected=BODY):
        super().__init__(stage)
        self.host, self.where, self.tls, self.ca, self.status, self.expected = host, port, tls, ca, status, expected

    def warm(self):
        self.client = self.stage.client(self.where, self.host if self.tls else None, self.ca or self.stage.ca)
        self.times(8)

    def one(self):
        answer = self.client.request(target="/some/path?query=1", host=self.host, headers={"User-Agent": "guard", "Accept": "*/*"})
        assert answer.status == self.status and (self.expected is None or answer.body == self.expected)


class _H2(Scenario):
    def warm(self):
        tls = client_context(self.stage.ca.cert, alpn=["h2"])
        # Windows that last for good, so that none is given back.
        self.client = H2Client(self.stage.port("https"), tls=tls, name="web.example", connection_window=1 << 30, ack=False)
        self.times(8)

    def one(self):
        self.rest.wait()
        stream = self.client.open(target="/some/path?query=1", host="web.example", hold=True,
                                  headers={"user-agent": "guard", "accept": "*/*"})
        answer = stream.whole()
        assert answer.status == 200 and answer.body == BODY


class _Connections(Scenario):
    """once(): a connection from its beginning to the client's close()."""

    def warm(self):
        self.once()
        self.settle()
        self.fds = self.rest.count_fds()
        self.times(2)

    def settle(self):
        """The first connection may leave a pooled one behind."""
        listening = {self.stage.port(name) for name in ("http", "https", "tcp")}
        servers = {self.stage.own.port, self.stage.echo.port}
        until(lambda: not [c for c in self.stage.gateway.connections() if c.local_port in listening or c.remote_port in servers],
              "a connection stays open")
        self.rest.wait()

    def one(self):
        self.once()
        self.rest.wait_closed(self.fds)

    def over(self):
        pass


class _PassConn(_Connections):
    def once(self):
        begun = self.stage.own.begun
        client = self.stage.client("https", "own.example", self.stage.server_ca)
        until(lambda: self.stage.own.begun > begun, "the server's handshake", step=0.0005)
        assert client.request(host="own.example").body == BODY
        client.close()


class _EdgeHs(_Connections):
    def once(self):
        client = self.stage.client("https", "web.example", self.stage.ca)
        assert client.request(host="web.example").body == BODY
        client.close()


class _TcpConn(_Connections):
    def once(self):
        begun = self.stage.echo.begun
        client = self.stage.client("tcp")
        until(lambda: self.stage.echo.begun > begun, "the connection to the server", step=0.0005)
        assert client.send(GREETING).exactly(len(GREETING)) == GREETING
        client.close()


class _PassReq(_Requests):
    def warm(self):
        begun = self.stage.own.begun
        self.client = self.stage.client("https", "own.example", self.stage.server_ca)
        until(lambda: self.stage.own.begun > begun, "the server's handshake")
        self.times(8)


SCENARIOS = {
    "redirect": lambda stage: _Requests(stage, "moved.example", "http", tls=False, status=308, expected=None),
    "edge-req": lambda stage: _Requests(stage, "web.example"),
    "edge-h2": _H2,
    "re-req": lambda stage: _Requests(stage, "again.example"),
    "pass-req": lambda stage: _PassReq(stage, "own.example", ca=stage.server_ca),
    "pass-conn": _PassConn,
    "tcp-conn": _TcpConn,
    "edge-hs": _EdgeHs,
}
