# SPDX-License-Identifier: Apache-2.0
"""A Debian below a folder, with its own systemd as process 1, in namespaces: services run as their units say."""
import os
import pathlib
import subprocess
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BOOT_SECONDS = 60
UNSHARE = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"]


def cgroups():
    """Where the control groups of version 2 are."""
    for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, folder, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(folder)
    return None


def permitted_or_skip():
    """The folder of a new control group."""
    if os.geteuid() != 0 or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a systemd of its own needs root and the right to make namespaces")
    if cgroups() is None:
        pytest.skip("a systemd of its own needs control groups of version 2, which are not mounted here")
    try:
        return pathlib.Path(tempfile.mkdtemp(prefix="evlog-test-", dir=cgroups()))
    except OSError as error:
        pytest.skip(f"a systemd of its own needs a control group: {error}")


class Booted:
    def __init__(self, root):
        self.root = root
        self.process = self.init = self.cgroup = None

    def __enter__(self):
        self.cgroup = permitted_or_skip()
        self.process = subprocess.Popen([*UNSHARE, "sh", HERE / "boot.sh", self.root, self.cgroup], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            self.wait_for(self.up, "systemd to start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()    # and with it process 1, and with that all others
        self.process.communicate()
        for _, _ in zip(range(1000), iter(self.busy, False)):
            time.sleep(0.01)
        for folder in sorted(self.cgroup.rglob("*/"), reverse=True):
            folder.rmdir()
        self.cgroup.rmdir()

    def busy(self):
        return "populated 1" in (self.cgroup / "cgroup.events").read_text(encoding="ascii")

    def up(self):
        assert self.process.poll() is None, self.process.stdout.read()
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.init = children.read_text(encoding="ascii").strip()
        return self.init and self.run("systemctl", "is-system-running", check=False) in ("running\n", "degraded\n")

    def run(self, *command, check=True):
        """Its output, both kinds."""
        inside = ["nsenter", "-t", self.init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "/usr/bin/env", "-i",
                  "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]
        done = subprocess.run([*inside, *map(str, command)], text=True, capture_output=True, check=False)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def log(self, unit):
        return self.run("journalctl", "-u", unit, "-o", "cat", "--no-pager")

    def wait_for_service(self, unit):
        """Until it is active; a start that fails is the end of waiting."""
        def is_active():
            state = self.run("systemctl", "show", "-P", "ActiveState", unit).strip()
            started = self.run("systemctl", "show", "-P", "NRestarts", unit).strip() == "0"
            assert state in ("active", "activating") and started, f"{state}\n{self.log(unit)}"
            return state == "active"
        self.wait_for(is_active, unit)

    def wait_for(self, condition, what, seconds=BOOT_SECONDS):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            time.sleep(0.05)
