/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk whose one file, whatever its path, is a block of memory that is only read.
 */
#ifndef EL_FUZZ_MEMORY_DISK_H
#define EL_FUZZ_MEMORY_DISK_H

#include <io/disk.h>

#include <string.h>

struct memory_disk {
    struct disk disk;
    const uint8_t *data;
    size_t len;
};

static inline int memory_open(struct disk *disk, const char *path, int flags, int *fd)
{
    *fd = 1;
    return 0;
}

static inline int memory_close(struct disk *disk, int fd)
{
    return 0;
}

static inline int memory_pread(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    struct memory_disk *m = (struct memory_disk *)disk;
    *done = pos >= m->len ? 0 : m->len - pos < len ? (size_t)(m->len - pos) : len;
    if (*done > 0) {
        memcpy(buf, m->data + pos, *done);
    }
    return 0;
}

static inline int memory_len(struct disk *disk, int fd, uint64_t *len)
{
    *len = ((struct memory_disk *)disk)->len;
    return 0;
}

static inline void memory_disk_init(struct memory_disk *m, const uint8_t *data, size_t len)
{
    static const struct disk_ops ops = {
        .open = memory_open, .close = memory_close, .pread = memory_pread, .len = memory_len};
    *m = (struct memory_disk){.disk = {.ops = &ops}, .data = data, .len = len};
}

#endif
