# SPDX-License-Identifier: Apache-2.0
"""A disk that does not answer, and a shard that does not.

Goal: a device on which writes begin and do not end is seen by probes while it lasts, and not only when it is over; then
everything goes on, and nothing is lost. So is a shard whose thread stands still. Method: the file system below the data
directory is frozen in front of an append, and thawed; one thread is stopped by ptrace, and let go.
"""
import ctypes
import fcntl
import os
import pathlib
import struct

import pytest

import mount
from evlogd import Broker, backends, start_or_skip, wait_for
from kafka_wire import batch

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
SIZE_MIB = 512
WALL = 0x40000000    # of waitpid: threads as well


class Frozen:
    """Nothing is written on the file system meanwhile; who writes waits."""

    def __init__(self, point):
        self.fd = os.open(point, os.O_RDONLY)

    def __enter__(self):
        try:
            fcntl.ioctl(self.fd, FIFREEZE, struct.pack("i", 0))
        except OSError as error:
            pytest.skip(f"freezing a file system is not permitted here: {error}")

    def __exit__(self, *_):
        fcntl.ioctl(self.fd, FITHAW, struct.pack("i", 0))
        os.close(self.fd)


@pytest.mark.parametrize("io", backends())
def test_a_disk_that_does_not_answer_is_not_ready(tmp_path, io):
    with mount.mounted(tmp_path, SIZE_MIB) as point:
        broker = start_or_skip(Broker(point / "data", io=io, shards=1, args=["--disk-reserve-bytes=1MiB"]))
        try:
            with broker.connect(timeout=120) as conn:
                assert conn.create_topic("t")[0] == 0
                assert conn.produce("t", batch([b"before"]))[:2] == (0, 0)
                assert broker.health()[0] == 200
                with Frozen(point):
                    held = conn.send_produce("t", batch([b"held"]), timeout_ms=120_000)
                    wait_for(lambda: broker.health()[0] == 503, "the look at the write", 60)
                    assert "the disk has not answered a journal write for 3" in broker.health()[1]
                    assert "live" in broker.get("/health/live"), "a restart would not help"
                    assert broker.metric("evlog_ready") == 0
                assert conn.read_produce(held)[:2] == (0, 1)
                wait_for(lambda: broker.health()[0] == 200, "readiness")
        finally:
            code = broker.stop()
        assert code == 0, "".join(broker.log[-50:])


PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


class Stopped:
    """One thread stands still meanwhile; the others of its process go on."""

    def __init__(self, process, name):
        tasks = pathlib.Path("/proc", str(process), "task").iterdir()
        self.thread = next(int(task.name) for task in tasks if (task / "comm").read_text().strip() == name)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ask(self, what):
        if self.libc.ptrace(what, self.thread, None, None) != 0:
            pytest.skip(f"ptrace is not permitted here: {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self.ask(PTRACE_SEIZE)
        self.ask(PTRACE_INTERRUPT)
        os.waitpid(self.thread, WALL)

    def __exit__(self, *_):
        self.ask(PTRACE_DETACH)


def test_a_shard_that_stands_still_is_not_ready(tmp_path):
    broker = Broker(tmp_path / "data", shards=2).start()
    try:
        assert broker.health()[0] == 200
        with Stopped(broker.process.pid, "shard-1"):
            wait_for(lambda: broker.health()[0] == 503, "the look at the shard", 60)
            assert "shard 1 has answered nobody for 3" in broker.health()[1]
            assert "live" in broker.get("/health/live"), "it may come back"
        wait_for(lambda: broker.health()[0] == 200, "readiness")
    finally:
        assert broker.stop() == 0
