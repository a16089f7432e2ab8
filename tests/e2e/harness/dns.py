"""A DNS server on a loopback address of its own, and a way to make only the gateway ask it (a private /etc/resolv.conf)."""
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

A, AAAA, SRV = 1, 28, 33


class DnsServer:
    """zone: name -> list of IPv4 and IPv6 addresses, or of SRV records (priority, weight, port, target).

    A name that is missing does not exist; None: no answer comes at all. `ttls` has the names whose TTL is not `ttl`.
    `down`: what every question meets instead, "silent", "servfail" or "nxdomain".
    """

    def __init__(self, zone=None, ttl=1):
        self.zone, self.ttl, self.ttls = dict(zone or {}), ttl, {}
        self.down = None
        self.asked = []
        self.dir = tempfile.mkdtemp(prefix="sp-dns-")
        for _ in range(50):  # port 53 is not a choice that resolv.conf gives; the address is
            self.host = f"127.{random.randint(64, 127)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind((self.host, 53))
                break
            except OSError:
                self.udp.close()
        self.resolv_conf(self.host)
        threading.Thread(target=self._serve, daemon=True).start()

    def resolv_conf(self, host):
        """Writes who is to be asked."""
        with open(os.path.join(self.dir, "resolv.conf"), "w") as f:
            f.write(f"nameserver {host}\noptions timeout:1 attempts:2\n")

    def wrapper(self):
        """A command in front of the gateway's: its own view of /etc/resolv.conf."""
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, os.path.join(self.dir, "resolv.conf"))

    def times(self, name, kind=A):
        """How often a name was asked for."""
        return self.asked.count((name, kind))

    def _serve(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, (kind,) = ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)
            self.asked.append((name, kind))
            code, entries = self._answer(name)
            if code is None:
                continue
            answers = [data for entry in entries if (data := _data(entry, kind)) is not None]
            reply = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0) + query[12:at + 5]
            for data in answers:
                reply += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttls.get(name, self.ttl), len(data)) + data
            self.udp.sendto(reply, peer)

    def _answer(self, name):
        """The response code, None for no answer, and what the name stands for."""
        if self.down:
            return {"silent": None, "servfail": 2, "nxdomain": 3}[self.down], []
        entries = self.zone.get(name, ())
        if entries is None:
            return None, []
        return (0 if name in self.zone else 3), list(entries)

    def stop(self):
        self.udp.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def _data(entry, kind):
    """A record's data; None if it is of another type than asked for."""
    if isinstance(entry, tuple):
        priority, weight, port, target = entry
        labels = b"".join(bytes([len(label)]) + label.encode() for label in target.split("."))
        return struct.pack("!HHH", priority, weight, port) + labels + b"\0" if kind == SRV else None
    family = socket.AF_INET6 if ":" in entry else socket.AF_INET
    return socket.inet_pton(family, entry) if kind == (AAAA if family == socket.AF_INET6 else A) else None


def can_isolate():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
