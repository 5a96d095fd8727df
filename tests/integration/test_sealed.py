# SPDX-License-Identifier: Apache-2.0
"""Sealed fields and erasure, as a user has them.

Goal: personal fields lie encrypted in the log and come back for whoever has the key store; without it, or once the key
is gone, nobody takes a ciphertext or an erased field for a value. Method: the program on one evlogd; a second reader of
the bytes, made from the documents, opens what the program has sealed.
"""
import base64
import json
import sqlite3

import pytest

from cli_kit import evlog
from conftest import Broker, backends, start_or_skip
from sealed import KeyStore, open_bytes, open_field

DATA = '{"customer":{"name":"Ada","email":"ada@example.org"},"total":30.5}'
PROJECTION = """-- name: people
-- topics: TOPIC, evlog.erasures
-- setup
CREATE TABLE people (id TEXT, name TEXT, total REAL, erased INT, subject TEXT);
-- on OrderPlaced
INSERT INTO people VALUES (:key, NAME, :data.total, ERASED, :subject.customer);
-- on evlog.erased
DELETE FROM people WHERE subject = :data.subject;
"""


class Sealed:
    def __init__(self, broker, topic, folder):
        self.broker, self.topic, self.folder = broker, topic, folder
        self.keys = folder / "keys"
        evlog("keys", "init", self.keys, "--master", folder / "master", expect=0)
        self.evlog("topics", "create", topic, "--set", "evlog.streams=true")

    def evlog(self, *args, expect=0, **named):
        return evlog(*args, bootstrap=self.broker.bootstrap, expect=expect, **named)

    def append(self, key, subject="ada", data=DATA, paths=("customer",), expect=0):
        seals = [word for path in paths for word in ("--seal", path)]
        return self.evlog("append", self.topic, key, "--type", "OrderPlaced", "--data", data, *seals, "--subject",
                          subject, "--keys", self.keys, expect=expect)

    def read(self, key, *args, expect=0):
        return self.evlog("read", self.topic, key, "--json", *args, expect=expect)

    def erase(self, *args, subject="ada", expect=0):
        return self.evlog("erase", subject, "--keys", self.keys, f"--confirm={subject}", *args, expect=expect)

    def project(self, *args, name=":data.customer.name", erased="0", expect=0, verb="run"):
        text = PROJECTION.replace("TOPIC", self.topic).replace("NAME", name).replace("ERASED", erased)
        (self.folder / "people.sql").write_text(text)
        words = ("--until-caught-up",) if verb == "run" else ()
        return self.evlog("project", verb, self.folder / "people.sql", "--db", f"sqlite:{self.folder / 'p.db'}",
                          *words, *args, expect=expect)

    def rows(self):
        with sqlite3.connect(self.folder / "p.db") as db:
            return db.execute("SELECT id, name, total, erased FROM people ORDER BY id").fetchall()


@pytest.fixture(scope="module")
def one_broker(tmp_path_factory):
    """Nothing here depends on the io backend: one server for all."""
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), io=backends()[0]))
    evlog("topics", "create", "evlog.erasures", "--set", "evlog.streams=true", bootstrap=instance.bootstrap, expect=0)
    yield instance
    assert instance.stop() == 0


@pytest.fixture
def sealed(one_broker, topic, tmp_path):
    return Sealed(one_broker, topic, tmp_path)


# --- refusals ---------------------------------------------------------------------------------------------------------

def test_refusals_say_what_to_do(sealed, tmp_path):
    sealed.append("k")
    told = sealed.evlog("append", sealed.topic, "k", "--type", "T", "--data", "{}", "--seal", "a", expect=2)
    assert "--subject" in told.err
    told = sealed.evlog("append", sealed.topic, "k", "--type", "T", "--data", '{"a":1}', "--seal", "a", "--subject",
                        "ada", expect=2)
    assert "--keys" in told.err and "keys init" in told.err
    assert 'no field "b"' in sealed.append("k", data='{"a":1}', paths=["b"], expect=5).err
    assert "key store" in sealed.read("k", "--keys", tmp_path / "nowhere", expect=1).err
    (tmp_path / "other").write_text("0" * 64)
    (tmp_path / "other").chmod(0o600)
    assert "another one" in sealed.read("k", "--keys", sealed.keys, "--master", tmp_path / "other", expect=1).err
    (tmp_path / "other").chmod(0o644)
    assert "others may use it" in sealed.read("k", "--keys", sealed.keys, "--master", tmp_path / "other", expect=1).err
    evlog("keys", "init", tmp_path / "keys2", "--master", tmp_path / "master", expect=0)
    told = sealed.read("k", "--keys", tmp_path / "keys2", expect=1)
    assert "not in this key store" in told.err and told.out == ""
    assert "--confirm" in sealed.evlog("erase", "ada", "--keys", sealed.keys, "--no-input", expect=2).err
    assert "no such subject" in sealed.erase(subject="eve", expect=5).err


def test_a_field_opens_for_no_other_event(sealed):
    sealed.append("k")
    data = json.dumps(sealed.read("k").lines()[0]["data"])
    sealed.evlog("append", sealed.topic, "thief", "--type", "OrderPlaced", "--data", data)
    told = sealed.read("thief", "--keys", sealed.keys, expect=8)
    assert "sealed for another event" in told.err and "offset 1" in told.err and told.out == ""
    sealed.project("--keys", sealed.keys, "--on-error", "skip", "--retries", 0)
    assert sealed.rows() == [("k", "Ada", 30.5, 0)]


# --- sealed, and opened again -----------------------------------------------------------------------------------------

def test_a_second_reader_opens_what_was_sealed(sealed):
    sealed.append("k", paths=["customer.name", "customer.email"])
    sealed.append("raw", data='{"x":1}', paths=["."])
    row = sealed.read("k").lines()[0]
    store = KeyStore(sealed.keys)
    for field, value in (("name", "Ada"), ("email", "ada@example.org")):
        box = row["data"]["customer"][field]
        key, subject = store.key(box["$sealed"]["k"])
        assert subject == b"ada"
        assert open_field(key, box, "k", row["id"], f"/customer/{field}") == value
        with pytest.raises(ValueError):
            open_field(key, box, "k", row["id"], "/customer/other")
    raw = sealed.read("raw").lines()[0]
    assert open_bytes(key, base64.b64decode(raw["data_base64"]), "raw", raw["id"]) == b'{"x":1}'
    assert sealed.read("raw", "--keys", sealed.keys).lines()[0]["data"] == {"x": 1}


def test_every_way_of_reading_opens(sealed):
    sealed.append("k")
    at = ("--keys", sealed.keys)
    want = json.loads(DATA)
    assert sealed.read("k", *at).lines()[0]["data"] == want
    assert json.loads(sealed.evlog("consume", sealed.topic, *at).out) == want
    replayed, plain = sealed.evlog("replay", sealed.topic, *at), sealed.evlog("replay", sealed.topic)
    assert replayed.lines()[0]["data"] == want
    assert replayed.digest() == plain.digest(), "the digest is of what is stored"
    assert "$sealed" in plain.out and "Ada" not in plain.out
    sealed.evlog("produce", sealed.topic, "-k", "p", "--seal", "n", "--subject", "bob", *at, '{"n":1}', '{"n":2}')
    lines = sealed.read("p", *at).lines()
    assert [line["data"]["n"] for line in lines] == [1, 2] and lines[0]["id"] != lines[1]["id"]
    evlog("keys", "rotate", "--keys", sealed.keys, "--new-master", sealed.folder / "second", expect=0)
    assert sealed.read("k", *at).lines()[0]["data"] == want
    assert "another one" in sealed.read("k", *at, "--master", sealed.folder / "master", expect=1).err


# --- erasure ----------------------------------------------------------------------------------------------------------

def test_erasure_has_two_steps_and_the_first_can_be_undone(sealed):
    sealed.append("k")
    first = sealed.erase().lines()[0]
    assert first["state"] == "disabled"
    name = sealed.read("k", "--keys", sealed.keys).lines()[0]["data"]["customer"]["$erased"]
    assert name["subject"] == first["subject"] and name["restorable"] is True
    assert "disabled" in sealed.append("k", expect=6).err
    assert "can be restored until" in sealed.erase(expect=6).err
    evlog("keys", "restore", "ada", "--keys", sealed.keys, expect=0)
    assert sealed.read("k", "--keys", sealed.keys).lines()[0]["data"] == json.loads(DATA)
    sealed.erase("--grace", 0)
    gone = sealed.erase().lines()[0]
    assert gone["state"] == "destroyed" and gone["subject"] == first["subject"]
    data = sealed.read("k", "--keys", sealed.keys).lines()[0]["data"]
    assert data["customer"]["$erased"]["restorable"] is False and data["total"] == 30.5
    assert "no such subject" in evlog("keys", "restore", "ada", "--keys", sealed.keys, expect=5).err
    told = sealed.evlog("read", "--json", "evlog.erasures", "--", gone["subject"]).lines()
    assert [(row["type"], row["data"]["subject"]) for row in told] == [("evlog.erased", gone["subject"])]
    states = [row["state"] for row in evlog("keys", "ls", "--keys", sealed.keys, "--json", expect=0).lines()]
    assert states == ["destroyed"]


def test_the_log_is_told_once_whatever_happens_in_between(sealed):
    sealed.append("k")
    told = evlog("erase", "ada", "--keys", sealed.keys, "--confirm=ada", "--now", "-b", "127.0.0.1:1", "--timeout",
                 "200ms")
    assert told.code != 0 and told.out == ""
    erase = ("erase", "ada", "--keys", sealed.keys, "--confirm=ada", "--now", "--erasures")
    missing = sealed.evlog(*erase, "evlog-erasures-none", expect=5)
    assert "nothing was destroyed" in missing.err

    def states():
        return [row["state"] for row in evlog("keys", "ls", "--keys", sealed.keys, "--json", expect=0).lines()]

    assert states() == ["live"]
    sealed.evlog("topics", "create", "evlog-erasures-plain", "--if-not-exists")
    assert sealed.evlog(*erase, "evlog-erasures-plain", expect=None).code != 0  # it takes no streams
    assert states() == ["destroyed-untold"]
    gone = sealed.erase().lines()[0]
    rows = sealed.evlog("read", "--json", "evlog.erasures", "--", gone["subject"]).lines()
    assert len(rows) == 1


# --- projections ------------------------------------------------------------------------------------------------------

def test_a_projection_without_a_key_store_takes_no_ciphertext(sealed):
    sealed.append("k")
    for name in (":data.customer.name", ":data.customer", ":data.customer?", ":data.customer.name?", ":data"):
        told = sealed.project("--on-error", "skip", "--accept-change", name=name, expect=1)
        assert "is sealed: --keys" in told.err and "people.sql:6" in told.err
    assert sealed.rows() == []
    sealed.project("--keys", sealed.keys, "--accept-change")
    assert sealed.rows() == [("k", "Ada", 30.5, 0)]


def test_a_handler_that_never_heard_of_erasure_gets_no_garbage(sealed):
    sealed.append("k")
    sealed.append("other", subject="bob")
    sealed.project("--keys", sealed.keys)
    assert len(sealed.rows()) == 2
    sealed.erase("--now")
    sealed.project("--keys", sealed.keys)
    assert sealed.rows() == [("other", "Ada", 30.5, 0)], "the erasure removed her row"
    for name in (":data.customer.name", ":data.customer", ":data"):
        told = sealed.project("--keys", sealed.keys, "--retries", 0, verb="rebuild", name=name, expect=1)
        assert "erased" in told.err and "offset 0" in told.err
    sealed.project("--keys", sealed.keys, verb="rebuild", name=":data.customer.name?", erased=":erased")
    rows = sealed.rows() # topics have no order among each other: her row may come behind the erasure
    assert ("other", "Ada", 30.5, 0) in rows and set(rows) <= {("other", "Ada", 30.5, 0), ("k", None, 30.5, 1)}
    sealed.evlog("replay", sealed.topic, "--to", f"sqlite:{sealed.folder / 'all.db'}", "--keys", sealed.keys)
    with sqlite3.connect(sealed.folder / "all.db") as db:
        assert "Ada" not in "".join(map(str, db.execute("SELECT * FROM events WHERE key = 'k'").fetchall()))


def test_the_report_names_who_may_hold_copies(sealed):
    sealed.append("k")
    sealed.evlog("consume", sealed.topic, "-g", "readers-" + sealed.topic, "-n", 1)
    sealed.evlog("snapshot", "put", sealed.topic, "k", "--data", "{}")
    sealed.project("--keys", sealed.keys)
    at = ("--report", "-t", sealed.topic, "--db", f"sqlite:{sealed.folder / 'p.db'}", "--json")
    before = sealed.evlog("erase", "ada", "--keys", sealed.keys, *at).lines()
    assert [(row["kind"], row["events"]) for row in before][0] == ("log", 1)
    gone = sealed.erase("--now").lines()[0]["subject"]
    after = {row["kind"]: row for row in sealed.evlog("erase", *at, "--", gone).lines()}
    assert set(after) == {"log", "group", "projection", "snapshot"}
    assert "does not read erasures" in after["group"]["state"]
    assert "lags behind" in after["projection"]["state"]
    sealed.project("--keys", sealed.keys)
    after = {row["kind"]: row for row in sealed.evlog("erase", *at, "--", gone).lines()}
    assert after["projection"]["state"] == "has read the erasure"
    assert "is no pseudonym" not in sealed.evlog("erase", "nobody", "--keys", sealed.keys, *at, expect=5).err
