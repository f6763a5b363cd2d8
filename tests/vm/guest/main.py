"""What the machine runs once it is up: each part says its results; the end is said in any case."""
import os
import subprocess
import traceback
from pathlib import Path

import matrix
import package
import recipes
from said import say, yama

RB_POWER_OFF = ["systemctl", "poweroff", "--force", "--force"]


def part(name, function, *arguments):
    try:
        function(*arguments)
    except Exception:
        say(name, right=False, said=traceback.format_exc()[-1500:])


def main():
    lsm = Path("/sys/kernel/security/lsm").read_text(encoding="utf-8")
    cgroup = subprocess.run(["stat", "-fc", "%T", "/sys/fs/cgroup"], capture_output=True, text=True, check=True).stdout.strip()
    say("machine", right="yama" in lsm and "apparmor" in lsm and cgroup == "cgroup2fs",
        said=f"{lsm}, {cgroup}", note=f"kernel {os.uname().release}, security modules {lsm}, cgroups {cgroup}")
    part("the package", package.installs)
    part("recipes", recipes.all_of_them)
    part("the unit", package.runs)
    part("the package's end", package.ends)
    for scope in range(4):
        yama(scope)
        part(f"yama {scope}", matrix.cells, scope)


try:
    main()
finally:
    say("end")
    os.sync()
    subprocess.run(RB_POWER_OFF, check=False)
