"""Where the tests find the binary, the repository and the caches."""
import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
REPOSITORY = TESTS.parent


def binary() -> Path:
    """The pystrobe under test: $PYSTROBE_BIN, else the release build."""
    named = os.environ.get("PYSTROBE_BIN")
    path = Path(named) if named else REPOSITORY / "build" / "release" / "pystrobe"
    return path if path.is_absolute() else REPOSITORY / path


def cache() -> Path:
    """Folder for heavy things that outlive one run, each under its own KEY-VERSION."""
    named = os.environ.get("PYSTROBE_CACHE")
    if not named:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        named = os.path.join(base, "pystrobe")
    path = Path(named)
    path.mkdir(parents=True, exist_ok=True)
    return path


def sanitized() -> bool:
    """Whether the binary under test is a sanitizer build (slower, other limits)."""
    return binary().parent.name in ("asan", "tsan")
