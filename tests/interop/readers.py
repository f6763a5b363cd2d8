"""Other people's readers of our files, built or installed once into the cache.

`python3 readers.py` prepares them ahead of the tests.
"""
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from lib import golang  # noqa: E402
from lib.places import cache  # noqa: E402
from lib.waiting import wait_until  # noqa: E402


@contextlib.contextmanager
def _once(key):
    """Yields (folder, ready): whoever comes first fills the folder; it counts when the block ends well."""
    target = cache() / key
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = (target / ".complete").exists()
        if not ready:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
        yield target, ready
        (target / ".complete").touch()


def _digest(*files):
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


def _run(argv, cwd, env):
    done = subprocess.run([str(word) for word in argv], cwd=cwd, env=env, capture_output=True, text=True,
                          timeout=1200, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}"


def pprofcheck() -> Path:
    """Program of ours around github.com/google/pprof/profile."""
    source = HERE / "pprofcheck"
    files = [source / name for name in ("go.mod", "go.sum", "main.go")]
    with _once(f"pprofcheck-{_digest(*files)}") as (folder, ready):
        if not ready:
            for file in files:
                shutil.copy(file, folder)
            _run([golang.command(), "build", "-trimpath", "-o", folder / "pprofcheck", "."], folder, golang.environment())
        return folder / "pprofcheck"


def npm() -> Path:
    """Folder with the scripts and node_modules of readers/."""
    source = HERE / "readers"
    files = [source / name for name in ("package.json", "package-lock.json", "pprof_format.mjs")]
    with _once(f"readers-{_digest(*files)}") as (folder, ready):
        if not ready:
            for file in files:
                shutil.copy(file, folder)
            _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder, dict(os.environ))
        return folder


def read_pprof(*paths):
    """What google/pprof's own package understands of each file: list of dicts (pprofcheck/main.go)."""
    done = subprocess.run([pprofcheck(), *map(str, paths)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"google/pprof refuses: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def go_tool_pprof(*arguments):
    """Output of `go tool pprof`."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([golang.command(), "tool", "pprof", *map(str, arguments)], capture_output=True, text=True,
                              timeout=600, check=False, env=golang.environment(PPROF_TMPDIR=home))
    assert done.returncode == 0, f"go tool pprof: {done.stderr}"
    return done.stdout


def read_pprof_format(path):
    """What npm's pprof-format understands."""
    done = subprocess.run(["node", npm() / "pprof_format.mjs", str(path)], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, f"pprof-format refuses: {done.stderr}"
    return json.loads(done.stdout)


@contextlib.contextmanager
def browser(dark=False, width=1400, height=900):
    """Headless Chromium; every outside request fails."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND",
                     f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.add_argument(f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    try:
        yield driver
    finally:
        driver.quit()


def complaints(driver):
    """What the page logged as a warning or worse; scripts that fail end here."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def _cells(driver):
    return driver.execute_script("""
        return Array.from(document.querySelectorAll('tr')).map(row =>
            Array.from(row.querySelectorAll('td')).map(cell => cell.innerText.trim())).filter(row => row.length >= 3)""")


def read_speedscope(path, scratch):
    """({function: (total, own)} in percent of the first profile, names of the profiles when there are several, title)
    as speedscope's importer and its sandwich view show them."""
    page = npm() / "node_modules" / "speedscope" / "dist" / "release" / "index.html"
    script = Path(scratch) / "speedscope-input.js"
    content = base64.b64encode(Path(path).read_bytes()).decode()
    script.write_text(f"speedscope.loadFileFromBase64({json.dumps(Path(path).name)}, {json.dumps(content)})",
                      encoding="utf-8")
    with browser() as driver:
        driver.get(f"file://{page}#view=sandwich&localProfilePath={script}")
        rows = wait_until(lambda: _cells(driver), what=f"speedscope to show {path}: {complaints(driver)}")
        title = driver.title.removesuffix(" - speedscope")
    functions = [row for row in rows if row[0].endswith("%)")]
    # Files stand behind the names: "f (m.py:3)" of folded text, 'f {"filename": ...}' of trace events.
    table = {re.split(r" [({]", name.splitlines()[0])[0]: (_percent(total), _percent(own))
             for total, own, name in (row[:3] for row in functions)}
    return table, [row[1] for row in rows if row not in functions], title


def _percent(cell):
    return float(cell[cell.index("(") + 1:cell.index("%")].lstrip("<"))


if __name__ == "__main__":
    print(pprofcheck())
    print(npm())
