"""The image under a real Docker engine: as the agent of a node, as a sidecar with and without a capability, as entry point; and
under podman, as the first two.
"""
import json
import re

import pytest
import servers
import yaml

from lib import places, podman
from lib.agent import free_port
from lib.docker import AGENT, BASE, SANDBOX
from lib.waiting import wait_until

FUNCTIONS = {"price_basket", "render_page"}
SYS_PTRACE = 1 << 19


@pytest.fixture(scope="module")
def parca():
    with servers.start_parca() as backend:
        yield backend


@pytest.fixture
def containers(docker):
    """run(name, image, *command, options=[]) -> id of a container that ends with the test; its log is shown on failure."""
    started = []

    def run(name, image, *command, options=()):
        started.append(name)
        return docker.run("run", "-d", "--name", name, "--network", "host", *options, image, *command).stdout.strip()

    yield run
    for name in started:
        print(f"--- {name}\n{docker.run('logs', name, check=False).stderr[-3000:]}")
        docker.run("rm", "-f", name, check=False)


@pytest.fixture
def web(containers, load):
    """web(service, options=[]) -> id of a gunicorn container with two workers and requests on it."""

    def start(service, options=(), before=()):
        port = free_port()
        words = [*before, "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "--chdir", "/srv", "--worker-tmp-dir", "/dev/shm",
                 "webapp:application"]
        found = containers(f"web-{service}", BASE, *words, options=[
            "-e", f"OTEL_SERVICE_NAME={service}", "-v", f"{places.TESTS / 'workloads'}:/srv:ro", *options])
        load(f"http://127.0.0.1:{port}/")
        return found

    return start


@pytest.fixture
def config(tmp_path, parca):
    """config(**settings) -> options that mount a configuration with this Parca into a container."""

    def write(**settings):
        # This host is full of other tests' Pythons, of which none counts here.
        select = [{"action": "keep", "source_labels": ["service_name"], "regex": ".*-shop"}]
        text = {"sampling": {"hz": 97, "window": "2s", "modes": ["cpu"], "overhead": {"cpu": "100%"}},
                "discovery": {"interval": "1s", "min_age": "0s", "select": select},
                "server": {"listen": f"127.0.0.1:{free_port()}"}, "exporters": [parca.exporter()], **settings}
        path = tmp_path / "pystrobe.yaml"
        path.write_text(yaml.safe_dump(text), encoding="utf-8")
        path.chmod(0o644)
        return ["-v", f"{path}:/pystrobe.yaml:ro"]

    return write


def wait_for_functions(parca, service):
    return wait_until(lambda: FUNCTIONS <= set(parca.functions(service, "cpu")), 60, f"{service}'s functions in Parca", interval=0.5)


def effective_capabilities(docker, name):
    """CapEff of every process of a container."""
    found = {}
    for line in docker.run("top", name, "-eo", "pid,args").stdout.splitlines()[1:]:
        pid, _, command = line.strip().partition(" ")
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            text = status.read()
        found[command] = int(re.search(r"CapEff:\s*(\w+)", text)[1], 16)
        assert "NoNewPrivs:\t1" in text and "Seccomp:\t2" in text, (command, text)
    return found


def test_the_image_as_agent_of_a_node_profiles_another_container(docker, containers, web, config, parca):
    web("node-shop")
    containers("agent-node", AGENT, "agent", "--config", "/pystrobe.yaml", options=["--pid=host", *SANDBOX, *config()])
    wait_for_functions(parca, "node-shop")
    capabilities = effective_capabilities(docker, "agent-node")
    assert len(capabilities) == 4 and set(capabilities.values()) <= {0, SYS_PTRACE}, capabilities
    assert docker.run("exec", "agent-node", "/usr/bin/pystrobe", "doctor", "--config", "/pystrobe.yaml", "--ready").returncode == 0
    docker.run("stop", "-t", "10", "agent-node")
    assert json.loads(docker.run("inspect", "agent-node").stdout)[0]["State"]["ExitCode"] == 0


def test_the_image_as_sidecar_survives_a_restart_of_the_application(docker, containers, web, config, parca):
    web("side-shop")
    containers("agent-side", AGENT, "agent", "--config", "/pystrobe.yaml", options=[
        "--pid=container:web-side-shop", *SANDBOX, *config()])
    wait_for_functions(parca, "side-shop")


def test_a_sidecar_with_the_applications_uid_needs_no_capability(docker, containers, web, config, parca):
    web("uid-shop", options=["--user", "10001", "--cap-drop", "ALL"])
    containers("agent-uid", AGENT, "agent", "--config", "/pystrobe.yaml", options=[
        "--pid=container:web-uid-shop", "--user", "10001", "--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges",
        *config()])
    wait_for_functions(parca, "uid-shop")
    assert set(effective_capabilities(docker, "agent-uid").values()) == {0}
    assert "may not be read" not in docker.run("logs", "agent-uid").stderr, "the agent's own roles are no denied targets"


def test_the_static_file_as_entry_point_profiles_its_program_and_passes_its_status_on(docker, web, config, parca):
    binary = places.REPOSITORY / "build" / "static" / "pystrobe"
    web("entry-shop", options=["--user", "10001", "--cap-drop", "ALL", "-v", f"{binary}:/usr/bin/pystrobe:ro", *config()],
        before=["pystrobe", "agent", "--config", "/pystrobe.yaml", "--"])
    wait_for_functions(parca, "entry-shop")
    docker.run("stop", "-t", "10", "web-entry-shop")
    assert json.loads(docker.run("inspect", "web-entry-shop").stdout)[0]["State"]["ExitCode"] == 0


def test_the_container_id_of_a_target_is_shown(docker, containers, web, config):
    found = web("id-shop")
    containers("agent-id", AGENT, "agent", "--config", "/pystrobe.yaml", options=["--pid=host", *SANDBOX, *config()])
    wait_until(lambda: any(row["container"] and found.startswith(row["container"]) for row in json.loads(
        docker.run("exec", "agent-id", "/usr/bin/pystrobe", "ps", "--json").stdout)), 20, "the container's id in ps")


@pytest.fixture
def other_engine(docker, tmp_path):
    """podman with the image that Docker has built."""
    engine = podman.Engine()
    try:
        docker.run("save", "-o", tmp_path / "agent.tar", AGENT)
        engine.load(tmp_path / "agent.tar")
        yield engine
        print("".join(engine.run("logs", name, check=False).stdout[-3000:] for name in ("agent-node", "agent-side", "web-pod")))
    finally:
        engine.stop()


def test_the_image_under_podman_profiles_another_container_as_agent_of_a_node_and_as_its_sidecar(other_engine, config, parca, load):
    port = free_port()
    other_engine.run_base("web-pod", "/usr/bin/gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "--chdir", "/srv", "--worker-tmp-dir",
                          "/dev/shm", "webapp:application", network="host",
                          options=["-e", "OTEL_SERVICE_NAME=pod-shop", "-v", f"{places.TESTS / 'workloads'}:/srv:ro"])
    load(f"http://127.0.0.1:{port}/")
    for role, shared in (("node", "host"), ("side", "container:web-pod")):
        name = f"agent-{role}"
        other_engine.run_image(name, AGENT, "agent", "--config", "/pystrobe.yaml", options=[
            f"--pid={shared}", *SANDBOX, *config(labels={"role": role})])
        wait_until(lambda role=role: FUNCTIONS <= set(parca.functions("pod-shop", "cpu", role=role)), 60,
                   f"the functions, from the {role}'s agent", interval=0.5)
        other_engine.run("exec", name, "/usr/bin/pystrobe", "doctor", "--config", "/pystrobe.yaml", "--ready")
        other_engine.run("stop", "-t", "10", name)
        assert other_engine.run("inspect", "-f", "{{.State.ExitCode}}", name).stdout.split()[-1] == "0"


def test_the_image_for_another_machine_holds_that_machines_file(docker, tmp_path):
    for machine in ("amd64", "arm64"):
        (tmp_path / "build" / f"linux-{machine}").mkdir(parents=True)
        (tmp_path / "build" / f"linux-{machine}" / "pystrobe").write_text(f"for {machine}", encoding="ascii")
    docker.run("build", "--network", "host", "--platform", "linux/arm64", "-f", places.REPOSITORY / "deploy/docker/Dockerfile", "--build-arg",
               f"BASE_IMAGE={BASE}", "--build-arg", "BINARY=prebuilt", "-t", "pystrobe-test/arm64", tmp_path)
    assert docker.run("inspect", "-f", "{{.Architecture}}", "pystrobe-test/arm64").stdout.strip() == "arm64"
    made = docker.run("create", "--platform", "linux/arm64", "pystrobe-test/arm64").stdout.strip()
    docker.run("cp", f"{made}:/usr/bin/pystrobe", tmp_path / "copied")
    docker.run("rm", made)
    assert (tmp_path / "copied").read_text(encoding="ascii") == "for arm64"
