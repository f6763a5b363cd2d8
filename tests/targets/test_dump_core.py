"""dump --core: what a core file holds is what the process showed while it lived."""
import json
import os
import resource
import shutil
import signal
import subprocess

import pytest

from lib import places, pyspy, pythons
from lib.waiting import wait_exit, wait_until

WORKLOADS = places.TESTS / "workloads"


def run(pystrobe, *words, timeout=60):
    return subprocess.run([str(pystrobe), "dump", *map(str, words)], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)


def kernel_writes_cores_here():
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as pattern:
        return pattern.read().strip() == "core"


def allow_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture
def parked(start_python, tmp_path):
    """start(python) -> (process, {function: {variable: repr}}) of the workload of known values."""

    def start(python):
        workload = "dump_values.py" if python.info >= (3, 0) else "dump_values_old.py"
        process = start_python(python, WORKLOADS / workload, tmp_path / "reprs.json", stdout=subprocess.PIPE, cwd=tmp_path,
                               preexec_fn=allow_cores)
        assert process.stdout.readline() == b"READY\n"
        wait_until(lambda: open(f"/proc/{process.pid}/stat", encoding="utf-8").read().rpartition(")")[2].split()[0] == "S",
                   20, "asleep")
        return process, json.loads((tmp_path / "reprs.json").read_text(encoding="utf-8"))

    return start


def kill_for_core(process, folder):
    process.send_signal(signal.SIGSEGV)
    wait_exit(process)
    found = [path for path in folder.iterdir() if path.name.startswith("core")]
    assert len(found) == 1
    return found[0]


def gcore(process, folder):
    subprocess.run(["gcore", "-o", folder / "snapshot", str(process.pid)], check=True, capture_output=True, timeout=120)
    return folder / f"snapshot.{process.pid}"


def make_core(python, process, folder):
    """By the kernel where it writes them here, else by gdb."""
    if kernel_writes_cores_here() and not python.root:
        return kill_for_core(process, folder)
    return gcore(process, folder)


def python_is_guarded(python):
    return python.source == "sid"


def stacks(text):
    """thread id -> [(name, file, line, {variable: repr})]"""
    return {thread["thread_id"]: [(frame["bare_name"], frame["filename"], frame["line"],
                                   {row["name"]: row["repr"] for row in frame["locals"]}) for frame in thread["frames"]]
            for thread in json.loads(text)}


def test_a_core_says_what_the_process_said(pystrobe, minor_python, parked, tmp_path):
    process, expected = parked(minor_python)
    live = run(pystrobe, "--json", "-l", "--pid", process.pid)
    core = make_core(minor_python, process, tmp_path)
    dead = run(pystrobe, "--json", "-l", "--core", core)
    assert dead.returncode == 0, dead.stderr
    said, kept = stacks(live.stdout), stacks(dead.stdout)
    # gdb leaves out a thread's whole stack where glibc (2.42 and later) has guarded a page of it.
    lost = {thread for thread, frames in kept.items() if not frames and python_is_guarded(minor_python)}
    assert kept == {thread: [] if thread in lost else frames for thread, frames in said.items()}
    assert len(lost) < len(kept)
    shown = {frame[0]: frame[3] for thread in kept.values() for frame in thread}
    expected.pop(":arguments")
    for function, values in expected.items() if not lost else ():
        assert {name: shown[function].get(name) for name in values} == values, function
    names = {thread["thread_name"] for thread in json.loads(live.stdout)}
    assert {thread["thread_name"] for thread in json.loads(dead.stdout)} == names
    assert {thread["pid"] for thread in json.loads(dead.stdout)} == {process.pid}
    text = run(pystrobe, "--core", core).stdout
    assert f"\nProcess {process.pid}: " in text and f"\nThread {process.pid}" in text and "(idle)" not in text
    core.unlink()


def test_a_snapshot_by_gdb(pystrobe, parked, tmp_path):
    process, _ = parked(pythons.system_python())
    live = run(pystrobe, "--json", "-l", "--pid", process.pid)
    core = gcore(process, tmp_path)
    assert stacks(run(pystrobe, "--json", "-l", "--core", core).stdout) == stacks(live.stdout)


def test_same_functions_and_lines_as_py_spy(pystrobe, parked, tmp_path):
    python = pythons.find("3.11")
    process, _ = parked(python)
    core = make_core(python, process, tmp_path)
    theirs = subprocess.run([pyspy.executable(), "dump", "--json", "--core", core], capture_output=True, text=True, timeout=60,
                            check=True).stdout

    def lines(text):
        return sorted([(frame["name"], frame["line"]) for frame in thread["frames"]] for thread in json.loads(text))

    assert lines(run(pystrobe, "--json", "--core", core).stdout) == lines(theirs)


@pytest.fixture
def own_copy(start_python, tmp_path):
    """(core file, executable) of a process whose executable may be changed afterwards."""
    system = pythons.system_python()
    exe = tmp_path / "python-copy"
    shutil.copy(os.path.realpath(system.exe), exe)
    process = start_python(system, "-c", "pass")
    wait_exit(process)
    process = subprocess.Popen([exe, "-c", "import time; print('READY', flush=True); time.sleep(1000)"], stdout=subprocess.PIPE,
                               cwd=tmp_path, preexec_fn=allow_cores, env=system.environment(PYTHONHOME="/usr"))
    assert process.stdout.readline() == b"READY\n"
    core = make_core(system, process, tmp_path)
    if process.poll() is None:
        process.kill()
        process.wait()
    process.stdout.close()
    return core, exe


def failed(result, text):
    assert (result.returncode, result.stdout) == (1, ""), result.stdout
    assert len(result.stderr.splitlines()) == 1 and text in result.stderr, result.stderr


def test_files_that_are_gone_or_others_are_not_taken(pystrobe, own_copy):
    core, exe = own_copy
    assert "<module> (<string>:1)" in run(pystrobe, "--core", core).stdout
    if not kernel_writes_cores_here():
        return  # gdb's cores hold the files' contents too
    shutil.copy("/bin/ls", exe.with_suffix(".new"))
    exe.with_suffix(".new").rename(exe)
    failed(run(pystrobe, "--core", core), "with the same packages")
    exe.unlink()
    failed(run(pystrobe, "--core", core), "look at it where it was made")
    os.mkfifo(exe)
    failed(run(pystrobe, "--core", core), "look at it where it was made")


def test_a_core_that_was_cut_short(pystrobe, own_copy):
    core, _ = own_copy
    size = core.stat().st_size
    for length in (size - size // 8, size // 2, size // 5, 65536, 5000, 64, 10, 0):
        os.truncate(core, length)
        result = run(pystrobe, "-l", "--core", core)
        assert result.returncode in (0, 1) and len(result.stderr.splitlines()) <= 1
        assert result.returncode == 0 or result.stderr.startswith(f"pystrobe: {core}: ")


def test_what_is_no_core(pystrobe, tmp_path):
    for path, text in (("/bin/ls", "no core file"), ("/etc/passwd", "no core file"), (tmp_path, "no core file"),
                       ("/dev/null", "no core file"), (tmp_path / "none", "No such file")):
        failed(run(pystrobe, "--core", path), text)
    os.mkfifo(tmp_path / "pipe")
    failed(run(pystrobe, "--core", tmp_path / "pipe"), "no core file")
    sleeper = subprocess.Popen(["sleep", "1000"], cwd=tmp_path, preexec_fn=allow_cores)
    subprocess.run(["gcore", "-o", tmp_path / "sleep", str(sleeper.pid)], check=True, capture_output=True, timeout=120)
    sleeper.kill()
    sleeper.wait()
    failed(run(pystrobe, "--core", tmp_path / f"sleep.{sleeper.pid}"), "no CPython runtime")


@pytest.mark.parametrize("words", [["--pid", "1"], ["--subprocesses"], ["--blocking"]], ids=" ".join)
def test_what_needs_a_process_is_refused(pystrobe, words):
    result = run(pystrobe, "--core", "/dev/null", *words)
    assert result.returncode == 2 and "a core file has no process" in result.stderr
