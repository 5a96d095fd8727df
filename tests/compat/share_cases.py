# SPDX-License-Identifier: Apache-2.0
"""What librdkafka's share consumer does on every broker that has share groups: evlogd and Apache Kafka.

A file of tests has the fixtures `broker` and `topic` and says `from share_cases import *`.
"""
import time

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from members import PATIENCE_SECONDS

__all__ = ["writer", "test_librdkafka_reads_on", "test_librdkafka_acknowledges_each",
           "test_librdkafka_members_share_the_partitions", "test_librdkafka_gives_back_what_it_had"]


class ShareWriter:
    """A topic of its own, to whose partitions events are written by hand."""

    def __init__(self, broker, topic, partitions=1):
        self.topic = topic
        with broker.connect() as conn:
            assert conn.create_topic(topic, partitions)[0] == 0
        self.producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def write(self, *values, partition=0, **more):
        for value in values:
            self.producer.produce(self.topic, value, partition=partition, **more)
        assert self.producer.flush(PATIENCE_SECONDS) == 0


@pytest.fixture
def writer(broker, topic):
    return ShareWriter(broker, topic)


def share_consumer(broker, group, **settings):
    """A member of the group, which reads the topic of the same name."""
    consumer = confluent_kafka.ShareConsumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "log_level": 0,
                                              **settings})
    consumer.subscribe([group])
    return consumer


def poll_until(consumer, count, handle=lambda message: None):
    """[(offset, value)] of so many messages, or of those that came in time."""
    found = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.poll(0.5):
            assert message.error() is None, message.error()
            handle(message)
            found.append((message.offset(), message.value().decode()))
    return found


def commit(consumer):
    assert all(error is None for error in consumer.commit_sync(PATIENCE_SECONDS).values())


def configure(broker, group, **settings):
    """Names with _ for a dot."""
    entries = [ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
               for name, value in settings.items()]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for change in admin.incremental_alter_configs(
            [ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)]).values():
        change.result(PATIENCE_SECONDS)


def earliest(broker, group):
    configure(broker, group, share_auto_offset_reset="earliest")


def outcomes(consumer, again="accept"):
    """What to do with each message: what its value says, and `again` with one that was seen before."""
    kinds = {"accept": confluent_kafka.AcknowledgeType.ACCEPT, "reject": confluent_kafka.AcknowledgeType.REJECT,
             "release": confluent_kafka.AcknowledgeType.RELEASE}
    seen = set()

    def handle(message):
        kind = message.value().decode().split()[0] if message.offset() not in seen else again
        seen.add(message.offset())
        consumer.acknowledge(message, kinds[kind])
    return handle


def test_librdkafka_reads_on(broker, writer, topic):
    earliest(broker, topic)
    values = [f"v{number}" for number in range(200)]
    writer.write(*values)
    first = share_consumer(broker, topic)
    assert poll_until(first, 200) == list(enumerate(values))
    commit(first)
    first.close()
    second = share_consumer(broker, topic)
    writer.write("last")
    assert poll_until(second, 1) == [(200, "last")]
    second.close()


def test_librdkafka_acknowledges_each(broker, writer, topic):
    earliest(broker, topic)
    writer.write("accept", "release", "reject", "accept")
    consumer = share_consumer(broker, topic, **{"share.acknowledgement.mode": "explicit"})
    assert sorted(poll_until(consumer, 5, outcomes(consumer))) == [
        (0, "accept"), (1, "release"), (1, "release"), (2, "reject"), (3, "accept")]
    commit(consumer)
    consumer.close()


def test_librdkafka_members_share_the_partitions(broker, topic):
    """Two members work on four partitions at the same time, one leaves, and nothing is left out or comes twice."""
    earliest(broker, topic)
    writer = ShareWriter(broker, topic, 4)
    members = [share_consumer(broker, topic) for _ in range(2)]
    seen, of = [], [0, 0]

    def read(count, *numbers):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(seen) < count and time.monotonic() < deadline:
            for number in numbers:
                for message in members[number].poll(0.1):
                    assert message.error() is None, message.error()
                    seen.append((message.partition(), message.offset()))
                    of[number] += 1

    written = 0
    while min(of) == 0 and written < 4000:
        for partition in range(4):
            writer.write(*[f"v{number}" for number in range(10)], partition=partition)
        written += 40
        read(written, 0, 1)
    assert min(of) > 0, "one member got everything"
    commit(members[0])
    members[0].close()
    for partition in range(4):
        writer.write("late", partition=partition)
    read(written + 4, 1)
    commit(members[1])
    members[1].close()
    assert sorted(seen) == sorted((partition, offset) for partition in range(4) for offset in range(written // 4 + 1))


def test_librdkafka_gives_back_what_it_had(broker, writer, topic):
    """A member that closes without an outcome: its events come to another one at once."""
    configure(broker, topic, share_auto_offset_reset="earliest", share_record_lock_duration_ms="60000")
    writer.write("accept", "accept")
    first = share_consumer(broker, topic, **{"share.acknowledgement.mode": "explicit"})
    assert len(poll_until(first, 2)) == 2
    first.close()
    started = time.monotonic()
    second = share_consumer(broker, topic, **{"share.acknowledgement.mode": "explicit"})
    assert poll_until(second, 2, outcomes(second)) == [(0, "accept"), (1, "accept")]
    commit(second)
    second.close()
    assert time.monotonic() - started < 50
