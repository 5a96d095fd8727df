# SPDX-License-Identifier: Apache-2.0
"""Goal: a disk that gets full while the archive is away refuses appends and gives up nothing that is not archived,
whatever local.retention says; when the archive is there again everything goes into it, the disk gets space by itself,
appends are taken again, and every acknowledged event is read.

Method: as test_full_disk.py; the archive is in a bucket, whose server answers that it is overloaded meanwhile.
"""
import json
import subprocess
import sys

import pytest

from evlogd import ROOT, backends, files_len, wait_for
from kafka_wire import batch
from mount import MIB, Ballast
from object_stores import BUCKET, FaultProxy, Versitygw, environment, refuse
from test_full_disk import STORAGE_ERROR, TOPIC, check_kept, produce_until

ARCHIVE_SECONDS = 120


def verify(archive, broker):
    done = subprocess.run([sys.executable, ROOT / "tools/verify/evlog_verify.py", "--archive", archive, "--key",
                           broker.data / "keys/archive.pub.pem"], capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["proven"] and said["incarnations"][-1]["gaps"] == [], said


@pytest.fixture
def bucket(monkeypatch):
    server = Versitygw()
    proxy = FaultProxy(server.port)
    for name, value in environment(proxy.url).items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    yield server, proxy
    proxy.stop()
    server.stop()


def on_disk(broker):
    return files_len(broker.data / "topics", "*.seg")


@pytest.mark.parametrize("io", backends())
def test_nothing_leaves_a_full_disk_before_it_is_archived(small_disk, bucket, io):
    mount, start = small_disk
    server, proxy = bucket
    broker = start(io, 24 * MIB, [f"--archive=s3://{BUCKET}/{io}", "--archive-max-lag-ms=200",
                                  "--archive-segment-bytes=1MiB", "--log-retention-check-interval-ms=100ms"])
    kept = []
    with broker.connect(timeout=60) as conn:
        assert conn.create_topic(TOPIC, configs=[("segment.bytes", "1048576"),
                                                 ("local.retention.bytes", "1048576")])[0] == 0
        produce_until(conn, kept, 0)
        wait_for(lambda: broker.metric("evlog_archive_roots_total") > 0, "a root")
        proxy.arm(refuse(503, "SlowDown"), count=1 << 30)
        Ballast(mount).fill(70 * MIB)
        assert produce_until(conn, kept, STORAGE_ERROR, 200000) > 50
        assert broker.said("below the reserve")
        check_kept(conn, kept)      # from the disk: the archive is out of reach
    broker.kill()       # nor is anything given up in a start
    broker.start()
    with broker.connect(timeout=60) as conn:
        check_kept(conn, kept)
        full = on_disk(broker)
        proxy.calm()
        wait_for(lambda: on_disk(broker) < full - 20 * MIB, "what is archived leaves the disk", ARCHIVE_SECONDS)
        wait_for(lambda: conn.produce(TOPIC, batch([b"again"]))[0] == 0, "appends are taken again", ARCHIVE_SECONDS)
        check_kept(conn, kept)
    assert broker.stop() == 0, "".join(broker.log[-30:])
    verify(server.folder / "data" / BUCKET / io, broker)
