# SPDX-License-Identifier: Apache-2.0
"""Three families of stock clients behind one face: write(events) and read(partition).

    kcat        Debian's librdkafka (2.0.2 in Debian 12), as a program
    confluent   the current librdkafka, confluent-kafka from PyPI
    python      kafka-python, which has a protocol code of its own

An event is (key, value, headers); read() gives (offset, timestamp, key, value, headers).
"""
import json
import subprocess
import time

import confluent_kafka
import kafka

PATIENCE_SECONDS = 60
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def dotted(settings):
    """librdkafka's names of settings, but for those few that have an underscore themselves."""
    return {name if name == "log_level" else name.replace("_", "."): value for name, value in settings.items()}


class Kcat:
    """Keys and values are text without tabs; headers belong to the whole call, so each event is one call when it has
    some."""
    name = "kcat"

    def __init__(self, broker):
        self.broker = broker

    def run(self, *args, text=""):
        done = subprocess.run(["kcat", "-b", self.broker.bootstrap, *args], input=text, capture_output=True,
                              encoding="utf-8", errors="surrogateescape", timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 0, f"kcat {args}: {done.stderr}"
        return done.stdout

    def write(self, topic, events, codec="none", partition=0, **settings):
        flags = ["-P", "-t", topic, "-p", str(partition), "-z", codec, "-K", "\t", "-Z"]
        for name, value in settings.items():
            flags += ["-X", f"{name.replace('_', '.')}={value}"]
        plain = [e for e in events if not e[2]]
        for group in ([plain] if plain else []) + [[e] for e in events if e[2]]:
            headers = [part for name, value in group[0][2] for part in
                       ("-H", name if value is None else f"{name}={value.decode()}")]
            lines = "".join(f"{(k or b'').decode()}\t{(v or b'').decode()}\n" for k, v, _ in group)
            self.run(*flags, *headers, text=lines)

    def read(self, topic, partition=0, count=None, start="beginning"):
        flags = ["-C", "-t", topic, "-p", str(partition), "-o", str(start), "-e", "-q", "-J", "-X",
                 "fetch.wait.max.ms=10"]
        lines = self.run(*flags, *(["-c", str(count)] if count else [])).splitlines()
        return [self.event(json.loads(line)) for line in lines]

    @staticmethod
    def bytes_of(text):
        return None if text is None else text.encode("utf-8", "surrogateescape")

    @staticmethod
    def event(line):
        names = line.get("headers") or []
        headers = [(n, Kcat.bytes_of(v)) for n, v in zip(names[::2], names[1::2])]
        key, value = (Kcat.bytes_of(line.get(part)) for part in ("key", "payload"))
        return line["offset"], line["ts"], key, value, headers


class Confluent:
    name = "confluent"

    def __init__(self, broker):
        self.settings = {"bootstrap.servers": broker.bootstrap, "log_level": 0}

    def write(self, topic, events, codec="none", partition=0, timestamps=None, **settings):
        failed = []
        producer = confluent_kafka.Producer({**self.settings, "compression.type": codec, "linger.ms": 20,
                                             **dotted(settings)})
        for number, (key, value, headers) in enumerate(events):
            stamp = {"timestamp": timestamps[number]} if timestamps else {}
            producer.produce(topic, value, key, partition=partition, headers=headers or None,
                             on_delivery=lambda error, _: error and failed.append(error), **stamp)
            producer.poll(0)
        assert producer.flush(PATIENCE_SECONDS) == 0
        if failed:
            raise confluent_kafka.KafkaException(failed[0])

    def consumer(self, **settings):
        return confluent_kafka.Consumer({**self.settings, "group.id": "unused", "enable.auto.commit": False,
                                         "auto.offset.reset": "error", "enable.partition.eof": True,
                                         "fetch.wait.max.ms": 10,
                                         **dotted(settings)})

    def read(self, topic, partition=0, start=confluent_kafka.OFFSET_BEGINNING, **settings):
        consumer = self.consumer(**settings)
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, start)])
        out = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while time.monotonic() < deadline:
                for message in consumer.consume(1000, 0.05):
                    if message.error() is None:
                        out.append((message.offset(), message.timestamp()[1], message.key(), message.value(),
                                    message.headers() or []))
                    elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                        return out
                    else:
                        raise confluent_kafka.KafkaException(message.error())
        finally:
            consumer.close()
        raise AssertionError(f"the end of {topic} was not reached, after {len(out)} events")


class Python:
    name = "python"

    def __init__(self, broker):
        self.bootstrap = broker.bootstrap

    def write(self, topic, events, codec="none", partition=0, timestamps=None, **settings):
        producer = kafka.KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=20,
                                       compression_type=None if codec == "none" else codec, **settings)
        try:
            sent = [producer.send(topic, value, key, headers=headers, partition=partition,
                                  timestamp_ms=timestamps[number] if timestamps else None)
                    for number, (key, value, headers) in enumerate(events)]
            for future in sent:
                future.get(PATIENCE_SECONDS)
        finally:
            producer.close()

    def consumer(self, topic, partition, **settings):
        consumer = kafka.KafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="none", **settings)
        target = kafka.TopicPartition(topic, partition)
        consumer.assign([target])
        return consumer, target

    def read(self, topic, partition=0, start=None, **settings):
        consumer, target = self.consumer(topic, partition, **settings)
        end = consumer.end_offsets([target])[target]
        consumer.seek(target, consumer.beginning_offsets([target])[target] if start is None else start)
        out = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while consumer.position(target) < end and time.monotonic() < deadline:
            for message in consumer.poll(500).get(target, []):
                out.append((message.offset, message.timestamp, message.key, message.value, list(message.headers)))
        reached = consumer.position(target)
        consumer.close()
        assert reached >= end, f"the end of {topic} was not reached, after {len(out)} events"
        return out


ALL = {kind.name: kind for kind in (Kcat, Confluent, Python)}
