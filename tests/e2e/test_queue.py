"""max_connections of a server, and the queue before it."""
import concurrent.futures
import socket
import threading
import time

import pytest

from harness import hello, websocket
from harness.client import Client, http
from harness.http_server import HttpServer, response
from harness.ports import free_port
from harness.server import Server, echo, pause
from harness.services import passthrough, plain, tcp
from harness.wait import until


class Crowd:
    """The most connections of a server that were open at once, as the kernel sees it: a thread may learn late of an end."""

    def __init__(self):
        self.most = 0
        self.lock = threading.Lock()

    def look(self, server):
        with self.lock:
            self.most = max(self.most, server.open_now())


class CountedHttp(HttpServer):
    def __init__(self, *args, **kw):
        self.crowd = Crowd()
        super().__init__(*args, **kw)

    def handler(self, conn):
        self.crowd.look(self)
        super().handler(conn)


class CountedBytes(Server):
    def __init__(self, *args, **kw):
        self.crowd = Crowd()
        super().__init__(*args, **kw)

    def handler(self, conn):
        self.crowd.look(self)
        echo(conn)


@pytest.fixture
def counted():
    made = []

    def make(kind, *args, **kw):
        made.append(kind(*args, **kw))
        return made[-1]
    yield make
    for one in made:
        one.stop()
        assert not one.errors, one.errors


def limited(server, most, **keys):
    return {"address": server.address, "max_connections": most, **keys}


def slowly(request):
    time.sleep(0.02)  # the work that takes a while
    return response(200, "done")


@pytest.mark.parametrize("workers", [1, 2])
def test_never_more_connections_and_nobody_lost(gateway, counted, workers):
    servers = [counted(CountedHttp, slowly) for _ in range(2)]
    gw = gateway({"web": plain("test.example", *[limited(s, 3) for s in servers], health="off")}, settings={"workers": workers})
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(lambda _: http(gw.ports["http"], timeout=30), range(240)))
    assert {reply.status for reply in replies} == {200}
    assert all(0 < server.crowd.most <= 3 for server in servers), [s.crowd.most for s in servers]


def test_an_idle_connection_of_another_worker_is_given_up(gateway, counted):
    """One connection allowed, two workers: whoever has it idle lets go of it for the other."""
    server = counted(CountedHttp, lambda r: response(200, "ok"))
    gw = gateway({"web": plain("test.example", limited(server, 1))}, settings={"workers": 2})
    start = time.monotonic()
    for _ in range(40):
        assert http(gw.ports["http"], timeout=10).status == 200
    assert time.monotonic() - start < 10
    assert server.crowd.most == 1


def test_first_come_first_served(gateway, counted):
    go = threading.Event()
    order = []

    def answer(request):
        if request.target == "/hold":
            pause(go)
        else:
            order.append(request.target)
        return response(200, "ok")
    server = counted(CountedHttp, answer)
    gw = gateway({"web": plain("test.example", limited(server, 1))}, settings={"workers": 2})
    holder = Client(gw.ports["http"])
    holder.send_request("GET", "/hold")
    until(lambda: len(server.requests) == 1, "the place is taken")
    clients = []
    for n in range(8):
        client = Client(gw.ports["http"])
        client.send_request("GET", f"/{n}")
        clients.append(client)
        time.sleep(0.1)  # so that the order of coming is one
    assert not order
    go.set()
    for client in [holder, *clients]:
        assert client.response().status == 200
        client.close()
    assert order == [f"/{n}" for n in range(8)]


def test_a_full_queue_is_503_at_once(gateway, counted):
    go = threading.Event()
    server = counted(CountedHttp, lambda r: (pause(go), response(200, "ok"))[1])
    gw = gateway({"web": plain("test.example", limited(server, 1), queue={"size": 2, "timeout": "20s"})})
    clients = []
    for _ in range(3):
        client = Client(gw.ports["http"])
        client.send_request()
        clients.append(client)
        time.sleep(0.1)
    reply = http(gw.ports["http"], timeout=3)
    assert reply.status == 503 and reply.get("retry-after")
    assert gw.access(status=503)["end"] == "limit"
    go.set()
    for client in clients:
        assert client.response().status == 200
        client.close()


def test_waiting_ends_with_the_time_of_the_queue(gateway, counted):
    go = threading.Event()
    server = counted(CountedHttp, lambda r: (pause(go), response(200, "ok"))[1])
    gw = gateway({"web": plain("test.example", limited(server, 1), queue={"timeout": "500ms"})})
    holder = Client(gw.ports["http"])
    holder.send_request()
    until(lambda: len(server.requests) == 1, "the place is taken")
    start = time.monotonic()
    assert http(gw.ports["http"]).status == 503
    assert 0.4 < time.monotonic() - start < 5
    go.set()
    assert holder.response().status == 200
    holder.close()


def test_a_client_that_leaves_frees_its_place_in_the_queue(gateway, counted):
    go = threading.Event()
    server = counted(CountedHttp, lambda r: (pause(go), response(200, "ok"))[1])
    gw = gateway({"web": plain("test.example", limited(server, 1), queue={"size": 1})})
    holder = Client(gw.ports["http"])
    holder.send_request()
    until(lambda: len(server.requests) == 1, "the place is taken")
    leaver = Client(gw.ports["http"])
    leaver.send_request("GET", "/left")
    time.sleep(0.5)  # it stands in the queue by now
    assert http(gw.ports["http"], timeout=3).status == 503
    leaver.reset()
    late = Client(gw.ports["http"])

    def accepted():
        late.send_request("GET", "/late")
        late.sock.settimeout(0.5)
        try:
            reply = late.response()
            assert reply.status == 503
            return False
        except socket.timeout:
            late.sock.settimeout(30)
            return True
    until(accepted, "the place in the queue is free")
    go.set()
    assert holder.response().status == 200 and late.response().status == 200
    assert "/left" not in [request.target for request in server.requests]
    holder.close()
    late.close()


def test_a_websocket_holds_its_place(gateway, counted):
    server = counted(CountedHttp, lambda r: websocket.serve(r) if r.get("upgrade") else response(200, "ok"))
    gw = gateway({"web": plain("test.example", limited(server, 1), queue={"timeout": "700ms"})})
    with Client(gw.ports["http"]) as client:
        assert websocket.upgrade(client).status == 101
        assert http(gw.ports["http"]).status == 503
        client.send(websocket.frame(b"still here", True))
        assert websocket.read_frame(client)[1] == b"still here"
    until(lambda: http(gw.ports["http"]).status == 200, "the place is free")


def test_bytes_wait_as_well(gateway, counted):
    port = free_port()
    one, two = counted(CountedBytes), counted(CountedBytes)
    gw = gateway({"own": passthrough("own.example", limited(one, 1)), "raw": tcp(f"127.0.0.1:{port}", limited(two, 1))})
    for where, first in ((gw.ports["https"], hello.build("own.example")), (port, b"hi")):
        holder = Client(where)
        assert holder.send(first).exactly(len(first)) == first
        waiter = Client(where)
        waiter.send(first)
        waiter.sock.settimeout(0.5)
        with pytest.raises(socket.timeout):
            waiter.exactly(1)
        holder.close()
        waiter.sock.settimeout(30)
        assert waiter.exactly(len(first)) == first
        waiter.close()
    assert one.crowd.most == two.crowd.most == 1


def test_who_waits_for_a_server_that_dies_goes_to_another(gateway, counted):
    go = threading.Event()
    hold = lambda r: (pause(go), response(200, "held"))[1]  # noqa: E731
    first, second = counted(CountedHttp, hold), counted(CountedHttp, hold)
    gw = gateway({"web": plain("test.example", limited(first, 1), limited(second, 1),
                               health={"type": "tcp", "interval": "100ms", "fall": 1, "rise": 1}, queue={"timeout": "20s"})})
    holders = []
    for _ in range(2):
        client = Client(gw.ports["http"])
        client.send_request()
        holders.append(client)
    until(lambda: len(first.requests) == len(second.requests) == 1, "both are busy")
    waiter = Client(gw.ports["http"])
    waiter.send_request("GET", "/w")
    first.kill()
    gw.wait_log("is down: ")
    go.set()
    assert waiter.response().status == 200
    for client in [waiter, *holders]:
        client.close()
