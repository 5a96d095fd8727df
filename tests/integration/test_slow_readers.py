# SPDX-License-Identifier: Apache-2.0
"""Readers that do not read keep what is theirs: a crowd of one principal asks for much at once, takes nothing of it,
and neither its open connections nor new ones take a shard's memory from anybody else."""
import contextlib
import socket
import struct

import pytest

import kafka_wire as wire
from conftest import Broker, backends, start_or_skip, wait_for

MIB = 1 << 20
SHARDS = 2
MEMORY = 128 * MIB
PARTITIONS = 8
FILLED = 8 * MIB            # of each partition
READERS = 50
PIPELINED = 30              # requests of one reader
ASKED = 50 * MIB            # by each of those
HONEST = 12                 # connections, so that each shard has some
ROUNDS = 25


class From(wire.Connection):
    """A connection from another address, whose kernel takes little of what is not read."""

    def __init__(self, port, address, timeout=60):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(timeout)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.correlation = 0


def fetch_all(topic, offset=0, max_bytes=ASKED, max_wait=30000, partition_bytes=8 * MIB):
    """Fetch 11 of all partitions."""
    body = struct.pack(">iiii", -1, max_wait, 1, max_bytes) + b"\0" + struct.pack(">ii", 0, -1)
    body += struct.pack(">i", 1) + wire.string(topic) + struct.pack(">i", PARTITIONS)
    for partition in range(PARTITIONS):
        body += struct.pack(">iiqqi", partition, -1, offset, -1, partition_bytes)
    return body + struct.pack(">i", 0) + wire.string("")


def records_of(reader):
    """Bytes of records in the answer to fetch_all()."""
    _, error, _ = reader.unpack("ihi")
    assert error == 0
    total = 0
    assert reader.unpack("i") == 1
    reader.string()
    for _ in range(reader.unpack("i")):
        _, error, *_ = reader.unpack("ihqqqii")
        assert error == 0
        total += len(reader.bytes() or b"")
    return total


def filled(conn, topic):
    assert conn.create_topic(topic, PARTITIONS)[0] == 0
    piece = wire.batch([b"x" * (MIB - 200)])
    for partition in range(PARTITIONS):
        for _ in range(FILLED // MIB):
            assert conn.produce(topic, piece, partition)[0] == 0


@pytest.fixture(params=backends())
def small(request, tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data", io=request.param, shards=SHARDS,
                                  args=[f"--memory-max={MEMORY}"]))
    yield broker
    if broker.process is not None:
        broker.stop()


def published_and_read(conn, topic, partition):
    error, base = conn.produce(topic, wire.batch([b"y" * 100_000]), partition)[:2]
    assert error == 0
    found = conn.fetch(topic, partition=partition, offset=base, max_wait=30000)
    assert found["error"] == 0
    assert wire.batches_in(found["records"])[0] == (base, base, 1)


def test_a_crowd_that_reads_nothing_leaves_others_their_memory(small, topic):
    with contextlib.ExitStack() as stack:
        honest = [stack.enter_context(small.connect()) for _ in range(HONEST)]
        filled(honest[0], topic)
        before = small.metric("evlog_memory_used_bytes")
        body, most = fetch_all(topic), 0
        for i in range(READERS):
            reader = stack.enter_context(From(small.port, "127.0.0.2"))
            for _ in range(PIPELINED):
                reader.send(wire.FETCH, 11, body)
            published_and_read(honest[i % HONEST], topic, i % PARTITIONS)
            most = max(most, small.metric("evlog_memory_used_bytes"))
        for i in range(ROUNDS * HONEST):
            published_and_read(honest[i % HONEST], topic, i % PARTITIONS)
            most = max(most, small.metric("evlog_memory_used_bytes"))
        for i in range(HONEST):
            with small.connect() as late:
                published_and_read(late, topic, i % PARTITIONS)
        print(f"\nmemory: {before / MIB:.0f} MiB before, {most / MIB:.0f} MiB at most")
        assert small.metric("evlog_refused_total", reason="memory") == 0
        assert small.metric("evlog_connections_held_back_total") > 0
