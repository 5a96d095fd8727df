# SPDX-License-Identifier: Apache-2.0
"""The machine that a report is of, and what it can do at most, in the words of bench/run and bench/limits."""
import importlib.machinery
import importlib.util
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def machine() -> list[str]:
    loader = importlib.machinery.SourceFileLoader("bench_run", str(ROOT / "bench/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module.machine()


def limits(build: Path) -> list[str]:
    command = [str(build / "bench/limits"), "--seconds=0.5", "--quiet=0", "--repeats=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
