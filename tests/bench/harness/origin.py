"""The servers behind: nginx for bodies, and the small program in load/ for what nginx does not do. With `quick`, another nginx
that goes before all others on its core but the client it is for (load/rate.cc): its requests wait for nobody behind the program."""
from . import procs
from .job import address
from .material import CIPHERS, CIPHERSUITE
from .peers.nginx import FOREVER

FIRST = ["chrt", "-f", "10"]


class Servers:
    def __init__(self, material, cores, nginx, tool, quick=False):
        self.plain = procs.free_port()
        self.tls = procs.free_port()
        self.tls_proxy = procs.free_port()
        self.tool = procs.free_port()
        self.records = procs.free_port()
        self.quick = procs.free_port()
        self.running = []
        try:
            self._start_nginx("origin", [nginx], cores, material,
                              {self.plain: "", self.tls: "ssl http2", self.tls_proxy: "ssl proxy_protocol"})
            if quick:
                self._start_nginx("quick", [*FIRST, nginx], cores, material, {self.quick: ""})
            if tool:
                self._start("tool", [tool, "serve", str(self.tool)], cores, material, self.tool)
                self._start("records", [tool, "records", str(self.records), material.chain, material.key,
                                        material.path("www", "100k")], cores, material,
                            self.records)
        except procs.BenchError:
            self.stop()
            raise

    def _start(self, name, argv, cores, material, port):
        self.running.append(procs.Process(name, argv, cores, material.directory))
        self.running[-1].wait_port(port)

    def _start_nginx(self, name, argv, cores, material, listens):
        """listens: by port, what it speaks."""
        config = material.path(f"{name}.conf")
        with open(config, "w") as f:
            f.write(self._config(name, material, listens))
        self._start(name, [*argv, "-e", "stderr", "-p", material.directory, "-c", config], cores, material, next(iter(listens)))

    def stop(self):
        for process in self.running:
            process.stop()

    def _config(self, name, material, listens):
        temporary = " ".join(f"{kind}_temp_path {material.path(f'{name}-{kind}')};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        listen = "\n        ".join(f"listen {address(port)} backlog=4096 {how};" for port, how in listens.items())
        return f"""daemon off;
worker_processes 1;
pid {material.path(f'{name}.pid')};
error_log stderr crit;
events {{ worker_connections 16000; multi_accept on; }}
http {{
    access_log off;
    {temporary}
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 1h;
    keepalive_requests {FOREVER};
    open_file_cache max=16;
    open_file_cache_valid 1h;
    etag off;
    ssl_certificate {material.chain};
    ssl_certificate_key {material.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {CIPHERS};
    ssl_conf_command Ciphersuites {CIPHERSUITE};
    ssl_ecdh_curve X25519:prime256v1;
    server {{
        {listen}
        root {material.www};
    }}
}}
"""
