/* SPDX-License-Identifier: Apache-2.0
 *
 * One batch under compaction.
 *
 *   1. a record goes when the map knows a later offset of its key, or when it is a tombstone whose time is over: a
 *      compaction covered its whole batch so long ago, and then everything older with its key went
 *   2. records without a key stay: nothing says what would replace them. So do control batches
 *   3. what stays is copied record by record, byte for byte: offsets and times are told as differences to the header's
 *      base offset and base timestamp, which stay. Length, number of records, greatest timestamp and checksum are new;
 *      the codec is that of the batch, unless packing does not pay any more
 *
 * The batch was verified against its table entry, so what does not decode here is damage of an older kind, or a codec's
 * fault: then nothing of the partition is compacted.
 */
#include <storage/compact_batch.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <evlog/error.h>
#include <format/archive_layout.h>
#include <format/redaction.h>

#define SECOND_NS 1000000000u

void compact_scratch_free(struct compact_scratch *scratch)
{
    el_free(scratch->inflated);
    el_free(scratch->plain);
    el_free(scratch->packed);
    *scratch = (struct compact_scratch){0};
}

static int ensure(uint8_t **memory, size_t *len, size_t wanted)
{
    if (*len >= wanted) {
        return 0;
    }
    el_free(*memory);
    *memory = el_malloc(wanted);
    *len = *memory == NULL ? 0 : wanted;
    return *memory == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int batch_open(struct el_batch_iter *iter, const uint8_t *batch, size_t len, struct compact_scratch *scratch)
{
    int code = el_batch_open(iter, batch, len, scratch->inflated, scratch->inflated_len);
    while (code == EVLOG_ERR_NO_MEMORY && iter->info.scratch_len_wanted > scratch->inflated_len) {
        code = ensure(&scratch->inflated, &scratch->inflated_len, iter->info.scratch_len_wanted);
        code = code != 0 ? code : el_batch_open(iter, batch, len, scratch->inflated, scratch->inflated_len);
    }
    return code;
}

static bool is_control(const struct el_batch_iter *iter)
{
    return (iter->info.attributes & EL_BATCH_ATTR_CONTROL) != 0;
}

int compact_batch_map(struct compact_rules *rules, const uint8_t *batch, size_t len, int64_t from, int64_t *map_end,
                      struct compact_scratch *scratch)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int more = 0;
    int code = batch_open(&iter, batch, len, scratch);
    if (code != 0) {
        return code;
    }
    while (!is_control(&iter) && (more = el_batch_next(&iter, &record)) == 1) {
        const struct el_slice key = record.record.key;
        if (record.offset < from) {
            continue;
        }
        if (record.offset < *map_end) {
            return EVLOG_ERR_CORRUPT; /* it overlaps with the batch before */
        }
        if (key.data == NULL) {
            continue;
        }
        if (!compact_map_put(&rules->map, el_xxh3_128(key.data, key.len, rules->secret), record.offset)) {
            *map_end = record.offset;
            return EVLOG_ERR_FULL;
        }
    }
    if (more == 0) {
        *map_end = iter.info.base_offset + iter.info.last_offset_delta + 1;
    }
    return more;
}

/* --- what goes ---------------------------------------------------------------------------------------------------- */

static bool tombstones_due(const struct compact_rules *rules, const struct el_chunk_entry *entry)
{
    uint64_t since_ns = (uint64_t)entry->cleaned_s * SECOND_NS;
    return entry->cleaned_s != 0 && rules->now_ns >= since_ns && rules->now_ns - since_ns >= rules->tombstone_ns;
}

/* May the record go? *waiting: it is a tombstone, and stays for now. */
static bool may_go(const struct compact_rules *rules, const struct el_batch_record *record, bool due, bool *waiting)
{
    const struct el_slice key = record->record.key;
    if (key.data == NULL) {
        return false;
    }
    if (compact_map_get(&rules->map, el_xxh3_128(key.data, key.len, rules->secret)) > record->offset) {
        return true;
    }
    bool tombstone = record->record.value.data == NULL;
    *waiting = *waiting || (tombstone && !due);
    return tombstone && due && record->offset != rules->keep_offset;
}

/* --- what is left of it ------------------------------------------------------------------------------------------- */

struct remains {
    size_t len; /* of header and records in scratch->plain */
    int32_t count;
    int64_t timestamp_max;
};

static void header_put(uint8_t *p, const struct remains *left, size_t len, uint16_t attributes)
{
    EL_ASSERT(left->count > 0);
    EL_ASSERT(len > EL_BATCH_HEADER_LEN);
    el_put_be32(p + EL_BATCH_POS_LENGTH, (uint32_t)(len - EL_BATCH_LENGTH_BASE));
    el_put_be16(p + EL_BATCH_POS_ATTRIBUTES, attributes);
    el_put_be64(p + EL_BATCH_POS_MAX_TIMESTAMP, (uint64_t)left->timestamp_max);
    el_put_be32(p + EL_BATCH_POS_RECORD_COUNT, (uint32_t)left->count);
    el_put_be32(p + EL_BATCH_POS_CRC, el_crc32c(0, p + EL_BATCH_POS_ATTRIBUTES, len - EL_BATCH_POS_ATTRIBUTES));
}

/* Pack what is in scratch->plain as the batch was packed. */
static int remains_pack(const struct remains *left, const struct el_batch_info *info, struct compact_scratch *scratch,
                        struct el_slice *batch)
{
    uint8_t *p = scratch->plain;
    size_t len = left->len;
    uint16_t attributes = info->attributes;
    if (info->codec != EL_CODEC_NONE) {
        enum el_codec codec = (enum el_codec)info->codec;
        size_t plain_len = left->len - EL_BATCH_HEADER_LEN, packed_len = 0;
        size_t bound = el_compress_bound(codec, plain_len);
        int code = ensure(&scratch->packed, &scratch->packed_len, EL_BATCH_HEADER_LEN + bound);
        code = code != 0 ? code
                         : el_compress(codec, scratch->plain + EL_BATCH_HEADER_LEN, plain_len,
                                       scratch->packed + EL_BATCH_HEADER_LEN, bound, &packed_len);
        if (code != 0) {
            return code;
        }
        EL_ASSERT(packed_len <= bound);
        if (packed_len < plain_len) {
            memcpy(scratch->packed, scratch->plain, EL_BATCH_HEADER_LEN);
            p = scratch->packed;
            len = EL_BATCH_HEADER_LEN + packed_len;
        } else {
            attributes &= (uint16_t)~EL_BATCH_ATTR_CODEC;
        }
    }
    if (len > EL_BATCH_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    header_put(p, left, len, attributes);
    *batch = el_slice_of(p, len);
    return 0;
}

/* Copy the records that stay; all of them, when none goes. */
static int records_filter(const struct compact_rules *rules, struct el_batch_iter *iter,
                          const struct el_chunk_entry *entry, struct compact_scratch *scratch, struct remains *left,
                          struct compact_kept *kept)
{
    bool due = tombstones_due(rules, entry);
    struct el_batch_record record;
    int more;
    for (;;) {
        const uint8_t *begin = iter->records.p;
        more = el_batch_next(iter, &record);
        if (more != 1) {
            break;
        }
        if (may_go(rules, &record, due, &kept->tombstone_waiting)) {
            kept->dropped++;
            continue;
        }
        size_t len = (size_t)(iter->records.p - begin);
        EL_ASSERT(left->len + len <= scratch->plain_len);
        memcpy(scratch->plain + left->len, begin, len);
        left->len += len;
        left->timestamp_max = left->count == 0 ? record.timestamp_ms : EL_MAX(left->timestamp_max, record.timestamp_ms);
        left->count++;
    }
    EL_ASSERT(more != 0 || (uint32_t)left->count + kept->dropped == (uint32_t)iter->info.record_count);
    return more;
}

int compact_batch_filter(const struct compact_rules *rules, const uint8_t *batch, const struct el_chunk_entry *entry,
                         struct compact_kept *kept, struct compact_scratch *scratch)
{
    struct el_batch_iter iter;
    struct remains left = {.len = EL_BATCH_HEADER_LEN};
    *kept = (struct compact_kept){.batch = el_slice_of(batch, entry->len), .entry = *entry};
    if (entry->cleaned_s == 0 && entry->base_offset + (int64_t)entry->last_offset_delta < rules->map_end) {
        kept->entry.cleaned_s = (uint32_t)((rules->now_ns + SECOND_NS - 1) / SECOND_NS);
    }
    int code = batch_open(&iter, batch, entry->len, scratch);
    if (code == 0 && !is_control(&iter)) {
        code = ensure(&scratch->plain, &scratch->plain_len, EL_BATCH_HEADER_LEN + iter.info.records_len);
        code = code != 0 ? code : records_filter(rules, &iter, entry, scratch, &left, kept);
    }
    if (code != 0 || kept->dropped == 0) {
        return code;
    }
    if (left.count == 0) {
        kept->batch = el_slice_of(NULL, 0);
        return 0;
    }
    memcpy(scratch->plain, batch, EL_BATCH_HEADER_LEN);
    code = remains_pack(&left, &iter.info, scratch, &kept->batch);
    if (code == 0) {
        kept->entry.len = (uint32_t)kept->batch.len;
        kept->entry.checksum = el_xxh3(kept->batch.data, kept->batch.len);
        kept->entry.max_timestamp_ms = left.timestamp_max;
    }
    return code;
}

int compact_batch_redact(const struct compact_rules *rules, const uint8_t *batch, const struct el_chunk_entry *entry,
                         struct compact_kept *kept, struct compact_scratch *scratch)
{
    int64_t last = entry->base_offset + (int64_t)entry->last_offset_delta;
    struct el_redaction_mark mark;
    *kept = (struct compact_kept){.batch = el_slice_of(batch, entry->len), .entry = *entry};
    if (last < rules->redact_first || entry->base_offset >= rules->redact_end ||
        el_redaction_mark_get(batch, entry->len, &mark)) {
        return 0;
    }
    int code = ensure(&scratch->packed, &scratch->packed_len, EL_REDACTION_MARK_MAX);
    if (code != 0) {
        return code;
    }
    mark = (struct el_redaction_mark){.first_offset = entry->base_offset,
                                      .last_offset_delta = entry->last_offset_delta,
                                      .leader_epoch = entry->leader_epoch,
                                      .record_count = el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT),
                                      .max_timestamp_ms = entry->max_timestamp_ms,
                                      .when_ms = rules->redact_ms,
                                      .reason = rules->redact_reason};
    el_leaf_digest(entry->salt, batch, entry->len, mark.digest);
    size_t len = el_redaction_mark_put(scratch->packed, &mark);
    EL_ASSERT(len <= EL_REDACTION_MARK_MAX);
    kept->batch = el_slice_of(scratch->packed, len);
    kept->entry.len = (uint32_t)len;
    kept->entry.checksum = el_xxh3(scratch->packed, len);
    memset(kept->entry.salt, 0, sizeof(kept->entry.salt)); /* with it short values could be guessed from the digest */
    kept->redacted = true;
    return 0;
}
