/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is asked of streams is checked before anything is appended, becomes one batch of CloudEvents, and what the
 * index answers is told in full. Method: a store that keeps what it is given, and an index that says what a test wants.
 */
#include "fake_streams.h"

#include <wire/msg_ext_stream_append.h>
#include <wire/msg_ext_stream_delete.h>
#include <wire/position.h>

static struct fake f;

#define NOW_MS 1700000000000

static void begin(void)
{
    fake_begin(&f);
    fake_topic_streams(fake_add_topic(&f, "orders", 1), NULL);
    fake_add_topic(&f, "plain", 1);
    fake_topic_streams(fake_add_topic(&f, "wide", 4), "crc32");
}

static void end(void)
{
    fake_end(&f);
}

/* A request with up to three appends of up to three events each. */
struct ask {
    struct el_msg_ext_stream_append_request request;
    struct el_msg_ext_stream_append_append appends[3];
    struct el_msg_ext_stream_append_event events[3][3];
    struct el_msg_ext_stream_append_check checks[2];
    struct el_msg_ext_stream_append_header header;
};

static void ask_init(struct ask *ask, const char *topic, uint32_t append_count)
{
    el_schema_init(&el_schema_ext_stream_append_request, &ask->request);
    ask->request.topic = el_slice_str(topic);
    ask->request.appends = ask->appends;
    ask->request.append_count = append_count;
    for (int a = 0; a < 3; a++) {
        el_schema_init(&el_schema_ext_stream_append_append, &ask->appends[a]);
        ask->appends[a].key = el_slice_str("order-1");
        ask->appends[a].events = ask->events[a];
        ask->appends[a].event_count = 1;
        for (int e = 0; e < 3; e++) {
            el_schema_init(&el_schema_ext_stream_append_event, &ask->events[a][e]);
            ask->events[a][e].type = el_slice_str("Placed");
            ask->events[a][e].data = el_slice_str("{}");
        }
    }
    for (int c = 0; c < 2; c++) {
        el_schema_init(&el_schema_ext_stream_append_check, &ask->checks[c]);
        ask->checks[c].key = el_slice_str("stock-1");
    }
    ask->request.checks = ask->checks;
    ask->header = (struct el_msg_ext_stream_append_header){el_slice_str("trace"), el_slice_str("t")};
}

static struct fake_request *send_ask(const struct ask *ask, struct el_msg_ext_stream_append_response *answer)
{
    struct fake_request *r = fake_request(&f, EL_API_StreamAppend, 0, &ask->request);
    fake_dispatch(&f, r);
    if (answer != NULL) {
        fake_response(r, answer);
    }
    return r;
}

static bool says(struct el_slice message, const char *text)
{
    char copy[600];
    snprintf(copy, sizeof copy, "%.*s", (int)message.len, message.data == NULL ? "" : (const char *)message.data);
    if (strstr(copy, text) == NULL) {
        print_message("not in the message: %s\n", copy);
        return false;
    }
    return true;
}

static void assert_refused(const struct ask *ask, int16_t error, const char *text)
{
    struct el_msg_ext_stream_append_response answer;
    struct fake_request *r = send_ask(ask, &answer);
    assert_int_equal(answer.error, error);
    assert_true(says(answer.message, text));
    assert_int_equal(answer.result_count, 0);
    assert_null(answer.position.data);
    assert_int_equal(f.append_count, 0);
    fake_free(r);
}

TEST(stream_append, refuses_topics_without_streams)
{
    struct ask ask;
    begin();
    ask_init(&ask, "nothing", 1);
    assert_refused(&ask, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "unknown");
    ask_init(&ask, "plain", 1);
    assert_refused(&ask, EL_KAFKA_POLICY_VIOLATION, "evlog.streams=true");
    ask_init(&ask, "", 1);
    ask.request.topic_id.bytes[0] = 0x77;
    assert_refused(&ask, EL_KAFKA_UNKNOWN_TOPIC_ID, "topic id");
    ask_init(&ask, "orders", 1);
    ask.request.partition = 1;
    assert_refused(&ask, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "partition");
    ask.request.partition = -2;
    assert_refused(&ask, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "partition");
    end();
}

TEST(stream_append, refuses_what_is_no_append)
{
    static uint8_t long_key[4097];
    struct ask ask;
    begin();
    ask_init(&ask, "orders", 0);
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "nothing to append");
    ask_init(&ask, "orders", 2);
    ask.appends[1].event_count = 0;
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "appends 1: it has no events");
    ask_init(&ask, "orders", 1);
    ask.appends[0].key = (struct el_slice){0};
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "at least one byte");
    ask.appends[0].key = el_slice_of(long_key, sizeof long_key);
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "4096");
    ask_init(&ask, "orders", 1);
    ask.appends[0].expected = -3;
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "expected is");
    ask_init(&ask, "orders", 1);
    ask.request.check_count = 2;
    ask.checks[1].expected = -5;
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "checks 1");
    end();
}

TEST(stream_append, refuses_what_is_no_event)
{
    static const char *const names[] = {"ce_id",
                                        "ce_type",
                                        "ce_source",
                                        "ce_specversion",
                                        "ce_time",
                                        "content-type",
                                        "evlog-stream-deleted",
                                        "evlog-expected-version",
                                        ""};
    static uint8_t long_id[4097];
    struct ask ask;
    begin();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ask_init(&ask, "orders", 1);
        ask.header.name = el_slice_str(names[i]);
        ask.events[0][0].headers = &ask.header;
        ask.events[0][0].header_count = 1;
        assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "appends 0, event 0: ");
    }
    ask_init(&ask, "orders", 1);
    ask.events[0][0].id = el_slice_str("");
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "not empty");
    ask.events[0][0].id = el_slice_of(long_id, sizeof long_id);
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "4096");
    ask_init(&ask, "orders", 1);
    ask.events[0][0].time_ms = -2;
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "time_ms");
    ask.events[0][0].time_ms = INT64_MAX;
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "time_ms");
    ask.events[0][0].time_ms = NOW_MS + 3600001;
    assert_refused(&ask, EL_KAFKA_INVALID_TIMESTAMP, "event 0");
    end();
}

TEST(stream_append, refuses_streams_of_several_partitions)
{
    struct ask ask;
    begin();
    ask_init(&ask, "wide", 2); /* CRC-32 of "a" is 0xe8b7be43, of "b" 0x71beeff9 */
    ask.appends[0].key = el_slice_str("a");
    ask.appends[1].key = el_slice_str("b");
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "stream \"b\" is in partition 1, and not in partition 3");
    ask_init(&ask, "wide", 1);
    ask.appends[0].key = el_slice_str("a");
    ask.request.check_count = 1;
    ask.checks[0].key = el_slice_str("b");
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "checks 0");
    ask.request.check_count = 0;
    ask.request.partition = 2;
    assert_refused(&ask, EL_KAFKA_INVALID_REQUEST, "partition 3");
    end();
}

TEST(stream_append, refuses_more_than_a_batch_holds)
{
    static uint8_t large[2000];
    struct ask ask;
    begin();
    assert_int_equal(
        topic_config_set(&f.topics[0].config, el_slice_str("max.message.bytes"), el_slice_str("1500"), NULL), 0);
    ask_init(&ask, "orders", 1);
    ask.events[0][0].data = el_slice_of(large, sizeof large);
    assert_refused(&ask, EL_KAFKA_MESSAGE_TOO_LARGE, "max.message.bytes");
    ask.events[0][0].data = el_slice_of(large, 1495); /* not with its headers */
    assert_refused(&ask, EL_KAFKA_MESSAGE_TOO_LARGE, "max.message.bytes");
    end();
}

static void number_records(struct append_op *op)
{
    struct stream_batch *batch = op->observed;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        batch->records[i].version = 10 + i;
        batch->records[i].offset = 500 + i;
    }
    op->append_time_ns = 77;
}

TEST(stream_append, is_one_batch_of_cloudevents)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    f.on_append = number_records;
    ask_init(&ask, "orders", 2);
    ask.appends[0].event_count = 2;
    ask.appends[0].expected = 9;
    ask.events[0][0].id = el_slice_str("id-1");
    ask.events[0][0].time_ms = NOW_MS - 1;
    ask.events[0][0].content_type = el_slice_str("application/json");
    ask.events[0][0].headers = &ask.header;
    ask.events[0][0].header_count = 1;
    ask.events[0][1].type = (struct el_slice){0};
    ask.events[0][1].data = (struct el_slice){0};
    ask.appends[1].key = el_slice_str("order-2");
    ask.appends[1].expected = STREAM_NONE;
    ask.request.check_count = 1;
    ask.checks[0].expected = STREAM_EXISTS;
    struct fake_request *r = fake_request(&f, EL_API_StreamAppend, 0, &ask.request);
    f.defer = true;
    fake_dispatch(&f, r);
    assert_int_equal(f.append_count, 1);
    const struct append_op *op = f.appends[0];
    const struct stream_batch *batch = op->observed;
    assert_int_equal(batch->record_count, 3);
    assert_int_equal(batch->records[0].expected, 9);
    assert_int_equal(batch->records[1].expected, STREAM_ANY);
    assert_int_equal(batch->records[2].expected, STREAM_NONE);
    assert_int_equal(batch->records[0].flags, STREAM_RECORD_KEY | STREAM_RECORD_ID | STREAM_RECORD_TYPE);
    assert_int_equal(batch->records[1].flags, STREAM_RECORD_KEY);
    assert_int_equal(batch->check_count, 1);
    assert_int_equal(batch->checks[0].expected, STREAM_EXISTS);

    static const char *const headers[] = {"ce_specversion", "1.0",
                                          "ce_id",          "id-1",
                                          "ce_source",      "/orders",
                                          "ce_type",        "Placed",
                                          "ce_time",        "2023-11-14T22:13:19.999Z",
                                          "content-type",   "application/json",
                                          "trace",          "t"};
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct el_header header;
    assert_int_equal(el_batch_open(&iter, op->batch, op->batch_len, NULL, 0), 0);
    assert_int_equal(el_batch_next(&iter, &record), 1);
    assert_int_equal(record.timestamp_ms, NOW_MS - 1);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i += 2) {
        assert_true(el_header_next(&record.record.headers, &header));
        assert_true(el_slice_eq(header.key, el_slice_str(headers[i])));
        assert_true(el_slice_eq(header.value, el_slice_str(headers[i + 1])));
    }
    assert_false(el_header_next(&record.record.headers, &header));
    assert_int_equal(el_batch_next(&iter, &record), 1);
    assert_int_equal(record.timestamp_ms, NOW_MS);
    assert_null(record.record.value.data);
    assert_int_equal(record.record.header_count, 0);
    assert_int_equal(el_batch_next(&iter, &record), 1);
    assert_true(el_slice_eq(record.record.key, el_slice_str("order-2")));
    assert_int_equal(el_batch_next(&iter, &record), 0);

    fake_run_op(&f);
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.result_count, 2);
    assert_int_equal(answer.results[0].first_version, 10);
    assert_int_equal(answer.results[0].version, 11);
    assert_int_equal(answer.results[0].first_offset, 500);
    assert_int_equal(answer.results[0].offset, 501);
    assert_int_equal(answer.results[1].version, 12);
    assert_false(answer.results[0].duplicate);
    assert_int_equal(answer.append_time_ns, 77);
    struct el_position position;
    assert_int_equal(el_position_parse(answer.position, &position), 0);
    assert_true(el_uuid_eq(&position.topic_id, &f.topics[0].id));
    assert_int_equal(position.offset, 503);
    fake_free(r);
    end();
}

/* What a producer would have sent with the same headers is known to the index by the same hashes. */
TEST(stream_append, hashes_as_a_produced_batch_does)
{
    struct ask ask;
    begin();
    ask_init(&ask, "orders", 1);
    ask.events[0][0].id = el_slice_str("id-1");
    f.defer = true;
    struct fake_request *r = send_ask(&ask, NULL);
    const struct append_op *op = f.appends[0];
    struct stream_batch again;
    struct el_arena arena;
    const char *why;
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(stream_batch_make(streams_secret(f.api.streams), op->batch, op->batch_len, NULL, 0, &arena, false,
                                       &again, &why),
                     0);
    assert_int_equal(again.record_count, 1);
    assert_memory_equal(&again.records[0].key, &op->observed->records[0].key, sizeof again.records[0].key);
    assert_memory_equal(&again.records[0].id, &op->observed->records[0].id, sizeof again.records[0].id);
    assert_memory_equal(&again.records[0].type, &op->observed->records[0].type, sizeof again.records[0].type);
    assert_int_equal(again.records[0].flags, op->observed->records[0].flags);
    el_arena_reset(&arena);
    fake_run_op(&f);
    fake_free(r);
    end();
}

static void answer_duplicate(struct append_op *op)
{
    op->observed->records[0].version = 3;
    op->observed->records[0].offset = 40;
    op->duplicate = true;
    op->append_time_ns = 5;
}

TEST(stream_append, tells_a_duplicate_as_the_first_time)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    f.on_append = answer_duplicate;
    ask_init(&ask, "orders", 1);
    struct fake_request *r = send_ask(&ask, &answer);
    assert_int_equal(answer.error, 0);
    assert_true(answer.results[0].duplicate);
    assert_int_equal(answer.results[0].version, 3);
    assert_int_equal(answer.results[0].offset, 40);
    assert_int_equal(answer.append_time_ns, 0);
    fake_free(r);
    end();
}

static void answer_wrong_version(struct append_op *op)
{
    struct stream_batch *batch = op->observed;
    batch->failed_index = 1;
    batch->told = (struct stream_check){.current = 5, .current_offset = 1};
    batch->checks[1].failed = true;
    batch->checks[1].current = -1;
    batch->checks[1].current_offset = -1;
    op->base.error = EVLOG_ERR_WRONG_VERSION;
}

TEST(stream_append, conflict_tells_the_last_event_of_each_stream)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    static const struct fake_record log[] = {
        {.key = "other", .type = "Other", .time_ms = 1},
        {.key = "order-2", .type = "Shipped", .value = "v", .time_ms = 1234},
    };
    fake_log_add(log, 2, EL_CODEC_LZ4);
    f.on_append = answer_wrong_version;
    ask_init(&ask, "orders", 2);
    ask.appends[1].key = el_slice_str("order-2");
    ask.appends[1].expected = 4;
    ask.request.check_count = 2;
    ask.checks[1].key = el_slice_str("stock-2");
    ask.checks[1].expected = STREAM_EXISTS;
    struct fake_request *r = send_ask(&ask, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_UPDATE_VERSION);
    assert_true(says(answer.message, "stream \"order-2\" is at version 5, and version 4 was expected; other streams"));
    assert_int_equal(answer.conflict_count, 2);
    const struct el_msg_ext_stream_append_conflict *c = answer.conflicts;
    assert_true(el_slice_eq(c[0].key, el_slice_str("order-2")));
    assert_true(el_slice_eq(c[0].reason, el_slice_str("version")));
    assert_true(el_slice_eq(c[0].current_type, el_slice_str("Shipped")));
    assert_int_equal(c[0].current_time_ms, 1234);
    assert_int_equal(c[0].current_version, 5);
    assert_int_equal(c[0].current_offset, 1);
    assert_int_equal(c[0].expected, 4);
    assert_int_equal(c[0].index, 1);
    assert_int_equal(c[0].event, 0);
    assert_false(c[0].check);
    assert_true(el_slice_eq(c[1].key, el_slice_str("stock-2")));
    assert_true(c[1].check);
    assert_int_equal(c[1].index, 1);
    assert_int_equal(c[1].current_version, -1);
    assert_null(c[1].current_type.data);
    fake_free(r);
    end();
}

/* The offset is that of another stream: two keys with one hash, or a fault. Nothing of it is told. */
TEST(stream_append, conflict_tells_nothing_of_another_stream)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    static const struct fake_record log[] = {{.key = "x", .type = "Secret", .time_ms = 1},
                                             {.key = "other", .type = "Secret", .time_ms = 2}};
    fake_log_add(log, 2, EL_CODEC_NONE);
    f.on_append = answer_wrong_version;
    ask_init(&ask, "orders", 2);
    ask.request.check_count = 2;
    struct fake_request *r = send_ask(&ask, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_UPDATE_VERSION);
    assert_null(answer.conflicts[0].current_type.data);
    assert_int_equal(answer.conflicts[0].current_time_ms, -1);
    fake_free(r);
    end();
}

static void answer_ids(struct append_op *op)
{
    op->observed->failed_index = 0;
    op->observed->records[0].version = 2;
    op->observed->records[0].offset = 9;
    op->base.error = EVLOG_ERR_ID_CONFLICT;
}

static void answer_ended(struct append_op *op)
{
    op->observed->failed_index = 0;
    op->observed->told = (struct stream_check){.current = 2, .current_offset = -1, .deleted = true, .ended = true};
    op->base.error = EVLOG_ERR_STREAM_ENDED;
}

TEST(stream_append, ids_and_ended_streams_have_reasons_of_their_own)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    ask_init(&ask, "orders", 1);
    f.on_append = answer_ids;
    struct fake_request *r = send_ask(&ask, &answer);
    assert_int_equal(answer.error, EL_KAFKA_DUPLICATE_RESOURCE);
    assert_true(el_slice_eq(answer.conflicts[0].reason, el_slice_str("id")));
    assert_int_equal(answer.conflicts[0].current_version, 2);
    assert_true(says(answer.message, "some events of the request are there already"));
    fake_free(r);
    f.on_append = answer_ended;
    r = send_ask(&ask, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_RECORD_STATE);
    assert_true(el_slice_eq(answer.conflicts[0].reason, el_slice_str("ended")));
    assert_true(answer.conflicts[0].deleted);
    fake_free(r);
    end();
}

TEST(stream_append, tells_other_errors_of_the_store)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    f.append_error = EVLOG_ERR_STORAGE;
    ask_init(&ask, "orders", 1);
    struct fake_request *r = send_ask(&ask, &answer);
    assert_int_equal(answer.error, EL_KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(answer.conflict_count, 0);
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_STORAGE), 1);
    fake_free(r);
    end();
}

TEST(stream_append, answers_at_the_deadline_and_lets_the_append_go_on)
{
    struct ask ask;
    struct el_msg_ext_stream_append_response answer;
    begin();
    f.defer = true;
    f.on_append = answer_wrong_version;
    ask_init(&ask, "orders", 2);
    ask.request.check_count = 2;
    ask.request.timeout_ms = 50;
    struct fake_request *r = send_ask(&ask, NULL);
    fake_advance_ms(&f, 49);
    assert_int_equal(r->outcome, FAKE_OPEN);
    fake_advance_ms(&f, 1);
    fake_response(r, &answer);
    assert_int_equal(answer.error, EL_KAFKA_REQUEST_TIMED_OUT);
    assert_false(r->unheld);
    fake_run_op(&f);
    fake_free(r);
    end();
}

/* --- deletion ----------------------------------------------------------------------------------------------------- */

static struct fake_request *delete (bool hard, int64_t expected, const char *key,
                                    struct el_msg_ext_stream_delete_response *answer)
{
    struct el_msg_ext_stream_delete_request ask;
    el_schema_init(&el_schema_ext_stream_delete_request, &ask);
    ask.topic = el_slice_str("orders");
    ask.key = el_slice_str(key);
    ask.hard = hard;
    ask.expected = expected;
    struct fake_request *r = fake_request(&f, EL_API_StreamDelete, 0, &ask);
    fake_dispatch(&f, r);
    fake_response(r, answer);
    return r;
}

TEST(stream_delete, refuses_what_is_not_there)
{
    struct el_msg_ext_stream_delete_response answer;
    begin();
    struct fake_request *r = delete (false, STREAM_ANY, "order-1", &answer);
    assert_int_equal(answer.error, EL_KAFKA_RESOURCE_NOT_FOUND);
    assert_true(says(answer.message, "topic orders has no stream \"order-1\""));
    fake_free(r);
    r = delete (false, -7, "order-1", &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    r = delete (false, STREAM_ANY, "", &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    assert_int_equal(f.append_count, 0);
    end();
}

TEST(stream_delete, of_what_is_deleted_appends_nothing)
{
    struct el_msg_ext_stream_delete_response answer;
    begin();
    fake_streams.count = 3;
    fake_streams.offsets[2] = 20;
    fake_streams.deleted = true;
    struct fake_request *r = delete (false, STREAM_ANY, "order-1", &answer);
    assert_int_equal(answer.error, 0);
    assert_true(answer.duplicate);
    assert_int_equal(answer.version, 2);
    assert_int_equal(answer.offset, 20);
    fake_free(r);
    fake_streams.ended = true;
    r = delete (true, 1, "order-1", &answer);
    assert_int_equal(answer.error, 0);
    assert_true(answer.duplicate);
    fake_free(r);
    assert_int_equal(f.append_count, 0);
    end();
}

static int tombstone_flags;
static char tombstone_header[8];

static void take_tombstone(struct append_op *op)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct el_slice value;
    assert_int_equal(el_batch_open(&iter, op->batch, op->batch_len, NULL, 0), 0);
    assert_int_equal(el_batch_next(&iter, &record), 1);
    assert_true(el_header_find(&record.record, STREAM_HEADER_DELETED, &value));
    assert_null(record.record.value.data);
    snprintf(tombstone_header, sizeof tombstone_header, "%.*s", (int)value.len, (const char *)value.data);
    tombstone_flags = op->observed->records[0].flags;
    op->observed->records[0].version = 4;
    op->observed->records[0].offset = 44;
}

TEST(stream_delete, appends_a_tombstone)
{
    struct el_msg_ext_stream_delete_response answer;
    begin();
    fake_streams.count = 3;
    f.on_append = take_tombstone;
    struct fake_request *r = delete (false, 2, "order-1", &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.version, 4);
    assert_int_equal(answer.offset, 44);
    assert_false(answer.duplicate);
    assert_int_equal(tombstone_flags, STREAM_RECORD_KEY | STREAM_RECORD_SOFT);
    assert_string_equal(tombstone_header, "soft");
    fake_free(r);
    fake_streams.deleted = true;
    r = delete (true, STREAM_ANY, "order-1", &answer); /* a deleted stream can still be ended */
    assert_int_equal(answer.error, 0);
    assert_int_equal(tombstone_flags, STREAM_RECORD_KEY | STREAM_RECORD_HARD);
    assert_string_equal(tombstone_header, "hard");
    fake_free(r);
    assert_int_equal(f.append_count, 2);
    end();
}

static void answer_moved(struct append_op *op)
{
    op->observed->failed_index = 0;
    op->observed->told = (struct stream_check){.current = 7, .current_offset = -1};
    op->base.error = EVLOG_ERR_WRONG_VERSION;
}

TEST(stream_delete, of_another_version_is_a_conflict)
{
    struct el_msg_ext_stream_delete_response answer;
    begin();
    fake_streams.count = 3;
    f.on_append = answer_moved;
    struct fake_request *r = delete (false, 2, "order-1", &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_UPDATE_VERSION);
    assert_int_equal(answer.conflict_count, 1);
    assert_int_equal(answer.conflicts[0].current_version, 7);
    assert_int_equal(answer.version, -1);
    fake_free(r);
    end();
}
