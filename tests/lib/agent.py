"""A running agent of the tests: own configuration, own port, own folders, always ended."""
import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from lib import places, pprof
from lib.waiting import wait_exit, wait_until


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def yaml_text(settings, indent=0) -> str:
    """Nested dicts and lists as YAML (JSON scalars are YAML scalars)."""
    pad = "  " * indent
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            lines.append(f"{pad}{key}:\n{yaml_text(value, indent + 1)}")
        else:
            lines.append(f"{pad}{key}: {json.dumps(value)}\n")
    return "".join(lines)


class Agent:
    """`pystrobe agent` with a configuration of its own below `folder`.

    settings: nested dict, laid over the defaults of the tests. exporters: list of dicts; a file exporter into
    `profiles` is added unless files=False. args: further words of the command line. user: a uid to run as.
    """

    def __init__(self, folder, settings=None, exporters=(), files=True, args=(), env=None, program=(), port=None, user=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.profiles = self.folder / "profiles"
        self.log = self.folder / "agent.log"
        self.port = port or free_port()
        self.config = self.folder / "pystrobe.yaml"
        self.write_config(settings or {}, exporters, files)
        words = [str(places.binary()), "agent", "--config", str(self.config), *map(str, args)]
        if program:
            words += ["--", *map(str, program)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "PYROSCOPE_", "PARCA_"))}
        environment.update(env or {})
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            env=environment, user=user, group=user, extra_groups=None if user is None else [])

    def write_config(self, settings, exporters=(), files=True):
        base = {
            "sampling": {"window": "2s"},
            "discovery": {"interval": "1s", "min_age": "0s"},
            "store": {"directory": str(self.folder / "store")},
            "spool": {"directory": str(self.folder / "spool")},
            "server": {"listen": f"127.0.0.1:{self.port}"},
        }
        for key, value in settings.items():
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                base[key].update(value)
            else:
                base[key] = value
        rows = list(exporters)
        if files:
            rows.append({"type": "file", "name": "files", "directory": str(self.profiles)})
        base["exporters"] = rows
        self.config.write_text(yaml_text(base), encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def url(self, path="/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path, timeout=10):
        """(status, text); status 0 while nobody answers."""
        try:
            with urllib.request.urlopen(self.url(path), timeout=timeout) as reply:
                return reply.status, reply.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except OSError:
            return 0, ""

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, timeout=30):
        def ready():
            assert self.alive(), f"the agent ended with {self.process.returncode}:\n{self.output()}"
            return self.get("/readyz")[0] == 200

        wait_until(ready, timeout, "the agent to be ready")
        return self

    def metrics(self) -> dict:
        """'name{labels}' -> number."""
        status, text = self.get("/metrics")
        assert status == 200, f"/metrics answered {status}"
        found = {}
        for line in text.splitlines():
            match = re.match(r"([A-Za-z_:][\w:]*(?:\{.*\})?) (\S+)$", line)
            if match:
                found[match[1]] = float(match[2])
        return found

    def metric(self, name, **labels) -> float:
        """Sum of a metric over every series that carries these labels."""
        total = 0.0
        for series, value in self.metrics().items():
            base, _, rest = series.partition("{")
            if base == name and all(f'{key}="{wanted}"' in rest for key, wanted in labels.items()):
                total += value
        return total

    def targets(self) -> list:
        """/debug/targets as JSON."""
        request = urllib.request.Request(self.url("/debug/targets"), headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            answer = json.loads(reply.read())
        return answer["targets"] if isinstance(answer, dict) else answer

    def wait_target(self, pid, timeout=30) -> dict:
        """The row of a process, once it is there."""

        def row():
            assert self.alive(), f"the agent ended with {self.process.returncode}:\n{self.output()}"
            try:
                return next((target for target in self.targets() if target["pid"] == pid), None)
            except OSError:
                return None

        return wait_until(row, timeout, f"pid {pid} to be a target")

    def read_profiles(self, mode=None) -> list:
        """What the file exporter has written so far."""
        found = pprof.load_folder(self.profiles) if self.profiles.exists() else []
        return [profile for profile in found if mode is None or profile.mode == mode]

    def wait_profiles(self, count=1, mode=None, timeout=40) -> list:
        def enough():
            assert self.alive(), f"the agent ended with {self.process.returncode}:\n{self.output()}"
            found = self.read_profiles(mode)
            return found if len(found) >= count else None

        return wait_until(enough, timeout, f"{count} profiles", interval=0.2)

    def stop(self, number=signal.SIGTERM, timeout=10) -> int:
        """Ends the agent as a person would and returns its status."""
        if self.alive():
            self.process.send_signal(number)
        return wait_exit(self.process, timeout)

    def kill(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
