"""/metrics as numbers."""
import re
import urllib.request

from .wait import PATIENCE, until

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def page(gw):
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.config.admin_port}/metrics", timeout=PATIENCE) as reply:
        return reply.read().decode()


class Samples:
    """What one scrape said."""

    def __init__(self, text):
        self.all = [(name, dict(_LABEL.findall(labels)), float(value)) for name, labels, value in _SAMPLE.findall(text)]

    def matching(self, name, **labels):
        return [value for found, has, value in self.all if found == name and all(has.get(k) == v for k, v in labels.items())]

    def __call__(self, name, **labels):
        """The sum of the samples of sallyport_NAME that have these labels; there must be one."""
        values = self.matching(f"sallyport_{name}", **labels)
        assert values, (name, labels)
        return sum(values)

    def series(self, name, label, **labels):
        """{value of the label: sum}, without those that are 0."""
        out = {}
        for found, has, value in self.all:
            if found == f"sallyport_{name}" and all(has.get(k) == v for k, v in labels.items()):
                out[has.get(label)] = out.get(has.get(label), 0) + value
        return {key: value for key, value in out.items() if value}


def samples(gw):
    return Samples(page(gw))


def metrics(gw):
    """{name{labels}: value}, with all listeners added up."""
    out = {}
    for name, labels, value in samples(gw).all:
        rest = ",".join(f'{key}="{text}"' for key, text in labels.items() if key != "listener")
        key = f"{name}{{{rest}}}" if rest else name
        out[key] = out.get(key, 0) + value
    return out


def settled(gw):
    """Once every session is over, and nothing is in flight to a server any more."""
    def over():
        seen = samples(gw)
        return seen("sessions") == 0 and sum(seen.matching("sallyport_server_in_flight")) == 0
    until(over, "every session is over")
    return samples(gw)
