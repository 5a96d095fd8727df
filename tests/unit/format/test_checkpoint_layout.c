/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a checkpoint is read as it was written, and nothing that a disk can do to it goes unnoticed.
 * Method: a base with an entry that has everything is cut at each length, flipped at each bit, and made to lie, field
 * by field, under right checksums. Readings are of exact copies on the heap, so that a sanitizer sees a read past the
 * end.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/checkpoint_layout.h>

#define FILE_ROOM 1024
#define EPOCH_COUNT 2
#define SEGMENT_COUNT 2
#define PRODUCER_COUNT 2

enum {
    POS_FORMAT = 8,
    POS_SEQUENCE = 16,
    POS_KIND = 24,
    POS_CUT = 48,
    POS_BODY_LEN = 72,
    POS_BODY_SUM = 80,
    POS_ZERO = 104,
    POS_SUM = 120
};

static const struct el_checkpoint_header full_header = {
    .shard = 3,
    .sequence = 77,
    .kind = EL_CHECKPOINT_DELTA,
    .entry_count = 2,
    .base_sequence = 70,
    .incarnation = 0x1122334455667788,
    .cut = 1234,
    .clock_ns = 1700000000000000123,
    .producer_counter = 4096,
    .delta_len = 9999,
    .previous_cut = 1200,
};
static const struct el_checkpoint_entry entries[2] = {
    {.topic_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
     .partition = 5,
     .log_start = 10,
     .next_offset = 1000,
     .segment_end = 900,
     .next_segment_id = 8,
     .clean_end = 78,
     .epoch_count = EPOCH_COUNT,
     .segment_count = SEGMENT_COUNT,
     .producer_count = PRODUCER_COUNT},
    {.topic_id = {{16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
     .partition = INT32_MAX,
     .flags = EL_CHECKPOINT_ENTRY_ARCHIVED,
     .log_start = INT64_MAX - 1,
     .next_offset = INT64_MAX,
     .segment_end = INT64_MAX,
     .next_segment_id = UINT64_MAX,
     .clean_end = INT64_MAX},
};
static const struct el_checkpoint_epoch epochs[EPOCH_COUNT] = {{1, 0}, {65537, 500}};
static const struct el_checkpoint_segment segments[SEGMENT_COUNT] = {
    {.id = 6,
     .base_offset = 10,
     .end_offset = 600,
     .len = 123456,
     .max_timestamp_ms = -5,
     .first_append_ns = 100,
     .last_append_ns = 200,
     .generation = 0xaabb,
     .created_ns = 99,
     .flags = EL_CHECKPOINT_SEGMENT_SEALED | EL_CHECKPOINT_SEGMENT_COMPACTED,
     .tombstones_s = 77},
    {.id = 7,
     .base_offset = 600,
     .end_offset = 900,
     .len = 654,
     .max_timestamp_ms = 1700000000000,
     .first_append_ns = 201,
     .last_append_ns = 300,
     .generation = 0xccdd,
     .created_ns = 201,
     .flags = EL_CHECKPOINT_SEGMENT_REMOVED},
};
static const struct el_checkpoint_producer producers[PRODUCER_COUNT] = {{4711, 3, 2, 300}, {INT64_MAX, -1, 1, 250}};
static const struct el_checkpoint_batch batches[3] = {{0, 4, 700, 280}, {5, INT32_MAX, 705, 300}, {7, 7, 650, 250}};

static void body_put(struct el_writer *w)
{
    int batch = 0;
    el_checkpoint_entry_put(w, &entries[0]);
    for (int i = 0; i < EPOCH_COUNT; i++) {
        el_checkpoint_epoch_put(w, &epochs[i]);
    }
    for (int i = 0; i < SEGMENT_COUNT; i++) {
        el_checkpoint_segment_put(w, &segments[i]);
    }
    for (int i = 0; i < PRODUCER_COUNT; i++) {
        el_checkpoint_producer_put(w, &producers[i]);
        for (int k = 0; k < producers[i].batch_count; k++) {
            el_checkpoint_batch_put(w, &batches[batch++]);
        }
    }
    el_checkpoint_entry_put(w, &entries[1]);
}

/* The file of this test in file[FILE_ROOM]; returns its length. */
static size_t file_make(uint8_t *file)
{
    struct el_writer w;
    memset(file, 0xee, FILE_ROOM);
    el_writer_init(&w, file + EL_CHECKPOINT_HEADER_LEN, FILE_ROOM - EL_CHECKPOINT_HEADER_LEN);
    body_put(&w);
    assert_int_equal(w.err, 0);
    struct el_checkpoint_header h = full_header;
    h.body_len = el_writer_len(&w);
    el_checkpoint_seal(file, &h);
    return EL_CHECKPOINT_HEADER_LEN + el_writer_len(&w);
}

static int open_copy(const uint8_t *file, size_t len)
{
    struct el_checkpoint_header h;
    uint8_t *copy = el_memdup(file, len);
    int err = el_checkpoint_open(copy, len, &h);
    el_free(copy);
    return err;
}

/* The file with a header field replaced and the header's checksum put right. */
static int open_with(size_t pos, size_t len, uint64_t value)
{
    uint8_t file[FILE_ROOM];
    size_t file_len = file_make(file);
    memcpy(file + pos, &value, len);
    el_put_le64(file + POS_SUM, el_xxh3(file, POS_SUM));
    return open_copy(file, file_len);
}

/* --- file -------------------------------------------------------------------------------------------------------- */

TEST(checkpoint_layout, open_refuses_every_prefix_and_every_surplus)
{
    uint8_t file[FILE_ROOM];
    size_t file_len = file_make(file);
    for (size_t len = 0; len < FILE_ROOM; len++) {
        assert_int_equal(open_copy(file, len), len == file_len ? 0 : EVLOG_ERR_TRUNCATED);
    }
}

TEST(checkpoint_layout, open_detects_a_flip_of_every_bit)
{
    uint8_t file[FILE_ROOM];
    size_t len = file_make(file);
    for (size_t pos = 0; pos < len; pos++) {
        for (int bit = 0; bit < 8; bit++) {
            file[pos] ^= (uint8_t)(1 << bit);
            bool newer = pos >= POS_FORMAT && pos < POS_FORMAT + 4 &&
                         el_get_le32(file + POS_FORMAT) > EL_CHECKPOINT_FORMAT;
            assert_int_equal(open_copy(file, len), newer ? EVLOG_ERR_FORMAT : EVLOG_ERR_CORRUPT);
            file[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(open_copy(file, len), 0);
}

TEST(checkpoint_layout, open_refuses_lies_under_a_right_checksum)
{
    uint8_t file[FILE_ROOM];
    uint64_t body_len = file_make(file) - EL_CHECKPOINT_HEADER_LEN;
    assert_int_equal(open_with(POS_FORMAT, 4, EL_CHECKPOINT_FORMAT), 0);
    assert_int_equal(open_with(POS_FORMAT, 4, EL_CHECKPOINT_FORMAT + 1), EVLOG_ERR_FORMAT);
    assert_int_equal(open_with(POS_FORMAT, 4, 0), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_KIND, 4, EL_CHECKPOINT_BASE), 0);
    assert_int_equal(open_with(POS_KIND, 4, 2), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_KIND, 4, UINT32_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_BODY_LEN, 8, 0), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_BODY_LEN, 8, body_len - 1), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_BODY_LEN, 8, body_len + 1), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_BODY_LEN, 8, UINT64_MAX), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_BODY_LEN, 8, UINT64_MAX - EL_CHECKPOINT_HEADER_LEN + 1), EVLOG_ERR_TRUNCATED);
    assert_int_equal(open_with(POS_BODY_SUM, 8, 0), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_SEQUENCE, 8, UINT64_MAX), EVLOG_ERR_CORRUPT); /* nothing can follow it */
    assert_int_equal(open_with(POS_CUT, 8, UINT64_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_with(POS_CUT, 8, UINT64_MAX - 1), 0);
}

TEST(checkpoint_layout, header_reads_back_every_field)
{
    uint8_t file[FILE_ROOM];
    struct el_checkpoint_header h;
    size_t len = file_make(file);
    assert_int_equal(el_checkpoint_open(file, len, &h), 0);
    assert_int_equal(h.shard, full_header.shard);
    assert_true(h.sequence == full_header.sequence);
    assert_int_equal(h.kind, full_header.kind);
    assert_int_equal(h.entry_count, full_header.entry_count);
    assert_true(h.base_sequence == full_header.base_sequence);
    assert_true(h.incarnation == full_header.incarnation);
    assert_true(h.cut == full_header.cut);
    assert_true(h.clock_ns == full_header.clock_ns);
    assert_true(h.producer_counter == full_header.producer_counter);
    assert_int_equal(h.body_len, len - EL_CHECKPOINT_HEADER_LEN);
    assert_true(h.delta_len == full_header.delta_len);
    assert_true(h.previous_cut == full_header.previous_cut);
}

TEST(checkpoint_layout, header_is_laid_out_as_specified)
{
    static const uint8_t wanted[POS_BODY_LEN] = {
        'E',  'V',  'L', 'O', 'G', 'C', 'K', 'P', 1,    0,    0,    0,    3,    0,    0,    0,    /* 0 */
        77,   0,    0,   0,   0,   0,   0,   0,   1,    0,    0,    0,    2,    0,    0,    0,    /* 16 */
        70,   0,    0,   0,   0,   0,   0,   0,   0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* 32 */
        0xd2, 4,    0,   0,   0,   0,   0,   0,   0x7b, 0x00, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17, /* 48 */
        0,    0x10, 0,   0,   0,   0,   0,   0,                                                   /* 64 */
    };
    uint8_t file[FILE_ROOM];
    size_t len = file_make(file);
    static const uint8_t zeros[16];
    assert_memory_equal(file, wanted, sizeof(wanted));
    assert_true(el_get_le64(file + POS_BODY_LEN) == len - EL_CHECKPOINT_HEADER_LEN);
    assert_true(el_get_le64(file + POS_BODY_SUM) == el_xxh3(file + 128, len - 128));
    assert_int_equal(el_get_le64(file + 88), 9999);
    assert_int_equal(el_get_le64(file + 96), 1200);
    assert_memory_equal(file + POS_ZERO, zeros, 16);
    assert_true(el_get_le64(file + POS_SUM) == el_xxh3(file, POS_SUM));
}

TEST(checkpoint_layout, an_empty_base_is_a_checkpoint)
{
    uint8_t file[EL_CHECKPOINT_HEADER_LEN];
    struct el_checkpoint_header h = {.sequence = 1, .base_sequence = 1};
    el_checkpoint_seal(file, &h);
    assert_int_equal(open_copy(file, sizeof(file)), 0);
}

/* --- entries ----------------------------------------------------------------------------------------------------- */

static void assert_segment(const struct el_checkpoint_segment *found, const struct el_checkpoint_segment *wanted)
{
    assert_true(found->id == wanted->id);
    assert_true(found->base_offset == wanted->base_offset);
    assert_true(found->end_offset == wanted->end_offset);
    assert_true(found->len == wanted->len);
    assert_true(found->max_timestamp_ms == wanted->max_timestamp_ms);
    assert_true(found->first_append_ns == wanted->first_append_ns);
    assert_true(found->last_append_ns == wanted->last_append_ns);
    assert_true(found->generation == wanted->generation);
    assert_true(found->created_ns == wanted->created_ns);
    assert_int_equal(found->flags, wanted->flags);
    assert_int_equal(found->tombstones_s, wanted->tombstones_s);
}

static void assert_entry(const struct el_checkpoint_entry *found, const struct el_checkpoint_entry *wanted)
{
    assert_true(el_uuid_eq(&found->topic_id, &wanted->topic_id));
    assert_int_equal(found->partition, wanted->partition);
    assert_int_equal(found->flags, wanted->flags);
    assert_true(found->log_start == wanted->log_start);
    assert_true(found->next_offset == wanted->next_offset);
    assert_true(found->segment_end == wanted->segment_end);
    assert_true(found->next_segment_id == wanted->next_segment_id);
    assert_true(found->clean_end == wanted->clean_end);
    assert_int_equal(found->epoch_count, wanted->epoch_count);
    assert_int_equal(found->segment_count, wanted->segment_count);
    assert_int_equal(found->producer_count, wanted->producer_count);
}

static void assert_producers(struct el_reader *r)
{
    int batch = 0;
    for (int i = 0; i < PRODUCER_COUNT; i++) {
        struct el_checkpoint_producer producer;
        el_checkpoint_producer_get(r, &producer);
        assert_true(producer.id == producers[i].id);
        assert_int_equal(producer.epoch, producers[i].epoch);
        assert_int_equal(producer.batch_count, producers[i].batch_count);
        assert_true(producer.last_append_ns == producers[i].last_append_ns);
        for (int k = 0; k < producer.batch_count; k++, batch++) {
            struct el_checkpoint_batch b;
            el_checkpoint_batch_get(r, &b);
            assert_int_equal(b.first_sequence, batches[batch].first_sequence);
            assert_int_equal(b.last_sequence, batches[batch].last_sequence);
            assert_true(b.base_offset == batches[batch].base_offset);
            assert_true(b.append_time_ns == batches[batch].append_time_ns);
        }
    }
}

TEST(checkpoint_layout, entries_read_back_every_field)
{
    uint8_t file[FILE_ROOM];
    size_t len = file_make(file);
    struct el_reader r;
    struct el_checkpoint_entry entry;
    el_reader_init(&r, file + EL_CHECKPOINT_HEADER_LEN, len - EL_CHECKPOINT_HEADER_LEN);
    el_checkpoint_entry_get(&r, &entry);
    assert_entry(&entry, &entries[0]);
    for (int i = 0; i < EPOCH_COUNT; i++) {
        struct el_checkpoint_epoch epoch;
        el_checkpoint_epoch_get(&r, &epoch);
        assert_int_equal(epoch.epoch, epochs[i].epoch);
        assert_true(epoch.start_offset == epochs[i].start_offset);
    }
    for (int i = 0; i < SEGMENT_COUNT; i++) {
        struct el_checkpoint_segment segment;
        el_checkpoint_segment_get(&r, &segment);
        assert_segment(&segment, &segments[i]);
    }
    assert_producers(&r);
    el_checkpoint_entry_get(&r, &entry);
    assert_entry(&entry, &entries[1]);
    assert_int_equal(r.err, 0);
    assert_int_equal(el_reader_left(&r), 0);
}

TEST(checkpoint_layout, parts_have_the_lengths_that_are_specified)
{
    uint8_t buf[256];
    struct el_writer w;
    el_writer_init(&w, buf, sizeof(buf));
    el_checkpoint_entry_put(&w, &entries[0]);
    assert_int_equal(el_writer_len(&w), EL_CHECKPOINT_ENTRY_LEN);
    el_writer_init(&w, buf, sizeof(buf));
    el_checkpoint_epoch_put(&w, &epochs[0]);
    assert_int_equal(el_writer_len(&w), EL_CHECKPOINT_EPOCH_LEN);
    el_writer_init(&w, buf, sizeof(buf));
    el_checkpoint_segment_put(&w, &segments[0]);
    assert_int_equal(el_writer_len(&w), EL_CHECKPOINT_SEGMENT_LEN);
    el_writer_init(&w, buf, sizeof(buf));
    el_checkpoint_producer_put(&w, &producers[0]);
    assert_int_equal(el_writer_len(&w), EL_CHECKPOINT_PRODUCER_LEN);
    el_writer_init(&w, buf, sizeof(buf));
    el_checkpoint_batch_put(&w, &batches[0]);
    assert_int_equal(el_writer_len(&w), EL_CHECKPOINT_BATCH_LEN);
}

TEST(checkpoint_layout, entry_is_laid_out_as_specified)
{
    static const uint8_t wanted[] = {
        1,    2, 3, 4, 5, 6, 7, 8, 9,    10, 11, 12, 13, 14, 15, 16, /* topic id */
        5,    0, 0, 0, 0, 0, 0, 0, 10,   0,  0,  0,  0,  0,  0,  0,  /* partition, log start */
        0xe8, 3, 0, 0, 0, 0, 0, 0, 0x84, 3,  0,  0,  0,  0,  0,  0,  /* next offset, segment end */
        8,    0, 0, 0, 0, 0, 0, 0, 0x4e, 0,  0,  0,  0,  0,  0,  0,  /* next segment id, clean end */
        2,    0, 0, 0, 0, 0, 0, 0, 2,    0,  0,  0,  2,  0,  0,  0,  /* epochs, segments, producers */
        1,    0, 0, 0, 0, 0, 0, 0, 0,    0,  0,  0,  0,  0,  0,  0,  /* first epoch */
    };
    uint8_t file[FILE_ROOM];
    file_make(file);
    assert_memory_equal(file + EL_CHECKPOINT_HEADER_LEN, wanted, sizeof(wanted));
    const uint8_t *segment = file + EL_CHECKPOINT_HEADER_LEN + EL_CHECKPOINT_ENTRY_LEN + 2 * EL_CHECKPOINT_EPOCH_LEN;
    static const uint64_t wanted_segment[] = {6, 10, 600, 123456, (uint64_t)-5, 100, 200, 0xaabb, 99, 5 | 77ull << 32};
    for (size_t i = 0; i < sizeof(wanted_segment) / sizeof(wanted_segment[0]); i++) {
        assert_true(el_get_le64(segment + i * 8) == wanted_segment[i]);
    }
    static const uint8_t wanted_producer[] = {
        0x67, 0x12, 0, 0, 0,    0, 0, 0, 3,    0, 2, 0,
        0,    0,    0, 0, 0x2c, 1, 0, 0, 0,    0, 0, 0, /* id, epoch, batches, time */
        0,    0,    0, 0, 4,    0, 0, 0, 0xbc, 2, 0, 0,
        0,    0,    0, 0, 0x18, 1, 0, 0, 0,    0, 0, 0, /* sequences, offset, time */
    };
    assert_memory_equal(segment + 2 * EL_CHECKPOINT_SEGMENT_LEN, wanted_producer, sizeof(wanted_producer));
}

/* Read every part of a body of len bytes, trusting counts as far as bytes are left; returns the reader's error. */
static int body_walk(const uint8_t *body, size_t len, uint32_t entry_count)
{
    struct el_reader r;
    el_reader_init(&r, body, len);
    for (uint32_t i = 0; i < entry_count && r.err == 0; i++) {
        struct el_checkpoint_entry e = {0};
        struct el_checkpoint_epoch epoch;
        struct el_checkpoint_segment segment;
        el_checkpoint_entry_get(&r, &e);
        for (uint32_t n = 0; n < e.epoch_count && r.err == 0; n++) {
            el_checkpoint_epoch_get(&r, &epoch);
        }
        for (uint32_t n = 0; n < e.segment_count && r.err == 0; n++) {
            el_checkpoint_segment_get(&r, &segment);
        }
        for (uint32_t n = 0; n < e.producer_count && r.err == 0; n++) {
            struct el_checkpoint_producer p = {0};
            struct el_checkpoint_batch b;
            el_checkpoint_producer_get(&r, &p);
            for (uint32_t k = 0; k < p.batch_count && r.err == 0; k++) {
                el_checkpoint_batch_get(&r, &b);
            }
        }
    }
    return r.err;
}

TEST(checkpoint_layout, entries_cut_short_are_told)
{
    uint8_t file[FILE_ROOM];
    size_t body_len = file_make(file) - EL_CHECKPOINT_HEADER_LEN;
    for (size_t len = 0; len < body_len; len++) {
        uint8_t *copy = el_memdup(file + EL_CHECKPOINT_HEADER_LEN, len);
        assert_int_equal(body_walk(copy, len, 2), EVLOG_ERR_TRUNCATED);
        el_free(copy);
    }
    assert_int_equal(body_walk(file + EL_CHECKPOINT_HEADER_LEN, body_len, 2), 0);
}

TEST(checkpoint_layout, counts_beyond_the_bytes_are_told)
{
    uint8_t file[FILE_ROOM];
    size_t body_len = file_make(file) - EL_CHECKPOINT_HEADER_LEN;
    uint8_t *body = file + EL_CHECKPOINT_HEADER_LEN;
    assert_int_equal(body_walk(body, body_len, 3), EVLOG_ERR_TRUNCATED);
    assert_int_equal(body_walk(body, body_len, UINT32_MAX), EVLOG_ERR_TRUNCATED);
    static const struct {
        size_t pos, len;
    } counts[] = {{64, 2}, {72, 4}, {76, 4}};
    for (size_t i = 0; i < 3; i++) {
        file_make(file);
        memset(body + counts[i].pos, 0xff, counts[i].len);
        assert_int_equal(body_walk(body, body_len, 2), EVLOG_ERR_TRUNCATED);
    }
}

TEST(checkpoint_layout, writers_do_not_write_past_their_room)
{
    uint8_t file[FILE_ROOM];
    struct el_writer w;
    size_t body_len = file_make(file) - EL_CHECKPOINT_HEADER_LEN;
    for (size_t room = 0; room < body_len; room++) {
        uint8_t *buf = el_malloc(room == 0 ? 1 : room);
        el_writer_init(&w, buf, room);
        body_put(&w);
        assert_int_equal(w.err, EVLOG_ERR_LIMIT);
        el_free(buf);
    }
}
