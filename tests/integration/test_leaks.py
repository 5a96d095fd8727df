# SPDX-License-Identifier: Apache-2.0
"""The memory of the shards is what it was before, after thousands of requests of each kind, refused ones and clients
that vanish while their requests are under way.

Equal but for SLACK: pools keep the blocks of the most objects a shard ever had at once, and which shard a connection
gets is chance. A leak of 16 bytes a request would be more.
"""
import socket
import struct

import pytest

import kafka_wire as wire
from conftest import Broker, backends, start_or_skip, wait_for
from kafka_layouts import MESSAGES, encode
from kafka_wire import batch
from test_versions import listed, question

ROUNDS = 10_000
CHUNK = 200
NO_LIMIT = 1 << 30
SLACK = 128 << 10


@pytest.fixture(params=backends(), scope="module")
def broker(request, tmp_path_factory):
    """One whose audit log is off: its records are events, and the last of them stay in memory."""
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), io=request.param,
                                    args=["--evlog-audit-include=none"]))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


def used(broker):
    value = broker.metric("evlog_memory_used_bytes")
    assert value > 0
    return value


def frames_of(key, version, body, count):
    message = MESSAGES[key, "request"]
    flexible = message.flexible(version)
    one = wire.frame(wire.header(key, version, 1, "test", flexible) + encode(message.fields, body, version, flexible))
    return one * count


def pipeline(conn, data, count):
    """Send count requests and read all the answers, without looking into them."""
    conn.send_raw(data)
    for _ in range(count):
        conn.read_frame()


def repeat(broker, data_of, rounds):
    with broker.connect() as conn:
        for _ in range(rounds // CHUNK):
            pipeline(conn, data_of, CHUNK)


def highest(broker):
    versions = {}
    for key, version in listed(broker):
        versions[key] = version
    return versions


def settle(broker):
    """Wait until nobody is connected any more."""
    wait_for(lambda: broker.metric("evlog_connections") == 0, "connections gone")


def test_requests_give_their_memory_back(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic, partitions=2)[0] == 0
        topic_id = conn.topic_id(topic)
        assert conn.produce(topic, batch([b"x"]))[0] == 0
    reading = {key: version for key, version in highest(broker).items() if key not in (0, 8, 19, 20, 33, 37, 44)}
    for goal in (topic, "no.such-topic"):
        identity = topic_id if goal == topic else b"\7" * 16
        for key, version in reading.items():
            if key == 3 and goal != topic:
                version = 11
            data = frames_of(key, version, question(key, version, goal, identity, goal), CHUNK)
            repeat(broker, data, CHUNK * 2)
            settle(broker)
            before = used(broker)
            repeat(broker, data, ROUNDS)
            settle(broker)
            wait_for(lambda: used(broker) <= before + SLACK, f"memory of {MESSAGES[key, 'request'].name} for {goal}")


def test_refused_requests_give_their_memory_back(broker):
    def refused(count):
        for _ in range(count):
            for data in (wire.frame(wire.header(3, 4) + struct.pack(">i", 5)), wire.frame(wire.header(999, 0)),
                         struct.pack(">i", NO_LIMIT), wire.frame(wire.header(0, 7) + b"\xff" * 50)):
                with broker.connect() as conn:
                    conn.send_raw(data)
                    assert conn.closed_by_peer()
    refused(20)
    settle(broker)
    before = used(broker)
    refused(250)
    settle(broker)
    wait_for(lambda: used(broker) <= before + SLACK, "memory")


@pytest.mark.parametrize("reset", [False, True])
def test_clients_that_vanish_leave_nothing_behind(broker, topic, reset):
    """With a waiting fetch on partitions of both shards, an append under way and half a request."""
    with broker.connect() as conn:
        assert conn.create_topic(topic, partitions=8)[0] == 0
    waiting = frames_of(1, 11, {"ReplicaId": -1, "MaxWaitMs": 60000, "MinBytes": NO_LIMIT, "MaxBytes": NO_LIMIT,
                                "SessionEpoch": -1, "Topics": [{"Topic": topic, "Partitions": [
                                    {"Partition": p, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1 << 20,
                                     "FetchOffset": 0} for p in range(8)]}]}, 1)
    metadata = frames_of(3, 4, {"Topics": None}, 10)

    def vanish(count):
        for i in range(count):
            conn = broker.connect()
            conn.send_raw(metadata + waiting * (1 + i % 3) + metadata[:7 + i % 40])
            if i % 2:
                for _ in range(10):
                    conn.read_frame()
            if reset:
                conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
    vanish(100)
    settle(broker)
    before = used(broker)
    vanish(1000)
    settle(broker)
    wait_for(lambda: used(broker) <= before + SLACK, "memory")


def test_refused_writes_give_their_memory_back(broker, topic):
    """What is written stays in memory until it is in a segment: only writes that are refused must leave nothing."""
    with broker.connect() as conn:
        assert conn.create_topic(topic, partitions=2)[0] == 0
    broken = [{"Index": index, "Records": batch([b"x"], crc=1)} for index in range(2)]
    for key, version, body in (
            (0, 9, {"Acks": -1, "TimeoutMs": 30000, "TopicData": [{"Name": topic, "PartitionData": broken}]}),
            (19, 5, question(19, 5, topic, None, topic)), (37, 1, {"Topics": [{"Name": topic, "Count": 1}]}),
            (44, 1, {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": [
                {"Name": "no.such", "Value": "1"}]}]}),
            (33, 1, {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": [
                {"Name": "no.such", "Value": "1"}]}]}),
            (20, 4, {"TopicNames": ["no.such-topic"]})):
        data = frames_of(key, version, body, CHUNK)
        repeat(broker, data, CHUNK * 5)
        settle(broker)
        before = used(broker)
        repeat(broker, data, ROUNDS)
        settle(broker)
        wait_for(lambda: used(broker) <= before + SLACK, f"memory of {MESSAGES[key, 'request'].name}")
