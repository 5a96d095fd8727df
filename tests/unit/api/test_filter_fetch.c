/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: of a partition, exactly the batches with a match are answered, with an offset below which nothing was passed
 * over; it waits when there is none and looks again when the log grows; an index saves reading and changes nothing
 * else. Method: a log of real batches, an index of an array, watches that the test fires.
 */
#include "fake_streams.h"

#include <api/sift.h>
#include <stdlib.h>
#include <wire/msg_ext_filter_fetch.h>

static struct fake f;
static struct el_msg_ext_filter_fetch_response answer;
static struct el_msg_ext_filter_fetch_partition parts[2];

static void begin(bool streams)
{
    fake_begin(&f);
    struct topic *topic = fake_add_topic(&f, "orders", 2);
    if (streams) {
        fake_topic_streams(topic, NULL);
    }
    fake_streams.key_hash = stream_hash_key(streams_secret(NULL), el_slice_str("s"));
    f.partition.append_time_ns = 5000;
}

static struct el_msg_ext_filter_fetch_request ask_from(int64_t offset)
{
    struct el_msg_ext_filter_fetch_request ask;
    el_schema_init(&el_schema_ext_filter_fetch_request, &ask);
    for (int i = 0; i < 2; i++) {
        el_schema_init(&el_schema_ext_filter_fetch_partition, &parts[i]);
        parts[i].partition = i;
    }
    parts[0].offset = offset;
    ask.topic = el_slice_str("orders");
    ask.partitions = parts;
    ask.partition_count = 1;
    return ask;
}

static struct fake_request *begin_fetch(const struct el_msg_ext_filter_fetch_request *ask)
{
    struct fake_request *r = fake_request(&f, EL_API_FilterFetch, 0, ask);
    fake_dispatch(&f, r);
    while (r->outcome == FAKE_OPEN && f.job_count > 0) {
        fake_run_job(&f, 0);
    }
    return r;
}

/* Base offsets of the batches answered, as text: "0 4 8". */
static const char *bases(uint32_t partition)
{
    static char text[4096];
    int len = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < answer.partitions[partition].batch_count; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%lld", i == 0 ? "" : " ",
                        (long long)el_batch_base_offset(answer.partitions[partition].batches[i].batch.data));
    }
    return text;
}

static void expect_answer(struct fake_request *r, const char *wanted, int64_t next)
{
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.partitions[0].error, 0);
    assert_string_equal(bases(0), wanted);
    assert_int_equal(answer.partitions[0].next, next);
    for (uint32_t i = 0; i < answer.partitions[0].batch_count; i++) {
        struct el_slice batch = answer.partitions[0].batches[i].batch;
        assert_int_equal(el_batch_verify(batch.data, batch.len), 0);
        assert_int_equal(answer.partitions[0].batches[i].append_time_ns,
                         5000 + (uint64_t)el_batch_base_offset(batch.data));
    }
    fake_free(r);
}

static void expect(const struct el_msg_ext_filter_fetch_request *ask, const char *wanted, int64_t next)
{
    struct fake_request *r = begin_fetch(ask);
    expect_answer(r, wanted, next);
}

static void expect_refused(const struct el_msg_ext_filter_fetch_request *ask, int error, const char *text)
{
    struct fake_request *r = begin_fetch(ask);
    fake_response(r, &answer);
    assert_int_equal(answer.error, error);
    assert_non_null(memmem(answer.message.data, answer.message.len, text, strlen(text)));
    assert_int_equal(answer.partition_count, 0);
    fake_free(r);
}

static void add(const char *key, const char *type, const char *value, enum el_codec codec)
{
    struct fake_record record = {.key = key, .type = type, .value = value, .time_ms = 100};
    (void)fake_log_add(&record, 1, codec);
}

static void add_many(uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)fake_log_add_large(key, 1, 1000, EL_CODEC_NONE);
    }
}

/* The newest event is the next one of the index's stream. */
static void index_last(void)
{
    fake_streams.offsets[fake_streams.count++] = f.partition.high_watermark - 1;
}

TEST(filter_fetch, refuses_what_is_no_filter)
{
    begin(false);
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    static char long_text[40000];
    memset(long_text, 'x', sizeof long_text);
    struct el_slice text = el_slice_str("{\"data\": 5}"), many[65];
    ask.filters = &text;
    ask.filter_count = 1;
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "filter: line 1, column");
    text = el_slice_of(long_text, 32700);
    struct el_slice two[2] = {text, text};
    ask.filters = two;
    ask.filter_count = 2;
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "32 KiB");
    for (int i = 0; i < 65; i++) {
        many[i] = el_slice_str("{}");
    }
    ask.filters = many;
    ask.filter_count = 6;
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "at most 5 patterns");
    ask.filter_count = 0;
    ask.types = many;
    ask.type_count = 65;
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "at most 64 types");
    many[0] = el_slice_of("", 0);
    ask.type_count = 1;
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "1 to 4096 bytes");
    ask.type_count = 0;
    ask.key = el_slice_of(long_text, 4097);
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "at most 4096 bytes");
    fake_end(&f);
}

TEST(filter_fetch, refuses_a_partition_named_twice)
{
    begin(false);
    add("a", NULL, "1", EL_CODEC_NONE);
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.partition_count = 2;
    parts[0].partition = 1;
    expect_refused(&ask, EL_KAFKA_INVALID_REQUEST, "partition 1 is named twice");
    assert_int_equal(f.read_count, 0);
    parts[0].partition = parts[1].partition = 7; /* of which there is none */
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.partition_count, 2);
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, tells_errors_by_partition)
{
    begin(false);
    add("a", NULL, "1", EL_CODEC_NONE);
    struct el_msg_ext_filter_fetch_request ask = ask_from(2);
    parts[1].partition = 7;
    ask.partition_count = 2;
    ask.max_wait_ms = 1000;
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].error, EL_KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(answer.partitions[0].next, -1);
    assert_int_equal(answer.partitions[1].error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    ask.topic = (struct el_slice){0};
    ask.topic_id.bytes[3] = 77;
    r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].error, EL_KAFKA_UNKNOWN_TOPIC_ID);
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, gives_batches_with_a_match_only)
{
    enum el_codec codecs[] = {EL_CODEC_NONE, EL_CODEC_LZ4};
    for (int c = 0; c < 2; c++) {
        begin(false);
        add("a", "T", "{\"n\":1}", codecs[c]);
        add("b", "U", "{\"n\":2}", codecs[c]);
        add("ab", "T", "{\"n\":3}", codecs[c]);
        add(NULL, NULL, "no json", codecs[c]);
        struct el_msg_ext_filter_fetch_request ask = ask_from(0);
        expect(&ask, "0 1 2 3", 4);
        ask.key = el_slice_str("a");
        expect(&ask, "0", 4);
        ask.key = (struct el_slice){0};
        ask.prefix = el_slice_str("a");
        expect(&ask, "0 2", 4);
        ask.prefix = el_slice_of("", 0); /* any key, but one */
        expect(&ask, "0 1 2", 4);
        ask.prefix = (struct el_slice){0};
        struct el_slice types[] = {el_slice_str("U"), el_slice_str("V")};
        ask.types = types;
        ask.type_count = 2;
        expect(&ask, "1", 4);
        ask.type_count = 0;
        struct el_slice filters[] = {el_slice_str("{\"data\":{\"n\":[3]}}"), el_slice_str("{\"ce_type\":[\"U\"]}")};
        ask.filters = filters;
        ask.filter_count = 2;
        expect(&ask, "1 2", 4);
        ask.key = el_slice_str("b");
        expect(&ask, "1", 4);
        parts[0].offset = 2;
        expect(&ask, "", 4);
        fake_end(&f);
    }
}

TEST(filter_fetch, counts_only_what_is_wanted_of_a_batch)
{
    begin(false);
    struct fake_record records[] = {{.key = "a"}, {.key = "b"}, {.key = "c"}};
    (void)fake_log_add(records, 3, EL_CODEC_NONE);
    struct el_msg_ext_filter_fetch_request ask = ask_from(1);
    ask.key = el_slice_str("a");
    expect(&ask, "", 3); /* it lies below the offset asked for */
    ask.key = el_slice_str("c");
    expect(&ask, "0", 3);
    fake_end(&f);
}

TEST(filter_fetch, gives_what_cannot_be_opened)
{
    begin(false);
    add("a", NULL, "1", EL_CODEC_NONE);
    f.partition.data[EL_BATCH_HEADER_LEN] ^= 0xff; /* the length of the record */
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].batch_count, 1);
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, waits_until_an_event_matches)
{
    begin(false);
    add("a", NULL, "1", EL_CODEC_NONE);
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    ask.max_wait_ms = 1000;
    struct fake_request *r = begin_fetch(&ask);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_int_equal(f.watch_count, 1);
    assert_int_equal(f.watches[0]->offset, 1);
    fake_advance_ms(&f, 10);
    add("c", NULL, "2", EL_CODEC_NONE);
    fake_fire(&f, 0, 0);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_int_equal(f.watches[0]->offset, 2);
    add("b", NULL, "3", EL_CODEC_NONE);
    uint32_t reads = f.read_count;
    fake_fire(&f, 0, 0);
    assert_int_equal(f.read_count, reads); /* it has just looked */
    fake_advance_ms(&f, 1);
    expect_answer(r, "2", 3);
    fake_end(&f);
}

TEST(filter_fetch, tells_at_the_deadline_how_far_it_has_looked)
{
    begin(false);
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    ask.max_wait_ms = 100;
    struct fake_request *r = begin_fetch(&ask);
    add("c", NULL, "2", EL_CODEC_NONE);
    fake_fire(&f, 0, 0);
    fake_advance_ms(&f, 100);
    expect_answer(r, "", 1);
    fake_end(&f);
}

TEST(filter_fetch, answers_when_there_is_more_to_look_at_than_it_may)
{
    begin(false);
    add_many(9500, "a"); /* of 1,000 bytes: above SIFT_SCAN_LEN */
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    ask.max_wait_ms = 1000;
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    int64_t next = answer.partitions[0].next;
    assert_int_equal(answer.partitions[0].batch_count, 0);
    assert_in_range(next, SIFT_READ_LEN_MIN / 1100, 9499);
    fake_free(r);
    parts[0].offset = next;
    r = begin_fetch(&ask);
    assert_int_equal(r->outcome, FAKE_OPEN); /* at the end: it waits */
    fake_advance_ms(&f, 1000);
    expect_answer(r, "", 9500);
    fake_end(&f);
}

TEST(filter_fetch, stays_within_the_bytes_asked_for_and_leaves_none_out)
{
    begin(false);
    for (int i = 0; i < 50; i++) {
        add_many(1, i % 5 == 0 ? "b" : "a");
    }
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    for (int32_t max = 0; max < 5000; max += 700) {
        ask.max_bytes = max;
        int64_t at = 0, seen = 0;
        for (int turn = 0; at < 50; turn++) {
            assert_true(turn < 60);
            parts[0].offset = at;
            struct fake_request *r = begin_fetch(&ask);
            fake_response(r, &answer);
            size_t len = 0;
            const struct el_msg_ext_filter_fetch_result *result = &answer.partitions[0];
            for (uint32_t i = 0; i < result->batch_count; i++, seen++) {
                assert_int_equal(el_batch_base_offset(result->batches[i].batch.data), seen * 5);
                assert_true(el_batch_base_offset(result->batches[i].batch.data) < result->next);
                len += result->batches[i].batch.len;
            }
            assert_true(result->batch_count <= 1 || len <= (size_t)max);
            assert_true(result->next > at);
            at = result->next;
            fake_free(r);
        }
        assert_int_equal(seen, 10);
    }
    fake_end(&f);
}

/* Most reads under way at once, of 30 partitions with so many bytes each. */
static uint32_t reads_at_once(int32_t max_bytes)
{
    static struct el_msg_ext_filter_fetch_partition many[30];
    uint32_t most = 0;
    fake_begin(&f);
    (void)fake_add_topic(&f, "orders", 30);
    add("a", NULL, "1", EL_CODEC_NONE);
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    for (int i = 0; i < 30; i++) {
        el_schema_init(&el_schema_ext_filter_fetch_partition, &many[i]);
        many[i].partition = i;
        many[i].max_bytes = max_bytes;
    }
    ask.partitions = many;
    ask.partition_count = 30;
    ask.key = el_slice_str("b");
    f.defer = true;
    struct fake_request *r = fake_request(&f, EL_API_FilterFetch, 0, &ask);
    fake_dispatch(&f, r);
    while (r->outcome == FAKE_OPEN) {
        most = EL_MAX(most, f.op_count);
        fake_run_op(&f);
    }
    fake_response(r, &answer);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(answer.partitions[i].error, 0);
        assert_int_equal(answer.partitions[i].next, i == 0 ? 1 : 0);
    }
    assert_true(f.read_count >= 30);
    fake_free(r);
    fake_end(&f);
    return most;
}

TEST(filter_fetch, reads_few_partitions_at_a_time_and_one_where_hardly_anything_may_be_kept)
{
    assert_int_equal(reads_at_once(0), 1);
    assert_int_equal(reads_at_once(1), 1);
    assert_int_equal(reads_at_once(SIFT_FIRST_LEN - 1), 1);
    assert_in_range(reads_at_once(SIFT_FIRST_LEN), 2, 8);
    assert_in_range(reads_at_once(INT32_MAX), 2, 8);
}

TEST(filter_fetch, holds_no_large_read_for_a_small_find)
{
    begin(false);
    add_many(300, "a");
    add_many(1, "b");
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    expect(&ask, "300", 301);
    assert_int_equal(f.reads_held, 0);
    (void)fake_log_add_large("c", 1, 600000, EL_CODEC_NONE);
    ask.key = el_slice_str("c");
    expect(&ask, "301", 302);
    assert_int_equal(f.reads_held, 1); /* what is large stays where it is */
    fake_end(&f);
}

/* A pattern that takes long on what slow_value() has made, and takes it when it ends in last. */
static const char *slow_pattern(void)
{
    static char text[16000];
    int len = snprintf(text, sizeof text, "{\"data\":{\"d\":[");
    for (int i = 0; i < 60; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "{\"wildcard\":\"*x*y%d*\"},", i);
    }
    (void)snprintf(text + len, sizeof text - (size_t)len, "{\"suffix\":\"z\"}]}}");
    return text;
}

static const char *slow_value(char last)
{
    static char text[20100];
    (void)snprintf(text, sizeof text, "{\"d\":\"%020000d%c\"}", 0, last);
    return text;
}

TEST(filter_fetch, leaves_the_worker_to_others_when_patterns_take_long_and_passes_nothing_over)
{
    begin(false);
    for (int batch = 0; batch < 3; batch++) {
        struct fake_record records[20];
        char *values[20];
        for (int i = 0; i < 20; i++) {
            values[i] = strdup(slow_value(batch == 1 && i == 18 ? 'z' : 'a'));
            records[i] = (struct fake_record){.value = values[i], .time_ms = 100};
        }
        (void)fake_log_add(records, 20, EL_CODEC_NONE);
        for (int i = 0; i < 20; i++) {
            free(values[i]);
        }
    }
    struct el_slice filter = el_slice_str(slow_pattern());
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.filters = &filter;
    ask.filter_count = 1;
    uint32_t jobs = 0, seen = 0;
    for (int64_t at = 0; at < 60;) {
        parts[0].offset = at;
        struct fake_request *r = fake_request(&f, EL_API_FilterFetch, 0, &ask);
        fake_dispatch(&f, r);
        for (; r->outcome == FAKE_OPEN; jobs++) {
            assert_int_equal(f.job_count, 1);
            fake_run_job(&f, 0);
        }
        fake_response(r, &answer);
        assert_true(answer.partitions[0].next > at);
        assert_string_equal(bases(0), answer.partitions[0].batch_count > 0 ? "20" : "");
        seen += answer.partitions[0].batch_count;
        at = answer.partitions[0].next;
        fake_free(r);
    }
    assert_int_equal(seen, 1);
    assert_in_range(jobs, 4, 30);
    fake_end(&f);
}

TEST(filter_fetch, jumps_to_a_stream_by_the_index_and_tells_versions)
{
    begin(true);
    fake_streams.first_version = 3; /* what readers of the stream do not see is in the log all the same */
    for (int i = 0; i < 40; i++) {
        add_many(60, "x");
        add_many(1, "s");
        index_last();
    }
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("s");
    parts[0].version = true;
    int64_t seen = 0, at = 0;
    for (int turn = 0; at < f.partition.high_watermark; turn++) {
        assert_true(turn < 40);
        parts[0].offset = at;
        struct fake_request *r = begin_fetch(&ask);
        fake_response(r, &answer);
        const struct el_msg_ext_filter_fetch_result *result = &answer.partitions[0];
        assert_int_equal(result->version, seen);
        for (uint32_t i = 0; i < result->batch_count; i++, seen++) {
            assert_int_equal(el_batch_base_offset(result->batches[i].batch.data), seen * 61 + 60);
        }
        assert_true(result->next > at);
        at = result->next;
        fake_free(r);
    }
    assert_int_equal(seen, 40);
    parts[0].offset = at;
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].version, 40); /* the one to come */
    fake_free(r);
    uint32_t reads = f.read_count;
    parts[0].offset = 10 * 61 + 61; /* right behind version 10 */
    r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].version, 11);
    assert_true(f.read_count - reads < 40);
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, reads_little_of_a_long_log_when_the_index_knows_better)
{
    begin(true);
    add_many(1, "s");
    index_last();
    add_many(3000, "x");
    add_many(1, "s");
    index_last();
    struct el_msg_ext_filter_fetch_request ask = ask_from(1);
    ask.key = el_slice_str("s");
    uint32_t reads = f.read_count;
    expect(&ask, "3001", 3002);
    assert_in_range(f.read_count - reads, 1, 3);
    ask.key = (struct el_slice){0};
    struct el_slice types[] = {el_slice_str("T"), el_slice_str("U")};
    ask.types = types;
    ask.type_count = 2;
    reads = f.read_count;
    expect(&ask, "", 3002); /* of the fake index both types are the stream, whose records have none */
    assert_in_range(f.read_count - reads, 1, 4);
    fake_end(&f);
}

TEST(filter_fetch, reads_all_when_the_index_fails)
{
    begin(true);
    add_many(100, "x");
    add_many(1, "s");
    index_last();
    fake_streams.error = EVLOG_ERR_STORAGE;
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("s");
    parts[0].version = true;
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].version, -1);
    assert_string_equal(bases(0), "100");
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, is_told_of_a_log_that_begins_behind_the_offset_when_it_jumps)
{
    begin(true);
    add_many(50, "x");
    add_many(1, "s");
    index_last();
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("s");
    parts[0].version = true; /* so that the index is asked first */
    f.partition.log_start = 10;
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].error, EL_KAFKA_OFFSET_OUT_OF_RANGE);
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, goes_on_with_less_when_memory_is_short)
{
    begin(false);
    add_many(300, "a");
    add_many(1, "b");
    f.read_len_max = 100000;
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    struct fake_request *r = begin_fetch(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.partitions[0].error, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(filter_fetch, ends_with_its_client)
{
    begin(false);
    add_many(100, "a");
    struct el_msg_ext_filter_fetch_request ask = ask_from(0);
    ask.key = el_slice_str("b");
    ask.max_wait_ms = 1000;
    struct fake_request *r = fake_request(&f, EL_API_FilterFetch, 0, &ask);
    fake_dispatch(&f, r); /* a worker looks through what was read */
    assert_int_equal(f.job_count, 1);
    r->request.on_abandon(&r->request);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_run_job(&f, 0);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_end(&f);
}
