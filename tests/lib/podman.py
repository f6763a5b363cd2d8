"""Debian's podman as a second engine of the tests' own: its storage in a folder that goes with it, containers straight on a
root file system of the cache (with an overlay, so that it stays as it is), and its socket that speaks Docker's words.

runc, since crun refuses control groups of the hybrid kind; limits are given, since podman's default is above what a machine
without CAP_SYS_RESOURCE may set.
"""
import contextlib
import signal
import subprocess
import tempfile
from pathlib import Path

from lib import rootfs
from lib.docker import unmount_below
from lib.waiting import wait_exit, wait_until

PODMAN = "/usr/bin/podman"
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


class Engine:
    """No daemon: `start` serves its socket, `stop` removes the containers."""

    def __init__(self, folder=None):
        self.folder = Path(folder or tempfile.mkdtemp(prefix="pystrobe-podman-"))
        self.socket = self.folder / "podman.sock"
        self._options = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp", "--runtime",
                         "/usr/sbin/runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "overlay"]
        self._process = None

    def _words(self, *words):
        return [PODMAN, *map(str, self._options), *map(str, words)]

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(self._words("system", "service", "--time", 0, f"unix://{self.socket}"),
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.socket.exists, 60, "podman's socket")
        return self

    def run(self, *words, check=True, timeout=120):
        # Not through a pipe: what watches over a container keeps standard output open.
        with tempfile.TemporaryFile("w+", dir=self.folder) as out:
            done = subprocess.run(self._words(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=timeout, check=False)
            out.seek(0)
            done.stdout = out.read()
        assert not check or done.returncode == 0, f"podman {' '.join(map(str, words))}: {done.stdout}"
        return done

    def run_base(self, name, *command, options=(), network="none"):
        """A container of Debian 12 with Python and gunicorn."""
        self.run_root(name, f"{rootfs.folder('bookworm')}:O", *command, options=options, network=network)

    def run_root(self, name, root, *command, options=(), network="none"):
        self.run("run", "-d", "--name", name, "--network", network, *LIMITS, *options, "--rootfs", root, *command)

    def load(self, archive):
        """Images from what `docker save` wrote."""
        self.run("load", "-i", archive)

    def run_image(self, name, image, *command, options=()):
        """A container of an image, in this machine's network."""
        self.run("run", "-d", "--name", name, "--network", "host", *LIMITS, *options, image, *command)

    def pid_of(self, container) -> int:
        return int(self.run("inspect", "-f", "{{.State.Pid}}", container).stdout.split()[-1])

    def stop(self):
        # A container in whose namespace another one is may refuse to go before that, once for each that depends on it.
        for _ in range(5):
            if self.run("rm", "-f", "-t", "0", "--all", check=False).returncode == 0:
                break
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            if wait_exit(self._process, 10) is None:
                self._process.kill()
                wait_exit(self._process)
        self._process = None
        # What a container's monitor still runs at its end would make the folder anew.
        try:
            wait_until(lambda: not self._at_work(), 20, "podman to be done")
        finally:
            unmount_below(self.folder)

    def _at_work(self) -> bool:
        """Whether a process is there that names the folder."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(self.folder).encode() in entry.read_bytes():
                    return True
        return False
