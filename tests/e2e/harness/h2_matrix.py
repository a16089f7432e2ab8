"""The fixture `both` of the tests that run over each combination of client, mode and server."""
import pytest

from . import certs as certs_module
from .gateway import require_binary
from .h2_ways import COMBINATIONS, Combination


@pytest.fixture(scope="module")
def clients_ca():
    return certs_module.CertAuthority("Clients CA")


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
def combination(request, ca, server_ca, leaf, clients_ca):
    require_binary()
    one = Combination(*request.param, ca, server_ca, leaf, clients_ca)
    yield one
    one.stop()


@pytest.fixture
def both(combination):
    yield combination.begin()
    combination.check()
