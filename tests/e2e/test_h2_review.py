"""Corners of HTTP/2: ends that meet other ends, limits that meet other limits."""
import contextlib
import ssl
import time

import pytest

from harness.client import Client
from harness.h2_client import PREFACE, FrameClient, H2Client
from harness.h2_endpoint import Setting
from harness.h2_frames import frame, settings
from harness.h2_server import respond
from harness.h2_sockets import FIELDS, accept, sockets  # noqa: F401
from harness.http_server import response
from harness.metrics import metrics
from harness.services import edge
from harness.wait import until

HOST = "test.example"


def client_of(gw, ca, **kw):
    return H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST, **kw)


# --- ends

@pytest.mark.parametrize("how", ["reset", "broken", "stop"])
def test_a_websocket_that_is_over_for_its_client_only(sockets, how):
    """Its stream is closed, and what it has sent waits for the server, when its connection ends: one line, nothing left."""
    def answer(request):
        accept(request)
        request.stream.send(b"", end=True)
        request.conn.wait_gone()
    sockets.start("edge", "h2", answer, settings={Setting.ENABLE_CONNECT_PROTOCOL: 1, Setting.INITIAL_WINDOW_SIZE: 0})
    client = sockets.h2()
    one = client.connect(headers=FIELDS)
    assert one.answer().status == 200
    assert one.rest() == b"" and one.ended
    one.send(bytes(1000), end=True)
    client.ping()
    if how == "reset":
        client.reset()
    elif how == "broken":
        client.endpoint.put(b"\x00\x00\x01\x06\x00\x00\x00\x00\x00?")  # a PING of one byte
        client.wait_lost()
    else:
        sockets.gw.signal()
    line = sockets.gw.access(path="/ws", timeout=15)
    assert line["end"] == {"reset": "client_cut", "broken": "bad_request", "stop": "drain"}[how] and line["bytes_in"] == 1000
    assert len([a for a in sockets.gw.accesses() if a.get("path") == "/ws"]) == 1
    client.close()


def test_a_head_that_does_not_come_is_a_timeout_and_no_flood(gateway, h2_server, leaf, ca):
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2", timeouts={"request": "1s"})}, certs={"t.pem": leaf(HOST)},
                 settings={"defaults": {"timeouts": {"request": "1s"}}})
    with FrameClient(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST) as client:
        _, data = client.request(flags=1)  # no END_HEADERS
        client.send(data)
        assert client.until_end()
    assert gw.access(reason="request head timed out")["end"] == "client_timeout"
    assert {line["end"] for line in gw.accesses()} == {"client_timeout"}
    found = metrics(gw)
    assert found['sallyport_rejected_total{reason="timeout"}'] == 1
    assert not found.get('sallyport_rejected_total{reason="flood"}') and not found.get('sallyport_rejected_total{reason="bad_request"}')


def test_each_head_has_its_own_time(gateway, h2_server, leaf, ca):
    """One that begins in the same bytes in which another ends is not the rest of that one."""
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)},
                 settings={"defaults": {"timeouts": {"request": "3s"}}})

    def head(client):
        number, block = client.next_id, client.head()
        client.next_id += 2
        return frame(1, 1, number, block[:5]), frame(9, 4, number, block[5:])  # HEADERS and CONTINUATION
    with FrameClient(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST) as client:
        begin, end = head(client)
        client.send(begin)
        time.sleep(2)
        begin, next_end = head(client)
        client.send(end + begin)
        time.sleep(2)
        client.send(next_end)
        while len(client.statuses()) < 2:
            assert client.receive(), f"the gateway ended the connection: {client.goaways()}"
        assert client.statuses() == {1: 200, 3: 200}


def test_a_head_that_is_cut_off_is_no_bad_request(gateway, h2_server, leaf, ca):
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    client = FrameClient(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST)
    _, data = client.request(flags=1)
    client.send(data)
    client.receive()
    client.client.close()
    assert gw.access(sni=HOST)["end"] in ("client_closed", "client_cut")
    assert not metrics(gw).get('sallyport_rejected_total{reason="bad_request"}')


def test_an_error_reply_has_the_clients_time_from_when_it_is_there(gateway, h2_server, leaf, ca):
    """Not from when the request came: a 504 to a client whose window is closed for a moment would be cut at once."""
    server = h2_server(lambda request: request.conn.wait_gone() and None)
    gw = gateway({"test": edge(HOST, server, server_protocol="h2", timeouts={"server": "5s", "client": "3s"})}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca, window=0) as client:
        one = client.open("GET", "/")
        assert one.answer().status == 504
        began = time.monotonic()
        one.wait_reset()
        assert time.monotonic() - began > 2


def test_a_handshake_during_which_the_gateway_stops(gateway, h2_server, leaf, ca):
    """The connection that comes of it is served, and told that it is the last."""
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)},
                 settings={"drain_timeout": "60s", "defaults": {"timeouts": {"request": "60s"}}})
    raw = Client(gw.ports["https"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ca.client_context(alpn=["h2"]).wrap_bio(incoming, outgoing, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    raw.send(outgoing.read())
    incoming.write(raw.sock.recv(65536))
    gw.signal()
    gw.wait_log("stop")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            incoming.write(raw.sock.recv(65536))
    raw.send(outgoing.read())
    tls.write(PREFACE + settings())
    raw.send(outgoing.read())
    assert gw.process.wait(20) == 0
    raw.close()


# --- one client's slowness and another's

def test_clients_that_do_not_read_stop_no_other_client(gateway, h2_server, leaf, ca):
    """They share connections to the server: what waits for the slow ones must leave room for the others."""
    server = h2_server(lambda request: response(200, bytes(1 << 20) if request.target == "/big" else b"small"))
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(client_of(gw, ca, window=1000, connection_window=1 << 24))
            for _ in range(95):
                slow.open("GET", "/big", hold=True)
            slow.ping()
        until(lambda: len(server.streams) == 285, "all requests at the server")
        sent = -1

        def settled():
            nonlocal sent
            before, sent = sent, sum(stream.sent for stream in server.streams)
            time.sleep(0.3)
            return before == sent
        until(settled, "nothing more is sent")
        other = stack.enter_context(client_of(gw, ca, timeout=15))
        for _ in range(5):
            assert other.request("GET", "/").body == b"small"


def test_trailers_behind_a_body_of_no_bytes(gateway, h2_server, leaf, ca):
    server = h2_server(on_head=lambda request: respond(request, 200, [("content-length", "0")], trailers=[("sum", "0")]) or True)
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        answer = client.request("GET", "/")
        assert answer.body == b"" and dict(answer.trailers).get("sum") == "0"


def test_a_plain_connect_is_counted_and_named(gateway, h2_server, leaf, ca):
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca, strict=False) as client:
        one = client.open(fields=[(":method", "CONNECT"), (":authority", HOST)], end=False)
        assert one.answer().status == 405
        assert gw.access(method="CONNECT")["host"] == HOST
    assert metrics(gw)["sallyport_requests_total"] == 1
