"""The real py-spy, for side-by-side runs: its wheel from PyPI, unpacked once into the cache. `python3 pyspy.py` does so
ahead of the tests."""
import fcntl
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.places import cache  # noqa: E402

VERSION = "0.4.3"


def executable() -> Path:
    """Path of py-spy; raises when it cannot be had."""
    folder = cache() / f"py-spy-{VERSION}"
    exe = folder / "bin" / "py-spy"
    with open(f"{folder}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not exe.exists():
            subprocess.run(["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                            "--target", str(folder), f"py-spy=={VERSION}"], check=True, timeout=600)
    return exe


if __name__ == "__main__":
    print(executable())
