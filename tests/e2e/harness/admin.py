"""Asks a gateway's admin interface, with curl as scripts do."""
import json
import os
import socket
import subprocess

from .gateway import command
from .wait import PATIENCE, until


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"<{self.status} {self.body[:500]}>"


class Admin:
    def __init__(self, gateway, tcp=False, token=None, port=None):
        self.gateway, self.tcp, self.token = gateway, tcp, token
        self.socket = gateway.config.settings["admin"]["socket"]
        self.port = port or gateway.config.admin_port

    def ask(self, target, method="GET", body=None, headers=(), options=()):
        words = ["curl", "-q", "-sS", "-i", "--max-time", str(int(PATIENCE)), *options]
        words += ["--head"] if method == "HEAD" else ["-X", method]
        words += [] if self.tcp else ["--unix-socket", self.socket]
        words += ["-H", f"Authorization: Bearer {self.token}"] if self.token else []
        for header in headers:
            words += ["-H", header]
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            words += ["--data-binary", "@-", "-H", "Expect:"]
        words.append(f"http://127.0.0.1:{self.port}{target}" if self.tcp else f"http://localhost{target}")
        done = subprocess.run(words, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE * 2)
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
        return Answer(done.stdout.decode())

    def get(self, target):
        answer = self.ask(target)
        assert answer.status == 200, answer
        return answer.json

    def server(self, service, server):
        for one in self.get(f"/api/v1/servers?service={service}")["servers"]:
            if server in (one["server"], one.get("name")):
                return one
        raise AssertionError(f"no server {server}")

    def sessions(self, query="", count=None):
        """The sessions; waits until there are so many."""
        target = "/api/v1/sessions" + ("?" + query if query else "")
        if count is None:
            return self.get(target)["sessions"]
        seen = []

        def enough():
            seen[:] = self.get(target)["sessions"]
            return len(seen) == count
        until(enough, lambda: f"{count} sessions for {query!r}; there are {seen}")
        return seen

    def connect(self, timeout=PATIENCE):
        """A raw connection."""
        if self.tcp:
            return socket.create_connection(("127.0.0.1", self.port), timeout)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(self.socket)
        return sock

    def command(self, *words, env=None):
        """The program's own command, run to its end."""
        return command(*words, "--config", self.gateway.config.dir, env=env)

    def printed(self, *words):
        done = self.command(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        assert not [line for line in done.stdout.split("\n") if line.endswith(" ")], done.stdout
        return done.stdout


class Events:
    """A stream of server-sent events, read one at a time."""

    def __init__(self, admin):
        self.sock = admin.connect()
        self.sock.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.fields = {}
        while True:
            line = self.file.readline().strip().decode()
            if not line:
                break
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()

    def next(self):
        """(name, data)"""
        name, data = None, None
        while True:
            line = self.file.readline()
            assert line, "the stream has ended"
            line = line.rstrip(b"\n").decode()
            if not line:
                return name, data
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                data = json.loads(value)

    def wait(self, name, condition=lambda data: True, most=60):
        for _ in range(most):
            got, data = self.next()
            if got == name and condition(data):
                return data
        raise AssertionError(f"no event {name!r} that fits")

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def mode_of(path):
    return os.stat(path).st_mode & 0o777
