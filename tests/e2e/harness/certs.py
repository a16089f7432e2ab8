"""A certificate authority for the tests, and leaves made by openssl."""
import atexit
import functools
import os
import shutil
import ssl
import subprocess
import tempfile


def _folder(prefix):
    """A temporary folder for as long as the tests run."""
    path = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _openssl(*args):
    done = subprocess.run(["openssl", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


def _key_options(kind):
    return ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def san(names):
    return ",".join(("IP:" if name.replace(".", "").isdigit() or ":" in name else "DNS:") + name for name in names)


class Leaf:
    def __init__(self, cert, key, both, chain=None):
        self.cert, self.key, self.both = cert, key, both
        self.chain = chain

    @functools.cached_property
    def der(self):
        with open(self.cert) as f:
            return ssl.PEM_cert_to_DER_cert(f.read())

    @property
    def pem(self):
        with open(self.both) as f:
            return f.read()

    def server_context(self, client_ca=None, alpn=None, maximum=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        if alpn:
            context.set_alpn_protocols(alpn)
        if maximum:
            context.maximum_version = maximum
        return context


class CertAuthority:
    def __init__(self, name="Test CA", folder=None):
        self.folder = folder or _folder("sp-ca-")
        self.cert = os.path.join(self.folder, "root.pem")
        self.key = os.path.join(self.folder, "root.key")
        _openssl("req", "-x509", *_key_options("ec"), "-noenc", "-keyout", self.key, "-out", self.cert, "-days", "30",
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._count = 0

    def leaf(self, *names, kind="ec", days=30, usage="serverAuth,clientAuth", with_san=True, cn=None):
        """A new certificate and key for the names; each call gives a different one."""
        self._count += 1
        stem = os.path.join(self.folder, f"leaf{self._count}")
        extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}"]
        if with_san:
            extensions += ["-addext", f"subjectAltName={san(names)}"]
        _openssl("req", "-x509", *_key_options(kind), "-noenc", "-keyout", f"{stem}.key", "-out", f"{stem}.crt",
                 "-days", str(days), "-subj", f"/CN={cn or names[0]}", "-CA", self.cert, "-CAkey", self.key, *extensions)
        return _joined(stem)

    def client_context(self, leaf=None, **kw):
        return client_context(self.cert, leaf, **kw)


def _joined(stem):
    with open(f"{stem}.pem", "w") as out:
        for part in (f"{stem}.crt", f"{stem}.key"):
            with open(part) as f:
                out.write(f.read())
    return Leaf(f"{stem}.crt", f"{stem}.key", f"{stem}.pem")


def self_signed(*names, kind="ec"):
    stem = os.path.join(_folder("sp-self-"), "leaf")
    _openssl("req", "-x509", *_key_options(kind), "-noenc", "-keyout", f"{stem}.key", "-out", f"{stem}.crt", "-days", "30",
             "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={san(names)}")
    return _joined(stem)


def expired(authority, name="re.example"):
    """A leaf of the authority that ended in 2020."""
    return dated(authority, name, "20200101000000Z", "20200201000000Z")


def dated(authority, name, begin, end):
    """A leaf of the authority with these times, as OpenSSL writes them."""
    stem = os.path.join(_folder("sp-dated-"), "leaf")
    _openssl("req", "-new", *_key_options("ec"), "-noenc", "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={name}")
    files = {"ext": f"subjectAltName=DNS:{name}\n", "index": "", "serial": "1000\n", "cnf":
             f"[ca]\ndefault_ca=c\n[c]\ndatabase={stem}.index\nserial={stem}.serial\nnew_certs_dir={os.path.dirname(stem)}\n"
             "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"}
    for suffix, text in files.items():
        with open(f"{stem}.{suffix}", "w") as f:
            f.write(text)
    _openssl("ca", "-batch", "-notext", "-config", f"{stem}.cnf", "-cert", authority.cert, "-keyfile", authority.key, "-in",
             f"{stem}.csr", "-out", f"{stem}.crt", "-startdate", begin, "-enddate", end,
             "-extfile", f"{stem}.ext")
    return _joined(stem)


def client_context(ca=None, leaf=None, alpn=None, minimum=None, maximum=None):
    """ca None: nothing is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if leaf:
        context.load_cert_chain(leaf.cert, leaf.key)
    if alpn:
        context.set_alpn_protocols(alpn)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context
