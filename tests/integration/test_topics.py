# SPDX-License-Identifier: Apache-2.0
"""Topics by the admin clients of two families and by hand."""
import json
import subprocess
import threading

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from kafka.admin import KafkaAdminClient
from kafka.admin import NewTopic as PyNewTopic

import kafka_wire as wire
from kafka_layouts import ask
from kafka_wire import batch


def done(futures):
    return [future.result(60) for future in futures.values()]


def test_create_shows_everywhere_at_once(broker, topic):
    with broker.connect() as one:
        assert one.create_topic(topic, partitions=7) == (0, None)
        for _ in range(8):  # connections fall on either shard
            with broker.connect() as other:
                assert other.metadata([topic])[topic] == (0, 7, False)
        assert topic in one.metadata(None)


def test_create_refusals(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        assert conn.create_topic(topic)[0] == wire.TOPIC_ALREADY_EXISTS
        assert conn.create_topic("a/b")[0] == wire.INVALID_TOPIC_EXCEPTION
        assert conn.create_topic("x" * 250)[0] == wire.INVALID_TOPIC_EXCEPTION
        assert conn.create_topic("__evlog_x")[0] == wire.INVALID_TOPIC_EXCEPTION
        assert conn.create_topic(topic + ".a")[0] == 0
        assert conn.create_topic(topic + "_a")[0] == wire.INVALID_TOPIC_EXCEPTION
        error, text = conn.create_topic(topic + "2", configs=[("retention.mss", "1")])
        assert error == wire.INVALID_CONFIG and "retention.ms" in text
        assert conn.create_topic(topic + "3", partitions=0)[0] == wire.INVALID_PARTITIONS
        assert conn.create_topic(topic + "4", validate=True)[0] == 0
        assert conn.metadata([topic + "4"])[topic + "4"][0] == wire.UNKNOWN_TOPIC_OR_PARTITION


def test_auto_creation(broker, topic):
    with broker.connect() as conn:
        assert conn.metadata([topic])[topic][0] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.metadata([topic], auto_create=True)[topic] == (0, 1, False)
        assert conn.metadata([topic])[topic] == (0, 1, False)


def test_many_clients_make_and_delete_the_same_topics(broker, topic):
    """Of all that create one name at once, one makes it; asking for it by metadata always ends with the topic."""
    created, deleted, asked = [], [], []

    def work():
        with broker.connect() as conn:
            for i in range(10):
                name = f"{topic}-{i}"
                asked.append(conn.metadata([name + "-auto"], auto_create=True)[name + "-auto"])
                created.append(conn.create_topic(name)[0])
            barrier.wait()
            for i in range(10):
                deleted.append(conn.delete_topic(f"{topic}-{i}"))

    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [(0, 1, False)] * 80
    assert sorted(created) == [0] * 10 + [wire.TOPIC_ALREADY_EXISTS] * 70
    assert sorted(deleted) == [0] * 10 + [wire.UNKNOWN_TOPIC_OR_PARTITION] * 70


def test_internal_topics_are_hidden_and_closed(broker):
    with broker.connect() as conn:
        assert not any(name.startswith("__evlog") for name in conn.metadata(None))
        assert conn.produce("__evlog_meta", batch([b"x"]))[0] in (wire.INVALID_TOPIC_EXCEPTION,
                                                                 wire.UNKNOWN_TOPIC_OR_PARTITION)
        assert conn.delete_topic("__evlog_meta") != 0


def test_delete_and_make_again(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        conn.produce(topic, batch([b"old"]))
        identity = conn.topic_id(topic)
        assert conn.delete_topic(topic) == 0
        assert conn.delete_topic(topic) == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.produce(topic, batch([b"x"]))[0] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.create_topic(topic)[0] == 0
        assert conn.topic_id(topic) != identity
        assert conn.fetch(topic)["high"] == 0


def test_confluent_admin(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    done(admin.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "86400000"})]))
    assert len(admin.list_topics(topic, timeout=60).topics[topic].partitions) == 2
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    described, = done(admin.describe_configs([resource]))
    assert described["retention.ms"].value == "86400000"
    assert not described["retention.ms"].is_default
    assert described["segment.bytes"].is_default
    assert described["cleanup.policy"].value == "delete"
    changed = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
        ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)])
    done(admin.incremental_alter_configs([changed]))
    described, = done(admin.describe_configs([resource]))
    assert (described["retention.ms"].value, described["max.message.bytes"].value) == ("1000", "2000")
    with broker.connect() as conn:
        assert conn.produce(topic, batch([b"x" * 3000]))[0] == wire.MESSAGE_TOO_LARGE
    done(admin.create_partitions([NewPartitions(topic, 5)]))
    assert len(admin.list_topics(topic, timeout=60).topics[topic].partitions) == 5
    with pytest.raises(Exception, match="INVALID_PARTITIONS"):
        done(admin.create_partitions([NewPartitions(topic, 5)]))
    broker_config, = done(admin.describe_configs([ConfigResource(ConfigResource.Type.BROKER, "1")]))
    assert "num.partitions" in broker_config
    cluster = admin.describe_cluster().result(60)
    assert [node.port for node in cluster.nodes] == [broker.port]
    done(admin.delete_topics([topic]))
    assert topic not in admin.list_topics(timeout=60).topics


def test_kafka_python_admin(broker, topic):
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([PyNewTopic(name=topic, num_partitions=3, replication_factor=1)])
    assert topic in admin.list_topics()
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()
    admin.close()


def test_delete_records(broker, topic):
    from confluent_kafka import TopicPartition
    with broker.connect() as conn:
        conn.create_topic(topic)
        for i in range(10):
            conn.produce(topic, batch([b"%d" % i]))
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        result, = done(admin.delete_records([TopicPartition(topic, 0, 4)]))
        assert result.low_watermark == 4
        assert conn.list_offset(topic, -2)[:3] == (0, -1, 4)
        assert conn.fetch(topic, offset=3)["error"] == wire.OFFSET_OUT_OF_RANGE
        got = conn.fetch(topic, offset=4)
        assert (got["error"], got["start"], got["high"]) == (0, 4, 10)
        with pytest.raises(Exception, match="OFFSET_OUT_OF_RANGE"):
            done(admin.delete_records([TopicPartition(topic, 0, 11)]))
        result, = done(admin.delete_records([TopicPartition(topic, 0, -1)]))
        assert result.low_watermark == 10


def test_topics_survive_a_restart(fresh_broker):
    broker = fresh_broker
    with broker.connect() as conn:
        conn.create_topic("a", partitions=3, configs=[("retention.ms", "5000000")])
        conn.create_topic("b")
        conn.delete_topic("b")
        identity = conn.topic_id("a")
    assert broker.stop() == 0
    broker.start()
    with broker.connect() as conn:
        assert conn.topic_id("a") == identity
        assert conn.metadata(None) == {"a": (0, 3, False)}
        assert conn.create_topic("b")[0] == 0
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    described, = done(admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, "a")]))
    assert described["retention.ms"].value == "5000000"


def test_kcat(broker, topic):
    """The Debian release of librdkafka, 2.0.2, reads our ApiVersions and goes through all it does at start."""
    listing = subprocess.run(["kcat", "-b", broker.bootstrap, "-L", "-J"], capture_output=True, text=True, timeout=60)
    assert listing.returncode == 0, listing.stderr
    assert json.loads(listing.stdout)["brokers"][0]["name"] == broker.bootstrap
    lines = "".join(f"line {i}\n" for i in range(1000))
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        sent = subprocess.run(["kcat", "-b", broker.bootstrap, "-P", "-t", topic, "-z", codec], input=lines, text=True,
                              capture_output=True, timeout=60)
        assert sent.returncode == 0, sent.stderr
    read = subprocess.run(["kcat", "-b", broker.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q"],
                          capture_output=True, text=True, timeout=60)
    assert read.returncode == 0, read.stderr
    assert read.stdout == lines * 5


def test_settings_changed_at_the_same_time_are_all_kept(broker, topic):
    """Each client changes a setting of its own, again and again, over connections that fall on different shards."""
    names = ["retention.ms", "retention.bytes", "segment.bytes", "segment.ms", "max.message.bytes",
             "message.timestamp.before.max.ms"]
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
    barrier = threading.Barrier(len(names))
    failures = []

    def change(name):
        with broker.connect() as conn:
            for value in range(2_000_000, 2_000_040):
                barrier.wait(60)
                answer = ask(conn, 44, 1, {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": [
                    {"Name": name, "Value": str(value), "ConfigOperation": 0}]}]})
                shown = ask(conn, 32, 4, {"Resources": [{"ResourceType": 2, "ResourceName": topic}]})
                configs = {entry["Name"]: entry["Value"] for entry in shown["Results"][0]["Configs"]}
                if answer["Responses"][0]["ErrorCode"] != 0 or configs[name] != str(value):
                    failures.append((name, value, answer, configs[name]))

    threads = [threading.Thread(target=change, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with broker.connect() as conn:
        shown = ask(conn, 32, 4, {"Resources": [{"ResourceType": 2, "ResourceName": topic}]})
        configs = {entry["Name"]: entry["Value"] for entry in shown["Results"][0]["Configs"]}
    assert {name: configs[name] for name in names} == dict.fromkeys(names, "2000039")
