"""The JSON Schema: good files pass, bad ones do not, as an editor would judge them."""
import glob
import json
import os
import re

import jsonschema
import pytest
import yaml

from harness.gateway import ROOT, command
from test_docs import DOCS, text_of


class Loader(yaml.SafeLoader):
    """YAML 1.2 as editors and the gateway read it: `on` and `12:30` are text."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (("bool", r"^(?:true|false)$", "tf"), ("null", r"^(?:~|null|)$", ["~", "n", ""]), ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
                            ("float", r"^[-+]?[0-9]*\.[0-9]+$", "-+.0123456789"), ("merge", r"^<<$", "<")):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
Loader.add_constructor("!file", lambda loader, node: loader.construct_scalar(node))


@pytest.fixture(scope="module")
def validators():
    out = {}
    for which in ("service", "gateway"):
        done = command("schema", which)
        assert done.returncode == 0
        schema = json.loads(done.stdout)
        jsonschema.Draft7Validator.check_schema(schema)
        out[which] = jsonschema.Draft7Validator(schema)
    assert json.loads(command("schema").stdout) == out["service"].schema
    return out


def faults(validator, text):
    """What an editor would underline, in all documents of a file."""
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for document in yaml.load_all(text, Loader) if document is not None
            for error in validator.iter_errors(document)]


@pytest.mark.parametrize("path", sorted(os.path.relpath(f, ROOT) for f in glob.glob(os.path.join(ROOT, "examples", "**", "*.yaml"), recursive=True)))
def test_examples_are_good(validators, path):
    assert not faults(validators["gateway" if path.endswith("gateway.yaml") else "service"], text_of(path))


GATEWAY_KEYS = {"listeners", "defaults", "certificates", "services", "state", "workers", "max_connections", "drain_timeout", "admin", "logs",
                "trusted_proxies", "alerts"}


def blocks():
    for path in DOCS:
        text = text_of(path)
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.S | re.M):
            if "…" in match[1]:
                continue
            documents = [d for d in yaml.load_all(match[1], Loader) if d is not None]
            items = [item for d in documents for item in (d if isinstance(d, list) else [d])]
            where = f"{path}:{text[:match.start()].count(chr(10)) + 2}"
            if all(isinstance(i, dict) and ("mode" in i or "preset" in i) and ("servers" in i or i.get("mode") == "redirect") for i in items):
                yield pytest.param("service", match[1], id=where)
            elif all(isinstance(i, dict) and set(i) <= GATEWAY_KEYS for i in items):
                yield pytest.param("gateway", match[1], id=where)


@pytest.mark.parametrize("which, text", blocks())
def test_what_documents_show_is_good(validators, which, text):
    assert not faults(validators[which], text)


GOOD_SERVICES = [
    "mode: tcp\nlisten: ':5432'\nservers: [db.lan]\n",
    "mode: edge\nhosts: [a.tld, '*.a.tld', '*']\nservers: ['10.0.0.1:80', '[fd00::1]:80', 'unix:/run/x']\ntimeouts: { tunnel: 0, client: 5m }\n",
    "- { name: a, mode: ssh, servers: ['10.0.0.1:22'] }\n- { name: b, mode: http, servers: ['${HOST}:80'], retries: '${N:-3}' }\n",
    "- { mode: http, servers: ['a:1'] }\n",
    "preset: proxmox\nhosts: [pve.tld]\nservers: ['10.0.0.1:8006']\nhealth: off\nsticky: off\n",
    "mode: redirect\nredirect: { to: 'https://x.tld', status: 301, keep_path: false }\n",
    "mode: tcp\nlisten: [a, ':1']\nservers: [x]\nhealth: { type: postgres, user: u, password: !file pw, passive: {} }\n",
    "mode: reencrypt\nservers: [{ address: 'a:1', weight: 0, backup: true, max_connections: 5 }]\nretry_on: [connect, 502]\nserver_tls: {}\n",
]

BAD_SERVICES = [
    ("mode: edgy\nservers: ['a:1']\n", "a mode that is none"),
    ("mode: edge\nservers: ['a:1']\nhots: [a]\n", "an unknown key"),
    ("mode: edge\nhosts: [a]\n", "no servers"),
    ("servers: ['a:1']\n", "no mode and no preset"),
    ("mode: passthrough\npaths: [/x]\nservers: ['a:1']\n", "a key without meaning in this mode"),
    ("mode: edge\nprotocol: tcp\npaths: [/x]\nservers: ['a:1']\n", "a key without meaning with protocol: tcp"),
    ("mode: ssh\nhosts: [a]\nservers: ['a:1']\n", "hosts in ssh"),
    ("mode: edge\nserver_tls: {}\nservers: ['a:1']\n", "server_tls in edge"),
    ("mode: tcp\nservers: ['a:1']\n", "tcp without listen"),
    ("mode: redirect\nredirect: { status: 301 }\n", "a redirect to nowhere"),
    ("mode: redirect\n", "no redirect"),
    ("mode: http\nservers: ['a:1']\ntimeouts: { connect: 5 }\n", "a duration without unit"),
    ("mode: http\nservers: ['a:1']\ntimeouts: { connects: 5s }\n", "an unknown timeout"),
    ("mode: http\nservers: ['http://a:1']\n", "a server with a scheme"),
    ("mode: http\nservers: []\n", "empty servers"),
    ("mode: http\nservers: a:1\n", "servers that are no list"),
    ("mode: http\nhosts: ['a.tld:80']\nservers: ['a:1']\n", "a host with a port"),
    ("mode: http\npaths: [x]\nservers: ['a:1']\n", "a path without slash"),
    ("mode: http\nservers: [{ adress: 'a:1' }]\n", "a server without address"),
    ("mode: http\nservers: [{ address: 'a:1', weight: 1000 }]\n", "a weight out of bounds"),
    ("mode: http\nservers: ['a:1']\nbalance: roundrobin\n", "a balance that is none"),
    ("mode: http\nservers: ['a:1']\nhealth: { type: icmp }\n", "a check that is none"),
    ("mode: http\nservers: ['a:1']\naccess: { allow: [example.tld] }\n", "a network that is none"),
    ("mode: http\nservers: ['a:1']\nrate_limit: { requests: 5 }\n", "not in this version"),
    ("preset: proxmux\nservers: ['a:1']\n", "a preset that is none"),
    ("- { mode: http, servers: ['a:1'], name: a }\n- { mode: ssh, servers: ['a:1'] }\n", "one of several without a name"),
    ("mode: http\nservers: ['a:1']\ntransparent: maybe\n", "no boolean"),
    ("mode: http\nname: 'a b'\nservers: ['a:1']\n", "a name with a space"),
]

GOOD_GATEWAYS = ["", "listeners: { http: off, lan: { bind: ['10.0.0.6:8443', '[fd00::6]:8443'], http2: off } }\n", "workers: auto\nadmin: off\nlogs:\n",
                 "certificates: { min_version: 1.3 }\ntrusted_proxies: [10.0.0.0/8]\nadmin: { bind: ':8404', token: !file t }\nalerts: []\n",
                 "logs: { format: '{client} {status}', target: syslog:udp:10.0.0.5:514 }\n", "logs: { format: clf, target: ./access.log }\n",
                 "alerts: [{ webhook: !file url, format: ntfy, on: [server], limit: 5/m }, { email: [a@b.tld], smtp: 'smtp://m:25' }, { exec: [/bin/x, -t] }]\n"]

BAD_GATEWAYS = [("listner: {}\n", "an unknown key"), ("listeners: { http: { binds: ':80' } }\n", "an unknown key of a listener"),
                ("listeners: { http: { bind: '80' } }\n", "a bind without colon"), ("workers: 0\n", "no workers"),
                ("drain_timeout: 30\n", "a duration without unit"), ("certificates: { min_version: '1.1' }\n", "an old TLS"),
                ("defaults: { hosts: [a] }\n", "a key that defaults may not hold"), ("trusted_proxies: 10.0.0.0/8\n", "no list"),
                ("listeners: { a: { bind: ':1', http2: { stream_window: 64 } } }\n", "a size without unit"), ("logs: { level: loud }\n", "a level that is none"),
                ("logs: { format: fancy }\n", "a log format that is none"), ("logs: { target: nowhere }\n", "a log target that is none"),
                ("alerts: [{ name: x }]\n", "an alert to nobody"), ("alerts: [{ webhook: 'https://x', exec: /bin/x }]\n", "an alert of two kinds"),
                ("alerts: [{ email: a@b.tld }]\n", "mail without a server"), ("alerts: [{ exec: /bin/x, format: ntfy }]\n", "a format for a program"),
                ("alerts: [{ webhook: 'https://x', limit: 5 }]\n", "a limit without a time")]


@pytest.mark.parametrize("text", GOOD_SERVICES)
def test_good_services(validators, text):
    assert not faults(validators["service"], text)


@pytest.mark.parametrize("text", GOOD_GATEWAYS)
def test_good_gateways(validators, text):
    assert not faults(validators["gateway"], text)


@pytest.mark.parametrize("text", [row[0] for row in BAD_SERVICES], ids=[row[1] for row in BAD_SERVICES])
def test_bad_services(validators, config, text):
    assert faults(validators["service"], text)
    assert config({"bad": text}).check().returncode == 1, "the gateway itself takes it"


@pytest.mark.parametrize("text", [row[0] for row in BAD_GATEWAYS], ids=[row[1] for row in BAD_GATEWAYS])
def test_bad_gateways(validators, config, text):
    assert faults(validators["gateway"], text)
    made = config({})
    made.write("gateway.yaml", text)
    assert made.check().returncode == 1, "the gateway itself takes it"
