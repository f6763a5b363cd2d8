"""Packs build/static/pystrobe into build/packages: a .deb (by cpack), a tarball and a wheel. The same input gives the same
bytes: files carry the date of the last commit. The file for an image of that machine is left in build/linux-ARCH, with
Docker's word for it. Called by `./dev package`, with the word arm64 for what was built for that machine from another one.
"""
import base64
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = sys.argv[1:] == ["arm64"]
STATIC = ROOT / ("build/static-arm64" if FOREIGN else "build/static")
OUT = ROOT / ("build/packages-arm64" if FOREIGN else "build/packages")
ARCH = "aarch64" if FOREIGN else platform.machine()
STRIP = "aarch64-linux-gnu-strip" if FOREIGN else "strip"
DOCKER_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
SUMMARY = "Continuous profiling of Python processes from outside"
# The file needs no libc of the system, so it fits both families.
WHEEL_TAG = f"py3-none-manylinux_2_17_{ARCH}.manylinux2014_{ARCH}.musllinux_1_1_{ARCH}"


def version():
    return re.search(r"project\(pystrobe VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]


def date():
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(os.environ.get("SOURCE_DATE_EPOCH") or done.stdout.strip() or 0)


def binary():
    """The static file without its debug information."""
    stripped = ROOT / f"build/linux-{DOCKER_ARCH.get(ARCH, ARCH)}" / "pystrobe"
    stripped.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([STRIP, "-o", stripped, STATIC / "pystrobe"], check=True)
    return stripped.read_bytes()


def deb():
    subprocess.run(["cpack", "--config", "CPackConfig.cmake", "-B", OUT], cwd=STATIC, check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, SOURCE_DATE_EPOCH=str(date())))
    shutil.rmtree(OUT / "_CPack_Packages", ignore_errors=True)


def tarball(program):
    """Everything of an installation under one folder, for hosts without dpkg."""
    folder = f"pystrobe-{version()}-linux-{ARCH}"
    files = {"bin/pystrobe": (program, 0o755)}
    named = ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/commands.md", "docs/configuration.md",
             "deploy/systemd/pystrobe.service", "deploy/packages/pystrobe.yaml"]
    for name in named:
        files[name] = ((ROOT / name).read_bytes(), 0o644)
    for path in sorted((STATIC / "install").rglob("*")):
        if path.is_file():
            files[f"share/{path.relative_to(STATIC / 'install')}"] = (path.read_bytes(), 0o644)
    for page in sorted((STATIC / "man").glob("*.1")):
        files[f"share/man/man1/{page.name}"] = (page.read_bytes(), 0o644)
    with tarfile.open(OUT / f"{folder}.tar.gz", "w:gz") as archive:
        for name, (data, mode) in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size, info.mode, info.mtime = len(data), mode, date()
            archive.addfile(info, io.BytesIO(data))


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def wheel(program):
    """`pip install` puts the program on the PATH; there is no Python in it."""
    info = f"pystrobe-{version()}.dist-info"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    metadata = (f"Metadata-Version: 2.1\nName: pystrobe\nVersion: {version()}\nSummary: {SUMMARY}\nLicense: Apache-2.0\n"
                f"Requires-Python: >=3\nClassifier: Operating System :: POSIX :: Linux\n"
                f"Description-Content-Type: text/markdown\n\n{readme}")
    tags = "".join(f"Tag: py3-none-{tag}\n" for tag in WHEEL_TAG.split("-")[2].split("."))
    files = {
        f"pystrobe-{version()}.data/scripts/pystrobe": program,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: pystrobe\nRoot-Is-Purelib: false\n{tags}".encode(),
        f"{info}/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    lines = [record_line(name, data) for name, data in files.items()] + [f"{info}/RECORD,,"]
    files[f"{info}/RECORD"] = ("\n".join(lines) + "\n").encode()
    when = datetime.fromtimestamp(max(date(), 315532800), timezone.utc).timetuple()[:6]
    with zipfile.ZipFile(OUT / f"pystrobe-{version()}-{WHEEL_TAG}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, when)
            entry.external_attr = (0o100755 if "scripts" in name else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    program = binary()
    deb()
    tarball(program)
    wheel(program)
    for path in sorted(OUT.iterdir()):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
