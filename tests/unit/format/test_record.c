/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a record is read exactly as it was written, and no lie in it gets past el_record_next().
 * Method: one record with every kind of field is cut at each byte, and each of its lengths and counts is replaced;
 * then records of random shapes are written and read back.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <format/record.h>

static const struct el_header two_headers[] = {
    {{(const uint8_t *)"h", 1}, {(const uint8_t *)"xyz", 3}},
    {{(const uint8_t *)"", 0}, {NULL, 0}},
};
static const struct el_record_body full_body = {
    .key = {(const uint8_t *)"key", 3},
    .value = {(const uint8_t *)"value", 5},
    .headers = two_headers,
    .header_count = 2,
};
/* full_body with offset delta 1 and timestamp delta -3, byte by byte */
static const uint8_t full_bytes[] = {
    22 << 1,                             /* length */
    0,                                   /* attributes */
    5,                                   /* timestamp delta -3 */
    2,                                   /* offset delta 1 */
    3 << 1,  'k', 'e',    'y',           /* key */
    5 << 1,  'v', 'a',    'l', 'u', 'e', /* value */
    2 << 1,                              /* headers */
    1 << 1,  'h', 3 << 1, 'x', 'y', 'z', /* h: xyz */
    0,       1,                          /* empty key: null */
};
enum { POS_LENGTH = 0, POS_KEY = 4, POS_VALUE = 8, POS_COUNT = 14, POS_HEADER_KEY = 15, POS_HEADER_VALUE = 17 };

/* Read one record from an exact copy on the heap, so that a sanitizer sees every read past the end. */
static int read_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = el_memdup(data, len);
    struct el_reader reader;
    struct el_record record;
    el_reader_init(&reader, copy, len);
    int err = el_record_next(&reader, &record);
    if (err != 0) {
        assert_int_equal(err, EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(reader.err, EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(el_record_next(&reader, &record), EVLOG_ERR_INVALID_RECORD);
    }
    el_free(copy);
    return err;
}

/* The full record with the byte at pos replaced. */
static int read_with(size_t pos, uint8_t byte)
{
    uint8_t bytes[sizeof(full_bytes)];
    memcpy(bytes, full_bytes, sizeof(bytes));
    bytes[pos] = byte;
    return read_copy(bytes, sizeof(bytes));
}

TEST(record, refuses_every_prefix)
{
    for (size_t len = 0; len < sizeof(full_bytes); len++) {
        assert_int_equal(read_copy(full_bytes, len), EVLOG_ERR_INVALID_RECORD);
    }
    assert_int_equal(read_copy(full_bytes, sizeof(full_bytes)), 0);
}

TEST(record, refuses_a_wrong_length_prefix)
{
    for (unsigned byte = 0; byte < 0x80; byte++) {
        int err = read_with(POS_LENGTH, (uint8_t)byte);
        assert_int_equal(err, byte == full_bytes[0] ? 0 : EVLOG_ERR_INVALID_RECORD);
    }
}

TEST(record, refuses_lengths_that_reach_over_the_record)
{
    /* the section goes on behind the record, and the record must not */
    uint8_t bytes[sizeof(full_bytes) + 64] = {0};
    static const size_t lengths[] = {POS_KEY, POS_VALUE, POS_HEADER_KEY, POS_HEADER_VALUE};
    for (size_t i = 0; i < 4; i++) {
        memcpy(bytes, full_bytes, sizeof(full_bytes));
        bytes[lengths[i]] = 40 << 1;
        assert_int_equal(read_copy(bytes, sizeof(bytes)), EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(read_with(lengths[i], 40 << 1), EVLOG_ERR_INVALID_RECORD); /* and where nothing follows */
        bytes[lengths[i]] = 3;                                                      /* -2: neither null nor a length */
        assert_int_equal(read_copy(bytes, sizeof(bytes)), EVLOG_ERR_INVALID_RECORD);
    }
}

TEST(record, refuses_a_wrong_header_count)
{
    for (unsigned byte = 0; byte < 0x80; byte++) {
        int err = read_with(POS_COUNT, (uint8_t)byte);
        assert_int_equal(err, byte == 2 << 1 ? 0 : EVLOG_ERR_INVALID_RECORD);
    }
    static const uint8_t minus_one[] = {6 << 1, 0, 0, 0, 1, 1, 1};
    assert_int_equal(read_copy(minus_one, sizeof(minus_one)), EVLOG_ERR_INVALID_RECORD);
    /* 2^31 - 1 headers in a record without room for any */
    static const uint8_t many[] = {10 << 1, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f};
    assert_int_equal(read_copy(many, sizeof(many)), EVLOG_ERR_INVALID_RECORD);
}

TEST(record, refuses_a_null_header_key)
{
    static const uint8_t bytes[] = {8 << 1, 0, 0, 0, 1, 1, 1 << 1, 1, 1};
    assert_int_equal(read_copy(bytes, sizeof(bytes)), EVLOG_ERR_INVALID_RECORD);
}

TEST(record, refuses_varints_that_are_too_long)
{
    /* the length as five bytes is fine (padding), as six it is not; nor are bits above the 32nd */
    static const uint8_t padded[] = {0x8c, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 1, 1, 0};
    static const uint8_t six[] = {0x8c, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 1, 1, 0};
    static const uint8_t wide[] = {0x8c, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 1, 1, 0};
    assert_int_equal(read_copy(padded, sizeof(padded)), 0);
    assert_int_equal(read_copy(six, sizeof(six)), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(read_copy(wide, sizeof(wide)), EVLOG_ERR_INVALID_RECORD);
    /* timestamp delta: ten bytes, of which the last may hold one bit */
    uint8_t ten[] = {15 << 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 1, 1, 0};
    assert_int_equal(read_copy(ten, sizeof(ten)), 0);
    ten[11] = 0x02;
    assert_int_equal(read_copy(ten, sizeof(ten)), EVLOG_ERR_INVALID_RECORD);
    static const uint8_t eleven[] = {16 << 1, 0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff,    0xff, 0x81, 0x00, 0,    1,    1,    0};
    assert_int_equal(read_copy(eleven, sizeof(eleven)), EVLOG_ERR_INVALID_RECORD);
}

TEST(record, refuses_records_below_the_least_length)
{
    for (uint8_t len = 0; len < EL_RECORD_LEN_MIN - 1; len++) {
        uint8_t bytes[EL_RECORD_LEN_MIN] = {(uint8_t)(len << 1), 0, 0, 0, 1, 1, 0};
        assert_int_equal(read_copy(bytes, sizeof(bytes)), EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(read_copy(bytes, len + 1u), EVLOG_ERR_INVALID_RECORD);
    }
    static const uint8_t least[] = {6 << 1, 0, 0, 0, 1, 1, 0};
    assert_int_equal(sizeof(least), EL_RECORD_LEN_MIN);
    assert_int_equal(read_copy(least, sizeof(least)), 0);
    static const uint8_t negative[] = {1, 0, 0, 0, 1, 1, 0};
    assert_int_equal(read_copy(negative, sizeof(negative)), EVLOG_ERR_INVALID_RECORD);
}

TEST(record, reads_nothing_from_an_empty_section)
{
    struct el_reader reader;
    struct el_record record;
    el_reader_init(&reader, NULL, 0);
    assert_int_equal(el_record_next(&reader, &record), EVLOG_ERR_INVALID_RECORD);
}

TEST(record, encoder_writes_the_specified_bytes)
{
    uint8_t buf[64];
    struct el_writer w;
    struct el_record_delta delta = {.offset = 1, .timestamp = -3};
    el_writer_init(&w, buf, sizeof(buf));
    assert_int_equal(el_record_encode(&w, delta, &full_body), 0);
    assert_int_equal(el_writer_len(&w), sizeof(full_bytes));
    assert_memory_equal(buf, full_bytes, sizeof(full_bytes));
    assert_int_equal(el_record_len(delta, &full_body), sizeof(full_bytes));
}

TEST(record, encoder_writes_all_or_nothing)
{
    uint8_t buf[sizeof(full_bytes)];
    struct el_writer w;
    for (size_t room = 0; room < sizeof(full_bytes); room++) {
        el_writer_init(&w, buf, room);
        assert_int_equal(el_record_encode(&w, (struct el_record_delta){1, -3}, &full_body), EVLOG_ERR_LIMIT);
        assert_int_equal(el_writer_len(&w), 0);
        assert_int_equal(w.err, EVLOG_ERR_LIMIT);
    }
}

TEST(record, encoder_refuses_a_null_header_key)
{
    static const struct el_header bad[] = {{{NULL, 0}, {(const uint8_t *)"v", 1}}};
    struct el_record_body body = {.headers = bad, .header_count = 1};
    uint8_t buf[64];
    struct el_writer w;
    el_writer_init(&w, buf, sizeof(buf));
    assert_int_equal(el_record_encode(&w, (struct el_record_delta){0, 0}, &body), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_writer_len(&w), 0);
    assert_int_equal(w.err, 0);
}

TEST(record, null_and_empty_stay_different)
{
    uint8_t buf[64];
    struct el_writer w;
    struct el_reader reader;
    struct el_record record;
    struct el_record_body body = {.key = {(const uint8_t *)"", 0}, .value = {NULL, 0}};
    el_writer_init(&w, buf, sizeof(buf));
    assert_int_equal(el_record_encode(&w, (struct el_record_delta){0, 0}, &body), 0);
    el_reader_init(&reader, buf, el_writer_len(&w));
    assert_int_equal(el_record_next(&reader, &record), 0);
    assert_non_null(record.key.data);
    assert_int_equal(record.key.len, 0);
    assert_null(record.value.data);
    assert_int_equal(el_reader_left(&reader), 0);
}

TEST(record, header_search_gives_the_last_and_moves_nothing)
{
    static const struct el_header headers[] = {
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"1", 1}},
        {{(const uint8_t *)"b", 1}, {NULL, 0}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"2", 1}},
    };
    struct el_record_body body = {.headers = headers, .header_count = 3};
    uint8_t buf[64];
    struct el_writer w;
    struct el_reader reader;
    struct el_record record;
    struct el_slice value = {NULL, 7};
    el_writer_init(&w, buf, sizeof(buf));
    assert_int_equal(el_record_encode(&w, (struct el_record_delta){0, 0}, &body), 0);
    el_reader_init(&reader, buf, el_writer_len(&w));
    assert_int_equal(el_record_next(&reader, &record), 0);
    assert_false(el_header_find(&record, "c", &value));
    assert_int_equal(value.len, 7);
    assert_true(el_header_find(&record, "a", &value));
    assert_true(el_slice_eq(value, el_slice_str("2")));
    assert_true(el_header_find(&record, "b", &value));
    assert_null(value.data);
    struct el_header header;
    for (uint32_t i = 0; i < record.header_count; i++) {
        assert_true(el_header_next(&record.headers, &header));
    }
    assert_false(el_header_next(&record.headers, &header));
}

/* A slice of up to 200 bytes of data, null now and then. */
static struct el_slice random_slice(struct el_rng *rng, const uint8_t *data, bool may_be_null)
{
    if (may_be_null && el_rng_below(rng, 4) == 0) {
        return (struct el_slice){NULL, 0};
    }
    return el_slice_of(data + el_rng_below(rng, 50), el_rng_below(rng, 200));
}

static void same_bytes(struct el_slice a, struct el_slice b)
{
    assert_int_equal(a.data == NULL, b.data == NULL);
    assert_true(el_slice_eq(a, b));
}

TEST(record, round_trips_of_random_shapes)
{
    uint8_t data[256];
    uint8_t buf[8192];
    struct el_rng rng;
    el_rng_seed(&rng, 20);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)el_rng_next(&rng);
    }
    for (int round = 0; round < 3000; round++) {
        struct el_header headers[8];
        struct el_record_body body = {.key = random_slice(&rng, data, true),
                                      .value = random_slice(&rng, data, true),
                                      .headers = headers,
                                      .header_count = el_rng_below(&rng, 9)};
        for (size_t i = 0; i < body.header_count; i++) {
            headers[i] = (struct el_header){random_slice(&rng, data, false), random_slice(&rng, data, true)};
        }
        struct el_record_delta delta = {.offset = (int64_t)(el_rng_next(&rng) >> (33 + el_rng_below(&rng, 31))),
                                        .timestamp = (int64_t)el_rng_next(&rng) >> el_rng_below(&rng, 64)};
        struct el_writer w;
        struct el_reader reader;
        struct el_record record;
        el_writer_init(&w, buf, sizeof(buf));
        assert_int_equal(el_record_encode(&w, delta, &body), 0);
        assert_int_equal(el_writer_len(&w), el_record_len(delta, &body));
        el_reader_init(&reader, buf, el_writer_len(&w));
        assert_int_equal(el_record_next(&reader, &record), 0);
        assert_int_equal(el_reader_left(&reader), 0);
        assert_true(record.offset_delta == delta.offset);
        assert_true(record.timestamp_delta == delta.timestamp);
        same_bytes(record.key, body.key);
        same_bytes(record.value, body.value);
        assert_int_equal(record.header_count, body.header_count);
        for (size_t i = 0; i < body.header_count; i++) {
            struct el_header header;
            assert_true(el_header_next(&record.headers, &header));
            same_bytes(header.key, headers[i].key);
            same_bytes(header.value, headers[i].value);
        }
    }
}
