"""What counts: strace and callgrind, around a gateway that comes to rest between one request and the next."""
import collections
import os
import re
import shutil
import subprocess

import callgrind
from stage import SCENARIOS


class Tool:
    """What one of them needs to count a scenario."""
    stage = None
    dumped = False  # nothing has run since the last reading

    def missing(self):
        """Why it cannot be used here, before a gateway is started; None when it can."""

    def refused(self):
        """The same with the gateway running."""

    def measure(self, name, count, windows=1):
        """Warms a scenario up, runs it `count` times in each window, and gives what each took."""
        scenario, results = SCENARIOS[name](self.stage), []
        scenario.warm()
        self.dumped = False
        for window in range(windows):
            self.stage.rest.wait()
            begin = self.mark()
            self.stage.rest.wait()
            scenario.times(count)
            results.append(self.since(begin, f"{name}-{window}"))
        self.stage.rest.wait()
        scenario.over()
        return results


# One thing under several names, which differ by library version and processor.
KINDS = {name: kind for kind, names in {
    "wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
    "receive": ("recvfrom", "recvmsg", "read", "readv"),
    "send": ("sendto", "sendmsg", "write", "writev"),
    "accept": ("accept4", "accept"),
}.items() for name in names}
_CALL = re.compile(r"(\w+)\(")
# The loop slept to its next deadline, and none of this is due to the request: a wait of one event, right after which the timer is
# set for the next one. Where there is no timer, a wait that ends without an event.
_WAIT = re.compile(r"epoll_p?wait2?\(.*\) += 1$")
_TIMEOUT = re.compile(r"epoll_p?wait2?\(.*\) += 0$")
_SET_TIMER = "timerfd_settime("


class Calls:
    """lines: the calls in strace's words; kinds: how many there were of each kind."""

    def __init__(self, lines):
        self.lines = []
        for line in filter(_CALL.match, lines):
            if line.startswith(_SET_TIMER) and self.lines and _WAIT.match(self.lines[-1]):
                self.lines.pop()
            elif not _TIMEOUT.match(line) or self._polled(line):
                self.lines.append(line)
        self.kinds = collections.Counter()
        for line in self.lines:
            name = _CALL.match(line)[1]
            self.kinds[KINDS.get(name, name)] += 1

    @staticmethod
    def _polled(line):
        """Whether it did not sleep at all: that is a call of the gateway's own making."""
        return re.search(r", 0(, NULL, \d+)?\) += 0$", line) is not None


class Strace(Tool):
    """One file for each thread. A thread that sleeps has its earlier calls in its file, a line each; the call it sleeps in
    has no end of line yet. So the number of lines is a mark, and each call is counted when it returns."""

    def __init__(self, folder):
        self.prefix = os.path.join(folder, "trace")
        # -D: the gateway keeps the process number that its caller knows.
        self.command = ["strace", "-D", "-ff", "-qq", "-s", "24", "-o", self.prefix]

    def missing(self):
        if not shutil.which("strace"):
            return "there is no strace (scripts/dependencies test)"
        probe = self.prefix + "-probe"
        done = subprocess.run([*self.command[:-1], probe, "true"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return None if done.returncode == 0 else f"strace may not trace here: {done.stdout.strip()}"

    def _read(self, thread):
        with open(f"{self.prefix}.{thread}", errors="replace") as f:
            return f.read().split("\n")[:-1]

    def mark(self):
        return {thread: len(self._read(thread)) for thread in self.stage.rest.threads}

    def since(self, begin, _):
        """(the worker's Calls, those of all other threads)"""
        worker, others = [], []
        for thread, at in begin.items():
            lines = self._read(thread)[at:]
            (worker if self.stage.rest.names[thread].startswith("worker-") else others).extend(lines)
        return Calls(worker), Calls(others)


class Callgrind(Tool):
    def __init__(self, folder):
        self.out = os.path.join(folder, "profile")
        self.pipes = f"--vgdb-prefix={folder}/vgdb"
        self.command = ["valgrind", "-q", "--tool=callgrind", "--dump-line=no", f"--callgrind-out-file={self.out}", self.pipes]
        self.count = 0

    def missing(self):
        return None if shutil.which("valgrind") and shutil.which("vgdb") else "there is no valgrind (scripts/dependencies test)"

    def refused(self):
        """A process that sleeps is reached by ptrace only."""
        try:
            self._tell("v.info", "n_errs_found")
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return f"vgdb may not trace here: {error}"
        return None

    def _tell(self, *command):
        done = subprocess.run(["vgdb", self.pipes, "--max-invoke-ms=1", "-c", *command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"vgdb {' '.join(command)}: {done.stdout}")

    def mark(self):
        """A dump sets its counters to zero; to ask takes a tenth of a second."""
        if not self.dumped:
            self._tell("zero")

    def since(self, _, name):
        self._tell("dump", name)
        self.dumped = True
        self.count += 1
        return callgrind.Profile(f"{self.out}.{self.count}")
