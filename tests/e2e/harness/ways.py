"""The same HTTP test over each terminating mode: http, edge, reencrypt."""
from .client import Client
from .http_server import HttpServer

HOST = "test.example"
WAYS = ("http", "edge", "reencrypt")


class Way:
    """A gateway with one service for HOST in the given mode; `server` is what stands behind it."""

    def __init__(self, mode, gateway, ca, server_ca, leaf):
        self.mode, self._gateway, self._ca, self._server_ca, self._leaf = mode, gateway, ca, server_ca, leaf
        self.server = self.gw = None
        self.made = []

    def server_tls(self):
        return self._server_ca.leaf(HOST).server_context() if self.mode == "reencrypt" else None

    def start(self, answer=None, settings=None, server=None, auto_body=True, handler=None, **keys):
        if server is None:
            kw = {"tls": self.server_tls(), "auto_body": auto_body}
            server = HttpServer(answer, **kw) if answer else HttpServer(**kw)
            if handler:
                server.handler = handler
            self.made.append(server)
        self.server = server
        spec = {"mode": self.mode, "hosts": [HOST], "servers": [server.address], **keys}
        if self.mode == "reencrypt":
            spec.setdefault("server_tls", {"ca": "servers-ca.pem"})
        certs = {"test.pem": self._leaf(HOST, "second.example"), "servers-ca.pem": open(self._server_ca.cert).read()}
        self.gw = self._gateway({"test": spec}, certs=certs, settings=settings)
        return self

    @property
    def port(self):
        return self.gw.ports["http" if self.mode == "http" else "https"]

    def client(self, **kw):
        if self.mode == "http":
            return Client(self.port, **kw)
        return Client(self.port, tls=self._ca.client_context(), name=HOST, **kw)

    def request(self, *args, **kw):
        with self.client() as client:
            return client.request(*args, **kw)

    def stop(self):
        for server in self.made:
            server.stop()
        return [error for server in self.made for error in server.errors]
