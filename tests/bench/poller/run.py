#!/usr/bin/python3
"""CPU time and system calls of the server per request, for each event core and workload of poller_bench.

    run.py build/release/tests/bench/poller/poller_bench [ROUNDS] [--only WORKLOAD]

The server is pinned to core 0, the load to core 1. The cores take turns in every round, so that what else the machine does
falls on all of them. The table has the median and, in brackets, the middle half; then the same for the ratio to plain epoll in the
same round, which stays put when the machine changes its pace; then the system calls, counted with strace in runs of their own.
"""
import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

CORES = ["per-socket", "outside", "inside", "inside-eagain", "plain"]
# name, kind, active, idle, requests
WORKLOADS = [
    ("64 keep-alive connections", "k", 64, 0, 60000),
    ("64 active, 2,000 idle", "k", 64, 2000, 60000),
    ("1 keep-alive connection", "k", 1, 0, 20000),
    ("connect, 1 KiB, close; 16 at once", "c", 16, 0, 16000),
    ("8 MiB replies, 8 connections", "b", 8, 0, 150),
]


def cpu_ns(pid):
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


class Server:
    def __init__(self, binary, core):
        self.process = subprocess.Popen(["taskset", "-c", "0", binary, "serve", core], stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def drive(binary, server, workload, scale, at_ready, at_done):
    _, kind, active, idle, requests = workload
    load = subprocess.Popen(
        ["taskset", "-c", "1", binary, "load", server.port, kind, str(active), str(idle), str(int(requests * scale))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for said, call in (("ready", at_ready), ("done", at_done)):
        if load.stdout.readline().strip() != said:
            sys.exit("the load failed")
        call()
        load.stdin.write("\n")
        load.stdin.flush()
    load.wait()
    return int(requests * scale)


def measure(binary, core, workload):
    seen = []
    with Server(binary, core) as server:
        drive(binary, server, workload, 0.1, lambda: None, lambda: None)  # warm
        note = lambda: seen.append(cpu_ns(server.process.pid))
        requests = drive(binary, server, workload, 1, note, note)
    return (seen[1] - seen[0]) / requests / 1000


def count_calls(binary, core, workload):
    tracer = []
    with Server(binary, core) as server, tempfile.NamedTemporaryFile() as out:
        def attach():
            strace = subprocess.Popen(["strace", "-f", "-c", "-o", out.name, "-p", str(server.process.pid)],
                                      stderr=subprocess.PIPE, text=True)
            strace.stderr.readline()  # "attached"
            tracer.append(strace)

        def detach():
            tracer[0].terminate()
            tracer[0].wait()

        requests = drive(binary, server, workload, 0.1, attach, detach)
        calls = {}
        for line in pathlib.Path(out.name).read_text().splitlines():
            row = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if row and row.group(2) != "total":
                calls[row.group(2)] = int(row.group(1)) / requests
    return calls


def middle(values):
    low, median, high = statistics.quantiles(values, n=4)
    return f"{median:.2f} [{low:.2f}-{high:.2f}]"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("rounds", nargs="?", type=int, default=9)
    parser.add_argument("--only", default="", help="a part of the workload's name")
    options = parser.parse_args()
    for workload in WORKLOADS:
        if options.only not in workload[0]:
            continue
        times = {core: [] for core in CORES}
        for turn in range(options.rounds):
            for core in CORES[turn % len(CORES):] + CORES[:turn % len(CORES)]:
                times[core].append(measure(options.binary, core, workload))
        print(f"\n{workload[0]}: us of CPU per request, ratio to plain, calls per request")
        for core in CORES:
            ratios = [mine / plain for mine, plain in zip(times[core], times["plain"])]
            calls = count_calls(options.binary, core, workload)
            shown = " ".join(f"{name} {n:.2f}" for name, n in sorted(calls.items(), key=lambda c: -c[1]) if n >= 0.005)
            print(f"  {core:14} {middle(times[core]):22} {middle(ratios):18} {sum(calls.values()):6.2f} = {shown}", flush=True)


main()
