# -*- coding: utf-8 -*-
"""Shapes of walker_shapes.py that no Python 2 can spell."""
import asyncio
import functools
import sys


def shapes(park):
    """Functions that end in a call of park."""

    def numbers():
        yield 1
        park()
        yield 2

    def delegating():
        yield from numbers()

    def delegation():
        return [n for n in (m for m in delegating())]

    class Größe:
        def größer(self):
            return park()

    def unicode_names():
        return Größe().größer()

    async def waiting(depth):
        if depth:
            return await waiting(depth - 1)
        async with Context():
            park()

    class Context:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *what):
            return None

    def coroutines():
        if sys.version_info < (3, 7):
            return asyncio.new_event_loop().run_until_complete(waiting(20))
        return asyncio.run(waiting(20))

    def only_by_keyword(*args, a=1, b=2, **kwargs):
        return sorted([1], key=functools.partial(inner, c=3))

    def inner(value, *, c):
        return park()

    return [delegation, unicode_names, coroutines, only_by_keyword]
