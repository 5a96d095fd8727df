# SPDX-License-Identifier: Apache-2.0
"""Goal: what evlogd writes is what docs/format.md says, and stays so.

Method: the golden directory of version 1 is written anew and compared byte for byte; a reader that was written from the
page alone must find in it what is in v1.jsonl, must notice every damage, and must come to the same verdict as evlogd on
whole, damaged and live directories.

Runs under pytest and by itself: python3 tests/golden/test_golden.py. OUT is the build folder, EVLOG_BIN that of the
programs; without an evlogd there the comparisons with it are skipped.
"""
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "lib")]

import kafka_wire    # noqa: E402
import test_archive    # noqa: E402
import test_index    # noqa: E402
import xxh3          # noqa: E402
from layout import Refused    # noqa: E402
from making import OUT, files_of, program    # noqa: E402
from recovery import Directory    # noqa: E402

BIN = os.environ.get("EVLOG_BIN") or os.path.join(ROOT, OUT, "bin")
GOLDEN = os.path.join(HERE, "v1")
READER = [sys.executable, "-B", os.path.join(HERE, "read_evlog.py")]
ORDERS = "topics/101112131415161718191a1b1c1d1e1f/0"
COMPACTED = "topics/101112131415161718191a1b1c1d1e1f/2"
PARTITIONS = (0, 1, 2)
FROZEN = "b46b1aa9ae8f019adb0213619b068c0722ea4ec1b9717844cc8be5bd38c30668"    # of names, lengths and contents in v1
READY_SECONDS = 60


# --- kit ------------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="evlog-golden-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def golden_copy():
    with folder() as path:
        data = os.path.join(path, "data")
        shutil.copytree(GOLDEN, data)
        os.makedirs(f"{data}/checkpoint/0001", exist_ok=True)    # empty, and so not in the repository
        yield data


def read(*args, cwd=GOLDEN):
    done = subprocess.run(READER + list(args), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def content(path):
    """(what a directory holds, what is reported as damaged): batches and numbers, without where they lie."""
    directory = Directory(path).open()
    held, damage = {}, []
    for (topic_id, number), partition in directory.partitions.items():
        batches = [(hashlib.sha256(data).digest(), entry.append_time_ns, entry.salt) for entry, data, _ in
                   directory.batches(partition, lambda *what: damage.append(what))]
        held[topic_id, number] = (batches, partition.log_start, partition.next_offset, tuple(partition.epochs),
                                  str(sorted(partition.producers.items())))
    topics = [(t["name"], t["owners"], t["settings"]) for t in directory.topics.values()]
    node = (directory.node["id"], directory.node["leader_epoch"], directory.node["boot"])
    return (held, topics, sorted(directory.tombstones), node), damage + directory.notes


def change(path, pos, bits=1):
    with open(path, "r+b") as file:
        file.seek(pos)
        byte = file.read(1)[0]
        file.seek(pos)
        file.write(bytes([byte ^ bits]))


# --- golden files ---------------------------------------------------------------------------------------------------

def test_sums_are_those_of_the_specifications():
    """The reader's own sums, against evlogd's and against published check values."""
    with open(os.path.join(HERE, "sums.txt"), encoding="ascii") as file:
        lines = file.read()
    done = subprocess.run([program("make_golden"), "--sums"], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == lines
    data, state = bytearray(), 1
    for _ in range(70000):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        data.append(state >> 24)
    for line in lines.splitlines():
        length, total, crc = line.split()
        part = bytes(data[:int(length)])
        assert (xxh3.xxh3(part), xxh3.crc32c(part)) == (int(total, 16), int(crc, 16)), length
    assert xxh3.xxh3(b"") == 0x2D06800538D394C2
    assert xxh3.crc32c(b"123456789") == 0xE3069283


def test_version_1_is_frozen():
    """Whoever changes a file of v1 breaks the directories of users: a new version gets a directory of its own."""
    lines = [f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}\n"
             for name, data in sorted(files_of(GOLDEN).items())]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == FROZEN


def test_golden_directory_is_written_byte_for_byte():
    with folder() as path:
        subprocess.run([program("make_golden"), path], check=True)
        written, committed = files_of(path), files_of(GOLDEN)
    assert sorted(written) == sorted(committed)
    for name, data in committed.items():
        assert written[name] == data, f"{name} differs from tests/golden/v1: was the format changed?"


def expected(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def test_second_reader_recovers_the_golden_directory():
    code, text = read("--records", ".")
    assert code == 0
    assert text == expected("v1.jsonl")


def test_second_reader_reads_each_golden_file():
    code, text = read(*sorted(files_of(GOLDEN)))
    assert code == 0
    assert text == expected("v1.files.jsonl")


def test_second_reader_verifies_every_sum():
    code, text = read("--verify", ".")
    assert (code, text) == (0, '{"verified": {"checkpoints": 2, "segments": 3, "groups": 8, "batches": 15}, '
                               '"problems": 0}\n')


# --- damage ---------------------------------------------------------------------------------------------------------

def parts_that_count():
    """(file, first byte, last byte + 1) of the bytes in the golden directory that a reader may not mistake."""
    yield "node", 0, 128
    for name, data in files_of(GOLDEN).items():
        if name.startswith("checkpoint/"):
            yield name, 0, len(data)
    sealed = files_of(GOLDEN)[f"{ORDERS}/00000001.seg"]
    yield f"{ORDERS}/00000001.seg", 0, 128
    for pos in (128, 4096, 8192):    # chunks, without what pads them
        count, length = (int.from_bytes(sealed[pos + at:pos + at + 4], "little") for at in (28, 48))
        yield f"{ORDERS}/00000001.seg", pos, pos + 64 + 64 * count + length
    yield f"{ORDERS}/00000001.seg", 12288, len(sealed)
    yield f"{ORDERS}/00000002.seg", 0, 128 + 64 + 64 + 95
    compacted = files_of(GOLDEN)[f"{COMPACTED}/00000005.seg"]
    for pos in (128, 4096):
        yield f"{COMPACTED}/00000005.seg", pos, pos + 64 + 64 + int.from_bytes(compacted[pos + 48:pos + 52], "little")
    yield f"{COMPACTED}/00000005.seg", 8192, len(compacted)
    for name, positions in (("0000/0000", range(7 * 4096, 10 * 4096, 4096)), ("0000/0001", range(0, 3 * 4096, 4096)),
                            ("0001/0000", range(0, 2 * 4096, 4096))):
        data = files_of(GOLDEN)[f"journal/{name}"]
        for pos in positions:
            yield f"journal/{name}", pos, pos + int.from_bytes(data[pos + 48:pos + 52], "little")
    yield "journal/0000/mark", 0, 64
    yield "journal/0000/mark", 4096, 4160


def test_no_changed_byte_is_mistaken_for_content():
    """Every third byte of what counts: refused, reported, or without any effect. Never another content."""
    whole, nothing = content(GOLDEN)
    assert nothing == []
    counts = {"refused": 0, "reported": 0, "without effect": 0}
    with golden_copy() as path:
        for name, first, end in parts_that_count():
            for pos in range(first, end, 3):
                change(f"{path}/{name}", pos, 1 << pos % 8)
                try:
                    held, damage = content(path)
                except Refused:
                    counts["refused"] += 1
                else:
                    assert held == whole or damage, f"byte {pos} of {name}: another content, and nothing was said"
                    counts["reported" if damage else "without effect"] += 1
                change(f"{path}/{name}", pos, 1 << pos % 8)
        assert content(path)[0] == whole
    assert counts["refused"] > 500, counts
    assert counts["reported"] > 300, counts
    assert counts["without effect"] < 120, counts    # marks and what lies below the checkpoint's cut


def test_no_length_of_a_file_is_mistaken_for_content():
    whole, _ = content(GOLDEN)
    with golden_copy() as path:
        for name, data in files_of(GOLDEN).items():
            step = 4096 if name.startswith("journal") else 17
            for length in range(0, len(data), step):
                with open(f"{path}/{name}", "wb") as file:
                    file.write(data[:length])
                try:
                    held, damage = content(path)
                except Refused:
                    continue
                assert held == whole or damage, f"{name} cut to {length} bytes"
            with open(f"{path}/{name}", "wb") as file:
                file.write(data)


def cut(path, length):
    os.truncate(path, length)


# What is done to the golden directory, and whether recovery must refuse it, must come to the same content, or may also
# say that a range cannot be read.
DAMAGE = {
    "nothing": (lambda d: None, "same"),
    "node file gone": (lambda d: os.remove(f"{d}/node"), "refused"),
    "node file changed": (lambda d: change(f"{d}/node", 40), "refused"),
    "newest checkpoint gone": (lambda d: os.remove(f"{d}/checkpoint/0000/{2:016x}"), "same"),
    "newest checkpoint changed": (lambda d: change(f"{d}/checkpoint/0000/{2:016x}", 300), "same"),
    "newest checkpoint empty": (lambda d: cut(f"{d}/checkpoint/0000/{2:016x}", 0), "same"),
    "base gone": (lambda d: os.remove(f"{d}/checkpoint/0000/{1:016x}"), "refused"),
    "checkpoints gone, older groups recycled": (lambda d: (shutil.rmtree(f"{d}/checkpoint/0000"),
                                                           os.makedirs(f"{d}/checkpoint/0000"),
                                                           change(f"{d}/journal/0000/0000", 200)), "refused"),
    "group below the cut changed": (lambda d: change(f"{d}/journal/0000/0000", 2 * 4096 + 200), "same"),
    "first needed group changed": (lambda d: change(f"{d}/journal/0000/0000", 7 * 4096 + 150), "refused"),
    "last group of the first start changed": (lambda d: change(f"{d}/journal/0000/0000", 9 * 4096 + 200), "refused"),
    "first group of the second start changed": (lambda d: change(f"{d}/journal/0000/0001", 200), "refused"),
    "middle group of the second start changed": (lambda d: change(f"{d}/journal/0000/0001", 4096 + 200), "refused"),
    "last acknowledged group changed": (lambda d: change(f"{d}/journal/0000/0001", 2 * 4096 + 200), "refused"),
    "the same, and only the mark tells": (lambda d: (change(f"{d}/journal/0000/0001", 2 * 4096 + 200),
                                                     change(f"{d}/journal/0000/0001", 4 * 4096 + 200)), "refused"),
    "all of the second start but the mark": (lambda d: [change(f"{d}/journal/0000/0001", at * 4096 + 200)
                                                        for at in (0, 1, 2, 4)], "refused"),
    "void groups changed": (lambda d: (change(f"{d}/journal/0000/0000", 11 * 4096 + 200),
                                       change(f"{d}/journal/0000/0001", 4 * 4096 + 200)), "same"),
    "marks gone": (lambda d: os.remove(f"{d}/journal/0000/mark"), "same"),
    "only group of a shard's tail changed": (lambda d: change(f"{d}/journal/0001/0000", 4096 + 200), "refused"),
    "footer changed": (lambda d: change(f"{d}/{ORDERS}/00000001.seg", 1010), "readable"),
    "batch changed": (lambda d: change(f"{d}/{ORDERS}/00000001.seg", 128 + 64 + 128 + 80), "damaged"),
    "chunk header changed": (lambda d: change(f"{d}/{ORDERS}/00000001.seg", 128 + 30), "damaged"),
    "segment gone": (lambda d: os.remove(f"{d}/{ORDERS}/00000002.seg"), "damaged"),
    "bytes behind a segment's length changed": (lambda d: change(f"{d}/{ORDERS}/00000002.seg", 360), "same"),
    "compacted segment gone": (lambda d: os.remove(f"{d}/{COMPACTED}/00000005.seg"), "damaged"),
    "batch of a compacted segment changed": (lambda d: change(f"{d}/{COMPACTED}/00000005.seg", 128 + 64 + 64 + 80),
                                             "damaged"),
    "chunk behind a hole changed": (lambda d: change(f"{d}/{COMPACTED}/00000005.seg", 4096 + 30), "damaged"),
    "what compaction replaced is gone": (lambda d: [os.remove(f"{d}/{COMPACTED}/{i:08d}.seg") for i in (3, 4)], "same"),
    "what compaction replaced has to serve": (lambda d: (os.remove(f"{d}/{COMPACTED}/00000005.seg"),
                                                         cut(f"{d}/checkpoint/0000/{2:016x}", 100)), "same"),
    "stray names": (lambda d: [open(f"{d}/{name}", "w", encoding="ascii").close() for name in
                               ("node.tmp", "checkpoint/0000/tmp", f"{ORDERS}/00000009.seg")], "same"),
}


def test_second_reader_judges_damage():
    whole, _ = content(GOLDEN)
    for name, (damage, verdict) in DAMAGE.items():
        with golden_copy() as path:
            damage(path)
            try:
                held, reported = content(path)
            except Refused:
                assert verdict == "refused", name
                continue
            assert verdict != "refused", name
            assert (held == whole) == (verdict != "damaged"), name
            assert bool([r for r in reported if not isinstance(r, str)]) == (verdict == "damaged"), name


# --- evlogd ---------------------------------------------------------------------------------------------------------

class Evlogd:
    """A running evlogd, or one that has refused to start."""

    def __init__(self, data, *args):
        program = os.path.join(BIN, "evlogd")
        if not os.path.exists(program):
            raise unittest.SkipTest(f"{program} is not built")
        command = [program, "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--shards", "2", *args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.collector = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.collector.start()
        watchdog = threading.Timer(READY_SECONDS, self.process.kill)
        watchdog.start()
        words = self.process.stdout.readline().split()
        watchdog.cancel()
        self.ready = words[:2] == ["evlogd", "ready"]
        self.port = None
        if self.ready:
            self.port = int(dict(word.split("=", 1) for word in words[2:])["kafka"].rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)

    def stop(self, how):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(READY_SECONDS)
        self.collector.join(READY_SECONDS)
        self.process.stdout.close()

    def connect(self):
        return kafka_wire.Connection("127.0.0.1", self.port)


def fetched(connection, topic, partition):
    """(log start, end, bytes of all batches) as a consumer gets them; the error code when one comes."""
    offset, data, first = None, b"", None
    while True:
        answer = connection.fetch(topic, partition=partition, offset=0 if offset is None else offset)
        if answer["error"] == 1 and offset is None:    # OFFSET_OUT_OF_RANGE: begin at the log start
            error, _, offset, _ = connection.list_offset(topic, -2, partition)
            assert error == 0
            continue
        if answer["error"] != 0:
            return answer["error"]
        first = answer["start"]
        if not answer["records"]:
            return first, answer["high"], data
        data += answer["records"]
        base, last, _ = kafka_wire.batches_in(answer["records"])[-1]
        assert last >= (offset or 0), (base, last)
        offset = last + 1


def held_by(directory, topic, partition):
    """The same from the second reader."""
    topic_id = next(i for i, t in directory.topics.items() if t["name"] == topic)
    part = directory.partitions[topic_id, partition]
    shown = [data for _, data, _ in directory.batches(part)
             if kafka_wire.batches_in(data)[0][1] >= part.log_start]
    return part.log_start, part.next_offset, b"".join(shown)


def test_evlogd_reads_the_golden_directory():
    directory = Directory(GOLDEN).open()
    with golden_copy() as path, Evlogd(path) as broker:
        assert broker.ready, broker.log
        with broker.connect() as connection:
            for partition in PARTITIONS:
                assert fetched(connection, "orders", partition) == held_by(directory, "orders", partition)
            assert connection.metadata(["gone-topic"])


def judged_by_evlogd(path, wanted):
    """What evlogd makes of a directory, in the words of DAMAGE."""
    with Evlogd(path) as broker:
        if not broker.ready:
            return "refused"
        with broker.connect() as connection:
            found = [fetched(connection, "orders", partition) for partition in PARTITIONS]
    if any(isinstance(answer, int) for answer in found):
        return "damaged"
    return "same" if found == wanted else "another content"


def test_evlogd_judges_damage_alike():
    directory = Directory(GOLDEN).open()
    wanted = [held_by(directory, "orders", partition) for partition in PARTITIONS]
    wrong = []
    for name, (damage, verdict) in DAMAGE.items():
        with golden_copy() as path:
            damage(path)
            found = judged_by_evlogd(path, wanted)
            if found != {"readable": "same"}.get(verdict, verdict):
                wrong.append(f"{name}: {found}, not {verdict}")
    assert wrong == [], "\n".join(wrong)


def fill(broker, partitions):
    """Batches of many sizes, enough for several checkpoints and segments; a topic that is made and deleted."""
    batches = [kafka_wire.batch([bytes([65 + size % 26]) * (60 * size + at) for at in range(1 + size)], codec=size == 5)
               for size in (0, 1, 5, 11, 30)]
    with broker.connect() as connection:
        assert connection.create_topic("live", partitions, [("segment.bytes", "65536")])[0] == 0
        assert connection.create_topic("brief", 1)[0] == 0
        connection.produce("brief", batches[1])
        for turn in range(1000):
            error, *_ = connection.produce("live", batches[turn * 7 % 5], partition=turn % partitions)
            assert error == 0
            if turn == 500:
                connection.delete_topic("brief")


def test_second_reader_reads_what_a_killed_evlogd_left():
    partitions = 4
    with folder() as path:
        data, copy = os.path.join(path, "data"), os.path.join(path, "copy")
        with Evlogd(data, "--memory-max", "128MiB") as broker:
            assert broker.ready, broker.log
            fill(broker, partitions)
            broker.stop(signal.SIGKILL)
        shutil.copytree(data, copy)
        code, text = read("--verify", copy)
        assert code == 0, text
        directory = Directory(copy).open()
        with Evlogd(data, "--memory-max", "128MiB") as broker:
            assert broker.ready, broker.log
            with broker.connect() as connection:
                for partition in range(partitions):
                    assert fetched(connection, "live", partition) == held_by(directory, "live", partition)
            broker.stop(signal.SIGTERM)
            assert broker.process.returncode == 0, broker.log
        after = Directory(data).open()
        assert after.node["clean"]
        assert [held_by(after, "live", p) for p in range(partitions)] == \
            [held_by(directory, "live", p) for p in range(partitions)]


def test_the_older_checkpoint_serves_after_an_idle_run():
    """A run that wrote no group leaves a checkpoint; its loss must not hide the groups of the run after it."""
    with folder() as path:
        data = os.path.join(path, "data")
        for count, how in ((10, signal.SIGTERM), (0, signal.SIGTERM), (5, signal.SIGKILL)):
            with Evlogd(data) as broker:
                assert broker.ready, broker.log
                with broker.connect() as connection:
                    if count == 10:
                        assert connection.create_topic("live")[0] == 0
                    for at in range(count):    # enough for chunks, so that no checkpoint needs a carry frame
                        assert connection.produce("live", kafka_wire.batch([bytes([65 + at]) * 5000]))[0] == 0
                broker.stop(how)
        for shard in (0, 1):
            newest = sorted(os.listdir(f"{data}/checkpoint/{shard:04d}"))[-1]
            change(f"{data}/checkpoint/{shard:04d}/{newest}", 100)
        directory = Directory(data).open()
        assert held_by(directory, "live", 0)[1] == 15
        with Evlogd(data) as broker:
            assert broker.ready, broker.log
            with broker.connect() as connection:
                assert fetched(connection, "live", 0) == held_by(directory, "live", 0)


# --- runner ---------------------------------------------------------------------------------------------------------

def main():
    passed, failed, skipped = 0, 0, 0
    for name, test in sorted({**vars(test_archive), **vars(test_index), **globals()}.items()):
        if not name.startswith("test_") or not callable(test):
            continue
        try:
            test()
        except unittest.SkipTest as reason:
            skipped += 1
            print(f"SKIP: {name}: {reason}")
        except Exception:    # a failed test is reported, the others still run
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
        else:
            passed += 1
            print(f"ok     {name}", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
