# SPDX-License-Identifier: Apache-2.0
"""The Debian packages in a fresh Debian: installed, used, upgraded, removed and purged.

The packages are built by `make deb`, which fails when lintian has a word to say. Needs root, for the fresh Debian is a
chroot, and Debian's archive.
"""
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from booted import Booted  # noqa: E402

INSTALLED = ["evlog-broker", "evlog-tools", "libevlog1", "libevlog-dev"]


def run(*command, **more):
    return subprocess.run(list(map(str, command)), check=True, text=True, capture_output=True, **more).stdout


class Debian:
    """A Debian of its own below a folder. Services are not started in there: programs are run by hand."""

    def __init__(self, folder):
        self.root = folder

    def run(self, *command, check=True):
        environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"]
        done = subprocess.run(["chroot", str(self.root), "/usr/bin/env", "-i", *environment, *command],
                              text=True, capture_output=True)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, packages):
        for package in packages:
            shutil.copy(package, self.root / "tmp")
        files = [f"/tmp/{package.name}" for package in packages]
        return self.run("apt-get", "install", "-y", "--no-install-recommends", *files)

    def state(self, package):
        return self.run("dpkg-query", "-W", "-f=${db:Status-Status}", package, check=False).strip()


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("a fresh Debian in a chroot needs root")
    if not shutil.which("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed: make deps-deb")
    folder = tmp_path_factory.mktemp("debian") / "root"
    run("mmdebstrap", "--variant=minbase", "--skip=cleanup/apt", "--include=systemd,gcc,libc6-dev,pkgconf",
        "bookworm", folder)
    (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    yield Debian(folder)
    shutil.rmtree(folder)


def newer(package, version, folder):
    """The same package with a later version: what an upgrade brings."""
    tree = folder / package.stem
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN/control"
    text = control.read_text()
    text = re.sub(r"^Version: .*$", f"Version: {version}", text, flags=re.MULTILINE)
    control.write_text(text.replace("(= 0.1.0)", f"(= {version})"))
    built = folder / package.name.replace("_0.1.0_", f"_{version}_")
    run("dpkg-deb", "--root-owner-group", "-b", tree, built)
    return built


PUBLISH = r"""
#include <evlog/evlog.h>
#include <stdio.h>
int main(void) { printf("%s\n", evlog_version()); return 0; }
"""

TALK = """set -eu
setpriv --reuid=evlog --regid=evlog --clear-groups env HOME=/nonexistent \
    evlogd --config /etc/evlog/evlogd.conf --listen=127.0.0.1:0 --http=off --shards=1 >/tmp/ready 2>/tmp/log & pid=$!
trap 'kill $pid; wait $pid' EXIT
for i in $(seq 200); do grep -q ready /tmp/ready && break; sleep 0.05; done
address=$(sed 's/.*kafka=\\([^ ]*\\).*/\\1/' /tmp/ready)
"""


def test_packages_are_installed_used_upgraded_and_purged(packages, debian, tmp_path):
    debian.install(packages)
    assert [debian.state(package) for package in INSTALLED] == ["installed"] * len(INSTALLED)
    assert (debian.root / "lib/systemd/system/evlogd.service").exists()
    assert (debian.root / "etc/systemd/system/multi-user.target.wants/evlogd.service").is_symlink()
    assert "evlog" in debian.run("getent", "passwd", "evlog")
    debian.run("evlogd", "--config", "/etc/evlog/evlogd.conf", "--check-config")
    # As StateDirectory= of the unit makes it.
    debian.run("install", "-d", "-o", "evlog", "-g", "evlog", "-m", "0700", "/var/lib/evlog")
    debian.run("sh", "-c", TALK + 'evlog -b "$address" produce orders --create kept')
    (debian.root / "tmp/version.c").write_text(PUBLISH)
    debian.run("sh", "-c", "cd /tmp && cc -Wall -o version version.c $(pkg-config --cflags --libs evlog) && ./version")

    (debian.root / "etc/evlog/evlogd.conf").open("a").write("# changed by the operator\n")
    debian.install([newer(package, "0.1.1", tmp_path) for package in packages])
    assert debian.run("dpkg-query", "-W", "-f=${Version}", "evlog-broker") == "0.1.1"
    assert "# changed by the operator" in (debian.root / "etc/evlog/evlogd.conf").read_text()
    assert "kept" in debian.run("sh", "-c", TALK + 'evlog -b "$address" consume orders')

    debian.run("apt-get", "remove", "-y", *INSTALLED)
    assert (debian.root / "etc/evlog/evlogd.conf").exists()
    assert "is left as it is" in debian.run("dpkg", "--purge", *INSTALLED)
    assert not (debian.root / "etc/evlog/evlogd.conf").exists()
    assert not (debian.root / "lib/systemd/system/evlogd.service").exists()
    assert any((debian.root / "var/lib/evlog/journal").iterdir()), "a purge has deleted events"


def landlock_version():
    """Of the kernel; below 1: it has none."""
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)    # landlock_create_ruleset()


ARCHIVE = "/srv/archive"


def test_the_service_runs_and_gives_up_what_it_does_not_need(packages, debian):
    """By the packaged unit, which must not keep evlogd from confining itself; the archive is in a directory."""
    debian.install(packages)
    debian.run("install", "-d", "-o", "evlog", "-g", "evlog", "-m", "0700", ARCHIVE)
    drop_in = debian.root / "etc/systemd/system/evlogd.service.d/archive.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(f"[Service]\nReadWritePaths={ARCHIVE}\n")
    (debian.root / "etc/default/evlogd").write_text(f"EVLOGD_OPTIONS=--archive=file://{ARCHIVE}\n")
    with Booted(debian.root) as system:
        system.wait_for_service("evlogd")
        warnings = [line for line in system.log("evlogd").splitlines() if re.match(r"\S+ (warn|error) ", line)]
        if landlock_version() < 2:
            warnings = [line for line in warnings if "this kernel has no Landlock" not in line]
        assert not warnings, "".join(warnings)
        process = system.run("systemctl", "show", "-P", "MainPID", "evlogd").strip()
        status = system.run("cat", f"/proc/{process}/status")
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^CapEff:\t0+$", status, re.M), status
        assert re.search(r"^Uid:\t[1-9]", status, re.M), status
        threads = system.run("sh", "-c", f"cat /proc/{process}/task/*/stat").splitlines()
        nices = {line.split(") ")[1].split()[16] for line in threads if "(evlog-arch)" in line}
        assert nices == {"10"}, "threads of the archive do not give way"
        assert any("(evlog-watchdog)" in line for line in threads), "nobody tells the watchdog of the unit"
        assert system.run("systemctl", "show", "-P", "WatchdogUSec", "evlogd").strip() == "2min"

        system.run("evlog", "produce", "served", "--create", "kept")
        system.run("evlog", "archive", "now", "--wait")
        assert any(path.is_file() for path in (debian.root / ARCHIVE[1:]).rglob("*")), system.log("evlogd")
        system.run("systemctl", "reload", "evlogd")
        system.run("systemctl", "restart", "evlogd")
        assert "kept" in system.run("evlog", "consume", "served")
        system.run("systemctl", "stop", "evlogd")
        assert system.run("systemctl", "show", "-P", "Result", "evlogd").strip() == "success", system.log("evlogd")


def test_the_service_is_exposed_to_little(packages, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    run("dpkg-deb", "-x", next(package for package in packages if package.name.startswith("evlog-broker_")), tmp_path)
    unit = tmp_path / "lib/systemd/system/evlogd.service"
    text = unit.read_text().replace("/usr/bin/evlogd", "/bin/true")   # of a machine where nothing is installed
    unit.write_text(text)
    report = run("systemd-analyze", "security", "--offline=true", unit)
    score = float(re.search(r"exposure level for evlogd.service: ([\d.]+)", report)[1])
    assert score <= 1.5, report
