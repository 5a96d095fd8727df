/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches as clients send them to a topic with streams: the first byte says whether they are trusted, what follows is a
 * batch whose length and checksum are put right. What is made of it is checked against the rules and the batch.
 */
#include <core/alloc.h>
#include <core/assert.h>
#include <evlog/error.h>
#include <stream/stream_batch.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SCRATCH_LEN (1u << 20)

static void record_check(const struct stream_record *r, bool trusted)
{
    bool keyed = (r->flags & STREAM_RECORD_KEY) != 0;
    EL_ASSERT(r->expected >= 0 || r->expected == STREAM_ANY || r->expected == STREAM_NONE ||
              r->expected == STREAM_EXISTS);
    EL_ASSERT(r->key_bytes.len <= EL_STREAM_KEY_MAX);
    if (!keyed) {
        EL_ASSERT(r->expected == STREAM_ANY);
        EL_ASSERT((r->flags & ~STREAM_RECORD_TYPE) == 0);
    }
    if (trusted) {
        EL_ASSERT(r->expected == STREAM_ANY);
    } else {
        EL_ASSERT((r->flags & (STREAM_RECORD_SOFT | STREAM_RECORD_HARD)) == 0);
    }
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < r->key_bytes.len; i++) {
        sum = (uint8_t)(sum + r->key_bytes.data[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t scratch[SCRATCH_LEN];
    static const struct stream_secret secret = {.bytes = {1, 2, 3}};
    if (len < 1 + EL_BATCH_HEADER_LEN) {
        return 0;
    }
    bool trusted = data[0] % 2 == 1;
    size_t batch_len = len - 1;
    uint8_t *batch = el_memdup(data + 1, batch_len);
    EL_ASSERT(batch != NULL);
    el_put_be32(batch + EL_BATCH_POS_LENGTH, (uint32_t)(batch_len - EL_BATCH_LENGTH_BASE));
    el_put_be32(batch + EL_BATCH_POS_CRC,
                el_crc32c(0, batch + EL_BATCH_POS_ATTRIBUTES, batch_len - EL_BATCH_POS_ATTRIBUTES));
    struct el_batch_info info;
    struct stream_batch out;
    const char *why = NULL;
    int checked = el_batch_check(batch, batch_len, EL_BATCH_LEN_MAX, scratch, SCRATCH_LEN, &info);
    int code = stream_batch_make(&secret, batch, batch_len, scratch, SCRATCH_LEN, NULL, trusted, &out, &why);
    EL_ASSERT(code == 0 || why != NULL);
    if (code == 0) {
        EL_ASSERT(checked != 0 || out.record_count == (uint32_t)info.record_count);
        for (uint32_t i = 0; i < out.record_count; i++) {
            record_check(&out.records[i], trusted);
        }
    } else {
        EL_ASSERT(out.records == NULL);
        EL_ASSERT(out.failed_index < 0 || code == EVLOG_ERR_INVALID_RECORD);
    }
    el_free(out.records);
    el_free(batch);
    return 0;
}
