"""Every folder of examples/: loaded as it is by `check`, and run with stand-in servers; only addresses and ports are changed."""
import json
import os
import shutil
import struct

import pytest
import yaml

from harness import standins, websocket
from harness.certs import client_context
from harness.client import Client, http
from harness.gateway import ROOT, Config
from harness.http_server import HttpServer, header, response
from harness.load import refuses
from harness.ports import free_port
from harness.real import Prometheus, curl
from harness.sshd import Sshd
from harness.wait import until
from test_ssh import clone_change_push

EXAMPLES = os.path.join(ROOT, "examples")
FOLDERS = ["databases", "git", "grpc", "home-assistant", "immich", "kubernetes", "mail", "nextcloud", "prometheus", "proxmox", "traefik", "vault"]


def conf_files(folder):
    for base, _, names in os.walk(os.path.join(EXAMPLES, folder, "conf.d")):
        for name in sorted(names):
            yield os.path.relpath(os.path.join(base, name), os.path.join(EXAMPLES, folder))


def read(folder, name):
    with open(os.path.join(EXAMPLES, folder, name)) as f:
        return f.read()


@pytest.fixture
def example(gateway):
    """example("mail", {"10.0.0.71:25": server, …}): the folder, running. The texts on the left become the servers' addresses."""
    def start(folder, addresses, certs=None, settings=None):
        made = Config(certs=certs)
        wanted = yaml.safe_load(read(folder, "gateway.yaml")) if os.path.exists(os.path.join(EXAMPLES, folder, "gateway.yaml")) else {}
        for name, options in wanted.get("listeners", {}).items():
            made.ports[name] = free_port()
            wanted["listeners"][name] = {**options, "bind": f"127.0.0.1:{made.ports[name]}"}
        listeners = {**made.settings["listeners"], **wanted.pop("listeners", {})}
        made.write("gateway.yaml", {**made.settings, **wanted, "listeners": listeners, **(settings or {})})
        left = set(addresses)
        for name in conf_files(folder):
            text = read(folder, name)
            for old, new in addresses.items():
                if f'"{old}"' in text:
                    left.discard(old)
                    text = text.replace(f'"{old}"', f'"{getattr(new, "address", new)}"')
            made.write(name, text)
        assert not left, f"the example does not hold {left}"
        return gateway(config=made)
    return start


def test_every_folder_is_tested():
    assert sorted(n for n in os.listdir(EXAMPLES) if os.path.isdir(os.path.join(EXAMPLES, n))) == FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_check(config, server_ca, folder):
    made = config()
    shutil.rmtree(made.dir)
    shutil.copytree(os.path.join(EXAMPLES, folder), made.dir)
    for name in ("nextcloud-ca.pem", "grpc-ca.pem"):  # what their READMEs ask for
        made.write("certs/" + name, open(server_ca.cert).read())
    done = made.check()
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "error" not in said, said
    lines = read(folder, "README.md").strip().splitlines()
    assert 5 <= len(lines) <= 20 and lines[0].startswith("# ")


def test_proxmox(example):
    nodes = [standins.ProxmoxNode(f"pve{n}") for n in (1, 2, 3)]
    gw = example("proxmox", {f"10.0.0.2{n}:8006": node for n, node in zip((1, 2, 3), nodes)})
    used = set()
    for last in range(2, 12):
        def connect():
            return Client(gw.ports["https"], tls=client_context(), name="pve.example.tld", source=f"127.0.0.{last}")

        def ask(method, target, headers=(), body=b""):
            with connect() as client:
                assert client.sock.getpeercert(binary_form=True) in [node.leaf.der for node in nodes]
                return client.request(method, target, "pve.example.tld", headers, body)
        login = json.loads(ask("POST", "/api2/json/access/ticket", body=b"username=root@pam&password=secret").body)["data"]
        cookie = ("Cookie", "PVEAuthCookie=" + login["ticket"])
        console = json.loads(ask("POST", "/api2/json/nodes/pve1/qemu/100/vncproxy",
                                 [cookie, ("CSRFPreventionToken", login["CSRFPreventionToken"])], b"websocket=1").body)["data"]
        used.add(console["node"])
        with connect() as client:
            reply = websocket.upgrade(client, "/api2/json/nodes/pve1/qemu/100/vncwebsocket?port=5900&vncticket=" + console["ticket"],
                                      "pve.example.tld", [cookie])
            assert reply.status == 101, "the console must reach the node that gave out the ticket"
            client.send(websocket.frame(b"keys" * 1000, True))
            assert websocket.read_frame(client) == (2, b"keys" * 1000)
    assert len(used) > 1, "clients are spread over the nodes"
    assert http(gw.ports["http"], host="pve.example.tld").get("location").startswith("https://pve.example.tld")
    for node in nodes:
        node.stop()
        assert not node.errors


def test_kubernetes(example, server_ca):
    nodes = [standins.KubernetesApi(server_ca, f"cp{n}") for n in (1, 2, 3)]
    gw = example("kubernetes", {f"10.0.0.3{n}:6443": node for n, node in zip((1, 2, 3), nodes)})
    admin, seen = server_ca.leaf("admin"), set()
    for port, name in ((gw.ports["k8s"], "localhost"), (gw.ports["https"], "k8s.example.tld")):
        for _ in range(6):
            version = json.loads(http(port, "/version", name, tls=server_ca.client_context(admin)).body)
            assert version["user"] == "admin"
            seen.add(version["node"])
        with Client(port, tls=server_ca.client_context(admin), name=name) as client:
            reply = client.request("GET", "/api/v1/pods?watch=true", name)
            assert [json.loads(line)["type"] for line in reply.body.splitlines()] == ["ADDED"] * 3
            reply = client.request("POST", "/api/v1/namespaces/a/pods/b/exec?command=sh&stdin=true", name,
                                   [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")])
            assert (reply.status, reply.get("upgrade")) == (101, "SPDY/3.1")
            assert client.send(b"\x80\x03 stream").exactly(9) == b"\x80\x03 stream"
        assert http(port, "/version", name, tls=server_ca.client_context()).status == 401
    assert len(seen) > 1
    nodes[0].stop()  # a node that is down is passed over
    until(lambda: refuses(nodes[0].port), "its port refuses")
    for _ in range(6):
        assert http(gw.ports["k8s"], "/version", "localhost", tls=server_ca.client_context(admin)).status == 200
    for node in nodes[1:]:
        node.stop()


def test_traefik(example, server_ca):
    a = standins.Traefik(server_ca, "shop.example.tld", "blog.example.tld")
    b = standins.Traefik(server_ca, "wiki.example.tld", "photos.example.tld")
    other = standins.Traefik(server_ca, *a.names)
    gw = example("traefik", {"10.0.1.10:443": a, "10.0.1.11:443": other, "10.0.2.10:443": b})
    for cluster in (a, b):
        for name in cluster.names:
            reply = http(gw.ports["https"], host=name, tls=server_ca.client_context(), source="127.0.0.44")
            assert (reply.status, reply.text) == (200, "127.0.0.44")
    with pytest.raises(OSError, match="UNRECOGNIZED_NAME"):
        http(gw.ports["https"], host="admin.example.tld", tls=client_context())
    for cluster in (a, b, other):
        cluster.stop()


def test_git(example, leaf, ca, tmp_path):
    sshd, web = Sshd(), HttpServer()
    gw = example("git", {"10.0.0.41:2222": sshd, "10.0.0.41:3000": web}, certs={"git.pem": leaf("git.example.tld")})
    clone_change_push(sshd, gw.ports["ssh"], tmp_path)
    reply = http(gw.ports["https"], "/user/repo", "git.example.tld", tls=ca.client_context())
    assert header(reply, "x-forwarded-proto") == "https" and header(reply, "host") == "git.example.tld"
    sshd.stop()
    web.stop()


def test_vault(example, server_ca):
    nodes = [standins.Vault(server_ca, n) for n in (1, 2, 3)]
    gw = example("vault", {f"10.0.0.5{n}:8200": node for n, node in zip((1, 2, 3), nodes)})
    for _ in range(3):
        reply = http(gw.ports["https"], "/v1/sys/health", "vault.example.tld", tls=server_ca.client_context(), headers={"X-Vault-Token": "s.x"})
        assert json.loads(reply.body)["token"] == "s.x"
    for node in nodes:
        node.stop()


def test_prometheus(example, leaf, ca):
    server = Prometheus()
    gw = example("prometheus", {"10.0.0.61:9090": server}, certs={"p.pem": leaf("prometheus.example.tld")})
    port = gw.ports["https"]
    out = curl("--http1.1", "-f", "--cacert", ca.cert, "--resolve", f"prometheus.example.tld:{port}:127.0.0.1",
               f"https://prometheus.example.tld:{port}/api/v1/status/buildinfo")
    assert json.loads(out)["status"] == "success"
    server.stop()


def test_nextcloud(example, leaf, ca, server_ca):
    server = HttpServer(lambda r: response(200 if r.target == "/status.php" else 201, str(len(r.body)),
                                           [("Server", "Apache"), ("X-Powered-By", "PHP"), ("DAV", "1")]),
                        tls=server_ca.leaf("nextcloud.internal").server_context())
    gw = example("nextcloud", {"10.0.0.14:443": server},
                 certs={"cloud.pem": leaf("cloud.example.tld"), "nextcloud-ca.pem": open(server_ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="cloud.example.tld") as client:
        for method in ("PUT", "MKCOL", "PROPFIND", "MOVE"):
            reply = client.request(method, "/remote.php/dav/files/a/b", "cloud.example.tld", body=b"x" * 3_000_000)
            assert (reply.status, reply.text, reply.get("dav")) == (201, "3000000", "1")
            assert not reply.get("server") and not reply.get("x-powered-by")
    request = next(r for r in server.requests if r.method == "PUT")
    assert request.get("x-forwarded-proto") == "https" and request.get("host") == "cloud.example.tld"
    assert b"nextcloud.internal" in request.conn.hello
    server.stop()


def test_immich(example, leaf, ca):
    server = standins.Immich()
    gw = example("immich", {"10.0.0.15:2283": server}, certs={"photos.pem": leaf("photos.example.tld")})
    trust, port = ca.client_context(), gw.ports["https"]
    with Client(port, tls=trust, name="photos.example.tld") as client:
        reply = client.request("POST", "/api/assets", "photos.example.tld", body=b"x" * 20_000_000)
        assert (reply.status, json.loads(reply.body)["size"]) == (201, 20_000_000)
    with Client(port, tls=trust, name="photos.example.tld") as client:
        assert websocket.upgrade(client, "/api/socket.io/?EIO=4&transport=websocket", "photos.example.tld").status == 101
        client.send(websocket.frame(b"2probe", True))
        assert websocket.read_frame(client) == (2, b"2probe")
    server.stop()


def test_home_assistant(example, leaf, ca):
    server = standins.HomeAssistant()
    gw = example("home-assistant", {"10.0.0.16:8123": server}, certs={"home.pem": leaf("home.example.tld")})
    trust, port = ca.client_context(), gw.ports["https"]
    assert http(port, host="home.example.tld", tls=trust, source="127.0.0.44").text == "127.0.0.44 https"
    with Client(port, tls=trust, name="home.example.tld") as client:
        assert websocket.upgrade(client, "/api/websocket", "home.example.tld").status == 101
        client.send(websocket.frame(b'{"type": "auth"}', True))
        assert websocket.read_frame(client) == (2, b'{"type": "auth"}')
    server.stop()


def test_grpc(example, leaf, ca, server_ca):
    import grpc
    from harness.grpc_server import GrpcClient, GrpcServer
    plain, secure = GrpcServer(), GrpcServer(server_ca.leaf("grpc.internal"))
    gw = example("grpc", {"10.0.0.91:50051": plain, "10.0.0.92:50051": secure},
                 certs={"grpc.pem": leaf("grpc.example.tld", "grpc-tls.example.tld"), "grpc-ca.pem": open(server_ca.cert).read()})
    for name, server in (("grpc.example.tld", plain), ("grpc-tls.example.tld", secure)):
        with GrpcClient(gw.ports["https"], name, ca.cert) as client:
            assert client.unary("Echo")(b"x" * 100_000, timeout=5) == b"x" * 100_000
            assert list(client.server_stream("Count")(b"50", timeout=5)) == [b"%d" % n for n in range(50)]
            assert client.client_stream("Sum")(iter([b"a" * 1000] * 50), timeout=5) == b"50000"
            assert list(client.bidi("Chat")(iter([b"one", b"two"]), timeout=5)) == [b"re: one", b"re: two"]
            with pytest.raises(grpc.RpcError) as refused:
                client.unary("Refuse")(b"", timeout=5)
            assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, "no")
        assert [call.method for call in server.calls] == ["Echo", "Count", "Sum", "Chat", "Refuse"]
    for server in (plain, secure):
        server.stop()


def test_mail(example, server_ca):
    tls = server_ca.leaf("mail.example.tld").server_context()
    servers = {"10.0.0.71:25": standins.Smtp(), "10.0.0.71:465": standins.Smtp(tls), "10.0.0.71:587": standins.Smtp(),
               "10.0.0.71:993": standins.Imaps(tls)}
    gw = example("mail", servers)
    trust = server_ca.client_context()
    for name, context in (("smtp", None), ("submissions", trust), ("submission", None)):
        with Client(gw.ports[name], tls=context, name="mail.example.tld" if context else None, source="127.0.0.55") as client:
            assert client.line().startswith(b"220 ")
            client.send("EHLO me\r\n")
            assert client.line() == b"250-mail.example.tld greets 127.0.0.55" and client.line() == b"250 STARTTLS"
            client.send(b"DATA\r\n")
            assert client.line().startswith(b"354")
            client.send(b"x" * 1_000_000 + b"\r\n.\r\n")
            assert client.line() == b"250 took 1000005"
            client.send(b"QUIT\r\n")
            assert client.line() == b"221 bye" and client.gone()
    with Client(gw.ports["imaps"], tls=trust, name="mail.example.tld", source="127.0.0.55") as client:
        assert client.line() == b"* OK IMAP4rev1 127.0.0.55"
        client.send(b"a NOOP\r\n")
        assert client.line() == b"a OK"
    for server in servers.values():
        server.stop()


def test_databases(example):
    postgres, mysql = standins.Postgres(), standins.MySql()
    ports = {":5432": free_port(), ":3306": free_port()}
    gw = example("databases", {"10.0.0.81:5432": postgres, "10.0.0.82:3306": mysql,
                               **{old: f"127.0.0.1:{new}" for old, new in ports.items()}})
    with Client(ports[":5432"]) as client:
        client.send(struct.pack("!II", 8, 80877103))
        assert client.exactly(1) == b"N"
        client.send(struct.pack("!II", 17, 196608) + b"user\0me\0\0")
        assert client.exactly(15)[:1] == b"R"
        client.send(b"Q" + struct.pack("!I", 13) + b"select 1\0")
        assert client.exactly(14)[5:] == b"select 1\0"
        client.send(b"X" + struct.pack("!I", 4))
        assert client.gone()
    with Client(ports[":3306"]) as client:
        size = int.from_bytes(client.exactly(4)[:3], "little")
        assert client.exactly(size).startswith(b"\x0a8.0.36\0")
        client.send(b"\x04\0\0\x01abcd")
        assert client.exactly(11)[3] == 2
    assert gw.access(service="mysql")["mode"] == "tcp"
    for server in (postgres, mysql):
        server.stop()
