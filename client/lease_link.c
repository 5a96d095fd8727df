/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of events: correlation and causation ids. Any thread.
 */
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <stdio.h>

#define HEADERS_MORE 5
#define EVENT_ID_HEADER "ce_id"

struct evlog_linked_message {
    struct evlog_message message;
    char *texts; /* owned: ids that are made here */
    char parent[EVLOG_TRACEPARENT_LEN + 1];
    struct evlog_header headers[]; /* those of the message and HEADERS_MORE */
};

static struct evlog_bytes bytes_of(const char *text)
{
    return (struct evlog_bytes){text, strlen(text)};
}

static bool has_header(const struct evlog_message *message, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < message->header_count; i++) {
        if (message->headers[i].key.len == len && memcmp(message->headers[i].key.data, key, len) == 0) {
            return true;
        }
    }
    return false;
}

static void add_header(struct evlog_linked_message *linked, const char *key, struct evlog_bytes value)
{
    linked->headers[linked->message.header_count++] = (struct evlog_header){bytes_of(key), value};
}

/* Copy headers but those under a name; NULL: all. */
static void copy_headers(struct evlog_linked_message *linked, const struct evlog_message *message, const char *without)
{
    size_t len = without == NULL ? 0 : strlen(without);
    for (size_t i = 0; i < message->header_count; i++) {
        const struct evlog_header *header = &message->headers[i];
        if (without == NULL || header->key.len != len || memcmp(header->key.data, without, len) != 0) {
            linked->headers[linked->message.header_count++] = *header;
        }
    }
}

/* The trace goes on, unless the message is in one already. */
static void add_trace(struct evlog_linked_message *linked, const struct evlog_message *message,
                      const struct evlog_event *cause, const struct evlog_trace_context *span)
{
    struct evlog_trace_context context;
    struct evlog_bytes state;
    bool goes_on = el_trace_of(cause->headers, cause->header_count, &context, &state);
    if (has_header(message, EVLOG_TRACEPARENT) || has_header(message, EVLOG_TRACESTATE) || (span == NULL && !goes_on)) {
        return;
    }
    evlog_traceparent_format(span != NULL ? span : &context, linked->parent);
    add_header(linked, EVLOG_TRACEPARENT, bytes_of(linked->parent));
    if (goes_on && state.data != NULL) {
        add_header(linked, EVLOG_TRACESTATE, state);
    }
}

struct evlog_linked_message *el_message_link(const struct evlog_message *message, const struct evlog_event *cause,
                                             const char *event_id, const struct evlog_trace_context *span)
{
    struct evlog_event_view view = {.size = sizeof view};
    struct evlog_bytes correlation;
    if (evlog_event_view(cause, &view) != 0) {
        return NULL;
    }
    size_t event_id_len = event_id == NULL ? 0 : strlen(event_id);
    size_t place_len = strlen(cause->topic) + 48;
    size_t headers_len = (message->header_count + HEADERS_MORE) * sizeof(struct evlog_header);
    struct evlog_linked_message *linked = el_calloc(1, sizeof *linked + headers_len);
    char *texts = el_calloc(1, view.id.len + place_len + event_id_len + 2);
    if (linked == NULL || texts == NULL) {
        evlog_event_view_free(&view);
        el_free(linked);
        el_free(texts);
        return NULL;
    }
    struct evlog_bytes cause_id = {texts, view.id.len};
    if (view.id.data == NULL) {
        cause_id.len = (size_t)snprintf(texts, place_len, "%s/%d/%lld", cause->topic, cause->partition,
                                        (long long)cause->offset);
    } else {
        memcpy(texts, view.id.data, view.id.len); /* it may lie in the view */
    }
    evlog_event_view_free(&view);
    linked->texts = texts;
    linked->message = *message;
    linked->message.headers = linked->headers;
    linked->message.header_count = 0;
    copy_headers(linked, message, event_id == NULL ? NULL : EVENT_ID_HEADER);
    if (event_id != NULL) {
        char *own = texts + cause_id.len + 1;
        memcpy(own, event_id, event_id_len + 1);
        add_header(linked, EVENT_ID_HEADER, (struct evlog_bytes){own, event_id_len});
    }
    if (!has_header(message, EVLOG_CORRELATION_ID)) {
        bool goes_on = evlog_event_header(cause, EVLOG_CORRELATION_ID, &correlation) && correlation.data != NULL;
        add_header(linked, EVLOG_CORRELATION_ID, goes_on ? correlation : cause_id);
    }
    if (!has_header(message, EVLOG_CAUSATION_ID)) {
        add_header(linked, EVLOG_CAUSATION_ID, cause_id);
    }
    add_trace(linked, message, cause, span);
    return linked;
}

int evlog_message_link(const struct evlog_message *message, const struct evlog_event *cause,
                       struct evlog_linked_message **linked, struct evlog_failure *failure)
{
    struct evlog_message full = EVLOG_MESSAGE_INIT;
    if (!EL_OPTIONS_TAKE(&full, message)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the message was not initialised");
    }
    full.size = sizeof full;
    *linked = el_message_link(&full, cause, NULL, NULL);
    return *linked == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to link a message") : 0;
}

const struct evlog_message *evlog_linked_message(const struct evlog_linked_message *linked)
{
    return &linked->message;
}

void evlog_linked_message_free(struct evlog_linked_message *linked)
{
    if (linked != NULL) {
        el_free(linked->texts);
        el_free(linked);
    }
}
