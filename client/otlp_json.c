/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans as OTLP in JSON: ids in hex, 64-bit numbers as strings. Pure; any thread.
 *
 * Source: opentelemetry-proto, trace/v1/trace.proto, and the JSON encoding of the OTLP specification; attributes by
 * OpenTelemetry's semantic conventions for messaging and Kafka.
 */
#include "otlp.h"

#include <core/json.h>
#include <core/json_writer.h>
#include <stdio.h>

#define STATUS_ERROR 2
#define ANSWER_DEPTH_MAX 8

static void add_text(struct el_json_writer *w, const char *key, const char *value)
{
    if (value == NULL) {
        return;
    }
    el_json_begin_object(w);
    el_json_add_str(w, "key", key);
    el_json_key(w, "value");
    el_json_begin_object(w);
    el_json_add_str(w, "stringValue", value);
    el_json_end_object(w);
    el_json_end_object(w);
}

/* below: no value */
static void add_number(struct el_json_writer *w, const char *key, int64_t value, int64_t below)
{
    char text[24];
    if (value < below) {
        return;
    }
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    el_json_begin_object(w);
    el_json_add_str(w, "key", key);
    el_json_key(w, "value");
    el_json_begin_object(w);
    el_json_add_str(w, "intValue", text);
    el_json_end_object(w);
    el_json_end_object(w);
}

static void add_partition(struct el_json_writer *w, int32_t partition)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", partition);
    add_text(w, "messaging.destination.partition.id", partition < 0 ? NULL : text);
}

static void add_attributes(struct el_json_writer *w, const struct evlog_span *span)
{
    el_json_key(w, "attributes");
    el_json_begin_array(w);
    add_text(w, "messaging.system", "kafka");
    add_text(w, "messaging.operation.name", span->operation);
    add_text(w, "messaging.operation.type", span->operation_type);
    add_text(w, "messaging.destination.name", span->topic);
    add_partition(w, span->partition);
    add_text(w, "messaging.consumer.group.name", span->group);
    add_text(w, "evlog.projection.name", span->projection);
    add_text(w, "messaging.client.id", span->client_id);
    add_text(w, "messaging.message.id", span->message_id);
    add_number(w, "messaging.kafka.offset", span->offset, 0);
    add_number(w, "messaging.message.body.size", span->body_len, 0);
    add_number(w, "messaging.batch.message_count", span->message_count, 1);
    add_number(w, "evlog.delivery.attempt", span->attempt, 1);
    add_text(w, "error.type", span->error_type);
    el_json_end_array(w);
}

static void add_hex(struct el_json_writer *w, const char *key, const unsigned char *bytes, size_t count)
{
    char text[33];
    (void)el_trace_hex(bytes, count, text);
    el_json_add_str(w, key, text);
}

static void add_time(struct el_json_writer *w, const char *key, int64_t ns)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)ns);
    el_json_add_str(w, key, text);
}

static void add_links(struct el_json_writer *w, const struct evlog_span *span)
{
    if (span->link_count == 0) {
        return;
    }
    el_json_key(w, "links");
    el_json_begin_array(w);
    for (size_t i = 0; i < span->link_count; i++) {
        const struct evlog_span_link *link = &span->links[i];
        el_json_begin_object(w);
        add_hex(w, "traceId", link->context.trace_id, sizeof link->context.trace_id);
        add_hex(w, "spanId", link->context.span_id, sizeof link->context.span_id);
        el_json_add_int(w, "flags", link->context.flags);
        el_json_key(w, "attributes");
        el_json_begin_array(w);
        add_partition(w, link->partition);
        add_number(w, "messaging.kafka.offset", link->offset, 0);
        el_json_end_array(w);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void add_span(struct el_json_writer *w, const struct evlog_span *span)
{
    static const unsigned char none[8];
    char name[300];
    int len = snprintf(name, sizeof name, "%s %s", span->operation, span->topic);
    bool cut = len < 0 || (size_t)len >= sizeof name;
    el_json_begin_object(w);
    add_hex(w, "traceId", span->context.trace_id, sizeof span->context.trace_id);
    add_hex(w, "spanId", span->context.span_id, sizeof span->context.span_id);
    if (memcmp(span->parent_id, none, sizeof none) != 0) {
        add_hex(w, "parentSpanId", span->parent_id, sizeof span->parent_id);
    }
    if (span->trace_state != NULL) {
        el_json_add_str(w, "traceState", span->trace_state);
    }
    el_json_add_int(w, "flags", span->context.flags);
    el_json_add_str(w, "name", cut ? span->operation : name);
    el_json_add_int(w, "kind", span->kind);
    add_time(w, "startTimeUnixNano", span->start_ns);
    add_time(w, "endTimeUnixNano", span->end_ns);
    add_attributes(w, span);
    add_links(w, span);
    if (span->links_left_out > 0) {
        el_json_add_int(w, "droppedLinksCount", span->links_left_out);
    }
    el_json_key(w, "status");
    el_json_begin_object(w);
    if (span->error_type != NULL) {
        el_json_add_int(w, "code", STATUS_ERROR);
        el_json_add_str(w, "message", span->error_text != NULL ? span->error_text : span->error_type);
    }
    el_json_end_object(w);
    el_json_end_object(w);
}

int el_otlp_encode(const struct el_otlp_config *cfg, const struct evlog_span *const *spans, size_t count,
                   struct el_buffer *out)
{
    struct el_json_writer w;
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_key(&w, "resourceSpans");
    el_json_begin_array(&w);
    el_json_begin_object(&w);
    el_json_key(&w, "resource");
    el_json_begin_object(&w);
    el_json_key(&w, "attributes");
    el_json_begin_array(&w);
    for (uint32_t i = 0; i < cfg->attribute_count; i++) {
        add_text(&w, cfg->attributes[i].key, cfg->attributes[i].value);
    }
    add_text(&w, "telemetry.sdk.name", "evlog");
    add_text(&w, "telemetry.sdk.language", "cpp"); /* the only value that OpenTelemetry has near C */
    add_text(&w, "telemetry.sdk.version", EVLOG_VERSION);
    el_json_end_array(&w);
    el_json_end_object(&w);
    el_json_key(&w, "scopeSpans");
    el_json_begin_array(&w);
    el_json_begin_object(&w);
    el_json_key(&w, "scope");
    el_json_begin_object(&w);
    el_json_add_str(&w, "name", "evlog");
    el_json_add_str(&w, "version", EVLOG_VERSION);
    el_json_end_object(&w);
    el_json_key(&w, "spans");
    el_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        add_span(&w, spans[i]);
    }
    el_json_end_array(&w);
    el_json_end_object(&w);
    el_json_end_array(&w);
    el_json_end_object(&w);
    el_json_end_array(&w);
    el_json_end_object(&w);
    return el_json_writer_end(&w);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* A 64-bit number, as text or as a number: both are in use. returns 0 when it is neither */
static int64_t number_of(const struct el_json *json)
{
    int64_t number = 0;
    struct el_slice text;
    if (json == NULL || el_json_int(json, &number) == 0 || el_json_string(json, &text) != 0) {
        return number;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || number > UINT32_MAX) {
            return 0;
        }
        number = 10 * number + (text.data[i] - '0');
    }
    return number;
}

uint32_t el_otlp_refused(struct el_slice answer, uint32_t count, char *message, size_t message_max)
{
    struct el_json *json = NULL;
    message[0] = '\0';
    if (answer.len == 0 || el_json_parse(answer.data, answer.len, ANSWER_DEPTH_MAX, &json, NULL) != 0) {
        return 0;
    }
    const struct el_json *partial = el_json_get(json, "partialSuccess");
    const struct el_json *text = partial == NULL ? NULL : el_json_get(partial, "errorMessage");
    int64_t refused = partial == NULL ? 0 : number_of(el_json_get(partial, "rejectedSpans"));
    struct el_slice said;
    if (text != NULL && el_json_string(text, &said) == 0) {
        char *to = message;
        (void)el_trace_keep(&to, said.data, EL_MIN(said.len, message_max - 1));
    }
    el_json_free(json);
    return (uint32_t)EL_MIN(EL_MAX(refused, INT64_C(0)), (int64_t)count);
}
