"""One small program, packed into executables by the tools that people use: PyInstaller (one file, one folder) and Nuitka
(compiled to C). Each is made once into the cache."""
import fcntl
import shutil
import subprocess
from pathlib import Path

from lib.places import cache

RECIPE = "1"
TOOLS = ["pyinstaller==6.22.3", "nuitka==4.3.3"]
PYTHON = "/usr/bin/python3"

PROGRAM = """\
import time


def inner():
    print("up", flush=True)
    time.sleep(600)


def outer():
    inner()


if __name__ == "__main__":
    outer()
"""

# name -> (the tool's arguments, the executable)
APPLICATIONS = {
    "onefile": (["-m", "PyInstaller", "--onefile", "--name", "onefile", "--log-level", "ERROR", "packed_app.py"], "dist/onefile"),
    "onedir": (["-m", "PyInstaller", "--onedir", "--name", "onedir", "--log-level", "ERROR", "packed_app.py"],
               "dist/onedir/onedir"),
    "nuitka": (["-m", "nuitka", "--quiet", "--output-filename=nuitka", "--remove-output", "--jobs=2", "packed_app.py"], "nuitka"),
}

_failures = {}


def _folder() -> Path:
    return cache() / f"packed-{RECIPE}"


def executable(name: str) -> Path:
    """The packed program; LookupError when it could not be made."""
    path = _folder() / APPLICATIONS[name][1]
    if not path.exists():
        raise LookupError(f"no {name} program here: {_failures.get(name, 'not prepared')}")
    return path


def _run(command, log, folder, seconds=900):
    done = subprocess.run([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
                          stderr=subprocess.STDOUT, timeout=seconds, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command[1:4]))} ended with {done.returncode}")


def _make(name, tools, folder, log) -> None:
    try:
        _run([tools / "bin" / "python", *APPLICATIONS[name][0]], log, folder)
    except (OSError, subprocess.SubprocessError) as error:
        _failures[name] = str(error)
        log.write(f"not obtained: {name}: {error}\n")


def prepare_all(log) -> None:
    target = _folder()
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((target / exe).exists() for _words, exe in APPLICATIONS.values()):
            return
        tools = target.with_name(target.name + ".tools")
        for folder in (target, tools):
            shutil.rmtree(folder, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "packed_app.py").write_text(PROGRAM, encoding="utf-8")
        try:
            _run([PYTHON, "-m", "venv", tools], log, target)
            _run([tools / "bin" / "pip", "install", "-q", *TOOLS], log, target)
            for name in APPLICATIONS:
                _make(name, tools, target, log)
        except (OSError, subprocess.SubprocessError) as error:
            _failures.update(dict.fromkeys(APPLICATIONS, str(error)))
            log.write(f"not obtained: packed programs: {error}\n")
        finally:
            shutil.rmtree(tools, ignore_errors=True)
            shutil.rmtree(target / "build", ignore_errors=True)
