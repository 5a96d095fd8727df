# SPDX-License-Identifier: Apache-2.0
"""evlog project: rows of a database kept up with topics, on a real evlogd and SQLite.

Goal: what is wrong is refused before or in front of the event, with its place; trouble of the database is nobody's lost
event; one runner at a time; a rebuild is seen as old rows or new ones. Method: files by hand, refusals first; the real
histories, whose states are known.
"""
import gzip
import json
import sqlite3
import subprocess
import threading

import pytest

from cli_kit import shared_data, state_hash
from conftest import Broker, start_or_skip, wait_for
from kafka_wire import Connection
from make_target import make_target
from one_broker import broker, own_topic  # noqa: F401
from project_cases import (HEAD, buries_an_event_that_fails_for_ever, event, finish,
                           has_one_runner_and_one_that_slept_keeps_nothing, refuses_before_the_first_event,
                           stops_and_skips_nothing_when_a_table_is_gone, stops_in_front_of_an_event, wait_applied)
from projecting import LEDGER, PATIENCE_SECONDS, Runner, check_ledger, cloudevents, fold


@pytest.fixture
def make(broker, tmp_path, own_topic):
    """Makes a topic and a runner on it."""

    def runner(text=LEDGER, partitions=1, name="p"):
        made = Runner(tmp_path, broker.bootstrap, own_topic, text, name)
        made.evlog("topics", "create", own_topic, "-p", partitions)
        return made
    return runner


@pytest.mark.parametrize("text, line, about", [
    ("-- name: n\n-- on *\nSELECT 1;\n", 1, "reads no topic"),
    (HEAD + "-- on Paid\nINSERT INTO t\n VALUES (:keey, 1);\n", 7, "did you mean :key?"),
])
def test_a_file_with_a_slip_is_refused_with_its_line(make, text, line, about):
    runner = make(text)
    done = runner.catch_up(expect=2)
    assert f"{runner.path}:{line}: " in done.stderr and about in done.stderr
    assert not runner.db.exists()


@pytest.mark.parametrize("text, line, about", [
    (HEAD + "CREATE TABEL u (a);\n-- on *\nSELECT 1;\n", 5, "syntax error"),
    (HEAD + "-- on Paid\nINSERT INTO t\nVALUSE (:key, 1);\n", 7, "syntax error"),
    (HEAD + "-- on Paid\n\nINSERT INTO nix VALUES (:key);\n", 7, "no such table"),
    (HEAD + "-- on Paid\nINSERT INTO t (a, c) VALUES (:key, 1);\n", 6, "no column named c"),
    (HEAD + "-- on Paid\nINSERT INTO t VALUES (?, :key);\n", 6, "parameter of its own"),
    (HEAD + "-- on Paid\nCOMMIT;\n", 6, "transactions"),
])
def test_sql_that_does_not_compile_is_refused_before_the_first_event(make, text, line, about):
    refuses_before_the_first_event(make(text), line, about)


@pytest.mark.parametrize("values, data, about", [
    (":key, :data.amount", {"other": 1}, ":data.amount is missing"),
    (":key, :data.amount", {"amount": 12}, "CHECK constraint"),
    (":data.name?, 1", {}, "NOT NULL constraint"),
])
def test_an_event_that_cannot_be_applied_stops_the_run_in_front_of_it(make, values, data, about):
    stops_in_front_of_an_event(make, values, data, about)


def test_an_event_that_fails_for_ever_becomes_a_dead_letter(make):
    buries_an_event_that_fails_for_ever(make, "CHECK constraint")


def test_a_locked_database_is_waited_for_as_long_as_is_said(make):
    runner = make()
    runner.publish(cloudevents(50, 1))
    runner.catch_up()
    runner.publish(cloudevents(50, 2, 50))
    blocker = sqlite3.connect(runner.db, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    process = runner.start("--until-caught-up")
    done = runner.catch_up("--patience", "1ms", expect=6)  # SQLite itself waits longer
    assert "another program holds the database" in done.stderr and "a file of its own" in done.stderr
    assert process.poll() is None
    blocker.execute("ROLLBACK")
    blocker.close()
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 0, output
    assert check_ledger(runner, runner.log()) == 100


def test_lanes_are_refused_where_there_is_one_writer(make):
    runner = make()
    done = runner.catch_up("--parallel", 2, expect=1)
    assert "sqlite has one writer" in done.stderr and "PostgreSQL" in done.stderr


@pytest.mark.parametrize("change, about", [
    ("DROP TABLE account", "no such table"),
    ("ALTER TABLE account RENAME COLUMN balance TO other", "balance"),
])
def test_a_table_that_is_gone_or_changed_stops_the_run_and_skips_nothing(make, change, about):
    stops_and_skips_nothing_when_a_table_is_gone(make, change, about)


def test_a_second_runner_is_told_who_runs_it_and_one_that_slept_keeps_nothing(make):
    has_one_runner_and_one_that_slept_keeps_nothing(make)


def test_a_filter_passes_events_over_and_versions_count_them(make):
    pattern = '-- filter: {"data":{"amount":[{"numeric":[">",10]}]}}'
    runner = make(LEDGER.replace("-- topics: TOPIC", f"-- topics: TOPIC\n{pattern}"))
    runner.publish([event(number, data={"amount": amount}) for number, amount in enumerate([5, 20, 7, 30])])
    runner.catch_up()
    assert runner.ask("SELECT name, balance, version FROM account") == [("a", 50, 3)]
    status = runner.status()
    assert (status["applied"], status["positions"][0]["next_offset"], status["positions"][0]["last_id"]) == (2, 4, "e3")


@pytest.mark.parametrize("change, about", [
    ("UPDATE evlog_projection_position SET next_offset = next_offset + 5", "the log ends at 20"),
    ("UPDATE evlog_projection_position SET last_id = 'other'", "another one than was applied"),
    ("UPDATE evlog_projection_position SET topic_id = '00112233445566778899aabbccddeeff'", "made anew"),
    ("UPDATE evlog_projection_position SET leader_epoch = 1000", "leader epoch 1000"),
])
def test_a_checkpoint_that_is_not_of_this_log_is_refused(make, change, about):
    runner = make()
    runner.publish(cloudevents(20, 1))
    runner.catch_up()
    runner.change(change)
    done = runner.catch_up(expect=6)
    assert about in done.stderr and "--rebuild" in done.stderr
    assert about in runner.status()["error"]


def test_a_topic_made_anew_is_refused_until_the_rows_are_rebuilt(make):
    runner = make()
    runner.publish(cloudevents(20, 1))
    runner.catch_up()
    runner.evlog("topics", "rm", runner.topic, f"--confirm={runner.topic}", expect=0)
    runner.evlog("topics", "create", runner.topic, expect=0)
    runner.publish(cloudevents(30, 2))
    assert "made anew" in runner.catch_up(expect=6).stderr
    runner.catch_up("--rebuild")
    assert check_ledger(runner, runner.log()) == 30


def test_a_log_that_was_cut_below_the_checkpoint_is_refused(make):
    runner = make()
    runner.publish(cloudevents(20, 1))
    runner.catch_up()
    runner.publish(cloudevents(20, 2, 20))
    with Connection("127.0.0.1", int(runner.bootstrap.split(":")[1])) as conn:
        assert conn.delete_records(runner.topic, 30) == (0, 30)
    done = runner.catch_up(expect=1)
    assert "the log begins at 30" in done.stderr and "--rebuild" in done.stderr
    assert runner.ask("SELECT count(*) FROM seen") == [(20,)]
    runner.evlog("topics", "rm", runner.topic, f"--confirm={runner.topic}", expect=0)
    done = runner.catch_up(expect=5)
    assert runner.topic in done.stderr
    assert runner.ask("SELECT count(*) FROM seen") == [(20,)]


def test_a_changed_file_is_refused_rebuilt_or_accepted(make):
    runner = make()
    runner.publish(cloudevents(20, 1))
    runner.catch_up()
    runner.write(LEDGER.replace("balance + excluded.balance", "balance + 2 * excluded.balance"))
    assert "--rebuild" in runner.catch_up(expect=6).stderr
    assert "has changed" in runner.project("verify", expect=6).stderr
    runner.catch_up("--accept-change")
    assert runner.project("verify", expect=8).returncode == 8
    runner.project("rebuild", expect=0)
    assert "0 differences" in runner.project("verify", expect=0).stderr
    assert runner.status()["generation"] == 2


def test_pause_resume_and_wait(make):
    runner = make()
    runner.publish([event(0)])
    process = runner.start()
    runner.look("wait", "ledger", "--position", f"{runner.topic}/0/0", expect=None)
    wait_applied(runner, 1)
    runner.look("pause", "ledger", expect=0)
    wait_for(lambda: runner.status()["state"] == "paused", "a pause", PATIENCE_SECONDS)
    # The runner sees it at its next renewal; from then on nothing is applied.
    before = runner.ask("SELECT lease_until_ms FROM evlog_projection")
    wait_for(lambda: runner.ask("SELECT lease_until_ms FROM evlog_projection") > before, "a renewal", PATIENCE_SECONDS)
    runner.publish([event(1)])
    assert runner.look("wait", "ledger", "--position", f"{runner.topic}/0/1", "--timeout", "700ms").returncode == 1
    assert runner.applied() == 1
    runner.look("resume", "ledger", expect=0)
    runner.look("wait", "ledger", "--position", f"{runner.topic}/0/1", "--timeout", "30s", expect=0)
    assert runner.applied() == 2
    done = runner.look("wait", "ledger", "--position", "elsewhere/0/1", "--timeout", "1ms", expect=5)
    assert "does not read" in done.stderr
    runner.look("wait", "nix", "--position", f"{runner.topic}/0/1", expect=5)
    runner.look("pause", "nix", expect=5)
    finish(process, 130)


def test_a_rebuild_beside_a_live_runner_under_load(make):
    runner = make(partitions=3)
    runner.publish(cloudevents(3000, 1))
    live = runner.start("--batch", 50)
    wait_applied(runner, 3000)
    ended, faults = threading.Event(), []

    def publish():
        number = 3000
        while not ended.is_set():
            runner.publish(cloudevents(200, number, number))
            number += 200

    def read():
        last = 0
        while not ended.is_set():
            count = runner.ask("SELECT count(*) FROM seen")[0][0]
            if count < last:
                faults.append((last, count))
            last = count

    threads = [threading.Thread(target=target) for target in (publish, read)]
    for thread in threads:
        thread.start()
    try:
        runner.project("rebuild", expect=0)
        output = live.communicate(timeout=PATIENCE_SECONDS)[0]
        again = runner.start()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert live.returncode == 6 and "taken over" in output, output
    assert faults == [], "a reader saw rows vanish"
    log = runner.log()
    wait_applied(runner, sum(map(len, log.values())))
    finish(again, 130)
    assert check_ledger(runner, log) == sum(map(len, log.values()))
    assert runner.status()["generation"] == 2


def test_two_projections_share_a_database_and_a_rebuild_touches_one(make):
    runner = make()
    runner.publish(cloudevents(50, 1))
    runner.catch_up()
    other = Runner(runner.folder, runner.bootstrap, runner.topic,
                   "-- name: count\n-- topics: TOPIC\n-- setup\nCREATE TABLE n (n INTEGER); INSERT INTO n VALUES (0);\n"
                   "-- on *\nUPDATE n SET n = n + 1;\n", "other")
    other.db = runner.db
    other.catch_up()
    runner.project("rebuild", expect=0)
    assert runner.ask("SELECT n FROM n") == [(50,)]
    assert runner.ask("SELECT name, balance, version FROM account ORDER BY name") == fold(runner.log(), {0: 50})
    rows = [json.loads(line) for line in
            runner.evlog("project", "ls", "--db", f"sqlite:{runner.db}", "--json", expect=0).stdout.splitlines()]
    told = [(row["projection"], row["generation"], row["applied"]) for row in rows]
    assert told == [("count", 1, 50), ("ledger", 2, 50)]


FILES = """-- name: files
-- topics: TOPIC
-- setup
CREATE TABLE file (path TEXT PRIMARY KEY, blob TEXT NOT NULL);
-- on file.removed
DELETE FROM file WHERE path = :key;
-- on file.added, file.changed
INSERT INTO file VALUES (:key, :data.blob) ON CONFLICT (path) DO UPDATE SET blob = excluded.blob;
"""


@pytest.mark.parametrize("name, partitions", [("zstd", 1), ("zstd", 6), ("libuv", 64)])
def test_the_histories_become_the_states_that_are_known(make, name, partitions):
    path = shared_data() / f"{name}.events.ndjson.gz"
    known = json.loads((shared_data() / f"{name}.truth.json").read_text())
    lines = gzip.open(path, "rt").read().splitlines()
    runner = make(FILES, partitions)
    published = 0
    for state in known["states"]:
        runner.publish(lines[published:state["events"]])
        published = state["events"]
        runner.catch_up()
        rows = [{"key": key, "data": {"blob": blob}} for key, blob in runner.ask("SELECT path, blob FROM file")]
        assert len(rows) == state["files"]
        assert state_hash(rows) == state["sha256"]
    assert runner.applied("files") == published
    assert "0 differences" in runner.project("verify", expect=0).stderr


@pytest.fixture(scope="module")
def totals():
    return make_target("examples/totals")


def count(program, runner, *args):
    return subprocess.Popen([str(program), runner.topic, str(runner.folder / "totals.txt"), *args], env=runner.env(),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def counted(program, runner, expect, *args):
    process = count(program, runner, *args)
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == expect, output
    return output


def test_a_store_and_a_handler_in_c_count_once_and_know_history(make, totals):
    runner = make(partitions=2)
    runner.publish([event(number, key=f"k{number}") for number in range(250)])
    assert "250 counted, 250 of them history" in counted(totals, runner, 0)
    runner.publish([event(250, kind="Closed")])  # while nobody runs: new, and nobody's history
    assert counted(totals, runner, 0).startswith("1 counted, 0 of them history")
    assert counted(totals, runner, 0).splitlines()[1:] == ["Paid 250", "Closed 1"]


def test_a_handler_in_c_that_fails_for_ever_is_tried_again_and_then_as_is_said(make, totals):
    runner = make()
    runner.publish([event(0), event(1, kind="bad"), event(2)])
    output = counted(totals, runner, 1)
    assert "1 counted" in output and "2 tried again" in output and "the type bad are not counted" in output
    assert "0 counted" in counted(totals, runner, 1)
    output = counted(totals, runner, 0, "dead-letter")
    assert "1 counted" in output and "1 dead letters" in output and output.endswith("Paid 2\n")
    letter = json.loads(runner.evlog("dlq", "inspect", f"{runner.topic}.totals.dlq", "--json", expect=0).stdout)
    assert (letter["offset"], letter["attempts"]) == (1, 3)
    runner.publish([event(3, kind="bad")])
    assert "1 skipped" in counted(totals, runner, 0, "skip")


def test_a_store_in_a_file_is_right_whenever_it_is_killed(make, totals):
    runner = make(partitions=3)
    runner.publish([event(number, key=f"k{number % 50}") for number in range(6000)])
    file = runner.folder / "totals.txt"

    def total():
        return sum(int(line.split()[1]) for line in (file.read_text() if file.exists() else "").splitlines()
                   if line.startswith("total "))
    for _ in range(6):
        before = total()
        process = count(totals, runner)
        wait_for(lambda: process.poll() is not None or total() > before, "a transaction", PATIENCE_SECONDS)
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
        offsets = sum(int(line.split()[6]) for line in file.read_text().splitlines() if line.startswith("place "))
        assert total() == offsets
    assert counted(totals, runner, 0).endswith("Paid 6000\n")


def test_a_projection_outlives_a_restart_of_its_server(tmp_path):
    instance = start_or_skip(Broker(tmp_path / "data"))
    instance.listen = f"127.0.0.1:{instance.port}"
    runner = Runner(tmp_path, instance.bootstrap, "t")
    runner.evlog("topics", "create", "t", expect=0)
    runner.publish(cloudevents(20, 1))
    process = runner.start()
    wait_applied(runner, 20)
    instance.kill()
    instance.start()
    runner.publish(cloudevents(20, 2, 20))
    wait_applied(runner, 40)
    finish(process, 130)
    assert check_ledger(runner, runner.log()) == 40
    assert instance.stop() == 0
