/* SPDX-License-Identifier: Apache-2.0
 *
 * Appending to streams, with the version they must have.
 *
 * 1. What the caller gave is checked and laid out as one request; events without an id get one.
 * 2. The request is asked until it is answered (stream_ask.c): the ids are the same in every try, so that a try whose
 *    answer was lost is found to be a duplicate and not a conflict.
 * 3. The answer is places, or conflicts, which name streams by their index in the request.
 *
 * Fails by refusing what no broker takes, by the broker's refusals, and by answers that do not fit the question.
 */
#include "fail.h"
#include "stream_ask.h"
#include "stream_conflict.h"
#include "trace.h"

#include <core/alloc.h>
#include <stdio.h>
#include <sys/random.h>
#include <wire/msg_ext_stream_append.h>

struct appending {
    const struct evlog_append_all *all;
    struct el_arena arena; /* of the request */
    struct el_msg_ext_stream_append_request request;
    struct el_msg_ext_stream_append_response response;
    struct el_call call;
    struct el_span *span;                   /* of all of it; NULL: not traced */
    char parent[EVLOG_TRACEPARENT_LEN + 1]; /* its context, for events that are in no trace yet */
};

/* --- ids --------------------------------------------------------------------------------------------------------- */

void evlog_event_id_make(char id[EVLOG_ID_MAX])
{
    struct el_uuid uuid;
    uint64_t now_ms = (uint64_t)el_unix_ms();
    if (getrandom(uuid.bytes, sizeof uuid.bytes, 0) != (ssize_t)sizeof uuid.bytes) {
        struct el_rng rng; /* no kernel that this is built for refuses */
        el_rng_seed(&rng, (uint64_t)el_now_ns() ^ (uint64_t)(uintptr_t)&uuid);
        for (size_t i = 0; i < sizeof uuid.bytes; i++) {
            uuid.bytes[i] = (uint8_t)el_rng_below(&rng, 256);
        }
    }
    for (int i = 0; i < 6; i++) {
        uuid.bytes[i] = (uint8_t)(now_ms >> (40 - 8 * i));
    }
    uuid.bytes[6] = (uint8_t)(0x70 | (uuid.bytes[6] & 0x0f));
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3f));
    char *out = id;
    for (size_t i = 0; i < sizeof uuid.bytes; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        out += snprintf(out, EVLOG_ID_MAX - (size_t)(out - id), "%s%02x", dash ? "-" : "", uuid.bytes[i]);
    }
}

/* --- the request ------------------------------------------------------------------------------------------------- */

static int no_memory(struct evlog_failure *failure)
{
    return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an append");
}

static struct el_slice text_of(const char *text)
{
    return text == NULL ? (struct el_slice){0} : el_slice_str(text);
}

static int lay_out_event(struct appending *a, const struct evlog_new_event *event,
                         struct el_msg_ext_stream_append_event *out, struct evlog_failure *failure)
{
    char *id = event->id == NULL ? el_arena_alloc(&a->arena, EVLOG_ID_MAX) : NULL;
    struct evlog_trace_context context;
    struct evlog_bytes state;
    bool traced = a->span != NULL && !el_trace_of(event->headers, event->header_count, &context, &state);
    out->headers = el_schema_new(&el_schema_ext_stream_append_header, &a->arena,
                                 (uint32_t)event->header_count + traced);
    if ((event->id == NULL && id == NULL) || out->headers == NULL) {
        return no_memory(failure);
    }
    if (id != NULL) {
        evlog_event_id_make(id);
    }
    out->id = el_slice_str(id != NULL ? id : event->id);
    out->type = text_of(event->type);
    out->source = text_of(event->source);
    out->content_type = text_of(event->content_type);
    out->time_ms = event->timestamp_ms == 0 ? -1 : event->timestamp_ms;
    out->data = el_slice_from(event->data);
    for (size_t i = 0; i < event->header_count; i++) {
        if (!traced || !el_trace_is_header(&event->headers[i])) {
            out->headers[out->header_count].name = el_slice_from(event->headers[i].key);
            out->headers[out->header_count++].value = el_slice_from(event->headers[i].value);
        }
    }
    if (traced) {
        out->headers[out->header_count].name = el_slice_str(EVLOG_TRACEPARENT);
        out->headers[out->header_count++].value = el_slice_str(a->parent);
    }
    return 0;
}

static int check_event(const char *what, const struct evlog_new_event *event, size_t index,
                       struct evlog_failure *failure)
{
    if (event->id != NULL && event->id[0] == '\0') {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s: the id of event %zu is empty", what, index);
    }
    if (event->header_count > EVLOG_APPEND_EVENTS_MAX || (event->header_count > 0 && event->headers == NULL)) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "%s: event %zu has %zu headers", what, index, event->header_count);
    }
    for (size_t i = 0; i < event->header_count; i++) {
        if (event->headers[i].key.data == NULL) {
            return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s: header %zu of event %zu has no name", what, i, index);
        }
    }
    return 0;
}

static int lay_out_stream(struct appending *a, const struct evlog_stream_events *stream,
                          struct el_msg_ext_stream_append_append *out, struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    int rc = el_stream_check_name(a->all->topic, stream->key, failure);
    if (rc != 0) {
        return rc;
    }
    (void)el_stream_what(what, a->all->topic, stream->key);
    if (stream->event_count == 0 || stream->events == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s: there are no events to append", what);
    }
    out->events = el_schema_new(&el_schema_ext_stream_append_event, &a->arena, (uint32_t)stream->event_count);
    if (out->events == NULL) {
        return no_memory(failure);
    }
    out->key = el_slice_from(stream->key);
    out->expected = stream->expected;
    out->event_count = (uint32_t)stream->event_count;
    for (size_t i = 0; rc == 0 && i < stream->event_count; i++) {
        rc = check_event(what, &stream->events[i], i, failure);
        rc = rc == 0 ? lay_out_event(a, &stream->events[i], &out->events[i], failure) : rc;
    }
    return rc;
}

static int check_counts(const struct evlog_append_all *all, struct evlog_failure *failure)
{
    size_t event_count = 0;
    if (all->topic == NULL || all->stream_count == 0 || all->streams == NULL ||
        (all->check_count > 0 && all->checks == NULL)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "an append needs a topic, a key and events");
    }
    for (size_t i = 0; i < all->stream_count && event_count <= EVLOG_APPEND_EVENTS_MAX; i++) {
        event_count += EL_MAX(EL_MIN(all->streams[i].event_count, EVLOG_APPEND_EVENTS_MAX + 1), 1);
    }
    if (event_count > EVLOG_APPEND_EVENTS_MAX || all->check_count > EVLOG_APPEND_EVENTS_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "topic %.250s: one append takes at most %d events, and as many checks",
                       all->topic, EVLOG_APPEND_EVENTS_MAX);
    }
    return 0;
}

/* The trace of an append is that of its first event, which may be in one already. Nothing of the events is checked yet.
 */
static void begin_span(const struct evlog_client *client, struct appending *a)
{
    const struct evlog_append_all *all = a->all;
    struct el_trace_place place;
    const struct evlog_stream_events *stream = &all->streams[0];
    bool is_look = stream->expected == INT64_MAX; /* evlog_event_find() */
    if (!el_trace_on(client) || is_look || stream->event_count == 0 || stream->events == NULL) {
        return;
    }
    const struct evlog_new_event *first = &stream->events[0];
    size_t header_count = first->headers == NULL ? 0 : first->header_count;
    if (!el_trace_decide(client, first->headers, header_count, &place)) {
        return;
    }
    struct el_span_about about = {
        .kind = EVLOG_SPAN_PRODUCER,
        .operation = "append",
        .operation_type = "send",
        .topic = all->topic,
        .partition = -1,
        .offset = -1,
        .body_len = -1,
    };
    for (size_t i = 0; i < all->stream_count; i++) {
        about.message_count += (int32_t)all->streams[i].event_count;
    }
    a->span = el_span_begin(client, &place, &about);
    evlog_traceparent_format(&place.context, a->parent);
}

static int lay_out(struct evlog_client *client, struct appending *a, struct evlog_failure *failure)
{
    const struct evlog_append_all *all = a->all;
    struct el_msg_ext_stream_append_request *request = &a->request;
    int rc = check_counts(all, failure);
    if (rc != 0) {
        return rc;
    }
    begin_span(client, a);
    el_schema_init(&el_schema_ext_stream_append_request, request);
    request->topic = el_slice_str(all->topic);
    request->timeout_ms = (int32_t)EL_MIN(client->cfg.request_timeout_ms, INT32_MAX);
    request->appends = el_schema_new(&el_schema_ext_stream_append_append, &a->arena, (uint32_t)all->stream_count);
    request->append_count = (uint32_t)all->stream_count;
    request->checks = el_schema_new(&el_schema_ext_stream_append_check, &a->arena, (uint32_t)all->check_count);
    request->check_count = (uint32_t)all->check_count;
    if (request->appends == NULL || request->checks == NULL) {
        return no_memory(failure);
    }
    for (size_t i = 0; rc == 0 && i < all->stream_count; i++) {
        rc = lay_out_stream(a, &all->streams[i], &request->appends[i], failure);
    }
    for (size_t i = 0; rc == 0 && i < all->check_count; i++) {
        rc = el_stream_check_name(all->topic, all->checks[i].key, failure);
        request->checks[i].key = el_slice_from(all->checks[i].key);
        request->checks[i].expected = all->checks[i].expected;
    }
    return rc;
}

/* --- the answer -------------------------------------------------------------------------------------------------- */

static int code_of(const void *response)
{
    return ((const struct el_msg_ext_stream_append_response *)response)->error;
}

/* The key that a conflict is about, as the caller gave it; false: the answer names one that was not asked about. */
static bool key_of(const struct appending *a, const struct el_msg_ext_stream_append_conflict *conflict,
                   struct evlog_bytes *key)
{
    size_t count = conflict->check ? a->all->check_count : a->all->stream_count;
    if (conflict->index < 0 || (size_t)conflict->index >= count) {
        return false;
    }
    *key = conflict->check ? a->all->checks[conflict->index].key : a->all->streams[conflict->index].key;
    return true;
}

/* Look at the answer. returns 0 places, one a stream | a conflict's code, told: all of them name keys that were asked |
 * another refusal, told */
static int judge(const struct appending *a, struct evlog_failure *failure)
{
    const struct el_msg_ext_stream_append_response *r = &a->response;
    const char *topic = a->all->topic;
    struct evlog_bytes key;
    char what[300];
    (void)snprintf(what, sizeof what, "append to topic %.250s", topic);
    if (r->error == 0 && (r->result_count != a->all->stream_count || r->position.data == NULL ||
                          r->position.len >= EVLOG_POSITION_MAX)) {
        return el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker's answer does not fit the question", what);
    }
    for (uint32_t i = 0; i < r->conflict_count; i++) {
        if (!key_of(a, &r->conflicts[i], &key)) {
            return el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker's answer does not fit the question", what);
        }
    }
    if (r->error == 0) {
        return 0;
    }
    if (r->conflict_count == 0) {
        int rc = el_fail_kafka(failure, r->error, r->message, what);
        el_fail_right(failure, "write topic", topic);
        return rc;
    }
    (void)key_of(a, &r->conflicts[0], &key);
    return el_conflict_fail(failure, topic, key, r->conflicts, r->conflict_count, r->message);
}

static void end_span(struct appending *a, int rc)
{
    if (rc == 0) {
        el_span_locate(a->span, a->response.partition, a->response.results[0].first_offset);
    }
    el_span_end_code(a->span, rc, evlog_error_text(rc));
}

/* returns as judge(); *answered: there is an answer that can be read, whatever it says */
static int ask(struct evlog_client *client, struct appending *a, bool *answered, struct evlog_failure *failure)
{
    struct el_stream_ask of = {
        .topic = a->all->topic,
        .partition = -1,
        .api = EL_API_StreamAppend,
        .request = &a->request,
        .code_of = code_of,
        .appends = true,
    };
    *answered = false;
    el_arena_init(&a->arena, NULL, 0);
    int rc = lay_out(client, a, failure);
    if (rc == 0) {
        rc = el_stream_ask(client, &of, &a->call, &a->response, failure);
        *answered = rc == 0;
    }
    if (*answered) {
        rc = judge(a, failure);
    }
    end_span(a, rc);
    return rc;
}

static void finish(struct appending *a, bool answered)
{
    if (answered) {
        el_call_free(&a->call);
    }
    el_arena_reset(&a->arena);
}

/* --- one stream -------------------------------------------------------------------------------------------------- */

static void take_place(struct evlog_appended *full, const struct el_msg_ext_stream_append_response *r)
{
    const struct el_msg_ext_stream_append_result *result = &r->results[0];
    full->partition = r->partition;
    full->first_version = result->first_version;
    full->first_offset = result->first_offset;
    full->version = result->version;
    full->offset = result->offset;
    full->duplicate = result->duplicate;
    memcpy(full->position, r->position.data, r->position.len);
}

int evlog_append(struct evlog_client *client, const struct evlog_append *given, struct evlog_appended *appended,
                 struct evlog_failure *failure)
{
    struct evlog_append one = EVLOG_APPEND_INIT;
    if (!EL_OPTIONS_TAKE(&one, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the append was not initialised");
    }
    struct evlog_stream_events stream = {one.key, one.expected, one.events, one.event_count};
    struct evlog_append_all all = EVLOG_APPEND_ALL_INIT;
    all.topic = one.topic;
    all.streams = &stream;
    all.stream_count = 1;
    all.checks = one.checks;
    all.check_count = one.check_count;
    struct appending a = {.all = &all};
    bool answered;
    int rc = ask(client, &a, &answered, failure);
    struct evlog_appended full = EVLOG_APPENDED_INIT;
    if (rc == 0) {
        take_place(&full, &a.response);
        el_appended_give(appended, &full);
    } else if (answered && el_is_conflict(rc) && a.response.conflict_count > 0) {
        struct evlog_bytes key = one.key;
        (void)key_of(&a, &a.response.conflicts[0], &key);
        el_conflict_take(&a.response.conflicts[0], key, &full.conflict);
        el_appended_give(appended, &full);
    }
    finish(&a, answered);
    return rc;
}

int evlog_event_find(struct evlog_client *client, const char *topic, struct evlog_bytes key, const char *id,
                     struct evlog_appended *appended, struct evlog_failure *failure)
{
    struct evlog_append append = EVLOG_APPEND_INIT;
    struct evlog_new_event event = {.id = id == NULL ? "" : id};
    char what[EL_STREAM_WHAT_LEN];
    append.topic = topic;
    append.key = key;
    append.expected = INT64_MAX; /* ids are looked at first, and then nothing is appended */
    append.events = &event;
    append.event_count = 1;
    int rc = evlog_append(client, &append, appended, failure);
    if (rc == EVLOG_ERR_WRONG_VERSION || rc == EVLOG_ERR_STREAM_ENDED) {
        rc = EVLOG_ERR_NOT_FOUND;
        (void)el_fail(failure, rc, "%s has no event with the id %.100s", el_stream_what(what, topic, key), event.id);
    }
    return rc;
}

/* --- several ----------------------------------------------------------------------------------------------------- */

struct outcome_object {
    struct evlog_append_outcome outcome;
    char position[EVLOG_POSITION_MAX];
    struct el_arena arena;
};

static int fill_outcome(const struct appending *a, bool success, struct outcome_object *object)
{
    const struct el_msg_ext_stream_append_response *r = &a->response;
    size_t place_count = success ? r->result_count : 0, conflict_count = success ? 0 : r->conflict_count;
    struct evlog_append_place *places = el_arena_zalloc(&object->arena, (place_count + 1) * sizeof *places);
    struct evlog_conflict *conflicts = el_arena_zalloc(&object->arena, (conflict_count + 1) * sizeof *conflicts);
    if (places == NULL || conflicts == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < place_count; i++) {
        const struct el_msg_ext_stream_append_result *result = &r->results[i];
        places[i] = (struct evlog_append_place){
            r->partition,    result->first_version, result->first_offset,
            result->version, result->offset,        result->duplicate,
        };
    }
    for (size_t i = 0; i < conflict_count; i++) {
        struct evlog_bytes key = {NULL, 0};
        (void)key_of(a, &r->conflicts[i], &key);
        el_conflict_take(&r->conflicts[i], key, &conflicts[i]);
    }
    if (success) {
        memcpy(object->position, r->position.data, r->position.len);
    }
    object->outcome = (struct evlog_append_outcome){object->position, places, place_count, conflicts, conflict_count};
    return 0;
}

int evlog_append_all(struct evlog_client *client, const struct evlog_append_all *given,
                     struct evlog_append_outcome **outcome, struct evlog_failure *failure)
{
    struct evlog_append_all all = EVLOG_APPEND_ALL_INIT;
    *outcome = NULL;
    if (!EL_OPTIONS_TAKE(&all, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the append was not initialised");
    }
    struct appending a = {.all = &all};
    struct outcome_object *object = el_calloc(1, sizeof *object); /* before anything is appended */
    if (object == NULL) {
        return no_memory(failure);
    }
    el_arena_init(&object->arena, NULL, 0);
    bool answered;
    int rc = ask(client, &a, &answered, failure);
    if (answered && (rc == 0 || el_is_conflict(rc))) {
        int filled = fill_outcome(&a, rc == 0, object);
        if (filled == 0) {
            *outcome = &object->outcome;
        } else {
            rc = no_memory(failure);
            el_fail_hint(failure, "append again with the same ids to learn the places");
        }
    }
    finish(&a, answered);
    if (*outcome == NULL) {
        evlog_append_outcome_free(&object->outcome);
    }
    return rc;
}

void evlog_append_outcome_free(struct evlog_append_outcome *outcome)
{
    if (outcome != NULL) {
        struct outcome_object *object = EL_CONTAINER(outcome, struct outcome_object, outcome);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}
