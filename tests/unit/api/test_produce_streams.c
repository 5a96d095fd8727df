/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: on a topic with streams a producer of any kind is held to the placement of keys and to the headers that evlog
 * reads, and is told which record is at fault, why, and what to change. Method: real batches, a store that keeps them.
 */
#include "fake_streams.h"

#include <stdlib.h>
#include <wire/msg_produce.h>

static struct fake f;
static struct el_batch_builder builder;

#define NOW_MS 1700000000000

static void begin(void)
{
    fake_begin(&f);
    fake_topic_streams(fake_add_topic(&f, "orders", 2), "crc32"); /* "a" and "b" are odd, "hello" is even */
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
}

static void end(void)
{
    el_batch_builder_destroy(&builder);
    fake_end(&f);
}

static void add(const char *key, const char *name, const char *value)
{
    struct el_header header = {el_slice_str(name == NULL ? "" : name), el_slice_str(value == NULL ? "" : value)};
    struct el_record_body body = {.key = key == NULL ? (struct el_slice){0} : el_slice_str(key),
                                  .value = el_slice_str("v"),
                                  .headers = &header,
                                  .header_count = name == NULL ? 0 : 1};
    assert_int_equal(el_batch_builder_add(&builder, NOW_MS, &body), 0);
}

static struct fake_request *produce(int32_t partition, enum el_codec codec, bool idempotent)
{
    struct el_msg_produce_partition part = {.index = partition};
    struct el_msg_produce_topic topic;
    struct el_msg_produce_request message;
    struct el_batch_origin origin = {.producer_id = idempotent ? 5 : -1,
                                     .producer_epoch = idempotent ? 0 : -1,
                                     .base_sequence = idempotent ? 0 : -1};
    assert_int_equal(el_batch_builder_finish(&builder, codec, &origin, &part.records), 0);
    el_schema_init(&el_schema_produce_request, &message);
    el_schema_init(&el_schema_produce_topic, &topic);
    topic.name = el_slice_str("orders");
    topic.partition_data = &part;
    topic.partition_data_count = 1;
    message.acks = -1;
    message.timeout_ms = 1000;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    struct fake_request *r = fake_request(&f, EL_API_Produce, 9, &message);
    el_batch_builder_reset(&builder);
    fake_dispatch(&f, r);
    return r;
}

/* The answer's error, record and text. */
static void expect(struct fake_request *r, int16_t error, int32_t record, const char *text)
{
    struct el_msg_produce_response answer;
    fake_response(r, &answer);
    const struct el_msg_produce_partition_result *out = &answer.responses[0].partition_responses[0];
    assert_int_equal(out->error_code, error);
    assert_int_equal(out->record_error_count, record < 0 ? 0 : 1);
    if (record >= 0) {
        assert_int_equal(out->record_errors[0].batch_index, record);
        assert_true(el_slice_eq(out->record_errors[0].batch_index_error_message, out->error_message));
    }
    if (text != NULL) {
        char copy[600];
        snprintf(copy, sizeof copy, "%.*s", (int)out->error_message.len, (const char *)out->error_message.data);
        if (strstr(copy, text) == NULL) {
            fail_msg("'%s' is not in: %s", text, copy);
        }
    }
    fake_free(r);
}

TEST(produce_streams, refuses_keys_of_other_partitions)
{
    begin();
    add("hello", NULL, NULL);
    add("a", NULL, NULL);
    expect(produce(0, EL_CODEC_NONE, false), EL_KAFKA_INVALID_RECORD, 1,
           "key \"a\" belongs to partition 1 of this topic, and came to 0 (evlog.key.partitioner): set partitioner=");
    add("", NULL, NULL);
    expect(produce(0, EL_CODEC_NONE, false), EL_KAFKA_INVALID_RECORD, 0, "the key is empty");
    assert_int_equal(f.append_count, 0);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_INVALID_RECORD), 2);
    add("hello", NULL, NULL);
    add(NULL, NULL, NULL); /* in no stream: anywhere */
    expect(produce(0, EL_CODEC_NONE, false), 0, -1, NULL);
    assert_int_equal(f.append_count, 1);
    end();
}

TEST(produce_streams, refuses_headers_that_say_nothing)
{
    begin();
    add("hello", NULL, NULL);
    add("hello", STREAM_HEADER_EXPECTED, "soon");
    expect(produce(0, EL_CODEC_NONE, true), EL_KAFKA_INVALID_RECORD, 1, STREAM_HEADER_EXPECTED);
    add("hello", STREAM_HEADER_EXPECTED, "3");
    expect(produce(0, EL_CODEC_NONE, false), EL_KAFKA_INVALID_RECORD, 0, "enable.idempotence=true");
    add("hello", STREAM_HEADER_DELETED, "soft");
    expect(produce(0, EL_CODEC_NONE, true), EL_KAFKA_INVALID_RECORD, 0, "not for clients");
    assert_int_equal(f.append_count, 0);
    end();
}

TEST(produce_streams, the_index_is_told_what_the_batch_holds)
{
    begin();
    add("hello", STREAM_HEADER_EXPECTED, "3");
    add("hello", "ce_id", "i");
    f.defer = true;
    struct fake_request *r = produce(0, EL_CODEC_LZ4, true);
    const struct stream_batch *batch = f.appends[0]->observed;
    assert_non_null(batch);
    assert_int_equal(batch->record_count, 2);
    assert_int_equal(batch->records[0].expected, 3);
    assert_int_equal(batch->records[1].expected, STREAM_ANY);
    assert_int_equal(batch->records[1].flags, STREAM_RECORD_KEY | STREAM_RECORD_ID);
    assert_true(el_slice_eq(batch->records[1].key_bytes, el_slice_str("hello")));
    fake_run_op(&f);
    expect(r, 0, -1, NULL);
    end();
}

TEST(produce_streams, a_topic_without_streams_has_nothing_to_tell)
{
    begin();
    topic_config_init(&f.topics[0].config);
    add("a", STREAM_HEADER_DELETED, "soft");
    expect(produce(0, EL_CODEC_NONE, false), 0, -1, NULL);
    assert_null(f.appends[0]->observed);
    end();
}

/* More than the shard decompresses itself. */
static void add_large(uint32_t count, const char *key)
{
    uint8_t *value = calloc(1, 1000);
    for (uint32_t i = 0; i < count; i++) {
        struct el_record_body body = {.key = i % 3 == 2 ? (struct el_slice){0} : el_slice_str(key),
                                      .value = el_slice_of(value, 1000)};
        assert_int_equal(el_batch_builder_add(&builder, NOW_MS, &body), 0);
    }
    free(value);
}

TEST(produce_streams, large_batches_are_looked_through_by_a_worker)
{
    begin();
    add_large(600, "hello");
    f.defer = true;
    struct fake_request *r = produce(0, EL_CODEC_LZ4, false);
    assert_int_equal(f.job_count, 1);
    fake_run_job(&f, 0);
    assert_int_equal(f.append_count, 1);
    const struct stream_batch *batch = f.appends[0]->observed;
    assert_int_equal(batch->record_count, 600);
    for (uint32_t i = 0; i < 600; i++) {
        assert_int_equal(batch->records[i].offset_delta, i);
        if (i % 3 == 2) {
            assert_null(batch->records[i].key_bytes.data);
        } else {
            assert_true(el_slice_eq(batch->records[i].key_bytes, el_slice_str("hello")));
        }
    }
    fake_run_op(&f);
    expect(r, 0, -1, NULL);
    add_large(600, "hello");
    add("a", NULL, NULL);
    r = produce(0, EL_CODEC_LZ4, false);
    fake_run_job(&f, 0);
    expect(r, EL_KAFKA_INVALID_RECORD, 600, "belongs to partition 1");
    add_large(600, "hello");
    add("hello", STREAM_HEADER_EXPECTED, "x");
    r = produce(0, EL_CODEC_LZ4, true);
    fake_run_job(&f, 0);
    expect(r, EL_KAFKA_INVALID_RECORD, 600, STREAM_HEADER_EXPECTED);
    end();
}

TEST(produce_streams, refuses_more_records_than_are_admitted_at_once)
{
    begin();
    for (uint32_t i = 0; i < EL_STREAM_RECORDS_MAX + 1; i++) {
        add("hello", NULL, NULL);
    }
    expect(produce(0, EL_CODEC_NONE, false), EL_KAFKA_MESSAGE_TOO_LARGE, -1, NULL);
    assert_int_equal(f.append_count, 0);
    end();
}

static void answer_wrong_version(struct append_op *op)
{
    op->observed->failed_index = 1;
    op->observed->told = (struct stream_check){.current = 5, .current_offset = 9};
    op->base.error = EVLOG_ERR_WRONG_VERSION;
}

static void answer_ended(struct append_op *op)
{
    op->observed->failed_index = 0;
    op->base.error = EVLOG_ERR_STREAM_ENDED;
}

static void answer_id(struct append_op *op)
{
    op->observed->failed_index = 1;
    op->observed->records[1].version = 4;
    op->observed->records[1].offset = 40;
    op->base.error = EVLOG_ERR_ID_CONFLICT;
}

TEST(produce_streams, conflicts_name_the_record_and_what_the_stream_is_at)
{
    begin();
    f.on_append = answer_wrong_version;
    add("hello", NULL, NULL);
    add("hello", STREAM_HEADER_EXPECTED, "3");
    expect(produce(0, EL_CODEC_NONE, true), EL_KAFKA_INVALID_RECORD, 1,
           "stream \"hello\" is at version 5, and version 3 was expected: read it again and decide anew");
    f.on_append = answer_ended;
    add("hello", NULL, NULL);
    expect(produce(0, EL_CODEC_NONE, true), EL_KAFKA_INVALID_RECORD, 0, "deleted for good");
    f.on_append = answer_id;
    add("hello", "ce_id", "1");
    add("hello", "ce_id", "2");
    expect(produce(0, EL_CODEC_NONE, true), EL_KAFKA_INVALID_RECORD, 1, "version 4");
    end();
}
