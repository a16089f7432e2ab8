"""Upgrade of any token becomes a relay of bytes."""
import asyncio
import os
import threading
import time

import pytest
import websockets

from harness import websocket
from harness.client import http
from harness.http_server import response
from harness.server import pause
from harness.services import edge, reencrypt
from harness.wait import until


def test_websocket_echo(way):
    way.start(websocket.serve)
    with way.client() as client:
        assert websocket.upgrade(client).status == 101
        for data in (b"", b"x", b"y" * 70_000):
            client.send(websocket.frame(data, True))
            assert websocket.read_frame(client) == (2, data)
        client.send(websocket.frame(b"\x03\xe8", True, 8))
        assert websocket.read_frame(client)[0] == 8
        assert client.gone()
    line = way.gw.access(service="test")
    assert line["status"] == 101 and (line["end"] == "ok" or way.mode != "http") and line["bytes_in"] > 70_000 and line["bytes_out"] > 70_000
    way.gw.wait_idle()


def test_websocket_64_mib_echo(way):
    way.start(websocket.serve)
    block = os.urandom(1 << 20)
    with way.client(timeout=60) as client:
        assert websocket.upgrade(client).status == 101

        def send():
            for _ in range(64):
                client.send(websocket.frame(block, True))
        if way.mode == "http":
            sender = threading.Thread(target=send)
            sender.start()
            for _ in range(64):
                assert websocket.read_frame(client)[1] == block
            sender.join()
        else:  # Python's TLS sockets do not read and write at once in two threads
            for _ in range(64):
                client.send(websocket.frame(block, True))
                assert websocket.read_frame(client)[1] == block


def test_websocket_library_through_edge(gateway, leaf, ca, server_ca):
    """A real library on both ends: 64 MiB in messages of 1 MiB, and pings."""
    name, stop = "ws.example", []

    async def serve(ready, server_tls):
        async def echo(connection, _path=None):
            async for message in connection:
                await connection.send(message)
        async with websockets.serve(echo, "127.0.0.1", 0, ssl=server_tls, max_size=None, ping_interval=None) as server:
            stopper = asyncio.Event()
            stop.append((asyncio.get_running_loop(), stopper))
            ready.append(server.sockets[0].getsockname()[1])
            await stopper.wait()

    async def use(port, host):
        async with websockets.connect(f"wss://{host}:{port}/", ssl=ca.client_context(), host="127.0.0.1", port=port,
                                      server_hostname=host, max_size=None, ping_interval=None, open_timeout=60) as connection:
            block = os.urandom(1 << 20)
            for _ in range(64):
                await connection.send(block)
                assert await connection.recv() == block
            await (await connection.ping())

    ports, threads = [], []
    for context in (None, server_ca.leaf("re.example").server_context()):
        ready = []
        threads.append(threading.Thread(target=lambda r=ready, c=context: asyncio.run(serve(r, c)), daemon=True))
        threads[-1].start()
        ports.append(until(lambda: ready, "the server listens")[0])
    gw = gateway({"ws": edge(name, f"127.0.0.1:{ports[0]}"),
                  "re": reencrypt("re.example", f"127.0.0.1:{ports[1]}", server_tls={"verify": "none"})},
                 certs={"ws.pem": leaf(name, "re.example")})
    asyncio.run(use(gw.ports["https"], name))
    asyncio.run(use(gw.ports["https"], "re.example"))
    for loop, stopper in stop:
        loop.call_soon_threadsafe(stopper.set)


def test_bytes_with_the_101_are_not_lost(way):
    def answer(request):
        request.conn.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: custom/1\r\n\r\nfirst words")
        assert request.conn.exactly(4) == b"back"
        return None
    way.start(answer)
    with way.client() as client:
        reply = client.request(headers=[("Connection", "upgrade"), ("Upgrade", "custom/1")])
        assert reply.status == 101
        assert client.exactly(11) == b"first words"
        client.send(b"back")
        assert client.gone()


def test_spdy_upgrade_as_kubectl_does_it(way):
    def answer(request):
        assert (request.get("upgrade"), request.get("x-stream-protocol-version")) == ("SPDY/3.1", "v4.channel.k8s.io")
        request.conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
        while True:
            data = request.conn.sock.recv(65536)
            if not data:
                return None
            request.conn.send(data)
    way.start(answer)
    with way.client() as client:
        reply = client.request("POST", "/api/v1/namespaces/d/pods/p/exec?command=sh&stdin=true",
                               headers=[("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"),
                                        ("X-Stream-Protocol-Version", "v4.channel.k8s.io"), ("Content-Length", "0")])
        assert (reply.status, reply.get("upgrade")) == (101, "SPDY/3.1")
        data = os.urandom(200_000)
        for at in range(0, len(data), 50_000):
            client.send(data[at:at + 50_000])
            assert client.exactly(50_000) == data[at:at + 50_000]


def test_a_refused_upgrade_is_a_plain_answer(way):
    way.start(lambda r: response(403, b"no") if r.get("upgrade") else response(200, b"yes"))
    with way.client() as client:
        assert websocket.upgrade(client).status == 403
        assert client.request().body == b"yes", "the connection goes on as HTTP"


def test_an_upgrade_the_client_did_not_ask_for_is_a_502(way):
    way.start(lambda r: b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert way.request().status == 502


def test_h2c_upgrade_is_not_passed_on(way):
    way.start(lambda r: response(200, r.get("upgrade") or "none"))
    reply = way.request(headers=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    assert (reply.status, reply.text) == (200, "none")


def test_http10_upgrade_is_no_upgrade(way):
    way.start(lambda r: response(200, r.get("upgrade") or "none"))
    with way.client() as client:
        client.send("GET / HTTP/1.0\r\nHost: test.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        reply = client.response()
        assert (reply.status, reply.text) in ((200, "none"), (400, reply.text))


def test_an_upgrade_with_a_payload_is_refused(way):
    way.start()
    reply = way.request("POST", headers=[("Connection", "upgrade"), ("Upgrade", "websocket")], body=b"payload")
    assert reply.status == 400 and not way.server.requests


def test_an_idle_tunnel_ends_by_its_timeout(way):
    way.start(websocket.serve, timeouts={"tunnel": "1s", "client": "60s"})
    with way.client() as client:
        assert websocket.upgrade(client).status == 101
        assert client.gone()
    way.gw.wait_idle()


def test_a_tunnel_outlives_the_other_timeouts(way):
    go = threading.Event()

    def answer(request):
        request.conn.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: custom\r\n\r\n")
        pause(go)
        request.conn.send(b"later")
        return None
    way.start(answer, timeouts={"client": "1500ms", "server": "1500ms", "keep_alive": "1500ms", "request": "1500ms"})
    with way.client() as client:
        assert client.request(headers=[("Connection", "upgrade"), ("Upgrade", "custom")]).status == 101
        time.sleep(2.2)  # longer than each of those timeouts
        go.set()
        assert client.exactly(5) == b"later"


def test_connect_is_refused(way):
    way.start()
    with way.client() as client:
        client.send("CONNECT test.example:443 HTTP/1.1\r\nHost: test.example:443\r\n\r\n")
        assert client.response("HEAD").status in (400, 405, 501)
    assert not way.server.requests


def test_plain_requests_go_on_beside_a_tunnel(way):
    way.start(lambda r: websocket.serve(r) if r.get("upgrade") else response(200, b"plain"))
    with way.client() as client:
        websocket.upgrade(client)
        assert way.request().body == b"plain"
        client.send(websocket.frame(b"still", True))
        assert websocket.read_frame(client) == (2, b"still")


@pytest.mark.parametrize("name", ["websocket"])
def test_redirected_upgrade(gateway, http_server, leaf, name):
    """Plain ws:// to a TLS service is redirected like any request."""
    gw = gateway({"web": edge("web.example", http_server())}, certs={"web.pem": leaf("web.example")})
    reply = http(gw.ports["http"], "/ws", "web.example", headers=[("Connection", "upgrade"), ("Upgrade", name)])
    assert reply.status == 301 and reply.get("location").startswith("https://web.example")
