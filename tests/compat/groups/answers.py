# SPDX-License-Identifier: Apache-2.0
"""What Apache Kafka answers to the scripts (expected/*.txt, a file for each kind of script), and a comparison with it.

A file holds blocks. The head names a case and the versions that are answered alike; the lines are those of engine.py:

    == join/leader again while stable, versions 7 8
    a JoinGroup {"ErrorCode": 0, ...}
"""
import fnmatch
import pathlib
import re

import cases_join
import cases_member
import cases_offsets
import cases_static
import cases_tools
from differences import DIFFERENCES

FOLDER = pathlib.Path(__file__).resolve().parent / "expected"
CASES = [case for module in (cases_join, cases_static, cases_member, cases_offsets, cases_tools)
         for case in module.CASES]
# Settings of the broker that is asked, by the names that Kafka and evlogd share: short times, which are waited for.
SETTINGS = {"group.initial.rebalance.delay.ms": 500, "group.min.session.timeout.ms": 500, "group.max.size": 500,
            "offsets.topic.num.partitions": 4}
ANY = range(99)
# A run that differs is repeated by itself, because a machine that is busy elsewhere moves the times of a script; more
# than so many are no accident.
REPEATS_MAX = 10
SAME_COLUMNS = 100    # of a line in which nothing differs
HEAD = re.compile(r"== (.+), versions? ([\d ]+)")


def chapter(name):
    return name.partition("/")[0].replace(" ", "_")


def read():
    """{(case name, version): [line]}"""
    out = {}
    for path in sorted(FOLDER.glob("*.txt")):
        keys = []
        for line in path.read_text().splitlines():
            head = HEAD.fullmatch(line)
            if head:
                keys = [(head[1], int(version)) for version in head[2].split()]
                out.update({key: [] for key in keys})
            elif not line.startswith("#"):
                for key in keys:
                    out[key].append(line)
    return out


def write(found):
    """Replace the files by what one run of all cases found."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    for name in dict.fromkeys(chapter(case.name) for case in CASES):
        lines = ["# SPDX-License-Identifier: Apache-2.0",
                 "# Answers of Apache Kafka; written by record.py, not by hand. The format: answers.py."]
        for case in CASES:
            if chapter(case.name) == name:
                lines += blocks(case, found)
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


def blocks(case, found):
    alike = {}
    for version in case.versions:
        alike.setdefault(tuple(found[case.name, version]), []).append(version)
    for lines, versions in alike.items():
        yield f"== {case.name}, version{'s' if len(versions) > 1 else ''} {' '.join(map(str, versions))}"
        yield from lines


def meant(name, version):
    """[(title, pattern, replacement)] that apply."""
    return [(one.title, kafka, evlog) for one in DIFFERENCES for kafka, evlog, *versions in one.changes
            if version in (versions[0] if versions else ANY) and any(fnmatch.fnmatch(name, case) for case in one.cases)]


def as_evlog_lines(name, version, lines):
    """(lines as evlogd should answer, the differences that changed something)"""
    used = set()
    for title, kafka, evlog in meant(name, version):
        changed = [re.sub(kafka, evlog, line) for line in lines]
        if changed != lines:
            used.add(title)
        lines = changed
    return lines, used


def compare(expected, got):
    """A text of what differs, or None."""
    if expected == got:
        return None
    out = []
    for index in range(max(len(expected), len(got))):
        wanted, found = (lines[index] if index < len(lines) else "(nothing)" for lines in (expected, got))
        out += [f"  {wanted[:SAME_COLUMNS]}"] if wanted == found else [f"- {wanted}", f"+ {found}"]
    return "\n".join(out)


class Verdicts:
    """What a broker answered beside what is expected. again(case, version): runs one once more."""

    def __init__(self, found, expected, as_evlog, again):
        self.found, self.expected, self.as_evlog, self.again = found, expected, as_evlog, again
        self.used, self.repeated = set(), []
        if as_evlog:
            for (name, version), lines in expected.items():
                self.expected[name, version], used = as_evlog_lines(name, version, lines)
                self.used |= used

    def check(self, case):
        failed = {}
        for version in case.versions:
            text = compare(self.expected[case.name, version], self.found[case.name, version])
            if text:
                self.repeated.append((case.name, version))
            if text and len(self.repeated) <= REPEATS_MAX:
                text = compare(self.expected[case.name, version], self.again(case, version))
            if text:
                failed.setdefault(text, []).append(version)
        # A fault is told once for all versions in which it is the same.
        assert not failed, "\n" + "\n".join(f"version {versions}: - expected, + answered\n{text}"
                                           for text, versions in failed.items())
