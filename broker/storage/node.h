/* SPDX-License-Identifier: Apache-2.0
 *
 * The node file: which data directory this is and how its last run ended. 128 bytes, little-endian:
 *   0 8 magic "EVLOGNOD"  8 4 format  12 4 shard count  16 16 node id  32 8 boot counter  40 4 leader epoch
 *  44 4 clean (1: the last run stopped well)  48 8 clock at that stop  56 8 incarnation of the last start
 *  64 56 zero  120 8 XXH3-64 of 0..120
 * Written under a temporary name, synced, renamed, folder synced. docs/format.md section 2.
 */
#ifndef EL_STORAGE_NODE_H
#define EL_STORAGE_NODE_H

#include <core/bytes.h>
#include <core/err.h>
#include <io/disk.h>

#define NODE_FILE_LEN 128u

struct node_state {
    uint32_t shard_count;
    struct el_uuid id;
    uint64_t boot;        /* starts so far */
    int32_t leader_epoch; /* rises at each start after an unclean stop */
    bool clean;
    uint64_t clock_ns; /* last append time when clean */
    uint64_t incarnation;
};

/* returns 0 | EVLOG_ERR_NOT_FOUND no node file | _CORRUPT | _FORMAT | _IO */
int node_load(struct disk *disk, struct node_state *node, struct el_error *err);
/* Replace the file durably. */
int node_store(struct disk *disk, const struct node_state *node, struct el_error *err);

#endif
