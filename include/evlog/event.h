/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: what is published (evlog_message), what is read (evlog_event), and CloudEvents in JSON.
 *
 * Nothing here blocks or touches the network. A pointer inside a message is borrowed for the call it is given to. A
 * pointer inside an event lives as long as the documentation of the function that returned the event says. Since 1.0.
 */
#ifndef EVLOG_EVENT_H
#define EVLOG_EVENT_H

#include <evlog/failure.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A borrowed run of bytes. data NULL is null, different from empty. */
struct evlog_bytes {
    const void *data;
    size_t len;
};

struct evlog_header {
    struct evlog_bytes key;   /* UTF-8, never null */
    struct evlog_bytes value; /* may be null */
};

/* One event to publish; start from EVLOG_MESSAGE_INIT. */
struct evlog_message {
    size_t size;                        /* sizeof(struct evlog_message) */
    const char *topic;                  /* NUL-terminated */
    int32_t partition;                  /* -1: chosen by the key (murmur2, as the Java client), sticky without a key */
    int64_t timestamp_ms;               /* event time since 1970, -1: now */
    struct evlog_bytes key;             /* the stream; null: none */
    struct evlog_bytes value;           /* null: a tombstone */
    const struct evlog_header *headers; /* [header_count] */
    size_t header_count;
};
#define EVLOG_MESSAGE_INIT                                                                                             \
    {                                                                                                                  \
        .size = sizeof(struct evlog_message), .partition = -1, .timestamp_ms = -1                                      \
    }

/* One event as read. The library makes it; fields are only ever added at the end. */
struct evlog_event {
    const char *topic;
    int32_t partition;
    int32_t leader_epoch; /* of its batch, -1 unknown */
    int64_t offset;
    int64_t timestamp_ms;   /* event time since 1970; on an append-time topic the broker's */
    int64_t append_time_ns; /* when the broker took it, ns since 1970; -1 where the broker does not tell */
    struct evlog_bytes key;
    struct evlog_bytes value;
    const struct evlog_header *headers; /* [header_count] */
    size_t header_count;
};

/* The last header with this key. returns false when there is none. Any thread. */
bool evlog_event_header(const struct evlog_event *event, const char *key, struct evlog_bytes *value);

/* One CloudEvents event, ready to be published. */
struct evlog_cloudevent;

/* Read one event in CloudEvents 1.0 JSON. Kafka binding, binary mode: every attribute becomes a ce_ header,
 * datacontenttype the header content-type, the bytes of data (not re-encoded), the decoded data_base64, or the text of
 * a string of a non-JSON type the value, subject the key, time the timestamp.
 *
 * text      len bytes, one JSON object; borrowed for the call
 * event     written on success; free with evlog_cloudevent_free()
 * returns   0 | EVLOG_ERR_MALFORMED not such an event; the text names the attribute or the column | EVLOG_ERR_NO_MEMORY
 */
int evlog_cloudevent_parse(const void *text, size_t len, struct evlog_cloudevent **event,
                           struct evlog_failure *failure);
/* The message, without a topic; valid until evlog_cloudevent_free(). */
const struct evlog_message *evlog_cloudevent_message(const struct evlog_cloudevent *event);
void evlog_cloudevent_free(struct evlog_cloudevent *event);

/* What an event says of itself: binary mode (ce_ headers), structured mode (content-type application/cloudevents+json,
 * envelope in the value), or neither. Slices point into the event, or into the view where an escape had to be undone.
 * */
struct evlog_event_view {
    size_t size;             /* sizeof(struct evlog_event_view), set by the caller */
    struct evlog_bytes type; /* null when absent */
    struct evlog_bytes id;   /* null when absent */
    struct evlog_bytes data; /* the event's data: the value, or the envelope's data; null for a tombstone */
    void *owned;             /* freed by evlog_event_view_free() */
};

/* Look at an event.
 *
 * view     size set by the caller; freed with evlog_event_view_free() after success
 * returns  0 | EVLOG_ERR_NO_MEMORY. A value that claims to be structured and is not counts as neither mode
 */
int evlog_event_view(const struct evlog_event *event, struct evlog_event_view *view);
void evlog_event_view_free(struct evlog_event_view *view);

#ifdef __cplusplus
}
#endif
#endif
