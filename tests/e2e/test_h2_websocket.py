"""WebSockets over HTTP/2 (RFC 8441): from and to either version."""
import asyncio
import base64
import os
import threading

import pytest
import websockets
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from harness import websocket
from harness.client import Client
from harness.h2_client import FrameClient, H2Client
from harness.h2_endpoint import Setting, frame
from harness.h2_server import respond
from harness.h2_sockets import BOTH, FIELDS, HOST, KINDS, accept, exchange, leave, sockets  # noqa: F401
from harness.h2_ways import together
from harness.http_server import response
from harness.services import edge
from harness.wait import PATIENCE, until


@BOTH
def test_an_h2_client_talks(sockets, mode, kind):
    sockets.start(mode, kind)
    with sockets.h2() as client:
        assert client.setting(Setting.ENABLE_CONNECT_PROTOCOL) == 1, "it is advertised"
        one = client.connect(headers=FIELDS)
        reply = one.answer()
        assert reply.status == 200 and not {"upgrade", "connection", "sec-websocket-accept"} & {k for k, _ in reply.headers}
        exchange(one)
        assert client.request().body == b"plain", "the connection carries requests as well"
        exchange(one)
        one.send(websocket.frame(b"\x03\xe8", True, 8))
        assert websocket.read_frame(one)[0] == 8
        assert one.rest() == b""
        leave(one)
    line = sockets.gw.access(path="/ws")
    assert line["end"] in ("ok", "server_closed", "client_closed") and line["bytes_in"] > 140_000 and line["bytes_out"] > 140_000
    sockets.gw.wait_idle(slack=2)


@pytest.mark.parametrize("mode", ["edge", "reencrypt", "http"])
def test_an_h1_client_talks_to_an_h2_server(sockets, mode):
    sockets.start(mode, "h2", protocol="h2")
    with sockets.h1() as client:
        assert websocket.upgrade(client, headers=[("Origin", "https://o.example")]).status == 101
        exchange(client)
        client.send(websocket.frame(b"\x03\xe8", True, 8))
        assert websocket.read_frame(client)[0] == 8
        assert client.gone()
    request = sockets.server.streams[0].request
    assert request.pseudo == {":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", ":authority": HOST,
                              ":scheme": "https" if mode == "reencrypt" else "http"}
    assert (request.get("origin"), request.get("sec-websocket-version")) == ("https://o.example", "13")
    assert not {"upgrade", "connection", "sec-websocket-key", "content-length", "transfer-encoding"} & {k for k, _ in request.headers}
    assert request.get("x-forwarded-for") == "127.0.0.1"


def test_what_an_h1_server_is_asked(sockets):
    """An ordinary upgrade, with a key of the gateway's own each time."""
    sockets.start("edge", "h1")
    with sockets.h2() as client:
        for _ in range(2):
            one = client.connect(target="/chat?room=1", headers=[*FIELDS, ("Sec-WebSocket-Protocol", "a, b"), ("Cookie", "x=1"), ("Cookie", "y=2")])
            assert one.answer().status == 200
            one.reset()
    keys = []
    for request in sockets.server.requests:
        assert (request.method, request.target, request.version) == ("GET", "/chat?room=1", "HTTP/1.1")
        assert request.get("upgrade").lower() == "websocket" and "upgrade" in request.get("connection").lower()
        assert request.all("sec-websocket-version") == ["13"] and request.get("sec-websocket-protocol") == "a, b"
        assert (request.get("host"), request.get("origin"), request.get("cookie")) == (HOST, "https://test.example", "x=1; y=2")
        assert request.get("content-length") is None and request.get("transfer-encoding") is None
        (key,) = request.all("sec-websocket-key")
        assert len(base64.b64decode(key, validate=True)) == 16
        keys.append(key)
    assert len(set(keys)) == 2


@pytest.mark.parametrize("wrong", ["other", "none", "twice"])
def test_a_wrong_accept_value_is_a_502(sockets, wrong):
    """Only the gateway can check it: its client never sees the key."""
    def answer(request):
        right = websocket.accept_key(request.get("sec-websocket-key"))
        lines = {"other": ["Sec-WebSocket-Accept: " + websocket.accept_key("other")], "none": [],
                 "twice": ["Sec-WebSocket-Accept: " + right, "Sec-WebSocket-Accept: x"]}[wrong]
        request.conn.send(("\r\n".join(["HTTP/1.1 101 Yes", "Connection: Upgrade", "Upgrade: websocket", *lines]) + "\r\n\r\n").encode())
        request.conn.wait_gone()
        return None
    sockets.start("edge", "h1", answer)
    with sockets.h2() as client:
        assert client.connect(headers=FIELDS).whole().status == 502


@pytest.mark.parametrize("mode, kind", [("edge", "h1"), ("edge", "h2"), ("reencrypt", "h2")])
@pytest.mark.parametrize("client_kind", ["h1", "h2"])
def test_a_refusal_passes_through(sockets, mode, kind, client_kind):
    def answer(request):
        if request.method == "CONNECT":
            respond(request, 403, [("content-type", "text/plain"), ("x-why", "guests")], b"not you")
            return None
        return response(403, b"not you", [("Content-Type", "text/plain"), ("X-Why", "guests")]) if request.get("upgrade") else response(200, b"plain")
    sockets.start(mode, kind, answer)
    with (sockets.h1 if client_kind == "h1" else sockets.h2)() as client:
        for _ in range(2):
            reply = websocket.upgrade(client) if client_kind == "h1" else client.connect(headers=FIELDS).whole()
            assert (reply.status, reply.body, reply.get("x-why")) == (403, b"not you", "guests")
            assert client.request().body == b"plain", "the connection goes on as HTTP"


@pytest.mark.parametrize("client_kind", ["h1", "h2"])
@pytest.mark.parametrize("mode", ["edge", "reencrypt"])
def test_a_server_that_cannot_is_a_clean_502(sockets, mode, client_kind):
    """An HTTP/2 server without extended CONNECT, and no HTTP/1.1 to fall back to."""
    sockets.start(mode, "h2", settings={}, protocol="h2")
    with (sockets.h1 if client_kind == "h1" else sockets.h2)() as client:
        reply = websocket.upgrade(client) if client_kind == "h1" else client.connect(headers=FIELDS).whole()
        assert reply.status == 502
        assert client.request().body == b"plain"
    assert not [s for s in sockets.server.streams if s.request.method == "CONNECT"], "it was not even asked"


@pytest.mark.parametrize("client_kind", ["h1", "h2"])
def test_with_auto_an_upgrade_gets_http11(sockets, client_kind):
    """The server speaks both; its HTTP/2 cannot carry a WebSocket, and its HTTP/1.1 can."""
    sockets.start("reencrypt", "h2", settings={})
    with (sockets.h1 if client_kind == "h1" else sockets.h2)() as client:
        assert client.request().body == b"plain"
        if client_kind == "h1":
            assert websocket.upgrade(client).status == 101
            exchange(client)
        else:
            one = client.connect(headers=FIELDS)
            assert one.answer().status == 200
            exchange(one)
            assert client.request().body == b"plain"
    assert sorted(set(sockets.server.protocols)) == ["h2", "http/1.1"]


@pytest.mark.parametrize("client_kind", ["h1", "h2"])
def test_with_auto_an_http2_connection_that_takes_it_is_used(sockets, client_kind):
    sockets.start("reencrypt", "h2")
    with (sockets.h1 if client_kind == "h1" else sockets.h2)() as client:
        assert client.request().body == b"plain"
        if client_kind == "h1":
            assert websocket.upgrade(client).status == 101
            exchange(client)
        else:
            one = client.connect(headers=FIELDS)
            assert one.answer().status == 200
            exchange(one)
    assert set(sockets.server.protocols) == {"h2"}


@BOTH
def test_eight_mebibytes_each_way(sockets, mode, kind):
    sockets.start(mode, kind)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        block = os.urandom(1 << 20)
        sender = threading.Thread(target=lambda: [one.send(websocket.frame(block, True)) for _ in range(8)])
        sender.start()
        for _ in range(8):
            assert websocket.read_frame(one)[1] == block
        sender.join()


@KINDS
def test_many_on_one_connection(sockets, kind):
    sockets.start("edge", kind)
    with sockets.h2() as client:
        def work(n):
            if n % 5 == 4:
                return [client.request().status for _ in range(10)] == [200] * 10
            one = client.connect(headers=FIELDS)
            exchange(one, (n, 1000 * n, 5))
            one.send(websocket.frame(b"", True, 8))
            assert websocket.read_frame(one)[0] == 8
            return True
        assert all(together(25, work))
        assert not client.goaways


@KINDS
def test_bytes_that_do_not_wait_for_the_answer(sockets, kind):
    """They are held until the server has agreed, and nothing is lost."""
    sockets.start("edge", kind)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        data = os.urandom(20_000)
        one.send(websocket.frame(data, True))
        assert one.answer().status == 200
        assert websocket.read_frame(one) == (2, data)


@KINDS
def test_an_end_that_does_not_wait_for_the_answer(sockets, kind):
    """The client has said all it has to say before the server has agreed."""
    def answer(request):
        if request.method == "CONNECT":
            accept(request)
        else:
            request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                              + websocket.accept_key(request.get("sec-websocket-key")).encode() + b"\r\n\r\n")
        heard = request.conn.rest()
        if request.method == "CONNECT":
            request.stream.send(b"heard " + heard, end=True)
        else:
            request.conn.send(b"heard " + heard)
        return None
    sockets.start("edge", kind, answer)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        one.send(b"words", end=True)
        assert one.rest() == b"heard words"


def test_bytes_behind_the_101_are_not_lost(sockets):
    def answer(request):
        request.conn.send(("HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                           + websocket.accept_key(request.get("sec-websocket-key")) + "\r\n\r\n").encode() + websocket.frame(b"early", False))
        websocket.read_frame(request.conn)
        return None
    sockets.start("edge", "h1", answer)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        assert websocket.read_frame(one) == (2, b"early")
        one.send(websocket.frame(b"done", True))
        assert one.rest() == b""


# --- other tokens, and CONNECT without one

@KINDS
def test_another_protocol_token(sockets, kind):
    """Upgrade of any token, as HTTP/1.1 clients have it: what it means is the server's business."""
    def answer(request):
        if request.method == "CONNECT":
            assert request.pseudo[":protocol"] == "chat"
            accept(request)
            request.stream.send(request.stream.exactly(4)[::-1], end=True)
            return None
        assert request.get("upgrade") == "chat" and request.get("sec-websocket-key") is None
        request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        request.conn.send(request.conn.exactly(4)[::-1])
        return None
    sockets.start("edge", kind, answer)
    with sockets.h2() as client:
        one = client.connect("chat", "/talk")
        assert one.answer().status == 200
        one.send(b"abcd")
        assert one.rest() == b"dcba"
    if kind == "h2":
        with sockets.h1() as client:
            reply = client.request("GET", "/talk", headers=[("Connection", "upgrade"), ("Upgrade", "chat")])
            assert reply.status == 101
            client.send(b"abcd")
            assert client.exactly(4) == b"dcba"


@KINDS
def test_a_connect_without_protocol_is_refused(sockets, kind):
    """This is no forward proxy (behaviours 50)."""
    sockets.start("edge", kind)
    tls = sockets.ca.client_context(alpn=["h2"])
    with FrameClient(sockets.port, tls=tls, name=HOST) as client:
        client.send(frame(1, 4, 1, client.encoder.encode([(":method", "CONNECT"), (":authority", "test.example:443")])))
        until(lambda: client.receive() and (client.of("RstStreamFrame") or 1 in client.statuses()), "an answer")
        assert client.of("RstStreamFrame") or client.statuses()[1] in (400, 405, 501)
        client.next_id = 3
        client.send(client.request()[1])
        until(lambda: 3 in client.statuses() or not client.receive(), "the next one's")
        assert client.statuses()[3] == 200 and not client.goaways(), "the connection goes on"
    assert not [r for r in sockets.server.requests if r.method == "CONNECT"]


def test_routing_and_421_count_for_it_too(sockets):
    sockets.start("edge", "h1", paths=["/ws", "/plain"])
    with sockets.h2() as client:
        assert client.connect(target="/other", headers=FIELDS).whole().status == 404
        assert client.connect(host="nowhere.example", headers=FIELDS).whole().status == 421
        one = client.connect(headers=FIELDS)
        assert one.answer().status == 200
        exchange(one)


# --- libraries

@pytest.fixture
def library_server():
    """A server of Python's websockets library that echoes; yields its port."""
    ready, loops = threading.Event(), []

    async def serve():
        async def handler(connection, _path=None):
            async for message in connection:
                await connection.send(message)
        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None, subprotocols=["chat"]) as server:
            stop = asyncio.Event()
            loops.append((asyncio.get_running_loop(), stop, server.sockets[0].getsockname()[1]))
            ready.set()
            await stop.wait()
    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    loop, stop, port = loops[0]
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)


def test_wsproto_to_the_websockets_library(gateway, ca, leaf, library_server):
    """Compression agreed on end to end, messages in fragments, pings, and the closing handshake."""
    gw = gateway({"ws": edge(HOST, f"127.0.0.1:{library_server}")}, certs={"w.pem": leaf(HOST)})
    deflate = PerMessageDeflate()
    with H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST) as client:
        one = client.connect(headers=[*FIELDS, ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
                                      ("Sec-WebSocket-Protocol", "chat")])
        reply = one.answer()
        assert (reply.status, reply.get("sec-websocket-protocol")) == (200, "chat")
        deflate.finalize(reply.get("sec-websocket-extensions"))
        socket = Connection(ConnectionType.CLIENT, [deflate])

        def events():
            while True:
                data = one.read()
                if not data:
                    return
                socket.receive_data(data)
                yield from socket.events()
        come = events()
        for text in ("", "hello", "\u00fc" * 50_000):
            half = len(text) // 2
            one.send(socket.send(TextMessage(text[:half], message_finished=False)) + socket.send(TextMessage(text[half:])))
            got = ""
            while True:
                event = next(come)
                got += event.data
                if event.message_finished:
                    break
            assert got == text
        block, got = os.urandom(1 << 20), b""
        one.send(socket.send(BytesMessage(block)))
        while len(got) < len(block):
            got += next(come).data
        assert got == block
        one.send(socket.send(Ping(b"there?")))
        pong = next(come)
        assert isinstance(pong, Pong) and bytes(pong.payload) == b"there?"
        one.send(socket.send(CloseConnection(1000, "bye")))
        closing = next(come)
        assert isinstance(closing, CloseConnection) and closing.code == 1000
        assert one.rest() == b""


def test_the_websockets_library_to_an_h2_server(sockets):
    sockets.start("reencrypt", "h2", protocol="h2")

    async def use():
        async with websockets.connect(f"wss://{HOST}:{sockets.port}/ws", ssl=sockets.ca.client_context(alpn=["http/1.1"]), host="127.0.0.1",
                                      port=sockets.port, server_hostname=HOST, max_size=None, compression=None) as connection:
            for size in (0, 10, 1 << 20):
                block = os.urandom(size)
                await connection.send(block)
                assert await connection.recv() == block
            await connection.send("text")
            assert await connection.recv() == "text"
    asyncio.run(use())


def test_a_plain_listener_redirects_it(gateway, http_server, leaf):
    gw = gateway({"web": edge(HOST, http_server())}, certs={"w.pem": leaf(HOST)})
    with H2Client(gw.ports["http"]) as client:
        reply = client.connect(headers=FIELDS).whole()
        assert reply.status in (301, 308) and reply.get("location").startswith(f"https://{HOST}")
    with Client(gw.ports["http"]) as client:
        assert client.request().status == 301
