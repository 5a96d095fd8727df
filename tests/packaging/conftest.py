# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
OUT = ROOT / os.environ.get("OUT", "build")


@pytest.fixture(scope="session")
def packages():
    """The Debian packages, made once."""
    subprocess.run(["make", "deb", f"OUT={OUT.relative_to(ROOT)}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return sorted(path for path in (OUT / "deb").glob("*.deb") if "dbgsym" not in path.name)
