"""Changing a running gateway's files, knowing when it has taken them up, and the clients and servers that see it."""
import os
import signal

from . import websocket
from .client import Client, Truncated, http
from .http_server import response
from .wait import until


def reloads(gw):
    """How many reloads that changed something, or were asked for, it has told of."""
    return sum(1 for record in list(gw.records) if record.get("message", "").startswith("reloaded"))


def reload(gw):
    """SIGHUP, and back when the workers have what came of it."""
    before = reloads(gw)
    gw.signal(signal.SIGHUP)
    until(lambda: reloads(gw) > before, lambda: "a reload: " + gw.log_text())


def wait_reload(gw, before):
    until(lambda: reloads(gw) > before, lambda: "the change is taken up: " + gw.log_text())


def remove(gw, name):
    os.unlink(os.path.join(gw.config.dir, "conf.d", name + ".yaml"))


def replace(gw, path, text):
    """As careful tools write: a file beside it that takes its name."""
    full = os.path.join(gw.config.dir, path)
    with open(full + ".tmp", "w") as out:
        out.write(text)
    os.rename(full + ".tmp", full)


def says(http_server, *words):
    made = [http_server(lambda request, word=word: websocket.serve(request) if request.get("upgrade") else response(200, word))
            for word in words]
    return made if len(made) > 1 else made[0]


class Socket:
    """An open WebSocket, which is used from time to time."""

    def __init__(self, port, host, tls=None):
        self.client = Client(port, tls=tls, name=host if tls else None)
        websocket.upgrade(self.client, host=host)
        self.used = 0

    def works(self):
        self.used += 1
        self.client.send(websocket.frame(b"%d" % self.used, True))
        return websocket.read_frame(self.client) == (2, b"%d" % self.used)

    def is_cut(self):
        try:
            self.works()
        except (OSError, Truncated):
            return True
        return False

    def close(self):
        self.client.close()


def status(port, host, **kw):
    return http(port, host=host, **kw).status
