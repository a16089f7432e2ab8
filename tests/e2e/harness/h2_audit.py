"""What an HTTP/2 endpoint may send: every frame that the gateway sends in these tests goes through an Audit.

It knows both sides' settings, the windows and the streams, so a rule for senders (RFC 9113) is held in every test, not in
one. What was sent to the gateway is followed as far as it makes sense: much of it is wrong on purpose.
"""
import re

import hpack
import hyperframe.exceptions
import hyperframe.frame

from .h2_frames import (ACK, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, END_STREAM, GOAWAY,
                        HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_WINDOW,
                        NO_RFC7540_PRIORITIES, PADDED, PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
                        WINDOW_UPDATE, WITH_PRIORITY, Frame)

FLAGS = {DATA: END_STREAM | PADDED, HEADERS: END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY, PRIORITY: 0, RST_STREAM: 0,
         SETTINGS: ACK, PUSH_PROMISE: END_HEADERS | PADDED, PING: ACK, GOAWAY: 0, WINDOW_UPDATE: 0, CONTINUATION: END_HEADERS}
CONNECTION_SPECIFIC = {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\Z")


class Violation(AssertionError):
    """The gateway broke a rule."""

    def __init__(self, section, what):
        super().__init__(f"RFC 9113 section {section}: {what}")
        self.section = section


class Stream:
    def __init__(self, window):
        self.window = window      # what the audited side may still send
        self.final = False        # its final head (or the request's) has been sent
        self.ended = self.reset = False
        self.length = None        # its Content-Length
        self.sent = 0
        self.bodiless = False     # an answer to HEAD, 204, 304
        self.answered = False     # client: the server has ended it


class Audit:
    """server: whether the audited side is the server. feed() takes each frame it sends, sent() all bytes it is sent."""

    def __init__(self, server):
        self.server = server
        self.streams = {}
        self.highest = 0          # client: its highest stream
        self.connection = 65535   # window
        self.first_window, self.frame_size, self.concurrent = 65535, 16384, None
        self.unacked = []         # our SETTINGS that it has not acknowledged
        self.pings = []
        self.last = None          # of its GOAWAY
        self.head = None          # the HEADERS frame whose block is not complete
        self.heads = set()        # streams whose request was HEAD
        self.their = {}           # its settings, as sent
        self.started = False
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self._out = b""
        self._following = True

    # ---- what it is sent

    def sent(self, data):
        """Follows well-formed frames; gives up at the first thing that cannot be one."""
        if not self._following:
            return
        self._out += data
        if self.server and self._out.startswith(PREFACE[:len(self._out)]) and not self.unacked and not self.streams:
            if len(self._out) < len(PREFACE):
                return
            self._out = self._out[len(PREFACE):]
        while len(self._out) >= 9:
            size = int.from_bytes(self._out[:3], "big")
            if self._out[3] == ord(" ") or size > 1 << 24:
                self._following = False
                return
            if len(self._out) < 9 + size:
                return
            frame = Frame(self._out[:9], self._out[9:9 + size])
            self._out = self._out[9 + size:]
            self._follow(frame)

    def _follow(self, frame):
        kind, size = frame.kind, len(frame.payload)
        if kind == SETTINGS and not frame.has(ACK) and size % 6 == 0:
            self.unacked.append(frame.values)
        elif kind == HEADERS and self.server and frame.stream % 2 and frame.stream not in self.streams:
            self.streams[frame.stream] = Stream(self.first_window)
        elif kind in (HEADERS, DATA) and not self.server and frame.stream in self.streams:
            self.streams[frame.stream].answered |= frame.has(END_STREAM)
        elif kind == RST_STREAM and frame.stream in self.streams:
            self.streams[frame.stream].reset = True
        elif kind == WINDOW_UPDATE and size == 4:
            if frame.stream == 0:
                self.connection += frame.increment
            elif frame.stream in self.streams:
                self.streams[frame.stream].window += frame.increment
        elif kind == PING and not frame.has(ACK):
            self.pings.append(frame.payload)

    # ---- what it sends

    def feed(self, header, payload):
        frame = Frame(header, payload)
        self._shape(frame, header)
        if not self.started and (frame.kind != SETTINGS or frame.has(ACK)):
            raise Violation("3.4", f"the first frame is {frame}")
        self.started = True
        if self.head and (frame.kind != CONTINUATION or frame.stream != self.head.stream):
            raise Violation("4.3", f"{frame} inside a field block")
        handler = {DATA: self._data, HEADERS: self._headers, RST_STREAM: self._rst, SETTINGS: self._settings, PING: self._ping,
                   GOAWAY: self._goaway, WINDOW_UPDATE: self._window, CONTINUATION: self._continuation}.get(frame.kind)
        if handler:
            handler(frame)
        elif frame.kind == PUSH_PROMISE:
            raise Violation("8.4", "nobody here pushes")
        return frame

    def _shape(self, frame, header):
        if frame.kind not in FLAGS:
            raise Violation("5.5", f"{frame} of a type that was not negotiated")
        if len(frame.payload) > self.frame_size:
            raise Violation("4.2", f"{frame} is longer than {self.frame_size}")
        if frame.reserved:
            raise Violation("4.1", f"the reserved bit of {frame} is set")
        if frame.flags & ~FLAGS[frame.kind]:
            raise Violation("4.1", f"{frame} has undefined flags")
        try:
            body, _ = hyperframe.frame.Frame.parse_frame_header(memoryview(header), strict=True)
            body.parse_body(memoryview(frame.payload))
        except hyperframe.exceptions.HyperframeError as error:
            raise Violation("6", f"{frame}: {error!r}") from error
        if frame.has(PADDED) and frame.kind in (DATA, HEADERS) and any(frame.payload[len(frame.payload) - frame.payload[0]:]):
            raise Violation("6.1", f"{frame}: padding that is not zero")

    def _open(self, frame):
        stream = self.streams.get(frame.stream)
        if stream is None:
            raise Violation("5.1", f"{frame} on an idle stream")
        if stream.ended and frame.kind != RST_STREAM:
            raise Violation("5.1", f"{frame} after END_STREAM or RST_STREAM")
        return stream

    def _data(self, frame):
        stream, size = self._open(frame), len(frame.payload)
        if not stream.final:
            raise Violation("8.1", f"{frame} before a head")
        stream.window -= size
        self.connection -= size
        if size and (stream.window < 0 or self.connection < 0):
            raise Violation("6.9.1", f"{frame}: the windows are now {stream.window} and {self.connection}")
        stream.sent += len(frame.data)
        if stream.sent and stream.bodiless:
            raise Violation("8.1.1", f"{frame}: content where there is none")
        self._ends(frame, stream)

    def _ends(self, frame, stream):
        if frame.has(END_STREAM):
            stream.ended = True
            if stream.length is not None and not stream.bodiless and stream.length != stream.sent:
                raise Violation("8.1.1", f"Content-Length {stream.length}, {stream.sent} octets")

    def _rst(self, frame):
        stream = self.streams.get(frame.stream)
        if stream is None:
            raise Violation("6.4", f"{frame} on an idle stream")
        stream.ended = True

    def _window(self, frame):
        if frame.increment == 0:
            raise Violation("6.9", f"{frame}: an increment of 0")
        if frame.stream and frame.stream not in self.streams:
            raise Violation("5.1", f"{frame} on an idle stream")

    def _ping(self, frame):
        if frame.has(ACK):
            if frame.payload not in self.pings:
                raise Violation("6.7", f"{frame} that nobody asked for")
            self.pings.remove(frame.payload)

    def _goaway(self, frame):
        if self.last is not None and frame.last > self.last:
            raise Violation("6.8", f"{frame}: last stream {frame.last} after {self.last}")
        self.last = frame.last

    def _settings(self, frame):
        if frame.has(ACK):
            if not self.unacked:
                raise Violation("6.5.3", f"{frame} without SETTINGS to acknowledge")
            self._apply(self.unacked.pop(0))
            return
        self.their.update(frame.values)
        for key, value in frame.values:
            bad = {ENABLE_PUSH: value != 0, INITIAL_WINDOW_SIZE: value > MAX_WINDOW,
                   MAX_FRAME_SIZE: not 16384 <= value < 1 << 24, ENABLE_CONNECT_PROTOCOL: value > 1,
                   NO_RFC7540_PRIORITIES: value > 1}.get(key, False)
            if bad:
                raise Violation("6.5.2", f"setting {key} is {value}")

    def _apply(self, values):
        sizes = [value for key, value in values if key == HEADER_TABLE_SIZE]
        for size in sizes:
            self.decoder.max_allowed_table_size = size
        for key, value in values:
            if key == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.window += value - self.first_window
                self.first_window = value
            elif key == MAX_FRAME_SIZE:
                self.frame_size = value
            elif key == MAX_CONCURRENT_STREAMS:
                self.concurrent = value

    def _headers(self, frame):
        if not self.server and frame.stream not in self.streams:
            self._opens(frame)
        self._open(frame)
        skip = 1 if frame.has(PADDED) else 0
        skip += 5 if frame.has(WITH_PRIORITY) else 0
        self.head = frame
        frame.block = frame.payload[skip:len(frame.payload) - (frame.payload[0] if frame.has(PADDED) else 0)]
        if frame.has(END_HEADERS):
            self._complete()

    def _opens(self, frame):
        if frame.stream % 2 == 0 or frame.stream <= self.highest:
            raise Violation("5.1.1", f"{frame}: the stream cannot be opened")
        self.highest = frame.stream
        active = [s for s in self.streams.values() if not s.reset and not (s.ended and s.answered)]
        if self.concurrent is not None and len(active) >= self.concurrent:
            raise Violation("5.1.2", f"{len(active)} streams are active")
        self.streams[frame.stream] = Stream(self.first_window)

    def _continuation(self, frame):
        if not self.head:
            raise Violation("6.10", f"{frame} continues nothing")
        self.head.block += frame.payload
        if frame.has(END_HEADERS):
            self._complete()

    def _complete(self):
        head, self.head = self.head, None
        stream = self.streams[head.stream]
        try:
            head.fields = self.decoder.decode(head.block, raw=True)
        except hpack.HPACKError as error:
            raise Violation("4.3", f"{head}: {error!r}") from error
        trailers = stream.final
        pseudo = [f for f in head.fields if f[0].startswith(b":")]
        self._regular(head, trailers)
        if list(head.fields[:len(pseudo)]) != pseudo or len({f[0] for f in pseudo}) != len(pseudo):
            raise Violation("8.3", f"{head}: pseudo-header fields")
        if trailers:
            if pseudo or not head.has(END_STREAM):
                raise Violation("8.1", f"{head}: not a trailer section")
        elif self.server:
            self._response(head, stream, pseudo)
        else:
            self._request(head, stream, dict(pseudo))
        if not trailers and stream.final:
            lengths = [f[1] for f in head.fields if f[0] == b"content-length"]
            if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
                raise Violation("8.1.1", f"{head}: Content-Length")
            stream.length = int(lengths[0]) if lengths else None
        self._ends(head, stream)

    def _regular(self, head, trailers):
        for name, value in [f[:2] for f in head.fields]:
            if not name.startswith(b":") and not NAME.match(name):
                raise Violation("8.2.1", f"name {name!r}")
            if not VALUE.match(value):
                raise Violation("8.2.1", f"value {value!r} of {name!r}")
            if name in CONNECTION_SPECIFIC or name == b"te" and (self.server or value != b"trailers"):
                raise Violation("8.2.2", f"{name!r}: {value!r}")
            if trailers and name == b"content-length":
                raise Violation("8.1", "Content-Length in a trailer section")

    def _response(self, head, stream, pseudo):
        if [f[0] for f in pseudo] != [b":status"] or not re.match(rb"[1-9][0-9][0-9]\Z", pseudo[0][1]):
            raise Violation("8.3.2", f"{head}: no status")
        status = int(pseudo[0][1])
        if status == 101:
            raise Violation("8.6", "101")
        if status < 200 and head.has(END_STREAM):
            raise Violation("8.1", f"{head}: an interim response ends the stream")
        stream.final = status >= 200
        stream.bodiless = status in (204, 304) or head.stream in self.heads

    def _request(self, head, stream, pseudo):
        names, stream.final = set(pseudo), True
        wanted = {b":method", b":scheme", b":path"}
        if pseudo.get(b":method") == b"CONNECT":
            wanted = wanted | {b":protocol", b":authority"} if b":protocol" in names else {b":method", b":authority"}
        if names - {b":authority"} != wanted - {b":authority"} or not all(pseudo.values()):
            raise Violation("8.3.1", f"{head}: pseudo-header fields")
        if b"@" in pseudo.get(b":authority", b""):
            raise Violation("8.3.1", f"{head}: userinfo")
        if pseudo.get(b":method") == b"HEAD":
            self.heads.add(head.stream)
