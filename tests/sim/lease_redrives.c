/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_redrives.h.
 */
#include "lease_redrives.h"

#include <core/assert.h>
#include <stdio.h>

static void redrive_on_done(struct lease_op *base)
{
    struct lease_life *l = base->arg;
    l->redrive.busy = false;
    l->redrive.begun += base->error == 0;
    lease_op_release(base);
}

void lease_redrives_lose(struct lease_life *l)
{
    l->redrive.busy = false;
}

void lease_redrives_step(struct lease_life *l)
{
    static const char *const keys[] = {"a", "bb", "ccc"};
    struct world *w = &l->w;
    struct lease_redrives *r = &l->redrive;
    if (!r->on || r->busy || l->behave || !world_chance(w, 4000)) {
        return;
    }
    uint32_t group = (uint32_t)world_below(w, l->m.group_count), topic = (uint32_t)world_below(w, l->m.topic_count);
    for (int32_t p = 0; p < l->m.partition_count; p++) {
        /* whatever is answered, it may run */
        lease_model_log(&l->m, topic, p)->redrives[group] += r->copies ? 0 : 1;
    }
    group_config_dead_topic(NULL, el_slice_str(l->topic_names[topic]), el_slice_str(l->m.groups[group].id), r->name);
    r->selection = (struct lease_selection){.since_ms = -1, .until_ms = -1};
    if (world_chance(w, 300000)) {
        r->selection.key = el_slice_str(keys[world_below(w, 3)]);
    }
    r->op = (struct lease_redrive_op){
        .base = {.group_id = el_slice_str(l->m.groups[group].id), .done = redrive_on_done, .arg = l},
        .topic = el_slice_str(r->name),
        .action = r->copies ? LEASE_REDRIVE_COPY : LEASE_REDRIVE_BACK,
        .target = r->copies ? el_slice_str("copies") : (struct el_slice){0},
        .rate = world_chance(w, 300000) ? 1 + (uint32_t)world_below(w, 50) : 0,
        .selection = &r->selection};
    r->busy = true;
    leases_redrive(l->lw.leases[world_below(w, w->shard_count)], &r->op);
}

static void on_flag(struct lease_op *op)
{
    *(bool *)op->arg = true;
}

static bool may_fail(const struct lease_life *l, struct el_slice why)
{
    return l->topics.deleted[TOPIC_OF_LETTERS] > 0 &&
           el_slice_eq(why, el_slice_str("the topic of dead letters was deleted"));
}

int lease_redrives_ended(struct lease_life *l)
{
    static struct lease_redrives_op op;
    static bool done;
    if (!l->redrive.on) {
        return 1;
    }
    op = (struct lease_redrives_op){.base = {.done = on_flag, .arg = &done}, .verb = LEASE_REDRIVES_LIST};
    done = false;
    leases_redrives(l->lw.leases[0], &op);
    if (!lease_world_wait(&l->lw, &done)) {
        return -1;
    }
    int ended = op.base.error == 0 && !l->redrive.busy;
    for (uint32_t i = 0; i < op.view_count; i++) {
        ended = ended && op.views[i].ended_ms >= 0;
        if (op.views[i].state == LEASE_REDRIVE_FAILED && !may_fail(l, op.views[i].why)) {
            world_violation(&l->w, "redrive %llu has failed: %.*s", (unsigned long long)op.views[i].id,
                            (int)op.views[i].why.len, (const char *)op.views[i].why.data);
        }
    }
    lease_op_release(&op.base);
    return ended;
}

bool lease_redrives_read(struct lease_life *l, uint32_t group, const struct el_uuid *topic_id, int32_t partition)
{
    static struct lease_letters_op op;
    static bool done;
    struct lease_redrives *r = &l->redrive;
    r->range_count = 0;
    if (!r->on) {
        return true;
    }
    op = (struct lease_letters_op){
        .base = {.group_id = el_slice_str(l->m.groups[group].id), .done = on_flag, .arg = &done},
        .verb = LEASE_LETTERS_GET,
        .topic_id = *topic_id,
        .partition = partition,
        .last = INT64_MAX - 1};
    do {
        done = false;
        leases_letters(l->lw.leases[0], &op);
        if (!lease_world_wait(&l->lw, &done)) {
            return false;
        }
    } while (op.base.error == EVLOG_ERR_GROUP_LOADING && world_step(&l->w));
    if (op.base.error == EVLOG_ERR_GROUP_LOADING) {
        return false; /* the machine crashed */
    }
    bool gone = op.base.error == EVLOG_ERR_UNKNOWN_TOPIC || op.base.error == EVLOG_ERR_UNKNOWN_TOPIC_ID;
    if (gone && l->topics.deleted[TOPIC_OF_LETTERS] + (l->topics.state != TOPICS_WHOLE) > 0) {
        lease_op_release(&op.base);
        return true;
    }
    if (op.base.error != 0) {
        world_violation(&l->w, "states of letters cannot be read: %s", evlog_error_text(op.base.error));
    }
    EL_ASSERT(op.range_count <= sizeof(r->ranges) / sizeof(r->ranges[0]));
    r->range_count = op.range_count;
    if (op.range_count > 0) {
        memcpy(r->ranges, op.ranges, op.range_count * sizeof(r->ranges[0]));
    }
    lease_op_release(&op.base);
    return l->w.violation[0] == 0;
}

bool lease_redrives_letter(const struct lease_life *l, int64_t letter)
{
    for (uint32_t i = 0; i < l->redrive.range_count; i++) {
        const struct lease_letter_range *range = &l->redrive.ranges[i];
        if (letter >= range->first && letter <= range->last) {
            return range->state == LEASE_LETTER_REDRIVEN;
        }
    }
    return false;
}

void lease_redrives_copy(struct lease_life *l, const struct el_batch_record *record)
{
    struct el_slice source;
    char text[64];
    unsigned group, topic, generation = 0;
    int partition;
    long long offset;
    bool found = el_header_find(&record->record, "evlog-redrive-source", &source) && source.len < sizeof(text);
    memcpy(text, source.data, found ? source.len : 0);
    text[found ? source.len : 0] = 0;
    bool first = sscanf(text, "group%u/t%u/%d/%lld", &group, &topic, &partition, &offset) == 4;
    if (!first && sscanf(text, "group%u/t%u-%u/%d/%lld", &group, &topic, &generation, &partition, &offset) == 5 &&
        generation <= l->topics.generations[topic]) {
        first = true;
    }
    l->w.events[EVENT_COPIED]++;
    if (first && topic < l->m.topic_count && generation < l->topics.generations[topic]) {
        return; /* of a topic that is no more */
    }
    if (!first || group >= l->m.group_count || topic >= l->m.topic_count || offset < 0 ||
        offset >= lease_model_log(&l->m, topic, partition)->end) {
        world_violation(&l->w, "a copy does not say where it is from: %s", text);
        return;
    }
    struct lease_event *event = &lease_model_log(&l->m, topic, partition)->events[offset];
    int64_t *last = &l->redrive.last[group][topic][partition][event->key];
    l->redrive.copy_count++;
    event->views[group].copies++;
    if (event->number != el_get_le64(record->record.value.data) || record->timestamp_ms != (int64_t)event->number ||
        record->record.header_count > 3) {
        world_violation(&l->w, "the copy of offset %lld is not the event as it was", offset);
    }
    if (event->key != 0 && l->m.groups[group].order == MODEL_BY_KEY && *last > offset) {
        world_violation(&l->w, "the copy of offset %lld lies behind that of offset %lld of the same key", offset,
                        (long long)*last);
    }
    *last = offset;
}

void lease_redrives_end(struct lease_life *l)
{
    for (uint32_t t = 0; t < l->m.topic_count; t++) {
        for (int32_t p = 0; p < l->m.partition_count; p++) {
            const struct lease_log *log = lease_model_log(&l->m, t, p);
            for (int64_t i = 0; i < log->end; i++) {
                for (uint32_t g = 0; g < l->m.group_count; g++) {
                    const struct lease_view *view = &log->events[i].views[g];
                    if (view->copies < view->copied || (view->copies > view->copied && !view->copied_more)) {
                        world_violation(&l->w,
                                        "group %u: of offset %lld of partition %d, %u letters were copied, and %u "
                                        "copies are there",
                                        g, (long long)i, p, view->copied, view->copies);
                    }
                }
            }
        }
    }
}
