# SPDX-License-Identifier: Apache-2.0
"""Goal: a change of which the audit log has no room for a record is refused, and is not made.

Method: as test_full_disk.py, with a reserve of 0.
"""
import os
import pathlib
import struct
import sys

import pytest

import kafka_wire as wire
from evlogd import backends, wait_for
from kafka_wire import batch
from mount import Ballast

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from cli_kit import evlog  # noqa: E402

STORAGE_ERROR = 56    # retriable: clients ask again


def refusals(broker, count=20):
    """CreateTopics 4 that only validates, many at once: each leaves two long records in the audit log. returns the
    errors {(code, message)}. A connection that is closed instead is one whose outcome could not be recorded."""
    body = struct.pack(">i", 40)
    for number in range(40):
        body += wire.string(f"{number}-" + "x" * 200) + struct.pack(">ihii", 1, 1, 0, 0)
    answers = set()
    with broker.connect(timeout=300) as conn:
        asked = [conn.send(wire.CREATE_TOPICS, 4, body + struct.pack(">ib", 30000, 1)) for _ in range(count)]
        try:
            for correlation in asked:
                reader = conn.receive(correlation)
                reader.unpack("ii")
                reader.string()
                answers.add((reader.unpack("h"), reader.string()))
        except EOFError:
            pass
    return {answer for answer in answers if answer[0] != 0}


def audited(broker, *args):
    return evlog("audit", "tail", "--all", "--json", *args, bootstrap=broker.bootstrap, expect=0).lines()


@pytest.mark.parametrize("io", backends())
def test_changes_that_cannot_be_recorded_are_refused(small_disk, io):
    """Records of changes may use what is left of the disk and of the journal; when that is used up a change is refused
    with the reason, nothing of it is made, and all goes on when there is space again."""
    mount, start = small_disk
    broker, ballast = start(io, 0), Ballast(mount)
    with broker.connect(timeout=300) as conn:
        assert conn.create_topic("before")[0] == 0
        ballast.fill(0)
        wait_for(lambda: conn.produce("before", batch([os.urandom(30000)]), timeout_ms=2000)[0] == STORAGE_ERROR,
                 "appends are refused", 60)
        assert conn.create_topic("meanwhile")[0] == 0, "records may use what is left"
        refused = set()
        for _ in range(300):
            refused = refusals(broker)
            if refused:
                break
        assert {code for code, _ in refused} == {STORAGE_ERROR}
        assert all("the audit log cannot keep a record of this change" in text for _, text in refused)
        code, text = conn.create_topic("refused")
        assert code == STORAGE_ERROR and "evlog.audit.required" in text
        assert broker.metric("evlog_audit_refused_total") >= 2
        done = evlog("user", "create", "nobody", "--generate", bootstrap=broker.bootstrap)
        assert done.code != 0
        topics = evlog("topics", "ls", bootstrap=broker.bootstrap, expect=0).out
        assert "before" in topics and "meanwhile" in topics and "refused" not in topics
        ballast.free()
        wait_for(lambda: conn.create_topic("after")[0] in (0, wire.TOPIC_ALREADY_EXISTS), "changes are taken", 120)
        assert conn.delete_topic("meanwhile") == 0
    broker.kill()
    broker.start()
    topics = evlog("topics", "ls", bootstrap=broker.bootstrap, expect=0).out
    assert "before" in topics and "after" in topics and "refused" not in topics and "meanwhile" not in topics
    assert "nobody" not in evlog("user", "ls", bootstrap=broker.bootstrap, expect=0).out
    calls = {}
    for line in audited(broker, "--class", "changes"):
        if "call" in line:   # a start is a change as well, which nobody asked for
            calls.setdefault(line["call"], []).append(line)
    made = [lines[-1] for lines in calls.values() if lines[-1].get("outcome") == "ok"]
    assert {"meanwhile", "after"} <= {topic["name"] for line in made if line["api"] == "CreateTopics"
                                      for topic in line["parameters"]["topics"]}
    assert all([line["phase"] for line in calls[line["call"]]] == ["asked", "done"] for line in made)
    assert broker.stop() == 0, "".join(broker.log[-30:])
