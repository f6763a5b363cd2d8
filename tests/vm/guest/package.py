"""The .deb and its unit on a machine with systemd."""
import os
import re

from said import must, run, say, sampled, wait

SHOP = """[Service]
User=app
ExecStart=/usr/bin/gunicorn --chdir /t/guest --workers 1 -b 127.0.0.1:8001 application:application
"""
DROP_IN = "/etc/systemd/system/pystrobe.service.d/test.conf"
PROC = ["ProtectProc=invisible", "ProtectProc=ptraceable"]


def main_pid(unit):
    return int(must("systemctl", "show", "-P", "MainPID", unit))


def active(unit):
    return run("systemctl", "is-active", unit)[1].strip() == "active"


def installs():
    # What is cheap elsewhere is not under emulation: the budget would take the rate away.
    os.makedirs("/etc/default", exist_ok=True)
    with open("/etc/default/pystrobe", "w", encoding="utf-8") as out:
        out.write("PYSTROBE_SAMPLING_OVERHEAD_CPU=100%\nPYSTROBE_DISCOVERY_INTERVAL=2s\n")
    must("dpkg", "-i", "/t/first.deb")
    wait(lambda: active("pystrobe"), "the unit is active")
    say("the package: installed, its unit runs", right=active("pystrobe"), said=run("systemctl", "status", "pystrobe")[1][-600:])
    text = run("systemd-analyze", "security", "--no-pager", "pystrobe.service")[1]
    level = re.search(r"exposure level for pystrobe.service: ([\d.]+)", text)
    say("systemd-analyze security", right=bool(level) and float(level[1]) < 3.0, said=text[-300:],
        note=level[0] if level else "it says nothing")
    must("systemctl", "stop", "pystrobe")


def shop_is_sampled(what):
    pid = wait(lambda: main_pid("shop"), "gunicorn")
    try:
        return wait(lambda: sampled([pid]), what)[pid]
    except AssertionError as late:
        raise AssertionError(f"{late}; {run('journalctl', '-u', 'pystrobe', '-n', '20', '--no-pager')[1]}") from late


def restart_with(directive):
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="utf-8") as out:
        out.write(f"[Service]\n{directive}\n")
    must("systemctl", "daemon-reload")
    must("systemctl", "restart", "pystrobe")
    wait(lambda: active("pystrobe"), "the unit is active again")


def runs():
    with open("/etc/systemd/system/shop.service", "w", encoding="utf-8") as out:
        out.write(SHOP)
    must("systemctl", "daemon-reload")
    must("systemctl", "start", "shop", "pystrobe")
    row = shop_is_sampled("the unit's samples")
    say("another unit's gunicorn, named by its unit", right=row["service"] == "shop", said=row)
    say("no engine's socket is there, and nothing complains of that",
        right="docker" not in run("journalctl", "-u", "pystrobe", "-p", "warning", "--no-pager")[1],
        said=run("journalctl", "-u", "pystrobe", "-p", "warning", "--no-pager")[1][-600:])
    must("mount", "-o", "remount,hidepid=invisible", "/proc")
    must("systemctl", "restart", "pystrobe")
    say("the unit reads where /proc is mounted with hidepid=2", right=bool(shop_is_sampled("hidepid")), said="")
    must("mount", "-o", "remount,hidepid=off", "/proc")
    for directive in PROC:
        restart_with(directive)
        say(f"the unit reads under {directive}", right=bool(shop_is_sampled(directive)), said="")
    os.unlink(DROP_IN)
    must("systemctl", "daemon-reload")


def ends():
    must("dpkg", "-i", "/t/newer.deb")
    wait(lambda: active("pystrobe"), "the unit is active after the upgrade")
    say("the package: upgraded, its unit runs again", right=bool(shop_is_sampled("after the upgrade")), said="")
    must("systemctl", "reload", "pystrobe")
    say("the unit reloads", right=active("pystrobe"), said="")
    must("dpkg", "-P", "pystrobe")
    left = [path for path in ("/usr/bin/pystrobe", "/etc/pystrobe", "/var/lib/pystrobe") if os.path.exists(path)]
    gone = not active("pystrobe") and "not-found" in must("systemctl", "show", "-P", "LoadState", "pystrobe")
    say("the package: purged without a trace", right=not left and gone, said=left)
    must("systemctl", "stop", "shop")
    # The table of cells needs the program again, and no agent.
    must("dpkg", "-i", "/t/first.deb")
    must("systemctl", "stop", "pystrobe")
