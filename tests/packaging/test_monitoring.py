# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a real evlogd, loads the rules, and evaluates every expression of rules and dashboard."""
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tests/packaging")]

import monitoring  # noqa: E402
from evlogd import BIN, Broker, wait_for  # noqa: E402
from kafka_wire import batch  # noqa: E402


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """(address of Prometheus, broker that it scrapes)"""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed: make deps-deb")
    folder = tmp_path_factory.mktemp("prometheus")
    broker = Broker(folder / "data").start()
    config = (ROOT / "packaging/prometheus/prometheus.yml").read_text().replace("127.0.0.1:8080", broker.ready["http"])
    (folder / "prometheus.yml").write_text(config.replace("15s", "1s"))
    shutil.copy(monitoring.RULES, folder)
    subprocess.run(["promtool", "check", "config", str(folder / "prometheus.yml")], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={folder / 'prometheus.yml'}",
                                    f"--web.listen-address={address}", f"--storage.tsdb.path={folder / 'tsdb'}"],
                                   stdout=log, stderr=log)
    try:
        yield f"http://{address}/api/v1", broker
    finally:
        process.terminate()
        process.wait(30)
        broker.stop()


def ask(api, path, **query):
    with urllib.request.urlopen(f"{api}/{path}?{urllib.parse.urlencode(query)}", timeout=20) as answer:
        return json.load(answer)["data"]


def test_every_expression_is_evaluated_over_what_evlogd_says(prometheus):
    api, broker = prometheus
    with broker.connect() as conn:
        assert conn.create_topic("t")[0] == 0
        assert conn.produce("t", batch([b"x"]))[:2] == (0, 0)

    def value(expression):
        try:
            return ask(api, "query", query=expression)["result"]
        except OSError:
            return []

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
    assert len(ask(api, "rules")["groups"][0]["rules"]) == len(monitoring.alerts())


def test_an_alert_fires_when_its_time_has_come(prometheus):
    api, broker = prometheus
    broker.kill()

    def pending():
        return [alert for alert in ask(api, "alerts")["alerts"] if alert["labels"]["alertname"] == "EvlogDown"]

    assert wait_for(pending, "the alert", 60)[0]["labels"]["severity"] == "critical"
