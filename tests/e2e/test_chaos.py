"""Clients and servers that misbehave at random moments, while others are served as if nothing were."""
import os
import random
import select
import socket
import ssl
import threading
import time
import urllib.request

import pytest

from harness import websocket
from harness.client import Client, reset
from harness.gateway import sanitized
from harness.http_server import response
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp
from harness.wait import until

NAMES = ("http.example", "edge.example", "re.example", "pass.example", "bytes.example")


def answer(request):
    """Answers by the path; some servers misbehave too."""
    conn = request.conn
    if request.target.startswith("/big"):
        return response(200, b"b" * 3_000_000)
    if request.target == "/reset":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"r" * random.randrange(300_000))
        conn.reset()
        return None
    if request.target == "/close":
        return None
    if request.target == "/junk":
        return os.urandom(200)
    if request.target == "/slow":
        time.sleep(random.random() / 4)
    if request.target == "/ws":
        return websocket.serve(request)
    if request.target == "/early":
        conn.send(response(200, b"early", [("Connection", "close")]))  # else a POST behind it may meet the end, rightly
        return None
    return response(200, b"right " + request.target.encode() + request.body)


def metric(gw, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith((name + " ", name + "{")))


class Chaos:
    def __init__(self, gw, ca, server_ca, seed):
        self.gw, self.random = gw, random.Random(seed)
        self.contexts = {name: ca.client_context() for name in NAMES}
        self.contexts["pass.example"] = server_ca.client_context()

    def connect(self, name, timeout=10):
        if name == "http.example":
            return Client(self.gw.ports["http"], timeout=timeout)
        if name in ("bytes", "ssh"):
            return Client(self.gw.ports["ssh" if name == "ssh" else "bytes"], timeout=timeout)
        return Client(self.gw.ports["https"], tls=self.contexts[name], name=name, timeout=timeout)

    def garbage(self, name):
        """Some bytes of the kind that is expected there, cut or changed, and an end of some kind."""
        rnd = self.random
        kind = rnd.randrange(8)
        port = self.gw.ports[rnd.choice(("http", "https", "ssh", "bytes", "proxied"))]
        if kind < 3:
            with Client(port) as client:
                parts = (os.urandom(rnd.randrange(400)), b"GET / HTTP/1.1\r\nHost: http.example\r\n", b"PROXY TCP4 1.2.3.4 ",
                         b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(60),
                         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"")
                client.send(rnd.choice(parts) + rnd.choice(parts))
                self.end(client)
            return
        with self.connect(name) as client:
            if name in ("bytes", "ssh"):
                client.send((b"SSH-2.0-x\r\n" if name == "ssh" else b"") + os.urandom(rnd.randrange(1, 200_000)))
                self.end(client)
                return
            path = rnd.choice(("/", "/big", "/reset", "/close", "/junk", "/slow", "/early", "/ws"))
            if path == "/ws":
                websocket.upgrade(client, host=name)
                client.send(websocket.frame(os.urandom(rnd.randrange(100_000)), True))
            elif rnd.random() < 0.3:
                client.send(f"POST {path} HTTP/1.1\r\nHost: {name}\r\nContent-Length: 900000\r\n\r\n".encode())
                client.send(os.urandom(rnd.randrange(900_000)))
            elif rnd.random() < 0.3:
                client.send((f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n" * rnd.randrange(1, 30)).encode())
            else:
                client.send_request("GET", path, name)
            self.end(client)

    def end(self, client):
        rnd = self.random
        for _ in range(rnd.randrange(4)):
            if rnd.random() < 0.5:
                time.sleep(rnd.random() / 50)
            elif select.select([client.raw if client.raw.fileno() >= 0 else client.sock], [], [], 0.02)[0]:
                client.sock.recv(rnd.randrange(1, 100_000))
        way = rnd.randrange(4)
        if way == 0:
            client.reset()
        elif way == 1 and not isinstance(client.sock, ssl.SSLSocket):
            client.shut()
            client.sock.settimeout(0.2)
            client.sock.recv(1000)
        elif way == 2 and isinstance(client.sock, ssl.SSLSocket):
            client.sock.settimeout(0.2)
            client.sock.unwrap()

    def storm(self, count):
        for _ in range(count):
            try:
                self.garbage(self.random.choice(NAMES[:4] + ("bytes", "ssh", "bytes.example")))
            except (OSError, ValueError, AssertionError):
                pass


@pytest.mark.slow
def test_others_are_served_while_some_misbehave(gateway, http_server, tcp_server, ca, server_ca, leaf):
    def flood(conn):
        """Sends and takes at random, and ends at random."""
        rnd = random.Random()
        conn.sock.settimeout(0.3)
        for _ in range(rnd.randrange(30)):
            try:
                if rnd.random() < 0.6:
                    conn.send(os.urandom(1024) * rnd.randrange(1, 500))
                else:
                    conn.sock.recv(100_000)
            except socket.timeout:
                pass
        if rnd.random() < 0.4:
            conn.reset()
    plain_server = http_server(answer)
    tls_server = http_server(answer, tls=server_ca.leaf("re.example", "pass.example").server_context())
    bytes_server = tcp_server(flood)
    gw = gateway({
        "http": plain("http.example", plain_server, listen=["http", "proxied"]),
        "edge": edge("edge.example", plain_server),
        "re": reencrypt("re.example", tls_server, server_tls={"ca": "servers.pem"}),
        "pass": passthrough("pass.example", tls_server),
        "bytes-tls": edge("bytes.example", bytes_server, protocol="tcp"),
        "bytes": tcp("bytes", bytes_server),
        "ssh": ssh(bytes_server),
    }, listeners={"bytes": {}, "proxied": {"accept_proxy": ["127.0.0.0/8"]}},
        certs={"a.pem": leaf(*NAMES), "servers.pem": open(server_ca.cert).read()},
        settings={"workers": 2})
    stop, wrong, right = threading.Event(), [], [0]
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 30)))

    def good():
        chaos = Chaos(gw, ca, server_ca, seed)
        rnd = random.Random()
        count = 0
        while not stop.is_set():
            name = rnd.choice(NAMES[:4])
            try:
                with chaos.connect(name, timeout=60) as client:  # the storms share this process, and one core runs it
                    for _ in range(rnd.randrange(1, 5)):
                        count += 1
                        path, body = f"/{os.getpid()}-{threading.get_ident()}-{count}", os.urandom(rnd.randrange(30_000))
                        reply = client.request("POST" if body else "GET", path, name, body=body)
                        if reply.status != 200 or reply.body != b"right " + path.encode() + body:
                            wrong.append((name, path, reply.status, reply.body[:100]))
                        right[0] += 1
            except Exception as error:
                wrong.append((name, repr(error)))
    amount = int(os.environ.get("CHAOS", 40))
    storms = [threading.Thread(target=Chaos(gw, ca, server_ca, seed + n).storm, args=(amount,)) for n in range(14)]
    watchers = [threading.Thread(target=good) for _ in range(3)]
    for thread in watchers + storms:
        thread.start()
    for thread in storms:
        thread.join()
    stop.set()
    for thread in watchers:
        thread.join()
    assert not wrong, (seed, len(wrong), wrong[:5])
    assert right[0] > 50
    # A client or a server that went away in good order may keep a relay until the other has ended too.
    until(lambda: metric(gw, "sallyport_sessions") == 0,
          lambda: f"{metric(gw, 'sallyport_sessions')} sessions, {gw.connections()}", 90)
    gw.wait_idle(slack=100)
    if not sanitized():
        assert gw.memory() < 120 * 1024 * 1024, gw.memory()
