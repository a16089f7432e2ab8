"""The rounds: every program on every scenario, in turn, each time started anew."""
import dataclasses
import os
import re
import shutil
import subprocess
import sys

from . import job as jobs
from . import load, probe, procs
from .peers import floor, haproxy, nginx, sallyport

KINDS = {kind.NAME: kind for kind in (sallyport, haproxy, nginx, floor.COPY, floor.SPLICE)}
START_SECONDS = 20
MANY = 10000  # services, that take longer to read
WARM_SECONDS = 1


@dataclasses.dataclass
class Program:
    label: str
    kind: object
    binary: str
    version: str


@dataclasses.dataclass
class Sample:
    """One measurement; `refused` says why it has no figure."""
    round: int
    scenario: str
    program: str
    figure: float = 0
    per_second: float = 0
    p50: float = 0
    p99: float = 0
    p999: float = 0
    errors: int = 0
    memory: float = 0  # bytes
    start: float = 0   # seconds to the first right answer
    refused: str = ""


def kind_of(label):
    """A label is the kind's name, with the version behind it where there are several."""
    return KINDS.get(label) or KINDS[label.rstrip("'").partition("-")[0]]


def version_of(kind, binary):
    done = subprocess.run(kind.version_argv(binary), capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d[\w.+~-]*", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"


def programs(gateway, asked=""):
    """The gateway, the packaged peers, and those of BENCH_PEERS ("haproxy=/path nginx=/path"), which are called by their version."""
    out = [Program("sallyport", sallyport, gateway, version_of(sallyport, gateway))]
    wanted = [(module, shutil.which(module.NAME, path=os.environ.get("PATH", "") + ":/usr/sbin"), False)
              for module in (haproxy, nginx)]
    for entry in asked.split():
        name, _, path = entry.partition("=")
        if name not in ("haproxy", "nginx") or not path:
            sys.exit(f'BENCH_PEERS: "{entry}" is not haproxy=/path or nginx=/path')
        wanted.append((KINDS[name], path, True))
    for kind, path, named in wanted:
        if not path or not os.access(path, os.X_OK):
            print(f"{kind.NAME}: no program{' at ' + path if path else ''}, skipped", file=sys.stderr)
            continue
        version = version_of(kind, path)
        label = kind.NAME
        while any(one.label == label for one in out):
            label = f"{kind.NAME}-{version}" if label == kind.NAME else label + "'"
        out.append(Program(label, kind, path, version))
    return out


def floors(binary):
    return [Program(kind.NAME, kind, binary, "no proxy") for kind in (floor.COPY, floor.SPLICE)]


class Run:
    """One program at work on one scenario, as drives and checks see it."""

    def __init__(self, bench, scenario, program, number):
        self.material = bench.material
        self.load = bench.load
        self.figure = None  # set by a drive whose figure is not CPU time
        self.memory = None
        directory = bench.material.path("runs", f"{number}-{scenario.name}-{program.label}")
        self.job = jobs.Job(scenario.layout, directory, bench.material, bench.servers, scenario.workers, scenario.services,
                            scenario=scenario.name)
        argv, environment = program.kind.configure(self.job, program.binary)
        cores = bench.cores[0] if scenario.workers == 1 else ",".join(bench.cores)
        self.process = procs.Process(program.label, argv, cores, directory, environment)


class Bench:
    def __init__(self, material, servers, cores, tool, seconds):
        self.material = material
        self.servers = servers
        self.cores = cores
        self.seconds = seconds
        self.load = load.Generator(material, cores[1], tool)

    def measure(self, scenario, program, number):
        sample = Sample(number, scenario.name, program.label)
        run = None
        try:
            run = Run(self, scenario, program, number)
            sample.start = probe.until_good(lambda: scenario.check(run), run.process,
                                            START_SECONDS * (6 if scenario.services >= MANY else 1))
            if scenario.warm:
                scenario.judge(scenario.drive(run, WARM_SECONDS))
            before = run.process.cpu()
            seen = scenario.drive(run, self.seconds)
            cpu = run.process.cpu().since(before)
            sample.memory = run.memory or run.process.memory()
            scenario.judge(seen)
            scenario.check(run)
            sample.figure = scenario.figure(cpu, seen) if run.figure is None else run.figure
            if sample.figure <= 0:
                raise procs.BenchError(f"a cost of {sample.figure:g} {scenario.unit} is none")
            sample.per_second = seen.requests / seen.seconds
            sample.p50, sample.p99, sample.p999, sample.errors = seen.p50, seen.p99, seen.p999, seen.errors
        except (procs.BenchError, OSError) as error:
            sample.refused = str(error) or type(error).__name__
        finally:
            if run:
                run.process.stop()
                shutil.rmtree(run.job.directory, ignore_errors=True)
        return sample

    def rounds(self, scenarios, all_programs, count):
        """Yields samples. The order of the programs turns, so that no one always comes first."""
        for number in range(count):
            for scenario in scenarios:
                at = number % len(all_programs)
                for program in all_programs[at:] + all_programs[:at]:
                    if scenario.name in program.kind.LACKS:
                        continue
                    sample = self.measure(scenario, program, number + 1)
                    # h2load loses an answer now and then when its time is over, of every program's.
                    yield self.measure(scenario, program, number + 1) if sample.refused else sample
