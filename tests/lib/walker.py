"""The walker's own test programs, built beside the binary under test."""
import json
import subprocess

from lib import places
from lib.waiting import wait_until


def tool(name):
    path = places.binary().parent / "tests" / "targets" / "walker" / name
    assert path.exists(), f"{path} is not built: ./dev build"
    return str(path)


def run(name, *args, timeout=120):
    """Output of one of the programs; its failure is the test's."""
    done = subprocess.run([tool(name), *map(str, args)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{name} {args}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def dump(pid, count=1):
    return json.loads(run("walk_dump", pid, count))


def wait_for(path, process):
    """Waits for a file that a target writes, and fails at once when the target ended."""

    def there():
        assert process.poll() is None, f"the target ended with {process.returncode}"
        return path.exists()

    wait_until(there, timeout=60, what=str(path))
