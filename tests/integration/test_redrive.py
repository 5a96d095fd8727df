# SPDX-License-Identifier: Apache-2.0
"""evlog dlq redrive, drop, tasks, cancel and release on evlogd.

Goal: what was given up is worked on once more, each event once and in order, and only what was asked for; what cannot
be is refused with what to do. Method: handlers that refuse events until a file says that they are mended.
"""
import re

import pytest

from one_broker import broker, own_topic  # noqa: F401
from work_cases import Place

QUICK = {"retry.backoff.ms": 20, "retry.backoff.max.ms": 20}


@pytest.fixture
def place(broker, tmp_path, own_topic):
    return Place(broker.bootstrap, tmp_path, own_topic, QUICK)


def letters_of(place):
    return f"{place.topic}.{place.group}.dlq"


def dlq(place, verb, *args, expect=0):
    return place.evlog("dlq", verb, letters_of(place), *args, expect=expect)


def refuse_all(place, values, partitions=1):
    place.publish(values, partitions)
    place.work(place.script("exit 65"))
    place.seen.unlink()


def refusal(result):
    assert result.code != 0, result.err
    return result.err


def test_what_is_not_there_is_refused(place):
    refuse_all(place, ["k v"])
    assert "fits no work group" in refusal(place.evlog("dlq", "redrive", "nothing.dlq"))
    assert "no such group" in refusal(dlq(place, "redrive", "-g", "nobody", expect=None))
    assert "pattern" in refusal(dlq(place, "redrive", "--filter", "{", expect=None))
    assert "partition" in refusal(dlq(place, "redrive", "--offsets", "7:0-1", expect=None))
    assert "--offsets" in refusal(dlq(place, "redrive", "--offsets", "7:1-0", expect=None))
    assert "no redrive" in refusal(place.evlog("dlq", "cancel", "99999"))
    assert [letter["state"] for letter in dlq(place, "inspect", "--json").lines()] == ["open"]


def test_events_come_back_once_and_in_order(place):
    refuse_all(place, [f"k{i % 3} v{i}" for i in range(30)], partitions=2)
    assert "30 open letters" in dlq(place, "redrive", "--dry-run").err
    assert "30 events are delivered" in dlq(place, "redrive").err
    assert "0 events are delivered" in dlq(place, "redrive").err
    place.work(place.script("exit 0"))
    assert sorted(place.runs()) == sorted(f"v{i} 1" for i in range(30))
    for key in range(3):
        seen = [int(run[1:].split()[0]) for run in place.runs()]
        mine = [number for number in seen if number % 3 == key]
        assert mine == sorted(mine), "events of a key came out of order"
    stats, = dlq(place, "stats", "--json").lines()
    assert (stats["events"], stats["open"]) == (30, 0)


def test_only_what_is_selected_comes_back(place):
    refuse_all(place, ["a 1", "b 2", "a 3", "c 4"])
    dlq(place, "redrive", "--key", "a")
    dlq(place, "drop", "--offsets", "0:1", "--confirm", letters_of(place))
    mine, = [topic for topic in place.evlog("dlq", "ls", "--json", expect=0).lines()
             if topic["topic"] == letters_of(place)]
    assert (mine["events"], mine["open"]) == (4, 1)
    states = {letter["key"]: letter["state"] for letter in dlq(place, "inspect", "--json").lines()}
    assert states == {"a": "redriven", "b": "dropped", "c": "open"}
    place.work(place.script("exit 0"))
    assert place.runs() == ["1 1", "3 1"]
    assert [letter["key"] for letter in dlq(place, "inspect", "--json", "--open").lines()] == ["c"]


def test_copies_go_to_a_topic_once_and_as_they_were(place):
    refuse_all(place, [f"k{i % 3} {i}" for i in range(30)], partitions=2)
    before = place.evlog("consume", place.topic, "--json", expect=0).lines()
    target = f"{place.topic}.by-hand"
    assert "create it first" in refusal(dlq(place, "redrive", "--to", target, expect=None))
    place.evlog("topics", "create", target, "-p", "2", expect=0)
    assert "30 open letters" in dlq(place, "redrive", "--to", target, "--dry-run").err
    assert f"10 events were copied to {target}" in dlq(place, "redrive", "--to", target, "--key", "k1").err
    assert f"20 events were copied to {target}" in dlq(place, "redrive", "--to", target).err
    assert f"0 events were copied to {target}" in dlq(place, "redrive", "--to", target).err
    after = place.evlog("consume", target, "--json", expect=0).lines()
    where = re.compile(r"%s/%s/(\d+)/(\d+)$" % (re.escape(place.group), re.escape(place.topic)))
    origin = {(e["partition"], e["offset"]): e for e in before}
    for event in after:
        mark, = [header for header in event["headers"] if header["name"].startswith("evlog-")]
        assert mark["name"] == "evlog-redrive-source"
        old = origin.pop(tuple(int(number) for number in where.match(mark["value"]).groups()))
        assert all(event[name] == old[name] for name in ("key", "time", "data"))
    assert not origin, "some were not copied"
    for key in ("k0", "k1", "k2"):
        mine = [e["data"] for e in after if e["key"] == key]
        assert mine == sorted(mine), "copies of a key are out of order"
    tasks = dlq(place, "tasks", "--json").lines()
    assert {task["to"] for task in tasks} == {target} and {task["action"] for task in tasks} == {"copy"}
    assert {letter["state"] for letter in dlq(place, "inspect", "--json").lines()} == {"redriven"}


def test_copies_are_not_sent_where_dead_letters_of_the_group_go(place):
    refuse_all(place, ["k v"])
    assert "they are there" in refusal(dlq(place, "redrive", "--to", letters_of(place), expect=None))
    assert "evlog itself" in refusal(dlq(place, "redrive", "--to", "__evlog_groups", expect=None))
    assert "1 events were copied" in dlq(place, "redrive", "--to", place.topic).err


def test_a_redrive_with_a_rate_can_be_looked_at_and_cancelled(place):
    refuse_all(place, [f"k{i} v{i}" for i in range(8)])
    dlq(place, "redrive", "--rate", 1, "--detach")
    task, = dlq(place, "tasks", "--json").lines()
    assert task["state"] == "running"
    assert "is running" in refusal(dlq(place, "redrive", expect=None))
    place.evlog("dlq", "cancel", task["id"], expect=0)
    task, = dlq(place, "tasks", "--json").lines()
    assert task["state"] == "cancelled" and task["redriven"] < 8
    assert f"{8 - task['redriven']} events are delivered" in dlq(place, "redrive").err


def test_one_that_dies_again_has_its_whole_history(place):
    refuse_all(place, ["k v"])
    dlq(place, "redrive")
    place.work(place.script("echo still broken >&2; exit 65"))
    old, new = dlq(place, "inspect", "--json").lines()
    assert (old["state"], new["state"], new["attempts"]) == ("redriven", "open", 1)
    outcomes = [attempt["outcome"] for attempt in new["history"]]
    assert outcomes == ["reject", "redriven", "reject"]


def test_a_parked_key_is_released_behind_its_letters(place):
    place.settings |= {"on.exhausted": "park", "retry.max.attempts": 1}
    place.publish(["k 1", "k 2", "other 3", "k 4"])
    place.work(place.script("test $v != 1 || exit 1"))
    assert sorted(place.runs()) == ["1 1", "3 1"]
    place.seen.unlink()
    place.evlog("dlq", "release", place.topic, "k", "-g", place.group, expect=0)
    place.evlog("produce", place.topic, "-f", "%k %v", stdin="k 5\n", expect=0)
    place.work(place.script("exit 0"))
    assert place.runs() == ["1 1", "2 1", "4 1", "5 1"]
    again = place.evlog("dlq", "release", place.topic, "k", "-g", place.group)
    assert "not parked" in refusal(again)


def test_letters_that_were_deleted_stay_away_and_the_others_come_back(place, broker):
    refuse_all(place, [f"k{i} v{i}" for i in range(5)])
    with broker.connect() as conn:
        assert conn.delete_records(letters_of(place), 2) == (0, 2)
    stats, = dlq(place, "stats", "--json").lines()
    assert (stats["events"], stats["open"]) == (3, 3)
    assert "0 events are delivered" in dlq(place, "redrive", "--offsets", "0:0-1").err
    assert "3 events are delivered" in dlq(place, "redrive").err
    place.work(place.script("exit 0"))
    assert sorted(place.runs()) == ["v2 1", "v3 1", "v4 1"]
