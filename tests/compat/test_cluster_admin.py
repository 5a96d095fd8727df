# SPDX-License-Identifier: Apache-2.0
"""What stock admin clients ask about a cluster: its directories, replicas, quorum, features and settings."""
import os
import shutil

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from kafka import TopicPartition
from kafka.admin import ConfigFilterType
from kafka.admin import ConfigResource as PyConfigResource
from kafka.admin import ConfigResourceType, KafkaAdminClient
from kafka.admin import NewTopic as PyNewTopic
from kafka.errors import InvalidUpdateVersionError

from clients import Confluent
from evlogd import Broker, wait_for

KE = confluent_kafka.KafkaError


@pytest.fixture(scope="module")
def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


@pytest.fixture(scope="module")
def python_admin(broker):
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    yield client
    client.close()


@pytest.fixture
def made(python_admin, topic):
    python_admin.create_topics([PyNewTopic(name=topic, num_partitions=3, replication_factor=1,
                                           topic_configs={"segment.bytes": "1048576"})])
    return topic


def settings(python_admin, topic):
    """The topic's own, by name."""
    found = python_admin.describe_configs([PyConfigResource(ConfigResourceType.TOPIC, topic)])["topic"][topic]
    return {name: setting["value"] for name, setting in found.items()}


def test_whole_sets_of_settings(python_admin, made):
    """AlterConfigs: what is not named returns to its default; kafka-python names what is to stay."""
    target = PyConfigResource(ConfigResourceType.TOPIC, made, {"retention.ms": "5000"})
    python_admin.alter_configs([target], validate_only=True, incremental=False)
    assert settings(python_admin, made) == {"segment.bytes": "1048576"}
    python_admin.alter_configs([target], incremental=False)
    assert settings(python_admin, made) == {"segment.bytes": "1048576", "retention.ms": "5000"}
    python_admin.reset_configs([PyConfigResource(ConfigResourceType.TOPIC, made, ["segment.bytes"])], incremental=False)
    assert settings(python_admin, made) == {"retention.ms": "5000"}


def test_whole_sets_of_settings_by_librdkafka(admin, python_admin, made):
    change = ConfigResource(ConfigResource.Type.TOPIC, made, set_config={"retention.ms": "7000"})
    assert [future.result(60) for future in admin.alter_configs([change]).values()] == [None]
    assert settings(python_admin, made) == {"retention.ms": "7000"}
    bad = ConfigResource(ConfigResource.Type.TOPIC, made, set_config={"retention.ms": "1", "no.such": "1"})
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        admin.alter_configs([bad])[bad].result(60)
    assert refused.value.args[0].code() == KE.INVALID_CONFIG
    assert settings(python_admin, made) == {"retention.ms": "7000"}


def test_settings_of_the_broker_are_told_and_changed_where_that_needs_no_restart(python_admin):
    def change(settings):
        target = PyConfigResource(ConfigResourceType.BROKER, "1", settings)
        return python_admin.alter_configs([target], raise_on_unknown=False)["broker"]["1"]

    def told():
        return python_admin.describe_configs([PyConfigResource(ConfigResourceType.BROKER, "1")],
                                             config_filter=ConfigFilterType.ALL)["broker"]["1"]

    answer = change({"shards": "4"})
    assert "PolicyViolation" in answer and "it takes a restart. Set shards in [server]" in answer
    assert change({"num.partitions": "3"}) == "OK"
    found = told()
    assert found["num.partitions"]["value"] == "3" and not found["num.partitions"]["read_only"]
    assert found["shards"]["read_only"]
    assert found["connections.max.idle.ms"]["value"] == "600000"
    assert found["log.retention.ms"]["value"] == "-1"
    assert change({"num.partitions": "1"}) == "OK"


def test_what_has_settings(python_admin, made):
    found = python_admin.list_config_resources()
    assert made in found["topic"] and found["broker"] == ["1"]
    assert not [name for name in found["topic"] if name.startswith("__evlog")]
    assert python_admin.list_config_resources([ConfigResourceType.GROUP]) == {}


def test_sizes_and_the_disk(broker, python_admin, made):
    Confluent(broker).write(made, [(None, b"x" * 1000, []) for _ in range(100)], partition=1)
    Confluent(broker).write(made, [(None, b"x" * 1000, []) for _ in range(300)], partition=2)
    answer, = python_admin.describe_log_dirs()
    directory, = answer["log_dirs"]
    assert (answer["broker"], directory["error_code"]) == (1, 0)
    assert directory["log_dir"] == os.path.realpath(broker.data)
    sizes, = [{p["partition_index"]: p["partition_size"] for p in topic["partitions"]} for topic in directory["topics"]
              if topic["name"] == made]
    assert sizes[0] == 0 and 100_000 < sizes[1] < 200_000 and 300_000 < sizes[2] < 400_000
    assert not [topic for topic in directory["topics"] if topic["name"].startswith("__evlog")]
    disk = shutil.disk_usage(broker.data)
    assert directory["total_bytes"] == disk.total and abs(directory["usable_bytes"] - disk.free) < disk.total / 10


def test_topics_page_by_page(python_admin, topic):
    names = [f"{topic}-{i:02}" for i in range(20)]
    python_admin.create_topics([PyNewTopic(name=name, num_partitions=3, replication_factor=1) for name in names])
    found, cursor, page_count = [], None, 0
    while page_count == 0 or cursor is not None:
        page = python_admin.describe_topic_partitions(names, response_partition_limit=7, cursor=cursor)
        here = [(t["name"], p["partition_index"]) for t in page["topics"] for p in t["partitions"]]
        assert 0 < len(here) <= 7
        found, cursor, page_count = found + here, page["next_cursor"], page_count + 1
    assert found == [(name, partition) for name in names for partition in range(3)]
    assert page_count == 9


def test_elections_are_not_needed(python_admin, made):
    results = python_admin.elect_leaders(0, {made: [0, 1]}, raise_errors=False).replica_election_results
    assert [(r.partition_id, r.error_code) for r in results[0].partition_result] == [(0, 84), (1, 84)]


def test_reassignments(python_admin, made):
    assert python_admin.list_partition_reassignments() == {}
    here, away, gone = TopicPartition(made, 0), TopicPartition(made, 1), TopicPartition(made, 9)
    done = python_admin.alter_partition_reassignments({here: [1], away: [2], gone: [1]})
    assert done[here] is None
    assert (done[away].errno, done[gone].errno) == (39, 3)
    assert python_admin.list_partition_reassignments() == {}


def test_the_quorum_is_this_node(python_admin):
    before = python_admin.describe_metadata_quorum()["topics"][0]["partitions"][0]
    assert before["leader_id"] == 1 and [v["replica_id"] for v in before["current_voters"]] == [1]
    assert before["observers"] == []
    python_admin.create_topics([PyNewTopic(name="moves-the-metadata", num_partitions=1, replication_factor=1)])
    after = python_admin.describe_metadata_quorum()["topics"][0]["partitions"][0]
    assert after["high_watermark"] > before["high_watermark"]


def test_there_are_no_features(python_admin):
    assert python_admin.describe_features() == {}
    with pytest.raises(InvalidUpdateVersionError):
        python_admin.update_features({"group.version": 1})


def test_replicas_are_refused_where_the_configuration_says_so(tmp_path):
    broker = Broker(tmp_path / "data", args=["--replication-factor-strict"]).start()
    try:
        client = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        with pytest.raises(confluent_kafka.KafkaException) as refused:
            client.create_topics([NewTopic("three", 1, 3)])["three"].result(60)
        assert refused.value.args[0].code() == KE.INVALID_REPLICATION_FACTOR
        client.create_topics([NewTopic("one", 1, 1)])["one"].result(60)
    finally:
        assert broker.stop() == 0


def test_settings_without_effect_are_named_in_the_log(broker, admin, topic):
    admin.create_topics([NewTopic(topic, 1, 1, config={"compression.type": "zstd", "retention.ms": "-1",
                                                       "flush.ms": "1000"})])[topic].result(60)
    line, = wait_for(lambda: [line for line in broker.log if topic in line and "without effect" in line], "the line")
    assert line.endswith(": compression.type, flush.ms\n")
