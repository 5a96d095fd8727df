/* SPDX-License-Identifier: Apache-2.0
 *
 * CBOR cursor over libcbor's stream decoder and encoders; the only file that includes libcbor. Any thread.
 *
 *   1. hand the bytes left to cbor_stream_decode(), which reads exactly one head (and the bytes of a definite string)
 *      and calls one callback; none of them allocates
 *   2. the callback fills the item
 *   3. check counts against the bytes left, move the cursor
 *   4. for evlog's own CBOR, refuse heads of indefinite length and make nothing of floats
 *
 * Nothing of libcbor's item tree is used: it allocates from claimed sizes.
 * Source: RFC 8949; docs/protocol.md section 5.
 */
#include <core/cbor.h>

#include <cbor.h>
#include <evlog/error.h>

static void head_set(void *ctx, enum el_cbor_type type, uint64_t value)
{
    struct el_cbor_item *item = ctx;
    item->type = type;
    item->value = value;
}

static void on_uint8(void *ctx, uint8_t v)
{
    head_set(ctx, EL_CBOR_UINT, v);
}
static void on_uint16(void *ctx, uint16_t v)
{
    head_set(ctx, EL_CBOR_UINT, v);
}
static void on_uint32(void *ctx, uint32_t v)
{
    head_set(ctx, EL_CBOR_UINT, v);
}
static void on_uint64(void *ctx, uint64_t v)
{
    head_set(ctx, EL_CBOR_UINT, v);
}
static void on_nint8(void *ctx, uint8_t v)
{
    head_set(ctx, EL_CBOR_NINT, v);
}
static void on_nint16(void *ctx, uint16_t v)
{
    head_set(ctx, EL_CBOR_NINT, v);
}
static void on_nint32(void *ctx, uint32_t v)
{
    head_set(ctx, EL_CBOR_NINT, v);
}
static void on_nint64(void *ctx, uint64_t v)
{
    head_set(ctx, EL_CBOR_NINT, v);
}
static void on_array(void *ctx, size_t count)
{
    head_set(ctx, EL_CBOR_ARRAY, count);
}
static void on_map(void *ctx, size_t count)
{
    head_set(ctx, EL_CBOR_MAP, count);
}
static void on_tag(void *ctx, uint64_t tag)
{
    head_set(ctx, EL_CBOR_TAG, tag);
}
static void on_float(void *ctx, float v)
{
    head_set(ctx, EL_CBOR_REAL, 0);
    ((struct el_cbor_item *)ctx)->real = (double)v;
    ((struct el_cbor_item *)ctx)->single = true;
}
static void on_double(void *ctx, double v)
{
    head_set(ctx, EL_CBOR_REAL, 0);
    ((struct el_cbor_item *)ctx)->real = v;
}
static void on_undefined(void *ctx)
{
    head_set(ctx, EL_CBOR_OTHER, 0);
}
static void on_null(void *ctx)
{
    head_set(ctx, EL_CBOR_NULL, 0);
}
static void on_bool(void *ctx, bool v)
{
    head_set(ctx, EL_CBOR_BOOL, v);
}
static void open_set(void *ctx, enum el_cbor_type type)
{
    head_set(ctx, type, 0);
    ((struct el_cbor_item *)ctx)->open = true;
}
static void on_open_bytes(void *ctx)
{
    open_set(ctx, EL_CBOR_BYTES);
}
static void on_open_text(void *ctx)
{
    open_set(ctx, EL_CBOR_TEXT);
}
static void on_open_array(void *ctx)
{
    open_set(ctx, EL_CBOR_ARRAY);
}
static void on_open_map(void *ctx)
{
    open_set(ctx, EL_CBOR_MAP);
}
static void on_break(void *ctx)
{
    head_set(ctx, EL_CBOR_BREAK, 0);
}

static void on_bytes(void *ctx, cbor_data data, size_t len)
{
    head_set(ctx, EL_CBOR_BYTES, len);
    ((struct el_cbor_item *)ctx)->data = el_slice_of(data, len);
}

static void on_text(void *ctx, cbor_data data, size_t len)
{
    head_set(ctx, EL_CBOR_TEXT, len);
    ((struct el_cbor_item *)ctx)->data = el_slice_of(data, len);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_nint8,
    .negint16 = on_nint16,
    .negint32 = on_nint32,
    .negint64 = on_nint64,
    .byte_string_start = on_open_bytes,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_open_text,
    .indef_array_start = on_open_array,
    .array_start = on_array,
    .indef_map_start = on_open_map,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_undefined,
    .null = on_null,
    .boolean = on_bool,
    .indef_break = on_break,
};

int el_cbor_read_any(struct el_reader *r, struct el_cbor_item *item)
{
    *item = (struct el_cbor_item){.type = EL_CBOR_NULL};
    if (r->err != 0) {
        return r->err;
    }
    if (el_reader_left(r) == 0) {
        el_reader_fail(r, EVLOG_ERR_TRUNCATED);
        return r->err;
    }
    struct el_cbor_item head = *item;
    struct cbor_decoder_result result = cbor_stream_decode(r->p, el_reader_left(r), &callbacks, &head);
    if (result.status != CBOR_DECODER_FINISHED) {
        el_reader_fail(r, result.status == CBOR_DECODER_NEDATA ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_MALFORMED);
        return r->err;
    }
    el_read_bytes(r, result.read);
    uint64_t count_max = head.type == EL_CBOR_MAP ? el_reader_left(r) / 2 : el_reader_left(r);
    bool counted = head.type == EL_CBOR_MAP || head.type == EL_CBOR_ARRAY;
    if (counted && (head.value > count_max || head.value > UINT32_MAX)) {
        el_reader_fail(r, EVLOG_ERR_TRUNCATED);
        return r->err;
    }
    *item = head;
    return 0;
}

int el_cbor_read(struct el_reader *r, struct el_cbor_item *item)
{
    if (el_cbor_read_any(r, item) == 0 && (item->open || item->type == EL_CBOR_BREAK)) {
        *item = (struct el_cbor_item){.type = EL_CBOR_NULL};
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
    }
    if (item->type == EL_CBOR_REAL) {
        item->type = EL_CBOR_OTHER;
    }
    return r->err;
}

/* Values inside an item. */
static uint64_t item_children(const struct el_cbor_item *item)
{
    switch (item->type) {
    case EL_CBOR_ARRAY:
        return item->value;
    case EL_CBOR_MAP:
        return 2 * item->value;
    case EL_CBOR_TAG:
        return 1;
    case EL_CBOR_UINT:
    case EL_CBOR_NINT:
    case EL_CBOR_BYTES:
    case EL_CBOR_TEXT:
    case EL_CBOR_BOOL:
    case EL_CBOR_NULL:
    case EL_CBOR_OTHER:
    case EL_CBOR_REAL:
    case EL_CBOR_BREAK:
        return 0;
    }
    return 0;
}

int el_cbor_skip(struct el_reader *r, uint32_t depth)
{
    EL_ASSERT(depth <= EL_CBOR_DEPTH_MAX);
    uint64_t left[EL_CBOR_DEPTH_MAX + 1] = {1}; /* values still to come, by nesting */
    uint32_t level = 0;
    while (r->err == 0) {
        while (left[level] == 0) {
            if (level == 0) {
                return 0;
            }
            level--;
        }
        left[level]--;
        struct el_cbor_item item;
        if (el_cbor_read(r, &item) != 0) {
            return r->err;
        }
        bool nests = item.type == EL_CBOR_ARRAY || item.type == EL_CBOR_MAP || item.type == EL_CBOR_TAG;
        if (nests) {
            if (level == depth) {
                el_reader_fail(r, EVLOG_ERR_LIMIT);
                return r->err;
            }
            level++;
            left[level] = item_children(&item);
        }
    }
    return r->err;
}

/* The next item, which must be of this type. */
static struct el_cbor_item read_type(struct el_reader *r, enum el_cbor_type type)
{
    struct el_cbor_item item;
    if (el_cbor_read(r, &item) == 0 && item.type != type) {
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
        item = (struct el_cbor_item){.type = type};
    }
    return item;
}

uint64_t el_cbor_read_uint(struct el_reader *r)
{
    return read_type(r, EL_CBOR_UINT).value;
}
bool el_cbor_read_bool(struct el_reader *r)
{
    return read_type(r, EL_CBOR_BOOL).value != 0;
}
struct el_slice el_cbor_read_bytes(struct el_reader *r)
{
    return read_type(r, EL_CBOR_BYTES).data;
}
struct el_slice el_cbor_read_text(struct el_reader *r)
{
    return read_type(r, EL_CBOR_TEXT).data;
}
uint32_t el_cbor_read_array(struct el_reader *r)
{
    return (uint32_t)read_type(r, EL_CBOR_ARRAY).value;
}
uint32_t el_cbor_read_map(struct el_reader *r)
{
    return (uint32_t)read_type(r, EL_CBOR_MAP).value;
}

int64_t el_cbor_read_int(struct el_reader *r)
{
    struct el_cbor_item item;
    if (el_cbor_read(r, &item) != 0) {
        return 0;
    }
    bool is_int = item.type == EL_CBOR_UINT || item.type == EL_CBOR_NINT;
    if (!is_int || item.value > INT64_MAX) {
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
        return 0;
    }
    return item.type == EL_CBOR_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
}

bool el_cbor_read_null(struct el_reader *r)
{
    if (r->err != 0 || el_reader_left(r) == 0 || *r->p != 0xf6) {
        return false;
    }
    el_read_bytes(r, 1);
    return true;
}

#define HEAD_LEN_MAX 9 /* initial byte and a 64-bit argument */

void el_cbor_write_uint(struct el_writer *w, uint64_t value)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_uint(value, head, sizeof head));
}

void el_cbor_write_int(struct el_writer *w, int64_t value)
{
    if (value >= 0) {
        el_cbor_write_uint(w, (uint64_t)value);
        return;
    }
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_negint((uint64_t)(-1 - value), head, sizeof head));
}

void el_cbor_write_bool(struct el_writer *w, bool value)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_bool(value, head, sizeof head));
}

void el_cbor_write_null(struct el_writer *w)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_null(head, sizeof head));
}

void el_cbor_write_bytes_head(struct el_writer *w, size_t len)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_bytestring_start(len, head, sizeof head));
}

void el_cbor_write_bytes(struct el_writer *w, struct el_slice data)
{
    el_cbor_write_bytes_head(w, data.len);
    if (data.len > 0) {
        el_write_bytes(w, data.data, data.len);
    }
}

void el_cbor_write_text(struct el_writer *w, struct el_slice text)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_string_start(text.len, head, sizeof head));
    if (text.len > 0) {
        el_write_bytes(w, text.data, text.len);
    }
}

void el_cbor_write_cstr(struct el_writer *w, const char *text)
{
    el_cbor_write_text(w, el_slice_str(text));
}

void el_cbor_write_array(struct el_writer *w, uint32_t count)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_array_start(count, head, sizeof head));
}

void el_cbor_write_map(struct el_writer *w, uint32_t count)
{
    uint8_t head[HEAD_LEN_MAX];
    el_write_bytes(w, head, cbor_encode_map_start(count, head, sizeof head));
}

size_t el_cbor_head_len(uint64_t value)
{
    if (value < 24) {
        return 1;
    }
    if (value <= UINT8_MAX) {
        return 2;
    }
    if (value <= UINT16_MAX) {
        return 3;
    }
    return value <= UINT32_MAX ? 5 : 9;
}

size_t el_cbor_int_len(int64_t value)
{
    return el_cbor_head_len(value >= 0 ? (uint64_t)value : (uint64_t)(-1 - value));
}

bool el_cbor_key_before(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    return a_len != b_len ? a_len < b_len : memcmp(a, b, a_len) < 0;
}
