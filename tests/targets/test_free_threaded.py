"""CPython without a GIL: several threads run at once, and nobody holds what is not there."""
import json
import os
import subprocess

import pytest

from lib import binomial, notes, places, pprof, pythons, walker
from lib.scale import JUDGED, scaled
from lib.waiting import wait_until

BUILDS = [python for python in pythons.all_pythons() if python.free_threaded]
WORKLOADS = places.TESTS / "workloads"
IMPOSSIBLE, TORN = 1e-4, 2e-2  # as of single threads: some of these run generators without a pause
SECONDS = float(os.environ.get("PYSTROBE_TORN_SECONDS", scaled(1, 0.3)))

pytestmark = pytest.mark.parametrize("python", BUILDS, ids=str)

SPINNERS = """
import os, sys, threading, time
def spin():
    while True:
        sum(range(200))
for number in range(int(sys.argv[2])):
    threading.Thread(target=spin, name="spinner-%d" % number, daemon=True).start()
open(sys.argv[1], "w").close()
threading.Event().wait(600)
"""


@pytest.fixture
def spinners(start_python, tmp_path):
    """start(python, count, **environment) -> pid of a process with that many threads that never wait."""

    def start(python, count, **env):
        script, ready = tmp_path / "spinners.py", tmp_path / "ready"
        script.write_text(SPINNERS, encoding="utf-8")
        ready.unlink(missing_ok=True)  # of the one before
        target = start_python(python, script, ready, count, env=env)
        walker.wait_for(ready, target)
        return target.pid

    return start


@pytest.mark.serial
@pytest.mark.parametrize("loads", [["flutter"] * 4, ["fib", "gens", "normal", "callbacks"]], ids=" ".join)
def test_no_impossible_path_of_four_threads_at_once(python, loads, start_python, tmp_path):
    edges = tmp_path / "edges"
    target = start_python(python, WORKLOADS / "walker_threads.py", edges, *loads)
    walker.wait_for(edges, target)
    counts = json.loads(walker.run("walk_oracle", target.pid, edges, SECONDS, timeout=SECONDS + 60))
    notes.note(f"torn reads, {python}, threads {' '.join(loads)}: {counts['stacks']} stacks, {counts['impossible']} "
               f"impossible, {counts['torn']} torn, {counts['trimmed']} trimmed")
    assert counts["stacks"] > scaled(500, 1)
    assert binomial.holds(counts["impossible"], counts["stacks"], IMPOSSIBLE), counts["examples"]
    assert not JUDGED or binomial.holds(counts["torn"], counts["stacks"], TORN), counts["verdicts"]
    # On a busy machine the target may not have run at all while it was read.
    for _ in range(scaled(10, 0)):
        naked = json.loads(walker.run("walk_oracle", target.pid, edges, 0.3, "unvalidated", timeout=60))
        if naked["impossible"] > 10 * (1 + counts["impossible"]):
            break
    assert not JUDGED or naked["impossible"] > counts["impossible"], "the oracle does not see what the validation prevents"


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.serial
def test_four_running_threads_weigh_what_all_cpus_gave_them(python, pystrobe, spinners, tmp_path):
    pid, out = spinners(python, 4), tmp_path / "out.pb.gz"
    before = cpu_seconds(pid)
    subprocess.run([pystrobe, "record", "--pid", str(pid), "--mode", "cpu", "-d", "4", "-r", "97", "-o", out], check=True,
                   timeout=60)
    used = cpu_seconds(pid) - before
    profile = pprof.Profile.load(out)
    threads = {}
    for sample in profile.samples:
        if any(frame.name == "spin" for frame in sample.stack):
            name = sample.labels.get("thread_name")
            threads[name] = threads.get(name, 0) + sample.values[-1] / 1e9
    total = sum(threads.values())
    notes.note(f"four threads of {python}: {total:.2f} s of CPU seen in 4 s, {used:.2f} s used")
    assert set(threads) == {f"spinner-{number}" for number in range(4)}
    assert scaled(0.8, 0.1) * used <= total <= 1.03 * used
    assert not JUDGED or min(threads.values()) > 0.5 * total / 4


def test_threads_are_attached_at_the_same_time_and_hold_no_gil(python, spinners):
    pid = spinners(python, 3)

    def together():
        threads = walker.dump(pid)["threads"]
        assert not any(thread["gil"] for thread in threads)
        return sum(thread["attached"] for thread in threads) >= 3

    wait_until(together, timeout=30, what="three attached threads")


def test_a_gil_that_was_asked_for_has_one_holder(python, spinners):
    pid = spinners(python, 3, PYTHON_GIL="1")

    def held():
        holders = sum(thread["gil"] for thread in walker.dump(pid)["threads"])
        assert holders <= 1
        return holders

    wait_until(held, timeout=30, what="a holder of the GIL")


def record_gil(pystrobe, pid, out):
    return subprocess.run([pystrobe, "record", "--pid", str(pid), "--mode", "gil", "-d", "2", "-o", out], capture_output=True,
                          text=True, timeout=60)


def test_recording_the_gil_is_refused_only_where_there_is_none(python, pystrobe, spinners, tmp_path):
    refused = record_gil(pystrobe, spinners(python, 2), tmp_path / "none.pb.gz")
    assert refused.returncode == 2 and "GIL" in refused.stderr
    taken = record_gil(pystrobe, spinners(python, 2, PYTHON_GIL="1"), tmp_path / "some.pb.gz")
    assert taken.returncode == 0, taken.stderr
    assert any(frame.name == "spin" for sample in pprof.Profile.load(tmp_path / "some.pb.gz").samples for frame in sample.stack)


def test_lines_are_cpythons_for_the_standard_library(python, tmp_path):
    out = tmp_path / "lines.bin"
    done = python.run(WORKLOADS / "walker_lines.py", out, timeout=300, stderr=subprocess.DEVNULL)
    assert done.returncode == 0
    print(python, walker.run("line_oracle", out, *python.info, timeout=300))


def test_it_is_named_as_free_threaded(python, pystrobe, spinners):
    pid = spinners(python, 1)
    done = subprocess.run([pystrobe, "ps", "--json"], capture_output=True, text=True, timeout=60, check=True)
    (row,) = [row for row in json.loads(done.stdout) if row["pid"] == pid]
    assert row["free_threaded"] is True and row["state"] == "ready" and row["python"] == python.version
