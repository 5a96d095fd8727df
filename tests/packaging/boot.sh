#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: unshare --mount --pid --uts --ipc --net --fork --kill-child sh boot.sh ROOT CGROUP
#
# Start the systemd of a Debian below ROOT as process 1 of its own namespaces, in the control group CGROUP. The root is
# changed and not only shut in: the kernel lets nobody make a user namespace, as PrivateUsers= of a service does, whose
# root directory is not that of its mounts.
set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ip link set lo up
echo 0 >"$2/cgroup.procs"
cd "$root"
exec unshare --cgroup sh -c 'mount -t cgroup2 cgroup2 sys/fs/cgroup && pivot_root . mnt && exec chroot . \
    /usr/bin/env -i container=test /bin/sh -c "umount -l /mnt && exec /lib/systemd/systemd --show-status=no"' \
    <"$root/dev/null"
