/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest part of a shard's stream index, in memory: entries in the order in which they came, and for each pair of
 * slot and hash the newest of them. A table only grows, is frozen by whoever owns it, goes to a run and is destroyed.
 *
 * Owner shard only, but for what is marked *job*: that may run on another thread while the shard goes on adding, below
 * a mark that the shard has taken, since what lies below it is not undone and never moves. Memory comes in blocks from
 * the shard's buddy, never more than the limit; nothing is copied or hashed anew when it grows.
 */
#ifndef EL_STREAM_STREAM_TABLE_H
#define EL_STREAM_STREAM_TABLE_H

#include <core/buddy.h>
#include <core/bytes.h>
#include <core/hash.h>
#include <format/index_layout.h>
#include <stdbool.h>

#define STREAM_TABLE_MEMORY_MIN (64u << 10) /* least limit of a table */

/* What an entry is of. Position and place of each: docs/internals/stream-index.md. */
enum stream_kind {
    STREAM_KIND_KEY,     /* an event of a stream: version; offset and flags */
    STREAM_KIND_DELETED, /* a tombstone of a stream: version; offset and flags */
    STREAM_KIND_ID,      /* an event id: offset; version */
    STREAM_KIND_TYPE     /* an event of a type: offset; 0 */
};

/* el_stream_entry.place of keys and tombstones: the offset, and on tombstones what they delete. */
#define STREAM_PLACE_SOFT (1ull << 62)
#define STREAM_PLACE_HARD (1ull << 63)
#define STREAM_PLACE_FLAGS (STREAM_PLACE_SOFT | STREAM_PLACE_HARD)

static inline int64_t stream_place_offset(uint64_t place)
{
    return (int64_t)(place & ~STREAM_PLACE_FLAGS);
}

struct stream_table;

/* How much is in a table. Also what an undo goes back to. */
struct stream_table_mark {
    uint32_t entry_count;
    uint32_t name_count;
    uint32_t name_block; /* private: where the next name goes */
    uint32_t name_pos;
};

/* An empty table that takes at most memory_max bytes (STREAM_TABLE_MEMORY_MIN at least) of the buddy.
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int stream_table_create(struct el_buddy *buddy, uint64_t memory_max, struct stream_table **table);
/* NULL is ignored. */
void stream_table_destroy(struct stream_table *table);
/* Bytes that it has taken. */
size_t stream_table_memory(const struct stream_table *table);
struct stream_table_mark stream_table_mark(const struct stream_table *table);

/* Could an empty table of this limit take so many entries, and names of so many bytes together? */
bool stream_table_could_hold(const struct stream_table *table, uint32_t entry_count, uint32_t name_count,
                             uint64_t name_len);
/* Add the newest entry of its slot and hash: its position is above that of all others of them in the table.
 * returns 0 | EVLOG_ERR_FULL the limit is reached: freeze it | EVLOG_ERR_NO_MEMORY the buddy has none: try again */
int stream_table_add(struct stream_table *table, enum stream_kind kind, const struct el_stream_entry *entry);
/* Add a stream's key, 0 .. EL_STREAM_KEY_MAX bytes, copied. returns as stream_table_add() */
int stream_table_add_name(struct stream_table *table, uint32_t slot, struct el_slice key);
/* Take out all that was added since the mark. */
void stream_table_undo(struct stream_table *table, struct stream_table_mark mark);

/* The newest entry of slot and hash; false when there is none. */
bool stream_table_newest(const struct stream_table *table, uint32_t slot, struct el_hash128 hash,
                         struct el_stream_entry *entry);
/* Entries of slot and hash with low <= position <= high, ascending or descending, at most room: what index_run_find()
 * does for a run. The cost is that of those found, and a logarithm. returns their count */
uint32_t stream_table_find(const struct stream_table *table, uint32_t slot, struct el_hash128 hash, uint64_t low,
                           uint64_t high, bool descending, struct el_stream_entry *entries, uint32_t room);

/* Walk the newest entries of all streams (kind KEY), for the cache of heads. *cursor is 0 at the start; each call looks
 * at no more than looks places, so that the shard can go on in between. No entries are added during the walk.
 * returns true when the walk is over */
bool stream_table_each_head(const struct stream_table *table, uint64_t *cursor, uint32_t looks,
                            void (*each)(void *arg, const struct el_stream_entry *entry), void *arg);

/* --- sorted, for runs and lists: job ------------------------------------------------------------------------------ */

struct stream_sorted;

/* Put what lies below the mark into the order of a run. Takes el_malloc memory: 16 bytes an entry or name, as much
 * again while it runs. slot 0 means entries and names of all slots; else names of that slot that begin with prefix, and
 * no entries. returns 0 | EVLOG_ERR_NO_MEMORY */
int stream_sorted_make(const struct stream_table *table, const struct stream_table_mark *mark, uint32_t slot,
                       struct el_slice prefix, struct stream_sorted **sorted);
/* false at the end. */
bool stream_sorted_next(struct stream_sorted *sorted, struct el_stream_entry *entry);
/* A name, borrowed from the table; false at the end. */
bool stream_sorted_next_name(struct stream_sorted *sorted, uint32_t *slot, struct el_slice *key);
/* From the start once more. */
void stream_sorted_rewind(struct stream_sorted *sorted);
void stream_sorted_free(struct stream_sorted *sorted);

#endif
