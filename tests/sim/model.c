/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkers: acknowledged is readable, offsets are dense, order is kept, nothing is doubled, cuts repeat.
 */
#include "keyed.h"

#include <core/assert.h>
#include <core/hash.h>
#include <stdio.h>
#include <stdlib.h>

void model_init(struct model *m, struct world *w)
{
    memset(m, 0, sizeof(*m));
    m->w = w;
}

void model_free(struct model *m)
{
    free(m->sent);
}

uint32_t model_send(struct model *m, uint32_t topic, int32_t partition, uint32_t producer, uint32_t record_count,
                    int32_t first_sequence)
{
    if (m->sent_count == m->sent_room) {
        m->sent_room = m->sent_room == 0 ? 256 : m->sent_room * 2;
        m->sent = realloc(m->sent, m->sent_room * sizeof(*m->sent));
        EL_ASSERT(m->sent != NULL);
    }
    m->sent[m->sent_count] = (struct sent){
        .id = m->sent_count + 1,
        .topic = topic,
        .partition = partition,
        .producer = producer,
        .record_count = record_count,
        .first_sequence = first_sequence,
        .offset = -1,
        .sent_ns = m->w->clock_max_ns,
        .key_count = m->topics[topic].key_count,
    };
    return m->sent_count++;
}

uint32_t model_topic_any(const struct model *m)
{
    for (int i = 0; i < 20; i++) {
        uint32_t t = (uint32_t)world_below(m->w, m->topic_count + 1);
        if (t < m->topic_count && m->topics[t].state == TOPIC_THERE) {
            return t;
        }
    }
    return UINT32_MAX;
}

/* The value's bytes follow from id and index, so that a reader can tell whether they are right. */
static void value_fill(uint8_t *p, size_t len, uint64_t id, uint32_t index)
{
    struct el_rng rng;
    el_put_le64(p, id);
    el_put_le32(p + 8, index);
    el_rng_seed(&rng, id * 1000003 + index);
    uint64_t word = el_rng_next(&rng);
    for (size_t i = 12; i < len; i += 8) {
        uint8_t random[8];
        el_put_le64(random, word);
        word = len >= MODEL_PLAIN_LEN ? word : el_rng_next(&rng);
        memcpy(p + i, random, EL_MIN((size_t)8, len - i));
    }
}

static void batch_fill(struct el_batch_builder *builder, const struct sent *s, uint32_t value_len)
{
    uint8_t *value = malloc(value_len);
    EL_ASSERT(value != NULL);
    EL_ASSERT(value_len >= 12);
    for (uint32_t i = 0; i < s->record_count; i++) {
        value_fill(value, value_len, s->id, i);
        struct el_record_body body = {.value = el_slice_of(value, value_len)};
        struct el_header header = {.key = el_slice_str("id"), .value = el_slice_of(value, 12)};
        char key[12];
        if (s->key_count > 0) {
            EL_ASSERT(i < KEYED_RECORDS_MAX);
            keyed_key(s, i, key);
            body.key = el_slice_str(key);
            if (keyed_tombstone(s, i)) {
                body = (struct el_record_body){.key = body.key, .headers = &header, .header_count = 1};
            }
        }
        int code = el_batch_builder_add(builder, 1000 + (int64_t)s->id, &body);
        EL_ASSERT(code == 0);
    }
    free(value);
}

static struct el_slice batch_finish(struct el_batch_builder *builder, const struct sent *s, int64_t pid,
                                    enum el_codec codec)
{
    struct el_slice batch;
    struct el_batch_origin origin = {.producer_id = pid, .producer_epoch = 0, .base_sequence = s->first_sequence};
    int code = el_batch_builder_finish(builder, codec, pid < 0 ? NULL : &origin, &batch);
    EL_ASSERT(code == 0);
    return batch;
}

size_t model_batch(struct model *m, const struct sent *s, int64_t pid, uint32_t value_len, uint8_t *out, size_t out_len)
{
    struct el_batch_builder builder;
    el_batch_builder_init_fixed(&builder, out, out_len);
    batch_fill(&builder, s, value_len);
    (void)m;
    return batch_finish(&builder, s, pid, EL_CODEC_NONE).len;
}

size_t model_batch_packed(const struct sent *s, int64_t pid, uint32_t value_len, enum el_codec codec, uint8_t *out,
                          size_t out_len)
{
    struct el_batch_builder builder;
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    batch_fill(&builder, s, value_len);
    struct el_slice batch = batch_finish(&builder, s, pid, codec);
    EL_ASSERT(batch.len <= out_len);
    memcpy(out, batch.data, batch.len);
    el_batch_builder_destroy(&builder);
    return batch.len;
}

/* --- catalogue ---------------------------------------------------------------------------------------------------- */

/* A device that lies may lose the catalogue's last changes as well, but nothing may be made up. */
static void check_topic(struct world *w, const struct model_topic *t, const struct topic *found)
{
    int32_t most = EL_MAX(t->partition_asked, t->partition_count);
    if (t->state == TOPIC_THERE && found == NULL && !w->lying) {
        world_violation(w, "topic %s was acknowledged and is gone", t->name);
    } else if (t->state == TOPIC_GONE && found != NULL && !w->lying) {
        world_violation(w, "topic %s was deleted and is back", t->name);
    } else if (found != NULL &&
               (found->partition_count > most || (found->partition_count < t->partition_count && !w->lying))) {
        world_violation(w, "topic %s has %d partitions", t->name, found->partition_count);
    }
}

void model_check_catalogue(struct model *m)
{
    struct world *w = m->w;
    for (uint32_t s = 0; s < w->shard_count; s++) {
        struct store_shard *shard = store_shard_at(w->store, s);
        for (uint32_t i = 0; i < m->topic_count; i++) {
            struct model_topic *t = &m->topics[i];
            const struct topic *found = store_topic_by_name(shard, el_slice_str(t->name));
            check_topic(w, t, found);
            if (s + 1 == w->shard_count && w->violation[0] == 0) {
                if (found != NULL) {
                    t->state = TOPIC_THERE;
                    t->id = found->id;
                    t->partition_count = t->partition_asked = found->partition_count;
                } else {
                    t->state = t->state == TOPIC_ABSENT ? TOPIC_ABSENT : TOPIC_GONE;
                }
            }
        }
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* done of an op whose arg points to a flag. */
static void on_flag(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

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
    uint64_t *last_id; /* by producer index: order */
    bool moved;        /* the log start moved meanwhile */
    bool stopped;      /* a read failed for a fault that was made: no verdict */
    uint32_t damage_count;
    struct {
        int64_t start, end;
    } damage[SCAN_DAMAGE_MAX];
};

static void see_record(struct model *m, const struct el_batch_record *record, const struct sent *sent, uint32_t index)
{
    const struct el_slice *v = &record->record.value;
    if (sent->key_count > 0 && !keyed_right(sent, index, record)) {
        world_violation(m->w, "offset %lld has another key than was sent", (long long)record->offset);
    }
    if (sent->key_count > 0 && keyed_tombstone(sent, index)) {
        return;
    }
    uint8_t *whole = malloc(v->len + 12);
    EL_ASSERT(whole != NULL);
    if (v->len >= 12) {
        value_fill(whole, v->len, sent->id, index);
    }
    if (v->len < 12 || memcmp(whole, v->data, v->len) != 0) {
        world_violation(m->w, "offset %lld holds other bytes than were sent", (long long)record->offset);
    }
    free(whole);
}

static struct sent *see_identify(struct model *m, uint32_t topic, int32_t partition,
                                 const struct el_batch_record *record)
{
    uint64_t id = 0;
    uint32_t index;
    if (!keyed_identify(record, &id, &index) || id == 0 || id > m->sent_count) {
        world_violation(m->w, "offset %lld holds a batch that nobody sent", (long long)record->offset);
        return NULL;
    }
    struct sent *sent = &m->sent[id - 1];
    if (sent->topic != topic || sent->partition != partition) {
        world_violation(m->w, "offset %lld holds a batch of another partition", (long long)record->offset);
        return NULL;
    }
    return sent;
}

static struct sent *walk_records(struct model *m, uint32_t topic, int32_t partition, struct el_batch_iter *iter,
                                 const struct read_entry *e)
{
    struct el_batch_record record;
    struct sent *sent = NULL;
    uint32_t index = 0;
    while (el_batch_next(iter, &record) == 1) {
        if (index == 0) {
            sent = see_identify(m, topic, partition, &record);
            if (sent == NULL) {
                return NULL;
            }
            sent->read_records = 0;
        }
        if (sent->key_count > 0) {
            index = (uint32_t)(record.offset - iter->info.base_offset);
            sent->read_records |= 1u << index % KEYED_RECORDS_MAX;
        }
        see_record(m, &record, sent, index++);
        uint64_t append_ns = e->append_time_ns != 0 ? e->append_time_ns : sent->append_ns;
        bool stamped = m->topics[topic].stamped;
        int64_t time_ms = stamped ? (int64_t)(append_ns / 1000000) : 1000 + (int64_t)sent->id;
        if (record.timestamp_ms != time_ms && !(stamped && append_ns == 0)) {
            world_violation(m->w, "offset %lld has time %lld and not %lld", (long long)record.offset,
                            (long long)record.timestamp_ms, (long long)time_ms);
        }
    }
    if (sent == NULL || (sent->key_count == 0 && index != sent->record_count) || index > sent->record_count) {
        world_violation(m->w, "a batch at offset %lld has %u records", (long long)iter->info.base_offset, index);
        return NULL;
    }
    return sent;
}

/* The batch's records are those of one sent batch; NULL after a violation. */
static struct sent *see_records(struct model *m, uint32_t topic, int32_t partition, const uint8_t *batch,
                                const struct read_entry *e)
{
    struct el_batch_iter iter;
    struct sent *sent = NULL;
    uint8_t *scratch = NULL;
    int code = el_batch_verify(batch, e->len);
    code = code != 0 ? code : el_batch_open(&iter, batch, e->len, NULL, 0);
    while (code == EVLOG_ERR_NO_MEMORY) { /* not every codec says at once how much it is */
        size_t scratch_len = iter.info.scratch_len_wanted;
        scratch = realloc(scratch, scratch_len);
        EL_ASSERT(scratch != NULL);
        code = el_batch_open(&iter, batch, e->len, scratch, scratch_len);
    }
    if (code != 0) {
        world_violation(m->w, "batch at offset %lld does not verify", (long long)el_batch_base_offset(batch));
    } else {
        sent = walk_records(m, topic, partition, &iter, e);
    }
    free(scratch);
    return sent;
}

struct sent *model_see(struct model *m, uint32_t topic, int32_t partition, int64_t next, bool inside,
                       const uint8_t *batch, const struct read_entry *e)
{
    struct world *w = m->w;
    struct sent *sent = see_records(m, topic, partition, batch, e);
    if (sent == NULL) {
        return NULL;
    }
    int64_t base = el_batch_base_offset(batch);
    inside = inside && base <= next && base + sent->record_count > next;
    if (base != next && !inside && !(m->topics[topic].compacted && base > next)) {
        world_violation(w, "topic %u partition %d: batch at %lld, expected %lld", topic, partition, (long long)base,
                        (long long)next);
        return NULL;
    }
    if (sent->state == SENT_REFUSED || (sent->state == SENT_STORED && sent->offset != base)) {
        world_violation(w, "batch %llu stands at %lld, was %s %lld", (unsigned long long)sent->id, (long long)base,
                        sent->state == SENT_REFUSED ? "refused" : "at", (long long)sent->offset);
    }
    if (sent->append_ns != 0 && e->append_time_ns != 0 && sent->append_ns != e->append_time_ns) {
        world_violation(w, "batch %llu has another append time than before", (unsigned long long)sent->id);
    }
    m->events_stored += sent->state != SENT_STORED;
    sent->state = SENT_STORED;
    sent->offset = base;
    sent->append_ns = e->append_time_ns != 0 ? e->append_time_ns : sent->append_ns;
    return sent;
}

void model_acked(struct model *m, struct sent *s, int64_t offset, uint64_t append_ns)
{
    if (s->state == SENT_STORED && s->offset != offset) {
        world_violation(m->w, "batch %llu was acknowledged at %lld and is at %lld", (unsigned long long)s->id,
                        (long long)offset, (long long)s->offset);
    }
    if (s->append_ns != 0 && append_ns != 0 && s->append_ns != append_ns) {
        world_violation(m->w, "batch %llu was appended at two times", (unsigned long long)s->id);
    }
    m->events_stored += s->state != SENT_STORED;
    s->state = SENT_STORED;
    s->offset = offset;
    s->append_ns = append_ns != 0 ? append_ns : s->append_ns;
}

void model_see_end(struct model *m, uint32_t topic, int32_t partition, int64_t before, int64_t end)
{
    struct model_partition *p = &m->topics[topic].partitions[partition];
    if (end < before && !m->w->lying) {
        world_violation(m->w, "topic %u partition %d: the end was told to be %lld, now %lld", topic, partition,
                        (long long)before, (long long)end);
    }
    p->end_shown = EL_MAX(p->end_shown, end);
}

void model_see_start(struct model *m, uint32_t topic, int32_t partition, int64_t start)
{
    struct model_partition *p = &m->topics[topic].partitions[partition];
    if (!m->topics[topic].retention && start > p->log_start_max) {
        world_violation(m->w, "topic %u partition %d: log start %lld was never asked for", topic, partition,
                        (long long)start);
    }
    p->log_start_min = EL_MAX(p->log_start_min, start); /* check_missing() looks whether it stays so */
    p->log_start_max = EL_MAX(p->log_start_max, start);
}

void model_trace_read(struct model *m, const struct read_op *op)
{
    bool data = op->base.error == 0 && op->data_len > 0;
    SIM_TRACE(m->w->trace, "read", (uint64_t)op->base.error, (uint64_t)op->high_watermark,
              (uint64_t)op->log_start_offset, op->entry_count, data ? el_xxh3(op->data, op->data_len) : 0);
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
    if (!m->topics[s->topic].retention && !m->topics[s->topic].compacted) {
        m->digest = m->digest * 1099511628211ull + sent->id + (uint64_t)sent->offset * 31 + e->append_time_ns;
    }
}

/* What a read says of damaged bytes; those of a format number look like a newer file. */
static bool is_damage(const struct world *w, int error)
{
    return w->rotten > 0 && (error == EVLOG_ERR_CORRUPT || error == EVLOG_ERR_FORMAT);
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
    struct read_op op = {.base = {.done = on_flag, .arg = &done}};
    op.topic_id = s->m->topics[s->topic].id;
    op.partition = s->partition;
    op.offset = s->next;
    op.max_bytes = 100 + (uint32_t)world_below(w, 60000);
    op.at_least_one = true;
    op.want_entries = true;
    op.current_leader_epoch = op.last_fetched_epoch = -1;
    int64_t before = model_end(s->m, s->topic, s->partition);
    store_read(shard, &op);
    if (!world_wait(w, &done)) {
        return false;
    }
    model_trace_read(s->m, &op);
    if (op.base.error != 0) {
        if (op.base.error == EVLOG_ERR_OFFSET_RANGE && s->m->topics[s->topic].retention) {
            s->moved = true; /* retention went by: look again from the new start */
        } else if (is_damage(w, op.base.error)) {
            return scan_damage(s) && s->next < *end;
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
    for (int i = 0; i < 2; i++) {
        bool done = false;
        struct lookup_op op = {.base = {.done = on_flag, .arg = &done},
                               .topic_id = m->topics[topic].id,
                               .partition = partition,
                               .timestamp = i == 0 ? -2 : -1,
                               .current_leader_epoch = -1};
        store_lookup(shard, &op);
        if (!world_wait(m->w, &done)) {
            return false;
        }
        SIM_TRACE(m->w->trace, "bound", (uint64_t)op.base.error, (uint64_t)op.offset);
        if (op.base.error != 0) {
            world_violation(m->w, "bounds of topic %u partition %d: %s", topic, partition,
                            evlog_error_text(op.base.error));
            return false;
        }
        found[i] = op.offset;
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
    if (!m->topics[topic].retention && !m->topics[topic].compacted) {
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

/* --- times -------------------------------------------------------------------------------------------------------- */

int64_t model_timestamp_ms(const struct model *m, const struct sent *s)
{
    return m->topics[s->topic].stamped ? (int64_t)(s->append_ns / 1000000) : 1000 + (int64_t)s->id;
}

uint64_t model_last_append_ns(const struct model *m)
{
    uint64_t last_ns = 0;
    for (uint32_t i = 0; i < m->sent_count; i++) {
        last_ns = EL_MAX(last_ns, m->sent[i].append_ns);
    }
    return last_ns;
}

void model_forget(struct model *m)
{
    for (uint32_t i = 0; i < m->sent_count; i++) {
        struct sent *s = &m->sent[i];
        if (m->topics[s->topic].memory) {
            s->state = s->state == SENT_STORED ? SENT_UNKNOWN : s->state;
            s->append_ns = 0;
        }
    }
    for (uint32_t t = 0; t < m->topic_count; t++) {
        for (int32_t p = 0; m->topics[t].memory && p < MODEL_PARTITIONS_MAX; p++) {
            m->topics[t].partitions[p].end_shown = 0;
        }
    }
}

static int64_t sent_time(const struct model *m, const struct sent *s, enum time_kind kind)
{
    return kind == TIME_OF_EVENT ? model_timestamp_ms(m, s) : (int64_t)s->append_ns;
}

/* A stored batch whose place and time are known and that no trim can reach. */
static bool is_certain(const struct model *m, const struct sent *s, uint32_t topic, int32_t partition)
{
    return s->topic == topic && s->partition == partition && s->state == SENT_STORED && s->append_ns != 0 &&
           s->offset >= m->topics[topic].partitions[partition].log_start_max;
}

bool model_lookup_choose(struct model *m, uint32_t topic, int32_t partition, enum time_kind kind,
                         struct model_lookup *lookup)
{
    struct world *w = m->w;
    if (m->sent_count == 0 || m->topics[topic].retention || w->lying) {
        return false;
    }
    const struct sent *about = &m->sent[world_below(w, m->sent_count)];
    *lookup = (struct model_lookup){.topic = topic, .partition = partition, .kind = kind, .at_most = INT64_MAX};
    lookup->time = sent_time(m, about, kind) + (int64_t)world_below(w, 3) - 1;
    for (uint32_t i = 0; i < m->sent_count && !m->topics[topic].compacted; i++) {
        const struct sent *s = &m->sent[i];
        if (is_certain(m, s, topic, partition) && sent_time(m, s, kind) >= lookup->time) {
            lookup->at_most = EL_MIN(lookup->at_most, s->offset);
        }
    }
    return true;
}

void model_see_lookup(struct model *m, const struct model_lookup *lookup, int64_t offset)
{
    struct world *w = m->w;
    if (lookup->at_most != INT64_MAX && (offset < 0 || offset > lookup->at_most)) {
        world_violation(w, "topic %u partition %d: time %lld is at %lld, a lookup says %lld", lookup->topic,
                        lookup->partition, (long long)lookup->time, (long long)lookup->at_most, (long long)offset);
    }
    for (uint32_t i = 0; i < m->sent_count && offset >= 0; i++) {
        const struct sent *s = &m->sent[i];
        if (is_certain(m, s, lookup->topic, lookup->partition) && s->offset <= offset &&
            s->offset + s->record_count > offset && sent_time(m, s, lookup->kind) < lookup->time) {
            world_violation(w, "topic %u partition %d: a lookup of %lld found %lld with time %lld", lookup->topic,
                            lookup->partition, (long long)lookup->time, (long long)offset,
                            (long long)sent_time(m, s, lookup->kind));
        }
    }
}

bool model_check_lookup(struct model *m, uint32_t topic, int32_t partition)
{
    struct world *w = m->w;
    bool done = false;
    struct model_lookup lookup;
    enum time_kind kind = world_chance(w, 500000) ? TIME_OF_EVENT : TIME_OF_APPEND;
    if (!model_lookup_choose(m, topic, partition, kind, &lookup)) {
        return true;
    }
    struct lookup_op op = {.base = {.done = on_flag, .arg = &done},
                           .topic_id = m->topics[topic].id,
                           .partition = partition,
                           .timestamp = EL_MAX(lookup.time, 0),
                           .by_append_time = kind == TIME_OF_APPEND,
                           .current_leader_epoch = -1};
    store_lookup(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &op);
    if (!world_wait(w, &done)) {
        return false;
    }
    SIM_TRACE(w->trace, "lookup", (uint64_t)op.base.error, (uint64_t)op.offset, (uint64_t)op.found_timestamp);
    bool fault = is_damage(w, op.base.error) || world_read_may_fail(w, op.base.error);
    if (op.base.error == 0) {
        model_see_lookup(m, &lookup, op.offset);
    } else if (!fault) {
        world_violation(w, "a lookup failed: %s", evlog_error_text(op.base.error));
    }
    return true;
}

bool model_producer_id(struct model *m, int64_t *pid)
{
    struct world *w = m->w;
    bool done = false;
    struct producer_id_op op = {.base = {.done = on_flag, .arg = &done}};
    store_producer_id(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &op);
    bool good = world_wait(w, &done);
    SIM_TRACE(w->trace, "producer id", good, (uint64_t)op.base.error, (uint64_t)op.producer_id);
    *pid = good && op.base.error == 0 ? op.producer_id : -1;
    return good;
}
