# SPDX-License-Identifier: Apache-2.0
"""From an archive alone to a data directory that evlogd opens: evlog archive restore, and evlogd --from-archive.

Goal: what comes back is what there was, event for event and digest for digest, at the end and at listed times; nothing
is written over; what was killed goes on. Method: evlogd with an archive in a directory, real histories, a lost disk.
"""
import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from cli_kit import evlog, shared_data, state_hash
from conftest import Broker, start_or_skip
from evlogd import BIN, ROOT, wait_for

FOLD = ("--fold", "latest", "--drop-type", "file.removed")
QUICK = ["--archive-max-lag-ms", "200ms"]


class Place:
    """A broker with an archive, whose data directory may be lost."""

    def __init__(self, folder):
        self.folder = folder
        self.archive = f"file://{folder / 'archive'}"
        self.key = folder / "key.pem"
        self.count = 0
        self.data = folder / "data"
        self.broker = None

    def start(self, *args, archives=True):
        archive = ["--archive", self.archive, *QUICK] if archives else []
        self.broker = start_or_skip(Broker(self.data, args=[*archive, *args]))
        return self.broker

    def run(self, *words, **kw):
        return evlog(*words, bootstrap=self.broker.bootstrap, expect=kw.pop("expect", 0), **kw)

    def stop(self):
        if self.broker is not None:
            assert self.broker.stop() == 0, "".join(self.broker.log[-30:])
            self.broker = None

    def restore(self, *words, expect=0):
        """Into a new directory, which the next start uses."""
        self.count += 1
        self.data = self.folder / f"restored-{self.count}"
        return evlog("archive", "restore", self.archive, "--to", self.data, *words, expect=expect)


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.stop()


def digest(place, topic, *words):
    return place.run("replay", topic, *words).digest()


def now_text():
    ns = time.time_ns()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(ns // 10**9))}.{ns % 10**9:09d}Z"


def test_what_cannot_be_restored_is_refused(place):
    nothing = place.folder / "nothing"
    nothing.mkdir()
    done = evlog("archive", "restore", f"file://{nothing}", "--to", place.folder / "x")
    assert done.code == 5 and "no archive" in done.err
    assert evlog("archive", "restore", f"file://{nothing}").code == 2
    place.start()
    place.run("produce", "a", "--create", "one")
    place.stop()
    place.data.joinpath("node").stat()
    done = evlog("archive", "restore", place.archive, "--to", place.data)
    assert done.code == 6 and "not empty" in done.err
    done = place.restore("--until", "2099-01-01T00:00:00Z", expect=None)
    assert done.code == 2 and "complete through" in done.err
    done = place.restore("--topic", "b", expect=None)
    assert done.code == 5 and "no topic b" in done.err
    assert not place.data.exists(), "nothing is made for a request that is refused"


def test_a_file_in_the_way_of_an_archive_is_no_empty_or_older_archive(place):
    place.start()
    place.run("produce", "a", "--create", "one")
    place.stop()
    place.restore()
    place.start()               # a second incarnation, which continues the first
    place.run("produce", "a", "two")
    place.stop()
    made = (place.folder / "archive").glob("*/cluster.json")
    newest = max(made, key=lambda path: path.stat().st_mtime_ns).parent
    for hidden in (newest, newest / "root", newest / "manifest"):
        away = place.folder / "away"
        hidden.rename(away)
        hidden.write_text("in the way", encoding="ascii")
        done = place.restore(expect=None)
        assert done.code not in (0, 5) and f"file://{hidden} is in the way of a folder" in done.err, done.err
        assert not place.data.exists()
        refused = Broker(place.data, args=["--archive", place.archive, "--from-archive=true"])
        with pytest.raises(AssertionError, match="is in the way of a folder"):
            refused.start()
        hidden.unlink()
        away.rename(hidden)
    place.restore()
    place.start()
    assert place.run("consume", "a", "-f", "%v\n").out.split() == ["one", "two"]


def test_everything_comes_back_and_goes_on(place):
    place.start()
    place.run("topics", "create", "orders", "-p", 3, "--set", "retention.ms=-1")
    place.run("produce", "orders", "-f", "%k %v", stdin="".join(f"k{i % 7} {i}\n" for i in range(500)))
    place.run("consume", "orders", "-g", "readers")
    place.run("produce", "orders", "-f", "%k %v", stdin="k1 after\n")
    before = digest(place, "orders"), place.run("topics", "describe", "orders", "--json").lines()
    lag = place.run("groups", "lag", "readers", "--trend", "0", "--json").lines()
    place.stop()
    shutil.rmtree(place.data)
    told = place.restore("--json").lines()[0]
    assert (told["topics"], told["redacted_batches"]) == (1, 0)
    assert 0 <= told["rpo_seconds"] < 600 and told["rto_seconds"] > 0
    place.start()
    assert digest(place, "orders") == before[0]
    after = place.run("topics", "describe", "orders", "--json").lines()
    assert [row["id"] for row in after] == [row["id"] for row in before[1]]
    assert sorted(row["lag"] for row in place.run("groups", "lag", "readers", "--trend", "0", "--json").lines()) == \
        sorted(row["lag"] for row in lag)
    place.run("produce", "orders", "-f", "%k %v", stdin="k1 more\n")
    more = digest(place, "orders")
    place.stop()
    place.restore()    # of the archive that goes on, which names the first one as its parent
    place.start()
    assert digest(place, "orders") == more != before[0]


def test_streams_and_work_groups_stand_where_they_stood(place):
    place.start()
    place.run("topics", "create", "accounts", "-p", 2, "--set", "evlog.streams=true")
    for i in range(5):
        place.run("append", "accounts", "alice", "--type", "Paid", "--data", json.dumps({"n": i}), "--expect", "any")
    place.run("produce", "jobs", "--create", "-f", "%k %v", stdin="".join(f"k{i} {i}\n" for i in range(30)))
    place.run("topics", "create", "results", "-p", 2)
    work = ("work", "jobs", "-g", "workers", "--set", "start=earliest", "--set", "retry.max.attempts=1",
            "--until-caught-up", "--emit", "results", "--", "sh", "-c", "read v; echo done $v; test $v != 13")
    place.run(*work)
    stream, results = place.run("read", "accounts", "alice").out, digest(place, "results")
    letters = place.run("dlq", "inspect", "jobs.workers.dlq", "--json").lines()
    assert [letter["offset"] for letter in letters] == [13]
    place.stop()
    shutil.rmtree(place.data)
    place.restore()
    place.start()
    assert place.run("read", "accounts", "alice").out == stream
    assert place.run("append", "accounts", "alice", "--type", "Paid", "--data", "{}", "--expect", 4).code == 0
    place.run("produce", "jobs", "-f", "%k %v", stdin="k 13\n")
    place.run(*work)
    assert digest(place, "results") == results, "nothing is done twice"
    assert len(place.run("dlq", "inspect", "jobs.workers.dlq", "--json").lines()) == 2


def test_settings_users_and_rules_come_back(place):
    rules = ("--authorizer=on", "--super-users=User:ANONYMOUS")
    place.start(*rules)
    place.run("topics", "create", "kept", "-p", 2, "--set", "retention.ms=123456789", "--set", "cleanup.policy=compact")
    place.run("topics", "create", "gone", "-p", 1)
    for user in ("alice", "bob"):
        place.run("user", "create", user, "--password-file", "-", stdin="a password of " + user + "\n")
    place.run("user", "rm", "bob", "--confirm=bob")
    place.run("acl", "allow", "User:alice", "read", "topic", "kept")
    place.run("acl", "allow", "User:alice", "write", "topic", "gone")
    place.run("topics", "rm", "gone", "--confirm=gone")
    place.run("groups", "create", "workers", "--start", "earliest", "--set", "retry.max.attempts=1")

    def all_of_it():
        return [place.run(*words).out.replace('"leader_epoch":65536', '"leader_epoch":0') for words in (
            ("topics", "ls"), ("topics", "describe", "kept", "--json"), ("user", "ls", "--json"),
            ("acl", "ls", "--json"))]

    before = all_of_it()
    assert "123456789" in before[1] and "alice" in before[2] and "bob" not in before[2] and "gone" in before[3]
    place.stop()
    key = shutil.copy(place.data / "keys" / "access.key", place.folder / "access.key")
    shutil.rmtree(place.data)
    place.restore("--access-key", key)
    place.start(*rules)
    assert all_of_it() == before
    place.run("produce", "jobs", "--create", "-f", "%k %v", stdin="k 1\n")
    place.run("work", "jobs", "-g", "workers", "--until-caught-up", "--", "false")
    letters = place.run("dlq", "inspect", "jobs.workers.dlq", "--json").lines()
    assert [(letter["offset"], letter["attempts"]) for letter in letters] == [(0, 1)], "the group's own settings"


def test_users_and_rules_come_back_as_they_are_now_and_not_as_they_were(place):
    """A time that is gone by gives nobody back a password or a right that was taken away since."""
    place.start("--authorizer=on", "--super-users=User:ANONYMOUS")
    place.run("produce", "jobs", "--create", stdin="then\n")
    for user in ("alice", "eve"):
        place.run("user", "create", user, "--password-file", "-", stdin="a password of " + user + "\n")
        place.run("acl", "allow", f"User:{user}", "read", "topic", "jobs")
    then = now_text()
    place.run("user", "rm", "eve", "--confirm=eve")
    place.run("acl", "rm", "User:eve", "--confirm=User:eve")
    place.run("produce", "jobs", stdin="now\n")
    place.stop()
    place.restore("--until", then, "--access-key", place.data / "keys" / "access.key")
    place.start("--authorizer=on", "--super-users=User:ANONYMOUS")
    assert place.run("consume", "jobs").out == "then\n"
    assert [user["user"] for user in place.run("user", "ls", "--json").lines()] == ["alice"]
    assert {rule["principal"] for rule in place.run("acl", "ls", "--json").lines()} == {"User:alice"}


def test_a_history_is_the_truth_at_each_listed_time(place):
    known = json.loads((shared_data() / "zstd.truth.json").read_text())
    lines = gzip.open(shared_data() / "zstd.events.ndjson.gz", "rt").read().splitlines()
    place.start()
    begin, instants = 0, []
    for state in known["states"]:
        place.run("produce", "history", "--create", "-p", 4, "--cloudevents", "-",
                  stdin="\n".join(lines[begin:state["events"]]) + "\n")
        begin = state["events"]
        instants.append(now_text())
    digests = [digest(place, "history", "--until", instant) for instant in instants]
    place.stop()
    for state, instant, wanted in zip(known["states"], instants[:-1], digests):
        place.restore("--until", instant, "--topic", "history")
        place.start(archives=False)    # else it would be the archive that the next one is from
        rows = place.run("replay", "history", *FOLD).lines()
        assert (len(rows), state_hash(rows)) == (state["files"], state["sha256"])
        assert digest(place, "history") == wanted
        place.stop()


def test_a_restore_that_is_killed_goes_on(place):
    place.start()
    for i in range(20):
        place.run("produce", f"t{i}", "--create", "-p", 4, "-f", "%k %v",
                  stdin="".join(f"k{n} {n}\n" for n in range(40)))
    wanted = [digest(place, f"t{i}") for i in range(20)]
    place.stop()
    target = place.folder / "killed"
    process = subprocess.Popen([BIN / "evlog", "archive", "restore", place.archive, "--to", target, "--threads", "1"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(target.glob("topics/*/*/*.seg"))) > 8 or process.poll() is not None, "segments")
    process.send_signal(signal.SIGKILL)
    process.wait()
    place.data = target
    if (target / "restoring").exists():
        refused = Broker(target, args=["--archive", place.archive])
        with pytest.raises(AssertionError, match="half restored"):
            refused.start()
        done = evlog("archive", "restore", place.archive, "--to", target, "--json", expect=0)
        assert done.lines()[0]["partitions_before"] > 0
    place.start()
    assert [digest(place, f"t{i}") for i in range(20)] == wanted


def test_evlogd_starts_from_the_archive_on_an_empty_disk(place):
    place.start()
    place.run("produce", "orders", "--create", "-p", 2, "-f", "%k %v", stdin="".join(f"k{i} {i}\n" for i in range(200)))
    wanted = digest(place, "orders")
    place.stop()
    shutil.rmtree(place.data)
    place.start("--from-archive=true")
    assert digest(place, "orders") == wanted
    place.run("produce", "orders", "-f", "%k %v", stdin="k more\n")
    wanted = digest(place, "orders")
    place.stop()
    place.start("--from-archive=true")    # there is a node file now: it starts as always
    assert digest(place, "orders") == wanted
    place.stop()
    none = Broker(place.folder / "other", args=["--archive", f"file://{place.folder / 'none'}", "--from-archive=true"])
    with pytest.raises(AssertionError, match="no such directory"):
        none.start()


def history_lines():
    """A real history, or without one something made."""
    for folder in (os.environ.get("EVLOG_SHARED"), ROOT.parent / "shared" / "data"):
        path = folder and pathlib.Path(folder) / "zstd.events.ndjson.gz"
        if path and path.exists():
            return gzip.open(path, "rt").read().splitlines()[:4000]
    return [json.dumps({"specversion": "1.0", "id": str(i), "source": "/made", "type": "made", "subject": f"k{i % 97}",
                        "data": "x" * 300}) for i in range(4000)]


def test_evlogd_serves_from_the_archive_while_the_disk_fills(place):
    lines = history_lines()
    late = ["--archive-key", str(place.key), "--from-archive-recent-ms", "0", "--from-archive=true"]
    place.start()
    place.run("topics", "create", "history", "-p", 2, "--set", "segment.bytes=65536")
    place.run("topics", "create", "latest", "--set", "cleanup.policy=compact")
    place.run("topics", "create", "accounts", "--set", "evlog.streams=true")
    for i in range(4):
        place.run("produce", "history", "-X", "compression.type=none", "--cloudevents", "-",
                  stdin="\n".join(lines[i::4]) + "\n")
        place.run("produce", "latest", "-f", "%k %v", stdin=f"a {i}\nb {i}\n")
        place.run("append", "accounts", "alice", "--type", "Paid", "--data", "{}", "--expect", "any")
        place.run("archive", "now", "--wait")
    place.run("consume", "history", "-g", "readers", "-n", 1000)
    topics = "history", "latest", "accounts"
    wanted = [digest(place, topic) for topic in topics]
    place.stop()
    shutil.copy(place.data / "keys" / "archive.pem", place.key)
    shutil.copy(place.data / "keys" / "archive.pub.pem", place.folder / "pub.pem")
    shutil.rmtree(place.data)
    place.start(*late, "--disk-reserve-bytes", "1000TiB")    # there is no room: nothing comes back
    assert place.broker.said("restored 3 topics") and place.broker.said("older events of 2 partitions")
    assert [digest(place, topic) for topic in topics] == wanted
    assert place.broker.metric("evlog_remote_reads_total") > 0
    assert place.broker.metric("evlog_segments_refilled_total") == 0
    place.broker.kill()
    place.start(*late)
    place.run("produce", "history", "-f", "%k %v", stdin="k more\n")
    assert place.run("append", "accounts", "alice", "--type", "Paid", "--data", "{}", "--expect", 3).code == 0
    wait_for(lambda: place.broker.metric("evlog_segments_refilled_total") > 0, "a segment")
    place.broker.kill()
    place.start(*late)
    more = digest(place, "history")
    assert more[1] == wanted[0][1] + 1

    def disk_has_all():
        reads = place.broker.metric("evlog_remote_reads_total")
        assert digest(place, "history") == more
        return place.broker.metric("evlog_remote_reads_total") == reads

    wait_for(disk_has_all, "what belongs on the disk")
    wait_for(lambda: place.broker.metric("evlog_refill_partitions") == 0, "an end of it")
    segments = [path.stat().st_size for path in place.data.glob("topics/*/1/*.seg")]
    assert len(segments) > 3 and sum(segments) / len(segments) > 32768, "each about segment.bytes"
    place.run("archive", "now", "--wait")
    place.stop()
    evlog("archive", "verify", place.archive, "--key", place.folder / "pub.pem", "--deep", expect=0)
    place.restore()    # whole, of both incarnations
    place.start()
    assert digest(place, "history") == more


def test_a_replay_from_the_archive_is_one_from_the_broker(place):
    known = json.loads((shared_data() / "zstd.truth.json").read_text())
    history = shared_data() / "zstd.events.ndjson.gz"
    place.start()
    place.run("produce", "history", "--create", "-p", 4, "--cloudevents", history)
    instant = now_text()
    place.run("produce", "history", "-f", "%k %v", stdin="".join(f"k{i % 9} {i}\n" for i in range(300)))
    broker = place.run("replay", "history")
    folded = place.run("replay", "history", "--until", instant, *FOLD)
    stream = place.run("replay", "history", "k3")
    place.run("archive", "now", "--wait")
    place.run("produce", "history", "-f", "%k %v", stdin="k1 behind the archive\n")
    newest = place.run("replay", "history")
    both = place.run("replay", "history", "--archive", place.archive)
    assert (both.digest(), both.out) == (newest.digest(), newest.out)
    both = place.run("replay", "history", "--until", instant, "--archive", place.archive, *FOLD)
    assert (both.digest(), both.out) == (folded.digest(), folded.out)
    place.run("produce", "other", "--create", "hardly archived yet")
    assert place.run("replay", "other", "--archive", place.archive).digest()[1] == 1
    place.broker.kill()
    place.broker = None

    def alone(*words, expect=0):
        return evlog("replay", *words, "--source", "archive", "--archive", place.archive, expect=expect)

    for state in known["states"][:3]:
        rows = alone("history", "--event-time", "--until", state["time"], *FOLD).lines()
        assert (len(rows), state_hash(rows)) == (state["files"], state["sha256"])
    done = alone("history", "--until", instant, *FOLD)
    assert (done.digest(), done.out) == (folded.digest(), folded.out)
    done = alone("history", "k3")
    assert (done.digest(), done.out) == (stream.digest(), stream.out)
    done = alone("history")
    assert done.digest() in (broker.digest(), newest.digest())    # the next round may have come by then
    done = alone("history", "--until", "2099-01-01T00:00:00Z", expect=None)
    assert done.code == 2 and "complete through" in done.err
    assert alone("nothing", expect=None).code == 5
    assert evlog("replay", "history", "--source", "archive").code == 2
    assert evlog("replay", "history", "--source", "broker", "--archive", place.archive).code == 2


def test_diff_blame_and_bisect_ask_an_archive_as_they_ask_the_broker(place):
    broker = place.start()
    for words in (("1", "1", "1"), ("2", "1", "lost")):
        lines = "".join(f'k{i} {{"n":"{word}"}}\n' for i, word in enumerate(words))
        place.run("produce", "states", "--create", "-p", 3, "-f", "%k %v", stdin=lines)
    place.run("produce", "states", "-k", "k1", "-Z", "")
    events = place.run("replay", "states").lines()
    then, last = events[2]["append_time"], events[-1]["append_time"]
    questions = [
        ("diff", "states", then, last),
        ("blame", "states", "k0", "--field", "n", "--as-of", last),
        ("blame", "states", "k1", "--fields", "--as-of", then),
        ("bisect", "states", "--good", then, "--bad", last, "--", "sh", "-c", "! grep -q lost"),
    ]
    answers = [place.run(*words).out for words in questions]
    assert [answer.count("\n") for answer in answers] == [3, 1, 1, 1] and '"lost"' in answers[3]
    place.run("archive", "now", "--wait")
    archive = ("--archive", place.archive)
    assert [place.run(words[0], *archive, *words[1:]).out for words in questions] == answers
    broker.kill()
    place.broker = None
    alone = ("--source", "archive", *archive)
    assert [evlog(words[0], *alone, *words[1:], expect=0).out for words in questions] == answers
    assert evlog("replay", "states", *alone, "--until", last, expect=0).out.count("\n") == len(events)
    for words in questions:
        assert evlog(words[0], "--source", "archive", *words[1:]).code == 2
        assert evlog(words[0], "--source", "broker", *archive, *words[1:]).code == 2
    refused = evlog("diff", *alone, "states", then, "2099-01-01T00:00:00Z")
    assert refused.code == 2 and "complete through" in refused.err
    strange = place.folder / "strange.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", place.folder / "own.pem"], check=True)
    subprocess.run(["openssl", "pkey", "-in", place.folder / "own.pem", "-pubout", "-out", strange], check=True)
    assert evlog("blame", *alone, "--archive-key", strange, "states", "k0").code == 8
    evlog("blame", *alone, "--archive-key", place.data / "keys" / "archive.pub.pem", "states", "k0", expect=0)
