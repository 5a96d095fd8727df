/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to the simulated disk outside its calls: durable writes under way, the end of a process, power cuts,
 * rot.
 */
#include "sim_disk_priv.h"

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

uint32_t sim_disk_open_count(const struct sim_disk *d)
{
    uint32_t count = 0;
    for (int fd = 0; fd < FD_MAX; fd++) {
        count += d->fds[fd] != NULL;
    }
    return count;
}
