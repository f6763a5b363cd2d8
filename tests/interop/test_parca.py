"""Profiles sent to a real Parca server over h2c, and read back through its query API."""
import pytest

import servers
from lib.waiting import wait_until

MADE = {f"Shop.step_{n}": 10_000_000 * (n % 5 + 1) for n in range(10)}


@pytest.fixture(scope="module")
def parca():
    with servers.start_parca() as started:
        yield started


def read_back(parca, service, mode, **more):
    return wait_until(lambda: parca.functions(service, mode, **more), what=f"Parca to show {service}", interval=0.2)


@pytest.mark.parametrize("mode", ["cpu", "wall", "gil"])
def test_functions_shares_and_labels_come_back(parca, push, mode):
    result = push(parca.exporter(external_labels={"cluster": "test"}), "--label", f"service_name=shop-{mode}",
                  "--label", "namespace=web", f"made:3:10:{mode}")
    assert result.exporters["parca"]["delivered"] == 1, result.exporters
    functions = read_back(parca, f"shop-{mode}", mode)
    assert {name: functions[name][0] for name in MADE} == {name: 3 * value for name, value in MADE.items()}
    assert functions["<module>"] == (0, 3 * sum(MADE.values()))
    assert {"service_name", "namespace", "cluster"} <= parca.labels()
    assert f"{servers.SERIES_NAME[mode]}:{mode}:nanoseconds:{mode}:nanoseconds:delta" in parca.types()


@pytest.mark.parametrize("labels", [{}, {"sample_labels": []}], ids=["default", "none"])
def test_200_named_threads_are_one_series(parca, push, labels):
    service = f"threads-{len(labels)}"
    push(parca.exporter(**labels), "--label", f"service_name={service}", "made:200:10:cpu")
    read_back(parca, service, "cpu")
    assert parca.series(service, "cpu") == 1
    assert parca.functions(service, "cpu")["<module>"] == (0, 200 * sum(MADE.values()))


def test_thread_names_can_be_asked_for_when_sent_by_otlp(parca, push):
    """WriteRaw's sample labels are dropped by this server (pkg/normalizer, ColumnLabels); OTLP's are kept."""
    push(parca.otlp_exporter(), "--label", "service_name=threads-otlp", "made:4:10:cpu")
    wait_until(lambda: {f"worker-{n}" for n in range(4)} <= parca.values("thread_name"), what="the threads' names")
    one = parca.functions("threads-otlp", "cpu", name="pystrobe", thread_name="worker-2")
    assert one["<module>"] == (0, sum(MADE.values()))


def test_one_connection_carries_many_profiles(parca, push):
    result = push(parca.exporter(), "--label", "service_name=many", "--repeat", 50, "made:1:10:cpu")
    assert result.exporters["parca"]["delivered"] == 50, result.exporters
    assert result.retried() == {}
    wait_until(lambda: parca.functions("many", "cpu").get("<module>") == (0, 50 * sum(MADE.values())),
               what="all 50 profiles")


def test_a_large_profile_passes_flow_control(parca, push):
    result = push(parca.exporter(), "--label", "service_name=large", "made:1:60000:cpu")
    assert result.exporters["parca"]["delivered"] == 1, result.exporters
    wait_until(lambda: parca.functions("large", "cpu").get("<module>") == (0, 20000 * 9 * 10_000_000),
               what="all 60,000 samples", timeout=40)


def test_otlp_is_read_with_the_same_shares(parca, push):
    result = push(parca.otlp_exporter(), "--label", "service_name=by-otlp", "made:3:10:cpu")
    assert result.exporters["otlp"]["delivered"] == 1, result.exporters
    functions = wait_until(lambda: parca.functions("by-otlp", "cpu", name="pystrobe"),
                           what="Parca to show the profile")
    assert {name: functions[name][0] for name in MADE} == {name: 3 * value for name, value in MADE.items()}


def test_probe_reaches_it(parca, push):
    process = push.start(parca.exporter(), "--probe")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and out.startswith("parca reached"), out
