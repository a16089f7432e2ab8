"""What all programs are given alike: certificates, and the bodies that servers send."""
import hashlib
import os
import random
import subprocess

DOMAIN = "bench.test"
SIZES = {"1k": 1024, "100k": 100 * 1024, "10m": 10 * 1024 * 1024}

# The same for every program and both sides, so that nobody is measured at another cipher.
CIPHERSUITE = "TLS_AES_128_GCM_SHA256"
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256"
GROUPS = "X25519:P-256"


def host(name):
    return f"{name}.{DOMAIN}"


def openssl(*argv):
    done = subprocess.run(["openssl", *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {argv[0]}: {done.stderr.strip()}")


class Material:
    def __init__(self, directory):
        self.directory = directory
        self.certs = self.path("certs")
        self.www = self.path("www")
        os.mkdir(self.certs)
        os.mkdir(self.www)
        self.sums = {}
        # Not compressible and not the same in any two places: a piece that is lost or moved shows.
        noise = random.Random(20)
        for name, size in SIZES.items():
            body = noise.randbytes(size)
            self.sums[name] = hashlib.sha256(body).hexdigest()
            with open(os.path.join(self.www, name), "wb") as f:
                f.write(body)
        self._make_certs()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def body(self, name):
        with open(os.path.join(self.www, name), "rb") as f:
            return f.read()

    def _make_certs(self):
        self.ca = self.path("ca.pem")
        ca_key = self.path("ca.key")
        self.chain = self.path("leaf.crt")
        self.key = self.path("leaf.key")
        self.pem = os.path.join(self.certs, "leaf.pem")  # both, as haproxy and the gateway like them
        request = self.path("leaf.csr")
        extensions = self.path("leaf.ext")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=bench CA", "-keyout", ca_key, "-out", self.ca)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={DOMAIN}", "-keyout", self.key, "-out", request)
        with open(extensions, "w") as f:
            f.write(f"subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30",
                "-extfile", extensions, "-out", self.chain)
        with open(self.pem, "w") as out:
            for part in (self.chain, self.key):
                with open(part) as f:
                    out.write(f.read())
