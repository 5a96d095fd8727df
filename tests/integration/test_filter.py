# SPDX-License-Identifier: Apache-2.0
"""evlog consume --filter: event patterns over what clients have published.

Goal: the events that match come out, no others, in every way of reading; a wrong pattern is told before anything is
asked of a broker. What patterns mean in detail is tested in tests/unit/core.
"""
import json

import pytest
from confluent_kafka import Producer

from cli_kit import evlog
from conftest import Broker, start_or_skip

PAID = json.dumps({"ce_type": ["OrderPaid"],
                   "data": {"total": [{"numeric": [">", 100]}], "customer": {"tier": [{"anything-but": "free"}]}}})
CBOR_RUSH = bytes.fromhex("a2656e6f74657381647275736865746f74616cfb4062c00000000000")   # notes: [rush], total: 150.0


def order(total, tier):
    return json.dumps({"total": total, "customer": {"tier": tier}})


# What is tested is the client: one backend of the server is enough.
@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), args=["--group-initial-rebalance-delay-ms=0"]))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture(scope="module")
def orders(broker):
    """A topic with one event for each way to match or not."""
    evlog("topics", "create", "filtered", bootstrap=broker.bootstrap, expect=0)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    paid = [("ce_type", b"OrderPaid")]
    for key, value, headers in (
            ("a", order(150, "gold"), paid),
            ("b", order(99.5, "gold"), paid),
            ("c", order(150, "free"), paid),
            ("d", order(150, "gold"), [("ce_type", b"OrderSent")]),
            ("e", order(1e3, "basic"), [("x", b"1"), *paid]),
            ("f", "no JSON at all", paid),
            ("g", CBOR_RUSH, [("content-type", b"application/cbor")]),
            ("h", None, []),
            (None, "[1]", [("priority", b"7")]),
    ):
        producer.produce("filtered", key=key, value=value, headers=headers)
    assert producer.flush(30) == 0
    return broker


def keys(broker, *args):
    out = evlog("consume", "filtered", "-f", "%k\n", *args, bootstrap=broker.bootstrap, expect=0).out
    return out.split("\n")[:-1]


@pytest.mark.parametrize("patterns, hint", [
    (["{"], "line 1, column 2"),
    (['{"a":["x"]} {'], "line 1, column 13"),
    (['{"data":{"a":1}}'], "write [ ] around it"),
    (['{"data":{"a":[{"numeric":["!=",1]}]}}'], "anything-but"),
    (['{"a":[1]}', '{"a":[]}'], "pattern 2: line 1, column 7"),
    (['{"a":[1]}'] * 6, "at most 5 patterns"),
])
def test_a_wrong_pattern_is_told_before_a_broker_is_asked(patterns, hint):
    args = [word for pattern in patterns for word in ("--filter", pattern)]
    told = evlog("consume", "t", *args, bootstrap="127.0.0.1:1", expect=2)
    assert hint in told.err and "EVL-2003" in told.err
    told = evlog("consume", "t", "-g", "workers", "--json", *args, bootstrap="127.0.0.1:1", expect=2)
    error = json.loads(told.err)
    assert error["error"] == "EVL-2003" and hint in error["text"] and error["remedy"]
    assert told.out == ""


def test_only_what_matches_is_printed(orders):
    assert keys(orders, "--filter", PAID) == ["a", "e"]
    assert keys(orders, "--filter", '{"key":["b",{"prefix":"d"}]}') == ["b", "d"]
    assert keys(orders, "--filter", '{"data":{"notes":["rush"],"total":[150]}}') == ["g"]
    assert keys(orders, "--filter", '{"data":[{"exists":false}]}') == ["h"]
    assert keys(orders, "--filter", '{"priority":[{"numeric":[">=",7]}],"key":[{"exists":false}]}') == [""]
    assert keys(orders, "--filter", '{"key":["nobody"]}') == []


def test_any_of_several_patterns_may_match(orders):
    assert keys(orders, "--filter", '{"key":["b"]}', "--filter", PAID) == ["a", "b", "e"]


def test_a_count_counts_what_is_printed(orders):
    assert keys(orders, "--filter", PAID, "-n", "1") == ["a"]
    assert keys(orders, "--filter", '{"key":["e"]}', "-n", "1") == ["e"]
    assert keys(orders, "--filter", PAID, "-n", "3") == ["a", "e"]


def test_what_could_not_be_looked_into_is_told(orders):
    told = evlog("consume", "filtered", "--filter", PAID, bootstrap=orders.bootstrap, expect=0)
    assert "1 events left out whose payload is neither JSON nor CBOR" in told.err
    told = evlog("consume", "filtered", "--filter", '{"key":["a"]}', bootstrap=orders.bootstrap, expect=0)
    assert told.err == ""


def test_a_group_passes_over_what_does_not_match(orders):
    args = ("consume", "filtered", "-g", "filtering", "-f", "%k\n", "--filter", PAID)
    assert evlog(*args, "-n", "1", bootstrap=orders.bootstrap, expect=0).out == "a\n"
    assert evlog(*args, bootstrap=orders.bootstrap, expect=0).out == "e\n"
    lag = evlog("groups", "lag", "filtering", "--trend", "0", "--json", bootstrap=orders.bootstrap, expect=0)
    assert sum(line["lag"] for line in lag.lines()) == 0
