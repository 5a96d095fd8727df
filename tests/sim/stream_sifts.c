/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_sifts.h.
 */
#include "stream_sifts.h"

#include <core/assert.h>
#include <stdlib.h>

#define SIFT_PPM 60000u /* of a step, for each who has nothing under way */
#define ARENA_LEN (1u << 20)

void stream_sifts_init(struct stream_sifts *s, struct stream_model *m)
{
    memset(s, 0, sizeof(*s));
    s->m = m;
    s->answers = calloc(SIFTED_MAX, sizeof(*s->answers));
    EL_ASSERT(s->answers != NULL);
    for (uint32_t i = 0; i < SIFTERS_MAX; i++) {
        s->sifters[i].all = s;
        s->sifters[i].memory = malloc(ARENA_LEN);
        EL_ASSERT(s->sifters[i].memory != NULL);
    }
}

void stream_sifts_free(struct stream_sifts *s)
{
    for (uint32_t i = 0; i < SIFTERS_MAX; i++) {
        free(s->sifters[i].memory);
    }
    free(s->answers);
}

bool stream_sifts_busy(const struct stream_sifts *s)
{
    for (uint32_t i = 0; i < SIFTERS_MAX; i++) {
        if (s->sifters[i].busy) {
            return true;
        }
    }
    return false;
}

void stream_sifts_lose(struct stream_sifts *s)
{
    for (uint32_t i = 0; i < SIFTERS_MAX; i++) {
        s->sifters[i].busy = false;
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void refusal_check(const struct sifter *k, int code)
{
    const struct stream_model *m = k->all->m;
    bool gone = code == EVLOG_ERR_CLOSED || code == EVLOG_ERR_UNKNOWN_TOPIC || code == EVLOG_ERR_UNKNOWN_TOPIC_ID;
    bool below = code == EVLOG_ERR_OFFSET_RANGE && k->ask.from < k->ask.start;
    bool above = code == EVLOG_ERR_OFFSET_RANGE && k->ask.from > m->parts[k->ask.partition].end;
    if (!gone && !below && !above && !m->disturbed && !world_read_may_fail(m->w, code) && code != EVLOG_ERR_NO_MEMORY) {
        world_violation(m->w, "partition %d: a filtered read from %lld was refused: %s", k->ask.partition,
                        (long long)k->ask.from, evlog_error_text(code));
    }
}

static void keep(struct sifter *k)
{
    struct stream_sifts *s = k->all;
    struct sifted *ask = &k->ask;
    uint32_t count = 0;
    ask->next = k->read.next_offset;
    ask->version = k->sift.version;
    ask->count = k->sift.batch_count;
    bool stuck = ask->next == ask->from && ask->next < k->read.high_watermark && k->read.data_len == 0;
    if (ask->from < ask->start || (stuck && !k->sift.blocked) || ask->next < ask->from) {
        world_violation(s->m->w, "partition %d: a filtered read from %lld says to go on at %lld, start %lld, end %lld",
                        ask->partition, (long long)ask->from, (long long)ask->next, (long long)ask->start,
                        (long long)k->read.high_watermark);
    }
    if (s->count == SIFTED_MAX || ask->count > SIFTED_BATCHES_MAX) {
        return;
    }
    for (const struct sift_find *find = k->sift.finds; find != NULL; find = find->next) {
        for (uint32_t i = 0; i < find->count; i++) {
            const uint8_t *batch = find->batches[i].batch.data;
            ask->batches[count].base = el_batch_base_offset(batch);
            ask->batches[count++].last = el_batch_last_offset(batch);
        }
    }
    EL_ASSERT(count == ask->count);
    s->answers[s->count++] = *ask;
}

static void on_sifted(struct store_op *op)
{
    struct sifter *k = op->arg;
    if (op->error != 0) {
        refusal_check(k, op->error);
    } else {
        keep(k);
    }
    if (k->sift.holding) {
        store_read_release(&k->read);
    }
    k->busy = false;
}

/* One key, or some types, or both. */
static void filter_choose(struct sifter *k)
{
    struct stream_model *m = k->all->m;
    const struct stream_secret *secret = &m->sw->secret;
    struct sifted *ask = &k->ask;
    struct sift *sift = &k->sift;
    bool by_key = world_chance(m->w, 600000);
    k->sieve = (struct el_sieve){.types = k->types};
    if (by_key) {
        ask->key = 1 + (uint32_t)world_below(m->w, world_chance(m->w, 600000) ? 8 : MODEL_KEYS - 1);
        k->sieve.key = stream_model_key(ask->key, k->key);
        sift->index = SIFT_BY_KEY;
        sift->hashes[sift->hash_count++] = stream_hash_key(secret, k->sieve.key);
    }
    if (!by_key || world_chance(m->w, 200000)) {
        ask->type_count = 1 + (uint32_t)world_below(m->w, 2);
        k->sieve.type_count = ask->type_count;
    }
    for (uint32_t i = 0; i < ask->type_count; i++) {
        ask->types[i] = (uint8_t)(1 + world_below(m->w, MODEL_TYPES - 1));
        k->types[i] = stream_model_type(ask->types[i], k->type[i]);
        if (!by_key) {
            sift->index = SIFT_BY_TYPE;
            sift->hashes[sift->hash_count++] = stream_hash_type(secret, k->types[i]);
        }
    }
    ask->version_wanted = by_key && ask->type_count == 0 && world_chance(m->w, 500000);
    sift->version_wanted = ask->version_wanted;
}

static void sift_begin(struct sifter *k)
{
    struct stream_model *m = k->all->m;
    struct world *w = m->w;
    uint32_t shard = (uint32_t)world_below(w, w->shard_count);
    struct sifted *ask = &k->ask;
    memset(ask, 0, sizeof(*ask));
    memset(&k->sift, 0, sizeof(k->sift));
    ask->partition = (int32_t)world_below(w, (uint64_t)m->partition_count);
    ask->start = m->parts[ask->partition].start; /* trims come when nobody asks */
    ask->from = (int64_t)world_below(w, (uint64_t)m->parts[ask->partition].end + 1);
    k->api = (struct api){
        .shard = store_shard_at(w->store, shard), .io = w->ios[shard], .streams = m->sw->streams[shard]};
    k->sift.api = &k->api;
    k->sift.request = &k->request;
    k->sift.sieve = &k->sieve;
    k->sift.read_len = 300 + (uint32_t)world_below(w, world_chance(w, 500000) ? 2000 : 70000);
    k->sift.scan_len = k->sift.read_len + world_below(w, 100000);
    filter_choose(k);
    k->read = (struct read_op){
        .base = {.done = on_sifted, .arg = k},
        .topic_id = m->topic_id,
        .partition = ask->partition,
        .offset = ask->from,
        .max_bytes = (uint32_t)world_below(w, 20000),
        .at_least_one = world_chance(w, 700000),
        .want_entries = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    k->busy = true;
    el_arena_init_fixed(&k->request.arena, k->memory, ARENA_LEN);
    sift_start(&k->sift, &k->read);
}

void stream_sifts_step(struct stream_sifts *s)
{
    for (uint32_t i = 0; i < SIFTERS_MAX; i++) {
        if (!s->sifters[i].busy && world_chance(s->m->w, SIFT_PPM)) {
            sift_begin(&s->sifters[i]);
        }
    }
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct sifted *ask, const struct model_event *event)
{
    bool type = ask->type_count == 0;
    for (uint32_t i = 0; i < ask->type_count; i++) {
        type = type || event->type == ask->types[i];
    }
    return type && (ask->key == 0 || event->key == ask->key);
}

static void answer_check(const struct stream_model *m, const struct sifted *ask)
{
    const struct model_part *p = &m->parts[ask->partition];
    const struct model_stream *stream = &p->streams[ask->key];
    uint32_t at = 0; /* the batch that is looked at */
    int64_t version = 0;
    for (int64_t offset = ask->from; offset < ask->next; offset++) {
        while (at < ask->count && ask->batches[at].last < offset) {
            at++;
        }
        bool given = at < ask->count && ask->batches[at].base <= offset;
        if (is_wanted(ask, &p->events[offset]) && !given) {
            world_violation(m->w,
                            "partition %d: a filtered read from %lld to %lld for key %u and %u types left out offset "
                            "%lld, key %u type %u version %lld",
                            ask->partition, (long long)ask->from, (long long)ask->next, ask->key, ask->type_count,
                            (long long)offset, p->events[offset].key, p->events[offset].type,
                            (long long)p->events[offset].version);
            return;
        }
    }
    for (uint32_t i = 0; i < ask->count; i++) {
        bool wanted = false;
        for (int64_t o = EL_MAX(ask->batches[i].base, ask->from); o <= ask->batches[i].last && o < ask->next; o++) {
            wanted = wanted || is_wanted(ask, &p->events[o]);
        }
        if (!wanted || (i > 0 && ask->batches[i].base <= ask->batches[i - 1].last)) {
            world_violation(m->w,
                            "partition %d: a filtered read from %lld gave the batch at %lld, without a match or out "
                            "of order",
                            ask->partition, (long long)ask->from, (long long)ask->batches[i].base);
            return;
        }
    }
    while (version < (int64_t)stream->count && stream->offsets[version] < ask->from) {
        version++;
    }
    if (ask->version_wanted && ask->version >= 0 && ask->version != version) {
        world_violation(m->w,
                        "partition %d key %u: version %lld was told to come first from offset %lld on, it is %lld",
                        ask->partition, ask->key, (long long)ask->version, (long long)ask->from, (long long)version);
    }
}

void stream_sifts_check(struct stream_sifts *s)
{
    const struct stream_model *m = s->m;
    for (uint32_t i = 0; i < s->count && m->w->violation[0] == 0; i++) {
        const struct sifted *ask = &s->answers[i];
        if (ask->next > m->parts[ask->partition].end) {
            world_violation(m->w, "partition %d: a filtered read says to go on at %lld, the log ends at %lld",
                            ask->partition, (long long)ask->next, (long long)m->parts[ask->partition].end);
        } else {
            answer_check(m, ask);
        }
    }
    s->count = 0;
}
