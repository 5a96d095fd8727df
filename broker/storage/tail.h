/* SPDX-License-Identifier: Apache-2.0
 *
 * The tail of a shard's log in memory: copies of recent batches, packed into blocks in order of arrival. Batches that
 * are not in a segment file yet live only here and in the journal; the others are a cache that goes oldest first.
 * Owner shard only.
 */
#ifndef EL_STORAGE_TAIL_H
#define EL_STORAGE_TAIL_H

#include <core/buddy.h>
#include <core/list.h>
#include <stdbool.h>

struct partition;
struct tail_block;

struct batch_entry {
    struct el_list link;            /* partition's entries, by offset */
    struct batch_entry *group_next; /* entries of one journal group, until it is durable */
    struct partition *part;         /* NULL once the entry is dead */
    struct tail_block *block;       /* memory it lies in */
    struct batch_entry **bookmark;  /* the partition's bookmark that refers to it; NULL: none does */
    int64_t base_offset;
    int64_t max_timestamp_ms; /* of its records */
    uint64_t append_time_ns;
    uint64_t sequence; /* journal group that holds it */
    uint64_t checksum; /* XXH3-64 of the stored batch */
    int32_t leader_epoch;
    uint32_t last_offset_delta;
    uint32_t len; /* bytes of the batch */
    uint8_t salt[16];
    bool in_segment; /* written to its segment file: may be evicted */
    bool planned;    /* part of a chunk that is being written */
    uint8_t batch[]; /* the batch as stored */
};

static inline int64_t batch_entry_next(const struct batch_entry *e)
{
    return e->base_offset + (int64_t)e->last_offset_delta + 1;
}

struct tail {
    struct el_buddy *buddy;
    struct el_list blocks; /* oldest first; the newest is being filled */
    uint64_t bytes;        /* of all blocks */
    uint64_t bytes_max;    /* above it blocks are evicted */
};

void tail_init(struct tail *tail, struct el_buddy *buddy, uint64_t bytes_max);
/* Free all blocks; entries become invalid. */
void tail_destroy(struct tail *tail);
/* Room for a batch; the caller fills the entry. NULL: out of memory. */
struct batch_entry *tail_add(struct tail *tail, uint32_t batch_len);
/* The entry is dead: already unlinked from its partition. Its block goes with its last entry. */
void tail_drop(struct tail *tail, struct batch_entry *entry);
/* Free oldest blocks whose entries are all in segments until at most bytes_max remain (0: as many as possible).
 * returns true when the oldest block left holds entries that are in no segment yet */
bool tail_evict(struct tail *tail, uint64_t bytes_max);

#endif
