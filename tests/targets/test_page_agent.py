"""The page of a running agent, in a real browser, while the demo is under load."""
import ast
import os

import pytest

from lib import places, pythons
from lib.waiting import wait_until
from test_page import BROWSER, browser, flame_ready, functions, go, in_flame, texts, until  # noqa: F401

DEMO = places.TESTS / "workloads" / "demo"


def demo_functions():
    return {node.name for path in DEMO.glob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)}


@BROWSER
def test_the_demo_shows_its_functions_targets_and_flame_graph(agent, processes, browser):  # noqa: F811
    python = pythons.system_python()
    demo = processes([python.exe, DEMO / "run.py"], env=python.environment())
    running = agent({"sampling": {"hz": 97, "window": "2s"}})
    running.wait_ready()

    def ours(row):
        """Other tests may run web applications at the same time."""
        try:
            return os.getpgid(row["pid"]) == demo.pid
        except ProcessLookupError:
            return False

    def server():
        return next((row["service"] for row in running.targets()
                     if row["state"] == "active" and ours(row) and ("gunicorn" in row["command"] or "serve.py" in row["command"])), None)

    service = wait_until(server, 40, "the demo's server to be sampled")
    wait_until(lambda: sum(len(demo_functions() & set(profile.by_function())) >= 5 for profile in running.read_profiles("cpu")),
               60, "five demo functions in a profile")
    go(browser, running.url("/") + f"#service={service}&mode=cpu&last=5m")
    until(browser, lambda b: len(demo_functions() & {name.rpartition(".")[2] for name in functions(b)}) >= 5,
          "five demo functions in the table")
    until(browser, flame_ready, "a flame graph with its script running")
    drawn = in_flame(browser, "return root.textContent")
    assert sum(name in drawn for name in demo_functions()) >= 5
    rows = "\n".join(texts(browser, "table tbody tr"))
    assert "active" in rows and pythons.system_python().version in rows
