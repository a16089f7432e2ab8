"""The load generators, on their own cores, and what they saw."""
import dataclasses
import json
import os
import re
import subprocess

from .procs import BenchError

# Where a name leads and what is counted; the requests themselves are wrk's own, so that no Lua runs for each of them.
WRK_SCRIPT = """
local lookup = wrk.lookup
function wrk.resolve(host, service) wrk.addrs = lookup("127.0.0.1", service) end
%s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %%d, "bytes": %%d, "seconds": %%.6f, "errors": %%d, "p50": %%d, "p99": %%d}\\n',
    summary.requests, summary.bytes, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""

CONNECTED = 0.9  # of what its connections would have done had each been there all the time
RATE_HELD = 0.75  # of a fixed rate: below that, a program does not do this load at all


@dataclasses.dataclass
class Load:
    requests: int
    bytes: int
    seconds: float
    errors: int
    p50: float = 0  # microseconds
    p99: float = 0
    p999: float = 0
    resumed: int = 0


def read_json(said):
    """The last line of wrk's script and of bench_load."""
    try:
        return Load(**json.loads(said.strip().splitlines()[-1]))
    except (ValueError, TypeError, IndexError):
        raise BenchError(f"no figures at the end of: {said.strip()[-200:]!r}") from None


def read_h2load(said, clients, seconds):
    """What it prints at its end. Streams that were open when time was up are neither answered nor wrong."""
    counts = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    statuses = re.search(r"status codes: (\d+) 2xx", said)
    data = re.search(r"traffic: .*\((\d+)\) data", said)
    each = re.search(r"^req/s\s*:\s+\S+\s+\S+\s+([\d.e+]+)\s", said, re.MULTILINE)
    if not (counts and statuses and data and each):
        raise BenchError(f"h2load said: {said.strip()[-200:]}")
    done, good, failed, errored, late = (int(text) for text in counts.groups())
    # It tells nobody of a connection that was lost; but that one's rate is of the time it had, and so the rates are more than the
    # whole.
    rate = float(each.group(1))
    if done < CONNECTED * rate * clients * seconds:
        raise BenchError(f"h2load lost connections: {done} requests in {seconds} s, but {rate:.0f} a second on each of {clients}")
    # Failed are those with an error and those with a status that is one.
    return Load(requests=good, bytes=int(data.group(1)), seconds=seconds,
                errors=max(failed, errored, done - good) + late + abs(good - int(statuses.group(1))))


def percentiles(log):
    """The median, 99 % and 99.9 % of the third column, in microseconds."""
    with open(log) as f:
        took = sorted(int(line.split("\t")[2]) for line in f)
    if not took:
        raise BenchError("h2load finished no request")
    return tuple(took[int(part * (len(took) - 1))] for part in (0.5, 0.99, 0.999))


class Generator:
    """Makes loads against one program. `cores` are those of the load."""

    def __init__(self, material, cores, tool):
        self.material = material
        self.cores = cores
        self.tool = tool

    def _run(self, argv, seconds):
        try:
            done = subprocess.run(["taskset", "-c", self.cores, *argv], capture_output=True, text=True, timeout=seconds + 30,
                                  cwd=self.material.directory, check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{os.path.basename(argv[0])} did not end") from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise BenchError(f"{os.path.basename(argv[0])} failed: {said[-1] if said else done.returncode}")
        return done.stdout

    def _json(self, argv, seconds):
        return read_json(self._run(argv, seconds))

    def wrk(self, url, seconds, connections=64, close=False, upload=None, hosts=None):
        """`upload`: a body to send; `hosts`: names to ask for in turn."""
        lines = ""
        if upload:
            lines += f'wrk.method = "POST"\nlocal f = io.open("{self.material.path("www", upload)}", "rb")\n'
            lines += 'wrk.body = f:read("*a")\nf:close()\n'
        if hosts:
            lines += "local hosts = {%s}\n" % ", ".join(f'"{name}"' for name in hosts)
            lines += """local made, at = {}, 0
function init(args) for i, name in ipairs(hosts) do made[i] = wrk.format(nil, nil, {Host = name}) end end
function request() at = at % #made + 1 return made[at] end
"""
        script = self.material.path("load.lua")
        with open(script, "w") as f:
            f.write(WRK_SCRIPT % lines)
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s", "-s", script]
        if close:
            argv += ["-H", "Connection: close"]
        return self._json([*argv, url], seconds)

    def h2load(self, port, host, path, seconds, clients=8, streams=32):
        log = self.material.path("h2load.log")
        if os.path.exists(log):
            os.unlink(log)
        # The three fields of the log are the only place where h2load tells more than a mean.
        argv = ["h2load", f"-c{clients}", f"-m{streams}", f"-D{seconds:.0f}", f"--connect-to=127.0.0.1:{port}",
                f"--log-file={log}"]
        said = self._run([*argv, f"https://{host}:{port}{path}"], seconds)
        load = read_h2load(said, clients, seconds)
        load.p50, load.p99, load.p999 = percentiles(log)
        return load

    def handshakes(self, port, host, path, size, seconds, resumed, threads=16):
        load = self._json([self.tool, "handshakes", str(port), host, str(threads), str(seconds), path,
                           self.material.path("www", size), "resumed" if resumed else "full"], seconds)
        if resumed and load.requests - load.resumed > threads:
            raise BenchError(f"only {load.resumed} of {load.requests} handshakes were resumed")
        if not resumed and load.resumed:
            raise BenchError(f"{load.resumed} handshakes were resumed")
        return load

    def rate(self, port, host, path, size, seconds, rate, connections=20):
        """`rate`: requests a second of all connections together, whatever the answers take; all that are due are sent."""
        load = self._json([self.tool, "rate", str(port), host, str(connections), str(seconds), path,
                           self.material.path("www", size), str(rate)], seconds)
        if load.errors or load.requests < RATE_HELD * rate * load.seconds:
            raise BenchError(f"{load.requests} requests in {load.seconds:.1f} s at {rate} a second, {load.errors} errors")
        return load

    def websocket(self, port, host, seconds, size, threads=32):
        return self._json([self.tool, "websocket", str(port), host, str(threads), str(seconds), str(size)], seconds)

    def bulk_beside(self, url):
        """One endless download, until stop()."""
        return Beside(["taskset", "-c", self.cores, "wrk", "-t1", "-c1", "-d600s", "-s", self._resolver(), url],
                      self.material.directory)

    def _resolver(self):
        path = self.material.path("resolve.lua")
        with open(path, "w") as f:
            f.write(WRK_SCRIPT % "")
        return path


class Beside:
    def __init__(self, argv, directory):
        self.process = subprocess.Popen(argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def stop(self):
        """wrk ends and reports at SIGINT."""
        self.process.send_signal(2)
        out, _ = self.process.communicate(timeout=20)
        return read_json(out)
