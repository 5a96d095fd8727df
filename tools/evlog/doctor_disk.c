/* SPDX-License-Identifier: Apache-2.0
 *
 * The data directory: who may write, which file system, how much space, whether a durable write works and how long it
 * takes, whether the disk has a cache that may lose it. A directory that is not there yet is looked at by what is above
 * it. One small file is written and removed.
 */
#include "doctor.h"

#include <core/bytes.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM 4096
#define WRITES 20
#define BLOCK 4096u
#define SLOW_US 50000
#define SPACE_WARN_PERCENT 10u
#define ZFS_MAGIC 0x2fc12fc1
#define BCACHEFS_MAGIC 0xca451a4e

static const struct {
    long magic;
    const char *name;
    enum doctor_verdict verdict;
} systems[] = {
    {EXT4_SUPER_MAGIC, "ext4", DOCTOR_OK},
    {XFS_SUPER_MAGIC, "xfs", DOCTOR_OK},
    {BTRFS_SUPER_MAGIC, "btrfs", DOCTOR_OK},
    {F2FS_SUPER_MAGIC, "f2fs", DOCTOR_OK},
    {ZFS_MAGIC, "zfs", DOCTOR_OK},
    {BCACHEFS_MAGIC, "bcachefs", DOCTOR_OK},
    {TMPFS_MAGIC, "tmpfs, which is memory", DOCTOR_FAIL},
    {NFS_SUPER_MAGIC, "nfs", DOCTOR_FAIL},
    {OVERLAYFS_SUPER_MAGIC, "overlayfs, the layer of a container", DOCTOR_WARN},
    {FUSE_SUPER_MAGIC, "fuse", DOCTOR_FAIL},
    {SMB_SUPER_MAGIC, "smb", DOCTOR_FAIL},
};

/* The directory, or the nearest one above it that is there. */
static bool nearest(char path[PATH_ROOM])
{
    struct stat found;
    while (stat(path, &found) != 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || slash == NULL) {
            return false;
        }
        *(slash == path ? slash + 1 : slash) = '\0';
    }
    return S_ISDIR(found.st_mode);
}

static void check_system(struct doctor *doctor, const char *path)
{
    struct statfs found;
    if (statfs(path, &found) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        if ((uint32_t)systems[i].magic == (uint32_t)found.f_type) {
            bool good = systems[i].verdict == DOCTOR_OK;
            doctor_add(doctor, "file system", systems[i].verdict,
                       good ? NULL
                            : "put the data directory on a local disk with ext4, xfs, btrfs, f2fs, zfs or bcachefs",
                       "%s%s", systems[i].name, good ? "" : ": what is synced may be lost");
            return;
        }
    }
    doctor_add(doctor, "file system", DOCTOR_WARN, "use a local ext4, xfs, btrfs, f2fs, zfs or bcachefs",
               "type %lx, which evlogd does not know", (unsigned long)found.f_type);
}

/* "256MiB" and the like, as the settings are printed. */
static uint64_t bytes_of(const char *text)
{
    char *unit = NULL;
    unsigned long long n = strtoull(text, &unit, 10);
    unsigned shift = strcmp(unit, "KiB") == 0 ? 10 : strcmp(unit, "MiB") == 0 ? 20 : strcmp(unit, "GiB") == 0 ? 30 : 0;
    return (uint64_t)n << shift;
}

static void check_space(struct doctor *doctor, const char *path)
{
    struct statvfs found;
    char reserve_text[64];
    if (statvfs(path, &found) != 0 || found.f_blocks == 0) {
        return;
    }
    uint64_t free_len = (uint64_t)found.f_bavail * found.f_frsize, total = (uint64_t)found.f_blocks * found.f_frsize;
    uint64_t reserve = bytes_of(
        doctor_setting(doctor, "storage", "disk.reserve.bytes", reserve_text, sizeof reserve_text));
    enum doctor_verdict verdict = DOCTOR_OK;
    if (free_len < total / 100 * SPACE_WARN_PERCENT || free_len < 4 * reserve) {
        verdict = free_len < reserve ? DOCTOR_FAIL : DOCTOR_WARN;
    }
    doctor_add(doctor, "disk space", verdict,
               verdict == DOCTOR_OK ? NULL : "make room, or let old events leave: retention.ms, local.retention.ms",
               "%llu MiB of %llu are free; appends are refused below %llu (disk.reserve.bytes)",
               (unsigned long long)(free_len >> 20), (unsigned long long)(total >> 20),
               (unsigned long long)(reserve >> 20));
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Overwrites one block again and again, as the journal does. returns the median in us, or -1 with errno */
static int64_t time_writes(int fd, void *block)
{
    struct iovec iov = {.iov_base = block, .iov_len = BLOCK};
    int64_t took[WRITES];
    if (pwritev2(fd, &iov, 1, 0, 0) != (ssize_t)BLOCK || fsync(fd) != 0) {
        return -1;
    }
    for (size_t i = 0; i < WRITES; i++) {
        int64_t begun = now_us();
        if (pwritev2(fd, &iov, 1, 0, RWF_DSYNC) != (ssize_t)BLOCK) {
            return -1;
        }
        took[i] = now_us() - begun;
        for (size_t k = i; k > 0 && took[k] < took[k - 1]; k--) {
            int64_t other = took[k];
            took[k] = took[k - 1];
            took[k - 1] = other;
        }
    }
    return took[WRITES / 2];
}

static void check_writes(struct doctor *doctor, const char *path)
{
    char name[PATH_ROOM + 32];
    static _Alignas(BLOCK) uint8_t block[BLOCK];
    (void)snprintf(name, sizeof name, "%s/.evlog-doctor.%d", path, (int)getpid());
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        doctor_add(doctor, "durable writes", DOCTOR_WARN, "run evlog doctor as the user of evlogd (sudo -u evlog)",
                   "not tried: %s: %s", path, strerror(errno));
        goto end;
    }
    memset(block, 'e', BLOCK);
    int64_t us = time_writes(fd, block);
    if (us < 0) {
        doctor_add(doctor, "durable writes", DOCTOR_FAIL, "use another file system, or look at the disk (dmesg)",
                   "a write with RWF_DSYNC failed: %s", strerror(errno));
    } else {
        doctor_add(doctor, "durable writes", us < SLOW_US ? DOCTOR_OK : DOCTOR_WARN,
                   us < SLOW_US ? NULL : "see what else uses the disk, and its limits on a cloud volume",
                   "4 KiB with RWF_DSYNC take %lld us, the median of %d", (long long)us, WRITES);
    }
end:
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(name);
    }
}

static void check_cache(struct doctor *doctor, const char *path)
{
    struct stat found;
    char name[128], text[32] = "";
    if (stat(path, &found) != 0) {
        return;
    }
    static const char *const places[] = {"queue", "../queue"}; /* of a disk, of a partition */
    for (size_t i = 0; i < 2 && text[0] == '\0'; i++) {
        (void)snprintf(name, sizeof name, "/sys/dev/block/%u:%u/%s/write_cache", major(found.st_dev),
                       minor(found.st_dev), places[i]);
        FILE *file = fopen(name, "re");
        if (file != NULL) {
            if (fgets(text, sizeof text, file) == NULL) {
                text[0] = '\0';
            }
            (void)fclose(file);
        }
    }
    text[strcspn(text, "\n")] = '\0';
    if (text[0] != '\0') {
        doctor_add(doctor, "write cache", DOCTOR_OK, NULL, "%s%s", text,
                   strcmp(text, "write back") == 0 ? ": the kernel flushes it at each durable write"
                                                   : ": the kernel takes each write for durable, so a cache that the "
                                                     "disk hides must survive a power cut");
    }
}

void doctor_disk(struct doctor *doctor)
{
    char path[PATH_ROOM], dir[PATH_ROOM];
    if (doctor->data != NULL) {
        (void)snprintf(dir, sizeof dir, "%s", doctor->data);
    } else {
        doctor_setting(doctor, "server", "data", dir, sizeof dir);
    }
    if (dir[0] == '\0') {
        doctor_add(doctor, "data directory", DOCTOR_WARN, "name it with --data DIR, or the server's file of settings",
                   "no data directory is known: the disk was not looked at");
        return;
    }
    (void)snprintf(path, sizeof path, "%s", dir);
    if (!nearest(path)) {
        doctor_add(doctor, "data directory", DOCTOR_FAIL, "make the directory, or name another one", "%s: %s", dir,
                   errno == 0 ? "is no directory" : strerror(errno));
        return;
    }
    bool there = strcmp(path, dir) == 0;
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        doctor_add(doctor, "data directory", DOCTOR_WARN, "run evlog doctor as the user of evlogd (sudo -u evlog)",
                   "%s: not for this user to write", path);
    } else {
        doctor_add(doctor, "data directory", DOCTOR_OK, NULL, "%s%s", dir, there ? "" : " (not there yet)");
    }
    check_system(doctor, path);
    check_space(doctor, path);
    check_writes(doctor, path);
    check_cache(doctor, path);
}
