# SPDX-License-Identifier: Apache-2.0
"""What /metrics says of groups and of slow operations.

Goal: the lag of a consumer group, of a work group and what lies in a topic of dead letters are on the page, also after
a restart, as the command line counts them; a slow operation is a line that programs can read. Method: known numbers of
events, over two shards; a client that takes its answer late.
"""
import json
import time

import pytest

from cli_kit import evlog
from evlogd import Broker, start_or_skip, wait_for
from kafka_wire import batch

ARGS = ["--group-initial-rebalance-delay-ms=0", "--log-format=json"]


@pytest.fixture
def broker(tmp_path):
    instance = start_or_skip(Broker(tmp_path / "data", args=ARGS))
    yield instance
    if instance.process is not None:
        assert instance.stop() == 0, "".join(instance.log[-50:])


def lag(broker, group, topic):
    return (broker.metric("evlog_group_lag_records", group=group, topic=topic),
            broker.metric("evlog_group_lag_seconds", group=group, topic=topic))


def publish(broker, topic, counts):
    with broker.connect() as conn:
        assert conn.create_topic(topic, len(counts))[0] == 0
        for partition, count in enumerate(counts):
            assert conn.produce(topic, batch([b"x"] * count), partition=partition)[0] == 0


def test_lag_of_a_consumer_group_is_that_of_all_its_partitions(broker):
    began = time.time()
    publish(broker, "orders", [10, 7, 5, 3])
    evlog("consume", "orders", "-g", "billing", "-n", 4, bootstrap=broker.bootstrap, expect=0)
    records, seconds = lag(broker, "billing", "orders")
    lines = evlog("groups", "lag", "billing", "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert records == sum(line["lag"] for line in lines if line["lag"] is not None) > 0
    assert 0 < seconds <= time.time() - began + 1
    assert broker.metric("evlog_group_lag_left_out") == 0

    assert broker.stop() == 0
    broker.start()
    # Until the group is read again it has no row.
    assert wait_for(lambda: lag(broker, "billing", "orders")[0], "the group") == records
    assert lag(broker, "billing", "orders")[1] >= seconds

    evlog("consume", "orders", "-g", "billing", bootstrap=broker.bootstrap, expect=0)
    assert lag(broker, "billing", "orders") == (0, 0)


def test_age_is_that_of_the_first_event_that_waits(broker):
    publish(broker, "t", [1])
    evlog("consume", "t", "-g", "g", bootstrap=broker.bootstrap, expect=0)
    time.sleep(1.5)  # the events that are read get old
    with broker.connect() as conn:
        assert conn.produce("t", batch([b"late"]))[0] == 0
    records, seconds = lag(broker, "g", "t")
    assert records == 1
    assert seconds < 1.4, "the age of the event that was read"
    assert wait_for(lambda: lag(broker, "g", "t")[1] > 1.5, "it gets older")


def test_work_groups_and_their_dead_letters_have_rows(broker):
    publish(broker, "work", [3, 2])
    evlog("work", "work", "-g", "workers", "--set", "start=earliest", "--until-caught-up", "--", "sh", "-c", "exit 65",
          bootstrap=broker.bootstrap)
    assert wait_for(lambda: broker.metric("evlog_dlq_records", topic="work.workers.dlq") == 5, "the dead letters")
    assert lag(broker, "workers", "work") == (0, 0)
    with broker.connect() as conn:
        assert conn.produce("work", batch([b"x"] * 4), partition=1)[0] == 0
    assert lag(broker, "workers", "work")[0] == 4
    assert broker.stop() == 0
    broker.start()
    assert wait_for(lambda: lag(broker, "workers", "work")[0] == 4, "the group after the restart")


def test_rows_have_a_limit(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data", args=[*ARGS, "--metrics-group-rows-max=2"]))
    publish(broker, "t", [4])
    for i in range(4):
        evlog("consume", "t", "-g", f"g{i}", "-n", i + 1, bootstrap=broker.bootstrap, expect=0)
    name = "evlog_group_lag_records"
    rows = [line for line in broker.get("/metrics").splitlines() if line.startswith(name + "{")]
    assert rows == [f'{name}{{group="g0",topic="t"}} 3', f'{name}{{group="g1",topic="t"}} 2']
    assert broker.metric("evlog_group_lag_left_out") == 2
    broker.stop()
    broker.args = [*ARGS, "--metrics-group-rows-max=0"]
    broker.start()
    assert "evlog_group_lag" not in broker.get("/metrics")
    broker.stop()


def test_stages_of_an_append_are_counted(broker):
    publish(broker, "t", [1])
    for stage in ("total", "queue", "check", "store", "answer"):
        assert wait_for(lambda s=stage: broker.metric("evlog_append_duration_seconds_count", stage=s) == 1, stage)
    total = broker.metric("evlog_append_duration_seconds_sum", stage="total")
    parts = [broker.metric("evlog_append_duration_seconds_sum", stage=s) for s in ("queue", "check", "store")]
    assert 0 < sum(parts) <= total * 1.01 + 1e-4


def test_slow_operation_is_a_line_with_fields(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data", args=[*ARGS, "--evlog-slow-operation-ms=100ms"]))
    with broker.connect() as conn:
        assert conn.create_topic("t")[0] == 0
        for _ in range(40):
            assert conn.produce("t", batch([b"x" * 900_000]))[0] == 0
        before = broker.metric("evlog_operations_slow_total")
        correlation = conn.send_fetch("t", max_bytes=1 << 25, partition_bytes=1 << 25)
        time.sleep(0.5)  # more than the buffers of both sides hold waits for the client
        conn.read_fetch(correlation)
        wait_for(lambda: broker.metric("evlog_operations_slow_total") > before, "the slow fetch is counted")
        wait_for(lambda: broker.log_lines("slow operation", '"Fetch"'), "its line")
        fields = json.loads(broker.log_lines("slow operation", '"Fetch"')[0])
        assert fields["text"] == "slow operation" and fields["level"] == "warn"
        assert fields["client_id"] == "test" and fields["principal"] == "User:ANONYMOUS"
        assert fields["answer_bytes"] > 1 << 20 and fields["answer_ms"] >= 100 <= fields["total_ms"]
        assert fields["address"].startswith("127.0.0.1:")
        # A long poll is no slowness.
        lines = len(broker.log_lines("slow operation", '"Fetch"'))
        assert conn.fetch("t", offset=40, max_wait=400)
        assert len(broker.log_lines("slow operation", '"Fetch"')) == lines
    broker.stop()


def test_a_slow_append_names_its_trace(tmp_path):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    broker = start_or_skip(Broker(tmp_path / "data", args=[*ARGS, "--evlog-slow-operation-ms=1ms"]))
    evlog("topics", "create", "t", bootstrap=broker.bootstrap, expect=0)
    words = ["produce", "t", "-X", "compression.type=none", "-H", f"traceparent=00-{trace}-00f067aa0ba902b7-00"]

    def said():
        evlog(*words, stdin="x" * 500_000, bootstrap=broker.bootstrap, expect=0)
        return broker.log_lines("slow operation", '"Produce"')
    fields = json.loads(wait_for(said, "a slow append, of which two a second are said")[0])
    assert fields["trace_id"] == trace
    assert all("trace_id" not in line for line in broker.log_lines("slow operation") if '"Produce"' not in line)
    broker.stop()
