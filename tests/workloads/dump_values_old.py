"""dump_values.py for Python 2: the same protocol, with the literals of that language."""
import json
import sys
import time


class Old:
    pass


class New(object):
    pass


reprs = {}


def note(function, values, shown=None):
    reprs[function] = dict((name, repr(value)) for name, value in values.items())
    reprs[function].update(shown or {})


def park():
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    time.sleep(1000)


def numbers():
    zero, one, minus, most, least = 0, 1, -1, sys.maxint, -sys.maxint - 1
    long_zero, big, huge, negative = long(0), 2 ** 64, 10 ** 100, -(10 ** 30)
    yes, no, nothing, pi, whole, tiny = True, False, None, 3.141592653589793, 1e16, 5e-324
    note("numbers", locals())
    containers()


def containers():
    empty, text, quote, raw, wide = "", "plain", "it's", "a\x00\xff\n", unicode("unicode")
    items, pair, single, mapping = [1, "two", None], (1, 2), (1,), {"a": 1}
    nothing, numbers, frozen = set(), set(range(0, 90, 8)), frozenset([u"wide", 2.5, (1,), "str"])
    thinned = set("abcdefgh")
    for letter in "aceg":
        thinned.remove(letter)
    thinned.add("<dummy key>")
    long_text = "x" * 500
    note("containers", locals(), {"long_text": repr(long_text)[:125] + "..."})
    objects()


def objects():
    old, new, kind = Old(), New(), New
    note("objects", {}, {"old": "<instance object at 0x%x>" % id(old), "new": "<New object at 0x%x>" % id(new),
                         "kind": "<class 'New'>"})
    arguments(1, 2, 3, 4, more=6)


def arguments(first, second=None, *rest, **others):
    local = "here"
    note("arguments", locals())
    reprs[":arguments"] = ["first", "second", "rest", "others"]
    cells("outer")


def cells(argument):
    shared = [argument]

    def inner(own):
        free = (shared, argument)
        note("inner", {"own": own, "free": free, "shared": shared, "argument": argument})
        secrets()

    note("cells", {"argument": argument, "shared": shared})
    inner(1)


def secrets():
    password, settings = "hunter2", {"DB_PASSWORD": "hunter2"}
    note("secrets", {}, {"password": "<redacted>", "settings": "{'DB_PASSWORD': <redacted>}"})
    with open(sys.argv[1], "w") as out:
        json.dump(reprs, out)
    park()


numbers()
