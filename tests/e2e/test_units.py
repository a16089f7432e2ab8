"""The native systemd unit, as this machine's systemd judges it."""
import os
import re
import shutil
import subprocess

import pytest

from harness.gateway import ROOT

UNITS = os.path.join(ROOT, "compose", "systemd")

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed on this machine")


def test_the_unit_is_closed_down(tmp_path):
    """0 is safest, 10 the opposite; an open unit has 9.6."""
    unit = shutil.copy(os.path.join(UNITS, "sallyport.service"), tmp_path)
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", unit], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    level = re.search(r"exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert level, done.stdout
    print(level.group(0))
    assert float(level.group(1)) < 2.0, done.stdout


@pytest.mark.parametrize("drop_in", [None, "notify-reload.conf"])
def test_the_units_are_valid(tmp_path, drop_in):
    """With the drop-in as it is: all of it commented, as it is for a newer systemd."""
    for name in os.listdir(UNITS):
        if name.endswith((".socket", ".service")):
            with open(os.path.join(UNITS, name)) as unit:
                (tmp_path / name).write_text(unit.read().replace("/usr/local/bin/sallyport", "/bin/true"))
    units = [str(path) for path in tmp_path.iterdir()]
    if drop_in:
        (tmp_path / "sallyport.service.d").mkdir()
        shutil.copy(os.path.join(UNITS, drop_in), tmp_path / "sallyport.service.d")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "sallyport" not in done.stdout, done.stdout
