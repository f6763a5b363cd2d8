"""A Go toolchain that is new enough for the servers and readers that tests build.

Debian 12's own Go is old; it can still fetch a newer one, which Go publishes as a module.
"""
import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from lib.places import cache

TOOLCHAIN = "go1.26.8"


def _version(go) -> tuple:
    try:
        text = subprocess.run([go, "version"], capture_output=True, text=True, timeout=60, check=True,
                              cwd="/", env=dict(os.environ, GOTOOLCHAIN="local")).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _any() -> str:
    for go in (shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"):
        if go and os.access(go, os.X_OK):
            return go
    raise OSError("no Go here: apt-get install golang-go")


def environment(**extra) -> dict:
    """Environment of a Go command; a toolchain in the module cache is writable, so that caches can be removed."""
    env = dict(os.environ, GOFLAGS="-modcacherw -buildvcs=false")
    env.setdefault("GOPATH", str(cache() / "gopath"))
    env.setdefault("GOCACHE", str(cache() / "gobuild"))
    env.setdefault("HOME", str(cache()))
    env.update(extra)
    return env


def download(module: str) -> Path:
    """Folder of a module (path@version), fetched by whatever Go is here."""
    done = subprocess.run([_any(), "mod", "download", "-json", module], capture_output=True, text=True, timeout=1200,
                          check=False, cwd="/", env=environment(GO111MODULE="on"))
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if not answer.get("Dir"):
        raise OSError(f"go mod download {module}: {answer.get('Error') or done.stderr.strip()[-400:]}")
    return Path(answer["Dir"])


@functools.lru_cache(maxsize=None)
def command() -> str:
    """Path of a `go` of at least 1.25; an older one fetches it once into the cache."""
    go = _any()
    if _version(go) >= (1, 25):
        return go
    target = cache() / f"toolchain-{TOOLCHAIN}"
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".complete").exists():
            source = download(f"golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-amd64")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
            for tool in [*(target / "bin").iterdir(), *(target / "pkg" / "tool").rglob("*")]:
                if tool.is_file():
                    tool.chmod(0o755)
            (target / ".complete").touch()
    return str(target / "bin" / "go")
