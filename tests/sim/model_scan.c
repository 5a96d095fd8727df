/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole log, read and compared: what was acknowledged or shown is there, once, in order, and nothing else.
 */
#include "keyed.h"

#include <core/assert.h>
#include <format/redaction.h>

#define SCAN_DAMAGE_MAX 64u

struct scan {
    struct model *m;
    uint32_t topic;
    int32_t partition;
    int64_t start_before; /* log start that was known when the scan began */
    uint64_t begun_ns;    /* by the store's clock */
    int64_t next;         /* expected offset */
    uint64_t last_append_ns;
    int32_t last_epoch;
    uint64_t *last_id;   /* by producer index: order */
    uint64_t asked_step; /* of the world: the read under way */
    bool moved;          /* the log start moved meanwhile */
    bool stopped;        /* a read failed for a fault that was made: no verdict */
    uint32_t tries;      /* for the archive was not there */
    uint32_t damage_count;
    struct {
        int64_t start, end;
    } damage[SCAN_DAMAGE_MAX];
};

/* Does all of it stay the same while nobody writes? */
static bool digested(const struct model *m, uint32_t topic)
{
    return !m->topics[topic].retention && !m->topics[topic].compacted && !m->topics[topic].awaited;
}

static void scan_batch(struct scan *s, const uint8_t *batch, const struct read_entry *e)
{
    struct model *m = s->m;
    struct world *w = m->w;
    bool first = s->last_append_ns == 0; /* a trim may cut a batch */
    struct sent *sent = model_see(m, s->topic, s->partition, s->next, first, batch, e);
    if (sent == NULL) {
        return;
    }
    struct el_redaction_mark mark;
    uint64_t gone_step = model_gone_step(m, sent);
    if (gone_step > 0 && gone_step < s->asked_step && !el_redaction_mark_get(batch, e->len, &mark)) {
        world_violation(w, "offset %lld was redacted, and is read", (long long)sent->offset);
    }
    if (sent->seen) {
        world_violation(w, "batch %llu is in the log twice", (unsigned long long)sent->id);
    }
    if (e->append_time_ns < s->last_append_ns || e->leader_epoch < s->last_epoch) {
        world_violation(w, "append time or epoch goes back at offset %lld", (long long)sent->offset);
    }
    if (s->last_id[sent->producer] >= sent->id && !w->lying) {
        world_violation(w, "order of producer %u is broken at offset %lld", sent->producer, (long long)sent->offset);
    }
    s->next = sent->offset + sent->record_count;
    s->last_id[sent->producer] = sent->id;
    s->last_append_ns = e->append_time_ns;
    s->last_epoch = e->leader_epoch;
    sent->seen = true;
    sent->seen_records = sent->read_records;
    if (digested(m, s->topic)) {
        m->digest = m->digest * 1099511628211ull + sent->id + (uint64_t)sent->offset * 31 + e->append_time_ns;
    }
}

/* An offset that cannot be read. Each rotten byte may hide one range. */
static bool scan_damage(struct scan *s)
{
    if (s->damage_count > 0 && s->damage[s->damage_count - 1].end == s->next) {
        s->damage[s->damage_count - 1].end++;
    } else if (s->damage_count < SCAN_DAMAGE_MAX) {
        s->damage[s->damage_count].start = s->next;
        s->damage[s->damage_count++].end = s->next + 1;
    }
    if (s->damage_count > s->m->w->rotten) {
        world_violation(s->m->w, "topic %u partition %d: %u ranges cannot be read after damage to %u bytes", s->topic,
                        s->partition, s->damage_count, s->m->w->rotten);
    }
    if (s->m->w->violation[0] != 0) {
        return false;
    }
    s->m->damage = (struct model_damage){s->topic, s->partition, s->damage[s->damage_count - 1].start,
                                         s->damage[s->damage_count - 1].end};
    s->next++;
    return true;
}

/* One read; false when the machine crashed, a promise is broken or the end is reached. */
static bool scan_read(struct scan *s, struct store_shard *shard, int64_t *end)
{
    struct world *w = s->m->w;
    bool done = false;
    struct read_op op = {.base = {.done = model_on_flag, .arg = &done}};
    op.topic_id = s->m->topics[s->topic].id;
    op.partition = s->partition;
    op.offset = s->next;
    op.max_bytes = 100 + (uint32_t)world_below(w, 60000);
    op.at_least_one = true;
    op.want_entries = true;
    op.current_leader_epoch = op.last_fetched_epoch = -1;
    int64_t before = model_end(s->m, s->topic, s->partition);
    s->asked_step = w->steps;
    store_read(shard, &op);
    if (!world_wait(w, &done)) {
        return false;
    }
    model_trace_read(s->m, &op);
    if (op.base.error != 0) {
        if (op.base.error == EVLOG_ERR_OFFSET_RANGE && s->m->topics[s->topic].retention) {
            s->moved = true; /* retention went by: look again from the new start */
        } else if (world_read_is_damage(w, op.base.error)) {
            return scan_damage(s) && s->next < *end;
        } else if (world_archive_waits(w, op.base.error, &s->tries)) {
            return true;
        } else if (world_read_may_fail(w, op.base.error)) {
            s->stopped = true;
        } else if (!w->lying) {
            world_violation(w, "topic %u partition %d: read at %lld failed: %s", s->topic, s->partition,
                            (long long)s->next, evlog_error_text(op.base.error));
        }
        return false;
    }
    *end = op.high_watermark;
    model_see_end(s->m, s->topic, s->partition, before, *end);
    model_see_start(s->m, s->topic, s->partition, op.log_start_offset);
    for (uint32_t i = 0; i < op.entry_count && w->violation[0] == 0; i++) {
        scan_batch(s, op.data + op.entries[i].pos, &op.entries[i]);
    }
    uint32_t count = op.entry_count;
    store_read_release(&op);
    if (count == 0 && s->next < *end) {
        world_violation(w, "topic %u partition %d: nothing to read at %lld, end %lld", s->topic, s->partition,
                        (long long)s->next, (long long)*end);
    }
    return w->violation[0] == 0 && s->next < *end;
}

/* Log start and end as ListOffsets tells them. */
static bool partition_bounds(struct model *m, uint32_t topic, int32_t partition, struct store_shard *shard,
                             int64_t *start, int64_t *end)
{
    int64_t found[2] = {0, 0};
    uint32_t tries = 0;
    for (int i = 0; i < 2;) {
        bool done = false;
        struct lookup_op op = {.base = {.done = model_on_flag, .arg = &done},
                               .topic_id = m->topics[topic].id,
                               .partition = partition,
                               .timestamp = i == 0 ? -2 : -1,
                               .current_leader_epoch = -1};
        store_lookup(shard, &op);
        if (!world_wait(m->w, &done)) {
            return false;
        }
        SIM_TRACE(m->w->trace, "bound", (uint64_t)op.base.error, (uint64_t)op.offset);
        if (world_archive_waits(m->w, op.base.error, &tries)) {
            continue;
        }
        if (sim_disk_crashed(m->w->disk)) {
            return false;
        }
        if (op.base.error != 0) {
            world_violation(m->w, "bounds of topic %u partition %d: %s", topic, partition,
                            evlog_error_text(op.base.error));
            return false;
        }
        found[i++] = op.offset;
    }
    *start = found[0];
    *end = found[1];
    return true;
}

static bool is_damaged(const struct scan *s, const struct sent *sent)
{
    for (uint32_t i = 0; i < s->damage_count; i++) {
        if (sent->offset < s->damage[i].end && sent->offset + sent->record_count > s->damage[i].start) {
            return true;
        }
    }
    return false;
}

static void check_missing(const struct scan *scan, int64_t start, int64_t end)
{
    struct model *m = scan->m;
    uint32_t topic = scan->topic;
    int32_t partition = scan->partition;
    if (start < scan->start_before && !m->w->lying) {
        world_violation(m->w, "topic %u partition %d: log start went back from %lld to %lld", topic, partition,
                        (long long)scan->start_before, (long long)start);
    }
    model_see_start(m, topic, partition, start);
    for (uint32_t i = 0; i < m->sent_count; i++) {
        struct sent *s = &m->sent[i];
        bool here = s->topic == topic && s->partition == partition && s->due && s->offset >= start;
        if (here && s->key_count > 0 && !m->w->lying && !is_damaged(scan, s)) {
            int64_t missing = keyed_missing(m, s, start, scan->damage_count > 0);
            bool quick = m->w->clock_max_ns - scan->begun_ns < m->topics[topic].tombstone_ns;
            int64_t revived = quick && scan->damage_count == 0 ? keyed_revived(m, s, start) : -1;
            if (revived >= 0) {
                world_violation(m->w, "topic %u partition %d: the tombstone of an event at %lld went before it", topic,
                                partition, (long long)revived);
            }
            if (missing >= 0) {
                world_violation(m->w, "topic %u partition %d: offset %lld is the last of its key and is lost", topic,
                                partition, (long long)missing);
            }
            s->seen = true;
        }
        if (here && s->offset + s->record_count > start && !s->seen && !m->w->lying && !is_damaged(scan, s)) {
            world_violation(m->w,
                            "topic %u partition %d: batch %llu at offset %lld was acknowledged and is lost (end %lld)",
                            topic, partition, (unsigned long long)s->id, (long long)s->offset, (long long)end);
        }
        if (here && !s->seen && m->w->lying) {
            s->state = SENT_UNKNOWN;
            s->append_ns = 0;
        }
        s->seen = false;
    }
}

/* Every cut that was made must still divide the partition at the same place. In a compacted topic what is later than a
 * cut may have been gone when it was made, and so lie below its end. */
static void check_cuts(struct model *m, uint32_t topic, int32_t partition)
{
    for (uint32_t i = 0; i < m->sent_count; i++) {
        const struct sent *s = &m->sent[i];
        if (s->topic != topic || s->partition != partition || s->state != SENT_STORED || s->append_ns == 0 ||
            m->topics[topic].memory) {
            continue;
        }
        for (uint32_t c = 0; c < m->cut_count; c++) {
            for (uint32_t k = 0; k < m->cuts[c].count; k++) {
                const struct cut_result *r = &m->cuts[c].results[k];
                if (!el_uuid_eq(&r->topic_id, &m->topics[topic].id) || r->partition != partition || r->error != 0) {
                    continue;
                }
                bool early = s->append_ns <= m->cuts[c].time_ns, below = s->offset < r->end_offset;
                bool was_gone = !early && s->key_count > 0; /* when it was cut, and is back since a crash */
                if (s->offset >= r->log_start_offset && early != below && !was_gone) {
                    world_violation(m->w, "topic %u partition %d: cut at %llu ended at %lld, but %lld has time %llu",
                                    topic, partition, (unsigned long long)m->cuts[c].time_ns, (long long)r->end_offset,
                                    (long long)s->offset, (unsigned long long)s->append_ns);
                }
            }
        }
    }
}

static bool check_partition(struct model *m, uint32_t topic, int32_t partition, uint64_t *last_id)
{
    struct world *w = m->w;
    struct store_shard *shard = store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count));
    int64_t start, end, start_before = m->topics[topic].partitions[partition].log_start_min;
    for (uint32_t i = 0; i < m->sent_count; i++) {
        m->sent[i].seen = false; /* the last scan may not have come to its end */
        m->sent[i].seen_records = 0;
        m->sent[i].due = m->sent[i].state == SENT_STORED; /* before the end is asked for */
    }
    if (!partition_bounds(m, topic, partition, shard, &start, &end)) {
        return false;
    }
    struct scan s = {.m = m, .topic = topic, .partition = partition, .next = start, .last_id = last_id};
    s.start_before = start_before;
    s.begun_ns = w->clock_max_ns;
    memset(last_id, 0, MODEL_PRODUCERS_MAX * sizeof(*last_id));
    while (s.next < end && scan_read(&s, shard, &end)) {
    }
    if (w->violation[0] != 0 || sim_disk_crashed(w->disk)) {
        return false;
    }
    if (s.stopped) {
        return true;
    }
    int64_t start_after = start;
    if (m->topics[topic].compacted && !partition_bounds(m, topic, partition, shard, &start_after, &end)) {
        return false;
    }
    if (s.moved || start_after > start) { /* a read that comes to a hole goes on behind the new start */
        return check_partition(m, topic, partition, last_id);
    }
    if (digested(m, topic)) {
        m->digest = m->digest * 31 + (uint64_t)start * 7 + (uint64_t)end;
    }
    check_missing(&s, start, end);
    check_cuts(m, topic, partition);
    return w->violation[0] == 0;
}

bool model_check_log(struct model *m)
{
    uint64_t last_id[MODEL_PRODUCERS_MAX];
    bool good = true;
    m->digest = 0;
    m->damage = (struct model_damage){0};
    for (uint32_t t = 0; t < m->topic_count && good; t++) {
        for (int32_t p = 0; m->topics[t].state == TOPIC_THERE && p < m->topics[t].partition_count && good; p++) {
            good = check_partition(m, t, p, last_id);
        }
    }
    return good;
}
