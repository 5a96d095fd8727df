# SPDX-License-Identifier: Apache-2.0
"""Stock clients write and read; what was acknowledged is there, in order, byte for byte, also after a restart."""
import os
import random
import struct
import threading
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from kafka import KafkaConsumer, KafkaProducer
from kafka import TopicPartition as PyTopicPartition

import kafka_wire as wire
from kafka_layouts import MESSAGES, ask, decode, encode
from kafka_wire import batch, batches_in, record

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def confluent_produce(broker, topic, values, codec="none", **settings):
    errors = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": codec, "linger.ms": 5, **settings})
    for value in values:
        producer.produce(topic, value=value, key=value[:4], on_delivery=lambda err, _: err and errors.append(err))
        producer.poll(0)
    assert producer.flush(30) == 0
    assert errors == []


def confluent_read(broker, topic, count, partition=0):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused", "enable.auto.commit": False,
                         "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    out = []
    deadline = time.monotonic() + 30
    while len(out) < count and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.2):
            assert message.error() is None, message.error()
            out.append((message.offset(), message.value()))
    consumer.close()
    return out


@pytest.mark.parametrize("codec", CODECS)
def test_librdkafka_round_trip(broker, topic, codec):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
    values = [b"%06d-" % i + b"x" * (i % 300) for i in range(3000)]
    confluent_produce(broker, topic, values, codec)
    assert confluent_read(broker, topic, len(values)) == list(enumerate(values))


@pytest.mark.parametrize("idempotent", [True, False])
def test_kafka_python_round_trip(broker, topic, idempotent):
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", linger_ms=5,
                             enable_idempotence=idempotent)
    values = [b"%06d" % i for i in range(500)]
    for future in [producer.send(topic, value) for value in values]:
        future.get(timeout=60)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, consumer_timeout_ms=10000)
    partition = PyTopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    got = []
    for message in consumer:
        got.append((message.offset, message.value))
        if len(got) == len(values):
            break
    consumer.close()
    assert got == list(enumerate(values))


def test_idempotent_producer_keeps_order(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
    values = [b"%06d" % i for i in range(20000)]
    confluent_produce(broker, topic, values, "lz4", **{"enable.idempotence": True, "batch.num.messages": 100})
    assert confluent_read(broker, topic, len(values)) == list(enumerate(values))


def test_batches_are_stored_as_sent(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        data = batch([b"one", b"two"], codec=1)
        error, base, stamp, start = conn.produce(topic, data)
        assert (error, base, stamp, start) == (0, 0, -1, 0)
        assert conn.produce(topic, data)[:2] == (0, 2)
        got = conn.fetch(topic)
        assert got["error"] == 0 and got["high"] == 4 and got["stable"] == 4 and got["start"] == 0
        # Everything but base offset and leader epoch is as it came.
        assert got["records"][8:12] == data[8:12]
        assert got["records"][16:len(data)] == data[16:]
        assert batches_in(got["records"]) == [(0, 1, 2), (2, 3, 2)]
        # In the middle of a batch: the whole batch comes.
        assert batches_in(conn.fetch(topic, offset=3)["records"]) == [(2, 3, 2)]


def test_append_time_stamps(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic, configs=[("message.timestamp.type", "LogAppendTime")])
        before = time.time() * 1000
        error, base, stamp, _ = conn.produce(topic, batch([b"x"], timestamp=5))
        assert (error, base) == (0, 0)
        assert abs(stamp - before) < 60000
        records = conn.fetch(topic)["records"]
        attributes, = struct.unpack_from(">h", records, 21)
        maximum, = struct.unpack_from(">q", records, 35)
        crc, = struct.unpack_from(">I", records, 17)
        assert attributes & 8 and maximum == stamp
        assert wire.crc32c(records[21:]) == crc


def test_idempotence_rules(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        error, identity, epoch = conn.init_producer_id()
        assert (error, epoch) == (0, 0)
        assert conn.init_producer_id()[1] != identity

        def send(sequence, count=2, epoch=0):
            return conn.produce(topic, batch([b"v"] * count, producer_id=identity, producer_epoch=epoch,
                                             base_sequence=sequence))[:2]

        assert send(0) == (0, 0)
        assert send(2) == (0, 2)
        assert send(0) == (0, 0), "a retry is answered with the stored batch's offset"
        assert send(2) == (0, 2)
        assert send(7)[0] == wire.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert send(1, count=1)[0] == wire.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert send(4) == (0, 4)
        assert send(3, epoch=1)[0] == wire.OUT_OF_ORDER_SEQUENCE_NUMBER, "a new epoch begins with 0"
        assert send(0, epoch=1) == (0, 6)
        assert send(6, epoch=0)[0] == wire.INVALID_PRODUCER_EPOCH
        assert conn.fetch(topic)["high"] == 8


def test_fetch_errors(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        conn.produce(topic, batch([b"x"]))
        for offset in (-1, 2, 1 << 60):
            got = conn.fetch(topic, offset=offset)
            assert (got["error"], got["high"], got["stable"], got["start"]) == (wire.OFFSET_OUT_OF_RANGE, -1, -1, -1)
        assert conn.fetch(topic, partition=1)["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.fetch(topic + "-no")["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.fetch(topic, offset=1)["records"] == b""
        assert conn.fetch(topic, session=(7, 3))["error"] == wire.FETCH_SESSION_ID_NOT_FOUND
        assert conn.fetch(topic, isolation=0)["aborted"] is None
        assert conn.fetch(topic, isolation=1)["aborted"] == []
        epoch = conn.list_offset(topic, -1)[3]
        assert conn.fetch(topic, epoch=epoch)["error"] == 0
        assert conn.fetch(topic, epoch=epoch + 1)["error"] == wire.UNKNOWN_LEADER_EPOCH


def test_fetch_returns_at_least_one_batch(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        data = batch([b"x" * 5000])
        conn.produce(topic, data)
        conn.produce(topic, data)
        for limits in ({"max_bytes": 1}, {"partition_bytes": 1}, {"max_bytes": 0}):
            assert batches_in(conn.fetch(topic, **limits)["records"]) == [(0, 0, 1)]
        assert len(batches_in(conn.fetch(topic, partition_bytes=2 * len(data))["records"])) == 2


def test_long_poll_wakes_on_append(broker, topic):
    with broker.connect() as reader, broker.connect() as writer:
        writer.create_topic(topic)
        waiting = reader.send_fetch(topic, max_wait=15000)
        begun = time.monotonic()
        assert writer.produce(topic, batch([b"now"]))[0] == 0
        got = reader.read_fetch(waiting)
        assert batches_in(got["records"]) == [(0, 0, 1)]
        assert time.monotonic() - begun < 10
        # Enough bytes, not just some.
        size = len(got["records"])
        waiting = reader.send_fetch(topic, offset=1, max_wait=15000, min_bytes=3 * size)
        for _ in range(3):
            assert writer.produce(topic, batch([b"now"]))[0] == 0
        assert len(reader.read_fetch(waiting)["records"]) == 3 * size
        # Nothing comes: an empty answer, without an error.
        got = reader.read_fetch(reader.send_fetch(topic, offset=4, max_wait=50))
        assert (got["error"], got["records"]) == (0, b"")


def test_deleting_a_topic_ends_waiting_fetches(broker, topic):
    with broker.connect() as reader, broker.connect() as writer:
        writer.create_topic(topic)
        waiting = reader.send_fetch(topic, max_wait=15000)
        assert writer.delete_topic(topic) == 0
        assert reader.read_fetch(waiting)["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION


def test_list_offsets(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        assert conn.list_offset(topic, -1)[:3] == (0, -1, 0)
        assert conn.list_offset(topic, 0)[:3] == (0, -1, -1)
        for stamp in (1000, 2000, 2000, 3000):
            conn.produce(topic, batch([b"a", b"b"], timestamp=stamp, records=record(b"a") + record(b"b", offset_delta=1,
                                                                                                  timestamp_delta=5)))
        assert conn.list_offset(topic, -1)[:3] == (0, -1, 8)
        assert conn.list_offset(topic, -2)[:3] == (0, -1, 0)
        assert conn.list_offset(topic, 1001)[:3] == (0, 1005, 1)
        assert conn.list_offset(topic, 2000)[:3] == (0, 2000, 2)
        assert conn.list_offset(topic, 3006)[:3] == (0, -1, -1)
        assert conn.list_offset(topic, -3)[0] == wire.UNSUPPORTED_VERSION
        assert conn.list_offset(topic, -1, partition=3)[0] == wire.UNKNOWN_TOPIC_OR_PARTITION


def test_many_writers_and_partitions(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic, partitions=16)

    def write(partition):
        with broker.connect() as own:
            for i in range(50):
                assert own.produce(topic, batch([b"%d-%d" % (partition, i)]), partition=partition)[:2] == (0, i)

    threads = [threading.Thread(target=write, args=(partition,)) for partition in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with broker.connect() as conn:
        for partition in range(16):
            got = conn.fetch(topic, partition=partition)
            assert batches_in(got["records"]) == [(i, i, 1) for i in range(50)]


def test_pipelined_requests_are_answered_in_order(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        large = batch([b"\0" * 600000] * 2, codec=1)  # needs a worker
        small = batch([b"s"])
        sent = []
        for i in range(20):
            sent.append((conn.send_produce(topic, large if i % 5 == 0 else small), i % 5 == 0))
        expected = 0
        for correlation, is_large in sent:
            error, base = conn.read_produce(correlation)[:2]
            assert (error, base) == (0, expected)
            expected += 2 if is_large else 1


def test_the_deadline_of_a_slow_append(broker, topic):
    """A flush of megabytes takes longer than a millisecond: the answer says so, and the append goes on."""
    with broker.connect() as conn:
        conn.create_topic(topic, configs=[("max.message.bytes", str(8 << 20))])
        data = batch([os.urandom(4 << 20)])
        answers = []
        while wire.REQUEST_TIMED_OUT not in answers and len(answers) < 50:
            answers.append(conn.produce(topic, data, timeout_ms=1)[0])
        assert answers[-1] == wire.REQUEST_TIMED_OUT and set(answers[:-1]) <= {0}
        count = len(answers)
        assert conn.produce(topic, batch([b"next"]))[:2] == (0, count)
        assert batches_in(conn.fetch(topic, offset=count - 1, partition_bytes=8 << 20)["records"])[0] == (
            count - 1, count - 1, 1)


def test_acks_0_has_no_answer(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        conn.send_produce(topic, batch([b"silent"]), acks=0)
        assert conn.produce(topic, batch([b"loud"]))[:2] == (0, 1)
        assert conn.fetch(topic)["high"] == 2


@pytest.mark.parametrize("kill", [False, True])
def test_acknowledged_events_survive_a_restart(fresh_broker, kill):
    broker = fresh_broker
    topic = "kept"
    with broker.connect() as conn:
        conn.create_topic(topic, partitions=4)
        error, identity, _ = conn.init_producer_id()
        assert error == 0
        epoch = conn.list_offset(topic, -1)[3]
        for partition in range(4):
            for i in range(25):
                data = batch([b"%d" % i], producer_id=identity, producer_epoch=0, base_sequence=i)
                assert conn.produce(topic, data, partition=partition)[:2] == (0, i)
        topic_id = conn.topic_id(topic)
    if kill:
        broker.process.kill()
        broker.process.wait()
    else:
        assert broker.stop() == 0
    broker.start()
    with broker.connect() as conn:
        assert conn.topic_id(topic) == topic_id
        for partition in range(4):
            assert batches_in(conn.fetch(topic, partition=partition)["records"]) == [(i, i, 1) for i in range(25)]
            # Producer state, too: the last one again is a duplicate, the next one fits.
            last = batch([b"24"], producer_id=identity, producer_epoch=0, base_sequence=24)
            following = batch([b"25"], producer_id=identity, producer_epoch=0, base_sequence=25)
            assert conn.produce(topic, last, partition=partition)[:2] == (0, 24)
            assert conn.produce(topic, following, partition=partition)[:2] == (0, 25)
        assert conn.list_offset(topic, -1)[3] == (epoch + 1 if kill else epoch)
        assert conn.init_producer_id()[1] != identity


def test_a_fetch_of_ten_thousand_partitions(broker, topic):
    """Answered in the order asked, from both shards; and waiting ones end when one of the partitions grows."""
    order = list(range(10_000))
    random.Random(7).shuffle(order)

    def question(wait_ms, min_bytes=1):
        return {"ReplicaId": -1, "MaxWaitMs": wait_ms, "MinBytes": min_bytes, "MaxBytes": 1 << 25, "SessionEpoch": -1,
                "Topics": [{"Topic": topic, "Partitions": [
                    {"Partition": index, "CurrentLeaderEpoch": -1, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}
                    for index in order]}]}

    with broker.connect() as conn, broker.connect() as writer:
        assert conn.create_topic(topic, partitions=len(order))[0] == 0
        for index in range(0, len(order), 2500):
            assert writer.produce(topic, batch([b"%d" % index]), partition=index)[0] == 0
        for body in (question(0), question(60_000)):
            answer = ask(conn, wire.FETCH, 11, body)["Responses"][0]["Partitions"]
            assert [part["PartitionIndex"] for part in answer] == order
            assert {part["ErrorCode"] for part in answer} == {0}
            assert {part["PartitionIndex"] for part in answer if part["Records"]} == {0, 2500, 5000, 7500}
        body = question(60_000)
        for part in body["Topics"][0]["Partitions"]:
            part["FetchOffset"] = int(part["Partition"] % 2500 == 0)
        message = MESSAGES[wire.FETCH, "request"]
        correlation = conn.send(wire.FETCH, 11, encode(message.fields, body, 11, False))
        assert writer.produce(topic, batch([b"woken"]), partition=9999)[0] == 0
        answer = decode(MESSAGES[wire.FETCH, "response"].fields, conn.receive(correlation), 11, False)
        woken = [part["PartitionIndex"] for part in answer["Responses"][0]["Partitions"] if part["Records"]]
        assert woken == [9999]
