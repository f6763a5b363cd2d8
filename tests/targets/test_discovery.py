"""What `pystrobe ps` and the agent find: by content, not by name; with the right name, environment and life."""
import dataclasses
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lib import pythons
from lib.agent import free_port
from lib.waiting import wait_exit, wait_until

HERE = Path(__file__).resolve().parent
DEBIAN = "/usr/bin/python3"
SLEEP = "import sys, time\nsys.stdout.write('up\\n')\nsys.stdout.flush()\ntime.sleep(600)\n"


@pytest.fixture
def ps(pystrobe):
    """ps(*words) -> (exit code, stdout, stderr)."""

    def run(*words):
        answer = subprocess.run([pystrobe, "ps", *map(str, words)], capture_output=True, text=True, timeout=120)
        return answer.returncode, answer.stdout, answer.stderr

    return run


@pytest.fixture
def row_of(ps):
    """row_of(pid) -> what ps --json says of that process, or None."""

    def find(pid):
        code, out, err = ps("--json")
        assert code == 0, err
        return next((row for row in json.loads(out) if row["pid"] == pid), None)

    return find


@pytest.fixture
def wait_row(row_of):
    """wait_row(pid, **wanted) -> the row, once every wanted value is there."""

    def wait(pid, **wanted):
        def there():
            row = row_of(pid)
            return row and all(row[key] == value for key, value in wanted.items()) and row

        return wait_until(there, 30, f"pid {pid} with {wanted}", interval=0.1)

    return wait


def clean_env(**extra):
    """Environment of a target: nothing that would name it by accident."""
    names = ("OTEL_", "PYROSCOPE_", "DD_", "PYTHON", "POD_")
    return {key: value for key, value in os.environ.items() if not key.startswith(names)} | extra


def shared_python():
    """A build whose runtime lies in a library, and that library."""
    for python in pythons.all_pythons():
        if python.shared and not python.root and not python.debug and python.info >= (3, 8):
            code = "import sysconfig as s; print(s.get_config_var('LIBDIR') + '/' + s.get_config_var('INSTSONAME'))"
            library = Path(python.run("-c", code, capture_output=True, text=True).stdout.strip())
            if library.exists():
                return python, library
    found = sorted(Path("/usr/lib").glob("*/libpython3.*.so.1.0"))
    assert found, "no shared libpython: install libpython3-dev"
    return pythons.find("debian"), found[0]


# --- found by content ---


def test_a_renamed_binary_is_found(processes, wait_row, tmp_path):
    binary = tmp_path / "not-a-snake"
    shutil.copy(os.path.realpath(DEBIAN), binary)
    process = processes([binary, "-c", SLEEP], stdout=subprocess.DEVNULL, env=clean_env())
    row = wait_row(process.pid, state="ready")
    assert row["exe"] == str(binary)
    assert row["build"] == "static"
    assert row["python"].startswith("3.")
    assert row["service"] == "not-a-snake"


def test_an_executable_that_was_deleted_is_found(processes, wait_row, tmp_path):
    binary = tmp_path / "replaced"
    shutil.copy(os.path.realpath(DEBIAN), binary)
    process = processes([binary, "-c", SLEEP], stdout=subprocess.PIPE, env=clean_env())
    assert process.stdout.readline() == b"up\n"
    binary.unlink()
    binary.write_text("another file of that name")
    row = wait_row(process.pid, state="ready")
    assert row["python"].startswith("3.")


@pytest.fixture
def embedder(tmp_path):
    """A program without any trace of Python in its own file."""
    binary = tmp_path / "embedder"
    subprocess.run(["gcc", "-O1", "-o", binary, HERE / "embed_python.c", "-ldl"], check=True)
    return binary


def test_an_embedded_interpreter_in_a_renamed_library_is_found_once_it_is_loaded(
        processes, wait_row, row_of, tmp_path, embedder):
    python, library = shared_python()
    custom = tmp_path / "libpython3-custom.so"
    shutil.copy(library, custom)
    prefix = python.run("-c", "import sys; print(sys.base_prefix)", capture_output=True, text=True).stdout.strip()
    process = processes([embedder, custom, SLEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        env=clean_env(PYTHONHOME=prefix))
    assert row_of(process.pid) is None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"up\n"
    row = wait_row(process.pid, state="ready")
    assert row["image"] == str(custom)
    assert row["build"] == "shared"
    assert row["python"] == python.version
    assert row["service"] == "embedder"


@pytest.fixture
def relabelled(processes, tmp_path):
    """start(minor, hexversion) -> a running interpreter of that minor whose own description claims another version."""

    def start(minor, hexversion):
        python = next(one for one in pythons.all_pythons() if one.source == "sid" and one.minor == minor)
        major, middle, micro = map(int, python.version.split("."))
        label = b"xdebugpy" + struct.pack("<Q", major << 24 | middle << 16 | micro << 8 | 0xf0)
        image = Path(python.root + python.exe).read_bytes()
        assert image.count(label) == 1
        binary = tmp_path / "python"
        binary.write_bytes(image.replace(label, b"xdebugpy" + struct.pack("<Q", hexversion)))
        binary.chmod(0o755)
        python = dataclasses.replace(python, exe=str(binary))
        process = processes(python.argv("-c", SLEEP), stdout=subprocess.PIPE, env=python.environment(PYTHONHOME="/usr"))
        assert process.stdout.readline() == b"up\n"
        return process.pid

    return start


def test_a_new_minor_that_describes_itself_as_the_last_does_is_read_and_marked(relabelled, wait_row, ps, pystrobe):
    pid = relabelled("3.15", 0x031001f0)
    row = wait_row(pid, state="ready")
    assert (row["python"], row["verified"], row["reason"]) == ("3.16.1", False, "ok")
    assert "static,unverified" in ps()[1]
    dump = subprocess.run([pystrobe, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert "Python v3.16.1 (" in dump.stdout and ", unverified)\n" in dump.stdout
    assert "    <module> (<string>:4)\n" in dump.stdout, dump.stderr
    doctor = subprocess.run([pystrobe, "doctor", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert "CPython 3.16.1, static build, a version that is not verified" in doctor.stdout


def test_a_new_minor_whose_description_has_changed_is_refused_with_its_version(relabelled, wait_row, pystrobe):
    pid = relabelled("3.14", 0x031001f0)
    row = wait_row(pid, state="failed")
    assert (row["python"], row["verified"], row["reason"]) == ("3.16.1", False, "layout")
    dump = subprocess.run([pystrobe, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert dump.returncode == 1 and dump.stderr.count("\n") == 1 and "describes itself" in dump.stderr


def test_a_pre_release_is_refused_with_the_reason(relabelled, wait_row, pystrobe):
    pid = relabelled("3.15", 0x030f00b2)
    row = wait_row(pid, state="failed")
    assert (row["python"], row["reason"]) == ("3.15.0b2", "pre_release")
    dump = subprocess.run([pystrobe, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60)
    assert dump.returncode == 1 and "pre-release" in dump.stderr


STRIPPABLE = [python for python in pythons.all_pythons() if python.info < (3, 7) and python.shared and not python.root]


@pytest.mark.parametrize("python", STRIPPABLE, ids=str)
def test_a_stripped_library_before_3_7_is_read_though_it_names_no_interpreter_list(processes, wait_row, pystrobe,
                                                                                   tmp_path, python):
    mapped = "import sys; sys.stdout.write([w for w in open('/proc/self/maps').read().split() if 'libpython' in w][0])"
    library = python.run("-c", mapped, capture_output=True, text=True).stdout
    stripped = tmp_path / os.path.basename(library)
    subprocess.run(["strip", "-s", "-o", stripped, library], check=True)
    process = processes(python.argv("-c", SLEEP), stdout=subprocess.PIPE,
                        env=python.environment(LD_PRELOAD=stripped))
    assert process.stdout.readline() == b"up\n"
    row = wait_row(process.pid, state="ready")
    assert row["image"] == str(stripped) and row["python"] == python.version and row["verified"]
    dump = subprocess.run([pystrobe, "dump", "--pid", str(process.pid)], capture_output=True, text=True, timeout=60)
    assert "    <module> (<string>:4)\n" in dump.stdout, dump.stderr


def test_a_program_that_links_libpython_is_found(processes, wait_row, tmp_path):
    source = tmp_path / "host.c"
    source.write_text('#include <Python.h>\nint main(int c, char **v)\n{\n    (void)c;\n'
                      "    Py_InitializeEx(0);\n    return PyRun_SimpleString(v[1]);\n}\n")
    words = {name: subprocess.run(["/usr/bin/python3-config", name, "--embed"], capture_output=True, text=True,
                                  check=True).stdout.split() for name in ("--includes", "--ldflags")}
    subprocess.run(["gcc", *words["--includes"], "-o", tmp_path / "host", source, *words["--ldflags"]], check=True)
    process = processes([tmp_path / "host", SLEEP], stdout=subprocess.DEVNULL, env=clean_env())
    row = wait_row(process.pid, state="ready")
    assert row["build"] == "shared"
    assert "libpython" in row["image"]


def test_a_hostile_name_and_path_change_nothing(processes, wait_row, ps, tmp_path):
    folder = tmp_path / "a ) R 1 (\nb (deleted)"
    folder.mkdir()
    binary = folder / "p y\n"
    shutil.copy(os.path.realpath(DEBIAN), binary)
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 (\\n', 0, 0, 0)\n"
    process = processes([binary, "-c", rename + SLEEP], stdout=subprocess.PIPE, env=clean_env())
    assert process.stdout.readline() == b"up\n"
    row = wait_row(process.pid, state="ready")
    assert row["ppid"] == os.getpid()
    assert row["exe"] == str(binary)
    code, out, _ = ps("--why", process.pid)
    assert code == 0
    assert "p y\\" in out and "\np y" not in out, "a newline of the target reached the terminal"


def test_every_build_is_listed_with_its_version(start_python, wait_row, python):
    process = start_python(python, "-c", SLEEP, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    row = wait_row(process.pid, state="ready")
    assert row["python"] == python.version
    assert row["free_threaded"] == python.free_threaded


# --- ps and its answers ---


def test_a_process_without_python_is_told_so(processes, ps):
    process = processes(["sleep", "600"])
    code, out, err = ps("--why", process.pid)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1 and "no file that it maps carries a CPython runtime" in err


def test_a_process_that_is_not_there_is_told_so(ps):
    code, _, err = ps("--why", 4194303)
    assert code == 1 and "there is no such process" in err


def test_two_pids_are_a_usage_error(ps):
    assert ps("--why", 1, "--why", 2)[0] == 2
    assert ps("surplus")[0] == 2


@pytest.fixture
def public_binary(pystrobe):
    """The binary where every user may run it."""
    folder = Path(subprocess.run(["mktemp", "-d", "/tmp/pystrobe-public-XXXXXX"], capture_output=True, text=True,
                                 check=True).stdout.strip())
    folder.chmod(0o755)
    shutil.copy(pystrobe, folder / "pystrobe")
    (folder / "pystrobe").chmod(0o755)
    yield folder / "pystrobe"
    shutil.rmtree(folder)


NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two other users")


@needs_root
def test_without_permission_there_is_one_line_and_exit_code_3(processes, public_binary):
    process = processes([DEBIAN, "-c", SLEEP], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    nobody = ["setpriv", "--reuid", "65533", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    for words in (["ps"], ["ps", "--why", process.pid]):
        answer = subprocess.run([*nobody, public_binary, *map(str, words)], capture_output=True, text=True,
                                timeout=60, cwd="/")
        assert answer.returncode == 3
        assert answer.stdout == ""
        assert answer.stderr.count("\n") == 1 and "CAP_SYS_PTRACE" in answer.stderr


@needs_root
def test_one_capability_is_enough_for_another_users_process(processes, public_binary):
    """CAP_SYS_PTRACE alone: environ and auxv of another uid are closed, and nothing is missed for it."""
    process = processes(["setpriv", "--reuid", NOBODY, "--clear-groups", DEBIAN, "-c", SLEEP], cwd="/",
                        stdout=subprocess.PIPE, env=clean_env(OTEL_SERVICE_NAME="storefront"))
    assert process.stdout.readline() == b"up\n"
    reader = ["setpriv", "--reuid", "65533", "--clear-groups", "--inh-caps=-all,+sys_ptrace",
              "--ambient-caps=-all,+sys_ptrace", "--bounding-set=-all,+sys_ptrace"]
    closed = subprocess.run([*reader, "cat", f"/proc/{process.pid}/environ"], capture_output=True, timeout=60)
    assert closed.returncode != 0, "the premise: this file is refused"
    answer = subprocess.run([*reader, public_binary, "ps", "--json", "--why", str(process.pid)],
                            capture_output=True, text=True, timeout=60, cwd="/")
    assert answer.returncode == 0, answer.stderr
    row = json.loads(answer.stdout)
    assert (row["state"], row["uid"], row["service"]) == ("ready", NOBODY, "storefront")
    assert row["environment_from"] == "block"


def test_secrets_on_a_command_line_are_masked(processes, ps, wait_row, tmp_path):
    script = tmp_path / "nightly.py"
    script.write_text(SLEEP)
    process = processes([DEBIAN, script, "--password", "hunter2", "--url", "postgres://me:hunter2@db/x",
                         "API_TOKEN=hunter2"], stdout=subprocess.DEVNULL, env=clean_env())
    row = wait_row(process.pid, state="ready")
    assert row["service"] == "nightly"
    assert row["command"].endswith("--password *** --url postgres://***@db/x API_TOKEN=***")
    assert "hunter2" not in ps("--json")[1] + ps("--why", process.pid)[1]


# --- names and environment under title rewriters ---


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "srv"
    folder.mkdir()
    (folder / "shop.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n"
                                    "    return [b'x']\n")
    (folder / "mail.py").write_text("import celery\napp = celery.Celery('mail', broker='memory://')\n"
                                    "@app.task\ndef send():\n    pass\n")
    return folder


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(word) for word in children.read().split()]


def title_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


def start_gunicorn(processes, folder, **env):
    process = processes([DEBIAN, "/usr/bin/gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{free_port()}",
                         "shop:app"], cwd=folder, env=clean_env(**env), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)

    def titled():
        workers = children_of(process.pid)
        ours = [process.pid, *workers]
        return len(workers) == 2 and all(title_of(pid).startswith("gunicorn: ") for pid in ours) and ours

    return wait_until(titled, 30, "gunicorn and its workers to have set their titles")


def test_gunicorn_keeps_its_name_where_setproctitle_overwrote_its_environment(processes, wait_row, ps, shop):
    for pid in start_gunicorn(processes, shop, OTEL_SERVICE_NAME="storefront", SECRET_TOKEN="hunter2"):
        block = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"OTEL_SERVICE_NAME" not in block, "the premise: the block is overwritten"
        row = wait_row(pid, state="ready", service="storefront")
        assert row["environment_from"] == "interpreter"
        assert "hunter2" not in ps("--why", pid)[1]


def test_gunicorn_is_named_by_its_application_without_any_variable(processes, wait_row, shop):
    for pid in start_gunicorn(processes, shop):
        row = wait_row(pid, state="ready", service="shop")
        assert "from command line: gunicorn" in row["why"]


# What title rewriters do to the block that the kernel laid out, arguments and environment together.
TITLED = """\
import ctypes, sys, time
fields = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
first, end = int(fields[45]), int(fields[48])
ctypes.memmove(first, b"a title that says nothing".ljust(end - first, b"\\0"), end - first)
sys.stdout.write("up\\n")
sys.stdout.flush()
time.sleep(600)
"""


def test_a_script_keeps_its_name_under_a_title_of_its_own(start_python, wait_row, ps, tmp_path, minor_python):
    script = tmp_path / "reports.py"
    script.write_text(TITLED)
    process = start_python(minor_python, script, "--token", "hunter2", stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    assert title_of(process.pid).startswith("a title"), "the premise: the command line is overwritten"
    wait_row(process.pid, state="ready", service="reports")
    said = ps("--why", process.pid)[1]
    assert "reports.py --token ***" in said and "hunter2" not in said


def test_celery_keeps_its_name_where_setproctitle_overwrote_its_environment(processes, wait_row, shop):
    process = processes([DEBIAN, "/usr/bin/celery", "-A", "mail", "worker", "--concurrency", "2", "--pool", "prefork"],
                        cwd=shop, env=clean_env(DD_SERVICE="mailer", C_FORCE_ROOT="1"), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)

    def titled():
        pids = [process.pid, *children_of(process.pid)]
        return len(pids) >= 3 and all("celeryd: " in title_of(pid) for pid in pids) and pids

    for pid in wait_until(titled, 60, "celery and its workers to have set their titles"):
        row = wait_row(pid, state="ready", service="mailer")
        assert row["environment_from"] == "interpreter"


def test_uwsgi_is_named_by_its_application(processes, wait_row, shop):
    plugin = next(iter(sorted(Path("/usr/lib/uwsgi/plugins").glob("python3*_plugin.so"))), None)
    assert plugin, "uwsgi-plugin-python3 is not installed"
    process = processes(["/usr/bin/uwsgi", "--plugin", plugin.name.removesuffix("_plugin.so"), "--socket",
                         f"127.0.0.1:{free_port()}", "--module", "shop:app", "--auto-procname", "--master"],
                        cwd=shop, env=clean_env(PYROSCOPE_APPLICATION_NAME="wsgi-shop"), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    wait_until(lambda: "uWSGI" in title_of(process.pid) and children_of(process.pid), 30, "uWSGI to set its title")
    for pid in [process.pid, *children_of(process.pid)]:
        row = wait_row(pid, state="ready", service="wsgi-shop")
        assert row["build"] == "shared"


# --- the lives of targets, as the agent sees them ---

FAMILY = """
import os, sys, time
def only_in_the_child():
    end = time.monotonic() + 2
    while time.monotonic() < end:
        pass
    os._exit(0)
print('up', flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == 'fork':
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        print(pid, flush=True)
    elif word == 'fork-busy':
        pid = os.fork()
        if pid == 0:
            only_in_the_child()
        print(pid, flush=True)
    elif word == 'wait':
        os.wait()
        print('ended', flush=True)
    elif word == 'exec-python':
        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)', 'second life'])
    elif word == 'exec':
        os.execv('/bin/sleep', ['sleep', '600'])
    elif word == 'exit':
        break
"""


@pytest.fixture
def family(processes):
    process = processes([DEBIAN, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                        env=clean_env(OTEL_SERVICE_NAME="family"))
    assert process.stdout.readline() == "up\n"
    return process


def say(process, word):
    process.stdin.write(word + "\n")
    process.stdin.flush()


def known(agent, pid):
    return next((row for row in agent.targets() if row["pid"] == pid and row["state"] != "gone"), None)


def test_a_process_that_starts_late_is_found_within_the_interval(agent, processes):
    one = agent().wait_ready()
    process = processes([DEBIAN, "-c", SLEEP], stdout=subprocess.DEVNULL, env=clean_env())
    assert one.wait_target(process.pid, timeout=10)


def test_a_child_is_found_long_before_the_next_interval(agent, family):
    one = agent({"discovery": {"interval": "10m", "min_age": "5m"}}).wait_ready()
    one.wait_target(family.pid)
    say(family, "fork")
    child = int(family.stdout.readline())
    assert one.wait_target(child, timeout=20), "the interval is ten minutes: only a tick can have found it"


def test_exec_of_another_program_ends_a_target(agent, family):
    one = agent().wait_ready()
    one.wait_target(family.pid)
    say(family, "exec")
    wait_until(lambda: known(one, family.pid) is None, 30, "the target to be gone")


def test_exec_of_python_makes_another_target(agent, family):
    one = agent().wait_ready()
    first = one.wait_target(family.pid)
    say(family, "exec-python")
    again = wait_until(lambda: (row := known(one, family.pid)) and row["id"] != first["id"] and row, 30,
                       "another target in the same pid")
    assert again["pid"] == first["pid"]
    assert next(row for row in one.targets() if row["pid"] == family.pid)["id"] == again["id"], "the one that is gone stood first"


def test_an_exit_ends_a_target_and_delivers_its_open_window(agent, family):
    """It lives and dies inside one window."""
    one = agent({"sampling": {"window": "10s"}, "discovery": {"interval": "10m"}}).wait_ready()
    one.wait_target(family.pid)
    wait_until(lambda: one.profiles.exists() and list(one.profiles.glob("family*.pb.gz")), 60, "the first window")
    say(family, "fork-busy")
    child = int(family.stdout.readline())
    one.wait_target(child)
    say(family, "wait")
    assert family.stdout.readline() == "ended\n"
    wait_until(lambda: known(one, child) is None, 30, "the target to be gone")

    def functions():
        return {name for profile in one.read_profiles("cpu") for name in profile.by_function()}

    wait_until(lambda: any("only_in_the_child" in name for name in functions()), 40, "the function of the dead child",
               interval=0.5)
