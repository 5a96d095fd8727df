# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the compatibility tests: one evlogd for each file of tests, on the io backend that it chooses itself."""
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from evlogd import Broker  # noqa: E402


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = Broker(tmp_path_factory.mktemp("data")).start()
    yield instance
    assert instance.process.poll() is None, "evlogd died:\n" + "".join(instance.log[-50:])
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture
def topic(request):
    safe = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"{safe[:120]}-{time.monotonic_ns() % 10**9}"
