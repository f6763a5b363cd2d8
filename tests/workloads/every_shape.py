# -*- coding: utf-8 -*-
"""Says "ready" and then calls methods of all kinds, flat out: what a sampler of everything has something to read of."""
import sys
import threading

NUMBER, NEGATIVE, LARGE, REAL, TEXT, BYTES = 7, -3, 1 << 90, 0.5, u"sn\u00f6", b"bytes"
LIST, TUPLE, DICT, SET, FROZEN = [1, [2]], (1, (2,)), {"key": 1, 2: "two"}, {1, 2}, frozenset([3])
password = "hidden"


class Old:
    def old(self, count):
        return count + self.__class__.made(1)

    @classmethod
    def made(cls, count):
        return count


class Base(object):
    def method(self, *args, **kwargs):
        later = lambda: (self, args)
        return self.step(later)

    def step(self, later):
        total = 0
        for number in self.numbers(20):
            total += Old().old(number)
        return total, later

    def numbers(self, count):
        for number in range(count):
            yield number

    @classmethod
    def factory(cls):
        return cls()


class Derived(Base):
    def celled(self):
        return (lambda: self)()


def again(depth):
    return again(depth - 1) if depth else sum(sorted([3, 1, 2], key=lambda value: -value))


def work():
    while True:
        Derived.factory().method(1, two=2)
        Derived().celled()
        again(12)


for _ in range(2):
    thread = threading.Thread(target=work)
    thread.daemon = True
    thread.start()
sys.stdout.write("ready\n")
sys.stdout.flush()
while True:
    Derived.factory().method(1, two=2)
    again(12)
