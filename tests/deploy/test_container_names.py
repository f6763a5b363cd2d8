"""Containers of a real engine, Docker's or podman's, from outside: their names from its socket, which an agent may find after it
has started, and the native frames of what runs in them; and the agent in a container of podman's.
"""
import json
import shutil
import subprocess

import pytest

from lib import docker, places, podman
from lib.waiting import wait_until

BUSY = "while True:\n    sum(range(1000))\n"


ONLY_DOCKER = pytest.mark.parametrize("engine", [docker], ids=["docker"], indirect=True)
ONLY_PODMAN = pytest.mark.parametrize("engine", [podman], ids=["podman"], indirect=True)


@pytest.fixture(scope="module", params=[docker, podman], ids=["docker", "podman"])
def engine(request):
    """A running Engine without the agent's image."""
    made = request.param.Engine()
    try:
        yield made.start()
    finally:
        made.stop()


def labels_of(agent, pid):
    status, text = agent.get("/debug/targets")
    rows = json.loads(text)["targets"] if status == 200 else []
    return next((row["labels_after"] for row in rows if row["pid"] == pid), {})


def test_the_engine_names_its_containers(agent, engine):
    link = engine.folder / "later.sock"
    settings = {"discovery": {"interval": "1s", "min_age": "0s", "containers": {"docker": str(link)}}}
    try:
        with agent(settings) as one:
            one.wait_ready()
            for name, options in (("plain", ()), ("composed", ("--label", "com.docker.compose.service=front"))):
                engine.run_base(f"names-{name}", "python3", "-c", BUSY, options=options)
            plain, composed = engine.pid_of("names-plain"), engine.pid_of("names-composed")
            wait_until(lambda: labels_of(one, plain), 30, "the container to be found")
            assert "container" not in labels_of(one, plain)  # nobody can be asked yet
            link.symlink_to(engine.socket)
            wait_until(lambda: labels_of(one, plain).get("service_name") == "names-plain", 60, "the name of a container")
            wait_until(lambda: labels_of(one, composed).get("service_name") == "front", 60, "the service of compose")
            assert labels_of(one, composed)["container"] == "names-composed"
    finally:
        link.unlink(missing_ok=True)
        engine.run("rm", "-f", "names-plain", "names-composed", check=False)


RING = "shop::Till<int>::ring(void (*)())"


@pytest.fixture
def parked_inside(engine, tmp_path):
    """(pid, folder) of a program that stands still in a library which only its container has under that name."""
    native = places.TESTS / "workloads" / "native"
    shutil.copy(native / "park.py", tmp_path)
    subprocess.run(["g++", "-g", "-O1", "-shared", "-fPIC", str(native / "shapes.cpp"), "-o", str(tmp_path / "shapes.so")], check=True,
                   timeout=120)
    engine.run("run", "-d", "--name", "parked", "--network", "none", "-v", f"{tmp_path}:/inside", engine.import_base(), "python3",
               "/inside/park.py", "ring", "/inside")
    wait_until(lambda: "parked" in engine.run("logs", "parked").stdout, 60, "the program to stand still")
    yield engine.pid_of("parked"), tmp_path
    engine.run("rm", "-f", "parked", check=False)


def native_names(pystrobe, pid):
    done = subprocess.run([str(pystrobe), "dump", "--native", "--json", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    thread = json.loads(done.stdout)[0]
    assert thread["native"] == "ok" and thread["frames"][-1]["name"] == "<module>", thread
    return {frame["name"]: frame["module"] for frame in thread["frames"] if frame.get("native")}


@ONLY_DOCKER
def test_native_frames_are_named_by_the_files_inside_a_container(pystrobe, parked_inside):
    pid, folder = parked_inside
    found = native_names(pystrobe, pid)
    assert found[RING] == "/inside/shapes.so", found
    assert any("sleep" in name and "/libc" in module for name, module in found.items()), found
    (folder / "shapes.so").unlink()
    found = native_names(pystrobe, pid)
    assert found["shapes_ring"] == "/inside/shapes.so", found


@ONLY_PODMAN
def test_the_static_file_in_a_container_of_podman_reads_another(engine, tmp_path):
    root = tmp_path / "root"
    for name in ("usr/bin", "var/lib/pystrobe", "tmp", "etc", "proc", "dev", "sys", "run"):
        (root / name).mkdir(parents=True)
    shutil.copy(places.REPOSITORY / "build/static/pystrobe", root / "usr/bin/pystrobe")
    engine.run_base("busy", "python3", "-c", BUSY)
    sandbox = [word for word in docker.SANDBOX if word != "--read-only"]  # podman takes no such root with --rootfs
    engine.run_root("agent", root, "/usr/bin/pystrobe", "agent", options=["--pid=host", *sandbox])
    found = engine.run("inspect", "-f", "{{.Id}}", "busy").stdout.split()[-1]

    def row():
        said = engine.run("exec", "agent", "/usr/bin/pystrobe", "ps", "--json", check=False).stdout
        rows = json.loads(said) if said.startswith(("[", "{")) else []
        return next((one for one in rows if one["pid"] == engine.pid_of("busy")), None)

    seen = wait_until(row, 30, "the busy container among the targets")
    assert found.startswith(seen["container"]) and seen["container"], seen
    assert seen["state"] == "ready", seen
