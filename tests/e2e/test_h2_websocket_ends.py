"""How WebSockets over HTTP/2 end: by either side, half, or cut."""
import threading
import time

import pytest

from harness import websocket
from harness.h2_sockets import FIELDS, KINDS, accept, exchange, leave, sockets  # noqa: F401
from harness.h2_stream import Code
from harness.h2_ways import CUT
from harness.http_server import response
from harness.wait import PATIENCE, until


@KINDS
def test_the_server_closes(sockets, kind):
    def answer(request):
        if request.method == "CONNECT":
            accept(request)
            request.stream.send(websocket.frame(b"\x03\xe9bye", False, 8))
            assert websocket.read_frame(request.stream)[0] == 8
            request.stream.send(b"", end=True)
            return None
        request.conn.send(("HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                           + websocket.accept_key(request.get("sec-websocket-key")) + "\r\n\r\n").encode())
        request.conn.send(websocket.frame(b"\x03\xe9bye", False, 8))
        assert websocket.read_frame(request.conn)[0] == 8
        return None
    sockets.start("edge", kind, answer)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        assert websocket.read_frame(one) == (8, b"\x03\xe9bye")
        one.send(websocket.frame(b"\x03\xe9", True, 8))
        assert one.rest() == b"" and one.ended, "an orderly end"
        leave(one)
        client.ping()


@KINDS
def test_a_half_close_by_the_client(sockets, kind):
    """END_STREAM is the end of one direction (RFC 8441 section 5): a FIN for an HTTP/1.1 server."""
    def answer(request):
        if request.method == "CONNECT":
            accept(request)
            heard = request.stream.rest()
            request.stream.send(b"heard " + heard, end=True)
            return None
        request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                          + websocket.accept_key(request.get("sec-websocket-key")).encode() + b"\r\n\r\n")
        heard = request.conn.rest()
        request.conn.send(b"heard " + heard)
        return None
    sockets.start("edge", kind, answer)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        assert one.answer().status == 200
        one.send(b"words", end=True)
        assert one.rest() == b"heard words"
    assert sockets.gw.access(path="/ws")["end"] == "ok"


@KINDS
def test_a_half_close_by_the_server(sockets, kind):
    """The server has said all it has to say, and goes on listening."""
    heard = []

    def answer(request):
        if request.method == "CONNECT":
            accept(request)
            request.stream.send(b"words", end=True)
            heard.append(request.stream.rest())
            return None
        request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                          + websocket.accept_key(request.get("sec-websocket-key")).encode() + b"\r\n\r\nwords")
        request.conn.shut()
        heard.append(request.conn.rest())
        return None
    sockets.start("edge", kind, answer)
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        assert one.answer().status == 200 and one.rest() == b"words"
        one.send(b"the client's last words", end=True)
        until(lambda: heard, "what the server heard")
    assert heard == [b"the client's last words"]


@KINDS
@pytest.mark.parametrize("how", ["stream", "connection"])
def test_a_client_that_resets_frees_the_server(sockets, kind, how):
    begun, freed = threading.Event(), threading.Event()

    def answer(request):
        if request.method == "CONNECT":
            accept(request)
        elif request.get("upgrade"):
            request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                              + websocket.accept_key(request.get("sec-websocket-key")).encode() + b"\r\n\r\n")
        else:
            return response(200, b"plain")
        begun.set()
        request.conn.wait_gone()
        freed.set()
        return None
    sockets.start("edge", kind, answer)
    client = sockets.h2()
    one = client.connect(headers=FIELDS)
    assert one.answer().status == 200 and begun.wait(PATIENCE)
    if how == "stream":
        one.reset(Code.CANCEL)
    else:
        client.reset()
    assert freed.wait(PATIENCE)
    assert sockets.gw.access(path="/ws")["end"] in ("client_cut", "client_closed")
    if how == "stream":
        assert client.request().body == b"plain"
    client.close()


@KINDS
@pytest.mark.parametrize("client_kind", ["h1", "h2"])
def test_a_server_that_resets_is_a_cut(sockets, kind, client_kind):
    go = threading.Event()

    def answer(request):
        if request.method == "CONNECT":
            accept(request)
            request.stream.send(websocket.frame(b"half", False))
        elif request.get("upgrade"):
            request.conn.send(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                              + websocket.accept_key(request.get("sec-websocket-key")).encode() + b"\r\n\r\n" + websocket.frame(b"half", False))
        else:
            return response(200, b"plain")
        go.wait(PATIENCE)
        request.conn.reset()
        return None
    sockets.start("edge", kind, answer)
    with (sockets.h1 if client_kind == "h1" else sockets.h2)() as client:
        if client_kind == "h1":
            assert websocket.upgrade(client).status == 101
            one = client
        else:
            one = client.connect(headers=FIELDS)
        assert websocket.read_frame(one) == (2, b"half")
        go.set()
        with pytest.raises(CUT):
            one.rest()
        if client_kind == "h2":
            assert client.request().body == b"plain"
    assert sockets.gw.access(path="/ws")["end"] in ("server_cut", "server_closed")


@KINDS
def test_a_silent_one_ends_by_timeouts_tunnel_and_no_other(sockets, kind):
    sockets.start("edge", kind, timeouts={"tunnel": "1500ms", "client": "500ms", "server": "500ms", "keep_alive": "500ms", "request": "500ms"})
    with sockets.h2() as client:
        one = client.connect(headers=FIELDS)
        exchange(one, (3,))
        time.sleep(0.7)
        exchange(one, (3,))
        assert one.wait_ended() is not None or one.ended
