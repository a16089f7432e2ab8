"""Which service answers: hosts, paths, 404, 421, redirects, plain_http, access rules, header edits."""
import pytest

from harness.client import Client, http
from harness.http_server import header, read_json, response
from harness.server import echo
from harness.services import edge, passthrough, plain, reencrypt, service


def named(http_server):
    def make(text, **kw):
        return http_server(lambda r: response(200, text), **kw)
    return make


def test_hosts_and_longest_path(gateway, http_server):
    make = named(http_server)
    gw = gateway({
        "root": plain("a.example", make("root")), "api": plain("a.example", make("api"), paths=["/api"]),
        "deep": plain("a.example", make("deep"), paths=["/api/v2", "/other"]),
        "wild": plain("*.a.example", make("wild")), "exact": plain("x.a.example", make("exact")), "star": plain(None, make("star"))})
    for host, path, expected in (
            ("a.example", "/", "root"), ("a.example", "/api", "api"), ("a.example", "/api/", "api"), ("a.example", "/api?x", "api"),
            ("a.example", "/apix", "root"), ("a.example", "/api/v2/y", "deep"), ("a.example", "/api/v22", "api"),
            ("a.example", "/other", "deep"), ("A.Example:80", "/api/v1", "api"), ("y.a.example", "/", "wild"),
            ("x.a.example", "/", "exact"), ("z.y.a.example", "/", "star"), ("else.tld", "/", "star"), ("192.0.2.1", "/", "star")):
        assert http(gw.ports["http"], path, host).text == expected, (host, path)


def test_no_spelling_gets_past_a_longer_prefix(gateway, http_server):
    make = named(http_server)
    gw = gateway({"root": plain("a.example", make("root")), "admin": plain("a.example", make("admin"), paths=["/admin"])})
    for target in ("/%61dmin", "//admin", "/x/../admin", "/./admin/", "/%2e/admin", "/x/%2E%2e/admin/y", "/admin//"):
        assert http(gw.ports["http"], target, "a.example").text == "admin", target
    for target in ("/Admin", "/administrator", "/admin/..", "/x%2fadmin"):
        assert http(gw.ports["http"], target, "a.example").text == "root", target


def test_routing_is_per_request_on_one_connection(gateway, http_server, leaf, ca):
    make = named(http_server)
    gw = gateway({"a": edge("a.example", make("a")), "b": edge("b.example", make("b"), paths=["/b"])},
                 certs={"ab.pem": leaf("a.example", "b.example")})
    with Client(gw.ports["https"], tls=ca.client_context(), name="a.example") as client:
        assert client.request(host="a.example").text == "a"
        assert client.request("GET", "/b", "b.example").text == "b"
        assert client.request("GET", "/c", "b.example").status == 404
        assert client.request(host="a.example").text == "a"
        assert client.request(host="unknown.example").status == 421


def test_421_for_other_client_certificate_rules(gateway, http_server, leaf, ca):
    make = named(http_server)
    gw = gateway({"open": edge("open.example", make("open")),
                  "closed": edge("closed.example", make("closed"), client_certificates={"ca": "clients.pem"})},
                 certs={"both.pem": leaf("open.example", "closed.example"), "clients.pem": open(ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="open.example") as client:
        assert client.request(host="closed.example").status == 421
        assert client.request(host="open.example").text == "open"


def test_plain_http_to_unknown_hosts_is_404(gateway, http_server, leaf):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"web.pem": leaf("web.example")})
    for listener in ("http", "https"):
        assert http(gw.ports[listener], host="other.example").status == 404
    assert gw.access(host="other.example")["end"] == "no_route"


@pytest.mark.parametrize("mode", ["edge", "reencrypt", "passthrough"])
def test_plain_http_is_redirected_to_tls(gateway, http_server, leaf, mode):
    server = http_server()
    gw = gateway({"web": service(mode, ["web.example", "*.wild.example"], server)},
                 certs={"web.pem": leaf("web.example", "*.wild.example")}, settings={"listeners": {"https": {"public_port": 8443}}})
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308)):
        reply = http(gw.ports["http"], "/p/%41?q=%20&r", "Web.Example", method=method)
        assert (reply.status, reply.get("location")) == (status, "https://web.example:8443/p/%41?q=%20&r")
    assert http(gw.ports["http"], "/", "x.wild.example:8080").get("location") == "https://x.wild.example:8443/"
    assert not server.conns


def test_public_port_443_is_not_written(gateway, http_server, leaf):
    gw = gateway({"web": edge("web.example", http_server())}, certs={"web.pem": leaf("web.example")},
                 settings={"listeners": {"https": {"public_port": 443}}})
    assert http(gw.ports["http"], "/x", "web.example").get("location") == "https://web.example/x"


def test_an_http_service_beats_the_redirect(gateway, http_server, leaf):
    make = named(http_server)
    gw = gateway({"tls": edge("web.example", make("tls")), "plain": plain("web.example", make("plain"), paths=["/plain"])},
                 certs={"web.pem": leaf("web.example")})
    assert http(gw.ports["http"], "/plain/x", "web.example").text == "plain"


def test_plain_http_serve_and_refuse(gateway, http_server, leaf, ca):
    make = named(http_server)
    gw = gateway({"serve": edge("serve.example", make("served"), plain_http="serve"),
                  "refuse": edge("refuse.example", make("refused"), plain_http="refuse")},
                 certs={"c.pem": leaf("serve.example", "refuse.example")})
    assert http(gw.ports["http"], host="serve.example").text == "served"
    assert http(gw.ports["https"], host="serve.example", tls=ca.client_context()).text == "served"
    refused = http(gw.ports["http"], host="refuse.example")
    assert refused.status in (403, 404) and not refused.get("location")
    assert http(gw.ports["https"], host="refuse.example", tls=ca.client_context()).text == "refused"


def test_plain_http_is_what_the_service_of_the_path_says(gateway, http_server, leaf):
    """Neither a shorter path that is served without TLS, nor one that is refused, speaks for a longer one."""
    make = named(http_server)
    gw = gateway({"open": edge("a.example", make("open"), plain_http="serve"), "login": edge("a.example", make("login"), paths=["/login"]),
                  "shut": edge("a.example", make("shut"), paths=["/shut"], plain_http="refuse"),
                  "root": edge("b.example", make("root")), "late": edge("b.example", make("late"), paths=["/late"], plain_http="refuse")},
                 certs={"c.pem": leaf("a.example", "b.example")}, settings={"listeners": {"https": {"public_port": 443}}})
    port = gw.ports["http"]
    assert http(port, "/", "a.example").text == "open"
    assert http(port, "/login/x", "a.example").get("location") == "https://a.example/login/x"
    assert http(port, "/shut", "a.example").status == 404
    assert http(port, "/x", "b.example").get("location") == "https://b.example/x"
    assert http(port, "/late", "b.example").status == 404


def test_percent_encoding_in_either_case(gateway, http_server):
    """RFC 3986 section 6.2.2.1: %2f and %2F are the same."""
    make = named(http_server)
    gw = gateway({"root": plain("a.example", make("root")), "coded": plain("a.example", make("coded"), paths=["/x%2fy"])})
    for target in ("/x%2Fy", "/x%2fy", "/x%2Fy/z"):
        assert http(gw.ports["http"], target, "a.example").text == "coded", target


def test_redirect_mode(gateway, leaf, ca):
    gw = gateway({
        "keep": service("redirect", "keep.example", redirect={"to": "https://www.example.tld"}),
        "drop": service("redirect", "drop.example", redirect={"to": "https://www.example.tld/new", "keep_path": False, "status": 302}),
        "path": service("redirect", "keep.example", paths=["/old"], redirect={"to": "https://other.tld/base", "status": 301}),
        "tls": service("redirect", "tls.example", listen="https", redirect={"to": "https://www.example.tld"})},
        certs={"tls.pem": leaf("tls.example")})
    port = gw.ports["http"]
    for host, target, status, location in (
            ("keep.example", "/a?b", 308, "https://www.example.tld/a?b"), ("drop.example", "/a?b", 302, "https://www.example.tld/new"),
            ("path.example", "/", 404, None), ("keep.example", "/old/x", 301, "https://other.tld/base/old/x")):
        reply = http(port, target, host)
        assert (reply.status, reply.get("location")) == (status, location), (host, target)
    assert http(gw.ports["https"], "/x", "tls.example", tls=ca.client_context()).get("location") == "https://www.example.tld/x"
    with Client(port) as client:  # a body is read away, or the answer says that the connection ends
        reply = client.request("POST", host="keep.example", body=b"x" * 1000)
        assert reply.status == 308
        if reply.get("connection") != "close":
            assert client.request(host="keep.example").status == 308


def test_a_location_cannot_be_split(gateway):
    gw = gateway({"keep": service("redirect", None, redirect={"to": "https://www.example.tld"})})
    with Client(gw.ports["http"]) as client:
        client.send(b"GET /%0d%0aX-Evil:1 HTTP/1.1\r\nHost: a.example\r\n\r\n")
        reply = client.response()
        assert reply.get("x-evil") is None and reply.get("location") == "https://www.example.tld/%0d%0aX-Evil:1"


def test_forwarded_headers(way):
    way.start()
    reply = way.request("GET", "/", "test.example:1234", headers=[
        ("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "gopher"), ("X-Real-IP", "8.8.8.8"), ("Forwarded", "for=7.7.7.7"),
        ("X-Forwarded-Host", "evil"), ("X-Forwarded-Port", "1")])
    headers = {k.lower(): v for k, v in read_json(reply)["headers"]}
    assert headers["host"] == "test.example:1234"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == ("http" if way.mode == "http" else "https")
    assert headers["x-forwarded-host"] == "test.example:1234"
    assert headers["x-forwarded-port"] == str(way.port)
    assert "forwarded" not in headers


def test_forwarded_headers_from_a_trusted_proxy(way):
    way.start(settings={"trusted_proxies": ["127.0.0.1/32", "10.0.0.0/8"]})
    reply = way.request(headers=[("X-Forwarded-For", "6.6.6.6, 203.0.113.9"), ("X-Forwarded-For", "10.1.1.1"),
                                 ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "public.example")])
    assert header(reply, "x-forwarded-proto") == "https" and header(reply, "x-forwarded-host") == "public.example"
    chain = [v.strip() for k, value in read_json(reply)["headers"] if k.lower() == "x-forwarded-for" for v in value.split(",")]
    assert chain == ["6.6.6.6", "203.0.113.9", "10.1.1.1", "127.0.0.1"]
    assert header(reply, "x-real-ip") == "203.0.113.9"
    assert way.gw.access(service="test")["client"].startswith("203.0.113.9")


def test_header_edits(way):
    way.start(lambda r: response(200, "\n".join(f"{k.lower()}={v}" for k, v in r.headers),
                                 [("Server", "x/1"), ("X-Kept", "1"), ("X-Set", "old")]),
              headers={"request": {"set": {"X-Env": "lab"}, "add": {"X-More": "2"}, "remove": ["X-Debug"]},
                       "response": {"set": {"X-Set": "new"}, "add": {"X-Kept": "2"}, "remove": ["Server"]}})
    reply = way.request(headers=[("X-Env", "mine"), ("X-Debug", "1"), ("X-More", "1")])
    seen = reply.text.split("\n")
    assert "x-env=lab" in seen and "x-env=mine" not in seen and "x-debug=1" not in seen
    assert "x-more=1" in seen and "x-more=2" in seen
    assert reply.get("server") is None and reply.all("x-set") == ["new"] and reply.all("x-kept") == ["1", "2"]


def test_access_rules(gateway, http_server, tcp_server, leaf, ca):
    web, raw = http_server(), tcp_server(echo)
    rules = {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.9/32"]}
    gw = gateway({"web": plain("web.example", web, access=rules), "tls": edge("tls.example", web, access=rules),
                  "own": passthrough("own.example", raw, access=rules), "git": service("ssh", None, raw, access=rules)},
                 certs={"tls.pem": leaf("tls.example")})
    for source, allowed in (("127.0.0.1", True), ("127.0.0.9", False), ("127.0.0.10", True)):
        assert http(gw.ports["http"], host="web.example", source=source).status == (200 if allowed else 403)
        assert http(gw.ports["https"], host="tls.example", tls=ca.client_context(), source=source).status == (200 if allowed else 403)
        with Client(gw.ports["ssh"], source=source) as client:
            try:
                got = client.send(b"SSH-2.0-x\r\n").exactly(9)
            except (AssertionError, ConnectionError):
                got = b""
            assert (got != b"") == allowed
    assert gw.access(service="web", status=403)["end"] == "denied"
    assert gw.access(service="git", end="denied")
    assert len(raw.conns) == 2


def test_reencrypt_and_edge_share_a_host_by_path(gateway, http_server, leaf, ca, server_ca):
    make = named(http_server)
    gw = gateway({"a": edge("web.example", make("edge")),
                  "b": reencrypt("web.example", make("re", tls=server_ca.leaf("web.example").server_context()), paths=["/secure"],
                                 server_tls={"ca": "servers.pem"})},
                 certs={"web.pem": leaf("web.example"), "servers.pem": open(server_ca.cert).read()})
    with Client(gw.ports["https"], tls=ca.client_context(), name="web.example") as client:
        assert client.request("GET", "/", "web.example").text == "edge"
        assert client.request("GET", "/secure/x", "web.example").text == "re"
