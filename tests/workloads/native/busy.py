"""Computes in three threads while a timer's signal arrives 200 times a second; says each second how often it came."""
import signal
import sys
import threading
import time

count = 0


def on_alarm(number, frame):
    global count
    count += 1


def work():
    while True:
        sorted(range(2000), key=lambda x: -x)


for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
end = time.monotonic() + 1
while True:
    sum(range(1000))
    if time.monotonic() > end:
        sys.stdout.write("%d\n" % count)
        sys.stdout.flush()
        count, end = 0, time.monotonic() + 1
