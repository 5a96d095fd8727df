/* SPDX-License-Identifier: Apache-2.0
 *
 * The liveness mode: the faults of a seed stop, and the store must do its work again within a bounded time.
 *
 *   1. what was asked for before is answered
 *   2. a shard that had stopped for a failed write is read-only by promise: the process ends and starts again
 *   3. every partition takes batches, more than the journals hold, which only finished checkpoints make possible
 *   4. everybody who waits at the end of a partition is told of them
 *   5. a clean stop ends, and leaves the mark of one
 */
#include "life.h"
#include "sim_tier.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TIME_NS_MAX (120ull * 1000000000) /* virtual; an operation that was stuck may have 40 s of it left */
#define STEPS_MAX 2000000u                /* so that it ends when the time stands still */
#define VALUE_LEN 8000u
#define BATCH_ROOM 12000u
#define PROBES_MAX (MODEL_TOPICS_MAX * MODEL_PARTITIONS_MAX)
#define PROBE_PRODUCER PRODUCERS_MAX /* index of the sender of all probes, beside the other producers */

/* One partition that is watched and written to. */
struct probe {
    struct live *live;
    struct append_op append;
    struct watch_op watch;
    uint32_t topic;
    int32_t partition;
    uint32_t sent;                 /* index in the model */
    uint16_t shard;                /* the owner */
    uint64_t taken_len, quota_len; /* bytes of batches: taken so far, to be taken */
    uint8_t *batch;
    bool busy, told;
};

struct live {
    struct life *life;
    uint32_t probe_count;
    struct probe probes[PROBES_MAX];
};

/* Step until it is true. returns false when the machine crashed or the time is over, which is a violation */
static bool wait_for(struct live *live, bool (*is_true)(struct live *live), const char *what)
{
    struct world *w = &live->life->w;
    uint64_t until_ns = w->clock.now_ns + TIME_NS_MAX;
    for (uint32_t i = 0; i < STEPS_MAX && w->clock.now_ns < until_ns && w->violation[0] == 0; i++) {
        if (is_true(live)) {
            return true;
        }
        if (!world_step(w)) {
            return false;
        }
    }
    world_violation(w, "no faults any more, but %s", what);
    return false;
}

static bool all_answered(struct live *live)
{
    return !script_waits(live->life);
}

static void on_probe(struct store_op *base)
{
    struct probe *p = base->arg;
    struct model *m = &p->live->life->m;
    struct world *w = m->w;
    p->busy = false;
    SIM_TRACE(w->trace, "probe", p->topic, (uint64_t)p->partition, (uint64_t)base->error,
              (uint64_t)p->append.base_offset);
    if (base->error == 0) {
        model_acked(m, &m->sent[p->sent], p->append.base_offset, p->append.append_time_ns);
        p->taken_len += p->append.batch_len;
    } else if (base->error == EVLOG_ERR_FULL) {
        m->sent[p->sent].state = SENT_REFUSED; /* for now: another one is sent later */
    } else {
        world_violation(w, "no faults any more, but an append failed: %s", evlog_error_text(base->error));
    }
}

static void on_told(struct store_op *base)
{
    struct probe *p = base->arg;
    p->told = true;
    if (base->error != 0) {
        world_violation(p->live->life->m.w, "no faults any more, but a watch failed: %s",
                        evlog_error_text(base->error));
    }
}

static void probe_send(struct probe *p)
{
    struct model *m = &p->live->life->m;
    p->sent = model_send(m, p->topic, p->partition, PROBE_PRODUCER, 1, -1);
    p->append = (struct append_op){.base = {.done = on_probe, .arg = p},
                                   .topic_id = m->topics[p->topic].id,
                                   .partition = p->partition,
                                   .batch = p->batch};
    p->append.batch_len = (uint32_t)model_batch(m, &m->sent[p->sent], -1, VALUE_LEN, p->batch, BATCH_ROOM);
    int code = el_batch_check(p->batch, p->append.batch_len, BATCH_ROOM, NULL, 0, &p->append.info);
    EL_ASSERT(code == 0);
    p->busy = true;
    store_append(store_shard_at(m->w->store, (uint32_t)world_below(m->w, m->w->shard_count)), &p->append);
}

static bool all_taken(struct live *live)
{
    bool taken = true;
    for (uint32_t i = 0; i < live->probe_count && live->life->w.violation[0] == 0; i++) {
        struct probe *p = &live->probes[i];
        if (!p->busy && p->taken_len < p->quota_len) {
            probe_send(p);
        }
        taken = taken && !p->busy && p->taken_len >= p->quota_len;
    }
    return taken;
}

static bool all_told(struct live *live)
{
    bool told = !readers_watch(&live->life->readers);
    for (uint32_t i = 0; i < live->probe_count; i++) {
        told = told && live->probes[i].told;
    }
    return told;
}

static void probe_begin(struct live *live, uint32_t topic, int32_t partition)
{
    struct model *m = &live->life->m;
    struct world *w = m->w;
    const struct topic *found = store_topic_by_id(store_shard_at(w->store, 0), &m->topics[topic].id);
    EL_ASSERT(found != NULL);
    struct probe *p = &live->probes[live->probe_count++];
    *p = (struct probe){.live = live, .topic = topic, .partition = partition, .shard = found->shard_of[partition]};
    p->batch = malloc(BATCH_ROOM);
    EL_ASSERT(p->batch != NULL);
    p->watch = (struct watch_op){.base = {.done = on_told, .arg = p},
                                 .topic_id = m->topics[topic].id,
                                 .partition = partition,
                                 .offset = model_end(m, topic, partition)};
    store_watch(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &p->watch);
}

/* Watch the end of every partition; those of a shard must take more than its journal holds. */
static void probes_begin(struct live *live)
{
    const struct model *m = &live->life->m;
    uint32_t of_shard[WORLD_SHARDS_MAX] = {0};
    for (uint32_t t = 0; t < m->topic_count; t++) {
        for (int32_t i = 0; m->topics[t].state == TOPIC_THERE && i < m->topics[t].partition_count; i++) {
            probe_begin(live, t, i);
            of_shard[live->probes[live->probe_count - 1].shard]++;
        }
    }
    for (uint32_t i = 0; i < live->probe_count; i++) {
        struct probe *p = &live->probes[i];
        uint64_t ring_len = m->w->cfg.journal_ring_len * 3 / 2 +
                            2 * m->w->cfg.journal_slot_len; /* with what it may grow by */
        p->quota_len = ring_len / of_shard[p->shard];
    }
}

static int64_t checkpoints(const struct world *w)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        count += metrics_get(w->metrics[i], METRIC_CHECKPOINTS);
    }
    return count;
}

static void work_goes_on(struct live *live)
{
    struct world *w = &live->life->w;
    int64_t before = checkpoints(w);
    probes_begin(live);
    if (live->probe_count > 0 && wait_for(live, all_taken, "appends are not taken") &&
        wait_for(live, all_told, "somebody who waits for events is not told of them") && checkpoints(w) == before) {
        world_violation(w, "no faults any more, but no checkpoint ended");
    }
}

bool life_liveness(struct life *l)
{
    struct world *w = &l->w;
    struct live *live = calloc(1, sizeof(*live));
    EL_ASSERT(live != NULL);
    live->life = l;
    l->live = live; /* the store may point into it until it is closed */
    world_say(&l->w, "no faults from here on", 0, 0);
    world_faults(w, false);
    sim_disk_crash_at(w->disk, 0);
    if (w->tier != NULL) { /* each probe waits for the one before */
        sim_tier_knobs(w->tier)->eager = true;
        sim_tier_knobs(w->tier)->count_ns_max = 0;
    }
    bool up = wait_for(live, all_answered, "something that was asked for has no answer");
    if (up && world_failed_shard(w)) {
        up = life_again(l);
    }
    if (up) {
        work_goes_on(live);
    }
    if (w->violation[0] == 0 && w->store != NULL) {
        bool ended = world_stop(w);
        l->boot.stopped = ended && w->stopped_well;
        bool slow = w->knobs.ppm[FAULT_STUCK_IO] > 0; /* what is stuck from before may outlast the time of a stop */
        if (w->violation[0] == 0 && !l->boot.stopped && !slow) {
            world_violation(w, "no faults any more, but a clean stop left no mark");
        }
        if (!l->boot.stopped) {
            model_forget(&l->m);
        }
        if (w->store == NULL) {
            sim_disk_process_exit(w->disk);
        }
    }
    return w->violation[0] == 0;
}

void life_liveness_free(struct life *l)
{
    for (uint32_t i = 0; l->live != NULL && i < l->live->probe_count; i++) {
        free(l->live->probes[i].batch);
    }
    free(l->live);
}
