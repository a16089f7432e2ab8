"""Debian's chromium without a screen. A page tells the test what it found by posting it to its server."""
import base64
import hashlib
import os
import shutil
import subprocess
import tempfile

PROGRAMS = ("chromium", "chromium-headless-shell")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions", "--disable-default-apps",
           "--no-proxy-server", "--metrics-recording-only", "--mute-audio"]


def key_hash(leaf):
    """What --ignore-certificate-errors-spki-list wants: the SHA-256 of the public key."""
    public = subprocess.run(["openssl", "x509", "-in", leaf.cert, "-noout", "-pubkey"], check=True, stdout=subprocess.PIPE).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], check=True, input=public, stdout=subprocess.PIPE).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Browser:
    """Opens a page, and lives until stop(). Every host name is 127.0.0.1 to it, and it trusts this certificate."""

    def __init__(self, url, leaf):
        program = next((path for path in map(shutil.which, PROGRAMS) if path), None)
        assert program, "no chromium: scripts/dependencies test"
        self.folder = tempfile.mkdtemp(prefix="sp-browser-")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={self.folder}/profile", "--host-resolver-rules=MAP * 127.0.0.1",
             f"--ignore-certificate-errors-spki-list={key_hash(leaf)}", url],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, "HOME": self.folder}, start_new_session=True)

    def text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()[-3000:]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
