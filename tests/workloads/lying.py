"""lying.py MODE: a CPython 3.11 that damages its own objects, as a hostile target would, and goes on. Prints READY."""
import ctypes
import struct
import sys
import threading
import time

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202e\u2066\x9b31m\r\n\t\x00end"
STATES, STATE_BYTES = 190000, 360


def poke(address, value, width=8):
    ctypes.memmove(address, value.to_bytes(width, "little"), width)


def word(address):
    return ctypes.c_uint64.from_address(address).value


def ready():
    print("READY", flush=True)


def spin():
    end = time.monotonic() + 600
    while time.monotonic() < end:
        pass


def rename(**changed):
    spin.__code__ = spin.__code__.replace(**changed)
    return spin.__code__


def names():
    """Control characters in every name that a target chooses."""
    rename(co_name=EVIL, co_qualname=EVIL, co_filename=f"/tmp/{EVIL}.py")
    thread = threading.Thread(target=spin, name=EVIL, daemon=True)
    thread.start()
    ready()
    spin()


def length(bits):
    """A function's name says that it is that long."""
    name = "n" * 100
    rename(co_name=name, co_qualname=name)
    poke(id(name) + 16, 1 << bits if bits < 63 else (1 << 63) - 1)
    ready()
    spin()


def table():
    """A line table says that it has 2 GiB."""
    lines = bytes(spin.__code__.co_linetable) + bytes(8)
    rename(co_linetable=lines)
    poke(id(lines) + 16, 1 << 31)
    ready()
    spin()


def numbers():
    """A code object's names are no strings."""
    code = rename()
    poke(id(code) + 112, id(type))
    poke(id(code) + 120, id(12345678901234567890))
    poke(id(code) + 128, id(spin))
    ready()
    spin()


def states():
    """The list of thread states leads into forged ones without an end in sight, and changes."""
    current = ctypes.pythonapi.PyThreadState_Get
    current.restype = ctypes.c_void_p
    real = current()
    block = ctypes.create_string_buffer(STATE_BYTES * (STATES + 1))
    first = (ctypes.addressof(block) + 15) & ~15
    for number in range(STATES):
        state = bytearray(ctypes.string_at(real, STATE_BYTES))
        struct.pack_into("<Q", state, 8, first + (number + 1) % STATES * STATE_BYTES)
        struct.pack_into("<Q", state, 240, 1000 + number)
        ctypes.memmove(first + number * STATE_BYTES, bytes(state), STATE_BYTES)
    oldest = real
    while word(oldest + 8):
        oldest = word(oldest + 8)
    poke(oldest + 8, first)
    ready()
    number = 0
    while True:
        number += 1
        poke(first + 240, number)


def generators(depth):
    """A function at the end of a chain of generators."""
    def chain(left):
        if left:
            yield from chain(left - 1)
        else:
            ready()
            spin()
            yield

    def run():
        for _ in chain(depth):
            pass

    sys.setrecursionlimit(10 * depth)
    threading.stack_size(1 << 29)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def ring(kind, depth):
    """Generators or coroutines that wait for one another in a ring; what the last of them called runs on."""
    made = []

    def closed():
        poke(id(made[0]) + 80 + 48, id(made[-1]) + 80)  # previous of the frame in the first: the frame in the last
        ready()
        spin()

    def generator(left):
        if left:
            made.append(generator(left - 1))
            yield from made[-1]
        else:
            closed()

    async def coroutine(left):
        if left:
            made.append(coroutine(left - 1))
            await made[-1]
        else:
            closed()

    made.append({"generators": generator, "coroutines": coroutine}[kind](depth))
    sys.setrecursionlimit(10 * depth + 1000)
    threading.stack_size(1 << 29)
    thread = threading.Thread(target=made[0].send, args=(None,))
    thread.start()
    thread.join()


if __name__ == "__main__":
    globals()[sys.argv[1]](*(int(word) if word.isdigit() else word for word in sys.argv[2:]))
