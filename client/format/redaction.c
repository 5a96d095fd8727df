/* SPDX-License-Identifier: Apache-2.0
 *
 * See format/redaction.h. The batch's one record has the key of a control record, i16 version 0 and i16 type, and this
 * value, numbers big-endian:
 *
 *   0   4  u32 format, 1
 *   4   4  u32 number of records
 *   8   8  i64 event time
 *   16  8  u64 when, ms since 1970
 *   24 32  SHA-256(salt, batch)
 *   56     the reason
 */
#include <format/redaction.h>

#include <core/assert.h>
#include <core/hash.h>
#include <format/batch.h>

#define MARK_TYPE 0x4556u /* far from those of Kafka, which are small */
#define MARK_FORMAT 1u
#define KEY_LEN 4u
#define VALUE_LEN 56u /* before the reason */

EL_STATIC_ASSERT(EL_BATCH_HEADER_LEN + VALUE_LEN + EL_REDACTION_REASON_MAX + 64 < EL_REDACTION_MARK_MAX,
                 "a record takes less than 64 bytes beside its value");

size_t el_redaction_mark_put(uint8_t out[EL_REDACTION_MARK_MAX], const struct el_redaction_mark *mark)
{
    static const struct el_batch_origin origin = {
        .producer_id = -1, .base_sequence = -1, .producer_epoch = -1, .attributes = EL_BATCH_ATTR_CONTROL};
    uint8_t key[KEY_LEN], value[VALUE_LEN + EL_REDACTION_REASON_MAX];
    struct el_batch_builder builder;
    struct el_slice batch;
    EL_ASSERT(mark->reason.len <= EL_REDACTION_REASON_MAX);
    EL_ASSERT(mark->last_offset_delta <= INT32_MAX);
    el_put_be16(key, 0);
    el_put_be16(key + 2, MARK_TYPE);
    el_put_be32(value, MARK_FORMAT);
    el_put_be32(value + 4, mark->record_count);
    el_put_be64(value + 8, (uint64_t)mark->max_timestamp_ms);
    el_put_be64(value + 16, mark->when_ms);
    memcpy(value + 24, mark->digest, sizeof(mark->digest));
    if (mark->reason.len > 0) {
        memcpy(value + VALUE_LEN, mark->reason.data, mark->reason.len);
    }
    struct el_record_body body = {.key = el_slice_of(key, sizeof(key)),
                                  .value = el_slice_of(value, VALUE_LEN + mark->reason.len)};
    el_batch_builder_init_fixed(&builder, out, EL_REDACTION_MARK_MAX);
    int code = el_batch_builder_add(&builder, mark->max_timestamp_ms, &body);
    code = code != 0 ? code : el_batch_builder_finish(&builder, EL_CODEC_NONE, &origin, &batch);
    EL_ASSERT(code == 0);
    EL_ASSERT(batch.data == out);
    el_put_be32(out + EL_BATCH_POS_LAST_OFFSET_DELTA, mark->last_offset_delta);
    el_put_be32(out + EL_BATCH_POS_CRC,
                el_crc32c(0, out + EL_BATCH_POS_ATTRIBUTES, batch.len - EL_BATCH_POS_ATTRIBUTES));
    el_batch_assign(out, mark->first_offset, mark->leader_epoch);
    return batch.len;
}

bool el_redaction_mark_get(const void *batch, size_t len, struct el_redaction_mark *mark)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    if (len < EL_BATCH_HEADER_LEN || len > EL_REDACTION_MARK_MAX ||
        (el_batch_attributes(batch) & (EL_BATCH_ATTR_CONTROL | EL_BATCH_ATTR_CODEC)) != EL_BATCH_ATTR_CONTROL ||
        el_batch_open(&iter, batch, len, NULL, 0) != 0 || el_batch_next(&iter, &record) != 1) {
        return false;
    }
    const struct el_slice key = record.record.key, value = record.record.value;
    if (iter.info.record_count != 1 || key.len != KEY_LEN || el_get_be16(key.data) != 0 ||
        el_get_be16(key.data + 2) != MARK_TYPE || value.len < VALUE_LEN || el_get_be32(value.data) != MARK_FORMAT) {
        return false;
    }
    *mark = (struct el_redaction_mark){
        .first_offset = iter.info.base_offset,
        .last_offset_delta = (uint32_t)iter.info.last_offset_delta,
        .leader_epoch = iter.info.leader_epoch,
        .record_count = el_get_be32(value.data + 4),
        .max_timestamp_ms = (int64_t)el_get_be64(value.data + 8),
        .when_ms = el_get_be64(value.data + 16),
        .reason = el_slice_of(value.data + VALUE_LEN, value.len - VALUE_LEN),
    };
    memcpy(mark->digest, value.data + 24, sizeof(mark->digest));
    return true;
}
