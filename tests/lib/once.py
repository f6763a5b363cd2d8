"""Things that are slow to make: each is made once, into a cache folder whose name says which version it is."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib import golang
from lib.places import cache


def digest(*files) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(Path(file).read_bytes())
    return whole.hexdigest()[:12]


def run(argv, cwd, **environment):
    """Runs a Go command; OSError with the end of its output when it fails."""
    done = subprocess.run([str(word) for word in argv], cwd=cwd, env=golang.environment(**environment), capture_output=True,
                          text=True, timeout=2400, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


def once(key, programs, build) -> Path:
    """cache/KEY with these programs; build(folder) makes them in a scratch folder; several callers at once are safe."""
    target = cache() / key
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((target / program).exists() for program in programs):
            return target
        shutil.rmtree(target, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{key}.", dir=cache()) as scratch:
            build(Path(scratch))
            partial = Path(f"{target}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for program in programs:
                os.rename(Path(scratch) / program, partial / program)
            partial.rename(target)
    return target
