"""Who may see whom: lib/base <- lib/net, lib/profile, config <- discovery, exporters <- agent, and the single doors."""
import pytest

from lib import source

LAYERS = {
    "lib/base": set(),
    "lib/net": {"lib/base"},
    "lib/profile": {"lib/base"},
    "config": {"lib/base"},
    "discovery": {"lib/base", "lib/net", "lib/profile", "config"},
    "exporters": {"lib/base", "lib/net", "lib/profile", "config"},
    "agent": {"lib/base", "lib/net", "lib/profile", "config", "discovery", "exporters"},
}


def layer_of(name):
    return next(layer for layer in LAYERS if name.startswith(layer + "/"))


def public_headers():
    """"base/str.h" -> its file, for everything under an include folder."""
    found = {}
    for name in source.code_files():
        if "/include/" in name:
            found.setdefault(name.split("/include/", 1)[1], name)
    for name in source.files():
        if "/include/" in name and name.endswith(".def"):
            found.setdefault(name.split("/include/", 1)[1], name)
    return found


def test_there_is_code_to_look_at():
    assert len(source.code_files()) > 40
    assert "base/str.h" in public_headers()


def forbidden_includes(names=None):
    headers = public_headers()
    wrong = []
    for name in names or source.code_files():
        mine = layer_of(name)
        for line, target in source.includes(name):
            if target not in headers:
                continue
            theirs = layer_of(headers[target])
            if theirs != mine and theirs not in LAYERS[mine]:
                wrong.append(f"{name}:{line}: {mine} must not see {theirs} ({target})")
    return wrong


def test_no_include_goes_against_the_order_of_the_layers():
    assert forbidden_includes() == []


def test_public_header_names_are_unique():
    seen = {}
    for name in source.code_files():
        if "/include/" in name:
            seen.setdefault(name.split("/include/", 1)[1], []).append(name)
    assert {short: names for short, names in seen.items() if len(names) > 1} == {}


def test_private_headers_are_included_from_their_own_folder_only():
    headers = public_headers()
    private = {name.rsplit("/", 1)[1]: name for name in source.code_files() if name.endswith(".h") and "/include/" not in name}
    wrong = []
    for name in source.code_files():
        for line, target in source.includes(name):
            owner = private.get(target.rsplit("/", 1)[-1])
            if target in headers or owner is None or target.startswith("sys/"):
                continue
            if "../" in target or ("/" in target and not owner.endswith("/" + target)):
                wrong.append(f"{name}:{line}: {target}")
    assert wrong == []


DOORS = [
    ("process_vm_readv", r"\bprocess_vm_readv\b", ["discovery/target/memory.c"]),
    ("ptrace", r"\bPTRACE_(?:SEIZE|ATTACH|INTERRUPT)\b", ["discovery/target/stop.c", "agent/native/", "agent/roles/filter.c"]),
    ("writing to a target", r"\bprocess_vm_writev\b|\bPTRACE_(?:POKE\w+|SETREGS\w*)\b", ["agent/native/seize.c", "agent/roles/filter.c"]),
    ("curl", r"#\s*include\s*<curl/", ["lib/net/"]),
    ("nghttp2", r"#\s*include\s*<nghttp2/", ["lib/net/"]),
    ("opening a database", r"\bsqlite3_open(?:_v2)?\b", ["lib/base/db.c"]),
]


@pytest.mark.parametrize("what, pattern, allowed", DOORS, ids=[row[0] for row in DOORS])
def test_only_one_door(what, pattern, allowed):
    outside = []
    for name in source.code_files():
        if not name.startswith(tuple(allowed)):
            outside += source.matches(name, pattern, source.text(name) if "include" in pattern else None)
    assert outside == [], f"{what} belongs into {', '.join(allowed) or 'no file at all'}"


def test_target_memory_files_are_opened_in_one_place():
    outside = []
    for name in source.code_files():
        if name != "discovery/target/memory.c":
            outside += source.matches(name, r'"/proc/%[^"]*/mem"', source.text(name))
    assert outside == []
