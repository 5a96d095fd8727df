/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated disk: inodes with pending operations, folders with pending names, sectors of 512 bytes that are written
 * whole or not at all.
 *
 *   write, truncate   change what is read at once and wait in the inode's list; sync moves them to the durable copy
 *   create, rename,   change the names at once and wait in the folder's list; sync_dir moves them
 *   unlink, mkdir
 *   power cycle       of each inode's list some operations, or some of their sectors, have happened; of each folder's
 *                     list a prefix has; a name whose folder is gone is gone
 */
#include "sim_disk.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/bytes.h>
#include <evlog/error.h>
#include <stdio.h>
#include <stdlib.h>

#define SECTOR 512u
#define NAME_MAX_LEN 112
#define FD_MAX 4096

struct sim_op {
    bool truncate;
    uint64_t pos; /* new length of a truncate */
    size_t len;
    uint8_t *data;
};

struct sim_inode {
    uint8_t *now, *durable;
    uint64_t now_len, durable_len;
    uint64_t now_room, durable_room;
    struct sim_op *ops;
    uint32_t op_count, op_room;
};

struct sim_name {
    char path[NAME_MAX_LEN];
    struct sim_inode *inode; /* NULL: a folder */
};

struct sim_names {
    struct sim_name *list;
    uint32_t count, room;
};

struct sim_dir_op {
    char dir[NAME_MAX_LEN];
    char remove[NAME_MAX_LEN]; /* "" none */
    char add[NAME_MAX_LEN];    /* "" none */
    struct sim_inode *inode;   /* of add */
};

struct sim_write {
    struct sim_write *next;
    struct sim_inode *inode;
    uint64_t pos;
    size_t len;
    uint8_t *data;
};

struct sim_disk {
    struct disk disk;
    struct el_rng *rng;
    struct sim_faults faults;
    struct sim_names now, durable;
    struct sim_dir_op *dir_ops;
    uint32_t dir_op_count, dir_op_room;
    struct sim_inode **inodes; /* all that were ever made */
    uint32_t inode_count, inode_room;
    struct sim_inode *fds[FD_MAX];
    struct sim_write *flight;
    uint64_t calls, crash_at;
    bool crashed;
};

static void *grow(void *list, uint32_t *room, uint32_t count, size_t item)
{
    if (count < *room) {
        return list;
    }
    *room = *room == 0 ? 16 : *room * 2;
    void *grown = realloc(list, (size_t)*room * item);
    EL_ASSERT(grown != NULL);
    return grown;
}

static void content_resize(uint8_t **data, uint64_t *len, uint64_t *room, uint64_t want)
{
    if (want > *room) {
        *room = EL_MAX(want, *room * 2);
        *data = realloc(*data, *room);
        EL_ASSERT(*data != NULL);
    }
    if (want > *len) {
        memset(*data + *len, 0, want - *len);
    }
    *len = want;
}

static void durable_write(struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len)
{
    if (pos + len > inode->durable_len) {
        content_resize(&inode->durable, &inode->durable_len, &inode->durable_room, pos + len);
    }
    memcpy(inode->durable + pos, data, len);
}

static void now_write(struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len)
{
    if (pos + len > inode->now_len) {
        content_resize(&inode->now, &inode->now_len, &inode->now_room, pos + len);
    }
    memcpy(inode->now + pos, data, len);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static int name_find(const struct sim_names *names, const char *path)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].path, path) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void name_set(struct sim_names *names, const char *path, struct sim_inode *inode)
{
    int i = name_find(names, path);
    if (i < 0) {
        names->list = grow(names->list, &names->room, names->count, sizeof(*names->list));
        i = (int)names->count++;
        snprintf(names->list[i].path, NAME_MAX_LEN, "%s", path);
    }
    names->list[i].inode = inode;
}

static void name_drop(struct sim_names *names, const char *path)
{
    int i = name_find(names, path);
    if (i >= 0) {
        names->list[i] = names->list[--names->count];
    }
}

static void parent_of(char *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, NAME_MAX_LEN, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

static bool dir_exists(const struct sim_names *names, const char *dir)
{
    int i = name_find(names, dir);
    return dir[0] == 0 || (i >= 0 && names->list[i].inode == NULL);
}

static void dir_op(struct sim_disk *d, const char *remove, const char *add, struct sim_inode *inode)
{
    d->dir_ops = grow(d->dir_ops, &d->dir_op_room, d->dir_op_count, sizeof(*d->dir_ops));
    struct sim_dir_op *op = &d->dir_ops[d->dir_op_count++];
    memset(op, 0, sizeof(*op));
    parent_of(op->dir, add[0] != 0 ? add : remove);
    snprintf(op->remove, NAME_MAX_LEN, "%s", remove);
    snprintf(op->add, NAME_MAX_LEN, "%s", add);
    op->inode = inode;
}

static void dir_op_apply(struct sim_names *names, const struct sim_dir_op *op)
{
    if (op->remove[0] != 0) {
        name_drop(names, op->remove);
    }
    if (op->add[0] != 0) {
        name_set(names, op->add, op->inode);
    }
}

static void dir_sync(struct sim_disk *d, const char *dir, uint32_t at_most)
{
    uint32_t kept = 0, applied = 0;
    for (uint32_t i = 0; i < d->dir_op_count; i++) {
        if (strcmp(d->dir_ops[i].dir, dir) == 0 && applied < at_most) {
            dir_op_apply(&d->durable, &d->dir_ops[i]);
            applied++;
        } else {
            d->dir_ops[kept++] = d->dir_ops[i];
        }
    }
    d->dir_op_count = kept;
}

/* --- inodes ------------------------------------------------------------------------------------------------------- */

static struct sim_inode *inode_new(struct sim_disk *d)
{
    d->inodes = grow(d->inodes, &d->inode_room, d->inode_count, sizeof(*d->inodes));
    struct sim_inode *inode = calloc(1, sizeof(*inode));
    EL_ASSERT(inode != NULL);
    d->inodes[d->inode_count++] = inode;
    return inode;
}

static void ops_clear(struct sim_inode *inode)
{
    for (uint32_t i = 0; i < inode->op_count; i++) {
        free(inode->ops[i].data);
    }
    inode->op_count = 0;
}

static void op_durable(struct sim_inode *inode, const struct sim_op *op)
{
    if (op->truncate) {
        content_resize(&inode->durable, &inode->durable_len, &inode->durable_room, op->pos);
    } else {
        durable_write(inode, op->pos, op->data, op->len);
    }
}

static void inode_sync(struct sim_inode *inode)
{
    for (uint32_t i = 0; i < inode->op_count; i++) {
        op_durable(inode, &inode->ops[i]);
    }
    ops_clear(inode);
}

static void op_add(struct sim_inode *inode, const struct sim_op *op)
{
    inode->ops = grow(inode->ops, &inode->op_room, inode->op_count, sizeof(*inode->ops));
    inode->ops[inode->op_count++] = *op;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static struct sim_disk *enter(struct disk *disk, int *code)
{
    struct sim_disk *d = EL_CONTAINER(disk, struct sim_disk, disk);
    d->calls++;
    if (d->crash_at != 0 && d->calls >= d->crash_at) {
        d->crashed = true;
    }
    *code = d->crashed ? EVLOG_ERR_CRASHED : 0;
    return d;
}

uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < d->now.count; i++) {
        used += d->now.list[i].inode == NULL ? 0 : d->now.list[i].inode->now_len;
    }
    return used;
}

static struct sim_inode *fd_inode(struct sim_disk *d, int fd)
{
    EL_ASSERT(fd >= 0);
    EL_ASSERT(fd < FD_MAX);
    EL_ASSERT(d->fds[fd] != NULL);
    return d->fds[fd];
}

static int fd_new(struct sim_disk *d, struct sim_inode *inode)
{
    for (int fd = 3; fd < FD_MAX; fd++) {
        if (d->fds[fd] == NULL) {
            d->fds[fd] = inode;
            return fd;
        }
    }
    return -1;
}

static int sim_open(struct disk *disk, const char *path, int flags, int *fd)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    char dir[NAME_MAX_LEN];
    parent_of(dir, path);
    int i = name_find(&d->now, path);
    if (i < 0 && ((flags & DISK_CREATE) == 0 || !dir_exists(&d->now, dir))) {
        return EVLOG_ERR_NOT_FOUND;
    }
    if (i >= 0 && (flags & DISK_EXCL) != 0) {
        return EVLOG_ERR_EXISTS;
    }
    struct sim_inode *inode = i >= 0 ? d->now.list[i].inode : inode_new(d);
    if (inode == NULL) {
        return EVLOG_ERR_IO; /* a folder */
    }
    if (i < 0) {
        name_set(&d->now, path, inode);
        dir_op(d, "", path, inode);
    }
    *fd = fd_new(d, inode);
    return *fd < 0 ? EVLOG_ERR_NO_FILES : 0;
}

static int sim_close(struct disk *disk, int fd)
{
    struct sim_disk *d = EL_CONTAINER(disk, struct sim_disk, disk);
    if (d->crashed && d->fds[fd] == NULL) {
        return EVLOG_ERR_CRASHED;
    }
    fd_inode(d, fd);
    d->fds[fd] = NULL;
    return 0;
}

static int sim_pread(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    if (el_rng_chance(d->rng, d->faults.read_error)) {
        return EVLOG_ERR_IO;
    }
    const struct sim_inode *inode = fd_inode(d, fd);
    *done = pos >= inode->now_len ? 0 : (size_t)EL_MIN((uint64_t)len, inode->now_len - pos);
    if (*done > 0) {
        memcpy(buf, inode->now + pos, *done);
    }
    return 0;
}

static bool no_room(const struct sim_disk *d, const struct sim_inode *inode, uint64_t end)
{
    return d->faults.capacity > 0 && end > inode->now_len &&
           sim_disk_used(d) + (end - inode->now_len) > d->faults.capacity;
}

static uint8_t *gather(const struct iovec *iov, int iov_count, size_t *len)
{
    *len = 0;
    for (int i = 0; i < iov_count; i++) {
        *len += iov[i].iov_len;
    }
    uint8_t *data = malloc(*len + 1);
    EL_ASSERT(data != NULL);
    size_t at = 0;
    for (int i = 0; i < iov_count; i++) {
        memcpy(data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return data;
}

static int sim_pwritev(struct disk *disk, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    struct sim_inode *inode = fd_inode(d, fd);
    size_t len;
    uint8_t *data = gather(iov, iov_count, &len);
    if (no_room(d, inode, pos + len)) {
        free(data);
        return EVLOG_ERR_NO_SPACE;
    }
    bool fail = el_rng_chance(d->rng, d->faults.write_error);
    if (fail) {
        len = (size_t)el_rng_below(d->rng, len + 1);
    }
    now_write(inode, pos, data, len);
    op_add(inode, &(struct sim_op){false, pos, len, data});
    return fail ? EVLOG_ERR_IO : 0;
}

static int sim_sync(struct disk *disk, int fd)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    struct sim_inode *inode = fd_inode(d, fd);
    if (el_rng_chance(d->rng, d->faults.sync_error)) {
        ops_clear(inode); /* marked clean: a second sync succeeds, the disk keeps the old bytes */
        return EVLOG_ERR_IO;
    }
    inode_sync(inode);
    return 0;
}

static int sim_sync_all(struct disk *disk)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    for (uint32_t i = 0; i < d->inode_count; i++) {
        inode_sync(d->inodes[i]);
    }
    for (uint32_t i = 0; i < d->dir_op_count; i++) {
        dir_op_apply(&d->durable, &d->dir_ops[i]);
    }
    d->dir_op_count = 0;
    return 0;
}

static int sim_sync_dir(struct disk *disk, const char *path)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    if (!dir_exists(&d->now, path)) {
        return EVLOG_ERR_NOT_FOUND;
    }
    if (el_rng_chance(d->rng, d->faults.sync_error)) {
        return EVLOG_ERR_IO;
    }
    dir_sync(d, path, UINT32_MAX);
    return 0;
}

static int sim_allocate(struct disk *disk, int fd, uint64_t pos, uint64_t len)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    return no_room(d, fd_inode(d, fd), pos + len) ? EVLOG_ERR_NO_SPACE : 0;
}

static int sim_truncate(struct disk *disk, int fd, uint64_t len)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    struct sim_inode *inode = fd_inode(d, fd);
    content_resize(&inode->now, &inode->now_len, &inode->now_room, len);
    op_add(inode, &(struct sim_op){true, len, 0, NULL});
    return 0;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    int i = name_find(&d->now, from);
    if (i < 0) {
        return EVLOG_ERR_NOT_FOUND;
    }
    struct sim_inode *inode = d->now.list[i].inode;
    name_drop(&d->now, from);
    name_set(&d->now, to, inode);
    dir_op(d, from, to, inode);
    return 0;
}

static int sim_unlink(struct disk *disk, const char *path)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    if (name_find(&d->now, path) < 0) {
        return EVLOG_ERR_NOT_FOUND;
    }
    name_drop(&d->now, path);
    dir_op(d, path, "", NULL);
    return 0;
}

static int sim_mkdir(struct disk *disk, const char *path)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    char dir[NAME_MAX_LEN];
    parent_of(dir, path);
    if (!dir_exists(&d->now, dir)) {
        return EVLOG_ERR_NOT_FOUND;
    }
    if (name_find(&d->now, path) < 0) {
        name_set(&d->now, path, NULL);
        dir_op(d, "", path, NULL);
    }
    return 0;
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len == 0) {
        return strchr(path, '/') == NULL;
    }
    return strncmp(path, dir, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

static int sim_rmdir(struct disk *disk, const char *path)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    if (!dir_exists(&d->now, path)) {
        return EVLOG_ERR_NOT_FOUND;
    }
    for (uint32_t i = 0; i < d->now.count; i++) {
        if (is_below(d->now.list[i].path, path)) {
            return EVLOG_ERR_EXISTS;
        }
    }
    name_drop(&d->now, path);
    dir_op(d, path, "", NULL);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct sim_name *)a)->path, ((const struct sim_name *)b)->path);
}

static int sim_list(struct disk *disk, const char *path, disk_list_fn fn, void *arg)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    if (!dir_exists(&d->now, path)) {
        return EVLOG_ERR_NOT_FOUND;
    }
    uint32_t count = d->now.count;
    struct sim_name *copy = malloc(sizeof(*copy) * (count + 1));
    EL_ASSERT(copy != NULL);
    memcpy(copy, d->now.list, sizeof(*copy) * count);
    qsort(copy, count, sizeof(*copy), by_path);
    for (uint32_t i = 0; i < count; i++) {
        if (is_below(copy[i].path, path)) {
            const char *slash = strrchr(copy[i].path, '/');
            fn(arg, slash == NULL ? copy[i].path : slash + 1, copy[i].inode == NULL);
        }
    }
    free(copy);
    return 0;
}

static int sim_len(struct disk *disk, int fd, uint64_t *len)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code == 0) {
        *len = fd_inode(d, fd)->now_len;
    }
    return code;
}

static int sim_space(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code == 0) {
        uint64_t used = sim_disk_used(d);
        *total_bytes = d->faults.capacity == 0 ? 1ull << 40 : d->faults.capacity;
        *free_bytes = *total_bytes > used ? *total_bytes - used : 0;
    }
    return code;
}

static const struct disk_ops sim_disk_ops = {
    sim_open,     sim_close,  sim_pread,  sim_pwritev, sim_sync,  sim_sync_all, sim_sync_dir, sim_allocate,
    sim_truncate, sim_rename, sim_unlink, sim_mkdir,   sim_rmdir, sim_list,     sim_len,      sim_space,
};

/* --- durable writes under way ------------------------------------------------------------------------------------- */

struct sim_write *sim_disk_write_begin(struct sim_disk *d, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    struct sim_write *w = calloc(1, sizeof(*w));
    EL_ASSERT(w != NULL);
    w->inode = d->crashed ? NULL : fd_inode(d, fd);
    w->pos = pos;
    w->data = gather(iov, iov_count, &w->len);
    w->next = d->flight;
    d->flight = w;
    return w;
}

/* Some sectors of a write reach the disk. */
static void write_torn(struct sim_disk *d, struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len)
{
    uint32_t keep = (uint32_t)el_rng_below(d->rng, 4) * 333333; /* none, a third, two thirds, nearly all */
    for (size_t at = 0; at < len; at += SECTOR) {
        if (el_rng_chance(d->rng, keep)) {
            durable_write(inode, pos + at, data + at, EL_MIN(SECTOR, len - at));
            now_write(inode, pos + at, data + at, EL_MIN(SECTOR, len - at));
        }
    }
}

static void write_drop(struct sim_disk *d, struct sim_write *w)
{
    struct sim_write **link = &d->flight;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    free(w->data);
    free(w);
}

int64_t sim_disk_write_end(struct sim_disk *d, struct sim_write *w)
{
    int code;
    enter(&d->disk, &code);
    if (code != 0) {
        return code; /* the power cycle tears it */
    }
    int64_t result = (int64_t)w->len;
    uint64_t pos = w->pos;
    size_t len = w->len;
    if (el_rng_chance(d->rng, d->faults.write_error)) {
        write_torn(d, w->inode, pos, w->data, len);
        result = EVLOG_ERR_IO;
        len = 0;
    } else if (el_rng_chance(d->rng, d->faults.short_write)) {
        len = (size_t)el_rng_below(d->rng, len / SECTOR) * SECTOR;
        result = (int64_t)len;
    } else if (el_rng_chance(d->rng, d->faults.lost_write)) {
        len = 0;
    } else if (el_rng_chance(d->rng, d->faults.misdirected) && w->inode->now_len > len) {
        pos = el_rng_below(d->rng, (w->inode->now_len - len) / 4096 + 1) * 4096;
    }
    if (len > 0) {
        now_write(w->inode, pos, w->data, len);
        durable_write(w->inode, pos, w->data, len);
    }
    write_drop(d, w);
    return result;
}

/* --- power -------------------------------------------------------------------------------------------------------- */

static void fds_clear(struct sim_disk *d)
{
    memset(d->fds, 0, sizeof(d->fds));
}

void sim_disk_process_exit(struct sim_disk *d)
{
    while (d->flight != NULL) { /* what the kernel had accepted still happens */
        struct sim_write *w = d->flight;
        if (w->inode != NULL) {
            now_write(w->inode, w->pos, w->data, w->len);
            durable_write(w->inode, w->pos, w->data, w->len);
        }
        write_drop(d, w);
    }
    fds_clear(d);
    d->crashed = false;
    d->crash_at = 0;
}

static void inode_power_cycle(struct sim_disk *d, struct sim_inode *inode)
{
    uint64_t mode = el_rng_below(d->rng, 4);
    uint64_t prefix = el_rng_below(d->rng, inode->op_count + 1);
    for (uint32_t i = 0; i < inode->op_count; i++) {
        const struct sim_op *op = &inode->ops[i];
        bool keep = mode == 1 || (mode == 2 && i < prefix) || (mode == 3 && el_rng_chance(d->rng, 500000));
        if (keep) {
            op_durable(inode, op);
        } else if (mode == 3 && !op->truncate) {
            write_torn(d, inode, op->pos, op->data, op->len);
        }
    }
    ops_clear(inode);
    inode->now_len = 0;
    content_resize(&inode->now, &inode->now_len, &inode->now_room, inode->durable_len);
    if (inode->durable_len > 0) {
        memcpy(inode->now, inode->durable, inode->durable_len);
    }
}

static void names_power_cycle(struct sim_disk *d)
{
    while (d->dir_op_count > 0) { /* of each folder, a prefix of its changes */
        char dir[NAME_MAX_LEN];
        snprintf(dir, sizeof(dir), "%s", d->dir_ops[0].dir);
        uint32_t count = 0;
        for (uint32_t i = 0; i < d->dir_op_count; i++) {
            count += strcmp(d->dir_ops[i].dir, dir) == 0;
        }
        dir_sync(d, dir, (uint32_t)el_rng_below(d->rng, count + 1));
        uint32_t kept = 0;
        for (uint32_t i = 0; i < d->dir_op_count; i++) {
            if (strcmp(d->dir_ops[i].dir, dir) != 0) {
                d->dir_ops[kept++] = d->dir_ops[i];
            }
        }
        d->dir_op_count = kept;
    }
    for (bool again = true; again;) { /* names in a folder that is gone are gone */
        again = false;
        for (uint32_t i = 0; i < d->durable.count; i++) {
            char dir[NAME_MAX_LEN];
            parent_of(dir, d->durable.list[i].path);
            if (!dir_exists(&d->durable, dir)) {
                name_drop(&d->durable, d->durable.list[i].path);
                again = true;
                break;
            }
        }
    }
    d->now.count = 0;
    for (uint32_t i = 0; i < d->durable.count; i++) {
        name_set(&d->now, d->durable.list[i].path, d->durable.list[i].inode);
    }
}

void sim_disk_power_cycle(struct sim_disk *d)
{
    while (d->flight != NULL) {
        struct sim_write *w = d->flight;
        if (w->inode != NULL) {
            write_torn(d, w->inode, w->pos, w->data, w->len);
        }
        write_drop(d, w);
    }
    for (uint32_t i = 0; i < d->inode_count; i++) {
        inode_power_cycle(d, d->inodes[i]);
    }
    names_power_cycle(d);
    fds_clear(d);
    d->crashed = false;
    d->crash_at = 0;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

struct sim_disk *sim_disk_create(struct el_rng *rng)
{
    struct sim_disk *d = calloc(1, sizeof(*d));
    EL_ASSERT(d != NULL);
    d->disk.ops = &sim_disk_ops;
    d->rng = rng;
    return d;
}

void sim_disk_free(struct sim_disk *d)
{
    while (d->flight != NULL) {
        write_drop(d, d->flight);
    }
    for (uint32_t i = 0; i < d->inode_count; i++) {
        ops_clear(d->inodes[i]);
        free(d->inodes[i]->ops);
        free(d->inodes[i]->now);
        free(d->inodes[i]->durable);
        free(d->inodes[i]);
    }
    free(d->inodes);
    free(d->dir_ops);
    free(d->now.list);
    free(d->durable.list);
    free(d);
}

struct disk *sim_disk_as_disk(struct sim_disk *d)
{
    return &d->disk;
}
void sim_disk_faults(struct sim_disk *d, const struct sim_faults *faults)
{
    d->faults = *faults;
}
void sim_disk_crash_at(struct sim_disk *d, uint64_t n)
{
    d->crash_at = n == 0 ? 0 : d->calls + n;
}
bool sim_disk_crashed(const struct sim_disk *d)
{
    return d->crashed;
}
uint64_t sim_disk_calls(const struct sim_disk *d)
{
    return d->calls;
}
