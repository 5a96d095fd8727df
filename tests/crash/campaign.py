# SPDX-License-Identifier: Apache-2.0
"""A long run of one evlogd under load that is ended in many ways, and compared with the ledger after each start."""
import pathlib
import random
import signal
import subprocess
import threading
import time

from evlogd import BIN, Broker, quiet_port, stand_still, start_or_skip, wait_for
from verdict import Verdict
from workload import PARTITIONS, SHORT, TOPIC, Ledger, Sleeper, all_clients, stop_all

PATIENCE_SECONDS = 60
WRITTEN_WHILE_READING = 1000
SHARDS_MAX = 3


class Run:
    """One broker, its clients, and the ways to end it."""

    def __init__(self, folder, io, seed, reserve="64MiB"):
        self.random = random.Random(f"{seed}-{io}")
        self.broker = Broker(folder / "data", io=io, listen=f"127.0.0.1:{quiet_port()}",
                             args=["--memory-max", "192MiB", "--disk-reserve-bytes", reserve,
                                   "--log-retention-check-interval-ms", "100ms"])
        self.ledger = Ledger()
        self.sleeper = Sleeper()
        self.clients = []
        self.verdict = None
        self.starts = 0    # since the last comparison
        self.stopping = False
        self.epoch = None

    def begin(self, seed):
        start_or_skip(self.broker)
        with self.broker.connect() as conn:
            assert conn.create_topic(TOPIC, PARTITIONS, [("segment.bytes", "65536")])[0] == 0
            assert conn.create_topic(SHORT, 1, [("segment.bytes", "65536"), ("retention.bytes", "300000")])[0] == 0
            self.epoch = conn.list_offset(TOPIC, -1)[3]
            self.sleeper.write(conn, 7)
        self.clients = all_clients(self.broker, self.ledger, seed)
        self.verdict = Verdict(self.ledger, self.clients)
        for client in self.clients:
            client.start()

    # --- waiting for the moment ---------------------------------------------------------------------------------------

    def until(self, condition):
        """Wait closely for a moment; when it does not come in a while, any other moment is as good."""
        deadline = time.monotonic() + 5
        while not condition() and time.monotonic() < deadline and self.broker.process.poll() is None:
            time.sleep(0.0003)

    def until_acks(self, count):
        target = self.ledger.ack_count + count
        wait_for(lambda: self.ledger.ack_count >= target or self.ledger.problems or self.dead(),
                 f"{count} acknowledgements", PATIENCE_SECONDS)

    def dead(self):
        return self.broker.process is None or self.broker.process.poll() is not None

    def files(self, pattern):
        return {str(path) for path in pathlib.Path(self.broker.data).glob(pattern)}

    def moment(self, kind):
        self.ledger.budget = float("inf")
        self.until_acks(self.random.randrange(1, 1500))
        if kind in ("checkpoint", "checkpoint done"):
            self.until(lambda: self.files("checkpoint/*/tmp"))
        if kind == "checkpoint done":
            self.until(lambda: not self.files("checkpoint/*/tmp"))
        if kind == "segment":
            before = self.files("topics/*/*/*.seg")
            self.until(lambda: self.files("topics/*/*/*.seg") - before)

    # --- ending it ----------------------------------------------------------------------------------------------------

    def end(self, kind):
        process = self.broker.process
        assert process.poll() is None, "evlogd ended by itself:\n" + "".join(self.broker.log[-50:])
        if kind == "stop":
            process.send_signal(signal.SIGTERM)
            threading.Event().wait(self.random.random() * 0.05)
        if kind in ("stopped", "continued"):
            stand_still(process)
        if kind == "continued":
            self.second_server_is_refused()
            process.send_signal(signal.SIGCONT)
            self.until_acks(200)
        self.ledger.changes_allowed.clear()
        self.broker.kill()
        self.stopping = kind == "stop"    # the clean mark may be written before the kill comes

    def second_server_is_refused(self):
        """A process that only stands still keeps its directory."""
        done = subprocess.run([str(BIN / "evlogd"), "--data", str(self.broker.data), "--listen", "127.0.0.1:0",
                               "--http",
                               "off"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 6, done.stderr
        assert str(self.broker.process.pid) in done.stderr, done.stderr

    def interrupted_starts(self):
        """Start and kill at once, in whatever recovery is doing then."""
        for _ in range(self.random.randint(1, 3)):
            self.broker.launch()
            self.starts += 1
            threading.Event().wait(self.random.random() ** 2 * 0.2)
            self.broker.kill()

    # --- what must hold -----------------------------------------------------------------------------------------------

    def check_start(self):
        self.ledger.budget = self.ledger.ack_count + WRITTEN_WHILE_READING
        with self.broker.connect() as conn:
            self.verdict.compare(conn)
            self.verdict.compare_topics(conn)
            self.verdict.compare_short(conn)
            self.sleeper.repeat(conn)
            self.sleeper.write(conn, self.random.choice((0, 0, 0, 1)))
            epoch = conn.list_offset(TOPIC, -1)[3]
            least = self.epoch if self.stopping else self.epoch + 1
            assert least <= epoch <= self.epoch + self.starts, f"leader epoch {epoch} after {self.epoch}"
        self.epoch = epoch
        self.starts = 0
        self.ledger.changes_allowed.set()
        assert not self.ledger.problems, "\n".join(self.ledger.problems)

    def one_kill(self, kind):
        self.moment(kind)
        self.end(kind)
        if kind == "recovery":
            self.interrupted_starts()
        self.broker.shards = self.random.randint(1, SHARDS_MAX)    # more of them are added, fewer change nothing
        self.broker.start()
        self.starts += 1
        self.check_start()

    def finish(self):
        """A clean stop keeps everything, raises no epoch and needs no recovery."""
        assert stop_all(self.clients) == [], "clients that do not come to an end"
        assert not self.ledger.problems, "\n".join(self.ledger.problems)
        with self.broker.connect() as conn:
            self.verdict.compare_all(conn, self.clients)
        checkpoints = self.broker.metric("evlog_checkpoints_total")
        assert self.broker.stop() == 0, "".join(self.broker.log[-50:])
        self.broker.start()
        whole = Verdict(self.ledger, self.clients)
        with self.broker.connect() as conn:
            whole.compare(conn)
            assert whole.content == self.verdict.content, "a clean stop has changed what the log holds"
            assert conn.list_offset(TOPIC, -1)[3] == self.epoch, "a clean stop raises no leader epoch"
        assert self.broker.stop() == 0, "".join(self.broker.log[-50:])
        return checkpoints

    def explained(self, error, where):
        return AssertionError(f"{where}: {error}\n" + "".join(self.broker.log[-40:]))

    def abandon(self):
        for client in self.clients:
            client.stop()
        if self.broker.process is not None:
            self.broker.kill()
