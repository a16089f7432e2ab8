"""A real OpenSSH server with keys of its own, on a free port, for the user who runs the tests."""
import atexit
import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile

from .ports import free_port
from .wait import until


def patient():
    """OpenSSH 9.8 and newer keep away who comes often without logging in, as checks do."""
    version = subprocess.run(["ssh", "-V"], stderr=subprocess.PIPE, text=True).stderr
    return "PerSourcePenalties no\n" if tuple(map(int, re.search(r"(\d+)\.(\d+)", version).groups())) >= (9, 8) else ""


class Sshd:
    def __init__(self, like=None):
        """like: another one, whose keys this one has too."""
        self.dir = tempfile.mkdtemp(prefix="sp-sshd-")
        self.user = getpass.getuser()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.key = os.path.join(self.dir, "id")
        for path in ("host", "id"):
            if like:
                shutil.copy(os.path.join(like.dir, path), self.dir)
                shutil.copy(os.path.join(like.dir, path + ".pub"), self.dir)
                continue
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(self.dir, path)], check=True)
        shutil.copy(self.key + ".pub", os.path.join(self.dir, "authorized_keys"))
        with open(os.path.join(self.dir, "config"), "w") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.dir}/host\nPidFile none\nUsePAM no\n"
                    f"AuthorizedKeysFile {self.dir}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                    "PermitRootLogin prohibit-password\nStrictModes no\nMaxStartups 100\nMaxSessions 100\nLogLevel VERBOSE\n"
                    f"SetEnv HOME={self.dir}\n"  # what the user has in .bashrc is none of our business, least of all when it is cut short
                    + patient())
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.process = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", os.path.join(self.dir, "config")],
                                        stderr=open(os.path.join(self.dir, "log"), "w"), stdin=subprocess.DEVNULL)
        atexit.register(self.process.kill)  # where a failed test did not stop it
        until(self._answers, self.log)

    def log(self):
        with open(os.path.join(self.dir, "log")) as f:
            return f.read()

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                return sock.recv(8) == b"SSH-2.0-"
        except OSError:
            return False

    def ssh_command(self):
        return (f"ssh -i {self.key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={self.dir}/known "
                "-o LogLevel=ERROR -o ConnectTimeout=60 -F none")

    def environment(self):
        return {**os.environ, "GIT_SSH_COMMAND": self.ssh_command(), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
                "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example"}

    def repository(self, name="repo.git"):
        """A bare repository with one commit of a few MiB; returns its path."""
        bare, work = os.path.join(self.dir, name), os.path.join(self.dir, name + ".work")
        env = self.environment()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True, env=env)
        subprocess.run(["git", "init", "-q", "-b", "main", work], check=True, env=env)
        with open(os.path.join(work, "data"), "wb") as f:
            f.write(os.urandom(4 << 20))
        for command in (["add", "."], ["commit", "-qm", "first"], ["push", "-q", bare, "main"]):
            subprocess.run(["git", "-C", work, *command], check=True, env=env)
        return bare

    def git(self, *args, cwd=None):
        done = subprocess.run(["git", *args], cwd=cwd, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120)
        assert done.returncode == 0, f"git {args}: {done.stdout}\n{self.log()}"
        return done.stdout

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.dir, ignore_errors=True)
