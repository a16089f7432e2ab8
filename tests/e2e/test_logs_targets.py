"""The log sent elsewhere: syslog in each way, a server of it that goes, comes back or sleeps, and journald."""
import os
import re
import socket
import tempfile
import threading
import time

import pytest

from harness.client import Client, http
from harness.dns import can_isolate
from harness.ports import free_port
from harness.services import plain
from harness.syslog import Journal, SyslogServer
from harness.wait import until

NASTY = 'x" <11>1 2026-01-01T00:00:00Z h a - - - forged\t\xe4'
BROKEN = {"mode": "http", "hosts": ["b.example"], "servers": ["127.0.0.1:1"], "retires": 1}


@pytest.fixture
def syslog():
    made, folder = [], tempfile.mkdtemp(prefix="sp-log-")

    def make(kind, **kw):
        if kind.startswith("unix"):
            kw.setdefault("path", os.path.join(folder, f"log-{len(made)}"))
        made.append(SyslogServer(kind, **kw))
        return made[-1]
    yield make
    for one in made:
        one.stop()
    os.rmdir(folder)


def to(target, format="text", **logs):
    return {"logs": {"format": format, "target": target, **logs}}


@pytest.mark.parametrize("kind", ["udp", "tcp", "unix", "unix-stream"])
def test_syslog_in_each_way(gateway, http_server, syslog, kind):
    server = syslog(kind)
    gw = gateway({"web": plain("a.example", http_server()), "broken": BROKEN}, settings=to(server.target))
    assert http(gw.ports["http"], "/x", host="a.example", headers={"User-Agent": NASTY}).status == 200
    line = server.wait('path="/x"')
    assert line.text.startswith("access client=127.0.0.1 listener=http service=web ")
    assert (line.facility, line.severity, line.id, line.app) == (3, 6, "access", "sallyport")
    assert line.pid == str(gw.pid) and line.host == socket.gethostname()
    assert abs(time.time() - time.mktime(time.strptime(line.time[:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone) < 300
    # The priority is that of the level; the text does not say it again.
    left_out = server.wait("is left out")
    assert (left_out.severity, left_out.id, left_out.text) == (3, "event", "service broken is left out")
    assert server.wait("serving 1 service").severity == 6
    gw.stop()
    gw.stopped = True
    server.wait("stopped")


@pytest.mark.parametrize("format", ["json", "clf", "haproxy", "{user_agent} {path}"])
def test_syslog_in_each_format(gateway, http_server, syslog, format):
    server = syslog("tcp")
    gw = gateway({"web": plain("a.example", http_server())}, settings=to(server.target, format))
    http(gw.ports["http"], "/x", host="a.example", headers={"User-Agent": NASTY})
    line = server.wait("/x")
    expected = {"json": r'\{"time":.*"path":"/x".*\}',
                "clf": r'127\.0\.0\.1 - - \[.*\] "GET /x HTTP/1\.1" 200 \d+ "-" "x\\" <11>1 .* forged\\x09\\xe4"',
                "haproxy": r'127\.0\.0\.1:\d+ \[.*\] http web/.* "GET /x HTTP/1\.1"',
                "{user_agent} {path}": r'x\\"\\x20<11>1\\x20.*\\x20forged\\x09\\xe4 /x'}[format]
    assert re.fullmatch(expected, line.text), line.text
    started = server.wait("serving 1 service").text
    assert started.startswith("{" if format == "json" else "serving"), started


def test_a_syslog_server_that_goes_and_comes_back(gateway, http_server, syslog):
    server = syslog("tcp")
    gw = gateway({"web": plain("a.example", http_server())}, settings=to(server.target))
    http(gw.ports["http"], "/before", host="a.example")
    server.wait("/before")
    server.stop()
    for n in range(40):
        assert http(gw.ports["http"], f"/gone-{n}.", host="a.example").status == 200
    gw.wait_log(f"log target {server.target}: Connection refused")
    again = syslog("tcp", port=server.port)
    for n in range(40):
        again.wait(f"/gone-{n}.")
    assert len(again.messages) == 40
    until(lambda: http(gw.ports["http"], "/after", host="a.example") and any("takes lines again" in line for line in gw.lines),
          gw.log_text, step=0.5)
    assert sum("Connection refused" in line for line in gw.lines) == 1


def test_a_syslog_server_that_is_not_there_yet(gateway, http_server, syslog):
    port = free_port()
    gw = gateway({"web": plain("a.example", http_server())}, settings=to(f"syslog:tcp:localhost:{port}"))
    assert http(gw.ports["http"], "/early", host="a.example").status == 200
    server = syslog("tcp", port=port)
    server.wait("/early")
    server.wait("serving 1 service")


def test_udp_keeps_what_comes_back(gateway, http_server, syslog):
    """A port that nobody listens on answers with an ICMP error: the line after the lost one waits."""
    port = free_port()
    gw = gateway({"web": plain("a.example", http_server())}, settings=to(f"syslog:udp:127.0.0.1:{port}"))
    gw.wait_log("Connection refused")
    for n in range(30):
        http(gw.ports["http"], f"/n-{n}.", host="a.example")
    server = syslog("udp", port=port)
    server.wait("/n-29.")
    # While it is dead one line is lost each half second, not all of them.
    assert len([m for m in server.messages if "/n-" in m.text]) >= 20


def test_a_target_that_sleeps_slows_no_request_and_the_lost_lines_are_told(gateway, http_server, syslog):
    server = syslog("tcp")
    server.reads.clear()
    gw = gateway({"web": plain("a.example", http_server())}, settings=to(server.target, "{user_agent} {path}"))
    agent, path, total = "\xe4" * 500, '/"' + "a" * 400, 6000

    def ask(slowest):
        with Client(gw.ports["http"]) as client:
            for _ in range(total // 2):
                began = time.monotonic()
                assert client.request(target=path, host="a.example", headers={"User-Agent": agent}).status == 200
                slowest.append(time.monotonic() - began)
    slowest = []
    threads = [threading.Thread(target=ask, args=(slowest,), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slowest) == total
    slowest.sort()
    assert slowest[total * 99 // 100] < 0.5, f"p99 is {slowest[total * 99 // 100]} s"

    def dropped():
        text = http(gw.config.admin_port, "/metrics", host="localhost").text
        return int(float(re.search(r"^sallyport_log_lines_dropped_total (\S+)$", text, re.M)[1]))
    assert dropped() > 0
    gw.wait_log("takes no lines")
    server.reads.set()
    assert server.wait("log lines were dropped").severity == 4

    def told():
        return sum(int(m.text.split()[0]) for m in list(server.messages) if "log lines were dropped" in m.text)
    # It may be told in parts, and lines come behind it.
    until(lambda: sum(m.id == "access" for m in list(server.messages)) + dropped() == total and told() == dropped(),
          lambda: f"{len(server.messages)} lines came, {dropped()} were dropped, {told()} of them told")


@pytest.mark.skipif(not can_isolate(), reason="needs mount namespaces")
def test_journald_gets_fields(gateway, http_server, tmp_path):
    journal = Journal(tempfile.mkdtemp(prefix="sp-j-"))
    gw = gateway({"web": plain("a.example", http_server()), "broken": BROKEN}, settings=to("journald"), wrapper=journal.wrapper())
    forged = 'x"%0aPRIORITY=0'
    http(gw.ports["http"], "/x?" + forged, host="a.example")
    entry = journal.wait(SALLYPORT_TYPE="access", SALLYPORT_SERVICE="web")
    assert entry["MESSAGE"].startswith("access client=127.0.0.1 listener=http service=web")
    assert entry["PRIORITY"] == "6" and entry["SYSLOG_IDENTIFIER"] == "sallyport" and entry["SYSLOG_FACILITY"] == "3"
    assert entry["SALLYPORT_CLIENT"] == "127.0.0.1" and entry["SALLYPORT_STATUS"] == "200" and entry["SALLYPORT_END"] == "ok"
    assert entry["SALLYPORT_HOST"] == "a.example" and entry["SALLYPORT_PATH"].startswith("/x?x")
    assert entry["SALLYPORT_SERVER"].startswith("127.0.0.1:") and entry["SALLYPORT_TOTAL_MS"].isdigit()
    assert journal.wait(MESSAGE="service broken is left out")["PRIORITY"] == "3"
    started = next(dict(e) for e in journal.entries if "serving 1 service" in dict(e)["MESSAGE"])
    assert started["PRIORITY"] == "6" and started["SALLYPORT_TYPE"] == "event" and "SALLYPORT_CLIENT" not in started
    for one in journal.entries:
        names = [name for name, _ in one]
        assert len(names) == len(set(names)), one
    gw.stop()
    gw.stopped = True
    journal.wait(MESSAGE="stopped")
    journal.stop()


@pytest.mark.skipif(not can_isolate(), reason="needs mount namespaces")
def test_journald_that_is_not_there_is_told_once(gateway, config, http_server):
    one = config({"web": plain("a.example", http_server())}, settings=to("journald", "json"))
    folder = os.path.join(one.dir, "journal")
    os.mkdir(folder)
    script = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"'
    gw = gateway(config=one, wrapper=("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, folder))
    gw.wait_log("log target journald: /run/systemd/journal/socket: No such file or directory")
    assert http(gw.ports["http"], "/x", host="a.example").status == 200
    journal = Journal(folder)
    entry = journal.wait(SALLYPORT_TYPE="access")
    assert '"path":"/x"' in entry["MESSAGE"]
    assert sum("No such file" in line for line in gw.lines) == 1
    journal.stop()
