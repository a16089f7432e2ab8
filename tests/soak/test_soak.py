"""Three minutes of everything at once through one gateway: nothing that behaves may fail, and nothing may be left behind.

SALLYPORT_SOAK_SECONDS says how long the measured part lasts (130).
"""
import collections
import os
import random
import threading
import time

import actors
import h2_actors
import pytest
from harness.gateway import sanitized
from harness.ports import free_port
from harness.server import Server, banner, echo
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp
from harness.wait import until
from stage_servers import Dying, Flapping, SoakH2Server, SoakServer

SECONDS = int(os.environ.get("SALLYPORT_SOAK_SECONDS", "130"))
WARM_UP = max(5, SECONDS // 4)
PEAK, GROWTH = 64 << 20, 4 << 20


class Soak:
    def __init__(self, gateway, ca, server_ca, leaf):
        self.own = server_ca.leaf("own.example")
        self.web = SoakServer()
        self.secure = SoakServer(tls=server_ca.leaf("re.example").server_context())
        self.behind = Server(echo, tls=self.own.server_context(), timeout=60)
        self.shell = Server(banner(), timeout=60)
        for server in (self.behind, self.shell):
            server.conns = collections.deque(maxlen=64)
        self.two = SoakH2Server()
        self.two_secure = SoakH2Server(tls=server_ca.leaf("two-re.example", "ws-re.example").server_context(alpn=["h2", "http/1.1"]))
        self.flapping, self.dying = Flapping(threading.Lock()), Dying()
        self.flapping_h2, self.dying_h2 = Flapping(threading.Lock(), SoakH2Server), Dying(SoakH2Server)
        h2 = {"server_protocol": "h2"}
        tcp_port = free_port()
        self.gw = gateway({
            "edge": edge("edge.example", self.web), "re": reencrypt("re.example", self.secure, server_tls={"ca": "servers.pem"}),
            "plain": plain("plain.example", self.web), "bulk": edge("bulk.example", self.web),
            "plain-bulk": plain("plain-bulk.example", self.web),
            "own": passthrough("own.example", self.behind), "git": ssh(self.shell, listen=["ssh", "https"]),
            "raw": tcp(f"127.0.0.1:{tcp_port}", self.shell), "flap": edge("flap.example", self.flapping, self.web),
            "dying": edge("dying.example", self.dying), "rude": edge("rude.example", self.web),
            "plain-rude": plain("plain-rude.example", self.web),
            "two": edge("two.example", self.web), "two-h2": edge("two-h2.example", self.two, **h2),
            "two-re": reencrypt("two-re.example", self.two_secure, server_tls={"ca": "servers.pem"}),
            "plain-two": plain("plain-two.example", self.web), "plain-two-h2": plain("plain-two-h2.example", self.two, **h2),
            "calls": edge("calls.example", self.two, **h2), "ws": edge("ws.example", self.web),
            "ws-h2": edge("ws-h2.example", self.two, **h2),
            "ws-re": reencrypt("ws-re.example", self.two_secure, server_tls={"ca": "servers.pem"}),
            "flap-h2": edge("flap-h2.example", self.flapping_h2, self.two, **h2),
            "dying-h2": edge("dying-h2.example", self.dying_h2, **h2), "rude-h2": edge("rude-h2.example", self.two, **h2)},
            settings={"defaults": {"timeouts": {"handshake": "3s", "request": "3s", "client": "20s"}}},
            certs={"c.pem": leaf("edge.example", "re.example", "bulk.example", "flap.example", "dying.example", "rude.example",
                                 *h2_actors.SECURE, "calls.example", "ws.example", "ws-h2.example", "ws-re.example", "flap-h2.example",
                                 "dying-h2.example", "rude-h2.example"),
                   "servers.pem": open(server_ca.cert).read()})
        self.stage = actors.Stage(self.gw.ports, tcp_port, ca, server_ca, self.own)
        self.flapping.lock, self.flapping_h2.lock = self.stage.flapping, self.stage.flapping_h2
        self.failures, self.done = [], collections.Counter()

    def _repeat(self, actor, end, quiet):
        while time.monotonic() < end and len(self.failures) < 20:
            try:
                self.done[actor.__name__] += actor(self.stage)
            except actors.QUIET as error:
                if not quiet:
                    self.failures.append(f"{actor.__name__}: {error!r}")
            time.sleep(random.uniform(0.0, 0.05))

    def load(self, seconds):
        """Everybody at once, for this long."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._repeat, name=actor.__name__, args=(actor, end, False)) for actor in actors.BEHAVED]
        threads += [threading.Thread(target=self._repeat, name=actor.__name__, args=(actor, end, True)) for actor in actors.RUDE]
        threads += [threading.Thread(target=actors.parked, args=(self.stage, end))]
        threads += [threading.Thread(target=one.run, args=(end,)) for one in (self.flapping, self.dying, self.flapping_h2, self.dying_h2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 60)
            assert not thread.is_alive(), f"{thread.name} hangs"
        assert not self.failures, "\n".join(self.failures[:10])

    def quiet(self):
        """Waits until no client is left; returns the memory used then."""
        ports = {*self.gw.ports.values(), self.stage.tcp_port}
        until(lambda: not [c for c in self.gw.connections() if c.local_port in ports],
              lambda: f"client connections are still open: {self.gw.connections()}", 30, 0.1)
        time.sleep(0.5)
        return self.gw.memory()

    def stop_servers(self):
        for server in (self.web, self.secure, self.two, self.two_secure):
            server.stop()
            server.end_connections()
        for server in (self.behind, self.shell, self.flapping, self.dying, self.flapping_h2, self.dying_h2):
            server.stop()


@pytest.fixture
def soak(gateway, ca, server_ca, leaf):
    one = Soak(gateway, ca, server_ca, leaf)
    yield one
    one.stop_servers()


def test_everything_at_once_for_minutes(soak):
    gw = soak.gw
    soak.load(WARM_UP)
    before, counted = soak.quiet(), sum(soak.done.values())
    soak.load(SECONDS)
    after = soak.quiet()
    print(f"\ndone: {dict(soak.done)}; {soak.flapping.changes} changes of a server; memory {before >> 10} KiB, later {after >> 10} KiB, "
          f"at most {gw.memory('VmHWM') >> 10} KiB")

    for actor in actors.BEHAVED + actors.RUDE:
        assert soak.done[actor.__name__] > 0, f"{actor.__name__} did nothing"
    assert sum(soak.done.values()) > counted
    if not sanitized():
        assert after - before < GROWTH, f"memory grew from {before >> 10} to {after >> 10} KiB"
        assert gw.memory("VmHWM") < PEAK
    # What behaved left good lines, one for each request. Garbage may have named a host of theirs; who closes a WebSocket first
    # without a close_notify has cut it.
    one, two = ("edge", "re", "plain"), ("two", "two-h2", "two-re", "plain-two", "plain-two-h2")
    lines = [line for line in gw.accesses()
             if line.get("service") in (*one, *two, "bulk", "plain-bulk", "flap", "raw", "calls", "flap-h2")]
    bad = [line for line in lines if line["end"] != "ok" and line.get("status") not in (101, 400, 431)]
    assert not bad, bad[:5]
    for services, counted in ((one, [f"keep_alive_{name}" for name in one]), (two, ["streams_side_by_side", "h2_bulk"]),
                              (("calls",), ["calls_of_grpc"]), (("flap-h2",), ["h2_balanced"])):
        requests = sum(soak.done[name] for name in counted)
        logged = len([line for line in lines if line["service"] in services and line.get("method") in ("GET", "POST", "PUT")
                      and line.get("status") == 200])
        assert logged == requests, f"{services}: {requests} requests, {logged} lines"

    assert min(soak.flapping.changes, soak.flapping_h2.changes) > SECONDS // 3
    assert not soak.two.errors + soak.two_secure.errors, "the gateway broke HTTP/2, or a script failed"
    soak.stop_servers()
    gw.wait_idle(timeout=15)
    gw.stop()
    gw.stopped = True
