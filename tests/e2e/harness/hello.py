"""TLS ClientHello messages: real ones, built ones, and ways to cut them over records and segments (RFC 8446 section 4.1.2)."""
import os
import ssl
import struct


def real(name, context=None, alpn=None):
    """What OpenSSL sends for this name, as bytes on the wire."""
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def handshake_bytes(wire):
    """The handshake message inside the records."""
    out, at = b"", 0
    while at < len(wire):
        kind, _, size = struct.unpack_from("!BHH", wire, at)
        assert kind == 22, f"record of type {kind}"
        out += wire[at + 5:at + 5 + size]
        at += 5 + size
    return out


def records(message, sizes):
    """The message over records of these sizes; the last one takes the rest, cut at the 16 KiB limit."""
    out, at, sizes = [], 0, list(sizes)
    while at < len(message):
        size = sizes.pop(0) if sizes else min(16384, len(message) - at)
        piece = message[at:at + size]
        out.append(struct.pack("!BHH", 22, 0x0301, len(piece)) + piece)
        at += len(piece)
    return out


# Cutters: wire bytes of a hello -> pieces to send, one send() each.

def whole(wire):
    return [wire]


def bytewise(wire):
    return [wire[at:at + 1] for at in range(len(wire))]


def five_records(wire):
    message = handshake_bytes(wire)
    step = max(1, len(message) // 5)
    return records(message, [step] * 4)


def five_records_one_segment(wire):
    return [b"".join(five_records(wire))]


def tiny_records(wire):
    """One byte of the message a record, at first: the handshake header itself is cut."""
    return [b"".join(records(handshake_bytes(wire), [1] * 48))]


def big_alpn(last="http/1.1", size=16 * 1024):
    """ALPN names that make OpenSSL's own hello at least this long, so that a whole handshake can follow it."""
    return [f"x{n:03}".ljust(250, "-") for n in range(size // 251 + 1)] + [last]


def _vector(data, width):
    return len(data).to_bytes(width, "big") + data


def _extension(kind, data):
    return struct.pack("!H", kind) + _vector(data, 2)


def server_name(name):
    return _extension(0, _vector(b"\0" + _vector(name.encode(), 2), 2))


def build(name=None, key_share=0, padding=0, versions=(0x0303,), extra=b"", ciphers=(0xC02B, 0xC02F, 0xC02C, 0xC030)):
    """A TLS 1.2 hello from scratch, complete enough for a server to answer with its certificate in the clear.

    key_share: bytes in a share of a group no one knows, as a post-quantum client would send.
    """
    extensions = server_name(name) if name is not None else b""
    extensions += _extension(10, _vector(struct.pack("!HH", 0x001D, 0x0017), 2))
    extensions += _extension(11, _vector(b"\0", 1))
    extensions += _extension(13, _vector(struct.pack("!HHHH", 0x0403, 0x0804, 0x0401, 0x0503), 2))
    if key_share:
        extensions += _extension(51, _vector(struct.pack("!H", 0xFE33) + _vector(os.urandom(key_share), 2), 2))
    extensions += _extension(43, _vector(b"".join(struct.pack("!H", v) for v in versions), 1))
    extensions += extra
    if padding:
        extensions += _extension(21, bytes(padding))
    body = b"\x03\x03" + os.urandom(32) + _vector(os.urandom(32), 1)
    body += _vector(b"".join(struct.pack("!H", c) for c in ciphers), 2) + b"\x01\x00" + _vector(extensions, 2)
    message = b"\x01" + _vector(body, 3)
    return b"".join(records(message, []))


def read_alert(data):
    """(level, description) of an alert record at the front of data, else None."""
    if len(data) >= 7 and data[0] == 21 and data[3:5] == b"\0\2":
        return data[5], data[6]
    return None
