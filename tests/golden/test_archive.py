# SPDX-License-Identifier: Apache-2.0
"""Goal: the objects of an archive are what docs/format.md section 15 says, and stay so: an archive outlives the program
that wrote it.

Method: the golden archives of version 1 are written anew (tests/archive/make_archive.c: the same arguments give the
same bytes) and compared, the small one with what is committed, the large one by its digest; what is committed must be
proven, and hold the events that it held when it was made. A reader written from the page alone: tests/archive.

Runs under pytest and as a part of test_golden.py.
"""
import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]

from making import OUT, ROOT, files_of, program    # noqa: E402

BIN = os.environ.get("EVLOG_BIN") or os.path.join(ROOT, OUT, "bin")
GOLDEN = os.path.join(HERE, "archive-v1")
# Of names, lengths and contents of the larger one: a redaction, a gap, changed keys, a full manifest, a continuation.
FROZEN = "f03f5947d1d81e98e1012cc2aa9b0ef9b293ca8cecaa682fbc72ca575a6f7fc4"


def made(kind):
    with tempfile.TemporaryDirectory(prefix="evlog-archive-") as path:
        subprocess.run([program("make_archive"), path, kind], check=True)
        return files_of(path)


def evlog(*words):
    done = subprocess.run([os.path.join(BIN, "evlog"), *words], stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


def test_archive_golden_objects_are_written_byte_for_byte():
    written, committed = made("small"), files_of(GOLDEN)
    assert sorted(written) == sorted(committed)
    for name, data in committed.items():
        assert written[name] == data, f"{name} differs from tests/golden/archive-v1: was the format changed?"


def test_archive_of_every_kind_of_object_is_frozen():
    digest = hashlib.sha256()
    for name, data in sorted(made("parent").items()):
        if name.startswith("archive/"):
            digest.update(f"{name} {len(data)}\n".encode() + data)
    assert digest.hexdigest() == FROZEN, "objects of an archive are not what they were: was the format changed?"


def test_archive_golden_objects_are_proven_and_read():
    where = [f"file://{GOLDEN}/archive", "--key", os.path.join(GOLDEN, "key.pem")]
    code, said = evlog("archive", "verify", *where, "--deep")
    assert code == 0 and "proven: root 3 " in said, said
    with open(os.path.join(HERE, "archive-v1.jsonl"), encoding="utf-8") as file:
        assert evlog("archive", "tail", *where, "--topic", "orders", "--json") == (0, file.read())
