"""Which lines of the code that parses a target's bytes run: coverage.py. Called by `./dev fuzz coverage`.

Counted are the fuzz targets over their corpora and the unit tests, which feed the same code with runtimes, files and
texts that lie, and one real Python of each minor that goes on while it is read: nobody lies as a stack does that moves.
A file that no program links counts as not run.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from lib import pythons  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILT = os.path.join(ROOT, "build", "coverage")
PROFILES = os.path.join(BUILT, "profiles")
FOLDERS = ["agent/python", "discovery/target"]
MODULES = {"python", "target", "scan"}
LEAST_PERCENT = 90.0
WHOLE = "tests/targets/walker/walk_whole"
SAMPLES = "1500"


def programs():
    """(build target, path below build/coverage, name of the test)"""
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "fuzz", "fuzz_*.c"))):
        with open(path, encoding="utf-8") as source:
            modules = re.match(r"/\* fuzz: ([a-z_0-9 ]+) \*/", source.readline())[1].split()
        name = os.path.basename(path)[:-2]
        if MODULES.intersection(modules):
            yield name, f"tests/fuzz/{name}", name.replace("fuzz_", "fuzz/", 1)
    for module in sorted(MODULES):
        for path in sorted(glob.glob(os.path.join(ROOT, "tests", "unit", module, "test_*.c"))):
            what = os.path.basename(path)[5:-2]
            yield f"unit_{module}_{what}", f"tests/unit/{module}/unit_{module}_{what}", f"unit/{module}/{what}"


def build(targets):
    if not os.path.exists(os.path.join(BUILT, "build.ninja")):
        subprocess.run(["cmake", "--preset", "coverage"], cwd=ROOT, check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", BUILT, "--target", *targets], cwd=ROOT, check=True, stdout=sys.stderr)


def run(tests):
    shutil.rmtree(PROFILES, ignore_errors=True)
    wanted = "^(" + "|".join(map(re.escape, tests)) + ")$"
    done = subprocess.run(["ctest", "--test-dir", BUILT, "-R", wanted, "-j", "2", "--output-on-failure", "--no-tests=error"],
                          stdout=sys.stderr, check=False)
    return done.returncode == 0


def read_real_ones():
    """Whether something could be read of each; they are ended."""
    good = True
    for python in pythons.one_per_minor():
        target = python.popen(os.path.join(ROOT, "tests", "workloads", "every_shape.py"), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        try:
            ready = target.stdout.readline() == b"ready\n"
            done = subprocess.run([os.path.join(BUILT, WHOLE), str(target.pid), SAMPLES], capture_output=True, text=True,
                                  timeout=120, check=False)
            print(f"{python}: {(done.stdout or done.stderr).strip()}", file=sys.stderr)
            good = good and ready and done.returncode == 0
        finally:
            target.kill()
            target.wait()
    return good


def files(paths):
    """{path: (lines, lines that ran)} of the folders that count."""
    merged = os.path.join(PROFILES, "all.profdata")
    subprocess.run(["llvm-profdata-14", "merge", "-o", merged, *glob.glob(os.path.join(PROFILES, "*.profraw"))], check=True)
    objects = [os.path.join(BUILT, path) for path in paths]
    for folder in FOLDERS:
        objects += sorted(glob.glob(os.path.join(BUILT, folder, "CMakeFiles", f"{os.path.basename(folder)}.dir", "*.o")))
    command = ["llvm-cov-14", "export", "-summary-only", "-instr-profile", merged, objects[0]]
    for path in objects[1:]:
        command += ["-object", path]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {os.path.relpath(entry["filename"], ROOT): (entry["summary"]["lines"]["count"], entry["summary"]["lines"]["covered"])
            for entry in told["data"][0]["files"]}


def percent(lines, ran):
    return 100.0 * ran / lines if lines else 100.0


def report(found):
    """Prints a row a file and a sum a folder; the folders that are below the bound."""
    short = []
    for folder in FOLDERS:
        rows = {path: counts for path, counts in sorted(found.items()) if os.path.dirname(path) == folder and counts[0]}
        missing = {os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, folder, "*.c"))} - set(rows)
        for path, (lines, ran) in rows.items():
            print(f"{path:40} {ran:5} of {lines:5} lines {percent(lines, ran):6.1f} %")
        lines, ran = (sum(counts[i] for counts in rows.values()) for i in (0, 1))
        print(f"{folder:40} {ran:5} of {lines:5} lines {percent(lines, ran):6.1f} %\n")
        if percent(lines, ran) < LEAST_PERCENT:
            short.append(f"{folder}: {percent(lines, ran):.1f} % of its lines ran, {LEAST_PERCENT:g} % are wanted")
        short += [f"{path}: not counted at all" for path in sorted(missing)]
    return short


def main():
    wanted = list(programs())
    build([*(target for target, _, _ in wanted), os.path.basename(WHOLE)])
    passed = run([test for _, _, test in wanted])
    passed = read_real_ones() and passed
    short = report(files([*(path for _, path, _ in wanted), WHOLE]))
    for line in short:
        print(line)
    return 0 if passed and not short else 1


if __name__ == "__main__":
    sys.exit(main())
