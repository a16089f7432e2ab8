import os
import resource
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness import certs as certs_module  # noqa: E402
from harness.gateway import Config, Gateway, require_binary  # noqa: E402
from harness.h2_server import H2Server  # noqa: E402
from harness.http_server import HttpServer  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.ways import WAYS, Way  # noqa: E402


def pytest_sessionstart():
    """A thousand clients are more descriptors than an ordinary shell allows; it may always be raised to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(16384, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@pytest.fixture(scope="session")
def ca():
    """The authority behind the certificates that the gateway serves."""
    return certs_module.CertAuthority()


@pytest.fixture(scope="session")
def server_ca():
    """Another one, behind the certificates of servers."""
    return certs_module.CertAuthority("Servers CA")


_leaves = {}


@pytest.fixture(scope="session")
def leaf(ca):
    """leaf("name", …): a certificate for these names, made once a session."""
    def make(*names, **kw):
        key = (names, tuple(sorted(kw.items())))
        if key not in _leaves:
            _leaves[key] = ca.leaf(*names, **kw)
        return _leaves[key]
    return make


@pytest.fixture
def gateway():
    """gateway(services, …): a running gateway. At the end of the test it must stop with 0 and without a sanitizer's report."""
    require_binary()
    started = []

    def start(services=None, config=None, env=None, wrapper=(), pass_fds=(), preexec=None, wait_ready=True, store=None,
              **kw):
        config = config or Config(services, **kw)
        running = Gateway(config, env=env, wrapper=wrapper, pass_fds=pass_fds, preexec=preexec, wait_ready=wait_ready, store=store)
        started.append(running)
        return running

    yield start
    failures = []
    for running in started:
        try:
            if not getattr(running, "stopped", False):
                running.stop()
        except AssertionError as error:
            failures.append(str(error))
        running.config.remove()
    assert not failures, "\n".join(failures)


@pytest.fixture
def config():
    """config(services, …): a configuration folder that is removed after the test."""
    require_binary()
    made = []

    def make(services=None, **kw):
        made.append(Config(services, **kw))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture
def http_server():
    """http_server(answer, …): a scripted HTTP server; a fault in its script fails the test."""
    yield from _servers(HttpServer)


@pytest.fixture
def h2_server():
    """h2_server(answer, tls=…): an HTTP/2 server."""
    yield from _servers(H2Server)


@pytest.fixture
def tcp_server():
    """tcp_server(handler, …): a scripted server of bytes, plain or TLS."""
    yield from _servers(Server)


@pytest.fixture(params=WAYS)
def way(request, gateway, ca, server_ca, leaf):
    """way.start(answer, …): a gateway before a scripted server, once in each terminating mode."""
    one = Way(request.param, gateway, ca, server_ca, leaf)
    yield one
    errors = one.stop()
    assert not errors, f"a server's script failed: {errors!r}"


def _servers(kind):
    made = []

    def make(*args, **kw):
        made.append(kind(*args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    errors = [error for one in made for error in one.errors]
    assert not errors, f"a server's script failed: {errors!r}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the gateway's last log lines with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for value in [v for f in list(item.funcargs.values()) for v in (f, getattr(f, "_gateway", None))]:
            closure = getattr(value, "__closure__", None) or ()
            for cell in closure:
                if isinstance(cell.cell_contents, list):
                    for running in cell.cell_contents:
                        if isinstance(running, Gateway):
                            report.sections.append(("gateway log", running.log_text()))
