/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the lease table does what model.c says, and what work groups promise holds: a key's events strictly in order,
 * no event of another key ever waits, none both acknowledged and dead-lettered, the start is the first one unfinished.
 * Method: small worlds, each a log with gaps, keys that share hashes, delays, ages and rules drawn from a seed; random
 * calls to both, wrong ones among them, restarts from what durable writes have carried; after each call both are
 * compared. A failure prints the world's seed; EL_MODEL_SEED=N runs that world alone, EL_MODEL_OPS=N sets how many
 * calls are made in all.
 */
#include "model.h"
#include "table_kit.h"

#include <core/rng.h>
#include <lease/lease_table_state.h>

#include <stdio.h>
#include <stdlib.h>

#define WORLD_OPS 1500
#define LIVE_MAX 40
#define SESSIONS 3
#define TOLD_MAX 64
#ifdef __SANITIZE_ADDRESS__
#define OPS_DEFAULT 60000
#define SEEN_LEAST 1 /* of what may happen, that it has been looked at */
#else
#define OPS_DEFAULT 1000000
#define SEEN_LEAST 10
#endif

static struct kit k;
static struct model m;
static struct el_rng rng;
static uint64_t seed;
static const char *what;
static int64_t start_before;
static uint64_t seen[32]; /* how often something has happened, so that a test that does nothing shows */

enum {
    SEEN_GRANT,
    SEEN_SETTLED,
    SEEN_REFUSED,
    SEEN_DEAD,
    SEEN_CHECK,
    SEEN_DEAD_EARLY,
    SEEN_HALT,
    SEEN_RESTART,
    SEEN_EXPIRED,
    SEEN_GONE,
    SEEN_BACK,
    SEEN_BELOW,
    SEEN_BEHIND,
    SEEN_AHEAD,
    SEEN_EMITTED,
    SEEN_DONE_AHEAD,
    SEEN_FRESH
};

static uint32_t below(uint32_t bound)
{
    return (uint32_t)el_rng_below(&rng, bound);
}

static void check(bool holds, const char *claim)
{
    if (!holds) {
        fail_msg("EL_MODEL_SEED=%llu: after %s: %s", (unsigned long long)seed, what, claim);
    }
}

/* --- a world ------------------------------------------------------------------------------------------------------ */

static struct lease_rules draw_rules(void)
{
    static const uint32_t multipliers[] = {1000, 1500, 2000, 10000};
    struct lease_rules rules = {
        .order = (enum lease_order)(below(6) % 4 % 3),
        .inflight_max = 1 + below(20),
        .attempts_max = below(5) == 0 ? -1 : 1 + (int32_t)below(4),
        .lease_ms = 1 + below(5000),
        .backoff_ms = below(4) == 0 ? 0 : below(2000),
        .backoff_multiplier_milli = multipliers[below(4)],
        .full_jitter = below(2) == 0,
        .age_max_ms = below(3) == 0 ? (int64_t)below(20000) : -1,
        .on_exhausted = (enum lease_exhausted)below(3),
    };
    rules.backoff_max_ms = rules.backoff_ms + below(20000);
    return rules;
}

static void draw_log(void)
{
    int64_t offset = 65536ll * below(3) + below(70000);
    for (uint32_t i = 0; i < MODEL_EVENTS_MAX; i++) {
        offset += 1 + (below(4) == 0 ? below(4) : 0) + (below(40) == 0 ? below(90000) : 0);
        m.events[i] = (struct model_event){
            .offset = offset,
            .hash = below(MODEL_HASHES),
            .append_ms = k.now.wall_ms - below(10000) + i * 20,
            .not_before_ms = below(8) == 0 ? k.now.wall_ms + below(60000) : 0,
            .passed = below(10) == 0,
            .state = LEASE_STATE_WAITING,
        };
    }
    m.count = MODEL_EVENTS_MAX;
}

static void world_open(void)
{
    memset(&m, 0, sizeof(m));
    m.rules = draw_rules();
    kit_open(&k, &m.rules, 0);
    m.now = k.now;
    draw_log();
    start_before = 0;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static void compare_events(void)
{
    uint32_t id = lease_tree_first(k.memory, k.t->entries);
    for (uint32_t i = m.from; i < m.to; i++) {
        const struct model_event *e = &m.events[i];
        if (!model_live(e)) {
            continue;
        }
        check(id != 0 && lease_node(k.memory, id)->at == e->offset, "an entry is missing, or one too many");
        const struct lease_node *n = lease_node(k.memory, id);
        check((int)lease_entry_state(n) == e->state, "an entry is in another state");
        check(n->attempts == e->attempts, "an entry has other attempts");
        check(e->state != LEASE_STATE_WAITING || model_is_behind(&m, i), "an event waits that is behind nothing");
        int before = e->state == LEASE_STATE_LEASED ? model_before(&m, i) : -1;
        check(before < 0 || m.events[before].returned, "an event is leased before an earlier one");
        check(before < 0 || m.events[before].state == LEASE_STATE_WAITING, "two of a key are in work");
        check(!(e->acknowledged && e->buried), "an event is both acknowledged and dead-lettered");
        id = lease_tree_next(k.memory, id);
    }
    check(id == 0, "an entry too many");
}

static void compare_keys(void)
{
    uint32_t hash = below(MODEL_HASHES);
    struct lease_why why;
    bool told = lease_why(k.t, model_hash(hash), &why);
    bool partition = m.rules.order == LEASE_ORDER_PARTITION;
    const struct model_event *first = NULL;
    uint32_t count = 0;
    for (uint32_t i = m.from; i < m.to && m.rules.order != LEASE_ORDER_NONE; i++) {
        const struct model_event *e = &m.events[i];
        if (model_live(e) && !e->unordered && (partition || (hash != 0 && e->hash == hash))) {
            bool leads = first == NULL || (first->state == LEASE_STATE_WAITING && e->state != LEASE_STATE_WAITING);
            first = leads ? e : first;
            count++;
        }
    }
    check(told == (first != NULL), "a key waits or does not");
    if (told) {
        check(why.offset == first->offset && (int)why.state == first->state, "a key waits for something else");
        check(why.behind == count - 1, "another number waits behind it");
        check(why.session == first->session || first->state != LEASE_STATE_LEASED, "somebody else has it");
    }
}

/* What a restart knows ahead of reading, counted as a whole and offset by offset. */
static void compare_ahead(void)
{
    if (below(64) != 0) {
        return;
    }
    int64_t from = lease_read_next(k.t) + (int64_t)below(3), end = from + (int64_t)below(1000), count = 0;
    for (int64_t offset = from; offset < end; offset++) {
        count += lease_position_finished(k.t, offset);
    }
    check(lease_finished_ahead(k.t, from, end) == count, "another number is finished ahead");
    seen[SEEN_DONE_AHEAD] += count > 0;
}

/* What a write does not look at is as if it had been looked at. */
static void compare_fresh(void)
{
    uint32_t block = below(16) != 0 ? 0 : lease_tree_first(k.memory, k.t->blocks);
    for (; block != 0; block = lease_tree_next(k.memory, block)) {
        int64_t begin = lease_node(k.memory, block)->at << LEASE_BLOCK_BITS;
        int64_t end = EL_MIN(begin + (1 << LEASE_BLOCK_BITS), k.t->read_to);
        for (int64_t at = begin + lease_node(k.memory, block)->fresh; at < end; at++) {
            uint32_t id = lease_tree_find(k.memory, k.t->entries, at);
            check(id != 0, "a fresh offset has no entry");
            check(lease_node(k.memory, id)->attempts == 0, "a fresh event was delivered");
            check(lease_entry_state(lease_node(k.memory, id)) < LEASE_STATE_SETTLING ||
                      lease_entry_state(lease_node(k.memory, id)) > LEASE_STATE_WRITING,
                  "a fresh event is done");
            seen[SEEN_FRESH]++;
        }
    }
}

static void compare(void)
{
    struct lease_counts counts = lease_counts(k.t);
    uint32_t of[LEASE_STATE_COUNT] = {0}, total = 0;
    for (uint32_t i = m.from; i < m.to; i++) {
        if (model_live(&m.events[i])) {
            of[m.events[i].state]++;
            total++;
        }
    }
    check(counts.total == total, "another number of entries");
    check(memcmp(counts.of, of, sizeof(of)) == 0, "other numbers in the states");
    int64_t start = model_start(&m);
    check(lease_start(k.t) == (start < 0 ? lease_read_next(k.t) : start), "the start is not the first unfinished one");
    check(lease_start(k.t) >= start_before, "the start went back");
    start_before = lease_start(k.t);
    compare_ahead();
    compare_fresh();
    check(lease_ready(k.t) == model_ready(&m), "ready or not");
    check(lease_halted(k.t) == model_halted(&m), "halted or not");
    check(of[LEASE_STATE_SETTLING] == 0 || lease_dirty(k.t), "something settles and nothing is to be written");
    compare_events();
    compare_keys();
}

/* --- calls to both ------------------------------------------------------------------------------------------------ */

/* What the table skips must be finished on the disk. */
static uint32_t next_unread(void)
{
    int64_t next = lease_read_next(k.t);
    uint32_t i = 0;
    for (; i < m.count && (m.events[i].read || m.events[i].offset < next); i++) {
        if (!m.events[i].read) {
            check(m.events[i].ahead_finished, "reading skips an event that is not finished");
            m.events[i].read = true;
            m.events[i].state = MODEL_FINISHED;
        }
    }
    return i;
}

static void do_add(void)
{
    uint32_t times = 1 + below(4);
    for (uint32_t n = 0; n < times && lease_counts(k.t).total < LIVE_MAX; n++) {
        uint32_t i = next_unread();
        if (i == m.count) {
            return;
        }
        const struct model_event *e = &m.events[i];
        struct lease_record record = {.offset = e->offset,
                                      .key_hash = model_hash(e->hash),
                                      .append_ms = e->append_ms,
                                      .not_before_ms = e->not_before_ms,
                                      .passed = e->passed,
                                      .death = e->intent,
                                      .emits = e->emits};
        assert_int_equal(lease_add(k.t, &record, k.now), 0);
        model_add(&m, i);
        if (below(8) == 0 && i > 0) {
            lease_read_to(k.t, e->offset + 1);
            /* What was added before is known. */
            record.offset = m.events[below(i)].offset;
            assert_int_equal(lease_add(k.t, &record, k.now), 0);
        }
    }
}

static void do_acquire(void)
{
    struct lease_grant got[16], expected[16];
    uint64_t session = 1 + below(SESSIONS);
    uint32_t max = below(8) == 0 ? 16 : 1 + below(4);
    uint32_t count = lease_acquire(k.t, session, k.now, got, max);
    check(count == model_acquire(&m, session, expected, max), "another number was leased");
    for (uint32_t i = 0; i < count; i++) {
        check(got[i].offset == expected[i].offset && got[i].attempts == expected[i].attempts, "another grant");
        seen[SEEN_GRANT]++;
    }
    for (uint32_t i = count; i > 0 && below(6) == 0; i--) {
        check(lease_unacquire(k.t, session, got[i - 1].offset, k.now), "a lease cannot be taken back");
        model_unacquire(&m, (uint32_t)model_find(&m, got[i - 1].offset));
    }
}

/* Ranges of what the session has, each for some events that follow one another. */
static uint32_t draw_outcomes(uint64_t session, struct lease_outcome *out, uint32_t max)
{
    uint32_t count = 0;
    int64_t last = -2;
    for (uint32_t i = m.from; i < m.to; i++) {
        const struct model_event *e = &m.events[i];
        if (!model_live(e) || e->state != LEASE_STATE_LEASED || e->session != session || below(4) == 0) {
            continue;
        }
        if (count > 0 && last + 1 == e->offset && below(3) > 0) {
            out[count - 1].last = last = e->offset;
            continue;
        }
        if (count == max) {
            break;
        }
        enum lease_outcome_kind kind = below(3) == 0 ? (enum lease_outcome_kind)below(6) : LEASE_ACCEPT;
        out[count] = (struct lease_outcome){.first = e->offset, .last = e->offset, .kind = kind, .delay_ms = -1};
        if (below(4) == 0) {
            out[count].delay_ms = below(3) == 0 ? 0 : (int64_t)below(3000);
        }
        if (kind == LEASE_ACCEPT && below(3) == 0) {
            out[count].emit_count = 1; /* the next ones cannot be of the same range */
            last = -2;
        } else {
            last = e->offset;
        }
        count++;
    }
    return count;
}

static void spoil_outcomes(struct lease_outcome *out, uint32_t *count)
{
    struct lease_outcome *o = &out[below(EL_MAX(*count, 1u))];
    if (*count == 0) {
        *count = 1;
        *o = (struct lease_outcome){.kind = (enum lease_outcome_kind)below(6), .delay_ms = -1};
        o->first = o->last = m.events[below(m.count)].offset;
    }
    switch (below(6)) {
    case 0:
        o->last += below(5);
        break;
    case 1:
        o->first -= below(5);
        break;
    case 2:
        o->delay_ms = below(2) == 0 ? -2 : LEASE_DELAY_MS_MAX + 1;
        break;
    case 3:
        o->kind = LEASE_GAP;
        o->last += below(80000);
        break;
    case 4:
        out[*count] = *o;
        *count += 1;
        break;
    default:
        o->first = o->last = m.events[below(m.count)].offset;
        break;
    }
}

static void do_settle(void)
{
    struct lease_outcome out[8];
    uint64_t session = 1 + below(SESSIONS);
    uint32_t count = draw_outcomes(session, out, 6);
    if (below(5) == 0) {
        spoil_outcomes(out, &count);
    }
    if (below(20) == 0) {
        session = 1 + below(SESSIONS);
    }
    int err = lease_settle(k.t, session, out, count, k.now);
    check(err == 0 || err == EVLOG_ERR_ARGUMENT, "settling has an error of its own");
    check((err == 0) == model_settle(&m, session, out, count, lease_read_next(k.t)), "outcomes are taken or refused");
    seen[err == 0 ? SEEN_SETTLED : SEEN_REFUSED]++;
}

/* The answer could not be made: some time after they were leased. */
static void do_unacquire(void)
{
    for (uint32_t i = m.from; i < m.to; i++) {
        const struct model_event *e = &m.events[i];
        if (model_live(e) && e->state == LEASE_STATE_LEASED && below(3) == 0) {
            check(!lease_unacquire(k.t, SESSIONS + 1, e->offset, k.now), "somebody else takes a lease back");
            check(lease_unacquire(k.t, e->session, e->offset, k.now), "a lease cannot be taken back");
            model_unacquire(&m, i);
        }
    }
}

static void do_release(void)
{
    uint64_t session = 1 + below(SESSIONS);
    lease_release_session(k.t, session, k.now);
    model_release_session(&m, session);
}

static void do_tick(void)
{
    int64_t ms = below(3) == 0 ? below(6000) : below(300);
    k.now.mono_ns += (uint64_t)ms * 1000000 + below(1000);
    k.now.wall_ms += ms;
    if (below(50) == 0) {
        k.now.wall_ms += (int64_t)below(40000) - 20000;
    }
    m.now = k.now;
    uint32_t leased = model_count(&m, LEASE_STATE_LEASED);
    if (below(4) == 0) {
        return; /* the clock is ahead of the last tick */
    }
    uint64_t next = lease_tick(k.t, k.now);
    check(next == model_tick(&m), "the next tick is due at another time");
    seen[SEEN_EXPIRED] += leased - model_count(&m, LEASE_STATE_LEASED);
}

/* One that was dead when it was read, and waits: its letter may be in the topic since before a restart. */
static void do_dead_early(void)
{
    for (uint32_t i = 0; i < m.count; i++) {
        struct model_event *e = &m.events[i];
        if (model_dead_waits(&m, e->offset)) {
            e->intent = e->death;
            check(lease_dead_waits(k.t, e->offset), "one that was dead does not wait");
            check(lease_dead_done(k.t, e->offset) && model_dead_done(&m, e->offset), "dead or not");
            seen[SEEN_DEAD_EARLY]++;
            return;
        }
    }
}

/* The engine: intents are stored before the append, and the append is done before the table is told. */
static void do_dead(void)
{
    struct lease_dead got, expected;
    bool told = lease_next_dying(k.t, &got);
    check(told == model_next_dying(&m, &expected), "something dies or does not");
    if (told) {
        check(got.offset == expected.offset && got.attempts == expected.attempts && got.death == expected.death,
              "something else dies");
        struct model_event *e = &m.events[model_find(&m, got.offset)];
        if (got.death == LEASE_DEATH_CHECK) {
            seen[SEEN_CHECK]++;
        } else if (below(2) == 0) {
            e->intent = got.death;
        }
        if (got.death == LEASE_DEATH_EXHAUSTED && m.rules.on_exhausted == LEASE_PARK && e->hash != 0 &&
            m.parked[e->hash] < 3) {
            assert_int_equal(lease_park_hash(k.t, model_hash(e->hash)), 0);
            model_park(&m, e->hash);
        }
    }
    /* And what becomes of one that was told. */
    uint32_t i = below(m.count);
    while (i < m.count && !(model_live(&m.events[i]) &&
                            (m.events[i].state == LEASE_STATE_BURIED || m.events[i].state == LEASE_STATE_CHECKING))) {
        i++;
    }
    int64_t offset = m.events[i < m.count ? i : below(m.count)].offset;
    uint32_t how = below(4);
    if (how == 0) {
        check(lease_dead_retry(k.t, offset) == model_dead_retry(&m, offset), "told again or not");
    } else if (how == 1 || (i < m.count && m.events[i].state == LEASE_STATE_CHECKING && how == 2)) {
        check(lease_check_passed(k.t, offset, k.now) == model_check_passed(&m, offset), "passes or does not");
    } else if (i < m.count) {
        m.events[i].intent = m.events[i].state == LEASE_STATE_CHECKING ? LEASE_DEATH_PARKED_KEY : m.events[i].death;
        check(lease_dead_done(k.t, offset) && model_dead_done(&m, offset), "dead or not");
        seen[SEEN_DEAD]++;
    } else {
        bool waits = model_dead_waits(&m, offset);
        check(lease_dead_waits(k.t, offset) == waits, "one that was dead waits or does not");
        check(waits || lease_dead_done(k.t, offset) == model_dead_done(&m, offset), "what was not told is done");
    }
    if (below(2) == 0) {
        do_dead_early();
    }
}

/* The engine: what was emitted is stored before it is published, and is published before the table is told. */
static void do_emit(void)
{
    uint32_t i = below(m.count);
    while (i < m.count && !(model_live(&m.events[i]) && m.events[i].state == LEASE_STATE_EMITTING)) {
        i++;
    }
    if (i < m.count) {
        m.events[i].emits = m.events[i].emits || below(2) == 0;
        if (below(2) == 0) {
            m.events[i].emits = true;
            check(lease_emit_done(k.t, m.events[i].offset) && model_emit_done(&m, m.events[i].offset, 0), "it emits");
            seen[SEEN_EMITTED]++;
        }
        return;
    }
    /* One that was restored, and is read or is not, or has been told. */
    for (i = 0; i < m.count; i++) {
        if (m.events[i].emits && below(4) == 0) {
            int64_t offset = m.events[i].offset;
            check(lease_emit_done(k.t, offset) == model_emit_done(&m, offset, lease_read_next(k.t)), "emitted or not");
        }
    }
}

static void do_park(void)
{
    uint32_t hash = 1 + below(MODEL_HASHES - 1);
    if (m.parked[hash] > 0 && below(3) > 0) {
        lease_unpark_hash(k.t, model_hash(hash), k.now);
        model_unpark(&m, hash);
    } else if (below(8) == 0) {
        assert_int_equal(lease_park_hash(k.t, model_hash(hash)), 0);
        model_park(&m, hash);
    }
}

static void do_write(void)
{
    uint32_t gone = k.gone_count;
    if (m.writing) {
        bool durable = below(5) > 0;
        kit_write_end(&k, durable);
        model_write_end(&m, durable);
        return;
    }
    kit_write_begin(&k);
    model_write_begin(&m, lease_read_next(k.t));
    check(k.pending_start == m.pending_start, "a write carries another start");
    check(lease_write_start(k.t) == k.pending_start, "the start of a write is forgotten");
    seen[SEEN_GONE] += k.gone_count - gone;
}

static void do_restart(void)
{
    kit_restart(&k);
    model_restart(&m);
    for (uint32_t i = 0; i < m.count; i++) { /* another filter */
        m.events[i].passed = below(8) == 0 ? below(4) == 0 : m.events[i].passed;
    }
    for (uint32_t hash = 1; hash < MODEL_HASHES; hash++) {
        for (uint32_t i = 0; i < m.parked[hash]; i++) {
            assert_int_equal(lease_park_hash(k.t, model_hash(hash)), 0);
        }
    }
    start_before = 0;
    seen[SEEN_RESTART]++;
}

static void do_start(void)
{
    int64_t offset = lease_start(k.t) + (below(4) == 0 ? -1 : (int64_t)below(6));
    if (below(100) == 0) {
        offset = lease_read_next(k.t) + below(100000);
    }
    bool moves = offset > lease_start(k.t);
    check(lease_set_start(k.t, offset, k.now), "few entries take many steps");
    if (moves) {
        model_set_start(&m, offset);
    }
}

static void do_reset(void)
{
    int64_t offset = m.events[below(m.count)].offset - 1;
    check(lease_reset(k.t, offset), "few entries take many steps");
    model_reset(&m, offset);
    for (uint32_t i = 0; i < m.count; i++) {
        m.events[i].acknowledged = m.events[i].buried = false;
        m.events[i].intent = LEASE_DEATH_NONE;
        m.events[i].emits = false;
    }
    /* Until the next write is durable a restart would find what was before, so nothing else is called meanwhile. */
    if (m.writing) {
        do_write();
    }
    kit_write(&k);
    model_write_begin(&m, lease_read_next(k.t));
    model_write_end(&m, true);
    start_before = 0;
}

/* A dead letter, or any other that is finished, is to be worked on once more. */
static void do_reopen(void)
{
    uint32_t i = below(m.count);
    (void)next_unread();
    if (below(3) > 0) {
        i = m.from - below(EL_MIN(m.from, 30u) + 1); /* near the start */
        i = EL_MIN(i, m.count - 1);
    }
    bool ahead = below(4) == 0;
    for (uint32_t n = m.to; ahead && n < m.count; n++) { /* or one that was not read again */
        if (!m.events[n].read && m.events[n].ahead_finished && below(3) == 0) {
            i = n;
            break;
        }
    }
    const struct model_event *e = &m.events[i];
    if (e->passed || e->offset < m.log_start || lease_counts(k.t).total >= LIVE_MAX) {
        return;
    }
    struct lease_record record = {.offset = e->offset,
                                  .key_hash = model_hash(e->hash),
                                  .append_ms = e->append_ms,
                                  .not_before_ms = e->not_before_ms};
    bool open, was_read = e->read, is_below = e->offset < lease_start(k.t);
    bool ending;
    int code = lease_reopen(k.t, &record, k.now, &open);
    bool back = model_reopen(&m, i, &ending);
    check(code == (ending ? EVLOG_ERR_AGAIN : 0), "it is about to end or not");
    check(open == !back, "it is open already or not");
    if (back) {
        start_before = 0;
        seen[SEEN_BACK]++;
        seen[SEEN_BELOW] += is_below;
        seen[SEEN_AHEAD] += !was_read;
        seen[SEEN_BEHIND] += was_read && e->state == LEASE_STATE_WAITING;
        check(lease_dirty(k.t), "what has come back is not to be stored");
    }
}

static void do_rules(void)
{
    struct lease_rules rules = draw_rules();
    bool other_order = rules.order != m.rules.order;
    bool live = lease_counts(k.t).total > 0;
    int err = lease_set_rules(k.t, &rules);
    check(err == (other_order && live ? EVLOG_ERR_AGAIN : 0), "rules are taken or refused");
    if (err == 0) {
        model_set_rules(&m, &rules);
        k.rules = rules;
    }
}

static void do_resume(void)
{
    seen[SEEN_HALT] += lease_halted(k.t) >= 0;
    lease_resume(k.t, k.now);
    model_resume(&m);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*run)(void);
    uint32_t weight;
} ops[] = {
    {"add", do_add, 25},    {"acquire", do_acquire, 20}, {"settle", do_settle, 25},      {"release", do_release, 1},
    {"tick", do_tick, 12},  {"dead", do_dead, 10},       {"park", do_park, 2},           {"write", do_write, 20},
    {"start", do_start, 1}, {"resume", do_resume, 2},    {"unacquire", do_unacquire, 1}, {"reopen", do_reopen, 3},
    {"emit", do_emit, 10},
};
/* Seldom ones, one in a thousand each unit. */
static const struct {
    const char *name;
    void (*run)(void);
    uint32_t of_1000;
} seldom[] = {{"restart", do_restart, 5}, {"reset", do_reset, 1}, {"rules", do_rules, 4}};

static void run_one(void)
{
    k.draw = m.draw = el_rng_next(&rng);
    uint32_t draw = below(1000);
    for (size_t i = 0; i < sizeof(seldom) / sizeof(*seldom); i++) {
        if (draw < seldom[i].of_1000) {
            what = seldom[i].name;
            seldom[i].run();
            return;
        }
        draw -= seldom[i].of_1000;
    }
    uint32_t total = 0;
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        total += ops[i].weight;
    }
    draw = below(total);
    for (size_t i = 0; draw < total; i++) {
        if (draw < ops[i].weight) {
            what = ops[i].name;
            ops[i].run();
            return;
        }
        draw -= ops[i].weight;
    }
}

static void run_world(uint64_t world_seed, uint32_t op_count)
{
    seed = world_seed;
    el_rng_seed(&rng, seed);
    world_open();
    for (uint32_t i = 0; i < op_count; i++) {
        run_one();
        model_narrow(&m);
        compare();
    }
    if (m.writing) {
        kit_write_end(&k, true);
    }
    kit_close(&k);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

TEST(lease_model, the_table_does_what_the_model_says_whatever_is_called)
{
    uint64_t left = number_of("EL_MODEL_OPS", OPS_DEFAULT);
    uint64_t alone = number_of("EL_MODEL_SEED", UINT64_MAX);
    memset(seen, 0, sizeof(seen));
    if (alone != UINT64_MAX) {
        run_world(alone, WORLD_OPS);
        return;
    }
    for (uint64_t world = 1; left > 0; world++) {
        uint32_t count = (uint32_t)EL_MIN(left, (uint64_t)WORLD_OPS);
        run_world(world, count);
        left -= count;
    }
    for (uint32_t i = SEEN_GRANT; i <= SEEN_FRESH; i++) {
        if (seen[i] < SEEN_LEAST) {
            fail_msg("the run shows little: kind %u was seen %llu times", i, (unsigned long long)seen[i]);
        }
    }
    if (getenv("EL_MODEL_OPS") != NULL) {
        printf("leased %llu settled %llu refused %llu dead %llu checked %llu resumed %llu restarts %llu expired %llu "
               "gone %llu back %llu below %llu behind %llu ahead %llu emitted %llu done ahead %llu dead early %llu "
               "fresh %llu\n",
               (unsigned long long)seen[SEEN_GRANT], (unsigned long long)seen[SEEN_SETTLED],
               (unsigned long long)seen[SEEN_REFUSED], (unsigned long long)seen[SEEN_DEAD],
               (unsigned long long)seen[SEEN_CHECK], (unsigned long long)seen[SEEN_HALT],
               (unsigned long long)seen[SEEN_RESTART], (unsigned long long)seen[SEEN_EXPIRED],
               (unsigned long long)seen[SEEN_GONE], (unsigned long long)seen[SEEN_BACK],
               (unsigned long long)seen[SEEN_BELOW], (unsigned long long)seen[SEEN_BEHIND],
               (unsigned long long)seen[SEEN_AHEAD], (unsigned long long)seen[SEEN_EMITTED],
               (unsigned long long)seen[SEEN_DONE_AHEAD], (unsigned long long)seen[SEEN_DEAD_EARLY],
               (unsigned long long)seen[SEEN_FRESH]);
    }
}
