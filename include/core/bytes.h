/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed-width numbers in memory. Kafka's wire is big-endian; evlog's own files are little-endian.
 * None of these checks bounds: use core/cursor.h on bytes from outside.
 */
#ifndef EL_CORE_BYTES_H
#define EL_CORE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t el_get_be16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t el_get_be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t el_get_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
static inline void el_put_be16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}
static inline void el_put_be32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}
static inline void el_put_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

static inline uint16_t el_get_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline uint32_t el_get_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t el_get_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline void el_put_le16(void *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void el_put_le32(void *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void el_put_le64(void *p, uint64_t v) { memcpy(p, &v, 8); }

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "evlog runs on little-endian machines only");

/* A borrowed run of bytes. data may be NULL: "null" on the wire, different from empty. */
struct el_slice {
    const uint8_t *data;
    size_t len;
};

/* 16-byte id, as stored and as on the wire. */
struct el_uuid {
    uint8_t bytes[16];
};

static inline struct el_slice el_slice_of(const void *data, size_t len)
{
    return (struct el_slice){(const uint8_t *)data, len};
}
static inline struct el_slice el_slice_str(const char *text)
{
    return (struct el_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}
static inline int el_slice_eq(struct el_slice a, struct el_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline int el_uuid_eq(const struct el_uuid *a, const struct el_uuid *b) { return memcmp(a, b, 16) == 0; }
static inline int el_uuid_is_zero(const struct el_uuid *a)
{
    static const struct el_uuid zero;
    return memcmp(a, &zero, 16) == 0;
}

#define EL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define EL_MAX(a, b) ((a) > (b) ? (a) : (b))
#define EL_ALIGN_UP(v, a) (((v) + ((a)-1)) & ~((uint64_t)(a)-1))
#define EL_CONTAINER(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

#endif
