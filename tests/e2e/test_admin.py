"""The admin interface: docs/admin-api.md, asked with curl over its unix socket and over HTTP."""
import json
import os
import socket
import ssl as ssl_module
import threading
import time

import pytest

from harness import hello, websocket
from harness.admin import Admin, Events, mode_of
from harness.client import Client, http
from harness.h2_client import H2Client
from harness.http_server import response
from harness.ports import free_port
from harness.server import banner, echo, pause
from harness.services import edge, passthrough, plain, ssh, tcp
from harness.wait import PATIENCE, until

TOKEN = {"admin": {"token": "s3cret-token"}}


def named(http_server, *names):
    return [http_server(lambda r, n=n: response(200, n)) for n in names]


def hits(gw, count, **kw):
    """How many of so many requests, each on a connection of its own, went to which server."""
    out = {}
    for _ in range(count):
        text = http(gw.ports["http"], **kw).text
        out[text] = out.get(text, 0) + 1
    return out


def test_status_over_both(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    http(gw.ports["http"])
    for tcp_too in (False, True):
        status = Admin(gw, tcp=tcp_too).get("/api/v1/status")
        assert status["state"] == "serving" and status["pid"] == gw.pid and status["workers"] == 2
        assert status["config"] == os.path.realpath(gw.config.dir) or status["config"] == gw.config.dir
        assert status["services"] == {"total": 1, "up": 1, "degraded": 0, "down": 0, "left_out": 0}
        assert status["totals"]["connections"] >= 1 and status["totals"]["requests"] >= 1
        assert status["started"] <= status["now"] and status["log"] == {"level": "info", "dropped": 0}
        listeners = {one["name"]: one for one in status["listeners"]}
        assert listeners["http"]["binds"] == [{"address": f"127.0.0.1:{gw.ports['http']}", "state": "open"}]
    assert mode_of(gw.config.settings["admin"]["socket"]) == 0o660


def test_a_listener_that_cannot_be_opened_is_told_of(gateway, http_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        gw = gateway({"web": plain("a.example", http_server())}, listeners={"other": {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}})
        status = Admin(gw).get("/api/v1/status")
        assert status["state"] == "degraded"
        bind = [one for one in status["listeners"] if one["name"] == "other"][0]["binds"][0]
        assert bind["state"] == "failed" and "taken" in bind["error"]


def test_every_answer_has_its_headers(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw, tcp=True)
    for target, method, status in (("/api/v1/status", "GET", 200), ("/health", "HEAD", 200), ("/api/v1/nothing", "GET", 404),
                                   ("/api/v1/status", "POST", 405), ("/api/v1/log-level", "PUT", 403), ("/metrics", "GET", 200)):
        answer = admin.ask(target, method)
        assert answer.status == status, answer
        policy = answer.fields["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.fields["x-content-type-options"] == "nosniff" and answer.fields["cache-control"] == "no-store"
        if status >= 400:
            assert answer.fields["content-type"] == "application/json" and answer.error
    assert admin.ask("/api/v1/status", "POST").fields["allow"] == "GET, HEAD"
    assert admin.ask("/api/v1/status", "HEAD").body == ""


@pytest.mark.parametrize("target,status,word", [
    ("/nothing", 404, "docs"), ("/api/v1/services/nobody", 404, "no service"), ("/api/v1/services/wep", 404, 'did you mean "web"'),
    ("/api/v1/services?limit=no", 400, "limit"), ("/api/v1/services?limit=99999", 400, "limit"), ("/api/v1/services?lmit=1", 400, 'did you mean "limit"'),
    ("/api/v1/sessions?client=elsewhere", 400, "client"), ("/api/v1/sessions?sort=size", 400, "sort"), ("/api/v1/sessions?service=x", 404, "no service"),
    ("/api/v1/sticky", 400, "service"), ("/api/v1/sticky?service=web", 404, "sticky"), ("/api/v1/history?service=x", 404, "no service"),
    ("/api/v1/%zz", 400, "understood"), ("/api/v1/servers?service=x", 404, "no service")])
def test_what_is_wrong_is_said(gateway, http_server, target, status, word):
    gw = gateway({"web": plain("test.example", http_server())})
    answer = Admin(gw).ask(target)
    assert answer.status == status and word in answer.error, answer


def test_the_token(gateway, http_server):
    gw = gateway({"web": plain("test.example", *named(http_server, "a", "b"))}, settings=TOKEN)
    target = "/api/v1/log-level"
    for token, status in ((None, 401), ("wrong", 401), ("s3cret-toke", 401), ("s3cret-tokens", 401), ("s3cret-token", 200)):
        answer = Admin(gw, tcp=True, token=token).ask(target, "PUT", {"level": "debug"})
        assert answer.status == status, (token, answer)
        assert (status == 401) == ("www-authenticate" in answer.fields)
        assert "s3cret" not in answer.body
    assert Admin(gw, tcp=True).get("/api/v1/status")["log"]["level"] == "debug"  # reading needs none on loopback
    gw.wait_log("has given a wrong token")
    gw.wait_log("the log level is debug now, by 127.0.0.1")
    assert "s3cret" not in gw.log_text()
    # What only tells what would change needs none.
    assert Admin(gw, tcp=True).ask("/api/v1/reload?dry_run=true", "POST").status == 200
    assert Admin(gw, tcp=True).ask("/api/v1/reload", "POST").status == 401
    assert Admin(gw, tcp=True).ask("/api/v1/reload?dry_run=false", "POST").status == 401


def test_without_a_token_nothing_is_changed_over_http(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    for token in (None, "", "x"):
        answer = Admin(gw, tcp=True, token=token).ask("/api/v1/log-level", "PUT", {"level": "debug"})
        assert answer.status == 403 and "token" in answer.error
    assert Admin(gw).ask("/api/v1/log-level", "PUT", {"level": "debug"}).status == 200


def test_elsewhere_than_on_loopback_reading_needs_the_token(gateway, http_server):
    port = free_port()
    gw = gateway({"web": plain("test.example", http_server())}, settings={"admin": {"bind": f"0.0.0.0:{port}", "token": "s3cret-token"}})
    stranger, friend = Admin(gw, tcp=True, port=port), Admin(gw, tcp=True, token="s3cret-token", port=port)
    for target in ("/api/v1/status", "/api/v1/events", "/metrics", "/api/v1/sessions"):
        assert stranger.ask(target).status == 401, target
    assert stranger.ask("/health").status == 200
    assert friend.ask("/api/v1/status").status == 200 and friend.ask("/metrics").status == 200


@pytest.mark.parametrize("header,status", [
    ("Host: localhost", 200), ("Host: 127.0.0.1", 200), ("Host: [::1]:1", 200), ("Host: evil.example", 403), ("Host: localhost.evil.example", 403),
    ("Origin: http://evil.example", 403), ("Origin: null", 403), ("Origin: http://127.0.0.1:{port}", 200), ("Origin: http://127.0.0.1:1", 403),
    ("Sec-Fetch-Site: cross-site", 403), ("Sec-Fetch-Site: same-origin", 200)])
def test_pages_of_others(gateway, http_server, header, status):
    gw = gateway({"web": plain("test.example", http_server())}, settings=TOKEN)
    header = header.format(port=gw.config.admin_port)
    for target in ("/api/v1/status", "/%61pi/v1/status", "/metrics"):
        assert Admin(gw, tcp=True).ask(target, headers=[header]).status == status, target
    change = Admin(gw, tcp=True, token="s3cret-token").ask("/api/v1/log-level", "PUT", {"level": "info"}, headers=[header])
    assert change.status == (200 if header.startswith("Host:") else status)  # who has the token is no page of others
    assert Admin(gw, tcp=True).ask("/health", headers=[header]).status == (200 if header.startswith("Host:") or "Sec-" in header else status)


def test_services_and_servers(gateway, http_server, config):
    good, bad = http_server(), http_server()
    folder = config({"web": plain("test.example", f"127.0.0.1:{good.port}", {"address": f"127.0.0.1:{bad.port}", "name": "second", "weight": 3},
                                  health={"type": "tcp", "interval": "100ms", "fall": 1}, balance="least-connections"),
                     "old": {"mode": "redirect", "hosts": ["old.example"], "redirect": {"to": "https://new.example"}},
                     "broken": {"mode": "nonsense"}})
    gw = gateway(config=folder)
    admin = Admin(gw)
    until(lambda: admin.server("web", "second")["state"] == "up", "checked")
    bad.kill()
    until(lambda: admin.get("/api/v1/services/web")["state"] == "degraded", "degraded")
    answer = admin.get("/api/v1/services")
    services = {one["name"]: one for one in answer["services"]}
    assert answer["total"] == 2 and services["old"]["state"] == "none" and services["old"]["servers"] == []
    web = services["web"]
    assert (web["mode"], web["file"], web["line"], web["hosts"], web["balance"]) == ("http", "conf.d/web.yaml", 1, ["test.example"], "least-connections")
    assert web["rates"]["requests"] == 0 and web["totals"]["status"] == {}
    left, = answer["left_out"]
    assert left["name"] == "broken" and left["faults"][0]["file"] == "conf.d/broken.yaml" and "nonsense" in left["faults"][0]["message"]
    down = admin.server("web", "second")
    assert down["state"] == "down" and down["reason"] and down["since"] > 1e12 and down["weight"] == 3 and down["check"] == "tcp"
    assert admin.get("/api/v1/services?limit=1&offset=1")["services"][0]["name"] == answer["services"][1]["name"]
    assert len(admin.get("/api/v1/servers")["servers"]) == 2
    assert admin.get("/api/v1/status")["services"]["left_out"] == 1


def test_a_disabled_server_gets_no_clients_and_keeps_those_it_has(gateway, http_server):
    servers = named(http_server, "a", "b")
    gw = gateway({"web": plain("test.example", *servers, health="off")})
    admin = Admin(gw)
    target = f"/api/v1/servers/web/{servers[0].address}"
    with Client(gw.ports["http"]) as held:
        while held.request().text != "a":
            pass
        answer = admin.ask(target, "PATCH", {"admin": "disabled"})
        assert answer.status == 200 and answer.json["admin"] == "disabled"
        assert hits(gw, 20) == {"b": 20}
        assert held.request().status == 200
    gw.wait_log(f"admin: service web: server {servers[0].address} is disabled now, by pid ")
    assert admin.get("/api/v1/services/web")["state"] == "degraded"
    admin.ask(f"/api/v1/servers/web/{servers[1].address}", "PATCH", {"admin": "disabled"})
    reply = http(gw.ports["http"])
    assert reply.status == 503
    assert gw.access(status=503)["end"] == "no_server"
    assert admin.get("/api/v1/services/web")["state"] == "down"
    admin.ask(target, "PATCH", {"admin": "enabled"})
    assert hits(gw, 10) == {"a": 10}


def test_the_only_server_disabled(gateway, http_server):
    server, = named(http_server, "a")
    gw = gateway({"web": plain("test.example", server)})
    admin = Admin(gw)
    admin.ask(f"/api/v1/servers/web/{server.address}", "PATCH", {"admin": "disabled"})
    assert http(gw.ports["http"]).status == 503
    admin.ask(f"/api/v1/servers/web/{server.address}", "PATCH", {"admin": "enabled"})
    assert http(gw.ports["http"]).status == 200


@pytest.mark.parametrize("by", ["source", "cookie"])
def test_a_draining_server_keeps_who_sticks_to_it(gateway, http_server, by):
    servers = named(http_server, "a", "b")
    gw = gateway({"web": plain("test.example", *servers, sticky={"by": by}, health="off")})
    admin = Admin(gw)
    sources = [f"127.0.0.{n}" for n in range(2, 14)]
    first, cookies = {}, {}
    for source in sources:
        reply = http(gw.ports["http"], source=source)
        first[source] = reply.text
        cookies[source] = [("Cookie", (reply.get("set-cookie") or "x=y").split(";")[0])]
    assert set(first.values()) == {"a", "b"}
    admin.ask(f"/api/v1/servers/web/{servers[0].address}", "PATCH", {"admin": "draining"})
    again = {source: http(gw.ports["http"], source=source, headers=cookies[source]).text for source in sources}
    assert again == first
    fresh = {http(gw.ports["http"], source=f"127.0.1.{n}").text for n in range(2, 14)}
    assert fresh == {"b"}
    # All servers drained: who belongs to one still gets it, others get none.
    admin.ask(f"/api/v1/servers/web/{servers[1].address}", "PATCH", {"admin": "draining"})
    assert {source: http(gw.ports["http"], source=source, headers=cookies[source]).text for source in sources} == first
    assert http(gw.ports["http"], source="127.0.2.2").status == 503
    admin.ask(f"/api/v1/servers/web/{servers[0].address}", "PATCH", {"admin": "disabled"})
    admin.ask(f"/api/v1/servers/web/{servers[1].address}", "PATCH", {"admin": "enabled"})
    assert {http(gw.ports["http"], source=source, headers=cookies[source]).text for source in sources} == {"b"}


def test_weights(gateway, http_server):
    servers = named(http_server, "a", "b")
    gw = gateway({"web": plain("test.example", *servers, health="off")}, settings={"workers": 1})
    admin = Admin(gw)
    target = f"/api/v1/servers/web/{servers[0].address}"
    assert hits(gw, 20) == {"a": 10, "b": 10}
    assert admin.ask(target, "PATCH", {"weight": 3}).json["weight"] == 3
    assert hits(gw, 40) == {"a": 30, "b": 10}
    assert admin.server("web", servers[0].address)["written_weight"] == 1
    admin.ask(target, "PATCH", {"weight": 0})
    assert hits(gw, 10) == {"b": 10}
    answer = admin.ask(target, "PATCH", {"weight": None, "admin": "enabled"})
    assert answer.json["weight"] == 1
    assert hits(gw, 20) == {"a": 10, "b": 10}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'"x"', b'{"weight": 257}', b'{"weight": -1}', b'{"weight": 1.5}', b'{"weight": "1"}',
                                  b'{"weight": 1e400}', b'{"admin": "off"}', b'{"admin": null}', b'{"admin": "disabled", "x": 1}', b"[" * 60000, b"\xff\xfe",
                                  b'{"admin": "disabled"} trailing'])
def test_a_change_that_is_none_changes_nothing(gateway, http_server, body):
    server = http_server()
    gw = gateway({"web": plain("test.example", server)})
    admin = Admin(gw)
    answer = admin.ask(f"/api/v1/servers/web/{server.address}", "PATCH", body)
    assert answer.status == 400 and answer.error
    assert admin.server("web", server.address)["admin"] == "enabled"
    for target, status in (("/api/v1/servers/web/10.0.0.1:1", 404), ("/api/v1/servers/nobody/x", 404), ("/api/v1/servers/web", 404)):
        assert admin.ask(target, "PATCH", {"weight": 1}).status == status


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


def test_certificates(gateway, http_server, leaf):
    gw = gateway({"web": edge("cloud.example.tld", http_server()), "wiki": edge("wiki.other.tld", http_server())},
                 certs={"wild.pem": leaf("*.example.tld"), "wiki.pem": leaf("wiki.other.tld")},
                 settings={"certificates": {"default": "wild.pem"}})
    by = {one["file"]: one for one in Admin(gw).get("/api/v1/certificates")["certificates"]}
    assert by["wild.pem"]["names"] == ["*.example.tld"] and by["wild.pem"]["services"] == ["web"] and by["wild.pem"]["default"] is True
    assert by["wiki.pem"]["services"] == ["wiki"] and by["wiki.pem"]["default"] is False
    assert by["wiki.pem"]["key"].startswith(("EC P-", "RSA ")) and by["wiki.pem"]["days_left"] >= 0 and by["wiki.pem"]["issuer"]


def test_sticky_is_shown_and_cleared(gateway, http_server):
    servers = named(http_server, "a", "b")
    gw = gateway({"web": plain("test.example", *servers, sticky={"by": "source"}, health="off")})
    admin = Admin(gw)
    seen = {f"127.0.0.{n}": http(gw.ports["http"], source=f"127.0.0.{n}").text for n in range(2, 8)}
    answer = admin.get("/api/v1/sticky?service=web")
    address = dict(zip("ab", (server.address for server in servers)))
    assert {one["client"]: one["server"] for one in answer["entries"]} == {client: address[name] for client, name in seen.items()}
    assert answer["total"] == 6 and answer["size"] == 10000
    assert len(admin.get("/api/v1/sticky?service=web&limit=2")["entries"]) == 2
    assert admin.ask("/api/v1/sticky?service=web&client=127.0.0.3", "DELETE").json == {"service": "web", "forgotten": 1}
    assert admin.ask("/api/v1/sticky?service=web&client=127.0.0.3", "DELETE").status == 404
    assert admin.ask("/api/v1/sticky?service=web&client=somebody", "DELETE").status == 400
    assert admin.ask("/api/v1/sticky?service=web", "DELETE").json["forgotten"] == 5
    assert admin.get("/api/v1/sticky?service=web")["entries"] == []
    gw.wait_log("all 5 clients are forgotten, by pid ")


def test_the_log_level(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw)
    assert admin.ask("/api/v1/log-level", "PUT", {"level": "error"}).json == {"level": "error"}
    assert admin.get("/api/v1/status")["log"]["level"] == "error"
    gw.wait_log("the log level is error now, by pid ")
    for body in (b"", b"{}", b'{"level": "loud"}', b'{"level": 1}', b"[1]"):
        assert admin.ask("/api/v1/log-level", "PUT", body).status == 400


def test_history(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    admin = Admin(gw)
    for _ in range(5):
        http(gw.ports["http"])
    answer = until(lambda: (lambda a: a if sum(a["connections"]) >= 5 else None)(admin.get("/api/v1/history")), "a step is over")
    assert answer["step_seconds"] == 2 and sum(answer["requests"]) == 5 and answer["end"] > 1e12
    assert len({len(answer[key]) for key in ("requests", "errors", "connections", "received_bytes", "sent_bytes")}) == 1
    assert admin.get("/api/v1/status")["rates"]["connections"] > 0
    assert len(admin.get("/api/v1/history?service=web")["requests"]) >= 1


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
