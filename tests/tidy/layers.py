# SPDX-License-Identifier: Apache-2.0
"""The include law: who may include what, directly (layers.txt), no cycles, third-party headers kept in one place.

usage: layers.py [ROOT]
"""
import os
import re
import sys

from tree import Tree, run

TABLE = "tests/tidy/layers.txt"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
C_SUFFIXES = (".c", ".h", ".def")
SEARCHED = ("include", "broker", "")    # where a name that is not beside its includer is looked for
FREE = {"include/evlog/error.h", "include/evlog/error.def"}
THIRD_PARTY_FILES_MAX = 2

# Headers of libc, the kernel and the compiler; every other header outside the tree belongs to a library.
SYSTEM = re.compile(
    r"^(sys|linux|asm|asm-generic|arpa|net|netinet|bits|sanitizer)/|"
    r"^(aio|alloca|assert|byteswap|cpuid|ctype|dirent|dlfcn|endian|err|errno|execinfo|fcntl|float|fnmatch|getopt|glob|"
    r"grp|[ewx]?[a-z]*intrin|inttypes|iso646|langinfo|libgen|limits|locale|malloc|math|mntent|netdb|paths|poll|"
    r"pthread|pty|pwd|regex|sched|search|semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|"
    r"stdio|stdlib|stdnoreturn|string|strings|syslog|termios|tgmath|threads|time|ucontext|uchar|unistd|utime|utmp|"
    r"wchar|wctype|wordexp)\.h$")


def table(tree):
    """folder -> set of allowed entries, or None where everything is allowed."""
    allowed = {}
    for number, line in enumerate(tree.lines(TABLE), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, colon, entries = (part.strip() for part in line.partition(":"))
        if not colon or not entries or folder in allowed:
            sys.exit(f"{TABLE}:{number}: expected one 'folder : layers' per folder")
        allowed[folder] = None if entries == "*" else {entry for entry in entries.split() if entry != "-"}
    return allowed


def folder_row(allowed, folder):
    """The table's row for a folder: its own, or that of a folder above which allows everything."""
    if folder in allowed:
        return folder
    while folder:
        folder = os.path.dirname(folder)
        if folder in allowed and allowed[folder] is None:
            return folder
    return None


def layer_of(path):
    """The layer whose header this is: "core" for include/core/x.h, "io" for broker/io/x.h, else the folder."""
    folder = os.path.dirname(path)
    for prefix in ("include/", "broker/"):
        if folder.startswith(prefix):
            return folder[len(prefix):]
    return folder


def resolve(tree, path, mark, name):
    """Path of an included file inside the tree, or None for one outside."""
    searched = (*SEARCHED, "tests/lib") if path.startswith("tests/") else SEARCHED
    tries = [os.path.join(folder, name) for folder in searched]
    if mark == '"':
        tries.insert(0, os.path.join(os.path.dirname(path), name))
    for candidate in tries:
        candidate = os.path.normpath(candidate)
        if candidate in tree.known:
            return candidate
    return None


def includes(tree):
    """(path, line number, quoting mark, name, resolved path or None) of every include of the tree."""
    for path in tree.ending(*C_SUFFIXES):
        for number, line in enumerate(tree.lines(path), 1):
            match = INCLUDE.match(line)
            if match:
                mark, name = match.groups()
                yield path, number, mark, name, resolve(tree, path, mark, name)


def direct_includes(tree):
    allowed = table(tree)
    unknown = set()
    for path, number, mark, name, target in includes(tree):
        folder = os.path.dirname(path)
        row = folder_row(allowed, folder)
        if row is None:
            if folder not in unknown:
                unknown.add(folder)
                yield f"{path}:{number}: folder {folder} has no line in {TABLE}"
            continue
        if target is None:
            if mark == '"' or name.split("/")[0] in ("core", "format", "wire", "store", "evlog"):
                yield f"{path}:{number}: {name} is not in the tree"
            continue
        if allowed[row] is None or target in FREE or os.path.dirname(target) == folder:
            continue
        layer = layer_of(target)
        own = folder.partition("/")[2] if folder.startswith(("client/", "include/")) else None
        if layer == own or layer in allowed[row] or f"{layer}/{os.path.basename(target)}" in allowed[row]:
            continue
        listed = " ".join(sorted(allowed[row])) or "nothing"
        yield f"{path}:{number}: {folder} may not include {name} (allowed: {listed})"


def folders_have_rows(tree):
    """Every folder with C in it is under the law, also one whose files include nothing yet."""
    allowed = table(tree)
    for folder in sorted({os.path.dirname(path) for path in tree.ending(*C_SUFFIXES)}):
        if folder_row(allowed, folder) is None:
            yield f"{folder}: no line in {TABLE}"


def no_cycles(tree):
    """No header reaches itself again, at any distance."""
    graph = {}
    for path, number, _, _, target in includes(tree):
        if target is not None:
            graph.setdefault(path, []).append((target, number))
    state = {}
    for start in sorted(graph):
        if start in state:
            continue
        state[start] = "open"
        stack = [(start, iter(graph[start]))]
        while stack:
            path, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                state[path] = "done"
                stack.pop()
            elif state.get(step[0]) == "open":
                chain = [item[0] for item in stack]
                chain = chain[chain.index(step[0]):] + [step[0]]
                yield f"{path}:{step[1]}: include cycle: {' -> '.join(chain)}"
            elif step[0] not in state:
                state[step[0]] = "open"
                stack.append((step[0], iter(graph.get(step[0], ()))))


def library_of(name):
    """One library's headers count together: mbedtls/sha256.h and mbedtls/md.h are mbedtls; zstd_errors.h is zstd."""
    if re.match(r"mbedtls/(ssl|x509|error|version)", name):  # libraries of their own, above libmbedcrypto
        return "mbedtls for TLS"
    stem = name.split("/")[0] if "/" in name else name[:-2]
    for library in ("zstd", "lz4", "snappy", "cbor", "xxh", "curl", "sqlite3"):
        if stem.startswith(library):
            return library
    return stem


def third_party_in_one_place(tree):
    """A library is included by one file, or two; tests and bench may use what they like."""
    users = {}
    for path, _, mark, name, target in includes(tree):
        if target is None and mark == "<" and not SYSTEM.match(name) and not path.startswith(("tests/", "bench/")):
            users.setdefault(library_of(name), set()).add(path)
    for library, paths in sorted(users.items()):
        if len(paths) > THIRD_PARTY_FILES_MAX:
            listed = " ".join(sorted(paths))
            yield f"{library}: included by {len(paths)} files, at most {THIRD_PARTY_FILES_MAX}: {listed}"


CHECKS = (direct_includes, folders_have_rows, no_cycles, third_party_in_one_place)

if __name__ == "__main__":
    run("layers", CHECKS, Tree(sys.argv[1] if len(sys.argv) > 1 else "."))
