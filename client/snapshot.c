/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots: events of type "evlog.snapshot" in the topic NAME.snapshots, under the key of the stream they are of. The
 * newest is the last event of that stream, found as any other.
 *
 * Programs of several schema numbers may keep snapshots beside each other: each looks back for the newest of its own.
 *
 * What it stands for is in headers: the version, schema number, offset and id of the last event in the state. Bytes
 * that are there but do not read as a snapshot count as none.
 */
#include "aggregate_state.h"
#include "fail.h"
#include "stream_ask.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <errno.h>
#include <evlog/admin.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER_VERSION "snapshot-version"
#define HEADER_SCHEMA "snapshot-schema"
#define HEADER_OFFSET "snapshot-offset"
#define HEADER_EVENT_ID "snapshot-event-id"
#define SNAPSHOT_TYPE "evlog.snapshot"
#define NUMBER_LEN 24
#define LOOK_MAX 16 /* snapshots looked at for one of a schema: programs of two versions may run side by side */

static int topic_of(char *name, const char *topic, struct evlog_failure *failure)
{
    int len = topic == NULL ? 0 : snprintf(name, EL_TOPIC_NAME_MAX + 1, "%s" EVLOG_SNAPSHOT_TOPIC_SUFFIX, topic);
    if (len <= 0 || len > EL_TOPIC_NAME_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "the name of the topic is missing, or too long to have \"%s\" added",
                       EVLOG_SNAPSHOT_TOPIC_SUFFIX);
    }
    return 0;
}

/* --- getting ----------------------------------------------------------------------------------------------------- */

struct snapshot_object {
    struct evlog_snapshot snapshot;
    struct el_arena arena;
};

/* A header that is a decimal number from 0 to max. */
static bool number_of(const struct evlog_event *event, const char *name, int64_t max, int64_t *number)
{
    struct evlog_bytes value;
    char text[NUMBER_LEN], *end;
    if (!evlog_event_header(event, name, &value) || value.data == NULL || value.len == 0 || value.len >= sizeof text) {
        return false;
    }
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    *number = parsed;
    return errno == 0 && *end == '\0' && text[0] >= '0' && text[0] <= '9' && parsed <= max;
}

static bool read_snapshot(const struct evlog_stream_event *event, struct evlog_snapshot *snapshot)
{
    int64_t schema;
    const char *type = event->type.data;
    if (event->type.len != strlen(SNAPSHOT_TYPE) || memcmp(type, SNAPSHOT_TYPE, event->type.len) != 0 ||
        event->data.data == NULL || !number_of(event->event, HEADER_VERSION, INT64_MAX, &snapshot->version) ||
        !number_of(event->event, HEADER_OFFSET, INT64_MAX, &snapshot->offset) ||
        !number_of(event->event, HEADER_SCHEMA, INT32_MAX, &schema)) {
        return false;
    }
    if (!evlog_event_header(event->event, HEADER_EVENT_ID, &snapshot->event_id)) {
        snapshot->event_id = (struct evlog_bytes){NULL, 0};
    }
    snapshot->schema = (int32_t)schema;
    snapshot->state = event->data;
    snapshot->taken_ms = event->event->timestamp_ms;
    return true;
}

static int keep(const struct evlog_snapshot *read, const struct evlog_snapshot **snapshot)
{
    struct snapshot_object *object = el_calloc(1, sizeof *object);
    if (object == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_arena_init(&object->arena, NULL, 0);
    object->snapshot = *read;
    object->snapshot.size = sizeof object->snapshot;
    object->snapshot.state.data = el_arena_dup(&object->arena, read->state.data, read->state.len);
    if (read->event_id.data != NULL) {
        object->snapshot.event_id.data = el_arena_dup(&object->arena, read->event_id.data, read->event_id.len);
    }
    if (object->snapshot.state.data == NULL ||
        (read->event_id.data != NULL && object->snapshot.event_id.data == NULL)) {
        evlog_snapshot_free(&object->snapshot);
        return EVLOG_ERR_NO_MEMORY;
    }
    *snapshot = &object->snapshot;
    return 0;
}

/* The newest of the last LOOK_MAX that reads as a snapshot and has the schema. returns 1 found | 0 none | an error */
static int look(struct evlog_stream *stream, int32_t schema, struct evlog_snapshot *found,
                struct evlog_failure *failure)
{
    const struct evlog_stream_event *event;
    for (int i = 0; i < LOOK_MAX; i++) {
        int rc = evlog_stream_next(stream, &event, failure);
        if (rc != 1) {
            return rc;
        }
        if (read_snapshot(event, found) && (schema < 0 || found->schema == schema)) {
            return 1;
        }
    }
    return 0;
}

int el_snapshot_find(struct evlog_client *client, const char *topic, struct evlog_bytes key, int32_t schema,
                     const struct evlog_snapshot **snapshot, struct evlog_failure *failure)
{
    char name[EL_TOPIC_NAME_MAX + 1], what[EL_STREAM_WHAT_LEN];
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_snapshot found = {.version = -1};
    struct evlog_stream *stream = NULL;
    int rc = topic_of(name, topic, failure);
    if (rc == 0) {
        options.topic = name;
        options.key = key;
        options.backward = true;
        rc = evlog_stream_open(client, &options, &stream, failure);
    }
    if (rc == 0) {
        rc = look(stream, schema, &found, failure);
    }
    if (rc == 1) {
        rc = keep(&found, snapshot) == 0 ? 0 : el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a snapshot");
    } else if (rc == 0 || rc == EVLOG_ERR_UNKNOWN_TOPIC) {
        rc = el_fail(failure, EVLOG_ERR_NOT_FOUND, "%s has no snapshot", el_stream_what(what, topic, key));
    }
    evlog_stream_close(stream);
    return rc;
}

int evlog_snapshot_get(struct evlog_client *client, const char *topic, struct evlog_bytes key,
                       const struct evlog_snapshot **snapshot, struct evlog_failure *failure)
{
    return el_snapshot_find(client, topic, key, -1, snapshot, failure);
}

void evlog_snapshot_free(const struct evlog_snapshot *snapshot)
{
    if (snapshot != NULL) {
        const struct snapshot_object *object = EL_CONTAINER(snapshot, const struct snapshot_object, snapshot);
        struct snapshot_object *own = (struct snapshot_object *)(uintptr_t)object;
        el_arena_reset(&own->arena);
        el_free(own);
    }
}

/* --- putting ----------------------------------------------------------------------------------------------------- */

/* Make the topic of snapshots, with as many partitions as the streams' topic has. */
static int make_topic(struct evlog_client *client, const char *topic, const char *name, struct evlog_failure *failure)
{
    static const struct evlog_setting settings[] = {{"evlog.streams", "true"}};
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    int rc = evlog_topic_partition_count(client, topic, &options.partition_count, failure);
    if (rc != 0) {
        return rc;
    }
    options.name = name;
    options.settings = settings;
    options.setting_count = sizeof settings / sizeof settings[0];
    rc = evlog_topic_create(client, &options, failure);
    return rc == EVLOG_ERR_TOPIC_EXISTS ? 0 : rc;
}

int evlog_snapshot_put(struct evlog_client *client, const char *topic, struct evlog_bytes key,
                       const struct evlog_snapshot *given, struct evlog_failure *failure)
{
    struct evlog_snapshot s = {.version = -1};
    char name[EL_TOPIC_NAME_MAX + 1], version[NUMBER_LEN], schema[NUMBER_LEN], offset[NUMBER_LEN];
    int rc = topic_of(name, topic, failure);
    if (rc != 0) {
        return rc;
    }
    if (!EL_OPTIONS_TAKE(&s, given) || s.version < 0 || s.schema < 0 || s.offset < 0 || s.state.data == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a snapshot has a state, a version, a schema and an offset from 0");
    }
    (void)snprintf(version, sizeof version, "%lld", (long long)s.version);
    (void)snprintf(schema, sizeof schema, "%d", s.schema);
    (void)snprintf(offset, sizeof offset, "%lld", (long long)s.offset);
    struct evlog_header headers[] = {
        {{HEADER_VERSION, strlen(HEADER_VERSION)}, {version, strlen(version)}},
        {{HEADER_SCHEMA, strlen(HEADER_SCHEMA)}, {schema, strlen(schema)}},
        {{HEADER_OFFSET, strlen(HEADER_OFFSET)}, {offset, strlen(offset)}},
        {{HEADER_EVENT_ID, strlen(HEADER_EVENT_ID)}, s.event_id},
    };
    struct evlog_new_event event = {
        .type = SNAPSHOT_TYPE,
        .content_type = "application/octet-stream",
        .data = s.state,
        .headers = headers,
        .header_count = s.event_id.data == NULL ? 3 : 4,
    };
    struct evlog_append append = EVLOG_APPEND_INIT;
    append.topic = name;
    append.key = key;
    append.events = &event;
    append.event_count = 1;
    rc = evlog_append(client, &append, NULL, failure);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC) {
        rc = make_topic(client, topic, name, failure);
        rc = rc == 0 ? evlog_append(client, &append, NULL, failure) : rc;
    }
    return rc;
}

int evlog_aggregate_snapshot(struct evlog_aggregate *a, struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    EL_ASSERT(a != NULL && a->magic == EL_AGGREGATE_MAGIC);
    (void)el_stream_what(what, a->topic, el_aggregate_key(a));
    if (a->fold.save == NULL || a->state == NULL || a->applied < 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s: there is no state to take a snapshot of", what);
    }
    struct evlog_snapshot s = {
        .size = sizeof s,
        .version = a->applied,
        .schema = a->fold.schema,
        .offset = a->applied_offset,
    };
    if (a->applied_id.len > 0) {
        s.event_id = (struct evlog_bytes){a->applied_id.data, a->applied_id.len};
    }
    int rc = a->fold.save(a->fold.arg, a->state, &s.state);
    if (rc != 0) {
        (void)el_fail(failure, rc < 0 ? rc : EVLOG_ERR_FAILED, "%s: the state gives no snapshot: code %d", what, rc);
        return rc;
    }
    rc = evlog_snapshot_put(a->client, a->topic, el_aggregate_key(a), &s, failure);
    a->behind_count = rc == 0 ? 0 : a->behind_count;
    return rc;
}
