"""How a connection can end: each end has its word in the log, and each wait its limit."""
import socket
import ssl
import struct
import threading
import time

import pytest

from harness import hello, websocket
from harness.certs import client_context
from harness.client import Client, http
from harness.http_server import response
from harness.ports import free_port
from harness.server import banner, echo, refused_port
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp
from harness.wait import until

HOST = b"Host: test.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


def answers(request):
    """What the server does, by the path."""
    conn = request.conn
    if request.target == "/close":
        return None
    if request.target == "/half":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        return None
    if request.target == "/reset":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        conn.reset()
        return None
    if request.target == "/junk":
        return b"junk\r\n\r\n"
    if request.target in ("/hang", "/wait"):
        conn.wait_gone(60)
        return None
    return response(200, b"fine")


# What the client sends, what it does then, and what the line says: end, status.
HTTP_ENDS = {
    "ok": (GET, None, "ok", 200),
    "server-closes": (b"POST /close HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", None, "server_closed", 502),
    "server-closes-in-a-body": (b"GET /half HTTP/1.1\r\n" + HOST + b"\r\n", None, "server_cut", 200),
    "server-resets-in-a-body": (b"GET /reset HTTP/1.1\r\n" + HOST + b"\r\n", None, "server_cut", 200),
    "server-talks-junk": (b"GET /junk HTTP/1.1\r\n" + HOST + b"\r\n", None, "server_error", 502),
    "server-hangs": (b"GET /hang HTTP/1.1\r\n" + HOST + b"\r\n", None, "server_timeout", 504),
    "bad-request": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", None, "bad_request", 400),
    "no-route": (b"GET / HTTP/1.1\r\nHost: nowhere.example\r\n\r\n", None, "no_route", 404),
    "redirected": (b"GET / HTTP/1.1\r\nHost: tls.example\r\n\r\n", None, "ok", 301),
    "client-slow-in-its-head": (b"GET / HTTP/1.1\r\nHost: te", None, "client_timeout", 408),
    "client-slow-in-its-body": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nab", None, "client_timeout", 408),
    "client-leaves-in-its-head": (b"GET / HTTP/1.1\r\nHost: te", "shut", "client_closed", None),
    "client-leaves-in-its-body": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nab", "shut", "client_closed", None),
    "client-resets-in-its-body": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nab", "reset", "client_cut", None),
    "client-resets-while-it-waits": (b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n", "reset", "client_cut", None),
    "refused": (b"GET / HTTP/1.1\r\nHost: dead.example\r\n\r\n", None, "server_refused", 502),
    "unresolved": (b"GET / HTTP/1.1\r\nHost: nameless.example\r\n\r\n", None, "no_server", 503),
    "denied": (b"GET / HTTP/1.1\r\nHost: denied.example\r\n\r\n", None, "denied", 403),
}


@pytest.mark.parametrize("name", HTTP_ENDS)
def test_ends_of_requests(gateway, http_server, leaf, name):
    data, then, end, status = HTTP_ENDS[name]
    server = http_server(answers)
    short = "500ms" if "slow" in name or "hang" in name else "60s"  # only what is to be met: others have all the time
    gw = gateway({"test": plain("test.example", server, timeouts={"server": short}),
                  "tls": edge("tls.example", server), "dead": plain("dead.example", f"127.0.0.1:{refused_port()}"),
                  "nameless": plain("nameless.example", "no-such-host.invalid:80"),
                  "denied": plain("denied.example", server, access={"deny": ["127.0.0.0/8"]})}, certs={"t.pem": leaf("tls.example")},
                 settings={"defaults": {"timeouts": {"request": short, "client": short}}})
    client = Client(gw.ports["http"])
    client.send(data)
    if then == "reset":
        until(lambda: server.conns, "the server is connected to")
        client.reset()
    else:
        if then == "shut":
            client.shut()
        try:
            client.response() if status else client.rest()
        except (OSError, AssertionError):
            pass
        client.close()
    line = gw.access(listener="http")
    assert (line["end"], line.get("status")) == (end, status), line
    time.sleep(0.05)
    assert len(gw.accesses()) == 1, "one line a request"
    gw.wait_idle(slack=1)


# The same for connections that are no HTTP.
TCP_ENDS = {
    "ok": ("ssh", b"SSH-2.0-x\r\n", "shut", "ok"),
    "client-cut": ("ssh", b"SSH-2.0-x\r\n", "reset", "client_cut"),
    "server-cut": ("cut", b"cut", None, "server_cut"),
    "refused": ("dead", b"", None, "server_refused"),
    "unresolved": ("nameless", b"", None, "no_server"),
    "denied": ("denied", b"", None, "denied"),
    "idle": ("idle", b"x", None, "client_timeout"),
    "bad-hello": ("https", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", None, "bad_hello"),
    "hello-cut-short": ("https", hello.build("own.example")[:60], "shut", "bad_hello"),
    "hello-too-slow": ("https", hello.build("own.example")[:60], None, "client_timeout"),
    "unknown-name": ("https", hello.build("nowhere.example"), None, "no_route"),
    "unknown-bytes": ("https", b"\x00\x01\x02", None, "no_route"),
    "no-tls-after-the-hello": ("https", hello.real("web.example") + b"junk" * 10, None, "tls_error"),
    "handshake-too-slow": ("https", hello.real("web.example"), None, "client_timeout"),
    "handshake-cut": ("https", hello.real("web.example"), "reset", "client_cut"),
}


@pytest.mark.parametrize("name", TCP_ENDS)
def test_ends_of_connections(gateway, tcp_server, http_server, leaf, name):
    where, data, then, end = TCP_ENDS[name]

    def cutter(conn):
        conn.exactly(3)
        conn.reset()
    echoes, ports = tcp_server(echo), {word: free_port() for word in ("cut", "dead", "nameless", "denied", "idle")}
    bind = {word: f"127.0.0.1:{port}" for word, port in ports.items()}
    gw = gateway({"git": ssh(echoes), "own": passthrough("own.example", echoes), "web": edge("web.example", http_server()),
                  "cut": tcp(bind["cut"], tcp_server(cutter)), "dead": tcp(bind["dead"], f"127.0.0.1:{refused_port()}"),
                  "nameless": tcp(bind["nameless"], "no-such-host.invalid:1"),
                  "denied": tcp(bind["denied"], echoes, access={"deny": ["127.0.0.0/8"]}),
                  "idle": tcp(bind["idle"], echoes, timeouts={"tunnel": "500ms"})}, certs={"w.pem": leaf("web.example")},
                 settings={"defaults": {"timeouts": {"handshake": "800ms" if "slow" in name else "60s"}}})
    try:  # an end that is a reset may come as early as within connect()
        with Client({**gw.ports, **ports}[where]) as client:
            client.send(data)
            if then == "reset":
                client.exactly(1)  # the echo, or the server's part of the handshake
                client.reset()
            else:
                if then == "shut":
                    client.shut()
                client.rest()
    except OSError:
        pass
    assert gw.access()["end"] == end, gw.accesses()
    time.sleep(0.05)
    assert len(gw.accesses()) == 1, "one line a connection"
    gw.wait_idle()


def test_bytes_in_the_log_are_those_on_the_wire(gateway, tcp_server):
    """To the unit, for a relay: what the client sent, and what it got."""
    port = free_port()
    gw = gateway({"raw": tcp(f"127.0.0.1:{port}", tcp_server(banner(b"hello")))})
    with Client(port) as client:
        client.send(b"x" * 123_457).shut()
        assert len(client.rest()) == 5 + 123_457
    line = gw.access(service="raw")
    assert (line["bytes_in"], line["bytes_out"]) == (123_457, 123_462)


# Limits of waiting: who is slow, where, and which setting ends it.

@pytest.mark.parametrize("kind", ["passthrough", "ssh", "tcp", "protocol-tcp", "upgrade"])
def test_tunnel_timeout(gateway, tcp_server, http_server, leaf, ca, kind):
    """Bytes in either direction keep it alive; silence in both ends it."""
    raw, limit, port = tcp_server(echo), {"timeouts": {"tunnel": "1500ms"}}, free_port()
    web = http_server(websocket.serve)
    gw = gateway({"own": passthrough("own.example", raw, **limit), "git": ssh(raw, **limit), "raw": tcp(f"127.0.0.1:{port}", raw, **limit),
                  "imap": edge("imap.example", raw, protocol="tcp", **limit), "web": edge("web.example", web, **limit)},
                 certs={"i.pem": leaf("imap.example", "web.example")})
    where, first, name = {"passthrough": (gw.ports["https"], hello.build("own.example"), None),
                          "ssh": (gw.ports["ssh"], b"SSH-2.0-x\r\n", None), "tcp": (port, b"x", None),
                          "protocol-tcp": (gw.ports["https"], b"x", "imap.example"),
                          "upgrade": (gw.ports["https"], b"", "web.example")}[kind]
    with Client(where, tls=ca.client_context() if name else None, name=name) as client:
        if kind == "upgrade":
            assert websocket.upgrade(client, host=name).status == 101
            first = websocket.frame(b"x", False)
        for pause in (0.6, 0.6, 0.6, 0):
            start = time.monotonic()
            client.send(websocket.frame(b"x", True) if kind == "upgrade" else first)
            assert client.exactly(len(first)) == first
            time.sleep(pause)
        assert client.gone()
        assert 1.4 < time.monotonic() - start < 20
    assert gw.access(end="client_timeout")["total_ms"] > 3 * 600 + 1400
    gw.wait_idle()


def test_a_client_that_stops_reading_is_cut(way):
    """`client`: also for writing to it."""
    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                request.conn.send(bytes(1 << 20))
        except OSError:
            return None
    way.start(answer, timeouts={"client": "700ms"})
    with way.client() as client:
        client.send_request()
        line = way.gw.access(service="test")
        assert (line["end"], line["status"]) == ("client_timeout", 200)
    way.gw.wait_idle()
    way.gw.wait_no_server_connection(way.server.port)


def test_a_client_that_reads_slowly_but_steadily_is_served(way):
    """And is not taken for one that stopped: the kernel tells of room in large steps only."""
    way.start(lambda r: response(200, bytes(16 << 20)), timeouts={"client": "2s", "tunnel": "2s"})
    with way.client() as client:
        client.send_request()
        left = int(client.head().get("content-length")) - len(client.buffer)
        start, size = time.monotonic(), left
        while left:
            # By the clock: a reader that was kept waiting for its turn catches up, instead of becoming slower still.
            due = size * (time.monotonic() - start) / 3.2
            while left and size - left < due:
                left -= len(client.sock.recv(min(left, 16384)))
            time.sleep(0.003)
        assert time.monotonic() - start > 3
    assert way.gw.access(service="test")["end"] == "ok"


def test_zero_is_never(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server(), timeouts={"keep_alive": 0, "client": 0, "server": 0, "request": 0})},
                 settings={"defaults": {"timeouts": {"request": 0, "handshake": 0, "keep_alive": 0, "client": 0}}})
    with Client(gw.ports["http"]) as client:
        time.sleep(0.3)
        for _ in range(2):
            assert client.request().status == 200
            time.sleep(0.5)
        client.send(GET[:20])
        time.sleep(0.5)
        client.send(GET[20:])
        assert client.response().status == 200


@pytest.mark.parametrize("mode", ["passthrough", "reencrypt"])
def test_connecting_includes_tls_and_has_a_limit(gateway, tcp_server, leaf, ca, mode):
    """A server that takes the connection and says nothing: `connect` ends a TLS handshake, and `tunnel` what is passed through."""
    silent = tcp_server(lambda conn: conn.wait_gone(60))
    limits = {"timeouts": {"connect": "500ms", "tunnel": "500ms"}, "retries": 0}
    spec = (passthrough("re.example", silent, **limits) if mode == "passthrough" else
            reencrypt("re.example", silent, server_tls={"verify": "none"}, **limits))
    gw = gateway({"re": spec}, certs={"re.pem": leaf("re.example")})
    start = time.monotonic()
    if mode == "reencrypt":
        assert http(gw.ports["https"], host="re.example", tls=ca.client_context()).status == 504
        assert gw.access(service="re")["end"] == "server_timeout"
    else:
        with pytest.raises((ssl.SSLError, OSError)):
            Client(gw.ports["https"], tls=client_context(), name="re.example")
    assert 0.4 < time.monotonic() - start < 20
    gw.wait_idle()


def test_a_proxy_header_that_never_ends_is_timed(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())}, listeners={"http": {"accept_proxy": ["127.0.0.0/8"]}},
                 settings={"defaults": {"timeouts": {"handshake": "500ms"}}})
    start = time.monotonic()
    for data in (b"PROXY TCP4 203.0.1", b"", b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + b"1234"):
        with Client(gw.ports["http"]) as client:
            client.send(data)
            assert client.gone()
    assert time.monotonic() - start > 1.4
    assert gw.access(end="client_timeout", count=3)


def test_a_clients_half_close_within_tls_still_gets_its_answer(gateway, http_server, leaf, ca):
    """close_notify says that the client will send no more, and nothing else."""
    go = threading.Event()

    def answer(request):
        go.wait(30)
        return response(200, b"late")
    gw = gateway({"web": edge("web.example", http_server(answer))}, certs={"w.pem": leaf("web.example")})
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ca.client_context().wrap_bio(incoming, outgoing, server_hostname="web.example")
    with socket.create_connection(("127.0.0.1", gw.ports["https"]), 30) as sock:
        def run(action):
            while True:
                try:
                    out = action()
                    sock.sendall(outgoing.read())
                    return out
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    data = sock.recv(65536)
                    incoming.write(data) if data else incoming.write_eof()
        run(tls.do_handshake)
        tls.write(b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n")
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        sock.sendall(outgoing.read())
        time.sleep(0.2)
        go.set()
        assert gw.access(service="web")["end"] == "ok", gw.accesses()
    assert gw.access(service="web")["status"] == 200

