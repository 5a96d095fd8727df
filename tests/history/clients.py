# SPDX-License-Identifier: Apache-2.0
"""Producers and consumers that write down what they asked for and what they were told, for checker.py.

Each is a thread with clients of its own. A value is a number that one send has; nothing else is in an event.
"""
import itertools
import json
import random
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

import kafka_wire as wire

TOPIC = "history"
PARTITIONS = 4
GROUP = "readers"
DRAIN_SECONDS = 60
QUIET = {"log_level": 0, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50}


class History:
    """Events in the order in which they ended."""

    def __init__(self):
        self.lock = threading.Lock()
        self.events = []
        self.values = itertools.count()
        self.acked = 0
        self.problems = []

    def add(self, process, **event):
        with self.lock:
            self.events.append({"process": process, **event})

    def sent(self, process, partition, value, outcome, offset, once):
        self.acked += outcome == "ok"
        self.add(process, send={"partition": partition, "value": value, "outcome": outcome, "offset": offset,
                                "once": once})

    def write(self, path):
        path.write_text("".join(json.dumps(event) + "\n" for event in self.events), encoding="utf-8")


class Client(threading.Thread):
    def __init__(self, name, broker, history, seed):
        super().__init__(name=name, daemon=True)
        self.broker = broker
        self.history = history
        self.random = random.Random(f"{seed}-{name}")
        self.stopping = threading.Event()

    def run(self):
        try:
            self.work()
        except Exception as error:    # shown by the test, in its own thread
            self.history.problems.append(f"{self.name}: {error!r}")

    def work(self):
        raise NotImplementedError


class Sender(Client):
    """librdkafka; idempotent, or one request at a time that is repeated without it."""

    def __init__(self, name, broker, history, seed, idempotent):
        super().__init__(name, broker, history, seed)
        self.once = idempotent
        self.waiting = 0
        self.producer = Producer({
            "bootstrap.servers": broker.listen, "acks": "all", "linger.ms": 1, "enable.idempotence": idempotent,
            "max.in.flight.requests.per.connection": 5 if idempotent else 1, "message.timeout.ms": 0,
            "retry.backoff.ms": 5, "retry.backoff.max.ms": 50, "batch.num.messages": 20, **QUIET})

    def work(self):
        while not self.stopping.is_set():
            if self.waiting >= 100:
                self.producer.poll(0.05)
                continue
            self.waiting += 1
            self.producer.produce(TOPIC, b"%d" % next(self.history.values),
                                  partition=self.random.randrange(PARTITIONS), on_delivery=self.delivered)
            self.producer.poll(0 if self.random.random() < 0.9 else 0.01)
        assert self.producer.flush(DRAIN_SECONDS) == 0, "events that were never answered"

    def delivered(self, error, message):
        self.waiting -= 1
        outcome = "ok" if error is None else "unknown"
        self.history.sent(self.name, message.partition(), int(message.value()), outcome,
                          message.offset() if error is None else None, self.once)


class OnceSender(Client):
    """One request at a time, never repeated: what is not answered is in doubt, a wrong checksum is refused."""

    def work(self):
        while not self.stopping.is_set():
            try:
                with self.broker.connect(timeout=60) as conn:
                    while not self.stopping.is_set():
                        self.send(conn)
            except OSError:
                self.stopping.wait(0.02)

    def send(self, conn):
        partition, value = self.random.randrange(PARTITIONS), next(self.history.values)
        data = wire.batch([b"%d" % value])
        refused = self.random.random() < 0.1
        outcome, offset = "unknown", None
        try:
            error, base, *_ = conn.produce(TOPIC, data[:-1] + bytes([data[-1] ^ 1]) if refused else data, partition)
            if error == 0:
                outcome, offset = "ok", base
            elif error == wire.CORRUPT_MESSAGE and refused:
                outcome = "fail"
        except EOFError as error:
            raise OSError from error
        finally:
            self.history.sent(self.name, partition, value, outcome, offset, True)
        self.stopping.wait(0.002)


class Reader(Client):
    """Reads every partition from its beginning, outside of groups."""

    def work(self):
        consumer = Consumer({"bootstrap.servers": self.broker.listen, "group.id": "none", "enable.auto.commit": False,
                             "auto.offset.reset": "error", **QUIET})
        self.history.add(self.name, began=time.monotonic_ns(), assign={
            "group": None, "generation": None, "starts": {str(p): 0 for p in range(PARTITIONS)}})
        consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
        while not self.stopping.is_set():
            give_out(self.history, self.name, consumer)
        consumer.close()


class Member(Client):
    """A member of the group that commits what it was given; now and then it leaves and another one comes."""

    def __init__(self, name, broker, history, seed, strategy):
        super().__init__(name, broker, history, seed)
        self.strategy = strategy
        self.lives = 0

    def work(self):
        while not self.stopping.is_set():
            self.lives += 1
            Life(f"{self.name}-{self.lives}", self, self.random.uniform(1, 4)).run()


class Life:
    """One membership."""

    def __init__(self, name, member, seconds):
        self.name = name
        self.history = member.history
        self.stopping = member.stopping
        self.until = time.monotonic() + seconds
        self.cooperative = member.strategy.startswith("cooperative")
        self.position = {}    # partition -> next offset to be given out
        self.consumer = Consumer({
            "bootstrap.servers": member.broker.listen, "group.id": GROUP, "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "partition.assignment.strategy": member.strategy,
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, **QUIET})

    def run(self):
        self.consumer.subscribe([TOPIC], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.revoked)
        while not self.stopping.is_set() and time.monotonic() < self.until:
            for partition, offset in give_out(self.history, self.name, self.consumer).items():
                self.position[partition] = offset + 1
                self.commit(partition, offset + 1)
        self.consumer.close()

    def commit(self, partition, offset):
        outcome = "ok"
        try:
            done = self.consumer.commit(offsets=[TopicPartition(TOPIC, partition, offset)], asynchronous=False)
            outcome = "ok" if done[0].error is None else "unknown"
        except KafkaException:
            outcome = "unknown"
        self.history.add(self.name, ended=time.monotonic_ns(),
                         commit={"group": GROUP, "partition": partition, "offset": offset, "outcome": outcome})

    def assigned(self, consumer, partitions):
        began = time.monotonic_ns()
        wanted = [TopicPartition(TOPIC, p.partition) for p in partitions]
        committed = self.committed(consumer, wanted) if wanted else []
        if committed is None:
            return
        for p in committed:
            p.offset = max(p.offset, 0)
        if not self.cooperative:
            self.position.clear()
        self.position.update({p.partition: p.offset for p in committed})
        self.history.add(self.name, began=began, assign={
            "group": GROUP, "generation": None, "starts": {str(p): o for p, o in self.position.items()}})
        (consumer.incremental_assign if self.cooperative else consumer.assign)(committed)

    def committed(self, consumer, wanted):
        """None when there is no answer while the test lasts."""
        while not self.stopping.is_set():
            try:
                return consumer.committed(wanted, timeout=5)
            except KafkaException:
                self.stopping.wait(0.05)
        return None

    def revoked(self, consumer, partitions):
        gone = {p.partition for p in partitions}
        self.position = {p: o for p, o in self.position.items() if self.cooperative and p not in gone}
        self.history.add(self.name, began=time.monotonic_ns(), assign={
            "group": GROUP, "generation": None, "starts": {str(p): o for p, o in self.position.items()}})
        if self.cooperative:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()


def give_out(history, process, consumer):
    """Take events and write them down; {partition: last offset}"""
    records = [(m.partition(), m.offset(), int(m.value())) for m in consumer.consume(50, timeout=0.1) if not m.error()]
    if records:
        history.add(process, poll=records)
    return {partition: offset for partition, offset, _ in records}


def read_log(broker):
    """{partition: [(offset, value)]} of all there is."""
    log = {}
    with broker.connect() as conn:
        for partition in range(PARTITIONS):
            offset, found = 0, []
            while True:
                got = conn.fetch(TOPIC, partition=partition, offset=offset)
                assert got["error"] == 0, f"partition {partition} offset {offset}: error {got['error']}"
                if offset >= got["high"]:
                    break
                for data in wire.split(got["records"]):
                    for number, _, _, value, _ in wire.records_in(data):
                        found.append((number, int(value)))
                        offset = number + 1
            log[str(partition)] = found
    return log
