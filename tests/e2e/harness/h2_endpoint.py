"""One HTTP/2 connection driven by the h2 library, for clients and servers alike: its frames are handled by a thread, and
its streams (h2_stream) have calls that block. TLS runs in memory, because reading and writing happen in different threads.
"""
import collections
import os
import select
import socket
import ssl
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from h2.connection import ConnectionInputs, H2ConnectionStateMachine

from .client import Truncated
from .h2_stream import Stream
from .wait import PATIENCE

Setting = h2.settings.SettingCodes


class _States(H2ConnectionStateMachine):
    """A GOAWAY ends nothing that runs (RFC 9113 section 6.8); h2 thinks that it ends all."""
    _transitions = {(state, put): (call, state if put in (ConnectionInputs.SEND_GOAWAY, ConnectionInputs.RECV_GOAWAY) else target)
                    for (state, put), (call, target) in H2ConnectionStateMachine._transitions.items()}


class _Connection(h2.connection.H2Connection):
    def __init__(self, config):
        super().__init__(config)
        self.state_machine = _States()

    @property
    def open_inbound_streams(self):
        """A stream too many is for its owner to refuse (section 5.1.2); h2 would end the connection."""
        self._open_streams(int(not self.config.client_side))  # forgets those that are closed
        return 0

    def clear_outbound_data_buffer(self):
        """h2 would forget what waits to be sent when a GOAWAY comes."""


class Endpoint:
    """A connection. on_stream(stream) is called by the reading thread when the peer has begun a stream."""

    def __init__(self, sock, client, tls=None, name=None, settings=None, connection_window=0, timeout=PATIENCE, ack=True,
                 on_stream=None, strict=True):
        """settings: initial ones; connection_window: how much more than 65,535; ack: give the connection's window back at once."""
        self.raw, self.timeout, self.on_stream, self.ack = sock, timeout, on_stream, ack
        self.cond = threading.Condition(threading.RLock())
        self.streams, self.goaways, self.pings, self.unknown = {}, [], [], []
        self.order = []             # the stream of each DATA frame that brought something, as they came
        self.lost = None            # why it ended; "" for an orderly end
        self.error = None           # what h2 said of the peer
        self.settings_acked = 0
        self.settings_seen = 0
        self.reading = threading.Event()
        self.reading.set()
        self._out, self.queued = collections.deque(), 0
        self._closing = self._ended = False
        self._threads, self._starting = [], threading.Lock()
        self._owed = 0
        self._wake = os.eventfd(0)
        self.tls = None
        self.alpn = None
        sock.settimeout(timeout)
        if tls:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = tls.wrap_bio(self._incoming, self._outgoing, server_side=not client, server_hostname=name if client else None)
            self._handshake()
            self.alpn = self.tls.selected_alpn_protocol()
        config = h2.config.H2Configuration(client_side=client, header_encoding="latin1", validate_outbound_headers=strict,
                                           normalize_outbound_headers=strict)
        self.h2 = _Connection(config)
        values = {Setting.MAX_CONCURRENT_STREAMS: 1000, Setting.MAX_HEADER_LIST_SIZE: 1 << 18, **(settings or {})}
        if client:
            values.setdefault(Setting.ENABLE_PUSH, 0)
        self.h2.decoder.max_header_list_size = 1 << 20
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=values)
        self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.stream_window = values.get(Setting.INITIAL_WINDOW_SIZE, 65535)
        self._connection_window = connection_window

    def begin(self):
        """Sends the preface, and runs from now on."""
        with self.cond:
            self.h2.initiate_connection()
            if self._connection_window:
                self.h2.increment_flow_control_window(self._connection_window)
            self.flush()
        # A server that is stopped at this very moment closes it from another thread.
        with self._starting:
            if self._closing:
                self.lost = "closed before it began"
            else:
                self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._write)]
                for thread in self._threads:
                    thread.start()
        return self

    # --- TLS in memory

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self._send_tls()
                return
            except ssl.SSLWantReadError:
                self._send_tls()
                data = self.raw.recv(65536)
                if not data:
                    raise ConnectionError("the peer left during the handshake") from None
                self._incoming.write(data)

    def _send_tls(self):
        data = self._outgoing.read()
        if data:
            self.raw.sendall(data)

    def decrypt(self, data):
        self._incoming.write(data)
        out = []
        while True:
            try:
                piece = self.tls.read(65536)
            except ssl.SSLWantReadError:
                return b"".join(out), False
            except ssl.SSLZeroReturnError:
                return b"".join(out), True
            if not piece:
                return b"".join(out), True
            out.append(piece)

    # --- sending; all with the lock held

    def flush(self):
        self.put(self.h2.data_to_send())

    def put(self, data):
        """Bytes for the peer, past h2: tests use it for what h2 would not send."""
        if not data or self.lost is not None:
            return
        with self.cond:
            if self.tls:
                self.tls.write(data)
                data = self._outgoing.read()
            self._out.append(data)
            self.queued += len(data)
            self.cond.notify_all()

    def _write(self):
        while True:
            with self.cond:
                while not self._out and not self._closing and self.lost is None:
                    self.cond.wait()
                if not self._out:
                    return
                data = b"".join(self._out)
                self._out.clear()
            at = 0
            while at < len(data):
                try:
                    sent = self.raw.send(data[at:at + 65536])
                except socket.timeout:
                    if self._closing or self.lost is not None:
                        return
                    continue
                except OSError:  # the reader tells why
                    with self.cond:
                        self._out.clear()
                        self.queued = 0
                        self.cond.notify_all()
                    return
                at += sent
                with self.cond:
                    self.queued -= sent
                    self.cond.notify_all()

    # --- receiving

    def _read(self):
        why, poll = "", select.poll()
        poll.register(self.raw.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            if self.tls:
                with self.cond:
                    self._take(self.decrypt(b"")[0])  # what came with the end of the handshake
            while not self._closing:
                self.reading.wait()
                if not self._readable(poll):
                    continue
                data = self.raw.recv(65536)
                if not data:
                    break
                with self.cond:
                    data, over = self.decrypt(data) if self.tls else (data, False)
                    self._take(data)
                    if over:
                        break
        except h2.exceptions.ProtocolError as error:
            self.error = error
            why = f"h2 refused it: {error!r}"
            with self.cond:
                self.flush()
        except (OSError, ssl.SSLError) as error:
            why = repr(error)
        with self.cond:
            self.lost = why
            self.cond.notify_all()

    def _readable(self, poll):
        found = {fd for fd, _ in poll.poll(1000)}
        return self.raw.fileno() in found and self._wake not in found

    def _take(self, data):
        for event in self.h2.receive_data(data):
            self._event(event)
        if self.ack and self._owed >= 16384:
            self.h2.increment_flow_control_window(self._owed)
            self._owed = 0
        self.flush()
        self.cond.notify_all()

    def _event(self, event):
        events = h2.events
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, events.RequestReceived):
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id)
            stream.headers = event.headers
            stream.ended = event.stream_ended is not None
            if self.on_stream:
                self.on_stream(stream)
        elif isinstance(event, events.DataReceived):
            self._owed += event.flow_controlled_length
            if stream:
                stream.buffer += event.data
                stream.received += len(event.data)
                if event.data:
                    self.order.append(stream.id)
                stream._owed += event.flow_controlled_length - len(event.data)
        elif isinstance(event, events.ResponseReceived):
            stream.headers = event.headers
        elif isinstance(event, events.InformationalResponseReceived):
            stream.interim.append(event.headers)
        elif isinstance(event, events.TrailersReceived):
            stream.trailers = list(event.headers)
        elif isinstance(event, events.StreamEnded) and stream:
            stream.ended = True
        elif isinstance(event, events.StreamReset) and stream:
            if event.remote_reset:
                stream.reset_code = event.error_code
            else:
                stream.gone = True
        elif isinstance(event, events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, event.error_code, event.additional_data or b""))
        elif isinstance(event, events.PingAckReceived):
            self.pings.append(event.ping_data)
        elif isinstance(event, events.RemoteSettingsChanged):
            self.settings_seen += 1
        elif isinstance(event, events.SettingsAcknowledged):
            self.settings_acked += 1
        elif isinstance(event, events.UnknownFrameReceived):
            self.unknown.append(event.frame)

    # --- tests' tools

    def until(self, condition, what, timeout=None):
        end = time.monotonic() + (timeout or self.timeout)
        with self.cond:
            while not condition():
                if self.lost is not None and not condition():
                    raise Truncated(f"the connection ended ({self.lost}) while waiting for {what}")
                if not self.cond.wait(max(0.01, end - time.monotonic())) and time.monotonic() > end:
                    raise socket.timeout(f"waited for {what}")

    def ping(self, timeout=None):
        """A round trip: whatever was sent before has been read by the peer."""
        data = os.urandom(8)
        with self.cond:
            self.h2.ping(data)
            self.flush()
        self.until(lambda: data in self.pings, "a PING's answer", timeout)

    def goaway(self, last=None, code=0, debug=b""):
        """Sends a GOAWAY. last None: the newest stream there is."""
        last = self.h2.highest_inbound_stream_id if last is None else last
        body = struct.pack("!II", last, code) + debug
        with self.cond:
            self.put(frame(7, 0, 0, body))

    def pause(self):
        """No more reading from the socket until resume()."""
        self.reading.clear()

    def resume(self):
        self.reading.set()

    def wait_lost(self, timeout=None):
        """Waits for the connection's end; "" for an orderly one."""
        with self.cond:
            if not self.cond.wait_for(lambda: self.lost is not None, timeout or self.timeout):
                raise socket.timeout("the connection stays open")
            return self.lost

    def drain_out(self, timeout=PATIENCE):
        with self.cond:
            self.cond.wait_for(lambda: not self.queued or self.lost is not None, timeout)

    def close(self, reset=False):
        """Ends the connection: orderly, or with an RST."""
        with self.cond:
            if self._ended:
                return
            self._ended = True
        if not reset and self.lost is None:
            self.drain_out()
            if self.tls:
                with self.cond:
                    try:
                        self.tls.unwrap()
                    except ssl.SSLError:
                        pass
                    data = self._outgoing.read()
                    if data:
                        self._out.append(data)
                        self.queued += len(data)
                        self.cond.notify_all()
                self.drain_out(1)
        if reset:
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self._starting:
            self._closing = True
        self.reading.set()
        os.eventfd_write(self._wake, 1)
        with self.cond:
            self.cond.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(PATIENCE)
        self.raw.close()
        os.close(self._wake)


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload
