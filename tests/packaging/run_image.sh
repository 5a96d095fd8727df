#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: unshare --mount --pid --ipc --net --fork --kill-child sh run_image.sh ROOT VOLUME PLACE UID COMMAND...
#
# Run a command of an unpacked image as a container runtime does: as process 1 and as that user, without new rights, the
# root to be read alone, and VOLUME at PLACE.
set -eu
root=$1 volume=$2 place=$3 uid=$4
shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero random urandom; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mount --bind "$volume" "$root/$place"
mount -o remount,bind,ro "$root"
ip link set lo up
cd "$root"
exec setpriv --no-new-privs chroot --userspec="$uid:$uid" --groups= . "$@"
