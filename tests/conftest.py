"""Fixtures that every system test shares: the binary, the Pythons, processes that never outlive their test."""
import json
import os
import signal
import subprocess

import pytest

from lib import notes, places, pythons
from lib.agent import Agent
from lib.waiting import wait_exit

_used = {}
# Under nohup it is ignored, and so it would be by all that tests start; what is handled is not inherited.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def pystrobe():
    """Path of the binary under test."""
    path = places.binary()
    assert path.exists(), f"{path} is not built: ./dev build"
    return path


@pytest.fixture
def processes():
    """start(argv, **popen) -> Popen; whatever still runs at the end of the test is killed, group and all."""
    started = []

    def start(argv, **kwargs):
        kwargs.setdefault("start_new_session", True)
        process = subprocess.Popen([str(word) for word in argv], **kwargs)
        started.append((process, kwargs["start_new_session"]))
        return process

    yield start
    for process, leads in reversed(started):
        try:
            if leads:
                os.killpg(process.pid, signal.SIGKILL)
            elif process.poll() is None:
                process.kill()
        except ProcessLookupError:
            pass
        wait_exit(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start_python(processes):
    """start_python(python, script, *args, env={}, **popen) -> Popen running that script under that build."""

    def start(python, *args, env=None, **kwargs):
        return processes(python.argv(*args), env=python.environment(**(env or {})), **kwargs)

    return start


@pytest.fixture
def agent(pystrobe, tmp_path):
    """agent(settings={}, **Agent's arguments) -> a running Agent, ended with the test; its log is shown on failure."""
    assert pystrobe
    started = []

    def start(settings=None, **kwargs):
        kwargs.setdefault("folder", tmp_path / f"agent-{len(started)}")
        started.append(Agent(settings=settings, **kwargs))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        print(f"--- {one.log}\n{one.output()[-4000:]}")


# What reads these is the code that reads 3.7: other numbers, no other branch. (3.10 has line tables of its own.)
_LIKE_3_7 = ("3.8", "3.9")


def _builds(by_minor):
    """Every build; under a sanitizer, whose subject is our code and not the build, one of each kind that our code tells
    from the others."""
    if not places.sanitized():
        return pythons.one_per_minor() if by_minor else pythons.all_pythons()
    kinds = {(one.minor, one.free_threaded): one for one in reversed(pythons.all_pythons()) if not one.debug}
    return tuple(one for one in kinds.values() if one.minor not in _LIKE_3_7 and not (by_minor and one.free_threaded))


def pytest_generate_tests(metafunc):
    """`python` runs once per build, `minor_python` once per minor version."""
    chosen = metafunc.definition.get_closest_marker("python")
    if "python" in metafunc.fixturenames and not _parametrized(metafunc, "python"):
        builds = [pythons.find(name) for name in chosen.args] if chosen else _builds(False)
        metafunc.parametrize("python", builds, ids=str)
    if "minor_python" in metafunc.fixturenames and not _parametrized(metafunc, "minor_python"):
        metafunc.parametrize("minor_python", _builds(True), ids=str)


def _parametrized(metafunc, name):
    return any(name in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    python = getattr(item, "callspec", None) and (
        item.callspec.params.get("python") or item.callspec.params.get("minor_python"))
    ours = {"pystrobe", "agent"} & set(item.fixturenames) or "targets" in item.path.parts
    if isinstance(python, pythons.Python) and ours and (report.when == "call" or report.outcome != "passed"):
        _used.setdefault(python.name, set()).add(report.outcome)


def pytest_collection_modifyitems(config, items):
    """Leaves tests out of sanitizer runs where they would tell nothing, and says which."""
    if not places.sanitized():
        return
    left = [(item, mark) for item in items if (mark := item.get_closest_marker("unsanitized"))]
    if left:
        config.hook.pytest_deselected(items=[item for item, _ in left])
        items[:] = [item for item in items if not item.get_closest_marker("unsanitized")]
        for name, reason in sorted({(item.originalname, mark.kwargs["reason"]) for item, mark in left}):
            notes.note(f"not under a sanitizer: {name}: {reason}")


def pytest_sessionfinish(session):
    """Hands the builds that ran to the one table that ./dev test prints at its end."""
    path = os.environ.get("PYSTROBE_PYTHONS_RESULTS")
    if path and _used:
        with open(path, "a", encoding="utf-8") as results:
            for name, outcomes in sorted(_used.items()):
                for outcome in sorted(outcomes):
                    results.write(json.dumps({"python": name, "outcome": outcome}) + "\n")


def pytest_terminal_summary(terminalreporter):
    if notes.taken():
        terminalreporter.section("notes")
        for line in notes.taken():
            terminalreporter.write_line(line)
    if _used:
        terminalreporter.section("Pythons")
        for line in pythons.table(_used)[0]:
            terminalreporter.write_line(line)
