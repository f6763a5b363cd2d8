"""Targets whose code CPython's JIT compiles: stacks stay whole, and everything that shows them says that lines are the
last stored ones."""
import gzip
import json
import subprocess

import pytest

from lib import binomial, pythons, walker
from lib.places import TESTS
from lib.scale import scaled
from lib.waiting import wait_until

BUSY = """
def inner(n):
    total = 0
    for i in range(n):
        total += i * 3 ^ 5
        if total > 1000000:
            total -= 999999
    return total
def outer():
    while True:
        inner(100000)
outer()
"""
HEAD = "Python v{version}{jit} ("


@pytest.fixture
def busy(start_python, tmp_path):
    """busy(python) -> a process whose hot loop has had time to be compiled."""
    script = tmp_path / "busy.py"
    script.write_text(BUSY, encoding="utf-8")
    return lambda python: start_python(python, script)


def dumped(pystrobe, pid):
    return subprocess.run([pystrobe, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("python", pythons.compiling(), ids=str)
def test_a_target_that_compiles_is_labelled_in_dump_ps_profile_and_targets(python, busy, agent, pystrobe, tmp_path):
    process, out = busy(python), tmp_path / "out.pb.gz"
    wait_until(lambda: HEAD.format(version=python.version, jit=" with JIT") in dumped(pystrobe, process.pid), 40,
               "the JIT to be told of")
    listed = json.loads(subprocess.run([pystrobe, "ps", "--json"], capture_output=True, check=True, timeout=60).stdout)
    assert next(row for row in listed if row["pid"] == process.pid)["jit"] is True
    subprocess.run([pystrobe, "record", "--pid", str(process.pid), "-d", "1", "-o", out], check=True, timeout=60)
    assert b"; JIT: lines are those last stored" in gzip.decompress(out.read_bytes())
    watching = agent()
    wait_until(lambda: watching.wait_target(process.pid)["build"].endswith(", JIT"), 40, "the row to be labelled")


@pytest.mark.parametrize("python", [python for python in pythons.all_pythons() if python.jit], ids=str)
def test_a_target_whose_compiler_is_off_is_not_labelled(python, busy, pystrobe):
    process = busy(python)
    wait_until(lambda: "inner (" in dumped(pystrobe, process.pid), 40, "the hot loop")
    assert HEAD.format(version=python.version, jit="") in dumped(pystrobe, process.pid)


@pytest.mark.parametrize("python", pythons.compiling(), ids=str)
def test_paths_through_compiled_code_are_possible_ones(python, start_python, tmp_path):
    for load in ("flutter", "gens"):
        edges = tmp_path / f"edges-{load}"
        target = start_python(python, TESTS / "workloads" / "walker_loads.py", load, edges)
        walker.wait_for(edges, target)
        counts = json.loads(walker.run("walk_oracle", target.pid, edges, 1))
        target.kill()
        assert counts["stacks"] + counts["still"] > scaled(1000, 20)
        assert binomial.holds(counts["impossible"], counts["stacks"], 1e-4), counts["examples"]
