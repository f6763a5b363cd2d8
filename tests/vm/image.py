"""The machine's parts, each made once into the cache under its version: a kernel with the modules that its root needs, and a
root file system with systemd. What changes with each run lies on a second disk.
"""
import os
import re
import shutil
import subprocess
from pathlib import Path

from lib import machine
from lib.once import once

HERE = Path(__file__).resolve().parent
# Part of the cache's key: raise it when something here, in init or in machine-test.service changes.
RECIPE = "1"
SUITE = "bookworm"
KERNEL = "linux-image-amd64"
PACKAGES = """systemd systemd-sysv dbus python3 gunicorn apparmor libcap2-bin util-linux procps""".split()
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"]
MODULES = ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"]
ROOT_SIZE = "1G"
# Who runs what in the machine: the application's user, and another one.
PREPARE = "useradd -u 1000 app; useradd -u 1001 other; systemctl enable machine-test.service; mkdir /t; " \
          "systemctl mask getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer"


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=1800, check=False, **more)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def download(folder, package) -> Path:
    run("apt-get", "download", "-q", package, cwd=folder)
    archive = next(Path(folder).glob(f"{package}_*.deb"))
    run("dpkg-deb", "-x", archive, folder)
    return archive


def kernel_package() -> str:
    """The package that the metapackage stands for today."""
    return re.search(r"Depends: (linux-image-[0-9]\S*)", run("apt-cache", "depends", KERNEL))[1]


def module_files(folder, version):
    for module in MODULES:
        for line in run("modprobe", "-d", folder, "-S", version, "--show-depends", module).splitlines():
            yield line.split()[1]


def make_kernel(folder, package) -> None:
    download(folder, package)
    download(folder, "busybox-static")
    version = package.removeprefix("linux-image-")
    run("depmod", "-b", folder, version)
    disk = folder / "disk"
    for name in ("bin", "modules", "proc", "dev", "root"):
        (disk / name).mkdir(parents=True)
    order = list(dict.fromkeys(module_files(folder, version)))
    for file in order:
        shutil.copy(file, disk / "modules")
    (disk / "modules/order").write_text("".join(Path(file).name + "\n" for file in order), encoding="utf-8")
    shutil.copy(folder / "bin/busybox", disk / "bin")
    shutil.copy(HERE / "init", disk / "init")
    (disk / "init").chmod(0o755)
    machine.initial_ram_disk(disk, folder / "initrd")
    shutil.copy(folder / f"boot/vmlinuz-{version}", folder / "vmlinuz")


def kernel() -> Path:
    """Folder with vmlinuz and initrd."""
    package = kernel_package()
    key = f"vm-{package}-{RECIPE}"
    return once(key, ["vmlinuz", "initrd"], lambda folder: make_kernel(folder, package))


def make_root(folder) -> None:
    image = folder / "root.ext2"
    run("mmdebstrap", "--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"',
        *(f"--dpkgopt=path-exclude={one}" for one in LEFT_OUT), "--include=" + ",".join(PACKAGES),
        f"--customize-hook=upload {HERE}/machine-test.service /etc/systemd/system/machine-test.service",
        f'--customize-hook=chroot "$1" sh -c "{PREPARE}"', SUITE, image)
    run("truncate", "-s", ROOT_SIZE, image)
    # It changes nothing on a file system that is whole, but resize2fs asks for it.
    subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True, check=False)
    run("resize2fs", image)


def root() -> Path:
    key = f"vm-root-{SUITE}-{RECIPE}"
    return once(key, ["root.ext2"], make_root) / "root.ext2"


def second_disk(content, image) -> Path:
    """A file system with what lies in the folder."""
    size = int(run("du", "-sm", content).split()[0]) + 16
    if os.path.exists(image):
        os.unlink(image)
    run("mke2fs", "-q", "-t", "ext2", "-d", content, image, f"{size}M")
    return Path(image)
