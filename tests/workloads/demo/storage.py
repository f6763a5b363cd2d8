"""A database and a stock service that are not there: threads wait for a socket that answers after a while."""
import concurrent.futures
import os
import select
import socket
import threading

WAIT_SECONDS = 0.004

_pool = None
_pool_owner = 0
_pool_lock = threading.Lock()


def stock_pool():
    """The pool of this process: threads do not survive a fork."""
    global _pool, _pool_owner
    with _pool_lock:
        if _pool_owner != os.getpid():
            _pool = concurrent.futures.ThreadPoolExecutor(4, thread_name_prefix="stock")
            _pool_owner = os.getpid()
        return _pool


def wait_for_answer(seconds):
    near, far = socket.socketpair()
    try:
        select.select([near], [], [], seconds)
    finally:
        near.close()
        far.close()


def load_customer(number):
    wait_for_answer(WAIT_SECONDS)
    return {"id": number, "name": f"customer {number}", "tier": ("plain", "silver", "gold")[number % 3]}


def fetch_quantity(item):
    wait_for_answer(WAIT_SECONDS)
    return dict(item, quantity=1 + item["id"] % 5)


def fetch_stock(items):
    quantities = list(stock_pool().map(fetch_quantity, items[:8]))
    return quantities + [dict(item, quantity=1) for item in items[8:]]
