/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka record batches, format 2: the unit that is produced, stored and fetched, byte for byte the same in all three.
 * Pure functions, any thread; only a growing builder touches the heap (and the codecs, inside).
 *
 *   el_batch_check    once, on produce: everything, decompressing into scratch memory
 *   el_batch_assign   once, on append: the 12 bytes before the checksum's range
 *   el_batch_header   wherever the next batch's bounds are needed, without reading its records
 *   el_batch_verify   on reads from disk: length and checksum
 *   el_batch_open     wherever records are looked at, then el_batch_next until it returns 0
 *   el_batch_builder  in producers, and where the broker writes its own topics
 */
#ifndef EL_FORMAT_BATCH_H
#define EL_FORMAT_BATCH_H

#include <core/compress.h>
#include <core/limits.h>
#include <format/record.h>

/* Positions of the header's fields; all numbers big-endian. */
enum el_batch_pos {
    EL_BATCH_POS_BASE_OFFSET = 0,        /* int64, set by the broker */
    EL_BATCH_POS_LENGTH = 8,             /* int32, bytes after this field */
    EL_BATCH_POS_LEADER_EPOCH = 12,      /* int32, set by the broker */
    EL_BATCH_POS_MAGIC = 16,             /* int8, 2 */
    EL_BATCH_POS_CRC = 17,               /* uint32, CRC-32C from attributes to the end */
    EL_BATCH_POS_ATTRIBUTES = 21,        /* int16 */
    EL_BATCH_POS_LAST_OFFSET_DELTA = 23, /* int32 */
    EL_BATCH_POS_BASE_TIMESTAMP = 27,    /* int64, ms */
    EL_BATCH_POS_MAX_TIMESTAMP = 35,     /* int64, ms */
    EL_BATCH_POS_PRODUCER_ID = 43,       /* int64, -1 none */
    EL_BATCH_POS_PRODUCER_EPOCH = 51,    /* int16, -1 none */
    EL_BATCH_POS_BASE_SEQUENCE = 53,     /* int32, -1 none */
    EL_BATCH_POS_RECORD_COUNT = 57,      /* int32 */
};

#define EL_BATCH_HEADER_LEN 61u              /* records or the compressed block begin here */
#define EL_BATCH_LEN_MIN EL_BATCH_HEADER_LEN /* a batch whose records were all compacted away */
#define EL_BATCH_LENGTH_BASE 12u             /* total bytes = length field + this */
#define EL_BATCH_MAGIC 2

#define EL_BATCH_ATTR_CODEC 0x0007       /* enum el_codec */
#define EL_BATCH_ATTR_APPEND_TIME 0x0008 /* timestamps are append times: max timestamp holds for every record */
#define EL_BATCH_ATTR_TRANSACTIONAL 0x0010
#define EL_BATCH_ATTR_CONTROL 0x0020        /* one commit or abort marker, never from clients */
#define EL_BATCH_ATTR_DELETE_HORIZON 0x0040 /* base timestamp is a delete horizon; set by compaction only */

/* What a batch says of itself and, behind the line, what el_batch_check() found in it. */
struct el_batch_info {
    int64_t base_offset;       /* as stored; meaningless before el_batch_assign() */
    uint32_t len;              /* total bytes, header included */
    int32_t leader_epoch;      /* as stored; meaningless before el_batch_assign() */
    uint32_t crc;              /* as stored, not checked by el_batch_header() */
    uint16_t attributes;       /* EL_BATCH_ATTR_ bits */
    uint8_t codec;             /* attributes & EL_BATCH_ATTR_CODEC; 5..7 are unknown codecs */
    int16_t producer_epoch;    /* -1 none */
    int32_t last_offset_delta; /* >= 0; last offset = base offset + this */
    int32_t record_count;      /* >= 0; below last_offset_delta + 1 after compaction */
    int32_t base_sequence;     /* -1 none */
    int64_t base_timestamp;    /* ms; with EL_BATCH_ATTR_DELETE_HORIZON the horizon */
    int64_t max_timestamp;     /* ms, the producer's claim */
    int64_t producer_id;       /* -1 none */
    /* --- set by el_batch_check(); the last two by el_batch_open() as well ---------------------------------------- */
    int64_t record_timestamp_min; /* ms, the true least and greatest of all records */
    int64_t record_timestamp_max;
    int32_t record_timestamp_min_index; /* 0-based index of the first record that has it */
    int32_t record_timestamp_max_index;
    int32_t keyless_index;     /* first record without a key, -1 when every record has one */
    int32_t invalid_index;     /* the record that was refused, -1 when it was the batch as a whole */
    size_t records_len;        /* bytes of the records, uncompressed */
    size_t scratch_len_wanted; /* with EVLOG_ERR_NO_MEMORY: retry with so much; 0: the codec found no memory */
};

static inline int64_t el_batch_base_offset(const void *batch)
{
    return (int64_t)el_get_be64((const uint8_t *)batch + EL_BATCH_POS_BASE_OFFSET);
}
/* Total bytes as the length field claims, 12 .. 2^32 + 11: compare with what there is before use. Reads 12 bytes. */
static inline uint64_t el_batch_total_len(const void *batch)
{
    return (uint64_t)el_get_be32((const uint8_t *)batch + EL_BATCH_POS_LENGTH) + EL_BATCH_LENGTH_BASE;
}
static inline int32_t el_batch_leader_epoch(const void *batch)
{
    return (int32_t)el_get_be32((const uint8_t *)batch + EL_BATCH_POS_LEADER_EPOCH);
}
static inline uint16_t el_batch_attributes(const void *batch)
{
    return el_get_be16((const uint8_t *)batch + EL_BATCH_POS_ATTRIBUTES);
}
static inline int32_t el_batch_last_offset_delta(const void *batch)
{
    return (int32_t)el_get_be32((const uint8_t *)batch + EL_BATCH_POS_LAST_OFFSET_DELTA);
}
static inline int64_t el_batch_last_offset(const void *batch)
{
    return (int64_t)((uint64_t)el_batch_base_offset(batch) + (uint64_t)(int64_t)el_batch_last_offset_delta(batch));
}
static inline int64_t el_batch_max_timestamp(const void *batch)
{
    return (int64_t)el_get_be64((const uint8_t *)batch + EL_BATCH_POS_MAX_TIMESTAMP);
}

/* The sequence number delta records after base: 2147483647 is followed by 0. base, delta >= 0. */
static inline int32_t el_sequence_add(int32_t base, int32_t delta)
{
    return (int32_t)(((uint32_t)base + (uint32_t)delta) & 0x7fffffffu);
}
/* Sequence number of the batch's last record; -1 without a producer id. */
static inline int32_t el_batch_last_sequence(const struct el_batch_info *info)
{
    return info->producer_id < 0 ? -1 : el_sequence_add(info->base_sequence, info->last_offset_delta);
}

/* Read the header of the batch that begins at data, without its checksum or its records.
 *
 * data      len bytes, at least the batch; more may follow
 * info      header fields, written on success only; the rest of it is zeroed, indexes -1
 * returns   0 | EVLOG_ERR_TRUNCATED data ends inside the batch | EVLOG_ERR_INVALID_RECORD magic is not 2 |
 *           EVLOG_ERR_CORRUPT length below a header, negative count or delta
 */
int el_batch_header(const void *data, size_t len, struct el_batch_info *info);

/* Check a batch as a client sent it; after 0 it may be stored. Records are walked once, nothing is copied.
 *
 * batch          exactly one batch in len bytes
 * batch_len_max  the topic's max.message.bytes
 * scratch        for the decompressed records, contents undefined afterwards; may be NULL when scratch_len is 0.
 *                Uncompressed batches need none
 * info           always written, as far as was read: invalid_index and scratch_len_wanted count on refusals
 * returns        0 | EVLOG_ERR_NO_MEMORY retry with info->scratch_len_wanted bytes of scratch |
 *                EVLOG_ERR_CORRUPT checksum or length | EVLOG_ERR_TOO_LARGE above batch_len_max |
 *                EVLOG_ERR_COMPRESSION codec unknown or used in a way that consumers cannot read |
 *                EVLOG_ERR_TIMESTAMP the producer set the append-time bit | EVLOG_ERR_INVALID_RECORD anything else,
 *                also more than EL_BATCH_OUTPUT_MAX bytes of records
 * source         docs/format.md; the order of checks is that of docs/protocol.md, Produce
 */
int el_batch_check(const void *batch, size_t len, uint32_t batch_len_max, void *scratch, size_t scratch_len,
                   struct el_batch_info *info);

/* Length and checksum of a stored batch. returns 0 | EVLOG_ERR_CORRUPT, also when len is not exactly the batch */
int el_batch_verify(const void *batch, size_t len);

/* Give a checked batch its place: base offset and leader epoch, 12 bytes outside the checksum's range. */
void el_batch_assign(void *batch, int64_t base_offset, int32_t leader_epoch);

/* Stamp a checked batch of len bytes with its append time: attribute bit 3, max timestamp, new checksum. The records
 * stay as they are. */
void el_batch_stamp_append_time(void *batch, size_t len, int64_t append_ms);

/* Make of a checked batch's header one without records: it takes the same offsets and says the same of its producer, as
 * compaction leaves them. Without timestamps. hollow[EL_BATCH_HEADER_LEN] */
void el_batch_hollow(uint8_t *hollow, const struct el_batch_info *info);

/* --- reading records -------------------------------------------------------------------------------------------- */

struct el_batch_iter {
    struct el_batch_info info; /* header fields */
    struct el_reader records;  /* over the uncompressed records */
    int32_t index;             /* records given so far */
    int64_t last_delta;        /* offset delta of the record given last, -1 at the start */
};

struct el_batch_record {
    int64_t offset;          /* absolute */
    int64_t timestamp_ms;    /* create time, or the batch's append time with EL_BATCH_ATTR_APPEND_TIME */
    struct el_record record; /* slices point into the batch or the scratch memory */
};

/* Begin to read the records of a stored or fetched batch; holes in the offsets are fine, the checksum is not checked.
 *
 * data      len bytes, at least the batch; borrowed until the last el_batch_next()
 * scratch   for the decompressed records, borrowed as long; unused for uncompressed batches
 * returns   0 | EVLOG_ERR_NO_MEMORY retry with iter->info.scratch_len_wanted bytes (0: the codec found no memory) |
 *           what el_batch_header() returns | EVLOG_ERR_COMPRESSION | EVLOG_ERR_INVALID_RECORD block does not
 *           decompress or is above EL_BATCH_OUTPUT_MAX
 */
int el_batch_open(struct el_batch_iter *iter, const void *data, size_t len, void *scratch, size_t scratch_len);

/* Next record. returns 1 and a record | 0 the end | EVLOG_ERR_INVALID_RECORD (every further call the same) */
int el_batch_next(struct el_batch_iter *iter, struct el_batch_record *out);

/* --- building --------------------------------------------------------------------------------------------------- */

/* Who sends a batch, and the attribute bits that the sender chooses. */
struct el_batch_origin {
    int64_t producer_id;    /* -1 none */
    int32_t base_sequence;  /* -1 none */
    int16_t producer_epoch; /* -1 none */
    uint16_t attributes;    /* EL_BATCH_ATTR_TRANSACTIONAL, EL_BATCH_ATTR_CONTROL or 0 */
};

struct el_batch_builder {
    uint8_t *buf;           /* header room and encoded records */
    size_t len;             /* bytes used in buf, at least the header */
    size_t buf_len;         /* bytes of buf */
    size_t len_max;         /* most bytes of the uncompressed batch */
    uint8_t *packed;        /* compressed batch of the last finish, owned; NULL until needed */
    size_t packed_len;      /* bytes of packed */
    int64_t base_timestamp; /* ms, of the first record */
    int64_t max_timestamp;  /* ms */
    int32_t record_count;
    bool fixed; /* buf belongs to the caller and does not grow */
};

/* A builder that grows on the heap up to len_max bytes of uncompressed batch (at most EL_BATCH_OUTPUT_MAX). */
void el_batch_builder_init(struct el_batch_builder *builder, size_t len_max);
/* A builder in the caller's memory: no heap, no compression; for the broker's shards. len >= EL_BATCH_HEADER_LEN. */
void el_batch_builder_init_fixed(struct el_batch_builder *builder, void *buf, size_t len);
/* Forget the records, keep the memory: the start of the next batch. */
void el_batch_builder_reset(struct el_batch_builder *builder);
/* Free what the builder owns; init before using it again. */
void el_batch_builder_destroy(struct el_batch_builder *builder);

/* Bytes of the batch if it were finished now without compression. */
static inline size_t el_batch_builder_len(const struct el_batch_builder *builder) { return builder->len; }
/* The same, if this record had been added as well. */
size_t el_batch_builder_len_with(const struct el_batch_builder *builder, int64_t timestamp_ms,
                                 const struct el_record_body *body);

/* Add a record. The first one's timestamp becomes the base.
 *
 * returns   0 | EVLOG_ERR_LIMIT it does not fit: finish this batch (when empty: the record is too large) |
 *           EVLOG_ERR_NO_MEMORY | EVLOG_ERR_ARGUMENT a header key is NULL, or timestamps 2^63 ms apart
 */
int el_batch_builder_add(struct el_batch_builder *builder, int64_t timestamp_ms, const struct el_record_body *body);

/* Make the batch: header, checksum, compression where it helps (else attributes say none). Base offset 0 and leader
 * epoch -1, as clients send them. May be called again, say for a new producer epoch; records can still be added.
 *
 * origin    NULL for no producer id and no bits
 * batch     borrowed until the builder is changed; owned by the builder
 * returns   0 | EVLOG_ERR_ARGUMENT no records | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_COMPRESSION unknown codec, or any
 *           codec with a fixed builder
 */
int el_batch_builder_finish(struct el_batch_builder *builder, enum el_codec codec, const struct el_batch_origin *origin,
                            struct el_slice *batch);

#endif
