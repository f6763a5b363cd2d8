"""Fixtures of the tests with pods: an authority, a service account's folder, processes in a pod's cgroup."""
import subprocess

import pytest

from lib import kube
from lib.waiting import wait_exit

# Some of a CPU: several of them run beside other tests.
BUSY = "import time\nprint('up', flush=True)\nwhile True:\n    sum(range(200000))\n    time.sleep(0.02)\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ca")
    made = kube.Authority(folder)
    made.good = made.leaf("node")
    made.stranger = kube.Authority(folder / "stranger").leaf("node")
    return made


@pytest.fixture
def account(tmp_path, authority):
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text(kube.TOKEN, encoding="utf-8")
    (folder / "ca.crt").write_bytes(authority.cert.read_bytes())
    return folder


@pytest.fixture
def in_pod(processes):
    """in_pod(meanwhile, container_id, inside) -> (process, cgroup): a working Python in a cgroup as a pod's container has it, or one
    that an engine inside of it made; meanwhile() is called while it is still a shell there."""
    made = []

    def start(meanwhile=lambda: None, container_id=None, inside=None, **env):
        cgroup = kube.PodCgroup(container_id, inside)
        # As a runtime does: first into the cgroup, then exec. The first cgroup that a target is seen in stays its own.
        process = processes(["/bin/sh", "-c", 'read go; exec "$@"', "sh", "/usr/bin/python3", "-c", BUSY],
                            env={"PATH": "/usr/bin", **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        made.append((process, cgroup))
        cgroup.put(process.pid)
        meanwhile()
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"up\n"
        return process, cgroup

    yield start
    for process, cgroup in made:
        process.kill()
        wait_exit(process)
        cgroup.remove()
