"""A server that is spoken to in the wrong way is explained, by traffic itself: a single server is not checked."""
import pytest

from harness.client import http
from harness.http_server import response
from harness.real import Nginx
from harness.services import edge, plain, reencrypt


@pytest.fixture
def nginx(leaf):
    server = Nginx(leaf("own.example"))
    yield server
    server.stop()


def test_a_tls_server_behind_edge(gateway, nginx, ca, leaf):
    gw = gateway({"web": edge("edge.example", nginx.tls_address)}, certs={"one.pem": leaf("edge.example")})
    for _ in range(3):
        assert http(gw.ports["https"], host="edge.example", tls=ca.client_context()).status == 400
    gw.wait_log("this server speaks TLS: use mode reencrypt")
    assert gw.log_text().count("use mode reencrypt") == 1


def test_a_server_that_answers_with_an_alert(gateway, tcp_server, ca, leaf):
    server = tcp_server(lambda conn: (conn.until(b"\r\n\r\n"), conn.send(b"\x15\x03\x01\x00\x02\x02\x46")))
    gw = gateway({"web": edge("edge.example", server), "http": plain("plain.example", server)}, certs={"one.pem": leaf("edge.example")})
    assert http(gw.ports["https"], host="edge.example", tls=ca.client_context()).status == 502
    assert "this server speaks TLS: use mode reencrypt" in gw.access(service="web")["reason"]
    assert http(gw.ports["http"], host="plain.example").status == 502
    assert "this server speaks TLS: give the service server_tls" in gw.access(service="http")["reason"]


def test_a_plain_server_behind_reencrypt(gateway, http_server, nginx, ca, leaf):
    gw = gateway({"web": reencrypt("re.example", nginx.address, server_tls={"verify": "none"})}, certs={"one.pem": leaf("re.example")})
    assert http(gw.ports["https"], host="re.example", tls=ca.client_context()).status == 502
    assert "this server does not speak TLS: use mode edge" in gw.access(service="web")["reason"]
    gw.wait_log("this server does not speak TLS")


def test_an_honest_400_explains_nothing(gateway, http_server, ca, leaf):
    server = http_server(lambda r: response(400, "no such thing"))
    gw = gateway({"web": edge("edge.example", server)}, certs={"one.pem": leaf("edge.example")})
    assert http(gw.ports["https"], host="edge.example", tls=ca.client_context()).status == 400
    assert "speaks TLS" not in gw.log_text()
