"""`pystrobe record`: one process or program into one file, every option, every format, every way to end."""
import html.parser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from lib import pprof, pythons
from lib.waiting import wait_exit, wait_until

NOBODY = 65533

BUSY = """\
import sys
import threading
import time


clock = getattr(time, "monotonic", time.time)


def inner(end):
    while clock() < end:
        sum(range(1000))


def outer(seconds):
    inner(clock() + seconds)


def asleep():
    time.sleep(1000)


sleeper = threading.Thread(target=asleep, name="sleeper")
sleeper.daemon = True
sleeper.start()
sys.stdout.write("ready\\n")
sys.stdout.flush()
outer(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""

NAMED = """\
import threading
import time


def spin():
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sum(range(1000))


threads = [threading.Thread(target=lambda: WORK, name="name-%d" % number) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
spin()
"""

POOL = """\
import multiprocessing
import time


def meet(barrier):
    global met
    met = barrier


def chew(number):
    met.wait()  # one each: nobody takes two
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        sum(range(1000))
    return number


if __name__ == "__main__":
    with multiprocessing.Pool(4, meet, (multiprocessing.Barrier(4),)) as pool:
        print(sorted(pool.map(chew, range(4), chunksize=1)))
"""

ON_TERM = """\
import os
import signal
import sys
import time


def finish(number, frame):
    os.write(1, b"got %d\\n" % number) # print may be at work already
    sys.exit(5)


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, finish)
while time.process_time() < 0.3:
    sum(range(1000))
print("ready", flush=True)
while True:
    sum(range(1000))
"""

PYTHON = [sys.executable, "-X", "frozen_modules=off", "-S", "-E"]


@pytest.fixture
def script(tmp_path):
    """script(text) -> its path."""

    def write(text, name="work.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A process with one busy and one sleeping thread, for as long as this file's tests run."""
    path = tmp_path_factory.mktemp("busy") / "work.py"
    path.write_text(BUSY, encoding="utf-8")
    with subprocess.Popen([*PYTHON, path, "1000", "0"], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def record(pystrobe, tmp_path):
    """record(*words) -> CompletedProcess, run in the test's folder."""

    def run(*words, before=(), binary=None, **kwargs):
        kwargs = {"capture_output": True, "text": True, "timeout": 60, "cwd": tmp_path, **kwargs}
        return subprocess.run([*before, str(binary or pystrobe), "record", *map(str, words)], check=False, **kwargs)

    return run


def wrote(done):
    """(file, samples, Hz, torn) of the last line that every recording ends with."""
    found = re.search(r"^wrote (.+): (\d+) samples, achieved ([\d.e+]+) Hz, (\d+) torn, \S.*$", done.stderr, re.M)
    assert done.returncode == 0 and found, (done.returncode, done.stderr)
    return found[1], int(found[2]), float(found[3]), int(found[4])


def sampled(record, *words, folder=None):
    """A recording with enough in it: on a loaded machine the first one may have seen next to nothing."""
    for _ in range(6):
        for path in folder.iterdir() if folder else ():
            path.unlink()
        done = record(*words)
        if done.returncode != 0 or wrote(done)[1] >= 10:
            break
    return done


def folded(text):
    """[(frames, count)] of a raw file, whose lines must be sorted."""
    lines = text.splitlines()
    assert lines == sorted(lines) and lines
    return [(line.rsplit(" ", 1)[0].split(";"), int(line.rsplit(" ", 1)[1])) for line in lines]


def raw(done):
    assert done.returncode == 0, done.stderr
    return folded(done.stdout)


def leaves(stacks):
    return {frames[-1].split(" (")[0] for frames, _ in stacks}


def of_folder(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_progress_counts_what_the_closing_line_counts(pystrobe, busy, tmp_path):
    """Threads that sleep, and processes together, were counted while it ran but not at its end."""
    terminal, ours = os.openpty()
    shown = b""
    with subprocess.Popen([pystrobe, "record", "-d", "4", "-o", "a.svg", "-p", str(busy.pid), "-p", str(busy.pid)],
                          cwd=tmp_path, stderr=ours, stdin=subprocess.DEVNULL) as process:
        os.close(ours)
        while True:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
    os.close(terminal)
    counts = r"(\d+) samples, achieved ([\d.]+) Hz, (\d+) torn"
    meanwhile = [int(found[0]) for found in re.findall(r"\r\d+ s: " + counts, shown.decode())]
    end = re.search(r"wrote a\.svg: " + counts, shown.decode())
    assert process.returncode == 0 and meanwhile and end, shown
    assert meanwhile == sorted(meanwhile) and meanwhile[-1] <= int(end[1]) <= 4.5 * 100, shown


# --- formats ---


def read_flamegraph(data):
    root = ElementTree.fromstring(data)
    assert root.tag.endswith("svg")
    return "".join(root.itertext())


def read_html(data):
    html.parser.HTMLParser().feed(data.decode())
    assert data.lstrip().lower().startswith(b"<!doctype html")
    return data.decode()


def read_speedscope(data):
    file = json.loads(data)
    for profile in file["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        assert sum(profile["weights"]) == pytest.approx(profile["endValue"])
        assert re.fullmatch(r'Thread( \d+)? ".*"', profile["name"]) and profile["unit"] == "seconds"
    assert all(list(frame) == ["name", "file", "line", "col"] for frame in file["shared"]["frames"])
    return " ".join(frame["name"] for frame in file["shared"]["frames"])


def read_chrometrace(data):
    events = json.loads(data)
    events = events["traceEvents"] if isinstance(events, dict) else events
    depth = {}
    for event in events:
        if event["ph"] in "BE":
            key = event["pid"], event["tid"]
            depth[key] = depth.get(key, 0) + (1 if event["ph"] == "B" else -1)
            assert depth[key] >= 0
    assert depth and not any(depth.values())
    return " ".join(event.get("name", "") for event in events)


def read_raw(data):
    return " ".join(leaves(folded(data.decode())))


def read_pprof(data):
    profile = pprof.Profile(data)
    profile.check()
    assert profile.mode == "cpu" and profile.total("samples") > 0 and profile.total() > 0
    assert profile.duration_nanos > 0
    return " ".join(profile.by_function())


def read_otlp(data):
    return data.decode("utf-8", "replace")


FORMATS = {
    "flamegraph": (".svg", read_flamegraph),
    "html": (".html", read_html),
    "speedscope": (".speedscope.json", read_speedscope),
    "chrometrace": (".trace.json", read_chrometrace),
    "raw": (".txt", read_raw),
    "pprof": (".pb.gz", read_pprof),
    "otlp": (".otlp", read_otlp),
}


@pytest.mark.parametrize("name", FORMATS)
def test_format_opens_and_shows_what_ran(record, busy, tmp_path, name):
    ending, read = FORMATS[name]
    file, samples, hz, torn = wrote(sampled(record, "-p", busy.pid, "-d", "0.5", "-f", name.upper(), folder=tmp_path))
    assert re.fullmatch(rf"{Path(sys.executable).name}-{busy.pid}-\d{{8}}T\d{{6}}{re.escape(ending)}", file)
    assert of_folder(tmp_path) == [file], "no temporary file stays"
    assert "inner" in read((tmp_path / file).read_bytes())
    assert 0 < samples and 0 < hz < 150 and torn <= samples


def test_ending_decides_and_the_option_goes_before_it(record, busy, tmp_path):
    wrote(sampled(record, "-p", busy.pid, "-d", "0.3", "-o", "a.folded"))
    assert "inner" in read_raw((tmp_path / "a.folded").read_bytes())
    wrote(sampled(record, "-p", busy.pid, "-d", "0.3", "-o", "a.svg", "-f", "raw"))
    assert "inner" in read_raw((tmp_path / "a.svg").read_bytes())
    wrote(sampled(record, "-p", busy.pid, "-d", "0.3", "-o", "a.unknown"))
    assert "inner" in read_flamegraph((tmp_path / "a.unknown").read_bytes())


# --- options ---

TO_STDOUT = ("-d", "0.4", "-f", "raw", "-o", "-")


def test_cpu_shows_only_what_runs_and_idle_shows_the_sleepers_too(record, busy):
    assert "asleep" not in leaves(raw(sampled(record, "-p", busy.pid, *TO_STDOUT)))
    for words in (["--idle"], ["-i"], ["--mode", "wall"], ["-i", "--mode=wall"]):
        assert {"asleep", "inner"} <= leaves(raw(sampled(record, "-p", busy.pid, *TO_STDOUT, *words))), words


def test_gil_shows_its_holder(record, busy):
    for words in (["--gil"], ["--mode", "gil"]):
        found = leaves(raw(sampled(record, "-p", busy.pid, *TO_STDOUT, *words)))
        assert "inner" in found and "asleep" not in found, words


def test_labels_of_frames(record, busy):
    line = next(number for number, text in enumerate(BUSY.splitlines(), 1) if text.startswith("def inner"))

    def frame(*words):
        stacks = raw(sampled(record, "-p", busy.pid, *TO_STDOUT, *words))
        return next(frames[-1] for frames, _ in stacks if frames[-1].startswith("inner"))

    short = frame()
    assert re.fullmatch(r"inner \(work\.py:\d+\)", short)
    assert frame("-F") == frame("--function") == f"inner ({short[7:].split(':')[0]}:{line})"
    assert frame("--nolineno") == "inner (work.py)"
    assert re.fullmatch(r"inner \(/.+/work\.py:\d+\)", frame("--full-filenames"))


def test_files_are_called_from_their_package_on(record, pystrobe, processes, tmp_path):
    """As py-spy does: the folders with __init__.py belong to the name, whoever else has a file of that name."""
    (tmp_path / "app" / "pack" / "sub").mkdir(parents=True)
    for name in ("pack", "pack/sub"):
        (tmp_path / "app" / name / "__init__.py").touch()
    (tmp_path / "app" / "pack" / "sub" / "deep.py").write_text(
        "import sys, time\n\n\ndef spin():\n    print('ready', flush=True)\n    end = time.monotonic() + 60\n"
        "    while time.monotonic() < end:\n        sum(range(1000))\n")
    (tmp_path / "app" / "main.py").write_text("from pack.sub import deep\ndeep.spin()\n")
    program = processes([*PYTHON, tmp_path / "app" / "main.py"], stdout=subprocess.PIPE)
    program.stdout.readline()
    shown = {frame.split(":")[0] for frames, _ in raw(sampled(record, "-p", program.pid, *TO_STDOUT)) for frame in frames}
    assert {"<module> (main.py", "spin (pack/sub/deep.py"} <= shown, shown
    frames = json.loads(subprocess.run([pystrobe, "dump", "--json", "-p", str(program.pid)], check=True, timeout=60,
                                       capture_output=True).stdout)[0]["frames"]
    assert [frame["short_filename"] for frame in frames[-2:]] == ["pack/sub/deep.py", "main.py"]


def test_roots_of_threads(record, busy):
    roots = {frames[0] for frames, _ in raw(sampled(record, "-p", busy.pid, *TO_STDOUT, "-t", "-i"))}
    assert any(re.fullmatch(rf"thread \({busy.pid}\): MainThread", root) for root in roots), roots
    assert any(re.fullmatch(r"thread \(\d+\): sleeper", root) for root in roots), roots


@pytest.mark.parametrize("mode, work", [("wall", "time.sleep(1)"), ("cpu", "spin()")])
def test_threads_of_a_short_program_keep_their_names_beyond_their_end(record, script, mode, work):
    """They end long before the window that they are in, and the program soon after its first thread has a name."""
    path = script(NAMED.replace("WORK", work))
    done = record("-t", "--mode", mode, "-r", "200", "-f", "raw", "-o", "-", "--", *PYTHON, path)
    roots = {frames[0].split(": ")[-1] for frames, _ in raw(done) if not frames[0].startswith("[")}
    assert roots >= {"MainThread", "name-0", "name-1", "name-2"}, (roots, done.stderr)
    assert all(root.startswith(("MainThread", "name-", "Thread-")) for root in roots), roots


def test_weights_are_samples_or_microseconds(record, busy):
    samples = sum(count for _, count in raw(sampled(record, "-p", busy.pid, *TO_STDOUT)))
    assert samples <= 60
    microseconds = sum(count for _, count in raw(sampled(record, "-p", busy.pid, *TO_STDOUT, "--weights", "time")))
    assert 20_000 < microseconds < 1_000_000


def test_rate_is_kept(record, busy):
    hz = max(wrote(record("-p", busy.pid, "-d", "0.5", "-r400", "-o", "/dev/null"))[2] for _ in range(2))
    assert 100 < hz <= 500


def test_several_processes_in_one_file(record, processes, script, busy):
    other = processes([*PYTHON, script(BUSY), 1000, 0], stdout=subprocess.PIPE)
    other.stdout.readline()
    for words in (["-p", f"{busy.pid},{other.pid}"], ["-p", hex(busy.pid), "--pid", other.pid]):
        def both(words=words):
            roots = {frames[0] for frames, _ in raw(sampled(record, *words, *TO_STDOUT))}
            return all(any(root.startswith(f'process {pid}:"') and "work.py" in root for root in roots) for pid in (busy.pid, other.pid))

        wait_until(both, 30, f"both to run while they are recorded with {words}")


def test_old_command_lines_are_understood(record, busy):
    done = sampled(record, "-p", busy.pid, *TO_STDOUT, "--nonblocking", "--hideprogress", "--capture")
    assert "inner" in leaves(raw(done))
    assert done.stderr.splitlines()[:1] == [line for line in done.stderr.splitlines() if line.startswith("wrote -")]


def test_quiet_says_nothing(record, busy):
    done = record("-p", busy.pid, *TO_STDOUT, "-q")
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize("words, why", [
    (["-n", "--nonblocking"], "--nonblocking"),
    (["--blocking"], "no such option"),
    (["-o", ""], "--output"),
    (["--diff="], "--diff"),
    (["--idle", "--gil"], "two modes"),
    (["--mode", "cpu", "-i"], "two modes"),
    (["--mode", "gpu"], "--mode"),
    (["--function", "--nolineno"], "--nolineno"),
    (["--rate", "0"], "--rate"),
    (["--rate", "10001"], "--rate"),
    (["--duration", "0"], "duration"),
    (["--duration", "soon"], "--duration"),
    (["--format", "pdf"], "--format"),
    (["--no-such"], "--no-such"),
    (["--", "python3"], "not both"),
    (["python3"], "not both"),
])
def test_usage_errors(record, busy, tmp_path, words, why):
    done = record("-p", busy.pid, *words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("pystrobe: ") and why in done.stderr and done.stderr.count("\n") == 1
    assert of_folder(tmp_path) == []


# --- who ---


def test_nobody_named_lists_pythons_to_choose_from(record, busy):
    done = record()
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and lines[0].startswith("pystrobe: record: which process?") and "--pid" in lines[0]
    assert 1 <= len(lines[2:]) <= 10 and all(re.match(r"  \d+ +\S", line) for line in lines[2:])


def test_no_such_process_and_no_python(record, processes, tmp_path):
    sleeper = processes(["sleep", "1000"])
    for pid, why in ((2**22 - 1, "no process"), (sleeper.pid, "not a CPython")):
        for more in ([], ["-s"]):
            done = record("-p", pid, "-d", "1", *more)
            assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1
    assert of_folder(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who is not permitted")
def test_not_permitted_gives_a_line_to_paste(record, pystrobe, busy, tmp_path_factory):
    folder = Path(subprocess.run(["mktemp", "-d", "/tmp/pystrobe-record-XXXXXX"], capture_output=True, text=True,
                                 check=True).stdout.strip())
    try:
        folder.chmod(0o755)
        binary = shutil.copy2(pystrobe, folder / "pystrobe")
        nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all"]
        done = record("-p", busy.pid, "-o", "it's.svg", before=nobody, binary=binary, cwd="/tmp")
        assert done.returncode == 3 and done.stderr.count("\n") == 1
        assert done.stderr.endswith(f"sudo {binary} record -p {busy.pid} -o 'it'\\''s.svg'\n")
    finally:
        shutil.rmtree(folder)


def test_every_python(record, start_python, script, minor_python):
    target = start_python(minor_python, script(BUSY), 1000, 0, stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ready\n"
    assert "inner" in leaves(raw(sampled(record, "-p", target.pid, *TO_STDOUT)))


# --- outputs ---


def test_nothing_sampled_is_a_valid_file_that_says_so(record, processes, tmp_path):
    sleeper = processes([*PYTHON, "-c", "print(1, flush=True); import time; time.sleep(1000)"], stdout=subprocess.PIPE)
    sleeper.stdout.readline()
    time.sleep(0.1)
    said = r"0 of \d+ samples had a running thread"
    for name, (ending, _) in FORMATS.items():
        done = record("-p", sleeper.pid, "-d", "0.3", "-o", f"idle{ending}")
        assert wrote(done)[1] == 0, name
        assert re.search(said + "; the process was idle: try --idle$", done.stderr, re.M), name
    assert re.search(said, read_flamegraph((tmp_path / "idle.svg").read_bytes()))
    json.loads((tmp_path / "idle.speedscope.json").read_bytes())
    json.loads((tmp_path / "idle.trace.json").read_bytes())
    pprof.Profile((tmp_path / "idle.pb.gz").read_bytes()).check()


def test_stopped_process_is_not_called_idle(record, processes):
    sleeper = processes([*PYTHON, "-c", "print(1, flush=True); import time; time.sleep(1000)"], stdout=subprocess.PIPE)
    sleeper.stdout.readline()
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)
    done = record("-p", sleeper.pid, "-d", "0.3", "-o", "stopped.svg")
    assert done.returncode == 0 and "; the process is stopped by a signal\n" in done.stderr and "idle" not in done.stderr


def test_zombie_is_called_one(record, processes):
    process = processes([*PYTHON, "-c", "pass"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    done = record("-p", process.pid, "-d", "1")
    assert done.returncode == 1 and "(a zombie)" in done.stderr and done.stderr.count("\n") == 1


def test_a_wrapper_that_takes_its_time_is_followed_at_once(record, script):
    """What was no Python for long was asked once a second: a short program behind it was over by then."""
    program = script("import time\n\n\ndef last():\n    time.sleep(0.5)\n\n\nlast()\n")
    done = record("-i", *TO_STDOUT[2:], "--", "sh", "-c", f"sleep 1.5; exec {' '.join(PYTHON)} {program}")
    assert "last" in leaves(raw(done)), done.stderr


def test_a_name_as_long_as_a_folder_takes_is_taken(record, busy, tmp_path):
    """The temporary file's ending had no room behind it."""
    name = "é" * 125 + ".svg"
    assert wrote(record("-p", busy.pid, "-d", "0.2", "-o", name))[0] == name
    assert of_folder(tmp_path) == [name]


def test_a_folder_that_is_not_there_is_said_so(record, busy):
    done = record("-p", busy.pid, "-d", "0.2", "-o", "nowhere/a.svg")
    assert done.returncode == 1
    assert done.stderr == "pystrobe: nowhere/a.svg: cannot be written: No such file or directory; make its folder first\n"


def test_output_is_opened_before_anything_starts(record, tmp_path):
    marker = tmp_path / "started"
    done = record("-o", "no/such/folder.svg", "--", "touch", marker)
    assert done.returncode == 1 and done.stderr.startswith("pystrobe: ") and "no/such/folder.svg" in done.stderr
    assert not marker.exists()


def test_file_is_replaced_whole_through_its_link(record, busy, tmp_path):
    old = tmp_path / "old.txt"
    old.write_text("before")
    (tmp_path / "link.txt").symlink_to("old.txt")
    wrote(sampled(record, "-p", busy.pid, "-d", "0.3", "-o", "link.txt"))
    assert (tmp_path / "link.txt").is_symlink() and "inner" in read_raw(old.read_bytes())
    assert of_folder(tmp_path) == ["link.txt", "old.txt"]


def test_link_to_a_file_that_is_not_there_yet_is_written_through(record, busy, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.txt").symlink_to("folder/new.txt")
    denied = record("-p", tmp_path.stat().st_ino % 7 + 4194305, "-o", "link.txt")
    assert denied.returncode == 1 and os.listdir(tmp_path / "folder") == []
    wrote(sampled(record, "-p", busy.pid, "-d", "0.3", "-o", "link.txt"))
    assert (tmp_path / "link.txt").is_symlink() and "inner" in read_raw((tmp_path / "folder" / "new.txt").read_bytes())
    assert os.listdir(tmp_path / "folder") == ["new.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can plant another user's link")
def test_links_of_others_in_shared_folders_follow_the_kernels_rule(record, busy, tmp_path):
    rule = Path("/proc/sys/fs/protected_symlinks").read_text().strip()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "precious").write_text("kept")
    (shared / "out.txt").symlink_to(tmp_path / "precious")
    os.lchown(shared / "out.txt", NOBODY, NOBODY)
    done = record("-p", busy.pid, "-d", "0.1", "-o", shared / "out.txt")
    kept = (tmp_path / "precious").read_text() == "kept"
    assert (done.returncode, kept) == ((1, True) if rule == "1" else (0, False)), done.stderr


def test_standard_output_that_is_closed_is_said(record, busy, tmp_path):
    for words in (["-o", "-"], ["-o", "-", "-f", "raw"]):
        done = record("-p", busy.pid, "-d", "0.1", "-i", *words, before=["sh", "-c", 'exec "$@" >&-', "sh"])
        assert done.returncode == 1 and done.stderr == "pystrobe: standard output: cannot be written: Bad file descriptor\n"
    closed = 'exec "$@" <&- >&- 2>&-'
    record("-p", busy.pid, "-d", "0.1", "-o", "a.txt", before=["sh", "-c", closed, "sh"])
    assert "wrote" not in (tmp_path / "a.txt").read_text(), "a message went into the file"


def test_a_reader_that_has_left_is_an_error_and_costs_no_exit_status(record):
    done = record("-o", "-", "--", *PYTHON, "-c", "import sys; sys.exit(7)",
                  before=["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash"])
    assert done.returncode == 7 and done.stderr.count("\n") == 1, (done.returncode, done.stderr)
    assert done.stderr.startswith("pystrobe: ") or "samples" in done.stderr


def test_pipe_without_a_reader_is_refused(record, busy, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = record("-p", busy.pid, "-d", "0.1", "-o", "pipe")
    assert done.returncode == 1 and "nobody reads this pipe" in done.stderr


def test_standard_output_by_its_path_is_written_not_replaced(record, busy, tmp_path):
    with open(tmp_path / "log", "a", encoding="utf-8") as log:
        log.write("before\n")
        log.flush()
        done = record("-p", busy.pid, "-d", "0.1", "-o", "/dev/stdout", "-f", "raw", capture_output=False, stdout=log,
                      stderr=subprocess.PIPE)
    assert done.returncode == 0 and (tmp_path / "log").read_text().startswith("before\n")


def test_file_name_stays_in_its_line(record, busy):
    done = record("-p", busy.pid, "-d", "0.1", "-o", "a\nb\x1b[31m.txt")
    assert done.returncode == 0 and "\x1b" not in done.stderr
    assert done.stderr.startswith("wrote a\\nb\\x1b[31m.txt: "), done.stderr


def test_process_given_twice_is_one(record, busy):
    done = record("-p", f"{busy.pid},{busy.pid}", "-p", hex(busy.pid), "-d", "0.1", "-o", "-")
    assert done.returncode == 0 and "processes" not in done.stdout.split("</title>")[0]
    assert "3 processes" not in done.stdout and "work.py" in done.stdout


# --- ends ---


def wait_sampling(process):
    """Until the thread that samples is there."""

    def there():
        assert process.poll() is None, "it ended"
        names = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/comm")]
        return "pst-sample\n" in names

    wait_until(there, 20, "sampling to begin")


def wait_cpu(pid, seconds):
    """Until the process has used so much CPU from now on."""

    def used():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    begin = used()
    wait_until(lambda: used() - begin >= seconds, 30, f"{seconds} s of CPU")


@pytest.fixture
def recording(pystrobe, processes, tmp_path):
    """recording(*words) -> a pystrobe record that samples, with stderr piped."""

    def start(*words, **kwargs):
        kwargs = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path, **kwargs}
        process = processes([pystrobe, "record", *words], **kwargs)
        wait_sampling(process)
        return process

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_signal_ends_and_keeps_what_is_there(recording, busy, tmp_path, number):
    process = recording("-p", busy.pid, "-o", "part.txt")
    wait_cpu(busy.pid, 0.3)
    process.send_signal(number)
    assert wait_exit(process) == 0
    assert process.stderr.read().startswith("wrote part.txt: ")
    assert "inner" in read_raw((tmp_path / "part.txt").read_bytes())
    assert of_folder(tmp_path) == ["part.txt"]


def test_nohup_is_respected(recording, busy, tmp_path):
    process = recording("-p", busy.pid, "--duration", "unlimited", "-o", "part.txt", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    wait_cpu(busy.pid, 0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert wait_exit(process) == 0 and (tmp_path / "part.txt").exists()


def test_end_of_the_target_ends_and_keeps_what_is_there(recording, processes, script, tmp_path):
    target = processes([*PYTHON, script(BUSY), 1, 0], stdout=subprocess.PIPE)
    target.stdout.readline()
    process = recording("-p", target.pid, "-o", "part.txt")
    assert wait_exit(target) == 0
    assert wait_exit(process) == 0
    assert "inner" in read_raw((tmp_path / "part.txt").read_bytes())


def test_killing_pystrobe_leaves_the_target_alone(recording, busy):
    process = recording("-p", busy.pid, "-o", "part.txt")
    process.kill()
    wait_exit(process)
    assert busy.poll() is None
    assert "State:\tT" not in Path(f"/proc/{busy.pid}/status").read_text()


# --- programs ---


def test_status_and_streams_of_the_program_are_its_own(record):
    done = record("-o", "a.txt", "--", *PYTHON, "-c",
                  "import sys, time; time.sleep(3); sys.stdout.write(sys.stdin.read()); sys.exit(7)", input="through")
    assert done.returncode == 7 and done.stdout == "through" and "wrote a.txt" in done.stderr


def test_first_bare_word_ends_our_options(record, script):
    done = record("-o", "a.txt", sys.executable, "-S", script("import sys; sys.exit(len(sys.argv))"), "-o", "b.txt")
    assert done.returncode == 3, done.stderr


def test_death_by_signal_gives_128_and_its_number(record):
    done = record("-q", "-o", "a.txt", "--", *PYTHON, "-c", "import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 128 + signal.SIGKILL


def test_program_that_is_no_python_fails_only_when_it_did_not(record, tmp_path):
    for words, code in ((["true"], 1), (["sh", "-c", "exit 4"], 4), (["/no/such/program"], 127)):
        done = record("--", *words)
        assert done.returncode == code
        assert done.stderr.startswith("pystrobe: ") and done.stderr.count("\n") == 1
    assert of_folder(tmp_path) == []


def test_sampling_starts_with_the_program(record, script, tmp_path):
    done = record("-o", "a.txt", "--", *PYTHON, script(BUSY), 0.5, 0)
    wrote(done)
    assert "inner" in read_raw((tmp_path / "a.txt").read_bytes())


def test_wrapper_that_becomes_python_is_followed(record, script, tmp_path):
    command = f"sleep 0.2; exec {sys.executable} -S {script(BUSY)} 0.7 6"
    done = record("-o", "a.txt", "--", "sh", "-c", command)
    assert done.returncode == 6, done.stderr
    assert "inner" in read_raw((tmp_path / "a.txt").read_bytes())


def test_program_that_becomes_another_python_is_followed(record, script, tmp_path):
    first = f"""import os, sys, time
while time.process_time() < 0.3: sum(range(1000))
os.execv(sys.executable, [sys.executable, "-S", {script(BUSY)!r}, "0.7", "6"])
"""
    done = record("-o", "a.txt", "--", *PYTHON, script(first, "first.py"))
    assert done.returncode == 6, done.stderr
    stacks = folded((tmp_path / "a.txt").read_text())
    assert "inner" in leaves(stacks) and any("first.py" in frame for frames, _ in stacks for frame in frames)


def test_a_recording_of_nothing_can_be_converted(record, pystrobe, tmp_path):
    done = record("-d", "0.2", "-o", "a.txt", "--", "/usr/bin/python3", "-S", "-E", "-c", "import time; time.sleep(2)")
    assert "convert draws it" in done.stderr
    (tmp_path / "a.txt").write_text("", encoding="utf-8")  # whatever its start gave
    subprocess.run([pystrobe, "convert", "a.txt", "-o", "b.svg"], cwd=tmp_path, check=True)
    assert "<svg" in (tmp_path / "b.svg").read_text(encoding="utf-8")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be called by sudo")
def test_under_sudo_program_and_file_belong_to_the_caller(record, pystrobe, tmp_path):
    env = {**os.environ, "SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"}
    code = "import os, time; print(os.getresuid(), os.getresgid(), os.getgroups(), flush=True)\n" \
           "while time.process_time() < 1: pass"
    done = record("-o", "a.txt", "--", "/usr/bin/python3", "-S", "-E", "-c", code, env=env)
    assert done.stdout == "(65534, 65534, 65534) (65534, 65534, 65534) [65534]\n", done.stderr
    assert (tmp_path / "a.txt").stat().st_uid == 65534
    env.update(HOME="/root", USER="root", LOGNAME="chosen")
    words = record("-o", "none.txt", "--", "sh", "-c", "echo $HOME $USER $LOGNAME", env=env).stdout
    assert words == "/nonexistent nobody chosen\n"
    subprocess.run([pystrobe, "convert", "a.txt", "-o", "b.svg"], env=env, cwd=tmp_path, check=True)
    assert (tmp_path / "b.svg").stat().st_uid == 65534


def test_late_python_of_a_shell_is_found_with_subprocesses_only(record, script, tmp_path):
    command = f"sleep 0.3; {sys.executable} -S {script(BUSY)} 1 6; exit 0"
    done = record("-s", "-o", "a.txt", "--", "sh", "-c", command)
    wrote(done)
    stacks = folded((tmp_path / "a.txt").read_text())
    assert "inner" in leaves(stacks)
    assert all(re.match(r'process \d+:".*work\.py 1 6"$', frames[0]) for frames, _ in stacks)
    done = record("-o", "b.txt", "--", "sh", "-c", command)
    assert done.returncode == 1 and "add -s" in done.stderr


def test_duration_ends_first(recording, script, tmp_path):
    process = recording("-d", "0.5", "-o", "a.txt", "--", *PYTHON, script(ON_TERM))
    wait_until((tmp_path / "a.txt").exists, 20, "the file")
    assert process.poll() is None, "it waits for the program"
    process.send_signal(signal.SIGTERM)
    assert wait_exit(process) == 5


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_signals_are_passed_on(recording, script, tmp_path, name):
    process = recording("-o", "a.txt", "--", *PYTHON, script(ON_TERM))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    assert wait_exit(process) == 5, process.stderr.read()
    assert process.stdout.read() == f"got {int(getattr(signal, name))}\n"
    assert (tmp_path / "a.txt").exists()


def test_second_interrupt_writes_and_leaves(recording, script, tmp_path):
    stubborn = "import signal; signal.signal(2, signal.SIG_IGN); print('ready', flush=True)\nwhile True: sum(range(1000))"
    process = recording("-o", "a.txt", "--", *PYTHON, script(stubborn))
    assert process.stdout.readline() == "ready\n"
    program = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    wait_cpu(program, 0.3)
    process.send_signal(signal.SIGINT)
    wait_cpu(program, 0.1)
    assert process.poll() is None, "one is for the program alone"
    process.send_signal(signal.SIGINT)
    assert wait_exit(process) == 128 + signal.SIGINT
    assert "<module>" in read_raw((tmp_path / "a.txt").read_bytes())


@pytest.mark.parametrize("signals", [1, 2])
def test_program_that_ignores_sigterm_costs_no_file(recording, script, tmp_path, signals):
    stubborn = ("import signal, sys; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)\n"
                "for line in sys.stdin: break\nsys.exit(6)")
    process = recording("-o", "a.txt", "--", *PYTHON, script(stubborn), stdin=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    begin = time.monotonic()
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # equal signals that are pending are one
    wait_until((tmp_path / "a.txt").exists, 20, "the file")
    assert process.poll() is None and (signals == 2 or time.monotonic() - begin > 2.5)
    process.stdin.write("go\n")
    process.stdin.flush()
    assert wait_exit(process) == 6


def test_program_inherits_masks_limits_and_files(record):
    code = ("import os, re, resource, sys; s = open('/proc/self/status').read(); "
            "print(re.findall('Sig(?:Blk|Ign):.*', s), resource.getrlimit(resource.RLIMIT_NOFILE), sorted(os.listdir('/proc/self/fd'))[:-1])")
    program = [*PYTHON, "-c", code]
    before = ["prlimit", "--nofile=200:1000", "sh", "-c", "trap '' HUP USR1; exec \"$@\"", "sh"]
    alone = subprocess.run([*before, *program], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert record("-q", "-o", "a.txt", "--", *program, before=before, stdin=subprocess.DEVNULL).stdout == alone.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a namespace of processes")
def test_first_process_of_a_container_reaps_passes_signals_and_returns_the_status(record, script):
    orphans = """\
import os, signal, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.3)
    os._exit(0)
os.wait()
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(9))
orphan = max(int(pid) for pid in os.listdir("/proc") if pid.isdigit())
while os.path.exists(f"/proc/{orphan}"):
    time.sleep(0.02)
print("reaped by", os.getppid(), flush=True)
os.kill(1, signal.SIGTERM)
while True:
    sum(range(1000))
"""
    done = record("-o", "a.txt", "--", *PYTHON, script(orphans),
                  before=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    assert (done.returncode, done.stdout) == (9, "reaped by 1\n") and "wrote a.txt" in done.stderr, done.stderr


def test_captured_output_is_bounded(record):
    code = "import sys\nfor number in range(100000): print('line', number)\nsys.exit(3)"
    done = record("--capture", "-o", "a.txt", "--", *PYTHON, "-c", code)
    lines = done.stderr.splitlines()
    shown = [line for line in lines if line.startswith("line ")]
    assert done.returncode == 3 and shown[-1] == "line 99999" and 1000 < len(shown) < 10000 and done.stdout == ""
    assert shown == [f"line {number}" for number in range(100000 - len(shown), 100000)]


def test_captured_output_is_shown_of_a_program_that_failed(record):
    for code in (0, 3):
        # It lives long enough to be looked at on a busy machine: that nothing was recorded is a failure of its own.
        program = f"import time; print('noise', flush=True); time.sleep(3); raise SystemExit({code})"
        done = record("--capture", "-q", "-o", "a.txt", "--", *PYTHON, "-c", program)
        assert done.returncode == code and done.stdout == "" and done.stderr == ("noise\n" if code else "")


# --- trees ---


def test_pool_with_subprocesses_is_one_file(record, script, tmp_path):
    done = record("-s", "-o", "pool.speedscope.json", "--", *PYTHON, script(POOL, "pool.py"))
    wrote(done)
    assert done.stdout == "[0, 1, 2, 3]\n" and "not recorded" not in done.stderr
    file = json.loads((tmp_path / "pool.speedscope.json").read_text())
    assert file["profiles"][0]["name"] == "all threads"
    frames = [frame["name"] for frame in file["shared"]["frames"]]
    workers = {profile["name"].split()[1] for profile in file["profiles"][1:]
               if any(frames[index] == "chew" for stack in profile["samples"] for index in stack)}
    assert len(workers) == 4


def test_pool_without_subprocesses_says_what_is_missing(record, script):
    done = record("-o", "pool.txt", "--", *PYTHON, script(POOL, "pool.py"))
    wrote(done)
    assert re.search(r"^4 Python child processes were not recorded: add -s$", done.stderr, re.M), done.stderr
