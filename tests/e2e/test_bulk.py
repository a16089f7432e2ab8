"""Large transfers and many slow clients, in bounded memory."""
import os
import selectors
import socket
import subprocess
import threading
import time

import pytest

from harness import hello
from harness.client import Client, http
from harness.gateway import sanitized
from harness.http_server import response
from harness.proc import kernel_room
from harness.real import Nginx
from harness.services import edge, passthrough, plain
from harness.wait import until

SIZE = (256 << 20) if os.environ.get("SALLYPORT_SMALL_BULK") else (2 << 30)
LIMIT = 64 << 20


def bounded(gw):
    peak = gw.memory("VmHWM")
    assert sanitized() or peak < LIMIT, f"{peak >> 20} MiB"


@pytest.fixture(scope="module")
def nginx(server_ca):
    # uploads are read and dropped: a PUT into a sparse file would measure the disk
    server = Nginx(server_ca.leaf("own.example"))
    server.file("large", size=SIZE)
    yield server
    server.stop()


@pytest.fixture
def gw(gateway, nginx, leaf):
    return gateway({"edge": edge("edge.example", nginx), "own": passthrough("own.example", nginx.tls_address)},
                   certs={"e.pem": leaf("edge.example")})


def curl(gw, root, name, *args):
    port = gw.ports["https"]
    done = subprocess.run(["curl", "-q", "-sS", "-f", "--http1.1", "--resolve", f"{name}:{port}:127.0.0.1", "--cacert", root.cert,
                           "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{size_upload}", *args[:-1],
                           f"https://{name}:{port}{args[-1]}"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edge.example", "own.example"])
def test_2_gib_down(gw, ca, server_ca, name):
    status, down, _ = curl(gw, ca if name == "edge.example" else server_ca, name, "/large")
    assert (status, int(down)) == ("200", SIZE)
    bounded(gw)
    line = gw.access(service=name.split(".")[0])
    assert line["bytes_out"] >= SIZE and line["end"] == "ok"
    gw.wait_idle(slack=2)


@pytest.mark.slow
def test_2_gib_up(gateway, http_server, leaf, ca, tmp_path):
    def answer(request):
        left, size = int(request.get("content-length")), 0
        buffer = bytearray(1 << 20)
        size = len(request.conn.buffer)
        request.conn.buffer = b""
        while size < left:
            size += request.conn.sock.recv_into(buffer, min(len(buffer), left - size))
        return response(200, str(size))
    gw = gateway({"edge": edge("edge.example", http_server(answer, auto_body=False))}, certs={"e.pem": leaf("edge.example")})
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as f:
        f.truncate(SIZE)
    status, _, up = curl(gw, ca, "edge.example", "-T", str(sparse), "/up")
    assert (status, int(up)) == ("200", SIZE)
    bounded(gw)
    assert gw.access(service="edge")["bytes_in"] >= SIZE
    gw.wait_idle(slack=2)


def test_a_client_that_reads_slowly_holds_the_server_back(way):
    """Backpressure: the server is not read faster than the client reads."""
    sent, stop = [0], threading.Event()

    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        request.conn.sock.settimeout(2)
        try:
            while not stop.is_set():
                request.conn.sock.sendall(bytes(65536))
                sent[0] += 65536
        except (socket.timeout, OSError):
            pass
        return None
    way.start(answer)
    with way.client() as client:
        client.send_request()
        assert client.head().status == 200
        until(lambda: sent[0], "the first bytes")
        _settle(sent)
        assert sent[0] < LIMIT + kernel_room()
    stop.set()
    bounded(way.gw)
    way.gw.wait_idle()


def test_a_server_that_reads_slowly_holds_the_client_back(way):
    stop = threading.Event()

    def answer(request):
        stop.wait(60)
        return None
    way.start(answer, auto_body=False)
    with way.client(timeout=2) as client:
        client.send("PUT / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 1000000000\r\n\r\n")
        sent = 0
        with pytest.raises((socket.timeout, TimeoutError, OSError)):
            while sent < LIMIT + kernel_room():
                client.sock.sendall(bytes(65536))
                sent += 65536
            raise AssertionError("nothing held the client back")
    stop.set()
    bounded(way.gw)
    way.gw.wait_idle()


def _settle(counter):
    before, end = -1, time.monotonic() + 30
    while counter[0] != before and time.monotonic() < end:
        before = counter[0]
        time.sleep(0.5)


@pytest.mark.slow
def test_1000_slow_clients(gateway, http_server, tcp_server, leaf, ca):
    """250 each: stuck in a ClientHello, in a TLS handshake's end, in a request head, in a body; another client is served at once."""
    gw = gateway({"edge": edge("edge.example", http_server()), "plain": plain("plain.example", http_server()),
                  "own": passthrough("own.example", tcp_server(lambda conn: conn.wait_gone()))},
                 certs={"e.pem": leaf("edge.example")},
                 settings={"defaults": {"timeouts": {"handshake": "10m", "request": "10m", "client": "10m"}}})
    wire = hello.real("edge.example")
    starts = [(gw.ports["https"], wire[:100]), (gw.ports["https"], wire), (gw.ports["http"], b"GET / HTTP/1.1\r\nHost: plain.exa"),
              (gw.ports["http"], b"POST / HTTP/1.1\r\nHost: plain.example\r\nContent-Length: 1000\r\n\r\nslow")]
    clients = []
    for n in range(1000):
        port, first = starts[n % 4]
        sock = socket.create_connection(("127.0.0.1", port), 30)
        sock.sendall(first)
        clients.append(sock)
    times = []
    for _ in range(10):
        start = time.monotonic()
        assert http(gw.ports["https"], host="edge.example", tls=ca.client_context()).status == 200
        assert http(gw.ports["http"], host="plain.example").status == 200
        times.append(time.monotonic() - start)
    assert sorted(times)[5] < 3 and max(times) < 10, times
    bounded(gw)
    with selectors.DefaultSelector() as ready:  # none of the slow ones was thrown out
        for n, sock in enumerate(clients):
            if n % 4 in (0, 2, 3):
                ready.register(sock, selectors.EVENT_READ)
        assert not ready.select(0)
    for sock in clients:
        sock.close()
    gw.wait_idle(slack=4)


def test_trickled_requests_are_served(way):
    """Slow, but steady: idle timeouts do not hit a client that goes on."""
    way.start(timeouts={"client": "1500ms"})
    with way.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            client.send(b"x")
            time.sleep(0.1)
        assert client.response().status == 200


def test_memory_after_many_connections(gateway, http_server, leaf, ca):
    gw = gateway({"edge": edge("edge.example", http_server()), "plain": plain("plain.example", http_server())},
                 certs={"e.pem": leaf("edge.example")})

    def round_of(count):
        for n in range(count):
            if n % 10 == 0:
                assert http(gw.ports["https"], host="edge.example", tls=ca.client_context()).status == 200
            else:
                with Client(gw.ports["http"]) as client:
                    client.request(host="plain.example")
    round_of(300)
    before = gw.memory()
    round_of(600)
    assert sanitized() or gw.memory() - before < 4 << 20, "memory grows with connections that are gone"
    gw.wait_idle(slack=4)
