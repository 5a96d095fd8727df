# SPDX-License-Identifier: Apache-2.0
"""What tests need besides evlog's programs is a target of make, below the same build folder."""
import fcntl
import os
import subprocess

from evlogd import BIN, ROOT

OUT = BIN.parent
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
MAKE_SECONDS = 600


def make_target(name):
    """Makes OUT/name; its path."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "make_target.lock", "w", encoding="ascii") as lock:  # two makes of one target spoil it
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "--no-print-directory", "-C", str(ROOT), f"OUT={OUT}", f"{OUT}/{name}"], check=True,
                       timeout=MAKE_SECONDS, env=environment, stdout=subprocess.DEVNULL)
    return OUT / name
