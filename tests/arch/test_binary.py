"""The binary that people get is hardened."""
import re
import subprocess

import pytest

from lib import places


@pytest.fixture(scope="module")
def elf():
    """readelf's view of the release binary."""
    path = places.REPOSITORY / "build" / "release" / "pystrobe"
    assert path.exists(), "build it first: ./dev build"

    def read(*options):
        return subprocess.run(["readelf", "-W", *options, str(path)], capture_output=True, text=True, check=True).stdout

    return read


def test_position_independent(elf):
    assert re.search(r"Type:\s+DYN", elf("-h"))
    assert re.search(r"\(FLAGS_1\).*PIE", elf("-d"))


def test_relocations_are_read_only_from_the_start(elf):
    assert "GNU_RELRO" in elf("-l")
    assert re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*NOW", elf("-d"))


def test_stack_is_not_executable(elf):
    assert re.search(r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s", elf("-l"))


def test_no_segment_is_writable_and_executable(elf):
    assert not re.search(r"LOAD\s.*\sRWE\s", elf("-l"))


def test_stack_protector_and_fortified_calls(elf):
    symbols = elf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk\b(?<!__stack_chk)", symbols.replace("__stack_chk_fail", ""))


def test_no_library_search_path(elf):
    assert not re.search(r"RPATH|RUNPATH", elf("-d"))
