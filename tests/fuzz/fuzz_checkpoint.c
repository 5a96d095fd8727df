/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoint files read from a damaged or hostile disk, as they are and with both checksums put right. Entries are
 * walked as recovery does: the counts they claim are followed only as far as bytes are left.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <format/checkpoint_layout.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk_producers(struct el_reader *r, uint32_t count)
{
    for (uint32_t i = 0; i < count && r->err == 0; i++) {
        struct el_checkpoint_producer producer = {0};
        struct el_checkpoint_batch batch = {0};
        el_checkpoint_producer_get(r, &producer);
        for (uint32_t b = 0; b < producer.batch_count && r->err == 0; b++) {
            el_checkpoint_batch_get(r, &batch);
        }
    }
}

static void walk(const uint8_t *p, const struct el_checkpoint_header *h)
{
    struct el_reader r;
    el_reader_init(&r, p + EL_CHECKPOINT_HEADER_LEN, (size_t)h->body_len);
    for (uint32_t i = 0; i < h->entry_count && r.err == 0; i++) {
        struct el_checkpoint_entry entry = {0};
        struct el_checkpoint_epoch epoch = {0};
        struct el_checkpoint_segment segment = {0};
        el_checkpoint_entry_get(&r, &entry);
        for (uint32_t n = 0; n < entry.epoch_count && r.err == 0; n++) {
            el_checkpoint_epoch_get(&r, &epoch);
        }
        for (uint32_t n = 0; n < entry.segment_count && r.err == 0; n++) {
            el_checkpoint_segment_get(&r, &segment);
        }
        walk_producers(&r, entry.producer_count);
    }
    EL_ASSERT(r.err == 0 || el_reader_left(&r) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_checkpoint_header h;
    if (el_checkpoint_open(data, len, &h) == 0) {
        EL_ASSERT(h.body_len == len - EL_CHECKPOINT_HEADER_LEN);
        walk(data, &h);
    }
    if (len < EL_CHECKPOINT_HEADER_LEN) {
        return 0;
    }
    uint8_t *copy = malloc(len);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    h = (struct el_checkpoint_header){
        .kind = el_get_le32(data + 24) % 2,
        .entry_count = el_get_le32(data + 28),
        .body_len = len - EL_CHECKPOINT_HEADER_LEN,
    };
    el_checkpoint_seal(copy, &h);
    EL_ASSERT(el_checkpoint_open(copy, len, &h) == 0);
    walk(copy, &h);
    free(copy);
    return 0;
}
