"""How many instructions a request or a connection takes, and how often it allocates, against baseline.json.

Counted are the program and the libraries whose code is the same on every processor; libcrypto and libc choose theirs by what the
processor can do. Compilers and library versions make different code: each release of Debian and compiler has figures of its own.
`make guard-baseline` writes those of this machine anew.
"""
import json
import os
import platform
import re
import warnings

import pytest

from harness.gateway import require_binary
from stage import SCENARIOS

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.json")
COUNTED = ("sallyport", "libssl", "libnghttp2", "libllhttp", "libuv", "libfmt", "libstdc++")
# How much more is too much: a part of what it was, and so many besides. One more allocation in a request is too many.
INSTRUCTIONS = 0.10, 100
ALLOCATIONS = 0.05, 0.5


def compiler():
    """What the program says it was made by: "g++-12"."""
    with open(require_binary(), "rb") as f:
        data = f.read()
    if clang := re.search(rb"clang version (\d+)\.", data):
        return f"clang++-{int(clang[1])}"
    found = re.findall(rb"GCC: \([^)]*\) (\d+)\.", data)
    return f"g++-{max(map(int, found))}" if found else "an unknown compiler"


def key():
    release = {}
    with open("/etc/os-release") as f:
        for line in f:
            name, _, value = line.strip().partition("=")
            release[name] = value.strip('"')
    return f"{release.get('ID')}-{release.get('VERSION_ID')} {platform.machine()} {compiler()}"


def optimized():
    """False for a build that is known not to be a release."""
    try:
        with open(os.path.join(os.path.dirname(require_binary()), "CMakeCache.txt")) as f:
            return "CMAKE_BUILD_TYPE:STRING=Release" in f.read()
    except OSError:
        return True


def read():
    try:
        with open(FILE) as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


@pytest.fixture(scope="session")
def baseline(request):
    """baseline(scenario): its figures, or None when they are to be written; baseline.measured collects those."""
    updating = request.config.getoption("--update-baseline")
    if not optimized():
        pytest.skip("not a release build")
    figures = read().get(key())
    if figures is None and not updating:
        pytest.skip(f'baseline.json has nothing for "{key()}": `make guard-baseline` adds it')

    class Baseline:
        measured = {}

        def __call__(self, name):
            return None if updating else figures.get(name)

    yield Baseline()
    if updating and Baseline.measured:
        everything = read()
        everything.setdefault(key(), {}).update(Baseline.measured)
        with open(FILE, "w") as f:
            json.dump(everything, f, indent=2, sort_keys=True)
            f.write("\n")


def figures_of(profiles, count):
    """The least of several windows: in some, a second begins (and with it a new Date) or a deadline is looked at."""
    out = {}
    for profile in profiles:
        libraries = {library.split(".so")[0]: cost for library, cost in profile.by_object().items()}
        found = {name: round(cost / count) for name, cost in libraries.items() if name in COUNTED and cost >= count}
        found |= {kind: round(calls / count, 1) for kind, calls in profile.calls.items()}
        out = {what: min(figure, out.get(what, figure)) for what, figure in found.items()}
    return out


def room(what, was):
    part, besides = ALLOCATIONS if what in ("malloc", "free") else INSTRUCTIONS
    return was * part + besides


def top(profile, count, most=25):
    """The functions that cost most by themselves."""
    rows = [(cost / count, library, function) for (library, function), cost in profile.own.most_common()
            if library.split(".so")[0] in COUNTED]
    return "\n".join(f"{cost:9.0f}  {library:22} {function[:100]}" for cost, library, function in rows[:most])


@pytest.mark.parametrize("name", SCENARIOS)
def test_instructions(baseline, profiled, name):
    count = 5 if name.endswith(("conn", "hs")) else 10
    profiles = profiled.measure(name, count, windows=3)
    found = figures_of(profiles, count)
    assert found.get("sallyport", 0) > 100, "nothing was measured"
    before = baseline(name)
    if before is None:
        baseline.measured[name] = found
        return
    lines, more, less = [], [], []
    for what in sorted(found.keys() | before.keys()):
        now, was = found.get(what, 0), before.get(what, 0)
        change = f"{(now - was) / was * 100:+.1f} %" if was else ""
        lines.append(f"{what:12} {now:9} {was:9}  {change}")
        if now > was + room(what, was):
            more.append(what)
        elif now < was - room(what, was):
            less.append(what)
    text = f"{name}, per run, now and in baseline.json:\n" + "\n".join(lines)
    print(text)
    assert not more, f"{text}\nabove it: {', '.join(more)}. What costs most:\n{top(profiles[-1], count)}"
    if less:
        warnings.warn(f"{text}\nbelow it: {', '.join(less)}. Lower it: make guard-baseline")


def test_what_is_read(tmp_path):
    """The reading of callgrind's output, on a file with each kind of line."""
    from callgrind import Profile
    path = tmp_path / "profile"
    path.write_text("""# callgrind format
version: 1
positions: line
events: Ir
summary: 60

ob=(1) /usr/bin/sallyport
fl=(1) ???
fn=(1) work()
0 10
cob=(2) /lib/libc.so.6
cfi=(2) ???
cfn=(2) malloc
calls=3 0
0 30
+1 5
calls=2 0
* 7

ob=(2)
fn=(2)
0 20
cfn=(3) free
calls=9 0
0 0
0

ob=(1)
fn=(1)
0 2
cob=(2)
cfn=(3)
calls=4 0
0 8
""".replace("calls=2 0\n", "cfn=(4) helper()\ncalls=2 0\n"))
    profile = Profile(path)
    assert profile.own == {("sallyport", "work()"): 17, ("libc.so.6", "malloc"): 20}
    assert profile.calls == {"malloc": 3, "free": 4}
