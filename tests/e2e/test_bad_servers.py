"""Servers that misbehave: the client gets 502 or 504, or a cut it can see; the log says which; nothing is left behind."""
import os
import threading

import pytest

from harness import websocket
from harness.client import Client, Truncated, http
from harness.http_server import response
from harness.server import FullListener
from harness.services import plain, reencrypt
from harness.wait import until

# Only a server that is to be waited for in vain has a short time: another one may be slow because the machine is busy.
IN_VAIN = {"timeouts": {"server": "1s"}}


def finish(way, end, **match):
    line = way.gw.access(service="test", **match)
    ends = end if isinstance(end, tuple) else (end,)
    assert line["end"] in ends, line
    way.gw.wait_idle()
    way.gw.wait_no_server_connection(way.server.port)
    return line


def sends(data, then="close"):
    """An answer() that sends these bytes and ends the connection."""
    def answer(request):
        if data:
            request.conn.send(data)
        if then == "reset":
            request.conn.reset()
        elif then == "hang":
            request.conn.wait_gone(60)
        return None
    return answer


NO_ANSWER = {
    "closes-at-once": (b"", "close", 502, ("server_closed", "server_cut", "server_error")),
    "resets-at-once": (b"", "reset", 502, ("server_cut", "server_closed", "server_error")),
    "silent": (b"", "hang", 504, "server_timeout"),
    "half-a-head": (b"HTTP/1.1 200 OK\r\nContent-Le", "close", 502, ("server_closed", "server_cut", "server_error")),
    "half-a-head-hanging": (b"HTTP/1.1 200 OK\r\nContent-Le", "hang", 504, "server_timeout"),
    "garbage": (b"\x00\x01\x02 nothing like HTTP\r\n\r\n", "hang", 502, "server_error"),
    "ssh-banner": (b"SSH-2.0-OpenSSH_9.2\r\n", "hang", 502, "server_error"),
    "no-status-line": (b"Content-Length: 3\r\n\r\nabc", "hang", 502, "server_error"),
    "http-09": (b"<html>hello</html>\n", "close", 502, ("server_error", "server_cut", "server_closed")),
    "negative-length": (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", "hang", 502, "server_error"),
    "two-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "hang", 502, "server_error"),
    "length-and-chunked": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "hang", 502, "server_error"),
    "unknown-coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", "hang", 502, "server_error"),
    "header-without-colon": (b"HTTP/1.1 200 OK\r\nServer\r\nContent-Length: 0\r\n\r\n", "hang", 502, "server_error"),
    "nul-in-header": (b"HTTP/1.1 200 OK\r\nServer: a\0b\r\nContent-Length: 0\r\n\r\n", "hang", 502, "server_error"),
    "folded-header": (b"HTTP/1.1 200 OK\r\nServer: a\r\n b\r\nContent-Length: 0\r\n\r\n", "hang", 502, "server_error"),
    "status-of-4-digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "hang", 502, "server_error"),
    "status-099": (b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "hang", 502, "server_error"),
    "huge-head": (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000 + b"\r\n\r\n", "hang", 502, "server_error"),
    "endless-100s": (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, "hang", (502, 504), ("server_error", "server_timeout")),
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_no_usable_answer(way, name):
    data, then, status, end = NO_ANSWER[name]
    way.start(sends(data, then), **(IN_VAIN if status != 502 else {}))
    with way.client() as client:
        reply = client.request("POST", body=b"once")  # a POST: never sent twice
        assert reply.status in (status if isinstance(status, tuple) else (status,)), reply
        assert str(way.server.port) not in reply.text and "127.0.0.1" not in reply.text
    finish(way, end, status=reply.status)
    assert len(way.server.requests) == 1


def test_the_client_connection_survives_a_502(way):
    way.start(lambda r: None if r.target == "/bad" else response(200, b"good"), retries=0)
    with way.client() as client:
        assert client.request("POST", "/bad").status == 502
        assert client.request("GET", "/").body == b"good"


CUT = {
    "sized-short": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "close"),
    "sized-reset": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "reset"),
    "chunked-short": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n", "close"),
    "chunked-in-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly this", "close"),
    "chunked-reset": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n", "reset"),
    "chunked-garbage": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nXYZ\r\n", "hang"),
    "chunked-no-trailer-end": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n0\r\n", "close"),
    "unframed-reset": (b"HTTP/1.1 200 OK\r\n\r\nonly this", "reset"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_response_is_seen_as_cut(way, name):
    data, then = CUT[name]
    go = threading.Event()

    def answer(request):
        request.conn.send(data)
        go.wait(30)  # the head has reached the client, so only a cut can tell it now
        return sends(b"", then)(request)
    way.start(answer)
    with way.client() as client:
        client.send_request()
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        go.set()
        with pytest.raises((Truncated, ConnectionError, OSError)):
            data = client.rest()
            assert b"0\r\n\r\n" not in data and len(data) < 100
            raise Truncated("ended without the end of the message")
    finish(way, ("server_cut", "server_closed", "server_error"))


def test_a_response_ended_by_close_without_close_notify_is_cut(gateway, http_server, leaf, ca, server_ca):
    """Over TLS a bare FIN may be an attacker's."""
    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\n\r\npart")
        os.close(request.conn.sock.detach())
        return None
    server = http_server(answer, tls=server_ca.leaf("re.example").server_context())
    gw = gateway({"re": reencrypt("re.example", server, server_tls={"ca": "s.pem"})},
                 certs={"re.pem": leaf("re.example"), "s.pem": open(server_ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="re.example") as client:
        client.send_request(host="re.example")
        client.until(b"\r\n\r\n")
        with pytest.raises((Truncated, ConnectionError, OSError)):
            client.chunked()


def test_bytes_after_a_response_never_reach_the_next(way):
    """Unread bytes make the connection useless: it is closed, not pooled (behaviours 21)."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
    way.start(lambda r: response(200, b"good") + evil)
    with way.client() as client:
        for _ in range(3):
            assert client.request().body == b"good"
    until(lambda: len(way.server.conns) == 3, "a connection of its own for each request")
    way.gw.wait_no_server_connection(way.server.port)


def test_an_unasked_response_on_an_idle_connection(way):
    go, sent = threading.Event(), threading.Event()

    def answer(request):
        if request.target != "/first":
            return response(200, b"right")
        request.conn.send(response(200, b"first"))
        go.wait(30)
        request.conn.send(response(200, b"WRONG"))
        sent.set()
        return b""
    way.start(answer)
    with way.client() as client:
        assert client.request("GET", "/first").body == b"first"
        go.set()
        assert sent.wait(30)
        way.gw.wait_no_server_connection(way.server.port)
        assert client.request("GET", "/second").body == b"right"


def test_a_head_response_with_a_body(way):
    way.start(lambda r: response(200, b"surplus") if r.method == "HEAD" else response(200, b"right"))
    with way.client() as client:
        assert client.request("HEAD").status == 200
        assert client.request("GET").body == b"right"


def test_a_stale_pooled_connection_is_retried_unseen(way):
    """A GET only: a POST may have happened (behaviours 20, 53)."""
    def answer(request):
        count = len([r for r in way.server.requests if r.conn is request.conn])
        if count > 1:
            request.conn.reset()
            return None
        return response(200, b"ok")
    way.start(answer, settings={"workers": 1})  # both clients find the same pool
    with way.client() as client:
        assert client.request("GET", "/1").body == b"ok"
        assert client.request("GET", "/2").body == b"ok"
    assert [r.target for r in way.server.requests] == ["/1", "/2", "/2"]
    with way.client() as client:
        assert client.request("POST", "/3", body=b"x").status == 502
    assert len([r for r in way.server.requests if r.target == "/3"]) == 1


def test_an_idle_server_connection_closed_by_the_server(way):
    def answer(request):
        request.conn.send(response(200, b"ok"))
        return None
    way.start(answer)
    with way.client() as client:
        for _ in range(5):
            assert client.request("POST", body=b"x").body == b"ok"
            way.gw.wait_no_server_connection(way.server.port)


def test_refused(way):
    way.start()
    way.server.stop()
    reply = way.request()
    assert reply.status in (502, 503)
    assert way.gw.access(service="test", status=reply.status)["end"] in ("server_refused", "no_server")
    way.gw.wait_idle()


def test_connect_timeout(gateway, http_server):
    full = FullListener()
    gw = gateway({"test": plain("test.example", full, timeouts={"connect": "500ms"}, retries=0)})
    assert http(gw.ports["http"]).status == 504
    assert gw.access(service="test")["end"] == "server_timeout"
    full.close()
    gw.wait_idle()


def test_a_body_that_stalls_ends_by_the_tunnel_timeout(way):
    way.start(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", "hang"), timeouts={"tunnel": "1s"})
    with way.client() as client:
        client.send_request()
        client.until(b"\r\n\r\npart")
        with pytest.raises((Truncated, ConnectionError, OSError)):
            client.exactly(96)
    finish(way, "server_timeout")


def test_a_client_that_stalls_in_its_body(way):
    def answer(request):
        request.conn.wait_gone(60)
        return None
    way.start(answer, auto_body=False, timeouts={"client": "1s"})
    with way.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 100\r\n\r\npart")
        try:
            rest = client.rest()
        except (ConnectionError, OSError):
            rest = b""
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408")
    finish(way, "client_timeout")


def test_a_tunnel_killed_by_the_server_is_a_cut(way):
    def answer(request):
        request.conn.send(("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                           + websocket.accept_key(request.get("sec-websocket-key")) + "\r\n\r\nx").encode())
        request.conn.exactly(1)
        request.conn.reset()
        return None
    way.start(answer)
    with way.client() as client:
        assert websocket.upgrade(client).status == 101
        client.exactly(1)
        client.send(b"!")
        with pytest.raises((ConnectionError, OSError)):  # under TLS an end without close_notify raises too
            client.ended()
    finish(way, "server_cut")


def test_a_hundred_failures_leave_nothing(way):
    way.start(lambda r: sends(*[(b"", "close"), (b"", "reset"), (b"junk\r\n\r\n", "close"),
                                (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "reset")][int(r.target[1:]) % 4])(r))
    for n in range(100):
        client = way.client()
        client.send_request("POST", f"/{n}", headers={"Connection": "close"})
        try:
            client.rest() if n % 3 else client.reset()
        except (ConnectionError, OSError):
            pass
        client.close()
    way.gw.wait_idle()
    way.gw.wait_no_server_connection(way.server.port)
