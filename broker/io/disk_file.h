/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files that are read and replaced whole. Blocking, as struct disk is.
 */
#ifndef EL_IO_DISK_FILE_H
#define EL_IO_DISK_FILE_H

#include <io/disk.h>

/* Up to max bytes from the beginning. returns what the disk says; EVLOG_ERR_NOT_FOUND there is none */
int disk_file_read(struct disk *disk, const char *path, void *buf, size_t max, size_t *len);

struct disk_file {
    const char *folder; /* that both names lie in; "" is the data directory */
    const char *path, *tmp;
    int flags; /* DISK_SECRET or 0 */
};
/* Write it beside, sync, rename, sync the folder: durable when this returns 0, and until then the old file is there.
 * returns what the disk says */
int disk_file_replace(struct disk *disk, const struct disk_file *file, const void *bytes, size_t len);
/* The same with bytes that lie in several places. */
int disk_file_replacev(struct disk *disk, const struct disk_file *file, const struct iovec *iov, int iov_count);

#endif
