# SPDX-License-Identifier: Apache-2.0
"""Ten thousand connections that say nothing, say it slowly or lie about what will come: few of them stay, memory is
flat, honest clients are served meanwhile, and nothing is left of the crowd afterwards."""
import contextlib
import os
import resource
import socket
import struct

import pytest

import kafka_wire as wire
from conftest import wait_for

CROWD = 10000
UNPROVEN = 500             # of a shard
MEMORY_FOR_EACH = 16 << 10
MEMORY_SPARE = 24 << 20    # of the honest client's events, the allocator and the kernel's pages
HEAD = wire.header(wire.PRODUCE, 7, 1, "crowd", False)


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CROWD + 500
    if hard < wanted:
        pytest.skip(f"a process may open {hard} files here, the crowd needs {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def silent(_):
    return b""


def half_a_length(i):
    return b"\0\0"[:1 + i % 2]


def lying(i):
    """The largest frame that is allowed is announced, and a little of it comes."""
    return struct.pack(">i", 100 << 20) + HEAD + bytes(i % 200)


def half_a_request(i):
    body = wire.frame(HEAD + bytes(400))
    return body[:5 + i % 300]


def served(conn, topic):
    error, base = conn.produce(topic, wire.batch([b"fine"]))[:2]
    assert error == 0
    assert wire.batches_in(conn.fetch(topic, offset=base)["records"]) == [(base, base, 1)]


@pytest.mark.parametrize("begin", [silent, half_a_length, lying, half_a_request])
def test_a_crowd_costs_little_and_hinders_nobody(fresh_broker, topic, begin):
    assert fresh_broker.stop() == 0
    fresh_broker.args = [f"--evlog-connections-unproven-max={UNPROVEN}"]
    fresh_broker.start()
    pid = fresh_broker.process.pid
    with fresh_broker.connect() as conn:
        assert conn.create_topic(topic)[0] == 0
        for _ in range(200):
            served(conn, topic)
        before = resident(pid)
        crowd = []
        for i in range(CROWD):
            member = socket.create_connection(("127.0.0.1", fresh_broker.port), 20)
            payload = begin(i)
            if payload:
                member.sendall(payload)
            crowd.append(member)
            if i % 500 == 0:
                served(conn, topic)
        wait_for(lambda: fresh_broker.metric("evlog_connections_accepted_total") >= CROWD, "all of them came")
        served(conn, topic)
        kept = fresh_broker.metric("evlog_connections_unproven")
        assert UNPROVEN <= kept <= UNPROVEN * (os.cpu_count() or 1), kept
        assert fresh_broker.metric("evlog_connections_unproven_closed_total") >= CROWD - kept
        grown = resident(pid) - before
        print(f"\n{begin.__name__}: {grown / kept:.0f} bytes for each of {kept:.0f} out of {CROWD}")
        assert grown < kept * MEMORY_FOR_EACH + MEMORY_SPARE
        for i, member in enumerate(crowd):    # one byte more each: still no request
            if begin is not silent and i % 2:
                with contextlib.suppress(OSError):
                    member.send(b"\0")
        served(conn, topic)
        with fresh_broker.connect() as late:
            served(late, topic)
        for member in crowd:
            member.close()
        wait_for(lambda: fresh_broker.metric("evlog_connections") <= 2, "they are gone")
        served(conn, topic)
