/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fetch answer's records must look like. Goal: nothing of a broken answer is read, a last batch that was cut
 * short is left for the next fetch. Method: a built batch, cut at every byte, with every byte of its checked part
 * changed.
 */
#include "../../../client/consumer_state.h"
#include "../../lib/test.h"

#include <evlog/error.h>
#include <string.h>

static size_t build(uint8_t *out, size_t room, int count)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    el_batch_builder_init(&builder, 1 << 16);
    for (int i = 0; i < count; i++) {
        struct el_record_body body = {.key = el_slice_str("key"), .value = el_slice_str("value")};
        assert_int_equal(el_batch_builder_add(&builder, 1000 + i, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_true(batch.len <= room);
    memcpy(out, batch.data, batch.len);
    el_batch_builder_destroy(&builder);
    return batch.len;
}

TEST(batches, one_cut_short_at_any_byte_is_left_out)
{
    uint8_t records[1024];
    size_t first = build(records, sizeof records, 3);
    size_t both = first + build(records + first, sizeof records - first, 2);
    for (size_t len = 0; len <= both; len++) {
        uint32_t count = 99;
        size_t used = 99;
        assert_int_equal(el_batches_check(el_slice_of(records, len), &count, &used), 0);
        assert_int_equal(count, len == both ? 2 : len >= first);
        assert_int_equal(used, len == both ? both : len >= first ? first : 0);
    }
}

TEST(batches, any_changed_byte_of_the_checked_part_is_found)
{
    uint8_t records[1024];
    size_t len = build(records, sizeof records, 2);
    for (size_t i = EL_BATCH_POS_MAGIC; i < len; i++) {
        uint32_t count;
        size_t used;
        records[i] ^= 0x40;
        int rc = el_batches_check(el_slice_of(records, len), &count, &used);
        assert_true(rc == EVLOG_ERR_CORRUPT || rc == EVLOG_ERR_INVALID_RECORD);
        records[i] ^= 0x40;
    }
}

TEST(batches, lengths_and_offsets_that_cannot_be_are_refused)
{
    uint8_t records[1024];
    size_t len = build(records, sizeof records, 2), used;
    uint32_t count;
    el_put_be32(records + EL_BATCH_POS_LENGTH, 10);
    assert_int_equal(el_batches_check(el_slice_of(records, len), &count, &used), EVLOG_ERR_CORRUPT);
    el_put_be32(records + EL_BATCH_POS_LENGTH, 0xffffffff);
    assert_int_equal(el_batches_check(el_slice_of(records, len), &count, &used), 0);
    assert_int_equal(count, 0);
    el_put_be32(records + EL_BATCH_POS_LENGTH, (uint32_t)(len - EL_BATCH_LENGTH_BASE));
    el_put_be64(records + EL_BATCH_POS_BASE_OFFSET, (uint64_t)INT64_MAX);
    assert_int_equal(el_batches_check(el_slice_of(records, len), &count, &used), EVLOG_ERR_CORRUPT);
    el_put_be64(records + EL_BATCH_POS_BASE_OFFSET, (uint64_t)-5);
    assert_int_equal(el_batches_check(el_slice_of(records, len), &count, &used), EVLOG_ERR_CORRUPT);
    assert_int_equal(el_batches_check(el_slice_of(NULL, 0), &count, &used), 0);
    assert_int_equal(count, 0);
}
