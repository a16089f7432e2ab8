"""How many system calls the worker makes for a request or a connection: counted exactly, and independent of the machine.

Each row has the least that is possible, what the gateway does now, and why. What it does now is the bound. A change that needs
fewer lowers the row; one that needs more says here what for.

One arrival (bytes, a connection, its end) costs one wait, because the peers send the next thing only when the gateway sleeps.
Under load several arrivals share a wait.
"""
import collections
import ssl
import warnings

import pytest

from stage import SCENARIOS

LOG = "futex", 0, 1, "wakes the thread that writes the access log, which sleeps when there is little to write"

# Per connection that is accepted. It has its options from the listening socket.
ACCEPTED = [
    ("accept", 1, 1, "and only where several came at once one more, which finds the queue empty"),
]
# Per connection to a server.
CONNECTED = [
    ("socket", 1, 1, ""),
    ("setsockopt", 1, 1, "TCP_NODELAY"),
    ("connect", 1, 1, ""),
]
ONE_ROUND = [
    ("wait", 2, 2, "the request comes, the answer comes"),
    ("receive", 2, 2, "both fit a read, and a short read is known to be the last"),
    ("send", 2, 2, "head and body go in one call, both ways"),
]

# Three for each flight of a handshake, and one for the post-quantum share that OpenSSL agrees on with itself since 3.5.
FORK_CHECKS = 6 if ssl.OPENSSL_VERSION_INFO < (3, 5) else 7

ROWS = {
    "redirect": [
        ("wait", 1, 1, "the request comes"),
        ("receive", 1, 1, ""),
        ("send", 1, 1, ""),
        LOG,
    ],
    "edge-req": [*ONE_ROUND, LOG],
    "edge-h2": [*ONE_ROUND, LOG],
    "re-req": [*ONE_ROUND, LOG],
    "pass-req": ONE_ROUND,
    "pass-conn": [
        ("wait", 10, 11, "client, hello, server connected, its flight, Finished, ticket, request, answer, two ends; and for the "
                         "room to write after a FIN was sent"),
        ("receive", 8, 8, "six messages, two ends"),
        ("send", 6, 6, ""),
        ("epoll_ctl", 2, 2, "two sockets"),
        ("shutdown", 1, 1, "the end that comes first goes on to the other side; the second one is followed by close() in any case"),
        ("close", 2, 2, "two sockets"),
        *ACCEPTED, *CONNECTED, LOG,
    ],
    "tcp-conn": [
        ("wait", 6, 7, "client, server connected, question, answer, two ends; and for the room to write after a FIN was sent"),
        ("receive", 4, 4, "two messages, two ends"),
        ("send", 2, 2, ""),
        ("epoll_ctl", 2, 2, "two sockets"),
        ("shutdown", 1, 1, "as for pass-conn"),
        ("close", 2, 2, "two sockets"),
        *ACCEPTED, *CONNECTED, LOG,
    ],
    "edge-hs": [
        ("wait", 6, 6, "client, hello, Finished, request, answer, end"),
        ("receive", 5, 5, "four messages, the end"),
        ("send", 4, 5, "flight, tickets, request, answer; and a close_notify for a client that has left"),
        ("getpid", FORK_CHECKS, FORK_CHECKS, "OpenSSL's random numbers: has the process forked?"),
        ("epoll_ctl", 1, 1, ""),
        ("close", 1, 1, ""),
        ("getsockname", 0, 1, "for X-Forwarded-Port, as the listener has no public_port"),
        *ACCEPTED, LOG,
    ],
}
# Now and then the heap grows or shrinks, and whose turn that is depends on what was before: not for every second unit.
HEAP = {"brk", "mmap", "mprotect", "munmap", "madvise", "mremap"}
# The thread that writes the log, for each line that it is woken for.
ELSEWHERE = {"futex": 2, "send": 1}


def bounds(name):
    """{kind: (least, now)}, of rows that may name a kind twice."""
    out = {}
    for kind, least, now, _ in ROWS[name]:
        before = out.get(kind, (0, 0))
        out[kind] = (before[0] + least, before[1] + now)
    return out


def beyond(kinds, count, limits):
    """The kinds of which there were too many."""
    heap = sum(kinds[kind] for kind in HEAP)
    return [kind for kind in kinds if kind not in HEAP and kinds[kind] > limits.get(kind, (0, 0))[1] * count] + \
        [kind for kind in HEAP & kinds.keys() if heap * 2 > count]


def table(kinds, count, limits):
    more = beyond(kinds, count, limits)
    lines = [f"{'':12} counted  bound  least possible"]
    for kind in sorted(kinds.keys() | limits.keys(), key=lambda kind: (-kinds[kind], kind)):
        least, now = limits.get(kind, (0, 0))
        lines.append(f"{kind:12} {kinds[kind] / count:7g} {now:6} {least:6}" + ("   <-- more" if kind in more else ""))
    totals = sum(kinds.values()) / count, sum(now for _, now in limits.values()), sum(least for least, _ in limits.values())
    lines.append(f"{'in all':12} {totals[0]:7g} {totals[1]:6} {totals[2]:6}")
    return "\n".join(lines)


def fewest(windows):
    """Of each kind the fewest: a busy kernel now and then tells in two events what it otherwise tells in one."""
    kinds = set().union(*(calls.kinds for calls in windows))
    return collections.Counter({kind: min(calls.kinds[kind] for calls in windows) for kind in kinds})


@pytest.mark.parametrize("name", SCENARIOS)
def test_system_calls(traced, name):
    count = 10 if name.endswith(("conn", "hs")) else 20
    workers, elses = zip(*traced.measure(name, count, windows=3))
    worker, others = fewest(workers), fewest(elses)
    limits = bounds(name)
    text = f"{name}, calls of the worker:\n{table(worker, count, limits)}"
    print(text)
    one = "\n".join(workers[0].lines[:len(workers[0].lines) // count])
    assert not beyond(worker, count, limits), f"{text}\n{one}"

    logged = 1 if LOG in ROWS[name] else 0
    elsewhere = {kind: (logged * most, logged * most) for kind, most in ELSEWHERE.items()}
    text = f"{name}, calls of other threads:\n{table(others, count, elsewhere)}"
    assert not beyond(others, count, elsewhere), text + "\n" + "\n".join(elses[0].lines[:40])

    fewer = [kind for kind, (_, now) in limits.items() if worker[kind] < now * count]
    if fewer:
        warnings.warn(f"{name}: fewer calls than the bound ({', '.join(fewer)}). Lower it in tests/guard/test_system_calls.py.")


def test_what_is_counted():
    """The reading of strace's output, on lines of each kind."""
    from tools import Calls
    calls = Calls(['epoll_wait(10, [{events=EPOLLIN, data={u32=1, u64=1}}], 256, 1807) = 1', "epoll_wait(10, [], 256, 1807) = 0",
                   "epoll_wait(10, [], 256, 0)               = 0", "epoll_pwait(10, [], 256, 31, NULL, 8) = 0",
                   "epoll_pwait(10, [], 256, 0, NULL, 8) = 0", 'recvfrom(23, "GET /"..., 65536, 0, NULL, NULL) = 88',
                   "epoll_wait(10, [{events=EPOLLIN, data={u32=2, u64=2}}], 256, -1) = 1",
                   "timerfd_settime(11, TFD_TIMER_ABSTIME, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=7, tv_nsec=0}}, NULL) = 0",
                   "shutdown(23, SHUT_WR)                   = 0", "timerfd_settime(11, TFD_TIMER_ABSTIME, {}, NULL) = 0",
                   "--- SIGTERM {si_signo=SIGTERM} ---", "+++ exited with 0 +++"])
    assert calls.kinds == {"wait": 3, "receive": 1, "shutdown": 1, "timerfd_settime": 1}
