# SPDX-License-Identifier: Apache-2.0
"""Share groups with librdkafka's share consumer, and what evlogd does beyond Kafka: dead letters that any client reads,
and a restart that costs no outcome."""
import pytest

import confluent_kafka
from clients import ALL
from confluent_kafka.admin import AdminClient
from evlogd import Broker, quiet_port, wait_for
from members import PATIENCE_SECONDS
from share_cases import *  # noqa: F401, F403
from share_cases import ShareWriter, commit, configure, earliest, outcomes, poll_until, share_consumer

EXPLICIT = {"share.acknowledgement.mode": "explicit"}


def dead_letters(topic):
    return f"{topic}.{topic}.dlq"


@pytest.mark.parametrize("client", ALL.values(), ids=ALL)
def test_dead_letters_are_plain_events(broker, topic, client):
    """Key, value and headers are those of the event, and what evlogd adds are headers like any others."""
    configure(broker, topic, share_auto_offset_reset="earliest", share_delivery_count_limit="2", retry_backoff_ms="1")
    writer = ShareWriter(broker, topic, 2)
    headers = [("one", b"1"), ("two", b"2"), ("one", b"again")]
    writer.write("reject me", partition=1, key="k1", headers=headers)
    writer.write("accept", partition=1, key="k2")
    writer.write("release forever", partition=1, key="k3")
    consumer = share_consumer(broker, topic, **EXPLICIT)
    poll_until(consumer, 4, outcomes(consumer, again="release"))
    commit(consumer)
    consumer.close()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    wait_for(lambda: dead_letters(topic) in admin.list_topics(timeout=60).topics, "their topic", PATIENCE_SECONDS)
    found = wait_for(lambda: (lambda events: events if len(events) == 2 else None)(
        client(broker).read(dead_letters(topic), partition=1)), "two dead letters", PATIENCE_SECONDS)
    by_key = {key: (value, list(more)) for _, _, key, value, more in found}
    assert set(by_key) == {b"k1", b"k3"}
    value, more = by_key[b"k1"]
    assert (value, more[:3]) == (b"reject me", headers)
    said = dict(more[3:])
    assert said["evlog-dlq-topic"].decode() == said["evlog-dlq-group"].decode() == topic
    assert (said["evlog-dlq-partition"], said["evlog-dlq-offset"]) == (b"1", b"0")
    assert (said["evlog-dlq-attempts"], said["evlog-dlq-reason"]) == (b"1", b"rejected")
    value, more = by_key[b"k3"]
    said = dict(more)
    assert value == b"release forever"
    assert (said["evlog-dlq-attempts"], said["evlog-dlq-reason"]) == (b"2", b"exhausted")


@pytest.mark.parametrize("crash", (False, True), ids=("stopped", "killed"))
def test_a_restart_keeps_outcomes_and_members_go_on(tmp_path, topic, crash):
    """Whose broker comes back reads on; what was acknowledged does not come again, all else does."""
    broker = Broker(tmp_path, listen=f"127.0.0.1:{quiet_port()}").start()
    try:
        earliest(broker, topic)
        writer = ShareWriter(broker, topic)
        writer.write(*["accept"] * 20)
        consumer = share_consumer(broker, topic, **EXPLICIT)
        handle = outcomes(consumer)
        first = poll_until(consumer, 20, handle)
        commit(consumer)
        writer.write("accept")
        held = []
        poll_until(consumer, 1, held.append)
        if crash:
            broker.kill()
        else:
            assert broker.stop() == 0
        broker.start()
        writer.write(*["accept"] * 5)
        handle(held[0])    # too late: its lease ended with the process
        later = poll_until(consumer, 6, handle)
        commit(consumer)
        assert [offset for offset, _ in first] == list(range(20))
        assert sorted(offset for offset, _ in later) == list(range(20, 26)), "acknowledged events came again, or none"
        consumer.close()
    except confluent_kafka.KafkaException as error:
        raise AssertionError(f"{error}\n" + "".join(broker.log[-30:])) from error
    finally:
        broker.stop()
