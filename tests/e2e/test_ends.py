"""Ends that come at a bad moment: half-closed clients that read slowly, resets in the middle of bulk, stops while busy."""
import os
import select
import signal
import socket
import ssl
import threading
import time

from harness.client import Client
from harness.http_server import response
from harness.server import pause
from harness.services import edge, plain, reencrypt, tcp
from harness.wait import until


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def narrow(port):
    """A connection with the smallest receive buffer: what the peer writes waits with the peer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", port))
    return sock


def test_a_half_closed_client_that_reads_late_gets_everything(gateway, http_server):
    """Its FIN is seen right behind the response, while the end of that still waits to be sent."""
    sizes = [12 * 1024 * 1024 + n * 10_000 for n in range(3)]
    server = http_server(lambda r: response(200, b"x" * int(r.target[1:])))
    gw = gateway({"web": plain("test.example", server)}, settings={"workers": 1})
    socks = []
    for size in sizes:
        sock = narrow(gw.ports["http"])
        sock.sendall(b"GET /%d HTTP/1.1\r\nHost: test.example\r\n\r\n" % size)
        sock.shutdown(socket.SHUT_WR)
        socks.append(sock)
    for sock, size in zip(socks, sizes):
        got = []
        while data := sock.recv(65536):
            got.append(data)
        body = b"".join(got).partition(b"\r\n\r\n")[2]
        assert len(body) == size, f"{len(body)} of {size} bytes, and then an orderly end"
        sock.close()
    gw.wait_idle(slack=len(sizes))


def test_a_slow_reader_behind_tls_is_never_forgotten(gateway, tcp_server, ca, leaf):
    """A relay that copies stops at the high mark and goes on at the low one, however the client's window opens."""
    size = 6 * 1024 * 1024
    server = tcp_server(lambda conn: conn.send(os.urandom(1024) * (size // 1024)) or conn.shut() or conn.wait_gone(20))
    gw = gateway({"x": edge("x.example", server, protocol="tcp")}, certs={"x.pem": leaf("x.example")}, settings={"workers": 1})

    def one(step):
        raw = narrow(gw.ports["https"])
        sock = ca.client_context().wrap_socket(raw, server_hostname="x.example")
        got = 0
        while got < size:
            data = sock.recv(step)
            assert data
            got += len(data)
            if got % 7 == 0:
                time.sleep(0.001)
        sock.close()
        done.append(got)
    done = []
    threads = [threading.Thread(target=one, args=(step,), daemon=True) for step in (1000, 3000, 4096, 9000, 16384, 65536)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert done == [size] * len(threads)


def test_half_a_record_of_a_server_costs_no_time(gateway, tcp_server, ca, server_ca, leaf):
    """The server's TLS record has come in part: that raises no event, and must not be asked for all the time."""
    context = server_ca.leaf("test.example").server_context()
    go = threading.Event()

    def handler(conn):
        # TLS by memory, so that a record can be cut.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        def pump(action):
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        conn.sock.sendall(outgoing.read())
                    incoming.write(conn.sock.recv(65536))
        pump(tls.do_handshake)
        pump(lambda: tls.read(65536))
        tls.write(response(200, b"y" * 8000))
        record = outgoing.read()
        conn.sock.sendall(record[:-4000])
        pause(go)
        conn.sock.sendall(record[-4000:])
        conn.sock.recv(1)
    server = tcp_server(handler)
    gw = gateway({"web": reencrypt("test.example", server, server_tls={"ca": "servers.pem"})}, settings={"workers": 1},
                 certs={"a.pem": leaf("test.example"), "servers.pem": open(server_ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="test.example") as client:
        client.send_request()
        until(lambda: server.conns, "the server's connection")
        time.sleep(0.3)
        before = cpu_seconds(gw.pid)
        time.sleep(1)
        spent = cpu_seconds(gw.pid) - before
        go.set()
        assert client.response().body == b"y" * 8000
    assert spent < 0.3, f"{spent} s of processor time in a second of waiting"


def test_a_reset_behind_a_half_close_frees_the_server(gateway, tcp_server):
    seen = []

    def handler(conn):
        while conn.sock.recv(65536):
            pass
        seen.append("fin")
        # Nothing is sent: only the gateway can say that the client is gone.
        poll = select.poll()
        poll.register(conn.sock.fileno(), 0)
        seen.append("reset" if poll.poll(30_000) else "nothing")
    server = tcp_server(handler)
    gw = gateway({"x": tcp("x", server)}, listeners={"x": {}})
    client = Client(gw.ports["x"])
    client.send(b"hello")
    client.shut()
    until(lambda: seen, "the FIN at the server")
    client.reset()
    gw.access(service="x")
    until(lambda: len(seen) == 2, "the server's news", 40)
    assert seen == ["fin", "reset"]


def test_bulk_relays_that_end_in_every_way(gateway, tcp_server):
    """A relay that has used up its budget waits in the run queue: it may end before its turn comes."""
    def flood(conn):
        block = b"z" * 262144
        try:
            while True:
                conn.sock.sendall(block)
        except OSError:
            pass
    server = tcp_server(flood)
    gw = gateway({"x": tcp("x", server)}, listeners={"x": {}}, settings={"workers": 1})
    for _ in range(6):
        clients = [Client(gw.ports["x"]) for _ in range(12)]
        stop = time.monotonic() + 0.25

        def read(client):
            try:
                while time.monotonic() < stop:
                    client.sock.recv(1 << 20)
            except OSError:
                pass
            client.reset()
        threads = [threading.Thread(target=read, args=(c,)) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    gw.wait_idle()
    # And the end of the drain time.
    clients = [Client(gw.ports["x"]) for _ in range(4)]
    for client in clients:
        client.exactly(1)

    def drink(client):
        try:
            while client.sock.recv(1 << 20):
                pass
        except OSError:
            pass
    for client in clients:
        threading.Thread(target=drink, args=(client,), daemon=True).start()
    gw.stop()
    assert len([r for r in gw.accesses() if r["end"] == "drain"]) == 4


def test_a_session_outlives_its_listener(gateway, http_server):
    """What a listener counts is still there when the last of its sessions ends after it (seen with a sanitizer)."""
    go = threading.Event()
    server = http_server(lambda r: go.wait(30) and response(200, b"late"))
    gw = gateway({"web": plain("test.example", server)}, settings={"drain_timeout": "60s"})
    with Client(gw.ports["http"]) as client:
        client.send_request()
        until(lambda: server.requests, "the request")
        gw.signal(signal.SIGTERM)
        until(lambda: not can_connect(gw.ports["http"]), "the listener's end")
        time.sleep(0.1)
        go.set()
        assert client.response().body == b"late"
    gw.process.wait(30)


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def test_a_body_without_end_that_a_reset_cuts_is_not_complete(gateway, tcp_server):
    """The reset may be met by a write of the request's body first: the read behind it then sees an orderly end."""
    ready = threading.Event()

    def handler(conn):
        conn.until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        pause(ready)
        conn.reset()
    server = tcp_server(handler)
    gw = gateway({"web": plain("test.example", server)})
    outcomes = []
    for _ in range(20):
        ready.clear()
        with Client(gw.ports["http"]) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10000000\r\n\r\n" + b"a" * 1000)
            client.until(b"half\r\n")
            stop = threading.Event()

            def feed():
                try:
                    while not stop.is_set():
                        client.sock.sendall(b"b" * 100)
                except OSError:
                    pass
            thread = threading.Thread(target=feed)
            thread.start()
            ready.set()
            try:
                rest = client.rest()
            except OSError:
                rest = b"cut"
            stop.set()
            outcomes.append(rest)
            thread.join()
    assert not [o for o in outcomes if o.endswith(b"0\r\n\r\n")], "a cut body was ended as if it were whole"


def test_a_pinned_connection_keeps_its_name(gateway, http_server, ca, server_ca, leaf):
    """A server connection kept for one client (PROXY protocol) is verified for one name: another name gets another."""
    server = http_server(tls=server_ca.leaf("a.example", "b.example").server_context(), proxy=True)
    gw = gateway({"web": reencrypt(["a.example", "b.example"], server, server_tls={"ca": "servers.pem"}, proxy_protocol="v2")},
                 certs={"a.pem": leaf("a.example", "b.example"), "servers.pem": open(server_ca.cert).read()},
                 settings={"workers": 1})
    with Client(gw.ports["https"], tls=ca.client_context(), name="a.example") as client:
        for host in ("a.example", "a.example", "b.example"):
            assert client.request(host=host).status == 200
    names = [next(name for name in (b"a.example", b"b.example") if name in conn.hello) for conn in server.conns]
    assert names == [b"a.example", b"b.example"]
