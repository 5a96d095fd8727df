# SPDX-License-Identifier: Apache-2.0
"""The library of the tests is on the path."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
