"""The keys of HTTP/2: what is agreed on with clients and servers, and what check says of them."""
import ssl
import struct

import pytest

from harness.certs import client_context
from harness.client import Client
from harness.http_server import response
from harness.services import edge, passthrough, plain, reencrypt

BOTH = ["h2", "http/1.1"]


def alpn_extension(*protocols):
    """RFC 7301 section 3.1, as it stands in a ClientHello."""
    names = b"".join(bytes([len(name)]) + name.encode() for name in protocols)
    return struct.pack("!HHH", 16, len(names) + 2, len(names)) + names


def agreed(port, offered, name="web.example", **kw):
    with Client(port, tls=client_context(alpn=offered, **kw), name=name) as client:
        return client.sock.selected_alpn_protocol()


@pytest.fixture
def gw(gateway, http_server, leaf):
    def start(settings=None, **listeners):
        return gateway({"web": edge("web.example", http_server(), listen=["https", *listeners])},
                       certs={"w.pem": leaf("web.example", kind="rsa")}, listeners=listeners, settings=settings)
    return start


def test_http2_goes_before_http1_unless_it_is_off(gw):
    one = gw(old={"http2": "off"}, limited={"http2": {"max_concurrent_streams": 10}}, on={"http2": "on"})
    for name, best in (("https", "h2"), ("limited", "h2"), ("on", "h2"), ("old", "http/1.1")):
        assert agreed(one.ports[name], BOTH) == best, name
        assert agreed(one.ports[name], BOTH[::-1]) == best, name
        assert agreed(one.ports[name], ["http/1.1"]) == "http/1.1", name
        assert agreed(one.ports[name], None) is None, name
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        agreed(one.ports["old"], ["h2"])


def test_where_http2_is_off_clients_are_served_with_http1(gw):
    one = gw(old={"http2": "off"})
    with Client(one.ports["old"], tls=client_context(alpn=BOTH), name="web.example") as client:
        assert client.request(host="web.example").status == 200
    assert agreed(one.ports["old"], BOTH, maximum=ssl.TLSVersion.TLSv1_2) == "http/1.1"


@pytest.mark.parametrize("ciphers, best", [("ECDHE-RSA-AES128-SHA256", "http/1.1"), ("AES128-GCM-SHA256", "http/1.1"),
                                           ("ECDHE-RSA-AES128-GCM-SHA256", "h2")])
def test_no_http2_under_a_cipher_that_it_forbids(gw, ciphers, best):
    one = gw(settings={"certificates": {"ciphers": ciphers}})
    assert agreed(one.ports["https"], BOTH, maximum=ssl.TLSVersion.TLSv1_2) == best
    assert agreed(one.ports["https"], BOTH) == "h2"  # every suite of TLS 1.3 will do
    if best == "http/1.1":
        with Client(one.ports["https"], tls=client_context(alpn=BOTH, maximum=ssl.TLSVersion.TLSv1_2), name="web.example") as client:
            assert client.request(host="web.example").status == 200
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            agreed(one.ports["https"], ["h2"], maximum=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("protocol, offered", [("auto", BOTH), ("h2", ["h2"]), ("http/1.1", ["http/1.1"]), (None, BOTH)])
@pytest.mark.parametrize("mode", ["reencrypt", "http"])
def test_what_servers_are_offered(gateway, http_server, server_ca, leaf, mode, protocol, offered):
    server = http_server(lambda r: response(200, "yes"), tls=server_ca.leaf("web.example").server_context(alpn=["http/1.1"]))
    tls = {"ca": server_ca.cert, **({"protocol": protocol} if protocol else {})}
    one = (reencrypt if mode == "reencrypt" else plain)("web.example", server, server_tls=tls)
    made = gateway({"web": one}, certs={"w.pem": leaf("web.example")})
    secure = mode == "reencrypt"
    with Client(made.ports["https" if secure else "http"], tls=client_context() if secure else None,
                name="web.example" if secure else None) as client:
        reply = client.request(host="web.example")
    assert alpn_extension(*offered) in server.conn().hello
    if protocol != "h2":
        assert (reply.status, reply.text) == (200, "yes")
    else:
        assert reply.status == 502  # this server speaks no HTTP/2, and nothing else will do
        assert made.access(service="web")["status"] == 502


def test_a_service_of_bytes_offers_servers_nothing(gateway, tcp_server, server_ca, leaf):
    server = tcp_server(lambda conn: conn.send(b"hello\n"), tls=server_ca.leaf("web.example").server_context())
    made = gateway({"web": reencrypt("web.example", server, protocol="tcp", server_tls={"ca": server_ca.cert})},
                   certs={"w.pem": leaf("web.example")})
    with Client(made.ports["https"], tls=client_context(alpn=BOTH), name="web.example") as client:
        assert client.sock.selected_alpn_protocol() is None
        assert client.exactly(6) == b"hello\n"
    assert b"\x02h2" not in server.conn().hello and b"http/1.1" not in server.conn().hello


FAULTS = {
    "http2-word": ("listeners: {lan: {bind: ':8443', http2: yes}}\n", "gateway.yaml:1:41", ["on, off"]),
    "http2-key": ("listeners: {lan: {bind: ':8443', http2: {max_stream: 5}}}\n", "gateway.yaml:1:42", ["max_stream"]),
    "http2-number": ("listeners: {lan: {bind: ':8443', http2: {max_headers: 5}}}\n", "gateway.yaml:1:55", ["10 to 2000"]),
    "http2-size": ("listeners: {lan: {bind: ':8443', http2: {stream_window: 65535}}}\n", "gateway.yaml:1:57", ["no unit"]),
    "http2-range": ("listeners: {lan: {bind: ':8443', http2: {max_header_list: 1MiB}}}\n", "gateway.yaml:1:59", ["4KiB to 256KiB"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_listener(config, name):
    text, place, words = FAULTS[name]
    made = config()
    made.write("gateway.yaml", text)
    done = made.check()
    said = done.stdout + done.stderr
    line = next((l for l in said.splitlines() if place in l), None)
    assert done.returncode == 1 and line and "error:" in line, said
    for word in words:
        assert word in line, said


SERVICES = {
    "beside-server-tls": ("mode: http\nservers: ['127.0.0.1:1']\nserver_protocol: h2\nserver_tls: {}\n", ":3:1", ["server_protocol", "server_tls"]),
    "in-reencrypt": ("mode: reencrypt\nservers: ['127.0.0.1:1']\nserver_protocol: h2\n", ":3:1", ["server_protocol", "reencrypt"]),
    "with-bytes": ("mode: edge\nservers: ['127.0.0.1:1']\nprotocol: tcp\nserver_protocol: h2\n", ":4:1", ["server_protocol", "protocol: tcp"]),
    "word": ("mode: edge\nservers: ['127.0.0.1:1']\nserver_protocol: h2c\n", ":3:18", ["h2c", "h2"]),
    "tls-word": ("mode: reencrypt\nservers: ['127.0.0.1:1']\nserver_tls: {protocol: grpc}\n", ":3:24", ["grpc"]),
}


@pytest.mark.parametrize("name", SERVICES)
def test_faults_of_a_service(config, name):
    text, place, words = SERVICES[name]
    done = config({"one": text}).check()
    said = done.stdout + done.stderr
    line = next((l for l in said.splitlines() if f"conf.d/one.yaml{place}" in l), None)
    assert done.returncode == 1 and line and "error:" in line, said
    for word in words:
        assert word in line, said


@pytest.mark.parametrize("http2, warned", [("on", True), ({"max_resets": 50}, True), ("off", False)])
def test_a_certificate_that_covers_a_passthrough_host(config, http_server, leaf, http2, warned):
    services = {"shop": edge("shop.lab.example", http_server()), "git": passthrough(["x.example", "git.lab.example"], http_server())}
    made = config(services, certs={"wild.pem": leaf("*.lab.example")}, listeners={"https": {"http2": http2}})
    done = made.check()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    lines = [line for line in said.splitlines() if "git.lab.example" in line and "warning" in line]
    if warned:  # the second item of a list on lines of its own
        assert len(lines) == 1 and lines[0].startswith("conf.d/git.yaml:4:3: ") and "wild.pem" in lines[0], said
    else:
        assert not lines, said
