# SPDX-License-Identifier: Apache-2.0
"""Java, franz-go, kafkajs and the command line (libevlog) over TLS with a certificate of their own, and by SCRAM and
PLAIN inside of TLS: what they have a right to goes in and out, what they have none to is denied, and a wrong password
or a server of a foreign CA ends the attempt. librdkafka and kafka-python: ../test_tls.py, ../test_security.py.
"""
import os
import pathlib
import subprocess

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, NewTopic,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialUpsertion)

from certs import Certs
from evlogd import BIN, Broker

PASSWORD = "Quitte, gelb!"
LINES = "".join(f"key-{i % 7}\tevent {i} {'x' * (i % 900)}\n" for i in range(300))
WAYS = ["mutual TLS", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]
TRIES_SECONDS = 90


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    made = Certs(tmp_path_factory.mktemp("certs")).issue("server").issue("app")
    made.authority("foreign")
    pair = pathlib.Path(made.pem("pair"))
    pair.write_text(pathlib.Path(made.pem("app")).read_text() + pathlib.Path(made.key("app")).read_text())
    return made


@pytest.fixture(scope="module")
def secured(certs, tmp_path_factory):
    """Whoever comes to its plain listener, on the loopback, may do all: it makes the user, the topics and the rules."""
    ends = "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,SASL_SSL://127.0.0.1:0"
    flags = [*certs.server_flags(), "--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth", "requested",
             "--sasl-enabled-mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN", "--authorizer=on",
             "--super-users=User:ANONYMOUS"]
    broker = Broker(tmp_path_factory.mktemp("data"), listeners=ends, args=flags).start()
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['PLAINTEXT']}", "log_level": 0})
    users = [UserScramCredentialUpsertion("alice", ScramCredentialInfo(kind, 8192), PASSWORD.encode())
             for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)]
    topics = [NewTopic(name, 1, 1) for name in [*map(topic_of, WAYS), "secrets"]]
    rules = [AclBinding(ResourceType.TOPIC, "open-", ResourcePatternType.PREFIXED, user, "*", operation,
                        AclPermissionType.ALLOW) for user in ("User:alice", "User:CN=app")
             for operation in (AclOperation.READ, AclOperation.WRITE, AclOperation.CREATE)]
    for futures in (admin.alter_user_scram_credentials(users), admin.create_topics(topics), admin.create_acls(rules)):
        for future in futures.values():
            future.result(60)
    yield broker
    assert broker.stop() == 0, "".join(broker.log[-50:])


def events(broker, topic):
    """Events of its one partition, by the listener of the loopback."""
    asking = Consumer({"bootstrap.servers": f"127.0.0.1:{broker.ports['PLAINTEXT']}", "group.id": "unused"})
    end = asking.get_watermark_offsets(TopicPartition(topic, 0), timeout=60)[1]
    asking.close()
    return end


def topic_of(way):
    return "open-" + way.replace(" ", "-")


class Caller:
    """The programs of the other languages, told by a file how to connect, and the command line, told by settings."""

    def __init__(self, name, command, secured, certs, folder):
        self.name, self.command, self.secured, self.certs, self.folder = name, command, secured, certs, folder

    def call(self, verb, topic, last, way, text="", password=PASSWORD, ca="ca"):
        port = self.secured.ports["SSL" if way == "mutual TLS" else "SASL_SSL"]
        bootstrap = f"localhost:{port}"
        if self.name == "evlog":
            settings = self.certs.client("app" if way == "mutual TLS" else None)
            settings["ssl.ca.location"] = self.certs.pem(ca)
            if way != "mutual TLS":
                settings |= {"security.protocol": "sasl_ssl", "sasl.mechanism": way, "sasl.username": "alice",
                             "sasl.password": password}
            words = [word for name, value in settings.items() for word in ("-X", f"{name}={value}")]
            form = {"produce": ["-K", "\t"], "consume": ["-f", "%o\t%k\t%v\n"]}[verb]
            command, env = [*self.command, verb, topic, "-b", bootstrap, "--timeout", "10s", *form, *words], None
        else:
            said = {"ca": self.certs.pem(ca)}
            said |= {"pair": self.certs.pem("pair")} if way == "mutual TLS" else \
                {"mechanism": way, "user": "alice", "password": password}
            file = self.folder / "security"
            file.write_text("".join(f"{name}={value}\n" for name, value in said.items()))
            command, env = [*self.command, verb, bootstrap, topic, last], {**os.environ, "COMPAT_SECURITY": str(file)}
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=TRIES_SECONDS, env=env,
                              check=False)

    def write(self, topic, way, **more):
        return self.call("produce", topic, "gzip", way, text=LINES, **more)


@pytest.fixture(params=["java", "go", "node", "evlog"])
def caller(request, secured, certs, tmp_path):
    command = [str(BIN / "evlog")] if request.param == "evlog" else request.getfixturevalue(request.param)
    return Caller(request.param, command, secured, certs, tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_rights_decide_what_goes_in_and_out(caller, secured, way):
    topic = topic_of(way)
    before = events(secured, topic)
    done = caller.write(topic, way)
    assert done.returncode == 0, done.stderr
    count = len(LINES.splitlines())
    assert events(secured, topic) == before + count
    denied = caller.write("secrets", way)
    assert denied.returncode != 0
    assert "authoriz" in (denied.stdout + denied.stderr).lower(), denied.stderr
    assert events(secured, "secrets") == 0
    if caller.name == "node":
        return  # it reads in groups alone
    found = caller.call("consume", topic, str(before + count), way)
    assert found.returncode == 0, found.stderr
    wanted = [f"{before + offset}\t{line}" for offset, line in enumerate(LINES.splitlines())]
    assert found.stdout.splitlines()[before:] == wanted


# franz-go tries a wrong password again until its caller gives up, and does not say why then.
@pytest.mark.parametrize("caller", ["java", "node", "evlog"], indirect=True)
@pytest.mark.parametrize("way", WAYS[1:])
def test_a_wrong_password_is_said_to_be_one(caller, way):
    done = caller.write(topic_of(way), way, password="Quitte, blau!")
    assert done.returncode != 0
    assert "auth" in (done.stdout + done.stderr).lower()
    assert "blau" not in done.stdout + done.stderr


@pytest.mark.parametrize("caller", ["java", "node", "evlog"], indirect=True)
def test_a_server_of_a_foreign_ca_is_not_trusted(caller, secured):
    before = events(secured, "open-PLAIN")
    done = caller.write("open-PLAIN", "PLAIN", ca="foreign")
    assert done.returncode != 0
    assert events(secured, "open-PLAIN") == before
