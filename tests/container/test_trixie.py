"""Debian 13: g++ 14, newer libraries, Catch2 3. The source builds without a warning and the unit tests pass."""
import os

import podman

BUILD = os.path.join(podman.ROOT, "build", "trixie")


def in_trixie(image, script):
    return podman.run(image, "sh", "-ec", script, timeout=3600, options=[
        "-v", f"{podman.ROOT}:/src:ro", "-v", f"{BUILD}:/build", "-e", "CCACHE_DIR=/build/ccache"])


def test_debian_13_builds_and_its_unit_tests_pass(trixie):
    os.makedirs(BUILD, exist_ok=True)
    jobs = os.environ.get("JOBS", str(os.cpu_count()))
    in_trixie(trixie, "cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release")
    in_trixie(trixie, f"ninja -C /build -j{jobs}")
    tests = in_trixie(trixie, f"ctest --test-dir /build --output-on-failure -j{jobs}").stdout
    assert "unit_base" in tests and "includes" in tests and "100% tests passed" in tests, tests
