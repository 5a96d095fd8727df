/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __evlog_groups read from a damaged or hostile disk: keys, where a group stands in a partition, parked
 * keys, what events have emitted, how far redrives have come. The first byte says what the rest is taken for; what is
 * accepted is encoded again and must be the same bytes.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <lease/lease_record.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Head and batches as they came; but their bytes are the batches' own. */
static void encode_emits(struct el_writer *w, struct el_slice in, struct lease_record_emits *emits)
{
    int64_t *offsets = malloc(emits->event_count * sizeof *offsets);
    EL_ASSERT(offsets != NULL);
    for (uint32_t i = 0; i < emits->event_count; i++) {
        offsets[i] = lease_record_emits_offset(emits, i);
    }
    lease_record_emits_begin(w, emits->place, emits->batch_count, offsets, emits->event_count);
    free(offsets);
    for (uint32_t i = 0; i < emits->batch_count; i++) {
        struct lease_record_emits_batch batch = {0};
        lease_record_emits_next(emits, &batch);
        EL_ASSERT(batch.pos <= in.len);
        EL_ASSERT(batch.info.len <= in.len - batch.pos);
        lease_record_emits_batch_head(w, &batch.topic_id, batch.partition, batch.info.len);
        el_write_bytes(w, in.data + batch.pos, batch.info.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct el_slice in = el_slice_of(data + 1, len - 1);
    struct lease_record_key key;
    struct lease_record_part part;
    struct lease_record_parked parked;
    struct lease_record_emits emits;
    struct lease_record_mark mark;
    int64_t base;
    struct el_writer w;
    size_t unused = SIZE_MAX; /* a byte that is not looked at */
    uint8_t *room = malloc(len);
    EL_ASSERT(room != NULL);
    el_writer_init(&w, room, len);
    if (data[0] % 6 == 0 && lease_record_key_decode(in, &key) == 0) {
        EL_ASSERT(lease_record_key_len(&key) == in.len);
        lease_record_key_encode(&w, &key);
    } else if (data[0] % 6 == 1 && lease_record_part_decode(in, &part) == 0) {
        lease_record_part_encode(&w, &part);
        unused = 1;
    } else if (data[0] % 6 == 2 && lease_record_parked_decode(in, &parked) == 0) {
        lease_record_parked_encode(&w, &parked);
    } else if (data[0] % 6 == 3 && lease_record_emits_decode(in, &emits) == 0) {
        encode_emits(&w, in, &emits);
    } else if (data[0] % 6 == 4 && lease_record_base_decode(in, &base) == 0) {
        lease_record_base_encode(&w, base);
    } else if (data[0] % 6 == 5 && lease_record_mark_decode(in, &mark) == 0) {
        lease_record_mark_encode(&w, &mark);
    }
    EL_ASSERT(w.err == 0);
    EL_ASSERT(el_writer_len(&w) == 0 || el_writer_len(&w) == in.len);
    for (size_t i = 0; i < el_writer_len(&w); i++) {
        EL_ASSERT(i == unused || room[i] == in.data[i]);
    }
    free(room);
    return 0;
}
