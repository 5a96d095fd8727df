/* SPDX-License-Identifier: Apache-2.0
 *
 * One walk over the parsed value with a stack of what is open; the depth is bounded by the parser.
 */
#include "json_fields.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/json.h>
#include <stdlib.h>

/* An object or array that is being walked. */
struct level {
    const struct el_json *json;
    void *iter;      /* of an object, NULL: behind the last member */
    size_t index;    /* of an array */
    size_t path_len; /* of its own path */
};

struct walk {
    struct el_arena *arena;
    struct level levels[EL_JSON_DEPTH_MAX];
    unsigned depth;
    struct el_buffer path, text;
    struct json_field *fields; /* [room], on the heap until the end */
    size_t count, room;
};

int json_path_order(struct el_slice a, struct el_slice b)
{
    size_t len = EL_MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_path(const void *a, const void *b)
{
    return json_path_order(((const struct json_field *)a)->path, ((const struct json_field *)b)->path);
}

static bool is_open(const struct el_json *json)
{
    enum el_json_type type = el_json_type_of(json);
    return (type == EL_JSON_OBJECT || type == EL_JSON_ARRAY) && el_json_count(json) > 0;
}

static void put_value(struct el_json_writer *w, const struct el_json *json)
{
    struct el_slice text = {NULL, 0};
    int64_t number = 0;
    double real = 0;
    bool flag = false;
    switch (el_json_type_of(json)) {
    case EL_JSON_NULL:
        el_json_put_null(w);
        return;
    case EL_JSON_BOOL:
        (void)el_json_bool(json, &flag);
        el_json_put_bool(w, flag);
        return;
    case EL_JSON_INT:
        (void)el_json_int(json, &number);
        el_json_put_int(w, number);
        return;
    case EL_JSON_REAL:
        (void)el_json_real(json, &real);
        el_json_put_real(w, real);
        return;
    case EL_JSON_STRING:
        (void)el_json_string(json, &text);
        el_json_put_slice(w, el_slice_of(text.data == NULL ? (const void *)"" : text.data, text.len));
        return;
    case EL_JSON_ARRAY:
        el_json_begin_array(w);
        el_json_end_array(w);
        return;
    case EL_JSON_OBJECT:
        el_json_begin_object(w);
        el_json_end_object(w);
        return;
    }
}

static int add_field(struct walk *walk, const struct el_json *json)
{
    struct el_json_writer w;
    el_buffer_reset(&walk->text);
    el_json_writer_init(&w, &walk->text);
    put_value(&w, json);
    if (el_json_writer_end(&w) != 0 || walk->path.err != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (walk->count == walk->room) {
        size_t room = walk->room == 0 ? 16 : 2 * walk->room;
        struct json_field *grown = el_realloc(walk->fields, room * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        walk->fields = grown;
        walk->room = room;
    }
    char *path = el_arena_strndup(walk->arena, walk->path.data, walk->path.len);
    char *value = el_arena_strndup(walk->arena, walk->text.data, walk->text.len);
    if (path == NULL || value == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    walk->fields[walk->count++] = (struct json_field){
        el_slice_of(path, walk->path.len),
        el_slice_of(value, walk->text.len),
    };
    return 0;
}

static void open_level(struct walk *walk, const struct el_json *json)
{
    bool is_object = el_json_type_of(json) == EL_JSON_OBJECT;
    EL_ASSERT(walk->depth < EL_JSON_DEPTH_MAX);
    walk->levels[walk->depth++] = (struct level){
        .json = json,
        .iter = is_object ? el_json_first(json) : NULL,
        .path_len = walk->path.len,
    };
}

/* The next part of the innermost level, with the path set to its own; NULL behind the last. */
static const struct el_json *next_part(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth - 1];
    const struct el_json *part;
    walk->path.len = level->path_len;
    if (level->path_len > 0) {
        el_buffer_append_char(&walk->path, '.');
    }
    if (el_json_type_of(level->json) == EL_JSON_ARRAY) {
        if (level->index == el_json_count(level->json)) {
            return NULL;
        }
        el_buffer_printf(&walk->path, "%zu", level->index);
        return el_json_at(level->json, level->index++);
    }
    if (level->iter == NULL) {
        return NULL;
    }
    struct el_slice name = el_json_iter_key(level->iter);
    el_buffer_append(&walk->path, name.data, name.len);
    part = el_json_iter_value(level->iter);
    level->iter = el_json_next(level->json, level->iter);
    return part;
}

static int walk_all(struct walk *walk, const struct el_json *root)
{
    if (!is_open(root)) {
        return add_field(walk, root);
    }
    open_level(walk, root);
    int rc = 0;
    while (rc == 0 && walk->depth > 0) {
        const struct el_json *part = next_part(walk);
        if (part == NULL) {
            walk->depth--;
        } else if (is_open(part)) {
            open_level(walk, part);
        } else {
            rc = add_field(walk, part);
        }
    }
    return rc;
}

int json_fields_of(struct el_arena *arena, struct evlog_bytes data, struct json_fields *fields)
{
    struct el_error err = {0};
    struct el_json *root;
    if (data.data == NULL) {
        return EVLOG_ERR_MALFORMED;
    }
    int rc = el_json_parse(data.data, data.len, EL_JSON_DEPTH_MAX, &root, &err);
    if (rc != 0) {
        return rc;
    }
    struct walk *walk = el_calloc(1, sizeof *walk);
    if (walk == NULL) {
        el_json_free(root);
        return EVLOG_ERR_NO_MEMORY;
    }
    walk->arena = arena;
    rc = walk_all(walk, root);
    el_json_free(root);
    struct json_field *kept = NULL;
    if (rc == 0) {
        qsort(walk->fields, walk->count, sizeof *walk->fields, by_path);
        kept = el_arena_dup(arena, walk->fields, walk->count * sizeof *kept);
        rc = kept == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    }
    if (rc == 0) {
        *fields = (struct json_fields){kept, walk->count};
    }
    el_free(walk->fields);
    el_buffer_free(&walk->path);
    el_buffer_free(&walk->text);
    el_free(walk);
    return rc;
}

const struct json_field *json_fields_find(const struct json_fields *fields, struct el_slice path)
{
    size_t low = 0, high = fields->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = json_path_order(fields->fields[middle].path, path);
        if (order == 0) {
            return &fields->fields[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order > 0 ? middle : high;
    }
    return NULL;
}

bool json_path_within(struct el_slice path, struct el_slice asked)
{
    return path.len >= asked.len && (asked.len == 0 || memcmp(path.data, asked.data, asked.len) == 0) &&
           (path.len == asked.len || asked.len == 0 || path.data[asked.len] == '.');
}
