"""TLS settings that reach the wire, and server connections that only their own kind of request may use."""
import os
import ssl
import subprocess

import pytest

from harness import hello
from harness.certs import CertAuthority, _openssl, client_context, self_signed
from harness.client import Client, Stream, http
from harness.gateway import Config, command
from harness.http_server import response
from harness.server import echo
from harness.services import edge, passthrough, plain, reencrypt


def s_client(gw, *args, name="web.example"):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gw.ports['https']}", "-servername", name, *args],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_groups_and_ciphersuites(gateway, http_server, leaf):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")},
                 settings={"certificates": {"ciphersuites": "TLS_AES_256_GCM_SHA384", "groups": "P-384"}})
    said = s_client(gw, "-tls1_3")
    assert "TLS_AES_256_GCM_SHA384" in said and ("secp384r1" in said or "P-384" in said), said[-1500:]
    assert "alert" in s_client(gw, "-tls1_3", "-groups", "X25519").lower()
    assert "alert" in s_client(gw, "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256").lower()


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused_with_an_alert(gateway, http_server, leaf, version):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})
    said = s_client(gw, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said, said[-800:]
    assert gw.access(end="tls_error")["sni"] == "web.example"


@pytest.mark.parametrize("http2", [True, False], ids=["http2", "http2-off"])
@pytest.mark.parametrize("offered, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"),
                                             (None, None), (["h2"], "h2"), (["spdy/3"], ssl.SSLError)])
def test_alpn_of_an_http_service(gateway, http_server, leaf, offered, chosen, http2):
    """RFC 7301: the gateway's order counts; no overlap ends the handshake; no offer is HTTP/1.1."""
    if chosen == "h2" and not http2:
        chosen = "http/1.1" if "http/1.1" in offered else ssl.SSLError
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")},
                 listeners={} if http2 else {"https": {"http2": "off"}})
    if chosen is ssl.SSLError:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            Client(gw.ports["https"], tls=client_context(alpn=offered), name="web.example")
        assert gw.access(end="tls_error")
        return
    with Client(gw.ports["https"], tls=client_context(alpn=offered), name="web.example") as client:
        assert client.sock.selected_alpn_protocol() == chosen
        if chosen == "h2":
            return
        assert client.request(host="web.example").status == 200


def test_an_h2_preface_within_tls_is_no_request(gateway, http_server, leaf, ca):
    server = http_server()
    gw = gateway({"web": edge(["web.example", "*"], server)}, certs={"w.pem": leaf("web.example")})
    with Client(gw.ports["https"], tls=ca.client_context(), name="web.example") as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert client.rest()[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 505")
    assert not server.conns


def revocation_list(authority, folder, *leaves):
    conf, index = folder / "crl.cnf", folder / "index"
    index.write_text("")
    (folder / "number").write_text("01\n")
    conf.write_text(f"[ca]\ndefault_ca=c\n[c]\ndatabase={index}\ncrlnumber={folder}/number\ndefault_md=sha256\ndefault_crl_days=7\n")
    files = ["-config", str(conf), "-cert", authority.cert, "-keyfile", authority.key]
    for one in leaves:
        _openssl("ca", *files, "-revoke", one.cert)
    _openssl("ca", *files, "-gencrl", "-out", str(folder / "crl.pem"))
    return (folder / "crl.pem").read_text()


def test_a_revoked_client_is_refused(gateway, http_server, leaf, ca, tmp_path):
    clients = CertAuthority("Clients")
    alice, mallory = clients.leaf("alice"), clients.leaf("mallory")
    gw = gateway({"web": edge("web.example", http_server(), client_certificates={"ca": "clients.pem", "crl": "clients.crl"})},
                 certs={"w.pem": leaf("web.example"), "clients.pem": open(clients.cert).read(),
                        "clients.crl": revocation_list(clients, tmp_path, mallory)})
    assert http(gw.ports["https"], host="web.example", tls=ca.client_context(alice)).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        http(gw.ports["https"], host="web.example", tls=ca.client_context(mallory))
    assert "revoked" in gw.access(end="tls_error")["reason"]


# Who may use a pooled server connection (behaviours 19).

def test_a_connection_that_was_not_verified_is_not_used_where_it_must_be(gateway, http_server, leaf, ca):
    server = http_server(tls=self_signed("re.example").server_context())
    gw = gateway({"lax": reencrypt("re.example", server, paths=["/lax"], server_tls={"verify": "none"}),
                  "strict": reencrypt("re.example", server, paths=["/strict"], server_tls={"ca": "ca.pem"})}, settings={"workers": 1},
                 certs={"re.pem": leaf("re.example"), "ca.pem": open(ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="re.example") as client:
        for _ in range(3):
            assert client.request("GET", "/lax", "re.example").status == 200
            assert client.request("GET", "/strict", "re.example").status == 502
    assert {r.target for r in server.requests} == {"/lax"}


def test_a_connection_with_our_certificate_is_not_used_without_it(gateway, http_server, leaf, ca, server_ca):
    context = server_ca.leaf("re.example").server_context(client_ca=server_ca.cert)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http_server(lambda r: response(200, str(bool(r.conn.sock.getpeercert()))), tls=context)
    trust = {"ca": "servers.pem"}
    gw = gateway({"own": reencrypt("re.example", server, paths=["/own"], server_tls={**trust, "client_certificate": "gw.pem"}),
                  "none": reencrypt("re.example", server, paths=["/none"], server_tls=trust)}, settings={"workers": 1},
                 certs={"re.pem": leaf("re.example"), "servers.pem": open(server_ca.cert).read(), "gw.pem": server_ca.leaf("gw")})
    with Client(gw.ports["https"], tls=ca.client_context(), name="re.example") as client:
        for _ in range(3):
            assert client.request("GET", "/own", "re.example").text == "True"
            assert client.request("GET", "/none", "re.example").text == "False"


def test_plain_and_proxied_connections_to_one_server_are_apart(gateway, tcp_server):
    """A connection of the service without PROXY header never gets one in its middle, nor does one of the other begin without."""
    def handler(conn):
        first = conn.line()
        while True:
            proxied = first.startswith(b"PROXY ")
            conn.until(b"\r\n\r\n")
            conn.send(response(200, "told" if proxied or conn.proxy else "bare"))
            conn.proxy = conn.proxy or proxied
            first = conn.line()
            assert not first.startswith(b"PROXY "), "a header within a connection"
    server = tcp_server(handler)
    gw = gateway({"bare": plain("bare.example", server), "told": plain("told.example", server, proxy_protocol="v1")},
                 settings={"workers": 1})
    with Client(gw.ports["http"]) as client:
        for name in ("bare", "told") * 3:
            assert client.request(host=f"{name}.example").text == name
    for name in ("told", "bare") * 3:
        assert http(gw.ports["http"], host=f"{name}.example").text == name


def test_a_resumed_session_may_not_come_with_another_name(gateway, http_server, tcp_server, leaf, ca):
    """A session of one name, offered for another one under the same certificate: routed by the name in this hello."""
    servers = {n: http_server(lambda r, n=n: response(200, n)) for n in ("a", "b")}
    gw = gateway({**{n: edge(f"{n}.example", s) for n, s in servers.items()}, "own": passthrough("own.example", tcp_server(echo))},
                 certs={"ab.pem": leaf("a.example", "b.example", "own.example")})
    for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(maximum=maximum)
        with Client(gw.ports["https"], tls=context, name="a.example") as client:
            assert client.request(host="a.example").text == "a"
            session = client.sock.session
        with Client(gw.ports["https"]) as client:
            tls = context.wrap_socket(client.sock, server_hostname="b.example", session=session)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n")
            assert Stream(tls).rest().endswith(b"\r\n\r\nb")
            tls.close()
    with Client(gw.ports["https"]) as client:
        wire = hello.build("own.example")
        assert client.send(wire).exactly(len(wire)) == wire


def test_every_handshake_after_the_first_is_resumed_on_any_worker(gateway, http_server, leaf):
    """One set of ticket keys for all."""
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")}, settings={"workers": 4})
    context, session, reused = client_context(), None, 0
    for n in range(20):
        with Client(gw.ports["https"]) as client:
            tls = context.wrap_socket(client.sock, server_hostname="web.example", session=session)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
            assert tls.recv(4096).startswith(b"HTTP/1.1 200")
            reused, session = reused + tls.session_reused, tls.session
            tls.close()
    assert reused == 19


@pytest.mark.parametrize("cpus", [1, 2])
def test_auto_workers_are_the_cpus_of_the_process(gateway, http_server, cpus):
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < cpus:
        pytest.skip(f"needs {cpus} CPUs")
    made = Config({"web": plain("test.example", http_server())}, settings={"workers": "auto"})
    gw = gateway(config=made, wrapper=("taskset", "-c", ",".join(map(str, allowed[:cpus]))))
    gw.wait_log(f"with {cpus} worker")
    assert http(gw.ports["http"]).status == 200


def test_certs_list_names_who_uses_them(config, http_server, ca):
    made = config({"web": edge("web.example", http_server())})
    made.cert("web.pem", ca.leaf("web.example", days=20))
    made.cert("spare.pem", ca.leaf("spare.example"))
    said = command("certs", "list", "--config", made.dir).stdout
    web, spare = said.partition("web.example")[2].partition("\n\n")[0], said.partition("spare.example")[2].partition("\n\n")[0]
    assert "Test CA" in web and "in 19 days" in web and "web.pem" in web and "used by  web" in web, said
    assert "spare.pem" in spare and "no service" in spare, said
