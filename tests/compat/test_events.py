# SPDX-License-Identifier: Apache-2.0
"""What one family of clients writes every other reads the same: codecs, headers, nulls, sizes, order."""
import time

import confluent_kafka
import kafka.errors
import pytest

import kafka_wire as wire
from clients import ALL, CODECS, Confluent, Kcat, Python
from evlogd import Broker, wait_for
from kafka_wire import batch

EVENTS = [(b"key-%d" % (i % 7), b"%05d " % i + b"some text that compresses " * (4 + i % 20), []) for i in range(400)]


def stored_codecs(conn, topic):
    """The codec bits of every stored batch."""
    end = conn.list_offset(topic, -1)[2]
    found, offset = set(), 0
    while offset < end:
        for data in wire.split(conn.fetch(topic, offset=offset)["records"]):
            found.add(wire.codec_of(data))
            offset = wire.batches_in(data)[0][1] + 1
    return found


def content(events):
    return [(key, value, list(headers)) for _, _, key, value, headers in events]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("writer", ALL)
def test_codecs(broker, topic, writer, codec):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        ALL[writer](broker).write(topic, EVENTS, codec)
        assert stored_codecs(conn, topic) == {CODECS[codec]}, "not stored as it was sent"
    for reader in ALL.values():
        found = reader(broker).read(topic)
        assert [event[0] for event in found] == list(range(len(EVENTS))), reader.name
        assert content(found) == EVENTS, reader.name


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_survive_a_restart(tmp_path, codec):
    """From segments, not from memory: the bytes are still the producer's."""
    broker = Broker(tmp_path / "data").start()
    try:
        for writer in (Confluent, Python):
            writer(broker).write(codec, EVENTS, codec)
        assert broker.stop() == 0
        broker.start()
        with broker.connect() as conn:
            assert stored_codecs(conn, codec) == {CODECS[codec]}
        for reader in (Confluent, Python):
            assert content(reader(broker).read(codec)) == EVENTS * 2
    finally:
        assert broker.stop() == 0


NULLS = [(None, b"no key", []), (b"k", None, []), (None, None, []), (b"", b"", []), (b"k", b"", [("only", b"header")]),
         ("schlüssel".encode(), "wért ☃".encode(), []),
         (b"k", b"v", [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None), ("é", bytes(range(256)))]),
         (bytes(range(256)), bytes(range(255, -1, -1)) * 20, [("many", b"%d" % i) for i in range(200)])]


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("writer", [Confluent, Python])
def test_headers_and_nulls(broker, topic, writer, codec):
    # kafka-python's producer wants a key or a value, and a value in each header.
    events = [(k, v, [h for h in headers if writer is Confluent or h[1] is not None]) for k, v, headers in NULLS
              if writer is Confluent or (k, v) != (None, None)]
    writer(broker).write(topic, events, codec)
    for reader in (Confluent, Python):
        assert content(reader(broker).read(topic)) == events, reader.name


def test_headers_and_nulls_of_kcat(broker, topic):
    events = [(None, b"no key", []), (b"k", None, []), (b"k", b"v", [("name", b"text"), ("name", b"again")])]
    Kcat(broker).write(topic, events)
    for reader in ALL.values():
        assert content(reader(broker).read(topic)) == events, reader.name


@pytest.mark.parametrize("writer", [Confluent, Python])
def test_idempotent_producers(broker, topic, writer):
    settings = {"enable_idempotence": True}
    if writer is Confluent:
        settings["batch_num_messages"] = 20
    else:
        settings["batch_size"] = 2000
    events = [(None, b"%06d" % i, []) for i in range(5000)]
    for turn in range(2):
        writer(broker).write(topic, events, **settings)
        assert content(Confluent(broker).read(topic)) == events * (turn + 1)
    with broker.connect() as conn:
        data = wire.split(conn.fetch(topic)["records"])[0]
        assert int.from_bytes(data[43:51], "big", signed=True) >= 0, "the batch has no producer id"


def test_idempotent_kcat(broker, topic):
    Kcat(broker).write(topic, EVENTS, "lz4", enable_idempotence="true")
    assert content(Kcat(broker).read(topic)) == EVENTS


@pytest.mark.parametrize("writer,limit,length", [(Confluent, None, 999000), (Python, None, 999000),
                                                 (Confluent, 16 << 20, 15 << 20), (Python, 4 << 20, 3 << 20)])
def test_large_events(broker, topic, writer, limit, length):
    """Just below max.message.bytes, and read by consumers that ask for less than that."""
    with broker.connect() as conn:
        assert conn.create_topic(topic, configs=[("max.message.bytes", str(limit))] if limit else [])[0] == 0
    events = [(None, bytes(length), []), (None, b"x" * length, []), (b"k", b"small", [])]
    raised = {"message_max_bytes" if writer is Confluent else "max_request_size": 16 << 20}
    writer(broker).write(topic, events, **(raised if limit else {}))
    found = Confluent(broker).read(topic, fetch_message_max_bytes=1000, receive_message_max_bytes=100 << 20)
    assert content(found) == events
    # Its checksums are computed in Python, a megabyte a second.
    assert content(Python(broker).read(topic, max_partition_fetch_bytes=1000, check_crcs=length < 1 << 20)) == events


def test_too_large_events(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic, configs=[("max.message.bytes", "50000")])[0] == 0
    large, small = [(None, b"x" * 60000, [])], [(None, b"x" * 40000, [])]
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        Confluent(broker).write(topic, large)
    assert refused.value.args[0].code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    with pytest.raises(kafka.errors.MessageSizeTooLargeError):
        Python(broker).write(topic, large)
    for writer in (Confluent, Python):
        writer(broker).write(topic, small)
    assert content(Confluent(broker).read(topic)) == small * 2


def test_the_limit_is_exact(broker, topic):
    """max.message.bytes counts the whole batch as it is sent."""
    fixed = len(batch([b""]))
    with broker.connect() as conn:
        value = bytes(200)
        size = len(batch([value]))
        assert size > fixed
        assert conn.create_topic(topic, configs=[("max.message.bytes", str(size))])[0] == 0
        assert conn.produce(topic, batch([value]))[0] == 0
        assert conn.produce(topic, batch([value + b"x"]))[0] == wire.MESSAGE_TOO_LARGE


def test_producers_to_many_partitions_keep_their_order(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic, partitions=40)[0] == 0
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    for number in range(8000):
        producer.produce(topic, b"%d" % number, partition=number % 40)
        producer.poll(0)
    assert producer.flush(60) == 0
    consumer = Confluent(broker).consumer()
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(40)])
    found = {partition: [] for partition in range(40)}
    deadline = time.monotonic() + 60
    while sum(map(len, found.values())) < 8000 and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            if message.error() is None:
                found[message.partition()].append(int(message.value()))
    consumer.close()
    assert found == {partition: list(range(partition, 8000, 40)) for partition in range(40)}


def test_clients_live_through_a_crash(tmp_path):
    """Running producers and consumers of both families go on after kill -9; nothing is read twice or left out."""
    broker = Broker(tmp_path / "data").start()
    broker.listen = broker.bootstrap
    topic = "lasting"
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True,
                                         "log_level": 0,
                                         "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50})
    reader = Confluent(broker).consumer(log_level=0, reconnect_backoff_ms=20, reconnect_backoff_max_ms=50)
    python, target = Python(broker).consumer(topic, 0, reconnect_backoff_max_ms=50)
    try:
        producer.produce(topic, b"0", partition=0)
        assert producer.flush(60) == 0
        reader.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        python.seek(target, 0)
        got, got_python, sent = [], [], 1

        def read_on():
            for message in reader.consume(1000, 0.02):
                if message.error() is None:
                    got.append((message.offset(), message.value()))
                else:
                    assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF or \
                        message.error().retriable() or message.error().code() < 0, message.error()
            for message in python.poll(20).get(target, []):
                got_python.append((message.offset, message.value))
            return len(got) >= sent and len(got_python) >= sent

        wait_for(read_on, "the first event")
        for _ in range(3):
            broker.kill()
            for _ in range(50):
                producer.produce(topic, b"%d" % sent, partition=0)
                sent += 1
            broker.start()
            assert producer.flush(60) == 0
            wait_for(read_on, "events behind the crash")
        expected = [(i, b"%d" % i) for i in range(sent)]
        assert got == expected and got_python == expected
    finally:
        reader.close()
        python.close()
        broker.stop()
