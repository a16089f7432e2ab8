"""As its documentation advises: keep-alive to servers, no temporary files, no access log. On one port, ssl_preread passes names
through or hands the connection to the http part over a unix socket. That hop has no PROXY header: nginx can send one only to all
or none of the servers of a port, so here it loses the client's address and saves the work."""
import os

from ..job import address
from ..material import CIPHERS, CIPHERSUITE, host

NAME = "nginx"
PEER = True
LACKS = {"pass-proxy": "writes the PROXY header in version 1 only", "h2-h2": "no HTTP/2 towards servers"}
NOTES = {"routes-100000": "a map of names to addresses: keeps no connections to servers"}
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
FOREVER = 100000000
MANY = 10000  # services: a server block and an upstream for each start in the square of their number, minutes for 100,000


def version_argv(binary):
    return [binary, "-v"]


def stream_module():
    return f"load_module {STREAM};\n" if os.path.exists(STREAM) else ""


def main(job):
    return stream_module() + f"""daemon off;
worker_processes {job.workers};
worker_rlimit_nofile {job.connections * 3};
pid {job.path('nginx.pid')};
error_log stderr crit;
events {{ worker_connections {job.connections * 3}; multi_accept on; }}
"""


def http(job, body, kept=True):
    """`kept`: connections to servers, which takes an upstream block."""
    temporary = "\n".join(f"    {kind}_temp_path {job.path('nginx-' + kind)};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""http {{
    access_log off;
    keepalive_timeout 60s;
    keepalive_requests {FOREVER};
    client_max_body_size 0;
    server_names_hash_max_size {max(512, job.services * 4)};
    server_names_hash_bucket_size 128;
{temporary}
    ssl_certificate {job.material.chain};
    ssl_certificate_key {job.material.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {CIPHERS};
    ssl_conf_command Ciphersuites {CIPHERSUITE};
    ssl_ecdh_curve X25519:prime256v1;
    ssl_session_cache shared:bench:16m;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_buffer_size 16k;
    proxy_buffers 16 32k;
    proxy_busy_buffers_size 128k;
    proxy_read_timeout 1h;
    proxy_ssl_conf_command Ciphersuites {CIPHERSUITE};
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_trusted_certificate {job.material.ca};
    proxy_ssl_verify on;
    proxy_ssl_server_name on;
    proxy_ssl_name $host;
    proxy_set_header Host $http_host;
    proxy_set_header Connection {'""' if kept else "close"};
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port 443;
{body}}}
"""


def upstream(name, port):
    return f"    upstream {name} {{ server {address(port)}; keepalive 128; keepalive_requests {FOREVER}; }}\n"


def server(listen, name, to, scheme="http", more=""):
    return f"    server {{ listen {listen} ssl http2; server_name {name}; location / {{ {more}proxy_pass {scheme}://{to}; }} }}\n"


# A location of its own for what upgrades: the fields without which nginx keeps server connections are not for it.
UPGRADE = "".join(f"proxy_set_header {name} {value}; " for name, value in (
    ("Host", "$http_host"), ("Upgrade", "$http_upgrade"), ("Connection", "$upgrade_or_not"), ("X-Forwarded-For", "$remote_addr"),
    ("X-Real-IP", "$remote_addr"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "$http_host"), ("X-Forwarded-Port", "443")))


def front(job):
    servers = job.servers
    hop = f"unix:{job.path('nginx.hop')}"
    body = f"    server {{ listen {address(job.http)}; return 301 https://$host$request_uri; }}\n"
    body += "    map $http_upgrade $upgrade_or_not { default upgrade; '' ''; }\n"
    for name, port, scheme in (("edge", servers.plain, "http"), ("re", servers.tls, "https"), ("tool", servers.tool, "http"),
                               ("records", servers.records, "https"), ("quick", servers.quick, "http")):
        body += upstream(name, port)
        body += server(hop, host(name), name, scheme, UPGRADE if name == "tool" else "")
    return main(job) + f"""stream {{
    map $ssl_preread_server_name $to {{ {host('pass')} pass; default hop; }}
    upstream pass {{ server {address(servers.tls)}; }}
    upstream hop {{ server {hop}; }}
    server {{ listen {address(job.https)} backlog=4096; ssl_preread on; proxy_pass $to; proxy_timeout 1h; }}
    server {{ listen {address(job.tcp)} backlog=4096; proxy_pass {address(servers.plain)}; proxy_timeout 1h; }}
}}
""" + http(job, body)


def direct(job):
    return main(job) + http(job, upstream("edge", job.servers.plain) + server(address(job.https), host("edge"), "edge"))


def routes(job):
    """A server block each as far as that goes; for very many names its documentation has a map. What a map leads to is an address
    and not a group: a group that a variable names is looked for one by one, at each request."""
    if job.services > MANY:
        names = job.write("nginx.map", "".join(f"{name} {address(job.servers.plain)};\n" for name in job.service_hosts()))
        body = f"""    map_hash_max_size {job.services * 4};
    map_hash_bucket_size 128;
    map $host $to {{ include {names}; }}
    server {{ listen {address(job.https)} ssl http2; location / {{ proxy_pass http://$to; }} }}
"""
        return main(job) + http(job, body, kept=False)
    body = ""
    for n, name in enumerate(job.service_hosts()):
        body += upstream(f"b{n}", job.servers.plain) + server(address(job.https), name, f"b{n}")
    return main(job) + http(job, body)


def configure(job, binary):
    path = job.write("nginx.conf", {"front": front, "direct": direct, "routes": routes}[job.layout](job))
    return [binary, "-e", "stderr", "-p", job.directory, "-c", path], {}
