"""Three minutes of everything at once through one gateway: nothing that behaves may fail, and nothing may be left behind.

SALLYPORT_SOAK_SECONDS says how long the measured part lasts (130).
"""
import collections
import os
import random
import threading
import time

import actors
import pytest
from harness.gateway import sanitized
from harness.ports import free_port
from harness.server import Server, banner, echo
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp
from harness.wait import until
from stage_servers import Dying, Flapping, SoakServer

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
        self.flapping, self.dying = Flapping(threading.Lock()), Dying()
        tcp_port = free_port()
        self.gw = gateway({
            "edge": edge("edge.example", self.web), "re": reencrypt("re.example", self.secure, server_tls={"ca": "servers.pem"}),
            "plain": plain("plain.example", self.web), "bulk": edge("bulk.example", self.web),
            "plain-bulk": plain("plain-bulk.example", self.web),
            "own": passthrough("own.example", self.behind), "git": ssh(self.shell, listen=["ssh", "https"]),
            "raw": tcp(f"127.0.0.1:{tcp_port}", self.shell), "flap": edge("flap.example", self.flapping, self.web),
            "dying": edge("dying.example", self.dying), "rude": edge("rude.example", self.web),
            "plain-rude": plain("plain-rude.example", self.web)},
            settings={"defaults": {"timeouts": {"handshake": "3s", "request": "3s", "client": "20s"}}},
            certs={"c.pem": leaf("edge.example", "re.example", "bulk.example", "flap.example", "dying.example", "rude.example"),
                   "servers.pem": open(server_ca.cert).read()})
        self.stage = actors.Stage(self.gw.ports, tcp_port, ca, server_ca, self.own)
        self.flapping.lock = self.stage.flapping
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
        threads = [threading.Thread(target=self._repeat, args=(actor, end, False)) for actor in actors.BEHAVED]
        threads += [threading.Thread(target=self._repeat, args=(actor, end, True)) for actor in actors.RUDE]
        threads += [threading.Thread(target=actors.parked, args=(self.stage, end))]
        threads += [threading.Thread(target=one.run, args=(end,)) for one in (self.flapping, self.dying)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 60)
            assert not thread.is_alive(), f"{thread} hangs"
        assert not self.failures, "\n".join(self.failures[:10])

    def quiet(self):
        """Waits until no client is left; returns the memory used then."""
        ports = {*self.gw.ports.values(), self.stage.tcp_port}
        until(lambda: not [c for c in self.gw.connections() if c.local_port in ports],
              lambda: f"client connections are still open: {self.gw.connections()}", 30, 0.1)
        time.sleep(0.5)
        return self.gw.memory()

    def stop_servers(self):
        for server in (self.web, self.secure):
            server.stop()
            server.end_connections()
        for server in (self.behind, self.shell, self.flapping, self.dying):
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
    lines = [line for line in gw.accesses() if line.get("service") in ("edge", "re", "plain", "bulk", "plain-bulk", "flap", "raw")]
    bad = [line for line in lines if line["end"] != "ok" and line.get("status") not in (101, 400, 431)]
    assert not bad, bad[:5]
    requests = sum(soak.done[f"keep_alive_{name}"] for name in ("edge", "re", "plain"))
    logged = len([line for line in lines if line["service"] in ("edge", "re", "plain") and line.get("method") in ("GET", "POST")
                  and line.get("status") == 200])
    assert logged == requests, f"{requests} requests, {logged} lines"

    assert soak.flapping.changes > SECONDS // 3
    soak.stop_servers()
    gw.wait_idle(timeout=15)
    gw.stop()
    gw.stopped = True
