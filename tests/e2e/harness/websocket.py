"""A WebSocket client and server small enough to read (RFC 6455), over the harness's raw streams."""
import base64
import hashlib
import os
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def frame(data, masked, opcode=2):
    head = bytes([0x80 | opcode])
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += struct.pack("!BH", bit | 126, len(data))
    else:
        head += struct.pack("!BQ", bit | 127, len(data))
    return head + (bytes(4) if masked else b"") + data  # the mask 0 is a mask


def read_frame(stream):
    first, second = stream.exactly(2)
    size = second & 127
    if size == 126:
        size = struct.unpack("!H", stream.exactly(2))[0]
    elif size == 127:
        size = struct.unpack("!Q", stream.exactly(8))[0]
    mask = stream.exactly(4) if second & 128 else bytes(4)
    data = stream.exactly(size)
    if mask != bytes(4):
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
    return first & 15, data


def upgrade(client, target="/ws", host="test.example", headers=()):
    """Sends the handshake; returns the response."""
    key = base64.b64encode(os.urandom(16)).decode()
    reply = client.request("GET", target, host, [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", key),
                                                 ("Sec-WebSocket-Version", "13"), *headers])
    if reply.status == 101:
        assert reply.get("sec-websocket-accept") == accept_key(key)
        assert reply.get("upgrade").lower() == "websocket" and "upgrade" in reply.get("connection").lower()
    return reply


def serve(request):
    """For HttpServer: answers the handshake and echoes frames until close."""
    conn = request.conn
    conn.send(("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
               + accept_key(request.get("sec-websocket-key")) + "\r\n\r\n").encode())
    while True:
        opcode, data = read_frame(conn)
        conn.send(frame(data, False, opcode))
        if opcode == 8:
            return None
