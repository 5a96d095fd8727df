/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON, strictly: one document, UTF-8, no duplicate names in an object, limited depth, nothing behind the end.
 * A refusal says where: "line 3, column 14 (byte 52): ...". Two ways in:
 *
 * - el_json_parse() gives a tree; values that el_json_get() and its like return are borrowed from it
 * - el_json_valid() and el_json_raw_member() walk the bytes and allocate nothing: what must be stored as it was sent is
 *   found by its place in the text, never printed anew
 *
 * Source: RFC 8259.
 */
#ifndef EL_CORE_JSON_H
#define EL_CORE_JSON_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

#define EL_JSON_DEPTH_MAX 128 /* arrays and objects within each other; lower limits may be given */

struct el_json; /* a value of a parsed document */

enum el_json_type {
    EL_JSON_NULL,
    EL_JSON_BOOL,
    EL_JSON_INT,  /* a number without fraction and exponent; fits int64_t */
    EL_JSON_REAL, /* any other number, as a double */
    EL_JSON_STRING,
    EL_JSON_ARRAY,
    EL_JSON_OBJECT,
};

/* Parse one document.
 *
 * depth_max  1 .. EL_JSON_DEPTH_MAX
 * json       the root, to be freed by el_json_free()
 * returns    0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT too deep or a number too large |
 *            EVLOG_ERR_NO_MEMORY
 */
int el_json_parse(const void *data, size_t len, unsigned depth_max, struct el_json **json, struct el_error *err);
/* As el_json_parse() of an object, but the value of member name is not decoded: it is checked for grammar only, *raw is
 * its text inside data ({NULL, 0} when there is no such member), and in the tree it stands as the number 0. So numbers
 * of any size in it survive. */
int el_json_parse_except(const void *data, size_t len, unsigned depth_max, const char *name, struct el_json **json,
                         struct el_slice *raw, struct el_error *err);
/* Free a root; NULL is ignored. */
void el_json_free(struct el_json *json);

enum el_json_type el_json_type_of(const struct el_json *json);
/* Word for messages: "null", "bool", "integer", "number", "string", "array", "object". */
const char *el_json_type_name(enum el_json_type type);

/* Member of an object; NULL when there is none or object is no object. */
const struct el_json *el_json_get(const struct el_json *object, const char *key);
/* Items of an array or members of an object; 0 for other types. */
size_t el_json_count(const struct el_json *json);
/* Item of an array; index < el_json_count(). */
const struct el_json *el_json_at(const struct el_json *array, size_t index);
/* Members of an object in the order of the text; *_next() gives NULL behind the last one. */
void *el_json_first(const struct el_json *object);
void *el_json_next(const struct el_json *object, void *iter);
struct el_slice el_json_iter_key(void *iter);
const struct el_json *el_json_iter_value(void *iter);

/* The value itself. returns 0 | EVLOG_ERR_MALFORMED when it has another type; out is written only on success. */
int el_json_string(const struct el_json *json, struct el_slice *text); /* may hold NUL bytes */
int el_json_int(const struct el_json *json, int64_t *value);
int el_json_real(const struct el_json *json, double *value); /* of an integer too */
int el_json_bool(const struct el_json *json, bool *value);

/* A member's value. returns 0 | EVLOG_ERR_NOT_FOUND no such member | EVLOG_ERR_MALFORMED it has another type; with err,
 * the text names key and types. out is written only on success. */
int el_json_get_string(const struct el_json *object, const char *key, struct el_slice *text, struct el_error *err);
/* NUL-terminated; a string with a NUL byte inside is refused. Lives as long as the root. */
int el_json_get_text(const struct el_json *object, const char *key, const char **text, struct el_error *err);
int el_json_get_int(const struct el_json *object, const char *key, int64_t *value, struct el_error *err);
int el_json_get_real(const struct el_json *object, const char *key, double *value, struct el_error *err);
int el_json_get_bool(const struct el_json *object, const char *key, bool *value, struct el_error *err);
int el_json_get_object(const struct el_json *object, const char *key, const struct el_json **value,
                       struct el_error *err);
int el_json_get_array(const struct el_json *object, const char *key, const struct el_json **value,
                      struct el_error *err);

/* True when the bytes are one JSON document of at most EL_JSON_DEPTH_MAX levels. Duplicate names are not looked for. */
bool el_json_valid(const void *data, size_t len);
/* As el_json_valid(), saying why not. returns 0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT */
int el_json_check(const void *data, size_t len, unsigned depth_max, struct el_error *err);
/* Find the text of member name at the top level of an object; the whole document is checked.
 *
 * name     after decoding: "data" also finds "d\u0061ta"
 * raw      the value's very bytes inside data, without white space around it
 * returns  0 | EVLOG_ERR_NOT_FOUND no such member | EVLOG_ERR_MALFORMED not an object, not JSON, or name occurs twice |
 *          EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT
 */
int el_json_raw_member(const void *data, size_t len, const char *name, struct el_slice *raw, struct el_error *err);

#endif
