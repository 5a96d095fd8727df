/* SPDX-License-Identifier: Apache-2.0
 *
 * What a parameter of a SQL projection stands for in an event. The data is parsed once an event, and only when a field
 * of it is asked for. Strings become text, integers and other numbers numbers, true and false bools, null null; an
 * object or an array is its own text, byte for byte.
 */
#include "sql_values.h"

#include "seal_format.h"

#include <core/timefmt.h>
#include <core/utf8.h>
#include <stdio.h>

#define NS_PER_MS 1000000

static void put_text(struct evlog_sql_value *value, const void *data, size_t len)
{
    value->kind = EVLOG_SQL_TEXT;
    value->bytes = (struct evlog_bytes){data, len};
}

/* Text where it is text, else bytes. */
static void put_bytes(struct evlog_sql_value *value, struct evlog_bytes bytes)
{
    if (bytes.data == NULL) {
        value->kind = EVLOG_SQL_NULL;
        return;
    }
    bool is_text = el_utf8_valid(bytes.data, bytes.len) && (bytes.len == 0 || memchr(bytes.data, 0, bytes.len) == NULL);
    value->kind = is_text ? EVLOG_SQL_TEXT : EVLOG_SQL_BYTES;
    value->bytes = bytes;
}

static void put_int(struct evlog_sql_value *value, int64_t number)
{
    value->kind = EVLOG_SQL_INT;
    value->number = number;
}

static void put_time(struct evlog_sql_value *value, char text[40], int64_t ns, int digits)
{
    el_time_format(text, ns, digits);
    put_text(value, text, strlen(text));
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static int parse_data(struct el_sql_event *looked_at)
{
    if (!looked_at->data_tried) {
        struct evlog_bytes data = looked_at->event->data;
        struct el_error err = {0};
        looked_at->data_tried = true;
        looked_at->data_rc = data.data == NULL
                                 ? EVLOG_ERR_MALFORMED
                                 : el_json_parse(data.data, data.len, EL_JSON_DEPTH_MAX, &looked_at->data, &err);
        (void)snprintf(looked_at->data_fault, sizeof looked_at->data_fault, "%s",
                       data.data == NULL ? "the event has no data" : err.text);
    }
    return looked_at->data_rc;
}

/* The next name of a path with dots, NUL-terminated; false behind the last. */
static bool next_name(const char **path, char name[EL_SQL_PATH_MAX + 1])
{
    if (**path == '\0') {
        return false;
    }
    size_t len = strcspn(*path, ".");
    memcpy(name, *path, len);
    name[len] = '\0';
    *path += len + ((*path)[len] == '.');
    return true;
}

static const struct el_json *item_of(const struct el_json *array, const char *name)
{
    size_t index = 0;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || index > 1000000000) {
            return NULL;
        }
        index = 10 * index + (size_t)(*c - '0');
    }
    return index < el_json_count(array) ? el_json_at(array, index) : NULL;
}

static const struct el_json *find_field(const struct el_json *root, const char *path)
{
    char name[EL_SQL_PATH_MAX + 1];
    const struct el_json *json = root;
    while (json != NULL && next_name(&path, name)) {
        json = el_json_type_of(json) == EL_JSON_ARRAY ? item_of(json, name) : el_json_get(json, name);
    }
    return json;
}

/* The very text of an object or array inside the data. */
static int raw_field(const struct el_sql_event *looked_at, const char *path, struct evlog_sql_value *value,
                     struct el_error *err)
{
    char name[EL_SQL_PATH_MAX + 1];
    struct el_slice raw = el_slice_of(looked_at->event->data.data, looked_at->event->data.len);
    while (next_name(&path, name)) {
        struct el_slice inner;
        if (el_json_raw_member(raw.data, raw.len, name, &inner, NULL) != 0) {
            return el_error_set(err, EVLOG_ERR_INVALID_RECORD,
                                "is an object or array inside a list: name a field of it, or use :data");
        }
        raw = inner;
    }
    put_text(value, raw.data, raw.len);
    return 0;
}

static int put_string(const struct el_json *json, struct evlog_sql_value *value, struct el_error *err)
{
    struct el_slice text;
    if (el_json_string(json, &text) != 0 || (text.len > 0 && memchr(text.data, 0, text.len) != NULL)) {
        return el_error_set(err, EVLOG_ERR_INVALID_RECORD, "is a text with a NUL byte, which no column can hold");
    }
    put_text(value, text.data, text.len);
    return 0;
}

static int sealed(struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_SEALED, "is sealed: --keys DIR names the key store that opens it");
}

/* Is a field, or what it lies in, sealed or erased? Ciphertext and erased fields are no values.
 *
 * known    set when it is erased, and null is what the parameter takes
 */
static int look_for_seal(const struct el_sql_event *looked_at, const struct el_sql_param *param, bool *known,
                         struct el_error *err)
{
    const struct el_json *json = looked_at->data;
    const char *path = param->path;
    char name[EL_SQL_PATH_MAX + 1];
    bool more = true;
    if (!looked_at->sealed && looked_at->opened == NULL) {
        return 0;
    }
    while (more && json != NULL) {
        if (looked_at->sealed && el_json_get(json, "$sealed") != NULL) {
            return sealed(err);
        }
        if (el_json_get(json, "$erased") != NULL) {
            *known = param->optional;
            return param->optional
                       ? 0
                       : el_error_set(err, EVLOG_ERR_ERASED, "was erased; :data.%s? takes null instead", param->path);
        }
        more = next_name(&path, name);
        if (more) {
            json = el_json_type_of(json) == EL_JSON_ARRAY ? item_of(json, name) : el_json_get(json, name);
        }
    }
    return 0;
}

/* Data, or an object in it, as it is: nothing sealed may be in it, and what is erased only for a file that knows. */
static int check_text(const struct el_sql_event *looked_at, struct evlog_bytes text, struct el_error *err)
{
    struct evlog_opened opened = EVLOG_OPENED_INIT;
    if (looked_at->sealed && evlog_is_sealed(text)) {
        return sealed(err);
    }
    if (looked_at->opened == NULL || looked_at->opened->erased_count == 0 || looked_at->aware) {
        return 0;
    }
    struct evlog_bytes none = {NULL, 0};
    int rc = evlog_open(NULL, none, none, text, &opened, NULL);
    bool erased = rc != 0 || opened.erased_count > 0;
    evlog_opened_free(&opened);
    return erased ? el_error_set(err, EVLOG_ERR_ERASED,
                                 "has a field that was erased: a file that uses :erased gets it with {\"$erased\":...}")
                  : 0;
}

/* The pseudonym of a sealed field, or of what it lies in. */
static int put_subject(const struct el_sql_event *looked_at, const struct el_sql_param *param,
                       struct evlog_sql_value *value, struct el_error *err)
{
    const struct evlog_opened *opened = looked_at->opened;
    struct el_buffer pointer = {0};
    if (looked_at->sealed) {
        return sealed(err);
    }
    int rc = opened == NULL ? 0 : el_seal_pointer(&pointer, param->path, err);
    for (size_t i = 0; rc == 0 && opened != NULL && i < opened->field_count; i++) {
        const struct evlog_field *field = &opened->fields[i];
        size_t len = strlen(field->path);
        bool same = len <= pointer.len && memcmp(field->path, pointer.data, len) == 0;
        if (same && (len == pointer.len || pointer.data[len] == '/')) {
            put_text(value, field->subject, strlen(field->subject));
        }
    }
    el_buffer_free(&pointer);
    return rc;
}

static int put_field(struct el_sql_event *looked_at, const struct el_sql_param *param, struct evlog_sql_value *value,
                     struct el_error *err)
{
    int rc = parse_data(looked_at);
    const struct el_json *json = rc == 0 ? find_field(looked_at->data, param->path) : NULL;
    bool yes = false;
    value->kind = EVLOG_SQL_NULL;
    bool known = false;
    int seal_rc = rc == 0 ? look_for_seal(looked_at, param, &known, err) : looked_at->sealed ? sealed(err) : 0;
    if (seal_rc != 0 || known) {
        return seal_rc;
    }
    if (json == NULL && param->optional) {
        return 0;
    }
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_INVALID_RECORD, "is not there: %s%.300s",
                            looked_at->event->data.data == NULL ? "" : "the data is no JSON: ", looked_at->data_fault);
    }
    if (json == NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_RECORD, "is missing; :data.%s? takes null instead", param->path);
    }
    switch (el_json_type_of(json)) {
    case EL_JSON_NULL:
        return 0;
    case EL_JSON_BOOL:
        (void)el_json_bool(json, &yes);
        value->kind = EVLOG_SQL_BOOL;
        value->number = yes;
        return 0;
    case EL_JSON_INT:
        value->kind = EVLOG_SQL_INT;
        return el_json_int(json, &value->number);
    case EL_JSON_REAL:
        value->kind = EVLOG_SQL_REAL;
        return el_json_real(json, &value->real);
    case EL_JSON_STRING:
        return put_string(json, value, err);
    case EL_JSON_ARRAY:
    case EL_JSON_OBJECT:
        rc = raw_field(looked_at, param->path, value, err);
        return rc == 0 ? check_text(looked_at, value->bytes, err) : rc;
    }
    return EVLOG_ERR_INVALID_RECORD;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static int64_t event_ns(int64_t timestamp_ms)
{
    bool fits = timestamp_ms >= 0 && timestamp_ms < INT64_MAX / NS_PER_MS;
    return fits ? timestamp_ms * NS_PER_MS : -1;
}

int el_sql_value_of(struct el_sql_event *looked_at, const struct el_sql_param *param, struct evlog_sql_value *value,
                    struct el_error *err)
{
    const struct evlog_projection_event *event = looked_at->event;
    int64_t ns = event_ns(event->event->timestamp_ms);
    *value = (struct evlog_sql_value){.kind = EVLOG_SQL_NULL};
    switch (param->source) {
    case EL_SQL_KEY:
        put_bytes(value, event->event->key);
        return 0;
    case EL_SQL_VERSION:
        if (event->version >= 0) {
            put_int(value, event->version);
        }
        return 0;
    case EL_SQL_TYPE:
        put_bytes(value, event->type);
        return 0;
    case EL_SQL_ID:
        put_bytes(value, event->id);
        return 0;
    case EL_SQL_TIME:
        if (ns >= 0) {
            put_time(value, looked_at->time, ns, 3);
        }
        return 0;
    case EL_SQL_APPEND_TIME:
        if (event->event->append_time_ns >= 0) {
            put_time(value, looked_at->append_time, event->event->append_time_ns, 9);
        }
        return 0;
    case EL_SQL_TOPIC:
        put_text(value, event->event->topic, strlen(event->event->topic));
        return 0;
    case EL_SQL_PARTITION:
        put_int(value, event->event->partition);
        return 0;
    case EL_SQL_OFFSET:
        put_int(value, event->event->offset);
        return 0;
    case EL_SQL_DATA:
        put_bytes(value, event->data);
        return check_text(looked_at, event->data, err);
    case EL_SQL_FIELD:
        return put_field(looked_at, param, value, err);
    case EL_SQL_ERASED:
        value->kind = EVLOG_SQL_BOOL;
        value->number = looked_at->opened != NULL && looked_at->opened->erased_count > 0;
        return looked_at->sealed ? sealed(err) : 0;
    case EL_SQL_SUBJECT:
        return put_subject(looked_at, param, value, err);
    }
    return EVLOG_ERR_INVALID_RECORD;
}

void el_sql_event_free(struct el_sql_event *looked_at)
{
    el_json_free(looked_at->data);
    looked_at->data = NULL;
}
