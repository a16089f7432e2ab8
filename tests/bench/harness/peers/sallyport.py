import json

from ..job import address
from ..material import CIPHERS, CIPHERSUITE, GROUPS, host

NAME = "sallyport"
PEER = False
LACKS = {}
NOTES = {}
PER_FILE = 5000  # services; a file may have 200,000 values


def version_argv(binary):
    return [binary, "--version"]


def service(name, mode, port=None, **more):
    out = {"name": name, "mode": mode, "hosts": [host(name)], **more}
    if port:
        out["servers"] = [address(port)]
    return out


def front(job):
    servers = job.servers
    to_server = {"ca": job.material.ca, "protocol": "http/1.1"}
    tcp = service("tcp", "tcp", servers.plain, listen=address(job.tcp))
    del tcp["hosts"]
    return [
        tcp,
        service("pass", "passthrough", servers.tls),
        service("passproxy", "passthrough", servers.tls_proxy, proxy_protocol="v2"),
        service("edge", "edge", servers.plain),
        service("re", "reencrypt", servers.tls, server_tls=to_server),
        service("h2", "reencrypt", servers.tls, server_tls={**to_server, "protocol": "h2"}),
        service("tool", "edge", servers.tool),
        service("records", "reencrypt", servers.records, server_tls=to_server),
        service("quick", "edge", servers.quick),
    ]


def configure(job, binary):
    services = {"front": front, "direct": lambda job: [service("edge", "edge", job.servers.plain)],
                "routes": lambda job: [service(f"s{n}", "edge", job.servers.plain) for n in range(job.services)]}[job.layout](job)
    # JSON is YAML.
    for start in range(0, len(services), PER_FILE):
        lines = ["- " + json.dumps(one) for one in services[start:start + PER_FILE]]
        job.write(f"sallyport/conf.d/{start:06}.yaml", "\n".join(lines) + "\n")
    job.write("sallyport/gateway.yaml", json.dumps({
        "listeners": {"http": {"bind": address(job.http)}, "https": {"bind": address(job.https), "public_port": 443}},
        "certificates": {"directory": job.material.certs, "ciphers": CIPHERS, "ciphersuites": CIPHERSUITE, "groups": GROUPS},
        "state": job.path("sallyport"),
        "workers": job.workers,
        "admin": {"bind": "off", "socket": "off"},
        "logs": {"access": False, "level": "error"},
        "drain_timeout": "1s",
    }) + "\n")
    return [binary, "run", "--config", job.path("sallyport")], {}
