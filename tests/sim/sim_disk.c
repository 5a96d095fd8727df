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
#include "sim_disk_priv.h"

#include "fiber.h"
#include <core/alloc.h>
#include <core/assert.h>
#include <core/bytes.h>
#include <evlog/error.h>
#include <stdio.h>
#include <stdlib.h>

void *grow(void *list, uint32_t *room, uint32_t count, size_t item)
{
    if (count < *room) {
        return list;
    }
    *room = *room == 0 ? 16 : *room * 2;
    void *grown = realloc(list, (size_t)*room * item);
    EL_ASSERT(grown != NULL);
    return grown;
}

void content_resize(uint8_t **data, uint64_t *len, uint64_t *room, uint64_t want)
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

void durable_write(struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len)
{
    if (pos + len > inode->durable_len) {
        content_resize(&inode->durable, &inode->durable_len, &inode->durable_room, pos + len);
    }
    memcpy(inode->durable + pos, data, len);
}

void now_write(struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len)
{
    if (pos + len > inode->now_len) {
        content_resize(&inode->now, &inode->now_len, &inode->now_room, pos + len);
    }
    memcpy(inode->now + pos, data, len);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

int name_find(const struct sim_names *names, const char *path)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].path, path) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void name_set(struct sim_names *names, const char *path, struct sim_inode *inode)
{
    int i = name_find(names, path);
    if (i < 0) {
        names->list = grow(names->list, &names->room, names->count, sizeof(*names->list));
        i = (int)names->count++;
        snprintf(names->list[i].path, NAME_MAX_LEN, "%s", path);
    }
    names->list[i].inode = inode;
}

void name_drop(struct sim_names *names, const char *path)
{
    int i = name_find(names, path);
    if (i >= 0) {
        names->list[i] = names->list[--names->count];
    }
}

void parent_of(char *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, NAME_MAX_LEN, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

bool dir_exists(const struct sim_names *names, const char *dir)
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
    op->order = d->order++;
    d->changed = true;
}

void dir_op_apply(struct sim_names *names, const struct sim_dir_op *op)
{
    if (op->remove[0] != 0) {
        name_drop(names, op->remove);
    }
    if (op->add[0] != 0) {
        name_set(names, op->add, op->inode);
    }
}

void dir_sync(struct sim_disk *d, const char *dir, uint32_t at_most)
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
    d->changed = d->changed || applied > 0;
}

/* --- inodes ------------------------------------------------------------------------------------------------------- */

struct sim_inode *inode_new(struct sim_disk *d)
{
    d->inodes = grow(d->inodes, &d->inode_room, d->inode_count, sizeof(*d->inodes));
    struct sim_inode *inode = calloc(1, sizeof(*inode));
    EL_ASSERT(inode != NULL);
    d->inodes[d->inode_count++] = inode;
    return inode;
}

void ops_clear(struct sim_inode *inode)
{
    for (uint32_t i = 0; i < inode->op_count; i++) {
        free(inode->ops[i].data);
    }
    inode->op_count = 0;
}

void ops_forget(struct sim_inode *inode)
{
    inode->differs = inode->differs || inode->op_count > 0;
    ops_clear(inode);
}

void op_durable(struct sim_inode *inode, const struct sim_op *op)
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

void op_add(struct sim_disk *d, struct sim_inode *inode, struct sim_op op)
{
    op.order = d->order++;
    d->changed = true;
    inode->ops = grow(inode->ops, &inode->op_room, inode->op_count, sizeof(*inode->ops));
    inode->ops[inode->op_count++] = op;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

struct sim_disk *enter(struct disk *disk, int *code)
{
    struct sim_disk *d = EL_CONTAINER(disk, struct sim_disk, disk);
    if (d->sheltered) {
        *code = d->crashed ? EVLOG_ERR_CRASHED : 0;
        return d;
    }
    if (!d->crashed && el_rng_chance(d->rng, d->fault_ppm[FAULT_JOB_PAUSE]) && fiber_pause()) {
        sim_disk_fault_count(d, FAULT_JOB_PAUSE);
    }
    if (d->watch != NULL && d->changed && !d->crashed) {
        d->changed = false;
        d->watch(d->watch_arg);
    }
    d->calls++;
    if (d->crash_at != 0 && d->calls >= d->crash_at) {
        d->crashed = true;
    }
    *code = d->crashed ? EVLOG_ERR_CRASHED : 0;
    return d;
}

/* A fault that a test has ordered for one call. */
static int ordered(struct sim_disk *d, enum sim_call call)
{
    int code = d->fail_call == call ? d->fail_code : 0;
    d->fail_code = code != 0 ? 0 : d->fail_code;
    return code;
}

void sim_disk_fail_next(struct sim_disk *d, enum sim_call call, int code)
{
    d->fail_call = call;
    d->fail_code = code;
}

uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < d->now.count; i++) {
        used += d->now.list[i].inode == NULL ? 0 : d->now.list[i].inode->now_len;
    }
    return used;
}

struct sim_inode *fd_inode(struct sim_disk *d, int fd)
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
    if (sim_disk_fault(d, FAULT_NO_FILES)) {
        return EVLOG_ERR_NO_FILES; /* before anything is created */
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
    if (sim_disk_fault(d, FAULT_READ_ERROR)) {
        return EVLOG_ERR_IO;
    }
    const struct sim_inode *inode = fd_inode(d, fd);
    *done = pos >= inode->now_len ? 0 : (size_t)EL_MIN((uint64_t)len, inode->now_len - pos);
    if (*done > 0) {
        memcpy(buf, inode->now + pos, *done);
    }
    return 0;
}

static bool no_room(struct sim_disk *d, const struct sim_inode *inode, uint64_t end)
{
    bool full = d->capacity > 0 && end > inode->now_len && sim_disk_used(d) + (end - inode->now_len) > d->capacity;
    if (full) {
        sim_disk_fault_count(d, FAULT_DISK_FULL);
    }
    return full;
}

uint8_t *gather(const struct iovec *iov, int iov_count, size_t *len)
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
    code = ordered(d, SIM_PWRITEV);
    if (code != 0) {
        return code;
    }
    size_t len;
    uint8_t *data = gather(iov, iov_count, &len);
    if (no_room(d, inode, pos + len)) {
        free(data);
        return EVLOG_ERR_NO_SPACE;
    }
    bool fail = sim_disk_fault(d, FAULT_WRITE_ERROR);
    if (fail) {
        len = (size_t)el_rng_below(d->rng, len + 1);
    }
    now_write(inode, pos, data, len);
    op_add(d, inode, (struct sim_op){.pos = pos, .len = len, .data = data});
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
    d->changed = d->changed || inode->op_count > 0;
    code = ordered(d, SIM_SYNC);
    if (code != 0) {
        ops_forget(inode);
        return code;
    }
    if (inode->write_error) {
        inode->write_error = false;
        return EVLOG_ERR_IO;
    }
    bool full = sim_disk_fault(d, FAULT_FULL_LATE);
    if (full || sim_disk_fault(d, FAULT_SYNC_ERROR)) {
        ops_forget(inode); /* marked clean: a second sync succeeds, the disk keeps the old bytes */
        return full ? EVLOG_ERR_NO_SPACE : EVLOG_ERR_IO;
    }
    if (!sim_disk_fault(d, FAULT_LYING_FLUSH)) {
        inode_sync(inode);
    }
    return 0;
}

static int sim_sync_all(struct disk *disk)
{
    int code;
    struct sim_disk *d = enter(disk, &code);
    if (code != 0) {
        return code;
    }
    bool fail = sim_disk_fault(d, FAULT_SYNC_ALL_ERROR);
    bool lie = sim_disk_fault(d, FAULT_LYING_FLUSH);
    d->changed = true;
    for (uint32_t i = 0; i < d->inode_count; i++) {
        struct sim_inode *inode = d->inodes[i];
        if (fail && inode->op_count > 0 && el_rng_chance(d->rng, 300000)) {
            ops_forget(inode); /* marked clean; whoever has the file open is told at his next sync */
            inode->write_error = true;
        } else if (!lie) {
            inode_sync(inode);
        }
    }
    d->sync_all_failed = d->sync_all_failed || fail;
    if (d->sync_all_failed) { /* the same for all shards, as disk_posix does it */
        return EVLOG_ERR_IO;
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
    code = ordered(d, SIM_SYNC_DIR);
    if (code != 0) {
        return code;
    }
    if (sim_disk_fault(d, FAULT_SYNC_DIR_ERROR)) {
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
    if (sim_disk_fault(d, FAULT_FULL_ALLOCATE)) {
        return EVLOG_ERR_NO_SPACE;
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
    op_add(d, inode, (struct sim_op){.truncate = true, .pos = len});
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
    code = ordered(d, SIM_RENAME);
    if (code != 0) {
        return code;
    }
    if (sim_disk_fault(d, FAULT_FULL_LATE)) {
        return EVLOG_ERR_NO_SPACE; /* the folder would have to grow */
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

int by_path(const void *a, const void *b)
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
        *total_bytes = d->capacity == 0 ? 1ull << 40 : d->capacity;
        *free_bytes = *total_bytes > used ? *total_bytes - used : 0;
    }
    return code;
}

const struct disk_ops sim_disk_calls_plain = {
    sim_open,     sim_close,  sim_pread,  sim_pwritev, sim_sync,  sim_sync_all, sim_sync_dir, sim_allocate,
    sim_truncate, sim_rename, sim_unlink, sim_mkdir,   sim_rmdir, sim_list,     sim_len,      sim_space,
};

/* --- life --------------------------------------------------------------------------------------------------------- */

struct sim_disk *sim_disk_create(struct el_rng *rng)
{
    struct sim_disk *d = calloc(1, sizeof(*d));
    EL_ASSERT(d != NULL);
    d->disk.ops = &sim_trace_calls;
    d->rng = rng;
    d->fault_ppm[FAULT_TORN_WRITE] = 250000;
    d->fault_ppm[FAULT_UNSYNCED_LOST] = 666667;
    d->fault_ppm[FAULT_NAMES_LOST] = SIM_PPM;
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
struct sim_trace *sim_disk_trace(struct sim_disk *d)
{
    return &d->trace;
}
void sim_disk_fault_set(struct sim_disk *d, enum sim_fault fault, uint32_t ppm)
{
    d->fault_ppm[fault] = ppm;
}
uint32_t sim_disk_fault_ppm(const struct sim_disk *d, enum sim_fault fault)
{
    return d->fault_ppm[fault];
}

bool sim_disk_fault(struct sim_disk *d, enum sim_fault fault)
{
    bool happens = !d->sheltered && el_rng_chance(d->rng, d->fault_ppm[fault]);
    d->fault_counts[fault] += happens;
    return happens;
}
void sim_disk_fault_count(struct sim_disk *d, enum sim_fault fault)
{
    d->fault_counts[fault]++;
}
const uint64_t *sim_disk_fault_counts(const struct sim_disk *d)
{
    return d->fault_counts;
}
void sim_disk_capacity(struct sim_disk *d, uint64_t bytes)
{
    d->capacity = bytes;
}
void sim_disk_off(struct sim_disk *d, bool off)
{
    d->crashed = off;
}
void sim_disk_shelter(struct sim_disk *d, bool on)
{
    d->sheltered = on;
}
void sim_disk_watch(struct sim_disk *d, void (*fn)(void *arg), void *arg)
{
    d->watch = fn;
    d->watch_arg = arg;
    d->changed = true;
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
