"""The Helm chart: strict lint, golden renderings, the privileges that it asks for, and its documentation.

PYSTROBE_UPDATE_GOLDEN=1 writes the golden files anew; read the difference before committing it.
"""
import difflib
import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from lib import places
from deploy import helm as helm_build

CHART = places.REPOSITORY / "deploy" / "helm" / "pystrobe"
GOLDEN = places.TESTS / "deploy" / "golden"
KUBERNETES = "1.34.4"
VALUE_SETS = ["default"] + sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))


@pytest.fixture(scope="module")
def helm():
    """helm(*words) -> what it prints; fails with its message."""
    program = helm_build.program()

    def run(*words, expect=0):
        done = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + (done.stderr if expect else "")

    return run


def value_arguments(name):
    return [] if name == "default" else ["--values", CHART / "ci" / f"{name}-values.yaml"]


def template(helm, name, *words):
    return helm("template", "test", CHART, "--namespace", "profiling", "--kube-version", KUBERNETES, *value_arguments(name), *words)


def objects(text):
    return [item for item in yaml.safe_load_all(text) if item]


def of_kind(text, kind):
    return next(item for item in objects(text) if item["kind"] == kind)


@pytest.mark.parametrize("name", VALUE_SETS)
def test_lint_is_strict(helm, name):
    helm("lint", "--strict", CHART, "--kube-version", KUBERNETES, *value_arguments(name))


@pytest.mark.parametrize("name", VALUE_SETS)
def test_renders_what_the_golden_file_holds(helm, name):
    text, golden = template(helm, name), GOLDEN / f"{name}.yaml"
    if os.environ.get("PYSTROBE_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    difference = "\n".join(difflib.unified_diff(golden.read_text(encoding="utf-8").splitlines(), text.splitlines(), "golden", "now",
                                                lineterm=""))
    assert not difference, difference


@pytest.mark.parametrize("name", VALUE_SETS)
def test_the_rendered_configuration_is_one_that_the_agent_takes(helm, pystrobe, tmp_path, name):
    config = tmp_path / "pystrobe.yaml"
    config.write_text(of_kind(template(helm, name), "ConfigMap")["data"]["pystrobe.yaml"], encoding="utf-8")
    (tmp_path / "password").write_text("x", encoding="utf-8")
    config.write_text(config.read_text(encoding="utf-8").replace("/etc/pystrobe/secrets", str(tmp_path)), encoding="utf-8")
    done = subprocess.run([pystrobe, "config", "check", config], capture_output=True, text=True, check=False,
                          env={**os.environ, "NODE_NAME": "node", "NODE_IP": "127.0.0.1"})
    assert done.returncode == 0, done.stderr


def restricted_deviations(pod):
    """Where a pod leaves the Restricted Pod Security Standard, in the standard's own terms."""
    found = set()
    for field in ("hostPID", "hostIPC", "hostNetwork"):
        if pod.get(field):
            found.add(field)
    found |= {f"hostPath {volume['hostPath']['path']}" for volume in pod.get("volumes", []) if "hostPath" in volume}
    for container in pod["containers"] + pod.get("initContainers", []):
        context = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
        capabilities = context.get("capabilities", {})
        if context.get("privileged"):
            found.add("privileged")
        if "ALL" not in capabilities.get("drop", []):
            found.add("capabilities not dropped")
        found |= {f"capability {name}" for name in capabilities.get("add", []) if name != "NET_BIND_SERVICE"}
        if context.get("allowPrivilegeEscalation") is not False:
            found.add("privilege escalation")
        if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            found.add("seccomp")
        if context.get("runAsUser") == 0 or not (context.get("runAsNonRoot") or context.get("runAsUser")):
            found.add("uid 0")
        found |= {"host port" for port in container.get("ports", []) if port.get("hostPort")}
    return found


def test_deviates_from_the_restricted_standard_in_exactly_the_declared_points(helm):
    pod = of_kind(template(helm, "default"), "DaemonSet")["spec"]["template"]["spec"]
    assert restricted_deviations(pod) == {"hostPID", "capability SYS_PTRACE", "uid 0", "hostPath /var/lib/pystrobe"}
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert "automountServiceAccountToken" not in pod
    notes = helm("install", "test", CHART, "--dry-run=client", "--kube-version", KUBERNETES, "--namespace", "profiling") \
        if "KUBECONFIG" in os.environ else (CHART / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    for point in ("hostPID", "SYS_PTRACE", "uid 0", "hostPath"):
        assert point in notes


def test_with_an_emptydir_no_host_path_is_left(helm):
    pod = of_kind(template(helm, "annotated"), "DaemonSet")["spec"]["template"]["spec"]
    assert restricted_deviations(pod) == {"hostPID", "capability SYS_PTRACE", "uid 0"}


@pytest.mark.parametrize("value, complaint", [
    ("securityContext.privileged=true", "privileged"),
    ("targeting.scheme=some", "scheme"),
    ("exporters[0].type=zipkin", "type"),
    ("spool.type=pvc", "spool"),
    ("unknown=1", "unknown"),
    ("sampling.hz=0", "hz"),
    ("sampling.Hz=19", "Hz"),
    ("sampling.modes=cpu", "modes"),
    ("sampling.modes[0]=gpu", "modes"),
    ("sampling.overhead.cpu=2", "cpu"),
    ("appArmorProfile.type=Localhost", "localhostProfile"),
])
def test_values_that_make_no_sense_are_refused(helm, value, complaint):
    said = helm("template", "test", CHART, "--kube-version", KUBERNETES, "--set", value, expect=1)
    assert complaint in said


def test_the_charts_sampling_values_are_the_agents_settings(pystrobe):
    agents = json.loads(subprocess.run([pystrobe, "config", "schema"], capture_output=True, text=True, check=True).stdout)
    charts = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    for path in (("sampling",), ("sampling", "overhead")):
        mine, its = agents, charts
        for name in path:
            mine, its = mine["properties"][name], its["properties"][name]
        assert set(mine["properties"]) == set(its["properties"]), path


@pytest.mark.parametrize("profile, annotation", [("type=Unconfined", "unconfined"), ("type=RuntimeDefault", "runtime/default"),
                                                 ("type=Localhost,appArmorProfile.localhostProfile=mine", "localhost/mine")])
def test_apparmor_is_an_annotation_where_the_server_does_not_know_the_field(helm, profile, annotation):
    words = ["--set", f"appArmorProfile.{profile}"]
    old = of_kind(template(helm, "default", *words, "--kube-version", "1.29.9"), "DaemonSet")["spec"]["template"]
    assert old["metadata"]["annotations"] == {"container.apparmor.security.beta.kubernetes.io/pystrobe": annotation}
    assert "appArmorProfile" not in old["spec"]["containers"][0]["securityContext"]
    new = of_kind(template(helm, "default", *words, "--kube-version", "1.30.0"), "DaemonSet")["spec"]["template"]
    assert "annotations" not in new["metadata"] and "appArmorProfile" in new["spec"]["containers"][0]["securityContext"]


def test_with_a_configuration_of_ones_own_the_agent_listens_where_the_probes_ask(helm):
    text = template(helm, "default", "--set", "existingConfigMap=mine,port=7999")
    assert not any(one["kind"] == "ConfigMap" for one in objects(text))
    one = of_kind(text, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "PYSTROBE_SERVER_LISTEN", "value": ":7999"} in one["env"] and one["ports"][0]["containerPort"] == 7999


def test_targeting_is_the_agents_own_so_that_containers_and_other_profilers_annotations_count(helm):
    text = of_kind(template(helm, "annotated", "--set", "targeting.excludeNamespaces={kube-.*}"), "ConfigMap")["data"]["pystrobe.yaml"]
    settings = yaml.safe_load(text)["discovery"]["kubernetes"]
    assert settings["targeting"] == "annotation" and settings["exclude_namespaces"] == ["kube-.*"] and settings["namespaces"]


def test_the_scc_allows_the_folder_of_a_runtime_socket_without_any_other(helm):
    words = ["--set", "openshift.scc.create=true,spool.type=emptyDir"]
    assert of_kind(template(helm, "default", *words), "SecurityContextConstraints")["allowHostDirVolumePlugin"] is False
    words[1] += ",runtimeSockets.cri.enabled=true"
    assert of_kind(template(helm, "default", *words), "SecurityContextConstraints")["allowHostDirVolumePlugin"] is True


def test_the_checksum_annotation_follows_the_configuration(helm):
    def checksum(*words):
        meta = of_kind(template(helm, "default", "--set", "configChecksumAnnotation=true", *words), "DaemonSet")
        return meta["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum() == checksum()
    assert checksum() != checksum("--set", "sampling.hz=23")


def test_the_readme_is_the_one_generated_from_the_values():
    made = subprocess.run([sys.executable, places.REPOSITORY / "tools" / "helm_readme.py", "--print"], capture_output=True,
                          text=True, check=True).stdout
    assert (CHART / "README.md").read_text(encoding="utf-8") == made, "run tools/helm_readme.py"


def test_the_chart_has_the_version_of_the_program():
    version = re.search(r"project\(pystrobe VERSION (\S+)", (places.REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (version, version)
