"""What the kernel says about a process: descriptors, sockets, memory."""
import collections
import os
import time

from .wait import PATIENCE

def kernel_room():
    """How much the kernel may hold of one transfer: the buffers of the two connections, as large as they may grow."""
    def most(name):
        with open(f"/proc/sys/net/ipv4/tcp_{name}") as f:
            return int(f.read().split()[2])
    return 2 * (most("rmem") + most("wmem"))


Connection = collections.namedtuple("Connection", "local_port remote_port state")
_STATES = {"01": "ESTABLISHED", "02": "SYN_SENT", "04": "FIN_WAIT1", "05": "FIN_WAIT2", "08": "CLOSE_WAIT", "09": "LAST_ACK"}


class ProcessView:
    pid = 0

    def fd_count(self):
        """Without pipes: those of splice are kept for the next connection."""
        return len([target for target in self._targets() if not target.startswith("pipe:")])

    def pipe_count(self):
        return len([target for target in self._targets() if target.startswith("pipe:")])

    def _targets(self):
        out = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                out.append(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
            except OSError:  # closed meanwhile
                pass
        return out

    def settled_fds(self):
        """fd_count() once it stands still: worker threads may still be opening their own when readiness is told. On a busy
        machine they may not even have run yet, so all threads must be asleep as well."""
        same, last, end = 0, -1, time.monotonic() + PATIENCE
        while same < 3:
            count = self.fd_count()
            resting = self._all_asleep() or time.monotonic() > end
            same, last = (same + 1, count) if count == last and resting else (0, count)
            time.sleep(0.01)
        return last

    def _all_asleep(self):
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{thread}/stat") as f:
                    if f.read().rsplit(")", 1)[1].split()[0] != "S":
                        return False
            except OSError:  # ended meanwhile
                return False
        return True

    def _inodes(self):
        return {target[8:-1] for target in self._targets() if target.startswith("socket:[")}

    def connections(self):
        """Its TCP sockets that are not listening."""
        inodes, out = self._inodes(), []
        for name in ("tcp", "tcp6"):
            try:
                with open(f"/proc/{self.pid}/net/{name}") as table:
                    next(table)
                    for line in table:
                        part = line.split()
                        if part[9] in inodes and part[3] != "0A":
                            out.append(Connection(int(part[1].rsplit(":")[-1], 16), int(part[2].rsplit(":")[-1], 16),
                                                  _STATES.get(part[3], part[3])))
            except FileNotFoundError:
                pass
        return out

    def memory(self, key="VmRSS"):
        """Bytes; VmHWM is the highest VmRSS so far."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
        raise KeyError(key)

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")
