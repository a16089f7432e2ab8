"""The real kubectl, by :6443 and by its name on 443, with its client certificate checked by the servers behind."""
import os
import time

import pytest

from harness.kubectl import ApiServer, Kubectl
from harness.services import passthrough

NAME = "k8s.example.tld"
IDLE = float(os.environ.get("SALLYPORT_WATCH_SECONDS", "4"))  # the long tests wait for two minutes


@pytest.fixture
def planes(server_ca):
    """Two control planes."""
    servers = [ApiServer(server_ca, NAME, "kubernetes") for _ in range(2)]
    yield servers
    for server in servers:
        server.go.set()
        server.stop()
        assert not server.errors, server.errors


def test_a_watch_that_is_idle_lives_on(gateway, planes, server_ca):
    user = server_ca.leaf("admin.example", cn="kubernetes-admin")
    gw = gateway({"name": passthrough(NAME, *planes, preset="kubernetes-api"),
                  "port": passthrough("*", *planes, preset="kubernetes-api", listen="k8s")}, listeners={"k8s": {}})
    ways = {"port": Kubectl(gw.config.dir, f"https://127.0.0.1:{gw.ports['k8s']}", server_ca, user),
            "sni": Kubectl(gw.config.dir, f"https://localhost:{gw.ports['https']}", server_ca, user, tls_server_name=NAME)}
    for kubectl in ways.values():
        assert "first" in kubectl.run("get", "pods")
    watches = [kubectl.start("get", "pods", "--watch", "--request-timeout=0") for kubectl in ways.values()]
    seen = 0
    end = time.monotonic() + 60
    while seen < len(watches):
        seen += sum(plane.watching.acquire(timeout=0.2) for plane in planes)
        assert time.monotonic() < end, [watch.poll() for watch in watches]
    time.sleep(IDLE)  # what is tested: nothing is said, and nothing is cut
    assert all(watch.poll() is None for watch in watches)
    for plane in planes:
        plane.go.set()
    for watch in watches:
        line = watch.stdout.readline() + watch.stdout.readline() + watch.stdout.readline()
        assert "second" in line, line
        watch.kill()
        watch.communicate()
    assert {user for plane in planes for user in plane.users} == {"kubernetes-admin"}
