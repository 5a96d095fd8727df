/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients were told, and questions about it: topics, ends, times. Batches are in model_batch.c, the whole log in
 * model_scan.c, cuts in model_cuts.c.
 */
#include "model.h"

#include "sim_tier.h"

#include <core/assert.h>
#include <core/hash.h>
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
        .made_ns = m->w->clock_end_ns[m->w->life],
        .made_life = m->w->life,
        .key_count = m->topics[topic].key_count,
        .spread = m->topics[topic].spread,
    };
    return m->sent_count++;
}

int64_t model_deleted(void *arg, const struct el_uuid *topic_id, int32_t partition)
{
    const struct model *m = arg;
    for (uint32_t t = 0; t < m->topic_count; t++) {
        if (el_uuid_eq(&m->topics[t].id, topic_id) && partition < MODEL_PARTITIONS_MAX) {
            return m->topics[t].partitions[partition].trim_max;
        }
    }
    return 0;
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

/* --- what is told ------------------------------------------------------------------------------------------------- */

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
    if (m->topics[topic].awaited && end > sim_tier_end(m->w->tier, &m->topics[topic].id, partition)) {
        world_violation(m->w, "topic %u partition %d: shown up to %lld, the archive has less", topic, partition,
                        (long long)end);
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

void model_on_flag(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

static int64_t sent_time(const struct model *m, const struct sent *s, enum time_kind kind)
{
    return kind == TIME_OF_EVENT ? model_timestamp_ms(m, s) : (int64_t)s->append_ns;
}

/* A stored batch whose place and time are known and that no trim and no redaction can reach. */
static bool is_certain(const struct model *m, const struct sent *s, uint32_t topic, int32_t partition)
{
    return s->topic == topic && s->partition == partition && s->state == SENT_STORED && s->append_ns != 0 &&
           s->offset >= m->topics[topic].partitions[partition].log_start_max && model_gone_step(m, s) == 0;
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
    struct lookup_op op = {.base = {.done = model_on_flag, .arg = &done},
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
    bool fault = world_read_is_damage(w, op.base.error) || world_read_may_fail(w, op.base.error);
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
    struct producer_id_op op = {.base = {.done = model_on_flag, .arg = &done}};
    store_producer_id(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &op);
    bool good = world_wait(w, &done);
    SIM_TRACE(w->trace, "producer id", good, (uint64_t)op.base.error, (uint64_t)op.producer_id);
    *pid = good && op.base.error == 0 ? op.producer_id : -1;
    return good;
}
