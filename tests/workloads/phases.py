"""Programs for two profilers to look at at once. Each waits for a line first and does fixed work, without the system
calls of a clock: a profiler that stops its target finds it too often where it enters the kernel."""
import sys
import threading
import time
import zlib

DATA = bytes(64 << 10)


def alpha(rounds):
    total = 0
    for _ in range(rounds * 100_000):
        total = (total * 3 + 1) & 0xFFFF


def beta(rounds):
    total, left = 0, rounds * 50_000
    while left:
        left -= 1
        total = total + left & 0xFFFF
        total ^= left


def gamma(rounds):
    table = {}
    for number in range(rounds * 60_000):
        table[number & 255] = number
        number = table[number & 127]


def digest(rounds):
    for _ in range(rounds * 200):
        zlib.crc32(DATA)


def deep(depth, rounds):
    if depth:
        return deep(depth - 1, rounds)
    return alpha(rounds)


class Worker:
    def run(self, rounds):
        beta(rounds)


def plain():
    """Three functions, one after the other, again and again."""
    for _ in range(6):
        alpha(25)
        beta(15)
        gamma(10)


def nested():
    """Recursion and a method."""
    for _ in range(6):
        deep(20, 25)
        Worker().run(25)


def native():
    """C code that has let the GIL go, and Python."""
    for _ in range(6):
        digest(12)
        alpha(25)


def asleep():
    """Half of the real time is slept, which does not count without being asked for."""
    for _ in range(6):
        alpha(15)
        time.sleep(0.15)
        gamma(15)
        time.sleep(0.15)


def threads():
    """Two threads that take turns with the GIL."""
    both = [threading.Thread(target=alpha, args=(150,)), threading.Thread(target=gamma, args=(100,))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    globals()[sys.argv[1]]()
