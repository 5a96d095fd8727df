# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the crash tests."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from kept_folder import folder, pytest_runtest_makereport  # noqa: E402,F401
