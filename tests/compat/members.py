# SPDX-License-Identifier: Apache-2.0
"""What every client must be able to do in a consumer group, whatever it is written in: members are processes that are
started, asked to leave and killed (their lines: member.py). Each function is one test of one family on one broker."""
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import confluent_kafka
from confluent_kafka import TopicPartition

from evlogd import Broker, flags, wait_for
from kafka_layouts import ask

PARTITIONS = 4
PATIENCE_SECONDS = 60
AT_ONCE = 3
# The shortest session timeout that all of these clients accept.
SESSION_MS = 6000
PYTHON = [sys.executable, str(pathlib.Path(__file__).resolve().parent / "member.py")]

# name; command before BOOTSTRAP GROUP TOPIC; what the client can do besides reading in a group
Family = namedtuple("Family", "name command abilities")
PYTHON_FAMILIES = [
    Family("confluent", [*PYTHON, "confluent"], {"static", "cooperative", "since"}),
    Family("python", [*PYTHON, "python"], {"static", "cooperative", "since"}),
    Family("aiokafka", [*PYTHON, "aiokafka"], {"static", "since"}),
]


class Member:
    def __init__(self, family, broker, group, topic, **options):
        words = [f"{name}={value}" for name, value in {"session": SESSION_MS, **options}.items()]
        self.process = subprocess.Popen([*family.command, broker.bootstrap, group, topic, *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
                                        env={**os.environ, "PYTHONUNBUFFERED": "1"})
        self.lines, self.errors = [], []
        self.readers = [threading.Thread(target=self.collect, args=pair, daemon=True) for pair in (
            (self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def collect(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def assignments(self):
        """Each set of partitions that it had, in order."""
        return [frozenset(int(number) for number in line.split()[1].split(",")) if " " in line.strip() else frozenset()
                for line in list(self.lines) if line.startswith("assigned")]

    def has(self):
        found = self.assignments()
        return found[-1] if found else frozenset()

    def events(self):
        """[(partition, offset, value)]"""
        return [(int(part), int(offset), value) for part, offset, value in
                (line.split(" ", 3)[1:] for line in list(self.lines) if line.startswith("event "))]

    def count(self, word):
        return sum(line.startswith(word) for line in list(self.lines))

    def wait(self, condition, what):
        try:
            return wait_for(lambda: self.process.poll() is not None or condition(), what, PATIENCE_SECONDS) and \
                self.alive()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def alive(self):
        assert self.process.poll() is None, f"the member ended with {self.process.returncode}\n{self.story()}"
        return True

    def story(self):
        return "\n".join([line for line in self.lines if not line.startswith("event")][-20:] + self.errors[-20:])

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        self.end()
        assert self.process.returncode == 0, f"leaving ended with {self.process.returncode}\n{self.story()}"

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the member did not end\n{self.story()}") from None
        for reader in self.readers:
            reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


class Crew:
    """The members of one test; none outlives it."""

    def __init__(self, family, broker, group, topic):
        self.made = []
        self.start_args = family, broker, group, topic

    def __enter__(self):
        return self

    def start(self, family=None, **options):
        """family: another one than that of the crew."""
        own, *others = self.start_args
        self.made.append(Member(family or own, *others, **options))
        return self.made[-1]

    def __exit__(self, *_):
        for member in self.made:
            if member.process.poll() is None:
                member.kill()

    def values(self):
        return {value for member in self.made for _, _, value in member.events()}


class Writer:
    """Numbers its events and spreads them over the partitions."""

    def __init__(self, broker, topic):
        self.topic, self.sent = topic, 0
        with broker.connect() as conn:
            assert conn.create_topic(topic, PARTITIONS)[0] == 0
        self.producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def write(self, count, first_ms=None):
        """Their values. first_ms: time of the first event; each other is a second later."""
        values = [f"v{self.sent + number}" for number in range(count)]
        for number, value in enumerate(values):
            stamp = {} if first_ms is None else {"timestamp": first_ms + 1000 * number}
            self.producer.produce(self.topic, value, partition=(self.sent + number) % PARTITIONS, **stamp)
        assert self.producer.flush(PATIENCE_SECONDS) == 0
        self.sent += count
        return values


def committed(broker, group, topic):
    """{partition: offset} as another client sees it, -1 for none."""
    admin = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "log_level": 0})
    try:
        found = admin.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=60)
        return {part.partition: max(part.offset, -1) for part in found}
    finally:
        admin.close()


def committed_count(broker, group, topic):
    """Events before the commits of all partitions."""
    return sum(max(offset, 0) for offset in committed(broker, group, topic).values())


ALL = frozenset(range(PARTITIONS))


def shares_and_survives(family, broker, name):
    """Two members share the partitions; one is killed and the other takes over; nothing is left out. Who comes after
    them begins behind what was committed."""
    writer = Writer(broker, name)
    with Crew(family, broker, name, name) as crew:
        writer.write(100)
        first = crew.start()
        first.wait(lambda: first.has() == ALL and len(crew.values()) == 100, "all partitions and their events")
        second = crew.start()
        second.wait(lambda: first.has() | second.has() == ALL and len(first.has()) == len(second.has()) == 2,
                    "each member has half")
        writer.write(100)
        first.wait(lambda: len(crew.values()) == 200, "events of both members")
        assert {part for part, _, _ in second.events()}, "the second member read nothing"
        second.kill()
        writer.write(100)
        first.wait(lambda: first.has() == ALL and len(crew.values()) == 300, "what the killed one had")
        wait_for(lambda: committed_count(broker, name, name) == 300, "the commits", PATIENCE_SECONDS)
        first.leave()
        third = crew.start()
        third.wait(lambda: third.has() == ALL, "the group begins again")
        new = writer.write(20)
        third.wait(lambda: len(third.events()) >= 20, "the new events")
        assert sorted(value for _, _, value in third.events()) == sorted(new), "read from elsewhere than the commits"
        third.leave()


def comes_and_goes(family, broker, name):
    """A member that leaves well is replaced at once, long before its session timeout."""
    writer = Writer(broker, name)
    with Crew(family, broker, name, name) as crew:
        first = crew.start(session=30000)
        first.wait(lambda: first.has() == ALL, "all partitions")
        second = crew.start(session=30000)
        second.wait(lambda: len(first.has()) == len(second.has()) == 2, "each member has half")
        began = time.monotonic()
        second.leave()
        first.wait(lambda: first.has() == ALL, "the partitions of the one that left")
        assert time.monotonic() - began < 20, "it waited for the session timeout"
        writer.write(40)
        first.wait(lambda: len(crew.values()) == 40, "the events")
        first.leave()


def is_static(family, broker, name):
    """A static member that is killed and comes back has its partitions again, and the other one notices nothing."""
    writer = Writer(broker, name)
    with Crew(family, broker, name, name) as crew:
        first = crew.start(instance="one", session=30000)
        first.wait(lambda: first.has() == ALL, "all partitions")
        second = crew.start(instance="two", session=30000)
        second.wait(lambda: len(first.has()) == len(second.has()) == 2, "each member has half")
        before, revoked, had = len(first.assignments()), first.count("revoked"), second.has()
        second.kill()
        again = crew.start(instance="two", session=30000)
        again.wait(lambda: again.has() == had, "its partitions")
        writer.write(80)
        first.wait(lambda: len(crew.values()) == 80, "events of both members")
        assert (len(first.assignments()), first.count("revoked")) == (before, revoked), "there was a rebalance"


def is_cooperative(family, broker, name):
    """When a second member comes, the first keeps what it need not give up all the while."""
    writer = Writer(broker, name)
    with Crew(family, broker, name, name) as crew:
        first = crew.start(strategy="cooperative")
        first.wait(lambda: first.has() == ALL, "all partitions")
        second = crew.start(strategy="cooperative")
        second.wait(lambda: len(first.has()) == len(second.has()) == 2 and not first.has() & second.has(),
                    "each member has half")
        kept = first.has()
        had = first.assignments()
        assert all(kept <= partitions for partitions in had[had.index(ALL):]), f"it lost what it kept: {had}"
        writer.write(80)
        first.wait(lambda: len(crew.values()) == 80, "events of both members")
        second.leave()
        first.wait(lambda: first.has() == ALL, "all partitions again")
        first.leave()


def begins_at_a_time(family, broker, name):
    """Positions found by time take precedence over what is committed."""
    writer = Writer(broker, name)
    first_ms = 1_700_000_000_000
    values = writer.write(100, first_ms)
    with Crew(family, broker, name, name) as crew:
        first = crew.start()
        first.wait(lambda: len(crew.values()) == 100, "all events")
        wait_for(lambda: committed_count(broker, name, name) == 100, "the commits", PATIENCE_SECONDS)
        first.leave()
        second = crew.start(since=first_ms + 60 * 1000)
        second.wait(lambda: len(second.events()) >= 40, "the events from that time on")
        assert sorted(value for _, _, value in second.events()) == sorted(values[60:])
        second.leave()


JOIN_GROUP, LEAVE_GROUP = 11, 13
COORDINATOR_LOAD_IN_PROGRESS = 14
SILENT_MS = 300_000


def fill_memory(conn):
    """Groups of one silent member each, until not even a small one finds memory; {group: member id}"""
    made = {}
    for size in (16384, 1024, 16):
        code = 0
        while code == 0:
            name = f"filler-{len(made)}"
            answer = ask(conn, JOIN_GROUP, 3, {
                "GroupId": name, "SessionTimeoutMs": SILENT_MS, "RebalanceTimeoutMs": SILENT_MS, "MemberId": "",
                "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"x" * size}]})
            code = answer["ErrorCode"]
            if code == 0:
                made[name] = answer["MemberId"]
        assert code == COORDINATOR_LOAD_IN_PROGRESS
    return made


def gets_in_when_there_is_memory(family, folder, name):
    """A member that evlogd has no memory for asks again and again, and gets in as soon as others have left."""
    args = flags(SETTINGS) + ["--group-memory-max=64KiB"]
    broker = Broker(folder, shards=1, args=args).start()

    def refused_count():
        return broker.metric("evlog_group_refused_total", reason="memory")

    try:
        writer = Writer(broker, name)
        values = writer.write(40)
        with broker.connect() as conn, Crew(family, broker, name, name) as crew:
            made = fill_memory(conn)
            before = refused_count()
            member = crew.start()
            member.wait(lambda: refused_count() >= before + 2, "its joins to be refused")
            assert not member.has()
            for group, member_id in made.items():
                assert ask(conn, LEAVE_GROUP, 2, {"GroupId": group, "MemberId": member_id})["ErrorCode"] == 0
            member.wait(lambda: member.has() == ALL and crew.values() == set(values), "all partitions and their events")
            wait_for(lambda: committed_count(broker, name, name) == 40, "the commits", PATIENCE_SECONDS)
            member.leave()
    finally:
        assert broker.stop() == 0, "".join(broker.log[-50:])


SCENARIOS = {None: [shares_and_survives, comes_and_goes], "static": [is_static], "cooperative": [is_cooperative],
             "since": [begins_at_a_time]}


def matrix(families):
    """[(family, scenario)] that each of them can do."""
    return [(family, scenario) for family in families for ability, scenarios in SCENARIOS.items()
            if ability is None or ability in family.abilities for scenario in scenarios]


def pair_name(pair):
    return f"{pair[0].name}-{pair[1].__name__}"


class Outcomes:
    """Runs scenarios a few at a time, for each of them mostly waits; check() tells how one of them ended."""

    def __init__(self, broker, pairs, prefix=""):
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.futures = {pair_name(pair): self.pool.submit(pair[1], pair[0], broker, prefix + pair_name(pair))
                        for pair in pairs}

    def __enter__(self):
        return self

    def check(self, pair):
        self.futures[pair_name(pair)].result()

    def __exit__(self, *_):
        self.pool.shutdown(cancel_futures=True)


# Of either broker: it does not wait for members that may come.
SETTINGS = {"group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 4}
