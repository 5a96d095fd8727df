# SPDX-License-Identifier: Apache-2.0
"""Fixtures of tests of the client: one evlogd for all of a file, since one backend of the server is enough for them,
and a topic of each test's own. A file imports what it uses."""
import time

import pytest

from evlogd import Broker, start_or_skip


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    instance = start_or_skip(Broker(tmp_path_factory.mktemp("data")))
    yield instance
    assert instance.stop() == 0, "".join(instance.log[-50:])


@pytest.fixture
def own_topic(request):
    """A name that says which test it is of."""
    safe = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"{safe[5:50]}-{time.monotonic_ns() % 10**6}"
