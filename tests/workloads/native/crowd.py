"""Sixteen threads that compute and sleep by turns, until the standard input ends: then all at once."""
import os
import sys
import threading
import time


def work():
    while True:
        sorted(range(500), key=lambda x: -x)
        time.sleep(0.0005)


for _ in range(16):
    threading.Thread(target=work, daemon=True).start()
sys.stdout.write("working\n")
sys.stdout.flush()
sys.stdin.read()
os._exit(0)
