"""The systemd units and the quadlets, judged by Debian 13's systemd and podman, and by this machine's systemd."""
import os
import shutil
import subprocess

import podman
import pytest

COMPOSE = os.path.join(podman.ROOT, "compose")
GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"


def in_trixie(image, script):
    return podman.run(image, "sh", "-ec", script, options=["-v", f"{COMPOSE}:/compose:ro"])


def complaints(done):
    """What was said on stderr about our files; podman's own words about this machine are not about them."""
    return [line for line in done.stderr.splitlines() if "Loading source unit" not in line and "level=" not in line]


def quadlet(image, kind):
    """The unit that podman's generator makes of the quadlet; its complaints fail the test."""
    user = "-user" if kind == "rootless" else ""
    done = in_trixie(image, f"mkdir /q; cp /compose/quadlet/{kind}/* /compose/quadlet/*.network /q/; "
                            f"QUADLET_UNIT_DIRS=/q {GENERATOR} {user} -dryrun")
    assert not complaints(done)
    return done.stdout


@pytest.mark.parametrize("kind", ["rootful", "rootless"])
def test_quadlet_becomes_a_container_without_rights(trixie, kind):
    unit = quadlet(trixie, kind)
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart=/usr/bin/podman run"))
    for flag in ("--cap-drop all", "--read-only", "--security-opt=no-new-privileges", "--sdnotify=container",
                 "--stop-timeout 35", ":/etc/sallyport:ro", "--network sallyport", "--health-cmd", "--health-on-failure kill"):
        assert flag in start, (flag, start)
    assert "--cap-add" not in start and "-p " not in start, "the sockets come from systemd"
    assert ("keep-id:uid=10001,gid=10001" in start) == (kind == "rootless")
    for line in ("Type=notify", "Requires=sallyport-http.socket sallyport-https.socket", "ExecReload="):
        assert line in unit, (line, unit)


@pytest.mark.parametrize("kind", ["rootful", "rootless"])
def test_generated_units_are_valid(trixie, kind):
    user = "-user" if kind == "rootless" else ""
    done = in_trixie(trixie, f"mkdir /q /out; cp /compose/quadlet/{kind}/* /compose/quadlet/*.network /q/; "
                             f"QUADLET_UNIT_DIRS=/q {GENERATOR} {user} /out; cp /compose/systemd/*.socket /out; "
                             "test -f /out/sallyport.service; systemd-analyze verify /out/*.service /out/*.socket")
    assert not complaints(done)


def test_native_units_are_valid_on_debian_13(trixie):
    done = in_trixie(trixie, "ln -s /bin/true /usr/local/bin/sallyport; systemd-sysusers /compose/systemd/sallyport.sysusers 2>/dev/null; "
                             "mkdir /u; cp /compose/systemd/*.socket /compose/systemd/*.service /u; systemd-analyze verify /u/*; "
                             "id sallyport; systemd-analyze security --offline=yes --threshold=20 /u/sallyport.service")
    assert "overall exposure level" in done.stdout.lower()
    assert not complaints(done)


def test_native_unit_with_notify_reload_is_valid_on_debian_13(trixie):
    done = in_trixie(trixie, "ln -s /bin/true /usr/local/bin/sallyport; mkdir -p /u/sallyport.service.d; "
                             "cp /compose/systemd/sallyport.service /u; cd /u/sallyport.service.d; "
                             "sed 's/^#\\(\\[\\|[A-Z]\\)/\\1/' /compose/systemd/notify-reload.conf >notify-reload.conf; "
                             "grep -qx Type=notify-reload notify-reload.conf; systemd-analyze verify /u/sallyport.service")
    assert not complaints(done)


def test_native_units_are_valid_here(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed on this machine")
    for name in os.listdir(os.path.join(COMPOSE, "systemd")):
        if name.endswith((".socket", ".service")):
            with open(os.path.join(COMPOSE, "systemd", name)) as unit:
                (tmp_path / name).write_text(unit.read().replace("/usr/local/bin/sallyport", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "sallyport" not in done.stdout, done.stdout


def test_socket_names_are_the_built_in_listeners():
    ports = {"http": "80", "https": "443", "ssh": "22"}
    for name, port in ports.items():
        with open(os.path.join(COMPOSE, "systemd", f"sallyport-{name}.socket")) as unit:
            lines = unit.read().splitlines()
        assert f"FileDescriptorName={name}" in lines and f"ListenStream={port}" in lines
        assert "Service=sallyport.service" in lines
