"""One gateway, three ports, everything at once."""
import os
import threading

from harness import hello, websocket
from harness.client import Client, MemoryTls, Stream, http
from harness.http_server import response
from harness.real import Nginx, curl
from harness.server import echo
from harness.services import edge, passthrough, plain, reencrypt, service, ssh
from harness.sshd import Sshd
from test_ssh import clone_change_push


def test_everything_at_once(gateway, http_server, tcp_server, leaf, ca, server_ca, tmp_path):
    nginx, sshd = Nginx(server_ca.leaf("re.example")), Sshd()
    nginx.file("file", os.urandom(1 << 20))
    own = server_ca.leaf("own.example")
    behind = tcp_server(echo, tls=own.server_context())
    sockets = http_server(lambda r: websocket.serve(r) if r.get("upgrade") else response(200, b"console"))
    gw = gateway({
        "edge": edge("edge.example", nginx), "re": reencrypt("re.example", nginx.tls_address, server_tls={"ca": "s.pem"}),
        "own": passthrough("own.example", behind), "ws": edge("ws.example", sockets), "git": ssh(sshd),
        "move": service("redirect", "move.example", redirect={"to": "https://edge.example"}), "plain": plain("plain.example", sockets)},
        certs={"c.pem": leaf("edge.example", "re.example", "ws.example"), "s.pem": open(server_ca.cert).read()})
    https, failures = gw.ports["https"], []
    base = ["--http1.1", "-f", "--cacert", ca.cert, "-o", "/dev/null", "-w", "%{http_code}%{size_download} "]

    def run(part):
        try:
            part()
        except BaseException as error:
            failures.append((part.__name__, repr(error)))

    def with_curl():
        for name in ("edge", "re"):
            urls = [f"https://{name}.example:{https}/file"] * 20
            out = curl(*base, "--resolve", f"{name}.example:{https}:127.0.0.1", *[w for u in urls for w in ("-o", "/dev/null", u)][2:])
            assert out.split() == [f"200{1 << 20}"] * 20, out

    def redirected():
        for _ in range(50):
            assert http(gw.ports["http"], "/x", "edge.example").status == 301
            assert http(gw.ports["http"], "/x", "move.example").get("location") == "https://edge.example/x"

    def passed_through():
        for cutter in (hello.bytewise, hello.five_records, hello.whole) * 5:
            tls = MemoryTls(https, server_ca.client_context(), "own.example", cutter, timeout=60)
            assert tls.tls.getpeercert(binary_form=True) == own.der
            tls.sendall(b"ping")
            assert Stream(tls).exactly(4) == b"ping"
            assert tls.sent_hello in [conn.hello for conn in behind.conns]
            tls.close()

    def cloned():
        clone_change_push(sshd, gw.ports["ssh"], tmp_path)

    def echoed():
        with Client(https, tls=ca.client_context(), name="ws.example", timeout=60) as client:
            assert websocket.upgrade(client, host="ws.example").status == 101
            block = os.urandom(1 << 20)
            for _ in range(64):
                client.send(websocket.frame(block, True))
                assert websocket.read_frame(client) == (2, block)

    def rude():
        for n in range(100):
            client = Client((https, gw.ports["http"])[n % 2])
            client.send((b"\x16\x03\x01\x02", b"GET / HT", b"\x00\xff", b"")[n % 4])
            client.reset() if n % 3 else client.close()

    threads = [threading.Thread(target=run, args=(part,)) for part in (with_curl, redirected, passed_through, cloned, echoed, rude)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    nginx.stop()
    sshd.stop()
    assert not failures, failures
    gw.wait_idle(slack=8)
