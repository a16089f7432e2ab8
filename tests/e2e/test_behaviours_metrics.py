"""The counters: each anomaly in its own, and everything to the unit."""
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from harness import hello, websocket
from harness.certs import client_context
from harness.client import Client, http
from harness.h2_client import H2Client
from harness.http_server import response
from harness.metrics import metrics, page, samples, settled
from harness.real import curl
from harness.server import echo, pause, refused_port
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp
from harness.wait import until
from harness.ways import HOST


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
    assert [seen("connections_total", listener=name) for name in ("https", "http", "ssh")] == [3, 4, 1]
    assert [seen("requests_total", listener=name) for name in ("https", "http", "ssh")] == [15, 4, 0]
    assert seen.series("responses_total", "class") == {"2xx": 10, "3xx": 3, "4xx": 3, "5xx": 3}
    assert seen.series("tls_handshakes_total", "version") == {"1.3": 3} and not seen.series("tls_handshake_failures_total", "reason")
    assert seen.series("sniffed_total", "protocol") == {"tls": 3, "http1": 4}
    for name in ("https", "http", "ssh"):
        of_it = [line for line in lines if line["listener"] == name]
        assert sum(line["bytes_in"] for line in of_it) == seen("received_bytes_total", listener=name)
        assert sum(line["bytes_out"] for line in of_it) == seen("sent_bytes_total", listener=name)
    assert not seen.series("rejected_total", "reason")


class Agreed:
    """What the access log says of a service, which must be what its counters and its servers' say, to the byte."""

    def __init__(self, gw, service):
        self.lines = [line for line in gw.accesses() if line.get("service") == service]
        self.seen, self.service = settled(gw), service
        self.received = sum(line["bytes_in"] for line in self.lines)
        self.sent = sum(line["bytes_out"] for line in self.lines)
        assert self("received_bytes_total") == self.received and self("sent_bytes_total") == self.sent
        with_server = [line for line in self.lines if "server" in line]
        for server in {line["server"] for line in with_server}:
            of_it = [line for line in with_server if line["server"] == server]
            for name, key in (("received", "bytes_in"), ("sent", "bytes_out")):
                assert self.seen(f"server_{name}_bytes_total", service=service, server=server) == sum(line[key] for line in of_it)
        assert self("in_flight") == 0 and self.seen("server_in_flight", service=service) == 0
        assert self("duration_seconds_count") == len(self.lines)

    def __call__(self, name, **labels):
        return self.seen(f"service_{name}", service=self.service, **labels)

    def server(self, name, **labels):
        return self.seen(f"server_{name}", service=self.service, **labels)

    def requests(self):
        out = {}
        for found, labels, value in self.seen.all:
            if found == "sallyport_service_requests_total" and labels["service"] == self.service and value:
                out[labels["method"], labels["class"]] = value
        return out


def test_each_http_mode_counts_its_service_and_its_server(way):
    """Methods, statuses, bytes and connections, over each mode; the server's connection is made once and used again."""
    way.start(lambda r: response(int(r.target[1:]), b"x" * 700 if r.method != "HEAD" else b""), settings={"workers": 1})
    with way.client() as client:
        for method, status in (("GET", 200), ("GET", 203), ("POST", 201), ("PUT", 404), ("DELETE", 500), ("PATCH", 200), ("HEAD", 200)):
            assert client.request(method, f"/{status}", HOST, body=b"b" * 3000 if method in ("POST", "PUT") else b"").status == status
    way.gw.access(count=7)
    told = Agreed(way.gw, "test")
    assert told.requests() == {("GET", "2xx"): 2, ("POST", "2xx"): 1, ("PUT", "4xx"): 1, ("DELETE", "5xx"): 1, ("other", "2xx"): 1, ("HEAD", "2xx"): 1}
    assert told("errors_total") == 1 and told("retries_total") == 0 and told("connections_total") == 0
    assert told.received > 6000 and told.sent > 3500
    assert told.server("requests_total") == 7 and told.server("connections_total") == 1 == told.server("connect_seconds_count")
    assert told.seen.series("server_responses_total", "class") == {"2xx": 5, "4xx": 1, "5xx": 1}
    assert told("first_byte_seconds_count") == 7 == told.server("first_byte_seconds_count")
    assert told.server("idle_connections") == 1 and told.server("connect_failures_total") == 0


def test_http2_counts_streams_as_requests(gateway, h2_server, leaf, ca):
    server = h2_server(lambda r: response(int(r.target[1:]), b"y" * 1234))
    gw = gateway({"web": edge("web.example", server, server_protocol="h2")}, certs={"w.pem": leaf("web.example")}, settings={"workers": 1})
    with H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name="web.example") as client:
        streams = [client.open("GET", f"/{status}", "web.example") for status in (200, 404, 503) * 5]
        assert [one.whole().status for one in streams] == [200, 404, 503] * 5
        assert client.request("POST", "/200", "web.example", body=b"z" * 4321).status == 200
        assert samples(gw)("server_http2_connections", service="web") == 1
    gw.access(count=16)
    told = Agreed(gw, "web")
    assert told.requests() == {("GET", "2xx"): 5, ("GET", "4xx"): 5, ("GET", "5xx"): 5, ("POST", "2xx"): 1}
    assert (told.received, told.sent) == (4321, 16 * 1234)
    assert told.server("requests_total") == 16 and told.server("connections_total") == 1


RELAYED = ("passthrough", "tcp", "ssh", "edge-tcp", "reencrypt-tcp")


@pytest.mark.parametrize("mode", RELAYED)
def test_each_relay_counts_its_bytes(gateway, tcp_server, leaf, ca, server_ca, mode):
    """To the byte; of a passthrough these are the bytes of TLS as they are on the wire."""
    inside = server_ca.leaf("web.example").server_context() if mode in ("passthrough", "reencrypt-tcp") else None
    server = tcp_server(echo, tls=inside)
    services = {"passthrough": lambda: passthrough("web.example", server), "tcp": lambda: tcp("raw", server), "ssh": lambda: ssh(server),
                "edge-tcp": lambda: edge("web.example", server, protocol="tcp"),
                "reencrypt-tcp": lambda: reencrypt("web.example", server, protocol="tcp", server_tls={"verify": "none"})}
    gw = gateway({"x": services[mode]()}, certs={"w.pem": leaf("web.example")}, listeners={"raw": {}} if mode == "tcp" else {})
    port = gw.ports[{"tcp": "raw", "ssh": "ssh"}.get(mode, "https")]
    context = {"passthrough": server_ca.client_context, "edge-tcp": ca.client_context, "reencrypt-tcp": ca.client_context}.get(mode)
    sizes = (11, 5000, 300_000)
    for size in sizes:
        with Client(port, **({"tls": context(), "name": "web.example"} if context else {})) as client:
            data = b"SSH-2.0-x\r\n" + bytes(size - 11)
            for at in range(0, size, 16384):  # one TLS object is not for two threads
                piece = data[at:at + 16384]
                assert client.send(piece).exactly(len(piece)) == piece
    gw.access(count=3)
    told = Agreed(gw, "x")
    assert told("connections_total") == 3 == told.server("connections_total") == told("connect_seconds_count")
    assert told("errors_total") == 0 and not told.requests()
    if mode != "passthrough":
        assert (told.received, told.sent) == (sum(sizes), sum(sizes))
    else:
        assert told.received > sum(sizes) and told.sent > sum(sizes)


def test_a_websocket_is_a_request_and_a_connection(way):
    way.start(websocket.serve, settings={"workers": 1})
    with way.client() as client:
        assert websocket.upgrade(client, host=HOST).status == 101
        for size in (10, 70_000):
            client.send(websocket.frame(b"m" * size, True))
            assert websocket.read_frame(client) == (2, b"m" * size)
        assert samples(way.gw)("service_in_flight", service="test") == 1
    way.gw.access(count=1)
    told = Agreed(way.gw, "test")
    assert told.requests() == {("GET", "1xx"): 1} and told("connections_total") == 1
    assert told.received > 70_010 and told.sent > 70_010
    assert told.seen.series("server_responses_total", "class") == {"1xx": 1}


@pytest.mark.parametrize("kind", ["relay", "download", "upload", "h2", "websocket"])
def test_what_moves_for_long_is_counted_while_it_does(gateway, http_server, tcp_server, leaf, ca, kind):
    """Not only at its end; and at its end to the byte."""
    go_on, size = threading.Event(), 100_000

    def slow(request):
        if kind == "upload":
            return response(200, b"done")
        if kind == "websocket":
            return websocket.serve(request)
        request.conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {2 * size}\r\n\r\n".encode() + bytes(size))
        pause(go_on)
        request.conn.send(bytes(size))
        return None

    server = tcp_server(echo) if kind == "relay" else http_server(slow)
    gw = gateway({"x": tcp("raw", server) if kind == "relay" else edge("web.example", server)}, certs={"w.pem": leaf("web.example")},
                 listeners={"raw": {}} if kind == "relay" else {})
    counted = {"upload": "received", "relay": "received", "websocket": "received"}.get(kind, "sent")

    def moving():
        seen = samples(gw)
        return all(seen(f"{whose}_{counted}_bytes_total", service="x") >= size for whose in ("service", "server")) and seen(f"{counted}_bytes_total") >= size
    if kind == "h2":
        with H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name="web.example") as client:
            stream = client.open("GET", "/", "web.example")
            waiting = threading.Thread(target=stream.whole, daemon=True)
            waiting.start()
            until(moving, "it is counted while it moves")
            go_on.set()
            waiting.join(30)
    else:
        tls = {} if kind == "relay" else {"tls": ca.client_context(), "name": "web.example"}
        with Client(gw.ports["raw" if kind == "relay" else "https"], **tls) as client:
            if kind == "relay":
                client.send(bytes(size)).exactly(size)
            elif kind == "upload":
                client.send(f"POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: {2 * size}\r\n\r\n".encode() + bytes(size))
            elif kind == "websocket":
                assert websocket.upgrade(client, host="web.example").status == 101
                client.send(websocket.frame(bytes(size), True))
                websocket.read_frame(client)
            else:
                client.send(b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n")
            until(moving, "it is counted while it moves")
            assert samples(gw)("service_in_flight", service="x") == 1
            go_on.set()
            if kind == "upload":
                assert client.send(bytes(size)).response().status == 200
            elif kind == "download":
                assert len(client.response().body) == 2 * size
    gw.access(count=1)
    Agreed(gw, "x")


def test_failures_and_what_is_sent_again_are_counted_where_they_belong(gateway, http_server, tcp_server, leaf):
    """A server that is not there, one that answers 503, one that breaks off; a relay that nobody takes."""
    dead = f"127.0.0.1:{refused_port()}"
    good = http_server(lambda r: response(200, b"good"))
    bad = http_server(lambda r: response(503, b"bad"))

    def half(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        request.conn.reset()

    cut = http_server(half)
    gw = gateway({"over": plain("over.example", dead, good, health="off"),
                  "again": plain("again.example", bad, good, health="off", retry_on=["connect", 503]),
                  "cut": plain("cut.example", cut, health="off"), "none": plain("none.example", dead, health="off", retries=0),
                  "raw": tcp("raw", dead, health="off", retries=0)},
                 listeners={"raw": {}}, settings={"workers": 1})
    for _ in range(4):
        assert http(gw.ports["http"], "/", "over.example").status == 200
        assert http(gw.ports["http"], "/", "again.example").status == 200
    for _ in range(3):
        assert http(gw.ports["http"], "/", "none.example").status == 502
        with Client(gw.ports["http"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: cut.example\r\n\r\n")
            with pytest.raises((OSError, EOFError)):
                while client.raw.recv(1000):
                    pass
                raise EOFError
        with pytest.raises((OSError, EOFError)):  # the reset may come before the connect has returned
            with Client(gw.ports["raw"]) as client:
                if not client.raw.recv(10):
                    raise EOFError
    gw.access(count=17)
    over, again, none, raw = (Agreed(gw, name) for name in ("over", "again", "none", "raw"))
    assert over.requests() == {("GET", "2xx"): 4} and over("errors_total") == 0
    assert over.server("connect_failures_total", server=dead) >= 1 and over.server("requests_total", server=dead) == 0
    assert over.server("requests_total", server=good.address) == 4 and over.server("connect_failures_total", server=good.address) == 0
    failed = again.server("responses_total", server=bad.address, **{"class": "5xx"})
    assert failed >= 1 and again("retries_total") == failed == again.server("requests_total", server=bad.address)
    assert again.requests() == {("GET", "2xx"): 4} and again("errors_total") == 0
    assert none.requests() == {("GET", "5xx"): 3} and none("errors_total") == 3 == none.server("connect_failures_total")
    assert raw("errors_total") == 3 == raw("connections_total") and raw("sent_bytes_total") == 0
    seen = samples(gw)
    assert seen("server_responses_total", service="cut", **{"class": "none"}) == 3
    assert seen("service_requests_total", service="cut", method="GET", **{"class": "2xx"}) == 3


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
    assert seen.series("rejected_total", "reason") == {reason: 1}
    assert seen.series("rejected_total", "listener") == {"http" if "proxy" in reason else "https": 1}
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
    assert seen.series("tls_handshakes_total", "version") == {"1.3": 3}
    assert seen("tls_resumed_handshakes_total", listener="https") == 2
    assert sum(seen.series("tls_handshake_failures_total", "reason").values()) == 1


def fail_unknown_ca(gw):
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(socket.create_connection(("127.0.0.1", gw.ports["https"]), 30), server_hostname="web.example")


def fail_leaving(gw):
    with Client(gw.ports["https"]) as client:
        client.send(hello.real("web.example"))
        client.exactly(5)


def fail_version(gw):
    context = client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(socket.create_connection(("127.0.0.1", gw.ports["https"]), 30), server_hostname="web.example")


def fail_waiting(gw):
    with Client(gw.ports["https"]) as client:
        client.send(hello.real("web.example"))
        try:
            client.rest()
        except OSError:
            pass


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("reason, fail", {"certificate_refused_by_peer": fail_unknown_ca, "cut": fail_leaving, "protocol_version": fail_version,
                                          "timeout": fail_waiting}.items())
def test_a_failed_handshake_has_its_reason(gateway, http_server, leaf, reason, fail):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")},
                 settings={"defaults": {"timeouts": {"handshake": "500ms" if reason == "timeout" else "60s"}}})
    fail(gw)
    seen = settled(gw)
    assert seen.series("tls_handshake_failures_total", "reason") == {reason: 1} and not seen.series("tls_handshakes_total", "version")


def test_tls_versions_are_told_apart(gateway, http_server, leaf, ca):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ca.client_context()
        context.minimum_version = context.maximum_version = version
        with Client(gw.ports["https"], tls=context, name="web.example") as client:
            assert client.request("GET", "/", "web.example").status == 200
    assert settled(gw).series("tls_handshakes_total", "version") == {"1.2": 2, "1.3": 1}


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
    assert settled(gw)("sessions") == 0


def test_the_process_and_the_configuration_are_told(gateway, http_server, leaf):
    gw = gateway({"web": edge("web.example", http_server()), "broken": {"mode": "passthru"}}, certs={"w.pem": leaf("web.example")})
    seen = {name + "".join(labels.values()): value for name, labels, value in samples(gw).all}
    assert seen["sallyport_servicesserved"] == 1 == seen["sallyport_servicesleft_out"] and seen["sallyport_config_faultserror"] >= 1
    assert seen["process_open_fds"] - len(os.listdir(f"/proc/{gw.pid}/fd")) in (0, 1)  # the one that asked
    assert seen["process_max_fds"] > seen["process_open_fds"] and seen["process_resident_memory_bytes"] > 1_000_000
    started = os.stat(f"/proc/{gw.pid}").st_ctime
    assert abs(seen["process_start_time_seconds"] - started) < 5
    end = ssl.cert_time_to_seconds(subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", leaf("web.example").cert], capture_output=True,
                                                  text=True, check=True).stdout.strip().partition("=")[2])
    assert seen["sallyport_certificate_expiry_timestamp_secondsw.pem"] == end
    http(gw.ports["http"])
    until(lambda: samples(gw)("worker_turn_seconds_count") >= 1 and samples(gw)("worker_longest_turn_seconds") > 0, "a turn is over")


def test_a_reload_goes_on_counting_and_is_counted(gateway, http_server):
    server = http_server(lambda r: response(200, b"hello"))
    gw = gateway({"web": plain("web.example", server), "gone": plain("gone.example", server)}, settings={"workers": 1})

    def ask(times):
        for _ in range(times):
            assert http(gw.ports["http"], "/", "web.example").status == 200

    def reload(what):
        before = samples(gw)("reloads_total")
        gw.signal(signal.SIGHUP)
        until(lambda: samples(gw)("reloads_total") > before, what)
    ask(3)
    gw.config.service("web", plain(["web.example", "more.example"], server))
    os.unlink(os.path.join(gw.config.dir, "conf.d", "gone.yaml"))
    reload("the service that has changed")
    until(lambda: not samples(gw).matching("sallyport_service_errors_total", service="gone"), "one service is gone")
    ask(4)
    seen = settled(gw)
    assert seen("service_requests_total", service="web") == 7 == seen("server_requests_total", service="web")
    assert seen("connections_total", listener="http") == 7 and seen("last_reload_successful") == 1
    gw.config.service("web", {"mode": "nonsense"})
    until(lambda: samples(gw)("services", state="kept") == 1, "the last good version is kept")
    assert samples(gw)("services", state="left_out") == 0 and samples(gw)("config_faults", severity="error") >= 1
    taken = samples(gw)("reloads_total", result="taken")
    gw.config.write("gateway.yaml", "listeners: nonsense")
    reload("the refused one")
    seen = samples(gw)
    assert seen("last_reload_successful") == 0 and seen("reloads_total", result="refused") >= 1 and taken >= 1
    assert abs(seen("last_reload_timestamp_seconds") - time.time()) < 60
    ask(1)
    assert settled(gw)("service_requests_total", service="web") == 8


def test_what_was_said_of_a_server_is_told(gateway, http_server):
    one, two = http_server(), http_server()
    gw = gateway({"web": plain("web.example", one, two, health="off")})
    curl("--unix-socket", os.path.join(gw.config.dir, "admin.sock"), "-f", "-X", "PATCH", "-H", "Content-Type: application/json",
         "-d", '{"admin": "disabled"}', f"http://localhost/api/v1/servers/web/{one.address}")
    seen = samples(gw)
    assert seen("server_admin_state", server=one.address) == 2 and seen("server_admin_state", server=two.address) == 0
    assert seen("service_servers", service="web") == 2 and seen("service_servers_up", service="web") == 1


def test_promtool_has_nothing_to_say(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    http(gw.ports["http"])
    done = subprocess.run(["promtool", "check", "metrics"], input=page(gw), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
