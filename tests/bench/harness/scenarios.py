"""What is measured: how each scenario loads a program, what must come back, and what its figure is.

A drive() gets a Run (runner.py) and returns the Load; the CPU time of the program around it is divided by the load's units."""
import dataclasses
import typing

from . import idle, probe
from .material import SIZES, host
from .procs import BenchError

REQUEST, CONNECTION, GIGABYTE, MEMORY, LATENCY, RATIO = "µs/request", "µs/conn", "s/GB", "KiB/conn", "µs p99", "× p99"


@dataclasses.dataclass
class Goal:
    """At most `times` the best peer (or HAProxy 2.6, where the newest HAProxy is not there to be compared with), at most `absolute`
    in the figure's own unit, or at most `times` another scenario's figure of the gateway itself."""
    times: float = 0
    times_packaged: float = 0
    absolute: float = 0
    of: str = ""


@dataclasses.dataclass
class Scenario:
    name: str
    unit: str
    what: str
    drive: typing.Callable
    check: typing.Callable
    size: int = 0           # bytes of each body, 0 where that is not to be counted
    goal: Goal = dataclasses.field(default_factory=Goal)
    layout: str = "front"
    workers: int = 1
    services: int = 10
    warm: bool = True

    def figure(self, cpu, load):
        if self.unit == GIGABYTE:
            return cpu / (load.bytes / 1e9)
        if self.unit == LATENCY:
            return load.p99
        return cpu / load.requests * 1e6

    def judge(self, load):
        """Nothing wrong and nothing missing, or no figure."""
        if load.errors:
            raise BenchError(f"{load.errors} errors beside {load.requests} requests")
        if load.requests < 10:
            raise BenchError(f"only {load.requests} requests in {load.seconds:.1f} s")
        if load.bytes < load.requests * self.size:
            raise BenchError(f"{load.requests} answers of {self.size} bytes in only {load.bytes} bytes")


def url(run, name, path, scheme="https"):
    port = run.job.tcp if name == "tcp" else run.job.https
    return f"{scheme}://{host(name)}:{port}{path}"


def tls(name, body="1k", **options):
    """wrk over TLS, and the check that goes with it."""
    return {"drive": lambda run, seconds: run.load.wrk(url(run, name, f"/{body}"), seconds, **options),
            "check": lambda run: probe.expect_body(run.material, run.job.https, host(name), body),
            "size": SIZES[body]}


def tcp(body, **options):
    return {"drive": lambda run, seconds: run.load.wrk(url(run, "tcp", f"/{body}", "http"), seconds, **options),
            "check": lambda run: probe.expect_body(run.material, run.job.tcp, host("tcp"), body, tls=False),
            "size": SIZES[body]}


def h2(name, **options):
    return {"drive": lambda run, seconds: run.load.h2load(run.job.https, host(name), "/1k", seconds, **options),
            "check": lambda run: probe.expect_h2_body(run.material, run.job.https, host(name), "1k"),
            "size": SIZES["1k"]}


def handshakes(name, resumed):
    return {**tls(name), "drive": lambda run, seconds: run.load.handshakes(run.job.https, host(name), "/1k", "1k", seconds, resumed)}


def routes(count):
    def some(run):
        names = run.job.service_hosts()
        return [names[i * (len(names) - 1) // 9] for i in range(10)]  # from the first to the last

    def check(run):
        for name in some(run)[::9]:
            probe.expect_body(run.material, run.job.https, name, "1k")

    return Scenario(
        f"routes-{count}", REQUEST, f"1 KiB over TLS with {count:,} services, ten of them asked for in turn", layout="routes",
        services=count, size=SIZES["1k"], check=check, goal=Goal(times=1.05, of="routes-10") if count > 10 else Goal(),
        drive=lambda run, seconds: run.load.wrk(f"https://{some(run)[0]}:{run.job.https}/1k", seconds, hosts=some(run)))


def rate(run, seconds):
    return run.load.rate(run.job.https, host("quick"), "/1k", "1k", seconds, 800)


def rate_beside_bulk(run, seconds):
    alone = rate(run, seconds)
    beside = run.load.bulk_beside(url(run, "edge", "/10m"))
    try:
        load = rate(run, seconds)
    finally:
        bulk = beside.stop()
    if bulk.errors or bulk.requests < 1:
        raise BenchError(f"the download beside: {bulk.requests} bodies, {bulk.errors} errors")
    run.figure = load.p99 / alone.p99
    return load


def upload(run, seconds):
    return run.load.wrk(url(run, "tool", "/count"), seconds, connections=8, upload="10m")


def uploaded(scenario):
    """An upload's bytes are those sent; wrk counts what it receives."""
    scenario.figure = lambda cpu, load: cpu / (load.requests * SIZES["10m"] / 1e9)
    return scenario


def upgraded(run):
    load = run.load.websocket(run.job.https, host("tool"), 0.3, 64)
    if load.errors or not load.requests:
        raise BenchError(f"WebSocket: {load.requests} messages, {load.errors} errors")


BULK = {"connections": 8}
CLOSE = {"close": True}

ALL = [
    Scenario("redirect", REQUEST, "HTTP/1.1 keep-alive on :80, answered with 301", goal=Goal(0.8),
             drive=lambda run, seconds: run.load.wrk(f"http://{host('edge')}:{run.job.http}/1k", seconds),
             check=lambda run: probe.expect_redirect(run.job.http, host("edge"))),
    Scenario("tcp-conn", CONNECTION, "TCP: connect, 1 KiB, close", goal=Goal(0.95), **tcp("1k", **CLOSE)),
    Scenario("tcp-bulk", GIGABYTE, "TCP: 10 MiB bodies", goal=Goal(0.6, 0.37), **tcp("10m", **BULK)),
    Scenario("pass-conn", CONNECTION, "a passed-through TLS connection, one request", goal=Goal(0.95), **tls("pass", **CLOSE)),
    Scenario("pass-req", REQUEST, "requests in passed-through connections", goal=Goal(0.95), **tls("pass")),
    Scenario("pass-bulk", GIGABYTE, "10 MiB bodies, passed through", goal=Goal(0.95, 0.62), **tls("pass", "10m", **BULK)),
    Scenario("pass-proxy", CONNECTION, "as pass-conn, with PROXY v2 to the server", goal=Goal(0.95), **tls("passproxy", **CLOSE)),
    Scenario("edge-req", REQUEST, "1 KiB over TLS, HTTP/1.1 keep-alive", goal=Goal(0.75), **tls("edge")),
    Scenario("edge-100k", REQUEST, "100 KiB bodies over TLS", goal=Goal(0.7), **tls("edge", "100k")),
    Scenario("edge-hs", CONNECTION, "a full TLS 1.3 handshake (P-256) and one request", goal=Goal(0.8), **tls("edge", **CLOSE)),
    Scenario("edge-resume", CONNECTION, "a resumed TLS 1.3 handshake and one request", **handshakes("edge", True)),
    Scenario("edge-bulk", GIGABYTE, "10 MiB bodies over TLS", goal=Goal(0.6), **tls("edge", "10m", **BULK)),
    Scenario("edge-h2", REQUEST, "HTTP/2: 8 connections of 32 streams, 1 KiB", goal=Goal(0.7), **h2("edge")),
    uploaded(Scenario("edge-upload", GIGABYTE, "10 MiB request bodies over TLS", drive=upload,
                      check=lambda run: probe.expect_counted(run.material, run.job.https, host("tool"), "10m"))),
    Scenario("edge-ws", "µs/message", "WebSocket messages of 64 bytes there and back, 32 connections", check=upgraded, size=66,
             drive=lambda run, seconds: run.load.websocket(run.job.https, host("tool"), seconds, 64)),
    Scenario("edge-2w", REQUEST, "as edge-req, two threads on both cores", workers=2, **tls("edge")),
    Scenario("re-req", REQUEST, "as edge-req, to a TLS server", goal=Goal(0.75), **tls("re")),
    Scenario("re-records", REQUEST, "100 KiB from a slow TLS server in records of 512 bytes", **tls("records", "100k", connections=32)),
    Scenario("h2-h2", REQUEST, "as edge-h2, to an HTTP/2 server", **h2("h2")),
    Scenario("direct-req", REQUEST, "as edge-req, where the others need no hop", layout="direct", **tls("edge")),
    Scenario("direct-hs", CONNECTION, "as edge-hs, where the others need no hop", layout="direct", **tls("edge", **CLOSE)),
    routes(10), routes(1000), routes(100000),
    Scenario("latency", LATENCY, "1 KiB over TLS at 800 requests/s on 20 connections", **{**tls("quick"), "drive": rate}),
    Scenario("latency-bulk", RATIO, "the same beside a 10 MiB download, against without it", goal=Goal(absolute=2),
             **{**tls("quick"), "drive": rate_beside_bulk}),
    Scenario("idle-pass", MEMORY, "5,000 idle passed-through connections", goal=Goal(absolute=2), warm=False,
             drive=lambda run, seconds: idle.measure(run, host("pass")), check=tls("pass")["check"]),
    Scenario("idle-edge", MEMORY, "5,000 idle TLS connections", goal=Goal(absolute=12), warm=False,
             drive=lambda run, seconds: idle.measure(run, host("edge")), check=tls("edge")["check"]),
]
