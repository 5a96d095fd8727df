/* SPDX-License-Identifier: Apache-2.0
 *
 * What sim_disk.c (the calls) and sim_power.c (writes under way, power cuts, rot) share.
 */
#ifndef EL_SIM_DISK_PRIV_H
#define EL_SIM_DISK_PRIV_H

#include "sim_disk.h"

#include <core/assert.h>
#include <core/bytes.h>

#define SECTOR 512u
#define NAME_MAX_LEN 112
#define FD_MAX 4096

struct sim_op {
    uint64_t order; /* counts all that is asked of the disk */
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
    bool differs;     /* what a read sees was never to be synced, or is no more */
    bool write_error; /* a syncfs lost what was to be written: for the next sync to tell */
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
    uint64_t order;
    char dir[NAME_MAX_LEN];
    char remove[NAME_MAX_LEN]; /* "" none */
    char add[NAME_MAX_LEN];    /* "" none */
    struct sim_inode *inode;   /* of add */
};

struct sim_write {
    struct sim_write *next;
    struct sim_inode *inode;
    uint64_t order;
    uint64_t pos;
    size_t len;
    uint8_t *data;
};

struct sim_disk {
    struct disk disk;
    struct sim_trace trace;
    struct el_rng *rng;
    uint32_t fault_ppm[FAULT_COUNT];
    uint64_t fault_counts[FAULT_COUNT];
    uint64_t capacity; /* bytes of all files, 0 for no bound */
    struct sim_names now, durable;
    struct sim_dir_op *dir_ops;
    uint32_t dir_op_count, dir_op_room;
    struct sim_inode **inodes; /* all that were ever made */
    uint32_t inode_count, inode_room;
    struct sim_inode *fds[FD_MAX];
    struct sim_write *flight;
    uint64_t calls, crash_at;
    bool sync_all_failed;
    enum sim_call fail_call; /* the next one of this kind fails ... */
    int fail_code;           /* ... with this; 0 none */
    bool crashed;
    bool sheltered;           /* no crash and no fault now */
    uint64_t order;           /* of the next operation that is not durable at once */
    bool changed;             /* since the watcher was called last */
    void (*watch)(void *arg); /* NULL: nobody watches */
    void *watch_arg;
};

/* The calls themselves, without the trace. */
extern const struct disk_ops sim_disk_calls_plain;

void content_resize(uint8_t **data, uint64_t *len, uint64_t *room, uint64_t want);
void durable_write(struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len);
void now_write(struct sim_inode *inode, uint64_t pos, const uint8_t *data, size_t len);
int name_find(const struct sim_names *names, const char *path);
void name_set(struct sim_names *names, const char *path, struct sim_inode *inode);
void name_drop(struct sim_names *names, const char *path);
void parent_of(char *out, const char *path);
bool dir_exists(const struct sim_names *names, const char *dir);
void dir_sync(struct sim_disk *d, const char *dir, uint32_t at_most);
void *grow(void *list, uint32_t *room, uint32_t count, size_t item);
struct sim_inode *inode_new(struct sim_disk *d);
void dir_op_apply(struct sim_names *names, const struct sim_dir_op *op);
/* A sync that failed: what it was for counts as clean and never reaches the disk. */
void ops_forget(struct sim_inode *inode);
void ops_clear(struct sim_inode *inode);
void op_add(struct sim_disk *d, struct sim_inode *inode, struct sim_op op);
void op_durable(struct sim_inode *inode, const struct sim_op *op);
int by_path(const void *a, const void *b);
uint8_t *gather(const struct iovec *iov, int iov_count, size_t *len);
struct sim_inode *fd_inode(struct sim_disk *d, int fd);
struct sim_disk *enter(struct disk *disk, int *code);
void write_drop(struct sim_disk *d, struct sim_write *w);

#endif
