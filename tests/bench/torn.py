"""How often a stack that was read from a running program cannot be, and how far its leaves are off: by version and load, next to
Austin 4 and CPython's own profiling.sampling (Tachyon) on the same target.

    ./dev bench torn [--seconds N] [--minor M…] [--load L…]

Samples flat out, which is when stacks are torn most; what a target does to a sampler with a pause between samples is the
same, less often counted. A stack without frames counts as torn. `trimmed` is the share of stacks that lack leaves which were not the same in every copy. `leaves` is the total
variation distance between the leaves found and those of the same target stopped for each of some thousand samples (all at moments
of their own: our leaves are those of a run at random moments). Austin needs a libc of 2024: it is run
where a target's own root has one. Tachyon attaches to the Python alone that it is part of: 3.15.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench  # noqa: E402
from lib import mojo, places, pythons, walker  # noqa: E402

LOADS = ["flutter", "fib", "gens", "normal", "deep", "callbacks", "tasks", "shares10"]
RUNS = 3


def first(pid, cpus):
    """On its own CPU, before others, where the machine lets us."""
    os.sched_setaffinity(pid, cpus)
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass


def run_oracle(pid, edges, seconds):
    total = {}
    for _ in range(RUNS):
        counts = json.loads(walker.run("walk_oracle", pid, edges, seconds / RUNS, timeout=seconds + 60))
        for name in ("stacks", "impossible", "torn", "trimmed"):
            total[name] = total.get(name, 0) + counts[name]
        total.setdefault("us", []).append(counts["cpu_us_per_stack"])
    return {"stacks": total["stacks"], "us": sorted(total["us"])[RUNS // 2],
            **{name: total[name] / max(total["stacks"], 1) for name in ("impossible", "torn", "trimmed")}}


def leaves_of(pid, edges, seconds, mode):
    return json.loads(walker.run("walk_oracle", pid, edges, seconds, mode, timeout=seconds + 60))["leaves"]


def distance(leaves, others):
    """Total variation between two distributions."""
    names, mine, theirs = set(leaves) | set(others), sum(leaves.values()) or 1, sum(others.values()) or 1
    return sum(abs(leaves.get(name, 0) / mine - others.get(name, 0) / theirs) for name in names) / 2


def leaf_of(stack):
    """As the oracle names it: what spin does, its caller asked for."""
    names = [name for _, name, _ in stack]
    return names[-2] if names[-1] == "spin" and len(names) > 1 else names[-1]


def allowed_steps(edges):
    found = set()
    for line in edges.read_text().splitlines():
        if line.count("\t") == 2:
            caller, number, callee = line.split("\t")
            found.add((caller, int(number), callee))
    return found


def possible(stack, steps):
    """stack: (file, name, line) from the root on. What the oracle asks of ours."""
    own = [(name, line) if Path(file).name.startswith("walker_") else ("*", 0) for file, name, line in stack]
    return bool(own) and own[0][0] == "<module>" and \
        all((name, line, callee) in steps for (name, line), (callee, _) in zip(own, own[1:]))


def run_austin(python, pid, edges, seconds, folder, cpus):
    program, why = bench.austin_program()
    if not program:
        return why or "no program"
    if not python.root:
        return "its libc is newer than this target's"
    visible, out = folder / "austin", folder / "austin.mojo"
    shutil.copy(program, visible)
    words = ["nsenter", "-t", str(pid), "--mount", "--root", "--wd", str(visible), "-i", "50", "-x", str(int(seconds) or 1),
             "-p", str(pid), "-o", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 30, check=False, preexec_fn=lambda: first(0, cpus))
    if not out.exists():
        return (done.stderr or done.stdout).strip()[-100:] or "no output"
    return judge(((stack, 1) for stack in whole_or_none(out)), edges)


def whole_or_none(path):
    return (stack if whole else None for stack, whole in mojo.stacks(path.read_bytes()))


def judge(counted, edges):
    """counted: (stack or None where the sampler itself says that it is invalid, how often)."""
    steps, stacks, invalid, wrong, leaves = allowed_steps(edges), 0, 0, 0, Counter()
    for stack, count in counted:
        stacks += count
        if not stack:
            invalid += count
            continue
        leaves[leaf_of(stack)] += count
        wrong += 0 if possible(stack, steps) else count
    if not stacks:
        return "no stacks"
    return {"stacks": stacks, "impossible": wrong / stacks, "torn": invalid / stacks, "leaves": leaves}


def collapsed(text):
    """Lines of Tachyon: tid:N;file:name:line;… count."""
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        stack = [frame.rsplit(":", 2) for frame in frames.split(";")[1:]]
        yield [(file, name, int(number)) for file, name, number in stack], int(count)


def run_tachyon(python, pid, edges, seconds, folder, cpus):
    if python.minor != "3.15":
        return "attaches to 3.15 alone"
    out = folder / "tachyon"
    words = [python.exe, "-m", "profiling.sampling", "attach", "-r", "20000", "-d", str(int(seconds) or 1), "--no-gc", "--collapsed",
             "-o", str(out), str(pid)]
    if python.root:
        words = ["nsenter", "-t", str(pid), "--mount", "--root", "--wd", *words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 60, check=False, preexec_fn=lambda: first(0, cpus))
    failed = re.search(r"Error rate: ([\d.]+)", done.stdout)
    if not out.exists() or not failed:
        return (done.stderr or done.stdout).strip()[-100:] or "no output"
    got = judge(collapsed(out.read_text(encoding="utf-8")), edges)
    if isinstance(got, dict):
        got["torn"] = float(failed[1]) / 100
    return got


def row(minor, load, name, got, stopped):
    if isinstance(got, str):
        print(f"{minor:6} {load:10} {name:9} not run: {got}", flush=True)
        return
    trimmed, us = (f"{100 * got['trimmed']:9.1f}%", f"{got['us']:8.1f}") if "us" in got else (" " * 10, " " * 8)
    print(f"{minor:6} {load:10} {name:9} {got['stacks']:9} {100 * got['impossible']:11.4f}% {100 * got['torn']:8.3f}% {trimmed} "
          f"{100 * distance(got['leaves'], stopped):7.1f}% {us}", flush=True)


def measure(python, load, seconds):
    mine = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder, edges = Path(name), Path(name) / "edges"
        folder.chmod(0o755)
        target = python.popen(places.TESTS / "workloads" / "walker_loads.py", load, edges)
        try:
            walker.wait_for(edges, target)
            first(target.pid, mine[:1])
            time.sleep(0.1)
            stopped = leaves_of(target.pid, edges, seconds, "stopped")
            mine_got = dict(run_oracle(target.pid, edges, seconds), leaves=leaves_of(target.pid, edges, seconds, "paced"))
            row(python.minor, load, "pystrobe", mine_got, stopped)
            for name, run in (("austin", run_austin), ("tachyon", run_tachyon)):
                row(python.minor, load, name, run(python, target.pid, edges, seconds, folder, mine[-1:]), stopped)
        finally:
            target.kill()
            target.wait()


def main():
    parser = argparse.ArgumentParser(prog="./dev bench torn")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--minor", nargs="*")
    parser.add_argument("--load", nargs="*", default=LOADS)
    asked = parser.parse_args()
    print(f"{'minor':6} {'load':10} {'sampler':9} {'stacks':>9} {'impossible':>12} {'torn':>9} {'trimmed':>10} {'leaves':>8} {'us':>8}")
    for python in pythons.one_per_minor():
        if not asked.minor or python.minor in asked.minor:
            for load in asked.load:
                if load != "tasks" or python.info >= (3, 7):
                    measure(python, load, asked.seconds)


if __name__ == "__main__":
    main()
