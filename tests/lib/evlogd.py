# SPDX-License-Identifier: Apache-2.0
"""A real evlogd of the tests' own: started, stopped and killed at will, on a data directory that stays.

EVLOG_BIN names the folder of the programs (build/bin by default), EVLOG_IO one io backend instead of all.
"""
import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from kafka_wire import Connection

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("EVLOG_BIN", ROOT / "build" / "bin")).resolve()
READY_SECONDS = 60
STOP_SECONDS = 60


def files_len(folder, pattern):
    """Bytes of its files; of those that are removed meanwhile none."""
    total = 0
    for path in folder.rglob(pattern):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def wait_for(condition, what, seconds=60):
    """Poll until condition() is true; its value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def stand_still(process):
    """SIGSTOP, and wait until every thread of `process`, a child, has stopped; SIGCONT lets it go on."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def quiet_port():
    """A port that the kernel gives to no outgoing connection: a client must find the server there after each start."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    for _ in range(100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randrange(max(1024, low - 20000), low)))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise AssertionError("no port is free")


class Broker:
    """One evlogd. start() and stop() may be called in turn; the data directory stays. wrapper: a command it runs in.

    listeners: the setting, in place of listen; ports has the port of each by its name then."""

    def __init__(self, data, io="auto", shards=2, args=(), listen="127.0.0.1:0", wrapper=(), listeners=None):
        self.data = data
        self.listen = listen
        self.listeners = listeners
        self.io = io
        self.shards = shards
        self.args = list(args)
        self.wrapper = list(wrapper)
        self.process = None
        self.collector = None
        self.log = []
        self.port = None
        self.http = None
        self.ready = {}
        self.ports = {}

    def command(self):
        where = ["--listen", self.listen] if self.listeners is None else ["--listeners", self.listeners]
        return [*self.wrapper, str(BIN / "evlogd"), "--data", str(self.data), *where,
                "--http", "127.0.0.1:0", "--io", self.io, "--shards", str(self.shards), *self.args]

    def start(self):
        self.launch()
        return self.await_ready()

    def launch(self):
        """Start the process and do not wait for it."""
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.collector = threading.Thread(target=self._collect, args=(self.process.stderr,), daemon=True)
        self.collector.start()

    def await_ready(self):
        watchdog = threading.Timer(READY_SECONDS, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line.startswith("evlogd ready "):
            code = self.process.wait()
            self.collector.join(5)
            self.process.stdout.close()
            raise AssertionError(f"evlogd did not get ready (exit {code}): {line!r}\n" + "".join(self.log))
        self.ready = dict(word.split("=", 1) for word in line.split()[2:])
        self.port = int(self.ready["kafka"].rpartition(":")[2])
        places = [place.partition("://") for place in self.ready.get("listeners", "").split(",") if place]
        self.ports = {name: int(where.rpartition(":")[2]) for name, _, where in places}
        self.http = ("" if "://" in self.ready["http"] else "http://") + self.ready["http"]
        return self

    def _collect(self, stream):
        for line in stream:
            self.log.append(line)

    def stop(self, sig=signal.SIGTERM):
        """Returns the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(sig)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("evlogd did not stop\n" + "".join(self.log[-50:]))
        self._ended()
        return code

    def kill(self):
        """As a crash does it: no warning, no answer, no flush."""
        self.process.kill()
        self.process.wait()
        self._ended()

    def _ended(self):
        self.collector.join(10)  # the log is whole now
        self.process.stdout.close()
        self.process = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def connect(self, timeout=60):
        return Connection("127.0.0.1", self.port, timeout)

    def get(self, path):
        with urllib.request.urlopen(self.http + path, timeout=60) as answer:
            return answer.read().decode()

    def health(self):
        """(status, text) of /health/ready"""
        try:
            return 200, self.get("/health/ready")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """Value of one sample of /metrics; 0 when it is not there."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        for line in self.get("/metrics").splitlines():
            sample, _, value = line.rpartition(" ")
            if sample == (f"{name}{{{wanted}}}" if wanted else name):
                return float(value)
        return 0.0

    def refused(self, reason):
        return self.metric("evlog_refused_total", reason=reason)

    def log_lines(self, *words):
        return [line for line in list(self.log) if all(word in line for word in words)]

    def said(self, *words, seconds=60):
        """log_lines, once there are some: a line may be read later than the answer that followed it."""
        end = time.monotonic() + seconds
        while not self.log_lines(*words) and time.monotonic() < end:
            time.sleep(0.01)
        return self.log_lines(*words)


def flags(settings):
    """Settings of Kafka's names on evlogd's command line."""
    return [f"--{name.replace('.', '-')}={value}{'ms' if name.endswith('.ms') else ''}"
            for name, value in settings.items()]


def backends():
    chosen = os.environ.get("EVLOG_IO")
    return [chosen] if chosen else ["uring", "posix"]


def start_or_skip(broker):
    try:
        return broker.start()
    except AssertionError as error:
        if broker.io == "uring" and "io_uring" in str(error):
            pytest.skip(f"io_uring is refused here: {str(error)[-200:]}")
        raise
