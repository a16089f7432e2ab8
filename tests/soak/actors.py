"""Who is at the gateway during the soak: clients that behave, and clients that do not.

An actor is a function of the Stage that does one small round and returns how many requests it did. It is called again and
again, in a thread of its own, until the time is up. What a round of a client that behaves raises is a failure.
"""
import os
import random
import socket
import struct
import threading
import time

from harness import hello, websocket
from harness.certs import client_context
from harness.client import Client, MemoryTls, Stream, Truncated
from harness.h2_client import H2Client

BLOCK = os.urandom(1 << 20)
BEHAVED, RUDE = [], []


def behaved(function):
    BEHAVED.append(function)
    return function


def rude(function):
    RUDE.append(function)
    return function


class Stage:
    """What actors need to know. Immutable but for the switches of the flapping servers."""

    def __init__(self, ports, tcp_port, ca, server_ca, own):
        self.ports, self.tcp_port, self.own = ports, tcp_port, own
        self.trust, self.servers_trust, self.careless = ca.client_context(), server_ca.client_context(), client_context()
        self.trust_h2 = ca.client_context(alpn=["h2"])
        # Held while its server changes, and while a request to it is under way.
        self.flapping, self.flapping_h2 = threading.Lock(), threading.Lock()

    def h2(self, host, **kw):
        if host.startswith("plain"):
            return H2Client(self.ports["http"], timeout=30, **kw)
        return H2Client(self.ports["https"], tls=self.trust_h2, name=host, timeout=30, **kw)

    def client(self, host, **kw):
        if host.startswith("plain"):
            return Client(self.ports["http"], timeout=30, **kw)
        return Client(self.ports["https"], tls=self.trust, name=host, timeout=30, **kw)


def piece(most):
    size = random.choice((0, 1, 100, 1500, most // 3, most))
    at = random.randrange(len(BLOCK) - size)
    return BLOCK[at:at + size]


def echoed(client, host, body, chunked=False):
    if chunked:
        client.send(f"POST /echo HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        step = max(1, len(body) // 3)
        for at in range(0, len(body), step):
            part = body[at:at + step]
            client.send(b"%x\r\n%s\r\n" % (len(part), part))
        reply = client.send(b"0\r\n\r\n").response()
    else:
        reply = client.request("POST", "/echo", host, body=body)
    assert (reply.status, len(reply.body)) == (200, len(body)), (host, reply)
    assert reply.body == body, f"{host}: another body came back"


def keep_alive(host):
    def round_of(stage):
        count = random.randint(1, 30)
        with stage.client(host) as client:
            for n in range(count):
                echoed(client, host, piece(300_000 if n % 10 == 9 else 20_000), chunked=n % 3 == 2)
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: %s\r\n\r\n" % (n, host.encode()) for n in range(5)))
            for n in range(5):
                assert client.response().text == f"/{n}", "pipelined requests are answered in order"
        return count + 5
    round_of.__name__ = f"keep_alive_{host.split('.')[0]}"
    return behaved(round_of)


for _host in ("edge.example", "re.example", "plain.example"):
    keep_alive(_host)


@behaved
def balanced(stage):
    """A client of a server that comes and goes, beside one that stays: a GET never fails."""
    with stage.flapping:
        with stage.client("flap.example") as client:
            for _ in range(3):
                reply = client.request("GET", "/x", "flap.example")
                assert (reply.status, reply.text) == (200, "/x"), reply
    return 3


@behaved
def redirected(stage):
    with Client(stage.ports["http"], timeout=30) as client:
        assert client.request("GET", "/x", "edge.example").get("location").endswith("/x")
        assert client.request("GET", "/x", "nowhere.example").status == 404
    time.sleep(0.1)
    return 2


@behaved
def passed_through(stage):
    cutter = random.choice((hello.whole, hello.five_records, hello.tiny_records, hello.five_records_one_segment))
    tls = MemoryTls(stage.ports["https"], stage.servers_trust, "own.example", cutter, timeout=30)
    assert tls.tls.getpeercert(binary_form=True) == stage.own.der
    stream = Stream(tls)
    for _ in range(random.randint(1, 10)):
        data = piece(60_000)
        tls.sendall(data)
        assert stream.exactly(len(data)) == data
    tls.close()
    return 1


@behaved
def web_sockets(stage):
    host = random.choice(("edge.example", "re.example"))
    with stage.client(host) as client:
        assert websocket.upgrade(client, host=host).status == 101
        for _ in range(random.randint(1, 20)):
            data = piece(200_000)
            client.send(websocket.frame(data, True))
            assert websocket.read_frame(client) == (2, data)
        client.send(websocket.frame(b"\x03\xe8", True, 8))
        assert websocket.read_frame(client)[0] == 8
    return 1


@behaved
def ssh_sessions(stage):
    """The banner, keystrokes, a bulk, a half-close that is answered by the rest."""
    port = random.choice((stage.ports["ssh"], stage.ports["https"], stage.tcp_port))
    with Client(port, timeout=30) as client:
        client.send(b"SSH-2.0-soak\r\n")
        assert client.line().startswith(b"SSH-2.0-") and client.exactly(14) == b"SSH-2.0-soak\r\n"
        for _ in range(random.randint(1, 50)):
            assert client.send(b"k").exactly(1) == b"k"
        data = piece(500_000)
        sender = threading.Thread(target=lambda: client.send(data).shut())
        sender.start()
        assert client.rest() == data
        sender.join(30)
    return 1


@behaved
def uploads_and_downloads(stage):
    size = random.randint(4, 24) << 20
    with stage.client(random.choice(("bulk.example", "plain-bulk.example"))) as client:
        host = "bulk.example" if client.sock is not client.raw else "plain-bulk.example"
        client.send(f"PUT /sink HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size >> 20):
            client.sock.sendall(BLOCK)
        assert client.response().text == str(size)
        client.send(f"GET /source/{size} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        assert int(client.head().get("content-length")) == size
        left = size - len(client.buffer)
        client.buffer = b""
        while left:
            got = len(client.sock.recv(min(left, 1 << 20)))
            assert got, f"{left} bytes of a download are missing"
            left -= got
    time.sleep(0.5)
    return 2


# From here on: what is rude may fail in any way; the gateway and everybody else may not notice.

@rude
def leaves_early(stage):
    """Gone in a hello, a handshake, a head, a body, a response, a tunnel; by FIN or RST."""
    stop = random.randrange(6)
    host = "rude.example"
    if stop < 2:
        client = Client(stage.ports["https"])
        wire = hello.real(random.choice((host, "own.example")))
        client.send(wire[:random.randrange(1, len(wire))] if stop == 0 else wire)
    else:
        client = Client(stage.ports["https"], tls=stage.trust, name=host)
        client.send((b"GET / HTTP/1.1\r\nHost: ru",
                     b"POST /echo HTTP/1.1\r\nHost: rude.example\r\nContent-Length: 90000\r\n\r\n" + bytes(40_000),
                     b"GET /source/50000000 HTTP/1.1\r\nHost: rude.example\r\n\r\n",
                     b"GET /ws HTTP/1.1\r\nHost: rude.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Key: eA==\r\n\r\n")[stop - 2])
        if stop > 3:
            client.sock.recv(1000)
    client.reset() if random.random() < 0.6 else client.close()
    return 1


@rude
def mourners(stage):
    """Requests to servers that die in the middle of them."""
    with stage.client("dying.example") as client:
        for n in range(10):
            method, target = random.choice((("GET", "/"), ("POST", "/echo"), ("GET", "/source/3000000")))
            reply = client.request(method, target, "dying.example", body=b"x" * 5000 if method == "POST" else b"")
            if reply.status not in (200, 502, 503, 504):
                raise AssertionError(f"status {reply.status} from a dying server")
    return 1


JUNK = [b"\x00\x01\x02\x03", b"\x16\x03\x01\xff\xff" + bytes(200), b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x00", b"EHLO x\r\n", b"\r\n" * 20,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
        b"GET / HTTP/1.1\r\nHost: edge.example\r\nA: " + b"a" * 200_000, b"GET / HTTP/9.9\r\n\r\n", b"\xff" * 5000,
        b"POST / HTTP/1.1\r\nHost: plain.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: plain-rude.example\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"]


@rude
def garbage(stage):
    data = random.choice(JUNK + [os.urandom(random.randrange(1, 3000))])
    with Client(random.choice((stage.ports["http"], stage.ports["https"], stage.ports["ssh"])), timeout=1) as client:
        client.send(data)
        if random.random() < 0.5:
            client.rest()
    return 1


@rude
def garbage_within_tls(stage):
    with Client(stage.ports["https"], tls=stage.careless, name="rude.example", timeout=1) as client:
        client.send(random.choice(JUNK))
        client.rest()
    return 1


def parked(stage, until):
    """Forty clients that hold a connection each and say next to nothing; new ones as the old are timed out."""
    clients = []
    firsts = (b"GET / HTTP/1.1\r\nHost: ", b"\x16\x03\x01\x02\x00\x01",
              b"POST /echo HTTP/1.1\r\nHost: plain-rude.example\r\nContent-Length: 99\r\n\r\n", b"")
    while time.monotonic() < until:
        if len(clients) >= 40:
            clients.pop(0).close()
        sock = socket.create_connection(("127.0.0.1", random.choice((stage.ports["http"], stage.ports["https"]))), 5)
        sock.sendall(random.choice(firsts))
        clients.append(sock)
        for one in random.sample(clients, min(5, len(clients))):
            try:
                one.send(b"x")
            except OSError:
                clients.remove(one)
                one.close()
        time.sleep(0.2)
    for one in clients:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()


QUIET = (OSError, Truncated, AssertionError)  # what a rude client may meet
