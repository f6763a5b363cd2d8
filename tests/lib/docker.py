"""A Docker engine of the tests' own: Debian's, on a socket and folders of its own, without bridge or firewall rules, ended
with everything that it started. Images come from root file systems of the cache: no image registry is asked.
"""
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from lib import places, rootfs
from lib.waiting import wait_exit, wait_until

# Debian's client; a newer one on the PATH may want plug-ins that are not here.
CLIENT = "/usr/bin/docker"
BASE = "pystrobe-test/base"
AGENT = "pystrobe-test/agent"
SANDBOX = ["--cap-drop", "ALL", "--cap-add", "SYS_PTRACE", "--read-only", "--security-opt", "no-new-privileges"]


def unmount_below(folder):
    """What an engine left mounted in its folder, then the folder."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        mine = [line.split()[1] for line in mounts if line.split()[1].startswith(str(folder))]
    for mount in reversed(mine):
        subprocess.run(["umount", "-l", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)


class Engine:
    """dockerd; `stop` removes the containers, ends it and unmounts what it left."""

    def __init__(self, folder=None):
        # A socket's path has at most 108 bytes; pytest's folders are longer.
        self.folder = Path(folder or tempfile.mkdtemp(prefix="pystrobe-docker-"))
        self.socket = self.folder / "docker.sock"
        self.log = self.folder / "dockerd.log"
        self._process = None

    def start(self):
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/dockerd", "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
                 "-H", f"unix://{self.socket}", "--pidfile", str(self.folder / "pid"), "--bridge=none", "--iptables=false",
                 "--ip6tables=false", "--storage-driver", "overlay2"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self._alive() and self.run("version", check=False).returncode == 0, 60, "dockerd to answer")
        return self

    def _alive(self):
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        return True

    def run(self, *words, check=True, timeout=300, **kwargs):
        done = subprocess.run([CLIENT, *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False,
                              env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "1"}, **kwargs)
        assert not check or done.returncode == 0, f"docker {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return done

    def import_base(self):
        """Debian 12 with Python and gunicorn."""
        if not self.run("images", "-q", BASE).stdout.strip():
            archive = subprocess.Popen(["tar", "-C", str(rootfs.folder("bookworm")), "-c", "--exclude=./.complete", "."],
                                       stdout=subprocess.PIPE)
            self.run("import", "-", BASE, stdin=archive.stdout)
            archive.stdout.close()
            assert archive.wait(60) == 0
        return BASE

    def run_base(self, name, *command, options=()):
        """A container of the base image."""
        self.run("run", "-d", "--name", name, "--network", "none", *options, self.import_base(), *command)

    def build_agent(self):
        """The project's own image, around the static file that is built already."""
        self.run("build", "--network", "host", "-f", "deploy/docker/Dockerfile", "--build-arg", f"BASE_IMAGE={self.import_base()}",
                 "--build-arg", "BINARY=prebuilt", "-t", AGENT, ".", cwd=places.REPOSITORY)
        return AGENT

    def pid_of(self, container) -> int:
        return int(self.run("inspect", "-f", "{{.State.Pid}}", container).stdout)

    def stop(self):
        if self._process is None:
            return
        if self._process.poll() is None:
            containers = self.run("ps", "-aq", check=False).stdout.split()
            if containers:
                self.run("rm", "-f", *containers, check=False)
            self._process.send_signal(signal.SIGTERM)
            if wait_exit(self._process, 20) is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                wait_exit(self._process)
        self._process = None
        unmount_below(self.folder)
