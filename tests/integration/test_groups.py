# SPDX-License-Identifier: Apache-2.0
"""Consumer groups on the wire: waits that end with their connection or the broker, many groups over all shards, what
is refused, and the topic they are kept in."""
import pytest

import kafka_wire as wire
from evlogd import Broker, backends, start_or_skip, wait_for
from kafka_layouts import ask, receive, send
from kafka_wire import batch

TOPIC = "__consumer_offsets"
OFFSET_COMMIT, OFFSET_FETCH, JOIN_GROUP, HEARTBEAT = 8, 9, 11, 12
SYNC_GROUP, DESCRIBE_GROUPS, LIST_GROUPS = 14, 15, 16
COORDINATOR_NOT_AVAILABLE, REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED = 15, 27, 79
ARGS = ["--group-min-session-timeout-ms=100ms", "--group-initial-rebalance-delay-ms=0"]


@pytest.fixture(params=backends())
def quick_broker(request, tmp_path):
    """Groups that do not wait for more members, with short sessions."""
    instance = start_or_skip(Broker(tmp_path / "data", io=request.param, args=ARGS))
    yield instance
    if instance.process is not None:
        assert instance.stop() == 0, "".join(instance.log[-50:])


def join_body(group, member="", session=5000, rebalance=5000):
    return {"GroupId": group, "SessionTimeoutMs": session, "RebalanceTimeoutMs": rebalance, "MemberId": member,
            "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"x"}]}


def join(conn, group, version=3, **more):
    return ask(conn, JOIN_GROUP, version, join_body(group, **more))


def sync(conn, group, joined):
    members = [member["MemberId"] for member in joined["Members"]]
    body = {"GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"],
            "Assignments": [{"MemberId": member, "Assignment": b"part-%d" % n} for n, member in enumerate(members)]}
    return ask(conn, SYNC_GROUP, 2, body)


def heartbeat(conn, group, joined):
    return ask(conn, HEARTBEAT, 2, {"GroupId": group, "GenerationId": joined["GenerationId"],
                                    "MemberId": joined["MemberId"]})["ErrorCode"]


def commit(conn, group, topic, offset, partition=0):
    answer = ask(conn, OFFSET_COMMIT, 7, {
        "GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "GroupInstanceId": None,
        "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset,
                                                   "CommittedLeaderEpoch": -1, "CommittedMetadata": "note"}]}]})
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def members_of(conn, group):
    return len(ask(conn, DESCRIBE_GROUPS, 4, {"Groups": [group]})["Groups"][0]["Members"])


def test_two_steps_and_a_generation(quick_broker):
    with quick_broker.connect() as conn:
        first = join(conn, "g", version=4)
        assert first["ErrorCode"] == MEMBER_ID_REQUIRED and first["MemberId"]
        joined = join(conn, "g", version=4, member=first["MemberId"])
        assert (joined["ErrorCode"], joined["GenerationId"], joined["Leader"]) == (0, 1, first["MemberId"])
        assert sync(conn, "g", joined)["Assignment"] == b"part-0"
        assert heartbeat(conn, "g", joined) == 0
        described, = ask(conn, DESCRIBE_GROUPS, 5, {"Groups": ["g"]})["Groups"]
        assert (described["GroupState"], described["ProtocolData"]) == ("Stable", "range")
        assert described["Members"][0]["ClientHost"] == "/127.0.0.1"


def test_a_wait_ends_with_its_connection(quick_broker):
    """Nothing of it stays: the member is gone after its session, and the others go on."""
    with quick_broker.connect() as conn:
        one = join(conn, "g")
        sync(conn, "g", one)
        with quick_broker.connect() as other:
            send(other, JOIN_GROUP, 3, join_body("g", session=300))
            wait_for(lambda: heartbeat(conn, "g", one) == REBALANCE_IN_PROGRESS, "the round begins")
            assert members_of(conn, "g") == 2
        again = join(conn, "g", member=one["MemberId"])
        if len(again["Members"]) == 2:  # it was answered before evlogd saw that the other is gone
            sync(conn, "g", again)
            wait_for(lambda: heartbeat(conn, "g", again) == REBALANCE_IN_PROGRESS, "the other expires")
            again = join(conn, "g", member=one["MemberId"])
        assert again["ErrorCode"] == 0 and len(again["Members"]) == 1


def test_a_stop_answers_those_who_wait(quick_broker):
    with quick_broker.connect() as conn, quick_broker.connect() as other:
        one = join(conn, "g")
        sync(conn, "g", one)
        waiting = send(other, JOIN_GROUP, 3, join_body("g"))
        wait_for(lambda: heartbeat(conn, "g", one) == REBALANCE_IN_PROGRESS, "the round begins")
        assert quick_broker.stop() == 0
        assert receive(other, JOIN_GROUP, 3, waiting)["ErrorCode"] == COORDINATOR_NOT_AVAILABLE


def test_groups_of_all_shards_come_back(quick_broker, topic):
    with quick_broker.connect() as conn:
        assert conn.create_topic(topic, 3)[0] == 0
        for number in range(60):
            assert commit(conn, f"group-{number}", topic, number) == 0
    quick_broker.kill()
    quick_broker.start()
    with quick_broker.connect() as conn:
        groups = [{"GroupId": f"group-{number}", "MemberId": None, "MemberEpoch": -1,
                   "Topics": [{"Name": topic, "PartitionIndexes": [0, 1]}]} for number in range(60)]
        wait_for(lambda: ask(conn, LIST_GROUPS, 4, {})["ErrorCode"] == 0, "all partitions are read")
        answer = ask(conn, OFFSET_FETCH, 9, {"Groups": groups})
        for number, group in enumerate(answer["Groups"]):
            assert group["ErrorCode"] == 0
            first, second = group["Topics"][0]["Partitions"]
            assert (first["CommittedOffset"], first["Metadata"]) == (number, "note")
            assert (second["CommittedOffset"], second["ErrorCode"]) == (-1, 0)
        listed = ask(conn, LIST_GROUPS, 4, {"StatesFilter": ["empty"]})["Groups"]
        assert {group["GroupId"] for group in listed} == {f"group-{number}" for number in range(60)}
        assert ask(conn, LIST_GROUPS, 4, {"StatesFilter": ["Stable"]})["Groups"] == []
        # Topics null: all of them.
        answer = ask(conn, OFFSET_FETCH, 8, {"Groups": [{"GroupId": "group-7", "Topics": None}]})
        assert answer["Groups"][0]["Topics"][0]["Name"] == topic


def test_more_than_its_memory_is_refused_and_counted(tmp_path, topic):
    broker = Broker(tmp_path / "data", args=["--group-memory-max=64KiB"]).start()
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        errors = [commit(conn, f"group-{number}", topic, 1) for number in range(300)]
        assert errors[0] == 0 and errors[-1] == COORDINATOR_NOT_AVAILABLE
        refused = errors.count(COORDINATOR_NOT_AVAILABLE)
        assert broker.metric("evlog_group_refused_total", reason="memory") == refused
        assert broker.metric("evlog_group_memory_bytes") <= 64 << 10
        assert commit(conn, "group-0", topic, 2) == 0, "what is there can still be changed"
    assert broker.stop() == 0


def test_compaction_keeps_the_last_commit_of_each(tmp_path, topic):
    args = ["--log-retention-check-interval-ms=100ms", "--offsets-topic-num-partitions=1"]
    broker = Broker(tmp_path / "data", args=args).start()
    partitions, rounds = 20, 260  # 4 KiB each: more than a segment of 16 MiB
    with broker.connect() as conn:
        assert conn.create_topic(topic, partitions)[0] == 0
        for number in range(rounds):
            body = {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "GroupInstanceId": None,
                    "Topics": [{"Name": topic, "Partitions": [
                        {"PartitionIndex": part, "CommittedOffset": 1000 * number + part, "CommittedLeaderEpoch": -1,
                         "CommittedMetadata": "x" * 4096} for part in range(partitions)]}]}
            answer = ask(conn, OFFSET_COMMIT, 7, body)
            assert {part["ErrorCode"] for part in answer["Topics"][0]["Partitions"]} == {0}
    wait_for(lambda: broker.metric("evlog_compaction_dropped_records_total") > 0, "a compaction")
    broker.kill()
    broker.start()
    with broker.connect() as conn:
        wait_for(lambda: ask(conn, LIST_GROUPS, 4, {})["ErrorCode"] == 0, "all partitions are read")
        answer = ask(conn, OFFSET_FETCH, 5, {"GroupId": "g", "Topics": None})
        found = {part["PartitionIndex"]: part["CommittedOffset"] for part in answer["Topics"][0]["Partitions"]}
        assert found == {part: 1000 * (rounds - 1) + part for part in range(partitions)}
    assert broker.stop() == 0


def test_the_topic_is_shown_and_nobody_else_writes_it(quick_broker, topic):
    with quick_broker.connect() as conn:
        assert conn.create_topic(TOPIC)[0] == wire.INVALID_TOPIC_EXCEPTION
        assert conn.create_topic(topic)[0] == 0
        assert commit(conn, "g", topic, 5) == 0
        shown = {t["Name"]: t for t in ask(conn, wire.METADATA, 8, {"Topics": None})["Topics"]}
        assert shown[TOPIC]["IsInternal"] and len(shown[TOPIC]["Partitions"]) == 16
        assert not shown[topic]["IsInternal"]
        assert conn.produce(TOPIC, batch([b"x"]))[0] != 0
        assert conn.delete_topic(TOPIC) != 0


def test_commits_of_a_deleted_topic_are_gone(quick_broker, topic):
    with quick_broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        assert commit(conn, "g", topic, 5) == 0
        assert conn.delete_topic(topic) == 0
        assert commit(conn, "g", topic, 6) == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.create_topic(topic)[0] == 0
        answer = ask(conn, OFFSET_FETCH, 5, {"GroupId": "g", "Topics": [{"Name": topic, "PartitionIndexes": [0]}]})
        assert answer["Topics"][0]["Partitions"][0]["CommittedOffset"] == -1
        assert ask(conn, OFFSET_FETCH, 5, {"GroupId": "g", "Topics": None})["Topics"] == []
