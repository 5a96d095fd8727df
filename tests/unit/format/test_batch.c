/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what el_batch_check() lets through is a batch that every Kafka consumer can read, and everything else is
 * refused with the code that docs/protocol.md names; the iterator agrees with it.
 * Method: small batches are cut, flipped and made to lie, field by field, under a right checksum; batches from
 * kafka-python stand for the clients.
 */
#include "batch_kit.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>

/* --- frame ------------------------------------------------------------------------------------------------------ */

TEST(batch, check_refuses_every_prefix)
{
    struct el_batch_info info;
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 2, NULL);
    assert_int_equal(kit_check(buf, 0, &info), EVLOG_ERR_INVALID_RECORD);
    for (size_t cut = 1; cut < len; cut++) {
        assert_int_equal(kit_check(buf, cut, &info), EVLOG_ERR_CORRUPT);
        if (cut >= EL_BATCH_LEN_MIN) { /* the same with a length and a checksum that fit the rest */
            uint8_t part[256];
            memcpy(part, buf, cut);
            kit_reseal(part, cut);
            assert_int_equal(kit_check(part, cut, &info), EVLOG_ERR_INVALID_RECORD);
        }
    }
    assert_int_equal(kit_check(buf, len, &info), 0);
}

TEST(batch, check_detects_a_flip_of_every_bit)
{
    struct el_batch_info info;
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 2, NULL);
    for (size_t pos = 0; pos < len; pos++) {
        bool assigned = pos < EL_BATCH_POS_LENGTH || (pos >= EL_BATCH_POS_LEADER_EPOCH && pos < EL_BATCH_POS_MAGIC);
        for (int bit = 0; bit < 8; bit++) {
            buf[pos] ^= (uint8_t)(1 << bit);
            int err = kit_check(buf, len, &info);
            if (assigned) {
                assert_int_equal(err, 0); /* the broker overwrites these 12 bytes */
            } else if (pos == EL_BATCH_POS_MAGIC) {
                assert_int_equal(err, EVLOG_ERR_INVALID_RECORD);
            } else if (pos >= EL_BATCH_POS_CRC) {
                assert_int_equal(err, EVLOG_ERR_CORRUPT);
                assert_int_equal(el_batch_verify(buf, len), EVLOG_ERR_CORRUPT);
            } else {
                assert_true(err == EVLOG_ERR_CORRUPT || err == EVLOG_ERR_INVALID_RECORD);
                assert_int_equal(el_batch_verify(buf, len), EVLOG_ERR_CORRUPT);
            }
            buf[pos] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(el_batch_verify(buf, len), 0);
}

TEST(batch, check_refuses_a_second_batch)
{
    struct el_batch_info info;
    uint8_t buf[512];
    size_t len = kit_make(buf, 256, 2, NULL);
    memcpy(buf + len, buf, len);
    assert_int_equal(kit_check(buf, 2 * len, &info), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(kit_check(buf, len + 1, &info), EVLOG_ERR_INVALID_RECORD);
}

TEST(batch, check_refuses_lengths_that_lie)
{
    static const uint32_t lies[] = {0, 1, 48, 0x7fffffff, 0x80000000, 0xffffffff};
    struct el_batch_info info;
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 2, NULL);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        el_put_be32(buf + EL_BATCH_POS_LENGTH, lies[i]);
        assert_int_equal(kit_check(buf, len, &info), EVLOG_ERR_CORRUPT);
        assert_int_equal(el_batch_verify(buf, len), EVLOG_ERR_CORRUPT);
        int err = el_batch_header(buf, len, &info);
        assert_int_equal(err, lies[i] == 0x7fffffff ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_CORRUPT);
    }
}

TEST(batch, check_refuses_what_is_too_large)
{
    struct el_batch_info info;
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 2, NULL);
    assert_int_equal(el_batch_check(buf, len, (uint32_t)len - 1, NULL, 0, &info), EVLOG_ERR_TOO_LARGE);
    assert_int_equal(el_batch_check(buf, len, (uint32_t)len, NULL, 0, &info), 0);
}

TEST(batch, check_refuses_older_formats)
{
    struct el_batch_info info;
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 1, NULL);
    for (int magic = 0; magic < 256; magic++) {
        buf[EL_BATCH_POS_MAGIC] = (uint8_t)magic;
        kit_reseal(buf, len);
        assert_int_equal(kit_check(buf, len, &info), magic == 2 ? 0 : EVLOG_ERR_INVALID_RECORD);
        if (magic != 2) { /* a format 0 message may be shorter than a header */
            assert_int_equal(kit_check(buf, 30, &info), EVLOG_ERR_INVALID_RECORD);
            assert_int_equal(el_batch_header(buf, len, &info), EVLOG_ERR_INVALID_RECORD);
        }
    }
}

/* --- claims of the header --------------------------------------------------------------------------------------- */

struct lie {
    enum el_batch_pos pos;
    unsigned width; /* bytes */
    uint64_t value;
    int err;
};

static void expect_lie(const uint8_t *batch, size_t len, const struct lie *lie)
{
    struct el_batch_info info;
    uint8_t bytes[256];
    uint8_t number[8];
    memcpy(bytes, batch, len);
    el_put_be64(number, lie->value);
    memcpy(bytes + lie->pos, number + 8 - lie->width, lie->width);
    kit_reseal(bytes, len);
    assert_int_equal(kit_check(bytes, len, &info), lie->err);
    assert_int_equal(el_batch_verify(bytes, len), 0);
}

TEST(batch, check_refuses_counts_and_deltas_that_lie)
{
    static const struct lie lies[] = {
        {EL_BATCH_POS_RECORD_COUNT, 4, 0, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_RECORD_COUNT, 4, 1, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_RECORD_COUNT, 4, 3, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_RECORD_COUNT, 4, 0x7fffffff, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_RECORD_COUNT, 4, 0x80000000, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_RECORD_COUNT, 4, 0xffffffff, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 2, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0x7fffffff, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0x80000000, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0xffffffff, EVLOG_ERR_INVALID_RECORD},
        /* the second record is one ms later than this, which no int64 holds */
        {EL_BATCH_POS_BASE_TIMESTAMP, 8, 0x7fffffffffffffff, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_BASE_TIMESTAMP, 8, 0x7ffffffffffffffe, 0},
        {EL_BATCH_POS_MAX_TIMESTAMP, 8, 0, 0}, /* tolerated: the true greatest is in the info */
    };
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 2, NULL);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        expect_lie(buf, len, &lies[i]);
    }
}

TEST(batch, check_refuses_count_and_delta_that_lie_together)
{
    struct el_batch_info info;
    uint8_t buf[256];
    size_t len = kit_make(buf, sizeof(buf), 2, NULL);
    for (uint32_t count = 1; count <= 3; count++) {
        el_put_be32(buf + EL_BATCH_POS_RECORD_COUNT, count);
        el_put_be32(buf + EL_BATCH_POS_LAST_OFFSET_DELTA, count - 1);
        kit_reseal(buf, len);
        assert_int_equal(kit_check(buf, len, &info), count == 2 ? 0 : EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(info.invalid_index, count == 3 ? 2 : -1); /* bytes left over are nobody's */
        assert_int_equal(kit_iterate(buf, len), count == 2 ? 2 : EVLOG_ERR_INVALID_RECORD);
    }
}

TEST(batch, check_judges_every_attribute_bit)
{
    uint8_t buf[256];
    struct el_batch_origin origin = {.producer_id = 5, .producer_epoch = 0, .base_sequence = 0};
    size_t len = kit_make(buf, sizeof(buf), 2, &origin);
    for (unsigned bit = 0; bit < 16; bit++) {
        struct lie lie = {EL_BATCH_POS_ATTRIBUTES, 2, 1u << bit, EVLOG_ERR_INVALID_RECORD};
        if ((1u << bit) == EL_BATCH_ATTR_TRANSACTIONAL) {
            lie.err = 0;
        } else if ((1u << bit) == EL_BATCH_ATTR_APPEND_TIME) {
            lie.err = EVLOG_ERR_TIMESTAMP;
        }
        expect_lie(buf, len, &lie); /* the codec bits: plain records are no block of any codec */
    }
    for (unsigned codec = 0; codec < 8; codec++) {
        struct lie lie = {EL_BATCH_POS_ATTRIBUTES, 2, codec, EVLOG_ERR_INVALID_RECORD};
        lie.err = codec == 0 ? 0 : codec > EL_CODEC_ZSTD ? EVLOG_ERR_COMPRESSION : lie.err;
        expect_lie(buf, len, &lie);
    }
}

TEST(batch, check_reports_a_transaction_and_refuses_control)
{
    struct el_batch_info info;
    uint8_t buf[256];
    struct el_batch_origin origin = {.producer_id = 5, .attributes = EL_BATCH_ATTR_TRANSACTIONAL};
    size_t len = kit_make(buf, sizeof(buf), 2, &origin);
    assert_int_equal(kit_check(buf, len, &info), 0);
    assert_true((info.attributes & EL_BATCH_ATTR_TRANSACTIONAL) != 0);
    origin.attributes = EL_BATCH_ATTR_TRANSACTIONAL | EL_BATCH_ATTR_CONTROL;
    len = kit_make(buf, sizeof(buf), 1, &origin);
    assert_int_equal(kit_check(buf, len, &info), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(kit_iterate(buf, len), 1); /* consumers read them all the same */
}

TEST(batch, check_judges_producer_fields)
{
    static const struct lie lies[] = {
        {EL_BATCH_POS_PRODUCER_ID, 8, UINT64_MAX, 0},
        {EL_BATCH_POS_PRODUCER_ID, 8, UINT64_MAX - 1, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_PRODUCER_ID, 8, INT64_MAX, 0},
        {EL_BATCH_POS_PRODUCER_EPOCH, 2, 0xffff, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_PRODUCER_EPOCH, 2, 0x7fff, 0},
        {EL_BATCH_POS_BASE_SEQUENCE, 4, 0xffffffff, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_BASE_SEQUENCE, 4, 0x80000000, EVLOG_ERR_INVALID_RECORD},
        {EL_BATCH_POS_BASE_SEQUENCE, 4, 0x7fffffff, 0},
    };
    uint8_t buf[256];
    struct el_batch_origin origin = {.producer_id = 5, .producer_epoch = 1, .base_sequence = 9};
    size_t len = kit_make(buf, sizeof(buf), 2, &origin);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        expect_lie(buf, len, &lies[i]);
    }
    origin = (struct el_batch_origin){-1, -1, -1, EL_BATCH_ATTR_TRANSACTIONAL};
    len = kit_make(buf, sizeof(buf), 2, &origin);
    struct el_batch_info info;
    assert_int_equal(kit_check(buf, len, &info), EVLOG_ERR_INVALID_RECORD);
}

/* --- records ---------------------------------------------------------------------------------------------------- */

/* A batch around a records section that is given byte by byte. */
static int check_section(const uint8_t *section, size_t section_len, int count, struct el_batch_info *info)
{
    uint8_t buf[512];
    (void)kit_make(buf, sizeof(buf), count, NULL);
    memcpy(buf + EL_BATCH_HEADER_LEN, section, section_len);
    kit_reseal(buf, EL_BATCH_HEADER_LEN + section_len);
    return kit_check(buf, EL_BATCH_HEADER_LEN + section_len, info);
}

TEST(batch, check_names_the_record_it_refuses)
{
    /* three records: length 6, attributes, timestamp delta, offset delta, null key, null value, no headers */
    static const uint8_t good[] = {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0, 12, 0, 0, 4, 1, 1, 0};
    struct el_batch_info info;
    uint8_t section[sizeof(good)];
    assert_int_equal(check_section(good, sizeof(good), 3, &info), 0);
    assert_int_equal(info.invalid_index, -1);
    static const struct {
        size_t pos;
        uint8_t byte;
    } lies[] = {
        {0, 10}, {0, 14}, {1, 1}, {1, 0x80}, {3, 1}, {3, 2}, {4, 0}, {4, 3}, {5, 2}, {6, 1}, {6, 2},
    };
    for (int32_t record = 0; record < 3; record++) {
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
            uint8_t byte = lies[i].byte;
            size_t pos = (size_t)record * 7 + lies[i].pos;
            byte = lies[i].pos == 3 ? (uint8_t)(byte + good[pos]) : byte; /* another offset delta */
            memcpy(section, good, sizeof(good));
            section[pos] = byte;
            int err = check_section(section, sizeof(section), 3, &info);
            if (lies[i].pos == 4 && byte == 0) {
                assert_int_equal(err, 0); /* an empty key instead of none is fine */
                assert_int_equal(info.keyless_index, record == 0 ? 1 : 0);
                continue;
            }
            assert_int_equal(err, EVLOG_ERR_INVALID_RECORD);
            assert_int_equal(info.invalid_index, record);
        }
    }
}

TEST(batch, check_refuses_bytes_behind_the_records)
{
    static const uint8_t section[] = {12, 0, 0, 0, 1, 1, 0, 0};
    struct el_batch_info info;
    assert_int_equal(check_section(section, 7, 1, &info), 0);
    assert_int_equal(check_section(section, 8, 1, &info), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(check_section(section, 0, 1, &info), EVLOG_ERR_INVALID_RECORD);
}

TEST(batch, check_finds_the_true_timestamps)
{
    struct el_batch_builder builder;
    struct el_batch_info info;
    struct el_slice batch;
    static const int64_t stamps[] = {50, 70, 40, 70, 40, 60};
    struct el_record_body body = {.key = el_slice_str("k")};
    el_batch_builder_init(&builder, 1000);
    for (size_t i = 0; i < 6; i++) {
        body.key.data = i == 3 ? NULL : (const uint8_t *)"k";
        assert_int_equal(el_batch_builder_add(&builder, stamps[i], &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_int_equal(kit_check(batch.data, batch.len, &info), 0);
    assert_int_equal(info.base_timestamp, 50);
    assert_int_equal(info.max_timestamp, 70);
    assert_int_equal(info.record_timestamp_min, 40);
    assert_int_equal(info.record_timestamp_min_index, 2);
    assert_int_equal(info.record_timestamp_max, 70);
    assert_int_equal(info.record_timestamp_max_index, 1);
    assert_int_equal(info.keyless_index, 3);
    assert_int_equal(info.records_len, batch.len - EL_BATCH_HEADER_LEN);
    uint8_t *lying = el_memdup(batch.data, batch.len);
    el_put_be64(lying + EL_BATCH_POS_MAX_TIMESTAMP, 9999);
    kit_reseal(lying, batch.len);
    assert_int_equal(kit_check(lying, batch.len, &info), 0);
    assert_int_equal(info.max_timestamp, 9999);
    assert_int_equal(info.record_timestamp_max, 70);
    el_free(lying);
    el_batch_builder_destroy(&builder);
}

/* --- compressed ------------------------------------------------------------------------------------------------- */

/* A batch on the heap whose header is that of count records and whose records are block. */
static uint8_t *wrap_block(enum el_codec codec, const uint8_t *block, size_t block_len, int count, size_t *len)
{
    uint8_t header[256];
    (void)kit_make(header, sizeof(header), 1, NULL);
    *len = EL_BATCH_HEADER_LEN + block_len;
    uint8_t *batch = el_malloc(*len);
    memcpy(batch, header, EL_BATCH_HEADER_LEN);
    memcpy(batch + EL_BATCH_HEADER_LEN, block, block_len);
    el_put_be16(batch + EL_BATCH_POS_ATTRIBUTES, (uint16_t)codec);
    el_put_be32(batch + EL_BATCH_POS_RECORD_COUNT, (uint32_t)count);
    el_put_be32(batch + EL_BATCH_POS_LAST_OFFSET_DELTA, (uint32_t)count - 1);
    kit_reseal(batch, *len);
    return batch;
}

static uint8_t *wrap_zeros(enum el_codec codec, size_t zeros_len, size_t *len)
{
    uint8_t *zeros = el_calloc(1, zeros_len);
    size_t bound = el_compress_bound(codec, zeros_len);
    uint8_t *block = el_malloc(bound);
    size_t block_len = 0;
    assert_int_equal(el_compress(codec, zeros, zeros_len, block, bound, &block_len), 0);
    uint8_t *batch = wrap_block(codec, block, block_len, 1, len);
    el_free(block);
    el_free(zeros);
    return batch;
}

TEST(cve_2026_111073, check_stops_a_bomb_at_the_cap)
{
    struct el_batch_info info;
    size_t scratch_len = EL_BATCH_OUTPUT_MAX;
    uint8_t *scratch = el_malloc(scratch_len + 1);
    scratch[scratch_len] = 0xa5;
    static const enum el_codec codecs[] = {EL_CODEC_LZ4, EL_CODEC_ZSTD}; /* without and with a claimed length */
    for (size_t i = 0; i < 2; i++) {
        size_t len;
        uint8_t *batch = wrap_zeros(codecs[i], scratch_len + 1, &len);
        int err = el_batch_check(batch, len, EL_BATCH_LEN_MAX, scratch, scratch_len, &info);
        assert_int_equal(err, EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(scratch[scratch_len], 0xa5);
        err = el_batch_check(batch, len, EL_BATCH_LEN_MAX, scratch, 1000, &info);
        assert_int_equal(err, i == 0 ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_INVALID_RECORD); /* no scratch could do */
        el_free(batch);
    }
    el_free(scratch);
}

TEST(batch, check_asks_for_scratch_up_to_the_cap)
{
    struct el_batch_info info;
    size_t len;
    uint8_t *batch = wrap_zeros(EL_CODEC_LZ4, 300000, &len);
    uint8_t *scratch = el_malloc(65536);
    assert_int_equal(el_batch_check(batch, len, 1 << 20, NULL, 0, &info), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(info.scratch_len_wanted, 65536);
    assert_int_equal(el_batch_check(batch, len, 1 << 20, scratch, 65536, &info), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(info.scratch_len_wanted, 4 * 65536);
    el_free(batch);
    batch = wrap_zeros(EL_CODEC_ZSTD, 300000, &len); /* its frame says how long it is */
    assert_int_equal(el_batch_check(batch, len, 1 << 20, scratch, 65536, &info), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(info.scratch_len_wanted, 300000);
    struct el_batch_iter iter;
    assert_int_equal(el_batch_open(&iter, batch, len, scratch, 65536), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(iter.info.scratch_len_wanted, 300000);
    el_free(batch);
    el_free(scratch);
}

TEST(batch, check_refuses_every_prefix_of_a_block)
{
    struct el_batch_info info;
    for (size_t i = 1; i < 5; i++) {
        for (size_t cut = EL_BATCH_HEADER_LEN; cut < kit_golden[i].len; cut++) {
            uint8_t *batch = el_memdup(kit_golden[i].data, cut);
            kit_reseal(batch, cut);
            assert_int_equal(kit_check(batch, cut, &info), EVLOG_ERR_INVALID_RECORD);
            assert_int_equal(kit_iterate(batch, cut), EVLOG_ERR_INVALID_RECORD);
            el_free(batch);
        }
    }
}

TEST(batch, check_passes_on_what_consumers_cannot_decompress)
{
    static const uint8_t wide_zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 1, 0, 0};
    struct el_batch_info info;
    size_t len;
    uint8_t *batch = wrap_block(EL_CODEC_ZSTD, wide_zstd, sizeof(wide_zstd), 1, &len);
    assert_int_equal(kit_check(batch, len, &info), EVLOG_ERR_COMPRESSION);
    assert_int_equal(kit_iterate(batch, len), EVLOG_ERR_COMPRESSION);
    el_free(batch);
}

TEST(batch, check_refuses_a_block_without_records)
{
    struct el_batch_info info;
    for (int codec = EL_CODEC_GZIP; codec <= EL_CODEC_ZSTD; codec++) {
        size_t len;
        uint8_t *batch = wrap_zeros((enum el_codec)codec, 0, &len);
        assert_int_equal(kit_check(batch, len, &info), EVLOG_ERR_INVALID_RECORD);
        assert_int_equal(kit_iterate(batch, len), EVLOG_ERR_INVALID_RECORD);
        el_free(batch);
    }
}

/* --- batches from kafka-python ---------------------------------------------------------------------------------- */

static void same_text(struct el_slice slice, const char *text)
{
    assert_true(slice.data != NULL && el_slice_eq(slice, el_slice_str(text)));
}

static void expect_golden_records(struct el_slice batch, int64_t base_offset)
{
    static const char value0[] = "value 0 value 0 value 0 value 0 value 0 value 0 "
                                 "value 0 value 0 value 0 value 0 value 0 value 0 ";
    struct el_batch_iter iter;
    struct el_batch_record r;
    struct el_header header;
    uint8_t scratch[1024];
    assert_int_equal(el_batch_open(&iter, batch.data, batch.len, scratch, sizeof(scratch)), 0);
    assert_int_equal(el_batch_next(&iter, &r), 1);
    assert_int_equal(r.offset, base_offset);
    assert_int_equal(r.timestamp_ms, KIT_BASE_MS);
    same_text(r.record.key, "k0");
    same_text(r.record.value, value0);
    assert_int_equal(r.record.header_count, 2);
    assert_true(el_header_next(&r.record.headers, &header));
    same_text(header.key, "h");
    same_text(header.value, "x");
    assert_true(el_header_next(&r.record.headers, &header));
    same_text(header.key, "n");
    assert_null(header.value.data);
    assert_false(el_header_next(&r.record.headers, &header));
    assert_int_equal(el_batch_next(&iter, &r), 1);
    assert_int_equal(r.offset, base_offset + 1);
    assert_int_equal(r.timestamp_ms, KIT_BASE_MS + 5);
    same_text(r.record.key, "k1");
    assert_null(r.record.value.data);
    assert_int_equal(el_batch_next(&iter, &r), 1);
    assert_int_equal(r.offset, base_offset + 2);
    assert_int_equal(r.timestamp_ms, KIT_BASE_MS + 2);
    assert_null(r.record.key.data);
    assert_int_equal(r.record.value.len, 96);
    assert_int_equal(el_batch_next(&iter, &r), 0);
    assert_int_equal(el_batch_next(&iter, &r), 0);
}

TEST(batch, reads_what_kafka_python_writes)
{
    for (size_t i = 0; i < 5; i++) {
        struct el_batch_info info;
        assert_int_equal(kit_check(kit_golden[i].data, kit_golden[i].len, &info), 0);
        assert_int_equal(info.codec, i);
        assert_int_equal(info.len, kit_golden[i].len);
        assert_int_equal(info.record_count, 3);
        assert_int_equal(info.last_offset_delta, 2);
        assert_int_equal(info.base_timestamp, KIT_BASE_MS);
        assert_int_equal(info.record_timestamp_max, KIT_BASE_MS + 5);
        assert_int_equal(info.record_timestamp_max_index, 1);
        assert_int_equal(info.keyless_index, 2);
        assert_int_equal(info.producer_id, i == 0 ? -1 : 4711);
        assert_int_equal(info.producer_epoch, i == 0 ? -1 : 3);
        assert_int_equal(info.base_sequence, i == 0 ? -1 : 2147483646);
        assert_int_equal(el_batch_last_sequence(&info), i == 0 ? -1 : 0); /* 2147483646, 2147483647, 0 */
        assert_int_equal(el_batch_verify(kit_golden[i].data, kit_golden[i].len), 0);
        expect_golden_records(kit_golden[i], 0);
    }
}

TEST(batch, sequence_wraps_to_zero)
{
    assert_int_equal(el_sequence_add(0, 0), 0);
    assert_int_equal(el_sequence_add(5, 3), 8);
    assert_int_equal(el_sequence_add(INT32_MAX, 0), INT32_MAX);
    assert_int_equal(el_sequence_add(INT32_MAX, 1), 0);
    assert_int_equal(el_sequence_add(INT32_MAX - 1, 3), 1);
    assert_int_equal(el_sequence_add(INT32_MAX, INT32_MAX), INT32_MAX - 1);
}

/* --- placing ---------------------------------------------------------------------------------------------------- */

TEST(batch, assign_keeps_checksum_and_records)
{
    for (size_t i = 0; i < 5; i++) {
        uint8_t *batch = el_memdup(kit_golden[i].data, kit_golden[i].len);
        el_batch_assign(batch, 1ll << 40, 7);
        assert_int_equal(el_batch_verify(batch, kit_golden[i].len), 0);
        assert_int_equal(el_batch_base_offset(batch), 1ll << 40);
        assert_int_equal(el_batch_last_offset(batch), (1ll << 40) + 2);
        assert_int_equal(el_batch_leader_epoch(batch), 7);
        assert_int_equal(el_batch_total_len(batch), kit_golden[i].len);
        for (size_t pos = 0; pos < kit_golden[i].len; pos++) {
            bool assigned = pos < 8 || (pos >= 12 && pos < 16);
            assert_true(assigned || batch[pos] == kit_golden[i].data[pos]);
        }
        expect_golden_records(el_slice_of(batch, kit_golden[i].len), 1ll << 40);
        el_free(batch);
    }
}

TEST(batch, append_time_holds_for_every_record)
{
    for (size_t i = 0; i < 5; i++) {
        size_t len = kit_golden[i].len;
        uint8_t *batch = el_memdup(kit_golden[i].data, len);
        struct el_batch_iter iter;
        struct el_batch_record r;
        uint8_t scratch[1024];
        el_batch_stamp_append_time(batch, len, KIT_BASE_MS + 1000);
        assert_int_equal(el_batch_verify(batch, len), 0);
        assert_int_equal(el_batch_attributes(batch), i | EL_BATCH_ATTR_APPEND_TIME);
        assert_memory_equal(batch + EL_BATCH_HEADER_LEN, kit_golden[i].data + EL_BATCH_HEADER_LEN,
                            len - EL_BATCH_HEADER_LEN);
        assert_int_equal(el_batch_open(&iter, batch, len, scratch, sizeof(scratch)), 0);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(el_batch_next(&iter, &r), 1);
            assert_int_equal(r.timestamp_ms, KIT_BASE_MS + 1000);
        }
        assert_int_equal(el_batch_next(&iter, &r), 0);
        el_free(batch);
    }
}

/* --- stored batches --------------------------------------------------------------------------------------------- */

TEST(batch, header_refuses_every_prefix_and_allows_more)
{
    struct el_batch_info info = {.len = 77};
    uint8_t buf[512];
    size_t len = kit_make(buf, 256, 2, NULL);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *prefix = el_memdup(buf, cut);
        assert_int_equal(el_batch_header(prefix, cut, &info), EVLOG_ERR_TRUNCATED);
        assert_int_equal(kit_iterate(prefix, cut), EVLOG_ERR_TRUNCATED);
        el_free(prefix);
    }
    assert_int_equal(info.len, 77);
    memset(buf + len, 0xff, 100);
    assert_int_equal(el_batch_header(buf, len + 100, &info), 0);
    assert_int_equal(info.len, len);
    assert_int_equal(info.keyless_index, -1);
    assert_int_equal(kit_iterate(buf, len + 100), 2);
}

TEST(batch, header_refuses_impossible_numbers)
{
    static const struct lie lies[] = {
        {EL_BATCH_POS_RECORD_COUNT, 4, 0xffffffff, EVLOG_ERR_CORRUPT},
        {EL_BATCH_POS_RECORD_COUNT, 4, 3, EVLOG_ERR_CORRUPT},
        {EL_BATCH_POS_RECORD_COUNT, 4, 0, 0},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0xffffffff, EVLOG_ERR_CORRUPT},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0, EVLOG_ERR_CORRUPT},
        {EL_BATCH_POS_LAST_OFFSET_DELTA, 4, 0x7fffffff, 0},
        {EL_BATCH_POS_BASE_OFFSET, 8, UINT64_MAX, EVLOG_ERR_CORRUPT},
        {EL_BATCH_POS_BASE_OFFSET, 8, INT64_MAX, EVLOG_ERR_CORRUPT},
        {EL_BATCH_POS_BASE_OFFSET, 8, INT64_MAX - 1, EVLOG_ERR_CORRUPT}, /* its last offset has no next one */
        {EL_BATCH_POS_BASE_OFFSET, 8, INT64_MAX - 2, 0},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct el_batch_info info;
        uint8_t buf[256];
        uint8_t number[8];
        size_t len = kit_make(buf, sizeof(buf), 2, NULL);
        el_put_be64(number, lies[i].value);
        memcpy(buf + lies[i].pos, number + 8 - lies[i].width, lies[i].width);
        assert_int_equal(el_batch_header(buf, len, &info), lies[i].err);
    }
}

/* Records with these offset deltas in a batch whose last offset delta is 9. */
static int iterate_deltas(const uint8_t *deltas, int count)
{
    uint8_t buf[256];
    (void)kit_make(buf, sizeof(buf), count, NULL);
    uint8_t *p = buf + EL_BATCH_HEADER_LEN;
    for (int i = 0; i < count; i++) {
        const uint8_t record[] = {12, 0, 0, (uint8_t)(deltas[i] << 1), 1, 1, 0};
        memcpy(p, record, sizeof(record));
        p += sizeof(record);
    }
    el_put_be32(buf + EL_BATCH_POS_LAST_OFFSET_DELTA, 9);
    kit_reseal(buf, (size_t)(p - buf));
    return kit_iterate(buf, (size_t)(p - buf));
}

TEST(batch, iterator_reads_holes_but_not_disorder)
{
    assert_int_equal(iterate_deltas((const uint8_t[]){0, 1, 2}, 3), 3);
    assert_int_equal(iterate_deltas((const uint8_t[]){2, 5, 9}, 3), 3);
    assert_int_equal(iterate_deltas((const uint8_t[]){2, 2, 3}, 3), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(iterate_deltas((const uint8_t[]){5, 2, 9}, 3), EVLOG_ERR_INVALID_RECORD);
    assert_int_equal(iterate_deltas((const uint8_t[]){2, 5, 10}, 3), EVLOG_ERR_INVALID_RECORD);
}

TEST(batch, iterator_reads_a_batch_without_records)
{
    uint8_t buf[256];
    (void)kit_make(buf, sizeof(buf), 1, NULL);
    el_put_be32(buf + EL_BATCH_POS_RECORD_COUNT, 0);
    kit_reseal(buf, EL_BATCH_HEADER_LEN);
    assert_int_equal(kit_iterate(buf, EL_BATCH_HEADER_LEN), 0);
}
