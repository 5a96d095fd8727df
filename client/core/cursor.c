/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded reading and writing of hostile bytes. Pure functions on the caller's memory, any thread.
 *
 * 1. every access asks for its bytes first; too few set the sticky error and give zero
 * 2. varints take their one-byte form first: most lengths and deltas in a batch are below 128
 *
 * A varint that is longer than its type allows, or carries bits beyond it, is refused; one with needless zero groups
 * at its end is accepted, as Kafka's Java reader does.
 */
#include <core/assert.h>
#include <core/cursor.h>
#include <evlog/error.h>

void el_reader_fail(struct el_reader *r, int code)
{
    EL_ASSERT(code < 0);
    if (r->err == 0) {
        r->err = code;
    }
    r->p = r->end;
}

const uint8_t *el_read_bytes(struct el_reader *r, size_t len)
{
    if (__builtin_expect(el_reader_left(r) < len, 0)) {
        el_reader_fail(r, EVLOG_ERR_TRUNCATED);
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p = len == 0 ? at : at + len;
    return at;
}

uint8_t el_read_u8(struct el_reader *r)
{
    const uint8_t *at = el_read_bytes(r, 1);
    return at == NULL ? 0 : *at;
}

#define CURSOR_READ(name, type, get)                                                                                   \
    type el_read_##name(struct el_reader *r)                                                                           \
    {                                                                                                                  \
        const uint8_t *at = el_read_bytes(r, sizeof(type));                                                            \
        return at == NULL ? 0 : get(at);                                                                               \
    }
CURSOR_READ(be16, uint16_t, el_get_be16)
CURSOR_READ(be32, uint32_t, el_get_be32)
CURSOR_READ(be64, uint64_t, el_get_be64)
CURSOR_READ(le16, uint16_t, el_get_le16)
CURSOR_READ(le32, uint32_t, el_get_le32)
CURSOR_READ(le64, uint64_t, el_get_le64)

/* Groups of seven bits, least significant first; the value must fit into bit_count bits. */
static uint64_t read_groups(struct el_reader *r, unsigned bit_count)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < bit_count; shift += 7) {
        if (r->p == r->end) {
            el_reader_fail(r, EVLOG_ERR_TRUNCATED);
            return 0;
        }
        uint8_t byte = *r->p++;
        uint64_t group = byte & 0x7f;
        if (bit_count - shift < 7 && group >> (bit_count - shift) != 0) {
            break;
        }
        v |= group << shift;
        if ((byte & 0x80) == 0) {
            return v;
        }
    }
    el_reader_fail(r, EVLOG_ERR_MALFORMED);
    return 0;
}

uint32_t el_read_uvarint(struct el_reader *r)
{
    if (__builtin_expect(r->p != r->end && *r->p < 0x80, 1)) {
        return *r->p++;
    }
    return (uint32_t)read_groups(r, 32);
}

uint64_t el_read_uvarlong(struct el_reader *r)
{
    if (__builtin_expect(r->p != r->end && *r->p < 0x80, 1)) {
        return *r->p++;
    }
    return read_groups(r, 64);
}

int32_t el_read_varint(struct el_reader *r)
{
    uint32_t v = el_read_uvarint(r);
    return (int32_t)(v >> 1 ^ (0 - (v & 1)));
}

int64_t el_read_varlong(struct el_reader *r)
{
    uint64_t v = el_read_uvarlong(r);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

uint8_t *el_write_room(struct el_writer *w, size_t len)
{
    if (__builtin_expect(w->err != 0, 0)) {
        return NULL;
    }
    if (__builtin_expect((size_t)(w->end - w->p) < len, 0)) {
        w->err = EVLOG_ERR_LIMIT;
        return NULL;
    }
    uint8_t *at = w->p;
    w->p = len == 0 ? at : at + len;
    return at;
}

void el_write_bytes(struct el_writer *w, const void *data, size_t len)
{
    uint8_t *at = el_write_room(w, len);
    if (at != NULL && len > 0) {
        memcpy(at, data, len);
    }
}

void el_write_u8(struct el_writer *w, uint8_t v)
{
    uint8_t *at = el_write_room(w, 1);
    if (at != NULL) {
        *at = v;
    }
}

#define CURSOR_WRITE(name, type, put)                                                                                  \
    void el_write_##name(struct el_writer *w, type v)                                                                  \
    {                                                                                                                  \
        uint8_t *at = el_write_room(w, sizeof(type));                                                                  \
        if (at != NULL) {                                                                                              \
            put(at, v);                                                                                                \
        }                                                                                                              \
    }
CURSOR_WRITE(be16, uint16_t, el_put_be16)
CURSOR_WRITE(be32, uint32_t, el_put_be32)
CURSOR_WRITE(be64, uint64_t, el_put_be64)
CURSOR_WRITE(le16, uint16_t, el_put_le16)
CURSOR_WRITE(le32, uint32_t, el_put_le32)
CURSOR_WRITE(le64, uint64_t, el_put_le64)

void el_write_uvarint(struct el_writer *w, uint32_t v)
{
    el_write_uvarlong(w, v);
}

void el_write_uvarlong(struct el_writer *w, uint64_t v)
{
    uint8_t *at = el_write_room(w, el_uvarlong_len(v));
    if (at == NULL) {
        return;
    }
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at = (uint8_t)v;
}

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

void el_write_varint(struct el_writer *w, int32_t v)
{
    el_write_uvarlong(w, zigzag(v));
}

void el_write_varlong(struct el_writer *w, int64_t v)
{
    el_write_uvarlong(w, zigzag(v));
}

size_t el_uvarlong_len(uint64_t v)
{
    unsigned bit_count = 64u - (unsigned)__builtin_clzll(v | 1);
    return (bit_count + 6) / 7;
}

size_t el_varlong_len(int64_t v)
{
    return el_uvarlong_len(zigzag(v));
}
