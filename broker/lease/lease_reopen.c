/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of a lease table that come back: dead letters that are to be worked on once more.
 *
 *   read already      an entry again, in the place that its offset gives it
 *   not read yet      known to be finished by what was restored: a hole in that, and read-ahead comes by
 *
 * Nothing else is kept of it. A block with a hole is a block like any other; only where the start has gone back, blocks
 * that have no record are not told from those that were never read. So the base says up to where they are finished: the
 * start as it was before it went back. All blocks that have a node there are written anew.
 */
#include <evlog/error.h>
#include <lease/lease_table_state.h>

/* On its way out: the letter is in its topic maybe, and the event not finished yet. */
#define ENDING                                                                                                         \
    (LEASE_BIT(LEASE_STATE_BURIED) | LEASE_BIT(LEASE_STATE_CHECKING) | LEASE_BIT(LEASE_STATE_SETTLING) |               \
     LEASE_BIT(LEASE_STATE_WRITING))

int64_t lease_write_base(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return t->base;
}

void lease_base_restore(struct lease_table *t, int64_t base)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(t->entries == 0);
    EL_ASSERT(base >= 0);
    t->base = EL_MAX(t->read_to, base);
}

/* The start is about to go back to offset: what it passed must not be taken for unread, nor what it passes with the
 * write that is under way, which leaves those blocks out. */
static void go_back(struct lease_table *t, int64_t offset)
{
    int64_t start = t->writing ? EL_MAX(t->write_start, lease_start(t)) : lease_start(t);
    if (offset < start) {
        t->base = EL_MAX(t->base, start);
        lease_blocks_touch(t, offset, start);
    }
    t->floor = EL_MIN(t->floor, offset);
}

int lease_reopen(struct lease_table *t, const struct lease_record *record, struct lease_now now, bool *open)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(record->offset >= 0);
    EL_ASSERT(record->death == LEASE_DEATH_NONE);
    struct lease_memory *m = t->memory;
    if (record->offset >= t->read_to) {
        *open = !lease_position_finished(t, record->offset);
        int code = *open ? 0 : lease_position_punch(t, record->offset);
        t->returned = t->returned || (code == 0 && !*open);
        return code;
    }
    uint32_t there = lease_tree_find(m, t->entries, record->offset);
    *open = there != 0;
    if (*open) {
        return (lease_node(m, there)->own & ENDING) != 0 ? EVLOG_ERR_AGAIN : 0;
    }
    if (lease_entry_far(t, record)) {
        return EVLOG_ERR_AGAIN;
    }
    uint32_t id = lease_node_get(m, lease_is_small(t));
    if (id == 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (lease_block_get(t, (uint64_t)record->offset >> LEASE_BLOCK_BITS) == 0) {
        lease_node_put(m, id);
        return EVLOG_ERR_NO_MEMORY;
    }
    go_back(t, record->offset);
    struct lease_node *e = lease_node(m, id);
    lease_entry_fill(t, e, record);
    e->checked = t->park_clock;
    lease_tree_insert(m, &t->entries, id);
    t->counts.of[LEASE_STATE_WAITING]++;
    t->counts.total++;
    lease_block_touch(t, record->offset);
    t->returned = true;
    lease_entry_chain_in(t, id, now);
    return 0;
}
