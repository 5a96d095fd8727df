# SPDX-License-Identifier: Apache-2.0
"""libevlog and librdkafka in one consumer group.

Goal: members of both clients agree on a strategy, share all partitions, each partition with one reader, whoever leads;
and nothing is lost or, without a crash, read twice while members of both come and go. Method: evlog consume -g and
confluent-kafka on one topic, numbers published all the while.
"""
import signal
import subprocess
import threading

import pytest
from confluent_kafka import Consumer

from evlogd import BIN, Broker, start_or_skip, wait_for

PARTITIONS = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), args=["--group-initial-rebalance-delay-ms=0"]))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


class Ours:
    def __init__(self, bootstrap, topic, group, strategy):
        self.values = []
        self.held_set = set()
        self.process = subprocess.Popen(
            [str(BIN / "evlog"), "consume", topic, "-g", group, "--follow", "-v", "-b", bootstrap,
             "-X", f"partition.assignment.strategy={strategy}", "-X", "heartbeat.interval.ms=100"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._values, daemon=True).start()
        threading.Thread(target=self._talk, daemon=True).start()

    def _values(self):
        for line in self.process.stdout:
            self.values.append(int(line))

    def _talk(self):
        for line in self.process.stderr:
            words = line.split()
            if words[0] in ("assigned", "revoked", "lost"):
                partition = int(words[1].rpartition("[")[2].rstrip("]"))
                (self.held_set.add if words[0] == "assigned" else self.held_set.discard)(partition)

    def held(self):
        return set(self.held_set)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) == 130


class Theirs:
    def __init__(self, bootstrap, topic, group, strategy):
        self.values = []
        self.held_set = set()
        self.stopping = False
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                                  "partition.assignment.strategy": strategy, "heartbeat.interval.ms": 100})
        self.consumer.subscribe([topic])
        self.thread = threading.Thread(target=self._poll, daemon=True)
        self.thread.start()

    def _poll(self):
        while not self.stopping:
            event = self.consumer.poll(0.1)
            self.held_set = {p.partition for p in self.consumer.assignment()}    # blocks in another thread
            if event is not None and event.error() is None:
                self.values.append(int(event.value()))
        self.consumer.close()

    def held(self):
        return set(self.held_set)

    def stop(self):
        self.stopping = True
        self.thread.join()


def shared(*members):
    """Every partition has exactly one of the members."""
    held = [member.held() for member in members]
    return sum(map(len, held)) == PARTITIONS and set().union(*held) == set(range(PARTITIONS)) and all(held)


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
@pytest.mark.parametrize("order", [(Ours, Theirs, Ours), (Theirs, Ours, Theirs)],
                         ids=["evlog-leads", "librdkafka-leads"])
def test_members_of_both_clients_share_a_group(server, strategy, order):
    name = f"mixed-{strategy}-{order[0].__name__.lower()}"
    evlog = [str(BIN / "evlog"), "-b", server.bootstrap]
    subprocess.run([*evlog, "topics", "create", name, "-p", str(PARTITIONS), "-q"], check=True)
    publisher = subprocess.Popen([*evlog, "produce", name, "-K:", "-q", "-X", "linger.ms=0"], stdin=subprocess.PIPE,
                                 text=True)
    count = 0

    def publish(more):
        nonlocal count
        for _ in range(more):
            publisher.stdin.write(f"{count}:{count}\n")
            count += 1
        publisher.stdin.flush()

    members = []
    for kind in order:
        publish(200)
        members.append(kind(server.bootstrap, name, name, strategy))
        wait_for(lambda: shared(*members), "every partition to have one member")
        publish(200)
    members[0].stop()
    wait_for(lambda: shared(*members[1:]), "the others to take over")
    publish(200)
    publisher.stdin.close()
    assert publisher.wait(timeout=60) == 0
    wait_for(lambda: {v for m in members for v in list(m.values)} == set(range(count)), "every number")
    values = sorted(v for member in members for v in member.values)
    for member in members[1:]:
        member.stop()
    assert values == list(range(count))
