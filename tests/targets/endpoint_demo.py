"""Starts server_demo (the endpoint over a made-up store) for the tests of the endpoint and of the page."""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]


def demo_binary():
    agent = pathlib.Path(os.environ.get("PYSTROBE_BIN", ROOT / "build/release/pystrobe"))
    return pathlib.Path(os.environ.get("PYSTROBE_SERVER_DEMO", agent.parent / "tests/unit/server/server_demo"))


def start(*arguments):
    binary = demo_binary()
    assert binary.exists(), f"{binary} is not built: ./dev build, or name it in PYSTROBE_SERVER_DEMO"
    return subprocess.Popen([binary, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    process.stdout.close()
    process.stderr.close()


@contextlib.contextmanager
def serving(*arguments):
    """Yields the address that the endpoint says it listens on."""
    process = start(*arguments)
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), f"did not start: {line}{process.stderr.read()}"
        yield line.removeprefix("listening on ").strip()
    finally:
        stop(process)
    assert process.returncode == 0, f"ended with {process.returncode}"


def in_a_network_of_its_own(function):
    """Runs it in a child whose network namespace has nothing but a loopback interface, so that a listener on
    every address is still reachable by nobody else. None, or why there can be no such namespace."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            new_network, new_user = 0x40000000, 0x10000000
            flags = new_network if os.geteuid() == 0 else new_network | new_user
            if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
                os._exit(77)
            with socket.socket() as any_socket:
                up = struct.pack("16sh22x", b"lo", 0x1 | 0x40)
                fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS: up, running
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 77:
        return "this user may not make a network namespace"
    assert status == 0, "failed inside its network namespace; the reason is above"
    return None
