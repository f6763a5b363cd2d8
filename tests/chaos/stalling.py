"""Memory that never answers, and Python processes that have some where a reader will look.

Run as a program this is one of three helpers, each of which prints READY once it is there:
  fuse FOLDER                   a FUSE file system on FOLDER with a file of every name, none of which can be read
  target fuse|uffd [FILE]       busy, with the name of the running function on a page that never answers
  environment fuse|uffd [FILE]  with its environment block on such a page
"""
import ctypes
import fcntl
import mmap
import os
import struct
import sys
import time

PAGE = 4096
FILE_PAGES = 16
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
MAP_FIXED = 0x10


def check(result, what):
    if result in (-1, ctypes.c_void_p(-1).value):
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


# ---- a FUSE file system (linux/fuse.h, protocol 7.31) ----

LOOKUP, GETATTR, OPEN, READ, STATFS, RELEASE, INIT, OPENDIR, FORGET = 1, 3, 14, 15, 17, 18, 26, 27, 2
IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")


def attributes(node):
    directory = node == 1
    size = 0 if directory else FILE_PAGES * PAGE
    mode = 0o040755 if directory else 0o100644
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, PAGE, 0)


def serve_fuse(folder):
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    check(libc.mount(b"pystrobe-test", os.fsencode(folder), b"fuse.pystrobe-test", 0, options), "mount")
    print("READY", flush=True)
    nodes = {}
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            return  # unmounted
        _length, opcode, unique, node, *_ = IN_HEADER.unpack_from(request)
        answer, error = b"", 0
        if opcode == INIT:
            answer = struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 12, 10, PAGE, 1, 1, 0, 0, *[0] * 7)
        elif opcode == LOOKUP:
            found = nodes.setdefault(request[IN_HEADER.size:], 2 + len(nodes))
            answer = struct.pack("<QQQQII", found, 0, 3600, 3600, 0, 0) + attributes(found)
        elif opcode == GETATTR:
            answer = struct.pack("<QII", 3600, 0, 0) + attributes(node)
        elif opcode in (OPEN, OPENDIR):
            # FOPEN_KEEP_CACHE: without it an open would wait for the page that somebody is stuck on.
            answer = struct.pack("<QII", 1, 2, 0)
        elif opcode in (READ, FORGET):
            continue  # never
        elif opcode != RELEASE:
            error = -38  # ENOSYS
        os.write(device, OUT_HEADER.pack(OUT_HEADER.size + len(answer), error, unique) + answer)


# ---- pages ----

def cover_with_fuse(address, path):
    page = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    check(libc.mmap(address, PAGE, mmap.PROT_READ, mmap.MAP_SHARED | MAP_FIXED, page, 0), "mmap")


def cover_with_userfaultfd(address):
    uffd = check(libc.syscall(323, os.O_CLOEXEC), "userfaultfd")
    api = bytearray(struct.pack("<QQQ", 0xAA, 0, 0))
    fcntl.ioctl(uffd, 0xC018AA3F, api)
    fcntl.ioctl(uffd, 0xC020AA00, bytearray(struct.pack("<QQQQ", address, PAGE, 1, 0)))
    check(libc.madvise(address, PAGE, mmap.MADV_DONTNEED), "madvise")


def cover(kind, address, path):
    if kind == "fuse":
        cover_with_fuse(address, path)
    else:
        cover_with_userfaultfd(address)


# ---- targets ----

def spin():
    while True:
        for _ in range(1000):
            pass


def run_target(kind, path):
    """The text of the name begins on the page of the string's head and goes on on the page that is covered: the
    program itself never looks there again, a reader of names does."""
    name = "n" * (1 << 20)
    changed = {"co_name": name}
    if sys.version_info >= (3, 11):
        changed["co_qualname"] = name
    code = spin.__code__.replace(**changed)
    text = id(code.co_name)
    assert text % PAGE < 64, "a large block should begin its mapping"
    cover(kind, (text + PAGE - 1) // PAGE * PAGE, path)
    spin.__code__ = code
    print("READY", flush=True)
    spin()


def move_environment(start, end):
    """PR_SET_MM_MAP needs no capability: all bounds of the memory map as they are, but for the environment's. (The
    kernel itself reads a command line in a way that never waits.)"""
    with open("/proc/self/stat", encoding="utf-8") as stat:
        field = [None, None, None, *stat.read().rpartition(")")[2].split()]
    libc.sbrk.restype = ctypes.c_void_p
    bounds = [int(field[n]) for n in (26, 27, 45, 46, 47)] + [libc.sbrk(0)]
    bounds += [int(field[n]) for n in (28, 48, 49)] + [start, end]
    layout = struct.pack("<11QQIi", *bounds, 0, 0, -1)
    check(libc.prctl(35, 14, layout, ctypes.c_ulong(len(layout)), 0), "prctl(PR_SET_MM_MAP)")


def run_environment(kind, path):
    page = check(libc.mmap(None, PAGE, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0), "mmap")
    cover(kind, page, path)
    move_environment(page, page + PAGE)
    print("READY", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    if sys.argv[1] == "fuse":
        serve_fuse(sys.argv[2])
    else:
        run = {"target": run_target, "environment": run_environment}[sys.argv[1]]
        run(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
