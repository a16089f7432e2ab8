"""The gateway under test, as a process with a configuration folder of its own."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import yaml

from . import proc
from .ports import free_port
from .wait import PATIENCE, until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:",
                   "UndefinedBehaviorSanitizer")


def binary():
    return os.environ.get("SALLYPORT_BINARY") or os.path.join(ROOT, "build", "release", "sallyport")


def require_binary():
    path = binary()
    if not os.access(path, os.X_OK):
        raise AssertionError(f"no gateway at {path}: run `make build`, or name one in SALLYPORT_BINARY")
    return path


def sanitized():
    """True for a build with sanitizers: memory limits mean nothing there."""
    with open(require_binary(), "rb") as f:
        data = f.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class GatewayFailed(AssertionError):
    pass


def merge(base, over):
    out = dict(base)
    for key, value in over.items():
        out[key] = merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Config:
    """A configuration folder: gateway.yaml, conf.d/, certs/. Every listener is on loopback and a free port."""

    def __init__(self, services=None, settings=None, listeners=None, certs=None):
        self.dir = tempfile.mkdtemp(prefix="sp-")
        self.ports = {}
        os.mkdir(os.path.join(self.dir, "conf.d"))
        os.mkdir(os.path.join(self.dir, "certs"))
        for name in ("http", "https", "ssh", *(listeners or {})):
            self.ports[name] = free_port()
        self.admin_port = free_port()
        chosen = {name: {"bind": f"127.0.0.1:{port}"} for name, port in self.ports.items()}
        for name, options in (listeners or {}).items():
            chosen[name] = merge(chosen[name], options) if isinstance(options, dict) else options
        self.settings = merge({
            "listeners": chosen,
            "state": os.path.join(self.dir, "state"),
            "admin": {"bind": f"127.0.0.1:{self.admin_port}", "socket": os.path.join(self.dir, "admin.sock")},
            "logs": {"format": "json"},
            "workers": 2,
            "drain_timeout": "2s",
        }, settings or {})
        os.mkdir(os.path.join(self.dir, "state"))
        self.write("gateway.yaml", self.settings)
        for name, content in (services or {}).items():
            self.service(name, content)
        for name, content in (certs or {}).items():
            self.cert(name, content)

    def write(self, path, content):
        """content: text as it is, or data that becomes YAML."""
        full = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return full

    def service(self, name, content):
        self.write(f"conf.d/{name}.yaml", content)

    def cert(self, name, content):
        """content: a Leaf, or PEM text."""
        return self.write(f"certs/{name}", content if isinstance(content, str) else content.pem)

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def check(self):
        return command("check", "--config", self.dir)


def command(*args, timeout=60, env=None):
    return subprocess.run([require_binary(), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})})


class Gateway(proc.ProcessView):
    def __init__(self, config, env=None, wrapper=(), pass_fds=(), preexec=None, wait_ready=True, store=None):
        """store: where descriptors go that the gateway gives away to be kept (see manager.py); without one they are dropped."""
        self.config = config
        self.ports = config.ports
        self.lines = []      # every stderr line
        self.records = []    # those that are JSON
        self._lock = threading.Condition()
        self.notified = []   # what the service manager was told: (when, text)
        self._store = store
        self._notify_path = os.path.join(config.dir, "notify")
        if os.path.exists(self._notify_path):
            os.unlink(self._notify_path)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(self._notify_path)
        # Where no name server answers, the names that do not exist are given up soon (resolv.conf(5)).
        environment = {**os.environ, "RES_OPTIONS": "timeout:1 attempts:2", "NOTIFY_SOCKET": self._notify_path, **(env or {})}
        self.process = subprocess.Popen([*wrapper, require_binary(), "run", "--config", config.dir], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment,
                                        pass_fds=pass_fds, preexec_fn=preexec, cwd=config.dir)
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        threading.Thread(target=self._read_notify, daemon=True).start()
        if wait_ready:
            self.wait_notified(b"READY=1")
            self.idle_fds = self.settled_fds()

    def _read_log(self):
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            record = None
            if line.startswith("{"):
                try:
                    record = json.loads(line)
                except ValueError:
                    pass
            with self._lock:
                self.lines.append(line)
                if record is not None:
                    self.records.append(record)
                self._lock.notify_all()

    def _read_notify(self):
        """All of it, at once: the gateway waits for whoever does not read. A barrier (sd_notify_barrier(3)) ends with the close."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._notify, 4096, 253)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                if self._store is not None:
                    fds = self._store.take(data.decode(), fds)
                self.notified.append((time.monotonic(), data))
                self._lock.notify_all()
            for fd in fds:
                os.close(fd)

    def told(self, word):
        """When the service manager was told this, each time."""
        with self._lock:
            return [when for when, text in self.notified if word in text.split(b"\n")]

    def wait_notified(self, word, timeout=60.0, count=1):
        end = time.monotonic() + timeout
        with self._lock:
            while len(self.told(word)) < count:
                ended = self.process.poll() is not None
                if not self._lock.wait(0.05) and ended:
                    self._reader.join(PATIENCE)
                    raise GatewayFailed(f"the gateway ended with {self.process.returncode} before {word.decode()}:\n"
                                        + self.log_text())
                if time.monotonic() > end:
                    raise GatewayFailed(f"no {word.decode()} in {timeout} s:\n" + self.log_text())

    def log_text(self):
        with self._lock:
            return "\n".join(self.lines[-60:])

    def access(self, timeout=PATIENCE, count=1, **match):
        """Waits for `count` access lines with these values and returns the last of them."""
        def found():
            return [r for r in self.records if r.get("type") == "access" and all(r.get(k) == v for k, v in match.items())]
        with self._lock:
            if not self._lock.wait_for(lambda: len(found()) >= count, timeout):
                lines = [r for r in self.records if r.get("type") == "access"]
                raise AssertionError(f"no access line with {match}; there are: {json.dumps(lines[-5:], indent=1)}")
            return found()[-1]

    def accesses(self):
        with self._lock:
            return [r for r in self.records if r.get("type") == "access"]

    def wait_log(self, text, timeout=PATIENCE):
        with self._lock:
            if not self._lock.wait_for(lambda: any(text in line for line in self.lines), timeout):
                raise AssertionError(f"no log line with {text!r}:\n" + "\n".join(self.lines[-40:]))

    def wait_idle(self, timeout=PATIENCE, slack=0):
        """Client connections gone, descriptors back to what they were when it became ready (plus `slack` for pools)."""
        listening = set(self.ports.values())
        until(lambda: not [c for c in self.connections() if c.local_port in listening],
              lambda: f"client connections are still open: {self.connections()}", timeout)
        until(lambda: self.fd_count() <= self.idle_fds + slack,
              lambda: f"{self.fd_count()} descriptors, {self.idle_fds} at the start: {self.connections()}", timeout)
        until(lambda: self.pipe_count() <= 64, lambda: f"{self.pipe_count()} ends of pipes", timeout)

    def wait_no_server_connection(self, *ports, timeout=PATIENCE):
        until(lambda: not [c for c in self.connections() if c.remote_port in ports],
              lambda: f"connections to servers are still open: {self.connections()}", timeout)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def stop(self, expect=0, timeout=60.0):
        if self.process.poll() is None:
            self.signal()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "still running after SIGTERM"
        self._reader.join(PATIENCE)
        try:
            self._notify.shutdown(socket.SHUT_RDWR)  # ends the thread that reads it
        except OSError:
            pass
        self._notify.close()
        text = "\n".join(self.lines)
        for word in SANITIZER_WORDS:
            if word in text:
                raise AssertionError("a sanitizer spoke:\n" + text[max(0, text.index(word) - 200):][:8000])
        if code != expect:
            raise AssertionError(f"the gateway ended with {code}, not {expect}:\n{self.log_text()}")
