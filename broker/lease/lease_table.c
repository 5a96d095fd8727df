/* SPDX-License-Identifier: Apache-2.0
 *
 * Lease table: its life, filling, leasing, outcomes, and time. States of one entry: lease_entry.c; blocks, the start
 * and writes: lease_progress.c; dead letters: lease_dead.c; memory and trees: lease_node.h.
 *
 * 1. lease_add() puts the next event into the tree and its key's chain; the first of a key goes on at once
 * 2. lease_acquire() takes what is ready, lowest offsets first
 * 3. lease_settle() checks all outcomes, then takes them; lease_tick() does what was due
 * 4. what is done is settling until a write has carried it, then it leaves the tree and its key goes on
 *
 * Only lease_add(), lease_block_restore() and lease_park_hash() need memory. When there is none they change nothing and
 * say so; everything else cannot fail for want of it.
 */
#include <evlog/error.h>
#include <lease/lease_set.h>
#include <lease/lease_table_state.h>

#define APPEND_MS_MAX ((1ll << 47) - 1)

/* --- life --------------------------------------------------------------------------------------------------------- */

static void rules_check(const struct lease_rules *rules)
{
    EL_ASSERT(rules->order <= LEASE_ORDER_NONE);
    EL_ASSERT(rules->on_exhausted <= LEASE_HALT);
    EL_ASSERT(rules->inflight_max >= 1);
    EL_ASSERT(rules->attempts_max == -1 || rules->attempts_max >= 1);
    EL_ASSERT(rules->lease_ms >= 1);
    EL_ASSERT(rules->backoff_ms >= 0);
    EL_ASSERT(rules->backoff_max_ms >= rules->backoff_ms);
    EL_ASSERT(rules->backoff_multiplier_milli >= 1000);
    EL_ASSERT(rules->age_max_ms >= -1);
}

int lease_table_create(struct lease_memory *memory, const struct lease_rules *rules, int64_t start,
                       struct lease_table **table)
{
    OBJ_CHECK(memory, LEASE_MEMORY);
    EL_ASSERT(start >= 0);
    rules_check(rules);
    struct lease_table *t = el_pool_get(&memory->tables);
    if (t == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memory->table_last++;
    memory->table_count++;
    *t = (struct lease_table){.magic = LEASE_TABLE_MAGIC,
                              .id = memory->table_last,
                              .memory = memory,
                              .rules = *rules,
                              .read_to = start,
                              .passed_first = INT64_MAX,
                              .floor = start,
                              .base = start};
    *table = t;
    return 0;
}

static void tree_free(struct lease_memory *m, uint32_t *root)
{
    while (*root != 0) {
        uint32_t id = *root;
        lease_tree_remove(m, root, id);
        lease_node_put(m, id);
    }
}

void lease_table_destroy(struct lease_table *t)
{
    if (t == NULL) {
        return;
    }
    OBJ_CHECK(t, LEASE_TABLE);
    while (!lease_reset(t, t->read_to)) {
    }
    tree_free(t->memory, &t->blocks);
    tree_free(t->memory, &t->parked);
    struct lease_memory *m = t->memory;
    t->magic = 0;
    EL_ASSERT(m->table_count > 0);
    m->table_count--;
    el_pool_put(&m->tables, t);
}

int lease_set_rules(struct lease_table *t, const struct lease_rules *rules)
{
    OBJ_CHECK(t, LEASE_TABLE);
    rules_check(rules);
    if (rules->order != t->rules.order && t->entries != 0) {
        return EVLOG_ERR_AGAIN;
    }
    t->rules = *rules;
    uint32_t id = 0;
    if (rules->on_exhausted != LEASE_HALT) {
        id = lease_tree_first_of(t->memory, t->entries, LEASE_BIT(LEASE_STATE_HALTED));
    }
    while (id != 0) {
        lease_entry_move(t, id, LEASE_STATE_DYING);
        id = lease_tree_next_of(t->memory, id, LEASE_BIT(LEASE_STATE_HALTED));
    }
    return 0;
}

const struct lease_rules *lease_rules_of(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return &t->rules;
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

void lease_entry_fill(const struct lease_table *t, struct lease_node *e, const struct lease_record *record)
{
    int64_t not_before = EL_MAX(record->not_before_ms, (int64_t)0);
    e->at = record->offset;
    e->own = (uint16_t)LEASE_BIT(LEASE_STATE_WAITING);
    e->table = t->id;
    e->key_hash = record->key_hash;
    e->append_ms = (uint64_t)EL_MIN(EL_MAX(record->append_ms, (int64_t)0), APPEND_MS_MAX);
    e->due = EL_MIN((uint64_t)not_before, LEASE_WALL_NEVER - 1);
    e->death = record->emits ? LEASE_NODE_EMITS : (uint8_t)record->death;
}

int lease_add(struct lease_table *t, const struct lease_record *record, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(record->offset >= 0);
    EL_ASSERT(record->offset < INT64_MAX);
    EL_ASSERT(record->death < LEASE_DEATH_CHECK);
    EL_ASSERT(record->death == LEASE_DEATH_NONE || !record->emits);
    struct lease_memory *m = t->memory;
    int64_t offset = record->offset;
    if (offset < lease_position_skip(t, t->read_to)) {
        return 0;
    }
    uint16_t known = lease_position_known(t, offset);
    bool begun = known != LEASE_RUN_UNTOUCHED || record->death != LEASE_DEATH_NONE || record->emits;
    if (known == LEASE_RUN_FINISHED || (record->passed != LEASE_PASS_NOT && !begun)) {
        if (known != LEASE_RUN_FINISHED) {
            t->passed_first = EL_MIN(t->passed_first, offset);
            t->passed_last = offset;
        }
        lease_position_set(t, offset + 1);
        return 0;
    }
    uint32_t block = lease_block_get(t, (uint64_t)offset >> LEASE_BLOCK_BITS);
    if (block == 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    uint32_t id = lease_node_get(m, lease_is_small(t));
    if (id == 0) {
        /* Made for this one: it has no record, and nothing in it was read before. */
        if (lease_node(m, block)->own == 0 && lease_node(m, block)->at > (t->read_to - 1) >> LEASE_BLOCK_BITS) {
            lease_block_drop(t, block);
        }
        return EVLOG_ERR_NO_MEMORY;
    }
    struct lease_node *e = lease_node(m, id);
    lease_entry_fill(t, e, record);
    e->attempts = known & ~LEASE_RUN_REJECTED;
    if ((known & LEASE_RUN_REJECTED) != 0 && e->death == LEASE_DEATH_NONE) {
        e->death = LEASE_DEATH_REJECTED;
    }
    lease_tree_insert(m, &t->entries, id);
    t->counts.of[LEASE_STATE_WAITING]++;
    t->counts.total++;
    lease_position_added(t, e);
    if (lease_entry_chain(t, id)) {
        lease_entry_activate(t, id, now);
    }
    return 0;
}

void lease_read_to(struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    lease_position_set(t, EL_MAX(t->read_to, offset));
}

int64_t lease_read_next(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return lease_position_skip(t, t->read_to);
}

/* --- leasing ------------------------------------------------------------------------------------------------------ */

/* Lease one that is ready; false when it turns out that it must not be. */
static bool grant(struct lease_table *t, uint32_t id, uint64_t session, struct lease_now now)
{
    struct lease_node *e = lease_node(t->memory, id);
    if (lease_entry_parked(t, e)) {
        lease_entry_move(t, id, LEASE_STATE_CHECK);
        return false;
    }
    enum lease_death death = lease_entry_exhausted(t, e, now);
    if (death != LEASE_DEATH_NONE) {
        lease_entry_exhaust(t, id, death);
        return false;
    }
    e->attempts = EL_MIN(e->attempts + 1u, LEASE_ATTEMPTS_MAX);
    e->session = session;
    e->due = now.mono_ns + lease_ms_to_ns(t->rules.lease_ms);
    lease_entry_move(t, id, LEASE_STATE_LEASED);
    lease_block_touch(t, e->at);
    return true;
}

uint32_t lease_acquire(struct lease_table *t, uint64_t session, struct lease_now now, struct lease_grant *out,
                       uint32_t max)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(session != 0);
    uint32_t count = 0;
    for (uint32_t refused = 0; count < max && refused < LEASE_STEP_MAX && lease_ready(t);) {
        uint32_t id = lease_tree_first_of(t->memory, t->entries, LEASE_BIT(LEASE_STATE_READY));
        if (!grant(t, id, session, now)) {
            refused++;
            continue;
        }
        const struct lease_node *e = lease_node(t->memory, id);
        out[count] = (struct lease_grant){.offset = e->at, .attempts = e->attempts};
        count++;
    }
    return count;
}

static bool leased_by(const struct lease_node *e, uint64_t session)
{
    return e->own == LEASE_BIT(LEASE_STATE_LEASED) && e->session == session;
}

bool lease_unacquire(struct lease_table *t, uint64_t session, int64_t offset, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = lease_tree_find(t->memory, t->entries, offset);
    if (id == 0 || !leased_by(lease_node(t->memory, id), session)) {
        return false;
    }
    struct lease_node *e = lease_node(t->memory, id);
    EL_ASSERT(e->attempts > 0);
    e->attempts--;
    e->checked = 0;
    e->due = 0;
    if (!lease_entry_give_way(t, id, now)) {
        lease_entry_move(t, id, LEASE_STATE_READY);
    }
    lease_block_touch(t, offset); /* a write may have carried the attempt meanwhile */
    return true;
}

/* Every offset of the range that must be is leased by the session, and its lease has not ended. */
static bool outcome_holds(const struct lease_table *t, uint64_t session, const struct lease_outcome *o,
                          struct lease_now now)
{
    const struct lease_memory *m = t->memory;
    int64_t offset = EL_MAX(o->first, t->floor);
    uint32_t id = lease_tree_ceil(m, t->entries, offset);
    if (o->emit_count > 0 && (o->kind != LEASE_ACCEPT || o->first != o->last || o->first < t->floor)) {
        return false; /* what is gone was not done: nobody knows how often */
    }
    for (; offset <= o->last; offset++) {
        const struct lease_node *e = id == 0 ? NULL : lease_node(m, id);
        if (e == NULL || e->at > o->last) {
            return o->kind == LEASE_GAP;
        }
        if ((e->at != offset && o->kind != LEASE_GAP) || !leased_by(e, session) || e->due <= now.mono_ns) {
            return false;
        }
        offset = e->at;
        id = lease_tree_next(m, id);
    }
    return true;
}

static bool outcomes_hold(const struct lease_table *t, uint64_t session, const struct lease_outcome *outcomes,
                          uint32_t count, struct lease_now now)
{
    int64_t from = 0, end = lease_read_next(t);
    for (uint32_t i = 0; i < count; i++) {
        const struct lease_outcome *o = &outcomes[i];
        if (o->first < from || o->last < o->first || o->last >= end) {
            return false;
        }
        if (o->kind == LEASE_FAIL && (o->delay_ms < -1 || o->delay_ms > LEASE_DELAY_MS_MAX)) {
            return false;
        }
        if (!outcome_holds(t, session, o, now)) {
            return false;
        }
        from = o->last + 1;
    }
    return true;
}

static void outcome_take(struct lease_table *t, uint32_t id, const struct lease_outcome *o, struct lease_now now)
{
    struct lease_node *e = lease_node(t->memory, id);
    switch (o->kind) {
    case LEASE_GAP:
    case LEASE_ACCEPT:
        e->due = 0;
        lease_entry_move(t, id, o->emit_count > 0 ? LEASE_STATE_EMITTING : LEASE_STATE_SETTLING);
        lease_block_touch(t, e->at);
        return;
    case LEASE_RELEASE:
        e->checked = 0;
        lease_entry_ready(t, id, now);
        return;
    case LEASE_REJECT:
        e->due = 0;
        e->death = LEASE_DEATH_REJECTED;
        lease_entry_move(t, id, LEASE_STATE_DYING);
        lease_block_touch(t, e->at);
        return;
    case LEASE_EXTEND:
        e->due = now.mono_ns + lease_ms_to_ns(t->rules.lease_ms);
        lease_tree_refresh(t->memory, id);
        return;
    case LEASE_FAIL:
        lease_entry_fail(t, id, o->delay_ms, now);
        return;
    }
}

int lease_settle(struct lease_table *t, uint64_t session, const struct lease_outcome *outcomes, uint32_t count,
                 struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    EL_ASSERT(session != 0);
    if (!outcomes_hold(t, session, outcomes, count, now)) {
        return EVLOG_ERR_ARGUMENT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct lease_outcome *o = &outcomes[i];
        uint32_t id = lease_tree_ceil(t->memory, t->entries, EL_MAX(o->first, t->floor));
        while (id != 0 && lease_node(t->memory, id)->at <= o->last) {
            uint32_t next = lease_tree_next(t->memory, id);
            outcome_take(t, id, o, now);
            id = next;
        }
    }
    return 0;
}

bool lease_emit_done(struct lease_table *t, int64_t offset)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = lease_tree_find(t->memory, t->entries, offset);
    if (id == 0) {
        return offset < lease_read_next(t);
    }
    switch (lease_entry_state(lease_node(t->memory, id))) {
    case LEASE_STATE_EMITTING:
        lease_entry_move(t, id, LEASE_STATE_SETTLING);
        lease_block_touch(t, offset);
        return true;
    case LEASE_STATE_SETTLING:
    case LEASE_STATE_WRITING:
        return true;
    case LEASE_STATE_WAITING:
    case LEASE_STATE_READY:
    case LEASE_STATE_DELAYED:
    case LEASE_STATE_LEASED:
    case LEASE_STATE_BACKOFF:
    case LEASE_STATE_DYING:
    case LEASE_STATE_BURIED:
    case LEASE_STATE_CHECK:
    case LEASE_STATE_CHECKING:
    case LEASE_STATE_HALTED:
    case LEASE_STATE_COUNT:
        break;
    }
    EL_ASSERT(!"an event whose emits are stored is nothing else");
    return true;
}

void lease_release_session(struct lease_table *t, uint64_t session, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = lease_tree_first_of(t->memory, t->entries, LEASE_BIT(LEASE_STATE_LEASED));
    while (id != 0) {
        uint32_t next = lease_tree_next_of(t->memory, id, LEASE_BIT(LEASE_STATE_LEASED));
        struct lease_node *e = lease_node(t->memory, id);
        if (e->session == session) {
            e->checked = 0;
            lease_entry_ready(t, id, now);
        }
        id = next;
    }
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* The entry whose time has come first | 0 */
static uint32_t due_next(const struct lease_table *t, struct lease_now now)
{
    uint32_t id = lease_tree_due_mono(t->memory, t->entries, now.mono_ns);
    return id != 0 ? id : lease_tree_due_wall(t->memory, t->entries, now.wall_ms);
}

void lease_on_expiry(struct lease_table *t, lease_expiry_fn expired, void *arg)
{
    OBJ_CHECK(t, LEASE_TABLE);
    t->expired = expired;
    t->expired_arg = arg;
}

uint64_t lease_tick(struct lease_table *t, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = due_next(t, now);
    for (uint32_t i = 0; id != 0; i++) {
        if (i == LEASE_STEP_MAX) {
            return now.mono_ns;
        }
        if (lease_node(t->memory, id)->own == LEASE_BIT(LEASE_STATE_LEASED)) {
            if (t->expired != NULL) {
                t->expired(t->expired_arg, lease_node(t->memory, id)->at);
            }
            lease_entry_fail(t, id, -1, now);
        } else {
            lease_entry_ready(t, id, now);
        }
        id = due_next(t, now);
    }
    if (t->entries == 0) {
        return LEASE_NEVER;
    }
    const struct lease_node *root = lease_node(t->memory, t->entries);
    uint64_t next = root->mono_min;
    if (root->wall_min != LEASE_WALL_NEVER) {
        EL_ASSERT((int64_t)root->wall_min > now.wall_ms);
        next = EL_MIN(next, now.mono_ns + lease_ms_to_ns((int64_t)root->wall_min - now.wall_ms));
    }
    return next;
}

bool lease_ready(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return t->counts.of[LEASE_STATE_READY] > 0 && t->counts.of[LEASE_STATE_HALTED] == 0 && !t->returned &&
           !t->returned_writing && t->counts.of[LEASE_STATE_LEASED] < t->rules.inflight_max;
}

int64_t lease_halted(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = lease_tree_first_of(t->memory, t->entries, LEASE_BIT(LEASE_STATE_HALTED));
    return id == 0 ? -1 : lease_node(t->memory, id)->at;
}

void lease_resume(struct lease_table *t, struct lease_now now)
{
    OBJ_CHECK(t, LEASE_TABLE);
    uint32_t id = lease_tree_first_of(t->memory, t->entries, LEASE_BIT(LEASE_STATE_HALTED));
    while (id != 0) {
        struct lease_node *e = lease_node(t->memory, id);
        e->attempts = 0;
        e->death = LEASE_DEATH_NONE;
        t->returned = true;
        lease_block_touch(t, e->at);
        lease_entry_ready(t, id, now);
        id = lease_tree_first_of(t->memory, t->entries, LEASE_BIT(LEASE_STATE_HALTED));
    }
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

struct lease_counts lease_counts(const struct lease_table *t)
{
    OBJ_CHECK(t, LEASE_TABLE);
    return t->counts;
}

bool lease_why(const struct lease_table *t, uint64_t key_hash, struct lease_why *out)
{
    OBJ_CHECK(t, LEASE_TABLE);
    const struct lease_memory *m = t->memory;
    uint32_t id = 0;
    if (t->rules.order == LEASE_ORDER_PARTITION) {
        id = t->chain_first;
    } else if (t->rules.order == LEASE_ORDER_KEY && key_hash != 0) {
        id = lease_index_find(m, t->id, key_hash);
    }
    if (id == 0) {
        return false;
    }
    const struct lease_node *e = lease_node(m, id);
    enum lease_state state = lease_entry_state(e);
    bool timed = state == LEASE_STATE_LEASED || state == LEASE_STATE_BACKOFF;
    *out = (struct lease_why){
        .offset = e->at,
        .state = state,
        .attempts = e->attempts,
        .due_ns = timed ? e->due : LEASE_NEVER,
        .due_ms = state == LEASE_STATE_DELAYED ? (int64_t)e->due : -1,
        .session = state == LEASE_STATE_LEASED ? e->session : 0,
        /* Places count up along the chain from the second on, and may go round. */
        .behind = e->key_next == 0 ? 0
                                   : lease_node(m, e->key_tail)->key_rank - lease_node(m, e->key_next)->key_rank + 1,
    };
    return true;
}
