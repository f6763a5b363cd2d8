"""Fixtures of the cluster tests: one node with its images, a Parca that pods reach, the chart installed by helm.

The whole process moves into namespaces of its own: these tests run as a part of their own.
"""
import json
import sys

import node as node_module
import pytest

from lib import places
from lib.docker import AGENT, BASE, Engine
from lib.load import requests

sys.path.append(str(places.TESTS / "interop"))

from deploy import helm as helm_build  # noqa: E402

CHART = places.REPOSITORY / "deploy" / "helm" / "pystrobe"
PAUSE_SOURCE = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Archives of the base, the agent's own and the pause image."""
    node_module.enter_namespaces()
    folder = tmp_path_factory.mktemp("images")
    (folder / "pause.c").write_text(PAUSE_SOURCE, encoding="utf-8")
    node_module.run("gcc", "-static", "-o", folder / "pause", folder / "pause.c")
    node_module.run("tar", "-C", folder, "-cf", folder / "root.tar", "pause")
    engine = Engine()
    try:
        engine.start()
        engine.build_agent()
        engine.run("import", "--change", 'ENTRYPOINT ["/pause"]', folder / "root.tar", node_module.PAUSE)
        for name, image in (("base", BASE), ("agent", AGENT), ("pause", node_module.PAUSE)):
            engine.run("save", "-o", folder / f"{name}.tar", image)
    finally:
        engine.stop()
    return [folder / f"{name}.tar" for name in ("pause", "base", "agent")]


@pytest.fixture(scope="session")
def node(images):
    one = node_module.Node()
    try:
        yield one.start(images)
    finally:
        one.stop()


@pytest.fixture(scope="session")
def parca(images):
    import servers

    with servers.start_parca(node_module.ADDRESS) as backend:
        yield backend


@pytest.fixture(scope="session")
def helm(node):
    """helm(*words) -> what it prints."""
    program = helm_build.program()
    return lambda *words: node_module.run(program, *words, env=node.environment, timeout=180).stdout


@pytest.fixture(scope="session")
def values(parca):
    """Arguments of helm that point the chart at this Parca and at the imported image."""
    name, _, tag = AGENT.partition(":")
    return ["--set", f"image.repository=docker.io/{name}", "--set", f"image.tag={tag or 'latest'}", "--set", "image.pullPolicy=Never",
            "--set", "sampling.hz=97", "--set", "config.sampling.window=2s", "--set", "config.discovery.interval=1s",
            # This host is full of other tests' Pythons, of which only those in pods count.
            "--set-json", "config.discovery.select=" + json.dumps(
                [{"action": "keep", "source_labels": ["__meta_process_cgroup"], "regex": "(?s).*kubepods.*"}]),
            "--set", "config.sampling.overhead.cpu=100%", "--set", "config.sampling.overhead.memory=1GiB",
            "--set", "exporters[0].type=parca", "--set", f"exporters[0].url={parca.exporter()['url']}"]


@pytest.fixture(scope="session")
def chart(node, helm, values):
    """The release `agent` in the namespace `profiling`, rolled out."""
    node.kubectl("create", "namespace", "profiling")
    node.kubectl("label", "namespace", "profiling", "pod-security.kubernetes.io/enforce=privileged",
                 "pod-security.kubernetes.io/warn=restricted")
    helm("install", "agent", CHART, "--namespace", "profiling", "--wait", "--timeout", "90s", *values)
    return "agent-pystrobe"


@pytest.fixture
def load():
    """load(url): requests on it until the test ends."""
    with requests() as start:
        yield start
