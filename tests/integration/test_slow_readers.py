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
MEMORY = 64 * MIB           # of a shard
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


def fetch_all(topic, partitions, max_bytes=ASKED, max_wait=30000):
    """Fetch 11 of all partitions, from their beginning."""
    body = struct.pack(">iiii", -1, max_wait, 1, max_bytes) + b"\0" + struct.pack(">ii", 0, -1)
    body += struct.pack(">i", 1) + wire.string(topic) + struct.pack(">i", partitions)
    for partition in range(partitions):
        body += struct.pack(">iiqqi", partition, -1, 0, -1, FILLED)
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


def filled(conn, topic, partitions):
    assert conn.create_topic(topic, partitions)[0] == 0
    piece = wire.batch([b"x" * (MIB - 200)])
    for partition in range(partitions):
        for _ in range(FILLED // MIB):
            assert conn.produce(topic, piece, partition)[0] == 0


@pytest.fixture(params=backends())
def start(request, tmp_path):
    brokers = []

    def begin(shards, memory):
        brokers.append(start_or_skip(Broker(tmp_path / "data", io=request.param, shards=shards,
                                            args=[f"--memory-max={shards * memory}"])))
        return brokers[-1]

    yield begin
    for broker in brokers:
        assert broker.stop() == 0, "".join(broker.log[-50:])


def published_and_read(conn, topic, partition):
    error, base = conn.produce(topic, wire.batch([b"y" * 100_000]), partition)[:2]
    assert error == 0
    found = conn.fetch(topic, partition=partition, offset=base, max_wait=30000)
    assert found["error"] == 0
    assert wire.batches_in(found["records"])[0] == (base, base, 1)


@pytest.mark.parametrize("shards, partitions", [(2, 8), (4, 1)])
def test_a_crowd_that_reads_nothing_leaves_others_their_memory(start, topic, shards, partitions):
    """The second time connections on four shards want the memory of a single one."""
    broker = start(shards, MEMORY)
    with contextlib.ExitStack() as stack:
        honest = [stack.enter_context(broker.connect()) for _ in range(HONEST)]
        filled(honest[0], topic, partitions)
        before = broker.metric("evlog_memory_used_bytes")
        body, most = fetch_all(topic, partitions), 0
        for i in range(READERS):
            reader = stack.enter_context(From(broker.port, "127.0.0.2"))
            for _ in range(PIPELINED):
                reader.send(wire.FETCH, 11, body)
            published_and_read(honest[i % HONEST], topic, i % partitions)
            most = max(most, broker.metric("evlog_memory_used_bytes"))
        for i in range(ROUNDS * HONEST):
            published_and_read(honest[i % HONEST], topic, i % partitions)
            most = max(most, broker.metric("evlog_memory_used_bytes"))
        for i in range(HONEST):
            with broker.connect() as late:
                published_and_read(late, topic, i % partitions)
        print(f"\nmemory: {before / MIB:.0f} MiB before, {most / MIB:.0f} MiB at most")
        assert broker.metric("evlog_refused_total", reason="memory") == 0
        assert broker.metric("evlog_connections_held_back_total") > 0


def test_one_reader_gets_all_that_it_asks_for(start, topic):
    broker = start(2, 256 * MIB)
    with broker.connect() as conn:
        filled(conn, topic, 8)
        for _ in range(3):    # what it has read does not count any more
            found = records_of(conn.ask(wire.FETCH, 11, fetch_all(topic, 8)))
            assert ASKED - 8 * MIB < found <= ASKED, found    # less a batch that does not fit, of each partition
        assert broker.metric("evlog_connections_held_back_total") == 0
