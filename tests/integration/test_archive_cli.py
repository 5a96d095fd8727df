# SPDX-License-Identifier: Apache-2.0
"""evlog archive ls, verify, tail, prove, check-proof, attest, check-attest, export: on an archive in a directory,
without a server."""
import csv
import gzip
import hashlib
import json
import re
import shutil
import sqlite3
import struct
import subprocess

import pytest

from cli_kit import evlog
from evlogd import BIN, Broker
from make_target import make_target

EVENTS = 710        # of users, from offset 0; the batch at 4 was redacted in the tree that is made
ORDERS = 297  # 50 have left by age


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    subprocess.run([make_target("bin/make_archive"), folder], check=True, timeout=60)
    return folder


def url(folder):
    return f"file://{folder}/archive"


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def test_mistakes_are_told(made, tmp_path):
    evlog("archive", "ls", expect=2)
    evlog("archive", "verify", url(made), expect=2)                      # no key
    evlog("archive", "tail", url(made), expect=2)                        # no topic
    evlog("archive", "tail", url(made), "-t", "users", "--from", "?", expect=2)
    evlog("archive", "export", url(made), "-t", "users", "--to", tmp_path, "--format", "parquet", expect=2)
    evlog("archive", "ls", f"file://{tmp_path}", expect=5)               # nothing there
    evlog("archive", "tail", url(made), "-t", "nothing", expect=5)
    (tmp_path / "no.pem").write_text("no key\n")
    evlog("archive", "verify", url(made), "--key", tmp_path / "no.pem", expect=1)
    evlog("archive", "verify", url(made), "--key", made / "key.pem", "--since", tmp_path / "none", expect=1)


@pytest.mark.parametrize("wrong, said", [
    ("http://h/b", "http:...: neither s3://BUCKET/PREFIX nor file:///DIR"),
    ("file://rel", "file://rel: a directory is named by its whole path: file:///DIR"),
    ("s3://b", "s3://BUCKET/PREFIX: a bucket's name has 3 to 63 letters, digits"),
])
def test_a_url_that_names_no_store_is_wrong_use_everywhere(made, tmp_path, wrong, said):
    key, topic, out = ("--key", made / "key.pem"), ("-t", "users"), ("--out", tmp_path / "out")
    projection = tmp_path / "p.sql"
    projection.write_text("create table x(a);\n", encoding="utf-8")
    for command in (("ls",), ("verify", *key), ("tail", *topic), ("restore", "--to", tmp_path / "data"),
                    ("export", *topic, "--to", tmp_path / "files"), ("prove", *topic, "--offset", "0", *out),
                    ("attest", *topic, "--until", "2020-01-01T00:00Z", "--project", projection, *out, *key)):
        told = evlog("archive", command[0], wrong, *command[1:], expect=2)
        assert f"EVL-1003: {said}" in told.err, told.err
    told = evlog("replay", "users", "--source", "archive", "--archive", wrong, expect=2)
    assert f"EVL-1003: {said}" in told.err
    assert not any((tmp_path / name).exists() for name in ("data", "files", "out"))


def test_ls_shows_topics(made):
    head, *topics = evlog("archive", "ls", url(made), "--key", made / "key.pem", "--json", expect=0).lines()
    assert head["root"] == 2 and len(head["incarnation"]) == 32
    assert {t["topic"]: t["offsets"] for t in topics if not t["deleted"]} == {"orders": ORDERS, "users": EVENTS}


def test_verify_proves_and_keeps_the_root(made, tmp_path):
    for more in ([], ["--deep"], ["--deep", "-j", "1"]):
        [verdict] = evlog("archive", "verify", url(made), "--key", made / "key.pem", "--json", *more, expect=0).lines()
        assert verdict["proven"] and verdict["failures"] == [] and verdict["redactions"] != []
    # who holds the key that came before finds its successors, and whoever was there before sees that nothing was lost
    evlog("archive", "verify", url(made), "--key", made / "old.pem", "--since", made / "visit", "--save",
          tmp_path / "note", expect=0)
    assert (tmp_path / "note").read_text().startswith("evlog/")
    evlog("archive", "verify", url(made), "--key", made / "key.pem", "--since", tmp_path / "note", expect=0)


def test_verify_names_what_was_changed(copied):
    pack = sorted(copied.glob("archive/*/topics/*/*/seg/*"))[-1]
    data = bytearray(pack.read_bytes())
    data[-3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    result = evlog("archive", "verify", url(copied), "--key", copied / "key.pem", "--deep", "--json", expect=8)
    [verdict] = result.lines()
    assert not verdict["proven"]
    found = [f for f in verdict["failures"] if f["object"] == str(pack.relative_to(copied / "archive"))]
    assert any(f["byte"] is not None and len(data) - 200 < f["byte"] < len(data) and f["offset"] >= 0 for f in found)
    text = evlog("archive", "verify", url(copied), "--key", copied / "key.pem", "--deep", expect=8)
    assert "not proven" in text.out and pack.name in text.out


def test_tail_resumes_anywhere(made, tmp_path):
    whole = evlog("archive", "tail", url(made), "-t", "users", "--json", expect=0).lines()
    assert [e["offset"] for e in whole] == sorted(e["offset"] for e in whole)
    for cut in (1, 100, len(whole)):
        rest = evlog("archive", "tail", url(made), "-t", "users", "--json", "--from", whole[cut - 1]["position"],
                     expect=0).lines()
        assert rest == whole[cut:]
    got = []
    for _ in range(4):
        got += evlog("archive", "tail", url(made), "-t", "users", "--json", "--state", tmp_path / "state", "-n", 200,
                     expect=0).lines()
    assert got == whole
    later = evlog("archive", "tail", url(made), "-t", "users", "--json", "--from", whole[300]["append_time"], expect=0)
    assert later.lines()[0]["append_time"] == whole[300]["append_time"]


def test_a_proof_stands_alone(made, tmp_path):
    key = ["--key", made / "key.pem"]
    evlog("archive", "prove", url(made), "-t", "users", "-o", 100, "--out", tmp_path / "proof", expect=0)
    [said] = evlog("archive", "check-proof", tmp_path / "proof", *key, "--json", expect=0).lines()
    assert said["first_offset"] <= 100 <= said["last_offset"]
    assert "users/0/100" in evlog("archive", "check-proof", tmp_path / "proof", *key, expect=0).out
    text = (tmp_path / "proof").read_text()
    # behind that come signature lines, of which one that holds is enough
    for at in range(40, text.index("\u2014"), 53):
        if text[at] in "\n ":
            continue
        (tmp_path / "bad").write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:])
        assert evlog("archive", "check-proof", tmp_path / "bad", *key).code == 8, at
    result = evlog("archive", "prove", url(made), "-t", "users", "-o", EVENTS - 1, "--out", tmp_path / "late", expect=5)
    assert "EVL-2081" in result.err and "--seal" in result.err and not (tmp_path / "late").exists()
    evlog("archive", "prove", url(made), "-t", "users", "-o", EVENTS, "--out", tmp_path / "late", expect=5)


REPORT = """-- name: report
-- topics: orders
-- setup
CREATE TABLE counted (part INTEGER PRIMARY KEY, events INTEGER NOT NULL, newest TEXT, share REAL, last BLOB);
-- on *
INSERT INTO counted VALUES (:partition, 1, :append_time, 0.5, CAST(:data AS BLOB))
  ON CONFLICT (part) DO UPDATE SET events = events + 1, newest = excluded.newest, last = excluded.last;
"""


def table_line(path, table):
    """A table's line, made from the document alone."""
    def counted(data):
        return struct.pack(">Q", len(data)) + data

    def encoded(value):
        if value is None:
            return b"\0"
        if isinstance(value, int):
            return b"\1" + struct.pack(">q", value)
        if isinstance(value, float):
            return b"\2" + struct.pack(">d", value)
        return b"\3" + counted(value.encode()) if isinstance(value, str) else b"\4" + counted(value)

    rows = sqlite3.connect(path).execute(f"SELECT * FROM {table}")
    names = b"".join(counted(column[0].encode()) for column in rows.description)
    hashes = sorted(hashlib.sha256(b"".join(map(encoded, row))).digest() for row in rows)
    return f'table {len(hashes)} {hashlib.sha256(names + b"".join(hashes)).hexdigest()} "{table}"'


def test_an_attestation_holds_and_nothing_else_does(tmp_path):
    """It is checked by making it again; each change is refused with its reason, and no temporary file is left."""
    copied, project, note = tmp_path / "small", tmp_path / "report.sql", tmp_path / "note"
    copied.mkdir()
    subprocess.run([make_target("bin/make_archive"), copied, "small"], check=True, timeout=60)
    place = url(copied)
    project.write_text(REPORT)
    broken = tmp_path / "broken.sql"
    broken.write_text(REPORT + "-- more\n")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def run(*words, expect):
        result = evlog("archive", *words, expect=expect, env={"TMPDIR": str(temporary)})
        assert list(temporary.iterdir()) == []
        return result

    whole = evlog("archive", "tail", place, "-t", "orders", "--json", expect=0).lines()
    complete = evlog("archive", "ls", place, "--json", expect=0).lines()[0]["complete_through"]
    until = sorted(event["append_time"] for event in whole)[len(whole) // 2]
    count = sum(event["append_time"] <= until for event in whole)
    made = ["attest", place, "-t", "orders", "--project", project, "--key", private, "--out", note]
    refused = run(*made, "--until", "now", expect=2)
    assert "EVL-2083" in refused.err and f"complete through {complete}" in refused.err
    refused = run(*made, "--until", until, "--pub", public, expect=8)
    assert "sign" in refused.err and not note.exists()
    run(*made, "--until", until, "--pub", copied / "key.pem", expect=0)

    rows = tmp_path / "rows.db"
    replayed = evlog("replay", "orders", "--source", "archive", "--archive", place, "--until", until,
                     "--project", project, "--to", f"sqlite:{rows}", expect=0)
    lines = note.read_text().splitlines()
    assert f"events {count} {replayed.digest()[0]}" in lines and f"until {until}" in lines
    assert f"projection {hashlib.sha256(project.read_bytes()).hexdigest()}" in lines
    assert table_line(rows, "counted") in lines
    # Two offsets are redacted, seven a gap, and the first of a partition have left.
    assert [line for line in lines if line.startswith("history")] == ["history partial 9"]

    again = ["check-attest", note, "--key", public, "--archive", place]
    [said] = run(*again, "--project", project, "--pub", copied / "key.pem", "--json", expect=0).lines()
    assert said["signed"] and said["made_again"] and note.read_text().startswith(said["attested"])
    assert "line 6 differs: attested is \"projection " in run(*again, "--project", broken, expect=8).err
    assert "none of these keys" in run("check-attest", note, "--key", copied / "key.pem", expect=8).err
    edited = tmp_path / "edited"
    edited.write_text(note.read_text().replace(f"events {count} ", f"events {count + 1} "))
    assert "not what was signed" in run("check-attest", edited, "--key", public, expect=8).err
    run(*made[:-3], note, "--out", edited, "--until", until, expect=1)      # a note is no key
    run(*made[:-4], "--out", edited, "--until", until, expect=0)
    assert "nobody has signed it" in run("check-attest", edited, "--key", public, expect=8).err

    for pack in copied.glob("archive/*/topics/*/*/seg/*"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
    assert re.search("topics/.*/seg/", run(*again, "--project", project, expect=8).err)
    assert re.search("topics/.*/seg/", run(*made, "--until", until, expect=8).err)


def exported(folder, topic, suffix):
    """(partition, offset) of every event, in the order of file names."""
    found = []
    for path in sorted(folder.glob(f"topic={topic}/date=*/*{suffix}")):
        assert re.fullmatch(r"date=\d{4}-\d\d-\d\d", path.parent.name)
        text = gzip.decompress(path.read_bytes()).decode() if suffix.endswith(".gz") else path.read_text()
        rows = csv.DictReader(text.splitlines()) if ".csv" in suffix else map(json.loads, text.splitlines())
        found += [(int(row["partition"]), int(row["offset"])) for row in rows]
    return found


@pytest.mark.parametrize("words, suffix", [((), ".jsonl"), (("--gzip",), ".jsonl.gz"), (("--format", "csv"), ".csv")])
def test_export_has_each_event_once(made, tmp_path, words, suffix):
    whole = evlog("archive", "tail", url(made), "-t", "orders", "--json", expect=0).lines()
    want = sorted((e["partition"], e["offset"]) for e in whole)
    for _ in range(2):
        evlog("archive", "export", url(made), "-t", "orders", "--to", tmp_path, *words, expect=0)
        assert sorted(exported(tmp_path, "orders", suffix)) == want
    # a run that was interrupted between its file and its position leaves a file whose events come again
    (tmp_path / "topic=orders/.evlog-position").unlink()
    evlog("archive", "export", url(made), "-t", "orders", "--to", tmp_path, *words, expect=0)
    assert sorted(exported(tmp_path, "orders", suffix)) == want


def test_duckdb_reads_an_export(made, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    for words in (("--zstd",), ("--format", "csv", "--gzip")):
        folder = tmp_path / words[-1]
        evlog("archive", "export", url(made), "-t", "users", "--to", folder, *words, expect=0)
        reader = "read_csv" if "csv" in words else "read_json_auto"
        [row] = duckdb.sql(f"select count(*), max(\"offset\"), min(topic) from {reader}('{folder}/topic=*/date=*/*', "
                           f"hive_partitioning=true)").fetchall()
        events = len(evlog("archive", "tail", url(made), "-t", "users", "--json", expect=0).lines())
        assert row == (events, EVENTS - 1, "users")


def test_tail_follows_a_broker(tmp_path):
    """Who follows sees what is published, also when there was nothing yet; positions outlive the broker."""
    place, lines = f"file://{tmp_path}/archive", []
    broker = Broker(tmp_path / "data", args=[f"--archive={place}", "--archive-max-lag-ms=100"]).start()
    tail = subprocess.Popen([BIN / "evlog", "archive", "tail", place, "-t", "t", "--follow", "--interval", "50ms",
                             "--json"], stdout=subprocess.PIPE, text=True)
    try:
        for part in range(2):
            evlog("produce", "--create", "t", *range(part * 5, part * 5 + 5), bootstrap=broker.bootstrap, expect=0)
            lines += [json.loads(tail.stdout.readline()) for _ in range(5)]
        assert [line["data"] for line in lines] == list(range(10))
    finally:
        tail.terminate()
        tail.wait(timeout=60)
        broker.stop()
    keys = tmp_path / "data/keys/archive.pub.pem"
    rest = evlog("archive", "tail", place, "-t", "t", "--json", "--key", keys, "--from", lines[6]["position"], expect=0)
    assert rest.lines() == lines[7:]
    evlog("archive", "verify", place, "--key", keys, "--deep", expect=0)
