/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds record batches of format 2 (docs/format.md, Batches): in producers on the heap, on the broker's shards in
 * memory that the caller owns. One thread per builder.
 *
 *   1. add: the record is encoded behind the room for a header; the buffer grows by doubling up to len_max;
 *   2. finish: with a codec the records are compressed into a second buffer, which is kept only if it is smaller;
 *   3. the header goes in front of whichever bytes were chosen, the checksum last.
 * A failed add or finish leaves the records as they were.
 */
#include <format/batch.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>

#define BUF_LEN_FIRST 1024u /* grown by doubling */

static const struct el_batch_origin origin_none = {.producer_id = -1, .base_sequence = -1, .producer_epoch = -1};

void el_batch_builder_init(struct el_batch_builder *builder, size_t len_max)
{
    EL_ASSERT(len_max >= EL_BATCH_HEADER_LEN);
    *builder = (struct el_batch_builder){.len = EL_BATCH_HEADER_LEN,
                                         .len_max = EL_MIN(len_max, (size_t)EL_BATCH_OUTPUT_MAX)};
}

void el_batch_builder_init_fixed(struct el_batch_builder *builder, void *buf, size_t len)
{
    EL_ASSERT(buf != NULL);
    EL_ASSERT(len >= EL_BATCH_HEADER_LEN);
    *builder = (struct el_batch_builder){.buf = buf,
                                         .len = EL_BATCH_HEADER_LEN,
                                         .buf_len = len,
                                         .len_max = EL_MIN(len, (size_t)EL_BATCH_OUTPUT_MAX),
                                         .fixed = true};
}

void el_batch_builder_reset(struct el_batch_builder *builder)
{
    builder->len = EL_BATCH_HEADER_LEN;
    builder->record_count = 0;
}

void el_batch_builder_destroy(struct el_batch_builder *builder)
{
    if (!builder->fixed) {
        el_free(builder->buf);
        el_free(builder->packed);
    }
    *builder = (struct el_batch_builder){0};
}

/* The deltas of the next record. False when the timestamps are too far apart for one. */
static bool next_delta(const struct el_batch_builder *builder, int64_t timestamp_ms, struct el_record_delta *delta)
{
    delta->offset = builder->record_count;
    delta->timestamp = 0;
    return builder->record_count == 0 ||
           !__builtin_sub_overflow(timestamp_ms, builder->base_timestamp, &delta->timestamp);
}

size_t el_batch_builder_len_with(const struct el_batch_builder *builder, int64_t timestamp_ms,
                                 const struct el_record_body *body)
{
    struct el_record_delta delta;
    (void)next_delta(builder, timestamp_ms, &delta); /* a difference that wrapped has a length, too */
    return builder->len + el_record_len(delta, body);
}

static int ensure_room(struct el_batch_builder *builder, size_t len)
{
    if (len > builder->len_max) {
        return EVLOG_ERR_LIMIT;
    }
    if (len <= builder->buf_len) {
        return 0;
    }
    EL_ASSERT(!builder->fixed);
    size_t wanted_len = EL_MAX(builder->buf_len, (size_t)BUF_LEN_FIRST);
    while (wanted_len < len) {
        wanted_len *= 2;
    }
    wanted_len = EL_MIN(wanted_len, builder->len_max);
    uint8_t *buf = el_realloc(builder->buf, wanted_len);
    if (buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    builder->buf = buf;
    builder->buf_len = wanted_len;
    return 0;
}

int el_batch_builder_add(struct el_batch_builder *builder, int64_t timestamp_ms, const struct el_record_body *body)
{
    struct el_record_delta delta;
    if (!next_delta(builder, timestamp_ms, &delta)) {
        return EVLOG_ERR_ARGUMENT;
    }
    int err = ensure_room(builder, builder->len + el_record_len(delta, body));
    if (err != 0) {
        return err;
    }
    struct el_writer w;
    el_writer_init(&w, builder->buf + builder->len, builder->buf_len - builder->len);
    err = el_record_encode(&w, delta, body);
    if (err != 0) {
        return err;
    }
    if (builder->record_count == 0) {
        builder->base_timestamp = timestamp_ms;
        builder->max_timestamp = timestamp_ms;
    }
    builder->max_timestamp = EL_MAX(builder->max_timestamp, timestamp_ms);
    builder->record_count++;
    builder->len += el_writer_len(&w);
    EL_ASSERT(builder->len <= builder->len_max);
    return 0;
}

/* Fill the header in front of the records in batch[len]. */
static void write_header(const struct el_batch_builder *builder, const struct el_batch_origin *origin, uint8_t *batch,
                         size_t len, enum el_codec codec)
{
    struct el_writer w;
    el_writer_init(&w, batch, EL_BATCH_HEADER_LEN);
    el_write_be64(&w, 0);                                      /* base offset */
    el_write_be32(&w, (uint32_t)(len - EL_BATCH_LENGTH_BASE)); /* length */
    el_write_be32(&w, UINT32_MAX);                             /* leader epoch */
    el_write_u8(&w, EL_BATCH_MAGIC);                           /* magic */
    el_write_be32(&w, 0);                                      /* checksum, below */
    el_write_be16(&w, (uint16_t)(origin->attributes | codec)); /* attributes */
    el_write_be32(&w, (uint32_t)builder->record_count - 1);    /* last offset delta */
    el_write_be64(&w, (uint64_t)builder->base_timestamp);      /* base timestamp */
    el_write_be64(&w, (uint64_t)builder->max_timestamp);       /* max timestamp */
    el_write_be64(&w, (uint64_t)origin->producer_id);          /* producer id */
    el_write_be16(&w, (uint16_t)origin->producer_epoch);       /* producer epoch */
    el_write_be32(&w, (uint32_t)origin->base_sequence);        /* base sequence */
    el_write_be32(&w, (uint32_t)builder->record_count);        /* record count */
    EL_ASSERT(w.err == 0);
    EL_ASSERT(el_writer_len(&w) == EL_BATCH_HEADER_LEN);
    uint32_t crc = el_crc32c(0, batch + EL_BATCH_POS_ATTRIBUTES, len - EL_BATCH_POS_ATTRIBUTES);
    el_put_be32(batch + EL_BATCH_POS_CRC, crc);
}

/* Compress the records behind header room in packed; *len is the whole batch. EVLOG_ERR_LIMIT: not worth it. */
static int pack_records(struct el_batch_builder *builder, enum el_codec codec, size_t *len)
{
    size_t records_len = builder->len - EL_BATCH_HEADER_LEN;
    size_t bound = el_compress_bound(codec, records_len);
    if (EL_BATCH_HEADER_LEN + bound > builder->packed_len) {
        uint8_t *packed = el_realloc(builder->packed, EL_BATCH_HEADER_LEN + bound);
        if (packed == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        builder->packed = packed;
        builder->packed_len = EL_BATCH_HEADER_LEN + bound;
    }
    size_t out_len = 0;
    int err = el_compress(codec, builder->buf + EL_BATCH_HEADER_LEN, records_len, builder->packed + EL_BATCH_HEADER_LEN,
                          bound, &out_len);
    if (err != 0) {
        return err;
    }
    *len = EL_BATCH_HEADER_LEN + out_len;
    return out_len < records_len ? 0 : EVLOG_ERR_LIMIT;
}

int el_batch_builder_finish(struct el_batch_builder *builder, enum el_codec codec, const struct el_batch_origin *origin,
                            struct el_slice *batch)
{
    if (origin == NULL) {
        origin = &origin_none;
    }
    EL_ASSERT((origin->attributes & ~(EL_BATCH_ATTR_TRANSACTIONAL | EL_BATCH_ATTR_CONTROL)) == 0);
    if (builder->record_count == 0) {
        return EVLOG_ERR_ARGUMENT;
    }
    uint8_t *bytes = builder->buf;
    size_t len = builder->len;
    if (codec != EL_CODEC_NONE) {
        size_t packed_len = 0;
        int err = builder->fixed ? EVLOG_ERR_COMPRESSION : pack_records(builder, codec, &packed_len);
        if (err != 0 && err != EVLOG_ERR_LIMIT) {
            return err;
        }
        bytes = err == 0 ? builder->packed : builder->buf;
        len = err == 0 ? packed_len : builder->len;
        codec = err == 0 ? codec : EL_CODEC_NONE;
    }
    write_header(builder, origin, bytes, len, codec);
    *batch = el_slice_of(bytes, len);
    return 0;
}
