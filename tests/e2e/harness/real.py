"""Real servers as processes: nginx and Prometheus."""
import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import urllib.request

from .ports import free_port
from .wait import until


class Process:
    def start(self, command, env=None):
        self.log_path = os.path.join(self.dir, "log")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=open(self.log_path, "w"), stderr=subprocess.STDOUT,
                                        env={**os.environ, **(env or {})})
        atexit.register(self.process.kill)  # where a failed test did not stop it

    def log(self):
        with open(self.log_path) as f:
            return f.read()[-4000:]

    def wait_port(self, port, timeout=60):
        def answers():
            assert self.process.poll() is None, f"it ended: {self.log()}"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        until(answers, self.log, timeout)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


NGINX = """
daemon off; {process} pid {dir}/pid; error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log {dir}/access.log; default_type application/octet-stream;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  client_max_body_size 0; keepalive_requests 100000; gzip on; gzip_min_length 100; gzip_types text/plain;
  server {{
    listen 127.0.0.1:{port};
    {tls}
    root {dir}/www;
    location / {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location /headers {{ default_type text/plain; return 200 "$http_host|$http_x_forwarded_for|$http_x_forwarded_proto|$scheme\\n"; }}
    {extra}
  }}
}}
"""


class Nginx(Process):
    """Serves {dir}/www, takes PUT; with a leaf it listens for TLS as well. One process, or with `master` as installed: SIGQUIT
    then lets requests end."""

    def __init__(self, leaf=None, extra="", master=False):
        self.dir = tempfile.mkdtemp(prefix="sp-nginx-")
        self.www = os.path.join(self.dir, "www")
        os.mkdir(self.www)
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.tls_port = free_port()
        self.tls_address = f"127.0.0.1:{self.tls_port}"
        tls = f"listen 127.0.0.1:{self.tls_port} ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {leaf.cert}; ssl_certificate_key {leaf.key};" if leaf else ""
        user = "user root;\n" if os.geteuid() == 0 else ""
        with open(os.path.join(self.dir, "conf"), "w") as f:
            f.write(user + NGINX.format(process="worker_processes 1;" if master else "master_process off;", dir=self.dir, port=self.port, tls=tls, extra=extra))
        self.start([shutil.which("nginx") or "/usr/sbin/nginx", "-e", "stderr", "-p", self.dir, "-c", os.path.join(self.dir, "conf")])
        self.wait_port(self.port)

    def file(self, name, content=None, size=None):
        """A file below the root; with `size` a sparse one."""
        path = os.path.join(self.www, name)
        with open(path, "wb") as f:
            f.truncate(size) if content is None else f.write(content)
        return path


class Prometheus(Process):
    """A server that watches itself, and whatever else is given as host:port."""

    def __init__(self, targets=(), prefix=""):
        self.dir = tempfile.mkdtemp(prefix="sp-prometheus-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        listed = ", ".join(f"'{t}'" for t in (self.address, *targets))
        with open(os.path.join(self.dir, "prometheus.yml"), "w") as f:
            f.write(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: all\n  static_configs: [{{targets: [{listed}]}}]\n")
        self.start(["prometheus", f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
                    f"--web.listen-address={self.address}", *([f"--web.external-url={prefix}"] if prefix else [])])

        def ready():
            assert self.process.poll() is None, f"it ended: {self.log()}"
            try:
                return urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2).status == 200
            except OSError:
                return False
        until(ready, self.log, 60, 0.05)


def curl(*args, timeout=120):
    """curl without any configuration of the user's; returns its output. -f and an exit code of 0 are the default."""
    done = subprocess.run(["curl", "-q", "-sS", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    assert done.returncode == 0, f"curl {args}: {done.returncode} {done.stderr.decode()}"
    return done.stdout.decode(errors="replace")


def to(host, port, target=None):
    """curl's option that sends a host name to a loopback port."""
    return ["--connect-to", f"{host}:{target or port}:127.0.0.1:{port}"]
