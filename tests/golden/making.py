# SPDX-License-Identifier: Apache-2.0
"""The programs that write golden files, built when they are asked for, and what lies in a folder."""
import functools
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.environ.get("OUT") or "build"


@functools.lru_cache(maxsize=None)
def program(name):
    """The path of one of golden.mk's or of make_archive."""
    target = os.path.join(OUT, "bin", name)
    build = ["make", "--no-print-directory", "-f", "Makefile", "-f", "tests/golden/golden.mk", f"OUT={OUT}", target]
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in of_make}
    done = subprocess.run(build, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    return os.path.join(ROOT, target)


def files_of(path):
    """Relative name -> bytes of every file."""
    found = {}
    for at, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(at, name), "rb") as file:
                found[os.path.relpath(os.path.join(at, name), path)] = file.read()
    return found
