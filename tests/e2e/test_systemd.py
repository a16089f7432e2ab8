"""What systemd does with the gateway: hands sockets over, keeps them, waits for signs of life, restarts it under load."""
import os
import re
import signal
import socket

import pytest

from harness.client import Client, http
from harness.gateway import Config, GatewayFailed, command
from harness.held_thread import HeldThread
from harness.http_server import response
from harness.manager import Manager
from harness.ports import free_port, has_ipv6
from harness.services import edge, plain
from harness.visitors import Visitors
from harness.wait import until


@pytest.fixture
def manager(gateway, http_server):
    """manager(…): a Manager before one plain service on the listener "http"."""
    made = []

    def make(services=None, settings=None, listeners=None, certs=None, **kw):
        config = Config(services or {"web": plain("a.example", http_server())}, settings, listeners, certs)
        config.settings["listeners"].update({name: "off" for name in ("https", "ssh") if not (services or listeners)})
        config.write("gateway.yaml", config.settings)
        made.append(Manager(gateway, config, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


def again(manager, gw, number=signal.SIGTERM, **kw):
    """What `systemctl restart` does."""
    gw.signal(number)
    code = gw.process.wait(60)
    gw.stopped = True
    assert code == (0 if number == signal.SIGTERM else -number), gw.log_text()
    return manager.start(**kw)


def served(port, **kw):
    with Client(port, **kw) as client:
        return client.request(host="a.example").status == 200


# Sockets that are handed over.

def test_all_sockets_of_one_name(manager, tmp_path):
    """IPv4, IPv6 and unix, all for the listener "http", whose own bind is not used."""
    held = manager()
    port, path = held.listen("http"), held.listen("http", str(tmp_path / "s"), socket.AF_UNIX)
    six = held.listen("http", ("::1", 0), socket.AF_INET6) if has_ipv6() else None
    held.start()
    for _ in range(20):
        assert served(port) and served(path, family="unix")
        assert six is None or served(six, host="::1")
    with pytest.raises(ConnectionRefusedError):
        served(held.config.ports["http"])


def test_a_socket_without_a_listeners_name_goes_by_its_address(manager):
    """Someone forgot FileDescriptorName=: systemd then gives the name of the unit."""
    held = manager()
    one = held.listen("sallyport-web.socket")
    held.config.settings["listeners"]["http"] = {"bind": f"127.0.0.1:{one}"}
    held.config.write("gateway.yaml", held.config.settings)
    stranger = held.listen("lan")
    gw = held.start()
    assert served(one)
    gw.wait_log("FileDescriptorName=http")
    gw.wait_log(f'the socket \\"lan\\" (127.0.0.1:{stranger}) was handed over, but no listener has that name or address')


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_socket_of_both_families_goes_to_a_bind_of_both(manager):
    held = manager()
    port = held.listen("unknown", ("::", 0), socket.AF_INET6, both=True)
    held.config.settings["listeners"]["http"] = {"bind": f":{port}"}
    held.config.write("gateway.yaml", held.config.settings)
    held.start()
    assert served(port) and served(port, host="::1")


def test_what_is_no_listening_stream_socket_is_refused_by_name(manager):
    held = manager()
    port = held.listen("http")
    held.hold("udp", socket.socket(type=socket.SOCK_DGRAM)).bind(("127.0.0.1", 0))
    near, far = socket.socketpair()
    held.hold("accepted", near)
    with open("/dev/null") as null, far:
        held.hold("file", null)
        gw = held.start()
        held.sockets.pop()
    assert served(port)
    gw.wait_log("ListenStream=")
    gw.wait_log("Accept=no")
    gw.wait_log('\\"file\\" is no socket')


# Sockets that are kept over a restart.

def binds_of(gw):
    return [m.group(1) for m in (re.search(r'listener \\?"[^"]*" on ([^"]*)"', line) for line in list(gw.lines)) if m]


def test_a_restart_takes_the_kept_sockets_up_again(manager, tmp_path):
    path = str(tmp_path / "s")
    held = manager(settings={"workers": 2})
    port = held.config.ports["http"]
    held.config.settings["listeners"]["http"] = {"bind": [f"127.0.0.1:{port}", f"unix:{path}"]}
    held.config.write("gateway.yaml", held.config.settings)
    gw = held.start()
    kept = sorted(name for name, _ in held.kept)
    assert len(kept) == 3 and len(set(kept)) == 2, "one for each worker, and the unix socket"
    for _ in range(3):
        gw = again(held, gw)
        gw.idle_fds = gw.settled_fds()
        assert served(port) and served(path, family="unix")
        assert sorted(name for name, _ in held.kept) == kept
        until(lambda: sorted(binds_of(gw)) == sorted([f"127.0.0.1:{port} (kept)", f"unix:{path} (kept)"]), lambda: binds_of(gw))
    gw.wait_idle(slack=4)


def test_kept_sockets_whatever_the_number_of_workers(manager):
    """Each of them has a queue in which clients wait; none may be without a worker."""
    held = manager(settings={"workers": 2})
    port, gw = held.config.ports["http"], held.start()
    for workers, sockets in ((4, 4), (1, 4), (3, 4)):
        held.config.settings["workers"] = workers
        held.config.write("gateway.yaml", held.config.settings)
        gw = again(held, gw)
        assert len(held.kept) == sockets
        for _ in range(60):
            assert served(port)


def test_a_changed_bind_takes_no_kept_socket(manager):
    """From one port to another; then from 127.0.0.1 to every address of the same port, which the kept socket is in the way of."""
    held = manager()
    port, other, gw = held.config.ports["http"], free_port(), held.start()
    for bind, old in ((f"127.0.0.1:{other}", port), (f":{other}", None)):
        held.config.settings["listeners"]["http"] = {"bind": bind}
        held.config.write("gateway.yaml", held.config.settings)
        gw = again(held, gw)
        assert served(other)
        assert not any("(kept)" in line for line in gw.lines)
        if old:
            with pytest.raises(ConnectionRefusedError):
                served(old)
    assert len({name for name, _ in held.kept}) == 1


def test_listeners_that_go_with_a_reload_are_given_up_and_those_that_come_are_kept(manager):
    """What is kept of a listener that is gone would leave its port open, with nobody behind it."""
    held = manager(settings={"workers": 2})
    old, new, gw = held.config.ports["http"], free_port(), held.start()
    names = {name for name, _ in held.kept}
    held.config.settings["listeners"]["http"] = {"bind": f"127.0.0.1:{new}"}
    held.config.write("gateway.yaml", held.config.settings)
    gw.signal(signal.SIGHUP)
    until(lambda: _reaches(new), "the new address")
    assert served(new)
    until(lambda: not _reaches(old), "the old address is closed")
    until(lambda: len(held.kept) == 2 and not names & {name for name, _ in held.kept}, lambda: f"kept: {held.kept}")
    gw = again(held, gw)
    assert served(new)
    gw.wait_log("(kept)")


def _reaches(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_socket_by_its_address_stays_and_goes_with_its_bind(manager):
    held = manager()
    one, other = held.listen("unit.socket"), free_port()
    held.config.settings["listeners"]["http"] = {"bind": [f"127.0.0.1:{one}", f"127.0.0.1:{other}"]}
    held.config.write("gateway.yaml", held.config.settings)
    gw = held.start()
    assert served(one) and served(other)
    held.config.settings["listeners"]["http"] = {"bind": f"127.0.0.1:{one}"}
    held.config.write("gateway.yaml", held.config.settings)
    gw.signal(signal.SIGHUP)
    until(lambda: not _reaches(other), "the other is closed")
    assert served(one)


def test_a_unix_socket_whose_file_is_gone_is_made_anew(manager, tmp_path):
    path = str(tmp_path / "s")
    held = manager()
    held.config.settings["listeners"]["http"] = {"bind": f"unix:{path}"}
    held.config.write("gateway.yaml", held.config.settings)
    gw = held.start()
    os.unlink(path)
    gw = again(held, gw)
    assert served(path, family="unix")
    again(held, gw)
    assert served(path, family="unix") and len(held.kept) == 1


def test_kept_sockets_are_given_up_for_those_of_a_socket_unit(manager):
    held = manager()
    gw = held.start()
    assert held.kept
    port = held.listen("http")
    again(held, gw)
    assert served(port)
    until(lambda: not held.kept, lambda: held.kept)


def test_who_comes_while_it_is_dead_is_served_by_the_next(manager):
    """After a crash too: the queues are the kept sockets'."""
    held = manager(settings={"workers": 2})
    port, gw = held.config.ports["http"], held.start()
    gw.process.kill()
    gw.process.wait()
    gw.stopped = True
    clients = [Client(port) for _ in range(50)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    held.start()
    for client in clients:
        assert client.response().status == 200
        client.close()


def test_without_a_store_nothing_changes(manager):
    """FileDescriptorStoreMax=0, or a container: what is given away is dropped."""
    held = manager(keeps=False)
    gw = held.start(env={"FDSTORE": "0"})
    gw.wait_log("FileDescriptorStoreMax=")
    again(held, gw)
    assert not held.kept and served(held.config.ports["http"])


# Restarts.

@pytest.mark.parametrize("sockets", ["socket units", "kept"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_under_load_turns_nobody_away(manager, http_server, leaf, ca, sockets, workers):
    """New connections all the while, plain and TLS: each is answered, by the old process or by the new."""
    server = http_server(lambda request: response(200, b"x" * 2000))
    held = manager({"web": plain("a.example", server), "shop": edge("b.example", server)}, {"workers": workers},
                   certs={"b.pem": leaf("b.example")})
    ports = held.config.ports
    if sockets == "socket units":
        ports = {name: held.listen(name) for name in ("http", "https")}
    context = ca.client_context()

    def visit_plain():
        reply = http(ports["http"], host="a.example", timeout=60)
        assert reply.status == 200 and len(reply.body) == 2000

    def visit_tls():
        reply = http(ports["https"], host="b.example", tls=context, timeout=60)
        assert reply.status == 200 and len(reply.body) == 2000
    gw = held.start()
    with Visitors(visit_plain, visit_tls) as visitors:
        for _ in range(5):
            before = visitors.served
            until(lambda: visitors.served >= before + 100, "visitors are served")
            gw = again(held, gw)
        before = visitors.served
        until(lambda: visitors.served >= before + 100, "visitors are served after the last")
    assert not visitors.failures, visitors.failures[:10]
    print(f"{visitors.served} connections over 5 restarts, the longest {visitors.longest:.2f} s")


# Signs of life.

def test_signs_of_life_come_while_all_workers_answer_and_stop_with_one_of_them(manager):
    held = manager(settings={"workers": 2}, watchdog=2.0)
    gw = held.start()
    until(lambda: len(gw.told(b"WATCHDOG=1")) >= 3, "signs of life")
    times = gw.told(b"WATCHDOG=1")
    assert min(b - a for a, b in zip(times, times[1:])) > 0.5, "half of the time, not without a pause"
    try:
        held_thread = HeldThread(gw.pid, "worker-1").__enter__()
    except PermissionError:
        pytest.skip("this machine lets nobody hold a thread still (ptrace)")
    try:
        gw.wait_log("worker-1 has not answered")
        assert command("health", "--config", gw.config.dir).returncode == 1
        count = len(gw.told(b"WATCHDOG=1"))
        # Longer than systemd would wait.
        with pytest.raises(AssertionError):
            until(lambda: len(gw.told(b"WATCHDOG=1")) > count, "none", timeout=4.0)
        assert not any("worker-0 has not answered" in line for line in gw.lines)
    finally:
        held_thread.__exit__()
    until(lambda: len(gw.told(b"WATCHDOG=1")) > count + 1, "signs of life again")
    gw.wait_log("worker-1 answers again")
    assert command("health", "--config", gw.config.dir).returncode == 0


def test_no_sign_of_life_where_nobody_asked_for_it(manager):
    gw = manager().start(env={"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"})
    with pytest.raises(AssertionError):
        until(lambda: gw.told(b"WATCHDOG=1"), "none", timeout=1.5)


def test_the_end_is_told_before_it_comes(manager):
    gw = manager(watchdog=1.0).start()
    gw.signal()
    gw.wait_notified(b"STOPPING=1")
    assert gw.process.wait(30) == 0


def test_a_second_start_beside_kept_sockets_is_refused(manager, gateway):
    """Only who was handed the sockets may use them; a copy started by hand finds the port taken."""
    held = manager()
    held.start()
    copy = Config()
    copy.settings["listeners"] = {"http": {"bind": f"127.0.0.1:{held.config.ports['http']}"}, "https": "off"}
    copy.write("gateway.yaml", copy.settings)
    other = gateway(config=copy, wait_ready=False)
    other.stopped = True
    with pytest.raises(GatewayFailed, match="is taken"):
        other.wait_notified(b"READY=1")
