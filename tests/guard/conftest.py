"""The gateway under strace and under callgrind, each started once."""
import os
import sys

import pytest

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [_HERE, os.path.join(_HERE, "..", "e2e")]

from harness.certs import CertAuthority  # noqa: E402
from harness.gateway import sanitized  # noqa: E402

import tools  # noqa: E402
from stage import Stage  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--update-baseline", action="store_true", help="write what is measured to baseline.json")


@pytest.fixture(scope="session")
def authorities():
    return CertAuthority(), CertAuthority("Servers CA")


@pytest.fixture(scope="session")
def traced(authorities, tmp_path_factory):
    yield from _on_stage(authorities, tools.Strace(tmp_path_factory.mktemp("strace")))


@pytest.fixture(scope="session")
def profiled(authorities, tmp_path_factory):
    yield from _on_stage(authorities, tools.Callgrind(tmp_path_factory.mktemp("callgrind")))


def _on_stage(authorities, tool):
    if sanitized():
        pytest.skip("a build with sanitizers does other things")
    if reason := tool.missing():
        pytest.skip(reason)
    stage = Stage(*authorities, wrapper=tool.command)
    tool.stage = stage
    try:
        if reason := tool.refused():
            pytest.skip(reason)
        yield tool
    finally:
        stage.stop()
