# SPDX-License-Identifier: Apache-2.0
"""The files that the tidy checks look at, and the way they report.

A check is a function that takes a Tree and yields findings ("path:line: sentence"). run() calls each of a program's
checks, prints the findings and closes with the line that tests/check counts.
"""
import os
import re
import subprocess
import sys

SKIPPED_FOLDERS = {".git", "build", "__pycache__", ".pytest_cache", ".venv"}


class Tree:
    """Files below a root, as paths relative to it; contents are read once."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.paths = sorted(self._list())
        self.known = set(self.paths)
        self._text = {}

    def _list(self):
        if os.path.isdir(os.path.join(self.root, ".git")):
            out = subprocess.run(["git", "-C", self.root, "ls-files", "-co", "--exclude-standard", "-z"],
                                 check=True, capture_output=True).stdout
            names = {os.fsdecode(name) for name in out.split(b"\0") if name}
            return [name for name in names if os.path.isfile(os.path.join(self.root, name))]
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names]
        return found

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self._text[path] = file.read()
        return self._text[path]

    def lines(self, path):
        return self.text(path).split("\n")

    def ending(self, *suffixes):
        return [path for path in self.paths if path.endswith(suffixes)]


def strip_c(text):
    """C text without comments and string contents; line numbers stay."""
    def blank(match):
        piece = match.group(0)
        if piece.startswith("/"):
            return " " + "\n" * piece.count("\n")
        return piece[0] + piece[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.DOTALL)


def run(title, checks, subject):
    failed = 0
    for check in checks:
        findings = list(check(subject))
        for finding in findings:
            print(finding)
        if findings:
            failed += 1
            print(f"{title}: {check.__name__}: {len(findings)} finding(s)")
    print(f"{title}: {len(checks) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
