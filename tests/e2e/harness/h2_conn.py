"""The two ends of a raw HTTP/2 connection: a client that sends exact bytes to the gateway, and a server scripted frame by frame.

Whatever comes from the gateway goes through an Audit. Nothing is sent behind a test's back but acknowledgements of SETTINGS
and PING.
"""
import json
import select
import socket
import ssl
import time

from .client import Client as Connect
from .client import Truncated, reset
from .h2_audit import Audit
from .h2_frames import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, HOST, INITIAL_WINDOW_SIZE, PING, PREFACE, RST_STREAM, SETTINGS,
                        SETTINGS_ACK, WINDOW_UPDATE, Code, Frame, data, headers, name_of, ping, request, settings,
                        window)
from .server import Server
from .wait import PATIENCE

DEADLINE = PATIENCE  # for what must come; it is waited for in full only when a test fails


class Ended(Truncated):
    """The connection is over."""


class Silent(AssertionError):
    """Nothing came in time."""


class Peer:
    def __init__(self, sock, server):
        self.sock, self.audit = sock, Audit(server)
        self.sock.settimeout(DEADLINE)
        self.seen = []        # every frame that came
        self.at = 0           # how many of them were waited for
        self.buffer = b""
        self.auto_ack = True
        self.over = None      # what ended it: "FIN" or the error
        self._pings = 0
        self._used = {}       # by stream: what send_data has sent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *parts):
        """An endpoint that has failed may be gone already: that is seen when reading."""
        for part in parts:
            self.audit.sent(part)
        try:
            self.sock.sendall(b"".join(parts))
        except (ConnectionError, ssl.SSLError):
            pass
        return self

    def close(self):
        self.sock.close()

    def reset(self):
        reset(self.sock)

    # ---- reading

    def _need(self, count, end):
        while len(self.buffer) < count:
            if self.over:
                raise Ended(f"ended by {self.over}; seen: {self.seen}")
            left = end - time.monotonic()
            self.sock.settimeout(max(left, 0.001))
            try:
                more = self.sock.recv(65536)
            except socket.timeout:
                raise Silent(f"nothing more came; seen: {self.seen[-20:]}") from None
            except (ConnectionError, ssl.SSLError) as error:
                more, self.over = b"", repr(error)
            if not more:
                self.over = self.over or "FIN"
            self.buffer += more

    def frame(self, timeout=DEADLINE):
        """The next frame, audited. Raises Ended or Silent."""
        end = time.monotonic() + timeout
        self._need(9, end)
        size = int.from_bytes(self.buffer[:3], "big")
        assert size <= 1 << 20 and self.buffer[3] < 0x20, f"this is not a frame: {self.buffer[:80]!r}"
        self._need(9 + size, end)
        header, payload, self.buffer = self.buffer[:9], self.buffer[9:9 + size], self.buffer[9 + size:]
        try:
            frame = self.audit.feed(header, payload)
        finally:
            self.seen.append(Frame(header, payload))
        self.seen[-1] = frame
        if self.auto_ack and not frame.has(ACK):
            if frame.kind == SETTINGS:
                self.send(SETTINGS_ACK)
            elif frame.kind == PING:
                self.send(ping(frame.payload, ACK))
        return frame

    def wait(self, match, what, timeout=DEADLINE):
        """The first frame not waited for yet that matches; the ones before it count as waited for too."""
        end = time.monotonic() + timeout
        while True:
            while self.at < len(self.seen):
                self.at += 1
                if match(self.seen[self.at - 1]):
                    return self.seen[self.at - 1]
            try:
                self.frame(end - time.monotonic())
            except Truncated as error:
                raise Ended(f"waiting for {what}: {error}") from None
            except Silent as error:
                raise Silent(f"waiting for {what}: {error}") from None

    def wait_kind(self, kind, stream=None, flags=0):
        return self.wait(lambda f: f.kind == kind and stream in (None, f.stream) and f.flags & flags == flags,
                         f"frame type {kind}" + (f" on stream {stream}" if stream is not None else ""))

    def drain(self):
        """Takes what has come already."""
        while self.buffer or select.select([self.sock], [], [], 0)[0] or getattr(self.sock, "pending", int)():
            self.frame()

    def of(self, kind, stream=None):
        return [f for f in self.seen if f.kind == kind and stream in (None, f.stream)]

    # ---- what must or must not have happened

    def fence(self):
        """Two round trips: what was sent before is dealt with at the first; the answer to a PING may overtake what that
        led to, so it is written at the second. What servers do about it is another matter."""
        for _ in range(2):
            self._pings += 1
            token = b"fence%3d" % self._pings
            self.send(ping(token))
            end = time.monotonic() + DEADLINE
            while not any(f.kind == PING and f.has(ACK) and f.payload == token for f in self.seen):
                self.frame(end - time.monotonic())
        return self

    def alive(self, unharmed=True):
        """The connection goes on; unharmed: and no stream was reset, but for the rest of a request that has its answer."""
        self.fence()
        assert not self.of(GOAWAY), self.seen
        if unharmed:
            assert not [f for f in self.of(RST_STREAM) if f.code != Code.NO_ERROR], self.seen
        return self

    def to_the_end(self):
        """Reads until the connection is over."""
        try:
            while True:
                self.frame()
        except Ended:
            return self

    def failed(self, *codes):
        """A connection error: GOAWAY with one of the codes, then the end of the connection."""
        self.to_the_end()
        found = [f.code for f in self.of(GOAWAY) if f.code != Code.NO_ERROR]
        assert found, f"no GOAWAY with an error, ended by {self.over}; seen: {self.seen}"
        assert found[-1] in codes, f"GOAWAY {name_of(found[-1])}, not {[name_of(c) for c in codes]}"
        return self

    def was_reset(self, stream, *codes):
        """A stream error: RST_STREAM with one of the codes, and the connection goes on."""
        frame = self.wait(lambda f: f.kind == RST_STREAM and f.stream == stream or f.kind == GOAWAY, f"RST_STREAM of {stream}")
        assert frame.kind == RST_STREAM, f"a connection error for an error of a stream: {frame}"
        assert frame.code in codes, f"RST_STREAM {name_of(frame.code)}, not {[name_of(c) for c in codes]}"
        return self.alive(unharmed=False)

    def stream_error(self, stream, *codes):
        """The same, or the connection error that an endpoint may make of it (RFC 9113 section 5.4.1)."""
        frame = self.wait(lambda f: f.kind == RST_STREAM and f.stream == stream or f.kind == GOAWAY, f"an error on {stream}")
        assert frame.code in codes, f"{frame}, not {[name_of(c) for c in codes]}"
        return self.alive(unharmed=False) if frame.kind == RST_STREAM else self.to_the_end()

    def room(self, stream):
        """What the gateway's windows allow now, as far as WINDOW_UPDATEs have been seen."""
        given = self.audit.their.get(INITIAL_WINDOW_SIZE, 65535) + sum(f.increment for f in self.of(WINDOW_UPDATE, stream))
        whole = 65535 + sum(f.increment for f in self.of(WINDOW_UPDATE, 0))
        return min(given - self.sent_on(stream), whole - sum(self._used.values()))

    def sent_on(self, stream):
        return self._used.get(stream, 0)

    def send_data(self, stream, part, flags=0, pad=None):
        self._used[stream] = self.sent_on(stream) + len(part) + (0 if pad is None else pad + 1)
        return self.send(data(stream, part, flags, pad))

    def send_body(self, stream, body, size=16384, pad=None, end=True):
        """DATA within the windows."""
        extra = 0 if pad is None else pad + 1
        while body:
            room = self.room(stream) - extra
            if room <= 0:
                self.frame()
                continue
            part, body = body[:min(room, size)], body[min(room, size):]
            self.send_data(stream, part, END_STREAM if end and not body else 0, pad)
        return self

    def fill(self, stream, most=1 << 20):
        """Sends until the gateway gives no more window back: what is behind takes nothing. It answers a PING as soon as it has read
        it, and gives the window back when the other side has taken the octets before it, a turn or two later."""
        fences = 0
        while fences < 3:
            if self.room(stream) > 0:
                self.send_body(stream, b"a" * self.room(stream), end=False)
                fences = 0
            self.fence()
            fences += 1
            assert self.sent_on(stream) <= most, f"{self.sent_on(stream)} octets of one stream are in the gateway"
        return self


class Response:
    def __init__(self, heads, trailers, body):
        self.interim, self.fields, self.trailers, self.body = heads[:-1], heads[-1], trailers, body
        self.status = int(self.get(":status"))

    def all(self, name):
        return [f[1].decode("latin1") for f in self.fields if f[0].decode("latin1") == name]

    def get(self, name):
        return (self.all(name) or [None])[0]

    def json(self):
        return json.loads(self.body)

    def received(self, name):
        """The values of a field as the server saw them, from the default answer."""
        return [value for key, value in self.json()["headers"] if key.lower() == name]

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:200]!r}>"


class Client(Peer):
    """tls: an SSLContext that offers h2. start: the preface has been sent and both SETTINGS are acknowledged."""

    def __init__(self, port, tls=None, name=HOST, start=True, values=()):
        connection = Connect(port, tls=tls, name=name if tls else None, timeout=DEADLINE)
        super().__init__(connection.sock, server=True)
        self.alpn = connection.sock.selected_alpn_protocol() if tls else None
        self.scheme = "https" if tls else "http"
        if start:
            self.start(*values)

    def start(self, *values):
        self.send(PREFACE, settings(*values))
        first = self.frame()
        assert first.kind == SETTINGS and not first.has(ACK), f"{first} is no server preface"
        self.wait(lambda f: f.kind == SETTINGS and f.has(ACK), "the acknowledgement of SETTINGS")
        return self

    def head_request(self, stream, fields):
        self.audit.heads.add(stream)
        return self.send(headers(stream, fields))

    def response(self, stream):
        """The whole response of a stream. It stops at a reset or GOAWAY error of it."""
        def over(f):
            return f.stream == stream and (f.has(END_STREAM) and f.kind in (DATA, HEADERS) or f.kind == RST_STREAM) or \
                f.kind == GOAWAY and f.code != Code.NO_ERROR
        if not any(over(f) for f in self.seen):
            last = self.wait(over, f"the response of stream {stream}")
            assert last.kind in (DATA, HEADERS), last
        while self.audit.head:
            self.frame()
        heads = [f.fields for f in self.of(HEADERS, stream)]
        finals = [n for n, fields in enumerate(heads) if fields[0][1][:1] != b"1"]
        trailers = heads[finals[0] + 1] if len(heads) > finals[0] + 1 else []
        return Response(heads[:finals[0] + 1], trailers, b"".join(f.data for f in self.of(DATA, stream)))

    def get(self, stream, path="/", **kw):
        return self.send(headers(stream, request(path, scheme=self.scheme, **kw))).response(stream)


class ServerPeer(Peer):
    """The gateway's server: reads the preface, then frames."""

    def __init__(self, conn):
        super().__init__(conn.sock, server=False)
        self.conn = conn
        self.answered = 0

    def preface(self):
        self._need(len(PREFACE), time.monotonic() + DEADLINE)
        assert self.buffer.startswith(PREFACE), f"{self.buffer[:40]!r} is no preface"
        self.buffer = self.buffer[len(PREFACE):]
        return self

    def request(self, timeout=DEADLINE):
        """The next request's HEADERS frame, complete. That none comes ends the script: nobody has to ask."""
        try:
            frame = self.wait(lambda f: f.kind == HEADERS and f.stream > self.answered, "a request", timeout)
        except Silent as error:
            raise Ended(str(error)) from None
        while frame.fields is None:
            self.frame()
        self.answered = frame.stream
        return frame

    def body(self, stream, credit=True):
        """The whole body of a request; the connection's and the stream's windows are given back."""
        def over():
            return any(f.has(END_STREAM) for f in self.seen if f.stream == stream and f.kind in (DATA, HEADERS))
        given = 0
        while not over():
            have = sum(len(f.payload) for f in self.of(DATA, stream))
            if credit and have > given:
                self.send(window(0, have - given), window(stream, have - given))
                given = have
            self.frame()
        return b"".join(f.data for f in self.of(DATA, stream))

    def answer(self, stream, status=200, body=b"", extra=(), end=True):
        fields = [(":status", str(status)), *extra]
        out = headers(stream, fields, END_HEADERS | (END_STREAM if end and not body else 0))
        return self.send(out + (data(stream, body, END_STREAM if end else 0) if body else b""))


def never_closes(peer):
    """Keeps a connection until the gateway ends it."""
    try:
        while True:
            peer.frame()
    except (Ended, Silent):
        pass


class H2Server(Server):
    """script(peer) runs once a connection, after both prefaces (start=False: before ours)."""

    def __init__(self, script, tls=None, start=True, values=(), **kw):
        self.script, self.start, self.values = script, start, values
        self.peers = []
        super().__init__(tls=tls, **kw)

    def handler(self, conn):
        peer = ServerPeer(conn)
        with self.lock:
            self.peers.append(peer)
        if self.start:
            peer.send(settings(*self.values)).preface()
        self.script(peer)
