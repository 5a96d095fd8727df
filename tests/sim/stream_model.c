/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_model.h.
 */
#include "stream_model.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_MAX 7u /* places asked for at once: small, so that there are many pages */

void stream_model_init(struct stream_model *m, struct stream_world *sw)
{
    m->sw = sw;
    m->w = sw->w;
    m->count_max = -1;
    stream_model_clear(m);
}

static void part_clear(struct model_part *p)
{
    free(p->events);
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        free(p->streams[k].offsets);
    }
    memset(p, 0, sizeof(*p));
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        p->acked[k] = -1;
    }
}

void stream_model_clear(struct stream_model *m)
{
    for (uint32_t i = 0; i < STREAM_PARTITIONS_MAX; i++) {
        part_clear(&m->parts[i]);
    }
}

void stream_model_free(struct stream_model *m)
{
    stream_model_clear(m);
}

struct el_slice stream_model_key(uint32_t key, char *text)
{
    snprintf(text, 16, "k%u", key);
    return key == 0 ? (struct el_slice){0} : el_slice_str(text);
}

struct el_slice stream_model_type(uint8_t type, char *text)
{
    snprintf(text, 16, "t%u", type);
    return el_slice_str(text);
}

static uint64_t number_of(struct el_slice text)
{
    uint64_t number = 0;
    for (size_t i = 1; i < text.len; i++) {
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return number;
}

bool stream_model_parse(const struct el_batch_record *record, struct model_event *event)
{
    struct el_slice value;
    memset(event, 0, sizeof(*event));
    event->version = -1;
    if (record->record.value.len < 8) {
        return false;
    }
    event->number = el_get_le64(record->record.value.data);
    event->key = record->record.key.data == NULL ? 0 : (uint32_t)number_of(record->record.key);
    if (el_header_find(&record->record, STREAM_HEADER_ID, &value)) {
        event->id = number_of(value);
    }
    if (el_header_find(&record->record, STREAM_HEADER_TYPE, &value)) {
        event->type = (uint8_t)number_of(value);
    }
    if (el_header_find(&record->record, STREAM_HEADER_DELETED, &value)) {
        event->deletes = el_slice_eq(value, el_slice_str("hard")) ? MODEL_HARD : MODEL_SOFT;
    }
    return event->key < MODEL_KEYS;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void stream_add(struct model_stream *s, int64_t offset)
{
    if (s->count == s->room) {
        s->room = s->room == 0 ? 8 : 2 * s->room;
        s->offsets = realloc(s->offsets, s->room * sizeof(*s->offsets));
        EL_ASSERT(s->offsets != NULL);
    }
    s->offsets[s->count++] = offset;
}

/* Is the id in the stream already? */
static bool has_id(const struct model_part *p, const struct model_event *event)
{
    const struct model_stream *s = &p->streams[event->key];
    for (uint32_t i = 0; i < s->count; i++) {
        if (p->events[s->offsets[i]].id == event->id) {
            return true;
        }
    }
    return false;
}

static void event_add(struct stream_model *m, int32_t partition, int64_t offset, struct model_event event)
{
    struct model_part *p = &m->parts[partition];
    if (offset != p->end) {
        world_violation(m->w, "partition %d: offset %lld where %lld is due", partition, (long long)offset,
                        (long long)p->end);
        return;
    }
    if (event.key != 0 && event.id != 0 && has_id(p, &event)) {
        world_violation(m->w, "partition %d offset %lld: event id %llu is in the stream of key %u twice", partition,
                        (long long)offset, (unsigned long long)event.id, event.key);
    }
    if (event.key != 0) {
        const struct model_stream *s = &p->streams[event.key];
        if (s->count > 0 && p->events[s->offsets[s->count - 1]].deletes == MODEL_HARD) {
            world_violation(m->w, "partition %d offset %lld: the stream of key %u goes on behind its end", partition,
                            (long long)offset, event.key);
        }
        event.version = s->count;
        stream_add(&p->streams[event.key], offset);
    }
    if (p->end == p->room) {
        p->room = p->room == 0 ? 256 : 2 * p->room;
        p->events = realloc(p->events, (size_t)p->room * sizeof(*p->events));
        EL_ASSERT(p->events != NULL);
    }
    p->events[p->end++] = event;
}

static void batch_add(struct stream_model *m, int32_t partition, const uint8_t *batch, size_t len)
{
    static uint8_t scratch[256u << 10];
    struct el_batch_iter iter;
    struct el_batch_record record;
    int code = el_batch_open(&iter, batch, len, scratch, sizeof(scratch));
    EL_ASSERT(code == 0);
    while (el_batch_next(&iter, &record) == 1 && m->w->violation[0] == 0) {
        struct model_event event;
        if (record.offset < m->parts[partition].end) {
            continue;
        }
        bool good = stream_model_parse(&record, &event);
        EL_ASSERT(good);
        event_add(m, partition, record.offset, event);
    }
}

static bool part_scan(struct stream_model *m, int32_t partition)
{
    struct model_part *p = &m->parts[partition];
    uint32_t tries = 0;
    for (;;) {
        static struct read_op op;
        op = (struct read_op){.topic_id = m->topic_id,
                              .partition = partition,
                              .offset = p->end,
                              .max_bytes = 64u << 10,
                              .at_least_one = true,
                              .want_entries = true,
                              .current_leader_epoch = -1,
                              .last_fetched_epoch = -1};
        int code = stream_world_read(m->sw, &op);
        if (code == EVLOG_ERR_CRASHED) {
            return false;
        }
        for (uint32_t i = 0; i < op.entry_count && code == 0; i++) {
            batch_add(m, partition, op.data + op.entries[i].pos, op.entries[i].len);
        }
        int64_t start = op.log_start_offset, end = op.high_watermark;
        store_read_release(&op);
        if (m->w->violation[0] != 0) {
            return false;
        }
        if (world_archive_waits(m->w, code, &tries)) {
            continue;
        }
        if (sim_disk_crashed(m->w->disk)) {
            return false;
        }
        if (code != 0) {
            bool may = world_read_may_fail(m->w, code) || code == EVLOG_ERR_STORAGE || code == EVLOG_ERR_NO_MEMORY;
            if (!may) {
                world_violation(m->w, "partition %d cannot be read at %lld: %s", partition, (long long)p->end,
                                evlog_error_text(code));
            }
            m->whole = false;
            return may;
        }
        p->start = EL_MAX(p->start, start);
        if (p->end >= end) {
            return true;
        }
    }
}

bool stream_model_scan(struct stream_model *m)
{
    m->whole = true;
    for (int32_t i = 0; i < m->partition_count; i++) {
        if (!part_scan(m, i)) {
            return false;
        }
    }
    return true;
}

int64_t stream_model_last(const struct stream_model *m, int32_t partition, uint32_t key, int64_t below)
{
    const struct model_stream *s = &m->parts[partition].streams[key];
    int64_t version = (int64_t)s->count - 1;
    while (version >= 0 && s->offsets[version] >= below) {
        version--;
    }
    return version;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

bool stream_model_may_refuse(const struct stream_model *m, int32_t partition, int code)
{
    bool lost = m->rotted && m->parts[partition].trimmed; /* its versions cannot be counted again */
    return (code == EVLOG_ERR_STORAGE && (m->disturbed || m->rotted)) || code == EVLOG_ERR_NO_MEMORY ||
           (code == EVLOG_ERR_CORRUPT && lost) || world_read_may_fail(m->w, code);
}

static bool refused(struct stream_model *m, int32_t partition, int code, const char *what)
{
    if (code != 0 && code != EVLOG_ERR_CRASHED && !stream_model_may_refuse(m, partition, code)) {
        world_violation(m->w, "%s was refused: %s", what, evlog_error_text(code));
    }
    m->refused += code != 0;
    return code != 0;
}

int64_t stream_model_first(const struct stream_model *m, const struct model_part *p, const struct model_stream *s,
                           int64_t last, int64_t start)
{
    int64_t first = 0;
    for (int64_t v = 0; v <= last; v++) {
        if (p->events[s->offsets[v]].deletes != MODEL_EVENT) {
            first = v + 1;
        }
    }
    if (m->count_max >= 0 && m->count_max <= last) {
        first = EL_MAX(first, last + 1 - m->count_max);
    }
    while (first <= last && s->offsets[first] < start) {
        first++;
    }
    return first;
}

static int64_t first_visible(const struct stream_model *m, const struct model_part *p, const struct model_stream *s)
{
    return stream_model_first(m, p, s, (int64_t)s->count - 1, p->start);
}

static void check_head(struct stream_model *m, int32_t partition, uint32_t key, const struct stream_find_op *op)
{
    const struct model_part *p = &m->parts[partition];
    const struct model_stream *s = &p->streams[key];
    int64_t last = (int64_t)s->count - 1;
    int64_t offset = last < 0 ? -1 : s->offsets[last];
    uint8_t deletes = last < 0 ? MODEL_EVENT : p->events[offset].deletes;
    if (op->last_version != last || op->last_offset != offset || op->deleted != (deletes == MODEL_SOFT) ||
        op->ended != (deletes == MODEL_HARD) || op->first_version != first_visible(m, p, s)) {
        world_violation(
            m->w,
            "partition %d key %u: told version %lld at offset %lld, first %lld, deleted %d ended %d; the log "
            "says %lld at %lld, first %lld, %d",
            partition, key, (long long)op->last_version, (long long)op->last_offset, (long long)op->first_version,
            op->deleted, op->ended, (long long)last, (long long)offset, (long long)first_visible(m, p, s), deletes);
    }
}

/* A stream page by page, to its end. returns false: crashed or a violation */
static bool compare_stream(struct stream_model *m, int32_t partition, uint32_t key, bool backward)
{
    static struct stream_find_op op;
    const struct model_part *p = &m->parts[partition];
    const struct model_stream *s = &p->streams[key];
    char text[16];
    int64_t first = first_visible(m, p, s), last = (int64_t)s->count - 1;
    int64_t want = backward ? last : first, from = -1;
    for (;;) {
        op = (struct stream_find_op){.topic_id = m->topic_id,
                                     .partition = partition,
                                     .hash = stream_hash_key(&m->sw->secret, stream_model_key(key, text)),
                                     .backward = backward,
                                     .from = from,
                                     .count_max = 1 + (uint32_t)world_below(m->w, PAGE_MAX)};
        int code = stream_world_find(m->sw, (uint32_t)world_below(m->w, m->w->shard_count), &op);
        if (refused(m, partition, code, "a stream")) {
            if (code != EVLOG_ERR_CRASHED) {
                streams_find_release(m->sw->streams[store_shard_index(op.base.origin)], &op);
            }
            return code != EVLOG_ERR_CRASHED && m->w->violation[0] == 0;
        }
        check_head(m, partition, key, &op);
        for (uint32_t i = 0; i < op.count && m->w->violation[0] == 0; i++) {
            bool there = want >= first && want <= last;
            if (!there || op.places[i].version != want || op.places[i].offset != s->offsets[want]) {
                world_violation(m->w, "partition %d key %u: told that version %lld is at %lld, %lld at %lld is due",
                                partition, key, (long long)op.places[i].version, (long long)op.places[i].offset,
                                (long long)want, (long long)(there ? s->offsets[want] : -1));
            }
            want += backward ? -1 : 1;
        }
        uint32_t count = op.count;
        streams_find_release(m->sw->streams[store_shard_index(op.base.origin)], &op);
        if (m->w->violation[0] != 0) {
            return false;
        }
        bool over = backward ? want < first : want > last;
        if (count == 0 && !over) {
            world_violation(m->w, "partition %d key %u: version %lld is not told", partition, key, (long long)want);
            return false;
        }
        if (over) {
            return true;
        }
        from = want;
    }
}

static bool compare_type(struct stream_model *m, int32_t partition, uint8_t type, bool backward)
{
    static struct stream_find_op op;
    const struct model_part *p = &m->parts[partition];
    char text[16];
    int64_t want = backward ? p->end - 1 : p->start, from = -1;
    for (;;) {
        op = (struct stream_find_op){.topic_id = m->topic_id,
                                     .partition = partition,
                                     .hash = stream_hash_type(&m->sw->secret, stream_model_type(type, text)),
                                     .of_type = true,
                                     .backward = backward,
                                     .from = from,
                                     .count_max = 1 + (uint32_t)world_below(m->w, 20 * PAGE_MAX)};
        int code = stream_world_find(m->sw, (uint32_t)world_below(m->w, m->w->shard_count), &op);
        if (refused(m, partition, code, "a type")) {
            if (code != EVLOG_ERR_CRASHED) {
                streams_find_release(m->sw->streams[store_shard_index(op.base.origin)], &op);
            }
            return code != EVLOG_ERR_CRASHED && m->w->violation[0] == 0;
        }
        for (uint32_t i = 0; i < op.count && m->w->violation[0] == 0; i++) {
            while (want >= p->start && want < p->end && p->events[want].type != type) {
                want += backward ? -1 : 1;
            }
            if (op.places[i].offset != want) {
                world_violation(m->w, "partition %d type %u: told offset %lld, %lld is due", partition, type,
                                (long long)op.places[i].offset, (long long)want);
            }
            want += backward ? -1 : 1;
        }
        uint32_t count = op.count, asked = op.count_max;
        streams_find_release(m->sw->streams[store_shard_index(op.base.origin)], &op);
        if (m->w->violation[0] != 0) {
            return false;
        }
        if (count < asked) {
            while (want >= p->start && want < p->end && p->events[want].type != type) {
                want += backward ? -1 : 1;
            }
            if (want >= p->start && want < p->end) {
                world_violation(m->w, "partition %d type %u: offset %lld is not told", partition, type,
                                (long long)want);
            }
            return m->w->violation[0] == 0;
        }
        if (want < p->start || want >= p->end) {
            return true;
        }
        from = want;
    }
}

static int by_text(const void *a, const void *b)
{
    char x[16], y[16];
    stream_model_key(*(const uint32_t *)a, x);
    stream_model_key(*(const uint32_t *)b, y);
    return strcmp(x, y);
}

/* Keys of a partition that begin with a prefix, sorted. */
static uint32_t keys_of(const struct model_part *p, const char *prefix, bool with_deleted, uint32_t *keys)
{
    uint32_t count = 0;
    char text[16];
    for (uint32_t k = 1; k < MODEL_KEYS; k++) {
        const struct model_stream *s = &p->streams[k];
        stream_model_key(k, text);
        bool gone = s->count > 0 && p->events[s->offsets[s->count - 1]].deletes != MODEL_EVENT;
        if (s->count > 0 && strncmp(text, prefix, strlen(prefix)) == 0 && (with_deleted || !gone)) {
            keys[count++] = k;
        }
    }
    qsort(keys, count, sizeof(*keys), by_text);
    return count;
}

static bool compare_names(struct stream_model *m, int32_t partition)
{
    static struct stream_list_op op;
    static uint32_t keys[MODEL_KEYS];
    static const char *const prefixes[] = {"", "k1", "k33", "x"};
    const char *prefix = prefixes[world_below(m->w, 4)];
    bool with_deleted = world_chance(m->w, 500000);
    const struct model_part *p = &m->parts[partition];
    uint32_t due = keys_of(p, prefix, with_deleted, keys), told = 0;
    char last[16] = "", text[16];
    for (bool more = true; more;) {
        op = (struct stream_list_op){.topic_id = m->topic_id,
                                     .partition = partition,
                                     .prefix = el_slice_str(prefix),
                                     .after = told == 0 ? (struct el_slice){0} : el_slice_str(last),
                                     .count_max = 1 + (uint32_t)world_below(m->w, 200),
                                     .with_deleted = with_deleted};
        int code = stream_world_list(m->sw, (uint32_t)world_below(m->w, m->w->shard_count), &op);
        if (refused(m, partition, code, "a list of streams")) {
            if (code != EVLOG_ERR_CRASHED) {
                streams_list_release(m->sw->streams[store_shard_index(op.base.origin)], &op);
            }
            return code != EVLOG_ERR_CRASHED && m->w->violation[0] == 0;
        }
        for (uint32_t i = 0; i < op.count && m->w->violation[0] == 0; i++, told++) {
            struct el_slice key = told < due ? stream_model_key(keys[told], text) : el_slice_str("");
            int64_t version = told < due ? (int64_t)p->streams[keys[told]].count - 1 : -1;
            if (!el_slice_eq(op.names[i].key, key) || op.names[i].last_version != version) {
                world_violation(m->w, "partition %d: stream %.*s at version %lld is told, %.*s at %lld is due",
                                partition, (int)op.names[i].key.len, (const char *)op.names[i].key.data,
                                (long long)op.names[i].last_version, (int)key.len, (const char *)key.data,
                                (long long)version);
            }
            snprintf(last, sizeof(last), "%.*s", (int)op.names[i].key.len, (const char *)op.names[i].key.data);
        }
        more = op.more;
        uint32_t count = op.count;
        streams_list_release(m->sw->streams[store_shard_index(op.base.origin)], &op);
        if (m->w->violation[0] == 0 && ((more && count == 0) || (!more && told != due))) {
            world_violation(m->w, "partition %d: %u streams that begin with '%s' are told, there are %u", partition,
                            told, prefix, due);
        }
        if (m->w->violation[0] != 0) {
            return false;
        }
    }
    return true;
}

bool stream_model_compare(struct stream_model *m, uint32_t count)
{
    for (int32_t i = 0; i < m->partition_count; i++) {
        for (uint32_t n = 0; n < count; n++) {
            uint32_t key = 1 + (uint32_t)(count >= MODEL_KEYS - 1 ? n % (MODEL_KEYS - 1)
                                                                  : world_below(m->w, n % 2 == 0 ? 8 : MODEL_KEYS - 1));
            if (!compare_stream(m, i, key, world_chance(m->w, 500000))) {
                return false;
            }
        }
        if (!compare_type(m, i, (uint8_t)(1 + world_below(m->w, MODEL_TYPES - 1)), world_chance(m->w, 500000)) ||
            !compare_names(m, i)) {
            return false;
        }
    }
    return true;
}
