"""What a program is asked to do; the modules in peers/ put it in each program's own words."""
import dataclasses
import os

from . import material, procs


@dataclasses.dataclass
class Job:
    """`layout` is one of:
    front   the whole of it on one address: :80 redirects, :443 passes some names through and ends TLS for others, a TCP port
    direct  TLS ends on a port that does nothing else, so that the others need no hop from layer to layer
    routes  as direct, with `services` names, each with a server of its own"""
    layout: str
    directory: str
    material: material.Material
    servers: object  # origin.Servers: the ports of the servers
    workers: int = 1
    services: int = 10
    connections: int = 6000
    scenario: str = ""  # what will be asked of it; only those need to know it that can do one thing at a time

    def __post_init__(self):
        os.makedirs(self.directory, exist_ok=True)
        self.http = procs.free_port()
        self.https = procs.free_port()
        self.tcp = procs.free_port()
        self.admin = procs.free_port()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def service_hosts(self):
        return [material.host(f"s{n}") for n in range(self.services)]


def address(port):
    return f"127.0.0.1:{port}"
