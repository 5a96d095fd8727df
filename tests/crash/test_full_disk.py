# SPDX-License-Identifier: Apache-2.0
"""Goal: a full disk refuses appends with an error that clients retry, loses nothing, keeps reads and deletions going,
and is over by itself once there is space again.

Method: a small ext4 in a file is mounted; a ballast file takes the space away and gives it back. Two depths: the
reserve of evlogd is reached, and, with a reserve of 0, the kernel itself says that there is no space.
"""
import os
import random

import pytest

import kafka_wire as wire
from campaign import Run
from evlogd import backends, wait_for
from kafka_wire import batch
from mount import MIB, Ballast, free_bytes, mounted

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
LARGE_IMAGE_MIB = 1024
FILLING_ROUNDS = 3000
STORAGE_ERROR = 56    # retriable: clients ask again
TOPIC = "kept"


def produce_until(conn, kept, wanted, length=30000):
    """Produce until the answer has this error; kept: (base offset, value) of what was acknowledged."""
    for round_ in range(FILLING_ROUNDS):
        value = b"%d " % len(kept) + os.urandom(length)
        error, base, *_ = conn.produce(TOPIC, batch([value]), timeout_ms=10000)
        if error == 0:
            kept.append((base, value))
        else:
            assert error in (STORAGE_ERROR, wire.REQUEST_TIMED_OUT), f"error {error} cannot be retried"
        if error == wanted:
            return round_
    raise AssertionError(f"no answer with error {wanted} in {FILLING_ROUNDS}")


def check_kept(conn, kept):
    end = conn.list_offset(TOPIC, -1)[2]
    found, offset = {}, 0
    while offset < end:
        got = conn.fetch(TOPIC, offset=offset)
        assert got["error"] == 0 and got["records"], f"offset {offset}: error {got['error']}"
        for data in wire.split(got["records"]):
            for at, _, _, value, _ in wire.records_in(data):
                assert at == offset
                found[at] = value
                offset += 1
    for base, value in kept:
        assert found.get(base) == value, f"offset {base} was acknowledged and is not there"


@pytest.mark.parametrize("io", backends())
def test_the_reserve_is_kept_free(small_disk, io):
    mount, start = small_disk
    broker, ballast = start(io, 24 * MIB), Ballast(mount)
    kept = []
    with broker.connect() as conn:
        for name in (TOPIC, "spare"):
            assert conn.create_topic(name, configs=[("segment.bytes", "65536")])[0] == 0
        for _ in range(50):
            assert conn.produce("spare", batch([os.urandom(30000)]))[0] == 0
        produce_until(conn, kept, 0)
        ballast.fill(20 * MIB)
        produce_until(conn, kept, STORAGE_ERROR)
        assert broker.said("below the reserve")
        assert free_bytes(mount) > 8 * MIB, "the reserve was used up"
        # Reads, topics and their deletion go on.
        check_kept(conn, kept)
        assert conn.create_topic("another")[0] == 0
        assert conn.delete_topic("spare") == 0
        assert conn.delete_topic("another") == 0
        ballast.free()
        wait_for(lambda: conn.produce(TOPIC, batch([b"again"]))[0] == 0, "appends are taken again")
        produce_until(conn, kept, 0)
        check_kept(conn, kept)
    assert broker.stop() == 0, "".join(broker.log[-30:])


@pytest.mark.parametrize("io", backends())
def test_deleting_a_topic_makes_room(small_disk, io):
    """Nobody but evlogd frees the space."""
    mount, start = small_disk
    broker, ballast = start(io, 24 * MIB), Ballast(mount)
    with broker.connect() as conn:
        for name in (TOPIC, "large"):
            assert conn.create_topic(name)[0] == 0
        data = batch([os.urandom(700000)])
        for _ in range(40):
            assert conn.produce("large", data)[0] == 0
        wait_for(lambda: broker.metric("evlog_checkpoints_total") >= 2, "checkpoints")
        ballast.fill(22 * MIB)
        kept = []
        produce_until(conn, kept, STORAGE_ERROR)
        assert conn.delete_topic("large") == 0
        wait_for(lambda: conn.produce(TOPIC, batch([b"again"]))[0] == 0, "appends are taken again")
        check_kept(conn, kept)
    assert broker.stop() == 0, "".join(broker.log[-30:])


@pytest.mark.parametrize("io", backends())
def test_no_space_at_all(small_disk, io):
    """The kernel refuses slots, segments and checkpoints. Nothing acknowledged is lost, also not by a crash now."""
    mount, start = small_disk
    broker, ballast = start(io, 0), Ballast(mount)
    kept = []
    with broker.connect(timeout=60) as conn:
        assert conn.create_topic(TOPIC, configs=[("segment.bytes", "65536")])[0] == 0
        produce_until(conn, kept, 0)
        ballast.fill(0)
        for _ in range(800):
            value = b"%d " % len(kept) + os.urandom(30000)
            error, base, *_ = conn.produce(TOPIC, batch([value]), timeout_ms=2000)
            if error != 0:
                assert error in (STORAGE_ERROR, wire.REQUEST_TIMED_OUT), f"error {error} cannot be retried"
                break
            kept.append((base, value))
        assert error != 0, "24 MB were taken on a full disk"
        check_kept(conn, kept)
    broker.kill()
    ballast.free()
    broker.start()
    with broker.connect(timeout=60) as conn:
        check_kept(conn, kept)
        ballast.fill(0)
        produce_until(conn, kept, 0)
        for _ in range(800):
            error, base, *_ = conn.produce(TOPIC, batch([os.urandom(30000)]), timeout_ms=2000)
            if error != 0:
                break
        ballast.free()
        wait_for(lambda: conn.produce(TOPIC, batch([b"again"]), timeout_ms=2000)[0] == 0, "appends are taken again")
        check_kept(conn, kept)
    assert broker.stop() == 0, "".join(broker.log[-30:])

@pytest.mark.parametrize("io", backends())
def test_a_start_on_a_full_disk(small_disk, io):
    """Refused with a sentence, or served; either way all is there when space returns."""
    mount, start = small_disk
    broker, ballast = start(io, 0), Ballast(mount)
    kept = []
    with broker.connect() as conn:
        assert conn.create_topic(TOPIC, configs=[("segment.bytes", "65536")])[0] == 0
        for _ in range(300):
            produce_until(conn, kept, 0, 3000)
    broker.kill()
    ballast.fill(0)
    try:
        broker.start()
    except AssertionError as error:
        assert "exit 1" in str(error) and "space" in str(error), str(error)
        broker.process = None
    else:
        with broker.connect() as conn:
            check_kept(conn, kept)
        broker.kill()
    ballast.free()
    broker.start()
    with broker.connect() as conn:
        check_kept(conn, kept)
        produce_until(conn, kept, 0)
    assert broker.stop() == 0, "".join(broker.log[-30:])


@pytest.mark.parametrize("io", backends())
def test_kills_on_a_full_disk(folder, io):
    """The load of test_kill on a disk that fills up again and again, with kills before, while and after it is full."""
    with mounted(folder, LARGE_IMAGE_MIB + 8 * KILLS) as mount:    # the log grows with each round
        run, ballast, rounds = Run(mount, io, SEED, reserve="0"), Ballast(mount), 0
        # OUT_OF_ORDER_SEQUENCE_NUMBER is what requests behind a refused one get.
        run.ledger.tolerated = (STORAGE_ERROR, wire.REQUEST_TIMED_OUT, wire.OUT_OF_ORDER_SEQUENCE_NUMBER)
        try:
            run.begin(SEED)
            for rounds in range(max(2, KILLS // 8)):
                run.moment("acknowledgements")
                ballast.fill(run.random.choice((0, 0, 1, 4, 12)) * MIB)
                run.until(lambda: free_bytes(mount) < MIB)
                choice = run.random.choice(("killed while full", "freed", "freed and killed"))
                if choice == "freed":
                    ballast.free()
                    run.until_acks(300)
                run.ledger.changes_allowed.clear()
                run.broker.kill()
                ballast.free()
                run.broker.start()
                run.starts += 1
                run.check_start()
            run.finish()
        except AssertionError as error:
            raise run.explained(error, f"SEED={SEED}, after {rounds} rounds") from error
        finally:
            run.abandon()
