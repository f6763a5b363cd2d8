"""The repository's own text, as the architecture tests look at it."""
import functools
import re
import subprocess

from lib.places import REPOSITORY

CODE_FOLDERS = ("agent/", "config/", "discovery/", "exporters/", "lib/")


@functools.lru_cache(maxsize=None)
def files() -> tuple:
    """Every file that is or would be in the repository, as paths relative to it."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True,
                            check=True).stdout.splitlines()
    return tuple(name for name in listed if (REPOSITORY / name).is_file())


@functools.lru_cache(maxsize=None)
def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8", errors="replace")


def code_files() -> list:
    """Our C files and headers, tests not included."""
    return [name for name in files() if name.startswith(CODE_FOLDERS) and name.endswith((".c", ".h"))]


@functools.lru_cache(maxsize=None)
def without_comments(name: str) -> str:
    """C text with comments and the insides of strings and character constants blanked; line numbers stay."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] * 2
        return "\n" * found.count("\n") or " "

    return pattern.sub(blank, text(name))


def matches(name: str, pattern: str, body=None) -> list:
    """"file:line: text" of each match."""
    body = without_comments(name) if body is None else body
    result = []
    for match in re.finditer(pattern, body):
        line = body.count("\n", 0, match.start()) + 1
        result.append(f"{name}:{line}: {match.group(0).strip()}")
    return result


def includes(name: str) -> list:
    """(line, target) of each #include."""
    return [(number, match[1]) for number, line in enumerate(text(name).splitlines(), 1)
            if (match := re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line))]
