# SPDX-License-Identifier: Apache-2.0
"""Goal: an event costs no more than it did. What is counted hardly depends on how busy the machine is: on a busy one a
run lasts longer, and timers, journal slots and commits of fewer events add to it. So the least of three runs counts
when the first is above its bound.

Method: evlogd with one shard does the same work once and twice as often; half of the difference is the cost of the
work, without start and stop. Instructions and allocations are counted by valgrind (posix backend, for it knows no
io_uring), system calls by strace, bytes written by the kernel.

A bound is a tenth to a quarter above what was measured when it was set, or the exact number where there is one. Raise
one only with the reason in the commit, and lower it when something got cheaper.
"""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import kafka_wire
from evlogd import Broker, wait_for

ONE = kafka_wire.batch([b"x" * 256])
THOUSAND = kafka_wire.batch([b"x" * 100] * 1000)
FETCH_BYTES = 1 << 20
TRIES = 3
SMALL_JOURNAL = ["--journal-slot-bytes", "24MiB", "--journal-ring-bytes", "96MiB"]    # filled with zeros early


# --- work: called with a broker that is ready and how often -------------------------------------------------------

def connections(broker, count):
    found = [kafka_wire.Connection("127.0.0.1", broker.port, 120) for _ in range(count)]
    found[0].create_topic("t")
    return found


def one_after_the_other(broker, times):
    """One connection, one event of 256 bytes a request, each acknowledged before the next."""
    conn, = connections(broker, 1)
    for _ in range(times):
        conn.produce("t", ONE)


def sixteen_at_once(broker, times):
    """The same from sixteen connections in step."""
    conns = connections(broker, 16)
    for _ in range(times // 16):
        asked = [conn.send_produce("t", ONE) for conn in conns]
        for conn, correlation in zip(conns, asked):
            conn.read_produce(correlation)


def batches(broker, times):
    """1,000 events of 100 bytes a request."""
    conn, = connections(broker, 1)
    for _ in range(times):
        conn.produce("t", THOUSAND)


def fetches(broker, times):
    """1 MiB of them from memory a request."""
    conn, = connections(broker, 1)
    for _ in range(20):
        conn.produce("t", THOUSAND)
    for _ in range(times):
        conn.fetch("t", max_bytes=FETCH_BYTES)


# --- instructions and allocations ---------------------------------------------------------------------------------

def under_valgrind(folder, tool, work, times, pattern):
    """The number that a run of the work ends with."""
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed: make deps")
    data = folder / f"{tool}-{times}"
    command = ["valgrind", f"--tool={tool}", f"--log-file={folder}/log"]
    command += {"callgrind": ["--callgrind-out-file=/dev/null"], "memcheck": ["--leak-check=no"]}[tool]
    broker = Broker(data, io="posix", shards=1, args=["--log-level", "warn"], wrapper=command)
    broker.start()
    try:
        work(broker, times)
    finally:
        assert broker.stop() == 0, "".join(broker.log)
    shutil.rmtree(data)
    return int(re.search(pattern, (folder / "log").read_text()).group(1).replace(",", ""))


def per_piece(folder, tool, work, times, pattern, most):
    runs = {times: [], 2 * times: []}
    for _ in range(TRIES):
        for count, found in runs.items():
            found.append(under_valgrind(folder, tool, work, count, pattern))
        piece = (min(runs[2 * times]) - min(runs[times])) / times
        if piece < most:
            break
    return piece


@pytest.mark.parametrize("work, times, most", [
    (one_after_the_other, 600, 22_500),
    (sixteen_at_once, 1600, 14_300),
    (batches, 60, 750_000),
    (fetches, 150, 1_150_000),
])
def test_instructions(tmp_path, work, times, most):
    counted = per_piece(tmp_path, "callgrind", work, times, r"Collected : (\d+)", most)
    print(f"\n{work.__name__}: {counted:,.0f} instructions, at most {most:,}")
    assert most / 3 < counted < most


@pytest.mark.parametrize("work, times", [(one_after_the_other, 300), (batches, 20), (fetches, 50)])
def test_no_allocation(tmp_path, work, times):
    """The heap is for starting; what comes and goes is in pools."""
    counted = per_piece(tmp_path, "memcheck", work, times, r"total heap usage: ([\d,]+) allocs", 0.1)
    print(f"\n{work.__name__}: {counted:.2f} allocations")
    assert counted < 0.1


# --- system calls -------------------------------------------------------------------------------------------------

def system_calls(broker, work, times, log):
    """Calls by name while the work is done."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: make deps")
    command = ["strace", "-f", "-c", "-U", "name,calls", "-o", str(log), "-p", str(broker.process.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = tracer.stderr.readline()
    if "attached" not in line:
        tracer.kill()
        pytest.skip(f"strace may not look at processes here: {line.strip()}")
    wait_for(lambda: attached_to_all(broker.process.pid), "strace at every thread")
    work(broker, times)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(60)
    tracer.stderr.close()
    rows = (line.split() for line in log.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}


def attached_to_all(pid):
    for task in (f"/proc/{pid}/task/{name}/status" for name in os.listdir(f"/proc/{pid}/task")):
        with open(task, encoding="utf-8") as file:
            if "TracerPid:\t0\n" in file.read():
                return False
    return True


@pytest.mark.parametrize("commit, most", [
    ("ring-dsync", {"io_uring_enter": 3.4}),
    ("thread", {"io_uring_enter": 3.4, "pwritev2": 1.3, "futex": 2.4, "write": 1.2}),
])
def test_system_calls_of_a_lone_client(tmp_path, commit, most):
    times = 800
    for attempt in range(TRIES):
        calls = calls_of_a_lone_client(tmp_path / str(attempt), commit, times)
        print(f"\n{commit}: " + ", ".join(f"{name} {count / times:.2f}" for name, count in sorted(calls.items())))
        above = [name for name, count in calls.items() if count / times >= most.get(name, 0.25)]
        if not above:
            break
    assert not above


def calls_of_a_lone_client(folder, commit, times):
    folder.mkdir()
    broker = Broker(folder / "data", shards=1, args=["--io-commit", commit, *SMALL_JOURNAL])
    broker.start()
    try:
        if broker.ready["io"] != "uring":
            pytest.skip("io_uring is not permitted here")
        return system_calls(broker, one_after_the_other, times, folder / "log")
    finally:
        broker.stop()


# --- bytes written ------------------------------------------------------------------------------------------------

def bytes_written(pid):
    with open(f"/proc/{pid}/io", encoding="utf-8") as file:
        return int(re.search(r"^write_bytes: (\d+)", file.read(), re.MULTILINE).group(1))


def wait_for_rest(pid):
    """A server that is asked nothing makes its next journal slot, and then rests. returns bytes written so far"""
    written = [-1]

    def rests():
        time.sleep(0.2)
        written.append(bytes_written(pid))
        return written[-1] == written[-2]
    wait_for(rests, "no more writes")
    return written[-1]


def test_bytes_written_for_a_byte_acknowledged(tmp_path):
    """Batches: once into the journal, once into a segment, and what pads both. The journal has its slots by then."""
    times = 1000
    broker = Broker(tmp_path / "data", shards=1, args=SMALL_JOURNAL)
    broker.start()
    try:
        conn, = connections(broker, 1)
        for _ in range(times):
            conn.produce("t", THOUSAND)
        before = bytes_written(broker.process.pid)
        for _ in range(times):
            conn.produce("t", THOUSAND)
        written = bytes_written(broker.process.pid) - before
    finally:
        broker.stop()
    ratio = written / (times * len(THOUSAND))
    print(f"\n{ratio:.2f} bytes written for a byte acknowledged")
    assert 1.9 < ratio < 2.2


def test_bytes_written_for_a_lone_event(tmp_path):
    """A block of the journal, and on a slow disk the durable-end mark behind it."""
    times = 400
    broker = Broker(tmp_path / "data", shards=1, args=SMALL_JOURNAL)
    broker.start()
    try:
        one_after_the_other(broker, 50)
        conn = kafka_wire.Connection("127.0.0.1", broker.port)
        before = wait_for_rest(broker.process.pid)
        for _ in range(times):
            conn.produce("t", ONE)
        written = bytes_written(broker.process.pid) - before
    finally:
        broker.stop()
    print(f"\n{written / times:.0f} bytes written for an event")
    assert 4096 <= written / times < 2 * 4096 + 500
