"""Reloads leave nothing behind: as much memory after 500 of them as after 10."""
import time

from harness.client import http
from harness.gateway import sanitized
from harness.http_server import response
from harness.reloading import reload
from harness.services import edge, plain, tcp
from harness.ports import free_port

SERVICES = 200


def test_memory_after_500_reloads(gateway, http_server, leaf, ca):
    server = http_server(lambda request: response(200, "x"))
    files = {f"s{n}": edge(f"s{n}.example", server, server, health="tcp") for n in range(SERVICES)}
    gw = gateway(files, certs={"c.pem": leaf("*.example", "s0.example")}, settings={"drain_timeout": "1s"})
    tls = ca.client_context()

    def round_of(n):
        gw.config.service(f"s{n % 50}", edge(f"s{n % 50}.example", server, retries=n % 7))
        gw.config.service("new", tcp(f"127.0.0.1:{free_port()}", server) if n % 2 else plain("new.example", server))
        if n % 3 == 0:
            gw.config.cert("c.pem", ca.leaf("*.example", "s0.example"))
        reload(gw)
        for host in ("s0.example", f"s{n % SERVICES}.example"):
            try:
                http(gw.ports["https"], host=host, tls=tls)
            except OSError:
                pass  # a name without a certificate
    for n in range(10):
        round_of(n)
    time.sleep(2)
    before = gw.memory()
    for n in range(10, 500):
        round_of(n)
    time.sleep(3)
    after = gw.memory()
    print(f"{before >> 10} KiB after 10 reloads, {after >> 10} KiB after 500")
    if not sanitized():
        assert after < before * 1.05 + (1 << 20), (before, after)
