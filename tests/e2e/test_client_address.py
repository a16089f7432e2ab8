"""Servers' own logs show the client's true address, in each mode; and a warning where nobody can know it."""
import os
import socket
import subprocess
import sys

import pytest

from harness.client import Client, http
from harness.ports import free_port
from harness.real import Nginx
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp
from harness.sshd import Sshd
from harness.wait import until

CLIENT = "127.0.0.7"

LOGGING = """
  }}
  log_format client '$server_port $proxy_protocol_addr $http_x_forwarded_for $http_x_real_ip $remote_addr $uri';
  server {{
    listen 127.0.0.1:{plain} proxy_protocol;
    listen 127.0.0.1:{tls} ssl proxy_protocol; ssl_certificate {leaf.cert}; ssl_certificate_key {leaf.key};
    listen 127.0.0.1:{bare};
    listen 127.0.0.1:{bare_tls} ssl;
    access_log {log} client;
    location / {{ return 200 ok; }}
"""


@pytest.fixture
def server(leaf, tmp_path):
    """nginx that takes the PROXY header on two of its ports, and logs what it knows of its clients."""
    ports = {name: free_port() for name in ("plain", "tls", "bare", "bare_tls")}
    log = tmp_path / "seen.log"
    nginx = Nginx(extra=LOGGING.format(leaf=leaf("own.example"), log=log, **ports))
    nginx.ports = ports
    nginx.address_of = lambda name: f"127.0.0.1:{ports[name]}"
    nginx.seen = lambda port, path: [line.split() for line in (log.read_text().splitlines() if log.exists() else [])
                                     if line.startswith(f"{ports[port]} ") and line.endswith(f" {path}")]
    yield nginx
    nginx.stop()


def line_of(server, port, path):
    until(lambda: server.seen(port, path), f"a line of {path}")
    return server.seen(port, path)[-1]


def in_each_mode(gateway, server, ca, leaf, tls, plain_text, **keys):
    """A gateway with a service of each mode; (host, port, TLS, which of the server's ports) to ask it by."""
    port = free_port()
    gw = gateway({"own": passthrough("own.example", server.address_of(tls), **keys),
                  "edge": edge("edge.example", server.address_of(plain_text), **keys),
                  "re": reencrypt("re.example", server.address_of(tls), server_tls={"verify": "none"}, **keys),
                  "http": plain("plain.example", server.address_of(plain_text), **keys),
                  "raw": tcp(f"127.0.0.1:{port}", server.address_of(plain_text), **keys)},
                 certs={"one.pem": leaf("edge.example", "re.example")})
    trust, https = ca.client_context(), gw.ports["https"]
    return [("own.example", https, trust, tls), ("edge.example", https, trust, plain_text), ("re.example", https, trust, tls),
            ("plain.example", gw.ports["http"], None, plain_text), ("x.example", port, None, plain_text)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_proxy_protocol_in_each_mode(gateway, server, ca, leaf, version):
    for host, where, context, backend in in_each_mode(gateway, server, ca, leaf, "tls", "plain", proxy_protocol=version):
        assert http(where, f"/{host}", host=host, tls=context, source=CLIENT).text == "ok"
        assert line_of(server, backend, f"/{host}")[1] == CLIENT


def test_headers_where_requests_are_read(gateway, server, ca, leaf):
    gw = gateway({"edge": edge("edge.example", server.address_of("bare")),
                  "re": reencrypt("re.example", server.address_of("bare_tls"), server_tls={"verify": "none"}),
                  "http": plain("plain.example", server.address_of("bare"))}, certs={"one.pem": leaf("edge.example", "re.example")})
    tls = ca.client_context()
    for host, where, context, backend in (("edge.example", gw.ports["https"], tls, "bare"), ("re.example", gw.ports["https"], tls, "bare_tls"),
                                          ("plain.example", gw.ports["http"], None, "bare")):
        assert http(where, f"/{host}", host=host, tls=context, source=CLIENT, headers=[("X-Forwarded-For", "1.2.3.4")]).text == "ok"
        assert line_of(server, backend, f"/{host}")[2:4] == [CLIENT, CLIENT]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="IP_TRANSPARENT needs CAP_NET_ADMIN")


@needs_root
def test_transparent_in_each_mode(gateway, server, ca, leaf):
    for host, where, context, backend in in_each_mode(gateway, server, ca, leaf, "bare_tls", "bare", transparent=True):
        for client in (CLIENT, "127.0.0.8"):  # the second must not get the first one's connection
            assert http(where, f"/{host}/{client}", host=host, tls=context, source=client).text == "ok"
            assert line_of(server, backend, f"/{host}/{client}")[4] == client


@needs_root
def test_sshd_sees_its_client(gateway):
    sshd = Sshd()
    try:
        gw = gateway({"git": ssh(sshd.address, transparent=True)})
        done = subprocess.run([*sshd.ssh_command().split(), "-b", CLIENT, "-p", str(gw.ports["ssh"]), f"{sshd.user}@127.0.0.1", "true"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + sshd.log()
        assert f"from {CLIENT} port" in sshd.log()
    finally:
        sshd.stop()


@needs_root
def test_transparent_between_ip_versions_is_a_clear_error(gateway, http_server):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    gw = gateway({"web": plain("test.example", "[::1]:9", transparent=True)})
    assert http(gw.ports["http"]).status in (502, 503)
    assert "differ in their IP version" in gw.access(service="web")["reason"]


CLIENTS = """
import http.client, sys
for n in range(120):
    link = http.client.HTTPConnection("10.77.0.1", int(sys.argv[1]), timeout=20, source_address=(sys.argv[2 + n % (len(sys.argv) - 2)], 0))
    link.request("GET", "/", headers={"Host": "test.example"})
    link.getresponse().read()
    link.close()
"""


@needs_root
@pytest.mark.parametrize("sources, warned", [(["10.77.0.2"], True), (["10.77.0.2", "10.77.0.3"], False)])
def test_a_warning_when_all_clients_have_one_private_address(gateway, config, sources, warned):
    """As behind the port forwarding of a rootless container: a network namespace of its own stands for the container."""
    space = f"sp-{os.getpid()}-{len(sources)}"
    subprocess.run(["ip", "netns", "add", space], check=True)
    try:
        inside = ["ip", "netns", "exec", space]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        for address in ("10.77.0.1", "10.77.0.2", "10.77.0.3"):
            subprocess.run([*inside, "ip", "addr", "add", f"{address}/24", "dev", "lo"], check=True)
        folder = config({"web": {"mode": "redirect", "listen": "http", "redirect": {"to": "https://other.example"}}})
        port = folder.ports["http"]
        settings = dict(folder.settings, listeners={**folder.settings["listeners"], "http": {"bind": f"10.77.0.1:{port}"}})
        folder.write("gateway.yaml", settings)
        gw = gateway(config=folder, wrapper=inside, env={"container": "podman"})
        subprocess.run([*inside, sys.executable, "-c", CLIENTS, str(port), *sources], check=True, timeout=120)
        if warned:
            gw.wait_log("all clients of listener \\\"http\\\" so far have the address 10.77.0.2")
            assert "Socket activation" in gw.log_text()
        else:
            assert "so far have the address" not in gw.log_text()
    finally:
        subprocess.run(["ip", "netns", "del", space], check=False)
