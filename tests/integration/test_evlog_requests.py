# SPDX-License-Identifier: Apache-2.0
"""evlog's own requests: LogFetch tells when each batch was appended, Cut where every partition ended at one time."""
import threading
import time

import kafka_wire as wire
from evlog_wire import ask, cbor
from kafka_wire import batch

LOG_FETCH, CUT = 0x4000, 0x4001


def log_fetch(conn, topic, partition=0, offset=0, **more):
    return ask(conn, LOG_FETCH, {"topics": [{"topic": topic, "partitions": [
        {"partition": partition, "fetch_offset": offset}]}], **more})["topics"][0]


def cut(conn, time_ns=0, topics=None):
    return ask(conn, CUT, {"time_ns": time_ns, "topics": topics})


def ends(answer):
    return {(topic["topic"], part["partition"]): part["end_offset"]
            for topic in answer["topics"] for part in topic["partitions"]}


def test_log_fetch_gives_append_times(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic, partitions=2)
        before = time.time_ns()
        for i in range(20):
            conn.produce(topic, batch([b"%d" % i] * 3))
        got = log_fetch(conn, topic)
        assert got["topic_id"] == conn.topic_id(topic)
        part, = got["partitions"]
        assert (part["error"], part["high_watermark"], part["log_start"]) == (0, 60, 0)
        plain = conn.fetch(topic)["records"]
        assert b"".join(entry["batch"] for entry in part["batches"]) == plain
        times = [entry["append_time_ns"] for entry in part["batches"]]
        assert times == sorted(times) and abs(times[0] - before) < 60 * 10**9
        assert len({entry["salt"] for entry in part["batches"]}) == 20
        # Within a limit: whole batches, at least one.
        part, = log_fetch(conn, topic, offset=7, max_bytes=1)["partitions"]
        assert [wire.batches_in(entry["batch"]) for entry in part["batches"]] == [[(6, 8, 3)]]


def test_log_fetch_errors(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        assert log_fetch(conn, topic + "-no")["partitions"][0]["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert log_fetch(conn, topic, partition=1)["partitions"][0]["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert log_fetch(conn, topic, offset=1)["partitions"][0]["error"] == wire.OFFSET_OUT_OF_RANGE
        unknown = {"topics": [{"topic_id": b"\7" * 16, "partitions": [{"partition": 0, "fetch_offset": 0}]}]}
        assert ask(conn, LOG_FETCH, unknown)["topics"][0]["partitions"][0]["error"] == wire.UNKNOWN_TOPIC_ID


def test_log_fetch_waits(broker, topic):
    with broker.connect() as reader, broker.connect() as writer:
        writer.create_topic(topic)
        got = []
        thread = threading.Thread(target=lambda: got.append(log_fetch(reader, topic, max_wait_ms=15000)))
        thread.start()
        assert writer.produce(topic, batch([b"now"]))[0] == 0
        thread.join(60)
        assert len(got[0]["partitions"][0]["batches"]) == 1


def test_malformed_bodies_close_the_connection(broker):
    for body in (b"", b"\xff", b"\xa1", b"\xbf\xff", b"\x80", cbor({"topics": 5}), cbor({"time_ns": "x"}),
                 cbor({}) + b"\0", b"\x9f" * 100):
        with broker.connect() as conn:
            conn.send(CUT, 0, body, flexible=True)
            assert conn.closed_by_peer(), body


def test_cut_refuses_the_future_and_unknown_topics(broker, topic):
    with broker.connect() as conn:
        answer = cut(conn, time.time_ns() + 3600 * 10**9)
        assert answer["error"] == wire.INVALID_REQUEST and answer["message"]
        answer = cut(conn, 0, [topic])
        assert answer["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION


def test_a_cut_is_exact_and_repeatable_under_load(broker, topic):
    """Writers go on all the time; each cut has exactly the batches appended at or before it below its ends."""
    partitions = 6
    with broker.connect() as conn:
        conn.create_topic(topic, partitions=partitions)
    stop = threading.Event()

    def write(partition):
        with broker.connect() as own:
            while not stop.is_set():
                assert own.produce(topic, batch([b"x"]), partition=partition)[0] == 0

    threads = [threading.Thread(target=write, args=(partition,)) for partition in range(partitions)]
    for thread in threads:
        thread.start()
    try:
        with broker.connect() as conn:
            cuts = []
            while len(cuts) < 10:
                answer = cut(conn, 0, [topic])
                assert answer["error"] == 0
                cuts.append((answer["time_ns"], ends(answer)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    with broker.connect() as conn:
        times = {}
        for partition in range(partitions):
            offset, stamps = 0, []
            while True:
                part, = log_fetch(conn, topic, partition, offset)["partitions"]
                if not part["batches"]:
                    break
                stamps += [entry["append_time_ns"] for entry in part["batches"]]
                offset = len(stamps)
            times[partition] = stamps
        for time_ns, offsets in cuts:
            for partition in range(partitions):
                below = sum(stamp <= time_ns for stamp in times[partition])
                assert offsets[topic, partition] == below
            assert ends(cut(conn, time_ns, [topic])) == offsets
        assert cuts == sorted(cuts, key=lambda entry: entry[0])


def test_a_cut_survives_a_restart(fresh_broker):
    broker = fresh_broker
    with broker.connect() as conn:
        conn.create_topic("t", partitions=3)
        for partition in range(3):
            conn.produce("t", batch([b"a"] * (partition + 1)), partition=partition)
        first = cut(conn)
        for partition in range(3):
            conn.produce("t", batch([b"b"]), partition=partition)
    for kill in (False, True):
        if kill:
            broker.process.kill()
            broker.process.wait()
        else:
            assert broker.stop() == 0
        broker.start()
        with broker.connect() as conn:
            assert ends(cut(conn, first["time_ns"])) == ends(first) == {("t", 0): 1, ("t", 1): 2, ("t", 2): 3}
            assert set(ends(cut(conn)).values()) == {2, 3, 4}
