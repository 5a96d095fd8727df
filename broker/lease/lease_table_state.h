/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of one lease table: what lease_table.c, lease_entry.c, lease_dead.c and lease_progress.c share.
 */
#ifndef EL_LEASE_TABLE_STATE_H
#define EL_LEASE_TABLE_STATE_H

#include <lease/lease_node.h>

#define LEASE_TABLE_MAGIC OBJ_MAGIC('L', 't', 'a', 'b')

struct lease_table {
    uint32_t magic;
    uint32_t id;                 /* in the index */
    struct lease_memory *memory; /* borrowed */
    struct lease_rules rules;
    uint32_t entries;     /* tree of unfinished events by offset */
    uint32_t blocks;      /* tree of blocks by number: those with an entry, a record or restored runs */
    uint32_t parked;      /* tree of hashes of parked keys */
    uint32_t chain_first; /* order=partition: the first entry, 0 none */
    int64_t read_to;      /* everything below was added, or is finished by what was restored */
    int64_t passed_first; /* of the events that the filter let pass by since the last write; above passed_last: none */
    int64_t passed_last;
    int64_t floor;       /* the log's start as told: acknowledgements below are left out */
    int64_t base;        /* blocks without a record are finished below it */
    uint64_t park_clock; /* parkings so far */
    struct lease_counts counts;
    bool returned;           /* events have come back, or go on after a halt, since the last write began */
    bool returned_writing;   /* the same, before that one began. Nothing is leased until it is durable */
    bool writing;            /* between lease_write_begin() and lease_write_end() */
    int64_t write_start;     /* writing: the start that was written */
    lease_expiry_fn expired; /* NULL: nobody wants to know */
    void *expired_arg;
};

/* --- entries: lease_entry.c --------------------------------------------------------------------------------------- */

/* Has the entry a place in a chain: is it ordered with others? */
bool lease_entry_chained(const struct lease_table *t, const struct lease_node *e);
/* Append an entry that is in the tree to its chain; true when it is the first one. */
bool lease_entry_chain(struct lease_table *t, uint32_t id);
/* Would placing that event look at too many of its key? */
bool lease_entry_far(const struct lease_table *t, const struct lease_record *record);
/* Chain an entry that is in the tree and waits, in its order; it goes on when nothing of its key is in work. */
void lease_entry_chain_in(struct lease_table *t, uint32_t id, struct lease_now now);
/* What was read of an event, as an entry that waits. */
void lease_entry_fill(const struct lease_table *t, struct lease_node *e, const struct lease_record *record);
/* The first of its key would go on: earlier ones that came back go first. returns false: there are none */
bool lease_entry_give_way(struct lease_table *t, uint32_t id, struct lease_now now);
/* The state in which it is; an entry only. */
enum lease_state lease_entry_state(const struct lease_node *e);
/* Change the state; due was set before. Asserts that the move is allowed. */
void lease_entry_move(struct lease_table *t, uint32_t id, enum lease_state state);
/* A new entry, in the tree and counted as waiting, is the first of its key: where does it go? */
void lease_entry_activate(struct lease_table *t, uint32_t id, struct lease_now now);
/* It may be leased, unless it is to be checked, or exhausted. */
void lease_entry_ready(struct lease_table *t, uint32_t id, struct lease_now now);
/* Why it may not be leased again | LEASE_DEATH_NONE */
enum lease_death lease_entry_exhausted(const struct lease_table *t, const struct lease_node *e, struct lease_now now);
/* It is not leased again: it dies, or the partition halts. */
void lease_entry_exhaust(struct lease_table *t, uint32_t id, enum lease_death death);
/* An attempt has failed. delay_ms -1: by the rules */
void lease_entry_fail(struct lease_table *t, uint32_t id, int64_t delay_ms, struct lease_now now);
/* It is to be looked at again because of a parked key. */
bool lease_entry_parked(const struct lease_table *t, const struct lease_node *e);
/* It is finished and leaves the table; the next of its key goes on. */
void lease_entry_finish(struct lease_table *t, uint32_t id, struct lease_now now);
/* One that waits, and whose letter is in its topic: the others of its key go on without it. O(those before it). */
void lease_entry_loosen(struct lease_table *t, uint32_t id);
/* It leaves the table; the next of its key becomes the first and does not go on. */
void lease_entry_drop(struct lease_table *t, uint32_t id);

/* --- blocks: lease_progress.c ------------------------------------------------------------------------------------- */

/* The block's node, made when there is none | 0: no memory */
uint32_t lease_block_get(struct lease_table *t, uint64_t number);
/* Take a block without runs out. */
void lease_block_drop(struct lease_table *t, uint32_t id);
/* The block of that offset, whose node exists, must be written. */
void lease_block_touch(struct lease_table *t, int64_t offset);
/* Something is done with the event there: it is not fresh any more. returns the block's node, which exists */
uint32_t lease_block_used(struct lease_table *t, int64_t offset);
/* Behind offset, and behind what is known to be finished there. */
int64_t lease_position_skip(const struct lease_table *t, int64_t offset);
/* Everything below offset has been read: restored runs there are not needed any more. */
void lease_position_set(struct lease_table *t, int64_t offset);
/* The same up to and with the entry, which was read just now. */
void lease_position_added(struct lease_table *t, const struct lease_node *e);
/* Blocks from .. to are written with the next write: the start goes back over them. */
void lease_blocks_touch(struct lease_table *t, int64_t from, int64_t to);
/* It was not read yet, and is known to be finished. */
bool lease_position_finished(const struct lease_table *t, int64_t offset);
/* It is not any more. returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_position_punch(struct lease_table *t, int64_t offset);
/* What is known of an offset that was not read yet: LEASE_RUN_UNTOUCHED nothing, else as in struct lease_run. */
uint16_t lease_position_known(const struct lease_table *t, int64_t offset);

/* lease_ms etc. as nanoseconds, capped where a sum could overflow. */
static inline uint64_t lease_ms_to_ns(int64_t ms)
{
    return (uint64_t)EL_MIN(ms, (int64_t)1 << 40) * 1000000u;
}

static inline bool lease_is_small(const struct lease_table *t)
{
    return t->counts.total < LEASE_FAIR_COUNT;
}

#endif
