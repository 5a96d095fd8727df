/* SPDX-License-Identifier: Apache-2.0
 *
 * A compacted topic as a table: the last event of each key, kept in memory, first as a snapshot and then as it changes.
 *
 *     struct evlog_table_options options = EVLOG_TABLE_OPTIONS_INIT;
 *     options.topic = "prices";
 *     rc = evlog_table_open(client, &options, &table, &failure);
 *     rc = rc != 0 ? rc : evlog_table_refresh(table, -1, &failure);
 *     row = evlog_table_get(table, (struct evlog_bytes){"apple", 5});
 *
 * 1. evlog_table_refresh() reads up to where the log ends when it is called: what was stored before is seen after.
 * 2. evlog_table_poll() takes in what comes, and waits for it.
 * 3. get and next look at what has been read, and never block.
 *
 * Any topic with keys can be read so; a compacted one stays short. An event without a value removes its key. Against
 * evlog a key that lies in two partitions, since the topic has grown, has its newer value. A reader that was away for
 * longer than delete.retention.ms may have missed removals: open a table anew then.
 *
 * Thread safety: one thread at a time per table; callbacks run inside refresh, poll and wait, on that thread.
 * Memory: every row with its key, within memory_max. Since 1.0.
 */
#ifndef EVLOG_TABLE_H
#define EVLOG_TABLE_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_table;

/* A key has changed. Valid during the callback; it must not call refresh, poll, wait or close.
 *
 * before   NULL: the key is new
 * after    NULL: it was removed
 * returns  anything but 0 ends the call with that code; the change has been made
 */
typedef int (*evlog_table_fn)(void *arg, const struct evlog_event *before, const struct evlog_event *after);

struct evlog_table_options {
    size_t size; /* sizeof(struct evlog_table_options) */
    const char *topic;
    uint64_t memory_max;      /* bytes of rows and keys, what keeps them together counted; 0: no bound */
    bool with_headers;        /* rows have their headers */
    bool tell_snapshot;       /* on_change is told of the rows of the first refresh too */
    evlog_table_fn on_change; /* or NULL */
    void *arg;                /* of on_change */
};
#define EVLOG_TABLE_OPTIONS_INIT                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct evlog_table_options), .memory_max = (uint64_t)256 << 20                                  \
    }

/* Make a table that is empty yet. Blocks until the topic is known.
 *
 * table    written on success; close with evlog_table_close() before the client
 * returns  0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_ARGUMENT
 */
int evlog_table_open(struct evlog_client *client, const struct evlog_table_options *options, struct evlog_table **table,
                     struct evlog_failure *failure);

/* Read up to the end that the log has now. Blocks.
 *
 * timeout_ms  -1: as long as it takes
 * returns     0 | EVLOG_ERR_TIMED_OUT not there yet: what was read is kept, and calling again goes on |
 *             EVLOG_ERR_LIMIT the rows need more than memory_max: the table is as it was before the event that did not
 *             fit, and calling again tries that one again | EVLOG_ERR_OFFSET_RANGE events that the table had not read
 *             are gone from the log: close it and open it anew | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY | what
 *             on_change returned
 */
int evlog_table_refresh(struct evlog_table *table, int timeout_ms, struct evlog_failure *failure);
/* Take in what has come; wait for the first event for at most timeout_ms (-1: for ever). Blocks.
 *
 * returns  events taken in, 0 or more | as evlog_table_refresh(), but for EVLOG_ERR_TIMED_OUT
 */
int evlog_table_poll(struct evlog_table *table, int timeout_ms, struct evlog_failure *failure);
/* Wait until an event is in the table: read your own writes, with the place that a receipt names. Blocks.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT no such partition | as evlog_table_refresh()
 */
int evlog_table_wait(struct evlog_table *table, int32_t partition, int64_t offset, int timeout_ms,
                     struct evlog_failure *failure);

/* The row of a key: the last event of it, NULL when there is none. Valid until the next refresh, poll, wait or close.
 * Its headers are there when with_headers was set. Does not block. */
const struct evlog_event *evlog_table_get(const struct evlog_table *table, struct evlog_bytes key);
/* The row with the lowest key above a key, in byte order. Does not block; sorts the keys when some were added or
 * removed since the last call.
 *
 * after    null: the lowest key of all
 * row      valid as that of evlog_table_get()
 * returns  1 | 0 there is none | EVLOG_ERR_NO_MEMORY
 */
int evlog_table_next(struct evlog_table *table, struct evlog_bytes after, const struct evlog_event **row);

/* What is in it. */
struct evlog_table_state {
    size_t size; /* sizeof(struct evlog_table_state), set by the caller */
    uint64_t row_count;
    uint64_t memory_len;    /* bytes of what memory_max bounds */
    uint64_t event_count;   /* events taken in */
    uint64_t keyless_count; /* of those, without a key: they are no rows */
    int32_t partition_count;
    bool loaded; /* the snapshot is whole: the first refresh has come to its end */
};
#define EVLOG_TABLE_STATE_INIT                                                                                         \
    {                                                                                                                  \
        .size = sizeof(struct evlog_table_state)                                                                       \
    }
void evlog_table_state(const struct evlog_table *table, struct evlog_table_state *state);
/* How far a partition has been read: the offset behind the last event taken in; -1: no such partition. */
int64_t evlog_table_position(const struct evlog_table *table, int32_t partition);

/* Close; NULL is allowed. */
void evlog_table_close(struct evlog_table *table);

#ifdef __cplusplus
}
#endif
#endif
