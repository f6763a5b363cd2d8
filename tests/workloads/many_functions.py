"""Functions by the ten thousand with long names, in chains of 60, run one chain after the other: `many_functions.py CHAINS`."""
import sys
import time

DEPTH = 60


def leaf(_):
    end = time.perf_counter() + 0.002
    while time.perf_counter() < end:
        pass


def chain(number):
    function = leaf
    for level in reversed(range(DEPTH)):
        name = f"function_{number}_{level}_" + "x" * 200
        body = "".join(f"    a = {i}\n" for i in range(30))
        space = {"deeper": function}
        exec(compile(f"def {name}(a):\n{body}    deeper(a)\n", f"/app/{'p' * 100}/module_{number}_{level}.py", "exec"), space)
        function = space[name]
    return function


chains = [chain(number) for number in range(int(sys.argv[1]))]
print("made", flush=True)
while True:
    for one in chains:
        one(1)
