"""What people get wrong or what fails around them: one clear line and the right exit code."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lib.agent import free_port
from lib.waiting import wait_exit, wait_until

FAILED, USAGE, DENIED = 1, 2, 3
NOBODY = 65534

CONFIG_ERRORS = [
    ("sampling: {hz: fast}\n", ":1:16: sampling.hz: fast is not a number", "write a number"),
    ("sampling:\n  hzz: 97\n", ":2:3: unknown key hzz in sampling", "did you mean hz?"),
    ("log: {}\nlog: {}\n", ":2:1: duplicate key log", "first given in line 1"),
    ("sampling:\n\thz: 1\n", ":2:1: ", "indent with spaces"),
    ("exporters: [{type: grafana}]\n", ":1:20: unknown type of exporter grafana", "pyroscope, parca, otlp, file"),
    ("exporters: [{type: parca}]\n", ":1:13: exporter parca: it has no address", "add url"),
    ("labels: {a: \"${env:PYSTROBE_TEST_NOT_SET}\"}\n", ":1:13: the environment variable", "set it"),
    ("labels: {a: \"${file:/not/there}\"}\n", ":1:13: cannot read /not/there", "mount it"),
    ("server: {listen: here}\n", ":1:10: server.listen has no port", "127.0.0.1:7072"),
]


def run(pystrobe, *words, **kwargs):
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(pystrobe), *map(str, words)], capture_output=True, text=True, timeout=60, **kwargs)


def one_line(result, code):
    """The only line of stderr, which must be there, with nothing on stdout."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("pystrobe: ")
    return lines[0]


@pytest.mark.parametrize("command", [("agent", "--config"), ("doctor", "--config"), ("config", "check")], ids=" ".join)
@pytest.mark.parametrize("text, place, remedy", CONFIG_ERRORS, ids=[row[1][:40] for row in CONFIG_ERRORS])
def test_config_error_names_file_line_and_column(pystrobe, tmp_path, command, text, place, remedy):
    path = tmp_path / "pystrobe.yaml"
    path.write_text(text, encoding="utf-8")
    line = one_line(run(pystrobe, *command, path), USAGE)
    assert line.startswith(f"pystrobe: {path}{place}")
    assert remedy in line


@pytest.mark.parametrize("entry, text", [
    ('{type: parca, url: "http://me:word@localhost"}', "user and password in the URL"),
    ('{type: parca, url: localhost, headers: {Content-Type: x}}', "cannot be sent with gRPC"),
    ('{type: pyroscope, url: "http://localhost/?a=b"}', "a query or a fragment"),
])
def test_what_an_exporter_does_not_take_is_found_by_the_check_as_by_the_agent(pystrobe, tmp_path, entry, text):
    path = tmp_path / "pystrobe.yaml"
    path.write_text(f"store: {{directory: {tmp_path}/state}}\nspool: {{directory: {tmp_path}/state}}\nexporters: [{entry}]\n", encoding="utf-8")
    lines = [one_line(run(pystrobe, *command, path), USAGE) for command in (("config", "check"), ("agent", "--config"))]
    assert lines[0] == lines[1] and lines[0].startswith(f"pystrobe: {path}:3:13: ") and text in lines[0]


def test_config_file_that_is_not_there(pystrobe):
    line = one_line(run(pystrobe, "agent", "--config", "/not/there.yaml"), USAGE)
    assert line.startswith("pystrobe: /not/there.yaml: ") and "No such file" in line


def test_config_that_is_a_folder(pystrobe, tmp_path):
    assert "Is a directory" in one_line(run(pystrobe, "config", "check", tmp_path), USAGE)


def test_config_error_in_a_variable_names_it(pystrobe):
    environment = {**os.environ, "PYSTROBE_SAMPLING_WINDOW": "soon"}
    assert one_line(run(pystrobe, "agent", env=environment), USAGE).startswith("pystrobe: PYSTROBE_SAMPLING_WINDOW: ")


def test_config_error_in_a_flag_names_it(pystrobe):
    line = one_line(run(pystrobe, "agent", "--set", "samplng.hz=1"), USAGE)
    assert line.startswith("pystrobe: --set: ") and "unknown setting samplng.hz" in line


def test_secrets_stay_out_of_errors_and_output(pystrobe, tmp_path):
    path = tmp_path / "pystrobe.yaml"
    (tmp_path / "token").write_text("hunter2-file\n", encoding="utf-8")
    path.write_text("exporters:\n- type: parca\n  url: http://me:hunter2-url@localhost\n"
                    f"  bearer_token: ${{file:{tmp_path}/token}}\n  headers: {{X-Key: hunter2-header}}\n", encoding="utf-8")
    shown = run(pystrobe, "config", "show", path)
    assert shown.returncode == 0 and "***" in shown.stdout and "hunter2" not in shown.stdout + shown.stderr
    path.write_text(f"sampling: {{hz: \"${{file:{tmp_path}/token}}\"}}\n", encoding="utf-8")
    assert "hunter2" not in one_line(run(pystrobe, "config", "check", path), USAGE)


@pytest.mark.parametrize("words, text", [
    (("fly",), "no such command: fly"),
    (("foo",), "no such command: foo; `pystrobe --help` lists the commands"),
    (("dmp",), "did you mean dump?"),
    (("convert", "-o", ""), "--output: its value is empty"),
    (("dump", "--core="), "--core: its value is empty"),
    (("record", "-p", "1", "-d", ""), "--duration: its value is empty"),
    (("record", "-p", "1", "--rate="), "--rate: its value is empty"),
    (("record", "-p", "1", "--mode", ""), "--mode: its value is empty"),
    (("record", "-p", "1", "-d", "99999999999999999999"), "--duration: 99999999999999999999 is too long"),
    (("record", "-p", "1,,2"), "--pid: a process id is missing"),
    (("record", "-p", ",1"), "--pid: a process id is missing"),
    (("record", "-p", "1", "-f", ""), "--format: '' is not a format"),
    (("record", "-p", "1", "--include", "("), "--include: ( is not a pattern"),
    (("convert", "-o", "x", "--exclude", "(", "/dev/null"), "--exclude: ( is not a pattern"),
    (("dump", "-p", "1", "--redact", "("), "--redact: ( is not a pattern"),
    (("doctor", "--ready", "--json"), "not with --json"),
    (("--fly",), "no such option: --fly"),
    (("con",), "con could mean"),
    (("dcotor",), "did you mean doctor?"),
    (("help", "fly"), "no such command: fly"),
    (("agent", "--fly"), "--fly: no such option"),
    (("agent", "--confg", "x"), "did you mean --config?"),
    (("agent", "--conf", "x"), "did you mean --config?"),
    (("agent", "--config"), "--config: its value is missing"),
    (("agent", "--for", "soon"), "--for: soon is not a duration"),
    (("ps", "--json=1"), "--json: takes no value"),
    (("ps", "--why", "me"), "--why: me is not a process id"),
    (("doctor", "--pid", "0"), "--pid: 0 is not a process id"),
    (("doctor", "1234"), "takes no words"),
    (("config",), "a verb is missing"),
    (("config", "chek", "x"), "no such verb"),
    (("config", "check"), "check needs a FILE"),
    (("config", "show", "a", "b"), "too many words"),
    (("completions",), "bash, zsh, fish"),
    (("completions", "csh"), "bash, zsh, fish"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_usage_error(pystrobe, words, text):
    assert text in one_line(run(pystrobe, *words), USAGE)


def ended_pid():
    """A number that was a process's until now."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("words", [("dump", "--pid"), ("ps", "--why")], ids=" ".join)
def test_process_that_is_not_there(pystrobe, words):
    pid = ended_pid()
    assert str(pid) in one_line(run(pystrobe, *words, pid), FAILED)


@pytest.mark.parametrize("words", [("dump", "--pid"), ("ps", "--why")], ids=" ".join)
def test_process_that_is_not_python(pystrobe, processes, words):
    process = processes(["sleep", "600"])
    wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("sleep"))
    assert str(process.pid) in one_line(run(pystrobe, *words, process.pid), FAILED)


def test_doctor_on_a_process_that_is_not_there_or_not_python(pystrobe, processes):
    process = processes(["sleep", "600"])
    wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("sleep"))
    for pid, text in ((ended_pid(), "no such process"), (process.pid, "not a CPython process")):
        result = run(pystrobe, "doctor", "--pid", pid)
        assert result.returncode == FAILED
        assert re.search(rf"^FAILED +pid {pid} +{text}; ", result.stdout, re.M), result.stdout


def test_doctor_as_json_has_the_same_rows(pystrobe):
    rows = json.loads(run(pystrobe, "doctor", "--json", "--pid", ended_pid()).stdout)
    lines = run(pystrobe, "doctor", "--pid", ended_pid()).stdout.splitlines()
    assert [row["verdict"] for row in rows] == [line.split()[0] for line in lines]
    failed = next(row for row in rows if row["verdict"] == "FAILED")
    assert failed["text"] == "no such process" and "pystrobe ps" in failed["remedy"]


@pytest.mark.parametrize("word, remedy", [("1234567", "--pid 1234567 means the process"),
                                          ("no-such-program", "no folder of PATH holds it")])
@pytest.mark.parametrize("command", [["record", "-o", "-"], ["top", "--once"]], ids=lambda words: words[0])
def test_program_that_cannot_be_started_says_what_may_be_meant(pystrobe, command, word, remedy):
    assert one_line(run(pystrobe, *command, word), 127).endswith(f"cannot start {word}: No such file or directory; {remedy}")


def sleeper(processes, hidden=False):
    """A Python that has reached its sleep; hidden: not dumpable, so that the same user may not read it."""
    code = "import sys, time\n"
    if hidden:
        code += "import ctypes; ctypes.CDLL(None).prctl(4, 0)\n"
    process = processes([sys.executable, "-c", code + "print(1, flush=True)\ntime.sleep(600)"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    return process


@pytest.fixture
def unprivileged(pystrobe):
    """run(*words) as a user who may not read the target that `sleeper` starts with hidden=True."""
    folder = Path(tempfile.mkdtemp(prefix="pystrobe-unprivileged-"))
    folder.chmod(0o755)
    binary = folder / "pystrobe"
    shutil.copy2(pystrobe, binary)
    binary.chmod(0o755)
    before = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []

    def start(*words):
        return subprocess.run([*before, str(binary), *map(str, words)], capture_output=True, text=True, timeout=60,
                              cwd=folder, env={"HOME": str(folder), "PATH": os.environ["PATH"]}, check=False)

    yield start
    shutil.rmtree(folder)


# All that decides, in every refusal.
STATE = re.compile(r"uid \d+, CAP_SYS_PTRACE missing, yama (\d|not there), seccomp (none|a filter), LSM .")


def test_dump_without_permission(unprivileged, processes):
    process = sleeper(processes, hidden=True)
    line = one_line(unprivileged("dump", "--pid", process.pid), DENIED)
    assert f"not permitted to read process {process.pid}: process_vm_readv of {process.pid} is refused: " in line
    assert STATE.search(line) and "; run as root, or grant CAP_SYS_PTRACE; sudo /" in line


def test_ps_why_without_permission(unprivileged, processes):
    process = sleeper(processes, hidden=True)
    line = one_line(unprivileged("ps", "--why", process.pid), DENIED)
    assert f"process_vm_readv of {process.pid} is refused: " in line and STATE.search(line)


def test_doctor_without_permission_names_the_obstacle_and_the_remedy(unprivileged, processes):
    process = sleeper(processes, hidden=True)
    result = unprivileged("doctor", "--pid", process.pid)
    assert result.returncode == DENIED, result.stdout
    denied = [line for line in result.stdout.splitlines() if line.startswith("DENIED")]
    assert len(denied) == 1 and f"pid {process.pid}" in denied[0]
    assert STATE.search(denied[0]) and "; run as root" in denied[0]
    assert re.search(r"^(ok|note) +sidecar +recipe \((a|b|c)\) ", result.stdout, re.M)
    assert re.search(r"^note +capabilities +no CAP_SYS_PTRACE", result.stdout, re.M)


@pytest.mark.unsanitized(reason="a leak sanitizer refuses to run under strace")
@pytest.mark.parametrize("command", ["doctor", "dump"])
def test_a_filter_that_refuses_process_vm_readv_alone_costs_nothing_but_time(pystrobe, processes, command):
    """As the default profile of older container engines does it to whoever lacks the capability."""
    process = sleeper(processes)
    result = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "inject=process_vm_readv:error=EPERM", str(pystrobe),
                             command, "--pid", str(process.pid)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    if command == "doctor":
        assert re.search(r"^note +seccomp +a filter refuses process_vm_readv; /proc/PID/mem is read instead; ", result.stdout, re.M)
        assert re.search(rf"^ok +pid {process.pid} +walked 1 of 1 threads", result.stdout, re.M)
    else:
        assert "<module>" in result.stdout


def test_doctor_reads_what_dump_reads(pystrobe, processes):
    process = sleeper(processes)
    result = run(pystrobe, "doctor", "--pid", process.pid)
    readable = run(pystrobe, "dump", "--pid", process.pid).returncode == 0
    assert (result.returncode == 0) == readable
    if readable:
        version = ".".join(map(str, sys.version_info[:3]))
        assert re.search(rf"^ok +pid {process.pid} +_PyRuntime read: CPython {version}", result.stdout, re.M), result.stdout
        assert re.search(rf"^ok +pid {process.pid} +walked 1 of 1 threads", result.stdout, re.M)


def test_doctor_looks_at_store_and_spool_and_their_free_space(pystrobe, tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    exporters = [{"type": "file", "directory": str(tmp_path)}]
    result = run(pystrobe, "doctor", "--set", f"store.directory={tmp_path}", "--set", f"spool.directory={tmp_path}/file/spool",
                 "--set", f"exporters={exporters}")
    assert result.returncode == FAILED, result.stdout
    assert re.search(rf"^(ok|note) +store +{tmp_path} can be written; \d+ MiB are free, it takes at most 512 MiB", result.stdout, re.M)
    assert re.search(rf"^FAILED +spool +{tmp_path}/file/spool cannot be written: Not a directory; ", result.stdout, re.M)
    result = run(pystrobe, "doctor", "--set", f"store.directory={tmp_path}", "--set", "store.max_size=1TiB",
                 "--set", f"spool.directory={tmp_path}/spool", "--set", f"exporters={exporters}")
    assert re.search(rf"^ok +spool +{tmp_path}/spool can be made; ", result.stdout, re.M), result.stdout
    assert re.search(r"^note +store .*; free space there, or lower its max_size", result.stdout, re.M), result.stdout


def test_doctor_reports_backends_that_do_not_answer(pystrobe, tmp_path):
    port = free_port()
    exporters = [{"type": "pyroscope", "url": f"http://127.0.0.1:{port}"},
                 {"type": "parca", "address": f"http://127.0.0.1:{port}"},
                 {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}", "protocol": "grpc"},
                 {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}", "protocol": "http/protobuf"}]
    result = run(pystrobe, "doctor", "--set", f"exporters={exporters}", "--set", f"store.directory={tmp_path}")
    assert result.returncode == FAILED, result.stdout
    for name in ("pyroscope", "parca", "otlp", "otlp-2"):
        assert re.search(rf"^FAILED +{name} +not reached: connect", result.stdout, re.M), result.stdout


def test_doctor_ready_without_an_agent(pystrobe):
    result = run(pystrobe, "doctor", "--ready", "--set", f"server.listen=127.0.0.1:{free_port()}")
    assert result.returncode == FAILED
    assert result.stdout.startswith("not ready: no agent answers on 127.0.0.1:")


def test_doctor_ready_with_an_agent(pystrobe, agent):
    running = agent().wait_ready()
    result = run(pystrobe, "doctor", "--ready", "--config", running.config)
    assert result.returncode == 0 and result.stdout.startswith("ready")


def test_endpoint_that_is_taken(pystrobe, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(run(pystrobe, "agent", "--set", f"server.listen=127.0.0.1:{port}", "--set",
                            f"store.directory={tmp_path}"), FAILED)
    assert "server.listen" in line and f"127.0.0.1:{port} is in use" in line


def test_program_that_cannot_be_run(pystrobe, tmp_path):
    result = run(pystrobe, "agent", "--set", f"server.listen=127.0.0.1:{free_port()}", "--set",
                 f"store.directory={tmp_path}", "--", "/not/there")
    assert result.returncode == 127
    assert "pystrobe: cannot run /not/there: No such file or directory" in result.stderr.splitlines()


@pytest.mark.parametrize("kind", [
    {"type": "pyroscope"}, {"type": "parca"}, {"type": "otlp", "protocol": "grpc"},
    {"type": "otlp", "protocol": "http/protobuf"}], ids=lambda kind: "-".join(kind.values()).replace("/", "-"))
def test_backend_that_does_not_answer(agent, processes, kind):
    """The agent says so, goes on, delivers elsewhere, and ends as it should."""
    sleeper(processes)
    url = f"http://127.0.0.1:{free_port()}"
    running = agent(exporters=[{**kind, "name": "down", "url": url}], settings={"sampling": {"window": "1s"}}).wait_ready()
    running.wait_profiles(1)
    wait_until(lambda: "exporter down: connect" in running.output(), 30, "a line about the backend")
    lines = [line for line in running.output().splitlines() if "exporter down" in line]
    assert all("level=warn" in line for line in lines), lines
    assert running.get("/readyz")[0] == 200
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 8


def test_target_that_exits(agent, processes):
    """Its last window is delivered, and the agent has nothing to complain about."""
    running = agent(settings={"sampling": {"window": "10m"}}).wait_ready()
    process = sleeper(processes)
    running.wait_target(process.pid)
    wait_until(lambda: running.metric("pystrobe_samples_total") > 0, 30, "samples")
    process.kill()
    wait_exit(process)
    assert running.wait_profiles(1)
    assert "level=error" not in running.output()
