# SPDX-License-Identifier: Apache-2.0
"""Every version of every request that evlogd lists is answered, in the layout of that version, to the last byte."""
import pytest

import kafka_wire as wire
from kafka_layouts import MESSAGES, ask
from kafka_wire import batch

FIRST_ANSWERED = {0: 3, 17: 1}  # both are listed from 0 for the sake of old clients
# What a sound request is told: no such directory, no election needed. Groups: what those who are no members are told; a
# join asks for a session that is too short, so that it ends at once.
SOUND = {34: {57}, 43: {84}, 11: {26}, 12: {25}, 13: {25}, 14: {25}, 15: {69}, 42: {69}, 77: {69}, 91: {69},
         92: {69},
         # No authorizer, no such user; and a listener without SASL knows no exchange.
         29: {54}, 30: {54}, 31: {54}, 51: {91}, 17: {33, 34}, 36: {34}}
BY_ID = {0: 13, 1: 13, 3: 12, 8: 10, 9: 10, 20: 6, 78: 0}
NAMELESS = (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 22, 29, 30, 31, 34, 35, 36, 42, 46, 47, 48, 49, 50, 51, 57, 60,
            74, 76, 77, 79, 91, 92)


def listed(broker):
    """[(key, version)] of Kafka's requests."""
    with broker.connect() as conn:
        answer = ask(conn, wire.API_VERSIONS, 3, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"})
    return [(api["ApiKey"], version) for api in answer["ApiKeys"] if api["ApiKey"] < 0x4000
            for version in range(max(api["MinVersion"], FIRST_ANSWERED.get(api["ApiKey"], 0)), api["MaxVersion"] + 1)]


def question(key, version, topic, topic_id, fresh):
    """A sound request. fresh: the name of a topic that is made for this one."""
    by_id = version >= BY_ID.get(key, 1 << 15)
    named = {"Name": topic, "Topic": topic, "TopicName": topic, **({"TopicId": topic_id} if by_id else {})}
    configs = [{"Name": "retention.ms", "Value": "60000", "ConfigOperation": 0}]
    return {
        0: {"Acks": -1, "TimeoutMs": 30000,
            "TopicData": [{**named, "PartitionData": [{"Index": 0, "Records": batch([b"x"])}]}]},
        1: {"ReplicaId": -1, "MaxBytes": 1 << 20, "SessionEpoch": -1, "IsolationLevel": 1, "RackId": "",
            "Topics": [{**named, "Partitions": [{"CurrentLeaderEpoch": -1, "LastFetchedEpoch": -1,
                                                 "PartitionMaxBytes": 1 << 20}]}]},
        2: {"ReplicaId": -1, "TimeoutMs": 1000,
            "Topics": [{**named, "Partitions": [{"CurrentLeaderEpoch": -1, "Timestamp": -1}]}]},
        3: {"Topics": [{"Name": None, "TopicId": topic_id} if by_id else {"Name": topic}],
            "IncludeTopicAuthorizedOperations": 1, "IncludeClusterAuthorizedOperations": 1},
        8: {"GroupId": "group", "GenerationIdOrMemberEpoch": -1, "RetentionTimeMs": -1,
            "Topics": [{**named, "Partitions": [{"CommittedOffset": 7, "CommittedLeaderEpoch": -1}]}]},
        9: {"GroupId": "group", "Topics": [{**named, "PartitionIndexes": [0]}],
            "Groups": [{"GroupId": "group", "MemberEpoch": -1, "Topics": [{**named, "PartitionIndexes": [0]}]}]},
        11: {"GroupId": "group", "SessionTimeoutMs": 1, "RebalanceTimeoutMs": 1000, "ProtocolType": "consumer",
             "Protocols": [{"Name": "range", "Metadata": b"x"}]},
        12: {"GroupId": "group", "MemberId": "nobody"},
        13: {"GroupId": "group", "MemberId": "nobody", "Members": [{"MemberId": "nobody"}]},
        14: {"GroupId": "group", "MemberId": "nobody", "ProtocolType": "consumer", "ProtocolName": "range",
             "Assignments": [{"MemberId": "nobody", "Assignment": b"x"}]},
        15: {"Groups": ["no such group"], "IncludeAuthorizedOperations": 1},
        16: {"StatesFilter": ["Empty"], "TypesFilter": ["classic"]},
        42: {"GroupsNames": ["no such group"]},
        47: {"GroupId": "group", "Topics": [{**named, "Partitions": [{"PartitionIndex": 0}]}]},
        10: {"Key": "group", "KeyType": 0, "CoordinatorKeys": ["group", "other"]},
        18: {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1", "NodeId": -1},
        19: {"Topics": [{"Name": fresh, "NumPartitions": 1, "ReplicationFactor": 1, "Configs": configs}],
             "timeoutMs": 1000},
        20: {"Topics": [{"Name": fresh}], "TopicNames": [fresh], "TimeoutMs": 1000},
        21: {"Topics": [{**named, "Partitions": [{"PartitionIndex": 0, "Offset": 0}]}], "TimeoutMs": 1000},
        22: {"TransactionTimeoutMs": 60000, "ProducerId": -1, "ProducerEpoch": -1},
        23: {"ReplicaId": -1, "Topics": [{**named, "Partitions": [{"CurrentLeaderEpoch": -1, "LeaderEpoch": 0}]}]},
        32: {"Resources": [{"ResourceType": 2, "ResourceName": topic}, {"ResourceType": 4, "ResourceName": "1"}],
             "IncludeSynonyms": 1, "IncludeDocumentation": 1},
        33: {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": configs}]},
        34: {"Dirs": [{"Path": "/no/such/directory", "Topics": [{"Name": topic, "Partitions": [0]}]}]},
        35: {"Topics": [{"Topic": topic, "Partitions": [0]}]},
        37: {"Topics": [{"Name": fresh, "Count": 2}], "TimeoutMs": 1000},
        43: {"TopicPartitions": [{"Topic": topic, "Partitions": [0]}], "TimeoutMs": 1000},
        45: {"Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}], "TimeoutMs": 1000},
        46: {"Topics": [{"Name": topic, "PartitionIndexes": [0]}], "TimeoutMs": 1000},
        55: {"Topics": [{"TopicName": topic if topic == fresh else "__cluster_metadata",
                         "Partitions": [{"PartitionIndex": 0}]}]},
        57: {"timeoutMs": 1000},
        74: {},
        75: {"Topics": [{"Name": topic}], "ResponsePartitionLimit": 10},
        44: {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": configs}]},
        60: {"IncludeClusterAuthorizedOperations": 1, "EndpointType": 1},
        76: {"GroupId": "work", "MemberId": "member", "SubscribedTopicNames": [topic]},
        77: {"GroupIds": ["no such group"], "IncludeAuthorizedOperations": 1},
        78: {"GroupId": "work", "MemberId": "member", "MaxBytes": 1 << 20, "MaxRecords": 1, "BatchSize": 1,
             "Topics": [{"TopicId": topic_id, "Partitions": [{"PartitionIndex": 0}]}]},
        79: {"GroupId": "work", "MemberId": "member", "ShareSessionEpoch": version,    # of the session that 78 opened
             "Topics": [{"TopicId": topic_id, "Partitions": [{"PartitionIndex": 0}]}]},
        90: {"Groups": [{"GroupId": "work", "Topics": [{"TopicName": topic, "Partitions": [0]}]}]},
        91: {"GroupId": "no such group", "Topics": [{"TopicName": topic, "Partitions": [{"PartitionIndex": 0}]}]},
        92: {"GroupId": "no such group", "Topics": [{"TopicName": topic}]},
        17: {"Mechanism": "SCRAM-SHA-256"},
        36: {"AuthBytes": b"x"},
        29: {"ResourceTypeFilter": 1, "PatternTypeFilter": 1, "Operation": 1, "PermissionType": 1},
        30: {"Creations": [{"ResourceType": 2, "ResourceName": topic, "ResourcePatternType": 3,
                            "Principal": "User:somebody", "Host": "*", "Operation": 3, "PermissionType": 3}]},
        31: {"Filters": [{"ResourceTypeFilter": 1, "PatternTypeFilter": 1, "Operation": 1, "PermissionType": 1}]},
        48: {"Components": [{"EntityType": "client-id", "MatchType": 2}]},
        49: {"Entries": [{"Entity": [{"EntityType": "client-id", "EntityName": "nobody"}],
                          "Ops": [{"Key": "producer_byte_rate", "Value": 1e9}]}], "ValidateOnly": 1},
        50: {},
        51: {"Deletions": [{"Name": "nobody", "Mechanism": 1}]},
    }[key]


def errors_in(value):
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "ErrorCode":
                yield item
            yield from errors_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from errors_in(item)


def test_the_list_is_that_of_the_layouts(broker):
    assert {key for key, _ in listed(broker)} == {key for key, _ in MESSAGES}


def test_every_listed_version_is_answered(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        topic_id = conn.topic_id(topic)
        for key, version in listed(broker):
            fresh = f"fresh-{key}-{version}"
            if key in (20, 37):
                assert conn.create_topic(fresh)[0] == 0
            answer = ask(conn, key, version, question(key, version, topic, topic_id, fresh))
            assert set(errors_in(answer)) <= {0} | SOUND.get(key, set()), \
                (MESSAGES[key, "request"].name, version, answer)


def test_every_listed_version_tells_unknown_topics(broker):
    """Errors fit into the layout of each version, too."""
    with broker.connect() as conn:
        for key, version in listed(broker):
            body = question(key, version, "no.such-topic", b"\7" * 16, "no.such-topic")
            if key in NAMELESS or (key == 3 and version < 4) or (key == 9 and version < BY_ID[9]):
                continue
            answer = ask(conn, key, version, body)
            wanted = wire.UNKNOWN_TOPIC_ID if version >= BY_ID.get(key, 1 << 15) and key != 20 \
                else wire.UNKNOWN_TOPIC_OR_PARTITION
            assert wanted in set(errors_in(answer)), (MESSAGES[key, "request"].name, version, answer)


@pytest.mark.parametrize("session", [(0, -1), (0, 0), (9, 0), (9, -1)])
def test_fetches_that_begin_or_end_a_session_are_answered_in_full(broker, topic, session):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        assert conn.produce(topic, batch([b"x"]))[0] == 0
        assert conn.fetch(topic, session=session)["records"]
        assert conn.fetch(topic, session=(9, 1)) == {"error": wire.FETCH_SESSION_ID_NOT_FOUND}
