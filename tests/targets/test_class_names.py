"""Methods under the class of their self or cls, where the version itself has no qualified names."""
import json
import re
import signal
import subprocess

import pytest

from lib.waiting import wait_until

METHODS = """\
import sys


class Old:
    def old(self):
        work(lambda: self)

    @classmethod
    def made(cls):
        cls().old()


class Outer(object):
    class Inner(object):
        def nested(self):
            Old.made()


class Base(object):
    def method(self):
        Outer.Inner().nested()

    @classmethod
    def factory(cls):
        cls().method()


class Derived(Base):
    def celled(self):
        later = lambda: self
        later().factory()


def named(selves):
    Derived().celled()


def work(function):
    print("ready")
    sys.stdout.flush()
    while True:
        pass


named(())
"""

# A call of one class is followed by one of another in the same place, again and again.
TURNS = """\
import sys


class Base(object):
    def run(self):
        self.step()

    def step(self):
        for _ in range(40):
            pass


class First(Base):
    pass


class Second(Base):
    pass


print("ready")
sys.stdout.flush()
while True:
    for one in (First(), Second()):
        one.run()
"""


@pytest.fixture
def target(start_python, tmp_path):
    def start(python, text):
        path = tmp_path / "work.py"
        path.write_text(text, encoding="utf-8")
        process = start_python(python, str(path), stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process
    return start


def names(pystrobe, process, *words):
    done = subprocess.run([pystrobe, "dump", "--json", *words, "--pid", str(process.pid)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [frame["name"] for frame in json.loads(done.stdout)[0]["frames"]]


def test_methods_are_shown_under_their_class(pystrobe, target, minor_python):
    process = target(minor_python, METHODS)
    inner = "Inner" if minor_python.info < (3, 0) else "Outer.Inner"
    if minor_python.info >= (3, 11):
        of_derived = "Base"  # its own name for the function, once
    else:
        of_derived = "Derived"
        assert names(pystrobe, process) == ["work", "old", "made", "nested", "method", "factory", "celled", "named", "<module>"]
    assert names(pystrobe, process, "--class-names") == [
        "work", "Old.old", "Old.made", f"{inner}.nested", f"{of_derived}.method", f"{of_derived}.factory", "Derived.celled",
        "named", "<module>"]


@pytest.mark.python("2.7", "3.8", "3.10")
def test_calls_of_two_classes_in_turn_are_never_mixed_up(pystrobe, target, python):
    process = target(python, TURNS)

    def recorded():
        done = subprocess.run([pystrobe, "record", "--class-names", "-r", "500", "-d", "1.5", "-f", "raw", "-o", "-", "--pid",
                               str(process.pid)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        stacks = [re.findall(r"(\w+)\.(?:run|step) \(", line) for line in done.stdout.splitlines()]
        assert all(len(set(classes)) <= 1 for classes in stacks), done.stdout
        return {classes[0] for classes in stacks if classes} == {"First", "Second"}

    wait_until(recorded, 60, "calls of both classes")


@pytest.mark.python("3.8")
def test_an_agent_takes_class_names_up_at_a_reload(agent, target, python):
    process = target(python, METHODS)
    running = agent({"sampling": {"modes": ["wall"], "window": "1s"}})
    running.wait_target(process.pid)

    def seen(name):
        return lambda: any(name in sample.names() for profile in running.read_profiles("wall") for sample in profile.samples)

    wait_until(seen("celled"), 30, "a profile")
    running.write_config({"sampling": {"modes": ["wall"], "window": "1s", "class_names": True}})
    running.process.send_signal(signal.SIGHUP)
    wait_until(seen("Derived.celled"), 30, "a profile with classes")
