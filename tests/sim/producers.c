/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers of the simulation: batches in flight, answers, and sending again after errors and starts.
 */
#include "producers.h"

#include "sim_tier.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SILENCE_NS_MAX (23 * 3600 * 1000000000ull)
#define BATCH_ROOM (160u << 10)

void producers_init(struct producers *ps, struct model *m, uint64_t max)
{
    memset(ps, 0, sizeof(*ps));
    ps->m = m;
    ps->max = max;
}

void producers_make(struct producers *ps)
{
    uint32_t topic = model_topic_any(ps->m);
    uint64_t alive = 0;
    for (uint32_t i = 0; i < ps->count; i++) {
        alive += !ps->list[i].dead;
    }
    if (topic == UINT32_MAX || alive >= ps->max) {
        return;
    }
    struct producer p = {.id = -1, .topic = topic, .last_ns = el_clock_now(store_clock(ps->m->w->store))};
    p.partition = (int32_t)world_below(ps->m->w, (uint64_t)ps->m->topics[topic].partition_count);
    bool idempotent = world_chance(ps->m->w, 700000) && !ps->m->topics[topic].memory;
    if (idempotent && (!model_producer_id(ps->m, &p.id) || p.id < 0)) {
        return;
    }
    for (uint32_t i = 0; i < ps->count; i++) {
        if (p.id >= 0 && ps->list[i].id == p.id && !ps->m->w->lying) {
            world_violation(ps->m->w, "producer id %lld was given out twice", (long long)p.id);
        }
    }
    for (uint32_t i = 0; i < PRODUCERS_MAX; i++) {
        bool busy = false;
        for (uint32_t k = 0; k < WINDOW; k++) {
            busy = busy || ps->flights[i][k].busy;
        }
        if (i == ps->count || (ps->list[i].dead && !busy)) {
            ps->list[i] = p;
            ps->count = EL_MAX(ps->count, i + 1);
            return;
        }
    }
}

/* A batch was answered for good. */
static void queue_drop(struct producer *p, uint32_t sent)
{
    for (uint32_t i = 0; i < p->queue_len && !p->dead; i++) {
        if (p->queue[i] == sent) {
            memmove(&p->queue[i], &p->queue[i + 1], sizeof(p->queue[0]) * (p->queue_len - i - 1));
            p->queue_len--;
            p->asked--;
            return;
        }
    }
}

static bool is_definite(int error)
{
    return error == EVLOG_ERR_FULL || error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_TOO_LARGE ||
           error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
}

static void stored(struct producers *ps, struct sent *s, const struct append_op *op)
{
    const struct model_topic *t = &ps->m->topics[s->topic];
    int64_t end = op->base_offset + s->record_count;
    if (t->awaited && end > sim_tier_end(ps->m->w->tier, &t->id, s->partition)) {
        world_violation(ps->m->w, "topic %u partition %d: %lld was acknowledged, and the archive does not have it",
                        s->topic, s->partition, (long long)op->base_offset);
    }
    model_acked(ps->m, s, op->base_offset, op->append_time_ns);
    ps->list[s->producer].last_ns = EL_MAX(ps->list[s->producer].last_ns, op->append_time_ns);
}

static uint32_t flights_busy(const struct producers *ps, uint32_t producer)
{
    uint32_t busy = 0;
    for (uint32_t k = 0; k < WINDOW; k++) {
        busy += ps->flights[producer][k].busy;
    }
    return busy;
}

static void on_append(struct store_op *base)
{
    struct in_flight *f = EL_CONTAINER(base, struct in_flight, op.base);
    struct producers *ps = f->producers;
    struct sent *s = &ps->m->sent[f->sent];
    struct producer *p = &ps->list[s->producer];
    f->busy = false;
    SIM_TRACE(ps->m->w->trace, "append", s->id, (uint64_t)base->error, (uint64_t)f->op.base_offset,
              f->op.append_time_ns, f->op.duplicate);
    if (ps->m->w->verbose && base->error != 0) {
        printf("  producer %u: batch %u: %s\n", s->producer, f->sent, evlog_error_text(base->error));
    }
    free(f->batch);
    f->batch = NULL;
    if (f->again) {
        if (base->error == 0) {
            stored(ps, s, &f->op);
        }
    } else if (base->error == 0) {
        stored(ps, s, &f->op);
        if (!p->dead && p->queue_len > 0 && p->queue[0] == f->sent) {
            queue_drop(p, f->sent);
        } else if (!p->dead && !p->failed) {
            world_violation(ps->m->w, "producer %u: batch %u was answered before an earlier one", s->producer, f->sent);
        }
    } else if (p->id < 0) {
        s->state = is_definite(base->error) ? SENT_REFUSED : s->state; /* never sent again */
        queue_drop(p, f->sent);
    } else {
        p->failed = true;
        p->dead = p->dead || base->error == EVLOG_ERR_UNKNOWN_TOPIC || base->error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
    }
    if (p->failed && flights_busy(ps, s->producer) == 0) {
        p->failed = false;
        p->asked = 0;
    }
}

static void producer_ask(struct producers *ps, uint32_t index, uint32_t sent, bool again)
{
    struct producer *p = &ps->list[index];
    struct in_flight *f = NULL;
    for (uint32_t k = 0; k < WINDOW && f == NULL; k++) {
        f = ps->flights[index][k].busy ? NULL : &ps->flights[index][k];
    }
    EL_ASSERT(f != NULL);
    struct sent *s = &ps->m->sent[sent];
    /* the size follows from the id, so that a retry sends the same bytes */
    struct el_rng rng;
    el_rng_seed(&rng, s->id * 77);
    uint32_t value_len = 12 + (uint32_t)(el_rng_chance(&rng, 2000)     ? el_rng_below(&rng, 28000)
                                         : el_rng_chance(&rng, 20000)  ? el_rng_below(&rng, 11000)
                                         : el_rng_chance(&rng, 300000) ? el_rng_below(&rng, 3000)
                                                                       : el_rng_below(&rng, 200));
    f->batch = malloc(BATCH_ROOM);
    EL_ASSERT(f->batch != NULL);
    f->producers = ps;
    f->sent = sent;
    f->again = again;
    f->busy = true;
    f->op = (struct append_op){.base = {.done = on_append},
                               .topic_id = ps->m->topics[p->topic].id,
                               .partition = p->partition,
                               .batch = f->batch};
    f->op.batch_len = (uint32_t)model_batch(ps->m, s, p->id, value_len, f->batch, BATCH_ROOM);
    if (ps->m->topics[p->topic].awaited && world_chance(ps->m->w, 100000)) {
        f->op.wait_by_ns = ps->m->w->clock.now_ns + world_below(ps->m->w, 5000000000ull);
    }
    int code = el_batch_check(f->batch, f->op.batch_len, BATCH_ROOM, NULL, 0, &f->op.info);
    EL_ASSERT(code == 0);
    store_append(store_shard_at(ps->m->w->store, (uint32_t)(s->producer % ps->m->w->shard_count)), &f->op);
}

void producers_forget_silent(struct producers *ps)
{
    const struct world *w = ps->m->w;
    uint64_t wall_ns = (uint64_t)((int64_t)w->clock.now_ns + w->clock.wall_offset);
    uint64_t now_ns = EL_MAX(wall_ns, el_clock_now(store_clock(w->store)));
    for (uint32_t i = 0; i < ps->count; i++) {
        struct producer *p = &ps->list[i];
        p->dead = p->dead || (p->id >= 0 && now_ns > p->last_ns + SILENCE_NS_MAX);
    }
}

static void producer_go(struct producers *ps, uint32_t index)
{
    struct producer *p = &ps->list[index];
    if (p->dead || p->failed || flights_busy(ps, index) == WINDOW || ps->m->topics[p->topic].state != TOPIC_THERE) {
        return;
    }
    if (p->asked < p->queue_len) { /* again, in order */
        producer_ask(ps, index, p->queue[p->asked++], false);
        return;
    }
    if (p->queue_len == WINDOW) {
        return;
    }
    uint32_t records = 1 + (uint32_t)world_below(ps->m->w, 5);
    uint32_t sent = model_send(ps->m, p->topic, p->partition, index, records, p->id < 0 ? -1 : p->next_sequence);
    p->next_sequence = el_sequence_add(p->next_sequence, (int32_t)records);
    p->queue[p->queue_len++] = sent;
    p->asked++;
    producer_ask(ps, index, sent, false);
    if (p->id >= 0 && flights_busy(ps, index) < WINDOW && world_chance(ps->m->w, 20000)) {
        producer_ask(ps, index, sent, true);
    }
}

void producers_restart(struct producers *ps)
{
    for (uint32_t i = 0; i < ps->count; i++) {
        struct producer *p = &ps->list[i];
        for (uint32_t k = 0; k < WINDOW; k++) {
            free(ps->flights[i][k].batch);
            ps->flights[i][k].batch = NULL;
            ps->flights[i][k].busy = false;
        }
        p->asked = 0;
        p->failed = false;
        if (p->id < 0) {
            p->queue_len = 0;
        }
        p->dead = p->dead || ps->m->topics[p->topic].state != TOPIC_THERE;
    }
}

void producers_act(struct producers *ps)
{
    producers_forget_silent(ps);
    if (ps->count > 0) {
        producer_go(ps, (uint32_t)world_below(ps->m->w, ps->count));
    }
}

bool producers_busy(const struct producers *ps)
{
    for (uint32_t i = 0; i < PRODUCERS_MAX; i++) {
        if (flights_busy(ps, i) > 0) {
            return true;
        }
    }
    return false;
}

void producers_topic_gone(struct producers *ps, uint32_t topic)
{
    for (uint32_t i = 0; i < ps->count; i++) {
        ps->list[i].dead = ps->list[i].dead || ps->list[i].topic == topic;
    }
}
