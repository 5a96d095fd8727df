# SPDX-License-Identifier: Apache-2.0
"""Rules on source text that a reader would otherwise have to watch.

usage: rules.py [ROOT]

A finding that must stand for a while is listed in exceptions.txt; an entry that is no longer needed, or that has
become worse, is itself a finding, so the list only shrinks.
"""
import re
import sys

from tree import Tree, run, strip_c

EXCEPTIONS = "tests/tidy/exceptions.txt"
C_SUFFIXES = (".c", ".h", ".def")
SCRIPT_SUFFIXES = (".py", ".sh", ".mk")
SCRIPT_NAMES = ("Makefile", ".ci/run", "tests/check")
PROSE_SUFFIXES = (".md",)
COLUMNS_MAX = 120
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 100
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
FAULTS_PAGE = "docs/security.md"
FAULT_TEST_C = re.compile(r"^TEST\((cve_\w+|go_\d\w+|atom_exhaustion), (\w+)\)", re.MULTILINE)
FAULT_TEST_PY = re.compile(r"^def (test_(?:cve|go)_\d\w+)\(", re.MULTILINE)
FAULT_LISTED = re.compile(r"`((?:cve_\w+|go_\d\w+|atom_exhaustion)\.\w+|test_(?:cve|go)_\d\w+)`")
FUNCTION = re.compile(r"^[A-Za-z_][^;=]*?\b(\w+)\s*\(", re.DOTALL)


def sources(tree):
    return [path for path in tree.paths if path.endswith(C_SUFFIXES + SCRIPT_SUFFIXES) or path in SCRIPT_NAMES]


def exceptions(tree):
    """(rule, subject) -> value that is tolerated."""
    listed = {}
    if EXCEPTIONS in tree.known:
        for number, line in enumerate(tree.lines(EXCEPTIONS), 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if len(words) != 3 or not words[2].isdigit():
                sys.exit(f"{EXCEPTIONS}:{number}: expected 'rule subject value'")
            listed[words[0], words[1]] = int(words[2])
    return listed


def measured(tree, rule, limit, values):
    """Findings of a rule with a number: over the limit, or over what its exception says, or excepted for nothing."""
    listed = {subject: value for (name, subject), value in exceptions(tree).items() if name == rule}
    for subject, where, value in values:
        tolerated = listed.pop(subject, None)
        if tolerated is None and value > limit:
            yield f"{where}: {value} lines, at most {limit}"
        elif tolerated is not None and value > tolerated:
            yield f"{where}: {value} lines, the exception says {tolerated}: it may not grow"
        elif tolerated is not None and value <= limit:
            yield f"{EXCEPTIONS}: {rule} {subject} has become needless: take it out"
    for subject in sorted(listed):
        yield f"{EXCEPTIONS}: {rule} {subject} names nothing that exists: take it out"


def spdx_line(tree):
    for path in sources(tree):
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(tree.lines(path)[:3]):
            yield f"{path}:1: no SPDX line among the first three"


def no_tabs(tree):
    for path in tree.ending(*C_SUFFIXES):
        for number, line in enumerate(tree.lines(path), 1):
            if "\t" in line:
                yield f"{path}:{number}: tab"


def no_trailing_blanks(tree):
    for path in sources(tree):
        for number, line in enumerate(tree.lines(path), 1):
            if line != line.rstrip(" \t\r"):
                yield f"{path}:{number}: blanks at the end of the line"


def line_columns(tree):
    for path in tree.ending(".c", ".h", ".py", ".sh"):
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) > COLUMNS_MAX:
                yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"


def prose_columns(tree):
    """Code, tables and headings of a document may be wider; what tools have written, too."""
    for path in tree.ending(".md"):
        fenced = False
        for number, line in enumerate(tree.lines(path), 1):
            fenced ^= line.lstrip().startswith("```")
            wide = len(line) > COLUMNS_MAX and not fenced and not re.match(r" *[|#<`]| {4}", line)
            if wide and not path.startswith("docs/generated/") and "REPORT" not in path:
                yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"


def file_lines(tree):
    values = ((path, path, tree.text(path).count("\n")) for path in tree.ending(".c", ".h", ".py", ".sh"))
    return measured(tree, "file_lines", FILE_LINES_MAX, values)


def functions(text):
    """(name, line of the opening brace, lines from that brace to the closing one) of each function of a C text."""
    lines = strip_c(text).split("\n")
    opened = None
    for index, line in enumerate(lines):
        if opened is None and line.startswith("{"):
            opened = index
        elif opened is None and re.match(r"^[A-Za-z_].*\)\s*\{\s*$", line):
            opened = index
        elif opened is not None and line.startswith("}"):
            start = opened
            while start > 0 and re.search(r"[^;}\s]\s*$", lines[start - 1]) and not lines[start - 1].startswith("#"):
                start -= 1
            match = FUNCTION.match("\n".join(lines[start:opened + 1]).lstrip())
            yield (match.group(1) if match else "?"), opened + 1, index - opened + 1
            opened = None


def function_lines(tree):
    values = ((f"{path}:{name}", f"{path}:{line}: {name}", count)
              for path in tree.ending(".c", ".h") for name, line, count in functions(tree.text(path)))
    return measured(tree, "function_lines", FUNCTION_LINES_MAX, values)


def nothing_unfinished(tree):
    for path in sources(tree) + tree.ending(*PROSE_SUFFIXES):
        for number, line in enumerate(tree.lines(path), 1):
            if UNFINISHED.search(line):
                yield f"{path}:{number}: a mark of unfinished work: finish it or open an issue"


def header_guards(tree):
    """Every header has a guard; it is the only #ifndef a header needs."""
    for path in tree.ending(".h"):
        if not re.search(r"^#ifndef (\w+)\n#define \1$", tree.text(path), re.MULTILINE):
            yield f"{path}:1: no include guard (#ifndef X, #define X)"


def faults_of_others(tree):
    """Tests named after the faults of other programs and the table of them name each other, and a row its own test."""
    if FAULTS_PAGE not in tree.known:
        return
    found = set()
    for path in tree.paths:
        if path.startswith("tests/") and path.endswith(".c"):
            found |= {f"{suite}.{claim}" for suite, claim in FAULT_TEST_C.findall(tree.text(path))}
        elif path.startswith("tests/") and path.endswith(".py"):
            found |= set(FAULT_TEST_PY.findall(tree.text(path)))
    listed = set()
    for number, line in enumerate(tree.lines(FAULTS_PAGE), 1):
        tests = FAULT_LISTED.findall(line)
        listed |= set(tests)
        row = re.match(r"\| ((?:CVE|GO)-[0-9-]+) \|", line)
        stem = row and row.group(1).lower().replace("-", "_")
        if row and not any(stem in (test.split(".")[0], test[5:5 + len(stem)]) for test in tests):
            yield f"{FAULTS_PAGE}:{number}: {row.group(1)} names no test of its own"
        for test in tests:
            if test not in found:
                yield f"{FAULTS_PAGE}:{number}: there is no test {test}"
    for test in sorted(found - listed):
        yield f"{FAULTS_PAGE}: the test {test} is not listed"


CHECKS = (spdx_line, no_tabs, no_trailing_blanks, line_columns, prose_columns, file_lines, function_lines,
          nothing_unfinished, header_guards, faults_of_others)

if __name__ == "__main__":
    run("rules", CHECKS, Tree(sys.argv[1] if len(sys.argv) > 1 else "."))
