"""Certificates, CAs and rules for clients that a reload replaces."""
import socket
import ssl
import time

import pytest

from harness.client import Client, Truncated, http
from harness.http_server import response
from harness.reloading import reload, reloads, replace, says, Socket, status, wait_reload
from harness.services import edge, plain, reencrypt


def serial(port, name, ca):
    with Client(port, ca.client_context(), name) as client:
        return client.sock.getpeercert()["serialNumber"]


def test_a_certificate_is_replaced(gateway, http_server, ca):
    first, second = ca.leaf("a.example"), ca.leaf("a.example")
    gw = gateway({"a": edge("a.example", says(http_server, "here"))}, certs={"a.pem": first})
    stays = Socket(gw.ports["https"], "a.example", ca.client_context())
    before, old = reloads(gw), serial(gw.ports["https"], "a.example", ca)
    replace(gw, "certs/a.pem", second.pem)
    wait_reload(gw, before)
    new = serial(gw.ports["https"], "a.example", ca)
    assert new != old and stays.works()
    # A bad replacement, or one whose key is another's, leaves the one of before.
    for bad in ("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", open(first.cert).read(), ""):
        replace(gw, "certs/a.pem", bad)
        reload(gw)
        assert serial(gw.ports["https"], "a.example", ca) == new
    gw.wait_log("the certificate of before goes on")
    replace(gw, "certs/a.pem", first.pem)
    reload(gw)
    assert serial(gw.ports["https"], "a.example", ca) == old and stays.works()
    stays.close()


def test_sessions_are_resumed_after_a_reload(gateway, http_server, ca, leaf):
    gw = gateway({"a": edge("a.example", says(http_server, "here"))}, certs={"a.pem": leaf("a.example")})
    context = ca.client_context(maximum=ssl.TLSVersion.TLSv1_2)

    def connect(session=None):
        raw = socket.create_connection(("127.0.0.1", gw.ports["https"]), 30)
        with context.wrap_socket(raw, server_hostname="a.example", session=session) as tls:
            return tls.session, tls.session_reused
    session, _ = connect()
    gw.config.service("b", plain("b.example", "127.0.0.1:9"))
    reload(gw)
    assert connect(session)[1]


def test_another_rule_for_client_certificates_ends_idle_connections(gateway, http_server, ca, leaf):
    server = says(http_server, "here")
    gw = gateway({"a": edge("a.example", server), "b": edge("b.example", server)},
                 certs={"c.pem": leaf("a.example", "b.example"), "clients.pem": open(ca.cert).read()})
    with Client(gw.ports["https"], ca.client_context(), "a.example") as client, \
            Client(gw.ports["https"], ca.client_context(), "b.example") as other:
        assert client.request(host="a.example").status == other.request(host="b.example").status == 200
        gw.config.service("a", edge("a.example", server, client_certificates={"ca": "clients.pem"}))
        reload(gw)
        assert client.gone()
        assert other.request(host="b.example").status == 200
    with pytest.raises((ssl.SSLError, OSError, Truncated)):
        http(gw.ports["https"], host="a.example", tls=ca.client_context())
    assert http(gw.ports["https"], host="a.example", tls=ca.client_context(leaf=leaf("me"))).status == 200


def test_the_ca_of_servers_is_replaced(gateway, http_server, ca, server_ca, leaf):
    server = http_server(lambda request: response(200, "here"), tls=ca.leaf("own.example").server_context())
    gw = gateway({"a": reencrypt("a.example", server, server_tls={"ca": "servers.pem", "name": "own.example"})},
                 certs={"a.pem": leaf("a.example"), "servers.pem": open(server_ca.cert).read()})
    assert status(gw.ports["https"], "a.example", tls=ca.client_context()) == 502
    before = reloads(gw)
    replace(gw, "certs/servers.pem", open(ca.cert).read())
    wait_reload(gw, before)
    assert status(gw.ports["https"], "a.example", tls=ca.client_context()) == 200


def test_what_stands_outside_the_watched_folders_is_watched_too(gateway, http_server, ca, server_ca, tmp_path):
    """A certificate whose key comes later, in a file beside it; a CA in a folder where somebody's log is written."""
    first, second = ca.leaf("own.example"), ca.leaf("own.example")
    pair, cas = tmp_path / "pair", tmp_path / "cas"
    for folder in (pair, cas):
        folder.mkdir()
    (pair / "fullchain.pem").write_text(open(first.cert).read())
    (pair / "key.pem").write_text(open(first.key).read())
    (cas / "servers.pem").write_text(open(server_ca.cert).read())
    server = http_server(lambda request: response(200, "here"), tls=ca.leaf("own.example").server_context())
    gw = gateway({"a": reencrypt("own.example", server, certificate=str(pair / "fullchain.pem"),
                                 server_tls={"ca": str(cas / "servers.pem"), "name": "own.example"})})
    port = gw.ports["https"]
    assert status(port, "own.example", tls=ca.client_context()) == 502
    old, before = serial(port, "own.example", ca), reloads(gw)
    with open(cas / "somebody-elses.log", "w", encoding="ascii") as log:
        for _ in range(20):
            print("a line", file=log, flush=True)
            time.sleep(0.1)
    assert reloads(gw) == before
    (cas / "servers.pem").write_text(open(ca.cert).read())
    wait_reload(gw, before)
    assert status(port, "own.example", tls=ca.client_context()) == 200
    (pair / "fullchain.pem").write_text(open(second.cert).read())
    gw.wait_log("service a goes on as it was before")
    assert serial(port, "own.example", ca) == old
    before = reloads(gw)
    (pair / "key.pem").write_text(open(second.key).read())
    wait_reload(gw, before)
    assert serial(port, "own.example", ca) != old
