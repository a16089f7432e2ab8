"""Short spellings of service files."""


def service(mode, hosts=None, *servers, **keys):
    out = {"mode": mode}
    if hosts:
        out["hosts"] = [hosts] if isinstance(hosts, str) else list(hosts)
    if servers:
        out["servers"] = [getattr(server, "address", server) for server in servers]
    out.update(keys)
    return out


def edge(hosts, *servers, **keys):
    return service("edge", hosts, *servers, **keys)


def passthrough(hosts, *servers, **keys):
    return service("passthrough", hosts, *servers, **keys)


def reencrypt(hosts, *servers, **keys):
    return service("reencrypt", hosts, *servers, **keys)


def plain(hosts, *servers, **keys):
    return service("http", hosts, *servers, **keys)


def ssh(*servers, **keys):
    return service("ssh", None, *servers, **keys)


def tcp(listen, *servers, **keys):
    return service("tcp", None, *servers, listen=listen, **keys)
