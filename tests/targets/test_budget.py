"""sampling.overhead.memory: what the agent does when it is nearly used up."""
import json
import re
import time
from pathlib import Path

import pytest

from lib import pythons
from lib.waiting import wait_until

WORKLOAD = Path(__file__).resolve().parent.parent / "workloads" / "many_functions.py"
MIB = 1 << 20


def memory(one):
    return one.metrics()["pystrobe_overhead_memory_bytes"] / MIB


def chain_of(names):
    """(chain, level) of the workload's functions on a stack, root first."""
    found = [re.match(r"function_(\d+)_(\d+)_", name) for name in names]
    return [(match[1], int(match[2])) for match in found if match]


@pytest.mark.unsanitized(reason="a sanitizer's own memory is more than the bound")
def test_caches_are_shed_before_memory_is_used_up_and_stacks_stay_whole(agent, start_python):
    """Without a bound this takes 57 MiB. Between two looks it may grow past the bound for a moment, but not by much."""
    process = start_python(pythons.system_python(), WORKLOAD, 450, stdout=-1)
    assert process.stdout.readline() == b"made\n"
    only = [{"action": "keep", "source_labels": ["__meta_process_pid"], "regex": str(process.pid)}]
    with agent({"sampling": {"hz": 100, "window": "1s", "modes": ["wall"], "overhead": {"cpu": "100%", "memory": "32MiB"}},
                "discovery": {"select": only}}) as one:
        one.wait_ready()
        wait_until(lambda: one.metric("pystrobe_budget_steps_total", step="caches") > 0, 60, "caches to be shed")
        missed, until = one.metrics()['pystrobe_code_cache_lookups_total{result="miss"}'], time.monotonic() + 60
        while one.metrics()['pystrobe_code_cache_lookups_total{result="miss"}'] < missed + 20000:
            assert memory(one) < 36 and time.monotonic() < until
            time.sleep(0.2)
        wait_until(lambda: memory(one) < 32, 30, "memory within its bound")
        assert one.metric("pystrobe_budget_steps_total", step="interval") == 0
        assert one.metric("pystrobe_budget_share", what="caches") < 1
        budget = json.loads(one.get("/debug/targets?format=json")[1])["budget"]
        assert budget["caches"] < 1 and budget["rate"] == budget["targets"] == 1
        assert "To stay inside sampling.overhead" in one.get("/debug/targets?format=html")[1]
        stacks = [chain_of(sample.names()) for profile in one.read_profiles("wall")[-5:] for sample in profile.samples]
        assert sum(1 for levels in stacks if levels) > 20
        for levels in stacks:
            assert len({number for number, _ in levels}) <= 1 and [level for _, level in levels] == list(range(len(levels)))
