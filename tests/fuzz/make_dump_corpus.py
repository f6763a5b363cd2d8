"""Writes the seeds of corpus/values and corpus/core: objects of every kind as 3.12 and 2.7 lay them out, and small cores."""
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
BASE = 0x10000
CHOICE = {"2.7": 0, "3.8": 4, "3.12": 8, "3.13": 9, "3.14": 10}
HEAP, INT, LIST, TUPLE, BYTES, STR, DICT, TYPE = (1 << bit for bit in (9, 24, 25, 26, 27, 28, 29, 31))


class Image:
    """Objects one behind the other; the first begins at BASE."""

    def __init__(self, first_bytes=0x100):
        self.bytes = bytearray(first_bytes)

    def put(self, address, value, width=8):
        offset = address - BASE
        if len(self.bytes) < offset + width:
            self.bytes.extend(bytes(offset + width - len(self.bytes)))
        self.bytes[offset:offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    def raw(self, address, data):
        for index, byte in enumerate(data):
            self.put(address + index, byte, 1)

    def room(self, size):
        address = BASE + (len(self.bytes) + 15 & ~15)
        self.put(address + size - 1, 0, 1)
        return address

    def type(self, name, flags):
        address = self.room(0xc0)
        text = self.room(64)
        self.raw(text, name.encode() + b"\0")
        self.put(address + 24, text)
        self.put(address + 168, flags)
        return address

    def head(self, address, name, flags=0):
        self.put(address, 1)
        self.put(address + 8, self.type(name, flags))
        return address

    def int(self, number, address=None):
        address = self.head(address or self.room(64), "int", INT)
        digits, rest = [], abs(number)
        while rest:
            digits.append(rest & (1 << 30) - 1)
            rest >>= 30
        self.put(address + 16, len(digits) << 3 | (1 if not number else 2 if number < 0 else 0))
        for index, digit in enumerate(digits):
            self.put(address + 24 + 4 * index, digit, 4)
        return address

    def str(self, text, kind=1, address=None):
        address = self.head(address or self.room(128), "str", STR)
        self.put(address + 16, len(text))
        self.put(address + 32, kind << 2 | 1 << 5 | (1 << 6 if kind == 1 else 0), 4)
        data = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[kind]
        self.raw(address + (40 if kind == 1 else 56), text.encode(data, "surrogatepass"))
        return address

    def row(self, address, name, flags, items, at):
        self.head(address, name, flags)
        self.put(address + 16, len(items))
        if name == "list":
            array = self.room(8 * len(items) + 8)
            self.put(address + 24, array)
            at = array - address
        for index, item in enumerate(items):
            self.put(address + at + 8 * index, item)
        return address

    def dict(self, address, pairs):
        self.head(address, "dict", DICT)
        keys = self.room(32 + 8 + 24 * 8)
        self.put(address + 32, keys)
        self.raw(keys + 8, bytes([3, 3, 0]))
        self.put(keys + 24, len(pairs))
        for index, (key, value) in enumerate(pairs):
            self.put(keys + 40 + 24 * index + 8, key)
            self.put(keys + 40 + 24 * index + 16, value)
        return address

    def set(self, address, items):
        self.head(address, "set")
        table = self.room(16 * 8)
        self.put(address + 24, len(items))
        self.put(address + 32, 7)
        self.put(address + 40, table)
        for index, item in enumerate(items):
            self.put(table + 32 * index, item)
            self.put(table + 32 * index + 8, 5)
        return address


def values():
    def image():
        return Image()

    one = image()
    yield "int-3.12", "3.12", one.int(-12345678901234567890123, BASE) and one
    one = image()
    yield "int-0-3.12", "3.12", one.int(0, BASE) and one
    for kind, text in ((1, "it's \x07\\"), (2, "\u4e2d\ud800\u202e"), (4, "\U0001f40d")):
        one = image()
        yield f"str-{kind}-3.12", "3.12", one.str(text, kind, BASE) and one
    one = image()
    one.row(BASE, "list", LIST, [one.int(1), one.str("two"), BASE], 0)
    yield "list-3.12", "3.12", one
    one = image()
    one.row(BASE, "Point", TUPLE | HEAP, [one.int(1), one.str("y")], 24)
    yield "tuple-3.13", "3.13", one
    one = image()
    one.dict(BASE, [(one.str("key"), one.int(1)), (one.str("token"), one.str("secret"))])
    yield "dict-3.12", "3.12", one
    one = image()
    one.set(BASE, [one.int(1), one.int(2)])
    yield "set-3.12", "3.12", one
    one = image()
    one.head(BASE, "float")
    one.raw(BASE + 16, struct.pack("<d", -1.5e300))
    yield "float-3.14", "3.14", one
    one = image()
    one.head(BASE, "bytes", BYTES)
    one.put(BASE + 16, 5)
    one.raw(BASE + 32, b"a\x00'\xff\n")
    yield "bytes-3.8", "3.8", one
    one = image()
    one.head(BASE, "numpy.ndarray")
    dimensions, description = one.room(16), one.room(64)
    one.put(BASE + 24, 2)
    one.put(BASE + 32, dimensions)
    one.put(BASE + 56, description)
    one.put(dimensions, 3)
    one.put(dimensions + 8, 4)
    one.put(description + 16, one.type("numpy.float64", 0))
    yield "array-3.12", "3.12", one
    one = image()
    one.head(BASE, "numpy.float16")
    one.put(BASE + 16, 0x3e00)
    yield "half-3.12", "3.12", one
    one = image()
    one.head(BASE, "type", TYPE)
    one.put(BASE + 24, BASE + 0xe0)
    one.put(BASE + 168, HEAP)
    one.raw(BASE + 0xe0, b"Kind\0")
    yield "class-3.12", "3.12", one
    one = image()
    one.head(BASE, "unicode", STR)
    one.put(BASE + 16, 3)
    one.put(BASE + 24, one.room(32))
    yield "unicode-2.7", "2.7", one


def note(kind, data):
    return struct.pack("<III", 5, len(data), kind) + b"CORE\0\0\0\0" + data + bytes(-len(data) % 4)


def core(loads=((0x1000, b"x" * 64, 0x2000, 6), (0x5000, b"", 0x1000, 5)), extra=b"", machine=62, count=None, files=True):
    status = struct.pack("<iiihxxQQiiii", 11, 0, 0, 11, 0, 0, 7, 1, 7, 7).ljust(336, b"\0")
    info = bytes(24) + struct.pack("<iiii", 7, 1, 7, 7) + b"python\0".ljust(16, b"\0") + b"python app.py ".ljust(80, b"\0")
    mapped = struct.pack("<QQQQQQQQ", 2, 4096, 0x5000, 0x6000, 0, 0x7000, 0x8000, 1) + b"/bin/true\0/dev/zero\0"
    notes = note(1, status) + note(3, info) + note(6, struct.pack("<QQ", 3, 0x5040)) + extra
    notes += note(0x46494c45, mapped) if files else b""
    number = 1 + len(loads)
    offset = 64 + 56 * number
    headers = struct.pack("<IIQQQQQQ", 4, 0, offset, 0, 0, len(notes), 0, 4)
    body, at = notes, offset + len(notes)
    for address, data, memory, flags in loads:
        headers += struct.pack("<IIQQQQQQ", 1, flags, at, address, 0, len(data), memory, 4096)
        body, at = body + data, at + len(data)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, machine, 1, 0, 64, 0, 0, 64, 56,
                                                          number if count is None else count, 0, 0, 0)
    return elf + headers + body


def cores():
    yield "whole", core()
    yield "cut", core()[:700]
    yield "overlapping", core(loads=((0x1000, b"x", 0x3000, 6), (0x2000, b"y", 0x1000, 6)))
    yield "wrapping", core(loads=((2 ** 64 - 4096, b"x", 8192, 6),))
    yield "too-many", core(count=0xffff)
    yield "other-machine", core(machine=3)
    yield "long-note", core(extra=struct.pack("<III", 5, 0xfffffff0, 1) + b"CORE\0\0\0\0")
    yield "many-files", core(extra=note(0x46494c45, struct.pack("<QQ", 2 ** 60, 4096)), files=False)
    yield "no-paths", core(extra=note(0x46494c45, struct.pack("<QQQQQ", 1, 2 ** 63, 0x5000, 0x6000, 4)), files=False)


def main():
    for name, version, image in values():
        (CORPUS / "values").mkdir(exist_ok=True)
        (CORPUS / "values" / name).write_bytes(bytes([CHOICE[version], 120]) + bytes(image.bytes))
    for name, data in cores():
        (CORPUS / "core").mkdir(exist_ok=True)
        (CORPUS / "core" / name).write_bytes(data)


if __name__ == "__main__":
    main()
