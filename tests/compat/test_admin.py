# SPDX-License-Identifier: Apache-2.0
"""Topics and settings through stock admin clients: list, create, grow, alter, describe, delete, and what is refused."""
import json
import struct

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from confluent_kafka.admin import OffsetSpec
from kafka.admin import ConfigResource as PyConfigResource
from kafka.admin import ConfigResourceType, KafkaAdminClient
from kafka.admin import NewPartitions as PyNewPartitions
from kafka.admin import NewTopic as PyNewTopic
from kafka.errors import (InvalidPartitionsError, InvalidTopicError, TopicAlreadyExistsError,
                          UnknownTopicOrPartitionError)

import kafka_wire as wire
from clients import Confluent, Kcat, Python
from evlogd import Broker
from kafka_wire import string

KE = confluent_kafka.KafkaError


@pytest.fixture(scope="module")
def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


@pytest.fixture(scope="module")
def python_admin(broker):
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    yield client
    client.close()


def results(futures):
    return [future.result(60) for future in futures.values()]


def refusal(futures):
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        results(futures)
    return refused.value.args[0].code()


def described(admin, topic):
    settings, = results(admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
    return settings


def partitions(admin, topic):
    return len(admin.list_topics(topic, timeout=60).topics[topic].partitions)


def test_a_topics_life(broker, admin, topic):
    results(admin.create_topics([NewTopic(topic, 3, 1, config={"retention.ms": "3600000"})]))
    listed = admin.list_topics(timeout=60)
    assert listed.topics[topic].error is None and sorted(listed.topics[topic].partitions) == [0, 1, 2]
    assert listed.cluster_id and [b.port for b in listed.brokers.values()] == [broker.port]
    for partition in listed.topics[topic].partitions.values():
        assert partition.leader == listed.controller_id and partition.replicas == partition.isrs == [partition.leader]
    assert described(admin, topic)["retention.ms"].value == "3600000"
    results(admin.create_partitions([NewPartitions(topic, 5)]))
    assert partitions(admin, topic) == 5
    Confluent(broker).write(topic, [(None, b"in the new one", [])], partition=4)
    assert [event[3] for event in Python(broker).read(topic, partition=4)] == [b"in the new one"]
    results(admin.delete_topics([topic]))
    assert topic not in admin.list_topics(timeout=60).topics


def test_many_topics_at_once(admin, topic):
    names = [f"{topic}-{i}" for i in range(30)]
    results(admin.create_topics([NewTopic(name, 4, 1) for name in names]))
    assert set(names) <= set(admin.list_topics(timeout=60).topics)
    results(admin.delete_topics(names))
    assert not set(names) & set(admin.list_topics(timeout=60).topics)


def test_creation_is_refused(admin, topic):
    results(admin.create_topics([NewTopic(topic, 1, 1)]))
    assert refusal(admin.create_topics([NewTopic(topic, 1, 1)])) == KE.TOPIC_ALREADY_EXISTS
    assert refusal(admin.create_topics([NewTopic("no/slash", 1, 1)])) == KE.TOPIC_EXCEPTION
    assert refusal(admin.create_topics([NewTopic(topic + "-a", 20000, 1)])) == KE.INVALID_PARTITIONS
    assert refusal(admin.create_topics([NewTopic(topic + "-b", 1, 1, config={"no.such": "1"})])) == KE.INVALID_CONFIG
    assert refusal(admin.create_topics([NewTopic(topic + "-c", 1, 1,
                                                 config={"cleanup.policy": "keep"})])) == KE.INVALID_CONFIG
    results(admin.create_topics([NewTopic(topic + "-d", 1, 1)], validate_only=True))
    results(admin.create_topics([NewTopic(topic + "-e", 1, 3)]))    # replication 3 is taken as 1
    listed = admin.list_topics(timeout=60).topics
    assert [name for name in listed if name.startswith(topic)] and topic + "-d" not in listed
    assert listed[topic + "-e"].partitions[0].replicas == [1]


def test_growth_is_refused(admin, topic):
    results(admin.create_topics([NewTopic(topic, 3, 1)]))
    assert refusal(admin.create_partitions([NewPartitions(topic, 3)])) == KE.INVALID_PARTITIONS
    assert refusal(admin.create_partitions([NewPartitions(topic, 1)])) == KE.INVALID_PARTITIONS
    assert refusal(admin.create_partitions([NewPartitions(topic + "-no", 9)])) == KE.UNKNOWN_TOPIC_OR_PART
    assert partitions(admin, topic) == 3


def test_settings(broker, admin, topic):
    results(admin.create_topics([NewTopic(topic, 1, 1)]))
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
        ConfigEntry("retention.ms", "86400000", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET)])
    results(admin.incremental_alter_configs([resource]))
    settings = described(admin, topic)
    assert (settings["retention.ms"].value, settings["retention.ms"].is_default) == ("86400000", False)
    assert (settings["segment.bytes"].value, settings["segment.bytes"].is_default) == ("134217728", True)
    with pytest.raises(confluent_kafka.KafkaException):
        Confluent(broker).write(topic, [(None, b"x" * 6000, [])])
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
        ConfigEntry("max.message.bytes", None, incremental_operation=AlterConfigOpType.DELETE)])
    results(admin.incremental_alter_configs([resource]))
    assert described(admin, topic)["max.message.bytes"].is_default
    Confluent(broker).write(topic, [(None, b"x" * 6000, [])])
    for name, value in (("retention.ms", "soon"), ("no.such", "1"), ("segment.bytes", "1")):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)])
        assert refusal(admin.incremental_alter_configs([resource])) == KE.INVALID_CONFIG
    assert described(admin, topic)["retention.ms"].value == "86400000"


def test_settings_of_the_broker(admin):
    settings, = results(admin.describe_configs([ConfigResource(ConfigResource.Type.BROKER, "1")]))
    assert settings["num.partitions"].value == "1"
    assert settings["auto.create.topics.enable"].value == "true"


def test_topics_are_described(admin, topic):
    results(admin.create_topics([NewTopic(topic, 2, 1)]))
    answer = admin.describe_topics(confluent_kafka.TopicCollection([topic]))[topic].result(60)
    assert answer.name == topic and len(answer.partitions) == 2 and answer.topic_id is not None
    assert answer.partitions[0].leader.id == 1
    nodes = admin.describe_cluster().result(60)
    assert nodes.cluster_id and nodes.controller.id == 1


def test_offsets_through_the_admin_client(broker, admin, topic):
    results(admin.create_topics([NewTopic(topic, 1, 1)]))
    Confluent(broker).write(topic, [(None, b"%d" % i, []) for i in range(10)], timestamps=[1000 + i for i in range(10)])
    partition = confluent_kafka.TopicPartition(topic, 0)

    def asked(spec):
        return results(admin.list_offsets({partition: spec}))[0].offset

    assert (asked(OffsetSpec.earliest()), asked(OffsetSpec.latest())) == (0, 10)
    assert asked(OffsetSpec.for_timestamp(1005)) == 5
    assert asked(OffsetSpec.max_timestamp()) == 9
    results(admin.delete_records([confluent_kafka.TopicPartition(topic, 0, 4)]))
    assert asked(OffsetSpec.earliest()) == 4


def test_kafka_python(python_admin, topic):
    python_admin.create_topics([PyNewTopic(name=topic, num_partitions=2, replication_factor=1,
                                           topic_configs={"retention.ms": "5000"})])
    assert topic in python_admin.list_topics()
    with pytest.raises(TopicAlreadyExistsError):
        python_admin.create_topics([PyNewTopic(name=topic, num_partitions=2, replication_factor=1)])
    with pytest.raises(InvalidTopicError):
        python_admin.create_topics([PyNewTopic(name="no/slash", num_partitions=2, replication_factor=1)])
    python_admin.create_partitions({topic: PyNewPartitions(total_count=4)})
    with pytest.raises(InvalidPartitionsError):
        python_admin.create_partitions({topic: PyNewPartitions(total_count=4)})
    found, = python_admin.describe_topics([topic])
    assert len(found["partitions"]) == 4
    python_admin.delete_topics([topic])
    assert topic not in python_admin.list_topics()
    with pytest.raises(UnknownTopicOrPartitionError):
        python_admin.delete_topics([topic])


def test_kafka_python_settings(python_admin, topic):
    python_admin.create_topics([PyNewTopic(name=topic, num_partitions=1, replication_factor=1,
                                           topic_configs={"retention.ms": "5000"})])
    resource = PyConfigResource(ConfigResourceType.TOPIC, topic)
    assert "5000" in str(python_admin.describe_configs([resource]))
    resource = PyConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "777000"})
    python_admin.alter_configs([resource])
    assert "777000" in str(python_admin.describe_configs([PyConfigResource(ConfigResourceType.TOPIC, topic)]))


@pytest.mark.parametrize("writer", [Confluent, Kcat, Python])
def test_topics_are_made_by_use(broker, admin, topic, writer):
    writer(broker).write(topic, [(b"k", b"first", [])])
    assert partitions(admin, topic) == 1
    assert [event[3] for event in Confluent(broker).read(topic)] == [b"first"]


def test_topics_are_not_made_when_forbidden(tmp_path):
    broker = Broker(tmp_path / "data", args=["--auto-create-topics-enable=false"]).start()
    try:
        with pytest.raises(confluent_kafka.KafkaException) as refused:
            Confluent(broker).write("unwanted", [(None, b"x", [])], message_timeout_ms=3000)
        assert refused.value.args[0].code() in (KE.UNKNOWN_TOPIC_OR_PART, KE._UNKNOWN_TOPIC, KE._MSG_TIMED_OUT)
        assert json.loads(Kcat(broker).run("-L", "-J"))["topics"] == []
    finally:
        assert broker.stop() == 0


def test_the_list_of_kcat(broker, admin, topic):
    results(admin.create_topics([NewTopic(topic, 3, 1)]))
    listed = json.loads(Kcat(broker).run("-L", "-J"))
    assert listed["brokers"] == [{"id": 1, "name": broker.bootstrap}]
    found, = [t for t in listed["topics"] if t["topic"] == topic]
    assert [p["partition"] for p in found["partitions"]] == [0, 1, 2]
    assert not [t["topic"] for t in listed["topics"] if t["topic"].startswith("__")], "internal topics are hidden"


@pytest.mark.parametrize("version", [2, 4])
def test_minus_one_is_the_default(broker, topic, version):
    """kafkajs sends -1 for partitions and replicas in versions that are older than the rule."""
    with broker.connect() as conn:
        body = struct.pack(">i", 1) + string(topic) + struct.pack(">ihii", -1, -1, 0, 0) + struct.pack(">ib", 30000, 0)
        reader = conn.ask(wire.CREATE_TOPICS, version, body)
        reader.unpack("ii")
        assert (reader.string(), reader.unpack("h")) == (topic, 0)
        assert conn.metadata([topic])[topic] == (0, 1, False)
