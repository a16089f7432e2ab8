"""An HTTP/1.1 server under the test's control, to the byte."""
import json

from .server import Server


class Request:
    def __init__(self, method, target, version, headers, raw_head, conn):
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.raw_head, self.conn = raw_head, conn
        self.body, self.trailers, self.chunks = b"", [], []

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default


def response(status=200, body=b"", headers=(), reason="Reason", length=True):
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} {reason}"] + [f"{k}: {v}" for k, v in headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1") + body


def chunked(parts, headers=(), trailers=(), status=200):
    """A whole chunked response."""
    head = "\r\n".join([f"HTTP/1.1 {status} OK", "Transfer-Encoding: chunked"] + [f"{k}: {v}" for k, v in headers])
    out = head.encode() + b"\r\n\r\n"
    for part in parts:
        out += b"%x\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in trailers) + b"\r\n"


def describe(request):
    """The default answer: what the server received, as JSON."""
    text = json.dumps({"method": request.method, "target": request.target, "version": request.version,
                       "headers": request.headers, "length": len(request.body), "trailers": request.trailers})
    return response(200, text, [("Content-Type", "application/json")])


class HttpServer(Server):
    """answer(request) -> bytes to send, or None when it has sent what it wants itself (request.conn) and the connection ends.

    auto_body=False leaves the request's body in the connection for answer() to read.
    """

    def __init__(self, answer=describe, auto_body=True, name=None, **kw):
        self.answer, self.auto_body, self.name = answer, auto_body, name
        self.requests = []
        self.kw_host = kw.get("host")
        super().__init__(**kw)

    def handler(self, conn):
        while True:
            request = self.read_request(conn)
            if request is None:
                return
            if self.auto_body:
                self.read_body(request)
            with self.lock:
                self.requests.append(request)
            out = self.answer(request)
            if out is None:
                return
            if out:
                conn.send(out)
            if (request.get("connection") or "").lower() == "close":
                return

    @staticmethod
    def read_request(conn):
        while b"\r\n\r\n" not in conn.buffer:
            if not conn.fill():
                assert not conn.buffer, f"the request ended in its head: {conn.buffer!r}"
                return None
        head, _, conn.buffer = conn.buffer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        method, target, version = lines[0].decode("latin1").split(" ")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            assert colon, f"header without colon: {line!r}"
            headers.append((name.decode("latin1"), value.strip().decode("latin1")))
        return Request(method, target, version, headers, head + b"\r\n\r\n", conn)

    @staticmethod
    def read_body(request):
        conn = request.conn
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            request.body, request.trailers, request.chunks = conn.chunked()
        elif request.get("content-length"):
            request.body = conn.exactly(int(request.get("content-length")))

    def request(self, index=-1):
        return self.requests[index]


def read_json(reply):
    return json.loads(reply.body)


def header(reply, name):
    """A header as the server received it, from the default answer."""
    values = [value for key, value in read_json(reply)["headers"] if key.lower() == name.lower()]
    return values[0] if values else None
