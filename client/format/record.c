/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a v2 batch (docs/format.md, Records). Pure functions over borrowed bytes.
 *
 *   bytes     field
 *   varint    length of all that follows
 *   1         attributes, 0
 *   varlong   timestamp delta, ms
 *   varint    offset delta
 *   varint    key length, -1 null; then the key
 *   varint    value length, -1 null; then the value
 *   varint    header count; then for each header:
 *   varint      key length (never null); then the key
 *   varint      value length, -1 null; then the value
 *
 * Reading:
 *   1. the record's length is compared with the section, and from then on the record's end is the only bound;
 *   2. the fields are read; the headers are walked once and must end exactly where the record does;
 *   3. the section's reader moves behind the record.
 * Every refusal is EVLOG_ERR_INVALID_RECORD. The decoder is the broker's cost per record on produce, so it has its own
 * varints: nearly all of them are one or two bytes long.
 */
#include <format/record.h>

#include <core/assert.h>
#include <evlog/error.h>

#define RECORD_BODY_LEN_MIN (EL_RECORD_LEN_MIN - 1) /* without the length prefix */

EL_STATIC_ASSERT(EL_RECORD_LEN_MIN == 7, "seven fields of at least one byte");

/* Zig-zag varint of at most 5 bytes and 32 bits: longer than two. */
static bool get_long_varint(const uint8_t **pos, const uint8_t *end, int32_t *value)
{
    const uint8_t *p = *pos;
    uint32_t raw = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (p == end) {
            return false;
        }
        uint8_t byte = *p++;
        if (shift == 28 && byte > 0x0f) {
            return false;
        }
        raw |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *pos = p;
            *value = (int32_t)((raw >> 1) ^ (0u - (raw & 1)));
            return true;
        }
    }
    return false;
}

static inline bool get_varint(const uint8_t **pos, const uint8_t *end, int32_t *value)
{
    const uint8_t *p = *pos;
    if (p != end && p[0] < 0x80) {
        *value = (p[0] >> 1) ^ -(p[0] & 1);
        *pos = p + 1;
        return true;
    }
    if (end - p >= 2 && p[1] < 0x80) {
        int32_t raw = (p[0] & 0x7f) | p[1] << 7;
        *value = (raw >> 1) ^ -(raw & 1);
        *pos = p + 2;
        return true;
    }
    return get_long_varint(pos, end, value);
}

/* Zig-zag varint of at most 10 bytes and 64 bits. */
static inline bool get_varlong(const uint8_t **pos, const uint8_t *end, int64_t *value)
{
    const uint8_t *p = *pos;
    uint64_t raw = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (p == end) {
            return false;
        }
        uint8_t byte = *p++;
        if (shift == 63 && byte > 0x01) {
            return false;
        }
        raw |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *pos = p;
            *value = (int64_t)((raw >> 1) ^ (0ull - (raw & 1)));
            return true;
        }
    }
    return false;
}

/* Length and bytes; -1 gives a NULL slice. */
static inline bool get_bytes(const uint8_t **pos, const uint8_t *end, struct el_slice *slice)
{
    int32_t len;
    if (!get_varint(pos, end, &len)) {
        return false;
    }
    if (len < 0) {
        *slice = (struct el_slice){NULL, 0};
        return len == -1;
    }
    if (len > end - *pos) {
        return false;
    }
    *slice = (struct el_slice){*pos, (size_t)len};
    *pos += len;
    return true;
}

static inline bool get_header(const uint8_t **pos, const uint8_t *end, struct el_header *header)
{
    return get_bytes(pos, end, &header->key) && header->key.data != NULL && get_bytes(pos, end, &header->value);
}

/* True when count headers fill [p, end) exactly. */
static bool headers_fill(const uint8_t *p, const uint8_t *end, int32_t count)
{
    struct el_header header;
    if (count < 0) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) { /* each takes two bytes or ends the loop */
        if (!get_header(&p, end, &header)) {
            return false;
        }
    }
    return p == end;
}

static inline bool get_record(const uint8_t *p, const uint8_t *end, struct el_record *record)
{
    int32_t offset_delta;
    int32_t header_count;
    record->attributes = *p++;
    if (!get_varlong(&p, end, &record->timestamp_delta) || !get_varint(&p, end, &offset_delta) ||
        !get_bytes(&p, end, &record->key) || !get_bytes(&p, end, &record->value) ||
        !get_varint(&p, end, &header_count) || !headers_fill(p, end, header_count)) {
        return false;
    }
    record->offset_delta = offset_delta;
    record->header_count = (uint32_t)header_count;
    record->headers = (struct el_reader){.p = p, .end = end, .err = 0};
    return true;
}

int el_record_next(struct el_reader *records, struct el_record *record)
{
    const uint8_t *p = records->p;
    int32_t len;
    struct el_record found;
    if (records->err != 0 || !get_varint(&p, records->end, &len) || len < RECORD_BODY_LEN_MIN ||
        len > records->end - p || !get_record(p, p + len, &found)) {
        el_reader_fail(records, EVLOG_ERR_INVALID_RECORD);
        return EVLOG_ERR_INVALID_RECORD;
    }
    *record = found;
    records->p = p + len;
    return 0;
}

bool el_header_next(struct el_reader *headers, struct el_header *header)
{
    if (headers->p == headers->end || headers->err != 0) {
        return false;
    }
    struct el_header found;
    const uint8_t *p = headers->p;
    if (!get_header(&p, headers->end, &found)) {
        el_reader_fail(headers, EVLOG_ERR_INVALID_RECORD);
        return false;
    }
    headers->p = p;
    *header = found;
    return true;
}

bool el_header_find(const struct el_record *record, const char *key, struct el_slice *value)
{
    struct el_reader headers = record->headers;
    struct el_slice wanted = el_slice_str(key);
    struct el_header header;
    bool found = false;
    while (el_header_next(&headers, &header)) {
        if (el_slice_eq(header.key, wanted)) {
            *value = header.value;
            found = true;
        }
    }
    return found;
}

/* --- encoding --------------------------------------------------------------------------------------------------- */

static inline uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline size_t varlong_len(int64_t value)
{
    return 1 + (size_t)(63 - __builtin_clzll(zigzag(value) | 1)) / 7;
}

static inline uint8_t *put_varlong(uint8_t *p, int64_t value)
{
    uint64_t raw = zigzag(value);
    while (raw >= 0x80) {
        *p++ = (uint8_t)(raw | 0x80);
        raw >>= 7;
    }
    *p++ = (uint8_t)raw;
    return p;
}

static inline size_t bytes_len(struct el_slice slice)
{
    return slice.data == NULL ? 1 : varlong_len((int64_t)slice.len) + slice.len;
}

static inline uint8_t *put_bytes(uint8_t *p, struct el_slice slice)
{
    if (slice.data == NULL) {
        return put_varlong(p, -1);
    }
    p = put_varlong(p, (int64_t)slice.len);
    memcpy(p, slice.data, slice.len);
    return p + slice.len;
}

/* Bytes behind the length prefix. */
static size_t body_len(struct el_record_delta delta, const struct el_record_body *body)
{
    size_t len = 1 + varlong_len(delta.timestamp) + varlong_len(delta.offset) + bytes_len(body->key) +
                 bytes_len(body->value) + varlong_len((int64_t)body->header_count);
    for (size_t i = 0; i < body->header_count; i++) {
        len += bytes_len(body->headers[i].key) + bytes_len(body->headers[i].value);
    }
    return len;
}

size_t el_record_len(struct el_record_delta delta, const struct el_record_body *body)
{
    size_t len = body_len(delta, body);
    return varlong_len((int64_t)len) + len;
}

static bool headers_valid(const struct el_record_body *body)
{
    if (body->header_count > INT32_MAX) {
        return false;
    }
    for (size_t i = 0; i < body->header_count; i++) {
        if (body->headers[i].key.data == NULL) {
            return false;
        }
    }
    return true;
}

int el_record_encode(struct el_writer *w, struct el_record_delta delta, const struct el_record_body *body)
{
    EL_ASSERT(delta.offset >= 0);
    EL_ASSERT(delta.offset <= INT32_MAX);
    if (!headers_valid(body)) {
        return EVLOG_ERR_ARGUMENT;
    }
    size_t len = body_len(delta, body);
    /* a record above 2 GiB asks for room that no writer has */
    size_t total_len = len > INT32_MAX ? SIZE_MAX : varlong_len((int64_t)len) + len;
    uint8_t *p = el_write_room(w, total_len);
    if (p == NULL) {
        return EVLOG_ERR_LIMIT;
    }
    const uint8_t *end = p + total_len;
    p = put_varlong(p, (int64_t)len);
    *p++ = 0; /* attributes */
    p = put_varlong(p, delta.timestamp);
    p = put_varlong(p, delta.offset);
    p = put_bytes(p, body->key);
    p = put_bytes(p, body->value);
    p = put_varlong(p, (int64_t)body->header_count);
    for (size_t i = 0; i < body->header_count; i++) {
        p = put_bytes(p, body->headers[i].key);
        p = put_bytes(p, body->headers[i].value);
    }
    EL_ASSERT(p == end);
    return 0;
}
