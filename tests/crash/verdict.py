# SPDX-License-Identifier: Apache-2.0
"""Compares what a started evlogd holds with the ledger of what was promised. Every finding is an AssertionError."""
import zlib
from collections import defaultdict

import kafka_wire as wire
from workload import AT_MOST, EXACT, PARTITIONS, SHORT, SLEEPY, TOPIC, parse


class Verdict:
    """Reads on from where the last comparison ended, so that many crashes cost no more than one long log."""

    def __init__(self, ledger, clients):
        self.ledger = ledger
        self.rules = {client.name: client.rule for client in clients if hasattr(client, "rule")}
        self.content = [[] for _ in range(PARTITIONS)]    # (producer, number) by offset
        self.batches = [{} for _ in range(PARTITIONS)]    # base offset -> crc
        self.last = defaultdict(lambda: -1)               # (producer, partition) -> highest number seen
        self.owed = defaultdict(set)                      # (producer, partition) -> numbers that later ones overtook
        self.first_epoch = None

    def compare(self, conn):
        """Everything that was promised before the server went down must be there. returns events read"""
        promised = self.ledger.take_acks()
        seen = dict(self.ledger.high)
        shown = dict(self.ledger.shown)
        count = 0
        for partition in range(PARTITIONS):
            count += self.read_on(conn, partition, seen.get(partition, 0))
        for (partition, base), crc in shown.items():
            found = self.batches[partition].get(base)
            assert found == crc, f"partition {partition} offset {base}: a reader was shown another batch than is there"
            self.ledger.shown.pop((partition, base), None)
        for partition, offset, producer, number in promised:
            held = self.content[partition]
            assert 0 <= offset < len(held), \
                f"LOST: {producer} number {number} acknowledged at offset {offset} of partition {partition}, " \
                f"which ends at {len(held)}"
            assert held[offset] == (producer, number), \
                f"LOST: {producer} number {number} acknowledged at offset {offset} of partition {partition}, where " \
                f"{held[offset]} lies"
        return count

    def read_on(self, conn, partition, high_seen):
        held = self.content[partition]
        error, _, end, _ = conn.list_offset(TOPIC, -1, partition)
        assert error == 0
        assert end >= high_seen, f"partition {partition}: a reader saw high watermark {high_seen}, now it is {end}"
        assert end >= len(held), f"partition {partition}: it ended at {len(held)}, now at {end}"
        begun = len(held)
        while len(held) < end:
            got = conn.fetch(TOPIC, partition=partition, offset=len(held), max_wait=0)
            assert got["error"] == 0, f"partition {partition} offset {len(held)}: error {got['error']}"
            assert got["records"], f"partition {partition} offset {len(held)}: nothing, though it ends at {end}"
            for data in wire.split(got["records"]):
                self.take(partition, data)
        return len(held) - begun

    def take(self, partition, data):
        held = self.content[partition]
        base, last, _ = wire.batches_in(data)[0]
        assert base == len(held), f"partition {partition}: offset {base} where {len(held)} was due"
        self.batches[partition][base] = zlib.crc32(data)
        for offset, _, _, value, _ in wire.records_in(data):
            assert offset == len(held)
            producer, meant, number = parse(value)
            assert meant == partition, f"{producer} number {number} was sent to partition {meant}, lies in {partition}"
            self.judge(producer, partition, number, offset)
            held.append((producer, number))
        message = f"partition {partition}: batch {base} ends at {last}, its records at {len(held) - 1}"
        assert len(held) == last + 1, message

    def judge(self, producer, partition, number, offset):
        rule, last = self.rules[producer], self.last[producer, partition]
        where = f"{producer} number {number} at offset {offset} of partition {partition}, behind number {last}"
        if rule == EXACT:
            assert number > last, f"DOUBLED or out of order: {where}"
            assert number == last + 1, f"LEFT OUT: {where}"
        elif rule == AT_MOST:
            assert number > last, f"DOUBLED or out of order: {where}"
        else:
            # librdkafka sends what was refused again, and perhaps behind later events: they must come, in the end
            assert number <= last + 1 or self.ledger.tolerated, f"LEFT OUT: {where}"
            self.owed[producer, partition].update(range(last + 1, number))
            self.owed[producer, partition].discard(number)
        self.last[producer, partition] = max(last, number)

    def compare_topics(self, conn):
        """Topics are what the administrator was told, as far as it was told."""
        listed = conn.metadata(None)
        known, doubtful = dict(self.ledger.topics), set(self.ledger.doubtful)
        for name, values in known.items():
            if name in doubtful:
                continue
            if values is None:
                assert name not in listed, f"topic {name} was deleted and is back"
                continue
            wanted = (0, self.ledger.counts[name], False)
            assert listed.get(name) == wanted, f"topic {name} was made as {wanted} and is now {listed.get(name)}"
            got = conn.fetch(name, partition=1)
            assert got["error"] == 0, f"topic {name}: error {got['error']}"
            found = [r[3] for data in wire.split(got["records"]) for r in wire.records_in(data)]
            assert found[:len(values)] == values, f"topic {name} holds {found}, {values} were acknowledged"
            assert len(found) <= len(values) + 1, f"topic {name} holds {found}, {values} were sent, and one more"
        extra = set(listed) - set(known) - doubtful - {TOPIC, SHORT, SLEEPY}
        assert not extra, f"topics that nobody has made: {extra}"
        self.resolve(listed, known, doubtful)

    def resolve(self, listed, known, doubtful):
        """What was in doubt is now known, and may not change again."""
        for name in doubtful:
            self.ledger.topics[name] = None
            if name in listed:
                self.ledger.doubtful.add(name)    # what it holds is not known: it is left alone from here on
            else:
                self.ledger.doubtful.discard(name)

    def compare_short(self, conn):
        """The topic that forgets: its log start never goes back, what lies above it is dense and what was
        acknowledged."""
        kept, start_told = dict(self.ledger.kept), self.ledger.log_start
        error, _, start, _ = conn.list_offset(SHORT, -2)
        assert error == 0 and start >= start_told, f"{SHORT}: log start {start_told} was answered, now it is {start}"
        error, _, end, _ = conn.list_offset(SHORT, -1)
        assert error == 0 and start <= end and max(kept, default=-1) < end, f"{SHORT}: {start} to {end}"
        offset, last = start, -1
        while offset < end:
            got = conn.fetch(SHORT, offset=offset)
            if got["error"] == wire.OFFSET_OUT_OF_RANGE:    # retention was faster than we
                offset = conn.list_offset(SHORT, -2)[2]
                continue
            assert got["error"] == 0 and got["records"], f"{SHORT} offset {offset}: error {got['error']}"
            for data in wire.split(got["records"]):
                (found, _, _, value, _), = wire.records_in(data)
                number = parse(value)[2]
                assert found == offset and number > last, f"{SHORT} offset {offset}: {found}, {number} behind {last}"
                assert kept.get(offset, number) == number, f"{SHORT} offset {offset}: {number}, not {kept[offset]}"
                offset, last = offset + 1, number
        for offset in [offset for offset in kept if offset < start]:
            del self.ledger.kept[offset]
        self.ledger.log_start = start

    def compare_all(self, conn, clients):
        """At the end, with all producers done: nothing but what was sent, and of it what each rule asks for."""
        self.compare(conn)
        for client in clients:
            if self.rules.get(client.name) in (None, AT_MOST):
                continue
            for partition, sent in enumerate(client.sent):
                last = self.last[client.name, partition]
                message = f"{client.name} sent {sent} to partition {partition}, the last is number {last}"
                assert last == sent - 1, message
                owed = sorted(self.owed[client.name, partition])
                assert not owed, f"LEFT OUT: {client.name}, partition {partition}, numbers {owed[:5]} ..."
