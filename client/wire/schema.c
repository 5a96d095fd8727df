/* SPDX-License-Identifier: Apache-2.0
 *
 * What needs a table but no layout: defaults, comparison with them, the parts of a gathering encoder, and the check of
 * the tables themselves. Runs on any thread.
 *
 * Functions that walk a schema call themselves for structs inside structs. The depth is that of the tables
 * (EL_SCHEMA_DEPTH_MAX, asserted), never a number from the input.
 */
#include "schema_internal.h"

#include <core/assert.h>
#include <evlog/error.h>

uint64_t el_schema_empty[2];

static const uint8_t type_size[] = {
    [EL_TYPE_BOOL] = sizeof(bool),
    [EL_TYPE_INT8] = 1,
    [EL_TYPE_INT16] = 2,
    [EL_TYPE_UINT16] = 2,
    [EL_TYPE_INT32] = 4,
    [EL_TYPE_UINT32] = 4,
    [EL_TYPE_INT64] = 8,
    [EL_TYPE_UINT64] = 8,
    [EL_TYPE_FLOAT64] = 8,
    [EL_TYPE_UUID] = 16,
    [EL_TYPE_STRING] = sizeof(struct el_slice),
    [EL_TYPE_BYTES] = sizeof(struct el_slice),
    [EL_TYPE_RECORDS] = sizeof(struct el_slice),
};
EL_STATIC_ASSERT(sizeof(bool) == 1, "a bool is a byte of the wire");

size_t el_field_size(const struct el_field *field)
{
    return field->type == EL_TYPE_STRUCT ? field->schema->size : type_size[field->type];
}

int64_t el_value_get(int type, const void *at)
{
    int8_t v8;
    int16_t v16;
    int32_t v32;
    int64_t v64;
    switch (type) {
    case EL_TYPE_BOOL:
    case EL_TYPE_INT8:
        memcpy(&v8, at, 1);
        return v8;
    case EL_TYPE_INT16:
    case EL_TYPE_UINT16:
        memcpy(&v16, at, 2);
        return type == EL_TYPE_INT16 ? v16 : (uint16_t)v16;
    case EL_TYPE_INT32:
    case EL_TYPE_UINT32:
        memcpy(&v32, at, 4);
        return type == EL_TYPE_INT32 ? v32 : (int64_t)(uint32_t)v32;
    default:
        memcpy(&v64, at, 8);
        return v64;
    }
}

void el_value_set(int type, void *at, int64_t value)
{
    switch (type_size[type]) {
    case 1:
        *(uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        memcpy(at, &(uint16_t){(uint16_t)value}, 2);
        break;
    case 4:
        memcpy(at, &(uint32_t){(uint32_t)value}, 4);
        break;
    default:
        memcpy(at, &value, 8);
        break;
    }
}

static void field_init(const struct el_field *field, void *out)
{
    void *at = el_field_at(field, out);
    if (field->array) {
        el_field_set_pointer(at, field->null_initial ? NULL : EL_EMPTY);
    } else if (field->type == EL_TYPE_STRUCT) {
        if (!field->pointer) {
            el_schema_init(field->schema, at);
        }
    } else if (el_type_is_slice(field->type)) {
        struct el_slice slice = {field->null_initial ? NULL : EL_EMPTY, 0};
        memcpy(at, &slice, sizeof slice);
    } else if (field->initial != 0) {
        el_value_set(field->type, at, field->initial);
    }
}

void el_schema_init(const struct el_schema *schema, void *out)
{
    memset(out, 0, schema->size);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        field_init(&schema->fields[i], out);
    }
}

void *el_schema_new(const struct el_schema *schema, struct el_arena *arena, uint32_t count)
{
    if (count == 0) {
        return EL_EMPTY;
    }
    uint8_t *array = el_arena_alloc(arena, (size_t)count * schema->size);
    if (array == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        el_schema_init(schema, array + (size_t)i * schema->size);
    }
    return array;
}

static bool struct_is_initial(const struct el_schema *schema, const void *in)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (!el_field_is_initial(&schema->fields[i], in)) {
            return false;
        }
    }
    return true;
}

bool el_field_is_initial(const struct el_field *field, const void *base)
{
    const void *at = el_field_in(field, base);
    if (field->array) {
        return field->null_initial ? el_field_pointer(at) == NULL : el_field_count_in(field, base) == 0;
    }
    if (field->type == EL_TYPE_STRUCT) {
        return field->pointer ? el_field_pointer(at) == NULL : struct_is_initial(field->schema, at);
    }
    if (el_type_is_slice(field->type)) {
        struct el_slice slice;
        memcpy(&slice, at, sizeof slice);
        return field->null_initial ? slice.data == NULL : slice.len == 0;
    }
    if (field->type == EL_TYPE_UUID) {
        return el_uuid_is_zero((const struct el_uuid *)at);
    }
    return el_value_get(field->type, at) == field->initial;
}

void el_gather_init(struct el_gather *gather, struct el_slice *parts, uint32_t part_max, size_t copy_len_max,
                    const struct el_writer *w)
{
    *gather = (struct el_gather){parts, part_max, 0, copy_len_max, w->base};
}

static int gather_add(struct el_gather *gather, const uint8_t *data, size_t len)
{
    if (gather->part_count == gather->part_max) {
        return EVLOG_ERR_LIMIT;
    }
    gather->parts[gather->part_count] = el_slice_of(data, len);
    gather->part_count++;
    return 0;
}

int el_gather_end(struct el_gather *gather, const struct el_writer *w)
{
    EL_ASSERT(gather->open >= w->base);
    EL_ASSERT(gather->open <= w->p);
    if (gather->open == w->p) {
        return 0;
    }
    int err = gather_add(gather, gather->open, (size_t)(w->p - gather->open));
    gather->open = w->p;
    return err;
}

int el_gather_slice(struct el_gather *gather, const struct el_writer *w, struct el_slice slice)
{
    int err = el_gather_end(gather, w);
    return err != 0 ? err : gather_add(gather, slice.data, slice.len);
}

static bool field_check(const struct el_field *field, const struct el_schema *schema)
{
    size_t room = field->array || field->pointer ? sizeof(void *) : el_field_size(field);
    bool nested = field->type == EL_TYPE_STRUCT;
    uint32_t flexible = schema->flexible_from > EL_SCHEMA_VERSION_MAX ? 0 : UINT32_MAX << schema->flexible_from;
    return field->versions != 0 && field->offset + room <= schema->size && nested == (field->schema != NULL) &&
           (!field->array || field->count_offset + sizeof(uint32_t) <= schema->size) &&
           (field->tagged & ~(field->versions & flexible)) == 0 && (nested || !field->pointer) &&
           (field->initial == 0 || (el_type_is_plain(field->type) && !field->array)) &&
           (!nested || field->schema->valid_min == schema->valid_min);
}

static bool schema_check_at(const struct el_schema *schema, uint32_t depth)
{
    if (depth > EL_SCHEMA_DEPTH_MAX || schema->valid_max > EL_SCHEMA_VERSION_MAX) {
        return false;
    }
    int tag_last = -1;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if (!field_check(field, schema)) {
            return false;
        }
        if (field->tagged != 0) {
            if (field->tag <= tag_last) {
                return false;
            }
            tag_last = field->tag;
        }
        if (field->schema != NULL && !schema_check_at(field->schema, depth + 1)) {
            return false;
        }
    }
    return true;
}

bool el_schema_check(const struct el_schema *schema)
{
    return schema_check_at(schema, 1);
}
