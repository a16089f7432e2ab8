"""Server connections kept for the next request: who may use them, and when not."""
import threading

from harness.client import Client, http
from harness.http_server import response
from harness.services import plain


def test_ntlm_pins_the_server_connection(way):
    """NTLM logs in a connection, not a request: no other client may come by it (behaviours 14)."""
    logged_in = {}

    def answer(request):
        conn = request.conn
        word = request.get("authorization", "")
        if word == "NTLM one":
            return response(401, b"", [("WWW-Authenticate", "NTLM challenge")])
        if word == "NTLM two":
            logged_in[id(conn)] = "alice"
        who = logged_in.get(id(conn))
        return response(200, who) if who else response(401, b"", [("WWW-Authenticate", "NTLM"), ("WWW-Authenticate", "Basic")])
    way.start(answer, settings={"workers": 1})
    with way.client() as alice:
        assert alice.request().status == 401
        assert alice.request(headers={"Authorization": "NTLM one"}).get("www-authenticate") == "NTLM challenge"
        assert alice.request(headers={"Authorization": "NTLM two"}).text == "alice"
        for _ in range(5):
            with way.client() as mallory:
                assert mallory.request().status == 401, "another client on a connection that is logged in"
            assert alice.request().text == "alice"
    with way.client() as mallory:
        assert mallory.request().status == 401, "also after its owner has left"


def test_a_request_with_a_refused_body_does_not_spoil_the_next(way):
    """The server answers early; the rest of that body must not become the next request."""
    def answer(request):
        if request.target == "/early":
            request.conn.send(response(400, b"early"))
            request.conn.wait_gone()
            return None
        return response(200, b"right")
    way.start(answer, auto_body=False)
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n"
    with way.client() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: test.example\r\nContent-Length: %d\r\n\r\n" % (len(smuggled) * 2))
        client.send(smuggled)
        assert client.response().body == b"early"
        try:
            client.send(smuggled)
            client.rest()
        except OSError:
            pass
    for _ in range(3):
        assert way.request().body == b"right"
    assert not [r for r in way.server.requests if r.target == "/smuggled"]


def test_a_half_read_response_is_not_pooled(way):
    """The client goes away in the middle: what is left of that response must not reach another."""
    go = threading.Event()

    def answer(request):
        if request.target == "/long":
            request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
            go.wait(30)
            try:
                request.conn.send(b"x" * 500)
            except OSError:
                return None
            return b""
        return response(200, b"right")
    way.start(answer, settings={"workers": 1})
    client = way.client()
    client.send_request("GET", "/long")
    client.until(b"\r\n\r\n")
    client.reset()
    assert way.request().body == b"right"
    go.set()
    for _ in range(3):
        assert way.request().body == b"right"


def test_idle_server_connections_do_not_pile_up(gateway, http_server):
    server = http_server()
    gw = gateway({"web": plain("test.example", server)}, settings={"workers": 1})
    barrier = threading.Barrier(50)
    failures = []

    def one():
        try:
            with Client(gw.ports["http"]) as client:
                barrier.wait(60)
                assert client.request().status == 200
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    before = len(server.conns)
    for _ in range(100):
        assert http(gw.ports["http"]).status == 200
    assert len(server.conns) == before, "later requests use what is there"


def test_services_with_one_server_keep_their_own_rules(gateway, http_server):
    """Two services, one server: the PROXY header of one must not be found on the other's connections."""
    server = http_server(lambda r: response(200, r.get("host")))
    gw = gateway({"a": plain("a.example", server), "b": plain("b.example", server)}, settings={"workers": 1})
    for name in ("a.example", "b.example") * 3:
        assert http(gw.ports["http"], host=name).text == name
