/* SPDX-License-Identifier: Apache-2.0
 *
 * Fill and compare by table. Written against wire/schema.h alone: it shares no code with the codec that it tests.
 */
#include "filler.h"

#include "test.h"

#include <core/alloc.h>

#define FILL_LEN_MAX 40
#define FILL_COUNT_MAX 3

struct fill_ctx {
    struct el_rng *rng;
    struct el_arena *arena;
    uint32_t bit;
    enum fill_how how;
};

static void fill_struct(struct fill_ctx *ctx, const struct el_schema *schema, void *out);

static bool chance(struct fill_ctx *ctx, uint32_t one_in)
{
    return ctx->how == FILL_RANDOM && el_rng_below(ctx->rng, one_in) == 0;
}

static size_t c_size(const struct el_field *field)
{
    switch ((enum el_type)field->type) {
    case EL_TYPE_BOOL:
    case EL_TYPE_INT8:
        return 1;
    case EL_TYPE_INT16:
    case EL_TYPE_UINT16:
        return 2;
    case EL_TYPE_INT32:
    case EL_TYPE_UINT32:
        return 4;
    case EL_TYPE_INT64:
    case EL_TYPE_UINT64:
    case EL_TYPE_FLOAT64:
        return 8;
    case EL_TYPE_UUID:
        return 16;
    case EL_TYPE_STRING:
    case EL_TYPE_BYTES:
    case EL_TYPE_RECORDS:
        return sizeof(struct el_slice);
    case EL_TYPE_STRUCT:
        return field->schema->size;
    }
    return 0;
}

static struct el_slice fill_slice(struct fill_ctx *ctx, const struct el_field *field)
{
    bool nullable = (field->nullable & ctx->bit) != 0 && !field->array;
    if (nullable && (ctx->how == FILL_EMPTY || chance(ctx, 4))) {
        return (struct el_slice){NULL, 0};
    }
    if (ctx->how == FILL_EMPTY || chance(ctx, 6)) {
        return (struct el_slice){EL_EMPTY, 0};
    }
    size_t len_max = chance(ctx, 20) ? 300 : FILL_LEN_MAX;
    size_t len = 1 + el_rng_below(ctx->rng, len_max);
    uint8_t *data = el_arena_alloc(ctx->arena, len);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(field->type == EL_TYPE_STRING ? 'a' + el_rng_below(ctx->rng, 26) : el_rng_next(ctx->rng));
    }
    return (struct el_slice){data, len};
}

static void fill_value(struct fill_ctx *ctx, const struct el_field *field, void *at)
{
    if (field->type == EL_TYPE_STRUCT) {
        fill_struct(ctx, field->schema, at);
        return;
    }
    if (c_size(field) == sizeof(struct el_slice) && field->type != EL_TYPE_UUID) {
        struct el_slice slice = fill_slice(ctx, field);
        memcpy(at, &slice, sizeof slice);
        return;
    }
    if (ctx->how == FILL_EMPTY || chance(ctx, 4)) {
        return;
    }
    if (field->type == EL_TYPE_BOOL) {
        *(bool *)at = ctx->how == FILL_ALL ? field->initial == 0 : el_rng_below(ctx->rng, 2) == 1;
        return;
    }
    uint64_t bits[2] = {el_rng_next(ctx->rng), el_rng_next(ctx->rng)};
    uint64_t width = el_rng_below(ctx->rng, 64);
    bits[0] >>= ctx->how == FILL_RANDOM ? width : 0;
    memcpy(at, bits, c_size(field));
}

static void fill_field(struct fill_ctx *ctx, const struct el_field *field, void *out)
{
    void *at = (uint8_t *)out + field->offset;
    bool nullable = (field->nullable & ctx->bit) != 0;
    void *ptr = EL_EMPTY;
    uint32_t count = 0;
    if (!field->array && !field->pointer) {
        fill_value(ctx, field, at);
        return;
    }
    if (nullable && (ctx->how == FILL_EMPTY || chance(ctx, 4))) {
        ptr = NULL;
    } else if (field->pointer) {
        ptr = el_schema_new(field->schema, ctx->arena, 1);
        fill_struct(ctx, field->schema, ptr);
    } else if (ctx->how != FILL_EMPTY && !chance(ctx, 6)) {
        count = 1 + (uint32_t)el_rng_below(ctx->rng, FILL_COUNT_MAX);
        ptr = el_arena_zalloc(ctx->arena, count * c_size(field));
        for (uint32_t i = 0; i < count; i++) {
            fill_value(ctx, field, (uint8_t *)ptr + i * c_size(field));
        }
    }
    memcpy(at, &ptr, sizeof ptr);
    if (field->array) {
        memcpy((uint8_t *)out + field->count_offset, &count, sizeof count);
    }
}

static void fill_struct(struct fill_ctx *ctx, const struct el_schema *schema, void *out)
{
    el_schema_init(schema, out);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if ((schema->fields[i].versions & ctx->bit) != 0) {
            fill_field(ctx, &schema->fields[i], out);
        }
    }
}

void *fill_message(const struct el_schema *schema, int version, enum fill_how how, struct el_rng *rng,
                   struct el_arena *arena)
{
    struct fill_ctx ctx = {rng, arena, 1U << version, how};
    void *out = el_arena_zalloc(arena, schema->size);
    fill_struct(&ctx, schema, out);
    return out;
}

static bool struct_equal(const struct el_schema *schema, uint32_t bit, const void *a, const void *b);

static bool value_equal(const struct el_field *field, uint32_t bit, const void *a, const void *b)
{
    if (field->type == EL_TYPE_STRUCT) {
        return struct_equal(field->schema, bit, a, b);
    }
    if (field->type == EL_TYPE_STRING || field->type == EL_TYPE_BYTES || field->type == EL_TYPE_RECORDS) {
        struct el_slice x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return el_slice_eq(x, y) && (x.data == NULL) == (y.data == NULL);
    }
    return memcmp(a, b, c_size(field)) == 0;
}

static bool field_equal(const struct el_field *field, uint32_t bit, const void *a, const void *b)
{
    const uint8_t *x = (const uint8_t *)a + field->offset, *y = (const uint8_t *)b + field->offset;
    if (!field->array && !field->pointer) {
        return value_equal(field, bit, x, y);
    }
    const uint8_t *p, *q;
    memcpy(&p, x, sizeof p);
    memcpy(&q, y, sizeof q);
    if ((p == NULL) != (q == NULL)) {
        return false;
    }
    uint32_t count_a = p == NULL ? 0 : 1, count_b = count_a;
    if (field->array) {
        memcpy(&count_a, (const uint8_t *)a + field->count_offset, sizeof count_a);
        memcpy(&count_b, (const uint8_t *)b + field->count_offset, sizeof count_b);
    }
    bool equal = count_a == count_b;
    for (uint32_t i = 0; i < count_a && equal; i++) {
        equal = value_equal(field, bit, p + i * c_size(field), q + i * c_size(field));
    }
    return equal;
}

static bool struct_equal(const struct el_schema *schema, uint32_t bit, const void *a, const void *b)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (!field_equal(&schema->fields[i], bit, a, b)) {
            print_message("%s.%s differs\n", schema->name, schema->fields[i].name);
            return false;
        }
    }
    return true;
}

bool message_equal(const struct el_schema *schema, int version, const void *a, const void *b)
{
    return struct_equal(schema, 1U << version, a, b);
}

struct encoded encode_filled(const struct el_api *api, enum el_side side, int version, enum fill_how how,
                             struct el_rng *rng, struct el_arena *arena)
{
    const void *message = fill_message(api->schema[side], version, how, rng, arena);
    struct el_schema_size size;
    el_api_measure(api, side, version, message, SIZE_MAX, &size);
    struct encoded encoded = {message, el_arena_alloc(arena, size.len), size.len};
    struct el_writer w;
    el_writer_init(&w, encoded.data, encoded.len);
    assert_int_equal(el_api_encode(api, side, version, message, &w, NULL), 0);
    assert_int_equal(el_writer_len(&w), size.len);
    assert_int_equal(size.slice_count, 0);
    return encoded;
}

int decode_copy(const struct el_api *api, enum el_side side, int version, const uint8_t *data, size_t len,
                struct el_arena *arena, void **message, uint8_t **copy)
{
    *copy = el_memdup(data, len);
    *message = el_arena_alloc(arena, api->schema[side]->size);
    struct el_reader r;
    el_reader_init(&r, *copy, len);
    return el_api_decode(api, side, version, &r, arena, *message);
}
