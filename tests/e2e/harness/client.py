"""A client made of a raw socket: exact bytes out, strictly read responses in."""
import socket
import ssl
import struct

from . import hello
from .wait import PATIENCE


class Truncated(AssertionError):
    """The connection ended inside a message."""


class Response:
    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason, self.headers = version, status, reason, headers
        self.body = b""
        self.trailers = []
        self.interim = []  # the 1xx responses before it

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Stream:
    """Reads from anything with recv(); keeps what was read too far."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def exactly(self, count):
        parts, have = [self.buffer[:count]], min(len(self.buffer), count)
        self.buffer = self.buffer[count:]
        while have < count:
            data = self.sock.recv(min(count - have, 1 << 20))
            if not data:
                raise Truncated(f"ended after {have} of {count} bytes")
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def until(self, mark, limit=1 << 20):
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                out, self.buffer = self.buffer[:at + len(mark)], self.buffer[at + len(mark):]
                return out
            assert len(self.buffer) < limit, "no end in sight"
            start = max(0, len(self.buffer) - len(mark))
            if not self.fill():
                raise Truncated(f"ended while waiting for {mark!r}, after {self.buffer!r}")

    def line(self):
        line = self.until(b"\r\n")[:-2]
        assert b"\n" not in line and b"\r" not in line, f"bare line end in {line!r}"
        return line

    def rest(self):
        while self.fill():
            pass
        out, self.buffer = self.buffer, b""
        return out

    def headers(self):
        out = []
        while True:
            line = self.line()
            if not line:
                return out
            name, colon, value = line.partition(b":")
            assert colon and name and not name.endswith(b" ") and name[:1] not in b" \t", f"bad header line {line!r}"
            out.append((name.decode("latin1"), value.strip(b" \t").decode("latin1")))

    def chunked(self):
        """Returns (body, trailers, sizes of the chunks)."""
        parts, sizes = [], []
        while True:
            size = int(self.line().split(b";")[0], 16)
            if size == 0:
                return b"".join(parts), self.headers(), sizes
            sizes.append(size)
            parts.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n", "a chunk without its line end"


class Client(Stream):
    def __init__(self, port, tls=None, name=None, host="127.0.0.1", timeout=PATIENCE, source=None, before=b"", family=None):
        """tls: an SSLContext; name: the SNI; before: bytes sent ahead of the TLS handshake (a PROXY header)."""
        if family == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(port)
        else:
            sock = socket.create_connection((host, port), timeout, (source, 0) if source else None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = sock
        if before:
            sock.sendall(before)
        if tls:
            try:
                sock = tls.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
            except BaseException:
                self.raw.close()
                raise
        super().__init__(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def send_bytewise(self, data, size=1):
        for at in range(0, len(data), size):
            self.sock.sendall(data[at:at + size])
        return self

    def close(self):
        self.sock.close()

    def shut(self):
        """Sends a FIN; reading goes on. Under TLS: use only on a plain socket."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Ends the connection with an RST."""
        reset(self.sock)

    def local_port(self):
        return self.raw.getsockname()[1] if self.raw.fileno() >= 0 else self.sock.getsockname()[1]

    def request(self, method="GET", target="/", host="test.example", headers=(), body=b"", version="HTTP/1.1"):
        """Sends a request and returns its response."""
        self.send_request(method, target, host, headers, body, version)
        return self.response(method)

    def send_request(self, method="GET", target="/", host="test.example", headers=(), body=b"", version="HTTP/1.1"):
        lines = [f"{method} {target} {version}"] + ([f"Host: {host}"] if host is not None else [])
        lines += [f"{k}: {v}" for k, v in (headers.items() if isinstance(headers, dict) else headers)]
        if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
            lines.append(f"Content-Length: {len(body)}")
        return self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin1") + body)

    def head(self):
        line = self.line()
        version, _, rest = line.partition(b" ")
        assert version in (b"HTTP/1.1", b"HTTP/1.0"), f"not a status line: {line!r}"
        status, _, reason = rest.partition(b" ")
        assert len(status) == 3 and status.isdigit(), f"not a status line: {line!r}"
        return Response(version.decode(), int(status), reason.decode("latin1"), self.headers())

    def response(self, method="GET"):
        interim = []
        while True:
            response = self.head()
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        lengths, coding = response.all("content-length"), response.get("transfer-encoding")
        assert len(lengths) <= 1 and not (lengths and coding), f"doubtful framing: {response.headers}"
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if coding:
            assert coding.lower() == "chunked", coding
            response.body, response.trailers, _ = self.chunked()
        elif lengths:
            response.body = self.exactly(int(lengths[0]))
        else:
            response.body = self.rest()
        return response

    def ended(self):
        """True when the peer closed cleanly and nothing is left; False when something came; resets raise."""
        return not self.buffer and self.sock.recv(1) == b""

    def gone(self):
        """True when the connection is over, by a FIN or an RST, with nothing left to read."""
        try:
            return self.ended()
        except (ConnectionError, OSError) as error:
            if isinstance(error, socket.timeout):
                return False
            return True


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def http(port, target="/", host="test.example", tls=None, method="GET", **kw):
    """One request on a connection of its own."""
    connect = {k: kw.pop(k) for k in ("source", "before", "timeout") if k in kw}
    with Client(port, tls=tls, name=host.rsplit(":", 1)[0] if tls else None, **connect) as client:
        return client.request(method, target, host, **kw)


class MemoryTls:
    """A TLS client whose records go out as the test says: `cutter` gets the first flight and gives the pieces to send."""

    def __init__(self, port, context, name, cutter=None, timeout=PATIENCE):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self._want_read = ssl.SSLWantReadError
        self._cutter = cutter or hello.whole
        self.sent_hello = b""
        try:
            self._run(self.tls.do_handshake)
        except BaseException:
            self.sock.close()
            raise

    def _flush(self):
        data = self.outgoing.read()
        if not data:
            return
        if not self.sent_hello:
            for piece in self._cutter(data):
                self.sent_hello += piece
                self.sock.sendall(piece)
        else:
            self.sock.sendall(data)

    def _run(self, action):
        while True:
            try:
                out = action()
                self._flush()
                return out
            except self._want_read:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def sendall(self, data):
        self._run(lambda: self.tls.write(data))

    def recv(self, count):
        return self._run(lambda: self.tls.read(count))

    def close(self):
        self.sock.close()
