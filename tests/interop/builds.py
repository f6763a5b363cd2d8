"""Builds the real servers once, each into a cache folder that names its version.

`python3 builds.py [parca] [collector] [relabel]` builds ahead of the tests.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from lib import golang  # noqa: E402
from lib.places import cache  # noqa: E402

PARCA = "0.28.0"
COLLECTOR = "0.159.0"


def _run(argv, cwd, **environment):
    done = subprocess.run(argv, cwd=cwd, env=golang.environment(**environment), capture_output=True, text=True,
                          timeout=2400, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


def _digest(*files) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


def _once(key, program, build) -> Path:
    """cache/KEY/PROGRAM; build(folder) makes it in a scratch folder that is renamed when complete."""
    target = cache() / key
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / program).exists():
            shutil.rmtree(target, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"{key}.", dir=cache()) as scratch:
                build(Path(scratch))
                target.mkdir()
                os.rename(Path(scratch) / program, target / program)
    return target / program


def parca() -> Path:
    """Path of a Parca server."""
    source = HERE / "parca"

    def build(folder):
        for file in ("go.mod", "go.sum", "main.go"):
            shutil.copy(source / file, folder / file)
        _run([golang.command(), "build", "-trimpath", "-ldflags=-s -w", "-o", folder / "parca", "."], folder)

    return _once(f"parca-{PARCA}-{_digest(source / 'go.mod', source / 'main.go')}", "parca", build)


def collector() -> Path:
    """Path of an OpenTelemetry Collector with OTLP in, debug and file out."""
    manifest = HERE / "collector" / "builder.yaml"

    def build(folder):
        go = golang.command()
        _run([go, "install", f"go.opentelemetry.io/collector/cmd/builder@v{COLLECTOR}"], folder, GOBIN=str(folder / "bin"))
        text = manifest.read_text(encoding="utf-8")
        place = f"dist:\n  go: {go}\n  output_path: {folder / 'out'}\n"
        (folder / "builder.yaml").write_text(text.replace("dist:\n", place, 1), encoding="utf-8")
        _run([folder / "bin" / "builder", "--config", "builder.yaml"], folder)
        os.rename(folder / "out" / "collector", folder / "collector")

    return _once(f"collector-{COLLECTOR}-{_digest(manifest)}", "collector", build)


def relabel() -> Path:
    """Path of a program around Prometheus' relabelling."""
    source = HERE / "relabel"
    files = [source / name for name in ("go.mod", "go.sum", "main.go")]

    def build(folder):
        for file in files:
            shutil.copy(file, folder / file.name)
        _run([golang.command(), "build", "-trimpath", "-o", folder / "relabel", "."], folder)

    return _once(f"relabel-{_digest(*files)}", "relabel", build)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["parca", "collector", "relabel"]:
        print(name, {"parca": parca, "collector": collector, "relabel": relabel}[name]())
