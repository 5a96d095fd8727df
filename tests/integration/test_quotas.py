# SPDX-License-Identifier: Apache-2.0
"""Quotas: set by the command line and by a stock client's messages, kept over a restart, and kept to: a noisy
neighbour is slowed to its rate and nobody else is; clients are told for how long."""
import json
import socket
import threading
import time

import confluent_kafka
import pytest
from kafka.protocol.admin import client_quotas

from cli_kit import evlog
from conftest import Broker, start_or_skip

RATE = 200_000


@pytest.fixture
def two_shards(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data", shards=2))
    yield broker
    if broker.process is not None:
        assert broker.stop() == 0, "".join(broker.log[-50:])


def run(broker, *args, **options):
    return evlog(*args, bootstrap=f"127.0.0.1:{broker.port}", **options)


def quotas(broker):
    return [json.loads(line) for line in run(broker, "quota", "ls", "--json", expect=0).out.splitlines()]


class Stock:
    """kafka-python's encoding of a request and of its answer, over a plain socket."""

    def __init__(self, broker):
        self.conn = socket.create_connection(("127.0.0.1", broker.port), timeout=60)

    def ask(self, request, response, version):
        request.with_header(correlation_id=7, client_id="stock")
        self.conn.sendall(request.encode(version=version, header=True, framed=True))
        return response.decode(self.read(int.from_bytes(self.read(4), "big")), version=version, header=True)

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.conn.recv(count - len(data))
            assert piece
            data += piece
        return data


def producer(broker, client_id, throttles, **settings):
    return confluent_kafka.Producer({"bootstrap.servers": f"127.0.0.1:{broker.port}", "client.id": client_id,
                                     "linger.ms": 0, "acks": 1, "compression.type": "none", "log_level": 0,
                                     "throttle_cb": throttles.append, **settings})


def test_limits_are_set_listed_kept_over_a_restart_and_removed(two_shards):
    broker = two_shards
    assert quotas(broker) == []
    run(broker, "quota", "set", "--user", "alice", "producer_byte_rate=10MiB", "request_percentage=12.5", expect=0)
    run(broker, "quota", "set", "--default-user", "--client-id", "app", "consumer_byte_rate=1000", expect=0)
    run(broker, "quota", "set", "--default-ip", "connection_creation_rate=1000", expect=0)
    want = [{"user": "alice", "key": "producer_byte_rate", "value": 10485760},
            {"user": "alice", "key": "request_percentage", "value": 12.5},
            {"user": None, "client_id": "app", "key": "consumer_byte_rate", "value": 1000},
            {"ip": None, "key": "connection_creation_rate", "value": 1000}]
    assert quotas(broker) == want
    table = run(broker, "quota", "ls", expect=0).out
    assert "10485760" in table and "(default)" in table
    assert broker.stop() == 0
    broker.start()
    assert sorted(map(str, quotas(broker))) == sorted(map(str, want))
    run(broker, "quota", "rm", "--user", "alice", "request_percentage", expect=0)
    assert len(quotas(broker)) == 3
    run(broker, "quota", "rm", "--default-ip", expect=0)
    run(broker, "quota", "rm", "--default-ip", expect=5)
    assert len(quotas(broker)) == 2


@pytest.mark.parametrize("version", [0, 1])
def test_a_stock_client_sets_and_reads_the_same(two_shards, version):
    alter, describe = client_quotas.AlterClientQuotasRequest, client_quotas.DescribeClientQuotasRequest
    stock = Stock(two_shards)

    def entity(kind, name):
        return alter.EntryData.EntityData(entity_type=kind, entity_name=name)

    def op(key, value, remove=False):
        return alter.EntryData.OpData(key=key, value=value, remove=remove)

    request = alter(entries=[alter.EntryData(entity=[entity("user", "alice"), entity("client-id", None)],
                                             ops=[op("consumer_byte_rate", 4096.0)]),
                             alter.EntryData(entity=[entity("group", "g")], ops=[op("consumer_byte_rate", 1.0)])],
                    validate_only=False)
    answer = stock.ask(request, client_quotas.AlterClientQuotasResponse, version)
    assert [entry.error_code for entry in answer.entries] == [0, 42]
    assert "user, client-id and ip" in answer.entries[1].error_message
    component = describe.ComponentData(entity_type="client-id", match_type=1, match=None)
    answer = stock.ask(describe(components=[component], strict=False), client_quotas.DescribeClientQuotasResponse,
                       version)
    assert answer.error_code == 0 and len(answer.entries) == 1
    names = {part.entity_type: part.entity_name for part in answer.entries[0].entity}
    assert names == {"user": "alice", "client-id": None}
    assert [(value.key, value.value) for value in answer.entries[0].values] == [("consumer_byte_rate", 4096.0)]
    assert quotas(two_shards)[0]["value"] == 4096


@pytest.mark.parametrize("args, said", [
    (["producer_byte_rate=1"], "say whom the limit is for"),
    (["--user", "a", "--ip", "1.2.3.4", "producer_byte_rate=1"], "say whom the limit is for"),
    (["--user", "a", "producer_byte_rate"], "is no NAME=VALUE"),
    (["--user", "a", "request_percentage=0"], "a number above 0"),
    (["--user", "a", "request_percentage=x"], "a number above 0"),
    (["--user", "a", "producer_byte_rate=many"], "producer_byte_rate"),
], ids=range(6))
def test_what_cannot_be_is_told_before_anything_is_sent(two_shards, args, said):
    assert said in run(two_shards, "quota", "set", *args, expect=2).err


def test_the_broker_says_what_is_wrong_with_a_limit(two_shards):
    alter = client_quotas.AlterClientQuotasRequest
    stock = Stock(two_shards)
    for kind, name, key, said in (
            ("user", "a", "no_such", "limits are producer_byte_rate"),
            ("user", "a", "connection_creation_rate", "connection_creation_rate is a limit of an ip"),
            ("ip", "host.example", "connection_creation_rate", "an IPv4 or IPv6 address, not the name of a host")):
        entity = alter.EntryData.EntityData(entity_type=kind, entity_name=name)
        op = alter.EntryData.OpData(key=key, value=1.0, remove=False)
        request = alter(entries=[alter.EntryData(entity=[entity], ops=[op])], validate_only=False)
        answer = stock.ask(request, client_quotas.AlterClientQuotasResponse, 1).entries[0]
        assert answer.error_code == 42 and said in answer.error_message
    assert quotas(two_shards) == []


def publish_for(broker, client_id, seconds, counts, throttles, size=10_000, until_throttled=False):
    client = producer(broker, client_id, throttles)
    end = time.monotonic() + seconds
    longest, sent = 0.0, 0
    while time.monotonic() < end:
        began = time.monotonic()
        done = []
        client.produce("noise", b"x" * size, partition=0, on_delivery=lambda err, _: done.append(err))
        while not done and time.monotonic() < end + 10:
            client.poll(0.05)
            if until_throttled and throttles:    # it may have to stay away for minutes, with an event to send
                return
        assert done and done[0] is None, done
        sent += size
        longest = max(longest, time.monotonic() - began)
    counts[client_id] = (sent, longest)


def test_a_noisy_neighbour_is_slowed_to_its_rate_and_nobody_else(two_shards):
    broker = two_shards
    run(broker, "topics", "create", "noise", expect=0)
    run(broker, "quota", "set", "--client-id", "noisy", f"producer_byte_rate={RATE}", expect=0)
    counts, noisy, quiet = {}, [], []
    seconds = 6
    threads = [threading.Thread(target=publish_for, args=(broker, "noisy", seconds, counts, noisy)),
               threading.Thread(target=publish_for, args=(broker, "quiet", seconds, counts, quiet))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent, _ = counts["noisy"]
    assert RATE * (seconds - 2) * 0.8 < sent < RATE * (seconds + 2) * 1.2, counts
    assert counts["quiet"][0] > 3 * sent and counts["quiet"][1] < 1.0, counts
    assert noisy and all(event.throttle_time > 0 for event in noisy)
    assert not quiet
    assert broker.metric('evlog_throttled_total{quota="produce"}') > 0
    assert broker.metric('evlog_throttled_bytes_total{quota="produce"}') > 0


def test_connections_of_a_client_on_all_shards_share_one_budget(two_shards):
    """Eight producers of one client id, over both shards, get together what one would."""
    broker = two_shards
    run(broker, "topics", "create", "noise", expect=0)
    run(broker, "quota", "set", "--default-client-id", f"producer_byte_rate={RATE}", expect=0)
    counts, threads, seconds = [{} for _ in range(8)], [], 6
    for count in counts:
        threads.append(threading.Thread(target=publish_for, args=(broker, "many", seconds, count, [])))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(count["many"][0] for count in counts)
    assert RATE * (seconds - 2) * 0.8 < total < RATE * (seconds + 4) * 1.2, total


def test_a_consumer_reads_at_its_rate(two_shards):
    broker = two_shards
    run(broker, "topics", "create", "noise", expect=0)
    client = producer(broker, "filler", [], **{"batch.size": 20_000})
    for _ in range(150):
        client.produce("noise", b"y" * 10_000, partition=0)
    client.flush(30)
    run(broker, "quota", "set", "--client-id", "reader", f"consumer_byte_rate={RATE}", expect=0)
    throttles = []
    consumer = confluent_kafka.Consumer({"bootstrap.servers": f"127.0.0.1:{broker.port}", "group.id": "g",
                                         "client.id": "reader", "throttle_cb": throttles.append, "log_level": 0})
    consumer.assign([confluent_kafka.TopicPartition("noise", 0, 0)])
    began, got = time.monotonic(), 0
    while got < 150 and time.monotonic() - began < 40:
        message = consumer.poll(1)
        got += message is not None and message.error() is None
    took = time.monotonic() - began
    consumer.close()
    assert got == 150
    assert took > 1_500_000 / RATE - 3, took
    assert throttles


def test_an_ip_is_an_address_in_one_way_of_writing(two_shards):
    broker = two_shards
    alter, describe = client_quotas.AlterClientQuotasRequest, client_quotas.DescribeClientQuotasRequest
    stock = Stock(broker)

    def remove(name):
        entity = alter.EntryData.EntityData(entity_type="ip", entity_name=name)
        op = alter.EntryData.OpData(key="connection_creation_rate", value=0.0, remove=True)
        request = alter(entries=[alter.EntryData(entity=[entity], ops=[op])], validate_only=False)
        answer = stock.ask(request, client_quotas.AlterClientQuotasResponse, 1).entries[0]
        assert (answer.error_code, answer.entity[0].entity_name) == (0, name)

    for same, written in (("0:0:0:0:0:0:0:01", "::1"), ("::ffff:10.1.2.3", "10.1.2.3")):
        run(broker, "quota", "set", "--ip", same, "connection_creation_rate=50", expect=0)
        assert [line["ip"] for line in quotas(broker)] == [written]
        component = describe.ComponentData(entity_type="ip", match_type=0, match=same)
        assert len(stock.ask(describe(components=[component], strict=True),
                             client_quotas.DescribeClientQuotasResponse, 1).entries) == 1
        remove(same)
        assert quotas(broker) == []
    remove("host.example")


def test_addresses_that_connect_too_often_are_refused(two_shards):
    broker = two_shards
    run(broker, "quota", "set", "--ip", "127.0.0.1", "connection_creation_rate=5", expect=0)
    open_ones, closed = [], 0
    for _ in range(30):
        conn = socket.create_connection(("127.0.0.1", broker.port), timeout=5)
        conn.settimeout(0.05)
        try:
            closed += conn.recv(1) == b""
        except TimeoutError:
            open_ones.append(conn)
        except ConnectionResetError:
            closed += 1
    assert closed > 5 and len(open_ones) >= 5, (closed, len(open_ones))
    assert broker.metric('evlog_throttled_total{quota="connection"}') >= closed
    time.sleep(1.2)
    run(broker, "quota", "rm", "--ip", "127.0.0.1", expect=0)


def test_the_time_of_threads_is_a_limit_too(two_shards):
    broker = two_shards
    run(broker, "topics", "create", "noise", expect=0)
    run(broker, "quota", "set", "--client-id", "busy", "request_percentage=0.01", expect=0)
    counts, throttles = {}, []
    for _ in range(6):  # as long as the machine does much else, threads have little time to use up
        if not throttles:
            publish_for(broker, "busy", 4, counts, throttles, size=200_000, until_throttled=True)
    assert throttles and broker.metric('evlog_throttled_total{quota="request"}') > 0
    run(broker, "quota", "rm", "--client-id", "busy", expect=0)
    free, none = {}, []
    publish_for(broker, "free", 2, free, none)
    assert not none
