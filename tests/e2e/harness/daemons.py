"""Real servers that can be stopped and started again where they were: databases, mail. Each in a folder and on a port of its
own, and never as root, which some of them refuse."""
import atexit
import glob
import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from . import load
from .ports import free_port
from .wait import until


NOGROUP = pwd.getpwnam("nobody").pw_gid


def find(*names):
    """The first of these programs; Debian keeps some out of PATH."""
    for name in names:
        for path in sorted(glob.glob(name), reverse=True) if "/" in name else [shutil.which(name) or f"/usr/sbin/{name}"]:
            if os.access(path, os.X_OK):
                return path
    if names == ("exim4",) and os.path.exists("/usr/sbin/sendmail"):
        pytest.skip("another mail server is installed, which Exim's package would replace")
    raise AssertionError(f"none of {names} is installed: scripts/dependencies test")


def unprivileged():
    """How subprocess runs a server that must not be root; nothing to do for whoever is not."""
    return {"user": "nobody", "group": NOGROUP, "extra_groups": [NOGROUP]} if os.geteuid() == 0 else {}


class Daemon:
    goodbye = signal.SIGTERM

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix=f"sp-{type(self).__name__.lower()}-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.environment = {**os.environ, "HOME": self.dir, "LC_ALL": "C.UTF-8", "TMPDIR": self.dir, "RES_OPTIONS": "timeout:1 attempts:1"}
        for key in [key for key in self.environment if key.startswith(("PG", "MYSQL"))]:
            del self.environment[key]
        atexit.register(self.remove)  # where a failed test did not
        self.prepare()
        self.own()

    def prepare(self):
        """Writes what it needs into the folder, once."""

    def own(self):
        """The folder belongs to whom the server runs as."""
        who = unprivileged()
        if not who:
            return
        uid = pwd.getpwnam(who["user"]).pw_uid
        for folder, _, files in os.walk(self.dir):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, uid, who["group"], follow_symlinks=False)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def run(self, *command, **kw):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, cwd=self.dir, env={**self.environment, **kw.pop("env", {})}, **unprivileged(), **kw)
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def start(self):
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=open(os.path.join(self.dir, "log"), "a"),
                                        stderr=subprocess.STDOUT, cwd=self.dir, env=self.environment, **unprivileged())
        until(self._ready, self.log, 60, 0.05)
        return self

    def _ready(self):
        assert self.process.poll() is None, f"it ended: {self.log()}"
        try:
            return self.ready()
        except (OSError, AssertionError):
            return False

    def ready(self):
        """Whether it answers."""
        raise NotImplementedError

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-4000:]

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(self.goodbye)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        """It and its children, without a goodbye."""
        load.kill(self.process)
        self.process = None

    def remove(self):
        self.goodbye = signal.SIGKILL
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Postgres(Daemon):
    """Users with the password "pencil": scram, digest (md5), clear; trusted needs none."""
    goodbye = signal.SIGINT  # does not wait for clients
    most = 10  # clients at once; the last three are for the superuser

    def prepare(self):
        self.data = os.path.join(self.dir, "data")
        self.own()
        self.program = find("/usr/lib/postgresql/*/bin/postgres", "postgres")
        self.run(os.path.join(os.path.dirname(self.program), "initdb"), "-D", self.data, "-U", "admin", "--no-locale", "-E", "UTF8",
                 "-A", "trust", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.dir}'\nfsync = off\n"
                    f"max_connections = {self.most}\nlog_connections = on\n")
        self.write("data/pg_hba.conf", "".join(f"{line}\n" for line in (
            "local all all trust", "host all scram 127.0.0.1/32 scram-sha-256", "host all digest 127.0.0.1/32 md5",
            "host all clear 127.0.0.1/32 password", "host all trusted 127.0.0.1/32 trust", "host all sallyport 127.0.0.1/32 scram-sha-256")))

    def command(self):
        return [self.program, "-D", self.data]

    def sql(self, text):
        return self.run(find("psql"), "-h", self.dir, "-p", str(self.port), "-U", "admin", "-d", "postgres", "-qtAc", text)

    def ready(self):
        return self.sql("select 1").strip() == "1"

    def add_users(self):
        self.sql("set password_encryption = 'scram-sha-256'; create role scram login password 'pencil'; "
                 "create role clear login password 'pencil'; create role trusted login; "
                 "set password_encryption = 'md5'; create role digest login password 'pencil'")
        return self


class MariaDb(Daemon):
    """User health with the password "pencil", nobody without one. Three failed handshakes lock a host out, but for 127.0.0.1."""
    most = 10  # clients at once

    def prepare(self):
        self.own()
        self.run(find("mariadb-install-db"), "--no-defaults", f"--datadir={self.dir}/data", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve")

    def command(self):
        return [find("mariadbd"), "--no-defaults", f"--datadir={self.dir}/data", f"--socket={self.dir}/sock", f"--pid-file={self.dir}/pid",
                "--bind-address=0.0.0.0", f"--port={self.port}", "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0",
                "--innodb-log-file-size=4M", f"--max-connections={self.most}", "--max-connect-errors=3", "--log-warnings=4"]

    def sql(self, text):
        return self.run(find("mariadb"), "--no-defaults", f"--socket={self.dir}/sock", "-uroot", "-NBe", text)

    def ready(self):
        return self.sql("select 1").strip() == "1"

    def add_users(self):
        self.sql("create user health@'%' identified by 'pencil'; create user nobody@'%'")
        return self


class Redis(Daemon):
    password = ""

    def command(self):
        password = ["--requirepass", self.password] if self.password else []
        return [find("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.dir, *password]

    def ready(self):
        password = ["-a", self.password] if self.password else []
        return "PONG" in self.run(find("redis-cli"), "-h", "127.0.0.1", "-p", str(self.port), *password, "ping")


class RedisWithPassword(Redis):
    password = "pencil"


class Exim(Daemon):
    def prepare(self):
        os.mkdir(os.path.join(self.dir, "spool"))
        group = unprivileged().get("group", os.getgid())  # only an administrator of Exim's may start one
        self.configuration = self.write("conf", "\n".join((
            f"admin_groups = {grp.getgrgid(group).gr_name}", f"exim_group = {grp.getgrgid(group).gr_name}",
            f"exim_user = {unprivileged().get('user') or pwd.getpwuid(os.getuid()).pw_name}", "tls_advertise_hosts =",
            f"primary_hostname = mail-{self.port}.example", f"spool_directory = {self.dir}/spool", f"log_file_path = {self.dir}/%slog",
            f"pid_file_path = {self.dir}/pid", f"local_interfaces = <; [127.0.0.1]:{self.port}", "keep_environment =",
            "add_environment =", "host_lookup =", "rfc1413_query_timeout = 0s", "queue_only = true", "begin acl", "begin routers",
            "begin transports", "")))

    def command(self):
        return [find("exim4"), "-C", self.configuration, "-bdf"]

    def ready(self):
        import smtplib
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as client:
                return client.noop()[0] == 250
        except smtplib.SMTPException:
            return False


class MailServer(Exim):
    """Takes mail for everybody, with STARTTLS under the certificate of `leaf`, from user "gate" with the password "pencil"; keeps it."""

    def __init__(self, leaf):
        self.leaf = leaf
        super().__init__()

    def prepare(self):
        super().prepare()
        with open(self.leaf.both) as f:
            self.write("tls.pem", f.read())
        with open(self.configuration) as f:
            base = f.read().replace("tls_advertise_hosts =", "tls_advertise_hosts = *", 1).split("begin acl")[0]
        self.write("conf", base + "\n".join((
            f"tls_certificate = {self.dir}/tls.pem", f"tls_privatekey = {self.dir}/tls.pem", "acl_smtp_rcpt = rcpt", "acl_smtp_data = data",
            "auth_advertise_hosts = *", "begin acl", "rcpt:", "  deny !encrypted = *", "  deny !authenticated = *", "  accept",
            "data:", "  accept", "begin routers", "begin transports", "begin authenticators", "plain:", "  driver = plaintext",
            "  public_name = PLAIN", "  server_prompts = :", "  server_condition = ${if and{{eq{$auth2}{gate}}{eq{$auth3}{pencil}}}}",
            "  server_set_id = $auth2", "  server_advertise_condition = ${if def:tls_in_cipher}", "")))

    def mails(self):
        """What it has taken, each as (recipients, message)."""
        out = []
        for path in sorted(glob.glob(os.path.join(self.dir, "spool", "input", "**", "*-H"), recursive=True)):
            identity = os.path.basename(path)[:-2]
            recipients = [line for line in self.show("-Mvh", identity).splitlines() if re.fullmatch(r"[^ <>]+@[^ <>]+", line)]
            out.append((recipients, self.show("-Mvc", identity)))
        return out

    def show(self, what, identity):
        """A part of a message, without Exim's remark on who may use -C."""
        text = self.run(find("exim4"), "-C", self.configuration, what, identity)
        return re.sub(r"^\S+ \S+ exim user lost privilege.*\n", "", text)


class Again:
    """A server of the harness that only starts once: stopped, and started again as it was."""

    def __init__(self, server, goodbye=signal.SIGTERM):
        self.server, self.goodbye = server, goodbye
        self.address, self.port = server.address, server.port

    def stop(self):
        self.server.process.send_signal(self.goodbye)
        self.server.process.wait(60)

    def kill(self):
        load.kill(self.server.process)

    def start(self):
        self.server.process = subprocess.Popen(self.server.process.args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL)
        atexit.register(self.server.process.kill)
        return self

    def remove(self):
        self.server.stop()
