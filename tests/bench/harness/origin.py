"""The servers behind: nginx for bodies, and the small program in load/ for what nginx does not do."""
from . import procs
from .job import address
from .material import CIPHERS, CIPHERSUITE
from .peers.nginx import FOREVER


class Servers:
    def __init__(self, material, cores, nginx, tool):
        self.plain = procs.free_port()
        self.tls = procs.free_port()
        self.tls_proxy = procs.free_port()
        self.tool = procs.free_port()
        self.records = procs.free_port()
        config = material.path("origin.conf")
        with open(config, "w") as f:
            f.write(self._config(material))
        self.running = []
        try:
            self._start("origin", [nginx, "-e", "stderr", "-p", material.directory, "-c", config], cores, material, self.tls)
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

    def stop(self):
        for process in self.running:
            process.stop()

    def _config(self, material):
        temporary = " ".join(f"{kind}_temp_path {material.path('origin-' + kind)};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""daemon off;
worker_processes 1;
pid {material.path('origin.pid')};
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
        listen {address(self.plain)} backlog=4096;
        listen {address(self.tls)} backlog=4096 ssl http2;
        listen {address(self.tls_proxy)} backlog=4096 ssl proxy_protocol;
        root {material.www};
    }}
}}
"""
