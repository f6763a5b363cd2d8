"""The examples that people copy: they parse, name nothing that does not exist, and ask for no more rights than they say."""
import json
import re

import pytest
import yaml

from lib import places
from deploy.test_chart import restricted_deviations

DEPLOY = places.REPOSITORY / "deploy"
COUNTERS = (places.REPOSITORY / "lib/base/include/base/counters.def").read_text(encoding="utf-8")
SETTINGS = (places.REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")


def pod_of(name):
    text = yaml.safe_load((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8"))
    return text["spec"]["template"]["spec"]


def agent_of(pod):
    return next(one for one in pod["initContainers"] if one["name"] == "pystrobe")


def test_the_sidecar_without_capability_meets_the_restricted_standard():
    assert restricted_deviations(pod_of("sidecar-same-uid.yaml")) == set()


def test_the_sidecar_with_a_capability_adds_only_that():
    pod = pod_of("sidecar-ptrace.yaml")
    assert restricted_deviations({"containers": [agent_of(pod)]}) == {"capability SYS_PTRACE", "uid 0"}


@pytest.mark.parametrize("name", ["sidecar-ptrace.yaml", "sidecar-same-uid.yaml"])
def test_sidecars_are_native_and_see_the_application(name):
    pod = pod_of(name)
    assert pod["shareProcessNamespace"] is True and agent_of(pod)["restartPolicy"] == "Always"


def variables():
    for path in [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.json")]:
        for name in re.findall(r"\bPYSTROBE_[A-Z_]+\b", path.read_text(encoding="utf-8")):
            yield path.name, name


def test_every_variable_that_an_example_sets_is_a_setting():
    known = {"PYSTROBE_" + path.upper().replace(".", "_") for path in re.findall(r"`([a-z_.]+)`", SETTINGS)}
    wrong = sorted({f"{file}: {name}" for file, name in variables() if name not in known})
    assert not wrong
    assert list(variables())


def test_every_metric_that_an_alert_asks_for_exists():
    text = (DEPLOY / "observability" / "alerts.yaml").read_text(encoding="utf-8")
    names = {name for rule in yaml.safe_load(text)["groups"][0]["rules"] for name in re.findall(r"pystrobe_[a-z_]+", rule["expr"])}
    assert names and all(f'"{name}"' in COUNTERS for name in names), names


@pytest.mark.parametrize("backend", ["pyroscope", "parca", "collector"])
def test_the_compose_agent_holds_one_capability(backend):
    text = yaml.safe_load((DEPLOY / "docker" / f"compose-{backend}.yaml").read_text(encoding="utf-8"))
    agent = text["services"]["pystrobe"]
    assert (agent["cap_drop"], agent["cap_add"], agent["read_only"]) == (["ALL"], ["SYS_PTRACE"], True)
    assert "privileged" not in agent and backend in text["services"]


def test_the_pyroscope_of_the_compose_file_answers_questions_about_what_it_was_sent():
    """With its default storage a fresh one takes every push and finds none of them."""
    text = yaml.safe_load((DEPLOY / "docker" / "compose-pyroscope.yaml").read_text(encoding="utf-8"))
    assert "-architecture.storage=v2" in text["services"]["pyroscope"]["command"]


def test_the_task_definition_shares_the_pid_namespace_and_adds_one_capability():
    task = json.loads((DEPLOY / "ecs" / "task-definition.json").read_text(encoding="utf-8"))
    agent = next(one for one in task["containerDefinitions"] if one["name"] == "pystrobe")
    assert task["pidMode"] == "task" and agent["linuxParameters"] == {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}
    assert agent["essential"] is False
