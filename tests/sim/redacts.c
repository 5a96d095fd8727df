/* SPDX-License-Identifier: Apache-2.0
 *
 * See redacts.h. A redaction is of one batch, or of some that follow one another, all of them acknowledged; from the
 * moment that it is asked for each of them may be a mark (model_batch.c), and no other. From the moment that it is said
 * to be done none of their bytes is anywhere on the disk, nor ever again, and a read finds marks.
 */
#include "redacts.h"

#include <core/assert.h>

#define REASON "a secret"
#define CRASH_CALLS_FEW 20u   /* of the disk: while segments are written */
#define CRASH_CALLS_MANY 600u /* until old files and slots are gone */
#define NEIGHBOURS_MAX 3u
#define TRIES_MAX 100

void redacts_init(struct redacts *r, struct model *m, bool on)
{
    *r = (struct redacts){.m = m, .on = on};
}

void redacts_restart(struct redacts *r)
{
    r->busy = r->release = false;
}

/* --- when it is done ---------------------------------------------------------------------------------------------- */

static bool is_in(const struct model_gone *gone, const struct sent *s)
{
    return s->state == SENT_STORED && s->topic == gone->topic && s->partition == gone->partition &&
           s->offset < gone->end && s->offset + s->record_count > gone->first;
}

/* all: each event; otherwise the first of each batch. returns how many batches there are */
static uint32_t check_nowhere(const struct redacts *r, const struct model_gone *gone, bool all)
{
    const struct model *m = r->m;
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->sent_count; i++) {
        const struct sent *s = &m->sent[i];
        if (!is_in(gone, s)) {
            continue;
        }
        count++;
        for (uint32_t k = 0; k < (all ? s->record_count : 1) && m->w->violation[0] == 0; k++) {
            uint8_t word[MODEL_WORD_LEN];
            model_word(s, k, word);
            const char *path = sim_disk_holds(m->w->disk, word, sizeof word);
            if (path != NULL) {
                world_violation(m->w, "topic %u partition %d: offset %lld was redacted, and is in %s", s->topic,
                                s->partition, (long long)s->offset + k, path);
            }
        }
    }
    return count;
}

static void on_done(struct store_op *base)
{
    struct redacts *r = base->arg;
    struct world *w = r->m->w;
    struct model_gone *gone = &r->m->gone[r->at];
    r->busy = false;
    SIM_TRACE(w->trace, "redacted", r->at, r->op.release, (uint64_t)base->error, r->op.batch_count);
    if (base->error == EVLOG_ERR_UNKNOWN_TOPIC) {
        gone->dropped = true;
        return;
    }
    if (base->error == EVLOG_ERR_OFFSET_RANGE || base->error == EVLOG_ERR_POLICY || base->error == EVLOG_ERR_CORRUPT) {
        world_violation(w, "a redaction of offsets %lld to %lld of topic %u partition %d failed: %s",
                        (long long)gone->first, (long long)gone->end - 1, gone->topic, gone->partition,
                        evlog_error_text(base->error));
    }
    if (base->error != 0 || r->op.release) {
        return; /* it is asked for again */
    }
    uint32_t count = check_nowhere(r, gone, true);
    if (r->op.batch_count > count) {
        world_violation(w, "a redaction of %u batches took %llu", count, (unsigned long long)r->op.batch_count);
    }
    world_say(w, "redacted", gone->first, gone->end);
    w->events[EVENT_REDACTED]++;
    w->events[EVENT_REDACTED_LATER] += gone->life != w->life;
    gone->complete = true;
    gone->complete_step = w->steps;
    r->release = true;
}

void redacts_check(const struct redacts *r)
{
    for (uint32_t i = 0; i < r->m->gone_count; i++) {
        if (r->m->gone[i].complete) {
            (void)check_nowhere(r, &r->m->gone[i], false);
        }
    }
}

/* --- who asks ----------------------------------------------------------------------------------------------------- */

static void op_send(struct redacts *r, uint32_t at, bool release)
{
    struct world *w = r->m->w;
    const struct model_gone *gone = &r->m->gone[at];
    r->at = at;
    r->busy = true;
    r->release = false;
    r->op = (struct redact_op){.base = {.done = on_done, .arg = r},
                               .topic_id = r->m->topics[gone->topic].id,
                               .partition = gone->partition,
                               .first_offset = gone->first,
                               .end_offset = gone->end,
                               .when_ms = 1,
                               .reason = el_slice_str(REASON),
                               .release = release};
    store_redact(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &r->op);
}

static bool is_open(const struct model *m, const struct model_gone *gone)
{
    return !gone->complete && !gone->dropped && m->topics[gone->topic].state == TOPIC_THERE;
}

/* Of those that are not done, UINT32_MAX none. */
static uint32_t first_open(const struct model *m)
{
    for (uint32_t i = 0; i < m->gone_count; i++) {
        if (is_open(m, &m->gone[i])) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* End of the acknowledged batch that begins there, -1 none. */
static int64_t end_of_next(const struct model *m, const struct model_gone *gone)
{
    for (uint32_t i = 0; i < m->sent_count; i++) {
        const struct sent *s = &m->sent[i];
        if (s->state == SENT_STORED && s->topic == gone->topic && s->partition == gone->partition &&
            s->offset == gone->end) {
            return s->offset + s->record_count;
        }
    }
    return -1;
}

/* returns false: there is nothing that could be */
static bool choose(const struct redacts *r, struct model_gone *gone)
{
    const struct model *m = r->m;
    if (m->sent_count == 0) {
        return false;
    }
    bool newest = world_chance(m->w, 300000);
    uint32_t from = newest ? m->sent_count - EL_MIN(m->sent_count, 20u) : 0;
    const struct sent *s = &m->sent[from + world_below(m->w, m->sent_count - from)];
    const struct model_topic *t = &m->topics[s->topic];
    if (s->state != SENT_STORED || t->state != TOPIC_THERE || t->memory || t->compacted) {
        return false;
    }
    *gone = (struct model_gone){.topic = s->topic, .partition = s->partition, .life = m->w->life};
    gone->first = s->offset + (int64_t)world_below(m->w, s->record_count);
    gone->end = s->offset + s->record_count;
    if (world_chance(m->w, 500000)) { /* a part of it, so all of it */
        gone->end = gone->first + 1 + (int64_t)world_below(m->w, (uint64_t)(gone->end - gone->first));
        return true;
    }
    for (uint64_t i = world_below(m->w, NEIGHBOURS_MAX); i > 0 && end_of_next(m, gone) > 0; i--) {
        gone->end = end_of_next(m, gone);
    }
    return true;
}

void redacts_act(struct redacts *r)
{
    struct model *m = r->m;
    struct world *w = m->w;
    if (!r->on || r->busy) {
        return;
    }
    if (r->release) {
        op_send(r, r->at, true);
        return;
    }
    uint32_t at = first_open(m);
    if (at == UINT32_MAX) {
        if (m->gone_count == MODEL_GONE_MAX || !choose(r, &m->gone[m->gone_count])) {
            return;
        }
        at = m->gone_count++;
        world_say(w, "redact", m->gone[at].first, m->gone[at].end);
    }
    op_send(r, at, false);
    if (!r->calm && world_chance(w, w->knobs.ppm[FAULT_CRASH_IN_REDACTION])) {
        sim_disk_fault_count(w->disk, FAULT_CRASH_IN_REDACTION);
        sim_disk_crash_at(w->disk, 1 + world_below(w, world_chance(w, 400000) ? CRASH_CALLS_FEW : CRASH_CALLS_MANY));
    }
}

bool redacts_finish(struct redacts *r)
{
    struct model *m = r->m;
    struct world *w = m->w;
    uint64_t until_ns = w->clock.now_ns;
    for (int i = 0; i < TRIES_MAX && w->violation[0] == 0; i++) {
        bool idle = false;
        uint32_t at = first_open(m);
        if (at == UINT32_MAX && !r->release) {
            return true;
        }
        until_ns += WORLD_WAIT_NS_MIN;
        op_send(r, r->release ? r->at : at, r->release);
        while (!idle && w->clock.now_ns < until_ns && w->violation[0] == 0) {
            (void)world_step(w);
            idle = !r->busy;
        }
    }
    if (w->violation[0] == 0) {
        world_violation(w, "no faults any more, but offsets %lld to %lld of topic %u partition %d are not redacted: %s",
                        (long long)m->gone[r->at].first, (long long)m->gone[r->at].end - 1, m->gone[r->at].topic,
                        m->gone[r->at].partition, r->busy ? "no answer" : evlog_error_text(r->op.base.error));
    }
    return false;
}
