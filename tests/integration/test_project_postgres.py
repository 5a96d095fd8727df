# SPDX-License-Identifier: Apache-2.0
"""evlog project on a real PostgreSQL.

Goal: what differs from SQLite: types that the database infers, transactions that an error ends, schemas as places
beside, what is granted on tables. Method: a server of the tests' own, a database for each test; the rest is tested on
SQLite.
"""
import json
import signal
import time

import pytest

from conftest import Broker, start_or_skip, wait_for
from postgres import Postgres
from projecting import LEDGER, PATIENCE_SECONDS, Runner, check_ledger, cloudevents
from test_project import HEAD, event, finish, wait_applied


# What is tested is the client: one backend of the server is enough.
@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data")))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture(scope="module")
def postgres():
    instance = Postgres().start()
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
    runner = make(text)
    runner.publish([event(0)])
    done = runner.catch_up(expect=1)
    assert f"{runner.path}:{line}: " in done.stderr and about in done.stderr
    assert runner.applied("n") in (-1, 0)


@pytest.mark.parametrize("values, data, about", [
    (":key, :data.amount", {"amount": 12}, "check constraint"),
    (":key, :data.amount", {"amount": "many"}, "invalid input syntax"),
    (":data.name?, 1", {}, "null value"),
])
def test_an_event_that_cannot_be_applied_stops_the_run_in_front_of_it(make, values, data, about):
    runner = make(HEAD + f"-- on Paid\nINSERT INTO t VALUES ({values});\n")
    good = {"amount": 1, "name": "x"}
    runner.publish([event(0, data=good), event(1, data=good), event(2, data=data), event(3, data=good)])
    done = runner.catch_up("--retries", 1, expect=1)
    assert f"{runner.path}:6: {runner.topic}[0] offset 2: " in done.stderr and about in done.stderr
    assert runner.ask("SELECT count(*) FROM t") == [(2,)]
    runner.catch_up("--retries", 0, "--on-error", "skip")
    status = runner.status("n")
    assert (status["state"], status["applied"], status["skipped"]) == ("stopped", 3, 1)


def test_a_table_that_is_gone_stops_the_run_and_skips_nothing(make):
    runner = make()
    runner.publish([event(number) for number in range(5)])
    process = runner.start("--on-error", "skip", "--retries", 0)
    wait_applied(runner, 5)
    runner.change("DROP TABLE account")
    runner.publish([event(5)])
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 1 and "does not exist" in output, output
    assert runner.status()["skipped"] == 0
    runner.project("rebuild", expect=0)
    assert check_ledger(runner, runner.log()) == 6


def test_a_second_runner_is_told_who_runs_it_and_one_that_slept_keeps_nothing(make):
    runner = make()
    runner.publish(cloudevents(20, 1))
    first = runner.start("--lease", "300ms")
    wait_applied(runner, 20)
    assert f"run by process {first.pid} on host " in runner.catch_up("--lease", "10s", expect=6).stderr
    first.send_signal(signal.SIGSTOP)
    runner.publish(cloudevents(20, 2, 20))
    wait_for(lambda: not runner.status()["running"], "the end of the lease", PATIENCE_SECONDS)
    second = runner.start()
    wait_applied(runner, 40)
    first.send_signal(signal.SIGCONT)
    output = first.communicate(timeout=PATIENCE_SECONDS)[0]
    assert first.returncode == 6 and "taken over" in output, output
    finish(second, 130)
    assert check_ledger(runner, runner.log()) == 40


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


def test_a_server_that_is_not_there_is_said_so(make):
    runner = make()
    done = runner.evlog("project", "ls", "--db", "postgres:///x?host=/nonexistent", expect=3)
    assert "is PostgreSQL running" in done.stderr
