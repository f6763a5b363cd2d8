"""Writes the seeds of corpus/walk, corpus/linetable and corpus/debug_offsets: small runtimes that the walker reads whole.

    make_walk_corpus.py [PID RUNTIME_ADDRESS NAME]...

With a process and the address of its _PyRuntime, its debug offsets (3.13+) are saved too.
"""
import random
import struct
import sys
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
BASE = 0x10000
SIZE = 0x4000


class Image:
    """Bytes at BASE; put() writes a little-endian number of some width at an address."""

    def __init__(self):
        self.memory = bytearray(SIZE)

    def put(self, address, value, width=8):
        offset = address - BASE
        self.memory[offset:offset + width] = value.to_bytes(width, "little")

    def raw(self, address, data):
        self.memory[address - BASE:address - BASE + len(data)] = data

    def text(self, address, value, ascii_at):
        self.put(address + 16, len(value))
        self.put(address + 24, sum(value.encode()))
        self.put(address + 32, 1 << 2 | 1 << 5 | 1 << 6, 4)
        self.raw(address + ascii_at, value.encode())

    def data(self, address, value):
        self.put(address + 16, len(value))
        self.raw(address + 32, value)

    def code_type(self, address):
        self.put(address + 24, address + 64)
        self.raw(address + 64, b"code\0")


class Objects:
    """Objects of 3.11 and 3.12 in the room that a data stack leaves."""

    def __init__(self, image, new):
        self.image, self.new, self.types = image, new, {}
        self.rooms = [(BASE + 0x2000, BASE + 0x2800), (BASE + 0x3000, BASE + 0x3800)]

    def room(self, size):
        for index, (start, end) in enumerate(self.rooms):
            if start + size <= end:
                self.rooms[index] = ((start + size + 15) // 16 * 16, end)
                return start
        raise MemoryError

    def type(self, name, flags, size=192):
        if name not in self.types:
            at, text = self.room(size), self.room(len(name) + 1)
            self.types[name] = at
            self.image.put(at + 24, text)
            self.image.raw(text, name.encode() + b"\0")
            self.image.put(at + 168, flags)
        return self.types[name]

    def word(self, value):
        at = self.room(56 + len(value))
        self.image.text(at, value, 40 if self.new else 48)
        self.image.put(at + 8, self.type("str", 1 << 28))
        return at

    def int(self, value):
        at = self.room(28)
        self.image.put(at + 8, self.type("int", 1 << 24))
        self.image.put(at + 16, 1 << 3 if self.new else 1)
        self.image.put(at + 24, value, 4)
        return at

    def cell(self, value):
        at = self.room(24)
        self.image.put(at + 8, self.type("cell", 0))
        self.image.put(at + 16, value)
        return at

    def keys(self, key, value):
        """One entry of keys that are all str: hashes are left out."""
        at = self.room(32 + 8 + 16)
        self.image.raw(at + 9, bytes([3, 1]))
        self.image.put(at + 24, 1)
        self.image.put(at + 40, key)
        self.image.put(at + 48, value)
        return at

    def dict(self, key, value):
        at = self.room(48)
        self.image.put(at + 32, self.keys(key, value))
        return at

    def names(self, ident):
        """sys.modules with threading._active; the thread's attributes are values without a dict."""
        kind = self.type("Thread", 1 << 4, 888)
        self.image.put(kind + (880 if self.new else 872), self.keys(self.word("_name"), 0))
        values, before, module = self.room(8), self.room(64), self.room(24)
        thread = before + 32
        self.image.put(values, self.word("worker"))
        self.image.put(thread + 8, kind)
        self.image.put(thread - (24 if self.new else 32), values - 1 if self.new else values)
        self.image.put(module + 16, self.dict(self.word("_active"), self.dict(self.int(ident), thread)))
        return self.dict(self.word("threading"), module)

    def variables(self, code, frame):
        """An argument and a free variable, the latter behind the top of the stack."""
        names, kinds = self.room(24 + 16), self.room(32 + 2)
        self.image.put(names + 24, self.word("x"))
        self.image.put(names + 32, self.word("free"))
        self.image.raw(kinds + 32, bytes([0x20, 0x80]))
        self.image.put(code + (52 if self.new else 56), 1, 4)
        self.image.put(code + (72 if self.new else 76), 2, 4)
        self.image.put(code + 96, names)
        self.image.put(code + 104, kinds)
        self.image.put(frame + 72, self.int(7))
        self.image.put(frame + 80, self.cell(self.word("inside")))


def data_stack(version, apart=False):
    """3.11 (0x0b) or 3.12 (0x0c): one thread, main called from the module; apart: on a chunk of its own, through a
    generator."""
    image, new = Image(), version == 0x0c
    objects = Objects(image, new)
    interp, tstate, cframe, chunk, shim = BASE + 0x400, BASE + 0xa00, BASE + 0xc00, BASE + 0x1000, BASE + 0xc40
    kind, table, bytes_at = BASE + 0xd00, BASE + 0xe00, 192 if new else 184
    image.put(BASE + 40, interp)
    image.put(interp + (72 if new else 16), tstate)
    image.put(tstate + 16, interp)
    image.put(tstate + 56, cframe)
    image.put(tstate + (136 if new else 152), 4711)
    image.put(tstate + (144 if new else 160), 4711)
    stack = 232 if new else 296
    image.put(tstate + stack, chunk)
    image.put(tstate + stack + 8, chunk + 32 + 160)
    image.put(chunk + 8, 0x1000)
    image.code_type(kind)
    image.text(BASE + 0x3a00, "fake.py", 40 if new else 48)
    image.data(table, bytes([0x80 | 1 << 3 | 7, 0, 0x80 | 11 << 3 | 7, 0, 0]))
    frames, generator = [chunk + 32, chunk + 32 + 80], BASE + 0x3b00
    if apart:
        second = BASE + 0x3c00
        frames[1] = second + 24
        image.put(second, chunk)
        image.put(second + 8, 0x400)
        image.put(chunk + 16, 112 - 24)
        image.put(tstate + stack, second)
        image.put(tstate + stack + 8, second + 24 + 80)
    for number, (frame, name) in enumerate(zip(frames, ("<module>", "main"))):
        code, text = BASE + 0x2800 + number * 0x400, BASE + 0x3800 + number * 0x80
        image.text(text, name, 40 if new else 48)
        image.put(code + 8, kind)
        image.put(code + 16, 16)
        image.put(code + (68 if new else 72), 10 * (number + 1), 4)
        for offset, value in ((112, BASE + 0x3a00), (120, text), (128, text)):
            image.put(code + offset, value)
        image.put(code + 136, table)
        previous = (generator if apart else frames[0]) if number else (shim if new else 0)
        if apart and number == 0:
            image.put(generator + (0 if new else 32), code)
            image.put(generator + (8 if new else 48), frame)
            image.put(generator + 56, code + bytes_at + 4)
            image.put(generator + (70 if new else 69), 1, 1)
        image.put(frame + (0 if new else 32), code)
        image.put(frame + (8 if new else 48), previous)
        image.put(frame + 56, code + bytes_at + 4)
        if number:
            objects.variables(code, frame)
    image.put(frames[1] + 64, 0xffffffff, 4)
    image.put(shim, kind)
    image.put(shim + 70, 3, 1)
    image.put(interp + (944 if new else 888), objects.names(4711))
    image.put(cframe + (0 if new else 8), frames[1])
    return bytes(image.memory)


def frame_objects(depth=2):
    """3.8: the same with frame objects."""
    image = Image()
    interp, tstate, kind, table, code_bytes = BASE + 0x800, BASE + 0xa00, BASE + 0xd00, BASE + 0xe00, BASE + 0xe80
    image.put(BASE + 32, interp)
    image.put(interp + 8, tstate)
    image.put(tstate + 16, interp)
    image.put(tstate + 24, BASE + (0x1400 if depth == 2 else 0x1000 + 0x80 * (depth - 1)))
    image.put(tstate + 176, BASE + 0xf00)
    image.code_type(kind)
    image.text(BASE + 0x3a00, "fake.py", 48)
    image.data(table, bytes([4, 1, 4, 1]))
    image.data(code_bytes, bytes(32))
    frame = 0
    for number, name in enumerate(("<module>", *["main"] * (depth - 1))):
        frame, caller, number = BASE + 0x1000 + number * (0x400 if depth == 2 else 0x80), frame, min(number, 1)
        code, text = BASE + 0x2800 + number * 0x400, BASE + 0x3800 + number * 0x80
        image.text(text, name, 48)
        image.put(code + 8, kind)
        image.put(code + 40, 10 * (number + 1), 4)
        image.put(code + 48, code_bytes)
        for offset, value in ((104, BASE + 0x3a00), (112, text), (120, table)):
            image.put(code + offset, value)
        image.put(frame + 24, caller)
        image.put(frame + 32, code)
        image.put(frame + 104, 6, 4)
        image.put(frame + 116, 1, 1)
    return bytes(image.memory)


# Offsets of versions before 3.7, as bindings and headers have them: in a thread state next, interp, frame, thread_id; in a
# code object flags' neighbours co_firstlineno, co_filename, co_name, co_lnotab, co_code; f_executing of a frame.
OLD = {
    "2.7": (0x0207, (0, 8, 16, 144), (96, 80, 88, 104, 32), None),
    "3.2": (0x0302, (0, 8, 16, 144), (104, 88, 96, 112, 40), None),
    "3.3": (0x0303, (0, 8, 16, 144), (112, 96, 104, 120, 40), None),
    "3.4": (0x0304, (8, 16, 24, 152), (112, 96, 104, 120, 40), 132),
    "3.5": (0x0305, (8, 16, 24, 152), (112, 96, 104, 120, 40), 132),
    "3.6": (0x0306, (8, 16, 24, 152), (36, 96, 104, 112, 40), 132),
}


class Old(Image):
    """Objects before 3.7, laid one behind the other."""

    def __init__(self, version):
        super().__init__()
        self.version = version
        self.free = BASE + 0x1c00
        self.types = {}

    def room(self, size):
        at, self.free = self.free, self.free + (size + 15) // 16 * 16
        return at

    def type(self, name, flags=0, dictoffset=0):
        if name not in self.types:
            at = self.types[name] = self.room(400)
            text = self.room(len(name) + 1)
            self.raw(text, name.encode() + b"\0")
            self.put(at + 24, text)
            self.put(at + 168, flags)
            self.put(at + 288, dictoffset)
        return self.types[name]

    def bytes(self, value):
        at = self.room(40 + len(value))
        self.put(at + 8, self.type("str" if self.version < 0x0300 else "bytes", 1 << 27))
        self.put(at + 16, len(value))
        self.raw(at + (36 if self.version < 0x0300 else 32), value)
        return at

    def units(self, value, encoding):
        """unicode of 2.7, str of 3.0 to 3.2."""
        at, data = self.room(48), value.encode(encoding)
        place = self.room(len(data))
        self.put(at + 8, self.type("unicode" if self.version < 0x0300 else "str", 1 << 28))
        self.put(at + 16, len(data) // (2 if "16" in encoding else 4))
        self.put(at + 24, place)
        self.raw(place, data)
        return at

    def word(self, value):
        """A str that names something."""
        if self.version < 0x0300:
            return self.bytes(value.encode())
        if self.version < 0x0303:
            return self.units(value, "utf-32-le")
        at = self.room(48 + len(value))
        self.text(at, value, 48)
        self.put(at + 8, self.type("str", 1 << 28))
        return at

    def int(self, value):
        at = self.room(32)
        if self.version < 0x0300:
            self.put(at + 8, self.type("int", 1 << 23))
            self.put(at + 16, value)
        else:
            self.put(at + 8, self.type("int", 1 << 24))
            self.put(at + 16, 1)
            self.put(at + 24, value, 4)
        return at

    def dict(self, key, value, split=False):
        """One pair in the second of two slots."""
        at = self.room(64)
        self.put(at + 8, self.type("dict", 1 << 29))
        if self.version < 0x0303:
            table = self.room(48)
            self.put(at + 32, 1)
            self.put(at + 40, table)
            entries = table + 24
        elif self.version < 0x0306:
            keys, values = self.room(80), self.room(16)
            self.put(at + 24, keys)
            self.put(keys + 8, 2)
            entries = keys + 32 + 24
            if split:
                self.put(at + 32, values)
                self.put(values + 8, value)
                value = 0
        else:
            keys = self.room(112)
            self.put(at + 32, keys)
            self.put(keys + 8, 8)
            self.put(keys + 32, 2)
            entries = keys + 40 + 8 + 24
        self.put(entries + 8, key)
        self.put(entries + 16, value)
        return at

    def tuple(self, *items):
        at = self.room(24 + 8 * len(items))
        self.put(at + 8, self.type("tuple", 1 << 26))
        self.put(at + 16, len(items))
        for index, item in enumerate(items):
            self.put(at + 24 + 8 * index, item)
        return at

    def variables(self, code, frame):
        """Two arguments, one of them in a cell, and a free variable."""
        tuples = 56 if self.version < 0x0300 else 64
        self.put(code + 16, 2, 4)
        for index, names in enumerate((("x", "y"), ("free",), ("x",))):
            self.put(code + tuples + 8 * index, self.tuple(*map(self.word, names)))
        cell = self.room(24)
        self.put(cell + 8, self.type("cell"))
        self.put(cell + 16, self.int(7))
        for index, value in enumerate((0, self.word("seen"), cell, cell)):
            self.put(frame + 376 + 8 * index, value)

    def names(self, ident):
        """sys.modules with threading._active, where the thread of this ident is called "worker"."""
        attribute, value = "_Thread__name" if self.version < 0x0300 else "_name", self.word("worker")
        thread, module = self.room(32), self.room(32)
        self.put(thread + 8, self.type("Thread", dictoffset=16))
        self.put(thread + 16, self.dict(self.word(attribute), value, split=True))
        active = self.dict(self.int(ident), thread)
        self.put(module + 8, self.type("module"))
        self.put(module + 16, self.dict(self.word("_active"), active))
        return self.dict(self.word("threading"), module)


def old_frame_objects(name):
    """2.7 to 3.6: interp_head and _PyThreadState_Current lie at the start, where later there is _PyRuntime."""
    version, (_, interp_at, frame_at, ident_at), (first, file, title, lines, code_bytes), executing = OLD[name]
    image = Old(version)
    interp, tstate, ident = BASE + 0x400, BASE + 0x500, BASE + 0x800
    image.put(BASE, interp)
    image.put(BASE + 8, tstate)
    image.put(interp + 8, tstate)
    image.put(interp + 16, image.names(ident))
    image.put(tstate + interp_at, interp)
    image.put(tstate + ident_at, ident)
    for offset in (720, 208):  # x86_64, aarch64
        image.put(ident + offset, 4711, 4)
    kind, caller = image.type("code"), 0
    for number, word in enumerate(("<module>", "main")):
        frame, code = image.room(432), image.room(144)
        image.put(code + 8, kind)
        image.put(code + first, 10 * (number + 1), 4)
        # Line deltas are unsigned up to 3.5.
        table = image.bytes(bytes([4, 1, 4, 200]))
        for offset, value in ((file, image.word("fake.py")), (title, image.word(word)), (lines, table),
                              (code_bytes, image.bytes(bytes(32)))):
            image.put(code + offset, value)
        image.put(frame + 24, caller)
        image.put(frame + 32, code)
        image.put(frame + 120, 8 if number else 6, 4)
        if number:
            image.variables(code, frame)
        if executing:
            image.put(frame + executing, 1, 1)
        else:
            image.put(frame, 1)  # somebody holds it
        caller = frame
    image.put(tstate + frame_at, caller)
    assert image.free <= BASE + SIZE
    return bytes(image.memory)


# The groups of _Py_DebugOffsets in their order, each beginning with its size. "name:14" came with 3.14.
GROUPS = """
runtime size finalizing interpreters_head
interp size id next threads_head threads_main:14 gc modules sysdict builtins ceval_gil gil gil_enabled gil_locked gil_holder
 code_generation:14 tlbc_generation:14
tstate size prev next interp frame base_frame:15 profiled:15 profiled_seq:15 thread_id native_id chunk status holds_gil:15
 gil_requested:15 exception:15 exc_state:15
exc size:15
frame size previous code instr localsplus owner stackpointer:14 tlbc_index:14
code size filename name qualname lines first_line argcount names kinds bytecode tlbc:14
object size type
type size name repr flags basicsize:15 dictoffset:15
heap_type size:15 keys:15
tuple size item count
list size item count
set size:14 used:14 table:14 mask:14
dict size keys values
float size value
long size tag digit
bytes size count data
text size state length ascii_size compact_size:15
"""

# What headers of free-threaded builds say (x86_64); others stand for themselves: sizes 64, fields 8.
COMMON_T = {
    "interp.size": 250000, "interp.gil_enabled": 0, "tstate.next": 8, "tstate.interp": 16, "tstate.frame": 72,
    "frame.size": 88, "frame.previous": 8,
    "frame.code": 0, "frame.instr": 56, "frame.localsplus": 80, "frame.owner": 78, "frame.tlbc_index": 72,
    "code.size": 240, "code.filename": 128,
    "code.name": 136, "code.qualname": 144, "code.lines": 152, "code.first_line": 84, "code.argcount": 68,
    "code.names": 112, "code.kinds": 120,
    "code.bytecode": 232, "code.tlbc": 224, "object.size": 32, "object.type": 24, "type.size": 432, "type.name": 40,
    "type.flags": 184, "type.basicsize": 48, "type.dictoffset": 304, "heap_type.size": 912, "heap_type.keys": 904,
    "dict.size": 64, "dict.keys": 48, "dict.values": 56, "bytes.size": 56, "bytes.count": 32, "bytes.data": 48,
    "text.size": 80, "text.state": 48, "text.length": 32, "text.ascii_size": 56, "text.compact_size": 72}
FREE_THREADED = {
    13: {"runtime.size": 328256, "runtime.interpreters_head": 632, "interp.id": 7272, "interp.next": 7264,
         "interp.threads_head": 7344, "interp.modules": 7664, "interp.gil": 7760, "interp.gil_locked": 7784,
         "interp.gil_holder": 7776, "tstate.size": 304, "tstate.thread_id": 152, "tstate.native_id": 160,
         "tstate.chunk": 232,
         "frame.size": 80, "frame.localsplus": 72, "frame.owner": 70, "code.size": 224, "code.bytecode": 216},
    14: {"runtime.size": 365624, "runtime.interpreters_head": 808, "interp.id": 7280, "interp.next": 7272,
         "interp.threads_head": 7344, "interp.modules": 7712, "interp.gil": 7808, "interp.gil_locked": 7832,
         "interp.gil_holder": 7824, "interp.code_generation": 8024, "interp.tlbc_generation": 17300, "tstate.size": 832,
         "tstate.thread_id": 152, "tstate.native_id": 160, "tstate.chunk": 232},
    15: {"runtime.size": 409296, "runtime.interpreters_head": 936, "interp.id": 7272, "interp.next": 7264,
         "interp.threads_head": 7336, "interp.modules": 7592, "interp.gil": 7736, "interp.gil_locked": 7760,
         "interp.gil_holder": 7752, "interp.code_generation": 7952, "interp.tlbc_generation": 17252, "tstate.size": 888,
         "tstate.base_frame": 80, "tstate.thread_id": 176, "tstate.native_id": 184, "tstate.chunk": 256},
}
# What the table leaves out: thread id, attached state.
UNTOLD = {13: (224, 40), 14: (224, 44), 15: (248, 48)}


def debug_offsets(minor, values):
    words = [int.from_bytes(b"xdebugpy", "little"), 3 << 24 | minor << 16 | 0xf0, 1]
    for group in GROUPS.strip().replace("\n ", " ").splitlines():
        name, *fields = group.split()
        for field in fields:
            field, _, since = field.partition(":")
            if int(since or 0) <= minor:
                words.append(values.get(f"{name}.{field}", 64 if field == "size" else 8))
    return struct.pack(f"<{len(words)}Q", *words)


def free_threaded(minor):
    """3.13t to 3.15t: one thread; main runs the second copy of its bytecode where there are copies."""
    image, values = Image(), {**COMMON_T, **FREE_THREADED[minor]}
    at = values.__getitem__
    # The interpreter begins below the bytes at hand: only what is read of it lies in them.
    interp, tstate, kind, table = BASE + 0x480 - at("interp.next"), BASE + 0x800, BASE + 0x940, BASE + 0xa00
    shim, chunk, name_of_file = BASE + 0xb00, BASE + 0x1000, BASE + 0x2400
    image.raw(BASE, debug_offsets(minor, values))
    image.put(BASE + at("runtime.interpreters_head"), interp)
    image.put(interp + at("interp.threads_head"), tstate)
    if minor > 13:
        image.put(interp + at("interp.tlbc_generation"), 3, 4)
    image.put(tstate + 16, interp)
    ident, attached = UNTOLD[minor]
    image.put(tstate + ident, 1)
    image.put(tstate + attached, 1, 4)
    image.put(tstate + at("tstate.thread_id"), 4711)
    image.put(tstate + at("tstate.native_id"), 4711)
    size = at("frame.size")
    frames = [chunk + 32, chunk + 32 + size]
    image.put(tstate + 72, frames[1])
    image.put(tstate + at("tstate.chunk"), chunk)
    image.put(tstate + at("tstate.chunk") + 8, chunk + 32 + 2 * size)
    if minor == 13:
        image.put(frames[1] + 64, 0xffffffff, 4)
    if minor == 15:
        image.put(tstate + 80, shim)
    image.put(chunk + 8, 0x800)
    image.put(shim, kind)
    image.put(shim + at("frame.owner"), 3, 1)
    image.put(kind + 40, kind + 64)
    image.raw(kind + 64, b"code\0")
    state = 1 << 2 | 1 << 5 | 1 << 6 if minor == 13 else (1 | 1 << 3 | 1 << 4) << 8
    line_table = bytes([0x80 | 1 << 3 | 7, 0, 0x80 | 11 << 3 | 7, 0, 0])
    image.put(table + 32, len(line_table))
    image.raw(table + 48, line_table)
    texts = [BASE + 0x2200, BASE + 0x2280, name_of_file]
    for text, value in zip(texts, ("<module>", "main", "fake.py")):
        image.put(text + 32, len(value))
        image.put(text + 48, state, 4)
        image.raw(text + 56, value.encode())
    for number, frame in enumerate(frames):
        code, array, copy = BASE + 0x1800 + number * 0x200, BASE + 0x1f00 + number * 0x20, BASE + 0x2000 + number * 0x40
        index = number if minor > 13 else 0
        image.put(code + 24, kind)
        image.put(code + 32, 16)
        image.put(code + 84, 10 * (number + 1), 4)
        for offset, value in ((128, name_of_file), (136, texts[number]), (144, texts[number]), (152, table)):
            image.put(code + offset, value)
        if minor > 13:
            image.put(code + 224, array)
            for offset, value in ((0, 2), (8, code + at("code.bytecode")), (16, copy)):
                image.put(array + offset, value)
            image.put(frame + 72, index, 4)
        image.put(frame, code | (1 if minor > 13 else 0))
        image.put(frame + 8, frames[0] if number else shim)
        image.put(frame + 56, (copy if index else code + at("code.bytecode")) + 20)
    return bytes(image.memory)


def changing(image, places, number):
    """The image, and what is written into it while it is read: one of the places becomes another's value, nothing,
    nonsense or what it was."""
    chance, script = random.Random(number), b""
    words = {place: struct.unpack_from("<Q", image, place - BASE)[0] for place in places}
    values = [*words.values(), 0, 8, 0x7fffdeadbee8, 2 ** 63 - 1]
    for _ in range(300):
        place = chance.choice(places)
        value = words[place] if chance.random() < 0.5 else chance.choice(values)
        script += struct.pack("<HHQ", chance.choice((0, 1, 2, 3, 5, 9, 30)), place - BASE, value)
    return image + script


def main(arguments):
    for name in ("walk", "linetable", "debug_offsets"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    (CORPUS / "walk" / "python-3.8").write_bytes(b"\x00" + frame_objects())
    (CORPUS / "walk" / "python-3.11").write_bytes(b"\x03" + data_stack(0x0b))
    (CORPUS / "walk" / "python-3.12").write_bytes(b"\x04" + data_stack(0x0c))
    for minor in (13, 14, 15):
        (CORPUS / "walk" / f"python-3.{minor}t").write_bytes(bytes([0x80 | minor - 8]) + free_threaded(minor))
    (CORPUS / "walk" / "python-3.8-deep").write_bytes(b"\x20" + frame_objects(24))
    # Where the chain, the lists and the chunks hang: of frames, thread state, interpreter, C stack record.
    chain = {"3.8": (0, frame_objects(24), (0x20, 0x808, 0xa08, 0xa18, 0x1018, 0x1020, 0x1068, 0x1070, 0x1498, 0x1b98, 0x1b98)),
             "3.11": (3, data_stack(0x0b, apart=True), (0x28, 0x410, 0xa08, 0xa38, 0xb28, 0xb30, 0xc08, 0x1050, 0x1058, 0x3b30,
                                                        0x3c00, 0x3c08, 0x3c38, 0x3c48, 0x3c50, 0x3c58)),
             "3.12": (4, data_stack(0x0c, apart=True), (0x28, 0x448, 0xa08, 0xa38, 0xae8, 0xaf0, 0xc00, 0x1020, 0x1028, 0x1058,
                                                        0x3b08, 0x3c00, 0x3c08, 0x3c18, 0x3c20, 0x3c50)),
             "3.14t": (0x86, free_threaded(14), (0x808, 0x848, 0x8e8, 0x8f0, 0x1020, 0x1028, 0x1068, 0x1078, 0x1080, 0x10b0,
                                                 0x1020 + 88 + 72, 0x1f20, 0x1f30))}
    for name, (choice, image, places) in chain.items():
        for number in (1, 2):
            (CORPUS / "walk" / f"changing-{name}-{number}").write_bytes(
                bytes([choice]) + changing(image, [BASE + place for place in places], number))
        if name in ("3.11", "3.12"):
            (CORPUS / "walk" / f"python-{name}-apart").write_bytes(bytes([choice | 0x20]) + image)
    for number, name in enumerate(OLD):
        (CORPUS / "walk" / f"python-{name}").write_bytes(bytes([8 + number]) + old_frame_objects(name))
    first = struct.pack("<i", 100)
    tables = {"lnotab-unsigned": b"\0" + first + bytes([2, 1, 255, 0, 3, 200]),
              "lnotab-signed": b"\1" + first + bytes([2, 1, 0, 0x80, 0, 0xF0, 4, 2, 255, 0, 9, 127]),
              "ranges": b"\2" + first + bytes([4, 1, 2, 0x80, 6, 0xFE, 0, 5, 8, 1]),
              "locations": b"\3" + first + bytes([0x80, 0, 0xD8, 4, 5, 0xE8, 9, 0xF2, 0x41, 1, 2, 3, 4, 0xF9])}
    for name, table in tables.items():
        (CORPUS / "linetable" / name).write_bytes(table)
    while len(arguments) >= 3:
        pid, address, name, arguments = arguments[0], int(arguments[1], 0), arguments[2], arguments[3:]
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(address)
            (CORPUS / "debug_offsets" / name).write_bytes(memory.read(888))


if __name__ == "__main__":
    main(sys.argv[1:])
