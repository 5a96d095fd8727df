/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode lease: work groups on the real store, without a network.
 *
 * A seed: a node with 1 to 3 shards; one or two topics, one or two groups with settings of chance; producers that
 * append events with few keys; workers that lease, acknowledge, fail, reject, release, extend, or fall silent until
 * their leases have ended; several lives, each ended by a crash at a random disk call, a process that just ends or a
 * clean stop, with clocks that jump. At the end all faults cease and workers behave, but for poisoned events, which
 * always fail: then every event must have been acknowledged, or be in the dead-letter topic, once. See lease_model.h.
 */
#include "lease_main.h"

#include "lease_acts.h"
#include "lease_redrives.h"
#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_NS_MAX 600000000000ull /* the longest waits are for clocks that jumped */
#define QUIET_STEPS_MAX 200000u
#define EVENTS_LIFE_MAX 900 /* of a partition, in a seed */

static uint8_t inflate_room[64u << 10];
static const char key_names[LEASE_KEYS][4] = {"", "a", "bb", "ccc", "d", "e"};

static void say(struct lease_life *l, const char *text)
{
    if (l->w.verbose) {
        printf("  %12llu ns  step %8llu  %s\n", (unsigned long long)l->w.clock.now_ns, (unsigned long long)l->w.steps,
               text);
    }
}

/* --- producing ---------------------------------------------------------------------------------------------------- */

static void batch_on_done(struct store_op *base)
{
    struct producer_batch *b = base->arg;
    struct lease_life *l = b->l;
    b->busy = false;
    if (base->error != 0) {
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
    struct producer_batch *b = &l->batch;
    struct world *w = &l->w;
    static const enum el_codec codecs[] = {EL_CODEC_NONE, EL_CODEC_GZIP, EL_CODEC_LZ4, EL_CODEC_ZSTD, EL_CODEC_SNAPPY};
    struct el_batch_builder builder;
    uint8_t value[VALUE_LEN_MAX] = {0};
    char texts[2][24];
    enum el_codec codec = world_chance(w, 300000) ? codecs[world_below(w, 5)] : EL_CODEC_NONE;
    b->l = l;
    b->topic = (uint32_t)world_below(w, l->m.topic_count);
    int32_t partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
    if (lease_model_log(&l->m, b->topic, partition)->end > EVENTS_LIFE_MAX) {
        return;
    }
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
                    lease_model_delivered(&l->m, log, k->group, record.offset, op->ranges[i].deliveries);
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
        struct lease_view *view = &worker_log(k)->events[outcome->first].views[k->group];
        if (outcome->kind == LEASE_ACCEPT) {
            view->acked = true;
            struct emit_source source = worker_source(k, outcome->first);
            lease_emits_acked(&l->emits, &source, outcome);
            l->m.acks++;
        } else if (outcome->kind == LEASE_REJECT) {
            lease_model_rejected(&l->m, worker_log(k), k->group, outcome->first);
        }
    }
}

static void fetch_on_done(struct lease_op *base)
{
    struct worker *k = base->arg;
    struct lease_life *l = k->l;
    k->busy = false;
    l->answers++;
    if (base->error == 0 && k->fetch.outcome_error == 0) {
        take_answers(k);
    }
    if (base->error == 0) {
        take_events(k);
    } else if (base->error == EVLOG_ERR_CLOSED || base->error == EVLOG_ERR_STORAGE) {
        worker_log(k)->lost[k->group]++;
    }
    lease_op_release(base);
    k->outcome_count = 0;
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
    leases_fetch(l->lw.leases[k->shard], &k->fetch);
}

static void worker_choose(struct worker *k)
{
    struct lease_life *l = k->l;
    struct world *w = &l->w;
    k->group = (uint32_t)world_below(w, l->m.group_count);
    k->topic = (uint32_t)world_below(w, l->m.topic_count);
    k->partition = (int32_t)world_below(w, (uint64_t)l->m.partition_count);
    k->shard = (uint32_t)world_below(w, w->shard_count);
    if (!lease_may_work(l, k->group, k->topic, k->partition)) {
        return;
    }
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

static void step(void *arg)
{
    struct lease_life *l = arg;
    for (uint32_t i = 0; i < l->worker_count; i++) {
        worker_step(&l->workers[i]);
    }
    lease_redrives_step(l);
    if (!l->batch.busy && !l->behave && world_chance(&l->w, 40000)) {
        produce(l);
    }
}

static void lose(void *arg)
{
    struct lease_life *l = arg;
    lease_model_crash(&l->m);
    for (uint32_t i = 0; i < l->worker_count; i++) {
        struct worker *k = &l->workers[i];
        if (k->busy && !k->releasing && l->m.topic_count > 0) {
            worker_log(k)->lost[k->group]++;
        }
        k->busy = k->releasing = false;
        k->session = 0;
        k->held_count = k->outcome_count = 0;
    }
    l->batch.busy = false;
    lease_redrives_lose(l);
}

/* --- a seed ------------------------------------------------------------------------------------------------------- */

static void set(struct group_config *config, const char *name, const char *format, uint64_t value)
{
    char text[32];
    struct el_error err = {0};
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    int code = group_config_set(config, el_slice_str(name), el_slice_str(format != NULL ? format : text), &err);
    EL_ASSERT(code == 0);
}

void lease_choose_group(struct lease_life *l, struct lease_model_group *g, struct group_config *config)
{
    static const char *const orders[] = {"key", "partition", "none"};
    struct world *w = &l->w;
    group_config_init(config);
    g->order = world_chance(w, 700000) ? MODEL_BY_KEY : (enum lease_model_order)world_below(w, 3);
    g->attempts_max = 1 + (int32_t)world_below(w, 4);
    g->parks = g->order == MODEL_BY_KEY && world_chance(w, 300000);
    g->halts = !g->parks && world_chance(w, 150000);
    g->filters = world_chance(w, 300000);
    set(config, "order", orders[g->order], 0);
    set(config, "retry.max.attempts", NULL, (uint64_t)g->attempts_max);
    set(config, "on.exhausted", g->parks ? "park" : g->halts ? "halt" : "skip", 0);
    set(config, "filter", g->filters ? LEASE_FILTER : "", 0);
    set(config, "start", "earliest", 0);
    set(config, "lease.ms", NULL, 100 + world_below(w, 2000));
    set(config, "retry.backoff.ms", NULL, 1 + world_below(w, 200));
    set(config, "retry.backoff.max.ms", NULL, 500);
    set(config, "max.inflight", NULL, 1 + world_below(w, 30));
}

static bool make_topic(struct lease_life *l, const char *name, int32_t partition_count, struct el_uuid *id)
{
    const struct topic *topic = store_topic_by_name(store_shard_at(l->w.store, 0), el_slice_str(name));
    if (topic == NULL) {
        return lease_world_topic(&l->lw, name, partition_count, id) == 0;
    }
    *id = topic->id;
    return true;
}

/* Topics and groups, once. returns false when the machine crashed: they are made again */
static bool make(struct lease_life *l)
{
    static struct group_config config;
    bool made = true;
    for (uint32_t t = 0; t < l->m.topic_count && made; t++) {
        made = make_topic(l, l->topic_names[t], l->m.partition_count, &l->topic_ids[t]);
    }
    for (uint32_t t = 0; t < EMIT_TOPICS && made; t++) {
        made = make_topic(l, lease_emits_topic(t), EMIT_PARTITIONS, &l->emits.topic_ids[t]);
    }
    if (made && l->redrive.copies) {
        made = make_topic(l, "copies", COPY_PARTITIONS, &l->redrive.copies_id);
    }
    if (!made) {
        return false;
    }
    for (uint32_t g = 0; g < l->m.group_count; g++) {
        snprintf(l->m.groups[g].id, sizeof(l->m.groups[g].id), "group%u", g);
        lease_choose_group(l, &l->m.groups[g], &config);
        if (lease_world_settings(&l->lw, l->m.groups[g].id, &config) != 0) {
            return false;
        }
    }
    l->made = true;
    return true;
}

static void fault_set(struct lease_life *l, enum sim_fault fault, uint32_t ppm)
{
    sim_disk_fault_set(l->w.disk, fault, (l->plan.faults_off >> fault & 1) == 0 ? ppm : 0);
}

static bool start(struct lease_life *l)
{
    struct world *w = &l->w;
    struct el_error err = {0};
    for (int tries = 0;; tries++) {
        if (tries < 3 && world_chance(w, 100000)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 60));
        }
        int code = world_open(w, &err);
        sim_disk_crash_at(w->disk, 0);
        if (code == 0) {
            return true;
        }
        if (!sim_disk_crashed(w->disk)) {
            world_violation(w, "a start was refused: %s", err.text);
            return false;
        }
        sim_disk_fault_count(w->disk, FAULT_CRASH_IN_RECOVERY);
        sim_disk_power_cycle(w->disk);
    }
}

static void choose_faults(struct lease_life *l)
{
    struct world *w = &l->w;
    fault_set(l, FAULT_CLOCK_FORWARD, 200);
    fault_set(l, FAULT_CLOCK_BACK, 200);
    w->read_errors = world_chance(w, 100000);
    fault_set(l, FAULT_READ_ERROR, w->read_errors ? 5000 : 0);
    if (world_chance(w, 100000)) { /* a shard stops for them: nothing is stored any more in this life */
        fault_set(l, FAULT_WRITE_ERROR, 200);
        fault_set(l, FAULT_SYNC_ERROR, 2000);
    }
    if (world_chance(w, 700000)) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 4000));
    }
}

static void end_faults(struct lease_life *l)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (sim_fault_table[i].scope != SCOPE_SEED) {
            fault_set(l, (enum sim_fault)i, 0);
        }
    }
    sim_disk_crash_at(l->w.disk, 0);
    l->w.read_errors = false;
}

static void end_life(struct lease_life *l, bool crashed)
{
    struct world *w = &l->w;
    if (!crashed && world_chance(w, 400000)) {
        say(l, "stop");
        if (world_stop(w)) {
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = true;
    }
    world_abandon(w);
    l->crashes++;
    say(l, crashed ? "crash" : "end");
    sim_disk_fault_count(w->disk, crashed ? FAULT_CRASH : FAULT_PROCESS_EXIT);
    if (crashed || world_chance(w, 500000)) {
        sim_disk_power_cycle(w->disk);
    } else {
        sim_disk_process_exit(w->disk);
    }
}

/* All that is left becomes finished. */
static void quiet(struct lease_life *l)
{
    struct world *w = &l->w;
    l->behave = true;
    l->lw.serving = true;
    say(l, "workers behave");
    /* A clock that was set back holds up events with a time for as long. */
    int64_t late_ns = (int64_t)w->clock_max_ns - ((int64_t)w->clock.now_ns + w->clock.wall_offset);
    w->clock.wall_offset += EL_MAX(late_ns, (int64_t)0);
    if (!lease_acts_end(l)) {
        return;
    }
    uint64_t until_ns = w->clock.now_ns + QUIET_NS_MAX;
    uint64_t most_steps = w->steps + QUIET_STEPS_MAX;
    int64_t left = -1;
    while (w->violation[0] == 0 && (w->clock.now_ns < until_ns || w->steps < most_steps) && left != 0) {
        for (uint32_t i = 0; i < 400 && w->violation[0] == 0; i++) {
            world_step(w);
        }
        left = w->violation[0] == 0 ? lease_read_starts(l) : -1;
        int ended = left == 0 ? lease_redrives_ended(l) : 0;
        left = ended < 0 ? -1 : left == 0 && ended == 0 ? 1 : left;
    }
    if (w->violation[0] == 0 && left != 0) {
        world_violation(w, "stuck: %lld events are never finished", (long long)left);
    }
    l->lw.serving = false;
    if (w->violation[0] == 0 && lease_read_letters(l) && lease_read_emits(l, true) && lease_read_copies(l)) {
        lease_redrives_end(l);
        lease_model_end(&l->m);
    }
}

static void run_seed(const struct plan *plan, struct lease_life *l)
{
    struct world *w = &l->w;
    l->plan = *plan;
    world_init(w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    w->trace->print = plan->trace;
    w->jump_kinds = 2; /* the store forgets producers after a day */
    fault_set(l, FAULT_JOB_PAUSE, world_chance(w, 300000) ? 0 : 50000 + (uint32_t)world_below(w, 400000));
    fault_set(l, FAULT_SLOW_IO, 20000);
    fault_set(l, FAULT_REORDER, SIM_PPM);
    lease_model_init(&l->m, w);
    l->emits.m = &l->m;
    lease_world_init(&l->lw, w);
    l->lw.step = step;
    l->lw.lose = lose;
    l->lw.arg = l;
    l->m.topic_count = 1 + (uint32_t)world_below(w, LEASE_TOPICS_MAX);
    l->m.topic_count = (uint32_t)EL_MIN(l->m.topic_count, plan->limits[LIMIT_TOPICS]);
    l->m.partition_count = 1 + (int32_t)world_below(w, LEASE_PARTITIONS_MAX);
    l->m.group_count = 1 + (uint32_t)world_below(w, LEASE_GROUPS_MAX);
    l->worker_count = 1 + (uint32_t)world_below(w, WORKERS_MAX);
    l->redrive.on = world_chance(w, 400000);
    l->redrive.copies = l->redrive.on && world_chance(w, 400000);
    for (uint32_t t = 0; t < l->m.topic_count; t++) {
        snprintf(l->topic_names[t], sizeof(l->topic_names[t]), "t%u", t);
    }
    for (uint32_t i = 0; i < l->worker_count; i++) {
        l->workers[i].l = l;
        l->workers[i].number = i;
    }
    uint64_t lives = EL_MIN(1 + world_below(w, 4), plan->limits[LIMIT_LIVES]);
    for (uint64_t i = 0; i < lives && w->violation[0] == 0 && start(l); i++) {
        choose_faults(l);
        uint64_t steps = EL_MIN(500 + world_below(w, 6000), plan->limits[LIMIT_STEPS]);
        l->lives++;
        l->steps_longest = EL_MAX(l->steps_longest, steps);
        bool whole = (l->made || make(l)) && lease_read_events(l);
        l->lw.serving = true;
        for (uint64_t k = 0; k < steps && whole && w->violation[0] == 0; k++) {
            whole = world_step(w);
            if (whole && !l->redrive.on && world_chance(w, 500)) {
                whole = lease_act(l);
            }
            if (whole && world_chance(w, 500)) {
                whole = lease_read_starts(l) >= 0;
            }
        }
        l->lw.serving = false;
        if (w->violation[0] != 0) {
            return;
        }
        end_life(l, !whole || sim_disk_crashed(w->disk));
        end_faults(l);
    }
    if (w->violation[0] == 0 && start(l) && (l->made || make(l)) && lease_read_events(l)) {
        if (lease_read_letters(l)) {
            lease_read_emits(l, false);
        }
        quiet(l);
    }
}

void lease_trial(const struct plan *plan, struct verdict *v)
{
    struct lease_life *l = calloc(1, sizeof(*l));
    EL_ASSERT(l != NULL);
    run_seed(plan, l);
    if (plan->verbose) {
        const struct lease_acts *a = &l->acts;
        printf("  redrives begun %llu, copies %llu\n", (unsigned long long)l->redrive.begun,
               (unsigned long long)l->redrive.copy_count);
        printf("  groups were moved %llu times, ended %llu; logs trimmed %llu; halted partitions let go on %llu\n",
               (unsigned long long)a->moves, (unsigned long long)a->ends, (unsigned long long)a->trims,
               (unsigned long long)a->releases);
    }
    *v = (struct verdict){
        .seed = plan->seed,
        .good = l->w.violation[0] == 0,
        .hash = l->w.trace->hash,
        .event_count = l->w.trace->event_count,
        .steps = l->w.steps,
        .batches = l->m.deliveries,
        .crashes = l->crashes,
        .virtual_ns = l->w.clock.now_ns,
        .answers = l->m.acks,
        .repeats = l->m.dead,
        .lives = l->lives,
        .steps_longest = l->steps_longest,
        .shards = l->w.shard_count,
    };
    memcpy(v->faults, sim_disk_fault_counts(l->w.disk), sizeof(v->faults));
    snprintf(v->text, sizeof(v->text), "%s", l->w.violation);
    world_free(&l->w);
    lease_model_free(&l->m);
    free(l);
}
