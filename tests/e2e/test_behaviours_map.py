"""tests/BEHAVIOURS.md names tests that exist, and a test or `later` in each row."""
import os
import re

from harness.gateway import ROOT

TESTS = os.path.join(ROOT, "tests")


def rows():
    with open(os.path.join(TESTS, "BEHAVIOURS.md")) as text:
        for line in text:
            if line.startswith("| ") and not line.startswith(("| behaviour", "| | behaviour", "| must show", "| part")):
                yield line


def exists(name):
    if "::" in name:
        where, test = name.split("::")
        path = os.path.join(TESTS, "container" if where == "container" else "e2e", f"test_{where}.py")
        return os.path.exists(path) and re.search(rf"^def {test}\(", open(path).read(), re.M)
    if name.startswith("unit/"):
        return os.path.exists(os.path.join(TESTS, f"{name}_test.cc"))
    return not name.startswith("tests/") or os.path.exists(os.path.join(ROOT, name))


def test_what_is_named_exists():
    missing = [name for row in rows() for name in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1]) if not exists(name)]
    assert not missing, missing


def test_each_row_is_held_or_later():
    numbers = [int(row.split("|")[1]) for row in rows() if row.split("|")[1].strip().isdigit()]
    assert numbers == list(range(1, 57))
    empty = [row for row in rows() if "`" not in row.rsplit("|", 2)[1] and "*later*" not in row]
    assert not empty, empty
