"""Servers that behave like the systems of examples/: enough of each protocol to notice a gateway that gets in its way."""
import json
import os
import ssl
import struct

from . import websocket
from .certs import self_signed
from .http_server import HttpServer, chunked, response
from .server import Server


def as_json(data, status=200):
    return response(status, json.dumps(data), [("Content-Type", "application/json")])


class ProxmoxNode(HttpServer):
    """TLS only, with a certificate of its own making. A console ticket is good only on the node that gave it out."""

    def __init__(self, node):
        self.node, self.cluster_ticket, self.console_tickets = node, "PVE:root@pam:TICKET", set()
        self.leaf = self_signed(f"{node}.lan", "pve.example.tld")
        super().__init__(self.reply, tls=self.leaf.server_context())

    def reply(self, request):
        path = request.target.partition("?")[0]
        if path == "/":
            return response(200, "<title>Proxmox Virtual Environment</title>")
        if request.method == "POST" and path == "/api2/json/access/ticket":
            if request.body != b"username=root@pam&password=secret":
                return as_json({"data": None}, 401)
            return as_json({"data": {"ticket": self.cluster_ticket, "CSRFPreventionToken": "token"}})
        if f"PVEAuthCookie={self.cluster_ticket}" not in (request.get("cookie") or ""):
            return as_json({"data": None}, 401)
        if request.method == "POST" and path.endswith("/vncproxy"):
            if request.get("csrfpreventiontoken") != "token":
                return as_json({"data": None}, 403)
            ticket = f"PVEVNC{len(self.console_tickets)}{self.node}"
            self.console_tickets.add(ticket)
            return as_json({"data": {"ticket": ticket, "port": 5900, "node": self.node}})
        if path.endswith("/vncwebsocket"):
            ticket = request.target.rpartition("vncticket=")[2]
            return websocket.serve(request) if ticket in self.console_tickets else as_json({"data": None}, 401)
        return as_json({"data": {"node": self.node}})


class KubernetesApi(HttpServer):
    """TLS that asks for client certificates; /readyz for anyone, for those with one /version, a chunked watch, and an exec that
    becomes SPDY/3.1."""

    def __init__(self, authority, name, events=3):
        self.node, self.events = name, events
        context = authority.leaf("k8s.example.tld", "127.0.0.1", "localhost", "kubernetes").server_context(client_ca=authority.cert)
        context.verify_mode = ssl.CERT_OPTIONAL
        super().__init__(self.reply, tls=context)

    def reply(self, request):
        path = request.target.partition("?")[0]
        if path == "/readyz":
            return response(200, b"ok")
        certificate = request.conn.sock.getpeercert()
        if not certificate:
            return as_json({"kind": "Status", "code": 401}, 401)
        user = dict(pair[0] for pair in certificate["subject"])["commonName"]
        if path == "/version":
            return as_json({"major": "1", "minor": "31", "gitVersion": "v1.31.0", "platform": "linux/amd64", "node": self.node, "user": user})
        if "watch=true" in request.target:
            return chunked([json.dumps({"type": "ADDED", "object": {"n": n}}).encode() + b"\n" for n in range(self.events)])
        if path.endswith("/exec"):
            if request.get("upgrade") != "SPDY/3.1":
                return as_json({"kind": "Status"}, 400)
            request.conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                              b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n")
            while True:
                data = request.conn.sock.recv(65536)
                if not data:
                    return None
                request.conn.send(data)
        return as_json({"kind": "Status"}, 404)


class Traefik(HttpServer):
    """TLS by SNI for its own names; every connection begins with a PROXY v2 header, and answers name the client."""

    def __init__(self, authority, *names):
        self.names = names
        super().__init__(self.reply, tls=authority.leaf(*names).server_context(), proxy=True)

    def reply(self, request):
        version, client, _, _ = request.conn.proxy
        if version != 2 or request.get("host") not in self.names:
            return response(404, b"404 page not found\n")
        return response(200, client)


class Smtp(Server):
    """Speaks first. With implicit TLS (465) the greeting is inside it."""

    def __init__(self, tls=None, proxy=True):
        super().__init__(tls=tls, proxy=proxy)

    def handler(self, conn):
        conn.send(b"220 mail.example.tld ESMTP\r\n")
        while True:
            words = conn.line().split(b" ")
            if words[0] == b"EHLO":
                client = conn.proxy[1] if conn.proxy else conn.peer[0]
                conn.send(b"250-mail.example.tld greets " + client.encode() + b"\r\n250 STARTTLS\r\n")
            elif words[0] == b"DATA":
                conn.send(b"354 go on\r\n")
                size = len(conn.until(b"\r\n.\r\n", limit=64 << 20))
                conn.send(b"250 took %d\r\n" % size)
            elif words[0] == b"QUIT":
                conn.send(b"221 bye\r\n")
                return
            else:
                conn.send(b"250 ok\r\n")


class Imaps(Server):
    def __init__(self, tls, proxy=True):
        super().__init__(tls=tls, proxy=proxy)

    def handler(self, conn):
        conn.send(b"* OK IMAP4rev1 " + (conn.proxy[1] if conn.proxy else "").encode() + b"\r\n")
        while True:
            tag, word = (conn.line().split(b" ") + [b""])[:2]
            if word == b"LOGOUT":
                conn.send(b"* BYE\r\n" + tag + b" OK\r\n")
                return
            conn.send(tag + b" OK\r\n")


class Postgres(Server):
    """The client speaks first: SSLRequest is refused, a startup message answered."""

    def handler(self, conn):
        while True:
            size, code = struct.unpack("!II", conn.exactly(8))
            if code == 80877103:
                conn.send(b"N")
                continue
            conn.exactly(size - 8)
            conn.send(b"R" + struct.pack("!II", 8, 0) + b"Z" + struct.pack("!IB", 5, ord("I")))
            while True:
                kind, length = conn.exactly(1), struct.unpack("!I", conn.exactly(4))[0]
                body = conn.exactly(length - 4)
                if kind == b"X":
                    return
                conn.send(b"C" + struct.pack("!I", 4 + len(body)) + body)


class MySql(Server):
    """The server speaks first."""

    def handler(self, conn):
        greeting = b"\x0a8.0.36\0" + struct.pack("<I", 7) + os.urandom(8) + b"\0"
        conn.send(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        size = int.from_bytes(conn.exactly(4)[:3], "little")
        conn.exactly(size)
        conn.send(b"\x07\0\0\x02\0\0\0\x02\0\0\0")


class Immich(HttpServer):
    """Uploads of any size, and Socket.IO's WebSocket."""

    def __init__(self):
        super().__init__(self.reply)

    def reply(self, request):
        path = request.target.partition("?")[0]
        if path == "/api/server/ping":
            return as_json({"res": "pong"})
        if path == "/api/socket.io/":
            return websocket.serve(request)
        if request.method == "POST" and path == "/api/assets":
            return as_json({"size": len(request.body), "status": "created"}, 201)
        return as_json({}, 404)


class HomeAssistant(HttpServer):
    """Refuses what was forwarded by a proxy that it does not trust, as the real one does; a WebSocket for its pages."""

    def __init__(self, trusted=("127.0.0.1",)):
        self.trusted = trusted
        super().__init__(self.reply)

    def reply(self, request):
        path = request.target.partition("?")[0]
        forwarded = request.get("x-forwarded-for")
        if forwarded and request.conn.peer[0] not in self.trusted:
            return response(400, "400: Bad Request")
        if path == "/manifest.json":
            return as_json({"name": "Home Assistant"})
        if path == "/api/websocket":
            return websocket.serve(request)
        return response(200, f"{forwarded} {request.get('x-forwarded-proto')}")


class Vault(HttpServer):
    def __init__(self, authority, node):
        super().__init__(lambda r: as_json({"initialized": True, "sealed": False, "node": node, "token": r.get("x-vault-token")}),
                         tls=authority.leaf("vault.example.tld").server_context())
