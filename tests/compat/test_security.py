# SPDX-License-Identifier: Apache-2.0
"""Users and access rules through stock clients: SCRAM with librdkafka, kafka-python and kcat, PLAIN inside of TLS and
nowhere else, and what is denied."""
import ssl
import struct
import subprocess

import confluent_kafka
import kafka
import pytest
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialDeletion, UserScramCredentialUpsertion)

from certs import Certs
from evlogd import Broker
from kafka_wire import Connection, string

KE = confluent_kafka.KafkaError
SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
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
    assert secured.said("could not prove who it is")


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


def test_an_address_in_a_rule_is_one_however_a_tool_writes_it(secured, admin):
    """Java writes the loopback of IPv6 as 0:0:0:0:0:0:0:1. A rule that nothing compares equal to denies nobody."""
    def rule(host, permission):
        return AclBinding(ResourceType.TOPIC, "written", ResourcePatternType.LITERAL, "User:bob", host,
                          AclOperation.READ, permission)

    def rules(host=None):
        found = admin.describe_acls(AclBindingFilter(ResourceType.TOPIC, "written", ResourcePatternType.LITERAL, None,
                                                     host, AclOperation.ANY, AclPermissionType.ANY)).result(60)
        return sorted((found_rule.host, found_rule.permission_type.name) for found_rule in found)

    result(admin.create_topics([NewTopic("written", 1, 1)]))
    result(admin.create_acls([rule("*", AclPermissionType.ALLOW)]))
    bob = confluent_kafka.Consumer({**sasl(secured, "bob", "pw2", "SCRAM-SHA-512"), "group.id": "none"})
    partition = confluent_kafka.TopicPartition("written", 0)
    assert bob.get_watermark_offsets(partition, timeout=30) == (0, 0)
    result(admin.create_acls([rule("::ffff:127.0.0.1", AclPermissionType.DENY),
                              rule("0:0:0:0:0:0:0:1", AclPermissionType.DENY)]))
    assert rules() == [("*", "ALLOW"), ("127.0.0.1", "DENY"), ("::1", "DENY")]
    assert rules("0:0:0:0:0:0:0:1") == [("::1", "DENY")]
    bob.assign([confluent_kafka.TopicPartition("written", 0, 0)])
    assert hears_of(bob, KE.TOPIC_AUTHORIZATION_FAILED)
    bob.close()
    removed = result(admin.delete_acls([AclBindingFilter(
        ResourceType.TOPIC, "written", ResourcePatternType.LITERAL, None, host, AclOperation.ANY,
        AclPermissionType.ANY) for host in ("0:0:0:0:0:0:0:1", "::FFFF:7f00:1", "*")]))
    assert [len(one) for one in removed] == [1, 1, 1] and rules() == []


def hears_of(consumer, code):
    for _ in range(60):
        event = consumer.poll(1)
        if event is not None and event.error() and event.error().code() == code:
            return True
    return False


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


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """(a broker that offers PLAIN, certificates). alice has keys of one mechanism, carol of the other."""
    certs = Certs(tmp_path_factory.mktemp("certs")).issue("server")
    ends = ("PLAINTEXT", "SASL_SSL", "SASL_PLAINTEXT")
    broker = Broker(tmp_path_factory.mktemp("plain"), listeners=",".join(f"{end}://127.0.0.1:0" for end in ends),
                    args=certs.server_flags() + ["--sasl-enabled-mechanisms=SCRAM-SHA-256,PLAIN"]).start()
    open_admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['PLAINTEXT']}", "log_level": 0})
    result(open_admin.alter_user_scram_credentials([upsert("alice", SHA256, b"pw=1"),
                                                    upsert("carol", SHA512, b"pw,2")]))
    result(open_admin.create_topics([NewTopic("plain", 1, 1)]))
    yield broker, certs
    assert broker.stop() == 0, "".join(broker.log[-50:])


def inside_tls(plain, user, password):
    broker, certs = plain
    return {"bootstrap.servers": f"127.0.0.1:{broker.ports['SASL_SSL']}", "security.protocol": "SASL_SSL",
            "ssl.ca.location": certs.pem("ca"), "sasl.mechanism": "PLAIN", "sasl.username": user,
            "sasl.password": password, "log_level": 0}


@pytest.mark.parametrize("user, password", [("alice", "pw=1"), ("carol", "pw,2")])
def test_librdkafka_shows_its_password_inside_of_tls(plain, user, password):
    settings = inside_tls(plain, user, password)
    outcome = []
    producer = confluent_kafka.Producer(settings)
    producer.produce("plain", user.encode(), on_delivery=lambda error, message: outcome.append(error))
    assert producer.flush(60) == 0 and outcome == [None]
    consumer = confluent_kafka.Consumer({**settings, "group.id": f"of {user}", "auto.offset.reset": "earliest"})
    consumer.subscribe(["plain"])
    read = []
    while user.encode() not in read:
        message = consumer.poll(60)
        assert message is not None and message.error() is None
        read.append(message.value())
    consumer.close()


def test_the_python_client_shows_its_password_inside_of_tls(plain):
    broker, certs = plain
    settings = {"bootstrap_servers": f"127.0.0.1:{broker.ports['SASL_SSL']}", "security_protocol": "SASL_SSL",
                "ssl_context": ssl.create_default_context(cafile=certs.pem("ca")), "sasl_mechanism": "PLAIN",
                "sasl_plain_username": "alice"}
    producer = kafka.KafkaProducer(sasl_plain_password="pw=1", **settings)
    assert producer.send("plain", b"python").get(60).topic == "plain"
    producer.close()
    with pytest.raises(kafka.errors.KafkaError):
        kafka.KafkaAdminClient(sasl_plain_password="pw=2", bootstrap_timeout_ms=3000, **settings)


@pytest.mark.parametrize("user, password", [("alice", "pw,2"), ("nobody", "pw=1")])
def test_a_wrong_password_inside_of_tls_gets_nobody_in(plain, user, password):
    before = plain[0].metric("evlog_authentication_failures_total")
    failed = []
    client = AdminClient({**inside_tls(plain, user, password), "error_cb": failed.append})
    with pytest.raises(confluent_kafka.KafkaException):
        client.list_topics(timeout=5)
    client.poll(0)
    assert KE._AUTHENTICATION in [error.code() for error in failed]
    assert plain[0].metric("evlog_authentication_failures_total") > before


def test_no_password_is_taken_outside_of_tls(plain):
    broker, _ = plain
    client = AdminClient(sasl(broker, "alice", "pw=1", "PLAIN"))
    with pytest.raises(confluent_kafka.KafkaException):
        client.list_topics(timeout=3)
    assert AdminClient(sasl(broker, "alice", "pw=1", "SCRAM-SHA-256")).list_topics(timeout=60).brokers
    before = broker.metric("evlog_authentications_total")
    token = b"\0alice\0pw=1"
    for version in (0, 1):
        with Connection("127.0.0.1", broker.ports["SASL_PLAINTEXT"]) as conn:
            answer = conn.ask(SASL_HANDSHAKE, version, string("PLAIN"))
            assert answer.unpack("h") == KE.UNSUPPORTED_SASL_MECHANISM
            assert [answer.string() for _ in range(answer.unpack("i"))] == ["SCRAM-SHA-256"]
            # Who shows it all the same has not begun an exchange.
            answer = conn.ask(SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
            assert answer.unpack("h") == KE.ILLEGAL_SASL_STATE
    assert broker.metric("evlog_authentications_total") == before
