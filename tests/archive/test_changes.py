# SPDX-License-Identifier: Apache-2.0
"""No change of a small archive passes a verifier, and each names the object that is not what it was.

Every byte of every object is changed, every object dropped, cut, renamed, put under another name as well, and every two
swapped. The verifiers: evlog archive verify, evlog-audit, and tools/verify/evlog_verify.py, which shares no code with
the others. CHANGES_STEP=N (1 in the long run) changes every N-th byte only.
"""
import functools
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tools/verify")]

import evlog_verify  # noqa: E402
from make_target import OUT, make_target  # noqa: E402

STEP = int(os.environ.get("CHANGES_STEP", "97"))
FAILED = 8
# Bytes that nobody vouches for: when the incarnation was begun is for people to read.
FREE = b'"made":"'
FREE_LEN = 24


class Python:
    """The verifier of one file; signatures are computed once, since most changes leave them as they are."""

    def __init__(self):
        for name in ("verify_p256", "verify_ed25519"):
            setattr(evlog_verify, name, functools.cache(getattr(evlog_verify, name)))

    def __call__(self, folder, since=None):
        keys = set(evlog_verify.read_keys("key.pem", (folder / "key.pem").read_text()))
        try:
            evlog_verify.audit(str(folder / "archive"), keys, since=since and str(since))
        except evlog_verify.Bad as bad:
            return bad.args[0]
        except Exception:
            return evlog_verify.Incarnation.at
        return None


class Program:
    """One of evlog's own."""

    def __init__(self, words):
        self.words = words

    def __call__(self, folder, since=None):
        words = [word.format(folder=folder) for word in self.words]
        done = subprocess.run([*words, *(["--since", str(since)] if since else [])], capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode == 0:
            return None
        assert done.returncode == FAILED, f"exit {done.returncode}: {done.stderr}{done.stdout}"
        # What the root of an earlier visit tells is nobody's object.
        return (json.loads(done.stdout)["failures"][0]["object"] or "").partition("/")[2]


AUDIT = ["{out}/bin/evlog-audit", "--key", "{{folder}}/key.pem", "--archive", "{{folder}}/archive", "--json"]
VERIFY = ["{out}/bin/evlog", "archive", "verify", "file://{{folder}}/archive", "--key", "{{folder}}/key.pem", "--deep",
          "--json"]


@pytest.fixture(scope="module", params=["python", "audit", "verify"])
def verify(request):
    if request.param == "python":
        return Python()
    if request.param == "verify":
        said = subprocess.run([OUT / "bin/evlog", "help"], capture_output=True, text=True, check=False).stdout
        if "archive verify" not in said:
            pytest.skip("evlog has no command 'archive verify'")
    return Program([word.format(out=OUT) for word in {"audit": AUDIT, "verify": VERIFY}[request.param]])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    subprocess.run([make_target("bin/make_archive"), folder, "small"], check=True)
    newest = max((path for name, path in objects(folder).items() if name.startswith("root/")))
    (folder / "newest").write_bytes(newest.read_bytes())
    return folder


@pytest.fixture
def small(made, tmp_path):
    return pathlib.Path(shutil.copytree(made, tmp_path / "small"))


def objects(folder):
    """{name below the incarnation: path}"""
    base = next(path for path in (folder / "archive").iterdir() if len(path.name) == 32)
    return {str(path.relative_to(base)): path for path in sorted(base.rglob("*")) if path.is_file()}


def test_the_archive_is_proven(verify, small):
    assert verify(small) is None
    assert verify(small, small / "visit") is None


def test_no_changed_byte_passes(verify, small):
    wrong = []
    for name, path in objects(small).items():
        before = path.read_bytes()
        free = before.find(FREE) if name == "cluster.json" else len(before)
        for pos in range(sum(map(ord, name)) % STEP, len(before), STEP):
            if free <= pos < free + len(FREE) + FREE_LEN:
                continue
            path.write_bytes(before[:pos] + bytes([before[pos] ^ 1 << pos % 8]) + before[pos + 1:])
            found = verify(small)
            if found != name:
                wrong.append(f"{name} {pos}: {found}")
        path.write_bytes(before)
    assert not wrong, "\n".join(wrong[:20])


def test_no_cut_or_longer_object_passes(verify, small):
    for name, path in objects(small).items():
        before = path.read_bytes()
        for after in (b"", before[:-1], before[:len(before) // 2], before + b"\0", before + before):
            path.write_bytes(after)
            assert verify(small) == name, f"{name}: {len(after)} of {len(before)} bytes"
        path.write_bytes(before)


def test_no_dropped_object_passes(verify, small):
    for name, path in objects(small).items():
        path.rename(small / "away")
        # Without its newest root an archive is what it was before: who was there then knows better.
        found = verify(small, small / "newest" if name.startswith("root/") else None)
        (small / "away").rename(path)
        assert found is not None, name
        assert found == name or name == "root/0000000000000003", f"{name}: {found}"


def test_no_renamed_object_passes(verify, small):
    for name, path in objects(small).items():
        for other in names_like(path):
            target = path.parent / other
            path.rename(target)
            found = verify(small, small / "newest")
            target.rename(path)
            assert found is not None, f"{name} as {other}"


def test_no_object_passes_under_another_name_as_well(verify, small):
    for name, path in objects(small).items():
        for other in names_like(path):
            target = path.parent / other
            target.write_bytes(path.read_bytes())
            found = verify(small)
            target.unlink()
            assert found is not None, f"{name} as {other}"


def test_no_two_swapped_objects_pass(verify, small):
    there = objects(small)
    for (one, path), (other, other_path) in itertools.combinations(there.items(), 2):
        before, other_before = path.read_bytes(), other_path.read_bytes()
        path.write_bytes(other_before)
        other_path.write_bytes(before)
        found = verify(small)
        path.write_bytes(before)
        other_path.write_bytes(other_before)
        assert found in (one, other), f"{one} and {other}: {found}"


def names_like(path):
    """Names of the same form that nothing has, and one of none."""
    last = path.name
    digits = [i for i, char in enumerate(last) if char in "0123456789"]
    other = [last[:i] + str((int(last[i]) + add) % 10) + last[i + 1:]
             for i in digits[:1] + digits[-1:] for add in (1, 3)]
    return [word for word in other if not (path.parent / word).exists()] + [last + "x"]
