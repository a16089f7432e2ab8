"""Reloads leave nothing behind: as much memory after 500 of them as after 10."""
import time

from harness.client import http
from harness.gateway import sanitized
from harness.http_server import HttpServer, response
from harness.reloading import reload
from harness.ports import free_port
from harness.services import edge, plain, tcp

SERVICES = 200
NAMES = [f"s{n}.example" for n in range(SERVICES)]


def test_memory_after_500_reloads(gateway, leaf, ca):
    server, other = (HttpServer(lambda request: response(200, "x")) for _ in range(2))
    files = {f"s{n}": edge(f"s{n}.example", server, other, health="tcp") for n in range(SERVICES)}
    gw = gateway(files, certs={"c.pem": leaf(*NAMES)}, settings={"drain_timeout": "1s"})
    tls = ca.client_context()

    def round_of(n):
        gw.config.service(f"s{n % 50}", edge(f"s{n % 50}.example", server, retries=n % 7))
        gw.config.service("new", tcp(f"127.0.0.1:{free_port()}", server) if n % 2 else plain("new.example", server))
        if n % 3 == 0:
            gw.config.cert("c.pem", ca.leaf(*NAMES))
        reload(gw)
        assert http(gw.ports["https"], host=f"s{n % SERVICES}.example", tls=tls).status == 200
    # What is kept for a service is made with its first use, on each worker.
    for n in range(SERVICES * 6):
        assert http(gw.ports["https"], host=f"s{n % SERVICES}.example", tls=tls).status == 200
    for n in range(10):
        round_of(n)
    time.sleep(2)
    before = gw.memory()
    for n in range(10, 500):
        round_of(n)
        if n % 100 == 99:
            print(f"{gw.memory() >> 10} KiB after {n + 1}")
    time.sleep(3)
    after = gw.memory()
    print(f"{before >> 10} KiB after 10 reloads, {after >> 10} KiB after 500")
    if not sanitized():
        assert after < before * 1.05, (before, after)
    server.stop()
    other.stop()
