/* SPDX-License-Identifier: Apache-2.0
 *
 * The traceparent of W3C Trace Context in the headers of events. Pure functions; any thread.
 */
#include "trace.h"

#include <core/traceparent.h>
#include <evlog/error.h>

int evlog_traceparent_parse(const void *text, size_t len, struct evlog_trace_context *context)
{
    struct el_traceparent read;
    int rc = el_traceparent_read(text, len, &read);
    if (rc == 0) {
        memcpy(context->trace_id, read.trace_id, sizeof context->trace_id);
        memcpy(context->span_id, read.span_id, sizeof context->span_id);
        context->flags = read.flags & EVLOG_TRACE_SAMPLED; /* the others mean nothing yet, and are not passed on */
    }
    return rc;
}

char *el_trace_hex(const unsigned char *bytes, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
    return text;
}

void evlog_traceparent_format(const struct evlog_trace_context *context, char text[EVLOG_TRACEPARENT_LEN + 1])
{
    unsigned char flags = context->flags & EVLOG_TRACE_SAMPLED;
    char *p = el_trace_hex(&(unsigned char){0}, 1, text);
    *p++ = '-';
    p = el_trace_hex(context->trace_id, sizeof context->trace_id, p);
    *p++ = '-';
    p = el_trace_hex(context->span_id, sizeof context->span_id, p);
    *p++ = '-';
    (void)el_trace_hex(&flags, 1, p);
}

static bool is_named(const struct evlog_header *header, const char *name)
{
    size_t len = strlen(name);
    return header->key.len == len && header->key.data != NULL && memcmp(header->key.data, name, len) == 0;
}

bool el_trace_is_header(const struct evlog_header *header)
{
    return is_named(header, EVLOG_TRACEPARENT) || is_named(header, EVLOG_TRACESTATE);
}

bool el_trace_of(const struct evlog_header *headers, size_t count, struct evlog_trace_context *context,
                 struct evlog_bytes *state)
{
    size_t parents = 0, states = 0;
    struct evlog_bytes parent = {NULL, 0};
    *state = (struct evlog_bytes){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (is_named(&headers[i], EVLOG_TRACEPARENT)) {
            parent = headers[i].value;
            parents++;
        } else if (is_named(&headers[i], EVLOG_TRACESTATE)) {
            *state = headers[i].value;
            states++;
        }
    }
    bool known = parents == 1 && evlog_traceparent_parse(parent.data, parent.len, context) == 0;
    if (!known || states > 1 || state->len > EL_TRACE_STATE_MAX) {
        *state = (struct evlog_bytes){NULL, 0};
    }
    return known;
}

bool evlog_event_trace(const struct evlog_event *event, struct evlog_trace_context *context)
{
    struct evlog_bytes state;
    return el_trace_of(event->headers, event->header_count, context, &state);
}
