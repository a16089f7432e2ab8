"""A file with a fault, dropped into a running gateway: it changes nothing that runs, and whoever looks is told."""
import json
import urllib.request


from harness.client import http
from harness.gateway import command
from harness.http_server import response
from harness.reloading import reloads, replace, wait_reload
from harness.services import plain
from harness.wait import until


def metric(gw, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30) as answer:
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in answer.read().decode().splitlines() if line.startswith(name)}


def status(gw, *words):
    return command("status", *words, "--config", gw.config.dir)


def test_in_the_log_the_status_the_metrics(gateway, http_server):
    gw = gateway({"wiki": plain("wiki.example", http_server(lambda request: response(200, "here")))})
    assert metric(gw, 'sallyport_config_faults{severity="error"}') == {'sallyport_config_faults{severity="error"}': 0}
    before = reloads(gw)
    replace(gw, "conf.d/wiki.yaml", "mode: passthru\n")
    replace(gw, "conf.d/new.yaml", "mode: edge\nhosts: [new.example]\n")
    gw.wait_log('conf.d/wiki.yaml:1:7: unknown mode \\"passthru\\"; did you mean \\"passthrough\\"?')
    gw.wait_log("conf.d/new.yaml:1:1: ")
    gw.wait_log("service wiki goes on as it was before")
    assert http(gw.ports["http"], host="wiki.example").text == "here"
    until(lambda: metric(gw, 'sallyport_config_faults{severity="error"}') == {'sallyport_config_faults{severity="error"}': 2},
          "the metrics count the faults")
    told = status(gw)
    assert told.returncode == 0 and "conf.d/wiki.yaml:1:7" in told.stdout and "new" in told.stdout, told.stdout
    last = json.loads(status(gw, "--json").stdout)["reload"]["last"]
    assert last["result"] == "partial" and last["kept"] == ["wiki"], last
    assert {(fault["file"], fault["line"], fault["column"]) for fault in last["faults"] if fault["severity"] == "error"} == {
        ("conf.d/wiki.yaml", 1, 7), ("conf.d/new.yaml", 1, 1)}
    before = reloads(gw)
    gw.config.service("wiki", plain("wiki.example", "127.0.0.1:9"))
    replace(gw, "conf.d/new.yaml", "mode: redirect\nhosts: [new.example]\nredirect: { to: \"https://a.example\" }\n")
    wait_reload(gw, before)
    until(lambda: json.loads(status(gw, "--json").stdout)["reload"]["last"]["result"] == "ok", "the fault is gone")
