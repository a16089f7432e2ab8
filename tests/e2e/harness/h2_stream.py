"""One stream of an HTTP/2 connection, of a client or a server, with calls that block."""
import socket
import time

import h2.errors
import h2.exceptions

from .client import Truncated

Code = h2.errors.ErrorCodes
MOST_QUEUED = 1 << 18  # bytes that wait for the socket; more make send() wait


class StreamReset(ConnectionError):
    """The peer reset the stream."""

    def __init__(self, code, where=""):
        super().__init__(f"RST_STREAM with {name_of(code)} {where}")
        self.code = code


def name_of(code):
    try:
        return Code(code).name
    except ValueError:
        return str(code)


class Stream:
    """One stream. What the peer sends collects here; reading gives its window back."""

    def __init__(self, endpoint, number):
        self.endpoint, self.id = endpoint, number
        self.headers, self.interim, self.trailers = None, [], []
        self.buffer, self.received = bytearray(), 0  # received: body bytes so far, read or not
        self.ended = False       # END_STREAM came
        self.reset_code = None   # RST_STREAM came
        self.gone = False        # it was reset by us
        self.sent_end = False
        self.sent = 0            # body bytes framed
        self.hold = False        # True: reading gives no window back
        self._owed = 0
        self.timeout = endpoint.timeout

    # --- what comes

    def wait(self, condition, what, timeout=None):
        """Waits for condition() with the endpoint's lock held. The end of the connection is an end of waiting."""
        cond = self.endpoint.cond
        with cond:
            end = time.monotonic() + (timeout or self.timeout)
            while True:
                value = condition()
                if value:
                    return value
                if self.endpoint.lost is not None:
                    raise Truncated(f"the connection ended ({self.endpoint.lost}) while stream {self.id} waited for {what}")
                if not cond.wait(end - time.monotonic()) and time.monotonic() > end:
                    raise socket.timeout(f"stream {self.id} waited for {what}")

    def _reset(self):
        if self.reset_code is not None and not self.ended:
            raise StreamReset(self.reset_code, f"on stream {self.id} after {self.received} bytes")
        return False

    def head(self, timeout=None):
        """Waits for the (final) head and returns its fields."""
        return self.wait(lambda: self.headers if self.headers is not None else self._reset(), "a head", timeout)

    def read(self, most=1 << 20, timeout=None):
        """What there is, at least a byte; b"" at the end."""
        self.wait(lambda: self.buffer or self.ended or self._reset(), "data", timeout)
        with self.endpoint.cond:
            out = bytes(self.buffer[:most])
            del self.buffer[:most]
            if not self.hold:
                self.give_back(len(out))
            return out

    def exactly(self, count):
        parts, have = [], 0
        while have < count:
            piece = self.read(count - have)
            if not piece:
                raise Truncated(f"stream {self.id} ended after {have} of {count} bytes")
            parts.append(piece)
            have += len(piece)
        return b"".join(parts)

    def rest(self):
        parts = []
        while piece := self.read():
            parts.append(piece)
        return b"".join(parts)

    def give_back(self, count):
        """Window of the stream for bytes that were read, in steps worth a frame. With the lock held, or for tests."""
        with self.endpoint.cond:
            self._owed += count
            if self._owed and (self._owed * 2 >= self.endpoint.stream_window or not self.buffer) and not self.ended and not self.gone:
                try:
                    self.endpoint.h2.increment_flow_control_window(self._owed, self.id)
                except (h2.exceptions.ProtocolError, KeyError, ValueError):
                    pass  # closed meanwhile
                self._owed = 0
                self.endpoint.flush()

    def wait_ended(self, timeout=None):
        """Waits until the peer is done with it; the code of its reset, or None."""
        try:
            self.wait(lambda: self.ended or self.reset_code is not None, "its end", timeout)
        except Truncated:
            return Code.INTERNAL_ERROR
        return self.reset_code if not self.ended else None

    def wait_reset(self, timeout=None):
        """Waits for a RST_STREAM, also behind the end; returns its code."""
        self.wait(lambda: self.reset_code is not None, "a reset", timeout)
        return self.reset_code

    def over(self):
        """Nothing comes or goes on it any more."""
        return self.gone or self.reset_code is not None or (self.ended and self.sent_end)

    # --- what goes

    def send_headers(self, headers, end=False):
        with self.endpoint.cond:
            self._check()
            try:
                self.endpoint.h2.send_headers(self.id, headers, end_stream=end)
            except (h2.exceptions.StreamClosedError, h2.exceptions.NoSuchStreamError) as error:
                raise ConnectionError(f"stream {self.id} is closed") from error
            self.sent_end |= end
            self.endpoint.flush()

    def _check(self):
        if self.reset_code is not None:
            raise StreamReset(self.reset_code, f"on stream {self.id}")
        if self.gone:
            raise ConnectionError(f"stream {self.id} was reset")
        if self.endpoint.lost is not None:
            raise ConnectionError(f"the connection ended: {self.endpoint.lost}")

    def window(self):
        try:
            return self.endpoint.h2.local_flow_control_window(self.id)
        except (h2.exceptions.ProtocolError, KeyError):
            raise StreamReset(self.reset_code if self.reset_code is not None else Code.STREAM_CLOSED, "while sending") from None

    def send(self, data, end=False, timeout=None):
        """Sends all of it, as windows allow."""
        at, endpoint = 0, self.endpoint
        view = memoryview(data)
        while True:
            with endpoint.cond:
                def room():
                    self._check()
                    return endpoint.queued < MOST_QUEUED and (at == len(view) or self.window() > 0)
                self.wait(room, "a window", timeout)
                size = min(len(view) - at, self.window(), endpoint.h2.max_outbound_frame_size) if at < len(view) else 0
                last = at + size == len(view)
                if size or end:
                    endpoint.h2.send_data(self.id, bytes(view[at:at + size]), end_stream=end and last)
                at += size
                self.sent += size
                self.sent_end |= end and last
                endpoint.flush()
                if last:
                    return

    def end(self, trailers=None):
        if trailers:
            self.send_headers([(k.lower(), v) for k, v in trailers], end=True)
        else:
            self.send(b"", end=True)

    def reset(self, code=Code.CANCEL):
        with self.endpoint.cond:
            if self.gone or self.endpoint.lost is not None:
                return
            self.gone = True
            try:
                self.endpoint.h2.reset_stream(self.id, code)
            except (h2.exceptions.ProtocolError, KeyError):
                pass
            self.endpoint.flush()
            self.endpoint.cond.notify_all()
