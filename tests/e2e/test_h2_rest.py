"""Where nothing moves, nothing runs: whoever waits, on either side of HTTP/2, costs no CPU."""
import os
import threading
import time

import pytest

from harness.h2_client import H2Client
from harness.h2_server import H2Server
from harness.h2_sockets import CAN, FIELDS, accept
from harness.http_server import HttpServer, response
from harness.services import edge
from harness.wait import PATIENCE, until
from harness import websocket

HOST = "test.example"
KINDS = pytest.mark.parametrize("kind", ["h1", "h2"])


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(gw):
    """A pump that says "again" for ever takes all of a core, or its share of it."""
    def quiet():
        before = cpu(gw.process.pid)
        time.sleep(0.7)
        return cpu(gw.process.pid) - before < 0.1
    until(quiet, "a second without work")


@pytest.fixture
def stage(gateway, ca, leaf):
    made = []

    def start(kind, answer, **keys):
        held = threading.Event()
        made.append(held)
        server = H2Server(answer(held), settings=CAN) if kind == "h2" else HttpServer(answer(held), auto_body=False)
        made.append(server)
        spec = edge(HOST, server, **({"server_protocol": "h2"} if kind == "h2" else {}), **keys)
        gw = gateway({"test": spec}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})

        def client(**kw):
            made.append(H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST, **kw))
            return made[-1]
        return gw, client
    yield start
    for one in made:
        if isinstance(one, threading.Event):
            one.set()
    for one in made:
        if isinstance(one, H2Client):
            one.close()
    for one in made:
        if isinstance(one, (H2Server, HttpServer)):
            one.stop()


def waits(held):
    def answer(request):
        held.wait(PATIENCE)
        return response(200, b"late")
    return answer


@KINDS
def test_a_connection_without_requests_and_one_that_waits_for_an_answer(stage, kind):
    gw, client = stage(kind, waits)
    one = client()
    rests(gw)
    one.open()
    rests(gw)
    upload = one.open("POST", "/upload", end=False)
    upload.send(b"part")
    rests(gw)


@KINDS
def test_a_client_that_does_not_read(stage, kind):
    gw, client = stage(kind, lambda held: lambda request: response(200, bytes(4 << 20)))
    one = client(window=0)
    for _ in range(5):
        one.open()
    rests(gw)
    two = client(window=1000)
    two.open()
    rests(gw)


@KINDS
def test_a_server_that_does_not_read(stage, kind):
    gw, client = stage(kind, waits)
    one = client()
    for n in range(3):
        stream = one.open("POST", "/upload", end=False)
        threading.Thread(target=lambda s=stream: _try(lambda: s.send(bytes(2 << 20), timeout=1)), daemon=True).start()
    time.sleep(0.5)
    rests(gw)


def _try(action):
    try:
        action()
    except Exception:
        pass


def tunnel(how):
    def make(held):
        def answer(request):
            if request.method == "CONNECT":
                accept(request)
                if how == "server-ends":
                    request.stream.send(b"words", end=True)
                held.wait(PATIENCE)
                return None
            request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                              + websocket.accept_key(request.get("sec-websocket-key")).encode() + b"\r\n\r\n")
            if how == "server-ends":
                request.conn.send(b"words")
                request.conn.shut()
            held.wait(PATIENCE)
            return None
        return answer
    return make


@KINDS
@pytest.mark.parametrize("how", ["open", "client-ends", "server-ends", "stalled"])
def test_a_tunnel(stage, kind, how):
    gw, client = stage(kind, tunnel(how))
    one = client().connect(headers=FIELDS)
    assert one.answer().status == 200
    if how == "client-ends":
        one.send(b"words", end=True)
    if how == "stalled":
        threading.Thread(target=lambda: _try(lambda: one.send(bytes(8 << 20), timeout=1)), daemon=True).start()
        time.sleep(0.5)
    rests(gw)
