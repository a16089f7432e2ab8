"""HTTP as other gateways get it wrong: framing that is written anew, targets in each form, ends that cannot be mistaken."""
import socket
import threading

import pytest

from harness.client import Client, http
from harness.gateway import sanitized
from harness.http_server import header, read_json, response
from harness.proc import kernel_room
from harness.server import FullListener
from harness.services import edge, plain
from harness.wait import until

HOST = b"Host: test.example\r\n"


@pytest.mark.parametrize("fields, body, framing", [
    (b"Content-Length: \t 3  \r\n", b"abc", ("content-length", "3")),
    (b"content-length:0003\r\n", b"abc", ("content-length", "3")),
    (b"Transfer-Encoding: \t chunked \t\r\n", b"003;x=y\r\nabc\r\n00\r\n\r\n", ("transfer-encoding", "chunked")),
    (b"TRANSFER-ENCODING:CHUNKED\r\n", b"3\r\nabc\r\n0\r\n\r\n", ("transfer-encoding", "chunked")),
], ids=["sized-blanks", "sized-zeros", "chunked-blanks", "chunked-upper"])
def test_framing_is_written_anew(way, fields, body, framing):
    """No spelling of the client's reaches the server: a second parser cannot read it in its own way."""
    way.start()
    with way.client() as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body)
        assert read_json(client.response())["length"] == 3
    lines = way.server.request().raw_head.split(b"\r\n")
    told = [line for line in lines if line.lower().startswith((b"content-length", b"transfer-encoding"))]
    assert [line.lower() for line in told] == [": ".join(framing).encode()], told


@pytest.mark.parametrize("line, target", [
    ("GET http://test.example HTTP/1.1", "/"),
    ("GET http://test.example?q HTTP/1.1", "/?q"),
    ("GET HTTP://TEST.example:80/a/../b?c HTTP/1.1", "/a/../b?c"),
    ("OPTIONS http://test.example HTTP/1.1", "*"),
    ("OPTIONS * HTTP/1.1", "*"),
    ("GET //other.example/x HTTP/1.1", "//other.example/x"),
    ("GET /http://other.example/ HTTP/1.1", "/http://other.example/"),
])
def test_every_form_of_a_target_reaches_the_server_in_origin_form(way, line, target):
    way.start()
    with way.client() as client:
        client.send(line.encode() + b"\r\n" + HOST + b"\r\n")
        assert client.response().status == 200
    seen = way.server.request()
    assert (seen.target, seen.all("host")) == (target, ["test.example"])


@pytest.mark.parametrize("line", [
    "GET test.example:80 HTTP/1.1", "GET http:///x HTTP/1.1", "GET http:/test.example/ HTTP/1.1", "GET ftp://test.example/ HTTP/1.1",
    "GET http://test.example:8x/ HTTP/1.1", "GET http://test.example#@other.example/ HTTP/1.1", "GET \\x HTTP/1.1",
    "OPTIONS *x HTTP/1.1", "GET http://test.example:81/ HTTP/1.1", "GET /\x80 HTTP/1.1"])
def test_other_targets_are_refused(way, line):
    way.start()
    with way.client() as client:
        client.send(line.encode("latin1") + b"\r\n" + HOST + b"\r\n")
        assert client.response().status == 400
        assert client.gone()
    assert not way.server.requests


def test_what_is_named_in_connection_cannot_take_our_headers_away(way):
    """A client that names X-Forwarded-For as hop-by-hop must not reach servers as nobody."""
    way.start()
    reply = way.request(headers=[("Connection", "X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, Host, Content-Length, X-Mine"),
                                 ("X-Forwarded-For", "9.9.9.9"), ("X-Mine", "1")], method="POST", body=b"abc")
    assert header(reply, "x-forwarded-for") == header(reply, "x-real-ip") == "127.0.0.1"
    assert header(reply, "x-forwarded-proto") == ("http" if way.mode == "http" else "https")
    assert header(reply, "host") == "test.example" and read_json(reply)["length"] == 3 and header(reply, "x-mine") is None


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n\r\npart", b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"],
                         ids=["sized", "chunked"])
@pytest.mark.parametrize("end", ["fin", "reset"])
def test_a_truncated_request_is_cut_at_the_server(way, head, end):
    """Whatever the client's side speaks, the server sees no end of a body that has none."""
    way.start(lambda r: response(200, b"whole"))
    client = way.client()
    client.send(b"POST / HTTP/1.1\r\n" + HOST + head)
    way.server.conn()
    if end == "reset":
        client.reset()
    elif way.mode == "http":
        client.shut()
        assert b"whole" not in _rest(client)
    else:  # a close_notify is an end of the client's bytes, but none of the message
        sock = client.sock
        sock.settimeout(30)
        try:
            sock.unwrap()
        except OSError:
            pass
    until(lambda: way.server.conns[0].ended_by is not None, "the server's connection is over")
    assert not way.server.requests
    client.close()
    way.gw.wait_idle()


def _rest(client):
    try:
        return client.rest()
    except (ConnectionError, socket.timeout):
        return b""


def test_a_cut_response_is_a_cut_to_an_http10_client_as_well(way):
    """HTTP/1.0 gets a body that ends with the connection: only the way it ends can tell that it is not whole."""
    go = threading.Event()

    def answer(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n")
        go.wait(30)
        return None
    way.start(answer)
    with way.client() as client:
        client.send(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n")
        client.until(b"only this")
        go.set()
        with pytest.raises((ConnectionError, OSError)):  # under TLS: an end without close_notify
            client.rest()


@pytest.mark.parametrize("target, host", [("/nowhere", "nowhere.example"), ("/x", "moved.example")])
def test_head_gets_our_own_answers_without_their_body(gateway, http_server, leaf, target, host):
    gw = gateway({"web": plain("test.example", http_server()), "tls": edge("moved.example", http_server())},
                 certs={"m.pem": leaf("moved.example")})
    with Client(gw.ports["http"]) as client:
        for _ in range(3):
            page = client.request("GET", target, host)
            head = client.request("HEAD", target, host)
            assert page.status == head.status and page.body and head.get("content-length") == page.get("content-length")
        assert client.request("GET", "/").status == 200


def test_our_errors_have_pages(way):
    """Each status has words of its own, in HTML, that nobody may store."""
    way.start(lambda r: None)
    seen = {}
    for status, data in {400: b"GET / HTTP/1.1\r\n\r\n", 405: b"CONNECT test.example:1 HTTP/1.1\r\nHost: test.example:1\r\n\r\n",
                         417: b"POST / HTTP/1.1\r\n" + HOST + b"Expect: x\r\nContent-Length: 1\r\n\r\n",
                         431: b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 150_000 + b"\r\n\r\n",
                         501: b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
                         505: b"GET / HTTP/1.3\r\n" + HOST + b"\r\n", 502: b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
                         (404 if way.mode == "http" else 421): b"GET / HTTP/1.1\r\nHost: nowhere.example\r\n\r\n"}.items():
        with way.client() as client:
            reply = client.send(data).response()
            assert reply.status == status
            assert reply.get("content-type", "").startswith("text/html") and reply.get("cache-control") == "no-store", reply
            seen[status] = reply.text
    assert len(set(seen.values())) == len(seen)


@pytest.mark.parametrize("token", ["Negotiate", "NTLM"])
def test_a_login_of_the_connection_is_not_shared_for_either_word(way, token):
    """Behaviours 14: Negotiate may be NTLM inside."""
    owners = {}

    def answer(request):
        if request.get("authorization", "").startswith(token):
            owners[id(request.conn)] = True
            return response(200, b"in")
        return response(200, b"in") if id(request.conn) in owners else response(401, b"", [("WWW-Authenticate", token)])
    way.start(answer, settings={"workers": 1})
    with way.client() as owner:
        assert owner.request(headers={"Authorization": f"{token} YWJj"}).body == b"in"
        assert owner.request().body == b"in"
        assert way.request().status == 401
        assert owner.request().body == b"in"
    assert way.request().status == 401


def test_a_client_that_leaves_while_its_server_is_connected_to_frees_everything(gateway):
    """The listener's backlog is full, so that no SYN is answered."""
    full = FullListener()
    gw = gateway({"test": plain("test.example", full, timeouts={"connect": "10m"})})
    client = Client(gw.ports["http"])
    client.send_request()
    until(lambda: [c for c in gw.connections() if c.state == "SYN_SENT"], "it is connecting")
    client.reset()
    gw.wait_idle()
    assert gw.access(service="test")["end"] == "client_cut"
    full.close()


def test_the_client_is_read_from_forwarded_too(way):
    """RFC 7239 from a trusted peer; the rightmost address that is not trusted."""
    way.start(settings={"trusted_proxies": ["127.0.0.1/32", "10.0.0.0/8"]})
    for value, client in (('for=6.6.6.6, for="[2001:db8::7]:4711";proto=https', "2001:db8::7"),
                          ("For=203.0.113.9, for=10.1.1.1", "203.0.113.9"),
                          ("for=unknown", "127.0.0.1"), ("nonsense=", "127.0.0.1")):
        reply = way.request(headers=[("Forwarded", value)])
        assert header(reply, "x-real-ip") == client, value
        assert header(reply, "forwarded") is None


def test_a_head_over_its_limit_on_a_connection_in_use(way):
    """The connection ends after the 431, but what was answered before stays whole."""
    way.start(lambda r: response(200, b"fine"))
    with way.client() as client:
        client.send(b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\nGET /2 HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 150_000 + b"\r\n\r\n")
        assert client.response().body == b"fine"
        assert client.response().status == 431
        assert client.gone()
    assert [r.target for r in way.server.requests] == ["/1"]


def test_one_answer_for_a_name_in_any_spelling(gateway, http_server):
    server = http_server()
    gw = gateway({"web": plain("a.example", server)})
    for host in ("a.example", "A.EXAMPLE", "a.example.", "a.example:80", "A.example.:8080"):
        assert http(gw.ports["http"], host=host).status == 200, host
    for host in ("a.example#", "a.example#.other", "a.example?", "a.example\\", "a.example%2e", "a..example", "[::1", "::1"):
        assert http(gw.ports["http"], host=host).status in (400, 404), host
    assert len(server.requests) == 5


def test_requests_without_end_from_a_client_that_does_not_read(way):
    """Pipelining is held back like anything else: one request at a time, and bounded memory."""
    way.start(lambda r: response(200, bytes(200_000)))
    with way.client(timeout=2) as client:
        block, sent, most = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 0, (64 << 20) + kernel_room()
        with pytest.raises((socket.timeout, OSError)):
            while sent < most:
                client.sock.sendall(block * 1000)
                sent += len(block) * 1000
        assert sent < most, "nothing held the client back"
        assert len(way.server.requests) < 1000
        assert sanitized() or way.gw.memory("VmHWM") < 64 << 20
    way.gw.wait_idle(slack=1)


def test_a_body_waits_for_the_server_that_takes_it(gateway, http_server):
    """The first server does not answer the SYN: what the client sent meanwhile reaches the second one, whole and once."""
    full = FullListener()
    server = http_server(lambda r: response(200, r.body[-10:]))
    gw = gateway({"test": plain("test.example", full, server, timeouts={"connect": "400ms"})})
    for size in (10, 50_000, 5_000_000):
        for _ in range(2):  # each server's turn
            with Client(gw.ports["http"]) as client:
                body = bytes(size - 10) + b"0123456789"
                assert client.request("POST", body=body).body == b"0123456789"
    assert [len(r.body) for r in server.requests] == [10, 10, 50_000, 50_000, 5_000_000, 5_000_000]
    full.close()


def test_what_follows_an_upgrade_at_once_is_not_lost(way):
    """A client that does not wait for the 101 sends bytes of the new protocol: they are held, not read as a request."""
    def answer(request):
        assert not request.conn.buffer
        request.conn.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: custom\r\n\r\n")
        request.conn.send(b"got " + request.conn.exactly(len(early)))
        return None
    early = b"GET /not-a-request HTTP/1.1\r\n\r\n" + bytes(1000)
    way.start(answer)
    with way.client() as client:
        client.send(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: custom\r\n\r\n" + early)
        assert client.response().status == 101
        assert client.exactly(4 + len(early)) == b"got " + early
    assert len(way.server.requests) == 1


@pytest.mark.parametrize("method, answer", [
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"x\"\r\n\r\n"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("HEAD", b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n"),
    ("GET", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
], ids=["304-sized", "head-chunked", "head-404", "205"])
def test_responses_without_a_body_keep_both_connections(way, method, answer):
    way.start(lambda r: answer if r.target == "/none" else response(200, b"body"))
    with way.client() as client:
        for _ in range(3):
            assert client.request(method, "/none").body == b""
            assert client.request().body == b"body"
    assert len(way.server.conns) == 1
