"""The image as a user runs it: read-only, one capability, ports published; every mode is tried through it."""
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import podman
import pytest
import yaml
from harness import certs
from harness.client import Client, http
from harness.h2_client import H2Client
from harness.h2_server import H2Server, respond
from harness.http_server import HttpServer, header
from harness.ports import free_port
from harness.server import Server, banner, echo
from harness.wait import until

NETWORK = "sallyport-test"
HARDENED = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]


class Container:
    """The gateway in a container; `ports` are the published ones, by listener."""

    def __init__(self, image, folder, options=(), ports=None, network=NETWORK):
        self.ports = ports or {}
        inside = {"http": 80, "https": 443, "ssh": 22, "db": 5432}
        publish = [word for name, port in self.ports.items() for word in ("-p", f"127.0.0.1:{port}:{inside[name]}")]
        done = podman.podman("run", "-d", *podman.RUN, "--network", network, *options, *publish, "-v",
                             f"{folder}:/etc/sallyport:ro", image, runtime=True)
        self.id = done.stdout.split()[-1]

    def inspect(self, what):
        return podman.podman("inspect", self.id, "--format", what).stdout.strip()

    def logs(self):
        done = podman.podman("logs", self.id)
        return done.stdout + done.stderr

    def status(self):
        """/proc/…/status of the gateway, as the host sees it."""
        with open(f"/proc/{self.inspect('{{.State.Pid}}')}/status") as status:
            return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)

    def exec(self, *args, check=True):
        return podman.podman("exec", self.id, *args, check=check, runtime=True)

    def healthy(self):
        return podman.podman("healthcheck", "run", self.id, check=False, runtime=True).returncode == 0

    def wait_healthy(self, timeout=30):
        until(self.healthy, lambda: f"not healthy:\n{self.logs()}", timeout, step=0.2)

    def remove(self):
        podman.podman("rm", "-f", "-t", "1", self.id, check=False, runtime=True)


def write_config(folder, gateway, services=None, pems=None):
    """World-readable, as the gateway's user in the container is not ours."""
    folder.mkdir(exist_ok=True)
    for sub in ("conf.d", "certs"):
        (folder / sub).mkdir(exist_ok=True)
    (folder / "gateway.yaml").write_text(yaml.safe_dump(gateway))
    for name, service in (services or {}).items():
        (folder / "conf.d" / f"{name}.yaml").write_text(yaml.safe_dump(service))
    for name, text in (pems or {}).items():
        (folder / "certs" / name).write_text(text)
    subprocess.run(["chmod", "-R", "a+rX", str(folder), str(folder.parent)], check=True)
    return folder


@pytest.fixture(scope="module")
def network():
    podman.podman("network", "rm", "-f", NETWORK, check=False)
    podman.podman("network", "create", NETWORK)
    made = json.loads(podman.podman("network", "inspect", NETWORK).stdout)[0]
    subnet = made.get("subnets") or made["Subnets"]
    yield subnet[0]["gateway"]
    podman.podman("network", "rm", "-f", NETWORK, check=False)


def call(request):
    """What a gRPC server does with a unary call."""
    respond(request, fields=[("content-type", request.get("content-type"))], body=request.body, trailers=[("grpc-status", "0")])


class World:
    """A gateway in a container, with servers on this machine and in another container behind it."""

    def __init__(self, image, trixie, host, folder):
        self.ca, self.server_ca = certs.CertAuthority(), certs.CertAuthority("Servers CA")
        self.own = certs.self_signed("pass.example")
        everywhere = {"host": "0.0.0.0"}
        self.plain = HttpServer(**everywhere)
        self.passed = HttpServer(tls=self.own.server_context(), **everywhere)
        self.origin = HttpServer(tls=self.server_ca.leaf("origin.internal").server_context(), **everywhere)
        self.ssh = Server(banner(), **everywhere)
        self.tcp = Server(echo, **everywhere)
        self.calls = H2Server(call, **everywhere)
        self.by_name = podman.podman(
            "run", "-d", "--rm", *podman.RUN, "--network", NETWORK, "--name", "sallyport-test-web", "--replace", trixie, "sh", "-c",
            "mkdir /www && echo found by name >/www/index.html && exec python3 -m http.server -d /www 8000", runtime=True
        ).stdout.split()[-1]

        def at(server):
            return [f"{host}:{server.port}"]

        services = {
            "pass": {"mode": "passthrough", "hosts": ["pass.example"], "servers": at(self.passed)},
            "edge": {"mode": "edge", "hosts": ["edge.example"], "servers": at(self.plain)},
            "re": {"mode": "reencrypt", "hosts": ["re.example"], "servers": at(self.origin),
                   "server_tls": {"ca": "servers-ca.pem", "name": "origin.internal"}},
            "plain": {"mode": "http", "hosts": ["plain.example"], "servers": at(self.plain)},
            "old": {"mode": "redirect", "hosts": ["old.example"], "redirect": {"to": "https://new.example"}},
            "git": {"mode": "ssh", "servers": at(self.ssh)},
            "db": {"mode": "tcp", "listen": "db", "servers": at(self.tcp)},
            "calls": {"mode": "edge", "hosts": ["calls.example"], "servers": at(self.calls), "server_protocol": "h2"},
            "byname": {"mode": "edge", "hosts": ["name.example"], "servers": ["sallyport-test-web:8000"]},
        }
        with open(self.server_ca.cert) as pem:
            server_ca = pem.read()
        self.ports = {name: free_port() for name in ("http", "https", "ssh", "db")}
        write_config(folder, {
            "listeners": {"https": {"bind": ":443", "public_port": self.ports["https"]}, "db": {"bind": ":5432"}},
            "drain_timeout": "20s", "workers": 2, "logs": {"format": "json"},
        }, services, {"site.pem": self.ca.leaf("edge.example", "re.example", "name.example", "calls.example").pem, "servers-ca.pem": server_ca})
        try:
            self.gateway = Container(image, folder, [*HARDENED, "--cap-add", "net_bind_service"], self.ports)
        except BaseException:
            self.stop()
            raise

    def curl(self, listener, url, *options):
        """One request; what was agreed on and the status, and the body."""
        port = self.ports[listener]
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        done = subprocess.run(["curl", "-sS", "-q", "--noproxy", "*", "-m", "30", "--cacert", self.ca.cert, "--resolve",
                               f"{host}:{port}:127.0.0.1", "-w", r"\n%{http_version} %{http_code}", *options,
                               f"{scheme}://{host}:{port}/{path}"], stdout=subprocess.PIPE, text=True, check=True)
        body, _, said = done.stdout.rpartition("\n")
        return said, body

    def https(self, host, target="/"):
        return http(self.ports["https"], target, host, tls=self.ca.client_context())

    def stop(self):
        if hasattr(self, "gateway"):
            self.gateway.remove()
        podman.podman("rm", "-f", "-t", "1", self.by_name, check=False, runtime=True)
        for server in (self.plain, self.passed, self.origin, self.ssh, self.tcp, self.calls):
            server.stop()


@pytest.fixture(scope="module")
def world(image, trixie, network, tmp_path_factory):
    made = World(image, trixie, network, tmp_path_factory.mktemp("container") / "config")
    try:
        made.gateway.wait_healthy()
        yield made
    finally:
        made.stop()


# What the image is.

def test_image_has_no_compiler_and_nothing_to_build_with(image):
    tools = "gcc g++ cc c++ clang ld as make cmake ninja pkg-config git python3 curl"
    done = podman.run(image, "-c", f"for t in {tools}; do command -v $t; done; ls /src /out 2>/dev/null; find / -xdev -name '*.a'; "
                      "true", options=["--entrypoint", "sh"])
    assert done.stdout == "", done.stdout


def test_program_finds_all_its_libraries(image):
    done = podman.run(image, "/usr/local/bin/sallyport", options=["--entrypoint", "ldd"])
    assert "libssl" in done.stdout and "not found" not in done.stdout, done.stdout


def test_image_says_how_it_wants_to_run(image):
    config = json.loads(podman.podman("image", "inspect", image).stdout)[0]
    assert config["User"] == "10001:10001"
    assert config["Config"]["Entrypoint"] == ["sallyport"]
    assert config["Config"]["Cmd"] == ["run", "--config", "/etc/sallyport"]
    assert set(config["Config"]["ExposedPorts"]) == {"22/tcp", "80/tcp", "443/tcp"}
    assert config["Config"]["StopSignal"] in ("SIGTERM", "15")
    assert config["Healthcheck"]["Test"] == ["CMD", "sallyport", "health"]


# What the process may do.

def test_gateway_is_process_1_of_an_ordinary_user_with_one_capability(world):
    status = world.gateway.status()
    assert status["NSpid"].split()[-1] == "1"
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    net_bind_service = 1 << 10
    for sets in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[sets], 16) == net_bind_service, (sets, status[sets])
    assert status["NoNewPrivs"] == "1"


def test_root_is_read_only_and_state_is_writable(world):
    denied = world.gateway.exec("sh", "-c", "touch /etc/sallyport/x || touch /usr/x || touch /x", check=False)
    assert denied.returncode != 0 and "Read-only" in denied.stderr
    world.gateway.exec("touch", "/var/lib/sallyport/x", "/run/sallyport/x")


# Every mode, through published ports.

def test_passthrough_shows_the_servers_own_certificate(world):
    context = certs.client_context()
    with Client(world.ports["https"], tls=context, name="pass.example") as client:
        assert client.sock.getpeercert(binary_form=True) == world.own.der
        assert client.request(host="pass.example").status == 200


def test_edge_ends_tls_and_forwards_plain_http(world):
    reply = world.https("edge.example", "/a?b=c")
    assert reply.status == 200 and header(reply, "X-Forwarded-Proto") == "https" and header(reply, "Host") == "edge.example"


def test_reencrypt_verifies_the_server(world):
    reply = world.https("re.example")
    assert reply.status == 200 and header(reply, "X-Forwarded-Host") == "re.example"


@pytest.mark.parametrize("listener, url, option", [("https", "https://edge.example/a", "--http2"),
                                                   ("https", "https://re.example/a", "--http2"),
                                                   ("http", "http://plain.example/a", "--http2-prior-knowledge")])
def test_http2(world, listener, url, option):
    said, body = world.curl(listener, url, option)
    assert said == "2 200" and json.loads(body)["target"] == "/a", (said, body)


def test_grpc_passes_with_its_trailers(world):
    message = bytes(5) + os.urandom(100_000)
    with H2Client(world.ports["https"], tls=world.ca.client_context(alpn=["h2"]), name="calls.example") as client:
        reply = client.request("POST", "/test.Echo/Echo", "calls.example",
                               [("content-type", "application/grpc"), ("te", "trailers")], body=message, sized=False)
    assert (reply.status, reply.body, reply.trailers) == (200, message, [("grpc-status", "0")])
    assert not world.calls.errors


def test_server_in_another_container_is_found_by_name(world):
    until(lambda: world.https("name.example").status == 200, lambda: world.gateway.logs(), 15, step=0.5)
    assert world.https("name.example").text == "found by name\n"


def test_plain_http_is_served(world):
    reply = http(world.ports["http"], "/", "plain.example")
    assert reply.status == 200 and header(reply, "X-Forwarded-Proto") == "http"


def test_plain_http_of_a_tls_service_redirects_to_the_published_port(world):
    reply = http(world.ports["http"], "/x?y", "edge.example")
    assert reply.status == 301 and reply.get("Location") == f"https://edge.example:{world.ports['https']}/x?y"


def test_redirect(world):
    reply = http(world.ports["http"], "/x", "old.example")
    assert reply.status in (301, 308) and reply.get("Location") == "https://new.example/x"


def test_ssh_banner_and_bytes(world):
    with Client(world.ports["ssh"]) as client:
        client.send(b"SSH-2.0-test\r\n")
        assert client.line() == b"SSH-2.0-OpenSSH_9.2 test" and client.line() == b"SSH-2.0-test"


def test_tcp_with_half_close(world):
    with Client(world.ports["db"]) as client:
        data = os.urandom(300_000)
        threading.Thread(target=lambda: (client.send(data), client.shut())).start()
        assert client.rest() == data


def test_unknown_name_is_refused_with_an_alert(world):
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        Client(world.ports["https"], tls=certs.client_context(), name="nobody.example")


# Its end.

def test_sigterm_drains_and_then_it_ends_with_0(image, world, network, tmp_path):
    folder = write_config(tmp_path / "config", {"listeners": {"db": {"bind": ":5432"}}, "drain_timeout": "20s"}, {
        "db": {"mode": "tcp", "listen": "db", "servers": [f"{network}:{world.tcp.port}"]}})
    ports = {"db": free_port()}
    gateway = Container(image, folder, [*HARDENED, "--cap-add", "net_bind_service"], ports)
    try:
        gateway.wait_healthy()
        with Client(ports["db"]) as client:
            client.send(b"before")
            assert client.exactly(6) == b"before"
            stop = subprocess.Popen(["podman", "--runtime", "runc", "stop", "-t", "30", gateway.id], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
            until(lambda: not gateway.healthy(), "still healthy while draining", 10, step=0.1)
            client.send(b"during")
            assert client.exactly(6) == b"during"
            assert stop.poll() is None, "it ended with a connection open"
        started = time.monotonic()
        assert stop.wait(30) == 0
        assert time.monotonic() - started < 10, "the last connection was gone, and it did not end"
        assert gateway.inspect("{{.State.ExitCode}}") == "0"
    finally:
        gateway.remove()


def test_without_the_capability_the_log_says_so(image, network, tmp_path):
    folder = write_config(tmp_path / "config", {})
    gateway = Container(image, folder, HARDENED)
    try:
        until(lambda: gateway.inspect("{{.State.Running}}") == "false", gateway.logs, 15, step=0.2)
        assert gateway.inspect("{{.State.ExitCode}}") != "0"
        assert "net_bind_service" in gateway.logs().lower()
    finally:
        gateway.remove()


def test_sockets_from_systemd_need_no_capability_and_keep_client_addresses(image, tmp_path):
    folder = write_config(tmp_path / "config", {"logs": {"format": "json"}}, {
        "old": {"mode": "redirect", "hosts": ["old.example"], "redirect": {"to": "https://new.example"}}})
    ports = {name: free_port() for name in ("https", "http")}
    listen = [word for port in ports.values() for word in ("-l", f"127.0.0.1:{port}")]
    name = "sallyport-test-activated"
    start = ["podman", "--runtime", "runc", "run", "--rm", "--replace", "--name", name, "--network", "none", *podman.RUN, *HARDENED,
             "-v", f"{folder}:/etc/sallyport:ro", image]
    keep = [word for key in ("PATH", "HOME", "XDG_RUNTIME_DIR") if key in os.environ for word in ("-E", key)]
    log = open(tmp_path / "log", "w+")
    activate = subprocess.Popen(["systemd-socket-activate", f"--fdname={':'.join(ports)}", *listen, *keep, *start], stdout=log, stderr=log)

    def text():
        with open(tmp_path / "log") as f:
            return f.read()

    try:
        # The sockets are there at once or soon; the container starts with the first connection, which waits for it.
        until(lambda: connectable(ports["http"]), text, 10)
        reply = http(ports["http"], "/x", "old.example", timeout=30, source="127.0.0.5")
        assert reply.get("Location") == "https://new.example/x", reply
        until(lambda: "127.0.0.5" in text(), text, 5)
    finally:
        podman.podman("rm", "-f", "-t", "1", name, check=False, runtime=True)
        activate.wait(20)
        log.close()


def connectable(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
