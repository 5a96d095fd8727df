# SPDX-License-Identifier: Apache-2.0
"""evlog work, and so libevlog's members of work groups, on the share groups of a real Apache Kafka."""
import time

import pytest

from apache_kafka import ApacheKafka
from work_cases import *  # noqa: F401, F403
from work_cases import Place


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    kafka = ApacheKafka(tmp_path_factory.mktemp("kafka")).start()
    yield kafka
    kafka.stop()


@pytest.fixture
def place(kafka, tmp_path, request):
    safe = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return Place(kafka.bootstrap, tmp_path, f"{safe[5:60]}-{time.monotonic_ns() % 10**6}")


def test_what_kafka_does_not_know_is_refused_by_name(place):
    place.publish(["k v"])
    done = place.evlog("work", place.topic, "-g", place.group, "--set", "order=key", "--", "true")
    assert done.code not in (0, 130)
    assert "order" in done.err and "not evlog" in done.err
