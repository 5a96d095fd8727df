/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: file header, chunks and footer of a segment are read as they were written, and nothing that a disk can do to
 * them goes unnoticed.
 * Method: one of each is flipped at each bit and made to lie, field by field, under a right checksum. Readings are of
 * exact copies on the heap, so that a sanitizer sees a read past the end.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/segment_layout.h>

#define COUNT 3
#define TABLE_LEN (EL_CHUNK_HEADER_LEN + COUNT * EL_CHUNK_ENTRY_LEN)
#define SECTION_HEAD_LEN 16u
#define FOOTER_HEAD_LEN 16u

enum { CHUNK_POS_COUNT = 28, CHUNK_POS_DATA_LEN = 48, CHUNK_POS_CHECKSUM = 56 };
enum { ENTRY_POS_OFFSET = 8, ENTRY_POS_LEN = 20, ENTRY_POS_CHECKSUM = 40, ENTRY_POS_DELTA = 56 };

static const struct el_uuid topic = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* --- file header ------------------------------------------------------------------------------------------------- */

static const struct el_segment_header file_header = {
    .topic_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    .partition = 5,
    .segment_id = 6,
    .base_offset = 0x123456789abc,
    .generation = 0x1122334455667788,
    .previous_id = 4,
    .previous_generation = 0xfedcba9876543210,
};

TEST(segment_layout, file_header_detects_a_flip_of_every_bit)
{
    uint8_t bytes[EL_SEGMENT_HEADER_LEN];
    struct el_segment_header h;
    memset(bytes, 0xee, sizeof(bytes));
    el_segment_header_put(bytes, &file_header);
    for (size_t pos = 0; pos < sizeof(bytes); pos++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[pos] ^= (uint8_t)(1 << bit);
            int wanted = pos >= 8 && pos < 12 && el_get_le32(bytes + 8) > EL_SEGMENT_FORMAT ? EVLOG_ERR_FORMAT
                                                                                            : EVLOG_ERR_CORRUPT;
            assert_int_equal(el_segment_header_get(bytes, &h), wanted);
            bytes[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(el_segment_header_get(bytes, &h), 0);
}

TEST(segment_layout, file_header_of_another_format_is_refused)
{
    uint8_t bytes[EL_SEGMENT_HEADER_LEN];
    struct el_segment_header h;
    el_segment_header_put(bytes, &file_header);
    el_put_le32(bytes + 8, EL_SEGMENT_FORMAT + 1);
    el_put_le64(bytes + 120, el_xxh3(bytes, 120));
    assert_int_equal(el_segment_header_get(bytes, &h), EVLOG_ERR_FORMAT);
    el_put_le32(bytes + 8, 0);
    el_put_le64(bytes + 120, el_xxh3(bytes, 120));
    assert_int_equal(el_segment_header_get(bytes, &h), EVLOG_ERR_CORRUPT);
}

TEST(segment_layout, file_header_reads_back_every_field)
{
    uint8_t bytes[EL_SEGMENT_HEADER_LEN];
    struct el_segment_header h;
    el_segment_header_put(bytes, &file_header);
    assert_int_equal(el_segment_header_get(bytes, &h), 0);
    assert_true(el_uuid_eq(&h.topic_id, &topic));
    assert_int_equal(h.partition, 5);
    assert_true(h.segment_id == 6);
    assert_true(h.base_offset == 0x123456789abc);
    assert_true(h.generation == 0x1122334455667788);
    assert_true(h.previous_id == 4);
    assert_true(h.previous_generation == 0xfedcba9876543210);
}

TEST(segment_layout, file_header_is_laid_out_as_specified)
{
    static const uint8_t wanted[120] = {
        'E',  'V',  'L',  'O',  'G',  'S',  'E',  'G',  1,    0,    0,    0,    5,    0,    0,  0,  /* 0 */
        1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15, 16, /* 16 */
        6,    0,    0,    0,    0,    0,    0,    0,    0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 0,  0,  /* 32 */
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 4,    0,    0,    0,    0,    0,    0,  0,  /* 48 */
        0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,                                             /* 64 */
    };
    uint8_t bytes[EL_SEGMENT_HEADER_LEN];
    memset(bytes, 0xee, sizeof(bytes));
    el_segment_header_put(bytes, &file_header);
    assert_memory_equal(bytes, wanted, sizeof(wanted));
    assert_true(el_get_le64(bytes + 120) == el_xxh3(bytes, 120));
}

/* --- chunks ------------------------------------------------------------------------------------------------------ */

/* Three batches of 70, 100 and 61 bytes; offsets 10..12, 13..13 and, behind a hole, 20..21. */
static void entry_make(struct el_chunk_entry *e, int index)
{
    static const uint32_t lens[COUNT] = {70, 100, 61};
    static const int64_t offsets[COUNT] = {10, 13, 20};
    static const uint32_t deltas[COUNT] = {2, 0, 1};
    *e = (struct el_chunk_entry){
        .append_time_ns = 1000u + (uint64_t)index,
        .base_offset = offsets[index],
        .leader_epoch = 7 + index,
        .len = lens[index],
        .salt = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
                 (uint8_t)index},
        .checksum = 0x1111111111111111u * (uint64_t)(index + 1),
        .max_timestamp_ms = index == 1 ? -1 : 1700000000000 + index,
        .last_offset_delta = deltas[index],
        .cleaned_s = index == 1 ? 0x01020304 : 0,
    };
}

static void chunk_make(uint8_t *table, struct el_chunk_header *h)
{
    *h = (struct el_chunk_header){topic, 5, COUNT, 6, EL_SEGMENT_HEADER_LEN, 0};
    for (int i = 0; i < COUNT; i++) {
        struct el_chunk_entry e;
        entry_make(&e, i);
        el_chunk_entry_put(table + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        h->data_len += e.len;
    }
    el_chunk_seal(table, h);
}

/* Read header and table as a reader of a file does: the claimed table must lie inside what there is. */
static int chunk_read(const uint8_t *table, size_t len)
{
    uint8_t *copy = el_memdup(table, len);
    struct el_chunk_header h;
    int err = el_chunk_header_get(copy, &h);
    if (err == 0) {
        err = el_chunk_len(h.count, 0) > len ? EVLOG_ERR_CORRUPT : el_chunk_check(copy, &h);
    }
    el_free(copy);
    return err;
}

/* Whatever byte is wrong, one guess is right. */
TEST(segment_layout, length_of_a_damaged_chunk_can_be_guessed)
{
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h;
    chunk_make(table, &h);
    uint64_t right = el_chunk_len(h.count, h.data_len);
    for (size_t bit = 0; bit < TABLE_LEN * 8; bit++) {
        uint64_t guesses[EL_CHUNK_GUESSES];
        table[bit / 8] ^= (uint8_t)(1u << bit % 8);
        el_chunk_guess(table, TABLE_LEN, guesses);
        assert_true(guesses[0] == right || guesses[1] == right || guesses[2] == right);
        table[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    uint64_t guesses[EL_CHUNK_GUESSES];
    el_chunk_guess(table, EL_CHUNK_HEADER_LEN, guesses); /* nothing of the table is there */
    assert_int_equal(guesses[0], right);
    assert_int_equal(guesses[1] + guesses[2], 0);
}

TEST(segment_layout, chunk_detects_a_flip_of_every_bit)
{
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h;
    chunk_make(table, &h);
    for (size_t pos = 0; pos < sizeof(table); pos++) {
        for (int bit = 0; bit < 8; bit++) {
            table[pos] ^= (uint8_t)(1 << bit);
            assert_int_equal(chunk_read(table, sizeof(table)), EVLOG_ERR_CORRUPT);
            table[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(chunk_read(table, sizeof(table)), 0);
}

TEST(segment_layout, chunk_header_refuses_counts_and_lengths_beyond_the_limits)
{
    static const uint32_t counts[] = {0, EL_CHUNK_COUNT_MAX + 1, INT32_MAX, UINT32_MAX};
    static const uint32_t lens[] = {EL_CHUNK_DATA_MAX + 1, INT32_MAX, UINT32_MAX};
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        chunk_make(table, &h);
        el_put_le32(table + CHUNK_POS_COUNT, counts[i]);
        assert_int_equal(el_chunk_header_get(table, &h), EVLOG_ERR_CORRUPT);
    }
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        chunk_make(table, &h);
        el_put_le32(table + CHUNK_POS_DATA_LEN, lens[i]);
        assert_int_equal(el_chunk_header_get(table, &h), EVLOG_ERR_CORRUPT);
    }
    chunk_make(table, &h);
    el_put_le32(table + CHUNK_POS_COUNT, EL_CHUNK_COUNT_MAX);
    el_put_le32(table + CHUNK_POS_DATA_LEN, EL_CHUNK_DATA_MAX);
    assert_int_equal(el_chunk_header_get(table, &h), 0); /* for the caller to compare with what is left of the file */
}

/* The chunk with one field of entry `index` replaced, under a right checksum. */
static int chunk_with(int index, size_t pos, size_t len, uint64_t value)
{
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h;
    chunk_make(table, &h);
    memcpy(table + EL_CHUNK_HEADER_LEN + (size_t)index * EL_CHUNK_ENTRY_LEN + pos, &value, len);
    el_chunk_seal(table, &h);
    return chunk_read(table, sizeof(table));
}

TEST(segment_layout, chunk_refuses_lengths_that_do_not_add_up)
{
    assert_int_equal(chunk_with(1, ENTRY_POS_LEN, 4, 100), 0);
    assert_int_equal(chunk_with(1, ENTRY_POS_LEN, 4, 99), EVLOG_ERR_CORRUPT);
    assert_int_equal(chunk_with(1, ENTRY_POS_LEN, 4, 101), EVLOG_ERR_CORRUPT);
    assert_int_equal(chunk_with(1, ENTRY_POS_LEN, 4, 0), EVLOG_ERR_CORRUPT);
    assert_int_equal(chunk_with(1, ENTRY_POS_LEN, 4, UINT32_MAX), EVLOG_ERR_CORRUPT);
}

/* A sum that is right only in 32 bits is wrong. */
TEST(segment_layout, chunk_sums_lengths_without_wrapping)
{
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h;
    chunk_make(table, &h);
    el_put_le32(table + EL_CHUNK_HEADER_LEN + ENTRY_POS_LEN, UINT32_MAX);
    el_put_le32(table + EL_CHUNK_HEADER_LEN + EL_CHUNK_ENTRY_LEN + ENTRY_POS_LEN, 70 + 100 + 1);
    el_chunk_seal(table, &h);
    assert_int_equal(chunk_read(table, sizeof(table)), EVLOG_ERR_CORRUPT);
}

TEST(segment_layout, chunk_refuses_offsets_out_of_order)
{
    assert_int_equal(chunk_with(0, ENTRY_POS_OFFSET, 8, 0), 0);
    assert_int_equal(chunk_with(0, ENTRY_POS_OFFSET, 8, UINT64_MAX), EVLOG_ERR_CORRUPT);        /* -1 */
    assert_int_equal(chunk_with(0, ENTRY_POS_OFFSET, 8, (uint64_t)1 << 63), EVLOG_ERR_CORRUPT); /* the least */
    assert_int_equal(chunk_with(1, ENTRY_POS_OFFSET, 8, 12), EVLOG_ERR_CORRUPT); /* overlaps the batch before */
    assert_int_equal(chunk_with(1, ENTRY_POS_OFFSET, 8, 19), 0);
    assert_int_equal(chunk_with(1, ENTRY_POS_OFFSET, 8, 20), EVLOG_ERR_CORRUPT);
    assert_int_equal(chunk_with(0, ENTRY_POS_DELTA, 4, 3), EVLOG_ERR_CORRUPT);
    assert_int_equal(chunk_with(2, ENTRY_POS_DELTA, 4, INT32_MAX), 0);
    assert_int_equal(chunk_with(2, ENTRY_POS_DELTA, 4, (uint64_t)INT32_MAX + 1), EVLOG_ERR_CORRUPT);
}

/* The offset behind a batch must be a number as well. */
TEST(segment_layout, chunk_refuses_offsets_past_the_largest)
{
    assert_int_equal(chunk_with(2, ENTRY_POS_OFFSET, 8, INT64_MAX - 2), 0); /* last INT64_MAX - 1 */
    assert_int_equal(chunk_with(2, ENTRY_POS_OFFSET, 8, INT64_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(chunk_with(1, ENTRY_POS_OFFSET, 8, INT64_MAX), EVLOG_ERR_CORRUPT);
}

TEST(segment_layout, chunk_reads_back_every_field)
{
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h, found;
    struct el_chunk_entry e, wanted;
    chunk_make(table, &h);
    assert_int_equal(el_chunk_header_get(table, &found), 0);
    assert_true(el_uuid_eq(&found.topic_id, &topic));
    assert_int_equal(found.partition, 5);
    assert_int_equal(found.count, COUNT);
    assert_true(found.segment_id == 6);
    assert_true(found.pos == EL_SEGMENT_HEADER_LEN);
    assert_int_equal(found.data_len, 231);
    for (int i = 0; i < COUNT; i++) {
        entry_make(&wanted, i);
        el_chunk_entry_get(table + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        assert_true(e.append_time_ns == wanted.append_time_ns);
        assert_true(e.base_offset == wanted.base_offset);
        assert_int_equal(e.leader_epoch, wanted.leader_epoch);
        assert_int_equal(e.len, wanted.len);
        assert_memory_equal(e.salt, wanted.salt, 16);
        assert_true(e.checksum == wanted.checksum);
        assert_true(e.max_timestamp_ms == wanted.max_timestamp_ms);
        assert_int_equal(e.last_offset_delta, wanted.last_offset_delta);
        assert_int_equal(e.cleaned_s, wanted.cleaned_s);
    }
}

TEST(segment_layout, chunk_is_laid_out_as_specified)
{
    static const uint8_t wanted[TABLE_LEN - CHUNK_POS_CHECKSUM] = {
        'E', 'V', 'L', 'O', 'G', 'C', 'H', 'K', 1,    2, 3, 4, 5, 6, 7, 8, /* 0 */
        9,   10,  11,  12,  13,  14,  15,  16,  5,    0, 0, 0, 3, 0, 0, 0, /* 16 */
        6,   0,   0,   0,   0,   0,   0,   0,   0x80, 0, 0, 0, 0, 0, 0, 0, /* 32 */
        231, 0,   0,   0,   0,   0,   0,   0,                              /* 48 */
    };
    static const uint8_t wanted_entry[EL_CHUNK_ENTRY_LEN] = {
        0xe9, 3,    0,    0,    0,    0,    0,    0,    13,   0,    0,    0,    0,    0,    0,    0,    /* 0 */
        8,    0,    0,    0,    100,  0,    0,    0,    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, /* 16 */
        0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 1,    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, /* 32 */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    4,    3,    2,    1,    /* 48 */
    };
    uint8_t table[TABLE_LEN];
    struct el_chunk_header h;
    memset(table, 0xee, sizeof(table));
    chunk_make(table, &h);
    assert_memory_equal(table, wanted, CHUNK_POS_CHECKSUM);
    assert_memory_equal(table + EL_CHUNK_HEADER_LEN + EL_CHUNK_ENTRY_LEN, wanted_entry, sizeof(wanted_entry));
    uint8_t head[EL_CHUNK_HEADER_LEN];
    memcpy(head, wanted, CHUNK_POS_CHECKSUM);
    el_put_le64(head + CHUNK_POS_CHECKSUM, el_xxh3(table + EL_CHUNK_HEADER_LEN, TABLE_LEN - EL_CHUNK_HEADER_LEN));
    assert_true(el_get_le64(table + CHUNK_POS_CHECKSUM) == el_xxh3(head, sizeof(head)));
}

/* --- footer ------------------------------------------------------------------------------------------------------ */

#define INDEX_COUNT 2
#define FOOTER_POS 5000u

static const struct el_index_entry chunk_index[INDEX_COUNT] = {
    {10, 128, 1700000000000, 1000, 487},
    {22, 615, 1700000000009, 2000, 4385},
};
static const uint8_t digest[32] = {0xd0, 0xd1, 0xd2, 0xd3, 0xd4};

/* Footer and trailer of a file of FOOTER_POS bytes and this, in buf[512]; returns their length. */
static size_t footer_make(uint8_t *buf)
{
    memset(buf, 0xee, 512);
    el_footer_put(buf, FOOTER_POS, chunk_index, INDEX_COUNT, digest);
    return el_footer_len(INDEX_COUNT, true);
}

/* Find a section as a reader of a file does, from the file's last bytes on. */
static int section_read(const uint8_t *buf, size_t len, uint32_t tag, size_t *section_len)
{
    uint64_t pos, footer_len, checksum;
    uint8_t *trailer = el_memdup(buf + len - EL_SEGMENT_TRAILER_LEN, EL_SEGMENT_TRAILER_LEN);
    int err = el_trailer_get(trailer, FOOTER_POS + len, &pos, &footer_len, &checksum);
    el_free(trailer);
    if (err != 0) {
        return err;
    }
    if (pos != FOOTER_POS || footer_len != len - EL_SEGMENT_TRAILER_LEN) { /* known from the chunks before it */
        return EVLOG_ERR_CORRUPT;
    }
    struct el_slice section;
    uint8_t *footer = el_memdup(buf, (size_t)footer_len);
    err = el_footer_section(footer, (size_t)footer_len, checksum, tag, &section);
    if (err == 0) {
        assert_true(section.data >= footer);
        assert_true(section.data + section.len <= footer + footer_len);
        *section_len = section.len;
    }
    el_free(footer);
    return err;
}

TEST(segment_layout, footer_detects_a_flip_of_every_bit)
{
    uint8_t buf[512];
    size_t section_len = 0;
    size_t len = footer_make(buf);
    for (size_t pos = 0; pos < len; pos++) {
        for (int bit = 0; bit < 8; bit++) {
            buf[pos] ^= (uint8_t)(1 << bit);
            assert_int_equal(section_read(buf, len, EL_FOOTER_INDEX_TAG, &section_len), EVLOG_ERR_CORRUPT);
            buf[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(section_read(buf, len, EL_FOOTER_INDEX_TAG, &section_len), 0);
    assert_int_equal(section_len, INDEX_COUNT * EL_INDEX_ENTRY_LEN);
    assert_int_equal(section_read(buf, len, EL_FOOTER_SHA256_TAG, &section_len), 0);
    assert_int_equal(section_len, 32);
    assert_int_equal(section_read(buf, len, 3, &section_len), EVLOG_ERR_NOT_FOUND);
}

TEST(segment_layout, trailer_refuses_every_other_file_length)
{
    uint8_t buf[512];
    uint64_t pos, footer_len, checksum;
    size_t len = footer_make(buf);
    const uint8_t *trailer = buf + len - EL_SEGMENT_TRAILER_LEN;
    for (uint64_t file_len = 0; file_len < FOOTER_POS + 2 * len; file_len++) {
        int wanted = file_len == FOOTER_POS + len ? 0 : EVLOG_ERR_CORRUPT;
        assert_int_equal(el_trailer_get(trailer, file_len, &pos, &footer_len, &checksum), wanted);
    }
    assert_int_equal(el_trailer_get(trailer, UINT64_MAX, &pos, &footer_len, &checksum), EVLOG_ERR_CORRUPT);
}

TEST(segment_layout, trailer_refuses_positions_and_lengths_that_wrap)
{
    uint8_t trailer[EL_SEGMENT_TRAILER_LEN] = {0};
    uint64_t pos, footer_len, checksum;
    memcpy(trailer + 24, "EVLOGEND", 8);
    static const uint64_t pairs[][2] = {
        {0, UINT64_MAX},         {UINT64_MAX, 1000}, {1000 - 32 - 16, 15},
        {UINT64_MAX - 31, 1000}, {1000 - 32, 0},     {969, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        el_put_le64(trailer, pairs[i][0]);
        el_put_le64(trailer + 8, pairs[i][1]);
        assert_int_equal(el_trailer_get(trailer, 1000, &pos, &footer_len, &checksum), EVLOG_ERR_CORRUPT);
    }
    el_put_le64(trailer, 1000 - 32 - 16);
    el_put_le64(trailer + 8, 16);
    assert_int_equal(el_trailer_get(trailer, 1000, &pos, &footer_len, &checksum), 0);
}

static int section_in(const uint8_t *footer, size_t len, uint32_t tag)
{
    struct el_slice section;
    uint8_t *copy = el_memdup(footer, len);
    int err = el_footer_section(copy, len, el_xxh3(copy, len), tag, &section);
    el_free(copy);
    return err;
}

/* A right checksum over a footer that lies about its sections. */
TEST(segment_layout, footer_refuses_lying_sections)
{
    static const uint64_t lies[] = {33, 48, 1000, UINT32_MAX, INT64_MAX, UINT64_MAX - 15, UINT64_MAX};
    uint8_t buf[512];
    size_t len = footer_make(buf) - EL_SEGMENT_TRAILER_LEN;
    uint8_t *second = buf + FOOTER_HEAD_LEN + SECTION_HEAD_LEN + INDEX_COUNT * EL_INDEX_ENTRY_LEN;
    assert_int_equal(el_get_le32(second), EL_FOOTER_SHA256_TAG);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        el_put_le64(second + 8, lies[i]);
        assert_int_equal(section_in(buf, len, EL_FOOTER_SHA256_TAG), EVLOG_ERR_CORRUPT);
        assert_int_equal(section_in(buf, len, EL_FOOTER_INDEX_TAG), 0); /* lies before it */
    }
    el_put_le64(second + 8, 32);
    el_put_le32(buf + 8, 1);
    assert_int_equal(section_in(buf, len, EL_FOOTER_SHA256_TAG), EVLOG_ERR_NOT_FOUND);
    el_put_le32(buf + 8, UINT32_MAX);
    assert_int_equal(section_in(buf, len, EL_FOOTER_SHA256_TAG), 0);
    assert_int_equal(section_in(buf, len, 9), EVLOG_ERR_CORRUPT);
}

TEST(segment_layout, footer_refuses_every_prefix)
{
    uint8_t buf[512];
    size_t len = footer_make(buf) - EL_SEGMENT_TRAILER_LEN;
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(section_in(buf, cut, EL_FOOTER_SHA256_TAG), EVLOG_ERR_CORRUPT);
    }
    assert_int_equal(section_in(buf, len, EL_FOOTER_SHA256_TAG), 0);
}

TEST(segment_layout, footer_sections_of_unknown_tags_are_skipped)
{
    uint8_t footer[FOOTER_HEAD_LEN + 2 * SECTION_HEAD_LEN + 5 + 32] = "EVLOGFTR";
    struct el_slice section;
    uint8_t *p = footer + FOOTER_HEAD_LEN;
    el_put_le32(footer + 8, 2);
    el_put_le32(p, 4711);
    el_put_le64(p + 8, 5);
    p += SECTION_HEAD_LEN + 5;
    el_put_le32(p, EL_FOOTER_SHA256_TAG);
    el_put_le64(p + 8, 32);
    memcpy(p + SECTION_HEAD_LEN, digest, 32);
    uint64_t checksum = el_xxh3(footer, sizeof(footer));
    assert_int_equal(el_footer_section(footer, sizeof(footer), checksum, EL_FOOTER_SHA256_TAG, &section), 0);
    assert_memory_equal(section.data, digest, 32);
}

TEST(segment_layout, index_reads_back_every_field)
{
    uint8_t buf[512];
    footer_make(buf);
    for (size_t i = 0; i < INDEX_COUNT; i++) {
        struct el_index_entry e;
        el_index_entry_get(buf + FOOTER_HEAD_LEN + SECTION_HEAD_LEN + i * EL_INDEX_ENTRY_LEN, &e);
        assert_memory_equal(&e, &chunk_index[i], sizeof(e));
    }
}

TEST(segment_layout, footer_is_laid_out_as_specified)
{
    static const uint8_t wanted[] = {
        'E',  'V',  'L',  'O',  'G',  'F', 'T', 'R', 2,    0, 0, 0, 0, 0, 0, 0, /* head */
        1,    0,    0,    0,    0,    0,   0,   0,   80,   0, 0, 0, 0, 0, 0, 0, /* section 1, 80 bytes */
        10,   0,    0,    0,    0,    0,   0,   0,   128,  0, 0, 0, 0, 0, 0, 0, /* offset, position */
        0,    0x68, 0xe5, 0xcf, 0x8b, 1,   0,   0,   0xe8, 3, 0, 0, 0, 0, 0, 0, /* event time, append time */
        0xe7, 1,    0,    0,    0,    0,   0,   0,                              /* length */
    };
    uint8_t buf[512];
    size_t len = footer_make(buf);
    assert_int_equal(len, 16 + 16 + 80 + 16 + 32 + 32);
    assert_memory_equal(buf, wanted, sizeof(wanted));
    assert_int_equal(el_get_le32(buf + 112), EL_FOOTER_SHA256_TAG);
    assert_int_equal(el_get_le64(buf + 120), 32);
    assert_memory_equal(buf + 128, digest, 32);
    assert_int_equal(el_get_le64(buf + 160), FOOTER_POS);
    assert_int_equal(el_get_le64(buf + 168), 160);
    assert_true(el_get_le64(buf + 176) == el_xxh3(buf, 160));
    assert_memory_equal(buf + 184, "EVLOGEND", 8);
    assert_int_equal(buf[192], 0xee);
}
