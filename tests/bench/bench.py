"""CPU per sample and achieved rate of pystrobe next to the system call floor and Austin on the same targets.

    ./dev bench [--seconds N] [--hz N…]

One busy thread at 15 and at 105 frames. Each sampler runs alone against the same kind of target; its CPU is what the
scheduler counted for its whole process tree in a window that leaves start and end out; for pystrobe that is all four
roles, with discovery, windows and export. Numbers of a virtual machine vary: the ratios to the floor of the same run
carry over, the microseconds do not.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import agent, places, pythons  # noqa: E402

HERE = Path(__file__).resolve().parent
AUSTIN = "4.0.0"
EXTRA_FRAMES = 3
FRAME_BYTES = 96


def tree(pid):
    """This process and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_ns(pid):
    """What the scheduler has counted for the living threads of a process tree."""
    total = 0
    for member in tree(pid):
        for path in Path(f"/proc/{member}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text(encoding="ascii").split()[0])
            except (OSError, ValueError, IndexError):
                pass
    return total


def floor_program(folder):
    out = folder / "floor"
    subprocess.run(["cc", "-O2", "-Wall", "-D_GNU_SOURCE", "-o", str(out), str(HERE / "floor.c")], check=True)
    return out


def austin_program():
    """Austin's executable from its wheel, kept in the cache; None with the reason when it cannot be had."""
    target = places.cache() / f"austin-{AUSTIN}"
    program = target / "austin"
    if not program.exists():
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["/usr/bin/python3", "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"austin-dist=={AUSTIN}"],
                                  capture_output=True, text=True, check=False)
            wheels = list(Path(folder).glob("*.whl"))
            if not wheels:
                return None, done.stderr.strip()[-200:]
            with zipfile.ZipFile(wheels[0]) as wheel:
                name = next(name for name in wheel.namelist() if name.endswith("/scripts/austin"))
                target.mkdir(parents=True, exist_ok=True)
                program.write_bytes(wheel.read(name))
                program.chmod(0o755)
    return program, ""


class Target:
    def __init__(self, python, frames):
        self.frames = frames
        self.process = python.popen(HERE / "spin.py", frames - EXTRA_FRAMES, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.python = python

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def run_floor(target, program, hz, seconds):
    size = min(target.frames * FRAME_BYTES, 65536)
    out = subprocess.run([program, str(target.process.pid), target.address, str(size), str(hz), str(seconds)], capture_output=True,
                         text=True, check=True).stdout.split()
    return int(out[0]) / seconds, int(out[1]) / seconds


def run_pystrobe(target, hz, seconds, folder):
    """Wall mode reads the thread's stack at every tick; the rate is what stands in the profiles of this target."""
    settings = {"sampling": {"hz": hz, "modes": ["wall"], "window": "2s", "overhead": {"cpu": "100%"}}}
    with agent.Agent(folder, settings) as running:
        running.wait_ready()
        running.wait_target(target.process.pid)
        time.sleep(3)
        cpu, begun = cpu_ns(running.pid), time.monotonic()
        time.sleep(seconds)
        cpu, passed = cpu_ns(running.pid) - cpu, time.monotonic() - begun
        running.stop()
        mine = [profile for profile in running.read_profiles("wall") if "leaf" in profile.by_function()][1:-1]
    samples = sum(profile.total("samples") for profile in mine)
    lasted = sum(profile.duration_nanos for profile in mine) / 1e9
    return samples / lasted, cpu / passed


def run_austin(target, program, hz, seconds, folder):
    """Inside the target's root and mounts, where a newer libc is."""
    out = folder / "austin.mojo"
    visible = folder / "austin"
    shutil.copy(program, visible)
    words = [str(visible), "-i", str(1000000 // hz), "-x", str(seconds + 3), "-p", str(target.process.pid), "-o", str(out)]
    if target.python.root:
        words = ["nsenter", "-t", str(target.process.pid), "--mount", "--root", "--wd", *words]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1.5)
    cpu, begun = cpu_ns(process.pid), time.monotonic()
    time.sleep(seconds)
    cpu, passed = cpu_ns(process.pid) - cpu, time.monotonic() - begun
    text = re.sub(r"\x1b\[[0-9;]*m", "", process.communicate(timeout=30)[0])
    rate = re.search(r"Average sampling rate[ .]*([\d.]+)", text)
    if not rate:
        raise OSError(text[-300:])
    return float(rate[1]), cpu / passed


def row(name, frames, hz, result, floor):
    rate, cpu = result
    per_sample = cpu / rate / 1000 if rate else float("nan")
    ratio = per_sample / floor if floor else float("nan")
    print(f"{name:10} {frames:6} {hz:6} {rate:9.1f} {100 * rate / hz:7.1f}% {cpu / 1e7:8.2f}% {per_sample:12.1f} {ratio:8.1f}",
          flush=True)
    return per_sample


def main():
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--hz", type=int, nargs="*", default=[19, 100, 1000])
    options = parser.parse_args()
    pythons.prepare()
    if os.getpid() != 1:
        # In a pid namespace of its own the agent finds the target and this script alone.
        return subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, __file__, *sys.argv[1:]],
                              check=False).returncode
    python = next((one for one in pythons.all_pythons() if one.source == "sid" and one.minor == "3.14"), pythons.system_python())
    austin, why_not = austin_program()
    print(f"target: CPython {python.version} ({python.name}), one busy thread; {options.seconds} s each")
    print(f"{'sampler':10} {'frames':>6} {'Hz':>6} {'samples/s':>9} {'achieved':>8} {'core':>9} {'CPU us/sample':>12} {'x floor':>8}")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        program = floor_program(folder)
        for frames in (15, 105):
            for hz in options.hz:
                with Target(python, frames) as target:
                    floor = row("floor", frames, hz, run_floor(target, program, hz, options.seconds), None)
                    row("pystrobe", frames, hz, run_pystrobe(target, hz, options.seconds, folder / f"{frames}-{hz}"), floor)
                    if austin:
                        try:
                            row("austin", frames, hz, run_austin(target, austin, hz, options.seconds, folder), floor)
                        except OSError as error:
                            why_not = str(error)
    if why_not:
        print(f"austin {AUSTIN}: not run: {why_not}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
