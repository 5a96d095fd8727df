# SPDX-License-Identifier: Apache-2.0
"""Streams as clients see them: expected versions, event ids, reads in every direction, deletion; by evlog's own
requests and by the headers of any Kafka client; through restarts and kills."""
import concurrent.futures
import threading
import time

import kafka_wire as wire
from evlog_wire import ask
from kafka_wire import batch, record

STREAM_APPEND, STREAM_READ, STREAM_LIST, STREAM_DELETE, TYPE_READ = range(0x4010, 0x4015)
NONE, ANY, EXISTS = -1, -2, -4
POLICY_VIOLATION, DUPLICATE_RESOURCE, INVALID_UPDATE_VERSION, INVALID_RECORD_STATE = 44, 92, 95, 121
INVALID_RECORD, RESOURCE_NOT_FOUND, INVALID_REQUEST = 87, 91, 42


def create(conn, topic, partitions=1, **settings):
    configs = [("evlog.streams", "true")] + [(name.replace("_", "."), str(value)) for name, value in settings.items()]
    assert conn.create_topic(topic, partitions, configs) == (0, None)


def event(data=b"{}", kind="Happened", **fields):
    return {"type": kind, "data": data, **fields}


def append(conn, topic, key, events, expected=ANY, **more):
    return ask(conn, STREAM_APPEND, {"topic": topic, "appends": [
        {"key": key, "events": events, "expected": expected}], **more})


def read(conn, topic, key, **more):
    return ask(conn, STREAM_READ, {"topic": topic, "key": key, **more})


def values(answer):
    assert answer["error"] == 0, answer["message"]
    return [(e["version"], e["value"]) for e in answer["events"]]


def read_all(conn, topic, key, **more):
    """Page by page."""
    out = []
    answer = read(conn, topic, key, **more)
    while True:
        out += values(answer)
        if not answer["more"]:
            return out
        answer = read(conn, topic, key, **{**more, "from": answer["next"]})


def produce(conn, topic, key, headers=(), value=b"v", partition=0, **origin):
    """Produce 8. returns (error, base offset, record indexes, text)"""
    data = batch([value], records=record(value, key, headers=headers), **origin)
    error, base, _, _, indexes, text = conn.produce(topic, data, partition, version=8)
    return error, base, indexes, text


def test_a_stream_grows_by_expected_versions(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        got = append(conn, topic, b"order-1", [event(b"1"), event(b"2")], NONE)
        assert got["error"] == 0, got["message"]
        first, = got["results"]
        assert (first["first_version"], first["version"], first["duplicate"]) == (0, 1, False)
        assert len(got["position"]) == 40 and got["topic_id"] == conn.topic_id(topic)
        got = append(conn, topic, b"order-1", [event(b"3", "Shipped", time_ms=1_700_000_000_123)], 1)
        assert got["results"][0]["version"] == 2
        # Who decided on version 1 is told what the stream is at.
        got = append(conn, topic, b"order-1", [event(b"4")], 1)
        assert got["error"] == INVALID_UPDATE_VERSION
        assert 'stream "order-1" is at version 2, and version 1 was expected' in got["message"]
        conflict, = got["conflicts"]
        assert (conflict["current_version"], conflict["current_type"], conflict["current_time_ms"]) == \
            (2, "Shipped", 1_700_000_000_123)
        for expected, error in ((NONE, INVALID_UPDATE_VERSION), (3, INVALID_UPDATE_VERSION), (EXISTS, 0), (ANY, 0)):
            assert append(conn, topic, b"order-1", [event(b"x")], expected)["error"] == error
        assert append(conn, topic, b"order-2", [event(b"x")], EXISTS)["error"] == INVALID_UPDATE_VERSION
        assert append(conn, topic, b"order-2", [event(b"x")], 0)["error"] == INVALID_UPDATE_VERSION
        assert values(read(conn, topic, b"order-1")) == [(0, b"1"), (1, b"2"), (2, b"3"), (3, b"x"), (4, b"x")]
        assert read(conn, topic, b"order-2")["last_version"] == -1


def test_topics_without_streams_have_none(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        assert append(conn, topic, b"k", [event()])["error"] == POLICY_VIOLATION
        assert read(conn, topic, b"k")["error"] == POLICY_VIOLATION
        assert ask(conn, STREAM_LIST, {"topic": topic})["error"] == POLICY_VIOLATION
        assert ask(conn, STREAM_DELETE, {"topic": topic, "key": b"k"})["error"] == POLICY_VIOLATION
        assert ask(conn, TYPE_READ, {"topic": topic, "type": "T"})["error"] == POLICY_VIOLATION
        assert append(conn, topic + "-no", b"k", [event()])["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION


def test_an_event_id_is_stored_once(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        first = append(conn, topic, b"k", [event(b"1", id="a"), event(b"2", id="b")], NONE)
        for _ in range(300):
            assert append(conn, topic, b"k", [event(b"more")])["error"] == 0
        again = append(conn, topic, b"k", [event(b"1", id="a"), event(b"2", id="b")], NONE)
        assert again["error"] == 0, again["message"]
        assert again["results"][0] == {**first["results"][0], "duplicate": True}
        assert again["position"] == first["position"]
        # A part of it is a conflict, and so is one id twice; another stream may have the same id.
        got = append(conn, topic, b"k", [event(b"2", id="b"), event(b"3", id="c")])
        assert got["error"] == DUPLICATE_RESOURCE and got["conflicts"][0]["reason"] == "id"
        assert got["conflicts"][0]["current_version"] == 1
        assert append(conn, topic, b"k", [event(id="d"), event(id="d")])["error"] == DUPLICATE_RESOURCE
        assert append(conn, topic, b"other", [event(id="a")], NONE)["results"][0]["duplicate"] is False
        assert read(conn, topic, b"k", max_events=0)["last_version"] == 301


def test_several_streams_are_appended_together_or_not_at_all(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        body = {"topic": topic, "appends": [{"key": b"from", "events": [event(b"-5")], "expected": NONE},
                                            {"key": b"to", "events": [event(b"+5")], "expected": NONE}],
                "checks": [{"key": b"limit", "expected": EXISTS}, {"key": b"lock", "expected": NONE},
                           {"key": b"other", "expected": 4}]}
        got = ask(conn, STREAM_APPEND, body)
        assert got["error"] == INVALID_UPDATE_VERSION
        assert [(c["key"], c["check"], c["index"]) for c in got["conflicts"]] == [(b"limit", True, 0),
                                                                                  (b"other", True, 2)]
        assert read(conn, topic, b"from")["last_version"] == -1
        append(conn, topic, b"limit", [event()])
        body["checks"].pop()
        got = ask(conn, STREAM_APPEND, body)
        assert [r["version"] for r in got["results"]] == [0, 0]
        offsets = [r["offset"] for r in got["results"]]
        assert offsets[1] == offsets[0] + 1, "one batch"
        got = ask(conn, STREAM_APPEND, body)
        assert [(c["key"], c["check"]) for c in got["conflicts"]][0] == (b"from", False)


def test_streams_of_one_request_lie_in_one_partition(broker, topic):
    with broker.connect() as conn:
        create(conn, topic, 8)
        got = ask(conn, STREAM_APPEND, {"topic": topic, "appends": [
            {"key": b"k%d" % i, "events": [event()]} for i in range(9)]})
        assert got["error"] == INVALID_REQUEST and "belong to one partition" in got["message"]
        places = {append(conn, topic, b"k%d" % i, [event()])["partition"] for i in range(40)}
        assert len(places) > 4
        for i in range(40):
            assert read(conn, topic, b"k%d" % i)["last_version"] == 0


def test_reads_in_every_direction_and_in_pages(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        want = []
        for version in range(120):
            append(conn, topic, b"s", [event(b"%d" % version)])
            append(conn, topic, b"t", [event(b"other" * version)])
            want.append((version, b"%d" % version))
        assert read_all(conn, topic, b"s") == want
        assert read_all(conn, topic, b"s", max_events=7) == want
        assert read_all(conn, topic, b"s", backward=True, max_events=7) == want[::-1]
        assert read_all(conn, topic, b"s", max_bytes=1) == want
        assert values(read(conn, topic, b"s", **{"from": 100, "to": 103})) == want[100:104]
        assert values(read(conn, topic, b"s", backward=True, **{"from": 3})) == want[3::-1]
        assert values(read(conn, topic, b"s", backward=True, max_events=2)) == want[:-3:-1]
        answer = read(conn, topic, b"s", **{"from": 120})
        assert (answer["events"], answer["more"], answer["next"]) == ([], False, 120)


def test_reads_as_of_an_append_time(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        for version in range(40):
            append(conn, topic, b"s", [event(b"%d" % version)])
        whole = read(conn, topic, b"s")["events"]
        times = [e["append_time_ns"] for e in whole]
        assert times == sorted(times)
        for n in (0, 1, 17, 39):
            seen = sum(1 for t in times if t <= times[n])
            answer = read(conn, topic, b"s", as_of_ns=times[n])
            assert len(answer["events"]) == seen and answer["last_version"] == seen - 1
            newest, = read(conn, topic, b"s", as_of_ns=times[n], backward=True, max_events=1)["events"]
            assert newest["version"] == seen - 1
        assert read(conn, topic, b"s", as_of_ns=times[0] - 1)["last_version"] == -1
        assert read(conn, topic, b"s", as_of_ns=time.time_ns() + 10**15)["error"] == INVALID_REQUEST


def test_deletion_hides_or_ends_a_stream(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)

        def delete(key, **more):
            return ask(conn, STREAM_DELETE, {"topic": topic, "key": key, **more})
        assert delete(b"s")["error"] == RESOURCE_NOT_FOUND
        for n in range(3):
            append(conn, topic, b"s", [event(b"%d" % n)])
        before = read(conn, topic, b"s")["events"][-1]["append_time_ns"]
        assert delete(b"s", expected=1)["error"] == INVALID_UPDATE_VERSION
        got = delete(b"s", expected=2)
        assert (got["error"], got["version"], got["duplicate"]) == (0, 3, False)
        assert delete(b"s", expected=2)["duplicate"] is True
        answer = read(conn, topic, b"s")
        assert (answer["events"], answer["deleted"], answer["ended"], answer["last_version"]) == ([], True, False, 3)
        assert append(conn, topic, b"s", [event()], EXISTS)["error"] == INVALID_UPDATE_VERSION
        assert append(conn, topic, b"s", [event(b"anew")], NONE)["results"][0]["version"] == 4
        assert values(read(conn, topic, b"s")) == [(4, b"anew")]
        whole = read(conn, topic, b"s", as_of_ns=before)
        assert (values(whole), whole["last_version"], whole["deleted"]) == ([(0, b"0"), (1, b"1"), (2, b"2")], 2, False)
        assert delete(b"s", hard=True)["error"] == 0
        assert values(read(conn, topic, b"s", as_of_ns=before)) == [(0, b"0"), (1, b"1"), (2, b"2")]
        got = append(conn, topic, b"s", [event()])
        assert got["error"] == INVALID_RECORD_STATE and got["conflicts"][0]["reason"] == "ended"
        answer = read(conn, topic, b"s")
        assert (answer["events"], answer["ended"]) == ([], True)
        assert len(conn.fetch(topic)["records"]) > 0, "the log keeps all"


def test_streams_are_listed_and_types_are_found(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        for n in range(25):
            for version in range(n % 3 + 1):
                append(conn, topic, b"user-%02d" % n, [event(b"%d" % n, "Even" if n % 2 == 0 else "Odd")])
        append(conn, topic, b"zebra", [event()])
        ask(conn, STREAM_DELETE, {"topic": topic, "key": b"user-03"})
        names, after = [], None
        while True:
            got = ask(conn, STREAM_LIST, {"topic": topic, "prefix": b"user-", "after": after, "max": 4})
            assert got["error"] == 0, got["message"]
            names += [(s["key"], s["last_version"]) for s in got["streams"]]
            if not got["more"]:
                break
            after = got["streams"][-1]["key"]
        assert names == [(b"user-%02d" % n, n % 3) for n in range(25) if n != 3]
        got = ask(conn, STREAM_LIST, {"topic": topic, "prefix": b"user-03", "with_deleted": True})
        assert [(s["key"], s["deleted"]) for s in got["streams"]] == [(b"user-03", True)]
        found, start = [], -1
        while True:
            got = ask(conn, TYPE_READ, {"topic": topic, "type": "Odd", "from": start, "max_events": 5})
            assert got["error"] == 0, got["message"]
            found += [(e["key"], e["offset"]) for e in got["events"]]
            if not got["more"]:
                break
            start = got["next"]
        assert [key for key, _ in found] == [b"user-%02d" % n for n in range(1, 25, 2) for _ in range(n % 3 + 1)]
        assert [offset for _, offset in found] == sorted({offset for _, offset in found})


def test_any_client_takes_part_by_headers(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
        producer, epoch = conn.init_producer_id()[1:3]

        def send(sequence, expected, **more):
            return produce(conn, topic, b"k", [(b"evlog-expected-version", expected)], producer_id=producer,
                           producer_epoch=epoch, base_sequence=sequence, **more)
        assert send(0, b"none")[:2] == (0, 0)
        assert send(0, b"none")[:2] == (0, 0), "a retry is told as the first time"
        assert send(1, b"0")[:2] == (0, 1)
        error, _, indexes, text = send(2, b"0")
        assert (error, indexes) == (INVALID_RECORD, [0])
        assert 'stream "k" is at version 1, and version 0 was expected' in text
        assert send(2, b"1")[:2] == (0, 2), "a refused batch does not use up its sequence"
        assert produce(conn, topic, b"k", [(b"evlog-expected-version", b"2")])[0] == INVALID_RECORD
        assert produce(conn, topic, b"k", [(b"evlog-expected-version", b"2"), (b"ce_id", b"i")])[:2] == (0, 3)
        assert produce(conn, topic, b"k", [(b"evlog-expected-version", b"2"), (b"ce_id", b"i")])[:2] == (0, 3)
        assert produce(conn, topic, b"k", [(b"evlog-stream-deleted", b"hard")])[0] == INVALID_RECORD
        assert append(conn, topic, b"k", [event()], 3)["results"][0]["version"] == 4


def test_keys_are_held_to_their_partition(broker, topic):
    with broker.connect() as conn:
        create(conn, topic, 2, evlog_key_partitioner="crc32")  # the CRC-32 of "a" is odd
        error, _, indexes, text = produce(conn, topic, b"a", partition=0)
        assert (error, indexes) == (INVALID_RECORD, [0])
        assert "belongs to partition 1" in text and "partitioner=" in text
        assert produce(conn, topic, b"a", partition=1)[0] == 0
        assert produce(conn, topic, None, partition=0)[0] == 0
        assert read(conn, topic, b"a")["partition"] == 1


def test_of_many_writers_one_wins_each_version(broker, topic):
    with broker.connect() as conn:
        create(conn, topic)
    won, lock = [], threading.Lock()

    def writer(name):
        with broker.connect() as own:
            version = -1
            while version < 60:
                got = append(own, topic, b"hot", [event(name)], version)
                if got["error"] == 0:
                    version = got["results"][0]["version"]
                    with lock:
                        won.append((version, name))
                else:
                    assert got["error"] == INVALID_UPDATE_VERSION
                    assert got["conflicts"][0]["current_version"] > version
                    version = got["conflicts"][0]["current_version"]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(writer, [b"w%d" % n for n in range(6)]))
    with broker.connect() as conn:
        stored = read_all(conn, topic, b"hot")
    assert [version for version, _ in stored] == list(range(len(stored)))
    assert sorted(won) == stored


def test_streams_go_on_after_a_stop_and_a_kill(fresh_broker, topic):
    want, ids = {b"a": [], b"b": []}, 0
    for how in ("stop", "kill", "kill", "none"):
        with fresh_broker.connect() as conn:
            if not want[b"a"]:
                create(conn, topic)
            for key, events in want.items():
                assert read_all(conn, topic, key, max_events=9) == events
                for _ in range(30):
                    ids += 1
                    value = b"%d" % ids
                    got = append(conn, topic, key, [event(value, id="id-%d" % ids)], len(events) - 1)
                    assert got["error"] == 0, got["message"]
                    events.append((len(events), value))
                again = append(conn, topic, key, [event(events[3][1], id="id-" + events[3][1].decode())])
                assert again["results"][0]["duplicate"] and again["results"][0]["version"] == 3
        if how == "stop":
            assert fresh_broker.stop() == 0
        elif how == "kill":
            fresh_broker.kill()
        if how != "none":
            fresh_broker.start()
