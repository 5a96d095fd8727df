/* SPDX-License-Identifier: Apache-2.0
 *
 * C structs -> Kafka's binary layout, by table, and its exact length beforehand. Runs on any thread.
 *
 *   1. write the fields of the version in wire order
 *   2. in a flexible version write the tagged section: the tagged fields that differ from their default, ascending
 *
 * Refused: a field that is set though the version lacks it and the table does not call it ignorable, and lengths the
 * layout cannot hold. A null where the version allows none is written as empty. el_schema_measure() and the encoder
 * walk the same way; el_frame_build_* assert that they agree.
 *
 * Source: docs/protocol.md section 2.
 */
#include "schema_internal.h"

#include <core/assert.h>
#include <evlog/error.h>

struct encode_ctx {
    struct el_writer *w;
    struct el_gather *gather; /* NULL copies all records */
    uint32_t bit;             /* of the version */
    bool flexible;            /* compact lengths, tagged sections */
};

struct measure_ctx {
    struct el_schema_size size;
    size_t copy_len_max;
    uint32_t bit;
    bool flexible;
};

/* --- length ------------------------------------------------------------------------------------------------------ */

static void measure_struct(struct measure_ctx *ctx, const struct el_schema *schema, const void *in);
static void measure_field(struct measure_ctx *ctx, const struct el_field *field, const void *base);

static size_t count_len(bool flexible, bool is_short, size_t count, bool is_null)
{
    if (!flexible) {
        return is_short ? 2 : 4;
    }
    return is_null ? 1 : el_uvarlong_len((uint64_t)count + 1);
}

static void measure_slice(struct measure_ctx *ctx, const struct el_field *field, struct el_slice slice)
{
    ctx->size.len += count_len(ctx->flexible, field->type == EL_TYPE_STRING, slice.len, slice.data == NULL) + slice.len;
    if (el_field_is_gathered(field, slice, ctx->copy_len_max)) {
        ctx->size.slice_len += slice.len;
        ctx->size.slice_count++;
    }
}

static void measure_value(struct measure_ctx *ctx, const struct el_field *field, const void *at)
{
    if (field->type == EL_TYPE_STRUCT) {
        measure_struct(ctx, field->schema, at);
    } else if (el_type_is_slice(field->type)) {
        struct el_slice slice;
        memcpy(&slice, at, sizeof slice);
        measure_slice(ctx, field, slice);
    } else {
        ctx->size.len += el_field_size(field);
    }
}

static void measure_field(struct measure_ctx *ctx, const struct el_field *field, const void *base)
{
    const void *at = el_field_in(field, base);
    if (field->array) {
        const uint8_t *array = el_field_pointer(at);
        uint32_t count = array == NULL ? 0 : el_field_count_in(field, base);
        ctx->size.len += count_len(ctx->flexible, false, count, array == NULL);
        size_t size = el_field_size(field);
        for (uint32_t i = 0; i < count; i++) {
            measure_value(ctx, field, array + i * size);
        }
    } else if (field->pointer) {
        const void *sub = el_field_pointer(at);
        ctx->size.len += (field->nullable & ctx->bit) != 0 ? 1 : 0;
        if (sub != NULL) {
            measure_struct(ctx, field->schema, sub);
        }
    } else {
        measure_value(ctx, field, at);
    }
}

static void measure_tagged(struct measure_ctx *ctx, const struct el_schema *schema, const void *in)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->tagged & ctx->bit) != 0 && !el_field_is_initial(field, in)) {
            size_t before = ctx->size.len;
            measure_field(ctx, field, in);
            ctx->size.len += el_uvarlong_len(field->tag) + el_uvarlong_len(ctx->size.len - before);
            count++;
        }
    }
    ctx->size.len += el_uvarlong_len(count);
}

static void measure_struct(struct measure_ctx *ctx, const struct el_schema *schema, const void *in)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->versions & ctx->bit) != 0 && (field->tagged & ctx->bit) == 0) {
            measure_field(ctx, field, in);
        }
    }
    if (ctx->flexible) {
        measure_tagged(ctx, schema, in);
    }
}

void el_schema_measure(const struct el_schema *schema, int version, const void *in, size_t copy_len_max,
                       struct el_schema_size *size)
{
    EL_ASSERT(version >= schema->valid_min);
    EL_ASSERT(version <= schema->valid_max);
    struct measure_ctx ctx = {{0, 0, 0}, copy_len_max, 1u << version, version >= schema->flexible_from};
    measure_struct(&ctx, schema, in);
    *size = ctx.size;
}

size_t el_schema_len(const struct el_schema *schema, int version, const void *in)
{
    struct el_schema_size size;
    el_schema_measure(schema, version, in, SIZE_MAX, &size);
    return size.len;
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static void encode_struct(struct encode_ctx *ctx, const struct el_schema *schema, const void *in);

static void encode_fail(struct encode_ctx *ctx, int code)
{
    if (ctx->w->err == 0) {
        ctx->w->err = code;
    }
}

/* A length or count; is_null has been refused where the version has no null. */
static void encode_count(struct encode_ctx *ctx, bool is_short, size_t count, bool is_null)
{
    if (count > (is_short ? (size_t)EL_STRING_LEN_MAX : (size_t)INT32_MAX)) {
        encode_fail(ctx, EVLOG_ERR_LIMIT);
    } else if (ctx->flexible) {
        el_write_uvarint(ctx->w, is_null ? 0 : (uint32_t)count + 1);
    } else if (is_short) {
        el_write_be16(ctx->w, is_null ? UINT16_MAX : (uint16_t)count);
    } else {
        el_write_be32(ctx->w, is_null ? UINT32_MAX : (uint32_t)count);
    }
}

static void encode_slice(struct encode_ctx *ctx, const struct el_field *field, struct el_slice slice)
{
    bool nullable = (field->nullable & ctx->bit) != 0 && !field->array;
    encode_count(ctx, field->type == EL_TYPE_STRING, slice.len, slice.data == NULL && nullable);
    if (ctx->w->err != 0 || slice.len == 0) {
        return;
    }
    if (ctx->gather != NULL && el_field_is_gathered(field, slice, ctx->gather->copy_len_max)) {
        int err = el_gather_slice(ctx->gather, ctx->w, slice);
        if (err != 0) {
            encode_fail(ctx, err);
        }
        return;
    }
    el_write_bytes(ctx->w, slice.data, slice.len);
}

static void encode_plain(struct encode_ctx *ctx, const struct el_field *field, const void *at)
{
    if (field->type == EL_TYPE_UUID) {
        el_write_bytes(ctx->w, at, sizeof(struct el_uuid));
        return;
    }
    int64_t value = el_value_get(field->type, at);
    switch (el_field_size(field)) {
    case 1:
        el_write_u8(ctx->w, (uint8_t)value);
        break;
    case 2:
        el_write_be16(ctx->w, (uint16_t)value);
        break;
    case 4:
        el_write_be32(ctx->w, (uint32_t)value);
        break;
    default:
        el_write_be64(ctx->w, (uint64_t)value);
        break;
    }
}

static void encode_value(struct encode_ctx *ctx, const struct el_field *field, const void *at)
{
    if (field->type == EL_TYPE_STRUCT) {
        encode_struct(ctx, field->schema, at);
    } else if (el_type_is_slice(field->type)) {
        struct el_slice slice;
        memcpy(&slice, at, sizeof slice);
        encode_slice(ctx, field, slice);
    } else {
        encode_plain(ctx, field, at);
    }
}

static void encode_pointer(struct encode_ctx *ctx, const struct el_field *field, const void *sub)
{
    bool nullable = (field->nullable & ctx->bit) != 0;
    if (sub == NULL && !nullable) {
        encode_fail(ctx, EVLOG_ERR_UNSUPPORTED);
        return;
    }
    if (nullable) {
        el_write_u8(ctx->w, sub == NULL ? 0xff : 1);
    }
    if (sub != NULL) {
        encode_struct(ctx, field->schema, sub);
    }
}

static void encode_field(struct encode_ctx *ctx, const struct el_field *field, const void *base)
{
    const void *at = el_field_in(field, base);
    if (field->array) {
        const uint8_t *array = el_field_pointer(at);
        uint32_t count = array == NULL ? 0 : el_field_count_in(field, base);
        encode_count(ctx, false, count, array == NULL && (field->nullable & ctx->bit) != 0);
        size_t size = el_field_size(field);
        for (uint32_t i = 0; i < count && ctx->w->err == 0; i++) {
            encode_value(ctx, field, array + i * size);
        }
    } else if (field->pointer) {
        encode_pointer(ctx, field, el_field_pointer(at));
    } else {
        encode_value(ctx, field, at);
    }
}

static void encode_tagged(struct encode_ctx *ctx, const struct el_schema *schema, const void *in)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        count += (field->tagged & ctx->bit) != 0 && !el_field_is_initial(field, in);
    }
    el_write_uvarint(ctx->w, count);
    for (uint32_t i = 0; i < schema->field_count && count > 0; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->tagged & ctx->bit) != 0 && !el_field_is_initial(field, in)) {
            struct measure_ctx measure = {{0, 0, 0}, SIZE_MAX, ctx->bit, ctx->flexible};
            measure_field(&measure, field, in);
            if (measure.size.len > INT32_MAX) {
                encode_fail(ctx, EVLOG_ERR_LIMIT);
                return;
            }
            el_write_uvarint(ctx->w, field->tag);
            el_write_uvarint(ctx->w, (uint32_t)measure.size.len);
            encode_field(ctx, field, in);
        }
    }
}

static void encode_struct(struct encode_ctx *ctx, const struct el_schema *schema, const void *in)
{
    for (uint32_t i = 0; i < schema->field_count && ctx->w->err == 0; i++) {
        const struct el_field *field = &schema->fields[i];
        if (el_field_is_lost(field, ctx->bit, in)) {
            encode_fail(ctx, EVLOG_ERR_UNSUPPORTED);
        } else if ((field->versions & ctx->bit) != 0 && (field->tagged & ctx->bit) == 0) {
            encode_field(ctx, field, in);
        }
    }
    if (ctx->flexible && ctx->w->err == 0) {
        encode_tagged(ctx, schema, in);
    }
}

int el_schema_encode_gather(const struct el_schema *schema, int version, const void *in, struct el_writer *w,
                            struct el_gather *gather)
{
    EL_ASSERT(version >= schema->valid_min);
    EL_ASSERT(version <= schema->valid_max);
    struct encode_ctx ctx = {w, gather, 1u << version, version >= schema->flexible_from};
    encode_struct(&ctx, schema, in);
    if (gather != NULL && w->err == 0) {
        int err = el_gather_end(gather, w);
        if (err != 0) {
            encode_fail(&ctx, err);
        }
    }
    return w->err;
}

int el_schema_encode(const struct el_schema *schema, int version, const void *in, struct el_writer *w)
{
    return el_schema_encode_gather(schema, version, in, w, NULL);
}
