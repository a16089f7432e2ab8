"""Checks against real servers: nginx, OpenSSH, PostgreSQL, MariaDB, Redis, Exim."""
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from harness.client import http
from harness.daemons import Again, Exim, MariaDb, Postgres, Redis, RedisWithPassword
from harness.http_server import response
from harness.real import Nginx
from harness.server import refused_port
from harness.services import edge, passthrough, plain, reencrypt, tcp
from harness.sshd import Sshd
from harness.wait import PATIENCE, until

QUICK = {"interval": "500ms", "timeout": "20s", "fall": 2, "rise": 2}


def rules(kind, **keys):
    return {"type": kind, **QUICK, **keys}


class Watch:
    """What a gateway's log says about a service's servers, from here on."""

    def __init__(self, gw, service="s"):
        self.gw, self.service = gw, service
        self.seen = len(gw.lines)

    def wait(self, word, timeout=PATIENCE):
        """The next line of the service with this word."""
        def found():
            for at in range(self.seen, len(self.gw.lines)):
                if f"service {self.service}: " in self.gw.lines[at] and word in self.gw.lines[at]:
                    self.seen = at + 1
                    return self.gw.lines[at]
            return None
        return until(found, lambda: f"no line with {word!r}: {self.gw.log_text()}", timeout)

    def none(self, word):
        assert not [line for line in self.gw.lines[self.seen:] if f"service {self.service}: " in line and word in line]


def server_up(gw, service="s"):
    """What the metrics say of the servers of a service."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=30) as reply:
        return [int(value) for value in re.findall(rf'^sallyport_server_up\{{service="{service}",server="[^"]*"\}} (\d)$', reply.read().decode(), re.M)]


def stays_up(gw, seconds=2.5):
    """At least four checks pass: a first one that fails says so at once."""
    watch = Watch(gw)
    watch.seen = 0
    time.sleep(seconds)
    watch.none("is down")
    assert server_up(gw) == [1]


# Made once: starting a database takes seconds.
@pytest.fixture(scope="module")
def daemon():
    made = {}

    def make(kind, *args):
        if kind not in made:
            made[kind] = Again(kind(*args)) if kind in (Nginx, Sshd) else kind()
            if kind not in (Nginx, Sshd):
                made[kind].start()
            if hasattr(made[kind], "add_users"):
                made[kind].add_users()
        return made[kind]
    yield make
    for one in made.values():
        one.remove()


CASES = {
    "tcp": (Redis, rules("tcp")),
    "http": (Nginx, rules("http", path="/headers")),
    "ssh": (Sshd, rules("ssh")),
    "smtp": (Exim, rules("smtp")),
    "redis": (Redis, rules("redis")),
    "redis-password": (RedisWithPassword, rules("redis", password="pencil")),
    "postgres": (Postgres, rules("postgres")),
    "postgres-scram": (Postgres, rules("postgres", user="scram", password="pencil")),
    "postgres-md5": (Postgres, rules("postgres", user="digest", password="pencil")),
    "postgres-clear": (Postgres, rules("postgres", user="clear", password="pencil")),
    "postgres-trust": (Postgres, rules("postgres", user="trusted")),
    "mysql": (MariaDb, rules("mysql")),
    "mysql-password": (MariaDb, rules("mysql", user="health", password="pencil")),
    "mysql-no-password": (MariaDb, rules("mysql", user="nobody")),
}


@pytest.mark.parametrize("name", CASES)
def test_down_when_it_stops_and_up_when_it_is_back(gateway, daemon, name):
    kind, health = CASES[name]
    server = daemon(kind)
    gw = gateway({"s": tcp("in", server, health=health)}, listeners={"in": {}})
    stays_up(gw)
    watch = Watch(gw)
    server.stop()
    stopped = time.monotonic()
    try:
        line = watch.wait("is down")
        # Two failures 500 ms apart; the rest is for a busy machine.
        assert time.monotonic() - stopped < 10
        assert "Connection refused" in line or "closed" in line or "reset" in line or "error" in line, line
        watch.wait("no server is left")
        assert server_up(gw) == [0]
    finally:
        server.start()
    watch.wait("is up again after")
    watch.wait("has a server again")
    time.sleep(1.2)
    watch.none("is down")


def test_traffic_goes_where_it_is_up(gateway, http_server, daemon):
    nginx = daemon(Nginx).server
    other = http_server(lambda r: response(200, "other"))
    nginx.file("alive", b"all is well\n")
    health = rules("http", path="/alive", body="is well", fall=1, rise=1)
    gw = gateway({"s": plain("test.example", nginx, other, health=health, balance="round-robin")})
    watch = Watch(gw)
    watch.seen = 0
    assert 'status 200, but no \\"is well\\" in its body' in watch.wait(f"server {other.address} is down")
    assert {http(gw.ports["http"], "/headers").status for _ in range(6)} == {200}
    watch.none("no server is left")


def test_https_verifies_as_told(gateway, server_ca, ca):
    nginx = Nginx(server_ca.leaf("re.example"))
    certs = {"servers.pem": open(server_ca.cert).read(), "wrong.pem": open(ca.cert).read()}
    try:
        base = {"server_tls": {"ca": "servers.pem"}}
        gw = gateway({
            "good": reencrypt("re.example", nginx.tls_address, health=rules("https", path="/headers"), **base),
            "name": reencrypt("other.example", nginx.tls_address, health=rules("https"), **base),
            "trust": reencrypt("third.example", nginx.tls_address, health=rules("tls", host="re.example"),
                               server_tls={"ca": "wrong.pem"}),
            "none": reencrypt("fourth.example", nginx.tls_address, health=rules("https", path="/headers", verify="none"), **base),
            "pass": passthrough("own.example", nginx.tls_address, health=rules("tls")),
        }, certs=certs)
        name, trust = Watch(gw, "name"), Watch(gw, "trust")
        name.seen = trust.seen = 0
        assert "hostname mismatch" in name.wait("is down")
        assert "certificate verify failed" in trust.wait("is down")
        time.sleep(1.5)
        for service in ("good", "none", "pass"):
            watch = Watch(gw, service)
            watch.seen = 0
            watch.none("is down")
    finally:
        nginx.stop()


def test_the_classic_mistakes_are_named(gateway, server_ca):
    nginx = Nginx(server_ca.leaf("re.example"))
    try:
        gw = gateway({
            "a": edge("a.example", nginx.tls_address, health=rules("http")),
            "b": plain("b.example", nginx.tls_address, health=rules("http")),
            "c": reencrypt("c.example", nginx.address, health=rules("https")),
            "d": reencrypt("d.example", nginx.tls_address, health=rules("http")),
            "e": edge("e.example", nginx.address, health=rules("https")),
            "f": passthrough("f.example", nginx.address, health=rules("tls")),
        })
        for service, words in {"a": "this server speaks TLS: use mode reencrypt", "b": "this server speaks TLS: give the service server_tls",
                               "c": "this server does not speak TLS: use mode edge", "d": "this server speaks TLS: check it with type https",
                               "e": "this server does not speak TLS: check it with type http",
                               "f": "this server does not speak TLS: use mode edge"}.items():
            watch = Watch(gw, service)
            watch.seen = 0
            assert words in watch.wait("is down")
    finally:
        nginx.stop()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_proxy_header_is_sent_and_named(gateway, daemon, version):
    from harness.ports import free_port
    port = free_port()
    nginx = Nginx(extra=f"listen 127.0.0.1:{port} proxy_protocol;")
    sink = daemon(Exim)
    try:
        gw = gateway({
            "good": plain("a.example", f"127.0.0.1:{port}", proxy_protocol=version, health=rules("http", path="/headers")),
            "bad": plain("b.example", nginx.address, proxy_protocol=version, health=rules("http", path="/headers")),
            "mail": tcp("in", sink, proxy_protocol=version, health=rules("smtp")),
        }, listeners={"in": {}})
        for service in ("bad", "mail"):
            watch = Watch(gw, service)
            watch.seen = 0
            assert f"(after a PROXY {version} header: does this server expect one?)" in watch.wait("is down")
        time.sleep(1.5)
        good = Watch(gw, "good")
        good.seen = 0
        good.none("is down")
    finally:
        nginx.stop()


WRONG = {
    "postgres-password": (Postgres, rules("postgres", user="scram", password="pen"), "28P01: password authentication failed"),
    "postgres-none": (Postgres, rules("postgres", user="scram"), "this server wants a password"),
    "postgres-md5": (Postgres, rules("postgres", user="digest", password="pen"), "28P01: password authentication failed"),
    "postgres-hba": (Postgres, rules("postgres", user="stranger"), "28000: no pg_hba.conf entry"),
    "mysql-password": (MariaDb, rules("mysql", user="health", password="pen"), "MySQL error 1045: Access denied"),
    "redis-password": (RedisWithPassword, rules("redis", password="pen"), "WRONGPASS"),
    "redis-none": (RedisWithPassword, rules("redis"), "this server wants a password"),
    "redis-http": (Redis, rules("http"), "it closed without an answer"),
    "ssh-redis": (Redis, rules("ssh", timeout="1s"), "no answer within 1 s"),
    "mysql-ssh": (Sshd, rules("mysql"), "not a MySQL packet"),
    "postgres-http": (Nginx, rules("postgres"), "not a PostgreSQL answer"),
    "smtp-ssh": (Sshd, rules("smtp"), "not an SMTP answer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(gateway, daemon, name):
    kind, health, words = WRONG[name]
    gw = gateway({"s": tcp("in", daemon(kind), health=health)}, listeners={"in": {}})
    watch = Watch(gw)
    watch.seen = 0
    assert words in watch.wait("is down")


def test_a_database_that_shuts_down_is_down_before_it_is_gone(gateway, daemon):
    server = daemon(Postgres)
    gw = gateway({"s": tcp("in", server, health=rules("postgres"))}, listeners={"in": {}})
    stays_up(gw)
    watch = Watch(gw)
    client = subprocess.Popen(["psql", "-h", server.dir, "-p", str(server.port), "-U", "admin", "-d", "postgres", "-c",
                               "select pg_sleep(600)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: "pg_sleep" in server.sql("select query from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"),
              server.log)
        server.process.send_signal(signal.SIGTERM)  # it waits for its clients
        assert "57P03: the database system is shutting down" in watch.wait("is down")
    finally:
        client.kill()
        client.wait()
        server.stop()
        server.start()
    watch.wait("is up again")


def test_checks_leave_no_trouble_in_the_logs_of_databases(gateway, daemon):
    """A user of the check's own: no failed login, no connection that was cut."""
    postgres, mariadb = daemon(Postgres), daemon(MariaDb)
    aborted = mariadb.sql("show global status like 'Aborted%'")
    start = {server: len(open(f"{server.dir}/log").read()) for server in (postgres, mariadb)}
    gw = gateway({
        "s": tcp("in", mariadb, health=rules("mysql", user="health", password="pencil")),
        "p": tcp("in2", postgres, health=rules("postgres", user="scram", password="pencil")),
        "q": tcp("in3", postgres, health=rules("postgres")),
    }, listeners={"in": {}, "in2": {}, "in3": {}})
    stays_up(gw)
    assert mariadb.sql("show global status like 'Aborted%'") == aborted
    for server in (postgres, mariadb):
        fresh = open(f"{server.dir}/log").read()[start[server]:]
        for word in ("ERROR", "FATAL", "Aborted", "denied", "reset"):
            assert word not in fresh, fresh


def test_a_name_that_does_not_resolve(gateway):
    gw = gateway({"s": plain("test.example", "no-such-host.invalid:80", health=rules("http"))})
    watch = Watch(gw)
    watch.seen = 0
    assert "the name does not resolve" in watch.wait("is down")


def test_many_servers_at_once(gateway, http_server):
    """More than may be checked at once; those that refuse are over before the next begins."""
    up = [http_server(lambda r: response(200, "x")) for _ in range(3)]
    down = [f"127.0.0.1:{refused_port()}" for _ in range(200)]
    gw = gateway({"s": plain("test.example", *up, *down, health=rules("tcp", fall=1))})
    until(lambda: sum("is down" in line for line in gw.lines) == 200, gw.log_text)
    watch = Watch(gw)
    watch.seen = 0
    watch.none("no server is left")


def outer_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith(("127.", "0.")) else address


def test_checks_do_not_lock_this_host_out_of_mysql(gateway, daemon):
    """Who leaves after the greeting is counted, and after max_connect_errors is not let in any more: nobody is."""
    address = outer_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    server = daemon(MariaDb)
    gw = gateway({"s": tcp("in", f"{address}:{server.port}", health=rules("mysql", interval="200ms"))}, listeners={"in": {}})
    stays_up(gw)
    for _ in range(5):  # so it is with three of these
        with socket.create_connection((address, server.port), PATIENCE) as sock:
            blocked = b"is blocked" in sock.recv(300)
    assert blocked
    Watch(gw).wait("is blocked because of many connection errors")
    server.sql("flush hosts")
