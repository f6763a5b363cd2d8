"""Labels from a kubelet or an API server, faults of both, annotations: a fake server and real processes in a pod's cgroup."""
import json
import subprocess
import time

import pytest

from lib import kube
from lib.kube import TOKEN, pods, row_of, settings, wait_labels
from lib.waiting import wait_exit, wait_until

pytestmark = pytest.mark.skipif(not kube.can_make_cgroups(), reason="this machine lets nobody make a cgroup")


def why(agent, process):
    """What `ps --why` says; on a busy machine it may not wait long enough for a server."""
    return subprocess.run([str(agent.process.args[0]), "ps", "--config", str(agent.config), "--why", str(process.pid)],
                          capture_output=True, text=True, timeout=60, check=True).stdout


def wait_scanned(agent):
    """Until a scan that began after now has ended."""
    for _ in range(2):
        last = agent.metric("pystrobe_discovery_duration_seconds")
        wait_until(lambda last=last: agent.metric("pystrobe_discovery_duration_seconds") != last, 20, "a scan")


def test_the_kubelet_names_pods_and_windows_wait_for_it(agent, authority, account, in_pod):
    process, cgroup = in_pod()
    told = []

    def answer(path, token):
        if path != "/pods" or token != f"Bearer {TOKEN}":
            return 401, b""
        return 200, pods(*told)

    with kube.Server(authority.good, answer) as kubelet:
        with agent(settings(account, process, kubelet=kubelet.url)) as one:
            wait_until(lambda: (row_of(one, process.pid) or {}).get("samples", 0) > 0, 30, "samples")
            assert not list(one.profiles.glob("*.pb.gz"))  # nothing goes without its labels
            told.append(kube.pod("web-5d8f7-abc", cgroup.id, labels={"pod-template-hash": "5d8f7", "app.x/tier": "front"}))
            row = wait_labels(one, process.pid, service_name="web", namespace="shop", pod="web-5d8f7-abc", container="web", node="node-1")
            before = row["labels_before"]
            assert before["__meta_kubernetes_pod_label_app_x_tier"] == "front"
            assert before["__meta_kubernetes_pod_labelpresent_app_x_tier"] == "true"
            assert before["__meta_kubernetes_pod_controller_kind"] == "ReplicaSet"
            assert before["__meta_kubernetes_pod_controller_name"] == "web-5d8f7"
            assert 'service_name="web" from kubernetes: Deployment' in row["why"]
            wait_until(lambda: list(one.profiles.glob("*.pb.gz")), 30, "the windows that were held")
            assert all(path.name.startswith("web_") for path in one.profiles.glob("*.pb.gz"))
            assert one.metrics()['pystrobe_k8s_requests_total{source="kubelet",code="200"}'] >= 1
            told.clear()  # a pod that is gone keeps its labels
            asked = len(kubelet.requests)
            new, _ = in_pod(meanwhile=lambda: wait_scanned(one))  # a scan knows it as the shell that it was
            wait_until(lambda: len(kubelet.requests) > asked, 30, "a question for the new container")
            assert row_of(one, process.pid)["labels_after"]["pod"] == "web-5d8f7-abc"
            row = wait_until(lambda: row_of(one, new.pid), 30, "the new container's row")
            assert row["labels_before"].get("__meta_kubernetes_pod_name") is None


def test_a_kubelet_that_cannot_be_verified_gets_no_token(agent, authority, account, in_pod):
    process, cgroup = in_pod()
    job = kube.pod("report-29401140-x", cgroup.id, owner=("Job", "report-29401140"), labels={})
    job["metadata"]["creationTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(29401140 * 60 + 5))
    with kube.Server(authority.stranger, lambda *_: (200, pods())) as kubelet:
        with kube.Server(authority.good, lambda path, token: (200, pods(job))) as api:
            with agent(settings(account, process, kubelet=kubelet.url, api=api.url)) as one:
                row = wait_labels(one, process.pid, service_name="report", namespace="shop")
                assert row["labels_before"]["__meta_kubernetes_pod_cronjob_name"] == "report"
                assert "pods are read from the API server instead" in one.output()
            assert kubelet.requests == []
            path, token = api.requests[0]
            assert path.startswith("/api/v1/pods?") and "fieldSelector=spec.nodeName%3Dnode-1" in path and token == f"Bearer {TOKEN}"


def test_a_kubelet_that_cannot_be_verified_gets_the_token_where_a_person_said_so(agent, authority, account, in_pod):
    process, cgroup = in_pod()
    with kube.Server(authority.stranger, lambda *_: (200, pods(kube.pod("web-5d8f7-abc", cgroup.id)))) as kubelet:
        with agent(settings(account, process, kubelet={"url": kubelet.url, "insecure_skip_verify": True})) as one:
            wait_labels(one, process.pid, pod="web-5d8f7-abc")
        assert kubelet.requests[0] == ("/pods", f"Bearer {TOKEN}")


def test_a_token_that_has_expired_is_read_anew_once_it_is_renewed(agent, authority, account, in_pod):
    process, cgroup = in_pod()
    (account / "token").write_text("expired", encoding="utf-8")

    def answer(path, token):
        return (200, pods(kube.pod("web-5d8f7-abc", cgroup.id))) if token == "Bearer renewed" else (401, b"Unauthorized")

    with kube.Server(authority.good, answer) as kubelet:
        with agent(settings(account, process, kubelet=kubelet.url)) as one:
            wait_until(lambda: len(kubelet.requests) >= 2, 30, "questions with the expired token")
            fresh = account / "token.new"
            fresh.write_text("renewed", encoding="utf-8")
            fresh.rename(account / "token")  # as the kubelet replaces it
            wait_labels(one, process.pid, pod="web-5d8f7-abc")
            assert "the token is missing or expired" in one.output() and "kubernetes answers again" in one.output()
            assert {token for _, token in kubelet.requests} == {"Bearer expired", "Bearer renewed"}


def test_a_container_that_an_engine_inside_of_a_pod_made_is_that_pods(agent, authority, account, in_pod):
    inner = "ab" * 32
    process, cgroup = in_pod(inside=inner)
    with kube.Server(authority.good, lambda *_: (200, pods(kube.pod("runner-1", cgroup.id)))) as kubelet:
        with agent(settings(account, process, kubelet=kubelet.url)) as one:
            row = wait_labels(one, process.pid, service_name="web", namespace="shop", pod="runner-1", container="web", node="node-1")
            assert row["labels_before"]["__container_id__"] == inner
            one.write_config(settings(account, process, kubelet=kubelet.url, exclude_namespaces=["shop"]))
            wait_until(lambda: (row_of(one, process.pid) or {}).get("reason") == "namespace", 30, "the namespace to be left out")


def test_annotations_choose_and_set_the_rate(agent, authority, account, in_pod):
    off, off_cgroup = in_pod()
    fast, fast_cgroup = in_pod()
    side, side_cgroup = in_pod()
    items = [
        kube.pod("off", off_cgroup.id, annotations={"pystrobe.io/enabled": "false"}),
        kube.pod("fast", fast_cgroup.id, annotations={"pystrobe.io/hz.web": "50", "pystrobe.io/service-name": "named", "pystrobe.io/modes": "cpu"}),
        kube.pod("side", side_cgroup.id, initContainers=[{"name": "profiler", "image": "registry/pystrobe:1"}]),
    ]
    with kube.Server(authority.good, lambda *_: (200, pods(*items))) as kubelet:
        with agent(settings(account, off, fast, side, kubelet=kubelet.url)) as one:
            wait_labels(one, fast.pid, service_name="named")
            wait_until(lambda: (row_of(one, fast.pid) or {}).get("rate_hz", 0) > 35, 30, "the annotated rate")
            for process, reason in ((off, "annotation"), (side, "sidecar")):
                row = wait_until(lambda pid=process.pid: (found := row_of(one, pid)) and found["state"] == "skipped" and found, 30, reason)
                assert row["reason"] == reason and row["labels_after"] == {}
            wait_until(lambda: "skipped: sidecar, its pod carries a pystrobe of its own" in why(one, side), 60, "ps to say why")
            one.write_config(settings(account, off, fast, side, kubelet=kubelet.url, targeting="annotation"))
            wait_until(lambda: (row_of(one, fast.pid) or {}).get("reason") == "not_enabled", 30, "the annotation scheme")
            one.write_config(settings(account, off, fast, side, kubelet=kubelet.url, exclude_namespaces=["sh.*"]))
            wait_until(lambda: (row_of(one, fast.pid) or {}).get("reason") == "namespace", 30, "the namespace to be left out")
            one.write_config(settings(account, off, fast, side, kubelet=kubelet.url, namespaces=["no", "s.op"]))
            wait_until(lambda: (row_of(one, fast.pid) or {}).get("state") == "active", 30, "the namespace to be taken in")
            one.write_config(settings(account, off, fast, side, kubelet=kubelet.url, namespaces=["sho"]))  # whole names
            wait_until(lambda: (row_of(one, fast.pid) or {}).get("reason") == "namespace", 30, "only another namespace to be taken in")


def test_faults_of_a_kubelet_are_survived(agent, authority, account, in_pod):
    process, cgroup = in_pod()
    good = json.dumps(pods(kube.pod("web-5d8f7-abc", cgroup.id))).encode()
    faults = iter([(401, b""), (200, good[: len(good) // 2]), (200, b"{\"items\": 3}"),
                   (200, b"{\"pad\": \"" + b"x" * (9 << 20) + b"\"}")])
    with kube.Server(authority.good, lambda *_: next(faults, (200, good))) as kubelet:
        with agent(settings(account, process, kubelet=kubelet.url)) as one:
            wait_until(lambda: len(kubelet.requests) >= 1, 30, "the first question")
            wait_labels(one, process.pid, pod="web-5d8f7-abc")
            assert 5 <= len(kubelet.requests) < 10  # somebody else's container may bring a question more
            assert one.get("/healthz")[0] == 200
            log = one.output()
            assert "kubernetes cannot be asked" in log and "the token is missing or expired" in log and "kubernetes answers again" in log


def test_a_kubelet_that_never_answers_delays_nobody(agent, authority, account, in_pod):
    process, _ = in_pod()
    with kube.Server(authority.good, lambda *_: time.sleep(60) or (200, b"")) as kubelet:
        with agent(settings(account, process, kubelet=kubelet.url)) as one:
            wait_until(lambda: len(kubelet.requests) >= 1, 30, "the first question")
            wait_until(lambda: (row_of(one, process.pid) or {}).get("samples", 0) > 5, 30, "samples meanwhile")
            begun = time.monotonic()
            one.process.terminate()
            assert wait_exit(one.process, 20) == 0
            assert time.monotonic() - begun < 8
            assert list(one.profiles.glob("*.pb.gz"))  # what was held goes with the labels that are there
