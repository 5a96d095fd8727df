# SPDX-License-Identifier: Apache-2.0
"""Goal: kill -9 of evlogd while workers retry, give up and emit leaves each event done or a dead letter, never both;
each dead letter once; what a done event has emitted once, whole, in the order of its key.

Method: `evlog work` with a batch handler that fails some items at random and others always, and emits two lines for
each event, to a topic whose partitions are on other shards as well. Before each kill more events are published; evlogd
is killed a moment later, at random. At the end the rest is worked off, and the topics are read.

KILLS is the number of kills, SEED repeats their moments (not what the processes do meanwhile).
"""
import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict

from evlogd import BIN, Broker, quiet_port, start_or_skip

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
EVENTS = 40    # published in each round
KEYS = 23
POISON = 17    # one of so many always fails
SETTINGS = {"start": "earliest", "retry.max.attempts": 6, "retry.backoff.ms": 5, "retry.backoff.max.ms": 20,
            "lease.ms": 5000}
HANDLER = f"""import json, os, random, sys
for line in sys.stdin:
    event = json.loads(line)
    offset, number = event["offset"], event["data"]
    print(f'{{offset}} {{json.dumps([number, 0])}}')
    print(f'{{offset}} {{json.dumps([number, 1])}}')
    if number % {POISON} == 0 or random.random() < 0.1:
        os.write(3, b"%d\\n" % offset)
"""


def evlog(bootstrap, *args, stdin="", seconds=120):
    done = subprocess.run([str(BIN / "evlog"), "-b", bootstrap, *map(str, args)], input=stdin, capture_output=True,
                          text=True, timeout=seconds)
    assert done.returncode == 0, (args, done.stderr[-2000:])
    return done.stdout


def work(*options):
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    return ["work", "source", "-g", "g", *sets, "--emit", "out", "--batch", "16", "--concurrency", "3", *options]


def records(bootstrap, topic):
    """The events of a topic as JSON, in the order of each partition."""
    return [json.loads(line) for line in evlog(bootstrap, "consume", topic, "--json").splitlines()]


def number_of(event):
    return event["data"] if "data" in event else int(base64.b64decode(event["data_base64"]))


def check(bootstrap, published):
    emitted, last = defaultdict(list), {}
    for event in records(bootstrap, "out"):
        number, index = event["data"]
        emitted[number].append(index)
        place = event["partition"], event["key"]
        assert last.get(place, (-1, 0)) < (number, index), f"key {event['key']}: {number} comes behind {last[place]}"
        last[place] = number, index
    for number, indexes in emitted.items():
        assert indexes == [0, 1], f"event {number} has emitted {indexes}"
    dead = sorted(number_of(event) for event in records(bootstrap, "source.g.dlq"))
    assert len(dead) == len(set(dead)), f"dead letters that are there twice: {dead}"
    assert not set(dead) & set(emitted), "events that are dead and have emitted"
    missing = set(range(published)) - set(dead) - set(emitted)
    assert not missing, f"events that are neither done nor dead: {sorted(missing)}"
    assert not any(number % POISON == 0 for number in emitted)
    return len(emitted), len(dead)


def test_kills_add_nothing_to_what_is_emitted_and_lose_none_of_it(folder):
    moments = random.Random(SEED)
    broker = Broker(folder / "data", listen=f"127.0.0.1:{quiet_port()}", args=["--memory-max", "192MiB"])
    start_or_skip(broker)
    handler = folder / "handler.py"
    handler.write_text(HANDLER, encoding="utf-8")
    command = ["--", sys.executable, "-I", "-S", str(handler)]    # starts in half the time
    worker = None
    published = 0
    try:
        for topic, partitions in (("source", 4), ("out", 3)):
            evlog(broker.bootstrap, "topics", "create", topic, "-p", partitions)
        for kill in range(KILLS):
            lines = "".join(f"k{number % KEYS} {number}\n" for number in range(published, published + EVENTS))
            evlog(broker.bootstrap, "produce", "source", "-f", "%k %v", stdin=lines)
            published += EVENTS
            if worker is None:
                worker = subprocess.Popen([str(BIN / "evlog"), *work("--quiet"), "-b", broker.bootstrap, *command],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(moments.uniform(0.05, 1.2))
            assert worker.poll() is None, "the worker has ended"
            broker.kill()
            broker.start()
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        worker = None
        evlog(broker.bootstrap, *work("--until-caught-up", "--timeout", "900s"), *command, seconds=920)
        done, dead = check(broker.bootstrap, published)
        print(f"SEED={SEED}: {KILLS} kills, {done} events done, {dead} dead letters")
        assert done > published // 2 and dead >= published // POISON
        assert broker.stop() == 0, "".join(broker.log[-40:])
    finally:
        if worker is not None:
            worker.kill()
            worker.wait()
        if broker.process is not None:
            broker.kill()
