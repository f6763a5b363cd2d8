"""64-bit ARM: the binary, cross-built with Debian's toolchain, walks Debian's arm64 Python in a whole emulated machine.

Called by ./dev test-aarch64. Emulation is no place to measure torn reads: only still stacks, names, lines, thread ids,
a recording and the packages' static file are judged. Root file system and kernel are Debian's packages, unpacked once into the cache.
"""
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))

import cross  # noqa: E402
from lib import machine  # noqa: E402
from lib.places import REPOSITORY, TESTS  # noqa: E402

HERE = Path(__file__).resolve().parent
BUILD = REPOSITORY / "build" / "aarch64"
PACKED = REPOSITORY / "build" / "linux-arm64"
KERNEL = "linux-image-arm64"
UNIT = ["unit_python_walk", "unit_python_layout", "unit_target_elf"]
BOOT_SECONDS = 600
LEFT_OUT = ["*.a", "./usr/include", "./usr/share", "./var", "./usr/lib/valgrind", "./usr/lib/gcc*", "__pycache__"]
EMULATOR = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "2048", "-accel", "tcg", "-nic", "none", "-nographic",
            "-no-reboot", "-append", "console=ttyAMA0 quiet panic=1"]


def cross_build(sysroot) -> None:
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["cmake", "-G", "Ninja", "-S", REPOSITORY, "-B", BUILD, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                        f"-DCMAKE_TOOLCHAIN_FILE={REPOSITORY}/cmake/aarch64.cmake", f"-DPST_SYSROOT={sysroot}"], check=True)
    subprocess.run(["cmake", "--build", BUILD, "--target", "pystrobe", "walk_dump", *UNIT], check=True)


def initial_ram_disk(sysroot) -> Path:
    root, image = BUILD / "machine", BUILD / "machine.cpio"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("proc", "sys", "dev", "tmp", "t/programs", "t/fuzz"):
        (root / folder).mkdir(parents=True)
    words = ["tar", "-C", str(sysroot), *(f"--exclude={one}" for one in LEFT_OUT), "-cf", "-", "."]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as packing:
        subprocess.run(["tar", "-C", root, "-xf", "-"], stdin=packing.stdout, check=True)
    for program in [BUILD / "pystrobe", *BUILD.rglob("walk_dump")]:
        shutil.copy(program, root / "t" / program.name)
    shutil.copytree(PACKED, root / "t/static")
    for name in UNIT:
        shutil.copy(next(path for path in BUILD.rglob(name) if path.is_file()), root / "t/programs" / name)
    shutil.copytree(TESTS / "workloads", root / "t/workloads")
    shutil.copytree(TESTS / "fuzz/corpus", root / "t/fuzz/corpus")
    for module in ("python", "target"):
        shutil.copytree(TESTS / "unit" / module, root / "t/unit" / module)
    # Corpora are named relative to the folder of the test: two up.
    shutil.copy(HERE / "init", root / "init")
    (root / "init").chmod(0o755)
    return machine.initial_ram_disk(root, image)


def judge_packages() -> list:
    """Same as judge, of the files that ./dev package arm64 left."""
    folder = REPOSITORY / "build" / "packages-arm64"
    (deb,), (wheel,), (_tarball,) = (list(folder.glob(pattern)) for pattern in ("*.deb", "*.whl", "*.tar.gz"))
    fields = subprocess.run(["dpkg-deb", "-f", deb, "Architecture", "Depends"], capture_output=True, text=True, check=True).stdout
    files = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True).stdout
    headers = subprocess.run(["readelf", "-h", "-l", PACKED / "pystrobe"], capture_output=True, text=True, check=True).stdout
    return [("the .deb is for arm64 and needs nothing", fields == "Architecture: arm64\n", fields),
            ("the .deb holds manual pages and completions", "man1/pystrobe-dump.1" in files and "_pystrobe" in files, files),
            ("the wheel's tag", "manylinux2014_aarch64" in wheel.name and "x86" not in wheel.name, wheel.name),
            ("the file is static", "AArch64" in headers and "INTERP" not in headers, headers)]


def boot(kernel, image) -> list:
    """What the machine said, as dictionaries."""
    return machine.boot([*EMULATOR, "-kernel", kernel, "-initrd", image], BOOT_SECONDS, BUILD / "console.log")


def judge(results) -> list:
    """(what, whether it is right, what was said) of every check."""
    found = {row["what"]: row for row in results if row["what"] != "unit"}
    checks = [(f"unit {row['name']}", row["code"] == 0, row["said"]) for row in results if row["what"] == "unit"]
    stacks, ps, record = found.get("stacks", {}), found.get("ps", {}), found.get("record", {})
    checks.append(("stacks, names, lines and thread ids", stacks.get("wrong") == [] and stacks.get("threads", 0) > 5, stacks))
    checks.append(("discovery", bool(ps.get("rows")) and ps["rows"][0][1] == "ready", ps))
    checks.append(("recording", record.get("code") == 0 and record.get("spin") is True, record))
    static = found.get("static", {})
    checks.append(("the packages' file", static.get("code") == 0 and static["version"].startswith("pystrobe ") and static["spin"], static))
    checks.append(("the machine came to its end", "end" in found, found.get("machine", "it said nothing")))
    assert len(checks) >= len(UNIT) + 5 or not found, "a check is missing"
    return checks


def main() -> int:
    begun = time.monotonic()
    sysroot = cross.sysroot()
    kernel = next((cross.unpacked("kernel", [KERNEL]) / "boot").glob("vmlinuz-*"))
    cross_build(sysroot)
    checks = judge_packages() + judge(boot(kernel, initial_ram_disk(sysroot)))
    failed = machine.report(checks)
    print("aarch64 under emulation; torn reads: not measured")
    print(f"took {(time.monotonic() - begun) / 60:.1f} minutes, the machine's words: {BUILD / 'console.log'}")
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("CMAKE_C_COMPILER_LAUNCHER", "ccache" if shutil.which("ccache") else "")
    sys.exit(main())
