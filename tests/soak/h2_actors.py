"""Who is at the gateway over HTTP/2: as in actors.py, which calls them too."""
import os
import random
import socket
import time

from actors import behaved, piece, rude
from harness import hello, websocket
from harness.client import Client
from harness.h2_client import PREFACE, FrameClient
from harness.h2_endpoint import frame
from harness.h2_sockets import FIELDS, leave
from harness.h2_stream import Code, StreamReset

# Edge and reencrypt before HTTP/1.1 and HTTP/2 servers, on connections that one certificate covers; and without TLS.
SECURE = ("two.example", "two-h2.example", "two-re.example")
PLAIN = ("plain-two.example", "plain-two-h2.example")
RUDE = ("rude.example", "rude-h2.example")


def family():
    return random.choice((SECURE, PLAIN))


@behaved
def streams_side_by_side(stage):
    """Requests with and without bodies, to several services, all at once on one connection."""
    hosts, done = family(), 0
    with stage.h2(hosts[0]) as client:
        for _ in range(random.randint(1, 3)):
            asked = []
            for n in range(random.randint(1, 25)):
                host = random.choice(hosts)
                if n % 2:
                    asked.append((client.open("GET", f"/{n}", host, [("priority", f"u={n % 8}")]), f"/{n}".encode()))
                    continue
                body = piece(30_000)
                headers = [("content-length", str(len(body)))] if n % 3 else []
                asked.append((client.open("POST", "/echo", host, headers, end=not body), body))
            halves = [(stream, body[:len(body) // 2], body[len(body) // 2:]) for stream, body in asked if not stream.sent_end]
            for stream, first, _ in halves:
                stream.send(first)
            for stream, _, second in halves:
                stream.send(second, end=True)
            for stream, wanted in random.sample(asked, len(asked)):
                reply = stream.whole()
                assert (reply.status, len(reply.body)) == (200, len(wanted)), (reply, wanted[:20])
                assert reply.body == wanted, "another stream's body came back"
                client.endpoint.streams.pop(stream.id)
            done += len(asked)
    return done


@behaved
def calls_of_grpc(stage):
    """Streams that go both ways for a while, and end with trailers."""
    count = random.randint(1, 8)
    with stage.h2("calls.example") as client:
        calls = [client.open("POST", "/chat", "calls.example", [("content-type", "application/grpc"), ("te", "trailers")], end=False)
                 for _ in range(count)]
        for call in calls:
            assert call.answer().status == 200 and call.exactly(5) == b"hello"
        for _ in range(random.randint(1, 10)):
            for call in random.sample(calls, random.randint(1, count)):
                data = piece(20_000)
                call.send(data)
                assert call.exactly(len(data)) == data
        for call in calls:
            call.send(b"", end=True)
        for call in calls:
            assert call.rest() == b"" and list(call.trailers) == [("grpc-status", "0")], call.trailers
    return count


@behaved
def h2_web_sockets(stage):
    """Over either version, to servers of either version, beside requests."""
    host = random.choice(("ws.example", "ws-h2.example", "ws-re.example"))
    if random.random() < 0.3:
        with stage.client(host) as client:
            reply = websocket.upgrade(client, host=host)
            assert reply.status == 101, (host, reply)
            talk(client)
        return 1
    with stage.h2(host) as client:
        sockets = [client.connect(host=host, headers=FIELDS) for _ in range(random.randint(1, 4))]
        for one in sockets:
            assert one.answer().status == 200, (host, one.answer())
            talk(one)
            assert one.rest() == b"", host
            leave(one)
    return len(sockets)


def talk(one):
    for _ in range(random.randint(1, 10)):
        data = piece(60_000)
        one.send(websocket.frame(data, True))
        assert websocket.read_frame(one) == (2, data)
    one.send(websocket.frame(b"\x03\xe8", True, 8))
    assert websocket.read_frame(one)[0] == 8


@behaved
def h2_bulk(stage):
    """An upload, a download and a stream that is not read for a while; small requests get through beside them."""
    hosts, size = family(), random.randint(1, 4) << 20
    with stage.h2(hosts[0], connection_window=1 << 22) as client:
        held = client.open("GET", "/source/1000000", random.choice(hosts), hold=True)
        upload = client.open("PUT", "/sink", random.choice(hosts), [("content-length", str(size))], end=False)
        download = client.open("GET", f"/source/{size}", random.choice(hosts))
        for at in range(0, size, 1 << 18):
            upload.send(bytes(1 << 18), end=at + (1 << 18) == size)
            small = client.request("GET", "/small", random.choice(hosts))
            assert small.body == b"/small"
        assert upload.whole().body == str(size).encode()
        assert len(download.whole().body) == size
        held.hold = False
        held.give_back(0)
        assert len(held.whole().body) == 1_000_000
    time.sleep(0.5)
    return 3 + (size >> 18)


@behaved
def h2_balanced(stage):
    """Servers that share their connections: one comes and goes between requests, and no GET fails."""
    with stage.flapping_h2:
        with stage.h2("flap-h2.example") as client:
            for streams in [[client.open("GET", f"/{n}", "flap-h2.example") for n in range(5)] for _ in range(2)]:
                replies = [stream.whole() for stream in streams]
                assert [(r.status, r.body) for r in replies] == [(200, b"/%d" % n) for n in range(5)], replies
    return 10


# What is rude, again.

@rude
def resets_streams(stage):
    """Before, in and after everything, far too often at times."""
    host, count = random.choice(RUDE), 0
    with stage.h2(host) as client:
        for _ in range(random.choice((20, 50, 700))):
            kind = random.randrange(4)
            stream = client.open("POST" if kind == 1 else "GET", ("/x", "/echo", "/source/3000000", "/x")[kind], host, end=kind != 1)
            count += 1
            if kind == 1:
                stream.send(bytes(3000))
            elif kind == 2:
                stream.exactly(1000)
            stream.reset(random.choice((Code.CANCEL, Code.NO_ERROR, Code.INTERNAL_ERROR, Code.REFUSED_STREAM)))
            client.endpoint.streams.pop(stream.id)
    return count


@rude
def h2_leaves_early(stage):
    """Gone with streams of every kind under way; by FIN or RST."""
    client = stage.h2(random.choice(RUDE), window=random.choice((0, 1000, 65535)))
    try:
        streams = [client.open("GET", "/source/2000000", random.choice(RUDE), hold=True) for _ in range(random.randint(1, 20))]
        streams.append(client.open("POST", "/echo", random.choice(RUDE), end=False))
        streams.append(client.connect(host=random.choice(RUDE), headers=FIELDS))
        if random.random() < 0.7:
            random.choice(streams).answer()
    finally:
        client.endpoint.close(reset=random.random() < 0.7)
    return len(streams)


@rude
def h2_mourners(stage):
    """Streams to an HTTP/2 server that dies in the middle of them."""
    with stage.h2("dying-h2.example") as client:
        for _ in range(5):
            streams = [client.open("GET", random.choice(("/x", "/source/2000000")), "dying-h2.example") for _ in range(4)]
            for stream in streams:
                try:
                    assert stream.answer().status in (200, 502, 503, 504)
                    stream.rest()
                except StreamReset:
                    pass
                client.endpoint.streams.pop(stream.id)
    return 20


@rude
def frames_of_no_sense(stage):
    """Behind a good preface, within a good request or not."""
    secure = random.random() < 0.5
    with FrameClient(stage.ports["https" if secure else "http"], tls=stage.trust_h2 if secure else None, name="rude.example",
                     timeout=1) as client:
        host = "rude.example" if secure else "plain-rude.example"
        sent = [client.request(host=host)[1]]
        for _ in range(random.randint(1, 30)):
            kind = random.randrange(5)
            if kind == 0:
                sent.append(client.request(host=host, flags=random.randrange(256))[1])
            elif kind == 1:
                sent.append(frame(random.randrange(12), random.randrange(256), random.randrange(10), os.urandom(random.randrange(60))))
            elif kind == 2:
                sent.append(frame(6, 0, 0, bytes(8)) * random.choice((1, 3000)))
            elif kind == 3:
                sent.append(frame(8, 0, random.choice((0, 1)), os.urandom(4)))
            else:
                sent.append(frame(4, 0, 0, b"".join(bytes([0, random.randrange(10)]) + os.urandom(4) for _ in range(random.randrange(40)))))
        client.send(b"".join(sent))
        client.until_end(1)
    return 1


@rude
def prefaces_in_pieces(stage):
    wire = PREFACE + frame(4, 0, 0)
    with Client(stage.ports["http"], timeout=1) as client:
        at = random.randrange(1, len(wire))
        client.send(wire[:at])
        time.sleep(random.uniform(0, 0.3))
        client.send(wire[at:] if random.random() < 0.7 else hello.real("rude.example"))
        client.sock.recv(1000)
    return 1


@rude
def never_reads(stage):
    """Many streams for a client that takes nothing from its socket."""
    client = stage.h2("rude-h2.example", receive_buffer=4096, window=1 << 20, connection_window=1 << 24)
    try:
        client.setting(1)
        client.endpoint.pause()
        for _ in range(30):
            client.open("GET", "/source/1000000", random.choice(RUDE))
        time.sleep(random.uniform(0.2, 2))
    except socket.timeout:
        pass
    finally:
        client.reset()
    return 30
