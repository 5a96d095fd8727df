/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to the simulated disk outside its calls: durable writes under way, the end of a process, power cuts by
 * chance or as somebody chooses, rot.
 */
#include "sim_disk_priv.h"

#include <core/hash.h>
#include <evlog/error.h>
#include <stdio.h>
#include <stdlib.h>

/* --- durable writes under way ------------------------------------------------------------------------------------- */

struct sim_write *sim_disk_write_begin(struct sim_disk *d, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    struct sim_write *w = calloc(1, sizeof(*w));
    EL_ASSERT(w != NULL);
    w->inode = d->crashed ? NULL : fd_inode(d, fd);
    w->pos = pos;
    w->data = gather(iov, iov_count, &w->len);
    w->order = d->order++;
    w->next = d->flight;
    d->flight = w;
    d->changed = true;
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

void write_drop(struct sim_disk *d, struct sim_write *w)
{
    struct sim_write **link = &d->flight;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    free(w->data);
    free(w);
}

static int64_t write_end(struct sim_disk *d, struct sim_write *w)
{
    int code;
    enter(&d->disk, &code);
    if (code != 0) {
        return code; /* the power cycle tears it */
    }
    d->changed = true;
    int64_t result = (int64_t)w->len;
    uint64_t pos = w->pos;
    size_t len = w->len;
    if (sim_disk_fault(d, FAULT_WRITE_ERROR)) {
        write_torn(d, w->inode, pos, w->data, len);
        result = EVLOG_ERR_IO;
        len = 0;
    } else if (sim_disk_fault(d, FAULT_SHORT_WRITE)) {
        len = (size_t)el_rng_below(d->rng, len / SECTOR) * SECTOR;
        result = (int64_t)len;
    } else if (sim_disk_fault(d, FAULT_LOST_WRITE)) {
        len = 0;
    } else if (w->inode->now_len > len && sim_disk_fault(d, FAULT_MISDIRECTED_WRITE)) {
        pos = el_rng_below(d->rng, (w->inode->now_len - len) / 4096 + 1) * 4096;
    }
    if (len > 0) {
        now_write(w->inode, pos, w->data, len);
        if (result > 0 && sim_disk_fault(d, FAULT_LYING_FLUSH)) {
            op_add(d, w->inode, (struct sim_op){.pos = pos, .len = len, .data = w->data});
            w->data = NULL;
        } else {
            durable_write(w->inode, pos, w->data, len);
        }
    }
    write_drop(d, w);
    return result;
}

int64_t sim_disk_write_end(struct sim_disk *d, struct sim_write *w)
{
    uint64_t pos = w->pos, sum = el_xxh3(w->data, w->len);
    int64_t result = write_end(d, w);
    SIM_TRACE(&d->trace, "write", pos, sum, (uint64_t)result);
    return result;
}

/* --- power -------------------------------------------------------------------------------------------------------- */

static void fds_clear(struct sim_disk *d)
{
    memset(d->fds, 0, sizeof(d->fds));
    d->sync_all_failed = false;
    for (uint32_t i = 0; i < d->inode_count; i++) {
        d->inodes[i]->write_error = false; /* who opens a file later is told nothing */
    }
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
    SIM_TRACE(&d->trace, "process exit", d->calls);
    d->crashed = false;
    d->crash_at = 0;
}

/* How many of so many operations are kept when the last ones are lost: none, or some. */
static uint64_t lost_from(struct sim_disk *d, uint32_t op_count)
{
    return el_rng_chance(d->rng, 500000) ? 0 : el_rng_below(d->rng, op_count);
}

static void inode_power_cycle(struct sim_disk *d, struct sim_inode *inode)
{
    if (inode->op_count > 0) {
        bool torn = sim_disk_fault(d, FAULT_TORN_WRITE);
        bool lost = !torn && sim_disk_fault(d, FAULT_UNSYNCED_LOST);
        uint64_t kept = lost ? lost_from(d, inode->op_count) : inode->op_count;
        for (uint32_t i = 0; i < kept; i++) {
            const struct sim_op *op = &inode->ops[i];
            if (!torn || el_rng_chance(d->rng, 500000)) {
                op_durable(inode, op);
            } else if (!op->truncate) {
                write_torn(d, inode, op->pos, op->data, op->len);
            }
        }
        SIM_TRACE(&d->trace, "kept", torn, kept, inode->durable_len);
        ops_forget(inode);
    }
    if (!inode->differs) {
        return;
    }
    inode->differs = false;
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
        dir_sync(d, dir, sim_disk_fault(d, FAULT_NAMES_LOST) ? (uint32_t)el_rng_below(d->rng, count) : count);
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
        if (w->inode != NULL && sim_disk_fault(d, FAULT_TORN_WRITE)) {
            write_torn(d, w->inode, w->pos, w->data, w->len);
        } else if (w->inode != NULL && !sim_disk_fault(d, FAULT_UNSYNCED_LOST)) {
            now_write(w->inode, w->pos, w->data, w->len);
            durable_write(w->inode, w->pos, w->data, w->len);
        }
        write_drop(d, w);
    }
    for (uint32_t i = 0; i < d->inode_count; i++) {
        inode_power_cycle(d, d->inodes[i]);
    }
    names_power_cycle(d);
    SIM_TRACE(&d->trace, "power cycle", d->calls, d->durable.count);
    fds_clear(d);
    d->crashed = false;
    d->crash_at = 0;
}

/* --- power cuts of one's choice ----------------------------------------------------------------------------------- */

static void bytes_copy(uint8_t **data, uint64_t *len, uint64_t *room, const uint8_t *from, uint64_t from_len)
{
    content_resize(data, len, room, from_len);
    if (from_len > 0) {
        memcpy(*data, from, from_len);
    }
}

static uint8_t *data_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = data == NULL ? NULL : malloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, data, len);
    }
    return copy;
}

static struct sim_inode *inode_of(const struct sim_disk *from, struct sim_disk *to, const struct sim_inode *inode)
{
    for (uint32_t i = 0; inode != NULL && i < from->inode_count; i++) {
        if (from->inodes[i] == inode) {
            return to->inodes[i];
        }
    }
    EL_ASSERT(inode == NULL);
    return NULL;
}

static void names_copy(const struct sim_disk *from, const struct sim_names *names, struct sim_disk *to,
                       struct sim_names *out)
{
    for (uint32_t i = 0; i < names->count; i++) {
        name_set(out, names->list[i].path, inode_of(from, to, names->list[i].inode));
    }
}

/* A disk with what is durable on another; all inodes are there, in the same order. */
static struct sim_disk *durable_copy(const struct sim_disk *d, struct el_rng *rng)
{
    struct sim_disk *copy = sim_disk_create(rng);
    for (uint32_t i = 0; i < d->inode_count; i++) {
        const struct sim_inode *from = d->inodes[i];
        struct sim_inode *to = inode_new(copy);
        bytes_copy(&to->durable, &to->durable_len, &to->durable_room, from->durable, from->durable_len);
        to->differs = true; /* what a read sees is empty so far */
    }
    names_copy(d, &d->durable, copy, &copy->durable);
    return copy;
}

struct sim_disk *sim_disk_copy(const struct sim_disk *d, struct el_rng *rng)
{
    struct sim_disk *copy = durable_copy(d, rng);
    for (uint32_t i = 0; i < d->inode_count; i++) {
        const struct sim_inode *from = d->inodes[i];
        struct sim_inode *to = copy->inodes[i];
        bytes_copy(&to->now, &to->now_len, &to->now_room, from->now, from->now_len);
        to->differs = from->differs;
        for (uint32_t k = 0; k < from->op_count; k++) {
            to->ops = grow(to->ops, &to->op_room, to->op_count, sizeof(*to->ops));
            to->ops[to->op_count] = from->ops[k];
            to->ops[to->op_count++].data = data_copy(from->ops[k].data, from->ops[k].len);
        }
    }
    names_copy(d, &d->now, copy, &copy->now);
    for (uint32_t i = 0; i < d->dir_op_count; i++) {
        copy->dir_ops = grow(copy->dir_ops, &copy->dir_op_room, copy->dir_op_count, sizeof(*copy->dir_ops));
        copy->dir_ops[copy->dir_op_count] = d->dir_ops[i];
        copy->dir_ops[copy->dir_op_count++].inode = inode_of(d, copy, d->dir_ops[i].inode);
    }
    for (const struct sim_write *w = d->flight; w != NULL; w = w->next) {
        struct sim_write *to = malloc(sizeof(*to));
        EL_ASSERT(to != NULL);
        *to = *w;
        to->inode = inode_of(d, copy, w->inode);
        to->data = data_copy(w->data, w->len);
        to->next = copy->flight;
        copy->flight = to;
    }
    copy->order = d->order;
    return copy;
}

/* One of a disk's writes and truncates that are not durable. */
struct pending_op {
    uint32_t inode;
    struct sim_op op; /* data borrowed */
};

static int by_order(const void *a, const void *b)
{
    const struct pending_op *x = a, *y = b;
    return x->op.order < y->op.order ? -1 : x->op.order > y->op.order;
}

static uint32_t inode_index(const struct sim_disk *d, const struct sim_inode *inode)
{
    uint32_t i = 0;
    while (d->inodes[i] != inode) {
        i++;
    }
    return i;
}

/* returns a list of *count, to be freed */
static struct pending_op *pending_ops(const struct sim_disk *d, uint32_t *count)
{
    struct pending_op *list = NULL;
    uint32_t room = 0;
    *count = 0;
    for (uint32_t i = 0; i < d->inode_count; i++) {
        for (uint32_t k = 0; k < d->inodes[i]->op_count; k++) {
            list = grow(list, &room, *count, sizeof(*list));
            list[(*count)++] = (struct pending_op){i, d->inodes[i]->ops[k]};
        }
    }
    for (const struct sim_write *w = d->flight; w != NULL; w = w->next) {
        if (w->inode != NULL) {
            list = grow(list, &room, *count, sizeof(*list));
            list[(*count)++] = (struct pending_op){inode_index(d, w->inode),
                                                   {.order = w->order, .pos = w->pos, .len = w->len, .data = w->data}};
        }
    }
    if (*count > 0) {
        qsort(list, *count, sizeof(*list), by_order);
    }
    return list;
}

uint32_t sim_disk_pending(const struct sim_disk *d, struct sim_pending *list, uint32_t list_max)
{
    uint32_t op_count;
    struct pending_op *ops = pending_ops(d, &op_count);
    for (uint32_t i = 0; i < op_count && i < list_max; i++) {
        size_t sectors = (ops[i].op.len + SECTOR - 1) / SECTOR;
        list[i] = (struct sim_pending){false, ops[i].op.truncate ? 1 : (uint32_t)sectors};
    }
    free(ops);
    for (uint32_t i = 0; i < d->dir_op_count && op_count + i < list_max; i++) {
        list[op_count + i] = (struct sim_pending){true, 1};
    }
    return op_count + d->dir_op_count;
}

static void keep_op(struct sim_inode *inode, const struct sim_op *op, struct sim_keep keep)
{
    if (op->truncate) {
        if (keep.to > 0) {
            op_durable(inode, op);
        }
        return;
    }
    uint64_t from = EL_MIN((uint64_t)keep.from * SECTOR, op->len);
    uint64_t to = EL_MIN((uint64_t)keep.to * SECTOR, op->len);
    if (to > from) {
        durable_write(inode, op->pos + from, op->data + from, to - from);
    }
}

struct sim_disk *sim_disk_after_cut(const struct sim_disk *d, const struct sim_keep *keep, struct el_rng *rng)
{
    uint32_t op_count;
    struct sim_disk *after = durable_copy(d, rng);
    struct pending_op *ops = pending_ops(d, &op_count);
    for (uint32_t i = 0; i < op_count; i++) {
        keep_op(after->inodes[ops[i].inode], &ops[i].op, keep[i]);
    }
    free(ops);
    for (uint32_t i = 0; i < d->dir_op_count; i++) {
        if (keep[op_count + i].to > 0) {
            struct sim_dir_op op = d->dir_ops[i];
            op.inode = inode_of(d, after, op.inode);
            dir_op_apply(&after->durable, &op);
        }
    }
    sim_disk_power_cycle(after);
    return after;
}

uint64_t sim_disk_digest(struct sim_disk *d)
{
    uint64_t digest = 0;
    if (d->durable.count > 0) {
        qsort(d->durable.list, d->durable.count, sizeof(*d->durable.list), by_path);
    }
    for (uint32_t i = 0; i < d->durable.count; i++) {
        const struct sim_name *name = &d->durable.list[i];
        digest = (digest ^ el_xxh3(name->path, strlen(name->path))) * 0x9e3779b97f4a7c15ull;
        if (name->inode != NULL) {
            digest = (digest ^ el_xxh3(name->inode->durable, name->inode->durable_len)) * 0x9e3779b97f4a7c15ull;
            digest = (digest ^ name->inode->durable_len) * 0x9e3779b97f4a7c15ull;
        }
        digest ^= digest >> 29;
    }
    return digest;
}

/* --- rot and looks from outside ----------------------------------------------------------------------------------- */

void sim_disk_each(struct sim_disk *d, bool durable, void (*fn)(void *arg, const char *path, uint64_t len), void *arg)
{
    struct sim_names *names = durable ? &d->durable : &d->now;
    if (names->count > 0) {
        qsort(names->list, names->count, sizeof(*names->list), by_path);
    }
    for (uint32_t i = 0; i < names->count; i++) {
        const struct sim_name *name = &names->list[i];
        if (name->inode != NULL) {
            fn(arg, name->path, durable ? name->inode->durable_len : name->inode->now_len);
        }
    }
}

bool sim_disk_flip(struct sim_disk *d, const char *path, uint64_t pos, uint8_t bits)
{
    int i = name_find(&d->durable, path);
    struct sim_inode *inode = i < 0 ? NULL : d->durable.list[i].inode;
    if (inode == NULL || pos >= inode->durable_len) {
        return false;
    }
    inode->durable[pos] ^= bits;
    if (pos < inode->now_len) {
        inode->now[pos] = inode->durable[pos];
    }
    return true;
}

bool sim_disk_cut(struct sim_disk *d, const char *path, uint64_t len)
{
    int i = name_find(&d->durable, path);
    struct sim_inode *inode = i < 0 ? NULL : d->durable.list[i].inode;
    if (inode == NULL || len > inode->durable_len) {
        return false;
    }
    content_resize(&inode->durable, &inode->durable_len, &inode->durable_room, len);
    content_resize(&inode->now, &inode->now_len, &inode->now_room, EL_MIN(len, inode->now_len));
    return true;
}

/* An empty file has no memory. */
static bool memory_holds(const uint8_t *memory, size_t memory_len, const void *bytes, size_t len)
{
    return memory != NULL && memmem(memory, memory_len, bytes, len) != NULL;
}

static bool inode_holds(const struct sim_inode *inode, const void *bytes, size_t len)
{
    bool found = memory_holds(inode->now, inode->now_len, bytes, len) ||
                 memory_holds(inode->durable, inode->durable_len, bytes, len);
    for (uint32_t i = 0; i < inode->op_count && !found; i++) {
        found = memory_holds(inode->ops[i].data, inode->ops[i].len, bytes, len);
    }
    return found;
}

const char *sim_disk_holds(const struct sim_disk *d, const void *bytes, size_t len)
{
    const struct sim_names *lists[] = {&d->now, &d->durable};
    for (size_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < lists[k]->count; i++) {
            const struct sim_name *name = &lists[k]->list[i];
            if (name->inode != NULL && inode_holds(name->inode, bytes, len)) {
                return name->path;
            }
        }
    }
    return NULL;
}

uint32_t sim_disk_open_count(const struct sim_disk *d)
{
    uint32_t count = 0;
    for (int fd = 0; fd < FD_MAX; fd++) {
        count += d->fds[fd] != NULL;
    }
    return count;
}
