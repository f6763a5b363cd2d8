"""One thread, busy at the end of a recursion: spin.py DEPTH. Prints the address of 64 KiB that a reader may read."""
import ctypes
import sys

BUFFER = ctypes.create_string_buffer(65536)


def leaf():
    while True:
        sum(range(50))


def descend(depth):
    if depth:
        descend(depth - 1)
    else:
        leaf()


print(ctypes.addressof(BUFFER), flush=True)
descend(int(sys.argv[1]))
