"""CPU and wall shares against the target's own thread clocks, in every situation that is known to bend them."""
import bisect
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib import notes, places, pythons
from lib.scale import JUDGED, scaled
from lib.waiting import wait_until

pytestmark = pytest.mark.serial

WORKLOAD = places.TESTS / "workloads" / "shares.py"
HZ = scaled(997, 197)
SECONDS, PAUSE_SECONDS = scaled((6, 5), (1, 2))
WINDOW, WINDOWS = scaled(("2s", 4), ("1s", 2))
POINTS = 0.02
TOTAL = 0.03
# Books are kept a few times a second, so an interval's ends are known to within one snapshot.
NATIVE = """
#include <pthread.h>
static void *spin(void *p) { volatile unsigned long n = 0; for (;;) n++; return p; }
void start_spinning(void) { pthread_t t; pthread_create(&t, 0, spin, 0); pthread_setname_np(t, "number-cruncher"); }
"""


class Books:
    """What the target wrote down, interpolated."""

    def __init__(self, path):
        self.rows = []
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            try:
                self.rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        self.times = [row["time"] for row in self.rows]

    def at(self, time_ns, read):
        index = bisect.bisect_right(self.times, time_ns)
        assert 0 < index < len(self.rows), "the interval lies outside the books"
        before, after = self.rows[index - 1], self.rows[index]
        part = (time_ns - before["time"]) / (after["time"] - before["time"])
        return read(before) + (read(after) - read(before)) * part

    def between(self, start_ns, end_ns, read):
        return self.at(end_ns, read) - self.at(start_ns, read)

    def cpu(self, start_ns, end_ns):
        return self.between(start_ns, end_ns, lambda row: row["cpu"])

    def function(self, start_ns, end_ns, name, column):
        return self.between(start_ns, end_ns, lambda row: row["functions"].get(name, [0, 0])[column])

    def names(self):
        return sorted({name for row in self.rows for name in row["functions"]})


class Measured:
    """All profiles of one mode of one service, added up."""

    def __init__(self, profiles, known):
        self.values, self.samples = {}, 0
        self.start_ns = min(profile.time_nanos for profile in profiles)
        self.end_ns = max(profile.time_nanos + profile.duration_nanos for profile in profiles)
        for profile in profiles:
            for sample in profile.samples:
                name = next((frame.name for frame in reversed(sample.stack) if frame.name in known), sample.leaf.name)
                self.values[name] = self.values.get(name, 0) + sample.values[1]
                self.samples += sample.values[0]

    @property
    def total(self):
        return sum(self.values.values())


def of_process(profiles, pid):
    """Only this process's samples: children of the workload have profiles of their own."""
    kept = []
    for profile in profiles:
        profile.samples = [sample for sample in profile.samples if sample.labels.get("pid") == pid]
        if profile.samples:
            kept.append(profile)
    return kept


def run_case(agent, start_python, tmp_path, case, *, settings=None, during=None, before=None, wrap=(), env=None, hz=HZ,
             seconds=SECONDS):
    """Runs the workload under an agent for so many seconds and returns (books, cpu, wall) of it."""
    log = tmp_path / "books.jsonl"
    python = pythons.system_python()
    sampling = {"hz": hz, "window": WINDOW, "overhead": {"cpu": "100%", "memory": "1GiB"}}
    running = agent({"sampling": sampling, **(settings or {})})
    running.wait_ready()
    if before:
        before(running)
    target = start_python(python, WORKLOAD, case, log, env={"SHARES_HZ": str(hz), **(env or {})}) if not wrap else None
    if wrap:
        target = wrap[0](python.argv(WORKLOAD, case, log), {**os.environ, "SHARES_HZ": str(hz), **(env or {})})
    running.wait_target(target.pid)
    wait_until(lambda: any(row["pid"] == target.pid and row["state"] == "active" for row in running.targets()), 30,
               "the workload to be sampled")
    time.sleep(seconds / 2)
    if during:
        during(running)
    time.sleep(seconds / 2)
    wait_until(lambda: len(of_process(running.read_profiles("cpu"), target.pid)) >= WINDOWS, 30, "profiles of the workload")
    assert running.stop() == 0
    stopped_ns = time.time_ns()
    wait_until(lambda: Books(log).times[-1] > stopped_ns, 10, "the books to reach past the last window")
    books = Books(log)
    known = set(books.names())

    def measured(mode):
        covered = [profile for profile in of_process(running.read_profiles(mode), target.pid)
                   if profile.time_nanos > books.times[0]]
        return Measured(covered, known)

    return books, measured("cpu"), measured("wall")


def tolerance(share, samples):
    return max(POINTS, 3 * math.sqrt(max(share * (1 - share), 0.01) / max(samples, 1)))


def check_total(books, cpu):
    """What a thread used without a sample may be carried over four windows: into the interval, or out of it."""
    true = books.cpu(cpu.start_ns, cpu.end_ns)
    assert not JUDGED or cpu.total == pytest.approx(true, rel=TOTAL, abs=40e6), f"{cpu.total / 1e9:.3f} s in the profile, {true / 1e9:.3f} s used"


def check_shares(books, measured, column, names, case, brief=""):
    """What `brief` uses lies in pieces shorter than a look (going to sleep and waking, which take longer where others
    compete for caches and CPUs): that these stand under their neighbour is known, so their share is allowed for."""
    true = {name: books.function(measured.start_ns, measured.end_ns, name, column) for name in names}
    whole = sum(true.values())
    print(case, sorted(measured.values.items(), key=lambda pair: -pair[1]))
    found = sum(measured.values.get(name, 0) for name in names)
    assert whole > 0 and found > 0
    unseen = true.get(brief, 0) / whole
    for name in names:
        expected, got = true[name] / whole, measured.values.get(name, 0) / found
        notes.note(f"{case} {'cpu' if column == 0 else 'wall'} {name}: true {expected:.3f}, profile {got:.3f}")
        assert not JUDGED or got == pytest.approx(expected, abs=max(tolerance(expected, measured.samples), unseen)), name


WORK = ("alpha", "beta", "gamma")


def test_steady_work_of_50_30_20(agent, start_python, tmp_path):
    books, cpu, wall = run_case(agent, start_python, tmp_path, "steady")
    check_total(books, cpu)
    check_shares(books, cpu, 0, WORK, "steady")
    check_shares(books, wall, 1, WORK, "steady")


@pytest.mark.parametrize("case", ["bursts-20ms", "bursts-1s"])
def test_bursts_of_2_ms_are_not_charged_to_the_sleep_behind_them(agent, start_python, tmp_path, case):
    books, cpu, wall = run_case(agent, start_python, tmp_path, case)
    check_total(books, cpu)
    check_shares(books, cpu, 0, ("alpha", "rest"), case, brief="rest")
    check_shares(books, wall, 1, ("alpha", "rest"), case)


def test_work_with_the_period_of_sampling_is_seen_at_its_true_share(agent, start_python, tmp_path):
    books, cpu, wall = run_case(agent, start_python, tmp_path, "periodic", hz=197, seconds=2 * SECONDS)
    check_total(books, cpu)
    check_shares(books, wall, 1, ("alpha", "rest"), "periodic")
    check_shares(books, cpu, 0, ("alpha", "rest"), "periodic", brief="rest")


def test_eight_threads_of_one_gil_get_their_own_cpu_not_the_waiters(agent, start_python, tmp_path):
    books, cpu, wall = run_case(agent, start_python, tmp_path, "one-gil")
    check_total(books, cpu)
    check_shares(books, cpu, 0, WORK, "one-gil")
    check_shares(books, wall, 1, WORK + ("rest",), "one-gil")


def test_c_code_that_released_the_gil_counts(agent, start_python, tmp_path):
    books, cpu, wall = run_case(agent, start_python, tmp_path, "released")
    check_total(books, cpu)
    check_shares(books, cpu, 0, ("squeeze", "digest", "alpha"), "released")
    check_shares(books, wall, 1, ("squeeze", "digest", "alpha"), "released")


def test_native_threads_stand_under_their_own_name(agent, start_python, tmp_path):
    source, library = tmp_path / "native.c", tmp_path / "native.so"
    source.write_text(NATIVE)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-lpthread"], check=True)
    books, cpu, wall = run_case(agent, start_python, tmp_path, "native", env={"SHARES_NATIVE": str(library)})
    check_total(books, cpu)
    native = cpu.values.get("[native thread] number-cruncher", 0)
    known = sum(books.function(cpu.start_ns, cpu.end_ns, name, 0) for name in books.names())
    assert native and (not JUDGED or native == pytest.approx(books.cpu(cpu.start_ns, cpu.end_ns) - known, rel=0.05))
    check_shares(books, wall, 1, ("alpha", "rest"), "native")


def test_agent_and_target_on_one_cpu(agent, start_python, tmp_path):
    def pin(running):
        for pid in [running.pid, *children_of(running.pid)]:
            os.sched_setaffinity(pid, {0})
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {0})

    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {0})  # inherited by the target
        books, cpu, wall = run_case(agent, start_python, tmp_path, "bursts-20ms", before=pin)
    finally:
        os.sched_setaffinity(0, mine)
    check_total(books, cpu)
    check_shares(books, cpu, 0, ("alpha", "rest"), "one cpu", brief="rest")
    check_shares(books, wall, 1, ("alpha", "rest"), "one cpu")


def children_of(pid):
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


@pytest.fixture
def quota():
    """Puts processes into a cgroup that gets 20% of a CPU; v1 or v2, whichever the machine has."""
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    name = f"pystrobe-test-{os.getpid()}"
    if (v1 / "cpu.cfs_quota_us").exists():
        group = v1 / name
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("20000")
    elif "cpu" in ((v2 / "cgroup.subtree_control").read_text() if (v2 / "cgroup.subtree_control").exists() else ""):
        group = v2 / name
        group.mkdir()
        (group / "cpu.max").write_text("20000 100000")
    else:
        pytest.skip("this machine has no CPU controller that a test may use")
    yield lambda pid: (group / "cgroup.procs").write_text(str(pid))
    wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), 10, "the cgroup to be empty")
    group.rmdir()


def test_target_under_a_quota_of_20_percent(quota, agent, processes, start_python, tmp_path):
    def limited(argv, env):
        target = processes(argv, env=env)
        quota(target.pid)
        return target

    books, cpu, wall = run_case(agent, start_python, tmp_path, "steady", wrap=(limited,))
    check_total(books, cpu)
    check_shares(books, cpu, 0, WORK, "quota")
    check_shares(books, wall, 1, WORK, "quota")


def test_agent_stopped_for_five_seconds(agent, start_python, tmp_path):
    def freeze(running):
        pids = [running.pid, *children_of(running.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)

    books, cpu, wall = run_case(agent, start_python, tmp_path, "steady", during=freeze)
    check_total(books, cpu)
    check_shares(books, cpu, 0, WORK, "stopped")
    check_shares(books, wall, 1, WORK, "stopped")
    assert PAUSE_SECONDS - 1 < wall.values.get("[not observed]", 0) / 1e9 < PAUSE_SECONDS + 0.5, "the gap stands under its own name"
    assert 0 < cpu.values.get("[not observed]", 0) / 1e9 < PAUSE_SECONDS + 0.5


def test_threads_and_children_that_come_and_go(agent, start_python, tmp_path):
    books, cpu, _ = run_case(agent, start_python, tmp_path, "churn")
    check_total(books, cpu)
    check_shares(books, cpu, 0, WORK, "churn")
