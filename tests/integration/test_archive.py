# SPDX-License-Identifier: Apache-2.0
"""evlogd with an archive in a directory: over restarts and kills everything comes into it, and what must not go on
does not: a disk that is older than what was signed, another cluster's prefix, a lost record of what was signed,
foreign keys."""
import base64
import json
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from cli_kit import evlog
from conftest import BIN, Broker, wait_for
from evlogd import files_len, quiet_port
from kafka_wire import batch

ARGS = ["--archive-max-lag-ms=200ms"]


def archived(tmp_path, name="data", archive="archive", args=()):
    """A broker with an archive; shards as few as possible, for it is started often."""
    return Broker(tmp_path / name, shards=1, args=[f"--archive=file://{tmp_path / archive}", *ARGS, *args])


@pytest.fixture
def started():
    """Start brokers; those that run at the end are stopped."""
    brokers = []

    def start(broker):
        brokers.append(broker)
        return broker.start()

    yield start
    for broker in brokers:
        if broker.process is not None:
            broker.stop()


def publish(broker, topic, count, *args):
    evlog("produce", topic, "--create", "--file", "-", "-X", "compression.type=none", *args, bootstrap=broker.bootstrap,
          stdin="".join(f"event {i} of {topic}\n" for i in range(count)), expect=0)


def status(broker, expect=0):
    return json.loads(evlog("archive", "status", "--json", bootstrap=broker.bootstrap, expect=expect).out)


def objects(tmp_path, archive="archive"):
    root = tmp_path / archive
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def proven(tmp_path, orphans=0):
    """What an auditor says who has the directory and the public keys."""
    done = subprocess.run([str(BIN / "evlog-audit"), "--key", str(tmp_path / "data" / "keys" / "archive.pub.pem"),
                           "--archive", str(tmp_path / "archive")], capture_output=True, text=True, timeout=60)
    said = f"{orphans} objects are not covered by a root and do not count\n" if orphans else ""
    assert done.returncode == 0 and done.stdout.startswith(said + "proven"), done.stdout + done.stderr


def stopped_reason(broker):
    """Why archiving has ended; the broker serves on and says so everywhere."""
    said = wait_for(lambda: (found := status(broker, expect=None))["state"] == "stopped" and found, "no end of it")
    code, health = broker.health()
    assert code == 200 and said["message"][:60] in json.loads(health)["warning"]
    assert broker.metric("evlog_archive_stopped") == 1
    assert broker.said("archiving has ended for good")
    refused = evlog("archive", "now", bootstrap=broker.bootstrap)
    # Where the audit log's own partition has other events than the archive, the request is refused for that.
    unrecorded = "the audit log cannot keep a record" in refused.err
    assert refused.code != 0
    assert ("restore the data directory from the archive" if unrecorded else said["message"][:60]) in refused.err
    return said["message"]


def test_without_an_archive_the_requests_say_so(started, tmp_path):
    broker = started(Broker(tmp_path / "data", shards=1))
    assert status(broker)["state"] == "none"
    assert "--archive" in evlog("archive", "now", bootstrap=broker.bootstrap).err
    broker.stop()
    for url in ("http://bucket", "file://relative"):
        with pytest.raises(AssertionError, match="archive.url"):
            Broker(tmp_path / "data", args=[f"--archive={url}"]).start()


def test_keys_that_are_made_are_told_in_the_form_of_the_log(started, tmp_path):
    """A reader of JSON lines is given nothing else, and a quiet log stays quiet."""
    broker = started(archived(tmp_path, args=["--log-format=json"]))
    lines = [json.loads(line) for line in broker.log]
    told = [line["text"].removeprefix("public key: ") for line in lines if "public key: " in line["text"]]
    file = (tmp_path / "data" / "keys" / "archive.pub.pem").read_text()
    assert len(told) == 2 and "".join(told) == "".join(line for line in file.splitlines() if "-----" not in line)
    quiet = started(archived(tmp_path, "quiet", "quiet-archive", args=["--log-level=warn"]))
    assert (tmp_path / "quiet" / "keys" / "archive.pub.pem").exists()
    assert not [line for line in quiet.log if "PUBLIC KEY" in line or "public key" in line]


def test_everything_comes_into_the_archive_over_stops_and_kills(started, tmp_path):
    broker = started(archived(tmp_path))
    publish(broker, "orders", 1000)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    first = status(broker)
    assert first["state"] == "works" and first["root"] > 0 and first["complete_through"]
    before = objects(tmp_path)
    assert any("/bundles/" in name for name in before)
    assert broker.stop() == 0
    assert broker.said("everything is in the archive")
    started(broker)
    publish(broker, "orders", 500)
    broker.kill()
    started(broker)
    evlog("archive", "now", "--wait", "--seal", "orders", bootstrap=broker.bootstrap, expect=0)
    last = status(broker)
    assert last["incarnation"] == first["incarnation"] and last["root"] > first["root"]
    now = objects(tmp_path)
    assert all(now.get(name, data) == data for name, data in before.items()), "an object was changed"
    segments = [data for name, data in now.items() if name.endswith(".seg")]
    assert sum(data.count(b" of orders") for data in segments) == 1500
    assert any("/checkpoint/" in name for name in now)
    assert broker.stop() == 0
    proven(tmp_path)


def test_what_is_no_longer_on_the_disk_is_read_from_the_archive(started, tmp_path):
    broker = started(archived(tmp_path, args=["--log-retention-check-interval-ms=100ms"]))
    evlog("topics", "create", "orders", "--set", "local.retention.bytes=65536", "--set", "segment.bytes=65536",
          bootstrap=broker.bootstrap, expect=0)
    lines = "".join(f"event {i} {'x' * 200}\n" for i in range(5000))
    evlog("produce", "orders", "--file", "-", "-X", "compression.type=none", bootstrap=broker.bootstrap, stdin=lines,
          expect=0)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    segments = tmp_path / "data" / "topics"
    wait_for(lambda: files_len(segments, "*.seg") < 400000, "local retention")
    assert broker.stop() == 0
    started(broker)  # with nothing in memory
    got = evlog("consume", "orders", "-o", "start", "-f", "%v\\n", bootstrap=broker.bootstrap, expect=0)
    assert got.out == lines
    assert broker.metric("evlog_archive_reads_total") > 0
    assert broker.stop() == 0
    proven(tmp_path)


def test_what_the_archive_acknowledges_is_in_it_when_the_disk_is_lost(started, tmp_path):
    broker = started(archived(tmp_path, args=["--archive-max-lag-ms=1h"]))
    evlog("topics", "create", "payments", "--set", "evlog.durability=store", bootstrap=broker.bootstrap, expect=0)
    publish(broker, "payments", 10)
    broker.kill()
    shutil.rmtree(tmp_path / "data")
    assert sum(data.count(b" of payments") for name, data in objects(tmp_path).items() if "/bundles/" in name) == 10


def test_a_signal_ends_the_wait_for_an_archive_that_takes_nothing(started, tmp_path):
    broker = started(archived(tmp_path, args=["--archive-stop-timeout-ms=300ms"]))
    evlog("topics", "create", "payments", "--set", "evlog.durability=store", "--set", "evlog.streams=true",
          bootstrap=broker.bootstrap, expect=0)
    evlog("append", "payments", "k", "--type", "Paid", bootstrap=broker.bootstrap, expect=0)
    for path in (tmp_path / "archive").iterdir():
        shutil.move(path, tmp_path / f"away-{path.name}")
        path.write_text("no folder")
    before = broker.metric("evlog_append_records_total")
    told, stored = {}, {"append": before + 1, "produce": before + 3}
    for command in (["append", "payments", "k", "--type", "Paid"], ["produce", "payments", "-k", "k", "one", "two"]):
        waiting = subprocess.Popen([str(BIN / "evlog"), *command, "-b", broker.bootstrap], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        wait_for(lambda: broker.metric("evlog_append_records_total") >= stored[command[0]], "an append that waits", 60)
        waiting.send_signal(signal.SIGTERM)
        told[command[0]] = waiting.communicate(timeout=60)[1]
        assert waiting.returncode == 130, told
    assert "no answer came" in told["append"] and "append it again with --id 0" in told["append"], told
    assert "2 of 2 events are not acknowledged, 0 are published" in told["produce"], told
    broker.kill()    # a stop would wait for the archive


def test_a_file_in_the_way_is_an_alarm_and_archiving_goes_on_without_it(started, tmp_path):
    broker = started(archived(tmp_path))
    publish(broker, "orders", 10)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    [bundles] = (tmp_path / "archive").rglob("bundles")
    shutil.move(bundles, tmp_path / "away")
    bundles.write_text("not evlog's")
    publish(broker, "orders", 10)
    wait_for(lambda: broker.metric("evlog_archive_refused") > 0, "the alarm")
    said = wait_for(lambda: (found := status(broker))["message"] and found, "the reason")
    assert said["state"] == "works", said
    assert f"file://{bundles} is in the way of a folder: nothing was overwritten; move it away" in said["message"]
    assert broker.said("is in the way of a folder")
    assert "see evlog archive status" in json.loads(broker.health()[1])["warning"]
    assert bundles.read_text() == "not evlog's" and broker.metric("evlog_archive_stopped") == 0
    bundles.unlink()
    shutil.move(tmp_path / "away", bundles)
    wait_for(lambda: broker.metric("evlog_archive_refused") == 0, "that it goes on", 90)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    assert not status(broker)["message"] and broker.stop() == 0
    proven(tmp_path)
    data = b"".join(objects(tmp_path).values())
    assert data.count(b"event 9 of orders") == 2


def test_a_stop_answers_what_the_archive_does_not_take(started, tmp_path):
    """Before connections are cut, and as what may be there: it is on the disk, and archived by the next start."""
    broker = started(archived(tmp_path))
    evlog("topics", "create", "orders", "--set", "evlog.durability=store", bootstrap=broker.bootstrap, expect=0)
    publish(broker, "orders", 10)
    [bundles] = (tmp_path / "archive").rglob("bundles")
    shutil.move(bundles, tmp_path / "away")
    bundles.write_text("in the way", encoding="ascii")
    with broker.connect() as held:
        asked = held.send_produce("orders", batch([b"held"]), timeout_ms=300000)
        wait_for(lambda: broker.metric("evlog_archive_refused") > 0, "the alarm")
        assert broker.stop() == 0
        assert held.read_produce(asked)[0] == 7, "timed out: clients try again"
    bundles.unlink()
    shutil.move(tmp_path / "away", bundles)
    started(broker)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    assert [value for value in events(broker, "orders") if "held" in value] == ["held"]
    assert broker.stop() == 0
    proven(tmp_path)


@pytest.mark.parametrize("folder", ["", "root", "manifest"])
def test_what_a_file_hides_of_an_archive_is_not_gone(started, tmp_path, folder):
    """A start that cannot see its archive neither begins another one nor ends archiving: it waits, and says so."""
    broker = started(archived(tmp_path))
    publish(broker, "orders", 10)
    assert broker.stop() == 0
    [incarnation] = [path.parent for path in (tmp_path / "archive").glob("*/cluster.json")]
    hidden = incarnation / folder if folder else incarnation
    shutil.move(hidden, tmp_path / "away")
    hidden.write_text("in the way", encoding="ascii")
    broker.start()
    wait_for(lambda: broker.metric("evlog_archive_refused") > 0, "the alarm")
    assert broker.said(f"file://{hidden} is in the way of a folder")
    assert broker.metric("evlog_archive_stopped") == 0
    hidden.unlink()
    shutil.move(tmp_path / "away", hidden)
    wait_for(lambda: broker.metric("evlog_archive_refused") == 0, "that it goes on", 90)
    publish(broker, "orders", 10)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    assert broker.stop() == 0
    assert list((tmp_path / "archive").glob("*/cluster.json")) == [incarnation / "cluster.json"]
    proven(tmp_path)


def test_a_disk_that_is_older_than_what_was_signed_is_refused(started, tmp_path):
    broker = started(archived(tmp_path))
    publish(broker, "orders", 10)
    publish(broker, "others", 1)
    assert broker.stop() == 0
    shutil.copytree(tmp_path / "data", tmp_path / "old")
    started(broker)
    publish(broker, "orders", 10)
    assert broker.stop() == 0
    before = objects(tmp_path)
    old = started(archived(tmp_path, name="old", args=["--archive-silent-ms=-1"]))
    assert "older than what was signed" in stopped_reason(old)
    publish(old, "others", 1)  # goes on, while changes are refused: the trail in the archive would have two ends
    refused = evlog("topics", "create", "more", bootstrap=old.bootstrap).err
    assert "evlog.audit.required" in refused and "restore the data directory from the archive" in refused
    old.stop()
    shutil.rmtree(tmp_path / "old" / "archive")  # and it does not help to forget what was signed
    started(old)
    assert "knows nothing of it" in stopped_reason(old)
    old.stop()
    assert objects(tmp_path) == before, "something was written"


def events(broker, topic):
    return evlog("consume", topic, "-o", "start", "-f", "%v\\n", bootstrap=broker.bootstrap, expect=0).out.splitlines()


def test_a_disk_that_is_older_is_healed_and_goes_on(started, tmp_path):
    quick = "--group-initial-rebalance-delay-ms=0"
    broker = started(archived(tmp_path, args=[quick]))
    publish(broker, "orders", 10)
    assert broker.stop() == 0
    shutil.copytree(tmp_path / "data", tmp_path / "old")
    started(broker)
    publish(broker, "orders", 20)
    publish(broker, "later", 5)  # of which the older catalogue knows nothing
    evlog("consume", "orders", "-g", "readers", "-n", "17", bootstrap=broker.bootstrap, expect=0)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    assert broker.stop() == 0
    before = objects(tmp_path)
    old = archived(tmp_path, name="old", args=["--from-archive=true", quick])
    started(old)
    assert old.said("it is healed from the archive") and old.said("the catalogue is healed")
    assert len(events(old, "orders")) == 30 and len(events(old, "later")) == 5
    rest = evlog("consume", "orders", "-g", "readers", "-f", "%o\\n", bootstrap=old.bootstrap, expect=0)
    assert rest.out.splitlines() == [str(offset) for offset in range(17, 30)], "not the newer disk's progress"
    publish(old, "orders", 3)
    evlog("archive", "now", "--wait", bootstrap=old.bootstrap, expect=0)
    assert old.stop() == 0
    after = objects(tmp_path)
    assert before.items() <= after.items(), "what was archived was changed"
    proven(tmp_path, orphans=1)  # the manifest that keeps others from going on
    started(broker)
    assert "continues the archive of this disk" in stopped_reason(broker)
    assert len(events(broker, "orders")) == 30


def test_an_older_disk_waits_while_the_newer_one_may_be_at_work(started, tmp_path):
    broker = started(archived(tmp_path))
    publish(broker, "orders", 10)
    assert broker.stop() == 0
    shutil.copytree(tmp_path / "data", tmp_path / "old")
    started(broker)
    publish(broker, "orders", 10)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    old = archived(tmp_path, name="old", args=["--archive-silent-ms=1h"])
    old.port = quiet_port()     # it is not ready, and says no port
    old.listen = f"127.0.0.1:{old.port}"
    old.launch()
    wait_for(lambda: old.log_lines("by a broker that may be at work"), "no word of the other broker")
    publish(broker, "orders", 10)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    held, other = old.connect(), old.connect()
    with held, other:
        asked = held.send_produce("orders", batch([b"held"]), timeout_ms=300000)
        other.metadata(["orders"])     # the only shard reads it later
        begun = time.monotonic()
        assert old.stop() == 0
        assert time.monotonic() - begun < 15
        assert held.read_produce(asked)[0] == 6, "not leader: clients try again"
    assert broker.stop() == 0
    proven(tmp_path)


def test_the_prefix_of_another_cluster_is_left_alone(started, tmp_path):
    first = started(archived(tmp_path, name="first"))
    publish(first, "orders", 10)
    assert first.stop() == 0
    before = objects(tmp_path)
    second = started(archived(tmp_path, name="second"))
    assert "another cluster" in stopped_reason(second)
    second.stop()
    assert objects(tmp_path) == before
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "from-me.txt").write_text("dear evlog", encoding="ascii")
    third = started(archived(tmp_path, name="third", archive="letters"))
    assert "no archive of evlog" in stopped_reason(third)


def signers(tmp_path):
    """Key hashes of the lines under the newest root."""
    name, note = max((name, data) for name, data in objects(tmp_path).items() if "/root/" in name)
    lines = note.decode().split("\n\n")[1].splitlines()
    return name, {base64.b64decode(line.split(" ")[2])[:4] for line in lines}


def test_keys_are_changed_by_a_file_with_old_and_new_ones(started, tmp_path):
    broker = started(archived(tmp_path))
    publish(broker, "orders", 10)
    assert broker.stop() == 0
    _, old = signers(tmp_path)
    assert len(old) == 2
    own = tmp_path / "data" / "keys" / "archive.pem"
    assert own.stat().st_mode & 0o777 == 0o400
    other = started(archived(tmp_path, name="other", archive="elsewhere"))
    other.stop()
    fresh = (tmp_path / "other" / "keys" / "archive.pem").read_text(encoding="ascii")
    foreign, both = tmp_path / "foreign.pem", tmp_path / "both.pem"
    foreign.write_text(fresh, encoding="ascii")
    both.write_text(own.read_text(encoding="ascii") + fresh, encoding="ascii")

    alone = started(archived(tmp_path, args=[f"--archive-key={foreign}"]))
    assert "none of the keys" in stopped_reason(alone)
    alone.stop()
    changing = started(archived(tmp_path, args=[f"--archive-key={both}"]))
    publish(changing, "orders", 1)
    assert changing.stop() == 0
    assert len(signers(tmp_path)[1]) == 4
    changed = started(archived(tmp_path, args=[f"--archive-key={foreign}"]))
    publish(changed, "orders", 1)
    assert changed.stop() == 0
    assert len(signers(tmp_path)[1]) == 2 and signers(tmp_path)[1].isdisjoint(old)


def test_after_a_start_without_its_store_the_lag_counts_from_what_was_signed(started, tmp_path, monkeypatch):
    broker = started(archived(tmp_path))
    publish(broker, "orders", 10)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    assert broker.stop() == 0
    time.sleep(3)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-looked-at")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    begun = time.monotonic()
    args = ["--archive=s3://bucket/prefix", "--archive-stop-timeout-ms=300ms", *ARGS]
    broker = started(Broker(tmp_path / "data", shards=1, args=args))
    wait_for(lambda: broker.metric("evlog_archive_lag_seconds") >= 2 + time.monotonic() - begun, "a lag from before")


def test_a_store_that_is_away_holds_up_nothing_and_is_caught_up_with(started, tmp_path):
    broker = started(archived(tmp_path, args=["--archive-stop-timeout-ms=300ms"]))
    publish(broker, "orders", 10)
    assert broker.stop() == 0
    (tmp_path / "archive").rename(tmp_path / "away")
    (tmp_path / "archive").write_text("in the way", encoding="ascii")
    with pytest.raises(AssertionError, match="archive"):
        broker.start()
    pathlib.Path(tmp_path / "archive").unlink()
    (tmp_path / "away").rename(tmp_path / "archive")
    started(broker)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    assert status(broker)["state"] == "works"
