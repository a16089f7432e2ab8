"""A running load of real clients, one session after another, and how the servers behind the gateway come to their ends."""
import collections
import os
import signal
import socket
import subprocess
import threading
import time

from .wait import until

# began, ended: time.monotonic(); port: of the server that answered, None where none did; said: what the client was told.
Session = collections.namedtuple("Session", "began ended port said")


def command(*args, env=None, timeout=60):
    """A session as one command, which prints the port of the server that it met. Returns the port or None, and all it said."""
    try:
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout, env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired as hanging:
        return None, f"no end within {timeout} s: {hanging.stdout}"
    words = done.stdout.split()
    return int(words[-1]) if done.returncode == 0 and words and words[-1].isdigit() else None, done.stdout.strip()


class Load:
    """`session()` from several threads at once, again and again, each time a new one; it returns (port or None, text)."""

    def __init__(self, session, threads=4):
        self.session, self.count = session, threads
        self.sessions = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._repeat, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _repeat(self):
        while not self.over.is_set():
            began = time.monotonic()
            port, said = self.session()
            self.sessions.append(Session(began, time.monotonic(), port, said))

    def answered(self, port, since):
        """How many sessions that began after `since` met this server."""
        return sum(one.port == port and one.began >= since for one in list(self.sessions))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(90)
            assert not thread.is_alive(), "a session hangs"


def kill(process):
    """As when the power goes: the server and every process it has for its sessions, at once."""
    process.send_signal(signal.SIGSTOP)  # it makes no more of them
    family = [process.pid, *_children(process.pid)]
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait(60)
    until(lambda: not any(map(_runs, family)), "a process that was killed still runs")


def _children(pid):
    out = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            for child in map(int, f.read().split()):
                out += [child, *_children(child)]
    return out


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def refuses(port):
    """Whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
