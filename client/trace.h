/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans under way. A client without a tracer has none: every function takes a span that is NULL, and does nothing.
 */
#ifndef EL_CLIENT_TRACE_H
#define EL_CLIENT_TRACE_H

#include "client_core.h"

#include <evlog/trace.h>

#define EL_TRACE_STATE_MAX 512 /* bytes of a tracestate; W3C asks for so many. Longer ones are not passed on */
#define EL_TRACE_ID_MAX 256    /* bytes of a message id in a span; longer ones are cut */
#define EL_SPAN_LINKS_MAX 128  /* of a span, as OpenTelemetry's SDKs have it; what is more is counted */

/* --- trace_context.c: pure; any thread --- */

/* Lower-case hex of count bytes and a NUL. returns where the NUL is */
char *el_trace_hex(const unsigned char *bytes, size_t count, char *text);
/* traceparent or tracestate */
bool el_trace_is_header(const struct evlog_header *header);
/* The context that headers carry, and their tracestate (data NULL: none that counts). returns false: no context */
bool el_trace_of(const struct evlog_header *headers, size_t count, struct evlog_trace_context *context,
                 struct evlog_bytes *state);

/* --- trace.c: any thread; the client's lock may be held --- */

/* Where a span belongs. */
struct el_trace_place {
    struct evlog_trace_context context; /* its own */
    unsigned char parent_id[8];
    struct evlog_bytes state; /* borrowed from the headers */
};

/* What a span is about; texts and bytes are borrowed for the call but for the ones that are said to be kept. */
struct el_span_about {
    enum evlog_span_kind kind;
    const char *operation;      /* static storage */
    const char *operation_type; /* static storage */
    const char *topic;
    const char *group;                  /* kept: lives longer than the span; NULL */
    const char *projection;             /* the same; NULL */
    const struct evlog_header *headers; /* [header_count], for the event's id */
    size_t header_count;
    int32_t partition;
    int64_t offset;
    int64_t body_len;
    int32_t message_count;
    int32_t attempt;
};

struct el_span;

/* Copy a text of len bytes to *to, which goes on behind its NUL; what is no UTF-8, and control characters, become
 * question marks. returns the copy; NULL: from is NULL */
const char *el_trace_keep(char **to, const void *from, size_t len);
/* True when the client has a tracer. */
static inline bool el_trace_on(const struct evlog_client *client)
{
    return client->tracer.on_span != NULL;
}
/* Decide whether something that carries these headers is traced, and where it belongs. Tracer given. */
bool el_trace_decide(const struct evlog_client *client, const struct evlog_header *headers, size_t count,
                     struct el_trace_place *place);
/* Ids for a trace that begins here, sampled. */
void el_trace_begin(struct evlog_trace_context *context);
/* By the trace id, so that all who use the same ratio agree. */
bool el_trace_is_within(const struct evlog_trace_context *context, double ratio);
/* Nanoseconds since 1970. */
int64_t el_trace_now_ns(void);
/* A place below a span. */
void el_trace_below(const struct el_span *span, struct el_trace_place *place);
/* Begin a span. returns NULL: no memory */
struct el_span *el_span_begin(const struct evlog_client *client, const struct el_trace_place *place,
                              const struct el_span_about *about);
/* Begin the span of an event in a handler's hands, when it is to have one; NULL: it is not. */
struct el_span *el_span_process(const struct evlog_client *client, const struct evlog_event *event, const char *group,
                                int32_t attempt);
/* Begin the span of an outcome, below that of its handler. returns NULL: none, for there is none above */
struct el_span *el_span_settle(const struct el_span *process, const char *operation);
const struct evlog_trace_context *el_span_context(const struct el_span *span);
/* It is known now where the event lies. */
void el_span_locate(struct el_span *span, int32_t partition, int64_t offset);
/* Bytes that a span holds; 0 for NULL. */
size_t el_span_len(const struct el_span *span);
/* End it and tell the tracer. error_type NULL: no error. */
void el_span_end(struct el_span *span, const char *error_type, const char *error_text);
/* The same, with a code's name; 0: no error. */
void el_span_end_code(struct el_span *span, int code, const char *error_text);

/* --- trace_batch.c: spans of several events; each belongs to one thread ------------------------------------------- */

struct el_span_batch;

/* Begin it: of about, only kind, names and partition count (-1: several). returns NULL: no tracer, or no memory */
struct el_span_batch *el_span_batch_begin(const struct evlog_client *client, const struct el_span_about *about);
/* The same for a fetch that is over; times are monotonic. */
struct el_span_batch *el_span_batch_received(const struct evlog_client *client, const struct el_span_about *about,
                                             int64_t sent_ns, int64_t arrived_ns);
/* An event is part of it. */
void el_span_batch_add(struct el_span_batch *batch, const struct evlog_event *event);
/* End it and, when it is to be sampled and has events, tell the tracer. error_type NULL: no error. */
void el_span_batch_end(struct el_span_batch *batch, const char *error_type, const char *error_text);

/* Work on events of several topics, with a span for each of them: all begin and end together. */
struct el_span_batches {
    const struct evlog_client *client;
    int64_t start_ns; /* el_trace_now_ns() */
    struct el_span_batch *first;
};
/* An event is part of it. */
void el_span_batches_add(struct el_span_batches *batches, const struct el_span_about *about,
                         const struct evlog_event *event);
void el_span_batches_end(struct el_span_batches *batches, const char *error_type, const char *error_text);

#endif
