"""No proxy at all: floor/ takes bytes from one side to the other and looks at none of them, but for HTTP/2, where it looks for the
path and the length. What it costs is the kernel's, OpenSSL's and nghttp2's part of the others' figures; what it holds of an idle
connection is OpenSSL's. With `run --floor`."""
from .. import scenarios
from ..material import host

COPIES = ("redirect", "tcp-conn", "tcp-bulk", "pass-conn", "pass-req", "pass-bulk", "edge-req", "edge-100k", "edge-hs", "edge-bulk",
          "edge-h2", "latency", "idle-pass", "idle-edge")
SPLICES = ("tcp-bulk", "pass-bulk")


class Floor:
    PEER = False
    NOTES = {}

    def __init__(self, name, does, *options):
        self.NAME = name
        self.LACKS = {one.name: "looks at nothing" for one in scenarios.ALL if one.name not in does}
        self.options = options

    def configure(self, job, binary):
        servers = job.servers
        if job.scenario == "redirect":
            return [binary, "redirect", str(job.http), f"https://{host('edge')}/1k"], {}
        if job.scenario.startswith("edge-") or job.scenario in ("latency", "idle-edge"):
            what = "h2" if job.scenario == "edge-h2" else "tls"
            # Buffers that are given back save memory and cost time; each floor is the least of what is measured.
            release = ["--release"] if job.scenario == "idle-edge" else []
            to = servers.quick if job.scenario == "latency" else servers.plain
            return [binary, what, str(job.https), str(to), job.material.chain, job.material.key, *release], {}
        ports = (job.tcp, servers.plain) if job.scenario.startswith("tcp-") else (job.https, servers.tls)
        return [binary, "tcp", *map(str, ports), *self.options], {}


COPY = Floor("floor", COPIES)
SPLICE = Floor("floor-splice", SPLICES, "--splice")
