# SPDX-License-Identifier: Apache-2.0
"""Goal: a damaged, foreign or busy data directory is refused with a sentence or read for what it is; never is something
else served, and never is a directory changed that was refused.

Method: evlogd writes a directory and is killed. A copy of it is damaged in one place, then evlogd starts on the
copy, and
each batch that the whole directory held must come back the same, or as an error where the damage is. FLIPS is the
number
of random places; SEED repeats them.
"""
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import zlib

import pytest

import kafka_wire as wire
from evlogd import BIN, ROOT, Broker, wait_for
from kafka_wire import batch

sys.path.insert(0, str(ROOT / "tests" / "golden"))

from recovery import Directory, groups_of_slot  # noqa: E402
from xxh3 import xxh3  # noqa: E402

FLIPS = int(os.environ.get("FLIPS", "40"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
TOPIC = "kept"
PARTITIONS = 2
ARGS = ["--memory-max", "64MiB", "--log-retention-check-interval-ms", "100ms"]
EXIT_OTHER, EXIT_LOCKED, EXIT_CORRUPT = 1, 6, 8
BLOCK = 4096


class Refusal(Exception):
    """evlogd has ended instead of starting: code and what it said."""

    def __init__(self, code, text):
        super().__init__(f"exit {code}: {text}")
        self.code = code
        self.text = text


def evlogd(data, *args):
    return Broker(data, io="auto", shards=1, args=[*ARGS, *args])


def started(broker):
    broker.launch()
    process = broker.process
    try:
        return broker.await_ready()
    except AssertionError:
        broker.process = None
        errors = [line for line in broker.log if " error " in line]
        raise Refusal(process.returncode, "".join(errors)) from None


def copy_of(whole, folder):
    target = folder / "copy"
    if target.exists():
        shutil.rmtree(target)
    subprocess.run(["cp", "-a", "--sparse=always", str(whole), str(target)], check=True)
    return target


def state_of(data):
    """Every file with its bytes, but for the lock."""
    return {str(path.relative_to(data)): zlib.crc32(path.read_bytes()) for path in sorted(data.rglob("*"))
            if path.is_file() and path.name != "lock"}


def fill(broker, seed):
    """Three runs, so that there are several incarnations; segments, checkpoints of two generations, a deleted topic."""
    rng = random.Random(seed)
    for turn, end in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)):
        broker.start()
        with broker.connect() as conn:
            if turn == 0:
                assert conn.create_topic(TOPIC, PARTITIONS, [("segment.bytes", "65536")])[0] == 0
                assert conn.create_topic("brief")[0] == 0
                assert conn.produce("brief", batch([b"gone"]))[0] == 0
                assert conn.delete_topic("brief") == 0
            for number in range(90):
                values = [rng.randbytes(rng.choice((20, 500, 4000))) for _ in range(rng.randint(1, 3))]
                assert conn.produce(TOPIC, batch(values), partition=number % PARTITIONS)[0] == 0
            if turn == 1:    # enough for a checkpoint of its own
                for number in range(60):
                    assert conn.produce(TOPIC, batch([rng.randbytes(100000)]), partition=0)[0] == 0
                wait_for(lambda: broker.metric("evlog_checkpoints_total") >= 1, "a checkpoint")
                for number in range(30):
                    assert conn.produce(TOPIC, batch([rng.randbytes(100)]), partition=number % PARTITIONS)[0] == 0
                wait_for(lambda: any(path.read_bytes()[-8:] == b"EVLOGEND" for path in segments(broker.data)), "a seal")
        if end == signal.SIGKILL:
            wait_for(lambda: is_marked(broker.data), "the mark of a quiet journal")
            broker.kill()
        else:
            assert broker.stop(end) == 0


def segments(data, partition="*"):
    return sorted(pathlib.Path(data).glob(f"topics/*/{partition}/*.seg"))


def is_marked(data):
    """Does the mark name the last group? Then the damage of any group can be told from a torn tail."""
    journal = Directory(str(data)).open().shards[0].journal
    return max((mark[1] for mark in journal.marks), default=0) == journal.end


def read_all(broker):
    """{(partition, base offset): batch without its leader epoch, or the error} of the log, passing over what cannot be
    read one offset at a time."""
    found = {}
    with broker.connect() as conn:
        for partition in range(PARTITIONS):
            error, _, end, _ = conn.list_offset(TOPIC, -1, partition)
            assert error == 0
            offset = 0
            while offset < end:
                got = conn.fetch(TOPIC, partition=partition, offset=offset, max_wait=0, partition_bytes=1)
                if got["error"] != 0:
                    found[partition, offset] = got["error"]
                    offset += 1
                    continue
                assert got["records"], f"partition {partition} offset {offset}: nothing, though it ends at {end}"
                for data in wire.split(got["records"]):
                    base, last, _ = wire.batches_in(data)[0]
                    assert base <= offset <= last, f"offset {offset} was due, got {base} to {last}"
                    found[partition, base] = zlib.crc32(data)
                    offset = last + 1
            found[partition, "end"] = end
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(directory, what it holds)"""
    folder = tmp_path_factory.mktemp("whole")
    fill(evlogd(folder / "data"), SEED)
    copy = copy_of(folder / "data", folder)
    broker = evlogd(copy).start()
    held = read_all(broker)
    assert broker.stop() == 0
    assert not [value for key, value in held.items() if key[1] != "end" and value < 100]
    shutil.rmtree(copy)
    yield folder / "data", held
    shutil.rmtree(folder, ignore_errors=True)


def judged(data, held):
    """What evlogd makes of a directory: "same", or the offsets that it cannot read. Anything else fails."""
    broker = started(evlogd(data))
    try:
        found = read_all(broker)
    finally:
        code = broker.stop()
    assert code == 0, "".join(broker.log[-20:])
    damaged = set()
    for key, value in found.items():
        if key[1] != "end" and value < 100:
            damaged.add(key)
        else:
            assert held.get(key) == value, f"partition {key[0]} offset {key[1]}: another content, and no error"
    for key, value in held.items():
        assert key in found, f"partition {key[0]} offset {key[1]} is not there, and no error"
    return damaged


def refused(data, code, *words):
    """evlogd must end with the code, say the words, and leave every byte as it is."""
    before = state_of(data)
    with pytest.raises(Refusal) as refusal:
        started(evlogd(data)).kill()
    assert refusal.value.code == code, str(refusal.value)
    for word in words:
        assert word in refusal.value.text, refusal.value.text
    assert state_of(data) == before, "a directory that was refused has changed"


def flip(path, pos, bits=1):
    with open(path, "r+b") as file:
        file.seek(pos)
        byte = file.read(1)[0]
        file.seek(pos)
        file.write(bytes([byte ^ bits]))


def sealed(data, pos, form, value, sum_at, covered):
    """A number in a header replaced, with a right sum behind it."""
    data = bytearray(data)
    struct.pack_into(form, data, pos, value)
    struct.pack_into("<Q", data, sum_at, xxh3(bytes(data[:covered])))
    return bytes(data)


# --- whose directory it is ------------------------------------------------------------------------------------------

def test_a_directory_in_use_is_refused(folder):
    broker = evlogd(folder / "data").start()
    try:
        done = subprocess.run([str(BIN / "evlogd"), "--data", str(folder / "data"), "--listen", "127.0.0.1:0", "--http",
                               "off"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == EXIT_LOCKED, done.stderr
        assert str(folder / "data") in done.stderr and str(broker.process.pid) in done.stderr
        with broker.connect() as conn:
            assert conn.create_topic("still mine".replace(" ", "-"))[0] == 0
    finally:
        assert broker.stop() == 0


def test_a_node_file_of_another_directory_is_refused(whole, folder):
    data = copy_of(whole[0], folder)
    other = evlogd(folder / "other").start()
    assert other.stop() == 0
    shutil.copy(folder / "other" / "node", data / "node")
    refused(data, EXIT_LOCKED, "node")


def test_a_node_file_from_before_is_refused(whole, folder):
    """The disk, or somebody, has brought back an old one: its boot counter is below what the journal names."""
    data = copy_of(whole[0], folder)
    shutil.copy(data / "node", folder / "old")
    broker = evlogd(data)
    for _ in range(2):
        broker.start()
        with broker.connect() as conn:
            assert conn.produce(TOPIC, batch([b"later"]))[0] == 0
        broker.kill()
    shutil.copy(folder / "old", data / "node")
    refused(data, EXIT_LOCKED, "node")


def test_a_damaged_node_file_is_refused(whole, folder):
    data = copy_of(whole[0], folder)
    flip(data / "node", 33)
    refused(data, EXIT_CORRUPT, "node file", "damaged")
    os.truncate(data / "node", 64)
    refused(data, EXIT_CORRUPT, "node file")
    os.remove(data / "node")
    refused(data, EXIT_CORRUPT, "node")


# --- newer formats --------------------------------------------------------------------------------------------------

def test_a_newer_node_format_is_refused(whole, folder):
    data = copy_of(whole[0], folder)
    (data / "node").write_bytes(sealed((data / "node").read_bytes(), 8, "<I", 2, 120, 120))
    refused(data, EXIT_OTHER, "format 2", "newer evlogd")


def test_a_newer_checkpoint_format_is_refused(whole, folder):
    """The one before is not used instead: what the newer program wrote since would be lost."""
    data = copy_of(whole[0], folder)
    newest = sorted((data / "checkpoint" / "0000").iterdir())[-1]
    newest.write_bytes(sealed(newest.read_bytes(), 8, "<I", 2, 120, 120))
    refused(data, EXIT_OTHER, "newer")


def test_a_newer_journal_format_is_refused(whole, folder):
    data = copy_of(whole[0], folder)
    found = [group for group in accepted(data) if group.header.pos == 0][-1]    # each start begins in a fresh slot
    path = data / "journal" / "0000" / f"{found.slot:04d}"
    group = bytearray(path.read_bytes()[found.header.pos:found.header.pos + found.header.length])
    struct.pack_into("<H", group, 8, 2)
    covered = bytes(group[:104]) + bytes(8) + struct.pack("<Q", xxh3(bytes(group[112:])))
    struct.pack_into("<Q", group, 104, xxh3(covered))
    with open(path, "r+b") as file:
        file.seek(found.header.pos)
        file.write(group)
    refused(data, EXIT_OTHER, "newer")


def test_a_newer_segment_format_is_not_read(whole, folder):
    data = copy_of(whole[0], folder)
    segment = segments(data, 1)[0]
    bytes_ = segment.read_bytes()
    segment.write_bytes(sealed(bytes_[:128], 8, "<I", 2, 120, 120) + bytes_[128:])
    damaged = judged(data, whole[1])
    assert damaged and {partition for partition, _ in damaged} == {1}


# --- one place damaged ----------------------------------------------------------------------------------------------

def accepted(data):
    return Directory(str(data)).open().shards[0].journal.accepted


def test_a_damaged_group_is_refused(whole, folder):
    """Each part of the chain: first and last group of it, first of each start, some between."""
    data = copy_of(whole[0], folder)
    journal = Directory(str(data)).open().shards[0].journal
    groups = journal.accepted
    assert groups[-1].header.sequence == journal.durable
    first = [b for a, b in zip(groups, groups[1:]) if a.header.incarnation != b.header.incarnation]
    rng = random.Random(SEED)
    for found in [groups[0], *first, *rng.sample(groups, 6), groups[-1]]:
        path = data / "journal" / "0000" / f"{found.slot:04d}"
        pos = found.header.pos + rng.randrange(found.header.length)
        flip(path, pos)
        refused(data, EXIT_CORRUPT, f"group {found.header.sequence} ", "restore")
        flip(path, pos)
    assert judged(data, whole[1]) == set()


def test_a_torn_tail_is_left_out(whole, folder):
    """Groups above the durable end: whole, half, or nonsense. None of it was acknowledged."""
    data = copy_of(whole[0], folder)
    last = accepted(data)[-1]
    path = data / "journal" / "0000" / f"{last.slot:04d}"
    content = path.read_bytes()
    behind = (last.header.pos + last.header.length + BLOCK - 1) // BLOCK * BLOCK
    group = bytearray(content[last.header.pos:last.header.pos + last.header.length].ljust(2 * BLOCK, b"\0"))
    struct.pack_into("<QQQ", group, 24, behind, last.header.incarnation, last.header.sequence + 1)
    for torn in (bytes(group), bytes(group[:512]), b"\xff" * 3 * BLOCK, random.Random(SEED).randbytes(2 * BLOCK)):
        target = copy_of(whole[0], folder)
        with open(target / "journal" / "0000" / f"{last.slot:04d}", "r+b") as file:
            file.seek(behind)
            file.write(torn)
        assert judged(target, whole[1]) == set()
    for length in (behind, behind + 100):
        target = copy_of(whole[0], folder)
        os.truncate(target / "journal" / "0000" / f"{last.slot:04d}", length)
        assert judged(target, whole[1]) == set()


def test_a_shortened_journal_is_refused(whole, folder):
    data = copy_of(whole[0], folder)
    last = accepted(data)[-1]
    path = data / "journal" / "0000" / f"{last.slot:04d}"
    os.truncate(path, last.header.pos + last.header.length - 1)
    refused(data, EXIT_CORRUPT, f"group {last.header.sequence} ")
    os.remove(path)
    refused(data, EXIT_CORRUPT, "journal")


def test_marks_are_not_needed(whole, folder):
    for damage in (lambda mark: flip(mark, 20), lambda mark: os.truncate(mark, 100), os.remove):
        data = copy_of(whole[0], folder)
        damage(data / "journal" / "0000" / "mark")
        assert judged(data, whole[1]) == set()


def test_the_older_checkpoint_serves(whole, folder):
    for damage in (lambda path: flip(path, 90), lambda path: flip(path, 200), lambda path: os.truncate(path, 100),
                   lambda path: os.truncate(path, 0), os.remove):
        data = copy_of(whole[0], folder)
        newest = sorted((data / "checkpoint" / "0000").iterdir())[-1]
        damage(newest)
        assert judged(data, whole[1]) == set()
    data = copy_of(whole[0], folder)
    for path in sorted((data / "checkpoint" / "0000").iterdir())[-2:]:
        flip(path, 90)
    refused(data, EXIT_CORRUPT, "checkpoint")


def test_a_damaged_batch_hides_nothing_else(whole, folder):
    """One batch of one chunk: an error for it, its neighbours as before, and a reader that goes on past it."""
    directory = Directory(str(whole[0])).open()
    rng = random.Random(SEED)
    for number in range(PARTITIONS):
        data = copy_of(whole[0], folder)
        partition, = (p for (topic, n), p in directory.partitions.items()
                      if n == number and directory.topics.get(topic, {}).get("name") == TOPIC)
        # One that the checkpoint lists: others are written anew from the journal.
        listed = rng.choice([s for s in partition.segments if s["length"] > 1000])
        path = data / "topics" / partition.topic_id.hex() / str(number) / f"{listed['segment']:08d}.seg"
        content = path.read_bytes()
        at = content.index(b"EVLOGCHK")
        count, = struct.unpack_from("<I", content, at + 28)
        table = [struct.unpack_from("<QqiI", content, at + 64 + 64 * i) for i in range(count)]
        chosen = rng.randrange(count)
        pos = at + 64 + 64 * count + sum(entry[3] for entry in table[:chosen])
        flip(path, pos + 61 + rng.randrange(table[chosen][3] - 61))
        damaged = {offset for partition, offset in judged(data, whole[1]) if partition == number}
        base = table[chosen][1]
        assert base in damaged, f"{path}: batch {base} was damaged, {sorted(damaged)} cannot be read"
        message = f"{path}: batch {base} was damaged, {sorted(damaged)} are not read"
        assert damaged <= set(range(base, base + 3)), message


def test_a_missing_segment_is_an_error(whole, folder):
    data = copy_of(whole[0], folder)
    paths = segments(data, 0)
    os.remove(paths[len(paths) // 2])
    try:
        assert judged(data, whole[1])
    except Refusal as refusal:
        assert refusal.code == EXIT_CORRUPT and "seg" in str(refusal)


def test_footers_and_strays_do_not_matter(whole, folder):
    data = copy_of(whole[0], folder)
    footers = 0
    for path in segments(data):
        size = path.stat().st_size
        if path.read_bytes()[-8:] == b"EVLOGEND":
            flip(path, size - 40)
            footers += 1
    assert footers > 0
    for name in ("node.tmp", "checkpoint/0000/tmp", "checkpoint/0000/nonsense", "journal/0000/9999", "topics/stray",
                 "stray"):
        (data / name).write_bytes(b"whatever")
    assert judged(data, whole[1]) == set()


def weighted_places(data, count, rng):
    """(file, position) of bytes that are not just zeros, each kind of file about as often."""
    kinds = ["node", "checkpoint/*/*", "journal/*/0*", "journal/*/mark", "topics/*/*/*.seg"]
    for turn in range(count):
        path = rng.choice([p for p in sorted(data.glob(kinds[turn % len(kinds)])) if p.stat().st_size > 0])
        content = path.read_bytes()
        for _ in range(1000):
            pos = rng.randrange(len(content))
            if content[pos] != 0 or any(content[pos // 64 * 64:pos // 64 * 64 + 64]):
                break
        yield path.relative_to(data), pos


def test_flipped_bits_are_never_content(whole, folder):
    """Anywhere: refused with a sentence and nothing changed, or served but for the place, or without effect."""
    rng = random.Random(SEED)
    counts = {"refused": 0, "reported": 0, "without effect": 0}
    for name, pos in list(weighted_places(whole[0], FLIPS, rng)):
        data = copy_of(whole[0], folder)
        flip(data / name, pos, 1 << rng.randrange(8))
        before = state_of(data)
        where = f"SEED={SEED} {name} byte {pos}"
        try:
            damaged = judged(data, whole[1])
        except Refusal as refusal:
            assert refusal.code in (EXIT_CORRUPT, EXIT_OTHER) and refusal.text, f"{where}: {refusal}"
            assert state_of(data) == before, f"{where}: refused, and changed"
            counts["refused"] += 1
            continue
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
        assert not damaged or name.suffix == ".seg", f"{where}: {sorted(damaged)} cannot be read"
        counts["reported" if damaged else "without effect"] += 1
    print(counts)
    assert FLIPS < 40 or min(counts.values()) > 0, counts


def test_cut_files_are_never_content(whole, folder):
    rng = random.Random(SEED)
    for pattern in ("node", "checkpoint/*/*", "journal/*/0*", "topics/*/*/*.seg"):
        for _ in range(max(1, FLIPS // 20)):
            path = rng.choice(sorted(whole[0].glob(pattern))).relative_to(whole[0])
            data = copy_of(whole[0], folder)
            length = rng.randrange((data / path).stat().st_size)
            os.truncate(data / path, length)
            where = f"SEED={SEED} {path} cut to {length} bytes"
            try:
                damaged = judged(data, whole[1])
            except Refusal as refusal:
                assert refusal.code == EXIT_CORRUPT and refusal.text, f"{where}: {refusal}"
                continue
            except AssertionError as error:
                raise AssertionError(f"{where}: {error}") from error
            assert not damaged or path.suffix == ".seg", f"{where}: {sorted(damaged)} cannot be read"
