"""Plays systemd: holds listening sockets, keeps what it is given (FDSTORE), and hands all of it to each gateway it starts."""
import os
import socket
import sys

# Descriptors from 3 on, LISTEN_PID the process's own (sd_listen_fds(3)); nothing else is passed on.
HAND_OVER = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 200) for fd in sys.argv[1].split(",")]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
os.closerange(3 + len(high), 20000)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    def __init__(self, gateway, config, watchdog=None, keeps=True):
        """gateway: the fixture. watchdog: WatchdogSec=, in seconds. keeps: whether FileDescriptorStoreMax= allows for anything."""
        self._gateway, self.config = gateway, config
        self._env = {} if watchdog is None else {"WATCHDOG_USEC": str(int(watchdog * 1e6))}
        self._keeps = keeps
        self.sockets = []  # (name, socket): of .socket units
        self.kept = []     # (name, descriptor)

    def hold(self, name, sock):
        self.sockets.append((name, sock))
        return sock

    def listen(self, name, address=("127.0.0.1", 0), family=socket.AF_INET, backlog=4096, both=False):
        """A .socket unit; returns its port (or path)."""
        one = self.hold(name, socket.socket(family))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        one.bind(address)
        one.listen(backlog)
        where = one.getsockname()
        return where if family == socket.AF_UNIX else where[1]

    def start(self, **kw):
        handed = [(name, sock.fileno()) for name, sock in self.sockets] + self.kept
        if handed:
            numbers = [number for _, number in handed]
            kw = {"wrapper": (sys.executable, "-c", HAND_OVER, ",".join(map(str, numbers))), "pass_fds": numbers, **kw}
        env = {**self._env, **({"LISTEN_FDS": str(len(handed)), "LISTEN_FDNAMES": ":".join(n for n, _ in handed)} if handed else {}),
               **kw.pop("env", {})}
        # Without waiting for its descriptors to stand still: there may be clients all the while.
        running = self._gateway(config=self.config, env=env, store=self, wait_ready=False, **kw)
        running.wait_notified(b"READY=1")
        return running

    def take(self, text, fds):
        """What came with a message; returns those that are not kept."""
        fields = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
        name = fields.get("FDNAME", "stored")
        if "FDSTOREREMOVE" in fields:
            for gone in [entry for entry in self.kept if entry[0] == name]:
                self.kept.remove(gone)
                os.close(gone[1])
        if "FDSTORE" not in fields or not self._keeps:
            return fds
        self.kept += [(name, fd) for fd in fds]
        return []

    def close(self):
        """As `systemctl stop` of all of it."""
        for _, sock in self.sockets:
            sock.close()
        for _, fd in self.kept:
            os.close(fd)
        self.sockets, self.kept = [], []
