/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_emits.h.
 */
#include "lease_emits.h"

#include <core/assert.h>

#define VALUE_LEN 40u
#define REFUSED_AT 36u /* 1 in the value: the topic refuses it */
#define MARK "emit"    /* a header that only emits have */

const char *lease_emits_topic(uint32_t i)
{
    static const char *const names[EMIT_TOPICS] = {"out0", "out1"};
    EL_ASSERT(i < EMIT_TOPICS);
    return names[i];
}

void lease_emits_config(uint32_t i, struct topic_config *config)
{
    topic_config_init(config);
    if (i == EMIT_TOPIC_REFUSES) { /* such topics ask the observer */
        int code = topic_config_set(config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL);
        EL_ASSERT(code == 0);
    }
}

bool lease_emits_is(const struct el_record *record)
{
    struct el_slice value;
    return el_header_find(record, MARK, &value);
}

/* --- a topic that refuses ----------------------------------------------------------------------------------------- */

static int admit(void *arg, struct partition *part, struct append_op *op)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    (void)arg;
    (void)part;
    int code = el_batch_open(&iter, op->batch, op->batch_len, NULL, 0);
    EL_ASSERT(code == 0);
    while (el_batch_next(&iter, &record) == 1) {
        if (el_get_le32(record.record.value.data + REFUSED_AT) == 1) {
            op->sequence = 0;
            return EVLOG_ERR_ID_CONFLICT;
        }
    }
    return STORE_ADMITTED;
}

static void undo(void *arg, struct partition *part, struct append_op *op)
{
    (void)arg;
    (void)part;
    (void)op;
}

static void ended(void *arg, struct partition *part, struct append_op *op, int error)
{
    (void)arg;
    (void)part;
    (void)op;
    (void)error;
}

static void deleted(void *arg, struct partition *part)
{
    (void)arg;
    (void)part;
}

static int64_t log_floor(void *arg, struct partition *part)
{
    (void)arg;
    (void)part;
    return INT64_MAX;
}

static int raise_floor(void *arg, struct partition *part, int64_t offset)
{
    (void)arg;
    (void)offset;
    store_observed_floor(part, 0);
    return 0;
}

const struct store_observer *lease_emits_observer(void)
{
    static const struct store_observer observer = {
        .admit = admit, .undo = undo, .ended = ended, .deleted = deleted, .floor = log_floor, .raise = raise_floor};
    return &observer;
}

/* --- emitting ----------------------------------------------------------------------------------------------------- */

static struct lease_event *event_of(struct lease_emits *e, const struct emit_source *source)
{
    return &lease_model_log(e->m, source->topic, source->partition)->events[source->offset];
}

/* Which of the topics an emit is for, of an acknowledgement. */
static uint32_t target_of(uint32_t nonce, uint32_t index)
{
    return (nonce * 2654435761u >> (16 + index)) % EMIT_TOPICS;
}

/* Does the topic that an emit is for refuse it? */
static bool is_refused(const struct lease_emits *e, uint32_t nonce, uint32_t index)
{
    uint32_t chance = (nonce * 2246822519u + index * 3266489917u) >> 8; /* of 2^24 */
    return target_of(nonce, index) == EMIT_TOPIC_REFUSES &&
           (uint64_t)chance * 1000000u >> 24 < e->m->w->knobs.ppm[FAULT_EMIT_REFUSED];
}

/* Emits of an acknowledgement that must be there: a bit for each. Letters up to a nonce are gone. */
static uint32_t due(const struct lease_emits *e, uint32_t nonce, uint32_t count, uint32_t letters_gone)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool gone = nonce <= e->gone[target_of(nonce, i)] || (is_refused(e, nonce, i) && nonce <= letters_gone);
        bits |= gone ? 0 : 1u << i;
    }
    return bits;
}

void lease_emits_letters_gone(struct lease_emits *e, uint32_t group, uint32_t topic)
{
    e->letters_gone[group][topic] = e->m->nonce;
}

void lease_emits_anew(struct lease_emits *e, uint32_t topic, const struct el_uuid *id)
{
    e->topic_ids[topic] = *id;
    e->gone[topic] = e->m->nonce;
}

static void fill(struct lease_emits *e, const struct emit_source *source, struct lease_emit *emit, uint8_t *value,
                 const struct lease_outcome *outcome)
{
    static const uint8_t keys[LEASE_KEYS] = {0, 'a', 'b', 'c', 'd', 'e'};
    static struct el_header mark = {.key = {(const uint8_t *)MARK, sizeof MARK - 1}};
    struct world *w = e->m->w;
    const struct lease_event *event = event_of(e, source);
    uint32_t topic = target_of(e->m->nonce, (uint32_t)(emit - outcome->emits));
    int32_t partition = event->key == 0 ? (int32_t)world_below(w, EMIT_PARTITIONS) : event->key % EMIT_PARTITIONS;
    el_put_le32(value, source->group);
    el_put_le32(value + 4, source->topic);
    el_put_le32(value + 8, (uint32_t)source->partition);
    el_put_le64(value + 12, (uint64_t)source->offset);
    el_put_le32(value + 20, e->m->nonce);
    el_put_le32(value + 24, (uint32_t)(emit - outcome->emits));
    el_put_le32(value + 28, outcome->emit_count);
    el_put_le32(value + 32, event->key);
    bool refused = is_refused(e, e->m->nonce, (uint32_t)(emit - outcome->emits));
    el_put_le32(value + REFUSED_AT, refused);
    if (refused) {
        sim_disk_fault_count(w->disk, FAULT_EMIT_REFUSED);
    }
    *emit = (struct lease_emit){
        .topic_id = e->topic_ids[topic],
        .partition = partition,
        .timestamp_ms = (int64_t)event->number,
        .body = {.key = event->key == 0 ? (struct el_slice){0} : el_slice_of(&keys[event->key], 1),
                 .value = el_slice_of(value, VALUE_LEN + world_below(w, 300)),
                 .headers = &mark,
                 .header_count = 1},
        .batch_len_max = world_chance(w, 300000) ? 600 : 1u << 20,
    };
}

void lease_emits_choose(struct lease_emits *e, const struct emit_source *source, struct lease_outcome *outcome,
                        struct emit_room *room, uint32_t i)
{
    struct world *w = e->m->w;
    EL_ASSERT(i < EMIT_OUTCOMES_MAX);
    if (world_chance(w, 400000)) {
        return;
    }
    outcome->emits = room->emits[i];
    outcome->emit_count = 1 + (uint32_t)world_below(w, EMITS_MAX);
    e->m->nonce++;
    EL_ASSERT(e->m->nonce < LEASE_NONCES_MAX);
    for (uint32_t n = 0; n < outcome->emit_count; n++) {
        memset(room->values[i][n], 0, sizeof(room->values[i][n]));
        fill(e, source, &room->emits[i][n], room->values[i][n], outcome);
        room->emits[i][n].batch_len_max *= outcome->emit_count; /* it is allowed to fit */
    }
}

void lease_emits_acked(struct lease_emits *e, const struct emit_source *source, const struct lease_outcome *outcome)
{
    struct lease_view *view = &event_of(e, source)->views[source->group];
    view->emits_wanted = (uint8_t)outcome->emit_count;
    view->emit_nonce = outcome->emit_count == 0 ? 0 : el_get_le32(outcome->emits[0].body.value.data + 20);
}

/* --- what is there ------------------------------------------------------------------------------------------------ */

void lease_emits_begin(struct lease_emits *e)
{
    e->count = 0;
    memset(e->m->paid, 0, LEASE_NONCES_MAX);
    for (uint32_t t = 0; t < e->m->topic_count; t++) {
        for (int32_t p = 0; p < e->m->partition_count; p++) {
            struct lease_log *log = lease_model_log(e->m, t, p);
            for (int64_t i = 0; i < log->end; i++) {
                for (uint32_t g = 0; g < e->m->group_count; g++) {
                    log->events[i].views[g].emits_found = 0;
                    log->events[i].views[g].emits_said = 0;
                }
            }
        }
    }
}

void lease_emits_partition(struct lease_emits *e, uint32_t topic, int32_t partition)
{
    memset(e->last, 0xff, sizeof(e->last));
    e->topic = topic;
    e->partition = partition;
}

/* Of an acknowledgement before the group was moved, or its topic deleted. */
static void paid(struct lease_emits *e, uint32_t nonce, uint32_t index)
{
    if ((e->m->paid[nonce] & 1u << index) != 0) {
        world_violation(e->m->w, "emit %u of acknowledgement %u is there twice", index, nonce);
    }
    e->m->paid[nonce] |= (uint8_t)(1u << index);
}

static void found(struct lease_emits *e, const struct el_batch_record *record, bool letter)
{
    struct world *w = e->m->w;
    const uint8_t *value = record->record.value.data;
    EL_ASSERT(record->record.value.len >= VALUE_LEN);
    struct emit_source source = {.group = el_get_le32(value),
                                 .topic = el_get_le32(value + 4),
                                 .partition = (int32_t)el_get_le32(value + 8),
                                 .offset = (int64_t)el_get_le64(value + 12)};
    uint32_t nonce = el_get_le32(value + 20), index = el_get_le32(value + 24), count = el_get_le32(value + 28);
    uint8_t key = (uint8_t)el_get_le32(value + 32);
    struct lease_event *event = event_of(e, &source);
    struct lease_view *view = &event->views[source.group];
    const char *group = e->m->groups[source.group].id;
    e->count++;
    uint32_t target = target_of(nonce, index);
    bool refused = is_refused(e, nonce, index);
    if (!letter && (nonce <= e->gone[e->topic] || target != e->topic || refused)) {
        world_violation(w, "group %s: what offset %lld emitted is in a topic that it was not for", group,
                        (long long)source.offset);
    }
    if (letter && !refused && nonce > e->gone[target] && !e->deleting) {
        world_violation(w, "group %s: what offset %lld emitted is a dead letter, and nobody has refused it", group,
                        (long long)source.offset);
    }
    if (nonce <= view->emits_before) {
        paid(e, nonce, index);
        return;
    }
    if (!event->known || !view->ack_sent) {
        world_violation(w, "group %s: offset %lld has emitted, and nobody has acknowledged it", group,
                        (long long)source.offset);
        return;
    }
    if ((view->emits_found & 1u << index) != 0) {
        world_violation(w, "group %s: emit %u of offset %lld of partition %d is there twice (acknowledgements %u, %u)",
                        group, index, (long long)source.offset, source.partition, view->emits_nonce_found, nonce);
    }
    if (view->emits_found != 0 && view->emits_nonce_found != nonce) {
        world_violation(w, "group %s: offset %lld of partition %d has emitted for two acknowledgements", group,
                        (long long)source.offset, source.partition);
    }
    /* What is gone may be acknowledged once more, whatever became of it. */
    bool gone = source.offset < lease_model_log(e->m, source.topic, source.partition)->trimmed;
    if (view->acked && !gone && (view->emits_wanted != count || view->emit_nonce != nonce)) {
        world_violation(w, "group %s: offset %lld of partition %d has emitted for an acknowledgement that failed",
                        group, (long long)source.offset, source.partition);
    }
    view->emits_found |= (uint8_t)(1u << index);
    view->emits_said = (uint8_t)count;
    view->emits_nonce_found = nonce;
    if (letter) {
        return;
    }
    int64_t *last = &e->last[source.group][source.topic][source.partition][key];
    enum lease_model_order order = e->m->groups[source.group].order;
    bool ordered = order == MODEL_BY_PARTITION || (order == MODEL_BY_KEY && key != 0);
    bool may_return = lease_model_log(e->m, source.topic, source.partition)->redrives[source.group] > 0;
    if (ordered && !may_return && *last > source.offset) {
        world_violation(w, "group %s: what offset %lld emitted lies behind that of offset %lld of the same key", group,
                        (long long)source.offset, (long long)*last);
    }
    *last = EL_MAX(*last, source.offset);
}

void lease_emits_found(struct lease_emits *e, const struct el_batch_record *record)
{
    found(e, record, false);
}

void lease_emits_letter(struct lease_emits *e, const struct el_batch_record *record)
{
    found(e, record, true);
}

/* Nothing is on its way any more. */
static void check_view(struct lease_emits *e, const struct lease_log *log, uint32_t group, uint32_t topic,
                       int64_t offset)
{
    const struct lease_view *view = &log->events[offset].views[group];
    const char *id = e->m->groups[group].id;
    uint32_t whole = due(e, view->emits_nonce_found, view->emits_said, e->letters_gone[group][topic]);
    uint32_t wanted = due(e, view->emit_nonce, view->emits_wanted, e->letters_gone[group][topic]);
    if (view->emits_found != 0 && (view->emits_found & whole) != whole) {
        world_violation(e->m->w, "group %s: of what offset %lld of partition %d emitted, a part is there", id,
                        (long long)offset, log->partition);
    }
    if (view->acked && offset >= log->trimmed && (view->emits_found & wanted) != wanted) {
        world_violation(e->m->w, "group %s: what offset %lld of partition %d emitted is lost", id, (long long)offset,
                        log->partition);
    }
    uint32_t settled = view->buried_before + view->buried_late + view->redriven;
    if (view->emits_found != 0 && view->buried > settled && offset >= log->trimmed) {
        world_violation(e->m->w, "group %s: offset %lld of partition %d has emitted, and is dead", id,
                        (long long)offset, log->partition);
    }
}

void lease_emits_end(struct lease_emits *e, bool all)
{
    for (uint32_t t = 0; t < e->m->topic_count && all; t++) {
        for (int32_t p = 0; p < e->m->partition_count; p++) {
            const struct lease_log *log = lease_model_log(e->m, t, p);
            for (int64_t i = 0; i < log->end; i++) {
                for (uint32_t g = 0; g < e->m->group_count; g++) {
                    check_view(e, log, g, t, i);
                }
            }
        }
    }
    for (uint32_t nonce = 1; nonce <= e->m->nonce && all; nonce++) {
        uint32_t wanted = due(e, nonce, e->m->owed[nonce], UINT32_MAX);
        if ((e->m->paid[nonce] & wanted) != wanted) {
            world_violation(e->m->w, "what acknowledgement %u emitted is lost with its group or topic", nonce);
        }
    }
}
