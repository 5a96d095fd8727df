/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue as of a time: records of __evlog_meta, applied in the order of their offsets. Topics that are not
 * wanted are deleted by records behind them, in a batch of this program's.
 */
#include "archive_restore_state.h"

#include <core/aead.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <format/batch.h>
#include <stdio.h>

#define READ_LEN (4u << 20)
#define DELETES_LEN_MAX (1u << 20)

static struct restore_topic *topic_find(struct restore *r, const struct el_uuid *id)
{
    for (size_t i = 0; i < r->topic_count; i++) {
        if (el_uuid_eq(&r->topics[i].id, id)) {
            return &r->topics[i];
        }
    }
    return NULL;
}

static int no_memory(struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the catalogue of topics");
}

static struct restore_topic *topic_new(struct restore *r, const struct el_uuid *id)
{
    if (r->topic_count == r->topic_max) {
        size_t max = r->topic_max == 0 ? 64 : r->topic_max * 2;
        struct restore_topic *grown = el_realloc(r->topics, max * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        r->topics = grown;
        r->topic_max = max;
    }
    struct restore_topic *topic = &r->topics[r->topic_count++];
    *topic = (struct restore_topic){.id = *id};
    return topic;
}

static bool is_whole(const struct restore *r, const struct restore_topic *topic, struct el_slice settings)
{
    const struct archive_restore_options *o = r->options;
    return topic->internal || o->until_ns != 0 || o->whole == NULL || o->whole(o->arg, topic->name, settings);
}

/* A broker counts "." and "_" as one. */
static bool same_name(const char *name, struct el_slice other)
{
    bool same = strlen(name) == other.len;
    for (size_t i = 0; same && i < other.len; i++) {
        char c = name[i] == '.' ? '_' : name[i], d = other.data[i] == '.' ? '_' : (char)other.data[i];
        same = c == d;
    }
    return same;
}

/* Of topics that are there each has a name of its own, and keeps it: a broker would not start with anything else. */
static int check_name(const struct restore *r, const struct restore_topic *topic,
                      const struct el_catalogue_record *record, struct el_error *err)
{
    char id[33], other[33];
    el_hex(id, record->id.bytes, sizeof record->id.bytes);
    if (topic != NULL) {
        return el_slice_eq(el_slice_str(topic->name), record->name)
                   ? 0
                   : el_error_set(err, EVLOG_ERR_CORRUPT, "topic %s has two names, %s and %.*s", id, topic->name,
                                  (int)record->name.len, (const char *)record->name.data);
    }
    for (size_t i = 0; i < r->topic_count; i++) {
        const struct restore_topic *there = &r->topics[i];
        if (!there->deleted && same_name(there->name, record->name)) {
            el_hex(other, there->id.bytes, sizeof there->id.bytes);
            return el_error_set(err, EVLOG_ERR_CORRUPT, "two topics, %s and %s, have one name: %s and %.*s", other, id,
                                there->name, (int)record->name.len, (const char *)record->name.data);
        }
    }
    return 0;
}

/* Owners and name of what exists stay. */
static int apply(struct restore *r, const struct el_catalogue_record *record, struct el_error *err)
{
    struct restore_topic *topic = topic_find(r, &record->id);
    int code = record->verb == EL_CATALOGUE_PUT ? check_name(r, topic, record, err) : 0;
    if (code != 0) {
        return code;
    }
    if (topic == NULL) {
        topic = topic_new(r, &record->id);
        if (topic == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        memcpy(topic->name, record->name.data, record->name.len);
        topic->internal = record->internal;
    }
    if (record->verb == EL_CATALOGUE_DELETE) {
        topic->deleted = true;
        return 0;
    }
    topic->whole = is_whole(r, topic, record->settings); /* as the last record says */
    if (record->partition_count <= topic->partition_count) {
        return 0;
    }
    uint16_t *owners = el_realloc(topic->owners, (size_t)record->partition_count * sizeof *owners);
    if (owners == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    topic->owners = owners;
    for (int32_t i = topic->partition_count; i < record->partition_count; i++) {
        owners[i] = el_get_le16(record->owners + 2 * (size_t)i);
        if (owners[i] >= EL_SHARD_COUNT_MAX) {
            return EVLOG_ERR_CORRUPT;
        }
        r->shard_count = EL_MAX(r->shard_count, owners[i] + 1u);
    }
    topic->partition_count = record->partition_count;
    return 0;
}

static int apply_batch(struct restore *r, const uint8_t *batch, size_t len, struct el_error *err)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int code = el_batch_open(&iter, batch, len, NULL, 0);
    int more = 0;
    while (code == 0 && (more = el_batch_next(&iter, &record)) == 1) {
        struct el_catalogue_record change;
        code = record.record.value.data == NULL
                   ? 0
                   : el_catalogue_record_get(record.record.key, record.record.value, &change);
        if (code == 0 && record.record.value.data != NULL) {
            code = apply(r, &change, err);
        }
    }
    return code != 0 ? code : more;
}

typedef int (*batch_fn)(struct restore *r, const struct el_pack_batch *row, const uint8_t *batch, void *arg,
                        struct el_error *err);

/* All batches of the catalogue's log up to the time. */
static int each_batch(struct restore *r, int64_t from, batch_fn fn, void *arg, struct el_error *err)
{
    struct archive_batches batches = {0};
    uint64_t until_ns = r->options->until_ns;
    int code = 0;
    bool more = true;
    for (int64_t offset = from; more && code == 0; offset = batches.next_offset) {
        uint32_t tries = 0;
        do {
            code = archive_reader_read(r->reader, &EL_CATALOGUE_TOPIC_ID, 0, offset, READ_LEN, &batches, err);
        } while (object_try_again(code, &tries) && restore_goes_on(r));
        more = code == 0 && batches.count > 0;
        const uint8_t *batch = batches.data;
        for (uint32_t i = 0; i < batches.count && more && code == 0; i++) {
            const struct el_pack_batch *row = &batches.rows[i];
            more = until_ns == 0 || row->leaf.append_time_ns <= until_ns;
            code = more && !row->redacted ? fn(r, row, batch, arg, err) : 0;
            batch += row->redacted ? 0 : row->len;
        }
    }
    archive_batches_free(&batches);
    return code;
}

static int read_one(struct restore *r, const struct el_pack_batch *row, const uint8_t *batch, void *arg,
                    struct el_error *err)
{
    (void)arg;
    struct el_error why = {0};
    int code = apply_batch(r, batch, row->len, &why);
    r->meta_end = el_pack_batch_end(row);
    r->meta_append_ns = row->leaf.append_time_ns;
    return code == 0
               ? 0
               : el_error_set(err, code, "the catalogue of topics at offset %lld: %s",
                              (long long)row->leaf.first_offset, why.code != 0 ? why.text : evlog_error_text(code));
}

static bool is_named(const struct restore *r, const char *name)
{
    for (size_t i = 0; i < r->options->topic_count; i++) {
        if (strcmp(r->options->topics[i], name) == 0) {
            return true;
        }
    }
    return r->options->topic_count == 0;
}

static int choose(struct restore *r, struct el_error *err)
{
    for (size_t i = 0; i < r->topic_count; i++) {
        struct restore_topic *topic = &r->topics[i];
        topic->wanted = !topic->deleted && (topic->internal || is_named(r, topic->name));
    }
    for (size_t i = 0; i < r->options->topic_count; i++) {
        bool found = false;
        for (size_t k = 0; k < r->topic_count && !found; k++) {
            found = r->topics[k].wanted && strcmp(r->topics[k].name, r->options->topics[i]) == 0;
        }
        if (!found) {
            return el_error_set(err, EVLOG_ERR_UNKNOWN_TOPIC, "there %s no topic %.249s in the archive%s",
                                r->options->until_ns == 0 ? "is" : "was", r->options->topics[i],
                                r->options->until_ns == 0 ? "" : " at that time");
        }
    }
    return 0;
}

int restore_catalogue_read(struct restore *r, struct el_error *err)
{
    struct archive_range range;
    int code = archive_reader_range(r->reader, &EL_CATALOGUE_TOPIC_ID, 0, &range, err);
    if (code == EVLOG_ERR_UNKNOWN_TOPIC) {
        return el_error_set(err, code, "the archive has no catalogue of topics: there is nothing to restore");
    }
    r->shard_count = EL_MAX(r->shard_count, 1u);
    code = code != 0 ? code : each_batch(r, range.start_offset, read_one, NULL, err);
    return code != 0 ? code : choose(r, err);
}

void restore_catalogue_free(struct restore *r)
{
    for (size_t i = 0; i < r->topic_count; i++) {
        el_free(r->topics[i].owners);
    }
    el_free(r->topics);
    r->topics = NULL;
    r->topic_count = 0;
}

/* --- its log ------------------------------------------------------------------------------------------------------ */

static int write_one(struct restore *r, const struct el_pack_batch *row, const uint8_t *batch, void *arg,
                     struct el_error *err)
{
    (void)r;
    return new_log_put(arg, row, batch, err);
}

/* A batch that ends topics from *next on, as many as fit; none: *len 0. */
static int make_deletes(struct restore *r, size_t *next, struct el_batch_builder *builder, struct el_slice *batch)
{
    uint8_t key[EL_CATALOGUE_KEY_LEN], value[EL_CATALOGUE_DELETE_LEN];
    int code = 0;
    *batch = (struct el_slice){0};
    el_catalogue_delete_put(value);
    for (; *next < r->topic_count && code == 0; ++*next) {
        const struct restore_topic *topic = &r->topics[*next];
        if (topic->wanted || topic->deleted) {
            continue;
        }
        el_catalogue_key_put(key, &topic->id);
        struct el_record_body body = {.key = el_slice_of(key, sizeof key), .value = el_slice_of(value, sizeof value)};
        code = el_batch_builder_add(builder, (int64_t)(r->meta_append_ns / 1000000), &body);
        if (code == EVLOG_ERR_LIMIT && builder->record_count > 0) {
            code = 0;
            break;
        }
    }
    return code != 0 || builder->record_count == 0 ? code
                                                   : el_batch_builder_finish(builder, EL_CODEC_NONE, NULL, batch);
}

static int write_deletes(struct restore *r, struct new_log *log, int64_t *end, struct el_error *err)
{
    size_t next = 0;
    int code = 0;
    while (next < r->topic_count && code == 0) {
        struct el_batch_builder builder;
        struct el_slice batch;
        el_batch_builder_init(&builder, DELETES_LEN_MAX);
        code = make_deletes(r, &next, &builder, &batch);
        if (code == 0 && batch.len > 0) {
            struct el_pack_batch row = {
                .leaf = {.first_offset = *end,
                         .record_count = (uint32_t)builder.record_count,
                         .append_time_ns = ++r->meta_append_ns,
                         .max_timestamp_ms = builder.max_timestamp,
                         .leader_epoch = r->leader_epoch},
                .len = (uint32_t)batch.len,
                .last_offset_delta = (uint32_t)builder.record_count - 1,
            };
            el_batch_assign((uint8_t *)(uintptr_t)batch.data, *end, r->leader_epoch);
            code = el_random_fill(row.salt, sizeof row.salt);
            code = code != 0 ? code : new_log_put(log, &row, batch.data, err);
            *end = el_pack_batch_end(&row);
        }
        el_batch_builder_destroy(&builder);
    }
    return code == EVLOG_ERR_NO_MEMORY ? no_memory(err) : code;
}

int restore_catalogue_write(struct restore *r, struct el_error *err)
{
    struct new_log_head head = {.topic_id = EL_CATALOGUE_TOPIC_ID};
    struct archive_range range;
    struct new_log *log;
    if (new_dir_has(r->dir, &EL_CATALOGUE_TOPIC_ID, 0)) {
        return 0;
    }
    int64_t end = r->meta_end;
    int code = archive_reader_range(r->reader, &EL_CATALOGUE_TOPIC_ID, 0, &range, err);
    head.log_start = code == 0 ? range.start_offset : 0;
    code = code != 0 ? code : new_log_begin(r->dir, &head, 0, &log, err);
    if (code != 0) {
        return code;
    }
    code = each_batch(r, range.start_offset, write_one, log, err);
    code = code != 0 ? code : write_deletes(r, log, &end, err);
    if (code != 0) {
        new_log_drop(log);
        return code;
    }
    return new_log_end(log, end, err);
}
