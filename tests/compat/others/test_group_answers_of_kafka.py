# SPDX-License-Identifier: Apache-2.0
"""The committed answers of Apache Kafka about groups are still those of a real Apache Kafka."""
import pytest

import answers
from apache_kafka import ApacheKafka
from engine import run_all, run_one


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    kafka = ApacheKafka(tmp_path_factory.mktemp("kafka"), answers.SETTINGS).start()
    try:
        yield answers.Verdicts(run_all(kafka, answers.CASES), answers.read(), as_evlog=False,
                               again=lambda case, version: run_one(kafka, case, version, "again"))
    finally:
        kafka.stop()


@pytest.mark.parametrize("case", answers.CASES, ids=lambda case: case.name)
def test_case(verdicts, case):
    verdicts.check(case)
