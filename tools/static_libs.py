"""Builds the two libraries whose Debian archives cannot be linked statically (they pull in Kerberos, LDAP, GnuTLS): libcurl
and libmicrohttpd, from Debian's own source packages, with only what pystrobe uses. Prints the folder that they lie in.

Run by `./dev build static` and, with the word arm64, by `./dev package arm64`; built once into the cache, those of 64-bit
ARM into its root file system there (tools/cross.py).
"""
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cross
import debian_source

# Raise it when a recipe below changes.
RECIPE = "1"
SUITE = "bookworm"

CURL = """--with-openssl --with-zlib --with-ca-fallback --without-ca-bundle --without-ca-path --enable-threaded-resolver
--without-libpsl --without-libidn2 --without-nghttp2 --without-brotli --without-zstd --without-librtmp --without-libssh2
--without-gssapi --disable-ldap --disable-ldaps --disable-ftp --disable-file --disable-rtsp --disable-dict --disable-telnet
--disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp --disable-gopher --disable-mqtt --disable-ntlm
--disable-manual"""
# Where they lie in a root file system of another machine; cmake/aarch64.cmake looks there.
FOREIGN_PREFIX = "/opt/static"
MICROHTTPD = "--disable-https --disable-doc --disable-examples --disable-curl"
RECIPES = {
    "curl": (CURL, ["lib", "include"]),
    "libmicrohttpd": (MICROHTTPD, ["src/include", "src/microhttpd"]),
}


def run(command, folder, log, env=None):
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=900,
                          env={**os.environ, **(env or {})}, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command[:4])} in {folder} ended with {done.returncode}")


def build(name, source, prefix, sysroot, log):
    options, folders = RECIPES[name]
    words, env, install = [], {}, ["install"]
    if sysroot:
        words = [f"--host={cross.TRIPLE}", f"CC={cross.TRIPLE}-gcc --sysroot={sysroot}"]
        env = {"PKG_CONFIG_SYSROOT_DIR": str(sysroot), "PKG_CONFIG_LIBDIR": f"{sysroot}/usr/lib/{cross.TRIPLE}/pkgconfig"}
        install = [f"DESTDIR={sysroot}", "install"]
    run(["./configure", "-q", f"--prefix={prefix}", "--disable-shared", "--enable-static", "--with-pic", *words, *options.split()],
        source, log, env)
    for folder in folders:
        run(["make", "-s", "-j2", "-C", folder, *install], source, log, env)
    run(["make", "-s", *install[:-1], "install-pkgconfigDATA"], source, log, env)


def make(prefix, sysroot, work, log) -> None:
    for dsc in debian_source.download(SUITE, list(RECIPES), work, log):
        name = dsc.name.split("_")[0]
        run(["dpkg-source", "-x", dsc.name, name], work, log)
        build(name, work / name, prefix, sysroot, log)


def prepare(sysroot=None) -> Path:
    """The folder with lib/ and include/; several callers at once are safe."""
    name = f"static-libs-{RECIPE}" + ("-arm64" if sysroot else "")
    prefix = FOREIGN_PREFIX if sysroot else cross.cache() / name
    place = Path(f"{sysroot}{prefix}") if sysroot else prefix
    done = place / (f".complete-{RECIPE}" if sysroot else ".complete")
    cross.cache().mkdir(parents=True, exist_ok=True)
    with open(cross.cache() / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return place
        work = cross.cache() / f"{name}.work"
        for folder in (place, work):
            shutil.rmtree(folder, ignore_errors=True)
        work.mkdir()
        sys.stderr.write(f"building static libraries into {place}\n")
        with open(cross.cache() / f"{name}.log", "w", encoding="utf-8") as log:
            make(prefix, sysroot, work, log)
        done.touch()
        shutil.rmtree(work)
    return place


def main():
    arm64 = sys.argv[1:] == ["arm64"]
    try:
        print(prepare(cross.sysroot() if arm64 else None))
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"static libraries: {error}; see {cross.cache()}/static-libs-{RECIPE}{'-arm64' if arm64 else ''}.log")


if __name__ == "__main__":
    main()
