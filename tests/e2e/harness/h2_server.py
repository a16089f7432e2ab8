"""An HTTP/2 server under the test's control, on the h2 library.

Its answer functions are those of HttpServer: what they return or send as the bytes of an HTTP/1.1 response goes out as frames.
So one script serves both versions. What only HTTP/2 has is in `request.stream` (Stream) and `request.endpoint` (Endpoint).
"""
import socket
import ssl
import threading
import time

from .client import Stream as Bytes
from .client import Truncated
from .h2_endpoint import Endpoint, Setting
from .h2_stream import Code
from .http_server import HttpServer, Request, describe
from .wait import PATIENCE

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"}


class Translator(Bytes):
    """Takes the bytes of an HTTP/1.1 response in pieces and sends them on a stream: interim heads, head, body, trailers."""

    def __init__(self, stream, method):
        self.stream, self.method = stream, method
        self.buffer = b""
        self.done = False
        self._step = self._head
        self._left = 0

    def feed(self, data):
        self.buffer += data
        while not self.done and self._step():
            pass

    def _head(self):
        if b"\r\n\r\n" not in self.buffer:
            return False
        line = self.line().split(b" ", 2)
        status, fields = int(line[1]), self.headers()
        named = {k.lower(): v for k, v in fields}
        out = [(":status", str(status))] + [(k.lower(), v) for k, v in fields if k.lower() not in HOP_BY_HOP]
        if status < 200:
            self.stream.send_headers(out)
            return True
        coded, length = "transfer-encoding" in named, named.get("content-length")
        none = self.method == "HEAD" or status in (204, 304) or (length == "0" and not coded)
        self.stream.send_headers(out, end=none)
        self.done = none
        self._left = int(length or 0)
        self._step = self._size if coded else self._sized if length else self._unsized
        return True

    def _unsized(self):
        if self.buffer:
            self.stream.send(self.buffer)
            self.buffer = b""
        return False

    def _sized(self):
        piece, self.buffer = self.buffer[:self._left], self.buffer[self._left:]
        self._left -= len(piece)
        self.done = self._left == 0
        if piece:
            self.stream.send(piece, end=self.done)
        return False

    def _size(self):
        if b"\r\n" not in self.buffer:
            return False
        size = int(self.line().split(b";")[0], 16)
        self._left, self._step = size, (self._chunk if size else self._trailers)
        return True

    def _chunk(self):
        if self._left:
            piece, self.buffer = self.buffer[:self._left], self.buffer[self._left:]
            self._left -= len(piece)
            if piece:
                self.stream.send(piece)
        if self._left or len(self.buffer) < 2:
            return False
        assert self.buffer[:2] == b"\r\n"
        self.buffer, self._step = self.buffer[2:], self._size
        return True

    def _trailers(self):
        if b"\r\n\r\n" not in b"\r\n" + self.buffer:
            return False
        self.stream.end(self.headers())
        self.done = True
        return False

    def finish(self):
        """The script is over. Like a server that closes: the end of a body without framing, a cut of anything else."""
        if self.done:
            return
        if self._step == self._unsized:
            self.stream.end()
        elif not self.stream.sent_end:
            self.stream.reset(Code.INTERNAL_ERROR)


class StreamConn:
    """What a script of HttpServer calls `request.conn`, for one stream."""

    def __init__(self, request, stream):
        self.stream, self.server_end = stream, stream.endpoint
        self.out = Translator(stream, request.method)
        self.sock = self
        self.raw = stream.endpoint.raw
        self.buffer = b""

    def send(self, data):
        self.out.feed(data)

    sendall = send

    def exactly(self, count):
        return self.stream.exactly(count)

    def recv(self, most):
        return self.stream.read(most)

    def chunked(self):
        """As HTTP/1.1 has it: (body, trailers, sizes of the pieces)."""
        parts = []
        while piece := self.stream.read():
            parts.append(piece)
        return b"".join(parts), list(self.stream.trailers), [len(p) for p in parts]

    def rest(self):
        return self.stream.rest()

    def wait_gone(self, timeout=PATIENCE):
        """Waits until the client's side resets the stream or ends the connection: True."""
        with self.server_end.cond:
            if not self.server_end.cond.wait_for(lambda: self.stream.reset_code is not None or self.server_end.lost is not None, timeout):
                raise socket.timeout("the stream goes on")
        return True

    def settimeout(self, _):
        pass

    def reset(self):
        self.stream.reset(Code.INTERNAL_ERROR)

    close = reset


class _TlsPipe:
    """A TLS session in memory as a socket for one thread: for clients that agree on HTTP/1.1."""

    def __init__(self, endpoint):
        self._end = endpoint
        self._have, self._over = endpoint.decrypt(b"")  # what came with the end of the handshake

    def recv(self, most):
        while not self._have and not self._over:
            raw = self._end.raw.recv(65536)
            self._have, self._over = self._end.decrypt(raw) if raw else (b"", True)
        out, self._have = self._have[:most], self._have[most:]
        return out

    def sendall(self, data):
        self._end.tls.write(data)
        self._end.raw.sendall(self._end._outgoing.read())

    def settimeout(self, value):
        self._end.raw.settimeout(value)

    def close(self):
        self._end.raw.close()

    def unwrap(self):
        try:
            self._end.tls.unwrap()
        except ssl.SSLError:
            pass
        self._end.raw.sendall(self._end._outgoing.read())


class H2Server(HttpServer):
    """answer(request) runs in a thread of its own for each stream.

    tls: a context whose ALPN list has h2; a client that agrees on something else, or on nothing, gets HTTP/1.1 from the same
    answer function. Without tls: cleartext, by prior knowledge. settings: a dict of SettingCodes. hold(request): true for streams
    whose body gives no window back. on_head(request): called by the reading thread before the answer; true when it has dealt with
    the stream itself.
    """

    def __init__(self, answer=describe, tls=None, settings=None, connection_window=1 << 20, hold=None, on_head=None, ack=True, **kw):
        self.h2_tls, self.settings, self.connection_window = tls, dict(settings or {}), connection_window
        self.hold, self.on_head, self.ack = hold, on_head, ack
        self.endpoints, self.streams, self.protocols, self.refused = [], [], [], 0
        super().__init__(answer, **kw)

    def handler(self, conn):
        endpoint = Endpoint(conn.raw, False, self.h2_tls, settings=self.settings, connection_window=self.connection_window,
                            timeout=self.timeout, ack=self.ack, on_stream=lambda stream: self._begin(endpoint, stream))
        endpoint.conn = conn
        with self.lock:
            self.protocols.append(endpoint.alpn or ("h2" if not self.h2_tls else "http/1.1"))
        if self.h2_tls and endpoint.alpn != "h2":
            conn.sock = _TlsPipe(endpoint)
            super().handler(conn)
            return
        with self.lock:
            self.endpoints.append(endpoint)
        endpoint.begin()
        with endpoint.cond:
            endpoint.cond.wait_for(lambda: endpoint.lost is not None)
        conn.ended_by = endpoint.lost or "an orderly end"
        if endpoint.error:
            self.errors.append(AssertionError(f"the gateway broke HTTP/2: {endpoint.error!r}"))
        endpoint.close()

    def _begin(self, endpoint, stream):
        pseudo = {k: v for k, v in stream.headers if k.startswith(":")}
        fields = [(k, v) for k, v in stream.headers if not k.startswith(":")]
        if ":authority" in pseudo and not any(k == "host" for k, _ in fields):
            fields.insert(0, ("host", pseudo[":authority"]))
        request = Request(pseudo[":method"], pseudo.get(":path"), "HTTP/2", fields, b"", None)
        request.pseudo, request.stream, request.endpoint = pseudo, stream, endpoint
        request.conn = StreamConn(request, stream)
        stream.request = request
        stream.hold = bool(self.hold and self.hold(request))
        with self.lock:
            self.streams.append(stream)
        most = self.settings.get(Setting.MAX_CONCURRENT_STREAMS)
        if most is not None and sum(not one.over() for one in endpoint.streams.values()) > most:
            self.refused += 1
            stream.reset(Code.REFUSED_STREAM)
            return
        if self.on_head and self.on_head(request):
            return
        threading.Thread(target=self._answer, args=(request,), daemon=True).start()

    def _answer(self, request):
        stream = request.stream
        try:
            if self.auto_body and request.method != "CONNECT":
                request.body = stream.rest()
                request.trailers = list(stream.trailers)
            with self.lock:
                self.requests.append(request)
            out = self.answer(request)
            if out:
                request.conn.send(out)
            request.conn.out.finish()
            if stream.sent_end and not stream.ended and request.method != "CONNECT":
                stream.reset(Code.NO_ERROR)  # an early answer: RFC 9113 section 8.1
        except (Truncated, ConnectionError, socket.timeout, OSError):
            stream.reset(Code.INTERNAL_ERROR)
        except Exception as error:  # a fault in the test's own script
            self.errors.append(error)
            stream.reset(Code.INTERNAL_ERROR)

    def endpoint(self, index=0, timeout=PATIENCE):
        """The HTTP/2 connection with this number, once it has come."""
        end = time.monotonic() + timeout
        while len(self.endpoints) <= index:
            assert time.monotonic() < end, f"the server at {self.address} saw {len(self.endpoints)} HTTP/2 connections"
            time.sleep(0.01)
        return self.endpoints[index]

    def stop(self):
        super().stop()
        for endpoint in list(self.endpoints):
            if endpoint.lost is None:
                endpoint.close(reset=True)


def respond(request, status=200, fields=(), body=b"", trailers=None):
    """An answer in HTTP/2's own terms, for scripts that speak nothing else."""
    stream = request.stream
    stream.send_headers([(":status", str(status)), *fields], end=not body and not trailers)
    if body:
        stream.send(body, end=not trailers)
    if trailers:
        stream.end(trailers)

