# SPDX-License-Identifier: Apache-2.0
"""evlog work, groups, dlq and trace on evlogd.

Goal: what a handler's end says becomes of its event, whoever dies; only the failing key waits; what was given up tells
its story. Method: the cases that every broker with share groups passes (work_cases.py), and those that are evlog's own.
"""
import pytest

from conftest import wait_for
from one_broker import broker, own_topic  # noqa: F401
from work_cases import *  # noqa: F401, F403
from work_cases import PATIENCE_SECONDS, Place, finish, value_of

QUICK = {"retry.backoff.ms": 20, "retry.backoff.max.ms": 20}
LATE = {"retry.backoff.ms": 60000, "retry.backoff.max.ms": 60000, "retry.backoff.jitter": "none"}


@pytest.fixture
def place(broker, tmp_path, own_topic):
    return Place(broker.bootstrap, tmp_path, own_topic, QUICK)


def dead_letters(place, *args):
    return place.evlog("dlq", "inspect", f"{place.topic}.{place.group}.dlq", "--json", *args, expect=0).lines()


def test_only_the_failing_key_waits(place):
    place.settings |= LATE | {"retry.backoff.ms": 1500}
    place.publish(["bad one", "good one", "bad two", "good two"])
    place.work(place.script("test $v != one -o $EVLOG_KEY != bad -o $EVLOG_ATTEMPT -ge 2"), "--concurrency", 2)
    runs = place.runs()
    assert runs.index("two 1") < runs.index("one 2"), "a good key waited"
    assert runs[-1] == "two 1", "the bad key's second event came before its first was done"


def test_exhausted_events_are_dead_letters_with_their_story(place):
    place.settings["retry.max.attempts"] = 2
    place.publish(["k poison", "k next"])
    place.work(place.script("test $v != poison || { echo no luck >&2; exit 9; }"))
    assert place.runs() == ["poison 1", "poison 2", "next 1"]
    letter, = dead_letters(place)
    assert letter["data_base64"] or letter["data"]
    assert letter | {"topic": place.topic, "partition": 0, "offset": 0, "group": place.group, "attempts": 2,
                     "key": "k", "error": "no luck"} == letter
    assert [attempt["error"] for attempt in letter["history"]] == ["no luck", "no luck"]
    assert dead_letters(place, "--key", "other") == []
    stats, = place.evlog("dlq", "stats", f"{place.topic}.{place.group}.dlq", "--json", expect=0).lines()
    assert stats["events"] == 1
    assert f"{place.topic}.{place.group}.dlq" in place.evlog("dlq", "ls", expect=0).out


def test_why_a_key_waits_is_told(place):
    place.settings |= LATE
    place.publish(["stuck a", "stuck b", "free c"])
    worker = place.start(place.script("test $EVLOG_KEY != stuck"))
    place.wait_for_runs(2)
    why = ["groups", "why", place.group, "stuck", "-t", place.topic, "--json"]
    wait_for(lambda: [line["state"] for line in place.evlog(*why, expect=0).lines()] == ["backoff"], "a backoff",
             PATIENCE_SECONDS)
    line, = place.evlog(*why, expect=0).lines()
    assert line | {"partition": 0, "offset": 0, "attempts": 1, "behind": 1, "parked": False} == line
    assert 0 < line["due_ms"] <= 60000
    other = ["groups", "why", place.group, "free", "-t", place.topic]
    wait_for(lambda: "does not wait" in place.evlog(*other, expect=0).err, "the other key's end", PATIENCE_SECONDS)
    assert finish(worker)[0] == 130


def test_a_halted_partition_says_where_and_goes_on_when_it_is_released(place):
    place.settings |= {"on.exhausted": "halt", "retry.max.attempts": 2}
    place.publish(["bad one", "good two", "other three"])
    assert place.evlog("groups", "release", place.group, "-t", place.topic).code != 0
    worker = place.start(place.script(f"test $v != one || test -e {place.folder}/now"))
    why = ["groups", "why", place.group, "nobody", "-t", place.topic]
    place.wait_for_runs(2)
    wait_for(lambda: '"halted"' in place.evlog(*why, "--json", expect=0).out, "a halt", PATIENCE_SECONDS)
    assert "halts at offset 0" in place.evlog(*why, expect=0).err
    assert "evlog groups release" in place.evlog(*why, expect=0).err
    letters = f"{place.topic}.{place.group}.dlq"
    place.evlog("topics", "create", letters, expect=0)
    for look in (["dlq", "ls"], ["dlq", "stats", letters], ["groups", "describe", place.group]):
        told = place.evlog(*look, expect=0).err
        assert f"halts in {place.topic}[0]: the event at offset 0" in told, look
        assert f"evlog groups release {place.group} -t {place.topic}" in told, look
    (place.folder / "now").touch()
    place.evlog("groups", "release", place.group, "-t", place.topic, expect=0)
    wait_for(lambda: place.runs().count("one 1") == 2, "the event again, as a first attempt", PATIENCE_SECONDS)
    assert place.evlog("groups", "release", place.group, "-t", place.topic).code == 5
    assert "halts" not in place.evlog("dlq", "ls", expect=0).err
    finish(worker)


def test_a_handler_that_outlives_its_lease_keeps_it(place):
    place.settings["lease.ms"] = 1000
    place.publish(["k slow"])
    place.work(place.script("sleep 3"))
    assert place.runs() == ["slow 1"]


def test_settings_that_are_none_are_refused_before_anything_runs(place):
    place.publish(["k v"])
    for setting in ("order=zigzag", "ordr=key", "=1", "start"):
        done = place.evlog("work", place.topic, "-g", place.group, "--set", setting, "--", "true")
        assert done.code not in (0, 130), setting
    assert place.evlog("groups", "set", place.group, "order=zigzag").code != 0
    place.evlog("groups", "create", place.group, "--start", "earliest", "--set", "order=partition", expect=0)
    place.evlog("groups", "set", place.group, "order=", "lease.ms=5s", "--dry-run")
    place.work(place.script("exit 0"))
    assert place.runs() == ["v 1"]


def test_a_filter_passes_over_what_it_does_not_match(place):
    place.publish(['a {"n":1}', 'a {"n":2}', 'b nothing', 'a {"n":3}'])
    refused = place.evlog("groups", "create", place.group, "--set", 'filter={"data":{"n":[{"numeric":["!",1]}]}}')
    assert refused.code != 0 and "line 1, column" in refused.err
    place.evlog("groups", "create", place.group, "--set", 'filter={"data":{"n":[{"numeric":[">",1]}]}}', expect=0)
    place.work(place.script("exit 0"))
    assert [run.split()[0] for run in place.runs()] == ['{"n":2}', '{"n":3}']


def test_a_chain_of_workers_is_shown_as_a_tree(place):
    place.publish([])
    middle, last = f"{place.topic}-middle", f"{place.topic}-last"
    for topic in (middle, last):
        place.evlog("topics", "create", topic, "-p", 1, expect=0)
    event = '{"specversion":"1.0","id":"o-17","source":"/s","type":"OrderPlaced","subject":"k","data":{}}'
    place.evlog("produce", place.topic, "--cloudevents", "-", stdin=event + "\n", expect=0)
    made = place.script("""echo '{"specversion":"1.0","id":"x","source":"/s","type":"Made'$EVLOG_TYPE'","data":{}}'""")
    place.work(made, "--emit", middle)
    second = Place(place.bootstrap, place.folder, middle, QUICK)
    second.work(made, "--emit", last)
    topics = [word for topic in (place.topic, middle, last) for word in ("-t", topic)]
    lines = place.evlog("trace", "o-17", "--json", *topics, expect=0).lines()
    assert [(line["depth"], line["type"], line["topic"]) for line in lines] == [
        (0, "OrderPlaced", place.topic), (1, "MadeOrderPlaced", middle), (2, "MadeMadeOrderPlaced", last)]
    inner = place.evlog("trace", lines[2]["id"], *topics, expect=0)
    assert "belongs to chain o-17" in inner.err
    assert place.evlog("trace", "nobody", *topics).code == 5


def test_a_group_of_the_other_kind_is_refused(place):
    place.publish(["k v"])
    place.evlog("consume", place.topic, "-g", "readers-" + place.group, expect=0)
    done = place.evlog("work", place.topic, "-g", "readers-" + place.group, "--", "true")
    assert done.code not in (0, 130)


def test_work_groups_are_groups_among_others(place):
    place.publish(["a one", "stuck two", "b three"], partitions=1)
    place.settings |= LATE
    worker = place.start(place.script("test $v != two"))
    place.wait_for_runs(3)
    shown = place.evlog("groups", "describe", place.group, "--json", expect=0).lines()[0]
    assert shown["protocol_type"] == "share" and shown["members"][0]["partitions"][0]["topic"] == place.topic
    assert place.evlog("groups", "rm", place.group, "--confirm", place.group).code == 6
    assert finish(worker)[0] == 130
    lag, = place.evlog("groups", "lag", place.group, "--trend", "0", "--json", expect=0).lines()
    assert (lag["committed"], lag["lag"]) == (1, 1), "only one event is not done"
    place.evlog("groups", "rm", place.group, "--confirm", place.group, expect=0)
    assert place.group not in place.evlog("groups", "ls", expect=0).out


def test_retries_and_killed_workers_add_nothing_to_what_is_emitted(place):
    place.settings |= {"lease.ms": 2000, "retry.max.attempts": "20", "share.session.timeout.ms": 5000,
                       "share.heartbeat.interval.ms": 1000}
    place.publish([f"k{i % 7} {i}" for i in range(60)], partitions=2)
    target = f"{place.topic}-out"
    place.evlog("topics", "create", target, "-p", 3, expect=0)
    handler = place.script("echo $v; echo $v; test $(($v % 3)) != 0 || test $EVLOG_ATTEMPT -ge 2")
    for i in range(3):
        worker = place.start(handler, "--emit", target, "--concurrency", "4")
        place.wait_for_runs(10 * (i + 1))
        worker.kill()
        worker.wait()
    place.work(handler, "--emit", target, "--concurrency", "4", "--drill", "duplicate")
    events = place.evlog("consume", target, "--json", expect=0).lines()
    assert sorted(value_of(event) for event in events) == sorted(str(i) for i in range(60) for _ in range(2))
    last = {}
    for event in events:
        number = int(value_of(event))
        assert last.get(event["key"], -1) <= number, "order of a key"
        last[event["key"]] = number


def test_what_may_not_be_emitted_fails_its_event(place):
    place.settings |= {"retry.max.attempts": "2"}
    target = f"{place.topic}-out"
    place.evlog("topics", "create", place.topic, "-p", 1, expect=0)
    place.evlog("topics", "create", target, "-p", 1, "--set", "cleanup.policy=compact", expect=0)
    place.evlog("produce", place.topic, stdin="keyless\n", expect=0)
    place.evlog("produce", place.topic, "-f", "%k %v", stdin="k good\n", expect=0)
    place.work(place.script("echo $v"), "--emit", target)
    assert [value_of(event) for event in place.evlog("consume", target, "--json", expect=0).lines()] == ["good"]
    letter, = place.evlog("dlq", "inspect", f"{place.topic}.{place.group}.dlq", "--json", expect=0).lines()
    assert letter["reason"] == "emit" and "compacted" in letter["error"], letter


def test_what_a_stream_refuses_for_good_is_a_letter_and_holds_up_nothing(place):
    target, letters = f"{place.topic}-out", f"{place.topic}.{place.group}.dlq"
    place.evlog("topics", "create", target, "-p", 1, "--set", "evlog.streams=true", expect=0)
    place.evlog("produce", target, "-f", "%k %v", stdin="ended first\n", expect=0)
    place.evlog("streams", "delete", target, "ended", "--hard", "--confirm=ended", expect=0)
    place.publish([f"{'ended' if i % 5 == 2 else 'k'}-{i} {i}".replace(f"ended-{i}", "ended") for i in range(20)])
    place.work(place.script("echo $v"), "--emit", target, "--concurrency", "4")
    published = [value_of(event) for event in place.evlog("consume", target, "--json", expect=0).lines()]
    assert sorted(published[2:], key=int) == [str(i) for i in range(20) if i % 5 != 2], published
    told = place.evlog("dlq", "inspect", letters, "--json", expect=0).lines()
    assert sorted(letter["offset"] for letter in told) == [2, 7, 12, 17]
    assert {(letter["topic"], letter["reason"]) for letter in told} == {(place.topic, "emit-refused")}
    assert "0 events are delivered" in place.evlog("dlq", "redrive", letters, expect=0).err
    other = f"{place.topic}-other"
    place.evlog("topics", "create", other, "-p", 1, expect=0)
    place.evlog("dlq", "redrive", letters, "--reason", "emit-refused", "--to", other, expect=0)
    after = place.evlog("consume", other, "--json", expect=0).lines()
    assert sorted((event["key"], value_of(event)) for event in after) == [("ended", str(i)) for i in (12, 17, 2, 7)]
