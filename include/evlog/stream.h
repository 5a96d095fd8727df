/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: the events of one key of a topic with evlog.streams=true, numbered 0, 1, 2 ... in log order.
 *
 * An append may say which version the stream must have, so that two writers who decided on the same state cannot both
 * win, and every event has an id, so that an append that is repeated changes nothing:
 *
 *     struct evlog_new_event paid = {.type = "OrderPaid", .data = {"{}", 2}};
 *     struct evlog_append append = EVLOG_APPEND_INIT;
 *     append.topic = "orders";
 *     append.key = (struct evlog_bytes){"order-7", 7};
 *     append.expected = 3;
 *     append.events = &paid;
 *     append.event_count = 1;
 *     int rc = evlog_append(client, &append, &appended, &failure);
 *     if (rc == EVLOG_ERR_WRONG_VERSION) { ... appended.conflict.current_version ... }
 *
 * The rules are in docs/semantics.md, Streams. Only evlog has streams: other brokers give EVLOG_ERR_UNSUPPORTED.
 *
 * Thread safety: the functions that take a client may be called from any thread; a reader belongs to one thread at a
 * time and is closed before its client. Everything that takes a client or a reader blocks. Since 1.0.
 */
#ifndef EVLOG_STREAM_H
#define EVLOG_STREAM_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- appending --------------------------------------------------------------------------------------------------- */

/* What a stream must be for an append, besides the exact version of its last event, 0 or more. */
#define EVLOG_EXPECT_NONE (-1)   /* no event yet, or deleted so that it can begin anew */
#define EVLOG_EXPECT_ANY (-2)    /* whatever it is */
#define EVLOG_EXPECT_EXISTS (-4) /* at least one event, and not deleted */

#define EVLOG_POSITION_MAX 96 /* bytes of a position, the NUL counted */
#define EVLOG_TYPE_MAX 128    /* bytes of a type in a conflict, the NUL counted; longer ones are cut */
#define EVLOG_ID_MAX 37       /* bytes of an id that evlog_event_id_make() makes, the NUL counted */
#define EVLOG_STREAM_KEY_MAX 4096
#define EVLOG_APPEND_EVENTS_MAX 10000 /* in one append, of all its streams; checks the same */

/* An event to append. All zero but the data is a good one. */
struct evlog_new_event {
    const char *id;                     /* ce_id; NULL: the library makes one, the same for every try of this append */
    const char *type;                   /* ce_type; NULL: none */
    const char *source;                 /* ce_source; NULL: one that names the topic */
    const char *content_type;           /* of the data, such as "application/json"; NULL: none */
    int64_t timestamp_ms;               /* event time since 1970; 0: now */
    struct evlog_bytes data;            /* null: none */
    const struct evlog_header *headers; /* [header_count] more of them, none of CloudEvents' or evlog's own */
    size_t header_count;
};

/* A condition on a stream. */
struct evlog_stream_check {
    struct evlog_bytes key;
    int64_t expected; /* version of its last event, or EVLOG_EXPECT_ */
};

/* Events for one stream. */
struct evlog_append {
    size_t size; /* sizeof(struct evlog_append) */
    const char *topic;
    struct evlog_bytes key;
    int64_t expected;                     /* version of its last event, or EVLOG_EXPECT_ */
    const struct evlog_new_event *events; /* [event_count] all of them, or none, are appended */
    size_t event_count;
    const struct evlog_stream_check *checks; /* [check_count] conditions on other streams of the same partition */
    size_t check_count;
};
#define EVLOG_APPEND_INIT                                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct evlog_append), .expected = EVLOG_EXPECT_ANY                                              \
    }

/* Why an append was refused: what a stream is at. */
struct evlog_conflict {
    struct evlog_bytes key;            /* as the caller gave it */
    int64_t expected;                  /* what was asked for */
    int64_t current_version;           /* of its last event, -1: it has none */
    char current_type[EVLOG_TYPE_MAX]; /* type of that event, empty: none */
    int64_t current_time_ms;           /* its time, -1: none */
    bool deleted;                      /* the last event is a deletion, or the stream has ended for good */
};

/* Where the events of one stream are. */
struct evlog_appended {
    size_t size; /* sizeof(struct evlog_appended), set by the caller where the caller owns it */
    int32_t partition;
    int64_t first_version, first_offset; /* of the first event */
    int64_t version, offset;             /* of the last one; the stream's version is this one now */
    bool duplicate;                      /* all events were there already, by their ids: these are their places */
    char position[EVLOG_POSITION_MAX];   /* printable: what it names is reached once a reader has got so far */
    struct evlog_conflict conflict;      /* EVLOG_ERR_WRONG_VERSION, EVLOG_ERR_STREAM_ENDED: the first one */
};
#define EVLOG_APPENDED_INIT                                                                                            \
    {                                                                                                                  \
        .size = sizeof(struct evlog_appended)                                                                          \
    }

/* Append events to one stream and wait until they are stored. A try whose answer is lost is repeated with the same ids,
 * so that nothing is stored twice, until delivery.timeout.ms is over.
 *
 * append    borrowed for the call
 * appended  NULL, or written on success, and its conflict when a version or an ended stream is the reason for refusing
 * returns   0 | EVLOG_ERR_WRONG_VERSION a stream is not at the expected version | EVLOG_ERR_ID_CONFLICT some of the ids
 *           are in the stream and some are not, or one stands twice in the append | EVLOG_ERR_STREAM_ENDED the stream
 *           was deleted for good | EVLOG_ERR_ARGUMENT, EVLOG_ERR_LIMIT, EVLOG_ERR_TOO_LARGE caller |
 *           EVLOG_ERR_POLICY the topic has no streams | EVLOG_ERR_UNSUPPORTED the broker has none |
 *           EVLOG_ERR_UNKNOWN_TOPIC |
 *           EVLOG_ERR_UNREACHABLE not sent | EVLOG_ERR_IN_DOUBT sent, and no answer in time: append again with the same
 *           ids
 */
int evlog_append(struct evlog_client *client, const struct evlog_append *append, struct evlog_appended *appended,
                 struct evlog_failure *failure);

/* Events for one of several streams. */
struct evlog_stream_events {
    struct evlog_bytes key;
    int64_t expected;                     /* version of its last event, or EVLOG_EXPECT_ */
    const struct evlog_new_event *events; /* [event_count] */
    size_t event_count;
};

/* Events for several streams of one partition: all of them, or none, are appended. */
struct evlog_append_all {
    size_t size; /* sizeof(struct evlog_append_all) */
    const char *topic;
    const struct evlog_stream_events *streams; /* [stream_count]; a key may come again: what is before it counts then */
    size_t stream_count;
    const struct evlog_stream_check *checks; /* [check_count] */
    size_t check_count;
};
#define EVLOG_APPEND_ALL_INIT                                                                                          \
    {                                                                                                                  \
        .size = sizeof(struct evlog_append_all)                                                                        \
    }

/* Where the events of one of them are. */
struct evlog_append_place {
    int32_t partition;
    int64_t first_version, first_offset; /* of the first event */
    int64_t version, offset;             /* of the last one */
    bool duplicate;                      /* they were there already */
};

/* What came of it. */
struct evlog_append_outcome {
    const char *position; /* as in struct evlog_appended; empty after a conflict */
    const struct evlog_append_place
        *places; /* [place_count] of the streams in the order given; none after a conflict */
    size_t place_count;
    const struct evlog_conflict *conflicts; /* [conflict_count] all streams that were not as expected */
    size_t conflict_count;
};

/* Append to several streams at once. As evlog_append().
 *
 * outcome  written on success and when conflicts are the reason for refusing, else NULL; free with
 *          evlog_append_outcome_free()
 * returns  as evlog_append() | EVLOG_ERR_ARGUMENT the streams lie in different partitions, which the text names
 */
int evlog_append_all(struct evlog_client *client, const struct evlog_append_all *append,
                     struct evlog_append_outcome **outcome, struct evlog_failure *failure);
void evlog_append_outcome_free(struct evlog_append_outcome *outcome);

/* Has an event with this id been appended to the stream? Asks by an append that no stream can be as expected for, and
 * so needs the right to append.
 *
 * appended  NULL, or written on success: where the event is
 * returns   0 | EVLOG_ERR_NOT_FOUND | as evlog_append()
 */
int evlog_event_find(struct evlog_client *client, const char *topic, struct evlog_bytes key, const char *id,
                     struct evlog_appended *appended, struct evlog_failure *failure);

/* Make an id that nobody else has (a UUID of version 7, as text), for appends that may have to be repeated after the
 * program was restarted: keep the id before appending. Does not block. */
void evlog_event_id_make(char id[EVLOG_ID_MAX]);

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* An event of a stream, or one of a type. The library makes it; fields are only ever added at the end. */
struct evlog_stream_event {
    const struct evlog_event *event;
    int64_t version;         /* in its stream; of a type: -1 */
    struct evlog_bytes type; /* null: none */
    struct evlog_bytes id;   /* null: none */
    struct evlog_bytes data; /* the value, or the data inside a structured CloudEvents envelope */
};

struct evlog_stream;

struct evlog_stream_options {
    size_t size; /* sizeof(struct evlog_stream_options) */
    const char *topic;
    struct evlog_bytes key;
    int64_t from;     /* first version, -1: the first one there is, backward the last one */
    int64_t to;       /* last version, included; -1: all */
    bool backward;    /* the newest first: from >= to */
    int64_t as_of_ns; /* as the stream stood at this append time, ns since 1970; 0: now */
};
#define EVLOG_STREAM_OPTIONS_INIT                                                                                      \
    {                                                                                                                  \
        .size = sizeof(struct evlog_stream_options), .from = -1, .to = -1                                              \
    }

/* Begin to read a stream: asks for its first events.
 *
 * stream   written on success; close with evlog_stream_close()
 * returns  0, also when there is no such stream (evlog_stream_state() says so) | EVLOG_ERR_ARGUMENT |
 *          EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_POLICY the topic has no streams | EVLOG_ERR_UNSUPPORTED the broker has
 *          none | EVLOG_ERR_UNREACHABLE
 */
int evlog_stream_open(struct evlog_client *client, const struct evlog_stream_options *options,
                      struct evlog_stream **stream, struct evlog_failure *failure);

/* The next event, up to the version that the stream had when it was opened.
 *
 * event    valid until the next call for this reader
 * returns  1 an event | 0 the end | EVLOG_ERR_UNREACHABLE and the like; asking again goes on where it stopped
 */
int evlog_stream_next(struct evlog_stream *stream, const struct evlog_stream_event **event,
                      struct evlog_failure *failure);

/* What the stream is, when it was asked for last. */
struct evlog_stream_state {
    size_t size;          /* sizeof(struct evlog_stream_state), set by the caller */
    int64_t last_version; /* of its last event, deletions counted; -1: there is no such stream */
    bool deleted;         /* the last event is a deletion: the next one begins it anew */
    bool ended;           /* deleted for good */
};
#define EVLOG_STREAM_STATE_INIT                                                                                        \
    {                                                                                                                  \
        .size = sizeof(struct evlog_stream_state), .last_version = -1                                                  \
    }
void evlog_stream_state(const struct evlog_stream *stream, struct evlog_stream_state *state);

void evlog_stream_close(struct evlog_stream *stream); /* NULL is allowed */

/* --- all events of a type ---------------------------------------------------------------------------------------- */

struct evlog_type_reader;

struct evlog_type_options {
    size_t size; /* sizeof(struct evlog_type_options) */
    const char *topic;
    const char *type;
    int32_t partition;   /* -1: all, one behind the other */
    int64_t from_offset; /* first offset wanted of each partition, -1: the first one there is, backward the last */
    bool backward;       /* the newest first */
};
#define EVLOG_TYPE_OPTIONS_INIT                                                                                        \
    {                                                                                                                  \
        .size = sizeof(struct evlog_type_options), .partition = -1, .from_offset = -1                                  \
    }

/* Read the events of a type without reading the others. returns as evlog_stream_open() */
int evlog_type_open(struct evlog_client *client, const struct evlog_type_options *options,
                    struct evlog_type_reader **reader, struct evlog_failure *failure);
/* As evlog_stream_next(); the end is where the log ended when it was reached. */
int evlog_type_next(struct evlog_type_reader *reader, const struct evlog_stream_event **event,
                    struct evlog_failure *failure);
void evlog_type_close(struct evlog_type_reader *reader); /* NULL is allowed */

/* --- listing, deleting ------------------------------------------------------------------------------------------- */

struct evlog_stream_name {
    struct evlog_bytes key;
    int32_t partition;
    int64_t last_version;
    bool deleted, ended;
};

struct evlog_stream_lister;

struct evlog_stream_list_options {
    size_t size; /* sizeof(struct evlog_stream_list_options) */
    const char *topic;
    struct evlog_bytes prefix; /* of the keys; null: all */
    struct evlog_bytes after;  /* only keys above it; null: from the first */
    bool with_deleted;
};
#define EVLOG_STREAM_LIST_OPTIONS_INIT                                                                                 \
    {                                                                                                                  \
        .size = sizeof(struct evlog_stream_list_options)                                                               \
    }

/* List the streams of a topic by key, in byte order, over all partitions. returns as evlog_stream_open() */
int evlog_stream_list_open(struct evlog_client *client, const struct evlog_stream_list_options *options,
                           struct evlog_stream_lister **lister, struct evlog_failure *failure);
/* As evlog_stream_next(); name is valid until the next call. */
int evlog_stream_list_next(struct evlog_stream_lister *lister, const struct evlog_stream_name **name,
                           struct evlog_failure *failure);
void evlog_stream_list_close(struct evlog_stream_lister *lister); /* NULL is allowed */

/* Delete a stream: its events are not read as a stream any more; the log keeps them until retention removes them.
 *
 * hard      for good: nothing is ever appended to it again. Else a later append begins it anew, and goes on numbering
 * expected  version of its last event, or EVLOG_EXPECT_
 * appended  NULL, or as in evlog_append(): where the deletion is; a duplicate when the stream was deleted already
 * returns   as evlog_append() | EVLOG_ERR_NOT_FOUND there is no such stream
 */
struct evlog_stream_delete {
    size_t size; /* sizeof(struct evlog_stream_delete) */
    const char *topic;
    struct evlog_bytes key;
    int64_t expected;
    bool hard;
};
#define EVLOG_STREAM_DELETE_INIT                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct evlog_stream_delete), .expected = EVLOG_EXPECT_EXISTS                                    \
    }
int evlog_stream_delete(struct evlog_client *client, const struct evlog_stream_delete *options,
                        struct evlog_appended *appended, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
