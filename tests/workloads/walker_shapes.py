# -*- coding: utf-8 -*-
"""Threads parked in stacks of every shape, and what Python itself says about each of them.

    walker_shapes.py OUT

OUT gets JSON: for each thread its name, ident, OS thread id and frames (name, qualname, file, line, first line), leaf
first. It is written when every stack stood still; the recording thread itself is left out. Runs on every Python from
2.7 on; shapes that need a newer one's words stand in walker_shapes_3.py.
"""
import functools
import io
import json
import os
import sys
import threading
import time

try:
    from thread import get_ident
except ImportError:
    from threading import get_ident

PARKED = threading.Event()
READY = {}


def park():
    # "PID/task/TID": threads know their own OS thread ids from 3.8 on only
    READY[get_ident()] = int(os.readlink("/proc/thread-self").rpartition("/")[2])
    if sys.version_info < (3,):
        PARKED.wait()  # with a timeout 2.7 polls, and its stack never stands still
    PARKED.wait(600)


def plain():
    park()


def recursion(depth=900):
    if depth:
        return recursion(depth - 1)
    return park()


def numbers():
    yield 1
    park()
    yield 2


def generators():
    return [n for n in (m for m in numbers())]


def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(
            *args,
            **kwargs
        )
    return wrapper


@decorate
@decorate
def decorated():
    def inner():
        class Local(object):
            def method(self):
                return (lambda: park())()
        return Local().method()
    return inner()


def multi_line():
    return max(
        1,
        2,
        key=lambda value: (
            value
            if value == 1
            else park()
        ),
    )


class Made(object):
    def __init__(self):
        self.value = self.prepare()

    def prepare(self):
        return self.property

    @property
    def property(self):
        return park()

    @classmethod
    def make(cls):
        return cls()


def compiled():
    scope = {"park": park}
    exec(compile("def from_text():\n\n  return park()\nfrom_text()", "<ein Text ☃>", "exec"), scope)


def except_handler():
    try:
        raise ValueError
    except ValueError:
        try:
            park()
        finally:
            pass


class OldStyle:
    def __init__(self):
        self.value = self.method(*(), **{})

    def method(self, a=1, *args, **kwargs):
        return park()


def many_arguments(*args, **kwargs):
    return sorted([1], key=functools.partial(many_inner, c=3))


def many_inner(value, c):
    x01 = x02 = x03 = x04 = x05 = x06 = x07 = x08 = x09 = x10 = x11 = x12 = x13 = x14 = x15 = x16 = value
    return park() or (x01, x02, x03, x04, x05, x06, x07, x08, x09, x10, x11, x12, x13, x14, x15, x16)


SHAPES = [plain, recursion, generators, decorated, multi_line, Made.make, compiled, except_handler, OldStyle,
          many_arguments]
if sys.version_info >= (3,):
    import walker_shapes_3
    SHAPES += walker_shapes_3.shapes(park)


def text(value):
    return value if isinstance(value, type(u"")) else value.decode("utf-8")


def frames_of(frame):
    found = []
    while frame is not None:
        code = frame.f_code
        found.append({"name": text(code.co_name), "qualname": text(getattr(code, "co_qualname", code.co_name)),
                      "file": text(code.co_filename), "line": frame.f_lineno or 0, "first_line": code.co_firstlineno})
        frame = frame.f_back
    return found


def stacks():
    names = {thread.ident: (text(thread.name), getattr(thread, "native_id", READY.get(thread.ident)))
             for thread in threading.enumerate()}
    me = get_ident()
    return [{"ident": ident, "name": names[ident][0], "native_id": names[ident][1], "frames": frames_of(frame)}
            for ident, frame in sys._current_frames().items() if ident != me and ident in names]


def record(path, expected):
    while len(READY) < expected:
        time.sleep(0.01)
    last = None
    while True:
        time.sleep(0.05)
        now = stacks()
        if now == last:
            break
        last = now
    with io.open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text(json.dumps(now)))
    os.rename(path + ".new", path)
    PARKED.wait(600)


def main(path, extra):
    threads = [threading.Thread(target=shape, name="shape-%s-é☃" % shape.__name__) for shape in SHAPES]
    threads += [threading.Thread(target=plain, name="extra-%d" % i) for i in range(extra)]
    threads.append(threading.Thread(target=record, args=(path, len(SHAPES) + extra + 1), name="recorder"))
    for thread in threads:
        thread.daemon = True
        thread.start()
    park()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
