"""Root file systems of 64-bit ARM for building there from here: Debian's packages, unpacked into the cache and not installed.

    tools/cross.py     prints the folder with the development packages
"""
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Raise it when a list below changes.
RECIPE = "2"
SUITE = "bookworm"
TRIPLE = "aarch64-linux-gnu"
# libbz2-dev is for the static file alone, python3.11 for the machine of ./dev test-aarch64.
DEVELOPMENT = """libbz2-dev libc6-dev libcap-dev libcmocka-dev libcurl4-openssl-dev libdw-dev libelf-dev libiberty-dev libjansson-dev
libmicrohttpd-dev libncurses-dev libnghttp2-dev libpcre2-dev libprotobuf-c-dev libseccomp-dev libsqlite3-dev libssl-dev
libunwind-dev libxxhash-dev libyaml-dev libzstd-dev zlib1g-dev python3.11""".split()


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("PYSTROBE_CACHE") or os.path.join(home, "pystrobe"))


def unpacked(name, packages) -> Path:
    """These packages and what they need; several callers at once are safe."""
    target = cache() / f"aarch64-{name}-{RECIPE}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            subprocess.run(["mmdebstrap", "--variant=extract", "--architectures=arm64", '--aptopt=Acquire::Check-Valid-Until "false"',
                            "--include=" + ",".join(packages), SUITE, target], check=True, timeout=1200, stdout=sys.stderr)
            (target / ".complete").touch()
    return target


def sysroot() -> Path:
    return unpacked("sysroot", DEVELOPMENT)


if __name__ == "__main__":
    try:
        print(sysroot())
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"packages of 64-bit ARM: {error}")
