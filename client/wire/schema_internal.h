/* SPDX-License-Identifier: Apache-2.0
 *
 * What the decoders and encoders of wire/schema.h and wire/schema_cbor.h share.
 */
#ifndef EL_WIRE_SCHEMA_INTERNAL_H
#define EL_WIRE_SCHEMA_INTERNAL_H

#include <wire/schema.h>

/* The member of a struct that a field describes. */
static inline void *el_field_at(const struct el_field *field, void *base)
{
    return (uint8_t *)base + field->offset;
}
static inline const void *el_field_in(const struct el_field *field, const void *base)
{
    return (const uint8_t *)base + field->offset;
}
static inline uint32_t *el_field_count(const struct el_field *field, void *base)
{
    return (uint32_t *)(void *)((uint8_t *)base + field->count_offset);
}
static inline uint32_t el_field_count_in(const struct el_field *field, const void *base)
{
    uint32_t count;
    memcpy(&count, (const uint8_t *)base + field->count_offset, sizeof count);
    return count;
}
/* The pointer that an array or a nullable struct is. */
static inline void *el_field_pointer(const void *at)
{
    void *ptr;
    memcpy(&ptr, at, sizeof ptr);
    return ptr;
}
static inline void el_field_set_pointer(void *at, void *ptr)
{
    memcpy(at, &ptr, sizeof ptr);
}

static inline bool el_type_is_slice(int type)
{
    return type == EL_TYPE_STRING || type == EL_TYPE_BYTES || type == EL_TYPE_RECORDS;
}
static inline bool el_type_is_plain(int type)
{
    return type < EL_TYPE_STRING;
}

/* A plain number or bool of a type, widened; unsigned 64-bit values keep their bits. */
int64_t el_value_get(int type, const void *at);
void el_value_set(int type, void *at, int64_t value);
/* True when the field holds its default. */
bool el_field_is_initial(const struct el_field *field, const void *base);
/* True when the message must be refused: the version lacks a field that is set and may not be dropped. */
static inline bool el_field_is_lost(const struct el_field *field, uint32_t bit, const void *base)
{
    return (field->versions & bit) == 0 && !field->ignorable && !el_field_is_initial(field, base);
}
/* Records left in place by a gathering encoder. */
static inline bool el_field_is_gathered(const struct el_field *field, struct el_slice slice, size_t copy_len_max)
{
    return field->type == EL_TYPE_RECORDS && slice.len > copy_len_max;
}

#endif
