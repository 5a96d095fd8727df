# SPDX-License-Identifier: Apache-2.0
"""evlog-audit and evlog_verify.py say the same of the same archive, and refuse what they cannot prove.

The archive has all that one can have (tests/archive/make_archive.c): a redaction, a gap, changed keys, a full
manifest, and an incarnation that continues another.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lib")]

from make_target import OUT, make_target  # noqa: E402

AUDIT = OUT / "bin/evlog-audit"
PYTHON = [sys.executable, ROOT / "tools/verify/evlog_verify.py"]
PROVEN, NOTHING, USAGE, NOT_PROVEN = 0, 1, 2, 8
NO_NETWORK = re.compile(r"\b(s3_|el_net|curl_|client_conn)\w*")


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parent")
    subprocess.run([make_target("bin/make_archive"), folder], check=True)
    return folder


@pytest.fixture(scope="module")
def audited():
    make_target("bin/evlog-audit")


def run(command, *words):
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def incarnations(parent):
    """What the verifier in Python says of each."""
    code, out, err = python(parent)
    assert code == PROVEN, out + err
    return json.loads(out)["incarnations"]


def audit(folder, key="key.pem", *words):
    return run([AUDIT], "--key", folder / key, "--archive", folder / "archive", *words)


def python(folder, key="key.pem", *words):
    return run(PYTHON, "--key", folder / key, "--archive", folder / "archive", *words)


def test_wrong_use_is_told(audited, parent):
    for words in ([], ["--key", "x"], ["--archive", "x"], ["--key", "x", "--archive", "y", "more"],
                  ["--key", "x", "--archive", "y", "--threads", "0"], ["--key", "x", "--archive", "y", "--loud"],
                  ["--key", parent / "key.pem", "--archive", parent / "archive", "--incarnation", "1"]):
        code, out, err = run([AUDIT], *words)
        assert (code, out) == (USAGE, ""), words
        assert "usage" in err or "32 digits" in err
    assert run([AUDIT], "--help")[0] == PROVEN
    whole = ["--key", parent / "key.pem", "--archive", parent / "archive"]
    # a word that is left off takes no check away: proven would be an answer to another question
    for words, said in (([], "usage"), ([*whole, "--since"], "usage"), ([*whole, "--loud", "x"], "usage"),
                        ([*whole[:3], "none"], "none: cannot be read"),
                        (["--key", "none", *whole[2:]], "none: cannot be read"),
                        ([*whole, "--since", "none"], "none: cannot be read")):
        code, out, err = run(PYTHON, *words)
        assert (code, out) == (USAGE, "") and said in err, words


def test_what_cannot_be_looked_at_is_not_proven(audited, parent, tmp_path):
    for words in (("--key", tmp_path / "none", "--archive", parent / "archive"),
                  ("--key", parent / "key.pem", "--archive", tmp_path / "none"),
                  ("--key", parent / "visit", "--archive", parent / "archive"),
                  ("--key", parent / "key.pem", "--archive", parent / "archive", "--since", parent / "key.pem"),
                  ("--key", parent / "key.pem", "--archive", tmp_path)):
        code, out, err = run([AUDIT], *words)
        assert (code, out) == (NOTHING, ""), words
        assert err.startswith("evlog-audit: "), err


def test_the_key_of_somebody_else_proves_nothing(audited, parent, tmp_path):
    for algorithm in (["ed25519"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]):
        subprocess.run(["openssl", "genpkey", "-algorithm", *algorithm, "-out", tmp_path / "key"], check=True)
        subprocess.run(["openssl", "pkey", "-in", tmp_path / "key", "-pubout", "-out", parent / "foreign.pem"],
                       check=True)
        assert audit(parent, "foreign.pem")[0] == NOT_PROVEN
    assert python(parent, "foreign.pem")[0] == NOT_PROVEN


def test_all_is_proven_and_what_is_left_out_is_told(audited, parent, incarnations):
    code, out, _ = audit(parent, "key.pem", "--json")
    assert code == PROVEN, out
    said = json.loads(out)
    other = incarnations
    assert said["proven"] and said["failures"] == [] and said["uncovered"] == 0
    assert said["incarnations"] == len(other) == 2
    assert said["incarnation"] == other[-1]["incarnation"] and said["root"] == other[-1]["root"]
    assert said["batches"] == sum(one["batches"] for one in other)
    code, out, _ = audit(parent, "key.pem", "--incarnation", other[0]["incarnation"], "--json")
    said = json.loads(out)
    assert code == PROVEN, out
    gaps = [[first, end] for _, first, end in other[0]["gaps"]]
    assert gaps == [[gap["first"], gap["end"]] for gap in said["gaps"]]
    assert [[first, end, reason] for _, first, end, reason in other[0]["redacted"]] == \
        [[one["first"], one["end"], one["reason"]] for one in said["redactions"]]
    assert said["redactions"][0]["reason"] == "a name"
    assert [[*one[2:4], one[-1]] for one in other[0]["retired"]] == \
        [[one["first"], one["end"], one["retention_ms"]] for one in said["retired"]] != []
    text = audit(parent, "key.pem", "--incarnation", other[0]["incarnation"])[1]
    assert "retired  orders/0: offsets 0 to " in text and "evlog.archive.retention.ms was 1000" in text


def test_an_old_key_proves_what_newer_ones_have_signed_also_after_a_restore(audited, parent):
    for verifier in (audit, python):
        code, out, err = verifier(parent, "old.pem")
        assert code == PROVEN, out + err


def test_what_a_parent_has_replaced_may_be_gone_when_its_child_is_old_enough(audited, parent, tmp_path):
    subprocess.run([make_target("bin/make_archive"), tmp_path / "late", "late"], check=True)
    shutil.copytree(parent, tmp_path / "young")
    for name, expected in (("late", PROVEN), ("young", NOT_PROVEN)):
        folder = tmp_path / name
        for verifier in (audit, python):
            assert verifier(folder)[0] == PROVEN
        replaced = (folder / "replaced").read_text().split()
        assert replaced
        for key in replaced:
            (folder / "archive" / key).unlink()
        for verifier in (audit, python):
            code, out, err = verifier(folder)
            assert code == expected, name + out + err
    next((tmp_path / "late/archive").glob("*/topics/*/0/seg/*.seg")).unlink()
    for verifier in (audit, python):
        assert verifier(tmp_path / "late")[0] == NOT_PROVEN


def test_an_archive_that_was_rolled_back_is_found_by_who_was_there(audited, parent, incarnations, tmp_path):
    folder = pathlib.Path(shutil.copytree(parent, tmp_path / "back"))
    first = incarnations[0]["incarnation"]
    for other in (folder / "archive").iterdir():
        if other.name != first:
            shutil.rmtree(other)
    root = folder / "archive" / first / "root"
    newest = max(root.iterdir())
    (folder / "newest").write_bytes(newest.read_bytes())
    assert audit(folder, "key.pem", "--since", folder / "newest")[0] == PROVEN
    assert audit(folder, "key.pem", "--since", folder / "visit")[0] == PROVEN
    newest.unlink()
    for verifier in (audit, python):
        assert verifier(folder)[0] == PROVEN     # it is what the archive was
        code, out, err = verifier(folder, "key.pem", "--since", folder / "newest")
        assert code == NOT_PROVEN, out + err


def test_the_program_is_one_file_without_code_for_the_network(audited):
    head = subprocess.run(["readelf", "-l", "-d", AUDIT], capture_output=True, text=True, check=True).stdout
    if "INTERP" in head:
        pytest.skip("builds with sanitizers are not static")
    assert "(NEEDED)" not in head
    names = subprocess.run(["nm", AUDIT], capture_output=True, text=True, check=True).stdout
    assert "archive_verify" in names
    assert not NO_NETWORK.findall(names)
