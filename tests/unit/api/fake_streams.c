/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake_streams.h.
 */
#include "fake_streams.h"

#include <stdlib.h>

struct fake_streams fake_streams;
static const struct stream_secret secret = {{1, 2, 3}};

struct streams *fake_streams_begin(void)
{
    memset(&fake_streams, 0, sizeof fake_streams);
    return (struct streams *)&fake_streams;
}

void fake_streams_end(void)
{
    assert_int_equal(fake_streams.release_count, fake_streams.find_count);
    assert_int_equal(fake_streams.waiting_count, 0);
    free(fake_streams.log);
}

const struct stream_secret *streams_secret(const struct streams *st)
{
    return &secret;
}

static void finish(struct store_op *op)
{
    op->error = fake_streams.error;
    if (fake_streams.defer) {
        assert_true(fake_streams.waiting_count < 4);
        fake_streams.waiting[fake_streams.waiting_count++] = op;
    } else {
        op->done(op);
    }
}

void fake_streams_run(void)
{
    assert_true(fake_streams.waiting_count > 0);
    struct store_op *op = fake_streams.waiting[0];
    memmove(&fake_streams.waiting[0], &fake_streams.waiting[1],
            --fake_streams.waiting_count * sizeof fake_streams.waiting[0]);
    op->done(op);
}

static int64_t position_of(const struct stream_find_op *op, int64_t i)
{
    return op->of_type ? fake_streams.offsets[i] : i;
}

/* The newest tombstone up to a version. */
static void tombs_fill(struct stream_find_op *op)
{
    op->places = el_buddy_alloc(&fake->buddy, op->count_max * sizeof *op->places);
    for (uint32_t i = fake_streams.tomb_count; i > 0 && op->count < 1; i--) {
        int64_t version = fake_streams.tombs[i - 1];
        if (version <= op->from) {
            op->places[op->count++] = (struct stream_place){version, fake_streams.offsets[version]};
        }
    }
}

static bool of_tombs(const struct stream_find_op *op)
{
    return op->raw && memcmp(&op->hash, &fake_streams.key_hash, sizeof op->hash) != 0;
}

static void places_fill(struct stream_find_op *op)
{
    if (of_tombs(op)) {
        tombs_fill(op);
        return;
    }
    int64_t count = fake_streams.count;
    op->places = el_buddy_alloc(&fake->buddy, op->count_max * sizeof *op->places);
    for (int64_t n = 0; n < count && op->count < op->count_max; n++) {
        int64_t i = op->backward ? count - 1 - n : n;
        if (!op->raw && !op->of_type && i < fake_streams.first_version) {
            continue;
        }
        bool wanted = op->from < 0 || (op->backward ? position_of(op, i) <= op->from : position_of(op, i) >= op->from);
        if (wanted) {
            op->places[op->count++] = (struct stream_place){op->of_type ? -1 : i, fake_streams.offsets[i]};
        }
    }
}

void streams_find(struct streams *st, struct stream_find_op *op)
{
    fake_streams.find_count++;
    fake_streams.hash = op->hash;
    fake_streams.of_type = op->of_type;
    fake_streams.key_hash = op->raw ? fake_streams.key_hash : op->hash;
    fake_streams.partition = op->partition;
    op->last_version = (int64_t)fake_streams.count - 1;
    op->last_offset = fake_streams.count == 0 ? -1 : fake_streams.offsets[fake_streams.count - 1];
    op->first_version = fake_streams.first_version;
    op->deleted = fake_streams.deleted;
    op->ended = fake_streams.ended;
    op->end_offset = fake->partition.high_watermark;
    op->count = 0;
    op->places = NULL;
    if (fake_streams.error == 0) {
        places_fill(op);
    }
    finish(&op->base);
}

void streams_find_release(struct streams *st, struct stream_find_op *op)
{
    fake_streams.release_count++;
    el_buddy_free(&fake->buddy, op->places);
    op->places = NULL;
}

void streams_list(struct streams *st, struct stream_list_op *op)
{
    fake_streams.find_count++;
    fake_streams.partition = op->partition;
    fake_streams.prefix = op->prefix;
    fake_streams.after = op->after;
    fake_streams.with_deleted = op->with_deleted;
    op->names = fake_streams.names;
    op->count = EL_MIN(fake_streams.name_count, op->count_max);
    op->more = fake_streams.name_count > op->count_max;
    finish(&op->base);
}

void streams_list_release(struct streams *st, struct stream_list_op *op)
{
    fake_streams.release_count++;
}

/* --- the log ------------------------------------------------------------------------------------------------------ */

void fake_topic_streams(struct topic *topic, const char *partitioner)
{
    assert_int_equal(topic_config_set(&topic->config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL), 0);
    if (partitioner != NULL) {
        assert_int_equal(
            topic_config_set(&topic->config, el_slice_str("evlog.key.partitioner"), el_slice_str(partitioner), NULL),
            0);
    }
}

static int64_t log_append(struct el_batch_builder *builder, enum el_codec codec)
{
    struct fake_partition *p = &fake->partition;
    struct el_slice batch;
    struct el_batch_info info;
    int64_t base = p->high_watermark;
    assert_int_equal(el_batch_builder_finish(builder, codec, NULL, &batch), 0);
    if (p->data_len + batch.len > fake_streams.log_room) {
        fake_streams.log_room = 2 * (p->data_len + batch.len);
        fake_streams.log = realloc(fake_streams.log, fake_streams.log_room);
    }
    p->data = fake_streams.log;
    memcpy(p->data + p->data_len, batch.data, batch.len);
    el_batch_assign(p->data + p->data_len, base, 0);
    assert_int_equal(el_batch_header(batch.data, batch.len, &info), 0);
    p->data_len += (uint32_t)batch.len;
    p->high_watermark = base + info.last_offset_delta + 1;
    el_batch_builder_destroy(builder);
    return base;
}

static struct el_slice text(const char *from)
{
    return from == NULL ? (struct el_slice){0} : el_slice_str(from);
}

int64_t fake_log_add(const struct fake_record *records, uint32_t count, enum el_codec codec)
{
    struct el_batch_builder builder;
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct el_header headers[3];
        size_t n = 0;
        const struct {
            const char *name, *value;
        } known[] = {
            {"ce_id", records[i].id}, {"ce_type", records[i].type}, {records[i].header, records[i].header_value}};
        for (int h = 0; h < 3; h++) {
            if (known[h].name != NULL && known[h].value != NULL) {
                headers[n++] = (struct el_header){el_slice_str(known[h].name), el_slice_str(known[h].value)};
            }
        }
        struct el_record_body body = {
            .key = text(records[i].key), .value = text(records[i].value), .headers = headers, .header_count = n};
        assert_int_equal(el_batch_builder_add(&builder, records[i].time_ms, &body), 0);
    }
    return log_append(&builder, codec);
}

int64_t fake_log_add_large(const char *key, uint32_t count, size_t value_len, enum el_codec codec)
{
    struct el_batch_builder builder;
    uint8_t *value = malloc(value_len);
    memset(value, 'v', value_len);
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct el_record_body body = {.key = text(key), .value = el_slice_of(value, value_len)};
        assert_int_equal(el_batch_builder_add(&builder, 1000 + i, &body), 0);
    }
    free(value);
    return log_append(&builder, codec);
}
