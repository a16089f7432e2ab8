"""Memory of the program per idle connection: each has done its handshake and one request, and is then left alone."""
import resource
import time

from . import probe
from .load import Load
from .procs import BenchError

WANTED = 5000
FIRST = 200  # before these the program's pools and caches are not what they are in use
SPARE = 500


def count():
    """The peers hold three descriptors for a connection that goes from layer to layer."""
    return min(WANTED, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE) // 3 - FIRST)


def settled(process):
    """The memory once it does not fall any more: pools are given back after a while."""
    least = process.memory()
    for _ in range(8):
        time.sleep(0.25)
        now = process.memory()
        if now >= least:
            return least
        least = now
    return least


def measure(run, name):
    context = probe.client_context(run.material)
    held = []

    def hold(wanted):
        for _ in range(wanted):
            held.append(probe.connect(run.job.https, name, context))
            status, _fields, body = probe.exchange(held[-1], name, "/1k")
            if status != 200 or len(body) != 1024:
                raise BenchError(f"connection {len(held)}: {status} and {len(body)} bytes")

    start = time.monotonic()
    try:
        hold(FIRST)
        before = settled(run.process)
        hold(count())
        after = settled(run.process)
        # Memory of connections that were dropped would be no memory at all.
        for connection in held[::50] + held[-1:]:
            status, _fields, body = probe.exchange(connection, name, "/1k")
            if status != 200 or len(body) != 1024:
                raise BenchError("an idle connection was not served any more")
    finally:
        for connection in held:
            connection.close()
    run.figure = (after - before) / count() / 1024
    run.memory = after
    return Load(requests=len(held), bytes=len(held) * 1024, seconds=time.monotonic() - start, errors=0)
