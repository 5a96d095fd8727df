# SPDX-License-Identifier: Apache-2.0
"""Two ways for data to go: a secret that was published in clear is redacted, a sealed field is erased with its key.

Goal: after `evlog redact` the bytes are in no file of evlogd's directory and in no object of its archive, everybody who
looks is told, and nothing else has changed; an erasure is an event that the archive holds. Method: the programs on one
evlogd with an archive in a directory, kills in the middle, and three auditors."""
import json
import subprocess
import sys

import pytest

from cli_kit import evlog
from conftest import BIN, Broker
from evlogd import ROOT

SECRET = "swordfish-0123456789"


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path / "data", shards=1, args=[f"--archive=file://{tmp_path / 'archive'}"])
    broker.start()
    yield broker
    if broker.process is not None:
        broker.stop()


def publish(broker, topic, *lines):
    for line in lines:      # one batch each
        evlog("produce", topic, "--create", "--file", "-", bootstrap=broker.bootstrap, stdin=line + "\n", expect=0)


def redact(broker, topic, offsets, *args, expect=0, confirm=True):
    words = [f"--confirm={topic}"] if confirm else []
    done = evlog("redact", topic, "-p", "0", "--offsets", offsets, *words, *args, bootstrap=broker.bootstrap,
                 expect=expect)
    return json.loads(done.out) if done.out.startswith("{") else done


def holders(*folders):
    """Files that have the secret, by name or content."""
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and SECRET.encode() in
            path.read_bytes()]


def auditors(tmp_path):
    key, archive = tmp_path / "data" / "keys" / "archive.pub.pem", tmp_path / "archive"
    yield evlog("archive", "verify", f"file://{archive}", "--key", key, "--deep", expect=0).out
    for program in ([BIN / "evlog-audit"], [sys.executable, ROOT / "tools" / "verify" / "evlog_verify.py"]):
        done = subprocess.run([*map(str, program), "--key", str(key), "--archive", str(archive)], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        yield done.stdout


def test_a_secret_is_nowhere_and_everybody_says_so(broker, tmp_path):
    publish(broker, "orders", "a", "b", f"{SECRET} 1", "c", f"{SECRET} 2")
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    publish(broker, "orders", f"{SECRET} 3")        # not archived yet
    assert len(holders(tmp_path / "data", tmp_path / "archive")) >= 2
    assert redact(broker, "orders", "2", "--dry-run", confirm=False)["state"] == "found"
    assert redact(broker, "orders", "2-5", expect=2).code == 2                             # no reason
    assert redact(broker, "orders", "2", "--reason", "x", expect=2, confirm=False).code == 2
    assert holders(tmp_path / "archive")
    for offsets, batches in (("4-5", 2), ("2", 1)):
        said = redact(broker, "orders", offsets, "--reason", "a password, ticket 4711")
        assert (said["state"], said["batches"]) == ("complete", batches)
    assert holders(tmp_path / "data", tmp_path / "archive") == []
    assert redact(broker, "orders", "2-2", "--reason", "again")["batches"] == 0
    publish(broker, "orders", "d")
    evlog("archive", "now", "--wait", "--seal", "orders", bootstrap=broker.bootstrap, expect=0)
    for text in auditors(tmp_path):
        assert "redacted" in text and "a password, ticket 4711" in text, text
    got = evlog("consume", "orders", "-o", "start", "-f", "%o %v\\n", bootstrap=broker.bootstrap, expect=0).out
    assert got.splitlines() == ["0 a", "1 b", "3 c", "6 d"]
    archive = ["--source", "archive", "--archive", f"file://{tmp_path / 'archive'}"]
    digests = [evlog("replay", "orders", *source, bootstrap=broker.bootstrap, expect=0).digest()
               for source in ([], archive)]
    assert digests[0] == digests[1] and digests[0][1] == 4


def test_a_history_without_redacted_events_is_not_taken_for_whole(broker):
    evlog("topics", "create", "then", "--set", "cleanup.policy=compact", bootstrap=broker.bootstrap, expect=0)
    evlog("produce", "orders", "--create", "-k", "k1", "a", bootstrap=broker.bootstrap, expect=0)
    evlog("produce", "orders", "-k", "k2", SECRET, bootstrap=broker.bootstrap, expect=0)
    redact(broker, "orders", "1", "--reason", "a password")
    words = ("replay", "orders", "--fold", "latest", "--to", "topic:then", "--confirm=then")
    said = evlog(*words, bootstrap=broker.bootstrap, expect=7).err
    assert "1 are" in said
    evlog(*words, "--accept-holes", bootstrap=broker.bootstrap, expect=0)


def test_it_goes_on_after_a_kill(broker, tmp_path):
    publish(broker, "orders", "a", SECRET, "b")
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    redact(broker, "orders", "1", "--reason", "a password", "--no-wait")
    broker.kill()
    broker.start()
    assert redact(broker, "orders", "1", "--reason", "a password")["state"] in ("complete", "nothing")
    assert holders(tmp_path / "data", tmp_path / "archive") == []


def test_what_cannot_be_redacted_is_refused(broker):
    evlog("topics", "create", "streams", "--set", "evlog.streams=true", bootstrap=broker.bootstrap, expect=0)
    publish(broker, "orders", "a")
    assert "ends at offset 1" in redact(broker, "orders", "0-1", "--reason", "x", expect=None).err
    assert "evlog.streams" in redact(broker, "streams", "0", "--reason", "x", expect=None).err
    assert "own topics" in redact(broker, "__evlog_meta", "0", "--reason", "x", expect=None).err
    assert redact(broker, "nothing", "0", "--reason", "x", expect=None).code == 5
    told = evlog("redact", "orders", "-p", "0", "--offsets", "0", "--reason", "x", bootstrap=broker.bootstrap, expect=2)
    assert "nothing was removed: --confirm=orders says that you mean events of topic orders" in told.err


def test_a_restore_keeps_it_redacted(broker, tmp_path):
    publish(broker, "orders", "a", SECRET, "b")
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    redact(broker, "orders", "1", "--reason", "a password")
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    broker.stop()
    evlog("archive", "restore", f"file://{tmp_path / 'archive'}", "--to", tmp_path / "again", expect=0)
    assert holders(tmp_path / "again") == []


def test_an_erasure_is_an_event_of_the_archive(broker, tmp_path):
    keys, url = tmp_path / "keys", f"file://{tmp_path / 'archive'}"
    sealed = ("--keys", keys)
    evlog("keys", "init", keys, "--master", tmp_path / "master", expect=0)
    evlog("topics", "create", "people", "--set", "evlog.streams=true", bootstrap=broker.bootstrap, expect=0)
    evlog("append", "people", "p1", "--type", "Named", "--data", '{"name":"Ada"}', "--seal", "name", "--subject", "ada",
          *sealed, bootstrap=broker.bootstrap, expect=0)
    done = evlog("erase", "ada", *sealed, "--confirm=ada", "--now", bootstrap=broker.bootstrap, expect=0)
    told = json.loads(done.out)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    broker.stop()
    evlog("archive", "verify", url, "--key", tmp_path / "data" / "keys" / "archive.pub.pem", expect=0)
    events = [json.loads(line) for line in
              evlog("archive", "tail", url, "--topic", "evlog.erasures", "--json", expect=0).out.splitlines()]
    assert len(events) == 1 and told["subject"] in json.dumps(events[0]) and "erased_at" in json.dumps(events[0])
    archive = ("--source", "archive", "--archive", url)
    replayed = evlog("replay", "people", "--json", *archive, *sealed, expect=0).out
    assert '"$erased"' in replayed and told["subject"] in replayed and "Ada" not in replayed
