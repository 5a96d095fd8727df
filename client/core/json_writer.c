/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON writer over el_buffer; one thread.
 *
 * Every value goes through before_value(), which writes the comma and checks that a value may stand here; everything
 * that is not escaped is copied in runs. Strings must be UTF-8: replacing bytes silently would show an event that was
 * never stored, so the caller tests with el_utf8_valid() and writes base64 instead.
 */
#include <core/assert.h>
#include <core/base64.h>
#include <core/json_writer.h>
#include <core/utf8.h>
#include <evlog/error.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

EL_STATIC_ASSERT(EL_JSON_WRITER_DEPTH_MAX <= 32, "one bit per level in 32 bits");

void el_json_writer_init(struct el_json_writer *w, struct el_buffer *out)
{
    *w = (struct el_json_writer){.out = out};
}

int el_json_writer_end(struct el_json_writer *w)
{
    EL_ASSERT(w->depth == 0);
    EL_ASSERT(!w->key_written);
    return w->err != 0 ? w->err : w->out->err;
}

static uint32_t level_bit(const struct el_json_writer *w)
{
    return 1u << (w->depth - 1);
}

static bool in_object(const struct el_json_writer *w)
{
    return w->depth > 0 && (w->is_object & level_bit(w)) != 0;
}

static void write_comma(struct el_json_writer *w)
{
    if (w->depth == 0) {
        return;
    }
    if ((w->has_item & level_bit(w)) != 0) {
        el_buffer_append_char(w->out, ',');
    }
    w->has_item |= level_bit(w);
}

static void before_value(struct el_json_writer *w)
{
    if (in_object(w)) {
        EL_ASSERT(w->key_written);
        w->key_written = false;
        return;
    }
    write_comma(w);
}

static void open_level(struct el_json_writer *w, bool object)
{
    EL_ASSERT(w->depth < EL_JSON_WRITER_DEPTH_MAX);
    before_value(w);
    w->depth++;
    w->has_item &= ~level_bit(w);
    w->is_object = object ? w->is_object | level_bit(w) : w->is_object & ~level_bit(w);
    el_buffer_append_char(w->out, object ? '{' : '[');
}

static void close_level(struct el_json_writer *w, bool object)
{
    EL_ASSERT(w->depth > 0);
    EL_ASSERT(in_object(w) == object);
    EL_ASSERT(!w->key_written);
    w->depth--;
    el_buffer_append_char(w->out, object ? '}' : ']');
}

void el_json_begin_object(struct el_json_writer *w)
{
    open_level(w, true);
}

void el_json_end_object(struct el_json_writer *w)
{
    close_level(w, true);
}

void el_json_begin_array(struct el_json_writer *w)
{
    open_level(w, false);
}

void el_json_end_array(struct el_json_writer *w)
{
    close_level(w, false);
}

/* Bytes from i that need no escape. */
static size_t plain_run(const uint8_t *p, size_t i, size_t len)
{
    size_t start = i;
    while (i < len && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
        i++;
    }
    return i - start;
}

static void write_escape(struct el_json_writer *w, uint8_t c)
{
    static const char short_forms[0x20] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c >= 0x20 || short_forms[c] != 0) {
        el_buffer_append_char(w->out, '\\');
        el_buffer_append_char(w->out, c >= 0x20 ? (char)c : short_forms[c]);
    } else {
        el_buffer_printf(w->out, "\\u%04x", c);
    }
}

static void write_string(struct el_json_writer *w, struct el_slice text)
{
    if (!el_utf8_valid(text.data, text.len)) {
        w->err = w->err != 0 ? w->err : EVLOG_ERR_MALFORMED;
        el_buffer_append_str(w->out, "null");
        return;
    }
    el_buffer_append_char(w->out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t run = plain_run(text.data, i, text.len);
        el_buffer_append(w->out, text.data + i, run);
        i += run;
        if (i < text.len) {
            write_escape(w, text.data[i]);
            i++;
        }
    }
    el_buffer_append_char(w->out, '"');
}

void el_json_key_slice(struct el_json_writer *w, struct el_slice name)
{
    EL_ASSERT(in_object(w));
    EL_ASSERT(!w->key_written);
    write_comma(w);
    write_string(w, name);
    el_buffer_append_char(w->out, ':');
    w->key_written = true;
}

void el_json_key(struct el_json_writer *w, const char *name)
{
    el_json_key_slice(w, el_slice_str(name));
}

void el_json_put_slice(struct el_json_writer *w, struct el_slice text)
{
    if (text.data == NULL) {
        el_json_put_null(w);
        return;
    }
    before_value(w);
    write_string(w, text);
}

void el_json_put_str(struct el_json_writer *w, const char *text)
{
    el_json_put_slice(w, el_slice_str(text));
}

void el_json_put_base64(struct el_json_writer *w, struct el_slice bytes)
{
    if (bytes.data == NULL) {
        el_json_put_null(w);
        return;
    }
    before_value(w);
    el_buffer_append_char(w->out, '"');
    size_t len = el_base64_encoded_len(bytes.len);
    uint8_t *at = el_buffer_room(w->out, len + 1);
    if (at != NULL) {
        el_base64_encode((char *)at, bytes.data, bytes.len);
        w->out->len--; /* its NUL */
    }
    el_buffer_append_char(w->out, '"');
}

void el_json_put_int(struct el_json_writer *w, int64_t value)
{
    before_value(w);
    el_buffer_printf(w->out, "%" PRId64, value);
}

void el_json_put_uint(struct el_json_writer *w, uint64_t value)
{
    before_value(w);
    el_buffer_printf(w->out, "%" PRIu64, value);
}

void el_json_put_real(struct el_json_writer *w, double value)
{
    if (!isfinite(value)) {
        el_json_put_null(w);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == ',' ? '.' : *c; /* some locales */
    }
    before_value(w);
    el_buffer_append_str(w->out, text);
}

void el_json_put_bool(struct el_json_writer *w, bool value)
{
    before_value(w);
    el_buffer_append_str(w->out, value ? "true" : "false");
}

void el_json_put_null(struct el_json_writer *w)
{
    before_value(w);
    el_buffer_append_str(w->out, "null");
}

void el_json_put_raw(struct el_json_writer *w, struct el_slice json)
{
    EL_ASSERT(json.len > 0);
    before_value(w);
    el_buffer_append(w->out, json.data, json.len);
}

void el_json_add_str(struct el_json_writer *w, const char *name, const char *text)
{
    el_json_key(w, name);
    el_json_put_str(w, text);
}

void el_json_add_int(struct el_json_writer *w, const char *name, int64_t value)
{
    el_json_key(w, name);
    el_json_put_int(w, value);
}

void el_json_add_uint(struct el_json_writer *w, const char *name, uint64_t value)
{
    el_json_key(w, name);
    el_json_put_uint(w, value);
}

void el_json_add_bool(struct el_json_writer *w, const char *name, bool value)
{
    el_json_key(w, name);
    el_json_put_bool(w, value);
}
