"""The ClientHello, however it is cut, for a service of each kind. The server behind passthrough must see it unchanged."""
import ssl

import pytest

from harness import hello
from harness.certs import client_context
from harness.client import Client, MemoryTls, Stream
from harness.server import Server, echo
from harness.services import edge, passthrough, reencrypt

CUTTERS = [hello.whole, hello.bytewise, hello.five_records, hello.five_records_one_segment, hello.tiny_records]


@pytest.fixture(scope="module")
def behind(server_ca):
    leaf = server_ca.leaf("own.example", "*.wild.example", "*.Example")
    server = Server(echo, tls=leaf.server_context(alpn=["http/1.1"]))
    yield server
    server.stop()


@pytest.fixture
def gw(gateway, behind, http_server, leaf, server_ca):
    web = http_server()
    secure = http_server(tls=server_ca.leaf("re.example").server_context())
    return gateway({"own": passthrough(["own.example", "*.wild.example"], behind), "web": edge("web.example", web),
                    "re": reencrypt("re.example", secure, server_tls={"verify": "none"})},
                   certs={"a.pem": leaf("web.example", "re.example")})


@pytest.mark.parametrize("big", [False, True], ids=["small", "16KiB"])
@pytest.mark.parametrize("cutter", CUTTERS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", ["own.example", "x.wild.example", "web.example", "re.example"])
def test_routed_however_it_is_cut(gw, behind, ca, server_ca, name, cutter, big):
    through = name not in ("web.example", "re.example")
    context = (server_ca if through else ca).client_context(alpn=hello.big_alpn() if big else ["http/1.1"])
    seen = len(behind.conns)
    tls = MemoryTls(gw.ports["https"], context, name, cutter)
    assert not big or len(tls.sent_hello) > 16 * 1024
    assert tls.tls.selected_alpn_protocol() == "http/1.1"
    if through:
        tls.sendall(b"ping")
        assert tls.recv(4) == b"ping"
        assert behind.conn(seen).hello == tls.sent_hello, "the server must see the hello byte for byte"
    else:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        assert Stream(tls).until(b"\r\n").startswith(b"HTTP/1.1 200 ")
        assert len(behind.conns) == seen
    tls.close()


@pytest.mark.parametrize("extra", [{"key_share": 16 * 1024}, {"padding": 16 * 1024}, {"key_share": 40 * 1024}],
                         ids=["key-share-16K", "padding-16K", "key-share-40K"])
@pytest.mark.parametrize("cutter", [hello.whole, hello.five_records, hello.bytewise], ids=lambda c: c.__name__)
def test_large_key_share(gw, behind, leaf, server_ca, cutter, extra):
    """A TLS 1.2 server answers in the clear, so that the certificate shows who took the hello."""
    for name in ("own.example", "web.example"):
        wire = hello.build(name, **extra)
        assert len(wire) > 16 * 1024
        seen = len(behind.conns)
        with Client(gw.ports["https"]) as client:
            sent = b"".join(cutter(wire))
            for piece in cutter(wire):
                client.send(piece)
            assert client.exactly(1) == b"\x16", "a handshake record, not an alert"
            length = int.from_bytes(client.exactly(4)[2:], "big")
            answer = client.exactly(length)
            while len(answer) < 2000 and leaf("web.example", "re.example").der not in answer and length:
                try:
                    header = client.exactly(5)
                except AssertionError:
                    break
                answer += client.exactly(int.from_bytes(header[3:], "big"))
                if header[0] != 22 or b"\x0e\0\0\0" in answer:
                    break
            served = leaf("web.example", "re.example").der in answer
            assert served == (name == "web.example")
        if name == "own.example":
            assert behind.conn(seen).hello == sent


@pytest.mark.parametrize("sent", ["OWN.EXAMPLE", "own.example.", "Own.Example."])
def test_case_and_trailing_dot(gw, behind, sent):
    seen = len(behind.conns)
    with Client(gw.ports["https"]) as client:
        wire = hello.build(sent)
        client.send(wire)
        assert client.exactly(1) == b"\x16"
        assert behind.conn(seen).hello == wire


def unrecognized(client):
    return hello.read_alert(client.rest()) == (2, 112)


@pytest.mark.parametrize("name", ["nowhere.example", "a.b.wild.example", "wild.example", None, "192.0.2.1"])
def test_a_name_no_one_serves_gets_unrecognized_name(gw, behind, name):
    seen = len(behind.conns)
    with Client(gw.ports["https"]) as client:
        client.send(hello.build(name))
        assert unrecognized(client)
    assert gw.access(listener="https")["end"] == "no_route"
    assert len(behind.conns) == seen


@pytest.mark.parametrize("wire", [
    pytest.param(b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", id="not-a-hello"),
    pytest.param(b"\x16\x03\x01\x00\x00" * 3, id="empty-records"),
    pytest.param(b"\x16\x03\x01\xff\xff" + bytes(200), id="record-over-its-limit"),
    pytest.param(b"\x16\x03\x01\x00\x08\x01\xff\xff\xff\x03\x03\0\0", id="hello-of-16-MiB"),
    pytest.param(b"".join(hello.records(b"\x01\x00\x00\x05\x03\x03\0\0\0" + bytes(60), [])), id="short-hello"),
])
def test_a_bad_hello_is_refused(gw, behind, wire):
    seen = len(behind.conns)
    with Client(gw.ports["https"]) as client:
        client.send(wire)
        try:
            data = client.rest()
        except ConnectionError:
            data = b""
        assert data == b"" or hello.read_alert(data)
    assert gw.access(listener="https")["end"] == "bad_hello"
    assert len(behind.conns) == seen


def test_two_server_names_are_not_a_choice(gw, behind):
    """Two names in a list, or the extension twice, must not let one name be routed and another be served."""
    seen = len(behind.conns)
    for extra in (hello.server_name("web.example"),):
        with Client(gw.ports["https"]) as client:
            client.send(hello.build("own.example", extra=extra))
            try:
                data = client.rest()
            except ConnectionError:
                data = b""
            assert data == b"" or hello.read_alert(data)
    assert len(behind.conns) == seen


def test_old_tls_is_refused_by_edge(gw, leaf):
    context = client_context(maximum=ssl.TLSVersion.TLSv1_1, minimum=ssl.TLSVersion.TLSv1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(gw.ports["https"], tls=context, name="web.example")
    assert gw.access(listener="https")["end"] == "tls_error"
