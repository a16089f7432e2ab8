"""Sockets that are held outside and handed through podman, rootful and rootless, as `.socket` units do it with the quadlets."""
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys

import podman
import pytest
import yaml
from harness.client import Client, http
from harness.manager import HAND_OVER
from harness.wait import until

HARDENED = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
TO = "https://new.example"


class Rootful:
    kind, prefix, options = "rootful", [], []
    command = ["podman", "--runtime", "runc"]

    def __init__(self, image):
        self.home = None

    def close(self):
        pass


class Rootless:
    """An ordinary user: whoever runs the tests, or one that is made for them and goes with them."""
    kind, options = "rootless", ["--userns", "keep-id:uid=10001,gid=10001"]
    command = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]

    def __init__(self, image):
        if shutil.which("newuidmap") is None:
            pytest.skip("rootless podman needs newuidmap (package uidmap)")
        self._made = None
        if os.geteuid() == 0:
            self._made = f"sp-test-{os.getpid()}"
            subprocess.run(["useradd", "--create-home", self._made], check=True)
            user = pwd.getpwnam(self._made)
            self.home, run = user.pw_dir, os.path.join(user.pw_dir, "run")
            # No fork in between: LISTEN_PID is the number of the process.
            self.prefix = [shutil.which("setpriv"), "--reuid", self._made, "--regid", str(user.pw_gid), "--init-groups", "env", "-C",
                           self.home, f"HOME={self.home}", f"XDG_RUNTIME_DIR={run}"]
            os.mkdir(run, 0o700)
            os.chown(run, user.pw_uid, user.pw_gid)
        else:
            self.home, self.prefix = os.path.expanduser("~"), []
        try:
            saved = subprocess.Popen(["podman", "save", "-q", image], stdout=subprocess.PIPE)
            loaded = self.run("load", "-q", stdin=saved.stdout)
            tried = self.run("run", "--rm", "--network", "none", *podman.RUN, *self.options, image, "--version")
            if saved.wait() != 0 or loaded.returncode != 0 or tried.returncode != 0:
                pytest.skip(f"rootless podman does not work on this machine: {(loaded.stderr + tried.stderr).strip()[-300:]}")
        except BaseException:
            self.close()
            raise

    def run(self, *args, **kw):
        return subprocess.run([*self.prefix, *self.command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300,
                              cwd="/", **kw)

    def close(self):
        if self._made:
            self.run("system", "migrate")  # ends the process that holds its user namespace
            subprocess.run(["userdel", "--remove", "--force", self._made], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Held:
    """The sockets, and one container after the other that gets them."""

    def __init__(self, who, image, folder):
        self.who, self.image, self.folder = who, image, folder
        self.name = f"sallyport-test-{who.kind}"
        self.sockets = {name: socket.create_server(("127.0.0.1", 0), backlog=128) for name in ("http", "https")}
        self.ports = {name: sock.getsockname()[1] for name, sock in self.sockets.items()}
        self._log = open(folder.parent / f"{who.kind}.log", "ab+")
        self._process = None

    def start(self):
        numbers = [sock.fileno() for sock in self.sockets.values()]
        words = [*self.who.prefix, *self.who.command, "run", "--rm", "--replace", "--name", self.name, "--network", "none", *podman.RUN,
                   *HARDENED, *self.who.options, "-v", f"{self.folder}:/etc/sallyport:ro", self.image]
        words[0] = shutil.which(words[0])
        self._process = subprocess.Popen(
            [sys.executable, "-c", HAND_OVER, ",".join(map(str, numbers)), *words], pass_fds=numbers, stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, cwd="/",
            env={**os.environ, "LISTEN_FDS": str(len(numbers)), "LISTEN_FDNAMES": ":".join(self.sockets)})

    def do(self, *args):
        return subprocess.run([*self.who.prefix, *self.who.command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=120, cwd="/")

    def log(self):
        with open(self._log.name, errors="replace") as log:
            return log.read()[-20_000:]

    def stop(self):
        if self._process is None:
            return
        self.do("stop", "-t", "20", self.name)
        self._process.wait(60)
        self._process = None

    def close(self):
        self.do("rm", "-f", "-t", "1", self.name)
        if self._process is not None:
            self._process.wait(60)
        for sock in self.sockets.values():
            sock.close()
        self._log.close()


@pytest.fixture(scope="module", params=[Rootful, Rootless], ids=lambda kind: kind.kind)
def who(request, image):
    if request.param is Rootful and os.geteuid() != 0:
        pytest.skip("rootful podman needs root")
    made = request.param(image)
    yield made
    made.close()


def redirect(host):
    return {"mode": "redirect", "hosts": [host], "redirect": {"to": TO}}


@pytest.fixture
def held(who, image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("activation") / "config"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "gateway.yaml").write_text(yaml.safe_dump({"logs": {"format": "json"}, "drain_timeout": "2s", "workers": 2}))
    (folder / "conf.d" / "old.yaml").write_text(yaml.safe_dump(redirect("old.example")))
    for path in (folder, *folder.parents):
        if str(path).startswith(str(tmp_path_factory.getbasetemp().parent)):
            path.chmod(0o755)
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    made = Held(who, image, folder)
    yield made
    made.close()


def test_sockets_keep_client_addresses_and_a_restart_turns_nobody_away(held):
    held.start()
    for last in (5, 6):
        reply = http(held.ports["http"], "/x", "old.example", timeout=120, source=f"127.0.0.{last}")
        assert reply.get("Location") == f"{TO}/x", held.log()
    until(lambda: {"127.0.0.5", "127.0.0.6"} <= clients(held), held.log, 10)
    assert held.log().count("(handed over)") == 2
    held.stop()
    # Nobody is there; the sockets are.
    waiting = [Client(held.ports["http"], timeout=120, source=f"127.0.0.{n}") for n in range(10, 20)]
    for client in waiting:
        client.send(b"GET /y HTTP/1.1\r\nHost: old.example\r\n\r\n")
    held.start()
    for client in waiting:
        assert client.response().get("Location") == f"{TO}/y", held.log()
        client.close()
    until(lambda: {f"127.0.0.{n}" for n in range(10, 20)} <= clients(held), held.log, 10)


def clients(held):
    lines = [line[line.index("{"):] for line in held.log().splitlines() if '"type":"access"' in line]
    return {json.loads(line)["client"] for line in lines}


def test_reload_from_outside(held):
    """By signal, and by the command inside, which says what came of it."""
    if "reload" not in held.do("run", "--rm", "--network", "none", *podman.RUN, held.image, "--help").stdout:
        pytest.skip("this version has no command `reload`")
    held.start()
    until(lambda: "serving 1 service" in held.log(), held.log, 120, step=0.2)
    assert http(held.ports["http"], "/", "old.example").status in (301, 308)
    for name, command in (("one", ("kill", "--signal", "HUP", held.name)), ("two", ("exec", held.name, "sallyport", "reload"))):
        file = held.folder / "conf.d" / f"{name}.yaml"
        file.write_text(yaml.safe_dump(redirect(f"{name}.example")))
        file.chmod(0o644)
        done = held.do(*command)
        assert done.returncode == 0, done.stderr
        until(lambda: http(held.ports["http"], "/", f"{name}.example").status in (301, 308), held.log, 10, step=0.2)
    file.write_text("mode: nonsense\n")
    done = held.do("exec", held.name, "sallyport", "reload")
    assert "nonsense" in done.stdout + done.stderr
    assert http(held.ports["http"], "/", "two.example").status in (301, 308), "its last good version stays"
