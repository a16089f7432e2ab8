"""The same tests over HTTP/1.1 and HTTP/2, on both sides of the gateway, in each terminating mode."""
import socket
import ssl
import threading

from .client import Client, Response, Truncated
from .gateway import Config, Gateway
from .h2_client import H2Client
from .h2_server import H2Server
from .http_server import HttpServer
from .server import refused_port
from .wait import PATIENCE

HOST = "test.example"
CUT = (Truncated, ConnectionError, ssl.SSLError)  # how a client sees that something is not whole
COMBINATIONS = [(client, mode, server) for mode in ("edge", "reencrypt", "http") for client in ("h1", "h2") for server in ("h1", "h2")]


class H1Exchange:
    """One request of an HTTP/1.1 client, with the calls of an HTTP/2 stream."""

    def __init__(self, client, method, target, host, headers, end):
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        self.client, self.method = client, method
        self.coded = not end and not any(k.lower() == "content-length" for k, _ in headers)
        if self.coded:
            headers.append(("Transfer-Encoding", "chunked"))
        client.send_request(method, target, host, headers)
        self._answer, self._left, self._over = None, 0, False
        self.interim, self.trailers = [], []

    def send(self, data, end=False):
        if self.coded and data:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        if self.coded and end:
            data += b"0\r\n\r\n"
        self.client.send(data)

    def end(self, trailers=()):
        if self.coded:
            self.client.send(b"0\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in trailers or ()) + b"\r\n")

    def next_interim(self):
        head = self.client.head()
        assert head.status < 200, head
        self.interim.append(head)
        return head

    def answer(self):
        while self._answer is None:
            head = self.client.head()
            if head.status < 200 and head.status != 101:
                self.interim.append(head)
                continue
            head.interim = self.interim
            self._answer = head
            self._coded = head.get("transfer-encoding") is not None
            self._left = int(head.get("content-length", "0"))
            self._over = self.method == "HEAD" or head.status in (101, 204, 304) or (not self._coded and not self._left)
        return self._answer

    def read(self):
        """Some of the body; b"" at its end."""
        self.answer()
        if self._over:
            return b""
        if self._coded and not self._left:
            self._left = int(self.client.line().split(b";")[0], 16)
            if not self._left:
                self.trailers, self._over = self.client.headers(), True
                return b""
        if not self.client.buffer and not self.client.fill():
            raise Truncated("the connection ended within a body")
        piece, self.client.buffer = self.client.buffer[:self._left], self.client.buffer[self._left:]
        self._left -= len(piece)
        if not self._left:
            if self._coded:
                assert self.client.exactly(2) == b"\r\n", "a chunk without its line end"
            else:
                self._over = True
        return piece

    def exactly(self, count):
        out = b""
        while len(out) < count:
            piece = self.read()
            if not piece:
                raise Truncated(f"ended after {len(out)} of {count} bytes")
            out += piece
        assert len(out) == count, "more than was waited for"
        return out

    def rest(self):
        parts = []
        while piece := self.read():
            parts.append(piece)
        return b"".join(parts)

    def whole(self):
        response = self.answer()
        response.body, response.trailers = self.rest(), self.trailers
        return response

    def reset(self):
        self.client.reset()


class H1Client(Client):
    def open(self, method="GET", target="/", host=HOST, headers=(), end=True):
        return H1Exchange(self, method, target, host, headers, end)

    def request(self, method="GET", target="/", host=HOST, headers=(), body=b"", trailers=None, sized=True) -> Response:
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if body and sized and not trailers and not any(k.lower() == "content-length" for k, _ in headers):
            headers.append(("Content-Length", str(len(body))))
        one = self.open(method, target, host, headers, end=not body and not trailers)
        if body or trailers:
            one.send(body, end=not trailers)
            if trailers:
                one.end(trailers)
        return one.whole()


class Taker:
    """Reads a request's body in parts, in a script with auto_body=False, whatever frames it."""

    def __init__(self, request):
        self.conn = request.conn
        self.coded = (request.get("transfer-encoding") or "").lower() == "chunked"
        self.left = 0

    def exactly(self, count):
        if not self.coded:
            return self.conn.exactly(count)
        out = b""
        while len(out) < count:
            if not self.left:
                self.left = int(self.conn.line().split(b";")[0], 16)
                if not self.left:
                    raise Truncated("the body ended")
            piece = self.conn.exactly(min(self.left, count - len(out)))
            self.left -= len(piece)
            out += piece
            if not self.left:
                assert self.conn.exactly(2) == b"\r\n"
        return out

    def finish(self):
        """Reads to the body's end, which must be here."""
        if self.coded:
            assert self.conn.line() == b"0" and not self.conn.headers()
        elif hasattr(self.conn, "stream"):
            assert self.conn.rest() == b""


def connection_of(request):
    """What tells the server's connections apart, in either version."""
    return getattr(request, "endpoint", None) or request.conn


class Combination:
    """A gateway with one server behind it, for all tests of a module; `answer` is set by each."""

    def __init__(self, client, mode, server, ca, server_ca, leaf, clients_ca):
        self.client_kind, self.mode, self.server_kind, self._ca = client, mode, server, ca
        names = (HOST, "edited.example", "paths.example", "down.example", "slow.example", "mutual.example", "through.example")
        tls = server_ca.leaf(*names) if mode == "reencrypt" else None
        if server == "h1":
            self.server = HttpServer(tls=tls.server_context() if tls else None)
        else:
            self.server = H2Server(tls=tls.server_context(alpn=["h2", "http/1.1"]) if tls else None)
        base = {"mode": mode, "servers": [self.server.address], "server_tls" if mode == "reencrypt" else "server_protocol":
                {"ca": "servers.pem"} if mode == "reencrypt" else "h2" if server == "h2" else "http/1.1"}
        services = {
            "test": {**base, "hosts": [HOST]},
            "edited": {**base, "hosts": ["edited.example"], "headers": {
                "request": {"set": {"X-Env": "lab"}, "add": {"X-Many": "gateway"}, "remove": ["X-Debug"]},
                "response": {"set": {"X-Frame-Options": "DENY"}, "add": {"Vary": "Cookie"}, "remove": ["Server"]}}},
            "paths": {**base, "hosts": ["paths.example"], "paths": ["/only"]},
            "down": {**base, "hosts": ["down.example"], "servers": [f"127.0.0.1:{refused_port()}"]},
            "slow": {**base, "hosts": ["slow.example"], "timeouts": {"server": "300ms"}},
        }
        if mode != "http":
            services["mutual"] = {**base, "hosts": ["mutual.example"], "client_certificates": {"ca": "clients.pem"}}
            services["through"] = {"mode": "passthrough", "hosts": ["through.example"], "servers": [self.server.address]}
        certs = {"test.pem": leaf(*names), "servers.pem": open(server_ca.cert).read(), "clients.pem": open(clients_ca.cert).read()}
        self.config = Config(services, certs=certs)
        self.gw = Gateway(self.config)
        self.default = self.server.answer

    @property
    def port(self):
        return self.gw.ports["http" if self.mode == "http" else "https"]

    @property
    def scheme(self):
        return "http" if self.mode == "http" else "https"

    def client(self, kind=None, name=HOST, **kw):
        kind = kind or self.client_kind
        alpn = ["h2"] if kind == "h2" else ["http/1.1"]
        tls = None if self.mode == "http" else self._ca.client_context(alpn=alpn)
        return (H2Client if kind == "h2" else H1Client)(self.port, tls=tls, name=name, **kw)

    def begin(self):
        """Before each test."""
        assert self.gw.process.poll() is None, "the gateway has ended:\n" + self.gw.log_text()
        self.server.answer, self.server.auto_body = self.default, True
        with self.server.lock:
            self.server.requests.clear()
            self.server.errors.clear()
            if self.server_kind == "h2":
                self.server.streams.clear()
        with self.gw._lock:
            self.gw.records.clear()
        return self

    def check(self):
        """After each test."""
        assert not self.server.errors, f"at the server: {self.server.errors!r}"

    def stop(self):
        try:
            self.gw.stop()
        finally:
            self.server.stop()
            self.config.remove()


def together(count, work, timeout=PATIENCE):
    """Runs work(n) in `count` threads at once; returns what they returned, or raises what the first one raised."""
    out, failures = [None] * count, []

    def one(n):
        try:
            out[n] = work(n)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
        assert not thread.is_alive(), "it does not end"
    if failures:
        raise failures[0]
    return out


def is_closed(port):
    """Nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except OSError:
        return True
