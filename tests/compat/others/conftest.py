# SPDX-License-Identifier: Apache-2.0
"""The clients here are built from their registries, so they belong to the long run; once for all files of tests."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "groups")]

import programs  # noqa: E402


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    return programs.build_go(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory):
    return programs.build_java(tmp_path_factory.mktemp("java"))


@pytest.fixture(scope="session")
def java(java_classes):
    return [*java_classes, "Client"]


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    return programs.build_node(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="session")
def node(node_folder):
    return ["node", str(node_folder / "client.js")]
