/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace, and the disk calls that write it: each is made on the simulated disk and noted when it returns.
 */
#include "sim_trace.h"

#include "sim_disk_priv.h"
#include <core/hash.h>
#include <stdio.h>

static uint64_t mix(uint64_t hash, uint64_t v)
{
    hash = (hash ^ v) * 0x9e3779b97f4a7c15ull;
    return hash ^ (hash >> 32);
}

void sim_trace_add(struct sim_trace *t, const char *what, const uint64_t *values, size_t value_count)
{
    uint64_t hash = mix(t->hash, value_count);
    for (const char *c = what; *c != 0; c++) {
        hash = mix(hash, (uint8_t)*c);
    }
    for (size_t i = 0; i < value_count; i++) {
        hash = mix(hash, values[i]);
    }
    t->hash = hash;
    t->event_count++;
    if (t->print) {
        printf("%8llu %s", (unsigned long long)t->event_count, what);
        for (size_t i = 0; i < value_count; i++) {
            printf(" %llx", (unsigned long long)values[i]);
        }
        printf("\n");
    }
}

static struct sim_trace *of(struct disk *disk)
{
    return &EL_CONTAINER(disk, struct sim_disk, disk)->trace;
}

static uint64_t text(const char *path)
{
    return el_xxh3(path, strlen(path));
}

static int on_open(struct disk *d, const char *path, int flags, int *fd)
{
    int code = sim_disk_calls_plain.open(d, path, flags, fd);
    SIM_TRACE(of(d), "open", text(path), (uint64_t)flags, (uint64_t)code, code == 0 ? (uint64_t)*fd : 0);
    return code;
}

static int on_close(struct disk *d, int fd)
{
    int code = sim_disk_calls_plain.close(d, fd);
    SIM_TRACE(of(d), "close", (uint64_t)fd, (uint64_t)code);
    return code;
}

static int on_pread(struct disk *d, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    int code = sim_disk_calls_plain.pread(d, fd, buf, len, pos, done);
    uint64_t got = code == 0 ? *done : 0;
    SIM_TRACE(of(d), "pread", (uint64_t)fd, len, pos, (uint64_t)code, got, got > 0 ? el_xxh3(buf, got) : 0);
    return code;
}

static int on_pwritev(struct disk *d, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    for (int i = 0; i < iov_count; i++) {
        SIM_TRACE(of(d), "part", iov[i].iov_len, el_xxh3(iov[i].iov_base, iov[i].iov_len));
    }
    int code = sim_disk_calls_plain.pwritev(d, fd, iov, iov_count, pos);
    SIM_TRACE(of(d), "pwritev", (uint64_t)fd, pos, (uint64_t)code);
    return code;
}

static int on_sync(struct disk *d, int fd)
{
    int code = sim_disk_calls_plain.sync(d, fd);
    SIM_TRACE(of(d), "sync", (uint64_t)fd, (uint64_t)code);
    return code;
}

static int on_sync_all(struct disk *d)
{
    int code = sim_disk_calls_plain.sync_all(d);
    SIM_TRACE(of(d), "sync_all", (uint64_t)code);
    return code;
}

static int on_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
    int code = sim_disk_calls_plain.allocate(d, fd, pos, len);
    SIM_TRACE(of(d), "allocate", (uint64_t)fd, pos, len, (uint64_t)code);
    return code;
}

static int on_truncate(struct disk *d, int fd, uint64_t len)
{
    int code = sim_disk_calls_plain.truncate(d, fd, len);
    SIM_TRACE(of(d), "truncate", (uint64_t)fd, len, (uint64_t)code);
    return code;
}

static int on_rename(struct disk *d, const char *from, const char *to)
{
    int code = sim_disk_calls_plain.rename(d, from, to);
    SIM_TRACE(of(d), "rename", text(from), text(to), (uint64_t)code);
    return code;
}

static int noted(struct disk *d, const char *what, const char *path, int code)
{
    SIM_TRACE(of(d), what, text(path), (uint64_t)code);
    return code;
}

static int on_sync_dir(struct disk *d, const char *path)
{
    return noted(d, "sync_dir", path, sim_disk_calls_plain.sync_dir(d, path));
}
static int on_unlink(struct disk *d, const char *path)
{
    return noted(d, "unlink", path, sim_disk_calls_plain.unlink(d, path));
}
static int on_mkdir(struct disk *d, const char *path)
{
    return noted(d, "mkdir", path, sim_disk_calls_plain.mkdir(d, path));
}
static int on_rmdir(struct disk *d, const char *path)
{
    return noted(d, "rmdir", path, sim_disk_calls_plain.rmdir(d, path));
}

struct listing {
    struct disk *disk;
    disk_list_fn fn;
    void *arg;
};

static void on_entry(void *arg, const char *name, bool is_dir)
{
    const struct listing *l = arg;
    SIM_TRACE(of(l->disk), "entry", text(name), is_dir);
    l->fn(l->arg, name, is_dir);
}

static int on_list(struct disk *d, const char *path, disk_list_fn fn, void *arg)
{
    struct listing l = {d, fn, arg};
    return noted(d, "list", path, sim_disk_calls_plain.list(d, path, on_entry, &l));
}

static int on_len(struct disk *d, int fd, uint64_t *len)
{
    int code = sim_disk_calls_plain.len(d, fd, len);
    SIM_TRACE(of(d), "len", (uint64_t)fd, (uint64_t)code, code == 0 ? *len : 0);
    return code;
}

static int on_space(struct disk *d, uint64_t *free_bytes, uint64_t *total_bytes)
{
    int code = sim_disk_calls_plain.space(d, free_bytes, total_bytes);
    SIM_TRACE(of(d), "space", (uint64_t)code, code == 0 ? *free_bytes : 0, code == 0 ? *total_bytes : 0);
    return code;
}

const struct disk_ops sim_trace_calls = {
    on_open,     on_close,  on_pread,  on_pwritev, on_sync,  on_sync_all, on_sync_dir, on_allocate,
    on_truncate, on_rename, on_unlink, on_mkdir,   on_rmdir, on_list,     on_len,      on_space,
};
