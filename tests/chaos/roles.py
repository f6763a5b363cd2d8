"""The agent's processes as /proc shows them."""
import os
from pathlib import Path

ROLES = ("scan", "sample", "daemon")


def role_pids(agent_pid) -> dict:
    """'scan' -> pid, for the children of the supervisor that run as a role now."""
    found = {}
    try:
        children = Path(f"/proc/{agent_pid}/task/{agent_pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return found
    for child in children:
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1].startswith(b"__"):
            found[words[1][2:].decode()] = int(child)
    return found


def status_fields(pid) -> dict:
    """Name -> text of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}


def capabilities(pid, which="CapEff") -> set:
    """Numbers of the capabilities in one set."""
    bits = int(status_fields(pid)[which], 16)
    return {number for number in range(64) if bits >> number & 1}


def open_files(pid) -> list:
    """What each descriptor points at."""
    folder = Path(f"/proc/{pid}/fd")
    found = []
    for entry in folder.iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:
            pass
    return found


def exists(pid) -> bool:
    return Path(f"/proc/{pid}").exists()


def state(pid) -> str:
    """One letter, '' when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
