# SPDX-License-Identifier: Apache-2.0
"""evlog subscribe and read --follow on evlogd, as a user would.

Goal: what is stored and then what comes, each event once and in order, at the seam and from every position; a filter
takes what a reader of everything would take; what cannot be gone on from is refused, never passed over. Method: lines
of the program, compared with all that the topic holds.
"""
import json
import os
import subprocess
import threading

import pytest

from cli_kit import evlog
from conftest import BIN

DEADLINE_SECONDS = 60


class Orders:
    def __init__(self, bootstrap, topic):
        self.bootstrap, self.topic = bootstrap, topic

    def evlog(self, *args, expect=0, stdin=""):
        return evlog(*args, bootstrap=self.bootstrap, expect=expect, stdin=stdin)

    def create(self, *args):
        self.evlog("topics", "create", self.topic, *args)

    def produce(self, events):
        lines = [json.dumps({"specversion": "1.0", "id": f"e{n}", "source": "/t", "type": kind, "subject": key,
                             "data": {"n": n}}) for n, key, kind in events]
        self.evlog("produce", self.topic, "--cloudevents", "-", stdin="\n".join(lines) + "\n")

    def command(self, *args):
        return [str(BIN / "evlog"), "subscribe", self.topic, *map(str, args)]

    def subscribe(self, *args, expect=0):
        return self.evlog("subscribe", self.topic, "--until-caught-up", *args, expect=expect)

    def events(self, *args):
        """(partition, offset) of the events, and the lines."""
        lines = self.subscribe(*args).lines()
        assert [line["item"] for line in lines if line["item"] != "event"][-1:] == ["caught-up"]
        return [line for line in lines if line["item"] == "event"]

    def start(self, *args):
        env = {**os.environ, "EVLOG_BOOTSTRAP__SERVERS": self.bootstrap}
        return subprocess.Popen(self.command(*args), stdout=subprocess.PIPE, text=True, env=env)


def rest(process):
    """What else it prints until it ends, which must be soon."""
    watchdog = threading.Timer(DEADLINE_SECONDS, process.kill)
    watchdog.start()
    lines = [json.loads(line) for line in process.stdout]
    watchdog.cancel()
    process.stdout.close()
    process.wait()
    return lines


def places(lines):
    return [(line["partition"], line["offset"]) for line in lines]


@pytest.fixture
def orders(broker, topic):
    return Orders(broker.bootstrap, topic)


# --- refusals ---------------------------------------------------------------------------------------------------------

def test_what_cannot_be_a_subscription_is_refused(orders):
    orders.create("-p", 2)
    for args, code, text in (
            (("--filter", '{"data": 5}'), 2, "line 1, column"),
            (("--from", "someday"), 2, "a position that a line has shown"),
            (("--from", "A" * 40), 2, "is no position"),
            (("--type", ""), 2, "1 to 4096 bytes"),
            (("--missing", "perhaps"), 2, "fail or tell"),
            (("-n", "-2"), 2, "begins at 0"),
            (("--from", "2200-01-01T00:00:00Z"), 1, "")):
        told = orders.subscribe(*args, expect=code)
        assert "EVL-" in told.err and text in told.err and told.out == "", args
    orders.evlog("subscribe", orders.topic + "-none", expect=5)


def test_a_position_of_another_log_is_refused(orders, broker):
    orders.create("-p", 2)
    orders.produce([(n, f"k{n}", "T") for n in range(4)])
    position = orders.events()[-1]["position"]
    other = Orders(orders.bootstrap, orders.topic + "-b")
    other.create("-p", 2)
    assert "another topic" in other.subscribe("--from", position, expect=6).err
    orders.evlog("topics", "rm", orders.topic, f"--confirm={orders.topic}")
    orders.create("-p", 2)
    assert "made anew" in orders.subscribe("--from", position, expect=6).err


def test_events_that_are_gone_are_an_error_or_told(orders, broker):
    orders.create("-p", 1)
    for n in range(6):
        orders.produce([(n, "k", "T")])
    first = orders.events()[0]["position"]
    with broker.connect() as conn:
        assert conn.delete_records(orders.topic, 4) == (0, 4)
    told = orders.subscribe("--from", first, expect=7)
    assert "begins at 4" in told.err and "on_missing" in told.err and told.out == ""
    lines = orders.subscribe("--from", first, "--missing", "tell", expect=7).lines()
    assert [line["item"] for line in lines] == ["missing", "event", "event", "caught-up"]
    assert (lines[0]["partition"], lines[0]["from"], lines[0]["to"]) == (0, 1, 4)
    assert [line["offset"] for line in orders.events()] == [4, 5]  # from the beginning nothing is missing


def test_a_running_subscription_sees_its_topic_go(orders):
    orders.create("-p", 1)
    orders.produce([(0, "k", "T")])
    process = orders.start()
    assert json.loads(process.stdout.readline())["item"] == "event"
    assert json.loads(process.stdout.readline())["item"] == "caught-up"
    orders.evlog("topics", "rm", orders.topic, f"--confirm={orders.topic}")
    orders.create("-p", 1)
    orders.produce([(1, "k", "T")])
    assert rest(process) == [] and process.returncode == 5


# --- filters and positions --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("streams", [False, True])
def test_filters_take_what_a_reader_of_everything_would(orders, streams):
    orders.create("-p", 3, *(("--set", "evlog.streams=true") if streams else ()))
    kinds = ("Placed", "Paid", "Sent")
    orders.produce([(n, f"order-{n * n % 11}", kinds[n * 7 % 5 % 3]) for n in range(400)])
    orders.produce([(n, "rare", "Rare") for n in (400, 401)])
    orders.produce([(n, f"order-{n % 10}", kinds[n % 3]) for n in range(402, 700)])
    everything = orders.events()
    assert len(everything) == 700 and len({line["id"] for line in everything}) == 700
    for partition in range(3):
        offsets = [offset for at, offset in places(everything) if at == partition]
        assert offsets == list(range(len(offsets)))
    for args, wanted in (
            (("--stream", "rare"), lambda e: e["key"] == "rare"),
            (("--stream", "order-4"), lambda e: e["key"] == "order-4"),
            (("--stream", "nobody"), lambda e: False),
            (("--prefix", "order-1"), lambda e: e["key"].startswith("order-1")),
            (("--type", "Rare"), lambda e: e["type"] == "Rare"),
            (("--type", "Paid", "--type", "Sent"), lambda e: e["type"] in ("Paid", "Sent")),
            (("--stream", "order-4", "--type", "Paid"), lambda e: (e["key"], e["type"]) == ("order-4", "Paid")),
            (("--filter", '{"data":{"n":[{"numeric":[">=",650]}]}}'), lambda e: e["data"]["n"] >= 650),
            (("--filter", '{"key":["rare"]}', "--filter", '{"data":{"n":[3]}}'),
             lambda e: e["key"] == "rare" or e["data"]["n"] == 3)):
        got = orders.events(*args)
        assert sorted(places(got)) == sorted(places(filter(wanted, everything))), args
        if streams and args[0] == "--stream" and len(args) == 2:
            assert [line["version"] for line in got] == list(range(len(got)))
    stream = orders.events("--stream", "order-4")
    for at in (0, len(stream) // 2, len(stream) - 1):
        later = orders.events("--stream", "order-4", "--from", stream[at]["position"])
        assert places(later) == places(stream[at + 1:])
        assert [line["version"] for line in later] == [line["version"] for line in stream[at + 1:]]


def test_each_position_goes_on_exactly_behind_its_line(orders):
    orders.create("-p", 3)
    orders.produce([(n, f"k{n}", "T") for n in range(60)])
    lines = orders.events()
    for at in (0, 17, 40, 59):
        later = orders.events("--from", lines[at]["position"])
        assert sorted(places(later)) == sorted(places(lines[at + 1:]))
    assert orders.events("--from", "end") == []
    half = lines[30]["append_time"]
    assert sorted(places(orders.events("--from", half))) == sorted(places(e for e in lines if e["append_time"] >= half))


# --- history, then live -----------------------------------------------------------------------------------------------

def test_nothing_is_lost_or_doubled_where_history_ends(orders):
    orders.create("-p", 4)
    orders.produce([(n, f"k{n}", "T") for n in range(500)])
    process = orders.start("-n", 1500, "--no-positions")
    for part in range(5):
        orders.produce([(n, f"k{n}", "T") for n in range(500 + part * 200, 700 + part * 200)])
    lines = rest(process)
    ids = [line["id"] for line in lines if line["item"] == "event"]
    assert process.returncode == 0 and len(ids) == 1500 and set(ids) == {f"e{n}" for n in range(1500)}
    for partition in range(4):
        offsets = [line["offset"] for line in lines if line.get("partition") == partition]
        assert offsets == list(range(len(offsets)))


def test_a_crash_of_the_server_costs_no_event_and_doubles_none(fresh_broker, topic):
    orders = Orders(fresh_broker.bootstrap, topic)
    orders.create("-p", 2)
    orders.produce([(n, f"k{n}", "T") for n in range(50)])
    process = orders.start("-n", 150, "--type", "T")
    first = json.loads(process.stdout.readline())
    fresh_broker.listen = f"127.0.0.1:{fresh_broker.port}"
    for turn in range(2):
        fresh_broker.kill()
        fresh_broker.start()
        orders.produce([(n, f"k{n}", "T") for n in range(50 + turn * 50, 100 + turn * 50)])
    events = [line for line in [first, *rest(process)] if line["item"] == "event"]
    assert process.returncode == 0 and sorted(e["id"] for e in events) == sorted(f"e{n}" for n in range(150))
    later = orders.events("--from", events[100]["position"])
    assert sorted(places(later)) == sorted(places(events[101:]))


def test_it_says_when_it_has_caught_up_and_when_it_falls_behind(orders):
    orders.create("-p", 1)
    process = orders.start("-n", 1, "--behind", 0)
    assert json.loads(process.stdout.readline())["item"] == "caught-up"
    orders.produce([(0, "k", "T")])
    lines = rest(process)
    assert [line["item"] for line in lines] == ["fell-behind", "event"] and lines[0]["behind"] == 1


def test_following_a_stream_goes_on_counting(orders):
    orders.create("-p", 2, "--set", "evlog.streams=true")
    for n in range(3):
        orders.evlog("append", orders.topic, "k", "--type", "T", "--data", str(n))
    env = {**os.environ, "EVLOG_BOOTSTRAP__SERVERS": orders.bootstrap}
    process = subprocess.Popen([str(BIN / "evlog"), "read", orders.topic, "k", "--follow", "-n", "5", "--json"],
                               stdout=subprocess.PIPE, text=True, env=env)
    first = json.loads(process.stdout.readline())
    for n in range(3, 5):
        orders.evlog("append", orders.topic, "other", "--type", "T", "--data", str(n))
        orders.evlog("append", orders.topic, "k", "--type", "T", "--data", str(n))
    lines = [first, *rest(process)]
    assert [(line["version"], line["data"]) for line in lines] == [(n, n) for n in range(5)]
    usage = orders.evlog("read", orders.topic, "k", "--follow", "--backward", expect=2)
    assert "--follow goes on" in usage.err
