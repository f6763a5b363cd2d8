"""Runs every test of the project in parts, some side by side, and ends with one line that sums them all.

A part is a command with the way to count its tests. It counts as failed when it crashes, runs out of time or runs
nothing. Each part's output lies in build/test-logs/NAME.log. Called by `./dev test [PART…]`.

Suites side by side on two cores starve each other now and then, and so does the machine's own neighbour. So where at most
UNSTEADY_MAX tests failed, they run once more, alone; what then passes is counted as passed and named as unsteady, with the
log of its failure kept. What fails twice, or left a report of a sanitizer, has failed.
"""
import argparse
import glob
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field, replace

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
PYTHON = "/usr/bin/python3"
SLOTS = 3  # on two cores: most tests wait more than they compute
TAIL_LINES = 60
FUZZ_SECONDS = "4"
UNSTEADY_MAX = 6  # of some 2,900
MEEK = ("unit-tsan", "fuzz-short")  # kept for the time of a part that mostly waits
GROUPS = set()


@dataclass
class Part:
    """One command. `kind` says how its tests are counted: one (the command itself), ctest, pytest, or junit for what else
    takes pytest's --junitxml. One that is `asked`
    for runs only when it is named. One that is `alone` comes last, without any other but those that it has `beside` it."""
    name: str
    command: list
    kind: str = "one"
    needs: list = field(default_factory=list)
    env: dict = field(default_factory=dict)
    minutes: float = 15
    alone: bool = False
    beside: tuple = ()
    asked: bool = False
    may_be_empty: bool = False


@dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    problems: list = field(default_factory=list)
    skips: list = field(default_factory=list)
    unsteady: list = field(default_factory=list)
    broken: bool = False  # no test's failure: a crash, a report, no time left


def build(preset, *targets):
    script = f"[ -f build/{preset}/build.ninja ] || cmake --preset {preset}; cmake --build build/{preset}"
    if targets:
        script += " --target " + " ".join(targets)
    return ["/bin/sh", "-ec", script]


def fixed_addresses():
    """Sanitizer runtimes of this age die on kernels that place maps more randomly than they expect."""
    try:
        with open("/proc/sys/vm/mmap_rnd_bits", encoding="ascii") as bits:
            return ["setarch", "-R"] if int(bits.read()) > 28 else []
    except (OSError, ValueError):
        return []


def ctest(name, *arguments):
    return [*fixed_addresses(), "ctest", "--test-dir", f"build/{name}", "-j", "2", "--output-on-failure", "--no-tests=error",
            *arguments]


def pytest(*arguments):
    return [*fixed_addresses(), PYTHON, "-m", "pytest", "-q", "--durations=10", "--color=no", *arguments]


def meek(command):
    return ["nice", "-n", "10", *command]


def binary(preset):
    return {"PYSTROBE_BIN": os.path.join(ROOT, "build", preset, "pystrobe")}


def sanitizer(preset, part, slow):
    """Reports go to files of their own: a role that dies of one has no terminal."""
    reports = os.path.join(LOGS, f"{part}-reports", "report")
    os.makedirs(os.path.dirname(reports), exist_ok=True)
    options = f"log_path={reports}:abort_on_error=0:exitcode=99"
    return {**binary(preset), "PYSTROBE_SLOW": slow, "ASAN_OPTIONS": options + ":detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": options + ":print_stacktrace=1", "TSAN_OPTIONS": options + ":halt_on_error=0:second_deadlock_stack=1",
            "PYSTROBE_SANITIZER_REPORTS": os.path.dirname(reports)}


def preparations():
    """Long-lived caches, each built once: interpreters, root file systems, servers."""
    yield Part("prepare-pythons", [PYTHON, "tests/lib/pythons.py", "prepare"], minutes=35)
    yield Part("prepare-servers", [PYTHON, "tests/interop/builds.py"], minutes=40)
    yield Part("prepare-cluster", [PYTHON, "tests/cluster/programs.py"], minutes=40)
    yield Part("prepare-deploy", [PYTHON, "tests/deploy/helm.py"], minutes=20)
    yield Part("prepare-pyspy", [PYTHON, "tests/lib/pyspy.py"])


def system_folders():
    """Folders of system tests, the longest first."""
    order = ["targets", "interop", "cluster", "deploy", "chaos", "pythons"]
    return [name for name in order if glob.glob(os.path.join(ROOT, "tests", name, "test_*.py"))]


def has_serial(folder):
    for name in glob.glob(os.path.join(ROOT, "tests", folder, "test_*.py")):
        with open(name, encoding="utf-8") as text:
            if "mark.serial" in text.read():
                return True
    return False


def parts():
    prepared = list(preparations())
    pythons, servers = ["release", "prepare-pythons", "prepare-pyspy"], ["release", "prepare-pythons", "prepare-servers"]
    quick = "not serial"
    sanitized = [f"tests/{folder}" for folder in system_folders() if folder in ("targets", "chaos")]
    result = [
        Part("release", build("release"), minutes=15),
        *prepared,
        Part("asan", build("asan"), minutes=15),
        Part("format", [PYTHON, "tools/lint.py", "format", "shell"]),
        Part("packages", ["./dev", "package"], minutes=15, needs=["release"]),
        Part("unit", ctest("release", "-L", "unit|fuzz"), "ctest", ["release"]),
    ]
    # Nothing is measured under a sanitizer, so what else must run alone may run beside others; but for the stalls.
    under_asan = {folder: Part(f"{folder}-asan", pytest(f"tests/{folder}", *(["-m", quick] if folder == "chaos" else [])), "pytest",
                               ["asan", *(servers if folder == "interop" else pythons)], sanitizer("asan", f"{folder}-asan", "4"), 25)
                  for folder in system_folders() if folder in ("targets", "chaos", "interop")}
    for folder in system_folders():
        packed = [*servers, "packages", "prepare-deploy"]
        needs = {"interop": servers, "deploy": packed, "cluster": [*packed, "prepare-cluster"]}.get(folder, pythons)
        result.append(Part(folder, pytest(f"tests/{folder}", "-m", quick), "pytest", needs, binary("release"), 25))
        if folder in under_asan:
            result.append(under_asan[folder])
    result += [
        Part("arch", pytest("tests/arch"), "pytest", ["release"], binary("release")),
        Part("unit-asan", ctest("asan", "-L", "unit|fuzz"), "ctest", ["asan"], sanitizer("asan", "unit-asan", "3")),
        Part("clang", build("clang"), minutes=15),
        Part("tidy", [PYTHON, "tools/lint.py", "tidy", "cppcheck"], needs=["clang"], minutes=10),
        Part("tsan", build("tsan"), minutes=15),
        # The sanitizer's own thread stands in /proc/self/task, where the first two count theirs. The others fill disk and
        # memory with one thread, for minutes under this sanitizer.
        Part("unit-tsan", meek(ctest("tsan", "-L", "unit", "-E",
                                "unit/(target/tids|sampler/accounting|store/(disk|bounds)|config/memory)$")), "ctest", ["tsan"],
             sanitizer("tsan", "unit-tsan", "5")),
        Part("threads-tsan", pytest(*sanitized, "-m", "threads and not serial"), "pytest",
             ["tsan", *pythons], sanitizer("tsan", "threads-tsan", "6"), may_be_empty=True),
        Part("fuzz", build("fuzz"), minutes=15),
        Part("coverage", [PYTHON, "tools/coverage.py"], needs=["prepare-pythons"], minutes=15),
        Part("fuzz-short", meek(["setarch", "-R", PYTHON, "tools/fuzz.py", FUZZ_SECONDS, "--repeatable"]), "junit", ["fuzz"], minutes=20),
    ]
    result += [
        Part("prepare-builds", [PYTHON, "tests/lib/pythons.py", "prepare-builds"], minutes=60, asked=True),
        # What native frames are told by needs ctypes, and Debian's libffi is glibc's.
        Part("builds", pytest("tests/targets", "tests/pythons", "-m", "not serial", "-k", "source- and not test_native"),
             "pytest",
             ["prepare-builds", "release"], binary("release"), 25, asked=True),
    ]
    # What stalls waits most of its time: beside it goes what starts no agent, which would stall too, and gives way to it.
    for folder in sorted(filter(has_serial, system_folders()), key=lambda name: name != "chaos"):
        result.append(Part(f"{folder}-serial", pytest(f"tests/{folder}", "-m", "serial"), "pytest", servers,
                           binary("release"), 25, alone=True, beside=MEEK if folder == "chaos" else (), may_be_empty=True))
        if folder == "chaos":
            result.append(Part("stalls-asan", pytest("tests/chaos", "-m", "serial"), "pytest", ["asan", *servers],
                               sanitizer("asan", "stalls-asan", "4"), 25, alone=True, beside=MEEK, may_be_empty=True))
    return result


def xml_path(name):
    return os.path.join(LOGS, f"{name}.xml")


def broke(result, problem):
    result.failed += 1
    result.broken = True
    result.problems.append(problem)


def log_path(name):
    return os.path.join(LOGS, f"{name}.log")


def count_xml(name, result):
    """Adds what a JUnit file says; raises when it is not there or cannot be read."""
    for case in ElementTree.parse(xml_path(name)).getroot().iter("testcase"):
        title = f"{case.get('classname', '')}::{case.get('name', '')}".replace("tests.", "", 1)
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            result.failed += 1
            result.problems.append(title)
        elif skipped is not None or case.get("status") in ("disabled", "notrun"):
            result.skipped += 1
            reason = skipped.get("message", "") if skipped is not None else "not run"
            result.skips.append(f"{title}: {reason}")
        else:
            result.passed += 1


def command_of(part):
    if part.kind == "ctest":
        return [*part.command, "--output-junit", xml_path(part.name)]
    if part.kind == "pytest":
        return [*part.command, f"--junitxml={xml_path(part.name)}", "-o", f"cache_dir={LOGS}/{part.name}.cache"]
    if part.kind == "junit":
        return [*part.command, f"--junitxml={xml_path(part.name)}"]
    return part.command


def failed_ones_of(part):
    """The same part, of what failed in it only; the names of both runners' own lists of failures."""
    again = ["--rerun-failed"] if part.kind == "ctest" else ["--last-failed", "--last-failed-no-failures=none"]
    return replace(part, command=[*part.command, *again])


def run_command(part):
    """Exit status of the part's command, or None when it ran out of time; its whole group ends with it."""
    environment = {**os.environ, **part.env}
    with open(log_path(part.name), "w", encoding="utf-8") as log:
        log.write("$ " + shlex.join(command_of(part)) + "\n")
        log.flush()
        process = subprocess.Popen(command_of(part), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                   env=environment, start_new_session=True)
        GROUPS.add(process.pid)
        try:
            return process.wait(part.minutes * 60)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            GROUPS.discard(process.pid)


def end_groups():
    """Nothing that was started outlives the run: first asked, so that tests clean up, then made to."""
    for number, patience in ((signal.SIGINT, 10), (signal.SIGKILL, 0)):
        for group in list(GROUPS):
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + patience
        while GROUPS and time.monotonic() < deadline:
            time.sleep(0.1)


def sanitizer_reports(part, result):
    folder = part.env.get("PYSTROBE_SANITIZER_REPORTS")
    for report in sorted(glob.glob(os.path.join(folder, "*"))) if folder else []:
        broke(result, f"{part.name}: {os.path.basename(report)} of a sanitizer")
        with open(report, encoding="utf-8", errors="replace") as text, open(log_path(part.name), "a", encoding="utf-8") as log:
            log.write(f"\n== {report}\n" + text.read(8000))
        os.rename(report, os.path.join(LOGS, f"{part.name}.{os.path.basename(report)}"))


def run_part(part):
    result = Result()
    begun = time.monotonic()
    if os.path.exists(xml_path(part.name)):
        os.unlink(xml_path(part.name))
    status = run_command(part)
    result.seconds = time.monotonic() - begun
    if part.kind == "one":
        if status == 0:
            result.passed = 1
    elif not (part.may_be_empty and status == 5):
        try:
            count_xml(part.name, result)
        except (OSError, ElementTree.ParseError) as error:
            broke(result, f"{part.name}: no result ({error})")
    if status is None:
        broke(result, f"{part.name}: not done after {part.minutes:g} minutes")
    elif status != 0 and not result.failed and not (part.may_be_empty and status == 5):
        broke(result, f"{part.name}: ended with {status}")
    if not part.may_be_empty and not (result.passed or result.failed or result.skipped):
        broke(result, f"{part.name}: ran nothing")
    sanitizer_reports(part, result)
    return result


def try_unsteady(parts_run, results):
    """Runs the few tests that failed once more, alone."""
    suspects = [part for part in parts_run if results[part.name].failed and part.kind in ("ctest", "pytest")]
    if not suspects or sum(result.failed for result in results.values()) > UNSTEADY_MAX:
        return
    for part in suspects:
        first = results[part.name]
        if first.broken:
            continue
        os.replace(log_path(part.name), log_path(f"{part.name}.first"))
        second = run_part(failed_ones_of(part))
        if not second.failed and second.passed == first.failed:
            results[part.name] = replace(first, passed=first.passed + first.failed, failed=0, problems=[],
                                         unsteady=[f"{problem} (failed at first: {part.name}.first.log)"
                                                   for problem in first.problems])


class Board:
    """Runs parts as soon as what they need has passed; parts that must be alone come last, one at a time."""

    def __init__(self, chosen):
        self.waiting = list(chosen)
        self.running = {}
        self.results = {}
        self.changed = threading.Condition()

    def ready(self, part):
        if part.alone:
            company = [other.name for other in (*self.running.values(), *self.waiting) if not other.alone]
            return not any(other.alone for other in self.running.values()) and all(name in part.beside for name in company)
        if not all(need in self.results for need in part.needs):
            return False
        every = [*self.running.values(), *self.waiting]
        if part.name in MEEK and any(part.name in other.beside for other in every):
            return all(other.alone or other.name in MEEK for other in every)
        return not any(other.alone for other in self.running.values())

    def blocked(self, part):
        return [need for need in part.needs if need in self.results and self.results[need].failed
                and not need.startswith("prepare-")]

    def work(self, part):
        try:
            result = run_part(part)
        except Exception as error:  # a broken runner must not look like success
            result = Result(failed=1, broken=True, problems=[f"{part.name}: {error!r}"])
        with self.changed:
            del self.running[part.name]
            self.finish(part, result)
            self.changed.notify_all()

    def finish(self, part, result):
        self.results[part.name] = result
        word = "FAILED" if result.failed else "ok"
        print(f"{word:6} {part.name:18} {result.seconds:6.1f} s  {result.passed} passed, {result.failed} failed, "
              f"{result.skipped} skipped", flush=True)
        if result.failed:
            show_tail(part.name)

    def start_some(self):
        for part in list(self.waiting):
            if len(self.running) >= SLOTS:
                return
            missing = self.blocked(part)
            if missing:
                self.waiting.remove(part)
                self.finish(part, Result(failed=1, broken=True, problems=[f"{part.name}: not run, {missing[0]} failed"]))
            elif self.ready(part):
                self.waiting.remove(part)
                self.running[part.name] = part
                threading.Thread(target=self.work, args=(part,), daemon=True).start()

    def run(self):
        with self.changed:
            while self.waiting or self.running:
                self.start_some()
                if self.running:
                    self.changed.wait()


def show_tail(name):
    try:
        with open(log_path(name), encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines()
    except OSError:
        return
    for line in lines[-TAIL_LINES:]:
        print(f"  | {line}")
    print(f"  (all of it: {os.path.relpath(log_path(name), ROOT)})", flush=True)


def with_needs(every, names):
    by_name = {part.name: part for part in every}
    chosen = []

    def add(name):
        if name not in by_name:
            sys.exit(f"no such part: {name}; parts: {', '.join(by_name)}")
        for need in by_name[name].needs:
            add(need)
        if name not in chosen:
            chosen.append(name)

    for name in names:
        add(name)
    return [part for part in every if part.name in chosen]


def pythons_table(results, whole):
    """Prints one row per minor version; on a whole run a missing one is a failure."""
    done = subprocess.run([PYTHON, "tests/lib/pythons.py", "table", os.environ["PYSTROBE_PYTHONS_RESULTS"]], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    print("\n".join(line for line in done.stdout.splitlines() if not line.startswith("FAILED")))
    result = Result(passed=1 if done.returncode == 0 else 0)
    if done.returncode != 0:
        result.failed = 1
        result.problems = [line.replace("FAILED: ", "Pythons: ", 1) for line in done.stdout.splitlines()
                           if line.startswith("FAILED")] or [done.stderr[-500:]]
    if whole:
        results["pythons-table"] = result


def print_notes():
    try:
        with open(os.environ["PYSTROBE_NOTES"], encoding="utf-8") as notes:
            text = notes.read().rstrip()
    except OSError:
        return
    if text:
        print(text)


def summary(results, begun):
    skips = [skip for result in results.values() for skip in result.skips]
    problems = [problem for result in results.values() for problem in result.problems]
    for skip in skips:
        print(f"skipped: {skip}")
    for unsteady in (line for result in results.values() for line in result.unsteady):
        print(f"unsteady: {unsteady}")
    for problem in problems:
        print(f"failed: {problem}")
    print(f"took {(time.monotonic() - begun) / 60:.1f} minutes")
    passed, failed, skipped = (sum(getattr(result, word) for result in results.values())
                               for word in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("part", nargs="*")
    parser.add_argument("--list", action="store_true", help="name the parts")
    options = parser.parse_args()
    os.chdir(ROOT)
    if shutil.which("ccache"):
        os.environ.setdefault("CMAKE_C_COMPILER_LAUNCHER", "ccache")
    shutil.rmtree(LOGS, ignore_errors=True)
    os.makedirs(LOGS)
    os.environ["PYSTROBE_PYTHONS_RESULTS"] = os.path.join(LOGS, "pythons.jsonl")
    os.environ["PYSTROBE_NOTES"] = os.path.join(LOGS, "notes.txt")
    every = parts()
    if options.list:
        print("\n".join(part.name for part in every))
        return 0
    begun = time.monotonic()
    usual = [part for part in every if not part.asked]
    board = Board(with_needs(every, options.part) if options.part else usual)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        board.run()
        try_unsteady([part for part in every if part.name in board.results], board.results)
    except BaseException:
        end_groups()
        raise
    if any(part.kind == "pytest" for part in every if part.name in board.results):
        pythons_table(board.results, not options.part)
    print_notes()
    return summary(board.results, begun)


if __name__ == "__main__":
    sys.exit(main())
