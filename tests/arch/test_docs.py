"""Pages, schema and completions are what the program's own tables say."""
import json
import os
import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml

from lib import places

EXAMPLE = """
sampling: {hz: 97, modes: [cpu, gil], window: 1m30s, share: 12.5%, overhead: {cpu: 1%, memory: 128MiB}}
discovery:
  interval: 30
  select: [{action: drop, source_labels: [namespace], regex: kube-.*}]
  relabel: [{source_labels: [__meta_process_comm], target_label: service_name}]
  kubernetes: {enabled: true, node: "${env:HOME}", kubelet: {url: "https://localhost:10250"}}
labels: {team: search, shard: 3}
exporters:
- type: pyroscope
  url: http://localhost:4040
  headers: {X-Scope-OrgID: a}
  basic_auth: {username: u, password: "${env:HOME}"}
  retry_on_failure: {initial_interval: 500ms, max_elapsed_time: 0}
- {type: otlp, endpoint: "localhost:4317", protocol: grpc, tls_config: {insecure: true}, sample_labels: []}
- {type: parca, address: "localhost:7070", external_labels: {zone: a}}
- {type: file, directory: /tmp/profiles, max_size: 1GiB}
store: {retention: 7d}
server: {listen: "127.0.0.1:7072"}
log: {level: debug, format: json}
"""

REFUSED = [
    "samplin: {}",
    "sampling: {hz: 0}",
    "sampling: {hz: fast}",
    "sampling: {modes: [gpu]}",
    "sampling: {share: 0.5}",
    "sampling: {overhead: {memory: 64 MB}}",
    "sampling: {enabled: maybe}",
    "exporters: {type: file}",
    "exporters: [{url: x}]",
    "exporters: [{type: grafana, url: x}]",
    "exporters: [{type: file, url: x}]",
    "exporters: [{type: parca, url: x, protocol: grpc}]",
    "exporters: [{type: otlp, url: x, tls_config: {cafile: x}}]",
    "discovery: {relabel: [{action: nothing}]}",
    "log: {level: loud}",
    "labels: [a]",
]


def run(pystrobe, *words, **kwargs):
    return subprocess.run([str(pystrobe), *words], capture_output=True, text=True, timeout=60, **kwargs)


@pytest.mark.parametrize("page", ["configuration", "commands"])
def test_page_is_what_the_program_prints(pystrobe, page):
    """docs/PAGE.md: print it anew with `pystrobe __docs PAGE > docs/PAGE.md`."""
    printed = run(pystrobe, "__docs", page)
    assert printed.returncode == 0
    assert printed.stdout == (places.REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def validator(pystrobe):
    schema = json.loads(run(pystrobe, "config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_schema_accepts_what_the_program_accepts(pystrobe, validator, tmp_path):
    path = tmp_path / "pystrobe.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    checked = run(pystrobe, "config", "check", str(path))
    assert checked.returncode == 0, checked.stderr
    assert [error.message for error in validator.iter_errors(yaml.safe_load(EXAMPLE))] == []


def test_schema_accepts_the_effective_configuration(pystrobe, validator, tmp_path):
    path = tmp_path / "pystrobe.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    shown = run(pystrobe, "config", "show", str(path)).stdout
    assert [error.message for error in validator.iter_errors(yaml.safe_load(shown))] == []
    path.write_text(shown, encoding="utf-8")
    assert run(pystrobe, "config", "check", str(path)).returncode == 0


@pytest.mark.parametrize("text", REFUSED)
def test_schema_and_program_refuse_the_same(pystrobe, validator, tmp_path, text):
    path = tmp_path / "pystrobe.yaml"
    path.write_text(text, encoding="utf-8")
    assert run(pystrobe, "config", "check", str(path)).returncode == 2
    assert list(validator.iter_errors(yaml.safe_load(text)))


def settings(schema, prefix=""):
    """Dotted names of all plain settings of a schema."""
    for name, value in schema["properties"].items():
        if "properties" in value:
            yield from settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_is_documented_and_shown(pystrobe, validator):
    page = (places.REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(run(pystrobe, "config", "show").stdout)
    names = list(settings(validator.schema))
    assert len(names) > 30
    for name in names:
        assert f"| `{name}` |" in page, name
        value = shown
        for part in name.split("."):
            assert part in value, name
            value = value[part]


def test_every_setting_is_an_environment_variable(pystrobe, validator):
    """A value that no type but free text takes must be refused under each variable's own name."""
    for name in settings(validator.schema):
        variable = "PYSTROBE_" + name.upper().replace(".", "_")
        tried = run(pystrobe, "config", "show", env={"HOME": "/", variable: "?"})
        assert tried.returncode == 0 and f"# {variable}" in tried.stdout or f" {variable}" in tried.stderr, name


def commands(pystrobe):
    text = run(pystrobe, "--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in text.splitlines()]


def test_every_command_explains_itself(pystrobe):
    names = commands(pystrobe)
    assert {"agent", "ps", "config", "doctor", "completions", "help"} <= set(names)
    for name in names:
        by_help, by_flag = run(pystrobe, "help", name), run(pystrobe, name, "--help")
        assert by_help.returncode == by_flag.returncode == 0
        assert by_help.stdout == by_flag.stdout
        assert f"Usage: pystrobe {name}" in by_help.stdout and "Example:" in by_help.stdout
        assert by_help.stderr == by_flag.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_parse_and_name_every_command_and_option(pystrobe, shell, tmp_path):
    script = run(pystrobe, "completions", shell)
    assert script.returncode == 0
    for name in commands(pystrobe):
        assert name in script.stdout
        options = [word.rstrip(",") for line in run(pystrobe, "help", name).stdout.splitlines()
                   for word in line.split()[:2] if line.startswith("  -") or line.startswith("      --")]
        for option in options:
            if option.startswith("--") and option != "--help":
                assert (option in script.stdout) or (f"-l {option[2:]}" in script.stdout), option
    if shutil.which(shell):
        path = tmp_path / f"pystrobe.{shell}"
        path.write_text(script.stdout, encoding="utf-8")
        assert subprocess.run([shell, "-n", str(path)], check=False).returncode == 0


def complete(pystrobe, tmp_path, *words):
    """What bash offers for the last word."""
    script = tmp_path / "completion.bash"
    script.write_text(run(pystrobe, "completions", "bash").stdout, encoding="utf-8")
    asked = f"""source {script}
COMP_WORDS=({' '.join(f"'{word}'" for word in ('pystrobe', *words))})
COMP_CWORD={len(words)}
_pystrobe
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True,
                          cwd=tmp_path).stdout.split()


def test_bash_completes_commands_options_and_values(pystrobe, tmp_path):
    assert "agent" in complete(pystrobe, tmp_path, "")
    assert complete(pystrobe, tmp_path, "doc") == ["doctor"]
    assert "--pid" in complete(pystrobe, tmp_path, "doctor", "--p")
    assert complete(pystrobe, tmp_path, "completions", "z") == ["zsh"]
    assert complete(pystrobe, tmp_path, "config", "ch") == ["check"]
    (tmp_path / "some.yaml").touch()
    assert complete(pystrobe, tmp_path, "config", "--config", "so") == ["some.yaml"]
    assert complete(pystrobe, tmp_path, "config", "check", "so") == ["some.yaml"]


@pytest.mark.parametrize("line, offered", [("pystrobe doc", "doctor"), ("pystrobe doctor --p", "--pid"),
                                           ("pystrobe completions z", "zsh"), ("pystrobe config ch", "check")])
def test_fish_completes_commands_options_and_values(pystrobe, tmp_path, line, offered):
    script = tmp_path / "pystrobe.fish"
    script.write_text(run(pystrobe, "completions", "fish").stdout, encoding="utf-8")
    answer = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], capture_output=True,
                            text=True, check=True, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    assert offered in [row.split("\t")[0] for row in answer.stdout.splitlines()]


def test_newcomers_page_has_five_commands_with_one_example_each(pystrobe):
    page = run(pystrobe)
    assert page.returncode == 0
    examples = [line.split()[2] for line in page.stdout.splitlines() if line.strip().startswith("$ pystrobe")]
    assert len(examples) == len(set(examples)) == 5


def test_version(pystrobe):
    printed = run(pystrobe, "--version")
    assert printed.returncode == 0 and printed.stdout.startswith("pystrobe ")
    assert printed.stdout.count("\n") == 1


def test_manual_pages_are_well_formed_and_complete(pystrobe, tmp_path):
    """Other people's readers find nothing to complain about, and every option that --help shows is there."""
    assert run(pystrobe, "__man", tmp_path, "2026-01-31").returncode == 0
    pages = {path.name for path in tmp_path.iterdir()}
    commands = re.findall(r"^  ([a-z]+) ", run(pystrobe, "--help").stdout.split("\n\n")[1], re.M)
    assert pages == {"pystrobe.1", *(f"pystrobe-{name}.1" for name in commands)} and len(commands) > 8
    for name in pages:
        lint = subprocess.run(["mandoc", "-Tlint", "-W", "warning", tmp_path / name], capture_output=True, text=True, timeout=60)
        assert lint.returncode == 0 and lint.stdout == "", lint.stdout
        troff = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", tmp_path / name], capture_output=True, text=True, timeout=60)
        assert troff.returncode == 0 and troff.stderr == "", troff.stderr
    for name in commands:
        text = subprocess.run(["mandoc", "-Tascii", "-O", "width=1000", tmp_path / f"pystrobe-{name}.1"], capture_output=True, text=True,
                              timeout=60, check=True).stdout
        text = re.sub(".\b", "", text)
        for option in re.findall(r" (--[a-z-]+)", run(pystrobe, name, "--help").stdout.split("Options:")[1]):
            assert option in text, (name, option)
