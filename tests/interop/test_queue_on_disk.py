"""A backend that is down, a daemon that is killed, an agent that is started again: nothing that waited is lost."""
import contextlib
import os
import signal
import time

import pprof
import pytest

import servers
from lib import pythons
from lib.agent import free_port
from lib.waiting import wait_until

SERVICES = ("kept-a", "kept-b", "kept-c")
# What the queue was given in its last second may not have been written; a window's end is told a moment after it.
UNWRITTEN_NS = 3_000_000_000


@pytest.fixture
def busy(start_python):
    code = "import time\nwhile True:\n    sum(range(20000)); time.sleep(0.02)"
    for service in SERVICES:
        start_python(pythons.system_python(), "-c", code, env={"OTEL_SERVICE_NAME": service})


def exporter(port):
    retry = {"initial_interval": "100ms", "max_interval": "300ms"}
    return {"type": "pyroscope", "name": "down", "url": f"http://127.0.0.1:{port}", "retry_on_failure": retry}


def written(running):
    """{(service, period type, start): end} of the files that were delivered meanwhile."""
    found = {}
    for service in SERVICES:
        for path in running.profiles.glob(f"**/*{service}*"):
            profile = pprof.Profile(path.read_bytes())
            found[service, profile.period_type[0], profile.time_nanos] = profile.time_nanos + profile.duration_nanos
    return found


def accepted(backend):
    return [(labels["service_name"], profile.period_type[0], profile.time_nanos)
            for labels, profile, _ in backend.inner.accepted if labels["service_name"] in SERVICES]


def daemon_of(running):
    for child in open(f"/proc/{running.pid}/task/{running.pid}/children", encoding="ascii").read().split():
        with contextlib.suppress(OSError):  # it may end meanwhile
            if b"__daemon" in open(f"/proc/{child}/cmdline", "rb").read():
                return int(child)
    return None


def test_over_a_killed_daemon_and_a_new_agent_what_waited_is_delivered_once(agent, busy, tmp_path):
    port = free_port()
    running = agent({"sampling": {"window": "2s"}}, exporters=[exporter(port)], folder=tmp_path / "one")
    wait_until(lambda: len(written(running)) >= 12, 60, "two windows of each")
    first = wait_until(lambda: daemon_of(running), 10, "the daemon")
    os.kill(first, signal.SIGKILL)
    killed_ns = time.time_ns()
    before = len(written(running))
    wait_until(lambda: daemon_of(running) not in (None, first), 10, "a new daemon")
    wait_until(lambda: len(written(running)) >= before + 12, 60, "two more windows of each")
    assert running.metric("pystrobe_queue_profiles", endpoint="down") >= before
    assert running.metric("pystrobe_queue_degraded", endpoint="down") == 0
    assert running.stop() == 0

    expected = written(running)
    again = agent({"sampling": {"window": "2s"}}, exporters=[exporter(port)], folder=tmp_path / "one")
    with servers.start_receiver(port=port) as backend:
        must = {key for key, end in expected.items() if not killed_ns - UNWRITTEN_NS < end < killed_ns + UNWRITTEN_NS}
        wait_until(lambda: must <= set(accepted(backend)), 40, "all that waited")
        assert again.stop() == 0
        found = accepted(backend)
        assert len(found) == len(set(found)), "once each"
        order = {}
        for service, kind, start in found:
            assert start > order.get((service, kind), 0), "in order"
            order[service, kind] = start


def test_without_a_folder_to_write_to_the_queue_is_in_memory_and_says_so(agent, busy, tmp_path):
    port = free_port()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be", encoding="utf-8")
    running = agent({"spool": {"directory": str(blocked)}}, exporters=[exporter(port)])
    wait_until(lambda: running.get("/readyz")[0] == 200 and
               running.metric("pystrobe_queue_degraded", endpoint="down") == 1, 30, "the queue to say so")
    assert "the queue is not on disk" in running.get("/readyz")[1]
    with servers.start_receiver(port=port) as backend:
        wait_until(lambda: len(accepted(backend)) >= 6, 40, "profiles of all three")
    assert running.stop() == 0
