# SPDX-License-Identifier: Apache-2.0
"""A fixture: the data directory of a failed test stays, and its path is printed."""
import pathlib
import shutil
import tempfile

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_here = outcome.get_result().failed


@pytest.fixture
def folder(request):
    path = pathlib.Path(tempfile.mkdtemp(prefix="evlog-test-"))
    yield path
    if getattr(request.node, "failed_here", True):
        print(f"kept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)
