"""Processes that end, change or multiply while they are profiled."""
import os
import signal
import tempfile
import time

import pytest

from lib import pprof, pythons
from lib.waiting import wait_exit, wait_until

# Agents see every process of the machine, those of another run of these tests too.
OWN = os.getpid()
BURN = """
import os, sys, time
def burn_{name}():
    end = time.process_time() + {seconds}
    while time.process_time() < end:
        sum(range(500))
burn_{name}()
"""


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seen(running, function):
    return sum(profile.by_function("cpu").get(function, 0) for profile in running.read_profiles("cpu"))


def test_the_open_window_of_a_process_that_ends_is_delivered(agent, start_python, tmp_path):
    script = tmp_path / "brief.py"
    script.write_text("import time\ntime.sleep(2.5)\n" + BURN.format(name=f"briefly_{OWN}", seconds=1.5))
    running = agent({"sampling": {"hz": 97, "window": "60s"}})
    running.wait_ready()
    time.sleep(5.5)  # the first window has closed: the next one would last a minute
    target = start_python(pythons.system_python(), script)
    running.wait_target(target.pid)
    assert wait_exit(target, 30) == 0
    wait_until(lambda: seen(running, f"burn_briefly_{OWN}") > 0, 20, "the last window of the process")
    assert 0.5e9 < seen(running, f"burn_briefly_{OWN}") < 1.6e9


def test_exec_in_the_same_pid_never_mixes_two_programs(agent, start_python, tmp_path):
    second = tmp_path / "second.py"
    second.write_text(BURN.format(name=f"second_{OWN}", seconds=60))
    first = tmp_path / "first.py"
    first.write_text(BURN.format(name=f"first_{OWN}", seconds=3) +
                     f"os.execv(sys.executable, [sys.executable, {str(second)!r}])\n")
    running = agent({"sampling": {"hz": 97, "window": "1s"}})
    running.wait_ready()
    target = start_python(pythons.system_python(), first)
    wait_until(lambda: seen(running, f"burn_first_{OWN}") > 0 and seen(running, f"burn_second_{OWN}") > 0, 60, "both programs")
    for profile in running.read_profiles():
        for sample in profile.samples:
            names = sample.names()
            assert not (f"burn_first_{OWN}" in names and f"burn_second_{OWN}" in names)
            files = {frame.file for frame in sample.stack}
            assert not {str(first), str(second)} <= files
    wait_until(lambda: "second" in {row["service"] for row in running.targets() if row["pid"] == target.pid}, 20,
               "the second program among the targets")
    for path in running.profiles.glob("first_*.pb.gz"):
        assert f"burn_second_{OWN}" not in pprof.Profile.load(path).by_function(), "the second program under the first one's name"


def test_a_child_of_a_target_is_sampled_within_moments(agent, start_python, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(f"""
import os, sys, time
def child_work_{OWN}():
    end = time.process_time() + 0.7
    while time.process_time() < end:
        sum(range(500))
time.sleep(6)
pid = os.fork()
if pid == 0:
    child_work_{OWN}()
    os._exit(0)
os.waitpid(pid, 0)
time.sleep(60)
""")
    running = agent({"sampling": {"hz": 97, "window": "1s"}, "discovery": {"interval": "1h", "min_age": "0s"}})
    target = start_python(pythons.system_python(), script)
    running.wait_ready()
    if not any(row["pid"] == target.pid for row in running.targets()):
        pytest.fail("the parent started too late for the only scan: raise its sleep")
    wait_until(lambda: seen(running, f"child_work_{OWN}") > 0.45e9, 40, "most of the child's 0.7 s, with no further scan")
    assert seen(running, f"child_work_{OWN}") < 0.8e9


def test_an_interpreter_that_is_slow_to_start_is_found(agent, start_python, tmp_path):
    """The runtime is mapped long before Python is up: site's import takes its time here."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(3)\n")
    script = tmp_path / "late.py"
    script.write_text(BURN.format(name=f"late_{OWN}", seconds=60))
    running = agent({"sampling": {"hz": 97, "window": "1s"}})
    running.wait_ready()
    start_python(pythons.system_python(), script, env={"PYTHONPATH": str(tmp_path)})
    wait_until(lambda: seen(running, f"burn_late_{OWN}") > 0, 40, "the function of the late starter")


@pytest.mark.threads
def test_sigterm_to_the_agent_delivers_the_open_window_and_ends_with_0(agent, start_python, tmp_path):
    script = tmp_path / "steady.py"
    script.write_text(BURN.format(name=f"steadily_{OWN}", seconds=120))
    target = start_python(pythons.system_python(), script)
    running = agent({"sampling": {"hz": 97, "window": "60s"}})
    running.wait_ready()
    wait_until(lambda: any(row["state"] == "active" for row in running.targets()), 30, "the first window")
    before, used = seen(running, f"burn_steadily_{OWN}"), cpu_seconds(target.pid)
    wait_until(lambda: cpu_seconds(target.pid) > used + 1, 60, "a second of CPU in the open window")
    started = time.monotonic()
    assert running.stop(signal.SIGTERM) == 0
    assert time.monotonic() - started < 5
    assert seen(running, f"burn_steadily_{OWN}") > before + 0.8e9


@pytest.fixture
def open_folder():
    """A folder that any user may reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="pystrobe-unprivileged-") as folder:
        os.chmod(folder, 0o755)
        yield folder


def test_processes_of_others_are_refused_in_one_clear_line(open_folder, agent, start_python, tmp_path):
    """Run without any privilege, the agent says that it may not look, what would help, and goes on with its own."""
    if os.getuid() != 0:
        pytest.skip("needs root, to start the agent as somebody else")
    script = tmp_path / "foreign.py"
    script.write_text(BURN.format(name=f"foreign_{OWN}", seconds=60))
    target = start_python(pythons.system_python(), script)
    inside = os.path.join(open_folder, "agent")
    os.mkdir(inside)
    os.chown(inside, 65534, 65534)
    running = agent({}, folder=inside, user=65534)
    wait_until(lambda: running.get("/metrics")[0] == 200 and running.metric("pystrobe_processes_denied") > 0, 30,
               "the refusal to be counted")
    wait_until(lambda: "CAP_SYS_PTRACE" in running.output(), 10, "the refusal to be told")
    assert running.output().count("may not be read (EPERM)") == 1
    assert not any(row["pid"] == target.pid and row["state"] == "active" for row in running.targets())
    assert running.stop() == 0
