/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a journal group, its frames and the durable-end mark are read as they were written, and nothing that a disk can
 * do to them goes unnoticed.
 * Method: one group with every type of frame is cut at each length, flipped at each bit, and made to lie, field by
 * field, under a right checksum. Every reading is of an exact copy on the heap, so that a sanitizer sees a read past
 * its end.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <format/journal_layout.h>

#define GROUP_ROOM 4096
#define FRAME_COUNT 5

enum {
    POS_FORMAT = 8,
    POS_ALIGN = 10,
    POS_COUNT = 20,
    POS_SEQUENCE = 40,
    POS_LEN = 48,
    POS_DURABLE = 56,
    POS_CHECKSUM = 104
};
enum { FRAME_POS_TYPE = 0, FRAME_POS_LEN = 4 };

static const struct el_uuid topic = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static const struct el_group_header full_header = {
    .shard = 3,
    .slot = 7,
    .frame_count = FRAME_COUNT,
    .pos = 5 * EL_JOURNAL_ALIGN,
    .incarnation = 0x1122334455667788,
    .sequence = 1000,
    .durable_through = 998,
    .append_time_ns = 1700000000000000123,
    .previous_checksum = 0xfedcba9876543210,
    .parent_incarnation = 0x0f0e0d0c0b0a0908,
    .parent_sequence = 900,
    .boot = 12,
};

/* One frame of each type; payloads of 0, 1, 8, 13 and 64 bytes. */
static void frame_make(struct el_frame *frame, int index)
{
    static const uint8_t bytes[64] = "payloads are opaque to the journal, records or not";
    static const uint32_t lens[FRAME_COUNT] = {13, 64, 0, 1, 8};
    *frame = (struct el_frame){
        .type = (enum el_frame_type)(EL_FRAME_BATCH + index),
        .topic_id = topic,
        .partition = index == 0 ? -1 : index,
        .leader_epoch = 4 + index,
        .base_offset = INT64_MAX - index,
        .append_time_ns = UINT64_MAX - (uint64_t)index,
        .salt = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
                 (uint8_t)index},
        .payload = lens[index] == 0 ? NULL : bytes,
        .payload_len = lens[index],
    };
}

/* The group of this test in group[GROUP_ROOM]; the rest of the room holds what an older group left there. */
static void group_make(uint8_t *group, struct el_group_header *h)
{
    memset(group, 0xee, GROUP_ROOM);
    *h = full_header;
    size_t len = EL_GROUP_HEADER_LEN;
    for (int i = 0; i < FRAME_COUNT; i++) {
        struct el_frame frame;
        frame_make(&frame, i);
        len += el_frame_put(group + len, &frame);
    }
    h->len = (uint32_t)len;
    el_group_seal(group, h);
}

static int open_copy(const uint8_t *group, size_t len, bool whole)
{
    struct el_group_header h;
    uint8_t *copy = el_memdup(group, len);
    int err = el_group_open(copy, len, whole, &h);
    el_free(copy);
    return err;
}

/* Walk the frames of an exact copy of a group. returns their count or the error that ended the walk early */
static int walk_copy(const uint8_t *group, const struct el_group_header *h)
{
    uint8_t *copy = el_memdup(group, h->len);
    size_t pos = EL_GROUP_HEADER_LEN;
    struct el_frame frame;
    int count = 0;
    int err = el_frame_next(copy, h, &pos, &frame);
    for (; err == 0; err = el_frame_next(copy, h, &pos, &frame)) {
        assert_true(frame.payload >= copy);
        assert_true(frame.payload + frame.payload_len <= copy + h->len);
        count++;
    }
    assert_int_equal(err == EVLOG_ERR_NOT_FOUND, pos == h->len);
    el_free(copy);
    return err == EVLOG_ERR_NOT_FOUND ? count : err;
}

/* The group with a field of len bytes set to value and the checksum put right, as a hostile disk has it. */
static int open_with(size_t pos, size_t len, uint64_t value)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    memcpy(group + pos, &value, len);
    uint8_t head[EL_GROUP_HEADER_LEN + 8];
    memcpy(head, group, EL_GROUP_HEADER_LEN);
    memset(head + POS_CHECKSUM, 0, 8);
    el_put_le64(head + EL_GROUP_HEADER_LEN, el_xxh3(group + EL_GROUP_HEADER_LEN, h.len - EL_GROUP_HEADER_LEN));
    el_put_le64(group + POS_CHECKSUM, el_xxh3(head, sizeof(head)));
    return open_copy(group, sizeof(group), true);
}

/* --- groups ----------------------------------------------------------------------------------------------------- */

TEST(journal_layout, group_refuses_every_prefix)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    for (size_t len = 0; len < h.len; len++) {
        int wanted = len < EL_GROUP_HEADER_LEN ? EVLOG_ERR_NOT_FOUND : EVLOG_ERR_TRUNCATED;
        assert_int_equal(open_copy(group, len, true), wanted);
        assert_int_equal(open_copy(group, len, false), wanted);
    }
    assert_int_equal(open_copy(group, h.len, true), 0);
    assert_int_equal(open_copy(group, GROUP_ROOM, true), 0);
}

TEST(journal_layout, group_detects_a_flip_of_every_bit)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    for (size_t pos = 0; pos < h.len; pos++) {
        for (int bit = 0; bit < 8; bit++) {
            group[pos] ^= (uint8_t)(1 << bit);
            int err = open_copy(group, sizeof(group), true);
            if (pos < POS_FORMAT) {
                assert_int_equal(err, EVLOG_ERR_NOT_FOUND);
            } else if (pos < POS_ALIGN) {
                assert_int_equal(err, el_get_le16(group + POS_FORMAT) > EL_JOURNAL_FORMAT ? EVLOG_ERR_FORMAT
                                                                                          : EVLOG_ERR_CORRUPT);
            } else if (pos >= POS_LEN && pos < POS_LEN + 4) {
                assert_true(err == EVLOG_ERR_CORRUPT || err == EVLOG_ERR_TRUNCATED);
            } else {
                assert_int_equal(err, EVLOG_ERR_CORRUPT);
            }
            group[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(open_copy(group, h.len, true), 0);
}

TEST(journal_layout, group_ignores_what_lies_behind_it)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    for (size_t pos = h.len; pos < GROUP_ROOM; pos++) {
        group[pos] ^= 0xff;
    }
    assert_int_equal(open_copy(group, GROUP_ROOM, true), 0);
}

TEST(journal_layout, group_refuses_lies_under_a_right_checksum)
{
    assert_int_equal(open_with(POS_FORMAT, 2, EL_JOURNAL_FORMAT), 0);
    assert_int_equal(open_with(POS_FORMAT, 2, EL_JOURNAL_FORMAT + 1), EVLOG_ERR_FORMAT);
    assert_int_equal(open_with(POS_FORMAT, 2, 0), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_ALIGN, 2, 9), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_LEN, 4, 0), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_LEN, 4, EL_GROUP_HEADER_LEN - 1), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_LEN, 4, GROUP_ROOM + 1), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_LEN, 4, EL_GROUP_LEN_MAX), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_LEN, 4, EL_GROUP_LEN_MAX + 1), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_LEN, 4, UINT32_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_DURABLE, 8, full_header.sequence - 1), 0);
    assert_int_equal(open_with(POS_DURABLE, 8, full_header.sequence), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_DURABLE, 8, UINT64_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_SEQUENCE, 8, UINT64_MAX - 1), 0);
    assert_int_equal(open_with(POS_SEQUENCE, 8, UINT64_MAX), EVLOG_ERR_CORRUPT); /* no group can follow it */
}

/* Recovery looks at headers alone when it only wants to know which slot holds what. */
TEST(journal_layout, header_alone_is_read_without_the_checksum)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    group[h.len - 1] ^= 1;
    assert_int_equal(open_copy(group, h.len, true), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_copy(group, h.len, false), 0);
}

TEST(journal_layout, group_reads_back_every_field)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h, found;
    group_make(group, &h);
    assert_int_equal(el_group_open(group, h.len, true, &found), 0);
    assert_int_equal(found.shard, full_header.shard);
    assert_int_equal(found.slot, full_header.slot);
    assert_int_equal(found.frame_count, FRAME_COUNT);
    assert_true(found.pos == full_header.pos);
    assert_true(found.incarnation == full_header.incarnation);
    assert_true(found.sequence == full_header.sequence);
    assert_int_equal(found.len, h.len);
    assert_true(found.durable_through == full_header.durable_through);
    assert_true(found.append_time_ns == full_header.append_time_ns);
    assert_true(found.previous_checksum == full_header.previous_checksum);
    assert_true(found.parent_incarnation == full_header.parent_incarnation);
    assert_true(found.parent_sequence == full_header.parent_sequence);
    assert_true(found.boot == full_header.boot);
    assert_true(found.checksum == h.checksum);
}

TEST(journal_layout, group_without_frames_is_a_group)
{
    uint8_t group[EL_GROUP_HEADER_LEN];
    struct el_group_header h = full_header;
    h.frame_count = 0;
    h.len = EL_GROUP_HEADER_LEN;
    el_group_seal(group, &h);
    assert_int_equal(open_copy(group, sizeof(group), true), 0);
    assert_int_equal(walk_copy(group, &h), 0);
}

/* Every number at its place in little-endian order: the table of docs/format.md section 3.1, byte by byte. */
TEST(journal_layout, group_header_is_laid_out_as_specified)
{
    static const uint8_t wanted[POS_CHECKSUM] = {
        'E',  'V',  'L',  'O',  'G',  'G',  'R',  'P',                                                  /* magic */
        1,    0,    12,   0,    3,    0,    0,    0,    7,    0,    0,    0,    5,    0,    0,    0,    /* 8 */
        0,    0x50, 0,    0,    0,    0,    0,    0,    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* 24 */
        0xe8, 3,    0,    0,    0,    0,    0,    0,    0x10, 2,    0,    0,    0,    0,    0,    0,    /* 40 */
        0xe6, 3,    0,    0,    0,    0,    0,    0,    0x7b, 0x00, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17, /* 56 */
        0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, /* 72 */
        0x84, 3,    0,    0,    0,    0,    0,    0,    12,   0,    0,    0,    0,    0,    0,    0,    /* 88 */
    };
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    assert_memory_equal(group, wanted, sizeof(wanted));
}

/* --- frames ----------------------------------------------------------------------------------------------------- */

TEST(journal_layout, frames_refuse_lying_lengths)
{
    static const uint32_t lies[] = {14, 16, 17, 100, 4096, INT32_MAX, UINT32_MAX - 71, UINT32_MAX - 7, UINT32_MAX};
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    h.len = (uint32_t)(EL_GROUP_HEADER_LEN + el_frame_len(13)); /* the first frame alone */
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        el_put_le32(group + EL_GROUP_HEADER_LEN + FRAME_POS_LEN, lies[i]);
        int wanted = el_frame_len(lies[i]) == el_frame_len(13) ? 1 : EVLOG_ERR_CORRUPT;
        assert_int_equal(walk_copy(group, &h), wanted);
    }
}

TEST(journal_layout, frames_refuse_a_group_that_ends_inside_one)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    uint32_t full_len = h.len;
    size_t ends = EL_GROUP_HEADER_LEN;
    int whole_frames = 0;
    for (h.len = EL_GROUP_HEADER_LEN; h.len < full_len; h.len++) {
        struct el_frame frame;
        frame_make(&frame, whole_frames);
        if (h.len == ends + el_frame_len(frame.payload_len)) {
            ends = h.len;
            whole_frames++;
        }
        assert_int_equal(walk_copy(group, &h), h.len == ends ? whole_frames : EVLOG_ERR_CORRUPT);
    }
}

TEST(journal_layout, frames_refuse_unknown_types)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    for (int type = 0; type < 256; type++) {
        group[EL_GROUP_HEADER_LEN + FRAME_POS_TYPE] = (uint8_t)type;
        bool known = type >= EL_FRAME_BATCH && type <= EL_FRAME_PRODUCER_IDS;
        assert_int_equal(walk_copy(group, &h), known ? FRAME_COUNT : EVLOG_ERR_CORRUPT);
    }
}

TEST(journal_layout, a_refused_frame_moves_nothing)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    group[EL_GROUP_HEADER_LEN] = 0;
    size_t pos = EL_GROUP_HEADER_LEN;
    struct el_frame frame;
    assert_int_equal(el_frame_next(group, &h, &pos, &frame), EVLOG_ERR_CORRUPT);
    assert_int_equal(pos, EL_GROUP_HEADER_LEN);
}

TEST(journal_layout, frames_read_back_every_field)
{
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    struct el_frame frame, wanted;
    group_make(group, &h);
    size_t pos = EL_GROUP_HEADER_LEN;
    for (int i = 0; i < FRAME_COUNT; i++) {
        frame_make(&wanted, i);
        assert_int_equal(pos % 8, 0);
        assert_int_equal(el_frame_next(group, &h, &pos, &frame), 0);
        assert_int_equal(frame.type, wanted.type);
        assert_true(el_uuid_eq(&frame.topic_id, &wanted.topic_id));
        assert_int_equal(frame.partition, wanted.partition);
        assert_int_equal(frame.leader_epoch, wanted.leader_epoch);
        assert_true(frame.base_offset == wanted.base_offset);
        assert_true(frame.append_time_ns == wanted.append_time_ns);
        assert_memory_equal(frame.salt, wanted.salt, sizeof(wanted.salt));
        assert_int_equal(frame.payload_len, wanted.payload_len);
        if (wanted.payload_len > 0) {
            assert_memory_equal(frame.payload, wanted.payload, wanted.payload_len);
        }
    }
    assert_int_equal(el_frame_next(group, &h, &pos, &frame), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(pos, h.len);
}

TEST(journal_layout, frame_header_is_laid_out_as_specified)
{
    static const uint8_t wanted[] = {
        1,    0,    0,    0,    13,   0,    0,    0,                                                  /* type, length */
        1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   16, /* topic id */
        0xff, 0xff, 0xff, 0xff, 4,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, /* 24 */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, /* 40 */
        0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0,    'p',  'a',  'y',  'l',  'o',  'a',  'd',  's',  /* 56 */
        ' ',  'a',  'r',  'e',  ' ',  0,    0,    0,                                                    /* padding */
    };
    uint8_t group[GROUP_ROOM];
    struct el_group_header h;
    group_make(group, &h);
    assert_int_equal(sizeof(wanted), el_frame_len(13));
    assert_memory_equal(group + EL_GROUP_HEADER_LEN, wanted, sizeof(wanted));
}

/* Bytes that mean nothing never lead outside the group. */
TEST(journal_layout, random_frames_stay_inside_the_group)
{
    struct el_rng rng;
    el_rng_seed(&rng, 20240607);
    for (int round = 0; round < 2000; round++) {
        uint8_t group[512];
        struct el_group_header h = full_header;
        h.len = EL_GROUP_HEADER_LEN + (uint32_t)el_rng_below(&rng, sizeof(group) - EL_GROUP_HEADER_LEN + 1);
        for (size_t i = 0; i < sizeof(group); i++) {
            group[i] = (uint8_t)el_rng_next(&rng);
        }
        for (size_t pos = EL_GROUP_HEADER_LEN; pos + 8 <= sizeof(group); pos += 8) { /* lengths that might fit */
            group[pos] = (uint8_t)(1 + el_rng_below(&rng, 5));
            el_put_le32(group + pos + FRAME_POS_LEN, (uint32_t)el_rng_below(&rng, 96));
        }
        int count = walk_copy(group, &h);
        assert_true(count == EVLOG_ERR_CORRUPT || (count >= 0 && count <= 6));
    }
}

/* --- durable-end mark --------------------------------------------------------------------------------------------- */

TEST(journal_layout, mark_detects_a_flip_of_every_bit)
{
    uint8_t mark[EL_MARK_LEN];
    uint64_t incarnation = 1, sequence = 2;
    el_mark_put(mark, 3, 0x1122334455667788, 42);
    for (size_t pos = 0; pos < EL_MARK_LEN; pos++) {
        for (int bit = 0; bit < 8; bit++) {
            mark[pos] ^= (uint8_t)(1 << bit);
            assert_int_equal(el_mark_get(mark, 3, &incarnation, &sequence), EVLOG_ERR_CORRUPT);
            mark[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_true(incarnation == 1); /* written on success only */
    assert_true(sequence == 2);
    assert_int_equal(el_mark_get(mark, 3, &incarnation, &sequence), 0);
    assert_true(incarnation == 0x1122334455667788);
    assert_true(sequence == 42);
}

TEST(journal_layout, mark_of_another_shard_is_refused)
{
    uint8_t mark[EL_MARK_LEN];
    uint64_t incarnation, sequence;
    el_mark_put(mark, 3, 7, 42);
    assert_int_equal(el_mark_get(mark, 2, &incarnation, &sequence), EVLOG_ERR_CORRUPT);
    assert_int_equal(el_mark_get(mark, 0, &incarnation, &sequence), EVLOG_ERR_CORRUPT);
}

TEST(journal_layout, mark_is_laid_out_as_specified)
{
    static const uint8_t wanted[56] = {
        'E', 'V', 'L', 'O', 'G', 'M', 'R', 'K', 1,  0, 0, 0, 3, 0, 0, 0, /* 0 */
        7,   0,   0,   0,   0,   0,   0,   0,   42, 0, 0, 0, 0, 0, 0, 0, /* 16 */
    };
    uint8_t mark[EL_MARK_LEN];
    memset(mark, 0xee, sizeof(mark));
    el_mark_put(mark, 3, 7, 42);
    assert_memory_equal(mark, wanted, sizeof(wanted));
    assert_true(el_get_le64(mark + 56) == el_xxh3(mark, 56));
}

TEST(journal_layout, zeros_are_no_group_and_no_mark)
{
    uint8_t zeros[EL_JOURNAL_ALIGN] = {0};
    struct el_group_header h;
    uint64_t incarnation, sequence;
    assert_int_equal(el_group_open(zeros, sizeof(zeros), true, &h), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(el_mark_get(zeros, 0, &incarnation, &sequence), EVLOG_ERR_CORRUPT);
}
