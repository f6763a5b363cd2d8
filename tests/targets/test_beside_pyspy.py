"""pystrobe and the real py-spy record the same work at the same time: same functions on top, shares within 3 points."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib import places, pyspy
from lib.notes import note
from lib.scale import JUDGED, scaled
from lib.waiting import wait_exit, wait_until

PHASES = places.TESTS / "workloads" / "phases.py"
RATE = "200"

WOKEN = "py-spy counts threads that its own stop has woken from sleep"
TURNS = "py-spy counts a thread that wakes to ask for the GIL as running, we count by CPU time"
# What both are asked for beyond the process; frames that only py-spy shows as running; how many points their shares may
# lie apart; why.
CASES = {
    "plain": ([], set(), 3, ""),
    "nested": ([], set(), 3, ""),
    "native": ([], set(), 3, ""),
    "asleep": ([], {"asleep"}, 3, WOKEN),
    "threads": ([], {"threads", "join", "_wait_for_tstate_lock", "wait"}, 20, f"{WOKEN}; {TURNS}"),
    "gil": (["--gil"], set(), 3, ""),
}


def own(text, without):
    """Share of own samples by function, and their number; py-spy has bare names, we have qualified ones; it shows nothing
    of a thread without a frame, as at the interpreter's end, which we call [no Python frame]."""
    counts = {}
    for line in text.splitlines():
        stack, number = line.rsplit(" ", 1)
        name = stack.rsplit(";", 1)[-1].split(" (")[0].split(".")[-1]
        counts[name] = counts.get(name, 0) + int(number)
    left = {name: count for name, count in counts.items() if name and name not in without and not name.startswith("[")}
    whole = sum(left.values())
    return {name: 100 * count / whole for name, count in left.items()}, sum(counts.values()), sum(counts.values()) - whole


def traced(pid):
    """Somebody stops it for a look right now."""
    return re.search(r"^TracerPid:\s+[1-9]", Path(f"/proc/{pid}/status").read_text(), re.M)


def samples(process):
    """Until the thread that samples is there."""
    names = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/comm")]
    return "pst-sample\n" in names


def both(pystrobe, processes, folder, case):
    """What each shows of one whole run of the workload. Each has a run of its own at the same time: a target that
    py-spy has stopped does not run, and whoever looks from outside sees just that."""
    words, without, _, _ = CASES[case]
    targets = [processes([sys.executable, "-S", "-E", PHASES, "plain" if case == "gil" else case], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE) for _ in range(2)]
    for target in targets:
        assert target.stdout.readline() == b"ready\n"
    common = ["--rate", RATE, "--format", "raw", *words]
    ours = processes([pystrobe, "record", "--pid", targets[0].pid, *common, "-o", folder / "ours", "-q"])
    theirs = processes([pyspy.executable(), "record", "--pid", targets[1].pid, *common, "-o", folder / "theirs"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: samples(ours), 30, "pystrobe to look at it")
    wait_until(lambda: traced(targets[1].pid), 30, "py-spy to look at it", interval=0.0005)
    for target in targets:
        target.stdin.write(b"go\n")
        target.stdin.close()
    for target in targets:
        assert wait_exit(target, 120) == 0
    assert wait_exit(ours, 30) == 0
    wait_exit(theirs, 30)
    return own((folder / "ours").read_text(), without), own((folder / "theirs").read_text(), without)


def difference(ours, theirs):
    return max(abs(ours.get(name, 0) - theirs.get(name, 0)) for name in ours.keys() | theirs.keys())


def allowed(case, ours, theirs):
    """The case's points, or three standard errors where so few samples cannot tell more: both count hits, by chance."""
    share = max(0.01, *(min(value, 100 - value) / 100 for value in ours[0].values()))
    error = 100 * (share * (1 - share) * (1 / max(ours[1], 1) + 1 / max(theirs[1], 1))) ** 0.5
    return max(CASES[case][2], 3 * error)


def table(case, ours, theirs):
    """What a person should see of a case."""
    shares = ", ".join(f"{name} {ours[0].get(name, 0):.1f}|{theirs[0].get(name, 0):.1f}"
                       for name in sorted(ours[0].keys() | theirs[0].keys(), key=lambda name: -ours[0].get(name, 0))
                       if max(ours[0].get(name, 0), theirs[0].get(name, 0)) >= 0.5)
    note(f"beside py-spy, {case}: {shares} % (pystrobe|py-spy, {ours[1]}|{theirs[1]} samples)")
    if CASES[case][3]:
        note(f"beside py-spy, {case}: of these {ours[2]}|{theirs[2]} in {', '.join(sorted(CASES[case][1]))}: {CASES[case][3]}")


@pytest.mark.serial
@pytest.mark.parametrize("case", CASES)
def test_same_functions_and_shares(pystrobe, processes, tmp_path, case):
    for attempt in range(3):  # two samplers that count hits differ by chance too
        folder = tmp_path / str(attempt)
        folder.mkdir()
        ours, theirs = both(pystrobe, processes, folder, case)
        if not JUDGED or difference(ours[0], theirs[0]) <= allowed(case, ours, theirs):
            break
    table(case, ours, theirs)
    assert min(ours[1], theirs[1]) >= scaled(50, 1)
    if not JUDGED:
        return
    assert {name for name, share in ours[0].items() if share >= 5} == {name for name, share in theirs[0].items() if share >= 5}
    assert difference(ours[0], theirs[0]) <= allowed(case, ours, theirs), (ours, theirs)
