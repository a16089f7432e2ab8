"""What the documents show is true: services that load, links that lead somewhere, each metric and each word of the log."""
import glob
import os
import re
import urllib.request

import pytest
import yaml

from harness.gateway import ROOT

DOCS = ["README.md", "CONTRIBUTING.md", "compose/README.md", "gateway/README.md",
        *sorted(os.path.relpath(f, ROOT) for pattern in ("docs/**/*.md", "examples/**/*.md") for f in
                glob.glob(os.path.join(ROOT, pattern), recursive=True))]


def text_of(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


class Loader(yaml.SafeLoader):
    pass


Loader.add_constructor("!file", lambda loader, node: loader.construct_scalar(node))


def services():
    """(where, text, parsed) of each YAML block that is one service file."""
    for path in DOCS:
        text = text_of(path)
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.S | re.M):
            block = match.group(1)
            parsed = yaml.load(block, Loader)
            items = parsed if isinstance(parsed, list) else [parsed]
            if all(isinstance(item, dict) and ("mode" in item or "preset" in item) and "servers" in item for item in items):
                yield pytest.param(block, items, id=f"{path}:{text[:match.start()].count(chr(10)) + 2}")


@pytest.mark.parametrize("block, items", services())
def test_a_service_that_is_shown_loads(config, ca, leaf, block, items):
    named = re.findall(r"\b(?:ca|crl|certificate): ([\w.-]+\.pem)", block)
    hosts = [host for item in items for host in item.get("hosts", []) if item.get("mode") in ("edge", "reencrypt")]
    with open(ca.cert) as root:
        pem = root.read()
    certs = {name: pem for name in named}
    if hosts:
        certs["hosts.pem"] = leaf(*hosts)
    listeners = {name: {} for item in items for name in [item.get("listen", "")] if isinstance(name, str) and name.isalnum()
                 and name not in ("http", "https", "ssh")}
    done = config({"shown": block}, certs=certs, listeners=listeners).check()
    assert done.returncode == 0 and f"{len(items)} service" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCS)
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", text_of(path), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(ROOT, os.path.dirname(path), name)) if name else os.path.join(ROOT, path)
        assert os.path.exists(full), f"{path}: {target}"
        if anchor:
            headings = [re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
                        for line in text_of(os.path.relpath(full, ROOT)).splitlines() if line.startswith("#")]
            assert anchor in headings, f"{path}: {target}"


def test_each_metric_is_told_and_none_that_is_not(gateway):
    gw = gateway({"any": {"mode": "http", "servers": ["127.0.0.1:9"]}})
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics") as answer:
        exported = answer.read().decode()
    section = text_of("docs/operations.md").split("## Metrics")[1].split("\n## ")[0]
    assert set(re.findall(r"(?:sallyport|process)_\w+", section)) == set(re.findall(r"^# TYPE (\w+)", exported, re.M))
    told = {word for line in section.splitlines() if line.startswith("| `") for word in re.findall(r"`([^`]+)`", line)}
    assert set(re.findall(r'(?:reason|protocol|state|result)="(\w+)"', exported)) <= told


def test_each_word_and_key_of_the_access_log_is_told():
    source = text_of("layers/access_log.cc")
    section = text_of("docs/operations.md").split("### The access log")[1].split("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", section))
    assert set(re.findall(r'return "(\w+)"', source)) <= told
    assert set(re.findall(r'_(?:field|time)\(out, "(\w+)"', source)) <= told
