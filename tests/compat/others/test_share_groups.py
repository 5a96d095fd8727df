# SPDX-License-Identifier: Apache-2.0
"""Share groups with the share consumers of Java and librdkafka and with kafka-share-groups, on evlogd and on a real
Apache Kafka: what does not work there either is the client's fault, or the test's."""
import re
import time

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from apache_kafka import ApacheKafka, fetch_or_skip
from evlogd import Broker, wait_for
from kafka_tools import run_tool
from members import PATIENCE_SECONDS, Crew, Family

BROKERS = ("evlog", "kafka")
LOCK_MS = 3000
KAFKA_SETTINGS = {"group.share.min.record.lock.duration.ms": 1000, "group.share.record.lock.duration.ms": 15000}


@pytest.fixture(scope="module", params=BROKERS)
def broker(request, tmp_path_factory):
    """The tests of one run before those of the other."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "kafka":
        one = ApacheKafka(folder, KAFKA_SETTINGS).start()
    else:
        one = Broker(folder).start()
    yield one
    if request.param == "evlog":
        assert one.process.poll() is None, "evlogd died:\n" + "".join(one.log[-50:])
    one.stop()


@pytest.fixture
def crew(java_classes, broker, topic):
    with Crew(Family("java", [*java_classes, "ShareMember"], set()), broker, topic, topic) as members:
        yield members


class Writer:
    """A topic of its own, to whose partitions events are written by hand."""

    def __init__(self, broker, topic, partitions=1):
        self.topic = topic
        with broker.connect() as conn:
            assert conn.create_topic(topic, partitions)[0] == 0
        self.producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def write(self, *values, partition=0):
        for value in values:
            self.producer.produce(self.topic, value, partition=partition)
        assert self.producer.flush(PATIENCE_SECONDS) == 0


@pytest.fixture
def writer(broker, topic):
    return Writer(broker, topic)


# Events are leased for long where their lock does not matter, so that a slow machine changes nothing.
EARLIEST = {"group.share.auto.offset.reset": "earliest", "group.share.record.lock.duration.ms": "60000"}
SHORT = {**EARLIEST, "group.share.record.lock.duration.ms": str(LOCK_MS)}


def events(member):
    """[(offset, delivery, value)] in the order in which they came, renewed ones once."""
    found = []
    for line in list(member.lines):
        if line.startswith("event "):
            _, _, offset, delivery, value = line.split(" ", 4)
            event = int(offset), int(delivery), value
            if event not in found:
                found.append(event)
    return found


def done(member):
    return [line.split(" ", 2)[2] for line in list(member.lines) if line.startswith("done ")]


def ready(member):
    member.wait(lambda: member.count("ready") == 1, "the member")
    return member


# --- the Java share consumer ------------------------------------------------------------------------------------------

def test_events_come_once_and_are_acknowledged_by_reading_on(crew, writer):
    values = [f"v{number}" for number in range(1000)]
    writer.write(*values)
    member = ready(crew.start(**EARLIEST))
    member.wait(lambda: len(done(member)) == 1000, "the events")
    assert events(member) == [(offset, 1, value) for offset, value in enumerate(values)]
    member.leave()
    second = ready(crew.start())
    writer.write("last")
    second.wait(lambda: done(second), "the event")
    assert events(second) == [(1000, 1, "last")], "what was acknowledged came again"
    second.leave()


def test_a_group_begins_at_the_end_unless_told_otherwise(crew, writer):
    writer.write("early")
    member = ready(crew.start())
    deadline = time.monotonic() + PATIENCE_SECONDS
    number = 0
    while not done(member) and time.monotonic() < deadline:
        writer.write(f"late{number}")
        number += 1
        time.sleep(0.2)
    assert done(member) and "early" not in done(member)
    member.leave()


def test_members_share_one_partition(crew, writer):
    members = [ready(crew.start(records="10", pause="2", **EARLIEST)) for _ in range(3)]
    values = [f"v{number}" for number in range(600)]
    for start in range(0, 600, 30):
        writer.write(*values[start:start + 30])
    wait_for(lambda: sum(len(done(member)) for member in members) == 600, "the events", PATIENCE_SECONDS)
    assert sorted(value for member in members for value in done(member)) == sorted(values)
    assert all(delivery == 1 for member in members for _, delivery, _ in events(member))
    assert len([member for member in members if done(member)]) > 1, "one member got everything"
    for member in members:
        member.leave()


def test_each_event_has_an_outcome_of_its_own(crew, writer):
    member = ready(crew.start(mode="explicit", **EARLIEST))
    writer.write("accept 1", "release 3 x", "reject 1", "accept 2", "release 2 y")
    member.wait(lambda: len(done(member)) == 5, "the outcomes")
    assert sorted(done(member)) == ["accept 1", "accept 2", "reject 1", "release 2 y", "release 3 x"]
    assert sorted(events(member)) == [
        (0, 1, "accept 1"), (1, 1, "release 3 x"), (1, 2, "release 3 x"), (1, 3, "release 3 x"), (2, 1, "reject 1"),
        (3, 1, "accept 2"), (4, 1, "release 2 y"), (4, 2, "release 2 y")]
    member.leave()
    second = ready(crew.start(mode="explicit"))
    writer.write("last")
    second.wait(lambda: done(second), "the event")
    assert events(second) == [(5, 1, "last")]
    second.leave()


def test_an_event_that_nobody_acknowledges_comes_to_another_member(crew, writer):
    first = ready(crew.start(mode="explicit", **SHORT))
    writer.write("keep it")
    first.wait(lambda: events(first), "the event")
    started = time.monotonic()
    second = ready(crew.start())
    second.wait(lambda: done(second), "the event")
    assert events(second) == [(0, 2, "keep it")]
    assert time.monotonic() - started > LOCK_MS / 1000 - 1, "it came before its lock was over"


def test_what_a_killed_member_had_comes_at_once(crew, writer):
    """A lost connection releases; the lock would last longer than the test waits."""
    first = ready(crew.start(mode="explicit", **EARLIEST))
    writer.write("keep it")
    first.wait(lambda: events(first), "the event")
    first.kill()
    started = time.monotonic()
    second = ready(crew.start())
    second.wait(lambda: done(second), "the event")
    assert events(second) == [(0, 2, "keep it")]
    assert time.monotonic() - started < 50


def test_a_member_that_leaves_releases_what_it_had(crew, writer):
    first = ready(crew.start(mode="explicit", **EARLIEST))
    writer.write("keep it")
    first.wait(lambda: events(first), "the event")
    first.leave()
    second = ready(crew.start())
    second.wait(lambda: done(second), "the event")
    assert events(second) == [(0, 2, "keep it")]
    second.leave()


def test_renewing_keeps_an_event(crew, writer):
    first = ready(crew.start(mode="explicit", **SHORT))
    writer.write(f"renew {3 * LOCK_MS}")
    first.wait(lambda: events(first), "the event")
    second = ready(crew.start())
    first.wait(lambda: done(first), "the outcome")
    assert events(first) == [(0, 1, f"renew {3 * LOCK_MS}")]
    assert not events(second)
    first.leave()
    second.leave()


def test_deliveries_are_limited(crew, writer):
    """Kafka archives such an event, evlogd has a dead-letter topic for it."""
    member = ready(crew.start(mode="explicit", **EARLIEST, **{"group.share.delivery.count.limit": "3"}))
    writer.write("release 9 x")
    member.wait(lambda: len(events(member)) == 3, "the deliveries")
    writer.write("after")
    member.wait(lambda: done(member) == ["after"], "the event behind it")
    assert [delivery for _, delivery, value in events(member) if value == "release 9 x"] == [1, 2, 3]
    member.leave()


def test_modes_of_acquiring(crew, writer):
    """No more events than asked for, where that is a limit."""
    writer.write(*[f"v{number}" for number in range(100)])
    member = ready(crew.start(records="7", **EARLIEST, **{"share.acquire.mode": "record_limit"}))
    member.wait(lambda: len(done(member)) == 100, "the events")
    assert len(events(member)) == 100
    member.leave()


# --- librdkafka -------------------------------------------------------------------------------------------------------

def share_consumer(broker, group, **settings):
    consumer = confluent_kafka.ShareConsumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "log_level": 0,
                                              **settings})
    consumer.subscribe([group])
    return consumer


def poll_until(consumer, count, handle=lambda message: None):
    found = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.poll(0.5):
            assert message.error() is None, message.error()
            handle(message)
            found.append((message.offset(), message.value().decode()))
    return found


def earliest(broker, group):
    entry = ConfigEntry("share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for change in admin.incremental_alter_configs(
            [ConfigResource(ResourceType.GROUP, group, incremental_configs=[entry])]).values():
        change.result(PATIENCE_SECONDS)


def test_librdkafka_reads_on(broker, writer, topic):
    earliest(broker, topic)
    values = [f"v{number}" for number in range(200)]
    writer.write(*values)
    first = share_consumer(broker, topic)
    assert poll_until(first, 200) == list(enumerate(values))
    assert all(error is None for error in first.commit_sync(PATIENCE_SECONDS).values())
    first.close()
    second = share_consumer(broker, topic)
    writer.write("last")
    assert poll_until(second, 1) == [(200, "last")]
    second.close()


def test_librdkafka_acknowledges_each(broker, writer, topic):
    earliest(broker, topic)
    writer.write("accept", "release", "reject", "accept")
    kinds = {"accept": confluent_kafka.AcknowledgeType.ACCEPT, "reject": confluent_kafka.AcknowledgeType.REJECT,
             "release": confluent_kafka.AcknowledgeType.RELEASE}
    seen = set()

    def handle(message):
        kind = message.value().decode() if message.offset() not in seen else "accept"
        seen.add(message.offset())
        consumer.acknowledge(message, kinds[kind])

    consumer = share_consumer(broker, topic, **{"share.acknowledgement.mode": "explicit"})
    assert sorted(poll_until(consumer, 5, handle)) == [(0, "accept"), (1, "release"), (1, "release"), (2, "reject"),
                                                       (3, "accept")]
    assert all(error is None for error in consumer.commit_sync(PATIENCE_SECONDS).values())
    consumer.close()


# --- kafka-share-groups -----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def jars():
    return f"{fetch_or_skip()}/*"


def rows(outcome):
    """Rows of a table as dicts by the words of its heading."""
    lines = [line.split() for line in outcome.text.splitlines() if line.strip()]
    heads = next((index for index, words in enumerate(lines) if words[0] == "GROUP"), None)
    assert heads is not None, outcome
    return [dict(zip(lines[heads], words)) for words in lines[heads + 1:]]


def test_kafka_share_groups(broker, topic, crew, jars):
    def groups(*args, code=0):
        outcome = run_tool(jars, broker, "kafka-share-groups", *args)
        assert outcome.code == code, outcome
        return outcome

    of = ("--group", topic)
    writer = Writer(broker, topic, 2)
    member = ready(crew.start(**EARLIEST))
    writer.write(*[f"v{number}" for number in range(10)])
    writer.write(*[f"w{number}" for number in range(5)], partition=1)
    member.wait(lambda: len(done(member)) == 15, "the events")
    assert topic in groups("--list").text.split()
    assert re.search(rf"^{topic}\s+Stable", groups("--list", "--state").text, re.M)
    state, = rows(groups("--describe", *of, "--state"))
    assert (state["STATE"], state["#MEMBERS"]) == ("Stable", "1")
    shown, = rows(groups("--describe", *of, "--members"))
    assert f"{topic}:0,1" in shown["ASSIGNMENT"]
    stand = {(row["TOPIC"], row["PARTITION"], row["START-OFFSET"], row["LAG"])
             for row in rows(groups("--describe", *of, "--offsets"))}
    assert {row[:2] for row in stand} == {(topic, "0"), (topic, "1")}
    if isinstance(broker, Broker):    # Kafka moves them later, when it writes something else
        assert stand == {(topic, "0", "10", "0"), (topic, "1", "5", "0")}
    assert "not empty" in groups("--delete", *of).text.lower()
    member.leave()
    wait_for(lambda: "Empty" in groups("--list", "--state").text, "the group to be empty", PATIENCE_SECONDS)
    groups("--reset-offsets", *of, "--topic", topic, "--to-earliest", "--execute")
    assert {row["START-OFFSET"] for row in rows(groups("--describe", *of))} == {"0"}
    again = ready(crew.start())
    again.wait(lambda: len(done(again)) == 15, "the events, again")
    again.leave()
    groups("--delete-offsets", *of, "--topic", topic)
    assert topic not in groups("--describe", *of).text.replace(f"'{topic}'", "")
    groups("--delete", *of)
    assert topic not in groups("--list").text.split()
