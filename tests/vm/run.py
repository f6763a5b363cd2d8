"""Another kernel: a whole x86_64 machine with Debian's kernel, Yama, AppArmor, cgroup v2 and systemd, under emulation.

Called by ./dev test-vm after ./dev package. In it the .deb is installed, upgraded and purged, its unit runs and profiles
another unit, the recipes for sidecars are tried, and in every cell of Yama × privilege × AppArmor the doctor's verdict is
compared with a read that is tried. What the machine runs lies in guest/.
"""
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from lib import machine  # noqa: E402
from lib.places import REPOSITORY  # noqa: E402
from vm import image  # noqa: E402

BUILD = REPOSITORY / "build" / "vm"
PACKAGES = REPOSITORY / "build" / "packages"
BOOT_SECONDS = 3600
EMULATOR = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-nic", "none",
            "-nographic", "-no-reboot"]
APPEND = "console=ttyS0 root=/dev/vda rw quiet panic=1 systemd.show_status=false loglevel=3"
# Cells of the table, and the parts besides.
CELLS = 4 * 4 * 3


def newer(package, out) -> Path:
    """The same package under a later version, to upgrade to."""
    tree = out / "newer"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = [line + "+1" if line.startswith("Version:") else line for line in control.read_text(encoding="utf-8").splitlines()]
    control.write_text("\n".join(lines) + "\n", encoding="utf-8")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, out / "newer.deb"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return out / "newer.deb"


def content() -> Path:
    folder = BUILD / "disk"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    package = next(PACKAGES.glob("*.deb"))
    shutil.copy(package, folder / "first.deb")
    newer(package, folder)
    shutil.copytree(HERE / "guest", folder / "guest", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def start() -> list:
    kernel, root = image.kernel(), image.root()
    disk = image.second_disk(content(), BUILD / "disk.ext2")
    drives = [word for file in (root, disk)
              for word in ("-drive", f"file={file},format=raw,if=virtio,snapshot=on")]
    return machine.boot([*EMULATOR, *drives, "-kernel", kernel / "vmlinuz", "-initrd", kernel / "initrd", "-append", APPEND],
                        BOOT_SECONDS, BUILD / "console.log")


def table(cells) -> None:
    """Every cell: what the doctor and what the read exited with."""
    print("\ndoctor / read (exit codes: 0 works, 3 refused)")
    columns = sorted({cell["confinement"] for cell in cells})
    print(f"{'yama':5} {'reader':28}" + "".join(f"{column:>34}" for column in columns))
    for key in dict.fromkeys((cell["yama"], cell["reader"]) for cell in cells):
        row = {cell["confinement"]: f"{cell['doctor']} / {cell['read']}" for cell in cells if (cell["yama"], cell["reader"]) == key}
        print(f"{key[0]:<5} {key[1]:28}" + "".join(f"{row.get(column, '-'):>34}" for column in columns))
    print()


def judge(rows) -> list:
    cells = [row for row in rows if row["what"] == "cell"]
    checks = [(row["what"], row["right"], row["said"]) for row in rows if "right" in row]
    wrong = [cell for cell in cells if cell["doctor"] != cell["read"] or cell["doctor"] not in (0, 3)]
    table(cells)
    checks.append((f"the doctor's verdict is that of a read in {CELLS} cells", len(cells) == CELLS and not wrong,
                   wrong or f"{len(cells)} cells"))
    checks.append(("the machine came to its end", bool(rows) and rows[-1]["what"] == "end", rows[-1:] or "it said nothing"))
    return checks


def main() -> int:
    begun = time.monotonic()
    BUILD.mkdir(parents=True, exist_ok=True)
    rows = start()
    for row in rows:
        if "note" in row:
            print(f"{row['what']}: {row['note']}")
    checks = judge(rows)
    failed = machine.report(checks)
    print(f"took {(time.monotonic() - begun) / 60:.1f} minutes, the machine's words: {BUILD / 'console.log'}")
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
