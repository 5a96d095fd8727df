# SPDX-License-Identifier: Apache-2.0
"""One member of a consumer group, in a process of its own so that it can be killed.

usage: member.py FAMILY BOOTSTRAP GROUP TOPIC [strategy=range|cooperative] [instance=ID] [session=MS] [since=MS]

Every client of the compatibility tests that reads in a group takes these arguments and prints, a line each:

    assigned 0,2        the partitions it has now; printed when they are others than before
    revoked             the client was told to give partitions up
    event 2 17 text     an event was read: partition, offset, value

It begins at the earliest offset where nothing is committed, commits what it has printed after each poll, and with
since= begins at a time whatever is committed. SIGTERM makes it leave the group. Those in Java and C (others/) know
strategy=roundrobin too.
"""
import asyncio
import signal
import sys

SESSION_MS = 6000


def say(*words):
    print(*words, flush=True)


class Told:
    """Prints the assignment when it changes."""

    def __init__(self):
        self.last = None

    def assigned(self, partitions):
        now = ",".join(str(number) for number in sorted(partitions))
        if now != self.last:
            say("assigned", now)
            self.last = now


class Stop:
    def __init__(self):
        self.asked = False
        signal.signal(signal.SIGTERM, self.ask)

    def ask(self, *_):
        self.asked = True


def confluent(bootstrap, group, topic, options, stop):
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                "enable.auto.commit": False, "session.timeout.ms": int(options.get("session", SESSION_MS)),
                "heartbeat.interval.ms": 300, "fetch.wait.max.ms": 50, "log_level": 0,
                "partition.assignment.strategy":
                    {"range": "range", "cooperative": "cooperative-sticky"}[options.get("strategy", "range")]}
    if "instance" in options:
        settings["group.instance.id"] = options["instance"]
    consumer, told = Consumer(settings), Told()

    def on_assign(who, partitions):
        if "since" in options:
            asked = [TopicPartition(part.topic, part.partition, int(options["since"])) for part in partitions]
            who.assign(who.offsets_for_times(asked, timeout=60))

    consumer.subscribe([topic], on_assign=on_assign, on_revoke=lambda *_: say("revoked"))
    while not stop.asked:
        messages = [message for message in consumer.consume(100, 0.1) if message.error() is None]
        told.assigned(part.partition for part in consumer.assignment())
        for message in messages:
            say("event", message.partition(), message.offset(), message.value().decode())
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:   # a rebalance came in between: the next owner reads them again
                say("not committed:", error.args[0].name())
    consumer.close()


def kafka_python(bootstrap, group, topic, options, stop):
    import kafka
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    strategy = {"range": RangePartitionAssignor, "cooperative": CooperativeStickyAssignor}[
        options.get("strategy", "range")]
    told, to_seek = Told(), []
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                                   enable_auto_commit=False, heartbeat_interval_ms=300, fetch_max_wait_ms=50,
                                   session_timeout_ms=int(options.get("session", SESSION_MS)),
                                   group_instance_id=options.get("instance"),
                                   partition_assignment_strategy=[strategy])

    class Listener(kafka.ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            if revoked:
                say("revoked")

        def on_partitions_assigned(self, assigned):
            to_seek.extend(assigned)

    consumer.subscribe([topic], listener=Listener())
    while not stop.asked:
        # kafka-python 3.0.12 forgets a JoinGroup that poll()'s time ends in the middle of, and then waits for nothing
        # (on Apache Kafka too): so it has time for one.
        found = consumer.poll(2000)
        if "since" in options and to_seek:
            # Not in the callback, where this client cannot ask the broker; what came meanwhile is not looked at.
            times = consumer.offsets_for_times({part: int(options["since"]) for part in to_seek})
            for part, at in times.items():
                consumer.seek(part, at.offset)
            to_seek.clear()
            continue
        told.assigned(part.partition for part in consumer.assignment())
        for messages in found.values():
            for message in messages:
                say("event", message.partition, message.offset, message.value.decode())
        if found:
            try:
                consumer.commit()
            except kafka.errors.KafkaError as error:
                say("not committed:", type(error).__name__)
    consumer.close()


def aio(bootstrap, group, topic, options, stop):
    import aiokafka
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    told = Told()

    async def run():
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group,
                                             auto_offset_reset="earliest", enable_auto_commit=False,
                                             session_timeout_ms=int(options.get("session", SESSION_MS)),
                                             heartbeat_interval_ms=300, fetch_max_wait_ms=50,
                                             group_instance_id=options.get("instance"),
                                             partition_assignment_strategy=(RangePartitionAssignor,))

        class Listener(aiokafka.ConsumerRebalanceListener):
            async def on_partitions_revoked(self, revoked):
                if revoked:
                    say("revoked")

            async def on_partitions_assigned(self, assigned):
                if "since" in options and assigned:
                    found = await consumer.offsets_for_times({part: int(options["since"]) for part in assigned})
                    for part, at in found.items():
                        if at is not None:
                            consumer.seek(part, at.offset)
                        else:
                            await consumer.seek_to_end(part)

        await consumer.start()
        consumer.subscribe([topic], listener=Listener())
        while not stop.asked:
            found = await consumer.getmany(timeout_ms=100)
            told.assigned(part.partition for part in consumer.assignment())
            for messages in found.values():
                for message in messages:
                    say("event", message.partition, message.offset, message.value.decode())
            if found:
                try:
                    await consumer.commit()
                except aiokafka.errors.KafkaError as error:
                    say("not committed:", type(error).__name__)
        await consumer.stop()

    asyncio.run(run())


FAMILIES = {"confluent": confluent, "python": kafka_python, "aiokafka": aio}

if __name__ == "__main__":
    family, address, group_id, topic_name, *rest = sys.argv[1:]
    FAMILIES[family](address, group_id, topic_name, dict(word.split("=", 1) for word in rest), Stop())
