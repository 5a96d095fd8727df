/* SPDX-License-Identifier: Apache-2.0 */
#include <io/disk_file.h>

int disk_file_read(struct disk *disk, const char *path, void *buf, size_t max, size_t *len)
{
    int fd;
    int code = disk_open(disk, path, DISK_READ, &fd);
    if (code == 0) {
        code = disk_pread(disk, fd, buf, max, 0, len);
        int closed = disk_close(disk, fd);
        code = code != 0 ? code : closed;
    }
    return code;
}

static int write_tmp(struct disk *disk, const struct disk_file *file, const struct iovec *iov, int iov_count)
{
    int fd;
    int code = disk_open(disk, file->tmp, DISK_WRITE | DISK_CREATE | DISK_EXCL | file->flags, &fd);
    if (code != 0) {
        return code;
    }
    code = disk_pwritev(disk, fd, iov, iov_count, 0);
    code = code != 0 ? code : disk_sync(disk, fd);
    int closed = disk_close(disk, fd);
    return code != 0 ? code : closed;
}

int disk_file_replacev(struct disk *disk, const struct disk_file *file, const struct iovec *iov, int iov_count)
{
    (void)disk_unlink(disk, file->tmp); /* a file whose sync failed, or that was cut off, is not to be trusted again */
    int code = write_tmp(disk, file, iov, iov_count);
    code = code != 0 ? code : disk_rename(disk, file->tmp, file->path);
    return code != 0 ? code : disk_sync_dir(disk, file->folder);
}

int disk_file_replace(struct disk *disk, const struct disk_file *file, const void *bytes, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    return disk_file_replacev(disk, file, &iov, 1);
}
