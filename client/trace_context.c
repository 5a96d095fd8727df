/* SPDX-License-Identifier: Apache-2.0
 *
 * The traceparent of W3C Trace Context. Pure functions; any thread.
 *
 *     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *     version, trace id, id of the parent span, flags
 *
 * A version above 00 may have more behind the flags, after another dash; what is known of it is read as 00.
 */
#include "trace.h"

#include <evlog/error.h>

#define VERSION_BAD 0xff

/* One digit of lower-case hex; -1: none. */
static int digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read count bytes of hex; false when a digit is none. */
static bool read_hex(const unsigned char *text, unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const unsigned char *bytes, size_t count)
{
    unsigned char any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

int evlog_traceparent_parse(const void *text, size_t len, struct evlog_trace_context *context)
{
    const unsigned char *p = text;
    unsigned char version;
    struct evlog_trace_context read;
    if (p == NULL || len < EVLOG_TRACEPARENT_LEN || !read_hex(p, &version, 1) || version == VERSION_BAD) {
        return EVLOG_ERR_MALFORMED;
    }
    if (len > EVLOG_TRACEPARENT_LEN && (version == 0 || p[EVLOG_TRACEPARENT_LEN] != '-')) {
        return EVLOG_ERR_MALFORMED;
    }
    bool ok = p[2] == '-' && read_hex(p + 3, read.trace_id, sizeof read.trace_id) && p[35] == '-' &&
              read_hex(p + 36, read.span_id, sizeof read.span_id) && p[52] == '-' && read_hex(p + 53, &read.flags, 1);
    if (!ok || is_zero(read.trace_id, sizeof read.trace_id) || is_zero(read.span_id, sizeof read.span_id)) {
        return EVLOG_ERR_MALFORMED;
    }
    read.flags &= EVLOG_TRACE_SAMPLED; /* the others mean nothing yet, and are not passed on */
    *context = read;
    return 0;
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
