# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the crash tests."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from evlogd import Broker, start_or_skip  # noqa: E402
from kept_folder import folder, pytest_runtest_makereport  # noqa: E402,F401
from mount import mounted  # noqa: E402

SMALL_DISK_MIB = 160


@pytest.fixture
def small_disk(folder):  # noqa: F811
    """(mount point, a function that starts evlogd on it)"""
    brokers = []
    with mounted(folder, SMALL_DISK_MIB) as mount:
        def start(io, reserve, args=()):
            words = ["--memory-max", "64MiB", "--disk-reserve-bytes", str(reserve), *args]
            brokers.append(Broker(mount / "data", io=io, shards=1, args=words))
            return start_or_skip(brokers[0])

        yield mount, start
        if brokers and brokers[0].process is not None:
            brokers[0].kill()
