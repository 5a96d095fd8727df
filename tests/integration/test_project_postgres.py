# SPDX-License-Identifier: Apache-2.0
"""evlog project on a real PostgreSQL.

Goal: what differs from SQLite: types that the database infers, transactions that an error ends, schemas as places
beside, what is granted on tables; and
lanes, which SQLite does not have. Method: a server of the tests' own, a database for each test; what is the same on
both is in project_cases.py, the rest is tested on SQLite.
"""
import json
import time

import pytest

from one_broker import broker  # noqa: F401
from postgres import Postgres
from project_cases import (HEAD, buries_an_event_that_fails_for_ever, event,
                           has_one_runner_and_one_that_slept_keeps_nothing, refuses_before_the_first_event,
                           stops_and_skips_nothing_when_a_table_is_gone, stops_in_front_of_an_event)
from projecting import LEDGER, Runner, check_ledger, cloudevents


@pytest.fixture(scope="module")
def postgres():
    instance = Postgres().start(durable=False)
    yield instance
    instance.remove()


@pytest.fixture
def make(broker, postgres, tmp_path):
    database = f"d{time.monotonic_ns()}"
    postgres.sql("postgres", f"CREATE DATABASE {database}")

    def runner(text=LEDGER, partitions=1):
        made = Runner(tmp_path, broker.bootstrap, database, text, postgres=postgres, database=database)
        made.evlog("topics", "create", database, "-p", partitions, expect=0)
        return made
    return runner


@pytest.mark.parametrize("text, line, about", [
    (HEAD + "CREATE TABEL u (a int);\n-- on *\nSELECT 1;\n", 5, "syntax error"),
    (HEAD + "-- on Paid\nINSERT INTO t\nVALUSE (:key, 1);\n", 7, "syntax error"),
    (HEAD + "-- on Paid\n\nINSERT INTO nix VALUES (:key);\n", 7, "does not exist"),
    (HEAD + "-- on Paid\nINSERT INTO t (a, c) VALUES (:key, 1);\n", 6, "does not exist"),
    (HEAD + "-- on Paid\nINSERT INTO t VALUES (:key, $7);\n", 6, "parameter"),
    (HEAD + "-- on Paid\nCOMMIT;\n", 6, "transactions"),
])
def test_sql_that_does_not_compile_is_refused_before_the_first_event(make, text, line, about):
    refuses_before_the_first_event(make(text), line, about)


@pytest.mark.parametrize("values, data, about", [
    (":key, :data.amount", {"amount": 12}, "check constraint"),
    (":key, :data.amount", {"amount": "many"}, "invalid input syntax"),
    (":data.name?, 1", {}, "null value"),
])
def test_an_event_that_cannot_be_applied_stops_the_run_in_front_of_it(make, values, data, about):
    stops_in_front_of_an_event(make, values, data, about)


def test_an_event_that_fails_for_ever_becomes_a_dead_letter(make):
    buries_an_event_that_fails_for_ever(make, "check constraint")


def test_a_table_that_is_gone_stops_the_run_and_skips_nothing(make):
    stops_and_skips_nothing_when_a_table_is_gone(make, "DROP TABLE account", "does not exist")


@pytest.mark.parametrize("more", [(), ("--parallel", 3)])
def test_a_second_runner_is_told_who_runs_it_and_one_that_slept_keeps_nothing(make, more):
    has_one_runner_and_one_that_slept_keeps_nothing(make, *more)


def test_lanes_apply_one_partition_in_the_order_of_each_key(make):
    runner = make()
    runner.publish(cloudevents(300, 1))
    counts = json.loads(runner.catch_up("--parallel", 4, "--batch", 20, "--json").stdout)
    assert (counts["applied"], counts["lag"]) == (300, 0)
    assert check_ledger(runner, runner.log()) == 300
    assert runner.ask("SELECT count(*) FROM evlog_projection_lane") == [(0,)]
    status = runner.status()
    assert (status["applied"], status["positions"][0]["next_offset"]) == (300, 300)
    assert "0 differences" in runner.project("verify", "--parallel", 2, expect=0).stderr
    runner.project("rebuild", "--parallel", 3, expect=0)
    assert check_ledger(runner, runner.log()) == 300


def test_an_event_that_stops_one_lane_stops_the_run_and_the_others_work_is_kept(make):
    runner = make(HEAD + "-- on Paid\nINSERT INTO t VALUES (:key, :data.amount);\n")
    runner.publish([event(number, key=f"k{number}", data={"amount": 12 if number == 0 else 1}) for number in range(40)])
    done = runner.catch_up("--parallel", 4, "--retries", 0, expect=1)
    assert "offset 0: " in done.stderr
    kept = runner.ask("SELECT count(*) FROM t")[0][0]
    status = runner.status("n")
    assert (status["applied"], status["positions"][0]["next_offset"]) == (kept, 0)
    assert 0 < kept < 40
    assert "ahead of its checkpoint" in runner.project("verify", expect=1).stderr
    runner.catch_up("--retries", 0, "--on-error", "dead-letter")
    assert runner.ask("SELECT count(*), count(DISTINCT a) AS keys FROM t") == [(39, 39)]
    status = runner.status("n")
    assert (status["applied"], status["dead"], status["positions"][0]["next_offset"]) == (39, 1, 40)
    assert runner.ask("SELECT count(*) FROM evlog_projection_lane") == [(0,)]


VALUES = """-- name: values
-- topics: TOPIC
-- setup
CREATE TABLE v (n int, f double precision, b boolean, j jsonb, t text, at timestamptz, raw bytea, big numeric);
-- on *
INSERT INTO v VALUES (:data.n, :data.f, :data.b, :data.j, :data.t, :time, :data, :data.n);
"""


def test_values_become_the_types_of_their_columns(make):
    runner = make(VALUES)
    data = {"n": 7, "f": 0.1, "b": True, "j": {"x": [1, 2]}, "t": "\u00e4 'quoted'"}
    runner.publish([event(0, data=data, time="2026-03-01T12:00:00.123Z")])
    runner.catch_up()
    row, = runner.ask("SELECT n, f, b, j, t, at = '2026-03-01T12:00:00.123Z' AS at, big, length(raw) FROM v")
    assert row == (7, 0.1, True, {"x": [1, 2]}, "\u00e4 'quoted'", True, 7, len(json.dumps(data)))


def test_a_rebuild_keeps_grants_and_other_tables_and_refuses_to_lose_an_index(make, postgres):
    runner = make()
    runner.publish(cloudevents(50, 1))
    runner.catch_up()
    runner.change("CREATE TABLE own (x int)")
    runner.change("CREATE ROLE reader NOLOGIN")
    runner.change("GRANT SELECT ON account TO reader WITH GRANT OPTION")
    runner.change("CREATE INDEX mine ON account (balance)")
    assert "mine" in runner.project("rebuild", expect=6).stderr
    runner.change("DROP INDEX mine")
    runner.change("CREATE VIEW above AS SELECT * FROM account WHERE balance > 0")
    assert "depend" in runner.project("rebuild", expect=6).stderr
    assert runner.status()["generation"] == 1
    runner.change("DROP VIEW above")
    runner.project("rebuild", expect=0)
    assert check_ledger(runner, runner.log()) == 50
    assert runner.ask("SELECT has_table_privilege('reader', 'account', 'SELECT WITH GRANT OPTION')") == [(True,)]
    assert runner.ask("SELECT count(*) FROM own") == [(0,)]
    assert runner.ask("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'evlog%'") == [(0,)]
    assert "0 differences" in runner.project("verify", expect=0).stderr
    runner.change("UPDATE account SET balance = balance + 1")
    runner.project("verify", expect=8)


def test_a_lock_of_another_session_is_waited_for_as_long_as_is_said(make, postgres):
    runner = make()
    runner.publish(cloudevents(20, 1))
    runner.catch_up()
    with postgres.session(runner.database) as other:
        other("BEGIN; SELECT name FROM evlog_projection FOR UPDATE;")
        done = runner.catch_up("--patience", "1ms", expect=6)
        assert "another session holds what is needed" in done.stderr and "pg_stat_activity" in done.stderr
        process = runner.start("--until-caught-up")
        other("ROLLBACK; SELECT 1;")
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output


def test_a_server_that_is_not_there_is_said_so(make):
    runner = make()
    done = runner.evlog("project", "ls", "--db", "postgres:///x?host=/nonexistent", expect=3)
    assert "is PostgreSQL running" in done.stderr
