# SPDX-License-Identifier: Apache-2.0
"""Goal: a projection that is killed at any point has applied each event exactly once: rows equal a straight fold of the
log up to the checkpoint, and the checkpoint is that of the last event applied.

Method: one runner is killed again and again, half of the time when so many events are applied, half of the time at its
n-th write, where strace is allowed; small transactions, so that most moments lie inside one. The table of events has
one row an event and refuses a second; balances show every event that was applied twice or left out. Rebuilds are killed
the same way. On PostgreSQL half of the runs apply in parallel, as many lanes as chance says, so that one finds what
another has left.

KILLS is a number of kills, of which there are 2.5 times as many here; SEED repeats a run.
"""
import os
import random
import shutil
import signal
import subprocess

import pytest

from evlogd import Broker, wait_for
from postgres import Postgres
from projecting import Runner, check_ledger, cloudevents, fold

KILLS = int(os.environ.get("KILLS", "20")) * 5 // 2
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
EVENTS_A_KILL = 60 if KILLS <= 100 else 20  # the whole log is read after each
WRITES = "pwrite64,write,sendto,ftruncate,unlink,fdatasync,fsync"
SMALL = ("--batch", 7)


@pytest.fixture(params=("sqlite", "postgres"))
def ledger(request, folder):
    broker = Broker(folder / "data")
    broker.start()
    request.addfinalizer(broker.stop)
    postgres = None
    if request.param == "postgres":
        postgres = Postgres()
        request.addfinalizer(postgres.remove)
        postgres.start()
    runner = Runner(folder, broker.bootstrap, "payments", postgres=postgres, database="postgres")
    runner.evlog("topics", "create", "payments", "-p", 4, expect=0)
    yield runner
    assert broker.process.poll() is None, "evlogd died"


def lanes(ledger, chosen):
    parallel = ledger.postgres is not None and chosen.random() < 0.5
    return ("--parallel", chosen.randrange(2, 6)) if parallel else ()


def can_trace():
    probe = ["strace", "-qq", "-o", os.devnull, "true"]
    return shutil.which("strace") and subprocess.run(probe, check=False, capture_output=True).returncode == 0


def kill_when_applied(runner, process, target):
    wait_for(lambda: process.poll() is not None or runner.applied() >= target, "events applied")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def traced(chosen):
    inject = f"inject={WRITES}:signal=SIGKILL:when={chosen.randrange(1, 120)}"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={WRITES}", "-e", inject]


def test_each_event_is_applied_once_whenever_it_is_killed(ledger):
    chosen = random.Random(SEED)
    trace = can_trace()
    published, inside = 0, 0
    for kill in range(KILLS):
        ledger.publish(cloudevents(EVENTS_A_KILL, SEED + kill, published))
        published += EVENTS_A_KILL
        before = ledger.applied()
        if trace and kill % 2:
            process = ledger.start(*SMALL, *lanes(ledger, chosen), "--until-caught-up", prefix=traced(chosen))
            output = process.communicate(timeout=60)[0]
            assert process.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), f"SEED={SEED}\n{output}"
        else:
            process = ledger.start(*SMALL, *lanes(ledger, chosen))
            kill_when_applied(ledger, process, before + chosen.randrange(1, EVENTS_A_KILL))
        inside += 0 < ledger.applied() < published
        if ledger.applied() >= 0:
            check_ledger(ledger, ledger.log())
    ledger.catch_up()
    log = ledger.log()
    assert check_ledger(ledger, log) == published == ledger.applied(), f"SEED={SEED}"
    assert inside > KILLS // 4, "too few kills hit a run that was under way"
    assert "0 differences" in ledger.project("verify", expect=0).stderr


def test_a_rebuild_that_is_killed_leaves_old_rows_or_new_ones(ledger):
    chosen = random.Random(SEED)
    if not can_trace():
        pytest.skip("strace may not trace here")
    ledger.publish(cloudevents(400, SEED))
    ledger.catch_up()
    log, swapped = ledger.log(), 0
    rows = fold(log, {partition: len(events) for partition, events in log.items()})
    for _ in range(max(KILLS // 5, 5)):
        generation = ledger.status()["generation"]
        rebuild = ledger.command("project", "rebuild", ledger.path, "--db", ledger.url, *SMALL,
                                 *lanes(ledger, chosen))
        done = subprocess.run([*traced(chosen), *rebuild], env=ledger.env(), capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), f"SEED={SEED}\n{done.stderr}"
        now = ledger.status()["generation"]
        assert now in (generation, generation + 1)
        assert done.returncode != 0 or now == generation + 1
        swapped += now - generation
        assert sorted(ledger.ask("SELECT name, balance, version FROM account")) == rows, f"SEED={SEED}"
        assert check_ledger(ledger, log) == 400
    ledger.project("rebuild", expect=0)
    assert check_ledger(ledger, log) == 400
    assert not list(ledger.folder.glob("*-next_*"))


def test_a_database_that_crashes_or_hangs_up_costs_nothing(ledger):
    """Answers of commits are lost; whether they were made is found out, and nothing is applied twice."""
    if ledger.postgres is None:
        pytest.skip("SQLite lives in the runner")
    chosen = random.Random(SEED)
    process = ledger.start("--batch", 3, "--parallel", 3)
    published = 0
    for round_ in range(max(KILLS // 10, 5)):
        ledger.publish(cloudevents(EVENTS_A_KILL, SEED + round_, published))
        target = published + chosen.randrange(1, EVENTS_A_KILL)
        published += EVENTS_A_KILL
        wait_for(lambda: process.poll() is not None or ledger.applied() >= target, "events applied")
        if round_ % 3 == 2:
            ledger.postgres.crash()
            ledger.postgres.start()
        else:
            ledger.change("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                          " AND backend_type = 'client backend'")
        check_ledger(ledger, ledger.log())
    wait_for(lambda: process.poll() is not None or ledger.applied() == published, "the end")
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, f"SEED={SEED}\n{output}"
    assert check_ledger(ledger, ledger.log()) == published
