"""podman, as it runs on development machines: no registry, an old crun, no right to raise limits. Users need none of these flags."""
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BASE = "docker.io/library/debian:trixie-slim"
IMAGE = "localhost/sallyport-test"
TRIXIE = "localhost/sallyport-test-trixie"
RUN = ["--ulimit", "nofile=4096:16000", "--ulimit", "nproc=1000:2000"]


def why_not():
    """The reason these tests cannot run on this machine, or None."""
    if shutil.which("podman") is None:
        return "podman is not installed (scripts/dependencies container)"
    if shutil.which("mmdebstrap") is None:
        return "mmdebstrap is not installed (scripts/dependencies container)"
    return None


def podman(*args, check=True, timeout=900, runtime=False, stdin=None):
    """Runs podman and returns the completed process; stdout and stderr are text."""
    command = ["podman", *(["--runtime", "runc"] if runtime else []), *args]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, input=stdin)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}")
    return done


def run(image, *args, options=(), **kw):
    """One command in a fresh container, which is removed after it; the network is loopback only."""
    return podman("run", "--rm", "--network", "none", *RUN, *options, image, *args, runtime=True, **kw)


def make_base():
    """Debian 13's base image from Debian's packages, under the name the Containerfile uses."""
    if podman("image", "exists", BASE, check=False).returncode == 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        tar = os.path.join(folder, "base.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "trixie", tar], check=True,
                       timeout=600)
        podman("import", tar, BASE)


def build(tag, containerfile):
    make_base()
    podman("build", "--format", "docker", "--isolation", "chroot", "--network", "host", "--pull=never", "-t", tag, "-f",
           os.path.join(ROOT, containerfile), ROOT, timeout=3000)
    return tag
