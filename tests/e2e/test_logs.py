"""The log's formats, and files as its target: moved away under load, on a full disk, in a folder that is not there."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

from harness.client import Client, http
from harness.dns import can_isolate
from harness.h2_client import H2Client
from harness.services import edge, plain, tcp
from harness.wait import until

COMBINED = re.compile(r'(?P<client>\S+) (\S+) (\S+) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] '
                      r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}|-) (?P<size>\d+) '
                      r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"')
NASTY = 'x" 200 5 "-" "-"\\ [x] {y} |\t#22 \xe4'


def read(path):
    try:
        with open(path, encoding="utf-8", newline="") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def lines_of(path):
    text = read(path)
    assert not text or text.endswith("\n"), f"half a line at the end: {text[-200:]!r}"
    return text.splitlines()


def wait_line(path, text):
    return until(lambda: [line for line in read(path).splitlines(True) if text in line and line.endswith("\n")],
                 lambda: f"{text!r} in {read(path)[-2000:]}")[-1].rstrip("\n")


def to_file(format="json", **logs):
    return {"logs": {"format": format, "target": "./gateway.log", **logs}}


def file_of(gw):
    return os.path.join(gw.config.dir, "gateway.log")


def test_rotation_under_load_loses_and_splits_no_line(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())}, settings=to_file())
    log, wanted = file_of(gw), 4000

    def ask(part):
        with Client(gw.ports["http"]) as client:
            for n in range(part, wanted, 4):
                assert client.request(target=f"/{n}", host="a.example").status == 200
    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    rotated = []
    while any(thread.is_alive() for thread in threads):
        # As logrotate does with `create`: a new name, a signal, and on with the next.
        rotated.append(f"{log}.{len(rotated)}")
        os.rename(log, rotated[-1])
        gw.signal(signal.SIGUSR1)
        until(lambda: os.path.exists(log), "a new file")
    for thread in threads:
        thread.join()
    gw.stop()
    gw.stopped = True
    records = [json.loads(line) for path in [*rotated, log] for line in lines_of(path)]
    paths = [r["path"] for r in records if r.get("type") == "access"]
    assert len(rotated) > 3
    assert sorted(paths) == sorted(f"/{n}" for n in range(wanted))
    assert records[-1]["message"] == "stopped"
    assert not gw.records, "stderr is for what the file cannot take"


def test_copytruncate_and_a_deleted_file(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())}, settings=to_file())
    log = file_of(gw)
    http(gw.ports["http"], "/before", host="a.example")
    wait_line(log, "/before")
    shutil.copy(log, log + ".1")
    os.truncate(log, 0)
    http(gw.ports["http"], "/after", host="a.example")
    assert json.loads(wait_line(log, "/after"))["path"] == "/after"
    assert len(lines_of(log)) == 1  # and no hole before it
    os.unlink(log)
    http(gw.ports["http"], "/deleted", host="a.example")
    wait_line(log, "/deleted")


def test_a_folder_that_comes_later(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())}, settings={"logs": {"target": "./later/gateway.log"}})
    gw.wait_log("later/gateway.log: No such file or directory")
    assert http(gw.ports["http"], "/x", host="a.example").status == 200
    os.mkdir(os.path.join(gw.config.dir, "later"))
    log = os.path.join(gw.config.dir, "later", "gateway.log")
    wait_line(log, '"/x"')
    assert "serving 1 service" in read(log)
    until(lambda: http(gw.ports["http"], "/y", host="a.example") and any("takes lines again" in line for line in gw.lines),
          gw.log_text, step=0.5)
    assert sum("No such file" in line for line in gw.lines) == 1


@pytest.mark.skipif(not can_isolate(), reason="needs mount namespaces")
def test_a_full_disk_costs_no_request_and_no_line(gateway, config, http_server):
    one = config({"web": plain("a.example", http_server())}, settings={"logs": {"format": "json", "target": "./disk/log"}})
    disk = os.path.join(one.dir, "disk")
    os.mkdir(disk)
    script = 'mount -t tmpfs -o size=256k none "$0" && head -c 200000 /dev/zero > "$0/ballast" && exec "$@"'
    gw = gateway(config=one, wrapper=("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, disk))
    inside = f"/proc/{gw.pid}/root{disk}"
    count = 0
    with Client(gw.ports["http"]) as client:
        while count < 4000 and not any("No space left" in line for line in gw.lines):
            assert client.request(target=f"/{count}/{'y' * 200}", host="a.example").status == 200
            count += 1
        gw.wait_log("No space left on device")
        for _ in range(50):
            assert client.request(target=f"/{count}/{'y' * 200}", host="a.example").status == 200
            count += 1
        full = lines_of(f"{inside}/log")  # whole lines only
        assert full
        os.unlink(f"{inside}/ballast")
        wait_line(f"{inside}/log", f"/{count - 1}/")
        until(lambda: client.request(target="/again", host="a.example") and any("takes lines again" in line for line in gw.lines),
              gw.log_text, step=0.5)
    records = [json.loads(line) for line in lines_of(f"{inside}/log")]
    paths = [r["path"].split("/")[1] for r in records if r.get("type") == "access" and r["path"] != "/again"]
    assert paths == [str(n) for n in range(count)]
    assert sum("No space left" in line for line in gw.lines) == 1


def test_clf_is_what_log_analysers_read(gateway, http_server, tcp_server, ca, leaf):
    gw = gateway({"web": edge("a.example", http_server()), "x": tcp("x", tcp_server(lambda conn: conn.send(b"hello") or conn.shut()))},
                 listeners={"x": {}}, certs={"a.pem": leaf("a.example")}, settings=to_file("clf"))
    log = file_of(gw)
    ask = {"Referer": "https://b.example/?q=1", "User-Agent": "Mozilla/5.0 (X11; Linux)"}
    assert http(gw.ports["https"], "/h1?a=b", host="a.example", tls=ca.client_context(), headers=ask).status == 200
    one = COMBINED.fullmatch(wait_line(log, "/h1"))
    assert (one["client"], one["request"], one["status"]) == ("127.0.0.1", "GET /h1?a=b HTTP/1.1", "200")
    assert (one["referer"], one["agent"]) == (ask["Referer"], ask["User-Agent"])
    with H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name="a.example") as client:
        client.request(target="/h2", host="a.example", headers=ask)
    two = COMBINED.fullmatch(wait_line(log, "/h2"))
    assert (two["request"], two["referer"], two["agent"]) == ("GET /h2 HTTP/2.0", ask["Referer"], ask["User-Agent"])
    # The fields of one request are not those of the next.
    http(gw.ports["https"], "/none", host="a.example", tls=ca.client_context())
    three = COMBINED.fullmatch(wait_line(log, "/none"))
    assert (three["referer"], three["agent"]) == ("-", "-")
    for name in ("User-Agent", "Referer"):
        http(gw.ports["https"], f"/nasty-{name}", host="a.example", tls=ca.client_context(), headers={name: NASTY})
        line = wait_line(log, f"/nasty-{name}")
        nasty = COMBINED.fullmatch(line)
        assert nasty and nasty["status"] == "200" and nasty["request"] == f"GET /nasty-{name} HTTP/1.1", line
        assert nasty["agent" if name == "User-Agent" else "referer"] == 'x\\" 200 5 \\"-\\" \\"-\\"\\\\ [x] {y} |\\x09#22 \\xe4'
    with Client(gw.ports["x"]) as client:
        assert client.exactly(5) == b"hello"
    assert COMBINED.fullmatch(wait_line(log, '"-" - 5'))
    access = [line for line in lines_of(log) if COMBINED.fullmatch(line)]
    rest = [line for line in lines_of(log) if line not in access]
    assert len(access) == 6 and rest
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z (error|warn |info |debug) ", line) for line in rest), rest


def test_haproxy_lines_are_read_by_halog(gateway, http_server, tcp_server, ca, leaf):
    halog = shutil.which("halog")
    if halog is None:
        pytest.skip("no halog: install haproxy")
    dead = "127.0.0.1:1"
    gw = gateway({"web": edge("a.example", http_server()), "dead": plain("dead.example", dead),
                  "x": tcp("x", tcp_server(lambda conn: conn.send(b"hello") or conn.shut()))},
                 listeners={"x": {}}, certs={"a.pem": leaf("a.example")}, settings=to_file("haproxy"))
    for n in range(5):
        assert http(gw.ports["https"], f"/ok?{n}", host="a.example", tls=ca.client_context()).status == 200
    assert http(gw.ports["http"], host="dead.example").status == 502
    assert http(gw.ports["http"], "/elsewhere", host="a.example").status == 301
    assert http(gw.ports["http"], host="nobody.example").status == 404
    with Client(gw.ports["http"]) as client:
        client.send(b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n")
        assert client.response().status == 400
    with Client(gw.ports["x"]) as client:
        assert client.exactly(5) == b"hello"
    log = file_of(gw)
    wait_line(log, " x/127.0.0.1")
    until(lambda: len([line for line in lines_of(log) if re.match(r"127\.0\.0\.1:\d+ \[", line)]) == 10, lambda: read(log))

    def run(*options):
        # Lines of a file have no syslog header: nothing to skip before the client.
        with open(log) as f:
            out = subprocess.run([halog, "-q", "-s", "-4", *options], stdin=f, capture_output=True, text=True, timeout=30, check=True)
        return out.stdout
    statuses = dict(line.split()[:2] for line in run("-H", "-st").splitlines() if line and line[0].isdigit())
    assert statuses == {"200": "5", "301": "1", "400": "1", "404": "1", "502": "1"}, run("-H", "-st")
    servers = run("-H", "-srv")
    row = next(line.split() for line in servers.splitlines() if line.startswith("web/127.0.0.1"))
    assert row[2] == "5", servers  # of 2xx
    codes = dict(line.split()[:2] for line in run("-H", "-tc").splitlines())
    assert codes == {"--": "5", "SC": "1", "LR": "1", "PR": "2"}, codes
    assert "x/127.0.0.1" in run("-srv")  # tcplog
    assert "/ok" in run("-H", "-u")
    line = wait_line(log, "/ok?4")
    assert re.fullmatch(r'127\.0\.0\.1:\d+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] https~ web/127\.0\.0\.1:\d+ '
                        r'0/0/\d+/\d+/\d+ 200 \d+ - - ---- \d+/\d+/\d+/\d+/0 0/0 "GET /ok\?4 HTTP/1\.1"', line), line


def test_a_format_of_ones_own(gateway, http_server):
    one = '{client} "{user_agent}" {host}|{path} {status} {service}/{server} {total_ms} {end}'
    gw = gateway({"web": plain("a.example", http_server())}, settings=to_file(one))
    log = file_of(gw)
    http(gw.ports["http"], "/p|q", host="a.example", headers={"User-Agent": NASTY})
    line = wait_line(log, "/p")
    assert re.fullmatch(r'127\.0\.0\.1 "x\\" 200 5 \\"-\\" \\"-\\"\\\\ \[x\] \{y\} \|\\x09#22 \\xe4" a\.example\|/p\\x7cq 200 '
                        r'web/127\.0\.0\.1:\d+ \d+ ok', line), line
    assert re.search(r"Z info  serving 1 service", read(log))


def test_json_of_ones_own(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())},
                 settings=to_file('{{"who":{client:json},"ua":{user_agent:json},"sni":{sni:json},"code":{status:json}}}'))
    log = file_of(gw)
    http(gw.ports["http"], host="a.example", headers={"User-Agent": NASTY})
    record = json.loads(wait_line(log, '"who"'))
    assert record == {"who": "127.0.0.1", "ua": NASTY.replace("\xe4", "\ufffd"), "sni": None, "code": 200}


def test_a_wrong_format_refuses_the_start_and_says_why(config):
    one = config(settings={"logs": {"format": "{clinet} {path}"}})
    checked = one.check()
    assert checked.returncode != 0
    assert "unknown placeholder {clinet}; did you mean {client}?" in checked.stdout + checked.stderr


def test_a_signal_to_reopen_is_never_the_end(gateway, http_server):
    """logrotate sends it whatever the target is, and to a gateway that stops as well."""
    gw = gateway({"web": plain("a.example", http_server())})
    for _ in range(20):
        gw.signal(signal.SIGUSR1)
    assert http(gw.ports["http"], host="a.example").status == 200
    gw.signal(signal.SIGTERM)
    try:
        for _ in range(200):
            gw.signal(signal.SIGUSR1)
    except ProcessLookupError:
        pass


def test_a_reload_changes_target_and_format_and_loses_no_line(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())}, settings=to_file())
    first, second = file_of(gw), os.path.join(gw.config.dir, "second.log")
    done, asked = threading.Event(), []

    def ask():
        with Client(gw.ports["http"]) as client:
            while not done.is_set():
                assert client.request(target=f"/{len(asked)}-", host="a.example").status == 200
                asked.append(f"/{len(asked)}-")
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    wait_line(first, '"path":"/50-"')
    changed = {"format": "{path} by {user_agent}", "target": "./second.log", "level": "debug"}
    gw.config.write("gateway.yaml", {**gw.config.settings, "logs": changed})
    gw.signal(signal.SIGHUP)
    wait_line(second, " by -")
    end = len(asked) + 50
    until(lambda: len(asked) > end, "more requests")
    done.set()
    thread.join()
    gw.stop()
    gw.stopped = True
    # Lines that were made for the first may go to the second: what matters is that they are all there, and whole.
    paths = re.findall(r'(?:"path":"|^)(/\d+-)(?:"| by -$)', read(first) + read(second), re.M)
    assert sorted(paths) == sorted(asked)
    assert not any(" by -" in line for line in lines_of(first))
