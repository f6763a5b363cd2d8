"""`pystrobe top`: its screen under a real terminal multiplexer, its keys, its ends, and `--once` for scripts."""
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.waiting import wait_exit, wait_until

PYTHON = [sys.executable, "-X", "frozen_modules=off", "-S", "-E"]

WORK = """\
import os
import sys
import threading
import time


def inner(end):
    while time.monotonic() < end:
        sum(range(1000))


def outer(seconds):
    inner(time.monotonic() + seconds)


def asleep():
    time.sleep(1000)


threading.Thread(target=asleep, name="sleeper", daemon=True).start()
print("ready", flush=True)
outer(float(sys.argv[1]))
if sys.argv[2:] == ["sleep"]:
    time.sleep(1000)
if sys.argv[2:] == ["exec"]:
    os.execv(sys.executable, [sys.executable, "-S", "-E", __file__, "1000"])
sys.exit(6)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "work.py"
    path.write_text(WORK, encoding="utf-8")
    return str(path)


@pytest.fixture
def work(processes, script):
    """work(*words) -> a running Python that has said it is ready."""

    def start(*words):
        process = processes([*PYTHON, script, *words], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process

    return start


class Terminal:
    """A tmux server of its own with one window that runs a shell."""

    def __init__(self, folder, columns=180, lines=24):
        self.folder = folder
        (folder / "bashrc").write_text("PS1='$ '; unset HISTFILE\n")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", lines,
                   f"bash --rcfile {folder}/bashrc --noprofile")
        self.wait(r"^\$ *$")

    def _tmux(self, *words):
        return subprocess.run(["tmux", "-S", str(self.folder / "tmux"), *map(str, words)], check=True, text=True,
                              capture_output=True, timeout=30, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout

    def text(self):
        return self._tmux("capture-pane", "-p")

    def keys(self, *keys):
        self._tmux("send-keys", *keys)

    def run(self, *words):
        self._tmux("send-keys", "-l", shlex.join(map(str, words)))
        self.keys("Enter")

    def resize(self, columns, lines):
        self._tmux("resize-window", "-x", columns, "-y", lines)

    def wait(self, pattern, flags=re.M):
        """Until the screen shows the pattern; the match."""
        try:
            return wait_until(lambda: re.search(pattern, self.text(), flags), 30, pattern)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.text()}") from None

    def top(self):
        """Process id of the pystrobe that runs here."""
        shell = int(self._tmux("display-message", "-p", "#{pane_pid}"))

        def child():
            words = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
            return words and int(words[0])

        return wait_until(child, 20, "the program that the shell runs")

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path):
    one = Terminal(tmp_path)
    yield one
    one.close()


ROW = r"^ *(\d+\.\d\d)% +(\d+\.\d\d)% +(\d+\.\d\d)s +(\d+\.\d\d)s +"


def leave(terminal, resized=False):
    """The shell is back on a clean line, shows what is typed, and nothing of the table is left. (tmux 3.3 itself leaves
    a line of any curses program that was resized.)"""
    terminal.wait(r"^\$ *$")
    terminal.run("printf", "%s-%s\\n", "all", "clean")
    text = terminal.wait(r"^all-clean$").string
    assert "printf '%s-%s" in text and (resized or "OwnTime" not in text) and "\u2588" not in text, text


# --- the screen ---


def test_table_gauges_and_columns(terminal, work, pystrobe):
    process = work("1000")
    terminal.run(pystrobe, "top", "--pid", process.pid, "--delay", "0.5")
    own, total, own_time, _ = map(float, terminal.wait(ROW + r"inner \(work\.py\)").groups())
    assert 1 < own <= total <= 110 and own_time > 0
    text = terminal.text()
    assert re.search(r"^ +%Own +%Total +OwnTime\*? +TotalTime +Function \(file\)", text, re.M)
    assert re.search(rf'^pystrobe top . process {process.pid} ".*work\.py 1000"', text)
    assert re.search(r"cpu time, \d+ of 100 Hz, 1 process, 2 threads", text)
    assert re.search(r"^GIL +\d+\.\d% +[\u2581-\u2588]", text, re.M) and re.search(r"^Active +\d+\.\d% +[\u2581-\u2588]", text, re.M)
    assert "asleep" not in text
    terminal.keys("q")
    leave(terminal)


def test_keys(terminal, work, pystrobe):
    process = work("1000")
    terminal.run(pystrobe, "top", "-p", process.pid, "-i", "--delay", "0.3")
    terminal.wait(ROW + r"inner \(work\.py\)")
    for number, title in enumerate(("%Own", "%Total", "OwnTime", "TotalTime"), 1):
        terminal.keys(str(number))
        terminal.wait(re.escape(title) + r"\*")
    terminal.keys("L")
    terminal.wait(ROW + r"inner \(work\.py:\d+\)")
    terminal.keys("t")
    terminal.wait(ROW + r"thread \(\d+\): sleeper")
    terminal.keys("p")
    terminal.wait(ROW + rf'process {process.pid}:".*work\.py')
    terminal.keys("p")
    terminal.wait(ROW + "inner")
    terminal.keys("/")
    terminal.keys("-l", "ASLEEP")
    terminal.wait("filter: ASLEEP_")
    terminal.keys("Enter")
    wait_until(lambda: "asleep (" in terminal.text() and "inner" not in terminal.text(), 20, "the filter")
    terminal.keys("Escape")
    terminal.wait(ROW + "inner")
    terminal.keys("?")
    text = terminal.wait("Any key goes back").string
    for word in ("%Own", "%Total", "OwnTime", "TotalTime", "GIL", "Active", "space"):
        assert word in text
    terminal.keys("x")
    terminal.wait(ROW + "inner")
    terminal.keys("q")
    leave(terminal)


def seconds(terminal, name="inner"):
    return float(terminal.wait(ROW + name)[4])


def test_pause_and_reset(terminal, work, pystrobe):
    terminal.run(pystrobe, "top", "-p", work("1000").pid, "-i", "--delay", "0.2")
    wait_until(lambda: seconds(terminal) > 2, 60, "two seconds in the table")
    terminal.keys("Space")
    terminal.wait("^paused")
    before = seconds(terminal)
    time.sleep(1)
    assert seconds(terminal) == before
    terminal.keys("Space")
    wait_until(lambda: seconds(terminal) > before, 20, "going on")
    terminal.keys("R")
    wait_until(lambda: seconds(terminal) < before, 20, "times that began anew")
    terminal.keys("q")
    leave(terminal)


def test_resize(terminal, work, pystrobe):
    terminal.run(pystrobe, "top", "-p", work("1000").pid, "--delay", "0.3")
    terminal.wait(ROW + "inner")
    terminal.resize(60, 12)
    wait_until(lambda: re.search(r"^1-4 sort", terminal.text().splitlines()[11]), 20, "the last line in its new place")
    assert all(len(line) <= 60 for line in terminal.text().splitlines())
    terminal.resize(20, 4)
    wait_until(lambda: terminal.text().splitlines()[3].startswith("1-4 sort"), 20, "a tiny screen")
    terminal.resize(1, 1)
    wait_until(lambda: len(terminal.text().strip()) <= 1, 20, "a screen of one character")
    terminal.resize(120, 30)
    wait_until(lambda: terminal.text().splitlines()[29].startswith("1-4 sort") and re.search(ROW + "inner", terminal.text(), re.M),
               20, "a large screen")
    terminal.keys("q")
    leave(terminal, resized=True)


def test_terminal_without_a_second_screen_is_left_clean(terminal, work, pystrobe):
    terminal.run("env", "TERM=vt100", pystrobe, "top", "-p", work("1000").pid, "--delay", "0.3")
    terminal.wait(ROW + "inner")
    terminal.keys("q")
    leave(terminal)


# --- what becomes of the target ---


def test_idle_and_end_are_said(terminal, work, pystrobe):
    process = work("0.1", "sleep")
    terminal.run(pystrobe, "top", "-p", process.pid, "--delay", "0.3")
    terminal.wait("^idle: no thread ran; --idle shows where they wait")
    process.kill()
    wait_exit(process)
    terminal.wait("^ended; q leaves")
    terminal.keys("q")
    leave(terminal)


def test_exec_is_said(terminal, work, pystrobe):
    terminal.run(pystrobe, "top", "-p", work("3", "exec").pid, "--delay", "0.3")
    terminal.wait("^exec: another Python program runs in this process now")
    terminal.wait(ROW + "inner")
    terminal.keys("q")
    leave(terminal)


# --- ends ---


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_leave_a_clean_terminal(terminal, work, pystrobe, name):
    process = work("1000")
    terminal.run(pystrobe, "top", "-p", process.pid)
    terminal.wait(ROW + "inner")
    os.kill(terminal.top(), getattr(signal, name))
    leave(terminal)
    assert process.poll() is None


def test_stop_and_continue(terminal, work, pystrobe):
    terminal.run(pystrobe, "top", "-p", work("1000").pid, "--delay", "0.3")
    terminal.wait(ROW + "inner")
    terminal.keys("C-z")
    terminal.wait("Stopped")
    terminal.run("fg")
    terminal.wait(ROW + "inner")
    terminal.keys("q")
    leave(terminal)


# --- programs ---


NOISY = """\
import sys, time
print("first words")
assert sys.stdin.read() == ""
while time.process_time() < 1.5:
    sum(range(1000))
    print("noise", file=sys.stderr)
print("last words", flush=True)
sys.exit(7)
"""


def test_program_does_not_write_over_the_screen_and_is_heard_afterwards(terminal, pystrobe, tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    terminal.run("bash", "-c", f"{pystrobe} top --delay 0.3 -- {shlex.join(PYTHON)} {tmp_path}/noisy.py; echo status $?")
    text = terminal.wait("^ended with status 7; q leaves").string
    assert "noise" not in text.replace("noisy", "") and "words" not in text
    assert re.search(ROW + "<module>", text, re.M)
    terminal.keys("q")
    terminal.wait("^last words$")
    terminal.wait("^status 7$")


FLOOD = """\
import sys, time
for number in range(100000):
    print("x" * 1000)
print("flooded", flush=True)
while True:
    time.sleep(0.05)
    print("still here", flush=True)
"""


def rss_and_files(pid):
    """Bytes of memory of a process and those behind it that no folder shows."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = 1024 * sum(int(kib) for kib in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", status, re.M))
    blocks = sum(os.stat(path).st_blocks for path in Path(f"/proc/{pid}/fd").iterdir() if "memfd" in os.readlink(path))
    return memory + 512 * blocks


def test_what_the_program_prints_takes_no_room_and_comes_back_when_top_is_killed(terminal, pystrobe, tmp_path):
    (tmp_path / "flood.py").write_text(FLOOD)
    terminal.run(pystrobe, "top", "--delay", "0.3", "--", *PYTHON, tmp_path / "flood.py")
    terminal.wait("^idle")
    top = terminal.top()
    children = [int(pid) for pid in Path(f"/proc/{top}/task/{top}/children").read_text().split()]
    assert len(children) in (2, 3), "the program, what keeps its output, and what asks for the names of files"
    assert "still here" not in terminal.text()
    assert all(rss_and_files(pid) < 60 << 20 for pid in children), [rss_and_files(pid) for pid in children]
    os.kill(top, signal.SIGKILL)
    terminal.run("stty", "sane")
    terminal.wait("still here")
    program = next(pid for pid in children if "flood.py" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(program, signal.SIGKILL)
    gone = [Path(f"/proc/{pid}/stat") for pid in children]
    wait_until(lambda: not any(path.exists() for path in gone), 20, "the end of all")


def test_leaving_early_lets_the_program_end_in_the_foreground(terminal, pystrobe, script):
    terminal.run("bash", "-c", f"{pystrobe} top -- {shlex.join(PYTHON)} {script} 4; echo status $?")
    terminal.wait(ROW + "inner")
    terminal.keys("q")
    terminal.wait("^ready$")
    terminal.wait("^status 6$")


def test_ctrl_c_reaches_the_program_once(terminal, pystrobe, script):
    terminal.run("bash", "-c", f"{pystrobe} top -- {shlex.join(PYTHON)} {script} 1000; echo status $?")
    terminal.wait(ROW + "inner")
    terminal.keys("C-c")
    text = terminal.wait("^status 130$").string
    assert text.count("KeyboardInterrupt") == 1


# --- for scripts ---


def top(pystrobe, *words, **kwargs):
    kwargs = {"stdin": subprocess.DEVNULL, **kwargs}
    return subprocess.run([str(pystrobe), "top", *map(str, words)], capture_output=True, text=True, check=False, timeout=60,
                          **kwargs)


def test_without_a_terminal_it_names_once(pystrobe, work):
    done = top(pystrobe, "-p", work("1000").pid)
    assert done.returncode == 2 and "--once" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("name", ["no-such", "dumb"])
def test_terminal_that_cannot_be_drawn_on_is_refused(terminal, work, pystrobe, name):
    terminal.run("bash", "-c", f"TERM={name} {pystrobe} top -p {work('1000').pid}; echo status $?")
    text = terminal.wait("^status 2$").string
    assert "TERM" in text and "--once" in text


def test_once_as_json_and_as_text(pystrobe, work):
    process = work("1000")
    for _ in range(5):
        found = json.loads(top(pystrobe, "-p", process.pid, "--once", "--json").stdout)
        names = {row["function"].split(" (")[0]: row for row in found["rows"]}
        if "inner" in names:
            break
    assert found["state"] == "running" and found["mode"] == "cpu" and found["processes"] == 1 and found["threads"] == 2
    assert 0.5 < found["elapsed_s"] < 10 and found["looks"] > 0
    row = names["inner"]
    assert row["own_percent"] == pytest.approx(100 * row["own_s"] / found["elapsed_s"], abs=0.5)
    assert found["active_percent"] >= row["own_percent"] > 1
    assert row["own_s"] <= names["outer"]["total_s"] <= names["<module>"]["total_s"] + 1e-6
    text = top(pystrobe, "-p", process.pid, "--once", "-i", "--delay", "0.5").stdout
    assert re.match(rf'process {process.pid} ".*", running, wall time over \d\.\d\d s, active \d+\.\d%, GIL \d+\.\d%\n', text)
    assert re.search(ROW + r"asleep \(work\.py\)$", text, re.M)


def test_native_shows_the_calls_of_c_too(pystrobe, work):
    process = work("1000")
    deadline = time.monotonic() + 60
    rows = []
    while not (any(row.startswith("inner (") for row in rows) and any(".py)" not in row and row[0] not in "[<" for row in rows)):
        assert time.monotonic() < deadline, rows
        done = top(pystrobe, "-n", "-p", process.pid, "--once", "--json")
        assert done.returncode == 0, done.stderr
        rows = [row["function"] for row in json.loads(done.stdout)["rows"]]


def test_once_of_a_program_returns_its_status(pystrobe, script):
    done = top(pystrobe, "--once", "--json", "--delay", "0.4", "--", *PYTHON, script, "1.5")
    assert done.returncode == 6
    assert "inner" in done.stdout
    done = top(pystrobe, "--once", "--", "true")
    assert done.returncode == 1 and "no CPython process" in done.stderr


@pytest.mark.parametrize("words, why", [
    (["--json"], "--once"),
    (["--once", "--delay", "0.01"], "--delay"),
    (["--once", "-i", "-g"], "two modes"),
    (["--once", "--native", "--nonblocking"], "not with --nonblocking"),
    (["--once", "--", "python3"], "not both"),
])
def test_usage_errors(pystrobe, work, words, why):
    done = top(pystrobe, "-p", work("1000").pid, *words)
    assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1


def test_nobody_named_lists_pythons(pystrobe, work):
    process = work("1000")
    done = top(pystrobe)
    assert done.returncode == 2 and "top: which process?" in done.stderr.splitlines()[0]
    assert process.poll() is None
