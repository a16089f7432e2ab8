"""RFC 7541 (HPACK), towards clients: what the gateway must decode, must not decode, and how it must encode."""
import json

from harness import h2_frames as f
from harness.h2_cases import (alive, answered, connection_error, fence, get, parametrized, run, server_saw, status, table,
                              target_fixture)  # noqa: F401
from harness.h2_frames import (HEADER_TABLE_SIZE, INDEXED, NEVER, PLAIN, Code, block, headers, indexed, integer, literal, request,
                               string, table_size)

COMPRESSION = connection_error(Code.COMPRESSION_ERROR)
HEAD = block(request())


def bad(name, *parts):
    """A request whose block cannot be decoded."""
    return name, headers(1, HEAD + b"".join(parts)), COMPRESSION


def good(name, *parts, **saw):
    return name, headers(1, HEAD + b"".join(parts)), status(200, then=server_saw(**saw))


def again(name, first, second, **saw):
    """Two requests; the second one uses what the first left in the dynamic table."""
    return (name, headers(1, HEAD + first) + headers(3, HEAD + second),
            status(200, stream=3, then=server_saw(**saw)))


def again_bad(name, first, second, before=b""):
    return name, headers(1, HEAD + first) + headers(3, before + HEAD + second), COMPRESSION


X = literal("x-a", "one", INDEXED)            # size 3 + 3 + 32
Y = literal("x-b", "two", INDEXED)
HUFFMAN_A = b"\x1f"                           # "a" and three bits of padding


def huffman(data):
    """A field whose value is these octets, said to be Huffman-encoded."""
    return b"\x00" + string("x-a") + integer(len(data), 7, 0x80) + data


TABLES = table("rfc7541", [
    good("2.3.1-static-entries", indexed(16), literal(58, "agent"), accept_encoding=["gzip, deflate"], user_agent=["agent"]),
    good("2.3.2-newest-entry-first", X, Y, indexed(62), indexed(63), x_a=["one", "one"], x_b=["two", "two"]),
    good("2.3.2-duplicate-entries", X, X, indexed(62), indexed(63), x_a=["one"] * 4),
    again("2.3.2-table-lives-as-long-as-the-connection", X + Y, indexed(63) + indexed(62), x_a=["one"], x_b=["two"]),
    bad("2.3.3-index-above-an-empty-table", indexed(62)),
    bad("2.3.3-index-above-both-tables", X, indexed(63)),
    bad("2.3.3-index-far-above", indexed(70)),
    bad("2.3.3-index-enormous", indexed(1 << 20)),
    bad("2.3.3-name-index-above-an-empty-table", literal(62, "v")),
    bad("2.3.3-name-index-above-with-indexing", literal(70, "v", INDEXED)),
    bad("2.3.3-name-index-above-never-indexed", literal(70, "v", NEVER)),
    ("3.2-fields-keep-their-order", headers(1, HEAD + b"".join(literal("x-a", str(n), (INDEXED, PLAIN, NEVER)[n % 3])
                                                              for n in range(12))),
     status(200, then=server_saw(x_a=[str(n) for n in range(12)]))),
    again("3.2-literals-not-added-are-not-added", X + literal("x-b", "two", PLAIN) + literal("x-c", "3", NEVER), indexed(62),
          x_a=["one"]),
    again("4.1-entry-of-the-whole-table", literal("x-a", "v" * (4096 - 35), INDEXED), indexed(62), x_a=["v" * (4096 - 35)]),
    again_bad("4.1-entry-one-octet-too-large", literal("x-a", "v" * (4096 - 34), INDEXED), indexed(62)),
    again_bad("4.1-size-is-counted-without-huffman", literal("x-a", "a" * (4096 - 34), INDEXED, huffman=True), indexed(62)),
    again_bad("4.1-overhead-of-32", literal("x-a", "v" * 2013, INDEXED) + literal("x-b", "v" * 2014, INDEXED), indexed(63)),
    again("4.1-overhead-of-32-fits", literal("x-a", "v" * 2013, INDEXED) + literal("x-b", "v" * 2013, INDEXED), indexed(63),
          x_a=["v" * 2013]),
    ("4.2-size-update-at-the-beginning", headers(1, table_size(0) + HEAD + X), status(200, then=server_saw(x_a=["one"]))),
    ("4.2-two-size-updates-at-the-beginning", headers(1, table_size(0) + table_size(4096) + HEAD + X) + headers(3, HEAD + indexed(62)),
     status(200, stream=3, then=server_saw(x_a=["one"]))),
    ("4.2-size-update-of-4096", headers(1, table_size(4096) + HEAD), status(200)),
    bad("4.2-size-update-at-the-end", table_size(0)),
    bad("4.2-size-update-in-the-middle", table_size(100), literal("x-a", "v")),
    ("4.3-shrinking-evicts", headers(1, HEAD + X + Y) + headers(3, table_size(40) + HEAD + indexed(62)),
     status(200, stream=3, then=server_saw(x_b=["two"]))),
    ("4.3-shrinking-evicts-the-oldest", headers(1, HEAD + X + Y) + headers(3, table_size(40) + HEAD + indexed(63)), COMPRESSION),
    ("4.3-size-0-evicts-all", headers(1, HEAD + X) + headers(3, table_size(0) + table_size(4096) + HEAD + indexed(62)), COMPRESSION),
    again_bad("4.4-large-entry-empties-the-table", X + literal("x-b", "v" * 5000, INDEXED), indexed(62)),
    again("4.4-large-entry-is-no-error", literal("x-b", "v" * 5000, INDEXED), X, x_a=["one"]),
    good("4.4-name-of-the-entry-that-goes", literal("x-long-name", "v" * 4000, INDEXED), literal(62, "w" * 4000, INDEXED), indexed(62),
         x_long_name=["v" * 4000, "w" * 4000, "w" * 4000]),
])

PRIMITIVES = table("rfc7541", [
    good("5.1-integer-of-many-octets", b"\x00" + string("x-a") + b"\x7f\x80\x80\x80\x00" + b"v" * 127, x_a=["v" * 127]),
    bad("5.1-integer-too-large-index", b"\xff" + b"\xff" * 9 + b"\x7f"),
    bad("5.1-integer-without-end", b"\xff" + b"\x80" * 200 + b"\x01"),
    bad("5.1-integer-cut", b"\xff\x80"),
    bad("5.1-integer-too-large-length", b"\x00" + string("x-a") + b"\x7f" + b"\xff" * 9 + b"\x7f"),
    bad("5.1-integer-of-33-bits", b"\x00" + string("x-a") + b"\x7f\x80\x80\x80\x80\x10" + b"v" * 127),
    ("5.1-integer-too-large-table-size", headers(1, b"\x3f" + b"\xff" * 9 + b"\x7f" + HEAD), COMPRESSION),
    bad("5.2-string-longer-than-the-block", b"\x00" + string("x-a") + b"\x0avalue"),
    bad("5.2-name-longer-than-the-block", b"\x00\x0ax-a"),
    bad("5.2-no-value", b"\x00" + string("x-a")),
    good("5.2-huffman", literal("x-a", "value", huffman=True), x_a=["value"]),
    good("5.2-huffman-of-every-octet", literal("x-a", b"(\x80\xff~\t|)", huffman=True), x_a=["(\x80\xff~\t|)"]),
    good("5.2-huffman-empty", huffman(b""), x_a=[""]),
    good("5.2-huffman-three-bits-of-padding", huffman(HUFFMAN_A), x_a=["a"]),
    good("5.2-huffman-no-padding", literal("x-a", "a" * 8, huffman=True), x_a=["a" * 8]),
    bad("5.2-huffman-padding-of-8-bits", huffman(f.huffman_code(b"a" * 8) + b"\xff")),
    bad("5.2-huffman-padding-of-11-bits", huffman(HUFFMAN_A + b"\xff")),
    bad("5.2-huffman-nothing-but-padding", huffman(b"\xff")),
    bad("5.2-huffman-padding-of-zeros", huffman(b"\x18")),
    bad("5.2-huffman-padding-with-a-zero", huffman(b"\x1e")),
    bad("5.2-huffman-eos", huffman(b"\xff\xff\xff\xfc")),
    bad("5.2-huffman-eos-inside", huffman(b"\x1f\xff\xff\xff\xe1\xff")),
    bad("5.2-huffman-eos-in-a-name", b"\x00" + integer(4, 7, 0x80) + b"\xff\xff\xff\xfc" + string("v")),
])

FORMS = table("rfc7541", [
    bad("6.1-index-0", indexed(0)),
    ("6.1-static-pseudo-fields", headers(1, indexed(2) + indexed(4) + indexed(7) + literal(1, f.HOST)), status(200)),
    again("6.2.1-indexed-name", literal(58, "agent", INDEXED), indexed(62), user_agent=["agent"]),
    again("6.2.1-new-name", literal("x-a", "b", INDEXED), indexed(62), x_a=["b"]),
    again("6.2.1-new-name-huffman", literal("x-a", "b", INDEXED, huffman=True), indexed(62), x_a=["b"]),
    again("6.2.1-name-of-the-dynamic-table", X, literal(62, "other", INDEXED), x_a=["other"]),
    good("6.2.2-indexed-name", literal(58, "agent"), user_agent=["agent"]),
    good("6.2.2-indexed-name-above-the-prefix", literal(32, "a=b"), cookie=["a=b"]),
    good("6.2.2-new-name", literal("x-a", "b"), x_a=["b"]),
    again_bad("6.2.2-leaves-the-table", literal("x-a", "b"), indexed(62)),
    good("6.2.3-indexed-name", literal(58, "agent", NEVER), user_agent=["agent"]),
    good("6.2.3-new-name", literal("x-a", "b", NEVER, huffman=True), x_a=["b"]),
    again_bad("6.2.3-leaves-the-table", literal("x-a", "b", NEVER), indexed(62)),
    ("6.3-above-the-limit", headers(1, table_size(4097) + HEAD), COMPRESSION),
    ("6.3-far-above-the-limit", headers(1, table_size(1 << 20) + HEAD), COMPRESSION),
    ("6.3-of-any-size-below", headers(1, table_size(77) + HEAD), status(200)),
])


# ---- how it encodes; the Audit decodes every block strictly, within the table size that was acknowledged


def encoded(path="/hop", times=3):
    def check(client):
        for n in range(times):
            client.get(2 * n + 1, path)
        client.alive()
    return check


def starts_with(prefix, *changes):
    """After these SETTINGS the next block begins so."""
    def check(client):
        for value in changes:
            client.send(f.settings((HEADER_TABLE_SIZE, value)))
        client.fence()
        client.get(3)
        first = client.of(f.HEADERS, 3)[0].block
        assert first.startswith(prefix), first[:8].hex()
        client.get(5)
        client.alive()
    return check


def never_indexed_towards_the_server(client):
    fields = block(request(authority="h2.example")) + literal("x-secret", "s3cret", NEVER) + literal("x-plain", "v", PLAIN)
    for stream in (1, 3):
        client.send(headers(stream, fields))
        seen = json.loads(client.response(stream).body)
        assert ["x-secret", "s3cret"] in seen["fields"] and ["x-plain", "v"] in seen["fields"]
        assert "x-secret" in seen["never"], seen


def never_indexed_towards_the_client(client):
    for stream in (1, 3):
        client.get(stream, authority="h2.example")
        fields = client.of(f.HEADERS, stream)[0].fields
        secret = next(field for field in fields if field[0] == b"x-secret")
        assert not secret.indexable, f"{secret} came never indexed and went on as {type(secret).__name__}"


ENCODER = table("rfc7541", [
    ("4.2-its-table-within-4096", encoded(), alive),
    ("4.2-its-table-within-100", encoded(), alive, {"values": [(HEADER_TABLE_SIZE, 100)]}),
    ("4.2-its-table-of-0", encoded(), alive, {"values": [(HEADER_TABLE_SIZE, 0)]}),
    ("4.2-its-table-within-65536", encoded(), alive, {"values": [(HEADER_TABLE_SIZE, 65536)]}),
    ("4.2-a-change-is-signalled-first", [get(), answered()], starts_with(table_size(0), 0)),
    ("4.2-the-smallest-of-several-changes-is-signalled", [get(), answered()], starts_with(table_size(0), 0, 4096)),
    ("6.2.3-never-indexed-is-forwarded-so-to-a-server", fence, never_indexed_towards_the_server),
    ("6.2.3-never-indexed-is-forwarded-so-to-a-client", fence, never_indexed_towards_the_client),
])


@parametrized(TABLES + PRIMITIVES + FORMS + ENCODER)
def test_case(target, case):
    run(target, case)
