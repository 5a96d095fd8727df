# SPDX-License-Identifier: Apache-2.0
"""Consumer groups with stock clients: partitions are shared, members come, go and die, places are kept."""
import collections
import contextlib
import signal
import subprocess
import threading
import time

import confluent_kafka
import kafka
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from clients import Confluent
from evlogd import Broker, wait_for

PARTITIONS, COUNT = 4, 200


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = Broker(tmp_path_factory.mktemp("data"), args=["--group-initial-rebalance-delay-ms=200"]).start()
    yield instance
    assert instance.process.poll() is None, "evlogd died:\n" + "".join(instance.log[-50:])
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture
def filled(broker, topic):
    make(broker, topic)
    fill(broker, topic, 0)
    return topic


def make(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()


def fill(broker, topic, first):
    for partition in range(PARTITIONS):
        Confluent(broker).write(topic, [(None, b"%d" % n, []) for n in range(first + partition, first + COUNT,
                                                                             PARTITIONS)], partition=partition)


class Member(threading.Thread):
    """A consumer of a group in a thread of its own; what it reads goes into `seen`. stop() leaves the group."""

    def __init__(self, broker, topic, group, seen):
        super().__init__(daemon=True)
        self.broker, self.topic, self.group, self.seen = broker, topic, group, seen
        self.going, self.parts, self.rounds, self.failure = True, set(), 0, None

    def begin(self):
        self.start()
        return self

    def run(self):
        try:
            self.work()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def stop(self):
        self.going = False
        self.join(60)
        assert self.failure is None, self.failure


class ConfluentMember(Member):
    def __init__(self, *args, **settings):
        super().__init__(*args)
        self.settings = settings

    def gained(self, _, parts):
        self.rounds += 1
        if self.settings.get("partition.assignment.strategy") == "cooperative-sticky":
            self.parts |= {part.partition for part in parts}
        else:
            self.parts = {part.partition for part in parts}

    def lost(self, _, parts):
        self.parts -= {part.partition for part in parts}

    def work(self):
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.broker.bootstrap, "group.id": self.group, "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "log_level": 0, "enable.auto.commit": False,
            **self.settings})
        consumer.subscribe([self.topic], on_assign=self.gained, on_revoke=self.lost)
        while self.going:
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                self.seen[int(message.value())] += 1
                with contextlib.suppress(confluent_kafka.KafkaException):  # a round that has just begun
                    consumer.commit(message, asynchronous=False)
        consumer.close()


class PythonMember(Member):
    def work(self):
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, group_id=self.group, auto_offset_reset="earliest",
            session_timeout_ms=6000, heartbeat_interval_ms=200, enable_auto_commit=False)
        consumer.subscribe([self.topic])
        while self.going:
            # kafka-python forgets a join that outlasts the poll which began it when news of the topic asked for it.
            for messages in consumer.poll(2000).values():
                for message in messages:
                    self.seen[int(message.value)] += 1
                consumer.commit()
            self.parts = {part.partition for part in consumer.assignment()}
        consumer.close()


KINDS = {"confluent": ConfluentMember, "python": PythonMember}


def all_parts(*members):
    parts = sorted(part for member in members for part in member.parts)
    return parts == list(range(PARTITIONS)) and all(member.parts for member in members)


def lag(broker, topic, group):
    """Events that are not committed, over all partitions."""
    consumer = Confluent(broker).consumer(group_id=group)
    places = consumer.committed([TopicPartition(topic, part) for part in range(PARTITIONS)], timeout=60)
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, part), timeout=60)[1] for part in range(PARTITIONS)]
    consumer.close()
    return sum(end - max(place.offset, 0) for place, end in zip(places, ends))


@pytest.mark.parametrize("kind", KINDS)
def test_members_share_the_partitions_and_read_everything(broker, filled, kind):
    seen = collections.Counter()
    one, two = (KINDS[kind](broker, filled, f"share-{kind}", seen).begin() for _ in range(2))
    wait_for(lambda: len(seen) == COUNT, "all events")
    wait_for(lambda: all_parts(one, two), "both have partitions")
    wait_for(lambda: lag(broker, filled, f"share-{kind}") == 0, "all committed")
    one.stop()
    wait_for(lambda: all_parts(two), "the other has all of them")
    fill(broker, filled, COUNT)
    wait_for(lambda: len(seen) == 2 * COUNT, "the new events")
    two.stop()
    # One who comes later goes on where they stopped.
    later = collections.Counter()
    three = KINDS[kind](broker, filled, f"share-{kind}", later).begin()
    wait_for(lambda: all_parts(three), "it has partitions")
    fill(broker, filled, 2 * COUNT)
    wait_for(lambda: len(later) >= COUNT, "only the newest events")
    three.stop()
    assert set(later) == set(range(2 * COUNT, 3 * COUNT)) and not set(later.values()) - {1}


def test_families_share_a_group(broker, filled):
    """Both offer range; a layout of one is read by the other."""
    seen = collections.Counter()
    members = [kind(broker, filled, "families", seen).begin() for kind in KINDS.values()]
    wait_for(lambda: all_parts(*members) and len(seen) == COUNT, "both read")
    for member in members:
        member.stop()


def test_cooperative_members_keep_what_they_have(broker, filled):
    seen = collections.Counter()
    settings = {"partition.assignment.strategy": "cooperative-sticky"}
    one = ConfluentMember(broker, filled, "cooperative", seen, **settings).begin()
    wait_for(lambda: all_parts(one), "all partitions")
    two = ConfluentMember(broker, filled, "cooperative", seen, **settings).begin()
    wait_for(lambda: all_parts(one, two), "half of them")
    one.stop()
    wait_for(lambda: all_parts(two), "all of them")
    two.stop()


def kcat_member(broker, topic, group):
    return subprocess.Popen(
        ["kcat", "-b", broker.bootstrap, "-G", group, "-q", "-u", "-f", "%p %o %s\n",
         "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=200", topic],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_a_killed_member_is_replaced_after_its_session(broker, filled):
    victim = kcat_member(broker, filled, "killed")
    lines = [victim.stdout.readline() for _ in range(COUNT)]
    assert len({line.split()[2] for line in lines}) == COUNT
    seen = collections.Counter()
    heir = ConfluentMember(broker, filled, "killed", seen).begin()
    wait_for(lambda: heir.parts and not all_parts(heir), "they share")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    began = time.monotonic()
    wait_for(lambda: all_parts(heir), "all partitions")
    assert time.monotonic() - began < 30
    assert broker.metric("evlog_group_members_expired_total") >= 1
    assert broker.said("group", "nothing was heard of it")
    heir.stop()
    victim.stdout.close()


def test_a_static_member_comes_back_without_a_round(broker, filled):
    seen = collections.Counter()
    names = {"one": {"group.instance.id": "one"}, "two": {"group.instance.id": "two"}}
    one, two = (ConfluentMember(broker, filled, "static", seen, **settings).begin() for settings in names.values())
    wait_for(lambda: all_parts(one, two), "both have partitions")
    rounds, parts = two.rounds, set(one.parts)
    one.stop()
    again = ConfluentMember(broker, filled, "static", seen, **names["one"]).begin()
    wait_for(lambda: again.parts == parts, "the same partitions")
    assert two.rounds == rounds
    two.stop()
    again.stop()


def test_places_survive_a_kill(tmp_path, topic):
    broker = Broker(tmp_path / "data", args=["--group-initial-rebalance-delay-ms=0"]).start()
    make(broker, topic)
    fill(broker, topic, 0)
    seen = collections.Counter()
    one = PythonMember(broker, topic, "kept", seen).begin()
    wait_for(lambda: len(seen) == COUNT and lag(broker, topic, "kept") == 0, "all read")
    broker.listen = f"127.0.0.1:{broker.port}"
    broker.kill()
    broker.start()
    assert lag(broker, topic, "kept") == 0
    fill(broker, topic, COUNT)
    wait_for(lambda: len(seen) == 2 * COUNT, "it goes on")
    one.stop()
    assert broker.stop() == 0


def test_tools(broker, filled):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    seen = collections.Counter()
    one = ConfluentMember(broker, filled, "tools", seen).begin()
    wait_for(lambda: all_parts(one) and len(seen) == COUNT, "all read")
    described = admin.describe_consumer_groups(["tools"])["tools"].result()
    assert described.state.name == "STABLE" and described.partition_assignor == "range"
    member, = described.members
    assert member.host == "/127.0.0.1" and len(member.assignment.topic_partitions) == PARTITIONS
    listed = {group.group_id: group.state.name for group in admin.list_consumer_groups().result().valid}
    assert listed["tools"] == "STABLE"
    with pytest.raises(confluent_kafka.KafkaException, match="NON_EMPTY_GROUP"):
        admin.delete_consumer_groups(["tools"])["tools"].result()
    one.stop()
    place = ConsumerGroupTopicPartitions("tools", [TopicPartition(filled, 1, 7)])
    assert admin.alter_consumer_group_offsets([place])["tools"].result().topic_partitions[0].error is None
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("tools")])["tools"].result()
    assert {part.partition: part.offset for part in offsets.topic_partitions} == {0: 50, 1: 7, 2: 50, 3: 50}
    python = kafka.admin.KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    assert "tools" in {group["group_id"] for group in python.list_groups()}
    python.close()
    assert admin.delete_consumer_groups(["tools"])["tools"].result() is None
    assert "tools" not in {group.group_id for group in admin.list_consumer_groups().result().valid}


def test_a_topic_made_again_has_no_places(broker, filled):
    group = "again"
    consumer = Confluent(broker).consumer(group_id=group)
    consumer.commit(offsets=[TopicPartition(filled, 0, 5)], asynchronous=False)
    assert consumer.committed([TopicPartition(filled, 0)], timeout=60)[0].offset == 5
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([filled])[filled].result()
    make(broker, filled)
    assert consumer.committed([TopicPartition(filled, 0)], timeout=60)[0].offset == confluent_kafka.OFFSET_INVALID
    consumer.close()
