"""An HTTP/2 client that does what libraries for users do not: streams side by side, resets, trailers, windows, extended CONNECT."""
import socket
import struct
import threading

import hyperframe.frame
from hpack import Decoder, Encoder

from .client import Client, Response
from .h2_endpoint import Endpoint, Setting, frame
from .h2_stream import Stream
from .wait import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def plain_fields(fields):
    return [(k, v) for k, v in fields if not k.startswith(":")]


def _response(fields):
    return Response("HTTP/2", int(dict(fields)[":status"]), "", plain_fields(fields))


class ClientStream(Stream):
    """A request, and what comes back as the other client's Response."""
    given = 0

    def answer(self, timeout=None):
        """Waits for the final head."""
        response = _response(self.head(timeout))
        response.interim = [_response(fields) for fields in self.interim]
        return response

    def whole(self):
        """The whole response; one that is cut raises."""
        response = self.answer()
        response.body = self.rest()
        response.trailers = list(self.trailers)
        return response

    def next_interim(self):
        """Waits for another 1xx response."""
        self.wait(lambda: len(self.interim) > self.given or self._reset(), "an interim response")
        self.given += 1
        return _response(self.interim[self.given - 1])


class H2Client:
    """tls: an SSLContext that offers h2; without it the client knows beforehand that the server speaks HTTP/2 (cleartext)."""

    def __init__(self, port, tls=None, name=None, host="127.0.0.1", timeout=PATIENCE, settings=None, window=None, connection_window=0,
                 ack=True, strict=True, source=None, receive_buffer=None):
        """window: SETTINGS_INITIAL_WINDOW_SIZE; the rest as Endpoint has it."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        if source:
            sock.bind((source, 0))
        sock.connect((host, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scheme = "https" if tls else "http"
        settings = dict(settings or {})
        if window is not None:
            settings[Setting.INITIAL_WINDOW_SIZE] = window
        try:
            self.endpoint = Endpoint(sock, True, tls, name, settings, connection_window, timeout, ack, strict=strict)
            assert not tls or self.endpoint.alpn == "h2", f"the handshake agreed on {self.endpoint.alpn}"
        except BaseException:
            sock.close()
            raise
        self.endpoint.begin()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fields(self, method, target, host, headers=(), scheme=None):
        out = [(":method", method), (":scheme", scheme or self.scheme), (":authority", host), (":path", target)]
        return out + [(k.lower(), v) for k, v in (headers.items() if isinstance(headers, dict) else headers)]

    def open(self, method="GET", target="/", host="test.example", headers=(), end=True, fields=None, hold=False):
        """Begins a request; returns its stream. end: there is no body. hold: reading gives no window back."""
        endpoint = self.endpoint
        with endpoint.cond:
            endpoint.cond.wait_for(lambda: endpoint.settings_seen or endpoint.lost is not None, endpoint.timeout)
            if endpoint.lost is not None:
                raise ConnectionError(f"the connection ended: {endpoint.lost}")
            stream = ClientStream(endpoint, endpoint.h2.get_next_available_stream_id())
            endpoint.streams[stream.id] = stream
            stream.hold = hold
            stream.send_headers(fields or self.fields(method, target, host, headers), end)
        return stream

    def request(self, method="GET", target="/", host="test.example", headers=(), body=b"", trailers=None, sized=True):
        """Sends a request and returns its whole response. sized: with a Content-Length."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if body and sized and not trailers and not any(k.lower() == "content-length" for k, _ in headers):
            headers.append(("content-length", str(len(body))))
        bare = not body and not trailers
        stream = self.open(method, target, host, headers, end=bare)
        if not bare:
            try:
                if body:
                    stream.send(body, end=not trailers)
                if trailers:
                    stream.end(trailers)
            except ConnectionError:  # an answer may have come before the end of the body
                if stream.headers is None:
                    raise
        return stream.whole()

    def connect(self, protocol="websocket", target="/ws", host="test.example", headers=()):
        """An extended CONNECT (RFC 8441)."""
        fields = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", self.scheme), (":path", target), (":authority", host)]
        return self.open(fields=fields + [(k.lower(), v) for k, v in headers], end=False)

    @property
    def goaways(self):
        return self.endpoint.goaways

    def setting(self, which):
        """What the server has set; None before its SETTINGS came."""
        self.endpoint.until(lambda: self.endpoint.settings_seen, "SETTINGS")
        return self.endpoint.h2.remote_settings.get(which)

    def window(self, stream, count):
        """Gives `count` bytes of window to a stream, or to the connection (None)."""
        with self.endpoint.cond:
            self.endpoint.h2.increment_flow_control_window(count, stream.id if stream else None)
            self.endpoint.flush()

    def set(self, settings):
        with self.endpoint.cond:
            self.endpoint.h2.update_settings(settings)
            self.endpoint.flush()

    def reprioritize(self, stream, value):
        """PRIORITY_UPDATE (RFC 9218 section 7.1)."""
        with self.endpoint.cond:
            self.endpoint.put(frame(0x10, 0, 0, struct.pack("!I", stream.id) + value.encode()))

    def ping(self):
        self.endpoint.ping()

    def close(self):
        self.endpoint.close()

    def reset(self):
        """Ends the connection with an RST."""
        self.endpoint.close(reset=True)

    def wait_lost(self, timeout=None):
        return self.endpoint.wait_lost(timeout)


class FrameClient:
    """Frames as the test wants them, right or wrong; what comes back is parsed and kept, and nothing is answered."""

    def __init__(self, port, tls=None, name=None, settings=b"", timeout=PATIENCE):
        self.client = Client(port, tls=tls, name=name, timeout=timeout)
        self.encoder = Encoder()
        self.scheme = "https" if tls else "http"
        self.next_id = 1
        self.buffer, self.frames = b"", []
        self.client.send(PREFACE + frame(4, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def send(self, data):
        self.client.send(data)

    def head(self, fields=(), method="GET", target="/", host="test.example"):
        return self.encoder.encode([(":method", method), (":scheme", self.scheme), (":authority", host), (":path", target), *fields])

    def request(self, fields=(), flags=5, **kw):
        """A HEADERS frame of a new stream (END_STREAM and END_HEADERS by default): (number, bytes)."""
        number, self.next_id = self.next_id, self.next_id + 2
        return number, frame(1, flags, number, self.head(fields, **kw))

    def receive(self, timeout=None):
        """Reads what is there; False at the end of the connection."""
        if timeout is not None:
            self.client.sock.settimeout(timeout)
        data = self.client.sock.recv(65536)
        self.buffer += data
        while len(self.buffer) >= 9:
            parsed, size = hyperframe.frame.Frame.parse_frame_header(memoryview(self.buffer[:9]))
            if len(self.buffer) < 9 + size:
                break
            parsed.parse_body(memoryview(self.buffer[9:9 + size]))
            self.buffer = self.buffer[9 + size:]
            self.frames.append(parsed)
        return bool(data)

    def until_end(self, timeout=PATIENCE):
        """Reads to the end of the connection; returns its GOAWAY frames."""
        try:
            while self.receive(timeout):
                pass
        except ConnectionError:
            pass
        return self.goaways()

    def of(self, kind):
        return [f for f in self.frames if type(f).__name__ == kind]

    def goaways(self):
        return self.of("GoAwayFrame")

    def statuses(self):
        """{stream: final status} of what has come."""
        decoder, out = Decoder(), {}
        for one in self.of("HeadersFrame"):
            fields = dict(decoder.decode(bytes(one.data)))
            out.setdefault(one.stream_id, int(fields.get(":status", 0)))
        return out


class Flood:
    """Sends in one thread and reads in another, until the peer ends it. For cleartext connections."""

    def __init__(self, client, pieces):
        self.client, self.sent = client, 0
        self._thread = threading.Thread(target=self._send, args=(pieces,), daemon=True)
        self._thread.start()

    def _send(self, pieces):
        try:
            for piece in pieces:
                self.client.send(piece)
                self.sent += 1
        except OSError:
            pass

    def goaways(self, timeout=PATIENCE):
        out = self.client.until_end(timeout)
        self._thread.join(timeout)
        return out

