/* SPDX-License-Identifier: Apache-2.0
 *
 * A saga out of its stream: all records are read, since what would undo it is in each of them. Sagas are short; one of
 * thousands of steps is slow to load.
 *
 * The stream is the only truth about a saga. A record means the same to every reader:
 *
 *   step    what waits with its event's hash does not wait any more; state, undo and status are those of the record
 *   stuck   its event waits in front of all others, and the saga is stuck
 *   held    its event waits behind the others
 *   retry   the saga is not stuck any more; what waits is still to be handled
 *   cancel  a saga that runs is to be undone; nothing waits any more
 *
 * Records behind the end of a saga mean nothing.
 */
#include "fail.h"
#include "saga_state.h"
#include "stream_ask.h"

#include <core/alloc.h>
#include <evlog/stream.h>
#include <stdio.h>

/* --- the fold ----------------------------------------------------------------------------------------------------- */

static void stop_waiting(struct evlog_saga *saga, const char *hash)
{
    for (size_t i = 0; i < saga->wait_count; i++) {
        if (strcmp(saga->waiting[i].hash, hash) == 0) {
            saga->wait_count--;
            memmove(&saga->waiting[i], &saga->waiting[i + 1], (saga->wait_count - i) * sizeof *saga->waiting);
            return;
        }
    }
}

static int begin_waiting(struct evlog_saga *saga, const struct el_saga_note *note)
{
    if (note->hash[0] == '\0') {
        return EVLOG_ERR_MALFORMED;
    }
    for (size_t i = 0; i < saga->wait_count; i++) {
        if (strcmp(saga->waiting[i].hash, note->hash) == 0) {
            return 0; /* it is stuck at it once more */
        }
    }
    if (saga->wait_count == saga->wait_room) {
        size_t room = EL_MAX(2 * saga->wait_room, 4);
        struct el_saga_note *grown = el_arena_alloc(&saga->arena, room * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        if (saga->wait_count > 0) {
            memcpy(grown, saga->waiting, saga->wait_count * sizeof *grown);
        }
        saga->waiting = grown;
        saga->wait_room = room;
    }
    saga->waiting[saga->wait_count++] = *note;
    return 0;
}

static int apply_step(struct evlog_saga *saga, const struct el_saga_record *record)
{
    bool was_compensating = saga->status == EVLOG_SAGA_COMPENSATING;
    stop_waiting(saga, record->note.hash);
    if (record->has_state) {
        saga->state = record->state;
    }
    for (size_t i = 0; i < record->undo.count; i++) {
        int rc = el_saga_commands_add(&saga->arena, &saga->undo, &record->undo.items[i]);
        if (rc != 0) {
            return rc;
        }
    }
    if ((uint64_t)record->undone > saga->undo.count) {
        return EVLOG_ERR_MALFORMED;
    }
    saga->undo.count -= (size_t)record->undone;
    saga->until = record->until;
    saga->step_count++;
    saga->stuck = false;
    if (record->reason != NULL) {
        saga->reason = record->reason;
    } else if (!was_compensating) {
        saga->reason = ""; /* what it was stuck at is over */
    }
    if (record->status != EVLOG_SAGA_RUNNING) {
        saga->wait_count = 0;
    }
    if (!(was_compensating && record->status == EVLOG_SAGA_RUNNING)) {
        saga->status = record->status;
    }
    return 0;
}

static void apply_cancel(struct evlog_saga *saga, const struct el_saga_record *record)
{
    if (saga->status == EVLOG_SAGA_RUNNING) {
        saga->status = EVLOG_SAGA_COMPENSATING;
        saga->stuck = false;
        saga->wait_count = 0;
        saga->until = NULL;
        saga->reason = record->reason == NULL ? "cancelled" : record->reason;
    }
}

static int apply_record(struct evlog_saga *saga, struct evlog_bytes type, const struct el_saga_record *record)
{
    int rc = 0;
    if (saga->status == EVLOG_SAGA_COMPLETED || saga->status == EVLOG_SAGA_COMPENSATED) {
        return 0;
    }
    if (el_saga_bytes_are(type, EL_SAGA_STEP)) {
        rc = apply_step(saga, record);
    } else if (el_saga_bytes_are(type, EL_SAGA_CANCEL)) {
        apply_cancel(saga, record);
    } else if (saga->status == EVLOG_SAGA_COMPENSATING) {
        return 0; /* nothing waits any more */
    } else if (el_saga_bytes_are(type, EL_SAGA_STUCK)) {
        saga->stuck = true;
        saga->reason = record->reason == NULL ? "" : record->reason;
        rc = begin_waiting(saga, &record->note);
    } else if (el_saga_bytes_are(type, EL_SAGA_HELD)) {
        rc = begin_waiting(saga, &record->note);
    } else if (el_saga_bytes_are(type, EL_SAGA_RETRY)) {
        saga->stuck = false;
    }
    if (saga->status == EVLOG_SAGA_NEW) {
        saga->status = EVLOG_SAGA_RUNNING; /* stuck at its first event */
    }
    return rc;
}

int el_saga_apply(struct evlog_saga *saga, const struct evlog_stream_event *event)
{
    struct el_saga_record record;
    saga->version = event->version;
    int rc = el_saga_record_read(&saga->arena, event->data, &record);
    if (rc == 0) {
        saga->updated_ms = event->event->timestamp_ms;
        saga->correlation = saga->correlation.data == NULL ? record.correlation : saga->correlation;
        rc = apply_record(saga, event->type, &record);
    }
    return rc;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

int el_saga_topic(char *topic, const char *name, const char *suffix, struct evlog_failure *failure)
{
    size_t len = name == NULL ? 0 : strlen(name);
    bool good = len > 0 && len <= EVLOG_SAGA_NAME_MAX;
    for (size_t i = 0; good && i < len; i++) {
        char c = name[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    }
    if (!good) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "a kind of saga has a name of 1 to %d letters, digits, '.', '_', '-'", EVLOG_SAGA_NAME_MAX);
    }
    (void)snprintf(topic, EL_SAGA_TOPIC_ROOM, "%s%s", name, suffix);
    return 0;
}

struct evlog_saga *el_saga_new(struct evlog_bytes id)
{
    struct evlog_saga *saga = el_calloc(1, sizeof *saga);
    if (saga == NULL) {
        return NULL;
    }
    saga->id = id;
    saga->version = saga->updated_ms = -1;
    saga->reason = "";
    if (!el_saga_bytes_copy(&saga->arena, &saga->id)) {
        evlog_saga_close(saga);
        return NULL;
    }
    return saga;
}

/* Is this record one of the event with the hash? s-HASH, w-HASH, w-HASH-VERSION */
static bool is_of(const struct evlog_stream_event *event, const char *hash)
{
    const char *id = event->id.data;
    size_t len = strlen(hash);
    return id != NULL && event->id.len >= len + 2 && (id[0] == 's' || id[0] == 'w') && id[1] == '-' &&
           memcmp(id + 2, hash, len) == 0 && (event->id.len == len + 2 || id[len + 2] == '-');
}

static int fold_stream(struct evlog_saga *saga, const char *topic, const char *hash, struct evlog_stream *stream,
                       struct evlog_failure *failure)
{
    const struct evlog_stream_event *event;
    int rc = evlog_stream_next(stream, &event, failure);
    for (; rc == 1; rc = evlog_stream_next(stream, &event, failure)) {
        int bad = el_saga_apply(saga, event);
        if (bad != 0) {
            char what[EL_STREAM_WHAT_LEN];
            return el_fail(failure, bad, "%s: version %lld is no record of a saga",
                           el_stream_what(what, topic, saga->id), (long long)event->version);
        }
        saga->seen = saga->seen || (hash != NULL && is_of(event, hash));
    }
    return rc;
}

int el_saga_read(struct evlog_client *client, const char *topic, struct evlog_bytes id, const char *hash,
                 struct evlog_saga **out, struct evlog_failure *failure)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream_state now = EVLOG_STREAM_STATE_INIT;
    struct evlog_stream *stream;
    struct evlog_saga *saga = el_saga_new(id);
    if (saga == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a saga");
    }
    options.topic = topic;
    options.key = saga->id;
    int rc = evlog_stream_open(client, &options, &stream, failure);
    if (rc == 0) {
        evlog_stream_state(stream, &now);
        if (!now.deleted && !now.ended) {
            rc = fold_stream(saga, topic, hash, stream, failure);
        } else {
            /* Deleted: what was done is not known any more, and must not be done anew. */
            saga->status = EVLOG_SAGA_COMPLETED;
            saga->reason = "its stream was deleted";
        }
        saga->version = now.last_version;
        evlog_stream_close(stream);
    }
    if (rc != 0) {
        evlog_saga_close(saga);
        return rc;
    }
    *out = saga;
    return 0;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

int evlog_saga_load(struct evlog_client *client, const char *name, struct evlog_bytes id, struct evlog_saga **saga,
                    struct evlog_failure *failure)
{
    char topic[EL_SAGA_TOPIC_ROOM];
    int rc = el_saga_topic(topic, name, EVLOG_SAGA_TOPIC_SUFFIX, failure);
    rc = rc == 0 ? el_stream_check_name(topic, id, failure) : rc;
    rc = rc == 0 ? el_saga_read(client, topic, id, NULL, saga, failure) : rc;
    if (rc == 0 && (*saga)->version < 0) {
        char what[EL_STREAM_WHAT_LEN];
        evlog_saga_close(*saga);
        *saga = NULL;
        rc = el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no saga: %s has no event",
                     el_stream_what(what, topic, id));
        el_fail_hint(failure, "'evlog saga ls %s' lists them", name);
    }
    return rc;
}

void evlog_saga_info(const struct evlog_saga *saga, struct evlog_saga_info *info)
{
    struct evlog_saga_info full = {
        .size = info->size,
        .id = saga->id,
        .status = saga->stuck ? EVLOG_SAGA_STUCK : saga->status,
        .version = saga->version,
        .step_count = saga->step_count,
        .undo_count = (int64_t)saga->undo.count,
        .wait_count = (int64_t)saga->wait_count,
        .updated_ms = saga->updated_ms,
        .reason = saga->reason,
    };
    memcpy(info, &full, EL_MIN(info->size, sizeof full));
}

struct evlog_bytes evlog_saga_state(const struct evlog_saga *saga)
{
    return saga->state;
}

void evlog_saga_close(struct evlog_saga *saga)
{
    if (saga != NULL) {
        el_arena_reset(&saga->arena);
        el_free(saga);
    }
}
