"""dump: its text and JSON, several processes, processes in every state, --blocking, and the real py-spy beside it."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from lib import places, pyspy, pythons
from lib.waiting import wait_exit, wait_until

SLEEPER = """
import sys, threading, time
def inner():
    print('READY', flush=True)
    time.sleep(1000)
def outer():
    inner()
threading.Thread(target=lambda: time.sleep(1000), name='other', daemon=True).start()
outer()
"""
FAMILY = """
import subprocess, sys, time
def parent():
    child = subprocess.Popen(['sh', '-c', 'sleep 1000 & exec 3>&-; "$@"; true', 'sh', sys.executable, '-c', sys.argv[1]])
    time.sleep(1000)
parent()
"""
ALL_KEYS = {"pid", "thread_id", "thread_name", "os_thread_id", "ns_thread_id", "active", "owns_gil", "frames",
            "process_info", "python_version", "torn"}
FRAME_KEYS = {"name", "filename", "module", "short_filename", "line", "locals", "is_entry", "is_shim_entry"}


def run(pystrobe, *words, timeout=60, **kwargs):
    return subprocess.run([str(pystrobe), "dump", *map(str, words)], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **kwargs)


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


@pytest.fixture
def sleeper(start_python):
    """start(python=…) -> pid of a process with two sleeping threads."""

    def start(python=None):
        process = start_python(python or pythons.system_python(), "-c", SLEEPER, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"READY\n"
        wait_until(lambda: state(process.pid) == "S", 20, "asleep")
        return process.pid

    return start


def test_text_is_made_of_py_spys_lines(pystrobe, sleeper):
    pid = sleeper()
    lines = run(pystrobe, "--pid", pid).stdout.splitlines()
    assert lines[0].startswith(f"Process {pid}: /usr/bin/python3 -c ")
    assert re.fullmatch(r"Python v3\.\d+\.\d+ \(/usr/bin/python3\.\d+\)", lines[1])
    start = lines.index(f'Thread {pid} (idle): "MainThread"')
    assert lines[start + 1:start + 4] == ["    inner (<string>:5)", "    outer (<string>:7)", "    <module> (<string>:9)"]
    assert any(re.fullmatch(r'Thread \d+ \(idle\): "other"', line) for line in lines)


def test_json_has_py_spys_keys_and_ours(pystrobe, sleeper):
    pid = sleeper()
    result = run(pystrobe, "-j", "-p", hex(pid))
    threads = json.loads(result.stdout)
    assert len(threads) == 2 and result.stderr == ""
    for thread in threads:
        assert set(thread) >= ALL_KEYS and thread["pid"] == pid and thread["process_info"] is None
        assert all(set(frame) >= FRAME_KEYS and frame["locals"] is None for frame in thread["frames"])
    main = next(thread for thread in threads if thread["thread_name"] == "MainThread")
    assert main["os_thread_id"] == main["ns_thread_id"] == pid and not main["torn"]


def test_several_processes_make_one_array(pystrobe, sleeper):
    pids = [sleeper(), sleeper()]
    threads = json.loads(run(pystrobe, "--json", "-p", f"{pids[0]},{pids[1]}").stdout)
    assert [thread["pid"] for thread in threads] == [pids[0]] * 2 + [pids[1]] * 2
    text = run(pystrobe, "-p", pids[0], "-p", pids[1], "-p", pids[0]).stdout
    assert [text.count(f"Process {pid}: ") for pid in pids] == [1, 1]


def test_one_that_cannot_be_read_does_not_cost_the_others(pystrobe, sleeper, processes):
    plain, pid = processes(["sleep", "1000"]), sleeper()
    result = run(pystrobe, "--json", "-p", plain.pid, "-p", pid)
    assert result.returncode == 1
    assert result.stderr == f"pystrobe: dump: process {plain.pid} is not a CPython process; `pystrobe ps --why {plain.pid}` says what it is\n"
    assert {thread["pid"] for thread in json.loads(result.stdout)} == {pid}


def test_descendants_lie_in_the_same_array_beyond_a_shell(pystrobe, start_python):
    process = start_python(pythons.system_python(), "-c", FAMILY, SLEEPER, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"READY\n"
    result = run(pystrobe, "--json", "--subprocesses", "--pid", process.pid)
    assert result.returncode == 0 and result.stderr == "", "the shell between them and the sleep beside are no trouble"
    threads = json.loads(result.stdout)
    child = next(pid for pid in {thread["pid"] for thread in threads} if pid != process.pid)
    assert {thread["pid"] for thread in threads} == {process.pid, child}
    info = next(thread["process_info"] for thread in threads if thread["pid"] == child)
    assert info["pid"] == child and info["parent"]["command_line"].startswith("sh -c sleep")
    assert "parent" in [frame["name"] for frame in threads[0]["frames"]]
    text = run(pystrobe, "-s", "-p", process.pid).stdout
    assert text.count("Process ") == 3 and text.count("\nParent Process ") == 1 and "\n-----" in text
    alone = json.loads(run(pystrobe, "-j", "-p", process.pid).stdout)
    assert {thread["pid"] for thread in alone} == {process.pid}


# --- states ---

def one_line(result, code):
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_zombie(pystrobe, processes):
    process = processes(["/usr/bin/python3", "-c", "pass"])
    wait_until(lambda: state(process.pid) == "Z", 20, "a zombie")
    assert "a zombie" in one_line(run(pystrobe, "--pid", process.pid), 1)


def test_no_such_process_and_not_python(pystrobe, processes):
    assert "no process 4194304" in one_line(run(pystrobe, "--pid", "4194304"), 1)
    assert "not a CPython process" in one_line(run(pystrobe, "--pid", processes(["sleep", "1000"]).pid), 1)
    assert "kernel" in one_line(run(pystrobe, "--pid", 2), 1) or not os.path.exists("/proc/2/comm")


def test_stopped_process_is_read_and_stays_stopped(pystrobe, sleeper):
    pid = sleeper()
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T", 20, "stopped")
    for words in ([], ["--blocking"]):
        result = run(pystrobe, "--pid", pid, *words)
        assert result.returncode == 0 and "    inner (<string>:5)\n" in result.stdout
        assert "is stopped by a signal" in result.stderr
        wait_until(lambda: state(pid) == "T", 20, "stopped as before: that is not ours to end")
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: state(pid) == "S", 20, "going on")


def test_starting_process(pystrobe, processes, tmp_path):
    """Held by gdb's rules at its first instruction: the image is mapped, no interpreter is up."""
    source = tmp_path / "hold.c"
    source.write_text("#include <unistd.h>\n__attribute__((constructor)) static void hold(void) { write(1, \"READY\\n\", 6); pause(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", tmp_path / "hold.so", source], check=True)
    process = processes(["/usr/bin/python3", "-c", "pass"], stdout=subprocess.PIPE,
                        env={**os.environ, "LD_PRELOAD": str(tmp_path / "hold.so")})
    assert process.stdout.readline() == b"READY\n"
    assert "is starting: its interpreter is not up yet; try again" in one_line(run(pystrobe, "--pid", process.pid), 1)


@pytest.mark.parametrize("words", [[], ["--json"], ["--blocking"]], ids=" ".join)
def test_memory_that_never_answers_holds_nobody(pystrobe, start_python, words):
    python = next(python for python in pythons.all_pythons() if not python.root and python.info >= (3, 11))
    stalling = start_python(python, places.TESTS / "chaos" / "stalling.py", "target", "uffd", stdout=subprocess.PIPE)
    if stalling.stdout.readline() != b"READY\n":
        pytest.skip("this machine gives no userfaultfd")
    start = time.monotonic()
    result = run(pystrobe, "--pid", stalling.pid, *words)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"process {stalling.pid} cannot be read: it has memory or files that do not answer" in result.stderr
    assert time.monotonic() - start < 40
    assert state(stalling.pid) in "RS", "it runs on"


# --- --blocking ---

BUSY = """
import threading, time
going = []
def spin(last=False):
    number = 0
    while True:
        number += 1
        pair = (number, number)
        if number == 1:
            going.append(1)
        if last:
            print('READY', flush=True)
            last = False
for _ in range(3):
    threading.Thread(target=spin, daemon=True).start()
while len(going) < 3:
    time.sleep(0.01)
spin(last=True)
"""


@pytest.fixture
def busy(start_python):
    process = start_python(pythons.system_python(), "-c", BUSY, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"READY\n"
    return process.pid


def test_blocking_is_exact_and_says_how_long(pystrobe, busy):
    for _ in range(5):
        result = run(pystrobe, "--blocking", "-l", "--json", "--pid", busy)
        assert re.fullmatch(rf"pystrobe: dump: process {busy} \(4 threads\) stood still for \d+\.\d{{3}} ms\n", result.stderr)
        shown = [row["repr"] for thread in json.loads(result.stdout) for frame in thread["frames"]
                 for row in frame["locals"] if frame["name"] == "spin" and row["name"] == "pair"]
        assert len(shown) == 4 and "<" not in "".join(shown), shown
        assert all(text[1:-1].split(", ")[0] == text[1:-1].split(", ")[1] for text in shown)
    assert state(busy) in "RS" and tracer(busy) == 0


def tracer(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"TracerPid:\s+(\d+)", status.read())[1])


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))


def test_killed_at_any_moment_the_target_runs_on(pystrobe, busy):
    for delay in range(0, 30, 3):
        process = subprocess.Popen([str(pystrobe), "dump", "--blocking", "-l", "--pid", str(busy)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(delay / 1000)
        process.kill()
        wait_exit(process)
        assert wait_until(lambda: tracer(busy) == 0 and state(busy) in "RS", 20, "let go")
    before = cpu(busy)
    wait_until(lambda: cpu(busy) > before, 20, "its clock going on")


def test_a_process_that_is_traced_names_its_tracer(pystrobe, sleeper, processes):
    pid = sleeper()
    strace = processes(["strace", "-f", "-o", "/dev/null", "-p", str(pid)], stderr=subprocess.DEVNULL)
    wait_until(lambda: tracer(pid) == strace.pid, 20, "traced")
    result = run(pystrobe, "--blocking", "--pid", pid)
    assert result.returncode == 1 and f"process {strace.pid} traces it" in result.stderr
    assert run(pystrobe, "--pid", pid).returncode == 0, "without stopping it can be read all the same"


# --- options ---

@pytest.mark.parametrize("words, text", [
    (["--redact", "("], "--redact: ( is not a pattern: "), (["--blocking", "--nonblocking"], "exclude each other"),
    (["--native", "--nonblocking"], "not with --nonblocking"), (["python3"], "takes no program"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_usage(pystrobe, words, text):
    assert text in one_line(run(pystrobe, "--pid", os.getpid(), *words), 2)


def test_without_a_pid_it_lists_whom_there_is(pystrobe, sleeper):
    sleeper()
    result = run(pystrobe)
    assert result.returncode == 2 and "Python processes here:" in result.stderr and "python3" in result.stderr
    assert "--core FILE" in result.stderr and "program to start" not in result.stderr, "dump starts none"


@pytest.mark.parametrize("words", [["ps"], ["--help"], ["dump", "--help"]], ids=" ".join)
def test_full_disk_behind_standard_output_is_said(pystrobe, words):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([pystrobe, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1 and done.stderr == "pystrobe: standard output cannot be written\n"


def test_nonblocking_is_the_default_and_accepted(pystrobe, sleeper):
    assert run(pystrobe, "--nonblocking", "--pid", sleeper()).returncode == 0


# --- beside py-spy ---

def test_same_functions_and_lines_as_py_spy(pystrobe, minor_python, sleeper):
    """py-spy 0.4.3 knows no 3.15 and reads no file system but ours."""
    if minor_python.root or minor_python.info > (3, 14):
        return
    pid = sleeper(minor_python)
    theirs = json.loads(subprocess.run([pyspy.executable(), "dump", "--json", "--pid", str(pid)], capture_output=True,
                                       text=True, timeout=60, check=True).stdout)
    ours = json.loads(run(pystrobe, "--json", "--pid", pid).stdout)

    def stacks(threads):
        return sorted([(frame["name"], frame["filename"], frame["line"]) for frame in thread["frames"]] for thread in threads)

    assert stacks(ours) == stacks(theirs)
    assert sorted(thread["thread_id"] for thread in ours) == sorted(thread["thread_id"] for thread in theirs)
    assert set(ours[0]) >= set(theirs[0]) and set(ours[0]["frames"][0]) >= set(theirs[0]["frames"][0])
