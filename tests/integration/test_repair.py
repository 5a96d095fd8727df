# SPDX-License-Identifier: Apache-2.0
"""evlogd --repair: damage of the stream index is found and put aside, a sound one is left alone, and neither touches a
directory that is in use or is none. The index is that of tests/golden, but for what no log comes to."""
import shutil
import struct
import subprocess
import sys

import pytest

from conftest import BIN, ROOT, Broker, start_or_skip
from kafka_wire import batch, record

sys.path.insert(0, str(ROOT / "tests" / "golden"))

from making import program  # noqa: E402
from xxh3 import xxh3  # noqa: E402

EVLOGD = str(BIN / "evlogd")
DAMAGED = 8


def repair(what, data):
    return subprocess.run([EVLOGD, "--data", str(data), "--repair", what], capture_output=True, text=True, timeout=90)


@pytest.fixture
def directory(tmp_path):
    """A data directory of two shards after a clean stop, with an index in the first."""
    broker = start_or_skip(Broker(tmp_path / "data", shards=2))
    assert broker.stop() == 0
    shutil.rmtree(tmp_path / "data" / "streams", ignore_errors=True)
    subprocess.run([program("make_index"), "--sound", str(tmp_path / "data")], check=True)
    return tmp_path / "data"


def names(directory):
    return sorted(path.name for path in (directory / "streams" / "0000").iterdir())


def damage(path, pos):
    data = bytearray(path.read_bytes())
    data[pos] ^= 16
    path.write_bytes(data)


def test_a_sound_index_is_left_alone(directory):
    before = names(directory)
    for what in ("--check", "indexes"):
        done = repair(what, directory)
        assert done.returncode == 0, done.stderr
        assert "shard 0: stream index sound: files 2, entries 1303, keys 15\n" in done.stdout
        assert "shard 1: stream index sound: files 0, entries 0, keys 0\n" in done.stdout
        assert names(directory) == before


@pytest.mark.parametrize("name, pos", [("list", 130), ("0000000000000029.run", 50_000),
                                       ("000000000000002a.run", 5_000)])
def test_a_damaged_index_is_found_and_removed(directory, name, pos):
    damage(directory / "streams" / "0000" / name, pos)
    before = names(directory)
    done = repair("--check", directory)
    assert done.returncode == DAMAGED and "--repair indexes" in done.stderr
    assert "shard 0: stream index DAMAGED: " in done.stdout and f"streams/0000/{name}: " in done.stdout
    assert names(directory) == before, "a check changes nothing"
    done = repair("indexes", directory)
    assert done.returncode == 0 and "shard 0: stream index removed" in done.stdout
    assert names(directory) == []
    assert repair("--check", directory).returncode == 0
    broker = start_or_skip(Broker(directory, shards=2))
    assert broker.stop() == 0


def produce_keyed(broker, key):
    data = batch([b""], records=record(b"value", key=key))
    with broker.connect() as conn:
        assert conn.produce("orders", data)[0] == 0


def test_a_run_without_a_list_does_not_stand_in_the_way(tmp_path):
    """What a kill leaves between the first run of a directory and its first list."""
    broker = start_or_skip(Broker(tmp_path / "data", shards=1))
    with broker.connect() as conn:
        assert conn.create_topic("orders", configs=[("evlog.streams", "true")])[0] == 0
    produce_keyed(broker, b"one")
    assert broker.stop() == 0
    assert names(tmp_path / "data") == ["0000000000000001.run", "list"]
    (tmp_path / "data" / "streams" / "0000" / "list").unlink()
    broker = start_or_skip(Broker(tmp_path / "data", shards=1))
    produce_keyed(broker, b"two")
    assert broker.stop() == 0
    assert names(tmp_path / "data") == ["0000000000000001.run", "list"]
    done = repair("--check", tmp_path / "data")
    assert done.returncode == 0 and "files 1, entries 2, keys 2" in done.stdout


def test_a_damaged_log_is_told_and_its_index_is_kept(tmp_path):
    data = tmp_path / "data"
    broker = start_or_skip(Broker(data, shards=1))
    with broker.connect() as conn:
        assert conn.create_topic("orders", configs=[("evlog.streams", "true")])[0] == 0
        for n in range(40):
            records = b"".join(record(b"v" * 200, key=b"s%d" % (i % 7), offset_delta=i) for i in range(100))
            assert conn.produce("orders", batch([b""] * 100, records=records))[0] == 0
    assert broker.stop() == 0
    segments = [path for path in (data / "topics").glob("*/0/*.seg") if path.stat().st_size > 100_000]
    assert len(segments) == 1
    damage(segments[0], 128 + 8)
    before = names(data)
    for what in ("--check", "indexes"):
        done = repair(what, data)
        assert done.returncode == DAMAGED and "restore" in done.stderr
        assert f"{segments[0].name}: the chunk at position 128 does not verify\n" in done.stdout
        assert "shard 0: log DAMAGED, the stream index is left as it is" in done.stdout
        assert "agrees" not in done.stdout and names(data) == before


def test_the_index_is_held_against_the_log(tmp_path):
    """Of 4,000 events of seven streams some are in segments; after another secret there is nothing to compare."""
    data = tmp_path / "data"
    broker = start_or_skip(Broker(data, shards=1))
    with broker.connect() as conn:
        assert conn.create_topic("orders", configs=[("evlog.streams", "true")])[0] == 0
        for n in range(40):
            records = b"".join(record(b"v" * 200, key=b"s%d" % (i % 7), offset_delta=i) for i in range(100))
            assert conn.produce("orders", batch([b""] * 100, records=records))[0] == 0
    assert broker.stop() == 0
    done = repair("--check", data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shard 0: stream index agrees with the log: partitions 1, events " in done.stdout
    assert " events 0" not in done.stdout
    (data / "streams" / "secret").unlink()
    done = repair("--check", data)
    assert done.returncode == 0 and "the next start makes it anew" in done.stdout


def test_a_missing_file_is_damage(directory):
    (directory / "streams" / "0000" / "000000000000002a.run").unlink()
    done = repair("--check", directory)
    assert done.returncode == DAMAGED and "is not there" in done.stdout


def test_a_directory_in_use_is_refused(tmp_path):
    broker = start_or_skip(Broker(tmp_path / "data"))
    done = repair("indexes", tmp_path / "data")
    assert done.returncode == 6 and str(broker.process.pid) in done.stderr
    assert broker.stop() == 0


def test_what_is_no_data_directory_is_refused_and_not_made(tmp_path):
    assert repair("--check", tmp_path / "none").returncode == 1
    assert not (tmp_path / "none").exists()
    done = repair("indexes", tmp_path)
    assert done.returncode == 1 and "no data directory of evlogd" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_index_of_a_newer_format_is_left_alone(directory):
    path = directory / "streams" / "0000" / "list"
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 8, 2)
    struct.pack_into("<Q", data, 120, xxh3(bytes(data[:120])))
    path.write_bytes(data)
    before = names(directory)
    for what in ("--check", "indexes"):
        done = repair(what, directory)
        assert done.returncode == 1 and "newer evlogd" in done.stderr and "shard 0" in done.stderr
        assert names(directory) == before and path.read_bytes() == data
