# SPDX-License-Identifier: Apache-2.0
"""Sagas: docs/examples/order_service, killed between all writes of its saga's runner.

Goal: whatever dies and when, every saga comes to the same end, each command is published once, nobody pays twice.
Method: the example kills itself at the N-th point between two writes; another one goes on. One server for all.
"""
import os
import signal
import subprocess
import time

import pytest

from cli_kit import evlog
from conftest import Broker, start_or_skip
from make_target import make_target

RUN_SECONDS = 60
POINTS = ("stored:1", "stored:2", "published:1", "handled:2", "taken:3")  # at which runners die


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    program = make_target("examples/order_service")
    broker = start_or_skip(Broker(tmp_path_factory.mktemp("saga") / "data"))
    evlog("topics", "create", "orders", "--set", "evlog.streams=true", bootstrap=broker.bootstrap, expect=0)
    yield Shop(program, broker.bootstrap)
    if broker.process is not None:
        broker.stop()


class Shop:
    def __init__(self, program, bootstrap):
        self.program = program
        self.bootstrap = bootstrap

    def start(self, *args, **env):
        return subprocess.Popen([str(self.program), "orders", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, "EVLOG_BOOTSTRAP__SERVERS": self.bootstrap, **env})

    def do(self, *args, **env):
        process = self.start(*args, **env)
        out, err = process.communicate(timeout=RUN_SECONDS)
        return process.returncode, out, err

    def checkout(self, order, card, items=1):
        for args in (("place", order, "Ada"), *[("add", order, "book", "1200")] * items, ("checkout", order, card)):
            code, _, err = self.do(*args)
            assert code == 0, err

    def evlog(self, *args, expect=0):
        return evlog(*args, bootstrap=self.bootstrap, expect=expect)

    def rows(self, topic, key):
        return self.evlog("read", topic, key, "--json").lines()

    def types(self, topic, key):
        return [row["type"] for row in self.rows(topic, key)]

    def commands(self, order):
        """Types of all commands of an order, in the order in which each topic has them."""
        found = []
        for topic in ("shop", "payments"):
            for line in self.evlog("replay", topic, order).lines():
                found.append(line["type"])
        return found

    def saga(self, order):
        return self.evlog("saga", "show", "fulfilment", order, "--json").lines()[0]


UNDONE = ["ReserveStock", "ReleaseStock", "CancelOrder", "ChargeCard", "RefundCard"]


def test_a_saga_goes_through_all_its_steps(shop):
    shop.checkout("o1", "flaky-1")
    assert shop.do("work", "o1")[:2] == (0, "o1: completed\n")
    assert shop.commands("o1") == ["ReserveStock", "ShipOrder", "ChargeCard"]
    assert shop.types("orders", "o1")[2:] == ["OrderCheckedOut", "PaymentTaken", "OrderShipped"]
    assert shop.types("ledger", "o1") == ["Charged"]


@pytest.mark.parametrize("order,card,items,reason,commands", [
    ("u1", "declined-1", 1, "the card was declined", UNDONE),
    ("u2", "visa-1", 11, "not in stock", UNDONE[:3]),
])
def test_what_cannot_be_finished_is_undone_in_reverse_order(shop, order, card, items, reason, commands):
    shop.checkout(order, card, items)
    assert shop.do("work", order)[1] == f"{order}: compensated, {reason}\n"
    assert shop.commands(order) == commands
    records = [row["data"] for row in shop.rows("fulfilment.sagas", order)]
    sent = [command["type"] for record in records for command in record.get("commands", [])]
    assert sent[-2:] == ["ReleaseStock", "CancelOrder"]
    assert shop.types("orders", order)[-1] == "OrderCancelled"


ENDS = {"visa": (["ReserveStock", "ShipOrder", "ChargeCard"], ["Charged"]), "declined": (UNDONE, ["CalledOff"])}


def check_end(shop, order, card):
    commands, ledger = ENDS[card]
    assert shop.commands(order) == commands
    assert shop.types("ledger", order) == ledger
    records = [row["data"] for row in shop.rows("fulfilment.sagas", order)]
    hashes = [record["event"]["hash"] for record in records if "event" in record]
    assert len(hashes) == len(set(hashes))


def test_killed_at_many_points_all_come_to_the_same_end(shop):
    orders = [(f"k-{card}-{number}", card) for card in ENDS for number in range(2)]
    for order, card in orders:
        shop.checkout(order, f"{card}-1")
    # Runners share the work, and each dies at a point of its own; who is left takes over what the dead had in hands.
    # There is more to do than all of them can do before they die, so the one that lives comes when two have died.
    runners = [shop.start("work", "-", ORDER_SERVICE_DIE_AT=point) for point in POINTS]
    wait_for(lambda: sum(runner.poll() is not None for runner in runners) >= 2)
    last = shop.start("work", "-")
    for order, _ in orders:
        wait_for(lambda: shop.types("orders", order)[-1] in ("OrderShipped", "OrderCancelled"))
    died = [finish(runner) for runner in [*runners, last]].count(-signal.SIGKILL)
    assert died >= 2
    for order, card in orders:
        check_end(shop, order, card)


@pytest.mark.skipif("SAGA_EVERY_POINT" not in os.environ, reason="long: SAGA_EVERY_POINT=1 runs it")
@pytest.mark.parametrize("card", ENDS)
def test_killed_at_every_point_it_comes_to_the_same_end(shop, card):
    for point in range(1, 60):
        order = f"e-{card}-{point}"
        shop.checkout(order, f"{card}-1")
        code, out, err = shop.do("work", order, ORDER_SERVICE_DIE_AT=str(point))
        assert code in (0, -signal.SIGKILL), (code, out, err)
        assert shop.do("work", order)[0] == 0
        check_end(shop, order, card)
        if code == 0:
            break
    assert code == 0 and point > 20


def test_two_runners_at_once_step_once(shop):
    orders = [f"t{number}" for number in range(4)]
    runners = [shop.start("work", "-") for _ in range(2)]
    for order in orders:
        shop.checkout(order, "visa-2")
    for order in orders:
        assert shop.do("work", order)[1] == f"{order}: completed\n"
    assert [finish(runner) for runner in runners] == [0, 0]
    for order in orders:
        assert shop.commands(order) == ["ReserveStock", "ShipOrder", "ChargeCard"]
        assert shop.types("ledger", order) == ["Charged"]


def test_an_event_that_comes_twice_steps_once(shop):
    shop.checkout("d1", "broken-3")
    worker = shop.start("work", "-")
    wait_for(lambda: shop.commands("d1") == ["ReserveStock", "ChargeCard"])
    reply = [line for line in shop.evlog("replay", "replies", "d1").lines() if line["type"] == "StockReserved"][0]
    for _ in range(2):
        shop.evlog("produce", "replies", "-k", "d1", "-H", "ce_type=StockReserved", "-H", f"ce_id={reply['id']}",
                   "-H", "ce_source=order_service", "-H", "ce_specversion=1.0", "{}")
    shop.evlog("produce", "replies", "-k", "d1", "-H", "ce_type=StockRefused", "-H", "ce_id=behind-them", "{}")
    wait_for(lambda: shop.types("orders", "d1")[-1] == "OrderCancelled")
    assert finish(worker) == 0
    assert shop.commands("d1") == UNDONE


def test_a_handler_that_fails_for_ever_makes_the_saga_stuck_until_it_is_retried(shop):
    shop.checkout("s1", "amex-1")
    code, out, err = shop.do("work", "s1")
    assert (code, out) == (0, "s1: stuck, no such kind of card: amex-1\n"), err
    stuck, = shop.evlog("saga", "ls", "fulfilment", "--status", "stuck", "--json").lines()
    assert (stuck["id"], stuck["waiting"], stuck["reason"]) == ("s1", 1, "no such kind of card: amex-1")
    shop.evlog("saga", "retry", "fulfilment", "s1")
    assert shop.do("work", "s1", ORDER_SERVICE_CARDS="amex visa")[1] == "s1: completed\n"
    assert shop.commands("s1") == ["ReserveStock", "ShipOrder", "ChargeCard"]


def test_a_stuck_saga_can_be_cancelled(shop):
    shop.checkout("s2", "amex-2")
    assert "stuck" in shop.do("work", "s2")[1]
    shop.evlog("saga", "cancel", "fulfilment", "s2", "--reason", "customer has gone")
    assert shop.do("work", "s2")[1] == "s2: compensated, customer has gone\n"
    assert shop.commands("s2") == UNDONE[:3]
    assert "it cannot be cancelled" in shop.evlog("saga", "cancel", "fulfilment", "s2", expect=6).err


def test_a_dead_letter_is_redriven_and_the_saga_goes_on(shop):
    shop.checkout("r1", "broken-1")
    worker = shop.start("work", "-")
    wait_for(lambda: shop.evlog("replay", "payments.payment.dlq", "r1", expect=None).out != "")
    assert finish(worker) == 0
    assert shop.saga("r1")["status"] == "running"
    shop.evlog("dlq", "redrive", "payments.payment.dlq", "--key", "r1")
    assert shop.do("work", "r1", ORDER_SERVICE_REPAIRED="1")[1] == "r1: completed\n"
    assert shop.types("ledger", "r1") == ["Charged"]


def test_a_timer_is_kept_over_a_restart_and_undoes_what_takes_too_long(shop):
    shop.checkout("w1", "broken-2")
    code, _, err = shop.do("work", "w1", ORDER_SERVICE_PAYMENT_MS="1", ORDER_SERVICE_DIE_AT="7")
    assert code in (0, -signal.SIGKILL), err
    assert shop.do("work", "w1", ORDER_SERVICE_PAYMENT_MS="1")[1] == "w1: compensated, the payment took too long\n"
    assert shop.commands("w1") == UNDONE
    assert shop.types("ledger", "w1") == ["CalledOff"]


@pytest.mark.parametrize("args,code,words", [
    (("show", "fulfilment", "nobody"), 5, "there is no saga"),
    (("retry", "fulfilment", "nobody"), 5, "there is no saga"),
    (("retry", "fulfilment", "o1"), 6, "is completed: it cannot be retried"),
    (("cancel", "fulfilment", "o1"), 6, "is completed: it cannot be cancelled"),
    (("ls", "fulfilment", "--status", "broken"), 2, "--status is running, stuck"),
    (("ls", "nothing-of-the-kind"), 5, "is not there"),
    (("show", "a/b", "x"), 2, "letters, digits"),
])
def test_what_is_asked_wrong_is_refused(shop, args, code, words):
    done = shop.evlog("saga", *args, expect=None)
    assert done.code == code and words in done.err, (done.code, done.err)


def finish(process):
    process.terminate()
    process.communicate(timeout=RUN_SECONDS)
    return 0 if process.returncode == -signal.SIGTERM else process.returncode  # it has not got so far as to wait for it


def wait_for(condition):
    deadline = time.monotonic() + RUN_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
