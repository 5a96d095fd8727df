/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded reader and writer with a sticky error: after the first failure every further read returns zero and every
 * write does nothing, so a decoder checks once at its end. No function reads or writes outside [p, end).
 */
#ifndef EL_CORE_CURSOR_H
#define EL_CORE_CURSOR_H

#include <core/bytes.h>
#include <stdbool.h>

struct el_reader {
    const uint8_t *p;   /* next byte */
    const uint8_t *end; /* one past the last */
    int err;            /* 0 or the first EVLOG_ERR_ code */
};

struct el_writer {
    uint8_t *p;    /* next byte */
    uint8_t *end;  /* one past the last that may be written */
    uint8_t *base; /* where writing began */
    int err;       /* 0 or EVLOG_ERR_LIMIT once the room was too small */
};

static inline void el_reader_init(struct el_reader *r, const void *data, size_t len)
{
    r->p = (const uint8_t *)data;
    r->end = r->p == NULL ? NULL : r->p + len;
    r->err = 0;
}
static inline size_t el_reader_left(const struct el_reader *r) { return (size_t)(r->end - r->p); }
/* Set the sticky error (the first one wins) and move to the end. */
void el_reader_fail(struct el_reader *r, int code);
/* The next len bytes, or NULL (sticky EVLOG_ERR_TRUNCATED) when fewer are left. */
const uint8_t *el_read_bytes(struct el_reader *r, size_t len);
uint8_t el_read_u8(struct el_reader *r);
uint16_t el_read_be16(struct el_reader *r);
uint32_t el_read_be32(struct el_reader *r);
uint64_t el_read_be64(struct el_reader *r);
uint16_t el_read_le16(struct el_reader *r);
uint32_t el_read_le32(struct el_reader *r);
uint64_t el_read_le64(struct el_reader *r);
/* Unsigned LEB128; at most 5 / 10 bytes, else EVLOG_ERR_MALFORMED. */
uint32_t el_read_uvarint(struct el_reader *r);
uint64_t el_read_uvarlong(struct el_reader *r);
/* Zig-zag signed varints of Kafka records; at most 5 / 10 bytes. */
int32_t el_read_varint(struct el_reader *r);
int64_t el_read_varlong(struct el_reader *r);

static inline void el_writer_init(struct el_writer *w, void *data, size_t len)
{
    w->base = w->p = (uint8_t *)data;
    w->end = w->p == NULL ? NULL : w->p + len;
    w->err = 0;
}
static inline size_t el_writer_len(const struct el_writer *w) { return (size_t)(w->p - w->base); }
/* Room for len bytes, to be filled by the caller; NULL (sticky EVLOG_ERR_LIMIT) when there is none. */
uint8_t *el_write_room(struct el_writer *w, size_t len);
void el_write_bytes(struct el_writer *w, const void *data, size_t len);
void el_write_u8(struct el_writer *w, uint8_t v);
void el_write_be16(struct el_writer *w, uint16_t v);
void el_write_be32(struct el_writer *w, uint32_t v);
void el_write_be64(struct el_writer *w, uint64_t v);
void el_write_le16(struct el_writer *w, uint16_t v);
void el_write_le32(struct el_writer *w, uint32_t v);
void el_write_le64(struct el_writer *w, uint64_t v);
void el_write_uvarint(struct el_writer *w, uint32_t v);
void el_write_uvarlong(struct el_writer *w, uint64_t v);
void el_write_varint(struct el_writer *w, int32_t v);
void el_write_varlong(struct el_writer *w, int64_t v);
/* Encoded sizes, bytes. */
size_t el_uvarlong_len(uint64_t v);
size_t el_varlong_len(int64_t v);

#endif
