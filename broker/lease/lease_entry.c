/* SPDX-License-Identifier: Apache-2.0
 *
 * One entry of a lease table: its states, its place among the events of its key, and what becomes of it when it may be
 * leased, has failed, or is finished.
 *
 * Events of a key form a chain by offset. Only the first one is anything but waiting, and the index names it; so it is
 * also the only one that can finish. With order=partition there is one chain for the table, with order=none there is
 * none.
 *
 * An event that comes back (lease_entry_chain_in()) takes its place by offset again, but for one thing: a first one
 * that is in work already stays the first, and what has come back before it stands behind it, in order. It gives way
 * when it would go on. So the lowest of a chain is its first or second, and leaves as such when the log's start passes.
 */
#include <core/sm.h>
#include <lease/lease_table_state.h>

#define TO(state) EL_SM_TO(LEASE_STATE_##state)
/* Where the first of a key may come from and go to by itself. */
#define TO_LEASABLE (TO(READY) | TO(CHECK) | TO(DYING) | TO(HALTED))

static const struct el_sm_state states[LEASE_STATE_COUNT] = {
    [LEASE_STATE_READY] = {"ready", TO(LEASED) | TO(CHECK) | TO(DYING) | TO(HALTED) | TO(WAITING)},
    [LEASE_STATE_WAITING] = {"waiting", TO_LEASABLE | TO(DELAYED) | TO(EMITTING) | TO(SETTLING)},
    [LEASE_STATE_DELAYED] = {"delayed", TO_LEASABLE | TO(WAITING)},
    [LEASE_STATE_LEASED] = {"leased", TO_LEASABLE | TO(WAITING) | TO(BACKOFF) | TO(SETTLING) | TO(EMITTING)},
    [LEASE_STATE_BACKOFF] = {"backoff", TO_LEASABLE | TO(WAITING)},
    [LEASE_STATE_SETTLING] = {"settling", TO(WRITING)},
    [LEASE_STATE_WRITING] = {"writing", TO(SETTLING)},
    [LEASE_STATE_DYING] = {"dying", TO(BURIED)},
    [LEASE_STATE_BURIED] = {"buried", TO(DYING) | TO(SETTLING)},
    [LEASE_STATE_CHECK] = {"check", TO(CHECKING) | TO_LEASABLE | TO(WAITING)},
    [LEASE_STATE_CHECKING] = {"checking", TO_LEASABLE | TO(WAITING) | TO(SETTLING)},
    [LEASE_STATE_HALTED] = {"halted", TO_LEASABLE | TO(WAITING)},
    [LEASE_STATE_EMITTING] = {"emitting", TO(SETTLING)},
};

const char *lease_state_name(enum lease_state state)
{
    EL_ASSERT(state < LEASE_STATE_COUNT);
    return states[state].name;
}

enum lease_state lease_entry_state(const struct lease_node *e)
{
    EL_DEBUG_ASSERT((e->own & (e->own - 1)) == 0);
    return (enum lease_state)__builtin_ctz(e->own);
}

void lease_entry_move(struct lease_table *t, uint32_t id, enum lease_state state)
{
    struct lease_node *e = lease_node(t->memory, id);
    enum lease_state from = lease_entry_state(e);
    EL_ASSERT(from < LEASE_STATE_COUNT);
    EL_ASSERT((states[from].moves & EL_SM_TO(state)) != 0);
    EL_ASSERT(t->counts.of[from] > 0);
    t->counts.of[from]--;
    t->counts.of[state]++;
    e->own = (uint16_t)LEASE_BIT(state);
    lease_tree_refresh(t->memory, id);
}

/* --- chains ------------------------------------------------------------------------------------------------------- */

bool lease_entry_chained(const struct lease_table *t, const struct lease_node *e)
{
    if (e->death == LEASE_NODE_EMITS || e->death == LEASE_NODE_LOOSE) {
        return false;
    }
    switch (t->rules.order) {
    case LEASE_ORDER_KEY:
        return e->key_hash != 0;
    case LEASE_ORDER_PARTITION:
        return true;
    case LEASE_ORDER_NONE:
        return false;
    }
    return false;
}

bool lease_entry_chain(struct lease_table *t, uint32_t id)
{
    struct lease_memory *m = t->memory;
    struct lease_node *e = lease_node(m, id);
    if (!lease_entry_chained(t, e)) {
        return true;
    }
    bool by_key = t->rules.order == LEASE_ORDER_KEY;
    uint32_t first = by_key ? lease_index_find(m, t->id, e->key_hash) : t->chain_first;
    if (first == 0) {
        e->key_tail = id;
        if (by_key) {
            lease_index_put(m, id);
        } else {
            t->chain_first = id;
        }
        return true;
    }
    struct lease_node *f = lease_node(m, first);
    struct lease_node *tail = lease_node(m, f->key_tail);
    EL_ASSERT(tail->at < e->at);
    EL_ASSERT(tail->key_next == 0);
    e->key_rank = tail == f ? 1 : tail->key_rank + 1;
    tail->key_next = id;
    f->key_tail = id;
    return false;
}

static uint32_t chain_first(const struct lease_table *t, uint64_t key_hash)
{
    return t->rules.order == LEASE_ORDER_KEY ? lease_index_find(t->memory, t->id, key_hash) : t->chain_first;
}

/* Another one is the first of the chain now; 0 none. */
static void chain_set_first(struct lease_table *t, uint32_t old, uint32_t id)
{
    if (t->rules.order != LEASE_ORDER_KEY) {
        EL_ASSERT(t->chain_first == old);
        t->chain_first = id;
    } else if (id == 0) {
        lease_index_remove(t->memory, old);
    } else {
        lease_index_replace(t->memory, old, id);
    }
}

/* Take the first of its key, or the second where that has come back, out of its chain. returns the next one, where that
 * is the first now | 0 */
static uint32_t unchain(struct lease_table *t, uint32_t id)
{
    struct lease_memory *m = t->memory;
    struct lease_node *e = lease_node(m, id);
    if (!lease_entry_chained(t, e)) {
        return 0;
    }
    uint32_t first = chain_first(t, e->key_hash);
    uint32_t next = e->key_next;
    if (first != id) {
        struct lease_node *f = lease_node(m, first);
        EL_ASSERT(f->key_next == id);
        f->key_next = next;
        f->key_tail = f->key_tail == id ? first : f->key_tail;
        return 0;
    }
    chain_set_first(t, id, next);
    if (next != 0) {
        struct lease_node *n = lease_node(m, next);
        EL_ASSERT(lease_entry_state(n) == LEASE_STATE_WAITING);
        n->key_tail = e->key_tail;
    }
    return next;
}

void lease_entry_loosen(struct lease_table *t, uint32_t id)
{
    struct lease_memory *m = t->memory;
    struct lease_node *e = lease_node(m, id);
    uint32_t first = lease_entry_chained(t, e) ? chain_first(t, e->key_hash) : 0;
    EL_ASSERT(lease_entry_state(e) == LEASE_STATE_WAITING);
    if (first != 0) {
        EL_ASSERT(first != id);
        struct lease_node *f = lease_node(m, first);
        uint32_t prev = first;
        while (lease_node(m, prev)->key_next != id) {
            prev = lease_node(m, prev)->key_next;
            lease_node(m, prev)->key_rank++; /* places count up along the chain */
        }
        lease_node(m, prev)->key_next = e->key_next;
        f->key_tail = f->key_tail == id ? prev : f->key_tail;
        e->key_next = 0;
    }
    e->death = LEASE_NODE_LOOSE;
}

/* Place a waiting one behind the first, and behind all behind that which are earlier than it. */
static void chain_behind(struct lease_table *t, uint32_t first, uint32_t id)
{
    struct lease_memory *m = t->memory;
    struct lease_node *f = lease_node(m, first), *e = lease_node(m, id), *prev = f;
    uint32_t prev_id = first;
    uint32_t rank = f->key_next == 0 ? 1 : lease_node(m, f->key_next)->key_rank - 1;
    while (prev->key_next != 0 && lease_node(m, prev->key_next)->at < e->at) {
        prev_id = prev->key_next;
        prev = lease_node(m, prev_id);
        rank = prev->key_rank;
        prev->key_rank--; /* places count up along the chain */
    }
    e->key_next = prev->key_next;
    prev->key_next = id;
    e->key_rank = rank;
    f->key_tail = f->key_tail == prev_id ? id : f->key_tail;
}

bool lease_entry_far(const struct lease_table *t, const struct lease_record *record)
{
    if (t->rules.order == LEASE_ORDER_NONE || (t->rules.order == LEASE_ORDER_KEY && record->key_hash == 0)) {
        return false;
    }
    uint32_t first = chain_first(t, record->key_hash);
    uint32_t id = first == 0 ? 0 : lease_node(t->memory, first)->key_next;
    for (uint32_t i = 0; id != 0 && lease_node(t->memory, id)->at < record->offset; i++) {
        if (i == LEASE_STEP_MAX) {
            return true;
        }
        id = lease_node(t->memory, id)->key_next;
    }
    return false;
}

void lease_entry_chain_in(struct lease_table *t, uint32_t id, struct lease_now now)
{
    const uint32_t idle = LEASE_BIT(LEASE_STATE_READY) | LEASE_BIT(LEASE_STATE_DELAYED) | LEASE_BIT(LEASE_STATE_CHECK);
    struct lease_memory *m = t->memory;
    struct lease_node *e = lease_node(m, id);
    uint32_t first = lease_entry_chained(t, e) ? chain_first(t, e->key_hash) : 0;
    if (first == 0) {
        (void)lease_entry_chain(t, id);
        lease_entry_activate(t, id, now);
        return;
    }
    struct lease_node *f = lease_node(m, first);
    EL_ASSERT(f->at != e->at);
    /* One that is to be compared again (lease_dead_retry()) may have others before it behind it already. */
    bool in_order = f->key_next == 0 || lease_node(m, f->key_next)->at > f->at;
    if (f->at < e->at || (f->own & idle) == 0 || !in_order) {
        chain_behind(t, first, id);
        return;
    }
    uint32_t next = f->key_next, tail = f->key_tail;
    chain_set_first(t, first, id);
    e->key_next = first;
    e->key_tail = tail; /* the other one itself when it was alone */
    f->key_rank = next == 0 ? 1 : lease_node(m, next)->key_rank - 1;
    lease_entry_move(t, first, LEASE_STATE_WAITING);
    lease_entry_activate(t, id, now);
}

bool lease_entry_give_way(struct lease_table *t, uint32_t id, struct lease_now now)
{
    struct lease_memory *m = t->memory;
    struct lease_node *e = lease_node(m, id);
    uint32_t next = e->key_next;
    if (next == 0 || lease_node(m, next)->at > e->at || lease_entry_state(e) == LEASE_STATE_WAITING) {
        return false;
    }
    uint32_t tail = e->key_tail;
    EL_ASSERT(lease_entry_chained(t, e));
    chain_set_first(t, id, next);
    lease_node(m, next)->key_tail = tail;
    e->key_next = 0;
    chain_behind(t, next, id);
    lease_entry_move(t, id, LEASE_STATE_WAITING);
    lease_entry_activate(t, next, now);
    return true;
}

/* --- what becomes of it ------------------------------------------------------------------------------------------- */

bool lease_entry_parked(const struct lease_table *t, const struct lease_node *e)
{
    if (t->parked == 0 || e->key_hash == 0) {
        return false;
    }
    uint32_t id = lease_tree_find(t->memory, t->parked, (int64_t)e->key_hash);
    return id != 0 && e->checked < lease_node(t->memory, id)->park_from;
}

enum lease_death lease_entry_exhausted(const struct lease_table *t, const struct lease_node *e, struct lease_now now)
{
    uint32_t attempts_max = EL_MIN((uint32_t)t->rules.attempts_max, LEASE_ATTEMPTS_MAX);
    if (t->rules.attempts_max >= 0 && e->attempts >= attempts_max) {
        return LEASE_DEATH_EXHAUSTED;
    }
    if (t->rules.age_max_ms >= 0 && e->attempts > 0 && now.wall_ms - (int64_t)e->append_ms > t->rules.age_max_ms) {
        return LEASE_DEATH_TOO_OLD;
    }
    return LEASE_DEATH_NONE;
}

void lease_entry_exhaust(struct lease_table *t, uint32_t id, enum lease_death death)
{
    EL_ASSERT(death != LEASE_DEATH_NONE);
    lease_node(t->memory, id)->death = (uint8_t)death;
    lease_entry_move(t, id, t->rules.on_exhausted == LEASE_HALT ? LEASE_STATE_HALTED : LEASE_STATE_DYING);
}

void lease_entry_ready(struct lease_table *t, uint32_t id, struct lease_now now)
{
    struct lease_node *e = lease_node(t->memory, id);
    e->due = 0;
    if (lease_entry_give_way(t, id, now)) {
        return;
    }
    if (lease_entry_parked(t, e)) {
        lease_entry_move(t, id, LEASE_STATE_CHECK);
        return;
    }
    enum lease_death death = lease_entry_exhausted(t, e, now);
    if (death != LEASE_DEATH_NONE) {
        lease_entry_exhaust(t, id, death);
    } else {
        lease_entry_move(t, id, LEASE_STATE_READY);
    }
}

void lease_entry_activate(struct lease_table *t, uint32_t id, struct lease_now now)
{
    struct lease_node *e = lease_node(t->memory, id);
    EL_ASSERT(lease_entry_state(e) == LEASE_STATE_WAITING);
    if (e->death == LEASE_NODE_EMITS) {
        e->due = 0;
        lease_entry_move(t, id, LEASE_STATE_EMITTING);
    } else if (e->death != LEASE_DEATH_NONE) {
        e->due = 0;
        lease_entry_move(t, id, LEASE_STATE_DYING);
    } else if (e->due != 0 && (int64_t)e->due > now.wall_ms) {
        lease_entry_move(t, id, LEASE_STATE_DELAYED);
    } else {
        lease_entry_ready(t, id, now);
    }
}

/* How long the next attempt has to wait. */
static uint64_t backoff_ns(const struct lease_table *t, uint32_t attempts)
{
    const struct lease_rules *rules = &t->rules;
    uint64_t max = lease_ms_to_ns(rules->backoff_max_ms);
    uint64_t wait = EL_MIN(lease_ms_to_ns(rules->backoff_ms), max);
    for (uint32_t i = 1; i < attempts && wait < max; i++) {
        uint64_t longer = (uint64_t)((unsigned __int128)wait * rules->backoff_multiplier_milli / 1000u);
        if (longer == wait) {
            break;
        }
        wait = EL_MIN(longer, max);
    }
    if (wait > 0 && rules->full_jitter) {
        uint64_t draw = t->memory->cfg.random(t->memory->cfg.random_arg);
        wait = 1 + (uint64_t)(((unsigned __int128)draw * wait) >> 64);
    }
    return wait;
}

void lease_entry_fail(struct lease_table *t, uint32_t id, int64_t delay_ms, struct lease_now now)
{
    struct lease_node *e = lease_node(t->memory, id);
    EL_ASSERT(lease_entry_state(e) == LEASE_STATE_LEASED);
    e->checked = 0;
    enum lease_death death = lease_entry_exhausted(t, e, now);
    if (death != LEASE_DEATH_NONE) {
        e->due = 0;
        lease_entry_exhaust(t, id, death);
        return;
    }
    uint64_t wait = delay_ms >= 0 ? lease_ms_to_ns(delay_ms) : backoff_ns(t, e->attempts);
    if (wait == 0) {
        lease_entry_ready(t, id, now);
        return;
    }
    e->due = now.mono_ns + wait;
    lease_entry_move(t, id, LEASE_STATE_BACKOFF);
}

/* Take it out; the next of its key, which is the first now | 0 */
static uint32_t take_out(struct lease_table *t, uint32_t id)
{
    enum lease_state state = lease_entry_state(lease_node(t->memory, id));
    uint32_t next = unchain(t, id);
    EL_ASSERT(t->counts.of[state] > 0);
    EL_ASSERT(t->counts.total > 0);
    if (lease_node(t->memory, id)->attempts == 0) { /* else it was not fresh before */
        lease_block_used(t, lease_node(t->memory, id)->at);
    }
    t->counts.of[state]--;
    t->counts.total--;
    lease_tree_remove(t->memory, &t->entries, id);
    lease_node_put(t->memory, id);
    return next;
}

void lease_entry_finish(struct lease_table *t, uint32_t id, struct lease_now now)
{
    uint32_t next = take_out(t, id);
    if (next != 0) {
        lease_entry_activate(t, next, now);
    }
}

void lease_entry_drop(struct lease_table *t, uint32_t id)
{
    (void)take_out(t, id);
}
