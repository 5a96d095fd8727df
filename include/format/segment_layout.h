/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment file: header, chunks, and at seal a footer. docs/format.md section 4 is the specification.
 * All numbers little-endian. Bytes in, bytes out: no I/O here.
 *
 * File header, 128 bytes:
 *   0 8 magic "EVLOGSEG"  8 4 format  12 4 partition  16 16 topic id  32 8 segment id  40 8 base offset
 *  48 8 generation (incarnation that created it)  56 8 previous segment id (0 none)  64 8 previous generation
 *  72 48 zero  120 8 XXH3-64 of 0..120
 *
 * Chunk, right behind the header or the chunk before:
 *   chunk header, 64 bytes:
 *   0 8 magic "EVLOGCHK"  8 16 topic id  24 4 partition  28 4 count  32 8 segment id  40 8 file position
 *  48 4 data length  52 4 zero  56 8 XXH3-64 of header bytes 0..56 and the table
 *   table, 64 bytes an entry:
 *   0 8 append time  8 8 base offset  16 4 leader epoch  20 4 length  24 16 salt  40 8 XXH3-64 of the stored batch
 *  48 8 max timestamp  56 4 last offset delta  60 4 first compaction that covered it, seconds since 1970, 0 none
 *   then the batches back to back.
 *
 * Footer, behind the last chunk of a sealed segment:
 *   0 8 magic "EVLOGFTR"  8 4 section count  12 4 zero, then per section: 4 tag, 4 zero, 8 length, bytes
 *   then the trailer, 32 bytes, the last of the file: 0 8 footer position  8 8 footer length (without trailer)
 *  16 8 XXH3-64 of the footer  24 8 magic "EVLOGEND"
 * Sections: 1 chunk index; 2 SHA-256 of all bytes before the footer. Unknown tags are skipped.
 */
#ifndef EL_FORMAT_SEGMENT_LAYOUT_H
#define EL_FORMAT_SEGMENT_LAYOUT_H

#include <core/bytes.h>
#include <core/limits.h>
#include <stdbool.h>

#define EL_SEGMENT_FORMAT 1
#define EL_SEGMENT_HEADER_LEN 128u
#define EL_CHUNK_HEADER_LEN 64u
#define EL_CHUNK_ENTRY_LEN 64u
#define EL_SEGMENT_TRAILER_LEN 32u
#define EL_CHUNK_DATA_MAX (64u << 20) /* a chunk holds at least one batch, so at least EL_BATCH_LEN_MAX */
#define EL_CHUNK_COUNT_MAX 65536u
#define EL_FOOTER_INDEX_TAG 1u
#define EL_SEGMENT_ALIGN 4096u /* chunks are written with O_DIRECT; the first is written with the file header */
#define EL_FOOTER_SHA256_TAG 2u
#define EL_INDEX_ENTRY_LEN 40u

struct el_segment_header {
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t segment_id;
    int64_t base_offset;
    uint64_t generation;
    uint64_t previous_id;
    uint64_t previous_generation;
};

struct el_chunk_header {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t count; /* batches */
    uint64_t segment_id;
    uint64_t pos;      /* of this header in the file */
    uint32_t data_len; /* bytes of all batches */
};

struct el_chunk_entry {
    uint64_t append_time_ns;
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t len;
    uint8_t salt[16];
    uint64_t checksum;        /* XXH3-64 of the stored batch */
    int64_t max_timestamp_ms; /* of the batch's records */
    uint32_t last_offset_delta;
    uint32_t cleaned_s; /* when a compaction first covered the whole batch, seconds since 1970; 0: none has */
};

/* One per chunk, in memory and in the footer (40 bytes: the five fields in order, 8 bytes each). */
struct el_index_entry {
    int64_t base_offset;      /* first offset of the chunk */
    uint64_t pos;             /* of the chunk header */
    int64_t max_timestamp_ms; /* greatest event time from the segment's start through this chunk */
    uint64_t append_time_ns;  /* of the chunk's first batch */
    uint64_t len;             /* bytes of the chunk, padding included */
};

/* Bytes of a chunk, without what pads it. */
static inline uint64_t el_chunk_len(uint32_t count, uint64_t data_len)
{
    return EL_CHUNK_HEADER_LEN + (uint64_t)count * EL_CHUNK_ENTRY_LEN + data_len;
}

/* Where a chunk at pos ends, and the next one begins. */
static inline uint64_t el_chunk_end(uint64_t pos, uint32_t count, uint64_t data_len)
{
    return EL_ALIGN_UP(pos + el_chunk_len(count, data_len), (uint64_t)EL_SEGMENT_ALIGN);
}

void el_segment_header_put(uint8_t *p, const struct el_segment_header *h);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT; p[EL_SEGMENT_HEADER_LEN] */
int el_segment_header_get(const uint8_t *p, struct el_segment_header *h);
void el_chunk_entry_put(uint8_t *p, const struct el_chunk_entry *e);
void el_chunk_entry_get(const uint8_t *p, struct el_chunk_entry *e);
/* Write the chunk header in front of its table, which is there already: p[header + count entries]. */
void el_chunk_seal(uint8_t *p, const struct el_chunk_header *h);
/* Header alone: magic and bounds; p[EL_CHUNK_HEADER_LEN]. returns 0 | EVLOG_ERR_CORRUPT */
int el_chunk_header_get(const uint8_t *p, struct el_chunk_header *h);
/* Checksum of header and table, order of offsets, lengths adding up to data_len. returns 0 | EVLOG_ERR_CORRUPT */
int el_chunk_check(const uint8_t *p, const struct el_chunk_header *h);

/* Lengths, without padding, that a chunk may have which is not valid, if only one of count, data length and the lengths
 * in its table is wrong: as count and data length say, as count and table say, as table and data length say. 0: none.
 *
 * p         [len] what there is of the file from its header on, EL_CHUNK_HEADER_LEN at least
 */
#define EL_CHUNK_GUESSES 3
void el_chunk_guess(const uint8_t *p, size_t len, uint64_t guesses[EL_CHUNK_GUESSES]);

/* Bytes that the footer (with trailer) takes for count index entries. */
size_t el_footer_len(size_t index_count, bool with_sha256);
/* Whether a footer begins there, to tell it from a chunk; p[8]. It is not verified. */
bool el_is_footer(const uint8_t *p);
/* Write footer and trailer at file position pos; p[el_footer_len()]. sha256[32] of the bytes before pos, or NULL: no
 * such section. */
void el_footer_put(uint8_t *p, uint64_t pos, const struct el_index_entry *index, size_t index_count,
                   const uint8_t *sha256);
/* Position and length of the footer from the last EL_SEGMENT_TRAILER_LEN bytes of a file of file_len bytes.
 * returns 0 | EVLOG_ERR_CORRUPT */
int el_trailer_get(const uint8_t *p, uint64_t file_len, uint64_t *footer_pos, uint64_t *footer_len, uint64_t *checksum);
/* Find section `tag` in a footer whose checksum was verified by this call. returns 0 | EVLOG_ERR_CORRUPT | _NOT_FOUND
 * */
int el_footer_section(const uint8_t *footer, size_t footer_len, uint64_t checksum, uint32_t tag,
                      struct el_slice *section);
void el_index_entry_get(const uint8_t *p, struct el_index_entry *e);

#endif
