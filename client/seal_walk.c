/* SPDX-License-Identifier: Apache-2.0
 *
 * Every value of a JSON document with its place, as a JSON pointer (RFC 6901), and the names that sealing reserves.
 *
 * 1. One pass over the tokens; nothing is decoded but names, which make the path.
 * 2. A value is told when it ends; the path of what contains it is what is left of the path then.
 *
 * Names are compared decoded: "\u0024sealed" is the reserved name too.
 */
#include "seal_format.h"

#include <core/assert.h>
#include <core/json_scan.h>
#include <core/utf8.h>

struct level {
    size_t path_len;      /* of the array or object itself */
    const uint8_t *start; /* where it begins */
    uint32_t index;       /* array: of the next item */
    bool array;
    enum el_seal_mark mark;
};

struct walk {
    struct el_json_walk json;
    struct el_buffer path;
    struct level levels[EL_JSON_DEPTH_MAX];
    unsigned depth;
    el_seal_value_fn fn;
    void *arg;
};

/* --- paths -------------------------------------------------------------------------------------------------------- */

static void put_name_byte(struct el_buffer *path, uint8_t byte)
{
    if (byte == '~' || byte == '/') {
        el_buffer_append_char(path, '~');
        byte = byte == '~' ? '0' : '1';
    }
    el_buffer_append_char(path, (char)byte);
}

int el_seal_pointer(struct el_buffer *out, const char *path, struct el_error *err)
{
    size_t len = strlen(path);
    if (len > EVLOG_SEAL_PATH_MAX || !el_utf8_valid(path, len)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "a path is text of at most %d bytes", EVLOG_SEAL_PATH_MAX);
    }
    if (path[0] == '/' || len == 0) {
        el_buffer_append_str(out, path);
        return out->err;
    }
    el_buffer_append_char(out, '/');
    for (size_t i = 0; i < len; i++) {
        bool empty = path[i] == '.' && (i == 0 || i + 1 == len || path[i + 1] == '.');
        if (empty) {
            return el_error_set(err, EVLOG_ERR_ARGUMENT,
                                "path \"%s\": names with one dot between them, such as customer.name; /a.b names a "
                                "field with a dot",
                                path);
        }
        if (path[i] == '.') {
            el_buffer_append_char(out, '/');
        } else {
            put_name_byte(out, (uint8_t)path[i]);
        }
    }
    return out->err;
}

/* --- walking ------------------------------------------------------------------------------------------------------ */

/* The name just read becomes the path's last part. returns what it is */
static enum el_seal_mark take_name(struct walk *w)
{
    static const char *const reserved[] = {"/$sealed", "/$erased"};
    struct level *level = &w->levels[w->depth - 1];
    const uint8_t *p = w->json.start + 1, *stop = w->json.stop - 1;
    w->path.len = level->path_len;
    el_buffer_append_char(&w->path, '/');
    while (p < stop && w->path.err == 0) {
        uint32_t point;
        uint8_t bytes[4];
        p += el_json_scan_char(p, (size_t)(stop - p), &point);
        size_t len = el_utf8_put(point, bytes);
        for (size_t i = 0; i < len; i++) {
            put_name_byte(&w->path, bytes[i]);
        }
    }
    for (size_t i = 0; i < 2 && w->path.err == 0; i++) {
        struct el_slice name = el_slice_of(w->path.data + level->path_len, w->path.len - level->path_len);
        if (el_slice_eq(name, el_slice_str(reserved[i]))) {
            return i == 0 ? EL_SEAL_SEALED : EL_SEAL_ERASED;
        }
    }
    return EL_SEAL_PLAIN;
}

/* A value begins: in an array its number is the path's last part. */
static void begin_value(struct walk *w)
{
    struct level *level = w->depth == 0 ? NULL : &w->levels[w->depth - 1];
    if (level != NULL && level->array) {
        w->path.len = level->path_len;
        el_buffer_printf(&w->path, "/%u", level->index++);
    }
}

static void begin_level(struct walk *w, bool array)
{
    EL_ASSERT(w->depth < EL_JSON_DEPTH_MAX);
    w->levels[w->depth++] = (struct level){.path_len = w->path.len, .start = w->json.start, .array = array};
}

static int tell(struct walk *w, const uint8_t *start, enum el_seal_mark mark)
{
    struct el_seal_value value = {
        .path = el_slice_of(w->path.len == 0 ? (const void *)"" : w->path.data, w->path.len),
        .raw = el_slice_of(start, (size_t)(w->json.stop - start)),
        .mark = mark,
    };
    return w->fn(w->arg, &value);
}

static int end_level(struct walk *w)
{
    const struct level *level = &w->levels[--w->depth];
    w->path.len = level->path_len;
    return tell(w, level->start, level->mark);
}

static int take_token(struct walk *w)
{
    enum el_seal_mark mark;
    switch (w->json.token) {
    case EL_JSON_TOKEN_KEY:
        mark = take_name(w);
        w->levels[w->depth - 1].mark = EL_MAX(mark, w->levels[w->depth - 1].mark);
        return 0;
    case EL_JSON_TOKEN_OBJECT:
    case EL_JSON_TOKEN_ARRAY:
        begin_value(w);
        begin_level(w, w->json.token == EL_JSON_TOKEN_ARRAY);
        return 0;
    case EL_JSON_TOKEN_OBJECT_END:
    case EL_JSON_TOKEN_ARRAY_END:
        return end_level(w);
    case EL_JSON_TOKEN_STRING:
    case EL_JSON_TOKEN_NUMBER:
    case EL_JSON_TOKEN_TRUE:
    case EL_JSON_TOKEN_FALSE:
    case EL_JSON_TOKEN_NULL:
        begin_value(w);
        return tell(w, w->json.start, EL_SEAL_PLAIN);
    case EL_JSON_TOKEN_END:
    case EL_JSON_TOKEN_NONE:
        return 0;
    }
    return 0;
}

int el_seal_walk(struct el_slice text, el_seal_value_fn fn, void *arg, struct el_error *err)
{
    struct walk w = {.fn = fn, .arg = arg};
    int rc = 0;
    el_json_walk_begin(&w.json, text.data, text.len, EL_JSON_DEPTH_MAX);
    do {
        if (el_json_walk_next(&w.json) != 0) {
            rc = el_json_walk_refuse(&w.json, err);
        } else {
            rc = take_token(&w);
        }
        if (rc == 0 && w.path.err != 0) {
            rc = el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a path");
        }
    } while (rc == 0 && w.json.token != EL_JSON_TOKEN_END);
    el_buffer_free(&w.path);
    return rc;
}

bool el_seal_suspected(struct el_slice text)
{
    static const char *const signs[] = {"$sealed", "$erased", "\\u00"};
    for (size_t i = 0; text.data != NULL && i < sizeof signs / sizeof signs[0]; i++) {
        if (memmem(text.data, text.len, signs[i], strlen(signs[i])) != NULL) {
            return true;
        }
    }
    return false;
}
