"""systemd itself, as process 1 of namespaces of its own, with nothing but the units under test.

It sees a cgroup tree of its own (the named hierarchy, without controllers), and changes to /etc, /var, /run and /usr/local/bin go with
it. What is the whole machine's it cannot change: /proc/sys is read-only, clock and boot are out of reach. The network is the machine's,
as the ports of a test are on loopback.
"""
import os
import shutil
import signal
import subprocess
import tempfile

from .gateway import ROOT, require_binary, sanitized
from .wait import PATIENCE, until

SYSTEMD = "/lib/systemd/systemd"
HIERARCHY = "/sys/fs/cgroup/systemd"
TARGET = "sallyport-test.target"

# $1: the folder with units/, config/ and sallyport; $2: the cgroup.
OUTSIDE = f"""
mkdir {HIERARCHY}/$2
echo $$ >{HIERARCHY}/$2/cgroup.procs
exec unshare --fork --pid --mount --cgroup --ipc --uts --kill-child=KILL --propagation private sh -ec "$3" sh "$1"
"""
INSIDE = f"""
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
mount --bind /dev/null /dev/console
mount -t tmpfs tmpfs "$1/over"
for part in etc var usr/local/bin; do
  mkdir -p "$1/over/$part" "$1/over/work/$part"
  mount -t overlay -o "lowerdir=/$part,upperdir=$1/over/$part,workdir=$1/over/work/$part" overlay "/$part"
done
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
mount -t tmpfs -o mode=755 tmpfs /run
: >/etc/fstab
rm -rf /etc/systemd/system /etc/sallyport /var/lib/sallyport
cp -R "$1/units" /etc/systemd/system
cp -R "$1/config" /etc/sallyport
cp "$1/sallyport" /usr/local/bin/sallyport
systemd-sysusers "$1/sallyport.sysusers"
chgrp -R sallyport /etc/sallyport && chmod -R g+rX /etc/sallyport
exec setpriv --bounding-set=-sys_boot,-sys_time,-sys_module env -i PATH="$PATH" container=sallyport-test \
  {SYSTEMD} --system --unit={TARGET} --show-status=no --log-target=console >>"$1/systemd.log" 2>&1
"""


def why_not():
    """The reason why a test has no systemd of its own on this machine, or None."""
    if os.geteuid() != 0:
        return "namespaces and mounts need root"
    missing = [name for name in ("systemctl", "systemd-sysusers", "unshare", "nsenter", "setpriv") if shutil.which(name) is None]
    if missing or not os.access(SYSTEMD, os.X_OK):
        return f"not installed on this machine: {' '.join(missing) or 'systemd'}"
    if not os.path.ismount(HIERARCHY):
        return f"no {HIERARCHY}, in which systemd could have a tree of its own"
    return None


class RealSystemd:
    def __init__(self, config, drop_in=""):
        """config: becomes /etc/sallyport. drop_in: lines for sallyport.service."""
        self.dir = tempfile.mkdtemp(prefix="sp-systemd-")
        self._group = os.path.basename(self.dir)
        os.chmod(self.dir, 0o755)
        for name in ("over", "units"):
            os.mkdir(os.path.join(self.dir, name))
        shutil.copytree(config.dir, os.path.join(self.dir, "config"), ignore=lambda *_: ["notify", "admin.sock"])
        shutil.copy(require_binary(), self.dir)
        shipped = os.path.join(ROOT, "compose", "systemd")
        shutil.copy(os.path.join(shipped, "sallyport.sysusers"), self.dir)
        shutil.copy(os.path.join(shipped, "sallyport.service"), os.path.join(self.dir, "units"))
        # The sandbox forbids the ptrace() by which leaks are looked for.
        leaks = "Environment=ASAN_OPTIONS=detect_leaks=0\n" if sanitized() else ""
        self._write("sallyport.service.d/test.conf", "[Unit]\nDefaultDependencies=no\n[Service]\nStandardError=append:/run/sallyport.log\n"
                    + leaks + drop_in)
        self._write(TARGET, "[Unit]\nDefaultDependencies=no\n")
        self._outer = subprocess.Popen(["sh", "-ec", OUTSIDE, "sh", self.dir, self._group, INSIDE], stdin=subprocess.DEVNULL)
        self._pid = None
        try:
            until(self._up, lambda: f"systemd does not come up:\n{self._systemd_log()}")
        except BaseException:
            self.stop()
            raise

    def _write(self, name, text):
        path = os.path.join(self.dir, "units", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def _up(self):
        if self._outer.poll() is not None:
            raise AssertionError(f"systemd ended:\n{self._systemd_log()}")
        with open(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children") as file:
            children = file.read().split()
        if not children:
            return False
        self._pid = int(children[0])
        return self.systemctl("is-active", TARGET, check=False).stdout.strip() == "active"

    def _systemd_log(self):
        try:
            with open(os.path.join(self.dir, "systemd.log")) as log:
                return log.read()[-6000:]
        except OSError:
            return ""

    def systemctl(self, *words, check=True):
        done = subprocess.run(["nsenter", "-t", str(self._pid), "--mount", "--pid", "--cgroup", "systemctl", *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"systemctl {' '.join(words)}: {done.stderr}\n{self.log()}\n{self._systemd_log()}")
        return done

    def show(self, prop):
        return self.systemctl("show", "-P", prop, "sallyport.service").stdout.strip()

    def main_pid(self):
        """As this machine numbers it; 0: none."""
        inside = self.show("MainPID")
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/status") as status:
                    numbers = next(line for line in status if line.startswith("NSpid:")).split()[1:]
                if numbers[1:] == [inside] and os.readlink(f"/proc/{entry}/ns/pid") == os.readlink(f"/proc/{self._pid}/ns/pid"):
                    return int(entry)
            except (OSError, StopIteration):
                pass
        return 0

    def put_unit(self, name, text):
        """Before `systemctl daemon-reload`."""
        with open(f"/proc/{self._pid}/root/etc/systemd/system/{name}", "w") as file:
            file.write(text)

    def log(self):
        """What the gateway said, all starts together."""
        try:
            with open(f"/proc/{self._pid}/root/run/sallyport.log") as log:
                return log.read()
        except OSError:
            return ""

    def stop(self):
        self._outer.send_signal(signal.SIGKILL)  # and with it all that is inside
        self._outer.wait(PATIENCE)
        group = os.path.join(HIERARCHY, self._group)
        until(lambda: self._remove(group), f"{group} is still in use")
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def _remove(group):
        try:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
            return True
        except OSError:
            return False
