# SPDX-License-Identifier: Apache-2.0
"""The clients here are built from their registries, so they belong to the long run; once for all files of tests."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "groups")]

import programs  # noqa: E402
from apache_kafka import ApacheKafka  # noqa: E402
from evlogd import Broker, flags  # noqa: E402
from members import SETTINGS, Family  # noqa: E402


@pytest.fixture(scope="module")
def brokers(tmp_path_factory):
    """{name: broker}, both at once."""
    settings = {**SETTINGS, "group.min.session.timeout.ms": 100}
    evlog = Broker(tmp_path_factory.mktemp("evlog"), args=flags(settings)).start()
    kafka = None
    try:
        # Events of these tests are years old, and Kafka looks every five minutes for those of more than a week.
        kafka = ApacheKafka(tmp_path_factory.mktemp("kafka"), {**settings, "log.retention.ms": -1}).start()
        yield {"evlog": evlog, "kafka": kafka}
        assert evlog.process.poll() is None, "evlogd died:\n" + "".join(evlog.log[-50:])
    finally:
        if kafka is not None:
            kafka.stop()
        evlog.stop()


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    return programs.build_go(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory):
    return programs.build_java(tmp_path_factory.mktemp("java"))


@pytest.fixture(scope="session")
def java(java_classes):
    return [*java_classes, "Client"]


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    return programs.build_node(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="session")
def node(node_folder):
    return ["node", str(node_folder / "client.js")]


@pytest.fixture
def family(request):
    """Makes a Family of one of programs.MEMBERS, of which only those used are built."""
    commands = {"java": lambda: [*request.getfixturevalue("java_classes"), "Member"],
                "libevlog": programs.build_libevlog,
                "franz": lambda: [*request.getfixturevalue("go"), "member", "franz"],
                "sarama": lambda: [*request.getfixturevalue("go"), "member", "sarama"],
                "kafkajs": lambda: ["node", str(request.getfixturevalue("node_folder") / "member.js")]}
    return lambda name: Family(name, commands[name](), programs.MEMBERS[name])
