"""Which server a request goes to: shares over all workers, hashes, loads, backups."""
import collections
import re
import subprocess
import threading

import pytest

from harness import hello
from harness.client import Client, http
from harness.http_server import response
from harness.real import Nginx
from harness.server import pause, refused_port
from harness.services import passthrough, plain, tcp
from harness.ports import free_port
from harness.wait import until


def named(http_server, *names):
    return [http_server(lambda r, n=n: response(200, n)) for n in names]


def where(gw, target="/", **kw):
    return http(gw.ports["http"], target, **kw).text


@pytest.fixture
def three_nginx():
    servers = [Nginx(extra="location = /n { return 200 ok; }") for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


def logged(server):
    with open(server.dir + "/access.log") as f:
        return sum("GET /n " in line for line in f)


@pytest.mark.parametrize("balance", ["round-robin", "random"])
def test_20000_requests_of_two_workers_keep_to_the_weights(gateway, three_nginx, balance):
    weights = [5, 3, 2]
    servers = [{"address": s.address, "weight": w, "name": f"n{w}"} for s, w in zip(three_nginx, weights)]
    gw = gateway({"web": plain("test.example", *servers, balance=balance)}, settings={"workers": 2, "logs": {"access": False}})
    done = subprocess.run(["h2load", "--h1", "-n20000", "-c20", "-t2", f"--connect-to=127.0.0.1:{gw.ports['http']}",
                           f"http://test.example:{gw.ports['http']}/n"], capture_output=True, text=True, timeout=300)
    assert re.search(r"20000 succeeded, 0 failed, 0 errored", done.stdout), done.stdout + done.stderr
    until(lambda: sum(map(logged, three_nginx)) == 20000, lambda: [logged(s) for s in three_nginx])
    for server, weight in zip(three_nginx, weights):
        allowed = 0.02 if balance == "round-robin" else 0.05  # by chance
        assert abs(logged(server) / 20000 - weight / 10) <= allowed, [logged(s) for s in three_nginx]


def test_source_hash_moves_only_the_clients_of_a_server_that_left(gateway, http_server):
    servers = named(http_server, "a", "b", "c", "d")
    by = {"balance": "source-hash", "health": "off"}
    whole = gateway({"web": plain("test.example", *servers, **by)})
    less = gateway({"web": plain("test.example", *servers[1:], **by)})
    sources = [f"127.0.{n // 200 + 1}.{n % 200 + 1}" for n in range(400)]
    moved = 0
    for source in sources:
        before, after = where(whole, source=source), where(less, source=source)
        if before != "a":
            assert before == after, source
        moved += before != after
    assert moved / len(sources) <= 1 / 4 + 0.05


def test_uri_hash_goes_by_the_path(gateway, http_server):
    servers = named(http_server, "a", "b", "c")
    gw = gateway({"web": plain("test.example", *servers, balance="uri-hash")})
    chosen = {}
    for n in range(60):
        answers = {where(gw, f"/page{n}{query}", source=f"127.0.0.{n % 5 + 2}") for query in ("", "?a=1", "?b")}
        assert len(answers) == 1, answers
        chosen[n] = answers.pop()
    assert set(chosen.values()) == {"a", "b", "c"}


def test_random_prefers_the_server_with_less_to_do(gateway, http_server):
    go = threading.Event()

    def held(request):
        if request.target == "/wait":
            pause(go)
        return response(200, "busy")
    busy, idle = http_server(held), named(http_server, "idle")[0]
    gw = gateway({"web": plain("test.example", busy, idle, balance="random", health="off")})
    waiting = []
    while len([c for c in waiting]) < 12:
        client = Client(gw.ports["http"])
        client.send_request("GET", "/wait")
        waiting.append(client)
    until(lambda: len(busy.requests) + len(idle.requests) == 12, "all have come")
    seen = collections.Counter(where(gw) for _ in range(60))
    go.set()
    for client in waiting:
        client.response()
        client.close()
    assert seen["idle"] > seen["busy"], seen


def test_a_backup_serves_only_while_no_other_is_up(gateway, http_server):
    main, spare = named(http_server, "main", "spare")
    gw = gateway({"web": plain("test.example", main, {"address": spare.address, "backup": True}, health={"type": "tcp", "interval": "200ms"})})
    assert {where(gw) for _ in range(6)} == {"main"}
    main.kill()
    until(lambda: http(gw.ports["http"]).text == "spare", "the backup serves")
    assert {where(gw) for _ in range(6)} == {"spare"}


def test_a_backup_is_tried_when_the_connect_fails(gateway, http_server):
    spare = named(http_server, "spare")[0]
    gw = gateway({"web": plain("test.example", f"127.0.0.1:{refused_port()}", {"address": spare.address, "backup": True}, health="off")})
    assert {where(gw) for _ in range(4)} == {"spare"}


def test_all_down_is_503_at_once_and_says_when_to_come_back(gateway, tcp_server):
    port = free_port()
    dead = [f"127.0.0.1:{refused_port()}" for _ in range(2)]
    check = {"type": "tcp", "interval": "200ms", "fall": 1}
    gw = gateway({"web": plain("test.example", *dead, health=check), "own": passthrough("own.example", *dead, health=check),
                  "raw": tcp(f"127.0.0.1:{port}", *dead, health=check)})
    until(lambda: gw.wait_log("web") is None and http(gw.ports["http"]).status == 503, "it is known to be down")
    reply = http(gw.ports["http"], timeout=2)
    assert reply.status == 503 and int(reply.get("retry-after")) > 0
    assert gw.access(service="web", status=503)["end"] in ("no_server", "server_refused")
    for where_to, first in ((gw.ports["https"], hello.build("own.example")), (port, b"")):
        try:  # the reset may be there before the connect has returned
            with Client(where_to, timeout=2) as client:
                assert client.send(first).gone()
        except ConnectionError:
            pass


def test_slow_start_gives_a_server_that_came_back_less_at_first(gateway, http_server):
    steady, back = named(http_server, "steady", "back")
    port = back.port
    gw = gateway({"web": plain("test.example", steady, back, slow_start="20s", health={"type": "tcp", "interval": "100ms", "rise": 1, "fall": 1})})
    back.kill()
    gw.wait_log("is down: ")
    http_server(lambda r: response(200, "back"), port=port)
    gw.wait_log("is up again")
    seen = collections.Counter(where(gw) for _ in range(200))
    assert seen["back"] < 60, seen  # a half, without slow_start
