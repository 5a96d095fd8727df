/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans from their beginning to their end, and which of them there are. Any thread.
 *
 * 1. el_trace_decide() looks at the traceparent that is there: its trace goes on, and is sampled when its parent is.
 *    Else a trace may begin here, by the ratio.
 * 2. A span is one block with copies of the texts that may go before it does.
 * 3. The end fills in what became of it and tells the tracer; then the block is freed.
 *
 * Without memory there is no span, and what was traced goes on.
 */
#include "trace.h"

#include "fail.h"

#include <core/alloc.h>
#include <core/utf8.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S 1000000000ll
#define EVENT_ID_HEADER "ce_id"

struct el_span {
    struct evlog_span span;
    const struct evlog_client *client;
    size_t len;   /* of the block */
    char texts[]; /* topic, tracestate, message id */
};

int64_t el_trace_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int evlog_client_set_tracer(struct evlog_client *client, const struct evlog_tracer *given,
                            struct evlog_failure *failure)
{
    struct evlog_tracer tracer = EVLOG_TRACER_INIT;
    if (!EL_OPTIONS_TAKE(&tracer, given) || !(tracer.sample_ratio >= 0 && tracer.sample_ratio <= 1)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the tracer was not initialised, or its ratio is not 0 to 1");
    }
    el_client_lock(client);
    bool used = !el_list_empty(&client->producers) || !el_list_empty(&client->subscribers) ||
                !el_list_empty(&client->groups);
    if (!used) {
        client->tracer = tracer;
    }
    el_client_unlock(client);
    return used ? el_fail(failure, EVLOG_ERR_ARGUMENT, "set the tracer before anything is opened with the client") : 0;
}

/* --- where -------------------------------------------------------------------------------------------------------- */

/* Random ids; zero means nothing in both, and is replaced. */
static void fill_id(unsigned char *id, size_t len)
{
    if (getrandom(id, len, 0) != (ssize_t)len) {
        struct el_rng rng; /* no kernel that this is built for refuses */
        el_rng_seed(&rng, (uint64_t)el_now_ns() ^ (uint64_t)(uintptr_t)id);
        for (size_t i = 0; i < len; i++) {
            id[i] = (unsigned char)el_rng_below(&rng, 256);
        }
    }
    id[0] |= 1;
}

/* The last 63 bits count. */
bool el_trace_is_within(const struct evlog_trace_context *context, double ratio)
{
    uint64_t random = 0;
    for (size_t i = 8; i < sizeof context->trace_id; i++) {
        random = random << 8 | context->trace_id[i];
    }
    return ratio >= 1 || (double)(random >> 1) < ratio * (double)(1ull << 63);
}

void el_trace_begin(struct evlog_trace_context *context)
{
    fill_id(context->trace_id, sizeof context->trace_id);
    fill_id(context->span_id, sizeof context->span_id);
    context->flags = EVLOG_TRACE_SAMPLED;
}

bool el_trace_decide(const struct evlog_client *client, const struct evlog_header *headers, size_t count,
                     struct el_trace_place *place)
{
    const struct evlog_tracer *tracer = &client->tracer;
    struct evlog_trace_context parent;
    memset(place, 0, sizeof *place);
    bool below = el_trace_of(headers, count, &parent, &place->state);
    bool by_parent = below && !tracer->ignores_parent;
    if (by_parent ? (parent.flags & EVLOG_TRACE_SAMPLED) == 0 : tracer->sample_ratio <= 0) {
        return false;
    }
    if (below) {
        memcpy(place->context.trace_id, parent.trace_id, sizeof parent.trace_id);
        memcpy(place->parent_id, parent.span_id, sizeof parent.span_id);
    } else {
        fill_id(place->context.trace_id, sizeof place->context.trace_id);
    }
    if (!by_parent && !el_trace_is_within(&place->context, tracer->sample_ratio)) {
        return false;
    }
    fill_id(place->context.span_id, sizeof place->context.span_id);
    place->context.flags = EVLOG_TRACE_SAMPLED;
    return true;
}

void el_trace_below(const struct el_span *span, struct el_trace_place *place)
{
    place->context = span->span.context;
    memcpy(place->parent_id, span->span.context.span_id, sizeof place->parent_id);
    fill_id(place->context.span_id, sizeof place->context.span_id);
    const char *state = span->span.trace_state;
    place->state = (struct evlog_bytes){state, state == NULL ? 0 : strlen(state)};
}

/* --- spans -------------------------------------------------------------------------------------------------------- */

static struct evlog_bytes id_of(const struct el_span_about *about)
{
    struct evlog_event as_event = {.headers = about->headers, .header_count = about->header_count};
    struct evlog_bytes id;
    if (!evlog_event_header(&as_event, EVENT_ID_HEADER, &id) || id.data == NULL) {
        return (struct evlog_bytes){NULL, 0};
    }
    id.len = EL_MIN(id.len, EL_TRACE_ID_MAX);
    return id;
}

const char *el_trace_keep(char **to, const void *from, size_t len)
{
    char *start = *to;
    const char *text = from;
    uint32_t point;
    if (from == NULL) {
        return NULL;
    }
    for (size_t pos = 0; pos < len;) {
        size_t n = el_utf8_next(text + pos, len - pos, &point);
        if (n == 0 || point < ' ') {
            start[pos] = '?';
            pos += n == 0 ? 1 : n;
        } else {
            memcpy(start + pos, text + pos, n);
            pos += n;
        }
    }
    start[len] = '\0';
    *to = start + len + 1;
    return start;
}

struct el_span *el_span_begin(const struct evlog_client *client, const struct el_trace_place *place,
                              const struct el_span_about *about)
{
    struct evlog_bytes id = id_of(about);
    size_t topic_len = strlen(about->topic);
    size_t len = sizeof(struct el_span) + topic_len + place->state.len + id.len + 3;
    struct el_span *span = el_calloc(1, len);
    if (span == NULL) {
        return NULL;
    }
    char *to = span->texts;
    span->client = client;
    span->len = len;
    span->span = (struct evlog_span){
        .context = place->context,
        .kind = about->kind,
        .operation = about->operation,
        .operation_type = about->operation_type,
        .topic = el_trace_keep(&to, about->topic, topic_len),
        .group = about->group,
        .projection = about->projection,
        .client_id = client->cfg.client_id,
        .trace_state = el_trace_keep(&to, place->state.data, place->state.len),
        .message_id = el_trace_keep(&to, id.data, id.len),
        .partition = about->partition,
        .offset = about->offset,
        .body_len = about->body_len,
        .message_count = about->message_count,
        .attempt = about->attempt,
        .start_ns = el_trace_now_ns(),
    };
    memcpy(span->span.parent_id, place->parent_id, sizeof place->parent_id);
    return span;
}

struct el_span *el_span_process(const struct evlog_client *client, const struct evlog_event *event, const char *group,
                                int32_t attempt)
{
    struct el_trace_place place;
    if (!el_trace_on(client) || !el_trace_decide(client, event->headers, event->header_count, &place)) {
        return NULL;
    }
    struct el_span_about about = {
        .kind = EVLOG_SPAN_CONSUMER,
        .operation = "process",
        .operation_type = "process",
        .topic = event->topic,
        .group = group,
        .headers = event->headers,
        .header_count = event->header_count,
        .partition = event->partition,
        .offset = event->offset,
        .body_len = (int64_t)event->value.len,
        .attempt = attempt,
    };
    return el_span_begin(client, &place, &about);
}

struct el_span *el_span_settle(const struct el_span *process, const char *operation)
{
    struct el_trace_place place;
    if (process == NULL) {
        return NULL;
    }
    const struct evlog_span *above = &process->span;
    el_trace_below(process, &place);
    struct el_span_about about = {
        .kind = EVLOG_SPAN_CLIENT,
        .operation = operation,
        .operation_type = "settle",
        .topic = above->topic,
        .group = above->group,
        .partition = above->partition,
        .offset = above->offset,
        .body_len = -1,
        .attempt = above->attempt,
    };
    return el_span_begin(process->client, &place, &about);
}

const struct evlog_trace_context *el_span_context(const struct el_span *span)
{
    return &span->span.context;
}

void el_span_locate(struct el_span *span, int32_t partition, int64_t offset)
{
    if (span != NULL) {
        span->span.partition = partition;
        span->span.offset = offset;
    }
}

size_t el_span_len(const struct el_span *span)
{
    return span == NULL ? 0 : span->len;
}

void el_span_end(struct el_span *span, const char *error_type, const char *error_text)
{
    if (span == NULL) {
        return;
    }
    const struct evlog_tracer *tracer = &span->client->tracer;
    span->span.error_type = error_type;
    span->span.error_text = error_text;
    span->span.end_ns = EL_MAX(el_trace_now_ns(), span->span.start_ns); /* the clock may be set back */
    if (tracer->on_span != NULL) {
        tracer->on_span(tracer->arg, &span->span);
    }
    el_free(span);
}

void el_span_end_code(struct el_span *span, int code, const char *error_text)
{
    el_span_end(span, code == 0 ? NULL : evlog_error_name(code), code == 0 ? NULL : error_text);
}
