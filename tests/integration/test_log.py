# SPDX-License-Identifier: Apache-2.0
"""The log while evlogd runs.

Goal: levels change by Kafka's requests, area by area, and stay when the configuration is read again; a flood of one
line hides no other; and nothing that is secret is in the log, however much it says. Method: requests by hand; a run
with TLS, passwords right and wrong and everything logged, whose log is searched for each secret in several writings.
"""
import base64
import hashlib
import hmac
import pathlib
import re
import signal
import time

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from certs import Certs
from cli_kit import evlog
from evlogd import ROOT, Broker, start_or_skip, wait_for
from kafka_layouts import ask
from kafka_wire import Connection, batch

DESCRIBE_CONFIGS, INCREMENTAL, ALTER_CONFIGS = 32, 44, 33
LOGGER = 8
SET, DELETE, APPEND = 0, 1, 2
INVALID_CONFIG, INVALID_REQUEST = 40, 42
AREAS = ["root", *re.findall(r"LOG_AREA\((\w+)\)", (ROOT / "include/core/log_areas.def").read_text().split("*/")[1])]


@pytest.fixture
def broker(tmp_path):
    instance = start_or_skip(Broker(tmp_path / "data"))
    yield instance
    if instance.process is not None:
        assert instance.stop() == 0, "".join(instance.log[-50:])


def levels(conn):
    answer = ask(conn, DESCRIBE_CONFIGS, 4, {"Resources": [{"ResourceType": LOGGER, "ResourceName": "1"}]})
    configs = answer["Results"][0]["Configs"]
    assert all(config["ConfigSource"] == 6 and not config["ReadOnly"] for config in configs)
    return {config["Name"]: config["Value"] for config in configs}


def change(conn, *changes, name="1", validate=False):
    configs = [{"Name": logger, "Value": level, "ConfigOperation": verb} for logger, level, verb in changes]
    answer = ask(conn, INCREMENTAL, 1, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": LOGGER, "ResourceName": name, "Configs": configs}]})
    result, = answer["Responses"]
    return result["ErrorCode"], result["ErrorMessage"]


def test_every_line_is_of_an_area_that_has_a_level():
    text = "".join(path.read_text() for folder in ("broker", "client") for path in (ROOT / folder).rglob("*.c"))
    used = set(re.findall(r'el_log(?:_fields)?\(EL_LOG_\w+,\s*"(\w+)"', text))
    assert len(used) > 10 and used <= set(AREAS)


def test_levels_change_by_area_and_go_back(broker):
    with broker.connect() as conn:
        assert levels(conn) == {name: "INFO" for name in AREAS}
        assert change(conn, ("net", "DEBUG", SET), ("lease", "ERROR", SET))[0] == 0
        assert levels(conn) == {**{name: "INFO" for name in AREAS}, "net": "DEBUG", "lease": "ERROR"}
        wait_for(lambda: broker.log_lines("User:ANONYMOUS sets the level of net: DEBUG"), "who has done it")
        assert change(conn, ("root", "WARN", SET), ("lease", None, DELETE))[0] == 0
        assert levels(conn) == {**{name: "WARN" for name in AREAS}, "net": "DEBUG"}
        lines = len(broker.log)
        assert conn.create_topic("quiet")[0] == 0  # said at INFO
        broker.process.send_signal(signal.SIGHUP)  # says so at INFO
        time.sleep(0.5)
        assert levels(conn)["root"] == "WARN"
        assert change(conn, ("root", None, DELETE), ("net", None, DELETE))[0] == 0
        assert levels(conn) == {name: "INFO" for name in AREAS}
        wait_for(lambda: broker.log_lines("sets the level of net: INFO"), "the last line")
        assert not [line for line in broker.log[lines:] if "read again" in line or "quiet" in line]


def test_changes_with_a_fault_change_nothing(broker):
    with broker.connect() as conn:
        for bad, code, said in (
                (("net", "LOUD", SET), INVALID_CONFIG, "'LOUD' is no level: ERROR, WARN, INFO or DEBUG"),
                (("net", None, SET), INVALID_CONFIG, "is no level"),
                (("kafka.server", "DEBUG", SET), INVALID_CONFIG, "there is no logger 'kafka.server'"),
                (("net", "DEBUG", APPEND), INVALID_REQUEST, "levels are set (0) or deleted (1)")):
            error, text = change(conn, ("storage", "DEBUG", SET), bad)
            assert error == code and said in text
        assert change(conn, ("net", "DEBUG", SET), validate=True)[0] == 0
        assert change(conn, ("net", "DEBUG", SET), name="2")[0] == INVALID_REQUEST
        whole = ask(conn, ALTER_CONFIGS, 2, {"ValidateOnly": False, "Resources": [
            {"ResourceType": LOGGER, "ResourceName": "1", "Configs": [{"Name": "net", "Value": "DEBUG"}]}]})
        assert whole["Responses"][0]["ErrorCode"] == INVALID_REQUEST
        assert levels(conn) == {name: "INFO" for name in AREAS}


def test_flood_of_one_line_is_cut_and_counted(broker):
    with broker.connect() as conn:
        for i in range(40):
            for _ in range(10):  # each change says a line, at once
                assert change(conn, ("io", "DEBUG" if i % 2 else "INFO", SET))[0] == 0
        time.sleep(1.1)
        assert change(conn, ("io", "INFO", SET))[0] == 0

        def counts():
            left = sum(int(re.search(r"(\d+) lines like the next", line)[1])
                       for line in broker.log_lines("lines like the next one were left out"))
            return len(broker.log_lines("sets the level of io")), left

        wait_for(lambda: sum(counts()) == 401, "every line, written or counted")
        said, left = counts()
        assert left > 0 or said == 401, "the machine is too slow to send a hundred in a second"


# --- secrets ---------------------------------------------------------------------------------------------------------

PASSWORD, WRONG = "Quittenbrot+7", "Hagebutte+8"


def writings(secret):
    data = secret.encode()
    yield from (secret, data.hex(), data.hex().upper(), base64.b64encode(data).decode().rstrip("="))
    for salt_user in (b"\0alice\0" + data, b"alice\0" + data):
        yield base64.b64encode(salt_user).decode().rstrip("=")


def test_no_secret_is_in_the_log(tmp_path):
    (tmp_path / "certs").mkdir()
    certs = Certs(tmp_path / "certs").issue("server").issue("app")
    args = [*certs.server_flags(), "--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth", "requested",
            "--log-level=debug", "--evlog-slow-operation-ms=1ms", "--connection-failed-authentication-delay-ms=5ms",
            "--sasl-enabled-mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN", "--super-users=User:ANONYMOUS",
            "--authorizer=on"]
    listeners = "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,SASL_SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0"
    broker = start_or_skip(Broker(tmp_path / "data", listeners=listeners, args=args))
    salt = b"0123456789abcdef"
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['PLAINTEXT']}"})
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        upsert = UserScramCredentialUpsertion("alice", ScramCredentialInfo(mechanism, 8192), PASSWORD.encode(), salt)
        for future in admin.alter_user_scram_credentials([upsert]).values():
            future.result(60)
    for listener, protocol in (("SASL_SSL", "sasl_ssl"), ("SASL_PLAINTEXT", "sasl_plaintext")):
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"):
            if (protocol, mechanism) == ("sasl_plaintext", "PLAIN"):
                continue
            for password in (PASSWORD, WRONG):  # right: no right to the topic; wrong: not trusted
                settings = {"security.protocol": protocol, "sasl.mechanism": mechanism, "sasl.username": "alice",
                            "sasl.password": password, "ssl.ca.location": certs.pem("ca")}
                words = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
                evlog("produce", "t", *words, bootstrap=f"localhost:{broker.ports[listener]}", stdin="x\n", expect=4)
    with Connection("127.0.0.1", broker.ports["PLAINTEXT"]) as conn:  # an event that is refused
        conn.create_topic("t", configs=[("max.message.bytes", "100")])
        conn.produce("t", batch([PASSWORD.encode() * 20]))
    page = broker.get("/metrics")
    broker.process.send_signal(signal.SIGHUP)
    wait_for(lambda: broker.log_lines("read again"), "SIGHUP")
    assert broker.stop() == 0
    text = "".join(broker.log) + page
    assert broker.said("slow operation") and broker.said("alice")
    secrets = [writing for password in (PASSWORD, WRONG) for writing in writings(password)]
    for bits in (256, 512):
        salted = hashlib.pbkdf2_hmac(f"sha{bits}", PASSWORD.encode(), salt, 8192)
        for name in (b"Client Key", b"Server Key"):
            key = hmac.new(salted, name, f"sha{bits}").digest()
            stored = hashlib.new(f"sha{bits}", key).digest()
            secrets += [writing for data in (salted, key, stored)
                        for writing in (data.hex(), data.hex().upper(), base64.b64encode(data).decode().rstrip("="))]
    keys = "".join(pathlib.Path(certs.key(name)).read_text(encoding="ascii") for name in ("server", "app"))
    secrets += [line for line in keys.split("\n") if len(line) > 20 and "-----" not in line]
    secrets += ["PRIVATE KEY"]
    assert len(secrets) > 30
    for secret in secrets:
        assert secret not in text, secret
