/* SPDX-License-Identifier: Apache-2.0
 *
 * struct disk over the real file system: every path is opened relative to a descriptor of the data directory, which is
 * opened first and so sees every later write-back error in syncfs(). No state but that descriptor and whether its
 * syncfs() has failed: any thread.
 *
 * Folders are made 0750, files 0640, secret ones 0400. Interrupted calls are repeated, short writes continued. A failed
 * sync is never repeated here or by callers: the kernel has marked the pages clean.
 */
#include <core/alloc.h>
#include <core/assert.h>
#include <core/err.h>
#include <core/logger.h>
#include <io/io.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FOLDER_MODE 0750
#define FILE_MODE 0640
#define SECRET_MODE 0400

struct disk_posix {
    struct disk disk;
    int root_fd;               /* the data directory */
    bool btrfs;                /* journal files are taken out of copy on write */
    atomic_flag told_buffered; /* the log line about O_DIRECT has been written */
    pthread_mutex_t sync_all_lock;
    int sync_all_code; /* of the first syncfs that failed, 0 none; under the lock */
};

static struct disk_posix *posix_of(struct disk *disk)
{
    return EL_CONTAINER(disk, struct disk_posix, disk);
}

/* 0 or the code of errno. */
static int outcome(int rc)
{
    return rc >= 0 ? 0 : el_error_from_errno(errno);
}

static const char *path_of(const char *path)
{
    return path[0] == '\0' ? "." : path;
}

static int open_retry(int root_fd, const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = openat(root_fd, path, flags, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static void log_buffered(struct disk_posix *p, const char *path)
{
    if (!atomic_flag_test_and_set(&p->told_buffered)) {
        el_log(EL_LOG_WARN, "io", "the file system refuses O_DIRECT for %s: it is written through the page cache",
               path);
    }
}

/* A new empty file on btrfs: rewriting blocks in place needs NOCOW. Best effort, as it only costs speed. */
static void set_nocow(int fd)
{
    int attributes = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &attributes) == 0) {
        attributes |= FS_NOCOW_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &attributes);
    }
}

static int posix_open(struct disk *disk, const char *path, int flags, int *fd)
{
    struct disk_posix *p = posix_of(disk);
    int how = O_CLOEXEC | O_NOFOLLOW | ((flags & DISK_WRITE) != 0 ? O_RDWR : O_RDONLY);
    how |= (flags & DISK_CREATE) != 0 ? O_CREAT : 0;
    how |= (flags & DISK_EXCL) != 0 ? O_EXCL : 0;
    bool direct = (flags & DISK_DIRECT) != 0;
    mode_t mode = (flags & DISK_SECRET) != 0 ? SECRET_MODE : FILE_MODE;
    int found = open_retry(p->root_fd, path, how | (direct ? O_DIRECT : 0), mode);
    if (found < 0 && errno == EINVAL && direct) {
        log_buffered(p, path);
        found = open_retry(p->root_fd, path, how & ~O_EXCL, mode); /* the refused call may have made the file */
    }
    if (found < 0) {
        return el_error_from_errno(errno);
    }
    if (p->btrfs && direct && (flags & DISK_CREATE) != 0) {
        set_nocow(found);
    }
    *fd = found;
    return 0;
}

static int posix_close(struct disk *disk, int fd)
{
    return close(fd) == 0 || errno == EINTR ? 0 : el_error_from_errno(errno); /* Linux closes it even then */
}

static int posix_pread(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    size_t sum = 0;
    while (sum < len) {
        ssize_t n = pread(fd, (uint8_t *)buf + sum, len - sum, (off_t)(pos + sum));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return el_error_from_errno(errno);
        }
        if (n == 0) {
            break;
        }
        sum += (size_t)n;
    }
    *done = sum;
    return 0;
}

/* The rest of one buffer that was written in part. */
static int write_rest(int fd, const uint8_t *data, size_t len, uint64_t pos)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)pos);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? EVLOG_ERR_IO : el_error_from_errno(errno);
        }
        data += n;
        len -= (size_t)n;
        pos += (size_t)n;
    }
    return 0;
}

static int posix_pwritev(struct disk *disk, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    int index = 0;
    while (index < iov_count) {
        ssize_t n = pwritev(fd, iov + index, EL_MIN(iov_count - index, IO_IOV_MAX), (off_t)pos);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return el_error_from_errno(errno);
        }
        size_t left = (size_t)n;
        pos += left;
        bool moved = left > 0;
        while (index < iov_count && left >= iov[index].iov_len) {
            left -= iov[index].iov_len;
            index++;
            moved = true;
        }
        if (!moved) {
            return EVLOG_ERR_IO;
        }
        if (left > 0) {
            int rc = write_rest(fd, (const uint8_t *)iov[index].iov_base + left, iov[index].iov_len - left, pos);
            if (rc != 0) {
                return rc;
            }
            pos += iov[index].iov_len - left;
            index++;
        }
    }
    return 0;
}

static int posix_sync(struct disk *disk, int fd)
{
    return outcome(fdatasync(fd));
}

/* The kernel tells an error of write-back once per descriptor, and all shards share this one: after the first error the
 * answer stays the same, or the second shard would take lost bytes for durable ones. */
static int posix_sync_all(struct disk *disk)
{
    struct disk_posix *p = posix_of(disk);
    pthread_mutex_lock(&p->sync_all_lock);
    p->sync_all_code = p->sync_all_code != 0 ? p->sync_all_code : outcome(syncfs(p->root_fd));
    int code = p->sync_all_code;
    pthread_mutex_unlock(&p->sync_all_lock);
    return code;
}

static int open_dir(struct disk *disk, const char *path)
{
    return open_retry(posix_of(disk)->root_fd, path_of(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

static int posix_sync_dir(struct disk *disk, const char *path)
{
    int fd = open_dir(disk, path);
    if (fd < 0) {
        return el_error_from_errno(errno);
    }
    int rc = outcome(fsync(fd));
    close(fd);
    return rc;
}

/* A file system without reservations is no failure: the writes themselves will tell when space runs out. */
static int posix_allocate(struct disk *disk, int fd, uint64_t pos, uint64_t len)
{
    int rc;
    do {
        rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)pos, (off_t)len);
    } while (rc != 0 && errno == EINTR);
    return rc != 0 && errno == EOPNOTSUPP ? 0 : outcome(rc);
}

static int posix_truncate(struct disk *disk, int fd, uint64_t len)
{
    int rc;
    do {
        rc = ftruncate(fd, (off_t)len);
    } while (rc != 0 && errno == EINTR);
    return outcome(rc);
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    int root_fd = posix_of(disk)->root_fd;
    return outcome(renameat(root_fd, from, root_fd, to));
}

static int posix_unlink(struct disk *disk, const char *path)
{
    return outcome(unlinkat(posix_of(disk)->root_fd, path, 0));
}

static int posix_mkdir(struct disk *disk, const char *path)
{
    struct stat st;
    int root_fd = posix_of(disk)->root_fd;
    if (mkdirat(root_fd, path, FOLDER_MODE) == 0) {
        return 0;
    }
    int code = el_error_from_errno(errno);
    if (errno == EEXIST && fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
        return 0;
    }
    return code;
}

static int posix_rmdir(struct disk *disk, const char *path)
{
    return outcome(unlinkat(posix_of(disk)->root_fd, path, AT_REMOVEDIR));
}

/* --- listing ---------------------------------------------------------------------------------------------------- */

struct entry {
    char *name;
    bool is_dir;
};

struct entries {
    struct entry *list; /* [count] */
    size_t count;
    size_t count_max;
};

static int entry_order(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int entries_add(struct entries *entries, const char *name, bool is_dir)
{
    if (entries->count == entries->count_max) {
        size_t count_max = entries->count_max == 0 ? 64 : entries->count_max * 2;
        struct entry *list = el_realloc(entries->list, count_max * sizeof(*list));
        if (list == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        entries->list = list;
        entries->count_max = count_max;
    }
    char *copy = el_strdup(name);
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    entries->list[entries->count++] = (struct entry){copy, is_dir};
    return 0;
}

static bool entry_is_dir(int dir_fd, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int entries_read(struct entries *entries, DIR *dir)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            return errno == 0 ? 0 : el_error_from_errno(errno);
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        int rc = entries_add(entries, entry->d_name, entry_is_dir(dirfd(dir), entry));
        if (rc != 0) {
            return rc;
        }
    }
}

/* fn is called after the folder is closed: it may change it. */
static int posix_list(struct disk *disk, const char *path, disk_list_fn fn, void *arg)
{
    int fd = open_dir(disk, path);
    if (fd < 0) {
        return el_error_from_errno(errno);
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int code = el_error_from_errno(errno);
        close(fd);
        return code;
    }
    struct entries entries = {NULL, 0, 0};
    int rc = entries_read(&entries, dir);
    closedir(dir);
    if (rc == 0 && entries.count > 0) {
        qsort(entries.list, entries.count, sizeof(*entries.list), entry_order);
    }
    for (size_t i = 0; i < entries.count; i++) {
        if (rc == 0) {
            fn(arg, entries.list[i].name, entries.list[i].is_dir);
        }
        el_free(entries.list[i].name);
    }
    el_free(entries.list);
    return rc;
}

/* --- sizes ------------------------------------------------------------------------------------------------------ */

static int posix_len(struct disk *disk, int fd, uint64_t *len)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return el_error_from_errno(errno);
    }
    *len = (uint64_t)st.st_size;
    return 0;
}

static int posix_space(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs st;
    if (fstatvfs(posix_of(disk)->root_fd, &st) != 0) {
        return el_error_from_errno(errno);
    }
    *free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    *total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    return 0;
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwritev = posix_pwritev,
    .sync = posix_sync,
    .sync_all = posix_sync_all,
    .sync_dir = posix_sync_dir,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .list = posix_list,
    .len = posix_len,
    .space = posix_space,
};

int disk_posix_open(const char *root, struct disk **disk)
{
    struct disk_posix *p = el_calloc(1, sizeof(*p));
    if (p == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    p->root_fd = open_retry(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (p->root_fd < 0) {
        int code = el_error_from_errno(errno);
        el_free(p);
        return code;
    }
    struct statfs st;
    p->btrfs = fstatfs(p->root_fd, &st) == 0 && st.f_type == BTRFS_SUPER_MAGIC;
    pthread_mutex_init(&p->sync_all_lock, NULL);
    p->disk.ops = &posix_ops;
    *disk = &p->disk;
    return 0;
}

void disk_posix_close(struct disk *disk)
{
    if (disk == NULL) {
        return;
    }
    struct disk_posix *p = posix_of(disk);
    close(p->root_fd);
    pthread_mutex_destroy(&p->sync_all_lock);
    el_free(p);
}
