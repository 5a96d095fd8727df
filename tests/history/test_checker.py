# SPDX-License-Identifier: Apache-2.0
"""Goal: the checker finds each anomaly, and none in a good history.

Method: recorded/ holds one short history for each anomaly, in which it is the only one, and a good one that has all
that may happen without harm: doubt, a repeated value, a hole, a rebalance, a commit that was refused.
"""
import json
import pathlib

import pytest

from checker import ANOMALIES, check

RECORDED = pathlib.Path(__file__).parent / "recorded"


def recorded(name):
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("anomaly", sorted(ANOMALIES))
def test_bad_history_is_rejected(anomaly):
    assert list(check(recorded(anomaly))) == [anomaly]


def test_good_history_is_accepted():
    assert check(recorded("good")) == {}


def test_every_recorded_history_is_looked_at():
    assert {path.stem for path in RECORDED.iterdir()} == {*ANOMALIES, "good"}
