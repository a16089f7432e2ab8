#!/usr/bin/python3
"""Includes go one way, and each library stays in its folder.

Reads every #include under gateway/, layers/ and certs/, and says which break the order below. Before it looks at the tree it
shows itself a few broken files that it must catch. Run by ctest as `includes`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder -> the folders it may include from, besides itself; what those include is allowed too. CMakeLists.txt links the
# same way, which is checked.
USES = {
    "base": [],
    "net": ["base"], "http": ["base"], "metrics": ["base"], "config": ["base"],
    "transport": ["net", "http", "metrics", "config"], "demux": ["net", "http", "metrics", "config"],
    "certs": ["transport", "demux"], "upstream": ["transport", "demux"],
    "layers": ["certs", "upstream"],
    "runtime": ["layers"],
    "admin": ["runtime"],
    "cli": ["admin"],
}
TOP = {"layers", "certs"}  # beside gateway/, the others are inside

# Headers of a library (the beginning of the include) -> where they may be named: folders, or single files.
LIBRARIES = {
    "uv.h": ["net"], "uv/": ["net"], "ares": ["net"],
    "openssl/": ["transport", "certs"],
    "llhttp": ["http"], "nghttp2/": ["http"],
    "prometheus/": ["metrics"],
    "yaml-cpp/": ["config"],
    "systemd/": ["runtime"],
    "curl/": ["gateway/runtime/alert_sender.cc"],
    "CLI/": ["cli"],
    "fmt/": ["gateway/base/format.h"],
    "nlohmann/": ["admin"],
}
SYSTEM = re.compile(r"(sys|net|netinet|arpa|linux|asm|bits)/\w+\.h$|"
                    r"(errno|fcntl|grp|limits|netdb|poll|pthread|pwd|sched|signal|spawn|stdint|stdio|stdlib|string|strings|syslog|"
                    r"termios|time|unistd|fnmatch|glob|dirent|ctype|dlfcn|getopt|ifaddrs|link|malloc|math|locale)\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def closure(folder):
    seen, left = set(), [folder]
    while left:
        at = left.pop()
        if at not in seen:
            seen.add(at)
            left += USES[at]
    return seen


def folder_of(path):
    """The folder a source file belongs to; None for one that belongs to none."""
    parts = path.split("/")
    if parts[0] in TOP:
        return parts[0]
    if parts[0] != "gateway":
        return None
    if len(parts) == 2:  # gateway/main.cc: above everything
        return "cli"
    return parts[1] if parts[1] in USES and parts[1] not in TOP else None


def owner_of(include):
    """The folder that an include names, as includes are rooted at gateway/ and at the checkout."""
    first = include.split("/")[0]
    return first if first in USES and "/" in include else None


def check_include(path, quote, name, exists):
    """The fault of one include of one file, or None."""
    folder = folder_of(path)
    if folder is None:
        return "this folder is not in the order of tests/includes/check.py"
    owner = owner_of(name)
    if quote == '"':
        if owner is None:
            return f'"{name}" does not begin with a folder of the project (write <…> for a library)'
        if not exists(name):
            return f'"{name}" does not exist'
        if owner not in closure(folder):
            return f'{folder} may not include "{name}": {owner} stands above it'
        return None
    for prefix, places in LIBRARIES.items():
        if name.startswith(prefix):
            return None if folder in places or path in places else f"<{name}> may be included in {', '.join(places)} only"
    if "." not in name and "/" not in name or SYSTEM.match(name):
        return None
    return f"<{name}> is a library without a folder: name one in tests/includes/check.py"


def check_text(path, text, exists):
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match and (fault := check_include(path, match[1], match[2], exists)):
            yield f"{path}:{number}: {fault}"


def check_cmake(text):
    """The folders that CMakeLists.txt declares, against the order above."""
    text = re.sub(r"#.*", "", text)
    declared = {}
    for name, rest in re.findall(r"sallyport_folder\(\s*(\w+)([^)]*)\)", text):
        match = re.search(r"\bUSES\b(.*?)(?:\bLIBS\b|\bDIR\b|\bRECURSE\b|$)", rest, re.S)
        declared[name] = sorted(match[1].split()) if match else []
    expected = {name: sorted(uses) for name, uses in USES.items()}
    for name in sorted(declared.keys() | expected.keys()):
        if declared.get(name) != expected.get(name):
            yield f"CMakeLists.txt: folder {name} uses {declared.get(name)}, the order says {expected.get(name)}"


def self_test():
    """Every broken line must be caught, every good one let through."""
    def exists(_):
        return True

    cases = [
        ("gateway/base/text.cc", '#include "base/text.h"', ""),
        ("gateway/base/text.cc", '#include "net/loop.h"', "stands above"),
        ("gateway/net/loop.cc", '  #  include "http/message.h"', "stands above"),
        ("gateway/http/reply.cc", '#include "net/loop.h"', "stands above"),
        ("gateway/demux/sniff.cc", '#include "transport/transport.h"', "stands above"),
        ("gateway/upstream/pool.cc", '#include "certs/cert_store.h"', "stands above"),
        ("certs/cert_store.cc", '#include "layers/layer.h"', "stands above"),
        ("layers/terminate/h1_flow.cc", '#include "runtime/worker.h"', "stands above"),
        ("layers/terminate/h1_flow.cc", '#include "layers/layer.h"', ""),
        ("layers/terminate/h1_flow.cc", '#include "upstream/pool.h"', ""),
        ("layers/terminate/h1_flow.cc", '#include "h1_flow.h"', "does not begin with a folder"),
        ("layers/terminate/h1_flow.cc", '#include "../layer.h"', "does not begin with a folder"),
        ("gateway/cli/run.cc", '#include "base/text.h"', ""),
        ("gateway/main.cc", '#include "cli/cli.h"', ""),
        ("gateway/net/loop.cc", "#include <uv.h>", ""),
        ("gateway/runtime/worker.h", "#include <uv.h>", "net only"),
        ("gateway/runtime/control.cc", "#include <systemd/sd-daemon.h>", ""),
        ("gateway/http/message.h", "#include <openssl/ssl.h>", "transport, certs only"),
        ("certs/local_ca.cc", "#include <openssl/x509v3.h>", ""),
        ("gateway/base/format.h", "#include <fmt/format.h>", ""),
        ("gateway/base/text.cc", "#include <fmt/format.h>", "format.h only"),
        ("gateway/demux/sniff.cc", "#include <boost/asio.hpp>", "without a folder"),
        ("gateway/demux/sniff.cc", "#include <pcap/pcap.h>", "without a folder"),
        ("gateway/runtime/alerts.cc", "#include <curl/curl.h>", "alert_sender.cc only"),
        ("gateway/demux/sniff.cc", "#include <string_view>\n#include <sys/socket.h>\n#include <unistd.h>", ""),
        ("gateway/unknown/x.cc", "#include <string>", "not in the order"),
    ]
    for path, text, expected in cases:
        faults = " ".join(check_text(path, text, exists))
        if bool(faults) != bool(expected) or expected not in faults:
            yield f"self-test: {path}: {text!r} gave {faults!r}, expected {expected!r}"
    if not any(check_text("gateway/base/a.cc", '#include "base/gone.h"', lambda _: False)):
        yield "self-test: an include of a file that does not exist went through"
    if not any("net uses" in fault for fault in check_cmake("sallyport_folder(net DIR gateway/net USES base http LIBS x)")):
        yield "self-test: a CMakeLists.txt with another order went through"


def main():
    faults = list(self_test())
    faults += check_cmake((ROOT / "CMakeLists.txt").read_text())
    files = [f for top in ("gateway", "layers", "certs") for f in sorted((ROOT / top).rglob("*")) if f.suffix in (".h", ".cc")]
    if not files:
        faults.append(f"no source found under {ROOT}")

    def exists(name):
        return (ROOT / "gateway" / name).is_file() or (ROOT / name).is_file()

    for file in files:
        faults += check_text(str(file.relative_to(ROOT)), file.read_text(), exists)
    for fault in faults:
        print(fault)
    print(f"includes: {len(files)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
