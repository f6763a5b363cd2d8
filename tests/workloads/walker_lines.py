# -*- coding: utf-8 -*-
"""Writes every code object of the standard library, and some made to be hard, with CPython's own lines.

    walker_lines.py OUT [LIMIT]

One record a code object: i32 first line, u32 bytes of code, u32 bytes of table, u32 runs, the runs as u32 start and
i32 line (0: CPython answers none), the table. LIMIT bounds the number of source files.
"""
import dis
import os
import struct
import sys
import sysconfig

# Packages of others; and CPython's own tests, which are four fifths of its files, unless asked for.
LEFT_OUT = {"site-packages", "dist-packages", "__pycache__"}
if not os.environ.get("PYSTROBE_LINES_ALL"):
    LEFT_OUT |= {"test", "tests", "idle_test", "lib2to3"}
CODE = type((lambda: 0).__code__)
REFUSED = (SyntaxError, ValueError, TypeError, MemoryError, OverflowError, RuntimeError)


def monsters():
    """Sources whose tables are long, go backwards, or have instructions without a line."""
    yield "def f(x):\n" + "".join("    x = x + %d\n" % i for i in range(10000))
    yield "def f(x):\n    return (" + "\n + ".join("x(%d,\n\n\n%d)" % (i, i) for i in range(3000)) + ")\n"
    yield "x = [\n" + ",\n".join("lambda a, b=(\n%d\n): [a for a in b if (\n\n a)]" % i for i in range(800)) + "]\n"
    yield "".join("@(lambda f:\n  f)\n\n\n@(lambda f: f)\ndef f%d():\n    yield 1\n" % i for i in range(300))
    yield "def f(x):\n" + "\n" * 70000 + "    return x\n" + "\n" * 40000 + "def g(): pass\n"
    yield "def f():\n  for i in range(3):\n    try:\n      with f() as q:\n        continue\n" \
          "    except E as e:\n      pass\n    finally:\n      del i\n  else:\n    return\n" * 200
    if sys.version_info >= (3, 10):
        yield "def f(x):\n" + "".join("    match x:\n        case [%d, *r] if r:\n            return r\n" % i for i in range(300))


def sources(limit):
    root = sysconfig.get_path("stdlib") if sys.version_info[0] > 2 else os.path.dirname(os.__file__)
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            if name.endswith(".py") and count < limit:
                count += 1
                with open(os.path.join(folder, name), "rb") as source:
                    yield source.read()


def runs(code):
    if hasattr(code, "co_lines"):
        return [(start, line or 0) for start, _, line in code.co_lines()]
    return [(0, code.co_firstlineno)] + list(dis.findlinestarts(code))


def records(code):
    table = getattr(code, "co_linetable", None) if hasattr(code, "co_lines") else code.co_lnotab
    found = runs(code)
    yield struct.pack("<iIII", code.co_firstlineno, len(code.co_code), len(table), len(found))
    yield b"".join(struct.pack("<Ii", start, line) for start, line in found) + table
    for constant in code.co_consts:
        if isinstance(constant, CODE):
            for part in records(constant):
                yield part


def main(out, limit):
    with open(out, "wb") as file:
        for generated in (monsters(), sources(limit)):
            for source in generated:
                try:
                    code = compile(source, "<source>", "exec", 0, 1)
                except REFUSED:
                    continue
                for part in records(code):
                    file.write(part)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10 ** 9)
