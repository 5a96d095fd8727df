/* SPDX-License-Identifier: Apache-2.0
 *
 * Record batches from a hostile client: el_batch_check() and the iterator, which must agree. Inputs are tried as they
 * are and with magic, length and checksum put right, since a mutation hardly ever keeps a checksum.
 *
 *   1. what the check accepts, the iterator reads whole: the same count, offsets 0, 1, 2 ..., the same extreme times;
 *   2. what the check accepts keeps a right checksum when it is given its place or an append time;
 *   3. what the check refuses, the iterator may still read (it allows what compaction leaves), without harm.
 */
#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/batch.h>

#include <stdlib.h>

#define SCRATCH_LEN_MAX (4u << 20) /* larger outputs are not followed: they only cost time here */
#define BASE_OFFSET 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t *scratch;
static size_t scratch_len;

/* True when there is now as much scratch as the last call wanted. */
static bool grow_scratch(size_t wanted_len)
{
    EL_ASSERT(wanted_len <= EL_BATCH_OUTPUT_MAX);
    if (wanted_len == 0 || wanted_len > SCRATCH_LEN_MAX) {
        return false;
    }
    free(scratch);
    scratch = malloc(wanted_len);
    EL_ASSERT(scratch != NULL);
    scratch_len = wanted_len;
    return true;
}

static int check(const uint8_t *batch, size_t len, struct el_batch_info *info)
{
    for (;;) {
        int err = el_batch_check(batch, len, EL_BATCH_LEN_MAX, scratch, scratch_len, info);
        if (err != EVLOG_ERR_NO_MEMORY || !grow_scratch(info->scratch_len_wanted)) {
            return err;
        }
    }
}

/* Touch every byte that a record points to. */
static unsigned touch_record(const struct el_record *record)
{
    struct el_reader headers = record->headers;
    struct el_header header;
    unsigned sum = 0;
    uint32_t count = 0;
    for (size_t i = 0; i < record->key.len; i++) {
        sum += record->key.data[i];
    }
    for (size_t i = 0; i < record->value.len; i++) {
        sum += record->value.data[i];
    }
    while (el_header_next(&headers, &header)) {
        count++;
        sum += (unsigned)header.key.len + (unsigned)header.value.len;
    }
    EL_ASSERT(headers.err == 0);
    EL_ASSERT(count == record->header_count);
    return sum;
}

/* Read all records, for agreement with what the check found, NULL when it refused. */
static void iterate(const uint8_t *batch, size_t len, const struct el_batch_info *found)
{
    struct el_batch_iter iter;
    struct el_batch_record r;
    volatile unsigned sink = 0;
    int err = el_batch_open(&iter, batch, len, scratch, scratch_len);
    while (err == EVLOG_ERR_NO_MEMORY && grow_scratch(iter.info.scratch_len_wanted)) {
        err = el_batch_open(&iter, batch, len, scratch, scratch_len);
    }
    if (err != 0) {
        EL_ASSERT(found == NULL);
        return;
    }
    int64_t count = 0;
    int64_t last_offset = iter.info.base_offset - 1;
    for (int rc = el_batch_next(&iter, &r); rc != 0; rc = el_batch_next(&iter, &r)) {
        if (rc < 0) {
            EL_ASSERT(found == NULL);
            EL_ASSERT(el_batch_next(&iter, &r) == rc);
            return;
        }
        EL_ASSERT(r.offset > last_offset);
        last_offset = r.offset;
        sink = sink + touch_record(&r.record);
        if (found != NULL) {
            EL_ASSERT(r.offset == BASE_OFFSET + count);
            EL_ASSERT(r.timestamp_ms >= found->record_timestamp_min);
            EL_ASSERT(r.timestamp_ms <= found->record_timestamp_max);
        }
        count++;
    }
    EL_ASSERT(count == iter.info.record_count);
}

static void try_batch(uint8_t *batch, size_t len)
{
    struct el_batch_info info;
    if (check(batch, len, &info) != 0) {
        iterate(batch, len, NULL);
        return;
    }
    EL_ASSERT(info.record_count > 0);
    el_batch_assign(batch, BASE_OFFSET, 3);
    EL_ASSERT(el_batch_verify(batch, len) == 0);
    iterate(batch, len, &info);
    el_batch_stamp_append_time(batch, len, 12345);
    EL_ASSERT(el_batch_verify(batch, len) == 0);
    EL_ASSERT(el_batch_check(batch, len, EL_BATCH_LEN_MAX, scratch, scratch_len, &info) == EVLOG_ERR_TIMESTAMP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *batch = malloc(len == 0 ? 1 : len);
    EL_ASSERT(batch != NULL);
    memcpy(batch, data, len);
    try_batch(batch, len);
    if (len >= EL_BATCH_LEN_MIN) {
        memcpy(batch, data, len);
        batch[EL_BATCH_POS_MAGIC] = EL_BATCH_MAGIC;
        el_put_be32(batch + EL_BATCH_POS_LENGTH, (uint32_t)(len - EL_BATCH_LENGTH_BASE));
        el_put_be32(batch + EL_BATCH_POS_CRC,
                    el_crc32c(0, batch + EL_BATCH_POS_ATTRIBUTES, len - EL_BATCH_POS_ATTRIBUTES));
        try_batch(batch, len);
    }
    free(batch);
    return 0;
}
