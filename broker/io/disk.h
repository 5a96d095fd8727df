/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking file calls: the half of the kernel seam that start-up, recovery and a shard's jobs use. A struct disk is
 * safe from any one thread at a time; real backends share one, the simulator gives each shard its own view.
 *
 * Paths are relative to the data directory. Every call returns 0 or a negative EVLOG_ERR_ code and has no effect on its
 * out parameters then. In the simulator every call is a step at which the machine may crash; from then on each call
 * returns EVLOG_ERR_CRASHED, and code unwinds by its ordinary error path.
 */
#ifndef EL_IO_DISK_H
#define EL_IO_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum disk_open_flags {
    DISK_READ = 1,    /* open for reading */
    DISK_WRITE = 2,   /* open for reading and writing */
    DISK_CREATE = 4,  /* create when absent; durable only after disk_sync_dir() of its folder */
    DISK_EXCL = 8,    /* with DISK_CREATE: EVLOG_ERR_EXISTS when present */
    DISK_DIRECT = 16, /* O_DIRECT where the file system takes it, else buffered with a log line */
    DISK_SECRET = 32, /* with DISK_CREATE: a new file can be read by its owner alone, and written by nobody later */
};

struct disk;

typedef void (*disk_list_fn)(void *arg, const char *name, bool is_dir);

struct disk_ops {
    int (*open)(struct disk *disk, const char *path, int flags, int *fd);
    int (*close)(struct disk *disk, int fd);
    int (*pread)(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos, size_t *done);
    int (*pwritev)(struct disk *disk, int fd, const struct iovec *iov, int iov_count, uint64_t pos);
    int (*sync)(struct disk *disk, int fd);
    int (*sync_all)(struct disk *disk);
    int (*sync_dir)(struct disk *disk, const char *path);
    int (*allocate)(struct disk *disk, int fd, uint64_t pos, uint64_t len);
    int (*truncate)(struct disk *disk, int fd, uint64_t len);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *path);
    int (*mkdir)(struct disk *disk, const char *path);
    int (*rmdir)(struct disk *disk, const char *path);
    int (*list)(struct disk *disk, const char *path, disk_list_fn fn, void *arg);
    int (*len)(struct disk *disk, int fd, uint64_t *len);
    int (*space)(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes);
};

struct disk {
    const struct disk_ops *ops;
};

static inline int disk_open(struct disk *d, const char *path, int flags, int *fd)
{
    return d->ops->open(d, path, flags, fd);
}
/* Never close a descriptor with unsynced bytes: a write-back error would be lost with it. */
static inline int disk_close(struct disk *d, int fd)
{
    return d->ops->close(d, fd);
}
/* Reads until len bytes or the end of the file; *done tells how many. */
static inline int disk_pread(struct disk *d, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    return d->ops->pread(d, fd, buf, len, pos, done);
}
/* All bytes are written or an error comes back (then an unknown part of them is). */
static inline int disk_pwritev(struct disk *d, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    return d->ops->pwritev(d, fd, iov, iov_count, pos);
}
static inline int disk_pwrite(struct disk *d, int fd, const void *buf, size_t len, uint64_t pos)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    return d->ops->pwritev(d, fd, &iov, 1, pos);
}
/* fdatasync. After an error never call it again on the same data: the kernel has marked the pages clean. */
static inline int disk_sync(struct disk *d, int fd)
{
    return d->ops->sync(d, fd);
}
/* syncfs of the data directory's file system; reports errors of writes since the process opened it. */
static inline int disk_sync_all(struct disk *d)
{
    return d->ops->sync_all(d);
}
/* fsync of a folder: makes creations, renames and removals in it durable. "" is the data directory. */
static inline int disk_sync_dir(struct disk *d, const char *path)
{
    return d->ops->sync_dir(d, path);
}
/* Reserve blocks without changing the file's length (fallocate KEEP_SIZE). */
static inline int disk_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
    return d->ops->allocate(d, fd, pos, len);
}
static inline int disk_truncate(struct disk *d, int fd, uint64_t len)
{
    return d->ops->truncate(d, fd, len);
}
static inline int disk_rename(struct disk *d, const char *from, const char *to)
{
    return d->ops->rename(d, from, to);
}
static inline int disk_unlink(struct disk *d, const char *path)
{
    return d->ops->unlink(d, path);
}
/* returns 0 also when the folder exists */
static inline int disk_mkdir(struct disk *d, const char *path)
{
    return d->ops->mkdir(d, path);
}
static inline int disk_rmdir(struct disk *d, const char *path)
{
    return d->ops->rmdir(d, path);
}
/* Calls fn for every entry but . and .. in byte order of the names. EVLOG_ERR_NOT_FOUND when there is no such
 * folder. */
static inline int disk_list(struct disk *d, const char *path, disk_list_fn fn, void *arg)
{
    return d->ops->list(d, path, fn, arg);
}
static inline int disk_len(struct disk *d, int fd, uint64_t *len)
{
    return d->ops->len(d, fd, len);
}
/* Bytes an ordinary process may still allocate, and the size of the file system. */
static inline int disk_space(struct disk *d, uint64_t *free_bytes, uint64_t *total_bytes)
{
    return d->ops->space(d, free_bytes, total_bytes);
}

/* The real file system below root (absolute or relative to the working directory). Freed with disk_posix_close(). */
int disk_posix_open(const char *root, struct disk **disk);
void disk_posix_close(struct disk *disk);

#endif
