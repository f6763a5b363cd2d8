"""Recursion without end: what is deeper than a walk goes costs no more than the walk, and what is shown says so."""
import json
import subprocess

import pytest

from lib import pythons
from lib.waiting import wait_until

RECURSION = """
import sys, threading, time
sys.setrecursionlimit(1000000)
threading.stack_size(1 << 29)
def fall(n):
    if n:
        return fall(n - 1)
    sys.stdout.write("down\\n")
    sys.stdout.flush()
    land()
def land():
    time.sleep(600)
threads = [threading.Thread(target=fall, args=(%d,)) for _ in range(2)]
for thread in threads:
    thread.start()
threads[0].join()
"""
# One of each way in which stacks are walked.
KINDS = [pythons.find(minor) for minor in ("3.8", "3.11", "3.12", "3.15")]


@pytest.fixture
def falling(start_python, tmp_path):
    """falling(python, depth) -> a process with two threads that deep."""

    def start(python, depth):
        script = tmp_path / "fall.py"
        script.write_text(RECURSION % depth, encoding="utf-8")
        process = start_python(python, script, stdout=subprocess.PIPE)
        assert [process.stdout.readline() for _ in range(2)] == [b"down\n"] * 2
        return process

    return start


@pytest.mark.parametrize("python", KINDS, ids=str)
def test_a_recursion_deeper_than_the_walk_shows_its_leaf_and_says_that_there_is_more(python, falling, pystrobe):
    process = falling(python, 60000)

    def deep():
        done = subprocess.run([pystrobe, "dump", "--json", "--pid", str(process.pid)], capture_output=True, timeout=40)
        found = [thread for thread in json.loads(done.stdout) if len(thread["frames"]) > 1000] if done.returncode == 0 else []
        return found if len(found) == 2 else None

    for thread in wait_until(deep, 60, "both stacks"):
        names = [frame["name"] for frame in thread["frames"]]
        assert thread["truncated"] is True and names == ["land"] + ["fall"] * (len(names) - 1)


@pytest.mark.parametrize("python", KINDS[:2], ids=str)
def test_a_process_whose_stacks_take_more_than_one_look_is_not_taken_for_ended(python, falling, pystrobe, tmp_path):
    process, out = falling(python, 5000), tmp_path / "out.txt"
    subprocess.run([pystrobe, "record", "--pid", str(process.pid), "--mode", "wall", "-d", "4", "-r", "20", "-o", out], check=True,
                   timeout=60)
    deep = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("[deeper];fall")]
    assert len(deep) == 1 and deep[0].rpartition(";")[2].startswith("land ("), out.read_text()[-400:]
