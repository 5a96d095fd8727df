# SPDX-License-Identifier: Apache-2.0
"""Goal: appends with expected versions and event ids, and reads of streams, are linearizable while evlogd is killed.

Method: writers of evlog's request and of librdkafka, and readers, share a few streams and write down what they ask
and are told (streams.py); at the end every stream is read; porcupine (porcupine/main.go) looks for an order that
explains all of it. recorded_streams/ holds small histories that have none, each for a reason of its own, and a good
one.
"""
import pathlib
import random
import shutil
import subprocess
import time
from collections import Counter

import pytest

from evlogd import Broker, backends, quiet_port, start_or_skip, wait_for
from streams import STREAMS, TOPIC, HeaderWriter, RequestWriter, StreamHistory, StreamReader, read_stream
from test_history import PATIENCE_SECONDS, SECONDS, SEED, kill, pause, restart

HERE = pathlib.Path(__file__).parent
RECORDED = sorted((HERE / "recorded_streams").glob("*.jsonl"))
BUILD_SECONDS = 300
CHECK_SECONDS = 600
UNREACHABLE = ("dial tcp", "no such host", "proxyconnect", "i/o timeout", "module lookup disabled")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Of histories by their paths: ok, bad KEY, undecided KEY."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    program = tmp_path_factory.mktemp("porcupine") / "streams"
    built = subprocess.run(["go", "build", "-mod=readonly", "-o", str(program), "."], cwd=HERE / "porcupine",
                           capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if built.returncode != 0 and any(text in built.stderr for text in UNREACHABLE):
        pytest.skip("porcupine cannot be fetched")
    assert built.returncode == 0, built.stderr

    def ask(*paths):
        done = subprocess.run([str(program), *map(str, paths)], capture_output=True, text=True, check=False,
                              timeout=CHECK_SECONDS)
        assert done.returncode == 0, done.stderr
        return [line.split(" ", 1)[1] for line in done.stdout.splitlines()]
    return ask


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded(verdicts, path):
    assert verdicts(path) == ["ok" if path.stem == "good" else "bad k"]


class Run:
    def __init__(self, data, io):
        self.random = random.Random(f"{SEED}-{io}")
        self.history = StreamHistory()
        self.broker = Broker(data, io=io, listen=f"127.0.0.1:{quiet_port()}", args=["--memory-max", "128MiB"])
        self.clients = []

    def begin(self):
        start_or_skip(self.broker)
        with self.broker.connect() as conn:
            assert conn.create_topic(TOPIC, 2, [("evlog.streams", "true"), ("segment.bytes", "65536")])[0] == 0
        common = (self.broker, self.history, SEED)
        self.clients = [*(RequestWriter(f"request-{name}", *common) for name in "abc"),
                        *(HeaderWriter(f"header-{name}", *common) for name in "ab"),
                        *(StreamReader(f"reader-{name}", *common) for name in "ab")]
        for client in self.clients:
            client.start()

    def until_acks(self, count):
        target = self.history.acked + count
        wait_for(lambda: self.history.acked >= target or self.history.problems, f"{count} appends", PATIENCE_SECONDS)

    def end(self):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(PATIENCE_SECONDS)
        assert not self.history.problems, "\n".join(self.history.problems)
        assert not [client.name for client in self.clients if client.is_alive()], "clients that do not come to an end"
        with self.broker.connect() as conn:
            for number in range(STREAMS):
                for turn in range(self.history.turns[number] + 1):
                    read_stream(conn, self.history, "end", f"s{number}-{turn}")
        assert self.broker.stop() == 0, "".join(self.broker.log[-50:])


@pytest.mark.parametrize("io", backends())
def test_appends_are_linearizable(folder, verdicts, io):
    run = Run(folder / "data", io)
    try:
        run.begin()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not run.history.problems:
            run.until_acks(run.random.randrange(20, 300))
            run.random.choice((kill, kill, pause, restart))(run)
        run.until_acks(20)
        run.end()
    finally:
        if run.broker.process is not None:
            run.broker.kill()
    path = folder / "history.jsonl"
    run.history.write(path)
    outcomes = Counter(event["append"]["outcome"] for event in run.history.events if "append" in event)
    assert {"ok", "refused"} <= set(outcomes), f"next to nothing was done: {outcomes}"
    assert verdicts(path) == ["ok"], f"seed {SEED}, {path}, {outcomes}"
