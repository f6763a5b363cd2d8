"""Processes that lie in real memory: what they say never reaches a terminal as it is, costs no more than an honest
process does, and nobody else anything."""
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib import pprof
from lib.waiting import wait_until

LYING = Path(__file__).parents[1] / "workloads" / "lying.py"
SLOW = float(os.environ.get("PYSTROBE_SLOW", "1"))
RSS_KIB = 48 * 1024
# What moves a terminal's cursor, or what a person reads, but for the line's end.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lies are told with 3.11's offsets")


@pytest.fixture
def lying(processes):
    def start(*words):
        process = processes([sys.executable, str(LYING), *map(str, words)], stdout=subprocess.PIPE, text=True)
        assert select.select([process.stdout], [], [], 30)[0], f"lying.py {words} says nothing"
        assert process.stdout.readline() == "READY\n"
        return process
    return start


def run(pystrobe, *words):
    """(status, output, errors) of a command that may take neither long nor much."""
    began = time.monotonic()
    with subprocess.Popen([pystrobe, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        output, errors = command.communicate(timeout=60 * SLOW)
    assert time.monotonic() - began < 20 * SLOW
    return command.returncode, output.decode(), errors.decode()


def most_memory_kib(argv):
    """Of a command that succeeds. What wait4 says begins with the memory of the process that was forked."""
    most = 0
    with subprocess.Popen([str(word) for word in argv], stderr=subprocess.DEVNULL) as command:
        while command.poll() is None:
            status = Path(f"/proc/{command.pid}/status").read_text(encoding="utf-8")
            seen = re.search(r"^Name:\tpystrobe\n(?:.*\n)*?VmHWM:\s*(\d+)", status, re.M)
            most = max(most, int(seen[1]) if seen else 0)
            time.sleep(0.02)
    assert command.returncode == 0 and most > 0
    return most


@pytest.mark.parametrize("words", ["dump --pid", "dump --locals --pid", "dump --json --pid", "top --once --pid",
                                   "top --once --json --pid", "ps --why", "ps --json --why"])
def test_names_with_control_characters_move_no_terminal(pystrobe, lying, words):
    status, output, errors = run(pystrobe, *words.split(), lying("names").pid)
    assert status == 0, errors
    assert output
    assert not OBEYED.search(output), OBEYED.search(output)
    assert not OBEYED.search(errors)


@pytest.mark.parametrize("words", [("length", 32), ("length", 63), ("table",), ("numbers",)])
def test_lengths_and_types_that_cannot_be_cost_no_memory_and_leave_the_rest_readable(pystrobe, lying, words):
    process = lying(*words)

    def dumped():
        status, output, errors = run(pystrobe, "dump", "--pid", process.pid)
        assert status == 0, errors
        assert len(output) < 20000
        return output if not re.search(r"^    ready \(", output, re.M) else None

    output = wait_until(dumped, 20, "the lie to be told")
    assert re.search(r"^    <module> \(.*lying.py:\d+\)$", output, re.M)
    if words == ("table",):
        assert re.search(r"^    spin \(.*lying.py\)$", output, re.M), "no line rather than a wrong one"
    assert most_memory_kib([pystrobe, "record", "--pid", process.pid, "-d", "1", "-o", "/dev/null", "-f", "raw"]) < \
        RSS_KIB * (8 if SLOW > 1 else 1)
    assert process.poll() is None


def test_a_function_at_the_end_of_a_long_chain_of_generators_is_shown(pystrobe, lying):
    """The walker knew 64 frames outside the data stack, and said that all else was torn."""
    status, output, errors = run(pystrobe, "dump", "--pid", lying("generators", 300).pid)
    assert status == 0, errors
    assert re.search(r"^    spin \(.*lying.py:\d+\)$", output, re.M)
    assert len(re.findall(r"^    generators\.<locals>\.chain \(", output, re.M)) == 301


def test_an_endless_list_of_threads_is_refused_and_costs_the_others_nothing(agent, processes, lying):
    steady = processes([sys.executable, "-c", "while True: sum(range(1000))"],
                       env={**os.environ, "OTEL_SERVICE_NAME": "steady"})
    hostile = lying("states")
    running = agent({"sampling": {"window": "2s", "overhead": {"cpu": "100%", "memory": "1GiB"}}}).wait_ready()

    def windows():
        found = [pprof.Profile.load(path) for path in running.profiles.glob("steady_wall_*.pb.gz")]
        return [profile for profile in found if profile.duration_nanos > 1.5e9]

    def row():
        return next((row for row in running.targets() if row["pid"] == hostile.pid), None)

    wait_until(lambda: len(windows()) >= 2, 40, "windows of the steady target")
    last = max(windows(), key=lambda profile: profile.time_nanos)
    # A reader that is held up gives none; a busy machine some less than it should.
    assert last.total("samples") >= 0.4 * 19 * last.duration_nanos / 1e9
    seen = wait_until(lambda: (found := row()) and found["state"] == "failed" and found, 20, "the hostile target to be told")
    assert seen["reason"] in ("budget", "cycle", "length")
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 5
    assert steady.poll() is None and hostile.poll() is None
