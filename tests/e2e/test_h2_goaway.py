"""Ends of HTTP/2 connections that cost no request: drains, refusals, servers that send their clients elsewhere; and limits."""
import threading

import pytest

from harness.client import Client
from harness.h2_client import PREFACE, FrameClient, H2Client
from harness.h2_endpoint import Setting
from harness.h2_stream import Code, StreamReset
from harness.h2_server import H2Server
from harness.h2_ways import CUT, H1Client, is_closed, together
from harness.http_server import response
from harness.metrics import metrics
from harness.server import pause, refused_port
from harness.services import edge, plain, reencrypt
from harness.wait import PATIENCE, until

HOST = "test.example"
LAST = 2 ** 31 - 1


def client_of(gw, ca, **kw):
    return H2Client(gw.ports["https"], tls=ca.client_context(alpn=["h2"]), name=HOST, **kw)


# --- draining

def test_a_drain_says_goaway_twice(gateway, h2_server, leaf, ca):
    """RFC 9113 section 6.8: first with the highest number there is, then with the last stream that is served."""
    go = threading.Event()
    server = h2_server(lambda r: response(200, b"quick") if r.target == "/quick" else go.wait(PATIENCE) and response(200, b"late" * 10_000))
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"drain_timeout": "60s"})
    with client_of(gw, ca) as client, client_of(gw, ca) as idle:
        assert client.request("GET", "/quick").body == idle.request("GET", "/quick").body == b"quick"
        running = [client.open("GET", f"/{n}") for n in range(5)]
        until(lambda: len(server.requests) == 7, "all requests at the server")
        gw.signal()
        client.endpoint.until(lambda: len(client.goaways) >= 2, "two GOAWAYs")
        assert [(last, code) for last, code, _ in client.goaways[:2]] == [(LAST, Code.NO_ERROR), (running[-1].id, Code.NO_ERROR)]
        assert idle.wait_lost() == "" and idle.goaways[-1][1] == Code.NO_ERROR, "an idle connection ends at once, in an orderly way"
        assert is_closed(gw.ports["https"])
        assert not [one for one in running if one.ended]
        late = client.open("GET", "/too-late")
        client.ping()
        go.set()
        assert [one.whole().body for one in running] == [b"late" * 10_000] * 5
        assert client.wait_lost() == ""
        assert late.headers is None and late.reset_code in (None, Code.REFUSED_STREAM), "beyond the second GOAWAY nothing is served"
    assert "/too-late" not in [r.target for r in server.requests]


def test_what_runs_is_finished_while_draining(gateway, h2_server, leaf, ca):
    go = threading.Event()
    server = h2_server(lambda r: go.wait(PATIENCE) and response(200, r.body + b"late" * 50_000), auto_body=True)
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"drain_timeout": "60s"})
    with client_of(gw, ca) as client:
        running = [client.open("GET", f"/{n}") for n in range(5)]
        upload = client.open("POST", "/up", end=False)
        until(lambda: len(server.streams) == 6, "all requests at the server")
        gw.signal()
        client.endpoint.until(lambda: len(client.goaways) >= 2, "two GOAWAYs")
        upload.send(b"u" * 100_000, end=True)
        go.set()
        assert [one.whole().body for one in running] == [b"late" * 50_000] * 5
        assert upload.whole().body == b"u" * 100_000 + b"late" * 50_000
        assert client.wait_lost() == ""
    assert gw.process.wait(PATIENCE) == 0
    assert {r["end"] for r in gw.accesses()} == {"ok"}


def test_what_is_left_after_drain_timeout_is_cut(gateway, h2_server, leaf, ca):
    go = threading.Event()
    server = h2_server(lambda r: go.wait(PATIENCE) and response(200, b"never"))
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"drain_timeout": "1s"})
    with client_of(gw, ca) as client:
        one = client.open()
        until(lambda: server.requests, "the request at the server")
        gw.signal()
        with pytest.raises(CUT):
            one.whole()
    gw.process.wait(PATIENCE)
    go.set()
    assert gw.accesses()[-1]["end"] == "drain"


def test_an_idle_connection_ends_by_keep_alive(gateway, h2_server, leaf, ca):
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2", timeouts={"keep_alive": "700ms"})}, certs={"t.pem": leaf(HOST)},
                 settings={"defaults": {"timeouts": {"keep_alive": "700ms"}}})
    with client_of(gw, ca) as client:
        assert client.request().status == 200
        assert client.wait_lost() == ""
        assert [(code) for _, code, _ in client.goaways] == [Code.NO_ERROR] * len(client.goaways) and client.goaways
        assert client.goaways[-1][0] == 1, "it names the last stream that was served"


# --- servers that refuse, and send elsewhere

def refusing(how):
    """on_head() of a server that takes nothing."""
    def refuse(request):
        if how == "refused":
            request.stream.reset(Code.REFUSED_STREAM)
        elif request.stream.id == 1:
            request.endpoint.goaway(last=0)
        return True
    return refuse


@pytest.mark.parametrize("how", ["refused", "goaway"])
@pytest.mark.parametrize("method, size", [("GET", 0), ("POST", 0), ("POST", 5000), ("PUT", 16_000), ("DELETE", 0)])
def test_what_one_server_has_not_processed_another_one_gets(gateway, h2_server, leaf, ca, how, method, size):
    """It was not processed: safe to be sent again whatever the method."""
    bad, good = h2_server(on_head=refusing(how)), h2_server(lambda r: response(200, r.body))
    gw = gateway({"test": edge(HOST, bad, good, server_protocol="h2", health="off")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with client_of(gw, ca) as client:
        for _ in range(6):
            reply = client.request(method, "/x", body=b"b" * size)
            assert (reply.status, reply.body) == (200, b"b" * size)
        assert together(10, lambda n: client.request(method, "/x", body=b"b" * size).status) == [200] * 10
    assert len(good.requests) == 16 and bad.streams
    assert not [r for r in gw.accesses() if r["status"] != 200]
    assert metrics(gw)['sallyport_service_retries_total{service="test"}'] >= 1


@pytest.mark.parametrize("code", [Code.CANCEL, Code.INTERNAL_ERROR, Code.PROTOCOL_ERROR, Code.ENHANCE_YOUR_CALM])
def test_what_a_server_may_have_processed_is_not_sent_twice(gateway, h2_server, leaf, ca, code):
    def reset(request):
        request.stream.reset(code)
        return True
    one, two = h2_server(on_head=reset), h2_server(on_head=reset)
    gw = gateway({"test": edge(HOST, one, two, server_protocol="h2", health="off")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        reply = client.request("POST", "/once", body=b"money")
        assert reply.status == 502 and "html" in reply.get("content-type")
    assert len(one.streams) + len(two.streams) == 1


@pytest.mark.parametrize("how", ["refused", "goaway"])
def test_servers_that_all_refuse_are_a_clean_error(gateway, h2_server, leaf, ca, how):
    one, two = h2_server(on_head=refusing(how)), h2_server(on_head=refusing(how))
    gw = gateway({"test": edge(HOST, one, two, server_protocol="h2", health="off")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        for method in ("GET", "POST"):
            assert client.request(method, body=b"x" if method == "POST" else b"").status in (502, 503)
    assert len(one.streams) + len(two.streams) < 30, "it does not go round and round"


def test_a_large_body_is_not_kept_for_a_second_try(gateway, h2_server, leaf, ca):
    """The stream is refused when a megabyte has been sent: too late, and the client hears of it."""
    def refuse(request):
        threading.Thread(target=lambda: (request.stream.exactly(1 << 20), request.stream.reset(Code.REFUSED_STREAM)), daemon=True).start()
        return True
    bad, good = h2_server(on_head=refuse), h2_server()
    gw = gateway({"test": edge(HOST, bad, good, server_protocol="h2", health="off")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with client_of(gw, ca) as client:
        seen = set()
        for _ in range(4):
            one = client.open("POST", "/x", headers=[("content-length", str(4 << 20))], end=False)
            try:
                one.send(bytes(4 << 20), end=True)
            except ConnectionError:
                pass
            try:
                seen.add(one.whole().status)
            except CUT:
                seen.add("cut")
        assert seen <= {200, 502, 503, "cut"} and 200 in seen and len(seen) > 1
    assert not [r for r in good.requests if len(r.body) != 4 << 20], "never half a body"


def test_a_server_that_says_goaway_loses_nothing(gateway, h2_server, leaf, ca):
    """Its running streams are finished on the old connection; new requests make a new one."""
    go = threading.Event()

    def answer(request):
        if request.target == "/running":
            assert go.wait(PATIENCE)
            return response(200, b"finished")
        return response(200, b"next")
    server = h2_server(answer)
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with client_of(gw, ca) as client:
        one = client.open("GET", "/running")
        until(lambda: server.requests, "the request at the server")
        server.endpoint(0).goaway(last=LAST)
        server.endpoint(0).ping()
        for _ in range(5):
            assert client.request("GET", "/next").body == b"next"
        assert len(server.endpoints) == 2
        server.endpoint(0).goaway()
        go.set()
        assert one.whole().body == b"finished"
    until(lambda: server.endpoint(0).lost is not None, "the old connection is given up")


def test_a_server_that_restarts_under_load_costs_no_get(gateway, h2_server, leaf, ca):
    """Each of its connections lives for ten streams."""
    def head(request):
        if request.stream.id > 19:
            return True  # left out by the GOAWAY
        if request.stream.id == 19:
            request.endpoint.goaway(last=19)
        return False
    server = h2_server(lambda r: response(200, b"ok"), on_head=head)
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as one, client_of(gw, ca) as two:
        def work(n):
            return [(one, two)[n % 2].request("POST" if k % 2 else "GET", f"/{n}", body=b"x" * (k % 2)).status for k in range(10)]
        assert {status for statuses in together(20, work) for status in statuses} == {200}
    assert len(server.requests) == 200 and len(server.endpoints) >= 20


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("warm", [False, True], ids=["unknown", "known"])
def test_the_servers_limit_of_streams_is_kept(gateway, h2_server, leaf, ca, most, warm):
    """More requests than it takes at once: others wait, or are refused and tried again, and none fails."""
    lock, now, high = threading.Lock(), {}, {}

    def answer(request):
        key = id(request.endpoint)
        with lock:
            now[key] = now.get(key, 0) + 1
            high[key] = max(high.get(key, 0), now[key])
        threading.Event().wait(0.01)
        with lock:
            now[key] -= 1
        return response(200, b"ok")
    server = h2_server(answer, settings={Setting.MAX_CONCURRENT_STREAMS: most})
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with client_of(gw, ca) as client:
        if warm:
            assert client.request().status == 200
        assert together(40, lambda n: client.request().status) == [200] * 40
    assert max(high.values()) <= most


def test_a_server_connection_that_dies_idle_is_not_noticed(gateway, h2_server, leaf, ca):
    server = h2_server(lambda r: response(200, b"ok"))
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with client_of(gw, ca) as client:
        for how in (False, True):
            assert client.request().body == b"ok"
            server.endpoints[-1].close(reset=how)
            assert client.request().body == b"ok"


# --- what a listener says and keeps to

def limited(gateway, h2_server, leaf, answer=None, **http2):
    server = h2_server(answer) if answer else h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)}, listeners={"https": {"http2": http2}})
    return gw, server


def test_more_streams_than_the_listener_takes(gateway, h2_server, leaf, ca):
    go = threading.Event()
    gw, server = limited(gateway, h2_server, leaf, lambda r: go.wait(PATIENCE) and response(200, b"ok"), max_concurrent_streams=5)
    with client_of(gw, ca) as client:
        assert client.setting(Setting.MAX_CONCURRENT_STREAMS) == 5
        client.endpoint.h2.remote_settings[Setting.MAX_CONCURRENT_STREAMS] = 100  # this client does not mind
        client.endpoint.h2.remote_settings.acknowledge()
        streams = [client.open("GET", f"/{n}") for n in range(8)]
        assert [one.wait_reset() for one in streams[5:]] == [Code.REFUSED_STREAM] * 3
        go.set()
        assert [one.whole().body for one in streams[:5]] == [b"ok"] * 5
        assert client.request().body == b"ok" and not client.goaways
    assert sorted(r.target for r in server.requests)[:6] == ["/", "/0", "/1", "/2", "/3", "/4"]


def test_the_settings_say_what_is_configured(gateway, h2_server, leaf, ca):
    gw, _ = limited(gateway, h2_server, leaf, max_concurrent_streams=7, max_header_list="8KiB", stream_window="32KiB", connection_window="256KiB")
    with client_of(gw, ca) as client:
        assert [client.setting(s) for s in (Setting.MAX_CONCURRENT_STREAMS, Setting.MAX_HEADER_LIST_SIZE, Setting.INITIAL_WINDOW_SIZE)] == [7, 8192, 32768]
        client.ping()
        assert client.endpoint.h2.outbound_flow_control_window == 256 * 1024


@pytest.mark.parametrize("what", ["bytes", "count"])
def test_too_many_fields_are_a_431(gateway, h2_server, leaf, ca, what):
    gw, server = limited(gateway, h2_server, leaf, max_header_list="8KiB", max_headers=50)
    fields = [("x-big", "a" * 9000)] if what == "bytes" else [(f"x-{n}", "1") for n in range(60)]
    with client_of(gw, ca) as client:
        assert client.request(headers=fields).status == 431
        assert client.request(headers=[("x-big", "a" * 7000)]).status == 200, "the connection goes on"
    assert len(server.requests) == 1


def test_http2_off(gateway, h2_server, leaf, ca):
    server = h2_server(lambda r: response(200, b"ok"))
    gw = gateway({"test": edge(HOST, server, server_protocol="h2"), "plain": plain("plain.example", server, server_protocol="h2")},
                 certs={"t.pem": leaf(HOST)}, listeners={"https": {"http2": "off"}, "http": {"http2": "off"}})
    with Client(gw.ports["https"], tls=ca.client_context(alpn=["h2", "http/1.1"]), name=HOST) as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1" and client.request().body == b"ok"
    with FrameClient(gw.ports["http"]) as client:
        client.send(client.request(host="plain.example")[1])
        assert [f.error_code for f in client.until_end()] == [Code.HTTP_1_1_REQUIRED]


def test_the_preface_on_a_tls_port_and_half_a_preface(gateway, h2_server, leaf):
    """HTTP/2 in clear on the https listener gets what plain HTTP gets there; half a preface is no harm."""
    server = h2_server()
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with H2Client(gw.ports["https"]) as client:
        assert client.request().status in (301, 400, 404, 421)
    with Client(gw.ports["http"]) as client:
        client.send(PREFACE[:10])
    with H1Client(gw.ports["http"]) as client:
        assert client.request().status == 301
    assert not server.requests


# --- counts

def test_metrics_are_right_to_the_unit(gateway, h2_server, leaf, ca):
    """Streams are requests; a connection is one session, however many there were on it."""
    server = h2_server(lambda r: response(int(r.target[1:]), b"12345"))
    gw = gateway({"test": edge(HOST, server, server_protocol="h2"), "plain": plain("plain.example", server, server_protocol="h2")},
                 certs={"t.pem": leaf(HOST)})
    for _ in range(3):
        with client_of(gw, ca) as client:
            streams = [client.open("GET", f"/{status}") for status in (200, 201, 301, 404, 500) * 4]
            assert [one.whole().status for one in streams] == [200, 201, 301, 404, 500] * 4
            assert client.request("POST", "/200", body=b"x" * 1000).status == 200
            assert client.request("GET", "/200", "nowhere.example").status == 421
    with H2Client(gw.ports["http"]) as client:
        assert client.request("GET", "/200", "plain.example").status == 200
    until(lambda: metrics(gw)["sallyport_sessions"] == 0, "every session is over")
    seen, lines = metrics(gw), gw.accesses()
    assert (seen["sallyport_connections_total"], seen["sallyport_requests_total"], len(lines)) == (4, 67, 67)
    assert [seen[f'sallyport_responses_total{{class="{c}xx"}}'] for c in (2, 3, 4, 5)] == [28, 12, 15, 12]
    assert (seen['sallyport_sniffed_total{protocol="tls"}'], seen['sallyport_sniffed_total{protocol="h2"}']) == (3, 1)
    assert seen['sallyport_tls_handshakes_total{version="1.3"}'] == 3
    assert sum(line["bytes_in"] for line in lines) == seen["sallyport_received_bytes_total"] == 3000
    assert sum(line["bytes_out"] for line in lines) == seen["sallyport_sent_bytes_total"]
    assert not [name for name, value in seen.items() if "rejected" in name and value and "no_route" not in name]


# --- what servers agree on

def test_protocol_h2_and_a_server_that_has_none(gateway, http_server, leaf, ca, server_ca):
    server = http_server(tls=server_ca.leaf(HOST).server_context(alpn=["http/1.1"]))
    gw = gateway({"test": reencrypt(HOST, server, server_tls={"ca": "servers.pem", "protocol": "h2"})},
                 certs={"t.pem": leaf(HOST), "servers.pem": open(server_ca.cert).read()})
    with client_of(gw, ca) as client:
        assert client.request().status == 502
    assert "HTTP/2" in str(gw.access(service="test").get("reason", "")), "the log says why"


@pytest.mark.parametrize("protocol, spoken", [("auto", "h2"), ("h2", "h2"), ("http/1.1", "http/1.1")])
def test_what_is_spoken_with_a_server_that_can_both(gateway, h2_server, leaf, ca, server_ca, protocol, spoken):
    server = h2_server(lambda r: response(200, r.version), tls=server_ca.leaf(HOST).server_context(alpn=["h2", "http/1.1"]))
    gw = gateway({"test": reencrypt(HOST, server, server_tls={"ca": "servers.pem", "protocol": protocol})},
                 certs={"t.pem": leaf(HOST), "servers.pem": open(server_ca.cert).read()})
    with client_of(gw, ca) as client:
        assert client.request().text == {"h2": "HTTP/2", "http/1.1": "HTTP/1.1"}[spoken]
    assert set(server.protocols) == {spoken}


def test_a_server_that_talks_http11_where_h2_is_configured(gateway, http_server, leaf, ca):
    server = http_server()
    server.handler = lambda conn: conn.exactly(24) and conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        assert client.request().status == 502
    assert gw.access(service="test")["end"] in ("server_error", "server_closed", "server_cut")


def test_a_server_that_is_down(gateway, leaf, ca):
    gw = gateway({"test": edge(HOST, f"127.0.0.1:{refused_port()}", server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        assert together(20, lambda n: client.request().status) in ([502] * 20, [503] * 20)


def test_proxy_protocol_towards_an_h2_server(gateway, h2_server, leaf, ca):
    """Each client has connections of its own then: the header speaks for one."""
    server = h2_server(lambda r: response(200, str(r.endpoint.conn.proxy[2])), proxy=True)
    gw = gateway({"test": edge(HOST, server, server_protocol="h2", proxy_protocol="v2")}, certs={"t.pem": leaf(HOST)}, settings={"workers": 1})
    with client_of(gw, ca) as one, client_of(gw, ca) as two:
        ports = [client.endpoint.raw.getsockname()[1] for client in (one, two)]
        for _ in range(3):
            assert [client.request().text for client in (one, two)] == [str(p) for p in ports]


def test_ntlm_needs_http11(gateway, h2_server, leaf, ca, http_server):
    """A login of a connection cannot be had on one that is shared: the client is sent to HTTP/1.1."""
    server = http_server(lambda r: response(401, b"", [("WWW-Authenticate", "NTLM")]))
    gw = gateway({"test": edge(HOST, server)}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        try:
            client.request()
            raise AssertionError("an answer that this client cannot use")
        except StreamReset as error:
            assert error.code == Code.HTTP_1_1_REQUIRED


def test_an_answer_that_waits_for_the_servers_settings(gateway, http_server, leaf, ca):
    """A server that sends its SETTINGS late is not given up: requests go out behind the preface, or wait."""
    go = threading.Event()

    def handler(conn):
        pause(go)
        H2Server.handler(server2, conn)
    server2 = H2Server(lambda r: response(200, b"late"))
    server = http_server()
    server.handler = handler
    gw = gateway({"test": edge(HOST, server, server_protocol="h2")}, certs={"t.pem": leaf(HOST)})
    with client_of(gw, ca) as client:
        one = client.open()
        until(lambda: server.conns, "the gateway's connection")
        go.set()
        assert one.whole().body == b"late"
    server2.stop()
