"""What the sample reader asks of the kernel in steady state, counted by strace from outside."""
import re
import signal
import subprocess
import time

import pytest

from lib import notes, places, pythons
from lib.scale import scaled
from lib.waiting import wait_exit, wait_until

pytestmark = pytest.mark.serial

EIGHT_THREADS_100_DEEP = """
import threading
def down(depth):
    if depth:
        return down(depth - 1)
    while True:
        sum(range(2000))
for _ in range(8):
    threading.Thread(target=down, args=(100,), daemon=True).start()
threading.Event().wait()
"""
IDLE = "import time\nwhile True: time.sleep(1000)\n"
HZ = 50
SECONDS = scaled(3, 1)


def reader_of(running):
    """The process of the sample reader."""
    for line in subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout.splitlines():
        pid, parent, words = line.split(None, 2) if len(line.split(None, 2)) == 3 else (0, 0, "")
        if "__sample" in words and int(parent) == running.pid:
            return int(pid)
    raise AssertionError("no sample reader")


def count_reads(pid, targets, seconds, folder):
    """process_vm_readv calls of all threads of pid that read each of the targets, and the time they were counted for."""
    log = folder / "strace"
    tracer = subprocess.Popen(["strace", "-f", "-q", "-e", "trace=process_vm_readv", "-o", str(log), "-p", str(pid)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: f"TracerPid:\t{tracer.pid}" in open(f"/proc/{pid}/status").read(), 10, "strace to be attached")
    started = time.monotonic()
    time.sleep(seconds)
    tracer.send_signal(signal.SIGINT)
    wait_exit(tracer)
    took = time.monotonic() - started
    text = log.read_text()
    return [len(re.findall(rf"process_vm_readv\({target},", text)) for target in targets], took


def test_eight_deep_running_threads_cost_at_most_three_reads_a_tick(agent, start_python, tmp_path):
    script = tmp_path / "deep.py"
    script.write_text(EIGHT_THREADS_100_DEEP)
    builds = [python for python in pythons.one_per_minor() if python.info >= (3, 11)][:scaled(None, 2)]
    targets = [start_python(python, script).pid for python in builds]
    # A window longer than the count: closing one has costs of its own.
    running = agent({"sampling": {"hz": HZ, "window": "60s", "overhead": {"cpu": "100%", "memory": "1GiB"}}})
    running.wait_ready()
    for pid in targets:
        running.wait_target(pid)
    time.sleep(6)  # the first window closes after 5 s, and caches are warm then
    counted, took = count_reads(reader_of(running), targets, SECONDS, tmp_path)
    ticks = took * HZ
    for python, reads in zip(builds, counted):
        notes.note(f"{python}: {reads / ticks:.2f} process_vm_readv a tick, 8 threads at depth 100")
    for python, reads in zip(builds, counted):
        assert reads > ticks / scaled(4, 40), f"{python} was not sampled"
        assert reads / ticks <= 3, f"{python}: {reads} reads in {ticks:.0f} ticks"


def test_an_idle_process_costs_no_read_of_its_memory(agent, start_python, tmp_path):
    script = tmp_path / "idle.py"
    script.write_text(IDLE)
    target = start_python(pythons.system_python(), script)
    running = agent({"sampling": {"hz": HZ, "window": "60s"}})
    running.wait_ready()
    running.wait_target(target.pid)
    time.sleep(8)
    (reads,), _took = count_reads(reader_of(running), [target.pid], SECONDS, tmp_path)
    assert reads == 0
    assert running.wait_target(target.pid)["state"] == "active"


def test_code_objects_are_known_after_five_seconds_of_the_demo(agent, processes):
    python = pythons.system_python()
    processes([python.exe, places.TESTS / "workloads" / "demo" / "run.py"], env=python.environment())
    running = agent({"sampling": {"hz": HZ, "window": "1s", "overhead": {"cpu": "100%", "memory": "1GiB"}}})
    running.wait_ready()

    def lookups():
        return [running.metric("pystrobe_code_cache_lookups_total", result=result) for result in ("hit", "miss")]

    wait_until(lambda: lookups()[0] > 1000, 40, "the demo to be sampled")
    time.sleep(5)
    hits, misses = lookups()
    wait_until(lambda: lookups()[0] > hits + scaled(5000, 500), 60, "more samples")
    more_hits, more_misses = lookups()
    share = (more_hits - hits) / (more_hits - hits + more_misses - misses)
    notes.note(f"code cache hits after 5 s of the demo: {share:.4f}")
    assert share >= scaled(0.99, 0.5)
