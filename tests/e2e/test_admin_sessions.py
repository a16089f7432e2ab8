"""The admin interface: who is connected, of each kind, and cutting them."""
import ssl as ssl_module
import threading

import pytest

from harness import hello, websocket
from harness.admin import Admin
from harness.client import Client, http
from harness.h2_client import H2Client
from harness.http_server import response
from harness.server import banner, echo, pause
from harness.services import edge, passthrough, plain, ssh, tcp
from harness.wait import PATIENCE, until


class World:
    """A gateway with a session of each kind."""

    def __init__(self, gateway, http_server, tcp_server, ca, leaf):
        self.release = threading.Event()

        def slow(request):
            if request.target.startswith("/ws"):
                return websocket.serve(request)
            pause(self.release)
            return response(200, "late")
        self.web = http_server(slow)
        self.gw = gateway({"web": edge("web.example", self.web, plain_http="serve"), "own": passthrough("own.example", tcp_server(echo)),
                           "git": ssh(tcp_server(banner())), "raw": tcp("raw", tcp_server(echo))},
                          listeners={"raw": {}}, certs={"web.pem": leaf("web.example")})
        self.admin = Admin(self.gw)
        context = ca.client_context()
        self.clients = {}
        h1 = Client(self.gw.ports["https"], tls=context, name="web.example")
        h1.send_request(target="/slow?secret=1", host="web.example")
        self.clients["h1"] = h1
        ws = Client(self.gw.ports["http"])
        assert websocket.upgrade(ws, "/ws", "web.example").status == 101
        ws.send(websocket.frame(b"hello", True))
        assert websocket.read_frame(ws) == (2, b"hello")
        self.clients["ws"] = ws
        h2 = H2Client(self.gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name="web.example")
        self.streams = [h2.open("GET", f"/slow{n}", "web.example") for n in range(2)]
        self.clients["h2"] = h2
        tls = Client(self.gw.ports["https"])
        tls.send(hello.build("own.example"))
        assert tls.exactly(5)[0] == 22
        self.clients["tls"] = tls
        git = Client(self.gw.ports["ssh"])
        assert git.exactly(4) == b"SSH-"
        self.clients["ssh"] = git
        raw = Client(self.gw.ports["raw"])
        assert raw.send(b"ping").exactly(4) == b"ping"
        self.clients["tcp"] = raw
        self.clients["sniffing"] = Client(self.gw.ports["https"])
        handshake = Client(self.gw.ports["https"])
        handshake.send(hello.build("web.example"))
        assert handshake.exactly(5)[0] == 22  # the server's flight; ours never comes
        self.clients["handshake"] = handshake

    def close(self):
        self.release.set()
        for client in self.clients.values():
            client.close()


@pytest.fixture
def world(gateway, http_server, tcp_server, ca, leaf):
    one = World(gateway, http_server, tcp_server, ca, leaf)
    yield one
    one.close()


def test_sessions_of_each_kind(world):
    admin = world.admin
    sessions = until(lambda: (lambda s: s if len(s) == 8 and all(one["state"] != "opening" or one["protocol"] in ("sniffing", "handshake") for one in s)
                              else None)(admin.sessions()), lambda: f"{admin.sessions()}")
    assert [one["started"] for one in sessions] == sorted(one["started"] for one in sessions)
    by = {}
    for one in sessions:
        by.setdefault(one["protocol"], []).append(one)
    assert sorted(by) == ["h1", "h2", "handshake", "sniffing", "ssh", "tcp", "tls"] and len(by["h1"]) == 2
    assert all(one["client"] == "127.0.0.1" and one["age_seconds"] >= one["idle_seconds"] >= 0 for one in sessions)
    own, = by["tls"]
    assert (own["service"], own["mode"], own["sni"], own["listener"], own["state"]) == ("own", "passthrough", "own.example", "https", "open")
    assert own["received_bytes"] > 100 and own["server"].startswith("127.0.0.1:")
    assert by["ssh"][0]["service"] == "git" and by["tcp"][0]["service"] == "raw"
    slow, = [one for one in by["h1"] if one["listener"] == "https"]
    assert (slow["service"], slow["host"], slow["path"], slow["requests"], slow["state"]) == ("web", "web.example", "/slow", 1, "open")
    ws, = [one for one in by["h1"] if one["listener"] == "http"]
    assert ws["path"] == "/ws" and ws["server"] == world.web.address
    h2, = by["h2"]
    assert h2["streams"] == 2 and h2["requests"] == 2 and h2["path"] in ("/slow0", "/slow1")
    assert by["sniffing"][0]["state"] == "opening" and "service" not in by["sniffing"][0]
    assert {one["protocol"] for one in admin.sessions("service=web")} >= {"h1", "h2"}
    assert [one["protocol"] for one in admin.sessions("listener=ssh")] == ["ssh"]
    assert len(admin.sessions("client=127.0.0.0/8")) == 8 and admin.sessions("client=10.0.0.0/8") == []
    answer = admin.get("/api/v1/sessions?limit=2&sort=sent")
    assert answer["total"] == 8 and len(answer["sessions"]) == 2
    everyone = admin.sessions("sort=sent")
    assert [one["sent_bytes"] for one in everyone] == sorted((one["sent_bytes"] for one in everyone), reverse=True)
    assert admin.get("/api/v1/sessions?limit=0") == {"sessions": [], "total": 8}
    assert admin.get("/api/v1/status")["sessions"] == 8


def gone(client):
    """True for a connection that was reset, False for one that was closed; whatever is still there is read."""
    sock = client.raw if client.raw.fileno() >= 0 else client.sock
    sock.settimeout(PATIENCE)
    try:
        while sock.recv(65536):
            pass
        return False
    except (ConnectionError, ssl_module.SSLError):
        return True


@pytest.mark.parametrize("kind", ["h1", "ws", "h2", "tls", "ssh", "tcp", "sniffing", "handshake"])
def test_kill(world, kind):
    admin = world.admin
    sessions = until(lambda: (lambda s: s if len(s) == 8 and not [one for one in s if one["state"] == "opening" and one["protocol"] not in ("sniffing", "handshake")]
                              else None)(admin.sessions()), lambda: f"{admin.sessions()}")
    protocol = "h1" if kind == "ws" else kind
    mine, = [one for one in sessions if one["protocol"] == protocol and (kind != "ws" or one["listener"] == "http") and (kind != "h1" or one["listener"] == "https")]
    answer = admin.ask(f"/api/v1/sessions/{mine['id']}", "DELETE")
    assert answer.status == 200 and answer.json == {"killed": mine["id"]}
    client = world.clients[kind]
    if kind == "h2":
        until(lambda: client.endpoint.lost is not None, "the connection is cut")
    else:
        assert gone(client) or kind == "handshake", "a reset"  # TLS says goodbye first
    left = {one["id"] for one in admin.sessions()}
    assert left == {one["id"] for one in sessions} - {mine["id"]}
    assert admin.ask(f"/api/v1/sessions/{mine['id']}", "DELETE").status == 404
    world.gw.wait_log(f"admin: session {mine['id']} is cut, by pid ")
    if kind in ("h1", "ws", "tls", "ssh", "tcp", "h2"):
        world.gw.access(end="killed")


@pytest.mark.parametrize("id", ["x", "0", "0-", "-1", "9-1", "0-zz", "0-ffffffffffffffffffff", "0-0", "1-%2F", "999999999999999999999-1"])
def test_there_is_no_such_session(gateway, http_server, id):
    gw = gateway({"web": plain("test.example", http_server())})
    assert Admin(gw).ask(f"/api/v1/sessions/{id}", "DELETE").status == 404


def test_many_sessions_are_listed_while_they_come_and_go(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server(lambda r: response(200, "x")))})
    admin = Admin(gw)
    held = [Client(gw.ports["http"]) for _ in range(300)]
    for client in held:
        assert client.request().status == 200
    stop = threading.Event()
    failures = []

    def churn():
        while not stop.is_set():
            try:
                http(gw.ports["http"])
            except Exception as error:
                failures.append(error)
    churners = [threading.Thread(target=churn) for _ in range(2)]
    for one in churners:
        one.start()
    try:
        for sort in ("age", "idle", "requests", "received", "sent"):
            answer = admin.get(f"/api/v1/sessions?limit=10000&sort={sort}")
            assert len(answer["sessions"]) == answer["total"] >= 300
        for one in admin.sessions("limit=50"):
            assert admin.ask(f"/api/v1/sessions/{one['id']}", "DELETE").status in (200, 404)
    finally:
        stop.set()
        for one in churners:
            one.join()
    assert not failures
    for client in held:
        client.close()
    gw.wait_idle(slack=16)
