# SPDX-License-Identifier: Apache-2.0
"""Clients that write to an evlogd which is killed under them, and the ledger of what they were promised.

Every value names its producer, its partition and a number that rises by one for each value of that producer in that
partition. Each producer is one thread and outlives the server: it connects again for as long as the test runs.

What must hold of a producer's values in the log, by `Producer.rule`:

    EXACT      each number once, in order, none left out: an idempotent producer that repeats what was not answered
    REPEATED   the same, but a number and those behind it may come again: retries without idempotence; where evlogd
               refuses some for a while, they may come late
    AT_MOST    in order and never twice; a number that was not acknowledged may be missing: no retries
"""
import os
import random
import threading
import time
import zlib
from collections import deque

from confluent_kafka import Producer as ConfluentProducer

import kafka_wire as wire
from kafka_wire import batch, record

EXACT, REPEATED, AT_MOST = "exact", "repeated", "at most once"
TOPIC = "events"
SHORT = "short"
SLEEPY = "sleepy"
PARTITIONS = 6
DRAIN_SECONDS = 60
FILLER = os.urandom(1 << 16)


def value_of(name, partition, number, length):
    head = b"%s|%d|%d|" % (name.encode(), partition, number)
    at = number * 61 % (len(FILLER) - length)
    return head + FILLER[at:at + length]


def parse(value):
    """(producer, partition, number), when the value is one that was sent."""
    name, partition, number, filler = value.split(b"|", 3)
    name, partition, number = name.decode(), int(partition), int(number)
    assert value == value_of(name, partition, number, len(filler)), "an event has another content"
    return name, partition, number


class Ledger:
    """What producers were promised and readers were shown."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acks = []      # (partition, offset, producer, number), in the order of arrival, until they are verified
        self.ack_count = 0
        self.shown = {}     # (partition, base offset) -> crc of the batch that a reader got
        self.high = {}      # partition -> highest high watermark that a reader saw
        self.topics = {}    # name -> [values] of topics that an administrator made; None when deleted
        self.counts = {}    # name -> partitions of them
        self.doubtful = set()    # names of such topics whose last change was not answered
        self.kept = {}      # offset -> number, acknowledged in the topic that forgets
        self.log_start = 0  # of that topic, as it was answered
        self.problems = []
        self.tolerated = ()    # errors that the test provokes
        self.budget = float("inf")    # acknowledgements up to which producers go on, so that reading keeps up
        self.changes_allowed = threading.Event()    # cleared while topics are compared with the ledger
        self.changes_allowed.set()

    def acknowledged(self, partition, offset, producer, number):
        with self.lock:
            self.acks.append((partition, offset, producer, number))
            self.ack_count += 1

    def spent(self):
        return self.ack_count >= self.budget

    def take_acks(self):
        with self.lock:
            taken, self.acks = self.acks, []
            return taken

    def problem(self, text):
        with self.lock:
            self.problems.append(text)


class Client(threading.Thread):
    """A thread that goes on until stop() and reports what it cannot explain."""

    def __init__(self, name, broker, ledger, seed):
        super().__init__(name=name, daemon=True)
        self.broker = broker
        self.ledger = ledger
        self.random = random.Random(f"{seed}-{name}")
        self.stopping = threading.Event()
        self.sent = [0] * PARTITIONS    # numbers used

    def run(self):
        try:
            self.work()
        except Exception as error:    # shown by the test, in its own thread
            self.ledger.problem(f"{self.name}: {error!r}")

    def stop(self):
        self.stopping.set()

    def work(self):
        raise NotImplementedError

    def connected(self):
        """A connection, as soon as there is a server; None when the test ends."""
        while not self.stopping.is_set():
            try:
                return self.broker.connect(timeout=60)
            except OSError:
                self.stopping.wait(0.01)
        return None


class Librdkafka(Client):
    """confluent-kafka: many events under way, retried for ever."""

    def __init__(self, name, broker, ledger, seed, idempotent, codec="none"):
        super().__init__(name, broker, ledger, seed)
        self.rule = EXACT if idempotent else REPEATED
        self.waiting_max = 400
        self.waiting = 0
        quiet = {"log_level": 0, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 20, "retry.backoff.ms": 5,
                 "retry.backoff.max.ms": 20, "message.timeout.ms": 0, "socket.timeout.ms": 60000}
        self.producer = ConfluentProducer({
            "bootstrap.servers": f"{broker.listen}", "client.id": name, "acks": "all", "linger.ms": 2,
            "compression.type": codec, "enable.idempotence": idempotent, "batch.num.messages": 50,
            "max.in.flight.requests.per.connection": 5 if idempotent else 1, **quiet})

    def work(self):
        while not self.stopping.is_set():
            if self.waiting >= self.waiting_max or self.ledger.spent():
                self.producer.poll(0.05)
                continue
            partition = self.random.randrange(PARTITIONS)
            number = self.sent[partition]
            self.sent[partition] += 1
            length = self.random.choice((10, 200, 1000, 3000, 20000))
            self.waiting += 1
            self.producer.produce(TOPIC, value_of(self.name, partition, number, length), partition=partition,
                                  on_delivery=self.delivered)
            self.producer.poll(0)
        left = self.producer.flush(DRAIN_SECONDS)
        assert left == 0, f"{left} events were never answered"

    def delivered(self, error, message):
        self.waiting -= 1
        name, partition, number = parse(message.value())
        if error is not None:
            self.ledger.problem(f"{name}: number {number} of partition {partition} refused: {error}")
        else:
            self.ledger.acknowledged(partition, message.offset(), name, number)


class RawIdempotent(Client):
    """Five requests under way on one connection; after a disconnect all that were not answered go out again."""
    rule = EXACT
    IN_FLIGHT = 5

    def work(self):
        identity = None
        unanswered = deque()    # (partition, first number, count, batch)
        sequences = [0] * PARTITIONS
        while True:
            conn = self.connected()
            if conn is None and not unanswered:
                return
            if conn is None:
                conn = self.broker.connect(timeout=60)    # the server runs when clients are told to stop
            try:
                with conn:
                    if identity is None:
                        error, given, _ = conn.init_producer_id()
                        if error in self.ledger.tolerated:
                            raise EOFError    # as after a disconnect
                        assert error == 0, f"no producer id: error {error}"
                        identity = given
                    sent = deque(conn.send_produce(TOPIC, data, partition) for partition, _, _, data in unanswered)
                    while unanswered or not self.stopping.is_set():
                        while len(unanswered) < self.IN_FLIGHT and self.may_send():
                            partition = self.random.randrange(PARTITIONS)
                            item = self.next_batch(identity, sequences, partition)
                            unanswered.append((partition, *item))
                            sent.append(conn.send_produce(TOPIC, item[2], partition))
                        if unanswered:
                            self.answered(conn, sent, unanswered)
                        else:
                            self.stopping.wait(0.005)
                    return
            except (OSError, EOFError):
                self.stopping.wait(0.01)

    def may_send(self):
        return not self.stopping.is_set() and not self.ledger.spent()

    def next_batch(self, identity, sequences, partition):
        count = self.random.randint(1, 4)
        first = self.sent[partition]
        values = [value_of(self.name, partition, first + i, self.random.choice((10, 100, 300))) for i in range(count)]
        data = batch(values, producer_id=identity, producer_epoch=0, base_sequence=sequences[partition])
        self.sent[partition] += count
        sequences[partition] += count
        return first, count, data

    def answered(self, conn, sent, unanswered):
        error, base, *_ = conn.read_produce(sent[0])
        partition, first, count, _ = unanswered[0]
        if error in self.ledger.tolerated:
            raise EOFError    # as after a disconnect: all of them again, in order
        assert error == 0, f"numbers {first} to {first + count - 1} of partition {partition}: error {error}"
        sent.popleft()
        unanswered.popleft()
        for i in range(count):
            self.ledger.acknowledged(partition, base + i, self.name, first + i)


class RawOnce(Client):
    """One request at a time, acks 1, never repeated."""
    rule = AT_MOST

    def work(self):
        while not self.stopping.is_set():
            conn = self.connected()
            if conn is None:
                return
            try:
                with conn:
                    while not self.stopping.is_set():
                        if self.ledger.spent():
                            self.stopping.wait(0.005)
                            continue
                        self.send_one(conn)
            except (OSError, EOFError):
                pass

    def send_one(self, conn):
        partition = self.random.randrange(PARTITIONS)
        first = self.sent[partition]
        values = [value_of(self.name, partition, first + i, 50) for i in range(3)]
        self.sent[partition] += len(values)
        records = b"".join(record(v, key=b"k", offset_delta=i, headers=[(b"h", v[:5])]) for i, v in enumerate(values))
        error, base, *_ = conn.produce(TOPIC, batch(values, records=records), partition, acks=1)
        if error in self.ledger.tolerated:
            self.stopping.wait(0.01)
            return
        assert error == 0, f"numbers from {first} of partition {partition}: error {error}"
        for i in range(len(values)):
            self.ledger.acknowledged(partition, base + i, self.name, first + i)


class Sleeper:
    """An idempotent producer that seldom writes: its state must outlive checkpoints that know nothing new of it. Not a
    thread; used between crashes."""
    KEPT = 5

    def __init__(self):
        self.identity = None
        self.sent = []    # (first sequence, batch, offset)
        self.sequence = 0

    def write(self, conn, count):
        if self.identity is None:
            assert conn.create_topic(SLEEPY)[0] == 0
            error, self.identity, _ = conn.init_producer_id()
            assert error == 0
        for _ in range(count):
            data = batch([b"once"] * 3, producer_id=self.identity, producer_epoch=0, base_sequence=self.sequence)
            error, base, *_ = conn.produce(SLEEPY, data)
            assert (error, base) == (0, self.sequence), f"sleeper: error {error}, offset {base}, not {self.sequence}"
            self.sent.append((self.sequence, data, base))
            self.sequence += 3

    def repeat(self, conn):
        """The last five are known for what they are; what is older, or in the future, is refused."""
        for first, data, base in self.sent[-self.KEPT:]:
            error, again, *_ = conn.produce(SLEEPY, data)
            message = f"sleeper: sequence {first} again: error {error}, offset {again}, not {base}"
            assert (error, again) == (0, base), message
        for data in [item[1] for item in self.sent[-self.KEPT - 1:-self.KEPT]] + [
                batch([b"gap"], producer_id=self.identity, producer_epoch=0, base_sequence=self.sequence + 1)]:
            error = conn.produce(SLEEPY, data)[0]
            assert error == wire.OUT_OF_ORDER_SEQUENCE_NUMBER, f"sleeper: error {error}"
        end = conn.list_offset(SLEEPY, -1)[2]
        assert end == self.sequence, f"DOUBLED: {end} events, {self.sequence} were sent"


class Administrator(Client):
    """Makes topics, writes to them, deletes some, makes some again. What is answered must be so for ever."""
    KEPT_MAX = 12

    def work(self):
        self.count = 0
        while not self.stopping.is_set():
            conn = self.connected()
            if conn is None:
                return
            try:
                with conn:
                    while not self.stopping.is_set():
                        if self.ledger.changes_allowed.wait(0.05):
                            self.count += 1
                            self.change(conn)
            except (OSError, EOFError):
                pass

    def change(self, conn):
        topics, doubtful = self.ledger.topics, self.ledger.doubtful
        kept = [name for name, values in topics.items() if values is not None and name not in doubtful]
        if len(kept) >= self.KEPT_MAX or (kept and self.random.random() < 0.3):
            name = self.random.choice(kept)
            doubtful.add(name)
            error = conn.delete_topic(name)
            if error in self.ledger.tolerated:
                return
            assert error == 0, f"deleting {name}: error {error}"
            topics[name] = None
            doubtful.discard(name)
            return
        if kept and self.random.random() < 0.2:
            self.grow(conn, self.random.choice(kept))
            return
        gone = [name for name, values in topics.items() if values is None and name not in doubtful]
        name = self.random.choice(gone) if gone and self.random.random() < 0.3 else f"made-{self.count}"
        doubtful.add(name)
        error, text = conn.create_topic(name, partitions=2, configs=[("segment.bytes", "65536")])
        if error in self.ledger.tolerated:
            return
        assert error == 0, f"making {name}: error {error} {text}"
        topics[name] = []
        self.ledger.counts[name] = 2
        doubtful.discard(name)
        for number in range(self.random.randrange(4)):
            value = b"%s %d" % (name.encode(), number)
            error, base, *_ = conn.produce(name, batch([value]), partition=1)
            if error in self.ledger.tolerated:
                return
            assert (error, base) == (0, number), f"writing to {name}: error {error}, offset {base}"
            topics[name].append(value)


    def grow(self, conn, name):
        count = self.ledger.counts[name] + 1
        self.ledger.doubtful.add(name)
        error = conn.create_partitions(name, count)
        if error in self.ledger.tolerated:
            return
        assert error == 0, f"growing {name} to {count}: error {error}"
        self.ledger.counts[name] = count
        self.ledger.doubtful.discard(name)
        error, base, *_ = conn.produce(name, batch([b"grown"]), partition=count - 1)
        if error not in self.ledger.tolerated:
            assert (error, base) == (0, 0), f"writing to {name}: error {error}, offset {base}"


class Forgetful(Client):
    """Writes to a topic that keeps little and moves its log start itself now and then."""

    def work(self):
        while not self.stopping.is_set():
            conn = self.connected()
            if conn is None:
                return
            try:
                with conn:
                    while not self.stopping.is_set():
                        if self.ledger.spent():
                            self.stopping.wait(0.005)
                            continue
                        self.write(conn)
            except (OSError, EOFError):
                pass

    def write(self, conn):
        number = self.sent[0]
        self.sent[0] += 1
        error, base, *_ = conn.produce(SHORT, batch([value_of(self.name, 0, number, 9000)]))
        if error in self.ledger.tolerated:
            self.stopping.wait(0.01)
            return
        assert error == 0, f"number {number}: error {error}"
        self.ledger.kept[base] = number
        if number % 50 == 49:
            error, low = conn.delete_records(SHORT, base - 10)
            if error in self.ledger.tolerated:
                return
            # Retention may have been there before: then the offset asked is below the log start.
            assert error == 0 or error == wire.OFFSET_OUT_OF_RANGE, f"deleting to {base - 10}: error {error}"
            assert error != 0 or low >= base - 10
            self.ledger.log_start = max(self.ledger.log_start, low)


class Reader(Client):
    """Reads at the end of the log. What it was shown was durable, so it must be there after every crash."""

    def work(self):
        position = [0] * PARTITIONS
        while not self.stopping.is_set():
            conn = self.connected()
            if conn is None:
                return
            try:
                with conn:
                    while not self.stopping.is_set():
                        for partition in range(PARTITIONS):
                            self.read(conn, partition, position)
            except (OSError, EOFError):
                pass

    def read(self, conn, partition, position):
        got = conn.fetch(TOPIC, partition=partition, offset=position[partition], max_wait=2)
        if got["error"] in self.ledger.tolerated:
            self.stopping.wait(0.01)
            return
        assert got["error"] == 0, f"partition {partition} offset {position[partition]}: error {got['error']}"
        before = self.ledger.high.get(partition, 0)
        assert got["high"] >= before, f"partition {partition}: high watermark {got['high']} after {before}"
        self.ledger.high[partition] = got["high"]
        for data in wire.split(got["records"]):
            base, last, _ = wire.batches_in(data)[0]
            assert last < got["high"], f"partition {partition}: offset {last} shown, high watermark {got['high']}"
            self.ledger.shown[partition, base] = zlib.crc32(data)
            position[partition] = last + 1


def all_clients(broker, ledger, seed):
    common = (broker, ledger, seed)
    return [Librdkafka("rd-idem-a", *common, True), Librdkafka("rd-idem-b", *common, True, "gzip"),
            Librdkafka("rd-idem-c", *common, True), Librdkafka("rd-plain-a", *common, False),
            Librdkafka("rd-plain-b", *common, False, "gzip"), RawIdempotent("raw-idem-a", *common),
            RawIdempotent("raw-idem-b", *common), RawOnce("raw-once", *common), Administrator("admin", *common),
            Forgetful("short", *common), Reader("reader", *common)]


def stop_all(clients):
    for client in clients:
        client.stop()
    deadline = time.monotonic() + 2 * DRAIN_SECONDS
    for client in clients:
        client.join(max(0.0, deadline - time.monotonic()))
    return [client.name for client in clients if client.is_alive()]
