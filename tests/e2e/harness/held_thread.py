"""Holds one thread of another process still, as nothing but a debugger can (ptrace(2))."""
import ctypes
import os

_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def thread_named(pid, name):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm") as comm:
            if comm.read().strip() == name:
                return int(thread)
    raise AssertionError(f"process {pid} has no thread {name!r}")


class HeldThread:
    """with HeldThread(pid, "worker-1"): it stands still. Enter and leave on one thread. OSError: this machine forbids it."""

    def __init__(self, pid, name):
        self._thread = thread_named(pid, name)

    def __enter__(self):
        _ptrace(_SEIZE, self._thread)
        _ptrace(_INTERRUPT, self._thread)
        os.waitpid(self._thread, _WALL)
        return self

    def ended(self):
        """Whether its process has been ended from outside; who traces has to take note of it."""
        try:
            return os.waitpid(self._thread, _WALL | os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def __exit__(self, *_):
        _ptrace(_DETACH, self._thread)
