# SPDX-License-Identifier: Apache-2.0
"""What a hostile or broken client sends is refused with the right code, counted once, logged with the peer, and closes
no more than its own connection. Another client works through all of it."""
import random
import socket
import struct
import threading

import pytest

import kafka_wire as wire
from conftest import Broker, wait_for
from kafka_layouts import MESSAGES, encode
from kafka_wire import batch, crc32c, frame, header, record, string


@pytest.fixture
def neighbour(broker, topic):
    """Another client that produces and fetches all the time; the test fails when it sees an error."""
    own = topic + "-neighbour"
    stop = threading.Event()
    failures = []
    rounds = []

    def work():
        try:
            with broker.connect() as conn:
                assert conn.create_topic(own)[0] == 0
                while not stop.is_set():
                    error, base = conn.produce(own, batch([b"fine"]))[:2]
                    assert error == 0
                    assert wire.batches_in(conn.fetch(own, offset=base)["records"]) == [(base, base, 1)]
                    rounds.append(base)
        except Exception as error:  # reported below, in the test's own thread
            failures.append(repr(error))

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: rounds or failures, "the neighbour works")
    yield
    before = len(rounds)
    wait_for(lambda: len(rounds) > before or failures, "the neighbour still works")
    stop.set()
    thread.join()
    assert failures == []


def peer_of(conn):
    return "{}:{}".format(*conn.socket.getsockname())


def expect_refusal(broker, payload, reason):
    """Send bytes; the connection must be closed and the reason counted once. returns our address"""
    before = broker.refused(reason)
    with broker.connect() as conn:
        peer = peer_of(conn)
        conn.send_raw(payload)
        assert conn.closed_by_peer()
    wait_for(lambda: broker.refused(reason) == before + 1, f"one refusal counted as {reason}")
    assert len(broker.log_lines(peer)) <= 1
    return peer


@pytest.mark.parametrize("payload,reason,words", [
    (struct.pack(">i", -1), "frame", ()),
    (b"GET / HTTP/1.1\r\n\r\n", "frame", ("HTTP",)),
    (frame(header(9999, 3)), "unsupported_version", ("9999", "version 3")),
    (frame(header(wire.PRODUCE, 7)), "malformed", ("Produce", "version 7")),
], ids=["length", "http", "unknown", "malformed"])
def test_refusals_are_logged_once_with_the_peer(broker, payload, reason, words):
    """Log lines are limited to some each second, so ask until one of ours has its line."""
    def refused_and_logged():
        peer = expect_refusal(broker, payload, reason)
        return broker.log_lines(peer)
    lines = wait_for(refused_and_logged, "a line in the log")
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines[0]


@pytest.mark.parametrize("length", [-1, -2**31, 0, 1, 7, 100 * 2**20 + 1, 2**31 - 1])
def test_frame_lengths_over_the_limits(broker, neighbour, length):
    expect_refusal(broker, struct.pack(">i", length), "frame")


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_other_protocols(broker, neighbour, start):
    expect_refusal(broker, start, "frame")


@pytest.mark.parametrize("key,version", [(4, 0), (0, 2), (0, 99), (1, 3), (3, 14), (3, -1), (9999, 0), (-1, 0),
                                         (0x4002, 0)])
def test_unknown_keys_and_versions(broker, neighbour, key, version):
    expect_refusal(broker, frame(header(key, version) + b"\0" * 16), "unsupported_version")


def test_unknown_version_of_api_versions_is_answered(broker):
    with broker.connect() as conn:
        correlation = conn.send(wire.API_VERSIONS, 77, b"\xff\xff\xff")
        reader = conn.receive(correlation)
        assert reader.unpack("hi") == (wire.UNSUPPORTED_VERSION, 1)
        assert reader.unpack("hhh") == (18, 0, 5)
        reader.end()
        assert conn.metadata([]) == {}, "the connection goes on"


def test_api_versions_lists_produce_from_0(broker):
    with broker.connect() as conn:
        for version in range(6):
            body = compact_client("test", "1.0") if version >= 3 else b""
            if version >= 5:
                body = body[:-1] + b"\0" + struct.pack(">i", -1) + b"\0"
            reader = conn.ask(wire.API_VERSIONS, version, body, flexible=version >= 3, answer_flexible=False)
            assert reader.unpack("h") == 0
            count = reader.uvarint() - 1 if version >= 3 else reader.unpack("i")
            ranges = {}
            for _ in range(count):
                key, low, high = reader.unpack("hhh")
                ranges[key] = low, high
                if version >= 3:
                    assert reader.tags() == {}
            if version >= 1:
                reader.unpack("i")
            if version >= 3:
                assert reader.tags() == {}
            reader.end()
            assert ranges[0] == (0, 13) and ranges[1] == (4, 18) and ranges[18] == (0, 5) and 10 in ranges
            assert 0x4000 in ranges


def compact_client(name, version):
    return wire.compact(name) + wire.compact(version) + b"\0"


def test_bad_client_name_keeps_the_connection(broker):
    with broker.connect() as conn:
        for name in ("", "-x", "a b", "x."):
            reader = conn.ask(wire.API_VERSIONS, 3, compact_client(name, "1"), flexible=True, answer_flexible=False)
            assert reader.unpack("h") == wire.INVALID_REQUEST
        assert conn.metadata([]) == {}


def produce_body(topic, data, length=None, topics=1, partitions=1):
    body = string(None) + struct.pack(">hii", -1, 30000, topics) + string(topic) + struct.pack(">ii", partitions, 0)
    return body + struct.pack(">i", len(data) if length is None else length) + data


def test_truncated_and_lying_bodies(broker, neighbour, topic):
    good = produce_body(topic, batch([b"x"]))
    head = header(wire.PRODUCE, 7)
    for cut in (0, 1, 5, 9, 12, len(good) - 1):
        expect_refusal(broker, frame(head + good[:cut]), "malformed")
    expect_refusal(broker, frame(head + good + b"\0"), "malformed")
    # Counts that the frame cannot hold: refused before anything is allocated for them.
    for keywords in ({"topics": 2**31 - 1}, {"topics": -2}, {"partitions": 2**31 - 1}, {"partitions": 2**30},
                     {"length": 2**31 - 1}, {"length": -2}, {"length": 5}):
        expect_refusal(broker, frame(head + produce_body(topic, batch([b"x"]), **keywords)), "malformed")


def test_hundred_partial_frames_cost_nothing(broker, neighbour):
    """A hundred clients announce 100 MiB each and send a little: memory follows what has come."""
    before = broker.metric("evlog_memory_used_bytes")
    open_ones = [broker.connect() for _ in range(100)]
    for conn in open_ones:
        conn.send_raw(struct.pack(">i", 100 * 2**20) + header(wire.PRODUCE, 7))
    with broker.connect() as conn:
        assert conn.metadata([]) == {}
    assert broker.metric("evlog_memory_used_bytes") - before < 64 * 2**20
    for conn in open_ones:
        conn.close()


def refused_batch(broker, conn, topic, data, error, reason, **keywords):
    before = broker.refused(reason)
    answer = conn.produce(topic, data, **keywords)
    assert answer[:2] == (error, -1)
    assert broker.refused(reason) == before + 1
    return answer


def test_bad_batches(broker, neighbour, topic):
    value = [b"abc"]
    cases = [
        (None, wire.INVALID_RECORD, "invalid_record"),
        (b"", wire.INVALID_RECORD, "invalid_record"),
        (b"\0" * 10, wire.CORRUPT_MESSAGE, "corrupt"),
        (batch(value, magic=0), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, magic=1), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, magic=3), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, crc=1), wire.CORRUPT_MESSAGE, "corrupt"),
        (batch(value)[:-1], wire.CORRUPT_MESSAGE, "corrupt"),
        (batch(value, length=10**6), wire.CORRUPT_MESSAGE, "corrupt"),
        (batch(value, length=-1), wire.CORRUPT_MESSAGE, "corrupt"),
        (batch(value) + batch(value), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, count=2), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, count=0), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, count=-1), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, count=2**31 - 1, last_delta=2**31 - 2), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, last_delta=5), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, attributes=5), wire.UNSUPPORTED_COMPRESSION_TYPE, "other"),
        (batch(value, attributes=7), wire.UNSUPPORTED_COMPRESSION_TYPE, "other"),
        (batch(value, attributes=0x20), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, attributes=8), wire.INVALID_TIMESTAMP, "timestamp"),
        (batch(value, attributes=1), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, producer_id=5, producer_epoch=0, base_sequence=-1), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, records=record(b"a", offset_delta=3)), wire.INVALID_RECORD, "invalid_record"),
        (batch(value * 2, records=record(b"a") + record(b"b", offset_delta=0)), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, records=record(b"a") + b"\0"), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, records=record(b"a")[:-1]), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, records=b"\xff" * 12), wire.INVALID_RECORD, "invalid_record"),
        (batch(value, timestamp=2**62), wire.INVALID_TIMESTAMP, "timestamp"),
        (batch([b"x" * 1_100_000]), wire.MESSAGE_TOO_LARGE, "too_large"),
    ]
    with broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        for data, error, reason in cases:
            refused_batch(broker, conn, topic, data, error, reason)
        before = broker.refused("unknown_topic")
        assert conn.produce(topic, batch(value), partition=1)[0] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.produce(topic, batch(value), partition=-1)[0] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert conn.produce(topic + "-no", batch(value))[0] == wire.UNKNOWN_TOPIC_OR_PARTITION
        assert broker.refused("unknown_topic") == before + 3
        assert conn.produce(topic, batch(value), acks=2)[0] == wire.INVALID_REQUIRED_ACKS
        # The connection has lived through all of it, and nothing was stored.
        assert conn.produce(topic, batch(value))[:2] == (0, 0)


def test_refusals_name_the_record(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        records = record(b"a") + record(b"b", offset_delta=1, timestamp_delta=2**50)
        error, _, _, _, indexes, text = conn.produce(topic, batch([b"a", b"b"], records=records), version=8)
        assert (error, indexes) == (wire.INVALID_TIMESTAMP, [1]) and text


def test_compressed_bombs(broker, neighbour, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        bomb = batch([b"x"], codec=1, records=b"\0" * (200 << 20))
        assert len(bomb) < 1 << 20
        refused_batch(broker, conn, topic, bomb, wire.INVALID_RECORD, "invalid_record")
        assert conn.produce(topic, batch([b"ok"]))[:2] == (0, 0)


def test_acks_0_failures_close_the_connection(broker, topic):
    with broker.connect() as conn:
        conn.create_topic(topic)
        conn.send_produce(topic, batch([b"x"], crc=1), acks=0)
        assert conn.closed_by_peer()


def test_single_bit_flips_never_get_stored(broker, neighbour, topic):
    """Every bit of a batch behind the checksum's start, one at a time: refused, each one."""
    good = batch([b"value"], producer_id=-1)
    with broker.connect() as conn:
        conn.create_topic(topic)
        for position in range(16, len(good)):
            for bit in (0, 7):
                data = bytearray(good)
                data[position] ^= 1 << bit
                assert conn.produce(topic, bytes(data))[0] != 0, f"bit {bit} of byte {position}"
        assert conn.produce(topic, good)[:2] == (0, 0)


def test_random_bytes_in_every_request(broker, neighbour):
    """Frames with a right header and a random body: an answer or a closed connection, never a broker that is gone."""
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    listed = [(0, 3, 13), (1, 4, 18), (2, 1, 11), (3, 0, 13), (10, 0, 6), (18, 0, 5), (19, 2, 7), (20, 1, 6),
              (21, 0, 2), (22, 0, 5), (23, 2, 4), (32, 1, 4), (37, 0, 3), (44, 0, 1), (60, 0, 2), (0x4000, 0, 0),
              (0x4001, 0, 0)]
    for key, low, high in listed:
        for version in range(low, high + 1):
            for _ in range(3):
                body = bytes(rng.choice((0, 0, 0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
                             for _ in range(rng.randrange(60)))
                with broker.connect() as conn:
                    conn.send_raw(frame(header(key, version) + body))
                    conn.socket.shutdown(socket.SHUT_WR)
                    while conn.socket.recv(65536):
                        pass
    assert broker.process.poll() is None


def test_checksum_helper_agrees_with_the_standard():
    assert crc32c(b"123456789") == 0xE3069283


def test_an_answer_a_thousand_times_the_question_is_refused(tmp_path):
    """One request gets half of a shard's memory at most: its neighbours go on, and it all comes back."""
    broker = Broker(tmp_path / "data", shards=1, args=["--memory-max", "64MiB"]).start()
    try:
        with broker.connect() as conn, broker.connect() as other:
            assert conn.create_topic("t", partitions=100)[0] == 0
            many = ([{"ResourceType": 2, "ResourceName": "t"}] * 50_000, [{"Name": "t"}] * 200_000)
            for key, version, body in ((32, 1, {"Resources": many[0]}), (3, 7, {"Topics": many[1]})):
                message = MESSAGES[key, "request"]
                with broker.connect() as greedy:
                    greedy.send(key, version, encode(message.fields, body, version, False))
                    assert greedy.closed_by_peer()
                assert other.metadata(["t"])["t"][1] == 100
                assert conn.produce("t", batch([b"x"]))[0] == 0
            assert broker.refused("memory") == 2
    finally:
        assert broker.stop() == 0
