"""Loads of walker_loads.py in threads that run at the same time, where there is no GIL.

    walker_threads.py EDGES LOAD...

One thread per LOAD, on whatever CPUs there are. EDGES gets walker_loads' calls, `<thread>` calling each load, and what
the main thread does: wait.
"""
import _thread
import os
import sys
import time

import walker_loads


def main(path, loads):
    with open(path + ".new", "w", encoding="ascii") as out:
        for caller, number, callee in walker_loads.edges():
            out.write(f"{caller}\t{number}\t{callee}\n")
        for load in loads:
            out.write(f"<thread>\t0\t{walker_loads.LOADS[load].__name__}\n")
        out.write(f"<module>\t{sys._getframe(1).f_lineno}\tmain\n")
    end = time.time() + 600
    for load in loads:
        _thread.start_new_thread(walker_loads.LOADS[load], (end,))
    os.rename(path + ".new", path)
    forever = _thread.allocate_lock()
    forever.acquire()
    forever.acquire()


main(sys.argv[1], sys.argv[2:])
