/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode stream: the stream index on the real store, without a network.
 *
 * A seed: a node with 1 to 3 shards, a topic with streams, so little memory for the index that it becomes files all the
 * time; clients that append batches to several streams with expected versions, event ids, types, tombstones and
 * separate checks, and send them again when they do not know what became of them; others who ask for streams and types
 * meanwhile; trims, a topic that is deleted and made again, index files that rot; several lives, each ended by a crash
 * at a random disk call, a process that just ends or a clean stop. The logs are read again in each life, and all that
 * was told is compared with them. See stream_model.h, stream_asks.h.
 */
#include "stream_main.h"

#include "boot.h"
#include "sim_tier.h"
#include "stream_asks.h"
#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENTS_MAX 6u
#define BATCH_EVENTS_MAX 5u
#define CHECKS_MAX 2u
#define BUF_LEN 4096u
#define TOLD_MAX 20000u
#define EVENTS_MAX 9000 /* of a partition, in a seed */
#define HOT_KEYS 8u
#define VERSION_UNTOLD (-9)

struct stream_life;

/* What a client was told, to be compared with the log. */
struct told {
    int error; /* 0 | EVLOG_ERR_WRONG_VERSION | _ID_CONFLICT | _STREAM_ENDED */
    bool duplicate;
    int32_t partition;
    uint32_t key;
    uint64_t number, id; /* of the event */
    int64_t expected;
    int64_t version, offset; /* of the event; or what the stream was said to be at */
    bool deleted, ended;
    int64_t acked; /* version of the stream that somebody had been told of before it was sent */
};

struct client {
    struct stream_life *l;
    struct append_op op;
    struct stream_batch batch; /* records of the heap while busy */
    struct stream_check checks[CHECKS_MAX];
    char check_keys[CHECKS_MAX][16];
    uint32_t check_of[CHECKS_MAX];
    int64_t check_acked[CHECKS_MAX];
    struct model_event events[BATCH_EVENTS_MAX];
    int64_t expected[BATCH_EVENTS_MAX], acked[BATCH_EVENTS_MAX];
    uint32_t count;
    uint8_t buf[BUF_LEN];
    uint32_t len;
    bool busy;
    bool all_ids; /* each event has one */
    bool own;     /* as evlog itself appends: without a stream_batch */
    bool again;   /* nobody knows what became of it */
};

struct stream_life {
    struct plan plan;
    struct world w;
    struct boot boot;
    struct stream_world sw;
    struct stream_model m;
    struct stream_asks asks;
    struct client clients[CLIENTS_MAX];
    uint32_t client_count;
    struct told *told; /* [told_count] */
    uint32_t told_count;
    uint64_t sent, topics;
    uint64_t answers, conflicts, duplicates;
    bool made, trims, deletes, asking;
    bool awaited; /* events are told of and shown when the archive has them */
    uint64_t lives, steps_longest;
};

/* --- what was told ------------------------------------------------------------------------------------------------ */

static void tell(struct stream_life *l, struct told told)
{
    if (l->awaited && told.offset >= sim_tier_end(l->w.tier, &l->m.topic_id, told.partition)) {
        world_violation(&l->w, "offset %lld of partition %d was told of, and the archive does not have it",
                        (long long)told.offset, told.partition);
    }
    if (l->told_count < TOLD_MAX) {
        l->told[l->told_count++] = told;
    }
}

static void check_success(struct stream_life *l, const struct told *t)
{
    const struct model_part *p = &l->m.parts[t->partition];
    const struct model_event *e = &p->events[t->offset];
    bool version = t->version == VERSION_UNTOLD || e->version == t->version;
    if (e->key != t->key || !version || (t->duplicate ? e->id != t->id : e->number != t->number)) {
        world_violation(
            &l->w,
            "event %llu (id %llu) of key %u was told to be version %lld at offset %lld of partition %d; there "
            "is event %llu (id %llu) of key %u, version %lld",
            (unsigned long long)t->number, (unsigned long long)t->id, t->key, (long long)t->version,
            (long long)t->offset, t->partition, (unsigned long long)e->number, (unsigned long long)e->id, e->key,
            (long long)e->version);
        return;
    }
    if (t->duplicate || t->key == 0) {
        return;
    }
    const struct model_stream *s = &p->streams[t->key];
    bool gone = e->version > 0 && p->events[s->offsets[e->version - 1]].deletes != MODEL_EVENT;
    bool good = t->expected == STREAM_ANY || (t->expected == STREAM_NONE && (e->version == 0 || gone)) ||
                (t->expected == STREAM_EXISTS && e->version > 0 && !gone) || t->expected == e->version - 1;
    if (!good) {
        world_violation(&l->w, "event %llu of key %u expected version %lld and became version %lld",
                        (unsigned long long)t->number, t->key, (long long)t->expected, (long long)e->version);
    }
}

static void check_conflict(struct stream_life *l, const struct told *t)
{
    const struct model_part *p = &l->m.parts[t->partition];
    const struct model_stream *s = &p->streams[t->key];
    bool there = t->version >= 0 && t->version < (int64_t)s->count && s->offsets[t->version] == t->offset;
    uint8_t deletes = there ? p->events[t->offset].deletes : MODEL_EVENT;
    if ((t->version >= 0 && !there) || (t->version < 0 && t->offset >= 0) || t->version < t->acked ||
        t->deleted != (deletes != MODEL_EVENT) || t->ended != (deletes == MODEL_HARD)) {
        world_violation(&l->w, "key %u was told to be at version %lld, offset %lld; acknowledged before was %lld",
                        t->key, (long long)t->version, (long long)t->offset, (long long)t->acked);
        return;
    }
    bool none = t->version < 0 || deletes == MODEL_SOFT;
    bool holds = deletes != MODEL_HARD && (t->expected == STREAM_ANY || (t->expected == STREAM_NONE && none) ||
                                           (t->expected == STREAM_EXISTS && !none) || t->expected == t->version);
    if (holds) {
        world_violation(&l->w, "key %u: version %lld was expected, %lld is it, and that was called a conflict", t->key,
                        (long long)t->expected, (long long)t->version);
    }
}

/* Compare with what was read. All that was told of lies below the high watermark, so it was read. */
static void told_check(struct stream_life *l)
{
    for (uint32_t i = 0; i < l->told_count && l->w.violation[0] == 0; i++) {
        const struct told *t = &l->told[i];
        if (t->offset >= l->m.parts[t->partition].end) {
            world_violation(&l->w, "offset %lld of partition %d was told of and is not there", (long long)t->offset,
                            t->partition);
        } else if (t->error == 0) {
            check_success(l, t);
        } else {
            check_conflict(l, t);
        }
    }
    l->told_count = 0;
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

static void client_free(struct client *c)
{
    el_free(c->batch.records);
    c->batch.records = NULL;
    c->busy = false;
}

static void tell_success(struct client *c)
{
    struct stream_life *l = c->l;
    struct model_part *p = &l->m.parts[c->op.partition];
    for (uint32_t i = 0; i < c->count && !c->own; i++) {
        stream_asks_acked(&l->asks, c->op.partition, c->batch.records[i].offset);
    }
    for (uint32_t i = 0; i < c->count && c->own && !c->op.duplicate; i++) {
        tell(l, (struct told){.partition = c->op.partition,
                              .key = c->events[i].key,
                              .number = c->events[i].number,
                              .expected = STREAM_ANY,
                              .version = VERSION_UNTOLD,
                              .offset = c->op.base_offset + i});
    }
    for (uint32_t i = 0; i < c->count && !c->own; i++) {
        const struct stream_record *r = &c->batch.records[i];
        const struct model_event *e = &c->events[i];
        tell(l, (struct told){.duplicate = c->op.duplicate,
                              .partition = c->op.partition,
                              .key = e->key,
                              .number = e->number,
                              .id = e->id,
                              .expected = c->expected[i],
                              .version = r->version,
                              .offset = r->offset});
        if (e->key != 0) {
            p->acked[e->key] = EL_MAX(p->acked[e->key], r->version);
        }
    }
}

static void tell_check(struct client *c, const struct stream_check *check, uint32_t key, int64_t expected,
                       int64_t acked)
{
    tell(c->l, (struct told){.error = EVLOG_ERR_WRONG_VERSION,
                             .partition = c->op.partition,
                             .key = key,
                             .expected = expected,
                             .version = check->current,
                             .offset = check->current_offset,
                             .deleted = check->deleted,
                             .ended = check->ended,
                             .acked = acked});
    struct model_part *p = &c->l->m.parts[c->op.partition];
    p->acked[key] = EL_MAX(p->acked[key], check->current);
}

/* The version of a record's conflict counts what is before the batch; so does what the client may compare it with. */
static void tell_conflict(struct client *c, int error)
{
    struct stream_life *l = c->l;
    const struct stream_batch *b = &c->batch;
    l->conflicts++;
    if (c->own) {
        return;
    }
    for (uint32_t i = 0; i < b->check_count; i++) {
        if (b->checks[i].failed) {
            tell_check(c, &b->checks[i], c->check_of[i], b->checks[i].expected, c->check_acked[i]);
        }
    }
    if (error == EVLOG_ERR_ID_CONFLICT || b->failed_index < 0) {
        return;
    }
    uint32_t n = (uint32_t)b->failed_index;
    EL_ASSERT(n < c->count);
    bool first = true;
    for (uint32_t i = 0; i < n; i++) {
        first = first && c->events[i].key != c->events[n].key;
    }
    if (first) {
        tell_check(c, &b->told, c->events[n].key, c->expected[n], c->acked[n]);
    }
}

static void client_on_done(struct store_op *base)
{
    struct client *c = base->arg;
    struct stream_life *l = c->l;
    int code = base->error;
    l->answers++;
    l->duplicates += c->op.duplicate;
    c->again = world_chance(&l->w, 50000); /* the answer was lost on its way */
    switch (code) {
    case 0:
        tell_success(c);
        break;
    case EVLOG_ERR_WRONG_VERSION:
    case EVLOG_ERR_ID_CONFLICT:
    case EVLOG_ERR_STREAM_ENDED:
        tell_conflict(c, code);
        break;
    default: /* it may be stored */
        c->again = true;
        if (code == EVLOG_ERR_CORRUPT && !stream_model_may_refuse(&l->m, c->op.partition, code)) {
            world_violation(&l->w, "an append was refused: %s", evlog_error_text(code));
        }
        break;
    }
    client_free(c);
}

static void event_choose(struct client *c, uint32_t i)
{
    struct stream_life *l = c->l;
    struct world *w = &l->w;
    struct model_event *e = &c->events[i];
    const struct model_part *p = &l->m.parts[c->op.partition];
    memset(e, 0, sizeof(*e));
    e->number = ++l->sent;
    e->key = world_chance(w, 500000) ? 1 + (uint32_t)world_below(w, HOT_KEYS) : (uint32_t)world_below(w, MODEL_KEYS);
    e->id = c->all_ids || world_chance(w, 600000) ? e->number : 0;
    if (e->id != 0 && world_chance(w, 30000)) {
        e->id = 1 + world_below(w, l->sent); /* one that may be there: half of a batch, or another stream's */
    }
    e->type = (uint8_t)world_below(w, MODEL_TYPES);
    if (e->key > HOT_KEYS && world_chance(w, 40000)) {
        e->deletes = world_chance(w, 300000) ? MODEL_HARD : MODEL_SOFT;
    }
    c->expected[i] = STREAM_ANY;
    if (e->key == 0) {
        return;
    }
    uint64_t kind = world_below(w, 10);
    int64_t guess = p->acked[e->key];
    for (uint32_t k = 0; k < i; k++) {
        guess += c->events[k].key == e->key;
    }
    if (kind < 4) {
        c->expected[i] = guess < 0 ? STREAM_NONE : guess;
    } else if (kind < 5) {
        c->expected[i] = (int64_t)world_below(w, 20);
    } else if (kind < 6) {
        c->expected[i] = guess < 0 ? STREAM_NONE : STREAM_EXISTS;
    }
}

static void batch_build(struct client *c)
{
    struct stream_life *l = c->l;
    struct el_batch_builder builder;
    char key[16], id[32], type[16];
    uint8_t value[8];
    el_batch_builder_init(&builder, BUF_LEN);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct model_event *e = &c->events[i];
        struct el_header headers[3];
        uint32_t header_count = 0;
        el_put_le64(value, e->number);
        snprintf(id, sizeof(id), "i%llu", (unsigned long long)e->id);
        if (e->id != 0) {
            headers[header_count++] = (struct el_header){el_slice_str(STREAM_HEADER_ID), el_slice_str(id)};
        }
        if (e->type != 0) {
            headers[header_count++] = (struct el_header){el_slice_str(STREAM_HEADER_TYPE),
                                                         stream_model_type(e->type, type)};
        }
        if (e->deletes != MODEL_EVENT) {
            headers[header_count++] = (struct el_header){el_slice_str(STREAM_HEADER_DELETED),
                                                         el_slice_str(e->deletes == MODEL_HARD ? "hard" : "soft")};
        }
        struct el_record_body body = {.key = stream_model_key(e->key, key),
                                      .value = el_slice_of(value, sizeof(value)),
                                      .headers = headers,
                                      .header_count = header_count};
        int code = el_batch_builder_add(&builder, 1000, &body);
        EL_ASSERT(code == 0);
    }
    struct el_slice batch;
    enum el_codec codec = !c->own && world_chance(&l->w, 200000) ? EL_CODEC_ZSTD : EL_CODEC_NONE;
    int code = el_batch_builder_finish(&builder, codec, NULL, &batch);
    EL_ASSERT(code == 0);
    EL_ASSERT(batch.len <= sizeof(c->buf));
    memcpy(c->buf, batch.data, batch.len);
    c->len = (uint32_t)batch.len;
    el_batch_builder_destroy(&builder);
}

static void checks_choose(struct client *c)
{
    struct world *w = &c->l->w;
    const struct model_part *p = &c->l->m.parts[c->op.partition];
    c->batch.check_count = world_chance(w, 200000) ? 1 + (uint32_t)world_below(w, CHECKS_MAX) : 0;
    c->batch.checks = c->checks;
    for (uint32_t i = 0; i < c->batch.check_count; i++) {
        uint32_t key = 1 + (uint32_t)world_below(w, HOT_KEYS);
        c->check_of[i] = key;
        c->check_acked[i] = p->acked[key];
        struct el_slice bytes = stream_model_key(key, c->check_keys[i]);
        c->checks[i] = (struct stream_check){.key = stream_hash_key(&c->l->sw.secret, bytes),
                                             .key_bytes = bytes,
                                             .expected = p->acked[key] < 0 ? STREAM_NONE : p->acked[key]};
    }
}

static void client_send(struct client *c)
{
    static uint8_t scratch[64u << 10];
    struct stream_life *l = c->l;
    struct world *w = &l->w;
    if (!c->again) {
        c->op.partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
        if (l->m.parts[c->op.partition].end > EVENTS_MAX) {
            return;
        }
        c->count = 1 + (uint32_t)world_below(w, BATCH_EVENTS_MAX);
        c->all_ids = world_chance(w, 500000);
        for (uint32_t i = 0; i < c->count; i++) {
            event_choose(c, i);
        }
        c->own = world_chance(w, 100000);
        batch_build(c);
    }
    const char *why = "";
    int32_t partition = c->op.partition;
    memset(&c->batch, 0, sizeof(c->batch));
    c->op = (struct append_op){.base = {.done = client_on_done, .arg = c},
                               .topic_id = l->m.topic_id,
                               .partition = partition,
                               .batch = c->buf,
                               .batch_len = c->len};
    int code = el_batch_check(c->buf, c->len, EL_BATCH_LEN_MAX, scratch, sizeof(scratch), &c->op.info);
    EL_ASSERT(code == 0);
    code = stream_batch_make(&l->sw.secret, c->buf, c->len, scratch, sizeof(scratch), NULL, true, &c->batch, &why);
    EL_ASSERT(code == 0);
    checks_choose(c);
    for (uint32_t i = 0; i < c->count; i++) {
        c->batch.records[i].expected = c->expected[i];
        c->acked[i] = c->events[i].key == 0 ? -1 : l->m.parts[partition].acked[c->events[i].key];
    }
    c->op.observed = c->own ? NULL : &c->batch;
    c->busy = true;
    store_append(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &c->op);
}

static void step(void *arg)
{
    struct stream_life *l = arg;
    for (uint32_t i = 0; i < l->client_count; i++) {
        if (!l->clients[i].busy && world_chance(&l->w, 300000)) {
            client_send(&l->clients[i]);
        }
    }
    if (l->asking) {
        stream_asks_step(&l->asks);
    }
}

static void lose(void *arg)
{
    struct stream_life *l = arg;
    for (uint32_t i = 0; i < l->client_count; i++) {
        struct client *c = &l->clients[i];
        if (c->busy) {
            client_free(c);
            c->again = world_chance(&l->w, 800000);
        }
    }
    stream_asks_lose(&l->asks);
}

/* --- lives -------------------------------------------------------------------------------------------------------- */

static void say(struct stream_life *l, const char *text)
{
    if (l->w.verbose) {
        printf("  %12llu ns  step %8llu  %s\n", (unsigned long long)l->w.clock.now_ns, (unsigned long long)l->w.steps,
               text);
    }
}

static void choose_faults(struct stream_life *l)
{
    static const enum sim_fault rare[] = {FAULT_SYNC_ALL_ERROR, FAULT_SYNC_DIR_ERROR,
                                          FAULT_FULL_LATE}; /* lives are short */
    struct world *w = &l->w;
    world_faults(w, true);
    l->m.disturbed = true;
    for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
        sim_disk_fault_set(w->disk, rare[i], EL_MIN(8 * sim_disk_fault_ppm(w->disk, rare[i]), SIM_PPM));
    }
    if (world_chance(w, w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 4000));
    }
}

static void end_faults(struct stream_life *l)
{
    world_faults(&l->w, false);
    sim_disk_crash_at(l->w.disk, 0);
    l->m.disturbed = false;
}

/* What is asked now is waited for. */
static void space_returns(struct stream_life *l)
{
    if (l->w.disk_bounded) {
        l->w.disk_bounded = false;
        sim_disk_capacity(l->w.disk, 0);
        sim_disk_fault_set(l->w.disk, FAULT_FULL_LATE, 0);
        sim_disk_fault_set(l->w.disk, FAULT_FULL_ALLOCATE, 0);
    }
}

/* Only what is being written stays. */
static void leave_the_disk(struct topic_config *config)
{
    static const char *const settings[][2] = {
        {"segment.bytes", "65536"}, {"segment.ms", "20000"}, {"local.retention.bytes", "0"}};
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        int code = topic_config_set(config, el_slice_str(settings[i][0]), el_slice_str(settings[i][1]), NULL);
        EL_ASSERT(code == 0);
    }
}

static bool make(struct stream_life *l)
{
    struct topic_config config;
    char name[16];
    topic_config_init(&config);
    int code = topic_config_set(&config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL);
    EL_ASSERT(code == 0);
    l->m.count_max = world_chance(&l->w, 300000) ? (int64_t)world_below(&l->w, 8) : -1;
    snprintf(name, sizeof(name), "%lld", (long long)l->m.count_max);
    code = topic_config_set(&config, el_slice_str("evlog.stream.max.count"), el_slice_str(name), NULL);
    EL_ASSERT(code == 0);
    l->awaited = l->w.tier != NULL && world_chance(&l->w, 500000);
    if (l->awaited) {
        code = topic_config_set(&config, el_slice_str("evlog.durability"), el_slice_str("store"), NULL);
        EL_ASSERT(code == 0);
    }
    if (l->w.tier != NULL && world_chance(&l->w, 600000)) {
        leave_the_disk(&config);
    }
    snprintf(name, sizeof(name), "t%llu", (unsigned long long)++l->topics);
    stream_model_clear(&l->m);
    l->told_count = 0;
    stream_asks_clear(&l->asks);
    for (uint32_t i = 0; i < l->client_count; i++) {
        l->clients[i].again = false;
    }
    code = stream_world_topic(&l->sw, name, l->m.partition_count, &config, &l->m.topic_id);
    l->made = code == 0;
    return code != EVLOG_ERR_CRASHED;
}

static bool anybody_waits(const struct stream_life *l)
{
    bool waits = stream_asks_busy(&l->asks);
    for (uint32_t i = 0; i < l->client_count; i++) {
        waits = waits || l->clients[i].busy;
    }
    return waits;
}

/* Nobody waits for an answer any more. returns false: crashed, or stuck */
static bool clients_rest(struct stream_life *l)
{
    l->sw.serving = false;
    while (anybody_waits(l)) {
        uint64_t until_ns = l->w.clock.now_ns + WORLD_WAIT_NS_MIN;
        for (uint32_t n = 0; (n < 20000 || l->w.clock.now_ns < until_ns) && anybody_waits(l); n++) {
            if (!world_step(&l->w)) {
                return false;
            }
        }
        if (anybody_waits(l) && l->w.disk_bounded) {
            space_returns(l);
        } else if (anybody_waits(l)) {
            world_violation(&l->w, "stuck: an append or a question is never answered");
            return false;
        }
    }
    return true;
}

/* All that was told is true; and what may be asked. */
static bool look(struct stream_life *l, uint32_t count)
{
    if (!clients_rest(l) || (l->awaited && !sim_tier_rest(l->w.tier)) || !stream_model_scan(&l->m)) {
        return false;
    }
    bool readable = l->m.whole && (!l->awaited || sim_tier_whole(l->w.tier)) &&
                    store_not_ready_reason(l->w.store) == NULL && !l->w.read_errors;
    if (readable) {
        told_check(l);
        stream_asks_check(&l->asks);
    }
    if (l->w.violation[0] != 0 || (readable && !stream_model_compare(&l->m, count))) {
        return false;
    }
    l->sw.serving = true;
    return l->w.violation[0] == 0;
}

static bool trim(struct stream_life *l)
{
    static struct trim_op op;
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)l->m.partition_count);
    struct model_part *p = &l->m.parts[partition];
    if (!clients_rest(l) || !stream_model_scan(&l->m)) {
        return false;
    }
    op = (struct trim_op){
        .topic_id = l->m.topic_id, .partition = partition, .offset = (int64_t)world_below(&l->w, (uint64_t)p->end + 1)};
    p->trimmed = true;
    int code = stream_world_trim(&l->sw, &op);
    if (code == 0) {
        p->start = EL_MAX(p->start, op.log_start_offset);
    }
    l->sw.serving = true;
    return code != EVLOG_ERR_CRASHED;
}

struct rot_choice {
    struct world *w;
    uint32_t seen;
    char path[128];
    uint64_t len;
};

static void rot_choose(void *arg, const char *path, uint64_t len)
{
    struct rot_choice *c = arg;
    bool fits = strncmp(path, "streams/", 8) == 0 && strstr(path, "tmp") == NULL && len > 0;
    if (fits && world_below(c->w, ++c->seen) == 0) {
        snprintf(c->path, sizeof(c->path), "%s", path);
        c->len = len;
    }
}

/* A bit of a file of the index changes: nothing may be told that is wrong, and all comes back that the logs have. */
static void rot(struct stream_life *l)
{
    struct world *w = &l->w;
    struct rot_choice c = {.w = w};
    if (!world_chance(w, w->knobs.ppm[FAULT_INDEX_ROT])) {
        return;
    }
    sim_disk_each(w->disk, true, rot_choose, &c);
    if (c.path[0] != 0 && sim_disk_flip(w->disk, c.path, world_below(w, c.len), (uint8_t)(1u << world_below(w, 8)))) {
        world_say(w, c.path, (long long)c.len, 0);
        sim_disk_fault_count(w->disk, FAULT_INDEX_ROT);
        l->m.rotted = true;
    }
}

/* Something that is not an append. returns false: crashed or a violation */
static bool act(struct stream_life *l)
{
    space_returns(l);
    if (world_chance(&l->w, 300000)) {
        rot(l);
    }
    if (l->trims && world_chance(&l->w, 500000)) {
        return trim(l);
    }
    if (l->deletes && world_chance(&l->w, 200000)) {
        l->made = false;
        int code = stream_world_delete(&l->sw, &l->m.topic_id);
        return clients_rest(l) && code != EVLOG_ERR_CRASHED && make(l) && (l->sw.serving = l->made, true);
    }
    return look(l, 5);
}

static void end_life(struct stream_life *l, bool crashed)
{
    struct world *w = &l->w;
    l->boot.stopped = false;
    if (!crashed && world_chance(w, 400000)) {
        bool failed = world_failed_shard(w);
        say(l, "stop");
        if (world_stop(w)) {
            l->boot.stopped = !failed && w->stopped_well;
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = sim_disk_crashed(w->disk);
    }
    say(l, crashed ? "crash" : "end");
    boot_kill(&l->boot, crashed);
}

static void live(struct stream_life *l)
{
    struct world *w = &l->w;
    choose_faults(l);
    uint64_t steps = EL_MIN(500 + world_below(w, 5000), l->plan.limits[LIMIT_STEPS]);
    l->lives++;
    l->steps_longest = EL_MAX(l->steps_longest, steps);
    bool whole = l->made || make(l);
    whole = whole && (!l->made || world_chance(w, 500000) || look(l, 10));
    l->sw.serving = whole && l->made;
    for (uint64_t k = 0; k < steps && whole && w->violation[0] == 0; k++) {
        whole = world_step(w);
        if (whole && l->made && world_chance(w, 1000)) {
            whole = act(l);
        }
    }
    l->sw.serving = false;
    if (w->violation[0] == 0) {
        end_life(l, sim_disk_crashed(w->disk));
        end_faults(l);
        rot(l);
    }
}

/* Without faults everything is there, also what has to be made anew first. */
static void last_look(struct stream_life *l)
{
    struct world *w = &l->w;
    bool whole = true;
    say(l, "the last look");
    for (int tries = 0; tries < 3 && whole; tries++) {
        l->m.refused = 0;
        whole = look(l, MODEL_KEYS);
        l->sw.serving = false;
        if (whole && l->m.refused == 0) {
            return;
        }
        uint64_t until_ns = w->clock.now_ns + WORLD_WAIT_NS_MIN;
        for (uint32_t i = 0; whole && w->clock.now_ns < until_ns && store_not_ready_reason(w->store) != NULL; i++) {
            whole = world_step(w);
        }
    }
    if (w->violation[0] == 0 && (!whole || !(l->m.rotted && l->trims))) {
        world_violation(w, "the last look was not to be had");
    }
}

static void run_seed(const struct plan *plan, struct stream_life *l)
{
    struct world *w = &l->w;
    struct el_rng knobs;
    l->plan = *plan;
    world_init(w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    w->trace->print = plan->trace;
    w->mode = plan->mode;
    w->jump_kinds = 2;
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&w->knobs, &knobs, plan->faults_off);
    for (int i = 0; i < FAULT_COUNT; i++) {
        w->knobs.ppm[i] = sim_fault_applies((enum sim_fault)i, w->mode) ? w->knobs.ppm[i] : 0;
    }
    world_faults(w, false);
    w->tier = w->knobs.archive ? sim_tier_create(w) : NULL;
    stream_world_init(&l->sw, w);
    stream_model_init(&l->m, &l->sw);
    stream_asks_init(&l->asks, &l->m);
    boot_init(&l->boot, w, NULL, &l->plan);
    l->sw.step = step;
    l->sw.lose = lose;
    l->sw.arg = l;
    l->sw.memory_max = STREAMS_MEMORY_MIN * (1 + world_below(w, 3));
    l->sw.step_len = world_chance(w, 300000) ? 0 : 4096u << world_below(w, 4);
    l->m.partition_count = 1 + (int32_t)world_below(w, STREAM_PARTITIONS_MAX);
    l->client_count = 1 + (uint32_t)world_below(w, CLIENTS_MAX);
    l->trims = world_chance(w, 300000);
    l->deletes = world_chance(w, 200000);
    l->asking = world_chance(w, 700000);
    l->told = calloc(TOLD_MAX, sizeof(*l->told));
    EL_ASSERT(l->told != NULL);
    for (uint32_t i = 0; i < l->client_count; i++) {
        l->clients[i].l = l;
    }
    uint64_t lives = EL_MIN(1 + world_below(w, 5), plan->limits[LIMIT_LIVES]);
    for (uint64_t i = 0; i < lives && w->violation[0] == 0 && boot_start(&l->boot); i++) {
        live(l);
    }
    if (w->violation[0] == 0 && boot_start(&l->boot) && l->made) {
        last_look(l);
    }
}

void stream_trial(const struct plan *plan, struct verdict *v)
{
    struct stream_life *l = calloc(1, sizeof(*l));
    uint64_t events = 0;
    EL_ASSERT(l != NULL);
    run_seed(plan, l);
    for (int32_t i = 0; i < l->m.partition_count; i++) {
        events += (uint64_t)l->m.parts[i].end;
    }
    if (plan->verbose) {
        printf("  %llu answers, %llu conflicts, %llu duplicates; %llu events; %llu questions, %llu refused\n",
               (unsigned long long)l->answers, (unsigned long long)l->conflicts, (unsigned long long)l->duplicates,
               (unsigned long long)events, (unsigned long long)l->asks.answers, (unsigned long long)l->asks.refusals);
        for (uint32_t i = 0; i < l->w.shard_count && l->w.store != NULL; i++) {
            const struct metrics *metrics = l->w.metrics[i];
            printf("  shard %u: %lld runs, %lld entries; %lld flushes, %lld merges in the last life\n", i,
                   (long long)metrics_get(metrics, METRIC_STREAM_RUNS),
                   (long long)metrics_get(metrics, METRIC_STREAM_ENTRIES),
                   (long long)metrics_get(metrics, METRIC_STREAM_FLUSHES),
                   (long long)metrics_get(metrics, METRIC_STREAM_MERGES));
        }
    }
    *v = (struct verdict){
        .seed = plan->seed,
        .good = l->w.violation[0] == 0,
        .hash = l->w.trace->hash,
        .event_count = l->w.trace->event_count,
        .steps = l->w.steps,
        .batches = events,
        .crashes = l->boot.crashes,
        .virtual_ns = l->w.clock.now_ns,
        .answers = l->answers,
        .repeats = l->duplicates,
        .lost = l->conflicts,
        .lives = l->lives,
        .steps_longest = l->steps_longest,
        .shards = l->w.shard_count,
    };
    memcpy(v->faults, sim_disk_fault_counts(l->w.disk), sizeof(v->faults));
    snprintf(v->text, sizeof(v->text), "%s", l->w.violation);
    world_free(&l->w);
    sim_tier_free(l->w.tier);
    stream_model_free(&l->m);
    free(l->told);
    stream_asks_free(&l->asks);
    free(l);
}
