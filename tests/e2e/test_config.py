"""Faults in the configuration: named with their place, and never taking others down."""
import os
import re
import threading

import pytest

from harness.client import http
from harness.gateway import Config, GatewayFailed
from harness.http_server import response
from harness.services import edge, plain


def ten(http_server, broken):
    services = {f"s{n}": plain(f"s{n}.example", http_server(lambda r, n=n: response(200, f"s{n}"))) for n in range(9)}
    return {**services, "s9": broken}


BROKEN = {
    "unknown-mode": ("mode: passthru\nhosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:1:7", ["passthru", "passthrough"]),
    "unknown-key": ("mode: http\nhosts: [s9.example]\nserver: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:3:1", ["server", "servers"]),
    "not-yaml": ("mode: http\nhosts: [s9.example\n", "conf.d/s9.yaml:", []),
    "tabs": ("mode: http\n\thosts: [s9.example]\n", "conf.d/s9.yaml:2:", []),
    "missing-servers": ("mode: http\nhosts: [s9.example]\n", "conf.d/s9.yaml:1:1", ["servers"]),
    "missing-mode": ("hosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:1:1", ["mode"]),
    "duplicate-key": ("mode: http\nmode: edge\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:2:1", ["mode"]),
    "key-of-another-mode": ("mode: passthrough\nhosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\npaths: [/a]\n", "conf.d/s9.yaml:4:1", ["paths", "passthrough"]),
    "bad-port": ("mode: http\nservers: [\"127.0.0.1:99999\"]\n", "conf.d/s9.yaml:2:", ["99999"]),
    "bad-duration": ("mode: http\nservers: [\"127.0.0.1:1\"]\ntimeouts: {connect: 5 parsecs}\n", "conf.d/s9.yaml:3:21", ["5 parsecs"]),
    "unset-variable": ("mode: http\nhosts: [\"${SALLYPORT_NOT_SET}\"]\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:2:", ["SALLYPORT_NOT_SET"]),
    "no-such-listener": ("mode: http\nlisten: htpp\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:2:9", ["htpp", "http"]),
    "missing-ca": ("mode: reencrypt\nhosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\nserver_tls: {ca: nowhere.pem}\n", "conf.d/s9.yaml:4:", ["nowhere.pem"]),
    "bad-host": ("mode: http\nhosts: [\"s9 example\"]\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:2:9", ["s9 example"]),
    "later-issue": ("mode: http\nhosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\nrate_limit: {requests: 50/s}\n", "conf.d/s9.yaml:4:", ["rate_limit", "not supported in this version"]),
    "bad-health": ("mode: http\nhosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\nhealth: tpc\n", "conf.d/s9.yaml:4:9", ["tpc", "tcp"]),
    "unknown-preset": ("preset: proxmx\nhosts: [s9.example]\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:1:9", ["proxmx", "proxmox"]),
    "host-taken": ("mode: http\nhosts: [s3.example]\nservers: [\"127.0.0.1:1\"]\n", "conf.d/s9.yaml:2:9", ["s3.example", "already served", "conf.d/s3.yaml"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_among_ten(gateway, config, http_server, name):
    text, place, words = BROKEN[name]
    made = config(ten(http_server, text))
    done = made.check()
    assert done.returncode == 1
    said = done.stdout + done.stderr
    line = next((l for l in said.splitlines() if place in l), None)
    assert line and "error:" in line, said
    for word in words:
        assert word in line, said
    caret = said.splitlines()[said.splitlines().index(line):][:3]
    assert any(re.fullmatch(r" *\^ *", l) for l in caret) or name in ("not-yaml", "host-taken"), f"an excerpt with a caret: {said}"
    gw = gateway(config=made)
    for n in range(9):
        assert http(gw.ports["http"], host=f"s{n}.example").text == f"s{n}"
    if name != "host-taken":
        assert http(gw.ports["http"], host="s9.example").status == 404
    gw.wait_log("s9.yaml")


def test_check_of_a_good_folder(config, http_server):
    made = config({"a": plain("a.example", http_server())})
    done = made.check()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in (done.stdout + done.stderr).lower()


def test_all_faults_at_once(config):
    made = config({"a": "mode: passthru\n", "b": "mode: http\nfoo: 1\nbar: 2\nservers: [x]\n", "sub/c": "- mode: http\n"})
    done = made.check()
    said = done.stdout + done.stderr
    assert done.returncode == 1
    for place in ("conf.d/a.yaml:1:7", "conf.d/b.yaml:2:1", "conf.d/b.yaml:3:1", "conf.d/sub/c.yaml:1:"):
        assert place in said, said


def test_the_caret_stands_under_the_word(config):
    made = config({"vault": "name: vault\nhosts: [v.example]\nmode: passthru\nservers: [\"10.0.0.1:1\"]\n"})
    done = made.check()
    lines = (done.stdout + done.stderr).splitlines()
    at = next(n for n, line in enumerate(lines) if "conf.d/vault.yaml:3:7" in line)
    assert 'did you mean "passthrough"?' in lines[at]
    assert lines[at + 1].strip() == "mode: passthru"
    assert lines[at + 2].index("^") == lines[at + 1].index("passthru")


def test_warnings_do_not_fail_the_check(config, leaf, http_server):
    made = config({"bad": plain("bad.example", "no-such-host.invalid:80"), "bare": edge("bare.example", http_server()),
                   "own": {"mode": "passthrough", "hosts": ["own.example"], "servers": [http_server().address]}},
                  certs={"own.pem": leaf("own.example")})
    made.write("conf.d/late.yml", "mode: http\n")
    made.cert("soon.pem", leaf("soon.example", days=3))
    done = made.check()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for word in ("no-such-host.invalid", "bare.example", "own.example", "late.yml", "soon.pem"):
        assert any(word in line and "warning" in line for line in said.splitlines()), (word, said)


def test_environment_and_secret_files(gateway, http_server):
    server = http_server(lambda r: response(200, r.get("x-secret") + r.get("x-default")))
    text = ('mode: http\nhosts: ["${SP_TEST_HOST}"]\nservers: ["127.0.0.1:${SP_TEST_PORT}"]\n'
            'headers: {request: {set: {X-Secret: !file secret.txt, X-Default: "${SP_TEST_NONE:-fallback}"}}}\n')
    made = Config({"env": text})
    made.write("secret.txt", "s3cret\n")
    gw = gateway(config=made, env={"SP_TEST_HOST": "env.example", "SP_TEST_PORT": str(server.port)})
    assert http(gw.ports["http"], host="env.example").text == "s3cretfallback"


def test_several_services_in_a_file(gateway, http_server):
    a, b, c = (http_server(lambda r, n=n: response(200, n)) for n in "abc")
    listed = f"- {{name: a, mode: http, hosts: [a.example], servers: ['{a.address}']}}\n- {{name: b, mode: http, hosts: [b.example], servers: ['{b.address}']}}\n"
    documents = f"name: c\nmode: http\nhosts: [c.example]\nservers: ['{c.address}']\n---\nname: d\nmode: redirect\nhosts: [d.example]\nredirect: {{to: https://x.tld}}\n"
    gw = gateway({"listed": listed, "sub/folder/documents": documents})
    for name in "abc":
        assert http(gw.ports["http"], host=f"{name}.example").text == name
    assert http(gw.ports["http"], host="d.example").status == 308
    assert gw.access(service="c")


def test_names_come_from_the_path(gateway, http_server):
    gw = gateway({"kubernetes/api.v1": plain("a.example", http_server())})
    http(gw.ports["http"], host="a.example")
    assert gw.access(service="kubernetes-api-v1")


def test_defaults_reach_services_and_are_overridden(gateway, http_server):
    hang = threading.Event()
    server = http_server(lambda r: hang.wait(60) and None)
    gw = gateway({"short": plain("short.example", server), "long": plain("long.example", server, timeouts={"server": "3s"})},
                 settings={"defaults": {"timeouts": {"server": "300ms"}}})
    assert http(gw.ports["http"], host="short.example", method="POST").status == 504
    assert http(gw.ports["http"], host="long.example", method="POST").status == 504
    short, long = gw.access(service="short"), gw.access(service="long")
    assert 250 < short["total_ms"] < 2800 < long["total_ms"] < 20_000
    hang.set()


def test_an_empty_folder_starts(gateway, config):
    gw = gateway(config=config())
    assert http(gw.ports["http"]).status == 404


@pytest.mark.parametrize("text", ["listeners: {http: {bind: nonsense}}\n", "listners: {}\n", "workers: many\n", "a: [\n",
                                  "certificates: {default: nowhere.pem}\n"])
def test_a_faulty_gateway_file_refuses_the_start(gateway, config, text):
    made = config()
    made.write("gateway.yaml", text)
    assert made.check().returncode == 1
    with pytest.raises(GatewayFailed) as failure:
        gw = gateway(config=made, wait_ready=False)
        gw.stopped = True
        gw.wait_notified(b"READY=1")
    assert "gateway.yaml:" in str(failure.value)
    assert gw.process.wait(30) not in (0, None)


def test_a_listener_turned_off(gateway, http_server):
    made = Config({"web": plain("a.example", http_server(), listen="other")}, listeners={"other": {}})
    made.settings["listeners"]["http"] = "off"
    made.write("gateway.yaml", made.settings)
    gw = gateway(config=made)
    assert http(gw.ports["other"], host="a.example").status == 200
    with pytest.raises(OSError):
        http(gw.ports["http"])


def test_check_publishes_nothing(config, http_server):
    made = config({"a": plain("a.example", http_server())})
    made.check()
    with pytest.raises(OSError):
        http(made.ports["http"])
    assert not os.path.exists(os.path.join(made.dir, "admin.sock"))
