/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress of a lease table: where it begins, what of it is stored, and how a write carries it.
 *
 *   finished below the start | entries, and finished between them | read_to | restored runs, not read yet
 *
 * 1. lease_block_restore() hangs what a record says behind the block's node
 * 2. lease_add() consumes it, from the front: an offset that is finished there is skipped, attempts go into the entry
 * 3. acquiring and settling touch blocks; lease_write_begin() tells those that are dirty, and takes what is settling
 * 4. lease_block_encode() reads the block off the entries and, behind read_to, off the runs that are left
 * 5. lease_write_end() lets those events go
 *
 * A block has a node while it has entries, a record, or runs; so marking it dirty needs no memory and cannot fail. The
 * node knows from which place on nothing was ever done with its events, so that a long queue behind those in work is
 * not walked for each write.
 * Blocks that the start has passed lose their records (gone), at most LEASE_STEP_MAX with a write, then their nodes.
 */
#include <evlog/error.h>
#include <lease/lease_set.h>
#include <lease/lease_table_state.h>

static int64_t block_of(int64_t offset)
{
    return offset >> LEASE_BLOCK_BITS;
}

static uint32_t place_of(int64_t offset)
{
    return (uint32_t)offset & (LEASE_BLOCK_OFFSETS - 1);
}

static int64_t offset_at(int64_t number, uint32_t place)
{
    return (int64_t)((uint64_t)number << LEASE_BLOCK_BITS) + place;
}

static void block_mark(struct lease_table *t, uint32_t id, uint32_t set, uint32_t clear)
{
    struct lease_node *b = lease_node(t->memory, id);
    b->own = (uint16_t)((b->own | set) & ~clear);
    lease_tree_refresh(t->memory, id);
}

/* The first place of the block that was not read. */
static uint32_t read_in(const struct lease_table *t, int64_t number)
{
    int64_t reading = block_of(t->read_to);
    return reading > number ? LEASE_BLOCK_OFFSETS : reading == number ? place_of(t->read_to) : 0;
}

uint32_t lease_block_get(struct lease_table *t, uint64_t number)
{
    struct lease_memory *m = t->memory;
    uint32_t id = lease_tree_find(m, t->blocks, (int64_t)number);
    if (id == 0) {
        id = lease_node_get(m, lease_is_small(t));
        if (id != 0) {
            lease_node(m, id)->at = (int64_t)number;
            lease_node(m, id)->fresh = read_in(t, (int64_t)number);
            lease_tree_insert(m, &t->blocks, id);
        }
    }
    return id;
}

void lease_block_drop(struct lease_table *t, uint32_t id)
{
    EL_ASSERT(lease_node(t->memory, id)->runs == 0);
    lease_tree_remove(t->memory, &t->blocks, id);
    lease_node_put(t->memory, id);
}

uint32_t lease_block_used(struct lease_table *t, int64_t offset)
{
    uint32_t id = lease_tree_find(t->memory, t->blocks, block_of(offset));
    EL_ASSERT(id != 0);
    struct lease_node *b = lease_node(t->memory, id);
    b->fresh = EL_MAX(b->fresh, place_of(offset) + 1);
    return id;
}

void lease_block_touch(struct lease_table *t, int64_t offset)
{
    uint32_t id = lease_block_used(t, offset);
    if ((lease_node(t->memory, id)->own & LEASE_BLOCK_DIRTY) == 0) {
        block_mark(t, id, LEASE_BLOCK_DIRTY, 0);
    }
}

/* --- what was restored -------------------------------------------------------------------------------------------- */

static bool run_at(const struct lease_table *t, int64_t offset, struct lease_run *run)
{
    const struct lease_memory *m = t->memory;
    if (t->blocks == 0 || (lease_node(m, t->blocks)->below & LEASE_BLOCK_RUNS) == 0) {
        return false;
    }
    uint32_t id = lease_tree_find(m, t->blocks, block_of(offset));
    if (id == 0) {
        return false;
    }
    struct lease_runs_cursor cursor;
    lease_runs_begin(lease_node(m, id), &cursor);
    return lease_runs_next(m, &cursor, place_of(offset), run) && run->first <= place_of(offset);
}

uint16_t lease_position_known(const struct lease_table *t, int64_t offset)
{
    struct lease_run run;
    return run_at(t, offset, &run) ? run.what : LEASE_RUN_UNTOUCHED;
}

/* Below the base, and nothing says that anything there is not finished. */
static bool below_base(const struct lease_table *t, int64_t offset)
{
    return offset < t->base && lease_tree_find(t->memory, t->blocks, block_of(offset)) == 0;
}

int64_t lease_position_skip(const struct lease_table *t, int64_t offset)
{
    struct lease_run run;
    for (;;) {
        if (run_at(t, offset, &run) && run.what == LEASE_RUN_FINISHED) {
            offset = offset_at(block_of(offset), run.last) + 1;
        } else if (below_base(t, offset)) {
            uint32_t next = lease_tree_ceil(t->memory, t->blocks, block_of(offset));
            int64_t end = next == 0 ? t->base : offset_at(lease_node(t->memory, next)->at, 0);
            offset = EL_MIN(end, t->base);
        } else {
            return offset;
        }
    }
}

bool lease_position_finished(const struct lease_table *t, int64_t offset)
{
    EL_ASSERT(offset >= t->read_to);
    return lease_position_known(t, offset) == LEASE_RUN_FINISHED || below_base(t, offset);
}

/* Finished places of a block's runs at offsets in [from, end); looks at *steps of them at most, counted off. */
static int64_t finished_in(const struct lease_memory *m, const struct lease_node *b, int64_t from, int64_t end,
                           uint32_t *steps)
{
    struct lease_runs_cursor cursor;
    struct lease_run run;
    int64_t count = 0;
    uint32_t place = block_of(from) == b->at ? place_of(from) : 0;
    lease_runs_begin(b, &cursor);
    for (; *steps > 0 && lease_runs_next(m, &cursor, place, &run); (*steps)--) {
        int64_t first = EL_MAX(offset_at(b->at, run.first), from);
        int64_t behind = EL_MIN(offset_at(b->at, run.last) + 1, end);
        count += run.what == LEASE_RUN_FINISHED ? EL_MAX(behind - first, (int64_t)0) : 0;
    }
    return count;
}

int64_t lease_finished_ahead(const struct lease_table *t, int64_t from, int64_t end)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(from >= t->read_to);
    const struct lease_memory *m = t->memory;
    int64_t count = 0, told = from; /* blocks before it were counted */
    uint32_t steps = LEASE_STEP_MAX;
    uint32_t id = lease_tree_ceil(m, t->blocks, block_of(from));
    while (id != 0 && offset_at(lease_node(m, id)->at, 0) < end) {
        const struct lease_node *b = lease_node(m, id);
        int64_t begin = offset_at(b->at, 0);
        if (steps == 0) {
            return count;
        }
        steps--;
        count += EL_MAX(EL_MIN(begin, t->base) - told, (int64_t)0);
        count += finished_in(m, b, from, end, &steps);
        told = begin + LEASE_BLOCK_OFFSETS;
        id = lease_tree_next(m, id);
    }
    return count + EL_MAX(EL_MIN(end, t->base) - told, (int64_t)0);
}

/* A block of which all is finished up to the base, as runs. */
static uint32_t block_finished(struct lease_table *t, int64_t number)
{
    uint32_t id = lease_block_get(t, (uint64_t)number);
    struct lease_run run = {.what = LEASE_RUN_FINISHED, .last = LEASE_BLOCK_OFFSETS - 1};
    if (id == 0) {
        return 0;
    }
    if (block_of(t->base) == number) {
        run.last = (uint16_t)(place_of(t->base) - 1);
    }
    if (lease_runs_push(t->memory, lease_node(t->memory, id), run) != 0) {
        lease_block_drop(t, id);
        return 0;
    }
    block_mark(t, id, LEASE_BLOCK_RUNS, 0);
    return id;
}

int lease_position_punch(struct lease_table *t, int64_t offset)
{
    EL_ASSERT(lease_position_finished(t, offset));
    uint32_t id = lease_tree_find(t->memory, t->blocks, block_of(offset));
    id = id != 0 ? id : block_finished(t, block_of(offset));
    if (id == 0 || lease_runs_punch(t->memory, lease_node(t->memory, id), (uint16_t)place_of(offset)) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    bool left = lease_node(t->memory, id)->runs != 0;
    block_mark(t, id, LEASE_BLOCK_DIRTY, left ? 0 : LEASE_BLOCK_RUNS);
    return 0;
}

void lease_blocks_touch(struct lease_table *t, int64_t from, int64_t to)
{
    uint32_t id = lease_tree_ceil(t->memory, t->blocks, block_of(from));
    while (id != 0 && lease_node(t->memory, id)->at <= block_of(to)) {
        block_mark(t, id, LEASE_BLOCK_DIRTY, 0);
        id = lease_tree_next(t->memory, id);
    }
}

/* Not all that was read from `from` on is an event that was never delivered. */
static void not_fresh(struct lease_table *t, int64_t from)
{
    struct lease_memory *m = t->memory;
    uint32_t id = lease_tree_ceil(m, t->blocks, block_of(from));
    while (id != 0 && offset_at(lease_node(m, id)->at, 0) < t->read_to) {
        struct lease_node *b = lease_node(m, id);
        b->fresh = read_in(t, b->at);
        id = lease_tree_next(m, id);
    }
}

static void position_move(struct lease_table *t, int64_t offset)
{
    struct lease_memory *m = t->memory;
    t->read_to = EL_MAX(t->read_to, lease_position_skip(t, offset));
    for (;;) {
        uint32_t id = lease_tree_first_of(m, t->blocks, LEASE_BLOCK_RUNS);
        if (id == 0 || lease_node(m, id)->at > block_of(t->read_to)) {
            return;
        }
        struct lease_node *b = lease_node(m, id);
        bool whole = b->at < block_of(t->read_to);
        lease_runs_trim(m, b, whole ? LEASE_BLOCK_OFFSETS : place_of(t->read_to));
        if (b->runs != 0) {
            return;
        }
        block_mark(t, id, 0, LEASE_BLOCK_RUNS);
    }
}

void lease_position_set(struct lease_table *t, int64_t offset)
{
    int64_t from = t->read_to;
    position_move(t, offset);
    if (t->read_to > from) {
        not_fresh(t, from);
    }
}

void lease_position_added(struct lease_table *t, const struct lease_node *e)
{
    int64_t from = t->read_to;
    EL_ASSERT(e->at >= from);
    position_move(t, e->at + 1);
    if (e->at > from || t->read_to > e->at + 1 || e->attempts > 0) {
        not_fresh(t, from);
    }
}

static int restore_runs(struct lease_table *t, struct lease_node *b, struct el_slice data)
{
    struct lease_run_reader rr;
    struct lease_run run;
    lease_run_reader_init(&rr, data);
    int got = lease_run_read(&rr, &run);
    while (got == 1) {
        if (offset_at(b->at, run.last) >= t->read_to) {
            int err = lease_runs_push(t->memory, b, run);
            if (err != 0) {
                return err;
            }
        }
        got = lease_run_read(&rr, &run);
    }
    return got;
}

int lease_block_restore(struct lease_table *t, uint64_t number, struct el_slice data)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(t->entries == 0);
    if (number > (uint64_t)INT64_MAX >> LEASE_BLOCK_BITS) {
        return EVLOG_ERR_MALFORMED;
    }
    uint32_t id = data.data == NULL ? lease_tree_find(t->memory, t->blocks, (int64_t)number)
                                    : lease_block_get(t, number);
    if (id == 0) {
        return data.data == NULL ? 0 : EVLOG_ERR_NO_MEMORY;
    }
    struct lease_node *b = lease_node(t->memory, id);
    lease_runs_trim(t->memory, b, LEASE_BLOCK_OFFSETS);
    int err = data.data == NULL ? 0 : restore_runs(t, b, data);
    if (err != 0 || data.data == NULL) {
        lease_runs_trim(t->memory, b, LEASE_BLOCK_OFFSETS);
        lease_block_drop(t, id);
        return err;
    }
    b->own = (uint16_t)(LEASE_BLOCK_STORED | (b->runs != 0 ? LEASE_BLOCK_RUNS : 0));
    lease_tree_refresh(t->memory, id);
    return 0;
}

/* --- the bytes of a block ----------------------------------------------------------------------------------------- */

/* What is to be stored of an entry. */
static uint16_t what_of(const struct lease_node *e)
{
    if (lease_entry_state(e) == LEASE_STATE_WRITING) {
        return LEASE_RUN_FINISHED;
    }
    if (e->death == LEASE_DEATH_REJECTED && e->attempts > 0) {
        return (uint16_t)(EL_MIN((uint32_t)e->attempts, LEASE_REJECTED_MAX) | LEASE_RUN_REJECTED);
    }
    return e->attempts;
}

/* What was read of the block: entries, and finished between them. returns the place behind it */
static uint32_t encode_read(const struct lease_table *t, int64_t number, struct lease_run_writer *rw)
{
    const struct lease_memory *m = t->memory;
    int64_t begin = offset_at(number, 0);
    if (t->read_to <= begin) {
        return 0;
    }
    uint32_t block = lease_tree_find(m, t->blocks, number);
    uint32_t end = read_in(t, number), stop = block == 0 ? end : EL_MIN(lease_node(m, block)->fresh, end);
    uint32_t place = 0;
    uint32_t id = lease_tree_ceil(m, t->entries, begin);
    while (id != 0 && lease_node(m, id)->at < offset_at(number, stop)) {
        const struct lease_node *e = lease_node(m, id);
        EL_ASSERT(e->at < t->read_to);
        lease_run_push(rw, place_of(e->at) - place, LEASE_RUN_FINISHED);
        lease_run_push(rw, 1, what_of(e));
        place = place_of(e->at) + 1;
        id = lease_tree_next(m, id);
    }
    lease_run_push(rw, stop - place, LEASE_RUN_FINISHED);
    lease_run_push(rw, end - stop, LEASE_RUN_UNTOUCHED);
    return end;
}

size_t lease_block_encode(const struct lease_table *t, uint64_t number, uint8_t *buf, size_t room)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(number <= (uint64_t)INT64_MAX >> LEASE_BLOCK_BITS);
    struct lease_run_writer rw;
    lease_run_writer_init(&rw, buf, room);
    uint32_t place = encode_read(t, (int64_t)number, &rw);
    uint32_t id = lease_tree_find(t->memory, t->blocks, (int64_t)number);
    struct lease_runs_cursor cursor = {0};
    struct lease_run run;
    if (id != 0) {
        lease_runs_begin(lease_node(t->memory, id), &cursor);
    }
    while (lease_runs_next(t->memory, &cursor, place, &run)) {
        uint32_t first = EL_MAX(run.first, place);
        lease_run_push(&rw, first - place, LEASE_RUN_UNTOUCHED);
        lease_run_push(&rw, run.last - first + 1u, run.what);
        place = run.last + 1u;
    }
    return lease_run_writer_end(&rw);
}

/* --- start -------------------------------------------------------------------------------------------------------- */

/* The place of that entry, or where reading goes on when there is none. */
static int64_t start_at(const struct lease_table *t, uint32_t entry)
{
    return entry != 0 ? lease_node(t->memory, entry)->at : lease_position_skip(t, t->read_to);
}

int64_t lease_start(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return start_at(t, lease_tree_first(t->memory, t->entries));
}

int64_t lease_start_from(const struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = lease_tree_ceil(t->memory, t->entries, offset);
    return id != 0 ? lease_node(t->memory, id)->at : lease_position_skip(t, EL_MAX(t->read_to, offset));
}

int64_t lease_write_start(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    if (t->writing) {
        return t->write_start;
    }
    uint32_t stays = (LEASE_BIT(LEASE_STATE_COUNT) - 1) & ~LEASE_BIT(LEASE_STATE_SETTLING);
    return start_at(t, lease_tree_first_of(t->memory, t->entries, stays));
}

/* Take out nodes of blocks that the start has passed and that no record or write needs. */
static void sweep(struct lease_table *t)
{
    int64_t before = block_of(lease_start(t));
    uint32_t id = lease_tree_first(t->memory, t->blocks);
    for (uint32_t i = 0; i < LEASE_STEP_MAX && id != 0 && lease_node(t->memory, id)->at < before; i++) {
        uint32_t next = lease_tree_next(t->memory, id);
        if ((lease_node(t->memory, id)->own & (LEASE_BLOCK_STORED | LEASE_BLOCK_WRITING | LEASE_BLOCK_RUNS)) == 0) {
            lease_block_drop(t, id);
        }
        id = next;
    }
}

bool lease_set_start(struct lease_table *t, int64_t offset, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    if (offset <= lease_start(t)) {
        return true;
    }
    t->floor = EL_MAX(t->floor, offset);
    uint32_t id = lease_tree_first(t->memory, t->entries);
    for (uint32_t i = 0; id != 0 && lease_node(t->memory, id)->at < offset; i++) {
        if (i == LEASE_STEP_MAX) {
            return false;
        }
        lease_entry_finish(t, id, now);
        id = lease_tree_first(t->memory, t->entries);
    }
    lease_position_set(t, EL_MAX(t->read_to, offset));
    sweep(t);
    return true;
}

bool lease_reset(struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(offset >= 0);
    for (uint32_t i = 0; t->entries != 0; i++) {
        if (i == LEASE_STEP_MAX) {
            return false;
        }
        lease_entry_drop(t, lease_tree_first(t->memory, t->entries));
    }
    EL_ASSERT(t->counts.total == 0);
    EL_ASSERT(t->chain_first == 0);
    uint32_t id = lease_tree_first(t->memory, t->blocks);
    while (id != 0) {
        uint32_t next = lease_tree_next(t->memory, id);
        struct lease_node *b = lease_node(t->memory, id);
        lease_runs_trim(t->memory, b, LEASE_BLOCK_OFFSETS);
        if ((b->own & (LEASE_BLOCK_STORED | LEASE_BLOCK_WRITING)) != 0) {
            block_mark(t, id, LEASE_BLOCK_DIRTY, LEASE_BLOCK_RUNS);
            id = next;
        } else {
            /* Taking a node out may turn the tree, but what comes next stays the same node. */
            lease_block_drop(t, id);
            id = next;
        }
    }
    t->read_to = offset;
    for (id = lease_tree_first(t->memory, t->blocks); id != 0; id = lease_tree_next(t->memory, id)) {
        struct lease_node *b = lease_node(t->memory, id);
        b->fresh = read_in(t, b->at);
    }
    t->floor = offset;
    t->base = offset;
    t->returned = t->returned_writing = false;
    t->passed_first = INT64_MAX;
    t->passed_last = 0;
    return true;
}

/* --- writes ------------------------------------------------------------------------------------------------------- */

bool lease_dirty(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    const struct lease_memory *m = t->memory;
    if (t->counts.of[LEASE_STATE_SETTLING] > 0 || t->returned) {
        return true;
    }
    if (t->blocks == 0) {
        return false;
    }
    if ((lease_node(m, t->blocks)->below & LEASE_BLOCK_DIRTY) != 0) {
        return true;
    }
    uint32_t stored = t->writing ? 0 : lease_tree_first_of(m, t->blocks, LEASE_BLOCK_STORED);
    return stored != 0 && lease_node(m, stored)->at < block_of(lease_start(t));
}

/* Blocks whose events were let pass by have what is to be stored too, where the start does not say it. Without memory
 * for that they are looked at again after a restart. */
static void touch_passed(struct lease_table *t)
{
    int64_t number = block_of(EL_MAX(t->passed_first, t->write_start));
    for (uint32_t i = 0; i < LEASE_STEP_MAX && t->passed_first <= t->passed_last; i++, number++) {
        uint32_t id = number > block_of(t->passed_last) ? 0 : lease_block_get(t, (uint64_t)number);
        if (id == 0) {
            break;
        }
        block_mark(t, id, LEASE_BLOCK_DIRTY, 0);
    }
    t->passed_first = INT64_MAX;
    t->passed_last = 0;
}

void lease_write_begin(struct lease_table *t, lease_block_fn block, void *arg)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(!t->writing);
    struct lease_memory *m = t->memory;
    t->write_start = lease_write_start(t);
    t->writing = true;
    t->returned_writing = t->returned;
    t->returned = false;
    touch_passed(t);
    uint32_t id = lease_tree_first_of(m, t->entries, LEASE_BIT(LEASE_STATE_SETTLING));
    while (id != 0) {
        lease_entry_move(t, id, LEASE_STATE_WRITING);
        id = lease_tree_next_of(m, id, LEASE_BIT(LEASE_STATE_SETTLING));
    }
    id = lease_tree_first(m, t->blocks);
    for (uint32_t gone = 0; id != 0 && lease_node(m, id)->at < block_of(t->write_start); gone++) {
        if (gone == LEASE_STEP_MAX) {
            break;
        }
        block_mark(t, id, LEASE_BLOCK_WRITING, LEASE_BLOCK_DIRTY);
        if ((lease_node(m, id)->own & LEASE_BLOCK_STORED) != 0) {
            block(arg, (uint64_t)lease_node(m, id)->at, true);
        }
        id = lease_tree_next(m, id);
    }
    id = lease_tree_first_of(m, t->blocks, LEASE_BLOCK_DIRTY);
    while (id != 0) {
        if (lease_node(m, id)->at >= block_of(t->write_start)) {
            /* Whether the write comes to its end or not: there may be a record from now on. */
            block_mark(t, id, LEASE_BLOCK_WRITING | LEASE_BLOCK_STORED, LEASE_BLOCK_DIRTY);
            block(arg, (uint64_t)lease_node(m, id)->at, false);
        }
        id = lease_tree_next_of(m, id, LEASE_BLOCK_DIRTY);
    }
}

void lease_write_end(struct lease_table *t, bool durable, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(t->writing);
    struct lease_memory *m = t->memory;
    t->writing = false;
    t->returned = t->returned || (t->returned_writing && !durable);
    t->returned_writing = false;
    uint32_t id = lease_tree_first_of(m, t->blocks, LEASE_BLOCK_WRITING);
    while (id != 0) {
        bool gone = lease_node(m, id)->at < block_of(t->write_start);
        uint32_t set = durable ? 0 : LEASE_BLOCK_DIRTY;
        uint32_t clear = LEASE_BLOCK_WRITING | (durable && gone ? LEASE_BLOCK_STORED : 0);
        block_mark(t, id, set, clear);
        id = lease_tree_next_of(m, id, LEASE_BLOCK_WRITING);
    }
    id = lease_tree_first_of(m, t->entries, LEASE_BIT(LEASE_STATE_WRITING));
    while (id != 0) {
        if (durable) {
            lease_entry_finish(t, id, now);
        } else {
            lease_entry_move(t, id, LEASE_STATE_SETTLING);
        }
        id = lease_tree_first_of(m, t->entries, LEASE_BIT(LEASE_STATE_WRITING));
    }
    sweep(t);
}
