# SPDX-License-Identifier: Apache-2.0
"""The audit log end to end: what it keeps, what never is in it, that nobody can touch it, that it survives crashes and
is archived; and a worker that takes back an access rule that is too wide while an alert fires."""
import json
import signal
import socket
import subprocess
import threading

import confluent_kafka
import pytest
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialUpsertion)

from certs import Certs, openssl
from cli_kit import evlog
from evlogd import Broker, wait_for
from prometheus import Prometheus, installed

TOPIC = "__evlog_audit"


def tail(broker, *args, **options):
    return evlog("audit", "tail", *args, "--json", bootstrap=broker.bootstrap, expect=0, **options).lines()


def admin_of(broker, **settings):
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0, **settings})


@pytest.fixture
def broker(tmp_path):
    server = Broker(tmp_path / "data")
    server.start()
    yield server
    assert server.stop() in (0, None), "".join(server.log[-50:])


def test_a_change_is_there_with_who_what_and_how_it_ended(broker):
    where = broker.bootstrap
    evlog("topics", "create", "orders", "-p", "2", bootstrap=where, expect=0)
    evlog("topics", "create", "orders", bootstrap=where, expect=6)
    evlog("topics", "alter", "orders", "-c", "retention.ms=1000", bootstrap=where)
    evlog("topics", "rm", "orders", "--confirm=orders", bootstrap=where, expect=0)
    made, again = tail(broker, "--api", "CreateTopics", "--topic", "orders")
    assert (made["v"], made["phase"], made["outcome"], made["principal"], made["address"]) == (
        1, "done", "ok", "User:ANONYMOUS", "127.0.0.1")
    assert made["client_id"] == "evlog-cli" and made["listener"] == "PLAINTEXT"
    assert made["parameters"]["topics"][0]["name"] == "orders"
    assert (again["outcome"], again["error"]) == ("failed", "TOPIC_ALREADY_EXISTS")
    assert [line["api"] for line in tail(broker, "--outcome", "ok")][-1] == "DeleteTopics"
    everything = tail(broker, "--all", "--class", "changes")
    for call in {line["call"] for line in everything}:
        assert [line["phase"] for line in everything if line["call"] == call] == ["asked", "done"]
    assert tail(broker, "--since", "@4102444800000") == [] == tail(broker, "--principal", "User:nobody")
    assert tail(broker, "--outcome", "unknown") == []


def test_the_outcome_of_a_change_tells_what_was_there_before(tmp_path):
    """Of topics, work groups, evlogd itself, limits and rules; and nothing of what was refused, or is as it was."""
    server = Broker(tmp_path / "data", args=["--authorizer=on", "--super-users=User:ANONYMOUS"]).start()

    def run(*args):
        evlog(*args, bootstrap=server.bootstrap, expect=0)

    def before():
        told = tail(server, "--class", "changes")[-1]
        assert told["outcome"] == "ok" and "before_cut" not in told
        return [{name: value for name, value in item.items() if name != "resource_name"}
                for item in told.get("before", [])]

    run("topics", "create", "orders", "--set", "retention.ms=1d")
    assert before() == []
    run("topics", "alter", "orders", "--set", "retention.ms=1h", "--set", "segment.ms=1h")
    assert before() == [{"resource_type": 2, "name": "retention.ms", "value": "86400000"},
                        {"resource_type": 2, "name": "segment.ms", "value": None}]
    run("topics", "alter", "orders", "--set", "retention.ms=1h")
    assert before() == []
    run("groups", "create", "mailer", "--set", "lease.ms=10s")
    assert {"resource_type": 32, "name": "lease.ms", "value": None} in before()
    run("groups", "set", "mailer", "lease.ms=20s")
    assert before() == [{"resource_type": 32, "name": "lease.ms", "value": "10000"}]
    run("config", "set", "retention.ms=7d")
    assert before() == [{"resource_type": 4, "name": "retention.ms", "value": "-1"}]
    run("config", "set", "retention.ms=8d")
    assert before() == [{"resource_type": 4, "name": "retention.ms", "value": "604800000"}]
    run("quota", "set", "--user", "alice", "producer_byte_rate=1MiB")
    alice = {"entity": [{"entity_type": "user", "entity_name": "alice"}], "key": "producer_byte_rate"}
    assert before() == [{**alice, "value": None}]
    run("quota", "rm", "--user", "alice", "producer_byte_rate")
    assert before() == [{**alice, "value": 1048576}]
    run("acl", "allow", "User:alice", "read,write", "topic", "orders")
    run("acl", "rm", "User:alice", "--confirm=User:alice")
    assert sorted(item["operation"] for item in before()) == ["Read", "Write"]
    assert {(item["principal"], item["permission_type"]) for item in before()} == {("User:alice", "Allow")}
    assert tail(server, "--topic", "orders")[-1]["api"] == "DeleteAcls", "the filter does not name it, the rules do"
    shown = evlog("audit", "tail", bootstrap=server.bootstrap, expect=0).out
    assert "  before [" in shown
    assert server.stop() == 0


def test_nobody_writes_shortens_or_removes_it(broker):
    where = broker.bootstrap
    evlog("topics", "create", "orders", bootstrap=where, expect=0)
    before = tail(broker, "--all")
    assert evlog("produce", TOPIC, "lies", bootstrap=where).code != 0
    assert evlog("topics", "rm", TOPIC, f"--confirm={TOPIC}", bootstrap=where).code != 0
    assert evlog("redact", TOPIC, "-p", "0", "--offsets", "0-1", "--reason", "r", f"--confirm={TOPIC}",
                 bootstrap=where).code != 0
    admin = admin_of(broker)
    with pytest.raises(confluent_kafka.KafkaException):
        list(admin.delete_records([confluent_kafka.TopicPartition(TOPIC, 0, 2)]).values())[0].result(60)
    entry = confluent_kafka.admin.ConfigEntry("retention.ms", "1",
                                              incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET)
    resource = confluent_kafka.admin.ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    with pytest.raises(confluent_kafka.KafkaException):
        list(admin.incremental_alter_configs([resource]).values())[0].result(60)
    grown = confluent_kafka.admin.NewPartitions(TOPIC, 3)
    with pytest.raises(confluent_kafka.KafkaException):
        list(admin.create_partitions([grown]).values())[0].result(60)
    after = tail(broker, "--all")
    assert after[:len(before)] == before
    # All of that is told, but for the event, which was refused as any to an internal topic.
    assert {line["api"] for line in after[len(before):]} == {"DeleteTopics", "Redact", "DeleteRecords",
                                                             "IncrementalAlterConfigs", "CreatePartitions"}
    assert all(line["outcome"] != "ok" for line in after[len(before):] if line["phase"] == "done")


def test_what_was_acknowledged_is_there_after_a_crash(broker):
    for turn in range(3):
        for number in range(5):
            evlog("topics", "create", f"t{turn}{number}", bootstrap=broker.bootstrap, expect=0)
        broker.kill()
        broker.start()
    made = [line["parameters"]["topics"][0]["name"] for line in tail(broker, "--api", "CreateTopics")]
    assert made == [f"t{turn}{number}" for turn in range(3) for number in range(5)]


def test_proofs_and_denials_are_summed_and_no_secret_is_told(tmp_path):
    secret = "Zitrone=7"
    broker = Broker(tmp_path / "data", listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0").start()
    where = f"127.0.0.1:{broker.ports['PLAINTEXT']}"
    admin = AdminClient({"bootstrap.servers": where, "log_level": 0})
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192)
    list(admin.alter_user_scram_credentials([UserScramCredentialUpsertion("alice", credential, secret.encode())])
         .values())[0].result(60)
    assert broker.stop() == 0
    broker.args = ["--authorizer=on", "--super-users=User:root", "--evlog-audit-include=changes,denials,authentication"]
    broker.start()

    def run(user, password, *args):
        words = ["-X", "security.protocol=sasl_plaintext", "-X", f"sasl.username={user}", "-X",
                 f"sasl.password={password}"]
        return evlog(*args, *words, bootstrap=f"127.0.0.1:{broker.ports['SASL_PLAINTEXT']}")

    for _ in range(3):
        assert run("alice", "wrong", "topics", "ls").code == 4
        assert run("alice", secret, "topics", "create", "mine").code == 4
    assert broker.stop() == 0  # what is summed is written
    broker.args = ["--super-users=User:root"]
    broker.start()
    lines = evlog("audit", "tail", "--all", "--json", bootstrap=f"127.0.0.1:{broker.ports['PLAINTEXT']}",
                  expect=0).lines()
    by = {}
    for line in lines:
        key = (line["class"], line["outcome"] if line.get("phase") != "asked" else "asked")
        by[key] = by.get(key, 0) + line.get("count", 1)
    assert by[("authentication", "failed")] >= 3 and by[("authentication", "ok")] >= 3
    assert by[("denials", "denied")] >= 3
    failed = [line for line in lines if line["class"] == "authentication" and line["outcome"] == "failed"]
    assert {(line["principal"], line["action"]) for line in failed} == {("alice", "SCRAM-SHA-256")}
    # Who may make no topic at all is denied, and leaves no more than that.
    assert not [line for line in lines if line.get("api") == "CreateTopics"]
    assert [line for line in lines if line.get("api") == "AlterUserScramCredentials"]
    assert secret not in json.dumps(lines) and "wrong" not in json.dumps(lines)
    assert broker.stop() == 0


def test_reads_and_writes_are_told_once_a_minute_and_at_a_stop(tmp_path):
    broker = Broker(tmp_path / "data", args=["--evlog-audit-include=access"]).start()
    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    evlog("produce", "orders", "a", bootstrap=broker.bootstrap, expect=0)
    evlog("consume", "orders", bootstrap=broker.bootstrap, expect=0)
    assert broker.stop() == 0
    broker.start()
    found = {(line["principal"], line["action"], line["resource"]) for line in tail(broker, "--topic", "orders")}
    assert found == {("User:ANONYMOUS", "write", "orders"), ("User:ANONYMOUS", "read", "orders")}
    assert tail(broker, "--class", "changes") == []
    assert broker.stop() == 0


def test_it_is_archived_and_signed_and_read_without_a_broker(tmp_path):
    (tmp_path / "bucket").mkdir()
    url = f"file://{tmp_path / 'bucket'}"
    broker = Broker(tmp_path / "data", args=[f"--archive={url}"]).start()
    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    evlog("archive", "now", "--wait", bootstrap=broker.bootstrap, expect=0)
    known = tail(broker, "--api", "CreateTopics")
    assert broker.stop() == 0
    archived = evlog("audit", "tail", "--source", "archive", "--archive", url, "--json", expect=0).lines()
    assert [line for line in archived if line.get("api") == "CreateTopics"] == known != []
    keys = next((tmp_path / "data" / "keys").glob("*.pub*"), None)
    trusted = ["--key", keys] if keys else ["--no-key"]
    checked = evlog("archive", "verify", url, *trusted)
    assert checked.code == 0, checked.err


def test_retention_is_the_configurations(tmp_path):
    broker = Broker(tmp_path / "data", args=["--evlog-audit-retention-ms=30d"]).start()
    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)

    def retention():
        resource = confluent_kafka.admin.ConfigResource(ResourceType.TOPIC, TOPIC)
        admin = admin_of(broker)
        return list(admin.describe_configs([resource]).values())[0].result(60)["retention.ms"].value

    assert retention() == str(30 * 86400000)
    assert broker.stop() == 0
    broker.args = ["--evlog-audit-retention-ms=-1"]
    broker.start()
    wait_for(lambda: retention() == "-1", "the new setting")
    assert broker.stop() == 0


@pytest.mark.parametrize("given, said", [("changes,everything", "known are changes"), ("", "is empty"),
                                         ("none,changes", "none and more")])
def test_what_it_cannot_keep_is_refused_at_the_start(tmp_path, given, said):
    broker = Broker(tmp_path / "data", args=[f"--evlog-audit-include={given}"])
    with pytest.raises(AssertionError):
        broker.start()
    assert broker.said(said), broker.log


# --- a story of compliance -------------------------------------------------------------------------------------------

WIDE = AclBinding(ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, "User:*", "*", AclOperation.ALL,
                  AclPermissionType.ALLOW)


class Guard(threading.Thread):
    """Reads the audit log in a group of its own, and takes back what gives everybody everything."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.admin = admin_of(broker)
        self.consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "guard",
                                                  "auto.offset.reset": "earliest", "log_level": 0})
        self.stopping = threading.Event()
        self.removed = []

    def run(self):
        self.consumer.subscribe([TOPIC])
        while not self.stopping.is_set():
            message = self.consumer.poll(0.2)
            if message is not None and message.error() is None:
                self.look(json.loads(message.value()))
        self.consumer.close()

    def look(self, record):
        if record.get("api") != "CreateAcls" or record.get("phase") != "done" or record["outcome"] != "ok":
            return
        for rule in record["parameters"]["creations"]:
            if rule["principal"] == "User:*" and rule["permission_type"] == "Allow" and rule["resource_name"] == "*":
                wide = AclBindingFilter(ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, "User:*", "*",
                                        AclOperation.ALL, AclPermissionType.ALLOW)
                self.removed += list(self.admin.delete_acls([wide]).values())[0].result(60)


@pytest.mark.skipif(not installed(), reason="prometheus is not installed: make deps-deb")
def test_a_rule_that_is_too_wide_is_taken_back_and_an_alert_fires(tmp_path):
    broker = Broker(tmp_path / "data", args=["--authorizer=on", "--super-users=User:ANONYMOUS"]).start()
    folder = tmp_path / "prometheus"
    folder.mkdir()
    prometheus = Prometheus(folder, broker.ready["http"]).start()
    guard = Guard(broker)
    try:
        wait_for(lambda: prometheus.value("count_over_time(evlog_wide_rules_total[1m]) > 2"), "some scrapes")
        admin = admin_of(broker)
        list(admin.create_acls([WIDE]).values())[0].result(60)
        guard.start()
        wait_for(lambda: guard.removed, "the guard")
        assert guard.removed[0].principal == "User:*"
        anything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                                    AclPermissionType.ANY)
        assert admin.describe_acls(anything).result(60) == []
        alert = wait_for(lambda: prometheus.alerts("EvlogWideRule"), "the alert", 60)[0]
        assert alert["labels"]["severity"] == "critical" and alert["state"] == "firing"
        story = [(line["api"], line["outcome"]) for line in tail(broker, "--class", "changes")
                 if line["api"] in ("CreateAcls", "DeleteAcls")]
        assert story == [("CreateAcls", "ok"), ("DeleteAcls", "ok")]
    finally:
        guard.stopping.set()
        prometheus.stop()
    guard.join(60)
    assert broker.stop() == 0


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A broker whose SSL listener wants certificates, and the certificates."""
    certs = Certs(tmp_path_factory.mktemp("certs"))
    certs.issue("server").issue("app", "/O=Example/CN=app").issue("old", days=-1)
    certs.authority("other")
    certs.issue("foreign", ca="other")
    args = certs.server_flags() + ["--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth", "required"]
    server = Broker(tmp_path_factory.mktemp("data"), shards=1, listeners="PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0",
                    args=args).start()
    yield server, certs
    assert server.stop() == 0, "".join(server.log[-50:])


def proofs(server, outcome):
    """Those that are told so far; before the first of all the topic is not there."""
    done = evlog("audit", "tail", "--all", "--json", "--class", "authentication", "--outcome", outcome,
                 bootstrap=f"127.0.0.1:{server.ports['PLAINTEXT']}")
    assert done.code in (0, 5), done.err
    return done.lines() if done.code == 0 else []


def test_a_certificate_is_a_proof_that_is_told(secure):
    server, certs = secure
    words = [word for key, value in certs.client("app").items() for word in ("-X", f"{key}={value}")]
    evlog("topics", "ls", *words, bootstrap=f"localhost:{server.ports['SSL']}", expect=0)
    line = wait_for(lambda: proofs(server, "ok"), "the proof", 60)[0]
    digest = openssl("x509", "-in", certs.pem("app"), "-noout", "-fingerprint", "-sha256").strip().rpartition("=")[2]
    assert line["resource"] == "Certificate sha256:" + digest.replace(":", "").lower()
    assert (line["principal"], line["address"], line["listener"], line["action"]) == (
        "User:CN=app,O=Example", "127.0.0.1", "SSL", "TLS")
    assert line["detail"].startswith("TLSv1.2 ECDHE-")


def test_handshakes_that_fail_are_told_with_the_reason_and_counted(secure):
    server, certs = secure
    where = ("127.0.0.1", server.ports["SSL"])
    shake = ["openssl", "s_client", "-connect", f"127.0.0.1:{where[1]}"]
    ways = {"no_certificate": [], "no_cipher": ["-tls1_3"]}
    for name, word in (("foreign", "certificate_foreign"), ("old", "certificate_expired")):
        ways[word] = ["-cert", certs.pem(name), "-key", certs.key(name)]
    before = server.metric("evlog_tls_refused_total")
    for arguments in ways.values():
        subprocess.run([*shake, *arguments], input=b"", capture_output=True, timeout=60, check=False)
    for number in range(40):
        with socket.create_connection(where, timeout=60) as conn:
            conn.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert conn.recv(100) == b"", number
    wait_for(lambda: server.metric("evlog_tls_refused_total") >= before + 44, "the count", 60)
    wait_for(lambda: {line["detail"] for line in proofs(server, "failed")} == {*ways, "no_tls"}, "the records", 60)
    lines = proofs(server, "failed")
    # One after another is told once, and then by the minute.
    assert len([line for line in lines if line["detail"] == "no_tls"]) <= 3
    assert all(line["address"] == "127.0.0.1" and line["listener"] == "SSL" and line["action"] == "TLS" and
               "principal" not in line for line in lines)


def test_settings_that_were_changed_on_the_machine_are_told(tmp_path):
    file = tmp_path / "evlogd.conf"
    base = "[topics]\nnum.partitions = 2\n"
    file.write_text(f"[security]\nauthorizer = on\nsuper.users = User:ANONYMOUS\n{base}")
    broker = Broker(tmp_path / "data", args=["--config", str(file)]).start()

    def changes():
        return [line for line in tail(broker, "--class", "changes") if line.get("action") in ("reload", "start")]

    def reload():
        lines = len(broker.log_lines("was read again"))
        broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(broker.log_lines("was read again")) > lines, "the reload")

    evlog("topics", "create", "orders", bootstrap=broker.bootstrap, expect=0)
    assert changes() == [], "the first start finds no audit log"
    reload()
    assert changes() == [], "nothing has changed"
    file.write_text(f"[security]\nauthorizer = off\nsuper.users = User:ANONYMOUS\n{base}retention.ms = 7d\n")
    reload()
    wait_for(changes, "the record")
    (told,) = changes()
    assert told["action"] == "reload" and told["phase"] == "done" and told["outcome"] == "ok"
    assert told["parameters"]["settings"] == [
        {"name": "authorizer", "before": "on", "after": "off"},
        {"name": "retention.ms", "before": "-1", "after": "604800000"}]
    assert "principal" not in told and "call" not in told
    assert broker.stop() == 0

    file.write_text(file.read_text() + "[network]\nevlog.ssl.principal.from = uri\n")
    broker.start()
    wait_for(lambda: len(changes()) == 2, "the record of the start")
    started = changes()[-1]
    assert started["action"] == "start" and started["parameters"]["version"]
    assert {"name": "authorizer", "value": "off"} in started["parameters"]["settings"]
    names = [setting["name"] for setting in started["parameters"]["settings"]]
    assert names == ["listen", "evlog.ssl.principal.from", "http", "authorizer", "super.users"]
    file.write_text(f"[security]\nauthorizer = on\nsuper.users = User:ANONYMOUS\n[audit]\n"
                    f"evlog.audit.include = none\n{base}")
    reload()
    wait_for(lambda: len(changes()) == 3, "the record of the end of records")
    assert {"name": "evlog.audit.include", "before": "changes,denials,authentication,faults",
            "after": "none"} in changes()[-1]["parameters"]["settings"]
    assert broker.stop() == 0
