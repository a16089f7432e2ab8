"""A real Prometheus: it loads the rules, scrapes a gateway under load, and its numbers are the load generator's."""
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest
import yaml

from harness import websocket
from harness.client import Client
from harness.gateway import ROOT
from harness.http_server import HttpServer, response
from harness.metrics import samples, settled
from harness.real import Nginx, Prometheus, curl
from harness.server import echo, refused_port
from harness.services import edge, passthrough, plain, tcp
from harness.wait import until

FOLDER = os.path.join(ROOT, "compose", "prometheus")
RULES = os.path.join(FOLDER, "sallyport.rules.yml")
DASHBOARD = os.path.join(ROOT, "compose", "grafana", "sallyport.json")


def promtool(*args):
    done = subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_good_and_each_alert_fires():
    assert "SUCCESS" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("check", "config", os.path.join(FOLDER, "prometheus.yml"))
    promtool("test", "rules", os.path.join(FOLDER, "sallyport.rules.test.yml"))


def test_each_alert_has_a_test():
    rules = [rule["alert"] for group in yaml.safe_load(open(RULES))["groups"] for rule in group["rules"]]
    tested = {case["alertname"] for test in yaml.safe_load(open(os.path.join(FOLDER, "sallyport.rules.test.yml")))["tests"]
              for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert tested == set(rules)


def dashboard():
    with open(DASHBOARD) as f:
        return json.load(f)


def expressions():
    """(panel, expression) with the variables of Grafana as Grafana would fill them in."""
    out = []
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"]
            for name, value in {"$__rate_interval": "20s", "$instance": ".*", "$service": ".*", "$job": "sallyport"}.items():
                text = text.replace(name, value)
            assert "$" not in text, text
            out.append((panel["title"], text))
    return out


def test_the_dashboard_is_whole():
    board = dashboard()
    assert board["schemaVersion"] >= 36 and board["uid"] == "sallyport" and board["title"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["targets"] and panel["datasource"]["uid"] == "${datasource}", panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"} <= variables


def metric_names(text):
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name.endswith("_bucket") else name
            for name in re.findall(r"\b(?:sallyport|process)_\w+", text)}


def test_nothing_is_asked_for_that_is_not_exported_and_nearly_all_is_shown(gateway, http_server):
    gw = gateway({"web": plain("test.example", http_server())})
    exported = set(re.findall(r"^# TYPE (\w+)", urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics").read().decode(), re.M))
    shown = set().union(*(metric_names(expr) for _, expr in expressions()))
    asked = set().union(*(metric_names(rule["expr"]) for group in yaml.safe_load(open(RULES))["groups"] for rule in group["rules"]))
    assert shown <= exported and asked - {"up"} <= exported
    assert exported - shown - asked == {"sallyport_service_info"}


class Watching(Prometheus):
    """Prometheus with our rules, scraping the gateway twice a second."""

    def __init__(self, gw):
        super().__init__()
        self.process.terminate()
        self.process.wait(60)
        shutil.copy(RULES, os.path.join(self.dir, "sallyport.rules.yml"))
        with open(os.path.join(self.dir, "prometheus.yml"), "w") as f:
            yaml.safe_dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
                            "rule_files": ["sallyport.rules.yml"],
                            "scrape_configs": [{"job_name": "sallyport", "static_configs": [{"targets": [f"127.0.0.1:{gw.config.admin_port}"]}]}]}, f)
        self.start(["prometheus", f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
                    f"--web.listen-address={self.address}", "--query.lookback-delta=1m"])
        until(self.ready, self.log, 60, 0.05)

    def ready(self):
        assert self.process.poll() is None, f"it ended: {self.log()}"
        try:
            return urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def api(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            answer = json.load(urllib.request.urlopen(url, timeout=60))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        assert answer["status"] == "success" and not answer.get("warnings"), answer
        return answer["data"]

    def query(self, expr):
        return self.api("query", query=expr)["result"]

    def number(self, expr):
        found = self.query(expr)
        assert len(found) == 1, (expr, found)
        return float(found[0]["value"][1])

    def range(self, expr, end, seconds):
        return self.api("query_range", query=expr, start=end - seconds, end=end, step="0.5")["result"]

    def scraped(self):
        """Waits for a scrape that begins from now on."""
        before = self.query("timestamp(up)")
        last = float(before[0]["value"][1]) if before else 0
        until(lambda: [one for one in self.query("timestamp(up)") if float(one["value"][1]) > last + 0.6], "another scrape")


@pytest.fixture
def stage(gateway, leaf, ca, server_ca):
    """A gateway of all kinds with real servers, and Prometheus beside it."""
    nginx = Nginx(server_ca.leaf("pass.example"))
    nginx.file("1k", content=b"k" * 1024)
    nginx.file("big", size=8 << 20)
    scripted = HttpServer(lambda r: websocket.serve(r) if r.target == "/ws" else response(int(r.target[1:]), b"12345"))
    gw = gateway({"web": edge("web.example", nginx), "pass": passthrough("pass.example", nginx.tls_address), "raw": tcp("raw", nginx),
                  "some": plain("some.example", scripted), "lost": plain("lost.example", f"127.0.0.1:{refused_port()}", health="off", retries=0),
                  "limited": plain("limited.example", {"address": scripted.address, "max_connections": 4}),
                  "stuck": plain("stuck.example", scripted, sticky={"by": "source"}),
                  "checked": plain("checked.example", nginx, health={"type": "tcp", "interval": "500ms"})},
                 listeners={"raw": {}}, certs={"w.pem": leaf("web.example")})
    prometheus = Watching(gw)
    yield gw, prometheus, nginx, scripted
    for one in (prometheus, nginx, scripted):
        one.stop()


def h2load(gw, *args, requests):
    """Returns what it received: {"total": bytes on its sockets without TLS, "data": bytes of bodies}."""
    port = gw.ports["https"]
    done = subprocess.run(["h2load", "-n", str(requests), f"--connect-to=127.0.0.1:{port}", *args, f"https://web.example:{port}/1k"],
                          capture_output=True, text=True, timeout=240)
    assert f"requests: {requests} total, {requests} started, {requests} done, {requests} succeeded" in done.stdout, done.stdout + done.stderr
    assert f"status codes: {requests} 2xx" in done.stdout
    total, data = re.search(r"\((\d+)\) total, .* \((\d+)\) data", done.stdout).groups()
    return {"total": int(total), "data": int(data)}


def test_its_counters_are_what_the_load_generators_did(stage, ca, server_ca):
    gw, prometheus, nginx, scripted = stage
    stop, moved = threading.Event(), {"frames": 0, "bytes": 0}

    def chat():
        """A WebSocket that speaks for as long as the load lasts."""
        with Client(gw.ports["http"]) as client:
            assert websocket.upgrade(client, host="some.example").status == 101
            while not stop.is_set():
                frame = websocket.frame(bytes(10_000), True)
                client.send(frame)
                websocket.read_frame(client)
                moved["frames"] += 1
                moved["bytes"] += len(frame)
                stop.wait(0.02)
    talking = threading.Thread(target=chat, daemon=True)
    talking.start()
    until(lambda: prometheus.query("sallyport_sessions"), "the first scrape")
    h1 = h2load(gw, "--h1", "-c20", requests=3000)
    h2 = h2load(gw, "-c8", "-m20", requests=4000)
    statuses = {200: 40, 201: 3, 304: 5, 404: 7, 500: 2, 503: 4}
    for status, times in statuses.items():
        for _ in range(times):
            with Client(gw.ports["http"]) as client:
                assert client.request("POST" if status == 201 else "GET", f"/{status}", "some.example").status == status
    for _ in range(6):
        with Client(gw.ports["http"]) as client:
            assert client.request("GET", "/", "lost.example").status == 502
    downloads, speed = 3, "--limit-rate"
    for _ in range(downloads):
        size = curl("--resolve", f"pass.example:{gw.ports['https']}:127.0.0.1", "--cacert", server_ca.cert, "-o", "/dev/null", speed, "6M",
                    "-w", "%{size_download}", f"https://pass.example:{gw.ports['https']}/big")
        assert int(size) == 8 << 20
    head = curl("-o", "/dev/null", "-w", "%{size_header} %{size_download} %{size_request}", f"http://127.0.0.1:{gw.ports['raw']}/big").split()
    stop.set()
    talking.join(60)
    assert moved["frames"] > 20
    settled(gw)
    prometheus.scraped()

    def count(name, **labels):
        matchers = ",".join(f'{key}="{value}"' for key, value in labels.items())
        return prometheus.number(f"sum(sallyport_{name}{{{matchers}}})")
    assert count("service_requests_total", service="web") == 7000 == count("service_requests_total", service="web", method="GET", **{"class": "2xx"})
    assert count("server_requests_total", service="web") == 7000 == count("service_duration_seconds_count", service="web")
    assert count("tls_handshakes_total", listener="https") == 28 and count("service_errors_total", service="web") == 0
    assert count("service_sent_bytes_total", service="web") == h1["total"] + h2["data"] == count("server_sent_bytes_total", service="web")
    by_class = {}
    for status, times in statuses.items():
        by_class[f"{status // 100}xx"] = by_class.get(f"{status // 100}xx", 0) + times
    for status_class, times in {**by_class, "1xx": 1}.items():
        assert count("service_requests_total", service="some", **{"class": status_class}) == times
        assert count("server_responses_total", service="some", **{"class": status_class}) == times
    assert count("service_requests_total", service="some", method="POST") == 3
    assert count("service_errors_total", service="some") == 6 and count("service_connections_total", service="some") == 1
    assert count("service_errors_total", service="lost") == 6 == count("server_connect_failures_total", service="lost")
    assert count("service_connections_total", service="pass") == downloads and count("service_connections_total", service="raw") == 1
    assert count("service_sent_bytes_total", service="raw") == int(head[0]) + int(head[1])
    assert count("service_received_bytes_total", service="raw") == int(head[2])
    # The whole of it: what was logged, what was counted by listener, by service, by server.
    lines = gw.accesses()
    for mine, key in (("received", "bytes_in"), ("sent", "bytes_out")):
        logged = sum(line[key] for line in lines)
        assert count(f"{mine}_bytes_total") == logged == count(f"service_{mine}_bytes_total")
        for service in ("web", "pass", "raw", "some"):
            logged = sum(line[key] for line in lines if line["service"] == service)
            assert count(f"service_{mine}_bytes_total", service=service) == logged
    assert count("service_received_bytes_total", service="some") > moved["bytes"]
    assert count("requests_total") == 7000 + sum(statuses.values()) + 1 + 6
    # Not only at the end: what was slow moved the counters while it ran.
    end = float(prometheus.query("timestamp(up)")[0]["value"][1])
    for service in ("pass", "some"):
        seen = prometheus.range(f'sallyport_service_sent_bytes_total{{service="{service}"}}', end, 120)
        values = {value for one in seen for _, value in one["values"]}
        assert len(values) >= 4, (service, values)
    assert prometheus.number("changes(sallyport_build_info[2m])") == 0
    _every_panel_has_an_answer(gw, prometheus)



def _every_panel_has_an_answer(gw, prometheus):
    empty = set()
    for title, expr in expressions():
        if not prometheus.query(expr):
            empty.add(title)
        prometheus.range(expr, float(prometheus.query("timestamp(up)")[0]["value"][1]), 60)
    assert not empty, empty
    for group in yaml.safe_load(open(RULES))["groups"]:
        for rule in group["rules"]:
            prometheus.query(rule["expr"])
    loaded = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    until(lambda: all(rule["health"] == "ok" for group in prometheus.api("rules")["groups"] for rule in group["rules"]),
          lambda: str([rule for rule in loaded if rule["health"] != "ok"]))
    targets = prometheus.api("targets")["activeTargets"]
    assert [target["health"] for target in targets] == ["up"], targets


def test_a_thousand_services_can_be_scraped(gateway, http_server):
    """Of services that were never used little is told, and all of it comes in a moment."""
    server = http_server()
    gw = gateway({f"s{n}": plain(f"s{n}.example", server, "127.0.0.1:9") for n in range(1000)})
    with Client(gw.ports["http"]) as client:
        assert client.request("GET", "/", "s7.example").status == 200
    text = urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30).read().decode()
    seen = samples(gw)
    assert len(seen.matching("sallyport_server_up")) == 2000 and len(seen.matching("sallyport_service_errors_total")) == 1000
    assert seen("service_requests_total", service="s7", method="GET", **{"class": "2xx"}) == 1
    assert len(seen.matching("sallyport_service_duration_seconds_count")) == 1
    assert len(text) < 6_000_000, len(text)
