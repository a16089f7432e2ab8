"""A real sshd behind the gateway: commands, git clone and push, large copies."""
import hashlib
import os
import subprocess

import pytest

from harness.sshd import Sshd
from harness.services import edge, ssh


@pytest.fixture(scope="module")
def sshd():
    server = Sshd()
    yield server
    server.stop()


def clone_change_push(sshd, port, tmp_path):
    bare = sshd.repository(f"r{port}.git")
    url = f"ssh://{sshd.user}@127.0.0.1:{port}{bare}"
    work = str(tmp_path / f"clone{port}")
    sshd.git("clone", "-q", url, work)
    with open(os.path.join(work, "more"), "wb") as f:
        f.write(os.urandom(2 << 20))
    sshd.git("add", ".", cwd=work)
    sshd.git("commit", "-qm", "second", cwd=work)
    sshd.git("push", "-q", "origin", "main", cwd=work)
    assert sshd.git("rev-parse", "main", cwd=bare) == sshd.git("rev-parse", "HEAD", cwd=work)


def test_git_clone_and_push(gateway, sshd, tmp_path):
    gw = gateway({"git": ssh(sshd)})
    clone_change_push(sshd, gw.ports["ssh"], tmp_path)
    line = gw.access(service="git", end="ok", count=2)
    assert line["mode"] == "ssh" and line["bytes_in"] > 2 << 20
    gw.wait_idle()


def test_git_on_the_https_port_beside_tls(gateway, sshd, http_server, leaf, tmp_path):
    gw = gateway({"git": ssh(sshd, listen="https"), "web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})
    clone_change_push(sshd, gw.ports["https"], tmp_path)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_64_mib_through_ssh(gateway, sshd, direction):
    gw = gateway({"git": ssh(sshd)})
    block = os.urandom(1 << 20)
    base = sshd.ssh_command().split() + ["-p", str(gw.ports["ssh"]), f"{sshd.user}@127.0.0.1"]
    if direction == "up":
        out = subprocess.run(base + ["sha256sum"], input=block * 64, stdout=subprocess.PIPE, timeout=200, check=True).stdout.decode()
        assert out.split()[0] == hashlib.sha256(block * 64).hexdigest()
    else:
        out = subprocess.run(base + ["head", "-c", str(64 << 20), "/dev/zero"], stdout=subprocess.PIPE, timeout=200, check=True).stdout
        assert len(out) == 64 << 20
    gw.wait_idle()


def test_an_exit_code_comes_through(gateway, sshd):
    gw = gateway({"git": ssh(sshd)})
    base = sshd.ssh_command().split() + ["-p", str(gw.ports["ssh"]), f"{sshd.user}@127.0.0.1"]
    assert subprocess.run(base + ["exit", "7"], timeout=120).returncode == 7
