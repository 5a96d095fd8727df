# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: a real evlogd on a temporary data directory.

Every test that takes `broker` runs once per io backend; a backend that the kernel refuses is a skip with the reason
that evlogd logged.
"""
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from evlogd import BIN, ROOT, Broker, backends, start_or_skip, wait_for  # noqa: E402, F401


# Tests of these files share no broker and mostly wait: each runs wherever there is room, the others' files as a whole.
SPREAD = ("test_archive.py",)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            scope = super()._split_scope(nodeid)
            return nodeid if scope.rpartition("/")[2] in SPREAD else scope

    return Files(config, log)


@pytest.fixture(params=backends(), scope="module")
def broker(request, tmp_path_factory):
    """A broker shared by the tests of a file; each test uses topics of its own."""
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data"), io=request.param))
    yield instance
    assert instance.process.poll() is None, "evlogd died:\n" + "".join(instance.log[-50:])
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture(params=backends())
def fresh_broker(request, tmp_path):
    """A broker of one test, for those that stop it or give it other flags."""
    instance = start_or_skip(Broker(tmp_path / "data", io=request.param))
    yield instance
    if instance.process is not None:
        instance.stop()


@pytest.fixture
def topic(request):
    """A topic name of the test's own."""
    safe = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"{safe[:120]}-{time.monotonic_ns() % 10**9}"
