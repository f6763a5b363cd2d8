"""discovery.relabel next to Prometheus' own relabelling: generated rules and label sets, compared answer by answer."""
import json
import random
import subprocess

import yaml

import builds
from lib import notes, places

ACTIONS = ["replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep",
           "lowercase", "uppercase"]
NAMES = ["service_name", "namespace", "pod", "__meta_kubernetes_pod_name", "__meta_kubernetes_pod_label_app",
         "__meta_kubernetes_pod_label_tier", "__meta_process_cmdline", "env", "team", "a", "b", "_x1"]
VALUES = ["", "shop", "shop-7f9c5d-abcde", "kube-system", "prod", "Prod", "a;b", "a", "b", "10.0.0.1:8000", "line\nbreak",
          "Grüße ÄÖ", "ÅŒ naïve Łódź", "日本語", "ΑΒΓδ", "привет", "k\u212a", "100%", "$1", "(x)", "a" * 200, "x.y-z_1"]
# Patterns with which RE2 and PCRE2 differ unless one is told what the other means, among everyday ones.
REGEXES = ["(.*)", ".*", ".+", "", "a", "a|b", "shop.*", "(shop)-([a-z0-9]+)-([a-z0-9]+)", "(?i)PROD", "(?i:pro)d",
           "[a-z]+", "[^a-z]*", "(.+);(.+)", r"(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+)", r"\w+", r"\W+", r"[\w-]+", r"[\s\S]*",
           r"\S+\s\S+", r"[^\s]+", r"(?P<first>[^-]+)-(?P<rest>.*)", "(?P<first>a)|(?P<first>b)", r"(?<first>\w+)(?:-.*)?", "(?-s).*", "(?s).*",
           "(?m)^line$.*", "(?m).*^break$", "^shop$", r"\Ashop\z", r"\bshop\b.*", r"a\x62", r"\x{61}", r"\141", r"\Q(x)\E",
           r"\Q$1\E", r"\$1", "[[:alpha:]]+", "[[:^digit:]]+", "[[:word:]]+", r"\p{L}+", r"\pL*", r"\p{Greek}+",
           r"\P{Cyrillic}+", r"\p{^Lu}+", "[^]]+", "[]a]+", "[a-c-]+", "a{2,}", "a{200}", "a{,3}", "a{1", "x{0}.*", "(a*)(b*)",
           "(a|b|;)*", "(?U)(.+)(.*)", "(.+?)(.*)", "(?i)k+", "__meta_kubernetes_pod_label_(.+)", "__meta_.*", "(a)|(b)",
           ".*o.*", "日.+", r"\v", r"\f|\n", "(?:)", "()", "(?)", "a(?i)b|C", r"[\d\-x.]+", r"[^\n]+", "(((a)))", r"\0", r"\07"]
REFUSED = ["(", ")", "a)", "[", "[z-a]", "a**", "a++", "+", "*", "?", "a{2}{3}", "a{1001}", "a{3,2}", r"\1", "(a)\\1", "(?=a)", "(?!a)",
           "(?<=a)b", "(?<!a)b", "(?>a)", "a*+", r"\C", r"\Z", r"\G", r"\K", r"\R", r"\X", r"\h", r"\cA", r"\8", "(?P<>a)", "(?P<a-b>a)", "(?x)a", "(?#c)", "(?R)", "(?1)", "(?|a)", "(*ACCEPT)", "[[:none:]]", r"\p{None}", r"\pX",
           r"[a-\d]", r"\x{110000}", r"\x1", "\\", r"[\b]", "(?i", "(?-)", "(?i-i-i)", "|*", "(|+)"]
REPLACEMENTS = ["$1", "${1}", "x", "", "$2-$1", "${first}:${rest}", "$$", "$", "$1x", "${1}x", "${", "$0", "${01}", "a$9b", "$first", "-$_-"]
TARGETS = ["service_name", "team", "a", "b", "__tmp", "label_$1", "${1}", "x_${first}", "$1$2"]


def rule(draw):
    action = draw.choice(ACTIONS)
    made = {"action": action}
    if action not in ("labelmap", "labeldrop", "labelkeep") and draw.random() < 0.95:
        made["source_labels"] = draw.sample(NAMES, draw.choice([1, 1, 1, 2, 3]))
    if action in ("labelmap", "labeldrop", "labelkeep"):
        made["regex"] = draw.choice(["__meta_kubernetes_pod_label_(.+)", "__meta_.*", "a|b", "(.*)", "(?i)A", "env", "(.).*", "_(.+)", *REGEXES])
        if action == "labelmap":
            made["replacement"] = draw.choice(["$1", "pod_$1", "x", "${1}_y", "l_$2"])
        return made
    if action not in ("keepequal", "dropequal") and draw.random() < 0.8:
        made["regex"] = draw.choice(REGEXES)
    if action in ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"):
        made["target_label"] = draw.choice(TARGETS if action == "replace" else TARGETS[:5])
    if action == "hashmod":
        made["modulus"] = draw.choice([1, 2, 7, 1000, 2 ** 40])
    if action not in ("keepequal", "dropequal") and draw.random() < 0.3:
        made["separator"] = draw.choice(["", "-", ";", "::"])
    if action == "replace" and draw.random() < 0.7:
        made["replacement"] = draw.choice(REPLACEMENTS)
    return made


def labels(draw):
    found = {name: draw.choice(VALUES) for name in draw.sample(NAMES, draw.randint(0, len(NAMES)))}
    return {name: value for name, value in found.items() if value}


def question(rules, found):
    return {"rules": yaml.safe_dump(rules, allow_unicode=True, width=10000), "labels": found}


def both(tmp_path, questions):
    lines = "".join(json.dumps(one) + "\n" for one in questions)
    answers = []
    for words in ([builds.relabel()], [places.binary().parent / "rules_run", tmp_path]):
        done = subprocess.run([*map(str, words)], input=lines, capture_output=True, text=True, timeout=300, check=True)
        answers.append([json.loads(line) for line in done.stdout.splitlines()])
    theirs, ours = answers
    assert len(theirs) == len(ours) == len(questions)
    return zip(questions, theirs, ours)


def differences(answers):
    found = []
    for asked, theirs, ours in answers:
        same = ("refused" in theirs) == ("refused" in ours) and "failed" not in ours
        if same and "refused" not in theirs:
            same = theirs["kept"] == ours["kept"] and theirs.get("labels", {}) == ours.get("labels", {})
        if not same:
            found.append(f"{asked['rules']}{asked['labels']}\n  theirs {theirs}\n  ours   {ours}")
    return found


def test_generated_rules_do_what_prometheus_does(tmp_path):
    draw = random.Random(20)
    questions = [question([rule(draw) for _ in range(draw.choice([1, 1, 2, 4]))], labels(draw)) for _ in range(2000)]
    answers = list(both(tmp_path, questions))
    wrong = differences(answers)
    kept = sum(theirs["kept"] for _, theirs, _ in answers)
    notes.note(f"relabel: {len(questions)} generated rule lists, {kept} kept, "
               f"{sum('refused' in theirs for _, theirs, _ in answers)} refused, {len(wrong)} differ")
    assert kept > 1000
    assert not wrong, f"{len(wrong)} differ, the first:\n" + "\n".join(wrong[:5])


def test_every_pattern_on_every_value_matches_and_captures_alike(tmp_path):
    rules = [{"source_labels": ["a"], "regex": regex, "target_label": "b", "replacement": "0=$0 1=$1 2=$2 f=${first} r=${rest}"}
             for regex in REGEXES]
    wrong = differences(both(tmp_path, [question([one], {"a": value} if value else {}) for one in rules for value in VALUES]))
    assert not wrong, f"{len(wrong)} differ, the first:\n" + "\n".join(wrong[:5])


def test_what_re2_refuses_is_refused_with_its_place(tmp_path):
    questions = [{"rules": f"- source_labels: [a]\n  target_label: b\n  regex: {json.dumps(regex)}\n", "labels": {"a": "a"}}
                 for regex in REFUSED]
    for asked, theirs, ours in both(tmp_path, questions):
        assert "refused" in theirs, asked
        assert "refused" in ours, asked
        assert ours["where"].endswith(":5:7") and "regex" in ours["refused"], ours


def test_rules_that_prometheus_refuses_are_refused(tmp_path):
    base = {"source_labels": ["a"], "target_label": "b"}
    refused = [
        {"action": "replaces", **base}, {"action": "hashmod", **base}, {"action": "replace", "source_labels": ["a"]},
        {"action": "lowercase", "source_labels": ["a"]}, {"action": "labeldrop", "regex": "a", "source_labels": ["a"]},
        {"action": "labelkeep", "regex": "a", "separator": "x"}, {"action": "labeldrop", "replacement": "x"},
        {"action": "keepequal", **base, "regex": "a"}, {"action": "dropequal", **base, "separator": "-"},
        {"action": "keepequal", **base, "replacement": "x"}, {"action": "dropequal", **base, "modulus": 2},
        {"action": "uppercase", **base, "replacement": "x"}, {"action": "replace", **base, "regexp": "a"},
        {"action": "hashmod", **base, "modulus": -1}, {"action": "dropequal", "source_labels": ["a"]},
    ]
    for asked, theirs, ours in both(tmp_path, [question([one], {"a": "a"}) for one in refused]):
        assert "refused" in theirs and "refused" in ours, (asked, theirs, ours)
    accepted = [{"action": "drop"}, {"action": "keep"}, {"action": "Replace", **base}, {"action": "DropEqual", **base},
                {"action": "replace", "target_label": "b", "replacement": "x"}, {"action": "labelmap"}]
    assert not differences(both(tmp_path, [question([one], {"a": "a"}) for one in accepted]))


def test_case_of_every_letter_of_the_usual_scripts(tmp_path):
    letters = [chr(c) for c in [*range(0x20, 0x180), *range(0x1c0, 0x250), 0x345, *range(0x370, 0x460),
                                    *range(0x1c80, 0x1c89), *range(0x1e90, 0x1ea0), *range(0x1f80, 0x2000), *range(0x2160, 0x2180)]
               if chr(c).isprintable()]
    questions = [question([{"action": action, "source_labels": ["a"], "target_label": "b"}], {"a": "x" + letter})
                 for action in ("lowercase", "uppercase") for letter in letters]
    wrong = differences(both(tmp_path, questions))
    assert not wrong, f"{len(wrong)} differ, the first:\n" + "\n".join(wrong[:30])
