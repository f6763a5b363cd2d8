"""Backends on the loopback, real ones and our own receiver, each as a context manager that waits until it answers.

    with servers.start_parca() as backend:
        config = backend.exporter()                     # one entry of `exporters:`
        ...
        backend.functions("shop", "cpu")                # {function: (self ns, total ns)}
        backend.labels("shop", "cpu")                   # {label name}
        backend.series("shop", "cpu")                   # how many series

`mode` is cpu, wall or gil. Reading back answers what is there now: wait with lib.waiting.wait_until.
"""
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import builds
import pprof
import receiver as receiver_module

from lib.waiting import wait_exit, wait_until

SERIES_NAME = {"cpu": "process_cpu", "wall": "wall", "gil": "gil"}


def pyroscope_binary():
    """Path of a Pyroscope server that somebody gave, or None."""
    return os.environ.get("PYSTROBE_TEST_PYROSCOPE") or None


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def get(url, body=None, headers=None, timeout=10):
    """(status, bytes); status 0 when nobody answers."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    request = urllib.request.Request(url, data=data, headers=headers or {})
    if isinstance(body, dict):
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, ValueError):
        return 0, b""


@contextlib.contextmanager
def running(name, argv, folder, ready, timeout):
    """A server process with its output in folder/NAME.log; ended by SIGTERM, then SIGKILL."""
    log = folder / f"{name}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen([str(word) for word in argv], cwd=folder, stdout=out, stderr=out,
                                   stdin=subprocess.DEVNULL)

    def is_ready():
        if process.poll() is not None:
            raise OSError(f"{name} ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
        return ready()

    try:
        try:
            wait_until(is_ready, timeout=timeout, what=f"{name} to answer", interval=0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{log.read_text(errors='replace')[-3000:]}") from late
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            wait_exit(process)


@contextlib.contextmanager
def _folder(name):
    path = Path(tempfile.mkdtemp(prefix=f"pystrobe-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- Parca ----

class Parca:
    kind = "parca"

    def __init__(self, port, host="127.0.0.1"):
        self.port, self.host, self.pid = port, host, None

    @contextlib.contextmanager
    def away(self):
        """Takes connections and answers nothing, until the end of the block."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def exporter(self, **more):
        return {"type": "parca", "url": f"http://{self.host}:{self.port}", **more}

    def otlp_exporter(self, **more):
        return {"type": "otlp", "protocol": "grpc", "url": f"http://{self.host}:{self.port}", **more}

    def api(self, path, **query):
        status, body = get(f"http://{self.host}:{self.port}/api/profiles/{path}?{urllib.parse.urlencode(query)}")
        return json.loads(body) if status == 200 else {}

    @staticmethod
    def _selector(service, mode, name, sample="nanoseconds", **match):
        kind = mode if sample == "nanoseconds" else "samples"
        unit = "nanoseconds" if sample == "nanoseconds" else "count"
        inside = ",".join(f'{key}="{value}"' for key, value in {"service_name": service, **match}.items())
        return f"{name}:{kind}:{unit}:{mode}:nanoseconds:delta{{{inside}}}"

    @staticmethod
    def _span(minutes=60):
        stamp = "%Y-%m-%dT%H:%M:%SZ"
        return (time.strftime(stamp, time.gmtime(time.time() - 60 * minutes)),
                time.strftime(stamp, time.gmtime(time.time() + 60)))

    def types(self):
        """Profile types, as NAME:SAMPLE:UNIT:PERIOD:UNIT:delta."""
        out = set()
        for each in self.api("types").get("types", []):
            out.add(":".join([each["name"], each["sampleType"], each["sampleUnit"], each["periodType"],
                              each["periodUnit"]] + (["delta"] if each.get("delta") else [])))
        return out

    def profile(self, service, mode, name=None, sample="nanoseconds", **match):
        """The merged pprof.Profile of a service, or None."""
        start, end = self._span()
        name = name or SERIES_NAME[mode]
        answer = self.api("query", **{
            "mode": "MODE_MERGE", "merge.query": self._selector(service, mode, name, sample, **match),
            "merge.start": start, "merge.end": end, "report_type": "REPORT_TYPE_PPROF"})
        return pprof.Profile(base64.b64decode(answer["pprof"])) if answer.get("pprof") else None

    def functions(self, service, mode, name=None, sample="nanoseconds", **match):
        profile = self.profile(service, mode, name, sample, **match)
        return profile.functions_of(0) if profile else {}

    def labels(self, service=None, mode=None):
        start, end = self._span()
        return set(self.api("labels", start=start, end=end).get("labelNames", []))

    def values(self, label):
        start, end = self._span()
        found = self.api(f"labels/{label}/values", label_name=label, start=start, end=end)
        return set(found.get("labelValues", []))

    def series(self, service, mode, name=None):
        """How many label sets the service has (each thread is one: Parca keeps sample labels as labels)."""
        start, end = self._span()
        name = name or SERIES_NAME[mode]
        answer = self.api("query_range", query=self._selector(service, mode, name), start=start, end=end)
        return len(answer.get("series", []))


@contextlib.contextmanager
def start_parca(host="127.0.0.1"):
    with _folder("parca") as folder:
        (port,) = free_ports(1)
        (folder / "parca.yaml").write_text(
            "object_storage: {bucket: {type: FILESYSTEM, config: {directory: ./data}}}\n", encoding="utf-8")
        backend = Parca(port, host)
        argv = [builds.parca(), "--config-path=parca.yaml", f"--http-address={host}:{port}",
                "--debuginfod-upstream-servers=", "--storage-active-memory=67108864", "--log-level=warn"]
        ready = lambda: get(f"http://{host}:{port}/api/profiles/types")[0] == 200  # noqa: E731
        with running("parca", argv, folder, ready, 60) as process:
            backend.pid = process.pid
            yield backend


# ---- OpenTelemetry Collector ----

class Collector:
    kind = "collector"

    def __init__(self, grpc_port, http_port, file, log):
        self.grpc_port, self.http_port, self.file, self.log = grpc_port, http_port, file, log

    def exporter(self, protocol="grpc", **more):
        port = self.grpc_port if protocol == "grpc" else self.http_port
        return {"type": "otlp", "protocol": protocol, "url": f"http://127.0.0.1:{port}", **more}

    def requests(self):
        """What the file exporter wrote: one JSON object a request."""
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def profiles(self, service, mode):
        """[(resource attributes, profile, dictionary)] of that service and mode."""
        out = []
        for request in self.requests():
            dictionary = request.get("dictionary", {})
            strings = dictionary.get("stringTable", [])
            for resource in request.get("resourceProfiles", []):
                attributes = {_key(each, strings): _any(each["value"], strings)
                              for each in resource.get("resource", {}).get("attributes", [])}
                for scope in resource.get("scopeProfiles", []):
                    for profile in scope.get("profiles", []):
                        kind = strings[int(profile["sampleType"].get("typeStrindex", 0))]
                        if attributes.get("service.name") == service and kind == mode:
                            out.append((attributes, profile, dictionary))
        return out

    def functions(self, service, mode):
        out = {}
        for _, profile, dictionary in self.profiles(service, mode):
            for frames, value, _ in _otlp_samples(profile, dictionary):
                for depth, name in enumerate(frames):
                    own, total = out.get(name, (0, 0))
                    out[name] = (own + (value if depth == 0 else 0),
                                 total + (value if name not in frames[:depth] else 0))
        return out

    def labels(self, service, mode):
        return set().union(*(attributes for attributes, _, _ in self.profiles(service, mode)))

    def series(self, service, mode):
        """Distinct resources of the service: sample attributes are no part of them."""
        return len({json.dumps(attributes, sort_keys=True) for attributes, _, _ in self.profiles(service, mode)})

    def sample_attributes(self, service, mode):
        """{attribute: {values}} over all samples."""
        out = {}
        for _, profile, dictionary in self.profiles(service, mode):
            for _, _, attributes in _otlp_samples(profile, dictionary):
                for key, value in attributes.items():
                    out.setdefault(key, set()).add(value)
        return out


def _key(pair, strings):
    """The collector itself writes references to the string table where we send text."""
    return pair["key"] if "key" in pair else strings[pair["keyStrindex"]]


def _any(value, strings):
    if "intValue" in value:
        return int(value["intValue"])
    if "stringValueStrindex" in value:
        return strings[value["stringValueStrindex"]]
    return value.get("stringValue", value.get("boolValue"))


def _otlp_samples(profile, dictionary):
    """(function names leaf first, value, attributes) of each sample."""
    strings, stacks = dictionary["stringTable"], dictionary["stackTable"]
    locations, functions = dictionary["locationTable"], dictionary["functionTable"]
    for sample in profile.get("samples", []):
        stack = stacks[sample.get("stackIndex", 0)]
        frames = []
        for index in stack.get("locationIndices", []):
            for line in locations[index].get("lines", []):
                frames.append(strings[functions[line.get("functionIndex", 0)].get("nameStrindex", 0)])
        attributes = {}
        for index in sample.get("attributeIndices", []):
            attribute = dictionary["attributeTable"][index]
            attributes[strings[attribute.get("keyStrindex", 0)]] = _any(attribute["value"], strings)
        yield frames, sum(int(value) for value in sample.get("values", [])), attributes


@contextlib.contextmanager
def start_collector(receiver_options=""):
    """receiver_options: YAML lines added to the gRPC receiver."""
    with _folder("collector") as folder:
        grpc_port, http_port = free_ports(2)
        config = f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc_port}"{receiver_options}}}
      http: {{endpoint: "127.0.0.1:{http_port}"}}
exporters:
  debug: {{verbosity: basic}}
  file: {{path: {folder}/profiles.jsonl, flush_interval: 100ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    profiles: {{receivers: [otlp], exporters: [debug, file]}}
"""
        (folder / "collector.yaml").write_text(config, encoding="utf-8")
        backend = Collector(grpc_port, http_port, folder / "profiles.jsonl", folder / "collector.log")
        argv = [builds.collector(), "--config=collector.yaml", "--feature-gates=service.profilesSupport"]
        url = f"http://127.0.0.1:{http_port}/v1development/profiles"
        with running("collector", argv, folder, lambda: get(url, {})[0] == 200, 60):
            yield backend


# ---- Pyroscope ----

class Pyroscope:
    """The real server."""
    kind = "pyroscope"

    def __init__(self, port):
        self.port = port

    def exporter(self, **more):
        return {"type": "pyroscope", "url": f"http://127.0.0.1:{self.port}", **more}

    def otlp_exporter(self, protocol, **more):
        path = "" if protocol == "grpc" else "/v1development/profiles"
        return {"type": "otlp", "protocol": protocol, "url": f"http://127.0.0.1:{self.port}{path}", **more}

    def api(self, method, **body):
        now = int(time.time() * 1000)
        whole = {"start": now - 3600_000, "end": now + 60_000, **body}
        status, answer = get(f"http://127.0.0.1:{self.port}/querier.v1.QuerierService/{method}", whole)
        return json.loads(answer) if status == 200 else {}

    def types(self):
        return {each["ID"] for each in self.api("ProfileTypes").get("profileTypes", [])}

    def functions(self, service, mode, name=None):
        kind = f"{name or SERIES_NAME[mode]}:{mode}:nanoseconds:{mode}:nanoseconds"
        answer = self.api("SelectMergeStacktraces", profileTypeID=kind,
                          labelSelector=f'{{service_name="{service}"}}', maxNodes=100000).get("flamegraph", {})
        names, out = answer.get("names", []), {}
        for level in answer.get("levels", []):
            values = [int(each) for each in level.get("values", [])]
            for at in range(0, len(values), 4):
                _, total, own, index = values[at:at + 4]
                before = out.get(names[index], (0, 0))
                out[names[index]] = (before[0] + own, before[1] + total)
        out.pop("total", None)
        return out

    def _series(self, service, mode):
        answer = self.api("Series", matchers=[f'{{service_name="{service}"}}'], labelNames=[])
        found = set()
        for each in answer.get("labelsSet", []):
            labels = {pair["name"]: pair["value"] for pair in each["labels"]}
            if labels.get("__name__") == SERIES_NAME[mode] and labels.get("__type__", mode) == mode:
                found.add(tuple(sorted(labels.items())))
        return found

    def labels(self, service, mode):
        return {name for labels in self._series(service, mode) for name, _ in labels}

    def series(self, service, mode):
        return len(self._series(service, mode))


def _pyroscope_flags(binary, http_port, ports):
    grpc_port, gossip_port, raft_port, admin_port = ports
    raft = f"127.0.0.1:{raft_port}"
    wanted = {
        "target": "all", "architecture.storage": "v2",
        "server.http-listen-address": "127.0.0.1", "server.http-listen-port": http_port,
        "server.grpc-listen-address": "127.0.0.1", "server.grpc-listen-port": grpc_port,
        "admin-server.http-listen-address": "127.0.0.1", "admin-server.http-listen-port": admin_port,
        "memberlist.bind-addr": "127.0.0.1", "memberlist.advertise-addr": "127.0.0.1",
        "memberlist.bind-port": gossip_port, "memberlist.advertise-port": gossip_port,
        "metastore.address": f"127.0.0.1:{grpc_port}", "query-backend.address": f"127.0.0.1:{grpc_port}",
        "metastore.raft.bind-address": raft, "metastore.raft.advertise-address": raft,
        "metastore.raft.server-id": raft,
        "metastore.min-ready-duration": "0s", "segment-writer.min-ready-duration": "0s",
        "segment-writer.lifecycler.addr": "127.0.0.1", "distributor.ring.instance-addr": "127.0.0.1",
        "query-frontend.instance-addr": "127.0.0.1", "query-scheduler.ring.instance-addr": "127.0.0.1",
        "overrides-exporter.ring.instance-addr": "127.0.0.1", "compactor.ring.instance-addr": "127.0.0.1",
        "store-gateway.sharding-ring.instance-addr": "127.0.0.1",
        "self-profiling.disable-push": "true", "usage-stats.enabled": "false",
    }
    # Flags differ between releases: those that this binary does not know are left out.
    known = subprocess.run([binary, "-help-all"], capture_output=True, text=True, timeout=60, check=False)
    text = known.stdout + known.stderr
    return [f"-{key}={value}" for key, value in wanted.items() if f"  -{key}" in text]


@contextlib.contextmanager
def start_pyroscope(binary):
    with _folder("pyroscope") as folder:
        http_port, *ports = free_ports(5)
        backend = Pyroscope(http_port)
        argv = [binary, *_pyroscope_flags(binary, http_port, ports)]
        with running("pyroscope", argv, folder, lambda: get(f"http://127.0.0.1:{http_port}/ready")[0] == 200, 180):
            yield backend


class Receiver:
    """Our own receiver, with the read-back of the real servers."""
    kind = "receiver"

    def __init__(self, inner, port):
        self.inner, self.port = inner, port

    def exporter(self, **more):
        return {"type": "pyroscope", "url": f"http://127.0.0.1:{self.port}", **more}

    def functions(self, service, mode):
        return self.inner.functions(service, SERIES_NAME[mode], mode)

    def labels(self, service, mode):
        return {name for labels in self.inner.series(service, SERIES_NAME[mode]) for name, _ in labels}

    def series(self, service, mode):
        return len(self.inner.series(service, SERIES_NAME[mode]))


@contextlib.contextmanager
def start_receiver(multitenant=False, delay=0, port=0):
    inner = receiver_module.Receiver(multitenant, delay)
    server, port = receiver_module.serve(inner, port)
    try:
        yield Receiver(inner, port)
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def start_pyroscope_or_receiver():
    """The real server where one is given, else our receiver; `.kind` says which."""
    with start_pyroscope(pyroscope_binary()) if pyroscope_binary() else start_receiver() as backend:
        yield backend
