"""HTTP/2 with clients and servers as people have them: nghttp, h2load, curl, httpx, a browser; nginx, Python's h2."""
import hashlib
import json
import os
import re
import socket
import subprocess

import grpc
import httpx
import pytest

from harness import websocket
from harness.browser import Browser
from harness.grpc_server import GrpcClient, GrpcServer
from harness.h2_client import H2Client
from harness.h2_endpoint import Setting
from harness.h2_server import H2Server
from harness.h2_ways import together
from harness.http_server import HttpServer, response
from harness.ports import free_port
from harness.real import Nginx, curl
from harness.services import edge, plain, reencrypt
from harness.wait import PATIENCE, until

NAMES = ("edge", "re", "plain", "clear", "replain")


class H2Nginx(Nginx):
    """nginx that speaks HTTP/2 as well, with TLS and without, on ports of their own."""

    def __init__(self, leaf, extra=""):
        ports = free_port(), free_port()
        super().__init__(leaf, f"listen 127.0.0.1:{ports[0]} ssl http2; listen 127.0.0.1:{ports[1]} http2; {extra}")
        self.h2_address, self.h2c_address = (f"127.0.0.1:{port}" for port in ports)


@pytest.fixture(scope="module")
def nginx(server_ca):
    server = H2Nginx(server_ca.leaf("re.example"), "location /version { return 200 $server_protocol; }")
    server.file("data", os.urandom(3_000_000))
    server.file("small", b"small")
    yield server
    server.stop()


@pytest.fixture
def gw(gateway, nginx, leaf, server_ca):
    """edge: HTTP/1.1 to nginx; clear: HTTP/2 without TLS; re: HTTP/2 over TLS; plain and replain: the same for clients without TLS."""
    tls = {"ca": "servers.pem", "name": "re.example"}
    return gateway({"edge": edge("edge.example", nginx), "clear": edge("clear.example", nginx.h2c_address, server_protocol="h2"),
                    "re": reencrypt("re.example", nginx.h2_address, server_tls=tls),
                    "plain": plain("plain.example", nginx.h2c_address, server_protocol="h2"),
                    "replain": plain("replain.example", nginx.h2_address, server_tls=tls)},
                   certs={"c.pem": leaf("edge.example", "clear.example", "re.example"), "servers.pem": open(server_ca.cert).read()})


def scheme(name):
    return "http" if "plain" in name else "https"


def port(gw, name):
    return gw.ports[scheme(name)]


def url(gw, name, path="/"):
    return f"{scheme(name)}://{name}.example:{port(gw, name)}{path}"


def options(gw, name, ca, version="2"):
    version = {"1": "--http1.1", "2": "--http2-prior-knowledge" if "plain" in name else "--http2"}[version]
    return [version, "--expect100-timeout", "0.1", "--resolve", f"{name}.example:{port(gw, name)}:127.0.0.1", "--cacert", ca.cert]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("name", NAMES)
def test_curl(gw, nginx, ca, name, version, tmp_path):
    base = options(gw, name, ca, version)
    content = os.urandom(3_000_000)
    (tmp_path / "up").write_bytes(content)
    target = f"/up-{name}-{version}"
    told = curl(*base, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "-T", str(tmp_path / "up"), url(gw, name, target))
    assert told == "201 " + {"1": "1.1", "2": "2"}[version]
    with open(os.path.join(nginx.www, target[1:]), "rb") as f:
        assert f.read() == content
    curl(*base, "-f", "-o", str(tmp_path / "down"), url(gw, name, target))
    assert (tmp_path / "down").read_bytes() == content
    assert "content-length: 3000000" in curl(*base, "-f", "-I", url(gw, name, target)).lower()
    assert "404" in curl(*base, "-o", "/dev/null", "-w", "%{http_code}", url(gw, name, "/nothing"))
    part = curl(*base, "-f", "-r", "10-19", "-o", str(tmp_path / "part"), "-w", "%{http_code}", url(gw, name, target))
    assert part == "206" and (tmp_path / "part").read_bytes() == content[10:20]
    with open(tmp_path / "up", "rb") as f:  # from a pipe: of unknown length
        subprocess.run(["curl", "-q", "-sS", *base, "-f", "-T", "-", url(gw, name, target + "-piped")], stdin=f, timeout=120, check=True)
    with open(os.path.join(nginx.www, target[1:] + "-piped"), "rb") as f:
        assert f.read() == content
    spoken = curl(*base, url(gw, name, "/version"))
    assert spoken == ("HTTP/1.1" if name == "edge" else "HTTP/2.0")
    assert curl(*base, url(gw, name, "/headers")).startswith(f"{name}.example")


def test_curl_many_at_once(gw, ca, tmp_path):
    """curl multiplexes: fifty transfers on one connection."""
    wanted = [arg for n in range(50) for arg in ("-o", str(tmp_path / str(n)), url(gw, "re", "/data?" + str(n)))]
    told = curl(*options(gw, "re", ca), "--parallel", "--parallel-max", "50", "-f", "-w", "%{num_connects} ", *wanted)
    assert sum(int(n) for n in told.split()) <= 2, told
    assert len({hashlib.sha256((tmp_path / str(n)).read_bytes()).digest() for n in range(50)}) == 1
    assert (tmp_path / "0").stat().st_size == 3_000_000


def test_curl_with_and_without_alpn_and_upgrade(gw, ca):
    base = ["--resolve", f"edge.example:{port(gw, 'edge')}:127.0.0.1", "--cacert", ca.cert, "-o", "/dev/null", "-w", "%{http_version}"]
    assert curl(*base, url(gw, "edge")) == "2", "curl prefers HTTP/2 over TLS"
    assert curl(*base, "--no-alpn", url(gw, "edge")) == "1.1"
    plainly = ["--resolve", f"plain.example:{port(gw, 'plain')}:127.0.0.1", "-o", "/dev/null", "-w", "%{http_version}"]
    assert curl(*plainly, "--http2", url(gw, "plain", "/small")) == "1.1", "Upgrade: h2c is not taken, and does no harm"


# --- nghttp2's own

def nghttp(gw, name, *args, path="/data", timeout=120):
    done = subprocess.run(["nghttp", *args, "-H", f":authority: {name}.example", f"{scheme(name)}://127.0.0.1:{port(gw, name)}{path}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_nghttp(gw, nginx, name):
    with open(os.path.join(nginx.www, "data"), "rb") as f:
        content = f.read()
    assert nghttp(gw, name) == content
    assert nghttp(gw, name, "-w", "14", "-W", "14") == content, "with small windows"
    assert nghttp(gw, name, "-w", "20", "-W", "24") == content
    statistics = nghttp(gw, name, "-ns", "-m", "20").decode()
    assert len(re.findall(r" 200 .* /data$", statistics, re.M)) == 20, statistics
    told = nghttp(gw, name, "-nv", "--no-dep").decode()
    assert "SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1" in told and "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100" in told
    assert "invalid" not in told.lower() and "RST_STREAM" not in told


def test_nghttp_sends_a_body_and_trailers(gw, nginx, tmp_path):
    (tmp_path / "body").write_bytes(b"b" * 100_000)
    told = nghttp(gw, "edge", "-nv", "-H", ":method: PUT", "-d", str(tmp_path / "body"), "--trailer", "x-sum: 1", "--expect-continue",
                  path="/from-nghttp").decode()
    assert re.search(r":status: 20[14]", told), told


@pytest.mark.parametrize("name, target", [("edge", "/small"), ("re", "/small"), ("clear", "/small"), ("plain", "/small"), ("edge", "/data")])
def test_h2load(gw, name, target):
    """Thousands of requests, and not one that fails."""
    count = 3000 if target == "/small" else 60
    done = subprocess.run(["h2load", "-n", str(count), "-c", "20", "-m", "25", "-t", "1", f"--connect-to=127.0.0.1:{port(gw, name)}",
                           url(gw, name, target)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    text = done.stdout.decode()
    assert done.returncode == 0 and f"{count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout" in text, text
    assert f"status codes: {count} 2xx, 0 3xx, 0 4xx, 0 5xx" in text, text
    if target == "/data":
        assert int(re.search(r"\((\d+)\) data", text).group(1)) == count * 3_000_000


def test_h2load_before_a_server_that_sends_goaway_all_the_time(gateway, leaf, ca, server_ca):
    """nginx ends a connection after so many requests, each time with streams still coming: none is lost."""
    server = H2Nginx(server_ca.leaf("re.example"), "keepalive_requests 50;")
    server.file("small", b"small")
    gw = gateway({"edge": edge("edge.example", server.h2c_address, server_protocol="h2"),
                  "re": reencrypt("re.example", server.h2_address, server_tls={"ca": "servers.pem"})},
                 certs={"c.pem": leaf("edge.example", "re.example"), "servers.pem": open(server_ca.cert).read()})
    try:
        for name in ("edge", "re"):
            done = subprocess.run(["h2load", "-n", "2000", "-c", "10", "-m", "20", f"--connect-to=127.0.0.1:{gw.ports['https']}",
                                   url(gw, name, "/small")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            assert "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout.decode(), done.stdout.decode()
    finally:
        server.stop()


# --- Python's

def test_httpx(gw, ca, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **kw: real("127.0.0.1", *rest, **kw))
    with httpx.Client(http2=True, verify=ca.client_context()) as client:
        for name in ("edge", "clear", "re"):
            def ask(method, path, name=name, **kw):
                return client.request(method, url(gw, name, path), timeout=PATIENCE, **kw)
            reply = ask("GET", "/data")
            assert (reply.status_code, reply.http_version, len(reply.content)) == (200, "HTTP/2", 3_000_000)
            content = os.urandom(500_000)
            assert ask("PUT", f"/httpx-{name}", content=content).status_code == 201
            assert ask("PUT", f"/httpx-{name}-streamed", content=iter([content] * 3)).status_code == 201
            assert ask("GET", f"/httpx-{name}-streamed").content == content * 3
            assert [ask("GET", "/small").text for _ in range(20)] == ["small"] * 20
            reply = ask("GET", "/small", params={"a": "b"})
            assert reply.status_code == 200 and "connection" not in reply.headers


@pytest.mark.parametrize("name", ["edge", "re"])
def test_python_h2_before_nginx(gw, ca, name):
    """Streams side by side, on two connections."""
    clients = [H2Client(port(gw, name), tls=ca.client_context(alpn=["h2"]), name=f"{name}.example") for _ in range(2)]
    digests = together(16, lambda n: hashlib.sha256(clients[n % 2].request("GET", "/data", f"{name}.example").body).hexdigest())
    assert len(set(digests)) == 1
    for client in clients:
        assert not client.goaways
        client.close()


def test_one_connection_for_every_name_of_its_certificate(gw, ca):
    """A client that coalesces, as browsers do: HTTP/1.1 and HTTP/2 servers behind one connection, and 421 for what is not here."""
    with H2Client(port(gw, "edge"), tls=ca.client_context(alpn=["h2"]), name="edge.example") as client:
        for _ in range(3):
            assert [client.request("GET", "/version", f"{n}.example").text for n in ("edge", "clear", "re")] == ["HTTP/1.1", "HTTP/2.0", "HTTP/2.0"]
            assert client.request("GET", "/version", "elsewhere.example").status == 421


# --- gRPC beside other things

def test_a_grpc_server_beside_a_web_server_on_one_host(gateway, nginx, leaf, ca):
    server = GrpcServer()
    gw = gateway({"web": edge("app.example", nginx), "grpc": edge("app.example", server, server_protocol="h2", paths=["/test.Echo"])},
                 certs={"a.pem": leaf("app.example")})
    with GrpcClient(gw.ports["https"], "app.example", ca.cert) as client:
        assert client.unary("Echo")(b"hello", timeout=60) == b"hello"
        with pytest.raises(grpc.RpcError) as caught:
            client.channel.unary_unary("/other.Service/Call")(b"", timeout=60)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED, "nginx's 404, in gRPC's terms"
    with H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name="app.example") as client:
        assert client.request("GET", "/small", "app.example").body == b"small"
    server.stop()


# --- a browser

PAGE = """<!doctype html><title>page</title><link rel=stylesheet href=/style.css><script src=/script.js></script>
<body>""" + "".join(f"<img src=/image/{n}.svg>" for n in range(20)) + """<script>
const tell = what => fetch('/report', {method: 'POST', body: JSON.stringify(what)});
addEventListener('load', async () => {
  try {
    const posted = await (await fetch('/echo', {method: 'POST', body: 'x'.repeat(300000)})).text();
    const sockets = await Promise.all([1, 2].map(async n => {
      const socket = new WebSocket('wss://' + location.host + '/ws');
      const got = [];
      const closed = await new Promise((done, failed) => {
        socket.onopen = () => { socket.send('hello ' + n); socket.send('y'.repeat(100000)); };
        socket.onmessage = event => { got.push(event.data.length < 100 ? event.data : event.data.length); if (got.length == 2) socket.close(1000, 'bye'); };
        socket.onclose = done;
        socket.onerror = failed;
      });
      return [got, closed.code, closed.wasClean];
    }));
    const entries = performance.getEntries().filter(e => e.nextHopProtocol !== undefined).map(e => [new URL(e.name).pathname, e.nextHopProtocol]);
    await tell({images: [...document.images].filter(i => i.complete && i.naturalWidth).length, styled: getComputedStyle(document.body).color,
                script: window.loaded, posted: posted.length, sockets, entries});
  } catch (error) { await tell({error: String(error)}); }
});
</script>"""
IMAGE = b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'><rect width='10' height='10'/></svg>"


def site(reports):
    """A small site with a WebSocket, for a server of either version."""
    def answer(request):
        path = request.target
        if request.method == "CONNECT":
            request.stream.send_headers([(":status", "200")])
            while True:
                opcode, data = websocket.read_frame(request.stream)
                request.stream.send(websocket.frame(data, False, opcode), end=opcode == 8)
                if opcode == 8:
                    return None
        if request.get("upgrade"):
            websocket.serve(request)
            if hasattr(request.conn.sock, "unwrap"):
                request.conn.sock.unwrap()  # under TLS, an end without close_notify is a cut
            return None
        if path == "/report":
            reports.append(json.loads(request.body))
            return response(200)
        kind, body = {"/": ("text/html", PAGE), "/style.css": ("text/css", "body { color: rgb(1, 2, 3) }"),
                      "/script.js": ("text/javascript", "window.loaded = 'yes';"), "/echo": ("text/plain", request.body)}.get(path, ("image/svg+xml", IMAGE))
        return response(200, body, [("Content-Type", kind), ("Cache-Control", "no-store")])
    return answer


@pytest.mark.parametrize("kind", ["h1", "h2", "re-h2", "re-auto"])
def test_a_browser_loads_a_page_and_talks_over_a_websocket(gateway, leaf, ca, server_ca, kind):
    """Everything over one HTTP/2 connection, the WebSockets as well (RFC 8441)."""
    reports, name = [], "web.example"
    can = {Setting.ENABLE_CONNECT_PROTOCOL: 1} if kind != "re-auto" else {}
    tls = server_ca.leaf(name).server_context(alpn=["h2", "http/1.1"]) if kind.startswith("re") else None
    server = HttpServer(site(reports)) if kind == "h1" else H2Server(site(reports), tls=tls, settings=can)
    if tls:
        spec = reencrypt(name, server, server_tls={"ca": "servers.pem"})
    else:
        spec = edge(name, server, server_protocol="http/1.1" if kind == "h1" else "h2")
    mine = leaf(name)
    gw = gateway({"web": spec}, certs={"w.pem": mine, "servers.pem": open(server_ca.cert).read()})
    browser = Browser(f"https://{name}:{gw.ports['https']}/", mine)
    try:
        until(lambda: reports, lambda: f"no report from the browser: {browser.text()}", 60)
    finally:
        browser.stop()
        server.stop()
    (told,) = reports
    assert "error" not in told, told
    assert (told["images"], told["styled"], told["script"], told["posted"]) == (20, "rgb(1, 2, 3)", "yes", 300_000)
    assert told["sockets"] == [[[f"hello {n}", 100_000], 1000, True] for n in (1, 2)]
    spoken = dict(told["entries"])
    assert set(spoken.values()) == {"h2"} and {"/", "/style.css", "/script.js", "/image/7.svg", "/echo"} <= set(spoken)
    tunnels = [r for r in gw.accesses() if r.get("path") == "/ws"]
    assert len(tunnels) == 2 and {r["status"] for r in tunnels} == {200}, "the WebSockets came as streams"
    assert not server.errors, server.errors


def test_a_browser_reaches_a_passed_through_host_of_the_same_certificate(gateway, leaf, ca, server_ca):
    """Two names, one certificate, one address. Should it try on the connection it has, a 421 sends it to a new one."""
    reports, mine = [], leaf("one.example", "two.example")
    page = """<!doctype html><body><script>
      const image = new Image();
      const tell = what => fetch('/report', {method: 'POST', body: JSON.stringify(what)});
      image.onload = () => tell({got: image.naturalWidth});
      image.onerror = () => tell({error: 'no image'});
      image.src = 'https://two.example:%d/x.svg';
    </script>"""

    def answer(request):
        if request.target == "/report":
            reports.append(json.loads(request.body))
            return response(200)
        return response(200, page % gw.ports["https"], [("Content-Type", "text/html")])
    one = HttpServer(answer)
    two = H2Server(lambda r: response(200, IMAGE, [("Content-Type", "image/svg+xml")]), tls=mine.server_context(alpn=["h2", "http/1.1"]))
    gw = gateway({"one": edge("one.example", one), "two": {"mode": "passthrough", "hosts": ["two.example"], "servers": [two.address]}},
                 certs={"w.pem": mine})
    browser = Browser(f"https://one.example:{gw.ports['https']}/", mine)
    try:
        until(lambda: reports, lambda: f"no report from the browser: {browser.text()}", 60)
    finally:
        browser.stop()
        one.stop()
        two.stop()
    assert reports == [{"got": 10}]
    assert gw.access(service="two")["mode"] == "passthrough"
