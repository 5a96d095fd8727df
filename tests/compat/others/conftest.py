# SPDX-License-Identifier: Apache-2.0
"""The clients here are built from their registries, so they belong to the long run."""
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
