# SPDX-License-Identifier: Apache-2.0
"""Users and access rules through stock clients: SCRAM with librdkafka, kafka-python and kcat, and what is denied."""
import subprocess

import confluent_kafka
import kafka
import pytest
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialDeletion, UserScramCredentialUpsertion)

from evlogd import Broker

KE = confluent_kafka.KafkaError
SHA256, SHA512 = ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512


def sasl(broker, user, password, mechanism):
    return {"bootstrap.servers": f"127.0.0.1:{broker.ports['SASL_PLAINTEXT']}", "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password, "log_level": 0}


def result(futures):
    return [future.result(60) for future in futures.values()]


def upsert(user, mechanism, password):
    return UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 8192), password)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A broker whose users were made over the loopback before the authorizer was on."""
    data = tmp_path_factory.mktemp("secured")
    broker = Broker(data, listeners="PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0").start()
    plain = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['PLAINTEXT']}", "log_level": 0})
    result(plain.alter_user_scram_credentials([upsert("admin", SHA256, b"top"), upsert("alice", SHA256, b"pw=1"),
                                               upsert("alice", SHA512, b"pw=1"), upsert("bob", SHA512, b"pw2")]))
    assert broker.stop() == 0
    broker.args = ["--authorizer=on", "--super-users=User:admin"]
    broker.start()
    yield broker
    assert broker.stop() == 0, "".join(broker.log[-50:])


@pytest.fixture(scope="module")
def admin(secured):
    return AdminClient(sasl(secured, "admin", "top", "SCRAM-SHA-256"))


def test_a_wrong_password_gets_nobody_in(secured):
    for user, password in (("alice", "pw2"), ("nobody", "pw=1")):
        client = AdminClient({**sasl(secured, user, password, "SCRAM-SHA-512"), "socket.timeout.ms": 2000})
        with pytest.raises(confluent_kafka.KafkaException):
            client.list_topics(timeout=2)
    assert any("could not prove who it is" in line for line in secured.log)


def test_rights_decide_what_clients_may(secured, admin):
    result(admin.create_topics([NewTopic("orders", 1, 1), NewTopic("secrets", 1, 1)]))
    rules = [AclBinding(ResourceType.TOPIC, "ord", ResourcePatternType.PREFIXED, "User:alice", "*", operation,
                        AclPermissionType.ALLOW) for operation in (AclOperation.READ, AclOperation.WRITE)]
    rules.append(AclBinding(ResourceType.GROUP, "g", ResourcePatternType.LITERAL, "User:alice", "*", AclOperation.READ,
                            AclPermissionType.ALLOW))
    result(admin.create_acls(rules))
    everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                                  AclPermissionType.ANY)
    assert len(admin.describe_acls(everything).result(60)) == 3
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        conf = sasl(secured, "alice", "pw=1", mechanism)
        assert set(AdminClient(conf).list_topics(timeout=60).topics) == {"orders"}
        outcome = []
        producer = confluent_kafka.Producer(conf)
        producer.produce("orders", b"1", on_delivery=lambda error, message: outcome.append(error))
        producer.produce("secrets", b"2", on_delivery=lambda error, message: outcome.append(error))
        producer.flush(20)
        assert [error and error.code() for error in outcome].count(None) == 1
        assert KE.TOPIC_AUTHORIZATION_FAILED in [error and error.code() for error in outcome]
    consumer = confluent_kafka.Consumer({**sasl(secured, "alice", "pw=1", "SCRAM-SHA-256"), "group.id": "g",
                                         "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    assert consumer.poll(30).value() == b"1"
    consumer.close()
    python = kafka.KafkaProducer(bootstrap_servers=f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}",
                                 security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512",
                                 sasl_plain_username="alice", sasl_plain_password="pw=1")
    assert python.send("orders", b"3").get(20).offset == 2
    python.close()
    kcat = subprocess.run(["kcat", "-b", f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}", "-X",
                           "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=SCRAM-SHA-256", "-X",
                           "sasl.username=alice", "-X", "sasl.password=pw=1", "-C", "-t", "orders", "-e", "-q"],
                          capture_output=True, timeout=60, check=False)
    assert kcat.returncode == 0, kcat.stderr
    assert kcat.stdout.split() == [b"1", b"1", b"3"]


def test_what_was_answered_survives_a_kill(secured, admin):
    result(admin.create_acls([AclBinding(ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL, "User:bob",
                                         "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW)]))
    result(admin.alter_user_scram_credentials([UserScramCredentialDeletion("alice", SHA256)]))
    ports = secured.ports
    secured.kill()
    secured.listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    secured.start()
    bob = AdminClient(sasl(secured, "bob", "pw2", "SCRAM-SHA-512"))
    users = bob.describe_user_scram_credentials().result(60)
    assert sorted(users) == ["admin", "alice", "bob"]
    assert [info.mechanism for info in users["alice"].scram_credential_infos] == [SHA512]
    removed = result(admin.delete_acls([AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, "User:alice",
                                                         None, AclOperation.ANY, AclPermissionType.ANY)]))
    assert len(removed[0]) == 3
    assert not AdminClient(sasl(secured, "alice", "pw=1", "SCRAM-SHA-512")).list_topics(timeout=60).topics
