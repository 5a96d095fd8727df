#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a real Apache Kafka and writes its answers to expected/. Twice, and what differs between the two is an error: a
fact is the same each time.

usage: record.py
"""
import pathlib
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[2] / "lib")]

import answers  # noqa: E402
from apache_kafka import ApacheKafka  # noqa: E402
from engine import run_all  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        kafka = ApacheKafka(folder, answers.SETTINGS).start()
        try:
            first, second = (run_all(kafka, answers.CASES, nonce) for nonce in ("first", "second"))
        finally:
            kafka.stop()
    unsteady = 0
    for (name, version), lines in first.items():
        text = answers.compare(lines, second[name, version])
        if text or "broken: " in lines[-1]:
            unsteady += 1
            print(f"== {name}, version {version}\n{text or lines[-1]}")
    if unsteady:
        sys.exit(f"{unsteady} of {len(first)} runs are no facts; nothing was written")
    answers.write(first)
    print(f"{len(first)} runs of {len(answers.CASES)} cases")


if __name__ == "__main__":
    main()
