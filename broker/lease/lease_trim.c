/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_trim.h. Of a record that is left out only its length and its offset are read, some ten nanoseconds, and
 * only what stays is summed up; so a worker that takes one event at a time from batches of thousands gets that event's
 * bytes.
 */
#include <lease/lease_trim.h>

#include <core/hash.h>
#include <format/batch.h>

#define KEEP_OF 4u /* a batch of which more than three quarters stay is sent whole */

/* A zigzag varint; false when it is none of at most max bytes. */
static bool read_varint(const uint8_t **p, const uint8_t *end, uint32_t max, int64_t *value)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < max && *p < end; i++) {
        uint8_t byte = *(*p)++;
        bits |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return false;
}

/* The record at p: where it ends, and its offset from the batch's base. */
static bool read_record(const uint8_t *p, const uint8_t *end, const uint8_t **next, int64_t *delta)
{
    int64_t len = 0, time = 0;
    if (!read_varint(&p, end, 5, &len) || len < 4 || len > end - p) {
        return false;
    }
    *next = p + len;
    p++; /* attributes */
    return read_varint(&p, *next, 10, &time) && read_varint(&p, *next, 5, delta);
}

/* How many of the records are granted; -1: they cannot be walked. */
static int64_t count_granted(const uint8_t *batch, uint32_t len, const struct lease_grant *grants, uint32_t grant_count)
{
    const uint8_t *p = batch + EL_BATCH_HEADER_LEN, *end = batch + len;
    int64_t base = el_batch_base_offset(batch), delta = 0;
    uint32_t records = el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT), found = 0;
    for (uint32_t i = 0; i < records; i++) {
        if (!read_record(p, end, &p, &delta)) {
            return -1;
        }
        found += found < grant_count && grants[found].offset == base + delta;
    }
    return p == end ? (int64_t)found : -1;
}

uint32_t lease_trim_batch(uint8_t *batch, uint32_t len, const struct lease_grant *grants, uint32_t grant_count)
{
    uint32_t records = el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT);
    EL_ASSERT(len >= EL_BATCH_HEADER_LEN);
    if ((el_batch_attributes(batch) & EL_BATCH_ATTR_CODEC) != EL_CODEC_NONE || grant_count == 0 ||
        grant_count >= records - records / KEEP_OF) {
        return len;
    }
    if (count_granted(batch, len, grants, grant_count) != grant_count) {
        return len; /* one is gone, or damage: the reader of the whole will find out */
    }
    const uint8_t *p = batch + EL_BATCH_HEADER_LEN, *end = batch + len, *next = NULL;
    uint8_t *to = batch + EL_BATCH_HEADER_LEN;
    int64_t base = el_batch_base_offset(batch), delta = 0;
    for (uint32_t kept = 0; kept < grant_count; p = next) {
        bool fine = read_record(p, end, &next, &delta);
        EL_ASSERT(fine);
        if (grants[kept].offset == base + delta) {
            memmove(to, p, (size_t)(next - p));
            to += next - p;
            kept++;
        }
    }
    uint32_t now = (uint32_t)(to - batch);
    el_put_be32(batch + EL_BATCH_POS_RECORD_COUNT, grant_count);
    el_put_be32(batch + EL_BATCH_POS_LENGTH, now - EL_BATCH_LENGTH_BASE);
    el_put_be32(batch + EL_BATCH_POS_CRC, el_crc32c(0, batch + EL_BATCH_POS_ATTRIBUTES, now - EL_BATCH_POS_ATTRIBUTES));
    return now;
}
