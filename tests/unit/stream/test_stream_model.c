/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: admission answers what stream_model.c answers, whatever is in tables, cache and runs, whatever is taken back,
 * given up or lost and read from the log again.
 * Method: small worlds drawn from a seed, each with tables and caches that are much too small. Appends of several
 * partitions wait for lookups beside each other; retries repeat whole batches and parts of them. After each call both
 * are compared; the runs at the end hold every entry of the log once. A failure prints the world's seed;
 * EL_MODEL_SEED=N runs that world alone, EL_MODEL_OPS=N sets how many calls are made in all.
 */
#include "stream_kit.h"
#include "stream_model.h"

#include <core/rng.h>
#include <evlog/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define WORLD_OPS 4000
#ifdef __SANITIZE_ADDRESS__
#define OPS_DEFAULT 60000
#else
#define OPS_DEFAULT 1000000
#endif

/* An append of one partition, from its first call to its answer. */
struct pending {
    bool active;
    bool unanswered; /* its lookups */
    struct model_batch in;
    struct stream_batch batch;
    struct stream_record records[MODEL_RECORDS];
    struct stream_check checks[MODEL_CHECKS];
};

static struct kit k;
static struct model m;
static struct el_rng rng;
static uint64_t seed;
static struct pending pending[MODEL_SLOTS];
static int64_t reached[MODEL_SLOTS];    /* the index knows the log below */
static int64_t frozen_end[MODEL_SLOTS]; /* with the frozen table as the newest */
static int64_t covered[MODEL_SLOTS];    /* by runs alone */
static uint32_t key_count;
static char key_names[MODEL_KEYS][24];
static struct el_hash128 key_hashes[MODEL_KEYS], id_hashes[MODEL_KEYS][MODEL_IDS], type_hashes[MODEL_TYPES];
static uint64_t seen_admitted, seen_duplicate, seen_conflict, seen_ended, seen_wrong, seen_undone, seen_given_up,
    seen_full, seen_crash, seen_torn, by_memory, by_heads, by_filters, by_runs;

static uint32_t below(uint32_t bound)
{
    return (uint32_t)el_rng_below(&rng, bound);
}

static void check(bool holds, const char *claim)
{
    if (!holds) {
        print_error("world of seed %llu: %s\n", (unsigned long long)seed, claim);
        fail();
    }
}

static void names_make(void)
{
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        char id[16];
        snprintf(key_names[key], sizeof(key_names[key]), "%.*s%u", (int)(key % 13), "stream-of-order", key);
        key_hashes[key] = kit_key(key_names[key]);
        for (uint32_t i = 0; i < MODEL_IDS; i++) {
            snprintf(id, sizeof(id), "id%u", i);
            id_hashes[key][i] = stream_hash_id(&kit_secret, el_slice_str(key_names[key]), el_slice_str(id));
        }
    }
    for (uint32_t i = 0; i < MODEL_TYPES; i++) {
        type_hashes[i] = stream_hash_type(&kit_secret, el_slice_of(&"abcde"[i], 1));
    }
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static int64_t expected_draw(const struct model_stream *stream, uint32_t ahead)
{
    switch (below(8)) {
    case 0:
        return STREAM_NONE;
    case 1:
        return STREAM_EXISTS;
    case 2:
        return below(6);
    case 3:
    case 4:
        return stream->count + ahead == 0 ? STREAM_NONE : stream->count + (int64_t)ahead - 1; /* mostly right */
    default:
        return STREAM_ANY;
    }
}

static int key_draw(void)
{
    return (int)(below(3) == 0 ? below(EL_MIN(key_count, 4u)) : below(key_count));
}

static struct model_record record_draw(const struct model_slot *slot, const struct model_batch *before)
{
    struct model_record r = {.key = -1, .id = -1, .type = below(3) == 0 ? (int)below(MODEL_TYPES) : -1};
    r.expected = STREAM_ANY;
    if (below(20) == 0) {
        return r;
    }
    r.key = key_draw();
    r.id = below(4) == 0 ? (int)below(MODEL_IDS) : -1;
    uint32_t ahead = 0;
    for (uint32_t i = 0; i < before->record_count; i++) {
        ahead += before->records[i].key == r.key;
    }
    r.expected = expected_draw(&slot->streams[r.key], ahead);
    r.soft = below(30) == 0;
    r.hard = !r.soft && below(1500) == 0;
    return r;
}

/* A batch that was appended before, or a part of it. */
static bool batch_again(const struct model_slot *slot, struct model_batch *b)
{
    if (slot->log_count == 0) {
        return false;
    }
    int64_t base = slot->batch_at[below((uint32_t)slot->log_count)];
    bool part = below(4) == 0;
    for (int64_t at = base; at < slot->log_count && slot->batch_at[at] == base; at++) {
        b->records[b->record_count++] = slot->log[at];
        if (part && below(2) == 0) {
            break;
        }
    }
    return true;
}

static void batch_draw(const struct model_slot *slot, struct model_batch *b)
{
    b->record_count = b->check_count = 0;
    if (below(10) > 0 || !batch_again(slot, b)) {
        uint32_t count = below(30) == 0 ? 1 + below(MODEL_RECORDS) : 1 + below(4);
        while (b->record_count < count) {
            b->records[b->record_count] = record_draw(slot, b);
            b->record_count++;
        }
    }
    if (below(4) == 0) {
        b->check_count = below(MODEL_CHECKS + 1);
        for (uint32_t i = 0; i < b->check_count; i++) {
            int key = key_draw();
            b->checks[i] = (struct model_check){key, expected_draw(&slot->streams[key], 0)};
        }
    }
}

static void record_fill(const struct model_record *in, uint32_t index, struct stream_record *out)
{
    *out = (struct stream_record){.expected = in->expected, .offset_delta = index};
    if (in->key >= 0) {
        out->flags |= STREAM_RECORD_KEY;
        out->key = key_hashes[in->key];
        out->key_bytes = el_slice_str(key_names[in->key]);
    }
    if (in->key >= 0 && in->id >= 0) {
        out->flags |= STREAM_RECORD_ID;
        out->id = id_hashes[in->key][in->id];
    }
    if (in->type >= 0) {
        out->flags |= STREAM_RECORD_TYPE;
        out->type = type_hashes[in->type];
    }
    out->flags |= in->soft ? STREAM_RECORD_SOFT : 0;
    out->flags |= in->hard ? STREAM_RECORD_HARD : 0;
}

static void batch_fill(struct pending *p)
{
    p->batch = (struct stream_batch){.records = p->records, .checks = p->checks};
    p->batch.record_count = p->in.record_count;
    p->batch.check_count = p->in.check_count;
    for (uint32_t i = 0; i < p->in.record_count; i++) {
        record_fill(&p->in.records[i], i, &p->records[i]);
    }
    for (uint32_t i = 0; i < p->in.check_count; i++) {
        const struct model_check *in = &p->in.checks[i];
        p->checks[i] = (struct stream_check){.key = key_hashes[in->key], .expected = in->expected};
    }
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

static void flush(void)
{
    kit_flush(&k);
    memcpy(covered, frozen_end, sizeof(covered));
}

static void freeze(void)
{
    if (k.view.frozen != NULL) {
        flush();
    }
    kit_freeze(&k);
    memcpy(frozen_end, reached, sizeof(frozen_end));
}

static void answer(struct stream_batch *batch, uint32_t slot)
{
    uint32_t count;
    struct stream_lookup *lookups = stream_admit_lookups(batch, &count);
    kit_answer(&k, lookups, count, slot + 1);
}

/* --- appends ------------------------------------------------------------------------------------------------------ */

static void compare(const struct pending *p, uint32_t slot, int code)
{
    struct model_answer should;
    model_decide(&m, slot, &p->in, &should);
    check(code == should.code, "the code is the model's");
    check(p->batch.failed_index == should.failed_index, "the record that failed is the model's");
    for (uint32_t i = 0; i < p->in.record_count; i++) {
        check(p->records[i].version == should.versions[i], "versions are the model's");
        check(p->records[i].offset == should.offsets[i], "offsets are the model's");
    }
    bool by_version = code == EVLOG_ERR_WRONG_VERSION || code == EVLOG_ERR_STREAM_ENDED;
    for (uint32_t i = 0; by_version && i < p->in.check_count; i++) {
        const struct model_stream *stream = &m.slots[slot].streams[p->in.checks[i].key];
        check(p->checks[i].failed == should.check_failed[i], "failed checks are the model's");
        check(p->checks[i].current == stream->count - 1, "what a check tells is the model's");
        check(p->checks[i].ended == stream->hard, "an end is told");
        check(p->checks[i].deleted == (stream->soft || stream->hard), "a deletion is told");
    }
    if (code != 0) {
        check(p->batch.cited == should.cited, "nothing newer is spoken of than the model does");
    }
    int failed = p->batch.failed_index;
    if (failed >= 0 && should.versions[failed] < 0 && by_version) {
        const struct model_stream *stream = &m.slots[slot].streams[p->in.records[failed].key];
        check(p->batch.told.current == stream->count - 1, "what a record is told is the model's");
    }
    seen_admitted += code == 0;
    seen_duplicate += code == EVLOG_ERR_EXISTS;
    seen_conflict += code == EVLOG_ERR_ID_CONFLICT;
    seen_ended += code == EVLOG_ERR_STREAM_ENDED;
    seen_wrong += code == EVLOG_ERR_WRONG_VERSION;
}

static void give_up(struct pending *p)
{
    stream_admit_forget(&k.view, &p->batch);
    p->active = false;
    seen_given_up++;
}

static void append_step(uint32_t slot)
{
    struct pending *p = &pending[slot];
    if (!p->active) {
        batch_draw(&m.slots[slot], &p->in);
        batch_fill(p);
        p->active = true;
        p->unanswered = false;
    }
    if (p->unanswered) {
        answer(&p->batch, slot);
        p->unanswered = false;
    }
    int code = stream_admit(&k.view, slot + 1, m.slots[slot].log_count, &p->batch);
    if (code == EVLOG_ERR_AGAIN) {
        p->unanswered = below(2) == 0;
        if (!p->unanswered) {
            answer(&p->batch, slot); /* by the runs of now; flushes may come before they are read */
        }
        if (below(20) == 0) {
            give_up(p);
        }
        return;
    }
    if (code == EVLOG_ERR_FULL) {
        seen_full++;
        freeze();
        if (below(10) == 0) {
            give_up(p);
        }
        return;
    }
    compare(p, slot, code);
    check(p->batch.private_ == NULL, "nothing is remembered of a batch that is answered");
    p->active = false;
    if (code == 0 && below(10) == 0) {
        stream_table_undo(k.view.active, k.view.undo); /* the append found no room after all */
        seen_undone++;
    } else if (code == 0) {
        model_append(&m, slot, &p->in);
        reached[slot] = m.slots[slot].log_count;
    }
}

/* --- crash and catching up ---------------------------------------------------------------------------------------- */

/* returns false when it was cut off by another crash */
static bool replay_slot(uint32_t slot)
{
    static struct pending p;
    struct model_slot *s = &m.slots[slot];
    while (reached[slot] < s->log_count) {
        int64_t base = s->batch_at[reached[slot]];
        uint32_t done = (uint32_t)(reached[slot] - base);
        p.in.record_count = p.in.check_count = 0;
        for (int64_t at = base; at < s->log_count && s->batch_at[at] == base; at++) {
            p.in.records[p.in.record_count++] = s->log[at];
        }
        batch_fill(&p);
        int code;
        while ((code = stream_admit_replay(&k.view, slot + 1, base, &p.batch, &done)) != 0) {
            reached[slot] = base + done;
            if (code == EVLOG_ERR_AGAIN) {
                answer(&p.batch, slot);
            } else {
                check(code == EVLOG_ERR_FULL, "only a full table stops catching up");
                seen_torn += done > 0;
                freeze();
            }
            if (below(50) == 0) {
                stream_admit_forget(&k.view, &p.batch);
                return false;
            }
        }
        reached[slot] = base + p.in.record_count;
    }
    return true;
}

static void look(uint32_t slot, int key);

static void crash(void)
{
    bool whole;
    do {
        for (uint32_t slot = 0; slot < MODEL_SLOTS; slot++) {
            stream_admit_forget(&k.view, &pending[slot].batch);
            pending[slot].active = false;
        }
        kit_crash(&k);
        memcpy(reached, covered, sizeof(reached));
        seen_crash++;
        whole = true;
        for (uint32_t slot = 0; slot < MODEL_SLOTS && whole; slot++) {
            whole = replay_slot(slot);
        }
    } while (!whole);
    for (uint32_t key = 0; key < key_count; key++) {
        look(below(MODEL_SLOTS), (int)key);
    }
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

static void look_into_table(const struct stream_table *table, uint32_t slot, int key)
{
    enum { ROOM = 12 };
    const struct model_stream *stream = &m.slots[slot].streams[key];
    struct el_stream_entry first, last, found[ROOM];
    if (stream_table_find(table, slot + 1, key_hashes[key], 0, UINT64_MAX, false, &first, 1) == 0) {
        return;
    }
    check(stream_table_newest(table, slot + 1, key_hashes[key], &last), "what has a first event has a last one");
    uint64_t low = below((uint32_t)last.position + 3), high = low + below(20);
    bool descending = below(2) == 0;
    uint32_t room = below(ROOM + 1);
    uint32_t count = stream_table_find(table, slot + 1, key_hashes[key], low, high, descending, found, room);
    low = EL_MAX(low, first.position);
    high = EL_MIN(high, last.position);
    check(count == (low > high ? 0 : EL_MIN(room, high - low + 1)), "as many are found as there are");
    for (uint32_t i = 0; i < count; i++) {
        check(found[i].position == (descending ? high - i : low + i), "versions are dense");
        check(stream_place_offset(found[i].place) == stream->offsets[found[i].position], "each is where it is");
    }
}

static void look(uint32_t slot, int key)
{
    const struct model_stream *stream = &m.slots[slot].streams[key];
    struct stream_head head;
    int found = stream_view_head(&k.view, slot + 1, key_hashes[key], &head);
    if (found == 1) {
        check(head.version == stream->count - 1, "a head is the model's");
        check(stream_place_offset(head.place) == stream->offsets[head.version], "its place too");
        check(((head.place & STREAM_PLACE_SOFT) != 0) == stream->soft, "a soft deletion is in it");
        check(((head.place & STREAM_PLACE_HARD) != 0) == stream->hard, "a hard deletion is in it");
    } else if (found == 0) {
        check(stream->count == 0, "a stream that is not there has no event");
    }
    look_into_table(k.view.active, slot, key);
    if (k.view.frozen != NULL) {
        look_into_table(k.view.frozen, slot, key);
    }
}

/* --- worlds ------------------------------------------------------------------------------------------------------- */

static void runs_hold_the_log(void)
{
    uint64_t entries = 0, names = 0;
    for (uint32_t slot = 0; slot < MODEL_SLOTS; slot++) {
        for (int64_t at = 0; at < m.slots[slot].log_count; at++) {
            const struct model_record *r = &m.slots[slot].log[at];
            entries += (r->key >= 0) + (r->key >= 0 && r->id >= 0) + (r->type >= 0) + r->soft + r->hard;
        }
        for (uint32_t key = 0; key < MODEL_KEYS; key++) {
            names += m.slots[slot].streams[key].count > 0;
        }
    }
    check(k.run_entries == entries, "every entry of the log is in a run, once");
    check(k.run_names == names, "every stream is named once");
}

static void world(uint64_t world_seed, uint64_t ops)
{
    static const uint64_t table_memories[] = {STREAM_TABLE_MEMORY_MIN, 100000, 200000};
    seed = world_seed;
    el_rng_seed(&rng, seed);
    kit_begin(&k, table_memories[below(3)], below(2) == 0 ? 4096 : 32768);
    k.filters_lie = below(4) == 0;
    bool eager = below(2) == 0; /* tables are frozen before they are full */
    key_count = below(3) == 0 ? 1 + below(6) : 1 + below(MODEL_KEYS);
    model_begin(&m);
    memset(pending, 0, sizeof(pending));
    memset(reached, 0, sizeof(reached));
    memset(covered, 0, sizeof(covered));
    memset(frozen_end, 0, sizeof(frozen_end));
    for (uint64_t i = 0; i < ops; i++) {
        uint32_t what = below(1000);
        if (what < 900) {
            append_step(below(MODEL_SLOTS));
        } else if (what < 980) {
            look(below(MODEL_SLOTS), key_draw());
        } else if (what < 988) {
            if (eager && k.view.frozen == NULL) {
                freeze();
            }
        } else if (what < 996) {
            if (k.view.frozen != NULL) {
                flush();
            }
        } else if (what == 999) {
            crash();
        }
    }
    for (uint32_t slot = 0; slot < MODEL_SLOTS; slot++) {
        stream_admit_forget(&k.view, &pending[slot].batch);
    }
    freeze();
    flush();
    runs_hold_the_log();
    by_memory += k.view.by_memory;
    by_heads += k.view.by_heads;
    by_filters += k.view.by_filters;
    by_runs += k.view.by_runs;
    model_end(&m);
    kit_end(&k);
}

TEST(stream_model, admission_answers_as_the_model_does)
{
    const char *one = getenv("EL_MODEL_SEED"), *many = getenv("EL_MODEL_OPS");
    uint64_t ops = many == NULL ? OPS_DEFAULT : strtoull(many, NULL, 10);
    names_make();
    if (one != NULL) {
        world(strtoull(one, NULL, 10), WORLD_OPS);
        return;
    }
    for (uint64_t i = 0; i * WORLD_OPS < ops; i++) {
        world(i + 1, WORLD_OPS);
    }
    const uint64_t seen[] = {seen_admitted, seen_duplicate, seen_conflict, seen_ended, seen_wrong,
                             seen_undone,   seen_given_up,  seen_full,     seen_crash, seen_torn,
                             by_memory,     by_heads,       by_filters,    by_runs};
    for (uint32_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        print_message("%llu ", (unsigned long long)seen[i]);
        check(ops < OPS_DEFAULT || seen[i] >= ops / 100000, "everything that is meant to happen does");
    }
    print_message("admitted, duplicate, conflict, ended, wrong, undone, given up, full, crash, torn, by memory, heads, "
                  "filters, runs\n");
}
