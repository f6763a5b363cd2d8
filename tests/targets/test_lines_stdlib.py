"""Line numbers are CPython's own, for every instruction of its standard library.

PYSTROBE_LINES_ALL=1 adds CPython's own tests to it.
"""
import subprocess

import pytest

from lib import places, walker
from lib.scale import scaled


def test_every_line_table_of_the_standard_library_decodes_as_cpython_does(minor_python, tmp_path):
    out = tmp_path / "lines.bin"
    done = minor_python.run(places.TESTS / "workloads" / "walker_lines.py", out, scaled(10 ** 9, 100), timeout=300, stderr=subprocess.DEVNULL)
    assert done.returncode == 0
    print(minor_python, walker.run("line_oracle", out, *minor_python.info, timeout=300))
