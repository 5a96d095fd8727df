# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a real evlogd, loads the rules, and evaluates every expression of rules and dashboard."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tests/packaging")]

import monitoring  # noqa: E402
from evlogd import BIN, Broker, wait_for  # noqa: E402
from kafka_wire import batch  # noqa: E402
from prometheus import Prometheus, installed  # noqa: E402


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """(a Prometheus, the broker that it scrapes)"""
    if not installed():
        pytest.skip("prometheus is not installed: make deps-deb")
    folder = tmp_path_factory.mktemp("prometheus")
    broker = Broker(folder / "data").start()
    server = Prometheus(folder, broker.ready["http"]).start()
    try:
        yield server, broker
    finally:
        server.stop()
        broker.stop()


def test_every_expression_is_evaluated_over_what_evlogd_says(prometheus):
    server, broker = prometheus
    value = server.value
    with broker.connect() as conn:
        assert conn.create_topic("t")[0] == 0
        assert conn.produce("t", batch([b"x"]))[:2] == (0, 0)

    wait_for(lambda: value('evlog_append_records_total > 0'), "a scrape of the event", 60)
    # A work group that has something before it and a dead letter: rows of lag.
    command = [str(BIN / "evlog"), "work", "t", "-g", "g", "-b", broker.bootstrap, "--set", "start=earliest",
               "--until-caught-up", "--", "sh", "-c", "exit 65"]
    subprocess.run(command, check=False, timeout=60)
    wait_for(lambda: broker.metric("evlog_dlq_records", topic="t.g.dlq") == 1, "the dead letter")
    # Two looks at the counters, so that rates have something to say.
    wait_for(lambda: value('count_over_time(evlog_appends_total[1m]) > 3'), "more scrapes", 60)
    for title, expression in monitoring.panels():
        expression = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        wanted = expression.removesuffix(" > 0")
        assert value(wanted), f"{title}: {wanted} gives nothing"
    for name, expression, _ in monitoring.alerts():
        wanted = expression.rpartition(" == " if " == " in expression else " > ")[0]
        assert value(wanted), f"{name}: {wanted} gives nothing"
    assert len(server.ask("rules")["groups"][0]["rules"]) == len(monitoring.alerts())


def test_an_alert_fires_when_its_time_has_come(prometheus):
    server, broker = prometheus
    broker.kill()

    assert wait_for(lambda: server.alerts("EvlogDown"), "the alert", 60)[0]["labels"]["severity"] == "critical"
