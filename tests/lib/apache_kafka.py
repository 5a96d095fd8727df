# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka of the release in tests/compat/kafka/pom.xml: one KRaft node, configured and started as
bench/peers does it, for the tests that ask it what is right; and the jars of its tools and of the Java client."""
import pathlib
import shutil
import sys

import pytest

from evlogd import BIN, ROOT, wait_for
from kafka_wire import Connection
from make_target import make_target

sys.path.insert(0, str(ROOT / "bench" / "peers"))

import brokers  # noqa: E402

START_SECONDS = 120


def fetch_or_skip():
    """The folder of Kafka's jars."""
    for program in ("mvn", "java"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed, so there is no Apache Kafka to ask")
    return make_target("compat/kafka/fetched").parent


class ApacheKafka(brokers.Kafka):
    """settings: {name: value} of server.properties."""

    def __init__(self, folder, settings=None):
        lines = "".join(f"{name}={value}\n" for name, value in (settings or {}).items())
        super().__init__(BIN.parent, pathlib.Path(folder), "kafka", False, lines)
        self.jars = f"{fetch_or_skip()}/*"

    def start(self, fresh=True):
        if fresh:
            self.clear()
        self.launch()
        wait_for(self.answers, f"Apache Kafka, see {self.folder / 'log'}", START_SECONDS)
        return self

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            with self.connect() as conn:
                return conn.create_topic("ready")[0] in (0, 36)
        except (OSError, EOFError, AssertionError):
            return False

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def connect(self, timeout=60):
        return Connection("127.0.0.1", self.port, timeout)
