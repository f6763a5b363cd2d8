"""Starts the shop and its customers, and ends them with itself.

    run.py [--workers N] [--for SECONDS] [--server gunicorn|plain] [--until-eof]

It ends after --for, with SIGTERM or SIGINT, or with --until-eof when its standard input closes, so that it never
outlives whoever started it.
"""
import argparse
import ctypes
import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def server_command(kind, descriptor, workers):
    if kind == "gunicorn":
        return [sys.executable, "-m", "gunicorn", "--workers", str(workers), "--worker-class", "gthread", "--threads", "4",
                "--bind", f"fd://{descriptor}", "--log-level", "warning", "--chdir", HERE, "app:application"]
    return [sys.executable, os.path.join(HERE, "serve.py"), str(descriptor), str(workers)]


def spawn(command, **kwargs):
    return subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **kwargs)


def wait_for_end(seconds, until_eof, children):
    """Returns when the time is up, the input closed, a signal came or a child ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    watched = [reader] + ([0] if until_eof else [])
    while all(child.poll() is None for child in children):
        ready = select.select(watched, [], [], seconds)[0]
        if not ready:
            return
        if 0 in ready and not os.read(0, 4096):
            return
        if reader in ready and set(os.read(reader, 64)) & {signal.SIGTERM, signal.SIGINT}:
            return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--for", dest="seconds", type=float)
    parser.add_argument("--server", choices=["gunicorn", "plain"])
    parser.add_argument("--until-eof", action="store_true")
    options = parser.parse_args()

    kind = options.server or ("gunicorn" if importlib.util.find_spec("gunicorn") else "plain")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    port = listener.getsockname()[1]
    descriptor = listener.fileno()
    children = [spawn(server_command(kind, descriptor, options.workers), pass_fds=[descriptor]),
                spawn([sys.executable, os.path.join(HERE, "load.py"), str(port)])]
    print(f"demo: a web shop with {options.workers} {kind} workers on http://127.0.0.1:{port} and its customers",
          file=sys.stderr, flush=True)
    try:
        wait_for_end(options.seconds, options.until_eof, children)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


if __name__ == "__main__":
    main()
