"""discovery.select, discovery.relabel, sampling.share and sampling.enabled on real processes: `ps --why` and the agent."""
import json
import subprocess

import pytest

from lib.waiting import wait_until

BUSY = "import sys\nprint('up', flush=True)\nwhile True:\n    sum(range(1000))\n"


@pytest.fixture
def busy(processes):
    """busy(name) -> a working Python process with that service name."""

    def start(name):
        env = {"PATH": "/usr/bin:/bin", "OTEL_SERVICE_NAME": name}
        process = processes(["/usr/bin/python3", "-c", BUSY], env=env, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"up\n"
        return process

    return start


def targets(agent):
    status, text = agent.get("/debug/targets")
    return {row["pid"]: row for row in json.loads(text)["targets"]} if status == 200 else {}


def wait_row(agent, pid, **wanted):
    def there():
        row = targets(agent).get(pid)
        return row and all(row[key] == value for key, value in wanted.items()) and row

    return wait_until(there, 30, f"pid {pid} with {wanted}")


RULES = {
    "select": [{"action": "drop", "source_labels": ["service_name"], "regex": "back.*"}],
    "relabel": [
        {"source_labels": ["__meta_python_version"], "regex": r"(\d+)\.(\d+).*", "target_label": "python", "replacement": "$1.$2"},
        {"action": "drop", "source_labels": ["service_name"], "regex": "third"},
        {"source_labels": ["service_name"], "regex": "front-(.*)", "target_label": "service_name", "replacement": "shop-$1"},
        {"source_labels": ["service_name"], "regex": "shop-.*", "target_label": "__profile_hz__", "replacement": "50"},
        {"action": "labeldrop", "regex": "__meta_.*"},
    ],
}


def test_rules_choose_and_name_processes(agent, busy):
    front, back, third = busy("front-1"), busy("back-1"), busy("third")
    with agent({"sampling": {"window": "2s", "overhead": {"cpu": "100%"}},
                "discovery": {"interval": "1s", "min_age": "0s", **RULES}}) as one:
        row = wait_row(one, front.pid, state="active")
        assert row["labels_before"]["service_name"] == "front-1"
        assert row["labels_before"]["__meta_process_pid"] == str(front.pid)
        assert row["labels_after"]["service_name"] == "shop-1" and row["labels_after"]["python"].startswith("3.")
        assert not [name for name in row["labels_after"] if name.startswith("__")]
        assert 'service_name="shop-1" by relabel rule 3 (replace, ' in row["why"]
        wait_until(lambda: targets(one)[front.pid]["rate_hz"] > 35, 30, "the rate that a rule set")
        for pid, reason in ((back.pid, "select"), (third.pid, "relabel")):
            row = wait_row(one, pid, state="skipped", reason=reason)
            assert row["labels_after"] == {} and row["samples"] == 0
            assert f"dropped by {reason} rule " in row["why"], row["why"]
            assert f'service_name="{"back-1" if reason == "select" else "third"}"' in row["why"]
        metrics = one.metrics()
        assert metrics['pystrobe_targets{state="skipped",reason="select"}'] == 1
        assert one.get("/readyz")[0] == 200
        html = one.get("/debug/targets?format=html")[1]
        assert "dropped by select rule 1" in html

        one.write_config({"sampling": {"enabled": False, "window": "2s"}})
        wait_row(one, front.pid, state="skipped", reason="disabled")
        wait_row(one, back.pid, state="skipped", reason="disabled")
        one.write_config({"sampling": {"share": "0%", "window": "2s"}})
        wait_row(one, front.pid, state="skipped", reason="share")
        one.write_config({})
        assert wait_row(one, back.pid, state="active")["labels_after"]["service_name"] == "back-1"


def test_why_says_which_rule_decided(pystrobe, busy, tmp_path):
    front, back = busy("front-1"), busy("back-1")
    config = tmp_path / "rules.yaml"
    config.write_text(json.dumps({"discovery": RULES}), encoding="utf-8")

    def why(process, *words):
        done = subprocess.run([pystrobe, "ps", "--config", config, "--why", str(process.pid), *words], capture_output=True,
                              text=True, timeout=60, check=True)
        return done.stdout

    text = why(front)
    assert f'  __meta_process_pid="{front.pid}"' in text
    assert 'labels sent\n' in text and '  service_name="shop-1"\n' in text
    assert f'service_name="shop-1" by relabel rule 3 (replace, {config}:1:' in text
    assert "labels removed by relabel rule 5 (labeldrop" in text
    text = why(back)
    assert "skipped: select, a rule of discovery.select drops it" in text
    assert f'dropped by select rule 1 (drop, {config}:1:' in text and ': service_name="back-1"' in text
    row = json.loads(why(back, "--json"))
    assert (row["state"], row["reason"], row["labels"], row["service"]) == ("skipped", "select", {}, "back-1")
    assert row["labels_before"]["service_name"] == "back-1"


def test_a_rule_that_would_take_too_much_work_leaves_its_process_alone(pystrobe, processes, tmp_path):
    config = tmp_path / "rules.yaml"
    config.write_text(json.dumps({"discovery": {"select": [
        {"action": "drop", "source_labels": ["__meta_process_cmdline"], "regex": "(.*a)*(.*a)*(.*a)*b"}]}}), encoding="utf-8")
    process = processes(["/usr/bin/python3", "-c", BUSY, "a" * 1500], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    done = subprocess.run([pystrobe, "ps", "--config", config, "--why", str(process.pid), "--json"], capture_output=True,
                          text=True, timeout=60, check=True)
    row = json.loads(done.stdout)
    assert (row["state"], row["reason"], row["labels"]) == ("skipped", "rule_limit", {})
