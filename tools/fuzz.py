"""Drives every libFuzzer target of build/fuzz for a while: fuzz.py SECONDS [TARGET] [--repeatable] [--junitxml=FILE].

Corpora in tests/fuzz/corpus/NAME are seeds and stay as they are; what a run finds lies under build/fuzz/found/NAME,
and is used again by the next run. An input that breaks a target lies under build/fuzz/broken.

A repeatable run begins from the seeds alone with one random number: it tries the same inputs on every machine, so that
it breaks where the code changed and not by luck.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPEATABLE_HZ = 20000  # so that the time seldom is what ends a repeatable run
BUILT = os.path.join(ROOT, "build", "fuzz", "tests", "fuzz")


def fuzz(path, seconds, repeatable):
    """(broken?, one line, tail of the output)"""
    name = os.path.basename(path).replace("fuzz_", "", 1)
    found = os.path.join(ROOT, "build", "fuzz", "repeated" if repeatable else "found", name)
    if repeatable:
        shutil.rmtree(found, ignore_errors=True)
    broken = os.path.join(ROOT, "build", "fuzz", "broken", name)
    seeds = os.path.join(ROOT, "tests", "fuzz", "corpus", name)
    os.makedirs(found, exist_ok=True)
    os.makedirs(broken, exist_ok=True)
    if not glob.glob(os.path.join(seeds, "*")):
        return True, f"{name}: no corpus in tests/fuzz/corpus/{name}", ""
    command = [path, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-artifact_prefix={broken}/", found, seeds]
    if repeatable:
        command[1:1] = ["-seed=1", f"-runs={seconds * REPEATABLE_HZ}"]
    words = os.path.join(ROOT, "tests", "fuzz", f"{name}.dict")
    if os.path.exists(words):
        command.insert(1, f"-dict={words}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + 120, check=False)
        status, output = done.returncode, done.stderr
    except subprocess.TimeoutExpired as late:
        status, output = -1, (late.stderr or b"").decode(errors="replace")
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    edges = re.findall(r" cov: (\d+)", output)
    line = f"{name}: {runs[1] if runs else '?'} inputs, {edges[-1] if edges else '?'} edges"
    if status != 0:
        line += f", BROKEN ({status}), see build/fuzz/broken/{name}"
    return status != 0, line, output[-4000:] if status != 0 else ""


def main(arguments):
    report = [word.split("=", 1)[1] for word in arguments if word.startswith("--junitxml=")]
    words = [word for word in arguments if not word.startswith("--")]
    seconds = int(words[0])
    wanted = words[1] if len(words) > 1 else ""
    targets = [path for path in sorted(glob.glob(os.path.join(BUILT, "fuzz_*")))
               if os.path.isfile(path) and os.access(path, os.X_OK)
               and os.path.exists(os.path.join(ROOT, "tests", "fuzz", os.path.basename(path) + ".c"))]
    if wanted:
        targets = [path for path in targets if os.path.basename(path) in (wanted, f"fuzz_{wanted}")]
    if not targets:
        print("no fuzz target" + (f" named {wanted}" if wanted else ""))
        return 1
    suite = ElementTree.Element("testsuite", name="fuzz")
    failed = 0
    for path in targets:
        broken, line, tail = fuzz(path, seconds, "--repeatable" in arguments)
        print(line + ("\n" + tail if tail else ""), flush=True)
        case = ElementTree.SubElement(suite, "testcase", classname="fuzz", name=os.path.basename(path))
        if broken:
            failed += 1
            ElementTree.SubElement(case, "failure", message=line)
    for path in report:
        ElementTree.ElementTree(suite).write(path)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
