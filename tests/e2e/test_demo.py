"""`sallyport demo`: every printed command gives what it says; Ctrl-C leaves nothing behind."""
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness.gateway import SANITIZER_WORDS, require_binary
from harness.ports import free_port
from harness.wait import until

LAST_LINE = "Ctrl-C ends the demo"
KINDS = ("http", "https", "ssh", "tcp")


class Demo:
    def __init__(self, folder, ports=None):
        self.folder = str(folder)
        self.ports = ports or {kind: free_port() for kind in KINDS}
        options = [f"--{kind}-port={port}" for kind, port in self.ports.items()]
        self.process = subprocess.Popen([require_binary(), "demo", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": self.folder})
        self.lines, self.log = [], []
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.log))]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def all_text(self):
        return "\n".join(self.lines + self.log)

    def wait_ready(self):
        until(lambda: any(line.startswith(LAST_LINE) for line in self.lines) or self.process.poll() is not None, self.all_text, 60)
        assert self.process.poll() is None, self.all_text()

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for reader in self._readers:
            reader.join(30)
        for word in SANITIZER_WORDS:
            assert word not in self.all_text(), self.all_text()
        return code


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(**kw):
        started.append(Demo(tmp_path, **kw))
        return started[-1]

    yield start
    for one in started:
        one.end()


def commands(lines):
    """(command, [what its output holds]) for each "  $ " line and the line below it."""
    out = []
    for line, below in zip(lines, [*lines[1:], ""]):
        if line.startswith("  $ "):
            assert below.startswith("    shows "), f"what does this show? {line}"
            out.append((line[4:], re.findall(r'"([^"]+)"', below)))
    return out


def test_every_printed_command_gives_what_it_says(demo, tmp_path):
    one = demo()
    one.wait_ready()
    found = commands(one.lines)
    assert len(found) >= 12, one.all_text()
    for kind in ("curl", "openssl", "/dev/tcp", "check", "certs list"):
        assert any(kind in command for command, _ in found), kind
    for command, words in found:
        assert words, f"no words to look for: {command}"
        done = subprocess.run(["/bin/bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60)
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{command}\n{done.returncode}\n{output}\n{done.stderr.decode()}\n{one.all_text()}"
        for word in words:
            assert word in output, f"{command}\nno {word!r} in\n{output}\n{one.all_text()}"

    # What the text says without quotes.
    passthrough = next(c for c, _ in found if "curl" in c and "https://passthrough.localhost" in c)
    assert "X-Forwarded" not in subprocess.run(["/bin/bash", "-c", passthrough], stdout=subprocess.PIPE, text=True, timeout=60).stdout
    folder = next(line.split()[1] for line in one.lines if line.startswith("  folder"))
    modes = {open(os.path.join(folder, "conf.d", name)).read().split("mode: ")[1].split()[0]
             for name in os.listdir(os.path.join(folder, "conf.d"))}
    assert modes == {"passthrough", "edge", "reencrypt", "http", "redirect", "ssh", "tcp"}
    assert os.stat(folder).st_mode & 0o077 == 0, "keys are in it"
    assert not any(" warn " in line or " error " in line for line in one.log), one.all_text()

    assert one.end() == 0
    assert os.listdir(tmp_path) == [], "the folder is gone"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_clean_up_too(demo, tmp_path, number):
    one = demo()
    one.wait_ready()
    with socket.create_connection(("127.0.0.1", one.ports["tcp"])) as open_one:  # an open connection does not hold it up
        assert b"sample TCP server" in open_one.recv(200)
        assert one.end(number) == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken(demo, tmp_path, host):
    ports = {kind: free_port() for kind in KINDS}
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        try:
            other.bind((host, ports["http"]))
        except OSError as error:
            pytest.skip(f"no {host} on this machine: {error}")
        other.listen()
        one = demo(ports=ports)
        assert one.process.wait(60) == 1
        assert one.end() == 1
        assert f"port {ports['http']} is taken by another program" in one.all_text() and "--http-port" in one.all_text()
    assert os.listdir(tmp_path) == []
