"""Changing a running gateway's files, and knowing when it has taken them up."""
import os
import signal

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
