/* SPDX-License-Identifier: Apache-2.0
 *
 * What producers and workers of the lease mode do in each step, and what workers are told.
 */
#include "lease_acts.h"
#include "lease_redrives.h"
#include "lease_topics.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENTS_LIFE_MAX 900 /* of a partition, in a seed */
#define CHOICES 4u          /* that workers look at in the end, for one with something to do */

static uint8_t inflate_room[64u << 10];
static const char key_names[LEASE_KEYS][4] = {"", "a", "bb", "ccc", "d", "e"};

/* --- producing ---------------------------------------------------------------------------------------------------- */

static void batch_on_done(struct store_op *base)
{
    struct appended *b = base->arg;
    struct lease_life *l = b->l;
    b->busy = false;
    if (base->error != 0 || b->generation != l->topics.generations[b->topic]) {
        return;
    }
    struct lease_log *log = lease_model_log(&l->m, b->topic, b->op.partition);
    for (uint32_t i = 0; i < b->count; i++) {
        lease_model_stored(&l->m, log, b->op.base_offset + i, b->keys[i], b->numbers[i]);
    }
}

/* As the store sees it. */
static uint64_t wall_ms(const struct lease_life *l)
{
    return el_clock_now(store_clock(l->w.store)) / 1000000u;
}

static void produce(struct lease_life *l)
{
    struct appended *b = &l->batch;
    struct world *w = &l->w;
    static const enum el_codec codecs[] = {EL_CODEC_NONE, EL_CODEC_GZIP, EL_CODEC_LZ4, EL_CODEC_ZSTD, EL_CODEC_SNAPPY};
    struct el_batch_builder builder;
    uint8_t value[VALUE_LEN_MAX] = {0};
    char texts[2][24];
    enum el_codec codec = world_chance(w, 300000) ? codecs[world_below(w, 5)] : EL_CODEC_NONE;
    b->l = l;
    b->topic = (uint32_t)world_below(w, l->m.topic_count);
    int32_t partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
    if (lease_model_log(&l->m, b->topic, partition)->end > EVENTS_LIFE_MAX || !lease_topic_there(l, b->topic)) {
        return;
    }
    b->generation = l->topics.generations[b->topic];
    b->count = 1 + (uint32_t)world_below(w, BATCH_EVENTS_MAX);
    el_batch_builder_init(&builder, sizeof(b->buf));
    for (uint32_t i = 0; i < b->count; i++) {
        b->keys[i] = (uint8_t)world_below(w, LEASE_KEYS);
        b->numbers[i] = ++l->sent;
        el_put_le64(value, b->numbers[i]);
        value[8] = b->keys[i];
        snprintf(texts[0], sizeof(texts[0]), "%u", (uint32_t)(b->numbers[i] % LEASE_FILTER_OF));
        snprintf(texts[1], sizeof(texts[1]), "%llu", (unsigned long long)(wall_ms(l) + world_below(w, 3000)));
        const struct el_header headers[] = {{el_slice_str("f"), el_slice_str(texts[0])},
                                            {el_slice_str("evlog-not-before"), el_slice_str(texts[1])}};
        struct el_record_body body = {.key = b->keys[i] == 0 ? (struct el_slice){0}
                                                             : el_slice_str(key_names[b->keys[i]]),
                                      .value = el_slice_of(value, 9 + world_below(w, VALUE_LEN_MAX - 9)),
                                      .headers = headers,
                                      .header_count = world_chance(w, 50000) ? 2 : 1};
        int code = el_batch_builder_add(&builder, (int64_t)b->numbers[i], &body);
        EL_ASSERT(code == 0);
    }
    struct el_slice batch;
    int code = el_batch_builder_finish(&builder, codec, NULL, &batch);
    EL_ASSERT(code == 0);
    EL_ASSERT(batch.len <= sizeof(b->buf));
    memcpy(b->buf, batch.data, batch.len);
    batch.data = b->buf;
    el_batch_builder_destroy(&builder);
    b->op = (struct append_op){.base = {.done = batch_on_done, .arg = b},
                               .topic_id = l->topic_ids[b->topic],
                               .partition = partition,
                               .batch = batch.data,
                               .batch_len = (uint32_t)batch.len};
    code = el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, inflate_room, sizeof(inflate_room), &b->op.info);
    EL_ASSERT(code == 0);
    b->busy = true;
    store_append(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &b->op);
}

/* --- working ------------------------------------------------------------------------------------------------------ */

static struct lease_log *worker_log(struct worker *k)
{
    return lease_model_log(&k->l->m, k->topic, k->partition);
}

static struct emit_source worker_source(const struct worker *k, int64_t offset)
{
    return (struct emit_source){k->group, k->topic, k->partition, offset};
}

static void check_delay(struct lease_life *l, const struct el_batch_record *record)
{
    struct el_slice value;
    char text[24] = {0};
    if (!el_header_find(&record->record, "evlog-not-before", &value) || value.len >= sizeof(text)) {
        return;
    }
    memcpy(text, value.data, value.len);
    if (strtoull(text, NULL, 10) > wall_ms(l)) {
        world_violation(&l->w, "offset %lld came before its time", (long long)record->offset);
    }
}

/* What came: every offset of the ranges is in a batch, and is what was appended. */
static void take_events(struct worker *k)
{
    struct lease_life *l = k->l;
    struct lease_fetch_op *op = &k->fetch;
    struct lease_log *log = worker_log(k);
    int64_t seen[HELD_MAX];
    uint32_t seen_count = 0;
    for (uint32_t pos = 0; pos < op->data_len;) {
        struct el_batch_iter iter;
        struct el_batch_record record;
        uint32_t len = (uint32_t)el_batch_total_len(op->data + pos);
        if (len > op->data_len - pos || el_batch_verify(op->data + pos, len) != 0 ||
            el_batch_open(&iter, op->data + pos, len, inflate_room, sizeof(inflate_room)) != 0) {
            world_violation(&l->w, "a batch of a fetch cannot be read");
            return;
        }
        while (el_batch_next(&iter, &record) == 1) {
            for (uint32_t i = 0; i < op->range_count; i++) {
                if (record.offset >= op->ranges[i].first && record.offset <= op->ranges[i].last) {
                    EL_ASSERT(seen_count < HELD_MAX);
                    seen[seen_count++] = record.offset;
                    lease_model_stored(&l->m, log, record.offset, record.record.value.data[8],
                                       el_get_le64(record.record.value.data));
                    l->w.events[op->ranges[i].deliveries == 1 ? EVENT_LEASED : EVENT_LEASED_AGAIN]++;
                    lease_model_delivered(&l->m, log, k->group, record.offset, op->ranges[i].deliveries, k->asked);
                    check_delay(l, &record);
                }
            }
        }
        pos += len;
    }
    uint32_t granted = 0;
    for (uint32_t i = 0; i < op->range_count; i++) {
        granted += (uint32_t)(op->ranges[i].last - op->ranges[i].first + 1);
    }
    if (granted != seen_count) {
        world_violation(&l->w, "%u events were leased, and %u came", granted, seen_count);
    }
    for (uint32_t i = 0; i < seen_count; i++) {
        EL_ASSERT(k->held_count < HELD_MAX);
        k->held[k->held_count++] = (struct held){seen[i]};
    }
}

static void take_answers(struct worker *k)
{
    struct lease_life *l = k->l;
    for (uint32_t i = 0; i < k->outcome_count; i++) {
        const struct lease_outcome *outcome = &k->outcomes[i];
        if (outcome->kind == LEASE_ACCEPT) {
            struct emit_source source = worker_source(k, outcome->first);
            lease_model_acked(&l->m, worker_log(k), k->group, outcome->first);
            lease_emits_acked(&l->emits, &source, outcome);
            l->w.events[EVENT_LEASE_DONE]++;
        } else if (outcome->kind == LEASE_EXTEND) {
            l->w.events[EVENT_LEASE_EXTENDED]++;
        } else if (outcome->kind == LEASE_REJECT) {
            lease_model_rejected(&l->m, worker_log(k), k->group, outcome->first);
        }
    }
}

/* Leases that its question has got may have ended. */
static bool is_late(const struct worker *k)
{
    const struct lease_life *l = k->l;
    return l->w.clock.now_ns - k->asked_ns >= l->m.groups[k->group].lease_ms * 1000000ull;
}

static void fetch_on_done(struct lease_op *base)
{
    struct worker *k = base->arg;
    struct lease_life *l = k->l;
    k->busy = false;
    l->answers++;
    if (k->generation != l->topics.generations[k->topic]) { /* of a topic that is no more */
        lease_op_release(base);
        k->outcome_count = 0;
        return;
    }
    lease_topics_look(l);
    lease_work_late(l);
    if (base->error == 0 && k->fetch.outcome_error == 0) {
        take_answers(k);
    }
    l->w.events[EVENT_LEASE_LATE] += base->error == 0 && k->fetch.outcome_error == EVLOG_ERR_LEASE;
    /* What was leased and does not come, in time at least, may count as a delivery of any event. */
    bool failed = base->error == EVLOG_ERR_CLOSED || base->error == EVLOG_ERR_STORAGE;
    worker_log(k)->lost[k->group] += failed || is_late(k);
    if (base->error == 0) {
        take_events(k);
    }
    lease_op_release(base);
    k->outcome_count = 0;
}

void lease_work_late(struct lease_life *l)
{
    for (uint32_t t = 0; t < l->m.topic_count; t++) {
        for (int32_t p = 0; p < l->m.partition_count; p++) {
            memset(lease_model_log(&l->m, t, p)->flying, 0, sizeof(l->m.logs[t][p].flying));
        }
    }
    for (uint32_t i = 0; i < l->worker_count; i++) {
        const struct worker *k = &l->workers[i];
        if (k->busy && !k->releasing && is_late(k) && k->generation == l->topics.generations[k->topic]) {
            lease_model_log(&l->m, k->topic, k->partition)->flying[k->group]++;
        }
    }
}

static void release_on_done(struct lease_op *base)
{
    struct worker *k = base->arg;
    k->busy = k->releasing = false;
    lease_op_release(base);
}

static void drop_held(struct worker *k, uint32_t i)
{
    memmove(&k->held[i], &k->held[i + 1], (k->held_count - i - 1) * sizeof(k->held[0]));
    k->held_count--;
}

static enum lease_outcome_kind choose_kind(struct worker *k, const struct lease_event *event)
{
    struct lease_life *l = k->l;
    uint64_t die = world_below(&l->w, 100);
    bool halts = l->m.groups[k->group].halts;
    if (event->poison && !(halts && l->behave)) {
        return die < 5 && !l->behave ? LEASE_REJECT : LEASE_FAIL;
    }
    if (l->behave) {
        return LEASE_ACCEPT;
    }
    return die < 60   ? LEASE_ACCEPT
           : die < 80 ? LEASE_FAIL
           : die < 84 ? LEASE_REJECT
           : die < 94 ? LEASE_RELEASE
                      : LEASE_EXTEND;
}

/* Outcomes for some of what it holds, lowest first. */
static void choose_outcomes(struct worker *k)
{
    struct lease_life *l = k->l;
    k->outcome_count = 0;
    for (uint32_t i = 0; i < k->held_count;) {
        int64_t offset = k->held[i].offset;
        struct lease_event *event = &worker_log(k)->events[offset];
        if (!l->behave && world_chance(&l->w, 300000)) {
            i++; /* later */
            continue;
        }
        struct lease_outcome *outcome = &k->outcomes[k->outcome_count++];
        *outcome = (struct lease_outcome){.first = offset, .last = offset, .kind = choose_kind(k, event)};
        outcome->delay_ms = outcome->kind == LEASE_FAIL && world_chance(&l->w, 200000)
                                ? (int64_t)world_below(&l->w, 300)
                                : -1;
        outcome->error = el_slice_str("it is broken");
        if (outcome->kind == LEASE_ACCEPT) {
            struct emit_source source = worker_source(k, offset);
            lease_emits_choose(&l->emits, &source, outcome, &k->emit_room, k->outcome_count - 1);
        }
        event->views[k->group].ack_sent |= outcome->kind == LEASE_ACCEPT;
        event->views[k->group].rejected |= outcome->kind == LEASE_REJECT;
        if (outcome->kind == LEASE_EXTEND) {
            i++;
        } else {
            drop_held(k, i);
        }
    }
}

static void ask_fetch(struct worker *k, uint32_t records_max)
{
    struct lease_life *l = k->l;
    k->fetch = (struct lease_fetch_op){
        .base = {.group_id = el_slice_str(l->m.groups[k->group].id), .done = fetch_on_done, .arg = k},
        .topic_id = l->topic_ids[k->topic],
        .partition = k->partition,
        .session = k->session,
        .worker = el_slice_str("worker"),
        .outcomes = k->outcomes,
        .outcome_count = k->outcome_count,
        .records_max = records_max,
        .bytes_max = 1 + (uint32_t)world_below(&l->w, 20000),
        .window_ms = world_chance(&l->w, 200000) ? (int64_t)world_below(&l->w, 100) : 0,
    };
    k->busy = true;
    k->asked = ++l->m.clock;
    k->asked_ns = l->w.clock.now_ns;
    leases_fetch(l->lw.leases[k->shard], &k->fetch);
}

/* Something is left to do there, as far as is known. */
static bool has_work(const struct worker *k)
{
    const struct lease_log *log = lease_model_log(&k->l->m, k->topic, k->partition);
    return log->start[k->group] < log->end;
}

static void worker_choose(struct worker *k)
{
    struct lease_life *l = k->l;
    struct world *w = &l->w;
    for (uint32_t tries = l->behave ? CHOICES : 1; tries > 0; tries--) {
        k->group = (uint32_t)world_below(w, l->m.group_count);
        k->topic = (uint32_t)world_below(w, l->m.topic_count);
        k->partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
        tries = has_work(k) ? 1 : tries;
    }
    k->shard = (uint32_t)world_below(w, w->shard_count);
    if (!lease_may_work(l, k->group, k->topic, k->partition) || !lease_topic_there(l, k->topic)) {
        return;
    }
    k->generation = l->topics.generations[k->topic];
    k->session = leases_session(l->lw.leases[k->shard]);
    k->held_count = 0;
}

static void worker_step(struct worker *k)
{
    struct lease_life *l = k->l;
    struct world *w = &l->w;
    if (k->busy || !world_chance(w, l->behave ? 300000 : 30000)) {
        return;
    }
    if (k->session != 0 && k->generation != l->topics.generations[k->topic]) {
        k->session = 0;
        k->held_count = 0;
    }
    if (k->session == 0) {
        worker_choose(k);
        return;
    }
    if (k->held_count > 0 && !l->behave && world_chance(w, 30000)) {
        k->session = 0; /* silent for ever: its leases end */
        return;
    }
    if (world_chance(w, k->held_count == 0 ? 300000 : 20000)) {
        k->release = (struct lease_release_op){
            .base = {.group_id = el_slice_str(l->m.groups[k->group].id), .done = release_on_done, .arg = k},
            .topic_id = l->topic_ids[k->topic],
            .partition = k->partition,
            .session = k->session};
        k->busy = k->releasing = true;
        uint32_t shard = k->shard;
        k->session = 0;
        leases_release(l->lw.leases[shard], &k->release);
        return;
    }
    choose_outcomes(k);
    uint32_t room = HELD_MAX - k->held_count;
    bool emits = false; /* LeaseOutcome, which asks for nothing: its answer may come late */
    for (uint32_t i = 0; i < k->outcome_count; i++) {
        emits = emits || k->outcomes[i].emit_count > 0;
    }
    ask_fetch(k, !emits && world_chance(w, 800000) ? (uint32_t)world_below(w, EL_MIN(room, 12u) + 1) : 0);
}

void lease_work_step(void *arg)
{
    struct lease_life *l = arg;
    for (uint32_t i = 0; i < l->worker_count; i++) {
        worker_step(&l->workers[i]);
    }
    lease_redrives_step(l);
    lease_topics_step(l);
    if (!l->batch.busy && !l->behave && world_chance(&l->w, 40000)) {
        produce(l);
    }
}

void lease_work_lose(void *arg)
{
    struct lease_life *l = arg;
    lease_model_crash(&l->m);
    for (uint32_t i = 0; i < l->worker_count; i++) {
        struct worker *k = &l->workers[i];
        if (k->busy && !k->releasing && k->generation == l->topics.generations[k->topic]) {
            worker_log(k)->lost[k->group]++;
        }
        k->busy = k->releasing = false;
        k->session = 0;
        k->held_count = k->outcome_count = 0;
    }
    l->batch.busy = false;
    lease_redrives_lose(l);
    lease_topics_lose(l);
}
