"""The servers behind the soak: HTTP of either version that echoes and moves bulk, some that come and go or die in the middle."""
import collections
import random
import socket
import struct
import threading
import time

from harness import websocket
from harness.h2_endpoint import Setting
from harness.h2_server import H2Server
from harness.h2_sockets import echo as web_socket
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


class SoakH2Server(H2Server):
    """The same over HTTP/2, with gRPC's way of talking at /chat. tls: a context whose ALPN list has h2."""

    def __init__(self, tls=None, **kw):
        super().__init__(self.reply, tls, {Setting.ENABLE_CONNECT_PROTOCOL: 1}, auto_body=False, timeout=60, **kw)
        self.requests, self.conns = collections.deque(maxlen=4), collections.deque(maxlen=4)
        self.streams, self.protocols = collections.deque(maxlen=4), collections.deque(maxlen=4)

    def handler(self, conn):
        try:
            super().handler(conn)
        finally:
            with self.lock:
                self.endpoints = [one for one in self.endpoints if one.lost is None]

    def _answer(self, request):
        super()._answer(request)
        with request.endpoint.cond:
            if request.stream.over():
                request.endpoint.streams.pop(request.stream.id, None)

    def reply(self, request):
        if request.method == "CONNECT" or request.get("upgrade"):
            return web_socket(request)
        stream, target = request.stream, request.target
        if target == "/sink":
            size = 0
            while piece := stream.read():
                size += len(piece)
            return response(200, str(size))
        if target.startswith("/source/"):
            left = int(target.rpartition("/")[2])
            stream.send_headers([(":status", "200"), ("content-length", str(left))])
            stream.send(memoryview(BLOCK)[:left] if left <= len(BLOCK) else bytes(left), end=True)
            return None
        if target == "/chat":
            return self.chat(request)
        request.body = stream.rest()
        return response(200, request.body if target == "/echo" else target)

    @staticmethod
    def chat(request):
        """Each piece goes back as it comes; the status is in the trailers."""
        stream = request.stream
        stream.send_headers([(":status", "200"), ("content-type", "application/grpc")])
        stream.send(b"hello")
        while piece := stream.read():
            stream.send(piece)
        stream.end([("grpc-status", "0")])

    def stop(self):
        HttpServer.stop(self)

    def end_connections(self):
        with self.lock:
            endpoints = list(self.endpoints)
        for one in endpoints:
            if all(stream.over() for stream in list(one.streams.values())) and random.random() < 0.5:
                one.goaway()
                one.close()
            else:
                one.close(reset=True)


class Flapping:
    """Listens for a while, then not, on one port. `lock` is held while it changes; make(port=) makes the server."""

    def __init__(self, lock, make=SoakServer):
        self.port, self.lock, self.make = free_port(), lock, make
        self.address = f"127.0.0.1:{self.port}"
        self.server = make(port=self.port)
        self.changes = 0

    def run(self, until):
        while time.monotonic() < until:
            time.sleep(random.uniform(0.3, 1.5))
            with self.lock:
                if self.server:
                    self.stop()
                else:
                    self.server = self.make(port=self.port)
                self.changes += 1
        with self.lock:
            self.server = self.server or self.make(port=self.port)

    def stop(self):
        if self.server:
            self.server.stop()
            self.server.end_connections()
            self.server = None


class Dying:
    """Resets all its connections now and then, whatever they are doing, and is away for a moment."""

    def __init__(self, make=SoakServer):
        self.flapping = Flapping(threading.Lock(), make)
        self.address = self.flapping.address
        self.run, self.stop = self.flapping.run, self.flapping.stop
