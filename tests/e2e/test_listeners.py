"""Where the gateway listens: both families, several binds, unix sockets, names and inline binds."""
import os
import select
import socket
import time

import pytest

from harness.client import Client, http
from harness.gateway import Config
from harness.http_server import header, response
from harness.ports import free_port, has_ipv6
from harness.server import banner
from harness.services import plain, ssh, tcp
from harness.wait import until


def with_bind(bind, services):
    made = Config(services)
    made.settings["listeners"]["http"] = {"bind": bind}
    made.write("gateway.yaml", made.settings)
    return made


def ask(host, port, **kw):
    with Client(port, host=host, **kw) as client:
        return client.request(host="a.example")


def test_a_bare_port_is_both_families(gateway, http_server):
    port = free_port()
    gateway(config=with_bind(f":{port}", {"web": plain("a.example", http_server())}))
    assert header(ask("127.0.0.1", port), "x-forwarded-for") == "127.0.0.1", "not a mapped IPv6 address"
    assert not has_ipv6() or header(ask("::1", port), "x-forwarded-for") == "::1"


def test_several_binds_of_a_listener(gateway, http_server, tmp_path):
    ports, path = [free_port(), free_port()], str(tmp_path / "s")
    gateway(config=with_bind([f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}", f"unix:{path}"], {"web": plain("a.example", http_server())}))
    assert ask("127.0.0.1", ports[0]).status == 200
    assert not has_ipv6() or ask("::1", ports[1]).status == 200
    with Client(path, family="unix") as client:
        assert client.request(host="a.example").status == 200


def test_a_unix_socket_left_behind_is_replaced(gateway, http_server, tmp_path):
    path = str(tmp_path / "s")
    made = with_bind([f"unix:{path}"], {"web": plain("a.example", http_server())})
    first = gateway(config=made)
    first.process.kill()
    first.process.wait()
    first.stopped = True
    assert os.path.exists(path)
    gateway(config=made)
    with Client(path, family="unix") as client:
        assert client.request(host="a.example").status == 200


def test_equal_inline_binds_are_one_listener(gateway, http_server):
    port = free_port()
    servers = [http_server(lambda r, n=n: response(200, n)) for n in "ab"]
    gateway({n: plain(f"{n}.example", s, listen=f"127.0.0.1:{port}") for n, s in zip("ab", servers)})
    for n in "ab":
        assert http(port, host=f"{n}.example").text == n


def test_a_service_on_several_listeners(gateway, http_server):
    port = free_port()
    gw = gateway({"web": plain("a.example", http_server(), listen=["http", "lan", f"127.0.0.1:{port}"])}, listeners={"lan": {}})
    for where in (gw.ports["http"], gw.ports["lan"], port):
        assert http(where, host="a.example").status == 200
    assert http(gw.ports["https"], host="a.example").status == 404


def test_routes_are_per_listener(gateway, http_server):
    servers = [http_server(lambda r, n=n: response(200, n)) for n in ("inside", "outside")]
    gw = gateway({n: plain("a.example", s, listen=listen) for n, s, listen in zip(("in", "out"), servers, ("lan", "http"))}, listeners={"lan": {}})
    assert http(gw.ports["lan"], host="a.example").text == "inside"
    assert http(gw.ports["http"], host="a.example").text == "outside"


def test_the_ssh_port_is_open_only_when_used(gateway, http_server):
    gw = gateway({"web": plain("a.example", http_server())})
    with pytest.raises(ConnectionRefusedError):
        Client(gw.ports["ssh"])


def test_ports_left_out_of_servers_are_the_listeners(gateway, tcp_server):
    """tcp and ssh: `servers: [HOST]` means the port that the client came to."""
    port = free_port()
    server = tcp_server(banner(b"hello\r\n"), host="127.0.0.31", port=port)
    other = Config()
    shell = tcp_server(banner(b"SSH-2.0-x\r\n"), host="127.0.0.31", port=other.ports["ssh"])
    other.service("raw", tcp(f"127.0.0.1:{port}", "127.0.0.31"))
    other.service("git", ssh("127.0.0.31"))
    gateway(config=other)
    for where, line in ((port, b"hello"), (other.ports["ssh"], b"SSH-2.0-x")):
        with Client(where) as client:
            assert client.line() == line
    assert server.conns and shell.conns


def test_max_connections_of_the_gateway(gateway, tcp_server):
    gw = gateway({"git": ssh(tcp_server(banner(b"SSH-2.0-x\r\n")))}, settings={"max_connections": 5})
    clients = [Client(gw.ports["ssh"]) for _ in range(12)]
    served = set()

    def look():
        for sock in select.select([client.sock for client in clients], [], [], 0)[0]:
            if sock.recv(100, socket.MSG_PEEK):
                served.add(sock)
        return len(served) >= 5
    until(look, lambda: f"{len(served)} are served")
    time.sleep(1)
    look()
    assert len(served) == 5
    assert [client.line() for client in clients if client.sock in served] == [b"SSH-2.0-x"] * 5
    for client in clients:
        client.close()
    gw.wait_idle()
    with Client(gw.ports["ssh"]) as client:
        assert client.line() == b"SSH-2.0-x"
