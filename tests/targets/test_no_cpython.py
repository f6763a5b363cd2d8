"""Processes that are no CPython: other Pythons, and programs that pretend. None gives a stack; each is refused soon, in a
line, and costs little."""
import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from lib import pprof, pythons
from lib.waiting import wait_until

HERE = Path(__file__).resolve().parent
SLOW = float(os.environ.get("PYSTROBE_SLOW", "1"))
LIES = ("threads", "interpreters", "chunks", "offsets", "eights", "garbage", "empty")
ASLEEP = "import sys, time\ndef inner():\n    print('up'); sys.stdout.flush()\n    time.sleep(600)\ninner()\n"


def run(pystrobe, *words, timeout=60):
    """(status, output, errors, CPU seconds) of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([pystrobe, *map(str, words)], capture_output=True, text=True, timeout=timeout * SLOW)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.returncode, done.stdout, done.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("words", ["dump --pid", "record -d 1 -o /dev/null --pid", "top --once --pid", "ps --why", "doctor --pid"])
def test_pypy_is_refused_by_name(pystrobe, processes, words):
    process = processes(["pypy3", "-c", ASLEEP], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    status, output, errors, _ = run(pystrobe, *words.split(), process.pid)
    assert status == 1
    assert "PyPy is not CPython" in output + errors and "inner" not in output
    if not words.startswith("doctor"):
        assert errors.count("\n") == 1 and not output


@pytest.fixture(scope="module")
def pretender(tmp_path_factory):
    binary = tmp_path_factory.mktemp("fake") / "fake"
    subprocess.run(["gcc", "-O1", "-rdynamic", "-o", binary, HERE / "fake_runtime.c"], check=True)
    return binary


@pytest.mark.parametrize("lie", LIES)
def test_a_program_that_pretends_to_be_a_runtime_is_refused_in_bounded_time(pystrobe, processes, pretender, lie):
    process = processes([pretender, lie], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    began = time.monotonic()
    status, output, errors, cpu = run(pystrobe, "dump", "--pid", process.pid)
    assert time.monotonic() - began < 30 * SLOW and cpu < 3 * SLOW
    if status == 0:
        assert "[torn: " in output or "[truncated: " in output
    else:
        assert status == 1 and errors.count("\n") == 1 and not output
    assert process.poll() is None


def test_pretenders_cost_an_agent_nothing_of_the_others(agent, processes, pretender, start_python, tmp_path):
    liars = []
    for lie in LIES:
        liars.append(processes([pretender, lie], stdout=subprocess.PIPE, env={**os.environ, "OTEL_SERVICE_NAME": "liar"}))
        assert liars[-1].stdout.readline() == b"up\n"
    script = tmp_path / "steady.py"
    script.write_text("def steady():\n    while True:\n        sum(range(1000))\nsteady()\n", encoding="utf-8")
    honest = start_python(pythons.system_python(), script)
    running = agent({"sampling": {"modes": ["wall"], "window": "1s"}})
    running.wait_target(honest.pid, timeout=60)

    def seen():
        return any("steady" in sample.names() for profile in running.read_profiles("wall") for sample in profile.samples)

    wait_until(seen, 60, "samples of the honest process")
    shown = {name for path in running.profiles.glob("liar_*.pb.gz") for sample in pprof.Profile.load(path).samples
             for name in sample.names()}
    assert all(name.startswith("[") for name in shown), shown
    assert running.stop() == 0
