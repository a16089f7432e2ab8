"""Passthrough: TLS that the gateway does not touch."""
import hashlib
import os
import socket
import ssl
import threading
import time

import pytest

from harness import hello
from harness.client import Client
from harness.proc import kernel_room
from harness.server import echo
from harness.services import edge, passthrough
from harness.wait import until


def test_the_client_sees_the_servers_own_certificate(gateway, tcp_server, server_ca, leaf):
    own = server_ca.leaf("own.example")
    gw = gateway({"own": passthrough("own.example", tcp_server(echo, tls=own.server_context()))},
                 certs={"same.pem": leaf("own.example")})
    with Client(gw.ports["https"], tls=server_ca.client_context(), name="own.example") as client:
        assert client.sock.getpeercert(binary_form=True) == own.der
        assert client.send(b"ping").exactly(4) == b"ping"
    line = gw.access(service="own")
    assert (line["mode"], line["sni"], line["end"]) == ("passthrough", "own.example", "ok")
    assert line["bytes_in"] > 500 and line["bytes_out"] > 500 and line["total_ms"] >= line["connect_ms"] >= 0


def test_exact_beats_wildcard_beats_star(gateway, tcp_server, server_ca):
    def named(text):
        def handler(conn):
            conn.send(text)
        return tcp_server(handler, tls=server_ca.leaf("a.example").server_context())
    gw = gateway({"exact": passthrough("a.wild.example", named(b"exact")), "wild": passthrough("*.wild.example", named(b"wild!")),
                  "star": passthrough("*", named(b"star!"))})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, expected in (("a.wild.example", b"exact"), ("b.wild.example", b"wild!"), ("A.WILD.example", b"exact"),
                           ("a.b.wild.example", b"star!"), ("wild.example", b"star!"), ("other.tld", b"star!"), (None, b"star!")):
        with Client(gw.ports["https"], tls=context, name=name) as client:
            assert client.exactly(5) == expected, name


def test_half_close_from_the_client(gateway, tcp_server):
    """The hello opens the way; after it the bytes are anything, so both FINs can be watched without TLS in the way."""
    got = []

    def handler(conn):
        got.append(conn.rest())
        conn.send(b"all of it")
    gw = gateway({"own": passthrough("own.example", tcp_server(handler))})
    wire = hello.build("own.example")
    with Client(gw.ports["https"]) as client:
        client.send(wire + b"more").shut()
        assert client.rest() == b"all of it"
    assert got == [wire + b"more"]
    gw.wait_idle()


def test_half_close_from_the_server(gateway, tcp_server):
    got, done = [], threading.Event()

    def handler(conn):
        conn.send(b"bye")
        conn.shut()
        got.append(conn.rest())
        done.set()
    gw = gateway({"own": passthrough("own.example", tcp_server(handler))})
    wire = hello.build("own.example")
    with Client(gw.ports["https"]) as client:
        client.send(wire)
        assert client.rest() == b"bye"
        client.send(b"still here").shut()
        assert done.wait(30)
    assert got == [wire + b"still here"]
    gw.wait_idle()


def test_a_clients_reset_reaches_the_server(gateway, tcp_server):
    seen = []
    gw = gateway({"own": passthrough("own.example", tcp_server(lambda conn: seen.append(conn.wait_gone())))})
    client = Client(gw.ports["https"])
    client.send(hello.build("own.example"))
    until(lambda: len(gw.connections()) == 2, "connected")
    client.reset()
    until(lambda: seen, "the server's connection is freed")
    gw.wait_idle()
    assert gw.access(service="own")["end"] == "client_cut"


def test_a_servers_reset_reaches_the_client_as_a_cut(gateway, tcp_server):
    def handler(conn):
        conn.exactly(10)
        conn.send(b"partial")
        conn.reset()
    gw = gateway({"own": passthrough("own.example", tcp_server(handler))})
    with Client(gw.ports["https"]) as client:
        client.send(hello.build("own.example"))
        with pytest.raises(ConnectionError):
            client.rest()
    gw.wait_idle()
    assert gw.access(service="own")["end"] == "server_cut"


def test_bulk_both_ways_at_once(gateway, tcp_server, server_ca):
    size, block = 64 << 20, os.urandom(1 << 20)
    digest = {}

    def handler(conn):
        def send():
            for _ in range(size // len(block)):
                conn.sock.sendall(block)
        sender = threading.Thread(target=send)
        sender.start()
        digest["up"] = hashlib.sha256(conn.exactly(size + len(wire))).hexdigest()
        sender.join()
        conn.exactly(1)
    wire = hello.build("own.example")
    gw = gateway({"own": passthrough("own.example", tcp_server(handler))})
    expected = hashlib.sha256(block * (size // len(block))).hexdigest()
    with Client(gw.ports["https"], timeout=60) as client:
        client.send(wire)
        sender = threading.Thread(target=lambda: client.sock.sendall(block * (size // len(block))))
        sender.start()
        assert hashlib.sha256(client.exactly(size)).hexdigest() == expected
        sender.join()
        client.send(b"!")
        client.gone()
    assert digest["up"] == hashlib.sha256(wire + block * (size // len(block))).hexdigest()
    gw.wait_idle()


def test_a_client_that_does_not_read_stops_the_server(gateway, tcp_server):
    """Bounded buffers: the server cannot push more than sockets and 64 KiB hold."""
    sent = [0]

    def handler(conn):
        conn.sock.settimeout(2)
        try:
            while sent[0] < (256 << 20) + kernel_room():
                conn.sock.sendall(bytes(65536))
                sent[0] += 65536
        except socket.timeout:
            pass
    gw = gateway({"own": passthrough("own.example", tcp_server(handler))})
    with Client(gw.ports["https"]) as client:
        client.send(hello.build("own.example"))
        until(lambda: sent[0] and not _growing(sent), "the server is held back")
    assert sent[0] < (64 << 20) + kernel_room()
    gw.wait_idle()


def _growing(counter):
    before = counter[0]
    time.sleep(0.5)
    return counter[0] != before


def test_passthrough_beside_edge_by_name(gateway, tcp_server, http_server, server_ca, leaf, ca):
    own = server_ca.leaf("own.example")
    gw = gateway({"own": passthrough("own.example", tcp_server(echo, tls=own.server_context())),
                  "web": edge("web.example", http_server())}, certs={"web.pem": leaf("web.example")})
    with Client(gw.ports["https"], tls=ca.client_context(), name="web.example") as client:
        assert client.sock.getpeercert(binary_form=True) == leaf("web.example").der
        reply = client.request(host="own.example")
        assert reply.status == 421, "a passthrough name inside terminated TLS"
    with Client(gw.ports["https"], tls=server_ca.client_context(), name="own.example") as client:
        assert client.sock.getpeercert(binary_form=True) == own.der
