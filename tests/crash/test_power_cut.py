# SPDX-License-Identifier: Apache-2.0
"""Goal: what was acknowledged survives the crash of the operating system: every file and every name that it needs had
been synced before.

Method: the load of test_kill on an ext4 of its own, which is shut down at once by the kernel (EXT4_IOC_SHUTDOWN
without a flush of its log): dirty pages and unsynced names are gone. Requests that are under way then fail; evlogd
may answer them only with errors. The file system is mounted again and evlogd started on what is left.
"""
import os
import random

import pytest

import kafka_wire as wire
from campaign import Run
from evlogd import backends
from mount import cut_power, mounted, power_on, unmount

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
STORAGE_ERROR = 56
MOMENTS = {"acknowledgements": 5, "checkpoint": 4, "checkpoint done": 3, "segment": 3}


@pytest.mark.parametrize("io", backends())
def test_power_cuts(folder, io):
    with mounted(folder, max(2048, 30 * KILLS)) as point:    # a cut leaves about 25 MiB behind
        run, cuts = Run(point, io, SEED), 0
        run.ledger.tolerated = (STORAGE_ERROR, wire.REQUEST_TIMED_OUT, wire.OUT_OF_ORDER_SEQUENCE_NUMBER)
        moments = run.random.choices(list(MOMENTS), list(MOMENTS.values()), k=max(3, KILLS // 2))
        try:
            run.begin(SEED)
            for cuts, moment in enumerate(moments, 1):
                run.moment(moment)
                run.ledger.changes_allowed.clear()
                cut_power(point)
                assert run.broker.process.poll() is None, "evlogd ended by itself"
                run.broker.kill()
                unmount(point)
                power_on(folder)
                run.broker.start()
                run.starts += 1
                run.check_start()
            run.finish()
        except AssertionError as error:
            raise run.explained(error, f"SEED={SEED}, after {cuts} cuts, last {moments[:cuts][-1:]}") from error
        finally:
            run.abandon()


@pytest.mark.parametrize("io", backends())
def test_a_dead_disk_is_told(folder, io):
    """Once the disk fails nothing is acknowledged any more, /health/ready says why, and what is in memory is still
    read."""
    with mounted(folder, 512) as point:
        run = Run(point, io, SEED)
        try:
            run.broker.start()
            with run.broker.connect() as conn:
                assert conn.create_topic("t")[0] == 0
                assert conn.produce("t", wire.batch([b"before"]))[:2] == (0, 0)
                cut_power(point)
                for _ in range(5):
                    assert conn.produce("t", wire.batch([b"after"]), timeout_ms=5000)[0] == STORAGE_ERROR
                got = conn.fetch("t")
                assert (got["error"], got["high"], len(wire.split(got["records"]))) == (0, 1, 1)
            code, text = run.broker.health()
            assert code == 503 and text.strip(), "a shard that takes nothing is not ready"
            run.broker.kill()
            unmount(point)
            power_on(folder)
            run.broker.start()
            with run.broker.connect() as conn:
                batches = wire.split(conn.fetch("t")["records"])
                assert [r[3] for d in batches for r in wire.records_in(d)][:1] == [b"before"]
            assert run.broker.stop() == 0
        finally:
            run.abandon()
