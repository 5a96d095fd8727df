/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: readers get exactly the events of a stream, or of a type, that they asked for and may see, in order, in
 * bounded answers that say how to go on. Method: a log of real batches, an index of an array, each bound by itself and
 * together.
 */
#include "fake_streams.h"

#include <wire/msg_ext_stream_list.h>
#include <wire/msg_ext_stream_read.h>
#include <wire/msg_ext_type_read.h>

static struct fake f;
static struct el_msg_ext_stream_read_response answer;

static void begin(void)
{
    fake_begin(&f);
    fake_topic_streams(fake_add_topic(&f, "orders", 1), NULL);
    fake_add_topic(&f, "plain", 1);
    f.partition.append_time_ns = 5000;
}

static void end(void)
{
    fake_end(&f);
}

static struct el_msg_ext_stream_read_request ask_of(const char *key)
{
    struct el_msg_ext_stream_read_request ask;
    el_schema_init(&el_schema_ext_stream_read_request, &ask);
    ask.topic = el_slice_str("orders");
    ask.key = el_slice_str(key);
    return ask;
}

static struct fake_request *read_stream(const struct el_msg_ext_stream_read_request *ask)
{
    struct fake_request *r = fake_request(&f, EL_API_StreamRead, 0, ask);
    fake_dispatch(&f, r);
    return r;
}

/* Events of the stream "s" at these offsets, others between them: every third record, in batches of four. */
static void fill_log(uint32_t events, enum el_codec codec)
{
    for (uint32_t offset = 0; offset < events * 3; offset += 4) {
        struct fake_record records[4];
        for (uint32_t i = 0; i < 4; i++) {
            bool own = (offset + i) % 3 == 0;
            records[i] = (struct fake_record){.key = own ? "s" : "x",
                                              .type = own ? "T" : "U",
                                              .value = "value",
                                              .time_ms = 100 + (int64_t)offset + i};
        }
        fake_log_add(records, 4, codec);
    }
    for (uint32_t v = 0; v < events; v++) {
        fake_streams.offsets[v] = v * 3;
    }
    fake_streams.count = events;
}

/* The versions answered, as text: "0 1 2". */
static const char *versions(void)
{
    static char text[4096];
    int len = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < answer.event_count; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%lld", i == 0 ? "" : " ",
                        (long long)answer.events[i].version);
    }
    return text;
}

/* Ask, and compare the versions and how to go on. */
static void expect(const struct el_msg_ext_stream_read_request *ask, const char *wanted, bool more, int64_t next)
{
    struct fake_request *r = read_stream(ask);
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_string_equal(versions(), wanted);
    assert_int_equal(answer.more, more);
    assert_int_equal(answer.next, next);
    fake_free(r);
}

static int16_t error_of(const struct el_msg_ext_stream_read_request *ask)
{
    struct fake_request *r = read_stream(ask);
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 0);
    assert_int_equal(answer.end_offset, -1);
    if (answer.error != 0) {
        assert_non_null(answer.message.data);
    }
    int16_t error = answer.error;
    fake_free(r);
    return error;
}

TEST(stream_read, refuses_what_cannot_be_asked)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    ask.topic = el_slice_str("nothing");
    assert_int_equal(error_of(&ask), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    ask.topic = el_slice_str("plain");
    assert_int_equal(error_of(&ask), EL_KAFKA_POLICY_VIOLATION);
    ask = ask_of("");
    assert_int_equal(error_of(&ask), EL_KAFKA_INVALID_REQUEST);
    ask = ask_of("s");
    ask.from = -2;
    assert_int_equal(error_of(&ask), EL_KAFKA_INVALID_REQUEST);
    ask = ask_of("s");
    ask.max_events = -1;
    assert_int_equal(error_of(&ask), EL_KAFKA_INVALID_REQUEST);
    ask = ask_of("s");
    ask.as_of_ns = f.wall_ns + 1;
    assert_int_equal(error_of(&ask), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(f.read_count, 0);
    fake_streams.error = EVLOG_ERR_STORAGE;
    ask = ask_of("s");
    assert_int_equal(error_of(&ask), EL_KAFKA_KAFKA_STORAGE_ERROR);
    end();
}

TEST(stream_read, an_unknown_stream_has_no_version)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    expect(&ask, "", false, 0);
    assert_int_equal(answer.last_version, -1);
    assert_int_equal(answer.partition, 0);
    ask.backward = true;
    expect(&ask, "", false, -1);
    end();
}

TEST(stream_read, gives_what_is_stored)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    static const struct fake_record log[] = {
        {.key = "x"},
        {.key = "s", .id = "i", .type = "T", .value = "v", .header = "h", .header_value = "w", .time_ms = 1000},
        {.key = "s", .time_ms = 999},
    };
    fake_log_add(log, 3, EL_CODEC_NONE);
    fake_streams.count = 2;
    fake_streams.offsets[0] = 1;
    fake_streams.offsets[1] = 2;
    struct fake_request *r = read_stream(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 2);
    assert_int_equal(answer.last_version, 1);
    assert_int_equal(answer.last_offset, 2);
    assert_int_equal(answer.first_version, 0);
    assert_int_equal(answer.end_offset, 3);
    const struct el_msg_ext_stream_read_event *event = answer.events;
    assert_null(event->key.data);
    assert_true(el_slice_eq(event->value, el_slice_str("v")));
    assert_int_equal(event->offset, 1);
    assert_int_equal(event->time_ms, 1000);
    assert_int_equal(event->version, 0);
    assert_int_equal(event->leader_epoch, 7);
    assert_int_equal(event->append_time_ns, 5000);
    assert_int_equal(event->header_count, 3);
    assert_true(el_slice_eq(event->headers[2].name, el_slice_str("h")));
    assert_true(el_slice_eq(event->headers[2].value, el_slice_str("w")));
    assert_null(event[1].value.data);
    assert_int_equal(event[1].header_count, 0);
    fake_free(r);
    end();
}

TEST(stream_read, keeps_bounds_in_both_directions)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    expect(&ask, "0 1 2 3 4 5 6 7", false, 8);
    ask.from = 2;
    ask.to = 4;
    expect(&ask, "2 3 4", false, 5);
    ask.to = 2;
    expect(&ask, "2", false, 3);
    ask.to = 1;
    expect(&ask, "", false, 2);
    ask.to = 100;
    ask.from = 8;
    expect(&ask, "", false, 8);
    ask.from = 20;
    expect(&ask, "", false, 20);
    ask = ask_of("s");
    ask.backward = true;
    expect(&ask, "7 6 5 4 3 2 1 0", false, -1);
    ask.from = 5;
    ask.to = 3;
    expect(&ask, "5 4 3", false, 2);
    ask.from = 50;
    ask.to = 6;
    expect(&ask, "7 6", false, 5);
    ask.from = 2;
    ask.to = 3;
    expect(&ask, "", false, 2);
    end();
}

TEST(stream_read, pages_meet_without_gap_and_without_overlap)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_ZSTD);
    ask.max_events = 3;
    expect(&ask, "0 1 2", true, 3);
    ask.from = 3;
    expect(&ask, "3 4 5", true, 6);
    ask.from = 6;
    expect(&ask, "6 7", false, 8);
    ask.from = -1;
    ask.backward = true;
    expect(&ask, "7 6 5", true, 4);
    ask.from = 4;
    ask.to = 2;
    expect(&ask, "4 3 2", false, 1);
    ask.max_events = 0;
    expect(&ask, "", true, 4);
    assert_int_equal(answer.last_version, 7);
    ask = ask_of("s");
    ask.max_bytes = 0; /* the first one is given all the same */
    expect(&ask, "0", true, 1);
    ask.max_bytes = 3 * 80;
    ask.backward = true;
    expect(&ask, "7 6 5", true, 4);
    end();
}

TEST(stream_read, hides_what_was_deleted)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    fake_streams.first_version = 5;
    expect(&ask, "5 6 7", false, 8);
    ask.from = 2;
    ask.max_events = 2;
    expect(&ask, "5 6", true, 7);
    ask.backward = true;
    ask.from = 6;
    expect(&ask, "6 5", false, -1);
    ask.from = 4;
    expect(&ask, "", false, -1);
    fake_streams.first_version = 8;
    fake_streams.deleted = true;
    ask = ask_of("s");
    expect(&ask, "", false, 8);
    assert_true(answer.deleted);
    assert_int_equal(answer.last_version, 7);
    assert_int_equal(answer.first_version, 8);
    end();
}

TEST(stream_read, of_a_time_ends_where_the_log_ended)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    ask.as_of_ns = 1;
    for (int64_t cut = 1; cut <= 24; cut++) {
        f.cut_end = cut;
        ask.backward = true;
        ask.max_events = 1;
        struct fake_request *r = read_stream(&ask);
        fake_response(r, &answer);
        assert_int_equal(answer.last_version, (cut - 1) / 3);
        assert_int_equal(answer.last_offset, (cut - 1) / 3 * 3);
        assert_int_equal(answer.end_offset, cut);
        assert_int_equal(answer.event_count, 1);
        assert_int_equal(answer.events[0].version, (cut - 1) / 3);
        fake_free(r);
        ask.backward = false;
        ask.max_events = 1000;
        r = read_stream(&ask);
        fake_response(r, &answer);
        assert_int_equal(answer.event_count, (cut - 1) / 3 + 1);
        assert_false(answer.more);
        fake_free(r);
    }
    fake_streams.offsets[0] = 2; /* the stream began behind the cut */
    f.cut_end = 1;
    expect(&ask, "", false, 0);
    assert_int_equal(answer.last_version, -1);
    assert_int_equal(answer.last_offset, -1);
    end();
}

TEST(stream_read, of_a_time_shows_what_was_deleted_since)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    fake_streams.tombs[0] = 2;
    fake_streams.tombs[1] = 5;
    fake_streams.tomb_count = 2;
    fake_streams.first_version = 6;
    expect(&ask, "6 7", false, 8);
    ask.as_of_ns = 1;
    f.cut_end = 6; /* versions 0 and 1 */
    expect(&ask, "0 1", false, 2);
    assert_false(answer.deleted);
    f.cut_end = 7; /* and the tombstone */
    expect(&ask, "", false, 3);
    assert_true(answer.deleted);
    assert_int_equal(answer.last_version, 2);
    f.cut_end = 15;
    expect(&ask, "3 4", false, 5);
    assert_int_equal(answer.first_version, 3);
    ask.backward = true;
    ask.max_events = 1;
    expect(&ask, "4", true, 3);
    fake_streams.deleted = fake_streams.ended = true; /* now, not then */
    expect(&ask, "4", true, 3);
    assert_false(answer.ended);
    assert_int_equal(
        topic_config_set(&f.topics[0].config, el_slice_str("evlog.stream.max.count"), el_slice_str("1"), NULL), 0);
    expect(&ask, "4", false, -1);
    end();
}

TEST(stream_read, shows_nothing_over_the_maximum_age)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    assert_int_equal(
        topic_config_set(&f.topics[0].config, el_slice_str("evlog.stream.max.age.ms"), el_slice_str("1000"), NULL), 0);
    f.young = 10;
    expect(&ask, "4 5 6 7", false, 8);
    assert_int_equal(answer.first_version, 4);
    ask.backward = true;
    ask.from = 5;
    expect(&ask, "5 4", false, -1);
    f.young = -1; /* none is young enough */
    ask = ask_of("s");
    expect(&ask, "", false, 8);
    f.young = 10;
    ask.as_of_ns = 1; /* and as of a time */
    f.cut_end = 16;
    expect(&ask, "4 5", false, 6);
    end();
}

TEST(stream_read, gives_no_event_of_another_key)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(4, EL_CODEC_NONE);
    fake_streams.offsets[1] = 4; /* an event of "x" */
    expect(&ask, "0 2 3", false, 4);
    end();
}

TEST(stream_read, passes_over_what_was_trimmed)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    f.partition.log_start = 8;
    expect(&ask, "3 4 5 6 7", false, 8);
    ask.backward = true;
    expect(&ask, "7 6 5 4 3", false, -1);
    end();
}

TEST(stream_read, a_large_batch_is_opened_by_a_worker)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fake_log_add_large("s", 600, 1000, EL_CODEC_LZ4);
    fake_streams.count = 600;
    for (uint32_t v = 0; v < 600; v++) {
        fake_streams.offsets[v] = v;
    }
    ask.max_bytes = INT32_MAX;
    struct fake_request *r = read_stream(&ask);
    uint32_t jobs = 0;
    while (r->outcome == FAKE_OPEN) {
        assert_int_equal(f.job_count, 1);
        fake_run_job(&f, 0);
        jobs++;
    }
    assert_true(jobs >= 3); /* a run of places at a time */
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 600);
    for (uint32_t v = 0; v < 600; v++) {
        assert_int_equal(answer.events[v].version, v);
        assert_int_equal(answer.events[v].value.len, 1000);
    }
    fake_free(r);
    end();
}

/* Events far apart: on the disk each is a read of its own, in the archive as well before. */
static uint32_t reads_of_sparse(bool remote, bool backward)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    char value[600];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = 0;
    begin();
    f.remote = remote;
    for (uint32_t v = 0; v < 200; v++) {
        struct fake_record records[20];
        for (uint32_t i = 0; i < 20; i++) {
            records[i] = (struct fake_record){.key = i == 7 ? "s" : "x", .value = i == 7 ? "own" : value};
        }
        fake_streams.offsets[v] = fake_log_add(records, 20, EL_CODEC_NONE) + 7;
        for (uint32_t i = 0; i < 2; i++) {
            fake_log_add(records, 5, EL_CODEC_NONE);
        }
    }
    fake_streams.count = 200;
    ask.max_events = 200;
    ask.backward = backward;
    struct fake_request *r = read_stream(&ask);
    for (int i = 0; i < 100 && r->outcome == FAKE_OPEN; i++) {
        fake_advance_ms(&f, 1);
    }
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 200);
    for (int64_t v = 0; v < 200; v++) {
        assert_int_equal(answer.events[v].version, backward ? 199 - v : v);
    }
    uint32_t reads = f.read_count;
    fake_free(r);
    end();
    return reads;
}

TEST(stream_read, of_what_is_in_the_archive_costs_few_reads)
{
    assert_true(reads_of_sparse(false, true) >= 200);
    assert_true(reads_of_sparse(true, true) <= 25);
    assert_true(reads_of_sparse(true, false) <= 25);
}

TEST(stream_read, reads_a_dense_stream_in_few_reads_and_pauses)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    for (uint32_t v = 0; v < 2000; v++) {
        struct fake_record record = {.key = "s", .value = "0123456789", .time_ms = v};
        fake_streams.offsets[v] = fake_log_add(&record, 1, EL_CODEC_NONE);
    }
    fake_streams.count = 2000;
    ask.max_events = 2000;
    struct fake_request *r = read_stream(&ask);
    assert_int_equal(r->outcome, FAKE_OPEN); /* others may run in between */
    for (int i = 0; i < 100 && r->outcome == FAKE_OPEN; i++) {
        fake_advance_ms(&f, 1);
    }
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 2000);
    assert_int_equal(answer.events[1999].version, 1999);
    assert_true(f.read_count < 20);
    fake_free(r);
    end();
}

TEST(stream_read, without_memory_for_all_gives_what_there_is)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    struct fake_request *r = fake_request(&f, EL_API_StreamRead, 0, &ask);
    r->request.arena.used_max = 65536; /* of a request's memory */
    for (uint32_t v = 0; v < 12; v++) {
        fake_log_add_large("s", 1, 6000, EL_CODEC_NONE);
        fake_streams.offsets[8 + v] = f.partition.high_watermark - 1;
    }
    fake_streams.count = 20;
    fake_dispatch(&f, r);
    fake_response(r, &answer);
    assert_int_equal(answer.error, 0);
    assert_true(answer.more);
    assert_true(answer.event_count >= 8);
    assert_int_equal(answer.next, answer.event_count);
    fake_free(r);
    end();
}

TEST(stream_read, brings_what_its_principal_may_still_hold)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    for (uint32_t v = 0; v < 8; v++) {
        fake_log_add_large("s", 1, 50000, EL_CODEC_NONE);
        fake_streams.offsets[v] = f.partition.high_watermark - 1;
    }
    fake_streams.count = 8;
    f.claim_limit = (512u << 10) + (256u << 10);
    struct fake_request *r = read_stream(&ask);
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 2); /* 128 KiB, and once more for the answer */
    assert_true(answer.more);
    assert_int_equal(f.claimed_max, f.claim_limit);
    assert_in_range(f.claimed, 100000, 200000); /* until it has left */
    fake_free(r);
    r = read_stream(&ask);
    assert_int_equal(r->outcome, FAKE_OPEN);
    f.claimed = 0;
    fake_claim_again(&f);
    fake_response(r, &answer);
    assert_int_equal(answer.event_count, 2);
    fake_free(r);
    r = read_stream(&ask);
    f.gone = true;
    fake_claim_again(&f);
    assert_int_not_equal(r->outcome, FAKE_OPEN);
    fake_free(r);
    f.gone = false;
    end();
}

TEST(stream_read, waits_for_each_answer_of_the_index)
{
    struct el_msg_ext_stream_read_request ask = ask_of("s");
    begin();
    fill_log(8, EL_CODEC_NONE);
    f.cut_end = 10;
    f.defer = fake_streams.defer = true;
    ask.as_of_ns = 1;
    struct fake_request *r = read_stream(&ask);
    for (int i = 0; i < 100 && r->outcome == FAKE_OPEN; i++) {
        if (f.op_count > 0) {
            fake_run_op(&f);
        } else {
            fake_streams_run();
        }
    }
    fake_response(r, &answer);
    assert_string_equal(versions(), "0 1 2 3");
    fake_free(r);
    end();
}

/* --- types -------------------------------------------------------------------------------------------------------- */

static struct el_msg_ext_type_read_response typed;

static struct fake_request *read_type(struct el_msg_ext_type_read_request *ask)
{
    ask->topic = el_slice_str("orders");
    struct fake_request *r = fake_request(&f, EL_API_TypeRead, 0, ask);
    fake_dispatch(&f, r);
    fake_response(r, &typed);
    return r;
}

TEST(type_read, refuses_what_cannot_be_asked)
{
    struct el_msg_ext_type_read_request ask;
    begin();
    for (int i = 0; i < 5; i++) {
        static const int16_t errors[] = {EL_KAFKA_INVALID_REQUEST, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                         EL_KAFKA_INVALID_REQUEST, EL_KAFKA_INVALID_REQUEST,
                                         EL_KAFKA_KAFKA_STORAGE_ERROR};
        el_schema_init(&el_schema_ext_type_read_request, &ask);
        ask.type = el_slice_str(i == 0 ? "" : "T");
        ask.partition = i == 1 ? 1 : 0;
        ask.max_events = i == 2 ? 0 : 10;
        ask.from = i == 3 ? -2 : -1;
        fake_streams.error = i == 4 ? EVLOG_ERR_STORAGE : 0;
        struct fake_request *r = read_type(&ask);
        assert_int_equal(typed.error, errors[i]);
        fake_free(r);
    }
    end();
}

TEST(type_read, gives_events_of_the_type_alone_and_how_to_go_on)
{
    struct el_msg_ext_type_read_request ask;
    begin();
    fill_log(4, EL_CODEC_NONE);
    fake_streams.offsets[2] = 7; /* of type U: a hash alone proves nothing */
    el_schema_init(&el_schema_ext_type_read_request, &ask);
    ask.type = el_slice_str("T");
    struct fake_request *r = read_type(&ask);
    assert_true(fake_streams.of_type);
    assert_int_equal(typed.event_count, 3);
    assert_true(el_slice_eq(typed.events[0].key, el_slice_str("s")));
    assert_int_equal(typed.events[0].version, -1);
    assert_int_equal(typed.events[2].offset, 9);
    assert_false(typed.more);
    assert_int_equal(typed.next, f.partition.high_watermark);
    fake_free(r);
    ask.max_events = 2;
    r = read_type(&ask);
    assert_int_equal(typed.event_count, 2);
    assert_true(typed.more);
    assert_int_equal(typed.next, 4);
    fake_free(r);
    ask.backward = true;
    ask.from = 5;
    ask.max_bytes = 0;
    r = read_type(&ask);
    assert_int_equal(typed.event_count, 1);
    assert_int_equal(typed.events[0].offset, 3);
    assert_true(typed.more);
    assert_int_equal(typed.next, 0);
    fake_free(r);
    ask.from = 0;
    r = read_type(&ask);
    assert_int_equal(typed.event_count, 1);
    assert_false(typed.more);
    assert_int_equal(typed.next, -1);
    fake_free(r);
    end();
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

TEST(stream_list, refuses_what_cannot_be_asked)
{
    struct el_msg_ext_stream_list_request ask;
    struct el_msg_ext_stream_list_response listed;
    begin();
    for (int i = 0; i < 5; i++) {
        static const char *const topics[] = {"nothing", "plain", "orders", "orders", "orders"};
        static const int16_t errors[] = {EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, EL_KAFKA_POLICY_VIOLATION,
                                         EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, EL_KAFKA_INVALID_REQUEST,
                                         EL_KAFKA_KAFKA_STORAGE_ERROR};
        el_schema_init(&el_schema_ext_stream_list_request, &ask);
        ask.topic = el_slice_str(topics[i]);
        ask.partition = i == 2 ? 1 : 0;
        ask.max = i == 3 ? 0 : 10;
        fake_streams.error = i == 4 ? EVLOG_ERR_STORAGE : 0;
        struct fake_request *r = fake_request(&f, EL_API_StreamList, 0, &ask);
        fake_dispatch(&f, r);
        fake_response(r, &listed);
        assert_int_equal(listed.error, errors[i]);
        assert_int_equal(listed.stream_count, 0);
        fake_free(r);
    }
    end();
}

TEST(stream_list, gives_names_and_says_that_there_are_more)
{
    struct stream_name names[] = {
        {.key = el_slice_str("a"), .last_version = 3, .last_offset = 30},
        {.key = el_slice_str("b"), .last_version = 0, .last_offset = 31, .ended = true},
        {.key = el_slice_str("c"), .last_version = 9, .last_offset = 99},
    };
    struct el_msg_ext_stream_list_request ask;
    struct el_msg_ext_stream_list_response listed;
    begin();
    fake_streams.names = names;
    fake_streams.name_count = 3;
    el_schema_init(&el_schema_ext_stream_list_request, &ask);
    ask.topic = el_slice_str("orders");
    ask.prefix = el_slice_str("p");
    ask.after = el_slice_str("q");
    ask.with_deleted = true;
    ask.max = 2;
    struct fake_request *r = fake_request(&f, EL_API_StreamList, 0, &ask);
    fake_dispatch(&f, r);
    fake_response(r, &listed);
    assert_int_equal(listed.stream_count, 2);
    assert_true(listed.more);
    assert_true(el_slice_eq(listed.streams[0].key, el_slice_str("a")));
    assert_int_equal(listed.streams[0].last_version, 3);
    assert_false(listed.streams[0].deleted);
    assert_true(listed.streams[1].ended);
    assert_true(listed.streams[1].deleted);
    assert_true(el_slice_eq(fake_streams.prefix, el_slice_str("p")));
    assert_true(el_slice_eq(fake_streams.after, el_slice_str("q")));
    assert_true(fake_streams.with_deleted);
    fake_free(r);
    end();
}
