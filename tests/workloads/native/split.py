"""Uses CPU for as long as it is asked, three quarters of it in zlib and one in hashlib, by its own CPU clock."""
import hashlib
import os
import sys
import time
import zlib

DATA = os.urandom(65536)


def spend(seconds, work):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        work()


def squeeze():
    zlib.compress(DATA, 6)


def digest():
    hashlib.sha256(DATA).digest()


end = time.thread_time() + float(sys.argv[1])
while time.thread_time() < end:
    spend(0.03, squeeze)
    spend(0.01, digest)
