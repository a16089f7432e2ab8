"""A reload changes what was changed, at once, and nothing else."""
import json
import os
import shutil
import signal
import time

import pytest

from harness.client import Client, http
from harness.gateway import command, merge
from harness.h2_client import H2Client
from harness.ports import free_port
from harness.reloading import reload, reloads, remove, replace, says, Socket, status, wait_reload
from harness.server import echo
from harness.services import edge, passthrough, plain, tcp
from harness.wait import until

KEEP = {"interval": "100ms", "fall": 1, "rise": 1, "type": "tcp"}


@pytest.mark.parametrize("asked", [True, False])
def test_a_new_file_is_served(gateway, http_server, asked):
    """By itself within a second of the file; the best of three counts, as the machine may be busy."""
    server = says(http_server, "here")
    gw = gateway({"first": plain("first.example", server)})
    times = []
    for n in range(3):
        host = f"new{n}.example"
        assert status(gw.ports["http"], host) == 404
        begun = time.monotonic()
        gw.config.service(f"new{n}", plain(host, server))
        if asked:
            reload(gw)
        until(lambda h=host: status(gw.ports["http"], h) == 200, "it is served")
        times.append(time.monotonic() - begun)
    assert min(times) < 1.0, times
    gw.wait_log("added new2")


def test_a_removed_file_is_served_no_longer(gateway, http_server):
    server = says(http_server, "here")
    gw = gateway({"a": plain("a.example", server), "b": plain("b.example", server)})
    with Client(gw.ports["http"]) as kept:
        assert kept.request(host="a.example").status == 200
        before = reloads(gw)
        remove(gw, "a")
        wait_reload(gw, before)
        assert kept.request(host="a.example").status == 404  # on a connection of before
        assert kept.request(host="b.example").status == 200


@pytest.mark.parametrize("broken", ["mode: passthru\nhosts: [a.example]\n", "{", "", "mode: http\nhosts: [b.example]\nservers: [1]\n"])
def test_a_broken_file_changes_nothing_that_runs(gateway, http_server, broken):
    one, two = says(http_server, "one", "two")
    gw = gateway({"a": plain("a.example", one), "b": plain("b.example", two)})
    with Client(gw.ports["http"]) as kept:
        assert kept.request(host="a.example").text == "one"
        replace(gw, "conf.d/a.yaml", broken)
        replace(gw, "conf.d/new.yaml", "mode: htp\n")
        reload(gw)
        if broken:
            gw.wait_log("conf.d/a.yaml:")
            gw.wait_log("service a goes on as it was before")
            assert kept.request(host="a.example").text == "one"
        assert kept.request(host="b.example").text == "two"
        gw.wait_log("conf.d/new.yaml:1:7: unknown mode")
        reload(gw)  # and again: what was kept stays kept
        assert not broken or http(gw.ports["http"], host="a.example").text == "one"
        gw.config.service("a", plain("a.example", two))
        reload(gw)
        assert kept.request(host="a.example").text == "two"


def test_a_broken_gateway_yaml_leaves_the_old_one(gateway, http_server):
    server = says(http_server, "here")
    gw = gateway({"a": plain("a.example", server)})
    text = open(os.path.join(gw.config.dir, "gateway.yaml")).read()
    replace(gw, "gateway.yaml", text + "\nnonsense: 1\n")
    gw.config.service("b", plain("b.example", server))
    reload(gw)
    gw.wait_log("the last good one stays")
    assert status(gw.ports["http"], "a.example") == 200
    assert status(gw.ports["http"], "b.example") == 200  # services are taken up all the same
    replace(gw, "gateway.yaml", text)
    reload(gw)
    assert status(gw.ports["http"], "b.example") == 200


def test_what_did_not_change_keeps_its_connections(gateway, http_server, leaf, ca):
    """Towards clients and towards servers: the same sockets before and after."""
    kept, changed = says(http_server, "kept", "changed")
    gw = gateway({"kept": edge("kept.example", kept), "changed": edge("changed.example", changed)},
                 certs={"c.pem": leaf("kept.example", "changed.example")}, settings={"workers": 1})
    tls = ca.client_context()
    with Client(gw.ports["https"], tls, "kept.example") as client, \
            H2Client(gw.ports["https"], ca.client_context(alpn=["h2"]), "kept.example") as two:
        for n in range(4):
            assert client.request(host="kept.example").text == "kept"
            assert two.request(host="kept.example").text == "kept"
            gw.config.service("changed", edge("changed.example", changed, headers={"response": {"set": {"X-Round": str(n)}}}))
            reload(gw)
            assert http(gw.ports["https"], host="changed.example", tls=tls).get("x-round") == str(n)
        assert not two.goaways
    assert len({id(request.conn) for request in kept.requests}) == 1
    assert gw.access(service="kept", count=8)


def test_a_connection_of_before_sees_what_is_new(gateway, http_server, leaf, ca):
    """HTTP/1.1 and HTTP/2 connections are routed by the newest configuration from their next request on."""
    one, two = says(http_server, "one", "two")
    gw = gateway({"a": edge("a.example", one)}, certs={"c.pem": leaf("a.example", "b.example")})
    with Client(gw.ports["https"], ca.client_context(), "a.example") as h1, \
            H2Client(gw.ports["https"], ca.client_context(alpn=["h2"]), "a.example") as h2:
        for client in (h1, h2):
            assert client.request(host="a.example").text == "one"
            assert client.request(host="b.example").status == 421
        gw.config.service("a", edge("a.example", two))
        gw.config.service("b", edge("b.example", one))
        reload(gw)
        for client in (h1, h2):
            assert client.request(host="a.example").text == "two"
            assert client.request(host="b.example").text == "one"


def test_relays_end_with_their_service_only(gateway, http_server, tcp_server, leaf, ca):
    """WebSockets, passed-through, SSH and tcp connections: those of a service that stays or changes go on for good,
    those of one that is removed for the drain time."""
    server = says(http_server, "here")
    own = leaf("own.example")
    behind = tcp_server(echo, tls=own.server_context())
    raw = tcp_server(echo)
    port, other = free_port(), free_port()
    files = {"kept": plain("kept.example", server), "changed": plain("changed.example", server), "gone": plain("gone.example", server),
             "own": passthrough("own.example", behind), "raw": tcp(f"127.0.0.1:{port}", raw), "raw-gone": tcp(f"127.0.0.1:{other}", raw)}
    gw = gateway(files, settings={"drain_timeout": "1s"})
    kept, changed, gone = [Socket(gw.ports["http"], f"{name}.example") for name in ("kept", "changed", "gone")]
    tls = ca.client_context()
    with Client(gw.ports["https"], tls, "own.example") as passed, Client(port) as bytes_, Client(other) as cut:
        for client in (passed, bytes_, cut):
            assert client.send(b"x").exactly(1) == b"x"
        gw.config.service("changed", plain("changed.example", server, timeouts={"tunnel": "2h"}))
        gw.config.service("own", passthrough("own.example", behind, retries=1))
        gw.config.service("raw", tcp(f"127.0.0.1:{port}", {"address": raw.address, "weight": 2}))
        remove(gw, "gone")
        remove(gw, "raw-gone")
        begun = time.monotonic()
        reload(gw)
        assert gone.works() and cut.send(b"x").exactly(1) == b"x"
        until(lambda: cut.gone(), "the relay of a removed service is cut")
        assert time.monotonic() - begun > 0.5
        until(gone.is_cut, "the WebSocket of a removed service is cut")
        time.sleep(1.2)  # longer than drain_timeout once more
        for client in (passed, bytes_):
            assert client.send(b"y").exactly(1) == b"y"
        assert kept.works() and changed.works()
        gw.access(service="gone", end="drain")
        gw.access(service="raw-gone", end="drain")
    for one in (kept, changed, gone):
        one.close()


def test_a_removed_server_ends_its_relays(gateway, http_server):
    one, two = says(http_server, "one", "two")
    gw = gateway({"a": plain("a.example", one, two)}, settings={"drain_timeout": "500ms"})
    sockets = [Socket(gw.ports["http"], "a.example") for _ in range(4)]
    assert all(s.works() for s in sockets)
    gw.config.service("a", plain("a.example", two))
    reload(gw)
    until(lambda: sum(s.is_cut() for s in sockets) == 2, "those of the removed server are cut")
    assert {http(gw.ports["http"], host="a.example").text for _ in range(4)} == {"two"}
    for s in sockets:
        s.close()


def test_a_download_runs_through_a_change_of_its_service(gateway, http_server):
    body = os.urandom(1 << 20) * 24

    def slowly(request):
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 1 << 20):
            request.conn.send(body[at:at + (1 << 20)])
            time.sleep(0.05)
        return b""
    server = http_server(slowly)
    gw = gateway({"a": plain("a.example", server)}, settings={"drain_timeout": "100ms"})
    with Client(gw.ports["http"]) as client:
        client.send_request(host="a.example")
        head = client.head()
        for n in range(3):
            gw.config.service("a", plain("a.example", server, headers={"response": {"set": {"X-Round": str(n)}}}))
            reload(gw)
        assert head.status == 200 and client.exactly(len(body)) == body


def test_health_state_is_carried_over(gateway, http_server):
    """A server that is down stays down: no request meets it, before a check had its turn."""
    alive = says(http_server, "alive")
    dead = free_port()
    two = plain("a.example", alive, f"127.0.0.1:{dead}", retries=0, health={**KEEP, "interval": "30s"})
    fast = plain("a.example", alive, f"127.0.0.1:{dead}", retries=0, health=KEEP)
    gw = gateway({"a": fast})
    gw.wait_log("is down: ")
    gw.config.service("a", two)
    gw.config.service("b", plain("b.example", alive))
    reload(gw)
    assert {http(gw.ports["http"], host="a.example").status for _ in range(10)} == {200}
    assert sum("is down: " in line for line in gw.lines) == 1


def test_sticky_clients_stay_where_they_are(gateway, http_server):
    servers = says(http_server, "one", "two", "three")
    text = plain("a.example", *servers, sticky={"by": "source"})
    gw = gateway({"a": text})
    where = {n: http(gw.ports["http"], host="a.example", source=f"127.0.0.{n}").text for n in range(2, 12)}
    for n in range(3):
        gw.config.service("a", merge(text, {"retries": n + 1}))
        reload(gw)
        assert where == {n: http(gw.ports["http"], host="a.example", source=f"127.0.0.{n}").text for n in where}


def test_slots_are_counted_over_a_reload(gateway, http_server):
    """A server's max_connections holds for the connections of before too."""
    server = says(http_server, "here")
    limited = {"address": server.address, "max_connections": 1}
    text = plain("a.example", limited, queue={"size": 1, "timeout": "300ms"}, health="off")
    gw = gateway({"a": text})
    first = Socket(gw.ports["http"], "a.example")
    gw.config.service("a", merge(text, {"retries": 7}))
    reload(gw)
    assert first.works()
    assert status(gw.ports["http"], "a.example") == 503
    first.close()
    until(lambda: status(gw.ports["http"], "a.example") == 200, "the slot is free again")


def test_editors_and_volumes(gateway, http_server):
    """Swap files and backups mean nothing; a Kubernetes volume swaps a link; a folder that comes later is seen."""
    server = says(http_server, "here")
    gw = gateway({"a": plain("a.example", server)})
    folder = os.path.join(gw.config.dir, "conf.d")
    for name in (".a.yaml.swp", "a.yaml~", "4913", "#a.yaml#"):
        with open(os.path.join(folder, name), "w") as out:
            out.write("no")
    deep = os.path.join(folder, "sub", "deeper")
    os.makedirs(deep)
    with open(os.path.join(deep, "late.yaml"), "w") as out:
        out.write(f"mode: http\nhosts: [late.example]\nservers: [{server.address}]\n")
    until(lambda: status(gw.ports["http"], "late.example") == 200, "a file in a new folder")
    volume = os.path.join(gw.config.dir, "volume")
    for n in (1, 2):
        os.makedirs(f"{volume}/..{n}")
        with open(f"{volume}/..{n}/v.yaml", "w") as out:
            out.write(f"mode: http\nhosts: [v{n}.example]\nservers: [{server.address}]\n")
    os.symlink("..1", f"{volume}/..data")
    os.symlink("..data/v.yaml", f"{volume}/v.yaml")
    os.symlink(volume, os.path.join(folder, "volume"))
    until(lambda: status(gw.ports["http"], "v1.example") == 200, "a folder behind a link")
    os.symlink("..2", f"{volume}/..next")
    os.rename(f"{volume}/..next", f"{volume}/..data")
    until(lambda: status(gw.ports["http"], "v2.example") == 200, "the link was swapped")
    assert status(gw.ports["http"], "v1.example") == 404


def test_systemd_is_told(gateway, http_server):
    gw = gateway({"a": plain("a.example", says(http_server, "here"))})
    gw.config.service("b", plain("b.example", "127.0.0.1:9"))
    gw.signal(signal.SIGHUP)
    gw.wait_notified(b"RELOADING=1")
    gw.wait_notified(b"READY=1", count=2)
    words = [text for _, text in gw.notified]
    begun = next(n for n, text in enumerate(words) if b"RELOADING=1" in text)
    assert b"MONOTONIC_USEC=" in words[begun]
    assert any(b"READY=1" in text and b"serving 2 services" in text for text in words[begun:])


def test_the_configuration_folder_goes_and_comes(gateway, http_server):
    """A mount that is gone is no wish to serve nothing."""
    gw = gateway({"a": plain("a.example", says(http_server, "here"))})
    folder = os.path.join(gw.config.dir, "conf.d")
    shutil.move(folder, folder + ".away")
    reload(gw)
    assert status(gw.ports["http"], "a.example") == 200
    shutil.move(folder + ".away", folder)
    reload(gw)
    assert status(gw.ports["http"], "a.example") == 200


def test_many_reloads_at_once(gateway, http_server):
    """Twenty signals and as many files: the last state is what is served."""
    server = says(http_server, "here")
    gw = gateway({"a": plain("a.example", server)})
    for n in range(20):
        gw.config.service("b", plain(f"b{n}.example", server))
        gw.signal(signal.SIGHUP)
    until(lambda: status(gw.ports["http"], "b19.example") == 200, "the last one is served")
    assert status(gw.ports["http"], "b18.example") == 404


def test_a_server_whose_weight_changes_is_the_same(gateway, http_server):
    """What an operator said of it holds, it keeps its connections and its counters, and a name keeps its address."""
    one, two = says(http_server, "one", "two")
    names = [server.address.replace("127.0.0.1", "localhost") for server in (one, two)]
    text = plain("a.example", *names, resolve="first", health="off", retries=0)
    gw = gateway({"a": text})
    until(lambda: status(gw.ports["http"], "a.example") == 200, "its names are known")
    for _ in range(4):
        assert status(gw.ports["http"], "a.example") == 200
    assert command("disable", f"a/{names[0]}", "--config", gw.config.dir).returncode == 0
    seen = set()
    for weight in (2, 5, 9):
        text["servers"] = [{"address": names[0], "weight": weight}, {"address": names[1], "backup": weight == 5}]
        gw.config.service("a", text)
        gw.signal(signal.SIGHUP)
        for _ in range(60):
            reply = http(gw.ports["http"], host="a.example")
            assert reply.status == 200, gw.log_text()
            seen.add(reply.text)
    assert seen == {"two"}
    reload(gw)
    told = json.loads(command("servers", "a", "--json", "--config", gw.config.dir).stdout)["servers"]
    assert [(one["admin"], one["weight"], one["backup"]) for one in told] == [("disabled", 9, False), ("enabled", 1, False)]
    assert told[0]["totals"]["requests"] > 0 and told[1]["totals"]["requests"] > 180
