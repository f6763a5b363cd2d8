"""Parks in park() below frames whose variables have known values; prints READY, then sleeps.

Their reprs, as this interpreter gives them, go to the file named by the first argument as JSON: {function: {variable: repr}}.
"""
import collections
import enum
import json
import sys
import threading
import time


class Plain:
    pass


class Slotted:
    __slots__ = ("x",)


class Number(int):
    pass


class Colour(enum.IntEnum):
    RED = 3


Point = collections.namedtuple("Point", "x y")
reprs = {}


def note(function, values, shown=None):
    """What must be printed: Python's own repr, or what stands in its place."""
    reprs[function] = {name: repr(value) for name, value in values.items()}
    reprs[function].update(shown or {})


def park():
    print("READY", flush=True)
    time.sleep(1000)


def numbers():
    zero, one, minus, big, bigger = 0, 1, -1, 2 ** 30, 2 ** 60 - 1
    edge, limb, huge, least = -(2 ** 60), 10 ** 27, 123456789012345678901234567890 ** 3, -(10 ** 100)
    yes, no, nothing, dots = True, False, None, ...
    pi, tiny, wide, whole, negative = 3.141592653589793, 5e-324, 1.7976931348623157e308, 1e16, -0.0
    small, third, infinite, odd, plain = 1e-05, 1 / 3, float("inf"), float("nan"), 100.0
    note("numbers", locals())
    strings()


def strings():
    empty, ascii_text, quote, both, escaped = "", "plain", "it's", "a'b\"c", "tab\tnew\nback\\slash\x07\x7f"
    latin, wide, astral, lone = "caf\u00e9 \u00ff", "\u4e2d\u6587 \u20ac", "\U0001f40d snake", "a\ud800b"
    hidden, direction = "\u00a0\u00ad", "\u202eevil\u2066"
    data, quoted, nul = b"bytes \x00\xff\n", b"it's", b""
    long = "x" * 500
    note("strings", locals(), {"long": repr(long)[:125] + "..."})
    containers()


def containers():
    empty_list, empty_tuple, empty_dict, empty_set, empty_frozen = [], (), {}, set(), frozenset()
    items, pair, single, nested = [1, "two", None], (1, 2), (1,), [[1, (2, {3: [4]})]]
    mapping = {"a": 1, 2: "b", (3,): None, None: 1.5}
    removed = {number: -number for number in range(6)}
    del removed[0], removed[3]
    some, frozen = {5}, frozenset(["only"])
    shrunk = set(range(100))
    for number in range(100):
        if number != 77:
            shrunk.discard(number)
    numbers_list = list(range(1000))
    deep = []
    for _ in range(20):
        deep = [deep]
    itself = []
    itself.append(itself)
    number = 0
    note("containers", locals(), {
        "numbers_list": repr(numbers_list)[:125] + "...", "deep": "[" * 8 + "..." + "]" * 8,
        "itself": "[" * 8 + "..." + "]" * 8})
    reprs["containers"].pop("_")
    objects()


def objects():
    plain, slotted, kind, point, number, colour = Plain(), Slotted(), Plain, Point(1, "y"), Number(7), Colour.RED
    ordered, default = collections.OrderedDict(a=1), collections.defaultdict(int, b=2)
    function = park
    note("objects", {}, {
        "plain": "<Plain object at 0x%x>" % id(plain), "slotted": "<Slotted object at 0x%x>" % id(slotted),
        "kind": "<class 'Plain'>", "point": "Point((1, 'y'))", "number": "Number(7)", "colour": "Colour(3)",
        "ordered": "collections.OrderedDict({'a': 1})",
        "default": "collections.defaultdict({'b': 2})", "function": "<function object at 0x%x>" % id(function)})
    arguments(1, 2, 3, 4, only=5, more=6)


def arguments(first, second=None, *rest, only, **others):
    local = "here"
    note("arguments", locals())
    reprs[":arguments"] = ["first", "second", "only", "rest", "others"]
    cells("outer")


def cells(argument):
    shared = [argument]

    def inner(own):
        free = (shared, argument)
        note("inner", {"own": own, "free": free, "shared": shared, "argument": argument})
        secrets()

    note("cells", {"argument": argument, "shared": shared}, {"inner": "<function object at 0x%x>" % id(inner)})
    inner(1)


def secrets():
    password, api_key, Cookie_jar, plain = "hunter2", "abc", ["x"], "shown"
    settings = {"user": "me", "DB_PASSWORD": "hunter2", "inner": {b"Authorization": "Bearer x"}, "n": 1}
    note("secrets", {}, {
        "password": "<redacted>", "api_key": "<redacted>", "Cookie_jar": "<redacted>", "plain": "'shown'",
        "settings": "{'user': 'me', 'DB_PASSWORD': <redacted>, 'inner': {b'Authorization': <redacted>}, 'n': 1}"})
    park_in_thread()


def park_in_thread():
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(reprs, out)
    park()


thread = threading.Thread(target=numbers, name="values", daemon=True)
thread.start()
thread.join()
