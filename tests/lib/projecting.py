# SPDX-License-Identifier: Apache-2.0
"""Projections in tests: events to publish, files to run, and a fold in Python to compare with."""
import json
import os
import pathlib
import random
import sqlite3
import subprocess

from evlogd import BIN

PATIENCE_SECONDS = 60

# Every way to be wrong shows: a sum that is no sum when an event is applied twice, a row an event that must be unique.
LEDGER = """-- name: ledger
-- topics: TOPIC

-- setup
CREATE TABLE seen (partition_index INTEGER, offset_number INTEGER, id TEXT,
    PRIMARY KEY (partition_index, offset_number));
CREATE TABLE account (name TEXT PRIMARY KEY, balance INTEGER NOT NULL, version INTEGER NOT NULL);

-- on *
INSERT INTO seen VALUES (:partition, :offset, :id);

-- on Paid
INSERT INTO account VALUES (:key, :data.amount, :version) ON CONFLICT (name)
DO UPDATE SET balance = account.balance + excluded.balance, version = excluded.version;

-- on Closed
DELETE FROM account WHERE name = :key;
"""


def cloudevents(count, seed, first=0):
    """Lines of payments to a few accounts, some of which are closed now and then."""
    chosen = random.Random(seed)
    for number in range(first, first + count):
        kind = "Closed" if chosen.random() < 0.05 else "Paid"
        yield json.dumps({"specversion": "1.0", "id": f"e{number}", "source": "/t", "type": kind,
                          "subject": f"account-{chosen.randrange(20)}",
                          "data": {"amount": chosen.randrange(-100, 1000)} if kind == "Paid" else {}})


class Runner:
    """One project command of a test, on a database of its own."""

    def __init__(self, folder, bootstrap, topic, text=LEDGER, name="p", postgres=None, database=None):
        self.folder = pathlib.Path(folder)
        self.postgres = postgres
        self.database = database
        self.bootstrap = bootstrap
        self.topic = topic
        self.path = self.folder / f"{name}.sql"
        self.db = self.folder / f"{name}.db"
        self.write(text)

    def write(self, text):
        self.path.write_text(text.replace("TOPIC", self.topic))

    def command(self, *args):
        return [str(BIN / "evlog"), *map(str, args)]

    @property
    def url(self):
        return f"sqlite:{self.db}" if self.postgres is None else self.postgres.url(self.database)

    def env(self):
        return {**os.environ, "EVLOG_BOOTSTRAP__SERVERS": self.bootstrap}

    def evlog(self, *args, stdin="", expect=None):
        done = subprocess.run(self.command(*args), input=stdin, capture_output=True, text=True, env=self.env(),
                              timeout=2 * PATIENCE_SECONDS)
        told = f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert expect is None or done.returncode == expect, told
        return done

    def publish(self, lines, *args):
        text = "".join(f"{line}\n" for line in lines)
        return self.evlog("produce", self.topic, "--cloudevents", "-", *args, stdin=text, expect=0)

    def project(self, verb, *args, expect=None):
        """A verb that takes the file."""
        return self.evlog("project", verb, self.path, "--db", self.url, *args, expect=expect)

    def catch_up(self, *args, expect=0):
        return self.project("run", "--until-caught-up", *args, expect=expect)

    def look(self, verb, name, *args, expect=None):
        """A verb that takes the name."""
        return self.evlog("project", verb, name, "--db", self.url, *args, expect=expect)

    def status(self, name="ledger"):
        return json.loads(self.look("status", name, "--json", expect=0).stdout)

    def start(self, *args, prefix=()):
        command = [*prefix, *self.command("project", "run", self.path, "--db", self.url, *args)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=self.env())

    def snapshot(self, *queries):
        """Rows of each query, all of one moment."""
        if self.postgres is not None:
            return self.postgres.rows(self.database, *queries)
        with sqlite3.connect(self.db, timeout=PATIENCE_SECONDS) as connection:
            connection.execute("BEGIN")
            rows = [connection.execute(query).fetchall() for query in queries]
        connection.close()
        return rows

    def ask(self, query):
        return self.snapshot(query)[0]

    def change(self, sql):
        if self.postgres is not None:
            self.postgres.sql(self.database, sql)
            return
        with sqlite3.connect(self.db, timeout=PATIENCE_SECONDS) as connection:
            connection.executescript(sql)
        connection.close()

    def applied(self, name="ledger"):
        try:
            return self.ask(f"SELECT applied FROM evlog_projection WHERE name = '{name}'")[0][0]
        except (sqlite3.OperationalError, RuntimeError, IndexError):
            return -1

    def log(self):
        """partition -> [(id, type, key, data)] by offset."""
        done = self.evlog("consume", self.topic, "--json", expect=0)
        log = {}
        for line in done.stdout.splitlines():
            event = json.loads(line)
            headers = {header["name"]: header["value"] for header in event["headers"]}
            events = log.setdefault(event["partition"], [])
            assert event["offset"] == len(events)
            events.append((headers["ce_id"], headers["ce_type"], event["key"], event["data"]))
        return log


def fold(log, ends):
    """Rows of account that the events before ends[partition] add up to, as LEDGER has them."""
    return fold_of(log, {(partition, offset) for partition, end in ends.items() for offset in range(end)})


def fold_of(log, places):
    """The same of events at these places."""
    balances, versions = {}, {}
    for partition, events in log.items():
        for offset, (_, kind, key, data) in enumerate(events):
            if (partition, offset) not in places:
                continue
            versions[key] = versions.get(key, -1) + 1
            if kind == "Paid":
                balances[key] = (balances.get(key, (0,))[0] + data["amount"], versions[key])
            else:
                balances.pop(key, None)
    return sorted((key, balance, version) for key, (balance, version) in balances.items())


def check_ahead(log, ends, lanes, ahead):
    """Places behind the checkpoint, of a run in lanes that was cut short: each lane has gone on in the order of its
    keys, and no further than its own place."""
    furthest = {}
    for partition, offset in lanes:
        furthest[partition] = max(furthest.get(partition, 0), offset)
    for partition, offset in ahead:
        assert offset < furthest[partition]
        key = log[partition][offset][2]
        before = [other for other in range(ends[partition], offset) if log[partition][other][2] == key]
        assert all((partition, other) in ahead for other in before), f"{key} was applied out of order"


def check_ledger(runner, log):
    """Rows and checkpoint are of one moment, and nothing was left out or doubled. returns events applied"""
    places, lanes, seen, rows = runner.snapshot(
        "SELECT partition_index, next_offset, last_id FROM evlog_projection_position",
        "SELECT partition_index, next_offset FROM evlog_projection_lane",
        "SELECT partition_index, offset_number, id FROM seen",
        "SELECT name, balance, version FROM account")
    ends = {partition: offset for partition, offset, _ in places}
    applied = {(partition, offset) for partition, offset, _ in seen}
    assert len(applied) == len(seen)
    assert all(log[partition][offset][0] == id_ for partition, offset, id_ in seen)
    below = {(partition, offset) for partition, end in ends.items() for offset in range(end)}
    assert below <= applied
    check_ahead(log, ends, lanes, applied - below)
    assert sorted(rows) == fold_of(log, applied)
    for partition, offset, last_id in places:
        assert last_id == (log[partition][offset - 1][0] if offset > 0 else "")
    return len(seen)
