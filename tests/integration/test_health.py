# SPDX-License-Identifier: Apache-2.0
"""Health that tells the truth, and what a running server says of its certificate and of reloads.

Goal: a probe sees what would otherwise be only in the log: a certificate that ends while evlogd runs, a reload that was
refused, users that cannot be read. Method: each of them made and mended, with probes, metrics and `evlog check` asked.
"""
import json
import re
import signal
import time

import pytest
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType,
                                   ResourceType)

from certs import Certs
from cli_kit import evlog
from evlogd import Broker, start_or_skip, wait_for

DAY = 86400
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3


def check(broker, *args):
    done = evlog("check", *args, "--http", broker.ready["http"])
    return done.code, done.out.strip()


def reload(broker):
    lines = len(broker.log_lines("SIGHUP: "))
    broker.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(broker.log_lines("SIGHUP: ")) > lines, "the reload")


def warning(broker):
    status, text = broker.health()
    assert status == 200, text
    return json.loads(text).get("warning", "")


@pytest.fixture(name="secured")
def fixture_secured(tmp_path):
    """(a broker with a listener of TLS whose certificate ends in 5 days, the certificates)"""
    (tmp_path / "certs").mkdir()
    certs = Certs(tmp_path / "certs").issue("server", days=5)
    broker = start_or_skip(Broker(tmp_path / "data", listeners="PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0",
                                  args=certs.server_flags()))
    yield broker, certs
    assert broker.stop() == 0, "".join(broker.log[-50:])


def test_a_certificate_that_ends_is_seen_while_evlogd_runs(secured):
    broker, certs = secured

    def left():
        return broker.metric("evlog_tls_certificate_end_timestamp_seconds") - time.time()

    wait_for(lambda: left() > 0, "the metric")
    assert 4.9 * DAY < left() < 5.1 * DAY and broker.metric("evlog_ready") == 1
    assert re.search(r"the certificate ends in [45] days: renew it", warning(broker))
    assert check(broker, "ready")[0] == WARNING
    code, text = check(broker, "certificate")
    assert code == CRITICAL and text.startswith("EVLOG CRITICAL - the certificate ends in 5.0 days | days=5.0;21:;7:")
    assert check(broker, "certificate", "-c", "3")[0] == WARNING
    assert check(broker, "certificate", "-w", "4", "-c", "3")[0] == OK

    certs.issue("server", days=90)
    reload(broker)
    wait_for(lambda: left() > 89 * DAY, "the new certificate")
    assert warning(broker) == "" and check(broker, "ready")[0] == check(broker, "certificate")[0] == OK


def test_a_reload_that_is_refused_is_seen(secured):
    broker, certs = secured
    key = open(certs.key("server"), encoding="ascii").read()
    wait_for(lambda: broker.metric("evlog_tls_certificate_end_timestamp_seconds") > 0, "the metric")
    assert broker.metric("evlog_reload_refused") == 0

    open(certs.key("server"), "w", encoding="ascii").write("no key\n")
    reload(broker)
    wait_for(lambda: broker.metric("evlog_reload_refused") == 1, "the refusal")
    assert "the last reload was refused" in warning(broker) and check(broker, "ready")[0] == WARNING
    assert broker.metric("evlog_tls_certificate_end_timestamp_seconds") > time.time(), "that of the old one"

    open(certs.key("server"), "w", encoding="ascii").write(key)
    reload(broker)
    wait_for(lambda: broker.metric("evlog_reload_refused") == 0, "the reload")
    assert "reload" not in warning(broker)


def test_settings_with_a_fault_are_a_reload_that_is_refused(tmp_path):
    file = tmp_path / "evlogd.conf"
    file.write_text("[topics]\nnum.partitions = 3\n")
    broker = Broker(tmp_path / "data", args=["--config", str(file)]).start()
    assert check(broker, "certificate") == (UNKNOWN, "EVLOG UNKNOWN - the server has no certificate")
    file.write_text("[topics]\nnum.partition = 3\n")
    reload(broker)
    wait_for(lambda: broker.metric("evlog_reload_refused") == 1, "the refusal")
    assert "the last reload was refused" in warning(broker)
    file.write_text("[topics]\nnum.partitions = 4\n")
    reload(broker)
    wait_for(lambda: broker.metric("evlog_reload_refused") == 0, "the reload")
    assert warning(broker) == ""
    assert broker.stop() == 0


def test_users_that_cannot_be_read_are_no_readiness_where_they_are_needed(tmp_path):
    broker = Broker(tmp_path / "data", shards=1, args=["--authorizer=on", "--super-users=User:ANONYMOUS"]).start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for turn in range(10):    # so many that they leave the journal
        rules = [AclBinding(ResourceType.TOPIC, f"{turn}-{i}", ResourcePatternType.LITERAL, "User:alice", "*",
                            AclOperation.READ, AclPermissionType.ALLOW) for i in range(300)]
        for future in admin.create_acls(rules).values():
            future.result(60)
    assert broker.stop() == 0
    segments = list(broker.data.rglob("*.seg"))
    assert segments, sorted(str(path) for path in broker.data.rglob("*"))
    for path in segments:
        whole = bytearray(path.read_bytes())
        for at in range(len(whole) // 2, len(whole)):
            whole[at] ^= 0xff
        path.write_bytes(whole)

    broker.args = ["--authorizer=on", "--super-users=User:boss"]
    broker.start()
    assert broker.health()[0] == 503 and "users and access rules cannot be read" in broker.health()[1]
    assert check(broker, "ready")[0] == CRITICAL
    assert broker.stop() == 0
    broker.args = []
    broker.start()
    assert "users and access rules cannot be read" in warning(broker) and broker.metric("evlog_ready") == 1
    broker.stop()
