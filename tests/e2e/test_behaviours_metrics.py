"""The counters: each anomaly in its own, and everything to the unit."""
import re
import socket
import struct
import subprocess
import urllib.request

import pytest

from harness import hello
from harness.certs import client_context
from harness.client import Client, http
from harness.http_server import response
from harness.server import echo
from harness.services import edge, plain, ssh
from harness.wait import until


def page(gw):
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30) as reply:
        return reply.read().decode()


def metrics(gw):
    return {name + (labels or ""): float(value) for name, labels, value in
            re.findall(r"^(sallyport_\w+)(\{[^}]*\})? (\S+)$", page(gw), re.M)}


def settled(gw):
    until(lambda: metrics(gw)["sallyport_sessions"] == 0, "every session is over")
    return metrics(gw)


def test_metrics_are_right_to_the_unit(gateway, http_server, tcp_server, leaf, ca):
    server = http_server(lambda r: response(int(r.target[1:] or 200), b"12345"))
    gw = gateway({"web": edge("web.example", server), "plain": plain("plain.example", server), "git": ssh(tcp_server(echo))},
                 certs={"w.pem": leaf("web.example")})
    for _ in range(3):
        with Client(gw.ports["https"], tls=ca.client_context(), name="web.example") as client:
            for status in (200, 201, 301, 404, 500):
                assert client.request("GET", f"/{status}", "web.example").status == status
    for _ in range(4):
        assert http(gw.ports["http"], "/200", "plain.example").status == 200
    with Client(gw.ports["ssh"]) as client:
        client.send(b"SSH-2.0-x\r\n" + bytes(989)).shut()
        assert len(client.rest()) == 1000
    seen = settled(gw)
    gw.access(count=20)
    lines = gw.accesses()
    assert seen["sallyport_connections_total"] == 8 and seen["sallyport_requests_total"] == 19
    assert [seen[f'sallyport_responses_total{{class="{c}xx"}}'] for c in (2, 3, 4, 5)] == [10, 3, 3, 3]
    assert seen["sallyport_tls_handshakes_total"] == 3 and seen["sallyport_tls_handshake_failures_total"] == 0
    assert (seen['sallyport_sniffed_total{protocol="tls"}'], seen['sallyport_sniffed_total{protocol="http1"}']) == (3, 4)
    assert sum(line["bytes_in"] for line in lines) == seen["sallyport_received_bytes_total"]
    assert sum(line["bytes_out"] for line in lines) == seen["sallyport_sent_bytes_total"]
    assert not [name for name, value in seen.items() if name.startswith("sallyport_rejected_total") and value]


def bytes_of(data):
    def send(gw):
        with Client(gw.ports["https"]) as client:
            client.send(data)
            client.rest()
    return send


HTTP = b"Host: plain.example\r\n\r\n"

# What is done once, and the counter that then says 1, and no other one of its kind.
ANOMALIES = {
    "unknown_protocol": bytes_of(b"\x00\x01\x02"),
    "bad_hello": bytes_of(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
    "no_route": bytes_of(hello.build("nowhere.example")),
    "bad_request": bytes_of(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "access": bytes_of(b"GET / HTTP/1.1\r\nHost: denied.example\r\nConnection: close\r\n\r\n"),
    "timeout": bytes_of(b"GET / HT"),
    "untrusted_proxy": lambda gw: _proxied(gw, "127.0.0.9", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"),
    "bad_proxy_header": lambda gw: _proxied(gw, "127.0.0.1", b"PROXY TCP4 999.1.1.1 1.2.3.4 1 2\r\n"),
}


def _proxied(gw, source, header):
    with Client(gw.ports["http"], source=source) as client:
        client.send(header + b"GET / HTTP/1.1\r\n" + HTTP)
        client.rest()


@pytest.mark.parametrize("reason", ANOMALIES)
def test_each_anomaly_has_its_counter(gateway, http_server, leaf, reason):
    """Behaviours 22: counted, and the offender is cut."""
    server = http_server()
    gw = gateway({"web": edge("web.example", server), "plain": plain("plain.example", server, listen=["http", "https"]),
                  "denied": plain("denied.example", server, listen="https", access={"deny": ["127.0.0.0/8"]})},
                 listeners={"http": {"accept_proxy": ["127.0.0.1/32"]}}, certs={"w.pem": leaf("web.example")},
                 settings={"defaults": {"timeouts": dict.fromkeys(("handshake", "request"), "500ms" if reason == "timeout" else "60s")}})
    try:
        ANOMALIES[reason](gw)
    except OSError:
        pass
    seen = settled(gw)
    counted = {name: value for name, value in seen.items() if name.startswith("sallyport_rejected_total") and value}
    assert counted == {f'sallyport_rejected_total{{reason="{reason}"}}': 1}
    assert not server.requests


def test_failed_handshakes_and_resumed_ones_are_counted(gateway, http_server, leaf, ca):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})
    with Client(gw.ports["https"]) as client:
        client.send(hello.real("web.example") + b"junk" * 20)
        try:
            client.rest()
        except OSError:
            pass
    context, session = client_context(), None
    for _ in range(3):
        raw = socket.create_connection(("127.0.0.1", gw.ports["https"]), 30)
        tls = context.wrap_socket(raw, server_hostname="web.example", session=session)
        tls.sendall(b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
        assert tls.recv(4096)
        session = tls.session
        tls.close()
    seen = settled(gw)
    assert [seen[f"sallyport_tls_{name}_total"] for name in ("handshakes", "resumed_handshakes", "handshake_failures")] == [3, 2, 1]


def test_a_full_listener_is_counted(gateway, tcp_server):
    gw = gateway({"git": ssh(tcp_server(echo))}, listeners={"ssh": {"max_connections": 2}})
    clients = [Client(gw.ports["ssh"]) for _ in range(2)]
    for client in clients:
        client.send(b"SSH-2.0-x\r\n").exactly(11)
    extra = Client(gw.ports["ssh"])
    until(lambda: metrics(gw)['sallyport_rejected_total{reason="max_connections"}'] >= 1, "being full is counted")
    assert metrics(gw)["sallyport_sessions"] == 2
    for client in (*clients, extra):
        client.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert settled(gw)["sallyport_sessions"] == 0


def test_promtool_has_nothing_to_say(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    http(gw.ports["http"])
    done = subprocess.run(["promtool", "check", "metrics"], input=page(gw), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
