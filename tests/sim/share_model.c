/* SPDX-License-Identifier: Apache-2.0
 *
 * See share_model.h.
 */
#include "share_model.h"

#include "keyed.h"
#include <config/group_config.h>
#include <core/assert.h>
#include <stdlib.h>

void share_group_init(struct share_group *g, struct world *w, uint32_t number)
{
    static const enum share_order orders[] = {SHARE_BY_KEY, SHARE_BY_KEY, SHARE_UNORDERED, SHARE_BY_PARTITION};
    memset(g, 0, sizeof(*g));
    g->number = number;
    g->order = orders[world_below(w, 4)];
    g->attempts_max = world_chance(w, 500000) ? -1 : 2 + (int32_t)world_below(w, 4);
    g->lease_ms = 100 + (uint32_t)world_below(w, 900);
    g->inflight_max = 1 + (uint32_t)world_below(w, 60);
}

void share_group_free(struct share_group *g)
{
    for (uint32_t t = 0; t < MODEL_TOPICS_MAX; t++) {
        for (int32_t p = 0; p < MODEL_PARTITIONS_MAX; p++) {
            free(g->parts[t][p].views);
        }
    }
}

struct el_slice share_group_name(const struct share_group *g)
{
    static const char *const names[SHARE_GROUPS] = {"work-a", "work-b"};
    return el_slice_str(names[g->number]);
}

bool share_group_may_read(const struct share_group *g, uint32_t topic)
{
    return g->number == 0 ? topic % 2 == 0 : topic % 4 == 2;
}

bool share_group_reads(const struct share_group *g, const struct model *m, uint32_t topic)
{
    return share_group_may_read(g, topic) && m->topics[topic].state == TOPIC_THERE && !m->topics[topic].memory;
}

void share_group_restart(struct share_group *g)
{
    g->lost++;
}

struct share_view *share_view(struct share_group *g, uint32_t topic, int32_t partition, int64_t offset)
{
    struct share_track *part = &g->parts[topic][partition];
    EL_ASSERT(offset >= 0);
    if (offset >= part->room) {
        int64_t room = EL_MAX(2 * part->room, offset + 64);
        part->views = realloc(part->views, (size_t)room * sizeof(*part->views));
        EL_ASSERT(part->views != NULL);
        memset(part->views + part->room, 0, (size_t)(room - part->room) * sizeof(*part->views));
        part->room = room;
    }
    return &part->views[offset];
}

void share_group_learn(struct share_group *g, const struct model *m, uint32_t topic, int32_t partition)
{
    for (uint32_t i = 0; i < m->sent_count; i++) {
        const struct sent *s = &m->sent[i];
        bool here = s->topic == topic && s->partition == partition && s->state == SENT_STORED;
        for (uint32_t k = 0; here && k < s->record_count; k++) {
            share_view(g, topic, partition, s->offset + k)->sent = i + 1;
        }
    }
}

bool share_event_stays(const struct model *m, uint32_t topic, int32_t partition, int64_t offset)
{
    const struct model_topic *t = &m->topics[topic];
    return t->state == TOPIC_THERE && !t->retention && !t->compacted &&
           offset >= t->partitions[partition].log_start_max;
}

/* With a device that lies, and with files that rot, progress may be lost, and nothing else follows. */
static bool is_sound(const struct model *m)
{
    return !m->w->lying && m->w->rotten == 0;
}

/* Has it been rejected, or delivered as often as it may be? */
static bool may_die(const struct share_group *g, const struct share_view *view)
{
    uint32_t most = view->deliveries + g->lost + g->flying;
    return view->rejected || (g->attempts_max > 0 && most >= (uint32_t)g->attempts_max);
}

/* Must the event at an offset, with this view, be finished before one with this key may come? */
static bool holds_up(const struct share_group *g, const struct model *m, const struct share_view *view, int64_t offset,
                     int64_t key)
{
    if (view->sent == 0 || view->ack_sent || may_die(g, view)) {
        return false;
    }
    const struct sent *s = &m->sent[view->sent - 1];
    return g->order == SHARE_BY_PARTITION || (key >= 0 && keyed_number(s, (uint32_t)(offset - s->offset)) == key);
}

static void check_order(struct share_group *g, struct model *m, const struct sent *sent, uint32_t index)
{
    struct share_track *part = &g->parts[sent->topic][sent->partition];
    int64_t offset = sent->offset + index, key = keyed_number(sent, index);
    if (!share_event_stays(m, sent->topic, sent->partition, offset) || g->order == SHARE_UNORDERED) {
        return;
    }
    part->floor = EL_MAX(part->floor, m->topics[sent->topic].partitions[sent->partition].log_start_max);
    while (part->floor < offset && part->views[part->floor].sent != 0 &&
           (part->views[part->floor].ack_sent || may_die(g, &part->views[part->floor]))) {
        part->floor++;
    }
    for (int64_t i = part->floor; i < offset; i++) {
        if (holds_up(g, m, &part->views[i], i, key)) {
            world_violation(m->w, "group %u got offset %lld of topic %u partition %d before offset %lld was finished",
                            g->number, (long long)offset, sent->topic, sent->partition, (long long)i);
            return;
        }
    }
}

void share_group_delivered(struct share_group *g, struct model *m, const struct share_delivery *delivery)
{
    const struct sent *sent = delivery->sent;
    int32_t told = delivery->told;
    int64_t offset = sent->offset + delivery->index;
    struct share_view *view = share_view(g, sent->topic, sent->partition, offset);
    view->deliveries++;
    share_say(g, m, "leased", sent->topic, sent->partition, offset);
    if (!is_sound(m)) {
        return;
    }
    bool dead = view->buried > 0 && view->buried_ns <= delivery->asked_ns; /* else its answer was on the way for long */
    if ((view->acked && view->acked_ns <= delivery->asked_ns) || dead) {
        world_violation(m->w, "group %u got offset %lld of topic %u partition %d again, which was %s", g->number,
                        (long long)offset, sent->topic, sent->partition, view->acked ? "acknowledged" : "dead");
    } else if (told < 1 || (g->attempts_max > 0 && told > g->attempts_max) ||
               (uint32_t)told > view->deliveries + g->lost + g->flying) {
        world_violation(m->w, "group %u got offset %lld of topic %u partition %d as delivery %d of %d after %u",
                        g->number, (long long)offset, sent->topic, sent->partition, told, g->attempts_max,
                        view->deliveries - 1u);
    }
    check_order(g, m, sent, delivery->index);
}

/* --- dead letters ------------------------------------------------------------------------------------------------- */

static int64_t number_of(const struct el_batch_record *record, const char *header)
{
    struct el_slice value;
    char text[32];
    if (!el_header_find(&record->record, header, &value) || value.len >= sizeof(text)) {
        return -1;
    }
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    return strtoll(text, NULL, 10);
}

/* Letters of a source that has grown since go to one of the partitions that there are. */
struct letter_place {
    uint32_t topic;    /* of the source */
    struct el_uuid id; /* of the letters */
    int32_t partition, partition_count;
};

static void see_letter(struct share_group *g, struct model *m, const struct letter_place *place,
                       const struct el_batch_record *record)
{
    uint64_t id = 0;
    uint32_t index = 0, topic = place->topic;
    int64_t offset = number_of(record, "evlog-dlq-offset");
    int32_t partition = (int32_t)number_of(record, "evlog-dlq-partition");
    if (offset < 0 || partition < 0 || partition >= MODEL_PARTITIONS_MAX ||
        partition % place->partition_count != place->partition || !keyed_identify(record, &id, &index) || id == 0 ||
        id > m->sent_count) {
        world_violation(m->w, "group %u: a dead letter of topic %u partition %d is none of an event: %lld, %llu",
                        g->number, topic, partition, (long long)offset, (unsigned long long)id);
        return;
    }
    const struct sent *s = &m->sent[id - 1];
    struct share_view *view = share_view(g, topic, partition, offset);
    if (s->topic != topic || s->partition != partition || (s->state == SENT_STORED && s->offset + index != offset)) {
        world_violation(m->w, "group %u: the dead letter of offset %lld is of another event", g->number,
                        (long long)offset);
    }
    view->buried++;
    view->buried_ns = view->buried_ns == 0 ? m->w->clock.now_ns : view->buried_ns;
    if (view->buried > 1 || view->acked || !may_die(g, view)) {
        world_violation(m->w, "group %u: offset %lld of topic %u partition %d is dead %s after %u deliveries",
                        g->number, (long long)offset, topic, partition,
                        view->buried > 1 ? "twice"
                        : view->acked    ? "and was acknowledged"
                                         : "too early",
                        view->deliveries);
    }
}

static void see_batches(struct share_group *g, struct model *m, const struct letter_place *place,
                        const struct read_op *op)
{
    for (uint32_t i = 0; i < op->entry_count; i++) {
        struct el_batch_iter iter;
        struct el_batch_record record;
        int code = el_batch_open(&iter, op->data + op->entries[i].pos, op->entries[i].len, NULL, 0);
        EL_ASSERT(code == 0);
        while (el_batch_next(&iter, &record) == 1) {
            see_letter(g, m, place, &record);
        }
        m->w->events[EVENT_DEAD_LETTER] += iter.info.record_count;
    }
}

/* returns false when the machine crashed or a promise is broken */
static bool read_letters(struct share_group *g, struct model *m, const struct letter_place *place)
{
    struct world *w = m->w;
    int64_t offset = 0;
    for (bool end = false; !end;) {
        bool done = false;
        struct read_op op = {.base = {.done = model_on_flag, .arg = &done},
                             .topic_id = place->id,
                             .partition = place->partition,
                             .offset = offset,
                             .max_bytes = 1u << 20,
                             .at_least_one = true,
                             .want_entries = true,
                             .current_leader_epoch = -1,
                             .last_fetched_epoch = -1};
        store_read(store_shard_at(w->store, (uint32_t)world_below(w, w->shard_count)), &op);
        if (!world_wait(w, &done)) {
            return false;
        }
        if (op.base.error != 0 && !world_read_may_fail(w, op.base.error)) {
            world_violation(w, "dead letters cannot be read: %s", evlog_error_text(op.base.error));
        }
        if (op.base.error != 0) {
            return w->violation[0] == 0; /* no verdict */
        }
        see_batches(g, m, place, &op);
        offset = op.next_offset;
        end = offset >= op.high_watermark || op.entry_count == 0;
        store_read_release(&op);
    }
    return w->violation[0] == 0;
}

static void forget_letters(struct share_group *g, uint32_t topic)
{
    for (int32_t p = 0; p < MODEL_PARTITIONS_MAX; p++) {
        for (int64_t i = 0; i < g->parts[topic][p].room; i++) {
            g->parts[topic][p].views[i].buried = 0;
        }
    }
}

bool share_group_letters(struct share_group *g, struct model *m)
{
    for (uint32_t t = 0; t < m->topic_count && is_sound(m); t++) {
        char name[EL_TOPIC_NAME_MAX + 1];
        group_config_dead_topic(NULL, el_slice_str(m->topics[t].name), share_group_name(g), name);
        const struct topic *topic = store_topic_by_name(store_shard_at(m->w->store, 0), el_slice_str(name));
        if (topic == NULL || !share_group_reads(g, m, t) || m->topics[t].retention) {
            continue;
        }
        struct letter_place place = {.topic = t, .id = topic->id, .partition_count = topic->partition_count};
        forget_letters(g, t);
        for (; place.partition < place.partition_count; place.partition++) {
            if (!read_letters(g, m, &place)) {
                return false;
            }
        }
    }
    return true;
}

void share_group_end(struct share_group *g, struct model *m)
{
    for (uint32_t i = 0; i < m->sent_count && is_sound(m); i++) {
        const struct sent *s = &m->sent[i];
        bool here = s->state == SENT_STORED && share_group_reads(g, m, s->topic);
        for (uint32_t k = 0; k < s->record_count && here; k++) {
            const struct share_view *view = share_view(g, s->topic, s->partition, s->offset + k);
            if (share_event_stays(m, s->topic, s->partition, s->offset + k) && !view->ack_sent && view->buried == 0) {
                world_violation(m->w,
                                "group %u: offset %lld of topic %u partition %d was neither acknowledged nor buried "
                                "(%u deliveries)",
                                g->number, (long long)s->offset + k, s->topic, s->partition, view->deliveries);
                return;
            }
        }
    }
}
