"""Fixtures of the interop tests: the program that sends profiles through the exporters."""
import json
import os
import re
import subprocess

import pytest
import yaml

from lib import places


def push_program():
    named = os.environ.get("PYSTROBE_EXPORTER_PUSH")
    return named or str(places.binary().parent / "exporter_push")


class Result:
    """What exporter_push said: exporters {name: {...}}, seconds, stop_seconds, stderr, metric(...)."""

    def __init__(self, done):
        answer = json.loads(done.stdout)
        self.exporters, self.seconds, self.stop_seconds = (
            answer["exporters"], answer["seconds"], answer["stop_seconds"])
        self.metrics, self.metrics_after_stop = answer["metrics"], answer["metrics_after_stop"]
        self.stderr = done.stderr

    def metric(self, name, **labels):
        """Sum of a metric's values whose labels include these."""
        total = 0.0
        for line in self.metrics.splitlines():
            found = re.fullmatch(rf"pystrobe_{name}(\{{(.*)\}})? (\S+)", line)
            if found and all(f'{key}="{value}"' in (found[2] or "") for key, value in labels.items()):
                total += float(found[3])
        return total

    def dropped(self):
        """{reason: count} over all exporters, the end included."""
        return {reason: float(value) for reason, value in re.findall(
            r'pystrobe_export_dropped_profiles_total\{.*reason="([^"]*)".*\} (\S+)', self.metrics_after_stop)}

    def retried(self):
        """{reason: count} over all exporters, before the end tried once more."""
        return {reason: float(value) for reason, value in re.findall(
            r'pystrobe_export_retried_profiles_total\{.*reason="([^"]*)".*\} (\S+)', self.metrics)}


@pytest.fixture
def push(tmp_path):
    """push(exporters, *arguments, environment={}) -> Result: sends through a configuration with these entries."""

    def start(exporters, *arguments, environment=None, **popen):
        entries = [exporters] if isinstance(exporters, dict) else exporters
        config = tmp_path / f"config-{len(list(tmp_path.glob('config-*')))}.yaml"
        spool = {"directory": str(config.with_suffix(".spool"))}
        config.write_text(yaml.safe_dump({"spool": spool, "exporters": entries}), encoding="utf-8")
        clean = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        clean.update(environment or {})
        return subprocess.Popen([push_program(), "--config", str(config), *map(str, arguments)], env=clean,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)

    def run(exporters, *arguments, environment=None, timeout=60):
        process = start(exporters, *arguments, environment=environment)
        try:
            out, err = process.communicate(timeout=timeout * float(os.environ.get("PYSTROBE_SLOW", "1")))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        assert process.returncode == 0, f"exit {process.returncode}: {err}"
        return Result(subprocess.CompletedProcess(process.args, 0, out, err))

    run.start = start
    return run
