"""The dashboard of a running gateway: what it shows is what the interface says, and what happens is seen. test_dashboard_page.py has the page alone."""
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import pytest

from harness.admin_mock import policy
from harness.client import http as ask
from harness.devtools import Page
from harness.ports import free_port
from harness.services import edge, plain, tcp
from harness.wait import PATIENCE, until

ROW = "#services-body tr.service"
TOKEN = "let-me-in"


@pytest.fixture
def page():
    """page(gateway): its dashboard. At the end nothing may have been complained of, and nothing asked of another place."""
    made = []

    def open_page(gw, expected=(), **keys):
        url = f"http://127.0.0.1:{gw.config.admin_port}/"
        one = Page(url, **keys)
        made.append((one, url, expected))
        return one
    yield open_page
    try:
        for one, url, expected in made:
            assert not [asked for _, asked in one.requests if not asked.startswith((url, "data:"))]
            problems = [problem for problem in one.problems if not any(word in problem for word in expected)]
            assert not problems, problems
    finally:
        for one, _, _ in made:
            one.close()


class Site:
    """A web server in a process of its own, to be killed."""

    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"], cwd="/", stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.answers, "the web server does not start")

    def answers(self):
        try:
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=5).request("HEAD", "/")
            return True
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def sites():
    made = []

    def make(number=1):
        made.extend(Site() for _ in range(number))
        return made[-number:]
    yield make
    for one in made:
        one.kill()


class Tls(http.client.HTTPSConnection):
    """To 127.0.0.1, by a name."""

    def __init__(self, port, ca, name):
        context = ssl.create_default_context(cafile=ca.cert)
        super().__init__(name, port, timeout=30, context=context)
        self.name, self.context = name, context

    def connect(self):
        self.sock = self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 30), server_hostname=self.name)

    def __enter__(self):
        return self

    def __exit__(self, *ended):
        self.close()


def api(gw, path, method="GET", token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{gw.config.admin_port}/api/v1/{path}", method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def shown(one):
    """name -> (state, servers) of the rows."""
    return {row[0]: tuple(row[1:]) for row in one.eval(
        f"[...document.querySelectorAll('{ROW}')].map(r => [r.querySelector('.name').innerText.trim(), r.querySelector('.state').dataset.state, r.cells[3].innerText.trim()])")}


def row_of(name):
    return f"[...document.querySelectorAll('{ROW}')].find(r => r.querySelector('.name').innerText.trim() === {json.dumps(name)})"


def wait_state(one, name, state, timeout=PATIENCE):
    one.wait(f"{row_of(name)}?.querySelector('.state').dataset.state === '{state}'", timeout)


def quick(**keys):
    return {"type": "tcp", "interval": "1s", "fall": 1, "rise": 1, **keys}


def with_token(**keys):
    return {"settings": {"admin": {"token": TOKEN}}, **keys}


def test_the_page_comes_with_its_policy_and_an_etag(gateway):
    gw = gateway({})
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/", timeout=30) as reply:
        assert reply.headers.get_all("Content-Security-Policy") == [policy()]
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8" and reply.headers.get_all("Cache-Control") == ["no-cache"]
        assert b"<title>sallyport</title>" in reply.read()
    connection = http.client.HTTPConnection("127.0.0.1", gw.config.admin_port, timeout=30)
    for name in ("/", "/dashboard/main.js", "/dashboard/dashboard.css", "/dashboard/icon.svg"):
        connection.request("GET", name)
        first = connection.getresponse()
        first.read()
        assert first.status == 200
        connection.request("GET", name, headers={"If-None-Match": first.headers["ETag"]})
        again = connection.getresponse()
        assert (again.status, again.read(), again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    for name in ("/dashboard/", "/dashboard/none.js", "/index.html", "/dashboard/..%2f..%2fgateway.yaml"):
        connection.request("GET", name)
        none = connection.getresponse()
        none.read()
        assert none.status == 404, name


def test_services_and_states_are_those_of_the_api(gateway, page, sites):
    up, half, gone = sites(3)
    gone.kill()
    gw = gateway({"whole": plain("whole.example", up, health=quick()), "half": plain("half.example", half, gone, health=quick()),
                  "dead": plain("dead.example", gone, health=quick()), "free": plain("free.example", up),
                  "away": {"mode": "redirect", "hosts": ["away.example"], "redirect": {"to": "https://free.example"}}})
    one = page(gw)
    wait_state(one, "dead", "down")
    wait_state(one, "half", "degraded")
    wait_state(one, "whole", "up")
    told = {each["name"]: each for each in api(gw, "services")["services"]}
    seen = shown(one)
    assert {name: state for name, (state, _) in seen.items()} == {name: each["state"] for name, each in told.items()}
    assert {name: servers for name, (_, servers) in seen.items()} == {"whole": "1/1", "half": "1/2", "dead": "0/1", "free": "1/1", "away": "–"}
    one.eval(f"{row_of('half')}.querySelector('.name').click()")
    one.wait("document.querySelectorAll('.inner tbody tr').length === 2")
    rows = ("[...document.querySelectorAll('.inner tbody tr')].map(r => [r.querySelector('.mono').innerText, "
            "[r.querySelector('.state').dataset.state, r.cells[2].innerText.trim()]])")

    def told_of():
        return {each["server"]: [each["state"], each.get("reason", "")] for each in api(gw, "services/half")["servers"]}
    until(lambda: dict(one.eval(rows)) == told_of(), lambda: (one.eval(rows), told_of()))
    assert sorted(state for state, _ in told_of().values()) == ["down", "up"]
    assert "conf.d/half.yaml:1" in one.eval("document.querySelector('.detail .facts').innerText")
    until(lambda: "1 service down: dead" in one.texts("#attention-list li"), lambda: one.texts("#attention-list li"))


def test_a_server_that_is_killed_turns_red_within_its_check_interval_and_green_when_it_is_back(gateway, page, sites):
    (site,) = sites()
    gw = gateway({"web": plain("web.example", site, health=quick())})
    one = page(gw)
    wait_state(one, "web", "up")
    colour = f"getComputedStyle({row_of('web')}.querySelector('.state i')).backgroundColor"
    assert one.eval(colour) == "rgb(22, 121, 74)"
    took = []
    for _ in range(3):
        site.kill()
        killed = time.monotonic()
        one.wait(f"{colour} === 'rgb(187, 42, 40)'")
        took.append(time.monotonic() - killed)
        assert one.eval(f"{row_of('web')}.querySelector('.state').innerText") == "down"
        site.start()
        wait_state(one, "web", "up")
        assert one.eval(colour) == "rgb(22, 121, 74)"
        if min(took) <= 1.0:
            break
    assert min(took) <= 1.0, f"red after {took} s, where the check comes each second"


def test_traffic_is_seen(gateway, page, sites):
    (site,) = sites()
    gw = gateway({"web": plain("web.example", site), "idle": plain("idle.example", site)})
    one = page(gw)
    one.wait(f"document.querySelectorAll('{ROW}').length === 2")
    for _ in range(20):
        assert ask(gw.ports["http"], host="web.example").status == 200
    one.wait(f"!{row_of('web')}.cells[4].innerText.startsWith('0 ')")
    one.wait(f"{row_of('web')}.querySelector('.spark path').getAttribute('d')")
    one.wait("document.querySelector('#tiles .now').innerText !== '0'")
    assert one.eval(f"{row_of('idle')}.cells[4].innerText").startswith("0 ")
    one.eval(f"{row_of('web')}.querySelector('.name').click()")
    one.wait("document.querySelector('.detail .facts').innerText.includes('20 requests')")


def test_sessions_and_what_can_be_done_with_the_token(gateway, page, sites, tcp_server):
    first, second = sites(2)
    echo = tcp_server(lambda conn: [conn.send(data) for data in iter(lambda: conn.sock.recv(4096), b"")])
    gw = gateway({"web": plain("web.example", first, second), "raw": tcp("raw", echo)}, listeners={"raw": {}}, **with_token())
    held = socket.create_connection(("127.0.0.1", gw.ports["raw"]))
    held.sendall(b"hello")
    assert held.recv(5) == b"hello"
    one = page(gw, expected=("401",))
    one.click("#tab-sessions")
    one.wait("document.querySelector('#sessions-body tr')?.innerText.includes('raw')")
    assert one.shown("#sessions-body button") == 0
    one.click("#access")
    one.type("#token-input", "wrong")
    one.press("Enter")
    one.wait("document.querySelector('#token-error').checkVisibility()")
    one.type("#token-input", TOKEN)
    one.press("Enter")
    one.wait("document.querySelector('#sessions-body button')?.checkVisibility()")
    one.click("#sessions-body button")
    one.click("#sessions-body button.armed")
    held.settimeout(PATIENCE)
    try:
        assert held.recv(1) == b""
    except ConnectionResetError:
        pass
    one.wait("document.querySelectorAll('#sessions-body tr').length === 0")

    one.click("#tab-services")
    one.eval(f"{row_of('web')}.querySelector('.name').click()")
    one.click(f"[aria-label='Disable {first.address} of web']")
    until(lambda: [each["admin"] for each in api(gw, "servers")["servers"] if each["server"] == first.address] == ["disabled"], "it is not disabled")
    one.wait("document.querySelector('.inner tbody tr').innerText.includes('disabled')")
    one.click(f"[aria-label='Enable {first.address} of web']")
    until(lambda: [each["admin"] for each in api(gw, "servers")["servers"] if each["server"] == first.address] == ["enabled"], "it is not enabled")
    one.type(f"[aria-label='Weight of {second.address}']", "7")
    one.press("Enter")
    until(lambda: [each["weight"] for each in api(gw, "servers")["servers"] if each["server"] == second.address] == [7], "the weight is not set")

    one.click("#tab-configuration")
    one.eval("{ const s = document.querySelector('#log-level'); s.value = 'debug'; s.dispatchEvent(new Event('change')); }")
    until(lambda: api(gw, "status")["log"]["level"] == "debug", "the level is not set")


def test_a_reload_is_looked_at_then_done_and_its_fault_shown(gateway, page, sites):
    (site,) = sites()
    gw = gateway({"web": plain("web.example", site)}, **with_token())
    one = page(gw)
    one.wait(f"document.querySelectorAll('{ROW}').length === 1")
    one.click("#tab-configuration")
    one.click("#access")
    one.type("#token-input", TOKEN)
    one.press("Enter")
    one.wait("document.querySelector('#access-text').innerText === 'May change'")
    gw.config.service("broken", "mode: passthru\n")
    gw.config.service("wiki", plain("wiki.example", site))
    one.click("#reload-look")
    one.wait("document.querySelector('#reload-preview').innerText.includes('wiki')")
    if one.shown("#reload-go"):  # a watcher may have been quicker
        one.click("#reload-go")
    one.wait("document.querySelector('#reload-last .fault')?.innerText.includes('conf.d/broken.yaml:1:7')")
    assert "passthru" in one.eval("document.querySelector('#reload-last .fault pre').innerText")
    one.wait("document.querySelector('#reload-last').innerText.includes('Left out: broken')")
    one.wait(f"document.querySelectorAll('{ROW}').length === 2")
    one.wait("document.querySelector('#attention-list').innerText.includes('1 service left out by a fault: broken')")


def test_explain(gateway, page, sites, leaf):
    (site,) = sites()
    gw = gateway({"web": edge("web.example", site)}, certs={"web.pem": leaf("web.example")})
    one = page(gw, expected=("400", "404"))
    one.type("#explain-target", f"https://web.example:{gw.ports['https']}/path")
    one.press("Enter")
    one.wait("document.querySelector('#explain-result .steps li')")
    text = one.eval("document.querySelector('#explain-result').innerText")
    assert "goes to a server" in text and site.address in text and "conf.d/web.yaml" in text and "web.pem" in text


def test_five_hundred_services(gateway, page, sites):
    (site,) = sites()
    gw = gateway({f"service-{n:03}": plain(f"s{n}.example", site) for n in range(499)} | {"zz": plain("zz.example", site, health=quick())})
    one = page(gw)
    one.wait(f"document.querySelectorAll('{ROW}').length === 500", 60)
    wait_state(one, "zz", "up")
    site.kill()
    wait_state(one, "zz", "down")
    assert one.eval(f"document.querySelector('{ROW} .name').innerText.trim()") == "zz", "what is down stands first"
    one.type("#services-filter", "service-33")
    one.wait(f"document.querySelectorAll('{ROW}').length === 10")


def test_a_gateway_that_stops_and_starts_again(gateway, page, sites):
    (site,) = sites()
    gw = gateway({"web": plain("web.example", site)})
    one = page(gw, expected=("ERR_",))
    one.wait(f"document.querySelectorAll('{ROW}').length === 1")
    one.wait("document.querySelector('#connection').innerText === 'Live'")
    gw.stop()
    one.wait("document.querySelector('#lost').checkVisibility()")
    gw.config.service("new", plain("new.example", site))
    again = gateway(config=gw.config)
    one.wait(f"document.querySelectorAll('{ROW}').length === 2 && !document.querySelector('#lost').checkVisibility()")
    again.stop()
    one.wait("document.querySelector('#lost').checkVisibility()")


def test_behind_the_gateway_itself(gateway, sites, leaf, ca):
    """By a name of its own, over TLS: what admin.hosts is for."""
    (site,) = sites()
    admin = free_port()
    gw = gateway({"web": plain("web.example", site), "dashboard": edge("gateway.example", f"127.0.0.1:{admin}")}, certs={"gateway.pem": leaf("gateway.example")},
                 settings={"admin": {"bind": f"127.0.0.1:{admin}", "hosts": ["gateway.example"], "token": TOKEN}})
    with Tls(gw.ports["https"], ca, "gateway.example") as connection:
        connection.request("GET", "/api/v1/status")
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["state"] == "serving"
        connection.request("PUT", "/api/v1/log-level", body='{"level": "debug"}', headers={
            "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Origin": f"https://gateway.example:{gw.ports['https']}", "Sec-Fetch-Site": "same-origin"})
        changed = connection.getresponse()
        assert changed.status == 200, changed.read()
        changed.read()
        until(lambda: json.loads(ask(admin, "/api/v1/status", host=f"127.0.0.1:{admin}").body)["log"]["level"] == "debug", "it is not changed")
    assert ask(admin, "/api/v1/status", host="somebody.example").status == 403
