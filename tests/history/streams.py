# SPDX-License-Identifier: Apache-2.0
"""Clients of streams that write down what they asked for and what they were told, for porcupine/main.go.

A history is one JSON object a line, in the order in which they ended; times are nanoseconds of one monotonic clock:

    {"process": "a", "began": 1, "ended": 2, "append": {"key": "s0-1", "expected": 3, "values": [7, 8], "ids": true,
     "outcome": "ok", "version": 4}}
        values   one an event, each given out once; a retry has those of what it repeats
        ids      the events' ids are their values
        outcome  ok, duplicate, refused; unknown: no answer that says whether it was appended
        version  ok, duplicate: that of the first event; refused: that the stream is at; null: not told
    {"process": "r", "began": 5, "ended": 6, "read": {"key": "s0-1", "values": [1, 2]}}    the whole stream
"""
import threading
import time
from collections import Counter

from confluent_kafka import KafkaError, Producer

from clients import DRAIN_SECONDS, QUIET, Client, History
from evlog_wire import ask

TOPIC = "streams"
STREAM_APPEND, STREAM_READ = 0x4010, 0x4011
NONE, ANY, EXISTS = -1, -2, -4
WORDS = {NONE: "none", ANY: "any", EXISTS: "exists"}
DUPLICATE_RESOURCE, INVALID_UPDATE_VERSION = 92, 95
IN_DOUBT = {6, 7, 56}    # stopping, timed out, storage: nobody knows
STREAMS = 3              # that are written to at a time
LIFE = 120               # appends to a stream until another one takes its place: long histories take long to check


class StreamHistory(History):
    def __init__(self):
        super().__init__()
        self.turns = [0] * STREAMS
        self.appends = Counter()    # by key
        self.guess = {}             # key -> version that somebody was told last

    def pick(self, number):
        with self.lock:
            key = f"s{number}-{self.turns[number]}"
            self.appends[key] += 1
            self.turns[number] += self.appends[key] >= LIFE
            return key

    def learn(self, key, version):
        self.guess[key] = max(self.guess.get(key, -1), version)


class Writer(Client):
    """Draws appends; what is not answered and has ids is asked for again."""

    again = None
    last = None    # that had ids

    def draw(self):
        if self.last is not None and self.random.random() < 0.06:
            if self.random.random() < 0.7:
                return self.last    # as if its answer had been lost
            return {**self.last, "values": [next(self.history.values), *self.last["values"]]}    # half of it is there
        key = self.history.pick(self.random.randrange(STREAMS))
        guess = self.history.guess.get(key, NONE)
        expected = self.random.choice([guess, guess, guess, ANY, ANY, NONE, EXISTS, guess + 1])
        values = [next(self.history.values) for _ in range(self.random.choice([1, 1, 2, 3]))]
        return {"key": key, "expected": expected, "values": values, "ids": self.random.random() < 0.6}

    def asked(self, asked, began, outcome, version, count_known):
        op = {**asked, "outcome": outcome, "version": version}
        if version is not None:
            self.history.learn(asked["key"], version + (count_known if outcome != "refused" else 0))
        self.again = asked if outcome == "unknown" and asked["ids"] else None
        self.last = asked if asked["ids"] else self.last
        self.history.acked += outcome == "ok"
        self.history.add(self.name, began=began, ended=time.monotonic_ns(), append=op)


class RequestWriter(Writer):
    """evlog's own request, one at a time."""

    def work(self):
        while not self.stopping.is_set():
            try:
                with self.broker.connect(timeout=60) as conn:
                    while not self.stopping.is_set():
                        self.append(conn)
            except OSError:
                self.stopping.wait(0.02)

    def append(self, conn):
        asked = self.again or self.draw()
        events = [{"data": b"%d" % value, "type": "Counted", **({"id": str(value)} if asked["ids"] else {})}
                  for value in asked["values"]]
        outcome, version = "unknown", None
        began = time.monotonic_ns()
        try:
            answer = ask(conn, STREAM_APPEND, {"topic": TOPIC, "appends": [
                {"key": asked["key"].encode(), "expected": asked["expected"], "events": events}]})
            outcome, version = self.outcome(answer)
        except EOFError as error:
            raise OSError from error
        finally:
            self.asked(asked, began, outcome, version, len(events) - 1)
        self.stopping.wait(0.001)

    @staticmethod
    def outcome(answer):
        error = answer["error"]
        if error == 0:
            result = answer["results"][0]
            return "duplicate" if result["duplicate"] else "ok", result["first_version"]
        if error == INVALID_UPDATE_VERSION:
            return "refused", answer["conflicts"][0]["current_version"]
        if error == DUPLICATE_RESOURCE:
            return "refused", None
        assert error in IN_DOUBT, f"error {error}: {answer['message']}"
        return "unknown", None


class HeaderWriter(Writer):
    """librdkafka with the header that says the expected version; it repeats by itself, until it has an answer."""

    def work(self):
        producer = Producer({
            "bootstrap.servers": self.broker.listen, "acks": "all", "linger.ms": 0, "enable.idempotence": True,
            "partitioner": "murmur2_random", "message.timeout.ms": 0, "retry.backoff.ms": 5,
            "retry.backoff.max.ms": 50, **QUIET})
        while not self.stopping.is_set():
            self.append(producer)
        assert producer.flush(DRAIN_SECONDS) == 0

    def append(self, producer):
        asked = self.draw()
        asked = {**asked, "values": asked["values"][:1]}
        done = threading.Event()
        answer = []

        def delivered(error, _):
            answer.append(error)
            done.set()
        expected = WORDS.get(asked["expected"], str(asked["expected"]))
        headers = [("evlog-expected-version", expected.encode()), ("ce_type", b"Counted")]
        if asked["ids"]:
            headers.append(("ce_id", str(asked["values"][0]).encode()))
        began = time.monotonic_ns()
        producer.produce(TOPIC, b"%d" % asked["values"][0], key=asked["key"].encode(), headers=headers,
                         on_delivery=delivered)
        deadline = time.monotonic() + DRAIN_SECONDS
        while not done.is_set() and time.monotonic() < deadline:
            producer.poll(0.05)
        assert done.is_set(), "an event that was never answered"
        refused = answer[0] is not None and answer[0].code() == KafkaError.INVALID_RECORD
        self.asked(asked, began, "ok" if answer[0] is None else "refused" if refused else "unknown", None, 0)


class StreamReader(Client):
    def work(self):
        while not self.stopping.is_set():
            try:
                with self.broker.connect(timeout=60) as conn:
                    while not self.stopping.is_set():
                        number = self.random.randrange(STREAMS)
                        read_stream(conn, self.history, self.name, f"s{number}-{self.history.turns[number]}")
                        self.stopping.wait(0.005)
            except (OSError, EOFError):
                self.stopping.wait(0.02)


def read_stream(conn, history, process, key):
    """Note the whole stream; an answer that says that it cannot be told now is left out."""
    began = time.monotonic_ns()
    answer = ask(conn, STREAM_READ, {"topic": TOPIC, "key": key.encode(), "max_events": 4096, "max_bytes": 1 << 24})
    if answer["error"] in IN_DOUBT:
        return
    assert answer["error"] == 0, answer["message"]
    assert not answer["more"]
    assert [event["version"] for event in answer["events"]] == list(range(len(answer["events"])))
    history.add(process, began=began, ended=time.monotonic_ns(),
                read={"key": key, "values": [int(event["value"]) for event in answer["events"]]})
