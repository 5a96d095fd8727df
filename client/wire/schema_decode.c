/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka's binary layout -> C structs, by table. Runs on any thread.
 *
 *   1. give the struct its defaults
 *   2. read the fields of the version in wire order
 *   3. in a flexible version read the tagged section: known tags by table, others skipped by their size
 *
 * The reader's error is sticky: after the first failure nothing more is read or allocated. An array is allocated only
 * after its count, times the shortest encoding of an element, has been found to fit into the bytes left, so that memory
 * is at most a fixed multiple of the input.
 *
 * Source: docs/protocol.md section 2.
 */
#include "schema_internal.h"

#include <core/assert.h>
#include <evlog/error.h>

struct decode_ctx {
    struct el_reader *r;
    struct el_arena *arena;
    uint32_t bit;   /* of the version */
    uint32_t depth; /* structs entered */
    bool flexible;  /* compact lengths, tagged sections */
};

static void decode_struct(struct decode_ctx *ctx, const struct el_schema *schema, void *out);

#define NULL_COUNT UINT32_MAX /* what a decoded length or count is for null */

/* A length or count: compact, int16 or int32. Null and negative numbers are checked here, bytes left by the caller. */
static uint32_t decode_count(struct decode_ctx *ctx, bool is_short, bool nullable)
{
    uint32_t count = NULL_COUNT;
    if (ctx->flexible) {
        count = el_read_uvarint(ctx->r) - 1;
    } else {
        int32_t n = is_short ? (int16_t)el_read_be16(ctx->r) : (int32_t)el_read_be32(ctx->r);
        if (n < -1) {
            el_reader_fail(ctx->r, EVLOG_ERR_MALFORMED);
            return 0;
        }
        count = (uint32_t)n;
    }
    if (ctx->r->err != 0) {
        return 0;
    }
    if (count == NULL_COUNT && !nullable) {
        el_reader_fail(ctx->r, EVLOG_ERR_MALFORMED);
        return 0;
    }
    return count;
}

static struct el_slice decode_slice(struct decode_ctx *ctx, int type, bool nullable)
{
    bool is_string = type == EL_TYPE_STRING;
    uint32_t len = decode_count(ctx, is_string, nullable);
    if (len == NULL_COUNT || ctx->r->err != 0) {
        return (struct el_slice){NULL, 0};
    }
    if (is_string && len > EL_STRING_LEN_MAX) {
        el_reader_fail(ctx->r, EVLOG_ERR_MALFORMED);
        return (struct el_slice){NULL, 0};
    }
    if (len == 0) {
        return (struct el_slice){EL_EMPTY, 0};
    }
    const uint8_t *data = el_read_bytes(ctx->r, len);
    return (struct el_slice){data, data == NULL ? 0 : len};
}

static int64_t decode_number(struct el_reader *r, int type)
{
    switch (type) {
    case EL_TYPE_BOOL:
        return el_read_u8(r) != 0;
    case EL_TYPE_INT8:
        return el_read_u8(r);
    case EL_TYPE_INT16:
    case EL_TYPE_UINT16:
        return el_read_be16(r);
    case EL_TYPE_INT32:
    case EL_TYPE_UINT32:
        return el_read_be32(r);
    default:
        return (int64_t)el_read_be64(r);
    }
}

/* One value that is not an array. */
static void decode_value(struct decode_ctx *ctx, const struct el_field *field, void *at)
{
    bool nullable = (field->nullable & ctx->bit) != 0;
    if (field->type == EL_TYPE_STRUCT) {
        decode_struct(ctx, field->schema, at);
    } else if (el_type_is_slice(field->type)) {
        struct el_slice slice = decode_slice(ctx, field->type, nullable && !field->array);
        memcpy(at, &slice, sizeof slice);
    } else if (field->type == EL_TYPE_UUID) {
        const uint8_t *bytes = el_read_bytes(ctx->r, sizeof(struct el_uuid));
        if (bytes != NULL) {
            memcpy(at, bytes, sizeof(struct el_uuid));
        }
    } else {
        el_value_set(field->type, at, decode_number(ctx->r, field->type));
    }
}

/* A struct behind a pointer. In versions without null there is no presence byte. */
static void decode_pointer(struct decode_ctx *ctx, const struct el_field *field, void *at)
{
    if ((field->nullable & ctx->bit) != 0) {
        int8_t presence = (int8_t)el_read_u8(ctx->r);
        if (presence < -1 || presence > 1 || (presence == 0 && ctx->r->err == 0)) {
            el_reader_fail(ctx->r, EVLOG_ERR_MALFORMED);
        }
        if (presence != 1 || ctx->r->err != 0) {
            return;
        }
    }
    void *sub = el_arena_alloc(ctx->arena, field->schema->size);
    if (sub == NULL) {
        el_reader_fail(ctx->r, EVLOG_ERR_NO_MEMORY);
        return;
    }
    el_field_set_pointer(at, sub);
    decode_struct(ctx, field->schema, sub);
}

/* Bytes of the shortest encoding of a struct. */
static size_t struct_len_min(const struct decode_ctx *ctx, const struct el_schema *schema);

static size_t value_len_min(const struct decode_ctx *ctx, const struct el_field *field)
{
    switch (field->type) {
    case EL_TYPE_STRUCT:
        return field->pointer && (field->nullable & ctx->bit) != 0 ? 1 : struct_len_min(ctx, field->schema);
    case EL_TYPE_STRING:
        return ctx->flexible ? 1 : 2;
    case EL_TYPE_BYTES:
    case EL_TYPE_RECORDS:
        return ctx->flexible ? 1 : 4;
    default:
        return el_field_size(field);
    }
}

static size_t struct_len_min(const struct decode_ctx *ctx, const struct el_schema *schema)
{
    size_t len = ctx->flexible ? 1 : 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->versions & ctx->bit) != 0 && (field->tagged & ctx->bit) == 0) {
            len += field->array ? (ctx->flexible ? 1 : 4) : value_len_min(ctx, field);
        }
    }
    return len;
}

static void decode_array(struct decode_ctx *ctx, const struct el_field *field, void *out)
{
    uint32_t count = decode_count(ctx, false, (field->nullable & ctx->bit) != 0);
    void *array = count == NULL_COUNT ? NULL : EL_EMPTY;
    if (count != NULL_COUNT && count > 0) {
        /* One element costs little even when it is not there; for more the shortest encoding is worked out. */
        size_t len_min = count == 1 ? 1 : EL_MAX(value_len_min(ctx, field), (size_t)1);
        if (count > el_reader_left(ctx->r) / len_min) {
            el_reader_fail(ctx->r, EVLOG_ERR_TRUNCATED);
            return;
        }
        size_t size = el_field_size(field);
        array = el_arena_alloc(ctx->arena, count * size);
        if (array == NULL) {
            el_reader_fail(ctx->r, EVLOG_ERR_NO_MEMORY);
            return;
        }
        for (uint32_t i = 0; i < count && ctx->r->err == 0; i++) {
            decode_value(ctx, field, (uint8_t *)array + i * size);
        }
    }
    if (ctx->r->err == 0) {
        el_field_set_pointer(el_field_at(field, out), array);
        *el_field_count(field, out) = count == NULL_COUNT ? 0 : count;
    }
}

static void decode_field(struct decode_ctx *ctx, const struct el_field *field, void *out)
{
    if (field->array) {
        decode_array(ctx, field, out);
    } else if (field->pointer) {
        decode_pointer(ctx, field, el_field_at(field, out));
    } else {
        decode_value(ctx, field, el_field_at(field, out));
    }
}

static const struct el_field *find_tag(const struct decode_ctx *ctx, const struct el_schema *schema, uint32_t tag)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->tagged & ctx->bit) != 0 && field->tag == tag) {
            return field;
        }
    }
    return NULL;
}

static void decode_tagged(struct decode_ctx *ctx, const struct el_schema *schema, void *out)
{
    struct el_reader *r = ctx->r;
    uint32_t count = el_read_uvarint(r);
    int64_t tag_last = -1;
    for (uint32_t i = 0; i < count && r->err == 0; i++) {
        uint32_t tag = el_read_uvarint(r);
        uint32_t len = el_read_uvarint(r);
        const uint8_t *data = r->p;
        if (r->err == 0 && tag <= tag_last) {
            el_reader_fail(r, EVLOG_ERR_MALFORMED);
        }
        el_read_bytes(r, len);
        if (r->err != 0) {
            return;
        }
        tag_last = tag;
        const struct el_field *field = find_tag(ctx, schema, tag);
        if (field == NULL) {
            continue;
        }
        struct el_reader value;
        el_reader_init(&value, data, len);
        ctx->r = &value;
        decode_field(ctx, field, out);
        ctx->r = r;
        /* A value that ends before or after its stated size contradicts it: not a matter of missing bytes. */
        if (value.err == EVLOG_ERR_NO_MEMORY) {
            el_reader_fail(r, EVLOG_ERR_NO_MEMORY);
        } else if (value.err != 0 || el_reader_left(&value) != 0) {
            el_reader_fail(r, EVLOG_ERR_MALFORMED);
        }
    }
}

static void decode_struct(struct decode_ctx *ctx, const struct el_schema *schema, void *out)
{
    EL_ASSERT(ctx->depth < EL_SCHEMA_DEPTH_MAX);
    ctx->depth++;
    el_schema_init(schema, out);
    for (uint32_t i = 0; i < schema->field_count && ctx->r->err == 0; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->versions & ctx->bit) != 0 && (field->tagged & ctx->bit) == 0) {
            decode_field(ctx, field, out);
        }
    }
    if (ctx->flexible && ctx->r->err == 0) {
        decode_tagged(ctx, schema, out);
    }
    ctx->depth--;
}

int el_schema_decode(const struct el_schema *schema, int version, struct el_reader *r, struct el_arena *arena,
                     void *out)
{
    EL_ASSERT(version >= schema->valid_min);
    EL_ASSERT(version <= schema->valid_max);
    struct decode_ctx ctx = {r, arena, 1u << version, 0, version >= schema->flexible_from};
    decode_struct(&ctx, schema, out);
    EL_ASSERT(ctx.depth == 0);
    return r->err;
}
