/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumers beside the producers: store_read(), store_watch() and its cancel, from random shards.
 */
#include "readers.h"

#include <core/assert.h>

void readers_init(struct readers *r, struct model *m, uint64_t max)
{
    memset(r, 0, sizeof(*r));
    r->max = max;
    for (uint32_t i = 0; i < READERS_MAX; i++) {
        r->list[i].m = m;
    }
}

void readers_reset(struct readers *r)
{
    for (uint32_t i = 0; i < READERS_MAX; i++) {
        r->list[i].state = READER_IDLE;
        r->list[i].placed = false;
    }
}

bool readers_busy(const struct readers *r)
{
    for (uint32_t i = 0; i < READERS_MAX; i++) {
        if (r->list[i].state == READER_READING) {
            return true;
        }
    }
    return false;
}

bool readers_watch(const struct readers *r)
{
    for (uint32_t i = 0; i < READERS_MAX; i++) {
        const struct reader *reader = &r->list[i];
        if (reader->state == READER_WATCHING && reader->m->topics[reader->topic].state == TOPIC_THERE) {
            return true;
        }
    }
    return false;
}

static struct store_shard *any_shard(struct world *w)
{
    return store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count));
}

/* Somewhere in a partition: its beginning, a place in the middle, or near the end. */
static void place(struct reader *r)
{
    struct model *m = r->m;
    uint32_t topic = (uint32_t)world_below(m->w, m->topic_count + 1);
    if (topic == m->topic_count || m->topics[topic].state != TOPIC_THERE) {
        return;
    }
    const struct model_topic *t = &m->topics[topic];
    r->topic = topic;
    r->partition = (int32_t)world_below(m->w, (uint64_t)t->partition_count);
    const struct model_partition *p = &t->partitions[r->partition];
    r->next = world_chance(m->w, 300000) ? p->log_start_max : (int64_t)world_below(m->w, (uint64_t)p->end_shown + 2);
    r->placed = r->fresh = true;
}

static bool is_fault(const struct reader *r, int error)
{
    const struct world *w = r->m->w;
    return (error == EVLOG_ERR_CORRUPT && w->rotten > 0) || world_read_may_fail(w, error) ||
           error == EVLOG_ERR_UNKNOWN_TOPIC || error == EVLOG_ERR_OFFSET_RANGE || error == EVLOG_ERR_NO_MEMORY;
}

static void on_read(struct store_op *base)
{
    struct reader *r = base->arg;
    struct world *w = r->m->w;
    r->state = READER_IDLE;
    model_trace_read(r->m, &r->read);
    if (base->error != 0) {
        r->placed = false;
        if (!is_fault(r, base->error) && !w->lying) {
            world_violation(w, "topic %u partition %d: a reader's read at %lld failed: %s", r->topic, r->partition,
                            (long long)r->next, evlog_error_text(base->error));
        }
        return;
    }
    if (r->read.data_len > r->read.max_bytes && (r->read.entry_count > 1 || !r->read.at_least_one)) {
        world_violation(w, "a read of at most %u bytes gave %u", r->read.max_bytes, r->read.data_len);
    }
    model_see_end(r->m, r->topic, r->partition, r->end_before, r->read.high_watermark);
    model_see_start(r->m, r->topic, r->partition, r->read.log_start_offset);
    for (uint32_t i = 0; i < r->read.entry_count && w->violation[0] == 0; i++) {
        const struct read_entry *e = &r->read.entries[i];
        const struct sent *s = model_see(r->m, r->topic, r->partition, r->next, r->fresh, r->read.data + e->pos, e);
        r->next = s == NULL ? r->next : s->offset + s->record_count;
        r->fresh = false;
        if (s != NULL && r->next > r->read.high_watermark) {
            world_violation(w, "topic %u partition %d: a reader was shown %lld, the end is %lld", r->topic,
                            r->partition, (long long)r->next, (long long)r->read.high_watermark);
        }
    }
    store_read_release(&r->read);
}

static void read_begin(struct reader *r)
{
    struct world *w = r->m->w;
    r->state = READER_READING;
    r->end_before = model_end(r->m, r->topic, r->partition);
    uint32_t max_bytes = (uint32_t)world_below(w, 30000); /* an initializer may draw in any order */
    bool at_least_one = world_chance(w, 900000);
    r->read = (struct read_op){.base = {.done = on_read, .arg = r},
                               .topic_id = r->m->topics[r->topic].id,
                               .partition = r->partition,
                               .offset = r->next,
                               .max_bytes = max_bytes,
                               .at_least_one = at_least_one,
                               .want_entries = true,
                               .current_leader_epoch = -1,
                               .last_fetched_epoch = -1};
    store_read(any_shard(w), &r->read);
}

static void on_watch(struct store_op *base)
{
    struct reader *r = base->arg;
    r->state = READER_IDLE;
    SIM_TRACE(r->m->w->trace, "watch", r->topic, (uint64_t)r->partition, (uint64_t)base->error);
    if (base->error == EVLOG_ERR_CLOSED && r->cancelled) {
        return;
    }
    if (base->error != 0 && base->error != EVLOG_ERR_UNKNOWN_TOPIC) {
        world_violation(r->m->w, "a watch ended with: %s", evlog_error_text(base->error));
    }
    r->placed = r->placed && base->error == 0;
}

static void watch_begin(struct reader *r)
{
    r->state = READER_WATCHING;
    r->cancelled = false;
    r->watch = (struct watch_op){.base = {.done = on_watch, .arg = r},
                                 .topic_id = r->m->topics[r->topic].id,
                                 .partition = r->partition,
                                 .offset = r->next};
    store_watch(any_shard(r->m->w), &r->watch);
}

void readers_act(struct readers *readers)
{
    uint64_t index = world_below(readers->list[0].m->w, READERS_MAX);
    if (index >= readers->max) {
        return;
    }
    struct reader *r = &readers->list[index];
    struct world *w = r->m->w;
    switch (r->state) {
    case READER_READING:
        return;
    case READER_WATCHING:
        if (!r->cancelled && world_chance(w, 100000)) {
            r->cancelled = true;
            store_watch_cancel(&r->watch);
        }
        return;
    case READER_IDLE:
        break;
    }
    if (!r->placed || world_chance(w, 20000)) {
        r->placed = false;
        place(r);
    } else if (!r->fresh && r->read.base.error == 0 && r->next == r->read.high_watermark) {
        watch_begin(r);
        r->read.high_watermark = -1; /* then it reads again */
    } else {
        read_begin(r);
    }
}
