/* SPDX-License-Identifier: Apache-2.0
 *
 * C structs <-> CBOR maps, by the same tables as Kafka's layout. Runs on any thread.
 *
 * Decoding a map: for each pair find the field of that name; known: read the value into its member, once; unknown:
 * skip the value. Encoding: every field of the version in table order, the canonical order of the keys (asserted).
 * Depth is that of the tables plus, in skipped values, up to EL_CBOR_DEPTH_MAX in all. core/cbor.h checks counts
 * against the bytes left before an array is allocated here.
 *
 * Source: docs/protocol.md section 5.
 */
#include "schema_internal.h"

#include <core/assert.h>
#include <core/cbor.h>
#include <evlog/error.h>
#include <wire/schema_cbor.h>

#define FIELD_COUNT_MAX 64 /* fields seen are a 64-bit mask */

/* A struct in an array is two levels: the array and the map. */
EL_STATIC_ASSERT(2 * 5 + 1 <= EL_CBOR_DEPTH_MAX, "topics, partitions, outcomes, emits and headers fit in");

struct cbor_decode_ctx {
    struct el_reader *r;
    struct el_arena *arena;
    uint32_t bit;   /* of the version */
    uint32_t depth; /* arrays and maps entered */
};

static void decode_map(struct cbor_decode_ctx *ctx, const struct el_schema *schema, void *out);

static void decode_fail(struct cbor_decode_ctx *ctx, int code)
{
    el_reader_fail(ctx->r, code);
}

static void decode_number(struct cbor_decode_ctx *ctx, int type, void *at)
{
    static const struct {
        int64_t min, max;
    } range[] = {
        [EL_TYPE_INT8] = {INT8_MIN, INT8_MAX}, [EL_TYPE_INT16] = {INT16_MIN, INT16_MAX},
        [EL_TYPE_UINT16] = {0, UINT16_MAX},    [EL_TYPE_INT32] = {INT32_MIN, INT32_MAX},
        [EL_TYPE_UINT32] = {0, UINT32_MAX},    [EL_TYPE_INT64] = {INT64_MIN, INT64_MAX},
    };
    if (type == EL_TYPE_BOOL) {
        el_value_set(type, at, el_cbor_read_bool(ctx->r));
        return;
    }
    if (type == EL_TYPE_UINT64) {
        el_value_set(type, at, (int64_t)el_cbor_read_uint(ctx->r));
        return;
    }
    EL_ASSERT(type <= EL_TYPE_INT64);
    int64_t value = el_cbor_read_int(ctx->r);
    if (value < range[type].min || value > range[type].max) {
        decode_fail(ctx, EVLOG_ERR_MALFORMED);
        return;
    }
    el_value_set(type, at, value);
}

static void decode_slice(struct cbor_decode_ctx *ctx, const struct el_field *field, void *at)
{
    bool nullable = (field->nullable & ctx->bit) != 0 && !field->array;
    struct el_slice slice = {NULL, 0};
    if (!nullable || !el_cbor_read_null(ctx->r)) {
        bool is_text = field->type == EL_TYPE_STRING;
        slice = is_text ? el_cbor_read_text(ctx->r) : el_cbor_read_bytes(ctx->r);
        if (ctx->r->err == 0 && slice.len == 0) {
            slice.data = EL_EMPTY;
        }
    }
    memcpy(at, &slice, sizeof slice);
}

static void decode_value(struct cbor_decode_ctx *ctx, const struct el_field *field, void *at)
{
    if (field->type == EL_TYPE_STRUCT) {
        decode_map(ctx, field->schema, at);
    } else if (el_type_is_slice(field->type)) {
        decode_slice(ctx, field, at);
    } else if (field->type == EL_TYPE_UUID) {
        struct el_slice bytes = el_cbor_read_bytes(ctx->r);
        if (ctx->r->err == 0 && bytes.len != sizeof(struct el_uuid)) {
            decode_fail(ctx, EVLOG_ERR_MALFORMED);
        }
        if (ctx->r->err == 0) {
            memcpy(at, bytes.data, sizeof(struct el_uuid));
        }
    } else {
        decode_number(ctx, field->type, at);
    }
}

static void decode_array(struct cbor_decode_ctx *ctx, const struct el_field *field, void *out)
{
    if ((field->nullable & ctx->bit) != 0 && el_cbor_read_null(ctx->r)) {
        el_field_set_pointer(el_field_at(field, out), NULL);
        return;
    }
    uint32_t count = el_cbor_read_array(ctx->r);
    size_t size = el_field_size(field);
    void *array = count == 0 ? EL_EMPTY : el_arena_alloc(ctx->arena, count * size);
    if (array == NULL) {
        decode_fail(ctx, EVLOG_ERR_NO_MEMORY);
        return;
    }
    ctx->depth++;
    for (uint32_t i = 0; i < count && ctx->r->err == 0; i++) {
        decode_value(ctx, field, (uint8_t *)array + i * size);
    }
    ctx->depth--;
    if (ctx->r->err == 0) {
        el_field_set_pointer(el_field_at(field, out), array);
        *el_field_count(field, out) = count;
    }
}

static int find_key(const struct cbor_decode_ctx *ctx, const struct el_schema *schema, struct el_slice key)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        bool in_version = (schema->fields[i].versions & ctx->bit) != 0;
        if (in_version && el_slice_eq(key, el_slice_str(schema->fields[i].name))) {
            return (int)i;
        }
    }
    return -1;
}

static void decode_map(struct cbor_decode_ctx *ctx, const struct el_schema *schema, void *out)
{
    EL_ASSERT(schema->field_count <= FIELD_COUNT_MAX);
    EL_ASSERT(ctx->depth < EL_CBOR_DEPTH_MAX);
    ctx->depth++;
    el_schema_init(schema, out);
    uint64_t seen = 0;
    uint32_t count = el_cbor_read_map(ctx->r);
    for (uint32_t i = 0; i < count && ctx->r->err == 0; i++) {
        struct el_slice key = el_cbor_read_text(ctx->r);
        int index = find_key(ctx, schema, key);
        if (ctx->r->err != 0) {
            break;
        }
        if (index < 0) {
            el_cbor_skip(ctx->r, EL_CBOR_DEPTH_MAX - ctx->depth);
            continue;
        }
        if ((seen >> index & 1) != 0) {
            decode_fail(ctx, EVLOG_ERR_MALFORMED);
            break;
        }
        seen |= UINT64_C(1) << index;
        const struct el_field *field = &schema->fields[index];
        if (field->array) {
            decode_array(ctx, field, out);
        } else {
            decode_value(ctx, field, el_field_at(field, out));
        }
    }
    ctx->depth--;
}

int el_schema_cbor_decode(const struct el_schema *schema, int version, struct el_reader *r, struct el_arena *arena,
                          void *out)
{
    EL_ASSERT(version >= schema->valid_min);
    EL_ASSERT(version <= schema->valid_max);
    struct cbor_decode_ctx ctx = {r, arena, 1u << version, 0};
    decode_map(&ctx, schema, out);
    EL_ASSERT(ctx.depth == 0);
    return r->err;
}

/* --- length ------------------------------------------------------------------------------------------------------ */

struct cbor_measure_ctx {
    struct el_schema_size size;
    size_t copy_len_max;
    uint32_t bit;
};

static void measure_map(struct cbor_measure_ctx *ctx, const struct el_schema *schema, const void *in);

static bool slice_is_null(const struct el_field *field, uint32_t bit, struct el_slice slice)
{
    return slice.data == NULL && (field->nullable & bit) != 0 && !field->array;
}

static size_t number_len(int type, const void *at)
{
    int64_t value = el_value_get(type, at);
    if (type == EL_TYPE_BOOL) {
        return 1;
    }
    return type == EL_TYPE_UINT64 ? el_cbor_head_len((uint64_t)value) : el_cbor_int_len(value);
}

static void measure_value(struct cbor_measure_ctx *ctx, const struct el_field *field, const void *at)
{
    if (field->type == EL_TYPE_STRUCT) {
        measure_map(ctx, field->schema, at);
    } else if (el_type_is_slice(field->type)) {
        struct el_slice slice;
        memcpy(&slice, at, sizeof slice);
        ctx->size.len += slice_is_null(field, ctx->bit, slice) ? 1 : el_cbor_head_len(slice.len) + slice.len;
        if (el_field_is_gathered(field, slice, ctx->copy_len_max)) {
            ctx->size.slice_len += slice.len;
            ctx->size.slice_count++;
        }
    } else if (field->type == EL_TYPE_UUID) {
        ctx->size.len += el_cbor_head_len(sizeof(struct el_uuid)) + sizeof(struct el_uuid);
    } else {
        ctx->size.len += number_len(field->type, at);
    }
}

static uint32_t version_field_count(const struct el_schema *schema, uint32_t bit)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        count += (schema->fields[i].versions & bit) != 0;
    }
    return count;
}

static void measure_field(struct cbor_measure_ctx *ctx, const struct el_field *field, const void *in)
{
    const void *at = el_field_in(field, in);
    ctx->size.len += el_cbor_head_len(strlen(field->name)) + strlen(field->name);
    if (!field->array) {
        measure_value(ctx, field, at);
        return;
    }
    const uint8_t *array = el_field_pointer(at);
    uint32_t count = array == NULL ? 0 : el_field_count_in(field, in);
    ctx->size.len += el_cbor_head_len(count);
    size_t size = el_field_size(field);
    for (uint32_t i = 0; i < count; i++) {
        measure_value(ctx, field, array + i * size);
    }
}

static void measure_map(struct cbor_measure_ctx *ctx, const struct el_schema *schema, const void *in)
{
    ctx->size.len += el_cbor_head_len(version_field_count(schema, ctx->bit));
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if ((schema->fields[i].versions & ctx->bit) != 0) {
            measure_field(ctx, &schema->fields[i], in);
        }
    }
}

void el_schema_cbor_measure(const struct el_schema *schema, int version, const void *in, size_t copy_len_max,
                            struct el_schema_size *size)
{
    struct cbor_measure_ctx ctx = {{0, 0, 0}, copy_len_max, 1u << version};
    measure_map(&ctx, schema, in);
    *size = ctx.size;
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

struct cbor_encode_ctx {
    struct el_writer *w;
    struct el_gather *gather; /* NULL copies all records */
    uint32_t bit;
};

static void encode_map(struct cbor_encode_ctx *ctx, const struct el_schema *schema, const void *in);

static void encode_fail(struct cbor_encode_ctx *ctx, int code)
{
    if (ctx->w->err == 0) {
        ctx->w->err = code;
    }
}

static void encode_slice(struct cbor_encode_ctx *ctx, const struct el_field *field, struct el_slice slice)
{
    if (slice_is_null(field, ctx->bit, slice)) {
        el_cbor_write_null(ctx->w);
    } else if (field->type == EL_TYPE_STRING) {
        el_cbor_write_text(ctx->w, slice);
    } else if (ctx->gather != NULL && el_field_is_gathered(field, slice, ctx->gather->copy_len_max)) {
        el_cbor_write_bytes_head(ctx->w, slice.len);
        int err = ctx->w->err != 0 ? ctx->w->err : el_gather_slice(ctx->gather, ctx->w, slice);
        if (err != 0) {
            encode_fail(ctx, err);
        }
    } else {
        el_cbor_write_bytes(ctx->w, slice);
    }
}

static void encode_value(struct cbor_encode_ctx *ctx, const struct el_field *field, const void *at)
{
    if (field->type == EL_TYPE_STRUCT) {
        encode_map(ctx, field->schema, at);
    } else if (el_type_is_slice(field->type)) {
        struct el_slice slice;
        memcpy(&slice, at, sizeof slice);
        encode_slice(ctx, field, slice);
    } else if (field->type == EL_TYPE_UUID) {
        el_cbor_write_bytes(ctx->w, el_slice_of(at, sizeof(struct el_uuid)));
    } else if (field->type == EL_TYPE_BOOL) {
        el_cbor_write_bool(ctx->w, el_value_get(field->type, at) != 0);
    } else if (field->type == EL_TYPE_UINT64) {
        el_cbor_write_uint(ctx->w, (uint64_t)el_value_get(field->type, at));
    } else {
        EL_ASSERT(field->type <= EL_TYPE_INT64);
        el_cbor_write_int(ctx->w, el_value_get(field->type, at));
    }
}

static void encode_array(struct cbor_encode_ctx *ctx, const struct el_field *field, const void *in)
{
    const uint8_t *array = el_field_pointer(el_field_in(field, in));
    if (array == NULL && (field->nullable & ctx->bit) != 0) {
        el_cbor_write_null(ctx->w);
        return;
    }
    uint32_t count = array == NULL ? 0 : el_field_count_in(field, in);
    el_cbor_write_array(ctx->w, count);
    size_t size = el_field_size(field);
    for (uint32_t i = 0; i < count && ctx->w->err == 0; i++) {
        encode_value(ctx, field, array + i * size);
    }
}

static void encode_map(struct cbor_encode_ctx *ctx, const struct el_schema *schema, const void *in)
{
    el_cbor_write_map(ctx->w, version_field_count(schema, ctx->bit));
    const char *key_last = NULL;
    for (uint32_t i = 0; i < schema->field_count && ctx->w->err == 0; i++) {
        const struct el_field *field = &schema->fields[i];
        if (el_field_is_lost(field, ctx->bit, in)) {
            encode_fail(ctx, EVLOG_ERR_UNSUPPORTED);
        }
        if ((field->versions & ctx->bit) == 0) {
            continue;
        }
        if (key_last != NULL) {
            EL_ASSERT(el_cbor_key_before(key_last, field->name));
        }
        key_last = field->name;
        el_cbor_write_cstr(ctx->w, field->name);
        if (field->array) {
            encode_array(ctx, field, in);
        } else {
            encode_value(ctx, field, el_field_in(field, in));
        }
    }
}

int el_schema_cbor_encode(const struct el_schema *schema, int version, const void *in, struct el_writer *w,
                          struct el_gather *gather)
{
    EL_ASSERT(version >= schema->valid_min);
    EL_ASSERT(version <= schema->valid_max);
    struct cbor_encode_ctx ctx = {w, gather, 1u << version};
    encode_map(&ctx, schema, in);
    if (gather != NULL && w->err == 0) {
        int err = el_gather_end(gather, w);
        if (err != 0) {
            encode_fail(&ctx, err);
        }
    }
    return w->err;
}
