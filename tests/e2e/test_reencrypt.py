"""The second TLS session: who is believed, what is shown, what is resumed."""
import ssl

import pytest

from harness.certs import expired, self_signed
from harness.client import Client, http
from harness.http_server import response
from harness.ports import free_port
from harness.server import echo
from harness.services import edge, plain, reencrypt, tcp


def start(gateway, leaf, server_ca, server, tls=None):
    return gateway({"re": reencrypt("re.example", server, server_tls={"ca": "servers.pem", **(tls or {})})},
                   certs={"re.pem": leaf("re.example"), "servers.pem": open(server_ca.cert).read()})


def ask(gw, ca, name="re.example"):
    return http(gw.ports["https"], host=name, tls=ca.client_context())


def test_a_verified_server(gateway, http_server, leaf, ca, server_ca):
    server = http_server(tls=server_ca.leaf("re.example").server_context())
    gw = start(gateway, leaf, server_ca, server)
    assert ask(gw, ca).status == 200
    assert b"re.example" in server.conn().hello, "the SNI is the client's host"
    line = gw.access(service="re")
    assert (line["mode"], line["end"]) == ("reencrypt", "ok")


REFUSED = {
    "wrong-name": lambda authority: authority.leaf("other.example"),
    "self-signed": lambda authority: self_signed("re.example"),
    "common-name-only": lambda authority: authority.leaf("x", cn="re.example", with_san=False),
    "ended": expired,
    "no-server-usage": lambda authority: authority.leaf("re.example", usage="clientAuth"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_server_that_is_not_believed(gateway, http_server, leaf, ca, server_ca, kind):
    server = http_server(tls=REFUSED[kind](server_ca).server_context())
    gw = start(gateway, leaf, server_ca, server)
    reply = ask(gw, ca)
    assert reply.status in (502, 503)
    assert not server.requests
    assert gw.access(service="re")["end"] in ("tls_error", "server_error")
    gw.wait_idle()


def test_verify_none_takes_any(gateway, http_server, leaf, ca, server_ca):
    server = http_server(tls=self_signed("whatever.example").server_context())
    gw = start(gateway, leaf, server_ca, server, {"verify": "none"})
    assert ask(gw, ca).status == 200


def test_the_systems_store_is_the_default(gateway, http_server, leaf, ca, server_ca):
    server = http_server(tls=server_ca.leaf("re.example").server_context())
    gw = gateway({"re": reencrypt("re.example", server)}, certs={"re.pem": leaf("re.example")})
    assert ask(gw, ca).status in (502, 503)
    gw2 = gateway({"re": reencrypt("re.example", server)}, certs={"re.pem": leaf("re.example")},
                  env={"SSL_CERT_FILE": server_ca.cert})
    assert ask(gw2, ca).status == 200


def test_a_name_of_its_own(gateway, http_server, leaf, ca, server_ca):
    server = http_server(tls=server_ca.leaf("cloud.internal").server_context())
    gw = start(gateway, leaf, server_ca, server, {"name": "cloud.internal"})
    assert ask(gw, ca).status == 200
    assert b"cloud.internal" in server.conn().hello and b"re.example" not in server.conn().hello


def test_an_ip_name_sends_no_sni(gateway, http_server, leaf, ca, server_ca):
    for names, status in ((("127.0.0.1",), (200,)), (("re.example",), (502, 503))):
        server = http_server(tls=server_ca.leaf(*names).server_context())
        gw = start(gateway, leaf, server_ca, server, {"name": "127.0.0.1"})
        assert ask(gw, ca).status in status
        assert b"127.0.0.1" not in server.conn().hello and b"re.example" not in server.conn().hello


def test_a_client_certificate_for_the_server(gateway, http_server, leaf, ca, server_ca):
    own = server_ca.leaf("gateway.internal")
    server = http_server(lambda r: response(200, str(r.conn.sock.getpeercert()["subject"])),
                         tls=server_ca.leaf("re.example").server_context(client_ca=server_ca.cert))
    certs = {"re.pem": leaf("re.example"), "servers.pem": open(server_ca.cert).read(), "gw.pem": own}
    gw = gateway({"re": reencrypt("re.example", server, server_tls={"ca": "servers.pem", "client_certificate": "gw.pem"})}, certs=certs)
    assert "gateway.internal" in ask(gw, ca).text
    without = gateway({"re": reencrypt("re.example", server, server_tls={"ca": "servers.pem"})}, certs=certs)
    assert ask(without, ca).status in (502, 503)


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_sessions_with_the_server_are_resumed(gateway, http_server, leaf, ca, server_ca, maximum):
    server = http_server(lambda r: response(200, b"x", [("Connection", "close")]),
                         tls=server_ca.leaf("re.example").server_context(maximum=maximum))
    gw = gateway({"re": reencrypt("re.example", server, server_tls={"ca": "servers.pem"})}, settings={"workers": 1},
                 certs={"re.pem": leaf("re.example"), "servers.pem": open(server_ca.cert).read()})
    for _ in range(6):
        assert ask(gw, ca).status == 200
    reused = [conn.tls_reused for conn in server.conns]
    assert not reused[0] and sum(reused) >= 3, reused


def test_two_names_do_not_share_a_server_connection(gateway, http_server, leaf, ca, server_ca):
    """Reuse is keyed by SNI as well as by server (behaviours 19)."""
    server = http_server(tls=server_ca.leaf("a.example", "b.example").server_context())
    gw = gateway({"re": reencrypt(["a.example", "b.example"], server, server_tls={"ca": "servers.pem"})}, settings={"workers": 1},
                 certs={"re.pem": leaf("a.example", "b.example"), "servers.pem": open(server_ca.cert).read()})
    for name in ("a.example", "b.example", "a.example", "b.example"):
        assert ask(gw, ca, name).status == 200
    assert len(server.conns) == 2
    assert b"a.example" in server.conns[0].hello and b"b.example" in server.conns[1].hello


def test_http_and_tcp_services_speak_tls_to_servers(gateway, http_server, tcp_server, server_ca):
    web = http_server(tls=server_ca.leaf("re.example").server_context())
    raw, port = tcp_server(echo, tls=server_ca.leaf("127.0.0.1").server_context()), free_port()
    gw = gateway({"web": plain("re.example", web, server_tls={"ca": "servers.pem"}),
                  "raw": tcp(f"127.0.0.1:{port}", raw, server_tls={"ca": "servers.pem"})},
                 certs={"servers.pem": open(server_ca.cert).read()})
    assert http(gw.ports["http"], host="re.example").status == 200
    with Client(port) as client:
        assert client.send(b"x" * 100_000).exactly(100_000) == b"x" * 100_000


@pytest.mark.parametrize("mode", ["edge", "reencrypt"])
def test_protocol_tcp_hands_on_decrypted_bytes(gateway, tcp_server, leaf, ca, server_ca, mode):
    """IMAPS to IMAP: the server speaks first, routed by SNI."""
    def imap(conn):
        conn.send(b"* OK ready\r\n")
        while True:
            tag = conn.line().split(b" ")[0]
            conn.send(b"* BYE\r\n" + tag + b" OK\r\n")
    server = tcp_server(imap, tls=server_ca.leaf("imap.example").server_context() if mode == "reencrypt" else None)
    keys = {"server_tls": {"ca": "servers.pem"}} if mode == "reencrypt" else {}
    web = edge("web.example", "127.0.0.1:1")
    gw = gateway({"imap": {"mode": mode, "protocol": "tcp", "hosts": ["imap.example"], "servers": [server.address], **keys}, "web": web},
                 certs={"c.pem": leaf("imap.example", "web.example"), "servers.pem": open(server_ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="imap.example") as client:
        assert client.line() == b"* OK ready"
        client.send(b"a1 LOGOUT\r\n")
        assert client.line() == b"* BYE" and client.line() == b"a1 OK"
    line = gw.access(service="imap")
    assert line["sni"] == "imap.example" and not line.get("status")
    gw.wait_idle()
