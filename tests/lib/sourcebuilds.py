"""CPython in builds that nobody packages, made from Debian's source packages: without the GIL, with debug checks, with
narrow unicode, against musl. Each is built once into the cache, without optimizing by profile, and used where it lies.
"""
import fcntl
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lib.places import REPOSITORY, cache

sys.path.append(str(REPOSITORY / "tools"))

import debian_source  # noqa: E402

# Raise it when a recipe below changes.
RECIPE = "1"


@dataclass(frozen=True)
class Build:
    """One recipe. `suite` and `package` name the source package; `slow` ones are only made for ./dev test-builds."""

    name: str
    suite: str
    package: str
    minor: str
    options: tuple
    env: tuple = ()
    slow: bool = False

    @property
    def folder(self) -> Path:
        return cache() / f"source-{self.name}-{RECIPE}"

    @property
    def ready(self) -> bool:
        return (self.folder / ".complete").exists()

    @property
    def seconds(self) -> str:
        """How long it took to build, where it has been."""
        return (self.folder / ".complete").read_text(encoding="utf-8").strip()

    @property
    def exe(self) -> Path:
        return self.folder / "python"


# Debian's musl-gcc answers gcc's own triplet, in which configure sees a contradiction, and Python's build hands it
# glibc's folders.
MUSL_CC = """#!/bin/sh
[ "$1" = --print-multiarch ] && exit
for word do
    shift
    case $word in
    -[IL]/usr/*) ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec musl-gcc "$@"
"""
# As Alpine does: musl's threads have 128 KiB of stack, which Python below 3.11 overruns.
ROOM = "-Wl,-z,stack-size=0x200000"
FAST = "-O2 -g0 -DNDEBUG -fwrapv"
BUILDS = (
    Build("3.13t", "trixie", "python3.13", "3.13", ("--disable-gil", "--disable-test-modules"), (("OPT", FAST),)),
    Build("3.11d", "bookworm", "python3.11", "3.11", ("--with-pydebug",), (("OPT", "-O1 -g0 -fwrapv"),)),
    Build("2.7-ucs2", "bullseye", "python2.7", "2.7", ("--enable-unicode=ucs2",), (("OPT", FAST),)),
    Build("3.9-musl", "bullseye", "python3.9", "3.9", (), (("OPT", FAST), ("CC", "{folder}/musl-cc"), ("LDFLAGS", ROOM)),
          slow=True),
    Build("3.11-musl", "bookworm", "python3.11", "3.11", (), (("OPT", FAST), ("CC", "{folder}/musl-cc")), slow=True),
)

_failures = {}


def interpreters():
    """(build, executable) of the builds that are ready."""
    for build in BUILDS:
        if build.ready:
            yield build, str(build.exe)


def find(name: str) -> Build:
    """The build of this name; LookupError when it has not been made."""
    for build in BUILDS:
        if build.name == name and build.ready:
            return build
    raise LookupError(f"no source build {name} here: {_failures.get(name, 'not prepared')}")


def why_missing(build: Build) -> str:
    return _failures.get(build.name, "made by ./dev test-builds" if build.slow else "not prepared")


def _run(command, log, seconds, **kwargs):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                          timeout=seconds, check=False, **kwargs)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command[:3]))} ended with {done.returncode}")


def _download(build: Build, folder: Path, log) -> Path:
    """The upstream archive out of the source package."""
    debian_source.download(build.suite, [build.package], folder, log)
    archives = list(folder.glob("*.orig.tar.*z"))
    if len(archives) != 1:
        raise OSError(f"{build.package} of {build.suite} has {len(archives)} upstream archives")
    return archives[0]


def _make(build: Build, partial: Path, log) -> None:
    work = partial.with_name(partial.name + ".source")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        archive = _download(build, work, log)
        partial.mkdir(parents=True)
        _run(["tar", "-C", partial, "--strip-components=1", "-xf", archive], log, 300)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    wrapper = partial / "musl-cc"
    wrapper.write_text(MUSL_CC, encoding="utf-8")
    wrapper.chmod(0o755)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYENV"))}
    env.update((key, value.replace("{folder}", str(partial))) for key, value in build.env)
    _run(["./configure", *build.options, "--without-ensurepip"], log, 900, env=env, cwd=partial)
    _run(["make", "-j2", "python", "sharedmods"], log, 2400, env=env, cwd=partial)
    for leftover in [*partial.rglob("*.o"), *partial.rglob("*.a")]:
        leftover.unlink()
    for folder in ("Doc", "PCbuild", "Mac", "Lib/test"):
        shutil.rmtree(partial / folder, ignore_errors=True)


def prepare(build: Build, log) -> None:
    """Makes this build unless the cache has it; several callers at once are safe."""
    target = build.folder
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if build.ready:
            return
        # The build finds its library beside the executable, so that it may be moved when it is done.
        partial = Path(f"{target}.partial.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        begun = time.monotonic()
        try:
            with open(f"{target}.log", "w", encoding="utf-8") as own:
                _make(build, partial, own)
            (partial / ".complete").write_text(f"{time.monotonic() - begun:.0f}\n", encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        log.write(f"built CPython {build.name} in {time.monotonic() - begun:.0f} s\n")
        log.flush()


def prepare_all(log, slow=False) -> None:
    for build in BUILDS:
        if build.slow and not slow:
            continue
        try:
            prepare(build, log)
        except (OSError, subprocess.SubprocessError) as error:
            _failures[build.name] = str(error)
            log.write(f"not obtained: CPython {build.name}: {error}; see {build.folder}.log\n")
