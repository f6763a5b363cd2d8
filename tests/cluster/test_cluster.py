"""The chart on a real node: what pods' profiles are labelled with, what the agent may do, and what it lives through."""
import base64
import json
import re
import time

import programs
import pytest
import yaml
from node import ADDRESS, NAME, run

from lib import kube, notes, places
from lib.agent import Agent
from lib.docker import AGENT, BASE
from lib.waiting import wait_until

SYS_PTRACE = 1 << 19
# A fifth of a CPU: other tests run beside these.
SPIN = ("import time\ndef {name}():\n    while True:\n        end = time.monotonic() + 0.01\n        while time.monotonic() < end:\n"
        "            pass\n        time.sleep(0.04)\n{name}()\n")
WEB = (places.TESTS / "workloads" / "webapp.py").read_text(encoding="utf-8")


def container(name, *command, **more):
    return {"name": name, "image": f"docker.io/{BASE}:latest", "imagePullPolicy": "Never", "command": list(command),
            "resources": {"requests": {"cpu": "10m"}}, **more}


def spinning(name, function, **more):
    return container(name, "/usr/bin/python3", "-c", SPIN.format(name=function), **more)


def pod(name, containers, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": containers, **spec}}


def web_deployment(replicas):
    code = {"name": "code", "configMap": {"name": "web-code"}}
    one = container("app", "/usr/bin/gunicorn", "-w", "1", "-b", "0.0.0.0:8000", "--chdir", "/srv", "webapp:application",
                    volumeMounts=[{"name": "code", "mountPath": "/srv"}])
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 2, "containers": [one], "volumes": [code]}}}}


@pytest.fixture(autouse=True)
def explain(node):
    """What the cluster has to say, shown where a test fails."""
    yield
    print(node.kubectl("get", "pods", "-A", "-o", "wide", check=False).stdout)
    print(node.kubectl("-n", "shop", "describe", "pods", check=False).stdout[-6000:])
    for namespace in ("shop", "profiling"):
        for one in node.get("pods", "-n", namespace)["items"]:
            name = one["metadata"]["name"]
            print(f"--- {name}\n{node.kubectl('-n', namespace, 'logs', '--all-containers', '--tail=20', name, check=False).stdout}")


@pytest.fixture(scope="module")
def shop(node):
    node.kubectl("create", "namespace", "shop")
    node.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-code", "namespace": "shop"},
                           "data": {"webapp.py": WEB}}))
    yield node
    node.kubectl("delete", "namespace", "shop", "--wait=false")


def pods_of(node, label, namespace="shop"):
    """Running pods: {name: address}."""
    found = node.get("pods", "-n", namespace, "-l", label)["items"]
    return {one["metadata"]["name"]: one["status"]["podIP"] for one in found
            if one["status"].get("phase") == "Running" and not one["metadata"].get("deletionTimestamp")}


def wait_for(parca, service, function, **labels):
    return wait_until(lambda: function in parca.functions(service, "cpu", **labels), 60,
                      f"{function} of {service} with {labels} in Parca", interval=0.5)


def test_a_deployments_two_replicas_are_labelled_with_namespace_pod_container_and_owner(shop, chart, parca, load):
    shop.apply(json.dumps(web_deployment(2)))
    addresses = wait_until(lambda: found if len(found := pods_of(shop, "app=web")) == 2 else None, 60, "two replicas", interval=0.5)
    for address in addresses.values():
        load(f"http://{address}:8000/")
    for name in addresses:
        wait_for(parca, "web", "price_basket", namespace="shop", pod=name, container="app", node="node-under-test")
    shop.kubectl("-n", "shop", "rollout", "restart", "deployment/web")
    fresh = wait_until(lambda: found if len(found := pods_of(shop, "app=web")) == 2 and not set(found) & set(addresses) else None, 90,
                       "the replicas' successors", interval=0.5)
    for name, address in fresh.items():
        load(f"http://{address}:8000/")
        wait_for(parca, "web", "price_basket", namespace="shop", pod=name, container="app")


def test_two_containers_of_one_pod_are_told_apart(shop, chart, parca):
    shop.apply(json.dumps(pod("pair", [spinning("left", "spin_left"), spinning("right", "spin_right")])))
    for side in ("left", "right"):
        service = wait_until(lambda: next((name for name in parca.values("service_name")
                                           if f"spin_{side}" in parca.functions(name, "cpu", pod="pair", container=side)), None),
                             60, f"container {side}", interval=0.5)
        other = "spin_right" if side == "left" else "spin_left"
        assert other not in parca.functions(service, "cpu", pod="pair", container=side)
    shop.kubectl("-n", "shop", "delete", "pod", "pair", "--wait=false")


def test_static_init_and_ephemeral_containers_and_those_in_the_hosts_pid_namespace_are_told_apart(shop, chart, parca):
    fixed = pod("fixed", [spinning("only", "spin_fixed")], hostPID=True)
    (shop.folder / "static" / "fixed.json").write_text(json.dumps(fixed), encoding="utf-8")
    called = {"env": [{"name": "OTEL_SERVICE_NAME", "value": "parts"}]}
    some = SPIN.format(name="spin_first").replace("while True:", "for _ in range(120):", 1)
    shop.apply(json.dumps(pod("parts", [spinning("main", "spin_main", **called)],
                              initContainers=[container("first", "/usr/bin/python3", "-c", some, **called)])))
    shop.kubectl("-n", "shop", "debug", "parts", f"--image=docker.io/{BASE}:latest", "--image-pull-policy=Never", "--container=extra",
                 "--env=OTEL_SERVICE_NAME=parts", "--", "/usr/bin/python3", "-c", SPIN.format(name="spin_extra"))
    for name in ("first", "extra", "main"):
        wait_for(parca, "parts", f"spin_{name}", namespace="shop", pod="parts", container=name)
    # Its cgroup is called by a hash that is not the UID which the API server knows, and its owner is the node.
    wait_for(parca, "fixed", "spin_fixed", namespace="shop", pod=f"fixed-{NAME}", container="only")
    (shop.folder / "static" / "fixed.json").unlink()
    shop.kubectl("-n", "shop", "delete", "pod", "parts", "--wait=false")


def test_a_cronjobs_pod_carries_the_cronjobs_name(shop, chart, parca):
    template = {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [spinning("task", "spin_nightly")]}}
    shop.apply(json.dumps({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "namespace": "shop"},
                           "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}}))
    # As the controller names them: the minute since the epoch for which they were due.
    shop.kubectl("-n", "shop", "create", "job", "--from=cronjob/nightly", f"nightly-{int(time.time()) // 60}")
    wait_for(parca, "nightly", "spin_nightly", namespace="shop", container="task")
    shop.kubectl("-n", "shop", "delete", "cronjob,job", "--all", "--wait=false")


def test_a_job_with_the_native_sidecar_completes(shop, chart, parca):
    example = yaml.safe_load((places.REPOSITORY / "deploy/kubernetes/sidecar-ptrace.yaml").read_text(encoding="utf-8"))
    spec = example["spec"]["template"]["spec"]
    sidecar = next(one for one in spec["initContainers"] if one["name"] == "pystrobe")
    sidecar.update(image=f"docker.io/{AGENT}:latest", imagePullPolicy="Never")
    sidecar["env"] = [one for one in sidecar["env"] if not one["name"].endswith(("ADDRESS", "ENDPOINT"))]
    sidecar["env"] += [{"name": "PYSTROBE_EXPORTERS", "value": json.dumps([parca.exporter()])},
                       {"name": "PYSTROBE_SAMPLING_WINDOW", "value": "2s"}]
    work = "import time\ndef spin_job():\n    end = time.time() + 12\n    while time.time() < end:\n        pass\nspin_job()\n"
    spec["containers"] = [container("work", "/usr/bin/python3", "-c", work, env=[{"name": "OTEL_SERVICE_NAME", "value": "batch"}])]
    spec["terminationGracePeriodSeconds"] = 10
    example["metadata"] = {"name": "batch", "namespace": "shop"}
    shop.apply(json.dumps(example))
    wait_until(lambda: shop.get("job", "batch", "-n", "shop")["status"].get("succeeded") == 1, 90, "the job to complete", interval=0.5)
    wait_for(parca, "batch", "spin_job")


def test_the_agent_holds_exactly_sys_ptrace(node, chart):
    (name,) = pods_of(node, "app.kubernetes.io/name=pystrobe", "profiling")
    state = node.get("pod", name, "-n", "profiling")
    container_id = state["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    pids = [line.split()[0] for line in node.ctr("tasks", "ps", container_id).stdout.splitlines()[1:]]
    assert len(pids) == 4
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            text = status.read()
        assert int(re.search(r"CapEff:\s*(\w+)", text)[1], 16) in (0, SYS_PTRACE)
        assert int(re.search(r"CapBnd:\s*(\w+)", text)[1], 16) in (0, SYS_PTRACE)
        assert "NoNewPrivs:\t1" in text and "Seccomp:\t2" in text
    assert state["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_pod_security_admission_names_exactly_the_declared_deviations(node, chart):
    said = node.kubectl("label", "--dry-run=server", "--overwrite", "namespace", "profiling",
                        "pod-security.kubernetes.io/enforce=restricted").stderr
    line = next(line for line in said.splitlines() if "agent-pystrobe" in line)
    found = {re.sub(r" \(.*", "", part.strip()) for part in re.sub(r"\([^)]*\)", "", line.split(": ", 2)[-1]).split(",")}
    assert found == {"host namespaces", "unrestricted capabilities", "restricted volume types", "runAsNonRoot != true",
                     "runAsUser=0"}, said


def test_the_api_server_takes_every_rendered_manifest(node, chart, helm):
    for file in programs.definitions():
        node.kubectl("apply", "--server-side", "-f", file)
    node.kubectl("wait", "--for=condition=Established", "--timeout=30s", "customresourcedefinition", "--all")
    kinds = set()
    for name in ("default", "parca", "annotated", "everything"):
        words = [] if name == "default" else ["--values", places.REPOSITORY / f"deploy/helm/pystrobe/ci/{name}-values.yaml"]
        text = helm("template", "dry", places.REPOSITORY / "deploy/helm/pystrobe", "--namespace", "profiling", "--kube-version", programs.VERSION, *words)
        kinds |= {one["kind"] for one in yaml.safe_load_all(text) if one}
        node.apply(text, "--server-side", "--dry-run=server", "--validate=strict", "--namespace", "profiling")
    assert {"ServiceMonitor", "PodMonitor", "SecurityContextConstraints"} <= kinds
    notes.note("cluster: enforcement of NetworkPolicy is not run: a bridge has none")


# So much CPU and no more, once it has been found; said when it is done, without the start of the interpreter, which nobody
# samples.
SOME_WORK = ("import time\ntime.sleep(8)\nbegan = time.process_time()\ndef {name}():\n    while time.process_time() < began + 3:\n"
             "        sum(range(100000))\n        time.sleep(0.003)\n"
             "{name}()\nprint('used', time.process_time() - began, flush=True)\ntime.sleep(600)\n")


def test_a_changed_configuration_is_taken_without_a_restart_and_without_loss_while_the_backend_is_away(shop, chart, helm, values, parca):
    (name,) = pods_of(shop, "app.kubernetes.io/name=pystrobe", "profiling")

    def rolled():
        show = ("/usr/bin/pystrobe", "config", "show", "/etc/pystrobe/config/pystrobe.yaml")
        return "rolled" in shop.kubectl("-n", "profiling", "exec", name, "--", *show).stdout

    def used():
        said = shop.kubectl("-n", "shop", "logs", "worker", check=False).stdout.split()
        return float(said[1]) if said[:1] == ["used"] else None

    with parca.away():
        worker = container("only", "/usr/bin/python3", "-c", SOME_WORK.format(name="spin_worker"),
                           env=[{"name": "OTEL_SERVICE_NAME", "value": "worker"}])
        shop.apply(json.dumps(pod("worker", [worker])))
        helm("upgrade", "agent", places.REPOSITORY / "deploy/helm/pystrobe", "--namespace", "profiling", *values, "--set",
             "labels.rolled=yes")
        seconds = wait_until(used, 60, "the worker to be done", interval=1)
        # The kubelet brings a changed config map within a minute or so.
        wait_until(rolled, 90, "the mounted file to change", interval=1)
    assert list(pods_of(shop, "app.kubernetes.io/name=pystrobe", "profiling")) == [name]

    def arrived():
        return parca.functions("worker", "cpu", pod="worker").get("spin_worker", (0, 0))[1] / 1e9

    wait_until(lambda: arrived() > 0.95 * seconds, 60, "all that was sampled while Parca was away", interval=0.5)
    notes.note(f"cluster: {arrived():.2f} s of {seconds:.2f} s used while the backend was away arrived afterwards")
    assert arrived() <= 1.03 * seconds
    shop.kubectl("-n", "shop", "delete", "pod", "worker", "--wait=false")


@pytest.fixture(scope="module")
def steady(shop):
    """A pod that runs from here on."""
    shop.apply(json.dumps(pod("steady", [spinning("only", "spin_steady", env=[{"name": "OTEL_SERVICE_NAME", "value": "steady"}])])))


def test_profiles_go_on_after_the_agents_pod_was_deleted(shop, chart, parca, steady):
    wait_for(parca, "steady", "spin_steady", pod="steady")
    (before,) = pods_of(shop, "app.kubernetes.io/name=pystrobe", "profiling")
    shop.kubectl("-n", "profiling", "delete", "pod", before)
    wait_until(lambda: [name for name in pods_of(shop, "app.kubernetes.io/name=pystrobe", "profiling") if name != before], 60,
               "the agent's successor", interval=0.5)
    seen = parca.functions("steady", "cpu", pod="steady")["spin_steady"][1]
    wait_until(lambda: parca.functions("steady", "cpu", pod="steady")["spin_steady"][1] > seen + 5e8, 60, "half a second more",
               interval=0.5)


def test_each_run_of_a_crash_looping_container_is_labelled(shop, chart, parca):
    crash = SPIN.format(name="spin_crash").replace("while True:", "for _ in range(200):", 1) + "raise SystemExit(1)\n"
    one = container("only", "/usr/bin/python3", "-c", crash, env=[{"name": "OTEL_SERVICE_NAME", "value": "crash"}])
    shop.apply(json.dumps(pod("crash", [one])))
    wait_for(parca, "crash", "spin_crash", pod="crash", container="only", namespace="shop")
    wait_until(lambda: shop.get("pod", "crash", "-n", "shop")["status"]["containerStatuses"][0]["restartCount"] >= 1, 60, "a restart",
               interval=0.5)
    seen = parca.functions("crash", "cpu", pod="crash")["spin_crash"][1]
    wait_until(lambda: parca.functions("crash", "cpu", pod="crash", container="only")["spin_crash"][1] > seen, 60, "its next run",
               interval=0.5)
    shop.kubectl("-n", "shop", "delete", "pod", "crash", "--wait=false")


KUBELET, API = f"https://{ADDRESS}:10250", f"https://{ADDRESS}:443"
REFUSED = f"https://{ADDRESS}:1"


@pytest.fixture
def account(node, chart, tmp_path):
    """The folder of the chart's service account, as it is mounted into a pod."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text(node.kubectl("-n", "profiling", "create", "token", chart).stdout.strip(), encoding="utf-8")
    (folder / "ca.crt").write_bytes((node.folder / "ca.crt").read_bytes())
    return folder


@pytest.fixture
def beside(account, tmp_path):
    """beside(**kubernetes) -> an agent beside the pods with these settings, that looks at processes of pods alone."""
    agents = []

    def settings(**kubernetes):
        text = kube.settings(account, node=NAME, **kubernetes)
        text["discovery"]["select"] = [{"action": "keep", "source_labels": ["__meta_process_cgroup"], "regex": "(?s).*kubepods.*"}]
        text["discovery"]["containers"] = {"docker": "off", "cri": "off"}
        return text

    def start(**kubernetes):
        agents.append(Agent(tmp_path / "agent", settings(**kubernetes)))
        agents[0].take = lambda **changed: agents[0].write_config(settings(**changed))
        return agents[0].wait_ready()

    yield start
    for agent in agents:
        agent.kill()
        print(agent.output()[-4000:])


def known(agent, name):
    return any(row["labels_after"].get("pod") == name for row in agent.targets())


def test_labels_are_right_while_the_api_server_is_away_and_its_changes_followed_after_its_versions_are_gone(shop, chart, parca, steady, beside):
    follower = beside(kubelet=REFUSED, api=API)
    wait_until(lambda: known(follower, "steady"), 60, "the follower to know a pod", interval=0.5)
    assert "pods are read from the API server instead" in follower.output()
    shop.kubectl("-n", "shop", "create", "configmap", "later")  # a version that the follower, which is told of pods, does not hear of
    shop.end("apiserver")
    seen = parca.functions("steady", "cpu", pod="steady", namespace="shop")["spin_steady"][1]
    wait_until(lambda: parca.functions("steady", "cpu", pod="steady", namespace="shop")["spin_steady"][1] > seen + 5e8, 60,
               "half a second more with the same labels", interval=0.5)
    shop.start_apiserver()
    shop.apply(json.dumps(pod("late", [spinning("only", "spin_late")])))
    wait_until(lambda: known(follower, "late"), 60, "the follower to know a pod of afterwards", interval=0.5)
    assert follower.metric("pystrobe_k8s_requests_total", source="apiserver", code="410") > 0
    assert "kubernetes cannot be asked: API server" in follower.output() and "kubernetes answers again" in follower.output()


def expired(token, key, folder):
    """The same token, ended an hour ago, signed as the API server signs."""
    def coded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head, claims, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
    claims.update({name: int(time.time()) - ago for name, ago in (("iat", 7200), ("nbf", 7200), ("exp", 3600))})
    signed = f"{head}.{coded(json.dumps(claims).encode())}"
    (folder / "signed").write_text(signed, encoding="ascii")
    run("openssl", "dgst", "-sha256", "-sign", key, "-out", folder / "signature", folder / "signed")
    return f"{signed}.{coded((folder / 'signature').read_bytes())}"


def test_a_token_that_has_really_expired_is_refused_by_both_servers_and_read_anew_once_it_is_renewed(shop, steady, account, beside, tmp_path):
    good = account / "good"
    good.write_text((account / "token").read_text(encoding="utf-8"), encoding="utf-8")
    (account / "token").write_text(expired(good.read_text(encoding="utf-8"), shop.folder / "sa.key", tmp_path), encoding="utf-8")
    agent = beside(kubelet=KUBELET, api=API)
    for source in ("kubelet", "apiserver"):
        wait_until(lambda source=source: agent.metric("pystrobe_k8s_requests_total", source=source, code="401") > 0, 30,
                   f"the {source} to refuse the token")
    assert not known(agent, "steady")
    good.rename(account / "token")  # as the kubelet replaces it
    wait_until(lambda: known(agent, "steady"), 60, "the pod to be known", interval=0.5)
    assert agent.metric("pystrobe_k8s_requests_total", code="200") > 0  # of either: one that is late is not asked again
    assert "kubernetes cannot be asked" in agent.output() and "kubernetes answers again" in agent.output()


def test_where_nobody_may_be_asked_the_uid_and_the_container_are_told_by_the_kubelets_mounts_and_nothing_is_guessed(shop, steady, beside):
    uid = shop.get("pod", "steady", "-n", "shop")["metadata"]["uid"]
    agent = beside(enabled="false")
    row = wait_until(lambda: next((row for row in agent.targets() if row["labels_before"].get("__meta_kubernetes_pod_uid") == uid), None),
                     30, "the pod's UID", interval=0.5)
    assert row["labels_after"]["container"] == "only"
    assert not {"pod", "namespace", "node"} & set(row["labels_after"])


@pytest.fixture
def own_certificate(node):
    """The kubelet with a certificate that it has made itself."""
    node.end("kubelet")
    node.start_kubelet(certificate="")
    wait_until(lambda: node.kubelet_requests("pods") is not None, 60, "the kubelet with a certificate of its own", interval=0.3)
    yield
    node.end("kubelet")
    node.start_kubelet()


def test_a_kubelet_with_a_certificate_of_its_own_is_sent_the_token_only_where_a_person_says_so(shop, chart, parca, own_certificate, beside):
    agent = beside(kubelet=KUBELET, api=API)
    shop.apply(json.dumps(pod("guarded", [spinning("only", "spin_guarded", env=[{"name": "OTEL_SERVICE_NAME", "value": "guarded"}])])))
    wait_until(lambda: known(agent, "guarded"), 60, "the pod to be known", interval=0.5)
    wait_for(parca, "guarded", "spin_guarded", pod="guarded", namespace="shop", container="only")
    # The chart's agent, whose log the API server cannot fetch from this kubelet.
    logs = "".join(path.read_text(encoding="utf-8", errors="replace") for path in shop.folder.glob("logs/profiling_*/pystrobe/*.log"))
    for said in (agent.output(), logs):
        assert re.search(r"kubelet https://\S+: tls: .*pods are read from the API server instead", said), said[-3000:]
    assert wait_until(lambda: (found := shop.kubelet_requests("pods")) is not None and [found], 60, "the kubelet's metrics") == [0]
    agent.take(kubelet={"url": KUBELET, "insecure_skip_verify": True}, api=API)
    shop.apply(json.dumps(pod("told", [spinning("only", "spin_told")])))
    wait_until(lambda: known(agent, "told"), 60, "the pod to be known", interval=0.5)
    assert agent.metric("pystrobe_k8s_requests_total", source="kubelet", code="200") > 0
    wait_until(lambda: (shop.kubelet_requests("pods") or 0) > 0, 60, "the request in the kubelet's metrics")
