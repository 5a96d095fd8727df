/* SPDX-License-Identifier: Apache-2.0
 *
 * Replay: fetches the events and drives the fold (replay_fold.c), which knows nothing of brokers.
 *
 * 1. plan() decides how far each partition is read: by a cut at the time asked for (append time, evlog), or up to the
 *    end of the log with times compared event by event (event time, or an append-time topic of another broker).
 * 2. All partitions are read in the order of append times, so that a key that lies in two partitions folds in log
 *    order. Without append times: one partition behind the other.
 * 3. Every event inside the times goes into the fold; one outside of them only raises its stream's version.
 * 4. With fold_latest the live keys are told at the end, by key; else every event when it is read.
 *
 * Runs on the caller's thread. Ends early with the code of a callback, or with a failure of reading.
 */
#include "consumer_state.h"
#include "fail.h"
#include "offsets.h"
#include "replay_fold.h"

#include <core/alloc.h>
#include <evlog/admin.h>
#include <evlog/replay.h>

#define PROGRESS_EVENTS 512  /* between two calls of on_progress */
#define PROGRESS_WAIT_MS 200 /* and so often while nothing comes */

struct replay {
    struct evlog_client *client;
    const struct evlog_replay_options *options;
    struct evlog_consumer *consumer;
    struct el_fold fold;
    int64_t *start_offsets; /* [partition_count] */
    int64_t *end_offsets;   /* [partition_count], behind start_offsets */
    int32_t partition_count;
    bool compare_until; /* until is compared event by event, not by a cut */
    bool partial;
    uint64_t read_count;
    uint64_t total_count;
};

static struct el_slice slice(struct evlog_bytes bytes)
{
    return el_slice_of(bytes.data, bytes.len);
}

static struct evlog_bytes bytes(struct el_slice s)
{
    return (struct evlog_bytes){s.data, s.len};
}

/* --- plan ------------------------------------------------------------------------------------------------------- */

static bool has_times(const struct evlog_replay_options *options)
{
    return options->until_ns != EVLOG_TIME_NONE || options->from_ns != EVLOG_TIME_NONE;
}

static bool stamps(const struct evlog_setting *settings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].key, "message.timestamp.type") == 0) {
            return settings[i].value != NULL && strcmp(settings[i].value, "LogAppendTime") == 0;
        }
    }
    return false;
}

/* Another broker knows append times only on topics that stamp them. */
static int check_append_times(struct replay *replay, struct evlog_failure *failure)
{
    struct evlog_topic_info *info;
    int rc = evlog_topic_describe(replay->client, replay->options->topic, &info, failure);
    if (rc != 0) {
        return rc;
    }
    bool stamped = stamps(info->settings, info->setting_count) || stamps(info->defaults, info->default_count);
    evlog_topic_info_free(info);
    if (stamped) {
        return 0;
    }
    (void)el_fail(failure, EVLOG_ERR_UNSUPPORTED,
                  "this broker keeps no append times for topic %s, so there is no state as of an append time",
                  replay->options->topic);
    el_fail_hint(failure, "use --event-time for the publishers' times, or a topic with "
                          "message.timestamp.type=LogAppendTime");
    return EVLOG_ERR_UNSUPPORTED;
}

static int plan_by_end(struct replay *replay, struct evlog_failure *failure)
{
    const char *topic = replay->options->topic;
    int rc = evlog_offsets_at(replay->client, topic, EVLOG_OFFSET_EARLIEST, replay->start_offsets,
                              replay->partition_count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(replay->client, topic, EVLOG_OFFSET_LATEST, replay->end_offsets, replay->partition_count,
                              failure);
    }
    replay->compare_until = replay->options->until_ns != EVLOG_TIME_NONE;
    return rc;
}

static int plan_by_cut(struct replay *replay, struct evlog_failure *failure)
{
    struct el_cut cut = {
        .time_ns = replay->options->until_ns == EVLOG_TIME_NONE ? 0 : replay->options->until_ns,
        .start_offsets = replay->start_offsets,
        .end_offsets = replay->end_offsets,
        .partition_count = replay->partition_count,
    };
    if (replay->options->until_ns != EVLOG_TIME_NONE && replay->options->until_ns <= 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "append times begin in 1970");
    }
    return el_cut_ask(replay->client, replay->options->topic, &cut, failure);
}

static int plan(struct replay *replay, struct evlog_failure *failure)
{
    bool by_cut = replay->consumer->has_append_times && !replay->options->event_time;
    int rc = 0;
    if (!by_cut && !replay->options->event_time && has_times(replay->options)) {
        rc = check_append_times(replay, failure);
    }
    if (rc == 0) {
        rc = by_cut ? plan_by_cut(replay, failure) : plan_by_end(replay, failure);
    }
    for (int32_t i = 0; rc == 0 && i < replay->partition_count; i++) {
        int64_t start = replay->start_offsets[i], end = EL_MAX(replay->end_offsets[i], start);
        replay->partial = replay->partial || start > 0;
        replay->total_count += (uint64_t)(end - start);
        rc = evlog_consumer_assign(replay->consumer, i, start, end, failure);
    }
    return rc;
}

/* --- events ----------------------------------------------------------------------------------------------------- */

static bool inside_times(const struct replay *replay, const struct evlog_event *event)
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

static int tell(const struct replay *replay, const struct evlog_event *event, const struct el_fold_event *folded,
                int64_t version)
{
    struct evlog_replay_event out = {
        .event = event,
        .version = replay->partial ? -1 : version,
        .type = bytes(folded->type),
        .id = bytes(folded->id),
        .data = bytes(folded->data),
    };
    return replay->options->on_event(replay->options->arg, &out);
}

static int take_event(struct replay *replay, const struct evlog_event *event)
{
    const struct evlog_replay_options *options = replay->options;
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
    if (!inside_times(replay, event)) {
        return el_fold_pass(&replay->fold, &folded);
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
    return rc;
}

static int progress(const struct replay *replay)
{
    const struct evlog_replay_options *options = replay->options;
    return options->on_progress == NULL ? 0
                                        : options->on_progress(options->arg, replay->read_count, replay->total_count);
}

static int read_all(struct replay *replay, struct evlog_failure *failure)
{
    int rc = progress(replay);
    while (rc == 0 && !evlog_consumer_at_end(replay->consumer)) {
        const struct evlog_event *event;
        rc = evlog_consumer_next(replay->consumer, PROGRESS_WAIT_MS, &event, failure);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            rc = progress(replay);
            continue;
        }
        rc = take_event(replay, event);
        if (rc == EVLOG_ERR_NO_MEMORY) {
            (void)el_fail(failure, rc, "no memory for the state of %zu keys", replay->fold.keyed.count);
        }
        if (rc == 0 && ++replay->read_count % PROGRESS_EVENTS == 0) {
            rc = progress(replay);
        }
    }
    return rc == 0 ? progress(replay) : rc;
}

static int tell_live(struct replay *replay, uint64_t *live_count)
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
        if (replay->options->on_event != NULL) {
            rc = tell(replay, &event, &folded, version);
        }
    }
    return rc;
}

static int finish(struct replay *replay, struct evlog_replay_summary *summary, struct evlog_failure *failure)
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
    if (rc == 0) {
        memcpy(summary, &full, EL_MIN(summary->size, sizeof full));
    }
    return rc;
}

/* --- all of it -------------------------------------------------------------------------------------------------- */

static int prepare(struct replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    if (options->topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no topic");
    }
    struct evlog_consumer_options reading = EVLOG_CONSUMER_OPTIONS_INIT;
    reading.topic = options->topic;
    reading.ordered = true;
    int rc = evlog_consumer_open(replay->client, &reading, &replay->consumer, failure);
    if (rc != 0) {
        return rc;
    }
    replay->partition_count = evlog_consumer_partition_count(replay->consumer);
    replay->start_offsets = el_calloc(2 * (size_t)replay->partition_count, sizeof *replay->start_offsets);
    if (replay->start_offsets == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a replay");
    }
    replay->end_offsets = replay->start_offsets + replay->partition_count;
    return plan(replay, failure);
}

int evlog_replay_run(struct evlog_client *client, const struct evlog_replay_options *given,
                     struct evlog_replay_summary *summary, struct evlog_failure *failure)
{
    struct evlog_replay_options full = EVLOG_REPLAY_OPTIONS_INIT;
    const struct evlog_replay_options *options = &full;
    if (!EL_OPTIONS_TAKE(&full, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    struct replay replay = {.client = client, .options = options};
    struct el_fold_options fold = {
        .keep_latest = options->fold_latest,
        .drop_types = options->drop_types,
        .drop_type_count = options->drop_type_count,
    };
    el_fold_init(&replay.fold, &fold);
    int rc = prepare(&replay, failure);
    if (rc == 0) {
        rc = read_all(&replay, failure);
    }
    if (rc == 0) {
        rc = finish(&replay, summary, failure);
    }
    evlog_consumer_close(replay.consumer);
    el_free(replay.start_offsets);
    el_fold_destroy(&replay.fold);
    return rc;
}
