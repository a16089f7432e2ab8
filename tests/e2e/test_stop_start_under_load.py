"""Two real servers behind one service, stopped and started in turn under a running load of real clients: with one of two up no
new session fails, and what /metrics shows is right within fall × interval.

A session is a connection and the answer to its first command. It is *new* in the face of a stop if it began when the server
was gone already: when nobody listened on its port any more. From then on the gateway finds the connect refused, takes the
other server, and the client sees nothing of it. None of these may fail, nor any while both are up: that is the promise.

Sessions that were under way between the signal and that moment are another matter, and only those may end badly:

- Whoever is on a server that dies, dies with it. In tcp and ssh nothing can be repeated, as bytes have gone both ways. This also
  takes those whom only the server's kernel has let in, not yet the server. One per thread of the load, then, for a SIGKILL.
- A server that goes in order may let clients in and then say goodbye in its own protocol (PostgreSQL: "the database system is
  shutting down", MariaDB: "Server shutdown in progress", SMTP: 421). To the gateway that is an answer like any other. The
  check understands it, so it may go on for fall × interval at most, however long the server takes. So that it is
  short, each daemon is stopped in the fastest of its orderly ways: PostgreSQL by SIGINT ("fast": it does not wait for clients, as
  SIGTERM would; SIGQUIT would be a crash), the others by SIGTERM, nginx by SIGQUIT as Debian's unit does.
- HTTP can be repeated: with `retry_on: [connect, reset, 502]` not one GET may fail, under way or not.

A SIGKILL takes the whole family of processes, as a machine's end does.
"""
import signal
import smtplib
import time
import urllib.request
from functools import partial

import pytest

from harness.daemons import Again, Exim, MariaDb, Postgres, Redis, find
from harness.load import Load, command, refuses
from harness.real import Nginx
from harness.services import edge, tcp
from harness.sshd import Sshd
from harness.wait import PATIENCE, until

INTERVAL, FALL, RISE = 0.5, 2, 2
CHECK = {"interval": "500ms", "timeout": "5s", "fall": FALL, "rise": RISE}
QUICK, BUSY = 0.3, 3.0  # on top, for the check itself and for looking: at best, and on a machine that is busy


class BusyPostgres(Postgres):
    most = 50  # a session's process may outlive it for a moment


class BusyMariaDb(MariaDb):
    most = 50


def daemons(kind):
    made = [kind() for _ in range(2)]
    for one in made:
        one.start()
        if hasattr(one, "add_users"):
            one.add_users()
    return made


def nginxes():
    return [Again(Nginx(extra="location = /who { return 200 $server_port; }", master=True), signal.SIGQUIT) for _ in range(2)]


def sshds():
    first = Sshd()
    return [Again(first), Again(Sshd(like=first))]


def https(port, ca, servers):
    return command("curl", "-q", "-sSf", "--max-time", "50", "--cacert", ca.cert, "--connect-to", f"web.example:443:127.0.0.1:{port}",
                   "https://web.example/who")


def shell(port, ca, servers):
    server = servers[0].server
    return command(*server.ssh_command().split(), "-p", str(port), f"{server.user}@127.0.0.1", "echo ${SSH_CONNECTION##* }")


def psql(port, ca, servers):
    return command("psql", "-X", "-h", "127.0.0.1", "-p", str(port), "-U", "trusted", "-d", "postgres", "-qtAc",
                   "select inet_server_port()", env={"PGCONNECT_TIMEOUT": "50"})


def mysql(port, ca, servers):
    return command(find("mariadb"), "--no-defaults", "--skip-ssl", "--protocol=tcp", "-h127.0.0.1", f"-P{port}", "-unobody",
                   "--connect-timeout=50", "-NBe", "select @@port")


def redis(port, ca, servers):
    return command("redis-cli", "-h", "127.0.0.1", "-p", str(port), "config", "get", "port")


def mail(port, ca, servers):
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=50) as client:
            code, said = client.ehlo("client.example")
            name = said.decode().split(".")[0]  # mail-12345.example
            return (int(name.removeprefix("mail-")) if code == 250 and client.noop()[0] == 250 else None), said.decode()
    except (OSError, smtplib.SMTPException) as error:
        return None, repr(error)


# Servers, their check, a session, and whether one may end badly at all.
CASES = {
    "nginx": (nginxes, {"type": "http", "path": "/who"}, https, False),
    "sshd": (sshds, {"type": "ssh"}, shell, True),
    "postgres": (partial(daemons, BusyPostgres), {"type": "postgres", "user": "scram", "password": "pencil"}, psql, True),
    "mariadb": (partial(daemons, BusyMariaDb), {"type": "mysql", "user": "health", "password": "pencil"}, mysql, True),
    "redis": (partial(daemons, Redis), {"type": "redis"}, redis, True),
    "smtp": (partial(daemons, Exim), {"type": "smtp"}, mail, True),
}


class Stop:
    """One server's end and return. All that are times are time.monotonic()."""

    def __init__(self, gw, load, server, other, how):
        self.how = how
        self.asked = time.monotonic()
        getattr(server, how)()
        until(lambda: refuses(server.port), "it still listens", step=0.002)
        self.gone = time.monotonic()
        self.down_after = shown(gw, server, 0) - self.gone
        until(lambda: load.answered(server.port, self.gone) + load.answered(other.port, self.gone) >= 2 * load.count,
              lambda: f"no session ends: {load.sessions[-8:]}")
        self.beside = load.answered(other.port, self.gone)
        assert not load.answered(server.port, self.gone), "it is gone, and answers"
        server.start()
        until(lambda: not refuses(server.port), "it does not come back")
        ready = time.monotonic()
        self.up_after = shown(gw, server, 1) - ready
        until(lambda: load.answered(server.port, ready), "nobody is sent to it again")

    def may_end(self, session):
        """Whether this session was under way when the server went, and not after it should have been known."""
        return session.began < min(self.gone, self.asked + FALL * INTERVAL + BUSY) and session.ended > self.asked


def shown(gw, server, value):
    """When the metrics first say so of a server."""
    def found():
        with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        states = [line for line in lines if line.startswith("sallyport_server_up{") and f'server="{server.address}"' in line]
        assert len(states) == 1, states
        return int(states[0].split()[-1]) == value
    until(found, lambda: f"{server.address} is not shown as {value}: {gw.log_text()}", step=0.02)
    return time.monotonic()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_no_new_session_fails_while_one_of_two_is_up(gateway, ca, leaf, name):
    make, check, session, may_fail = CASES[name]
    servers = make()
    load = None
    try:
        rules = {**CHECK, **check}
        if name == "nginx":
            gw = gateway({"s": edge("web.example", *servers, health=rules, retry_on=["connect", "reset", "502"])},
                         certs={"c.pem": leaf("web.example")})
            port = gw.ports["https"]
        else:
            gw = gateway({"s": tcp("in", *servers, health=rules)}, listeners={"in": {}})
            port = gw.ports["in"]
        load = Load(lambda: session(port, ca, servers))
        for server in servers:
            until(lambda: load.answered(server.port, 0), lambda: f"no session reaches {server.address}: {load.sessions[-8:]}")
        stops = [Stop(gw, load, server, other, how) for how in ("stop", "kill") for server, other in (servers, servers[::-1])]
    finally:
        if load:
            load.stop()
        for server in servers:
            server.remove()
    judge(name, load, stops, may_fail)


def judge(name, load, stops, may_fail):
    failed = [one for one in load.sessions if one.port is None]
    cut = {stop: [one for one in failed if stop.may_end(one)] for stop in stops}
    print(f"\n{name}: {len(load.sessions)} sessions; " + "; ".join(
        f"{stop.how}: {len(ended)} cut, then {stop.beside} by the other, down after {stop.down_after:.2f} s, up after {stop.up_after:.2f} s"
        for stop, ended in cut.items()))
    for one in failed:
        print(f"  cut: {one.said}")
    unexpected = [one for one in failed if not may_fail or not any(one in ended for ended in cut.values())]
    assert not unexpected, unexpected[:5]
    for stop, ended in cut.items():
        assert stop.how != "kill" or len(ended) <= load.count, ended
        assert not [one for one in ended if "no end within" in one.said or "timed out" in one.said], ended
        assert max(stop.down_after - FALL * INTERVAL, stop.up_after - RISE * INTERVAL) < BUSY, "the state is shown too late"
    assert min(stop.down_after for stop in stops) <= FALL * INTERVAL + QUICK
    assert min(stop.up_after for stop in stops) <= RISE * INTERVAL + QUICK
