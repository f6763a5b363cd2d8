"""python-build-standalone interpreters (python and libpython in one optimized executable), as Go modules carry them:
a file list with permissions and symbolic links beside gzip-compressed files."""
import fcntl
import gzip
import json
import os
import platform
import shutil
from pathlib import Path

from lib import golang
from lib.places import cache

MODULE = "github.com/kluctl/go-embed-python"
VERSIONS = ["v0.0.0-3.10.16-20241219-1", "v0.0.0-3.11.11-20241219-1", "v0.0.0-3.14.6-20260610-1"]
MODE_SYMLINK = 1 << 27
MODE_DIRECTORY = 1 << 31


def folder(version: str) -> Path:
    return cache() / f"standalone-{version}"


def interpreters():
    """Executables of the builds that are ready."""
    for version in VERSIONS:
        exe = folder(version) / "bin" / "python3"
        if (folder(version) / ".complete").exists() and exe.exists():
            yield str(exe)


def _unpack(data: Path, target: Path) -> None:
    rows = json.loads((data / "files.json").read_text(encoding="utf-8"))["files"]
    for row in rows:
        place = target / row["name"]
        if row["perm"] & MODE_DIRECTORY:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if row["perm"] & MODE_SYMLINK:
            place.symlink_to(row["symlink"])
            continue
        if row.get("compressed"):
            with gzip.open(data / (row["name"] + ".gz")) as packed, open(place, "wb") as out:
                shutil.copyfileobj(packed, out)
        else:
            shutil.copyfile(data / row["name"], place)
        place.chmod(row["perm"] & 0o777)


def prepare(version: str, log) -> None:
    target = folder(version)
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (target / ".complete").exists():
            return
        partial = Path(f"{target}.partial.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        log.write(f"unpacking {MODULE} {version}\n")
        try:
            module = golang.download(f"{MODULE}@{version}")
            _unpack(module / "python" / "internal" / "data" / "linux-amd64", partial)
            (partial / ".complete").touch()
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def prepare_all(log) -> None:
    if platform.machine() != "x86_64":
        return
    for version in VERSIONS:
        try:
            prepare(version, log)
        except OSError as error:
            log.write(f"not obtained: {MODULE} {version}: {error}\n")
