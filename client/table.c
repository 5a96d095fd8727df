/* SPDX-License-Identifier: Apache-2.0
 *
 * A topic read as a table. Runs on the caller's thread.
 *
 * 1. The first refresh asks where the log begins and ends, and reads this part of all partitions in the order of append
 *    times, so that of a key in two partitions the newer event comes last. That is the snapshot.
 * 2. Then the partitions are read on without an end, each for itself, and partitions that the topic has got since are
 *    added at every refresh.
 * 3. Every event goes into the rows (table_rows.c).
 *
 * An event that does not fit stands where it was: the reader goes back in front of it.
 */
#include "consumer_state.h"
#include "fail.h"
#include "table_rows.h"

#include <core/alloc.h>
#include <evlog/admin.h>
#include <evlog/producer.h>
#include <evlog/table.h>
#include <limits.h>

#define POLL_EVENTS_MAX 10000 /* of one call */
#define TURN_MS 200           /* a log may end in what is no event: then nothing comes, and the end is reached */

struct evlog_table {
    struct evlog_client *client;
    struct evlog_table_options options;
    char *topic;
    struct evlog_consumer *consumer;
    struct el_table_rows rows;
    int64_t *targets; /* [partition_count] ends that a refresh reads up to */
    int32_t partition_count;
    bool begun;  /* the snapshot is being read */
    bool loaded; /* it is whole */
    uint64_t event_count, keyless_count;
};

int evlog_table_open(struct evlog_client *client, const struct evlog_table_options *given, struct evlog_table **table,
                     struct evlog_failure *failure)
{
    struct evlog_table_options options = EVLOG_TABLE_OPTIONS_INIT;
    struct evlog_consumer_options reading = EVLOG_CONSUMER_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&options, given) || options.topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no topic or were not initialised");
    }
    struct evlog_table *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a table");
    }
    fresh->client = client;
    fresh->options = options;
    fresh->topic = el_strdup(options.topic);
    fresh->options.topic = fresh->topic;
    el_table_rows_init(&fresh->rows, options.memory_max, options.with_headers);
    reading.topic = fresh->topic;
    reading.ordered = true;
    int rc = fresh->topic == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a table")
                                  : evlog_consumer_open(client, &reading, &fresh->consumer, failure);
    if (rc == 0) {
        fresh->partition_count = evlog_consumer_partition_count(fresh->consumer);
        fresh->targets = el_calloc((size_t)fresh->partition_count, sizeof *fresh->targets);
        rc = fresh->targets == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a table") : 0;
    }
    if (rc != 0) {
        evlog_table_close(fresh);
        return rc;
    }
    *table = fresh;
    return 0;
}

void evlog_table_close(struct evlog_table *table)
{
    if (table != NULL) {
        evlog_consumer_close(table->consumer);
        el_table_rows_free(&table->rows);
        el_free(table->targets);
        el_free(table->topic);
        el_free(table);
    }
}

/* --- where to read ------------------------------------------------------------------------------------------------ */

/* The snapshot: from where the log begins to where it ends now. */
static int begin(struct evlog_table *table, struct evlog_failure *failure)
{
    int32_t count = table->partition_count;
    int64_t *starts = el_calloc((size_t)count, sizeof *starts);
    if (starts == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a table");
    }
    int rc = evlog_offsets_at(table->client, table->topic, EVLOG_OFFSET_EARLIEST, starts, count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(table->client, table->topic, EVLOG_OFFSET_LATEST, table->targets, count, failure);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        rc = evlog_consumer_assign(table->consumer, i, starts[i], EL_MAX(starts[i], table->targets[i]), failure);
    }
    el_free(starts);
    table->begun = rc == 0;
    return rc;
}

/* From now on each partition is read without an end. What was read ahead of the snapshot's end was passed over. */
static void go_live(struct evlog_table *table)
{
    struct evlog_consumer *consumer = table->consumer;
    el_client_lock(table->client);
    consumer->ordered = false;
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        struct el_feed *feed = consumer->feeds[i];
        feed->end_offset = INT64_MAX;
        el_consumer_jump(consumer, feed, feed->position);
    }
    el_client_unlock(table->client);
    table->loaded = true;
}

/* Partitions that the topic has got since. */
static int grow(struct evlog_table *table, struct evlog_failure *failure)
{
    int32_t count;
    int rc = evlog_topic_partition_count(table->client, table->topic, &count, failure);
    if (rc != 0 || count <= table->partition_count) {
        return rc;
    }
    int64_t *targets = el_realloc(table->targets, (size_t)count * sizeof *targets);
    if (targets == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a table");
    }
    table->targets = targets;
    for (int32_t i = table->partition_count; i < count; i++) {
        targets[i] = 0;
        if (el_consumer_add(table->consumer, table->topic, i, 0) == NULL) {
            return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a table");
        }
        table->partition_count = table->consumer->partition_count = i + 1;
    }
    return 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static int told(struct evlog_table *table, struct el_table_change *change)
{
    const struct evlog_table_options *options = &table->options;
    bool wanted = options->on_change != NULL && (table->loaded || options->tell_snapshot) &&
                  (change->before != NULL || change->after != NULL);
    int rc = wanted ? options->on_change(options->arg, change->before, change->after) : 0;
    el_table_settle(change);
    return rc;
}

static int take(struct evlog_table *table, const struct evlog_event *event, struct evlog_failure *failure)
{
    struct el_table_change change = {.before = NULL};
    struct evlog_event kept = *event;
    if (event->key.data == NULL) {
        table->event_count++;
        table->keyless_count++;
        return 0;
    }
    kept.topic = table->topic;
    int rc = el_table_apply(&table->rows, &kept, &change);
    if (rc == 0) {
        table->event_count++;
        return told(table, &change);
    }
    (void)el_fail(failure, rc, "table %s has %zu rows in %llu bytes, and the event at %s[%d] offset %lld does not fit",
                  table->topic, table->rows.map.count, (unsigned long long)table->rows.memory_len, table->topic,
                  event->partition, (long long)event->offset);
    el_fail_hint(failure, rc == EVLOG_ERR_LIMIT ? "raise memory_max of the table" : "the machine has no more memory");
    struct el_feed *feed = el_consumer_find(table->consumer, table->topic, event->partition);
    el_client_lock(table->client);
    el_consumer_jump(table->consumer, feed, event->offset);
    el_client_unlock(table->client);
    return rc;
}

/* The next event, or none within the time. returns 1 | 0 | negative */
static int step(struct evlog_table *table, int64_t deadline_ns, struct evlog_failure *failure)
{
    const struct evlog_event *event;
    if (!table->loaded && evlog_consumer_at_end(table->consumer)) {
        go_live(table);
    }
    int64_t left_ms = deadline_ns == EL_NEVER_NS ? -1 : (deadline_ns - el_now_ns()) / EL_NS_PER_MS;
    int timeout_ms = left_ms < 0 ? (deadline_ns == EL_NEVER_NS ? -1 : 0) : (int)EL_MIN(left_ms, (int64_t)INT_MAX);
    int rc = evlog_consumer_next(table->consumer, timeout_ms, &event, failure);
    if (rc == EVLOG_ERR_OFFSET_RANGE) {
        el_fail_hint(failure, "events went before the table had read them: close it and open it anew");
    }
    if (rc != 1) {
        return rc;
    }
    rc = take(table, event, failure);
    return rc == 0 ? 1 : rc;
}

static bool reached(const struct evlog_table *table)
{
    for (int32_t i = 0; i < table->partition_count; i++) {
        if (evlog_consumer_position(table->consumer, i) < table->targets[i]) {
            return false;
        }
    }
    return true;
}

static int timed_out(const struct evlog_table *table, struct evlog_failure *failure)
{
    (void)el_fail(failure, EVLOG_ERR_TIMED_OUT, "table %s has not come so far in time", table->topic);
    el_fail_hint(failure, "calling again goes on");
    return EVLOG_ERR_TIMED_OUT;
}

/* Read until done() says so, or the time is over. */
static int read_until(struct evlog_table *table, int64_t deadline_ns,
                      bool (*done)(const struct evlog_table *table, int32_t partition, int64_t offset),
                      const struct evlog_receipt *place, struct evlog_failure *failure)
{
    int32_t partition = place == NULL ? -1 : place->partition;
    int64_t offset = place == NULL ? -1 : place->offset;
    while (!done(table, partition, offset)) {
        int64_t now_ns = el_now_ns(), turn_ns = now_ns + TURN_MS * EL_NS_PER_MS;
        int rc = step(table, EL_MIN(deadline_ns, turn_ns), failure);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && now_ns >= deadline_ns && !done(table, partition, offset)) {
            return timed_out(table, failure);
        }
    }
    return 0;
}

static bool is_refreshed(const struct evlog_table *table, int32_t partition, int64_t offset)
{
    (void)partition;
    (void)offset;
    return reached(table);
}

static bool has_event(const struct evlog_table *table, int32_t partition, int64_t offset)
{
    return evlog_consumer_position(table->consumer, partition) > offset;
}

int evlog_table_refresh(struct evlog_table *table, int timeout_ms, struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    int rc = 0;
    if (!table->begun) {
        rc = begin(table, failure);
    } else {
        rc = table->loaded ? grow(table, failure) : 0;
        if (rc == 0) {
            rc = evlog_offsets_at(table->client, table->topic, EVLOG_OFFSET_LATEST, table->targets,
                                  table->partition_count, failure);
        }
    }
    rc = rc == 0 ? read_until(table, deadline_ns, is_refreshed, NULL, failure) : rc;
    if (rc == 0 && !table->loaded) {
        go_live(table);
    }
    return rc;
}

int evlog_table_poll(struct evlog_table *table, int timeout_ms, struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    int rc = table->begun ? 0 : begin(table, failure), count = 0;
    if (rc == 0) {
        rc = step(table, deadline_ns, failure);
    }
    while (rc == 1 && ++count < POLL_EVENTS_MAX) {
        rc = step(table, 0, failure);
    }
    return rc < 0 ? rc : count;
}

int evlog_table_wait(struct evlog_table *table, int32_t partition, int64_t offset, int timeout_ms,
                     struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    int rc = table->begun ? 0 : begin(table, failure);
    if (rc == 0 && table->loaded && partition >= table->partition_count) {
        rc = grow(table, failure);
    }
    if (rc == 0 && (partition < 0 || partition >= table->partition_count)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "topic %s has partitions 0 to %d, not %d", table->topic,
                       table->partition_count - 1, partition);
    }
    const struct evlog_receipt place = {.partition = partition, .offset = offset};
    return rc == 0 ? read_until(table, deadline_ns, has_event, &place, failure) : rc;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

const struct evlog_event *evlog_table_get(const struct evlog_table *table, struct evlog_bytes key)
{
    return el_table_get(&table->rows, el_slice_of(key.data, key.len));
}

int evlog_table_next(struct evlog_table *table, struct evlog_bytes after, const struct evlog_event **row)
{
    return el_table_next(&table->rows, el_slice_of(after.data, after.len), row);
}

void evlog_table_state(const struct evlog_table *table, struct evlog_table_state *state)
{
    const struct evlog_table_state full = {
        .size = state->size,
        .row_count = table->rows.map.count,
        .memory_len = table->rows.memory_len,
        .event_count = table->event_count,
        .keyless_count = table->keyless_count,
        .partition_count = table->partition_count,
        .loaded = table->loaded,
    };
    memcpy(state, &full, EL_MIN(state->size, sizeof full));
}

int64_t evlog_table_position(const struct evlog_table *table, int32_t partition)
{
    bool known = table->begun && partition >= 0 && partition < table->partition_count;
    return known ? evlog_consumer_position(table->consumer, partition) : -1;
}
