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
        return Load(**json.loads(self._run(argv, seconds).strip().splitlines()[-1]))

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

    def h2load(self, port, host, path, seconds, clients=8, streams=32, http1=False, rate=None):
        """`rate`: requests a second of each client, whatever the answers take."""
        log = self.material.path("h2load.log")
        if os.path.exists(log):
            os.unlink(log)
        # The three fields of the log are the only place where h2load tells more than a mean.
        argv = ["h2load", f"-c{clients}", f"-m{streams}", f"-D{seconds:.0f}", f"--connect-to=127.0.0.1:{port}",
                f"--log-file={log}"]
        if http1:
            argv.append("--h1")
        if rate:
            argv.append(f"--rps={rate}")
        said = self._run([*argv, f"https://{host}:{port}{path}"], seconds)
        counts = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", said)
        statuses = re.search(r"status codes: (\d+) 2xx", said)
        data = re.search(r"traffic: .*\((\d+)\) data", said)
        if not (counts and statuses and data):
            raise BenchError(f"h2load said: {said.strip()[-200:]}")
        done, good, failed, errored = (int(text) for text in counts.groups())
        p50, p99, p999 = self._percentiles(log)
        # Streams that were open when time was up are neither answered nor wrong.
        return Load(requests=good, bytes=int(data.group(1)), seconds=seconds, p50=p50, p99=p99, p999=p999,
                    errors=failed + errored + done - good + abs(good - int(statuses.group(1))))

    @staticmethod
    def _percentiles(log):
        with open(log) as f:
            took = sorted(int(line.split("\t")[2]) for line in f)
        if not took:
            raise BenchError("h2load finished no request")
        return tuple(took[int(part * (len(took) - 1))] for part in (0.5, 0.99, 0.999))

    def handshakes(self, port, host, path, size, seconds, resumed, threads=16):
        load = self._json([self.tool, "handshakes", str(port), host, str(threads), str(seconds), path,
                           self.material.path("www", size), "resumed" if resumed else "full"], seconds)
        if resumed and load.requests - load.resumed > threads:
            raise BenchError(f"only {load.resumed} of {load.requests} handshakes were resumed")
        if not resumed and load.resumed:
            raise BenchError(f"{load.resumed} handshakes were resumed")
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
        return Load(**json.loads(out.strip().splitlines()[-1]))
