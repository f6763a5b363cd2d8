"""Whole machines under software emulation: how they are started and how they say what came of it.

A machine says each result as a line "RESULT {json}"; "what" is its name.
"""
import json
import subprocess
from pathlib import Path


def initial_ram_disk(root, image) -> Path:
    names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
    with open(image, "wb") as out:
        subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=out, check=True)
    return Path(image)


def boot(command, seconds, console) -> list:
    """The results of a machine, whether or not it came to its end; the file console holds all that it wrote."""
    with open(console, "wb") as out:
        try:
            subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                           timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            pass
    return results(Path(console).read_text(encoding="utf-8", errors="replace"))


def results(said) -> list:
    return [json.loads(line.partition("RESULT ")[2]) for line in said.splitlines() if "RESULT {" in line]


def report(checks) -> int:
    """Prints (what, whether it is right, what was said) of every check; how many are wrong."""
    for what, right, said in checks:
        print(f"{'ok' if right else 'FAILED':6} {what}" + ("" if right else f": {said}"))
    return sum(not right for _what, right, _said in checks)
