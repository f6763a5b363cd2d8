"""What people point a profiler at first, and what other profilers have tripped over: one recording each."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib import pprof, pythons
from lib.scale import JUDGED
from lib.waiting import wait_until

PYTHON = [sys.executable, "-X", "frozen_modules=off", "-S", "-E"]

# Ten named threads that sleep in a function of a Cyrillic name, and a main thread that recurses for ever.
CROWD = """\
import threading
import time


def снег(сек):
    time.sleep(сек)


for number in range(10):
    threading.Thread(target=снег, args=(1000,), name="name-%d" % number, daemon=True).start()


def recurse(depth):
    if depth:
        return recurse(depth - 1)
    return [
        sum(range(200))
        for _ in range(3)
    ]


print("ready", flush=True)
while True:
    recurse(20)
"""

# What came back wrong elsewhere: a line before the first one of its function.
BACKWARDS = """\
def busy(end):
    while time.process_time() < end:
        pass


import time
print("ready", flush=True)
while True:
    f = [
        busy(time.process_time() + 0.05) for _ in [
            1,
        ]
    ]
"""

ASLEEP = """\
import time


def longsleep():
    time.sleep(100000)


print("ready", flush=True)
longsleep()
"""

BUSY = """\
print("ready", flush=True)
while True:
    pass
"""

SHORT_THREADS = """\
import threading
import time


def short():
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        sum(range(100))


print("ready", flush=True)
while True:
    threads = [threading.Thread(target=short) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""

CHILDREN = """\
import multiprocessing
import os
import subprocess
import sys
import time


def work():
    while True:
        sum(range(1000))


if __name__ == "__main__":
    children = [multiprocessing.Process(target=work, daemon=True) for _ in range(2)]
    for child in children:
        child.start()
    subprocess.Popen(["sleep", "1000"])
    os.spawnv(os.P_NOWAIT, "/bin/true", ["true"])  # stays a zombie
    print("ready", flush=True)
    work()
"""


@pytest.fixture
def target(start_python, tmp_path):
    """target(text, name, python) -> a process that runs it and is ready."""

    def start(text, name="work.py", python=None):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        process = start_python(python or pythons.system_python(), str(path),
                               stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process

    return start


# The scripts have names that Python 2 cannot read.
python3_only = pytest.mark.parametrize("minor_python", [one for one in pythons.one_per_minor() if one.info >= (3, 0)], ids=str)


def record(pystrobe, *words, enough=10):
    """[(frames, count)] of a recording with something in it, and what was said."""
    for _ in range(8):
        done = subprocess.run([str(pystrobe), "record", *map(str, words), "-f", "raw", "-o", "-"], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        stacks = [(line.rsplit(" ", 1)[0].split(";"), int(line.rsplit(" ", 1)[1])) for line in done.stdout.splitlines()]
        if sum(count for _, count in stacks) >= enough:
            break
    return stacks, done.stderr


@python3_only
def test_every_python_names_threads_and_keeps_stacks_whole(pystrobe, target, minor_python):
    process = target(CROWD, "снег💩.py", minor_python)
    stacks, _ = record(pystrobe, "-p", process.pid, "-d", "0.7", "--threads", "--idle")
    roots = {frames[0] for frames, _ in stacks}
    assert {root.split(": ")[1] for root in roots} == {"MainThread", *(f"name-{number}" for number in range(10))}
    assert any(frames[-1] == "снег (снег💩.py:6)" or "снег (" in frames[-2] for frames, _ in stacks
               if "name-3" in frames[0])
    recursing = [frames[1:] for frames, _ in stacks if "MainThread" in frames[0] and not frames[1].startswith("[")]
    assert recursing
    for frames in recursing:
        assert frames[0].startswith("<module> (") and int(frames[0].rstrip(")").rsplit(":", 1)[1]) in range(23, 27), frames  # ready
        assert sum(frame.startswith("recurse (") for frame in frames) <= 21 and len(frames) <= 24, frames


@python3_only
def test_lines_before_the_first_one_of_their_function(pystrobe, target, minor_python):
    stacks, _ = record(pystrobe, "-p", target(BACKWARDS, python=minor_python).pid, "-d", "0.4")
    lines = {int(frame.rstrip(")").rsplit(":", 1)[1]) for frames, _ in stacks for frame in frames if frame.startswith("<module>")}
    assert lines and lines <= {9, 10, 11}, stacks


def test_long_sleep_is_one_stack_when_asked_for_and_none_otherwise(pystrobe, target):
    process = target(ASLEEP)
    stacks, _ = record(pystrobe, "-p", process.pid, "-d", "0.6", "--idle")
    [(frames, count)] = [(frames, count) for frames, count in stacks if len(frames) == 2]
    assert [re.sub(r"\(\S+/", "(", frame) for frame in frames] == ["<module> (work.py:9)", "longsleep (work.py:5)"]
    assert count >= 0.95 * sum(count for _, count in stacks)
    stacks, said = record(pystrobe, "-p", process.pid, "-d", "0.6", "--gil", enough=0)
    assert sum(count for _, count in stacks) <= 2 and "holding the GIL" in said


def test_busy_loop_holds_the_gil(pystrobe, target):
    """The looks themselves may be few on a loaded machine; each of them must find the holder."""
    stacks, said = record(pystrobe, "-p", target(BUSY).pid, "-d", "1", "--gil")
    hz = float(re.search(r"achieved ([\d.]+) Hz", said)[1])
    assert sum(count for _, count in stacks) >= 0.45 * hz


def test_threads_that_come_and_go_cost_no_sample(pystrobe, target, tmp_path):
    process = target(SHORT_THREADS)
    stacks, said = record(pystrobe, "-p", process.pid, "-d", "1")
    total = sum(count for _, count in stacks)
    failed = sum(count for frames, count in stacks if frames[-1] in ("[torn]", "[unreadable]"))
    assert any("short (" in frame for frames, _ in stacks for frame in frames) and failed <= 0.03 * total, said


def processes_of(frames):
    """Process ids of the roots of a stack, the oldest ancestor first."""
    return [int(re.match(r'process (\d+):"', frame)[1]) for frame in frames if frame.startswith("process ")]


def test_children_of_all_kinds(pystrobe, target):
    process = target(CHILDREN)
    stacks, said = record(pystrobe, "-s", "-p", process.pid, "-d", "1", enough=30)
    assert len({processes_of(frames)[-1] for frames, _ in stacks if any("work (" in frame for frame in frames)}) == 3, stacks
    assert all(processes_of(frames)[0] == process.pid for frames, _ in stacks), "children stand under their parents"
    assert "not recorded" not in said
    stacks, said = record(pystrobe, "-p", process.pid, "-d", "0.5")
    assert not any(frames[0].startswith("process ") for frames, _ in stacks)
    assert "2 Python child processes were not recorded: add -s" in said


# --- servers and pools ---


APP = """\
import threading


def spin():
    while True:
        sum(range(1000))


threading.Thread(target=spin, daemon=True).start()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]
"""


@pytest.fixture
def gunicorn(processes, tmp_path):
    """A master and four workers, each with something to do."""
    (tmp_path / "app.py").write_text(APP)
    master = processes(["gunicorn", "-w", "4", "--bind", f"unix:{tmp_path}/web.sock", "--pythonpath", tmp_path, "app:application"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def working():
        children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
        return len(children) == 4 and all(len(list(Path(f"/proc/{child}/task").iterdir())) == 2 for child in children)

    wait_until(working, 60, "four workers at work")
    return master


def test_gunicorn_with_and_without_its_workers(pystrobe, gunicorn):
    stacks, said = record(pystrobe, "-s", "-p", gunicorn.pid, "-d", "2", enough=60)
    workers = {tuple(processes_of(frames)) for frames, _ in stacks if frames[-1].startswith("spin (")}
    assert len(workers) == 4 and {worker[0] for worker in workers} == {gunicorn.pid} and "not recorded" not in said, (workers, said)
    done = subprocess.run([str(pystrobe), "record", "-p", str(gunicorn.pid), "-d", "0.5", "-f", "raw", "-o", "-"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0 and "spin" not in done.stdout
    assert "4 Python child processes were not recorded: add -s" in done.stderr


# --- interpreters beside the first ---

TENANT = """\
import threading
import time
try:
    import _xxsubinterpreters as interpreters
    run = interpreters.run_string
except ImportError:
    import _interpreters as interpreters
    run = interpreters.exec
code = "import time\\ndef rest():\\n    time.sleep(600)\\nrest()"
threading.Thread(target=lambda: run(interpreters.create(), code), name="tenant", daemon=True).start()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.python("3.8", "3.12", "3.13")
def test_a_thread_keeps_its_name_in_another_interpreter(pystrobe, target, python):
    """The other interpreter has not imported threading, and before 3.14 the kernel knows no name either."""
    process = target(TENANT, python=python)

    def named():
        done = subprocess.run([str(pystrobe), "dump", "--json", "-p", str(process.pid)], capture_output=True, text=True, timeout=60, check=False)
        threads = json.loads(done.stdout) if done.returncode == 0 else []
        return {thread["thread_name"] for thread in threads if thread["frames"] and thread["frames"][0]["name"] == "rest"}

    assert wait_until(named, 20, "the other interpreter's stack") == {"tenant"}


# --- filters and differences ---


def phased(first, second):
    return f"""\
def one():
    total = 0
    for number in range({first} * 60000):
        total += number


def two():
    total = 0
    for number in range({second} * 60000):
        total += number


for _ in range(6):
    one()
    two()
"""


def points(text):
    """{function: change in points} of the printed changes."""
    return {name: float(number) for number, name in re.findall(r"^ *([+-]\d+\.\d+) points .*?  (one|two) \(", text, re.M)}


@pytest.mark.serial
def test_difference_of_a_known_change(pystrobe, tmp_path):
    """From 70 to 50 points: what is said and drawn is that change. Whole runs, so that both hold the same work; alone,
    since a thread that waits for a CPU counts as running."""
    work = tmp_path / "work.py"

    def run(*words):
        done = subprocess.run([str(pystrobe), *map(str, words)], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    def about(changes):
        return not JUDGED or changes["one"] == pytest.approx(-20, abs=4) and changes["two"] == pytest.approx(20, abs=4)

    for _ in range(3):
        work.write_text(phased(70, 30))
        run("record", "-r", "150", "-o", "old.pb.gz", "--", *PYTHON, work)
        work.write_text(phased(50, 50))
        said = run("record", "-r", "150", "--diff", "old.pb.gz", "-o", "drawn.svg", "--", *PYTHON, work).stderr
        run("record", "-r", "150", "-o", "new.pb.gz", "--", *PYTHON, work)
        printed = run("diff", "old.pb.gz", "new.pb.gz", "-o", "diff.svg").stdout
        if about(points(said)) and about(points(printed)):
            break
    assert about(points(said)) and about(points(printed)), said + printed
    for name in ("drawn.svg", "diff.svg"):
        assert "one (" in (tmp_path / name).read_text()


@pytest.mark.parametrize("words, why", [
    (["--diff", "no-such-file", "-o", "a.svg"], "no-such-file"),
    (["--diff", "old.txt", "-f", "raw", "-o", "-"], "--format"),
    (["--include", "a(", "-o", "-"], "not a pattern"),
    (["--exclude", "[", "-o", "-"], "not a pattern"),
])
def test_mistakes_are_found_before_anything_starts(pystrobe, tmp_path, words, why):
    marker = tmp_path / "started"
    done = subprocess.run([str(pystrobe), "record", *words, "--", "touch", str(marker)], capture_output=True, text=True, cwd=tmp_path,
                          timeout=60, check=False)
    assert done.returncode in (1, 2) and why in done.stderr and done.stderr.count("\n") == 1 and not marker.exists()


def test_old_recording_of_another_mode_is_refused(pystrobe, target, tmp_path):
    process = target(BUSY)
    subprocess.run([str(pystrobe), "record", "-p", str(process.pid), "-d", "0.3", "-i", "-o", str(tmp_path / "old.pb.gz")], check=True,
                   capture_output=True, timeout=60)
    done = subprocess.run([str(pystrobe), "record", "-p", str(process.pid), "-d", "0.3", "--diff", "old.pb.gz", "-o", "a.svg"],
                          capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 2 and "wall time" in done.stderr and "--mode" in done.stderr


def test_threads_and_stacks_can_be_chosen(pystrobe, target):
    process = target(CROWD)
    common = ("-p", process.pid, "-d", "0.5", "--idle", "--threads")
    stacks, _ = record(pystrobe, *common, "--thread", "name-[12]", "--thread", "name-7")
    assert {frames[0].split(": ")[1] for frames, _ in stacks} == {"name-1", "name-2", "name-7"}
    stacks, _ = record(pystrobe, *common, "--include", "^recurse .*/work.py")
    assert all("MainThread" in frames[0] for frames, _ in stacks)
    stacks, _ = record(pystrobe, *common, "--exclude", "^снег", "--exclude", "recurse")
    assert not any("снег" in frame or "recurse" in frame for frames, _ in stacks for frame in frames)
    for _ in range(5):
        stacks, said = record(pystrobe, *common, "--thread", "nobody", enough=0)
        if "before one was due" not in said:
            break
    assert stacks == [] and re.search(r"^0 of \d+ samples are of the threads and stacks asked for$", said, re.M)


def test_filters_work_on_files_too(pystrobe, target, tmp_path):
    process = target(CROWD)
    subprocess.run([str(pystrobe), "record", "-p", str(process.pid), "-d", "0.5", "-i", "-o", str(tmp_path / "all.pb.gz")], check=True,
                   capture_output=True, timeout=60)
    subprocess.run([str(pystrobe), "convert", str(tmp_path / "all.pb.gz"), "--thread", "name-3", "-o", str(tmp_path / "one.pb.gz")],
                   check=True, capture_output=True, timeout=60)
    found = pprof.Profile((tmp_path / "one.pb.gz").read_bytes()).by_function()
    assert {name for name in found if not name.startswith("[")} == {  # [not observed]: another's time on a loaded machine
        "Thread._bootstrap", "Thread._bootstrap_inner", "Thread.run", "снег"}


# --- the target outlives us ---


@pytest.mark.parametrize("command", [("record", "-o", "a.svg"), ("top", "--once", "--delay", "100")], ids=lambda words: words[0])
def test_killing_us_at_any_instant_leaves_program_and_target_running(pystrobe, processes, target, tmp_path, command):
    process = target(BUSY)
    for step in range(8):
        ours = processes([pystrobe, *command, "-p", process.pid], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.012 * step * step)
        ours.kill()
        ours.wait()
        state = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        assert process.poll() is None and state in "RS"
    (tmp_path / "own.py").write_text("print('ready', flush=True)\nwhile True: pass\n")
    ours = processes([pystrobe, *command, "--", *PYTHON, tmp_path / "own.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert ours.stdout.readline() == b"ready\n"
    child = int(Path(f"/proc/{ours.pid}/task/{ours.pid}/children").read_text())
    ours.kill()
    ours.wait()
    assert Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] in "RS"
    os.kill(child, 9)


# --- time lines ---

IN_TURN = """\
import sys
import threading
import time


def first(end):
    while time.thread_time() < end:
        sum(range(1000))


def then(end):
    while time.thread_time() < end:
        sum(range(1000))


def other():
    time.sleep(0.6)
    first(0.2)


thread = threading.Thread(target=other, name="other")
thread.start()
first(0.3)
time.sleep(0.6)
then(time.thread_time() + 0.3)
thread.join()
"""


def spans_of_trace(path):
    """{(tid, function): (begin, end)} in seconds, of a chrometrace file."""
    spans = {}
    for event in json.loads(path.read_text()):
        if event["ph"] in "BE":
            key = event["tid"], event["name"].split(" (")[0]
            at = event["ts"] / 1e6
            begin, end = spans.get(key, (at, at))
            spans[key] = min(begin, at), max(end, at)
    return spans


def spans_of_speedscope(path):
    """The same of a speedscope file; every profile of a thread lies on one time line."""
    file, spans = json.loads(path.read_text()), {}
    for profile in file["profiles"]:
        at = 0
        for stack, weight in zip(profile["samples"], profile["weights"]):
            for index in stack:
                key = profile["name"], file["shared"]["frames"][index]["name"]
                begin, _ = spans.get(key, (at, 0))
                spans[key] = begin, at + weight
            at += weight
        assert at == pytest.approx(profile["endValue"])
    return spans


@pytest.mark.parametrize("ending, read", [(".trace.json", spans_of_trace), (".speedscope.json", spans_of_speedscope)],
                         ids=["chrometrace", "speedscope"])
def test_stacks_stand_where_they_were_in_time(pystrobe, tmp_path, ending, read):
    (tmp_path / "work.py").write_text(IN_TURN)
    subprocess.run([str(pystrobe), "record", "-r", "200", "-o", str(tmp_path / f"a{ending}"), "--", *PYTHON, str(tmp_path / "work.py")],
                   check=True, capture_output=True, timeout=120)
    spans = read(tmp_path / f"a{ending}")
    main = next(thread for thread, function in spans if function == "then")
    other = next(thread for thread, function in spans if function == "other")
    first, then, beside = spans[main, "first"], spans[main, "then"], spans[other, "first"]
    assert first[1] + 0.5 < then[0], "the sleep lies between them"
    # It starts 0.6 s after the first, whose beginning a busy machine sees late.
    assert first[0] + 0.2 < beside[0] < then[1] + 1, "the other thread is on the same time line"


# --- calls through C ---

THROUGH_C = """\
import functools
import sys


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def main():
    print("ready", flush=True)
    while True:
        fib(12)


functools.partial(exec, "main()", globals())()
"""


@python3_only
def test_what_a_c_function_called_keeps_its_leaves(pystrobe, target, minor_python):
    """From 3.12 on the caller of a C function was compared with itself up to the leaf, which moves: all of it was cut."""
    process = target(THROUGH_C, python=minor_python)
    stacks, said = record(pystrobe, "-p", process.pid, "-r", "200", "-d", "1", enough=20)
    whole = sum(count for frames, count in stacks if any(frame.startswith("main (") for frame in frames))
    assert whole >= 0.8 * sum(count for _, count in stacks), (stacks, said)
