"""The command for a first look: `./dev run` next to one sleeping Python starts the demo and shows its functions."""
import ast
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

from lib import places, pprof, pythons
from lib.agent import free_port
from lib.waiting import wait_exit

DEMO = places.TESTS / "workloads" / "demo"
SHOWN_WITHIN_SECONDS = 30

# Runs in a pid namespace of its own, so that other Pythons of the machine, idle or busy, are out of sight.
ALONE = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]
BESIDE_A_SLEEPER = """
"$1" -c 'import time; time.sleep(600)' >/dev/null 2>&1 &
sleeper=$!
shift
"$@" <&3 3<&- &
run=$!
trap 'kill -TERM $run' TERM
while :; do wait $run; status=$?; kill -0 $run 2>/dev/null || break; done
kill $sleeper; wait $sleeper 2>/dev/null
sleep 1
echo "left: $(ps -eo comm= | grep -vxE 'sh|ps|grep|tr' | tr '\\n' ' ')"
exit $status
"""


def demo_functions():
    """name -> (file, first line, last line) of every function of the demo."""
    found = {}
    for path in DEMO.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found[node.name] = (path.name, node.lineno, node.end_lineno)
    return found


def functions_in(text):
    """Demo functions that stand in the text with a file and a line inside them."""
    known = demo_functions()
    shown = set()
    for line in text.splitlines():
        for file, number in re.findall(r"([\w.]+\.py):(\d+)", line):
            for name in re.findall(r"[A-Za-z_]\w*", line.split(file)[0]):
                if name in known and known[name][0] == file and known[name][1] <= int(number) <= known[name][2]:
                    shown.add(name)
    return shown


class Run:
    """One `./dev run`, its lines with the time at which they came."""

    def __init__(self, folder, *words, sleeper=None):
        self.folder = folder
        self.lines = []
        command = ["sh", "-c", BESIDE_A_SLEEPER, "sh", str(sleeper or pythons.system_python().exe),
                   str(places.REPOSITORY / "dev"), "run", "--set", f"server.listen=127.0.0.1:{free_port()}", *words]
        self.process = subprocess.Popen(
            ["sh", "-c", 'exec 3</dev/null; exec "$@"', "sh", *ALONE, *command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, "PYSTROBE_RUN_DIR": str(folder)})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.rstrip("\n")))

    def finish(self, timeout):
        status = wait_exit(self.process, timeout)
        self.reader.join(10)
        return status

    def text(self, until=None):
        return "\n".join(line for at, line in list(self.lines) if until is None or at <= until)

    def first(self, pattern):
        """(time, line) of the first line that matches."""
        return next(((at, line) for at, line in list(self.lines) if re.search(pattern, line)), None)


pytestmark = [pytest.mark.unsanitized(reason="./dev run builds and runs the release"), pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace needs root here")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole run of 30 s, without a terminal."""
    run = Run(tmp_path_factory.mktemp("run"), "--for", "30s")
    run.status = run.finish(300)
    print(run.text())
    return run


def test_run_ends_by_itself_with_status_0(finished):
    assert finished.status == 0, finished.text()


def test_run_says_that_it_starts_the_demo_and_why(finished):
    assert finished.first(r"starting the demo.*under 2% of a core"), finished.text()


def test_run_shows_five_demo_functions_with_their_lines_within_30_seconds(finished):
    begun = finished.first(r"starting the demo")[0]
    shown = functions_in(finished.text(until=begun + SHOWN_WITHIN_SECONDS))
    assert len(shown) >= 5, f"only {sorted(shown)} in:\n{finished.text()}"


def test_run_shows_version_cpu_and_wall_and_the_page(finished):
    text = finished.text()
    assert pythons.system_python().version.rsplit(".", 1)[0] in text
    assert re.search(r"cpu.*wall", text, re.I), text
    assert re.search(r"http://127\.0\.0\.1:\d+", text.replace("demo:", "")), text


def test_run_prints_the_folder_and_the_profiles_in_it_hold_the_demo(finished):
    said = finished.first(r"profiles lie in (\S+)")
    assert said, finished.text()
    folder = re.search(r"profiles lie in (\S+)", said[1])[1]
    profiles = pprof.load_folder(folder)
    assert {profile.mode for profile in profiles} >= {"cpu", "wall"}
    names = set()
    for profile in profiles:
        profile.check()
        names |= {frame.name for sample in profile.samples for frame in sample.stack}
    assert len(names & set(demo_functions())) >= 8, sorted(names)


def test_run_delivers_the_window_that_was_open_at_the_end(finished):
    """The last profile reaches to the end of the run: nothing was cut off at the last full window."""
    profiles = pprof.load_folder(finished.folder / "profiles")
    begun = min(profile.time_nanos for profile in profiles)
    ended = max(profile.time_nanos + profile.duration_nanos for profile in profiles)
    assert ended - begun >= 24e9, f"profiles cover {(ended - begun) / 1e9:.1f} s of a run of 30 s"


def test_run_leaves_nothing_behind(finished):
    assert re.search(r"^left: *$", finished.text(), re.M), finished.text()


def test_go_tool_pprof_reads_the_profiles(finished):
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not os.access(go, os.X_OK):
        from lib import golang
        go = golang.command()
    newest = max((finished.folder / "profiles").rglob("*.pb.gz"), key=lambda path: path.stat().st_size)
    answer = subprocess.run([go, "tool", "pprof", "-top", str(newest)], capture_output=True, text=True, timeout=120,
                            env={**os.environ, "GOFLAGS": "", "PPROF_TMPDIR": str(finished.folder)}, check=False)
    assert answer.returncode == 0, answer.stderr
    assert any(name in answer.stdout for name in demo_functions()), answer.stdout
