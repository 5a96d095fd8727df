/* SPDX-License-Identifier: Apache-2.0
 *
 * Record batches of format 2 (docs/format.md, Batches): checking, placing and reading them. Pure functions over bytes
 * that came from a client or from disk; nothing is allocated except inside a codec.
 *
 *   offset  size  field                   offset  size  field
 *   0       8     base offset             35      8     max timestamp, ms
 *   8       4     length behind it        43      8     producer id, -1 none
 *   12      4     leader epoch            51      2     producer epoch, -1 none
 *   16      1     magic, 2                53      4     base sequence, -1 none
 *   17      4     CRC-32C of 21..end      57      4     record count
 *   21      2     attributes              61            records, plain or one compressed block
 *   23      4     last offset delta
 *   27      8     base timestamp, ms      all big-endian; record layout: record.c
 *
 * The check on produce, cheapest first, so that garbage costs little:
 *   1. frame: one batch, magic, length, the topic's size limit;
 *   2. checksum;
 *   3. what the header says: attributes, counts, producer fields, codec;
 *   4. records: decompressed into the caller's scratch memory (never more than EL_BATCH_OUTPUT_MAX), then walked once.
 * A batch that passed is stored as it came, so whatever this file lets through every consumer must be able to read.
 */
#include <format/batch.h>

#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>

#define SCRATCH_LEN_FIRST (64u << 10) /* wanted when the block does not say how long its records are */
#define SCRATCH_GROWTH 4u

EL_STATIC_ASSERT(EL_BATCH_POS_RECORD_COUNT + 4 == EL_BATCH_HEADER_LEN, "the record count is the last header field");
EL_STATIC_ASSERT(EL_BATCH_POS_ATTRIBUTES == EL_BATCH_POS_CRC + 4, "the checksum covers everything behind itself");
EL_STATIC_ASSERT(EL_BATCH_OUTPUT_MAX <= INT32_MAX, "a records section counts in 31 bits");

/* --- header ----------------------------------------------------------------------------------------------------- */

static void parse_header(const uint8_t *batch, struct el_batch_info *info)
{
    *info = (struct el_batch_info){
        .base_offset = el_batch_base_offset(batch),
        .len = (uint32_t)el_batch_total_len(batch),
        .leader_epoch = el_batch_leader_epoch(batch),
        .crc = el_get_be32(batch + EL_BATCH_POS_CRC),
        .attributes = el_batch_attributes(batch),
        .codec = (uint8_t)(el_batch_attributes(batch) & EL_BATCH_ATTR_CODEC),
        .producer_epoch = (int16_t)el_get_be16(batch + EL_BATCH_POS_PRODUCER_EPOCH),
        .last_offset_delta = el_batch_last_offset_delta(batch),
        .record_count = (int32_t)el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT),
        .base_sequence = (int32_t)el_get_be32(batch + EL_BATCH_POS_BASE_SEQUENCE),
        .base_timestamp = (int64_t)el_get_be64(batch + EL_BATCH_POS_BASE_TIMESTAMP),
        .max_timestamp = el_batch_max_timestamp(batch),
        .producer_id = (int64_t)el_get_be64(batch + EL_BATCH_POS_PRODUCER_ID),
        .record_timestamp_min_index = -1,
        .record_timestamp_max_index = -1,
        .keyless_index = -1,
        .invalid_index = -1,
    };
}

/* True when the length field can be right: a header at least, and an int32. */
static bool total_len_plausible(uint64_t total_len)
{
    return total_len >= EL_BATCH_HEADER_LEN && total_len <= (uint64_t)INT32_MAX + EL_BATCH_LENGTH_BASE;
}

int el_batch_header(const void *data, size_t len, struct el_batch_info *info)
{
    const uint8_t *batch = data;
    if (len <= EL_BATCH_POS_MAGIC) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (batch[EL_BATCH_POS_MAGIC] != EL_BATCH_MAGIC) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    uint64_t total_len = el_batch_total_len(batch);
    if (!total_len_plausible(total_len)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (len < total_len) {
        return EVLOG_ERR_TRUNCATED;
    }
    struct el_batch_info found;
    parse_header(batch, &found);
    if (found.last_offset_delta < 0 || found.record_count < 0 || found.record_count - 1 > found.last_offset_delta ||
        found.base_offset < 0 ||
        found.base_offset > INT64_MAX - 1 - found.last_offset_delta) { /* there is a next offset */
        return EVLOG_ERR_CORRUPT;
    }
    *info = found;
    return 0;
}

static uint32_t batch_crc(const uint8_t *batch, size_t len)
{
    return el_crc32c(0, batch + EL_BATCH_POS_ATTRIBUTES, len - EL_BATCH_POS_ATTRIBUTES);
}

int el_batch_verify(const void *data, size_t len)
{
    const uint8_t *batch = data;
    if (len < EL_BATCH_LEN_MIN || el_batch_total_len(batch) != len || batch[EL_BATCH_POS_MAGIC] != EL_BATCH_MAGIC) {
        return EVLOG_ERR_CORRUPT;
    }
    return batch_crc(batch, len) == el_get_be32(batch + EL_BATCH_POS_CRC) ? 0 : EVLOG_ERR_CORRUPT;
}

void el_batch_assign(void *batch, int64_t base_offset, int32_t leader_epoch)
{
    uint8_t *bytes = batch;
    EL_ASSERT(base_offset >= 0);
    EL_ASSERT(bytes[EL_BATCH_POS_MAGIC] == EL_BATCH_MAGIC);
    el_put_be64(bytes + EL_BATCH_POS_BASE_OFFSET, (uint64_t)base_offset);
    el_put_be32(bytes + EL_BATCH_POS_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void el_batch_stamp_append_time(void *batch, size_t len, int64_t append_ms)
{
    uint8_t *bytes = batch;
    EL_ASSERT(len >= EL_BATCH_LEN_MIN);
    EL_ASSERT(el_batch_total_len(bytes) == len);
    EL_ASSERT(bytes[EL_BATCH_POS_MAGIC] == EL_BATCH_MAGIC);
    el_put_be16(bytes + EL_BATCH_POS_ATTRIBUTES, el_batch_attributes(bytes) | EL_BATCH_ATTR_APPEND_TIME);
    el_put_be64(bytes + EL_BATCH_POS_MAX_TIMESTAMP, (uint64_t)append_ms);
    el_put_be32(bytes + EL_BATCH_POS_CRC, batch_crc(bytes, len));
}

void el_batch_hollow(uint8_t *hollow, const struct el_batch_info *info)
{
    EL_ASSERT(info->last_offset_delta >= 0);
    memset(hollow, 0, EL_BATCH_HEADER_LEN);
    el_put_be32(hollow + EL_BATCH_POS_LENGTH, EL_BATCH_HEADER_LEN - EL_BATCH_LENGTH_BASE);
    el_put_be32(hollow + EL_BATCH_POS_LEADER_EPOCH, UINT32_MAX);
    hollow[EL_BATCH_POS_MAGIC] = EL_BATCH_MAGIC;
    el_put_be32(hollow + EL_BATCH_POS_LAST_OFFSET_DELTA, (uint32_t)info->last_offset_delta);
    el_put_be64(hollow + EL_BATCH_POS_BASE_TIMESTAMP, UINT64_MAX);
    el_put_be64(hollow + EL_BATCH_POS_MAX_TIMESTAMP, UINT64_MAX);
    el_put_be64(hollow + EL_BATCH_POS_PRODUCER_ID, (uint64_t)info->producer_id);
    el_put_be16(hollow + EL_BATCH_POS_PRODUCER_EPOCH, (uint16_t)info->producer_epoch);
    el_put_be32(hollow + EL_BATCH_POS_BASE_SEQUENCE, (uint32_t)info->base_sequence);
    el_put_be32(hollow + EL_BATCH_POS_CRC, batch_crc(hollow, EL_BATCH_HEADER_LEN));
}

/* --- records section -------------------------------------------------------------------------------------------- */

/* The records of a batch whose header was parsed, decompressed into scratch unless they are plain. Sets
 * info->scratch_len_wanted with EVLOG_ERR_NO_MEMORY. */
static int open_records(const uint8_t *batch, struct el_slice scratch, struct el_batch_info *info,
                        struct el_slice *records)
{
    const uint8_t *block = batch + EL_BATCH_HEADER_LEN;
    size_t block_len = info->len - EL_BATCH_HEADER_LEN;
    if (info->codec == EL_CODEC_NONE) {
        *records = el_slice_of(block, block_len);
        return 0;
    }
    enum el_codec codec = (enum el_codec)info->codec;
    uint8_t *out = (uint8_t *)(uintptr_t)scratch.data;
    size_t out_max = EL_MIN(scratch.len, (size_t)EL_BATCH_OUTPUT_MAX);
    size_t claim_len = el_decompress_hint(codec, block, block_len);
    size_t out_len = 0;
    int err = claim_len > out_max ? EVLOG_ERR_LIMIT : el_decompress(codec, block, block_len, out, out_max, &out_len);
    if (err == 0) {
        *records = el_slice_of(out_len == 0 ? batch : out, out_len);
        return 0;
    }
    if (err == EVLOG_ERR_NO_MEMORY || err == EVLOG_ERR_COMPRESSION) {
        return err;
    }
    if (err != EVLOG_ERR_LIMIT || out_max == EL_BATCH_OUTPUT_MAX || claim_len > EL_BATCH_OUTPUT_MAX) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    size_t wanted_len = claim_len;
    if (claim_len <= out_max) {
        wanted_len = EL_MAX(out_max * SCRATCH_GROWTH, (size_t)SCRATCH_LEN_FIRST);
    }
    info->scratch_len_wanted = EL_MIN(wanted_len, (size_t)EL_BATCH_OUTPUT_MAX);
    EL_ASSERT(info->scratch_len_wanted > scratch.len);
    return EVLOG_ERR_NO_MEMORY;
}

/* --- check on produce ------------------------------------------------------------------------------------------- */

/* Exactly one batch of format 2 in len bytes, as long as it says and not longer than allowed. */
static int check_frame(const uint8_t *batch, size_t len, uint32_t batch_len_max)
{
    if (len == 0) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (len > EL_BATCH_POS_MAGIC && batch[EL_BATCH_POS_MAGIC] != EL_BATCH_MAGIC) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (len < EL_BATCH_LEN_MIN) {
        return EVLOG_ERR_CORRUPT;
    }
    uint64_t total_len = el_batch_total_len(batch);
    if (!total_len_plausible(total_len) || total_len > len) {
        return EVLOG_ERR_CORRUPT;
    }
    if (total_len < len) {
        return EVLOG_ERR_INVALID_RECORD; /* a second batch, or bytes that belong to none */
    }
    return total_len > batch_len_max ? EVLOG_ERR_TOO_LARGE : 0;
}

/* What a client may say in a header whose checksum is right. */
static int check_claims(const struct el_batch_info *info)
{
    const uint16_t allowed = EL_BATCH_ATTR_CODEC | EL_BATCH_ATTR_TRANSACTIONAL;
    if (info->codec > EL_CODEC_ZSTD) {
        return EVLOG_ERR_COMPRESSION;
    }
    if ((info->attributes & EL_BATCH_ATTR_APPEND_TIME) != 0) {
        return EVLOG_ERR_TIMESTAMP;
    }
    if ((info->attributes & ~allowed) != 0) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (info->record_count <= 0 || info->last_offset_delta != info->record_count - 1) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (info->producer_id < 0) {
        bool transactional = (info->attributes & EL_BATCH_ATTR_TRANSACTIONAL) != 0;
        return info->producer_id < -1 || transactional ? EVLOG_ERR_INVALID_RECORD : 0;
    }
    return info->producer_epoch < 0 || info->base_sequence < 0 ? EVLOG_ERR_INVALID_RECORD : 0;
}

static void note_timestamp(struct el_batch_info *info, int32_t index, int64_t timestamp_ms)
{
    if (index == 0 || timestamp_ms < info->record_timestamp_min) {
        info->record_timestamp_min = timestamp_ms;
        info->record_timestamp_min_index = index;
    }
    if (index == 0 || timestamp_ms > info->record_timestamp_max) {
        info->record_timestamp_max = timestamp_ms;
        info->record_timestamp_max_index = index;
    }
}

static int check_records(struct el_slice section, struct el_batch_info *info)
{
    struct el_reader reader;
    struct el_record record;
    el_reader_init(&reader, section.data, section.len);
    info->records_len = section.len;
    for (int32_t i = 0; i < info->record_count; i++) { /* each takes EL_RECORD_LEN_MIN bytes or ends the loop */
        int64_t timestamp_ms;
        if (el_record_next(&reader, &record) != 0 || record.attributes != 0 || record.offset_delta != i ||
            __builtin_add_overflow(info->base_timestamp, record.timestamp_delta, &timestamp_ms)) {
            info->invalid_index = i;
            return EVLOG_ERR_INVALID_RECORD;
        }
        note_timestamp(info, i, timestamp_ms);
        if (record.key.data == NULL && info->keyless_index < 0) {
            info->keyless_index = i;
        }
    }
    return el_reader_left(&reader) == 0 ? 0 : EVLOG_ERR_INVALID_RECORD;
}

int el_batch_check(const void *batch, size_t len, uint32_t batch_len_max, void *scratch, size_t scratch_len,
                   struct el_batch_info *info)
{
    const uint8_t *bytes = batch;
    *info = (struct el_batch_info){
        .record_timestamp_min_index = -1, .record_timestamp_max_index = -1, .keyless_index = -1, .invalid_index = -1};
    int err = check_frame(bytes, len, batch_len_max);
    if (err != 0) {
        return err;
    }
    parse_header(bytes, info);
    EL_ASSERT(info->len == len);
    if (batch_crc(bytes, len) != info->crc) {
        return EVLOG_ERR_CORRUPT;
    }
    err = check_claims(info);
    if (err != 0) {
        return err;
    }
    struct el_slice records;
    err = open_records(bytes, el_slice_of(scratch, scratch_len), info, &records);
    return err != 0 ? err : check_records(records, info);
}

/* --- iterator --------------------------------------------------------------------------------------------------- */

int el_batch_open(struct el_batch_iter *iter, const void *data, size_t len, void *scratch, size_t scratch_len)
{
    *iter = (struct el_batch_iter){.last_delta = -1};
    int err = el_batch_header(data, len, &iter->info);
    if (err != 0) {
        return err;
    }
    if (iter->info.codec > EL_CODEC_ZSTD) {
        return EVLOG_ERR_COMPRESSION;
    }
    struct el_slice records;
    err = open_records(data, el_slice_of(scratch, scratch_len), &iter->info, &records);
    if (err != 0) {
        return err;
    }
    iter->info.records_len = records.len;
    el_reader_init(&iter->records, records.data, records.len);
    return 0;
}

/* Absolute offset and time of the record in out. False when they contradict the batch. */
static bool place_record(const struct el_batch_iter *iter, struct el_batch_record *out)
{
    const struct el_batch_info *info = &iter->info;
    int64_t delta = out->record.offset_delta;
    if (delta <= iter->last_delta || delta > info->last_offset_delta) {
        return false;
    }
    out->offset = info->base_offset + delta;
    if ((info->attributes & EL_BATCH_ATTR_APPEND_TIME) != 0) {
        out->timestamp_ms = info->max_timestamp;
        return true;
    }
    return !__builtin_add_overflow(info->base_timestamp, out->record.timestamp_delta, &out->timestamp_ms);
}

int el_batch_next(struct el_batch_iter *iter, struct el_batch_record *out)
{
    if (iter->records.err != 0) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (iter->index == iter->info.record_count) {
        if (el_reader_left(&iter->records) == 0) {
            return 0;
        }
        el_reader_fail(&iter->records, EVLOG_ERR_INVALID_RECORD);
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (el_record_next(&iter->records, &out->record) != 0) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (!place_record(iter, out)) {
        el_reader_fail(&iter->records, EVLOG_ERR_INVALID_RECORD);
        return EVLOG_ERR_INVALID_RECORD;
    }
    iter->index++;
    iter->last_delta = out->record.offset_delta;
    return 1;
}
