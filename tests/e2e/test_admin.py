"""The admin interface: docs/admin-api.md, asked with curl over its unix socket and over HTTP."""
import os
import socket

import pytest

from harness.admin import Admin, mode_of
from harness.client import Client, http
from harness.http_server import response
from harness.ports import free_port
from harness.services import edge, plain
from harness.wait import until

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
