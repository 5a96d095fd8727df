# SPDX-License-Identifier: Apache-2.0
"""evlogd under a service manager: what it tells it."""
import ctypes
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

from evlogd import BIN, Broker, wait_for


CAP_IPC_LOCK = 14
PR_CAPBSET_DROP = 24


class Manager:
    """The receiving end of sd_notify: address is what NOTIFY_SOCKET says."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(20)

    def next(self):
        """One datagram as a dict of its assignments."""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.mark.parametrize("place", ["a path", "an abstract name"])
def test_the_manager_hears_of_start_reload_and_stop(tmp_path, monkeypatch, place):
    address = str(tmp_path / "notify") if place == "a path" else f"@evlog-test-{time.monotonic_ns()}"
    manager = Manager(address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    broker = Broker(tmp_path / "data").start()
    try:
        ready = manager.next()
        assert ready["READY"] == "1"
        assert broker.ready["kafka"] in ready["STATUS"]
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        broker.process.send_signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading["RELOADING"] == "1"
        assert before * 1e6 <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
        assert manager.next()["READY"] == "1"
    finally:
        assert broker.stop() == 0
    assert manager.next()["STOPPING"] == "1"


PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000    # of waitpid: threads as well


class StandsStill:
    """A thread of a child that runs nothing as long as this lasts."""

    def __init__(self, process, name):
        tasks = pathlib.Path("/proc", str(process.pid), "task")
        self.tid = next(int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name)

    def ask(self, request):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        libc.ptrace.restype = ctypes.c_long
        return 0 if libc.ptrace(request, self.tid, None, None) == 0 else ctypes.get_errno()

    def __enter__(self):
        error = self.ask(PTRACE_SEIZE)
        if error != 0:
            pytest.skip(f"this process may not hold a thread of its child: ptrace: {os.strerror(error)}")
        assert self.ask(PTRACE_INTERRUPT) == 0
        os.waitpid(self.tid, WALL)
        return self

    def __exit__(self, *_):
        assert self.ask(PTRACE_DETACH) == 0


def told(manager):
    """The next that the manager hears of the watchdog, and when."""
    while True:
        heard = manager.next()
        if "WATCHDOG" in heard:
            return heard["WATCHDOG"], time.monotonic()


def watched(tmp_path, monkeypatch, usec, **variables):
    address = str(tmp_path / "notify")
    manager = Manager(address)
    for name, value in {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": usec, **variables}.items():
        monkeypatch.setenv(name, str(value))
    return manager, Broker(tmp_path / "data").start()


def test_the_watchdog_is_told_in_less_than_half_of_its_time_while_shards_turn(tmp_path, monkeypatch):
    manager, broker = watched(tmp_path, monkeypatch, 900_000)
    try:
        times = [told(manager)[1] for _ in range(8)]
        assert 7 * 0.25 < times[-1] - times[0] < 7 * 0.45
        task = pathlib.Path("/proc", str(broker.process.pid), "task")
        assert "evlog-watchdog" in [(thread / "comm").read_text().strip() for thread in task.iterdir()]
    finally:
        assert broker.stop() == 0


def test_another_process_s_watchdog_is_told_nothing(tmp_path, monkeypatch):
    manager, broker = watched(tmp_path, monkeypatch, 30_000, WATCHDOG_PID=os.getpid())
    assert manager.next()["READY"] == "1"
    assert broker.stop() == 0
    assert "STOPPING" in manager.next()


@pytest.mark.skipif("WATCHDOG_STANDS" not in os.environ, reason="long: WATCHDOG_STANDS=1 runs it")
def test_the_watchdog_is_told_nothing_while_a_shard_stands_still(tmp_path, monkeypatch):
    """Two minutes is what health takes for the end of a shard."""
    manager, broker = watched(tmp_path, monkeypatch, 300_000)
    try:
        told(manager)
        with StandsStill(broker.process, "shard-1"):
            began, last = time.monotonic(), None
            heard = {}
            while "shard 1 has answered nobody for" not in heard.get("STATUS", ""):
                heard = manager.next()
                last = time.monotonic()
            assert 115 < last - began < 125
            manager.socket.settimeout(2)
            with pytest.raises(TimeoutError):
                manager.next()
            manager.socket.settimeout(20)
        assert told(manager)
        assert broker.said("has answered nobody", "told no more") and broker.said("all shards answer again")
    finally:
        assert broker.stop() == 0


def test_a_stop_right_behind_the_start_is_heard(tmp_path):
    """While the start is told to the audit log."""
    for turn in range(10):
        assert Broker(tmp_path / str(turn)).start().stop() == 0


def test_a_manager_that_is_gone_holds_up_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    broker = Broker(tmp_path / "data").start()
    assert wait_for(lambda: broker.log_lines("does not hear"), "the line about the manager")
    assert broker.stop() == 0
    assert len(broker.log_lines("does not hear")) == 1


def test_the_process_can_do_little_and_leaves_nothing(tmp_path):
    broker = Broker(tmp_path / "data").start()
    try:
        process = pathlib.Path("/proc", str(broker.process.pid))
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2" or broker.log_lines("system calls are not filtered")
        filtered = status["Seccomp"]
        for task in (process / "task").iterdir():
            assert f"Seccomp:\t{filtered}\n" in (task / "status").read_text(), (task / "comm").read_text()
            assert "NoNewPrivs:\t1\n" in (task / "status").read_text(), (task / "comm").read_text()
        assert status["Umask"] == "0077"
        assert "Max core file size        0                    0" in (process / "limits").read_text()
        loose = [path for path in (tmp_path / "data").rglob("*") if path.stat().st_mode & 0o077]
        assert loose == []
    finally:
        assert broker.stop() == 0


def test_threads_have_their_names_and_those_of_the_archive_give_way(tmp_path):
    broker = Broker(tmp_path / "data", args=["--archive", f"file://{tmp_path}/archive"]).start()
    try:
        wanted = {"shard-0": {"0"}, "shard-1": {"0"}, "evlog-disk": {"0"}, "evlog-calc": {"0"}, "evlog-arch": {"10"}}

        def nices():
            found = {}
            for task in pathlib.Path("/proc", str(broker.process.pid), "task").iterdir():
                nice = (task / "stat").read_text().split()[18]
                found.setdefault((task / "comm").read_text().strip(), set()).add(nice)
            return found

        wait_for(lambda: wanted.items() <= nices().items(), "names and nice values of threads")
    finally:
        assert broker.stop() == 0


def test_cve_2017_9868_no_file_is_readable_by_others(tmp_path):
    before = os.umask(0o022)
    try:
        broker = Broker(tmp_path / "data").start()
    finally:
        os.umask(before)
    try:
        with broker.connect() as conn:
            assert conn.create_topic("orders")[0] == 0
        files = list((tmp_path / "data").rglob("*"))
        assert files and [path for path in files if path.stat().st_mode & 0o077] == []
    finally:
        assert broker.stop() == 0


def test_cve_2023_45145_what_is_made_is_never_wider_for_a_moment(tmp_path):
    """Not made and then narrowed: the process has no right to make anything that others can open."""
    broker = Broker(tmp_path / "data").start()
    try:
        status = pathlib.Path("/proc", str(broker.process.pid), "status").read_text()
        assert re.search(r"^Umask:\s+0077$", status, re.MULTILINE)
    finally:
        assert broker.stop() == 0


def test_locked_memory_never_goes_to_swap(tmp_path):
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY and not may_lock_all():
        pytest.skip("this process may not lock all of a program's memory: ulimit -l unlimited")
    broker = Broker(tmp_path / "data", args=["--memory-lock=true", "--memory-max=64MiB"]).start()
    try:
        status = dict(line.split(":\t", 1)
                      for line in pathlib.Path("/proc", str(broker.process.pid), "status").read_text().splitlines())
        locked, resident = (int(status[name].split()[0]) for name in ("VmLck", "RssAnon"))
        assert locked >= resident > 0
    finally:
        assert broker.stop() == 0


def may_lock_all():
    effective = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "CapEff" in line)
    return bool(int(effective.split()[1], 16) >> CAP_IPC_LOCK & 1)


def lock_little():
    """In the child: a limit of 64 KiB, and no capability to pass it."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if may_lock_all():
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)


def test_memory_that_may_not_be_locked_is_a_mistake_at_the_start(tmp_path):
    """Found out later it would be an allocation that fails in the middle of work."""
    done = subprocess.run([BIN / "evlogd", "--data", str(tmp_path / "data"), "--memory-lock=true"], capture_output=True,
                          text=True, timeout=60, preexec_fn=lock_little)
    assert done.returncode == 2
    assert "may lock 64 KiB" in done.stderr and "LimitMEMLOCK=infinity" in done.stderr
    assert not (tmp_path / "data").exists()
