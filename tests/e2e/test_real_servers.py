"""curl and openssl before the gateway, nginx and Prometheus behind it."""
import hashlib
import json
import os
import subprocess
import time

import pytest

from harness.real import Nginx, Prometheus, curl
from harness.services import edge, passthrough, plain, reencrypt
from harness.wait import until


@pytest.fixture(scope="module")
def nginx(server_ca):
    server = Nginx(server_ca.leaf("re.example", "own.example"))
    yield server
    server.stop()


@pytest.fixture
def gw(gateway, nginx, leaf, server_ca):
    return gateway({"plain": plain("plain.example", nginx), "edge": edge("edge.example", nginx),
                    "re": reencrypt("re.example", nginx.tls_address, server_tls={"ca": "servers.pem"}),
                    "own": passthrough("own.example", nginx.tls_address)},
                   certs={"c.pem": leaf("edge.example", "re.example"), "servers.pem": open(server_ca.cert).read()})


def url(gw, name, path="/"):
    scheme = "http" if name == "plain" else "https"
    return f"{scheme}://{name}.example:{gw.ports[scheme]}{path}"


def options(gw, name, ca, server_ca):
    port = gw.ports["http" if name == "plain" else "https"]
    return ["--http1.1", "--resolve", f"{name}.example:{port}:127.0.0.1", "--cacert", (server_ca if name == "own" else ca).cert]


NAMES = ["plain", "edge", "re", "own"]


@pytest.mark.parametrize("name", NAMES)
def test_curl_get_head_put_post(gw, nginx, ca, server_ca, name, tmp_path):
    base = options(gw, name, ca, server_ca)
    content = os.urandom(3_000_000)
    (tmp_path / "up").write_bytes(content)
    assert "201" in curl(*base, "-o", "/dev/null", "-w", "%{http_code}", "-T", str(tmp_path / "up"), url(gw, name, f"/new-{name}"))
    with open(os.path.join(nginx.www, f"new-{name}"), "rb") as f:
        assert f.read() == content
    curl(*base, "-f", "-o", str(tmp_path / "down"), url(gw, name, f"/new-{name}"))
    assert (tmp_path / "down").read_bytes() == content
    assert "content-length: 3000000" in curl(*base, "-f", "-I", url(gw, name, f"/new-{name}")).lower()
    assert "405" in curl(*base, "-o", "/dev/null", "-w", "%{http_code}", "-d", "a=b", url(gw, name, f"/new-{name}"))
    assert "404" in curl(*base, "-o", "/dev/null", "-w", "%{http_code}", url(gw, name, "/nothing"))
    part = curl(*base, "-f", "-r", "10-19", "-o", str(tmp_path / "part"), "-w", "%{http_code}", url(gw, name, f"/new-{name}"))
    assert part == "206" and (tmp_path / "part").read_bytes() == content[10:20]
    with subprocess.Popen(["cat", str(tmp_path / "up")], stdout=subprocess.PIPE) as pipe:  # unknown length: chunked
        done = subprocess.run(["curl", "-q", "-sS", *base, "-f", "-T", "-", url(gw, name, f"/chunked-{name}")], stdin=pipe.stdout, timeout=60)
        assert done.returncode == 0
    with open(os.path.join(nginx.www, f"chunked-{name}"), "rb") as f:
        assert hashlib.sha256(f.read()).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("name", NAMES)
def test_curl_keeps_its_connection(gw, nginx, ca, server_ca, name):
    nginx.file("small", b"small")
    out = curl(*options(gw, name, ca, server_ca), *[url(gw, name, "/small")] * 10, "-w", "|%{num_connects}|")
    assert out.count("small") == 10 and out.count("|0|") == 9


@pytest.mark.parametrize("name", NAMES)
def test_compressed_and_chunked_by_nginx(gw, nginx, ca, server_ca, name):
    nginx.file("text.txt", b"line of text\n" * 100_000)
    out = curl(*options(gw, name, ca, server_ca), "-f", "--compressed", url(gw, name, "/text.txt"))
    assert out == "line of text\n" * 100_000


def test_what_nginx_is_told(gw, nginx, ca, server_ca):
    for name, scheme in (("plain", "http"), ("edge", "https"), ("re", "https")):
        host, client, proto, own = curl(*options(gw, name, ca, server_ca), url(gw, name, "/headers")).strip().split("|")
        port = gw.ports["http" if name == "plain" else "https"]
        assert (host, client, proto) == (f"{name}.example:{port}", "127.0.0.1", scheme)
        assert own == ("https" if name == "re" else "http")


def test_curl_follows_the_redirect(gw, nginx, ca, server_ca):
    nginx.file("small", b"small")
    port = gw.ports["http"]
    out = curl(*options(gw, "edge", ca, server_ca), "--resolve", f"edge.example:{port}:127.0.0.1", "-L", "-w", "|%{num_redirects}",
               f"http://edge.example:{port}/small")
    assert out == "small|1"


def test_openssl_s_client(gw, ca, server_ca):
    for name, root in (("edge.example", ca), ("own.example", server_ca)):
        for version in ("-tls1_2", "-tls1_3"):
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gw.ports['https']}", "-servername", name, "-CAfile",
                                   root.cert, "-verify_hostname", name, "-verify_return_error", version, "-ign_eof"],
                                  input=f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n", capture_output=True, text=True, timeout=60)
            assert "Verification: OK" in done.stdout and "HTTP/1.1 " in done.stdout, done.stdout[-2000:] + done.stderr


def test_ab_like_load_leaves_nothing(gw, nginx, ca, server_ca):
    """200 curl transfers, 50 at a time."""
    nginx.file("small", b"small")
    out = curl(*options(gw, "edge", ca, server_ca), "-Z", "--parallel-max", "50", "-o", "/dev/null", "-w", "%{http_code}\n",
               url(gw, "edge", "/small?[1-200]"))
    assert out.split().count("200") >= 1 and set(out.split()) == {"200"}
    gw.wait_idle(slack=100)


def test_prometheus_behind_edge(gateway, leaf, ca):
    server = Prometheus()
    try:
        gw = gateway({"prometheus": edge("prometheus.example", server)}, certs={"p.pem": leaf("prometheus.example")})
        port = gw.ports["https"]
        base = ["--http1.1", "--resolve", f"prometheus.example:{port}:127.0.0.1", "--cacert", ca.cert, "-f"]
        root = f"https://prometheus.example:{port}"
        assert "Prometheus" in curl(*base, "-L", root + "/graph")

        def up():
            reply = json.loads(curl(*base, root + "/api/v1/query", "--data-urlencode", "query=up"))
            return reply["status"] == "success" and [r for r in reply["data"]["result"] if r["value"][1] == "1"]
        until(up, "Prometheus answers a query about itself", 60, 0.2)
        reply = json.loads(curl(*base, "-G", root + "/api/v1/query_range", "--data-urlencode", "query=up", "-d",
                                f"start={time.time() - 5}&end={time.time()}&step=1"))
        assert reply["status"] == "success"
        assert len(curl(*base, root + "/metrics")) > 10_000
    finally:
        server.stop()
