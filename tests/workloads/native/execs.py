"""Executes itself again and again out of a thread that is not its first, while others compute: execs.py FILE, which holds how often."""
import os
import sys
import threading
import time


def work():
    while True:
        sorted(range(500))


def again(path, count):
    with open(path, "w") as file:
        file.write(str(count))
    time.sleep(0.01)
    os.execv(sys.executable, [sys.executable, "-S", "-E", __file__, path, str(count + 1)])


threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
threads.append(threading.Thread(target=again, args=(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
for thread in threads:
    thread.start()
work()
