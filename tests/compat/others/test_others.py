# SPDX-License-Identifier: Apache-2.0
"""Java, franz-go and kafkajs write and read what the other families write and read.

Each client is one small program beside this file, all with the same arguments.
"""
import pytest

import kafka_wire as wire
from clients import CODECS, Confluent, Python
from programs import run
from test_events import content, stored_codecs

EVENTS = [(b"key-%d" % (i % 7), b"%05d " % i + b"some text that compresses " * (4 + i % 20), []) for i in range(500)]


@pytest.fixture
def client(request):
    return request.getfixturevalue(request.param)


def lines(events):
    return "".join(f"{key.decode()}\t{value.decode()}\n" for key, value, _ in events)


@pytest.mark.parametrize("client,codec", [("java", c) for c in CODECS] + [("go", c) for c in CODECS] +
                         [("node", "none"), ("node", "gzip")], indirect=["client"])
def test_they_write(broker, topic, client, codec):
    run(*client, "produce", broker.bootstrap, topic, codec, text=lines(EVENTS))
    with broker.connect() as conn:
        assert stored_codecs(conn, topic) == {CODECS[codec]}
        first = wire.split(conn.fetch(topic)["records"])[0]
        assert int.from_bytes(first[43:51], "big", signed=True) >= 0, "the producer was not idempotent"
    for reader in (Confluent, Python):
        assert content(reader(broker).read(topic)) == EVENTS


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("client", ["java", "go"], indirect=True)
def test_they_read(broker, topic, client, codec):
    Confluent(broker).write(topic, EVENTS, codec, batch_num_messages=50)
    found = run(*client, "consume", broker.bootstrap, topic, str(len(EVENTS)))
    wanted = "".join(f"{offset}\t{line}\n" for offset, line in enumerate(lines(EVENTS).splitlines()))
    assert found == wanted


@pytest.mark.parametrize("client", ["java", "node"], indirect=True)
def test_they_administer(broker, topic, client):
    assert run(*client, "admin", broker.bootstrap, topic) == "ok\n"
