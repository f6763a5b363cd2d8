"""Waiting on conditions, never on hope."""
import os
import time


def wait_until(condition, timeout=20.0, what="", interval=0.02):
    """Returns the first true value of condition(); raises AssertionError after timeout seconds.

    Under a sanitizer or a loaded machine PYSTROBE_SLOW multiplies the deadline.
    """
    deadline = time.monotonic() + timeout * float(os.environ.get("PYSTROBE_SLOW", "1"))
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            label = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"waited {timeout} s in vain for: {label}")
        time.sleep(interval)


def wait_exit(process, timeout=10.0):
    """Waits for a Popen to end and returns its status; kills it and fails when it does not."""
    try:
        return process.wait(timeout * float(os.environ.get("PYSTROBE_SLOW", "1")))
    except Exception as late:
        process.kill()
        process.wait()
        raise AssertionError(f"pid {process.pid} did not end within {timeout} s") from late
