# SPDX-License-Identifier: Apache-2.0
"""Stock Python clients read in groups of evlogd, and their admin clients look after groups. What each client must be
able to do is in members.py; the clients in other languages are in others/."""
import confluent_kafka
import kafka
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

import members
from clients import Kcat
from evlogd import Broker, flags, wait_for
from members import PYTHON_FAMILIES, SETTINGS, Crew, Outcomes, Writer, committed, committed_count, matrix, pair_name

CONFLUENT = PYTHON_FAMILIES[0]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = Broker(tmp_path_factory.mktemp("data"), args=flags(SETTINGS)).start()
    yield instance
    assert instance.process.poll() is None, "evlogd died:\n" + "".join(instance.log[-50:])
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture(scope="module")
def outcomes(broker):
    with Outcomes(broker, matrix(PYTHON_FAMILIES)) as running:
        yield running


@pytest.mark.parametrize("pair", matrix(PYTHON_FAMILIES), ids=pair_name)
def test_member(outcomes, pair):
    outcomes.check(pair)


def test_a_member_gets_in_when_there_is_memory(tmp_path, topic):
    members.gets_in_when_there_is_memory(CONFLUENT, tmp_path / "data", topic)


def test_kcat_reads_in_a_group(broker, topic):
    """kcat -G ends at the end of its partitions, commits, and the next one has nothing to read."""
    values = Writer(broker, topic).write(50)
    flags_of_kcat = ["-G", topic, "-e", "-q", "-X", "auto.offset.reset=earliest", "-X", "fetch.wait.max.ms=10", topic]
    assert sorted(Kcat(broker).run(*flags_of_kcat).split()) == sorted(values)
    assert Kcat(broker).run(*flags_of_kcat) == ""


def test_the_admin_client_of_librdkafka(broker, topic):
    writer = Writer(broker, topic)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    writer.write(40)
    with Crew(CONFLUENT, broker, topic, topic) as crew:
        member = crew.start()
        member.wait(lambda: len(crew.values()) == 40, "the events")
        wait_for(lambda: committed_count(broker, topic, topic) == 40, "the commits")
        listed = {group.group_id: group for group in admin.list_consumer_groups().result(60).valid}
        assert listed[topic].state.name == "STABLE" and not listed[topic].is_simple_consumer_group
        described = admin.describe_consumer_groups([topic])[topic].result(60)
        assert (described.state.name, described.partition_assignor, len(described.members)) == ("STABLE", "range", 1)
        assert {part.partition for part in described.members[0].assignment.topic_partitions} == members.ALL
        with pytest.raises(confluent_kafka.KafkaException) as refused:
            admin.delete_consumer_groups([topic])[topic].result(60)
        assert refused.value.args[0].code() == confluent_kafka.KafkaError.NON_EMPTY_GROUP
        member.leave()
    writer.write(8)
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])[topic].result(60)
    ends = admin.list_offsets({TopicPartition(topic, number): OffsetSpec.latest() for number in members.ALL})
    lag = {part.partition: ends[TopicPartition(topic, part.partition)].result(60).offset - part.offset
           for part in offsets.topic_partitions}
    assert lag == {number: 2 for number in members.ALL}
    moved = ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 0, 3)])
    admin.alter_consumer_group_offsets([moved])[topic].result(60)
    assert committed(broker, topic, topic)[0] == 3
    admin.delete_consumer_groups([topic])[topic].result(60)
    assert topic not in {group.group_id for group in admin.list_consumer_groups().result(60).valid}
    assert set(committed(broker, topic, topic).values()) == {-1}


def test_the_admin_client_of_kafka_python(broker, topic):
    Writer(broker, topic).write(8)
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=topic, enable_auto_commit=False)
    parts = [kafka.TopicPartition(topic, number) for number in range(members.PARTITIONS)]
    consumer.assign(parts)
    consumer.commit({part: kafka.OffsetAndMetadata(number, f"note {number}", -1) for number, part in enumerate(parts)})
    assert consumer.committed(parts[2], metadata=True) == kafka.OffsetAndMetadata(2, "note 2", -1)
    consumer.close()
    assert topic in str(admin.list_groups())
    assert "Empty" in str(admin.describe_groups([topic]))
    found = str(admin.list_group_offsets(topic))
    assert "note 3" in found
    admin.delete_groups([topic])
    assert topic not in str(admin.list_groups())
    admin.close()
