"""Names of servers: resolved without holding anything up, and again while running."""
import collections
import os
import socket
import time

import pytest

from harness.client import Client, http
from harness.dns import AAAA, SRV, DnsServer, can_isolate
from harness.http_server import HttpServer, response
from harness.ports import free_port, has_ipv6
from harness.server import banner
from harness.services import plain, tcp
from harness.wait import until

DOWN = float(os.environ.get("SALLYPORT_DNS_DOWN_SECONDS", "5"))  # the long tests take a minute

pytestmark = pytest.mark.skipif(not can_isolate(), reason="needs root and mount namespaces, to give the gateway a resolver of its own")


@pytest.fixture
def dns():
    server = DnsServer()
    yield server
    server.stop()


HOSTS = {"one": "127.0.0.21", "two": "127.0.0.22", "three": "127.0.0.23", "four": "127.0.0.24"}


def servers_at(port, *names):
    """Servers on one port, at an address each, that answer with their names."""
    return [HttpServer(lambda r, n=n: response(200, n, [("Connection", "close")]), host=HOSTS[n], port=port) for n in names]


@pytest.fixture
def pair():
    """Two servers on one port, at two addresses."""
    port = free_port()
    servers = servers_at(port, "one", "two")
    yield port, servers
    for server in servers:
        server.stop()


@pytest.fixture
def four():
    """Four of them."""
    port = free_port()
    servers = servers_at(port, *HOSTS)
    yield port, dict(zip(HOSTS, servers))
    for server in servers:
        server.stop()


def text(gw, host="web.example"):
    return http(gw.ports["http"], host=host).text


def answers(gw, count=40):
    """How many answers came from whom."""
    return collections.Counter(text(gw) for _ in range(count))


ONE_WORKER = {"workers": 1}  # each worker takes turns of its own


def near(found, expected):
    return found.keys() == expected.keys() and all(abs(found[name] - expected[name]) <= 2 for name in expected)


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


@pytest.mark.parametrize("how", ["silent", "servfail", "nxdomain"])
@pytest.mark.parametrize("resolve", ["first", "all"])
def test_dns_that_is_down_changes_nothing(gateway, dns, pair, how, resolve):
    """A resolver that fails for a while, or forgets a name, must not take a working service down."""
    port, _ = pair
    dns.zone["server.lab"] = ["127.0.0.21"]
    gw = gateway({"web": plain("web.example", f"server.lab:{port}", resolve=resolve)}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the first address")
    dns.down = how
    asked = dns.times("server.lab")
    end = time.monotonic() + DOWN
    while time.monotonic() < end:
        assert text(gw) == "one"
        time.sleep(0.1)
    until(lambda: dns.times("server.lab") > asked, "it is asked for meanwhile")
    dns.down, dns.zone["server.lab"] = None, ["127.0.0.22"]
    until(lambda: text(gw) == "two", "what DNS says when it is back", step=0.1)
    assert len([line for line in gw.lines if "cannot resolve" in line]) == 1, gw.log_text()


def test_an_answer_counts_for_its_ttl(gateway, dns, pair):
    port, _ = pair
    dns.ttl, dns.zone["server.lab"], dns.zone["other.lab"] = 1, ["127.0.0.21"], ["127.0.0.22"]
    dns.ttls["server.lab"] = 3600
    gw = gateway({"web": plain("web.example", f"server.lab:{port}"), "other": plain("other.example", f"other.lab:{port}")},
                 wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the address")
    until(lambda: dns.times("other.lab") >= 4, "a TTL of a second is over again and again")
    assert dns.times("server.lab") == 1


def test_each_address_is_a_server(gateway, dns, four):
    port, _ = four
    dns.zone["server.lab"] = [HOSTS["one"], HOSTS["two"]]
    gw = gateway({"web": plain("web.example", f"server.lab:{port}", resolve="all")}, wrapper=dns.wrapper(), settings=ONE_WORKER)
    until(lambda: set(answers(gw, 8)) == {"one", "two"}, "both addresses")
    assert near(answers(gw), {"one": 20, "two": 20})
    dns.zone["server.lab"] = [HOSTS["three"], HOSTS["two"], HOSTS["one"]]
    until(lambda: set(answers(gw, 9)) == {"one", "two", "three"}, "the one that came", step=0.1)
    assert near(answers(gw, 39), {"one": 13, "two": 13, "three": 13})
    dns.zone["server.lab"] = [HOSTS["four"], HOSTS["three"]]
    until(lambda: set(answers(gw, 8)) == {"three", "four"}, "without those that left", step=0.1)
    assert near(answers(gw), {"three": 20, "four": 20})


def test_a_connection_outlives_its_address(gateway, dns, tcp_server):
    """What left DNS gets nobody new; who is there already stays."""
    port = free_port()
    tcp_server(banner(b"SSH-first\r\n"), host="127.0.0.21", port=port)
    tcp_server(banner(b"SSH-other\r\n"), host="127.0.0.22", port=port)
    dns.zone["server.lab"] = ["127.0.0.21"]
    gw = gateway({"db": tcp("db", f"server.lab:{port}", resolve="all")}, listeners={"db": {}}, wrapper=dns.wrapper())

    def connect():
        client = Client(gw.ports["db"])
        return client, client.exactly(11)

    old, greeting = connect()
    assert greeting == b"SSH-first\r\n"
    dns.zone["server.lab"] = ["127.0.0.22"]
    until(lambda: connect()[1] == b"SSH-other\r\n", "the second address", step=0.1)
    old.send(b"still here")
    assert old.exactly(10) == b"still here"


def test_records_of_a_service_are_servers(gateway, dns, four):
    port, _ = four
    for name, host in HOSTS.items():
        dns.zone[f"{name}.lab"] = [host]
    dns.zone["_http._tcp.web.lab"] = [(10, 30, port, "one.lab"), (10, 10, port, "two.lab"), (20, 1, port, "three.lab")]
    gw = gateway({"web": plain("web.example", "_http._tcp.web.lab", resolve="srv", retries=0)}, wrapper=dns.wrapper(),
                 settings=ONE_WORKER)
    until(lambda: set(answers(gw, 8)) == {"one", "two"}, "the records of the first priority")
    assert near(answers(gw), {"one": 30, "two": 10})  # by their weights; nobody goes to a spare server
    dns.zone["_http._tcp.web.lab"] = [(10, 1, port, "two.lab"), (10, 1, port, "four.lab")]
    until(lambda: set(answers(gw, 8)) == {"two", "four"}, "a record that came, and one that left", step=0.1)
    assert near(answers(gw), {"two": 20, "four": 20})


def test_records_of_a_higher_number_are_spare_servers(gateway, dns, four):
    port, by_name = four
    for name, host in HOSTS.items():
        dns.zone[f"{name}.lab"] = [host]
    dns.zone["_http._tcp.web.lab"] = [(10, 1, port, "one.lab"), (20, 1, port, "two.lab")]
    gw = gateway({"web": plain("web.example", "_http._tcp.web.lab", resolve="srv")}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the first priority")
    assert set(answers(gw)) == {"one"}
    by_name["one"].stop()
    assert set(answers(gw)) == {"two"}
    dns.zone["_http._tcp.web.lab"] = [(20, 1, port, "two.lab"), (5, 1, port, "three.lab")]
    until(lambda: set(answers(gw, 4)) == {"three"}, "another record is the first now", step=0.1)


def test_a_record_gives_its_port_and_its_target_moves(gateway, dns, http_server):
    port, other = free_port(), free_port()
    http_server(lambda r: response(200, "one"), host="127.0.0.21", port=port)
    http_server(lambda r: response(200, "two"), host="127.0.0.22", port=port)
    http_server(lambda r: response(200, "three"), host="127.0.0.21", port=other)
    dns.zone["target.lab"] = ["127.0.0.21"]
    dns.zone["_http._tcp.web.lab"] = [(1, 0, port, "target.lab")]
    gw = gateway({"web": plain("web.example", "_http._tcp.web.lab", resolve="srv")}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the record")
    dns.zone["_http._tcp.web.lab"] = [(1, 0, other, "target.lab")]
    until(lambda: text(gw) == "three", "its port has changed", step=0.1)
    dns.zone["_http._tcp.web.lab"] = [(1, 0, port, "target.lab")]
    dns.zone["target.lab"] = ["127.0.0.22"]
    until(lambda: text(gw) == "two", "its target has moved", step=0.1)
    assert dns.times("_http._tcp.web.lab", SRV) >= 3


@pytest.fixture
def both():
    """One port: free on ::1, and a server on 127.0.0.1."""
    port = free_port()
    server = HttpServer(lambda r: response(200, "v4", [("Connection", "close")]), host="127.0.0.1", port=port)
    yield port
    server.stop()


@pytest.mark.skipif(not has_ipv6(), reason="needs ::1")
@pytest.mark.parametrize("dead", ["refuses", "is silent"])
def test_a_dead_ipv6_address_does_not_hold_up_a_living_ipv4(gateway, dns, both, dead):
    dns.zone["server.lab"], dns.ttl = ["::1", "127.0.0.1"], 30
    with socket.socket(socket.AF_INET6) as listener:
        waiting = []
        if dead == "is silent":  # its backlog is full: nothing comes back to a SYN
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(("::1", both))
            listener.listen(0)
            for _ in range(4):
                waiting.append(socket.socket(socket.AF_INET6))
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(("::1", both))
        gw = gateway({"web": plain("web.example", f"server.lab:{both}", retries=0)}, wrapper=dns.wrapper())
        until(lambda: dns.times("server.lab", AAAA), "the name is asked for")
        start = time.monotonic()
        assert text(gw) == "v4"
        assert (0.2 if waiting else 0) < time.monotonic() - start < 1  # IPv6 was tried first
        start = time.monotonic()
        for _ in range(5):
            assert text(gw) == "v4"
        assert time.monotonic() - start < 1  # and it is known by now which of the two lives
        for one in waiting:
            one.close()


def test_another_resolv_conf_is_taken_up(gateway, dns, pair):
    port, _ = pair
    dns.zone["server.lab"] = ["127.0.0.21"]
    gw = gateway({"web": plain("web.example", f"server.lab:{port}")}, wrapper=dns.wrapper())
    until(lambda: text(gw) == "one", "the first address")
    other = DnsServer({"server.lab": ["127.0.0.22"]})
    try:
        dns.resolv_conf(other.host)  # the file itself is mounted: it is written to, not replaced
        until(lambda: text(gw) == "two", "what the other server says", step=0.1)
    finally:
        other.stop()
