# SPDX-License-Identifier: Apache-2.0
"""The Java client on topics with streams: its own partitioner is the topic's default, expected versions go by header,
and a conflict reaches the program as InvalidRecordException with evlog's text."""
from evlog_wire import ask
from programs import run

STREAM_READ = 0x4011


def send(java_classes, broker, topic, records):
    text = "".join(f"{key}\t{expected}\n" for key, expected in records)
    return run(*java_classes, "Streams", broker.bootstrap, topic, text=text).splitlines()


def create(conn, topic, partitions, partitioner="murmur2"):
    settings = [("evlog.streams", "true"), ("evlog.key.partitioner", partitioner)]
    assert conn.create_topic(topic, partitions, settings) == (0, None)


def test_keys_go_where_the_topic_wants_them(broker, topic, java_classes):
    keys = [f"order-{n}" for n in range(60)]
    with broker.connect() as conn:
        create(conn, topic, 7)
        answers = send(java_classes, broker, topic, [(key, "none") for key in keys])
        assert [a for a in answers if not a.startswith("ok ")] == []
        for key in keys:
            assert ask(conn, STREAM_READ, {"topic": topic, "key": key.encode()})["last_version"] == 0
        create(conn, topic + "-crc32", 7, "crc32")
        answers = send(java_classes, broker, topic + "-crc32", [(key, "") for key in keys])
        refused = [a for a in answers if not a.startswith("ok ")]
        assert len(refused) > 30
        assert all(a.startswith("InvalidRecordException key ") and "evlog.key.partitioner" in a for a in refused)


def test_expected_versions_by_header(broker, topic, java_classes):
    with broker.connect() as conn:
        create(conn, topic, 1)
    expected = ("none", "0", "0", "1", "x", "")
    answers = send(java_classes, broker, topic, [("k", version) for version in expected])
    assert [a for a in answers if a.startswith("ok")] == ["ok 0", "ok 1", "ok 2", "ok 3"]
    assert answers[2] == ('InvalidRecordException stream "k" is at version 1, and version 0 was expected: read it '
                          'again and decide anew')
    assert answers[4].startswith("InvalidRecordException header evlog-expected-version must be")
