"""Servers to put behind the gateway: a thread per connection, scripted by a function."""
import select
import socket
import ssl
import struct
import threading
import time

from .client import Stream, Truncated, reset
from .wait import PATIENCE, until


class Conn(Stream):
    """The server's end of one connection. `hello`: the raw ClientHello bytes; `proxy`: the PROXY header, where one was read."""

    def __init__(self, server, sock, peer):
        super().__init__(sock)
        self.server, self.peer = server, peer
        self.raw = sock
        self.hello = b""
        self.proxy = None
        self.ended_by = None
        self.tls_reused = False

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        reset(self.sock)

    def shut(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def wait_gone(self, timeout=PATIENCE):
        """Reads until the peer ends it; True for an RST, False for a FIN."""
        self.sock.settimeout(timeout)
        try:
            while self.sock.recv(65536):
                pass
            return False
        except ConnectionError:
            return True


def peek_hello(sock):
    """The records of the ClientHello, left in the socket."""
    size, message = 0, 0
    while True:
        seen = sock.recv(size + 5, socket.MSG_PEEK | socket.MSG_WAITALL)
        if len(seen) < size + 5 or seen[0] != 22:
            return seen
        length = struct.unpack_from("!H", seen, size + 3)[0]
        size += 5 + length
        message += length
        seen = sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)
        body, at = b"", 0
        while at < len(seen):
            step = struct.unpack_from("!H", seen, at + 3)[0]
            body += seen[at + 5:at + 5 + step]
            at += 5 + step
        if len(body) >= 4 and len(body) >= 4 + int.from_bytes(body[1:4], "big"):
            return seen
        if len(seen) < size:
            return seen


def read_proxy(sock):
    """Reads a PROXY header, exactly to its end: (version, source ip, source port, raw) with None for UNKNOWN and LOCAL."""
    raw = sock.recv(5, socket.MSG_WAITALL)
    if raw == b"PROXY":
        while not raw.endswith(b"\r\n") and len(raw) < 108:
            byte = sock.recv(1)
            if not byte:
                raise Truncated("PROXY v1")
            raw += byte
        words = raw.decode().split()
        return (1, words[2], int(words[4]), raw) if words[1] != "UNKNOWN" else (1, None, None, raw)
    raw += sock.recv(11, socket.MSG_WAITALL)
    if raw[:12] != b"\r\n\r\n\0\r\nQUIT\n":
        raise Truncated(f"no PROXY header: {raw!r}")
    size = struct.unpack_from("!H", raw, 14)[0]
    body = sock.recv(size, socket.MSG_WAITALL) if size else b""
    family = raw[13] >> 4
    if raw[12] & 15 == 0 or family == 0:
        return (2, None, None, raw + body)
    if family == 1:
        return (2, socket.inet_ntop(socket.AF_INET, body[:4]), struct.unpack_from("!H", body, 8)[0], raw + body)
    return (2, socket.inet_ntop(socket.AF_INET6, body[:16]), struct.unpack_from("!H", body, 32)[0], raw + body)


class Server:
    """handler(conn) runs once per connection; errors of the peer's making end it quietly, others are kept in `errors`."""

    def __init__(self, handler=None, tls=None, proxy=False, host="127.0.0.1", port=0, path=None, timeout=60.0, backlog=512):
        if handler:
            self.handler = handler
        self.tls, self.proxy, self.timeout = tls, proxy, timeout
        self.conns, self.errors = [], []
        self.lock = threading.Lock()
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = f"unix:{path}"
            self.port = 0
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
            self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.listener.listen(backlog)
        self.running = True
        threading.Thread(target=self._accept, daemon=True).start()

    def handler(self, conn):
        raise NotImplementedError

    def _accept(self):
        while self.running:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            if not self.running:
                sock.close()
                return
            sock.settimeout(self.timeout)
            conn = Conn(self, sock, peer)
            with self.lock:
                self.conns.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            if conn.raw.family != socket.AF_UNIX:
                conn.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.proxy or self.tls:
                conn.raw.settimeout(None)  # MSG_WAITALL waits on blocking sockets only
                conn.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(self.timeout), 0))
            if self.proxy:
                conn.proxy = read_proxy(conn.raw)
            if self.tls:
                conn.hello = peek_hello(conn.raw)
            conn.raw.settimeout(self.timeout)
            if self.tls:
                conn.sock = self.tls.wrap_socket(conn.raw, server_side=True)
                conn.tls_reused = bool(conn.sock.session_reused)
            self.handler(conn)
            conn.ended_by = "handler"
        except (Truncated, ConnectionError, ssl.SSLError, socket.timeout, OSError) as error:
            conn.ended_by = error
        except Exception as error:  # a fault in the test's own script
            self.errors.append(error)
            conn.ended_by = error
        finally:
            try:
                conn.sock.close()
                conn.raw.close()
            except OSError:
                pass

    def conn(self, index=0, timeout=PATIENCE):
        """The connection with this number, once it has come."""
        until(lambda: len(self.conns) > index, f"the server at {self.address} saw {len(self.conns)} connections", timeout)
        return self.conns[index]

    def stop(self):
        self.running = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


    def kill(self):
        """As the end of a process: nobody listens any more, and what is open is closed."""
        self.stop()
        for conn in self.conns:
            try:
                conn.raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def open_now(self):
        """How many connections have not been ended by the peer."""
        return sum(is_established(conn.raw) for conn in list(self.conns))


def is_established(sock):
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # TCP_ESTABLISHED
    except OSError:
        return False


def echo(conn):
    """Sends back what comes; a FIN is answered with a FIN, after the last byte."""
    while True:
        data = conn.sock.recv(65536)
        if not data:
            if not isinstance(conn.sock, ssl.SSLSocket):
                conn.shut()
            return
        conn.send(data)


def banner(text=b"SSH-2.0-OpenSSH_9.2 test\r\n"):
    """A server that speaks first, then echoes: SSH's order of things."""
    def handler(conn):
        conn.send(text)
        echo(conn)
    return handler


def refused_port():
    """A port on which connecting is refused (and stays so: it is held by a socket that does not listen)."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    _held.append(sock)
    return sock.getsockname()[1]


_held = []


class FullListener:
    """A listener whose backlog is full: it answers no SYN, so that a connect neither succeeds nor fails."""

    def __init__(self):
        self._full = socket.socket()
        self._full.bind(("127.0.0.1", 0))
        self._full.listen(0)
        self.address = "127.0.0.1:%d" % self._full.getsockname()[1]
        self._fillers = [socket.socket() for _ in range(3)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(self._full.getsockname())
        assert select.select([self._full], [], [], PATIENCE)[0], "the one place is taken"

    def close(self):
        for one in (*self._fillers, self._full):
            one.close()


def pause(event, timeout=PATIENCE):
    """Blocks a handler until the test sets the event."""
    if not event.wait(timeout):
        raise Truncated("the test never went on")


def clock():
    return time.monotonic()
