"""Checks of the text of the code: lint.py [format] [shell] [tidy] [cppcheck], all without names."""
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = ("agent/", "config/", "discovery/", "exporters/", "lib/")


def tracked(*endings):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines()
            if name.endswith(endings) and os.path.exists(os.path.join(ROOT, name))]


def run(command, files, at_once=20):
    """Runs the command over the files in bundles, two at a time; true when all were clean."""
    bundles = [files[start:start + at_once] for start in range(0, len(files), at_once)]

    def one(bundle):
        return subprocess.run([*command, *bundle], cwd=ROOT, capture_output=True, text=True, check=False)

    clean = True
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(one, bundles):
            if done.returncode != 0:
                clean = False
                sys.stdout.write(done.stdout + done.stderr)
    return clean


def check_format():
    return run(["clang-format-14", "--dry-run", "-Werror"], tracked(".c", ".h"))


def check_shell():
    scripts = [name for name in tracked(".sh")] + ["dev", ".ci/run"]
    return run(["shellcheck"], scripts)


class Seen:
    """Remembers which sources were clean, by all that clang-tidy's answer depends on: the files that the compiler read
    for them (of ours), how it was called, the rules."""

    def __init__(self, build):
        self.folder = os.path.join(os.environ.get("PYSTROBE_CACHE") or os.path.expanduser("~/.cache/pystrobe"), "tidy")
        os.makedirs(self.folder, exist_ok=True)
        self.digests = {}
        self.read = self._read_files(build)
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as text:
            self.commands = {os.path.relpath(row["file"], ROOT): row["command"].replace(ROOT, ".") for row in json.load(text)}
        with open(os.path.join(ROOT, ".clang-tidy"), encoding="utf-8") as rules:
            version = subprocess.run(["clang-tidy-14", "--version"], capture_output=True, text=True, check=True).stdout
            self.rules = version + rules.read()

    @staticmethod
    def _read_files(build):
        """source -> what was read for its object, from ninja's own records, whose lists begin with the source."""
        listed = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
        read = {}
        for block in listed.split("\n\n"):
            names = [os.path.relpath(os.path.join(build, line.strip()), ROOT) for line in block.splitlines()[1:]]
            if names:
                read[names[0]] = [name for name in names if not name.startswith("..")]
        return read

    def digest(self, name):
        if name not in self.digests:
            with open(os.path.join(ROOT, name), "rb") as content:
                self.digests[name] = hashlib.sha256(content.read()).hexdigest()
        return self.digests[name]

    def path(self, source):
        parts = [self.rules, self.commands.get(source, ""), *(name + self.digest(name) for name in self.read.get(source, []))]
        return os.path.join(self.folder, hashlib.sha256("\0".join(parts).encode()).hexdigest())

    def knows(self, source):
        return source in self.read and os.path.exists(self.path(source))

    def add(self, source):
        if source in self.read:
            with open(self.path(source), "w", encoding="utf-8"):
                pass


def check_tidy():
    """Over the sources that the clang build compiled; what was clean before and has not changed is not read again."""
    build = os.path.join(ROOT, "build", "clang")
    if subprocess.run(["/bin/sh", "-ec", "[ -f build/clang/build.ninja ] || cmake --preset clang; cmake --build build/clang"],
                      cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode != 0:
        return False
    seen = Seen(build)
    sources = [name for name in tracked(".c") if name.startswith(OURS) and not seen.knows(name)]
    clean = run(["clang-tidy-14", "--quiet", "-p", "build/clang"], sources, at_once=4)
    for source in sources if clean else []:
        seen.add(source)
    return clean


def check_cppcheck():
    """Uninitialized values and leaks are left to compilers and sanitizers: it follows neither ret_ parameters nor the
    cleanup attribute."""
    sources = [name for name in tracked(".c") if name.startswith(OURS)]
    includes = sorted({f"-I{os.path.dirname(os.path.dirname(name))}" for name in tracked(".h") if "/include/" in name})
    return run(["cppcheck", "--quiet", "--enable=warning,portability", "--inline-suppr", "--error-exitcode=1", "--std=c11",
                "--suppress=missingInclude", "--suppress=missingIncludeSystem", "--suppress=uninitvar",
                "--suppress=uninitStructMember", "--suppress=memleak", "-D_GNU_SOURCE", "-D__x86_64__=1", "-D__linux__=1", "-DPST_VERSION=\"0\"", *includes],
               sources, at_once=12)


CHECKS = {"format": check_format, "shell": check_shell, "tidy": check_tidy, "cppcheck": check_cppcheck}


def main(names):
    failed = 0
    for name in names or CHECKS:
        clean = CHECKS[name]()
        print(f"{name}: {'clean' if clean else 'FAILED'}", flush=True)
        failed += not clean
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
