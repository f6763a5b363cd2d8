"""Processes that lie in real memory: what they say never reaches a terminal as it is, costs no more than an honest
process does, and nobody else anything."""
import json
import os
import re
import resource
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
    process = lying("generators", 300)

    def shown():
        """So many frames, each read by itself, often are not one instant's: then its leaves are left out."""
        status, output, errors = run(pystrobe, "dump", "--pid", process.pid)
        assert status == 0, errors
        return output if re.search(r"^    spin \(.*lying.py:\d+\)$", output, re.M) else None

    output = wait_until(shown, 20, "the whole chain in one look")
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


@pytest.mark.parametrize("kind", ["generators", "coroutines"])
def test_generators_and_coroutines_that_wait_in_a_ring_are_told_and_hide_no_other_thread(pystrobe, lying, kind):
    process = lying("ring", kind, 300)
    status, output, errors = run(pystrobe, "dump", "--json", "--pid", process.pid)
    assert status == 0, errors
    threads = json.loads(output)
    assert [thread["frames"] for thread in threads if thread["verdict"] == "cycle"] == [[]], output[:2000]
    names = [[frame["name"] for frame in thread["frames"]] for thread in threads if thread["verdict"] == "ok"]
    assert len(names) == 1 and names[0][-2:] == ["ring", "<module>"]
    assert most_memory_kib([pystrobe, "record", "--mode", "wall", "--pid", process.pid, "-d", "1", "-o", "/dev/null", "-f", "raw"]) < \
        RSS_KIB * (8 if SLOW > 1 else 1)
    assert process.poll() is None


def test_a_ring_of_coroutines_is_counted_and_costs_the_other_targets_nothing(agent, processes, lying):
    steady = processes([sys.executable, "-c", "while True: sum(range(1000))"],
                       env={**os.environ, "OTEL_SERVICE_NAME": "steady"})
    hostile = lying("ring", "coroutines", 300)
    running = agent({"sampling": {"window": "2s", "overhead": {"cpu": "100%", "memory": "1GiB"}}}).wait_ready()

    def windows():
        found = [pprof.Profile.load(path) for path in running.profiles.glob("steady_wall_*.pb.gz")]
        return [profile for profile in found if profile.duration_nanos > 1.5e9]

    wait_until(lambda: len(windows()) >= 2, 40, "windows of the steady target")
    last = max(windows(), key=lambda profile: profile.time_nanos)
    assert last.total("samples") >= 0.4 * 19 * last.duration_nanos / 1e9
    wait_until(lambda: running.metric("pystrobe_sample_errors_total", reason="cycle") > 0, 20, "the ring to be counted")
    assert running.wait_target(hostile.pid)["state"] == "active"
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 5
    assert steady.poll() is None and hostile.poll() is None


# An honest process maps files that are hostile images. What their headers say: the bytes of a file, what of it is mapped.
IMAGES = """\
import mmap, os, struct, sys, time
def header(phnum, shoff=0, shnum=0):
    return (b"\\x7fELF\\x02\\x01\\x01" + bytes(9) +
            struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, shoff, 0, 64, 56, phnum, 64, shnum, 0))
def segment(kind, offset, address, size):
    return struct.pack("<IIQQQQQQ", kind, 5, offset, address, address, size, size, 4096)
HUGE = 1 << 40
kind, folder = sys.argv[1:]
start = segment(1, 0, 0, HUGE)
if kind == "sparse":  # 1 TiB, all of it code and texts
    data, size = header(1) + start, HUGE
elif kind == "sections":  # 2^32 of them: their number stands in the first
    data, size = header(1, 4096, 0) + start, HUGE
    data = data.ljust(4096, b"\\0") + struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 1 << 32, 1, 0, 0, 0)
elif kind == "dynamic":  # tables that are each other, and no end
    entries = b"".join(struct.pack("<QQ", tag, 4096) for tag in (4, 5, 6, 10, 11, 0x6ffffef5, 14)) * 9000
    data, size = (header(2) + start + segment(2, 4096, 4096, HUGE - 4096)).ljust(4096, b"\\0") + entries, HUGE
elif kind == "program":  # 65535 program headers
    data, size = header(65535) + start * 1000, HUGE
path = os.path.join(folder, "liblarge.so")
with open(path, "wb") as out:
    out.write(data)
    out.truncate(size)
with open(path, "rb") as image:
    kept = mmap.mmap(image.fileno(), 1 << 30, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
def honest():
    print("READY", flush=True)
    time.sleep(600)
honest()
"""


@pytest.mark.parametrize("kind", ["sparse", "sections", "dynamic", "program"])
def test_hostile_images_in_a_process_cost_little_and_hide_nothing(pystrobe, processes, tmp_path, kind):
    process = processes([sys.executable, "-c", IMAGES, kind, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "READY\n"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status, output, errors = run(pystrobe, "dump", "--pid", process.pid)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert status == 0, errors
    assert re.search(r"^    honest \(", output, re.M)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2 * SLOW
    assert os.stat(tmp_path / "liblarge.so").st_blocks < 4096, "nothing made its holes real"


# The same 16 MiB a hundred times: 1 GiB and more that can be read, behind one length.
ALIAS = """\
import ctypes, mmap, os, sys, time
exec(open(sys.argv[1]).read().partition("def ready")[0])
PART, TIMES = 1 << 24, 72
memory = os.memfd_create("alias")
os.ftruncate(memory, PART)
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
base = libc.mmap(None, PART * TIMES, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
for i in range(TIMES):
    libc.mmap(base + i * PART, PART, 3, mmap.MAP_SHARED | 0x10, memory, 0)
def spin():
    end = time.monotonic() + 600
    while time.monotonic() < end:
        pass
name = "n" * 5000
ctypes.memmove(base, ctypes.string_at(id(name), sys.getsizeof(name)), sys.getsizeof(name))
poke(base + 16, PART * TIMES - 200)  # that it is as long as the alias
spin.__code__ = spin.__code__.replace(co_name=name, co_qualname=name)
for field in (120, 128, 136):  # name, qualified name, lines
    poke(id(spin.__code__) + field, base)
print("READY", flush=True)
spin()
"""


def test_a_name_and_a_line_table_of_a_gibibyte_that_can_be_read_cost_no_memory(pystrobe, processes):
    process = processes([sys.executable, "-c", ALIAS, LYING], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "READY\n"
    status, output, errors = run(pystrobe, "dump", "--pid", process.pid)
    assert status == 0, errors
    assert "n" * 4096 in output and len(output) < 20000, "cut, so it was read"
    assert most_memory_kib([pystrobe, "record", "--pid", process.pid, "-d", "1", "-o", "/dev/null", "-f", "raw"]) < \
        RSS_KIB * (8 if SLOW > 1 else 1)
    assert process.poll() is None
