# SPDX-License-Identifier: Apache-2.0
"""docs/examples/order_service on an evlogd that is killed.

Goal: a program that decides on streams through libevlog keeps its rules, loses nothing and does nothing twice, whatever
happens to the server. Method: threads that work on one order while the server is killed and started again; what the
order is in the end must be exactly what was asked for.
"""
import os
import re
import subprocess
import threading
import time

import pytest

from cli_kit import evlog
from conftest import Broker, start_or_skip
from evlogd import quiet_port
from make_target import make_target
from otlp_collector import Collector

KILLS = 4
THREADS, EACH, CENTS = 4, 60, 5
RUN_SECONDS = 120


@pytest.fixture(scope="module")
def program():
    return make_target("examples/order_service")


@pytest.fixture
def broker(tmp_path):
    instance = start_or_skip(Broker(tmp_path / "data", listen=f"127.0.0.1:{quiet_port()}"))
    evlog("topics", "create", "orders", "-p", 2, "--set", "evlog.streams=true", bootstrap=instance.bootstrap, expect=0)
    yield instance
    if instance.process is not None:
        instance.stop()


def order(program, broker, *args, env=None):
    """(exit code, output, words on stderr) of a command."""
    done = subprocess.run([str(program), "orders", *map(str, args)], capture_output=True, text=True, check=False,
                          timeout=RUN_SECONDS,
                          env={**os.environ, **(env or {}), "EVLOG_BOOTSTRAP__SERVERS": broker.bootstrap})
    return done.returncode, done.stdout, done.stderr


def test_the_rules_of_the_shop_are_kept(program, broker):
    def run(code, text, *args):
        done = order(program, broker, *args)
        assert done[0] == code and text in done[1] + done[2], done
    run(2, "usage", "place", "o")
    run(3, "no such order", "pay", "o", 5)
    run(0, "version 0", "place:p", "o", "Ada")
    run(3, "there already", "place", "o", "Bob")
    run(0, "version 0 (done before)", "place:p", "o", "Ada")
    run(0, "version 1", "add", "o", "book", 700)
    run(3, "not what is owed", "pay", "o", 701)
    run(3, "not paid", "ship", "o")
    run(0, "version 2", "pay:1", "o", 700)
    run(0, "version 2 (done before)", "pay:1", "o", 700)
    run(0, "version 3", "ship", "o")
    run(3, "shipped or cancelled", "cancel", "o")
    run(0, "o: shipped, customer Ada, 1 items, 700 of 700 cents paid, version 3", "show", "o")


def test_orders_are_traced(program, broker):
    with Collector() as collector:
        for words in (("place", "o", "Ada"), ("add", "o", "book", 700)):
            assert order(program, broker, *words, env=collector.env("shop"))[0] == 0
        placed, added = collector.named("append orders")
    assert placed["traceId"] != added["traceId"] and placed["resource"]["service.name"] == "shop"
    assert placed["attributes"]["messaging.kafka.offset"] == 0 and added["status"] == {}


def test_kills_of_the_server_lose_nothing_and_double_nothing(program, broker):
    assert order(program, broker, "place", "o", "Ada")[0] == 0
    done = []
    worker = threading.Thread(target=lambda: done.append(order(program, broker, "rush", "o", THREADS, EACH, CENTS)))
    worker.start()
    for _ in range(KILLS):
        before = events(broker)
        deadline = time.monotonic() + RUN_SECONDS
        while worker.is_alive() and events(broker) < before + 20:
            assert time.monotonic() < deadline
        broker.kill()
        broker.start()
    worker.join()
    code, out, err = done[0]
    assert code == 0, err
    items = THREADS * EACH
    assert f"{items} items, 0 of {items * CENTS} cents paid, version {items}" in out
    rows = evlog("read", "orders", "o", "--json", bootstrap=broker.bootstrap, expect=0).lines()
    assert [row["version"] for row in rows] == list(range(items + 1))
    assert len({row["id"] for row in rows}) == items + 1


def events(broker):
    """Events of the order now."""
    row, = evlog("streams", "ls", "orders", bootstrap=broker.bootstrap, expect=0).out.splitlines()[1:]
    return int(re.match(r" *(\d+)", row).group(1)) + 1
