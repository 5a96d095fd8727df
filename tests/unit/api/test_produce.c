/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the right refusal for each bad batch, neighbours unaffected; appends of one connection in the order sent; the
 * deadline answers while appends go on. Method: real batches, a store that keeps what it is given.
 */
#include "fake.h"

#include <core/hash.h>
#include <stdlib.h>
#include <wire/msg_produce.h>

static struct fake f;
static struct el_batch_builder builder;

#define NOW_MS 1700000000000

/* A batch of count records of len bytes each; borrowed from the builder. */
static struct el_slice make_batch(int count, size_t len, int64_t timestamp_ms, enum el_codec codec,
                                  const struct el_batch_origin *origin)
{
    el_batch_builder_reset(&builder);
    uint8_t *value = calloc(1, len + 1);
    for (int i = 0; i < count; i++) {
        struct el_record_body body = {.value = el_slice_of(value, len)};
        assert_int_equal(el_batch_builder_add(&builder, timestamp_ms + i, &body), 0);
    }
    struct el_slice batch;
    assert_int_equal(el_batch_builder_finish(&builder, codec, origin, &batch), 0);
    free(value);
    return batch;
}

static struct el_slice plain(void)
{
    return make_batch(2, 10, NOW_MS, EL_CODEC_NONE, NULL);
}

/* A request for the partitions [count] of one topic, all with one batch. */
static struct fake_request *ask(const char *name, const struct el_uuid *id, struct el_slice batch, int16_t acks,
                                int version, int partitions)
{
    struct el_msg_produce_partition parts[4];
    struct el_msg_produce_topic topic;
    struct el_msg_produce_request message;
    el_schema_init(&el_schema_produce_request, &message);
    el_schema_init(&el_schema_produce_topic, &topic);
    topic.name = el_slice_str(name);
    if (id != NULL) {
        topic.topic_id = *id;
    }
    for (int i = 0; i < partitions; i++) {
        parts[i] = (struct el_msg_produce_partition){.index = i, .records = batch};
    }
    topic.partition_data = parts;
    topic.partition_data_count = (uint32_t)partitions;
    message.acks = acks;
    message.timeout_ms = 1000;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    return fake_request(&f, EL_API_Produce, version, &message);
}

/* The first partition's answer. */
static struct el_msg_produce_partition_result result(struct fake_request *r)
{
    struct el_msg_produce_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.response_count, 1);
    return answer.responses[0].partition_responses[0];
}

static int16_t error_of(const char *name, struct el_slice batch, int16_t acks, int version)
{
    struct fake_request *r = ask(name, NULL, batch, acks, version, 1);
    fake_dispatch(&f, r);
    struct el_msg_produce_partition_result out = result(r);
    if (out.error_code != 0) {
        assert_int_equal(out.base_offset, -1);
    }
    fake_free(r);
    return out.error_code;
}

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
}

static void end(void)
{
    el_batch_builder_destroy(&builder);
    fake_end(&f);
}

TEST(produce, refuses_acks_other_than_three)
{
    begin();
    assert_int_equal(error_of("events", plain(), 2, 7), EL_KAFKA_INVALID_REQUIRED_ACKS);
    assert_int_equal(error_of("events", plain(), -2, 7), EL_KAFKA_INVALID_REQUIRED_ACKS);
    assert_int_equal(f.append_count, 0);
    assert_int_equal(error_of("events", plain(), 1, 7), 0);
    assert_int_equal(error_of("events", plain(), -1, 7), 0);
    assert_int_equal(f.append_count, 2);
    end();
}

TEST(produce, refuses_unknown_topics_and_partitions)
{
    begin();
    assert_int_equal(error_of("nothing", plain(), -1, 7), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    struct el_uuid id = {{0xee}};
    struct fake_request *r = ask("", &id, plain(), -1, 13, 1);
    fake_dispatch(&f, r);
    assert_int_equal(result(r).error_code, EL_KAFKA_UNKNOWN_TOPIC_ID);
    fake_free(r);
    r = ask("", &f.topics[0].id, plain(), -1, 13, 3);
    fake_dispatch(&f, r);
    struct el_msg_produce_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.responses[0].partition_responses[0].error_code, 0);
    assert_int_equal(answer.responses[0].partition_responses[1].error_code, 0);
    assert_int_equal(answer.responses[0].partition_responses[2].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    assert_int_equal(f.append_count, 2);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_UNKNOWN_TOPIC), 3);
    end();
}

TEST(produce, refuses_topics_of_evlog)
{
    begin();
    fake_add_topic(&f, "__evlog_meta", 1);
    assert_int_equal(error_of("__evlog_meta", plain(), -1, 7), EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(f.append_count, 0);
    end();
}

/* One byte of a good batch is changed; with a right checksum when fix is set. */
static int16_t error_with_byte(size_t pos, uint8_t value, bool fix, int version)
{
    struct el_slice batch = plain();
    uint8_t *copy = malloc(batch.len);
    memcpy(copy, batch.data, batch.len);
    copy[pos] = value;
    if (fix) {
        el_put_be32(copy + EL_BATCH_POS_CRC,
                    el_crc32c(0, copy + EL_BATCH_POS_ATTRIBUTES, batch.len - EL_BATCH_POS_ATTRIBUTES));
    }
    int16_t error = error_of("events", el_slice_of(copy, batch.len), -1, version);
    free(copy);
    return error;
}

TEST(produce, refuses_bad_batches_with_their_codes)
{
    begin();
    assert_int_equal(error_of("events", (struct el_slice){0}, -1, 7), EL_KAFKA_INVALID_RECORD);
    assert_int_equal(error_with_byte(EL_BATCH_POS_MAGIC, 1, false, 7), EL_KAFKA_INVALID_RECORD);
    assert_int_equal(error_with_byte(EL_BATCH_POS_MAGIC, 9, false, 7), EL_KAFKA_INVALID_RECORD);
    assert_int_equal(error_with_byte(EL_BATCH_POS_CRC, 0x55, false, 7), EL_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(error_with_byte(EL_BATCH_POS_LENGTH + 3, 1, false, 7), EL_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(error_with_byte(EL_BATCH_POS_RECORD_COUNT + 3, 3, true, 7), EL_KAFKA_INVALID_RECORD);
    assert_int_equal(error_with_byte(EL_BATCH_POS_LAST_OFFSET_DELTA + 3, 9, true, 7), EL_KAFKA_INVALID_RECORD);
    assert_int_equal(error_with_byte(EL_BATCH_POS_ATTRIBUTES + 1, EL_BATCH_ATTR_CONTROL, true, 7),
                     EL_KAFKA_INVALID_RECORD);
    assert_int_equal(error_with_byte(EL_BATCH_POS_ATTRIBUTES + 1, 5, true, 7), EL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(f.append_count, 0);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_CORRUPT), 2);
    end();
}

TEST(produce, refuses_transactional_batches)
{
    begin();
    struct el_batch_origin origin = {.producer_id = 5, .attributes = EL_BATCH_ATTR_TRANSACTIONAL};
    struct el_slice batch = make_batch(1, 5, NOW_MS, EL_CODEC_NONE, &origin);
    assert_int_equal(error_of("events", batch, -1, 10), EL_KAFKA_INVALID_TXN_STATE);
    assert_int_equal(error_of("events", batch, -1, 11), EL_KAFKA_TRANSACTION_ABORTABLE);
    assert_int_equal(f.append_count, 0);
    end();
}

TEST(produce, refuses_zstd_below_version_7)
{
    begin();
    struct el_slice batch = make_batch(50, 100, NOW_MS, EL_CODEC_ZSTD, NULL);
    assert_int_equal(error_of("events", batch, -1, 6), EL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(f.append_count, 0);
    assert_int_equal(error_of("events", batch, -1, 7), 0);
    end();
}

TEST(produce, refuses_batches_over_the_topics_limit)
{
    begin();
    struct el_slice batch = plain();
    char text[16];
    snprintf(text, sizeof text, "%zu", batch.len);
    assert_int_equal(topic_config_set(&f.topics[0].config, el_slice_str("max.message.bytes"), el_slice_str(text), NULL),
                     0);
    assert_int_equal(error_of("events", batch, -1, 7), 0);
    snprintf(text, sizeof text, "%zu", batch.len - 1);
    assert_int_equal(topic_config_set(&f.topics[0].config, el_slice_str("max.message.bytes"), el_slice_str(text), NULL),
                     0);
    assert_int_equal(error_of("events", batch, -1, 7), EL_KAFKA_MESSAGE_TOO_LARGE);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_TOO_LARGE), 1);
    end();
}

TEST(produce, names_the_record_whose_time_is_out_of_range)
{
    begin();
    int64_t ahead = NOW_MS + 3600000; /* the default limit; the second record is 1 ms later */
    struct el_slice batch = make_batch(3, 5, ahead - 1, EL_CODEC_NONE, NULL);
    struct fake_request *r = ask("events", NULL, batch, -1, 8, 1);
    fake_dispatch(&f, r);
    struct el_msg_produce_partition_result out = result(r);
    assert_int_equal(out.error_code, EL_KAFKA_INVALID_TIMESTAMP);
    assert_int_equal(out.record_error_count, 1);
    assert_int_equal(out.record_errors[0].batch_index, 2);
    fake_free(r);
    assert_int_equal(error_of("events", batch, -1, 7), EL_KAFKA_INVALID_TIMESTAMP);
    assert_int_equal(error_of("events", make_batch(2, 5, ahead - 1, EL_CODEC_NONE, NULL), -1, 8), 0);

    struct topic_config *config = &f.topics[0].config;
    assert_int_equal(
        topic_config_set(config, el_slice_str("message.timestamp.before.max.ms"), el_slice_str("1000"), NULL), 0);
    assert_int_equal(error_of("events", make_batch(1, 5, NOW_MS - 1001, EL_CODEC_NONE, NULL), -1, 8),
                     EL_KAFKA_INVALID_TIMESTAMP);
    assert_int_equal(error_of("events", make_batch(1, 5, NOW_MS - 1000, EL_CODEC_NONE, NULL), -1, 8), 0);
    /* Stamps of the broker's own replace the producer's: nothing to check. */
    assert_int_equal(
        topic_config_set(config, el_slice_str("message.timestamp.type"), el_slice_str("LogAppendTime"), NULL), 0);
    assert_int_equal(error_of("events", make_batch(1, 5, 5, EL_CODEC_NONE, NULL), -1, 8), 0);
    end();
}

TEST(produce, compacted_topics_take_no_record_without_a_key)
{
    begin();
    static const char *const policies[] = {"compact", "compact,delete"};
    struct el_record_body keyed = {.key = el_slice_str("k"), .value = el_slice_str("v")};
    struct el_record_body empty = {.key = el_slice_str(""), .value = el_slice_of(NULL, 0)};
    struct el_record_body keyless = {.value = el_slice_str("v")};
    for (int i = 0; i < 2; i++) {
        struct topic_config *config = &f.topics[0].config;
        assert_int_equal(topic_config_set(config, el_slice_str("cleanup.policy"), el_slice_str(policies[i]), NULL), 0);
        struct el_slice batch;
        el_batch_builder_reset(&builder);
        assert_int_equal(el_batch_builder_add(&builder, NOW_MS, &keyed), 0);
        assert_int_equal(el_batch_builder_add(&builder, NOW_MS, &empty), 0);
        assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_LZ4, NULL, &batch), 0);
        assert_int_equal(error_of("events", batch, -1, 8), 0);
        assert_int_equal(el_batch_builder_add(&builder, NOW_MS, &keyless), 0);
        assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_LZ4, NULL, &batch), 0);
        struct fake_request *r = ask("events", NULL, batch, -1, 8, 1);
        fake_dispatch(&f, r);
        struct el_msg_produce_partition_result out = result(r);
        assert_int_equal(out.error_code, EL_KAFKA_INVALID_RECORD);
        assert_int_equal(out.record_error_count, 1);
        assert_int_equal(out.record_errors[0].batch_index, 2);
        assert_non_null(memmem(out.error_message.data, out.error_message.len, "needs a key", 11));
        fake_free(r);
        assert_int_equal(error_of("events", batch, -1, 7), EL_KAFKA_INVALID_RECORD);
    }
    assert_int_equal(f.append_count, 2);
    end();
}

TEST(produce, a_bad_partition_fails_alone)
{
    begin();
    struct el_slice good = plain();
    struct el_msg_produce_partition parts[] = {
        {.index = 0, .records = el_slice_of(good.data, good.len - 1)},
        {.index = 1, .records = good},
    };
    struct el_msg_produce_topic topic = {
        .name = el_slice_str("events"), .partition_data = parts, .partition_data_count = 2};
    struct el_msg_produce_request message;
    el_schema_init(&el_schema_produce_request, &message);
    message.acks = -1;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    struct fake_request *r = fake_request(&f, EL_API_Produce, 9, &message);
    fake_dispatch(&f, r);
    struct el_msg_produce_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.responses[0].partition_responses[0].error_code, EL_KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(answer.responses[0].partition_responses[1].error_code, 0);
    assert_int_equal(f.append_count, 1);
    assert_int_equal(f.appends[0]->partition, 1);
    fake_free(r);
    end();
}

TEST(produce, without_acks_answers_nothing_and_closes_on_failure)
{
    begin();
    struct fake_request *r = ask("events", NULL, plain(), 0, 7, 1);
    fake_dispatch(&f, r);
    assert_int_equal(r->outcome, FAKE_SILENT);
    assert_true(f.appends[0]->no_wait);
    fake_free(r);
    r = ask("nothing", NULL, plain(), 0, 7, 1);
    fake_dispatch(&f, r);
    assert_int_equal(r->outcome, FAKE_REFUSED);
    fake_free(r);
    f.append_error = EVLOG_ERR_FULL;
    r = ask("events", NULL, plain(), 0, 7, 1);
    fake_dispatch(&f, r);
    assert_int_equal(r->outcome, FAKE_REFUSED);
    fake_free(r);
    end();
}

TEST(produce, storage_errors_reach_the_client)
{
    begin();
    f.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(error_of("events", plain(), -1, 7), EL_KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(error_of("events", plain(), -1, 4), EL_KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(error_of("events", plain(), -1, 3), EL_KAFKA_NOT_LEADER_OR_FOLLOWER);
    f.append_error = EVLOG_ERR_SEQUENCE;
    assert_int_equal(error_of("events", plain(), -1, 7), EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    f.append_error = EVLOG_ERR_UNKNOWN_TOPIC;
    assert_int_equal(error_of("events", plain(), -1, 7), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    end();
}

/* Who reads them does not know of the broker's flags. */
TEST(produce, what_waits_for_an_archive_that_is_none_says_what_to_do)
{
    static const struct {
        int error, kafka_error;
        const char *text;
    } rows[] = {{EVLOG_ERR_POLICY, EL_KAFKA_POLICY_VIOLATION, "start evlogd with --archive"},
                {EVLOG_ERR_CONFLICT, EL_KAFKA_INVALID_REQUEST, "restore the data directory"}};
    begin();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        f.append_error = rows[i].error;
        struct fake_request *r = ask("events", NULL, plain(), -1, 8, 1);
        fake_dispatch(&f, r);
        struct el_msg_produce_partition_result out = result(r);
        assert_int_equal(out.error_code, rows[i].kafka_error);
        char text[256] = "";
        memcpy(text, out.error_message.data, EL_MIN(out.error_message.len, sizeof text - 1));
        assert_non_null(strstr(text, rows[i].text));
        fake_free(r);
    }
    end();
}

TEST(produce, waits_behind_a_decompression_of_its_connection)
{
    begin();
    /* More than the shard's scratch memory holds: the first request needs a worker. */
    struct el_slice large = make_batch(4, API_SCRATCH_LEN / 2, NOW_MS, EL_CODEC_LZ4, NULL);
    struct fake_request *first = ask("events", NULL, large, -1, 7, 1);
    struct fake_request *second = ask("events", NULL, plain(), -1, 7, 1);
    struct fake_request *third = ask("events", NULL, plain(), -1, 7, 1);
    struct fake_request *other = ask("events", NULL, plain(), -1, 7, 1);
    other->conn_id = 2;
    fake_dispatch(&f, first);
    assert_int_equal(f.job_count, 1);
    fake_dispatch(&f, second);
    fake_dispatch(&f, third);
    assert_int_equal(f.append_count, 0);
    fake_dispatch(&f, other);
    assert_int_equal(f.append_count, 1);
    assert_int_equal(other->outcome, FAKE_REPLIED);
    fake_run_job(&f, 0);
    assert_int_equal(f.append_count, 4);
    assert_true(f.appends[1]->batch_len > 100);
    assert_int_equal(first->outcome, FAKE_REPLIED);
    assert_int_equal(result(first).error_code, 0);
    assert_int_equal(result(second).base_offset, 200);
    assert_int_equal(result(third).base_offset, 300);
    fake_free(first);
    fake_free(second);
    fake_free(third);
    fake_free(other);
    end();
}

TEST(produce, refuses_records_that_decompress_past_the_limit)
{
    begin();
    /* Built by hand: the builder itself would not go over the limit. */
    size_t len = EL_BATCH_OUTPUT_MAX + 4096;
    uint8_t *zeros = calloc(1, len);
    size_t bound = el_compress_bound(EL_CODEC_LZ4, len), packed_len;
    uint8_t *batch = calloc(1, EL_BATCH_HEADER_LEN + bound);
    assert_int_equal(el_compress(EL_CODEC_LZ4, zeros, len, batch + EL_BATCH_HEADER_LEN, bound, &packed_len), 0);
    struct el_slice small = plain();
    memcpy(batch, small.data, EL_BATCH_HEADER_LEN);
    batch[EL_BATCH_POS_ATTRIBUTES + 1] = EL_CODEC_LZ4;
    size_t batch_len = EL_BATCH_HEADER_LEN + packed_len;
    el_put_be32(batch + EL_BATCH_POS_LENGTH, (uint32_t)(batch_len - EL_BATCH_LENGTH_BASE));
    el_put_be32(batch + EL_BATCH_POS_CRC,
                el_crc32c(0, batch + EL_BATCH_POS_ATTRIBUTES, batch_len - EL_BATCH_POS_ATTRIBUTES));
    struct fake_request *r = ask("events", NULL, el_slice_of(batch, batch_len), -1, 7, 1);
    fake_dispatch(&f, r);
    while (f.job_count > 0) {
        fake_run_job(&f, 0);
    }
    assert_int_equal(result(r).error_code, EL_KAFKA_INVALID_RECORD);
    assert_int_equal(f.append_count, 0);
    fake_free(r);
    free(batch);
    free(zeros);
    end();
}

TEST(produce, the_deadline_answers_while_appends_go_on)
{
    begin();
    f.defer = true;
    struct fake_request *r = ask("events", NULL, plain(), -1, 7, 2);
    fake_dispatch(&f, r);
    assert_int_equal(f.op_count, 2);
    fake_run_op(&f);
    fake_advance_ms(&f, 999);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 1);
    struct el_msg_produce_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.responses[0].partition_responses[0].error_code, 0);
    assert_int_equal(answer.responses[0].partition_responses[1].error_code, EL_KAFKA_REQUEST_TIMED_OUT);
    assert_true(r->held);
    assert_false(r->unheld);
    fake_run_op(&f);
    assert_true(r->unheld);
    fake_free(r);
    end();
}

TEST(produce, in_time_the_deadline_is_forgotten)
{
    begin();
    f.defer = true;
    struct fake_request *r = ask("events", NULL, plain(), -1, 7, 1);
    fake_dispatch(&f, r);
    fake_run_op(&f);
    assert_int_equal(result(r).error_code, 0);
    fake_advance_ms(&f, 5000);
    assert_false(r->held);
    fake_free(r);
    end();
}
