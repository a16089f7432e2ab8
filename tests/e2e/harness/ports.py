"""Free TCP ports, safe for tests that run side by side.

A port is taken below the kernel's ephemeral range, so no outgoing connection can grab it between the choice and the bind,
and is held by a lock file for the life of this process, so no other test process chooses it.
"""
import fcntl
import os
import random
import socket
import tempfile

_FOLDER = os.path.join(tempfile.gettempdir(), f"sallyport-ports-{os.getuid()}")
_locks = []  # open files; the locks end with the process


def _bindable(port):
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in (97, 99):  # no IPv6 on this machine
                continue
            return False
    return True


def free_port():
    os.makedirs(_FOLDER, exist_ok=True)
    for _ in range(1000):
        port = random.randint(12000, 32000)
        lock = open(os.path.join(_FOLDER, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if _bindable(port):
            _locks.append(lock)
            return port
        lock.close()
    raise RuntimeError("no free port found")
