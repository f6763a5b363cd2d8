"""Profiles sent to Pyroscope: the real server where $PYSTROBE_TEST_PYROSCOPE names one, and always our receiver."""
import pytest

import servers
from lib.waiting import wait_until

MADE = {f"Shop.step_{n}": 10_000_000 * (n % 5 + 1) for n in range(10)}


@pytest.fixture(scope="module", params=["receiver", "server"])
def backend(request):
    if request.param == "receiver":
        with servers.start_receiver() as started:
            yield started
        return
    binary = servers.pyroscope_binary()
    if not binary:
        pytest.skip("not run: no Pyroscope server given (PYSTROBE_TEST_PYROSCOPE)")
    with servers.start_pyroscope(binary) as started:
        yield started


@pytest.mark.parametrize("mode", ["cpu", "wall", "gil"])
def test_functions_shares_and_labels_come_back(backend, push, mode):
    service = f"shop-{mode}"
    result = push(backend.exporter(external_labels={"cluster": "test"}), "--label", f"service_name={service}",
                  "--label", "namespace=web", f"made:3:10:{mode}")
    assert result.exporters["pyroscope"]["delivered"] == 1
    wait_until(lambda: backend.functions(service, mode), what="the profile to be queryable")
    functions = backend.functions(service, mode)
    assert {name: functions[name][0] for name in MADE} == {name: 3 * value for name, value in MADE.items()}
    assert functions["<module>"] == (0, 3 * sum(MADE.values()))
    assert {"service_name", "namespace", "cluster"} <= backend.labels(service, mode)


def test_200_named_threads_are_one_series(backend, push):
    result = push(backend.exporter(), "--label", "service_name=threads", "made:200:10:cpu")
    assert result.exporters["pyroscope"]["delivered"] == 1
    wait_until(lambda: backend.functions("threads", "cpu"), what="the profile to be queryable")
    assert backend.series("threads", "cpu") == 1
    assert "thread_name" not in backend.labels("threads", "cpu")
    functions = backend.functions("threads", "cpu")
    assert sum(own for own, _ in functions.values()) == 200 * sum(MADE.values())


def test_a_named_sample_label_is_sent_and_makes_series(backend, push):
    push(backend.exporter(sample_labels=["thread_name"]), "--label", "service_name=named", "made:5:2:cpu")
    wait_until(lambda: backend.functions("named", "cpu"), what="the profile to be queryable")
    assert backend.series("named", "cpu") == 5


def test_more_samples_than_the_server_takes_are_split(backend, push):
    result = push(backend.exporter(), "--label", "service_name=large", "made:1:40000:cpu")
    assert result.exporters["pyroscope"]["delivered"] == 1, result.exporters
    total = 20000 * 10_000_000 * 6
    wait_until(lambda: backend.functions("large", "cpu").get("<module>", (0, 0))[1] == total,
               what="all 40,000 samples to be queryable")


def test_an_hour_old_profile_is_given_up_by_name(backend, push):
    result = push(backend.exporter(), "--age", 3700, "--label", "service_name=old", "made:1:2:cpu")
    assert result.dropped() == {"too_old": 1}
    assert backend.functions("old", "cpu") == {}


def test_what_the_server_refuses_is_given_up_once_and_the_next_is_sent(backend, push):
    future = push(backend.exporter(), "--age", -3600, "--label", "service_name=future", "made:1:2:cpu")
    assert future.dropped() == {"status_400": 1}
    assert future.retried() == {}
    assert "status 400" in future.exporters["pyroscope"]["last_error"]
    assert push(backend.exporter(), "--label", "service_name=next", "made:1:2:cpu").metric(
        "export_sent_profiles_total") == 1


def test_hostile_label_values_arrive_as_valid_text(backend, push):
    push(backend.exporter(), "--label", "service_name=böse/\"x\"", "--label", "app.kubernetes.io/name=a b", "made:1:2:cpu")
    wait_until(lambda: "app_kubernetes_io_name" in (backend.labels('böse/\\"x\\"', "cpu") or
                                                   backend.labels('böse/"x"', "cpu")), what="the labels")


def test_probe_reaches_it(backend, push):
    process = push.start(backend.exporter(), "--probe")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and out.startswith("pyroscope reached"), out


def test_the_tenant_is_made_of_labels(push):
    with servers.start_receiver(multitenant=True) as backend:
        push(backend.exporter(tenant="team-${namespace}"), "--label", "service_name=a", "--label", "namespace=x y/z",
             "made:1:2:cpu")
        assert [tenant for _, _, tenant in backend.inner.accepted] == ["team-x_y_z"]
        result = push(backend.exporter(tenant="team-${namespace}"), "--label", "service_name=a", "made:1:2:cpu")
        assert result.dropped() == {"no_tenant": 1}
        result = push(backend.exporter(), "--wait", 1, "--label", "service_name=a", "made:1:2:cpu")
        assert result.exporters["pyroscope"]["state"] == "failing"
        assert result.exporters["pyroscope"]["retry_in_s"] > 50, "a refused login is tried once a minute"
        assert result.retried().get("status_401")


def test_ids_are_sequential_and_the_types_are_named(push):
    with servers.start_receiver() as backend:
        push(backend.exporter(), "--label", "service_name=ids", "made:2:5:wall")
        (_, profile, _), = backend.inner.accepted
        assert profile.order["location"] == list(range(1, len(profile.order["location"]) + 1))
        assert profile.order["function"] == list(range(1, len(profile.order["function"]) + 1))
        assert profile.sample_types == [("samples", "count"), ("wall", "nanoseconds")]
        assert profile.period_type == ("wall", "nanoseconds")
        assert all(not labels for _, _, labels in profile.samples)
        path, headers = backend.inner.requests[0]
        assert path == "/push.v1.PusherService/Push"
        assert "Expect" not in headers and headers["User-Agent"].startswith("pystrobe/")
