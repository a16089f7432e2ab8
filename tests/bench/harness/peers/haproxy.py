"""As its manual advises: server connections shared (http-reuse always), splice, one thread. Passing some names through and ending
TLS for others on one port takes a TCP front and, through a unix socket with a PROXY header, an HTTP one."""
from ..job import address
from ..material import CIPHERS, CIPHERSUITE, GROUPS, host

NAME = "haproxy"
PEER = True
LACKS = {}
NOTES = {}


def version_argv(binary):
    return [binary, "-v"]


def common(job):
    return f"""global
    nbthread {job.workers}
    maxconn {job.connections * 2}
    no strict-limits
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphers {CIPHERS}
    ssl-default-bind-ciphersuites {CIPHERSUITE}
    ssl-default-bind-curves {GROUPS}
    ssl-default-server-ciphersuites {CIPHERSUITE}
    ssl-default-server-ciphers {CIPHERS}

defaults
    mode http
    option splice-auto
    option redispatch
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 10s
    timeout http-keep-alive 60s
"""


# What the gateway sends on.
FORWARDED = """    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port 443
"""


def bind_tls(job):
    return f"ssl crt {job.material.pem} alpn h2,http/1.1"


def front(job):
    servers = job.servers
    hop = job.path("haproxy.hop")
    check = f"ssl verify required ca-file {job.material.ca}"
    text = common(job) + f"""
frontend plain
    bind {address(job.http)}
    http-request redirect scheme https code 301

frontend tcp
    mode tcp
    bind {address(job.tcp)}
    default_backend tcp

backend tcp
    mode tcp
    server s {address(servers.plain)}

frontend names
    mode tcp
    bind {address(job.https)}
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend pass if {{ req.ssl_sni -i {host("pass")} }}
    use_backend passproxy if {{ req.ssl_sni -i {host("passproxy")} }}
    default_backend hop

backend pass
    mode tcp
    server s {address(servers.tls)}

backend passproxy
    mode tcp
    server s {address(servers.tls_proxy)} send-proxy-v2

backend hop
    mode tcp
    server s unix@{hop} send-proxy-v2

frontend ended
    bind unix@{hop} accept-proxy {bind_tls(job)}
{FORWARDED}"""
    for name in ("edge", "re", "h2", "tool", "records", "quick"):
        text += f"    use_backend {name} if {{ req.hdr(host),host_only -i {host(name)} }}\n"
    for name, port, how in (("edge", servers.plain, ""), ("quick", servers.quick, ""), ("tool", servers.tool, ""),
                            ("re", servers.tls, f"{check} sni str({host('re')}) verifyhost {host('re')} alpn http/1.1"),
                            ("h2", servers.tls, f"{check} sni str({host('h2')}) verifyhost {host('h2')} alpn h2"),
                            ("records", servers.records, f"{check} sni str({host('records')}) verifyhost {host('records')}")):
        text += f"\nbackend {name}\n    server s {address(port)} {how}\n"
    return text


def direct(job):
    return common(job) + f"""
frontend ended
    bind {address(job.https)} {bind_tls(job)}
{FORWARDED}    default_backend edge

backend edge
    server s {address(job.servers.plain)}
"""


def routes(job):
    """The manual's way for many names: a map, one lookup whatever its size."""
    names = job.write("haproxy.map", "".join(f"{name} b{n}\n" for n, name in enumerate(job.service_hosts())))
    return common(job) + f"""
frontend ended
    bind {address(job.https)} {bind_tls(job)}
{FORWARDED}    use_backend %[req.hdr(host),host_only,map({names})]
""" + "".join(f"backend b{n}\n    server s {address(job.servers.plain)}\n" for n in range(job.services))


def configure(job, binary):
    path = job.write("haproxy.cfg", {"front": front, "direct": direct, "routes": routes}[job.layout](job))
    return [binary, "-db", "-q", "-f", path], {}
