/* SPDX-License-Identifier: Apache-2.0
 *
 * Replay: fetches the events and drives the fold (replay_fold.c), which knows nothing of brokers.
 *
 * 1. replay_plan.c decides how far each partition is read, and where the replay begins.
 * 2. All partitions are read in the order of append times, so that a key that lies in two partitions folds in log
 *    order. Without append times: one partition behind the other.
 * 3. Every event inside the times goes into the fold; one outside of them only raises its stream's version.
 * 4. One key of a topic with streams is read by the stream index instead, if that has the stream from its first event.
 *    With an archive (replay_archive.c) that comes first, and the index is not asked.
 * 5. With fold_latest the live keys are told at the end, by key; else every event when it is read.
 *
 * Runs on the caller's thread. Ends early with the code of a callback, or with a failure of reading.
 */
#include "fail.h"
#include "replay_state.h"

#include <core/alloc.h>
#include <evlog/admin.h>
#include <evlog/stream.h>

#define PROGRESS_EVENTS 512  /* between two calls of on_progress */
#define PROGRESS_WAIT_MS 200 /* and so often while nothing comes */

static struct el_slice slice(struct evlog_bytes bytes)
{
    return el_slice_of(bytes.data, bytes.len);
}

static struct evlog_bytes bytes(struct el_slice s)
{
    return (struct evlog_bytes){s.data, s.len};
}

/* --- headers of live events -------------------------------------------------------------------------------------- */

static void pack_bytes(struct el_buffer *out, struct evlog_bytes b)
{
    uint64_t len = b.data == NULL ? UINT64_MAX : b.len;
    el_buffer_append(out, &len, sizeof len);
    if (b.data != NULL) {
        el_buffer_append(out, b.data, b.len);
    }
}

/* One run of bytes for the fold: count, then length and bytes of each key and value. */
static int pack_headers(struct el_replay *replay, const struct evlog_event *event)
{
    struct el_buffer *out = &replay->packed;
    uint64_t count = event->header_count;
    el_buffer_reset(out);
    el_buffer_append(out, &count, sizeof count);
    for (size_t i = 0; i < event->header_count; i++) {
        pack_bytes(out, event->headers[i].key);
        pack_bytes(out, event->headers[i].value);
    }
    return out->err;
}

static const uint8_t *unpack_bytes(const uint8_t *p, struct evlog_bytes *b)
{
    uint64_t len;
    memcpy(&len, p, sizeof len);
    p += sizeof len;
    *b = (struct evlog_bytes){len == UINT64_MAX ? NULL : p, len == UINT64_MAX ? 0 : (size_t)len};
    return p + b->len;
}

static int unpack_headers(struct el_replay *replay, struct el_slice packed, struct evlog_event *event)
{
    uint64_t count;
    if (packed.len == 0) {
        return 0;
    }
    memcpy(&count, packed.data, sizeof count);
    if (count > replay->header_room) {
        struct evlog_header *grown = el_realloc(replay->headers, count * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        replay->headers = grown;
        replay->header_room = count;
    }
    const uint8_t *p = packed.data + sizeof count;
    for (uint64_t i = 0; i < count; i++) {
        p = unpack_bytes(p, &replay->headers[i].key);
        p = unpack_bytes(p, &replay->headers[i].value);
    }
    EL_ASSERT(p == packed.data + packed.len);
    event->headers = replay->headers;
    event->header_count = count;
    return 0;
}

/* --- events ----------------------------------------------------------------------------------------------------- */

static bool inside_times(const struct el_replay *replay, const struct evlog_event *event)
{
    const struct evlog_replay_options *options = replay->options;
    int64_t ns = event->append_time_ns;
    if (options->event_time) {
        bool fits = event->timestamp_ms > INT64_MIN / EL_NS_PER_MS && event->timestamp_ms < INT64_MAX / EL_NS_PER_MS;
        ns = fits ? event->timestamp_ms * EL_NS_PER_MS : event->timestamp_ms < 0 ? INT64_MIN + 1 : INT64_MAX;
    }
    if (options->from_ns != EVLOG_TIME_NONE && ns < options->from_ns) {
        return false;
    }
    return !replay->compare_until || ns <= options->until_ns;
}

/* Has the replay come to its beginning, and does this event belong to it? */
static bool behind_beginning(struct el_replay *replay, const struct evlog_event *event)
{
    if (replay->begun) {
        return true;
    }
    if (event->partition != replay->begin_partition || event->offset < replay->begin_offset) {
        return false;
    }
    replay->begun = true;
    return event->offset >= replay->skip_offset;
}

/* Number that the event has in its stream, without counting it. */
static bool before_version(const struct el_replay *replay, const struct evlog_event *event)
{
    const struct evlog_replay_options *options = replay->options;
    return options->from_version >= 0 &&
           el_fold_version(&replay->fold, slice(event->key)) < (uint64_t)options->from_version;
}

static int tell(const struct el_replay *replay, const struct evlog_event *event, const struct el_fold_event *folded,
                int64_t version)
{
    struct evlog_replay_event out = {
        .event = event,
        .version = replay->partial ? -1 : version,
        .type = bytes(folded->type),
        .id = bytes(folded->id),
        .data = bytes(folded->data),
        .removes = el_fold_removes(&replay->fold, folded),
    };
    return replay->options->on_event(replay->options->arg, &out);
}

static int take_event(struct el_replay *replay, const struct evlog_event *event)
{
    const struct evlog_replay_options *options = replay->options;
    bool counts = behind_beginning(replay, event); /* looks at every event */
    if (options->key.data != NULL && !el_slice_eq(slice(options->key), slice(event->key))) {
        return 0;
    }
    if (options->key.data != NULL && event->key.data == NULL) {
        return 0;
    }
    struct el_fold_event folded = {
        .key = slice(event->key),
        .value = slice(event->value),
        .partition = event->partition,
        .offset = event->offset,
        .timestamp_ms = event->timestamp_ms,
        .append_time_ns = event->append_time_ns,
    };
    if (!counts || !inside_times(replay, event) || before_version(replay, event)) {
        return el_fold_pass(&replay->fold, &folded);
    }
    if (options->with_headers && options->fold_latest) {
        if (pack_headers(replay, event) != 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
        folded.headers = el_buffer_slice(&replay->packed);
    }
    struct evlog_event_view view = {.size = sizeof view};
    int rc = evlog_event_view(event, &view);
    if (rc != 0) {
        return rc;
    }
    folded.type = slice(view.type);
    folded.id = slice(view.id);
    folded.data = slice(view.data);
    int64_t version;
    rc = el_fold_add(&replay->fold, &folded, &version);
    if (rc == 0 && !options->fold_latest && options->on_event != NULL) {
        rc = tell(replay, event, &folded, version);
    }
    evlog_event_view_free(&view);
    replay->done = options->count_max > 0 && replay->fold.event_count >= options->count_max;
    return rc;
}

static int progress(const struct el_replay *replay)
{
    const struct evlog_replay_options *options = replay->options;
    return options->on_progress == NULL ? 0
                                        : options->on_progress(options->arg, replay->read_count, replay->total_count);
}

/* An event that was read: into the fold, and now and then a word about it. */
static int take_next(struct el_replay *replay, const struct evlog_event *event, struct evlog_failure *failure)
{
    int rc = take_event(replay, event);
    if (rc == EVLOG_ERR_NO_MEMORY) {
        (void)el_fail(failure, rc, "no memory for the state of %zu keys", replay->fold.keyed.count);
    }
    return rc == 0 && ++replay->read_count % PROGRESS_EVENTS == 0 ? progress(replay) : rc;
}

static int read_archive(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_event *event;
    int rc = 0, got = 1;
    while (rc == 0 && !replay->done && (got = el_replay_archive_next(replay->archive, &event, failure)) == 1) {
        rc = take_next(replay, event, failure);
    }
    return rc != 0 ? rc : got < 0 ? got : 0;
}

static int read_all(struct el_replay *replay, struct evlog_failure *failure)
{
    int rc = progress(replay);
    if (rc == 0 && replay->archive != NULL) {
        rc = read_archive(replay, failure);
    }
    while (rc == 0 && !replay->done && replay->consumer != NULL && !evlog_consumer_at_end(replay->consumer)) {
        const struct evlog_event *event;
        rc = evlog_consumer_next(replay->consumer, PROGRESS_WAIT_MS, &event, failure);
        if (rc < 0) {
            return rc;
        }
        rc = rc == 0 ? progress(replay) : take_next(replay, event, failure);
    }
    return rc == 0 ? progress(replay) : rc;
}

/* --- by the stream index ------------------------------------------------------------------------------------------ */

static int read_indexed(struct el_replay *replay, struct evlog_stream *stream, const struct evlog_stream_event *row,
                        struct evlog_failure *failure)
{
    int got = 1, rc = 0;
    int64_t version = 0;
    while (rc == 0 && got == 1 && !replay->done) {
        const struct evlog_event *event = row->event;
        if (event->partition >= replay->partition_count || row->version != version) {
            return el_fail(failure, EVLOG_ERR_CONFLICT,
                           "the stream was deleted or shortened while it was read: run the replay again");
        }
        if (event->offset >= replay->end_offsets[event->partition]) {
            break;
        }
        rc = take_next(replay, event, failure);
        version++;
        got = rc == 0 ? evlog_stream_next(stream, &row, failure) : 0;
        rc = got < 0 ? got : rc;
    }
    return rc == 0 ? progress(replay) : rc;
}

/* Read the one stream by the topic's index. The index does not tell what a deletion or a limit has hidden, and the log
 * may still have it: then, and where there is no index, taken stays false and everything is read. */
static int read_stream(struct el_replay *replay, bool *taken, struct evlog_failure *failure)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream_state state = EVLOG_STREAM_STATE_INIT;
    struct evlog_stream *stream;
    const struct evlog_stream_event *row = NULL;
    options.topic = replay->options->topic;
    options.key = replay->options->key;
    int rc = evlog_stream_open(replay->client, &options, &stream, failure);
    if (rc != 0) {
        bool none = rc == EVLOG_ERR_POLICY || rc == EVLOG_ERR_UNSUPPORTED || rc == EVLOG_ERR_LIMIT ||
                    rc == EVLOG_ERR_ARGUMENT;
        return none ? 0 : rc;
    }
    evlog_stream_state(stream, &state);
    int got = state.deleted || state.ended ? 0 : evlog_stream_next(stream, &row, failure);
    bool whole = got == 1 ? row->version == 0 : state.last_version < 0;
    rc = got < 0 ? got : 0;
    if (rc == 0 && whole) {
        *taken = replay->indexed = true;
        replay->total_count = (uint64_t)(state.last_version + 1);
        rc = got == 1 ? read_indexed(replay, stream, row, failure) : 0;
    }
    evlog_stream_close(stream);
    return rc;
}

static int read_events(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    bool taken = false;
    int rc = 0;
    /* A position of another stream's event says nothing in the stream itself. */
    if (options->key.data != NULL && replay->begun && replay->archive == NULL) {
        rc = read_stream(replay, &taken, failure);
    }
    return rc != 0 || taken ? rc : read_all(replay, failure);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static int tell_live(struct el_replay *replay, uint64_t *live_count)
{
    size_t cursor = 0;
    struct el_fold_event folded;
    int64_t version;
    int rc = 0;
    while (rc == 0 && el_fold_live(&replay->fold, &cursor, &folded, &version)) {
        struct evlog_event event = {
            .topic = replay->options->topic,
            .partition = folded.partition,
            .leader_epoch = -1,
            .offset = folded.offset,
            .timestamp_ms = folded.timestamp_ms,
            .append_time_ns = folded.append_time_ns,
            .key = bytes(folded.key),
            .value = bytes(folded.value),
        };
        ++*live_count;
        rc = unpack_headers(replay, folded.headers, &event);
        if (rc == 0 && replay->options->on_event != NULL) {
            rc = tell(replay, &event, &folded, version);
        }
    }
    return rc;
}

static int finish(struct el_replay *replay, struct evlog_replay_summary *summary, struct evlog_failure *failure)
{
    struct evlog_replay_summary full = EVLOG_REPLAY_SUMMARY_INIT;
    int rc = el_fold_finish(&replay->fold, full.digest);
    if (rc != 0) {
        return el_fail(failure, rc, "no memory to sort %zu keys", replay->fold.keyed.count);
    }
    if (replay->options->fold_latest) {
        rc = tell_live(replay, &full.live_count);
    }
    full.size = summary->size;
    full.event_count = replay->fold.event_count;
    full.key_count = replay->fold.key_count;
    full.keyless_count = replay->fold.keyless_count;
    full.partial = replay->partial;
    full.indexed = replay->indexed;
    full.hole_count = replay->indexed || replay->done ? 0 : replay->total_count - replay->read_count;
    if (rc == 0) {
        memcpy(summary, &full, EL_MIN(summary->size, sizeof full));
    }
    return rc;
}

/* --- all of it -------------------------------------------------------------------------------------------------- */

/* The archive's topic is the broker's, not another one of its name. One that it does not know yet is the broker's
 * alone. */
static int open_archive(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    struct evlog_topic_info *info;
    int rc = el_replay_archive_open(options, &replay->archive, failure);
    if (rc != 0 || replay->consumer == NULL) {
        return rc != 0 ? rc : el_replay_archive_topic(replay->archive, options->topic, NULL, failure);
    }
    rc = evlog_topic_look(replay->client, options->topic, &info, failure);
    if (rc != 0) {
        return rc;
    }
    rc = el_replay_archive_topic(replay->archive, options->topic, info->id, NULL);
    evlog_topic_info_free(info);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC) {
        el_replay_archive_close(replay->archive);
        replay->archive = NULL;
        return 0;
    }
    return rc == 0 ? 0 : el_fail(failure, rc, "no memory to read topic %s", options->topic);
}

static int open_sources(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    struct evlog_consumer_options reading = EVLOG_CONSUMER_OPTIONS_INIT;
    int rc = 0;
    if (options->archive_only && options->archive_url == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no archive");
    }
    reading.topic = options->topic;
    reading.ordered = true;
    if (!options->archive_only) {
        rc = evlog_consumer_open(replay->client, &reading, &replay->consumer, failure);
    }
    return rc != 0 || options->archive_url == NULL ? rc : open_archive(replay, failure);
}

static int prepare(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    if (options->topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no topic");
    }
    if (options->from_version >= 0 && options->key.data == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a version is one of a stream: name its key");
    }
    int rc = open_sources(replay, failure);
    if (rc != 0) {
        return rc;
    }
    replay->partition_count = replay->consumer == NULL ? el_replay_archive_partition_count(replay->archive)
                                                       : evlog_consumer_partition_count(replay->consumer);
    replay->start_offsets = el_calloc(2 * (size_t)replay->partition_count, sizeof *replay->start_offsets);
    if (replay->start_offsets == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a replay");
    }
    replay->end_offsets = replay->start_offsets + replay->partition_count;
    return el_replay_plan(replay, failure);
}

int evlog_replay_run(struct evlog_client *client, const struct evlog_replay_options *given,
                     struct evlog_replay_summary *summary, struct evlog_failure *failure)
{
    struct evlog_replay_options full = EVLOG_REPLAY_OPTIONS_INIT;
    const struct evlog_replay_options *options = &full;
    if (!EL_OPTIONS_TAKE(&full, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    struct el_replay replay = {.client = client, .options = options};
    struct el_fold_options fold = {
        .keep_latest = options->fold_latest,
        .drop_types = options->drop_types,
        .drop_type_count = options->drop_type_count,
    };
    el_fold_init(&replay.fold, &fold);
    int rc = prepare(&replay, failure);
    if (rc == 0) {
        rc = read_events(&replay, failure);
    }
    if (rc == 0) {
        rc = finish(&replay, summary, failure);
    }
    evlog_consumer_close(replay.consumer);
    el_replay_archive_close(replay.archive);
    el_free(replay.start_offsets);
    el_free(replay.headers);
    el_buffer_free(&replay.packed);
    el_fold_destroy(&replay.fold);
    return rc;
}
