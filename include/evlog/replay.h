/* SPDX-License-Identifier: Apache-2.0
 *
 * Replay: the events of a topic, or the state that they add up to, as they stood at a point in time, closed by a digest
 * that two people can compare.
 *
 * Thread safety: evlog_replay_run() blocks and may be called from any thread; callbacks run inside it, on that thread.
 * Memory: one entry per key (key, 40 bytes of digest state), and with fold_latest the last event of each live key.
 * Since 1.0.
 */
#ifndef EVLOG_REPLAY_H
#define EVLOG_REPLAY_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVLOG_TIME_NONE INT64_MIN

/* One event of a replay, or the last event of a live key. Valid during the callback. */
struct evlog_replay_event {
    const struct evlog_event *event;
    int64_t version;         /* 0-based number in its stream; -1 without a key, or when the log starts above 0 */
    struct evlog_bytes type; /* null when the event names none */
    struct evlog_bytes id;   /* null when the event names none */
    struct evlog_bytes data; /* the value, or the data inside a structured CloudEvents envelope */
    bool removes;            /* it removes its key from the state: no value, or one of drop_types */
};

/* Takes one event; anything but 0 ends the replay with that code. */
typedef int (*evlog_replay_fn)(void *arg, const struct evlog_replay_event *event);
/* Told now and then how far the replay is; anything but 0 ends it with that code. */
typedef int (*evlog_replay_progress_fn)(void *arg, uint64_t read_count, uint64_t total_count);

struct evlog_replay_options {
    size_t size; /* sizeof(struct evlog_replay_options) */
    const char *topic;
    struct evlog_bytes key;        /* this stream only; null: all */
    int64_t until_ns;              /* last point in time, inclusive; EVLOG_TIME_NONE: the end of the log */
    int64_t from_ns;               /* first point in time, inclusive; EVLOG_TIME_NONE: the start */
    bool event_time;               /* times are the publishers', compared in ms; else append times, exact by a cut */
    bool fold_latest;              /* one event per live key, by key in byte order, at the end; else every event */
    const char *const *drop_types; /* [drop_type_count] globs (* ? [a-z]): with fold_latest such an event removes its
                                     * key, as a null value does */
    size_t drop_type_count;
    evlog_replay_fn on_event; /* NULL: only the digest is wanted */
    evlog_replay_progress_fn on_progress;
    void *arg; /* of both callbacks */
    /* A position: leave out what the replay's order has up to this event. The word that an append printed, or that
     * evlog_replay_position() makes, means behind the event; TOPIC/PARTITION/OFFSET begins with it. NULL: the start */
    const char *from_position;
    int64_t from_version; /* of the one stream that key names: its first version, -1: all */
    uint64_t count_max;   /* end behind so many events that count, in the replay's order; 0: all */
    bool with_headers;    /* with fold_latest: the events told have their headers. Costs memory for each live key */
    /* Read an archive ("s3://BUCKET/PREFIX", "file:///DIR"), as far as it is complete, and behind that the broker;
     * every batch is compared with what the archive's root says of it. NULL: the broker alone */
    const char *archive_url;
    struct evlog_bytes archive_keys; /* PEM of public keys, one of which must have signed it; null: nobody is asked */
    bool archive_only;               /* no broker: all that the archive's newest root covers. client may be NULL */
    const char *archive_incarnation; /* 32 hex digits; NULL: the one that continues the others */
    uint64_t archive_root;           /* take as the newest root that of this sequence: the history as that one has it,
                                      * though objects were replaced since; 0: the newest */
};
#define EVLOG_REPLAY_OPTIONS_INIT                                                                                      \
    {                                                                                                                  \
        .size = sizeof(struct evlog_replay_options), .until_ns = EVLOG_TIME_NONE, .from_ns = EVLOG_TIME_NONE,          \
        .from_version = -1                                                                                             \
    }

struct evlog_replay_summary {
    size_t size;            /* sizeof(struct evlog_replay_summary), set by the caller */
    uint8_t digest[32];     /* SHA-256 over all streams; see docs/semantics.md */
    uint64_t event_count;   /* events in the digest */
    uint64_t key_count;     /* streams in the digest, dropped ones included */
    uint64_t live_count;    /* keys that the fold gave, 0 without fold_latest */
    uint64_t keyless_count; /* events without a key: in the digest, never in the fold */
    bool partial;           /* the log starts above 0 in some partition: history is missing */
    uint64_t hole_count;    /* offsets of the part that was read without an event: compacted away, or no events (marks
                             * of transactions). 0 when the stream index was used */
    bool indexed;           /* the one stream was read by the topic's stream index */
};
#define EVLOG_REPLAY_SUMMARY_INIT                                                                                      \
    {                                                                                                                  \
        .size = sizeof(struct evlog_replay_summary)                                                                    \
    }

/* Replay. Blocks. One key of a topic with streams is found by the stream index, without reading the others.
 *
 * summary  written on success
 * returns  0 | EVLOG_ERR_UNSUPPORTED append times are not to be had here: use event_time | EVLOG_ERR_ARGUMENT a cut in
 *          the future, or of an archive alone one through which it is not complete, a position behind the end or of
 *          another topic | EVLOG_ERR_MALFORMED no position | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_CORRUPT the archive is
 *          not what its root says | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY | a callback's code
 */
int evlog_replay_run(struct evlog_client *client, const struct evlog_replay_options *options,
                     struct evlog_replay_summary *summary, struct evlog_failure *failure);

#define EVLOG_REPLAY_POSITION_MAX 96 /* bytes of a position, the NUL counted */
/* The position of an event, for from_position: a replay that goes on behind it. Does not block; any thread.
 *
 * topic_id  of the event's topic (evlog_topic_look)
 * position  [EVLOG_REPLAY_POSITION_MAX], NUL-terminated
 */
void evlog_replay_position(const uint8_t topic_id[16], int32_t partition, int64_t offset,
                           char position[EVLOG_REPLAY_POSITION_MAX]);

#ifdef __cplusplus
}
#endif
#endif
