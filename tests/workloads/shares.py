"""Work of known shape that keeps its own books: shares.py CASE LOG

Every line of LOG is a JSON snapshot: realtime, the process's CPU clock, and for each function the CPU and wall time that
its threads spent in it so far, by their own clocks. Whoever reads it can say what a profile of any interval should show.
"""
import hashlib
import json
import os
import select
import sys
import threading
import time
import zlib

BOOKS = []  # one dict per thread: function name -> [cpu ns, wall ns]
SNAPSHOT_NS = 50_000_000


class Book(dict):
    """Charges the time since the last charge to a name. One per thread."""

    def __init__(self):
        super().__init__()
        BOOKS.append(self)
        self.cpu, self.wall = time.thread_time_ns(), time.perf_counter_ns()

    def charge(self, name):
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        entry = self.setdefault(name, [0, 0])
        entry[0] += cpu - self.cpu
        entry[1] += wall - self.wall
        self.cpu, self.wall = cpu, wall


class Log:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.due = 0

    def snapshot(self, force=False):
        now = time.perf_counter_ns()
        if now < self.due and not force:
            return
        self.due = now + SNAPSHOT_NS
        sums = {}
        for book in list(BOOKS):
            for name, (cpu, wall) in list(book.items()):
                entry = sums.setdefault(name, [0, 0])
                entry[0] += cpu
                entry[1] += wall
        self.file.write(json.dumps({"time": time.time_ns(), "cpu": time.process_time_ns(), "functions": sums}) + "\n")
        self.file.flush()


def alpha(cpu_ns):
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass


def beta(cpu_ns):
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass


def gamma(cpu_ns):
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass


def rest(seconds):
    select.select([], [], [], seconds)


def squeeze(data):
    zlib.compress(data, 6)


def digest(data):
    hashlib.sha256(data).digest()


def steady(log):
    book = Book()
    while True:
        alpha(5_000_000)
        book.charge("alpha")
        beta(3_000_000)
        book.charge("beta")
        gamma(2_000_000)
        book.charge("gamma")
        log.snapshot()
        book.charge("snapshot")


def bursts(log, work_ns, period_ns):
    book = Book()
    due = time.perf_counter_ns()
    while True:
        alpha(work_ns)
        book.charge("alpha")
        log.snapshot()
        book.charge("snapshot")
        due = max(due + period_ns, time.perf_counter_ns())
        rest(max(0, due - time.perf_counter_ns()) / 1e9)
        book.charge("rest")


def in_thread(function):
    def body():
        book = Book()
        while True:
            function(5_000_000)
            book.charge(function.__name__)

    threading.Thread(target=body, daemon=True).start()


def one_gil(log):
    """Eight threads that want the GIL all the time: alpha in four, beta in three, gamma in one."""
    for function in [alpha] * 4 + [beta] * 3 + [gamma]:
        in_thread(function)
    book = Book()
    while True:
        rest(0.05)
        book.charge("rest")
        log.snapshot()
        book.charge("snapshot")


def released(log):
    """C code that gives the GIL back while it computes."""
    data = os.urandom(1 << 16) * 16

    def body():
        book = Book()
        while True:
            squeeze(data)
            book.charge("squeeze")

    threading.Thread(target=body, daemon=True).start()
    book = Book()
    while True:
        digest(data)
        book.charge("digest")
        alpha(2_000_000)
        book.charge("alpha")
        log.snapshot()
        book.charge("snapshot")


def native(log):
    """A thread that Python knows nothing of, started by the library named in the environment."""
    import ctypes

    ctypes.CDLL(os.environ["SHARES_NATIVE"]).start_spinning()
    book = Book()
    while True:
        alpha(4_000_000)
        book.charge("alpha")
        log.snapshot()
        book.charge("snapshot")
        rest(0.004)
        book.charge("rest")


def churn(log):
    """Threads that live for some 60 ms, and children that live for some 30."""

    def brief():
        book = Book()
        for function, ns in ((alpha, 10_000_000), (beta, 6_000_000), (gamma, 4_000_000)):
            function(ns)
            book.charge(function.__name__)

    book = Book()
    rounds = 0
    while True:
        threads = [threading.Thread(target=brief) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        book.charge("join")
        rounds += 1
        if rounds % 5 == 0:
            pid = os.fork()
            if pid == 0:
                alpha(20_000_000)
                os._exit(0)
            os.waitpid(pid, 0)
            book.charge("fork")
        log.snapshot()
        book.charge("snapshot")


CASES = {
    "steady": steady,
    "bursts-20ms": lambda log: bursts(log, 2_000_000, 20_000_000),
    "bursts-1s": lambda log: bursts(log, 2_000_000, 1_000_000_000),
    "periodic": lambda log: bursts(log, int(0.3e9 / float(os.environ["SHARES_HZ"])), int(1e9 / float(os.environ["SHARES_HZ"]))),
    "one-gil": one_gil,
    "released": released,
    "native": native,
    "churn": churn,
}

if __name__ == "__main__":
    CASES[sys.argv[1]](Log(sys.argv[2]))
