/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: no read or write outside the range, whatever the bytes; varints exact at the edges of their types.
 * Method: every function at every length too short for it; the published examples; every power of two and its
 * neighbours there and back; heap blocks of the exact size, so that a sanitizer sees one byte too many.
 */
#include "../../lib/test.h"

#include <core/cursor.h>
#include <core/rng.h>
#include <evlog/error.h>

#include <stdlib.h>
#include <string.h>

static struct el_reader reader_of(const void *data, size_t len)
{
    struct el_reader r;
    el_reader_init(&r, data, len);
    return r;
}

TEST(cursor, reader_stops_at_the_end)
{
    uint8_t *data = malloc(8);
    assert_non_null(data);
    memset(data, 0xff, 8);
    for (size_t len = 0; len < 8; len++) {
        struct el_reader r = reader_of(data + 8 - len, len);
        assert_int_equal(el_read_be64(&r), 0);
        assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
        r = reader_of(data + 8 - len, len);
        assert_int_equal(el_read_le64(&r), 0);
        assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
        if (len < 4) {
            r = reader_of(data + 8 - len, len);
            assert_int_equal(el_read_be32(&r), 0);
            assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
            r = reader_of(data + 8 - len, len);
            assert_int_equal(el_read_le32(&r), 0);
            assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
        }
        if (len < 2) {
            r = reader_of(data + 8 - len, len);
            assert_int_equal(el_read_be16(&r), 0);
            assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
            r = reader_of(data + 8 - len, len);
            assert_int_equal(el_read_le16(&r), 0);
            assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
        }
    }
    struct el_reader r = reader_of(data, 0);
    assert_int_equal(el_read_u8(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
    free(data);
}

TEST(cursor, error_is_sticky_and_the_first_one_wins)
{
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct el_reader r = reader_of(data, sizeof(data));
    assert_null(el_read_bytes(&r, 9));
    assert_int_equal(el_reader_left(&r), 0);
    assert_int_equal(el_read_u8(&r), 0);
    el_reader_fail(&r, EVLOG_ERR_MALFORMED);
    assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
    r = reader_of(data, sizeof(data));
    el_reader_fail(&r, EVLOG_ERR_LIMIT);
    assert_int_equal(el_read_be16(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_LIMIT);
}

TEST(cursor, claimed_length_near_the_type_limit_is_refused)
{
    static const uint8_t data[4];
    struct el_reader r = reader_of(data, sizeof(data));
    assert_null(el_read_bytes(&r, SIZE_MAX));
    assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
    uint8_t out[4];
    struct el_writer w;
    el_writer_init(&w, out, sizeof(out));
    assert_null(el_write_room(&w, SIZE_MAX));
    assert_int_equal(w.err, EVLOG_ERR_LIMIT);
}

TEST(cursor, reads_nothing_from_nothing)
{
    struct el_reader r = reader_of(NULL, 0);
    assert_int_equal(el_reader_left(&r), 0);
    (void)el_read_bytes(&r, 0);
    assert_int_equal(r.err, 0);
    assert_int_equal(el_read_uvarint(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
}

TEST(cursor, fixed_widths_go_there_and_back)
{
    uint8_t out[29];
    struct el_writer w;
    el_writer_init(&w, out, sizeof(out));
    el_write_u8(&w, 0x01);
    el_write_be16(&w, 0x0203);
    el_write_be32(&w, 0x04050607);
    el_write_be64(&w, 0x08090a0b0c0d0e0full);
    el_write_le16(&w, 0x1110);
    el_write_le32(&w, 0x15141312);
    el_write_le64(&w, 0x1d1c1b1a19181716ull);
    assert_int_equal(w.err, 0);
    assert_int_equal(el_writer_len(&w), sizeof(out));
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(out[i], i + 1);
    }
    for (size_t i = 15; i < sizeof(out); i++) {
        assert_int_equal(out[i], i + 1);
    }
    struct el_reader r = reader_of(out, sizeof(out));
    assert_int_equal(el_read_u8(&r), 0x01);
    assert_int_equal(el_read_be16(&r), 0x0203);
    assert_int_equal(el_read_be32(&r), 0x04050607);
    assert_true(el_read_be64(&r) == 0x08090a0b0c0d0e0full);
    assert_int_equal(el_read_le16(&r), 0x1110);
    assert_int_equal(el_read_le32(&r), 0x15141312);
    assert_true(el_read_le64(&r) == 0x1d1c1b1a19181716ull);
    assert_int_equal(el_reader_left(&r), 0);
}

TEST(cursor, writer_without_room_writes_nothing)
{
    uint8_t out[4] = {9, 9, 9, 9};
    struct el_writer w;
    el_writer_init(&w, out, 3);
    el_write_be32(&w, 1);
    assert_int_equal(w.err, EVLOG_ERR_LIMIT);
    assert_int_equal(el_writer_len(&w), 0);
    el_write_u8(&w, 1); /* sticky: would fit */
    assert_int_equal(out[0], 9);
    assert_int_equal(out[3], 9);
    el_writer_init(&w, NULL, 0);
    el_write_bytes(&w, NULL, 0);
    assert_int_equal(w.err, 0);
    el_write_uvarint(&w, 0);
    assert_int_equal(w.err, EVLOG_ERR_LIMIT);
}

static void check_varlong(uint64_t v)
{
    uint8_t out[10];
    struct el_writer w;
    el_writer_init(&w, out, sizeof(out));
    el_write_uvarlong(&w, v);
    assert_int_equal(w.err, 0);
    assert_int_equal(el_writer_len(&w), el_uvarlong_len(v));
    struct el_reader r = reader_of(out, el_writer_len(&w));
    assert_true(el_read_uvarlong(&r) == v);
    assert_int_equal(r.err, 0);
    assert_int_equal(el_reader_left(&r), 0);
    for (size_t len = 0; len < el_writer_len(&w); len++) {
        r = reader_of(out, len);
        assert_true(el_read_uvarlong(&r) == 0);
        assert_int_equal(r.err, EVLOG_ERR_TRUNCATED);
    }
    el_writer_init(&w, out, sizeof(out));
    el_write_varlong(&w, (int64_t)v);
    assert_int_equal(el_writer_len(&w), el_varlong_len((int64_t)v));
    r = reader_of(out, el_writer_len(&w));
    assert_true(el_read_varlong(&r) == (int64_t)v);
    r = reader_of(out, el_writer_len(&w));
    int32_t narrow = el_read_varint(&r);
    if ((int64_t)v >= INT32_MIN && (int64_t)v <= INT32_MAX) {
        assert_int_equal(r.err, 0);
        assert_true(narrow == (int64_t)v);
    } else {
        assert_int_equal(r.err, EVLOG_ERR_MALFORMED);
    }
}

TEST(cursor, varints_go_there_and_back_at_every_edge)
{
    for (int bit = 0; bit < 64; bit++) {
        uint64_t v = 1ull << bit;
        check_varlong(v - 1);
        check_varlong(v);
        check_varlong(v + 1);
        check_varlong(0 - v);
        check_varlong(~v);
    }
    check_varlong(UINT64_MAX);
}

TEST(cursor, varints_equal_kafkas_examples)
{
    static const struct {
        int32_t value;
        uint8_t len;
        uint8_t bytes[5];
    } rows[] = {
        {0, 1, {0x00}},
        {-1, 1, {0x01}},
        {1, 1, {0x02}},
        {63, 1, {0x7e}},
        {-64, 1, {0x7f}},
        {64, 2, {0x80, 0x01}},
        {-65, 2, {0x81, 0x01}},
        {8191, 2, {0xfe, 0x7f}},
        {-8192, 2, {0xff, 0x7f}},
        {INT32_MAX, 5, {0xfe, 0xff, 0xff, 0xff, 0x0f}},
        {INT32_MIN, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[5];
        struct el_writer w;
        el_writer_init(&w, out, sizeof(out));
        el_write_varint(&w, rows[i].value);
        assert_int_equal(el_writer_len(&w), rows[i].len);
        assert_memory_equal(out, rows[i].bytes, rows[i].len);
        struct el_reader r = reader_of(out, rows[i].len);
        assert_int_equal(el_read_varint(&r), rows[i].value);
    }
}

TEST(cursor, varint_too_long_or_too_large_is_malformed)
{
    static const uint8_t six[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t bit_32[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    static const uint8_t all_32[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t bit_64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t needless_zeros[] = {0x81, 0x80, 0x80, 0x80, 0x00};
    struct el_reader r = reader_of(six, sizeof(six));
    assert_int_equal(el_read_uvarint(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_MALFORMED);
    assert_int_equal(el_reader_left(&r), 0);
    r = reader_of(bit_32, sizeof(bit_32));
    assert_int_equal(el_read_uvarint(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_MALFORMED);
    r = reader_of(all_32, sizeof(all_32));
    assert_int_equal(el_read_uvarint(&r), UINT32_MAX);
    r = reader_of(eleven, sizeof(eleven));
    assert_int_equal(el_read_uvarlong(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_MALFORMED);
    r = reader_of(bit_64, sizeof(bit_64));
    assert_int_equal(el_read_uvarlong(&r), 0);
    assert_int_equal(r.err, EVLOG_ERR_MALFORMED);
    r = reader_of(needless_zeros, sizeof(needless_zeros));
    assert_int_equal(el_read_uvarint(&r), 1);
    assert_int_equal(r.err, 0);
}

TEST(cursor, random_bytes_never_lead_outside)
{
    struct el_rng rng;
    el_rng_seed(&rng, 77);
    for (int round = 0; round < 20000; round++) {
        uint8_t data[24];
        size_t len = el_rng_below(&rng, sizeof(data) + 1);
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)el_rng_next(&rng);
        }
        struct el_reader r = reader_of(data, len);
        for (int i = 0; i < 8 && r.err == 0; i++) {
            switch (el_rng_below(&rng, 4)) {
            case 0:
                (void)el_read_uvarint(&r);
                break;
            case 1:
                (void)el_read_varlong(&r);
                break;
            case 2:
                (void)el_read_be32(&r);
                break;
            default:
                (void)el_read_bytes(&r, el_read_u8(&r));
            }
            assert_true(r.p >= data && r.p <= data + len);
        }
    }
}
