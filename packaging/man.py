#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages of docs/man/*.scd, with what the programs say of themselves in their places.

usage: man.py BIN OUT

BIN holds evlog and evlogd; OUT gets one page a source, made by scdoc. A line @COMMANDS@ stands for the list of
"evlog --help", a line @SETTINGS@ for the settings of "evlogd --help".
"""
import pathlib
import re
import subprocess
import sys

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "docs" / "man"


def escaped(text):
    text = re.sub(r"([\\*_<>`])", r"\\\1", text)
    return re.sub(r"^([-.#|\[\]])", r"\\\1", text)


def help_of(program):
    return subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout.splitlines()


def commands(bin_dir):
    for line in help_of(bin_dir / "evlog"):
        match = re.match(r"  (\S+(?: \S+)*) {2,}(\S.*)$", line)
        if match:
            yield from (f"*evlog {escaped(match[1])}*", f"\t{escaped(match[2])}", "")


def settings(bin_dir):
    lines = iter(help_of(bin_dir / "evlogd"))
    begun = False
    for line in lines:
        option = re.match(r"  --([^ =]+)=(\S*)(?: +\((.*)\))?$", line)
        if re.match(r"\[\w+\]$", line):
            begun = True
            yield from ("", f"## {line}", "")
        elif begun and option:
            yield ""
            default = f" ({escaped(option[3])})" if option[3] else ""
            yield f"*--{escaped(option[1])}*={escaped(option[2])}{default}"
        elif begun and line.strip():
            yield f"\t{escaped(line.strip())}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bin_dir, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.scd")):
        text = source.read_text(encoding="utf-8")
        for mark, made in (("@COMMANDS@", commands), ("@SETTINGS@", settings)):
            if mark in text:
                lines = "\n".join(made(bin_dir)).strip("\n")
                if lines.count("\n") < 20:
                    sys.exit(f"man: the programs in {bin_dir} list next to nothing for {mark} of {source.name}")
                text = text.replace(mark, lines)
        page = subprocess.run(["scdoc"], input=text, check=True, capture_output=True, text=True).stdout
        (out / source.stem).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
