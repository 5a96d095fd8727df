# SPDX-License-Identifier: Apache-2.0
"""Running the evlog program in tests, and where the real histories lie."""
import hashlib
import json
import os
import pathlib
import subprocess

import pytest

from evlogd import BIN, ROOT

COMMAND_SECONDS = 120


def shared_data():
    """The folder of the real histories; a test that needs it is skipped without it."""
    for folder in (os.environ.get("EVLOG_SHARED"), ROOT.parent / "shared" / "data"):
        if folder and (pathlib.Path(folder) / "zstd.truth.json").exists():
            return pathlib.Path(folder)
    pytest.skip("no real histories: EVLOG_SHARED names no folder with zstd.truth.json, nor is ../shared/data there")


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def digest(self):
        """(hex, events, keys, partial) of the digest line."""
        line = [line for line in self.err.splitlines() if line.startswith("digest ")][-1].split()
        assert line[1].startswith("sha256:") and line[2] == "events" and line[4] == "keys"
        return line[1][7:], int(line[3]), int(line[5]), line[6:] == ["partial"]


def evlog(*args, bootstrap=None, stdin="", env=None, expect=None):
    """Run a command. expect: the exit code it must end with."""
    full_env = {**os.environ, **(env or {})}
    if bootstrap is not None:
        full_env["EVLOG_BOOTSTRAP__SERVERS"] = bootstrap
    done = subprocess.run([str(BIN / "evlog"), *map(str, args)], input=stdin, capture_output=True, text=True,
                          timeout=COMMAND_SECONDS, env=full_env)
    result = Result(done)
    if expect is not None:
        assert result.code == expect, f"evlog {args}: exit {result.code}\n{result.out[-500:]}\n{result.err}"
    return result


def state_hash(lines):
    """SHA-256 over sorted lines path TAB blob LF, as the truth files have it."""
    text = "".join(sorted(f"{line['key']}\t{line['data']['blob']}\n" for line in lines))
    return hashlib.sha256(text.encode()).hexdigest()
