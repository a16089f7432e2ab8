"""Peers that take turns with the gateway: whoever sends or closes waits first until the gateway is asleep.

So what arrives together and what apart is the same in every run, on a busy machine and under tools that slow the gateway down a
hundred times.
"""
import os
import ssl
import time

from harness.wait import PATIENCE


class Rest:
    """Knows whether the gateway has nothing left to do: each thread sleeps in the system call it idles in."""

    def __init__(self):
        self.threads = {}  # thread -> (syscall file, stat file, number of the call it idles in)
        self.names = {}
        self.pid = self.fds = 0

    def watch(self, gateway):
        self.pid = gateway.pid
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            folder = f"/proc/{self.pid}/task/{thread}"
            with open(f"{folder}/comm") as f:
                self.names[int(thread)] = f.read().strip()
            self.threads[int(thread)] = [os.open(f"{folder}/syscall", os.O_RDONLY), os.open(f"{folder}/stat", os.O_RDONLY), None]
        same, before, end = 0, None, time.monotonic() + PATIENCE
        while same < 5:
            now = [self._place(thread) for thread in self.threads]
            same, before = (same + 1, now) if now == before and None not in now else (0, now)
            assert time.monotonic() < end, f"the gateway does not come to rest: {now}"
            time.sleep(0.01)
        for thread, place in zip(self.threads.values(), before):
            thread[2] = place

    def forget(self):
        for call, stat, _ in self.threads.values():
            os.close(call)
            os.close(stat)
        self.threads = {}

    def _place(self, thread):
        """The number of the system call a thread sleeps in; None for one that runs, or that a tracer holds."""
        call, stat, _ = self.threads[thread]
        number = os.pread(call, 256, 0).split()[0]
        state = os.pread(stat, 512, 0).rsplit(b")", 1)[1].split()[0]
        return number if state == b"S" and number != b"running" else None

    def _resting(self):
        return all(self._place(thread) == data[2] for thread, data in self.threads.items())

    def wait(self):
        """Twice in a row: what the loopback device still holds has been delivered meanwhile."""
        same, end = 0, time.monotonic() + PATIENCE
        while same < 2 and self.threads:
            same = same + 1 if self._resting() else 0
            assert time.monotonic() < end, f"the gateway does not come to rest: {self.names}"
            time.sleep(0.0001)

    def count_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def wait_closed(self, fds):
        """Until it has no more descriptors than this, and rests."""
        end = time.monotonic() + PATIENCE
        while self.count_fds() > fds:
            assert time.monotonic() < end, "a connection stays open"
            time.sleep(0.0002)
        self.wait()


class Plain:
    """A connected socket that takes turns."""
    session_reused = False

    def __init__(self, sock, rest):
        self.sock, self.rest = sock, rest

    def sendall(self, data):
        self.rest.wait()
        self.sock.sendall(data)

    def recv(self, count):
        return self.sock.recv(count)

    def close(self):
        if self.sock.fileno() >= 0:
            self.rest.wait()
            self.sock.close()


class Tls(Plain):
    """TLS over one: each flight and each message is a single send."""

    def __init__(self, sock, rest, context, server_side, name):
        super().__init__(sock, rest)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side, server_hostname=name)
        self._run(self.tls.do_handshake)

    def _flush(self):
        data = self.outgoing.read()
        if data:
            super().sendall(data)

    def _run(self, action):
        while True:
            try:
                out = action()
                self._flush()
                return out
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def sendall(self, data):
        self._run(lambda: self.tls.write(data))

    def recv(self, count):
        try:
            return self._run(lambda: self.tls.read(count))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""


class Context:
    """In the place of an SSLContext, for the harness's Client and Server."""

    def __init__(self, context, rest):
        self.context, self.rest = context, rest

    def wrap_socket(self, sock, server_side=False, server_hostname=None, **_):
        return Tls(sock, self.rest, self.context, server_side, server_hostname)
