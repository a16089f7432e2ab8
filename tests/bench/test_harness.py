"""The judgements of the harness, on samples that are made up: nothing is started here."""
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import types
import xml.etree.ElementTree

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from harness import chart, job, load, material, network, probe, report, runner, scenarios  # noqa: E402
from harness.peers import floor, haproxy, nginx, sallyport  # noqa: E402
from harness.procs import BenchError  # noqa: E402

H2LOAD = """starting benchmark...
Application protocol: h2
Stopped all clients for thread #0

finished in 1.00s, 40.00 req/s, 44.35KB/s
requests: 40 total, 40 started, 40 done, 40 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 40 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 44.35KB (45418) total, 3.55KB (3640) headers (space savings 43.48%), 40.00KB (40960) data
                     min         max         mean         sd        +/- sd
time for request:      196us      2.01ms       340us       285us    95.00%
time for connect:     3.42ms      5.21ms      4.31ms      1.26ms   100.00%
time to 1st byte:     5.81ms      5.93ms      5.87ms        87us   100.00%
req/s           :      19.97       19.98       19.97        0.00   100.00%
"""
# The server was killed in the middle.
H2LOAD_LOST = (H2LOAD.replace("40 total, 40 started, 40 done, 40 succeeded", "4470 total, 4474 started, 4470 done, 4470 succeeded")
               .replace("40 2xx", "4470 2xx").replace("(40960) data", "(4577280) data")
               .replace("19.97       19.98       19.97", "4642.06     4735.19     4688.63"))
# Each request was answered with 404.
H2LOAD_404 = H2LOAD.replace("40 succeeded, 0 failed", "0 succeeded, 40 failed").replace("40 2xx, 0 3xx, 0 4xx", "0 2xx, 0 3xx, 40 4xx")

SCENARIOS = {one.name: one for one in scenarios.ALL}
VERSIONS = {"sallyport": "0.1.0", "haproxy": "2.6.12", "nginx": "1.22.1", "haproxy-3.5-dev2": "3.5-dev2",
            "floor": "no proxy", "floor-splice": "no proxy"}
PACKAGED = ("sallyport", "haproxy", "nginx")


def programs(*labels):
    return [runner.Program(label, runner.kind_of(label), "", VERSIONS[label]) for label in labels]


def samples(scenario, **figures):
    """figures: by label (_ for - and .), one of each round; a text refuses that one."""
    named = {label.replace("-", "_").replace(".", "_"): label for label in VERSIONS}
    return [runner.Sample(number, scenario, named[name], **({"refused": one} if isinstance(one, str) else {"figure": one}))
            for name, row in figures.items() for number, one in enumerate(row, 1)]


def verdict(scenario, labels=PACKAGED, **figures):
    return report.verdict(SCENARIOS[scenario], samples(scenario, **figures), programs(*labels))


def cells(line):
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_ratios_are_of_the_same_round():
    some = samples("redirect", sallyport=[1, 4, 9], haproxy=[2, "broke", 10])
    assert report.ratios(some, "redirect", "haproxy") == [0.5, 0.9]
    assert report.ratios(some, "redirect", "nginx") == []
    assert report.ratios(some, "edge-req", "haproxy") == []


@pytest.mark.parametrize("expected, figures", [
    ("met: 0.80 of 0.8 × best", {"sallyport": [8], "haproxy": [10], "nginx": [11]}),
    ("NOT met: 0.81 of 0.8 × best", {"sallyport": [8.1], "haproxy": [11], "nginx": [10]}),
    # The median of the rounds, each by the best of that round.
    ("met: 0.60 of 0.8 × best", {"sallyport": [6, 6, 30], "haproxy": [10, 20, 10], "nginx": [20, 10, 20]}),
    # Rounds without one of the figures do not count, whoever lacks it.
    ("met: 0.50 of 0.8 × best", {"sallyport": [5, 9, 9], "haproxy": [10, "no", 10], "nginx": [10, 10, "no"]}),
    ("not judged: no figure of nginx", {"sallyport": [5], "haproxy": [10], "nginx": ["no"]}),
    ("not judged: no figure of all in one round", {"sallyport": [5, 5], "haproxy": [10, "no"], "nginx": ["no", 10]}),
    ("not judged: no round has all figures", {"sallyport": [5, "no"], "haproxy": ["no", 10], "nginx": ["no", 10]}),
    ("", {"sallyport": ["no"], "haproxy": [10], "nginx": [10]}),
])
def test_a_goal_is_of_the_best_peer(expected, figures):
    assert verdict("redirect", **figures) == expected


def test_a_peer_that_is_not_there_or_cannot_is_not_waited_for():
    assert verdict("redirect", ("sallyport", "nginx"), sallyport=[5], nginx=[10]) == "met: 0.50 of 0.8 × best"
    assert verdict("redirect", ("sallyport",), sallyport=[5]) == "not judged: nothing to compare with"
    assert verdict("pass-proxy", sallyport=[5], haproxy=[10]) == "met: 0.50 of 0.95 × best"


def test_bulk_has_another_goal_where_the_newest_haproxy_is_not():
    assert verdict("tcp-bulk", sallyport=[0.37], haproxy=[1.0], nginx=[0.1]) == "met: 0.37 of 0.37 × haproxy"
    assert verdict("tcp-bulk", sallyport=[0.4], haproxy=[1.0], nginx=[2.0]) == "NOT met: 0.40 of 0.37 × haproxy"
    assert verdict("tcp-bulk", ("sallyport", "nginx"), sallyport=[0.3], nginx=[1.0]) == "not judged: nothing to compare with"
    everyone = (*PACKAGED, "haproxy-3.5-dev2")
    assert verdict("tcp-bulk", everyone, sallyport=[0.36], haproxy=[1.0], nginx=[1.2], haproxy_3_5_dev2=[0.6]) == \
        "met: 0.60 of 0.6 × best"
    assert verdict("tcp-bulk", everyone, sallyport=[0.36], haproxy=[1.0], nginx=[1.2], haproxy_3_5_dev2=["no"]) == \
        "not judged: no figure of haproxy-3.5-dev2"


def test_a_floor_is_no_peer():
    everyone = (*PACKAGED, "floor", "floor-splice")
    assert verdict("tcp-conn", everyone, sallyport=[5], haproxy=[10], nginx=[10], floor=[1]) == "met: 0.50 of 0.95 × best"
    some = samples("tcp-bulk", sallyport=[5, 6], haproxy=[10, 10], nginx=[8, 8], floor=[4, 3], floor_splice=[6, 6])
    text = report.table([SCENARIOS["tcp-bulk"], SCENARIOS["edge-upload"]], programs(*everyone), some)
    assert [row[:2] for row in map(cells, text.split("\n")[2:]) if row[1].startswith("floor")] == \
        [["tcp-bulk", "floor"], ["tcp-bulk", "floor-splice"]]
    facts = json.loads(results(everyone)) | {"samples": [dataclasses.asdict(one) for one in some]}
    assert chart.bar(chart.load(json.dumps(facts)), SCENARIOS["tcp-bulk"], programs("haproxy")[0]).floor == 0.35


@pytest.mark.parametrize("kind, scenario, port, expected", [
    (floor.COPY, "tcp-conn", "tcp", "tcp {} 1"),
    (floor.COPY, "pass-req", "https", "tcp {} 2"),
    (floor.SPLICE, "pass-bulk", "https", "tcp {} 2 --splice"),
    (floor.COPY, "edge-hs", "https", "tls {} 1 chain key"),
    (floor.COPY, "edge-h2", "https", "h2 {} 1 chain key"),
    (floor.COPY, "latency", "https", "tls {} 3 chain key"),
    (floor.COPY, "idle-pass", "https", "tcp {} 2"),
    (floor.COPY, "idle-edge", "https", "tls {} 1 chain key --release"),
])
def test_a_floor_is_told_one_thing_to_do(tmp_path, kind, scenario, port, expected):
    one = job.Job("front", str(tmp_path), types.SimpleNamespace(chain="chain", key="key"),
                  types.SimpleNamespace(plain=1, tls=2, quick=3), scenario=scenario)
    argv, environment = kind.configure(one, "floor")
    assert argv == ["floor", *expected.format(getattr(one, port)).split()] and environment == {}
    assert scenario not in kind.LACKS


@pytest.mark.parametrize("kind", [haproxy, nginx, sallyport])
def test_requests_at_a_rate_have_a_server_of_their_own(tmp_path, kind):
    made = types.SimpleNamespace(**dict.fromkeys(("ca", "certs", "chain", "key", "pem"), "file"))
    servers = types.SimpleNamespace(plain=1, tls=2, tls_proxy=3, tool=4, records=5, quick=6)
    one = job.Job("front", str(tmp_path), made, servers)
    kind.configure(one, "program")
    text = "".join(path.read_text() for path in pathlib.Path(tmp_path).rglob("*") if path.is_file())
    assert material.host("quick") in text and "127.0.0.1:6" in text


def test_a_version_that_is_no_number_is_not_the_newest():
    some = programs(*PACKAGED)
    some[1].version = "unknown"
    assert not report.newest_haproxy(some)


def test_goals_that_need_no_peer():
    assert verdict("idle-pass", ("sallyport",), sallyport=[1.5, 1.9, 2.5]) == "met: 1.90 of 2"
    assert verdict("idle-pass", sallyport=[2.1], haproxy=[9], nginx=[9]) == "NOT met: 2.10 of 2"
    some = samples("routes-10", sallyport=[10, 20]) + samples("routes-1000", sallyport=[10.2, 20.4])
    assert report.verdict(SCENARIOS["routes-1000"], some, programs("sallyport")) == "met: 1.02 of 1.05 × routes-10"
    assert verdict("routes-1000", sallyport=[10]) == "not judged: no figure of routes-10"
    assert verdict("edge-resume", sallyport=[10], haproxy=[10], nginx=[1]) == ""


def test_table():
    some = samples("redirect", sallyport=[4, 5, 6], haproxy=[10, 10, 10], nginx=[10, "a | b\nc", 10]) + \
        samples("pass-proxy", sallyport=[1], haproxy=[4])
    todo = [SCENARIOS["redirect"], SCENARIOS["pass-proxy"]]
    head, rule, *lines = report.table(todo, programs(*PACKAGED), some).split("\n")
    assert head.startswith("| scenario") and set(rule) == {"|", "-"}
    rows = [cells(line) for line in lines]
    assert [row[:4] for row in rows] == [
        ["redirect", "sallyport", "5.0", "µs/request"], ["redirect", "haproxy", "10.0", "µs/request"],
        ["redirect", "nginx", "—", "refused"], ["pass-proxy", "sallyport", "1.0", "µs/conn"], ["pass-proxy", "haproxy", "4.0", "µs/conn"],
        ["pass-proxy", "nginx", "—", "cannot"]]
    assert [row[4] for row in rows] == ["", "0.40–0.50–0.60", "", "", "0.25–0.25–0.25", ""]
    assert rows[0][12] == "met: 0.50 of 0.8 × best"
    assert rows[2][12] == r"a \| b c"
    assert "PROXY" in rows[5][12]
    assert {len(row) for row in rows} == {len(report.HEAD)}


def test_a_scenario_that_was_not_measured_is_no_figure():
    assert "not measured" in report.table([SCENARIOS["redirect"]], programs("sallyport"), [])


@pytest.mark.parametrize("said, requests, errors, size", [
    ("1 errors", 100, 1, 102400), ("only 9 requests", 9, 0, 9216), ("in only 102399 bytes", 100, 0, 102399)])
def test_loads_with_something_wrong_are_refused(said, requests, errors, size):
    with pytest.raises(BenchError, match=said):
        SCENARIOS["edge-req"].judge(load.Load(requests, size, 1.0, errors))


def test_a_measurement_without_a_figure_is_made_once_more(monkeypatch):
    said = iter(["lost an answer", "", "", "gone", "gone", "late"])
    made = []

    def measure(self, scenario, program, number):
        made.append(number)
        return runner.Sample(number, scenario.name, program.label, figure=1, refused=next(said))
    monkeypatch.setattr(runner.Bench, "measure", measure)
    bench = runner.Bench.__new__(runner.Bench)
    got = list(bench.rounds(scenarios.ALL[:1], programs("haproxy")[:1], 3))
    assert [one.refused for one in got] == ["", "", "gone"] and made == [1, 1, 2, 3, 3]


def test_figures():
    assert SCENARIOS["edge-req"].figure(0.5, load.Load(50000, 51200000, 1.0, 0)) == 10
    assert SCENARIOS["edge-bulk"].figure(0.5, load.Load(100, 2 * 10**9, 1.0, 0)) == 0.25
    assert SCENARIOS["edge-upload"].figure(0.5, load.Load(100, 0, 1.0, 0)) == pytest.approx(0.5 / (100 * 10 * 1024**2 / 1e9))
    assert SCENARIOS["latency"].figure(0.5, load.Load(100, 0, 1.0, 0, p99=700)) == 700
    SCENARIOS["edge-req"].judge(load.Load(100, 102400, 1.0, 0))


def test_h2load_is_read():
    assert load.read_h2load(H2LOAD, 2, 1) == load.Load(requests=40, bytes=40960, seconds=1, errors=0)
    assert load.read_h2load(H2LOAD_404, 2, 1).errors == 40
    assert load.read_h2load(H2LOAD.replace("0 timeout", "3 timeout"), 2, 1).errors == 3
    assert load.read_h2load(H2LOAD.replace("40 2xx, 0 3xx", "30 2xx, 10 3xx"), 2, 1).errors == 10


@pytest.mark.parametrize("said", ["", H2LOAD.replace("status codes", "codes"), H2LOAD.partition("req/s  ")[0]])
def test_h2load_that_says_something_else_is_refused(said):
    with pytest.raises(BenchError, match="h2load said"):
        load.read_h2load(said, 2, 1)


def test_connections_that_h2load_lost_are_seen():
    with pytest.raises(BenchError, match="lost connections"):
        load.read_h2load(H2LOAD_LOST, 2, 1)


def test_percentiles(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(f"1795895210059979\t200\t{took}\n" for took in range(1000, 0, -1)))
    assert load.percentiles(log) == (500, 990, 999)
    log.write_text("")
    with pytest.raises(BenchError):
        load.percentiles(log)


def test_json_of_load_generators():
    said = 'Running 1s test\n\n{"requests": 5, "bytes": 10, "seconds": 1.0, "errors": 0, "p50": 1, "p99": 2}\n'
    assert load.read_json(said) == load.Load(5, 10, 1.0, 0, 1, 2)
    for broken in ("", "unable to connect", '{"requests": 5}', '{"more": 1}'):
        with pytest.raises(BenchError):
            load.read_json(broken)


def generator(**said):
    """One whose bench_load says this."""
    made = load.Generator(types.SimpleNamespace(path=os.path.join), "1", "bench_load")
    made._run = lambda argv, seconds: json.dumps({"bytes": 10**7, "seconds": 2.0, "errors": 0, **said})
    return made


def test_a_rate_is_held_or_refused():
    def measure(**said):
        return generator(**said).rate(1, "h", "/1k", "1k", 2, 800)

    assert measure(requests=1600, p99=300, p999=400) == load.Load(1600, 10**7, 2.0, 0, p99=300, p999=400)
    assert measure(requests=1600, seconds=2.6).requests == 1600
    for broken in ({"requests": 1600, "seconds": 2.7}, {"requests": 1599, "errors": 1}):
        with pytest.raises(BenchError, match="at 800 a second"):
            measure(**broken)


def beside(alone, with_it, bulk):
    """A Run whose requests take as long as that, and how it goes."""
    took = [load.Load(1600, 10**7, 2.0, 0, p99=p99) for p99 in (alone, with_it)]
    downloads = []

    def bulk_beside(url):
        downloads.append(url)
        return types.SimpleNamespace(stop=lambda: bulk)

    run = types.SimpleNamespace(job=types.SimpleNamespace(https=1), load=types.SimpleNamespace(
        rate=lambda port, host, *_: took.pop(0), bulk_beside=bulk_beside))
    return run, scenarios.rate_beside_bulk(run, 2), downloads


def test_latency_beside_a_download_is_a_ratio():
    run, seen, downloads = beside(300, 450, load.Load(20, 20 * 10**7, 2.0, 0))
    assert run.figure == 1.5 and seen.p99 == 450 and downloads == ["https://edge.bench.test:1/10m"]
    for bulk in (load.Load(0, 10**6, 2.0, 0), load.Load(20, 20 * 10**7, 2.0, 1)):
        with pytest.raises(BenchError, match="the download beside"):
            beside(300, 450, bulk)


class Answer:
    """A connection that has this to say and then ends."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def sendall(self, data):
        pass

    def recv(self, _size):
        return self.pieces.pop(0) if self.pieces else b""


def test_answers_are_read_whole():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    assert probe.exchange(Answer(head[:20], head[20:] + b"ab", b"cd"), "h", "/")[2] == b"abcd"
    assert probe.exchange(Answer(head + b"abcde"), "h", "/")[2] == b"abcde"  # too much is not cut off
    for broken in ((head + b"abc",), (head[:30],), (b"SSH-2.0-x\r\n\r\n",), (b"HTTP/1.1 200\r\nContent-Length: x\r\n\r\n",)):
        with pytest.raises(BenchError):
            probe.exchange(Answer(*broken), "h", "/")


def test_answers_over_http2_are_the_bytes_of_the_body(tmp_path, monkeypatch):
    client = tmp_path / "nghttp"
    client.write_text("#!/bin/sh\nprintf body\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    probe.expect_h2_body(types.SimpleNamespace(sums={"1k": hashlib.sha256(b"body").hexdigest()}), 1, "h", "1k")
    with pytest.raises(BenchError, match="4 bytes that are not /1k"):
        probe.expect_h2_body(types.SimpleNamespace(sums={"1k": hashlib.sha256(b"bodx").hexdigest()}), 1, "h", "1k")


def results(labels=PACKAGED, spoil=()):
    """The text of a whole run; spoil: (scenario, label) that are refused."""
    some = [runner.Sample(number, one.name, label, figure=(5 if label == "sallyport" else 8) + number / 10,
                          refused='<none> & "nothing"' if (one.name, label) in spoil else "")
            for number in (1, 2, 3) for one in scenarios.ALL for label in labels if one.name not in runner.kind_of(label).LACKS]
    return json.dumps({"programs": {label: VERSIONS[label] for label in labels}, "openssl": "OpenSSL 3", "kernel": "6.1",
                       "congestion_control": "cubic", "cpu": "2 × a <CPU>", "rounds": 3, "seconds": 4, "load_average": 0.1, "quiet": True,
                       "samples": [dataclasses.asdict(one) for one in some]})


@pytest.mark.parametrize("labels, spoil", [
    (PACKAGED, ()),
    ((*PACKAGED, "haproxy-3.5-dev2", "floor", "floor-splice"), ()),
    (("sallyport", "nginx"), (("redirect", "nginx"), ("edge-req", "sallyport"))),
    (("sallyport",), ()),
])
def test_chart_is_xml_with_every_scenario_in_order(labels, spoil):
    root = xml.etree.ElementTree.fromstring(chart.Chart(chart.load(results(labels, spoil))).svg())
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    names = [one.name for one in scenarios.ALL]
    assert [one for one in texts if one in names] == names
    assert any("2 × a <CPU>" in one for one in texts)
    width, height = (float(root.get(name)) for name in ("width", "height"))
    for one in root.iter():
        assert 0 <= float(one.get("x", one.get("x1", 0))) < width and 0 <= float(one.get("y", one.get("y1", 0))) < height


def test_what_a_figure_is_not_to_be_read_without_stands_beside_it():
    some = chart.load(results())
    remark = some.programs[2].kind.NOTES["routes-100000"]
    assert remark in report.table(some.scenarios, some.programs, some.samples)
    assert "nginx: a map of names" in chart.Chart(some).svg()


def test_bars():
    some = chart.load(results(spoil=[("edge-hs", "nginx"), ("edge-ws", "sallyport")]))
    haproxy, nginx = some.programs[1:]
    one = chart.bar(some, SCENARIOS["redirect"], haproxy)
    assert one.ratios == pytest.approx([5.1 / 8.1, 5.2 / 8.2, 5.3 / 8.3]) and one.goal == pytest.approx(0.8)
    assert one.costs == "5.2 of 8.2 µs/request"
    assert chart.bar(some, SCENARIOS["idle-edge"], haproxy).goal == pytest.approx(12 / 8.2)
    assert chart.bar(some, SCENARIOS["edge-resume"], haproxy).goal == 0
    assert "PROXY" in chart.bar(some, SCENARIOS["pass-proxy"], nginx).why
    assert "no figure of nginx" in chart.bar(some, SCENARIOS["edge-hs"], nginx).why
    assert "no figure of sallyport" in chart.bar(some, SCENARIOS["edge-ws"], nginx).why


def test_a_run_is_published_between_the_marks(tmp_path):
    svg, document = tmp_path / "a.svg", tmp_path / "a.md"
    document.write_text(f"before\n{chart.FIRST}\nold\n{chart.LAST}\nafter\n")
    for _ in range(2):  # the second finds what the first wrote
        chart.publish(results(), svg, document)
        written = document.read_text()
        assert written.startswith(f"before\n{chart.FIRST}\n") and written.endswith(f"{chart.LAST}\nafter\n")
        assert "old" not in written and written.count("| redirect ") == 3 and "haproxy 2.6.12" in written
    xml.etree.ElementTree.parse(svg)


@pytest.mark.parametrize("text", ["", "{}", "[]", results().replace('"redirect"', '"nothing"'), results().replace('"nginx": "1', '"ngin": "1')])
def test_what_is_no_run_changes_nothing(tmp_path, text):
    document = tmp_path / "a.md"
    document.write_text(f"{chart.FIRST}\nold\n{chart.LAST}")
    with pytest.raises(chart.Unreadable):
        chart.publish(text, tmp_path / "a.svg", document)
    assert "old" in document.read_text() and not (tmp_path / "a.svg").exists()


def test_a_document_without_marks_is_told_before_the_run(tmp_path):
    document = tmp_path / "a.md"
    for text in ("", chart.FIRST, chart.LAST + chart.FIRST):
        document.write_text(text)
        with pytest.raises(chart.Unreadable):
            chart.check_document(document)
    with pytest.raises(chart.Unreadable):
        chart.check_document(tmp_path / "none")


def test_a_measurement_has_a_network_of_its_own():
    """Loopback that works and congestion control that waits for no timer, and the machine's own stays as it is."""
    code = ("from harness import network; import socket; network.enter(); server = socket.create_server(('127.0.0.1', 0)); "
            "socket.create_connection(server.getsockname(), 5).close(); print(network.congestion_control())")
    before = network.congestion_control()
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=os.path.dirname(os.path.abspath(__file__)), capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if made and os.access(network.CONTROL, os.W_OK):
        assert done.stdout.strip() in ("cubic", "reno")
    assert network.congestion_control() == before
