"""record --native and dump --native: the stacks against gdb's, what stopping does to a target, and what it leaves behind."""
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request

import pytest

from lib import notes, pythons
from lib.places import TESTS
from lib.scale import JUDGED, scaled
from lib.waiting import wait_exit, wait_until

WORKLOADS = TESTS / "workloads" / "native"
PARK = WORKLOADS / "park.py"
HIDDEN = re.compile(r"^(\?\?|_start|main|start_thread|__?clone\w*|clone\w*|__libc_start\w*|__Pyx_\w+)$")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the libraries that park.py loads."""
    folder = tmp_path_factory.mktemp("native")
    options = ["-g", "-O1", "-shared", "-fPIC", "-I", sysconfig.get_paths()["include"], "-I", "/usr/include/python3.11"]

    def compile_it(compiler, source, target):
        subprocess.run([compiler, *options, str(source), "-o", str(folder / target)], check=True, timeout=120)

    compile_it("g++", WORKLOADS / "shapes.cpp", "shapes.so")
    compile_it("g++", WORKLOADS / "extension.cpp", "extension.so")
    generated = folder / "pyxshape.c"
    subprocess.run(["cython3", "-3", str(WORKLOADS / "pyxshape.pyx"), "-o", str(generated)], check=True, timeout=120)
    compile_it("gcc", generated, "pyxshape.so")
    folder.chmod(0o755)
    return folder


@pytest.fixture
def parked(start_python):
    """parked(python, shape, *arguments) -> a process that stands still inside that shape's call."""

    def start(python, *words, **kwargs):
        process = start_python(python, PARK, *words, stdout=subprocess.PIPE, text=True, **kwargs)
        assert process.stdout.readline() == "parked\n"
        wait_until(lambda: state_of(process.pid) == "S", what="it sleeps")
        return process

    return start


@pytest.fixture
def dump(pystrobe):
    """dump(pid, *options) -> the threads of dump --native --json."""

    def run(pid, *options):
        done = subprocess.run([str(pystrobe), "dump", "--native", "--json", "--pid", str(pid), *options],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def tracers(pid):
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8", errors="replace") as status:
            lines = dict(line.split(":", 1) for line in status.read().splitlines() if ":" in line)
        found[tid] = (lines["State"].split()[0], int(lines["TracerPid"]))
    return found


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))


def python_names(frames):
    return [frame["name"] for frame in frames if not frame.get("native")]


def names(frames):
    return [frame["name"] for frame in frames]


def has_ctypes(python):
    return subprocess.run(python.argv("-c", "import ctypes"), env=python.environment(), capture_output=True, timeout=60).returncode == 0


# --- against gdb ---

def images(pid):
    """path -> where its first page is mapped, as libdwfl takes it; and the ranges that hold code."""
    starts, ranges = {}, []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            fields = line.split(None, 5)
            if len(fields) < 6:
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            path = fields[5].strip()
            starts.setdefault(path, start - int(fields[2], 16))
            ranges.append((start, end, path))
    return starts, ranges


def gdb_frames(mapped, *where):
    """(function, binary, address in it) of each C frame, leaf first; inlined ones have none of their own."""
    done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set width 0", "-ex",
                           "set print address on", "-ex", "p/x $pc", "-ex", "bt", *map(str, where)], capture_output=True,
                          text=True, timeout=120, stdin=subprocess.DEVNULL)
    _, pc, stack = re.split(r"^\$1 = (0x[0-9a-f]+)", done.stdout, flags=re.M)  # before it stands what gdb says on attaching
    pc = int(pc, 16)
    starts, ranges = mapped
    found = []
    for number, address, function in re.findall(r"^#(\d+) +(?:(0x[0-9a-f]+) in )?(\S+)", stack, re.M):
        if number != "0" and not address:
            continue
        where = int(address, 16) if address else pc
        where -= number != "0"
        path = next((path for start, end, path in ranges if start <= where < end), "")
        found.append((function, path, where - starts.get(path, 0)))
    return found


def interpreter(pid):
    """The path of the image that holds CPython."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        paths = [line.split(None, 5)[5].strip() for line in maps if "libpython" in line]
    return paths[0] if paths else os.readlink(f"/proc/{pid}/exe")


def compare_with_gdb(frames, python, theirs):
    ours = [(frame["module"], frame["address"]) for frame in frames if frame.get("native") and frame["module"]]
    ours = [one for i, one in enumerate(ours) if i == 0 or one != ours[i - 1]]
    rest = list(theirs)
    for one in ours:
        while rest and rest[0][1:] != one:
            function, path, _ = rest.pop(0)
            assert path == python or HIDDEN.match(function), (function, path, one, theirs)
        assert rest, (one, ours, theirs)
        rest.pop(0)
    for function, path, _ in rest:
        assert path == python or HIDDEN.match(function), (function, path, theirs)
    assert len(ours) >= 2


def allow_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def core_of(process, folder):
    """By the kernel where it writes them here, else by gdb."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as pattern:
        if pattern.read().strip() != "core":
            subprocess.run(["gcore", "-o", folder / "core", str(process.pid)], check=True, capture_output=True, timeout=120)
        else:
            process.send_signal(signal.SIGSEGV)
            wait_exit(process)
    core, = folder.glob("core*")
    return core


def dump_core(pystrobe, core):
    done = subprocess.run([str(pystrobe), "dump", "--native", "--json", "--core", core], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


SHAPES = {
    "sort": ["parked", "sort", "start", "<module>"],
    "ring": ["parked", "ring", "start", "<module>"],
    "cython": ["parked", "cython", "start", "<module>"],
    "extension": ["parked", "extension", "start", "<module>"],
    "numpy": ["parked", "numpy", "start", "<module>"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_stacks_are_those_that_gdb_sees(pystrobe, parked, dump, built, tmp_path, shape):
    """Alive, and in a core file of the same process."""
    words = [] if shape in ("sort", "numpy") else [built]
    process = parked(pythons.system_python(), shape, *words, cwd=tmp_path, preexec_fn=allow_cores)
    thread, = [one for one in dump(process.pid) if one["os_thread_id"] == process.pid]
    assert thread["native"] == "ok"
    assert python_names(thread["frames"]) == SHAPES[shape]
    python, mapped = interpreter(process.pid), images(process.pid)
    compare_with_gdb(thread["frames"], python, gdb_frames(mapped, "-p", process.pid))
    core = core_of(process, tmp_path)
    exe = os.path.realpath(pythons.system_python().exe)
    kept, = [one for one in dump_core(pystrobe, core) if one["os_thread_id"] == process.pid]
    assert kept["native"] == "ok" and kept["frames"] == thread["frames"]
    compare_with_gdb(kept["frames"], python, gdb_frames(mapped, exe, core))


def test_a_core_file_whose_library_is_gone_keeps_its_python_frames(pystrobe, parked, built, tmp_path):
    (tmp_path / "shapes.so").write_bytes((built / "shapes.so").read_bytes())
    process = parked(pythons.system_python(), "ring", tmp_path, cwd=tmp_path, preexec_fn=allow_cores)
    core = core_of(process, tmp_path)
    (tmp_path / "shapes.so").unlink()
    thread, = dump_core(pystrobe, core)
    assert python_names(thread["frames"]) == ["parked", "ring", "start", "<module>"]
    found = names(thread["frames"])
    assert "[jit]" not in found and found.index("[no unwind data]") < found.index("ring"), found


def check_sorted(thread):
    """Builds without ctypes, among them musl's, whose libc has no unwind tables."""
    assert thread["native"] == "ok", thread
    assert python_names(thread["frames"]) == ["parked", "order", "start", "<module>"]
    found = names(thread["frames"])
    assert any("sort" in name for name in found[found.index("parked") + 1:found.index("order")]), found
    assert any(frame.get("native") for frame in thread["frames"][:found.index("parked")]), found


def test_c_calls_stand_between_the_python_frames_that_they_lie_between(parked, dump, python):
    if not has_ctypes(python):
        return check_sorted(dump(parked(python, "order").pid)[0])
    process = parked(python, "sort")
    thread, = [one for one in dump(process.pid) if one["os_thread_id"] == process.pid]
    assert thread["native"] == "ok", thread
    assert python_names(thread["frames"]) == SHAPES["sort"]
    found = [next(i for i, frame in enumerate(thread["frames"]) if frame["name"] == name)
             for name in ("parked", "sort", "start")]
    callers = [os.path.basename(frame["module"] or "") for frame in thread["frames"][found[0] + 1:found[1]]]
    assert any(name.startswith(("libc.", "libc-")) for name in callers), callers
    leaf = [frame for frame in thread["frames"][:found[0]] if frame.get("native")]
    assert any("sleep" in frame["name"] or "select" in frame["name"] for frame in leaf), names(thread["frames"])
    assert all(not frame.get("native") for frame in thread["frames"][found[1]:]), names(thread["frames"])


def test_cplusplus_is_demangled_and_has_lines(parked, dump, built):
    process = parked(pythons.system_python(), "ring", built)
    frame, = [one for one in dump(process.pid)[0]["frames"] if one["name"].startswith("shop::")]
    assert frame["name"] == "shop::Till<int>::ring(void (*)())"
    assert frame["system_name"].startswith("_ZN4shop") and frame["filename"].endswith("shapes.cpp") and frame["line"] == 16
    assert len(frame["build_id"]) == 40 and frame["module"].endswith("shapes.so") and frame["address"] > 0


def test_cython_has_its_own_names_and_lines(parked, dump, built):
    process = parked(pythons.system_python(), "cython", built)
    frames = [one for one in dump(process.pid)[0]["frames"] if one.get("native") and one["filename"].endswith(".pyx")]
    assert [(one["name"], os.path.basename(one["filename"]), one["line"]) for one in frames] == [
        ("inner", "pyxshape.pyx", 2), ("outer", "pyxshape.pyx", 7)]


def test_a_page_of_the_executable_mapped_once_more_does_not_take_the_names_of_the_libraries_below_it(parked, dump):
    python = next(one for one in pythons.all_pythons() if one.source == "standalone" and one.version.startswith("3.14"))
    process = parked(python, "page")
    thread, = [one for one in dump(process.pid) if one["os_thread_id"] == process.pid]
    found = names(thread["frames"])
    assert any("sleep" in name for name in found[:found.index("parked")]), found


def test_code_without_a_file_ends_the_native_part_only(parked, dump):
    process = parked(pythons.system_python(), "jit")
    thread = dump(process.pid)[0]
    assert python_names(thread["frames"]) == ["parked", "jit", "start", "<module>"]
    assert "[jit]" in names(thread["frames"])
    assert names(thread["frames"]).index("[jit]") == names(thread["frames"]).index("jit") - 1


def test_a_stack_longer_than_its_copy_is_cut_and_says_so_but_for_one_in_a_core_file(pystrobe, parked, dump, built, tmp_path):
    process = parked(pythons.system_python(), "deep", built, cwd=tmp_path, preexec_fn=allow_cores)
    thread = dump(process.pid)[0]
    assert python_names(thread["frames"]) == ["parked", "deep", "start", "<module>"]
    assert names(thread["frames"]).count("shapes_deep") > 40
    assert names(thread["frames"]).index("[truncated]") < names(thread["frames"]).index("deep")
    whole = names(dump_core(pystrobe, core_of(process, tmp_path))[0]["frames"])
    assert whole.count("shapes_deep") == 201 and "[truncated]" not in whole, whole


def test_what_a_signal_with_a_stack_of_its_own_interrupted_is_shown_too(parked, dump, built):
    thread = dump(parked(pythons.system_python(), "signal", built).pid)[0]
    found = names(thread["frames"])
    assert thread["native"] == "ok" and python_names(thread["frames"]) == ["parked", "signal", "start", "<module>"]
    order = [found.index(name) for name in ("parked", "on_signal(int)", "shapes_signal", "signal", "start")]
    assert order == sorted(order) and "[truncated]" not in found, found


def test_a_coroutine_of_c_shows_its_own_calls_and_all_of_python(parked, dump, built):
    thread = dump(parked(pythons.system_python(), "coroutine", built).pid)[0]
    found = names(thread["frames"])
    assert thread["native"] == "ok" and python_names(thread["frames"]) == ["parked", "coroutine", "start", "<module>"]
    order = [found.index(name) for name in ("parked", "run_coroutine()", "[another stack]", "coroutine")]
    assert order == sorted(order), found


def test_deleted_libraries_keep_their_names(parked, dump, built, tmp_path):
    (tmp_path / "shapes.so").write_bytes((built / "shapes.so").read_bytes())
    process = parked(pythons.system_python(), "ring", tmp_path)
    (tmp_path / "shapes.so").unlink()
    assert "shapes_ring" in names(dump(process.pid)[0]["frames"])


def test_files_that_lie_cost_names_and_never_the_sample(parked, dump, built, tmp_path):
    """Headers, tables and debug information overwritten at random, then cut off, while the target sleeps in them."""
    path = tmp_path / "shapes.so"
    path.write_bytes((built / "shapes.so").read_bytes())
    process = parked(pythons.system_python(), "ring", tmp_path)
    whole, chance = path.read_bytes(), random.Random(7)
    for turn in range(18):
        broken = bytearray(whole)
        first = 0 if turn % 2 else len(whole) // 2
        for _ in range(chance.choice((1, 8, 200))):
            broken[chance.randrange(first, len(broken))] = chance.choice((0, 0xff, 0x80, chance.randrange(256)))
        if turn % 6 == 5:
            del broken[chance.randrange(len(broken)):]
        with open(path, "r+b") as file:
            file.write(broken)
            file.truncate(len(broken))
        thread, = dump(process.pid)
        assert python_names(thread["frames"]) == ["parked", "ring", "start", "<module>"], turn
    assert process.poll() is None


@pytest.mark.parametrize("how", scaled(["zlib-gabi", "zlib-gnu"], ["zlib-gabi"]))
def test_separate_debug_information_that_unpacks_beyond_its_bound_is_left_unread(parked, dump, built, tmp_path, how):
    """Half a gigabyte of zeros packs to half a megabyte."""
    library, debug, packed, zeros = (tmp_path / name for name in ("shapes.so", "whole.debug", "shapes.debug", "zeros"))

    def objcopy(*words):
        subprocess.run(["objcopy", *map(str, words)], check=True, timeout=120)

    objcopy("--only-keep-debug", built / "shapes.so", debug)
    objcopy("--compress-debug-sections=" + how, debug, packed)
    objcopy("--strip-debug", f"--add-gnu-debuglink={packed}", built / "shapes.so", library)
    process = parked(pythons.system_python(), "ring", tmp_path)

    def ring():
        return next(one for one in dump(process.pid)[0]["frames"] if one["name"] == "shapes_ring")

    assert ring()["filename"].endswith("shapes.cpp")
    with open(zeros, "wb") as file:
        file.truncate(500_000_000)
    objcopy(f"--update-section=.debug_str={zeros}", debug)
    objcopy("--compress-debug-sections=" + how, debug, packed)
    zeros.unlink(), debug.unlink()
    assert packed.stat().st_size < 2_000_000
    assert ring()["filename"].endswith("shapes.so")


def test_debug_information_of_another_build_is_not_taken(parked, dump, built, tmp_path):
    """Its lines would be wrong ones. A debuglink names a file and no more."""
    library, debug, note = (tmp_path / name for name in ("shapes.so", "shapes.debug", "note"))
    subprocess.run(["objcopy", "--only-keep-debug", built / "shapes.so", debug], check=True, timeout=120)
    subprocess.run(["objcopy", "--strip-debug", f"--add-gnu-debuglink={debug}", built / "shapes.so", library], check=True, timeout=120)
    note.write_bytes(b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0" + bytes(20))
    process = parked(pythons.system_python(), "ring", tmp_path)

    def ring():
        return next(one for one in dump(process.pid)[0]["frames"] if one["name"] == "shapes_ring")

    assert ring()["filename"].endswith("shapes.cpp")
    subprocess.run(["objcopy", f"--update-section=.note.gnu.build-id={note}", debug], check=True, timeout=120)
    assert ring()["filename"].endswith("shapes.so")


# --- what it does to a target ---

def test_a_target_that_is_traced_is_sampled_as_python_only(pystrobe, parked, dump, processes, tmp_path):
    process = parked(pythons.system_python(), "sort")
    strace = processes(["strace", "-f", "-o", tmp_path / "strace", "-p", process.pid], stderr=subprocess.DEVNULL)
    wait_until(lambda: all(tracer for _, tracer in tracers(process.pid).values()), what="strace is attached")
    thread = dump(process.pid)[0]
    assert thread["native"] == "traced" and thread["traced_by"] == f"strace ({strace.pid})"
    assert names(thread["frames"]) == SHAPES["sort"]
    done = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-d", "2", "-f", "raw", "-o", "-", "--pid",
                           str(process.pid)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"is traced by another process: strace ({strace.pid})" in done.stderr
    assert "parked" in done.stdout and "qsort" not in done.stdout


def python_only(pystrobe, pid, why):
    """What a recording says of a process whose native frames are not to be had."""
    done = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-d", "1", "-r", "50", "-f", "raw", "-o", "-", "--pid", str(pid)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and why in done.stderr, done.stderr
    return done.stdout


def test_a_thread_that_nothing_interrupts_is_let_go_and_shown_as_python_only(pystrobe, parked, dump, start_python, built):
    process = start_python(pythons.system_python(), PARK, "vfork", built, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "parked\n"
    wait_until(lambda: state_of(process.pid) == "D", what="it waits for its child")
    thread = dump(process.pid)[0]
    assert thread["native"] == "late" and names(thread["frames"]) == ["vfork", "start", "<module>"]
    assert "vfork" in python_only(pystrobe, process.pid, "did not stop in time")
    assert state_of(process.pid) == "D" and not any(tracer for _, tracer in tracers(process.pid).values())


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls are those of x86-64")
def test_a_filter_that_does_not_know_how_waits_go_on_does_not_kill_the_target(pystrobe, parked, dump):
    process = parked(pythons.system_python(), "filtered")
    thread = dump(process.pid)[0]
    assert thread["native"] == "ok" and python_names(thread["frames"]) == ["filtered", "start", "<module>"]
    assert any("poll" in name for name in names(thread["frames"])[:2]), thread
    done = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-d", "1", "-r", "200", "-f", "raw", "-o", "-", "--pid",
                           str(process.pid)], capture_output=True, text=True, timeout=60)
    assert "filtered" in done.stdout and process.poll() is None
    wait_until(lambda: state_of(process.pid) == "S", what="it waits as before")


OLD_WAITS = """
import ctypes, select
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]
allow = ctypes.create_string_buffer(b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f")
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.addressof(allow)))) == 0
open(%r, "w").close()
while True:
    select.poll().poll(50)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="elsewhere waits are left to the kernel")
@pytest.mark.parametrize("python", [next(one for one in pythons.all_pythons() if one.minor == "2.7" and not one.root)], ids=str)
def test_an_interrupted_wait_raises_no_error_in_pythons_that_do_not_repeat_it(pystrobe, start_python, tmp_path, python):
    ready = tmp_path / "ready"
    target = start_python(python, "-c", OLD_WAITS % str(ready))
    wait_until(ready.exists, what="it waits")
    done = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-d", "1", "-r", "200", "-f", "raw", "-o", "-", "--pid",
                           str(target.pid)], capture_output=True, text=True, timeout=60)
    assert "poll" in done.stdout and target.poll() is None, done.stderr


def test_a_process_that_ends_while_its_threads_are_held_ends_at_once(pystrobe, start_python, processes):
    """A thread that ended is nobody's before its tracer has waited for it."""
    for turn in range(8):
        target = start_python(pythons.system_python(), WORKLOADS / "crowd.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        target.stdout.readline()
        recorder = processes([pystrobe, "record", "--native", "--idle", "-r", "3000", "-d", "60", "-f", "raw", "-o", "/dev/null",
                              "--pid", target.pid], stderr=subprocess.PIPE)
        wait_until(lambda pid=target.pid: any(tracer for _, tracer in tracers(pid).values()), what="a thread is held")
        target.stdin.close()
        assert target.wait(20) == 0, turn
        recorder.wait(20)


def test_a_thread_that_executes_a_program_while_it_is_held_is_let_go(pystrobe, start_python, tmp_path):
    """It takes the number of the first thread then: nobody else is traced in its place."""
    count = tmp_path / "count"
    target = start_python(pythons.system_python(), WORKLOADS / "execs.py", count)
    wait_until(lambda: count.exists() and count.read_text(encoding="utf-8"), what="it runs")
    done = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-r", "3000", "-d", "5", "-f", "raw", "-o", "/dev/null", "--pid",
                           str(target.pid)], capture_output=True, text=True, timeout=60)
    assert "traced by another process" not in done.stderr, done.stderr
    before = count.read_text(encoding="utf-8")
    wait_until(lambda: count.read_text(encoding="utf-8") not in ("", before), what="it goes on")
    assert target.poll() is None


def test_a_program_whose_threads_come_and_go_ends_when_it_is_done(pystrobe, tmp_path):
    code = ("import threading\nfor _ in range(1500):\n thread = threading.Thread(target=lambda: sum(range(2000)))\n"
            " thread.start()\n thread.join()\nraise SystemExit(7)")
    done = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-r", "3000", "-f", "raw", "-o", str(tmp_path / "out.txt"), "--",
                           pythons.system_python().exe, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr


def test_signals_arrive_and_a_stopped_process_stays_stopped(pystrobe, start_python):
    process = start_python(pythons.system_python(), WORKLOADS / "busy.py", stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    recorder = subprocess.run([str(pystrobe), "record", "--native", "--idle", "-r", "500", "-d", "2", "-o", "/dev/null", "-f", "raw",
                               "--pid", str(process.pid)], capture_output=True, text=True, timeout=60)
    assert recorder.returncode == 0, recorder.stderr
    counts = [int(process.stdout.readline()) for _ in range(2)]
    assert min(counts) > 20, counts
    median = re.search(r"median (\d+) µs running", recorder.stderr)
    assert median and int(median.group(1)) < 5000, recorder.stderr
    notes.note("native: " + recorder.stderr.splitlines()[1])
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(process.pid) == "T", what="it is stopped")
    subprocess.run([str(pystrobe), "record", "--native", "--idle", "-d", "0.5", "-f", "raw", "-o", "/dev/null", "--pid", str(process.pid)],
                   check=True, capture_output=True, timeout=60)
    wait_until(lambda: state_of(process.pid) == "T", what="it is stopped as before")
    before = cpu_ticks(process.pid)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: cpu_ticks(process.pid) > before + 5, what="it goes on")


def test_killing_the_recorder_at_any_time_leaves_the_target_running(pystrobe, start_python):
    rounds, side_by_side = scaled(10, 2), 5
    targets = [start_python(pythons.system_python(), WORKLOADS / "busy.py", stdout=subprocess.DEVNULL)
               for _ in range(side_by_side)]
    chance = random.Random(5)
    for _ in range(rounds):
        recorders = [subprocess.Popen([str(pystrobe), "record", "--native", "--idle", "-r", "2000", "-f", "raw", "-o", "/dev/null",
                                       "--pid", str(target.pid)], stderr=subprocess.DEVNULL) for target in targets]
        for recorder in recorders:
            time.sleep(chance.uniform(0.02, 0.2))
            recorder.kill()
            recorder.wait()
        for target in targets:
            states = tracers(target.pid)
            assert all(tracer == 0 and state not in "tT" for state, tracer in states.values()), states
    for target in targets:
        before = cpu_ticks(target.pid)
        wait_until(lambda pid=target.pid, ticks=before: cpu_ticks(pid) > ticks + 5, what="the target goes on")
        assert target.poll() is None


def test_a_program_keeps_its_exit_status_while_it_is_traced(pystrobe, tmp_path):
    code = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: sum(range(1000))\nraise SystemExit(7)"
    done = subprocess.run([str(pystrobe), "record", "--native", "-r", "500", "-f", "raw", "-o", str(tmp_path / "out.txt"), "--",
                           pythons.system_python().exe, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    assert "stopped threads" in done.stderr


# --- recordings ---

def shares_of(text):
    total = squeezed = digested = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        squeezed += int(count) if re.search(r";squeeze.*(zlib|libz\.|deflate)", stack) else 0
        digested += int(count) if re.search(r";digest.*(sha|crypto)", stack.lower()) else 0
    return squeezed / total, digested / total


@pytest.mark.serial
def test_shares_of_zlib_and_hashlib(pystrobe, tmp_path):
    out = tmp_path / "out.txt"
    done = subprocess.run([str(pystrobe), "record", "--native", "-r", "200", "--weights", "time", "-f", "raw", "-o", str(out), "--",
                           pythons.system_python().exe, str(WORKLOADS / "split.py"), "4"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    squeezed, digested = shares_of(out.read_text(encoding="utf-8"))
    notes.note(f"native: zlib {squeezed:.1%} of 75%, hashlib {digested:.1%} of 25%")
    # A slow machine takes some 120 samples in that time: three of their standard errors. What is missing of the sum is the
    # start and the end of the program, and samples of which only Python's frames could be read.
    assert not JUDGED or squeezed / (squeezed + digested) == pytest.approx(0.75, abs=0.12)
    assert squeezed + digested > scaled(0.7, 0.2)


def test_pprof_names_binaries_and_build_ids(pystrobe, parked, built, tmp_path):
    process = parked(pythons.system_python(), "ring", built)
    out = tmp_path / "out.pb.gz"
    subprocess.run([str(pystrobe), "record", "--native", "--idle", "-d", "0.5", "-o", str(out), "--pid", str(process.pid)],
                   check=True, capture_output=True, timeout=60)
    shown = subprocess.run(["go", "tool", "pprof", "-raw", str(out)], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stderr
    mapping = re.search(r"^(\d+): \S+ \S*shapes\.so ([0-9a-f]{40}) ", shown.stdout, re.M)
    assert mapping, shown.stdout
    assert re.search(rf"^ +\d+: 0x[0-9a-f]+ M={mapping.group(1)} shop::Till<int>::ring.*shapes\.cpp:16", shown.stdout, re.M), shown.stdout


@pytest.mark.parametrize("command", ["record", "dump"])
def test_native_and_nonblocking_exclude_each_other(pystrobe, command):
    done = subprocess.run([str(pystrobe), command, "--native", "--nonblocking", "--pid", str(os.getpid())],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--nonblocking" in done.stderr and done.stderr.count("\n") == 1


# --- the agent ---

def sample_reader(agent):
    for pid in subprocess.run(["pgrep", "-P", str(agent.pid)], capture_output=True, text=True, timeout=20).stdout.split():
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            if comm.read().strip() == "pst-sample":
                return int(pid)
    return None


def test_the_agent_stops_threads_only_where_its_configuration_asks_for_native_frames(agent, built):
    name = "shop::Till<int>::ring(void (*)())"
    keep = [{"action": "keep", "source_labels": ["__meta_process_cmdline"], "regex": ".* ring /mnt"}]
    # Under its filter a reader has to find the library in a mount namespace of the program's own.
    inside = f"mount --bind {built} /mnt && exec {pythons.system_python().exe} {PARK} ring /mnt"
    settings = {"sampling": {"native": True, "window": "1s"}, "discovery": {"interval": "1s", "min_age": "0s", "select": keep}}
    running = agent(settings, program=["unshare", "-m", "sh", "-c", inside])
    wait_until(lambda: "sampling.native is on" in running.output(), what="it says what it does")

    def last(native):
        found = running.read_profiles("wall")
        return found[-1] if found and ("stopped for native frames" in found[-1].comments[0]) == native else None

    profile = wait_until(lambda: last(True), 90, "a profile with native frames")
    stack = next(sample.names() for sample in profile.samples if name in sample.names())
    assert sorted(("<module>", "ring", "shapes_ring", name, "parked"), key=stack.index) == ["<module>", "ring", "shapes_ring", name, "parked"]
    assert {frame.file for sample in profile.samples for frame in sample.stack if frame.name == name} == {str(WORKLOADS / "shapes.cpp")}
    reader = sample_reader(running)
    settings["sampling"]["native"] = False
    running.write_config(settings)
    urllib.request.urlopen(urllib.request.Request(running.url("/-/reload"), method="POST"), timeout=20).close()
    profile = wait_until(lambda: last(False), 90, "a profile without native frames")
    assert not [sample for sample in profile.samples if name in sample.names()]
    assert sample_reader(running) != reader and running.metric("pystrobe_role_restarts_total") == 0
