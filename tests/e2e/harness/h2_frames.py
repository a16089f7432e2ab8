"""HTTP/2 as bytes: frames and field blocks, right or wrong (RFC 9113 sections 4 and 6, RFC 7541 sections 5 and 6).

Nothing here checks what it builds. Field blocks are made of literals that touch no table, unless asked otherwise, so a whole
exchange can stand in a table as one byte string.
"""
import enum
import struct

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

HOST = "test.example"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_WINDOW = 2 ** 31 - 1

# frame types
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
UNKNOWN = 0x2f
# flags
END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
WITH_PRIORITY = 0x20
WHOLE = END_STREAM | END_HEADERS
# settings
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8   # RFC 8441
NO_RFC7540_PRIORITIES = 9     # RFC 9218


class Code(enum.IntEnum):
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


def name_of(code):
    return Code(code).name if code in list(Code) else f"{code:#x}"


# ---- HPACK

INDEXED, PLAIN, NEVER = (0x40, 6), (0x00, 4), (0x10, 4)  # the three literals: first octet, bits of the index
huffman_code = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode


def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin1")


def integer(value, bits, first=0):
    """RFC 7541 section 5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes([value])


def string(text, huffman=False):
    data = octets(text)
    if huffman:
        data = huffman_code(data)
    return integer(len(data), 7, 0x80 if huffman else 0) + data


def indexed(index):
    return integer(index, 7, 0x80)


def literal(name, value, how=PLAIN, huffman=False):
    """name: text, or the index of an entry that has it."""
    first, bits = how
    head = integer(name, bits, first) if isinstance(name, int) else bytes([first]) + string(name, huffman)
    return head + string(value, huffman)


def table_size(size):
    """The instruction that changes the dynamic table's size."""
    return integer(size, 5, 0x20)


def block(fields, how=PLAIN, huffman=False):
    """A field block. Items that are bytes already go in as they are."""
    return b"".join(f if isinstance(f, bytes) else literal(f[0], f[1], how, huffman) for f in fields)


def request(path="/", method="GET", scheme="https", authority=HOST, extra=(), **other):
    """The fields of a request; None leaves a pseudo-header field out. extra: after them."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    pseudo += [(":" + name, value) for name, value in other.items()]
    return [(name, value) for name, value in pseudo if value is not None] + list(extra)


# ---- frames

def frame(kind, flags=0, stream=0, payload=b"", length=None, reserved=False):
    """length: what the header claims, where that is not the payload's."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream | (reserved << 31)) + payload


def _padded(payload, flags, pad):
    return (payload, flags) if pad is None else (bytes([pad]) + payload + bytes(pad), flags | PADDED)


def data(stream, payload=b"", flags=END_STREAM, pad=None, **kw):
    payload, flags = _padded(octets(payload), flags, pad)
    return frame(DATA, flags, stream, payload, **kw)


def headers(stream, fields=None, flags=WHOLE, pad=None, priority=None, **kw):
    """fields: a list, or a block made before; without: a GET. priority: (exclusive, dependency, weight)."""
    payload = fields if isinstance(fields, bytes) else block(request() if fields is None else fields)
    if priority:
        payload, flags = dependency(*priority) + payload, flags | WITH_PRIORITY
    payload, flags = _padded(payload, flags, pad)
    return frame(HEADERS, flags, stream, payload, **kw)


def continuation(stream, payload=b"", flags=END_HEADERS, **kw):
    payload = payload if isinstance(payload, bytes) else block(payload)
    return frame(CONTINUATION, flags, stream, payload, **kw)


def dependency(exclusive=False, on=0, weight=15):
    return struct.pack("!IB", on | (int(exclusive) << 31), weight)


def priority(stream, on=0, weight=15, exclusive=False, **kw):
    return frame(PRIORITY, kw.pop("flags", 0), stream, dependency(exclusive, on, weight), **kw)


def rst(stream, code=Code.CANCEL, **kw):
    return frame(RST_STREAM, kw.pop("flags", 0), stream, struct.pack("!I", code), **kw)


def settings(*values, flags=0, stream=0, **kw):
    """values: pairs of identifier and value."""
    return frame(SETTINGS, flags, stream, b"".join(struct.pack("!HI", *pair) for pair in values), **kw)


SETTINGS_ACK = frame(SETTINGS, ACK)


def push_promise(stream, promised, fields=None, flags=END_HEADERS, **kw):
    return frame(PUSH_PROMISE, flags, stream, struct.pack("!I", promised) + block(fields or request()), **kw)


def ping(payload=b"8 octets", flags=0, stream=0, **kw):
    return frame(PING, flags, stream, payload, **kw)


def goaway(last=0, code=Code.NO_ERROR, debug=b"", stream=0, **kw):
    return frame(GOAWAY, kw.pop("flags", 0), stream, struct.pack("!II", last, code) + debug, **kw)


def window(stream, increment, **kw):
    return frame(WINDOW_UPDATE, kw.pop("flags", 0), stream, struct.pack("!I", increment), **kw)


def split(fields, sizes, stream=1, flags=END_STREAM, how=PLAIN):
    """HEADERS and CONTINUATION frames: the block cut after so many octets each, the rest in the last."""
    rest, parts = fields if isinstance(fields, bytes) else block(fields, how), []
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    parts.append(rest)
    out = headers(stream, parts[0], flags if len(parts) > 1 else flags | END_HEADERS)
    for n, part in enumerate(parts[1:], 2):
        out += continuation(stream, part, END_HEADERS if n == len(parts) else 0)
    return out


class Frame:
    """One that was received."""

    def __init__(self, header, payload):
        self.kind, self.flags, word = struct.unpack("!BBI", header[3:])
        self.stream, self.reserved = word & MAX_WINDOW, word >> 31
        self.payload = payload
        self.fields = None  # HEADERS: the decoded field section, once it is complete
        self.block = None   # and the block it came from

    def has(self, flag):
        return bool(self.flags & flag)

    @property
    def code(self):
        return struct.unpack_from("!I", self.payload, 4 if self.kind == GOAWAY else 0)[0]

    @property
    def last(self):
        return struct.unpack_from("!I", self.payload)[0] & MAX_WINDOW

    @property
    def increment(self):
        return struct.unpack("!I", self.payload)[0] & MAX_WINDOW

    @property
    def values(self):
        return [struct.unpack_from("!HI", self.payload, at) for at in range(0, len(self.payload), 6)]

    @property
    def data(self):
        """Without the padding."""
        return self.payload[1:len(self.payload) - self.payload[0]] if self.has(PADDED) else self.payload

    def __repr__(self):
        names = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
                 "CONTINUATION")
        name = names[self.kind] if self.kind < len(names) else f"type {self.kind:#x}"
        detail = f" {self.fields}" if self.fields is not None else ""
        if self.kind in (RST_STREAM, GOAWAY) and len(self.payload) >= 4:
            detail = f" {name_of(self.code)} {self.payload[8:] if self.kind == GOAWAY else ''}"
        return f"<{name} stream {self.stream} flags {self.flags:#x} length {len(self.payload)}{detail}>"
