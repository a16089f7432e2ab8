"""`explain` agrees with what happens: a thousand clients by lot, each asked about and each sent."""
import collections
import concurrent.futures
import http.client
import json
import os
import socket
import ssl
import urllib.parse

import pytest

from harness.client import http as get
from harness.gateway import Config, command, merge
from harness.http_server import HttpServer, response
from harness.lottery import PROXY, Lottery
from harness.ports import free_port
from harness.server import Server, refused_port
from harness.services import edge, passthrough, plain
from harness.wait import PATIENCE, until

CLIENTS = 500  # for each of two configurations


@pytest.fixture(scope="module")
def pools(server_ca):
    """Servers that say who they are, and ports where nobody is."""
    context = server_ca.leaf("servers.tld").server_context()

    def names(address):
        return lambda request: response(200, address[0], [("X-Server", address[0])])

    def web(**kw):
        address = [""]
        server = HttpServer(names(address), **kw)
        address[0] = server.address
        return server

    def raw():
        server = Server(lambda conn: (conn.send(f"ID {server.address}\n".encode()), conn.sock.recv(65536)))
        return server

    made = {"http": [web() for _ in range(8)], "tls": [web(tls=context) for _ in range(6)], "tcp": [raw() for _ in range(5)]}
    out = {kind: [server.address for server in servers] for kind, servers in made.items()}
    out["gone"] = [f"127.0.0.1:{refused_port()}" for _ in range(5)]
    yield out
    for servers in made.values():
        for server in servers:
            server.stop()


class Sent:
    """What a client met: server (who), status, redirect (status and place), tls_alert or closed; and the certificate it was shown."""

    def __init__(self, outcome, detail="", shown=None):
        self.outcome, self.detail, self.shown = outcome, detail, shown

    def __repr__(self):
        return f"{self.outcome} {self.detail}"


def read_answer(read, shown):
    data = b""
    while b"\r\n\r\n" not in data and not (data.startswith(b"ID ") and b"\n" in data):
        more = read()
        if not more:
            return Sent("closed", data, shown)
        data += more
    if data.startswith(b"ID "):
        return Sent("server", data[3:].split(b"\n")[0].decode(), shown)
    head = data.split(b"\r\n\r\n")[0].decode("latin1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    status = int(head[0].split(" ")[1])
    if "x-server" in fields:
        return Sent("server", fields["x-server"], shown)
    if 300 <= status < 400:
        return Sent("redirect", (status, fields.get("location")), shown)
    return Sent("status", status, shown)


def over_tls(sock, context, name, request):
    """TLS over memory: what answers may be no TLS at all."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    seen = b""

    def flush():
        try:
            sock.sendall(outgoing.read())
        except ConnectionError:
            pass  # the gateway has gone; what it said before is still to be read

    def step(call):
        nonlocal seen
        while True:
            try:
                result = call()
                flush()
                return result
            except ssl.SSLWantReadError:
                flush()
                data = sock.recv(65536)
                seen = (seen + data)[:64]
                if seen.startswith(b"ID "):
                    raise LookupError(seen[3:].split(b"\n")[0].decode())
                if not data:
                    raise EOFError
                incoming.write(data)
    shown = None
    try:
        step(tls.do_handshake)
        shown = tls.getpeercert(True)
        step(lambda: tls.write(request))
        return read_answer(lambda: step(lambda: tls.read(65536)), shown)
    except LookupError as found:
        return Sent("server", str(found))
    except ssl.SSLZeroReturnError:
        return Sent("closed", "", shown)
    except ssl.SSLError as error:
        return Sent("tls_alert", error.reason, shown)
    except EOFError:
        return Sent("closed", "", shown)


def send(client, contexts):
    header = f"PROXY TCP4 {client['from']} 127.0.0.1 4711 {client['port']}\r\n".encode() if "via" in client else b""
    request = (f"{client['method']} {client['request']} HTTP/1.1\r\nHost: {client['host']}:{client['port']}\r\nContent-Length: 0\r\n"
               "Connection: close\r\n\r\n").encode()
    try:
        with socket.create_connection((client["to"], client["port"]), PATIENCE, (client.get("via", client["from"]), 0)) as sock:
            sock.sendall(header)
            if client["scheme"] == "https":
                name = client.get("sni", client["host"])
                return over_tls(sock, contexts[client["certificate"]], None if name in ("-", "127.0.0.1") else name, request)
            sock.sendall({"http": request, "ssh": b"SSH-2.0-test\r\n", "tcp": b"\0\1\2\3"}[client["scheme"]])
            return read_answer(lambda: sock.recv(65536), None)
    except (ConnectionError, socket.timeout) as error:
        return Sent("closed" if not isinstance(error, socket.timeout) else "timeout", str(error))


class Explains:
    """Asks the admin interface, over one connection."""

    def __init__(self, gw):
        self.connection = http.client.HTTPConnection("127.0.0.1", gw.config.admin_port, timeout=PATIENCE)

    def __call__(self, client):
        query = {"target": f"{client['scheme']}://{client['host']}:{client['port']}{client['request']}", "from": client["from"],
                 "to": client["to"], "method": client["method"]}
        for key in ("via", "sni"):
            if key in client:
                query[key] = client[key]
        if not client["certificate"]:
            query["client_certificate"] = "none"
        self.connection.request("GET", "/api/v1/explain?" + urllib.parse.urlencode(query))
        reply = self.connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        return json.loads(body)


def difference(told, met, files):
    """None where both say the same."""
    if told["outcome"] != met.outcome:
        return "another outcome"
    if met.outcome == "server" and met.detail not in [s["server"] for s in told["servers"] if s["takes"]]:
        return "another server"
    if met.outcome == "status" and met.detail != told["status"]:
        return "another status"
    if met.outcome == "redirect" and met.detail != (told["status"], told["location"]):
        return "another redirect"
    ended_here = met.shown is not None and told.get("layer") != "passthrough"
    if ended_here and files.get(met.shown) != told.get("certificate"):
        return f"another certificate: {files.get(met.shown)}"
    return None


FIRST = int(os.environ.get("LOTTERY", "1"))  # to draw others


@pytest.mark.parametrize("seed, by_default", [(FIRST, False), (FIRST + 1, True)], ids=["plain", "with a default certificate"])
def test_a_thousand_clients(gateway, leaf, ca, pools, seed, by_default):
    lot = Lottery(seed, pools)
    client_leaf = leaf("client.tld")
    certs = {"wild-a.pem": leaf("*.a.tld", "a.tld"), "www.pem": leaf("www.a.tld", "www.b.tld", "api.b.tld"), "b.pem": leaf("b.tld", "x1.b.tld"),
             "c.pem": leaf("*.c.lab.tld"), "c-rsa.pem": leaf("*.c.lab.tld", kind="rsa"), "fixed.pem": leaf("fixed.tld"),
             "default.pem": leaf("default.tld"), "clients.pem": open(ca.cert).read()}
    files = {one.der: name for name, one in certs.items() if name != "clients.pem"}
    twin = free_port()
    config = Config(certs=certs, listeners={name: {} for name in ("alt", "mixed", "proxied", "raw", "both", "git")})
    config.settings = merge(config.settings, {"listeners": {
        "https": {"public_port": 8443}, "proxied": {"accept_proxy": [PROXY]},
        "twin_a": {"bind": f"127.0.0.1:{twin}"}, "twin_b": {"bind": f"127.0.0.2:{twin}", "public_port": 9443}}, "logs": {"level": "error", "access": False}})
    if by_default:
        config.settings["certificates"] = {"default": "default.pem"}
    config.write("gateway.yaml", config.settings)
    for name, service in lot.services(90).items():
        config.service(name, service)
    gw = gateway(config=config)

    def all_known():
        states = [s["state"] for s in json.loads(get(config.admin_port, "/api/v1/servers", "localhost").text)["servers"] if s["server"] in pools["gone"]]
        assert states, "the lot has drawn no server that is gone"
        return set(states) == {"down"}
    until(all_known, "servers that are gone still count as up")

    listeners = {name: ("127.0.0.1", port) for name, port in config.ports.items()}
    listeners.update(twin_a=("127.0.0.1", twin), twin_b=("127.0.0.2", twin))
    clients = [lot.client(listeners) for _ in range(CLIENTS)]
    contexts = {True: ca.client_context(client_leaf), False: ca.client_context()}
    for context in contexts.values():
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    ask = Explains(gw)
    told = [ask(client) for client in clients]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        met = list(pool.map(lambda client: send(client, contexts), clients))

    wrong = []
    for client, said, saw in zip(clients, told, met):
        why = difference(said, saw, files)
        if why:  # a server that is too busy for a moment leaves a client to its backup: only what is so again is wrong
            said, saw = ask(client), send(client, contexts)
            why = difference(said, saw, files)
        if why:
            wrong.append(f"{why}: {client}\n  met {saw}\n  told {said['outcome']} {said['status']} {said['why']!r} service {said.get('service')} "
                         f"certificate {said.get('certificate')} servers {said.get('servers')}")
    kinds = collections.Counter((saw.outcome, saw.detail if saw.outcome == "status" else "") for saw in met)
    assert not wrong, f"{len(wrong)} of {len(clients)} differ ({kinds}):\n" + "\n".join(wrong[:12])
    if FIRST != 1:
        return
    # The lot has drawn enough of everything.
    for kind, least in ((("server", ""), 100), (("redirect", ""), 20), (("status", 404), 10), (("status", 403), 4), (("status", 421), 10),
                        (("status", 503), 1), (("closed", ""), 15)) + (() if by_default else ((("tls_alert", ""), 20),)):
        assert kinds[kind] >= least, (kind, kinds)
    assert len({said.get("service") for said in told}) > 25


def test_for_people(gateway, http_server, leaf):
    server = http_server(lambda r: response(200, "x"))
    gw = gateway({"cloud": edge("cloud.example", server), "login": edge("cloud.example", server, paths=["/login"], access={"allow": ["10.0.0.0/8"]}),
                  "vault": passthrough("vault.example", server)}, certs={"c.pem": leaf("cloud.example")})
    port = gw.ports["https"]
    done = command("explain", f"https://cloud.example:{port}/login", "--from", "192.0.2.7", "--config", gw.config.dir)
    assert done.returncode == 0, done.stderr
    for words in (f"port {port} belongs to listener \"https\"", "certificate  c.pem", "(conf.d/login.yaml:", "=> 403", "192.0.2.7 is not in allow (allow 10.0.0.0/8)",
                  "cloud  has host \"cloud.example\", but its path \"/\" is shorter"):
        assert words in done.stdout, (words, done.stdout)
    told = json.loads(command("explain", f"vault.example:{port}", "--json", "--config", gw.config.dir).stdout)
    assert (told["outcome"], told["service"], told["layer"]) == ("server", "vault", "passthrough") and "offline" not in told
    assert [s["server"] for s in told["servers"] if s["takes"]] == [server.address]

    offline = json.loads(command("explain", f"https://cloud.example:{port}/", "--json", "--offline", "--config", gw.config.dir).stdout)
    assert offline["offline"] and offline["service"] == "cloud"
    bad = command("explain", "gopher://x", "--config", gw.config.dir)
    assert bad.returncode == 1 and "scheme" in bad.stderr and not bad.stdout


def test_without_a_gateway_it_says_so(config, http_server):
    made = config({"web": plain("web.example", "localhost:1", http_server()), "gone": plain("gone.example", "no-such-name.invalid:80")})
    done = command("explain", f"http://web.example:{made.ports['http']}/", "--config", made.dir)
    assert done.returncode == 0 and "no gateway answers" in done.stderr and "localhost:1" in done.stdout
    gone = command("explain", f"http://gone.example:{made.ports['http']}/", "--offline", "--config", made.dir, env={"RES_OPTIONS": "timeout:1 attempts:1"})
    assert "503: no server can be used" in gone.stdout and "its name has no address" in gone.stdout, gone.stdout


def test_what_an_operator_said_counts(gateway, http_server):
    servers = [http_server(lambda request, name=name: response(200, name)) for name in ("one", "two", "three")]
    gw = gateway({"web": plain("web.example", *servers, sticky={"by": "source"})})
    mine = get(gw.ports["http"], host="web.example").text
    names = {server.address: name for server, name in zip(servers, ("one", "two", "three"))}
    by_name = {name: address for address, name in names.items()}

    def told(source):
        done = command("explain", f"http://web.example:{gw.ports['http']}/", "--from", source, "--json", "--config", gw.config.dir)
        return {names[one["server"]]: one for one in json.loads(done.stdout)["servers"]}

    def say(word, name):
        assert command(word, f"web/{by_name[name]}", "--config", gw.config.dir).returncode == 0
    other = next(name for name in names.values() if name != mine)
    say("disable", other)
    say("drain", mine)
    stays, comes = told("127.0.0.1"), told("127.0.0.9")
    assert stays[mine]["takes"] and "draining" in stays[mine]["why"] and get(gw.ports["http"], host="web.example").text == mine
    assert not comes[mine]["takes"] and "draining" in comes[mine]["why"]
    assert not comes[other]["takes"] and "disabled" in comes[other]["why"]
    taker = [name for name, one in comes.items() if one["takes"]]
    assert taker == [get(gw.ports["http"], host="web.example", source="127.0.0.9").text]
