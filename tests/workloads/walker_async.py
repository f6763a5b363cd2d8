"""Loads of walker_loads.py that take a newer Python: four tasks that await all the time, and long chains of generators
and coroutines. Marked like the loads there; frames of other files are one caller, `*`."""
import asyncio
import time


def plain(x):
    return x + 1


async def at_once(x):
    return plain(x)  # -> plain


async def after_others(x):
    await asyncio.sleep(0)  # -> *
    return plain(x)  # -> plain


async def middle(n):
    total = 0
    for i in range(n):
        total += await at_once(i)  # -> at_once
        total += await after_others(i)  # -> after_others
    return total


async def numbers(n):
    for i in range(n):
        yield plain(i)  # -> plain


async def task(end):  # *-> task
    while time.time() < end:
        await middle(10)  # -> middle
        async for number in numbers(10):  # -> numbers *
            plain(number)  # -> plain *


async def all_tasks(end):  # *-> all_tasks
    await asyncio.gather(*[task(end) for _ in range(4)])  # -> *


def tasks(end):
    asyncio.run(all_tasks(end))  # -> *


def busy():
    total = 0
    for i in range(100000):
        total += i
    return total


def delegating(left):
    if left:
        yield from delegating(left - 1)  # -> delegating
    else:
        while True:
            busy()  # -> busy
            yield


def chain_yield(end):
    for _ in delegating(200):  # -> delegating
        if time.time() >= end:
            break


async def awaiting(left, end):  # *-> awaiting
    if left:
        await awaiting(left - 1, end)  # -> awaiting
    else:
        while time.time() < end:
            busy()  # -> busy
            await asyncio.sleep(0)  # -> *


def chain_await(end):
    asyncio.run(awaiting(300, end))  # -> *
