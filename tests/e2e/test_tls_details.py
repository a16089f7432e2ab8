"""TLS towards clients beyond routing: no early data, no renegotiation, reasons in the log, what may be routed by a resumed session."""
import socket
import ssl
import subprocess

import pytest

from harness import hello
from harness.certs import CertAuthority, client_context
from harness.client import Client, MemoryTls, Stream
from harness.services import edge


@pytest.fixture
def gw(gateway, http_server, leaf):
    return gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})


def s_client(gw, *args, send="", timeout=60):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gw.ports['https']}", "-servername", "web.example", *args],
                          input=send, capture_output=True, text=True, timeout=timeout)


def test_no_early_data_is_offered(gw):
    done = s_client(gw, "-tls1_3", "-ign_eof", send="GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
    assert "HTTP/1.1 200" in done.stdout and "Post-Handshake New Session Ticket" in done.stdout
    assert "Max Early Data: 0" in done.stdout


def test_early_data_is_not_taken(gw, tmp_path):
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_text("GET /early HTTP/1.1\r\nHost: web.example\r\n\r\n")
    s_client(gw, "-tls1_3", "-sess_out", str(session), "-ign_eof", send="GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
    s_client(gw, "-tls1_3", "-sess_in", str(session), "-early_data", str(early))
    assert not [line for line in gw.accesses() if line.get("path") == "/early"]


def test_renegotiation_is_refused(gw):
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{gw.ports['https']}", "-servername", "web.example", "-tls1_2"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    process.stdin.write("R\n")
    process.stdin.flush()
    try:
        out, _ = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        raise AssertionError(f"neither refused nor closed: {out[-500:]}")
    assert "no renegotiation" in out.lower() or "RENEGOTIATING" in out, out[-500:]
    with Client(gw.ports["https"], tls=client_context(), name="web.example") as client:
        assert client.request(host="web.example").status == 200


def test_the_reason_of_a_failed_handshake_is_logged(gw, ca):
    stranger = CertAuthority("Stranger")
    with pytest.raises(ssl.SSLError):  # the client does not believe the certificate and says so in an alert
        Client(gw.ports["https"], tls=stranger.client_context(), name="web.example")
    line = gw.access(end="tls_error")
    assert line["sni"] == "web.example" and line.get("status") is None and "unknown ca" in line["reason"].lower()


def test_an_end_without_close_notify_in_a_body_is_a_cut(gw, ca):
    client = Client(gw.ports["https"], tls=ca.client_context(), name="web.example")
    client.send("POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: 100\r\n\r\npart")
    sock = socket.socket(fileno=client.sock.detach())
    sock.shutdown(socket.SHUT_WR)
    sock.close()
    assert gw.access(service="web")["end"] in ("client_cut", "client_closed")
    gw.wait_idle()


def test_tls_records_of_one_byte(gw, ca):
    """A request in records of one byte each, and those in segments of one byte."""
    tls = MemoryTls(gw.ports["https"], ca.client_context(), "web.example", hello.bytewise)
    for byte in b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n":
        tls.sendall(bytes([byte]))
    assert Stream(tls).until(b"\r\n").startswith(b"HTTP/1.1 200")
    tls.close()


def test_requests_that_come_with_the_finished_message(gw, ca):
    """Bytes decrypted beside the handshake's end raise no event of their own."""
    tls = MemoryTls(gw.ports["https"], ca.client_context(), "web.example")
    for _ in range(3):
        tls.tls.write(b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n" * 5)
        tls.sock.sendall(tls.outgoing.read())
        stream = Stream(tls)
        for _ in range(5):
            assert stream.until(b"\r\n").startswith(b"HTTP/1.1 200")
            length = [int(v) for k, v in stream.headers() if k.lower() == "content-length"][0]
            stream.exactly(length)
    tls.close()


def test_close_notify_is_sent(gw, ca):
    """A clean end is told apart from a cut."""
    with Client(gw.ports["https"], tls=ca.client_context(), name="web.example") as client:
        client.request(host="web.example", headers={"Connection": "close"})
        assert client.ended()


def test_garbage_after_the_hello(gw):
    for junk in (b"\x17\x03\x03\x00\x05hello", b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n"):
        with Client(gw.ports["https"]) as client:
            client.send(hello.real("web.example") + junk)
            try:
                client.rest()
            except ConnectionError:
                pass
    assert gw.access(end="tls_error", count=3)
    gw.wait_idle()
