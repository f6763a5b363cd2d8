"""What the parts share: saying a result, starting and waiting, asking an agent."""
import json
import subprocess
import time
import urllib.request

PAGE = "http://127.0.0.1:7072"
SCOPE = "/proc/sys/kernel/yama/ptrace_scope"


def say(what, **facts):
    print("RESULT " + json.dumps({"what": what, **facts}), flush=True)


def yama(scope):
    with open(SCOPE, "w", encoding="ascii") as out:
        out.write(str(scope))


def run(*words, **more):
    """(exit code, what it said)"""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, check=False, **more)
    return done.returncode, done.stdout + done.stderr


def must(*words, **more):
    code, text = run(*words, **more)
    assert code == 0, f"{words}: exit {code}\n{text[-800:]}"
    return text


def wait(condition, what, seconds=400):
    """The first true value; emulation is slow, so that all deadlines are wide."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited in vain: {what}; targets: {targets()}"
        time.sleep(0.3)


def targets():
    """Rows of the running agent; empty while none answers."""
    try:
        with urllib.request.urlopen(PAGE + "/debug/targets?format=json", timeout=20) as answer:
            return json.load(answer)["targets"]
    except OSError:
        return []


def sampled(pids):
    """The rows of these processes once each has samples; else None."""
    rows = {row["pid"]: row for row in targets() if row["pid"] in pids and row["state"] == "active" and row["samples"] > 0}
    return rows if set(pids) <= set(rows) else None


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
            return [int(word) for word in text.read().split()]
    except OSError:
        return []


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as text:
            return text.read().strip()
    except OSError:
        return ""


def end(process):
    process.terminate()
    try:
        return process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
