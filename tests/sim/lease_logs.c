/* SPDX-License-Identifier: Apache-2.0
 *
 * What the logs of the lease mode say: events, dead letters, what was emitted; and where the groups stand.
 */
#include "lease_acts.h"
#include "lease_redrives.h"
#include "lease_topics.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

static uint8_t inflate_room[64u << 10];

typedef void (*record_fn)(struct lease_life *l, const struct el_batch_record *record, void *arg);

/* returns false when it could not be read: the machine crashed, or a violation */
static bool read_log(struct lease_life *l, const struct el_uuid *topic_id, int32_t partition, record_fn each, void *arg)
{
    static struct read_op op;
    for (int64_t offset = 0;;) {
        op = (struct read_op){.topic_id = *topic_id,
                              .partition = partition,
                              .offset = offset,
                              .max_bytes = 1u << 20,
                              .at_least_one = true,
                              .current_leader_epoch = -1,
                              .last_fetched_epoch = -1};
        int code = lease_world_read(&l->lw, &op);
        if (code == EVLOG_ERR_OFFSET_RANGE) { /* it was trimmed, or has expired */
            int64_t begin = 0;
            code = lease_world_log_start(&l->lw, topic_id, partition, &begin);
            if (code == 0 && begin > offset) {
                offset = begin;
                continue;
            }
            code = code == 0 ? EVLOG_ERR_OFFSET_RANGE : code;
        }
        if (code == EVLOG_ERR_UNKNOWN_TOPIC || code == EVLOG_ERR_UNKNOWN_TOPIC_ID) {
            return l->topics.state != TOPICS_WHOLE ||
                   store_topic_by_id(store_shard_at(l->w.store, 0), topic_id) == NULL;
        }
        if (code != 0) {
            if (code != EVLOG_ERR_CRASHED && !world_read_may_fail(&l->w, code)) {
                world_violation(&l->w, "a log cannot be read: %s", evlog_error_text(code));
            }
            return false;
        }
        for (uint32_t pos = 0; pos < op.data_len;) {
            struct el_batch_iter iter;
            struct el_batch_record record;
            uint32_t len = (uint32_t)el_batch_total_len(op.data + pos);
            code = el_batch_open(&iter, op.data + pos, len, inflate_room, sizeof(inflate_room));
            EL_ASSERT(code == 0);
            while (el_batch_next(&iter, &record) == 1) {
                each(l, &record, arg);
            }
            pos += len;
        }
        bool end = op.next_offset >= op.high_watermark;
        offset = op.next_offset;
        store_read_release(&op);
        if (end) {
            return true;
        }
    }
}

static void each_event(struct lease_life *l, const struct el_batch_record *record, void *arg)
{
    lease_model_stored(&l->m, arg, record->offset, record->record.value.data[8],
                       el_get_le64(record->record.value.data));
}

static void each_letter(struct lease_life *l, const struct el_batch_record *record, void *arg)
{
    struct worker *where = arg; /* group, topic, partition */
    struct el_slice value;
    char text[32];
    if (lease_emits_is(&record->record)) { /* see each_emit_letter() */
        return;
    }
    if (!el_header_find(&record->record, "evlog-dlq-offset", &value) || value.len >= sizeof(text)) {
        world_violation(&l->w, "a dead letter does not say where it is from");
        return;
    }
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    int64_t offset = strtoll(text, NULL, 10);
    l->w.events[EVENT_DEAD_LETTER]++;
    struct lease_log *log = lease_model_log(&l->m, where->topic, where->partition);
    if (where->generation != l->topics.generations[where->topic]) {
        return; /* its topic was deleted meanwhile */
    }
    bool settled = lease_redrives_letter(l, record->offset);
    if (l->lw.serving && !l->behave && offset >= 0 && offset < (int64_t)LEASE_EVENTS_MAX) {
        lease_model_stored(&l->m, log, offset, record->record.value.data[8],
                           el_get_le64(record->record.value.data)); /* its producer may not know it yet */
    }
    l->w.events[EVENT_CAME_BACK] += settled && !l->redrive.copies;
    lease_model_buried(&l->m, log, where->group, offset, settled && !l->redrive.copies);
    if (l->w.violation[0] == 0 && l->redrive.copies) {
        log->events[offset].views[where->group].copied += settled;
    }
    if (l->w.violation[0] == 0 && log->events[offset].number != el_get_le64(record->record.value.data)) {
        world_violation(&l->w, "the dead letter of offset %lld is of another event", (long long)offset);
    }
}

bool lease_read_events(struct lease_life *l)
{
    for (uint32_t t = 0; t < l->m.topic_count; t++) {
        for (int32_t p = 0; p < l->m.partition_count; p++) {
            bool there = lease_topic_there(l, t);
            if (there && !read_log(l, &l->topic_ids[t], p, each_event, lease_model_log(&l->m, t, p))) {
                return false;
            }
        }
    }
    return true;
}

bool lease_read_letters(struct lease_life *l)
{
    for (uint32_t g = 0; g < l->m.group_count; g++) {
        for (uint32_t t = 0; t < l->m.topic_count; t++) {
            char name[EL_TOPIC_NAME_MAX + 1];
            group_config_dead_topic(NULL, el_slice_str(l->topic_names[t]), el_slice_str(l->m.groups[g].id), name);
            const struct topic *topic = store_topic_by_name(store_shard_at(l->w.store, 0), el_slice_str(name));
            uint32_t generation = l->topics.generations[t];
            struct el_uuid id = topic == NULL ? (struct el_uuid){0} : topic->id;
            for (int32_t p = 0; p < l->m.partition_count; p++) {
                struct worker where = {.group = g, .topic = t, .partition = p, .generation = generation};
                for (int64_t i = 0; i < lease_model_log(&l->m, t, p)->end; i++) {
                    lease_model_log(&l->m, t, p)->events[i].views[g].buried = 0;
                    lease_model_log(&l->m, t, p)->events[i].views[g].redriven = 0;
                    lease_model_log(&l->m, t, p)->events[i].views[g].copied = 0;
                }
                lease_topics_look(l);
                lease_work_late(l);
                uint64_t since = ++l->m.clock;
                if (topic != NULL &&
                    (!lease_redrives_read(l, g, &id, p) || !read_log(l, &id, p, each_letter, &where))) {
                    return false;
                }
                bool there = generation == l->topics.generations[t] &&
                             store_topic_by_id(store_shard_at(l->w.store, 0), &id) != NULL;
                if (l->redrive.on && !l->redrive.copies && there) {
                    lease_model_letters_read(&l->m, lease_model_log(&l->m, t, p), g, since);
                }
            }
        }
    }
    return true;
}

static void each_emit(struct lease_life *l, const struct el_batch_record *record, void *arg)
{
    (void)arg;
    l->w.events[EVENT_EMITTED]++;
    lease_emits_found(&l->emits, record);
}

static void each_emit_letter(struct lease_life *l, const struct el_batch_record *record, void *arg)
{
    (void)arg;
    if (lease_emits_is(&record->record)) {
        l->w.events[EVENT_EMIT_LETTER]++;
        lease_emits_letter(&l->emits, record);
    }
}

static bool read_emit_letters(struct lease_life *l)
{
    for (uint32_t g = 0; g < l->m.group_count; g++) {
        for (uint32_t t = 0; t < l->m.topic_count; t++) {
            char name[EL_TOPIC_NAME_MAX + 1];
            group_config_dead_topic(NULL, el_slice_str(l->topic_names[t]), el_slice_str(l->m.groups[g].id), name);
            const struct topic *topic = store_topic_by_name(store_shard_at(l->w.store, 0), el_slice_str(name));
            struct el_uuid id = topic == NULL ? (struct el_uuid){0} : topic->id;
            for (int32_t p = 0; p < l->m.partition_count && topic != NULL && l->w.violation[0] == 0; p++) {
                if (!read_log(l, &id, p, each_emit_letter, NULL)) {
                    return false;
                }
            }
        }
    }
    return true;
}

bool lease_read_emits(struct lease_life *l, bool all)
{
    lease_emits_begin(&l->emits);
    l->emits.deleting = l->topics.state != TOPICS_WHOLE;
    for (uint32_t t = 0; t < EMIT_TOPICS; t++) {
        for (int32_t p = 0; p < EMIT_PARTITIONS && l->w.violation[0] == 0; p++) {
            lease_emits_partition(&l->emits, t, p);
            if (!read_log(l, &l->emits.topic_ids[t], p, each_emit, NULL)) {
                return false;
            }
        }
    }
    if (!read_emit_letters(l)) {
        return false;
    }
    if (l->w.violation[0] == 0) {
        lease_emits_end(&l->emits, all);
    }
    return l->w.violation[0] == 0;
}

static void each_copy(struct lease_life *l, const struct el_batch_record *record, void *arg)
{
    (void)arg;
    if (!lease_emits_is(&record->record)) {
        lease_redrives_copy(l, record);
    }
}

bool lease_read_copies(struct lease_life *l)
{
    for (int32_t p = 0; p < COPY_PARTITIONS && l->redrive.copies && l->w.violation[0] == 0; p++) {
        memset(l->redrive.last, 0xff, sizeof(l->redrive.last));
        if (!read_log(l, &l->redrive.copies_id, p, each_copy, NULL)) {
            return false;
        }
    }
    return l->w.violation[0] == 0;
}

/* Where one group stands in a partition. returns what is left to do there; -1: crashed, or a violation */
static int64_t read_start(struct lease_life *l, uint32_t g, uint32_t t, int32_t p)
{
    static struct lease_offsets_op op;
    struct lease_log *log = lease_model_log(&l->m, t, p);
    uint32_t generation = l->topics.generations[t];
    if (!lease_topic_there(l, t)) {
        return 1;
    }
    op = (struct lease_offsets_op){.base = {.group_id = el_slice_str(l->m.groups[g].id)},
                                   .verb = LEASE_OFFSETS_GET,
                                   .topic_id = l->topic_ids[t],
                                   .partition = p};
    int code = lease_world_offsets(&l->lw, &op);
    if (code == EVLOG_ERR_CRASHED) {
        return -1;
    }
    lease_topics_look(l);
    lease_work_late(l);
    if (!lease_topic_there(l, t) || l->topics.generations[t] != generation) {
        return 1;
    }
    if (code != 0 || !op.exists) {
        return EL_MAX(log->end - log->trimmed, (int64_t)0);
    }
    if (log->away[g]) {
        return 0;
    }
    lease_model_start(&l->m, log, g, op.start);
    if (op.halted_at >= 0 && !lease_let_go_on(l, g, t, p)) {
        return -1;
    }
    if (l->w.verbose && op.lag > 0) {
        printf("  group %u topic %u partition %d: start %lld lag %lld ready %llu leased %llu waiting %llu backoff %llu "
               "delayed %llu dying %llu\n",
               g, t, p, (long long)op.start, (long long)op.lag, (unsigned long long)op.ready,
               (unsigned long long)op.leased, (unsigned long long)op.waiting, (unsigned long long)op.backoff,
               (unsigned long long)op.delayed, (unsigned long long)op.dying);
    }
    return op.lag;
}

int64_t lease_read_starts(struct lease_life *l)
{
    int64_t left = 0;
    for (uint32_t g = 0; g < l->m.group_count; g++) {
        for (uint32_t t = 0; t < l->m.topic_count; t++) {
            for (int32_t p = 0; p < l->m.partition_count; p++) {
                int64_t here = read_start(l, g, t, p);
                if (here < 0) {
                    return -1;
                }
                left += here;
            }
        }
    }
    return left;
}
