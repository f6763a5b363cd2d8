"""A host with a lot on it: what discovery, sampling and the rest of the agent cost there, and the memory that they take.

    ./dev bench hosts [--processes N] [--pythons N] [--forks RATE] [--seconds S]

Sleeping processes and mostly idle Pythons first at rest, then while others are forked and end at once. The agent runs
with its defaults. CPU is what the scheduler counted for each role; the floor is what one listing of /proc, and one
reading of every process's stat, costs a program that does nothing else. The machine may give fewer processes than
asked for: what it gave is printed.
"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import agent, pythons  # noqa: E402
from lib.waiting import wait_until  # noqa: E402

HERE = Path(__file__).resolve().parent
ROLES = ["scan", "sample", "daemon", "agent"]
SPARE_IDS = 2000
SETTLE_SECONDS = 15
# Asleep but for a little work each second: what a worker without requests does.
IDLE = "import time, threading\ndef work():\n    sum(range(2000))\ndef idle():\n    while True:\n        work()\n        time.sleep(1)\nidle()\n"


def limit(path):
    text = Path(path).read_text(encoding="ascii").strip() if Path(path).exists() else "max"
    return sys.maxsize if text == "max" else int(text)


def affordable(wanted):
    """What pid_max, the limit of this user and that of the own control group leave."""
    group = Path("/sys/fs/cgroup/pids")
    user = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    most = min(limit("/proc/sys/kernel/pid_max"), sys.maxsize if user < 0 else user,
               limit(group / "pids.max"), limit("/sys/fs/cgroup/pids.max"))
    return max(min(wanted, most - SPARE_IDS), 0)


def role_pids(supervisor):
    """role -> pid."""
    found = {"agent": supervisor}
    for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii").split():
        name = Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip()
        if name.startswith("pst-"):
            found[name[4:]] = int(child)
    return found


def cpu_ns(pid):
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(path.read_text(encoding="ascii").split()[0])
    return total


def pss_mib(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def shares(pids, seconds):
    """role -> share of a core over so many seconds."""
    before, begun = {role: cpu_ns(pid) for role, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    return {role: (cpu_ns(pid) - before[role]) / 1e9 / passed for role, pid in pids.items()}


def line(what, of_core, pids):
    memory = {role: pss_mib(pid) for role, pid in pids.items()}
    columns = " ".join(f"{100 * of_core[role]:7.2f}%" for role in ROLES)
    print(f"{what:24} {columns} {100 * sum(of_core.values()):7.2f}%   " + " ".join(f"{memory[role]:6.1f}" for role in ROLES)
          + f" {sum(memory.values()):6.1f}", flush=True)


def crowd_program(folder):
    out = folder / "crowd"
    subprocess.run(["cc", "-O2", "-Wall", "-static", "-D_GNU_SOURCE", "-o", str(out), str(HERE / "crowd.c")], check=True)
    return out


def floor(program):
    done = subprocess.run([program, "look", "20"], capture_output=True, text=True, check=True).stdout.split()
    print(f"floor: one listing of /proc {int(done[0]) / 1e6:.1f} ms, every stat {int(done[1]) / 1e6:.1f} ms", flush=True)


class Host:
    """Ended with everything on it."""

    def __init__(self):
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            process.kill()
        for process in self.started:
            process.wait()
            if process.stdout:
                process.stdout.close()

    def start(self, *words, **options):
        self.started.append(subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, **options))
        return self.started[-1]


def settle(running, count):
    """All Pythons found and the first windows behind."""
    wait_until(lambda: running.metric("pystrobe_targets", state="active") >= count, 300, f"{count} targets", interval=1)
    time.sleep(SETTLE_SECONDS)


def steps(running):
    taken = {name: value for name, value in running.metrics().items() if "budget_steps" in name and value}
    print(f"budget: {taken or 'no step'}", flush=True)


def measure(options, folder, program, host):
    sleepers = host.start(program, "sleep", affordable(options.processes), stdout=subprocess.PIPE, text=True)
    print(f"{sleepers.stdout.readline().strip()} sleeping processes, {options.pythons} mostly idle Pythons", flush=True)
    python = pythons.system_python()
    for _ in range(options.pythons):
        host.started.append(python.popen("-c", IDLE))
    wait_until(lambda: len(os.listdir("/proc")) >= options.pythons, 60, "the Pythons")
    floor(program)
    settings = {"sampling": {"window": "15s"}, "discovery": {"interval": "10s", "min_age": "5s"}}
    if options.no_budget:
        settings["sampling"]["overhead"] = {"cpu": "100%", "memory": "1GiB"}
    with agent.Agent(folder / "agent", settings, files=False) as running:
        running.wait_ready(60)
        settle(running, options.pythons)
        pids = role_pids(running.pid)
        print(f"{'share of a core':24} " + " ".join(f"{role:>8}" for role in ROLES) + f" {'all':>8}   "
              + " ".join(f"{role:>6}" for role in ROLES) + f" {'MiB':>6}", flush=True)
        line("at rest", shares(pids, options.seconds), pids)
        steps(running)
        churn = host.start(program, "fork", options.forks, stdout=(folder / "forks").open("w"))
        time.sleep(5)
        before = int((folder / "forks").read_text().split()[-1])
        found = shares(pids, options.seconds)
        rate = (int((folder / "forks").read_text().split()[-1]) - before) / options.seconds
        line(f"at {rate:.0f} forks a second", found, pids)
        churn.kill()
        steps(running)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench hosts")
    parser.add_argument("--processes", type=int, default=20000)
    parser.add_argument("--pythons", type=int, default=500)
    parser.add_argument("--forks", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--no-budget", action="store_true", help="let the agent use what it would without a limit")
    options = parser.parse_args()
    if os.getpid() != 1:
        # A pid namespace of its own: everything in it ends with this script.
        return subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, __file__, *sys.argv[1:]],
                              check=False).returncode
    with tempfile.TemporaryDirectory(dir="/tmp") as name, Host() as host:
        measure(options, Path(name), crowd_program(Path(name)), host)
    return 0


if __name__ == "__main__":
    sys.exit(main())
