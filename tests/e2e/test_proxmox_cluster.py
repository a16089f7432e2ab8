"""A Proxmox cluster as its users meet it: TLS passed through, a session belongs to its node, few workers on each."""
import concurrent.futures
import threading

import pytest

from harness import websocket
from harness.certs import client_context
from harness.client import Client
from harness.services import passthrough
from harness.standins import ProxmoxNode
from harness.wait import until

WORKERS = 6
CLIENTS = [f"127.0.1.{n}" for n in range(1, 13)]


class Node(ProxmoxNode):
    """With few workers, each of which serves one connection, and sessions that other nodes do not know."""

    def __init__(self, node):
        self.most = 0
        self.lock_of_count = threading.Lock()
        super().__init__(node)

    def handler(self, conn):
        with self.lock_of_count:
            self.most = max(self.most, self.open_now())
        super().handler(conn)


class Session:
    """A client's connection, from its own address."""

    def __init__(self, gw, source):
        self.client = Client(gw.ports["https"], tls=client_context(), name="pve.example.tld", source=source, timeout=60)

    def ask(self, method, target, body=b"", headers=()):
        return self.client.request(method, target, "pve.example.tld", headers, body)

    def log_in(self):
        reply = self.ask("POST", "/api2/json/access/ticket", b"username=root@pam&password=secret")
        assert reply.status == 200
        self.headers = [("Cookie", "PVEAuthCookie=PVE:root@pam:TICKET"), ("CSRFPreventionToken", "token")]
        return self

    def node(self):
        import json
        return json.loads(self.ask("GET", "/api2/json/version", headers=self.headers).body)["data"]["node"]

    def console(self):
        import json
        reply = self.ask("POST", "/api2/json/nodes/x/qemu/100/vncproxy", headers=self.headers)
        data = json.loads(reply.body)["data"]
        upgraded = websocket.upgrade(self.client, f"/api2/json/nodes/x/qemu/100/vncwebsocket?port=5900&vncticket={data['ticket']}",
                                     "pve.example.tld", self.headers[:1])
        assert upgraded.status == 101, upgraded
        self.on = data["node"]
        return self

    def speaks(self):
        self.client.send(websocket.frame(b"key", True))
        return websocket.read_frame(self.client)[1] == b"key"

    def close(self):
        self.client.close()


@pytest.fixture
def cluster():
    nodes = [Node(f"pve{n}") for n in (1, 2, 3)]
    yield nodes
    for node in nodes:
        node.stop()
        assert not node.errors, node.errors


def start(gateway, nodes):
    servers = [{"address": node.address, "name": node.node, "max_connections": WORKERS} for node in nodes]
    service = passthrough("pve.example.tld", *servers, preset="proxmox", queue={"size": 100, "timeout": "40s"},
                          health={"interval": "200ms"})
    del service["mode"]  # the preset's
    return gateway({"pve": service})


def test_logins_queue_and_none_is_lost(gateway, cluster):
    gw = start(gateway, cluster)
    consoles = [Session(gw, source).log_in().console() for source in CLIENTS]
    assert {session.on for session in consoles} == {"pve1", "pve2", "pve3"}

    def visit(source):
        session = Session(gw, source).log_in()
        try:
            return session.node()
        finally:
            session.close()
    # Twelve consoles leave six places: 96 logins share them.
    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        seen = list(pool.map(visit, CLIENTS * 8))
    own = {source: session.on for source, session in zip(CLIENTS, consoles)}
    assert seen == [own[source] for source in CLIENTS * 8]  # each on the node of its client
    assert all(session.speaks() for session in consoles)
    for session in consoles:
        session.close()
    assert all(node.most <= WORKERS for node in cluster), [node.most for node in cluster]


def test_a_dead_node_s_clients_move_once(gateway, cluster):
    gw = start(gateway, cluster)
    consoles = {source: Session(gw, source).log_in().console() for source in CLIENTS}
    dead = cluster[0]
    moving = [source for source, session in consoles.items() if session.on == dead.node]
    staying = [source for source in CLIENTS if source not in moving]
    assert moving and staying
    dead.kill()
    gw.wait_log("is down: ")
    again = {source: Session(gw, source).log_in().console() for source in moving}
    homes = {source: session.on for source, session in again.items()}
    assert dead.node not in homes.values()
    assert all(consoles[source].speaks() for source in staying)  # nobody else was disturbed
    for source in moving:
        again[source].close()
        more = Session(gw, source).log_in()
        assert more.node() == homes[source]
        more.close()
    for source in staying:
        consoles[source].close()
    until(lambda: all(node.most <= WORKERS for node in cluster[1:]), lambda: [node.most for node in cluster])
