"""A backend that takes half a second for each answer: what is delivered meanwhile, and in which order."""
import time

import pytest

import servers
from lib import notes, pythons
from lib.waiting import wait_until

DELAY, WINDOW = 0.5, 15


@pytest.fixture
def slow():
    with servers.start_receiver(delay=DELAY) as backend:
        yield backend


def in_order(backend):
    """True when each series' profiles were accepted oldest first."""
    last = {}
    for labels, profile, _ in backend.inner.accepted:
        series = (labels["service_name"], labels["__name__"])
        if profile.time_nanos < last.get(series, 0):
            return False
        last[series] = profile.time_nanos
    return True


def test_500_series_in_two_modes_are_delivered_within_a_window(slow, push):
    result = push(slow.exporter(), "--wait", 10 * WINDOW, "--series", 500, "made:1:5:cpu", "made:1:5:wall", timeout=200)
    notes.note(f"1,000 profiles to a backend that takes {DELAY} s for each: {result.seconds:.1f} s, "
               f"{slow.inner.most_at_once} requests at once")
    assert result.exporters["pyroscope"]["delivered"] == 1000, result.exporters
    assert len(slow.inner.accepted) == 1000
    assert slow.inner.most_at_once <= 64
    # One after the other they take 500 s. A loaded machine gets another window.
    assert result.seconds < 2 * WINDOW


def test_profiles_of_a_series_stay_in_order(slow, push):
    result = push(slow.exporter(), "--repeat", 8, "--series", 12, "made:1:2:cpu", timeout=100)
    assert result.exporters["pyroscope"]["delivered"] == 96, result.exporters
    assert slow.inner.most_at_once > 4
    assert in_order(slow)


def test_an_agent_that_ends_delivers_the_last_windows_of_all_to_it(slow, agent, start_python):
    code = "import time\nwhile True:\n    sum(range(20000)); time.sleep(0.02)"
    for n in range(12):
        start_python(pythons.system_python(), "-c", code, env={"OTEL_SERVICE_NAME": f"busy-{n}"})
    running = agent({"sampling": {"hz": 19, "window": "4s"}}, exporters=[slow.exporter()])
    wait_until(lambda: len({labels["service_name"] for labels, _, _ in slow.inner.accepted}) >= 12, 60,
               "profiles of all twelve")
    started = time.monotonic()
    assert running.stop(timeout=15) == 0
    took = time.monotonic() - started
    notes.note(f"twelve services, a backend of {DELAY} s: ended in {took:.1f} s")
    assert took < 5.5
    kept = [labels for labels, _, _ in slow.inner.accepted if labels["service_name"].startswith("busy-")]
    assert len(kept) == len(list(running.profiles.glob("**/*busy-*"))), "each window's profile in both places"


def test_the_end_delivers_what_waits_within_its_time(slow, push):
    process = push.start(slow.exporter(), "--wait", 60, "--stop", 4, "--series", 100, "made:1:5:cpu")
    wait_until(lambda: slow.inner.requests, 20, "the first request")
    process.terminate()
    started = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert time.monotonic() - started < 6
    assert len(slow.inner.accepted) == 100
