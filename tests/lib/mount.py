# SPDX-License-Identifier: Apache-2.0
"""A small ext4 of the test's own, in a file."""
import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess

import pytest

from evlogd import wait_for

MIB = 1 << 20
EXT4_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_WITHOUT_LOG_FLUSH = 2


def mount(image, point):
    return subprocess.run(["mount", "-o", "loop", str(image), str(point)], capture_output=True, text=True, check=False)


def unmount(point):
    """What a process had asked of the kernel may keep files open for a moment after its end."""
    wait_for(lambda: subprocess.run(["umount", str(point)], capture_output=True, check=False).returncode == 0, "umount")


@contextlib.contextmanager
def mounted(folder, size_mib):
    """The mount point. Skips the test where mounting is not permitted."""
    make = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if make is None:
        pytest.skip("mkfs.ext4 is not installed")
    image, point = folder / "image", folder / "mount"
    point.mkdir()
    with open(image, "wb") as file:
        file.truncate(size_mib * MIB)
    subprocess.run([make, "-q", "-m", "0", str(image)], check=True)
    done = mount(image, point)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield point
    finally:
        if os.path.ismount(point):
            unmount(point)


def cut_power(point):
    """From here on nothing reaches the device; what was not synced is lost with the next unmount."""
    fd = os.open(point, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", SHUTDOWN_WITHOUT_LOG_FLUSH))
    finally:
        os.close(fd)


def power_on(folder):
    done = mount(folder / "image", folder / "mount")
    assert done.returncode == 0, done.stderr


def free_bytes(mount):
    return shutil.disk_usage(mount).free


class Ballast:
    """A file that takes the space of a mount away."""

    def __init__(self, mount):
        self.mount = mount
        self.path = mount / "ballast"

    def fill(self, left):
        """Take all but `left` bytes."""
        block = bytes(4096)
        try:
            with open(self.path, "ab", buffering=0) as file:
                while free_bytes(self.mount) > left:
                    file.write(block * 64 if free_bytes(self.mount) > left + MIB else block)
        except OSError as error:
            assert error.errno == errno.ENOSPC

    def free(self):
        self.path.unlink(missing_ok=True)
