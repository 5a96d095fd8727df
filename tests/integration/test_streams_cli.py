# SPDX-License-Identifier: Apache-2.0
"""evlog append, read and streams on evlogd, as a user would.

Goal: of two writers who decided on the same version one wins and the other is told what it is at; an append that is
repeated changes nothing; a stream is read as it is, as it was, from either end; what is not there is told apart from
what is empty. Method: the program's exit codes, its lines, and its words.
"""
import concurrent.futures
import json
import os
import pty
import subprocess
import time

import pytest

from cli_kit import evlog
from conftest import BIN

ROW = ["key", "version", "type", "id", "partition", "offset", "time", "append_time", "data"]


class Streams:
    def __init__(self, bootstrap, topic):
        self.bootstrap, self.topic = bootstrap, topic

    def evlog(self, *args, expect=0, stdin=""):
        return evlog(*args, bootstrap=self.bootstrap, expect=expect, stdin=stdin)

    def append(self, key, expected, *args, expect=0, data='{"n":1}', kind="Made", stdin=""):
        done = self.evlog("append", self.topic, key, "--expect", expected, "--type", kind, "--data", data, *args,
                          expect=expect, stdin=stdin)
        return done.lines()[0] if expect == 0 else done

    def read(self, key, *args, expect=0):
        return self.evlog("read", self.topic, key, "--json", *args, expect=expect).lines()

    def versions(self, key, *args):
        return [row["version"] for row in self.read(key, *args)]

    def ls(self, *args):
        return {row["key"]: row for row in self.evlog("streams", "ls", self.topic, "--json", *args).lines()}


@pytest.fixture
def streams(broker, topic):
    evlog("topics", "create", topic, "-p", 3, "--set", "evlog.streams=true", bootstrap=broker.bootstrap, expect=0)
    return Streams(broker.bootstrap, topic)


# --- refusals ---------------------------------------------------------------------------------------------------------

def test_a_topic_without_streams_says_so(broker, topic):
    evlog("topics", "create", topic, bootstrap=broker.bootstrap, expect=0)
    plain = Streams(broker.bootstrap, topic)
    for args in (("append", topic, "k", "--type", "T"), ("read", topic, "k"), ("streams", "ls", topic),
                 ("streams", "delete", topic, "k")):
        told = plain.evlog(*args, expect=None)
        assert told.code in (1, 2) and "evlog.streams" in told.err and told.out == ""
    told = plain.evlog("append", topic + "-none", "k", "--type", "T", expect=5)
    assert "EVL-" in told.err


def test_a_conflict_says_what_the_stream_is_at(streams):
    streams.append("k", "none")
    streams.append("k", 0, kind="Paid")
    told = streams.append("k", 0, expect=6)
    assert "at version 1 (Paid, 20" in told.err and "not at version 0" in told.err and told.out == ""
    told = streams.append("k", "none", "--json", expect=6)
    error = json.loads(told.err)
    assert (error["current_version"], error["current_type"], error["deleted"]) == (1, "Paid", False)
    assert error["current_time"].startswith("20")
    assert "not there" in streams.append("other", "exists", expect=6).err
    assert streams.versions("k") == [0, 1]


def test_ids_that_half_exist_are_no_success(streams):
    first = streams.append("k", "none", "--id", "e-1")
    again = streams.append("k", "none", "--id", "e-1")
    assert again == {**first, "duplicate": True, "position": again["position"]}
    streams.append("k", 0, "--id", "e-2")
    assert streams.append("k", 0, "--id", "e-1")["version"] == 0
    assert streams.append("other", "none", "--id", "e-1")["version"] == 0, "streams do not share ids"


# --- appending, reading -----------------------------------------------------------------------------------------------

def test_versions_count_the_events_of_a_key(streams):
    for i in range(5):
        for key in ("a", "b", "ü"):
            where = streams.append(key, "none" if i == 0 else i - 1, data=json.dumps({"i": i}))
            assert list(where) == ["version", "partition", "offset", "duplicate", "position"]
            assert (where["version"], where["duplicate"]) == (i, False)
    rows = streams.read("ü")
    assert [list(row) for row in rows] == [ROW] * 5
    assert [row["data"] for row in rows] == [{"i": i} for i in range(5)]
    assert {row["key"] for row in rows} == {"ü"} and {row["type"] for row in rows} == {"Made"}
    assert len({row["id"] for row in rows}) == 5
    assert streams.versions("a", "--from", 2) == [2, 3, 4]
    assert streams.versions("a", "--to", 1) == [0, 1]
    assert streams.versions("a", "--backward") == [4, 3, 2, 1, 0]
    assert streams.versions("a", "--backward", "--from", 3, "--to", 2) == [3, 2]
    assert streams.versions("a", "-n", 2) == [0, 1]
    assert streams.versions("a", "--from", 9) == []


def test_a_stream_is_read_as_replay_has_it(streams):
    for i in range(3):
        streams.append("k", "any", data=json.dumps(i))
    replayed = streams.evlog("replay", streams.topic, "k").lines()
    assert streams.read("k") == replayed


def test_an_unknown_stream_prints_nothing_and_exits_5(streams):
    streams.append("k", "none")
    told = streams.evlog("read", streams.topic, "nobody", expect=5)
    assert told.out == "" and "has no stream nobody" in told.err


def test_the_past_is_read_as_it_was(streams):
    streams.append("k", "none")
    streams.append("k", 0)
    second = streams.read("k")[1]["append_time"]
    streams.append("k", 1)
    assert streams.versions("k", "--as-of", second) == [0, 1]
    assert streams.versions("k", "--as-of", second, "--backward") == [1, 0]
    told = streams.evlog("read", streams.topic, "k", "--as-of", "2020-01-01T00:00Z", expect=5)
    assert told.out == "" and "as of 2020" in told.err


def test_data_comes_from_files_and_stdin_and_stays_as_it_is(streams, tmp_path):
    file = tmp_path / "data"
    file.write_text('{"a":  1}\n')
    streams.append("k", "none", data=f"@{file}")
    streams.append("k", 0, data="-", stdin='"from stdin"\n')
    streams.append("k", 1, "--content-type", "text/plain", data="no json")
    streams.evlog("append", streams.topic, "k", "--type", "Empty")
    rows = streams.evlog("consume", streams.topic, "-f", "%o %v\\n").out.splitlines()
    assert rows == ['0 {"a":  1}', '1 "from stdin"', "2 no json", "3 "]
    assert streams.read("k")[3]["data"] is None


def test_headers_and_times_are_kept(streams):
    streams.append("k", "none", "-H", "trace=7", "--time", "2024-02-03T04:05:06Z", "--source", "/shop")
    event, = streams.evlog("consume", streams.topic, "--json").lines()
    headers = {header["name"]: header["value"] for header in event["headers"]}
    assert headers["trace"] == "7" and headers["ce_source"] == "/shop" and headers["ce_type"] == "Made"
    assert event["time"] == "2024-02-03T04:05:06.000Z"


def test_of_many_writers_one_wins_each_version(streams):
    streams.append("k", "none")

    def race(writer):
        won = 0
        for version in range(5):
            told = streams.evlog("append", streams.topic, "k", "--expect", version, "--type", f"w{writer}",
                                 expect=None)
            assert told.code in (0, 6), told.err
            won += told.code == 0
        return won
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        won = list(pool.map(race, range(4)))
    assert streams.versions("k") == list(range(sum(won) + 1)), won


def test_a_check_is_on_another_stream_of_the_partition(streams):
    first = streams.append("a", "none")
    near = next(key for key in (f"k{i}" for i in range(100))
                if streams.append(key, "none")["partition"] == first["partition"])
    streams.append("a", 0, "--check", f"{near}=0")
    told = streams.append("a", 1, "--check", f"{near}=7", expect=6)
    assert f"stream {near} of topic" in told.err and "at version 0" in told.err
    far = next(key for key, row in streams.ls().items() if row["partition"] != first["partition"]) \
        if len({row["partition"] for row in streams.ls().values()}) > 1 else None
    if far is not None:
        told = streams.append("a", 1, "--check", f"{far}=0", expect=None)
        assert told.code != 0 and "partition" in told.err


def test_events_of_a_type_are_read_whatever_their_streams(streams):
    for i in range(6):
        streams.append(f"k{i}", "none", kind="Made" if i % 2 else "Sold", data=json.dumps(i))
    rows = streams.evlog("read", streams.topic, "--type", "Made", "--json").lines()
    assert sorted(row["data"] for row in rows) == [1, 3, 5]
    assert {row["type"] for row in rows} == {"Made"} and {row["version"] for row in rows} == {None}
    back = streams.evlog("read", streams.topic, "--type", "Made", "--backward", "--json").lines()
    assert sorted(row["key"] for row in back) == ["k1", "k3", "k5"]
    assert streams.evlog("read", streams.topic, "--type", "Gone").out == ""


def test_snapshots_are_kept_shown_and_forgotten(streams):
    for i in range(3):
        streams.append("k", "any")
    assert "no snapshot" in streams.evlog("snapshot", "get", streams.topic, "k", expect=5).err
    streams.evlog("snapshot", "put", streams.topic, "k", "--version", 1, "--schema", 4, "--data", '{"sum":2}')
    kept, = streams.evlog("snapshot", "get", streams.topic, "k").lines()
    second = streams.read("k")[1]
    assert (kept["version"], kept["schema"], kept["data"]) == (1, 4, {"sum": 2})
    assert (kept["offset"], kept["event_id"]) == (second["offset"], second["id"])
    assert streams.evlog("snapshot", "get", streams.topic, "k", "--raw").out == '{"sum":2}'
    assert "no version 9" in streams.evlog("snapshot", "put", streams.topic, "k", "--version", 9, "--data", "x",
                                           expect=5).err
    streams.evlog("snapshot", "rm", streams.topic, "k")
    assert "no snapshot" in streams.evlog("snapshot", "rm", streams.topic, "k", expect=5).err
    streams.evlog("snapshot", "get", streams.topic, "k", expect=5)


def test_a_bench_appends_with_exact_versions(streams):
    result, = streams.evlog("bench", "append", streams.topic, "-n", 120, "-w", 4, "--streams", 12, "--json").lines()
    assert (result["events"], result["failed"]) == (120, 0)
    assert [row["events"] for row in streams.ls().values()] == [10] * 12


# --- listing, deleting ------------------------------------------------------------------------------------------------

def test_streams_are_listed_and_counted(streams):
    for i, key in enumerate(("order-1", "order-2", "cart-1")):
        for _ in range(i + 1):
            streams.append(key, "any")
    assert list(streams.ls()) == ["cart-1", "order-1", "order-2"]
    assert list(streams.ls("--prefix", "order-")) == ["order-1", "order-2"]
    assert streams.ls()["cart-1"]["version"] == 2 and streams.ls()["cart-1"]["events"] == 3
    assert len(streams.ls("-n", 2)) == 2
    top = streams.evlog("streams", "top", streams.topic, "-n", 2, "--json").lines()
    assert [(row["key"], row["events"]) for row in top] == [("cart-1", 3), ("order-2", 2)]
    table = streams.evlog("streams", "ls", streams.topic)
    assert table.out.splitlines()[0].split() == ["VERSION", "PARTITION", "STATE", "KEY"]


def test_a_deleted_stream_begins_anew_and_an_ended_one_does_not(streams):
    streams.append("k", "none")
    streams.append("k", 0)
    assert "version 1" in streams.evlog("streams", "delete", streams.topic, "k", "--expect", 0, expect=6).err
    streams.evlog("streams", "delete", streams.topic, "k")
    assert "deleted already" in streams.evlog("streams", "delete", streams.topic, "k").err
    told = streams.evlog("read", streams.topic, "k", expect=5)
    assert "is deleted" in told.err and told.out == ""
    assert streams.ls() == {} and streams.ls("--deleted")["k"]["state"] == "deleted"
    again = streams.append("k", "none")
    assert again["version"] == 3
    assert streams.versions("k") == [3]
    streams.evlog("streams", "delete", streams.topic, "k", "--hard", expect=2)
    streams.evlog("streams", "delete", streams.topic, "k", "--hard", "--confirm=k")
    assert "for good" in streams.append("k", "any", expect=6).err
    assert streams.ls("--deleted")["k"]["state"] == "ended"
    assert streams.evlog("streams", "delete", streams.topic, "nobody", expect=5).out == ""


def test_a_restart_changes_nothing(fresh_broker, topic):
    evlog("topics", "create", topic, "-p", 2, "--set", "evlog.streams=true", bootstrap=fresh_broker.bootstrap,
          expect=0)
    streams = Streams(fresh_broker.bootstrap, topic)
    for i in range(4):
        streams.append("k", "any", "--id", f"e-{i}")
    fresh_broker.stop()
    fresh_broker.start()
    streams.bootstrap = fresh_broker.bootstrap
    assert streams.versions("k") == [0, 1, 2, 3]
    assert streams.append("k", "none", "--id", "e-2")["duplicate"]
    assert "at version 3" in streams.append("k", 2, expect=6).err
    assert streams.append("k", 3)["version"] == 4


def test_on_a_terminal_a_stream_is_for_people(streams):
    streams.append("k", "none", data='{"text":"\\u001b[31m"}')
    leader, follower = pty.openpty()
    done = subprocess.run([str(BIN / "evlog"), "-b", streams.bootstrap, "read", streams.topic, "k"], stdout=follower,
                          stderr=subprocess.PIPE, timeout=60, check=True)
    os.close(follower)
    text, deadline = b"", time.monotonic() + 10
    while text.count(b"\n") < 2 and time.monotonic() < deadline:
        text += os.read(leader, 65536)
    os.close(leader)
    head, row = text.decode().splitlines()[:2]
    assert head.split() == ["VERSION", "APPENDED", "TYPE", "DATA"] and done.stderr == b""
    assert row.split()[0] == "0" and row.split()[2] == "Made" and "\x1b" not in row
