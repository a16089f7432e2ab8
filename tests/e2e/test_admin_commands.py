"""The commands for a running gateway: tables for people, --json for scripts."""
import grp
import json
import os
import pty
import select
import subprocess
import time

import pytest

from harness.admin import Admin
from harness.client import Client, http
from harness.gateway import command, require_binary
from harness.http_server import response
from harness.services import edge, plain
from harness.wait import PATIENCE, until


@pytest.fixture
def world(gateway, http_server, leaf):
    servers = [http_server(lambda r, n=n: response(200, n)) for n in ("a", "b")]
    gw = gateway({"web": edge("web.example", *servers, plain_http="serve", sticky={"by": "source"}, health="off"),
                  "wiki": plain("wiki.example", servers[0])}, certs={"web.pem": leaf("web.example")})
    admin = Admin(gw)
    admin.servers = servers
    return admin


def as_json(admin, *words):
    done = admin.command(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_status(world):
    text = world.printed("status")
    assert text.startswith("sallyport    serving, version ") and f"pid {world.gateway.pid}," in text
    assert "services     2 services, 2 up\n" in text and f"127.0.0.1:{world.gateway.ports['http']}" in text
    assert "\x1b" not in text
    assert as_json(world, "status")["pid"] == world.gateway.pid


def test_services(world):
    lines = world.printed("services").splitlines()
    assert lines[0].split() == ["SERVICE", "MODE", "STATE", "SERVERS", "OPEN", "REQ/S", "ERR/S", "IN/S", "OUT/S", "HOSTS", "FILE"]
    assert [line.split()[:4] for line in lines[1:]] == [["web", "edge", "up", "2/2"], ["wiki", "http", "up", "1/1"]]
    text = world.printed("services", "web")
    assert "file       conf.d/web.yaml:1\n" in text and "hosts      web.example\n" in text and world.servers[1].address in text
    assert [one["name"] for one in as_json(world, "services")["services"]] == ["web", "wiki"]
    assert as_json(world, "services", "web")["name"] == "web"
    done = world.command("services", "wab")
    assert done.returncode == 1 and done.stdout == "" and done.stderr == 'sallyport: there is no service "wab"; did you mean "web"?\n'


def test_servers(world):
    lines = world.printed("servers").splitlines()
    assert len(lines) == 4 and lines[0].startswith("SERVICE")
    assert [line.split()[1] for line in world.printed("servers", "wiki").splitlines()[1:]] == [world.servers[0].address]
    assert len(as_json(world, "servers")["servers"]) == 3
    assert world.command("servers", "nobody").returncode == 1


def test_sessions(world):
    gw = world.gateway
    assert world.printed("sessions") == "There is no session.\n"
    with Client(gw.ports["http"]) as one, Client(gw.ports["http"], source="127.0.0.9") as two:
        for client in (one, two):
            assert client.request(host="web.example").status == 200
        lines = world.printed("sessions").splitlines()
        assert lines[0].split() == ["ID", "CLIENT", "LISTENER", "PROTOCOL", "STATE", "SERVICE", "SERVER", "AGE", "IDLE", "RECEIVED", "SENT", "REQUESTS", "WHAT"]
        assert len(lines) == 3 and all(" idle " in line and " web " in line for line in lines[1:])
        assert [line.split()[1] for line in world.printed("sessions", "--client", "127.0.0.9").splitlines()[1:]] == ["127.0.0.9"]
        assert world.printed("sessions", "--service", "wiki") == "There is no session.\n"
        assert world.printed("sessions", "--limit", "1").splitlines()[-1] == "… 1 of 2: --limit shows more"
        assert as_json(world, "sessions", "--sort", "sent", "--listener", "http")["total"] == 2
        seen = world.printed("sessions", "--watch", "--interval", "0.1", "--times", "3")
        assert seen.count("ID ") == 3
        id = as_json(world, "sessions", "--client", "127.0.0.9")["sessions"][0]["id"]
        assert world.printed("kill", id) == f"session {id} is cut\n"
        assert two.gone()
        done = world.command("kill", id)
        assert done.returncode == 1 and "there is no session" in done.stderr
    assert world.command("sessions", "--sort", "size").returncode != 0


def test_enable_disable_drain_weight(world):
    server = world.servers[0].address
    for word, state in (("disable", "disabled"), ("drain", "draining"), ("enable", "enabled")):
        assert world.printed(word, f"web/{server}") == f"service web: server {server} is {state}\n"
        assert world.server("web", server)["admin"] == state
        if state != "enabled":
            assert f" {state} " in world.printed("servers", "web")
    assert as_json(world, "disable", f"web/{server}")["admin"] == "disabled"
    assert {http(world.gateway.ports["http"], host="web.example", source=f"127.0.0.{n}").text for n in range(20, 30)} == {"b"}
    assert world.printed("weight", f"web/{server}", "7") == f"service web: server {server} has weight 7\n"
    assert " 7 (written: 1) " in world.printed("servers", "web")
    assert as_json(world, "weight", f"web/{server}", "default")["weight"] == 1
    for words, why in ((("weight", f"web/{server}", "257"), "256"), (("weight", f"web/{server}", "much"), "no weight"),
                       (("enable", "web"), "SERVICE/SERVER"), (("enable", "web/10.0.0.1:1"), "no server"), (("enable", "x/y"), "no service")):
        done = world.command(*words)
        assert done.returncode == 1 and why in done.stderr, (words, done.stderr)


def test_a_server_behind_a_path_or_a_name(gateway, http_server, tmp_path):
    path = str(tmp_path / "s.sock")
    server = http_server(lambda r: response(200, "x"), path=path)
    gw = gateway({"web": plain("test.example", server.address, {"address": "127.0.0.1:9", "name": "spare"}, health="off")})
    admin = Admin(gw)
    assert "is disabled" in admin.printed("disable", f"web/unix:{path}")
    assert "is disabled" in admin.printed("disable", "web/spare")
    assert admin.server("web", "spare")["admin"] == "disabled" and admin.server("web", f"unix:{path}")["admin"] == "disabled"


def test_certs(world):
    lines = world.printed("certs").splitlines()
    assert lines[0].split()[:2] == ["FILE", "NAMES"] and lines[1].startswith("web.pem  web.example")
    assert as_json(world, "certs")["certificates"][0]["file"] == "web.pem"
    done = command("certs", "list", "--config", world.gateway.config.dir)
    assert done.returncode == 0 and "used by  web" in done.stdout


def test_log_level(world):
    assert world.printed("log-level") == "info\n"
    assert world.printed("log-level", "debug") == "the log level is debug\n"
    assert as_json(world, "log-level")["level"] == "debug"
    assert as_json(world, "log-level", "info") == {"level": "info"}
    assert world.command("log-level", "loud").returncode != 0


def test_sticky(world):
    gw = world.gateway
    for n in range(2, 5):
        http(gw.ports["http"], host="web.example", source=f"127.0.0.{n}")
    lines = world.printed("sticky", "show", "web").splitlines()
    assert lines[0].split() == ["CLIENT", "SERVER", "IDLE"] and len(lines) == 5 and lines[-1] == "3 clients of at most 10000"
    assert as_json(world, "sticky", "show", "web")["total"] == 3
    assert world.printed("sticky", "clear", "web", "--client", "127.0.0.3") == "1 client forgotten\n"
    assert as_json(world, "sticky", "clear", "web")["forgotten"] == 2
    assert world.command("sticky", "show", "wiki").returncode == 1


def test_top_without_a_terminal(world):
    text = world.printed("top", "--interval", "0.1", "--times", "2")
    assert text.count("sallyport serving") == 2 and text.count("SERVICE") == 2 and "\x1b" not in text
    done = world.command("top", "--times", "1", "--json")
    assert set(json.loads(done.stdout)) == {"status", "services"}


def test_top_on_a_terminal(world):
    main, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen([require_binary(), "top", "--config", world.gateway.config.dir, "--interval", "0.2"], stdin=other, stdout=other,
                               stderr=other, env=environment)
    os.close(other)
    seen = b""
    end = time.monotonic() + PATIENCE
    while seen.count(b"SERVICE") < 3 and time.monotonic() < end:
        if select.select([main], [], [], 1)[0]:
            seen += os.read(main, 65536)
    assert seen.count(b"SERVICE") >= 3 and b"\x1b[32mup\x1b[0m" in seen and seen.startswith(b"\x1b[?1049h")
    os.write(main, b"q")
    assert process.wait(PATIENCE) == 0
    while select.select([main], [], [], 0.2)[0]:
        try:
            seen += os.read(main, 65536)
        except OSError:
            break
    os.close(main)
    assert seen.rstrip().endswith(b"\x1b[?1049l")


def test_no_colour_where_nobody_wants_it(world):
    def on_terminal(**more):
        main, other = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        process = subprocess.Popen([require_binary(), "services", "--config", world.gateway.config.dir], stdin=subprocess.DEVNULL, stdout=other,
                                   env={**environment, "TERM": "xterm", **more})
        os.close(other)
        assert process.wait(PATIENCE) == 0
        seen = os.read(main, 65536)
        os.close(main)
        return seen
    assert b"\x1b[" in on_terminal()
    assert b"\x1b[" not in on_terminal(NO_COLOR="1") and b"\x1b[" not in on_terminal(TERM="dumb")


def test_reload_diff(world):
    config = world.gateway.config
    done = world.command("reload", "--diff")
    assert (done.returncode, done.stdout) == (0, "Nothing would change.\n")
    assert done.stderr == config.check().stderr and "warning" in done.stderr
    tries = iter(range(100))

    def told():
        """Files that change are taken up by themselves half a second later: the question must come before."""
        n = next(tries)
        config.service(f"new{n}", plain(f"new{n}.example", "127.0.0.1:9"))
        config.service("wiki", plain(f"other{n}.example", "127.0.0.1:9"))
        done = world.command("reload", "--diff")
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        return f"+ new{n}" in lines and "~ wiki" in lines
    until(told, "what would change is told")
    config.service("wiki", "mode: passthru\nservers: [\"127.0.0.1:9\"]\n")
    done = world.command("reload", "--diff")
    assert done.returncode == 1 and "conf.d/wiki.yaml:1:7: error: unknown mode" in done.stderr and "      ^" in done.stderr
    report = world.command("reload", "--diff", "--json")
    assert report.returncode == 1 and json.loads(report.stdout)["result"] == "partial"
    assert {"web", "wiki"} <= {one["name"] for one in world.get("/api/v1/services")["services"]}


def test_nobody_answers(config):
    folder = config({"web": plain("a.example", "127.0.0.1:9")})
    for words in (("status",), ("services",), ("sessions", "--watch"), ("top",), ("reload",), ("certs",), ("log-level", "info"), ("kill", "0-1"), ("health",)):
        done = command(*words, "--config", folder.dir)
        assert done.returncode == 1 and done.stdout == "", words
        assert f"no gateway answers at unix:{folder.settings['admin']['socket']} or 127.0.0.1:{folder.admin_port}: is it running?" in done.stderr, (words, done.stderr)
    done = command("status", "--socket", "/nowhere/x.sock")
    assert done.returncode == 1 and "no gateway answers at unix:/nowhere/x.sock" in done.stderr


def test_by_socket_alone(world):
    done = command("status", "--socket", world.socket, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["pid"] == world.gateway.pid


def test_over_http_with_the_token_of_the_configuration(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())}, settings={"admin": {"socket": "off", "token": "s3cret-token"}})
    for words in (("status",), ("log-level", "debug")):
        done = command(*words, "--config", gw.config.dir)
        assert done.returncode == 0, done.stderr


def test_another_program_answers(tcp_server, config, tmp_path):
    path = str(tmp_path / "x.sock")
    tcp_server(lambda conn: (conn.until(b"\r\n\r\n"), conn.send(b"SSH-2.0-what\r\n")), path=path)
    done = command("status", "--socket", path)
    assert done.returncode == 1 and "no gateway" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_members_of_the_group_may_and_others_may_not(world, tmp_path):
    """The socket's mode decides."""
    group = grp.getgrnam("games").gr_gid
    os.chown(world.socket, 0, group)
    os.chmod(world.gateway.config.dir, 0o755)

    def run(groups):
        return subprocess.run([require_binary(), "status", "--socket", world.socket], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, user="nobody", group="nogroup", extra_groups=groups)
    member = run([group])
    assert member.returncode == 0, member.stderr
    stranger = run([])
    assert stranger.returncode == 1
    assert 'permission denied' in stranger.stderr and 'group "games"' in stranger.stderr and "usermod -aG games nobody" in stranger.stderr


def test_who_asked_is_logged(world):
    world.command("log-level", "debug")
    world.gateway.wait_log("the log level is debug now, by pid ")
    line = [one for one in world.gateway.lines if "the log level is debug now" in one][0]
    assert f"(sallyport), uid {os.geteuid()}, gid {os.getegid()}" in line
