"""A DNS server on a loopback address of its own, and a way to make only the gateway ask it (a private /etc/resolv.conf)."""
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading


class DnsServer:
    """zone: name -> list of IPv4 addresses; a name that is missing does not exist; None: no answer comes at all."""

    def __init__(self, zone=None, ttl=1):
        self.zone, self.ttl = dict(zone or {}), ttl
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
        with open(os.path.join(self.dir, "resolv.conf"), "w") as f:
            f.write(f"nameserver {self.host}\noptions timeout:1 attempts:2\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def wrapper(self):
        """A command in front of the gateway's: its own view of /etc/resolv.conf."""
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, os.path.join(self.dir, "resolv.conf"))

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
            if name in self.zone and self.zone[name] is None:
                continue
            addresses = self.zone.get(name)
            answers = [socket.inet_aton(a) for a in addresses or () if kind == 1]
            code = 0 if addresses is not None else 3
            reply = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0) + query[12:at + 5]
            for address in answers:
                reply += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, self.ttl, 4) + address
            self.udp.sendto(reply, peer)

    def stop(self):
        self.udp.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def can_isolate():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
