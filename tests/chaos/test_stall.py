"""A target whose memory never answers costs that target only."""
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos.roles import role_pids, state
from lib import pprof
from lib.agent import Agent
from lib.scale import JUDGED, scaled
from lib.waiting import wait_until

STALLING = Path(__file__).with_name("stalling.py")
# Serial, since any other agent on the machine would meet the same pages, and be the one who is stuck on them.
pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting FUSE and userfaultfd of kernel faults take root"),
]
UNBOUNDED = {"cpu": "100%", "memory": "1GiB"}  # whatever else runs here is sampled too, and is not what is tested

STEADY = """
import time
def work():
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        pass
while True:
    work()
    time.sleep(0.02)
"""


class Stalls:
    """Starts helpers of stalling.py; ends them so that whoever is stuck on them comes free."""

    def __init__(self, folder):
        self.folder = folder
        self.helpers = []
        self.mounts = []

    def start(self, *words):
        helper = subprocess.Popen([sys.executable, str(STALLING), *map(str, words)], stdout=subprocess.PIPE, text=True)
        self.helpers.append(helper)
        assert select.select([helper.stdout], [], [], 10)[0], f"stalling.py {words} says nothing"
        assert helper.stdout.readline() == "READY\n", f"stalling.py {words} is not ready"
        return helper

    def page(self):
        """A file whose bytes never come, a new one each time: a second wait for the same page could be ended."""
        mount = self.folder / "never"
        if not mount.exists():
            mount.mkdir()
            self.mounts.append(mount)
            self.start("fuse", mount)
        return mount / f"page{len(self.helpers)}"

    def python(self, what, kind):
        """A Python process with `what` (target, environment) on a page that never answers."""
        return self.start(what, kind, *([self.page()] if kind == "fuse" else []))

    def end(self):
        # The file system first: it holds everybody else.
        for helper in self.helpers:
            helper.kill()
        for mount in self.mounts:
            subprocess.run(["umount", "-l", str(mount)], check=False)
        for helper in self.helpers:
            helper.wait(10)
            helper.stdout.close()


@pytest.fixture
def stalls(tmp_path):
    made = Stalls(tmp_path)
    yield made
    made.end()


def steady(processes, service="steady"):
    return processes([sys.executable, "-c", STEADY], env={**os.environ, "OTEL_SERVICE_NAME": service})


def wait_stalled(agent, count):
    wait_until(lambda: agent.metric("pystrobe_target_stalls_total") >= count, 30, f"{count} stalls to be seen")


def windows_of(agent, service):
    found = [pprof.Profile.load(path) for path in agent.profiles.glob(f"{service}_wall_*.pb.gz")]
    return sorted(found, key=lambda profile: profile.time_nanos)


def row_of(agent, pid):
    return next((row for row in agent.targets() if row["pid"] == pid), None)


@pytest.mark.parametrize("kind", ["fuse", "uffd"])
def test_the_others_keep_99_percent_of_their_samples(agent, processes, stalls, kind):
    """What a steady target should have been asked, and what it was: a stall costs the others one detection and one
    restart, which is 1% of a little over two minutes. What is lost is counted in seconds, so that a shorter run tells."""
    seconds, hz, lost_at_most = scaled(25, 12), 19, 0.01 * 130
    steady(processes)
    running = agent({"sampling": {"hz": hz, "window": "2s", "overhead": UNBOUNDED}}).wait_ready()
    wait_until(lambda: windows_of(running, "steady"), 30, "a window of the steady target")
    began = time.time_ns()
    stuck = stalls.python("target", kind)
    wait_stalled(running, 1)
    time.sleep(max(0.0, began / 1e9 + seconds - time.time()))
    assert running.stop() == 0
    inside = [profile for profile in windows_of(running, "steady") if profile.time_nanos >= began]
    samples = sum(profile.total("samples") for profile in inside)
    covered = (inside[-1].time_nanos + inside[-1].duration_nanos - inside[0].time_nanos) / 1e9
    assert covered > seconds - 10
    if JUDGED:
        assert samples >= (covered - lost_at_most) * hz, f"{samples} samples in {covered:.1f} s"
    assert samples <= 1.05 * covered * hz
    assert stuck.poll() is None, "the stalled target itself was left alone"


@pytest.mark.parametrize("kind", ["fuse", "uffd"])
def test_the_stalled_target_is_named_and_left_alone_within_2_s(agent, processes, stalls, kind):
    steady(processes)
    running = agent().wait_ready()
    wait_until(lambda: windows_of(running, "steady"), 30, "a window of the steady target")
    before = role_pids(running.pid)
    stuck = stalls.python("target", kind)
    running.wait_target(stuck.pid)
    seen = time.monotonic()
    wait_stalled(running, 1)
    assert time.monotonic() - seen < 2.5 * float(os.environ.get("PYSTROBE_SLOW", "1"))
    row = wait_until(lambda: (row := row_of(running, stuck.pid)) and row["reason"] == "stalled" and row, 5, "the row")
    assert row["state"] == "failed"
    after = wait_until(lambda: (pids := role_pids(running.pid)) and len(pids) == 3 and pids, 5, "a new reader")
    assert after["sample"] != before["sample"]
    assert after["daemon"] == before["daemon"] and after["scan"] == before["scan"]
    count = len(windows_of(running, "steady"))
    wait_until(lambda: len(windows_of(running, "steady")) >= count + 2, 20, "windows of the steady target")
    assert role_pids(running.pid)["sample"] == after["sample"], "it stalled once and not again"
    running.wait_ready()
    assert running.stop() == 0


@pytest.mark.parametrize("kind", ["fuse", "uffd"])
def test_discovery_leaves_a_process_behind_whose_environment_never_answers(agent, processes, stalls, kind):
    stalls.python("environment", kind)
    running = agent()
    wait_until(lambda: running.get("/healthz")[0] == 200, 20, "the endpoint")
    wait_stalled(running, 1)
    target = steady(processes)
    running.wait_target(target.pid)
    wait_until(lambda: windows_of(running, "steady"), 30, "a window of the steady target")
    assert running.metric("pystrobe_target_stalls_total") == 1
    assert running.stop() == 0


def test_with_a_reader_stuck_for_ever_the_agent_ends_and_a_new_one_starts_at_once(agent, processes, stalls):
    """The thread on the FUSE page outlives SIGKILL; nothing that it holds may be in the way."""
    steady(processes)
    running = agent().wait_ready()
    reader = role_pids(running.pid)["sample"]
    stuck = stalls.python("target", "fuse")
    wait_stalled(running, 1)
    began = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 5
    threads = [state(f"{reader}/task/{thread}") for thread in os.listdir(f"/proc/{reader}/task")]
    assert "D" in threads, "the stall of this test is one that no signal ends"
    stuck.kill()  # or the next agent would meet it too
    again = Agent(running.folder, port=running.port)
    try:
        again.wait_ready(10)
        row = wait_until(lambda: [row for row in again.targets() if row["state"] == "active"], 20, "an active target")
        assert row
        assert again.stop() == 0
    finally:
        again.kill()


def test_ending_while_the_reader_is_just_being_stalled_takes_no_5_s(agent, processes, stalls):
    steady(processes)
    running = agent({"sampling": {"window": "60s"}}).wait_ready()
    wait_until(lambda: windows_of(running, "steady"), 30, "the first window")
    count = len(windows_of(running, "steady"))
    reader = role_pids(running.pid)["sample"]  # the one that will stall, and stays so when another took its place
    stuck = stalls.python("target", "fuse")
    running.wait_target(stuck.pid)
    wait_until(lambda: state(reader) == "D", 10, "the sampling thread to be stuck", interval=0.005)
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 5
    assert len(windows_of(running, "steady")) > count, "the open window was delivered"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", running.port))


def test_at_most_four_readers_are_left_behind_and_then_their_cgroup_is_refused(agent, processes, stalls):
    bystander = steady(processes)  # in the same cgroup as the stalling ones
    running = agent().wait_ready()
    running.wait_target(bystander.pid)
    for count in range(1, 5):
        stalls.python("target", "fuse")
        wait_stalled(running, count)
    row = wait_until(lambda: (row := row_of(running, bystander.pid)) and row["state"] == "skipped" and row, 10, "refusal")
    assert row["reason"] == "stalled_cgroup"
    late = stalls.python("target", "fuse")
    running.wait_target(late.pid)
    reader = role_pids(running.pid)["sample"]
    time.sleep(2.5)  # longer than a stall takes to be seen
    assert running.metric("pystrobe_target_stalls_total") == 4
    assert role_pids(running.pid)["sample"] == reader
    stalls.helpers[0].kill()  # the file system: the four come free
    wait_until(lambda: row_of(running, bystander.pid)["state"] == "active", 20, "the bystander to be sampled again")
    assert running.stop() == 0
