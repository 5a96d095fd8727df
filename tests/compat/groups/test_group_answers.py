# SPDX-License-Identifier: Apache-2.0
"""evlogd answers to the scripts about groups what Apache Kafka answered, but for what differences.py says."""
import re

import pytest

import answers
from engine import run_all, run_one
from evlogd import Broker, flags


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = Broker(tmp_path_factory.mktemp("data"), args=flags(answers.SETTINGS)).start()
    yield instance
    assert instance.process.poll() is None, "evlogd died:\n" + "".join(instance.log[-50:])
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture(scope="module")
def verdicts(broker):
    return answers.Verdicts(run_all(broker, answers.CASES), answers.read(), as_evlog=True,
                            again=lambda case, version: run_one(broker, case, version, "again"))


def test_every_case_has_an_expected_answer_and_no_other():
    assert set(answers.read()) == {(case.name, version) for case in answers.CASES for version in case.versions}


@pytest.mark.parametrize("case", answers.CASES, ids=lambda case: case.name)
def test_case(verdicts, case):
    verdicts.check(case)


@pytest.mark.parametrize("case", [case for case in answers.CASES if case.subject == "DeleteGroups"],
                         ids=lambda case: case.name)
def test_version_3_of_delete_groups_is_version_2_with_a_text(broker, case):
    """Kafka 4.3 has no version 3. A person who reads why a deletion was refused learns more than the code says."""
    expected = answers.as_evlog_lines(case.name, 2, answers.read()[case.name, 2])[0]
    for code, text in ((r"0", "null"), (r"[1-9]\d*", '"some text"')):
        expected = [re.sub(rf'("GroupId": "[^"]*", "ErrorCode": {code})}}', rf'\1, "ErrorMessage": {text}}}', line)
                    for line in expected]
    assert answers.compare(expected, run_one(broker, case, 3, "newer")) is None


def test_few_runs_had_to_be_repeated(verdicts):
    assert len(verdicts.repeated) <= answers.REPEATS_MAX, verdicts.repeated


def test_each_difference_makes_a_difference(verdicts):
    """A difference that is gone is taken out of the list, and with it out of the documents."""
    assert {one.title for one in answers.DIFFERENCES} == verdicts.used


def test_the_comparison_can_fail():
    """One wrong code, one line too many or too few, one difference in the wrong case: each is told."""
    expected = answers.read()
    key = next(key for key, lines in expected.items() if any('"ErrorCode": 25' in line for line in lines))
    lines = expected[key]
    assert answers.compare(lines, lines) is None
    assert answers.compare(lines, [line.replace('"ErrorCode": 25', '"ErrorCode": 22') for line in lines])
    assert answers.compare(lines, lines[:-1]) and answers.compare(lines[:-1], lines)
    case = next(case for case in answers.CASES if case.name == key[0])
    wrong = {**expected, key: lines + ["one more"]}
    verdicts = answers.Verdicts(wrong, expected, as_evlog=False, again=lambda *_: lines + ["one more"])
    with pytest.raises(AssertionError):
        verdicts.check(case)
