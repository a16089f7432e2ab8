"""Reads what callgrind writes (its manual, "Callgrind Format Specification"), without lines and without instructions."""
import collections
import os
import re

NAME = re.compile(r"(ob|cob|fn|cfn)=\((\d+)\)(?: (.*))?$")
ALLOCATORS = {"malloc": "malloc", "calloc": "malloc", "realloc": "malloc", "aligned_alloc": "malloc", "memalign": "malloc",
              "posix_memalign": "malloc", "free": "free"}


class Profile:
    """own: {(object, function): instructions}, without what it calls; calls: {"malloc": n, "free": n} from outside libc."""

    def __init__(self, path):
        self.own, self.calls = collections.Counter(), collections.Counter({"malloc": 0, "free": 0})
        self._objects, self._functions = {}, {}
        with open(path, errors="replace") as f:
            self._read(f)

    def _name(self, kind, number, name):
        """A name stands behind its number the first time only."""
        names = self._objects if kind in ("ob", "cob") else self._functions
        if name is not None:
            names[number] = os.path.basename(name) if names is self._objects else name
        return names[number]

    def _read(self, lines):
        here = {"ob": "???", "fn": "???"}
        called = {}
        after_call = False
        for line in lines:
            line = line.rstrip("\n")
            found = NAME.match(line)
            if found:
                kind = found[1]
                name = self._name(kind, found[2], found[3])
                if kind in here:
                    here[kind] = name
                else:
                    called[kind] = name
            elif line.startswith("calls="):
                self._count(here["ob"], called.get("cob", here["ob"]), called.get("cfn", ""), int(line[6:].split()[0]))
                called, after_call = {}, True
            elif line[:1].isdigit() or line[:1] in "+-*":
                part = line.split()
                if not after_call and len(part) > 1:  # the line behind calls= is what the call cost; zeros are left out
                    self.own[here["ob"], here["fn"]] += int(part[1])
                after_call = False

    def _count(self, caller, library, function, count):
        kind = ALLOCATORS.get(function.removeprefix("__libc_").split("'")[0])
        if kind and library.startswith("libc.") and not caller.startswith("libc."):
            self.calls[kind] += count

    def by_object(self):
        out = collections.Counter()
        for (library, _), cost in self.own.items():
            out[library] += cost
        return out
