# SPDX-License-Identifier: Apache-2.0
"""Compacted topics on a real evlogd: old events of a key go, the last one stays at its offset, over restarts and kills,
and the second reader finds the files right."""
import random
import shutil
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from cli_kit import evlog
from conftest import ROOT, Broker, backends, start_or_skip, wait_for
from kafka_wire import batch, batches_in, record, records_in

ARGS = ["--log-retention-check-interval-ms=200", "--memory-max=256MiB"]
COMPACTED = [("cleanup.policy", "compact"), ("segment.bytes", "65536"), ("min.cleanable.dirty.ratio", "0.01"),
             ("max.compaction.lag.ms", "1000")]
INVALID_RECORD, POLICY_VIOLATION = 87, 44


@pytest.fixture(params=backends())
def quick_broker(request, tmp_path):
    """A broker that looks for work often."""
    instance = start_or_skip(Broker(tmp_path / "data", io=request.param, args=ARGS))
    yield instance
    if instance.process is not None:
        instance.stop()


def keyed(pairs):
    """A batch of (key, value) pairs."""
    records = b"".join(record(value, key=key, offset_delta=i) for i, (key, value) in enumerate(pairs))
    return batch([value for _, value in pairs], records=records)


def read_all(conn, topic):
    """(offset, key, value) of each record, as a consumer that begins at the beginning gets them."""
    out, offset = [], 0
    while True:
        answer = conn.fetch(topic, offset=offset)
        assert answer["error"] == 0
        if offset >= answer["high"]:
            return out
        assert answer["records"], f"nothing at {offset}, though the log goes on to {answer['high']}"
        data = answer["records"]
        while data:
            length = int.from_bytes(data[8:12], "big") + 12
            out += [(at, key, value) for at, _, key, value, _ in records_in(data[:length]) if at >= offset]
            _, last, _ = batches_in(data[:length])[0]
            data = data[length:]
        offset = last + 1


def latest(records):
    return {key: (at, value) for at, key, value in records}


def verify_files(data, copy):
    shutil.copytree(data, copy)
    done = subprocess.run([sys.executable, "-B", str(ROOT / "tests/golden/read_evlog.py"), "--verify", str(copy)],
                          stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_what_compacted_topics_refuse(quick_broker, topic):
    with quick_broker.connect() as conn:
        assert conn.create_topic(topic, configs=[("cleanup.policy", "compact")])[0] == 0
        bad = keyed([(b"a", b"1"), (None, b"2")])
        error, *_, indexes, text = conn.produce(topic, bad, version=8)
        assert (error, indexes) == (INVALID_RECORD, [1]) and "key" in text
        assert conn.produce(topic, keyed([(b"a", b"1"), (b"b", None)]))[0] == 0
        assert conn.delete_records(topic, 1)[0] == POLICY_VIOLATION
        assert read_all(conn, topic) == [(0, b"a", b"1"), (1, b"b", None)]


def test_old_events_of_a_key_go_and_the_last_stays(quick_broker, topic):
    broker = quick_broker
    with broker.connect() as conn:
        assert conn.create_topic(topic, configs=COMPACTED)[0] == 0
    producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": "lz4", "linger.ms": 5})
    wanted = {}
    for i in range(8000):
        key, value = b"key-%d" % (i * i % 331), b"value-%d-" % i + b"x" * (i % 200)
        producer.produce(topic, key=key, value=value, partition=0)
        wanted[key] = (i, value)
        producer.poll(0)
    assert producer.flush(30) == 0

    def compacted():
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused", "enable.auto.commit": False,
                             "enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        out, ended = [], False
        while not ended:
            for message in consumer.consume(2000, 0.2):
                if message.error() is not None:
                    ended = True
                else:
                    out.append((message.offset(), message.key(), message.value()))
        consumer.close()
        assert latest(out) == wanted
        assert [at for at, _, _ in out] == sorted({at for at, _, _ in out})
        return len(out) == len(wanted)
    wait_for(compacted, "every key has one event")
    assert broker.metric("evlog_compactions_total") > 0
    assert broker.metric("evlog_compaction_dropped_records_total") >= 8000 - len(wanted)
    for end in (broker.stop, broker.kill):
        end()
        broker.start()
        wait_for(compacted, "the same after a start")
    shown = evlog("consume", topic, "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert [event["offset"] for event in shown] == sorted(at for at, _ in wanted.values())
    _, events, keys, _ = evlog("replay", topic, "--fold", "latest", bootstrap=broker.bootstrap, expect=0).digest()
    assert events == keys == len(wanted)


def test_tombstones_go_after_their_time(quick_broker, topic):
    with quick_broker.connect() as conn:
        assert conn.create_topic(topic, configs=[*COMPACTED, ("delete.retention.ms", "4000")])[0] == 0
        assert conn.produce(topic, keyed([(b"a", b"1"), (b"b", b"1")]))[0] == 0
        assert conn.produce(topic, keyed([(b"a", None), (b"c", b"1")]))[0] == 0
        wait_for(lambda: read_all(conn, topic) == [(1, b"b", b"1"), (2, b"a", None), (3, b"c", b"1")],
                 "the older one has gone")
        since = time.monotonic()
        wait_for(lambda: read_all(conn, topic) == [(1, b"b", b"1"), (3, b"c", b"1")], "the tombstone has gone")
        assert time.monotonic() - since > 2


def test_kills_while_compaction_runs(quick_broker, topic, tmp_path):
    """A producer that overwrites keys, and kills at any moment: the last acknowledged event of each key, or a later
    one, is there, and nothing comes back after a tombstone that was acknowledged."""
    broker = quick_broker
    seed = time.monotonic_ns()
    print("seed", seed)
    random.seed(seed)
    with broker.connect() as conn:
        assert conn.create_topic(topic, configs=COMPACTED)[0] == 0
    acked, sent, number = {}, {}, 0
    for turn in range(2):
        ended = threading.Event()
        threading.Timer(1.0 + random.random() * 2, lambda: (ended.set(), broker.kill())).start()
        try:
            with broker.connect() as conn:
                while not ended.is_set():
                    pairs = []
                    for _ in range(20):
                        key = b"k%d" % random.randrange(200)
                        pairs.append((key, None if number % 7 == 0 else b"%d-" % number + b"y" * 400))
                        sent.setdefault(key, []).append(pairs[-1][1])
                        number += 1
                    error, base, *_ = conn.produce(topic, keyed(pairs))
                    assert error == 0
                    for i, (key, value) in enumerate(pairs):
                        acked[key] = (base + i, value)
        except (OSError, EOFError, AssertionError):
            if not ended.is_set():
                raise
        wait_for(lambda: broker.process is None, "killed")
        verify_files(broker.data, tmp_path / f"copy-{turn}")
        broker.start()
        with broker.connect() as conn:
            found = latest(read_all(conn, topic))
        for key, (at, value) in acked.items():
            where, what = found.get(key, (None, None))
            if where is None:
                assert value is None
            else:
                assert where > at or (where, what) == (at, value), (key, at, where)
                assert what in sent[key]
    assert broker.metric("evlog_shards_stopped") == 0
