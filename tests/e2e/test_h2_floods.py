"""Clients that cost much and bring nothing: they lose their connection, with one line and one count; nobody else notices."""
import struct
import threading

import pytest

from harness.gateway import sanitized
from harness.h2_client import Flood, FrameClient, H2Client
from harness.h2_endpoint import frame
from harness.h2_stream import Code
from harness.h2_server import H2Server
from harness.h2_ways import H1Client
from harness.metrics import metrics
from harness.http_server import response
from harness.services import plain
from harness.wait import PATIENCE, until

HOST = "test.example"
ACK, END_STREAM, END_HEADERS = 1, 1, 4
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE = 0, 1, 2, 3, 4, 6, 8, 9, 16


def in_pieces(frames, count=100):
    """Groups of frames, so that a flood is one."""
    group = []
    for one in frames:
        group.append(one)
        if len(group) == count:
            yield b"".join(group)
            group = []
    yield b"".join(group)


def requests(client, count, **kw):
    return (client.request(**kw) for _ in range(count))


def rapid_reset(client):
    return (head + frame(RST_STREAM, 0, number, struct.pack("!I", Code.CANCEL)) for number, head in requests(client, 10_000))


def reset_when_it_hurts(client):
    """The request is whole, and the answer is on its way."""
    return (head + frame(RST_STREAM, 0, number, struct.pack("!I", Code.NO_ERROR)) for number, head in requests(client, 10_000, target="/slow"))


def made_us_reset(client):
    """Each stream is reset by the gateway: a field that may not be."""
    return (head for _, head in requests(client, 10_000, fields=[("connection", "close")]))


def made_us_reset_by_windows(client):
    return (head + frame(WINDOW_UPDATE, 0, number, struct.pack("!I", 2 ** 31 - 1)) for number, head in requests(client, 10_000, target="/slow"))


def settings(client):
    return (frame(SETTINGS, 0, 0) for _ in range(50_000))


def changing_settings(client):
    return (frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 1000 + n % 1000)) for n in range(50_000))


def ping(client):
    return (frame(PING, 0, 0, b"flooding") for _ in range(50_000))


def empty_data(client):
    number, head = client.request(flags=END_HEADERS, method="POST", target="/slow")
    yield head
    for _ in range(50_000):
        yield frame(DATA, 0, number)


def padding_alone(client):
    """DATA that is nothing but padding."""
    number, head = client.request(flags=END_HEADERS, method="POST", target="/slow")
    yield head
    for _ in range(50_000):
        yield frame(DATA, 8, number, b"\x01\0")


def window_updates(client):
    return (frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", 1)) for _ in range(50_000))


def priority(client):
    return (frame(PRIORITY, 0, 1 + 2 * (n % 100), struct.pack("!IB", 0, 15)) for n in range(50_000))


def priority_updates(client):
    return (frame(PRIORITY_UPDATE, 0, 0, struct.pack("!I", 1 + 2 * (n % 50)) + b"u=1") for n in range(50_000))


def unknown(client):
    return (frame(0x77, 0, 0, b"whatever") for _ in range(50_000))


def continuation(client):
    """One field section without end (CVE-2024-27316 and its like)."""
    number, head = client.request(flags=END_STREAM)
    yield head
    block = client.encoder.encode([("x-more", "1")])
    for _ in range(50_000):
        yield frame(CONTINUATION, 0, number, block)


def empty_continuation(client):
    number, head = client.request(flags=END_STREAM)
    yield head
    for _ in range(50_000):
        yield frame(CONTINUATION, 0, number)


CALM = (rapid_reset, reset_when_it_hurts, made_us_reset, made_us_reset_by_windows, settings, changing_settings, ping, empty_data, padding_alone,
        window_updates, priority, priority_updates, unknown)


class Flooded:
    """A cleartext gateway, and a client that is there before, during and after."""

    def __init__(self, gateway):
        self.go = threading.Event()
        self.server = H2Server(lambda r: response(200, b"late") if r.target == "/slow" and self.go.wait(PATIENCE) else response(200, b"fine"))
        self.gw = gateway({"test": plain(HOST, self.server, server_protocol="h2")}, settings={"workers": 1})
        self.memory = self.gw.memory()
        self.bystander = H2Client(self.gw.ports["http"])
        self.open = self.bystander.open("GET", "/slow")
        assert self.bystander.request().body == b"fine"

    def flood(self, attack, limit=None):
        """The GOAWAY codes the attacker gets."""
        with FrameClient(self.gw.ports["http"]) as client:
            flood = Flood(client, in_pieces(attack(client)))
            assert self.bystander.request().body == b"fine"
            codes = [f.error_code for f in flood.goaways(PATIENCE)]
            self.client = client
        return codes

    def unharmed(self):
        for _ in range(10):
            assert self.bystander.request().body == b"fine"
        with H1Client(self.gw.ports["http"]) as other:
            assert other.request().body == b"fine"
        self.go.set()
        assert self.open.whole().body == b"late" and not self.bystander.goaways
        self.bystander.close()
        assert sanitized() or self.gw.memory("VmHWM") - self.memory < 32 << 20

    def close(self):
        self.go.set()
        self.server.stop()
        assert not self.server.errors, self.server.errors


@pytest.fixture
def flooded(gateway):
    one = Flooded(gateway)
    yield one
    one.close()


@pytest.mark.parametrize("attack", CALM, ids=lambda f: f.__name__)
def test_a_flood_ends_its_own_connection_and_no_other(flooded, attack):
    codes = flooded.flood(attack)
    assert codes and codes[-1] == Code.ENHANCE_YOUR_CALM
    flooded.unharmed()
    assert metrics(flooded.gw)['sallyport_rejected_total{reason="flood"}'] == 1
    lines = [r for r in flooded.gw.accesses() if r["end"] == "limit" and not r.get("method")]
    assert lines and lines[0]["client"].startswith("127.0.0.1") and lines[0]["reason"], "the connection has its line"


@pytest.mark.parametrize("attack", [continuation, empty_continuation], ids=lambda f: f.__name__)
def test_a_field_section_without_end(flooded, attack):
    codes = flooded.flood(attack)
    assert codes and codes[-1] in (Code.ENHANCE_YOUR_CALM, Code.PROTOCOL_ERROR, Code.INTERNAL_ERROR)
    flooded.unharmed()


def test_ten_thousand_rapid_resets_reach_the_server_only_in_part(flooded):
    """And leave nothing behind there."""
    flooded.flood(rapid_reset)
    flooded.unharmed()
    streams = [s for s in flooded.server.streams if s.request.target == "/"]
    assert len(streams) < 1500
    until(lambda: all(s.sent_end or s.reset_code is not None or s.gone for s in streams), "each stream at the server is over")
    flooded.gw.wait_idle(slack=2)


def test_an_hpack_bomb(flooded):
    """A field of four kilobytes in the table, and a section of sixteen thousand references to it: 64 MiB for 16 KiB."""
    with FrameClient(flooded.gw.ports["http"]) as client:
        client.send(client.request(fields=[("x-bomb", "b" * 3900)])[1])
        for _ in range(5):
            number = client.next_id
            client.next_id += 2
            block = client.head() + b"\xbe" * 16_000  # 62, the newest entry of the table
            client.send(frame(HEADERS, END_STREAM | END_HEADERS, number, block))
        until(lambda: client.receive() is False or client.goaways() or len(client.of("HeadersFrame") + client.of("RstStreamFrame")) >= 6,
              "its answers")
        assert set(client.statuses().values()) <= {200, 431}
        assert not client.goaways() or client.goaways()[0].error_code in (Code.ENHANCE_YOUR_CALM, Code.COMPRESSION_ERROR)
    flooded.unharmed()
    assert len([r for r in flooded.server.requests if r.get("x-bomb")]) <= 1, "none of them went on"


def test_a_table_that_is_resized_for_nothing(flooded):
    """Size updates, as many as a section holds."""
    with FrameClient(flooded.gw.ports["http"]) as client:
        for _ in range(50):
            number = client.next_id
            client.next_id += 2
            client.send(frame(HEADERS, END_STREAM | END_HEADERS, number, b"\x20" * 4000 + client.head()))
        try:
            until(lambda: client.receive() is False or client.goaways() or len(client.of("HeadersFrame")) >= 50, "its answers")
        except ConnectionError:
            pass
    flooded.unharmed()


def test_many_connections_that_say_nothing_more(gateway):
    """A preface each, and then silence: they end, and cost little meanwhile."""
    server = H2Server()
    gw = gateway({"test": plain(HOST, server, server_protocol="h2")},
                 settings={"defaults": {"timeouts": {"keep_alive": "1s", "request": "1s"}}})
    before = gw.memory()
    clients = [FrameClient(gw.ports["http"]) for _ in range(200)]
    for client in clients:
        client.receive()
    grown = gw.memory() - before
    assert sanitized() or grown < 200 * (64 << 10), f"{grown // 200} bytes a connection"
    for client in clients:
        client.until_end(PATIENCE)
        client.client.close()
    gw.wait_idle()
    server.stop()


def test_an_ordinary_busy_client_is_no_flood(flooded):
    """Many requests, each small; window updates, pings and some resets beside them."""
    with H2Client(flooded.gw.ports["http"]) as client:
        for n in range(600):
            if n % 50 == 0:
                client.ping()
                one = client.open("GET", "/slow")
                one.reset()
            assert client.request("POST", body=b"x" * 10).body == b"fine"
        assert not client.goaways
    flooded.unharmed()
    assert metrics(flooded.gw)['sallyport_rejected_total{reason="flood"}'] == 0
