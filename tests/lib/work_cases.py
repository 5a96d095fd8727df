# SPDX-License-Identifier: Apache-2.0
"""What evlog work does on every broker that has share groups: evlogd and Apache Kafka.

A file of tests makes a fixture `place` (a Place) and says `from work_cases import *`. Handlers are shell scripts that
write what they saw into a file, one line a run.
"""
import base64
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from cli_kit import evlog  # noqa: E402
from evlogd import BIN, wait_for  # noqa: E402

PATIENCE_SECONDS = 60

__all__ = ["Place", "test_every_event_is_worked_on_once", "test_exit_codes_say_what_becomes_of_an_event",
           "test_failed_items_of_a_batch_come_again_and_the_others_do_not", "test_a_malformed_report_fails_the_batch",
           "test_a_failed_batch_is_split_without_using_up_attempts", "test_emitted_lines_have_ids_of_their_event",
           "test_lines_of_a_batch_are_emitted_by_the_event_that_they_name",
           "test_a_line_of_a_batch_that_names_no_event_fails_the_batch",
           "test_a_drill_runs_handlers_again_and_loses_nothing",
           "test_a_handler_that_cannot_be_started_ends_the_command",
           "test_a_handler_that_hangs_is_stopped_and_tried_again", "test_an_interrupt_lets_handlers_finish",
           "test_events_of_a_killed_worker_go_to_another", "test_a_large_event_reaches_its_handler_whole"]


class Place:
    """A broker, a topic and a group of the test's own, and where its handlers write."""

    def __init__(self, bootstrap, folder, name, settings=None):
        self.bootstrap, self.folder, self.topic = bootstrap, folder, name
        self.group = f"{name}-workers"
        self.seen = folder / "seen"
        self.settings = {"start": "earliest", **(settings or {})}

    def publish(self, values, partitions=1):
        self.evlog("topics", "create", self.topic, "-p", partitions, expect=0)
        lines = "".join(f"{value}\n" for value in values)
        self.evlog("produce", self.topic, "-f", "%k %v", stdin=lines, expect=0)

    def evlog(self, *args, **more):
        return evlog(*args, bootstrap=self.bootstrap, **more)

    def script(self, body):
        """A handler: in $v its input; it has written "$v $EVLOG_ATTEMPT" already."""
        path = self.folder / "handler"
        path.write_text(f"#!/bin/sh\nv=$(cat)\necho \"$v $EVLOG_ATTEMPT\" >>{self.seen}\n{body}\n")
        path.chmod(0o755)
        return str(path)

    def words(self, command, *options):
        sets = [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]
        return ["work", self.topic, "-g", self.group, "--timeout", "110s", *sets, *options, "--",
                *([command] if isinstance(command, str) else command)]

    def work(self, command, *options, expect=0):
        return self.evlog(*self.words(command, "--until-caught-up", *options), expect=expect)

    def start(self, command, *options):
        return subprocess.Popen([str(BIN / "evlog"), *self.words(command, *options)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "EVLOG_BOOTSTRAP__SERVERS": self.bootstrap})

    def runs(self):
        return self.seen.read_text().splitlines() if self.seen.exists() else []

    def wait_for_runs(self, count):
        wait_for(lambda: len(self.runs()) >= count, f"{count} runs of the handler", PATIENCE_SECONDS)


def finish(worker, sig=signal.SIGINT):
    worker.send_signal(sig)
    out, err = worker.communicate(timeout=PATIENCE_SECONDS)
    return worker.returncode, out, err


def test_every_event_is_worked_on_once(place):
    place.publish([f"k{i % 3} v{i}" for i in range(30)], partitions=3)
    done = place.work(place.script("exit 0"), "--concurrency", 4, "--json")
    assert sorted(place.runs()) == sorted(f"v{i} 1" for i in range(30))
    assert done.lines()[-1]["done"] == 30
    again = place.work(place.script("exit 0"))
    assert len(place.runs()) == 30, again.err


def test_exit_codes_say_what_becomes_of_an_event(place):
    place.publish(["a ok", "b later", "c never", "d fails"])
    done = place.work(place.script("""
case $v in
later) test $EVLOG_ATTEMPT -ge 2 || exit 75;;
never) echo "no such customer" >&2; exit 65;;
fails) test $EVLOG_ATTEMPT -ge 3 || { echo first line >&2; echo "no luck" >&2; exit 9; };;
esac"""), "--json")
    assert sorted(place.runs()) == ["fails 1", "fails 2", "fails 3", "later 1", "later 2", "never 1", "ok 1"]
    assert done.lines()[-1] | {"done": 3, "failed": 3, "dead": 1} == done.lines()[-1]
    assert "refused: exit 65: no such customer" in done.err
    assert "attempt 2 failed: exit 9: no luck" in done.err


BATCH = """#!/usr/bin/env python3
import json, os, sys
events = [json.loads(line) for line in sys.stdin]
with open({seen!r}, "a") as seen:
    seen.write(" ".join(f"{{event['data']}}/{{event['attempt']}}" for event in events) + chr(10))
{body}
"""


def batch_handler(place, body):
    path = place.folder / "batch"
    path.write_text(BATCH.format(seen=str(place.seen), body=body))
    path.chmod(0o755)
    return str(path)


def test_failed_items_of_a_batch_come_again_and_the_others_do_not(place):
    place.publish([f"k{i} {i}" for i in range(6)])
    handler = batch_handler(place, """
for event in events:
    if event["data"] % 2 == 1 and event["attempt"] == 1:
        os.write(3, b"%d\\n" % event["offset"])""")
    place.work(handler, "--batch", 10)
    seen = " ".join(place.runs()).split()
    assert sorted(seen) == ["0/1", "1/1", "1/2", "2/1", "3/1", "3/2", "4/1", "5/1", "5/2"]


def test_a_malformed_report_fails_the_batch(place):
    place.publish([f"k{i} {i}" for i in range(3)])
    handler = batch_handler(place, """
if events[0]["attempt"] == 1:
    os.write(3, b"%d\\noops\\n" % events[0]["offset"])""")
    done = place.work(handler, "--batch", 10)
    assert sorted(" ".join(place.runs()).split()) == ["0/1", "0/2", "1/1", "1/2", "2/1", "2/2"]
    assert "failed: report: line 2 on descriptor 3" in done.err


def test_a_failed_batch_is_split_without_using_up_attempts(place):
    place.publish([f"k{i} {i}" for i in range(8)])
    handler = batch_handler(place, """
sys.exit(65 if any(event["data"] == 5 for event in events) else 0)""")
    done = place.work(handler, "--batch", 8, "--bisect", "--json")
    assert done.lines()[-1] | {"done": 7, "dead": 1} == done.lines()[-1]
    assert "/2" not in " ".join(place.runs())
    assert "5/1" in place.runs()


def test_emitted_lines_have_ids_of_their_event(place):
    place.publish(["a one", "b two"])
    target = f"{place.topic}-out"
    place.evlog("topics", "create", target, "-p", 1, expect=0)
    place.work(place.script("""
test $v != one || test $EVLOG_ATTEMPT -ge 2 || { echo lost; exit 75; }
echo plain $v
echo '{"specversion":"1.0","id":"mine","source":"/s","type":"Made","subject":"'$v'","data":{"n":1}}'"""),
               "--emit", target)
    events = place.evlog("consume", target, "--json", expect=0).lines()
    got = {}
    for event in events:
        headers = {header["name"]: header["value"] for header in event["headers"]}
        got[headers["ce_id"]] = (event["key"], headers["evlog-causation-id"], headers["evlog-correlation-id"])
    place_of = {"one": f"{place.topic}/0/0", "two": f"{place.topic}/0/1"}
    assert got == {
        f"{place.group}/{place_of['one']}/0": ("a", place_of["one"], place_of["one"]),
        f"{place.group}/{place_of['one']}/1": ("one", place_of["one"], place_of["one"]),
        f"{place.group}/{place_of['two']}/0": ("b", place_of["two"], place_of["two"]),
        f"{place.group}/{place_of['two']}/1": ("two", place_of["two"], place_of["two"]),
    }
    assert len(events) == 4, "what a failed run said was published"


def emitted(place, target):
    """{id: value} of what is there; asserts that no id is there twice."""
    events = place.evlog("consume", target, "--json", expect=0).lines()
    ids = [header["value"] for event in events for header in event["headers"] if header["name"] == "ce_id"]
    assert len(ids) == len(events) == len(set(ids)), ids
    return dict(zip(ids, [value_of(event) for event in events]))


def value_of(event):
    return str(event["data"]) if "data" in event else base64.b64decode(event["data_base64"]).decode()


BATCH_EMITS = r"""import json, os, sys
for line in sys.stdin:
    event = json.loads(line)
    print(f"{event['offset']} a{event['data']}")
    print(f"{event['offset']}\tb {event['data']}")
    if event["data"] == 2 and event["attempt"] == 1:
        os.write(3, f"{event['offset']}\n".encode())
"""


def test_lines_of_a_batch_are_emitted_by_the_event_that_they_name(place):
    place.publish(["a 1", "b 2", "c 3"])
    target = f"{place.topic}-out"
    place.evlog("topics", "create", target, "-p", 1, expect=0)
    place.work([sys.executable, "-c", BATCH_EMITS], "--emit", target, "--batch", 10)
    where = f"{place.group}/{place.topic}/0"
    assert emitted(place, target) == {f"{where}/{offset}/{index}": f"{'ab'[index]}{' ' * index}{offset + 1}"
                                      for offset in range(3) for index in range(2)}


def test_a_line_of_a_batch_that_names_no_event_fails_the_batch(place):
    place.publish(["a 1", "b 2"])
    target = f"{place.topic}-out"
    place.evlog("topics", "create", target, "-p", 1, expect=0)
    done = place.work(place.script('echo 0 good; test -e "$0.again" || { touch "$0.again"; echo 7 bad; }'), "--emit",
                      target, "--batch", 10, "--json")
    assert done.lines()[-1]["failed"] >= 1 and "does not begin with an offset" in done.err
    assert list(emitted(place, target).values()) == ["good"]


def test_a_drill_runs_handlers_again_and_loses_nothing(place):
    place.publish([f"k v{i}" for i in range(24)])
    done = place.work(place.script("exit 0"), "--drill", "duplicate,crash", "--seed", 3, "--json")
    seen = {line.split()[0] for line in place.runs() if line.startswith("v")}
    assert seen == {f"v{i}" for i in range(24)}
    assert done.lines()[-1]["done"] == 24
    assert done.lines()[-1]["drills"] > 3


def test_a_handler_that_cannot_be_started_ends_the_command(place):
    place.publish(["k v"])
    done = place.evlog(*place.words("/nonexistent/handler"), expect=1)
    assert "EVL-2023" in done.err and "/nonexistent/handler" in done.err
    place.work(place.script("exit 0"))
    assert [line.split()[0] for line in place.runs()] == ["v"]


def test_a_handler_that_hangs_is_stopped_and_tried_again(place):
    place.publish(["k v"])
    began = time.monotonic()
    done = place.work(place.script("test $EVLOG_ATTEMPT -ge 2 || sleep 1000"), "--handler-timeout", "300ms")
    assert place.runs() == ["v 1", "v 2"]
    assert "attempt 1 failed: timeout" in done.err
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_an_interrupt_lets_handlers_finish(place):
    place.publish([f"k{i} v{i}" for i in range(20)])
    worker = place.start(place.script(f"sleep 0.3; echo ended >>{place.seen}"))
    place.wait_for_runs(1)
    code, _, err = finish(worker)
    assert code == 130, err
    runs = place.runs()
    assert sum(line == "ended" for line in runs) == sum(line.startswith("v") for line in runs)
    place.work(place.script("exit 0"))
    begun = [line.split()[0] for line in place.runs() if line.startswith("v")]
    assert sorted(set(begun)) == sorted(f"v{i}" for i in range(20))
    assert len(begun) == 20, "an event whose handler had finished came again"


def test_events_of_a_killed_worker_go_to_another(place):
    place.publish([f"k{i} v{i}" for i in range(5)])
    worker = place.start(place.script("sleep 5"))
    place.wait_for_runs(1)
    finish(worker, signal.SIGKILL)
    place.work(place.script("exit 0"))
    assert {line.split()[0] for line in place.runs()} == {f"v{i}" for i in range(5)}


def test_a_large_event_reaches_its_handler_whole(place):
    place.publish(["k small"])
    place.evlog("produce", place.topic, stdin="x" * 900_000, expect=0)
    handler = place.folder / "handler"
    handler.write_text(f"#!/bin/sh\nwc -c >>{place.seen}\n")
    handler.chmod(0o755)
    place.work(str(handler))
    assert sorted(map(int, place.runs())) == [5, 900_000]
