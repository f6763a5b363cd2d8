"""The four processes: what each may do, and that they come back."""
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest

from chaos.roles import ROLES, capabilities, exists, open_files, role_pids, status_fields
from lib import places, pprof
from lib.scale import scaled
from lib.waiting import wait_until

CAP_SYS_PTRACE, CAP_SYS_NICE = 19, 23
BUSY = "while True: pass"


def all_roles(agent):
    return wait_until(lambda: (pids := role_pids(agent.pid)) and set(pids) == set(ROLES) and pids, 10, "all roles")


@pytest.fixture
def running(agent):
    return agent().wait_ready()


def test_readers_hold_only_ptrace_and_the_daemon_nothing(running):
    pids = all_roles(running)
    ptrace = {CAP_SYS_PTRACE} & capabilities(os.getpid())
    held = {"scan": ptrace, "sample": ptrace, "daemon": set()}
    for role, wanted in held.items():
        for which in ("CapEff", "CapPrm"):
            assert capabilities(pids[role], which) == wanted, f"{role} {which}"
        assert capabilities(pids[role], "CapInh") | capabilities(pids[role], "CapAmb") == set(), role
        # What exec could give at most; with no new privileges it gives nothing that is not held.
        assert capabilities(pids[role], "CapBnd") <= {CAP_SYS_PTRACE, CAP_SYS_NICE} or os.geteuid() != 0, role
    assert capabilities(running.pid) <= {CAP_SYS_PTRACE, CAP_SYS_NICE}


def test_every_thread_of_every_role_is_filtered_and_gains_nothing(running):
    for role, pid in {**all_roles(running), "supervisor": running.pid}.items():
        for thread in os.listdir(f"/proc/{pid}/task"):
            fields = status_fields(f"{pid}/task/{thread}")
            assert fields["NoNewPrivs"] == "1", f"{role} thread {thread}"
            assert fields["Seccomp"] == "2", f"{role} thread {thread}"


def test_no_role_leaves_a_core(running):
    for role, pid in {**all_roles(running), "supervisor": running.pid}.items():
        with open(f"/proc/{pid}/limits", encoding="utf-8") as limits:
            line = next(line for line in limits if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], role


def test_readers_own_no_network_no_database_and_no_lock(running):
    pids = all_roles(running)
    listening = {line.split()[9] for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]}
    with open("/proc/locks", encoding="ascii") as locks:
        lockers = {int(line.split()[-4]) for line in locks if "->" not in line}
    for role in ("scan", "sample"):
        files = open_files(pids[role])
        sockets = {name[8:-1] for name in files if name.startswith("socket:")}
        assert not sockets & listening
        assert not [name for name in files if name.startswith(str(running.folder)) and not name.endswith(".log")]
        assert pids[role] not in lockers


def test_readers_know_nothing_of_the_environment(agent):
    running = agent(env={"PYSTROBE_TEST_SECRET": "canary-4711"}).wait_ready()
    pids = all_roles(running)
    for role in ("scan", "sample"):
        with open(f"/proc/{pids[role]}/environ", "rb") as environ:
            assert b"canary-4711" not in environ.read()


def at_work(agent, role):
    """The role's pid once it is restricted and, for the daemon, serves."""
    pid = role_pids(agent.pid).get(role)
    try:
        restricted = pid and status_fields(pid).get("Seccomp_filters") == "2"
    except OSError:
        return None
    return pid if restricted and (role != "daemon" or agent.get("/healthz")[0] == 200) else None


@pytest.mark.parametrize("role", ROLES)
def test_killed_fifty_times_it_comes_back_within_a_second_each_time(agent, processes, role):
    target = processes([sys.executable, "-c", BUSY])
    running = agent().wait_ready()
    running.wait_target(target.pid)
    others = {name: pid for name, pid in all_roles(running).items() if name != role}
    slowest = 0.0
    kills = scaled(50, 3)
    for _ in range(kills):
        victim = wait_until(lambda: at_work(running, role), 5, f"{role} to be at work", interval=0.005)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda v=victim: role_pids(running.pid).get(role, v) != v, 5, f"{role} to be back", interval=0.002)
        slowest = max(slowest, time.monotonic() - killed)
    assert slowest < 1.0 * float(os.environ.get("PYSTROBE_SLOW", "1"))
    assert {name: pid for name, pid in role_pids(running.pid).items() if name != role} == others
    running.wait_ready()
    assert running.metric("pystrobe_role_restarts_total", role=role) >= kills
    before = len(running.read_profiles())
    running.wait_profiles(before + 2)
    assert running.stop() == 0


def windows_of(agent, service, mode):
    """What the file exporter wrote of one service, oldest first."""
    found = [pprof.Profile.load(path) for path in agent.profiles.glob(f"{service}_{mode}_*.pb.gz")]
    return sorted(found, key=lambda profile: profile.time_nanos)


def test_over_the_death_of_the_daemon_no_sample_is_lost(agent, processes):
    """Windows wait in the link, and the sample reader goes on by the last plan."""
    processes([sys.executable, "-c", BUSY], env={**os.environ, "OTEL_SERVICE_NAME": "steady"})
    running = agent({"sampling": {"window": "1s"}}).wait_ready()
    wait_until(lambda: len(windows_of(running, "steady", "wall")) >= 2, 30, "two windows")
    os.kill(role_pids(running.pid)["daemon"], signal.SIGKILL)
    count = len(windows_of(running, "steady", "wall"))
    wait_until(lambda: len(windows_of(running, "steady", "wall")) >= count + 4, 30, "four more windows")
    # What was written to the queue's file before it was delivered may come once more.
    found = list({window.time_nanos: window for window in windows_of(running, "steady", "wall")}.values())
    for earlier, later in zip(found, found[1:]):
        gap_ns = later.time_nanos - (earlier.time_nanos + earlier.duration_nanos)
        assert abs(gap_ns) < 0.3e9, "between two windows"


def test_windows_wait_for_a_new_daemon_until_it_knows_whose_they_are(agent, processes):
    """Those that closed before the scan reader had told it of the targets were dropped as nobody's."""
    processes([sys.executable, "-c", BUSY], env={**os.environ, "OTEL_SERVICE_NAME": "unheard"})
    running = agent({"sampling": {"window": "1s"}}).wait_ready()
    wait_until(lambda: len(windows_of(running, "unheard", "wall")) >= 2, 30, "two windows")
    pids = role_pids(running.pid)
    os.kill(pids["scan"], signal.SIGSTOP)
    try:
        os.kill(pids["daemon"], signal.SIGKILL)
        wait_until(lambda: role_pids(running.pid).get("daemon") not in (None, pids["daemon"]), 20, "a new daemon")
        wait_until(lambda: running.get("/healthz")[0] == 200, 20, "the new daemon's loop")
        time.sleep(2.5)  # so that windows close meanwhile
    finally:
        os.kill(pids["scan"], signal.SIGCONT)
    count = len(windows_of(running, "unheard", "wall"))
    wait_until(lambda: len(windows_of(running, "unheard", "wall")) >= count + 5, 30, "what waited and more")
    found = windows_of(running, "unheard", "wall")
    lost_ns = sum(max(0, later.time_nanos - earlier.time_nanos - earlier.duration_nanos)
                  for earlier, later in zip(found, found[1:]))
    assert lost_ns < 1.5e9, "what the killed daemon had and had not yet written: one window at most"


def test_no_role_outlives_a_killed_supervisor(agent):
    running = agent().wait_ready()
    pids = all_roles(running)
    running.process.kill()
    running.process.wait()
    for role, pid in pids.items():
        wait_until(lambda p=pid: not exists(p), 5, f"{role} to end")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", running.port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ending_in_order_takes_little_and_writes_the_open_window(agent, processes, number):
    target = processes([sys.executable, "-c", BUSY])
    running = agent({"sampling": {"window": "60s"}}).wait_ready()
    running.wait_target(target.pid)
    running.wait_profiles(1, mode="wall")  # the first window closes after 5 s
    count = len(running.read_profiles("wall"))
    pids = all_roles(running)
    began = time.monotonic()
    assert running.stop(number) == 0
    assert time.monotonic() - began < 5
    assert len(running.read_profiles("wall")) > count
    assert not [pid for pid in pids.values() if exists(pid)]


def test_a_wrong_configuration_ends_the_agent_with_2_and_no_second_try(agent):
    running = agent({"sampling": {"hertz": 5}})
    assert running.stop(signal.SIGCONT, timeout=10) == 2
    assert running.output().count("hertz") >= 1
    assert "starting again" not in running.output()


def test_an_address_in_use_ends_the_agent_with_1(agent):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = agent(port=taken.getsockname()[1])
        assert running.stop(signal.SIGCONT, timeout=10) == 1
        assert "starting again" not in running.output()


def test_hangup_reloads_the_daemon_and_ends_nothing(agent):
    running = agent().wait_ready()
    pids = all_roles(running)
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "cause=reload" in running.output(), 10, "a reload")
    assert role_pids(running.pid) == pids


@pytest.fixture
def open_folder():
    """Not below pytest's own folder, which it closes to other users whenever another pytest starts."""
    with tempfile.TemporaryDirectory(prefix="pystrobe-test-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unprivileged_user_profiles_their_own_processes(processes, open_folder, agent, monkeypatch):
    user = 65534
    folder = open_folder
    launcher = folder / "pystrobe"
    launcher.write_text(f"#!/bin/sh\nexec setpriv --reuid {user} --regid {user} --clear-groups -- "
                        f"'{places.binary()}' \"$@\"\n", encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setenv("PYSTROBE_BIN", str(launcher))
    target = processes(["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "/usr/bin/python3", "-c", BUSY])
    inner = folder / "agent"
    inner.mkdir()
    inner.chmod(0o777)
    running = agent(folder=inner).wait_ready()
    running.wait_target(target.pid)
    running.wait_profiles(1, mode="cpu")
    for role, pid in {**all_roles(running), "supervisor": running.pid}.items():
        assert capabilities(pid) == set(), role
        assert status_fields(pid)["NoNewPrivs"] == "1" and status_fields(pid)["Seccomp"] == "2"
    assert running.stop() == 0
