# SPDX-License-Identifier: Apache-2.0
"""Work groups on the wire: what Kafka's group and config tools set, see, list and delete, what a restart keeps, and
ids that belong to one kind of group."""
import threading
import uuid

import kafka_wire as wire
from evlogd import wait_for
from kafka_layouts import ask

GROUP = 32
JOIN_GROUP, OFFSET_COMMIT, DESCRIBE_GROUPS, LIST_GROUPS, DESCRIBE_CONFIGS = 11, 8, 15, 16, 32
ALTER_CONFIGS, DELETE_GROUPS, INCREMENTAL, LIST_RESOURCES, SHARE_HEARTBEAT, SHARE_DESCRIBE = 33, 42, 44, 74, 76, 77
NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, INCONSISTENT_GROUP_PROTOCOL = 68, 69, 23
UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH = 25, 110


def alter(conn, group, configs, validate=False):
    """configs: {name: value, or None to take it away}. returns the error code and its text"""
    changes = [{"Name": name, "Value": value, "ConfigOperation": 1 if value is None else 0}
               for name, value in configs.items()]
    answer = ask(conn, INCREMENTAL, 1, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": GROUP, "ResourceName": group, "Configs": changes}]})
    result, = answer["Responses"]
    return result["ErrorCode"], result["ErrorMessage"]


def settings(conn, group):
    """Asks again while groups are still read, as clients do."""
    def told():
        answer = ask(conn, DESCRIBE_CONFIGS, 4, {"Resources": [{"ResourceType": GROUP, "ResourceName": group}]})
        return answer["Results"][0]["ErrorCode"] != wire.COORDINATOR_LOAD_IN_PROGRESS and answer["Results"][0]

    answer = wait_for(told, "groups to be read")
    assert answer["ErrorCode"] == 0
    return {config["Name"]: (config["Value"], config["ConfigSource"]) for config in answer["Configs"]}


def overrides(conn, group):
    return {name: value for name, (value, source) in settings(conn, group).items() if source == 8}


def listed(conn, **filters):
    """Asks again while groups are still read, as clients do."""
    def told():
        answer = ask(conn, LIST_GROUPS, 5, {"StatesFilter": [], "TypesFilter": [], **filters})
        return answer["ErrorCode"] != wire.COORDINATOR_LOAD_IN_PROGRESS and answer

    answer = wait_for(told, "groups to be read")
    assert answer["ErrorCode"] == 0
    return {group["GroupId"]: (group["GroupType"], group["GroupState"]) for group in answer["Groups"]}


def delete(conn, group):
    return ask(conn, DELETE_GROUPS, 2, {"GroupsNames": [group]})["Results"][0]["ErrorCode"]


def heartbeat(conn, group, member, epoch, topics=None):
    return ask(conn, SHARE_HEARTBEAT, 1, {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "RackId": None,
                                          "SubscribedTopicNames": topics})


def join_consumer(conn, group):
    answer = ask(conn, JOIN_GROUP, 3, {"GroupId": group, "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000,
                                       "MemberId": "", "ProtocolType": "consumer",
                                       "Protocols": [{"Name": "range", "Metadata": b""}]})
    return answer["ErrorCode"]


def commit(conn, group, topic):
    answer = ask(conn, OFFSET_COMMIT, 7, {
        "GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "GroupInstanceId": None,
        "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1,
                                                   "CommittedLeaderEpoch": -1, "CommittedMetadata": ""}]}]})
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def test_settings_are_set_by_either_name_and_survive_a_restart(fresh_broker):
    with fresh_broker.connect() as conn:
        assert alter(conn, "g", {"no.such": "1"})[0] == wire.INVALID_CONFIG
        code, text = alter(conn, "g", {"lease.ms": "1000", "share.record.lock.duration.ms": "2000"})
        assert code == wire.INVALID_REQUEST and "lease.ms" in text
        assert alter(conn, "g", {"order": "none", "on.exhausted": "park"})[0] == wire.INVALID_CONFIG
        assert alter(conn, "g", {"lease.ms": "1000"}, validate=True)[0] == 0
        assert overrides(conn, "g") == {} and listed(conn) == {}
        assert alter(conn, "g", {"share.record.lock.duration.ms": "15000", "dlq.topic": "dead"})[0] == 0
        assert alter(conn, "g", {"start": "earliest", "dlq.topic": None})[0] == 0
        wanted = {"lease.ms": "15000", "share.record.lock.duration.ms": "15000", "start": "earliest",
                  "share.auto.offset.reset": "earliest"}
        assert overrides(conn, "g") == wanted
        assert settings(conn, "g")["dlq.topic"] == ("<topic>.<group>.dlq", 5)
    fresh_broker.kill()
    fresh_broker.start()
    with fresh_broker.connect() as conn:
        assert overrides(conn, "g") == wanted
        assert listed(conn) == {"g": ("share", "Empty")}
        assert delete(conn, "g") == 0
        assert overrides(conn, "g") == {} and listed(conn) == {}
        assert delete(conn, "g") == GROUP_ID_NOT_FOUND
    assert fresh_broker.stop() == 0
    fresh_broker.start()
    with fresh_broker.connect() as conn:
        assert listed(conn) == {}


def test_two_who_set_at_the_same_time_lose_nothing(broker, topic):
    codes = []

    def work(name, values):
        with broker.connect() as conn:
            codes.extend(alter(conn, topic, {name: str(value)})[0] for value in values)

    changes = ("lease.ms", range(1000, 1040)), ("max.inflight", range(1, 41)), ("batch.size", range(1, 41))
    threads = [threading.Thread(target=work, args=args) for args in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [0] * 120
    with broker.connect() as conn:
        found = overrides(conn, topic)
        assert (found["lease.ms"], found["max.inflight"], found["batch.size"]) == ("1039", "40", "40")


def test_members_come_stay_and_go(broker, topic):
    group, first, second = topic + "-g", uuid.uuid4().hex, uuid.uuid4().hex
    with broker.connect() as conn:
        assert conn.create_topic(topic, 4)[0] == 0
        assert heartbeat(conn, group, first, 1)["ErrorCode"] == GROUP_ID_NOT_FOUND
        joined = heartbeat(conn, group, first, 0, [topic])
        assert joined["ErrorCode"] == 0 and joined["MemberEpoch"] == 1
        parts, = joined["Assignment"]["TopicPartitions"]
        assert sorted(parts["Partitions"]) == [0, 1, 2, 3]
        other = heartbeat(conn, group, second, 0, [topic])
        again = heartbeat(conn, group, first, 1)
        assert (other["MemberEpoch"], again["MemberEpoch"]) == (2, 2)
        assert len(again["Assignment"]["TopicPartitions"][0]["Partitions"]) == 2
        assert heartbeat(conn, group, first, 2)["Assignment"] is None
        assert heartbeat(conn, group, first, 7)["ErrorCode"] == FENCED_MEMBER_EPOCH
        assert heartbeat(conn, group, "nobody", 2)["ErrorCode"] == UNKNOWN_MEMBER_ID
        assert listed(conn, TypesFilter=["share"])[group] == ("share", "Stable")
        assert delete(conn, group) == NON_EMPTY_GROUP
        shown, = ask(conn, SHARE_DESCRIBE, 1, {"GroupIds": [group], "IncludeAuthorizedOperations": False})["Groups"]
        assert (shown["GroupState"], len(shown["Members"])) == ("Stable", 2)
        for member in first, second:
            assert heartbeat(conn, group, member, -1)["MemberEpoch"] == -1
        assert delete(conn, group) == 0


def test_an_id_is_that_of_one_kind_of_group(broker, topic):
    work, plain = topic + "-work", topic + "-plain"
    with broker.connect() as conn:
        assert conn.create_topic(topic, 1)[0] == 0
        assert commit(conn, plain, topic) == 0
        assert heartbeat(conn, plain, "m", 0, [topic])["ErrorCode"] == GROUP_ID_NOT_FOUND
        code, text = alter(conn, plain, {"lease.ms": "1000"})
        assert code == wire.INVALID_CONFIG and "consumer group" in text
        assert heartbeat(conn, work, "m", 0, [topic])["ErrorCode"] == 0
        assert join_consumer(conn, work) == INCONSISTENT_GROUP_PROTOCOL
        assert commit(conn, work, topic) == GROUP_ID_NOT_FOUND
        shown, = ask(conn, DESCRIBE_GROUPS, 5, {"Groups": [work], "IncludeAuthorizedOperations": False})["Groups"]
        assert shown["GroupState"] == "Dead"
        names = {(r["ResourceName"], r["ResourceType"])
                 for r in ask(conn, LIST_RESOURCES, 1, {"ResourceTypes": [GROUP]})["ConfigResources"]}
        assert (work, GROUP) in names and (plain, GROUP) not in names
        assert heartbeat(conn, work, "m", -1)["ErrorCode"] == 0
        assert delete(conn, work) == 0
        assert commit(conn, work, topic) == 0
