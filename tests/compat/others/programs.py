# SPDX-License-Identifier: Apache-2.0
"""Builds the clients in other languages, each in a folder of its own; a language that is not installed is skipped by
name."""
import pathlib
import shutil
import subprocess

import pytest

from apache_kafka import fetch_or_skip
from make_target import make_target

BROKERS = ("evlog", "kafka")
# Members of groups, and what they can do besides reading in one (../members.py).
MEMBERS = {"java": {"static", "cooperative", "since"}, "libevlog": {"static", "cooperative", "since"},
           "franz": {"static", "cooperative", "since"}, "sarama": {"static"}, "kafkajs": set()}
HERE = pathlib.Path(__file__).resolve().parent


def run(*command, cwd=None, text=None, seconds=90):
    done = subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-1000:]}{done.stderr[-3000:]}"
    return done.stdout


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def build_go(folder):
    """The command of main.go."""
    needs("go")
    program = folder / "client"
    run("go", "build", "-mod=readonly", "-o", str(program), ".", cwd=HERE / "go", seconds=600)
    return [str(program)]


def build_sumdb(folder):
    """The program that reads trees and notes with Go's own packages."""
    needs("go")
    program = folder / "sumdb"
    run("go", "build", "-mod=readonly", "-o", str(program), ".", cwd=HERE / "sumdb", seconds=600)
    return str(program)


def build_java(folder):
    """The command before the name of a class. The client is that of the Kafka of the tests."""
    needs("javac")
    jars = f"{fetch_or_skip()}/*"
    run("javac", "-d", str(folder / "classes"), "-cp", jars, *map(str, sorted((HERE / "java").glob("*.java"))))
    return ["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-Dlog4j2.level=OFF", "-cp", f"{folder}/classes:{jars}"]


def build_libevlog():
    """The command of member.c."""
    return [str(make_target("compat/member"))]


def build_node(folder):
    """The folder of the programs."""
    needs("node", "npm")
    folder = folder / "client"
    shutil.copytree(HERE / "node", folder)
    run("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=folder, seconds=600)
    return folder
