# SPDX-License-Identifier: Apache-2.0
"""The client library when connections break and the server dies.

Goal: what was published arrives once and in order, whatever happens to the connection; and what cannot be known is said
to be in doubt. Method: a proxy that cuts connections after a drawn number of bytes, and a server that is killed; the
published values are numbers, so that a loss, a repeat or a swap shows.
"""
import random
import signal
import socket
import subprocess
import threading

import pytest

from cli_kit import evlog
from conftest import BIN, Broker, start_or_skip, wait_for

COUNT = 20000


class CuttingProxy:
    """Forwards to the broker; each connection is cut after some bytes of either direction, until peace is made."""

    def __init__(self, seed):
        self.target = None      # known once the broker listens
        self.random = random.Random(seed)
        self.peace = False
        self.cut_count = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
                broker = socket.create_connection(self.target)
            except OSError:
                return
            budget = [self.random.randrange(100, 50000)]
            for source, target in ((client, broker), (broker, client)):
                threading.Thread(target=self._forward, args=(source, target, budget), daemon=True).start()

    def _forward(self, source, target, budget):
        try:
            while True:
                data = source.recv(16384)
                if not data:
                    break
                if not self.peace:
                    budget[0] -= len(data)
                    if budget[0] < 0:
                        # Half of what came still goes through: the other side has seen a part of a frame.
                        target.sendall(data[:len(data) // 2])
                        self.cut_count += 1
                        break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.server.close()


@pytest.fixture
def behind(tmp_path):
    """Starts a broker whose clients are told to come through a proxy."""
    started = []

    def start(proxy):
        broker = start_or_skip(Broker(tmp_path / "data", args=(f"--advertised-address=127.0.0.1:{proxy.port}",)))
        proxy.target = ("127.0.0.1", broker.port)
        started.append((broker, proxy))
        return f"127.0.0.1:{proxy.port}"

    yield start
    for broker, proxy in started:
        proxy.close()
        assert broker.stop() == 0


@pytest.mark.parametrize("seed", range(5))
def test_cut_connections_lose_and_repeat_nothing(behind, seed):
    proxy = CuttingProxy(seed)
    proxy.peace = True
    bootstrap = behind(proxy)
    evlog("topics", "create", "cut", "-p", "3", bootstrap=bootstrap, expect=0)
    # Keyed lines: each key's numbers must come back in order.
    lines = "".join(f"{i % 7}:{i}\n" for i in range(COUNT))
    settings = ("-X", "batch.size=2000", "-X", "retry.backoff.ms=1", "-X", "reconnect.backoff.ms=1",
                "-X", "reconnect.backoff.max.ms=5", "-X", "compression.type=none", "-X", "linger.ms=0")
    process = subprocess.Popen([str(BIN / "evlog"), "produce", "cut", "-K:", *settings, "-b", bootstrap],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("0:0\n")
    process.stdin.flush()
    wait_for(lambda: evlog("consume", "cut", bootstrap=bootstrap).out == "0\n", "the first event")
    proxy.peace = False
    _, err = process.communicate(lines.partition("\n")[2], timeout=120)
    proxy.peace = True
    assert process.returncode == 0, err
    assert proxy.cut_count > 3
    got = evlog("consume", "cut", "-f", "%k %v\n", bootstrap=bootstrap, expect=0).out.splitlines()
    assert len(got) == COUNT
    seen = {}
    for line in got:
        key, value = line.split()
        seen.setdefault(key, []).append(int(value))
    for key, numbers in seen.items():
        assert numbers == list(range(int(key), COUNT, 7))


@pytest.mark.parametrize("seed", range(3))
def test_cut_connections_lose_nothing_for_a_group(behind, seed):
    proxy = CuttingProxy(seed)
    proxy.peace = True
    bootstrap = behind(proxy)
    evlog("topics", "create", "shared", "-p", "3", bootstrap=bootstrap, expect=0)
    lines = "".join(f"{i}:{i}\n" for i in range(COUNT))
    evlog("produce", "shared", "-K:", "-X", "compression.type=none", bootstrap=bootstrap, stdin=lines, expect=0)
    process = subprocess.Popen([str(BIN / "evlog"), "consume", "shared", "-g", "g", "--follow", "-b", bootstrap,
                                "-X", "fetch.max.bytes=20000", "-X", "retry.backoff.ms=1", "-X",
                                "reconnect.backoff.ms=1", "-X", "reconnect.backoff.max.ms=5", "-X",
                                "heartbeat.interval.ms=20"], stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    seen = [process.stdout.readline()]
    proxy.peace = False
    wanted = set(range(COUNT)) - {int(seen[0])}
    while wanted:
        line = process.stdout.readline()
        assert line, "the member ended"
        seen.append(line)
        wanted.discard(int(line))
    proxy.peace = True
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    watchdog.cancel()
    process.stdout.close()
    assert proxy.cut_count > 3
    assert len(seen) < 2 * COUNT


@pytest.mark.parametrize("seed", range(3))
def test_cut_connections_do_not_disturb_a_reader(behind, seed):
    proxy = CuttingProxy(seed)
    proxy.peace = True
    bootstrap = behind(proxy)
    lines = "".join(f"{i}\n" for i in range(COUNT))
    evlog("produce", "read", "--create", "-X", "compression.type=none", bootstrap=bootstrap, stdin=lines, expect=0)
    settings = ("-X", "fetch.max.bytes=20000", "-X", "retry.backoff.ms=1", "-X", "reconnect.backoff.ms=1",
                "-X", "reconnect.backoff.max.ms=5")
    process = subprocess.Popen([str(BIN / "evlog"), "consume", "read", "--follow", "-n", str(COUNT), *settings, "-b",
                                bootstrap], stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    proxy.peace = False
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    rest = process.stdout.read()
    assert process.wait() == 0
    watchdog.cancel()
    process.stdout.close()
    assert first + rest == lines
    assert proxy.cut_count > 3


def test_killed_server_loses_and_repeats_nothing(fresh_broker):
    """kill -9 in the middle: after the restart the producer goes on, and every number is there once, in order."""
    evlog("topics", "create", "killed", bootstrap=fresh_broker.bootstrap, expect=0)
    command = fresh_broker.command()
    command[command.index("--listen") + 1] = fresh_broker.bootstrap
    fresh_broker.command = lambda: command
    process = subprocess.Popen([str(BIN / "evlog"), "produce", "killed", "-X", "batch.size=1000", "-b",
                                fresh_broker.bootstrap], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rounds = 3
    for part in range(rounds):
        process.stdin.write("".join(f"{i}\n" for i in range(part * 5000, (part + 1) * 5000)))
        process.stdin.flush()
        wait_for(lambda: evlog("consume", "killed", "-o", "-1", bootstrap=fresh_broker.bootstrap).out.strip() not in
                 ("", *(str(p * 5000 - 1) for p in range(part + 1))), "the next part has begun")
        fresh_broker.stop(signal.SIGKILL)
        fresh_broker.start()
    process.stdin.close()
    assert process.wait(120) == 0, process.stderr.read()
    process.stderr.close()
    got = evlog("consume", "killed", bootstrap=fresh_broker.bootstrap, expect=0).out.split()
    assert [int(value) for value in got] == list(range(5000 * rounds))


class SwallowingProxy(CuttingProxy):
    """From the moment a marked value has passed, no answer comes back."""

    def __init__(self):
        super().__init__(0)
        self.swallow = False

    def _forward(self, source, target, budget):
        to_client = source.getpeername() == self.target
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                self.swallow = self.swallow or (not to_client and b"marked-value" in data)
                if not (to_client and self.swallow):
                    target.sendall(data)
        except OSError:
            pass


def test_outcome_that_cannot_be_known_is_in_doubt(behind):
    """The request arrives, the answer never does: the event is stored, and the publisher says that it does not know."""
    proxy = SwallowingProxy()
    bootstrap = behind(proxy)
    evlog("topics", "create", "doubt", bootstrap=bootstrap, expect=0)
    told = evlog("produce", "doubt", "marked-value", "-X", "delivery.timeout.ms=1500", "-X", "request.timeout.ms=1000",
                 "-X", "compression.type=none", bootstrap=bootstrap)
    assert told.code == 1 and "EVL-1043" in told.err
    proxy.swallow = False
    got = evlog("consume", "doubt", bootstrap=bootstrap, expect=0)
    assert got.out == "marked-value\n"
