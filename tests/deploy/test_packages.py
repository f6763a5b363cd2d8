"""The packages: installed, upgraded, removed and purged in clean roots of two suites; the wheel in a fresh environment; the
static file in a root without any libc."""
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lib import places, pythons, rootfs

PACKAGES = places.REPOSITORY / "build" / "packages"
STATIC = places.REPOSITORY / "build" / "static" / "pystrobe"
UNIT = places.REPOSITORY / "deploy" / "systemd" / "pystrobe.service"


def one(pattern):
    found = list(PACKAGES.glob(pattern))
    assert len(found) == 1, f"build it first: ./dev package ({found})"
    return found[0]


# A copy of the root that this test may write to; what it writes is gone with the folder.
OVERLAY = r"""
set -e
mount -t overlay overlay -o lowerdir="$1",upperdir="$2/up",workdir="$2/work" "$2/root"
mkdir -p "$2/root/proc" "$2/root/dev" "$2/root/packages"
mount --rbind /proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mount --bind "$3" "$2/root/packages"
exec chroot "$2/root" /bin/sh -exc "$4"
"""


@pytest.fixture(params=["bookworm", "sid"])
def clean_root(request, tmp_path):
    """run(script) -> output of /bin/sh in a clean root of that suite; all calls of a test see the same root."""
    lower = rootfs.folder(request.param)
    assert rootfs.ready(request.param), "./dev test prepare-pythons makes it"
    for name in ("up", "work", "root"):
        (tmp_path / name).mkdir()

    def run(script, expect=0):
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", OVERLAY, "sh", str(lower),
                               str(tmp_path), str(PACKAGES), script], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_debian_package_is_installed_upgraded_removed_and_purged(clean_root):
    package = f"/packages/{one('*.deb').name}"
    clean_root(f"dpkg -i {package}")
    assert re.match(r"pystrobe \d+\.\d+\.\d+", clean_root("pystrobe --version"))
    clean_root("pystrobe config check /etc/pystrobe/pystrobe.yaml")
    clean_root("test -s /usr/share/bash-completion/completions/pystrobe && test -s /usr/share/doc/pystrobe/copyright")
    clean_root("echo '# mine' >> /etc/pystrobe/pystrobe.yaml; mkdir -p /var/lib/pystrobe; touch /var/lib/pystrobe/store.db")
    clean_root(f"dpkg -i {package} </dev/null; grep -q mine /etc/pystrobe/pystrobe.yaml; test -e /var/lib/pystrobe/store.db")
    clean_root("dpkg -r pystrobe; test ! -e /usr/bin/pystrobe; test -e /etc/pystrobe/pystrobe.yaml; test -d /var/lib/pystrobe")
    clean_root("dpkg -P pystrobe; test ! -e /etc/pystrobe; test ! -e /var/lib/pystrobe; ! dpkg -s pystrobe 2>/dev/null")


# Stands in for a running systemd: remembers what it was asked, and keeps the link of an enabled unit.
SYSTEMCTL = r"""#!/bin/sh
link=/etc/systemd/system/multi-user.target.wants/pystrobe.service
echo "$*" >>/asked
case $1 in
enable) mkdir -p "${link%/*}"; ln -sf /usr/lib/systemd/system/pystrobe.service "$link" ;;
disable) rm -f "$link" ;;
is-enabled) test -L "$link" ;;
esac
"""


def test_a_package_that_was_removed_and_comes_back_is_enabled_as_it_was_before(clean_root):
    package = f"/packages/{one('*.deb').name}"
    link = "/etc/systemd/system/multi-user.target.wants/pystrobe.service"
    clean_root(f"mkdir -p /run/systemd/system; cat >/usr/bin/systemctl <<'END'\n{SYSTEMCTL}\nEND\nchmod +x /usr/bin/systemctl")
    asked = ": >/asked; dpkg -i {0}; cat /asked".format(package)
    assert "restart pystrobe.service" in clean_root(asked)
    clean_root("dpkg -r pystrobe; grep -q '^stop' /asked")
    assert "restart pystrobe.service" in clean_root(asked)
    clean_root("systemctl disable pystrobe.service; dpkg -r pystrobe")
    assert "restart" not in clean_root(asked)
    clean_root(f"test ! -e {link}; systemctl enable pystrobe.service; dpkg -P pystrobe; test ! -L {link}")


def test_the_debian_package_depends_on_no_library():
    fields = subprocess.run(["dpkg-deb", "-f", one("*.deb"), "Depends", "Architecture"], capture_output=True, text=True,
                            check=True).stdout
    assert "Depends" not in fields
    files = subprocess.run(["dpkg-deb", "-c", one("*.deb")], capture_output=True, text=True, check=True).stdout
    assert "./usr/lib/systemd/system/pystrobe.service" in files and "/usr/local" not in files


@pytest.mark.parametrize("python", ["/usr/bin/python3"])
def test_pip_puts_the_program_on_the_path(tmp_path, python):
    subprocess.run([python, "-m", "venv", tmp_path / "env"], check=True)
    subprocess.run([tmp_path / "env/bin/pip", "install", "-q", "--no-index", one("*.whl")], check=True, timeout=120)
    said = subprocess.run([tmp_path / "env/bin/pystrobe", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("pystrobe ")
    subprocess.run([tmp_path / "env/bin/pip", "uninstall", "-q", "-y", "pystrobe"], check=True, timeout=120)
    assert not (tmp_path / "env/bin/pystrobe").exists()


def test_the_tarball_holds_a_program_that_runs(tmp_path):
    subprocess.run(["tar", "-C", tmp_path, "-xf", one("*.tar.gz")], check=True)
    (folder,) = tmp_path.iterdir()
    assert {"bin", "LICENSE", "README.md", "share"} <= {path.name for path in folder.iterdir()}
    subprocess.run([folder / "bin/pystrobe", "--version"], check=True, stdout=subprocess.DEVNULL)


def test_the_static_file_is_hardened():
    text = subprocess.run(["readelf", "-W", "-h", "-l", "-d", STATIC], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Type:\s+DYN", text) and "GNU_RELRO" in text and "INTERP" not in text and "(NEEDED)" not in text
    assert not re.search(r"LOAD\s.*\sRWE\s", text)
    assert re.search(r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s", text)


@pytest.fixture
def bare_root(tmp_path):
    """A root with the static file and /proc, nothing else: no libc of any kind."""
    root = tmp_path / "bare"
    for name in ("proc", "etc", "tmp", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(STATIC, root / "pystrobe")

    def command(*words):
        script = 'mount --rbind /proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" /pystrobe "$@"'
        return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", script, str(root), *map(str, words)]

    return root, command


def test_the_static_file_records_a_process_where_no_libc_is(bare_root, start_python, tmp_path):
    root, command = bare_root
    script = tmp_path / "busy.py"
    script.write_text("def spin_here():\n    while True:\n        pass\nspin_here()\n", encoding="utf-8")
    target = start_python(pythons.system_python(), script)
    done = subprocess.run(command("record", "--pid", target.pid, "--duration", "1", "-f", "raw", "-o", "/out.txt"),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "spin_here" in (root / "out.txt").read_text(encoding="utf-8")


class Ready(BaseHTTPRequestHandler):
    """Answers every push."""

    def do_POST(self):  # noqa: N802 - the base class names it
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/proto")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_):
        pass


def test_names_are_looked_up_without_loading_modules_of_the_system(bare_root):
    root, command = bare_root
    server = HTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (root / "etc/hosts").write_text("127.0.0.1 backend.test\n", encoding="utf-8")
    (root / "etc/nsswitch.conf").write_text("hosts: mymachines resolve [!UNAVAIL=return] files\n", encoding="utf-8")
    (root / "config.yaml").write_text(f"exporters: [{{type: pyroscope, url: 'http://backend.test:{server.server_port}'}}]\n",
                                      encoding="utf-8")
    done = subprocess.run(command("doctor", "--config", "/config.yaml"), capture_output=True, text=True, timeout=60, check=False)
    server.shutdown()
    line = next(line for line in done.stdout.splitlines() if "pyroscope" in line)
    assert "resolve" not in line.lower() and not re.search(r"\b(fail|error|cannot)", line), done.stdout


def test_the_unit_is_valid_and_exposes_little(tmp_path):
    unit = tmp_path / "pystrobe.service"
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/usr/bin/pystrobe", "/bin/true"), encoding="utf-8")
    verify = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert verify.returncode == 0 and not verify.stderr, verify.stderr
    said = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True,
                          check=False, env={**os.environ, "SYSTEMD_COLORS": "0"}).stdout
    level = float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1])
    # What remains is uid 0, CAP_SYS_PTRACE and the network that exporters need.
    assert level <= 3.0, said


def test_the_unit_takes_only_the_right_to_read_processes():
    text = UNIT.read_text(encoding="utf-8")
    assert re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.M) == ["CAP_SYS_PTRACE"]
    assert "AmbientCapabilities" not in text and "NoNewPrivileges=yes" in text
