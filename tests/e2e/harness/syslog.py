"""A syslog server that reads RFC 5424 strictly, and a journald that is a socket."""
import os
import re
import socket
import struct
import threading

from .wait import PATIENCE, until

# RFC 5424 section 6: no optional part but structured data and the message.
MESSAGE = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) "
    rb"(?P<pid>[!-~]{1,128}) (?P<id>[!-~]{1,32}) (?P<data>-) (?P<text>[^\x00-\x1f\x7f]*)", re.S)


class Message:
    def __init__(self, raw):
        match = MESSAGE.fullmatch(raw)
        assert match, f"not RFC 5424: {raw!r}"
        assert not match["pri"].startswith(b"0") or match["pri"] == b"0"
        self.facility, self.severity = divmod(int(match["pri"]), 8)
        assert self.facility < 24
        self.time, self.host, self.app, self.pid, self.id = (match[k].decode() for k in ("time", "host", "app", "pid", "id"))
        self.text = match["text"].decode()

    def __repr__(self):
        return f"<{self.facility}.{self.severity} {self.id} {self.text}>"


class SyslogServer:
    """kind: udp, tcp, unix (datagrams) or unix-stream. `reads`: an event; while it is not set nothing is taken."""

    def __init__(self, kind, path=None, port=0):
        self.kind, self.path = kind, path
        self.messages, self.errors, self.conns = [], [], []
        self.reads = threading.Event()
        self.reads.set()
        self.stopping = False
        family = socket.AF_UNIX if kind.startswith("unix") else socket.AF_INET
        stream = kind in ("tcp", "unix-stream")
        self.sock = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not stream:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind(path if path else ("127.0.0.1", port))
        if stream:
            self.sock.listen(8)
        self.port = None if path else self.sock.getsockname()[1]
        self.sock.settimeout(0.05)
        self.threads = [threading.Thread(target=self._accept if stream else self._datagrams, daemon=True)]
        self.threads[0].start()

    @property
    def target(self):
        return f"syslog:unix:{self.path}" if self.path else f"syslog:{self.kind}:127.0.0.1:{self.port}"

    def _take(self, raw):
        try:
            self.messages.append(Message(raw))
        except AssertionError as error:
            self.errors.append(str(error))

    def _datagrams(self):
        while not self.stopping:
            if not self.reads.wait(0.05):
                continue
            try:
                self._take(self.sock.recv(65536))
            except TimeoutError:
                pass
            except OSError:
                return

    def _accept(self):
        while not self.stopping:
            try:
                conn = self.sock.accept()[0]
            except TimeoutError:
                continue
            except OSError:
                return
            self.conns.append(conn)
            self.threads.append(threading.Thread(target=self._stream, args=(conn,), daemon=True))
            self.threads[-1].start()

    def _stream(self, conn):
        buffer = b""
        conn.settimeout(0.05)
        while not self.stopping:
            if not self.reads.wait(0.05):
                continue
            try:
                data = conn.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            buffer += data
            while True:
                if self.kind == "unix-stream":
                    line, end, rest = buffer.partition(b"\n")
                    if not end:
                        break
                    buffer = rest
                    self._take(line)
                    continue
                # RFC 6587 section 3.4.1: a length without zeros in front, a space, the message.
                match = re.match(rb"([1-9]\d*) ", buffer)
                if not match:
                    if not re.fullmatch(rb"([1-9]\d*)?", buffer):
                        self.errors.append(f"no octet count: {buffer[:80]!r}")
                        return
                    break
                end = match.end() + int(match[1])
                if len(buffer) < end:
                    break
                self._take(buffer[match.end():end])
                buffer = buffer[end:]

    def wait(self, text, count=1, timeout=PATIENCE):
        """Waits for so many messages with this text; returns the last of them."""
        def found():
            assert not self.errors, self.errors
            return [m for m in list(self.messages) if text in m.text]
        until(lambda: len(found()) >= count, lambda: f"{text!r} in {self.messages[-10:]}", timeout)
        return found()[-1]

    def stop(self):
        self.stopping = True
        self.sock.close()
        for conn in self.conns:
            conn.close()
        for thread in self.threads:
            thread.join(PATIENCE)
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
        assert not self.errors, self.errors


class Journal:
    """What journald is to its clients: a datagram socket, and fields in its native protocol."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(os.path.join(folder, "socket"))
        self.sock.settimeout(0.05)
        self.entries = []
        self.stopping = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def wrapper(self):
        """A command in front of the gateway's: its own view of /run/systemd/journal."""
        script = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"'
        return ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, self.folder)

    def _read(self):
        while not self.stopping:
            try:
                self.entries.append(self.parse(self.sock.recv(1 << 20)))
            except TimeoutError:
                pass
            except OSError:
                return

    @staticmethod
    def parse(raw):
        """https://systemd.io/JOURNAL_NATIVE_PROTOCOL: NAME=value, or NAME, a length, the value. A list: names may come twice."""
        out = []
        while raw:
            line, _, rest = raw.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = struct.unpack("<Q", rest[:8])[0]
                value, rest = rest[8:8 + size], rest[9 + size:]
            out.append((name.decode(), value.decode()))
            raw = rest
        return out

    def wait(self, timeout=PATIENCE, **match):
        def found():
            return [dict(e) for e in list(self.entries) if all(dict(e).get(k) == v for k, v in match.items())]
        until(found, lambda: f"{match} in {self.entries[-5:]}", timeout)
        return found()[-1]

    def stop(self):
        self.stopping = True
        self.sock.close()
        self.thread.join(PATIENCE)
