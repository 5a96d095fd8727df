/* SPDX-License-Identifier: Apache-2.0
 *
 * CBOR (RFC 8949), the part evlog speaks: integers, byte and text strings of definite length, arrays and maps of
 * definite length, bool, null; el_cbor_read_any() alone goes further. Reading is a cursor over borrowed bytes: no
 * allocation, no recursion, every claimed length and count checked against the bytes left. client/core/cbor.c is the
 * only file that includes libcbor.
 *
 * Readers: after a failure r is at its end and r->err is set (sticky), so a decoder may check once. The count of an
 * array is at most the bytes left, that of a map at most half of them; more is refused as truncated.
 * Writers: the caller keeps map keys in canonical order (shorter first, then bytewise); el_cbor_key_before() is there
 * to assert it.
 */
#ifndef EL_CORE_CBOR_H
#define EL_CORE_CBOR_H

#include <core/cursor.h>
#include <core/limits.h>

enum el_cbor_type {
    EL_CBOR_UINT,  /* value */
    EL_CBOR_NINT,  /* -1 - value */
    EL_CBOR_BYTES, /* data */
    EL_CBOR_TEXT,  /* data; not checked to be UTF-8 */
    EL_CBOR_ARRAY, /* value: items that follow */
    EL_CBOR_MAP,   /* value: pairs that follow, key first */
    EL_CBOR_BOOL,  /* value 0 or 1 */
    EL_CBOR_NULL,
    EL_CBOR_OTHER, /* float, undefined: read and of no use */
    EL_CBOR_TAG,   /* value: tag; one item follows */
    EL_CBOR_REAL,  /* real; of el_cbor_read_any() only */
    EL_CBOR_BREAK, /* end of what was open; of el_cbor_read_any() only */
};

struct el_cbor_item {
    enum el_cbor_type type;
    uint64_t value;
    struct el_slice data; /* borrowed */
    double real;
    bool single; /* real was written with at most single precision */
    bool open;   /* of el_cbor_read_any() only: string, array or map of indefinite length, up to its EL_CBOR_BREAK */
};

/* Read one head, with its bytes when it is a string.
 *
 * returns  0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED also for indefinite lengths
 */
int el_cbor_read(struct el_reader *r, struct el_cbor_item *item);
/* The same for CBOR of any origin: floats come as EL_CBOR_REAL, and indefinite lengths are no fault. */
int el_cbor_read_any(struct el_reader *r, struct el_cbor_item *item);

/* Skip one whole value. depth: nesting that is still allowed, at most EL_CBOR_DEPTH_MAX.
 *
 * returns  0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED | EVLOG_ERR_LIMIT nested too deep
 */
int el_cbor_skip(struct el_reader *r, uint32_t depth);

/* One value of a known type; any other is EVLOG_ERR_MALFORMED. Results are 0 after a failure. */
uint64_t el_cbor_read_uint(struct el_reader *r);
int64_t el_cbor_read_int(struct el_reader *r);
bool el_cbor_read_bool(struct el_reader *r);
struct el_slice el_cbor_read_bytes(struct el_reader *r);
struct el_slice el_cbor_read_text(struct el_reader *r);
uint32_t el_cbor_read_array(struct el_reader *r);
uint32_t el_cbor_read_map(struct el_reader *r);
/* True, and past it, when the next value is null. */
bool el_cbor_read_null(struct el_reader *r);

void el_cbor_write_uint(struct el_writer *w, uint64_t value);
void el_cbor_write_int(struct el_writer *w, int64_t value);
void el_cbor_write_bool(struct el_writer *w, bool value);
void el_cbor_write_null(struct el_writer *w);
void el_cbor_write_bytes(struct el_writer *w, struct el_slice data);
void el_cbor_write_text(struct el_writer *w, struct el_slice text);
void el_cbor_write_cstr(struct el_writer *w, const char *text);
/* The head of a byte string whose len bytes the caller writes itself. */
void el_cbor_write_bytes_head(struct el_writer *w, size_t len);
/* Heads; count items or pairs follow. */
void el_cbor_write_array(struct el_writer *w, uint32_t count);
void el_cbor_write_map(struct el_writer *w, uint32_t count);

/* Bytes of the head of a string, array, map or integer with this length, count or value. */
size_t el_cbor_head_len(uint64_t value);
size_t el_cbor_int_len(int64_t value);
/* True when key a stands before key b in a canonical map. */
bool el_cbor_key_before(const char *a, const char *b);

#endif
