"""The admin interface and those who ask it: streams of events, crowds, slow ones, hostile ones."""
import json
import os
import socket
import threading
import time

import pytest

from harness.admin import Admin, Events
from harness.client import http
from harness.http_server import response
from harness.services import plain
from harness.wait import PATIENCE, until


def named(http_server, *names):
    return [http_server(lambda r, n=n: response(200, n)) for n in names]


def test_events(gateway, http_server):
    servers = named(http_server, "a", "b")
    gw = gateway({"web": plain("test.example", *servers, health="off"), "still": plain("still.example", http_server())})
    admin = Admin(gw)
    with Events(admin) as events:
        assert events.status == 200 and events.fields["content-type"] == "text/event-stream"
        name, status = events.next()
        assert name == "status" and status["state"] == "serving"
        name, first = events.next()
        assert name == "services" and {one["name"] for one in first["services"]} == {"web", "still"}
        assert all("hosts" in one for one in first["services"])
        events.wait("status")
        events.wait("status")
        admin.ask(f"/api/v1/servers/web/{servers[0].address}", "PATCH", {"admin": "disabled"})
        changed = events.wait("services", lambda data: any(one["state"] == "degraded" for one in data["services"]))
        assert [one["name"] for one in changed["services"]] == ["web"] and "hosts" not in changed["services"][0]
    until(lambda: gw.fd_count() <= gw.idle_fds, "the stream is closed")


def test_a_listener_that_does_not_read_is_cut(gateway, http_server):
    """Its socket's buffers fill up, then the gateway's own, which is bounded; nobody else notices."""
    services = {f"s{n}": plain(f"s{n}.example", *[f"127.0.0.1:{p}" for p in range(1, 40)], health="off") for n in range(60)}
    server, = named(http_server, "a")
    gw = gateway({**services, "web": plain("test.example", server, "127.0.0.1:9", health="off")})
    admin = Admin(gw)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(admin.socket)
    sock.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(lambda: gw.fd_count() > gw.idle_fds, "it is connected")
    weight = [1]

    def pushed():
        weight[0] = weight[0] % 200 + 1
        for n in range(60):
            admin_change(admin, f"/api/v1/servers/s{n}/127.0.0.1:1", {"weight": weight[0]})
        return gw.fd_count() <= gw.idle_fds
    until(pushed, "it is cut", 120, 0.2)
    assert http(gw.ports["http"]).status in (200, 502)
    sock.close()


def admin_change(admin, target, body):
    """Without a process for each, as there are many."""
    with admin.connect() as sock:
        text = json.dumps(body)
        sock.sendall(f"PATCH {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    assert data.startswith(b"HTTP/1.1 200"), data


def test_so_many_may_listen(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw)
    streams = [Events(admin) for _ in range(16)]
    assert all(one.status == 200 for one in streams)
    assert admin.ask("/api/v1/events").status == 503
    streams.pop().close()
    until(lambda: Events_ok(admin, streams), "there is room again")
    for one in streams:
        one.close()


def Events_ok(admin, streams):
    one = Events(admin)
    if one.status != 200:
        one.close()
        return False
    streams.append(one)
    return True


def receive_all(sock):
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionError:
        pass
    return data


@pytest.mark.parametrize("tcp_too", [False, True])
def test_pipelined_requests_are_answered_in_order(gateway, http_server, tcp_too):
    gw = gateway({"web": plain("test.example", http_server())})
    with Admin(gw, tcp=tcp_too).connect() as sock:
        one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        late = b"GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        sock.sendall((one + late) * 200 + last)
        data = receive_all(sock)
    assert data.count(b"HTTP/1.1 200 ") == 400 and data.count(b"HTTP/1.1 404 ") == 1
    assert data.count(b"serving\n") == 200 and data.count(b'"sessions":') == 200 and data.index(b"serving\n") < data.index(b'"sessions":')


CHUNK = b"2000\r\n" + b"x" * 8192 + b"\r\n"
LEVEL = b"PUT /api/v1/log-level HTTP/1.1\r\nHost: localhost\r\n"
# What is sent, and the status that must come; None: the client ends its side, and whatever comes is an error.
HOSTILE = {
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a long target": (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    "many fields": (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", None),
    "a long body": (LEVEL + b"Content-Length: 65537\r\n\r\n", 413),
    "many chunks": (LEVEL + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 9, 413),
    "CONNECT": (b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 405),
    "two lengths": (LEVEL + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    "an asterisk": (b"GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
    "anything": (os.urandom(4096), None),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_input(gateway, http_server, what):
    request_text, status = HOSTILE[what]
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw)
    with admin.connect() as sock:
        try:
            sock.sendall(request_text)
            if status is None:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        data = receive_all(sock)
    if status is not None:
        assert data.startswith(b"HTTP/1.1 %d " % status), data[:200]
    elif data:
        assert data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), data[:200]
    assert admin.get("/api/v1/status")["state"] == "serving"
    until(lambda: gw.fd_count() <= gw.idle_fds, "its connection is closed")


def test_a_request_that_takes_its_time_is_given_up(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    with Admin(gw).connect(60) as sock:
        started = time.monotonic()
        sock.sendall(b"GET /health HTTP/1.1\r\n")
        try:
            while time.monotonic() - started < 40:
                sock.sendall(b"X: y\r\n")
                time.sleep(0.5)  # what is tested is a client that is slow
        except OSError:
            pass
        assert 8 < time.monotonic() - started < 35


def test_a_crowd_does_not_shut_the_others_out(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin, over_http = Admin(gw), Admin(gw, tcp=True)
    crowd = []
    for _ in range(200):
        sock = over_http.connect()
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: local")
        crowd.append(sock)
    assert admin.get("/api/v1/status")["state"] == "serving"
    for sock in crowd:
        sock.close()
    until(lambda: over_http.ask("/health").status == 200, "there is room again")
    idle = [over_http.connect() for _ in range(200)]
    assert over_http.get("/api/v1/status")["state"] == "serving"
    assert gw.fd_count() < gw.idle_fds + 80
    for sock in idle:
        sock.close()


def test_many_at_once(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw)
    failures = []

    def ask():
        try:
            for target in ("/api/v1/status", "/api/v1/services", "/api/v1/certificates"):
                with admin.connect() as sock:
                    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                    assert receive_all(sock).startswith(b"HTTP/1.1 200")
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=ask) for _ in range(30)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures
    until(lambda: gw.fd_count() <= gw.idle_fds, "all are closed")


def test_stopping_with_requests_under_way(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw)
    streams = [Events(admin) for _ in range(3)]
    held = admin.connect()
    held.sendall(b"GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api")
    gw.stop()
    gw.stopped = True
    for one in streams:
        one.close()
    held.close()
    assert not os.path.exists(admin.socket)
