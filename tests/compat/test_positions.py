# SPDX-License-Identifier: Apache-2.0
"""Where consumers begin: offsets, the ends of the log, points in time; what they are told when there is nothing."""
import time

import confluent_kafka
import kafka
import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, TopicPartition

import kafka_wire as wire
from clients import Confluent, Kcat, Python
from evlogd import wait_for
from kafka_wire import batch

COUNT = 100
FIRST_MS, STEP_MS = 1_700_000_000_000, 1000


@pytest.fixture(scope="module")
def timed(broker):
    """A topic with one event a second, over many batches and segments."""
    with broker.connect() as conn:
        assert conn.create_topic("timed", 2, [("segment.bytes", "65536")])[0] == 0
    events = [(b"k", b"%d " % i + b"x" * 3000, []) for i in range(COUNT)]
    stamps = [FIRST_MS + STEP_MS * i for i in range(COUNT)]
    Confluent(broker).write("timed", events, timestamps=stamps, batch_num_messages=7)
    return "timed"


def first_number(events):
    return int(events[0][3].split()[0])


def test_watermarks(broker, timed):
    consumer = Confluent(broker).consumer()
    assert consumer.get_watermark_offsets(TopicPartition(timed, 0), timeout=60) == (0, COUNT)
    assert consumer.get_watermark_offsets(TopicPartition(timed, 1), timeout=60) == (0, 0)
    consumer.close()
    python, target = Python(broker).consumer(timed, 0)
    empty = kafka.TopicPartition(timed, 1)
    assert python.beginning_offsets([target, empty]) == {target: 0, empty: 0}
    assert python.end_offsets([target, empty]) == {target: COUNT, empty: 0}
    python.close()


@pytest.mark.parametrize("start", [0, 1, 6, 7, 50, COUNT - 1])
def test_from_an_offset(broker, timed, start):
    """Also in the middle of a batch: consumers drop what comes before."""
    for kind in (Confluent, Kcat, Python):
        found = kind(broker).read(timed, start=start)
        assert [event[0] for event in found] == list(range(start, COUNT)), kind.name
        assert first_number(found) == start


def test_from_the_end(broker, timed):
    assert Confluent(broker).read(timed, start=OFFSET_END) == []
    assert Kcat(broker).read(timed, start="end") == []
    assert first_number(Kcat(broker).read(timed, start="-5")) == COUNT - 5
    assert first_number(Confluent(broker).read(timed, start=-2000 - 5)) == COUNT - 5


# Asked time in steps after the first event -> the event that is found.
TIMES = {-5: 0, 0: 0, 0.5: 1, 1: 1, 41.999: 42, 42: 42, COUNT - 1: COUNT - 1, COUNT - 0.5: None}


@pytest.mark.parametrize("steps", TIMES)
def test_by_time(broker, timed, steps):
    stamp = FIRST_MS + int(steps * STEP_MS)
    expected = TIMES[steps]
    consumer = Confluent(broker).consumer()
    found, = consumer.offsets_for_times([TopicPartition(timed, 0, stamp)], timeout=60)
    assert found.error is None
    assert found.offset == (OFFSET_END if expected is None else expected)
    consumer.close()
    python, target = Python(broker).consumer(timed, 0)
    answer = python.offsets_for_times({target: stamp})[target]
    if expected is None:
        assert answer is None
    else:
        assert (answer.offset, answer.timestamp) == (expected, FIRST_MS + expected * STEP_MS)
        assert answer.leader_epoch == 0
    python.close()
    read = Kcat(broker).read(timed, start=f"s@{stamp}")
    assert (first_number(read) if read else None) == expected


def test_times_of_an_empty_partition(broker, timed):
    consumer = Confluent(broker).consumer()
    found, = consumer.offsets_for_times([TopicPartition(timed, 1, FIRST_MS)], timeout=60)
    assert found.offset == OFFSET_END
    consumer.close()


def test_timestamps_come_back(broker, timed):
    for kind in (Confluent, Kcat, Python):
        stamps = [event[1] for event in kind(broker).read(timed)]
        assert stamps == [FIRST_MS + STEP_MS * i for i in range(COUNT)], kind.name


def test_append_time_is_told_as_such(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic, configs=[("message.timestamp.type", "LogAppendTime")])[0] == 0
    before = int(time.time() * 1000)
    reported = []
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, b"x", timestamp=5, on_delivery=lambda _, message: reported.append(message.timestamp()))
    assert producer.flush(30) == 0
    consumer = Confluent(broker).consumer()
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    message = wait_for(lambda: consumer.poll(0.5), "the event")
    kind, stamp = message.timestamp()
    consumer.close()
    assert kind == confluent_kafka.TIMESTAMP_LOG_APPEND_TIME and abs(stamp - before) < 60000
    assert reported == [(kind, stamp)], "the producer is told another time"
    python, target = Python(broker).consumer(topic, 0)
    python.seek(target, 0)
    found, = wait_for(lambda: python.poll(500).get(target), "the event")
    assert (found.timestamp_type, found.timestamp) == (1, stamp)
    python.close()


def test_outside_of_the_log(broker, timed):
    """With auto.offset.reset the consumer goes on at that end; without it the user is told."""
    consumer = Confluent(broker).consumer()
    consumer.assign([TopicPartition(timed, 0, COUNT + 50)])
    message = wait_for(lambda: consumer.poll(0.5), "the error")
    # AUTO_OFFSET_RESET is how librdkafka reports that it was not allowed to reset.
    assert message.error().code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET, message.error()
    assert "out of range" in message.error().str().lower()
    consumer.close()
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused", "auto.offset.reset": "earliest",
                         "enable.auto.commit": False})
    consumer.assign([TopicPartition(timed, 0, COUNT + 50)])
    assert wait_for(lambda: consumer.poll(0.5), "the first event").offset() == 0
    consumer.close()
    python, target = Python(broker).consumer(timed, 0)
    python.seek(target, COUNT + 50)
    with pytest.raises(kafka.errors.OffsetOutOfRangeError):
        wait_for(lambda: python.poll(500), "the error")
    python.close()


def test_behind_deleted_records(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        for number in range(10):
            assert conn.produce(topic, batch([b"%d-%d" % (number, i) for i in range(3)]))[0] == 0
        assert conn.delete_records(topic, 10) == (0, 10)
    found = Confluent(broker).read(topic)
    assert [event[0] for event in found] == list(range(10, 30)), "the middle of a batch is where the log starts"
    found = Python(broker).read(topic)
    assert [event[0] for event in found] == list(range(10, 30))
    consumer = Confluent(broker).consumer()
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=60) == (10, 30)
    consumer.close()


def test_a_waiting_consumer_is_woken(broker, topic):
    """What is produced arrives without waiting for the fetch to run out: it may take a minute here."""
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        consumer = Confluent(broker).consumer(fetch_wait_max_ms=60000, socket_timeout_ms=120000)
        consumer.assign([TopicPartition(topic, 0, 0)])
        python, target = Python(broker).consumer(topic, 0, fetch_max_wait_ms=60000, request_timeout_ms=120000)
        python.seek(target, 0)
        got, got_python = [], []

        def both(count):
            got.extend(m for m in consumer.consume(10, 0.05) if m.error() is None)
            got_python.extend(python.poll(50).get(target, []))
            return len(got) >= count and len(got_python) >= count

        for number in range(1, 4):
            both(number)
            assert conn.produce(topic, batch([b"%d" % number]))[:2] == (0, number - 1)
            wait_for(lambda: both(number), "the event")
        consumer.close()
        python.close()


def test_unknown_topics_and_partitions(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        assert conn.fetch(topic, partition=5)["error"] == wire.UNKNOWN_TOPIC_OR_PARTITION
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        Confluent(broker).write(topic, [(None, b"x", [])], partition=5)
    assert refused.value.args[0].code() in (confluent_kafka.KafkaError._UNKNOWN_PARTITION,
                                            confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART)
