# SPDX-License-Identifier: Apache-2.0
"""Time travel: replay into files, programs, topics and the rows of a projection; rolling a table back; diff, blame and
bisect.

Goal: what a replay makes is that of the time asked for, whatever the number of partitions and where it goes to; what
makes no sense is refused, and an interrupted or refused replay leaves nothing behind. Method: refusals first; real
histories whose states are known; small topics by hand.
"""
import json
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from cli_kit import BIN, evlog, shared_data, state_hash
from one_broker import broker  # noqa: F401

FILES = """-- name: files
-- topics: TOPIC
-- setup
CREATE TABLE file (path TEXT PRIMARY KEY, blob TEXT NOT NULL);
-- on file.added, file.changed
INSERT INTO file VALUES (:key, :data.blob) ON CONFLICT (path) DO UPDATE SET blob = excluded.blob;
-- on file.removed
DELETE FROM file WHERE path = :key;
"""


@pytest.fixture
def run(broker):
    def command(*args, **more):
        return evlog(*args, bootstrap=broker.bootstrap, **more)
    return command


@pytest.fixture
def table(run, topic):
    """A compacted topic: a and b are set, then a is changed, b removed and c set; the time between."""
    run("topics", "create", topic, "-p", 3, "--set", "cleanup.policy=compact", expect=0)
    lines = [{"k": "a", "v": 1}, {"k": "b", "v": 1}]
    for line in lines:
        run("produce", topic, "-k", line["k"], "-H", f"kind=first-{line['k']}", json.dumps(line), expect=0)
    then = run("replay", topic, expect=0).lines()[-1]["append_time"]
    run("produce", topic, "-k", "a", '{"k":"a","v":2}', expect=0)
    run("produce", topic, "-k", "b", "-Z", "", expect=0)
    run("produce", topic, "-k", "c", '{"k":"c","v":1}', expect=0)
    return topic, then


def states(run, topic):
    return {row["key"]: row["data"] for row in run("replay", topic, "--fold", "latest", expect=0).lines()}


def ask(path, sql):
    with sqlite3.connect(path) as db:
        return db.execute(sql).fetchall()


# --- refusals ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, code, about", [
    (["--to", "nowhere"], 2, "stdout, sqlite:FILE, topic:NAME or exec:COMMAND"),
    (["--to", "sqlite:"], 2, "sqlite:FILE"),
    (["--project", "p.sql"], 2, "--to sqlite:FILE"),
    (["--from", "12"], 2, "name the KEY"),
    (["--from", "rubbish"], 2, "TOPIC/PARTITION/OFFSET"),
    (["--from", "x" * 40], 1, "is no position"),
    (["--from", "other/0/0"], 2, "not one of topic"),
    (["--speed", "fast"], 2, "10x"),
    (["--speed", "0x"], 2, "10x"),
    (["--speed", "2x", "--fold", "latest"], 2, "--speed"),
    (["--source", "archive"], 2, "--archive URL"),
    (["--archive", "file:///nowhere/at/all"], 5, "no such directory"),
    (["--source", "tape"], 2, "broker, archive or auto"),
    (["--dry-run"], 2, "--to topic:NAME"),
])
def test_what_makes_no_sense_is_refused(run, broker, words, code, about):
    run("produce", "refusals", "--create", "-k", "k", "v", expect=0)
    refused = run("replay", "refusals", *words)
    assert refused.code == code and about in refused.err
    assert refused.out == "" and "digest" not in refused.err


def test_a_position_behind_the_end_is_refused(run, topic):
    run("produce", topic, "--create", "-k", "k", "v", expect=0)
    refused = run("replay", topic, "--from", f"{topic}/0/1")
    assert refused.code == 2 and "behind the end" in refused.err


def test_a_file_that_is_there_is_left_alone(run, topic, tmp_path):
    run("produce", topic, "--create", "-k", "k", "v", expect=0)
    there = tmp_path / "there.db"
    there.write_text("mine")
    refused = run("replay", topic, "--to", f"sqlite:{there}")
    assert refused.code == 6 and there.read_text() == "mine"


@pytest.mark.parametrize("text, code, about", [
    (FILES.replace("TOPIC", "other"), 2, "not of topic"),
    (FILES.replace("TOPIC", "TOPIC, other"), 2, "and other topics"),
    (FILES.replace(":data.blob", ":data.blub"), 1, "offset 0: :data.blub is missing"),
    (FILES.replace("INSERT INTO file", "INSERT INTO fill"), 1, "no such table"),
], ids=("topic", "topics", "field", "table"))
def test_a_projection_that_cannot_be_made_leaves_no_file(run, topic, tmp_path, text, code, about):
    run("produce", topic, "--create", "-k", "k", "-H", "ce_type=file.added", '{"blob":"1"}', expect=0)
    (tmp_path / "p.sql").write_text(text.replace("TOPIC", topic))
    refused = run("replay", topic, "--project", tmp_path / "p.sql", "--to", f"sqlite:{tmp_path}/then.db")
    assert refused.code == code and about in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["p.sql"]


def test_topics_that_are_no_tables_are_not_rolled_back_into(run, topic):
    run("produce", topic, "--create", "-k", "k", "v", expect=0)
    refused = run("replay", topic, "--fold", "latest", "--to", f"topic:{topic}")
    assert refused.code == 6 and "not compacted" in refused.err
    refused = run("replay", topic, "--to", f"topic:{topic}")
    assert refused.code == 6 and "into itself" in refused.err
    run("topics", "create", f"{topic}-streams", "--set", "evlog.streams=true", expect=0)
    refused = run("replay", topic, "--fold", "latest", "--to", f"topic:{topic}-streams")
    assert refused.code == 6 and "streams" in refused.err
    assert len(run("replay", topic, expect=0).lines()) == 1


# --- beginnings -------------------------------------------------------------------------------------------------------

def test_a_replay_goes_on_behind_a_position_and_at_one(run, topic):
    run("topics", "create", topic, "-p", 3, expect=0)
    for number in range(12):
        run("produce", topic, "-k", f"k{number % 5}", str(number), expect=0)
    rows = run("replay", topic, expect=0).lines()
    for index in (0, 5, 11):
        place = f"{topic}/{rows[index]['partition']}/{rows[index]['offset']}"
        assert run("replay", topic, "--from", place, expect=0).lines() == rows[index:]
    of_key = [row for row in rows if row["key"] == "k1"]
    assert run("replay", topic, "k1", "--from", 1, expect=0).lines() == of_key[1:]


def test_an_interrupted_replay_says_how_to_go_on(run, broker, topic):
    """The second event lies three seconds behind the first, and its time a thousand times as far."""
    run("topics", "create", topic, "-p", 2, expect=0)
    for number in range(2):
        run("produce", topic, "-k", str(number), str(number), expect=0)
    rows = run("replay", topic, expect=0).lines()
    process = subprocess.Popen([str(BIN / "evlog"), "replay", topic, "--speed", "0.000001x", "-b", broker.bootstrap],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "digest sha256" not in err
    assert [json.loads(first), *map(json.loads, out.splitlines())] == rows[:1]
    position = err.split("--from ")[1].split()[0]
    assert run("replay", topic, "--from", position, expect=0).lines() == rows[1:]


def test_speed_keeps_the_gaps_between_events(run, topic):
    """A tenth of a second apart, at half the speed: at least two tenths."""
    events = ({"specversion": "1.0", "id": str(n), "source": "/t", "type": "x", "subject": "k",
               "time": f"2020-01-01T00:00:00.{n}00Z"} for n in (1, 2))
    text = "".join(json.dumps(event) + "\n" for event in events)
    run("produce", topic, "--create", "--cloudevents", "-", stdin=text, expect=0)
    begin = time.monotonic()
    run("replay", topic, "--event-time", "--speed", "0.5x", expect=0)
    assert time.monotonic() - begin >= 0.2


def test_one_stream_is_read_by_the_index_and_the_same_as_by_the_log(run, topic):
    for name, setting in ((topic, "evlog.streams=true"), (f"{topic}-plain", "evlog.streams=false")):
        run("topics", "create", name, "-p", 2, "--set", setting, expect=0)
        lines = "".join(f"k{n % 3}:{n}\n" for n in range(30))
        run("produce", name, "-K:", stdin=lines, expect=0)
    for words in (["k1"], ["k1", "--from", 3], ["k1", "--fold", "latest"], ["none"], ["k1", "--until", "-1d"]):
        by_index = run("replay", topic, *words, expect=0)
        by_log = run("replay", f"{topic}-plain", *words, expect=0)
        assert by_index.digest() == by_log.digest()
        assert [(row["version"], row["data"]) for row in by_index.lines()] == \
            [(row["version"], row["data"]) for row in by_log.lines()]
    before = run("replay", topic, "k1", expect=0)
    run("streams", "delete", topic, "k1", expect=0)
    after = run("replay", topic, "k1", expect=0)
    assert after.lines()[:-1] == before.lines() and after.lines()[-1]["data"] is None


# --- targets ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("partitions", (1, 6))
@pytest.mark.parametrize("name, every", (("zstd", 1), ("libuv", 10)))
def test_the_rows_of_a_projection_are_those_of_every_listed_time(run, topic, tmp_path, name, every, partitions):
    path = shared_data() / f"{name}.events.ndjson.gz"
    known = json.loads((shared_data() / f"{name}.truth.json").read_text())
    known["states"] = known["states"][::-every][::-1]
    run("produce", topic, "--create", "-p", partitions, "--cloudevents", path, expect=0)
    (tmp_path / "p.sql").write_text(FILES.replace("TOPIC", topic))
    for number, state in enumerate(known["states"]):
        db = tmp_path / f"{number}.db"
        done = run("replay", topic, "--event-time", "--until", state["time"], "--project", tmp_path / "p.sql",
                   "--to", f"sqlite:{db}", expect=0)
        rows = [{"key": key, "data": {"blob": blob}} for key, blob in ask(db, "SELECT path, blob FROM file")]
        assert (len(rows), state_hash(rows)) == (state["files"], state["sha256"])
        digest, count, keys, _ = done.digest()
        assert count == state["events"]
        assert ask(db, "SELECT topic, digest, events, keys FROM evlog_replay") == [(topic, digest, count, keys)]
    again = run("replay", topic, "--event-time", "--until", known["states"][-1]["time"], "-q", expect=0)
    assert again.digest() == done.digest()
    run("produce", topic, "-k", "README.md", "-H", "ce_type=file.changed", '{"blob":"wrong"}', expect=0)
    wrong = run("replay", topic, "--project", tmp_path / "p.sql", "--to", f"sqlite:{tmp_path}/wrong.db", expect=0)
    assert wrong.digest()[0] != done.digest()[0]
    assert ask(tmp_path / "wrong.db", "SELECT blob FROM file WHERE path = 'README.md'") == [("wrong",)]


def test_the_filter_of_a_projection_counts_in_a_replay_too(run, topic, tmp_path):
    for number in range(4):
        run("produce", topic, "--create", "-k", "k", json.dumps({"n": number}), expect=0)
    (tmp_path / "p.sql").write_text(f"-- name: p\n-- topics: {topic}\n"
                                    '-- filter: {"data":{"n":[{"numeric":[">",1]}]}}\n'
                                    "-- setup\nCREATE TABLE seen (n INTEGER, version INTEGER);\n"
                                    "-- on *\nINSERT INTO seen VALUES (:data.n, :version);\n")
    run("replay", topic, "--project", tmp_path / "p.sql", "--to", f"sqlite:{tmp_path}/p.db", expect=0)
    assert ask(tmp_path / "p.db", "SELECT n, version FROM seen") == [(2, 2), (3, 3)]


def test_rows_of_events_and_of_the_state_go_into_a_file(run, topic, tmp_path):
    run("topics", "create", topic, "-p", 2, expect=0)
    for key, value in (("a", "1"), ("b", "[2]"), ("a", "3")):
        run("produce", topic, "-k", key, "-H", "ce_type=T", value, expect=0)
    run("replay", topic, "--to", f"sqlite:{tmp_path}/events.db", expect=0)
    assert ask(tmp_path / "events.db", "SELECT key, version, type, data FROM events ORDER BY append_time") == \
        [("a", 0, "T", "1"), ("b", 0, "T", "[2]"), ("a", 1, "T", "3")]
    run("replay", topic, "--fold", "latest", "--to", f"sqlite:{tmp_path}/state.db", expect=0)
    assert ask(tmp_path / "state.db", "SELECT key, version, data FROM state") == [("a", 1, "3"), ("b", 0, "[2]")]


def test_a_program_gets_every_event_and_its_exit_code_counts(run, topic, tmp_path):
    for number in range(3):
        run("produce", topic, "--create", "-k", "k", str(number), expect=0)
    done = run("replay", topic, "--to", f"exec:cat > {tmp_path}/lines; echo $EVLOG_TOPIC", expect=0)
    assert (tmp_path / "lines").read_text() == run("replay", topic, expect=0).out
    assert done.out == f"{topic}\n"
    for command, about in (("cat > /dev/null; exit 3", "exit code 3"), ("kill -9 $$", "signal 9")):
        failed = run("replay", topic, "--to", f"exec:{command}")
        assert failed.code == 1 and about in failed.err and "digest" not in failed.err


def test_a_copy_has_the_same_history(run, topic):
    run("topics", "create", topic, "-p", 3, expect=0)
    for number in range(9):
        run("produce", topic, "-k", f"k{number % 4}", "-H", f"ce_id={number}", str(number), expect=0)
    original = run("replay", topic, expect=0)
    run("replay", topic, "--to", f"topic:{topic}-copy", expect=0)
    copy = run("replay", f"{topic}-copy", expect=0)
    assert copy.digest() == original.digest()
    assert {row["key"]: row["time"] for row in copy.lines()} == {row["key"]: row["time"] for row in original.lines()}
    refused = run("replay", topic, "--to", f"topic:{topic}-copy")
    assert refused.code == 6 and "holds events already" in refused.err


def test_a_table_is_rolled_back_in_its_own_topic(run, table):
    topic, then = table
    words = ["replay", topic, "--until", then, "--fold", "latest", "--to", f"topic:{topic}"]
    assert states(run, topic) == {"a": {"k": "a", "v": 2}, "c": {"k": "c", "v": 1}}
    ends = run("topics", "describe", topic, "--json", expect=0).out
    for more, code in ((["--dry-run"], 0), ([], 2), (["--confirm", "other"], 2)):
        told = run(*words, *more, expect=code)
        assert "2 keys are set, 1 removed, 0 stay" in told.err
        assert run("topics", "describe", topic, "--json", expect=0).out == ends
    run(*words, "--confirm", topic, expect=0)
    assert states(run, topic) == {"a": {"k": "a", "v": 1}, "b": {"k": "b", "v": 1}}
    headers = run("consume", topic, "-f", "%k %h\\n", expect=0).out.split("\n")
    assert headers.count("a kind=first-a") == 2 and headers.count("b kind=first-b") == 2
    again = run(*words, "--confirm", topic, expect=0)
    assert "0 keys are set, 0 removed, 2 stay" in again.err


def test_a_table_is_rolled_back_into_a_topic_of_its_own(run, table):
    topic, then = table
    for _ in range(2):
        run("replay", topic, "--until", then, "--fold", "latest", "--to", f"topic:{topic}-then", expect=0)
        rows = run("replay", f"{topic}-then", expect=0).lines()
        assert {row["key"]: row["data"] for row in rows} == {"a": {"k": "a", "v": 1}, "b": {"k": "b", "v": 1}}
        assert len(rows) == 2
    assert "compact" in run("topics", "describe", f"{topic}-then", "--json", expect=0).out


def test_history_that_is_missing_is_no_state_to_roll_back_to(run, broker, topic):
    for number in range(2):
        run("produce", topic, "--create", "-k", str(number), "1", expect=0)
    with broker.connect() as conn:
        assert conn.delete_records(topic, 1) == (0, 1)
    words = ["replay", topic, "--fold", "latest", "--to", f"topic:{topic}-then"]
    refused = run(*words)
    assert refused.code == 7 and "no longer holds all events" in refused.err
    assert run("replay", f"{topic}-then", expect=0).lines() == []
    run(*words, "--accept-holes", expect=0)
    assert states(run, f"{topic}-then") == {"1": 1}


# --- diff, blame, bisect ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def story(broker):
    """Twelve events of four keys in three partitions, one of them a removal, and their append times."""
    def command(*args, **more):
        return evlog(*args, bootstrap=broker.bootstrap, expect=0, **more)
    command("topics", "create", "story", "-p", 3)
    for n in range(12):
        kind = "Gone" if n == 9 else "Set"
        data = {"n": n, "half": n // 2, "deep": {"parts": [n // 6, "same"]}}
        command("produce", "story", "-k", f"k{n % 4}", "-H", f"ce_type={kind}", json.dumps(data))
    rows = command("replay", "story").lines()
    assert [row["data"]["n"] for row in rows] == list(range(12))
    return rows


def folded(rows, drop=()):
    state = {}
    for row in rows:
        state[row["key"]] = row
    return {key: row for key, row in state.items() if row["type"] not in drop}


@pytest.mark.parametrize("words", [
    ["diff", "story", "-1h", "nonsense"],
    ["diff", "story", "-1h"],
    ["blame", "story"],
    ["blame", "story", "k0", "--merge"],
    ["bisect", "story", "--good", "-2h", "--", "true"],
    ["bisect", "story", "--good", "-1h", "--bad", "-2h", "--", "true"],
    ["bisect", "story", "--good", "-2h", "--bad", "-1h"],
    ["bisect", "story", "--good", "-2h", "--bad", "-1h", "--project", "p.sql", "--drop-type", "x", "--", "true"],
])
def test_questions_that_make_no_sense_are_refused(run, story, words):
    refused = run(*words)
    assert refused.code == 2 and refused.out == ""


@pytest.mark.parametrize("first, second, drop", [(2, 11, ()), (11, 2, ()), (8, 10, ("Gone",)), (5, 5, ())])
def test_diff_tells_the_keys_that_differ(run, story, first, second, drop):
    before, after = folded(story[:first + 1], drop), folded(story[:second + 1], drop)
    wanted = {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}
    more = [word for kind in drop for word in ("--drop-type", kind)]
    lines = run("diff", "story", story[first]["append_time"], story[second]["append_time"], *more, expect=0).lines()
    assert [line["key"] for line in lines] == sorted(wanted)
    for line in lines:
        old, new = wanted[line["key"]]
        assert (line["before"], line["after"]) == (old, new)
        assert line["change"] == ("added" if old is None else "removed" if new is None else "changed")
        if old and new:
            paths = {field["path"]: (field["before"], field["after"]) for field in line["fields"]}
            assert paths["n"] == (old["data"]["n"], new["data"]["n"]) and "deep.parts.1" not in paths
            assert ("deep.parts.0" in paths) == (old["data"]["deep"] != new["data"]["deep"])
    text = run("diff", "story", story[first]["append_time"], story[second]["append_time"], *more, "--plain", expect=0)
    assert sorted(line[2:4] for line in text.out.splitlines() if line[0] in "+-~") == sorted(wanted)


def test_blame_tells_the_event_that_set_a_key_and_each_field(run, story):
    assert run("blame", "story", "k2", expect=0).lines() == [story[10]]
    assert run("blame", "story", "k2", "--as-of", story[9]["append_time"], expect=0).lines() == [story[6]]
    fields = {line["field"]: line["event"] for line in run("blame", "story", "k2", "--fields", expect=0).lines()}
    assert fields == {"n": story[10], "half": story[10], "deep.parts.0": story[6], "deep.parts.1": story[2]}
    below = run("blame", "story", "k2", "--field", "deep", expect=0).lines()
    assert [line["field"] for line in below] == ["deep.parts.0", "deep.parts.1"]
    for words, about in ((["none"], "no key"), (["k2", "--field", "nix"], "no field"),
                         (["k1", "--drop-type", "Gone"], "removed by version 2")):
        refused = run("blame", "story", *words)
        assert refused.code == 5 and about in refused.err


def test_blame_of_events_that_tell_changes(run, topic):
    for data in ('{"a":1,"b":1}', '{"b":1}', '{"b":2}'):
        run("produce", topic, "--create", "-k", "k", data, expect=0)
    rows = run("replay", topic, expect=0).lines()
    merged = run("blame", topic, "k", "--fields", "--merge", expect=0).lines()
    assert {line["field"]: line["event"] for line in merged} == {"a": rows[0], "b": rows[2]}
    latest = run("blame", topic, "k", "--fields", expect=0).lines()
    assert [(line["field"], line["event"]) for line in latest] == [("b", rows[2])]


# In shell: n is the highest number in the state, whichever keys there are.
HIGHEST = r"""n=$(sed 's/.*"n": *\([0-9]*\).*/\1/' | sort -n | tail -1); """


def bisect(run, story, script, *more, good=1, bad=11, **rest):
    return run("bisect", "story", "--good", story[good]["append_time"], "--bad", story[bad]["append_time"], *more, "--",
               "sh", "-c", script, **rest)


@pytest.mark.parametrize("guilty", (2, 5, 9, 11))
def test_bisect_finds_the_guilty_event(run, story, guilty):
    found = bisect(run, story, f"{HIGHEST} test $n -lt {guilty}", expect=0)
    assert found.lines() == [story[guilty]]


def test_bisect_gives_the_rows_of_a_projection(run, story, tmp_path):
    (tmp_path / "p.sql").write_text("-- name: p\n-- topics: story\n-- setup\nCREATE TABLE seen (n INTEGER);\n"
                                    "-- on *\nINSERT INTO seen VALUES (:data.n);\n")
    script = "import os, sqlite3; assert sqlite3.connect(os.environ['EVLOG_DB']).execute(" \
        "'SELECT sum(n) FROM seen').fetchone()[0] < 20"
    found = run("bisect", "story", "--good", story[1]["append_time"], "--bad", story[11]["append_time"],
                "--project", tmp_path / "p.sql", "--", sys.executable, "-c", script,
                env={"TMPDIR": str(tmp_path)}, expect=0)
    assert found.lines() == [story[6]]
    assert [path.name for path in tmp_path.iterdir()] == ["p.sql"]


def test_bisect_steps_around_states_that_cannot_be_judged(run, story):
    refused = bisect(run, story, "exit 125")
    assert refused.code == 1 and "--good cannot be judged" in refused.err
    left = bisect(run, story, f"{HIGHEST} test $n -lt 4 && exit 0; test $n -lt 7 && exit 125; exit 1")
    assert left.code == 7 and left.lines() == story[4:8] and "one of 4 events" in left.err


@pytest.mark.parametrize("script, code, about", [
    ("exit 1", 1, "bad already"),
    ("exit 0", 1, "at --bad is good"),
    ("exit 128", 1, "exit code 128"),
    ("kill -9 $$", 1, "signal 9"),
])
def test_bisect_ends_where_it_cannot_search(run, story, script, code, about):
    refused = bisect(run, story, script)
    assert refused.code == code and about in refused.err and refused.out == ""


def test_bench_replay_measures_the_whole_history(run, story):
    told = run("bench", "replay", "story", "--state", "--json", expect=0).lines()[0]
    assert (told["events"], told["keys"]) == (12, 4)
    assert told["bytes"] == sum(len(row["key"]) + len(json.dumps(row["data"])) for row in story)
    assert told["seconds"] > 0 and told["read_seconds"] > 0
    assert run("bench", "replay", "none").code == 5


# --- tables -----------------------------------------------------------------------------------------------------------

def test_a_table_that_cannot_be_read_is_refused(run, topic):
    assert run("table", f"{topic}-none").code == 5
    run("topics", "create", topic, expect=0)
    assert run("table", topic, "k", "--prefix", "k").code == 2
    assert run("table", topic, "none").code == 5
    run("produce", topic, "-k", "k", "--file", "-", stdin="x" * 600_000, expect=0)
    run("produce", topic, "-k", "l", "--file", "-", stdin="y" * 600_000, expect=0)
    refused = run("table", topic, "--memory", 1)
    assert refused.code != 0 and "offset 1 does not fit" in refused.err and "memory_max" in refused.err


def test_a_table_is_the_last_event_of_each_key(run, table):
    topic, _ = table
    rows = run("table", topic, expect=0).lines()
    assert [(row["key"], row["data"]) for row in rows] == [("a", {"k": "a", "v": 2}), ("c", {"k": "c", "v": 1})]
    assert run("table", topic, "a", expect=0).lines() == rows[:1]
    assert run("table", topic, "--prefix", "c", expect=0).lines() == rows[1:]


def test_a_table_follows_changes_and_partitions_that_are_new(run, broker, topic):
    """A topic grows, and its keys move: the newer value counts, in the snapshot and in what comes."""
    run("topics", "create", topic, "-p", 1, expect=0)
    for number in range(20):
        run("produce", topic, "-k", f"k{number}", "1", expect=0)
    run("topics", "alter", topic, "-p", 4, expect=0)
    for number in range(10):
        run("produce", topic, "-k", f"k{number}", "2", expect=0)
    process = subprocess.Popen([str(BIN / "evlog"), "table", topic, "--follow", "-b", broker.bootstrap],
                               stdout=subprocess.PIPE, text=True)
    try:
        rows = [json.loads(process.stdout.readline()) for _ in range(20)]
        assert {row["key"]: row["data"] for row in rows} == {f"k{n}": 2 if n < 10 else 1 for n in range(20)}
        run("produce", topic, "-k", "k3", "3", expect=0)
        assert json.loads(process.stdout.readline())["data"] == 3
        run("produce", topic, "-k", "k15", "-Z", "", expect=0)
        gone = json.loads(process.stdout.readline())
        assert (gone["key"], gone["data"]) == ("k15", None)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
