"""Yama × privilege of the reader × AppArmor: what the doctor says of a process, and what a read then does."""
import subprocess

from said import must, run, say, wait

APP, OTHER = "1000", "1001"
BUSY = "import time\nwhile True:\n    time.sleep(0.01)\n"


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]


READERS = {
    "uid 0, every capability": [],
    "uid 0, SYS_PTRACE alone": ["setpriv", "--bounding-set=-all,+sys_ptrace", "--no-new-privs", "--"],
    "the same uid, none": as_user(APP),
    "another uid, none": as_user(OTHER),
}
# As container engines confine: everything but looking into processes of other profiles.
PROFILE = """profile container flags=(attach_disconnected,mediate_deleted) {
  file,
  network,
  capability,
  signal,
  unix,
  ptrace (read, trace, readby, tracedby) peer=container,
}
"""
CONFINED = ["aa-exec", "-p", "container", "--"]
CONFINEMENTS = {
    "unconfined": ([], []),
    "both in the container's profile": (CONFINED, CONFINED),
    "only the reader confined": (CONFINED, []),
}


def load_profile():
    must("apparmor_parser", "-r", input=PROFILE)


def target(confined):
    process = subprocess.Popen([*confined, *as_user(APP), "/usr/bin/python3", "-c", BUSY])
    wait(lambda: run("pystrobe", "dump", "--pid", process.pid)[0] in (0, 3) and "python3" in must("cat", f"/proc/{process.pid}/cmdline"),
         "the target runs")
    return process


def cells(scope):
    load_profile()
    for confinement, (reader_in, target_in) in CONFINEMENTS.items():
        process = target(target_in)
        for name, reader in READERS.items():
            words = [*reader_in, *reader, "env", "HOME=/tmp", "XDG_STATE_HOME=/tmp/state", "pystrobe"]
            doctor, said = run(*words, "doctor", "--pid", process.pid)
            read, why = run(*words, "dump", "--pid", process.pid)
            unexplained = read == 3 and not ("yama" in why and "process_vm_readv" in why and str(process.pid) in why)
            say("cell", yama=scope, reader=name, confinement=confinement, doctor=doctor, read=read,
                said=said if doctor != read else "", why=why[-400:] if read else "")
            if unexplained:
                say(f"the refusal is explained: yama {scope}, {name}, {confinement}", right=False, said=why)
        process.kill()
        process.wait()
