"""SIGKILL at any moment, then a start: state files and certificates are whole. And how long a start takes."""
import os
import random
import re
import ssl
import subprocess
import time

import pytest

from harness.client import http
from harness.gateway import Config, Gateway, require_binary
from harness.services import plain
from harness.wait import until

ROUNDS = 30
CLIENTS = 60_000
LINE = re.compile(r"web\t[0-9a-f.:]+\t[0-9a-f]{16}\t\d+\n")


def clients_of(config):
    """The lines of the file of sticky clients, each of which must be one."""
    with open(os.path.join(config.dir, "state", "sticky")) as file:
        first, *lines = file.readlines()
    assert first == "sallyport sticky 1\n"
    broken = [line for line in lines if not LINE.fullmatch(line)]
    assert not broken, broken[:3]
    return len(lines)


def killed(process, moment):
    """moment: called while it runs; then it is killed, if it has not ended. Whether it was."""
    moment()
    process.kill()
    return process.wait() == -9


@pytest.mark.slow
def test_the_table_of_sticky_clients_is_whole_after_each_kill(gateway, http_server):
    """Killed while it writes the table at its end: as soon as the new file is there, or at some time after SIGTERM."""
    config = Config({"web": plain("a.example", http_server(), sticky={"by": "source", "size": 200_000, "expire": "24h"})},
                    {"drain_timeout": "1s"})
    table, now = os.path.join(config.dir, "state", "sticky"), int(time.time() * 1000)
    with open(table, "w") as file:
        file.write("sallyport sticky 1\n")
        file.writelines(f"web\t10.{n >> 16}.{n >> 8 & 255}.{n & 255}\t00000000000000ff\t{now}\n" for n in range(CLIENTS))
    fresh, chance, hits, cut = table + ".new", random.Random(6), 0, 0
    for turn in range(ROUNDS):
        gw = gateway(config=config)
        gw.stopped = True
        assert not any("sticky" in line for line in gw.lines), gw.log_text()
        assert http(gw.ports["http"], host="a.example", source=f"127.0.1.{turn + 1}").status == 200
        gw.signal()
        if turn % 3:
            def moment():
                end = time.monotonic() + 20
                while not os.path.exists(fresh) and gw.process.poll() is None and time.monotonic() < end:
                    pass
                time.sleep(chance.choice((0, 0, 0.001, 0.003)))
        else:
            def moment():
                time.sleep(chance.uniform(0, 0.3))
        hits += killed(gw.process, moment)
        cut += os.path.exists(fresh)
        assert clients_of(config) >= CLIENTS, f"round {turn}"
    assert hits >= ROUNDS // 3, "it was killed in its last moments"
    print(f"{hits} of {ROUNDS} rounds were killed before the end, {cut} in the middle of the file")
    last = gateway(config=config)
    assert not any("sticky" in line for line in last.lines), last.log_text()


@pytest.mark.slow
def test_the_key_of_sticky_cookies_is_whole_after_each_kill(gateway, http_server):
    """Killed while it starts for the first time."""
    config = Config({"web": plain("a.example", http_server(), sticky={"by": "cookie"})})
    key, chance, seen = os.path.join(config.dir, "state", "cookie.key"), random.Random(7), set()
    start = time.monotonic()
    gateway(config=config).stop()
    typical = time.monotonic() - start
    for _ in range(ROUNDS):
        if os.path.exists(key):
            os.unlink(key)
        gw = Gateway(config, wait_ready=False)
        killed(gw.process, lambda: time.sleep(chance.uniform(0, typical)))
        seen.add(os.path.exists(key))
        assert not os.path.exists(key) or os.path.getsize(key) == 32
    assert seen == {True, False}, "before and after the file was made"
    gateway(config=config)
    assert os.path.getsize(key) == 32


@pytest.mark.slow
def test_certificates_are_whole_after_each_kill(gateway, http_server):
    """A certificate that is issued again and again: what is on the disk is one certificate with its key, and serves."""
    config = Config({"web": {"mode": "edge", "hosts": ["a.example"], "servers": [http_server().address]}})

    def certs(*words):
        return subprocess.Popen([require_binary(), "certs", *words, "--config", config.dir], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
    assert certs("init-ca").wait(60) == 0
    start = time.monotonic()
    assert certs("issue", "a.example").wait(60) == 0
    typical, chance, hits = time.monotonic() - start, random.Random(8), 0
    pem = os.path.join(config.dir, "certs", "a.example.pem")
    for _ in range(ROUNDS):
        hits += killed(certs("issue", "a.example"), lambda: time.sleep(chance.uniform(0, typical)))
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem)
    assert hits >= ROUNDS // 3
    gw = gateway(config=config)
    context = ssl.create_default_context(cafile=os.path.join(config.dir, "ca", "root.pem"))
    assert http(gw.ports["https"], host="a.example", tls=context).status == 200


def test_a_thousand_services_are_served_within_a_second(gateway, http_server):
    """The bound is for a machine that does more than this; the figure is printed."""
    server = http_server()
    config = Config({f"s{n}": plain(f"s{n}.example", server) for n in range(1000)}, {"logs": {"level": "warn"}})
    times = []
    for _ in range(3):
        start = time.monotonic()
        gw = gateway(config=config)
        times.append(gw.told(b"READY=1")[0] - start)
        assert http(gw.ports["http"], host="s999.example").status == 200
        gw.stop()
        gw.stopped = True
    print(f"1,000 services: READY=1 after {min(times):.2f} s, the best of {len(times)}")
    assert min(times) < 3.0, times


def test_a_killed_start_is_followed_by_a_good_one(gateway, http_server):
    config = Config({"web": plain("a.example", http_server())})
    chance = random.Random(9)
    for _ in range(10):
        gw = Gateway(config, wait_ready=False)
        killed(gw.process, lambda: time.sleep(chance.uniform(0, 0.2)))
    gw = gateway(config=config)
    until(lambda: http(gw.ports["http"], host="a.example").status == 200, "it serves")
