# SPDX-License-Identifier: Apache-2.0
"""What the compiled objects refer to, what the library exports, how the programs are hardened.

usage: symbols.py OUT        OUT is the build folder, such as build

Macros and inline functions hide a call from a text search; the objects' undefined symbols do not.
"""
import os
import re
import subprocess
import sys

from tree import run

# In the broker, disk, network, clock and randomness go through broker/io, so that the simulator can stand in.
KERNEL = set("""
    open openat creat close read write pread pwrite readv writev preadv pwritev preadv2 pwritev2 sendfile splice
    copy_file_range lseek fsync fdatasync sync syncfs sync_file_range fallocate posix_fallocate posix_fadvise truncate
    ftruncate rename renameat renameat2 unlink unlinkat remove mkdir mkdirat rmdir opendir fdopendir readdir closedir
    scandir nftw stat fstat lstat fstatat statx statfs fstatfs statvfs fstatvfs access faccessat link linkat symlink
    readlink chmod fchmod chown fchown flock lockf fcntl ioctl mmap munmap msync mkstemp mkdtemp tmpfile
    fopen fdopen freopen fclose fread fwrite fgets fgetc getline
    socket socketpair bind listen accept accept4 connect send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg
    shutdown setsockopt getsockopt getsockname getpeername getaddrinfo gethostbyname pipe pipe2 eventfd
    poll ppoll select pselect epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
    clock_gettime clock_nanosleep gettimeofday time nanosleep usleep sleep alarm timer_create timerfd_create
    timerfd_settime getrandom getentropy arc4random random rand rand_r srand srandom drand48
    fork vfork execve execv execvp execl execlp posix_spawn system popen syscall
""".split())
# io is the seam itself; configuration is read before it exists; libmicrohttpd runs http on a thread of its own;
# "server" is broker/*.c, which starts and stops the process.
KERNEL_FREE_LAYERS = ("obs", "storage", "stream", "group", "archive", "auth", "net", "api")
KERNEL_ALLOWED = {}

# The heap is reached through core/alloc, which counts, seals and fails on purpose.
HEAP = set("""
    malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf posix_memalign aligned_alloc memalign
    valloc pvalloc open_memstream
""".split())
HEAP_LAYERS = ("core", "format", "wire", "store", "client", "sqlite", "postgres", "config", "obs", "io", "storage",
               "stream", "group", "archive", "auth", "net", "api", "http", "server", "tools")
HEAP_OWNER = ("core", "alloc.o")
# Blocks that a library hands over are given back with free(); (layer, object) -> symbols, with the reason.
HEAP_ALLOWED = {}

# These wait until a time of day: who sets the clock back makes them wait for as long.
WALL_WAITS = {"sem_timedwait": "sem_clockwait", "pthread_mutex_timedlock": "pthread_mutex_clocklock"}

EXPORTED = re.compile(r"^(evlog_\w+|EVLOG_\d+\.\d+)$")
PROGRAMS = ("evlogd", "evlog")


def tool(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def plain(symbol):
    """The call behind a symbol: without version, fortify and large-file spellings."""
    symbol = symbol.split("@")[0]
    fortified = re.match(r"^__(\w+?)(_chk|_2)$", symbol)
    symbol = fortified.group(1) if fortified else symbol
    symbol = {"__isoc99_fscanf": "fscanf", "__fxstat": "fstat", "__xstat": "stat"}.get(symbol, symbol)
    return symbol[:-2] if symbol.endswith("64") and symbol not in KERNEL else symbol


def undefined(archive):
    """(object, symbol) of everything that an archive's objects take from elsewhere."""
    for line in tool("nm", "-A", "-u", archive).splitlines():
        match = re.match(r"^[^:]*:([^:]+):\s+[Uw] (\S+)$", line)
        if match:
            yield match.group(1), plain(match.group(2))


def archives(out, layers):
    for layer in layers:
        path = os.path.join(out, "lib", f"libel_{layer}.a")
        if os.path.isfile(path):
            yield layer, path


def kernel_only_through_io(out):
    for layer, path in archives(out, KERNEL_FREE_LAYERS):
        for member, symbol in undefined(path):
            if symbol in KERNEL and symbol not in KERNEL_ALLOWED.get((layer, member), ()):
                yield f"broker/{layer}/{member[:-2]}.c: calls {symbol}(): the kernel is reached through broker/io"


def heap_only_through_alloc(out):
    for layer, path in archives(out, HEAP_LAYERS):
        for member, symbol in undefined(path):
            if symbol in HEAP and (layer, member) != HEAP_OWNER and symbol not in HEAP_ALLOWED.get((layer, member), ()):
                yield f"{layer}/{member[:-2]}.c: calls {symbol}(): the heap is reached through core/alloc.h"


def waits_by_the_monotonic_clock(out):
    for layer, path in archives(out, HEAP_LAYERS):
        for member, symbol in undefined(path):
            if symbol in WALL_WAITS:
                yield f"{layer}/{member[:-2]}.c: calls {symbol}(): {WALL_WAITS[symbol]}() waits by CLOCK_MONOTONIC"


def everything_was_built(out):
    """The other checks look at what exists; this one says what is missing."""
    wanted = [f"bin/{name}" for name in PROGRAMS] + ["lib/libevlog.so.1", "lib/libevlog.a", "lib/libel_storage.a"]
    for name in wanted:
        if not os.path.isfile(os.path.join(out, name)):
            yield f"{out}/{name}: not built"


def exports_only_evlog(out):
    path = os.path.join(out, "lib", "libevlog.so.1")
    if os.path.isfile(path):
        names = [line.split()[-1].split("@")[0] for line in tool("nm", "-D", "--defined-only", path).splitlines()]
        if not names:
            yield f"{path}: exports nothing"
        for name in names:
            if not EXPORTED.match(name):
                yield f"{path}: exports {name}: client/libevlog.map should hide it"


def hardening_of(path, program):
    """What readelf says is missing from an executable or shared object."""
    header, segments, dynamic = (tool("readelf", "-W", flag, path) for flag in ("-h", "-l", "-d"))
    if program and (not re.search(r"Type:\s+DYN", header) or "INTERP" not in segments):
        yield f"{path}: not position independent (-fPIE -pie)"
    if "GNU_RELRO" not in segments:
        yield f"{path}: no RELRO segment (-z relro)"
    if not re.search(r"\bBIND_NOW\b|Flags:.*\bNOW\b", dynamic):
        yield f"{path}: symbols are not bound at start (-z now)"
    stack = re.search(r"GNU_STACK\s.*\s([R ][W ][E ])\s+0x\w+$", segments, re.MULTILINE)
    if stack is None or "E" in stack.group(1):
        yield f"{path}: executable stack"
    if re.search(r"LOAD.*\bRWE\b", segments):
        yield f"{path}: a segment is writable and executable"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        yield f"{path}: a library path is built in"


def programs_are_hardened(out):
    for name in PROGRAMS:
        path = os.path.join(out, "bin", name)
        if os.path.isfile(path):
            yield from hardening_of(path, program=True)


def shared_object_is_hardened(out):
    path = os.path.join(out, "lib", "libevlog.so.1")
    if os.path.isfile(path):
        yield from hardening_of(path, program=False)


CHECKS = (everything_was_built, kernel_only_through_io, heap_only_through_alloc, waits_by_the_monotonic_clock,
          exports_only_evlog, programs_are_hardened, shared_object_is_hardened)

if __name__ == "__main__":
    run("symbols", CHECKS, sys.argv[1] if len(sys.argv) > 1 else "build")
