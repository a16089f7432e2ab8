"""Listeners that come, go and change by a reload, and who is connected through them."""
import time


from harness.client import Client, Truncated, http
from harness.gateway import merge
from harness.ports import free_port
from harness.reloading import reload, remove, says, Socket, status
from harness.server import echo
from harness.services import plain, tcp
from harness.wait import until


def test_listeners_come_and_go(gateway, http_server):
    server = says(http_server, "here")
    first, second = free_port(), free_port()
    gw = gateway({"a": plain("a.example", server), "b": plain("b.example", server, listen=f"127.0.0.1:{first}")})
    stays = Socket(gw.ports["http"], "a.example")
    with Client(gw.ports["http"]) as kept:
        assert kept.request(host="a.example").status == 200
        assert status(first, "b.example") == 200
        gw.config.service("b", plain("b.example", server, listen=f"127.0.0.1:{second}"))
        reload(gw)
        until(lambda: status(second, "b.example") == 200, "the new one is open")

        def refused():
            try:
                return status(first, "b.example") not in (200,)
            except (OSError, Truncated):
                return True
        until(refused, "the old one is closed")
        assert kept.request(host="a.example").status == 200
        assert stays.works()
    stays.close()
    gw.wait_log(f"is no longer on 127.0.0.1:{first}")


def test_a_listener_gets_a_name_without_closing(gateway, http_server):
    """An inline bind becomes a listener of gateway.yaml: the same socket, and its WebSocket goes on."""
    server = says(http_server, "here")
    port = free_port()
    gw = gateway({"b": plain("b.example", server, listen=f"127.0.0.1:{port}")}, settings={"drain_timeout": "500ms"})
    settings = merge(gw.config.settings, {"listeners": {"lab": {"bind": f"127.0.0.1:{port}"}}})
    gw.config.write("gateway.yaml", settings)
    gw.config.service("b", plain("b.example", server, listen="lab"))
    reload(gw)
    for _ in range(20):
        assert status(port, "b.example") == 200
    gw.access(listener="lab")
    assert not any("no longer on" in line for line in gw.lines)


def test_the_socket_of_a_listener_is_made_wider(gateway, http_server):
    """What goes makes room for what comes: one address becomes all of them, on the same port."""
    server = says(http_server, "here")
    port = free_port()
    gw = gateway({"b": plain("b.example", server, listen="lab")}, listeners={"lab": {"bind": f"127.0.0.1:{port}"}})
    assert status(port, "b.example") == 200
    gw.config.write("gateway.yaml", merge(gw.config.settings, {"listeners": {"lab": {"bind": f":{port}"}}}))
    reload(gw)

    def answers():
        with Client(port, host="127.0.0.2") as client:
            return client.request(host="b.example").status == 200

    def wide():
        try:
            return answers()
        except OSError:
            return False
    until(wide, "it listens on every address")
    assert status(port, "b.example") == 200


def test_a_removed_listener_lets_its_clients_finish(gateway, http_server):
    server = says(http_server, "here")
    port = free_port()
    gw = gateway({"b": plain("b.example", server, listen=["http", f"127.0.0.1:{port}"])}, settings={"drain_timeout": "1s"})
    there = Socket(port, "b.example")
    gw.config.service("b", plain("b.example", server))
    reload(gw)
    assert there.works()
    until(there.is_cut, "it is cut after the drain time")
    there.close()
    assert status(gw.ports["http"], "b.example") == 200


def test_a_listener_that_goes_and_comes_back_keeps_its_relays(gateway, http_server, tcp_server):
    """Undone within the drain time: nothing is cut, and what is counted stays right."""
    raw = tcp_server(echo)
    port = free_port()
    text = tcp(f"127.0.0.1:{port}", raw)
    gw = gateway({"raw": text, "web": plain("web.example", says(http_server, "here"))}, settings={"drain_timeout": "1s"})
    with Client(port) as relay:
        assert relay.send(b"x").exactly(1) == b"x"
        remove(gw, "raw")
        reload(gw)
        gw.config.service("raw", text)
        reload(gw)
        begun = time.monotonic()
        while time.monotonic() - begun < 2.5:
            assert relay.send(b"y").exactly(1) == b"y"
            time.sleep(0.1)
        samples = http(gw.config.admin_port, "/metrics", "localhost").text.splitlines()
        of_it = [float(line.rsplit(" ", 1)[1]) for line in samples if line.startswith("sallyport_sessions{") and str(port) in line]
        assert of_it == [1.0], of_it
