"""Every CPython that this machine has or can have, and how to run a script with it.

`all_pythons()` lists them; `prepare()` fetches what a registry can supply into the cache; `table()` prints one row
per minor version. A build is never dropped silently: what cannot run stands in the table with its reason.
"""
import functools
import glob
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import packed, rootfs, sourcebuilds, standalone  # noqa: E402
from lib.places import TESTS  # noqa: E402

SUPPORTED = ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
REQUIRED = ["2.7", "3.11", "3.13", "3.14", "3.15"]
# Builds that no registry supplies, neither made nor as sources.
UNOBTAINABLE = {
    "conda": "its packages come from channels of its own, which no registry carries; the like of it (one executable, "
             ".symtab stripped) is made in targets/test_places",
    **{name: f"no package and no source package has it; layout from {source}, read in unit/python/walk's fake runtime"
    for names, source in ((("3.3", "3.4", "3.5"), "py-spy's bindings"), (("3.14t", "3.15t"), "headers and debug offsets"))
    for name in names}}

PROBE = (
    "import sys, sysconfig; v = sys.version_info; sys.stdout.write("
    "'%d.%d.%d|%s|%d|%s|%s|%d|%s' % (v[0], v[1], v[2], v[3], 'libpython' in open('/proc/self/maps').read(),"
    " sysconfig.get_config_var('Py_GIL_DISABLED'), sysconfig.get_config_var('Py_DEBUG'),"
    " hasattr(sys, '_jit') and sys._jit.is_available(), sysconfig.get_config_var('Py_TAIL_CALL_INTERP')))"
)


@dataclass(frozen=True)
class Python:
    """One interpreter. `place` is "host" or "chroot"; paths inside a chroot equal those outside for the tests' own
    files and /tmp, so that file names in stacks can be compared as they are."""

    name: str
    version: str
    source: str
    exe: str
    root: str = ""
    shared: bool = False
    free_threaded: bool = False
    debug: bool = False
    jit: bool = False  # it has a compiler, which PYTHON_JIT=1 switches on
    tail_calls: bool = False
    env: tuple = field(default=())

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def info(self) -> tuple:
        return tuple(int(part) for part in self.version.split(".")[:2])

    @property
    def place(self) -> str:
        return "chroot" if self.root else "host"

    def argv(self, *args) -> list:
        """The command that runs this interpreter; the process keeps its pid through every exec, so Popen.pid is the
        interpreter's pid."""
        words = [str(arg) for arg in args]
        if not self.root:
            return [self.exe, *words]
        return rootfs.enter(self.root, [TESTS, "/tmp"]) + [self.exe, *words]

    def environment(self, **extra) -> dict:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYENV", "VIRTUAL_ENV"))}
        env.update(dict(self.env), PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
        env.update({key: str(value) for key, value in extra.items()})
        return env

    def popen(self, *args, env=None, **kwargs) -> subprocess.Popen:
        """Starts a script; the caller ends it."""
        return subprocess.Popen(self.argv(*args), env=self.environment(**(env or {})), **kwargs)

    def run(self, *args, **kwargs) -> subprocess.CompletedProcess:
        kwargs.setdefault("env", self.environment())
        return subprocess.run(self.argv(*args), **kwargs)

    def __str__(self):
        return self.name


def _probe(source, exe, root="", env=()):
    """A Python for this executable, or None when it does not answer."""
    trial = Python(name="", version="0.0", source=source, exe=str(exe), root=str(root), env=tuple(env))
    try:
        answer = trial.run("-c", PROBE, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    fields = answer.stdout.strip().split("|")
    if answer.returncode != 0 or len(fields) != 7:
        return None
    version, level, shared, free_threaded, debug, jit, tail_calls = fields
    suffix = "t" if free_threaded == "1" else ""
    suffix += "d" if debug == "1" else ""
    suffix += "" if level == "final" else level
    return Python(name=f"{source}-{version}{suffix}", version=version, source=source, exe=str(exe), root=str(root),
                  shared=shared == "1", free_threaded=free_threaded == "1", debug=debug == "1", jit=jit == "1",
                  tail_calls=tail_calls == "1", env=tuple(env))


def _host_executables():
    """(source, executable) of interpreters installed on the machine, version managers included."""
    home = os.path.expanduser("~")
    pyenv = os.environ.get("PYENV_ROOT") or os.path.join(home, ".pyenv")
    for version in sorted(glob.glob(os.path.join(pyenv, "versions", "*"))):
        if not os.path.islink(version) and "envs" not in version.split(os.sep):
            yield "pyenv", os.path.join(version, "bin", "python")
    for exe in sorted(glob.glob(os.path.join(home, ".local/share/uv/python/cpython-*/bin/python3"))):
        yield "uv", exe
    for exe in sorted(glob.glob("/opt/python/*/bin/python3")) + sorted(glob.glob("/usr/local/bin/python3.[0-9]*")):
        if not exe.endswith("-config"):
            yield "local", exe
    yield "debian", "/usr/bin/python3"


@functools.lru_cache(maxsize=None)
def all_pythons() -> tuple:
    """Every interpreter that starts now, oldest first. Nothing is fetched here: see prepare()."""
    found = {}
    candidates = [(source, exe, "", ()) for source, exe in _host_executables() if os.access(exe, os.X_OK)]
    candidates += [(source, exe, root, ()) for source, exe, root in rootfs.interpreters()]
    candidates += [("standalone", exe, "", ()) for exe in standalone.interpreters()]
    candidates += [(f"source-{build.name}", exe, "", ()) for build, exe in sourcebuilds.interpreters()]
    seen = set()
    for source, exe, root, env in candidates:
        key = (root, os.path.realpath(exe) if not root else exe)
        if key in seen:
            continue
        seen.add(key)
        python = _probe(source, exe, root, env)
        if python is not None:
            found.setdefault(python.name, python)
    return tuple(sorted(found.values(), key=lambda python: (python.info, python.source)))


def one_per_minor() -> tuple:
    """The first build of each minor, for tests whose subject is not the build."""
    chosen = {}
    for python in all_pythons():
        if not python.free_threaded and not python.debug:
            chosen.setdefault(python.minor, python)
    return tuple(chosen.values())


def compiling() -> tuple:
    """Every build that has a JIT compiler, with it switched on."""
    return tuple(replace(python, name=python.name + "-jit", env=(*python.env, ("PYTHON_JIT", "1")))
                 for python in all_pythons() if python.jit)


def find(minor: str) -> Python:
    """One build of this minor; raises LookupError when there is none."""
    for python in one_per_minor():
        if python.minor == minor:
            return python
    raise LookupError(f"no Python {minor} here: ./dev test prepares what a registry can supply")


def system_python() -> Python:
    """Debian's own interpreter: always there."""
    for python in all_pythons():
        if python.source == "debian":
            return python
    return all_pythons()[0]


def prepare(log=sys.stderr) -> None:
    """Fetches every interpreter that can be had into the cache; a source that fails is named and left out."""
    for what in (rootfs.prepare_all, standalone.prepare_all, sourcebuilds.prepare_all, packed.prepare_all):
        what(log)
    all_pythons.cache_clear()


def read_results(path) -> dict:
    """build name -> set of outcomes, from the lines that conftest wrote."""
    outcomes = {}
    if path and os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                outcomes.setdefault(row["python"], set()).add(row["outcome"])
    return outcomes


def table(outcomes: dict):
    """(lines, problems): one row per minor; a problem is a required minor that did not run or a build that was there
    and was not used."""
    lines, problems = [], []
    builds = all_pythons()
    minors = SUPPORTED + sorted({python.minor for python in builds} - set(SUPPORTED))
    for minor in minors:
        mine = [python for python in builds if python.minor == minor]
        ran = [python for python in mine if outcomes.get(python.name, set()) & {"passed", "failed"}]
        left = [python for python in mine if python not in ran]
        text = "ran: " + ", ".join(f"{python.name} ({python.place}, {'shared' if python.shared else 'static'})"
                                   for python in ran) if ran else "not run"
        if left:
            text += "; there but not used: " + ", ".join(python.name for python in left)
            problems += [f"{python.name} was there and was not used" for python in left]
        if not mine:
            text += ": no build here (" + rootfs.why_missing() + ")"
        if minor in REQUIRED and not ran:
            problems.append(f"Python {minor} must run and did not")
        lines.append(f"Python {minor:5} {text}")
    return lines + special_builds(outcomes), problems


def special_builds(outcomes: dict) -> list:
    """One row per build that the tests make themselves or would if they could."""
    ran = {name.rpartition("-")[0] for name, one in outcomes.items() if one & {"passed", "failed"}}
    lines = []
    for build in sourcebuilds.BUILDS:
        if f"source-{build.name}" in ran:
            text = f"ran: built in {build.seconds} s from Debian's {build.package} ({build.suite})"
        elif build.ready:
            text = f"not run: built in {build.seconds} s, no test of this run uses it"
        else:
            text = f"not run: {sourcebuilds.why_missing(build)}"
        lines.append(f"Build {build.name:10} {text}")
    for kind, mine in (("JIT", compiling()), ("tail calls", [python for python in all_pythons() if python.tail_calls])):
        names = [python.name for python in mine if outcomes.get(python.name, set()) & {"passed", "failed"}]
        missing = "no test of this run uses it" if mine else "no build here has it"
        lines.append(f"Build {kind:10} " + ("ran: " + ", ".join(names) if names else f"not run: {missing}"))
    return lines + [f"Build {name:10} not run: {why}" for name, why in UNOBTAINABLE.items()]


def main(arguments):
    if arguments[:1] == ["prepare"]:
        prepare()
        for python in all_pythons():
            print(f"{python.name:24} {python.place:7} {python.exe}")
        return 0
    if arguments[:1] == ["prepare-builds"]:
        sourcebuilds.prepare_all(sys.stderr, slow=True)
        return 0 if all(build.ready for build in sourcebuilds.BUILDS) else 1
    if arguments[:1] == ["table"]:
        lines, problems = table(read_results(arguments[1] if len(arguments) > 1 else ""))
        print("\n".join(lines))
        for problem in problems:
            print("FAILED:", problem)
        return 1 if problems else 0
    if arguments[:1] == ["list"]:
        for python in all_pythons():
            print(f"{python.name:24} {python.place:7} {python.exe}")
        return 0
    print("usage: pythons.py prepare | prepare-builds | list | table RESULTS", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
