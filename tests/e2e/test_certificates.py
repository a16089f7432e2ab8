"""Which certificate is served, and what is asked of clients."""
import os
import socket
import ssl

import pytest

from harness.certs import CertAuthority, client_context
from harness.client import Client, http
from harness.gateway import Config, command
from harness.services import edge


def served(gw, name, **kw):
    context = client_context(**kw)
    with Client(gw.ports["https"], tls=context, name=name) as client:
        return client.sock.getpeercert(binary_form=True)


def test_exact_beats_wildcard(gateway, http_server, ca):
    exact, wild = ca.leaf("a.w.example"), ca.leaf("*.w.example")
    gw = gateway({"web": edge(["*.w.example"], http_server())}, certs={"1-wild.pem": wild, "2-exact.pem": exact})
    assert served(gw, "a.w.example") == exact.der
    assert served(gw, "A.W.Example") == exact.der
    assert served(gw, "b.w.example") == wild.der


def test_chain_and_key_in_two_files_and_sub_folders(gateway, http_server, ca):
    leaf = ca.leaf("two.example")
    gw = gateway({"web": edge("two.example", http_server())},
                 certs={"deep/er/fullchain.pem": open(leaf.cert).read() + open(ca.cert).read(), "keys/any-name.key": open(leaf.key).read()})
    assert served(gw, "two.example", ca=ca.cert) == leaf.der


def test_behind_symlinks_as_certbot_lays_them_out(gateway, http_server, ca):
    leaf = ca.leaf("live.example")
    config = Config({"web": edge("live.example", http_server())})
    config.write("archive/live.example/fullchain1.pem", open(leaf.cert).read())
    config.write("archive/live.example/privkey1.pem", open(leaf.key).read())
    os.makedirs(f"{config.dir}/certs/live")
    os.symlink("../..", f"{config.dir}/certs/live/loop")
    os.makedirs(f"{config.dir}/live/live.example")
    for name in ("fullchain", "privkey"):
        os.symlink(f"../../archive/live.example/{name}1.pem", f"{config.dir}/live/live.example/{name}.pem")
    os.symlink("../../live/live.example", f"{config.dir}/certs/live/live.example")
    gw = gateway(config=config)
    assert served(gw, "live.example") == leaf.der


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2])
def test_ecdsa_beside_rsa(gateway, http_server, ca, maximum):
    ec, rsa = ca.leaf("both.example"), ca.leaf("both.example", kind="rsa")
    gw = gateway({"web": edge("both.example", http_server())}, certs={"ec.pem": ec, "rsa.pem": rsa})
    for ciphers, expected in (("ECDHE-ECDSA-AES128-GCM-SHA256", ec), ("ECDHE-RSA-AES128-GCM-SHA256", rsa)):
        context = client_context(maximum=maximum)
        context.set_ciphers(ciphers)
        with Client(gw.ports["https"], tls=context, name="both.example") as client:
            assert client.sock.getpeercert(binary_form=True) == expected.der
    assert served(gw, "both.example") == ec.der


def test_no_certificate_for_a_name(gateway, http_server, ca):
    gw = gateway({"web": edge("bare.example", http_server())}, certs={"other.pem": ca.leaf("other.example")})
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        served(gw, "bare.example")


def test_default_certificate(gateway, http_server, ca):
    default = ca.leaf("other.example")
    gw = gateway({"web": edge("*", http_server())}, certs={"d.pem": default}, settings={"certificates": {"default": "d.pem"}})
    assert served(gw, "any.tld") == default.der
    assert served(gw, None) == default.der


def test_a_fixed_certificate(gateway, http_server, ca):
    fixed, matching = ca.leaf("fixed.example"), ca.leaf("web.example")
    gw = gateway({"web": edge("web.example", http_server(), certificate="certs/sub/fixed.pem")},
                 certs={"sub/fixed.pem": fixed, "web.pem": matching})
    assert served(gw, "web.example") == fixed.der


def test_a_broken_pem_is_no_fault_of_others(gateway, http_server, ca):
    leaf = ca.leaf("web.example")
    gw = gateway({"web": edge("web.example", http_server())},
                 certs={"a-broken.pem": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "b-notes.txt": "hello",
                        "c-lonely.key": open(ca.leaf("x.example").key).read(), "d-keyless.pem": open(ca.leaf("web.example").cert).read(),
                        "web.pem": leaf})
    assert served(gw, "web.example") == leaf.der


def test_client_certificates_required(gateway, http_server, leaf, ca):
    clients, strangers = CertAuthority("Clients"), CertAuthority("Strangers")
    gw = gateway({"web": edge("web.example", http_server(), client_certificates={"ca": "clients.pem"})},
                 certs={"web.pem": leaf("web.example"), "clients.pem": open(clients.cert).read()})

    def status(own):
        with Client(gw.ports["https"], tls=ca.client_context(own), name="web.example") as client:
            return client.request(host="web.example").status
    assert status(clients.leaf("alice")) == 200
    for own in (None, strangers.leaf("mallory")):
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            status(own)
    assert gw.access(end="tls_error", count=2)


def test_client_certificates_optional(gateway, http_server, leaf, ca):
    clients, strangers = CertAuthority("Clients"), CertAuthority("Strangers")
    gw = gateway({"web": edge("web.example", http_server(), client_certificates={"ca": "clients.pem", "verify": "optional"})},
                 certs={"web.pem": leaf("web.example"), "clients.pem": open(clients.cert).read()})
    for own in (clients.leaf("alice"), None):
        assert http(gw.ports["https"], host="web.example", tls=ca.client_context(own)).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        http(gw.ports["https"], host="web.example", tls=ca.client_context(strangers.leaf("mallory")))


def test_sessions_do_not_cross_client_certificate_rules(gateway, http_server, leaf, ca):
    """A session from the open service must not open the closed one (behaviours 34)."""
    gw = gateway({"open": edge("open.example", http_server()),
                  "closed": edge("closed.example", http_server(), client_certificates={"ca": "clients.pem"})},
                 certs={"w.pem": leaf("open.example", "closed.example"), "clients.pem": open(ca.cert).read()})
    for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(maximum=maximum)
        with Client(gw.ports["https"], tls=context, name="open.example") as client:
            assert client.request(host="open.example").status == 200
            session = client.sock.session
        context.check_hostname = False
        raw = socket.create_connection(("127.0.0.1", gw.ports["https"]), 30)
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            with context.wrap_socket(raw, server_hostname="closed.example", session=session) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: closed.example\r\n\r\n")
                assert b"200" not in tls.recv(100)
                raise AssertionError("answered without a certificate")


def test_client_sessions_are_resumed(gateway, http_server, leaf, ca):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})
    for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context, session, reused = client_context(maximum=maximum), None, []
        for _ in range(6):
            raw = socket.create_connection(("127.0.0.1", gw.ports["https"]), 30)
            with context.wrap_socket(raw, server_hostname="web.example", session=session) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n")
                assert tls.recv(1000).startswith(b"HTTP/1.1 200")
                reused.append(tls.session_reused)
                session = tls.session
        assert all(reused[1:]), f"also across the workers: {reused}"


def test_versions_and_ciphers(gateway, http_server, leaf):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")},
                 settings={"certificates": {"min_version": "1.3"}})
    with pytest.raises((ssl.SSLError, ConnectionError)):
        served(gw, "web.example", maximum=ssl.TLSVersion.TLSv1_2)
    assert served(gw, "web.example")
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")},
                 settings={"certificates": {"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}})
    with Client(gw.ports["https"], tls=client_context(maximum=ssl.TLSVersion.TLSv1_2), name="web.example") as client:
        assert client.sock.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_alpn_is_http11_and_others_are_refused(gateway, http_server, leaf, ca):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"w.pem": leaf("web.example")})
    with Client(gw.ports["https"], tls=client_context(alpn=["http/1.1"]), name="web.example") as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(gw.ports["https"], tls=client_context(alpn=["foo/9"]), name="web.example")


def test_local_authority(config, gateway, http_server):
    """certs init-ca, issue and list; what they make is served and believed."""
    made = config({"web": edge("web.lan", http_server())})
    done = command("certs", "init-ca", "--config", made.dir)
    assert done.returncode == 0 and "BEGIN CERTIFICATE" in done.stdout, done.stderr
    root = os.path.join(made.dir, "ca", "root.pem")
    assert os.stat(os.path.join(made.dir, "ca", "root.key")).st_mode & 0o777 == 0o600
    assert command("certs", "init-ca", "--config", made.dir).returncode != 0, "it does not replace a root"
    done = command("certs", "issue", "web.lan", "*.web.lan", "192.0.2.1", "--config", made.dir)
    assert done.returncode == 0, done.stderr
    listed = command("certs", "list", "--config", made.dir)
    assert listed.returncode == 0 and "web.lan" in listed.stdout and "192.0.2.1" in listed.stdout and "web" in listed.stdout
    gw = gateway(config=made)
    assert http(gw.ports["https"], host="web.lan", tls=client_context(root)).status == 200
