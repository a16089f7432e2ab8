"""The unit that is shipped, under a real systemd: sandboxed, restarted under load, ended when it hangs."""
import os
import re
import signal

import pytest

from harness import real_systemd
from harness.client import http
from harness.gateway import ROOT, Config
from harness.held_thread import HeldThread
from harness.http_server import response
from harness.real_systemd import RealSystemd
from harness.services import edge, plain
from harness.visitors import Visitors
from harness.wait import until

pytestmark = pytest.mark.skipif(real_systemd.why_not() is not None, reason=str(real_systemd.why_not()))


@pytest.fixture
def systemd(http_server, leaf):
    """systemd(…): the shipped unit, with a plain and a TLS service; not started yet."""
    made = []

    def make(**kw):
        server = http_server(lambda request: response(200, b"x" * 2000))
        config = Config({"web": plain("a.example", server), "shop": edge("b.example", server)}, {"drain_timeout": "1s"},
                        certs={"b.pem": leaf("b.example")})
        del config.settings["state"]
        config.settings["admin"]["socket"] = "/run/sallyport/admin.sock"
        config.settings["listeners"]["ssh"] = "off"
        config.write("gateway.yaml", config.settings)
        one = RealSystemd(config, **kw)
        one.config, one.ports = config, config.ports
        made.append(one)
        return one

    yield make
    for one in made:
        one.stop()
        one.config.remove()


def ask(systemd, ca=None):
    if ca is None:
        return http(systemd.ports["http"], host="a.example", timeout=60).status == 200
    return http(systemd.ports["https"], host="b.example", tls=ca.client_context(), timeout=60).status == 200


def test_the_shipped_unit_serves_and_is_reloaded_and_stopped(systemd, ca):
    one = systemd()
    one.systemctl("start", "sallyport.service")
    assert one.show("ActiveState") == "active" and one.show("StatusText").startswith("serving 2 services")
    assert ask(one) and ask(one, ca)
    assert one.show("NFileDescriptorStore") == "4", "two listeners, two workers"
    status = open(f"/proc/{one.main_pid()}/status").read()
    assert "CapEff:\t0000000000000400" in status and "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    one.systemctl("reload", "sallyport.service")
    assert ask(one) and one.show("ActiveState") == "active"
    one.systemctl("stop", "sallyport.service")
    assert one.show("Result") == "success", one.log()
    assert one.show("NFileDescriptorStore") == "0"
    with pytest.raises(ConnectionRefusedError):
        ask(one)
    assert "error" not in one.log(), one.log()


def test_restarts_under_load_turn_nobody_away(systemd, ca):
    one = systemd()
    one.systemctl("start", "sallyport.service")
    context = ca.client_context()

    def visit_plain():
        assert len(http(one.ports["http"], host="a.example", timeout=60).body) == 2000

    def visit_tls():
        assert len(http(one.ports["https"], host="b.example", tls=context, timeout=60).body) == 2000
    with Visitors(visit_plain, visit_tls) as visitors:
        for _ in range(4):
            before = visitors.served
            until(lambda: visitors.served >= before + 100, "visitors are served")
            one.systemctl("restart", "sallyport.service")
        before = visitors.served
        until(lambda: visitors.served >= before + 100, "visitors are served after the last")
    assert not visitors.failures, visitors.failures[:10]
    assert one.log().count("(kept)") == 8 and one.show("NFileDescriptorStore") == "4"
    print(f"{visitors.served} connections over 4 restarts, the longest {visitors.longest:.2f} s")


def test_sockets_of_socket_units(systemd, ca):
    names = ("http", "https")
    one = systemd()
    for name in names:  # the shipped ones, on a port of the test's
        with open(os.path.join(ROOT, "compose", "systemd", f"sallyport-{name}.socket")) as unit:
            text = unit.read().replace("[Unit]", "[Unit]\nDefaultDependencies=no")
        one.put_unit(f"sallyport-{name}.socket", re.sub("ListenStream=.*", f"ListenStream=127.0.0.1:{one.ports[name]}", text))
    one.systemctl("daemon-reload")
    one.systemctl("start", *(f"sallyport-{name}.socket" for name in names))
    assert ask(one) and ask(one, ca), "the first client starts the gateway"
    assert one.log().count("(handed over)") == 2 and one.show("NFileDescriptorStore") == "0"
    one.systemctl("restart", "sallyport.service")
    assert ask(one) and ask(one, ca)


def test_a_gateway_that_hangs_is_ended_and_started_again(systemd):
    one = systemd(drop_in="WatchdogSec=2s\nLimitCORE=0\n")
    one.systemctl("start", "sallyport.service")
    first = one.main_pid()
    try:
        held = HeldThread(first, "worker-0").__enter__()
    except PermissionError:
        pytest.skip("this machine lets nobody hold a thread still (ptrace)")
    until(lambda: "worker-0 has not answered" in one.log(), one.log)
    until(lambda: held.ended(), "ended by the watchdog")
    until(lambda: one.show("ActiveState") == "active" and one.main_pid() not in (0, first), one.log)
    assert one.show("NRestarts") == "1"
    assert ask(one)


def test_a_crash_is_followed_by_a_start_and_who_came_meanwhile_is_served(systemd):
    one = systemd()
    one.systemctl("start", "sallyport.service")
    first = one.main_pid()
    os.kill(first, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{first}"), "gone")
    assert all(ask(one) for _ in range(20))
    assert one.show("NRestarts") == "1"
