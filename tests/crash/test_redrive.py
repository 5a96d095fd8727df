# SPDX-License-Identifier: Apache-2.0
"""Goal: kill -9 during a redrive neither loses an event nor doubles one.

Method: every event of a topic is a dead letter. A redrive is begun, and the broker killed at a random moment, once or
more; it goes on after the start. Then all events are refused again: each must have come exactly once, and be a letter
once more, with all letters before it marked as redriven. Copies to a topic: each event is there once, and those of a
key are in order.

KILLS is the number of rounds, SEED repeats the moments of a run.
"""
import collections
import json
import os
import random
import subprocess
import time

import pytest

from evlogd import BIN, Broker, backends, quiet_port, start_or_skip, wait_for

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
EVENTS = 40
PATIENCE_SECONDS = 60
TOPIC, GROUP = "orders", "workers"
LETTERS = f"{TOPIC}.{GROUP}.dlq"
COPIES = "by-hand"


class Run:
    def __init__(self, folder, io):
        self.broker = Broker(folder / "data", io=io, listen=f"127.0.0.1:{quiet_port()}")
        self.seen = folder / "seen"
        self.handler = folder / "handler"
        self.handler.write_text("#!/bin/sh\ncat >/dev/null\n"
                                f"echo $EVLOG_PARTITION/$EVLOG_OFFSET >>{self.seen}\nexit 65\n")
        self.handler.chmod(0o755)

    def evlog(self, *args, stdin="", check=True):
        env = {**os.environ, "EVLOG_BOOTSTRAP__SERVERS": self.broker.bootstrap}
        done = subprocess.run([str(BIN / "evlog"), *map(str, args)], input=stdin, capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS, env=env)
        assert not check or done.returncode == 0, f"evlog {args}: {done.returncode}\n{done.stderr}"
        return done

    def lines(self, *args):
        return [json.loads(line) for line in self.evlog(*args, "--json").stdout.splitlines()]

    def refuse_all(self):
        """Work until nothing is left. returns how often each event came"""
        self.seen.unlink(missing_ok=True)
        self.evlog("work", TOPIC, "-g", GROUP, "--set", "start=earliest", "--until-caught-up", "--concurrency", 4,
                   "--", self.handler)
        return collections.Counter(self.seen.read_text().splitlines())

    def tasks(self):
        return self.lines("dlq", "tasks", LETTERS)

    def produce(self, first):
        events = "".join(f"k{i % 7} v{i}\n" for i in range(first, first + EVENTS))
        self.evlog("produce", TOPIC, "-f", "%k %v", stdin=events)

    def killed_redrive(self, rng, *args):
        begun = self.evlog("dlq", "redrive", LETTERS, "--detach", *args, *rng.choice([[], ["--rate", 400]]))
        assert "has begun" in begun.stderr
        for _ in range(rng.choice([1, 1, 2])):
            time.sleep(rng.random() * rng.choice([0.002, 0.02, 0.15]))
            self.broker.kill()
            start_or_skip(self.broker)
        wait_for(lambda: all(task["state"] != "running" for task in self.tasks()), "the end of a redrive",
                 PATIENCE_SECONDS)
        assert self.tasks()[-1]["state"] == "done", self.tasks()[-1]


@pytest.mark.parametrize("io", backends())
def test_redrive(folder, io):
    run = Run(folder, io)
    rng = random.Random(f"{SEED}-{io}")
    start_or_skip(run.broker)
    run.evlog("topics", "create", TOPIC, "-p", 3)
    run.produce(0)
    try:
        assert len(run.refuse_all()) == EVENTS
        for count in range(1, KILLS + 1):
            run.killed_redrive(rng)
            times = run.refuse_all()
            assert len(times) == EVENTS, f"SEED={SEED}, round {count}: {EVENTS - len(times)} events are lost"
            assert set(times.values()) == {1}, f"SEED={SEED}, round {count}: events came twice: {times.most_common(3)}"
            stats = run.lines("dlq", "stats", LETTERS)
            assert sum(line["events"] for line in stats) == EVENTS * (count + 1)
            assert sum(line["open"] for line in stats) == EVENTS
    finally:
        run.broker.kill()


@pytest.mark.parametrize("io", backends())
def test_copies_to_a_topic(folder, io):
    run = Run(folder, io)
    rng = random.Random(f"{SEED}-copies-{io}")
    start_or_skip(run.broker)
    for topic in (TOPIC, COPIES):
        run.evlog("topics", "create", topic, "-p", 3)
    try:
        for count in range(KILLS):
            run.produce(count * EVENTS)
            assert len(run.refuse_all()) == EVENTS
            run.killed_redrive(rng, "--to", COPIES)
            there = run.evlog("consume", COPIES, "-f", "%k %v\\n").stdout.split("\n")[:-1]
            numbers = [int(line.split(" v")[1]) for line in there]
            assert sorted(numbers) == list(range((count + 1) * EVENTS)), f"SEED={SEED}, round {count}: lost or twice"
            for key in range(7):
                mine = [number for number in numbers if number % 7 == key]
                assert mine == sorted(mine), f"SEED={SEED}, round {count}: copies of a key are out of order"
            stats = run.lines("dlq", "stats", LETTERS)
            assert sum(line["open"] for line in stats) == 0
    finally:
        run.broker.kill()
