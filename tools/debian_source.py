"""Source packages of any Debian suite, from the archive that this machine already uses, with package lists in a folder
of their own so that the machine's stay as they are."""
import os
import subprocess
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def mirror() -> str:
    """The archive of the machine's own package lists; OSError when it has none."""
    targets = subprocess.run(["apt-get", "indextargets", "Created-By: Packages", "--format", "$(REPO_URI) $(ORIGIN)"],
                             capture_output=True, text=True, check=True).stdout
    for line in targets.splitlines():
        uri, _, origin = line.partition(" ")
        if origin == "Debian" and "security" not in uri:
            return uri
    raise OSError("no Debian archive among the machine's package sources")


def _run(command, log, env, folder):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=600, check=False,
                          env=env, cwd=folder)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)} ended with {done.returncode}")


def download(suite: str, packages: list, folder: Path, log) -> list:
    """Fetches the packages' files into `folder`, which must be empty or absent, and returns their .dsc files."""
    folder = Path(folder).resolve()
    lists, archives = folder / "apt/lists", folder / "apt/cache/archives"
    (lists / "partial").mkdir(parents=True)
    (archives / "partial").mkdir(parents=True)
    sources, config = folder / "apt/sources.list", folder / "apt/apt.conf"
    sources.write_text(f"deb-src [signed-by={KEYRING}] {mirror()} {suite} main\n", encoding="utf-8")
    config.write_text(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\nDir::State::lists "{lists}";\n'
                      f'Dir::Cache "{folder}/apt/cache";\nAcquire::Check-Valid-Until "false";\nAPT::Sandbox::User "root";\n',
                      encoding="utf-8")
    env = dict(os.environ, APT_CONFIG=str(config))
    _run(["apt-get", "-q", "update"], log, env, folder)
    _run(["apt-get", "-q", "source", "--download-only", *packages], log, env, folder)
    return sorted(folder.glob("*.dsc"))
