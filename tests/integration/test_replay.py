# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: publish a real history, keep nothing but the log, and replay it to points in time.

Goal: every state is the one the repository had, whatever the number of partitions and whichever time is asked for, and
the digest is the one that an independent program computes. Method: real histories with a known truth; the digest again
in Python, from the file that was published.
"""
import gzip
import hashlib
import json
import struct
import time

import pytest

from cli_kit import evlog, shared_data, state_hash

PARTITION_COUNTS = (1, 6, 64)
FOLD = ("--fold", "latest", "--drop-type", "file.removed")


def truth(name):
    return json.loads((shared_data() / f"{name}.truth.json").read_text())


def raw_data(line):
    """The very bytes of data: it is the last member of these lines."""
    start = line.index('"data":') + len('"data":')
    return line[start:line.rindex("}")].encode()


def digest_of(events):
    """The digest as docs/semantics.md has it; events: (key, id, value) in log order, key and id may be None."""
    streams = {}
    for key, event_id, value in events:
        chain, count = streams.get(key, (bytes(32), 0))
        value_hash = bytes(32) if value is None else hashlib.sha256(value).digest()
        event_id = event_id or b""
        chain = hashlib.sha256(chain + struct.pack(">QI", count, len(event_id)) + event_id + value_hash).digest()
        streams[key] = chain, count + 1
    total = hashlib.sha256()
    for key in sorted(streams):
        chain, count = streams[key]
        total.update(struct.pack(">I", len(key)) + key + struct.pack(">Q", count) + chain)
    return total.hexdigest()


@pytest.mark.parametrize("name", ("zstd", "libuv"))
def test_every_listed_state_at_every_partition_count(broker, name):
    path = shared_data() / f"{name}.events.ndjson.gz"
    known = truth(name)
    lines = gzip.open(path, "rt").read().splitlines()
    events = [(event["subject"].encode(), event["id"].encode(), raw_data(line))
              for line, event in ((line, json.loads(line)) for line in lines)]
    for partitions in PARTITION_COUNTS:
        topic = f"{name}-{partitions}"
        done = evlog("produce", topic, "--create", "-p", partitions, "--cloudevents", path,
                     bootstrap=broker.bootstrap, expect=0)
        assert f"published {known['events']} events" in done.err
        for state in known["states"]:
            replayed = evlog("replay", topic, "--event-time", "--until", state["time"], *FOLD,
                             bootstrap=broker.bootstrap, expect=0)
            rows = replayed.lines()
            assert len(rows) == state["files"]
            assert state_hash(rows) == state["sha256"]
            digest, count, keys, partial = replayed.digest()
            assert (count, partial) == (state["events"], False)
            assert digest == digest_of(events[:state["events"]])
            assert keys == len({event[0] for event in events[:state["events"]]})


def test_rows_are_what_was_published_in_key_order(broker):
    path = shared_data() / "zstd.events.ndjson.gz"
    evlog("produce", "rows", "--create", "-p", 6, "--cloudevents", path, bootstrap=broker.bootstrap, expect=0)
    rows = evlog("replay", "rows", *FOLD, bootstrap=broker.bootstrap, expect=0)
    last, versions = {}, {}
    for line in gzip.open(path, "rt"):
        event = json.loads(line)
        versions[event["subject"]] = versions.get(event["subject"], -1) + 1
        last[event["subject"]] = event, versions[event["subject"]], raw_data(line)
    live = {key: value for key, value in last.items() if value[0]["type"] != "file.removed"}
    assert [row["key"] for row in rows.lines()] == sorted(live, key=str.encode)
    for line, row in zip(rows.out.splitlines(), rows.lines()):
        event, version, data = live[row["key"]]
        assert list(row) == ["key", "version", "type", "id", "partition", "offset", "time", "append_time", "data"]
        assert (row["version"], row["type"], row["id"]) == (version, event["type"], event["id"])
        assert row["time"] == event["time"].replace("Z", ".000Z")
        assert len(row["append_time"]) == len("2026-03-01T12:00:00.123456789Z")
        assert line.endswith('"data":' + data.decode() + "}")


def test_replay_by_append_time_at_recorded_instants(broker):
    """Published in three parts; the instant between two parts brings back exactly the parts before it."""
    lines = gzip.open(shared_data() / "zstd.events.ndjson.gz", "rt").read().splitlines()
    states = truth("zstd")["states"][:3]
    begin, instants = 0, []
    for state in states:
        evlog("produce", "parts", "--create", "-p", 6, "--cloudevents", "-", bootstrap=broker.bootstrap,
              stdin="\n".join(lines[begin:state["events"]]) + "\n", expect=0)
        begin = state["events"]
        now_ns = time.time_ns()
        instants.append(f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now_ns // 10**9))}.{now_ns % 10**9:09d}Z")
    for state, instant in zip(states, instants):
        replayed = evlog("replay", "parts", "--until", instant, *FOLD, bootstrap=broker.bootstrap, expect=0)
        assert state_hash(replayed.lines()) == state["sha256"]
        assert replayed.digest()[1] == state["events"]
        again = evlog("replay", "parts", "--until", instant, *FOLD, bootstrap=broker.bootstrap, expect=0)
        assert again.out == replayed.out
        assert again.digest() == replayed.digest()
    between = evlog("replay", "parts", "--from", instants[0], "--until", instants[1], "-q",
                    bootstrap=broker.bootstrap, expect=0)
    assert between.digest()[1] == states[1]["events"] - states[0]["events"]


def test_append_time_of_the_last_event_is_included(broker):
    evlog("topics", "create", "edge", bootstrap=broker.bootstrap, expect=0)
    for value in ("one", "two", "three"):
        evlog("produce", "edge", "-k", "k", value, bootstrap=broker.bootstrap, expect=0)
    rows = evlog("replay", "edge", bootstrap=broker.bootstrap, expect=0).lines()
    for index, row in enumerate(rows):
        until = evlog("replay", "edge", "--until", row["append_time"], bootstrap=broker.bootstrap, expect=0)
        assert [seen["version"] for seen in until.lines()] == list(range(index + 1))
        since = evlog("replay", "edge", "--from", row["append_time"], bootstrap=broker.bootstrap, expect=0)
        assert [seen["version"] for seen in since.lines()] == list(range(index, 3))


def test_events_come_in_the_order_of_their_append_times(broker):
    path = shared_data() / "zstd.events.ndjson.gz"
    evlog("produce", "ordered", "--create", "-p", 64, "--cloudevents", path, bootstrap=broker.bootstrap, expect=0)
    rows = evlog("replay", "ordered", bootstrap=broker.bootstrap, expect=0).lines()
    times = [row["append_time"] for row in rows]
    assert times == sorted(times)
    versions = {}
    for row in rows:
        assert row["version"] == versions.get(row["key"], -1) + 1
        versions[row["key"]] = row["version"]


def test_one_stream(broker):
    path = shared_data() / "zstd.events.ndjson.gz"
    evlog("produce", "stream", "--create", "-p", 6, "--cloudevents", path, bootstrap=broker.bootstrap, expect=0)
    wanted = [(json.loads(line)["id"], raw_data(line)) for line in gzip.open(path, "rt")
              if json.loads(line)["subject"] == "lib/zstd.h"]
    replayed = evlog("replay", "stream", "lib/zstd.h", bootstrap=broker.bootstrap, expect=0)
    assert [row["id"] for row in replayed.lines()] == [event_id for event_id, _ in wanted]
    digest, count, keys, _ = replayed.digest()
    assert (count, keys) == (len(wanted), 1)
    assert digest == digest_of([(b"lib/zstd.h", event_id.encode(), data) for event_id, data in wanted])


def test_topic_filled_by_another_client(broker):
    """Records without CloudEvents headers: type and id are null, bytes of any kind come back."""
    kafka = pytest.importorskip("kafka")
    producer = kafka.KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type="gzip")
    evlog("topics", "create", "foreign", "-p", "3", bootstrap=broker.bootstrap, expect=0)
    sent = [(b"text", b'{"a": 1}'), (b"binary", b"\x00\xff"), (b"\xff\xfe", b"odd key"), (b"gone", b"1"),
            (b"gone", None), (b"empty", b"")]
    for key, value in sent:
        producer.send("foreign", key=key, value=value).get(20)
    producer.send("foreign", value=b"no key", partition=2).get(20)
    producer.close()
    replayed = evlog("replay", "foreign", "--fold", "latest", bootstrap=broker.bootstrap, expect=0)
    rows = replayed.lines()
    assert all(row["type"] is None and row["id"] is None for row in rows)
    assert [row.get("key", row.get("key_base64")) for row in rows] == ["binary", "empty", "text", "//4="]
    assert rows[0]["data_base64"] == "AP8=" and "data" not in rows[0]
    assert rows[1]["data_base64"] == ""
    assert rows[2]["data"] == {"a": 1} and '"data":{"a": 1}' in replayed.out
    assert "1 events have no key" in replayed.err
    assert replayed.digest()[1:] == (7, 6, False)


def test_partial_history_is_said(broker):
    admin = pytest.importorskip("kafka.admin")
    evlog("topics", "create", "cut-off", bootstrap=broker.bootstrap, expect=0)
    for value in ("one", "two", "three"):
        evlog("produce", "cut-off", "-k", "k", value, bootstrap=broker.bootstrap, expect=0)
    from kafka.structs import TopicPartition
    client = admin.KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        client.delete_records({TopicPartition("cut-off", 0): 2})
    finally:
        client.close()
    replayed = evlog("replay", "cut-off", bootstrap=broker.bootstrap, expect=0)
    rows = replayed.lines()
    assert [row["offset"] for row in rows] == [2]
    assert rows[0]["version"] is None
    assert replayed.digest()[1:] == (1, 1, True)
    assert replayed.err.rstrip().endswith(" partial")


def test_cut_in_the_future_is_refused(broker):
    evlog("topics", "create", "future", bootstrap=broker.bootstrap, expect=0)
    refused = evlog("replay", "future", "--until", "2200-01-01T00:00Z", bootstrap=broker.bootstrap)
    assert refused.code == 1 and "future" in refused.err
    assert "digest" not in refused.err


def test_replay_after_a_restart_is_the_same(fresh_broker):
    path = shared_data() / "zstd.events.ndjson.gz"
    evlog("produce", "kept", "--create", "-p", 6, "--cloudevents", path, bootstrap=fresh_broker.bootstrap, expect=0)
    before = evlog("replay", "kept", *FOLD, bootstrap=fresh_broker.bootstrap, expect=0)
    assert fresh_broker.stop() == 0
    fresh_broker.start()
    after = evlog("replay", "kept", *FOLD, bootstrap=fresh_broker.bootstrap, expect=0)
    assert after.out == before.out
    assert after.digest() == before.digest()
