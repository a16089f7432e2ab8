"""Alerts: webhooks, mail through a real Exim, programs; servers that go down and come back, certificates, receivers that hang."""
import datetime
import email
import email.policy
import json
import os
import signal
import threading
import time
import urllib.request

import pytest

from harness.certs import dated
from harness.client import http
from harness.daemons import MailServer
from harness.gateway import command
from harness.http_server import HttpServer, response
from harness.server import Server, refused_port
from harness.services import edge, plain
from harness.wait import PATIENCE, until

CHECKED = {"type": "tcp", "interval": "200ms", "fall": 2, "rise": 2}
# What changes is gathered for 5 to 15 seconds.
SOON = PATIENCE + 20


class Receiver(HttpServer):
    """A webhook that keeps what it gets, and answers what the test says."""

    def __init__(self, status=200, **kw):
        self.status = status
        super().__init__(lambda request: response(self.status, b"so it is"), **kw)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}/hook/secret-path"

    def documents(self):
        with self.lock:
            return [json.loads(request.body) for request in self.requests]

    def changes(self):
        return [change for document in self.documents() for change in document["changes"]]

    def wait(self, timeout=SOON, **match):
        """The first change with these values."""
        def found():
            return next((c for c in self.changes() if all(c.get(k) == v for k, v in match.items())), None)
        return until(found, lambda: f"no change with {match}: {self.documents()}", timeout)


@pytest.fixture
def receiver():
    made = []

    def make(*args, **kw):
        made.append(Receiver(*args, **kw))
        return made[-1]
    yield make
    for one in made:
        one.stop()
        assert not one.errors, one.errors


def alerts(*all_of_them):
    return {"alerts": list(all_of_them)}


def metrics(gw):
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30) as reply:
        return reply.read().decode()


def test_a_server_goes_down_and_comes_back(gateway, receiver, http_server):
    stays, goes = http_server(), http_server()
    hook = receiver()
    gw = gateway({"web": plain("a.example", stays, goes, health=CHECKED)}, settings=alerts({"webhook": hook.url}))
    assert http(gw.ports["http"], host="a.example").status == 200
    port = goes.port
    goes.stop()
    down = hook.wait(event="server", state="down")
    assert down["service"] == "web" and down["server"] == goes.address and down["severity"] == "warn"
    assert "refused" in down["reason"] and down["reason"] in down["text"]
    assert abs(down["since"] / 1000 - time.time()) < 120
    back = HttpServer(port=port)
    try:
        up = hook.wait(event="server", state="up", timeout=SOON + 40)  # it has to stay up for 30 s
        assert up["server"] == goes.address and "after" in up["text"]
    finally:
        back.stop()
    assert len({document["id"] for document in hook.documents()}) == len(hook.documents()) == 2
    first = hook.documents()[0]
    assert first["version"] == 1 and first["gateway"] == os.uname().nodename and first["omitted"] == 0
    assert first["title"] == down["text"] and first["text"] == down["text"]
    request = hook.requests[0]
    assert request.method == "POST" and request.target == "/hook/secret-path"
    assert request.get("content-type") == "application/json"
    gw.wait_log("alerts: webhook localhost: told: ")
    until(lambda: 'sallyport_alerts_total{kind="webhook",result="sent"} 2' in metrics(gw), "not counted")
    assert not [line for line in gw.lines if "secret-path" in line]


def test_many_at_once_are_one_message(gateway, receiver):
    """As when a switch dies: all servers, the service itself first."""
    hook = receiver()
    dead = [f"127.0.0.1:{refused_port()}" for _ in range(12)]
    gateway({"web": plain("a.example", *dead, health=CHECKED)}, settings=alerts({"webhook": hook.url}))
    hook.wait(event="service", state="no_server")
    document = hook.documents()[0]
    assert document["severity"] == "error" and len(document["changes"]) == 13
    assert document["changes"][0]["event"] == "service"
    assert document["title"] == "1 service without servers, 12 servers down"
    assert document["text"].count("\n") == 12


def test_https_under_a_ca_of_ones_own(gateway, receiver, ca, leaf):
    """And one whose certificate nobody has signed gets nothing."""
    trusted = receiver(tls=leaf("localhost").server_context())
    other = receiver(tls=leaf("localhost").server_context())
    other.errors = []  # its handshakes fail, as they must
    gw = gateway({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED)}, settings=alerts(
        {"webhook": trusted.url, "ca": ca.cert, "name": "trusted"}, {"webhook": other.url, "name": "other"}))
    trusted.wait(event="server", state="down")
    gw.wait_log("alerts: webhook other: not told: ", SOON + 20)
    line = next(line for line in gw.lines if "alerts: webhook other: not told: " in line)
    assert "certificate" in line and "it is tried again" in line
    assert not other.requests
    other.errors.clear()


def test_formats(gateway, receiver):
    formats = ("slack", "discord", "gotify")
    hooks = {name: receiver() for name in formats}
    ntfy = receiver()
    gateway({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED)}, settings=alerts(
        {"webhook": ntfy.url, "format": "ntfy", "headers": {"Authorization": "Bearer tk_1"}, "on": ["service"]},
        *({"webhook": hook.url, "format": name, "on": ["service"]} for name, hook in hooks.items())))
    text = "service web: no server is left"
    for hook in (*hooks.values(), ntfy):
        until(lambda: hook.requests, "no request", SOON)
    title = f"{os.uname().nodename}: {text}"
    assert json.loads(hooks["slack"].requests[0].body) == {"text": f"{title}\n{text}"}
    assert json.loads(hooks["discord"].requests[0].body) == {"content": f"**{title}**\n{text}", "allowed_mentions": {"parse": []}}
    assert json.loads(hooks["gotify"].requests[0].body) == {"title": title, "message": text, "priority": 9}
    request = ntfy.requests[0]
    assert request.body.decode() == text and request.get("title") == title and request.get("priority") == "5"
    assert request.get("authorization") == "Bearer tk_1"


def test_one_that_hangs_disturbs_nobody(gateway, receiver, http_server):
    """A webhook that never answers, one that fails: the other is told, traffic goes on, and stopping takes no longer than its 2 s."""
    held = threading.Event()
    hangs = Server(lambda conn: held.wait(120))
    works, fails = receiver(), receiver(status=500)
    gw = gateway({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED), "ok": plain("b.example", http_server())},
                 settings=alerts({"webhook": f"http://localhost:{hangs.port}/", "name": "hangs", "timeout": "5m"},
                                 {"webhook": fails.url, "name": "fails"}, {"webhook": works.url}))
    works.wait(event="server", state="down")
    for _ in range(20):
        assert http(gw.ports["http"], host="b.example").status == 200
    gw.wait_log("alerts: webhook fails: not told: ", SOON)
    assert len(fails.requests) == 3  # tries of one message
    assert len({json.loads(request.body)["id"] for request in fails.requests}) == 1
    assert any("answered 500: so it is" in line for line in gw.lines)
    begin = time.monotonic()
    gw.stop()
    gw.stopped = True
    assert time.monotonic() - begin < PATIENCE
    assert any("1 message could not be sent before the end" in line for line in gw.lines), gw.log_text()
    held.set()
    hangs.stop()


def test_a_refusal_is_not_tried_at_once_again(gateway, receiver):
    hook = receiver(status=404)
    gw = gateway({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED)}, settings=alerts({"webhook": hook.url}))
    gw.wait_log("answered 404", SOON)
    assert len(hook.requests) == 1


def test_mail(gateway, ca, leaf):
    """Through Exim, with STARTTLS and a password; a second receiver that does not trust its certificate gets none."""
    server = MailServer(leaf("localhost"))
    server.start()
    try:
        common = {"smtp": f"smtp://localhost:{server.port}", "starttls": "required", "user": "gate", "password": "pencil"}
        gw = gateway({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED)},
                     settings=alerts({"email": ["a@example.tld", "b@example.tld"], "from": "gate@example.tld", "ca": ca.cert, **common},
                                     {"email": "c@example.tld", **common},
                                     {"email": "d@example.tld", "ca": ca.cert, **common, "password": "wrong"}))
        mails = until(server.mails, lambda: f"no mail: {server.log()} {gw.log_text()}", SOON)
        recipients, text = mails[0]
        assert sorted(recipients) == ["a@example.tld", "b@example.tld"]
        message = email.message_from_string(text, policy=email.policy.default)
        assert not message.defects
        assert message["to"] == "a@example.tld, b@example.tld" and message["from"].addresses[0].addr_spec == "gate@example.tld"
        assert message["subject"] == f"[sallyport] {os.uname().nodename}: 1 service without servers, 1 server down"
        assert abs(message["date"].datetime.timestamp() - time.time()) < 300
        assert message["message-id"].endswith("@example.tld>") and message["auto-submitted"] == "auto-generated"
        lines = message.get_content().splitlines()
        assert lines[0] == "service web: no server is left"
        assert lines[1].startswith("server 127.0.0.1:") and "Connection refused" in lines[1]
        for name in ("c@example.tld", "d@example.tld"):
            gw.wait_log(f"alerts: email {name}: not told: ", SOON)
        assert any("certificate" in line for line in gw.lines if "email c@example.tld: not told" in line)
        assert any("535" in line for line in gw.lines if "email d@example.tld: not told" in line)
        assert len(server.mails()) == 1
        assert not [line for line in gw.lines if "pencil" in line]
    finally:
        server.remove()


def script(config, name, text):
    path = config.write(name, "#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def test_programs(gateway, config):
    """Without a shell, with JSON on stdin and the first change in the environment; one that does not end is killed."""
    made = config({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED)})
    script(made, "bin/tell", f'cat >"{made.dir}/json"; env >"{made.dir}/env"; echo "$#:$1:$2" >"{made.dir}/args"\n'
                             f'ls /proc/$$/fd | tr "\\n" " " >"{made.dir}/fds"; touch "{made.dir}/done"\n')
    script(made, "bin/slow", f'echo $$ >"{made.dir}/pid"; sleep 600\n')
    script(made, "bin/fails", "echo no such room >&2; exit 7\n")
    made.settings["alerts"] = [{"exec": ["bin/tell", "a b;$(id)", "c"], "on": ["server"]}, {"exec": "bin/slow", "timeout": "1s"},
                               {"exec": "bin/fails"}, {"exec": "bin/none"}]
    made.write("gateway.yaml", made.settings)
    gw = gateway(config=made, env={"SECRET_OF_THE_GATEWAY": "hush"})
    until(lambda: os.path.exists(f"{made.dir}/done"), gw.log_text, SOON)

    def read(name):
        with open(os.path.join(made.dir, name)) as f:
            return f.read()
    document = json.loads(read("json"))
    assert document["changes"][0]["state"] == "down" and document["changes"][0]["service"] == "web"
    environment = dict(line.split("=", 1) for line in read("env").splitlines() if "=" in line)
    assert environment["SALLYPORT_EVENT"] == "server" and environment["SALLYPORT_STATE"] == "down"
    assert environment["SALLYPORT_SERVICE"] == "web" and environment["SALLYPORT_SERVER"] == document["changes"][0]["server"]
    assert environment["SALLYPORT_TITLE"] == document["title"] and environment["SALLYPORT_COUNT"] == "1"
    assert "SECRET_OF_THE_GATEWAY" not in environment and "NOTIFY_SOCKET" not in environment
    assert read("args") == "2:a b;$(id):c\n"
    assert set(read("fds").split()) <= {"0", "1", "2", "10", "255"}, "descriptors of the gateway leaked"  # 10, 255: the shell's own script
    gw.wait_log("alerts: exec slow: not told: ", SOON)
    assert any("not done in time, and killed" in line for line in gw.lines)
    pid = int(read("pid"))
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the program was not killed")
    assert any("exit code 7: no such room" in line for line in gw.lines)
    assert any("exec none: not told" in line and "No such file" in line for line in gw.lines)


def test_certificates(gateway, config, receiver, leaf, ca):
    """Near its end: told once, over a restart too; a new one in its place is told as well."""
    hook = receiver()
    made = config({"web": edge("a.example", f"127.0.0.1:{refused_port()}", health="off"),
                   "good": edge("b.example", f"127.0.0.1:{refused_port()}", health="off")},
                  settings=alerts({"webhook": hook.url, "on": ["certificate"]}))
    made.cert("b.pem", leaf("b.example", days=300))
    now = datetime.datetime.now(datetime.timezone.utc)
    times = [(now + datetime.timedelta(**of)).strftime("%Y%m%d%H%M%SZ") for of in ({"days": -360}, {"days": 5, "hours": 6})]
    made.cert("a.pem", dated(ca, "a.example", *times))
    gw = gateway(config=made)
    change = hook.wait(event="certificate", state="expiring")
    assert change["certificate"] == "a.pem" and "a.example" in change["text"] and "ends in 5 days" in change["text"]
    gw.wait_log("told: certificate a.pem")
    made.service("more", plain("c.example", f"127.0.0.1:{refused_port()}", health="off"))
    gw.signal(signal.SIGHUP)
    gw.wait_log("reloaded")
    gw.stop()
    gw.stopped = True
    again = gateway(config=made)
    time.sleep(7)  # longer than it is gathered
    again.stop()
    again.stopped = True
    assert [c["certificate"] for c in hook.changes()] == ["a.pem"]
    made.cert("a.pem", leaf("a.example", days=300))
    gateway(config=made)
    assert hook.wait(event="certificate", state="valid")["certificate"] == "a.pem"
    assert len(hook.changes()) == 2


def test_a_faulty_reload(gateway, config, receiver):
    """A file with a fault is told, and the first reload that is good again."""
    hook = receiver()
    made = config({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health="off")}, settings=alerts({"webhook": hook.url}))
    gw = gateway(config=made)
    made.write("conf.d/web.yaml", "mode: htpp\n")
    gw.signal(signal.SIGHUP)
    change = hook.wait(event="reload", state="partial")
    assert "conf.d/web.yaml:1:7" in change["reason"] and change["severity"] == "error"
    made.service("web", plain("a.example", f"127.0.0.1:{refused_port()}", health="off"))
    gw.signal(signal.SIGHUP)
    assert hook.wait(event="reload", state="ok", timeout=SOON + 40)["severity"] == "info"


def test_alerts_test(config, receiver):
    """Needs no running gateway; says of each whether it was reached."""
    good, bad = receiver(), receiver(status=401)
    made = config(settings=alerts({"webhook": good.url, "name": "good"}, {"webhook": bad.url, "name": "bad"}, {"exec": "true"}))
    done = command("alerts", "test", "--config", made.dir)
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == ["FAILED  webhook bad: answered 401: so it is", "sent    exec true", "sent    webhook good"]
    assert good.changes()[0]["event"] == "test" and good.changes()[0]["state"] == "test"
    assert command("alerts", "test", "good", "--config", made.dir).returncode == 0
    assert len(good.requests) == 2 and len(bad.requests) == 1
    nobody = command("alerts", "test", "nobody", "--config", made.dir)
    assert nobody.returncode == 1 and "no alert of the name" in nobody.stderr


def test_nothing_is_started_where_there_are_no_alerts(gateway, http_server):
    gw = gateway({"web": plain("a.example", f"127.0.0.1:{refused_port()}", health=CHECKED)})
    gw.wait_log("no server is left")
    threads = len(os.listdir(f"/proc/{gw.pid}/task"))
    time.sleep(6)
    assert len(os.listdir(f"/proc/{gw.pid}/task")) <= threads
    assert not [line for line in gw.lines if "alerts" in line]
