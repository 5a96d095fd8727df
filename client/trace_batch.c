/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans of several events at once: a fetch that brought them, a transaction of a projection that applied them. Such a
 * span lies below none of the events, for they come from many traces: it begins a trace of its own, and links to the
 * contexts that the events carry. A batch belongs to one thread.
 *
 * 1. el_span_batch_begin() when the work begins, or is known to have begun.
 * 2. el_span_batch_add() for each event that turns out to be part of it.
 * 3. The end decides, as all events are known then: there is a span when one of them is sampled, or, when none of them
 *    carries a context, by the ratio. Where the parent's word does not count, the ratio decides alone.
 *
 * At most EL_SPAN_LINKS_MAX events are linked, what is more is counted. Without memory for a link it is counted too;
 * without memory for the batch there is no span.
 */
#include "trace.h"

#include <core/alloc.h>

#define LINKS_FIRST 8

struct el_span_batch {
    struct el_span_batch *next; /* of el_span_batches */
    struct evlog_span span;
    const struct evlog_client *client;
    struct evlog_span_link *links; /* [span.link_count] of link_room */
    size_t link_room;
    bool has_context; /* an event has one, sampled or not */
    char topic[];
};

struct el_span_batch *el_span_batch_begin(const struct evlog_client *client, const struct el_span_about *about)
{
    size_t topic_len = strlen(about->topic);
    struct el_span_batch *batch = el_trace_on(client) ? el_calloc(1, sizeof *batch + topic_len + 1) : NULL;
    if (batch == NULL) {
        return NULL;
    }
    char *to = batch->topic;
    batch->client = client;
    batch->span = (struct evlog_span){
        .kind = about->kind,
        .operation = about->operation,
        .operation_type = about->operation_type,
        .topic = el_trace_keep(&to, about->topic, topic_len),
        .group = about->group,
        .projection = about->projection,
        .client_id = client->cfg.client_id,
        .partition = about->partition,
        .offset = -1,
        .body_len = -1,
        .start_ns = el_trace_now_ns(),
    };
    return batch;
}

struct el_span_batch *el_span_batch_received(const struct evlog_client *client, const struct el_span_about *about,
                                             int64_t sent_ns, int64_t arrived_ns)
{
    struct el_span_batch *batch = el_span_batch_begin(client, about);
    if (batch != NULL) {
        int64_t offset_ns = batch->span.start_ns - el_now_ns();
        batch->span.end_ns = arrived_ns + offset_ns;
        batch->span.start_ns = EL_MIN(sent_ns + offset_ns, batch->span.end_ns);
    }
    return batch;
}

/* Room for one more. */
static bool make_room(struct el_span_batch *batch)
{
    if (batch->span.link_count < batch->link_room) {
        return true;
    }
    size_t room = EL_MAX(2 * batch->link_room, (size_t)LINKS_FIRST);
    struct evlog_span_link *grown = room > EL_SPAN_LINKS_MAX ? NULL : el_realloc(batch->links, room * sizeof *grown);
    if (grown != NULL) {
        batch->links = grown;
        batch->link_room = room;
    }
    return grown != NULL;
}

void el_span_batch_add(struct el_span_batch *batch, const struct evlog_event *event)
{
    struct evlog_trace_context context;
    if (batch == NULL) {
        return;
    }
    struct evlog_span *span = &batch->span;
    span->message_count += span->message_count < INT32_MAX;
    if (!evlog_event_trace(event, &context)) {
        return;
    }
    batch->has_context = true;
    if ((context.flags & EVLOG_TRACE_SAMPLED) == 0) {
        return; /* nobody has that span */
    }
    if (!make_room(batch)) {
        span->links_left_out += span->links_left_out < UINT32_MAX;
        return;
    }
    batch->links[span->link_count++] = (struct evlog_span_link){context, event->partition, event->offset};
}

static bool is_sampled(const struct el_span_batch *batch)
{
    const struct evlog_tracer *tracer = &batch->client->tracer;
    const struct evlog_span *span = &batch->span;
    if (span->message_count == 0) {
        return false; /* it brought nothing that anybody wanted */
    }
    if (batch->has_context && !tracer->ignores_parent) {
        return span->link_count > 0 || span->links_left_out > 0;
    }
    return el_trace_is_within(&span->context, tracer->sample_ratio);
}

void el_span_batch_end(struct el_span_batch *batch, const char *error_type, const char *error_text)
{
    if (batch == NULL) {
        return;
    }
    const struct evlog_tracer *tracer = &batch->client->tracer;
    struct evlog_span *span = &batch->span;
    el_trace_begin(&span->context);
    if (is_sampled(batch)) {
        span->links = batch->links;
        span->error_type = error_type;
        span->error_text = error_text;
        span->end_ns = span->end_ns != 0 ? span->end_ns : EL_MAX(el_trace_now_ns(), span->start_ns);
        tracer->on_span(tracer->arg, span);
    }
    el_free(batch->links);
    el_free(batch);
}

/* --- one for each topic ------------------------------------------------------------------------------------------- */

void el_span_batches_add(struct el_span_batches *batches, const struct el_span_about *about,
                         const struct evlog_event *event)
{
    struct el_span_batch *batch = batches->first;
    while (batch != NULL && strcmp(batch->topic, about->topic) != 0) {
        batch = batch->next;
    }
    if (batch == NULL) {
        batch = el_span_batch_begin(batches->client, about);
        if (batch == NULL) {
            return;
        }
        batch->span.start_ns = batches->start_ns;
        batch->next = batches->first;
        batches->first = batch;
    }
    el_span_batch_add(batch, event);
}

void el_span_batches_end(struct el_span_batches *batches, const char *error_type, const char *error_text)
{
    while (batches->first != NULL) {
        struct el_span_batch *batch = batches->first;
        batches->first = batch->next;
        el_span_batch_end(batch, error_type, error_text);
    }
}
