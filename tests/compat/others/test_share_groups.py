# SPDX-License-Identifier: Apache-2.0
"""Share groups with the share consumers of Java and librdkafka and with Kafka's tools, on evlogd and on a real Apache
Kafka: what does not work there either is the client's fault, or the test's."""
import re
import time

import pytest

from apache_kafka import ApacheKafka, fetch_or_skip
from evlogd import Broker, quiet_port, wait_for
from kafka_tools import run_tool
from members import PATIENCE_SECONDS, Crew, Family
from share_cases import *  # noqa: F401, F403
from share_cases import ShareWriter, earliest

BROKERS = ("evlog", "kafka")
LOCK_MS = 3000
KAFKA_SETTINGS = {"group.share.min.record.lock.duration.ms": 1000, "group.share.record.lock.duration.ms": 15000,
                  "group.share.min.session.timeout.ms": 5000, "group.share.min.heartbeat.interval.ms": 1000}


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


def java_crew(java_classes, broker, topic):
    return Crew(Family("java", [*java_classes, "ShareMember"], set()), broker, topic, topic)


@pytest.fixture
def crew(java_classes, broker, topic):
    with java_crew(java_classes, broker, topic) as members:
        yield members


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    values = []
    while len(values) < 600 or (sum(1 for member in members if done(member)) < 2 and time.monotonic() < deadline):
        values += [f"v{number}" for number in range(len(values), len(values) + 30)]
        writer.write(*values[-30:])
        time.sleep(0.05)
    wait_for(lambda: sum(len(done(member)) for member in members) == len(values), "the events", PATIENCE_SECONDS)
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


def test_partitions_find_a_member_whoever_comes_and_goes(broker, topic, crew):
    """Members come, leave and are killed while events are written: each event is done, none twice."""
    writer = ShareWriter(broker, topic, 4)
    settings = {**EARLIEST, "records": "20", "group.share.heartbeat.interval.ms": "1000",
                "group.share.session.timeout.ms": "6000"}
    members = [ready(crew.start(**settings))]
    count = 0

    def write_and_wait(*working):
        nonlocal count
        for partition in range(4):
            writer.write(*[f"v{partition}-{count + number}" for number in range(50)], partition=partition)
        count += 200
        for member in working:
            member.alive()
        wait_for(lambda: sum(len(done(member)) for member in members) >= count, "the events", PATIENCE_SECONDS)

    write_and_wait(members[0])
    members += [ready(crew.start(**settings)) for _ in range(2)]
    wait_for(lambda: write_and_wait(*members) or all(done(member) for member in members), "work for all",
             PATIENCE_SECONDS)
    members[0].leave()
    write_and_wait(*members[1:])
    members[1].kill()
    write_and_wait(members[2])
    finished = [value for member in members for value in done(member)]
    assert len(finished) == len(set(finished)) == count
    members[2].leave()


@pytest.mark.parametrize("crash", (False, True), ids=("stopped", "killed"))
def test_a_restart_keeps_outcomes_and_members_go_on(tmp_path, topic, java_classes, crash):
    """Members of a broker that comes back: what was acknowledged does not come again, all else does."""
    broker = Broker(tmp_path, listen=f"127.0.0.1:{quiet_port()}").start()
    try:
        writer = ShareWriter(broker, topic, 2)
        with java_crew(java_classes, broker, topic) as crew:
            members = [ready(crew.start(mode="explicit", records="5", pause="5", **EARLIEST)) for _ in range(2)]
            values = [f"v{number}" for number in range(400)]
            writer.write(*values[:100])
            writer.write(*values[100:200], partition=1)
            wait_for(lambda: sum(len(done(member)) for member in members) > 50, "some outcomes", PATIENCE_SECONDS)
            if crash:
                broker.kill()
            else:
                assert broker.stop() == 0
            broker.start()
            writer.write(*values[200:300])
            writer.write(*values[300:], partition=1)
            wait_for(lambda: {value for member in members for value in done(member)} == set(values), "all outcomes",
                     PATIENCE_SECONDS)
            finished = [value for member in members for value in done(member)]
            assert sorted(finished) == sorted(values), "what was acknowledged came again"
            for member in members:
                member.alive()
                member.leave()
    finally:
        broker.stop()


# --- Kafka's tools ----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def jars():
    return f"{fetch_or_skip()}/*"


def rows(outcome):
    """Rows of a table as dicts by the words of its heading."""
    lines = [line.split() for line in outcome.text.splitlines() if line.strip()]
    heads = next((index for index, words in enumerate(lines) if words[0] == "GROUP"), None)
    assert heads is not None, outcome
    return [dict(zip(lines[heads], words)) for words in lines[heads + 1:]]


class Tools:
    """Kafka's tools for a share group, with the code that they end with."""

    def __init__(self, jars, broker, group):
        self.jars, self.broker, self.of = jars, broker, ("--group", group)
        self.entity = ("--entity-type", "groups", "--entity-name", group)

    def run(self, tool, *args, code=0):
        outcome = run_tool(self.jars, self.broker, tool, *args)
        assert outcome.code == code, outcome
        return outcome

    def groups(self, *args, code=0):
        return self.run("kafka-share-groups", *args, code=code)

    def starts(self, topic):
        """{partition: start offset}"""
        return {int(row["PARTITION"]): row["START-OFFSET"]
                for row in rows(self.groups("--describe", *self.of, "--offsets")) if row["TOPIC"] == topic}

    def configs(self, *args, code=0):
        return self.run("kafka-configs", *args, *self.entity, code=code)

    def settings(self):
        """Those of the group's own, by Kafka's names: evlogd shows those of its own as well."""
        found = self.configs("--describe").find(r"^  (share\.\S+)=(\S*) sensitive=false")
        return dict(found)


@pytest.fixture
def tools(jars, broker, topic):
    return Tools(jars, broker, topic)


def test_kafka_share_groups(broker, topic, crew, tools):
    groups, of = tools.groups, tools.of
    writer = ShareWriter(broker, topic, 2)
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
    shown, = rows(groups("--describe", *of, "--members", "--verbose"))
    assert int(shown["MEMBER-EPOCH"]) > 0
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


def test_offsets_are_reset_by_end_and_by_time(broker, topic, crew, tools):
    """Without --execute nothing changes; one topic, and all of them; with members, and of a group that is not there."""
    reset = ("--reset-offsets", *tools.of)
    writer = ShareWriter(broker, topic, 2)
    for number in range(10):
        writer.write(f"v{number}", timestamp=1700000000000 + 1000 * number)
    member = ready(crew.start(**EARLIEST))
    member.wait(lambda: len(done(member)) == 10, "the events")
    refused = tools.groups(*reset, "--topic", topic, "--to-earliest", "--execute", code=1)
    assert "not empty" in refused.text.lower() or "NonEmpty" in refused.text or "inactive" in refused.text, refused
    member.leave()
    wait_for(lambda: "Empty" in tools.groups("--list", "--state").text, "the group to be empty", PATIENCE_SECONDS)
    tools.groups(*reset, "--topic", topic, "--to-latest", "--execute")
    assert tools.starts(topic)[0] == "10"
    planned = rows(tools.groups(*reset, "--topic", topic, "--to-earliest", "--dry-run"))
    assert {row["NEW-OFFSET"] for row in planned} == {"0"}
    assert tools.starts(topic)[0] == "10"
    tools.groups(*reset, "--all-topics", "--to-datetime", "2023-11-14T22:13:25.000Z", "--execute")
    assert tools.starts(topic)[0] == "5"
    again = ready(crew.start())
    again.wait(lambda: len(done(again)) == 5, "the events since then")
    assert [value for _, _, value in events(again)] == [f"v{number}" for number in range(5, 10)]
    again.leave()
    assert "GroupIdNotFoundException" in tools.groups("--describe", "--group", "nobody").text


def test_kafka_configs_of_a_group(broker, topic, tools):
    assert "share.record.lock.duration.ms" not in tools.settings()
    tools.configs("--alter", "--add-config", "share.auto.offset.reset=earliest,share.record.lock.duration.ms=20000")
    assert tools.settings() == {"share.auto.offset.reset": "earliest", "share.record.lock.duration.ms": "20000"}
    assert "InvalidConfigurationException" in tools.configs("--alter", "--add-config",
                                                            "share.auto.offset.reset=sometimes", code=1).text
    assert "InvalidConfigurationException" in tools.configs("--alter", "--add-config", "no.such=1", code=1).text
    tools.configs("--alter", "--delete-config", "share.record.lock.duration.ms")
    assert tools.settings() == {"share.auto.offset.reset": "earliest"}


def test_the_console_share_consumer(broker, topic, tools):
    """It accepts what it shows; what it releases comes again, and what it rejects does not."""
    writer = ShareWriter(broker, topic)
    earliest(broker, topic)
    writer.write("one", "two", "three")

    def read(*args):
        outcome = tools.run("kafka-console-share-consumer", "--topic", topic, *tools.of, "--timeout-ms", "30000",
                            "--formatter-property", "print.delivery=true", *args)
        return outcome.find(r"^Delivery:(\d+)\t(\w+)$")

    assert read("--max-messages", "3", "--release") == [("1", "one"), ("1", "two"), ("1", "three")]
    assert read("--max-messages", "3", "--reject") == [("2", "one"), ("2", "two"), ("2", "three")]
    writer.write("four")
    assert read("--max-messages", "1") == [("1", "four")]
    writer.write("five")
    assert read("--max-messages", "1") == [("1", "five")]
