# SPDX-License-Identifier: Apache-2.0
"""The evlog program, and with it libevlog, works with Apache Kafka as it does with evlogd.

Method: the tests of groups on the command line that ask nothing of evlogd alone are run on both brokers, as they are;
and events that evlog publishes and reads are compared with what librdkafka reads and publishes.
"""
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "integration"))

from cli_kit import evlog  # noqa: E402
from clients import CODECS, Confluent  # noqa: E402
from programs import BROKERS  # noqa: E402
from test_events import content  # noqa: E402
from test_groups_cli import (  # noqa: E402, F401
    make, member, test_a_group_goes_on_where_it_stopped, test_a_group_with_members_is_not_moved_and_not_removed,
    test_a_killed_member_loses_nothing, test_groups_are_listed, test_lag_counts_events_and_time,
    test_members_share_and_take_over, test_removing_wants_the_name_once_more, test_seek_shows_and_then_does,
    test_several_topics_and_a_prefix, test_two_programs_with_one_instance_id, test_what_is_not_there_is_told)

FIRST_MS = 1_700_000_000_000    # 2023-11-14T22:13:20Z
EVENTS = [(b"key-%d" % (i % 7), b"%05d " % i + b"some text that compresses " * (4 + i % 20), []) for i in range(500)]


@pytest.fixture(params=BROKERS)
def broker(brokers, request):
    return brokers[request.param]


@pytest.mark.parametrize("codec", CODECS)
def test_others_read_what_it_publishes(broker, topic, codec):
    make(broker.bootstrap, topic, 1)
    lines = "".join(f"{key.decode()}:{value.decode()}\n" for key, value, _ in EVENTS)
    evlog("produce", topic, "-K:", "-q", "-X", f"compression.type={codec}", bootstrap=broker.bootstrap, stdin=lines,
          expect=0)
    assert content(Confluent(broker).read(topic)) == EVENTS


@pytest.mark.parametrize("codec", CODECS)
def test_it_reads_what_others_publish(broker, topic, codec):
    make(broker.bootstrap, topic, 1)
    Confluent(broker).write(topic, EVENTS, codec, batch_num_messages=50)
    found = evlog("consume", topic, "-f", "%o %k %v\\n", bootstrap=broker.bootstrap, expect=0).out
    assert found == "".join(f"{offset} {key.decode()} {value.decode()}\n"
                            for offset, (key, value, _) in enumerate(EVENTS))


def test_it_begins_at_a_time(broker, topic):
    """Of the log and of a group: event number i has time i seconds."""
    make(broker.bootstrap, topic, 2)
    for partition in (0, 1):
        Confluent(broker).write(topic, [(None, b"%d" % (2 * i + partition), []) for i in range(50)],
                                partition=partition,
                                timestamps=[FIRST_MS + 1000 * (2 * i + partition) for i in range(50)])
    wanted = sorted(range(60, 100))
    found = evlog("consume", topic, "-o", "@2023-11-14T22:14:20Z", bootstrap=broker.bootstrap, expect=0).out
    assert sorted(map(int, found.splitlines())) == wanted
    evlog("groups", "seek", topic, "--to", "@2023-11-14T22:14:20Z", "-t", topic, bootstrap=broker.bootstrap, expect=0)
    found = evlog("consume", topic, "-g", topic, bootstrap=broker.bootstrap, expect=0).out
    assert sorted(map(int, found.splitlines())) == wanted
