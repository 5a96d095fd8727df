# SPDX-License-Identifier: Apache-2.0
"""The Debian packages in a fresh Debian: installed, used, upgraded, removed and purged.

The packages are built by `make deb`, which fails when lintian has a word to say. Needs root, for the fresh Debian is a
chroot, and Debian's archive.
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / os.environ.get("OUT", "build")
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
def packages():
    subprocess.run(["make", "deb", f"OUT={OUT.relative_to(ROOT)}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return sorted(path for path in (OUT / "deb").glob("*.deb") if "dbgsym" not in path.name)


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
