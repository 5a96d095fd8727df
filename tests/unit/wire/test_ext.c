/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: evlog's own requests are CBOR maps as docs/protocol.md says: canonical when written, tolerant of unknown keys
 * and absent ones when read, strict about everything else.
 * Method: golden frames by hand; maps by hand with one fault each. (Round trips, cuts and noise: test_schema_messages.)
 */
#include "test.h"

#include <core/limits.h>
#include <evlog/error.h>
#include <wire/frame.h>
#include <wire/msg_ext_cut.h>
#include <wire/msg_ext_lease_outcome.h>
#include <wire/msg_ext_log_fetch.h>
#include <wire/msg_ext_stream_append.h>
#include <wire/msg_ext_stream_read.h>
#include <wire/schema_cbor.h>

/* clang-format off */
static struct el_arena arena;

static int decode(int key, enum el_side side, const uint8_t *data, size_t len, void *out)
{
    struct el_reader r;
    el_reader_init(&r, data, len);
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 1U << 20);
    return el_api_decode(el_api_find(key), side, 0, &r, &arena, out);
}

#define ASSERT_DECODE(key, side, out, code, ...)                                                                       \
    do {                                                                                                               \
        static const uint8_t bytes_[] = {__VA_ARGS__};                                                                 \
        assert_int_equal(decode(key, side, bytes_, sizeof bytes_, out), code);                                         \
    } while (0)

#define TOPICS 0x66, 't', 'o', 'p', 'i', 'c', 's'
#define TIME_NS 0x67, 't', 'i', 'm', 'e', '_', 'n', 's'
#define TOPIC_ID 0x68, 't', 'o', 'p', 'i', 'c', '_', 'i', 'd'

TEST(ext, cut_request_golden)
{
    static const uint8_t golden[] = {
        0, 0, 0, 40, 0x40, 1, 0, 0, 0, 0, 0, 9, 0, 2, 'm', 'e', 0, /* header 2 */
        0xa2, TOPICS, 0x82, 0x61, 'a', 0x62, 'b', 'b',
        TIME_NS, 0x1a, 1, 2, 3, 4,
    };
    struct el_slice names[] = {el_slice_str("a"), el_slice_str("bb")};
    struct el_msg_ext_cut_request in;
    struct el_request_header header = {.api = el_api_find(EL_API_Cut), .client_id = el_slice_str("me"),
                                       .correlation_id = 9};
    struct el_slice frame;
    el_schema_init(&el_schema_ext_cut_request, &in);
    assert_null(in.topics);
    in.topics = names;
    in.topic_count = 2;
    in.time_ns = 0x01020304;
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 1U << 20);
    assert_int_equal(el_frame_build_request(&arena, &header, &in, &frame), 0);
    assert_int_equal(frame.len, sizeof golden);
    assert_memory_equal(frame.data, golden, sizeof golden);
    el_arena_reset(&arena);
}

TEST(ext, lease_outcome_request_golden)
{
    static const uint8_t golden[] = {
        0, 0, 0, 121, 0x40, 0x20, 0, 0, 0, 0, 0, 9, 0, 2, 'm', 'e', 0, /* header 2 */
        0xa3, 0x65, 'g', 'r', 'o', 'u', 'p', 0x61, 'g',
        0x66, 'm', 'e', 'm', 'b', 'e', 'r', 0x61, 'm',
        TOPICS, 0x81,
        0xa3, 0x65, 't', 'o', 'p', 'i', 'c', 0xf6,
        TOPIC_ID, 0x50, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x6a, 'p', 'a', 'r', 't', 'i', 't', 'i', 'o', 'n', 's', 0x81,
        0xa2, 0x68, 'o', 'u', 't', 'c', 'o', 'm', 'e', 's', 0x81,
        0xa6, 0x64, 'k', 'i', 'n', 'd', 5, 0x64, 'l', 'a', 's', 't', 8,
        0x65, 'e', 'r', 'r', 'o', 'r', 0xf6, 0x65, 'f', 'i', 'r', 's', 't', 7,
        0x66, 'r', 'e', 'a', 's', 'o', 'n', 0x61, 'r',
        0x68, 'd', 'e', 'l', 'a', 'y', '_', 'm', 's', 0x20,
        0x69, 'p', 'a', 'r', 't', 'i', 't', 'i', 'o', 'n', 3,
    };
    struct el_msg_ext_lease_outcome_range range;
    struct el_msg_ext_lease_outcome_partition partition;
    struct el_msg_ext_lease_outcome_topic topic;
    struct el_msg_ext_lease_outcome_request in;
    struct el_request_header header = {.api = el_api_find(EL_API_LeaseOutcome), .client_id = el_slice_str("me"),
                                       .correlation_id = 9};
    struct el_slice frame;
    el_schema_init(&el_schema_ext_lease_outcome_range, &range);
    el_schema_init(&el_schema_ext_lease_outcome_partition, &partition);
    el_schema_init(&el_schema_ext_lease_outcome_topic, &topic);
    el_schema_init(&el_schema_ext_lease_outcome_request, &in);
    range.kind = 5;
    range.first = 7;
    range.last = 8;
    range.reason = el_slice_str("r");
    partition.partition = 3;
    partition.outcomes = &range;
    partition.outcome_count = 1;
    topic.topic_id.bytes[0] = 1;
    topic.partitions = &partition;
    topic.partition_count = 1;
    in.group = el_slice_str("g");
    in.member = el_slice_str("m");
    in.topics = &topic;
    in.topic_count = 1;
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 1U << 20);
    assert_int_equal(el_frame_build_request(&arena, &header, &in, &frame), 0);
    assert_int_equal(frame.len, sizeof golden);
    assert_int_equal(el_get_be32(frame.data), sizeof golden - 4);
    assert_memory_equal(frame.data + 4, golden + 4, sizeof golden - 4);
    el_arena_reset(&arena);
}

TEST(ext, lease_outcome_emits_golden)
{
    static const uint8_t golden[] = {
        0xa7, 0x64, 'k', 'i', 'n', 'd', 1, 0x64, 'l', 'a', 's', 't', 7,
        0x65, 'e', 'm', 'i', 't', 's', 0x81,
        0xa6, 0x63, 'k', 'e', 'y', 0x41, 'k', 0x64, 't', 'i', 'm', 'e', 0x20,
        0x65, 't', 'o', 'p', 'i', 'c', 0x61, 't', 0x65, 'v', 'a', 'l', 'u', 'e', 0xf6,
        0x67, 'h', 'e', 'a', 'd', 'e', 'r', 's', 0x81,
        0xa2, 0x64, 'n', 'a', 'm', 'e', 0x41, 'h', 0x65, 'v', 'a', 'l', 'u', 'e', 0x42, 'v', 'v',
        0x69, 'p', 'a', 'r', 't', 'i', 't', 'i', 'o', 'n', 2,
        0x65, 'e', 'r', 'r', 'o', 'r', 0xf6, 0x65, 'f', 'i', 'r', 's', 't', 7,
        0x66, 'r', 'e', 'a', 's', 'o', 'n', 0xf6,
        0x68, 'd', 'e', 'l', 'a', 'y', '_', 'm', 's', 0x20,
    };
    struct el_msg_ext_lease_outcome_range range;
    struct el_msg_ext_lease_outcome_emit emit;
    struct el_msg_ext_lease_outcome_header header;
    struct el_writer w;
    uint8_t buf[256];
    el_schema_init(&el_schema_ext_lease_outcome_range, &range);
    el_schema_init(&el_schema_ext_lease_outcome_emit, &emit);
    el_schema_init(&el_schema_ext_lease_outcome_header, &header);
    range.kind = 1;
    range.first = range.last = 7;
    range.emits = &emit;
    range.emit_count = 1;
    emit.topic = el_slice_str("t");
    emit.key = el_slice_str("k");
    emit.partition = 2;
    emit.headers = &header;
    emit.header_count = 1;
    header.name = el_slice_str("h");
    header.value = el_slice_str("vv");
    el_writer_init(&w, buf, sizeof buf);
    assert_int_equal(el_schema_cbor_encode(&el_schema_ext_lease_outcome_range, 1, &range, &w, NULL), 0);
    assert_int_equal(el_writer_len(&w), sizeof golden);
    assert_memory_equal(buf, golden, sizeof golden);
}

TEST(ext, stream_append_golden)
{
    static const uint8_t golden[] = {
        0xa6, 0x65, 't', 'o', 'p', 'i', 'c', 0x61, 't',
        0x66, 'c', 'h', 'e', 'c', 'k', 's', 0x81,
        0xa2, 0x63, 'k', 'e', 'y', 0x41, 'c', 0x68, 'e', 'x', 'p', 'e', 'c', 't', 'e', 'd', 0x23,
        0x67, 'a', 'p', 'p', 'e', 'n', 'd', 's', 0x81,
        0xa3, 0x63, 'k', 'e', 'y', 0x41, 'k', 0x66, 'e', 'v', 'e', 'n', 't', 's', 0x81,
        0xa7, 0x62, 'i', 'd', 0x61, 'i', 0x64, 'd', 'a', 't', 'a', 0x41, 'd', 0x64, 't', 'y', 'p', 'e', 0x61, 'y',
        0x66, 's', 'o', 'u', 'r', 'c', 'e', 0xf6,
        0x67, 'h', 'e', 'a', 'd', 'e', 'r', 's', 0x81,
        0xa2, 0x64, 'n', 'a', 'm', 'e', 0x41, 'h', 0x65, 'v', 'a', 'l', 'u', 'e', 0xf6,
        0x67, 't', 'i', 'm', 'e', '_', 'm', 's', 0x20,
        0x6c, 'c', 'o', 'n', 't', 'e', 'n', 't', '_', 't', 'y', 'p', 'e', 0xf6,
        0x68, 'e', 'x', 'p', 'e', 'c', 't', 'e', 'd', 0x20,
        TOPIC_ID, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x69, 'p', 'a', 'r', 't', 'i', 't', 'i', 'o', 'n', 0x20,
        0x6a, 't', 'i', 'm', 'e', 'o', 'u', 't', '_', 'm', 's', 0,
    };
    struct el_msg_ext_stream_append_header header = {.name = el_slice_str("h")};
    struct el_msg_ext_stream_append_event event;
    struct el_msg_ext_stream_append_append append;
    struct el_msg_ext_stream_append_check check = {.key = el_slice_str("c"), .expected = -4};
    struct el_msg_ext_stream_append_request in;
    struct el_writer w;
    uint8_t buf[512];
    el_schema_init(&el_schema_ext_stream_append_event, &event);
    el_schema_init(&el_schema_ext_stream_append_append, &append);
    el_schema_init(&el_schema_ext_stream_append_request, &in);
    assert_int_equal(append.expected, -2);
    event.id = el_slice_str("i");
    event.type = el_slice_str("y");
    event.data = el_slice_str("d");
    event.headers = &header;
    event.header_count = 1;
    append.key = el_slice_str("k");
    append.events = &event;
    append.event_count = 1;
    append.expected = -1;
    in.topic = el_slice_str("t");
    in.checks = &check;
    in.check_count = 1;
    in.appends = &append;
    in.append_count = 1;
    el_writer_init(&w, buf, sizeof buf);
    assert_int_equal(el_schema_cbor_encode(&el_schema_ext_stream_append_request, 0, &in, &w, NULL), 0);
    assert_int_equal(el_writer_len(&w), sizeof golden);
    assert_memory_equal(buf, golden, sizeof golden);
}

TEST(ext, an_empty_stream_read_asks_for_all_from_the_start)
{
    struct el_msg_ext_stream_read_request read;
    ASSERT_DECODE(EL_API_StreamRead, EL_SIDE_REQUEST, &read, 0, 0xa0);
    assert_int_equal(read.from, -1);
    assert_int_equal(read.to, -1);
    assert_int_equal(read.max_events, 1000);
    assert_int_equal(read.max_bytes, 1 << 20);
    assert_false(read.backward);
}

TEST(ext, empty_map_is_the_defaults)
{
    struct el_msg_ext_cut_request cut;
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, 0, 0xa0);
    assert_null(cut.topics);
    assert_int_equal(cut.time_ns, 0);
    struct el_msg_ext_log_fetch_request fetch;
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, 0, 0xa0);
    assert_int_equal(fetch.topic_count, 0);
    assert_int_equal(fetch.max_bytes, EL_FETCH_LEN_MAX);
    assert_int_equal(fetch.min_bytes, 1);
}

TEST(ext, unknown_keys_are_skipped)
{
    struct el_msg_ext_cut_request cut;
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, 0, 0xa3, 0x61, 'x', 0x82, 1, 0xa1, 1, 2, TIME_NS, 5, 0x60, 0xf6);
    assert_int_equal(cut.time_ns, 5);
}

TEST(ext, any_order_is_read)
{
    struct el_msg_ext_cut_request cut;
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, 0, 0xa2, TIME_NS, 5, TOPICS, 0x80);
    assert_non_null(cut.topics);
    assert_int_equal(cut.topic_count, 0);
}

TEST(ext, a_key_given_twice_is_malformed)
{
    struct el_msg_ext_cut_request cut;
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa2, TIME_NS, 5, TIME_NS, 5);
}

TEST(ext, wrong_types_are_malformed)
{
    struct el_msg_ext_cut_request cut;
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0x80);
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa1, 5, 5);
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa1, TIME_NS, 0x20);
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa1, TIME_NS, 0xf6);
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa1, TOPICS, 0x81, 0x41, 'a');
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa1, TOPICS, 0x81, 0xf6);
    ASSERT_DECODE(EL_API_Cut, EL_SIDE_REQUEST, &cut, EVLOG_ERR_MALFORMED, 0xa0, 0);
    el_arena_reset(&arena);
}

TEST(ext, numbers_out_of_range_are_malformed)
{
    struct el_msg_ext_log_fetch_request fetch;
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, EVLOG_ERR_MALFORMED, 0xa1, 0x69, 'i', 's', 'o', 'l', 'a',
                  't', 'i', 'o', 'n', 0x18, 0x80);
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, 0, 0xa1, 0x69, 'i', 's', 'o', 'l', 'a', 't', 'i', 'o', 'n',
                  0x18, 0x7f);
    assert_int_equal(fetch.isolation, 127);
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, EVLOG_ERR_MALFORMED, 0xa1, 0x69, 'm', 'i', 'n', '_', 'b',
                  'y', 't', 'e', 's', 0x1a, 0x80, 0, 0, 0);
}

TEST(ext, an_id_has_sixteen_bytes)
{
    struct el_msg_ext_log_fetch_request fetch;
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, EVLOG_ERR_MALFORMED, 0xa1, TOPICS, 0x81, 0xa1, TOPIC_ID,
                  0x4f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    el_arena_reset(&arena);
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, 0, 0xa1, TOPICS, 0x81, 0xa1, TOPIC_ID, 0x50, 1, 2, 3, 4, 5,
                  6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    assert_int_equal(fetch.topics[0].topic_id.bytes[15], 16);
    assert_null(fetch.topics[0].topic.data);
    el_arena_reset(&arena);
}

TEST(ext, huge_counts_allocate_nothing)
{
    struct el_msg_ext_log_fetch_request fetch;
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, EVLOG_ERR_TRUNCATED, 0xa1, TOPICS, 0x9a, 0x7f, 0xff, 0xff,
                  0xff, 0xa0, 0xa0);
    assert_int_equal(arena.used, 0);
    ASSERT_DECODE(EL_API_LogFetch, EL_SIDE_REQUEST, &fetch, EVLOG_ERR_TRUNCATED, 0xba, 0x7f, 0xff, 0xff, 0xff);
    assert_int_equal(arena.used, 0);
}

TEST(ext, unknown_values_may_not_nest_for_ever)
{
    uint8_t deep[64];
    struct el_msg_ext_cut_request cut;
    memset(deep, 0x81, sizeof deep);
    deep[0] = 0xa1;
    deep[1] = 0x61;
    deep[2] = 'x';
    deep[sizeof deep - 1] = 0;
    assert_int_equal(decode(EL_API_Cut, EL_SIDE_REQUEST, deep, sizeof deep, &cut), EVLOG_ERR_LIMIT);
    uint8_t allowed[] = {0xa1, 0x61, 'x', 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0};
    assert_int_equal(decode(EL_API_Cut, EL_SIDE_REQUEST, allowed, sizeof allowed, &cut), 0);
}

TEST(ext, log_fetch_response_golden_leaves_batches_in_place)
{
    static const uint8_t golden[] = {
        0, 0, 0, 0, 0, 0, 0, 9, 0,                                             /* header 1 */
        0xa3, 0x65, 'e', 'r', 'r', 'o', 'r', 0,
        TOPICS, 0x81,
        0xa3, 0x65, 't', 'o', 'p', 'i', 'c', 0x61, 't',
        TOPIC_ID, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x6a, 'p', 'a', 'r', 't', 'i', 't', 'i', 'o', 'n', 's', 0x81,
        0xa5, 0x65, 'e', 'r', 'r', 'o', 'r', 0,
        0x67, 'b', 'a', 't', 'c', 'h', 'e', 's', 0x81,
        0xa4, 0x64, 's', 'a', 'l', 't', 0x50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x65, 'b', 'a', 't', 'c', 'h', 0x45, 'B', 'A', 'T', 'C', 'H',
        0x6c, 'l', 'e', 'a', 'd', 'e', 'r', '_', 'e', 'p', 'o', 'c', 'h', 3,
        0x6e, 'a', 'p', 'p', 'e', 'n', 'd', '_', 't', 'i', 'm', 'e', '_', 'n', 's', 0x1b, 0xff, 0, 0, 0, 0, 0, 0, 1,
        0x69, 'l', 'o', 'g', '_', 's', 't', 'a', 'r', 't', 0,
        0x69, 'p', 'a', 'r', 't', 'i', 't', 'i', 'o', 'n', 2,
        0x6e, 'h', 'i', 'g', 'h', '_', 'w', 'a', 't', 'e', 'r', 'm', 'a', 'r', 'k', 0x18, 0x64,
        0x67, 'm', 'e', 's', 's', 'a', 'g', 'e', 0xf6,
    };
    static const char batch_bytes[] = "BATCH";
    struct el_msg_ext_log_fetch_batch batch;
    struct el_msg_ext_log_fetch_partition_result partition;
    struct el_msg_ext_log_fetch_topic_result topic;
    struct el_msg_ext_log_fetch_response in, out;
    el_schema_init(&el_schema_ext_log_fetch_batch, &batch);
    el_schema_init(&el_schema_ext_log_fetch_partition_result, &partition);
    el_schema_init(&el_schema_ext_log_fetch_topic_result, &topic);
    el_schema_init(&el_schema_ext_log_fetch_response, &in);
    batch.salt.bytes[0] = 7;
    batch.batch = el_slice_str(batch_bytes);
    batch.leader_epoch = 3;
    batch.append_time_ns = UINT64_C(0xff00000000000001);
    partition.partition = 2;
    partition.log_start = 0;
    partition.high_watermark = 100;
    partition.batches = &batch;
    partition.batch_count = 1;
    topic.topic = el_slice_str("t");
    topic.partitions = &partition;
    topic.partition_count = 1;
    in.topics = &topic;
    in.topic_count = 1;

    struct el_request_header header = {.api = el_api_find(EL_API_LogFetch), .correlation_id = 9};
    struct el_slice *parts;
    uint32_t part_count;
    uint8_t whole[sizeof golden];
    size_t len = 0;
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 1U << 20);
    assert_int_equal(el_frame_build_response(&arena, &header, &in, 4, &parts, &part_count), 0);
    assert_int_equal(part_count, 3);
    assert_ptr_equal(parts[1].data, batch_bytes);
    for (uint32_t i = 0; i < part_count; i++) {
        assert_true(len + parts[i].len <= sizeof whole);
        memcpy(whole + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    assert_int_equal(len, sizeof golden);
    assert_int_equal(el_get_be32(whole), sizeof golden - 4);
    assert_memory_equal(whole + 4, golden + 4, sizeof golden - 4);
    el_arena_reset(&arena);

    assert_int_equal(decode(EL_API_LogFetch, EL_SIDE_RESPONSE, golden + 9, sizeof golden - 9, &out), 0);
    assert_true(out.topics[0].partitions[0].batches[0].append_time_ns == batch.append_time_ns);
    assert_int_equal(out.topics[0].partitions[0].high_watermark, 100);
    assert_null(out.message.data);
    el_arena_reset(&arena);
}
