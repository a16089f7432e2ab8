"""`preset: NAME`, and the command that shows what it stands for."""
import re

import pytest
import yaml

from harness.client import http
from harness.gateway import command
from harness.http_server import response

NAMES = ["gitea", "home-assistant", "immich", "kubernetes-api", "nextcloud", "proxmox", "traefik", "vault"]


def test_the_command_lists_them():
    done = command("preset")
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(re.findall(r"^([a-z-]+)  +(.+)$", done.stdout, re.M))
    assert list(listed) == NAMES and all(listed.values())
    assert "preset: NAME" in done.stdout and "sallyport preset NAME" in done.stdout
    assert re.search(r"^ *preset +\S", command("--help").stdout, re.M)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_prints_is_a_service_but_for_its_servers(config, leaf, name):
    done = command("preset", name)
    assert (done.returncode, done.stderr) == (0, "")
    values = yaml.safe_load(done.stdout)
    assert {"mode", "health", "timeouts"} <= set(values) and "servers" not in values
    assert done.stdout.startswith("# ") and max(len(line) for line in done.stdout.splitlines()) <= 120
    rest = 'hosts: [a.example]\nservers: ["127.0.0.1:1"]\n'
    for service in (done.stdout + rest, f"preset: {name}\n" + rest):
        checked = config({"x": service}, listeners={"ssh": "off"}, certs={"a.pem": leaf("a.example")} if values["mode"] == "edge" else None).check()
        assert checked.returncode == 0 and checked.stderr == "" and "1 service good" in checked.stdout, checked.stderr


@pytest.mark.parametrize("name, words", [("proxmx", ['unknown preset "proxmx"', 'did you mean "proxmox"?']),
                                         ("wordpress", ['unknown preset "wordpress"', *NAMES])])
def test_an_unknown_one(name, words):
    done = command("preset", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and all(word in done.stderr for word in words)


def test_own_keys_count_more(gateway, http_server):
    """nextcloud: edge, and two headers of answers are removed. Here it is plain HTTP, and one of them stays."""
    server = http_server(lambda r: response(200, "ok", [("Server", "Apache"), ("X-Powered-By", "PHP")]))
    gw = gateway({"as-it-is": {"preset": "nextcloud", "mode": "http", "hosts": ["a.example"], "servers": [server.address]},
                  "own": {"preset": "nextcloud", "mode": "http", "hosts": ["b.example"], "servers": [server.address],
                          "headers": {"response": {"remove": ["X-Powered-By"]}}}})
    as_it_is, own = http(gw.ports["http"], host="a.example"), http(gw.ports["http"], host="b.example")
    assert (as_it_is.status, as_it_is.get("server"), as_it_is.get("x-powered-by")) == (200, None, None)
    assert (own.status, own.get("server"), own.get("x-powered-by")) == (200, "Apache", None)
