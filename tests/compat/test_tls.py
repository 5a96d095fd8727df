# SPDX-License-Identifier: Apache-2.0
"""Stock clients over TLS, with and without a certificate of their own: events go in and out, and groups read."""
import ssl

import pytest
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer, KafkaProducer

from certs import Certs
from evlogd import Broker


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs")).issue("server").issue("app", "/O=Example/CN=app", rsa=2048)


@pytest.fixture(scope="module")
def secure(certs, tmp_path_factory):
    flags = certs.server_flags() + ["--ssl-ca-file", certs.pem("ca"), "--ssl-client-auth", "requested",
                                        "--group-initial-rebalance-delay-ms", "0"]
    instance = Broker(tmp_path_factory.mktemp("data"), listeners="SSL://127.0.0.1:0", args=flags).start()
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.mark.parametrize("own", [None, "app"], ids=["TLS", "mutual TLS"])
def test_librdkafka_publishes_and_consumes_in_a_group(secure, certs, topic, own):
    settings = {"bootstrap.servers": f"localhost:{secure.port}", "log_level": 0, **certs.client(own)}
    producer = Producer({**settings, "linger.ms": 0})
    values = [b"%d" % i * (1 + i * 7) for i in range(300)]
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0
    consumer = Consumer({**settings, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = []
    while len(read) < len(values):
        got = consumer.consume(100, 30)
        assert got and not any(message.error() for message in got)
        read += [message.value() for message in got]
    assert read == values
    consumer.commit(asynchronous=False)
    consumer.close()


def test_the_python_client_publishes_and_reads_with_a_certificate(secure, certs, topic):
    context = ssl.create_default_context(cafile=certs.pem("ca"))
    context.load_cert_chain(certs.pem("app"), certs.key("app"))
    settings = {"bootstrap_servers": f"localhost:{secure.port}", "security_protocol": "SSL", "ssl_context": context}
    producer = KafkaProducer(**settings)
    values = [b"%d" % i * 500 for i in range(100)]
    for value in values:
        producer.send(topic, value)
    producer.flush(30)
    producer.close()
    consumer = KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=30000, **settings)
    assert [message.value for _, message in zip(values, consumer)] == values
    consumer.close()
