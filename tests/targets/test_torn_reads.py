"""Targets that change their stacks as fast as they can: no impossible path is reported, nearly all samples are kept,
and it is the validation that does it.

Each load is sampled in several short runs, each with an attachment of its own, and judged by all of them together: a
count fails when what is promised would bring it by chance less than once in a million times. Nothing is tried again to
get a better answer. What a busy machine does to the target, the oracle sees by itself: a stack that stands still is one
observation. Only where that leaves too few, because the target hardly ran, are there further runs, RUNS_MAX at most.

PYSTROBE_TORN_SECONDS=60 samples each load for a minute.
"""
import json
import os

import pytest

from lib import binomial, places, pythons, walker
from lib.scale import JUDGED, scaled

SECONDS = float(os.environ.get("PYSTROBE_TORN_SECONDS", scaled(0.6, 0.2)))
RUNS, RUNS_MAX, ENOUGH = scaled((3, 12, 20000), (1, 3, 100))
IMPOSSIBLE = 1e-4
# What may be [torn]: plain calls; coroutines; generators without a pause, which have no caller between two resumptions.
TORN = {"gens": 2e-2, "tasks": 5e-3}
TORN_PLAIN = 1e-3
LOADS = ["flutter", "gens", "fib", "normal", "deep", "callbacks", "tasks", "calling"]
SINCE = {"tasks": (3, 7), "calling": (3, 11)}  # before 3.11 no frame lies in one piece with another
ATTACHMENTS = scaled(30, 5)
CHAINED = [pythons.find(minor) for minor in scaled(("3.8", "3.11", "3.13", "3.14", "3.15"), ("3.8", "3.11", "3.15"))]

pytestmark = pytest.mark.serial


def add(total, counts):
    for name in ("stacks", "kept", "impossible", "torn", "trimmed", "still", "overlong"):
        total[name] = total.get(name, 0) + counts[name]
    total.setdefault("examples", []).extend(counts["examples"])
    for name in ("mean_depth", "calls_per_stack"):
        total[name] = total.get(name, 0) + counts[name]
    total["runs"] = total.get("runs", 0) + 1
    total.setdefault("us", []).append(counts["cpu_us_per_stack"])
    return total


def pooled(run, target, edges, *mode, seconds=SECONDS, runs=RUNS, enough=ENOUGH):
    total, done = {}, 0
    while done < runs or (total["stacks"] < enough and done < RUNS_MAX):
        add(total, run(target, edges, *mode, seconds=seconds / runs))
        done += 1
    if done > runs:
        print(f"{done - runs} further runs: the target hardly ran, {total['still']} samples met it standing still")
    return total


def possible(counts):
    return binomial.holds(counts["impossible"], counts["stacks"], IMPOSSIBLE)


def show(python, load, good, naked):
    us = sorted(good["us"])[len(good["us"]) // 2]
    print(f"{python} {load}: {good['stacks']} stacks (and {good['still']} still), {good['impossible']} impossible, "
          f"{100 * good['torn'] / good['stacks']:.3f}% torn, {100 * good['trimmed'] / good['stacks']:.1f}% trimmed, "
          f"{good['overlong']} reads interrupted, {us:.1f} us; "
          f"without validation {naked['impossible']} of {naked['stacks']} impossible")


def loads_for(python):
    return [load for load in LOADS if python.info >= SINCE.get(load, (2, 7))]


def come_first(pid):
    """Where the machine lets us: the target runs while it is read, whoever else is there."""
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass


def minors(*but):
    """Once per minor, but for those that are read exactly as another is: these tests run alone and take their time. Under a
    sanitizer one of each kind of stack."""
    chosen = [one for one in pythons.one_per_minor() if one.minor not in but]
    kinds = [one for one in chosen if one.minor in ("2.7", "3.10", "3.11", "3.14", "3.15")]
    return pytest.mark.parametrize("minor_python", scaled(chosen, kinds), ids=str)


@pytest.fixture
def oracle(start_python, tmp_path):
    """run(python, load, mode...) -> the oracle's counts. Each has a CPU of its own: a target that was taken off its CPU
    in the middle of a call stands in an unfinished stack for as long as the sampler runs there."""
    mine = sorted(os.sched_getaffinity(0))

    def start(python, load):
        edges = tmp_path / f"edges-{load}"
        target = start_python(python, places.TESTS / "workloads" / "walker_loads.py", load, edges)
        walker.wait_for(edges, target)
        os.sched_setaffinity(target.pid, mine[:1])
        come_first(target.pid)
        return target, edges

    def run(target, edges, *mode, seconds=SECONDS):
        return json.loads(walker.run("walk_oracle", target.pid, edges, seconds, *mode, timeout=seconds + 60))

    os.sched_setaffinity(0, mine[-1:])  # inherited by the oracle
    yield start, run
    os.sched_setaffinity(0, mine)


@minors("3.6")
def test_no_impossible_path_and_without_validation_many(minor_python, oracle):
    start, run = oracle
    seen = False
    for load in loads_for(minor_python):
        target, edges = start(minor_python, load)
        good = pooled(run, target, edges)
        naked = pooled(run, target, edges, "unvalidated", seconds=0.2, runs=1, enough=2000)
        target.kill()
        show(minor_python, load, good, naked)
        seen = seen or not possible(naked)
        assert good["stacks"] >= scaled(1000, 20), "the target did not run"
        assert possible(good), good["examples"]
        if JUDGED:
            assert binomial.holds(good["torn"], good["stacks"], TORN.get(load, TORN_PLAIN)), f"{good['torn']} torn"
    assert seen or not JUDGED, "the oracle does not see what the validation prevents"


@minors("3.12", "3.13", "3.14", "3.15")  # whose stacks say themselves where they end
def test_an_attachment_in_the_middle_of_a_recursion_learns_no_wrong_root(minor_python, oracle):
    start, run = oracle
    target, edges = start(minor_python, "fib")
    total = {"attachments": 0, "wrong_attachments": 0}
    for _ in range(RUNS_MAX):
        counts = run(target, edges, "attaching", seconds=0.4)
        add(total, counts)
        for name in ("attachments", "wrong_attachments"):
            total[name] += counts[name]
        if total["attachments"] >= 2 * ATTACHMENTS:
            break
    print(f"{minor_python}: {total['attachments']} attachments, {total['stacks']} stacks, {total['still']} still")
    assert total["attachments"] >= ATTACHMENTS
    assert possible(total), total["examples"]
    assert total["kept"] >= scaled(0.98, 0.5) * total["stacks"]


@pytest.mark.parametrize("python", CHAINED, ids=str)
@pytest.mark.parametrize("load, depth", [("chain_for", 200), ("chain_yield", 200), ("chain_await", 300)])
def test_a_long_chain_of_generators_or_coroutines_is_shown_whole_while_it_stands(python, load, depth, oracle):
    start, run = oracle
    target, edges = start(python, load)
    total = pooled(run, target, edges, "paced", seconds=scaled(1.2, 0.4), enough=scaled(300, 20))
    print(f"{python} {load}: {total['stacks']} stacks, {total['torn']} torn, {total['trimmed']} trimmed, "
          f"{total['mean_depth'] / total['runs']:.0f} deep, {max(total['us']):.0f} us, "
          f"{total['calls_per_stack'] / total['runs']:.1f} calls")
    assert possible(total), total["examples"]
    if not JUDGED:
        return
    # At each yield all of the chain moves: a moment of some milliseconds.
    assert total["torn"] + total["trimmed"] <= 0.1 * total["stacks"]
    assert total["mean_depth"] / total["runs"] > 0.85 * depth
    assert total["calls_per_stack"] / total["runs"] <= 4


@minors("3.7")
def test_leaves_are_shared_out_as_the_targets_own_clocks_say(minor_python, oracle):
    start, run = oracle
    target, edges = start(minor_python, "shares10")
    clocks = edges.with_name(edges.name + ".shares")
    walker.wait_for(clocks, target)
    before = spent(clocks)
    counts = run(target, edges, "paced", seconds=max(scaled(2.0, 0.3), SECONDS))
    after = spent(clocks)
    assert possible(counts), counts["examples"]
    if not JUDGED:
        return
    total = sum(after[name] - before[name] for name in after)
    samples = sum(counts["leaves"].get(name, 0) for name in after)
    print(f"{minor_python}: " + ", ".join(f"{name} {counts['leaves'].get(name, 0) / samples:.3f} for "
                                          f"{(after[name] - before[name]) / total:.3f}" for name in after))
    for name in after:
        got, want = counts["leaves"].get(name, 0) / samples, (after[name] - before[name]) / total
        error = (want * (1 - want) / samples) ** 0.5
        assert abs(got - want) < 0.02 + 3 * error, f"{name}: sampled {got:.3f}, the target's clock says {want:.3f}"


def distance(leaves, others):
    """Total variation between two distributions."""
    names, mine, theirs = set(leaves) | set(others), sum(leaves.values()), sum(others.values())
    return sum(abs(leaves.get(name, 0) / mine - others.get(name, 0) / theirs) for name in names) / 2


@minors(*(f"{one.minor}" for one in pythons.one_per_minor() if one.info < (3, 11)))  # whose frames are read one by one
def test_functions_shorter_than_a_read_keep_their_share_as_a_stopped_run_says(minor_python, oracle):
    start, run = oracle
    target, edges = start(minor_python, "flutter")
    stopped = run(target, edges, "stopped", seconds=scaled(1.0, 0.3))
    paced = run(target, edges, "paced", seconds=max(scaled(2.0, 0.3), SECONDS))
    off = distance(paced["leaves"], stopped["leaves"])
    print(f"{minor_python}: {100 * off:.1f} points off, {paced['stacks']} stacks beside {stopped['stacks']} of the stopped target")
    assert possible(paced), paced["examples"]
    assert min(paced["stacks"], stopped["stacks"]) > scaled(300, 10), "the target hardly ran"
    assert off < scaled(0.2, 1)  # 0.5 and more when what moves is charged to its caller


def spent(path):
    return {name: float(value) for name, value in (item.split("=") for item in path.read_text().split())}


@minors("3.6", "3.7")
def test_code_objects_made_and_freed_at_the_same_address_keep_their_own_names(minor_python, oracle):
    start, run = oracle
    target, edges = start(minor_python, "remake")
    counts = run(target, edges, seconds=max(scaled(1.0, 0.3), SECONDS))
    assert counts["stacks"] + counts["still"] > scaled(500, 20)
    assert possible(counts), counts["examples"]
