"""Reloads, one after the other, under everything that runs: no request fails, and nothing is cut but what belongs to a
service that was removed.

SALLYPORT_RELOADS says how many (20); `make test-soak` makes it 50 in a minute.
"""
import os
import re
import subprocess
import threading
import time

import yaml

from harness import websocket
from harness.certs import client_context
from harness.client import Client, http
from harness.gateway import sanitized
from harness.ports import free_port
from harness.real import Nginx
from harness.reloading import reload, reloads, remove, replace
from harness.services import edge, passthrough, plain, reencrypt, ssh
from harness.sshd import Sshd
from harness.wait import until

RELOADS = int(os.environ.get("SALLYPORT_RELOADS", "20"))
PACE = 1.2 if RELOADS >= 50 else 0.6
GIB = 1 << 30


class Load:
    """h2load for as long as it is let; what it says of requests that failed."""

    def __init__(self, url, host, port, seconds, *options):
        command = ["h2load", "-c", "8", "-t", "1", "-D", str(seconds), *options, f"--connect-to=127.0.0.1:{port}", url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def result(self):
        text = self.process.communicate(timeout=300)[0]
        found = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
                          text)
        assert found, text
        total, started, done, succeeded, failed, errored, timeout = map(int, found.groups())
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
        return {"done": done, "failed": failed, "errored": errored, "timeout": timeout,
                "other": sum(int(n) for n in codes.groups()[1:]), "text": text}


class Echoing(threading.Thread):
    """A WebSocket or an SSH session that is used all the time."""

    def __init__(self, name, use, wait):
        super().__init__(name=name, daemon=True)
        self.use, self.pause, self.over = use, wait, threading.Event()
        self.count, self.failure = 0, None
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                self.use(self.count)
                self.count += 1
                time.sleep(self.pause)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the finding
            self.failure = repr(error)

    def end(self):
        self.over.set()
        self.join(60)
        assert self.failure is None, f"{self.name} after {self.count}: {self.failure}"
        assert self.count > 5, f"{self.name} was used {self.count} times"


def web_socket(port, host, tls=None):
    client = Client(port, tls=tls, name=host if tls else None)
    websocket.upgrade(client, host=host)

    def use(n):
        client.send(websocket.frame(b"%d" % n, True))
        assert websocket.read_frame(client) == (2, b"%d" % n)
    return use


def test_reloads_under_load(gateway, http_server, leaf, ca, server_ca):
    seconds = int(RELOADS * PACE) + 8
    own = server_ca.leaf("own.example")
    nginx, shell = Nginx(leaf=own), Sshd()
    ws = http_server(websocket.serve)
    nginx.file("small", b"x" * 512)
    nginx.file("big", size=GIB)
    certs = [ca.leaf("web.example", "re.example", "ws.example", "big.example", "new.example", "fresh.example") for _ in range(2)]
    gw = gateway({"web": edge("web.example", nginx), "plain": plain("plain.example", nginx),
                  "re": reencrypt("re.example", nginx.tls_address, server_tls={"verify": "none"}),
                  "own": passthrough("own.example", nginx.tls_address), "ws": edge("ws.example", ws), "ws-plain": plain("ws.example", ws),
                  "big": edge("big.example", nginx), "git": ssh(shell)},
                 certs={"c.pem": certs[0]}, settings={"logs": {"access": False}, "drain_timeout": "500ms"})
    https, port = gw.ports["https"], gw.ports["http"]
    loads = {
        "h2": Load(f"https://web.example:{https}/small", "web.example", https, seconds, "-m", "8"),
        "h1": Load(f"https://re.example:{https}/small", "re.example", https, seconds, "--h1"),
        "plain": Load(f"http://plain.example:{port}/small", "plain.example", port, seconds, "--h1"),
        "own": Load(f"https://own.example:{https}/small", "own.example", https, seconds, "--h1"),
    }
    tls = client_context(ca.cert)
    rate = GIB // max(4, seconds - 6)
    if sanitized():
        rate = 16 << 20
    download = subprocess.Popen(["curl", "-sS", "-o", "/dev/null", "--limit-rate", str(rate), "-w", "%{http_code} %{size_download}",
                                 "--max-time", "280", "--cacert", ca.cert, "--resolve", f"big.example:{https}:127.0.0.1",
                                 f"https://big.example:{https}/big"], stdout=subprocess.PIPE, text=True)
    session = subprocess.Popen([*shell.ssh_command().split(), "-p", str(gw.ports["ssh"]), f"{shell.user}@127.0.0.1", "cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def type_line(n):
        session.stdin.write(b"line %d\n" % n)
        session.stdin.flush()
        assert session.stdout.readline() == b"line %d\n" % n

    def fresh(n):
        assert http(https, "/small", host="web.example", tls=tls).status == 200
        assert http(port, "/small", host="plain.example").status == 200
    running = [Echoing("ws over TLS", web_socket(https, "ws.example", tls), 0.05), Echoing("ws", web_socket(port, "ws.example"), 0.05),
               Echoing("ssh", type_line, 0.05), Echoing("new connections", fresh, 0.02)]
    try:
        done = change(gw, nginx, certs)
    finally:
        results = {name: load.result() for name, load in loads.items()}
    for one in running:
        one.end()
    session.stdin.close()
    assert session.wait(60) == 0
    assert download.communicate(timeout=300)[0] == f"200 {GIB}"
    for name, result in results.items():
        assert result["done"] > 100, (name, result["text"])
        assert result["failed"] == result["errored"] == result["timeout"] == result["other"] == 0, (name, result["text"])
    assert done == RELOADS
    print(f"{done} reloads, " + ", ".join(f"{name}: {result['done']} requests" for name, result in results.items()))
    nginx.stop()
    shell.stop()


def change(gw, nginx, certs):
    """Services added, changed (those under load too), removed; certificates replaced; listeners opened and closed."""
    for n in range(RELOADS):
        begun = time.monotonic()
        before = reloads(gw)
        header = {"headers": {"response": {"set": {"X-Round": str(n)}}}}
        gw.config.service(f"new{n}", edge("new.example", nginx, listen=f"127.0.0.1:{free_port()}") if n % 3 else plain("new.example", nginx))
        if n > 0:
            remove(gw, f"new{n - 1}")
        gw.config.service("web", edge("web.example", nginx, **header))
        if n % 2:
            gw.config.service("plain", plain("plain.example", nginx, **header))
            gw.config.service("re", reencrypt("re.example", nginx.tls_address, server_tls={"verify": "none"}, **header))
        if n % 4 == 3:
            gw.config.service("git", {**gw_service(gw, "git"), "retries": n})
        replace(gw, "certs/c.pem", certs[n % 2].pem)
        if n % 5 == 4:
            replace(gw, "conf.d/broken.yaml", "mode: nonsense\n")
        elif n % 5 == 0 and n > 0:
            remove(gw, "broken")
        if n % 2:
            reload(gw)
        else:  # by itself
            until(lambda b=before: reloads(gw) > b, lambda: "it is taken up: " + gw.log_text())
        time.sleep(max(0.0, PACE - (time.monotonic() - begun)))
    return RELOADS


def gw_service(gw, name):
    with open(os.path.join(gw.config.dir, "conf.d", name + ".yaml")) as text:
        return yaml.safe_load(text)
