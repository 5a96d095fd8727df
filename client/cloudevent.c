/* SPDX-License-Identifier: Apache-2.0
 *
 * CloudEvents 1.0: from a line of JSON to a record in Kafka's binary mode, and from a record (binary or structured) to
 * what the event says of itself.
 *
 * 1. The line is parsed, but for "data", whose very bytes are kept as they stand.
 * 2. Attributes become ce_<name> headers in the order of the line; datacontenttype becomes content-type.
 * 3. The value is chosen by data, data_base64 and datacontenttype; key and timestamp come from subject and time.
 *
 * An event owns the parsed tree and an arena; its slices point into both. A bad line gives EVLOG_ERR_MALFORMED and a
 * text that names the attribute. Source: CloudEvents 1.0, its JSON format and its Kafka binding.
 */
#include "fail.h"

#include <core/alloc.h>
#include <core/arena.h>
#include <core/assert.h>
#include <core/base64.h>
#include <core/json.h>
#include <core/timefmt.h>
#include <evlog/event.h>
#include <stdio.h>
#include <strings.h>

#define NS_PER_MS 1000000
#define NUMBER_TEXT_MAX 24

struct evlog_cloudevent {
    struct evlog_message message;
    struct evlog_header *headers; /* [members of the object], in the arena */
    struct el_json *json;         /* the line, without data */
    struct el_arena arena;
};

/* What the walk has found so far. */
struct scan {
    struct evlog_cloudevent *event;
    struct evlog_failure *failure;
    struct el_slice specversion, id, source, type, subject, time, content_type; /* data NULL: absent */
    struct el_slice data;        /* the raw value of data; data NULL: absent */
    struct el_slice data_base64; /* its characters; data NULL: absent */
};

static int bad(struct scan *scan, const char *what)
{
    return el_fail(scan->failure, EVLOG_ERR_MALFORMED, "not a CloudEvents event: %s", what);
}

static int bad_attribute(struct scan *scan, struct el_slice name, const char *what)
{
    return el_fail(scan->failure, EVLOG_ERR_MALFORMED, "not a CloudEvents event: \"%.*s\" %s",
                   (int)EL_MIN(name.len, 64), (const char *)name.data, what);
}

static int no_memory(struct scan *scan)
{
    return el_fail(scan->failure, EVLOG_ERR_NO_MEMORY, "no memory for an event");
}

static bool is(struct el_slice name, const char *text)
{
    return el_slice_eq(name, el_slice_str(text));
}

static void add_header(struct evlog_cloudevent *event, struct el_slice key, struct el_slice value)
{
    event->headers[event->message.header_count++] = (struct evlog_header){
        {key.data, key.len},
        {value.data, value.len},
    };
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

/* Remember an attribute that has a meaning here. */
static int note(struct scan *scan, struct el_slice name, enum el_json_type type, struct el_slice text)
{
    struct {
        const char *name;
        struct el_slice *slot;
    } known[] = {
        {"specversion", &scan->specversion},
        {"id", &scan->id},
        {"source", &scan->source},
        {"type", &scan->type},
        {"subject", &scan->subject},
        {"time", &scan->time},
        {"datacontenttype", &scan->content_type},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (is(name, known[i].name)) {
            if (type != EL_JSON_STRING || text.len == 0) {
                return bad_attribute(scan, name, "must be a string that is not empty");
            }
            *known[i].slot = text;
        }
    }
    return 0;
}

/* A member's value as the text of a header. */
static int attribute_text(struct scan *scan, struct el_slice name, const struct el_json *value, struct el_slice *text)
{
    int64_t number;
    bool truth;
    char digits[NUMBER_TEXT_MAX];
    if (el_json_string(value, text) == 0) {
        return 0;
    }
    if (el_json_bool(value, &truth) == 0) {
        *text = el_slice_str(truth ? "true" : "false");
        return 0;
    }
    if (el_json_int(value, &number) != 0) {
        return bad_attribute(scan, name, "must be a string, an integer or a truth value");
    }
    int len = snprintf(digits, sizeof digits, "%lld", (long long)number);
    *text = el_slice_of(el_arena_dup(&scan->event->arena, digits, (size_t)len), (size_t)len);
    return text->data == NULL ? no_memory(scan) : 0;
}

static int add_attribute(struct scan *scan, struct el_slice name, const struct el_json *value)
{
    struct el_slice text;
    int rc = attribute_text(scan, name, value, &text);
    if (rc == 0) {
        rc = note(scan, name, el_json_type_of(value), text);
    }
    if (rc != 0) {
        return rc;
    }
    if (is(name, "datacontenttype")) {
        add_header(scan->event, el_slice_str("content-type"), text);
        return 0;
    }
    uint8_t *key = el_arena_alloc(&scan->event->arena, name.len + 3);
    if (key == NULL) {
        return no_memory(scan);
    }
    memcpy(key, "ce_", 3);
    memcpy(key + 3, name.data, name.len);
    add_header(scan->event, el_slice_of(key, name.len + 3), text);
    return 0;
}

static int add_members(struct scan *scan)
{
    const struct el_json *json = scan->event->json;
    for (void *iter = el_json_first(json); iter != NULL; iter = el_json_next(json, iter)) {
        struct el_slice name = el_json_iter_key(iter);
        const struct el_json *value = el_json_iter_value(iter);
        int rc = 0;
        if (is(name, "data") || el_json_type_of(value) == EL_JSON_NULL) {
            continue;
        }
        if (name.len == 0) {
            return bad(scan, "an attribute has no name");
        }
        if (is(name, "data_base64")) {
            rc = el_json_string(value, &scan->data_base64) == 0 ? 0 : bad(scan, "data_base64 must be a string");
        } else {
            rc = add_attribute(scan, name, value);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_required(struct scan *scan)
{
    if (!is(scan->specversion, "1.0")) {
        return bad(scan, scan->specversion.data == NULL ? "\"specversion\" is missing" : "\"specversion\" is not 1.0");
    }
    if (scan->id.data == NULL) {
        return bad(scan, "\"id\" is missing");
    }
    if (scan->source.data == NULL) {
        return bad(scan, "\"source\" is missing");
    }
    return scan->type.data == NULL ? bad(scan, "\"type\" is missing") : 0;
}

static int choose_time(struct scan *scan)
{
    if (scan->time.data == NULL) {
        return 0;
    }
    char text[64];
    int64_t ns;
    bool digit = scan->time.data[0] >= '0' && scan->time.data[0] <= '9';
    (void)snprintf(text, sizeof text, "%.*s", (int)EL_MIN(scan->time.len, sizeof text - 1),
                   (const char *)scan->time.data);
    if (!digit || strlen(text) != scan->time.len || el_time_parse(text, 0, &ns, NULL) != 0) {
        return bad(scan, "\"time\" is not an RFC 3339 time between 1970 and 2262");
    }
    if (ns < 0) {
        return bad(scan, "\"time\" is before 1970, which a Kafka record cannot hold");
    }
    scan->event->message.timestamp_ms = ns / NS_PER_MS;
    return 0;
}

/* --- value ------------------------------------------------------------------------------------------------------ */

/* "application/json", "text/json", "application/anything+json", parameters and case aside; absent means JSON. */
static bool is_json_type(struct el_slice type)
{
    if (type.data == NULL) {
        return true;
    }
    const uint8_t *end = memchr(type.data, ';', type.len);
    size_t len = end == NULL ? type.len : (size_t)(end - type.data);
    while (len > 0 && (type.data[len - 1] == ' ' || type.data[len - 1] == '\t')) {
        len--;
    }
    const char *text = (const char *)type.data;
    return len >= 5 && (strncasecmp(text + len - 5, "/json", 5) == 0 || strncasecmp(text + len - 5, "+json", 5) == 0);
}

static int value_from_base64(struct scan *scan, struct el_slice *value)
{
    size_t len;
    uint8_t *out = el_arena_alloc(&scan->event->arena, scan->data_base64.len + 1);
    if (out == NULL) {
        return no_memory(scan);
    }
    if (el_base64_decode((const char *)scan->data_base64.data, scan->data_base64.len, out, scan->data_base64.len,
                         &len) != 0) {
        return bad(scan, "data_base64 is not base64");
    }
    *value = el_slice_of(out, len);
    return 0;
}

/* A JSON string as its text. */
static int value_from_string(struct scan *scan, struct el_slice *value)
{
    struct el_json *json;
    struct el_slice text;
    int rc = el_json_parse(scan->data.data, scan->data.len, 1, &json, NULL);
    if (rc != 0) {
        return rc == EVLOG_ERR_NO_MEMORY ? no_memory(scan) : bad(scan, "data is a string that cannot be decoded");
    }
    rc = el_json_string(json, &text);
    EL_ASSERT(rc == 0);
    *value = el_slice_of(el_arena_dup(&scan->event->arena, text.data, text.len), text.len);
    el_json_free(json);
    return value->data == NULL ? no_memory(scan) : 0;
}

static int choose_value(struct scan *scan)
{
    struct el_slice value = {NULL, 0};
    int rc = 0;
    if (scan->data.data != NULL && scan->data_base64.data != NULL) {
        return bad(scan, "both data and data_base64 are there");
    }
    if (scan->data_base64.data != NULL) {
        rc = value_from_base64(scan, &value);
    } else if (scan->data.data != NULL && scan->data.data[0] == '"' && !is_json_type(scan->content_type)) {
        rc = value_from_string(scan, &value);
    } else if (scan->data.data != NULL) {
        value = el_slice_of(el_arena_dup(&scan->event->arena, scan->data.data, scan->data.len), scan->data.len);
        rc = value.data == NULL ? no_memory(scan) : 0;
    }
    scan->event->message.value = (struct evlog_bytes){value.data, value.len};
    return rc;
}

/* --- parsing ---------------------------------------------------------------------------------------------------- */

static int parse(struct scan *scan, const void *text, size_t len)
{
    struct evlog_cloudevent *event = scan->event;
    struct el_error err = {0};
    int rc = el_json_parse_except(text, len, EL_JSON_DEPTH_MAX, "data", &event->json, &scan->data, &err);
    if (rc == EVLOG_ERR_NO_MEMORY) {
        return no_memory(scan);
    }
    if (rc != 0) {
        return el_fail(scan->failure, EVLOG_ERR_MALFORMED, "not a CloudEvents event: %s", err.text);
    }
    event->headers = el_arena_alloc(&event->arena, el_json_count(event->json) * sizeof *event->headers);
    if (event->headers == NULL) {
        return no_memory(scan);
    }
    event->message.headers = event->headers;
    rc = add_members(scan);
    if (rc == 0) {
        rc = check_required(scan);
    }
    if (rc == 0) {
        rc = choose_time(scan);
    }
    if (rc == 0) {
        rc = choose_value(scan);
    }
    if (rc == 0) {
        event->message.key = (struct evlog_bytes){scan->subject.data, scan->subject.len};
    }
    return rc;
}

int evlog_cloudevent_parse(const void *text, size_t len, struct evlog_cloudevent **event, struct evlog_failure *failure)
{
    struct evlog_cloudevent *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an event");
    }
    fresh->message = (struct evlog_message)EVLOG_MESSAGE_INIT;
    el_arena_init(&fresh->arena, NULL, 0);
    struct scan scan = {.event = fresh, .failure = failure};
    int rc = parse(&scan, text, len);
    if (rc != 0) {
        evlog_cloudevent_free(fresh);
        return rc;
    }
    *event = fresh;
    return 0;
}

const struct evlog_message *evlog_cloudevent_message(const struct evlog_cloudevent *event)
{
    return &event->message;
}

void evlog_cloudevent_free(struct evlog_cloudevent *event)
{
    if (event != NULL) {
        el_json_free(event->json);
        el_arena_reset(&event->arena);
        el_free(event);
    }
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

bool evlog_event_header(const struct evlog_event *event, const char *key, struct evlog_bytes *value)
{
    size_t len = strlen(key);
    for (size_t i = event->header_count; i > 0; i--) {
        const struct evlog_header *header = &event->headers[i - 1];
        if (header->key.len == len && memcmp(header->key.data, key, len) == 0) {
            *value = header->value;
            return true;
        }
    }
    return false;
}

static bool is_structured(const struct evlog_event *event)
{
    static const char structured[] = "application/cloudevents+json";
    size_t len = sizeof structured - 1;
    struct evlog_bytes type;
    return evlog_event_header(event, "content-type", &type) && type.data != NULL && type.len >= len &&
           strncasecmp(type.data, structured, len) == 0 &&
           (type.len == len || strchr("; \t", ((const char *)type.data)[len]) != NULL);
}

int evlog_event_view(const struct evlog_event *event, struct evlog_event_view *view)
{
    struct evlog_event_view full = {.size = view->size, .data = event->value};
    struct evlog_cloudevent *inner = NULL;
    if (!evlog_event_header(event, "ce_type", &full.type)) {
        full.type = (struct evlog_bytes){NULL, 0};
    }
    if (!evlog_event_header(event, "ce_id", &full.id)) {
        full.id = (struct evlog_bytes){NULL, 0};
    }
    if (full.type.data == NULL && full.id.data == NULL && event->value.data != NULL && is_structured(event)) {
        int rc = evlog_cloudevent_parse(event->value.data, event->value.len, &inner, NULL);
        if (rc == EVLOG_ERR_NO_MEMORY) {
            return rc;
        }
    }
    if (inner != NULL) {
        struct evlog_event as_binary = {.headers = inner->headers, .header_count = inner->message.header_count};
        (void)evlog_event_header(&as_binary, "ce_type", &full.type);
        (void)evlog_event_header(&as_binary, "ce_id", &full.id);
        full.data = inner->message.value;
        full.owned = inner;
    }
    memcpy(view, &full, EL_MIN(view->size, sizeof full));
    return 0;
}

void evlog_event_view_free(struct evlog_event_view *view)
{
    evlog_cloudevent_free(view->owned);
    view->owned = NULL;
}
