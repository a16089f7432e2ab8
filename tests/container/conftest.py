import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e")]  # the servers and clients of the end-to-end tests serve here too

import podman  # noqa: E402


def pytest_collection_modifyitems(items):
    reason = podman.why_not()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def image():
    """The image, built from the Containerfile."""
    return podman.build(podman.IMAGE, "Containerfile")


@pytest.fixture(scope="session")
def trixie():
    """Debian 13 with compiler, libraries, systemd and podman."""
    return podman.build(podman.TRIXIE, "tests/container/trixie.containerfile")
