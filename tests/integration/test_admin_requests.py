# SPDX-License-Identifier: Apache-2.0
"""The requests of admin tools by hand: what a client library does not send, what two do at once, what a restart
keeps."""
import os
import threading

import kafka_wire as wire
from evlogd import wait_for
from kafka_layouts import ask
from kafka_wire import batch

ALTER_CONFIGS, DESCRIBE_CONFIGS, DESCRIBE_LOG_DIRS, INCREMENTAL, PAGES = 33, 32, 35, 44, 75
LOG_DIR_NOT_FOUND = 57


def alter(conn, topic, configs, version=2, validate=False):
    answer = ask(conn, ALTER_CONFIGS, version, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": 2, "ResourceName": topic, "Configs": [{"Name": n, "Value": v} for n, v in configs.items()]}]})
    result, = answer["Responses"]
    return result["ErrorCode"]


def overrides(conn, topic):
    answer = ask(conn, DESCRIBE_CONFIGS, 4, {"Resources": [{"ResourceType": 2, "ResourceName": topic}]})
    return {c["Name"]: c["Value"] for c in answer["Results"][0]["Configs"] if c["ConfigSource"] == 1}


def sizes(conn, topic, count):
    answer = ask(conn, DESCRIBE_LOG_DIRS, 4, {"Topics": [{"Topic": topic, "Partitions": list(range(count))}]})
    directory, = answer["Results"]
    return {p["PartitionIndex"]: p["PartitionSize"] for t in directory["Topics"] for p in t["Partitions"]}


def test_whole_sets_are_changed_whole_or_not_at_all(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic, configs=[("segment.bytes", "1048576")])[0] == 0
        assert alter(conn, topic, {"retention.ms": "1", "no.such": "1"}) == wire.INVALID_CONFIG
        assert alter(conn, topic, {"retention.ms": None}) == wire.INVALID_CONFIG
        assert alter(conn, topic, {"retention.ms": "7"}, validate=True) == 0
        assert overrides(conn, topic) == {"segment.bytes": "1048576"}
        for version in (0, 1, 2):
            assert alter(conn, topic, {"retention.ms": str(version)}, version) == 0
            assert overrides(conn, topic) == {"retention.ms": str(version)}
        assert alter(conn, topic, {}) == 0
        assert overrides(conn, topic) == {}


def test_whole_sets_and_single_settings_at_the_same_time(broker, topic):
    """Whoever comes last, the settings are one of the sets that somebody asked for, and single ones on top of it."""
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
    codes = []

    def whole():
        with broker.connect() as conn:
            codes.extend(alter(conn, topic, {"retention.ms": str(i), "retention.bytes": str(i)}) for i in range(60))

    def single():
        with broker.connect() as conn:
            for i in range(60):
                configs = [{"Name": "segment.ms", "Value": str(i + 1), "ConfigOperation": 0}]
                answer = ask(conn, INCREMENTAL, 1, {"Resources": [{"ResourceType": 2, "ResourceName": topic,
                                                                   "Configs": configs}]})
                codes.append(answer["Responses"][0]["ErrorCode"])

    threads = [threading.Thread(target=work) for work in (whole, single, whole, single)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [0] * 240
    with broker.connect() as conn:
        found = overrides(conn, topic)
    assert found["retention.ms"] == found["retention.bytes"]


def test_settings_and_sizes_survive_a_restart(fresh_broker):
    broker = fresh_broker
    with broker.connect() as conn:
        conn.create_topic("kept", partitions=4)
        assert alter(conn, "kept", {"retention.ms": "86400000"}) == 0
        for partition in (1, 2):
            for _ in range(20 * partition):
                assert conn.produce("kept", batch([b"x" * 10000]), partition=partition)[0] == 0
        before = sizes(conn, "kept", 4)
    assert before[0] == before[3] == 0 and 200_000 < before[1] < 300_000 and 400_000 < before[2] < 500_000
    assert broker.stop() == 0
    broker.start()
    with broker.connect() as conn:
        assert overrides(conn, "kept") == {"retention.ms": "86400000"}
        after = sizes(conn, "kept", 4)
        assert all(before[p] <= after[p] < before[p] * 1.2 + 1 for p in range(4)), (before, after)
        assert conn.delete_records("kept", -1, partition=2)
        wait_for(lambda: sizes(conn, "kept", 4)[2] < after[2], "the bytes of deleted records to go")


def test_the_directory_is_told_as_it_is(broker, topic):
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        directory, = ask(conn, DESCRIBE_LOG_DIRS, 5, {"Topics": None})["Results"]
        assert directory["LogDir"] == os.path.realpath(broker.data)
        disk = os.statvfs(broker.data)
        assert directory["TotalBytes"] == disk.f_blocks * disk.f_frsize
        assert 0 < directory["UsableBytes"] <= directory["TotalBytes"]
        assert "TotalBytes" not in ask(conn, DESCRIBE_LOG_DIRS, 3, {"Topics": None})["Results"][0]
        own = os.path.realpath(broker.data)
        for path, code in ((own, 0), ("/elsewhere", LOG_DIR_NOT_FOUND), ("", LOG_DIR_NOT_FOUND)):
            moved = ask(conn, 34, 2, {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [0]}]}]})
            assert moved["Results"][0]["Partitions"][0]["ErrorCode"] == code


def test_pages_of_many_partitions(broker, topic):
    """A topic larger than a page, and pages of any size over all topics, each partition once and in order."""
    with broker.connect() as conn:
        assert conn.create_topic(topic, partitions=2100)[0] == 0
        page = ask(conn, PAGES, 0, {"Topics": [{"Name": topic}], "ResponsePartitionLimit": 1 << 30})
        assert [p["PartitionIndex"] for p in page["Topics"][0]["Partitions"]] == list(range(2000))
        assert page["NextCursor"] == {"TopicName": topic, "PartitionIndex": 2000}
        page = ask(conn, PAGES, 0, {"Topics": [{"Name": topic}], "ResponsePartitionLimit": 0,
                                    "Cursor": {"TopicName": topic, "PartitionIndex": 2099}})
        assert [p["PartitionIndex"] for p in page["Topics"][0]["Partitions"]] == [2099]
        assert page["NextCursor"] is None
        wanted = [(name, p) for name, (_, count, _) in sorted(conn.metadata(None).items()) for p in range(count)]
        for limit in (1999, 97):
            found, cursor = [], None
            while not found or cursor is not None:
                page = ask(conn, PAGES, 0, {"ResponsePartitionLimit": limit, "Cursor": cursor})
                found += [(t["Name"], p["PartitionIndex"]) for t in page["Topics"] for p in t["Partitions"]]
                cursor = page["NextCursor"]
            assert found == wanted
        assert conn.delete_topic(topic) == 0


def test_many_unknown_names_are_answered_page_by_page(broker):
    names = [f"unknown-{i:05}" for i in range(5000)]
    with broker.connect() as conn:
        page = ask(conn, PAGES, 0, {"Topics": [{"Name": n} for n in names], "ResponsePartitionLimit": 2000})
        assert [t["Name"] for t in page["Topics"]] == names[:2000]
        assert {t["ErrorCode"] for t in page["Topics"]} == {wire.UNKNOWN_TOPIC_OR_PARTITION}
        assert page["NextCursor"] == {"TopicName": names[2000], "PartitionIndex": 0}
