"""Root file systems of other Debian suites in the cache: newer (and older) Pythons with their own libc.

They are entered with a private mount namespace and chroot, by exec alone, so that the pid stays the one that was
started. Without root a user namespace does the same.
"""
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from lib.places import cache

# The number is part of the cache's key: raise it when a recipe changes.
SUITES = {
    "sid": ("1", ["python3.15", "python3.14", "python3.13"]),
    "bullseye": ("2", ["python3.9", "python2.7"]),
    "bookworm": ("1", ["python3", "gunicorn"]),
}
# Only a place to install into and an image for containers: its Python is the machine's own.
PLACES = ("bookworm",)

ENTER = r"""
root=$1
shift
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1" || exit 125
    shift
done
shift
exec chroot "$root" "$@"
"""

_failures = {}


def folder(suite: str) -> Path:
    return cache() / f"rootfs-{suite}-{SUITES[suite][0]}"


def ready(suite: str) -> bool:
    return (folder(suite) / ".complete").exists()


def enter(root, binds=("/tmp",)) -> list:
    """The words to put in front of a command that shall run inside root, with these folders at the same paths."""
    words = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        words += ["--user", "--map-root-user"]
    folders = ["/proc", "/dev", *(str(bind) for bind in binds)]
    return words + ["--", "/bin/sh", "-c", ENTER, "sh", str(root), *folders, "--"]


def prepare(suite: str, log) -> Path:
    """Builds the root file system unless the cache has it; several callers at once are safe."""
    target = folder(suite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(str(target) + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready(suite):
            return target
        partial = Path(f"{target}.partial.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        log.write(f"making the {suite} root file system in {target}\n")
        log.flush()
        archive = f"{partial}.tar"
        command = ["mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\"",
                   "--include=" + ",".join(SUITES[suite][1]), suite, archive]
        try:
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=1200, check=False)
            if done.returncode != 0:
                raise OSError(f"mmdebstrap {suite} ended with {done.returncode}")
            partial.mkdir(parents=True)
            subprocess.run(["tar", "-C", str(partial), "--exclude=./dev/*", "-xf", archive], check=True)
            (partial / ".complete").touch()
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        finally:
            if os.path.exists(archive):
                os.unlink(archive)
            shutil.rmtree(partial, ignore_errors=True)
        return target


def prepare_all(log) -> None:
    for suite in SUITES:
        try:
            prepare(suite, log)
        except (OSError, subprocess.SubprocessError) as error:
            _failures[suite] = str(error)
            log.write(f"not obtained: {suite}: {error}\n")


def interpreters():
    """(source, executable inside, root) of every Python in the suites that are ready."""
    for suite in SUITES:
        if suite in PLACES or not ready(suite):
            continue
        root = folder(suite)
        for exe in sorted((root / "usr/bin").glob("python[23].*")):
            if exe.name[len("python3."):].isdigit():
                yield suite, f"/usr/bin/{exe.name}", str(root)


def why_missing() -> str:
    missing = [suite for suite in SUITES if not ready(suite)]
    if not missing:
        return "neither the machine nor a package registry has one"
    return "; ".join(f"{suite}: {_failures.get(suite, 'not prepared')}" for suite in missing)
