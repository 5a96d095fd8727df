# SPDX-License-Identifier: Apache-2.0
"""Goal: the files of the stream index are what docs/format.md section 12 says, and stay so.

Method: the golden files of version 1 are written anew and compared byte for byte; a reader that was written from the
page alone, and checks what evlogd leaves unchecked (filter bits, keys of index blocks, the tree of names), must find in
them what evlogd finds; each of the two must notice damage.

Runs under pytest and as a part of test_golden.py.
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]

import index    # noqa: E402
from layout import Refused    # noqa: E402
from making import program    # noqa: E402

GOLDEN = os.path.join(HERE, "index-v1")
FOLDER = "streams/0000"
EXIT_DAMAGE = 8


def files_of(path):
    found = {}
    for name in os.listdir(os.path.join(path, FOLDER)):
        with open(os.path.join(path, FOLDER, name), "rb") as file:
            found[name] = file.read()
    return found


def run_lines(data, run_id):
    run = index.read_run(data, run_id)
    yield (f'{{"run": {run_id}, "entries": {len(run.entries)}, "names": {len(run.names)}, "hashes": {run.hashes}, '
           f'"lines": {run.lines}}}')
    for entry in run.entries:
        yield f'{{"entry": [{entry.slot}, "{entry.hash}", {entry.position}, {entry.place}]}}'
    for slot, key in run.names:
        yield f'{{"name": [{slot}, "{key.hex()}"]}}'


def lines_of(files):
    """As make_index --read prints them."""
    listed = index.read_list(files["list"], 0)
    yield (f'{{"list": {listed.sequence}, "next_run_id": {listed.next_run_id}, "next_slot": {listed.next_slot}, '
           f'"secret_tag": "{listed.secret_tag}"}}')
    for slot, partition, topic_id, end in listed.slots:
        yield f'{{"slot": [{slot}, "{topic_id.hex()}", {partition}, {end}]}}'
    for run_id in listed.runs:
        yield from run_lines(files[f"{run_id:016x}.run"], run_id)


def evlogd_reads(path):
    done = subprocess.run([program("make_index"), "--read", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    return done.returncode, done.stdout


def test_index_golden_files_are_written_byte_for_byte():
    with tempfile.TemporaryDirectory(prefix="evlog-index-") as path:
        subprocess.run([program("make_index"), path], check=True)
        written, committed = files_of(path), files_of(GOLDEN)
    assert sorted(written) == sorted(committed)
    for name, data in committed.items():
        assert written[name] == data, f"{name} differs from tests/golden/index-v1: was the format changed?"


def test_index_is_read_alike_by_both_readers():
    lines = "".join(f"{line}\n" for line in lines_of(files_of(GOLDEN)))
    assert lines.count('"entry"') == 1303 and lines.count('"name"') == 15
    assert evlogd_reads(GOLDEN) == (0, lines)


def read_one(name, data):
    """By the second reader alone."""
    if name == "list":
        index.read_list(data, 0)
    else:
        index.read_run(data, int(name[:16], 16))


def test_index_damage_is_noticed_by_both_readers():
    with tempfile.TemporaryDirectory(prefix="evlog-index-") as path:
        shutil.copytree(GOLDEN, path, dirs_exist_ok=True)
        for name, data in files_of(GOLDEN).items():
            for pos in range(0, len(data), 2999 if name.endswith(".run") else 7):
                changed = data[:pos] + bytes([data[pos] ^ 1 << pos % 8]) + data[pos + 1:]
                with open(os.path.join(path, FOLDER, name), "wb") as file:
                    file.write(changed)
                try:
                    read_one(name, changed)
                    raise AssertionError(f"{name}, byte {pos}: the second reader has not noticed")
                except Refused:
                    pass
                code, _ = evlogd_reads(path)
                # Only a find reads an index block, so a walk may pass over its damage.
                kind = data[pos - pos % 4096 + 20] if pos >= 4096 else 0
                assert code == EXIT_DAMAGE or (code == 0 and kind == index.INDEX), f"{name}, byte {pos}: exit {code}"
            with open(os.path.join(path, FOLDER, name), "wb") as file:
                file.write(data)
