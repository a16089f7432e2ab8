"""The PROXY protocol, believed from trusted peers and told to servers."""
import socket
import struct
import zlib

import pytest

from harness import hello
from harness.client import Client, http
from harness.gateway import Config, Gateway
from harness.http_server import HttpServer, describe, header, response
from harness.ports import free_port
from harness.server import echo
from harness.services import edge, passthrough, plain, reencrypt, ssh, tcp

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"


def v2(source="203.0.113.7", destination="198.51.100.1", port=4711, command=1, tlvs=b"", family=None):
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    body = socket.inet_pton(kind, source) + socket.inet_pton(kind, destination) + struct.pack("!HH", port, 443) + tlvs
    code = family if family is not None else (0x21 if kind == socket.AF_INET6 else 0x11)
    return SIGNATURE + bytes([0x20 | command, code]) + struct.pack("!H", len(body)) + body


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def with_crc(good=True):
    blank = v2(tlvs=tlv(3, bytes(4)))
    checksum = crc32c(blank) if good else zlib.crc32(blank)
    return blank[:-4] + struct.pack("!I", checksum)


TRUSTED = {"http": {"accept_proxy": ["127.0.0.1/32"]}, "https": {"accept_proxy": ["127.0.0.1/32"]}}

GOOD = {
    "v1": (V1, "203.0.113.7"),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1-unknown-with-words": (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "127.0.0.1"),
    "v2": (v2(), "203.0.113.7"),
    "v2-tcp6": (v2("2001:db8::7", "2001:db8::1"), "2001:db8::7"),
    "v2-local": (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
    "v2-local-with-address": (v2(command=0), "127.0.0.1"),
    "v2-tlvs": (v2(tlvs=tlv(1, b"h2") + tlv(2, b"a.example") + tlv(5, b"id") + tlv(4, bytes(300))), "203.0.113.7"),
    "v2-crc": (with_crc(), "203.0.113.7"),
}

BAD = {
    "v1-address-over-255": b"PROXY TCP4 999.1.1.1 198.51.100.1 4711 443\r\n",
    "v1-mixed-families": b"PROXY TCP4 2001:db8::7 198.51.100.1 4711 443\r\n",
    "v1-leading-zero": b"PROXY TCP4 203.0.113.07 198.51.100.1 4711 443\r\n",
    "v1-port": b"PROXY TCP4 203.0.113.7 198.51.100.1 70000 443\r\n",
    "v1-too-long": b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443" + b" " * 80 + b"\r\n",
    "v1-bare-lf": b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\n",
    "v1-two-spaces": b"PROXY  TCP4 203.0.113.7 198.51.100.1 4711 443\r\n",
    "v1-lower": b"proxy TCP4 203.0.113.7 198.51.100.1 4711 443\r\n",
    "v2-short": SIGNATURE + b"\x21\x11\x00\x04\1\2\3\4",
    "v2-version": SIGNATURE + b"\x31\x11" + v2()[14:],
    "v2-command": SIGNATURE + b"\x2f\x11" + v2()[14:],
    "v2-bad-crc": with_crc(False),
    "v2-bad-tlv": v2(tlvs=b"\x01\xff\xff"),
    "none": b"",
    "junk": bytes(range(1, 60)),
}


@pytest.fixture(scope="module")
def stage(ca, leaf):
    web = HttpServer(describe)
    gw = Gateway(Config({"web": edge("web.example", web), "plain": plain("web.example", web)}, listeners=TRUSTED, certs={"w.pem": leaf("web.example")}))
    yield gw, web
    gw.stop()
    web.stop()
    gw.config.remove()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", GOOD)
def test_believed(stage, ca, name, tls):
    gw, web = stage
    data, expected = GOOD[name]
    reply = http(gw.ports["https" if tls else "http"], host="web.example", tls=ca.client_context() if tls else None, before=data)
    assert header(reply, "x-forwarded-for") == expected
    assert gw.access(client=expected)


@pytest.mark.parametrize("name", ["v1", "v2", "v2-tlvs", "v1-unknown"])
def test_split_at_every_byte(stage, name):
    gw, web = stage
    data, expected = GOOD[name]
    with Client(gw.ports["http"]) as client:
        client.send_bytewise(data + b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n")
        assert header(client.response(), "x-forwarded-for") == expected


@pytest.mark.parametrize("name", BAD)
def test_refused(stage, name):
    gw, web = stage
    before = len(web.requests)
    with Client(gw.ports["http"]) as client:
        client.send(BAD[name] + b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n")
        try:
            assert client.rest() == b""
        except ConnectionError:
            pass
    assert len(web.requests) == before


def test_a_peer_that_is_not_trusted_may_not_send_it(stage):
    gw, web = stage
    before = len(web.requests)
    for data in (V1, v2()):
        with Client(gw.ports["http"], source="127.0.0.2") as client:
            client.send(data + b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n")
            try:
                assert client.rest() == b""
            except ConnectionError:
                pass
    assert len(web.requests) == before
    reply = http(gw.ports["http"], host="web.example", source="127.0.0.2")
    assert header(reply, "x-forwarded-for") == "127.0.0.2", "others come without the header"


def test_access_and_hash_use_the_proxied_address(gateway, http_server):
    gw = gateway({"web": plain("web.example", http_server(), access={"deny": ["203.0.113.0/24"]})}, listeners=TRUSTED)
    assert http(gw.ports["http"], host="web.example", before=V1).status == 403
    assert http(gw.ports["http"], host="web.example", before=b"PROXY TCP4 203.0.114.7 1.1.1.1 1 2\r\n").status == 200


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("mode", ["passthrough", "edge", "reencrypt", "http", "ssh", "tcp"])
def test_told_to_servers(gateway, tcp_server, http_server, leaf, ca, server_ca, mode, version):
    told = {"proxy_protocol": f"v{version}"}
    own, port = server_ca.leaf("own.example").server_context(), free_port()
    if mode in ("passthrough", "ssh", "tcp"):
        server = tcp_server(echo, proxy=True)
    else:
        server = http_server(lambda r: response(200, "ok"), proxy=True, tls=own if mode == "reencrypt" else None)
    spec = {"passthrough": lambda: passthrough("own.example", server, **told), "edge": lambda: edge("own.example", server, **told),
            "reencrypt": lambda: reencrypt("own.example", server, server_tls={"ca": "s.pem"}, **told),
            "http": lambda: plain("own.example", server, **told), "ssh": lambda: ssh(server, **told),
            "tcp": lambda: tcp(f"127.0.0.1:{port}", server, **told)}[mode]()
    gw = gateway({"one": spec}, certs={"own.pem": leaf("own.example"), "s.pem": open(server_ca.cert).read()})
    if mode in ("edge", "reencrypt", "http"):
        client = Client(gw.ports["http" if mode == "http" else "https"], source="127.0.0.5",
                        tls=None if mode == "http" else ca.client_context(), name=None if mode == "http" else "own.example")
        assert client.request(host="own.example").text == "ok"
    else:
        client = Client({"passthrough": gw.ports["https"], "ssh": gw.ports["ssh"], "tcp": port}[mode], source="127.0.0.5")
        data = hello.build("own.example") if mode == "passthrough" else b"SSH-2.0-x\r\n"
        assert client.send(data).exactly(len(data)) == data
    seen = server.conn().proxy
    assert seen[:3] == (version, "127.0.0.5", client.local_port())
    client.close()


def test_connections_of_two_clients_are_not_shared(gateway, http_server):
    server = http_server(lambda r: response(200, r.conn.proxy[1]), proxy=True)
    gw = gateway({"one": plain("own.example", server, proxy_protocol="v2")}, settings={"workers": 1})
    for source in ("127.0.0.5", "127.0.0.6", "127.0.0.5"):
        assert http(gw.ports["http"], host="own.example", source=source).text == source


def test_in_and_out(gateway, tcp_server):
    """The gateway behind another proxy hands the first client's address on."""
    server = tcp_server(echo, proxy=True)
    gw = gateway({"own": passthrough("own.example", server, proxy_protocol="v2")}, listeners=TRUSTED)
    with Client(gw.ports["https"], before=v2("2001:db8::7", "2001:db8::1")) as client:
        client.send(hello.build("own.example")).exactly(5)
    assert server.conn().proxy[:3] == (2, "2001:db8::7", 4711)
