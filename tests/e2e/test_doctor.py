"""`doctor`: what is wrong around the gateway is named, with what to do."""
import json
import os
import socket
import time

from harness.gateway import command
from harness.http_server import HttpServer, response
from harness.server import Server, refused_port
from harness.services import edge, passthrough, plain, reencrypt


def doctor(config, **kw):
    done = command("doctor", "--json", "--config", config.dir, **kw)
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["problems"] else 0), told
    return told["findings"]


def found(findings, check, words):
    """The finding of this check that holds the words."""
    for one in findings:
        if one["check"] == check and words in one["text"] + " " + one.get("advice", ""):
            return one
    raise AssertionError(f"no {check} with {words!r}: " + json.dumps(findings, indent=1))


def test_a_running_gateway_is_fine(gateway, http_server, leaf):
    gw = gateway({"web": edge("localhost", http_server())}, certs={"w.pem": leaf("localhost", days=90)})
    findings = doctor(gw.config)
    assert not [one for one in findings if one["grade"] == "problem"], findings
    assert found(findings, "gateway", "runs and answers")
    assert found(findings, "ports", f"127.0.0.1:{gw.ports['https']} (listener https) is open")["grade"] == "ok"
    assert found(findings, "names", "localhost points to this machine")["grade"] == "ok"
    assert found(findings, "servers", "1 of 1 answers")["grade"] == "ok"
    for check in ("configuration", "certificates", "descriptors", "state", "watches", "clients", "clock"):
        assert [one for one in findings if one["check"] == check], check


def test_a_port_that_another_program_has(config, http_server):
    made = config({"web": plain("localhost", http_server())})
    with socket.socket() as other:
        other.bind(("127.0.0.1", made.ports["http"]))
        other.listen()
        findings = doctor(made)
    with open("/proc/self/comm") as f:
        name = f.read().strip()
    taken = found(findings, "ports", f"127.0.0.1:{made.ports['http']} (listener http) is taken by {name} (pid {os.getpid()})")
    assert taken["grade"] == "problem"
    assert found(findings, "ports", f"127.0.0.1:{made.ports['https']} (listener https) is free")["grade"] == "ok"


def test_servers_that_do_not_answer_or_speak_otherwise(config, leaf, server_ca):
    with_tls = HttpServer(tls=server_ca.leaf("x.tld").server_context())
    # As web servers answer what is no request.
    without = Server(lambda conn: (conn.sock.recv(65536), conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")))
    try:
        made = config({
            "edge": edge("localhost", with_tls), "re": reencrypt("re.localhost", without), "pass": passthrough("pass.localhost", without),
            "gone": plain("gone.localhost", f"127.0.0.1:{refused_port()}"), "half": plain("half.localhost", without, f"127.0.0.1:{refused_port()}"),
            "untrusted": reencrypt("trust.localhost", with_tls), "name": plain("name.localhost", "no-such-name.invalid:80")},
            certs={"w.pem": leaf("localhost", "re.localhost", "trust.localhost")})
        findings = doctor(made, env={"RES_OPTIONS": "timeout:1 attempts:1"})
    finally:
        with_tls.stop()
        without.stop()
    for service, words, grade in (("edge", "this server speaks TLS: use mode reencrypt", "problem"),
                                  ("re", "this server does not speak TLS: use mode edge", "problem"),
                                  ("pass", "this server does not speak TLS", "problem"), ("gone", "refused", "problem"),
                                  ("half", "refused", "warning"), ("untrusted", "certificate", "problem"), ("name", "does not resolve", "problem")):
        one = next(f for f in findings if f["check"] == "servers" and f"(service {service})" in f["text"])
        assert words in one["text"] and one["grade"] == grade, one


def test_certificates_names_and_the_configuration(config, leaf):
    made = config({"web": edge(["localhost", "uncovered.localhost"], "127.0.0.1:1"), "bad": "mode: egde\n",
                   "else": plain("no-such-name.invalid", "127.0.0.1:1")}, certs={"w.pem": leaf("localhost", days=20)})
    findings = doctor(made, env={"RES_OPTIONS": "timeout:1 attempts:1"})
    assert found(findings, "certificates", "w.pem ends in 19 days")["grade"] == "warning"
    assert found(findings, "certificates", "no certificate covers uncovered.localhost")["grade"] == "problem"
    assert found(findings, "configuration", "conf.d/bad.yaml:1:7: unknown mode")["grade"] == "problem"
    assert found(findings, "names", "no-such-name.invalid does not resolve here")["grade"] == "warning"


def test_it_is_bounded_in_time(config, tcp_server):
    """Servers that take connections and say nothing, and many of them."""
    silent = tcp_server(lambda conn: conn.wait_gone())
    made = config({f"s{i}": plain(f"s{i}.localhost", silent, health={"type": "http", "timeout": "60s"}) for i in range(40)})
    begun = time.monotonic()
    findings = doctor(made)
    assert found(findings, "servers", "no answer within")
    assert time.monotonic() - begun < 15, "five seconds, on a machine that is not busy"


def test_text_for_people(config, http_server):
    made = config({"web": plain("localhost", http_server())})
    done = command("doctor", "--config", made.dir)
    assert done.returncode == 0 and "0 problems" in done.stdout and "ok       ports" in done.stdout, done.stdout


def test_who_answers_in_the_gateways_place_may_say_anything(config, http_server):
    """No answer of whoever holds its port ends the command, and none is given the token."""
    asked = []

    def answer(request):
        asked.append(request)
        sessions = [1, {"client": 5}, None] * 10
        return response(200, json.dumps({"pid": "x", "sessions": sessions, "result": [], "added": 7}))
    stranger = http_server(answer)
    folder = config({"web": plain("web.example", "127.0.0.1:9")}, settings={"admin": {"token": "hush"}})
    folder.write("gateway.yaml", {**folder.settings, "admin": {**folder.settings["admin"], "bind": stranger.address}})
    assert found(doctor(folder), "gateway", "answers")
    for words in (("status",), ("services",), ("servers",), ("health",)):
        assert command(*words, "--config", folder.dir).returncode in (0, 1)
    assert len(asked) > 4 and not [request for request in asked if request.get("authorization")]
