# SPDX-License-Identifier: Apache-2.0
"""evlogd archives to a server that speaks S3, over a line that fails in every way.

Goal: whatever is torn, held back or refused on the way, everything that was acknowledged is in the bucket in the end,
and proves itself. Method: the gateway keeps objects as files of the same names, so a verifier that shares no code with
evlog reads them there.
"""
import json
import os
import subprocess
import sys
import time

import pytest

from evlogd import BIN, ROOT, Broker, wait_for
from kafka_wire import batch, batches_in
from object_stores import (BUCKET, FaultProxy, Versitygw, drop_after, drop_before, environment, half, nonsense, refuse,
                           stall)

BATCHES = 30
ARGS = ["--archive-max-lag-ms=100", "--archive-stop-timeout-ms=60s"]
WAIT_SECONDS = 60
EVERY_FAULT = bool(os.environ.get("ARCHIVE_EVERY_FAULT"))
BUSY, BROKEN, RACE = refuse(503, "SlowDown"), refuse(500, "InternalError"), refuse(409, "ConditionalRequestConflict")
ALL_FAULTS = (BUSY, drop_before, drop_after, BROKEN, nonsense, RACE)
FAULTS = {"/bundles/": (BUSY, drop_after), "/manifest/": (drop_before, RACE), "/root/": (drop_after, nonsense),
          "/tile/": (BROKEN,)}      # what is put: what becomes of it


@pytest.fixture(scope="module")
def versitygw():
    server = Versitygw()
    yield server
    server.stop()


@pytest.fixture
def proxy(versitygw):
    between = FaultProxy(versitygw.port)
    yield between
    between.stop()


@pytest.fixture
def start(tmp_path, monkeypatch, request):
    """Starts a broker that archives over a URL; below which prefix of the bucket."""
    brokers = []
    prefix = f"t{time.monotonic_ns()}"

    def start_it(url, args=(), **variables):
        for name, value in environment(url, EVLOG_S3_TIMEOUT="2s", **variables).items():
            if name.startswith(("AWS_", "EVLOG_S3_")):
                monkeypatch.setenv(name, value)
        brokers.append(Broker(tmp_path / "data", args=[f"--archive=s3://{BUCKET}/{prefix}", *(args or ARGS)]).start())
        return brokers[-1], prefix
    yield start_it
    for broker in brokers:
        broker.stop()


def verify(folder, broker):
    """What the verifier says of an archive."""
    command = [sys.executable, ROOT / "tools" / "verify" / "evlog_verify.py", "--archive", folder,
               "--key", broker.data / "keys" / "archive.pub.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["proven"], said
    return said["incarnations"][-1]


def publish(broker, topic, count):
    with broker.connect() as conn:
        for number in range(count):
            assert conn.produce(topic, batch([b"event %d" % number]))[0] == 0


def test_a_line_that_fails_loses_nothing(versitygw, proxy, start):
    broker, prefix = start(proxy.url)
    with broker.connect() as conn:
        assert conn.create_topic("orders")[0] == 0
    for text, actions in FAULTS.items():
        for action in ALL_FAULTS if EVERY_FAULT else actions:
            proxy.arm(action, method="PUT", text=text)
    proxy.arm(refuse(503), method="HEAD")
    armed = list(proxy.faults)
    wait_for(lambda: publish(broker, "orders", 1) or all(fault.count == 0 for fault in armed if fault.method == "PUT"),
             "all faults have happened", WAIT_SECONDS)
    proxy.calm()
    publish(broker, "orders", BATCHES)
    assert broker.stop() == 0, "".join(broker.log[-20:])
    assert broker.said("everything is in the archive")
    found = verify(versitygw.folder / "data" / BUCKET / prefix, broker)
    assert found["batches"] >= BATCHES + len([fault for fault in armed if "bundles" in fault.text])
    assert found["gaps"] == []


def test_a_broker_goes_on_where_a_killed_one_was(versitygw, start):
    broker, prefix = start(versitygw.url)
    with broker.connect() as conn:
        assert conn.create_topic("orders")[0] == 0
    for _ in range(3):
        publish(broker, "orders", 10)
        before = broker.metric("evlog_archive_roots_total")
        wait_for(lambda before=before: broker.metric("evlog_archive_roots_total") > before, "a root was signed",
                 WAIT_SECONDS)
        publish(broker, "orders", 10)
        broker.kill()
        broker.start()
    assert broker.stop() == 0
    found = verify(versitygw.folder / "data" / BUCKET / prefix, broker)
    assert found["batches"] >= 60 and found["gaps"] == []


def restore(url, prefix, broker, folder):
    """(exit code, text) of one try."""
    done = subprocess.run([BIN / "evlog", "archive", "restore", f"s3://{BUCKET}/{prefix}", "--to", folder,
                           "--key", broker.data / "keys" / "archive.pub.pem"], env=environment(url),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_lost_disk_comes_back_over_a_line_that_fails(proxy, versitygw, start, tmp_path):
    broker, prefix = start(versitygw.url)
    with broker.connect() as conn:
        assert conn.create_topic("orders")[0] == 0
    publish(broker, "orders", BATCHES)
    assert broker.stop() == 0
    for number, action in enumerate((half, refuse(503, "SlowDown"), drop_before, nonsense)):
        proxy.arm(action, method="GET", skip=2 * number)
    for _ in range(10):
        code, text = restore(proxy.url, prefix, broker, tmp_path / "restored")
        if code == 0:
            break
        assert code != 8, text      # nothing is taken for a bad archive
    assert code == 0, text
    restored = Broker(tmp_path / "restored").start()
    try:
        with restored.connect() as conn:
            assert len(batches_in(conn.fetch("orders")["records"])) == BATCHES
    finally:
        restored.stop()


TROUBLES = [  # of a store that has worked before: what it answers, and what an operator reads
    (refuse(503, "SlowDown"), "come again later"),
    (refuse(500, "InternalError"), "500"),
    (RACE, "409"),
    (stall, "the answer was lost"),
    (refuse(400, "ExpiredToken"), "the credentials have expired: renew them"),
]
SLOW_TROUBLES = [  # like the last one, they are tried again after half a minute
    (refuse(403, "AccessDenied"), "grant it"),
    (refuse(403, "RequestTimeTooSkewed", headers=[("Date", "Wed, 01 Jan 2020 00:00:00 GMT")]), "this machine's clock"),
    (refuse(404, "NoSuchBucket"), "there is no bucket"),
]


def status(broker):
    done = subprocess.run([BIN / "evlog", "archive", "status", "--json", "-b", broker.bootstrap], capture_output=True,
                          text=True, timeout=60, check=False)
    return json.loads(done.stdout)


def test_trouble_in_the_middle_is_named_as_long_as_it_lasts(proxy, versitygw, start):
    """A log line at its beginning is gone from the screen when somebody asks hours later."""
    broker, prefix = start(proxy.url, ["--archive-max-lag-ms=100", "--archive-stop-timeout-ms=3s"])
    with broker.connect() as conn:
        assert conn.create_topic("orders")[0] == 0
    troubles = TROUBLES + SLOW_TROUBLES * EVERY_FAULT
    for action, said in troubles:
        publish(broker, "orders", 1)
        wait_for(lambda: status(broker)["message"] is None and status(broker)["pending_bytes"] == 0, "all is well",
                 WAIT_SECONDS)
        proxy.arm(action, method="PUT", text="/bundles/", count=1 << 30)
        publish(broker, "orders", 1)
        wait_for(lambda said=said: said in (status(broker)["message"] or ""), said, WAIT_SECONDS)
        assert status(broker)["state"] == "works"
        if action is not troubles[-1][0]:
            proxy.calm()
    assert broker.stop() == 0
    proxy.calm()
    assert broker.said("stopped before everything was in the archive", "next start: ", troubles[-1][1])
    broker.start()
    assert broker.stop() == 0
    found = verify(versitygw.folder / "data" / BUCKET / prefix, broker)
    assert found["batches"] >= 2 * len(troubles) and found["gaps"] == []


def test_a_store_that_refuses_is_named_and_the_broker_serves_on(versitygw, start):
    broker, _ = start(versitygw.url, ["--archive-stop-timeout-ms=100"], AWS_SECRET_ACCESS_KEY="another-secret")
    with broker.connect() as conn:
        assert conn.create_topic("orders")[0] == 0
    publish(broker, "orders", 10)
    wait_for(lambda: any("the secret access key is not the one" in line for line in broker.log), "the cause is named",
             WAIT_SECONDS)
    assert not any("another-secret" in line for line in broker.log)
    assert broker.metric("evlog_archive_errors_total") > 0
    assert broker.stop() == 0
    assert "stopped before the archive could be asked what it has" in "".join(broker.log[-3:])
