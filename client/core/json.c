/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees over jansson; the only file that includes it. Any thread, each tree by one.
 *
 * 1. el_json_scan() checks grammar, UTF-8 and depth first: it gives better places in messages, and jansson, which
 *    recurses, never sees text that is too deep
 * 2. jansson builds the tree and refuses duplicate names and integers beyond 64 bits
 *
 * jansson's memory comes from malloc, not el_malloc: its allocator is one per process, and a program that links
 * libevlog may use jansson too.
 */
#include <core/json_scan.h>

#include <core/alloc.h>
#include <core/assert.h>

#include <jansson.h>
#include <string.h>

EL_STATIC_ASSERT(sizeof(json_int_t) == sizeof(int64_t), "integers are 64 bits");

static const json_t *unwrap(const struct el_json *json)
{
    return (const json_t *)(const void *)json;
}

static const struct el_json *wrap(const json_t *json)
{
    return (const struct el_json *)(const void *)json;
}

/* The document is JSON by its grammar; what is left to refuse is a matter of values. */
static int refuse_value(const void *data, const json_error_t *found, struct el_error *err)
{
    size_t pos = found->position < 0 ? 0 : (size_t)found->position;
    switch (json_error_code(found)) {
    case json_error_out_of_memory:
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "not enough memory for a JSON tree");
    case json_error_numeric_overflow:
        return el_json_scan_refuse(err, EVLOG_ERR_LIMIT, data, pos, "the number is too large for 64 bits");
    case json_error_duplicate_key:
        return el_json_scan_refuse(err, EVLOG_ERR_MALFORMED, data, pos, "the member name occurs twice in its object");
    case json_error_null_byte_in_key:
        return el_json_scan_refuse(err, EVLOG_ERR_MALFORMED, data, pos, "a member name has a NUL in it");
    default:
        return el_json_scan_refuse(err, EVLOG_ERR_MALFORMED, data, pos, found->text);
    }
}

static int build(const void *data, size_t len, struct el_json **json, struct el_error *err)
{
    json_error_t found;
    json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &found);
    if (root == NULL) {
        return refuse_value(data, &found, err);
    }
    *json = (struct el_json *)(void *)root;
    return 0;
}

int el_json_parse(const void *data, size_t len, unsigned depth_max, struct el_json **json, struct el_error *err)
{
    struct el_slice raw;
    int code = el_json_scan(data, len, depth_max, NULL, &raw, err);
    return code != 0 ? code : build(data, len, json, err);
}

int el_json_parse_except(const void *data, size_t len, unsigned depth_max, const char *name, struct el_json **json,
                         struct el_slice *raw, struct el_error *err)
{
    struct el_slice found;
    struct el_json *root = NULL;
    int code = el_json_scan(data, len, depth_max, name, &found, err);
    if (code != 0) {
        return code;
    }
    if (found.data == NULL) {
        code = build(data, len, &root, err);
    } else {
        /* A copy with the same places of everything else: the value becomes 0 and spaces, its line feeds stay. */
        uint8_t *copy = el_memdup(data, len);
        if (copy == NULL) {
            return el_error_set(err, EVLOG_ERR_NO_MEMORY, "not enough memory for %zu bytes of JSON", len);
        }
        uint8_t *value = copy + (found.data - (const uint8_t *)data);
        for (size_t i = 0; i < found.len; i++) {
            value[i] = value[i] == '\n' ? '\n' : ' ';
        }
        value[0] = '0';
        code = build(copy, len, &root, err);
        el_free(copy);
    }
    if (code != 0) {
        return code;
    }
    if (el_json_type_of(root) != EL_JSON_OBJECT) {
        el_json_free(root);
        return el_error_set(err, EVLOG_ERR_MALFORMED, "an object is expected");
    }
    *json = root;
    *raw = found;
    return 0;
}

void el_json_free(struct el_json *json)
{
    json_decref((json_t *)(void *)json);
}

enum el_json_type el_json_type_of(const struct el_json *json)
{
    switch (json_typeof(unwrap(json))) {
    case JSON_OBJECT:
        return EL_JSON_OBJECT;
    case JSON_ARRAY:
        return EL_JSON_ARRAY;
    case JSON_STRING:
        return EL_JSON_STRING;
    case JSON_INTEGER:
        return EL_JSON_INT;
    case JSON_REAL:
        return EL_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return EL_JSON_BOOL;
    case JSON_NULL:
        return EL_JSON_NULL;
    }
    EL_ASSERT(false);
    return EL_JSON_NULL;
}

const char *el_json_type_name(enum el_json_type type)
{
    static const char *const names[] = {
        [EL_JSON_NULL] = "null",     [EL_JSON_BOOL] = "bool",   [EL_JSON_INT] = "integer",   [EL_JSON_REAL] = "number",
        [EL_JSON_STRING] = "string", [EL_JSON_ARRAY] = "array", [EL_JSON_OBJECT] = "object",
    };
    return names[type];
}

const struct el_json *el_json_get(const struct el_json *object, const char *key)
{
    return wrap(json_object_get(unwrap(object), key));
}

size_t el_json_count(const struct el_json *json)
{
    return json_is_array(unwrap(json)) ? json_array_size(unwrap(json)) : json_object_size(unwrap(json));
}

const struct el_json *el_json_at(const struct el_json *array, size_t index)
{
    EL_ASSERT(json_is_array(unwrap(array)));
    EL_ASSERT(index < json_array_size(unwrap(array)));
    return wrap(json_array_get(unwrap(array), index));
}

/* jansson's iterators do not change the object, but its signatures lack the const. */
static json_t *mutable(const struct el_json *json)
{
    return (json_t *)(uintptr_t)json;
}

void *el_json_first(const struct el_json *object)
{
    return json_object_iter(mutable(object));
}

void *el_json_next(const struct el_json *object, void *iter)
{
    return json_object_iter_next(mutable(object), iter);
}

struct el_slice el_json_iter_key(void *iter)
{
    return el_slice_str(json_object_iter_key(iter));
}

const struct el_json *el_json_iter_value(void *iter)
{
    return wrap(json_object_iter_value(iter));
}

int el_json_string(const struct el_json *json, struct el_slice *text)
{
    if (!json_is_string(unwrap(json))) {
        return EVLOG_ERR_MALFORMED;
    }
    *text = el_slice_of(json_string_value(unwrap(json)), json_string_length(unwrap(json)));
    return 0;
}

int el_json_int(const struct el_json *json, int64_t *value)
{
    if (!json_is_integer(unwrap(json))) {
        return EVLOG_ERR_MALFORMED;
    }
    *value = json_integer_value(unwrap(json));
    return 0;
}

int el_json_real(const struct el_json *json, double *value)
{
    if (!json_is_number(unwrap(json))) {
        return EVLOG_ERR_MALFORMED;
    }
    *value = json_number_value(unwrap(json));
    return 0;
}

int el_json_bool(const struct el_json *json, bool *value)
{
    if (!json_is_boolean(unwrap(json))) {
        return EVLOG_ERR_MALFORMED;
    }
    *value = json_is_true(unwrap(json));
    return 0;
}

/* Member key, which must be there. */
static int member(const struct el_json *object, const char *key, const struct el_json **found, struct el_error *err)
{
    *found = el_json_get(object, key);
    return *found != NULL ? 0 : el_error_set(err, EVLOG_ERR_NOT_FOUND, "\"%.64s\" is missing", key);
}

/* Words for a value of the wrong type; passes code through, 0 included. */
static int explain(int code, const struct el_json *json, const char *key, const char *wanted, struct el_error *err)
{
    if (code == 0) {
        return 0;
    }
    return el_error_set(err, code, "\"%.64s\" must be %s, not %s", key, wanted,
                        el_json_type_name(el_json_type_of(json)));
}

int el_json_get_string(const struct el_json *object, const char *key, struct el_slice *text, struct el_error *err)
{
    const struct el_json *json;
    int code = member(object, key, &json, err);
    return code != 0 ? code : explain(el_json_string(json, text), json, key, "a string", err);
}

int el_json_get_text(const struct el_json *object, const char *key, const char **text, struct el_error *err)
{
    struct el_slice slice;
    int code = el_json_get_string(object, key, &slice, err);
    if (code != 0) {
        return code;
    }
    if (memchr(slice.data, 0, slice.len) != NULL) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "\"%.64s\" has a NUL in it", key);
    }
    *text = (const char *)slice.data;
    return 0;
}

int el_json_get_int(const struct el_json *object, const char *key, int64_t *value, struct el_error *err)
{
    const struct el_json *json;
    int code = member(object, key, &json, err);
    return code != 0 ? code : explain(el_json_int(json, value), json, key, "an integer", err);
}

int el_json_get_real(const struct el_json *object, const char *key, double *value, struct el_error *err)
{
    const struct el_json *json;
    int code = member(object, key, &json, err);
    return code != 0 ? code : explain(el_json_real(json, value), json, key, "a number", err);
}

int el_json_get_bool(const struct el_json *object, const char *key, bool *value, struct el_error *err)
{
    const struct el_json *json;
    int code = member(object, key, &json, err);
    return code != 0 ? code : explain(el_json_bool(json, value), json, key, "true or false", err);
}

/* A member that must be of one type, as a value of the tree. */
static int get_typed(const struct el_json *object, const char *key, enum el_json_type type,
                     const struct el_json **value, struct el_error *err)
{
    const struct el_json *json;
    int code = member(object, key, &json, err);
    if (code == 0 && el_json_type_of(json) != type) {
        code = explain(EVLOG_ERR_MALFORMED, json, key, type == EL_JSON_OBJECT ? "an object" : "an array", err);
    }
    if (code == 0) {
        *value = json;
    }
    return code;
}

int el_json_get_object(const struct el_json *object, const char *key, const struct el_json **value,
                       struct el_error *err)
{
    return get_typed(object, key, EL_JSON_OBJECT, value, err);
}

int el_json_get_array(const struct el_json *object, const char *key, const struct el_json **value, struct el_error *err)
{
    return get_typed(object, key, EL_JSON_ARRAY, value, err);
}
