"""The servers behind the soak: HTTP that echoes and moves bulk, one that comes and goes, one that dies in the middle."""
import collections
import random
import socket
import struct
import threading
import time

from harness import websocket
from harness.http_server import HttpServer, response
from harness.ports import free_port

BLOCK = bytes(1 << 20)


class SoakServer(HttpServer):
    """Keeps no list of all that it has seen."""

    def __init__(self, **kw):
        self.live = set()
        super().__init__(answer=self.reply, auto_body=False, timeout=60, **kw)
        self.requests = collections.deque(maxlen=4)
        self.conns = collections.deque(maxlen=4)

    def handler(self, conn):
        with self.lock:
            self.live.add(conn)
        try:
            super().handler(conn)
        finally:
            with self.lock:
                self.live.remove(conn)

    def reply(self, request):
        conn, target = request.conn, request.target
        if request.get("upgrade"):
            return websocket.serve(request)
        if target == "/sink":
            left = size = int(request.get("content-length"))
            left -= len(conn.buffer)
            conn.buffer = b""
            while left:
                got = len(conn.sock.recv(min(left, 1 << 20)))
                if not got:
                    return None
                left -= got
            return response(200, str(size))
        if target.startswith("/source/"):
            left = int(target.rpartition("/")[2])
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
            while left:
                step = min(left, len(BLOCK))
                conn.send(BLOCK[:step])
                left -= step
            return b""
        self.read_body(request)
        return response(200, request.body if target == "/echo" else target)

    def end_connections(self):
        """Each handler wakes, and closes its own socket: a close from here would leave it reading."""
        with self.lock:
            live = list(self.live)
        for conn in live:
            try:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", random.randrange(2), 0))
                socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
            except OSError:
                pass


class Flapping:
    """Listens for a while, then not, on one port. `lock` is held while it changes."""

    def __init__(self, lock):
        self.port, self.lock = free_port(), lock
        self.address = f"127.0.0.1:{self.port}"
        self.server = SoakServer(port=self.port)
        self.changes = 0

    def run(self, until):
        while time.monotonic() < until:
            time.sleep(random.uniform(0.3, 1.5))
            with self.lock:
                if self.server:
                    self.stop()
                else:
                    self.server = SoakServer(port=self.port)
                self.changes += 1
        with self.lock:
            self.server = self.server or SoakServer(port=self.port)

    def stop(self):
        if self.server:
            self.server.stop()
            self.server.end_connections()
            self.server = None


class Dying:
    """Resets all its connections now and then, whatever they are doing, and is away for a moment."""

    def __init__(self):
        self.flapping = Flapping(threading.Lock())
        self.address = self.flapping.address
        self.run, self.stop = self.flapping.run, self.flapping.stop
