# SPDX-License-Identifier: Apache-2.0
"""Goal: whatever happens to evlogd, the history of its producers and consumers is a good one.

Method: clients write down what they do and are told while evlogd is killed, made to stand still, or left without disk;
in the end the whole log is read, and checker.py looks for anomalies. A bad history is kept as a file.
"""
import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter

import pytest
from confluent_kafka import Consumer, TopicPartition

from checker import check
from clients import (GROUP, PARTITIONS, TOPIC, History, Member, OnceSender, Reader, Sender, read_log)
from evlogd import Broker, backends, quiet_port, stand_still, start_or_skip, wait_for
from mount import MIB, mounted

SECONDS = float(os.environ.get("HISTORY_SECONDS", "6"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
IMAGE_MIB = 160
PATIENCE_SECONDS = 90


class Run:
    def __init__(self, data, io, strategy, args=()):
        self.strategy = strategy
        self.random = random.Random(f"{SEED}-{io}")
        self.history = History()
        self.broker = Broker(data, io=io, listen=f"127.0.0.1:{quiet_port()}", args=[
            "--memory-max", "128MiB", "--group-initial-rebalance-delay-ms", "100ms", *args])
        self.producers = self.consumers = []

    def begin(self):
        start_or_skip(self.broker)
        with self.broker.connect() as conn:
            assert conn.create_topic(TOPIC, PARTITIONS, [("segment.bytes", "65536")])[0] == 0
        common = (self.broker, self.history, SEED)
        self.producers = [Sender("idempotent-a", *common, True), Sender("idempotent-b", *common, True),
                          Sender("plain", *common, False), OnceSender("once", *common)]
        self.consumers = [Reader("reader", *common),
                          *(Member(f"member-{name}", *common, self.strategy) for name in "abc")]
        for client in self.producers + self.consumers:
            client.start()

    def until_acks(self, count):
        target = self.history.acked + count
        wait_for(lambda: self.history.acked >= target or self.history.problems, f"{count} acknowledgements",
                 PATIENCE_SECONDS)

    def group_caught_up(self, ends):
        asked = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
        asker = Consumer({"bootstrap.servers": self.broker.listen, "group.id": GROUP, "log_level": 0})
        try:
            wait_for(lambda: [p.offset for p in asker.committed(asked, timeout=10)] == ends or self.history.problems,
                     "the group has read to the end", PATIENCE_SECONDS)
        finally:
            asker.close()

    def end(self):
        """Producers stop, the group reads to the end, and the history is complete."""
        self.stop(self.producers)
        log = read_log(self.broker)
        self.group_caught_up([max((o for o, _ in log[str(p)]), default=-1) + 1 for p in range(PARTITIONS)])
        self.stop(self.consumers)
        self.history.add("end", log=log)
        self.history.add("end", caught_up=GROUP)
        assert self.broker.stop() == 0, "".join(self.broker.log[-50:])

    def stop(self, clients):
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(PATIENCE_SECONDS)
        assert not self.history.problems, "\n".join(self.history.problems)
        assert not [client.name for client in clients if client.is_alive()], "clients that do not come to an end"

    def verify(self, folder):
        counts = Counter(kind for event in self.history.events for kind in ("send", "poll", "commit", "assign")
                         if kind in event)
        assert counts["assign"] > 0, f"nobody was ever given a partition: {counts}"
        assert all(counts[kind] > 3 for kind in ("send", "poll", "commit")), f"next to nothing was done: {counts}"
        anomalies = check(self.history.events)
        if anomalies:
            kept = folder / "history.jsonl"
            self.history.write(kept)
            raise AssertionError(f"seed {SEED}, {kept}:\n" + "\n".join(
                f"{name}: {len(texts)}, such as {texts[0]}" for name, texts in anomalies.items()))


def kill(run):
    run.broker.kill()
    run.broker.start()


def pause(run):
    stand_still(run.broker.process)
    time.sleep(run.random.uniform(0.1, 2))    # how long it stands still; nothing is waited for
    run.broker.process.send_signal(signal.SIGCONT)


def restart(run):
    assert run.broker.stop() == 0
    run.broker.start()


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
@pytest.mark.parametrize("io", backends())
def test_killed_paused_and_restarted(folder, io, strategy):
    run = Run(folder / "data", io, strategy)
    try:
        run.begin()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not run.history.problems:
            run.until_acks(run.random.randrange(50, 1500))
            run.random.choice((kill, kill, pause, restart))(run)
        run.until_acks(100)
        run.end()
    finally:
        if run.broker.process is not None:
            run.broker.kill()
    run.verify(folder)


def fill(mount, left):
    with open(mount / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):    # evlogd may be first
        for _ in range(max(0, shutil.disk_usage(mount).free - left) // MIB):
            file.write(bytes(MIB))


def kill_without_space(run):
    """False when the start after it needs a journal slot that finds no room, and says so."""
    run.broker.kill()
    try:
        run.broker.start()
    except AssertionError:
        assert run.broker.said("a start needs"), "".join(run.broker.log[-20:])
        run.broker.process = None
        return False
    return True


@pytest.mark.parametrize("io", backends())
def test_full_disk(folder, io):
    with mounted(folder, IMAGE_MIB) as mount:
        run = Run(mount / "data", io, "range", ["--disk-reserve-bytes", "8MiB", "--shards", "1"])
        try:
            run.begin()
            for _ in range(max(1, int(SECONDS / 5))):
                run.until_acks(300)
                fill(mount, 4 * MIB)
                wait_for(lambda: run.broker.health()[0] != 200 or run.history.problems, "the disk counts as full")
                time.sleep(0.3)    # clients meet it
                killed = run.random.random() < 0.5
                started = not killed or kill_without_space(run)
                (mount / "ballast").unlink()
                if not started:
                    run.broker.start()
                run.until_acks(100)
            run.end()
        finally:
            if run.broker.process is not None:
                run.broker.kill()
    run.verify(folder)
