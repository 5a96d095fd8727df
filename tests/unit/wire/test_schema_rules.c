/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the decoder refuses what the encoding rules forbid, with the right code, and allocates nothing for a lie.
 * Method: a table of this test's own that has every type, a nullable struct and two tags; bytes by hand.
 */
#include "test.h"

#include <evlog/error.h>
#include <wire/msg_metadata.h>
#include <wire/msg_produce.h>
#include <wire/table.h>

struct el_msg_point {
    int32_t x;
    int32_t y;
};
struct el_msg_all {
    bool flag;
    int8_t small;
    uint16_t port;
    uint32_t mask;
    double ratio;
    struct el_uuid id;
    struct el_slice name;
    struct el_slice data;
    struct el_msg_point *maybe;
    struct el_msg_point *points;
    uint32_t point_count;
    int32_t *numbers;
    uint32_t number_count;
    int64_t first;
    struct el_slice second;
};

#define T struct el_msg_point
static const struct el_field point_fields[] = {
    EL_INT32(T, x, EL_ALL, .initial = -1),
    EL_INT32(T, y, EL_ALL),
};
#undef T
static const struct el_schema el_schema_point = EL_SCHEMA(point, 0, 2, 1);

#define T struct el_msg_all
static const struct el_field all_fields[] = {
    EL_BOOL(T, flag, EL_ALL),
    EL_INT8(T, small, EL_ALL),
    EL_UINT16(T, port, EL_ALL),
    EL_UINT32(T, mask, EL_ALL, .initial = 0xfffffffe),
    EL_FLOAT64(T, ratio, EL_ALL),
    EL_UUID(T, id, EL_FROM(2)),
    EL_STRING(T, name, EL_ALL, .nullable = EL_FROM(1)),
    EL_BYTES(T, data, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCT_PTR(T, point, maybe, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, point, points, point_count, EL_ALL, .nullable = EL_ALL),
    EL_ARRAY(T, INT32, int32_t, numbers, number_count, EL_FROM(1), .ignorable = true),
    EL_INT64(T, first, EL_FROM(1), .tagged = EL_FROM(1), .tag = 0, .initial = -1),
    EL_STRING(T, second, EL_FROM(1), .tagged = EL_FROM(1), .tag = 3, .ignorable = true),
};
#undef T
static const struct el_schema el_schema_all = EL_SCHEMA(all, 0, 2, 1);

static struct el_arena arena;
static struct el_msg_all all;

static int decode(int version, const uint8_t *data, size_t len)
{
    struct el_reader r;
    el_reader_init(&r, data, len);
    int err = el_schema_decode(&el_schema_all, version, &r, &arena, &all);
    return err == 0 && el_reader_left(&r) != 0 ? EVLOG_ERR_MALFORMED : err;
}

/* Fixed fields of version 0 and 1: 1 + 1 + 2 + 4 + 8 bytes. */
#define FIXED 1, 0xfe, 0x80, 0, 0, 0, 0, 1, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0

#define ASSERT_DECODE(version, code, ...)                                                                              \
    do {                                                                                                               \
        static const uint8_t bytes[] = {__VA_ARGS__};                                                                  \
        el_arena_reset(&arena);                                                                                        \
        el_arena_init(&arena, NULL, 1U << 20);                                                                         \
        assert_int_equal(decode(version, bytes, sizeof bytes), code);                                                  \
    } while (0)

TEST(rules, own_table_is_sound)
{
    assert_true(el_schema_check(&el_schema_all));
}

TEST(rules, every_type_is_read)
{
    ASSERT_DECODE(0, 0, FIXED, 0, 1, 'n', 0, 0, 0, 2, 8, 9, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0,
                  6);
    assert_true(all.flag);
    assert_int_equal(all.small, -2);
    assert_int_equal(all.port, 0x8000);
    assert_int_equal(all.mask, 1);
    assert_true(all.ratio == 0.5);
    assert_int_equal(all.name.len, 1);
    assert_int_equal(all.data.len, 2);
    assert_int_equal(all.maybe->x, 3);
    assert_int_equal(all.maybe->y, 4);
    assert_int_equal(all.point_count, 1);
    assert_int_equal(all.points[0].y, 6);
    assert_int_equal(all.number_count, 0);
    assert_int_equal(all.first, -1);
    el_arena_reset(&arena);
}

TEST(rules, nulls_are_read_where_allowed)
{
    ASSERT_DECODE(1, 0, FIXED, 0, 0, 0xff, 0, 1, 0);
    assert_null(all.name.data);
    assert_null(all.data.data);
    assert_null(all.maybe);
    assert_null(all.points);
    assert_non_null(all.numbers);
    assert_int_equal(all.number_count, 0);
}

TEST(rules, nulls_elsewhere_are_malformed)
{
    ASSERT_DECODE(0, EVLOG_ERR_MALFORMED, FIXED, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 0, 0, 0xff, 0, 0 /* numbers */, 0);
}

TEST(rules, negative_lengths_are_malformed)
{
    ASSERT_DECODE(0, EVLOG_ERR_MALFORMED, FIXED, 0xff, 0xfe);
    ASSERT_DECODE(0, EVLOG_ERR_MALFORMED, FIXED, 0x80, 0);
    ASSERT_DECODE(0, EVLOG_ERR_MALFORMED, FIXED, 0, 0, 0xff, 0xff, 0xff, 0xfe);
    ASSERT_DECODE(0, EVLOG_ERR_MALFORMED, FIXED, 0, 0, 0, 0, 0, 0, 0xff, 0x80, 0, 0, 0);
}

TEST(rules, presence_is_one_or_minus_one)
{
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 1, 0, 0, 0, 1, 0);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 1, 0, 2, 0, 1, 0);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 1, 0, 0xfe, 0, 1, 0);
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, FIXED, 1, 0);
}

TEST(rules, overlong_varints_are_malformed)
{
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0xff, 0, 1, 0);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0xff, 0, 1, 0);
}

TEST(rules, strings_over_int16_are_malformed)
{
    /* the compact length says 32769 - 1: refused before the missing bytes are noticed */
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, FIXED, 0x81, 0x80, 0x02);
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, FIXED, 0x80, 0x80, 0x02);
}

TEST(rules, huge_counts_allocate_nothing)
{
    ASSERT_DECODE(0, EVLOG_ERR_TRUNCATED, FIXED, 0, 0, 0, 0, 0, 0, 0xff, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7,
                  8);
    assert_int_equal(arena.used, 0);
    /* two points take 16 bytes, 15 are left */
    ASSERT_DECODE(0, EVLOG_ERR_TRUNCATED, FIXED, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                  1, 1, 1);
    assert_int_equal(arena.used, 0);
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, FIXED, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(arena.used, 0);
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, FIXED, 1, 0, 0xff, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0);
    assert_int_equal(arena.used, 0);

    static const uint8_t metadata[] = {0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
    struct el_msg_metadata_request request;
    struct el_reader r;
    el_reader_init(&r, metadata, sizeof metadata);
    assert_int_equal(el_schema_decode(&el_schema_metadata_request, 1, &r, &arena, &request), EVLOG_ERR_TRUNCATED);
    assert_int_equal(arena.used, 0);
}

#define BODY FIXED, 1, 0, 0xff, 0, 1

TEST(rules, known_tags_are_read_and_unknown_ones_skipped)
{
    ASSERT_DECODE(1, 0, BODY, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 0xaa, 0xbb, 3, 2, 2, 's', 0xff, 0x7f, 0);
    assert_int_equal(all.first, 9);
    assert_int_equal(all.second.len, 1);
}

TEST(rules, tags_out_of_order_or_twice_are_malformed)
{
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, BODY, 2, 3, 2, 2, 's', 0, 8, 0, 0, 0, 0, 0, 0, 0, 9);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, BODY, 2, 3, 2, 2, 's', 3, 2, 2, 's');
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, BODY, 2, 7, 0, 7, 0);
}

TEST(rules, a_tag_is_as_long_as_it_says)
{
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, BODY, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 9, 0);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, BODY, 1, 0, 7, 0, 0, 0, 0, 0, 0, 9);
    ASSERT_DECODE(1, EVLOG_ERR_MALFORMED, BODY, 1, 3, 2, 4, 's', 't', 'u');
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, BODY, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 9);
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, BODY, 0xff, 0xff, 0xff, 0xff, 0x0f);
    ASSERT_DECODE(1, EVLOG_ERR_TRUNCATED, BODY, 1, 9, 0xff, 0xff, 0xff, 0xff, 0x0f);
}

/* Encode into room for one message; the length is checked against the measured one. */
static int encode(int version, uint8_t *room, size_t *len)
{
    struct el_writer w;
    el_writer_init(&w, room, 4096);
    int err = el_schema_encode(&el_schema_all, version, &all, &w);
    *len = el_writer_len(&w);
    if (err == 0) {
        assert_int_equal(*len, el_schema_len(&el_schema_all, version, &all));
    }
    return err;
}

TEST(rules, defaults_are_not_zero)
{
    el_schema_init(&el_schema_all, &all);
    assert_int_equal(all.mask, 0xfffffffe);
    assert_int_equal(all.first, -1);
    assert_null(all.data.data);
    assert_non_null(all.name.data);
    assert_non_null(all.points);
    assert_null(all.maybe);
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 1U << 20);
    struct el_msg_point *points = el_schema_new(&el_schema_point, &arena, 2);
    assert_int_equal(points[1].x, -1);
    assert_ptr_equal(el_schema_new(&el_schema_point, &arena, 0), EL_EMPTY);
    el_arena_reset(&arena);
}

TEST(rules, a_value_the_version_lacks_is_refused_unless_ignorable)
{
    uint8_t room[4096];
    size_t len;
    int32_t number = 1;
    el_schema_init(&el_schema_all, &all);
    all.numbers = &number;
    all.number_count = 1;
    all.second = el_slice_str("gone");
    assert_int_equal(encode(0, room, &len), 0);
    all.first = 0;
    assert_int_equal(encode(0, room, &len), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(encode(1, room, &len), 0);
    all.id.bytes[3] = 1;
    assert_int_equal(encode(1, room, &len), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(encode(2, room, &len), 0);
}

TEST(rules, a_tag_with_its_default_takes_no_byte)
{
    static const uint8_t golden[] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 1, 1, 0};
    uint8_t room[4096];
    size_t len;
    el_schema_init(&el_schema_all, &all);
    assert_int_equal(encode(1, room, &len), 0);
    assert_int_equal(len, sizeof golden);
    assert_memory_equal(room, golden, sizeof golden);
}

TEST(rules, null_where_none_is_allowed_is_written_as_empty)
{
    uint8_t room[4096];
    size_t len;
    memset(&all, 0, sizeof all);
    all.mask = 0xfffffffe;
    all.first = -1;
    assert_int_equal(encode(0, room, &len), 0);
    el_arena_reset(&arena);
    el_arena_init(&arena, NULL, 1U << 20);
    assert_int_equal(decode(0, room, len), 0);
    assert_non_null(all.name.data);
    assert_int_equal(all.name.len, 0);
}

TEST(rules, strings_over_int16_are_not_written)
{
    static uint8_t text[EL_STRING_LEN_MAX + 1], room[70000];
    for (int version = 0; version < 3; version++) {
        struct el_writer w;
        el_schema_init(&el_schema_all, &all);
        all.name = el_slice_of(text, sizeof text);
        el_writer_init(&w, room, sizeof room);
        assert_int_equal(el_schema_encode(&el_schema_all, version, &all, &w), EVLOG_ERR_LIMIT);
        all.name.len--;
        el_writer_init(&w, room, sizeof room);
        assert_int_equal(el_schema_encode(&el_schema_all, version, &all, &w), 0);
    }
}

TEST(rules, parts_that_run_out_are_an_error)
{
    struct el_msg_produce_partition partition;
    el_schema_init(&el_schema_produce_partition, &partition);
    partition.records = el_slice_str("records");
    struct el_slice parts[2];
    uint8_t room[64];
    for (uint32_t part_max = 0; part_max <= 2; part_max++) {
        struct el_writer w;
        struct el_gather gather;
        el_writer_init(&w, room, sizeof room);
        el_gather_init(&gather, parts, part_max, 0, &w);
        int err = el_schema_encode_gather(&el_schema_produce_partition, 3, &partition, &w, &gather);
        assert_int_equal(err, part_max < 2 ? EVLOG_ERR_LIMIT : 0);
    }
    assert_ptr_equal(parts[1].data, partition.records.data);
}

static const struct el_field wrong_tags_fields[] = {
    {.name = "a", .type = EL_TYPE_INT8, .versions = EL_ALL, .tagged = EL_ALL, .tag = 1},
    {.name = "b", .type = EL_TYPE_INT8, .versions = EL_ALL, .tagged = EL_ALL, .tag = 1, .offset = 1},
};

TEST(rules, a_table_that_breaks_a_rule_is_found)
{
    struct el_schema schema = {.fields = wrong_tags_fields, .field_count = 2, .size = 2, .valid_max = 1};
    assert_false(el_schema_check(&schema));
    schema.field_count = 1;
    assert_true(el_schema_check(&schema));
    schema.flexible_from = 1;
    assert_false(el_schema_check(&schema));
    schema.flexible_from = 0;
    schema.size = 0;
    assert_false(el_schema_check(&schema));
}
