# SPDX-License-Identifier: Apache-2.0
"""A Java member and a libevlog member in one group, on evlogd and on Apache Kafka.

Goal: whoever leads, both agree on a strategy, every partition has exactly one owner, and when either is killed the
other takes over behind the commits. Method: both are processes (../members.py); the Java member leads until it is
killed, then the libevlog member does.
"""
import pytest

from evlogd import wait_for
from members import ALL, PARTITIONS, PATIENCE_SECONDS, Crew, Writer, committed_count
from programs import BROKERS


@pytest.fixture(params=BROKERS)
def broker(brokers, request):
    return brokers[request.param]


def have_one_owner_each(one, other):
    """Every partition has exactly one of the two, and both have some."""
    first, second = one.has(), other.has()
    return first | second == ALL and not first & second and first and second


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative"])
def test_they_share_a_group_and_take_over(broker, topic, family, strategy):
    writer = Writer(broker, topic)

    def all_committed():
        return committed_count(broker, topic, topic) == writer.sent

    with Crew(family("java"), broker, topic, topic) as crew:
        writer.write(100)
        java = crew.start(strategy=strategy)
        java.wait(lambda: java.has() == ALL and len(crew.values()) == 100, "all partitions and their events")
        evlog = crew.start(family=family("libevlog"), strategy=strategy)
        evlog.wait(lambda: have_one_owner_each(java, evlog), "each partition to have one owner")
        writer.write(100)
        evlog.wait(lambda: len(crew.values()) == 200, "events of both members")
        assert evlog.events() and java.events()

        # All is committed: nothing is read twice after the Java member, which leads, is gone.
        wait_for(all_committed, "the commits", PATIENCE_SECONDS)
        count = len(evlog.events())
        java.kill()
        new = writer.write(100)
        evlog.wait(lambda: evlog.has() == ALL and len(crew.values()) == 300, "what the Java member had")
        wait_for(all_committed, "the commits", PATIENCE_SECONDS)
        assert sorted(value for _, _, value in evlog.events()[count:]) == sorted(new)

        # Now the libevlog member leads, and is killed in the middle of its work: at least once.
        java = crew.start(strategy=strategy)
        java.wait(lambda: have_one_owner_each(java, evlog), "each partition to have one owner")
        writer.write(200)
        evlog.kill()
        writer.write(100)
        java.wait(lambda: java.has() == ALL and len(crew.values()) == 600, "what the libevlog member had")
        wait_for(all_committed, "the commits", PATIENCE_SECONDS)
        assert {(part, offset) for member in crew.made for part, offset, _ in member.events()} == \
            {(part, offset) for part in ALL for offset in range(600 // PARTITIONS)}
        java.leave()
