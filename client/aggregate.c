/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading an aggregate: a snapshot, if one counts, and the events behind it.
 *
 * 1. Where a state is at hand, or comes from a snapshot, the stream is read from the last event that is in it, and not
 *    from the one behind: by its offset and id it proves that the stream is still the same one.
 * 2. Without that proof (the topic was made anew, the stream was deleted and has begun anew, retention has removed the
 *    event) the state is thrown away and made from the first event that there is.
 * 3. A deleted stream has the state of one without events.
 *
 * A failure of reading leaves the state as far as it was read; one of the fold throws it away, since nobody knows what
 * of the event it has taken in. Snapshots are put in passing: one that cannot be put is a line in the log.
 */
#include "aggregate_state.h"
#include "fail.h"
#include "stream_ask.h"

#include <core/alloc.h>

/* --- the state --------------------------------------------------------------------------------------------------- */

static void drop_state(struct evlog_aggregate *a)
{
    if (a->state != NULL) {
        a->fold.end(a->fold.arg, a->state);
        a->state = NULL;
    }
    a->applied = a->snapshot_version = -1;
    a->behind_count = 0;
    el_buffer_reset(&a->applied_id);
}

static int no_memory(struct evlog_failure *failure)
{
    return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a state");
}

static int begin_state(struct evlog_aggregate *a, struct evlog_failure *failure)
{
    drop_state(a);
    a->state = a->fold.begin(a->fold.arg);
    return a->state == NULL ? no_memory(failure) : 0;
}

/* Make the state from the newest snapshot; false: there is none that can be used. */
static bool restore_state(struct evlog_aggregate *a)
{
    const struct evlog_snapshot *snapshot;
    if (a->fold.restore == NULL ||
        el_snapshot_find(a->client, a->topic, el_aggregate_key(a), a->fold.schema, &snapshot, NULL) != 0) {
        return false; /* also when it could not be asked for: then reading the stream says why */
    }
    a->state = a->fold.restore(a->fold.arg, snapshot->state);
    if (a->state != NULL) {
        a->applied = a->snapshot_version = snapshot->version;
        a->applied_offset = snapshot->offset;
        el_buffer_reset(&a->applied_id);
        el_buffer_append(&a->applied_id, snapshot->event_id.data, snapshot->event_id.len);
        if (a->applied_id.err != 0) {
            drop_state(a);
        }
    }
    evlog_snapshot_free(snapshot);
    return a->state != NULL;
}

static int apply(struct evlog_aggregate *a, const struct evlog_stream_event *event, struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    el_buffer_reset(&a->applied_id);
    el_buffer_append(&a->applied_id, event->id.data, event->id.len);
    int rc = a->applied_id.err != 0 ? EVLOG_ERR_NO_MEMORY : a->fold.apply(a->fold.arg, a->state, event);
    if (rc != 0) {
        drop_state(a);
        (void)el_fail(failure, rc < 0 ? rc : EVLOG_ERR_FAILED, "%s: version %lld cannot be folded: code %d",
                      el_stream_what(what, a->topic, el_aggregate_key(a)), (long long)event->version, rc);
        return rc;
    }
    a->applied = event->version;
    a->applied_offset = event->event->offset;
    a->read_count++;
    a->behind_count++;
    return 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static bool is_proof(const struct evlog_aggregate *a, const struct evlog_stream_event *event)
{
    return event->version == a->applied && event->event->offset == a->applied_offset &&
           event->id.len == a->applied_id.len &&
           (event->id.len == 0 || memcmp(event->id.data, a->applied_id.data, event->id.len) == 0);
}

/* Read from where the state stands. *lost: the state is not of this stream. */
static int read_events(struct evlog_aggregate *a, struct evlog_stream *stream, bool *lost,
                       struct evlog_failure *failure)
{
    const struct evlog_stream_event *event;
    bool proven = a->applied < 0;
    int rc = evlog_stream_next(stream, &event, failure);
    for (; rc == 1; rc = evlog_stream_next(stream, &event, failure)) {
        if (!proven) {
            proven = is_proof(a, event);
            if (!proven) {
                break;
            }
            continue;
        }
        rc = apply(a, event, failure);
        if (rc != 0) {
            return rc;
        }
    }
    *lost = !proven && rc >= 0;
    return rc < 0 ? rc : 0;
}

static int read_stream(struct evlog_aggregate *a, bool *lost, struct evlog_failure *failure)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream_state now = EVLOG_STREAM_STATE_INIT;
    struct evlog_stream *stream;
    options.topic = a->topic;
    options.key = el_aggregate_key(a);
    options.from = a->applied;
    int rc = evlog_stream_open(a->client, &options, &stream, failure);
    if (rc != 0) {
        return rc;
    }
    evlog_stream_state(stream, &now);
    if (now.deleted || now.ended || now.last_version < 0) {
        rc = begin_state(a, failure);
    } else {
        rc = read_events(a, stream, lost, failure);
    }
    if (rc == 0 && !*lost) {
        a->version = now.last_version;
        a->deleted = now.deleted;
        a->ended = now.ended;
    }
    evlog_stream_close(stream);
    return rc;
}

static void snapshot_in_passing(struct evlog_aggregate *a)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    bool due = a->fold.save != NULL && a->fold.snapshot_every > 0 && a->behind_count >= a->fold.snapshot_every;
    if (due && evlog_aggregate_snapshot(a, &failure) != 0) {
        a->behind_count = 0; /* not with each call */
        el_client_lock(a->client);
        el_client_log(a->client, EVLOG_LOG_WARNING, "no snapshot: %s", failure.text);
        el_client_unlock(a->client);
    }
}

int evlog_aggregate_refresh(struct evlog_aggregate *a, struct evlog_failure *failure)
{
    EL_ASSERT(a != NULL && a->magic == EL_AGGREGATE_MAGIC);
    bool lost = false;
    int rc = a->state != NULL || restore_state(a) ? 0 : begin_state(a, failure);
    if (rc == 0) {
        rc = read_stream(a, &lost, failure);
    }
    if (rc == 0 && lost) {
        rc = begin_state(a, failure);
        rc = rc == 0 ? read_stream(a, &lost, failure) : rc;
    }
    if (rc == 0) {
        snapshot_in_passing(a);
    }
    return rc;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static int make(struct evlog_aggregate *a, const struct evlog_fold *fold, struct evlog_bytes key)
{
    a->magic = EL_AGGREGATE_MAGIC;
    a->fold = *fold;
    a->applied = a->snapshot_version = a->version = -1;
    a->topic = el_strdup(fold->topic);
    a->key = el_malloc(key.len + 1);
    a->key_len = key.len;
    if (a->topic == NULL || a->key == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    a->fold.topic = a->topic;
    memcpy(a->key, key.data, key.len);
    return 0;
}

int evlog_load(struct evlog_client *client, const struct evlog_fold *given, struct evlog_bytes key,
               struct evlog_aggregate **aggregate, struct evlog_failure *failure)
{
    struct evlog_fold fold = EVLOG_FOLD_INIT;
    if (!EL_OPTIONS_TAKE(&fold, given) || fold.begin == NULL || fold.apply == NULL || fold.end == NULL ||
        fold.snapshot_every < 0 || fold.schema < 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a fold needs begin, apply and end, and numbers from 0 on");
    }
    int rc = el_stream_check_name(fold.topic, key, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_aggregate *a = el_calloc(1, sizeof *a);
    if (a == NULL) {
        return no_memory(failure);
    }
    a->client = client;
    rc = make(a, &fold, key) == 0 ? evlog_aggregate_refresh(a, failure) : no_memory(failure);
    if (rc != 0) {
        evlog_aggregate_close(a);
        return rc;
    }
    *aggregate = a;
    return 0;
}

const void *evlog_aggregate_state(const struct evlog_aggregate *a)
{
    EL_ASSERT(a != NULL && a->magic == EL_AGGREGATE_MAGIC);
    return a->state;
}

struct evlog_bytes evlog_aggregate_key(const struct evlog_aggregate *a)
{
    EL_ASSERT(a != NULL && a->magic == EL_AGGREGATE_MAGIC);
    return el_aggregate_key(a);
}

void evlog_aggregate_info(const struct evlog_aggregate *a, struct evlog_aggregate_info *info)
{
    EL_ASSERT(a != NULL && a->magic == EL_AGGREGATE_MAGIC);
    struct evlog_aggregate_info full = {
        .size = info->size,
        .version = a->version,
        .deleted = a->deleted,
        .ended = a->ended,
        .snapshot_version = a->snapshot_version,
        .read_count = a->read_count,
    };
    memcpy(info, &full, EL_MIN(info->size, sizeof full));
}

void evlog_aggregate_close(struct evlog_aggregate *a)
{
    if (a != NULL) {
        EL_ASSERT(a->magic == EL_AGGREGATE_MAGIC);
        drop_state(a);
        el_buffer_free(&a->applied_id);
        el_free(a->topic);
        el_free(a->key);
        a->magic = 0;
        el_free(a);
    }
}
