# -*- coding: utf-8 -*-
"""Programs that change their stack as fast as they can, with every call that may happen written down.

    walker_loads.py LOAD EDGES [SECONDS]

A comment `# -> name name` behind a line says what that line may call, `# *-> name` that code of other files may call
it; `*` stands for such code. EDGES gets these as `caller<TAB>line<TAB>callee`, then the line `ready`. Runs on every
Python from 2.7 on; the load `tasks` from 3.7 on.
"""
import os
import sys
import time


def a2(x):
    return x + 1


def a1(x):
    return a2(x)  # -> a2


def b2(x):
    return x - 1


def b1(x):
    return b2(x)  # -> b2


def flutter(end):
    clock = time.time
    while clock() < end:
        for i in range(2000):
            a1(i)  # -> a1
            b1(i)  # -> b1


def fib(n):
    if n < 2:
        return n
    left = fib(n - 1)  # -> fib
    right = fib(n - 2)  # -> fib
    return left + right


def fibs(end):
    while time.time() < end:
        fib(16)  # -> fib


def even(x):
    return x * 2


def odd(x):
    return x * 3


def gen_even(n):
    for i in range(n):
        even(i)  # -> even
        yield i


def gen_odd(n):
    for i in range(n):
        odd(i)  # -> odd
        yield i


def gens(end):
    while time.time() < end:
        first = gen_even(500)  # -> gen_even
        second = gen_odd(500)  # -> gen_odd
        for _ in range(500):
            next(first)  # -> gen_even
            next(second)  # -> gen_odd


def helper(x):
    total = 0
    for i in range(30):
        total += i * x
    return total


def worker(x):
    total = helper(x)  # -> helper
    for i in range(30):
        total += i
    total += helper(x + 1)  # -> helper
    return total


def normal(end):
    while time.time() < end:
        for i in range(500):
            worker(i)  # -> worker


def deep_flutter(end):
    clock = time.time
    while clock() < end:
        for i in range(2000):
            a1(i)  # -> a1
            b1(i)  # -> b1


def descend(n, end):
    if n == 0:
        deep_flutter(end)  # -> deep_flutter
    else:
        descend(n - 1, end)  # -> descend


def deep(end):
    descend(40, end)  # -> descend


def deepest(end):
    descend(400, end)  # -> descend


class Thing(object):
    def __init__(self, x):
        self.x = self.prepare(x)  # -> prepare

    def prepare(self, x):
        return x + 1


def key_of(x):
    return -x


def callbacks(end):
    while time.time() < end:
        for i in range(200):
            sorted([3, i, 2], key=key_of)  # -> key_of
            Thing(i)  # -> __init__
            list(map(a1, (1, 2)))  # -> a1


def busy():
    total = 0
    for i in range(100000):
        total += i
    return total


def nested(left):
    if left:
        for item in nested(left - 1):  # -> nested
            yield item
    else:
        while True:
            busy()  # -> busy
            yield 0


def calls(n):
    for i in range(n):
        a1(i)  # -> a1
        b1(i)  # -> b1
    yield n


def calling(end):
    while time.time() < end:
        for _ in calls(20000):  # -> calls
            pass


def chain_for(end):
    for _ in nested(200):  # -> nested
        if time.time() >= end:
            break


def spin(ns):
    end = CLOCK() + ns
    while CLOCK() < end:
        pass


def half():
    spin(0.00050 * SCALE[0])  # -> spin


def third():
    spin(0.00030 * SCALE[0])  # -> spin


def fifth():
    spin(0.00020 * SCALE[0])  # -> spin


def shares(end):
    """Writes to EDGES.shares what part of the time each function took, by its own clock."""
    spent = {"half": 0.0, "third": 0.0, "fifth": 0.0}
    report = CLOCK() + 0.5
    while time.time() < end:
        t0 = CLOCK()
        half()  # -> half
        t1 = CLOCK()
        third()  # -> third
        t2 = CLOCK()
        fifth()  # -> fifth
        t3 = CLOCK()
        spent["half"] += t1 - t0
        spent["third"] += t2 - t1
        spent["fifth"] += t3 - t2
        if t3 > report:
            report = t3 + 0.5
            text = "half=%.6f third=%.6f fifth=%.6f" % (spent["half"], spent["third"], spent["fifth"])
            # No open(): its Python frames are not among the edges.
            out = os.open(sys.argv[2] + ".shares.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(out, text.encode())
            os.close(out)
            os.rename(sys.argv[2] + ".shares.new", sys.argv[2] + ".shares")


def remake(end):
    """Makes and frees code objects at the same addresses all the time."""
    number = 0
    while time.time() < end:
        number += 1
        made = {"a1": a1}
        name = "made_%d" % (number % 97)
        source = "def %s(x):\n    return a1(x) + a1(x)\n" % name
        exec(compile(source, "<%s>" % name, "exec"), made)  # -> <module>
        call = made[name]
        for i in range(20):
            call(i)  # -> made_*


def tasks(end):
    walker_async = sys.modules["walker_async"]
    walker_async.tasks(end)  # -> tasks


def chain_yield(end):
    walker_async = sys.modules["walker_async"]
    walker_async.chain_yield(end)  # -> chain_yield


def chain_await(end):
    walker_async = sys.modules["walker_async"]
    walker_async.chain_await(end)  # -> chain_await


SCALE = [1.0]  # of the loads `sharesN`, whose shortest function lasts N microseconds
CLOCK = getattr(time, "perf_counter", time.time)
LOADS = {"flutter": flutter, "fib": fibs, "gens": gens, "normal": normal, "deep": deep, "deepest": deepest,
         "callbacks": callbacks, "remake": remake, "tasks": tasks,
         "calling": calling, "chain_for": chain_for, "chain_yield": chain_yield, "chain_await": chain_await}
NEWER = ["tasks", "chain_yield", "chain_await"]  # in a file of their own, which takes 3.7
for _us in (2, 10, 20, 50, 200):
    LOADS["shares%d" % _us] = shares


def edges_of(path):
    """(caller, line, callee) of every annotated line of a file; methods by their bare names."""
    found = []
    caller = "<module>"
    with open(path, "rb") as source:
        for number, raw in enumerate(source, 1):
            line = raw.decode("utf-8")
            text = line.strip()
            if text.startswith(("def ", "async def ")):
                caller = text[text.index("def ") + 4:text.index("(")]
            elif not line[:1].isspace() and text and not text.startswith("#"):
                caller = "<module>"
            if "  # -> " in line:
                for callee in line.split("  # -> ")[1].split():
                    found.append((caller, number, callee))
            if "  # *-> " in line:
                found.append(("*", 0, line.split("  # *-> ")[1].strip()))
    return found


def edges():
    path = __file__[:-1] if __file__.endswith(".pyc") else __file__
    path = os.path.abspath(path)
    return edges_of(path) + edges_of(os.path.join(os.path.dirname(path), "walker_async.py")) + [("*", 0, "*")]


def main(load, path, seconds):
    # Apart from the one who samples, who stays off this CPU: else the target stands still in every sample.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    if load.startswith("shares"):
        SCALE[0] = float(load[6:]) / 200
    if load in NEWER:
        __import__("walker_async")
    with open(path + ".new", "w") as out:
        for caller, number, callee in edges():
            out.write("%s\t%d\t%s\n" % (caller, number, callee))
        out.write("ready\n")
    os.rename(path + ".new", path)
    LOADS[load](time.time() + seconds)  # -> flutter fibs gens normal deep deepest callbacks shares remake tasks calling chain_for chain_yield chain_await


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 600.0)  # -> main
