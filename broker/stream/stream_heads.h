/* SPDX-License-Identifier: Apache-2.0
 *
 * A cache of what streams are at: for slot and hash of a key its last version, the offset of it and whether it is a
 * tombstone. Fixed memory, taken at creation; eight places a set, the one that was not asked for longest goes (second
 * chance). Owner shard only.
 *
 * Whoever puts a head must know that no newer one has gone by: what admission has looked up while the partition's
 * later appends waited, and the heads of a table that has become a run. An answer to a reader is not put. The tables
 * are asked before the cache, since what they hold is newer. A slot that is dropped needs no call: its number is never
 * given again.
 */
#ifndef EL_STREAM_STREAM_HEADS_H
#define EL_STREAM_STREAM_HEADS_H

#include <core/buddy.h>
#include <core/hash.h>
#include <stdbool.h>

#define STREAM_HEADS_MEMORY_MIN (4u << 10)

struct stream_heads;

/* What a stream is at. */
struct stream_head {
    int64_t version; /* -1 no event */
    uint64_t place;  /* offset of the last event, with STREAM_PLACE_ flags */
};

/* A cache in at most memory_max bytes of the buddy. returns 0 | EVLOG_ERR_NO_MEMORY */
int stream_heads_create(struct el_buddy *buddy, uint64_t memory_max, struct stream_heads **heads);
/* NULL is ignored. */
void stream_heads_destroy(struct stream_heads *heads);
size_t stream_heads_memory(const struct stream_heads *heads);
bool stream_heads_get(struct stream_heads *heads, uint32_t slot, struct el_hash128 hash, struct stream_head *head);
/* head->version >= 0 */
void stream_heads_put(struct stream_heads *heads, uint32_t slot, struct el_hash128 hash,
                      const struct stream_head *head);
/* Forget everything, when the index is made anew. */
void stream_heads_clear(struct stream_heads *heads);

#endif
