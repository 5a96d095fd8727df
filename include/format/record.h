/* SPDX-License-Identifier: Apache-2.0
 *
 * One record of a v2 batch, bytes in and bytes out. Pure functions, any thread. Nothing is copied: slices point into
 * the section that is read. The layout stands beside the encoder in client/format/record.c and in docs/format.md.
 */
#ifndef EL_FORMAT_RECORD_H
#define EL_FORMAT_RECORD_H

#include <core/cursor.h>

#define EL_RECORD_LEN_MIN 7 /* length, attributes, two deltas, null key, null value, no headers: one byte each */

/* One record header: on the wire a key that is never null, and a value that may be. */
struct el_header {
    struct el_slice key;   /* data is never NULL after reading */
    struct el_slice value; /* data NULL = null */
};

/* One record as read. */
struct el_record {
    int64_t offset_delta;     /* from the batch's base offset, within int32; 0, 1, 2 ... in a batch from a client */
    int64_t timestamp_delta;  /* ms, from the batch's base timestamp; may be negative */
    struct el_slice key;      /* data NULL = null */
    struct el_slice value;    /* data NULL = null */
    struct el_reader headers; /* over the encoded headers, checked; read with el_header_next() */
    uint32_t header_count;    /* headers that el_header_next() will give */
    uint8_t attributes;       /* 0 from every known client */
};

/* What a producer puts into a record; all borrowed. */
struct el_record_body {
    struct el_slice key;             /* data NULL = null */
    struct el_slice value;           /* data NULL = null */
    const struct el_header *headers; /* [header_count], NULL when 0; keys must not be NULL */
    size_t header_count;
};

/* Where a record stands in its batch. */
struct el_record_delta {
    int64_t offset;    /* from the base offset, 0 .. INT32_MAX */
    int64_t timestamp; /* ms, from the base timestamp */
};

/* Read the next record of an uncompressed records section and move behind it.
 *
 * Every length is checked against the record, the record against the section, and all headers are walked, so that
 * reading them later cannot fail. Call it as often as the batch's record count says; then el_reader_left() must be 0.
 *
 * records   over the section, EL_BATCH_HEADER_LEN bytes behind the batch's start (or the decompressed block)
 * record    written on success only
 * returns   0 | EVLOG_ERR_INVALID_RECORD (the reader then stands at its end with that sticky error)
 */
int el_record_next(struct el_reader *records, struct el_record *record);

/* Read the next header; false at the end.
 *
 * headers   record.headers, or a copy of it to read them again
 * header    written when true is returned
 */
bool el_header_next(struct el_reader *headers, struct el_header *header);

/* Find the last header with this key, as Kafka's lastHeader() does; false when there is none. The record's own reader
 * is not moved. */
bool el_header_find(const struct el_record *record, const char *key, struct el_slice *value);

/* Bytes that el_record_encode() will write, the length prefix included. */
size_t el_record_len(struct el_record_delta delta, const struct el_record_body *body);

/* Write one record.
 *
 * returns   0 | EVLOG_ERR_LIMIT no room, or a record above 2 GiB (sticky in w) | EVLOG_ERR_ARGUMENT a header key is
 *           NULL or too many headers (nothing is written)
 */
int el_record_encode(struct el_writer *w, struct el_record_delta delta, const struct el_record_body *body);

#endif
