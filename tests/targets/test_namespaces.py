"""A target in its own pid, mount and user namespaces: found, named and read as any other, its threads told apart."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from lib import pythons
from lib.waiting import wait_until

WORKLOAD = """
import os, sys, threading, time

def busy_in_a_thread():
    while True:
        sum(range(1000))

for number in range(2):
    thread = threading.Thread(target=busy_in_a_thread, name='spinner-%d' % number)
    thread.daemon = True
    thread.start()
sys.stdout.write('%d\\n' % os.getpid())
sys.stdout.flush()
while True:
    time.sleep(0.1)
"""


def namespaces_or_reason():
    """Words that start a command in namespaces of its own."""
    words = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    trial = subprocess.run([*words, "true"], capture_output=True, text=True)
    if trial.returncode != 0:
        pytest.skip(f"this machine gives no user namespaces: {trial.stderr.strip()}")
    return words


def one_old_one_new():
    """Before 3.11 a thread state knows its pthread only, from 3.11 its id in the target's own namespace."""
    host = [python for python in pythons.all_pythons() if not python.root]
    old = [python for python in host if python.info < (3, 11)][:1]
    return old + [python for python in host if python.info >= (3, 11)][:1]


@pytest.fixture(params=one_old_one_new(), ids=str)
def inside(request, processes):
    """(pid as we number it, the program's environment) of a workload that takes itself for pid 1."""
    python = request.param
    env = python.environment(OTEL_SERVICE_NAME="in-a-box")
    outer = processes([*namespaces_or_reason(), *python.argv("-c", WORKLOAD)], stdout=subprocess.PIPE, env=env)
    assert outer.stdout.readline() == b"1\n", "the premise: a pid namespace of its own"
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii").split()
    assert len(children) == 1
    return int(children[0]), python


def test_ps_finds_names_and_reads_it(pystrobe, inside):
    pid, python = inside
    answer = subprocess.run([pystrobe, "ps", "--json", "--why", str(pid)], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    row = json.loads(answer.stdout)
    assert (row["state"], row["python"], row["service"]) == ("ready", python.version, "in-a-box")
    assert row["uid"] == os.geteuid(), "the uid is told in our own user namespace"
    text = subprocess.run([pystrobe, "ps", "--why", str(pid)], capture_output=True, text=True, timeout=60).stdout
    assert f"{pid} (in its own namespace 1)" in text


def test_its_threads_are_sampled_under_their_names(agent, inside):
    pid, _ = inside
    one = agent().wait_ready()
    one.wait_target(pid)

    def shares():
        found = {}
        for profile in one.read_profiles("cpu"):
            for sample in profile.samples:
                if "busy_in_a_thread" in "".join(sample.names()):
                    name = sample.labels.get("thread_name")
                    found[name] = found.get(name, 0) + sample.values[-1]
        return found

    found = wait_until(lambda: len(shares()) >= 2 and shares(), 60, "both threads in the profiles", interval=0.5)
    assert set(found) == {"spinner-0", "spinner-1"}, "CPU time reached threads by another's id"
    assert min(found.values()) > 0


def test_dump_tells_thread_ids_of_both_sides(pystrobe, inside):
    pid, python = inside
    answer = subprocess.run([pystrobe, "dump", "--json", "-l", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    threads = {thread["thread_name"]: thread for thread in json.loads(answer.stdout)}
    tasks = {int(task.name): task for task in Path(f"/proc/{pid}/task").iterdir()}
    assert {thread["os_thread_id"] for thread in threads.values()} == set(tasks)
    for thread in threads.values():
        status = (tasks[thread["os_thread_id"]] / "status").read_text(encoding="utf-8")
        own = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))
        assert thread["ns_thread_id"] == int(own)
    assert threads["MainThread"]["ns_thread_id"] == 1 and threads["MainThread"]["os_thread_id"] == pid
    stopped = subprocess.run([pystrobe, "dump", "--blocking", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert "(3 threads) stood still for" in stopped.stderr and f"Thread {pid} " in stopped.stdout
