# SPDX-License-Identifier: Apache-2.0
"""Goal: kill -9 loses nothing that was acknowledged or shown, doubles nothing of idempotent producers, and leaves no
hole.

Method: eight producers, an administrator and a reader work on one evlogd, with so little memory for the journal that
checkpoints, slot recycling, segment rolls, seals and deletions never cease. It is killed again and again: after a
random number of
acknowledgements, while a checkpoint is written, when a segment is begun, during recovery, in the middle of a clean
stop,
while it is stopped by SIGSTOP. After each start all that is new in the log is read and compared with the ledger.

KILLS is the number of kills for each backend, SEED repeats the kill points of a run.
"""
import os
import pathlib
import random

import pytest

from campaign import Run
from evlogd import Broker, backends, start_or_skip
from kafka_wire import batch
from workload import TOPIC

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
CRASH_LOOP = 16
KINDS = {"acknowledgements": 6, "checkpoint": 5, "checkpoint done": 3, "segment": 3, "recovery": 4, "stop": 2,
         "stopped": 2, "continued": 2}


@pytest.mark.parametrize("io", backends())
def test_kill(folder, io):
    run = Run(folder, io, SEED)
    kinds = run.random.choices(list(KINDS), list(KINDS.values()), k=KILLS)
    done = []
    try:
        run.begin(SEED)
        for kind in kinds:
            done.append(kind)
            run.one_kill(kind)
        run.finish()
    except AssertionError as error:
        raise run.explained(error, f"SEED={SEED}, after {len(done)} kills, last {done[-1:]}") from error
    finally:
        run.abandon()
    print(f"{io}: {len(done)} kills, {sum(map(len, run.verdict.content))} events")


@pytest.mark.parametrize("io", backends())
def test_a_crash_loop_costs_nothing(folder, io):
    """Runs that end before any checkpoint is due, one after the other: neither what recovery has to hold in memory
    nor the
    journal may grow with their number."""
    broker = Broker(folder / "data", io=io, args=["--memory-max", "128MiB", "--disk-reserve-bytes", "64MiB"])
    large, small = batch([os.urandom(900_000)]), batch([b"small"])
    for round_ in range(CRASH_LOOP):
        start_or_skip(broker)
        with broker.connect() as conn:
            if round_ == 0:
                assert conn.create_topic(TOPIC, 2)[0] == 0    # one partition for each shard
            for _ in range(4):
                assert conn.produce(TOPIC, large, partition=0)[0] == 0
            assert conn.produce(TOPIC, small, partition=1)[:2] == (0, round_)
        broker.kill()
    broker.start()
    with broker.connect() as conn:
        assert conn.list_offset(TOPIC, -1)[2] == 4 * CRASH_LOOP
        assert conn.list_offset(TOPIC, -1, partition=1)[2] == CRASH_LOOP
    ring = broker.metric("evlog_journal_ring_bytes")
    used = sum(path.stat().st_size for path in pathlib.Path(broker.data).glob("journal/*/0*"))
    assert used <= 2 * ring, f"the journals have {used} bytes, their rings are {ring} together"
    assert broker.stop() == 0, "".join(broker.log[-40:])
