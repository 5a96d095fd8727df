/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_asks.h.
 */
#include "stream_asks.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_PPM 150000u /* of a step, for each who has nothing under way */

static const char *const prefixes[] = {"", "k1", "k33", "x"};

void stream_asks_init(struct stream_asks *a, struct stream_model *m)
{
    memset(a, 0, sizeof(*a));
    a->m = m;
    a->asks = calloc(ASKS_MAX, sizeof(*a->asks));
    EL_ASSERT(a->asks != NULL);
    stream_sifts_init(&a->sifts, m);
    for (uint32_t i = 0; i < ASKERS_MAX; i++) {
        a->askers[i].a = a;
    }
}

void stream_asks_free(struct stream_asks *a)
{
    stream_sifts_free(&a->sifts);
    free(a->asks);
}

void stream_asks_clear(struct stream_asks *a)
{
    a->ask_count = 0;
    a->sifts.count = 0;
    memset(a->acked_end, 0, sizeof(a->acked_end));
}

void stream_asks_acked(struct stream_asks *a, int32_t partition, int64_t offset)
{
    a->acked_end[partition] = EL_MAX(a->acked_end[partition], offset + 1);
}

bool stream_asks_busy(const struct stream_asks *a)
{
    for (uint32_t i = 0; i < ASKERS_MAX; i++) {
        if (a->askers[i].busy) {
            return true;
        }
    }
    return stream_sifts_busy(&a->sifts);
}

void stream_asks_lose(struct stream_asks *a)
{
    for (uint32_t i = 0; i < ASKERS_MAX; i++) {
        a->askers[i].busy = false;
    }
    stream_sifts_lose(&a->sifts);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

static void keep(struct asker *k, int code)
{
    struct stream_asks *a = k->a;
    struct world *w = a->m->w;
    k->busy = false;
    a->answers++;
    a->refusals += code != 0;
    if (code != 0 && code != EVLOG_ERR_CLOSED && code != EVLOG_ERR_UNKNOWN_TOPIC &&
        code != EVLOG_ERR_UNKNOWN_TOPIC_ID && !stream_model_may_refuse(a->m, k->ask.partition, code)) {
        world_violation(w, "a question about partition %d was refused: %s", k->ask.partition, evlog_error_text(code));
    }
    if (code == 0 && a->ask_count < ASKS_MAX) {
        a->asks[a->ask_count++] = k->ask;
    }
}

static void find_on_done(struct store_op *base)
{
    struct asker *k = base->arg;
    struct stream_find_op *op = &k->find;
    struct ask *ask = &k->ask;
    ask->end = op->end_offset;
    ask->last_version = op->last_version;
    ask->last_offset = op->last_offset;
    ask->first_version = op->first_version;
    ask->deleted = op->deleted;
    ask->ended = op->ended;
    ask->count = op->count;
    EL_ASSERT(base->error != 0 || op->count <= ASK_PLACES_MAX);
    for (uint32_t i = 0; i < op->count && base->error == 0; i++) {
        ask->places[i] = op->places[i];
    }
    streams_find_release(k->a->m->sw->streams[k->shard], op);
    keep(k, base->error);
}

static void find_ask(struct asker *k)
{
    struct stream_model *m = k->a->m;
    const struct stream_secret *secret = &m->sw->secret;
    struct ask *ask = &k->ask;
    char text[16];
    ask->of_type = world_chance(m->w, 300000);
    ask->backward = world_chance(m->w, 500000);
    ask->key = 1 + (uint32_t)world_below(m->w, world_chance(m->w, 600000) ? 8 : MODEL_KEYS - 1);
    ask->type = (uint8_t)(1 + world_below(m->w, MODEL_TYPES - 1));
    ask->from = world_chance(m->w, 400000) ? -1 : (int64_t)world_below(m->w, ask->of_type ? 2000 : 60);
    ask->count_max = 1 + (uint32_t)world_below(m->w, ASK_PLACES_MAX);
    k->find = (struct stream_find_op){.base = {.done = find_on_done, .arg = k},
                                      .topic_id = m->topic_id,
                                      .partition = ask->partition,
                                      .hash = ask->of_type
                                                  ? stream_hash_type(secret, stream_model_type(ask->type, text))
                                                  : stream_hash_key(secret, stream_model_key(ask->key, text)),
                                      .of_type = ask->of_type,
                                      .backward = ask->backward,
                                      .from = ask->from,
                                      .count_max = ask->count_max};
    streams_find(m->sw->streams[k->shard], &k->find);
}

static bool is_below(struct el_slice a, struct el_slice b)
{
    int order = memcmp(a.data, b.data, EL_MIN(a.len, b.len));
    return order < 0 || (order == 0 && a.len < b.len);
}

/* Of names only their order is looked at: each is of its own moment. */
static void list_on_done(struct store_op *base)
{
    struct asker *k = base->arg;
    struct stream_list_op *op = &k->list;
    struct world *w = k->a->m->w;
    struct el_slice prefix = op->prefix;
    for (uint32_t i = 0; i < op->count && base->error == 0; i++) {
        struct el_slice key = op->names[i].key;
        bool rises = i == 0 || is_below(op->names[i - 1].key, key);
        bool fits = key.len >= prefix.len && (prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
        if (!rises || !fits || op->names[i].last_version < 0) {
            world_violation(w, "a list of streams has %.*s at its place %u, version %lld", (int)key.len,
                            (const char *)key.data, i, (long long)op->names[i].last_version);
        }
    }
    streams_list_release(k->a->m->sw->streams[k->shard], op);
    k->ask.of_list = true;
    keep(k, base->error == 0 ? EVLOG_ERR_CLOSED : base->error); /* nothing is kept of it */
}

static void list_ask(struct asker *k)
{
    struct stream_model *m = k->a->m;
    k->list = (struct stream_list_op){.base = {.done = list_on_done, .arg = k},
                                      .topic_id = m->topic_id,
                                      .partition = k->ask.partition,
                                      .prefix = el_slice_str(prefixes[world_below(m->w, 4)]),
                                      .count_max = 1 + (uint32_t)world_below(m->w, 50),
                                      .with_deleted = world_chance(m->w, 500000)};
    streams_list(m->sw->streams[k->shard], &k->list);
}

void stream_asks_step(struct stream_asks *a)
{
    struct stream_model *m = a->m;
    stream_sifts_step(&a->sifts);
    for (uint32_t i = 0; i < ASKERS_MAX; i++) {
        struct asker *k = &a->askers[i];
        if (k->busy || !world_chance(m->w, ASK_PPM)) {
            continue;
        }
        memset(&k->ask, 0, sizeof(k->ask));
        k->ask.partition = (int32_t)world_below(m->w, (uint64_t)m->partition_count);
        k->ask.acked_end = a->acked_end[k->ask.partition];
        k->ask.start = m->parts[k->ask.partition].start; /* trims come when nobody asks */
        k->shard = (uint32_t)world_below(m->w, m->w->shard_count);
        k->busy = true;
        if (world_chance(m->w, 100000)) {
            list_ask(k);
        } else {
            find_ask(k);
        }
    }
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

/* What a stream was when the log ended at ask->end. */
struct moment {
    int64_t last, first;
    uint8_t deletes; /* of the last event */
};

static struct moment moment_of(const struct stream_model *m, const struct ask *ask)
{
    const struct model_part *p = &m->parts[ask->partition];
    const struct model_stream *s = &p->streams[ask->key];
    struct moment now = {.last = stream_model_last(m, ask->partition, ask->key, ask->end)};
    now.first = stream_model_first(m, p, s, now.last, ask->start);
    now.deletes = now.last < 0 ? MODEL_EVENT : p->events[s->offsets[now.last]].deletes;
    return now;
}

static void stream_check(const struct stream_model *m, const struct ask *ask)
{
    const struct model_stream *s = &m->parts[ask->partition].streams[ask->key];
    struct moment now = moment_of(m, ask);
    int64_t offset = now.last < 0 ? -1 : s->offsets[now.last];
    if (ask->last_version != now.last || ask->last_offset != offset || ask->first_version != now.first ||
        ask->deleted != (now.deletes == MODEL_SOFT) || ask->ended != (now.deletes == MODEL_HARD)) {
        world_violation(
            m->w,
            "partition %d key %u below offset %lld: told version %lld at %lld, first %lld, deleted %d ended "
            "%d; it was %lld at %lld, first %lld, %d",
            ask->partition, ask->key, (long long)ask->end, (long long)ask->last_version, (long long)ask->last_offset,
            (long long)ask->first_version, ask->deleted, ask->ended, (long long)now.last, (long long)offset,
            (long long)now.first, now.deletes);
        return;
    }
    int64_t from = ask->from >= 0 ? ask->from : ask->backward ? now.last : now.first;
    int64_t want = ask->backward ? EL_MIN(from, now.last) : EL_MAX(from, now.first);
    int64_t due = ask->backward ? want - now.first + 1 : now.last - want + 1;
    due = EL_MAX(0, EL_MIN(due, (int64_t)ask->count_max));
    bool good = now.last < 0 ? ask->count == 0 : (int64_t)ask->count == due;
    for (uint32_t i = 0; i < ask->count && good; i++, want += ask->backward ? -1 : 1) {
        good = ask->places[i].version == want && ask->places[i].offset == s->offsets[want];
    }
    if (!good) {
        world_violation(m->w, "partition %d key %u %s from %lld, below offset %lld: %u places where %lld are due",
                        ask->partition, ask->key, ask->backward ? "backward" : "forward", (long long)ask->from,
                        (long long)ask->end, ask->count, (long long)due);
    }
}

static void type_check(const struct stream_model *m, const struct ask *ask)
{
    const struct model_part *p = &m->parts[ask->partition];
    int64_t low = ask->start, high = ask->end - 1;
    if (ask->from >= 0) {
        low = ask->backward ? low : EL_MAX(low, ask->from);
        high = ask->backward ? EL_MIN(high, ask->from) : high;
    }
    uint32_t told = 0;
    for (int64_t n = 0; n <= high - low && told < ask->count_max; n++) {
        int64_t offset = ask->backward ? high - n : low + n;
        if (p->events[offset].type != ask->type) {
            continue;
        }
        if (told >= ask->count || ask->places[told].offset != offset) {
            world_violation(m->w, "partition %d type %u %s from %lld, below offset %lld: offset %lld is not told",
                            ask->partition, ask->type, ask->backward ? "backward" : "forward", (long long)ask->from,
                            (long long)ask->end, (long long)offset);
            return;
        }
        told++;
    }
    if (told != ask->count) {
        world_violation(m->w, "partition %d type %u below offset %lld: %u places where %u are due", ask->partition,
                        ask->type, (long long)ask->end, ask->count, told);
    }
}

void stream_asks_check(struct stream_asks *a)
{
    struct stream_model *m = a->m;
    stream_sifts_check(&a->sifts);
    for (uint32_t i = 0; i < a->ask_count && m->w->violation[0] == 0; i++) {
        const struct ask *ask = &a->asks[i];
        if (ask->start != m->parts[ask->partition].start) {
            continue; /* nobody knows which of both it was */
        }
        if (ask->end < ask->acked_end || ask->end > m->parts[ask->partition].end) {
            world_violation(m->w, "partition %d: an answer is of the log below %lld; %lld was acknowledged, %lld is it",
                            ask->partition, (long long)ask->end, (long long)ask->acked_end,
                            (long long)m->parts[ask->partition].end);
        } else if (ask->of_type) {
            type_check(m, ask);
        } else {
            stream_check(m, ask);
        }
    }
    a->ask_count = 0;
}
