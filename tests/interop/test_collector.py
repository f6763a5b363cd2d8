"""Profiles sent by OTLP to a real OpenTelemetry Collector, and read back from its file exporter."""
import pytest

import servers
from lib.waiting import wait_until

MADE = {f"Shop.step_{n}": 10_000_000 * (n % 5 + 1) for n in range(10)}
PROTOCOLS = ["grpc", "http/protobuf"]


@pytest.fixture(scope="module")
def collector():
    with servers.start_collector() as started:
        yield started


@pytest.mark.parametrize("mode", ["cpu", "wall", "gil"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_functions_shares_and_attributes_come_back(collector, push, protocol, mode):
    service = f"shop-{protocol.replace('/', '-')}-{mode}"
    result = push(collector.exporter(protocol, external_labels={"deployment.environment.name": "test"}),
                  "--label", f"service_name={service}", "--label", "namespace=web", "--label", "pod=shop-0",
                  "--label", "container=app", "--label", "node=n1", f"made:3:10:{mode}")
    assert result.exporters["otlp"]["delivered"] == 1, result.exporters
    functions = wait_until(lambda: collector.functions(service, mode), what="the collector's file")
    assert {name: functions[name][0] for name in MADE} == {name: 3 * value for name, value in MADE.items()}
    assert functions["<module>"] == (0, 3 * sum(MADE.values()))
    (attributes, profile, dictionary), = collector.profiles(service, mode)
    assert attributes["service.name"] == service
    assert attributes["service.namespace"] == "web"
    assert attributes["service.instance.id"] == "web.shop-0.app"
    assert attributes["k8s.namespace.name"] == "web" and attributes["k8s.pod.name"] == "shop-0"
    assert attributes["k8s.container.name"] == "app" and attributes["k8s.node.name"] == "n1"
    assert attributes["process.runtime.name"] == "cpython"
    assert attributes["deployment.environment.name"] == "test"
    assert collector.sample_attributes(service, mode)["thread.name"] == {"worker-0", "worker-1", "worker-2"}
    strings = dictionary["stringTable"]
    kind, unit = profile["sampleType"]["typeStrindex"], profile["sampleType"]["unitStrindex"]
    assert (strings[kind], strings[unit]) == (mode, "nanoseconds")
    assert profile["periodType"] == profile["sampleType"] and int(profile["period"]) == 10_000_000


def test_the_dictionary_has_the_shape_that_every_receiver_takes(collector, push):
    push(collector.exporter(sample_labels=["thread_name", "thread_id"]), "--label", "service_name=shape", "made:2:3:cpu")
    (_, profile, dictionary), = wait_until(lambda: collector.profiles("shape", "cpu"), what="the collector's file")
    assert dictionary["stringTable"][0] == ""
    assert len(set(dictionary["stringTable"])) == len(dictionary["stringTable"])
    for table in ("mappingTable", "locationTable", "functionTable", "linkTable", "attributeTable", "stackTable"):
        assert len(dictionary[table]) >= 1, table
    assert not dictionary["linkTable"][0].get("traceId") and not dictionary["linkTable"][0].get("spanId")
    assert all(len(sample["values"]) == 1 for sample in profile["samples"])
    assert not any(sample.get("timestampsUnixNano") for sample in profile["samples"])
    attributes = collector.sample_attributes("shape", "cpu")
    assert attributes == {"thread.name": {"worker-0", "worker-1"}, "thread.id": {1000, 1001}}
    frame_type = {dictionary["stringTable"][dictionary["attributeTable"][index]["keyStrindex"]]
                  for location in dictionary["locationTable"][1:] for index in location["attributeIndices"]}
    assert frame_type == {"profile.frame.type"}


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_compression_is_understood(collector, push, protocol, compression):
    service = f"{compression}-{protocol[:4]}"
    result = push(collector.exporter(protocol, compression=compression), "--label", f"service_name={service}",
                  "made:1:10:cpu")
    assert result.exporters["otlp"]["delivered"] == 1, result.exporters
    wait_until(lambda: collector.functions(service, "cpu"), what="the collector's file")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_profile_over_4_mib_is_split(collector, push, protocol):
    service = f"large-{protocol[:4]}"
    result = push(collector.exporter(protocol), "--label", f"service_name={service}", "made:1:60000:cpu")
    assert result.exporters["otlp"]["delivered"] == 1, result.exporters
    wait_until(lambda: collector.functions(service, "cpu").get("<module>") == (0, 20000 * 9 * 10_000_000),
               what="all 60,000 samples", timeout=40)
    assert len(collector.profiles(service, "cpu")) > 1
    ids = [profile["profileId"] for _, profile, _ in collector.profiles(service, "cpu")]
    assert len(set(ids)) == len(ids)


def test_200_named_threads_are_one_resource(collector, push):
    push(collector.exporter(), "--label", "service_name=threads", "made:200:2:cpu")
    wait_until(lambda: collector.functions("threads", "cpu"), what="the collector's file")
    assert collector.series("threads", "cpu") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_probe_reaches_it(collector, push, protocol):
    process = push.start(collector.exporter(protocol), "--probe")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and out.startswith("otlp reached"), out


def test_a_server_with_a_smaller_limit_gets_halves(push):
    with servers.start_collector(", max_recv_msg_size_mib: 1") as small:
        result = push(small.exporter(compression="none"), "--wait", 20, "--label", "service_name=small", "made:1:16000:cpu")
        assert result.exporters["otlp"]["delivered"] == 1, result.exporters


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_real_pyroscope_takes_it_too(push, protocol):
    binary = servers.pyroscope_binary()
    if not binary:
        pytest.skip("not run: no Pyroscope server given (PYSTROBE_TEST_PYROSCOPE)")
    with servers.start_pyroscope(binary) as pyroscope:
        result = push(pyroscope.otlp_exporter(protocol), "--label", "service_name=by-otlp", "made:3:10:cpu")
        assert result.exporters["otlp"]["delivered"] == 1, result.exporters
        functions = wait_until(lambda: pyroscope.functions("by-otlp", "cpu", name="cpu"), what="the profile")
        assert {name: functions[name][0] for name in MADE} == {name: 3 * value for name, value in MADE.items()}
