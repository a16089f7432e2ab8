"""Processes that are measured: started on chosen cores, read through /proc, ended by their id."""
import os
import resource
import signal
import socket
import subprocess
import time


class BenchError(Exception):
    """A figure that cannot be given, and why."""


def raise_file_limit():
    """Thousands of idle connections are as many descriptors; returns how many a child may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 200000) if hard != resource.RLIM_INFINITY else 200000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


_taken = set()


def free_port():
    """A port nobody listens on, below the range that outgoing connections take theirs from."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        top = int(f.read().split()[0])
    low = max(1024, top - 12000)
    start = os.getpid() * 37 % (top - low)
    for step in range(top - low):
        port = low + (start + step) % (top - low)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise BenchError("no port is free")


def _parents():
    out = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    out[int(name)] = int(f.read().rpartition(")")[2].split()[1])
            except OSError:
                pass
    return out


class Cpu:
    """CPU time of a process and all it has started, by thread, in nanoseconds (schedstat; stat counts in ticks of 10 ms)."""

    def __init__(self, pids):
        self.threads = {}
        self.reaped = 0.0
        for pid in pids:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            self.reaped += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                    self.threads[(pid, task)] = int(f.read().split()[0])

    def since(self, before):
        """Seconds. A thread that ended in between took its time with it, unless its process was waited for."""
        gone = set(before.threads) - set(self.threads)
        if gone:
            raise BenchError(f"{len(gone)} threads ended while they were measured")
        nanoseconds = sum(time_ - before.threads.get(key, 0) for key, time_ in self.threads.items())
        return nanoseconds / 1e9 + self.reaped - before.reaped


class Process:
    """One program on the given cores, with its output in a file. stop() ends it and everything it started."""

    def __init__(self, name, argv, cores, directory, env=None):
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")
        self.started = time.monotonic()
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(["taskset", "-c", cores, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=directory, env={**os.environ, **(env or {})}, start_new_session=True)
        self.pid = self.popen.pid

    def pids(self):
        parents = _parents()
        tree = [self.pid]
        for pid in tree:
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree

    def cpu(self):
        return Cpu(self.pids())

    def memory(self):
        """Resident bytes of the tree; what is shared counts once (Pss)."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:")) * 1024
        return total

    def alive(self):
        return self.popen.poll() is None

    def wait_port(self, port, seconds=20.0):
        end = time.monotonic() + seconds
        while True:
            if not self.alive():
                raise BenchError(f"{self.name} ended with {self.popen.returncode}: {self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise BenchError(f"{self.name} does not listen on {port} after {seconds:.0f} s: {self.tail()}") from None
                time.sleep(0.01)

    def tail(self):
        with open(self.log, errors="replace") as f:
            return " / ".join(f.read().strip().splitlines()[-4:]) or "it said nothing"

    def stop(self):
        tree = self.pids() if self.alive() else []
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in tree:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            try:
                self.popen.wait(3)
                return
            except subprocess.TimeoutExpired:
                continue
        self.popen.wait()
