"""Exact stacks: what the walker reads is what Python itself says, frame by frame, on every build."""
import json
import os
import signal

import pytest

from lib import places, walker
from lib.scale import scaled
from lib.waiting import wait_until

WORKLOADS = places.TESTS / "workloads"


def comparable(python, frames):
    """A recorded frame as the walker can know it: bare names before 3.11."""
    name = "qualname" if python.info >= (3, 11) else "name"
    return [(frame[name], frame["name"], frame["file"], frame["line"], frame["first_line"]) for frame in frames]


def seen(thread):
    return [(frame["qualname"], frame["name"], frame["file"], frame["line"], frame["first_line"])
            for frame in thread["frames"]]


@pytest.fixture
def parked(start_python, tmp_path):
    """start(python, extra threads) -> (pid, {thread name: what Python says})."""

    def start(python, extra=0):
        out = tmp_path / "expected.json"
        target = start_python(python, WORKLOADS / "walker_shapes.py", out, extra)
        walker.wait_for(out, target)
        return target.pid, {one["name"]: one for one in json.loads(out.read_text(encoding="utf-8"))}

    return start


def test_every_shape_of_stack_reads_as_python_itself_says(python, parked):
    pid, expected = parked(python)
    sample = walker.dump(pid, 3)
    threads = {thread.get("name"): thread for thread in sample["threads"]}
    assert set(threads) == set(expected) | {"recorder"}
    for name, one in expected.items():
        thread = threads[name]
        assert thread["verdict"] == "ok" and not thread["trimmed"], name
        assert thread["tid"] == one["native_id"], name
        assert seen(thread) == comparable(python, one["frames"]), name


def test_dump_prints_the_same_stacks_as_text_and_json(pystrobe, minor_python, parked, tmp_path):
    import subprocess

    pid, expected = parked(minor_python)
    text = subprocess.run([pystrobe, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert text.returncode == 0, text.stderr
    assert text.stdout.startswith(f"Process {pid}: ") and f"Python v{minor_python.minor}." in text.stdout
    # In a chroot the thread ids are the same, since the pid namespace is.
    for name, one in expected.items():
        block = text.stdout.split(f'Thread {one["native_id"]} (idle): "{name}"\n')
        assert len(block) == 2, f"{name}\n{text.stdout}"
        lines = block[1].split("\n\n")[0].rstrip("\n").split("\n")
        assert len(lines) == len(one["frames"])
        assert lines[0].startswith("    ") and lines[0].endswith(f':{one["frames"][0]["line"]})')
    as_json = subprocess.run([pystrobe, "dump", "--json", "-p", str(pid)], capture_output=True, text=True, timeout=60)
    assert as_json.returncode == 0, as_json.stderr
    for thread in json.loads(as_json.stdout):
        assert thread["pid"] == pid and not thread["torn"] and thread["python_version"].startswith(minor_python.minor)
        if thread["thread_name"] in expected:
            one = expected[thread["thread_name"]]
            assert (thread["thread_id"], thread["os_thread_id"]) == (one["ident"], one["native_id"])
            assert [(frame["name"], frame["line"]) for frame in thread["frames"]] == \
                [(name, line) for name, _, _, line, _ in comparable(minor_python, one["frames"])]


def test_two_hundred_threads_are_all_there(minor_python, parked):
    pid, expected = parked(minor_python, 200)
    sample = walker.dump(pid, 3)
    names = {thread["name"]: thread for thread in sample["threads"]}
    assert set(names) == set(expected) | {"recorder"} and len(names) > 200
    for name, one in expected.items():
        assert seen(names[name]) == comparable(minor_python, one["frames"]), name


SUBINTERPRETERS = """
import sys, threading, time
CODE = "import time\\ndef inside_%d():\\n    time.sleep(600)\\ninside_%d()"
def by_module(number):
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        import _interpreters as interpreters
    interpreters.run_string(interpreters.create(), CODE % (number, number))
def by_test_module(number):
    import _testcapi
    _testcapi.run_in_subinterp(CODE % (number, number))
def by_ctypes(number):
    import ctypes
    api = ctypes.pythonapi
    api.Py_NewInterpreter.restype = ctypes.c_void_p
    api.Py_NewInterpreter()
    api.PyRun_SimpleString((CODE % (number, number)).encode())
enter = by_module if sys.version_info >= (3, 8) else by_test_module if sys.version_info >= (3,) else by_ctypes
if enter is by_ctypes:
    import ctypes
    # The evaluation loop must not be asked to release the lock between the calls: its thread state is not the current.
    sys.setcheckinterval(2 ** 30)
for number in range(3):
    thread = threading.Thread(target=enter, args=(number,))
    thread.daemon = True
    thread.start()
    time.sleep(0.2)
while True:
    time.sleep(600)
"""


def test_sub_interpreters_are_walked_with_their_ids(minor_python, start_python):
    target = start_python(minor_python, "-c", SUBINTERPRETERS)

    def all_inside():
        assert target.poll() is None
        found = {thread["frames"][0]["name"]: thread["interpreter"] for thread in walker.dump(target.pid, 3)["threads"]
                 if thread["frames"]}
        return {"inside_0", "inside_1", "inside_2"} <= set(found) and found

    found = wait_until(all_inside, timeout=30)
    inside = [found[f"inside_{number}"] for number in range(3)]
    assert len(set(inside)) == 3 and 0 not in inside, found


FORKS = """
import multiprocessing, os, sys, threading, time
def in_worker(path):
    open(path, "w").close()
    time.sleep(600)
def in_child():
    time.sleep(600)
if __name__ == "__main__":
    thread = threading.Thread(target=time.sleep, args=(600,))
    thread.daemon = True
    thread.start()
    child = os.fork()
    if child == 0:
        in_child()
    # 2.7 knows fork alone
    context = multiprocessing.get_context(sys.argv[1]) if hasattr(multiprocessing, "get_context") else multiprocessing
    worker = context.Process(target=in_worker, args=(sys.argv[2] + ".w",))
    worker.daemon = True
    worker.start()
    while not os.path.exists(sys.argv[2] + ".w"):
        time.sleep(0.01)
    with open(sys.argv[2] + ".new", "w") as out:
        out.write("%d %d" % (child, worker.pid))
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    time.sleep(600)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_forked_children_and_multiprocessing_workers_have_their_own_stacks(minor_python, start_python, tmp_path,
                                                                           method):
    script = tmp_path / "forks.py"
    script.write_text(FORKS)
    out = tmp_path / "pids"
    target = start_python(minor_python, script, method, out)
    walker.wait_for(out, target)
    child, worker = map(int, out.read_text().split())
    try:
        (thread,) = walker.dump(child, 3)["threads"]
        assert [frame["name"] for frame in thread["frames"]] == ["in_child", "<module>"]
        assert thread["tid"] == child
        threads = walker.dump(worker, 3)["threads"]
        assert any(thread["frames"][0]["name"] == "in_worker" for thread in threads)
    finally:
        os.kill(child, signal.SIGKILL)


RUNNING = """
import sys, threading, time
def descend(n):
    return descend(n - 1) if n else spin()
def spin():
    while True:
        sum(range(50))
for _ in range(8):
    thread = threading.Thread(target=descend, args=(95,))
    thread.daemon = True
    thread.start()
open(sys.argv[1], "w").close()
while True:
    time.sleep(600)
"""


def test_eight_running_threads_cost_few_calls_and_known_codes(minor_python, start_python, tmp_path):
    out = tmp_path / "ready"
    target = start_python(minor_python, "-c", RUNNING, out)
    walker.wait_for(out, target)
    first = walker.dump(target.pid, 50)
    assert len(first["threads"]) == 9
    assert sum(len(thread["frames"]) > 90 for thread in first["threads"]) >= 7
    assert sum(thread["gil"] for thread in first["threads"]) <= 1
    wait_until(lambda: sum(thread["gil"] for thread in walker.dump(target.pid, 2)["threads"]) == 1, what="a holder of the GIL")
    samples = scaled(400, 100)
    sample = walker.dump(target.pid, samples)
    if minor_python.info >= (3, 11):
        assert sample["late_calls"] <= 3 * samples / 2, f'{sample["late_calls"]} calls for {samples // 2} samples'
    assert sample["code_hits"] >= 0.99 * (sample["code_hits"] + sample["code_misses"])


def test_a_target_that_ends_while_it_is_sampled_ends_the_sampling(minor_python, start_python, tmp_path):
    import subprocess

    edges = tmp_path / "edges"
    target = start_python(minor_python, WORKLOADS / "walker_loads.py", "fib", edges)
    walker.wait_for(edges, target)
    oracle = subprocess.Popen([walker.tool("walk_oracle"), str(target.pid), str(edges), "60"], stdout=subprocess.PIPE)
    try:
        wait_until(lambda: sampled(oracle.pid), what="the oracle to read memory")
        target.kill()
        out, _ = oracle.communicate(timeout=20)
    finally:
        oracle.kill()
    assert oracle.returncode == 0
    assert json.loads(out)["kept"] > 0


def sampled(pid):
    """Whether the process used some CPU already."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[11]) > 5
