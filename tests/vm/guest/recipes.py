"""The three recipes for sidecars, under the Yama that each is for."""
import os
import shutil
import signal
import subprocess

from said import children, comm, end, say, sampled, targets, wait, yama

APP = 1000
USER = ["setpriv", f"--reuid={APP}", f"--regid={APP}", "--clear-groups", "--bounding-set=-all", "--no-new-privs", "--"]
PTRACE = ["setpriv", "--bounding-set=-all,+sys_ptrace", "--no-new-privs", "--"]
GUNICORN = ["gunicorn", "--chdir", "/t/guest", "--workers", "2", "--worker-tmp-dir", "/tmp", "-b", "127.0.0.1:8000",
            "application:application"]
SETTINGS = ["env", "HOME=/tmp/app", "PYSTROBE_STORE_DIRECTORY=/tmp/app/store", "PYSTROBE_SPOOL_DIRECTORY=/tmp/app/spool",
            "PYSTROBE_DISCOVERY_INTERVAL=2s",
            # What is cheap elsewhere is not under emulation.
            "PYSTROBE_SAMPLING_OVERHEAD_CPU=100%"]


def start(user, *words):
    shutil.rmtree("/tmp/app", ignore_errors=True)
    os.mkdir("/tmp/app")
    os.chown("/tmp/app", APP if user is USER else 0, APP if user is USER else 0)
    return subprocess.Popen([*user, *SETTINGS, *words])


def role(agent, name):
    return next((pid for pid in children(agent.pid) if comm(pid) == f"pst-{name}"), 0)


def gunicorn_of(agent):
    """The master and its two workers, once they are there."""
    master = next((pid for pid in children(agent.pid) if comm(pid).startswith("gunicorn")), 0)
    pids = [master, *children(master)] if master else []
    return pids if len(pids) == 3 else None


def beside(name, scope, user, gunicorn_user):
    """An agent next to a gunicorn that it has not started."""
    yama(scope)
    web = subprocess.Popen([*gunicorn_user, *GUNICORN])
    agent = start(user, "pystrobe", "agent")
    try:
        workers = wait(lambda: len(children(web.pid)) == 2 and children(web.pid), "gunicorn's workers")
        rows = wait(lambda: sampled([web.pid, *workers]), f"samples of {workers}")
        say(name, right=len(rows) == 3, said=rows)
    finally:
        end(agent)
        end(web)


def refused_without_a_right():
    """The same uid under Yama 1 reads nothing of a process that it has not started."""
    yama(1)
    web = subprocess.Popen([*USER, *GUNICORN])
    agent = start(USER, "pystrobe", "agent")
    try:
        wait(lambda: [row for row in targets() if row["pid"] == web.pid and row["reason"] == "eperm"], "eperm")
        say("same uid, Yama 1, not its descendant: refused", right=not sampled([web.pid]), said=targets())
    finally:
        end(agent)
        end(web)


def killed_reader(agent, name):
    before = role(agent, name)
    os.kill(before, signal.SIGKILL)
    wait(lambda: role(agent, name) not in (0, before), f"a new {name} reader")


def more_samples(pids):
    """Each of them has more samples than a moment ago."""
    rows = wait(lambda: sampled(pids), f"samples of {pids}")
    return wait(lambda: (now := sampled(pids)) and all(now[pid]["samples"] > rows[pid]["samples"] for pid in pids), "more samples")


def entry_point():
    """Recipe (c): no capability, Yama 1, and every process of the program is read."""
    yama(1)
    # The program execs once more after it has begun to run.
    agent = start(USER, "pystrobe", "agent", "--", "python3", "-c",
                  "import os, sys, time; time.sleep(8); os.execvp(sys.argv[1], sys.argv[1:])", *GUNICORN)
    try:
        early = wait(lambda: [pid for pid in children(agent.pid) if comm(pid).startswith("python3")], "the program")
        say("entry point: the program is read", right=bool(wait(lambda: sampled(early), "its samples")), said="")
        pids = wait(lambda: gunicorn_of(agent), "gunicorn")
        say("entry point: what it has become by exec, and workers", right=bool(wait(lambda: sampled(pids), f"samples of {pids}")), said="")
        for name in ("sample", "scan"):
            killed_reader(agent, name)
            say(f"entry point: after kill -9 of the {name} reader", right=bool(more_samples(pids)), said="")
        os.kill(pids[0], signal.SIGHUP)
        new = wait(lambda: (now := gunicorn_of(agent)) and not set(now[1:]) & set(pids[1:]) and now, "new workers")
        say("entry point: workers that were restarted", right=bool(wait(lambda: sampled(new), f"samples of {new}")), said="")
        status = end(agent)
        say("entry point: the exit status is gunicorn's", right=status == 0, said=status)
    finally:
        if agent.poll() is None:
            end(agent)


def all_of_them():
    beside("recipe (a): uid 0 with SYS_PTRACE alone, Yama 1", 1, PTRACE, USER)
    beside("recipe (b): the same uid, no capability, Yama 0", 0, USER, USER)
    refused_without_a_right()
    entry_point()
