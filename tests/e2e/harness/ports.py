"""Free TCP ports, safe for tests that run side by side.

A port is taken below the kernel's ephemeral range, so no outgoing connection can grab it between the choice and the bind,
and its byte of a common file is locked for the life of this process, so no other test process chooses it.
"""
import fcntl
import os
import random
import socket
import tempfile

_LOCKS = os.path.join(tempfile.gettempdir(), f"sallyport-ports-{os.getuid()}.lock")
_file = None
_ours = set()  # a process can lock twice what it holds already


def _range():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            ephemeral = int(f.read().split()[0])
    except OSError:
        ephemeral = 32768
    return (12000, min(ephemeral, 32768) - 1) if ephemeral > 14000 else (12000, 32000)


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


def has_ipv6():
    """Whether this machine has ::1; some containers do not."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port():
    global _file
    if _file is None:
        _file = open(_LOCKS, "ab")
    first, last = _range()
    for _ in range(5000):
        port = random.randint(first, last)
        if port in _ours:
            continue
        try:
            fcntl.lockf(_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            continue
        _ours.add(port)
        if _bindable(port):
            return port
    raise RuntimeError("no free port found")
