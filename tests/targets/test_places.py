"""Where else a CPython runtime may lie: two in one process, without symbols, made anew, in files that are gone, packed
into executables. Every one is found, and its stacks are read."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from lib import packed, pythons
from lib.waiting import wait_until

HERE = Path(__file__).resolve().parent
# Functions whose names tell the runtimes apart; time.sleep is built in everywhere.
BODY = "import time\ndef inner_{0}():\n    print('up {0}', flush=True)\n    time.sleep(600)\ndef outer_{0}():\n    inner_{0}()\nouter_{0}()\n"


def clean_env(**extra):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYENV", "LD_"))}
    return dict(env, **extra)


@pytest.fixture
def stacks(pystrobe):
    """stacks(pid) -> the names of each thread's frames, leaf first."""

    def read(pid):
        done = subprocess.run([pystrobe, "dump", "--json", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            return []
        return [[frame["name"] for frame in thread["frames"]] for thread in json.loads(done.stdout)]

    return read


@pytest.fixture
def reads(stacks):
    """reads(pid, names) waits until one of its threads stands exactly there."""

    def wait(process, *names):
        def there():
            assert process.poll() is None, f"the target ended with {process.returncode}"
            return list(names) in stacks(process.pid)

        wait_until(there, timeout=40, what=f"a thread in {names}")

    return wait


def shared_libraries():
    """(library, home, minor) of every libpython that this machine's libc can load, Debian's first."""
    found = [(path, "/usr", path.name.split("python")[1].split(".so")[0])
             for path in sorted(Path("/usr/lib").glob("*/libpython3.*.so.1.0"))]
    for python in pythons.one_per_minor():
        if python.shared and not python.root and python.source != "debian":
            home = Path(python.exe).resolve().parent.parent
            found += [(path, str(home), python.minor) for path in (home / "lib").glob(f"libpython{python.minor}*.so.1.0")]
    assert found, "no shared libpython: install libpython3-dev"
    return found


def start_first(process):
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"up one\n"


@pytest.fixture
def two(processes, tmp_path):
    """two(how, library and home, library and home) -> a process that runs both."""
    binary = tmp_path / "two"
    subprocess.run(["gcc", "-O1", "-o", binary, HERE / "two_pythons.c", "-ldl", "-lpthread"], check=True)

    def start(how, first, second):
        process = processes([binary, how, first[0], first[1], BODY.format("one"), second[0], second[1], BODY.format("two")],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_env())
        assert process.stdout.readline() == b"up two\n"
        if how != "later":
            start_first(process)
        return process

    return start


def test_both_runtimes_of_one_process_are_walked(two, reads, pystrobe, tmp_path):
    libraries = shared_libraries()
    copy = tmp_path / "libother.so"
    shutil.copy(libraries[-1][0], copy)
    process = two("local", libraries[0], (copy, *libraries[-1][1:]))
    reads(process, "inner_one", "outer_one", "<module>")
    reads(process, "inner_two", "outer_two", "<module>")
    out = tmp_path / "both.txt"
    subprocess.run([pystrobe, "record", "--pid", str(process.pid), "--mode", "wall", "-d", "2", "-o", out], check=True,
                   timeout=60)
    folded = out.read_text(encoding="utf-8")
    assert "outer_one" in folded and "outer_two" in folded
    listed = json.loads(subprocess.run([pystrobe, "ps", "--json"], capture_output=True, check=True, timeout=60).stdout)
    (row,) = [row for row in listed if row["pid"] == process.pid]
    assert {".".join(row[key].split(".")[:2]) for key in ("python", "second_python")} == \
        {libraries[0][2], libraries[-1][2]}


def test_one_library_loaded_twice_is_two_runtimes(two, reads):
    library = shared_libraries()[0]
    process = two("namespace", library, library)
    reads(process, "inner_one", "outer_one", "<module>")
    reads(process, "inner_two", "outer_two", "<module>")


def both_versions(row, first, second):
    return {".".join(row[key].split(".")[:2]) for key in (first, second)}


def test_a_runtime_that_a_target_loads_later_is_sampled_beside_its_first(two, agent, pystrobe, tmp_path):
    libraries = shared_libraries()
    copy, out = tmp_path / "libother.so", tmp_path / "later.txt"
    shutil.copy(libraries[-1][0], copy)
    process = two("later", (copy, *libraries[-1][1:]), libraries[0])
    watching = agent({"sampling": {"modes": ["wall"]}})
    first = watching.wait_target(process.pid)
    assert first["second_python_version"] == ""
    recording = subprocess.Popen([pystrobe, "record", "--pid", str(process.pid), "--mode", "wall", "-o", out],
                                 stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)  # so that the recording, too, begins with one
        start_first(process)
        row = wait_until(lambda: next((row for row in watching.targets() if row["pid"] == process.pid and
                                       row["second_python_version"]), None), 30, "the second runtime to be seen")
        wait_until(lambda: any("outer_one" in sample.names() for profile in watching.read_profiles("wall")
                               for sample in profile.samples), 30, "a profile with its stack", interval=0.3)
        time.sleep(3)  # the recording looks for one once a second, too, and cannot be asked what it found
    finally:
        recording.send_signal(signal.SIGINT)
        assert recording.wait(20) == 0
    assert row["id"] == first["id"] and row["python_version"] == first["python_version"]
    assert both_versions(row, "python_version", "second_python_version") == {libraries[0][2], libraries[-1][2]}
    assert "outer_one" in out.read_text(encoding="utf-8") and "outer_two" in out.read_text(encoding="utf-8")


def test_a_program_that_embeds_a_runtime_long_after_its_start_becomes_a_target(processes, agent, tmp_path):
    library, home, minor = shared_libraries()[0]
    binary = tmp_path / "embedder"
    subprocess.run(["gcc", "-O1", "-o", binary, HERE / "embed_python.c", "-ldl"], check=True)
    process = processes([binary, library, BODY.format("late")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        env=clean_env(PYTHONHOME=home))
    watching = agent().wait_ready()
    assert process.pid not in {row["pid"] for row in watching.targets()}
    process.stdin.write(b"go\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"up late\n"
    assert watching.wait_target(process.pid)["python_version"].startswith(minor + ".")


AGAIN = """
import time
def inner_@(end):
    while time.monotonic() < end:
        sum(range(100))
def outer_@():
    inner_@(time.monotonic() + 0.15)
outer_@()
"""


@pytest.mark.parametrize("library", [shared_libraries()[0], shared_libraries()[-1]], ids=lambda library: library[2])
def test_an_interpreter_that_is_ended_and_started_again_keeps_its_stacks_apart(library, processes, pystrobe, tmp_path):
    binary, out = tmp_path / "again", tmp_path / "out.txt"
    subprocess.run(["gcc", "-O1", "-o", binary, HERE / "again.c", "-ldl"], check=True)
    process = processes([binary, library[0], 16, AGAIN], env=clean_env(PYTHONHOME=library[1]))
    done = subprocess.run([pystrobe, "record", "--pid", str(process.pid), "--mode", "wall", "-r", "200", "-d", "6", "-o", out],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen, failed, total = set(), 0, 0
    for line in out.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        rounds = {name.partition(" ")[0].rpartition("_")[2] for name in stack.split(";") if name.startswith(("inner_", "outer_"))}
        assert len(rounds) <= 1, f"frames of two interpreters in one stack: {stack}"
        seen |= rounds
        failed += int(count) if "[torn]" in stack or "[unreadable]" in stack else 0
    assert len(seen) >= 8, f"{sorted(seen)} seen of 16 rounds\n{out.read_text()}"
    assert failed <= total / 20


# --- without symbols ---


def static_libraries():
    """(minor, libpython.a, headers, home) of static libraries that a program can be linked with."""
    found = []
    for path in sorted(Path("/usr/lib").glob("python3.*/config-*/libpython3.*.a")):
        minor = path.parent.parent.name.replace("python", "")
        if path.name == f"libpython{minor}-pic.a":
            found.append((minor, path, f"/usr/include/python{minor}", "/usr"))
    for python in pythons.one_per_minor():
        home = Path(python.exe).resolve().parent.parent
        paths = list((home / "lib").glob(f"python{python.minor}/config-*/libpython{python.minor}.a"))
        if paths and not python.root and python.source == "pyenv" and python.minor in ("3.8", "3.10", "3.12", "3.13"):
            found.append((python.minor, paths[0], home / "include" / f"python{python.minor}", str(home)))
    assert found, "no static libpython: install libpython3-dev"
    return found


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """program(library, *linker words) -> a program with Python inside that exports nothing."""
    made = {}

    def make(library, *words):
        key = (library[0], words)
        if key not in made:
            folder = tmp_path_factory.mktemp("static")
            source = folder / "host.c"
            source.write_text('#include <Python.h>\nint main(int c, char **v)\n{\n    (void)c;\n    Py_InitializeEx(0);\n'
                              "    return PyRun_SimpleString(v[1]);\n}\n", encoding="utf-8")
            made[key] = folder / "host"
            subprocess.run(["gcc", "-O1", f"-I{library[2]}", "-o", made[key], source, library[1], *words, "-lm", "-ldl", "-lutil",
                            "-lpthread", "-lz", "-lexpat"], check=True)
        return made[key]

    return make


def without_section_headers(path):
    """As sstrip leaves it: offset, count and string index of the section headers are 0."""
    data = bytearray(path.read_bytes())
    data[40:48] = bytes(8)
    data[60:64] = bytes(4)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["section", "nameless", "headerless"])
@pytest.mark.parametrize("library", static_libraries(), ids=lambda library: library[0])
def test_a_static_runtime_without_symbols_is_found(library, how, program, processes, reads, tmp_path):
    binary = tmp_path / "tool"
    rename = ["--rename-section", ".PyRuntime=.data.more"] if how == "nameless" else []
    subprocess.run(["objcopy", "--strip-all", *rename, program(library), binary], check=True)
    if how == "headerless":
        without_section_headers(binary)
    process = processes([binary, BODY.format("bare")], stdout=subprocess.PIPE, env=clean_env(PYTHONHOME=library[3]))
    assert process.stdout.readline() == b"up bare\n"
    reads(process, "inner_bare", "outer_bare", "<module>")


def test_a_program_that_only_speaks_of_python_is_none(processes, pystrobe, tmp_path):
    source, binary = tmp_path / "talk.c", tmp_path / "talk"
    source.write_text('#include <stdio.h>\n#include <unistd.h>\nstatic char fill[1 << 20] = {1};\nint main(void)\n{\n'
                      '    puts("PYTHONHOME");\n    fflush(stdout);\n    return pause() + fill[7];\n}\n', encoding="utf-8")
    subprocess.run(["gcc", "-s", "-o", binary, source], check=True)
    process = processes([binary], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"PYTHONHOME\n"
    done = subprocess.run([pystrobe, "ps", "--json"], capture_output=True, check=True, timeout=60)
    assert process.pid not in {row["pid"] for row in json.loads(done.stdout)}


# --- files that change ---


def test_stacks_are_read_when_executable_and_library_have_been_replaced(processes, reads, tmp_path):
    library, home, _minor = shared_libraries()[0]
    copy, binary = tmp_path / "libmine.so", tmp_path / "embedder"
    shutil.copy(library, copy)
    subprocess.run(["gcc", "-O1", "-o", binary, HERE / "embed_python.c", "-ldl"], check=True)
    process = processes([binary, copy, BODY.format("old")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        env=clean_env(PYTHONHOME=home))
    process.stdin.write(b"go\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"up old\n"
    for path in (copy, binary):  # as a package manager does: another file takes the name
        new = path.with_suffix(".new")
        new.write_bytes(b"another release")
        new.rename(path)
    reads(process, "inner_old", "outer_old", "<module>")


EXECS = """
import os, sys, time
def first_turn():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        sum(range(100))
def other_turn():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        sum(range(100))
if os.environ.get("TURN") == "2":
    other_turn()
first_turn()
os.execve("/proc/self/exe", ["tool", {code!r}], dict(os.environ, TURN="2"))
"""


def test_exec_of_the_same_program_at_the_same_addresses_starts_anew(program, processes, pystrobe, tmp_path):
    library = static_libraries()[0]
    out, binary, code = tmp_path / "out.txt", program(library, "-no-pie"), tmp_path / "code.py"
    run = f"exec(compile(open({str(code)!r}).read(), 'code', 'exec'), {{}})"
    code.write_text(EXECS.format(code=run), encoding="utf-8")
    process = processes(["setarch", "-R", binary, run], env=clean_env(PYTHONHOME=library[3]))
    wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(binary), timeout=20, what="the program")
    subprocess.run([pystrobe, "record", "--pid", str(process.pid), "--mode", "wall", "-r", "200", "-d", "4", "-o", out], check=True,
                   timeout=60)
    stacks = [line.split(";") for line in out.read_text(encoding="utf-8").splitlines()]
    names = [{name.partition(" ")[0] for name in stack} for stack in stacks]
    assert any("first_turn" in one for one in names) and any("other_turn" in one for one in names), out.read_text()
    assert not any({"first_turn", "other_turn"} <= one for one in names)


# --- packed by tools ---


@pytest.mark.parametrize("name", sorted(packed.APPLICATIONS))
def test_a_packed_program_is_found_and_read(name, processes, stacks):
    process = processes([packed.executable(name)], stdout=subprocess.PIPE, env=clean_env())
    assert process.stdout.readline() == b"up\n"

    def there():
        # A single file starts itself again as a child, out of what it has unpacked.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        return any(["inner", "outer", "<module>"] in stacks(pid) for pid in [process.pid, *children])

    wait_until(there, timeout=40, what="the program's stack")


def test_functions_compiled_to_c_show_the_line_that_runs(pystrobe, processes):
    """Nuitka's frames run no bytecode: they had no line at all."""
    process = processes([packed.executable("nuitka")], stdout=subprocess.PIPE, env=clean_env())
    assert process.stdout.readline() == b"up\n"
    lines = packed.PROGRAM.splitlines()

    def there():
        done = subprocess.run([pystrobe, "dump", "--json", "--pid", str(process.pid)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        (thread,) = json.loads(done.stdout)
        return [lines[frame["line"] - 1].strip() for frame in thread["frames"]] == ["time.sleep(600)", "inner()", "outer()"]

    wait_until(there, timeout=40, what="the lines of the program")


# --- inside servers ---

WSGI = """
import time
def inner_web():
    time.sleep(600)
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    inner_web()
    return [b""]
"""

APACHE = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
User nobody
Group nogroup
WSGIScriptAlias / {folder}/shop.wsgi
<Directory {folder}>
    Require all granted
</Directory>
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def visit():
    """visit(port) sends a request whose answer never comes."""
    opened = []

    def ask(port):
        def there():
            try:
                opened.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                return True
            except OSError:
                return False

        wait_until(there, timeout=40, what="the server")
        opened[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    yield ask
    for one in opened:
        one.close()


def descendants(pid):
    found = [pid]
    for one in found:
        try:
            text = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii")
        except OSError:
            continue
        found += map(int, text.split())
    return found


def test_an_application_in_uwsgi_is_read(processes, stacks, visit, tmp_path):
    plugin = next(iter(sorted(Path("/usr/lib/uwsgi/plugins").glob("python3*_plugin.so"))), None)
    assert plugin, "uwsgi-plugin-python3 is not installed"
    (tmp_path / "shop.py").write_text(WSGI, encoding="utf-8")
    port = free_port()
    process = processes(["/usr/bin/uwsgi", "--plugin", plugin.name.removesuffix("_plugin.so"), "--http-socket", f"127.0.0.1:{port}",
                         "--module", "shop", "--master"], cwd=tmp_path, env=clean_env(), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    visit(port)
    wait_until(lambda: any(["inner_web", "application"] in stacks(pid) for pid in descendants(process.pid)), 40,
               what="the request's stack")


@pytest.mark.skipif(os.geteuid() != 0, reason="the server changes to another user")
def test_an_application_in_mod_wsgi_is_read_in_its_sub_interpreter(processes, stacks, visit, tmp_path):
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="pystrobe-apache-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        (folder / "shop.wsgi").write_text(WSGI, encoding="utf-8")
        (folder / "apache.conf").write_text(APACHE.format(folder=folder, port=port), encoding="utf-8")
        process = processes(["/usr/sbin/apache2", "-f", folder / "apache.conf", "-DFOREGROUND"], env=clean_env(),
                            stdout=subprocess.DEVNULL)
        visit(port)
        wait_until(lambda: any(["inner_web", "application"] in stacks(pid) for pid in descendants(process.pid)), 40,
                   what="the request's stack")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
