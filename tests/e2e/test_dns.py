"""Names of servers: resolved without holding anything up, and again while running."""
import time

import pytest

from harness.client import http
from harness.dns import DnsServer, can_isolate
from harness.http_server import HttpServer, response
from harness.ports import free_port
from harness.services import plain
from harness.wait import until

pytestmark = pytest.mark.skipif(not can_isolate(), reason="needs root and mount namespaces, to give the gateway a resolver of its own")


@pytest.fixture
def dns():
    server = DnsServer()
    yield server
    server.stop()


@pytest.fixture
def pair():
    """Two servers on one port, at two addresses."""
    port = free_port()
    servers = [HttpServer(lambda r, n=n: response(200, n, [("Connection", "close")]), host=host, port=port)
               for n, host in (("one", "127.0.0.21"), ("two", "127.0.0.22"))]
    yield port, servers
    for server in servers:
        server.stop()


def text(gw, host="web.example"):
    return http(gw.ports["http"], host=host).text


def test_a_name_that_moves_is_followed(gateway, dns, pair):
    port, _ = pair
    dns.zone["server.lab"] = ["127.0.0.21"]
    gw = gateway({"web": plain("web.example", f"server.lab:{port}")}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the first address")
    dns.zone["server.lab"] = ["127.0.0.22"]
    until(lambda: text(gw) == "two", "the second address, after its TTL of 1 s", step=0.1)


def test_a_failed_connect_asks_again_at_once(gateway, dns, pair):
    port, servers = pair
    dns.zone["server.lab"], dns.ttl = ["127.0.0.21"], 30
    gw = gateway({"web": plain("web.example", f"server.lab:{port}")}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the first address")
    dns.zone["server.lab"] = ["127.0.0.22"]
    servers[0].stop()
    until(lambda: text(gw) == "two", "the second address, long before the TTL of 30 s", 20, 0.1)


def test_a_name_that_appears_later(gateway, dns, pair):
    port, _ = pair
    gw = gateway({"web": plain("web.example", f"server.lab:{port}")}, wrapper=dns.wrapper())
    assert http(gw.ports["http"], host="web.example").status == 503
    dns.zone["server.lab"] = ["127.0.0.21"]
    until(lambda: http(gw.ports["http"], host="web.example").status == 200, "the name is asked for again", 60, 0.2)


def test_a_resolver_that_does_not_answer_holds_nothing_up(gateway, dns, pair):
    port, servers = pair
    dns.zone["silent.lab"] = None
    start = time.monotonic()
    gw = gateway({"web": plain("web.example", servers[0]), "silent": plain("silent.example", f"silent.lab:{port}")}, wrapper=dns.wrapper())
    assert text(gw) == "one"
    assert time.monotonic() - start < 20
    assert http(gw.ports["http"], host="silent.example").status == 503
    assert text(gw) == "one"


def test_a_stop_does_not_wait_for_a_silent_resolver(gateway, dns, pair):
    """Lookups cannot be called off; these would take minutes."""
    port, servers = pair
    dns.zone["silent.lab"] = None
    gw = gateway({"web": plain("web.example", servers[0]), "silent": plain("silent.example", f"silent.lab:{port}")},
                 wrapper=dns.wrapper(), env={"RES_OPTIONS": "timeout:30 attempts:4"})
    assert text(gw) == "one"
    until(lambda: dns.asked, "a lookup")
    gw.signal()
    assert gw.process.wait(20) == 0
    gw.stopped = True


def test_a_name_that_goes_away_keeps_its_last_address(gateway, dns, pair):
    """A resolver that fails for a while must not take a working service down."""
    port, _ = pair
    dns.zone["server.lab"] = ["127.0.0.21"]
    gw = gateway({"web": plain("web.example", f"server.lab:{port}")}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the first address")
    dns.zone["server.lab"] = None
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert text(gw) == "one"
        time.sleep(0.2)
