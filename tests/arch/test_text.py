"""What must not stand in the repository's files, and lists whose every row must be used."""
import re

import pytest

from lib import source

BANNED = {
    "strcpy": "a buffer has its bound: pst_buf", "strcat": "pst_buf", "sprintf": "snprintf or pst_buf", "vsprintf": "vsnprintf",
    "gets": "a bounded read", "strtok": "views", "atoi": "pst_str number parsers report errors", "atol": "as atoi",
    "atoll": "as atoi", "atof": "as atoi", "system": "no shell", "popen": "no shell", "mktemp": "mkostemp", "tmpnam": "mkostemp",
    "alloca": "hostile sizes", "rand": "pst_random", "srand": "pst_random", "gethostbyname": "a resolver with a deadline",
    "asctime": "strftime", "ctime": "strftime", "localtime": "localtime_r", "gmtime": "gmtime_r",
}


@pytest.mark.parametrize("function", sorted(BANNED))
def test_banned_function_is_not_called(function):
    calls = []
    for name in source.code_files():
        calls += source.matches(name, rf"(?<![\w.>]){function}\s*\(")
    assert calls == [], BANNED[function]


# Spelled in pieces, since this file is in the repository too.
FORBIDDEN = {
    "an unfinished mark": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
    "a path of one machine": r"/(?:work|root)/(?:main|shared|\.pyenv|\.cache|go)\b",
    "a temporary brief": r"/tmp/(?:issue|brief)",
    "a secret's file": r"BEGIN (?:RSA |EC )?PRIVATE " + "KEY",
    "a package registry's host": r"(?:pypi\.org|files\.pythonhosted|proxy\.golang\.org|registry\.npmjs|deb\.debian\.org|"
                                 r"pkg\.dev|artifactory)",
}
TEXT_ENDINGS = (".c", ".h", ".def", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ".yaml", ".yml", ".proto", ".go", ".mod", ".js",
                ".html", "/dev", "/run")


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_mentions(what):
    found = []
    for name in source.files():
        if ("/" + name).endswith(TEXT_ENDINGS) and name != "tests/arch/test_text.py":
            found += source.matches(name, FORBIDDEN[what], source.text(name))
    assert found == []


def rows(path, macro):
    return re.findall(rf"^{macro}\((\w+)", source.text(path), re.M)


def used_words():
    words = set()
    for name in source.code_files():
        if not name.startswith("lib/base/include/base/limits"):
            words |= set(re.findall(r"\bPST_(?:MAX|METRIC)_\w+", source.without_comments(name)))
    return words


@pytest.mark.parametrize("limit", rows("lib/base/include/base/limits.def", "PST_LIMIT"))
def test_limit_bounds_something(limit):
    used = f"PST_MAX_{limit}" in used_words()
    assert used, f"PST_MAX_{limit} is used nowhere: a bound that nothing respects is no bound"


@pytest.mark.parametrize("metric", rows("lib/base/include/base/counters.def", "PST_METRIC"))
def test_metric_is_set_somewhere(metric):
    used = f"PST_METRIC_{metric}" in used_words()
    assert used, f"PST_METRIC_{metric} is set nowhere: /metrics would show a number that means nothing"


def test_every_c_file_says_what_it_is():
    silent = [name for name in source.code_files()
              if name.endswith(".c") and not re.match(r"\s*/\*.{20,}", source.text(name), re.S)]
    assert silent == []
