"""The whole way: a gunicorn application with four workers, the agent, and every backend read back."""
import contextlib

import pytest

import servers
from lib import notes, places, pythons
from lib.agent import free_port
from lib.load import requests
from lib.waiting import wait_until

SERVICE = "web-under-test"
FUNCTIONS = ("price_basket", "render_page")


@pytest.fixture(scope="module")
def backends():
    """The real Parca, the real collector, and Pyroscope or our receiver of its protocol, all at once."""
    with contextlib.ExitStack() as stack:
        yield {
            "parca": stack.enter_context(servers.start_parca()),
            "collector": stack.enter_context(servers.start_collector()),
            "pyroscope": stack.enter_context(servers.start_pyroscope_or_receiver()),
        }


@pytest.fixture
def web(processes):
    """gunicorn -w 4 with a steady load on it; its master's pid."""
    port = free_port()
    python = pythons.system_python()
    master = processes(
        [python.exe, "-m", "gunicorn", "-w", "4", "-b", f"127.0.0.1:{port}", "--chdir", places.TESTS / "workloads",
         "webapp:application"], env=python.environment(OTEL_SERVICE_NAME=SERVICE))
    with requests() as load:
        for _ in range(4):
            load(f"http://127.0.0.1:{port}/")
        yield master


def file_totals(running, mode):
    """function -> (self, total) over all files of the service."""
    own, total = {}, {}
    for profile in running.read_profiles(mode):
        if not any(frame.file.endswith("webapp.py") for sample in profile.samples for frame in sample.stack):
            continue
        for name, value in profile.by_leaf().items():
            own[name] = own.get(name, 0) + value
        for name, value in profile.by_function().items():
            total[name] = total.get(name, 0) + value
    return {name: (own.get(name, 0), value) for name, value in total.items()}


def read_whole(backend, expected, name):
    """What the backend shows, once it shows as much as was sent."""
    seen = {}

    def whole():
        seen.update(backend.functions(SERVICE, "cpu"))
        return seen if seen.get("price_basket", (0, 0))[1] >= expected["price_basket"][1] * 0.999 else None

    try:
        return wait_until(whole, 40, f"{name} to show all of it", interval=0.5)
    except AssertionError as late:
        raise AssertionError(f"{late}: {seen.get('price_basket')} of {expected['price_basket']} among {sorted(seen)[:40]}") from None


def test_four_gunicorn_workers_are_one_service_with_equal_flame_graphs_everywhere(agent, web, backends):
    exporters = [backends["parca"].exporter(), backends["pyroscope"].exporter(),
                 dict(backends["collector"].exporter("grpc"), name="otlp-grpc")]
    running = agent({"sampling": {"hz": 97, "window": "3s"}}, exporters=exporters)
    running.wait_ready()
    rows = wait_until(lambda: [row for row in running.targets() if row["service"] == SERVICE and row["state"] == "active"]
                      if len(running.targets()) >= 5 else None, 30, "the master and its workers")
    assert web.pid in {row["pid"] for row in rows}
    wait_until(lambda: file_totals(running, "cpu").get("price_basket", (0, 0))[1] > 1_000_000_000, 60,
               "a second of CPU in the application")
    assert running.stop(timeout=15) == 0

    expected = file_totals(running, "cpu")
    share = expected["price_basket"][0] / sum(expected[name][0] for name in FUNCTIONS)
    notes.note(f"gunicorn with four workers: price_basket {share:.3f} of 0.6; "
               f"Pyroscope checked by {getattr(backends['pyroscope'], 'kind', 'a receiver')}")
    assert share == pytest.approx(0.6, abs=0.06)

    for name in ("parca", "pyroscope", "collector"):
        found = read_whole(backends[name], expected, name)
        for function in FUNCTIONS + ("application",):
            assert found[function][1] == pytest.approx(expected[function][1], rel=0.001), (name, function)
        assert backends[name].series(SERVICE, "cpu") == 1, f"{name}: four workers are one series"


def test_wall_time_reaches_the_backends_too(backends):
    for name in ("parca", "pyroscope", "collector"):
        found = wait_until(lambda: backends[name].functions(SERVICE, "wall"), 20, f"{name} to show wall time", interval=0.5)
        assert found["fetch_stock"][1] > 0, name
