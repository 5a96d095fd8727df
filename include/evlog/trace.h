/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces: what became of an event from its publication to its handlers, as spans with OpenTelemetry's names.
 *
 * A client that has a tracer makes a span for each publish, append, fetch that brought events, handled event,
 * transaction of a projection, and outcome. The context travels in the header "traceparent" of the record (W3C Trace
 * Context), so retries and dead letters belong to the trace of the event's publication; what is about many events links
 * to their contexts. Without a tracer nothing is made, and headers are left as they are.
 *
 *     struct evlog_otlp *otlp;
 *     struct evlog_tracer tracer = EVLOG_TRACER_INIT;
 *     evlog_otlp_open(&otlp, &failure);          // reads the environment: OTEL_EXPORTER_OTLP_ENDPOINT and others
 *     evlog_otlp_tracer(otlp, &tracer);
 *     evlog_client_set_tracer(client, &tracer);  // before producers, subscribers and groups are opened
 *     ...
 *     evlog_client_close(client);
 *     evlog_otlp_close(otlp, 5000);
 *
 * Source: https://www.w3.org/TR/trace-context/ and OpenTelemetry's semantic conventions for messaging. Since 1.0.
 */
#ifndef EVLOG_TRACE_H
#define EVLOG_TRACE_H

#include <evlog/client.h>
#include <evlog/event.h>
#include <evlog/lease.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- context ------------------------------------------------------------------------------------------------------ */

#define EVLOG_TRACEPARENT "traceparent" /* names of the headers */
#define EVLOG_TRACESTATE "tracestate"
#define EVLOG_TRACEPARENT_LEN 55
#define EVLOG_TRACE_SAMPLED 0x01

struct evlog_trace_context {
    unsigned char trace_id[16]; /* not all zero */
    unsigned char span_id[8];   /* not all zero */
    unsigned char flags;        /* EVLOG_TRACE_SAMPLED */
};

/* Read a traceparent, as strictly as W3C says: lower case, no zero ids, not version ff, nothing behind version 00. Any
 * thread.
 *
 * text     [len]
 * context  written on success
 * returns  0 | EVLOG_ERR_MALFORMED
 */
int evlog_traceparent_parse(const void *text, size_t len, struct evlog_trace_context *context);
/* Write a traceparent of version 00, NUL-terminated. Any thread. */
void evlog_traceparent_format(const struct evlog_trace_context *context, char text[EVLOG_TRACEPARENT_LEN + 1]);
/* The context in an event's headers. returns false: none, more than one, or one that cannot be read. Any thread. */
bool evlog_event_trace(const struct evlog_event *event, struct evlog_trace_context *context);
/* The context for what the handler of a lease does: that of its span, else the event's. Until its outcome is given.
 * returns false: none */
bool evlog_lease_trace(const struct evlog_lease *lease, struct evlog_trace_context *context);

/* --- spans -------------------------------------------------------------------------------------------------------- */

enum evlog_span_kind { /* OpenTelemetry's numbers */
                       EVLOG_SPAN_CLIENT = 3,
                       EVLOG_SPAN_PRODUCER = 4,
                       EVLOG_SPAN_CONSUMER = 5,
};

/* An event that a span of several is about. */
struct evlog_span_link {
    struct evlog_trace_context context; /* of the event's publication */
    int32_t partition;                  /* messaging.destination.partition.id */
    int64_t offset;                     /* messaging.kafka.offset */
};

/* A span that has ended. The library makes it; fields are only ever added at the end. Texts may be NULL where the
 * comment says so; all are borrowed for the call. */
struct evlog_span {
    struct evlog_trace_context context;
    unsigned char parent_id[8]; /* all zero: the trace begins here */
    enum evlog_span_kind kind;
    const char *operation; /* messaging.operation.name: publish, append, receive, process, ack, nack, dead, release */
    const char *operation_type; /* messaging.operation.type: send, receive, process, settle */
    const char *topic;          /* messaging.destination.name */
    const char *group;          /* messaging.consumer.group.name, or NULL */
    const char *client_id;      /* messaging.client.id */
    const char *trace_state;    /* the header tracestate, or NULL */
    const char *message_id;     /* messaging.message.id: the event's ce_id, or NULL */
    int32_t partition;          /* messaging.destination.partition.id, -1 unknown */
    int64_t offset;             /* messaging.kafka.offset, -1 unknown */
    int64_t body_len;           /* messaging.message.body.size, -1 unknown */
    int32_t message_count;      /* messaging.batch.message_count, 0: not a batch */
    int32_t attempt;            /* evlog.delivery.attempt, from 1 on; 0: not a lease */
    int64_t start_ns;           /* since 1970 */
    int64_t end_ns;
    const char *error_type;              /* error.type: the name of a code, or the reason of a nack; NULL: no error */
    const char *error_text;              /* or NULL */
    const char *projection;              /* evlog.projection.name, or NULL */
    const struct evlog_span_link *links; /* [link_count]; borrowed for the call */
    size_t link_count;                   /* at most 128 */
    uint32_t links_left_out;             /* events whose context is not among them, for there are too many */
};

/* Who is told of spans, and which ones; start from EVLOG_TRACER_INIT. */
struct evlog_tracer {
    size_t size; /* sizeof(struct evlog_tracer) */
    /* A sampled span has ended. Called on any thread, with locks of the library held: it must not block, and must not
     * call the library. */
    void (*on_span)(void *arg, const struct evlog_span *span);
    void *arg;
    double sample_ratio; /* of traces that begin here, 0 .. 1 */
    bool ignores_parent; /* use the ratio also where a parent says whether it is sampled */
};
#define EVLOG_TRACER_INIT                                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct evlog_tracer), .sample_ratio = 1                                                         \
    }

/* Trace what this client does; once, before anything is opened with the client, and before other threads use it.
 *
 * tracer   copied; on_span NULL: no traces. arg must live until evlog_client_close() has returned
 * returns  0 | EVLOG_ERR_ARGUMENT a ratio outside 0 .. 1, or producers, subscribers or groups are open
 */
int evlog_client_set_tracer(struct evlog_client *client, const struct evlog_tracer *tracer,
                            struct evlog_failure *failure);

/* --- OTLP --------------------------------------------------------------------------------------------------------- */

/* An exporter: spans wait in a bounded queue, and a thread of its own sends them as OTLP in JSON over HTTP. What does
 * not fit into the queue, or what the collector does not take, is dropped and counted; nothing ever waits for it.
 *
 * Environment, by OpenTelemetry's names; any of the first two, or OTEL_TRACES_EXPORTER=otlp, turns it on:
 *
 *     OTEL_EXPORTER_OTLP_TRACES_ENDPOINT         where to POST to, as it is
 *     OTEL_EXPORTER_OTLP_ENDPOINT                the same with /v1/traces behind it; default http://localhost:4318
 *     OTEL_EXPORTER_OTLP_TRACES_HEADERS, OTEL_EXPORTER_OTLP_HEADERS   KEY=VALUE[,...], percent-encoded; never shown
 *     OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT   ms for one request, default 10000
 *     OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE, OTEL_EXPORTER_OTLP_CERTIFICATE   PEM file of trusted CAs
 *     OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL   http/json, the only one
 *     OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES   default unknown_service
 *     OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG  parentbased_always_on (default), always_on, always_off,
 *                                                traceidratio, parentbased_always_off, parentbased_traceidratio
 *     OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BSP_SCHEDULE_DELAY   2048, 512, 5000 ms
 *     OTEL_SDK_DISABLED=true, OTEL_TRACES_EXPORTER=none   off
 */
struct evlog_otlp;

/* Read the environment and start; does not wait for the collector.
 *
 * otlp     written on success, NULL: the environment asks for no traces, and the calls below do nothing
 * returns  0 | EVLOG_ERR_INVALID_CONFIG a variable has no meaning; the text names it, and no header's value |
 *          EVLOG_ERR_UNSUPPORTED libcurl is not there | EVLOG_ERR_NO_MEMORY
 */
int evlog_otlp_open(struct evlog_otlp **otlp, struct evlog_failure *failure);
/* Fill a tracer for evlog_client_set_tracer(). */
void evlog_otlp_tracer(struct evlog_otlp *otlp, struct evlog_tracer *tracer);

struct evlog_otlp_stats {
    size_t size;           /* sizeof(struct evlog_otlp_stats), set by the caller */
    uint64_t sent_count;   /* spans that a collector has taken */
    uint64_t failed_count; /* spans given up: the collector did not take them, or refused them of a request (partial
                            * success) */
    uint64_t lost_count;   /* spans for which the queue, or memory, had no room */
    char last_failure[256];
};
/* Any thread; all zero when otlp is NULL. */
void evlog_otlp_stats(struct evlog_otlp *otlp, struct evlog_otlp_stats *stats);

/* Send what waits now, without delay, and wait for it for at most timeout_ms. Any thread.
 *
 * returns  true: nothing waits, and no span was lost or given up so far, or otlp is NULL
 */
bool evlog_otlp_flush(struct evlog_otlp *otlp, int timeout_ms);

/* Send what waits, for at most timeout_ms, and end. Close the clients that use it before. NULL is allowed. Blocks for
 * about a second longer at most. */
void evlog_otlp_close(struct evlog_otlp *otlp, int timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
