"""One request, looked at closely: before and after each load, the right bytes must come."""
import contextlib
import hashlib
import socket
import ssl
import subprocess
import time

from .procs import BenchError


def client_context(material):
    context = ssl.create_default_context(cafile=material.ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(port, host=None, context=None, timeout=10):
    raw = socket.create_connection(("127.0.0.1", port), timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(raw, server_hostname=host) if context else raw


def exchange(connection, host, path, body=None):
    """(status, fields, body) of an answer that has a Content-Length."""
    method = "GET" if body is None else "POST"
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n".encode() + (body or b""))
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += _more(connection)
    head, _, rest = seen.partition(b"\r\n\r\n")
    try:
        status, fields, missing = _read_head(head)
    except (ValueError, IndexError):
        raise BenchError(f"not an HTTP answer: {head[:80]!r}") from None
    parts = [rest]
    missing -= len(rest)
    while missing > 0:
        parts.append(_more(connection))
        missing -= len(parts[-1])
    return status, fields, b"".join(parts)


def _read_head(head):
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), fields, int(fields.get("content-length", 0))


def _more(connection):
    data = connection.recv(262144)
    if not data:
        raise BenchError("the connection ended within an answer")
    return data


def expect_body(material, port, host, name, tls=True, path=None):
    with contextlib.closing(connect(port, host, client_context(material) if tls else None)) as connection:
        for _ in range(2):  # the second finds the connections of the first
            status, _fields, body = exchange(connection, host, path or f"/{name}")
            if status != 200 or hashlib.sha256(body).hexdigest() != material.sums[name]:
                raise BenchError(f"https://{host}/{name}: {status} and {len(body)} bytes, not those of the server")


def expect_h2_body(material, port, host, name):
    """What the others check by hand, over HTTP/2: nghttp prints bodies as they are. Whose certificate it is, it does not ask."""
    argv = ["nghttp", "--no-verify-peer", "--timeout=10", "-H", f":authority: {host}", f"https://127.0.0.1:{port}/{name}"]
    done = subprocess.run(argv, capture_output=True, check=False)
    if hashlib.sha256(done.stdout).hexdigest() != material.sums[name]:
        raise BenchError(f"HTTP/2: {len(done.stdout)} bytes that are not /{name}; nghttp said {done.stderr[-80:]!r}")


def expect_redirect(port, host):
    with contextlib.closing(connect(port)) as connection:
        status, fields, _body = exchange(connection, host, "/1k")
        if status != 301 or fields.get("location") != f"https://{host}/1k":
            raise BenchError(f"no redirect: {status} {fields.get('location')}")


def expect_counted(material, port, host, name):
    body = material.body(name)
    with contextlib.closing(connect(port, host, client_context(material))) as connection:
        status, _fields, said = exchange(connection, host, "/count", body)
        if status != 200 or said != f"{len(body):015} {sum(body):015}\n".encode():
            raise BenchError(f"an upload of {len(body)} bytes was counted as {said!r} ({status})")


def until_good(check, process, seconds):
    """Repeats a check until it passes: the program has started. Returns the seconds since its start."""
    end = time.monotonic() + seconds
    while True:
        try:
            check()
            return time.monotonic() - process.started
        except (OSError, BenchError) as error:
            if not process.alive():
                raise BenchError(f"{process.name} ended with {process.popen.returncode}: {process.tail()}") from None
            if time.monotonic() > end:
                raise BenchError(f"{process.name} does not answer after {seconds:.0f} s ({error}): {process.tail()}") from None
        time.sleep(0.01)
