"""The process: ports, activation, draining, health, limits."""
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness import hello
from harness.client import Client, http
from harness.gateway import Config, GatewayFailed, command, require_binary
from harness.http_server import response
from harness.load import refuses
from harness.manager import HAND_OVER
from harness.metrics import metrics
from harness.ports import free_port
from harness.server import echo, pause
from harness.services import edge, passthrough, plain, ssh
from harness.wait import until


def test_a_taken_port_is_named(gateway, http_server):
    """One listener fails: an error in words, and the others serve."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gw = gateway({"web": plain("a.example", http_server())}, listeners={"other": {"bind": f"127.0.0.1:{port}"}})
        gw.wait_log(str(port))
        assert any("in use" in line or "taken" in line for line in gw.lines if str(port) in line), gw.log_text()
        assert http(gw.ports["http"], host="a.example").status == 200


def test_a_taken_port_is_tried_again(gateway, http_server):
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", free_port()))
    taken.listen()
    port = taken.getsockname()[1]
    gateway({"web": plain("a.example", http_server(), listen=["http", "other"])}, listeners={"other": {"bind": f"127.0.0.1:{port}"}})
    taken.close()

    def served():
        try:
            return http(port, host="a.example").status == 200
        except (OSError, AssertionError):
            return False
    until(served, "the listener is bound once the port is free")


def test_a_second_copy_is_refused(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())})
    with pytest.raises(GatewayFailed) as failure:
        other = gateway(config=_copy(gw.config), wait_ready=False)
        other.stopped = True
        other.wait_notified(b"READY=1")
    assert str(gw.ports["http"]) in str(failure.value)
    assert other.process.wait(30) != 0
    assert http(gw.ports["http"], host="a.example").status == 200


def _copy(config):
    other = Config()
    settings = {**config.settings, "admin": other.settings["admin"], "state": other.settings["state"]}
    other.ports = config.ports
    other.write("gateway.yaml", settings)
    return other


def test_a_low_port_without_the_capability(gateway, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to drop to another user")
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
        if int(f.read()) <= 81:
            pytest.skip("in this container every user may bind low ports")
    made = Config()
    made.settings["listeners"]["http"] = {"bind": "127.0.0.1:81"}
    made.settings["listeners"]["https"] = "off"
    made.write("gateway.yaml", made.settings)
    subprocess.run(["chown", "-R", "65534:65534", made.dir], check=True)
    binary = shutil.copy(require_binary(), made.dir)  # the checkout may be closed to other users
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                           binary, "run", "--config", made.dir], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "81" in done.stderr and ("CAP_NET_BIND_SERVICE" in done.stderr or "capability" in done.stderr.lower()), done.stderr
    made.remove()


def test_an_address_that_is_not_here_yet(gateway, http_server):
    """A VIP: bound before the address arrives."""
    port = free_port()
    gw = gateway({"web": plain("a.example", http_server(), listen=["http", "vip"])}, listeners={"vip": {"bind": f"192.0.2.77:{port}"}})
    assert http(gw.ports["http"], host="a.example").status == 200
    with open("/proc/net/tcp") as table:
        assert any(f"4D0200C0:{port:04X}" in line for line in table), "listening on the address"


def test_drain_lets_a_transfer_finish(way):
    go = threading.Event()

    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        pause(go)
        return b"again"
    way.start(answer, settings={"drain_timeout": "60s"})
    with way.client() as client:
        client.send_request()
        assert client.until(b"first").endswith(b"first")
        way.gw.signal(signal.SIGTERM)
        way.gw.wait_notified(b"STOPPING=1")
        until(lambda: refuses(way.port), "new connections are refused")
        assert way.gw.process.poll() is None
        go.set()
        assert client.exactly(5) == b"again"
        assert client.gone()
    assert way.gw.process.wait(30) == 0


def test_drain_closes_idle_connections_and_says_close(way):
    go = threading.Event()

    def answer(request):
        if request.target == "/busy":
            pause(go)
        return response(200, b"ok")
    way.start(answer, settings={"drain_timeout": "60s"})
    with way.client() as idle, way.client() as busy:
        assert idle.request().status == 200
        busy.send_request("GET", "/busy")
        until(lambda: len(way.server.requests) == 2, "both requests")
        way.gw.signal(signal.SIGTERM)
        assert idle.gone()
        until(lambda: refuses(way.port), "both workers know")
        go.set()
        reply = busy.response()
        assert (reply.status, reply.get("connection", "").lower()) == (200, "close")
    assert way.gw.process.wait(30) == 0


def test_drain_waits_for_a_first_request(gateway, http_server, leaf, ca):
    """A TLS client that has just shaken hands: its request is on its way, and is answered. One of three tries has to be in time."""
    for attempt in range(3):
        gw = gateway({"shop": edge("b.example", http_server())}, certs={"b.pem": leaf("b.example")},
                     settings={"drain_timeout": "60s"})
        with Client(gw.ports["https"], tls=ca.client_context(), name="b.example") as client:
            until(lambda: sum(v for k, v in metrics(gw).items() if k.startswith("sallyport_tls_handshakes_total")) == 1, "the handshake is over")
            gw.signal()
            gw.wait_notified(b"STOPPING=1")
            try:
                reply = client.request(host="b.example")
            except (OSError, AssertionError):
                if attempt == 2:
                    raise
                continue
        assert (reply.status, reply.get("connection", "").lower()) == (200, "close")
        assert gw.process.wait(30) == 0
        return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_has_an_end(gateway, tcp_server, number):
    gw = gateway({"git": ssh(tcp_server(echo))}, settings={"drain_timeout": "1s"})
    with Client(gw.ports["ssh"]) as client:
        assert client.send(b"SSH-2.0-x\r\n").exactly(11)
        start = time.monotonic()
        gw.signal(number)
        assert gw.process.wait(30) == 0
        assert 0.8 < time.monotonic() - start < 20
        assert client.gone()
    assert gw.access(service="git")["end"] == "drain"


def test_a_relay_goes_on_while_draining(gateway, tcp_server):
    gw = gateway({"own": passthrough("own.example", tcp_server(echo))}, settings={"drain_timeout": "60s"})
    with Client(gw.ports["https"]) as client:
        wire = hello.build("own.example")
        assert client.send(wire).exactly(len(wire)) == wire
        gw.signal()
        gw.wait_notified(b"STOPPING=1")
        assert client.send(b"x" * 1_000_000).exactly(1_000_000) == b"x" * 1_000_000
        client.shut()
        assert client.gone()
    assert gw.process.wait(30) == 0


def test_health(gateway, config):
    made = config()
    assert command("health", "--config", made.dir).returncode == 1
    gateway(config=made)
    assert command("health", "--config", made.dir).returncode == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{made.admin_port}/health", timeout=30) as reply:
        assert reply.status == 200


def test_health_while_draining_is_503(gateway, tcp_server):
    gw = gateway({"git": ssh(tcp_server(echo))}, settings={"drain_timeout": "60s"})
    with Client(gw.ports["ssh"]) as client:
        client.send(b"SSH-2.0-x\r\n").exactly(11)
        gw.signal()
        gw.wait_notified(b"STOPPING=1")
        with pytest.raises(urllib.error.HTTPError) as failure:
            urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/health", timeout=30)
        assert failure.value.code == 503
        assert command("health", "--config", gw.config.dir).returncode == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_socket_activation(gateway, http_server, tcp_server, workers):
    """LISTEN_FDS by name; the same socket serves all workers."""
    made = Config({"web": plain("a.example", http_server()), "git": ssh(tcp_server(echo))}, settings={"workers": workers})
    sockets = []
    for name in ("ssh", "http"):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.listen(64)
        sockets.append(one)
        made.ports[name] = one.getsockname()[1]
    numbers = [one.fileno() for one in sockets]
    gw = gateway(config=made, wrapper=(sys.executable, "-c", HAND_OVER, ",".join(map(str, numbers))), pass_fds=numbers,
                 env={"LISTEN_FDS": "2", "LISTEN_FDNAMES": "ssh:http"})
    for one in sockets:
        one.close()
    for _ in range(20):
        assert http(gw.ports["http"], host="a.example").status == 200
        with Client(gw.ports["ssh"]) as client:
            assert client.send(b"SSH-2.0-x\r\n").exactly(11)
    gw.wait_idle(slack=4)


def test_max_connections_of_a_listener(gateway, tcp_server):
    gw = gateway({"git": ssh(tcp_server(echo))}, listeners={"ssh": {"max_connections": 5}})
    clients = [Client(gw.ports["ssh"]) for _ in range(5)]
    for client in clients:
        client.send(b"SSH-2.0-x\r\n").exactly(11)
    with Client(gw.ports["ssh"], timeout=2) as extra:
        extra_served = _served(extra)
    assert not extra_served
    for client in clients:
        client.close()
    gw.wait_idle()
    with Client(gw.ports["ssh"]) as client:
        assert _served(client)


def _served(client):
    try:
        return client.send(b"SSH-2.0-x\r\n").exactly(11) == b"SSH-2.0-x\r\n"
    except (AssertionError, OSError):
        return False


def test_out_of_descriptors(gateway, tcp_server):
    """Few descriptors: some connections wait or fail, none harms the gateway, and all is well afterwards."""
    gw = gateway({"git": ssh(tcp_server(echo))}, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96)))
    clients = []
    for _ in range(150):
        clients.append(Client(gw.ports["ssh"]))
    for client in clients:
        client.close()
    gw.wait_idle()
    with Client(gw.ports["ssh"]) as client:
        assert _served(client)


def test_version_and_usage():
    assert command("--version").returncode == 0
    assert command("--help").returncode == 0
    wrong = command("rnu")
    assert wrong.returncode != 0 and wrong.stderr


def test_log_text_format(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())}, settings={"logs": {"format": "text"}})
    http(gw.ports["http"], "/x", host="a.example")
    until(lambda: any("a.example" in line and "/x" in line and "200" in line for line in gw.lines), gw.log_text)


def test_what_a_client_sends_cannot_forge_log_lines(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())})
    http(gw.ports["http"], '/a"b\\u000ac{"type":"access"}', host="a.example")
    line = gw.access(service="web")
    assert '"b' in line["path"] or "%22" in line["path"] or line["path"].startswith("/a")
    assert len(gw.accesses()) == 1


def test_access_log_can_be_turned_off(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())}, settings={"logs": {"access": False}})
    assert http(gw.ports["http"], host="a.example").status == 200
    gw.stop()
    gw.stopped = True
    assert gw.accesses() == []
