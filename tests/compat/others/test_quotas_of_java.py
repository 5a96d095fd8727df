# SPDX-License-Identifier: Apache-2.0
"""Quotas by Kafka's Java Admin, on evlogd and on Apache Kafka: set and described for users, client ids and addresses
with the same outcome, and kept to, as the metrics of the Java producer and consumer say."""
import os
import subprocess
import threading

import pytest
from confluent_kafka.admin import (AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion)

from certs import Certs
from evlogd import Broker, wait_for

RATE = 100_000
SIZE = 10_000
PASSWORD = "Quitte, gelb!"
SECONDS = 180
# Whom quotas are for, and limits that they may have.
ENTITIES = {
    "user=alice": {"producer_byte_rate": 1000.0, "consumer_byte_rate": 2000.0, "request_percentage": 12.5},
    "user=*": {"producer_byte_rate": 3000.0},
    "client-id=app": {"consumer_byte_rate": 4000.0},
    "client-id=*": {"request_percentage": 200.0},
    "client-id=app,user=alice": {"producer_byte_rate": 5000.0},
    "client-id=*,user=*": {"producer_byte_rate": 6000.0},
    "ip=10.0.0.1": {"connection_creation_rate": 7.0},
    "ip=*": {"connection_creation_rate": 900.0},
}
REFUSED = ["user=alice no_such_rate=1", "user=alice connection_creation_rate=1", "ip=10.0.0.1 producer_byte_rate=1",
           "ip=10.0.0.1,user=alice connection_creation_rate=1", "ip=no.such.host.invalid connection_creation_rate=1",
           "user=alice producer_byte_rate=-1", "group=g producer_byte_rate=1"]
FILTERS = [("any",), ("strict", "user=?"), ("any", "user=?"), ("any", "user=alice"), ("strict", "user=alice"),
           ("strict", "user=*"), ("strict", "client-id=app,user=alice"), ("any", "client-id=*"),
           ("any", "client-id=?,user=?"), ("strict", "ip=?"), ("any", "ip=10.0.0.1"), ("any", "ip=*"),
           ("any", "user=nobody"), ("any", "ip=?,user=?"), ("any", "group=g")]


class Quotas:
    """Quotas.java, one process, told whom to ask."""

    def __init__(self, java_classes, bootstrap, security=None, name="evlog"):
        self.name = name
        env = {**os.environ, "COMPAT_SECURITY": str(security)} if security else None
        self.process = subprocess.Popen([*java_classes, "Quotas", bootstrap], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, bufsize=1, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __call__(self, verb, *words):
        """The lines that it answers."""
        watch = threading.Timer(SECONDS, self.process.kill)
        watch.start()
        try:
            print(verb, *words, file=self.process.stdin)
            lines = [line.rstrip("\n") for line in iter(self.process.stdout.readline, ".\n") if line or self.ended()]
        finally:
            watch.cancel()
        return lines

    def ended(self):
        raise AssertionError(f"Quotas.java has ended: {self.process.wait()}")

    def set(self, entity, **limits):
        said = [f"{name}={'' if value is None else value}" for name, value in limits.items()]
        assert self("alter", entity, *said) == ["ok"]

    def clear(self):
        for line in self("describe", "any"):
            entity, limit = line.split()
            self.set(entity, **{limit.split("=")[0]: None})
        wait_for(lambda: self("describe", "any") == [], "what was removed")

    def felt(self, verb, topic, client, count):
        """(average time to stay away in ms, milliseconds that it took)"""
        throttle, elapsed = self(verb, topic, client, count, SIZE)[0].split()
        return float(throttle), int(elapsed)


def lines(limits):
    return sorted(f"{entity} {name}={value}" for entity, of in limits.items() for name, value in of.items())


@pytest.fixture(scope="module")
def programs(brokers, java_classes):
    """{name of the broker: Quotas}"""
    with Quotas(java_classes, brokers["evlog"].bootstrap) as ours, \
            Quotas(java_classes, brokers["kafka"].bootstrap, name="kafka") as theirs:
        yield {"evlog": ours, "kafka": theirs}


@pytest.fixture
def both(programs):
    yield programs.values()
    for quotas in programs.values():
        quotas.clear()


@pytest.fixture(params=["evlog", "kafka"])
def quotas(request, programs):
    yield programs[request.param]
    programs[request.param].clear()


def test_what_is_set_is_described_until_it_is_removed(quotas):
    assert quotas("describe", "any") == []
    assert quotas("try", "user=alice", "producer_byte_rate=1000") == ["ok"]
    assert quotas("describe", "any") == []
    for entity, limits in ENTITIES.items():
        quotas.set(entity, **limits)
    wait_for(lambda: quotas("describe", "any") == lines(ENTITIES), "what was set")
    quotas.set("user=alice", consumer_byte_rate=None, producer_byte_rate=1500.0)
    want = ENTITIES | {"user=alice": {"producer_byte_rate": 1500.0, "request_percentage": 12.5}}
    wait_for(lambda: quotas("describe", "any") == lines(want), "what was changed")
    assert quotas("describe", "strict", "ip=?") == lines({name: of for name, of in ENTITIES.items() if "ip" in name})


def test_filters_and_refusals_are_those_of_kafka(both):
    for quotas in both:
        for entity, limits in ENTITIES.items():
            quotas.set(entity, **limits)
        wait_for(lambda quotas=quotas: quotas("describe", "any") == lines(ENTITIES), "what was set")
    for words in FILTERS:
        ours, theirs = (quotas("describe", *words) for quotas in both)
        assert ours == theirs, words
    for said in REFUSED:
        ours, theirs = (quotas("alter", *said.split()) for quotas in both)
        assert ours == theirs and ours != ["ok"], said


def test_a_producer_and_a_consumer_stay_away_as_long_as_they_are_told(quotas, topic):
    """Of their client ids; another one is not held up."""
    count = 60 if quotas.name == "evlog" else 160    # Kafka lets pass at once what eleven seconds allow
    assert quotas.felt("produce", topic, "free", count)[0] == 0
    quotas.set("client-id=slow", producer_byte_rate=RATE, consumer_byte_rate=RATE)
    wait_for(lambda: len(quotas("describe", "any")) == 2, "what was set")
    for verb in ("produce", "consume"):
        throttle_ms, elapsed_ms = quotas.felt(verb, topic, "slow", count)
        assert throttle_ms > 0 and elapsed_ms > 2500, verb
        assert quotas.felt(verb, topic, "free", count)[0] == 0, verb


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """(a broker with the user alice, what its clients are told of it)"""
    folder = tmp_path_factory.mktemp("secured")
    certs = Certs(folder).issue("server")
    ends = "PLAINTEXT://127.0.0.1:0,SASL_SSL://127.0.0.1:0"
    broker = Broker(folder / "data", listeners=ends,
                    args=[*certs.server_flags(), "--sasl-enabled-mechanisms", "SCRAM-SHA-256"]).start()
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.ports['PLAINTEXT']}", "log_level": 0})
    alice = UserScramCredentialUpsertion("alice", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192),
                                         PASSWORD.encode())
    for future in admin.alter_user_scram_credentials([alice]).values():
        future.result(60)
    file = folder / "security"
    file.write_text(f"ca={certs.pem('ca')}\nmechanism=SCRAM-SHA-256\nuser=alice\npassword={PASSWORD}\n")
    yield broker, file
    assert broker.stop() == 0, "".join(broker.log[-50:])


def test_a_limit_of_a_user_holds_for_all_its_client_ids(secured, java_classes, topic):
    broker, file = secured
    with Quotas(java_classes, f"localhost:{broker.ports['SASL_SSL']}", file) as alice, \
            Quotas(java_classes, f"127.0.0.1:{broker.ports['PLAINTEXT']}") as others:
        alice.set("user=alice", producer_byte_rate=RATE)
        for client in ("one", "another"):
            throttle_ms, elapsed_ms = alice.felt("produce", topic, client, 40)
            assert throttle_ms > 0 and elapsed_ms > 1500
        assert others.felt("produce", topic, "one", 40)[0] == 0
        alice.set("user=alice", producer_byte_rate=None)
        assert alice.felt("produce", topic, "one", 40)[0] == 0


def test_an_address_that_comes_too_often_is_closed_at_once(secured, java_classes):
    """Its programs try again, and get there."""
    broker, _ = secured
    with Quotas(java_classes, f"127.0.0.1:{broker.ports['PLAINTEXT']}") as others:
        refused = broker.metric("evlog_throttled_total", quota="connection")
        others.set("ip=127.0.0.1", connection_creation_rate=1)
        assert others("connect", 3) == ["ok"]
        assert broker.metric("evlog_throttled_total", quota="connection") > refused
        others.set("ip=127.0.0.1", connection_creation_rate=None)
