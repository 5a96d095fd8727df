# SPDX-License-Identifier: Apache-2.0
"""What evlog project does on every database; the files of tests say with which words of which."""
import json
import signal

from evlogd import stand_still, wait_for
from projecting import PATIENCE_SECONDS, check_ledger, cloudevents

HEAD = "-- name: n\n-- topics: TOPIC\n-- setup\nCREATE TABLE t (a TEXT NOT NULL, b INTEGER CHECK (b < 10));\n"


def event(number, kind="Paid", key="a", data=None, **more):
    return json.dumps({"specversion": "1.0", "id": f"e{number}", "source": "/t", "type": kind, "subject": key,
                       "data": {"amount": 1} if data is None else data, **more})


def finish(process, code):
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == code, output
    return output


def wait_applied(runner, count, name="ledger"):
    wait_for(lambda: runner.applied(name) >= count, f"{count} events applied", PATIENCE_SECONDS)


def refuses_before_the_first_event(runner, line, about):
    runner.publish([event(0)])
    done = runner.catch_up(expect=1)
    assert f"{runner.path}:{line}: " in done.stderr and about in done.stderr
    assert runner.applied("n") in (-1, 0)


def stops_in_front_of_an_event(make, values, data, about):
    runner = make(HEAD + f"-- on Paid\nINSERT INTO t VALUES ({values});\n")
    good = {"amount": 1, "name": "x"}
    runner.publish([event(0, data=good), event(1, data=good), event(2, data=data), event(3, data=good)])
    done = runner.catch_up("--retries", 1, expect=1)
    assert f"{runner.path}:6: {runner.topic}[0] offset 2: " in done.stderr and about in done.stderr
    assert runner.ask("SELECT count(*) FROM t") == [(2,)]
    status = runner.status("n")
    assert (status["state"], status["applied"], status["positions"][0]["next_offset"]) == ("failed", 2, 2)
    assert about in status["error"]
    runner.catch_up("--retries", 0, "--on-error", "skip")
    status = runner.status("n")
    assert (status["state"], status["applied"], status["skipped"], status["error"]) == ("stopped", 3, 1, None)


def buries_an_event_that_fails_for_ever(make, about):
    runner = make(HEAD + "-- on Paid\nINSERT INTO t VALUES (:key, :data.amount);\n")
    runner.publish([event(0), event(1, data={"amount": 50}), event(2)])
    done = runner.catch_up("--retries", 2, "--on-error", "dead-letter", "--json")
    counts = json.loads(done.stdout)
    assert (counts["applied"], counts["dead"], counts["retries"]) == (2, 1, 2)
    letters = runner.evlog("dlq", "inspect", f"{runner.topic}.n.dlq", "--json", expect=0).stdout.splitlines()
    letter, = map(json.loads, letters)
    told = {"topic": runner.topic, "partition": 0, "offset": 1, "group": "n", "attempts": 3, "key": "a"}
    assert letter | told == letter
    assert about in letter["error"]
    assert runner.ask("SELECT count(*) FROM t") == [(2,)]


def stops_and_skips_nothing_when_a_table_is_gone(make, change, about):
    runner = make()
    runner.publish([event(number) for number in range(5)])
    process = runner.start("--on-error", "skip", "--retries", 0)
    wait_applied(runner, 5)
    runner.change(change)
    runner.publish([event(5)])
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 1 and about in output, output
    status = runner.status()
    assert (status["state"], status["skipped"], status["positions"][0]["next_offset"]) == ("failed", 0, 5)
    assert runner.ask("SELECT count(*) FROM seen") == [(5,)]
    assert runner.catch_up(expect=1).returncode == 1
    runner.project("rebuild", expect=0)
    assert check_ledger(runner, runner.log()) == 6


def has_one_runner_and_one_that_slept_keeps_nothing(make, *more):
    runner = make()
    runner.publish(cloudevents(20, 1))
    first = runner.start("--lease", "300ms", *more)
    wait_applied(runner, 20)
    assert f"run by process {first.pid} on host " in runner.catch_up(expect=6).stderr
    stand_still(first)
    runner.publish(cloudevents(20, 2, 20))
    wait_for(lambda: not runner.status()["running"], "the end of the lease", PATIENCE_SECONDS)
    second = runner.start(*more)
    wait_applied(runner, 40)
    assert runner.status()["runner"].startswith(f"process {second.pid} on host ")
    first.send_signal(signal.SIGCONT)
    output = first.communicate(timeout=PATIENCE_SECONDS)[0]
    assert first.returncode == 6 and "taken over" in output, output
    runner.publish(cloudevents(20, 3, 40))
    wait_applied(runner, 60)
    finish(second, 130)
    assert check_ledger(runner, runner.log()) == 60
